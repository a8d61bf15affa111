/* Of two numbers the size of the larger or of the smaller. AVX-512 has one operation for it; others make the sizes and choose. */
#include "gen.h"

static val in_register(struct gen *g, enum by_size which, val a, val b)
{
    enum { OF_SIZES = 2, NO_SIGN = 8, ROUND_AS_EVER = 4 }; /* LARGER is a bit of it too */
    struct ll *l = &g->l;
    val all = LLVMConstAllOnes(LLVMIntTypeInContext(l->ctx, ll_width(a)));
    val args[] = {a,
                  b,
                  ll_i32(l, OF_SIZES | NO_SIGN | (int)which),
                  LLVMConstNull(LLVMTypeOf(a)),
                  all,
                  ll_i32(l, ROUND_AS_EVER)};
    return ll_intrinsic(
        l, ll_is_wide(l, a) ? "llvm.x86.avx512.mask.range.pd.512" : "llvm.x86.avx512.mask.range.ps.512", NULL,
        0, args, 6);
}

static val by_registers(struct gen *g, enum by_size which, val a, val b, unsigned w)
{
    struct ll *l = &g->l;
    unsigned n = ll_width(a) / 2;
    if (n < w)
        return in_register(g, which, a, b);
    val low = by_registers(g, which, ll_part(l, a, 0, n), ll_part(l, b, 0, n), w);
    return ll_join(l, low, by_registers(g, which, ll_part(l, a, n, n), ll_part(l, b, n, n), w));
}

val by_size(struct gen *g, enum by_size which, val a, val b)
{
    struct ll *l = &g->l;
    unsigned w = ll_is_wide(l, a) ? 8 : 16;
    if (gen_has_avx512(g) && ll_width(a) >= w)
        return by_registers(g, which, a, b, w);
    val p = ll_intrinsic1(l, "llvm.fabs", a), q = ll_intrinsic1(l, "llvm.fabs", b);
    val first = LLVMBuildFCmp(l->b, LLVMRealOGT, p, q, "");
    return which == LARGER ? ll_select(l, first, p, q) : ll_select(l, first, q, p);
}
