/*
 * Complex functions of compiled programs against exact results, which MPFR gives part by part. As the measurement of real ones: without options samples are
 * measured and held to what is published (the COMPLEX rows of grammar/accuracy.def), and the last line is "N passed, M failed, 0 skipped".
 *
 *   arex_accuracy_complex [--rows] [--points N] [NAME...]
 *
 * Two errors count. The result's: |got - exact| in ulps of |exact|. Its parts': the larger of each part's own error in ulps of that part, for functions
 * that keep it small; where a part cancels it is as large as it likes. Inputs are finite; what infinities and nans give is tested beside NumPy.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arex/arex.h>
#include "accuracy.h"

enum { BITS = 512, CHUNK = 4096, DIGITS = 10000, NO_PARTS = 8 };

struct number {
    double re, im;
};

struct exact {
    mpfr_t re, im, t, u, v, w;
};

typedef void reference_fn(struct exact *e, const mpfr_t *z); /* z: the parts of a, then those of b */
typedef bool counts_fn(bool wide, struct number a, struct number b);

struct complex_function {
    const char *name, *source;
    int arity;
    bool real; /* its result has one part */
    reference_fn *reference;
    counts_fn *counts;
};

/* ---- exact results ---- */

#define R MPFR_RNDN

static void ref_abs(struct exact *e, const mpfr_t *z)
{
    mpfr_hypot(e->re, z[0], z[1], R);
}

static void ref_angle(struct exact *e, const mpfr_t *z)
{
    mpfr_atan2(e->re, z[1], z[0], R);
}

static void ref_multiply(struct exact *e, const mpfr_t *z)
{
    mpfr_fmms(e->re, z[0], z[2], z[1], z[3], R);
    mpfr_fmma(e->im, z[0], z[3], z[1], z[2], R);
}

static void ref_divide(struct exact *e, const mpfr_t *z)
{
    mpfr_fmma(e->t, z[2], z[2], z[3], z[3], R);
    mpfr_fmma(e->re, z[0], z[2], z[1], z[3], R);
    mpfr_fmms(e->im, z[1], z[2], z[0], z[3], R);
    mpfr_div(e->re, e->re, e->t, R);
    mpfr_div(e->im, e->im, e->t, R);
}

/* e->re and e->im: x and y on entry. */
static void exp_of(struct exact *e)
{
    mpfr_exp(e->t, e->re, R);
    mpfr_sin_cos(e->u, e->v, e->im, R);
    mpfr_mul(e->re, e->t, e->v, R);
    if (!mpfr_zero_p(e->im))
        mpfr_mul(e->im, e->t, e->u, R);
}

static void ref_exp(struct exact *e, const mpfr_t *z)
{
    mpfr_set(e->re, z[0], R);
    mpfr_set(e->im, z[1], R);
    exp_of(e);
}

static void ref_log(struct exact *e, const mpfr_t *z)
{
    mpfr_hypot(e->re, z[0], z[1], R);
    mpfr_log(e->re, e->re, R);
    mpfr_atan2(e->im, z[1], z[0], R);
}

static void ref_sqrt(struct exact *e, const mpfr_t *z)
{
    mpfr_hypot(e->t, z[0], z[1], R);
    mpfr_abs(e->u, z[0], R);
    mpfr_add(e->t, e->t, e->u, R);
    mpfr_div_2ui(e->t, e->t, 1, R);
    mpfr_sqrt(e->t, e->t, R); /* the larger part */
    if (mpfr_zero_p(e->t))
        mpfr_set(e->u, z[1], R);
    else
        mpfr_div(e->u, z[1], e->t, R), mpfr_div_2ui(e->u, e->u, 1, R);
    bool left = mpfr_signbit(z[0]);
    mpfr_abs(e->re, left ? e->u : e->t, R);
    mpfr_setsign(e->im, left ? e->t : e->u, mpfr_signbit(z[1]), R);
}

static void ref_power(struct exact *e, const mpfr_t *z)
{
    ref_log(e, z);
    mpfr_fmms(e->v, z[2], e->re, z[3], e->im, R);
    mpfr_fmma(e->w, z[2], e->im, z[3], e->re, R);
    mpfr_set(e->re, e->v, R);
    mpfr_set(e->im, e->w, R);
    exp_of(e);
}

/* ---- where they are measured ---- */

static double size_of(struct number z)
{
    return hypot(z.re, z.im);
}

static bool within(double v, int exponents)
{
    return v == 0 || (fabs(v) >= ldexp(1, -exponents) && fabs(v) <= ldexp(1, exponents));
}

static bool anywhere(bool wide, struct number a, struct number b)
{
    (void)wide, (void)a, (void)b;
    return true;
}

/* Products that neither over- nor underflow. */
static bool of_middle_size(bool wide, struct number a, struct number b)
{
    int most = wide ? 480 : 50;
    return within(a.re, most) && within(a.im, most) && within(b.re, most) && within(b.im, most);
}

/* Results that are normal and finite. */
static bool of_exponents(bool wide, struct number a, struct number b)
{
    (void)b;
    return fabs(a.re) < (wide ? 708 : 87);
}

/* Quotients that are finite. */
static bool of_divisors(bool wide, struct number a, struct number b)
{
    struct number quarter = {a.re / 4, a.im / 4};
    return size_of(b) != 0 && log2(size_of(quarter)) + 2 - log2(size_of(b)) < (wide ? 1023 : 127);
}

static bool of_logarithms(bool wide, struct number a, struct number b)
{
    (void)wide, (void)b;
    return size_of(a) != 0;
}

/* From 1/16 to 16, exponents up to 8: an error of b log a is one of the result, times its size. */
static bool of_powers(bool wide, struct number a, struct number b)
{
    (void)wide;
    return size_of(a) >= 0.0625 && size_of(a) <= 16 && size_of(b) <= 8 && size_of(b) > 0 &&
           !(b.im == 0 && (b.re == 1 || b.re == 2 || b.re == -1));
}

static const struct complex_function functions_of_complex[] = {
    {"abs", "abs(z)", 1, true, ref_abs, anywhere},
    {"angle", "angle(z)", 1, true, ref_angle, anywhere},
    {"multiply", "z * w", 2, false, ref_multiply, of_middle_size},
    {"divide", "z / w", 2, false, ref_divide, of_divisors},
    {"exp", "exp(z)", 1, false, ref_exp, of_exponents},
    {"log", "log(z)", 1, false, ref_log, of_logarithms},
    {"sqrt", "sqrt(z)", 1, false, ref_sqrt, anywhere},
    {"power", "z ** w", 2, false, ref_power, of_powers},
};

/* ---- errors ---- */

static const struct range {
    int digits, smallest, largest;
} ranges[] = {{24, -125, 128}, {53, -1021, 1024}};

/* The exponent of an ulp of v, which counts as no larger than the type's numbers. */
static long place_of(bool wide, const mpfr_t v)
{
    const struct range *r = &ranges[wide];
    long exponent = mpfr_zero_p(v) || mpfr_get_exp(v) < r->smallest ? r->smallest
                    : mpfr_get_exp(v) > r->largest                  ? r->largest
                                                                    : mpfr_get_exp(v);
    return exponent - r->digits;
}

/* got - exact into e->t; what is too large for the type counts as its first power of two beyond. */
static void subtract(struct exact *e, bool wide, double got, mpfr_t exact)
{
    mpfr_set_ui_2exp(e->u, 1, ranges[wide].largest, R);
    if (mpfr_cmpabs(exact, e->u) > 0)
        mpfr_setsign(exact, e->u, mpfr_signbit(exact), R);
    if (isinf(got))
        mpfr_setsign(e->t, e->u, got < 0, R);
    else
        mpfr_set_d(e->t, got, R);
    mpfr_sub(e->t, e->t, exact, R);
}

struct errors {
    double whole, parts;
};

static double in_units(const mpfr_t error, long place, mpfr_t scratch)
{
    mpfr_mul_2si(scratch, error, -place, R);
    return mpfr_nan_p(scratch) ? FAR : fabs(mpfr_get_d(scratch, MPFR_RNDA));
}

static struct errors errors_of(const struct complex_function *f, struct exact *e, bool wide,
                               struct number got)
{
    struct errors out;
    if (f->real)
        mpfr_set_zero(e->im, 1), got.im = 0;
    if (isnan(got.re) || isnan(got.im))
        return (struct errors){FAR, FAR};
    mpfr_hypot(e->v, e->re, e->im, R);
    long place = place_of(wide, e->v), re = place_of(wide, e->re), im = place_of(wide, e->im);
    subtract(e, wide, got.re, e->re);
    out.parts = in_units(e->t, re, e->w);
    mpfr_set(e->v, e->t, R);
    subtract(e, wide, got.im, e->im);
    out.parts = fmax(out.parts, in_units(e->t, im, e->w));
    mpfr_hypot(e->v, e->v, e->t, R);
    out.whole = in_units(e->v, place, e->w);
    return out;
}

/* ---- the measurement ---- */

struct work {
    const struct complex_function *f;
    bool wide;
    arex_context *context;
    arex_program *program;
    struct exact exact;
    mpfr_t z[4];
    struct number *a, *b, *out;
    double whole, parts;
    struct number at_a, at_b;
    uint64_t inputs;
};

static void fail(const char *what)
{
    fprintf(stderr, "%s\n", what);
    exit(3);
}

static void *need(size_t bytes)
{
    void *p = malloc(bytes);
    if (!p)
        fail("out of memory");
    return p;
}

static void open_work(struct work *w, const struct complex_function *f, bool wide)
{
    arex_diagnostics *d = NULL;
    *w = (struct work){.f = f, .wide = wide};
    if (arex_context_new(NULL, &w->context, &d) ||
        arex_program_new(w->context, f->source, strlen(f->source), NULL, NULL, &w->program, &d))
        fail(d ? arex_diagnostics_text(d, -1) : f->source);
    mpfr_inits2(BITS, w->exact.re, w->exact.im, w->exact.t, w->exact.u, w->exact.v, w->exact.w, w->z[0],
                w->z[1], w->z[2], w->z[3], (mpfr_ptr)0);
    w->a = need(CHUNK * sizeof *w->a);
    w->b = need(CHUNK * sizeof *w->b);
    w->out = need(CHUNK * sizeof *w->out);
}

static void close_work(struct work *w)
{
    mpfr_clears(w->exact.re, w->exact.im, w->exact.t, w->exact.u, w->exact.v, w->exact.w, w->z[0], w->z[1],
                w->z[2], w->z[3], (mpfr_ptr)0);
    arex_program_free(w->program);
    arex_context_free(w->context);
    free(w->a), free(w->b), free(w->out);
}

/* Parts side by side, in the type that is measured. */
static void *packed(const struct work *w, const double *v, size_t n)
{
    float *f = need((n + 1) * sizeof(double));
    if (w->wide)
        return memcpy(f, v, n * sizeof *v);
    for (size_t i = 0; i < n; i++)
        f[i] = (float)v[i];
    return f;
}

static void unpack(const struct work *w, const void *from, size_t n)
{
    bool one = w->f->real;
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < (one ? 1 : 2); k++) {
            size_t at = one ? i : 2 * i + (size_t)k;
            (k ? &w->out[i].im : &w->out[i].re)[0] =
                w->wide ? ((const double *)from)[at] : (double)((const float *)from)[at];
        }
}

static arex_array vector(const struct work *w, void *data, size_t n, bool parts)
{
    int dtype = parts ? (w->wide ? AREX_COMPLEX128 : AREX_COMPLEX64) : w->wide ? AREX_FLOAT64 : AREX_FLOAT32;
    arex_array a = {.data = data,
                    .dtype = dtype,
                    .rank = 1,
                    .device = -1,
                    .shape = {(int64_t)n},
                    .strides = {(int64_t)arex_dtype_size(dtype)}};
    return a;
}

static void run(struct work *w, size_t n)
{
    void *a = packed(w, &w->a[0].re, 2 * n), *b = packed(w, &w->b[0].re, 2 * n),
         *r = need((2 * n + 1) * sizeof(double));
    bool turned = w->f->arity == 2 && strcmp(arex_program_input(w->program, 0), "w") == 0;
    arex_array in[2] = {vector(w, turned ? b : a, n, true), vector(w, turned ? a : b, n, true)},
               out = vector(w, r, n, !w->f->real);
    arex_call_options o;
    arex_diagnostics *d = NULL;
    arex_call_options_init(&o);
    o.target = AREX_TARGET_CPU;
    o.threads = 1;
    if (arex_call(w->program, in, w->f->arity, &out, 1, &o, &d))
        fail(d ? arex_diagnostics_text(d, -1) : w->f->source);
    arex_diagnostics_free(d);
    unpack(w, r, n);
    free(a), free(b), free(r);
}

static struct errors judge(struct work *w, size_t i)
{
    const double parts[] = {w->a[i].re, w->a[i].im, w->b[i].re, w->b[i].im};
    for (int k = 0; k < 4; k++)
        mpfr_set_d(w->z[k], parts[k], R);
    w->f->reference(&w->exact, w->z);
    return errors_of(w->f, &w->exact, w->wide, w->out[i]);
}

static void measure(struct work *w, size_t n)
{
    size_t k = 0;
    for (size_t i = 0; i < n; i++)
        if (w->f->counts(w->wide, w->a[i], w->b[i])) {
            w->a[k] = w->a[i];
            w->b[k++] = w->b[i];
        }
    run(w, k);
    for (size_t i = 0; i < k; i++) {
        struct errors e = judge(w, i);
        w->parts = fmax(w->parts, e.parts);
        if (e.whole <= w->whole && w->inputs++)
            continue;
        w->whole = e.whole;
        w->at_a = w->a[i];
        w->at_b = w->b[i];
    }
}

/* ---- points ---- */

/* By way of memory: GCC 12 takes the two conversions away where it does several at once. */
static double rounded(bool wide, double v)
{
    volatile float narrow = (float)v;
    return wide ? v : (double)narrow;
}

static double unit(uint64_t *seed)
{
    return (double)(next_random(seed) >> 11) * 0x1p-53;
}

static double any_size(bool wide, uint64_t *seed)
{
    const struct range *r = &ranges[wide];
    int e = (int)((next_random(seed) >> 20) % (uint64_t)(r->largest - r->smallest + r->digits)) +
            r->smallest - r->digits;
    return rounded(wide, copysign(ldexp(0.5 + unit(seed) / 2, e), unit(seed) - 0.5));
}

static double small(uint64_t *seed)
{
    return copysign(ldexp(1 + unit(seed), (int)((next_random(seed) >> 20) % 12) - 9), unit(seed) - 0.5);
}

/* Parts of any sizes, of sizes near each other, about a circle of 1, nearly parallel or at right angles to the other one. */
static void random_point(bool wide, uint64_t *seed, unsigned kind, struct number *a, struct number *b)
{
    double t = 6.283185307179586 * unit(seed),
           near = 1 + (unit(seed) - 0.5) * ldexp(1, -(int)((next_random(seed) >> 20) % 52));
    *a = kind == 0   ? (struct number){any_size(wide, seed), any_size(wide, seed)}
         : kind == 1 ? (struct number){near * cos(t), near * sin(t)}
                     : (struct number){small(seed), small(seed)};
    *b = kind == 0 ? (struct number){any_size(wide, seed), any_size(wide, seed)}
                   : (struct number){small(seed), small(seed)};
    if (kind == 2)
        *b = (struct number){a->re * near, a->im * (2 - near)};
    if (kind == 3)
        *b = (struct number){a->im * near, a->re * (2 - near)};
    *a = (struct number){rounded(wide, a->re), rounded(wide, a->im)};
    *b = (struct number){rounded(wide, b->re), rounded(wide, b->im)};
}

/* A number of every pair of these, beside numbers of fewer. */
static size_t fixed_points(struct work *w)
{
    const double top = w->wide ? 0x1.fffffffffffffp1023 : 0x1.fffffep127,
                 low = w->wide ? 0x1p-1022 : 0x1p-126, least = w->wide ? 0x1p-1074 : 0x1p-149;
    const double v[] = {0.0, 1, 0.5, 3.5, top, low, least, top / 2, -1, -2.25, -top, -least};
    const size_t count = sizeof v / sizeof *v, others = 5;
    size_t k = 0;
    for (size_t i = 0; i < count * count; i++)
        for (size_t j = 0; j < others * others; j++) {
            w->a[k] = (struct number){v[i % count], v[i / count]};
            w->b[k++] = (struct number){v[j % others], v[j / others + 2]};
        }
    return k;
}

static void measure_all(struct work *w, size_t points)
{
    uint64_t seed = UINT64_C(88172645463325252);
    measure(w, fixed_points(w));
    for (size_t done = 0; done < points; done += CHUNK) {
        size_t n = points - done < CHUNK ? points - done : CHUNK;
        for (size_t i = 0; i < n; i++)
            random_point(w->wide, &seed, (unsigned)i % 5, &w->a[i], &w->b[i]);
        measure(w, n);
    }
}

/* ---- what is published ---- */

static const struct known {
    const char *name, *dtype;
    double ulp, parts;
    const char *a, *b;
} known[] = {
#define ACCURACY(op, dtype, mode, ulp, x, y, inputs)
#define COMPLEX(op, dtype, ulp, parts, a, b, inputs) {#op, #dtype, ulp, parts, a, b},
#include "accuracy.def"
#undef ACCURACY
#undef COMPLEX
    {NULL, NULL, 0, 0, NULL, NULL}};

static const char *type_name(bool wide)
{
    return wide ? "complex128" : "complex64";
}

static double up(double v)
{
    return ceil(v * DIGITS) / DIGITS;
}

static void print_row(const struct work *w)
{
    printf("COMPLEX(%s, %s, %.4f, %.4f, \"%a %a\", \"%a %a\", %llu)\n", w->f->name, type_name(w->wide),
           up(w->whole), w->parts < NO_PARTS ? up(w->parts) : 0.0, w->at_a.re, w->at_a.im,
           w->f->arity == 2 ? w->at_b.re : 0, w->f->arity == 2 ? w->at_b.im : 0,
           (unsigned long long)w->inputs);
    fflush(stdout);
}

static struct number number_of(const char *text)
{
    char *end;
    double re = strtod(text, &end);
    return (struct number){re, strtod(end, NULL)};
}

/* The published worst place gives what is published. */
static double error_there(struct work *w, const struct known *k)
{
    w->a[0] = number_of(k->a);
    w->b[0] = number_of(k->b);
    run(w, 1);
    return judge(w, 0).whole;
}

static const struct known *find_known(const struct work *w)
{
    for (const struct known *k = known; k->name; k++)
        if (strcmp(k->name, w->f->name) == 0 && strcmp(k->dtype, type_name(w->wide)) == 0)
            return k;
    return NULL;
}

static bool check(struct work *w)
{
    const struct known *k = find_known(w);
    if (!k) {
        printf("FAIL %s %s: no figure is published\n", w->f->name, type_name(w->wide));
        return false;
    }
    double there = error_there(w, k);
    bool ok = w->whole <= k->ulp + 1e-9 && (k->parts == 0 || w->parts <= k->parts + 1e-9) &&
              there <= k->ulp + 1e-9 && there >= k->ulp - 2.0 / DIGITS;
    printf("%s %s %s: %.4f, of parts %.4f, at %a %a, %a %a; %.4f and %.4f are published, at %s, %s, where it "
           "is %.4f\n",
           ok ? "ok" : "FAIL", k->name, k->dtype, w->whole, w->parts, w->at_a.re, w->at_a.im, w->at_b.re,
           w->at_b.im, k->ulp, k->parts, k->a, k->b, there);
    return ok;
}

static bool wanted(char **names, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return n == 0;
}

int main(int argc, char **argv)
{
    bool rows = false;
    size_t points = 40000;
    int i = 1, passed = 0, failed = 0;
    for (; i < argc && argv[i][0] == '-'; i++)
        if (strcmp(argv[i], "--rows") == 0)
            rows = true;
        else if (strcmp(argv[i], "--points") == 0 && i + 1 < argc)
            points = strtoul(argv[++i], NULL, 10);
        else
            return fputs("usage: arex_accuracy_complex [--rows] [--points N] [NAME...]\n", stderr), 2;
    for (size_t k = 0; k < sizeof functions_of_complex / sizeof *functions_of_complex; k++)
        for (int wide = 0; wide < 2; wide++) {
            struct work w;
            if (!wanted(argv + i, argc - i, functions_of_complex[k].name))
                continue;
            open_work(&w, &functions_of_complex[k], wide);
            measure_all(&w, points);
            if (rows)
                print_row(&w);
            else
                check(&w) ? passed++ : failed++;
            close_work(&w);
        }
    mpfr_free_cache();
    if (!rows)
        printf("%d passed, %d failed, 0 skipped\n", passed, failed);
    return failed ? 1 : 0;
}
