/*
 * A mutex that a fork cannot leave taken for ever. Threads do not follow into a forked process, so one that held a mutex there will
 * never give it back; in the new process the lock is free again at its first use. So what it guards has to make sense between any two
 * stores: lists grow and fields are set by one store each, of something complete.
 */
#ifndef AREX_BASE_LOCK_H
#define AREX_BASE_LOCK_H
#include <pthread.h>
#include <stdatomic.h>

struct lock {
    pthread_mutex_t mutex;
    _Atomic unsigned process; /* the one it was made or renewed in, by fork_count; odd while it is renewed */
};

void lock_init(struct lock *l);
void lock_fini(struct lock *l);
void lock_take(struct lock *l);
void lock_give(struct lock *l);

/* Another number in a process than in the one that it was forked from; even. */
unsigned fork_count(void);

#endif
