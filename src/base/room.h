/*
 * Room for several arrays in one allocation, where each of its own would cost more than the work: a function that takes them all is run twice, first over
 * a room without memory, which only counts.
 */
#ifndef AREX_BASE_ROOM_H
#define AREX_BASE_ROOM_H
#include <stddef.h>

struct room {
    char *memory; /* zeroed, `used` bytes of it as they were counted, aligned to 16; NULL: counting */
    size_t used;
};

/* n elements of a size; NULL while counting. */
static inline void *room_take(struct room *r, size_t n, size_t size)
{
    void *at = r->memory ? r->memory + r->used : NULL;
    r->used += (n * size + 15) / 16 * 16;
    return at;
}

#endif
