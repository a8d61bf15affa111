/*
 * Products of matrices: a new axis for each side, a product of elements, a sum over the axis that both have. So a product is what
 * its sum is: one loop nest with no array in between, and the same bits everywhere.
 */
#include "ir/build.h"
#include "sema/build.h"

static const struct ir_shape *shape_of(struct sema *s, const struct value *v)
{
    return &s->ir->shapes.at[ir_at(s->ir, v->id)->shape];
}

static bool is_factor(struct sema *s, const struct value *v)
{
    if (v->kind == VALUE_ERROR)
        return false;
    if (!value_is_numeric(v))
        sema_error(s, AX_type_mismatch, v->span, "a product of matrices takes arrays, not %s", value_words(s, v));
    else if (s->n_loops || s->in_kernel)
        sema_error(s, AX_in_loop, v->span, "a product of matrices takes whole arrays; it comes before the %s", s->in_kernel ? "kernel" : "loop");
    else if (v->kind != VALUE_ARRAY || !shape_of(s, v)->rank)
        sema_error(s, AX_type_mismatch, v->span, "a product of matrices takes arrays with one axis or more; a number is multiplied with `*`");
    else if (shape_of(s, v)->rank == IR_MAX_RANK)
        sema_error(s, AX_rank_too_large, v->span, "a product of matrices has an axis more than they have, and arrays at most %d", IR_MAX_RANK);
    else
        return true;
    return false;
}

static struct value with_axis(struct sema *s, struct value v, unsigned axis, struct span span)
{
    struct ir_step step = {.kind = STEP_NEWAXIS, .axis = (uint8_t)axis};
    return value_array(s, ir_view(s->ir, v.id, step, sema_span(s, span), s->diags), false, span);
}

/* Sums of small integers are wide, and those of storage types are in the type that they compute in: back to the type of the factors. */
static struct value in_type(struct sema *s, struct value sum, enum dtype t, struct span span)
{
    enum type_class cls = type_table[t].cls;
    if (cls == CLASS_INT || cls == CLASS_UINT)
        return value_array(s, value_as(s, &sum, t), false, span);
    return narrow(s, sum, t);
}

/* a[..., i, k, None] * b[..., None, k, j], and less where one side is a vector; its sum over k. */
static struct value summed(struct sema *s, struct value a, struct value b, bool all, struct span span)
{
    unsigned rank_a = shape_of(s, &a)->rank, rank_b = shape_of(s, &b)->rank;
    struct value factors[2] = {a, b}, sum[3];
    if (rank_b > 1)
        factors[0] = with_axis(s, a, rank_a, span);
    if (rank_a > 1 && rank_b > 1)
        factors[1] = with_axis(s, b, rank_b - 2, span);
    sum[0] = apply_op(s, OP_multiply, factors, 2, span);
    sum[1] = value_int(rank_b > 1 ? -2 : -1, span);
    sum[2] = value_bool(false, span);
    return sum[0].kind == VALUE_ERROR ? sum[0] : eval_reduce(s, all ? OP_any : OP_sum, sum, NULL, 3, span);
}

struct value matrix_product(struct sema *s, const struct value *args, struct span span)
{
    bool weak;
    struct value side[2];
    if (!is_factor(s, &args[0]) || !is_factor(s, &args[1]))
        return value_error();
    enum dtype t = promote_values(args, 2, &weak);
    const struct ir_shape *a = shape_of(s, &args[0]), *b = shape_of(s, &args[1]);
    equal_dims(s, a->dim[a->rank - 1], b->dim[b->rank > 1 ? b->rank - 2 : 0], "the extents that a product of matrices sums over differ", span);
    for (unsigned i = 0; i < 2; i++)
        side[i] = type_is_storage(t) ? value_array(s, value_as(s, &args[i], (enum dtype)type_table[t].compute), false, args[i].span) : args[i];
    return in_type(s, summed(s, side[0], side[1], t == DT_bool, span), t, span);
}
