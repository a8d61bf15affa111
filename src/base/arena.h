/*
 * One arena per unit of work: everything a compilation makes lives in it and is dropped whole.
 *
 * arena_alloc never returns NULL. When memory runs out, or the arena's byte limit is reached, it jumps to the
 * point its owner set (arena.on_fail), so that code building trees needs no error paths of its own. The owner
 * must set the point with setjmp before the first allocation; nothing between the two may own a resource that
 * is not in the arena. One thread at a time.
 */
#ifndef AREX_BASE_ARENA_H
#define AREX_BASE_ARENA_H
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

struct arena_block;

enum arena_failure { ARENA_FINE, ARENA_NO_MEMORY, ARENA_OVER_LIMIT, ARENA_TOO_MANY /* of what its owner counts */, ARENA_TOO_LONG /* at work, as its owner counts it */ };

struct arena {
    struct arena_block *head;
    size_t used;  /* bytes handed out */
    size_t limit; /* bytes it may hand out; 0 means no limit */
    jmp_buf *on_fail;
    enum arena_failure failure; /* why it jumped */
};

void arena_init(struct arena *a, size_t limit);
void arena_fini(struct arena *a);
/* Jumps as when memory runs out: for what is not in the arena and ran out. */
_Noreturn void arena_out_of_memory(struct arena *a);
/* size bytes, zeroed, aligned to 16. */
void *arena_alloc(struct arena *a, size_t size);
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define arena_new(a, T)      ((T *)arena_alloc((a), sizeof(T)))
#define arena_array(a, T, n) ((T *)arena_alloc((a), sizeof(T) * (size_t)(n)))

#endif
