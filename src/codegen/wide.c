/*
 * Square roots of AVX-512's vectors, correctly rounded as the instruction's: its 14 bits of 1 / sqrt(x), steps that make it good but for a last bit or two, and
 * the root from that with its own residual (Markstein 1990). The instruction takes 24 cycles for eight elements (float32: 12 for sixteen) in which nothing else
 * is divided or rooted; the steps take two operations a cycle of those that all else takes too. So of the registers of one turn some take the one and the others
 * the other, at the same time: see divider.c.
 *
 * The result is the correctly rounded one whatever the estimate is, if only it is within 2**-14: processors' estimates differ. float32: gone through for all x of
 * two binades and all such estimates. float64: 1 / sqrt(x) comes out within half a unit in the last place and 0.62 * 2**-53; an x whose root is so near the
 * middle of two floats that this could turn the result is n (n + 1) + j, n the root of its 53 digits, with |j| < 18, and those were gone through with every such 1 / sqrt(x).
 */
#include "gen.h"

/* 1 / sqrt(x) by steps, and what follows from it: near the root, and half of 1 / sqrt(x). */
struct near {
    val root, half;
};

static struct near near_float32(struct ll *l, val x, val r)
{
    val s = LLVMBuildFMul(l->b, x, r, ""), h = LLVMBuildFMul(l->b, r, ll_real(l, r, 0.5), "");
    val e = ll_fma(l, LLVMBuildFNeg(l->b, s, ""), h, ll_real(l, r, 0.5));
    return (struct near){ll_fma(l, s, e, s), ll_fma(l, h, e, h)};
}

/* (1 - e)**(-1/2) - 1 = e (1/2 + 3/8 e + 5/16 e**2) for |e| <= 2**-13, but that the middle coefficient takes most of the next power's part */
static struct near near_float64(struct ll *l, val x, val r)
{
    val s = LLVMBuildFMul(l->b, x, r, ""), e = ll_fma(l, LLVMBuildFNeg(l->b, s, ""), r, ll_real(l, r, 1));
    val p = ll_fma(l, ll_fma(l, e, ll_real(l, e, 0.3125), ll_real(l, e, 0.37500000337395814)), e,
                   ll_real(l, e, 0.5));
    r = ll_fma(l, LLVMBuildFMul(l->b, r, e, ""), p, r);
    return (struct near){LLVMBuildFMul(l->b, x, r, ""), LLVMBuildFMul(l->b, r, ll_real(l, r, 0.5), "")};
}

static val tame(struct gen *g, val x)
{
    struct ll *l = &g->l;
    val r = estimate_cpu(g, ROOT, x);
    struct near s = ll_is_wide(l, x) ? near_float64(l, x, r) : near_float32(l, x, r);
    return ll_fma(l, ll_fma(l, LLVMBuildFNeg(l->b, s.root, ""), s.root, x), s.half, s.root);
}

/* Any x: the residual of small ones would underflow, so they are scaled; of negative ones and nans the estimate is nan. */
static val any(struct gen *g, val x)
{
    struct ll *l = &g->l;
    bool wide = ll_is_wide(l, x);
    val small = LLVMBuildFCmp(l->b, LLVMRealOLT, x, ll_real(l, x, wide ? 0x1p-900 : 0x1p-60), "");
    x = ll_select(l, small, LLVMBuildFMul(l->b, x, ll_real(l, x, wide ? 0x1p200 : 0x1p100), ""), x);
    val v = gen_by_class(g, tame(g, x), x, BY_CLASS(ZERO) | BY_CLASS(INFINITE)); /* which are their own roots */
    return ll_select(l, small, LLVMBuildFMul(l->b, v, ll_real(l, x, wide ? 0x1p-100 : 0x1p-50), ""), v);
}

typedef val root(struct gen *g, val x);

/* Of the registers of a turn those before the one numbered `steps_from` take the instruction. */
struct turn {
    unsigned number, steps_from; /* number: of the one at hand */
    root *by_steps;
};

static val root_of_register(struct gen *g, const val *x, void *with)
{
    struct turn *t = with;
    return t->number++ < t->steps_from ? ll_intrinsic1(&g->l, "llvm.sqrt", *x) : t->by_steps(g, *x);
}

static val root_of(struct gen *g, val x, root *by_steps)
{
    unsigned w = register_width(g, x), turn = g->turn.width > ll_width(x) ? g->turn.width : ll_width(x);
    if (!gen_has_avx512(g) || !fills_registers(g, x))
        return ll_intrinsic1(&g->l, "llvm.sqrt", x);
    return by_registers(g, &x, 1, root_of_register,
                        &(struct turn){g->turn.at / w, divider_share(g, turn / w), by_steps});
}

val wide_sqrt(struct gen *g, val v)
{
    return root_of(g, v, any);
}

val wide_tame_sqrt(struct gen *g, val v)
{
    return root_of(g, v, tame);
}
