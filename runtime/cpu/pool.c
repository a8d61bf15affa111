/* See pool.h. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>
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
    int64_t chunk;
    unsigned n_spans;
    struct span_of_work spans[MAX_THREADS];
};

struct pool {
    unsigned threads; /* the caller counts as one */
    pthread_mutex_t owner; /* held by the caller whose job runs in parallel */
    pthread_mutex_t lock;  /* guards what follows */
    pthread_cond_t wake, done;
    pthread_t worker[MAX_THREADS];
    unsigned n_workers;    /* started */
    unsigned wanted;       /* how many may still join the job at hand */
    unsigned busy;         /* workers in it */
    struct job *job;
    _Atomic unsigned turn; /* grows with every job: what sleeping workers watch */
    bool stop;
    pid_t pid;
};

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
    pthread_cond_init(&p->done, NULL);
    p->pid = getpid();
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

static void drain(struct job *j, struct span_of_work *s)
{
    for (;;) {
        int64_t begin = atomic_fetch_add_explicit(&s->next, j->chunk, memory_order_relaxed);
        if (begin >= s->end)
            return;
        j->fn(j->slots, begin, s->end - begin < j->chunk ? s->end : begin + j->chunk);
    }
}

/* Its own span first, then what others have left. */
static void work(struct job *j, unsigned me)
{
    for (unsigned k = 0; k < j->n_spans; k++)
        drain(j, &j->spans[(me + k) % j->n_spans]);
}

/* With the lock held: waits for a job to join, or the end. A short spin catches jobs that follow one another. */
static struct job *next_job(struct pool *p)
{
    while (!p->stop && !p->wanted) {
        unsigned turn = atomic_load(&p->turn);
        pthread_mutex_unlock(&p->lock);
        for (int i = 0; i < SPINS && atomic_load_explicit(&p->turn, memory_order_relaxed) == turn; i++)
            pause_briefly();
        pthread_mutex_lock(&p->lock);
        if (!p->stop && !p->wanted && atomic_load(&p->turn) == turn)
            pthread_cond_wait(&p->wake, &p->lock);
    }
    if (p->stop)
        return NULL;
    p->wanted--;
    p->busy++;
    return p->job;
}

struct start {
    struct pool *pool;
    unsigned number;
};

static void *worker(void *arg)
{
    struct start *start = arg;
    struct pool *p = start->pool;
    unsigned me = start->number;
    free(start);
    pthread_mutex_lock(&p->lock);
    for (struct job *j; (j = next_job(p));) {
        pthread_mutex_unlock(&p->lock);
        work(j, me);
        pthread_mutex_lock(&p->lock);
        if (--p->busy == 0)
            pthread_cond_signal(&p->done);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

static void start_workers(struct pool *p, unsigned n)
{
    while (p->n_workers < n) {
        struct start *start = malloc(sizeof *start);
        if (!start)
            return; /* fewer threads, the same bits */
        *start = (struct start){p, p->n_workers + 1};
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
    p->n_workers = p->wanted = p->busy = 0;
    p->job = NULL;
    init_sync(p);
}

static void in_parallel(struct pool *p, struct job *j, unsigned threads)
{
    pthread_mutex_lock(&p->lock);
    start_workers(p, threads - 1);
    p->job = j;
    p->wanted = threads - 1 < p->n_workers ? threads - 1 : p->n_workers;
    atomic_fetch_add(&p->turn, 1);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    work(j, 0);
    pthread_mutex_lock(&p->lock);
    p->wanted = 0; /* who has not come yet finds nothing left */
    while (p->busy)
        pthread_cond_wait(&p->done, &p->lock);
    p->job = NULL;
    pthread_mutex_unlock(&p->lock);
}

static int64_t round_up(int64_t n, int64_t by)
{
    return (n + by - 1) / by * by;
}

static void share_out(struct job *j, int64_t items, int64_t grain, unsigned threads)
{
    int64_t span = round_up((items + threads - 1) / threads, grain), begin = 0;
    j->chunk = round_up((span + CHUNKS_PER_THREAD - 1) / CHUNKS_PER_THREAD, grain);
    for (j->n_spans = 0; j->n_spans < threads; j->n_spans++, begin += span) {
        atomic_init(&j->spans[j->n_spans].next, begin < items ? begin : items);
        j->spans[j->n_spans].end = begin + span < items ? begin + span : items;
    }
}

void pool_run(struct pool *p, pool_fn *fn, const int64_t *slots, int64_t items, int64_t grain, unsigned max_threads)
{
    unsigned threads = max_threads && max_threads < p->threads ? max_threads : p->threads;
    if (p->pid != getpid())
        after_fork(p);
    int64_t pieces = (items + grain - 1) / grain;
    threads = pieces < threads ? (unsigned)pieces : threads;
    if (threads <= 1 || pthread_mutex_trylock(&p->owner) != 0) {
        fn(slots, 0, items);
        return;
    }
    struct job j;
    j.fn = fn;
    j.slots = slots;
    share_out(&j, items, grain, threads);
    in_parallel(p, &j, threads);
    pthread_mutex_unlock(&p->owner);
}

void pool_free(struct pool *p)
{
    if (!p)
        return;
    if (p->pid == getpid()) {
        pthread_mutex_lock(&p->lock);
        p->stop = true;
        atomic_fetch_add(&p->turn, 1);
        pthread_cond_broadcast(&p->wake);
        pthread_mutex_unlock(&p->lock);
        for (unsigned i = 0; i < p->n_workers; i++)
            pthread_join(p->worker[i], NULL);
    }
    free(p);
}
