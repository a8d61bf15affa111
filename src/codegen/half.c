/*
 * float16 and bfloat16: kept as 16-bit integers, computed with as float32. Processors that have an instruction for
 * float16 use it; elsewhere, and for bfloat16, integer operations give the same bits. Never a call into a library.
 */
#include "gen.h"

static type words_like(struct gen *g, val v)
{
    return ll_vec(g->l.i32, ll_width(v));
}

static type halves_like(struct gen *g, val v)
{
    return ll_vec(LLVMIntTypeInContext(g->l.ctx, 16), ll_width(v));
}

static val word(struct gen *g, val like, uint32_t bits)
{
    return ll_splat(&g->l, LLVMConstInt(g->l.i32, bits, 0), ll_width(like));
}

static val to_words(struct gen *g, val v)
{
    return LLVMBuildBitCast(g->l.b, v, words_like(g, v), "");
}

static val to_floats(struct gen *g, val v)
{
    return LLVMBuildBitCast(g->l.b, v, ll_vec(g->l.f32, ll_width(v)), "");
}

static type half_like(struct gen *g, val v)
{
    return ll_vec(LLVMHalfTypeInContext(g->l.ctx), ll_width(v));
}

static uint32_t infinity_of(enum dtype t)
{
    return 0x7fffu >> type_table[t].mantissa << type_table[t].mantissa;
}

static uint32_t nan_of(enum dtype t)
{
    return infinity_of(t) | 1u << (type_table[t].mantissa - 1);
}

/* The exponent is moved by multiplying, which puts subnormals right as well; infinities and nans get theirs back. */
static val widen_by_hand(struct gen *g, val w)
{
    LLVMBuilderRef b = g->l.b;
    val size = LLVMBuildAnd(b, w, word(g, w, 0x7fff), ""), sign = LLVMBuildShl(b, LLVMBuildAnd(b, w, word(g, w, 0x8000), ""), word(g, w, 16), "");
    val shifted = LLVMBuildShl(b, size, word(g, w, 13), "");
    val scale = ll_splat(&g->l, LLVMConstReal(g->l.f32, 0x1p112), ll_width(w));
    val finite = to_words(g, LLVMBuildFMul(b, to_floats(g, shifted), scale, ""));
    val special = LLVMBuildOr(b, shifted, word(g, w, 0x7f800000), "");
    val bits = ll_select(&g->l, LLVMBuildICmp(b, LLVMIntUGE, size, word(g, w, 0x7c00), ""), special, finite);
    return to_floats(g, LLVMBuildOr(b, bits, sign, ""));
}

val half_widen(struct gen *g, val v, enum dtype from)
{
    LLVMBuilderRef b = g->l.b;
    if (from == DT_float16 && g->target->has_half)
        return LLVMBuildFPExt(b, LLVMBuildBitCast(b, v, half_like(g, v), ""), ll_vec(g->l.f32, ll_width(v)), "");
    val w = LLVMBuildZExt(b, v, words_like(g, v), "");
    return from == DT_float16 ? widen_by_hand(g, w) : to_floats(g, LLVMBuildShl(b, w, word(g, w, 16), ""));
}

/* Drops `cut` bits of a size (no sign), to nearest even. */
static val round_off(struct gen *g, val size, unsigned cut)
{
    LLVMBuilderRef b = g->l.b;
    val odd = LLVMBuildAnd(b, LLVMBuildLShr(b, size, word(g, size, cut), ""), word(g, size, 1), "");
    val up = LLVMBuildAdd(b, odd, word(g, size, (1u << (cut - 1)) - 1), "");
    return LLVMBuildLShr(b, LLVMBuildAdd(b, size, up, ""), word(g, size, cut), "");
}

/* Normal results by integer rounding; for subnormal ones adding 0.5 rounds, since its last place is theirs. */
static val size_of_float16(struct gen *g, val size)
{
    LLVMBuilderRef b = g->l.b;
    val normal = round_off(g, LLVMBuildSub(b, size, word(g, size, 0x38000000), ""), 13);
    val half = ll_splat(&g->l, LLVMConstReal(g->l.f32, 0.5), ll_width(size));
    val sum = to_words(g, LLVMBuildFAdd(b, to_floats(g, size), half, ""));
    val tiny = LLVMBuildSub(b, sum, word(g, size, 0x3f000000), "");
    val r = ll_select(&g->l, LLVMBuildICmp(b, LLVMIntULT, size, word(g, size, 0x38800000), ""), tiny, normal);
    return ll_select(&g->l, LLVMBuildICmp(b, LLVMIntUGE, size, word(g, size, 0x47800000), ""), word(g, size, 0x7c00), r);
}

val half_narrow(struct gen *g, val v, enum dtype to)
{
    LLVMBuilderRef b = g->l.b;
    if (to == DT_float16 && g->target->has_half)
        return LLVMBuildBitCast(b, LLVMBuildFPTrunc(b, v, half_like(g, v), ""), halves_like(g, v), "");
    val w = to_words(g, v), size = LLVMBuildAnd(b, w, word(g, w, 0x7fffffff), "");
    val sign = LLVMBuildAnd(b, LLVMBuildLShr(b, w, word(g, w, 16), ""), word(g, w, 0x8000), "");
    val r = to == DT_float16 ? size_of_float16(g, size) : round_off(g, size, 16);
    r = ll_select(&g->l, LLVMBuildFCmp(b, LLVMRealUNO, v, v, ""), word(g, w, nan_of(to)), LLVMBuildOr(b, r, sign, ""));
    return LLVMBuildTrunc(b, r, halves_like(g, v), "");
}

val half_canonical_nan(struct gen *g, val v, enum dtype t)
{
    struct ll *l = &g->l;
    type i16 = LLVMIntTypeInContext(l->ctx, 16);
    unsigned w = ll_width(v);
    val size = LLVMBuildAnd(l->b, v, ll_splat(l, LLVMConstInt(i16, 0x7fff, 0), w), "");
    val is = LLVMBuildICmp(l->b, LLVMIntUGT, size, ll_splat(l, LLVMConstInt(i16, infinity_of(t), 0), w), "");
    return ll_select(l, is, ll_splat(l, LLVMConstInt(i16, nan_of(t), 0), w), v);
}

/* An inexact result takes, of its two neighbours, the one whose last bit is set: it is no tie of anything shorter. */
val half_odd(struct gen *g, val v)
{
    struct ll *l = &g->l;
    val near = LLVMBuildFPTrunc(l->b, v, ll_vec(l->f32, ll_width(v)), ""), back = LLVMBuildFPExt(l->b, near, LLVMTypeOf(v), "");
    val bits = to_words(g, near), odd = LLVMBuildAnd(l->b, bits, word(g, bits, 1), "");
    val below = LLVMBuildFCmp(l->b, LLVMRealOLT, ll_intrinsic1(l, "llvm.fabs", back), ll_intrinsic1(l, "llvm.fabs", v), "");
    val other = LLVMBuildAdd(l->b, bits, ll_select(l, below, word(g, bits, 1), word(g, bits, UINT32_MAX)), "");
    val inexact = LLVMBuildFCmp(l->b, LLVMRealONE, back, v, ""), even = ll_eq(l, odd, word(g, bits, 0));
    return to_floats(g, ll_select(l, LLVMBuildAnd(l->b, inexact, even, ""), other, bits));
}
