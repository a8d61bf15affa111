/*
 * The sign of sine and cosine in the n-th quarter turn: where n's second bit is set the sign bit, else 0, as the math library writes it, (n << 30) & the sign bit
 * (float64: n << 62). AVX2 has that as one look-up by n's low bits, which runs where shuffles do and leaves what shifts and all arithmetic need alone.
 */
#include "gen.h"

static val const_like(val like, uint64_t v)
{
    return LLVMConstInt(ll_scalar(LLVMTypeOf(like)), v, 0);
}

/* float32 by the low two bits out of four numbers, float64 by the second bit out of two; the same in each half of a register. */
static val looked_up(struct gen *g, const val *n, void *unused)
{
    struct ll *l = &g->l;
    bool wide = ll_scalar(LLVMTypeOf(*n)) == l->i64;
    (void)unused;
    val plus = ll_real(l, LLVMGetPoison(wide ? l->f64 : l->f32), 0.0),
        minus = LLVMConstReal(LLVMTypeOf(plus), -0.0);
    val row[] = {plus, wide ? minus : plus, wide ? plus : minus, minus, plus, plus, minus, minus};
    val args[] = {LLVMConstVector(row, wide ? 4 : 8), *n};
    val signs = ll_intrinsic(l, wide ? "llvm.x86.avx.vpermilvar.pd.256" : "llvm.x86.avx.vpermilvar.ps.256",
                             NULL, 0, args, 2);
    return LLVMBuildBitCast(l->b, signs, LLVMTypeOf(*n), "");
}

val quarter_sign(struct gen *g, val shifted, val mask)
{
    struct ll *l = &g->l;
    bool wide = ll_scalar(LLVMTypeOf(mask)) == l->i64;
    unsigned bits = wide ? 64 : 32, w = ll_width(mask);
    if (g->gpu || g->target->vector_bits != 256 || ll_scalar(LLVMTypeOf(mask)) != (wide ? l->i64 : l->i32) ||
        !fills_registers(g, mask))
        return NULL;
    if (mask != ll_splat(l, const_like(mask, UINT64_C(1) << (bits - 1)), w) || !LLVMIsAInstruction(shifted) ||
        LLVMGetInstructionOpcode(shifted) != LLVMShl)
        return NULL;
    if (LLVMGetOperand(shifted, 1) != ll_splat(l, const_like(mask, bits - 2), w))
        return NULL;
    val n = LLVMGetOperand(shifted, 0);
    return by_registers(g, &n, 1, looked_up, NULL);
}
