/*
 * Indexing: integers, slices, None, `...`, arrays of integers; and the functions that reorder axes.
 */
#include "ir/build.h"
#include "sema/build.h"

struct indexing {
    struct sema *s;
    struct value x;
    unsigned axis; /* of x, that the next item is for */
    struct span span;
    struct pick {         /* integers and arrays of them: applied last, so that an array is left to give new axes to */
        struct value v;
        unsigned axis, item;
    } picks[IR_MAX_RANK];
    unsigned n_picks;
    bool takes;           /* some pick is not known when compiling */
    struct part *part;    /* where the steps are told, or NULL */
};

static unsigned rank_of(struct sema *s, const struct value *x)
{
    return s->ir->shapes.at[ir_at(s->ir, x->id)->shape].rank;
}

static bool apply_step(struct indexing *at, struct ir_step step, struct span span)
{
    struct sema *s = at->s;
    if (reads_kernel_memory(s, &at->x)) {
        sema_error(s, AX_not_supported, span, "what a kernel changes is read element by element: an integer for every axis");
        return false;
    }
    if (s->n_loops && ir_at(s->ir, at->x.id)->region) {
        sema_error(s, AX_in_loop, span, "what a loop computes is one element and has no indices");
        return false;
    }
    if (at->part)
        vec_push(s->arena, &at->part->steps, step);
    ir_id id = ir_view(s->ir, at->x.id, step, sema_span(s, span), s->diags);
    at->x = value_array(s, id, false, at->span);
    return id != 0;
}

static bool new_axis(struct indexing *at, struct span span)
{
    if (rank_of(at->s, &at->x) == IR_MAX_RANK) {
        sema_error(at->s, AX_rank_too_large, span, "arrays have at most %d axes", IR_MAX_RANK);
        return false;
    }
    return apply_step(at, (struct ir_step){.kind = STEP_NEWAXIS, .axis = (uint8_t)at->axis++}, span);
}

/* A bound of a slice: an integer that is known, or nothing. */
static bool bound(struct sema *s, const struct ast *e, int64_t *out, bool *given)
{
    *given = false;
    if (!e)
        return true;
    struct value v = eval(s, e);
    if (v.kind == VALUE_NONE || v.kind == VALUE_ERROR)
        return v.kind == VALUE_NONE;
    if (v.kind != VALUE_INT) {
        sema_error(s, v.kind == VALUE_ARRAY ? AX_not_constant : AX_type_mismatch, e->span, "a bound of a slice is an integer known when compiling, not %s", value_words(s, &v));
        return false;
    }
    *out = v.i;
    *given = true;
    return true;
}

static bool slice_axis(struct indexing *at, const struct ast *e)
{
    struct ir_slice sl = {.step = 1};
    bool start, stop, step;
    if (!bound(at->s, e->kid[0], &sl.start, &start) || !bound(at->s, e->kid[1], &sl.stop, &stop) || !bound(at->s, e->kid[2], &sl.step, &step))
        return false;
    if (sl.step == 0) {
        sema_error(at->s, AX_type_mismatch, e->kid[2]->span, "the step of a slice cannot be 0");
        return false;
    }
    if (sl.step < -INT64_MAX)
        sl.step = -INT64_MAX;
    sl.flags = (uint8_t)((start ? SLICE_HAS_START : 0) | (stop ? SLICE_HAS_STOP : 0));
    unsigned axis = at->axis++;
    if (!start && !stop && sl.step == 1)
        return true;
    return apply_step(at, (struct ir_step){.kind = STEP_SLICE, .axis = (uint8_t)axis, .slice = sl}, e->span);
}

static bool is_integers(const struct value *v)
{
    enum type_class c = v->kind == VALUE_ARRAY ? type_table[v->dtype].cls : CLASS_NONE;
    return c == CLASS_INT || c == CLASS_UINT;
}

/* [3, 0, -1]: an array of these integers, each chosen by its place. */
static struct value listed(struct sema *s, const struct ast *e)
{
    struct value v = eval(s, e);
    struct ir_shape shape = {.rank = 1};
    if (v.kind != VALUE_TUPLE || !v.n_items)
        return v;
    if (v.n_items > 1)
        shape.dim[0] = ir_dim(s->ir, (struct ir_dim){.kind = DIM_CONST, .extent = v.n_items});
    struct value place = value_array(s, ir_place(s->ir, ir_shape(s->ir, &shape), 1, sema_span(s, e->span)), false, e->span), out = place;
    for (uint32_t i = 0; i < v.n_items; i++) {
        if (v.items[i].kind != VALUE_INT) {
            if (v.items[i].kind != VALUE_ERROR)
                sema_error(s, AX_type_mismatch, v.items[i].span, "a list of indices holds integers known when compiling, not %s", value_words(s, &v.items[i]));
            return value_error();
        }
        struct value here[2] = {place, value_int(i, e->span)}, choice[3] = {apply_op(s, OP_equal, here, 2, e->span), v.items[i], out};
        out = apply_op(s, OP_where, choice, 3, e->span);
    }
    return out;
}

static bool pick(struct indexing *at, const struct ast *e, unsigned item)
{
    struct value v = e->kind == AST_TUPLE && e->u.integer ? listed(at->s, e) : eval(at->s, e);
    if (v.kind == VALUE_INT || is_integers(&v)) {
        at->takes |= v.kind == VALUE_ARRAY || reads_kernel_memory(at->s, &at->x);
        at->picks[at->n_picks++] = (struct pick){v, at->axis++, item};
        return true;
    }
    if (v.kind == VALUE_NONE)
        return new_axis(at, e->span);
    if (v.kind != VALUE_ERROR)
        sema_error(at->s, AX_type_mismatch, e->span, "an index is an integer or an array of them, a slice, None or ..., not %s", value_words(at->s, &v));
    return false;
}

static struct value pick_known(struct indexing *at)
{
    for (; at->n_picks; at->n_picks--) {
        const struct pick *p = &at->picks[at->n_picks - 1];
        if (!apply_step(at, (struct ir_step){.kind = STEP_INDEX, .axis = (uint8_t)p->axis, .index = p->v.i}, p->v.span))
            return value_error();
    }
    return at->x;
}

/* ---- arrays of integers ---- */

/* As int64. An element that does not come here (a branch, a loop it has left) asks for the first: its index may be anything. */
ir_id index_value(struct sema *s, struct value v)
{
    struct value pair[2] = {v, value_int(INT64_MAX, v.span)}, choice[3] = {s->path, v, value_int(0, v.span)};
    if (v.kind == VALUE_ARRAY && v.dtype == DT_uint64)
        choice[1] = apply_op(s, OP_minimum, pair, 2, v.span);
    if (s->path.kind == VALUE_ARRAY && (v.kind == VALUE_ARRAY || s->in_kernel))
        choice[1] = apply_op(s, OP_where, choice, 3, v.span);
    ir_id id = value_to_ir(s, &choice[1]);
    return id && ir_at(s->ir, id)->dtype != DT_int64 ? ir_cast(s->ir, id, DT_int64, sema_span(s, v.span)) : id;
}

/* New axes behind those that an index has. */
static ir_id followed_by(struct sema *s, ir_id id, unsigned axes, struct span span)
{
    for (; id && axes && s->ir->shapes.at[ir_at(s->ir, id)->shape].rank; axes--)
        id = ir_view(s->ir, id, (struct ir_step){.kind = STEP_NEWAXIS, .axis = s->ir->shapes.at[ir_at(s->ir, id)->shape].rank}, span, s->diags);
    return id;
}

/* The indices of an axis that is kept whole, `behind` axes of the result following it. */
static ir_id whole_axis(struct sema *s, uint32_t dim, unsigned behind, struct span span)
{
    struct ir_shape shape = {.rank = (uint8_t)(behind + 1), .dim = {dim}};
    return ir_place(s->ir, ir_shape(s->ir, &shape), 1, span);
}

/* As NumPy: where the picks stand side by side, their axes come in their place; else before all others. */
static unsigned axes_before(const struct indexing *at)
{
    bool together = at->picks[at->n_picks - 1].item - at->picks[0].item + 1 == at->n_picks;
    return together ? at->picks[0].axis : 0;
}

static struct value take(struct indexing *at)
{
    struct sema *s = at->s;
    struct span span = sema_span(s, at->span);
    const struct ir_shape shape = s->ir->shapes.at[ir_at(s->ir, at->x.id)->shape];
    unsigned before = axes_before(at), others = shape.rank - at->n_picks, picked = 0, met = 0, broadcast = 0;
    ir_id index[IR_MAX_RANK] = {0};
    if (others && reads_kernel_memory(s, &at->x)) {
        sema_error(s, AX_bad_axis, at->span, "an element of an array with %u axes has as many indices, not %u", shape.rank, at->n_picks);
        return value_error();
    }
    if (s->n_loops && (ir_at(s->ir, at->x.id)->region || others)) {
        sema_error(s, AX_in_loop, at->span, others ? "in a loop an element has an index for every axis" : "what a loop computes is one element and has no indices");
        return value_error();
    }
    for (unsigned i = 0; i < at->n_picks; i++) {
        const struct pick *p = &at->picks[i];
        if (!(index[p->axis] = index_value(s, p->v)))
            return value_error();
        unsigned rank = s->ir->shapes.at[ir_at(s->ir, index[p->axis])->shape].rank;
        broadcast = rank > broadcast ? rank : broadcast;
        picked |= 1u << p->axis;
    }
    if (broadcast + others > IR_MAX_RANK) {
        sema_error(s, AX_rank_too_large, at->span, "arrays have at most %d axes", IR_MAX_RANK);
        return value_error();
    }
    for (unsigned d = 0; d < shape.rank; d++) {
        if (picked >> d & 1) {
            index[d] = followed_by(s, index[d], others - before, span);
            continue;
        }
        unsigned behind = others - 1 - met + (met < before ? broadcast : 0);
        index[d] = whole_axis(s, shape.dim[d], behind, span);
        met++;
    }
    return value_array(s, ir_take(s->ir, at->x.id, index, picked, span, s->diags), false, at->span);
}

/* Axes of x that the items take up; -1 with a diagnostic when there are two ellipses. */
static int axes_taken(struct sema *s, const struct ast *e)
{
    int taken = 0, ellipses = 0;
    for (uint32_t i = 1; i < e->n_kids; i++) {
        ellipses += e->kid[i]->kind == AST_ELLIPSIS;
        taken += e->kid[i]->kind != AST_ELLIPSIS && e->kid[i]->kind != AST_NONE;
        if (ellipses > 1) {
            sema_error(s, AX_syntax, e->kid[i]->span, "an index holds one `...` at most");
            return -1;
        }
    }
    return taken;
}

static struct value index_tuple(struct sema *s, const struct value *t, const struct ast *e)
{
    struct value v = e->n_kids == 2 ? eval(s, e->kid[1]) : value_error();
    if (v.kind == VALUE_INT && v.i < (int64_t)t->n_items && v.i >= -(int64_t)t->n_items)
        return t->items[v.i < 0 ? v.i + t->n_items : v.i];
    if (v.kind != VALUE_ERROR)
        sema_error(s, AX_index_range, e->span, "a tuple of %u is indexed with an integer from %d to %d", t->n_items, -(int)t->n_items, (int)t->n_items - 1);
    return value_error();
}

static struct value index_with(struct sema *s, const struct ast *e, struct part *part)
{
    lay_down_state(s, e->kid[0]);
    struct indexing at = {.s = s, .x = eval(s, e->kid[0]), .span = e->span, .part = part};
    int taken = axes_taken(s, e);
    if (at.x.kind == VALUE_TUPLE)
        return index_tuple(s, &at.x, e);
    if (at.x.kind != VALUE_ARRAY || taken < 0) {
        if (at.x.kind != VALUE_ERROR && taken >= 0)
            sema_error(s, AX_type_mismatch, e->span, "%s cannot be indexed", value_words(s, &at.x));
        return value_error();
    }
    unsigned rank = rank_of(s, &at.x);
    if ((unsigned)taken > rank || rank == 0) {
        sema_error(s, AX_bad_axis, e->span, rank ? "too many indices: %d for an array with %u ax%s" : "a scalar cannot be indexed", taken, rank, rank == 1 ? "is" : "es");
        return value_error();
    }
    for (uint32_t i = 1; i < e->n_kids; i++) {
        const struct ast *item = e->kid[i];
        if (item->kind == AST_ELLIPSIS)
            at.axis += rank - (unsigned)taken;
        else if (!(item->kind == AST_SLICE ? slice_axis(&at, item) : item->kind == AST_NONE ? new_axis(&at, item->span) : pick(&at, item, i)))
            return value_error();
    }
    if (part && at.takes) {
        sema_error(s, AX_not_supported, e->span, "the part that is replaced is given by slices and by integers known when compiling");
        return value_error();
    }
    return at.takes ? take(&at) : pick_known(&at);
}

/* An index takes as much of the C stack as several other expressions. */
static struct value index_deep(struct sema *s, const struct ast *e, struct part *part)
{
    s->depth += DEPTH_OF_BLOCK;
    struct value v = index_with(s, e, part);
    s->depth -= DEPTH_OF_BLOCK;
    return v;
}

struct value eval_index(struct sema *s, const struct ast *e)
{
    return index_deep(s, e, NULL);
}

struct value eval_part(struct sema *s, const struct ast *e, struct part *part)
{
    return index_deep(s, e, part);
}

/* ---- functions of axes ---- */

static bool axis_of(struct sema *s, const struct value *v, unsigned rank, const char *function, unsigned *out)
{
    int64_t axis = v->kind == VALUE_INT ? (v->i < 0 ? v->i + (int64_t)rank : v->i) : -1;
    if (v->kind == VALUE_INT && axis >= 0 && axis < (int64_t)rank) {
        *out = (unsigned)axis;
        return true;
    }
    if (v->kind == VALUE_INT)
        sema_error(s, AX_bad_axis, v->span, "axis %lld is out of range for `%s`: there are %u axes", (long long)v->i, function, rank);
    else if (v->kind != VALUE_ERROR)
        sema_error(s, v->kind == VALUE_ARRAY ? AX_not_constant : AX_type_mismatch, v->span, "an axis is an integer known when compiling, not %s", value_words(s, v));
    return false;
}

/* As axis_of, of one that is not in `seen` (bit i: axis i), which it joins. */
static bool fresh_axis(struct sema *s, const struct value *v, unsigned rank, const char *function, unsigned *seen, unsigned *out)
{
    if (!axis_of(s, v, rank, function, out))
        return false;
    if (*seen >> *out & 1) {
        sema_error(s, AX_duplicate_axis, v->span, "axis %u is given twice", *out);
        return false;
    }
    *seen |= 1u << *out;
    return true;
}

/* One axis or a tuple of them. */
static bool mask_of(struct sema *s, const struct value *v, unsigned rank, const char *function, unsigned *mask)
{
    const struct value *items = v->kind == VALUE_TUPLE ? v->items : v;
    unsigned n = v->kind == VALUE_TUPLE ? v->n_items : 1, axis;
    *mask = 0;
    for (unsigned i = 0; i < n; i++)
        if (!fresh_axis(s, &items[i], rank, function, mask, &axis))
            return false;
    return true;
}

static struct value in_order(struct indexing *at, const uint8_t *order, unsigned rank)
{
    struct ir_step step = {.kind = STEP_PERMUTE};
    bool moved = false;
    for (unsigned d = 0; d < rank; d++) {
        step.order[d] = order[d];
        moved |= order[d] != d;
    }
    if (moved && !apply_step(at, step, at->span))
        return value_error();
    return at->x;
}

struct value transpose(struct sema *s, const struct value *x, const struct value *axes, struct span span)
{
    struct indexing at = {.s = s, .x = *x, .span = span};
    uint8_t order[IR_MAX_RANK];
    unsigned rank = rank_of(s, x), seen = 0;
    if (!axes || axes->kind == VALUE_NONE) {
        for (unsigned d = 0; d < rank; d++)
            order[d] = (uint8_t)(rank - 1 - d);
        return in_order(&at, order, rank);
    }
    if (axes->kind != VALUE_TUPLE || axes->n_items != rank) {
        sema_error(s, AX_type_mismatch, axes->span, "transpose takes a tuple of %u axes here", rank);
        return value_error();
    }
    for (unsigned d = 0; d < rank; d++) {
        unsigned axis;
        if (!fresh_axis(s, &axes->items[d], rank, "transpose", &seen, &axis))
            return value_error();
        order[d] = (uint8_t)axis;
    }
    return in_order(&at, order, rank);
}

static struct value swap_axes(struct sema *s, const struct value *x, const struct value *a, const struct value *b, struct span span)
{
    struct indexing at = {.s = s, .x = *x, .span = span};
    uint8_t order[IR_MAX_RANK];
    unsigned rank = rank_of(s, x), i, j;
    if (!axis_of(s, a, rank, "swapaxes", &i) || !axis_of(s, b, rank, "swapaxes", &j))
        return value_error();
    for (unsigned d = 0; d < rank; d++)
        order[d] = (uint8_t)(d == i ? j : d == j ? i : d);
    return in_order(&at, order, rank);
}

static bool flip_axis(struct indexing *at, unsigned axis)
{
    return apply_step(at, (struct ir_step){.kind = STEP_SLICE, .axis = (uint8_t)axis, .slice = {.step = -1}}, at->span);
}

static struct value flip(struct sema *s, const struct value *x, const struct value *axis, struct span span)
{
    struct indexing at = {.s = s, .x = *x, .span = span};
    unsigned rank = rank_of(s, x), axes = (1u << rank) - 1;
    if (axis->kind != VALUE_NONE && !mask_of(s, axis, rank, "flip", &axes))
        return value_error();
    for (unsigned d = 0; d < rank; d++)
        if ((axes >> d & 1) && !flip_axis(&at, d))
            return value_error();
    return at.x;
}

static struct value expand_dims(struct sema *s, const struct value *x, const struct value *axis, struct span span)
{
    struct indexing at = {.s = s, .x = *x, .span = span};
    unsigned rank = rank_of(s, x) + (axis->kind == VALUE_TUPLE ? axis->n_items : 1), axes;
    if (!rank_of(s, x)) {
        sema_error(s, AX_bad_axis, span, "a scalar needs no more axes: it broadcasts as it is");
        return value_error();
    }
    if (rank > IR_MAX_RANK) {
        sema_error(s, AX_rank_too_large, span, "arrays have at most %d axes", IR_MAX_RANK);
        return value_error();
    }
    if (!mask_of(s, axis, rank, "expand_dims", &axes))
        return value_error();
    for (unsigned d = 0; d < rank; d++) {
        at.axis = d;
        if ((axes >> d & 1) && !new_axis(&at, span))
            return value_error();
    }
    return at.x;
}

/* x[1:] - x[:-1] along the axis. */
static struct value difference(struct sema *s, const struct value *x, unsigned axis, struct span span)
{
    struct indexing later = {.s = s, .x = *x, .span = span}, sooner = later;
    if (!apply_step(&later, (struct ir_step){.kind = STEP_SLICE, .axis = (uint8_t)axis, .slice = {.start = 1, .step = 1, .flags = SLICE_HAS_START}}, span) ||
        !apply_step(&sooner, (struct ir_step){.kind = STEP_SLICE, .axis = (uint8_t)axis, .slice = {.stop = -1, .step = 1, .flags = SLICE_HAS_STOP}}, span))
        return value_error();
    struct value both[] = {later.x, sooner.x};
    return apply_op(s, ir_at(s->ir, x->id)->dtype == DT_bool ? OP_not_equal : OP_subtract, both, 2, span);
}

/* n times; programs are as long as n is large, so their limit is its own. */
static struct value differences(struct sema *s, struct value x, const struct value *n, const struct value *axis, struct span span)
{
    const struct value last = value_int(-1, span);
    unsigned d;
    if (n->kind != VALUE_NONE && (n->kind != VALUE_INT || n->i < 0)) {
        if (n->kind != VALUE_ERROR)
            sema_error(s, n->kind == VALUE_ARRAY ? AX_not_constant : AX_type_mismatch, n->span, "`diff` is done a number of times that is known when compiling, not %s", value_words(s, n));
        return value_error();
    }
    if (!axis_of(s, axis->kind == VALUE_NONE ? &last : axis, rank_of(s, &x), "diff", &d))
        return value_error();
    for (int64_t i = n->kind == VALUE_NONE ? 1 : n->i; i > 0 && x.kind == VALUE_ARRAY && x.id; i--)
        x = difference(s, &x, d, span);
    return x;
}

struct value call_axes(struct sema *s, enum op op, const struct value *args, struct span span)
{
    struct value x = args[0];
    if (value_is_numeric(&x) && x.kind != VALUE_ARRAY)
        x = value_array(s, value_to_ir(s, &x), false, x.span);
    if (x.kind != VALUE_ARRAY) {
        if (x.kind != VALUE_ERROR)
            sema_error(s, AX_type_mismatch, x.span, "`%s` takes an array, not %s", op_table[op].name, value_words(s, &x));
        return value_error();
    }
    switch (op) {
    case OP_transpose:
        return transpose(s, &x, &args[1], span);
    case OP_swapaxes:
        return swap_axes(s, &x, &args[1], &args[2], span);
    case OP_flip:
        return flip(s, &x, &args[1], span);
    case OP_expand_dims:
        return expand_dims(s, &x, &args[1], span);
    case OP_diff:
        return differences(s, x, &args[1], &args[2], span);
    default:
        return value_int(rank_of(s, &x), span); /* ndim */
    }
}
