/* See watch.h. */
#include <stddef.h>
#include <time.h>
#include "watch.h"

enum { PERIOD_NS = 50000000, SHORT_NS = 1000000, LONG_NS = 10000000 };

uint64_t watch_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void watch_init(struct watch *w, int (*look)(void *user, double done), void *user)
{
    *w = (struct watch){.look = look, .user = user, .share = 1};
    if (look)
        w->next_ns = watch_clock() + PERIOD_NS;
}

int64_t watch_piece(int64_t piece, uint64_t began, int64_t least, int64_t most)
{
    uint64_t took = watch_clock() - began;
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
}

bool watch_goes_on(struct watch *w, double part)
{
    if (!is_watched(w) || w->stopped)
        return !is_watched(w);
    if (watch_clock() < w->next_ns)
        return true;
    w->stopped = w->look(w->user, w->begin + w->share * part) != 0;
    w->next_ns = watch_clock() + PERIOD_NS;
    return !w->stopped;
}
