/*
 * Several arrays in one allocation, where one each would cost more than the work: the function that takes them all runs twice, first over a slab without
 * memory, which only counts. AddressSanitizer sees where each ends.
 */
#ifndef AREX_BASE_SLAB_H
#define AREX_BASE_SLAB_H
#include <stddef.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define SLAB_FENCE 16
#else
#define SLAB_FENCE 0
#define ASAN_POISON_MEMORY_REGION(at, n) ((void)(at), (void)(n))
#endif

struct slab {
    char *memory; /* zeroed, as many bytes as were counted; its owner frees it. NULL: counting */
    size_t used;
};

/* n elements of `size` bytes, aligned to 16; NULL while counting. */
static inline void *slab_take(struct slab *s, size_t n, size_t size)
{
    size_t end = s->used + n * size, next = (end + SLAB_FENCE + 15) / 16 * 16;
    void *at = s->memory ? s->memory + s->used : NULL;
    if (s->memory)
        ASAN_POISON_MEMORY_REGION(s->memory + end, next - end);
    s->used = next;
    return at;
}

#endif
