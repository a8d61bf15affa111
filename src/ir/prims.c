/*
 * Every primitive for every type it takes, instantiated from grammar/prims.def: what the evaluator and constant
 * folding compute. Compiled without contraction; each helper defines what C leaves undefined.
 */
#include <math.h>
#include <string.h>
#include "ir/eval.h"

/* one text for signed and unsigned types: half of the comparisons with 0 say nothing */
#pragma GCC diagnostic ignored "-Wtype-limits"

/* ---- helpers named by prims.def; f is the element type's letter: none for double, f for float ---- */

#define FLOAT_HELPERS(T, f, U, nan_bits)                                                                     \
    static T minimum_##T(T a, T b)                                                                           \
    {                                                                                                        \
        return a < b ? a : b < a ? b : a != b ? a + b : signbit(a) ? a : b;                                  \
    }                                                                                                        \
    static T maximum_##T(T a, T b)                                                                           \
    {                                                                                                        \
        return a > b ? a : b > a ? b : a != b ? a + b : signbit(a) ? b : a;                                  \
    }                                                                                                        \
    static T canonical_##T(T a)                                                                              \
    {                                                                                                        \
        U bits = nan_bits;                                                                                   \
        if (a != a)                                                                                          \
            memcpy(&a, &bits, sizeof a);                                                                     \
        return a;                                                                                            \
    }
FLOAT_HELPERS(float, f, uint32_t, 0x7fc00000)
FLOAT_HELPERS(double, , uint64_t, UINT64_C(0x7ff8000000000000))

/* Of positive normal numbers; `low` are the bits below the exponent. */
#define BITS_HELPERS(T, U, low)                                                                              \
    static U bits_##T(T a)                                                                                   \
    {                                                                                                        \
        U bits;                                                                                              \
        memcpy(&bits, &a, sizeof bits);                                                                      \
        return bits;                                                                                         \
    }                                                                                                        \
    static T exponent_##T(T a)                                                                               \
    {                                                                                                        \
        return (T)(bits_##T(a) >> (low)) - (T)((1 << (8 * sizeof(T) - (low) - 2)) - 1);                      \
    }                                                                                                        \
    static T tamescale_##T(T a, T c)                                                                         \
    {                                                                                                        \
        U bits = (U)(bits_##T(a) + (bits_##T(c) << (low)));                                                  \
        memcpy(&a, &bits, sizeof a);                                                                         \
        return a;                                                                                            \
    }                                                                                                        \
    static T sixteenth_##T(const T *numbers, T a)                                                            \
    {                                                                                                        \
        return numbers[bits_##T(a) >> ((low)-4) & 15];                                                       \
    }
BITS_HELPERS(float, uint32_t, 23)
BITS_HELPERS(double, uint64_t, 52)

#define SIXTEENTHS(id, type, ...) static const type##_t id##_##type[16] = {__VA_ARGS__};
typedef float float32_t;
typedef double float64_t;
#include "sixteenths.def"
#undef SIXTEENTHS

#define INT_HELPERS(T, U, bits, has_sign)                                                                    \
    static T floordiv_##T(T a, T b, uint8_t *fault)                                                          \
    {                                                                                                        \
        if (b == 0) {                                                                                        \
            *fault |= FAULT_DIVIDE;                                                                          \
            return 0;                                                                                        \
        }                                                                                                    \
        if (has_sign && b == (T)-1)                                                                          \
            return (T)(U)(0 - (U)a);                                                                         \
        T q = (T)(a / b), r = (T)(a % b);                                                                    \
        return (T)(r != 0 && has_sign && ((r < 0) != (b < 0)) ? q - 1 : q);                                  \
    }                                                                                                        \
    static T mod_##T(T a, T b, uint8_t *fault)                                                               \
    {                                                                                                        \
        if (b == 0) {                                                                                        \
            *fault |= FAULT_DIVIDE;                                                                          \
            return 0;                                                                                        \
        }                                                                                                    \
        if (has_sign && b == (T)-1)                                                                          \
            return 0;                                                                                        \
        T r = (T)(a % b);                                                                                    \
        return (T)(r != 0 && has_sign && ((r < 0) != (b < 0)) ? r + b : r);                                  \
    }                                                                                                        \
    static T pow_##T(T a, T b, uint8_t *fault)                                                               \
    {                                                                                                        \
        uint64_t r = 1, base = (uint64_t)a, e = (uint64_t)b;                                                 \
        if (has_sign && b < 0) {                                                                             \
            *fault |= FAULT_NEGATIVE_POWER;                                                                  \
            return 0;                                                                                        \
        }                                                                                                    \
        for (; e; e >>= 1, base *= base)                                                                     \
            r *= e & 1 ? base : 1;                                                                           \
        return (T)(U)r;                                                                                      \
    }                                                                                                        \
    static T shl_##T(T a, T b)                                                                               \
    {                                                                                                        \
        return (U)b < bits ? (T)(U)((uint64_t)(U)a << (U)b) : 0;                                             \
    }                                                                                                        \
    static T shr_##T(T a, T b)                                                                               \
    {                                                                                                        \
        if ((U)b < bits)                                                                                     \
            return (T)(a >> (U)b);                                                                           \
        return (T)(has_sign && a < 0 ? -1 : 0);                                                              \
    }
INT_HELPERS(int8_t, uint8_t, 8, 1)
INT_HELPERS(int16_t, uint16_t, 16, 1)
INT_HELPERS(int32_t, uint32_t, 32, 1)
INT_HELPERS(int64_t, uint64_t, 64, 1)
INT_HELPERS(uint8_t, uint8_t, 8, 0)
INT_HELPERS(uint16_t, uint16_t, 16, 0)
INT_HELPERS(uint32_t, uint32_t, 32, 0)
INT_HELPERS(uint64_t, uint64_t, 64, 0)

#define PICK(T, name) _Generic((T)0, float: name##_float, double: name##_double)
#define PICK_INT(T, name)                                                                                    \
    _Generic((T)0, int8_t: name##_int8_t, int16_t: name##_int16_t, int32_t: name##_int32_t, int64_t: name##_int64_t, uint8_t: name##_uint8_t, \
             uint16_t: name##_uint16_t, uint32_t: name##_uint32_t, uint64_t: name##_uint64_t)
#define BY_SIZE(T, d, s) _Generic((T)0, float: s, double: d)

#define PRIM_FABS(a)        BY_SIZE(T, fabs, fabsf)(a)
#define PRIM_FSQRT(a)       BY_SIZE(T, sqrt, sqrtf)(a)
#define PRIM_FFMA(a, b, c)  BY_SIZE(T, fma, fmaf)(a, b, c)
#define PRIM_FFLOOR(a)      BY_SIZE(T, floor, floorf)(a)
#define PRIM_FCEIL(a)       BY_SIZE(T, ceil, ceilf)(a)
#define PRIM_FTRUNC(a)      BY_SIZE(T, trunc, truncf)(a)
#define PRIM_FRINT(a)       BY_SIZE(T, rint, rintf)(a)
#define PRIM_FMINIMUM(a, b) PICK(T, minimum)(a, b)
#define PRIM_FMAXIMUM(a, b) PICK(T, maximum)(a, b)
#define PRIM_FMOD(a, b)     BY_SIZE(T, fmod, fmodf)(a, b)
#define PRIM_FCOPYSIGN(a, b) BY_SIZE(T, copysign, copysignf)(a, PICK(T, canonical)(b)) /* a nan has no sign: machines make either */
#define PRIM_FEXPONENT(a)      PICK(T, exponent)(a)
#define PRIM_FTAMESCALE(a, c)  PICK(T, tamescale)(a, c)
#define PRIM_SIXTEENTH(id, a)  PICK(T, sixteenth)(BY_SIZE(T, id##_float64, id##_float32), a)
/* integers wrap: in 64 unsigned bits, then cut */
#define PRIM_IADD(a, b)      ((uint64_t)(a) + (uint64_t)(b))
#define PRIM_ISUB(a, b)      ((uint64_t)(a) - (uint64_t)(b))
#define PRIM_IMUL(a, b)      ((uint64_t)(a) * (uint64_t)(b))
#define PRIM_INEG(a)         (0 - (uint64_t)(a))
#define PRIM_IABS(a)         ((T)-1 < (T)1 && a < (T)1 ? 0 - (uint64_t)(a) : (uint64_t)(a))
#define PRIM_IFLOORDIV(a, b) PICK_INT(T, floordiv)(a, b, fault)
#define PRIM_IMOD(a, b)      PICK_INT(T, mod)(a, b, fault)
#define PRIM_IPOW(a, b)      PICK_INT(T, pow)(a, b, fault)
#define PRIM_INOT(a)         (dtype == DT_bool ? (T)!(a) : (T)~(a))
#define PRIM_ISHL(a, b)      PICK_INT(T, shl)(a, b)
#define PRIM_ISHR(a, b)      PICK_INT(T, shr)(a, b)

/* ---- one loop a primitive and type ---- */

struct operands {
    const void *a, *b, *c;
    void *out;
    size_t n;
    uint8_t *faults;
    enum dtype dtype;
    bool gives_bool;
};

#define ARG(v, i) (((const T *)o->v)[i])
#define LOOP(fn, type, value)                                                                                \
    static void fn(const struct operands *o)                                                                 \
    {                                                                                                        \
        typedef type T;                                                                                      \
        uint8_t ignored = 0;                                                                                 \
        const enum dtype dtype = o->dtype;                                                                   \
        for (size_t i = 0; i < o->n; i++) {                                                                  \
            uint8_t *fault = o->faults ? &o->faults[i] : &ignored;                                           \
            const T a = ARG(a, i), b = ARG(b, i), c = ARG(c, i);                                             \
            if (o->gives_bool)                                                                               \
                ((uint8_t *)o->out)[i] = (uint8_t)(T)(value);                                                \
            else                                                                                             \
                ((T *)o->out)[i] = (T)(value);                                                               \
            (void)a, (void)b, (void)c, (void)fault, (void)dtype;                                             \
        }                                                                                                    \
    }

#define LOOPS_F(name, value) LOOP(name##_f32, float, value) LOOP(name##_f64, double, value)
#define LOOPS_I(name, value)                                                                                 \
    LOOP(name##_i8, int8_t, value) LOOP(name##_i16, int16_t, value) LOOP(name##_i32, int32_t, value) LOOP(name##_i64, int64_t, value)         \
    LOOP(name##_u8, uint8_t, value) LOOP(name##_u16, uint16_t, value) LOOP(name##_u32, uint32_t, value) LOOP(name##_u64, uint64_t, value)
#define LOOPS_A(name, value)
#define PRIM(name, arity, cls, value) LOOPS_##cls(name, value)
#include "prims.def"
#undef PRIM

typedef void loop_fn(const struct operands *);

#define ROW_F(name) {[DT_float32] = name##_f32, [DT_float64] = name##_f64}
#define ROW_I(name)                                                                                          \
    {[DT_bool] = name##_u8, [DT_int8] = name##_i8, [DT_int16] = name##_i16, [DT_int32] = name##_i32, [DT_int64] = name##_i64,                 \
     [DT_uint8] = name##_u8, [DT_uint16] = name##_u16, [DT_uint32] = name##_u32, [DT_uint64] = name##_u64}
#define ROW_A(name) {NULL}

static loop_fn *const loops[PRIM_COUNT][DT_COUNT] = {
#define PRIM(name, arity, cls, value) [PRIM_##name] = ROW_##cls(name),
#include "prims.def"
#undef PRIM
};

static bool compares(enum prim p)
{
    return (p >= PRIM_feq && p <= PRIM_fge) || (p >= PRIM_ieq && p <= PRIM_ige);
}

static void select_loop(const struct operands *o)
{
    size_t size = type_table[o->dtype].size;
    const uint8_t *c = o->a;
    for (size_t i = 0; i < o->n; i++)
        memcpy((char *)o->out + i * size, (const char *)(c[i] ? o->b : o->c) + i * size, size);
}

void eval_prim(enum prim prim, enum dtype arg, void *out, const void *const *args, size_t n, uint8_t *faults)
{
    unsigned arity = prim_table[prim].arity;
    struct operands o = {args[0], arity > 1 ? args[1] : args[0], arity > 2 ? args[2] : args[0], out, n, faults, arg, compares(prim)};
    if (prim == PRIM_same)
        memmove(out, args[0], n * type_table[arg].size);
    else if (prim == PRIM_select)
        select_loop(&o);
    else
        loops[prim][arg](&o);
}

/* ---- conversions ---- */

struct number {
    enum type_class cls;
    double real;
    int64_t integer;
    uint64_t natural;
};

/* Floats of 16 bits, whatever the split between exponent and fraction: of `mantissa` bits; the bias follows. */
static int half_bias(unsigned mantissa)
{
    return (1 << (14 - mantissa)) - 1;
}

static double half_value(unsigned mantissa, uint16_t bits)
{
    int fraction = bits & ((1 << mantissa) - 1), exponent = (bits & 0x7fff) >> mantissa, bias = half_bias(mantissa);
    double v = fraction;
    if (exponent == 2 * bias + 1)
        v = fraction ? NAN : INFINITY;
    else
        v = ldexp(exponent ? fraction + (1 << mantissa) : fraction, (exponent ? exponent : 1) - bias - (int)mantissa);
    return bits & 0x8000 ? -v : v;
}

/* Rounded once, to nearest even: in units of the last place the result will have. */
static uint16_t half_bits(unsigned mantissa, double x)
{
    int bias = half_bias(mantissa), exponent = 0;
    uint16_t sign = signbit(x) ? 0x8000 : 0, infinite = (uint16_t)((2 * bias + 1) << mantissa);
    if (x != x)
        return (uint16_t)(infinite | 1u << (mantissa - 1));
    if (isinf(x))
        return sign | infinite;
    frexp(x, &exponent);
    exponent = exponent - 1 < 1 - bias || x == 0 ? 1 - bias : exponent - 1;
    long units = lrint(ldexp(fabs(x), (int)mantissa - exponent));
    /* a subnormal has no implied bit; rounding up to the next power of two carries into the exponent */
    long magnitude = units + ((long)(exponent + bias - 1) << mantissa);
    return sign | (uint16_t)(magnitude < infinite ? magnitude : infinite);
}

static struct number read_number(enum dtype t, const void *p)
{
    struct number v = {.cls = type_table[t].cls};
    uint16_t half;
    switch (t) {
    case DT_float16:
    case DT_bfloat16:
        memcpy(&half, p, sizeof half);
        v.real = half_value(type_table[t].mantissa, half);
        break;
#define READ(type, ctype, field) case DT_##type: { ctype x; memcpy(&x, p, sizeof x); v.field = x; break; }
        READ(bool, uint8_t, natural)
        READ(int8, int8_t, integer) READ(int16, int16_t, integer) READ(int32, int32_t, integer) READ(int64, int64_t, integer)
        READ(uint8, uint8_t, natural) READ(uint16, uint16_t, natural) READ(uint32, uint32_t, natural) READ(uint64, uint64_t, natural)
        READ(float32, float, real) READ(float64, double, real)
#undef READ
    default:
        break;
    }
    return v;
}

static uint64_t integer_of(const struct number *v, enum dtype to)
{
    bool with_sign = type_table[to].cls == CLASS_INT;
    unsigned bits = 8u * type_table[to].size;
    if (v->cls == CLASS_INT)
        return (uint64_t)v->integer;
    if (v->cls != CLASS_FLOAT)
        return v->natural;
    double low = with_sign ? -ldexp(1, (int)bits - 1) : 0, high = ldexp(1, (int)bits - (with_sign ? 1 : 0));
    if (v->real != v->real)
        return 0;
    if (v->real <= low)
        return with_sign ? (uint64_t)INT64_MIN >> (64 - bits) : 0;
    if (v->real >= high)
        return with_sign ? ((uint64_t)1 << (bits - 1)) - 1 : bits == 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1;
    return v->real < 0 ? (uint64_t)(int64_t)v->real : (uint64_t)v->real;
}

static float float_of(const struct number *v)
{
    return v->cls == CLASS_FLOAT ? (float)v->real : v->cls == CLASS_INT ? (float)v->integer : (float)v->natural;
}

static double double_of(const struct number *v)
{
    return v->cls == CLASS_FLOAT ? v->real : v->cls == CLASS_INT ? (double)v->integer : (double)v->natural;
}

static bool truth_of(const struct number *v)
{
    return v->cls == CLASS_FLOAT ? v->real != 0 : v->cls == CLASS_INT ? v->integer != 0 : v->natural != 0;
}

static void write_number(enum dtype t, void *p, const struct number *v)
{
    if (t == DT_bool) {
        *(uint8_t *)p = truth_of(v);
    } else if (t == DT_float32) {
        float x = float_of(v);
        memcpy(p, &x, sizeof x);
    } else if (t == DT_float64) {
        double x = double_of(v);
        memcpy(p, &x, sizeof x);
    } else if (type_is_storage(t)) {
        /* integers pass through `compute`, as they do on every device */
        uint16_t x = half_bits(type_table[t].mantissa, v->cls == CLASS_FLOAT ? v->real : (double)float_of(v));
        memcpy(p, &x, sizeof x);
    } else {
        uint64_t x = integer_of(v, t);
        memcpy(p, &x, type_table[t].size); /* little-endian: the low bytes */
    }
}

void eval_cast(enum dtype to, void *out, enum dtype from, const void *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct number v = read_number(from, (const char *)x + i * type_table[from].size);
        write_number(to, (char *)out + i * type_table[to].size, &v);
    }
}

static uint16_t canonical_half(unsigned mantissa, uint16_t bits)
{
    uint16_t infinite = (uint16_t)((2 * half_bias(mantissa) + 1) << mantissa);
    return (bits & 0x7fff) > infinite ? (uint16_t)(infinite | 1u << (mantissa - 1)) : bits;
}

void eval_canonical(enum dtype t, void *x, size_t n)
{
    for (size_t i = 0; t == DT_float32 && i < n; i++)
        ((float *)x)[i] = canonical_float(((float *)x)[i]);
    for (size_t i = 0; t == DT_float64 && i < n; i++)
        ((double *)x)[i] = canonical_double(((double *)x)[i]);
    for (size_t i = 0; type_is_storage(t) && i < n; i++)
        ((uint16_t *)x)[i] = canonical_half(type_table[t].mantissa, ((uint16_t *)x)[i]);
}

void eval_bitcast(enum dtype to, void *out, enum dtype from, const void *x, size_t n)
{
    memcpy(out, x, n * type_table[to].size);
    if (type_table[from].cls != CLASS_FLOAT)
        return;
    enum dtype bits = from;
    eval_canonical(bits, out, n);
}
