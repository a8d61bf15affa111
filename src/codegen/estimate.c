/*
 * A CPU's estimates of 1 / x and 1 / sqrt(x), from which fast mode (quick.c) and roots by steps (wide.c) go on: 14 bits with AVX-512, for float64 too; else
 * 12 bits and float32 only. Zeros, infinities and nans give what they should; other bits differ from one kind of processor to another.
 */
#include <stdio.h>
#include "gen.h"

/* By an instruction for vectors of exactly this width. */
static val by_instruction(struct gen *g, enum estimate e, val v)
{
    struct ll *l = &g->l;
    unsigned bits = ll_width(v) * (ll_is_wide(l, v) ? 64 : 32);
    const char *kind = e == ROOT ? "rsqrt" : "rcp";
    char name[48];
    if (!gen_has_avx512(g)) {
        snprintf(name, sizeof name, bits == 256 ? "llvm.x86.avx.%s.ps.256" : "llvm.x86.sse.%s.ps", kind);
        return ll_intrinsic(l, name, NULL, 0, &v, 1);
    }
    snprintf(name, sizeof name, "llvm.x86.avx512.%s14.p%c.%u", kind, ll_is_wide(l, v) ? 'd' : 's', bits);
    type mask = LLVMIntTypeInContext(l->ctx, ll_width(v) > 8 ? 16 : 8);
    val args[] = {v, LLVMConstNull(LLVMTypeOf(v)), LLVMConstAllOnes(mask)};
    return ll_intrinsic(l, name, NULL, 0, args, 3);
}

/* What is shorter than the shortest register is filled up. */
static val in_register(struct gen *g, const val *v, void *with)
{
    const enum estimate *e = with;
    struct ll *l = &g->l;
    unsigned w = ll_width(*v), least = 128 / (ll_is_wide(l, *v) ? 64 : 32);
    if (w >= least)
        return by_instruction(g, *e, *v);
    val wide = ll_splat(l, ll_extract(l, *v, 0), least);
    for (unsigned i = 1; i < w; i++)
        wide = ll_insert(l, wide, ll_extract(l, *v, i), i);
    return ll_part(l, by_instruction(g, *e, wide), 0, w);
}

val estimate_cpu(struct gen *g, enum estimate e, val v)
{
    return by_registers(g, &v, 1, in_register, &e);
}
