/* See watch.h. */
#include <stddef.h>
#include "base/clock.h"
#include "watch.h"

enum { PERIOD_NS = 50000000, SHORT_NS = 1000000, LONG_NS = 10000000 };

void watch_init(struct watch *w, int (*look)(void *user, double done), void *user)
{
    *w = (struct watch){.look = look, .user = user, .share = 1, .owner = pthread_self()};
    if (look)
        w->next_ns = now_ns() + PERIOD_NS;
}

int64_t watch_piece(int64_t piece, uint64_t began, int64_t least, int64_t most)
{
    uint64_t took = now_ns() - began;
    if (took < SHORT_NS)
        piece = piece > most / 2 ? most : piece * 2;
    else if (took > LONG_NS)
        piece = piece / least / 2 * least;
    return piece > least ? piece : least;
}

bool is_watched(const struct watch *w)
{
    return w && w->look;
}

void watch_share(struct watch *w, double begin, double share)
{
    if (!w)
        return;
    w->begin = begin;
    w->share = share;
    w->part = 0;
}

bool watch_goes_on(struct watch *w, double part)
{
    if (!is_watched(w) || atomic_load_explicit(&w->stopped, memory_order_relaxed))
        return !is_watched(w);
    w->part = part;
    if (now_ns() < w->next_ns)
        return true;
    if (w->look(w->user, w->begin + w->share * part) != 0)
        atomic_store_explicit(&w->stopped, true, memory_order_relaxed);
    w->next_ns = now_ns() + PERIOD_NS;
    return !atomic_load_explicit(&w->stopped, memory_order_relaxed);
}

int watch_asked(void *watch)
{
    struct watch *w = watch;
    if (!is_watched(w))
        return 0;
    if (pthread_equal(pthread_self(), w->owner))
        return !watch_goes_on(w, w->part);
    return atomic_load_explicit(&w->stopped, memory_order_relaxed);
}
