/*
 * Functions that give the elements of arrays other places: reshape, roll, tile, repeat, concatenate and their kin. Each
 * element of the result says, by integer arithmetic on its own place, which element it is; the expression is computed
 * there (ir_take). So nothing is copied and all of it is fused into what uses it. Where new axes or fewer are all that
 * happens, it is a view.
 */
#include <stdio.h>
#include <string.h>
#include "ir/build.h"
#include "sema/build.h"

static struct ir_shape shape_of(struct sema *s, const struct value *x)
{
    return s->ir->shapes.at[ir_at(s->ir, x->id)->shape];
}

static struct value apply2(struct sema *s, enum op op, struct value a, struct value b, struct span span)
{
    struct value both[] = {a, b};
    return apply_op(s, op, both, 2, span);
}

static struct value choose(struct sema *s, struct value c, struct value a, struct value b, struct span span)
{
    struct value all[] = {c, a, b};
    return apply_op(s, OP_where, all, 3, span);
}

void equal_dims(struct sema *s, uint32_t a, uint32_t b, const char *text, struct span span)
{
    struct ir_check c = {
        .kind = CHECK_EQUAL, .span = sema_span(s, span), .dim_a = a, .dim_b = b, .text = str_of(text)};
    if (a != b)
        vec_push(s->arena, &s->ir->checks, c);
}

static bool axis_of(struct sema *s, enum op op, const struct value *v, unsigned rank, unsigned *out)
{
    int64_t axis = v->kind == VALUE_INT ? (v->i < 0 ? v->i + (int64_t)rank : v->i) : -1;
    if (v->kind == VALUE_INT && axis >= 0 && axis < (int64_t)rank) {
        *out = (unsigned)axis;
        return true;
    }
    if (v->kind == VALUE_INT)
        sema_error(s, AX_bad_axis, v->span, "axis %lld is out of range for `%s`: there are %u axes",
                   (long long)v->i, op_table[op].name, rank);
    else if (v->kind != VALUE_ERROR)
        sema_error(s, v->kind == VALUE_ARRAY ? AX_not_constant : AX_type_mismatch, v->span,
                   "an axis is an integer known when compiling, not %s", value_words(s, v));
    return false;
}

/* An array; a number is one without axes. */
static bool array_of(struct sema *s, enum op op, const struct value *v, struct value *out)
{
    *out = *v;
    if (value_is_numeric(v) && v->kind != VALUE_ARRAY)
        *out = value_array(s, value_to_ir(s, v), false, v->span);
    if (out->kind == VALUE_ARRAY && s->n_loops) {
        sema_error(s, AX_in_loop, v->span, "in a loop a value is one element; `%s` comes before the loop",
                   op_table[op].name);
        return false;
    }
    if (out->kind == VALUE_ARRAY)
        return true;
    if (v->kind != VALUE_ERROR)
        sema_error(s, AX_type_mismatch, v->span, "`%s` takes an array, not %s", op_table[op].name,
                   value_words(s, v));
    return false;
}

static bool few_axes(struct sema *s, uint64_t rank, struct span span)
{
    if (rank > IR_MAX_RANK)
        sema_error(s, AX_rank_too_large, span, "arrays have at most %d axes", IR_MAX_RANK);
    return rank <= IR_MAX_RANK;
}

static struct value stepped(struct sema *s, struct value x, struct ir_step step, struct span span)
{
    return value_array(s, ir_view(s->ir, x.id, step, sema_span(s, span), s->diags), false, span);
}

static struct value in_front(struct sema *s, struct value x, unsigned rank, struct span span)
{
    while (shape_of(s, &x).rank < rank)
        x = stepped(s, x, (struct ir_step){.kind = STEP_NEWAXIS}, span);
    return x;
}

/* ---- places ---- */

static struct value places(struct sema *s, const struct ir_shape *shape, unsigned axes, struct span span)
{
    return value_array(s, ir_place(s->ir, ir_shape(s->ir, shape), axes, sema_span(s, span)), false, span);
}

static struct value count(struct sema *s, struct value x, unsigned axes, struct span span)
{
    return value_array(s, ir_count(s->ir, x.id, axes, sema_span(s, span)), false, span);
}

/* The elements of x at the indices, an int64 value an axis, none of them out of range where x has elements. */
static struct value taken(struct sema *s, struct value x, const struct value *indices, struct span span)
{
    ir_id ids[IR_MAX_RANK];
    for (unsigned d = 0; d < shape_of(s, &x).rank; d++)
        if (indices[d].kind != VALUE_ARRAY || !(ids[d] = indices[d].id))
            return value_error();
    return value_array(s, ir_take(s->ir, x.id, ids, 0, sema_span(s, span), s->diags), x.weak, span);
}

/* x where one axis has other extents and indices: `result` is the new shape. */
static struct value taken_along(struct sema *s, struct value x, const struct ir_shape *result, unsigned axis,
                                struct value index, struct span span)
{
    struct value indices[IR_MAX_RANK];
    for (unsigned d = 0; d < result->rank; d++)
        indices[d] = d == axis ? index : places(s, result, 1u << d, span);
    return taken(s, x, indices, span);
}

/* x by places in C order. Outer axes need no remainder: no place lies behind them. */
static struct value taken_in_order(struct sema *s, struct value x, struct value place, struct span span)
{
    struct value indices[IR_MAX_RANK];
    unsigned rank = shape_of(s, &x).rank;
    for (unsigned d = rank; d-- > 0;) {
        struct value n = count(s, x, 1u << d, span);
        indices[d] = d ? apply2(s, OP_remainder, place, n, span) : place;
        place = d ? apply2(s, OP_floor_divide, place, n, span) : place;
    }
    return taken(s, x, indices, span);
}

/* ---- extents ---- */

static uint32_t constant_dim(struct sema *s, int64_t extent)
{
    return ir_dim(s->ir, (struct ir_dim){.kind = DIM_CONST, .extent = extent});
}

struct factors {
    uint32_t of[4 * IR_MAX_RANK], n;
    int64_t extent;
};

static void times(struct sema *s, struct factors *f, uint32_t dim)
{
    const struct ir_dim *d = &s->ir->dims.at[dim];
    int64_t all;
    if (d->kind == DIM_CONST && d->extent > 0 && !__builtin_mul_overflow(f->extent, d->extent, &all))
        f->extent = all;
    else if (dim)
        f->of[f->n++] = dim;
}

static uint32_t divided(struct sema *s, const struct factors *f, uint32_t by)
{
    struct ir_dim d = {.kind = DIM_PRODUCT, .extent = f->extent, .n_of = f->n, .base = by};
    if (!by && !f->n)
        return constant_dim(s, f->extent);
    if (!by && f->n == 1 && f->extent == 1)
        return f->of[0];
    d.of = arena_array(s->arena, uint32_t, f->n + 1);
    memcpy(d.of, f->of, f->n * sizeof *d.of);
    return ir_dim(s->ir, d);
}

static uint32_t product(struct sema *s, const struct ir_shape *shape, unsigned skip)
{
    struct factors f = {.extent = 1};
    for (unsigned d = 0; d < shape->rank; d++)
        if (d != skip)
            times(s, &f, shape->dim[d]);
    return divided(s, &f, 0);
}

/* An extent: a literal, or the extent of an array's axis: len(x), shape(x, 1). -1 goes to `rest`. */
static bool extent_of(struct sema *s, const struct value *v, uint32_t *dim, bool *rest)
{
    *rest = v->kind == VALUE_INT && v->i == -1;
    if (v->kind == VALUE_INT && v->i >= -1) {
        *dim = *rest ? 0 : constant_dim(s, v->i);
        return true;
    }
    const struct ir_node *n = v->kind == VALUE_ARRAY ? ir_at(s->ir, v->id) : NULL;
    if (n && n->op == OP_count) {
        struct factors f = {.extent = 1};
        const struct ir_shape of = s->ir->shapes.at[ir_at(s->ir, n->args[0])->shape];
        for (unsigned d = 0; d < of.rank; d++)
            if (n->attr >> d & 1)
                times(s, &f, of.dim[d]);
        *dim = divided(s, &f, 0);
        return true;
    }
    if (v->kind == VALUE_INT)
        sema_error(s, AX_literal_range, v->span, "an extent cannot be negative");
    else if (v->kind != VALUE_ERROR)
        sema_error(s, v->kind == VALUE_ARRAY ? AX_not_constant : AX_type_mismatch, v->span,
                   "an extent is an integer known when compiling or the extent of an axis, not %s",
                   value_words(s, v));
    return false;
}

/* *rest: the axis whose extent is -1, or the rank. */
static bool target_of(struct sema *s, const struct value *v, struct ir_shape *out, unsigned *rest)
{
    const struct value *items = v->kind == VALUE_TUPLE ? v->items : v;
    uint32_t n = v->kind == VALUE_TUPLE ? v->n_items : 1;
    bool is_rest;
    *out = (struct ir_shape){0};
    *rest = n;
    if (!few_axes(s, n, v->span))
        return false;
    for (uint32_t i = 0; i < n; i++) {
        if (!extent_of(s, &items[i], &out->dim[out->rank++], &is_rest))
            return false;
        if (is_rest && *rest < n) {
            sema_error(s, AX_literal_range, items[i].span, "only one extent can be -1");
            return false;
        }
        *rest = is_rest ? i : *rest;
    }
    return true;
}

static void is_not(struct sema *s, uint32_t dim, int64_t extent, const char *text, struct span span)
{
    struct ir_check c = {.kind = CHECK_IS_NOT, .span = sema_span(s, span), .dim_a = dim, .index = extent, .text = str_of(text)};
    vec_push(s->arena, &s->ir->checks, c);
}

/* ---- the functions ---- */

/* The axes that are known to have extent 1; one that only turns out to have must be named. */
static unsigned single_axes(struct sema *s, const struct ir_shape *shape, struct span span)
{
    unsigned gone = 0;
    for (unsigned d = 0; d < shape->rank; d++)
        if (shape->dim[d])
            is_not(s, shape->dim[d], 1, arena_printf(s->arena, "axis %u turns out to have extent 1, and what `squeeze` takes away is known when compiling: name the axes", d), span);
        else
            gone |= 1u << d;
    return gone;
}

static struct value squeeze(struct sema *s, struct value x, const struct value *axis, struct span span)
{
    const struct value *items = axis->kind == VALUE_TUPLE ? axis->items : axis;
    const struct ir_shape shape = shape_of(s, &x);
    unsigned n = axis->kind == VALUE_TUPLE ? axis->n_items : axis->kind != VALUE_NONE, d, gone = 0;
    if (axis->kind == VALUE_NONE)
        gone = single_axes(s, &shape, span);
    for (unsigned i = 0; i < n; i++) {
        if (!axis_of(s, OP_squeeze, &items[i], shape.rank, &d))
            return value_error();
        if (gone >> d & 1) {
            sema_error(s, AX_duplicate_axis, items[i].span, "axis %u is given twice", d);
            return value_error();
        }
        gone |= 1u << d;
        equal_dims(s, shape.dim[d], 0,
                   arena_printf(s->arena, "`squeeze` takes away axes of extent 1, which axis %u has not", d),
                   span);
    }
    for (d = shape.rank; d-- > 0;)
        if (gone >> d & 1)
            x = stepped(s, x, (struct ir_step){.kind = STEP_INDEX, .axis = (uint8_t)d}, span);
    return x;
}

/* Only axes of extent 1 come or go, in this order: a view. */
static bool reshaped_by_view(struct sema *s, struct value *x, const struct ir_shape *to, struct span span)
{
    const struct ir_shape from = shape_of(s, x);
    uint32_t a[IR_MAX_RANK], b[IR_MAX_RANK], n = 0, m = 0;
    for (unsigned d = 0; d < from.rank; d++)
        if (from.dim[d])
            a[n++] = from.dim[d];
    for (unsigned d = 0; d < to->rank; d++)
        if (to->dim[d])
            b[m++] = to->dim[d];
    if (n != m || memcmp(a, b, n * sizeof *a) != 0 || (n == 0 && from.rank == 0))
        return false;
    for (unsigned d = from.rank; d-- > 0;)
        if (!from.dim[d] && n)
            *x = stepped(s, *x, (struct ir_step){.kind = STEP_INDEX, .axis = (uint8_t)d}, span);
    for (unsigned d = from.rank; !n && d-- > to->rank;)
        *x = stepped(s, *x, (struct ir_step){.kind = STEP_INDEX, .axis = (uint8_t)d}, span);
    for (unsigned d = 0; d < to->rank && shape_of(s, x).rank < to->rank; d++)
        if (!to->dim[d])
            *x = stepped(s, *x, (struct ir_step){.kind = STEP_NEWAXIS, .axis = (uint8_t)d}, span);
    return true;
}

/* One value in a shape. */
static struct value everywhere(struct sema *s, struct value x, const struct ir_shape *shape, struct span span)
{
    if (!shape->rank)
        return x;
    struct value at = places(s, shape, (1u << shape->rank) - 1, span);
    struct value v = choose(s, apply2(s, OP_greater_equal, at, value_int(0, span), span), x, x, span);
    v.weak = x.weak;
    return v;
}

static struct value with_shape(struct sema *s, struct value x, const struct ir_shape *to, struct span span)
{
    const struct ir_shape from = shape_of(s, &x);
    equal_dims(s, product(s, &from, from.rank), product(s, to, to->rank),
               "`reshape` keeps the number of elements", span);
    if (from.rank == 0)
        return everywhere(s, x, to, span);
    if (reshaped_by_view(s, &x, to, span))
        return x;
    return taken_in_order(s, x, places(s, to, (1u << to->rank) - 1, span), span);
}

static struct value reshape(struct sema *s, struct value x, const struct value *shape, struct span span)
{
    struct ir_shape to;
    unsigned rest;
    if (!target_of(s, shape, &to, &rest))
        return value_error();
    if (rest < to.rank) {
        struct factors f = {.extent = 1};
        const struct ir_shape from = shape_of(s, &x);
        uint32_t by = product(s, &to, rest), whole = product(s, &from, from.rank);
        is_not(s, by, 0, "`reshape` cannot tell an extent of -1 beside one of 0", span);
        times(s, &f, whole);
        to.dim[rest] = whole == by ? 0 : divided(s, &f, by);
    }
    return with_shape(s, x, &to, span);
}

static struct value flat(struct sema *s, struct value x, struct span span)
{
    const struct ir_shape from = shape_of(s, &x);
    struct ir_shape to = {.rank = 1, .dim = {product(s, &from, from.rank)}};
    return with_shape(s, x, &to, span);
}

static struct value broadcast_to(struct sema *s, struct value x, const struct value *shape, struct span span)
{
    const struct ir_shape from = shape_of(s, &x);
    struct ir_shape to;
    unsigned rest;
    if (!target_of(s, shape, &to, &rest))
        return value_error();
    if (rest < to.rank || from.rank > to.rank) {
        sema_error(s, rest < to.rank ? AX_literal_range : AX_shape_mismatch, shape->span,
                   rest < to.rank ? "an extent cannot be negative"
                                  : "an array of %u axes does not broadcast to %u",
                   from.rank, to.rank);
        return value_error();
    }
    for (unsigned d = 0; d < from.rank; d++)
        if (!to.dim[to.rank - from.rank + d])
            equal_dims(s, from.dim[d], 0, arena_printf(s->arena, "axis %u does not broadcast to extent 1", d),
                       span);
    return everywhere(s, x, &to, span);
}

static struct value roll(struct sema *s, struct value x, const struct value *by, const struct value *axis,
                         struct span span)
{
    const struct ir_shape from = shape_of(s, &x);
    unsigned all = (1u << from.rank) - 1, d = 0;
    enum type_class cls = value_is_numeric(by) ? type_table[value_dtype(by)].cls : CLASS_NONE;
    if ((cls != CLASS_INT && cls != CLASS_UINT) || (by->kind == VALUE_ARRAY && shape_of(s, by).rank)) {
        if (by->kind != VALUE_ERROR)
            sema_error(s, AX_type_mismatch, by->span, "`roll` moves by one integer, not by %s",
                       value_words(s, by));
        return value_error();
    }
    if (axis->kind != VALUE_NONE && !axis_of(s, OP_roll, axis, from.rank, &d))
        return value_error();
    if (from.rank == 0)
        return x;
    unsigned axes = axis->kind == VALUE_NONE ? all : 1u << d;
    struct value n = count(s, x, axes, span),
                 shift = value_array(s, ir_cast(s->ir, value_to_ir(s, by), DT_int64, sema_span(s, span)),
                                     false, span);
    struct value place = places(s, &from, axes, span),
                 some = apply2(s, OP_maximum, n, value_int(1, span), span);
    struct value back = apply2(s, OP_subtract, place, apply2(s, OP_remainder, shift, some, span), span);
    back = choose(s, apply2(s, OP_less, back, value_int(0, span), span), apply2(s, OP_add, back, n, span),
                  back, span);
    return axis->kind == VALUE_NONE ? taken_in_order(s, x, back, span)
                                    : taken_along(s, x, &from, d, back, span);
}

/* By several shifts, or along several axes: one after the other, as NumPy's pairs of them. */
static struct value roll_each(struct sema *s, struct value x, const struct value *by, const struct value *axis, struct span span)
{
    bool many = by->kind == VALUE_TUPLE, along = axis->kind == VALUE_TUPLE;
    if (!many && !along)
        return roll(s, x, by, axis, span);
    if (many && along && by->n_items != axis->n_items && by->n_items != 1 && axis->n_items != 1) {
        sema_error(s, AX_type_mismatch, by->span, "`roll` has %u shifts for %u axes", by->n_items, axis->n_items);
        return value_error();
    }
    uint32_t n_by = many ? by->n_items : 1, n_axes = along ? axis->n_items : 1, n = n_by && n_axes ? (n_by > n_axes ? n_by : n_axes) : 0;
    for (uint32_t i = 0; i < n && x.kind != VALUE_ERROR; i++)
        x = roll(s, x, many ? &by->items[n_by == 1 ? 0 : i] : by, along ? &axis->items[n_axes == 1 ? 0 : i] : axis, span);
    return x;
}

static bool times_of(struct sema *s, enum op op, const struct value *v)
{
    if (v->kind == VALUE_INT && v->i >= 0)
        return true;
    if (v->kind == VALUE_INT)
        sema_error(s, AX_literal_range, v->span, "`%s` takes no negative numbers of times",
                   op_table[op].name);
    else if (v->kind != VALUE_ERROR)
        sema_error(s, v->kind == VALUE_ARRAY ? AX_not_constant : AX_type_mismatch, v->span,
                   "how often is an integer known when compiling, not %s", value_words(s, v));
    return false;
}

static uint32_t so_often(struct sema *s, uint32_t dim, int64_t n)
{
    struct factors f = {.extent = 1};
    times(s, &f, dim);
    times(s, &f, constant_dim(s, n));
    return divided(s, &f, 0);
}

static struct value repeat(struct sema *s, struct value x, const struct value *n, const struct value *axis,
                           struct span span)
{
    unsigned d = 0;
    if (!times_of(s, OP_repeat, n))
        return value_error();
    if (axis->kind == VALUE_NONE)
        x = flat(s, x, span);
    else if (!axis_of(s, OP_repeat, axis, shape_of(s, &x).rank, &d))
        return value_error();
    struct ir_shape to = shape_of(s, &x);
    to.dim[d] = so_often(s, to.dim[d], n->i);
    return taken_along(
        s, x, &to, d,
        apply2(s, OP_floor_divide, places(s, &to, 1u << d, span), value_int(n->i ? n->i : 1, span), span),
        span);
}

static struct value tile(struct sema *s, struct value x, const struct value *reps, struct span span)
{
    const struct value *items = reps->kind == VALUE_TUPLE ? reps->items : reps;
    uint32_t n = reps->kind == VALUE_TUPLE ? reps->n_items : 1;
    unsigned rank = shape_of(s, &x).rank;
    for (uint32_t i = 0; i < n; i++)
        if (!times_of(s, OP_tile, &items[i]))
            return value_error();
    if (!few_axes(s, n, reps->span))
        return value_error();
    if (rank == 0 && n) {
        struct ir_shape one = {.rank = (uint8_t)n};
        x = everywhere(s, x, &one, span);
    }
    x = in_front(s, x, n > rank ? n : rank, span);
    rank = shape_of(s, &x).rank;
    struct ir_shape to = shape_of(s, &x);
    struct value indices[IR_MAX_RANK];
    for (uint32_t i = 0; i < n; i++)
        to.dim[rank - n + i] = so_often(s, to.dim[rank - n + i], items[i].i);
    for (unsigned d = 0; d < rank; d++) {
        indices[d] = places(s, &to, 1u << d, span);
        if (d + n >= rank && items[d + n - rank].i != 1)
            indices[d] = apply2(s, OP_remainder, indices[d], count(s, x, 1u << d, span), span);
    }
    return rank ? taken(s, x, indices, span) : x;
}

/* The arrays of a tuple, all of one rank, in the dtype in which they meet. */
static bool parts_of(struct sema *s, enum op op, const struct value *tuple, bool as_flat, struct value *parts)
{
    bool weak;
    if (tuple->kind != VALUE_TUPLE || !tuple->n_items) {
        if (tuple->kind != VALUE_ERROR)
            sema_error(s, AX_type_mismatch, tuple->span, "`%s` takes a tuple of arrays, not %s",
                       op_table[op].name,
                       tuple->kind == VALUE_TUPLE ? "an empty one" : value_words(s, tuple));
        return false;
    }
    for (uint32_t i = 0; i < tuple->n_items; i++) {
        if (!array_of(s, op, &tuple->items[i], &parts[i]))
            return false;
        if (as_flat)
            parts[i] = flat(s, parts[i], tuple->span);
        if (shape_of(s, &parts[i]).rank != shape_of(s, &parts[0]).rank) {
            sema_error(s, AX_shape_mismatch, parts[i].span,
                       "`%s` joins arrays of equal rank: one has %u axes, another %u", op_table[op].name,
                       shape_of(s, &parts[0]).rank, shape_of(s, &parts[i]).rank);
            return false;
        }
    }
    enum dtype t = promote_values(parts, tuple->n_items, &weak);
    for (uint32_t i = 0; i < tuple->n_items; i++)
        parts[i] = value_array(s, value_as(s, &parts[i], t), false, parts[i].span);
    return true;
}

/* Equal extents, but along `except`. */
static void alike(struct sema *s, enum op op, const struct value *parts, uint32_t n, unsigned except,
                  struct span span)
{
    const struct ir_shape first = shape_of(s, &parts[0]);
    for (uint32_t i = 1; i < n; i++)
        for (unsigned d = 0; d < first.rank; d++)
            if (d != except)
                equal_dims(s, first.dim[d], shape_of(s, &parts[i]).dim[d],
                           arena_printf(s->arena, "`%s` joins arrays whose extents differ along axis %u",
                                        op_table[op].name, d),
                           span);
}

static struct value stack(struct sema *s, const struct value *tuple, const struct value *axis,
                          struct span span)
{
    struct value *parts = arena_array(s->arena, struct value, tuple->n_items + 1), out;
    uint32_t n = tuple->n_items;
    unsigned d = 0;
    if (!parts_of(s, OP_stack, tuple, false, parts))
        return value_error();
    struct ir_shape to = shape_of(s, &parts[0]);
    if (!few_axes(s, to.rank + 1u, span) || !axis_of(s, OP_stack, axis, to.rank + 1u, &d))
        return value_error();
    alike(s, OP_stack, parts, n, to.rank, span);
    memmove(to.dim + d + 1, to.dim + d, (to.rank - d) * sizeof *to.dim);
    to.rank++;
    to.dim[d] = constant_dim(s, n);
    for (uint32_t i = 0; i < n && to.rank > 1; i++)
        parts[i] = stepped(s, parts[i], (struct ir_step){.kind = STEP_NEWAXIS, .axis = (uint8_t)d}, span);
    struct value at = places(s, &to, 1u << d, span);
    out = n > 1 ? parts[n - 1] : everywhere(s, parts[0], &to, span);
    for (uint32_t i = n - 1; i-- > 0;)
        out = choose(s, apply2(s, OP_equal, at, value_int(i, span), span), parts[i], out, span);
    return out;
}

static struct value concatenate(struct sema *s, const struct value *tuple, const struct value *axis,
                                struct span span)
{
    struct value *parts = arena_array(s->arena, struct value, tuple->n_items + 1), out,
                 end = value_int(0, span);
    struct value *starts = arena_array(s->arena, struct value, tuple->n_items + 1),
                 zero = value_array(s, value_to_ir(s, &end), false, span);
    struct ir_dim sum = {.kind = DIM_SUM, .n_of = tuple->n_items};
    uint32_t n = tuple->n_items;
    unsigned d = 0;
    if (!parts_of(s, OP_concatenate, tuple, axis->kind == VALUE_NONE, parts))
        return value_error();
    struct ir_shape to = shape_of(s, &parts[0]);
    if (axis->kind != VALUE_NONE && !axis_of(s, OP_concatenate, axis, to.rank, &d))
        return value_error();
    alike(s, OP_concatenate, parts, n, d, span);
    if (n == 1)
        return parts[0];
    sum.of = arena_array(s->arena, uint32_t, n);
    starts[0] = zero;
    for (uint32_t i = 0; i < n; i++) {
        sum.of[i] = shape_of(s, &parts[i]).dim[d];
        starts[i + 1] = apply2(s, OP_add, starts[i], count(s, parts[i], 1u << d, span), span);
    }
    to.dim[d] = ir_dim(s->ir, sum);
    struct value at = places(s, &to, 1u << d, span);
    for (uint32_t i = n; i-- > 0;) {
        /* Elements of other parts are computed and not chosen: they stand for the nearest that there is. */
        struct value most =
            apply2(s, OP_subtract, count(s, parts[i], 1u << d, span), value_int(1, span), span);
        struct value index = apply2(s, OP_minimum, apply2(s, OP_subtract, at, starts[i], span), most, span);
        index = apply2(s, OP_maximum, index, zero, span);
        struct value part = taken_along(s, parts[i], &to, d, index, span);
        out = i + 1 == n ? part : choose(s, apply2(s, OP_less, at, starts[i + 1], span), part, out, span);
    }
    return out;
}

struct value call_shaping(struct sema *s, enum op op, const struct value *args, struct span span)
{
    struct value x, axis = value_not_given(&args[1]) ? value_int(0, span) : args[1];
    if (op == OP_stack)
        return stack(s, &args[0], &axis, span);
    if (op == OP_concatenate)
        return concatenate(s, &args[0], &axis, span);
    if (!array_of(s, op, &args[0], &x))
        return value_error();
    switch (op) {
    case OP_squeeze:
        return squeeze(s, x, &args[1], span);
    case OP_reshape:
        return reshape(s, x, &args[1], span);
    case OP_broadcast_to:
        return broadcast_to(s, x, &args[1], span);
    case OP_roll:
        return roll_each(s, x, &args[1], &args[2], span);
    case OP_tile:
        return tile(s, x, &args[1], span);
    default:
        return repeat(s, x, &args[1], &args[2], span);
    }
}
