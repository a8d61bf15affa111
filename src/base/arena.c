/* Blocks of growing size, dropped together. See arena.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/arena.h"

enum { ALIGN = 16, FIRST_BLOCK = 16 << 10, LARGEST_BLOCK = 1 << 20 };

struct arena_block {
    struct arena_block *next;
    size_t used, size;
    _Alignas(ALIGN) unsigned char bytes[];
};

void arena_init(struct arena *a, size_t limit)
{
    memset(a, 0, sizeof *a);
    a->limit = limit;
}

void arena_fini(struct arena *a)
{
    while (a->head) {
        struct arena_block *b = a->head;
        a->head = b->next;
        free(b);
    }
}

static _Noreturn void fail(struct arena *a, enum arena_failure why)
{
    a->failure = why;
    longjmp(*a->on_fail, 1);
}

void arena_out_of_memory(struct arena *a)
{
    fail(a, ARENA_NO_MEMORY);
}

static struct arena_block *grow(struct arena *a, size_t need)
{
    size_t size = a->head ? a->head->size * 2 : FIRST_BLOCK;
    size = size > LARGEST_BLOCK ? LARGEST_BLOCK : size;
    size = size < need ? need : size;
    struct arena_block *b = calloc(1, sizeof *b + size);
    if (!b)
        fail(a, ARENA_NO_MEMORY);
    b->size = size;
    b->next = a->head;
    a->head = b;
    return b;
}

void *arena_alloc(struct arena *a, size_t size)
{
    if (size > SIZE_MAX / 2)
        fail(a, ARENA_NO_MEMORY);
    size_t need = (size + ALIGN - 1) / ALIGN * ALIGN;
    if (a->limit && (need > a->limit || a->used > a->limit - need))
        fail(a, ARENA_OVER_LIMIT);
    struct arena_block *b = a->head;
    if (!b || b->size - b->used < need)
        b = grow(a, need);
    void *p = b->bytes + b->used;
    b->used += need;
    a->used += need;
    return p;
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
    char *copy = arena_alloc(a, n + 1);
    if (n)
        memcpy(copy, s, n);
    return copy;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    char *s = arena_alloc(a, n < 0 ? 1 : (size_t)n + 1);
    if (n >= 0)
        vsnprintf(s, (size_t)n + 1, fmt, again);
    va_end(again);
    va_end(args);
    return s;
}
