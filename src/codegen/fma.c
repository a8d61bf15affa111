/*
 * fma for processors without the instruction: the same bits, from a function of the module's own that is made when it is
 * first needed. Never a call into a library.
 *
 * float32: the product is exact in float64; the sum is rounded to odd there, so that the rounding to float32 is the only
 * one that counts. float64: exact product and sums as pairs of floats, the lower parts rounded to odd, where no lane comes
 * near overflow or underflow; else integers of 128 bits, a lane after the other.
 * Boldo and Melquiond, Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd, 2008; Dekker,
 * A floating-point technique for extending the available precision, 1971; Knuth, The Art of Computer Programming, 2 (sums).
 */
#include <stdio.h>
#include "gen.h"

/* A float64 taken apart: (-1)^sign * size * 2^power, size of 53 bits with the highest set. */
struct parts {
    val size, power;
};

/* Two floats that add up to what was computed. */
struct pair {
    val high, low;
};

static val add(struct ll *l, val a, val b)
{
    return LLVMBuildFAdd(l->b, a, b, "");
}

static val sub(struct ll *l, val a, val b)
{
    return LLVMBuildFSub(l->b, a, b, "");
}

static val mul(struct ll *l, val a, val b)
{
    return LLVMBuildFMul(l->b, a, b, "");
}

static val both(struct ll *l, val a, val b)
{
    return LLVMBuildAnd(l->b, a, b, "");
}

static val either(struct ll *l, val a, val b)
{
    return LLVMBuildOr(l->b, a, b, "");
}

static val real(struct ll *l, val like, double v)
{
    return ll_splat(l, LLVMConstReal(l->f64, v), ll_width(like));
}

static val whole(struct ll *l, val like, int64_t v)
{
    type t = LLVMTypeOf(like);
    return ll_splat(l, LLVMConstInt(ll_scalar(t), (uint64_t)v, 1), ll_width(like));
}

static val to_bits(struct ll *l, val v)
{
    return LLVMBuildBitCast(l->b, v, ll_vec(l->i64, ll_width(v)), "");
}

static val to_float(struct ll *l, val v)
{
    return LLVMBuildBitCast(l->b, v, ll_vec(l->f64, ll_width(v)), "");
}

static val compare(struct ll *l, LLVMRealPredicate how, val a, val b)
{
    return LLVMBuildFCmp(l->b, how, a, b, "");
}

static val size_of(struct ll *l, val v)
{
    return ll_intrinsic1(l, "llvm.fabs", v);
}

static struct pair exact_sum(struct ll *l, val x, val y)
{
    val s = add(l, x, y), t = sub(l, s, x);
    return (struct pair){s, add(l, sub(l, x, sub(l, s, t)), sub(l, y, t))};
}

/* The upper half of the digits, by Veltkamp's splitting, and the rest. */
static struct pair halves(struct ll *l, val v)
{
    val t = mul(l, v, real(l, v, 134217729.0)), high = sub(l, t, sub(l, t, v));
    return (struct pair){high, sub(l, v, high)};
}

static struct pair exact_product(struct ll *l, val x, val y)
{
    struct pair a = halves(l, x), b = halves(l, y);
    val p = mul(l, x, y);
    val e = sub(l, sub(l, sub(l, p, mul(l, a.high, b.high)), mul(l, a.low, b.high)), mul(l, a.high, b.low));
    return (struct pair){p, sub(l, mul(l, a.low, b.low), e)};
}

/* x + y rounded to odd: where it is inexact, the one of its two neighbours whose last bit is set. */
static val odd_sum(struct ll *l, val x, val y)
{
    struct pair s = exact_sum(l, x, y);
    val bits = to_bits(l, s.high), one = whole(l, bits, 1);
    val apart = LLVMBuildAShr(l->b, LLVMBuildXor(l->b, bits, to_bits(l, s.low), ""), whole(l, bits, 63), "");
    val other = ll_add(l, bits, either(l, apart, one)); /* towards what was lost */
    val inexact = compare(l, LLVMRealONE, s.low, real(l, s.low, 0)), even = ll_eq(l, both(l, bits, one), whole(l, bits, 0));
    return to_float(l, ll_select(l, both(l, inexact, even), other, bits));
}

static val by_float64(struct ll *l, val a, val b, val c)
{
    type wide = ll_vec(l->f64, ll_width(a));
    val product = mul(l, LLVMBuildFPExt(l->b, a, wide, ""), LLVMBuildFPExt(l->b, b, wide, ""));
    return LLVMBuildFPTrunc(l->b, odd_sum(l, product, LLVMBuildFPExt(l->b, c, wide, "")), LLVMTypeOf(a), "");
}

/* ---- float64 by pairs ---- */

/* Far from overflow, and the product's error is no smaller than the smallest float. False for nans. */
static val comfortable(struct ll *l, val a, val b, val c)
{
    val p = size_of(l, mul(l, a, b)), zero = real(l, a, 0);
    val sound = both(l, compare(l, LLVMRealOLE, size_of(l, a), real(l, a, 0x1p990)), compare(l, LLVMRealOLE, size_of(l, b), real(l, a, 0x1p990)));
    sound = both(l, sound, compare(l, LLVMRealOLE, size_of(l, c), real(l, a, 0x1p1020)));
    sound = both(l, sound, compare(l, LLVMRealOLE, p, real(l, a, 0x1p1020)));
    val none = either(l, compare(l, LLVMRealOEQ, a, zero), compare(l, LLVMRealOEQ, b, zero));
    return both(l, sound, either(l, none, compare(l, LLVMRealOGE, p, real(l, a, 0x1p-960))));
}

static val by_pairs(struct ll *l, val a, val b, val c)
{
    struct pair u = exact_product(l, a, b), t = exact_sum(l, c, u.low), v = exact_sum(l, u.high, t.high);
    val sum = add(l, v.high, odd_sum(l, t.low, v.low));
    val nothing = compare(l, LLVMRealOEQ, u.high, real(l, a, 0)); /* the sign of a zero comes from product and c alone */
    return ll_select(l, nothing, add(l, u.high, c), sum);
}

/* ---- float64 by integers ---- */

static val largest(struct ll *l, val a, val b)
{
    return ll_select(l, LLVMBuildICmp(l->b, LLVMIntSGT, a, b, ""), a, b);
}

static val leading_zeros(struct ll *l, val v)
{
    type t = LLVMTypeOf(v);
    val args[] = {v, LLVMConstNull(l->i1)};
    return ll_intrinsic(l, "llvm.ctlz", &t, 1, args, 2);
}

static struct parts apart(struct ll *l, val x)
{
    val bits = to_bits(l, x), power = both(l, LLVMBuildLShr(l->b, bits, ll_i64(l, 52), ""), ll_i64(l, 0x7ff));
    val size = both(l, bits, ll_i64(l, (INT64_C(1) << 52) - 1)), by = ll_sub(l, leading_zeros(l, size), ll_i64(l, 11));
    val tiny = ll_eq(l, power, ll_i64(l, 0));
    size = ll_select(l, tiny, LLVMBuildShl(l->b, size, by, ""), either(l, size, ll_i64(l, INT64_C(1) << 52)));
    power = ll_select(l, tiny, ll_sub(l, ll_i64(l, 1), by), power);
    return (struct parts){size, ll_sub(l, power, ll_i64(l, 1075))};
}

static val widened(struct ll *l, val v)
{
    return LLVMBuildZExt(l->b, v, LLVMIntTypeInContext(l->ctx, 128), "");
}

/* v >> n, its last bit set where anything was lost; n is 0 or more, and 127 stands for all that are larger. */
static val jammed(struct ll *l, val v, val n)
{
    val by = widened(l, ll_min(l, n, ll_i64(l, 127))), kept = LLVMBuildLShr(l->b, v, by, "");
    val lost = LLVMBuildICmp(l->b, LLVMIntNE, LLVMBuildShl(l->b, kept, by, ""), v, "");
    return either(l, kept, LLVMBuildZExt(l->b, lost, LLVMTypeOf(v), ""));
}

static val signed_by(struct ll *l, val negative, val v)
{
    return ll_select(l, negative, LLVMBuildNeg(l->b, v, ""), v);
}

static val is_negative(struct ll *l, val v)
{
    return LLVMBuildICmp(l->b, LLVMIntSLT, v, LLVMConstNull(LLVMTypeOf(v)), "");
}

/* size * 2^power to nearest even, as bits without a sign; size is not negative. */
static val rounded(struct ll *l, val size, val power)
{
    val empty = LLVMBuildTrunc(l->b, leading_zeros(l, size), l->i64, ""), up = ll_min(l, empty, ll_i64(l, 127));
    val top = ll_add(l, power, ll_sub(l, ll_i64(l, 127), up)); /* exponent of the highest bit */
    val below = largest(l, ll_sub(l, ll_i64(l, -1022), top), ll_i64(l, 0));
    val cut = ll_add(l, ll_i64(l, 73), below);
    val kept = LLVMBuildTrunc(l->b, jammed(l, LLVMBuildShl(l->b, size, widened(l, up), ""), cut), l->i64, ""); /* two bits more than stay */
    val q = LLVMBuildLShr(l->b, kept, ll_i64(l, 2), ""), rest = ll_add(l, both(l, kept, ll_i64(l, 3)), both(l, q, ll_i64(l, 1)));
    val more = LLVMBuildZExt(l->b, LLVMBuildICmp(l->b, LLVMIntUGT, rest, ll_i64(l, 2), ""), l->i64, "");
    val exponent = LLVMBuildShl(l->b, largest(l, ll_add(l, top, ll_i64(l, 1022)), ll_i64(l, 0)), ll_i64(l, 52), "");
    val bits = ll_add(l, exponent, ll_add(l, q, more)); /* the highest bit of q counts one up in the exponent */
    return ll_select(l, LLVMBuildICmp(l->b, LLVMIntSGT, top, ll_i64(l, 1023), ""), ll_i64(l, 0x7ff0000000000000), bits);
}

/* Of finite numbers that are not zero. Product and c with their highest bits at 124 or 125 of 128; the smaller is shifted down. */
static val by_integers(struct ll *l, val a, val b, val c)
{
    struct parts x = apart(l, a), y = apart(l, b), z = apart(l, c);
    type wide = LLVMIntTypeInContext(l->ctx, 128);
    val product = LLVMBuildShl(l->b, LLVMBuildMul(l->b, widened(l, x.size), widened(l, y.size), ""), LLVMConstInt(wide, 20, 0), "");
    val third = LLVMBuildShl(l->b, widened(l, z.size), LLVMConstInt(wide, 73, 0), "");
    val p = ll_sub(l, ll_add(l, x.power, y.power), ll_i64(l, 20)), q = ll_sub(l, z.power, ll_i64(l, 73)), power = largest(l, p, q);
    val sign = LLVMBuildXor(l->b, to_bits(l, a), to_bits(l, b), "");
    product = signed_by(l, is_negative(l, sign), jammed(l, product, ll_sub(l, power, p)));
    third = signed_by(l, is_negative(l, to_bits(l, c)), jammed(l, third, ll_sub(l, power, q)));
    val sum = ll_add(l, product, third), negative = is_negative(l, sum);
    val bits = rounded(l, signed_by(l, negative, sum), power);
    bits = either(l, bits, ll_select(l, negative, ll_i64(l, INT64_MIN), ll_i64(l, 0)));
    return to_float(l, ll_select(l, ll_eq(l, sum, LLVMConstNull(wide)), ll_i64(l, 0), bits));
}

static val is_usual(struct ll *l, val v) /* finite, not zero */
{
    val size = size_of(l, v);
    return both(l, compare(l, LLVMRealOGT, size, real(l, v, 0)), compare(l, LLVMRealOLT, size, real(l, v, 1.0 / 0.0)));
}

/* One float64 of any kind. Zeros, infinities and nans need no rounding, or none but the product's. */
static val one_float64(struct ll *l, val a, val b, val c)
{
    val product = mul(l, a, b), finite = compare(l, LLVMRealOLT, size_of(l, c), real(l, c, 1.0 / 0.0));
    val alone = ll_select(l, finite, product, c); /* c is 0, or not finite */
    val r = ll_select(l, is_usual(l, c), by_integers(l, a, b, c), alone);
    return ll_select(l, both(l, is_usual(l, a), is_usual(l, b)), r, add(l, product, c));
}

/* ---- functions ---- */

typedef void fill_fn(struct gen *g, val a, val b, val c); /* emits a function's body */

static val function(struct gen *g, const char *name, type t, fill_fn *fill)
{
    struct ll *l = &g->l;
    val outer = l->fn, fn = LLVMGetNamedFunction(l->mod, name);
    type params[] = {t, t, t};
    if (fn)
        return fn;
    block here = ll_here(l);
    l->fn = fn = LLVMAddFunction(l->mod, name, LLVMFunctionType(t, params, 3, 0));
    LLVMSetLinkage(fn, LLVMInternalLinkage);
    ll_at(l, ll_block(l, "entry"));
    fill(g, LLVMGetParam(fn, 0), LLVMGetParam(fn, 1), LLVMGetParam(fn, 2));
    l->fn = outer;
    ll_at(l, here);
    return fn;
}

static val call(struct gen *g, val fn, val a, val b, val c)
{
    val args[] = {a, b, c};
    return LLVMBuildCall2(g->l.b, LLVMGlobalGetValueType(fn), fn, args, 3, "");
}

static void fill_one(struct gen *g, val a, val b, val c)
{
    LLVMBuildRet(g->l.b, one_float64(&g->l, a, b, c));
}

static void fill_float32(struct gen *g, val a, val b, val c)
{
    LLVMBuildRet(g->l.b, by_float64(&g->l, a, b, c));
}

static void fill_float64(struct gen *g, val a, val b, val c)
{
    struct ll *l = &g->l;
    val all = LLVMBuildNot(l->b, comfortable(l, a, b, c), ""), r = LLVMGetPoison(LLVMTypeOf(a));
    block quick = ll_block(l, "pairs"), slow = ll_block(l, "integers");
    ll_cond(l, prim_any(g, all), slow, quick);
    ll_at(l, quick);
    LLVMBuildRet(l->b, by_pairs(l, a, b, c));
    ll_at(l, slow);
    val one = function(g, "fma_one_float64", l->f64, fill_one);
    for (unsigned i = 0; i < ll_width(a); i++)
        r = ll_insert(l, r, call(g, one, ll_extract(l, a, i), ll_extract(l, b, i), ll_extract(l, c, i)), i);
    LLVMBuildRet(l->b, r);
}

val fma_emit(struct gen *g, val a, val b, val c)
{
    type t = LLVMTypeOf(a);
    bool wide = ll_scalar(t) == g->l.f64;
    char name[32];
    snprintf(name, sizeof name, "fma_float%d_%u", wide ? 64 : 32, ll_width(a));
    return call(g, function(g, name, t, wide ? fill_float64 : fill_float32), a, b, c);
}
