/*
 * Fusion, first part: which nest computes what, and where values that are kept lie. Level by level: a value's level is the number of
 * reductions one after another that it waits for.
 */
#include <stdlib.h>
#include <string.h>
#include "loop/fuse.h"

#define HOME_NONE UINT32_MAX

static bool is_scan(const struct ir_node *n)
{
    return op_table[n->op].kind == OPK_SCAN;
}

static unsigned axes_of(const struct ir_node *n)
{
    return n->attr & IR_AXES_MASK;
}

static void find_levels(struct fuse *f)
{
    for (ir_id id = 1; id < f->ir->nodes.n; id++) {
        const struct ir_node *n = ir_at(f->ir, id);
        if (!f->live[id] || n->op == OP_count)
            continue;
        for (unsigned i = 0; i < n->n_args; i++)
            if (f->level[id] < f->level[n->args[i]])
                f->level[id] = f->level[n->args[i]];
        f->level[id] += is_reduce(n) || n->op == OP_replace || n->op == OP_steps;
    }
}

/* ---- spaces ---- */

/* The dims of a shape that are not statically 1, those in `keep` of its axes. */
void space_add(struct space *s, const struct ir_shape *shape, unsigned keep)
{
    s->rank = shape->rank;
    for (unsigned a = 0; a < shape->rank; a++)
        if ((keep >> a & 1) && shape->dim[a] != 0) {
            s->axis[s->n] = (uint8_t)a;
            s->dim[s->n++] = shape->dim[a];
        }
}

void space_fill(struct space *s, unsigned at_least)
{
    while (s->n < at_least) {
        s->axis[s->n] = AXIS_MADE;
        s->dim[s->n++] = 0;
    }
}

static bool same_dims(const struct space *s, const uint32_t *dim, unsigned n)
{
    return s->n == n && memcmp(s->dim, dim, n * sizeof *dim) == 0;
}

struct space space_of(const struct fuse *f, uint32_t shape)
{
    struct space s = {0};
    space_add(&s, &f->ir->shapes.at[shape], ~0u);
    return s;
}

struct space space_whole(const struct fuse *f, ir_id id)
{
    return space_of(f, ir_at(f->ir, id)->shape);
}

/* ---- nests of reductions ---- */

static uint16_t lanes_of(const struct fuse *f, ir_id reduce)
{
    enum dtype t = ir_at(f->ir, reduce)->dtype;
    if (type_table[t].cls != CLASS_FLOAT)
        return 0; /* exact: any tree gives the same bits */
    return TREE_LANE_BYTES / type_table[t].size;
}

void space_of_reduction(const struct fuse *f, ir_id reduce, struct space *kept, struct space *reduced)
{
    const struct ir_node *n = ir_at(f->ir, reduce);
    const struct ir_shape *shape = shape_of(f, n->args[0]);
    memset(kept, 0, sizeof *kept);
    memset(reduced, 0, sizeof *reduced);
    space_add(kept, shape, ~axes_of(n));
    space_add(reduced, shape, axes_of(n));
    space_fill(kept, 1);
    space_fill(reduced, 1);
}

static enum loop_kind kind_of(const struct fuse *f, ir_id reduce)
{
    const struct ir_node *n = ir_at(f->ir, reduce);
    unsigned rank = shape_of(f, n->args[0])->rank;
    if (is_scan(n))
        return NEST_SCAN;
    return rank == 0 || (axes_of(n) >> (rank - 1) & 1) ? NEST_LANES : NEST_COLUMNS;
}

static bool joins(const struct fuse *f, const struct loop_nest *nest, ir_id id)
{
    const struct ir_node *n = ir_at(f->ir, id), *m = nest->reduces.n ? ir_at(f->ir, nest->reduces.at[0].value) : NULL;
    uint16_t lanes = lanes_of(f, id);
    if (!m || is_scan(n) || is_scan(m))
        return false;
    return nest->level == f->level[id] && axes_of(n) == axes_of(m) &&
           ir_at(f->ir, n->args[0])->shape == ir_at(f->ir, m->args[0])->shape &&
           (lanes == 0 || nest->lanes == 0 || nest->kind == NEST_COLUMNS || lanes == nest->lanes);
}

struct loop_nest *fuse_nest(struct fuse *f, enum loop_kind kind, uint32_t level)
{
    struct loop_nest nest = {.kind = kind, .level = level};
    vec_push(f->arena, &f->plan->nests, nest);
    return &f->plan->nests.at[f->plan->nests.n - 1];
}

/* The number of a new MAP nest over the space. */
static uint32_t map_new(struct fuse *f, const struct space *s, uint32_t level)
{
    struct loop_nest *nest = fuse_nest(f, NEST_MAP, level);
    nest->rank = nest->n_kept = s->n;
    memcpy(nest->dim, s->dim, s->n * sizeof *s->dim);
    return f->plan->nests.n - 1;
}

static void place_reduction(struct fuse *f, ir_id id)
{
    struct loop_nest *nest = NULL;
    for (uint32_t i = f->segment; i < f->plan->nests.n && !nest; i++)
        if (joins(f, &f->plan->nests.at[i], id))
            nest = &f->plan->nests.at[i];
    if (!nest) {
        struct space kept, reduced;
        space_of_reduction(f, id, &kept, &reduced);
        nest = fuse_nest(f, kind_of(f, id), f->level[id]);
        nest->n_kept = kept.n;
        nest->rank = kept.n + reduced.n;
        memcpy(nest->dim, kept.dim, kept.n * sizeof *kept.dim);
        memcpy(nest->dim + kept.n, reduced.dim, reduced.n * sizeof *reduced.dim);
    }
    if (lanes_of(f, id))
        nest->lanes = lanes_of(f, id);
    struct loop_reduce r = {.value = id, .operand = ir_at(f->ir, id)->args[0], .op = ir_at(f->ir, id)->op};
    vec_push(f->arena, &nest->reduces, r);
    f->nest_of[id] = 1 + (uint32_t)(nest - f->plan->nests.at);
}

static bool too_many_nests(const struct fuse *f, uint32_t at_least)
{
    if (at_least <= f->max_nests)
        return false;
    diag_add(f->diags, AX_too_many_kernels, (struct span){0, 0},
             "the program needs more kernels than the limit of %u", f->max_nests);
    return true;
}

/* ---- buffers ---- */

uint32_t fuse_buffer(struct fuse *f, ir_id id)
{
    if (!f->buffer_of[id]) {
        const struct ir_node *n = ir_at(f->ir, id);
        struct loop_buffer b = {.role = BUFFER_TEMPORARY, .value = id, .dtype = n->dtype, .shape = n->shape};
        vec_push(f->arena, &f->plan->buffers, b);
        f->buffer_of[id] = f->plan->buffers.n;
    }
    return f->buffer_of[id] - 1;
}

/* ---- where outputs go ---- */

/*
 * The one nest whose reductions a value waits for, of those on its own level: the nest in whose epilogue it can be computed.
 * A view looks at other elements than the one at hand, so it has none.
 */
static uint32_t home_of(const struct fuse *f, ir_id id)
{
    const struct ir_node *n = ir_at(f->ir, id);
    uint32_t home = 0;
    if (is_scan(n) || n->op == OP_replace || n->op == OP_steps || n->op == OP_stepped)
        return HOME_NONE;
    if (f->level[id] == 0 || is_reduce(n))
        return f->nest_of[id];
    if (n->op == OP_view || n->op == OP_layout)
        return HOME_NONE;
    for (unsigned i = 0; i < n->n_args; i++)
        if (f->level[n->args[i]] == f->level[id]) {
            uint32_t h = f->home[n->args[i]];
            home = home == 0 || home == h ? h : HOME_NONE;
        }
    return home;
}

static void find_homes(struct fuse *f)
{
    for (ir_id id = 1; id < f->ir->nodes.n; id++)
        if (f->live[id])
            f->home[id] = home_of(f, id);
}

static bool try_main(struct fuse *f, ir_id id, struct loop_nest *nest)
{
    return nest->kind != NEST_MAP && nest->kind != NEST_SCAN && f->level[id] < nest->level &&
           ir_at(f->ir, id)->shape == ir_at(f->ir, nest->reduces.at[0].operand)->shape &&
           shape_of(f, id)->rank > 0;
}

static bool try_epilogue(struct fuse *f, ir_id id, struct loop_nest *nest, uint32_t index)
{
    struct space s = space_whole(f, id);
    space_fill(&s, 1);
    return f->home[id] == index + 1 && same_dims(&s, nest->dim, nest->n_kept);
}

/* A nest of its own, or one that is there already, as long as nothing is between them that one of them waits for. */
static struct placing place_value(struct fuse *f, struct placing p)
{
    uint32_t n = f->plan->nests.n;
    bool whole = ir_at(f->ir, p.id)->shape == p.shape;
    p.where = IN_MAP;
    if (is_scan(ir_at(f->ir, p.id)) && !p.target) {
        p.where = IN_MAIN, p.nest = f->nest_of[p.id] - 1;
        return p;
    }
    for (uint32_t i = f->segment; whole && i < n; i++)
        if (try_epilogue(f, p.id, &f->plan->nests.at[i], i)) {
            p.where = IN_EPILOGUE, p.nest = i;
            return p;
        }
    for (uint32_t i = f->segment; whole && i < n; i++)
        if (try_main(f, p.id, &f->plan->nests.at[i])) {
            p.where = IN_MAIN, p.nest = i;
            return p;
        }
    struct space s = space_of(f, p.shape);
    space_fill(&s, 1);
    for (uint32_t i = f->maps; i < n; i++)
        if (f->plan->nests.at[i].kind == NEST_MAP && same_dims(&s, f->plan->nests.at[i].dim, f->plan->nests.at[i].rank)) {
            p.nest = i;
            return p;
        }
    p.nest = map_new(f, &s, f->level[p.id]);
    return p;
}

/* ---- parts and steps ---- */

/* The whole laid down, then the part over it. */
static void place_replace(struct fuse *f, ir_id id)
{
    const struct ir_node *n = ir_at(f->ir, id);
    for (unsigned part = f->ir->views.at[(uint32_t)n->attr].n == 0; part < 2; part++) {
        struct space s = space_of(f, part ? (uint32_t)(n->attr >> 32) : n->shape);
        space_fill(&s, 1);
        uint32_t nest = map_new(f, &s, f->level[id]);
        f->plan->nests.at[nest].replaces = id;
        f->plan->nests.at[nest].part = part;
    }
}

static uint32_t buffer_new(struct fuse *f, ir_id value)
{
    const struct ir_node *n = ir_at(f->ir, value);
    struct loop_buffer b = {.role = BUFFER_TEMPORARY, .value = value, .dtype = n->dtype, .shape = n->shape};
    vec_push(f->arena, &f->plan->buffers, b);
    return f->plan->buffers.n - 1;
}

static void place(struct fuse *f, ir_id id, ir_id target, uint32_t buffer)
{
    struct placing p = {.id = id, .target = target, .buffer = buffer, .shape = ir_at(f->ir, target ? target : id)->shape};
    p = place_value(f, p);
    vec_push(f->arena, &f->placed, p);
}

static void place_parts(struct fuse *f, ir_id pair, uint32_t buffer)
{
    for (unsigned k = 0; k < 2; k++) {
        struct placing p = {.id = ir_at(f->ir, pair)->args[k], .target = pair, .part = (uint8_t)k, .buffer = buffer, .shape = ir_at(f->ir, pair)->shape};
        p = place_value(f, p);
        vec_push(f->arena, &f->placed, p);
    }
}

static void place_from_here(struct fuse *f)
{
    f->maps = f->plan->nests.n;
    find_homes(f);
}

static void begin_segment(struct fuse *f)
{
    f->segment = f->maps = f->plan->nests.n;
}

static void place_starts(struct fuse *f, ir_id id, struct loop_steps *steps)
{
    const struct ir_node *n = ir_at(f->ir, id), *rounds = ir_at(f->ir, n->args[1]);
    const struct ir_steps *s = &f->ir->steps.at[n->attr];
    place_from_here(f);
    for (uint32_t i = 0; i < s->n; i++) {
        steps->states[i].now = buffer_new(f, s->state[i]);
        f->buffer_of[s->state[i]] = steps->states[i].now + 1;
        place(f, ir_tied(f->ir, n->args[0], i), s->state[i], steps->states[i].now);
    }
    steps->rounds = NO_STEPS;
    if (rounds->op == OP_const) {
        steps->known = (int64_t)rounds->attr;
        return;
    }
    steps->rounds = buffer_new(f, n->args[1]);
    place(f, n->args[1], 0, steps->rounds);
}

/* Is the value in memory that the state can take over? Memory has one taker. Extents are equal: the program checks it at the call. */
static bool takes_over(const struct fuse *f, const struct loop_steps *steps, uint32_t state, ir_id next)
{
    const struct ir_node *n = ir_at(f->ir, next);
    if (!op_is_kept((enum op)n->op) || f->owner[next] != steps->number || !f->buffer_of[next] ||
        shape_of(f, next)->rank != shape_of(f, f->ir->steps.at[steps->number].state[state])->rank)
        return false;
    for (uint32_t i = 0; i < state; i++)
        if (steps->states[i].next == f->buffer_of[next] - 1)
            return false;
    return true;
}

static void place_nexts(struct fuse *f, ir_id id, struct loop_steps *steps)
{
    const struct ir_node *n = ir_at(f->ir, id);
    const struct ir_steps *s = &f->ir->steps.at[n->attr];
    place_from_here(f);
    for (uint32_t i = 0; i < s->n; i++) {
        ir_id next = ir_tied(f->ir, n->args[2], i);
        if (ir_at(f->ir, next)->op == OP_replace && f->owner[next] == steps->number)
            fuse_buffer(f, next);
        if (takes_over(f, steps, i, next)) {
            steps->states[i].next = f->buffer_of[next] - 1;
            continue;
        }
        steps->states[i].next = buffer_new(f, s->state[i]);
        place(f, next, s->state[i], steps->states[i].next);
    }
}

static bool place_all(struct fuse *f, uint32_t owner, uint32_t parent);

static bool place_steps(struct fuse *f, ir_id id, uint32_t parent)
{
    const struct ir_node *n = ir_at(f->ir, id);
    const struct ir_steps *s = &f->ir->steps.at[n->attr];
    struct loop_steps steps = {.number = (uint32_t)n->attr, .parent = parent, .n_states = s->n};
    steps.states = arena_array(f->arena, struct loop_state, s->n + 1);
    place_starts(f, id, &steps);
    uint32_t index = f->plan->steps.n;
    vec_push(f->arena, &f->plan->steps, steps);
    begin_segment(f);
    steps.first = f->plan->nests.n;
    if (!place_all(f, steps.number, index))
        return false;
    place_nexts(f, id, &steps);
    steps.n = f->plan->nests.n - steps.first;
    f->plan->steps.at[index] = steps;
    for (ir_id r = id; r < f->ir->nodes.n; r++)
        if (ir_at(f->ir, r)->op == OP_stepped && ir_at(f->ir, r)->args[0] == id)
            f->buffer_of[r] = steps.states[ir_at(f->ir, r)->attr].now + 1;
    begin_segment(f);
    return true;
}

struct waiting {
    uint32_t level;
    ir_id id;
};

static int in_order(const void *a, const void *b)
{
    const struct waiting *x = a, *y = b;
    if (x->level != y->level)
        return x->level < y->level ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* What has nests of its own, level by level, so that they come out in order of execution. False when they are too many. */
static bool place_all(struct fuse *f, uint32_t owner, uint32_t parent)
{
    VEC(struct waiting) all = {0};
    for (ir_id id = 1; id < f->ir->nodes.n; id++) {
        enum op op = (enum op)ir_at(f->ir, id)->op;
        if (f->live[id] && f->owner[id] == owner && (op_collects(op) || op == OP_replace || op == OP_steps))
            vec_push(f->arena, &all, ((struct waiting){f->level[id], id}));
    }
    if (all.n)
        qsort(all.at, all.n, sizeof *all.at, in_order);
    for (uint32_t i = 0; i < all.n; i++) {
        ir_id id = all.at[i].id;
        enum op op = (enum op)ir_at(f->ir, id)->op;
        if (op == OP_replace)
            place_replace(f, id);
        else if (op != OP_steps)
            place_reduction(f, id);
        else if (!place_steps(f, id, parent))
            return false;
        if (too_many_nests(f, f->plan->nests.n))
            return false;
    }
    return true;
}

static bool place_program(struct fuse *f)
{
    uint32_t deepest = 0;
    for (ir_id id = 1; id < f->ir->nodes.n; id++)
        if (f->live[id] && deepest < f->level[id])
            deepest = f->level[id];
    if (too_many_nests(f, deepest)) /* a level needs a nest; known before time goes into any */
        return false;
    if (!place_all(f, NO_STEPS, NO_STEPS))
        return false;
    for (uint32_t i = 0; i < f->plan->nests.n; i++)
        if (f->plan->nests.at[i].lanes == 0 && f->plan->nests.at[i].kind != NEST_MAP)
            f->plan->nests.at[i].lanes = TREE_LANE_BYTES / 8;
    return true;
}

/* An array of which a part is replaced is made where the output is; what steps leave is copied. */
static bool place_outputs(struct fuse *f)
{
    place_from_here(f);
    for (uint32_t i = 0; i < f->ir->outputs.n; i++) {
        ir_id id = f->ir->outputs.at[i].node;
        struct placing own = {.id = id, .buffer = i, .shape = ir_at(f->ir, id)->shape, .where = IN_PLACE, .nest = UINT32_MAX};
        if (ir_at(f->ir, id)->op == OP_replace && f->buffer_of[id] == i + 1)
            vec_push(f->arena, &f->placed, own);
        else if (ir_is_of_parts(f->ir, id))
            place_parts(f, id, i);
        else
            place(f, id, 0, i);
        if (too_many_nests(f, f->plan->nests.n))
            return false;
    }
    return true;
}

bool fuse_place(struct fuse *f)
{
    find_levels(f);
    return place_program(f) && place_outputs(f);
}
