/*
 * The math functions beside libmvec (glibc's vector functions, of 4 ulp), SLEEF's of 1 ulp, and those of 1 ulp of SVML (Intel's, in its
 * compilers' runtime package), in one process, on arrays that lie in the first cache: nanoseconds an element, for code with AVX2 and, where
 * the machine has it, AVX-512. The libraries are opened by name; what is not there is a dash.
 *
 *   arex_functions [--seconds S] [--fast] [NAME...]      prints a table
 *
 * The cost of a call is left out: it is the time of a longer array less that of a shorter one. Each figure is the median of
 * several rounds, in which the contestants take turns. Arrays begin at a page, as large ones do: what is stored in one has then not, but for the page, the
 * address of what is loaded next from another, which a processor would wait for.
 */
#include <dlfcn.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <arex/arex.h>

enum { SHORT = 256, LONG = 1024, PAGE = 4096, ROUNDS = 15, MOST = 4 };

static const struct function {
    const char *name, *source, *peer, *near;
    int arity;
} functions[] = {
#define ONE(name, source, ref, peer, near, c32, c64) {#name, source, peer, #near, 1},
#define TWO(name, source, ref, peer, near, c32, c64) {#name, source, peer, #near, 2},
#include "functions.def"
#undef ONE
#undef TWO
};

/* ---- ranges ---- */

static const struct range {
    const char *near;
    double low, high;
} ranges[] = {{"near_angle", -100, 100}, {"near_unit", -0.999, 0.999}, {"near_one", 0.01, 100}, {"near_zero", 0.01, 100}, {"near_acosh", 1, 100}, {"near_log1p", -0.9, 100},
              {"near_gamma", 0.1, 30}, {"near_lgamma", 0.1, 30}, {"near_power", 0.1, 10}, {"near_logadd", 0.1, 10}, {"near_erf", -3, 3}, {"near_erfc", -3, 6}, {"", -10, 10}};

static double uniform(double low, double high)
{
    return low + (high - low) * (double)rand() / RAND_MAX;
}

static void fill(const struct function *f, bool wide, void *at)
{
    const struct range *r = ranges;
    while (r->near[0] && strcmp(r->near, f->near))
        r++;
    for (int i = 0; i < LONG; i++) {
        double v = uniform(r->low, r->high);
        if (wide)
            ((double *)at)[i] = v;
        else
            ((float *)at)[i] = (float)v;
    }
}

/* ---- contestants ---- */

typedef double d4 __attribute__((vector_size(32)));
typedef float f8 __attribute__((vector_size(32)));
typedef double d8 __attribute__((vector_size(64)));
typedef float f16 __attribute__((vector_size(64)));
#define AVX2   __attribute__((target("avx2,fma")))
#define AVX512 __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,fma")))

typedef void loop_fn(void *fn, const void *x, const void *y, void *out, int n);

#define LOOPS(with, vec, name)                                                                               \
    with static void name##_1(void *fn, const void *x, const void *y, void *out, int n)                      \
    {                                                                                                        \
        vec (*f)(vec);                                                                                       \
        (void)y;                                                                                             \
        memcpy(&f, &fn, sizeof f);                                                                           \
        for (int i = 0; i < n / (int)(sizeof(vec) / sizeof((vec){0}[0])); i++)                               \
            ((vec *)out)[i] = f(((const vec *)x)[i]);                                                        \
    }                                                                                                        \
    with static void name##_2(void *fn, const void *x, const void *y, void *out, int n)                      \
    {                                                                                                        \
        vec (*f)(vec, vec);                                                                                  \
        memcpy(&f, &fn, sizeof f);                                                                           \
        for (int i = 0; i < n / (int)(sizeof(vec) / sizeof((vec){0}[0])); i++)                               \
            ((vec *)out)[i] = f(((const vec *)x)[i], ((const vec *)y)[i]);                                   \
    }
LOOPS(AVX2, d4, loop_d4)
LOOPS(AVX2, f8, loop_f8)
LOOPS(AVX512, d8, loop_d8)
LOOPS(AVX512, f16, loop_f16)

static loop_fn *const loops[2][2][2] = {{{loop_f8_1, loop_f8_2}, {loop_f16_1, loop_f16_2}}, {{loop_d4_1, loop_d4_2}, {loop_d8_1, loop_d8_2}}};

static void *in_libmvec(const struct function *f, bool wide, bool big)
{
    void *library = dlopen("libmvec.so.1", RTLD_NOW);
    char name[64];
    snprintf(name, sizeof name, "_ZGV%cN%d%s_%s%s", big ? 'e' : 'd', (wide ? 4 : 8) << big, f->arity == 2 ? "vv" : "v", f->peer, wide ? "" : "f");
    return library && f->peer[0] ? dlsym(library, name) : NULL;
}

/* Its functions of at most 1 ulp, or 1.5 where it has no better. */
static void *in_sleef(const struct function *f, bool wide, bool big)
{
    void *library = dlopen("libsleef.so.3", RTLD_NOW), *found = NULL;
    static const char *const bounds[] = {"u10", "u05", "u15"};
    const char *base = f->peer[0] ? f->peer : f->name;
    char name[64];
    for (unsigned i = 0; library && !found && i < 3; i++) {
        snprintf(name, sizeof name, "Sleef_%s%s%d_%s%s", base, wide ? "d" : "f", (wide ? 4 : 8) << big, bounds[i], big ? "avx512f" : "avx2");
        found = dlsym(library, name);
    }
    return found;
}

/* Its functions of high accuracy, for one kind of processor: the general ones are slow on processors of other makers. */
static void *in_svml(const struct function *f, bool wide, bool big)
{
    void *library = dlopen("libsvml.so", RTLD_NOW);
    char name[64];
    snprintf(name, sizeof name, "__svml_%s%s%d_ha_%s", f->peer[0] ? f->peer : f->name, wide ? "" : "f", (wide ? 4 : 8) << big, big ? "z0" : "l9");
    return library ? dlsym(library, name) : NULL;
}

struct contest {
    const struct function *f;
    bool wide, big;
    arex_program *program;
    void *peer[MOST]; /* [0] is the library under test */
    void *x, *y, *out;
};

static arex_array vector(const struct contest *c, void *data, int n)
{
    arex_array a = {.data = data, .dtype = c->wide ? AREX_FLOAT64 : AREX_FLOAT32, .rank = 1, .device = -1, .shape = {n}, .strides = {c->wide ? 8 : 4}};
    return a;
}

static void run(const struct contest *c, int who, int n)
{
    arex_array in[2] = {vector(c, c->x, n), vector(c, c->y, n)}, out = vector(c, c->out, n);
    arex_call_options o;
    if (who) {
        loops[c->wide][c->big][c->f->arity - 1](c->peer[who], c->x, c->y, c->out, n);
        return;
    }
    arex_call_options_init(&o);
    o.target = AREX_TARGET_CPU;
    o.threads = 1;
    if (arex_call(c->program, in, c->f->arity, &out, 1, &o, NULL))
        exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Of one run over n elements, at its best. */
static double best_of(const struct contest *c, int who, int n, double seconds)
{
    double best = 1;
    for (double until = now() + seconds; now() < until;) {
        double start = now();
        for (int k = 0; k < 16; k++)
            run(c, who, n);
        double t = (now() - start) / 16;
        best = t < best ? t : best;
    }
    return best;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, int n)
{
    qsort(v, n, sizeof *v, by_size);
    return v[n / 2];
}

/* The long and the short run follow each other, so that a change of the processor's clock between rounds is in no difference. */
static void measure(const struct contest *c, double seconds, double *ns)
{
    double taken[MOST][ROUNDS];
    const double each = seconds / ROUNDS / 6;
    for (int round = 0; round < ROUNDS; round++)
        for (int who = 0; who < MOST; who++)
            if (!who || c->peer[who])
                taken[who][round] = best_of(c, who, LONG, each) - best_of(c, who, SHORT, each);
    for (int who = 0; who < MOST; who++)
        ns[who] = !who || c->peer[who] ? median(taken[who], ROUNDS) * 1e9 / (LONG - SHORT) : -1;
}

static arex_program *compiled(arex_context *context, const struct function *f, bool big, bool fast)
{
    arex_compile_options o;
    arex_program *p = NULL;
    arex_compile_options_init(&o);
    o.arch = big ? "native" : "x86-64-v3"; /* big only where the machine has AVX-512 */
    o.fast = fast;
    if (arex_program_new(context, f->source, strlen(f->source), NULL, &o, &p, NULL))
        exit(1);
    return p;
}

static void print_ns(double v)
{
    if (v >= 0)
        printf(" %8.3f", v);
    else
        printf(" %8s", "-");
}

/* Three of float64 take 24 KiB: they lie in a first cache of 32 KiB too. */
static void *array(void)
{
    return aligned_alloc(PAGE, LONG * sizeof(double));
}

static void one_line(arex_context *context, const struct function *f, bool wide, bool fast, double seconds)
{
    printf("%-10s %s", f->name, wide ? "float64" : "float32");
    for (int big = 0; big < 2; big++) {
        double ns[MOST] = {-1, -1, -1, -1};
        struct contest c = {f, wide, big, compiled(context, f, big, fast), {NULL, in_libmvec(f, wide, big), in_sleef(f, wide, big), in_svml(f, wide, big)}, NULL, NULL, NULL};
        c.x = array(), c.y = array(), c.out = array();
        fill(f, wide, c.x), fill(f, wide, c.y);
        if (!big || (__builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")))
            measure(&c, seconds, ns);
        for (int who = 0; who < MOST; who++)
            print_ns(ns[who]);
        double other = INFINITY;
        for (int who = 1; who < MOST; who++)
            other = ns[who] < 0 ? other : fmin(other, ns[who]);
        if (other < INFINITY)
            printf(" %6.2f", ns[0] / other);
        else
            printf(" %6s", "-");
        arex_program_free(c.program);
        free(c.x), free(c.y), free(c.out);
    }
    printf("\n");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    double seconds = 0.2;
    bool fast = false;
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++)
        if (strcmp(argv[i], "--fast") == 0)
            fast = true;
        else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
            seconds = atof(argv[++i]);
        else
            return fputs("usage: arex_functions [--seconds S] [--fast] [NAME...]\n", stderr), 2;
    arex_context *context = NULL;
    if (arex_context_new(NULL, &context, NULL))
        return 1;
    printf("                   ---------------- AVX2 ---------------------- --------------- AVX-512 ------------------\n");
    printf("function   dtype       arex  libmvec    SLEEF     SVML  ratio     arex  libmvec    SLEEF     SVML  ratio\n");
    for (size_t k = 0; k < sizeof functions / sizeof *functions; k++) {
        bool wanted = i == argc;
        for (int n = i; n < argc; n++)
            wanted |= strcmp(argv[n], functions[k].name) == 0;
        for (int wide = 0; wanted && wide < 2; wide++)
            one_line(context, &functions[k], wide, fast, seconds);
    }
    arex_context_free(context);
    return 0;
}
