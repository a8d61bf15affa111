/*
 * Measures programs through the public API beside what the machine can do at most, in one process: on the CPU a
 * hand-written streaming loop (sums with many accumulators, stores that bypass the caches), on a GPU the driver's copy
 * from device to device. Prints one JSON object a line; bench.py adds NumPy and makes the table.
 *
 *   arex_bench [--target cpu|cuda] [--threads N] [--seconds S] [--size N] [--codegen nvptx|nvvm|both]
 *              [--mode strict|fast|both] [--only PROGRAM]
 *
 * Times are the median over calls with fresh random inputs made once per case. Bytes: each input read once, each output
 * written once. GPU times are between two events of the driver around the calls on one stream.
 */
#include <dlfcn.h>
#include <immintrin.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <arex/arex.h>

enum { MOST_INPUTS = 4, MOST_SAMPLES = 4096, COMPILATIONS = 5, WORKERS = 64 };

#define CDF                                                                                                  \
    "def cdf(d) { k = 1 / (1 + 0.2316419 * abs(d)); p = ((((1.330274429 * k - 1.821255978) * k + 1.781477937) * k - 0.356563782) * k + 0.319381530) * k\n" \
    "  tail = 0.3989422804014327 * exp(-0.5 * d * d) * p; return where(d > 0, 1 - tail, tail) }\n"

enum result { SCALAR, LINE, ARRAY }; /* a line of a square matrix */

/* Those of rank 2 are over square matrices of as many elements. */
static const struct workload {
    const char *name, *source, *ceiling;
    int rank, inputs, outputs;
    enum result result;
} workloads[] = {
    {"sum(x*x)", "sum(x*x)", "read", 1, 1, 1, SCALAR},
    {"sqrt(sum((x-y)**2))", "sqrt(sum((x-y)**2))", "none", 1, 2, 1, SCALAR},
    {"2*x+3*y", "2*x+3*y", "triad", 1, 2, 1, ARRAY},
    {"sin(x)", "sin(x)", "copy", 1, 1, 1, ARRAY},
    {"sin(x)**2+cos(x)**2", "sin(x)**2+cos(x)**2", "copy", 1, 1, 1, ARRAY},
    {"black-scholes", CDF "d1 = (log(x / y) + (0.02 + 0.045) * z) / (0.3 * sqrt(z)); d2 = d1 - 0.3 * sqrt(z)\n"
                          "call = x * cdf(d1) - y * exp(-0.02 * z) * cdf(d2); return call, call - x + y * exp(-0.02 * z)",
     "none", 1, 3, 2, ARRAY},
    {"cumsum(x)", "cumsum(x)", "copy", 1, 1, 1, ARRAY},
    {"sum(x, 1)", "sum(x, 1)", "read", 2, 1, 1, LINE},
    {"sum(x, 0)", "sum(x, 0)", "read", 2, 1, 1, LINE},
    {"softmax", "e = exp(x - max(x, 1, keepdims=True)); return e / sum(e, 1, keepdims=True)", "copy", 2, 1, 1, ARRAY},
    {"layer norm", "c = x - mean(x, 1, keepdims=True); return c / sqrt(mean(c * c, 1, keepdims=True) + 1e-5)", "copy", 2, 1, 1, ARRAY},
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, ascending);
    return v[n / 2];
}

static void fail(const char *what, const arex_diagnostics *d)
{
    fprintf(stderr, "%s: %s\n", what, d ? arex_diagnostics_text(d, -1) : "");
    exit(1);
}

/* ---- the CPU's ceiling: loops by hand over threads of our own ---- */

struct loop_job {
    const void *x, *y;
    void *out;
    size_t n;
    bool wide;
    const char *kind;
    double sum[WORKERS];
};

#define CLONES __attribute__((target_clones("avx512f", "avx2", "default"), optimize("O3", "fast-math")))

CLONES static double sum_f32(const float *x, size_t n)
{
    float s = 0;
    for (size_t i = 0; i < n; i++)
        s += x[i] * x[i];
    return s;
}

CLONES static double sum_f64(const double *x, size_t n)
{
    double s = 0;
    for (size_t i = 0; i < n; i++)
        s += x[i] * x[i];
    return s;
}

CLONES static void triad_cached_f32(const float *x, const float *y, float *o, size_t n)
{
    for (size_t i = 0; i < n; i++)
        o[i] = 2 * x[i] + (y ? 3 * y[i] : 0);
}

CLONES static void triad_cached_f64(const double *x, const double *y, double *o, size_t n)
{
    for (size_t i = 0; i < n; i++)
        o[i] = 2 * x[i] + (y ? 3 * y[i] : 0);
}

static void triad_stream(const char *x, const char *y, char *o, size_t bytes)
{
    const __m128 two = _mm_set1_ps(2), three = _mm_set1_ps(3);
    for (size_t i = 0; i + 16 <= bytes; i += 16) {
        __m128 v = _mm_mul_ps(two, _mm_loadu_ps((const float *)(x + i)));
        if (y)
            v = _mm_add_ps(v, _mm_mul_ps(three, _mm_loadu_ps((const float *)(y + i))));
        _mm_stream_ps((float *)(o + i), v);
    }
    _mm_sfence();
}

/* Arrays beyond the caches are stored around them; both are offered, the faster counts. */
static bool stream_stores;

static void part(struct loop_job *j, int worker, int workers)
{
    size_t from = j->n * (size_t)worker / (size_t)workers / 64 * 64, to = worker + 1 == workers ? j->n : j->n * (size_t)(worker + 1) / (size_t)workers / 64 * 64;
    size_t size = j->wide ? 8 : 4, n = to - from;
    const char *x = (const char *)j->x + from * size, *y = j->y ? (const char *)j->y + from * size : NULL;
    char *o = (char *)j->out + from * size;
    if (strcmp(j->kind, "read") == 0)
        j->sum[worker] = j->wide ? sum_f64((const double *)x, n) : sum_f32((const float *)x, n);
    else if (stream_stores)
        triad_stream(x, y, o, n * size);
    else if (j->wide)
        triad_cached_f64((const double *)x, (const double *)y, (double *)o, n);
    else
        triad_cached_f32((const float *)x, (const float *)y, (float *)o, n);
}

static struct {
    struct loop_job *job;
    _Atomic unsigned turn, left;
    int workers;
    atomic_bool stop;
} team;

static void *teammate(void *arg)
{
    int me = (int)(intptr_t)arg;
    unsigned seen = 0;
    for (;;) {
        while (atomic_load(&team.turn) == seen && !atomic_load(&team.stop))
            _mm_pause();
        if (atomic_load(&team.stop))
            return NULL;
        seen = atomic_load(&team.turn);
        part(team.job, me, team.workers);
        atomic_fetch_sub(&team.left, 1);
    }
}

static void run_loop(struct loop_job *j)
{
    team.job = j;
    atomic_store(&team.left, (unsigned)team.workers - 1);
    atomic_fetch_add(&team.turn, 1);
    part(j, 0, team.workers);
    while (atomic_load(&team.left))
        _mm_pause();
}

static double time_loop(struct loop_job *j, double seconds)
{
    double t[MOST_SAMPLES], begin = now();
    pthread_t threads[WORKERS];
    int n = 0;
    atomic_store(&team.stop, false);
    atomic_store(&team.turn, 0);
    for (int i = 1; i < team.workers; i++)
        pthread_create(&threads[i], NULL, teammate, (void *)(intptr_t)i);
    for (run_loop(j); n < 3 || (n < MOST_SAMPLES && now() - begin < seconds); n++) {
        double start = now();
        run_loop(j);
        t[n] = now() - start;
    }
    atomic_store(&team.stop, true);
    for (int i = 1; i < team.workers; i++)
        pthread_join(threads[i], NULL);
    return median(t, n);
}

static double cpu_ceiling(const struct workload *w, const arex_array *in, int64_t n, arex_array *out, double seconds)
{
    struct loop_job j = {.x = in[0].data, .y = w->inputs > 1 ? in[1].data : NULL, .out = out->data, .n = (size_t)n, .wide = in[0].dtype == AREX_FLOAT64, .kind = w->ceiling};
    if (strcmp(w->ceiling, "none") == 0)
        return 0;
    stream_stores = false;
    double best = time_loop(&j, seconds / 2);
    if (w->result == ARRAY) {
        stream_stores = true;
        double streamed = time_loop(&j, seconds / 2);
        best = streamed < best ? streamed : best;
    }
    return best;
}

/* ---- the GPU's: events and copies of the driver ---- */

static struct {
    void *stream, *begin, *end;
    int (*record)(void *, void *), (*wait)(void *), (*elapsed)(float *, void *, void *), (*copy)(unsigned long long, unsigned long long, size_t, void *);
} gpu;

static void *symbol(void *lib, const char *name)
{
    void *p = dlsym(lib, name);
    if (!p)
        fail(name, NULL);
    return p;
}

static void gpu_open(void)
{
    void *lib = dlopen("libcuda.so.1", RTLD_NOW), *context = NULL;
    if (!lib)
        fail("libcuda.so.1", NULL);
    ((int (*)(unsigned))symbol(lib, "cuInit"))(0);
    ((int (*)(void **, int))symbol(lib, "cuDevicePrimaryCtxRetain"))(&context, 0);
    ((int (*)(void *))symbol(lib, "cuCtxSetCurrent"))(context);
    ((int (*)(void **, unsigned))symbol(lib, "cuStreamCreate"))(&gpu.stream, 1);
    ((int (*)(void **, unsigned))symbol(lib, "cuEventCreate"))(&gpu.begin, 0);
    ((int (*)(void **, unsigned))symbol(lib, "cuEventCreate"))(&gpu.end, 0);
    gpu.record = (int (*)(void *, void *))symbol(lib, "cuEventRecord");
    gpu.wait = (int (*)(void *))symbol(lib, "cuEventSynchronize");
    gpu.elapsed = (int (*)(float *, void *, void *))symbol(lib, "cuEventElapsedTime");
    gpu.copy = (int (*)(unsigned long long, unsigned long long, size_t, void *))symbol(lib, "cuMemcpyDtoDAsync_v2");
}

/* ---- a case ---- */

struct bench {
    arex_context *context;
    arex_call_options call;
    arex_compile_options made;
    bool cuda, both, both_modes;
    double seconds;
};

static void call(struct bench *b, arex_program *p, const arex_array *in, int n, arex_array *out, int m)
{
    arex_diagnostics *d = NULL;
    if (arex_call(p, in, n, out, m, &b->call, &d) != AREX_OK)
        fail("call", d);
}

static double time_calls(struct bench *b, arex_program *p, const arex_array *in, int n, arex_array *out, int m)
{
    double t[MOST_SAMPLES], begin = now();
    int k = 0;
    for (int i = 0; i < 3; i++)
        call(b, p, in, n, out, m);
    for (; k < 5 || (k < MOST_SAMPLES && now() - begin < b->seconds); k++) {
        double start = now();
        float ms = 0;
        if (b->cuda)
            gpu.record(gpu.begin, gpu.stream);
        call(b, p, in, n, out, m);
        if (b->cuda) {
            gpu.record(gpu.end, gpu.stream);
            gpu.wait(gpu.end);
            gpu.elapsed(&ms, gpu.begin, gpu.end);
        }
        t[k] = b->cuda ? 1e-3 * ms : now() - start;
    }
    double middle = median(t, k); /* sorts */
    return b->both_modes ? t[0] : middle;
}

/* Bytes a second of the device's own copy, over the size at hand. */
static double gpu_ceiling(const arex_array *x, int64_t n, arex_array *out, double bytes)
{
    double t[64];
    size_t size = (size_t)n * arex_dtype_size(x->dtype);
    for (int i = 0; i < 64; i++) {
        float ms;
        gpu.record(gpu.begin, gpu.stream);
        gpu.copy((unsigned long long)(uintptr_t)out->data, (unsigned long long)(uintptr_t)x->data, size, gpu.stream);
        gpu.record(gpu.end, gpu.stream);
        gpu.wait(gpu.end);
        gpu.elapsed(&ms, gpu.begin, gpu.end);
        t[i] = 1e-3 * ms;
    }
    return bytes / (2.0 * (double)size / median(t, 64));
}

static void fill(arex_array *a, unsigned seed)
{
    uint64_t s = 88172645463325252u + seed;
    const int64_t period = 1 << 20; /* random enough, and large sizes are filled at the speed of a copy */
    size_t size = arex_dtype_size(a->dtype);
    for (int64_t i = 0; i < a->shape[0] && i < period; i++) {
        s ^= s << 13, s ^= s >> 7, s ^= s << 17;
        double v = 0.5 + (double)(s >> 40) / (1 << 24);
        if (a->dtype == AREX_FLOAT32)
            ((float *)a->data)[i] = (float)v;
        else
            ((double *)a->data)[i] = v;
    }
    for (int64_t i = period; i < a->shape[0]; i += period)
        memcpy((char *)a->data + (size_t)i * size, a->data, (size_t)(a->shape[0] - i < period ? a->shape[0] - i : period) * size);
}

static arex_array make(struct bench *b, int dtype, int64_t n, int device)
{
    arex_array a = {.dtype = dtype, .rank = 1, .device = device, .shape = {n}};
    arex_diagnostics *d = NULL;
    if (arex_array_alloc(b->context, &a, &d) != AREX_OK)
        fail("memory", d);
    return a;
}

static arex_array make_input(struct bench *b, int dtype, int64_t n, unsigned seed)
{
    arex_array host = make(b, dtype, n, -1), there;
    fill(&host, seed);
    if (!b->cuda)
        return host;
    there = make(b, dtype, n, 0);
    arex_array_copy(b->context, &there, &host, NULL);
    arex_array_free(b->context, &host);
    return there;
}

static int64_t side(int64_t n)
{
    return (int64_t)(sqrt((double)n) + 0.5);
}

/* Square, its memory as it was. */
static void fold(arex_array *a, int64_t n)
{
    int64_t size = (int64_t)arex_dtype_size(a->dtype);
    a->rank = 2;
    a->shape[0] = a->shape[1] = side(n);
    a->strides[0] = side(n) * size;
    a->strides[1] = size;
}

static arex_array make_output(struct bench *b, const struct workload *w, int dtype, int64_t n)
{
    const int64_t extents[] = {[SCALAR] = 1, [LINE] = side(n), [ARRAY] = n};
    arex_array a = make(b, dtype, extents[w->result], b->cuda ? 0 : -1);
    if (w->result == SCALAR)
        a.rank = 0;
    if (w->result == ARRAY && w->rank == 2)
        fold(&a, n);
    return a;
}

static arex_program *compile(struct bench *b, const struct workload *w, const arex_array *in, double *ready)
{
    arex_program *p = NULL;
    arex_diagnostics *d = NULL;
    double start = now();
    if (arex_program_new(b->context, w->source, strlen(w->source), w->name, &b->made, &p, &d) != AREX_OK || arex_prepare(p, in, w->inputs, &b->call, &d) != AREX_OK)
        fail(w->name, d);
    *ready = now() - start;
    return p;
}

/* For whoever compiles it elsewhere; a program holds no quotes. */
static void print_source(const char *source)
{
    printf("{\"source\": \"");
    for (; *source; source++)
        if (*source == '\n')
            fputs("\\n", stdout);
        else
            putchar(*source);
    printf("\", ");
}

static void measure(struct bench *b, const struct workload *w, int dtype, int64_t n)
{
    arex_array in[MOST_INPUTS], out[2], scratch;
    double ready[COMPILATIONS];
    arex_program *p = NULL;
    for (int i = 0; i < w->inputs; i++) {
        in[i] = make_input(b, dtype, n, (unsigned)i);
        if (w->rank == 2)
            fold(&in[i], n);
    }
    for (int i = 0; i < w->outputs; i++)
        out[i] = make_output(b, w, dtype, n);
    scratch = make(b, dtype, n, b->cuda ? 0 : -1);
    for (int i = 0; i < COMPILATIONS; i++) {
        arex_program_free(p);
        p = compile(b, w, in, &ready[i]); /* the first pays for pages and LLVM's own tables: the median leaves it out */
    }
    double t = time_calls(b, p, in, w->inputs, out, w->outputs);
    double bytes = (double)n * (double)arex_dtype_size(dtype) * (w->inputs + (w->result == ARRAY ? w->outputs : 0));
    double ceiling = b->cuda ? gpu_ceiling(&in[0], n, &scratch, bytes) : cpu_ceiling(w, in, n, &scratch, b->seconds);
    arex_stats s = {.size = sizeof s};
    arex_program_stats(p, &s);
    print_source(w->source);
    printf("\"name\": \"%s\", \"rank\": %d, \"codegen\": \"%s\", \"mode\": \"%s\", \"dtype\": \"%s\", \"n\": %lld, \"seconds\": %.9g, \"ceiling\": %.9g, \"bytes\": %.0f, \"ready_ms\": %.3f, "
           "\"parse_us\": %.1f, \"sema_us\": %.1f, \"loop_us\": %.1f, \"emit_us\": %.1f, \"backend_us\": %.1f, \"load_us\": %.1f}\n",
           w->name, w->rank, b->made.codegen == AREX_CODEGEN_NVVM ? "nvvm" : "nvptx", b->made.fast ? "fast" : "strict", arex_dtype_name(dtype), (long long)n, t, ceiling, bytes, 1e3 * median(ready, COMPILATIONS), 1e-3 * (double)s.parse_ns, 1e-3 * (double)s.sema_ns,
           1e-3 * (double)s.loop_ns, 1e-3 * (double)s.emit_ns, 1e-3 * (double)s.backend_ns, 1e-3 * (double)s.load_ns);
    fflush(stdout);
    arex_program_free(p);
    for (int i = 0; i < w->inputs; i++)
        arex_array_free(b->context, &in[i]);
    for (int i = 0; i < w->outputs; i++)
        arex_array_free(b->context, &out[i]);
    arex_array_free(b->context, &scratch);
}

/* All in turn, so that what else the machine does meets each. */
static void measure_by_each(struct bench *b, const struct workload *w, int dtype, int64_t n)
{
    if (b->both)
        b->made.codegen = AREX_CODEGEN_NVPTX;
    measure(b, w, dtype, n);
    if (b->both) {
        b->made.codegen = AREX_CODEGEN_NVVM;
        measure(b, w, dtype, n);
    }
}

static void measure_in_modes(struct bench *b, const struct workload *w, int dtype, int64_t n)
{
    if (b->both_modes)
        b->made.fast = 0;
    measure_by_each(b, w, dtype, n);
    if (b->both_modes) {
        b->made.fast = 1;
        measure_by_each(b, w, dtype, n);
    }
}

static void choose_mode(struct bench *b, const char *name)
{
    b->both_modes = strcmp(name, "both") == 0;
    b->made.fast = strcmp(name, "fast") == 0;
    if (!b->both_modes && !b->made.fast && strcmp(name, "strict"))
        fail("--mode takes strict, fast or both", NULL);
}

static void choose_generator(struct bench *b, const char *name)
{
    b->both = strcmp(name, "both") == 0;
    b->made.codegen = strcmp(name, "nvvm") == 0 ? AREX_CODEGEN_NVVM : AREX_CODEGEN_NVPTX;
    if (!b->both && strcmp(name, "nvvm") && strcmp(name, "nvptx"))
        fail("--codegen takes nvptx, nvvm or both", NULL);
}

int main(int argc, char **argv)
{
    struct bench b = {.seconds = 0.3};
    const char *only = NULL;
    int64_t size = 0;
    arex_context_options o;
    arex_context_options_init(&o);
    arex_compile_options_init(&b.made);
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--target") == 0)
            b.cuda = strcmp(argv[i + 1], "cuda") == 0;
        else if (strcmp(argv[i], "--threads") == 0)
            o.threads = atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--seconds") == 0)
            b.seconds = atof(argv[i + 1]);
        else if (strcmp(argv[i], "--size") == 0)
            size = atoll(argv[i + 1]);
        else if (strcmp(argv[i], "--codegen") == 0)
            choose_generator(&b, argv[i + 1]);
        else if (strcmp(argv[i], "--mode") == 0)
            choose_mode(&b, argv[i + 1]);
        else if (strcmp(argv[i], "--only") == 0)
            only = argv[i + 1];
    }
    cpu_set_t set;
    team.workers = o.threads > 0 ? o.threads : sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    if (arex_context_new(&o, &b.context, NULL) != AREX_OK)
        fail("context", NULL);
    arex_call_options_init(&b.call);
    b.call.target = b.cuda ? AREX_TARGET_CUDA : AREX_TARGET_CPU;
    if (b.cuda) {
        gpu_open();
        b.call.stream = gpu.stream;
    }
    const int64_t cpu_sizes[] = {16384, 1 << 20, 1 << 26}, gpu_sizes[] = {1 << 20, 1 << 24, 1 << 28};
    for (size_t w = 0; w < sizeof workloads / sizeof *workloads; w++)
        for (int dtype = AREX_FLOAT32; dtype <= AREX_FLOAT64 && (!only || strcmp(only, workloads[w].name) == 0); dtype++)
            for (int k = 0; k < (size ? 1 : 3); k++)
                measure_in_modes(&b, &workloads[w], dtype, size ? size : b.cuda ? gpu_sizes[k] : cpu_sizes[k]);
    arex_context_free(b.context);
    return 0;
}
