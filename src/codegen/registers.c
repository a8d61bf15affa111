/* What takes exactly a register at a time, for vectors of several: each register of them in turn, lowest first, and the results put together again. */
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

/* Of the elements from..from + w of each value. */
static val of_part(struct gen *g, const val *v, unsigned n, unsigned from, unsigned w, of_register *of,
                   void *with)
{
    enum { MOST_VALUES = 2 };
    val part[MOST_VALUES];
    for (unsigned i = n; i-- > 0;)
        part[i] = ll_part(&g->l, v[i], from, w);
    return by_registers(g, part, n, of, with);
}

val by_registers(struct gen *g, const val *v, unsigned n, of_register *of, void *with)
{
    unsigned half = ll_width(v[0]) / 2;
    if (half < register_width(g, v[0]))
        return of(g, v, with);
    val low = of_part(g, v, n, 0, half, of, with);
    return ll_join(&g->l, low, of_part(g, v, n, half, half, of, with));
}
