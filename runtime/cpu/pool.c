/* See pool.h. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/lock.h"
#include "cpu/pool.h"

enum { MAX_THREADS = 256, CHUNKS_PER_THREAD = 8, SPINS = 2000 };

/* What one thread starts with: neighbours in memory stay with one core from call to call. */
struct span_of_work {
    _Atomic int64_t next; /* first item nobody has taken */
    int64_t end;
};

struct job {
    pool_fn *fn;
    const int64_t *slots;
    int64_t chunk, items, grain;
    _Atomic int64_t piece; /* how much is taken at a time: the chunk, or less where somebody watches */
    struct watch *watch; /* the caller's; may be NULL */
    atomic_bool stop;
    unsigned n_spans;
    struct span_of_work spans[MAX_THREADS];
};

struct pool {
    unsigned threads;      /* the caller counts as one */
    pthread_mutex_t owner; /* held by the caller whose job runs in parallel */
    struct job *job;       /* valid while a worker is counted in `state` */
    _Atomic uint64_t state; /* low half: how many workers may still join the job; high half: how many are in it */
    _Atomic unsigned turn; /* grows with every job and at the end: what waiting workers watch */
    pthread_mutex_t lock;  /* for sleeping only */
    pthread_cond_t wake;
    _Atomic unsigned sleepers;
    pthread_t worker[MAX_THREADS];
    unsigned n_workers; /* started */
    atomic_bool stop;
    unsigned process; /* fork_count of the one that its workers live in */
};

#define ONE_INSIDE (UINT64_C(1) << 32)

static unsigned cpus(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return n < 1 ? 1 : (unsigned)n;
}

static void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static void init_sync(struct pool *p)
{
    pthread_mutex_init(&p->owner, NULL);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    p->process = fork_count();
}

struct pool *pool_new(unsigned threads)
{
    struct pool *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->threads = threads ? threads : cpus();
    p->threads = p->threads > MAX_THREADS ? MAX_THREADS : p->threads;
    init_sync(p);
    return p;
}

unsigned pool_threads(const struct pool *p)
{
    return p->threads;
}

/* How much has been handed out. */
static double part_taken(struct job *j)
{
    int64_t left = 0;
    for (unsigned k = 0; k < j->n_spans; k++) {
        int64_t next = atomic_load_explicit(&j->spans[k].next, memory_order_relaxed);
        left += next < j->spans[k].end ? j->spans[k].end - next : 0;
    }
    return 1 - (double)left / (double)j->items;
}

static void drain(struct job *j, struct span_of_work *s, bool is_caller)
{
    while (!atomic_load_explicit(&j->stop, memory_order_relaxed)) {
        int64_t piece = atomic_load_explicit(&j->piece, memory_order_relaxed);
        int64_t begin = atomic_fetch_add_explicit(&s->next, piece, memory_order_relaxed);
        if (begin >= s->end)
            return;
        uint64_t began = is_caller && is_watched(j->watch) ? now_ns() : 0;
        j->fn(j->slots, begin, s->end - begin < piece ? s->end : begin + piece);
        if (!began)
            continue;
        atomic_store_explicit(&j->piece, watch_piece(piece, began, j->grain, j->chunk), memory_order_relaxed);
        if (!watch_goes_on(j->watch, part_taken(j)))
            atomic_store_explicit(&j->stop, true, memory_order_relaxed);
    }
}

/* Its own span first, then what others have left. */
static void work(struct job *j, unsigned me)
{
    for (unsigned k = 0; k < j->n_spans; k++)
        drain(j, &j->spans[(me + k) % j->n_spans], me == 0);
}

/* Until there is another turn: a short spin catches jobs that follow one another, then sleep. */
static void wait_for_turn(struct pool *p, unsigned seen)
{
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load(&p->turn) != seen)
            return;
        pause_briefly();
    }
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add(&p->sleepers, 1); /* before looking again: the caller looks at it after it took the turn */
    while (atomic_load(&p->turn) == seen)
        pthread_cond_wait(&p->wake, &p->lock);
    atomic_fetch_sub(&p->sleepers, 1);
    pthread_mutex_unlock(&p->lock);
}

/* From "may join" to "inside", unless enough have. */
static bool join(struct pool *p)
{
    uint64_t state = atomic_load(&p->state);
    while ((uint32_t)state > 0)
        if (atomic_compare_exchange_weak(&p->state, &state, state - 1 + ONE_INSIDE))
            return true;
    return false;
}

static void take_turn(struct pool *p)
{
    atomic_fetch_add(&p->turn, 1);
    if (atomic_load(&p->sleepers) == 0)
        return;
    pthread_mutex_lock(&p->lock);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
}

struct start {
    struct pool *pool;
    unsigned number, turn;
};

static void *worker(void *arg)
{
    struct start *start = arg;
    struct pool *p = start->pool;
    unsigned me = start->number;
    unsigned seen = start->turn;
    free(start);
    for (;;) {
        wait_for_turn(p, seen);
        seen = atomic_load(&p->turn);
        if (atomic_load(&p->stop))
            return NULL;
        if (join(p)) {
            work(p->job, me);
            atomic_fetch_sub(&p->state, ONE_INSIDE);
        }
    }
}

static void start_workers(struct pool *p, unsigned n)
{
    while (p->n_workers < n) {
        struct start *start = malloc(sizeof *start);
        if (!start)
            return; /* fewer threads, the same bits */
        *start = (struct start){p, p->n_workers + 1, atomic_load(&p->turn)};
        if (pthread_create(&p->worker[p->n_workers], NULL, worker, start) != 0) {
            free(start);
            return;
        }
        p->n_workers++;
    }
}

/* The threads of the parent are not in the child; its locks may be in any state. */
static void after_fork(struct pool *p)
{
    p->n_workers = 0;
    atomic_store(&p->state, 0);
    atomic_store(&p->sleepers, 0);
    init_sync(p);
}

static void in_parallel(struct pool *p, struct job *j, unsigned threads)
{
    start_workers(p, threads - 1);
    p->job = j;
    atomic_store(&p->state, threads - 1 < p->n_workers ? threads - 1 : p->n_workers);
    take_turn(p);
    work(j, 0);
    atomic_fetch_and(&p->state, ~(ONE_INSIDE - 1)); /* who has not come yet finds nothing left */
    for (int i = 0; atomic_load(&p->state) != 0; i++) {
        if (i < SPINS) {
            pause_briefly();
            continue;
        }
        sched_yield();
        if (watch_asked(j->watch))
            atomic_store_explicit(&j->stop, true, memory_order_relaxed);
    }
}

static int64_t round_up(int64_t n, int64_t by)
{
    return (n + by - 1) / by * by;
}

static void share_out(struct job *j, int64_t items, int64_t grain, unsigned threads)
{
    int64_t span = round_up((items + threads - 1) / threads, grain), begin = 0;
    j->chunk = round_up((span + CHUNKS_PER_THREAD - 1) / CHUNKS_PER_THREAD, grain);
    j->grain = grain;
    j->items = items;
    atomic_init(&j->piece, is_watched(j->watch) ? grain : j->chunk);
    for (j->n_spans = 0; j->n_spans < threads; j->n_spans++, begin += span) {
        atomic_init(&j->spans[j->n_spans].next, begin < items ? begin : items);
        j->spans[j->n_spans].end = begin + span < items ? begin + span : items;
    }
}

/* By the caller alone: in one go where nobody watches. */
static bool run_alone(pool_fn *fn, const int64_t *slots, int64_t items, int64_t grain, struct watch *watch)
{
    bool on = true;
    if (!is_watched(watch)) {
        fn(slots, 0, items);
        return true;
    }
    for (int64_t begin = 0, end, piece = grain; on && begin < items; begin = end) {
        uint64_t began = now_ns();
        end = items - begin < piece ? items : begin + piece;
        fn(slots, begin, end);
        piece = watch_piece(piece, began, grain, round_up(items, grain));
        on = watch_goes_on(watch, (double)end / (double)items);
    }
    return on;
}

bool pool_run(struct pool *p, pool_fn *fn, const int64_t *slots, int64_t items, int64_t grain, unsigned max_threads, struct watch *watch)
{
    unsigned threads = max_threads && max_threads < p->threads ? max_threads : p->threads;
    if (p->process != fork_count())
        after_fork(p);
    int64_t pieces = (items + grain - 1) / grain;
    threads = pieces < threads ? (unsigned)pieces : threads;
    if (threads <= 1 || pthread_mutex_trylock(&p->owner) != 0)
        return run_alone(fn, slots, items, grain, watch);
    struct job j;
    j.fn = fn;
    j.slots = slots;
    j.watch = watch;
    atomic_init(&j.stop, false);
    share_out(&j, items, grain, threads);
    in_parallel(p, &j, threads);
    pthread_mutex_unlock(&p->owner);
    return !atomic_load_explicit(&j.stop, memory_order_relaxed);
}

void pool_free(struct pool *p)
{
    if (!p)
        return;
    if (p->process == fork_count()) {
        atomic_store(&p->stop, true);
        take_turn(p);
        for (unsigned i = 0; i < p->n_workers; i++)
            pthread_join(p->worker[i], NULL);
    }
    free(p);
}
