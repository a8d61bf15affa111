/* What must hold of a schedule before code is made from it. Trusts nothing in it; the IR below has been verified. */
#include "loop/loop.h"

struct verify {
    struct arena *arena;
    const struct loop_plan *plan;
    uint8_t *known;  /* values at hand in the body under check */
    uint8_t *stored; /* buffers that nests before this one have stored */
    uint32_t nest;
    const char *step; /* main or epilogue */
};

static bool is_reduce(const struct ir *ir, ir_id id)
{
    return op_collects((enum op)ir_at(ir, id)->op);
}

static bool is_value(const struct verify *v, ir_id id)
{
    return id > 0 && id < v->plan->ir->nodes.n;
}

/* What a store to memory of another node's fills: all of it, or the part that is replaced. */
static uint32_t target_shape(const struct verify *v, const struct loop_access *a)
{
    const struct ir_node *n = ir_at(v->plan->ir, a->target);
    return a->view && !ir_is_of_parts(v->plan->ir, a->target) ? (uint32_t)(n->attr >> 32) : n->shape;
}

/* Every axis of the array that is not statically 1 meets one dim of the space, the same dim or one stretched over it. */
static const char *check_axes(struct verify *v, const struct loop_access *a, unsigned n_dims)
{
    const struct ir_shape *s = &v->plan->ir->shapes.at[ir_at(v->plan->ir, a->value)->shape];
    unsigned met = 0;
    if (a->source == SOURCE_COUNT)
        return NULL;
    if (a->target)
        s = &v->plan->ir->shapes.at[target_shape(v, a)];
    for (unsigned d = 0; d < n_dims; d++)
        if (a->axis[d] >= a->rank || (a->axis[d] >= 0 && met >> a->axis[d] & 1))
            return arena_printf(v->arena, "nest %u %s walks an axis of %%%u that is not there, or twice",
                                v->nest, v->step, a->value);
        else if (a->axis[d] >= 0)
            met |= 1u << a->axis[d];
    for (unsigned k = 0; k < s->rank; k++)
        if (s->dim[k] != 0 && !(met >> k & 1))
            return arena_printf(v->arena, "nest %u %s never walks axis %u of %%%u", v->nest, v->step, k,
                                a->value);
    return NULL;
}

static const char *check_access(struct verify *v, const struct loop_access *a, unsigned n_dims)
{
    const struct ir *ir = v->plan->ir;
    if (!is_value(v, a->value))
        return arena_printf(v->arena, "nest %u %s accesses a value that is not there", v->nest, v->step);
    const struct ir_node *n = ir_at(ir, a->value);
    if (a->target && (!is_value(v, a->target) || (a->view && ir_at(ir, a->target)->op != OP_replace && !ir_is_of_parts(ir, a->target))))
        return arena_printf(v->arena, "nest %u %s stores to what is not there", v->nest, v->step);
    uint32_t shape = a->target ? target_shape(v, a) : n->shape;
    if (a->dtype != n->dtype || a->rank != (a->source == SOURCE_COUNT ? 0 : ir->shapes.at[shape].rank))
        return arena_printf(v->arena, "nest %u %s accesses %%%u as another type or rank", v->nest, v->step,
                            a->value);
    if (a->source == SOURCE_BUFFER && a->index >= v->plan->buffers.n)
        return arena_printf(v->arena, "nest %u %s accesses buffer %u, which is not there", v->nest, v->step,
                            a->index);
    return check_axes(v, a, n_dims);
}

/* What steps leave lies where their state was. */
static bool is_left_by_steps(const struct verify *v, uint32_t buffer, ir_id id)
{
    const struct ir *ir = v->plan->ir;
    const struct ir_node *n = ir_at(ir, id);
    return n->op == OP_stepped && ir->steps.at[ir_at(ir, n->args[0])->attr].state[n->attr] == v->plan->buffers.at[buffer].value;
}

/* Where the value of a load lies, seen through its view. */
static const char *check_source(struct verify *v, const struct loop_access *a)
{
    const struct ir *ir = v->plan->ir;
    bool layout = ir_at(ir, a->value)->op == OP_layout, right;
    ir_id seen = layout ? ir_at(ir, a->value)->args[0] : a->value;
    bool view = ir_at(ir, seen)->op == OP_view;
    ir_id base = view ? ir_at(ir, seen)->args[0] : seen;
    if (a->source == SOURCE_ARGUMENT)
        right = ir_at(ir, base)->op == OP_input && a->index == ir_at(ir, base)->attr;
    else if (a->source == SOURCE_PLACE)
        right = ir_at(ir, base)->op == OP_place;
    else if (a->source == SOURCE_COUNT)
        right = ir_at(ir, base)->op == OP_count;
    else if (a->source == SOURCE_ROUND)
        right = ir_at(ir, base)->op == OP_turn && a->index == ir_at(ir, base)->attr;
    else
        right = a->source == SOURCE_BUFFER && (v->plan->buffers.at[a->index].value == base || is_left_by_steps(v, a->index, base));
    return right && a->view == view && a->layout == layout ? NULL
                                    : arena_printf(v->arena, "nest %u %s loads %%%u from where it is not",
                                                   v->nest, v->step, a->value);
}

static const char *check_load(struct verify *v, const struct loop_access *a, unsigned n_dims)
{
    const char *fault = check_access(v, a, n_dims);
    fault = fault ? fault : check_source(v, a);
    if (fault)
        return fault;
    if (a->source == SOURCE_BUFFER && !v->stored[a->index])
        return arena_printf(v->arena, "nest %u %s loads buffer %u before it is stored", v->nest, v->step,
                            a->index);
    if (v->known[a->value])
        return arena_printf(v->arena, "nest %u %s loads %%%u twice", v->nest, v->step, a->value);
    v->known[a->value] = 1;
    return NULL;
}

static const char *check_order(struct verify *v, const struct loop_body *b, uint32_t i)
{
    ir_id id = b->order.at[i];
    if (!is_value(v, id))
        return arena_printf(v->arena, "nest %u %s computes a value that is not there", v->nest, v->step);
    const struct ir_node *n = ir_at(v->plan->ir, id);
    if (loop_is_loaded(v->plan->ir, id))
        return arena_printf(v->arena, "nest %u %s computes %%%u, which must be loaded", v->nest, v->step, id);
    if ((i > 0 && id <= b->order.at[i - 1]) || v->known[id])
        return arena_printf(v->arena, "nest %u %s computes %%%u out of order, or twice", v->nest, v->step,
                            id);
    for (unsigned k = 0; k < n->n_args; k++)
        if (!v->known[n->args[k]])
            return arena_printf(v->arena, "nest %u %s computes %%%u before its argument %%%u", v->nest,
                                v->step, id, n->args[k]);
    v->known[id] = 1;
    return NULL;
}

/* A part of an array, stored to another array of the same chain (once.c) too. */
static bool is_also_there(const struct verify *v, const struct loop_access *a)
{
    const struct ir *ir = v->plan->ir;
    const ir_id there = v->plan->buffers.at[a->index].value;
    return v->plan->nests.at[v->nest].part && a->view && ir_at(ir, there)->op == OP_replace && ir_at(ir, there)->shape == ir_at(ir, a->target)->shape;
}

static const char *check_store(struct verify *v, const struct loop_access *a, unsigned n_dims)
{
    const char *fault = check_access(v, a, n_dims);
    if (fault)
        return fault;
    if (!v->known[a->value])
        return arena_printf(v->arena, "nest %u %s stores %%%u, which it does not compute", v->nest, v->step,
                            a->value);
    if (a->source != SOURCE_BUFFER || (v->plan->buffers.at[a->index].value != (a->target ? a->target : a->value) && !is_also_there(v, a)))
        return arena_printf(v->arena, "nest %u %s stores %%%u where it does not belong", v->nest, v->step,
                            a->value);
    return NULL;
}

static const char *check_body(struct verify *v, const struct loop_body *b, unsigned n_dims)
{
    const char *fault = NULL;
    for (uint32_t i = 0; i < b->loads.n && !fault; i++)
        fault = check_load(v, &b->loads.at[i], n_dims);
    for (uint32_t i = 0; i < b->order.n && !fault; i++)
        fault = check_order(v, b, i);
    for (uint32_t i = 0; i < b->stores.n && !fault; i++)
        fault = check_store(v, &b->stores.at[i], n_dims);
    return fault;
}

static const char *note_stores(struct verify *v, const struct loop_body *b)
{
    for (uint32_t i = 0; i < b->stores.n; i++) {
        if (v->stored[b->stores.at[i].index] && !b->stores.at[i].view && !v->plan->nests.at[v->nest].once)
            return arena_printf(v->arena, "nest %u stores buffer %u once more", v->nest,
                                b->stores.at[i].index);
        v->stored[b->stores.at[i].index] = 1;
    }
    return NULL;
}

static const char *check_space(struct verify *v, const struct loop_nest *n)
{
    bool maps = n->kind == NEST_MAP;
    if (n->kind > NEST_SCAN)
        return arena_printf(v->arena, "nest %u is of no kind", v->nest);
    if (n->rank == 0 || n->rank > LOOP_MAX_RANK || n->n_kept == 0 ||
        (maps ? n->rank != n->n_kept : n->rank <= n->n_kept))
        return arena_printf(v->arena, "nest %u lacks a dim", v->nest);
    for (unsigned d = 0; d < n->rank; d++)
        if (n->dim[d] >= v->plan->ir->dims.n)
            return arena_printf(v->arena, "nest %u walks a dim that is not there", v->nest);
    if (maps ? n->reduces.n || n->epilogue.order.n || n->epilogue.loads.n || n->epilogue.stores.n
             : !n->reduces.n)
        return arena_printf(v->arena, "nest %u reduces nothing, or reduces though it is a map", v->nest);
    if (!maps && (n->lanes == 0 || n->lanes & (n->lanes - 1u)))
        return arena_printf(v->arena, "nest %u has %u lanes", v->nest, n->lanes);
    return loop_slots(n).count > LOOP_MAX_SLOTS
               ? arena_printf(v->arena, "nest %u takes too many arguments", v->nest)
               : NULL;
}

static const char *check_reduce(struct verify *v, const struct loop_reduce *r)
{
    const struct ir *ir = v->plan->ir;
    if (!is_value(v, r->value) || !is_reduce(ir, r->value) || ir_at(ir, r->value)->op != r->op ||
        !is_value(v, r->operand))
        return arena_printf(v->arena, "nest %u reduces to %%%u, which is another operation", v->nest,
                            r->value);
    if (!v->known[r->operand])
        return arena_printf(v->arena, "nest %u reduces %%%u, which it does not compute", v->nest, r->operand);
    return ir_at(ir, r->value)->args[0] != r->operand
               ? arena_printf(v->arena, "nest %u reduces %%%u to what it does not give", v->nest, r->operand)
               : NULL;
}

static void forget(struct verify *v, const char *step)
{
    for (ir_id id = 0; id < v->plan->ir->nodes.n; id++)
        v->known[id] = 0;
    v->step = step;
}

static const char *check_nest(struct verify *v, const struct loop_nest *n)
{
    const char *fault = check_space(v, n);
    forget(v, "main");
    if (!fault && n->kind == NEST_SCAN && is_value(v, n->reduces.at[0].value)) /* it is stored where its elements are met */
        v->known[n->reduces.at[0].value] = 1;
    fault = fault ? fault : check_body(v, &n->main, n->rank);
    for (uint32_t r = 0; r < n->reduces.n && !fault; r++)
        fault = check_reduce(v, &n->reduces.at[r]);
    if (fault)
        return fault;
    forget(v, "epilogue");
    for (uint32_t r = 0; r < n->reduces.n; r++)
        v->known[n->reduces.at[r].value] = 1;
    fault = check_body(v, &n->epilogue, n->n_kept);
    fault = fault ? fault : note_stores(v, &n->main);
    return fault ? fault : note_stores(v, &n->epilogue);
}

/* A buffer's memory may serve another one before `first` and after `last`. */
static const char *check_lifetimes(struct verify *v, const struct loop_body *b)
{
    for (uint32_t i = 0; i < b->stores.n; i++)
        if (v->plan->buffers.at[b->stores.at[i].index].first > v->nest)
            return arena_printf(v->arena, "buffer %u is not alive from where it is stored",
                                b->stores.at[i].index);
    for (uint32_t i = 0; i < b->loads.n; i++)
        if (b->loads.at[i].source == SOURCE_BUFFER &&
            v->plan->buffers.at[b->loads.at[i].index].last < v->nest)
            return arena_printf(v->arena, "buffer %u is not alive where nest %u loads it",
                                b->loads.at[i].index, v->nest);
    return NULL;
}

static const char *check_buffer(struct verify *v, uint32_t i)
{
    const struct loop_buffer *b = &v->plan->buffers.at[i];
    if (!v->stored[i])
        return arena_printf(v->arena, "buffer %u is never stored", i);
    const struct ir_node *n = ir_at(v->plan->ir, b->value);
    if (b->dtype != n->dtype || b->shape != n->shape)
        return arena_printf(v->arena, "buffer %u has not the type and shape of its value", i);
    if (b->role == BUFFER_OUTPUT &&
        (b->output >= v->plan->n_outputs || v->plan->output_buffer[b->output] != i))
        return arena_printf(v->arena, "buffer %u is not the output it says", i);
    if (b->role == BUFFER_LENT && (b->output >= v->plan->n_outputs || v->plan->buffers.at[v->plan->output_buffer[b->output]].first < b->last))
        return arena_printf(v->arena, "buffer %u lies in an output that is stored before it is read", i);
    if (b->role == BUFFER_OUTPUT && b->last != v->plan->nests.n)
        return arena_printf(v->arena, "buffer %u, an output, does not live to the end", i);
    return NULL;
}

static const char *check_buffers(struct verify *v)
{
    const char *fault = NULL;
    for (uint32_t i = 0; i < v->plan->buffers.n && !fault; i++)
        fault = check_buffer(v, i);
    for (v->nest = 0; v->nest < v->plan->nests.n && !fault; v->nest++) {
        fault = check_lifetimes(v, &v->plan->nests.at[v->nest].main);
        fault = fault ? fault : check_lifetimes(v, &v->plan->nests.at[v->nest].epilogue);
    }
    return fault;
}

/* Of values of their own nests; and what gives its place away is of no use to those that follow. */
static bool is_kept_well(struct verify *v, const struct loop_rows *r)
{
    bool well = r->n_kept <= LOOP_MOST_KEPT;
    for (uint32_t i = 0; well && i < r->n_kept; i++) {
        const struct loop_kept *k = &r->kept[i];
        well = k->writer >= r->first && k->writer < r->first + r->n && k->value < v->plan->ir->nodes.n && k->dtype == ir_at(v->plan->ir, k->value)->dtype;
        well = well && (!i || (k->dtype == r->kept[0].dtype && !loop_needed_after(v->arena, v->plan, r, k, r->kept[0].value)));
    }
    return well;
}

static const char *check_rows(struct verify *v)
{
    uint32_t free = 0, slots;
    for (uint32_t i = 0; i < v->plan->rows.n; i++) {
        const struct loop_rows *r = &v->plan->rows.at[i];
        if (r->n < 2 || r->first < free || r->first >= v->plan->nests.n || r->n > v->plan->nests.n - r->first)
            return arena_printf(v->arena, "rows %u are of nests that are not there, or of others", i);
        free = r->first + r->n;
        slots = 0;
        for (uint32_t k = r->first; k < free; slots += loop_slots(&v->plan->nests.at[k++]).count)
            if (!loop_same_rows(v->plan, r->first, k))
                return arena_printf(v->arena, "nest %u cannot be done row by row with nest %u", k, r->first);
        if (slots > LOOP_MAX_SLOTS)
            return arena_printf(v->arena, "rows %u take too many arguments", i);
        if (!is_kept_well(v, r))
            return arena_printf(v->arena, "rows %u keep what is not theirs, or lose what they need", i);
    }
    return NULL;
}

/* Memory changes hands, none of it is lost or had twice. */
static bool is_permutation(const struct loop_plan *plan, const struct loop_steps *s)
{
    for (uint32_t i = 0; i < s->moves.n; i++) {
        unsigned given = 0, taken = 0;
        if (s->moves.at[i].to >= plan->buffers.n || plan->buffers.at[s->moves.at[i].to].in != s->moves.at[i].to)
            return false;
        for (uint32_t k = 0; k < s->moves.n; k++) {
            given += s->moves.at[k].from == s->moves.at[i].to;
            taken += s->moves.at[k].to == s->moves.at[i].to;
        }
        if (given != 1 || taken != 1)
            return false;
    }
    return true;
}

static const char *check_steps(struct verify *v)
{
    const struct loop_plan *p = v->plan;
    for (uint32_t i = 0; i < p->steps.n; i++) {
        const struct loop_steps *s = &p->steps.at[i], *around = s->parent == NO_STEPS ? NULL : &p->steps.at[s->parent < i ? s->parent : i];
        uint32_t from = around ? around->first : 0, n = around ? around->n : p->nests.n;
        if (s->number >= p->ir->steps.n || around == s || s->first < from || s->first - from > n || s->n > n - (s->first - from))
            return arena_printf(v->arena, "steps %u repeat nests that are not there, or others' too", i);
        if (s->rounds != NO_STEPS && (s->rounds >= p->buffers.n || p->buffers.at[s->rounds].dtype != DT_int64))
            return arena_printf(v->arena, "steps %u have no number of rounds", i);
        if (!is_permutation(p, s))
            return arena_printf(v->arena, "steps %u lose memory, or have it twice", i);
    }
    for (uint32_t i = 0; i < p->nests.n; i++)
        if (p->nests.at[i].once && loop_steps_of(p, i) == NO_STEPS)
            return arena_printf(v->arena, "nest %u is done once in rounds that are none", i);
    return NULL;
}

const char *loop_verify(struct arena *arena, const struct loop_plan *plan)
{
    struct verify v = {
        .arena = arena, .plan = plan, .stored = arena_array(arena, uint8_t, plan->buffers.n + 1)};
    const char *fault = NULL;
    v.known = arena_array(arena, uint8_t, plan->ir->nodes.n);
    for (v.nest = 0; v.nest < plan->nests.n && !fault; v.nest++)
        fault = check_nest(&v, &plan->nests.at[v.nest]);
    for (uint32_t b = 0; b < plan->buffers.n && !fault; b++)
        if (plan->buffers.at[b].in >= plan->buffers.n || plan->buffers.at[plan->buffers.at[b].in].shape != plan->buffers.at[b].shape)
            fault = arena_printf(arena, "buffer %u lies in memory that is not its size", b);
    fault = fault ? fault : check_steps(&v);
    fault = fault ? fault : check_buffers(&v);
    return fault ? fault : check_rows(&v);
}
