/*
 * The thread pool of a CPU device: our own, so that no other runtime (OpenMP) meets another copy of itself in a process.
 *
 * A job is a function over a range, handed out in chunks; the caller takes part and returns when all is done. Workers
 * start when first needed and sleep between jobs. One job runs in parallel at a time; a caller that finds the pool
 * busy runs its job alone, so any number of threads may call. After fork the child starts its own workers.
 */
#ifndef AREX_CPU_POOL_H
#define AREX_CPU_POOL_H
#include <stdbool.h>
#include <stdint.h>
#include "watch.h"

struct pool;
typedef void pool_fn(const int64_t *slots, int64_t begin, int64_t end);

struct pool *pool_new(unsigned threads); /* 0: one per CPU this process may use; NULL when memory runs out */
void pool_free(struct pool *p);
unsigned pool_threads(const struct pool *p);
/* fn over 0..items in ranges that begin at multiples of grain; at most max_threads threads (0: all). watch, which may be NULL, is asked between
 * the caller's ranges: false when it stopped the job, of which some ranges then were not done. */
bool pool_run(struct pool *p, pool_fn *fn, const int64_t *slots, int64_t items, int64_t grain, unsigned max_threads, struct watch *watch);

#endif
