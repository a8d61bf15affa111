/* What takes exactly a register at a time, for vectors of several: each register of them in turn, lowest first, and the results put together again. */
#include <stdio.h>
#include <string.h>
#include "gen.h"

unsigned register_width(const struct gen *g, val like)
{
    type t = ll_scalar(LLVMTypeOf(like));
    return g->target->vector_bits / (t == g->l.f64 || t == g->l.i64 ? 64 : 32);
}

bool fills_registers(const struct gen *g, val v)
{
    return ll_width(v) >= register_width(g, v);
}

val by_registers(struct gen *g, const val *v, unsigned n, of_register *of, void *with)
{
    enum { MOST_VALUES = 2 };
    unsigned half = ll_width(v[0]) / 2;
    val part[MOST_VALUES], done[2];
    if (half < register_width(g, v[0]))
        return of(g, v, with);
    for (unsigned k = 0; k < 2; k++) {
        for (unsigned i = 0; i < n; i++)
            part[i] = ll_part(&g->l, v[i], k * half, half);
        done[k] = by_registers(g, part, n, of, with);
    }
    return ll_join(&g->l, done[0], done[1]);
}

val by_avx512(struct gen *g, const char *name, const val *v, unsigned n)
{
    enum { MOST = 4, ROUND_AS_EVER = 4 };
    struct ll *l = &g->l;
    char whole[64];
    val args[MOST + 2];
    memcpy(args, v, n * sizeof *v);
    args[n] = LLVMConstAllOnes(LLVMIntTypeInContext(l->ctx, ll_width(v[0])));
    args[n + 1] = ll_i32(l, ROUND_AS_EVER);
    snprintf(whole, sizeof whole, "llvm.x86.avx512.mask.%s.p%c.512", name, ll_is_wide(l, v[0]) ? 'd' : 's');
    return ll_intrinsic(l, whole, NULL, 0, args, n + 2);
}
