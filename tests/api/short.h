/*
 * Memory that runs short when a test says so, for libarex.so alone: LLVM, in libarex-llvm.so, ends the process when it is
 * refused any, and the C library and cmocka are none of ours. This program's own malloc and its kin take the place of the C
 * library's, for all libraries; they know by the return address who asks.
 */
#ifndef TESTS_API_SHORT_H
#define TESTS_API_SHORT_H
#include <stdbool.h>

/* Before anything else: where the libraries lie. */
void short_begin(void);
/* From now on the nth request (1: the next) is refused, and all that follow where `on`. */
void short_refuse(unsigned nth, bool on);
/* Nothing is refused any more. How many requests were. */
unsigned short_done(void);
/* Blocks that libarex.so asked for and nobody has freed. */
unsigned short_live(void);
/* Where in libarex.so the request that was refused first came from, and who asked for what is alive, for addr2line; "" when there is none. */
const char *short_first(void);
const char *short_alive(void);

#endif
