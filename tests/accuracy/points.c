/* Inputs: special values, edges of binades, all bit patterns at random, and where each function is hard. */
#include <math.h>
#include <string.h>
#include "accuracy.h"

/* Marsaglia, Xorshift RNGs, 2003, with Vigna's multiplier. */
uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed * UINT64_C(2685821657736338717);
}

static double unit(uint64_t *seed)
{
    return (double)(next_random(seed) >> 11) * 0x1p-53;
}

static bool one_in(uint64_t *seed, unsigned n)
{
    return (next_random(seed) >> 20) % n == 0;
}

static double between(uint64_t *seed, double low, double high)
{
    return low + (high - low) * unit(seed);
}

static double any_bits(uint64_t *seed, bool wide)
{
    uint64_t r = next_random(seed);
    uint32_t half = (uint32_t)(r >> 32);
    double d;
    float f;
    memcpy(&d, &r, sizeof d);
    memcpy(&f, &half, sizeof f);
    return wide ? d : (double)f;
}

/* ---- near what is hard; of two values when y is meant ---- */

static double sized(uint64_t *seed)
{
    return copysign(ldexp(1 + unit(seed), (int)(next_random(seed) >> 20) % 40 - 34), unit(seed) - 0.5);
}

static double about_one(uint64_t *seed)
{
    return 1 + (unit(seed) - 0.5) * ldexp(1, -(int)((next_random(seed) >> 20) % 50));
}

static double steps_from(double v, uint64_t *seed)
{
    int64_t bits;
    memcpy(&bits, &v, sizeof bits);
    bits += (int64_t)((next_random(seed) >> 20) % 5) - 2;
    memcpy(&v, &bits, sizeof bits);
    return v;
}

#define NEAR(name, value)                                                                                    \
    void name(uint64_t *seed, double *x, double *y);                                                         \
    void name(uint64_t *seed, double *x, double *y)                                                          \
    {                                                                                                        \
        (void)y;                                                                                             \
        *x = value;                                                                                          \
    }
NEAR(near_any, one_in(seed, 2) ? sized(seed) : between(seed, -20, 20))
NEAR(near_zero, 64 * unit(seed))
NEAR(near_exp, one_in(seed, 4) ? between(seed, -1, 1) : between(seed, -749, 711))
NEAR(near_exp2, one_in(seed, 4) ? between(seed, -1, 1) : between(seed, -1080, 1026))
NEAR(near_exp10, one_in(seed, 4) ? between(seed, -1, 1) : between(seed, -326, 310))
NEAR(near_expm1, one_in(seed, 4) ? between(seed, 0, 711) : one_in(seed, 2) ? sized(seed) : between(seed, -50, 50))
NEAR(near_one, one_in(seed, 2) ? about_one(seed) : 4 * unit(seed))
NEAR(near_log1p, one_in(seed, 2) ? sized(seed) : one_in(seed, 2) ? between(seed, -1, 7) : about_one(seed) - 1)
NEAR(near_angle, one_in(seed, 2) ? steps_from((double)(next_random(seed) >> (20 + (next_random(seed) >> 20) % 43)) * 1.5707963267948966, seed)
                                 : between(seed, -1, 1) * ldexp(1, (int)((next_random(seed) >> 20) % 34)))
NEAR(near_unit, one_in(seed, 2) ? between(seed, -1, 1) : one_in(seed, 2) ? about_one(seed) : ldexp(unit(seed) - 0.5, -(int)((next_random(seed) >> 20) % 60)))
NEAR(near_sinh, one_in(seed, 2) ? sized(seed) : between(seed, -711, 711))
NEAR(near_acosh, 1 + fabs(sized(seed)))
NEAR(near_erf, between(seed, -6.5, 6.5))
NEAR(near_erfc, between(seed, -6.5, 28))
NEAR(near_gamma, one_in(seed, 2) ? between(seed, -186, 172) : one_in(seed, 2) ? steps_from(rint(between(seed, -186, 172)), seed) : sized(seed))
NEAR(near_lgamma, one_in(seed, 4) ? about_one(seed) + one_in(seed, 2) : one_in(seed, 2) ? between(seed, -60, 60) : one_in(seed, 2) ? sized(seed) : steps_from(rint(between(seed, -60, 60)), seed))
NEAR(near_sigmoid, one_in(seed, 2) ? sized(seed) : between(seed, -745, 745))

#define PAIR(name, first, second)                                                                            \
    void name(uint64_t *seed, double *x, double *y);                                                         \
    void name(uint64_t *seed, double *x, double *y)                                                          \
    {                                                                                                        \
        *x = first;                                                                                          \
        *y = second;                                                                                         \
    }
PAIR(near_quotient, about_one(seed) * ldexp(1, (int)((next_random(seed) >> 20) % 2000) - 1000), about_one(seed))
PAIR(near_ratio, sized(seed), *x *sized(seed))
PAIR(near_sides, sized(seed), *x *(one_in(seed, 2) ? sized(seed) : between(seed, 0.4, 1.1)))
PAIR(near_logadd, 20 * unit(seed), *x + (unit(seed) - 0.5) * ldexp(1, (int)((next_random(seed) >> 20) % 12) - 4))

/* Results over the whole range: the exponent is what takes x there. */
void near_power(uint64_t *seed, double *x, double *y);
void near_power(uint64_t *seed, double *x, double *y)
{
    bool wide = one_in(seed, 2);
    *x = one_in(seed, 3) ? about_one(seed) : any_bits(seed, wide);
    *x = one_in(seed, 4) ? *x : fabs(*x);
    double t = (unit(seed) - 0.5) * (wide ? 2200 : 300) / log2(fabs(*x));
    *y = one_in(seed, 5) ? (double)((int)((next_random(seed) >> 20) % 41) - 20) : one_in(seed, 4) ? rint(t) : t;
}

bool point_is_of_one(const struct function *f, double x)
{
    return f->near == near_lgamma && x < 0;
}

/* Where a result of fast mode's float64 exponentials is subnormal: 0 is given there. */
static bool is_flushed(const struct function *f, double x)
{
    return (f->near == near_exp && x < -708.3964185322641) || (f->near == near_exp2 && x < -1022) || (f->near == near_exp10 && x < -307.6526555685888);
}

bool point_counts(const struct function *f, bool wide, enum mode mode, double x, double y)
{
    if (mode == FAST && wide && is_flushed(f, x))
        return false;
    if (f->near == near_one && mode == FAST)
        return x == 0 || !(fabs(x) < (wide ? 0x1p-1022 : 0x1p-126));
    if (f->near == near_quotient && mode == FAST)
        return y == 0 || !isfinite(y) || (fabs(y) >= 0x1p-126 && fabs(y) <= 0x1p125);
    if (f->near == near_zero && mode == FAST)
        return x == 0 || !isfinite(x) || fabs(x) >= 0x1p-126;
    bool cancels = f->near == near_logadd && isfinite(x) && isfinite(y);
    return !cancels || (x > 0 && y > 0);
}

/* ---- sets ---- */

static const double specials[] = {
    0.0, 1, 2, 3, 0.5, 1.5, 2.5, INFINITY, NAN, 0x1p-1074, 0x1p-149, 0x1p-1022, 0x1p-126, 0x1.fffffep127, 0x1.fffffffffffffp1023, 0x1p24, 16777217.0, 0x1p53,
    9007199254740991.0, 709.782712893384, 709.7827128933841, 745.1332191019411, 745.1332191019412, 708.4, 88.72283, 103.97208, 1e22, 1e300,
    6381956970095103.0 * 0x1p797, /* the float64 nearest to a multiple of pi / 2: Muller, Elementary Functions */
    16367173.0 * 0x1p72,          /* the float32 nearest to one */
};
enum { SPECIALS = 2 * sizeof specials / sizeof *specials };

static double special(size_t i)
{
    return i % 2 ? -specials[i / 2] : specials[i / 2];
}

static double rounded(bool wide, double v)
{
    return wide ? v : (double)(float)v;
}

static size_t edges(bool wide, double *x, size_t n)
{
    const int low = wide ? -1074 : -149, high = wide ? 1023 : 127;
    size_t k = 0;
    for (int e = low; e <= high && k + 6 <= n; e++)
        for (int side = -1; side <= 1; side++) {
            double v = ldexp(1, e);
            double other = wide ? nextafter(v, side * INFINITY) : (double)nextafterf((float)v, (float)side * INFINITY);
            x[k++] = side ? other : v;
            x[k] = -x[k - 1], k++;
        }
    return k;
}

size_t points_fixed(const struct function *f, bool wide, double *x, double *y, size_t n)
{
    size_t k = 0;
    if (f->arity == 1) {
        for (size_t i = 0; i < SPECIALS && k < n; i++)
            x[k++] = rounded(wide, special(i));
        return k + edges(wide, x + k, n - k);
    }
    for (size_t i = 0; i < SPECIALS * SPECIALS && k < n; i++) {
        x[k] = rounded(wide, special(i % SPECIALS));
        y[k++] = rounded(wide, special(i / SPECIALS));
    }
    return k;
}

size_t points_random(const struct function *f, bool wide, uint64_t *seed, double *x, double *y, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        double b = 0;
        f->near(seed, &x[k], &b);
        if (k % 4 == 0)
            x[k] = any_bits(seed, wide);
        if (k % 8 == 0)
            b = any_bits(seed, wide);
        x[k] = rounded(wide, x[k]);
        if (f->arity == 2)
            y[k] = rounded(wide, b);
    }
    return n;
}
