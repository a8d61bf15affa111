/*
 * Which nests that lay down a whole array are done in the first round of their steps only.
 *
 * Parts of a state are replaced one after another: from what it is at the beginning of a round to what it becomes, a chain of arrays, each of
 * which differs from the one before in a part alone. Their memories change hands among themselves, so from the second round on each holds an
 * array of such a chain, of this round or an earlier one; all of them are the same outside of the parts. So the whole need not be laid down again
 * where what may differ (what is stale) is stored anew before it is read. Where parts lie, and so whether they meet, hangs on the extents:
 * which nests may go is told of the plan, whether they do is asked at the call.
 *
 * A stale element that is read makes what is stored from it stale. That is harmless where both lie in a part that is whole along all axes but one
 * (an edge), and reading and storing keep to the place along that one: `u[0] = u[1]` carries what is stale in the columns at the sides along these columns,
 * until `u[:, 0] = u[:, 1]` stores all of them.
 */
#include "loop/loop.h"

enum { MOST_PARTS = 16 };

/* Places along an axis of an array, in the order in which a view has them. */
struct along {
    int64_t first, step, count;
};

struct box {
    unsigned rank;
    struct along along[IR_MAX_RANK];
    int8_t axis[IR_MAX_RANK]; /* of the view: which of the array's it is */
};

struct chain {
    const struct loop_plan *plan;
    const struct loop_steps *steps;
    uint32_t now, next;          /* memories, of what the state is and of what it becomes */
    ir_id replaced[MOST_PARTS];  /* the last first; */
    uint32_t memory[MOST_PARTS]; /* where they lie, */
    struct box part[MOST_PARTS]; /* and the part that is new in each */
    uint32_t n;
};

/* ---- sets of places ---- */

static int64_t lowest(const struct along *a)
{
    return a->step > 0 || a->count == 0 ? a->first : a->first + (a->count - 1) * a->step;
}

static int64_t highest(const struct along *a)
{
    return a->step > 0 && a->count > 0 ? a->first + (a->count - 1) * a->step : a->first;
}

static int64_t stride(const struct along *a)
{
    return a->count < 2 ? 1 : a->step < 0 ? -a->step : a->step;
}

static int64_t common_divisor(int64_t a, int64_t b)
{
    for (int64_t t; b; b = t) {
        t = a % b;
        a = b;
    }
    return a;
}

/* May they have a place together? */
static bool along_meet(const struct along *a, const struct along *b)
{
    int64_t low = lowest(a) > lowest(b) ? lowest(a) : lowest(b), high = highest(a) < highest(b) ? highest(a) : highest(b);
    int64_t step_a = a->count < 2 ? 0 : stride(a), step_b = b->count < 2 ? 0 : stride(b), step = common_divisor(step_a, step_b);
    return a->count && b->count && low <= high && (step ? (lowest(a) - lowest(b)) % step == 0 : lowest(a) == lowest(b));
}

static bool along_within(const struct along *a, const struct along *in)
{
    return in->count && lowest(a) >= lowest(in) && highest(a) <= highest(in) && (lowest(a) - lowest(in)) % stride(in) == 0 && (a->count < 2 || stride(a) % stride(in) == 0);
}

/* All that two have together, and where their steps differ perhaps more. */
static struct along along_common(const struct along *a, const struct along *b)
{
    const struct along *wide = stride(a) < stride(b) ? b : a;
    int64_t low = lowest(a) > lowest(b) ? lowest(a) : lowest(b), high = highest(a) < highest(b) ? highest(a) : highest(b), step = stride(wide);
    low += ((lowest(wide) - low) % step + step) % step;
    return (struct along){low, step, low > high ? 0 : (high - low) / step + 1};
}

static bool boxes_meet(const struct box *a, const struct box *b)
{
    for (unsigned d = 0; d < a->rank; d++)
        if (!along_meet(&a->along[d], &b->along[d]))
            return false;
    return true;
}

static bool box_within(const struct box *a, const struct box *in)
{
    bool all = true;
    for (unsigned d = 0; d < a->rank; d++) {
        if (!a->along[d].count)
            return true;
        all &= along_within(&a->along[d], &in->along[d]);
    }
    return all;
}

static struct box box_common(const struct box *a, const struct box *b)
{
    struct box out = *a;
    for (unsigned d = 0; d < a->rank; d++)
        out.along[d] = along_common(&a->along[d], &b->along[d]);
    return out;
}

/* ---- where views look ---- */

static struct box whole_box(const struct ir *ir, uint32_t shape, const int64_t *dims)
{
    const struct ir_shape *s = &ir->shapes.at[shape];
    struct box b = {.rank = s->rank};
    for (unsigned d = 0; d < s->rank; d++) {
        b.along[d] = (struct along){0, 1, dims[s->dim[d]]};
        b.axis[d] = (int8_t)d;
    }
    return b;
}

static bool step_box(struct box *b, unsigned *rank, const struct ir_step *s)
{
    struct along *a = s->kind == STEP_SLICE || s->kind == STEP_INDEX ? &b->along[b->axis[s->axis]] : NULL;
    int64_t first = s->index < 0 && a ? s->index + a->count : s->index;
    if (!a)
        return false;
    if (s->kind == STEP_SLICE) {
        int64_t n = ir_slice_length(&s->slice, a->count, &first);
        *a = (struct along){n ? a->first + first * a->step : 0, n > 1 ? a->step * s->slice.step : 1, n};
        return true;
    }
    *a = (struct along){a->first + first * a->step, 1, 1};
    --*rank;
    for (unsigned d = s->axis; d < *rank; d++)
        b->axis[d] = b->axis[d + 1];
    return true;
}

/* False where it does more than leave places out. */
static bool view_box(const struct ir *ir, uint32_t shape, uint32_t view, const int64_t *dims, struct box *out)
{
    const struct ir_view *v = &ir->views.at[view];
    unsigned rank = ir->shapes.at[shape].rank;
    *out = whole_box(ir, shape, dims);
    for (uint32_t i = 0; i < v->n; i++)
        if (!step_box(out, &rank, &v->steps[i]))
            return false;
    return true;
}

/* What a nest reads of an array; *placed: element by element, as `axis` says. */
static struct box read_box(const struct chain *c, const struct loop_access *a, const int64_t *dims, bool *placed)
{
    const struct ir *ir = c->plan->ir;
    uint32_t shape = ir_at(ir, c->replaced[0])->shape;
    struct box b = whole_box(ir, shape, dims), seen;
    *placed = !a->layout && (!a->view || view_box(ir, shape, (uint32_t)ir_at(ir, a->value)->attr, dims, &seen));
    return *placed && a->view ? seen : b;
}

/* ---- chains ---- */

static bool is_of_chain(const struct chain *c, ir_id replaced)
{
    for (uint32_t i = 0; i < c->n; i++)
        if (c->replaced[i] == replaced)
            return true;
    return false;
}

static uint32_t buffer_of(const struct loop_plan *plan, ir_id value)
{
    for (uint32_t b = 0; b < plan->buffers.n; b++)
        if (plan->buffers.at[b].value == value)
            return b;
    return NO_STEPS;
}

static bool is_its_memory(const struct chain *c, uint32_t memory)
{
    bool found = memory == c->now;
    for (uint32_t i = 0; i < c->n; i++)
        found |= c->memory[i] == memory;
    return found;
}

/* What changes hands stays among the memories of the chain, and nobody else stores there. */
static bool keeps_to_itself(const struct chain *c)
{
    const struct loop_steps *s = c->steps;
    for (uint32_t i = 0; i < s->moves.n; i++)
        if (is_its_memory(c, s->moves.at[i].to) != is_its_memory(c, s->moves.at[i].from))
            return false;
    for (uint32_t i = s->first; i < s->first + s->n; i++)
        for (unsigned epilogue = 0; epilogue < 2; epilogue++) {
            const struct loop_body *b = epilogue ? &c->plan->nests.at[i].epilogue : &c->plan->nests.at[i].main;
            for (uint32_t k = 0; k < b->stores.n; k++)
                if (is_its_memory(c, loop_memory_of(c->plan, b->stores.at[k].index)) && !is_of_chain(c, c->plan->nests.at[i].replaces))
                    return false;
        }
    return true;
}

static bool chain_of(const struct loop_plan *plan, const struct loop_steps *steps, uint32_t state, struct chain *c)
{
    const struct ir *ir = plan->ir;
    ir_id id = plan->buffers.at[steps->states[state].next].value, start = plan->buffers.at[steps->states[state].now].value;
    *c = (struct chain){.plan = plan, .steps = steps, .now = loop_memory_of(plan, steps->states[state].now), .next = loop_memory_of(plan, steps->states[state].next)};
    for (; ir_at(ir, id)->op == OP_replace && c->n < MOST_PARTS; id = ir_at(ir, id)->args[0]) {
        uint32_t buffer = buffer_of(plan, id);
        c->memory[c->n] = buffer == NO_STEPS ? NO_STEPS : loop_memory_of(plan, buffer);
        c->replaced[c->n++] = id;
    }
    return c->n > 0 && id == start && keeps_to_itself(c);
}

static bool lays_whole(const struct chain *c, uint32_t nest)
{
    const struct loop_nest *n = &c->plan->nests.at[nest];
    return n->replaces && !n->part && is_of_chain(c, n->replaces);
}

static bool stores_to(const struct chain *c, const struct loop_nest *n, uint32_t memory)
{
    for (uint32_t i = 0; i < n->main.stores.n; i++)
        if (loop_memory_of(c->plan, n->main.stores.at[i].index) == memory)
            return true;
    return false;
}

static bool is_edge(const struct loop_plan *plan, const struct loop_nest *n)
{
    const struct ir_view *v = &plan->ir->views.at[(uint32_t)ir_at(plan->ir, n->replaces)->attr];
    return n->part && v->n && v->steps[v->n - 1].kind == STEP_INDEX;
}

/* Edges that are stored in place before the whole is laid down elsewhere are stored there as well: else it would lack them in the next round. */
static void store_in_both(struct arena *arena, struct loop_plan *plan, const struct chain *c, uint32_t whole)
{
    const struct loop_body *b = &plan->nests.at[whole].main;
    uint32_t from = loop_memory_of(plan, b->loads.at[0].index), made = b->stores.at[0].index;
    for (uint32_t i = c->steps->first; i < whole; i++) {
        struct loop_nest *n = &plan->nests.at[i];
        if (!is_of_chain(c, n->replaces) || !is_edge(plan, n) || !stores_to(c, n, from) || stores_to(c, n, loop_memory_of(plan, made)))
            continue;
        struct loop_access both = n->main.stores.at[0];
        both.index = made;
        vec_push(arena, &n->main.stores, both);
    }
}

void loop_mark_once(struct arena *arena, struct loop_plan *plan)
{
    struct chain c;
    for (uint32_t i = 0; i < plan->steps.n; i++)
        for (uint32_t k = 0; k < plan->steps.at[i].n_states; k++)
            for (uint32_t n = plan->steps.at[i].first, end = chain_of(plan, &plan->steps.at[i], k, &c) ? n + plan->steps.at[i].n : n; n < end; n++)
                if (lays_whole(&c, n)) {
                    plan->nests.at[n].once = true;
                    store_in_both(arena, plan, &c, n);
                }
}

/* ---- what is stale ---- */

struct state {
    uint32_t memory;
    bool stale[MOST_PARTS];   /* of the chain's parts: they may hold what is of an earlier round, */
    bool clean[MOST_PARTS];   /* they have been stored; and */
    bool carried[MOST_PARTS]; /* what the nest at hand stores may be stale within these */
};

static bool is_clean(const struct chain *c, const struct state *s, const struct box *b)
{
    for (uint32_t i = 0; i < c->n; i++)
        if (s->clean[i] && box_within(b, &c->part[i]))
            return true;
    return false;
}

/* The axis along which a part is not all there is; -1 where there are several. */
static int edge_axis(const struct box *part, const struct box *whole)
{
    int axis = 0;
    unsigned n = 0;
    for (unsigned d = 0; d < whole->rank; d++)
        if (!along_within(&whole->along[d], &part->along[d])) {
            axis = (int)d;
            n++;
        }
    return n > 1 ? -1 : axis;
}

static int view_axis(const struct box *b, unsigned rank, int axis)
{
    for (unsigned d = 0; d < rank; d++)
        if (b->axis[d] == axis)
            return (int)d;
    return -1;
}

/* Does a nest of so many dims store what it reads at the same place along this axis? */
static bool keeps_place(unsigned n_dims, const struct loop_access *load, const struct box *from, const struct loop_access *store, const struct box *to, int axis)
{
    const struct along *a = &from->along[axis], *b = &to->along[axis];
    int read = view_axis(from, load->rank, axis), stored = view_axis(to, store->rank, axis);
    bool same_dim = read < 0 && stored < 0;
    for (unsigned d = 0; read >= 0 && stored >= 0 && d < n_dims; d++)
        same_dim |= load->axis[d] == read && store->axis[d] == stored;
    return same_dim && a->first == b->first && a->count == b->count && (a->step == b->step || a->count < 2);
}

/* part: which of the chain's the nest stores to this memory, or c->n. False where it takes what is stale elsewhere. */
static bool read_one(const struct chain *c, struct state *s, const struct loop_nest *n, const struct loop_access *load, uint32_t part, const int64_t *dims)
{
    struct box whole = whole_box(c->plan->ir, ir_at(c->plan->ir, c->replaced[0])->shape, dims);
    bool placed;
    struct box from = read_box(c, load, dims, &placed);
    for (uint32_t i = 0; i < c->n; i++) {
        struct box both = box_common(&from, &c->part[i]);
        if (!s->stale[i] || !boxes_meet(&from, &c->part[i]) || is_clean(c, s, &both))
            continue;
        int axis = edge_axis(&c->part[i], &whole);
        if (!placed || part == c->n || axis < 0 || !keeps_place(n->rank, load, &from, &n->main.stores.at[0], &c->part[part], axis))
            return false;
        s->carried[i] = true;
    }
    return true;
}

static bool read_all(const struct chain *c, struct state *s, uint32_t nest, uint32_t part, const int64_t *dims)
{
    const struct loop_nest *n = &c->plan->nests.at[nest];
    for (unsigned epilogue = 0; epilogue < 2; epilogue++) {
        const struct loop_body *b = epilogue ? &n->epilogue : &n->main;
        for (uint32_t i = 0; i < b->loads.n; i++)
            if (b->loads.at[i].source == SOURCE_BUFFER && loop_memory_of(c->plan, b->loads.at[i].index) == s->memory &&
                !read_one(c, s, n, &b->loads.at[i], part, dims))
                return false;
    }
    return true;
}

static void store_part(const struct chain *c, struct state *s, uint32_t part)
{
    bool carries = false;
    for (uint32_t i = 0; i < c->n; i++)
        carries |= s->carried[i];
    for (uint32_t i = 0; i < c->n; i++) {
        if (carries && boxes_meet(&c->part[i], &c->part[part]))
            s->clean[i] = false;
        if (!s->carried[i] && box_within(&c->part[i], &c->part[part]))
            s->stale[i] = false;
        s->carried[i] = false;
    }
    s->clean[part] = !carries;
}

/* Of the chain: which part the nest stores to the memory; c->n for none. */
static uint32_t part_stored(const struct chain *c, uint32_t nest, uint32_t memory)
{
    const struct loop_nest *n = &c->plan->nests.at[nest];
    uint32_t part = 0;
    while (part < c->n && !(n->part && n->replaces == c->replaced[part] && stores_to(c, n, memory)))
        part++;
    return part;
}

/* A part that is stored elsewhere before the whole would be laid down: the whole would have it. */
static void miss_part(const struct chain *c, struct state *s, uint32_t nest)
{
    for (uint32_t i = 0; i < c->n; i++) {
        if (!c->plan->nests.at[nest].part || c->plan->nests.at[nest].replaces != c->replaced[i])
            continue;
        s->stale[i] = true;
        for (uint32_t k = 0; k < c->n; k++)
            s->clean[k] = s->clean[k] && !boxes_meet(&c->part[k], &c->part[i]);
    }
}

/* May this nest be left out from the second round on, along with all of its chain's? */
static bool is_once(const struct chain *c, uint32_t whole, const int64_t *dims)
{
    struct state s = {.memory = loop_memory_of(c->plan, c->plan->nests.at[whole].main.stores.at[0].index)};
    for (uint32_t i = 0; i < c->n; i++)
        s.stale[i] = true;
    for (uint32_t i = c->steps->first; i < c->steps->first + c->steps->n; i++) {
        uint32_t part = part_stored(c, i, s.memory);
        if (lays_whole(c, i))
            continue;
        if (!read_all(c, &s, i, part, dims))
            return false;
        if (part < c->n)
            store_part(c, &s, part);
        else if (i < whole)
            miss_part(c, &s, i);
    }
    for (uint32_t i = 0; s.memory == c->next && i < c->n; i++)
        if (s.stale[i])
            return false;
    return true;
}

static bool find_parts(struct chain *c, const int64_t *dims)
{
    const struct ir *ir = c->plan->ir;
    for (uint32_t i = 0; i < c->n; i++)
        if (!view_box(ir, ir_at(ir, c->replaced[i])->shape, (uint32_t)ir_at(ir, c->replaced[i])->attr, dims, &c->part[i]))
            return false;
    return true;
}

static void find_in_chain(struct chain *c, const int64_t *dims, bool *once)
{
    const uint32_t first = c->steps->first, end = first + c->steps->n;
    bool all = find_parts(c, dims);
    for (uint32_t i = first; all && i < end; i++)
        all = !lays_whole(c, i) || is_once(c, i, dims);
    for (uint32_t i = first; i < end; i++)
        once[i] |= all && lays_whole(c, i);
}

void loop_find_once(const struct loop_plan *plan, const int64_t *dims, bool *once)
{
    struct chain c;
    for (uint32_t i = 0; i < plan->steps.n; i++)
        for (uint32_t k = 0; k < plan->steps.at[i].n_states; k++)
            if (chain_of(plan, &plan->steps.at[i], k, &c))
                find_in_chain(&c, dims, once);
}
