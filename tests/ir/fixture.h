/* One IR under construction, anew for every test. */
#ifndef TEST_FIXTURE_H
#define TEST_FIXTURE_H
#include "ir/eval.h"

#define NOWHERE ((struct span){0, 0})

extern struct arena arena;
extern struct diags diags;
extern struct ir ir;
extern jmp_buf failed; /* where the arena jumps to; set before what may run into its limit */

int ir_begin(void **state); /* cmocka's set-up and tear-down; also to start afresh within a test */
int ir_end(void **state);
ir_id input(const char *name, enum dtype t, unsigned rank);
uint32_t pick(uint32_t n); /* below n, the same numbers in every run */

#endif
