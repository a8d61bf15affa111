/*
 * Fusion: from the array IR to loop nests.
 *
 * Only reductions are kept in memory; everything elementwise is computed again where it is used, inside the nest
 * that needs it. So the nests are: one for each set of reductions over the same space and axes, and one MAP for each
 * shape of elementwise outputs that no reducing nest can store on its way:
 *   - in its main body, when the output has the shape of what is reduced and is ready before the reduction;
 *   - in its epilogue, when it has the shape of what is kept and needs this nest's reductions only.
 * One exception: what is costly, is reduced along its last axes, and is met again by an output of the same shape and type (the exponentials
 * of softmax) is laid down in that output's memory on the way, and read there, if the limits allow it. It costs no memory, and where rows are
 * short no traffic.
 * The level of a value is the number of reductions one after another that it waits for; nests run level by level.
 */
#include <stdlib.h>
#include <string.h>
#include "loop/loop.h"

struct space {
    uint8_t rank; /* of the logical shape whose axes are walked */
    uint8_t n;
    uint8_t axis[LOOP_MAX_RANK]; /* logical axis of each dim; AXIS_MADE for a dim that was added */
    uint32_t dim[LOOP_MAX_RANK];
};

enum { AXIS_MADE = 0xff };

struct visit {
    ir_id id;
    uint32_t next; /* argument to meet */
};

/* A value that is stored: an output, or what a state of steps starts from or becomes. */
struct placing {
    ir_id id, target; /* target: the state, or the complex output that it is part of */
    uint8_t part;
    uint32_t buffer;
    uint32_t shape;
    uint32_t nest;
    enum { IN_MAIN, IN_EPILOGUE, IN_MAP, IN_PLACE } where;
};

/* A value laid down in an output's memory. */
struct lent {
    ir_id value;
    uint32_t buffer, writer, reader; /* nests */
};

struct fuse {
    struct arena *arena;
    const struct ir *ir;
    struct loop_plan *plan;
    struct diags *diags;
    uint8_t *live;
    uint32_t *level;
    uint32_t *nest_of;   /* per REDUCE and SCAN node: 1 + its nest */
    uint32_t *home;      /* per node: 1 + the nest it can be computed after, HOME_NONE, or 0 when it waits for none */
    uint32_t *buffer_of; /* per node: 1 + the buffer that holds it */
    VEC(struct lent) lent;
    VEC(struct placing) placed;
    uint32_t *owner;   /* of ir_owners */
    uint32_t segment;  /* the first nest that what is placed now may be joined with: no loop of steps lies between */
    uint32_t maps;     /* and the first of the MAP nests */
    uint32_t reader; /* the nest whose main body is collected, plus 1 */
    uint8_t *seen;
    struct visit *stack; /* of collect; every node is on it once at most */
    uint32_t depth;
    uint32_t max_nests;
};

#define HOME_NONE UINT32_MAX

static bool is_reduce(const struct ir_node *n)
{
    return op_collects((enum op)n->op);
}

static bool is_scan(const struct ir_node *n)
{
    return op_table[n->op].kind == OPK_SCAN;
}

static const struct ir_shape *shape_of(const struct fuse *f, ir_id id)
{
    return &f->ir->shapes.at[ir_at(f->ir, id)->shape];
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

/* The dims of a shape that are not statically 1, those in `keep` of its axes. */
static void space_add(struct space *s, const struct ir_shape *shape, unsigned keep)
{
    s->rank = shape->rank;
    for (unsigned a = 0; a < shape->rank; a++)
        if ((keep >> a & 1) && shape->dim[a] != 0) {
            s->axis[s->n] = (uint8_t)a;
            s->dim[s->n++] = shape->dim[a];
        }
}

static void space_fill(struct space *s, unsigned at_least)
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

/* ---- nests of reductions ---- */

static uint16_t lanes_of(const struct fuse *f, ir_id reduce)
{
    enum dtype t = ir_at(f->ir, reduce)->dtype;
    if (type_table[t].cls != CLASS_FLOAT)
        return 0; /* exact: any tree gives the same bits */
    return TREE_LANE_BYTES / type_table[t].size;
}

static void nest_space(const struct fuse *f, ir_id reduce, struct space *kept, struct space *reduced)
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

static struct loop_nest *nest_new(struct fuse *f, enum loop_kind kind, uint32_t level)
{
    struct loop_nest nest = {.kind = kind, .level = level};
    vec_push(f->arena, &f->plan->nests, nest);
    return &f->plan->nests.at[f->plan->nests.n - 1];
}

/* The number of a new MAP nest over the space. */
static uint32_t map_new(struct fuse *f, const struct space *s, uint32_t level)
{
    struct loop_nest *nest = nest_new(f, NEST_MAP, level);
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
        nest_space(f, id, &kept, &reduced);
        nest = nest_new(f, kind_of(f, id), f->level[id]);
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

/* ---- bodies ---- */

static uint32_t buffer_for(struct fuse *f, ir_id id)
{
    if (!f->buffer_of[id]) {
        const struct ir_node *n = ir_at(f->ir, id);
        struct loop_buffer b = {.role = BUFFER_TEMPORARY, .value = id, .dtype = n->dtype, .shape = n->shape};
        vec_push(f->arena, &f->plan->buffers, b);
        f->buffer_of[id] = f->plan->buffers.n;
    }
    return f->buffer_of[id] - 1;
}

/* How an array of this shape lines up with the space: NumPy's alignment at the last axis. */
static struct loop_access access_as(const struct fuse *f, ir_id id, uint32_t number, const struct space *s)
{
    const struct ir_shape *shape = &f->ir->shapes.at[number];
    struct loop_access a = {.value = id, .dtype = ir_at(f->ir, id)->dtype, .rank = shape->rank};
    for (unsigned d = 0; d < s->n; d++) {
        int axis = s->axis[d] == AXIS_MADE ? -1 : (int)s->axis[d] - (s->rank - shape->rank);
        a.axis[d] = (int8_t)(axis >= 0 && shape->dim[axis] != 0 ? axis : -1);
    }
    return a;
}

static struct loop_access access_of(const struct fuse *f, ir_id id, const struct space *s)
{
    return access_as(f, id, ir_at(f->ir, id)->shape, s);
}

static void add_load(struct fuse *f, struct loop_body *body, ir_id id, const struct space *s)
{
    const struct ir_node *n = ir_at(f->ir, id);
    struct loop_access a = access_of(f, id, s);
    ir_id seen = n->op == OP_layout ? n->args[0] : id, base = ir_at(f->ir, seen)->op == OP_view ? ir_at(f->ir, seen)->args[0] : seen;
    const struct ir_node *b = ir_at(f->ir, base);
    a.layout = n->op == OP_layout;
    a.view = base != seen;
    a.scalar = shape_of(f, base)->rank == 0;
    a.source = b->op == OP_input ? SOURCE_ARGUMENT : b->op == OP_place ? SOURCE_PLACE : n->op == OP_count ? SOURCE_COUNT : n->op == OP_turn ? SOURCE_ROUND : SOURCE_BUFFER;
    if (n->op == OP_count) {
        a.rank = 0;
        memset(a.axis, -1, sizeof a.axis);
    }
    a.index = b->op == OP_input || b->op == OP_turn ? (uint32_t)b->attr : a.source == SOURCE_BUFFER ? buffer_for(f, base) : 0;
    vec_push(f->arena, &body->loads, a);
}

static bool load_lent(struct fuse *f, struct loop_body *body, ir_id id, const struct space *s)
{
    for (uint32_t i = 0; i < f->lent.n; i++)
        if (f->lent.at[i].value == id && f->lent.at[i].reader + 1 == f->reader) {
            struct loop_access a = access_of(f, id, s);
            a.source = SOURCE_BUFFER;
            a.index = f->lent.at[i].buffer;
            vec_push(f->arena, &body->loads, a);
            return true;
        }
    return false;
}

enum { SEEN = 1, COMPUTED = 2 };

/* A value is met: what is in memory is loaded, what must be computed goes on the stack. */
static void meet(struct fuse *f, struct loop_body *body, ir_id id, const struct space *s, uint32_t nest)
{
    const struct ir_node *n = ir_at(f->ir, id);
    if (f->seen[id])
        return;
    f->seen[id] = SEEN;
    if (is_reduce(n) && f->nest_of[id] == nest)
        return;
    if (loop_is_loaded(f->ir, id)) {
        add_load(f, body, id, s);
        return;
    }
    if (load_lent(f, body, id, s))
        return;
    f->stack[f->depth++] = (struct visit){.id = id};
}

/*
 * What `root` needs, depth first, with a stack of its own: programs are as deep as their authors like. nest: the one
 * whose own reductions are values at hand (its epilogue), or 0.
 */
static void collect(struct fuse *f, struct loop_body *body, ir_id root, const struct space *s, uint32_t nest)
{
    meet(f, body, root, s, nest);
    while (f->depth) {
        struct visit *v = &f->stack[f->depth - 1];
        const struct ir_node *n = ir_at(f->ir, v->id);
        if (v->next < n->n_args) {
            meet(f, body, n->args[v->next++], s, nest);
        } else {
            f->seen[v->id] = COMPUTED;
            f->depth--;
        }
    }
}

static void set_order(struct fuse *f, struct loop_body *b)
{
    for (ir_id id = 1; id < f->ir->nodes.n; id++)
        if (f->seen[id] == COMPUTED)
            vec_push(f->arena, &b->order, id);
}

static void add_store(struct fuse *f, struct loop_body *body, ir_id id, uint32_t buffer, const struct space *s)
{
    struct loop_access a = access_of(f, id, s);
    a.source = SOURCE_BUFFER;
    a.index = buffer;
    vec_push(f->arena, &body->stores, a);
}

/* To memory of another node's, which may have more axes. */
static void add_store_to(struct fuse *f, struct loop_body *body, ir_id id, struct loop_access to, uint32_t shape, const struct space *s)
{
    struct loop_access a = access_as(f, id, shape, s);
    a.source = SOURCE_BUFFER;
    a.target = to.target;
    a.index = to.index;
    a.view = to.view;
    a.part = to.part;
    vec_push(f->arena, &body->stores, a);
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

static struct space space_of(const struct fuse *f, uint32_t shape)
{
    struct space s = {0};
    space_add(&s, &f->ir->shapes.at[shape], ~0u);
    return s;
}

static struct space whole_space(const struct fuse *f, ir_id id)
{
    return space_of(f, ir_at(f->ir, id)->shape);
}

static bool try_main(struct fuse *f, ir_id id, struct loop_nest *nest)
{
    return nest->kind != NEST_MAP && nest->kind != NEST_SCAN && f->level[id] < nest->level &&
           ir_at(f->ir, id)->shape == ir_at(f->ir, nest->reduces.at[0].operand)->shape &&
           shape_of(f, id)->rank > 0;
}

static bool try_epilogue(struct fuse *f, ir_id id, struct loop_nest *nest, uint32_t index)
{
    struct space s = whole_space(f, id);
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
            buffer_for(f, next);
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
        else if (ir_at(f->ir, id)->op == OP_pair)
            place_parts(f, id, i);
        else
            place(f, id, 0, i);
        if (too_many_nests(f, f->plan->nests.n))
            return false;
    }
    return true;
}

/* ---- putting it together ---- */

static void make_buffers(struct fuse *f)
{
    f->plan->n_outputs = f->ir->outputs.n;
    f->plan->output_buffer = arena_array(f->arena, uint32_t, f->ir->outputs.n);
    for (uint32_t i = 0; i < f->ir->outputs.n; i++) {
        const struct ir_node *n = ir_at(f->ir, f->ir->outputs.at[i].node);
        struct loop_buffer b = {.role = BUFFER_OUTPUT,
                                .output = i,
                                .value = f->ir->outputs.at[i].node,
                                .dtype = n->dtype,
                                .shape = n->shape};
        vec_push(f->arena, &f->plan->buffers, b);
        f->plan->output_buffer[i] = i;
        if (!f->buffer_of[b.value] && n->op != OP_stepped)
            f->buffer_of[b.value] = i + 1;
    }
}

static void main_space(const struct fuse *f, const struct loop_nest *nest, uint32_t shape, struct space *s)
{
    memset(s, 0, sizeof *s);
    if (nest->kind == NEST_MAP) {
        *s = space_of(f, shape);
        space_fill(s, 1);
        return;
    }
    struct space reduced;
    nest_space(f, nest->reduces.at[0].value, s, &reduced);
    s->rank = reduced.rank;
    memcpy(s->axis + s->n, reduced.axis, reduced.n);
    memcpy(s->dim + s->n, reduced.dim, reduced.n * sizeof *reduced.dim);
    s->n += reduced.n;
}

static void store_placed(struct fuse *f, struct loop_body *body, const struct placing *p, const struct space *s)
{
    if (p->target)
        add_store_to(f, body, p->id, (struct loop_access){.target = p->target, .index = p->buffer, .part = p->part, .view = ir_at(f->ir, p->target)->op == OP_pair}, p->shape, s);
    else
        add_store(f, body, p->id, p->buffer, s);
}

/* The nests of place_replace: the whole is stored by the first. */
static void build_replace(struct fuse *f, struct loop_nest *nest)
{
    const struct ir_node *n = ir_at(f->ir, nest->replaces);
    const bool part = nest->part;
    uint32_t shape = part ? (uint32_t)(n->attr >> 32) : n->shape;
    struct space s = space_of(f, shape);
    space_fill(&s, 1);
    collect(f, &nest->main, n->args[part], &s, 0);
    add_store_to(f, &nest->main, n->args[part], (struct loop_access){.target = nest->replaces, .index = buffer_for(f, nest->replaces), .view = part}, shape, &s);
    set_order(f, &nest->main);
}

static void build_main(struct fuse *f, struct loop_nest *nest)
{
    uint32_t index = (uint32_t)(nest - f->plan->nests.at);
    struct space s;
    memset(f->seen, 0, f->ir->nodes.n);
    if (nest->replaces) {
        build_replace(f, nest);
        return;
    }
    f->reader = index + 1;
    for (uint32_t i = 0; i < nest->reduces.n; i++) {
        main_space(f, nest, 0, &s);
        collect(f, &nest->main, nest->reduces.at[i].operand, &s, 0);
    }
    for (uint32_t i = 0; i < f->placed.n; i++) {
        const struct placing *p = &f->placed.at[i];
        if (p->nest != index || p->where == IN_EPILOGUE)
            continue;
        main_space(f, nest, p->shape, &s);
        collect(f, &nest->main, p->id, &s, nest->kind == NEST_SCAN ? index + 1 : 0);
        store_placed(f, &nest->main, p, &s);
        if (nest->level < f->level[p->id])
            nest->level = f->level[p->id];
    }
    for (uint32_t i = 0; i < f->lent.n; i++)
        if (f->lent.at[i].writer == index) {
            main_space(f, nest, 0, &s);
            add_store(f, &nest->main, f->lent.at[i].value, f->lent.at[i].buffer, &s);
        }
    f->reader = 0;
    set_order(f, &nest->main);
}

/* ---- values laid down in an output's memory ---- */

enum { COSTLY = 12 }; /* operations, from which on reading a value is quicker than computing it */

/* Is `id` met on the way to `root`, and how much does it take? Leaves `seen` as it finds it. */
static unsigned cost_below(struct fuse *f, ir_id root, ir_id id)
{
    struct loop_body met = {0}, below = {0};
    struct space s = whole_space(f, id);
    memset(f->seen, 0, f->ir->nodes.n);
    collect(f, &met, root, &s, 0);
    if (f->seen[id] != COMPUTED)
        return 0;
    memset(f->seen, 0, f->ir->nodes.n);
    collect(f, &below, id, &s, 0);
    set_order(f, &below);
    return below.order.n;
}

static bool may_lend(struct fuse *f, const struct placing *p, const struct loop_nest *writer, ir_id value)
{
    const struct ir_node *v = ir_at(f->ir, value), *o = ir_at(f->ir, p->id);
    return value != p->id && v->shape == o->shape && v->dtype == o->dtype && v->region == 0 && !loop_is_loaded(f->ir, value) &&
           loop_same_space(f->plan, writer, &f->plan->nests.at[p->nest]) && cost_below(f, p->id, value) >= COSTLY;
}

static bool is_lent(const struct fuse *f, ir_id value, uint32_t output)
{
    for (uint32_t i = 0; i < f->lent.n; i++)
        if (f->lent.at[i].value == value || f->plan->buffers.at[f->lent.at[i].buffer].output == output)
            return true;
    return false;
}

/* The memory of `output`, or of the output that the value is itself. */
static struct lent lend(struct fuse *f, const struct placing *placed, ir_id value, uint32_t output, uint32_t writer)
{
    const struct ir_node *n = ir_at(f->ir, value);
    struct lent lent = {value, f->plan->buffers.n, writer, placed[output].nest};
    struct loop_buffer b = {.role = BUFFER_LENT, .output = output, .value = value, .dtype = n->dtype, .shape = n->shape};
    for (uint32_t i = 0; i < f->ir->outputs.n; i++)
        if (placed[i].id == value && placed[i].where == IN_MAIN && placed[i].nest == writer) {
            lent.buffer = placed[i].buffer;
            lent.writer = f->plan->nests.n; /* stored already */
            return lent;
        }
    vec_push(f->arena, &f->plan->buffers, b);
    return lent;
}

static void lend_to(struct fuse *f, const struct placing *placed, uint32_t output, uint32_t writer)
{
    const struct loop_nest *nest = &f->plan->nests.at[writer];
    for (uint32_t r = 0; r < nest->reduces.n; r++) {
        ir_id value = nest->reduces.at[r].operand;
        if (is_lent(f, value, output) || !may_lend(f, &placed[output], nest, value))
            continue;
        struct lent lent = lend(f, placed, value, output, writer);
        vec_push(f->arena, &f->lent, lent);
    }
}

static void find_lent(struct fuse *f, const struct placing *placed)
{
    for (uint32_t i = 0; i < f->ir->outputs.n; i++)
        for (uint32_t k = 0; placed[i].where == IN_MAP && k < f->plan->nests.n; k++)
            if (f->plan->nests.at[k].kind == NEST_LANES)
                lend_to(f, placed, i, k);
}

static void build_epilogue(struct fuse *f, struct loop_nest *nest)
{
    uint32_t index = (uint32_t)(nest - f->plan->nests.at);
    memset(f->seen, 0, f->ir->nodes.n);
    for (uint32_t i = 0; i < f->placed.n; i++) {
        const struct placing *p = &f->placed.at[i];
        if (p->nest != index || p->where != IN_EPILOGUE)
            continue;
        struct space s = space_of(f, p->shape);
        space_fill(&s, 1);
        collect(f, &nest->epilogue, p->id, &s, index + 1);
        store_placed(f, &nest->epilogue, p, &s);
    }
    set_order(f, &nest->epilogue);
}

/* Reductions that other nests load are stored by their own. */
static void store_temporaries(struct fuse *f)
{
    for (uint32_t b = f->ir->outputs.n; b < f->plan->buffers.n; b++) {
        ir_id id = f->plan->buffers.at[b].value;
        if (f->plan->buffers.at[b].role == BUFFER_LENT || !is_reduce(ir_at(f->ir, id)) || f->buffer_of[id] != b + 1)
            continue;
        struct loop_nest *nest = &f->plan->nests.at[f->nest_of[id] - 1];
        struct space s = whole_space(f, id);
        space_fill(&s, 1);
        if (nest->kind == NEST_SCAN)
            main_space(f, nest, 0, &s);
        add_store(f, nest->kind == NEST_SCAN ? &nest->main : &nest->epilogue, id, b, &s);
    }
}

static void mark_lifetimes(struct loop_plan *plan, const struct loop_body *body, uint32_t nest)
{
    for (uint32_t i = 0; i < body->stores.n; i++)
        if (plan->buffers.at[body->stores.at[i].index].first > nest)
            plan->buffers.at[body->stores.at[i].index].first = nest;
    for (uint32_t i = 0; i < body->loads.n; i++)
        if (body->loads.at[i].source == SOURCE_BUFFER)
            plan->buffers.at[body->loads.at[i].index].last = nest;
}

static void find_lifetimes(struct loop_plan *plan)
{
    for (uint32_t b = 0; b < plan->buffers.n; b++)
        plan->buffers.at[b].first = UINT32_MAX;
    for (uint32_t i = 0; i < plan->nests.n; i++) {
        mark_lifetimes(plan, &plan->nests.at[i].main, i);
        mark_lifetimes(plan, &plan->nests.at[i].epilogue, i);
    }
    for (uint32_t b = 0; b < plan->buffers.n; b++)
        if (plan->buffers.at[b].role == BUFFER_OUTPUT)
            plan->buffers.at[b].last = plan->nests.n;
}

static bool slots_suffice(const struct fuse *f)
{
    for (uint32_t i = 0; i < f->plan->nests.n; i++)
        if (loop_slots(&f->plan->nests.at[i]).count > LOOP_MAX_SLOTS) {
            diag_add(
                f->diags, AX_too_many_accesses, (struct span){0, 0},
                "one kernel of the program reads and writes too many arrays at once: split the expression");
            return false;
        }
    return true;
}

static void fuse_init(struct fuse *f)
{
    uint32_t n = f->ir->nodes.n;
    f->plan = arena_new(f->arena, struct loop_plan);
    f->plan->ir = f->ir;
    f->live = arena_array(f->arena, uint8_t, n);
    f->level = arena_array(f->arena, uint32_t, n);
    f->nest_of = arena_array(f->arena, uint32_t, n);
    f->home = arena_array(f->arena, uint32_t, n);
    f->buffer_of = arena_array(f->arena, uint32_t, n);
    f->seen = arena_array(f->arena, uint8_t, n);
    f->owner = arena_array(f->arena, uint32_t, n);
    f->stack = arena_array(f->arena, struct visit, n);
}

/* What a kernel does: one nest over its threads, after those that bring its memory into being. */
static void build_effects(struct fuse *f)
{
    struct space s = {0};
    if (!f->ir->effects.n)
        return;
    space_add(&s, &f->ir->shapes.at[f->ir->launch], ~0u);
    space_fill(&s, 1);
    struct loop_nest *nest = nest_new(f, NEST_MAP, 0);
    nest->updates = true;
    nest->rank = nest->n_kept = s.n;
    memcpy(nest->dim, s.dim, s.n * sizeof *s.dim);
    memset(f->seen, 0, f->ir->nodes.n);
    for (uint32_t i = 0; i < f->ir->effects.n; i++)
        collect(f, &nest->main, f->ir->effects.at[i], &s, 0);
    set_order(f, &nest->main);
    for (uint32_t i = 0; i < nest->main.order.n; i++)
        nest->blocks |= ir_at(f->ir, nest->main.order.at[i])->op == OP_shared || ir_at(f->ir, nest->main.order.at[i])->op == OP_barrier;
    for (unsigned d = 0; d < s.n; d++)
        nest->block[d] = shape_of(f, f->ir->block)->dim[s.axis[d]];
}

static void build_bodies(struct fuse *f)
{
    for (uint32_t i = 0; i < f->plan->nests.n; i++)
        build_main(f, &f->plan->nests.at[i]);
    for (uint32_t i = 0; i < f->plan->nests.n; i++)
        if (f->plan->nests.at[i].kind != NEST_MAP)
            build_epilogue(f, &f->plan->nests.at[i]);
    build_effects(f);
}

/* Where parts are replaced or steps repeated, nests do not follow one another as lending takes for granted. */
static bool is_straight(const struct fuse *f)
{
    bool straight = f->plan->steps.n == 0 && f->placed.n == f->ir->outputs.n;
    for (uint32_t i = 0; straight && i < f->plan->nests.n; i++)
        straight = !f->plan->nests.at[i].replaces;
    return straight;
}

struct loop_plan *loop_build(struct arena *arena, const struct ir *ir, const struct loop_limits *limits,
                             struct diags *diags)
{
    struct fuse f = {.arena = arena,
                     .ir = ir,
                     .diags = diags,
                     .max_nests = limits && limits->max_nests ? limits->max_nests : 256};
    fuse_init(&f);
    ir_live(ir, f.live);
    ir_owners(ir, f.owner);
    find_levels(&f);
    make_buffers(&f);
    if (!place_program(&f) || !place_outputs(&f))
        return NULL;
    if ((!limits || !limits->recompute) && is_straight(&f))
        find_lent(&f, f.placed.at);
    build_bodies(&f);
    store_temporaries(&f);
    loop_place_parts(arena, f.plan);
    find_lifetimes(f.plan);
    loop_find_rows(arena, f.plan);
    return slots_suffice(&f) ? f.plan : NULL;
}
