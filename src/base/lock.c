/* See lock.h. */
#include <sched.h>
#include <stddef.h>
#include "base/lock.h"

/* A fact of the process, which nothing but the C library can tell: hence the only two variables of the library that belong to nobody. */
static _Atomic unsigned forks;
static pthread_once_t watching = PTHREAD_ONCE_INIT;

static void forked(void)
{
    atomic_fetch_add(&forks, 2);
}

static void watch(void)
{
    pthread_atfork(NULL, NULL, forked);
}

unsigned fork_count(void)
{
    pthread_once(&watching, watch);
    return atomic_load_explicit(&forks, memory_order_relaxed);
}

/* One thread renews it, others wait. `seen` may be odd: the fork came while the lock was being renewed. */
static void renew(struct lock *l, unsigned seen, unsigned now)
{
    while (seen != now) {
        if (seen != (now | 1) && atomic_compare_exchange_strong(&l->process, &seen, now | 1)) {
            pthread_mutex_init(&l->mutex, NULL);
            atomic_store(&l->process, now);
            return;
        }
        sched_yield();
        seen = atomic_load(&l->process);
    }
}

void lock_init(struct lock *l)
{
    pthread_mutex_init(&l->mutex, NULL);
    atomic_init(&l->process, fork_count());
}

void lock_fini(struct lock *l)
{
    pthread_mutex_destroy(&l->mutex);
}

void lock_take(struct lock *l)
{
    unsigned now = atomic_load_explicit(&forks, memory_order_relaxed), seen = atomic_load_explicit(&l->process, memory_order_acquire);
    if (seen != now)
        renew(l, seen, now);
    pthread_mutex_lock(&l->mutex);
}

void lock_give(struct lock *l)
{
    pthread_mutex_unlock(&l->mutex);
}
