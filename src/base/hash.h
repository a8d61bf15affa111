/* FNV-1a, 64 bits (Fowler, Noll, Vo): small keys in compiler tables. */
#ifndef AREX_BASE_HASH_H
#define AREX_BASE_HASH_H
#include <stddef.h>
#include <stdint.h>

#define HASH_START UINT64_C(0xcbf29ce484222325)
uint64_t hash_bytes(uint64_t h, const void *p, size_t n);

#endif
