/*
 * Who asks for a call may watch it: a function of theirs is called now and then, on the thread that called, with the part that is done, and
 * may end the call. The clock is read between pieces of work only, so a short call is never watched.
 *
 * One watch belongs to one call and one thread, the owner; NULL stands for nobody who watches. Others who work on the call may ask whether it
 * was stopped.
 */
#ifndef AREX_RUNTIME_WATCH_H
#define AREX_RUNTIME_WATCH_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct watch {
    int (*look)(void *user, double done); /* NULL: nobody; not 0: stop */
    void *user;
    double begin, share; /* of the whole, what is at work now */
    uint64_t next_ns;    /* no look before */
    double part;         /* what was done at the last look */
    pthread_t owner;
    atomic_bool stopped;
};

/* look may be NULL. */
void watch_init(struct watch *w, int (*look)(void *user, double done), void *user);
bool is_watched(const struct watch *w);
/* What is at work now is this share of the whole, from begin on. */
void watch_share(struct watch *w, double begin, double share);
/* How large the next piece of work should be after one of this size that began then (now_ns of base/clock.h): so large that the clock costs nothing, so small that an
 * end comes soon. Between least and most; a multiple of least when most is one. */
int64_t watch_piece(int64_t piece, uint64_t began, int64_t least, int64_t most);
/* part of the share is done. False: stop. */
bool watch_goes_on(struct watch *w, double part);
/* From inside of long work, on any thread of the call: a struct watch, or NULL. Not 0: stop. */
int watch_asked(void *watch);

#endif
