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
 * Nests run level by level (src/loop/place.c). Here: the bodies of nests, and what is laid down in memory that is there anyway.
 */
#include <string.h>
#include "loop/fuse.h"

/* ---- bodies ---- */

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
    a.index = b->op == OP_input || b->op == OP_turn ? (uint32_t)b->attr : a.source == SOURCE_BUFFER ? fuse_buffer(f, base) : 0;
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
    space_of_reduction(f, nest->reduces.at[0].value, s, &reduced);
    s->rank = reduced.rank;
    memcpy(s->axis + s->n, reduced.axis, reduced.n);
    memcpy(s->dim + s->n, reduced.dim, reduced.n * sizeof *reduced.dim);
    s->n += reduced.n;
}

static void store_placed(struct fuse *f, struct loop_body *body, const struct placing *p, const struct space *s)
{
    if (p->target)
        add_store_to(f, body, p->id, (struct loop_access){.target = p->target, .index = p->buffer, .part = p->part, .view = ir_is_of_parts(f->ir, p->target)}, p->shape, s);
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
    add_store_to(f, &nest->main, n->args[part], (struct loop_access){.target = nest->replaces, .index = fuse_buffer(f, nest->replaces), .view = part}, shape, &s);
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

/* Is `id` met on the way to `root`, and how much does it take? Leaves `seen` as it finds it. */
static unsigned cost_below(struct fuse *f, ir_id root, ir_id id)
{
    struct loop_body met = {0}, below = {0};
    struct space s = space_whole(f, id);
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
           loop_same_space(f->plan, writer, &f->plan->nests.at[p->nest]) && cost_below(f, p->id, value) >= LOOP_COSTLY;
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
        struct space s = space_whole(f, id);
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
    struct loop_nest *nest = fuse_nest(f, NEST_MAP, 0);
    nest->updates = true;
    nest->rank = nest->n_kept = s.n;
    memcpy(nest->dim, s.dim, s.n * sizeof *s.dim);
    memset(f->seen, 0, f->ir->nodes.n);
    for (uint32_t i = 0; i < f->ir->effects.n; i++)
        collect(f, &nest->main, f->ir->effects.at[i], &s, 0);
    set_order(f, &nest->main);
    for (uint32_t i = 0; i < nest->main.order.n; i++)
        nest->blocks |= (ir_at(f->ir, nest->main.order.at[i])->op == OP_shared && !ir_is_own(f->ir, nest->main.order.at[i])) || ir_at(f->ir, nest->main.order.at[i])->op == OP_barrier;
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

/* A nest computes again what it needs, so there may be far more operations than nodes. */
static bool is_little_work(struct fuse *f, uint32_t most)
{
    uint64_t operations = 0;
    for (uint32_t i = 0; i < f->plan->nests.n; i++)
        operations += f->plan->nests.at[i].main.order.n + f->plan->nests.at[i].epilogue.order.n;
    if (!most || operations <= most)
        return true;
    diag_add(f->diags, AX_compile_work, (struct span){0, 0}, "the program comes to %llu operations in %u kernels: more work to compile than is allowed",
             (unsigned long long)operations, f->plan->nests.n);
    return false;
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
    make_buffers(&f);
    if (!fuse_place(&f))
        return NULL;
    if ((!limits || !limits->recompute) && is_straight(&f))
        find_lent(&f, f.placed.at);
    build_bodies(&f);
    if (!is_little_work(&f, limits ? limits->max_work : 0))
        return NULL;
    store_temporaries(&f);
    loop_place_parts(arena, f.plan);
    find_lifetimes(f.plan);
    loop_find_rows(arena, f.plan);
    return slots_suffice(&f) ? f.plan : NULL;
}
