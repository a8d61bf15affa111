/* Exact results by MPFR, and how far a result is from them. */
#include <math.h>
#include "accuracy.h"

enum { BITS = 160 };

struct scratch {
    mpfr_t x, y, exact, t, u;
    bool ready;
};
static _Thread_local struct scratch s;

static void prepare(void)
{
    if (!s.ready)
        mpfr_inits2(BITS, s.x, s.y, s.exact, s.t, s.u, (mpfr_ptr)0);
    s.ready = true;
}

void references_free(void)
{
    if (s.ready)
        mpfr_clears(s.x, s.y, s.exact, s.t, s.u, (mpfr_ptr)0);
    s.ready = false;
    mpfr_free_cache();
}

/* ---- functions that MPFR has not, or with other signs of zero ---- */

static int ref_rsqrt(mpfr_ptr r, mpfr_srcptr x, mpfr_rnd_t how)
{
    return mpfr_zero_p(x) ? mpfr_ui_div(r, 1, x, how) : mpfr_rec_sqrt(r, x, how);
}

static int ref_reciprocal(mpfr_ptr r, mpfr_srcptr x, mpfr_rnd_t how)
{
    return mpfr_ui_div(r, 1, x, how);
}

/* Zeros: those of sinpi have x's sign, those of cospi none. */
static int ref_sinpi(mpfr_ptr r, mpfr_srcptr x, mpfr_rnd_t how)
{
    int t = mpfr_sinpi(r, x, how);
    if (mpfr_zero_p(r))
        mpfr_setsign(r, r, mpfr_signbit(x), how);
    return t;
}

static int ref_cospi(mpfr_ptr r, mpfr_srcptr x, mpfr_rnd_t how)
{
    int t = mpfr_cospi(r, x, how);
    if (mpfr_zero_p(r))
        mpfr_setsign(r, r, 0, how);
    return t;
}

static int ref_degrees(mpfr_ptr r, mpfr_srcptr x, mpfr_rnd_t how)
{
    mpfr_const_pi(s.t, how);
    mpfr_mul_ui(r, x, 180, how);
    return mpfr_div(r, r, s.t, how);
}

static int ref_radians(mpfr_ptr r, mpfr_srcptr x, mpfr_rnd_t how)
{
    mpfr_const_pi(s.t, how);
    mpfr_mul(r, x, s.t, how);
    return mpfr_div_ui(r, r, 180, how);
}

static int ref_sigmoid(mpfr_ptr r, mpfr_srcptr x, mpfr_rnd_t how)
{
    mpfr_neg(r, x, how);
    mpfr_exp(r, r, how);
    mpfr_add_ui(r, r, 1, how);
    return mpfr_ui_div(r, 1, r, how);
}

static int ref_softplus(mpfr_ptr r, mpfr_srcptr x, mpfr_rnd_t how)
{
    mpfr_exp(r, x, how);
    if (mpfr_inf_p(r) && !mpfr_inf_p(x)) /* beyond MPFR's own range: x itself */
        return mpfr_set(r, x, how);
    return mpfr_log1p(r, r, how);
}

static int ref_lgamma(mpfr_ptr r, mpfr_srcptr x, mpfr_rnd_t how)
{
    int sign;
    return mpfr_lgamma(r, &sign, x, how);
}

static int ref_digamma(mpfr_ptr r, mpfr_srcptr x, mpfr_rnd_t how)
{
    return mpfr_zero_p(x) ? mpfr_si_div(r, -1, x, how) : mpfr_digamma(r, x, how);
}

/* By bisection, then Newton's steps. */
static int ref_erfinv(mpfr_ptr r, mpfr_srcptr x, mpfr_rnd_t how)
{
    if (mpfr_nan_p(x) || mpfr_zero_p(x) || mpfr_cmpabs_ui(x, 1) >= 0) {
        if (mpfr_nan_p(x) || mpfr_cmpabs_ui(x, 1) > 0)
            mpfr_set_nan(r);
        else if (mpfr_zero_p(x))
            mpfr_set(r, x, how);
        else
            mpfr_set_inf(r, mpfr_signbit(x) ? -1 : 1);
        return 0;
    }
    double low = 0, high = 28;
    for (int i = 0; i < 12; i++) {
        double middle = 0.5 * (low + high);
        mpfr_set_d(s.t, middle, how);
        mpfr_erf(s.t, s.t, how);
        *(mpfr_cmpabs(s.t, x) < 0 ? &low : &high) = middle;
    }
    mpfr_set_d(r, low, how); /* from below each step stays below, for erf is concave there */
    mpfr_setsign(r, r, mpfr_signbit(x), how);
    for (int i = 0; i < 12; i++) { /* r += (x - erf r) e^(r r) sqrt(pi) / 2 */
        mpfr_erf(s.t, r, how);
        mpfr_sub(s.t, x, s.t, how);
        mpfr_sqr(s.u, r, how);
        mpfr_exp(s.u, s.u, how);
        mpfr_mul(s.t, s.t, s.u, how);
        mpfr_const_pi(s.u, how);
        mpfr_sqrt(s.u, s.u, how);
        mpfr_mul(s.t, s.t, s.u, how);
        mpfr_div_2ui(s.t, s.t, 1, how);
        mpfr_add(r, r, s.t, how);
        if (mpfr_zero_p(s.t) || mpfr_get_exp(s.t) < mpfr_get_exp(r) - 70)
            break; /* the next step would have doubled these digits */
    }
    return 0;
}

/* m + log1p(base^(k - m)), m the larger */
static int sum_of_powers(mpfr_ptr r, mpfr_srcptr x, mpfr_srcptr y, int (*power)(mpfr_ptr, mpfr_srcptr, mpfr_rnd_t), bool by_two, mpfr_rnd_t how)
{
    if (mpfr_nan_p(x) || mpfr_nan_p(y) || mpfr_inf_p(x) || mpfr_inf_p(y))
        return mpfr_nan_p(x) || mpfr_nan_p(y) ? (mpfr_set_nan(r), 0) : mpfr_max(r, x, y, how);
    mpfr_max(s.t, x, y, how);
    mpfr_min(s.u, x, y, how);
    mpfr_sub(s.u, s.u, s.t, how);
    power(s.u, s.u, how);
    mpfr_log1p(r, s.u, how);
    if (by_two) {
        mpfr_const_log2(s.u, how);
        mpfr_div(r, r, s.u, how);
    }
    return mpfr_add(r, s.t, r, how);
}

static int ref_logaddexp(mpfr_ptr r, mpfr_srcptr x, mpfr_srcptr y, mpfr_rnd_t how)
{
    return sum_of_powers(r, x, y, mpfr_exp, false, how);
}

static int ref_logaddexp2(mpfr_ptr r, mpfr_srcptr x, mpfr_srcptr y, mpfr_rnd_t how)
{
    return sum_of_powers(r, x, y, mpfr_exp2, true, how);
}

/* ---- the table ---- */

#define DECLARE(near) void near(uint64_t *seed, double *x, double *y);
#define ONE(name, source, ref, peer, near, c32, c64) DECLARE(near)
#define TWO(name, source, ref, peer, near, c32, c64) DECLARE(near)
#include "functions.def"
#undef ONE
#undef TWO

const struct function functions[] = {
#define ONE(name, source, ref, peer, near, c32, c64) {#name, source, peer, {c32, c64}, 1, ref, NULL, near},
#define TWO(name, source, ref, peer, near, c32, c64) {#name, source, peer, {c32, c64}, 2, NULL, ref, near},
#include "functions.def"
#undef ONE
#undef TWO
};
const size_t n_functions = sizeof functions / sizeof *functions;

/* ---- errors ---- */

/* |got - exact| in units of 2^place; infinities stand for the first power of two that is too large. */
static double distance(double got, int largest, long place)
{
    if (isinf(got))
        mpfr_set_ui_2exp(s.t, 1, largest, MPFR_RNDN), mpfr_setsign(s.t, s.t, signbit(got) != 0, MPFR_RNDN);
    else
        mpfr_set_d(s.t, got, MPFR_RNDN);
    mpfr_set_ui_2exp(s.u, 1, largest, MPFR_RNDN);
    if (mpfr_cmpabs(s.exact, s.u) > 0)
        mpfr_setsign(s.exact, s.u, mpfr_signbit(s.exact), MPFR_RNDN);
    mpfr_sub(s.t, s.t, s.exact, MPFR_RNDN);
    mpfr_mul_2si(s.t, s.t, -place, MPFR_RNDN);
    return fabs(mpfr_get_d(s.t, MPFR_RNDA));
}

static double error_from_exact(bool wide, bool of_one, double got)
{
    const int digits = wide ? 53 : 24, smallest = wide ? -1021 : -125, largest = wide ? 1024 : 128;
    if (mpfr_nan_p(s.exact) || isnan(got))
        return mpfr_nan_p(s.exact) && isnan(got) ? 0 : FAR;
    if (!mpfr_signbit(s.exact) != !signbit(got) && !of_one)
        return FAR;
    if (mpfr_zero_p(s.exact) || mpfr_inf_p(s.exact))
        return mpfr_zero_p(s.exact) ? (got == 0 ? 0 : FAR) : isinf(got) ? 0 : FAR;
    long exponent = mpfr_get_exp(s.exact); /* exact is 0.1... * 2^exponent */
    if (exponent > largest)
        exponent = largest;
    if (of_one && exponent < 1)
        exponent = 1;
    return distance(got, largest, (exponent < smallest ? smallest : exponent) - digits);
}

double error_of(const struct function *f, bool wide, double x, double y, double got)
{
    prepare();
    mpfr_set_d(s.x, x, MPFR_RNDN);
    mpfr_set_d(s.y, y, MPFR_RNDN);
    if (f->arity == 1)
        f->one(s.exact, s.x, MPFR_RNDN);
    else
        f->two(s.exact, s.x, s.y, MPFR_RNDN);
    return error_from_exact(wide, wide && point_is_of_one(f, x), got);
}
