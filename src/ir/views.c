/*
 * Indexing. A step (a slice, an index, a new axis, another order of axes) on an elementwise expression is the same step on
 * each array it is made of: the expression is built again over views, equal nodes being one. So stencils written with
 * slices are one nest, and nothing is copied. What is reduced keeps its own order; the step applies to the result.
 */
#include <string.h>
#include "ir/build.h"

/* ---- at the call ---- */

static int64_t clamp(int64_t v, int64_t low, int64_t high)
{
    return v < low ? low : v > high ? high : v;
}

/* As Python's slice.indices. */
int64_t ir_slice_length(const struct ir_slice *s, int64_t n, int64_t *first)
{
    bool up = s->step > 0;
    int64_t low = up ? 0 : -1, high = up ? n : n - 1, start = up ? low : high, stop = up ? high : low;
    if (s->flags & SLICE_HAS_START)
        start = clamp(s->start < 0 ? s->start + n : s->start, low, high);
    if (s->flags & SLICE_HAS_STOP)
        stop = clamp(s->stop < 0 ? s->stop + n : s->stop, low, high);
    *first = start;
    if (up ? start >= stop : start <= stop)
        return 0;
    return up ? (stop - start - 1) / s->step + 1 : (start - stop - 1) / -s->step + 1;
}

static void remove_axis(struct ir_layout *l, unsigned axis)
{
    l->rank--;
    for (unsigned d = axis; d < l->rank; d++) {
        l->shape[d] = l->shape[d + 1];
        l->stride[d] = l->stride[d + 1];
    }
}

static void add_axis(struct ir_layout *l, unsigned axis)
{
    for (unsigned d = l->rank++; d > axis; d--) {
        l->shape[d] = l->shape[d - 1];
        l->stride[d] = l->stride[d - 1];
    }
    l->shape[axis] = 1;
    l->stride[axis] = 0;
}

static void reorder(struct ir_layout *l, const uint8_t *order)
{
    struct ir_layout old = *l;
    for (unsigned d = 0; d < l->rank; d++) {
        l->shape[d] = old.shape[order[d]];
        l->stride[d] = old.stride[order[d]];
    }
}

static void apply(const struct ir_step *s, const int64_t *dims, struct ir_layout *l)
{
    int64_t first = 0;
    bool stretched =
        (s->kind == STEP_SLICE || s->kind == STEP_INDEX) && l->shape[s->axis] == 1 && dims[s->of] != 1;
    switch ((enum ir_step_kind)s->kind) {
    case STEP_SLICE:
        if (stretched)
            return;
        l->shape[s->axis] = ir_slice_length(&s->slice, l->shape[s->axis], &first);
        l->offset += l->shape[s->axis] ? first * l->stride[s->axis] : 0;
        l->stride[s->axis] = l->shape[s->axis] > 1 ? l->stride[s->axis] * s->slice.step
                                                   : 0; /* one element: no step, which may be huge */
        return;
    case STEP_INDEX:
        if (!stretched)
            l->offset += (s->index < 0 ? s->index + l->shape[s->axis] : s->index) * l->stride[s->axis];
        remove_axis(l, s->axis);
        return;
    case STEP_NEWAXIS:
        add_axis(l, s->axis);
        return;
    case STEP_PERMUTE:
        reorder(l, s->order);
        return;
    case STEP_PART:
        return; /* by who knows the type */
    }
}

void ir_place_layout(const struct ir *ir, const struct ir_node *place, const int64_t *dim_values, struct ir_layout *layout)
{
    const struct ir_shape *s = &ir->shapes.at[place->shape];
    int64_t step = 8;
    *layout = (struct ir_layout){.rank = s->rank};
    for (unsigned d = s->rank; d-- > 0;) {
        layout->shape[d] = dim_values[s->dim[d]];
        if (place->attr >> d & 1) {
            layout->stride[d] = step;
            step *= layout->shape[d];
        }
    }
}

void ir_view_apply(const struct ir_view *view, const int64_t *dim_values, enum dtype base, struct ir_layout *layout)
{
    if (view->n && view->steps[0].kind == STEP_PART)
        layout->offset += view->steps[0].index * type_table[type_part(base)].size;
    for (uint32_t i = 0; i < view->n; i++)
        apply(&view->steps[i], dim_values, layout);
}

/* ---- building ---- */

struct rebuild {
    struct ir *ir;
    const struct ir_step *step; /* or NULL: elements are taken by index */
    const ir_id *indices;       /* one an axis of the expression */
    unsigned rank; /* of the whole expression: the step's axes are its */
    uint32_t home; /* the region in which it is */
    uint8_t *need; /* per node up to the expression's own: is part of it */
    ir_id *made;   /* and what became of it */
    struct span span;
    struct diags *diags;
};

static bool from_the_front(const struct ir_slice *s)
{
    return s->step == 1 && !(s->flags & SLICE_HAS_STOP && s->stop >= 0) &&
           !(s->flags & SLICE_HAS_START && s->start < 0);
}

/* Of numbers from 0 on; more elements than there can be are as good as the most. */
static int64_t added(int64_t a, int64_t b)
{
    return a > INT64_MAX - b ? INT64_MAX : a + b;
}

/* a[s:-t] is as long as a[s + t:]: written so, slices of equal length share a dim and need no check. */
static struct ir_slice shortest_form(struct ir_slice s)
{
    if (!from_the_front(&s))
        return s;
    int64_t start = s.flags & SLICE_HAS_START ? s.start : 0, stop = s.flags & SLICE_HAS_STOP ? s.stop : 0;
    int64_t less = added(start, stop < -INT64_MAX ? INT64_MAX : -stop);
    return (struct ir_slice){.start = less, .step = 1, .flags = less ? SLICE_HAS_START : 0};
}

static uint32_t slice_dim(struct ir *ir, const struct ir_step *step, uint32_t own)
{
    const struct ir_dim *base = &ir->dims.at[step->of];
    struct ir_dim d = {.kind = DIM_SLICE, .base = step->of, .own = own, .slice = step->slice};
    int64_t first;
    if (own != step->of)
        return ir_dim(ir, d);
    if (base->kind == DIM_ONE || base->kind == DIM_CONST)
        return ir_dim(
            ir, (struct ir_dim){.kind = DIM_CONST,
                                .extent = ir_slice_length(&step->slice,
                                                          base->kind == DIM_ONE ? 1 : base->extent, &first)});
    d.slice = shortest_form(d.slice);
    if (!d.slice.flags && (d.slice.step == 1 || d.slice.step == -1))
        return step->of;
    if (base->kind == DIM_SLICE && base->own == base->base && from_the_front(&base->slice) &&
        from_the_front(&d.slice)) {
        d.base = d.own = base->base;
        d.slice.start = added(d.slice.start, base->slice.start);
    }
    return ir_dim(ir, d);
}

static struct ir_shape stepped_shape(struct ir *ir, struct ir_shape s, const struct ir_step *step)
{
    struct ir_shape old = s;
    switch ((enum ir_step_kind)step->kind) {
    case STEP_SLICE:
        s.dim[step->axis] = slice_dim(ir, step, s.dim[step->axis]);
        break;
    case STEP_INDEX:
        s.rank--;
        for (unsigned d = step->axis; d < s.rank; d++)
            s.dim[d] = old.dim[d + 1];
        s.dim[s.rank] = 0;
        break;
    case STEP_NEWAXIS:
        s.rank++;
        for (unsigned d = step->axis + 1u; d < s.rank; d++)
            s.dim[d] = old.dim[d - 1];
        s.dim[step->axis] = 0;
        break;
    case STEP_PERMUTE:
        for (unsigned d = 0; d < s.rank; d++)
            s.dim[d] = old.dim[step->order[d]];
        break;
    case STEP_PART:
        break;
    }
    return s;
}

static bool same_step(const struct ir_step *a, const struct ir_step *b)
{
    return a->kind == b->kind && a->axis == b->axis && a->of == b->of && a->index == b->index &&
           ir_slice_equal(&a->slice, &b->slice) && memcmp(a->order, b->order, sizeof a->order) == 0;
}

static bool same_steps(const struct ir_view *a, const struct ir_view *b)
{
    for (uint32_t i = 0; a->n == b->n && i < a->n; i++)
        if (!same_step(&a->steps[i], &b->steps[i]))
            return false;
    return a->n == b->n;
}

static uint32_t view_number(struct ir *ir, const struct ir_view *v)
{
    ir_looked_through(ir, ir->views.n);
    for (uint32_t i = 0; i < ir->views.n; i++)
        if (same_steps(&ir->views.at[i], v))
            return i;
    vec_push(ir->arena, &ir->views, *v);
    return ir->views.n - 1;
}

/* a[s:-t] in one form, of how many elements go on either side. */
static struct ir_slice trimmed(int64_t front, int64_t back)
{
    return (struct ir_slice){.start = front, .stop = -back, .step = 1, .flags = (front ? SLICE_HAS_START : 0) | (back ? SLICE_HAS_STOP : 0)};
}

static int64_t trimmed_front(const struct ir_slice *s)
{
    return s->flags & SLICE_HAS_START ? s->start : 0;
}

static int64_t trimmed_back(const struct ir_slice *s)
{
    return !(s->flags & SLICE_HAS_STOP) ? 0 : s->stop < -INT64_MAX ? INT64_MAX : -s->stop;
}

/*
 * Steps that come to the same are written the same, so that views of a stencil's steps one after another are few: slices of
 * different axes stand in the order of axes, and a[s:-t][u:-v] is a[s + u:-(t + v)].
 */
static void add_step(struct ir_view *v, struct ir_step step)
{
    uint32_t at = v->n;
    if (step.kind == STEP_SLICE) {
        while (at > 0 && v->steps[at - 1].kind == STEP_SLICE && v->steps[at - 1].axis > step.axis)
            at--;
        if (from_the_front(&step.slice)) {
            struct ir_step *last = at > 0 ? &v->steps[at - 1] : NULL;
            bool joins = last && last->kind == STEP_SLICE && last->axis == step.axis && from_the_front(&last->slice);
            int64_t front = trimmed_front(&step.slice), back = trimmed_back(&step.slice);
            if (joins) {
                last->slice = trimmed(added(trimmed_front(&last->slice), front), added(trimmed_back(&last->slice), back));
                return;
            }
            step.slice = trimmed(front, back);
        }
    }
    memmove(v->steps + at + 1, v->steps + at, (v->n - at) * sizeof *v->steps);
    v->steps[at] = step;
    v->n++;
}

/* One more step on an input, a reduction, a place, or a view of one. */
static ir_id step_leaf(struct rebuild *r, ir_id id, struct ir_step step)
{
    struct ir *ir = r->ir;
    struct ir_node n = *ir_at(ir, id);
    const struct ir_view *before = n.op == OP_view ? &ir->views.at[n.attr] : NULL;
    struct ir_view v = {.n = before ? before->n : 0};
    v.steps = arena_array(ir->arena, struct ir_step, v.n + 1);
    if (before)
        memcpy(v.steps, before->steps, before->n * sizeof *v.steps);
    add_step(&v, step);
    struct ir_shape shape = stepped_shape(ir, ir->shapes.at[n.shape], &step);
    struct ir_node view = {.op = OP_view,
                           .dtype = step.kind == STEP_PART ? (uint8_t)type_part((enum dtype)n.dtype) : n.dtype,
                           .n_args = 1,
                           .args = {before ? n.args[0] : id},
                           .shape = ir_shape(ir, &shape),
                           .attr = view_number(ir, &v),
                           .span = r->span};
    return ir_intern(ir, view);
}

ir_id ir_part(struct ir *ir, ir_id x, unsigned part, struct span span)
{
    struct rebuild r = {.ir = ir, .span = span};
    const struct ir_node *n = ir_at(ir, x);
    if (n->op == OP_pair)
        return n->args[part];
    return step_leaf(&r, x, (struct ir_step){.kind = STEP_PART, .index = part});
}

static ir_id widen(struct rebuild *r, ir_id id, unsigned by)
{
    for (; by; by--)
        id = step_leaf(r, id, (struct ir_step){.kind = STEP_NEWAXIS});
    return id;
}

/* In bytes, of the element of an array at one index an axis. */
static ir_id offset_of(struct ir *ir, ir_id id, const ir_id *indices, struct span span, struct diags *diags)
{
    unsigned rank = ir->shapes.at[ir_at(ir, id)->shape].rank;
    ir_id offset = 0;
    for (unsigned d = 0; d < rank; d++) {
        ir_id part[] = {indices[d], ir_layout_of(ir, id, LAYOUT_STRIDE + d, span)};
        part[0] = ir_elem(ir, OP_multiply, DT_int64, part, 2, 0, span, diags);
        part[1] = offset;
        offset = offset ? ir_elem(ir, OP_add, DT_int64, part, 2, 0, span, diags) : part[0];
    }
    return offset;
}

/* The elements of an array at the indices of the expression's axes that it has; a place is a sum that no memory holds. */
static ir_id take_leaf(struct rebuild *r, ir_id id)
{
    struct ir *ir = r->ir;
    const struct ir_shape s = ir->shapes.at[ir_at(ir, id)->shape];
    ir_id base = ir_at(ir, id)->op == OP_view ? ir_at(ir, id)->args[0] : id;
    ir_id offset = offset_of(ir, id, r->indices + (r->rank - s.rank), r->span, r->diags);
    enum dtype dtype = (enum dtype)ir_at(ir, id)->dtype;
    ir_id args[] = {ir_layout_of(ir, id, LAYOUT_ADDRESS, r->span), offset};
    if (!offset)
        return 0;
    if (ir_at(ir, base)->op == OP_place) {
        ir_id shift[] = {ir_elem(ir, OP_add, DT_int64, args, 2, 0, r->span, r->diags), ir_const(ir, DT_int64, 3, 0, r->span)};
        return ir_elem(ir, OP_right_shift, DT_int64, shift, 2, 0, r->span, r->diags);
    }
    return ir_gather(ir, dtype, args, ir_is_changed(ir, id) ? ++ir->n_moments : 0, r->span);
}

/* The step as it meets an array of lower rank, lined up at the last axis. */
static ir_id rebuild_leaf(struct rebuild *r, ir_id id)
{
    const struct ir_shape *s = &r->ir->shapes.at[ir_at(r->ir, id)->shape];
    if (!r->step)
        return take_leaf(r, id);
    struct ir_step step = *r->step;
    unsigned missing = r->rank - s->rank;
    if (step.kind == STEP_PERMUTE)
        return step_leaf(r, widen(r, id, missing), step);
    if (step.axis < missing || (step.kind == STEP_NEWAXIS && missing && step.axis == missing))
        return id;
    step.axis = (uint8_t)(step.axis - missing);
    if (step.kind == STEP_SLICE && s->dim[step.axis] == 0 && step.of != 0)
        return id;
    return step_leaf(r, id, step);
}

/* A scalar stays as it is, but for one that a region of the expression's own computes. */
static bool stays(const struct rebuild *r, ir_id id)
{
    const struct ir_node *n = ir_at(r->ir, id);
    return n->op != OP_tie && r->ir->shapes.at[n->shape].rank == 0 && ir_region_around(r->ir, n->region, r->home);
}

static bool is_leaf(const struct rebuild *r, ir_id id)
{
    const struct ir_node *n = ir_at(r->ir, id);
    return stays(r, id) || n->op == OP_count || n->op == OP_layout || n->op == OP_input || n->op == OP_place || n->op == OP_view ||
           n->op == OP_memory || n->op == OP_shared || n->op == OP_turn || op_is_kept((enum op)n->op);
}

/* need[id] = 1 for every node that is built again, down from `root`. Arguments come before their users. */
static void mark_needed(const struct rebuild *r, ir_id root)
{
    r->need[root] = 1;
    for (ir_id id = root; id > 0; id--)
        for (unsigned k = 0; r->need[id] && !is_leaf(r, id) && k < ir_at(r->ir, id)->n_args; k++)
            r->need[ir_at(r->ir, id)->args[k]] = 1;
}

static ir_id rebuild(struct rebuild *r, ir_id id);

/* The nodes of an inner region, those of regions inside it aside: these follow when their owner is met. */
static ir_id rebuild_rarely(struct rebuild *r, ir_id owner)
{
    struct ir_node n = *ir_at(r->ir, owner);
    uint32_t region = ir_region_begin(r->ir);
    for (ir_id id = 1; id < owner; id++)
        if (r->need[id] && ir_at(r->ir, id)->region == (uint32_t)n.attr)
            r->made[id] = rebuild(r, id);
    ir_region_end(r->ir);
    return ir_rarely(r->ir, r->made[n.args[0]], region, r->made[n.args[1]], r->made[n.args[2]], n.flags, n.span,
                     r->diags);
}

static bool poison(const ir_id *args, unsigned n)
{
    while (n > 0 && args[n - 1])
        n--;
    return n > 0;
}

static void rebuild_region(struct rebuild *r, uint32_t region, ir_id owner)
{
    for (ir_id id = 1; id < owner; id++)
        if (r->need[id] && ir_at(r->ir, id)->region == region && ir_at(r->ir, id)->op != OP_carry)
            r->made[id] = rebuild(r, id);
}

/* The shape that all values of a loop have together. */
static uint32_t joint_shape(struct rebuild *r, uint32_t shape, const ir_id *values, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        shape = ir_broadcast(r->ir, shape, ir_at(r->ir, values[i])->shape);
    return shape;
}

/* With the shape that its starts have now; again, with that which comes out, should the loop widen it. */
static ir_id rebuild_loop(struct rebuild *r, ir_id owner)
{
    struct ir *ir = r->ir;
    const struct ir_node n = *ir_at(ir, owner);
    const struct ir_loop old = ir->loops.at[n.attr];
    enum dtype *dtypes = arena_array(ir->arena, enum dtype, old.n);
    bool *weak = arena_array(ir->arena, bool, old.n);
    ir_id *starts = arena_array(ir->arena, ir_id, old.n), *nexts = arena_array(ir->arena, ir_id, old.n), chain = 0;
    for (uint32_t i = 0; i < old.n; i++) {
        dtypes[i] = (enum dtype)ir_at(ir, old.carry[i])->dtype;
        weak[i] = ir_at(ir, old.carry[i])->flags & IR_WEAK;
        starts[i] = r->made[ir_tied(ir, n.args[0], i)];
        if (!starts[i])
            return 0;
    }
    for (uint32_t shape = joint_shape(r, 0, starts, old.n), before = UINT32_MAX; shape != before;) {
        uint32_t loop = ir_loop_begin(ir, dtypes, weak, old.n, shape, n.span);
        before = shape;
        for (uint32_t i = 0; i < old.n; i++)
            r->made[old.carry[i]] = ir->loops.at[loop].carry[i];
        rebuild_region(r, old.head, owner);
        ir_loop_body(ir, loop);
        rebuild_region(r, old.body, owner);
        for (uint32_t i = 0; i < old.n; i++)
            nexts[i] = r->made[ir_tied(ir, n.args[2], i)];
        ir_id cond = r->made[n.args[1]];
        bool sound = cond && !poison(nexts, old.n);
        chain = sound ? ir_loop_end(ir, loop, nexts, n.span) : 0;
        ir->region = ir->regions.at[ir->loops.at[loop].head].parent;
        if (!sound)
            return 0;
        shape = joint_shape(r, joint_shape(r, shape, nexts, old.n), &cond, 1);
        if (shape == before)
            return ir_loop_finish(ir, loop, starts, cond, chain, n.span);
    }
    return 0;
}

/* One node, its arguments having been built again. */
static ir_id rebuild(struct rebuild *r, ir_id id)
{
    struct ir_node n = *ir_at(r->ir, id);
    ir_id args[3];
    if (stays(r, id))
        return id;
    if (n.op == OP_count)
        return ir_count(r->ir, n.args[0], (unsigned)n.attr, n.span);
    if (n.op == OP_layout)
        return ir_layout_of(r->ir, n.args[0], n.attr, n.span);
    if (is_leaf(r, id))
        return rebuild_leaf(r, id);
    if (n.op == OP_loop)
        return rebuild_loop(r, id);
    if (n.op == OP_result)
        return r->made[n.args[0]] ? ir_loop_result(r->ir, r->made[n.args[0]], (uint32_t)ir_at(r->ir, (ir_id)n.attr)->attr) : 0;
    if (n.op == OP_tie)
        return r->made[n.args[0]];
    if (n.op == OP_rarely)
        return rebuild_rarely(r, id);
    for (unsigned k = 0; k < n.n_args; k++)
        args[k] = r->made[n.args[k]];
    if (n.op == OP_pair)
        return ir_pair(r->ir, args[0], args[1], n.span, r->diags);
    if (n.op == OP_within)
        return ir_within(r->ir, args[0], args[1], (unsigned)n.attr, n.span);
    if (n.op == OP_gather)
        return ir_gather(r->ir, (enum dtype)n.dtype, args, n.attr, n.span);
    if (n.op == OP_cast)
        return ir_cast(r->ir, args[0], (enum dtype)n.dtype, n.span);
    if (n.op == OP_table)
        return ir_table(r->ir, ir_table_of(&n), ir_table_column(&n), args[0], n.span);
    if (n.op == OP_bitcast)
        return (n.attr ? ir_bitcast_of_number : ir_bitcast)(r->ir, args[0], (enum dtype)n.dtype, n.span);
    return ir_elem(r->ir, (enum op)n.op, (enum dtype)n.dtype, args, n.n_args, n.flags, n.span, r->diags);
}

/* Ascending, so without recursion: an expression may be deeper than the stack. What a slow side uses from around it is built before it. */
static ir_id rebuild_all(struct rebuild *r, ir_id root)
{
    uint32_t region = r->home = ir_at(r->ir, root)->region;
    mark_needed(r, root);
    for (ir_id id = 1; id <= root; id++)
        if (r->need[id] && ir_region_around(r->ir, ir_at(r->ir, id)->region, region))
            r->made[id] = rebuild(r, id);
    return r->made[root];
}

ir_id ir_view(struct ir *ir, ir_id x, struct ir_step step, struct span span, struct diags *diags)
{
    struct rebuild r = {.ir = ir, .step = &step, .span = span, .diags = diags};
    if (x == 0)
        return 0;
    struct ir_shape s = ir->shapes.at[ir_at(ir, x)->shape];
    r.rank = s.rank;
    r.need = arena_array(ir->arena, uint8_t, x + 1);
    r.made = arena_array(ir->arena, ir_id, x + 1);
    if (step.kind == STEP_SLICE || step.kind == STEP_INDEX)
        step.of = s.dim[step.axis];
    if (step.kind == STEP_INDEX) {
        struct ir_check c = {
            .kind = CHECK_INDEX, .span = span, .dim_a = step.of, .dim_b = step.axis, .index = step.index};
        vec_push(ir->arena, &ir->checks, c);
    }
    return rebuild_all(&r, x);
}

ir_id ir_take(struct ir *ir, ir_id x, const ir_id *indices, unsigned checked, struct span span, struct diags *diags)
{
    struct rebuild r = {.ir = ir, .span = span, .diags = diags, .rank = ir->shapes.at[ir_at(ir, x)->shape].rank};
    ir_id within[IR_MAX_RANK];
    for (unsigned d = 0; d < r.rank; d++)
        within[d] = checked >> d & 1 ? ir_within(ir, indices[d], ir_count(ir, x, 1u << d, span), d, span) : indices[d];
    r.indices = within;
    r.need = arena_array(ir->arena, uint8_t, x + 1);
    r.made = arena_array(ir->arena, ir_id, x + 1);
    return rebuild_all(&r, x);
}

ir_id ir_memory(struct ir *ir, ir_id input, struct span span)
{
    const struct ir_node *in = ir_at(ir, input);
    struct ir_node n = {.op = OP_memory, .dtype = in->dtype, .n_args = 1, .args = {input}, .shape = in->shape, .span = span};
    if (in->op == OP_pair) {
        n.n_args = 2;
        memcpy(n.args, in->args, sizeof n.args);
    }
    return ir_intern(ir, n);
}

ir_id ir_shared(struct ir *ir, enum dtype dtype, const int64_t *extents, unsigned rank, bool own, struct span span)
{
    struct ir_shape s = {.rank = (uint8_t)rank};
    struct ir_node n = {.op = OP_shared, .dtype = (uint8_t)dtype, .flags = own ? IR_OWN : 0, .attr = ++ir->n_moments, .span = span};
    for (unsigned d = 0; d < rank; d++)
        s.dim[d] = ir_dim(ir, (struct ir_dim){.kind = DIM_CONST, .extent = extents[d]});
    n.shape = ir_shape(ir, &s);
    return ir_intern(ir, n);
}

ir_id ir_barrier(struct ir *ir, ir_id mask, struct span span)
{
    struct ir_node n = {.op = OP_barrier, .dtype = DT_bool, .n_args = 1, .args = {mask}, .shape = ir->launch, .attr = ++ir->n_moments, .span = span};
    ir_id id = mask ? ir_intern(ir, n) : 0;
    if (id)
        vec_push(ir->arena, &ir->effects, id);
    return id;
}

ir_id ir_update(struct ir *ir, const struct ir_update *u, struct span span, struct diags *diags)
{
    unsigned rank = ir->shapes.at[ir_at(ir, u->memory)->shape].rank;
    ir_id within[IR_MAX_RANK];
    for (unsigned d = 0; d < rank; d++)
        within[d] = ir_within(ir, u->indices[d], ir_count(ir, u->memory, 1u << d, span), d, span);
    ir_id tied[] = {offset_of(ir, u->memory, within, span, diags), u->value, u->mask, u->compare};
    if (poison(tied, u->kind == UPDATE_CAS ? 4 : 3))
        return 0;
    struct ir_node n = {.op = OP_update, .dtype = ir_at(ir, u->memory)->dtype, .n_args = 2, .shape = ir->launch, .span = span};
    n.args[0] = ir_layout_of(ir, u->memory, LAYOUT_ADDRESS, span);
    n.args[1] = ir_tie(ir, tied, u->kind == UPDATE_CAS ? 4 : 3, span);
    n.attr = (uint64_t)++ir->n_moments << 8 | u->kind;
    ir_id id = ir_intern(ir, n);
    vec_push(ir->arena, &ir->effects, id);
    return id;
}

/* What does not line up with the part at the call is told there. */
static void check_part(struct ir *ir, uint32_t part, ir_id value, struct span span)
{
    const struct ir_shape to = ir->shapes.at[part], from = ir->shapes.at[ir_at(ir, value)->shape];
    for (unsigned k = 1; k <= from.rank; k++) {
        struct ir_check c = {.kind = CHECK_STRETCHES, .span = span, .dim_a = from.dim[from.rank - k], .dim_b = to.dim[to.rank - k]};
        c.text = str_of(arena_printf(ir->arena, "axis %u of the value does not broadcast to the part that it replaces", to.rank - k));
        if (c.dim_a != c.dim_b && c.dim_a != 0)
            vec_push(ir->arena, &ir->checks, c);
    }
}

ir_id ir_replace(struct ir *ir, ir_id x, const struct ir_step *steps, uint32_t n, ir_id value, struct span span, struct diags *diags)
{
    const uint32_t shape = ir_at(ir, x)->shape;
    struct ir_shape part = ir->shapes.at[shape];
    struct ir_view v = {.steps = arena_array(ir->arena, struct ir_step, n + 1)};
    for (uint32_t i = 0; i < n; i++) {
        struct ir_step step = steps[i];
        if (step.kind == STEP_SLICE || step.kind == STEP_INDEX)
            step.of = part.dim[step.axis];
        part = stepped_shape(ir, part, &step);
        add_step(&v, step);
    }
    struct ir_node node = {.op = OP_replace, .dtype = ir_at(ir, x)->dtype, .n_args = 2, .args = {x, value}, .shape = shape, .span = span};
    if (part.rank < ir->shapes.at[ir_at(ir, value)->shape].rank) {
        diag_add(diags, AX_shape_mismatch, span, "an array of %u axes does not broadcast to %u, those of the part that it replaces",
                 ir->shapes.at[ir_at(ir, value)->shape].rank, part.rank);
        return 0;
    }
    uint32_t number = ir_shape(ir, &part);
    node.attr = (uint64_t)number << 32 | view_number(ir, &v);
    check_part(ir, number, value, span);
    return ir_intern(ir, node);
}
