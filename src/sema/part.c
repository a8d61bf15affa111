/*
 * A[1:-1, ::2] = expr: a part of an array replaced. Values do not change, so the name is bound again, to an array whose elements are
 * those of the expression where the part is and the old ones elsewhere: each element tells from its own place which it
 * is, and the expression is computed there (ir_take). The right side sees the array as it was, whatever it reads of it, and
 * where the part is does not enter the code that computes it: one nest, nothing stored in between.
 */
#include "ir/build.h"
#include "sema/build.h"

struct part {
    struct sema *s;
    const struct ast *target;
    struct value whole, inside, index[IR_MAX_RANK]; /* whether an element is in the part; which one of it, an axis of the part */
    unsigned rank;                                  /* of the part */
    struct span span;
};

static struct ir_shape shape_of(struct sema *s, const struct value *x)
{
    return s->ir->shapes.at[ir_at(s->ir, x->id)->shape];
}

static struct value apply2(struct part *p, enum op op, struct value a, struct value b)
{
    struct value both[] = {a, b};
    return apply_op(p->s, op, both, 2, p->span);
}

static struct value choose(struct part *p, struct value c, struct value a, struct value b)
{
    struct value all[] = {c, a, b};
    return apply_op(p->s, OP_where, all, 3, p->span);
}

static struct value number(struct part *p, int64_t i)
{
    return value_int(i, p->span);
}

static struct value places(struct part *p, const struct ir_shape *shape, unsigned axes)
{
    struct sema *s = p->s;
    return value_array(s, ir_place(s->ir, ir_shape(s->ir, shape), axes, sema_span(s, p->span)), false, p->span);
}

static struct value extent(struct part *p, unsigned axis)
{
    struct sema *s = p->s;
    return value_array(s, ir_count(s->ir, p->whole.id, 1u << axis, sema_span(s, p->span)), false, p->span);
}

static void narrow_down(struct part *p, struct value condition)
{
    p->inside = p->inside.kind == VALUE_BOOL ? condition : apply2(p, OP_logical_and, p->inside, condition);
}

/* An integer known when compiling, or else; eval_index has told what is wrong with others. */
static bool known_bound(struct part *p, const struct ast *e, int64_t *out)
{
    struct value v = e ? eval(p->s, e) : value_error();
    *out = v.i;
    return v.kind == VALUE_INT;
}

/* Where a bound of a slice is, as Python clamps it to least .. n + most. */
static struct value clamped(struct part *p, int64_t bound, struct value n, int64_t least, int64_t most)
{
    struct value to = bound < 0 ? apply2(p, OP_add, n, number(p, bound)) : number(p, bound);
    struct value last = most ? apply2(p, OP_add, n, number(p, most)) : n;
    return apply2(p, bound < 0 ? OP_maximum : OP_minimum, to, bound < 0 ? number(p, least) : last);
}

static void sliced_axis(struct part *p, const struct ast *e, unsigned axis)
{
    struct ir_shape shape = shape_of(p->s, &p->whole);
    struct value at = places(p, &shape, 1u << axis), n = extent(p, axis), from, far;
    int64_t start, stop, step = 1;
    bool has_step = known_bound(p, e->kid[2], &step), has_start = known_bound(p, e->kid[0], &start), has_stop = known_bound(p, e->kid[1], &stop);
    step = !has_step ? 1 : step < -INT64_MAX ? -INT64_MAX : step;
    bool up = step > 0;
    unsigned k = p->rank++;
    p->index[k] = at;
    if (!has_start && !has_stop && step == 1)
        return;
    from = has_start ? clamped(p, start, n, up ? 0 : -1, up ? 0 : -1) : up ? number(p, 0) : apply2(p, OP_add, n, number(p, -1));
    if (has_start || !up)
        narrow_down(p, apply2(p, up ? OP_greater_equal : OP_less_equal, at, from));
    if (has_stop)
        narrow_down(p, apply2(p, up ? OP_less : OP_greater, at, clamped(p, stop, n, up ? 0 : -1, up ? 0 : -1)));
    far = up ? apply2(p, OP_subtract, at, from) : apply2(p, OP_subtract, from, at);
    if (step != 1 && step != -1) {
        narrow_down(p, apply2(p, OP_equal, apply2(p, OP_remainder, far, number(p, up ? step : -step)), number(p, 0)));
        far = apply2(p, OP_floor_divide, far, number(p, up ? step : -step));
    }
    p->index[k] = far;
}

/* false: what stands there is neither a slice nor an integer that is known. */
static bool axis_item(struct part *p, const struct ast *e, unsigned axis)
{
    struct ir_shape shape = shape_of(p->s, &p->whole);
    if (e->kind == AST_SLICE) {
        sliced_axis(p, e, axis);
        return true;
    }
    struct value v = e->kind == AST_NONE ? value_error() : eval(p->s, e);
    if (v.kind == VALUE_INT) {
        struct value at = v.i < 0 ? apply2(p, OP_add, extent(p, axis), number(p, v.i)) : number(p, v.i);
        narrow_down(p, apply2(p, OP_equal, places(p, &shape, 1u << axis), at));
        return true;
    }
    sema_error(p->s, AX_not_supported, e->span, "the part that is replaced is given by slices and by integers known when compiling");
    return false;
}

static bool find_part(struct part *p)
{
    const struct ast *e = p->target;
    struct ir_shape shape = shape_of(p->s, &p->whole);
    unsigned axis = 0, given = 0;
    for (uint32_t i = 1; i < e->n_kids; i++)
        given += e->kid[i]->kind != AST_ELLIPSIS;
    for (uint32_t i = 1; i < e->n_kids; i++) {
        if (e->kid[i]->kind != AST_ELLIPSIS) {
            if (!axis_item(p, e->kid[i], axis++))
                return false;
            continue;
        }
        for (unsigned skipped = shape.rank - given; skipped; skipped--, axis++)
            p->index[p->rank++] = places(p, &shape, 1u << axis);
    }
    for (; axis < shape.rank; axis++)
        p->index[p->rank++] = places(p, &shape, 1u << axis);
    return true;
}

/* The type of an array stays: the value must be one that it holds without loss by the rules of promotion. */
static bool same_type(struct part *p, struct value *v)
{
    struct sema *s = p->s;
    struct value both[] = {p->whole, *v};
    bool weak;
    enum dtype met = promote_values(both, 2, &weak), own = p->whole.dtype;
    if (met != own) {
        sema_error(s, AX_type_mismatch, v->span, "a part of an array of %s cannot be replaced by %s: an array keeps its type; write `%s(...)`",
                   type_table[own].name, value_words(s, v), type_table[own].name);
        return false;
    }
    ir_id id = value_as(s, v, own);
    *v = value_array(s, id, false, v->span);
    return id != 0;
}

/* The value in the shape of the part, which it broadcasts to. */
static bool same_shape(struct part *p, const struct value *old, struct value *v)
{
    struct sema *s = p->s;
    const struct ir_shape to = shape_of(s, old), from = shape_of(s, v);
    if (from.rank > to.rank) {
        sema_error(s, AX_shape_mismatch, v->span, "an array of %u axes does not broadcast to %u, those of the part that it replaces", from.rank, to.rank);
        return false;
    }
    if (ir_shape(s->ir, &to) == ir_shape(s->ir, &from) || !from.rank)
        return true;
    *v = choose(p, apply2(p, OP_greater_equal, places(p, &to, (1u << to.rank) - 1), number(p, 0)), *v, *v);
    if (v->kind != VALUE_ARRAY || !v->id)
        return false;
    const struct ir_shape met = shape_of(s, v);
    for (unsigned d = 0; d < to.rank; d++) {
        struct ir_check c = {.kind = CHECK_EQUAL, .span = sema_span(s, p->span), .dim_a = met.dim[d], .dim_b = to.dim[d]};
        c.text = str_of(arena_printf(s->arena, "axis %u of the value does not broadcast to the part that it replaces", d));
        if (met.dim[d] != to.dim[d])
            vec_push(s->arena, &s->ir->checks, c);
    }
    return true;
}

static struct value replaced(struct part *p, struct value v)
{
    struct sema *s = p->s;
    ir_id ids[IR_MAX_RANK];
    if (p->inside.kind == VALUE_BOOL && shape_of(s, &v).rank)
        return v;
    if (p->inside.kind == VALUE_BOOL) {
        struct ir_shape shape = shape_of(s, &p->whole);
        p->inside = apply2(p, OP_greater_equal, places(p, &shape, (1u << shape.rank) - 1), number(p, 0));
    }
    for (unsigned d = 0; d < p->rank; d++) {
        struct value at = choose(p, p->inside, p->index[d], number(p, 0));
        if (at.kind != VALUE_ARRAY || !(ids[d] = at.id))
            return value_error();
    }
    if (shape_of(s, &v).rank)
        v = value_array(s, ir_take(s->ir, v.id, ids, 0, sema_span(s, p->span), s->diags), false, p->span);
    return choose(p, p->inside, v, p->whole);
}

void run_part(struct sema *s, const struct ast *st)
{
    const struct ast *target = st->kid[0], *name = target->kid[0];
    struct part p = {.s = s, .target = target, .inside = value_bool(true, st->span), .span = st->span};
    if (name->kind != AST_NAME) {
        sema_error(s, AX_not_supported, target->span, "a part of an array is replaced by way of the array's name");
        return;
    }
    if (s->in_kernel || s->n_loops) {
        sema_error(s, AX_not_supported, st->span, "what a kernel or a loop calls works on one element: it has no parts to replace");
        return;
    }
    struct value old = eval_index(s, target), v = eval(s, st->kid[1]);
    p.whole = eval(s, name);
    bool good = old.kind == VALUE_ARRAY && v.kind != VALUE_ERROR;
    if (good && !value_is_numeric(&v)) {
        sema_error(s, AX_type_mismatch, v.span, "a part of an array is replaced by numbers, not by %s", value_words(s, &v));
        good = false;
    }
    good = good && find_part(&p) && same_type(&p, &v) && same_shape(&p, &old, &v);
    scope_bind(s->arena, s->scope, name->name, name->span)->value = good ? replaced(&p, v) : value_error();
}
