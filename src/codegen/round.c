/*
 * floor, ceil, trunc and rint for processors without an instruction for them (before SSE4.1), where LLVM would call the C
 * library. A sum with the smallest float that has no fraction rounds to an integer, ties to even; larger ones are integers.
 */
#include "gen.h"

static val like(struct gen *g, val v, double x)
{
    type t = LLVMTypeOf(v);
    return ll_splat(&g->l, LLVMConstReal(ll_scalar(t), x), ll_width(v));
}

static val compare(struct gen *g, LLVMRealPredicate how, val a, val b)
{
    return LLVMBuildFCmp(g->l.b, how, a, b, "");
}

static val with_sign(struct gen *g, val v, val sign)
{
    type t = LLVMTypeOf(v);
    val args[] = {v, sign};
    return ll_intrinsic(&g->l, "llvm.copysign", &t, 1, args, 2);
}

static val nearest(struct gen *g, val v, val whole)
{
    val size = ll_intrinsic1(&g->l, "llvm.fabs", v);
    val r = LLVMBuildFSub(g->l.b, LLVMBuildFAdd(g->l.b, size, whole, ""), whole, "");
    return with_sign(g, r, v);
}

/* One back where the nearest lies on the wrong side of v. */
static val back(struct gen *g, val r, val wrong, double by)
{
    return ll_select(&g->l, wrong, LLVMBuildFAdd(g->l.b, r, like(g, r, by), ""), r);
}

val round_emit(struct gen *g, enum prim prim, val v)
{
    bool wide = ll_scalar(LLVMTypeOf(v)) == g->l.f64;
    val whole = like(g, v, wide ? 0x1p52 : 0x1p23), r = nearest(g, v, whole), up = compare(g, LLVMRealOGT, r, v), down = compare(g, LLVMRealOLT, r, v);
    val negative = compare(g, LLVMRealOLT, v, like(g, v, 0));
    if (prim == PRIM_ffloor)
        r = back(g, r, up, -1);
    else if (prim == PRIM_fceil)
        r = back(g, r, down, 1);
    else if (prim == PRIM_ftrunc)
        r = ll_select(&g->l, negative, back(g, r, down, 1), back(g, r, up, -1));
    val small = compare(g, LLVMRealOLT, ll_intrinsic1(&g->l, "llvm.fabs", v), whole);
    return ll_select(&g->l, small, with_sign(g, r, v), v);
}
