/*
 * The measurement. Without options: samples every function, checks what is found against the published figures
 * (grammar/accuracy.def), and ends with "N passed, M failed, 0 skipped".
 *
 *   arex_accuracy [--rows] [--full] [--fast] [--float32 | --float64] [--points N] [--arch ARCH] [NAME...]
 *
 * --fast: fast mode only. --arch: what code is made for. --rows prints figures (rows of accuracy.def, then lines for the C library's) instead of checking. --full: float32
 * functions of one argument over all 2^32 inputs, others over many more points; both are looked through with a faster
 * function first (libmvec in float64, long double, or the library's own float64, itself measured), whose error is far below
 * what is printed, and MPFR judges every input that may be worse than the worst so far.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "accuracy.h"

enum { CHUNK = 1 << 16, FIXED = 16384, DIGITS = 10000 };

static const struct known {
    const char *name;
    bool wide;
    enum mode mode;
    double ulp;
    const char *x, *y;
} known[] = {
#define float32 false
#define float64 true
#define strict  STRICT
#define fast    FAST
#define ACCURACY(op, dtype, mode, ulp, x, y, inputs) {#op, dtype, mode, ulp, x, y},
#define COMPLEX(op, dtype, ulp, parts, a, b, inputs)
#include "accuracy.def"
#undef ACCURACY
#undef COMPLEX
#undef float32
#undef float64
#undef strict
#undef fast
    {NULL, false, STRICT, 0, NULL, NULL}};

struct options {
    bool rows, full, fast, skip_narrow, skip_wide;
    size_t points;
    const char *arch;
    char **names;
    int n_names;
};

struct work {
    const struct function *f;
    bool wide;
    enum mode mode;
    struct library *code;
    double *x, *y, *out;
    struct worst worst;
};

static void *need(size_t bytes)
{
    void *p = malloc(bytes);
    if (!p)
        exit(3);
    return p;
}

static void judge(struct work *w, double x, double y, double got)
{
    double e = error_of(w->f, w->wide, x, y, got);
    if (e > w->worst.ulp || w->worst.inputs == 0) {
        w->worst.ulp = e;
        w->worst.x = x;
        w->worst.y = y;
    }
}

/* Leaves out the points at which the function is not measured; returns how many are left. */
static size_t sift(struct work *w, size_t n)
{
    size_t k = 0;
    for (size_t i = 0; i < n; i++)
        if (point_counts(w->f, w->wide, w->mode, w->x[i], w->f->arity == 2 ? w->y[i] : 0)) {
            w->x[k] = w->x[i];
            w->y[k++] = w->f->arity == 2 ? w->y[i] : 0;
        }
    return k;
}

static void judge_all(struct work *w, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        judge(w, w->x[i], w->y[i], w->out[i]);
        w->worst.inputs++;
    }
}

/* ---- samples ---- */

typedef void chunk_fn(struct work *w, size_t n, void *user);

/* The same points each time, in chunks. */
static void each_chunk(struct work *w, size_t points, chunk_fn *fn, void *user)
{
    uint64_t seed = UINT64_C(88172645463325252);
    size_t n = points_fixed(w->f, w->wide, w->x, w->y, FIXED);
    fn(w, sift(w, n), user);
    for (size_t done = 0; done < points; done += n) {
        n = points - done < CHUNK ? points - done : CHUNK;
        points_random(w->f, w->wide, &seed, w->x, w->y, n);
        fn(w, sift(w, n), user);
    }
}

static void measure_chunk(struct work *w, size_t n, void *user)
{
    (void)user;
    library_run(w->code, w->x, w->y, w->out, n);
    judge_all(w, n);
}

static void peer_chunk(struct work *w, size_t n, void *user)
{
    bool *there = user;
    *there = *there && peer_run(there[1] ? PEER_LIBMVEC : PEER_LIBM, w->f, w->wide, w->x, w->y, w->out, n);
    if (*there)
        judge_all(w, n);
}

struct comparison {
    struct library *other;
    double *out;
    bool same;
};

static void compare_chunk(struct work *w, size_t n, void *user)
{
    struct comparison *c = user;
    library_run(w->code, w->x, w->y, w->out, n);
    library_run(c->other, w->x, w->y, c->out, n);
    c->same &= memcmp(w->out, c->out, n * sizeof *c->out) == 0;
}

static void work_open(struct work *w, const struct function *f, bool wide, enum mode mode, const char *arch)
{
    *w = (struct work){.f = f, .wide = wide, .mode = mode, .code = library_open(f, wide, mode, arch)};
    w->x = need(CHUNK * sizeof *w->x);
    w->y = need(CHUNK * sizeof *w->y);
    w->out = need(CHUNK * sizeof *w->out);
}

static void work_close(struct work *w)
{
    library_close(w->code);
    free(w->x), free(w->y), free(w->out);
}

/* ---- all of float32 ---- */

/* A result in ulps from `close`, which is exact but for a float64's rounding; infinite where MPFR must look. */
static double roughly(float got, double close)
{
    double e;
    if (close != close)
        return got != got ? 0 : INFINITY;
    if (isinf(got) && fabs(close) > 0x1.0000000001p128 && !signbit(close) == !signbit(got))
        return 0;
    if (got != got || isinf(got) || fabs(close) >= 0x1p128 || close == 0 || !signbit(close) != !signbit(got))
        return (isinf(got) && isinf(close) && signbit(got) == signbit((float)close)) || (got == 0 && close == 0 && !signbit(got) == !signbit(close)) ? 0 : INFINITY;
    e = ilogb(close) < -126 ? -126 : ilogb(close);
    return fabs((double)got - close) * ldexp(1, 23 - (int)e);
}

/* The common case of the above without calls: a finite value of float32's normal range. */
static inline double quickly(float got, double close)
{
    uint64_t bits, scale;
    double size;
    memcpy(&bits, &close, sizeof bits);
    uint64_t e = bits >> 52 & 0x7ff;
    if (e < 1023 - 126 || e > 1023 + 126)
        return roughly(got, close);
    scale = (2046 + 23 - e) << 52;
    memcpy(&size, &scale, sizeof size);
    return fabs((double)got - close) * size;
}

static void all_of_float32(struct work *w)
{
    struct library *own = library_open(w->f, true, STRICT, NULL);
    float *x = need(CHUNK * sizeof *x), *got = need(CHUNK * sizeof *got);
    for (uint64_t from = 0; from < UINT64_C(1) << 32; from += CHUNK) {
        for (uint32_t i = 0; i < CHUNK; i++) {
            uint32_t bits = (uint32_t)from + i;
            memcpy(&x[i], &bits, sizeof bits);
            w->x[i] = (double)x[i];
        }
        library_run_floats(w->code, x, got, CHUNK);
        if (!peer_run(PEER_LIBMVEC, w->f, true, w->x, NULL, w->out, CHUNK))
            library_run(own, w->x, NULL, w->out, CHUNK);
        for (uint32_t i = 0; i < CHUNK; i++)
            if (!(quickly(got[i], w->out[i]) <= w->worst.ulp + 1e-6) && point_counts(w->f, false, w->mode, w->x[i], 0))
                judge(w, w->x[i], 0, (double)got[i]);
    }
    w->worst.inputs = UINT64_C(1) << 32;
    library_close(own);
    free(x), free(got);
}

/* ---- many of float64 ---- */

static double roughly_wide(double got, long double close)
{
    if (!isnormal(got) || !isfinite(close) || close == 0)
        return INFINITY;
    int e = ilogbl(close);
    return e < -1022 ? INFINITY : (double)fabsl(((long double)got - close) * ldexpl(1, 52 - e));
}

static void candidates_chunk(struct work *w, size_t n, void *user)
{
    long double *close = user;
    library_run(w->code, w->x, w->y, w->out, n);
    peer_run_long(w->f, w->x, w->y, close, n);
    for (size_t i = 0; i < n; i++)
        if (!(roughly_wide(w->out[i], close[i]) <= w->worst.ulp - 0.01))
            judge(w, w->x[i], w->y[i], w->out[i]);
    w->worst.inputs += n;
}

static void many_of_float64(struct work *w, size_t points)
{
    long double one[1], *close = need(CHUNK * sizeof *close);
    double zero[1] = {0};
    if (peer_run_long(w->f, zero, zero, one, 1))
        each_chunk(w, points, candidates_chunk, close);
    free(close);
}

/* ---- what is printed ---- */

static void print_row(const struct work *w, enum mode mode)
{
    printf("ACCURACY(%s, float%d, %s, %.4f, \"%a\", \"%a\", %llu)\n", w->f->name, w->wide ? 64 : 32, mode == FAST ? "fast" : "strict",
           ceil(w->worst.ulp * DIGITS) / DIGITS, w->worst.x, w->worst.y, (unsigned long long)w->worst.inputs);
    fflush(stdout);
}

static double peer_error(struct work *w, size_t points, bool vectors)
{
    bool there[2] = {true, vectors};
    w->worst = (struct worst){0};
    each_chunk(w, points, peer_chunk, there);
    return there[0] ? w->worst.ulp : -1;
}

static void print_peers(struct work *w, size_t points)
{
    double libm = peer_error(w, points, false), libmvec = peer_error(w, points, true);
    printf("PEERS %s float%d %.4g %.4g %s\n", w->f->name, w->wide ? 64 : 32, libm, libmvec, w->f->cuda[w->wide][0] ? w->f->cuda[w->wide] : "-");
    fflush(stdout);
}

static bool modes_differ(const struct function *f, bool wide, const struct options *o)
{
    struct work w;
    struct comparison c = {library_open(f, wide, FAST, o->arch), need(CHUNK * sizeof *c.out), true};
    work_open(&w, f, wide, STRICT, o->arch);
    each_chunk(&w, o->points, compare_chunk, &c);
    work_close(&w);
    library_close(c.other);
    free(c.out);
    return !c.same;
}

static void print_rows(const struct function *f, bool wide, enum mode mode, const struct options *o)
{
    struct work w;
    work_open(&w, f, wide, mode, o->arch);
    each_chunk(&w, o->points, measure_chunk, NULL);
    if (o->full && f->arity == 1 && !wide)
        all_of_float32(&w);
    else if (o->full && wide)
        many_of_float64(&w, 1000 * o->points);
    print_row(&w, mode);
    if (mode == STRICT)
        print_peers(&w, o->points);
    work_close(&w);
}

/* ---- what is checked ---- */

static const struct known *find_known(const struct function *f, bool wide, enum mode mode)
{
    for (const struct known *k = known; k->name; k++)
        if (strcmp(k->name, f->name) == 0 && k->wide == wide && k->mode == mode)
            return k;
    return NULL;
}

/* The published worst place gives what is published. */
static double error_there(struct work *w, const struct known *k)
{
    double x = strtod(k->x, NULL), y = strtod(k->y, NULL), got;
    library_run(w->code, &x, &y, &got, 1);
    return error_of(w->f, w->wide, x, y, got);
}

static bool check(const struct function *f, bool wide, enum mode mode, const struct options *o)
{
    const struct known *k = find_known(f, wide, mode);
    const char *names[] = {"strict", "fast"};
    struct work w;
    if (!k) {
        printf("FAIL %s float%d %s: no figure is published\n", f->name, wide ? 64 : 32, names[mode]);
        return false;
    }
    work_open(&w, f, wide, mode, o->arch);
    each_chunk(&w, o->points, measure_chunk, NULL);
    double there = error_there(&w, k);
    bool ok = w.worst.ulp <= k->ulp + 1e-9 && there <= k->ulp + 1e-9 && (mode == FAST || there >= k->ulp - 2.0 / DIGITS);
    printf("%s %s float%d %s: %.4f at %a, %a; %.4f is published, at %s, %s, where it is %.4f\n", ok ? "ok" : "FAIL", f->name, wide ? 64 : 32, names[mode], w.worst.ulp,
           w.worst.x, w.worst.y, k->ulp, k->x, k->y, there);
    work_close(&w);
    return ok;
}

/* ---- options ---- */

static bool wanted(const struct options *o, const struct function *f)
{
    for (int i = 0; i < o->n_names; i++)
        if (strcmp(o->names[i], f->name) == 0)
            return true;
    return o->n_names == 0;
}

static bool parse(struct options *o, int argc, char **argv)
{
    int i = 1;
    *o = (struct options){.points = 20000};
    for (; i < argc && argv[i][0] == '-'; i++)
        if (strcmp(argv[i], "--rows") == 0)
            o->rows = true;
        else if (strcmp(argv[i], "--full") == 0)
            o->full = true;
        else if (strcmp(argv[i], "--fast") == 0)
            o->fast = true;
        else if (strcmp(argv[i], "--float32") == 0)
            o->skip_wide = true;
        else if (strcmp(argv[i], "--float64") == 0)
            o->skip_narrow = true;
        else if (strcmp(argv[i], "--points") == 0 && i + 1 < argc)
            o->points = strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--arch") == 0 && i + 1 < argc)
            o->arch = argv[++i];
        else
            return false;
    o->names = argv + i;
    o->n_names = argc - i;
    return true;
}

int main(int argc, char **argv)
{
    struct options o;
    int passed = 0, failed = 0;
    if (!parse(&o, argc, argv)) {
        fputs("usage: arex_accuracy [--rows] [--full] [--fast] [--float32 | --float64] [--points N] [--arch ARCH] [NAME...]\n", stderr);
        return 2;
    }
    for (size_t i = 0; i < n_functions; i++)
        for (int wide = 0; wide < 2; wide++) {
            const struct function *f = &functions[i];
            if (!wanted(&o, f) || (wide ? o.skip_wide : o.skip_narrow))
                continue;
            bool two = modes_differ(f, wide, &o);
            for (enum mode mode = o.fast ? FAST : STRICT; mode <= (two ? FAST : STRICT); mode++)
                if (o.rows)
                    print_rows(f, wide, mode, &o);
                else
                    check(f, wide, mode, &o) ? passed++ : failed++;
        }
    references_free();
    if (!o.rows)
        printf("%d passed, %d failed, 0 skipped\n", passed, failed);
    return failed ? 1 : 0;
}
