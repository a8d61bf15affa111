/*
 * Division and square root of numbers far from overflow and underflow, correctly rounded as the general ones. A CPU has an instruction for each,
 * and wide vectors a quicker root (wide.c); a GPU takes an estimate and steps of Newton's and Markstein's (Markstein 1990), and is spared the checks and the calls
 * of the general operation, of which each element has its own, one after another.
 */
#include "gen.h"

/* libNVVM is not known to take the intrinsics. */
static bool has_estimate(const struct gen *g)
{
    return g->gpu && g->target->generator == GENERATOR_NVPTX;
}

static val estimate(struct ll *l, const char *name, val v)
{
    val r = LLVMGetPoison(LLVMTypeOf(v));
    for (unsigned i = 0; i < ll_width(v); i++) {
        val one = ll_extract(l, v, i);
        r = ll_insert(l, r, ll_intrinsic(l, name, NULL, 0, &one, 1), i);
    }
    return r;
}

/* 1 - a b */
static val lack(struct ll *l, val a, val b)
{
    return ll_fma(l, LLVMBuildFNeg(l->b, a, ""), b, ll_real(l, a, 1));
}

/* of float64 the estimate has 20 bits (and a last one, so that it is no power of two): a step of the third order, then one of the second */
static val reciprocal(struct ll *l, val v)
{
    val r = estimate(l, ll_is_wide(l, v) ? "llvm.nvvm.rcp.approx.ftz.d" : "llvm.nvvm.rcp.approx.ftz.f", v);
    if (ll_is_wide(l, v)) {
        val words = LLVMBuildBitCast(l->b, r, ll_vec(l->i64, ll_width(v)), "");
        r = LLVMBuildBitCast(l->b, LLVMBuildOr(l->b, words, ll_splat(l, ll_i64(l, 1), ll_width(v)), ""),
                             LLVMTypeOf(v), "");
        val e = lack(l, v, r);
        r = ll_fma(l, r, ll_fma(l, e, e, e), r);
    }
    return ll_fma(l, r, lack(l, v, r), r);
}

val tame_divide(struct gen *g, val a, val b)
{
    struct ll *l = &g->l;
    if (!has_estimate(g))
        return LLVMBuildFDiv(l->b, a, b, "");
    val r = reciprocal(l, b), q = LLVMBuildFMul(l->b, a, r, "");
    return ll_fma(l, r, ll_fma(l, LLVMBuildFNeg(l->b, b, ""), q, a), q);
}

val tame_sqrt(struct gen *g, val v)
{
    struct ll *l = &g->l;
    if (!has_estimate(g))
        return wide_tame_sqrt(g, v);
    val r = estimate(l, ll_is_wide(l, v) ? "llvm.nvvm.rsqrt.approx.ftz.d" : "llvm.nvvm.rsqrt.approx.ftz.f", v);
    if (ll_is_wide(l, v)) {
        val e = lack(l, v, LLVMBuildFMul(l->b, r, r, ""));
        r = ll_fma(l, ll_fma(l, e, ll_real(l, v, 0.375), ll_real(l, v, 0.5)), LLVMBuildFMul(l->b, r, e, ""), r);
    }
    val s = LLVMBuildFMul(l->b, v, r, ""), half = LLVMBuildFMul(l->b, r, ll_real(l, r, 0.5), "");
    return ll_fma(l, ll_fma(l, LLVMBuildFNeg(l->b, s, ""), s, v), half, s);
}
