/*
 * Reductions, scans, and count: their arguments (x, axis, keepdims), axes as a mask, the operand's dtype.
 */
#include "sema/build.h"

struct reduction {
    struct value x, axis, keepdims;
    unsigned axes; /* bit i: axis i of x */
};

/* Fills x, axis, keepdims from positional and keyword arguments. */
static bool bind_reduction(struct sema *s, enum op op, const struct value *given, const struct str *keywords,
                           unsigned n, struct span span, struct reduction *r)
{
    const struct str names[3] = {str_of("x"), str_of("axis"), str_of("keepdims")};
    unsigned known = op == OP_count || op == OP_iota || op_table[op].kind == OPK_SCAN ? 2 : 3, seen = 0;
    struct value *to[3] = {&r->x, &r->axis, &r->keepdims};
    struct str self = str_of(op_table[op].name);

    *r = (struct reduction){.axis = {.kind = VALUE_NONE}, .keepdims = {.kind = VALUE_BOOL}};
    for (unsigned i = 0, k; i < n; i++) {
        if (keywords && keywords[i].n) {
            for (k = 0; k < known && !str_eq(names[k], keywords[i]);)
                k++;
            if (k == known)
                return sema_unknown_keyword(s, self, keywords[i], names, known, given[i].span), false;
        } else if ((k = i) >= known) {
            sema_error(s, AX_wrong_argument_count, span, "`%s` takes at most %u arguments", op_table[op].name,
                       known);
            return false;
        }
        if (seen & (1u << k)) {
            sema_error(s, AX_duplicate_keyword, given[i].span, "`%.*s` is given twice", (int)names[k].n,
                       names[k].s);
            return false;
        }
        seen |= 1u << k;
        *to[k] = given[i];
    }
    if (!(seen & 1))
        sema_error(s, AX_wrong_argument_count, span, "`%s` needs an array to reduce", op_table[op].name);
    return seen & 1;
}

static bool add_axis(struct sema *s, const struct value *v, unsigned rank, unsigned *axes)
{
    int64_t axis = v->i < 0 ? v->i + (int64_t)rank : v->i;

    if (axis < 0 || axis >= (int64_t)rank) {
        if (rank)
            sema_error(s, AX_bad_axis, v->span,
                       "axis %lld is out of range: the array has rank %u, so axes are %d to %d",
                       (long long)v->i, rank, -(int)rank, (int)rank - 1);
        else
            sema_error(s, AX_bad_axis, v->span, "axis %lld is out of range: a scalar has no axes",
                       (long long)v->i);
        return false;
    }
    if (*axes & (1u << axis)) {
        sema_error(s, AX_duplicate_axis, v->span, "axis %lld is given twice", (long long)v->i);
        return false;
    }
    *axes |= 1u << axis;
    return true;
}

/* What may have been meant by min(a, 3): the axis is there, the other function elsewhere. */
static const char *elementwise_of(enum op op)
{
    return op == OP_min ? "minimum" : op == OP_max ? "maximum" : NULL;
}

static bool refuse_axis(struct sema *s, enum op op, const struct value *v)
{
    const char *instead = elementwise_of(op);

    if (v->kind == VALUE_ERROR)
        return false;
    if (instead && (v->kind == VALUE_ARRAY || v->kind == VALUE_FLOAT))
        sema_error(s, AX_type_mismatch, v->span,
                   "the second argument of `%s` is an axis; for the elementwise one write `%s(a, b)`",
                   op_table[op].name, instead);
    else if (v->kind == VALUE_ARRAY)
        sema_error(s, AX_not_constant, v->span,
                   "the axis must be known when compiling: an integer, a tuple, or None");
    else
        sema_error(s, AX_type_mismatch, v->span,
                   "an axis is an integer, a tuple of integers, or None, not %s", value_words(s, v));
    return false;
}

static bool find_axes(struct sema *s, enum op op, struct reduction *r, unsigned rank)
{
    const struct value *v = &r->axis;

    r->axes = 0;
    if (v->kind == VALUE_NONE) {
        r->axes = (1u << rank) - 1;
        return true;
    }
    if (v->kind == VALUE_INT) {
        bool found = add_axis(s, v, rank, &r->axes);
        if (!found && elementwise_of(op))
            diag_note(s->diags, sema_span(s, v->span), "the second argument of `%s` is an axis; for the elementwise one write `%s(a, b)`", op_table[op].name, elementwise_of(op));
        return found;
    }
    if (v->kind != VALUE_TUPLE)
        return refuse_axis(s, op, v);
    for (uint32_t i = 0; i < v->n_items; i++) {
        if (v->items[i].kind != VALUE_INT)
            return refuse_axis(s, op, &v->items[i]);
        if (!add_axis(s, &v->items[i], rank, &r->axes))
            return false;
    }
    return true;
}

static bool check_keepdims(struct sema *s, const struct value *v)
{
    if (v->kind == VALUE_BOOL || v->kind == VALUE_INT)
        return true;
    if (v->kind == VALUE_ARRAY)
        sema_error(s, AX_not_constant, v->span, "keepdims must be known when compiling: True or False");
    else if (v->kind != VALUE_ERROR)
        sema_error(s, AX_type_mismatch, v->span, "keepdims is True or False, not %s", value_words(s, v));
    return false;
}

/* The operand as the rule wants it: sums of small integers run in 64 bits, any and all ask x != 0. */
static ir_id operand(struct sema *s, enum op op, const struct value *x)
{
    enum dtype t = value_dtype(x);
    struct value pair[2] = {*x, value_int(0, x->span)};
    enum type_class cls = type_table[t].cls;

    switch (op_table[op].rule) {
    case RULE_SUM:
        if (cls == CLASS_BOOL || cls == CLASS_INT)
            return value_as(s, x, DT_int64);
        return value_as(s, x, cls == CLASS_UINT ? DT_uint64 : (enum dtype)type_table[t].compute);
    case RULE_BOOL:
        if (t != DT_bool)
            pair[0] = apply_op(s, OP_not_equal, pair, 2, x->span);
        return value_to_ir(s, &pair[0]);
    default:
        return value_as(s, x, (enum dtype)type_table[t].compute);
    }
}

static bool may_collect(struct sema *s, enum op op, const struct value *x, struct span span)
{
    if (x->kind == VALUE_ERROR)
        return false;
    if (!value_is_numeric(x)) {
        sema_error(s, AX_type_mismatch, span, "`%s` takes an array, not %s", op_table[op].name, value_words(s, x));
        return false;
    }
    if ((s->n_loops || s->in_kernel) && op != OP_count && op != OP_iota) {
        sema_error(s, AX_in_loop, span, "`%s` %s an array; do so before the %s", op_table[op].name, op_table[op].kind == OPK_SCAN ? "goes through" : "reduces", s->in_kernel ? "kernel" : "loop");
        return false;
    }
    return true;
}

/* Without an axis the elements are taken in C order. */
static struct value flattened(struct sema *s, const struct value *x, struct span span)
{
    struct value args[] = {*x, value_int(-1, span)};
    return call_shaping(s, OP_reshape, args, span);
}

static struct value reshaped(struct sema *s, struct value x, const struct value *extents, unsigned n, struct span span)
{
    struct value args[] = {x, {.kind = VALUE_TUPLE, .items = extents, .n_items = n, .span = span}};
    return call_shaping(s, OP_reshape, args, span);
}

static struct value extent_of(struct sema *s, const struct value *x, unsigned axes, struct span span)
{
    return value_array(s, ir_count(s->ir, x->id, axes, sema_span(s, span)), false, span);
}

/* The axes that are kept, then those that are reduced. */
static struct value reduced_last(struct sema *s, const struct value *x, unsigned axes, unsigned rank, struct span span)
{
    struct value order[IR_MAX_RANK], tuple = {.kind = VALUE_TUPLE, .items = order, .span = span};
    for (unsigned side = 0; side < 2; side++)
        for (unsigned d = 0; d < rank; d++)
            if ((axes >> d & 1) == side)
                order[tuple.n_items++] = value_int(d, span);
    return transpose(s, x, &tuple, span);
}

/* Of a matrix whose rows are multiplied together, and then in the shape that is wanted. */
static struct value complex_product(struct sema *s, struct reduction *r, struct span span)
{
    unsigned rank = s->ir->shapes.at[ir_at(s->ir, r->x.id)->shape].rank, all = (1u << rank) - 1, n = 0;
    struct value extents[IR_MAX_RANK], matrix[2];
    if (!find_axes(s, OP_prod, r, rank) || !check_keepdims(s, &r->keepdims))
        return value_error();
    if (!r->axes)
        return r->x;
    matrix[0] = extent_of(s, &r->x, all & ~r->axes, span);
    matrix[1] = extent_of(s, &r->x, r->axes, span);
    for (unsigned d = 0; d < rank; d++)
        if (!(r->axes >> d & 1))
            extents[n++] = extent_of(s, &r->x, 1u << d, span);
        else if (r->keepdims.i)
            extents[n++] = value_int(1, span);
    struct value x = reduced_last(s, &r->x, r->axes, rank, span);
    x = x.kind == VALUE_ARRAY ? reshaped(s, x, matrix, 2, span) : x;
    x = x.kind == VALUE_ARRAY ? inline_call(s, library_complex(s, str_of("prod")), &x, NULL, 1, span) : x;
    if (x.kind == VALUE_ARRAY && !n)
        return value_array(s, ir_view(s->ir, x.id, (struct ir_step){.kind = STEP_INDEX}, sema_span(s, span), s->diags), false, span);
    return x.kind == VALUE_ARRAY ? reshaped(s, x, extents, n, span) : x;
}

/* Sums are made of those of the parts; of other reductions and scans, only the product is defined. */
static struct value collect_complex(struct sema *s, enum op op, struct reduction *r, struct span span)
{
    struct value args[3] = {r->x, r->axis, r->keepdims};
    bool scan = op_table[op].kind == OPK_SCAN;
    if (op == OP_prod)
        return complex_product(s, r, span);
    if (op != OP_sum && op != OP_cumsum) {
        sema_error(s, AX_type_mismatch, span, "`%s` is not defined for complex values", op_table[op].name);
        return value_error();
    }
    ir_id parts[2];
    for (unsigned k = 0; k < 2; k++) {
        args[0] = complex_part(s, &r->x, k);
        parts[k] = (scan ? eval_scan(s, op, args, NULL, 2, span) : eval_reduce(s, op, args, NULL, 3, span)).id;
    }
    return complex_pair(s, parts[0], parts[1], false, span);
}

static bool is_of_parts(enum op op, const struct value *x)
{
    return any_complex(x, 1) && op_table[op].rule != RULE_BOOL && op != OP_count && op != OP_iota;
}

struct value eval_scan(struct sema *s, enum op op, const struct value *given, const struct str *keywords, unsigned n, struct span span)
{
    struct reduction r;
    unsigned axis = 0;

    if (!bind_reduction(s, op, given, keywords, n, span, &r) || !may_collect(s, op, &r.x, span))
        return value_error();
    if (r.axis.kind == VALUE_TUPLE) {
        sema_error(s, AX_type_mismatch, r.axis.span, "`%s` goes along one axis: an integer, or None for all elements in C order", op_table[op].name);
        return value_error();
    }
    if (is_of_parts(op, &r.x))
        return collect_complex(s, op, &r, span);
    struct value x = r.axis.kind == VALUE_NONE ? flattened(s, &r.x, span) : r.x;
    ir_id id = x.kind == VALUE_ERROR ? 0 : operand(s, op, &x);
    if (r.axis.kind == VALUE_NONE)
        r.axis = value_int(0, span);
    if (!id || !find_axes(s, op, &r, s->ir->shapes.at[ir_at(s->ir, id)->shape].rank))
        return value_error();
    while (!(r.axes >> axis & 1))
        axis++;
    return narrow(s, value_array(s, ir_scan(s->ir, op, id, axis, sema_span(s, span)), false, span), value_dtype(&r.x));
}

struct value eval_reduce(struct sema *s, enum op op, const struct value *given, const struct str *keywords,
                         unsigned n, struct span span)
{
    struct reduction r;
    ir_id x;

    if (!bind_reduction(s, op, given, keywords, n, span, &r) || !may_collect(s, op, &r.x, span))
        return value_error();
    if (is_of_parts(op, &r.x))
        return collect_complex(s, op, &r, span);
    x = op == OP_count || op == OP_iota ? value_to_ir(s, &r.x) : operand(s, op, &r.x);
    if (!x || !find_axes(s, op, &r, s->ir->shapes.at[ir_at(s->ir, x)->shape].rank) ||
        !check_keepdims(s, &r.keepdims))
        return value_error();
    if (op == OP_iota)
        return value_array(s, ir_place(s->ir, ir_at(s->ir, x)->shape, r.axes, sema_span(s, span)), false, span);
    if (op == OP_count)
        return value_array(s, ir_count(s->ir, x, r.axes, sema_span(s, span)), false, span);
    return narrow(s,
                  value_array(s, ir_reduce(s->ir, op, x, r.axes, r.keepdims.i != 0, sema_span(s, span)), false,
                              span),
                  value_dtype(&r.x));
}
