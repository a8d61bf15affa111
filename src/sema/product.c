/*
 * Products of matrices and vectors: axes are added so that the factors meet, they are multiplied, and summed over the axis that both
 * have. So a product is what its sum is: one loop nest with no array in between, and the same bits everywhere.
 */
#include "ir/build.h"
#include "sema/build.h"

static const struct ir_shape *shape_of(struct sema *s, const struct value *v)
{
    return &s->ir->shapes.at[ir_at(s->ir, v->id)->shape];
}

static bool has_axes(struct sema *s, const struct value *v)
{
    return v->kind == VALUE_ARRAY && shape_of(s, v)->rank;
}

static bool is_factor(struct sema *s, enum op op, const struct value *v)
{
    if (v->kind == VALUE_ERROR)
        return false;
    if (!value_is_numeric(v))
        sema_error(s, AX_type_mismatch, v->span, "`%s` takes arrays, not %s", op_table[op].name, value_words(s, v));
    else if (s->n_loops || s->in_kernel)
        sema_error(s, AX_in_loop, v->span, "`%s` takes whole arrays; it comes before the %s", op_table[op].name, s->in_kernel ? "kernel" : "loop");
    else if (op != OP_dot && !has_axes(s, v))
        sema_error(s, AX_type_mismatch, v->span, "`%s` takes arrays with one axis or more; a number is multiplied with `*`", op_table[op].name);
    else
        return true;
    return false;
}

static struct value with_axis(struct sema *s, struct value v, unsigned axis, struct span span)
{
    struct ir_step step = {.kind = STEP_NEWAXIS, .axis = (uint8_t)axis};
    return value_array(s, ir_view(s->ir, v.id, step, sema_span(s, span), s->diags), false, span);
}

/* Of vecdot. The sum is over the last axis. */
static void side_by_side(struct sema *s, struct value *f, struct span span)
{
    f[0] = apply_op(s, OP_conj, &f[0], 1, span);
}

/* a[..., i, k, None] * b[..., None, k, j], and less where one side is a vector. The sum is over k. */
static void as_matrices(struct sema *s, struct value *f, struct span span)
{
    unsigned rank_a = shape_of(s, &f[0])->rank, rank_b = shape_of(s, &f[1])->rank;
    if (rank_b > 1)
        f[0] = with_axis(s, f[0], rank_a, span);
    if (rank_a > 1 && rank_b > 1)
        f[1] = with_axis(s, f[1], rank_b - 2, span);
}

/* Of dot: every row of a with every column of b, a[..., i, None, k, None] * b[m, k, j]. */
static void each_with_each(struct sema *s, struct value *f, struct span span)
{
    unsigned rank_a = shape_of(s, &f[0])->rank, rank_b = shape_of(s, &f[1])->rank;
    for (unsigned d = 2; d < rank_b && rank_a > 1; d++)
        f[0] = with_axis(s, f[0], rank_a - 1, span);
    if (rank_b > 1)
        f[0] = with_axis(s, f[0], shape_of(s, &f[0])->rank, span);
}

static bool few_axes(struct sema *s, enum op op, const struct value *f, struct span span)
{
    unsigned a = shape_of(s, &f[0])->rank, b = shape_of(s, &f[1])->rank, most = a > b ? a : b;
    unsigned needed = op == OP_vecdot || b < 2 ? most : op == OP_matmul ? most + 1 : a + b - 1;
    if (needed > IR_MAX_RANK)
        sema_error(s, AX_rank_too_large, span, "`%s` of arrays with %u and %u axes sums over one with %u, and arrays have at most %d", op_table[op].name, a, b, needed, IR_MAX_RANK);
    return needed <= IR_MAX_RANK;
}

/* The extents that are summed over are the same: none is stretched. */
static void same_extent(struct sema *s, enum op op, const struct value *f, struct span span)
{
    const struct ir_shape *a = shape_of(s, &f[0]), *b = shape_of(s, &f[1]);
    unsigned along = op == OP_vecdot || b->rank == 1 ? b->rank - 1u : b->rank - 2u;
    equal_dims(s, a->dim[a->rank - 1], b->dim[along], arena_printf(s->arena, "the extents that `%s` sums over differ", op_table[op].name), span);
}

/* Sums of small integers are wide, and those of storage types are in the type that they compute in: back to the type of the factors. */
static struct value in_type(struct sema *s, struct value sum, enum dtype t, struct span span)
{
    enum type_class cls = type_table[t].cls;
    if (cls == CLASS_INT || cls == CLASS_UINT)
        return value_array(s, value_as(s, &sum, t), false, span);
    return narrow(s, sum, t);
}

static struct value summed(struct sema *s, struct value *f, int64_t axis, bool any, struct span span)
{
    struct value sum[3] = {apply_op(s, OP_multiply, f, 2, span), value_int(axis, span), value_bool(false, span)};
    return sum[0].kind == VALUE_ERROR ? sum[0] : eval_reduce(s, any ? OP_any : OP_sum, sum, NULL, 3, span);
}

struct value call_product(struct sema *s, enum op op, const struct value *args, struct span span)
{
    bool weak;
    struct value f[2];
    if (!is_factor(s, op, &args[0]) || !is_factor(s, op, &args[1]))
        return value_error();
    if (!has_axes(s, &args[0]) || !has_axes(s, &args[1]))
        return apply_op(s, OP_multiply, args, 2, span);
    if (!few_axes(s, op, args, span))
        return value_error();
    same_extent(s, op, args, span);
    enum dtype t = promote_values(args, 2, &weak);
    for (unsigned i = 0; i < 2; i++)
        f[i] = type_is_storage(t) ? value_array(s, value_as(s, &args[i], (enum dtype)type_table[t].compute), false, args[i].span) : args[i];
    int64_t axis = op == OP_vecdot || shape_of(s, &f[1])->rank == 1 ? -1 : -2;
    (op == OP_vecdot ? side_by_side : op == OP_matmul ? as_matrices : each_with_each)(s, f, span);
    return in_type(s, summed(s, f, axis, t == DT_bool, span), t, span);
}
