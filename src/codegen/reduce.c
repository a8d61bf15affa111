/* The algebra of a reduction: what it starts from, how two results join. */
#include "gen.h"

enum dtype reduce_dtype(struct gen *g, const struct loop_reduce *r)
{
    return ir_at(g->ir, r->value)->dtype;
}

static double float_identity(const struct loop_reduce *r)
{
    switch (op_table[r->op].identity) {
    case IDENTITY_ONE:
        return 1.0;
    case IDENTITY_LOWEST:
        return -1.0 / 0.0;
    case IDENTITY_HIGHEST:
        return 1.0 / 0.0;
    default:
        return -0.0; /* -0.0 + x is x, whatever the sign of a zero */
    }
}

static uint64_t integer_identity(const struct loop_reduce *r, enum dtype t)
{
    unsigned bits = 8u * type_table[t].size;
    bool with_sign = type_table[t].cls == CLASS_INT;
    uint64_t ones = bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
    if (t == DT_bool)
        ones = 1;
    switch (op_table[r->op].identity) {
    case IDENTITY_ONE:
        return 1;
    case IDENTITY_LOWEST:
        return with_sign ? UINT64_C(1) << (bits - 1) : 0;
    case IDENTITY_HIGHEST:
        return with_sign ? ones >> 1 : ones;
    default:
        return 0;
    }
}

val reduce_identity(struct gen *g, const struct loop_reduce *r)
{
    enum dtype t = reduce_dtype(g, r);
    if (type_table[t].cls == CLASS_FLOAT)
        return LLVMConstReal(gen_type(g, t), float_identity(r));
    return LLVMConstInt(gen_type(g, t), integer_identity(r, t), 0);
}

val reduce_combine(struct gen *g, const struct loop_reduce *r, val a, val b)
{
    enum dtype t = reduce_dtype(g, r);
    val fault = NULL, args[3] = {a, b, NULL};
    return prim_emit(g, op_prim(op_table[r->op].combine, t), t, args, &fault);
}

/* The sum of nothing is +0.0, though lanes start from -0.0. */
val reduce_finish(struct gen *g, const struct loop_reduce *r, val v)
{
    enum dtype t = reduce_dtype(g, r);
    if (type_table[t].cls != CLASS_FLOAT || op_table[r->op].identity != IDENTITY_ZERO)
        return v;
    val empty = ll_eq(&g->l, gen_slot(g, g->slots.length), ll_i64(&g->l, 0));
    return ll_select(&g->l, empty, LLVMConstNull(LLVMTypeOf(v)), v);
}
