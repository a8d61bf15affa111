/* Of two numbers the size of the larger or of the smaller. AVX-512 has one operation for it; others make the sizes and choose. */
#include "gen.h"

static val in_register(struct gen *g, const val *v, void *with)
{
    enum { OF_SIZES = 2, NO_SIGN = 8 }; /* LARGER is a bit of it too */
    const enum by_size *which = with;
    val how = ll_i32(&g->l, OF_SIZES | NO_SIGN | (int)*which);
    return by_avx512(g, "range", (val[]){v[0], v[1], how, LLVMConstNull(LLVMTypeOf(v[0]))}, 4);
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
