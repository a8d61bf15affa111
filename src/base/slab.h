/* Several arrays in one allocation, where one each would cost more than the work. AddressSanitizer sees where each ends. */
#ifndef AREX_BASE_SLAB_H
#define AREX_BASE_SLAB_H
#include <stddef.h>
#include <stdlib.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define SLAB_FENCE 16
#else
#define SLAB_FENCE 0
#define ASAN_POISON_MEMORY_REGION(at, n) ((void)(at), (void)(n))
#endif

struct slab {
    char *memory; /* NULL: it is only counted */
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

/* Zeroed memory for all that `take` takes for `owner`, to be freed; NULL when there is none. It takes twice: what it takes is counted first. */
static inline void *slab_new(void (*take)(void *owner, struct slab *s), void *owner)
{
    struct slab s = {0};
    take(owner, &s);
    s = (struct slab){.memory = calloc(1, s.used + 1)};
    if (s.memory)
        take(owner, &s);
    return s.memory;
}

#endif
