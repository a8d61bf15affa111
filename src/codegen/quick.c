/*
 * Fast mode's division and reciprocal square root: the processor's estimate and a step of Newton's, where it has an estimate
 * and that is quicker, else the plain operations. Zeros, infinities and nans give what they should; float32 divisors beyond 2**125 (whose estimate some processors flush), and subnormal
 * ones, need not. Results differ from one kind of processor to another.
 */
#include "gen.h"

static val on_gpu(struct gen *g, enum estimate e, val v)
{
    struct ll *l = &g->l;
    val r = LLVMGetPoison(LLVMTypeOf(v));
    for (unsigned i = 0; i < ll_width(v); i++) {
        val one = ll_extract(l, v, i);
        r = ll_insert(l, r, ll_intrinsic(l, e == ROOT ? "llvm.nvvm.rsqrt.approx.f" : "llvm.nvvm.rcp.approx.ftz.f", NULL, 0, &one, 1), i);
    }
    return r;
}

/* A CPU divides beside what else it computes, for nothing where there is enough of that: eight operations hide a division. */
static bool hidden(const struct gen *g)
{
    enum { ENOUGH = 8 };
    const struct loop_body *b = &g->nest->main;
    unsigned divisions = 0;
    for (uint32_t i = 0; i < b->order.n; i++) {
        unsigned op = ir_at(g->ir, b->order.at[i])->op;
        divisions += op == OP_quick_divide || op == OP_quick_rsqrt;
    }
    return b->order.n > (ENOUGH + 1) * divisions;
}

/* Is there an estimate, and fma to go on from it? libNVVM is not known to take the intrinsics. */
static bool has_estimate(const struct gen *g, val v)
{
    bool wide = ll_is_wide(&g->l, v);
    if (g->gpu)
        return !wide && g->target->generator == GENERATOR_NVPTX;
    return !hidden(g) && g->target->has_fma && (!wide || g->target->vector_bits == 512);
}

/* What a step made of the estimate, unless the estimate is 0, infinite or nan: those are right as they are. */
static val sound(struct ll *l, val error, val better, val rough)
{
    return ll_select(l, LLVMBuildFCmp(l->b, LLVMRealORD, error, error, ""), better, rough);
}

static val reciprocal_step(struct ll *l, val v, val r)
{
    val e = ll_fma(l, LLVMBuildFNeg(l->b, v, ""), r, ll_real(l, v, 1));
    return sound(l, e, ll_fma(l, e, r, r), r);
}

static val root_step(struct ll *l, val v, val r)
{
    val t = LLVMBuildFMul(l->b, v, r, ""), e = ll_fma(l, LLVMBuildFNeg(l->b, t, ""), r, ll_real(l, v, 1));
    return sound(l, e, ll_fma(l, LLVMBuildFMul(l->b, r, ll_real(l, v, 0.5), ""), e, r), r);
}

val quick_divide(struct gen *g, val a, val b)
{
    struct ll *l = &g->l;
    if (ll_is_wide(l, b) || !has_estimate(g, b))
        return LLVMBuildFDiv(l->b, a, b, "");
    val r = g->gpu ? on_gpu(g, RECIPROCAL, b) : reciprocal_step(l, b, estimate_cpu(g, RECIPROCAL, b));
    return LLVMBuildFMul(l->b, a, r, "");
}

val quick_rsqrt(struct gen *g, val v)
{
    struct ll *l = &g->l;
    if (!has_estimate(g, v))
        return LLVMBuildFDiv(l->b, ll_real(l, v, 1), ll_intrinsic1(l, "llvm.sqrt", v), "");
    if (g->gpu)
        return on_gpu(g, ROOT, v);
    val r = root_step(l, v, estimate_cpu(g, ROOT, v));
    return ll_is_wide(l, v) ? root_step(l, v, r) : r;
}
