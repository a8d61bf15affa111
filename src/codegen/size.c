/* Of two numbers the size of the larger or of the smaller. AVX-512 has one operation for it; others make the sizes and choose. */
#include "gen.h"

static val in_register(struct gen *g, const val *v, void *with)
{
    enum { OF_SIZES = 2, NO_SIGN = 8, ROUND_AS_EVER = 4 }; /* LARGER is a bit of it too */
    const enum by_size *which = with;
    struct ll *l = &g->l;
    val all = LLVMConstAllOnes(LLVMIntTypeInContext(l->ctx, ll_width(v[0])));
    val args[] = {v[0],
                  v[1],
                  ll_i32(l, OF_SIZES | NO_SIGN | (int)*which),
                  LLVMConstNull(LLVMTypeOf(v[0])),
                  all,
                  ll_i32(l, ROUND_AS_EVER)};
    return ll_intrinsic(
        l, ll_is_wide(l, v[0]) ? "llvm.x86.avx512.mask.range.pd.512" : "llvm.x86.avx512.mask.range.ps.512",
        NULL, 0, args, 6);
}

val by_size(struct gen *g, enum by_size which, val a, val b)
{
    struct ll *l = &g->l;
    if (gen_has_avx512(g) && fills_registers(g, a))
        return by_registers(g, (val[]){a, b}, 2, in_register, &which);
    val p = ll_intrinsic1(l, "llvm.fabs", a), q = ll_intrinsic1(l, "llvm.fabs", b);
    val first = LLVMBuildFCmp(l->b, LLVMRealOGT, p, q, "");
    return which == LARGER ? ll_select(l, first, p, q) : ll_select(l, first, q, p);
}
