/*
 * MAP nests: elementwise results over a space of rows.
 *
 * A CPU worker takes the elements begin..end of the row-major space, row by row. On a GPU a thread takes `width`
 * elements of a row, or several times as many (turns.c), and rows in steps of the grid's height.
 */
#include "gen.h"

enum { ONCE_COST = 12 };                    /* bodies of more operations are not emitted twice */
enum { TWICE_COST = 400, MOST_TWICE = 16 }; /* bodies of more operations, or wider vectors, are done one vector at a time */
enum { ROOTS_COST = 24, MOST_VECTORS = 4 }; /* bodies of no more operations take as many vectors at a time as their roots want */
_Static_assert(MOST_TWICE * MOST_VECTORS <= LL_MOST_LANES, "the vectors of a step are one");

struct map {
    struct gen *g;
    struct body body;
    unsigned width, inner; /* elements a vector step takes; the innermost dim */
};

static void step(struct map *m, val at, unsigned w)
{
    struct where where = {.inner = at, .position = m->g->row ? at : NULL}; /* who keeps has one row of this nest for each of the others: see geometry.c */
    if (m->g->nest->updates)
        blocks_clear_own(m->g, &m->body);
    body_lanes(m->g, &m->body, &where, w);
    body_stores(m->g, &m->body, &where);
}

/* Stores that bypass the caches need aligned vectors: go one by one until the first output is aligned. */
static val may_go_wide(struct map *m, val at)
{
    struct gen *g = m->g;
    if (g->gpu || !(g->variant->flags & VARIANT_STREAM))
        return NULL;
    unsigned size = type_table[m->body.stores[0].access->dtype].size;
    val address = LLVMBuildPtrToInt(g->l.b, m->body.stores[0].row, g->l.i64, "");
    address = ll_add(&g->l, address, ll_mul(&g->l, at, ll_i64(&g->l, size)));
    val low = LLVMBuildAnd(g->l.b, address, ll_i64(&g->l, (int64_t)(size * m->width) - 1), "");
    return ll_eq(&g->l, low, ll_i64(&g->l, 0));
}

/* Up to where a step that starts at `at` may go: to the next vector that stores bypassing the caches can take. */
static val step_length(struct map *m, val at, val to)
{
    struct gen *g = m->g;
    struct ll *l = &g->l;
    val w = ll_i64(l, m->width);
    if (g->variant->flags & VARIANT_STREAM) {
        unsigned size = type_table[m->body.stores[0].access->dtype].size;
        val address = ll_add(l, LLVMBuildPtrToInt(l->b, m->body.stores[0].row, l->i64, ""), ll_mul(l, at, ll_i64(l, size)));
        w = ll_sub(l, w, ll_rem(l, ll_div(l, address, ll_i64(l, size)), w));
    }
    return ll_min(l, w, ll_sub(l, to, at));
}

/* Steps of whole vectors over n elements from `from`, one at least: what is counted between them takes from what is computed. */
static void whole_steps(struct map *m, val from, val n)
{
    struct ll *l = &m->g->l;
    block before = ll_here(l), again = ll_block(l, "again"), done = ll_block(l, "run_done");
    val to = ll_add(l, from, n);
    ll_br(l, again);
    ll_at(l, again);
    val at = ll_phi(l, l->i64, from, before);
    step(m, at, m->width);
    val next = ll_add(l, at, ll_i64(l, m->width));
    ll_phi_add(at, next, ll_here(l));
    ll_cond(l, ll_lt(l, next, to), again, done);
    ll_at(l, done);
}

/* Elements from..to of the current row, the body emitted once: steps that are not whole vectors go through memory, those that are in one run. */
static void walk_row_once(struct map *m, val from, val to)
{
    struct gen *g = m->g;
    struct ll *l = &g->l;
    struct partial part;
    struct loop loop = gen_loop(g, from, to);
    val count = step_length(m, loop.i, to), w = ll_i64(l, m->width), left = ll_sub(l, to, loop.i);
    val at = partial_begin(g, &part, &m->body, loop.i, count, m->width);
    val run = ll_select(l, part.whole, ll_sub(l, left, ll_rem(l, left, w)), w);
    whole_steps(m, at, run);
    partial_end(g, &part);
    gen_loop_end(g, &loop, ll_select(l, part.whole, run, count));
}

/* Elements from..to of the current row: vectors while they fit, single elements for the rest. */
static void walk_row(struct map *m, val from, val to)
{
    struct gen *g = m->g;
    struct ll *l = &g->l;
    block again = ll_block(l, "again"), wide = ll_block(l, "wide"), wide_body = ll_block(l, "wide_body");
    block narrow = ll_block(l, "narrow"), narrow_body = ll_block(l, "narrow_body"), done = ll_block(l, "row_done");
    block here = ll_here(l);
    ll_br(l, again);
    ll_at(l, again);
    val start = ll_phi(l, l->i64, from, here);
    val aligned = may_go_wide(m, start);
    if (aligned)
        ll_cond(l, aligned, wide, narrow);
    else
        ll_br(l, wide);
    block again_end = ll_here(l);

    ll_at(l, wide);
    val i = ll_phi(l, l->i64, start, again_end);
    ll_cond(l, ll_le(l, ll_add(l, i, ll_i64(l, m->width)), to), wide_body, narrow);
    ll_at(l, wide_body);
    step(m, i, m->width);
    ll_phi_add(i, ll_add(l, i, ll_i64(l, m->width)), ll_here(l));
    ll_br(l, wide);

    ll_at(l, narrow);
    val j = ll_phi(l, l->i64, i, wide);
    if (aligned)
        ll_phi_add(j, start, again_end);
    ll_cond(l, ll_lt(l, j, to), narrow_body, done);
    ll_at(l, narrow_body);
    step(m, j, 1);
    val next = ll_add(l, j, ll_i64(l, 1));
    if (aligned)
        ll_phi_add(start, next, ll_here(l));
    else
        ll_phi_add(j, next, ll_here(l));
    ll_br(l, aligned ? again : narrow);
    ll_at(l, done);
}

static void walk_row_singly(struct map *m, val from, val to)
{
    struct loop loop = gen_loop(m->g, from, to);
    step(m, loop.i, 1);
    gen_loop_end(m->g, &loop, ll_i64(&m->g->l, 1));
}

static bool is_emitted_once(struct map *m)
{
    return (body_cost(m->g, &m->body) > ONCE_COST && !body_has_places(&m->body)) || m->width > body_width(m->g, &m->body);
}

static void map_cpu(struct map *m)
{
    struct gen *g = m->g;
    struct ll *l = &g->l;
    val n = gen_slot(g, g->slots.extents + m->inner);
    struct loop loop = gen_loop(g, g->begin, g->end);
    val row = ll_div(l, loop.i, n), from = ll_rem(l, loop.i, n);
    val to = ll_min(l, n, ll_add(l, from, ll_sub(l, g->end, loop.i)));
    body_rows(g, &m->body, row, 0, m->inner, true);
    body_row_values(g, &m->body);
    if (g->nest->updates)
        walk_row_singly(m, from, to);
    else if (is_emitted_once(m))
        walk_row_once(m, from, to);
    else
        walk_row(m, from, to);
    gen_loop_end(g, &loop, ll_sub(l, to, from));
    if (g->variant->flags & VARIANT_STREAM)
        LLVMBuildFence(l->b, LLVMAtomicOrderingSequentiallyConsistent, 0, "");
}

static val row_count(struct map *m)
{
    val rows = ll_i64(&m->g->l, 1);
    for (unsigned d = 0; d < m->inner; d++)
        rows = ll_mul(&m->g->l, rows, gen_slot(m->g, m->g->slots.extents + d));
    return rows;
}

/* Element `t` of what is left of a row, where there is one. */
static void rest_of_row(struct map *m, val at, val n)
{
    struct branch in = gen_if(m->g, ll_lt(&m->g->l, at, n));
    step(m, at, 1);
    gen_if_end(m->g, &in);
}

/* In a kernel of rows: all threads of the block go along the row at hand, which may be several rows of this nest. */
static void map_row(struct map *m)
{
    struct gen *g = m->g;
    struct ll *l = &g->l;
    val n = gen_slot(g, g->slots.extents + m->inner), each = ll_div(l, row_count(m), g->n_rows), first = ll_mul(l, g->row, each);
    val width = ll_i64(l, m->width), threads = ll_mul(l, gpu_block_size(g, AXIS_X), gpu_block_size(g, AXIS_Y));
    val thread = ll_add(l, ll_mul(l, gpu_thread(g, AXIS_Y), gpu_block_size(g, AXIS_X)), gpu_thread(g, AXIS_X));
    val whole = ll_sub(l, n, ll_rem(l, n, width));
    struct loop rows = gen_loop(g, first, ll_add(l, first, each));
    body_rows(g, &m->body, rows.i, 0, m->inner, true);
    body_row_values(g, &m->body);
    struct loop along = gen_loop(g, ll_mul(l, thread, width), whole);
    step(m, along.i, m->width);
    gen_loop_end(g, &along, ll_mul(l, threads, width));
    if (m->width > 1)
        rest_of_row(m, ll_add(l, whole, thread), n);
    gen_loop_end(g, &rows, ll_i64(l, 1));
}

static void map_gpu(struct map *m)
{
    struct gen *g = m->g;
    struct ll *l = &g->l;
    val n = gen_slot(g, g->slots.extents + m->inner), rows = row_count(m);
    val x = ll_add(l, ll_mul(l, gpu_block(g, AXIS_X), gpu_block_size(g, AXIS_X)), gpu_thread(g, AXIS_X));
    val y = ll_add(l, ll_mul(l, gpu_block(g, AXIS_Y), gpu_block_size(g, AXIS_Y)), gpu_thread(g, AXIS_Y));
    val from = ll_mul(l, x, ll_i64(l, m->width));
    val to = ll_min(l, n, ll_add(l, from, ll_i64(l, m->width)));
    unsigned turns = loop_gpu_turns(g->ir, g->nest);
    struct loop loop = gen_loop(g, y, rows);
    body_rows(g, &m->body, loop.i, 0, m->inner, true);
    body_row_values(g, &m->body);
    if (turns > 1)
        turns_emit(g, &m->body, m->width, turns, n);
    else if (m->width > 1)
        walk_row(m, from, to);
    else
        walk_row_singly(m, from, to);
    gen_loop_end(g, &loop, ll_mul(l, gpu_grid_size(g, AXIS_Y), gpu_block_size(g, AXIS_Y)));
}

/* Elements of a step on the CPU. Of a costly body two vectors: constants are loaded and steps counted once for both, and the
 * one has work to do while the other waits for its chain of operations; of a light one with roots as many as let AVX-512's divider be shared best. Not where elements
 * leave a loop one by one, nor where fma is many operations. */
static unsigned map_width(struct gen *g, const struct body *b)
{
    unsigned width = body_width(g, b), cost = body_cost(g, b), n = cost > ONCE_COST ? 2 : 1;
    if (g->nest->updates)
        return 1;
    if (!g->target->has_fma || cost > TWICE_COST || width > MOST_TWICE || body_has_places(b) || body_has_loop(g, b))
        return width;
    return width * (gen_has_avx512(g) && cost <= ROOTS_COST ? divider_registers(g, n, MOST_VECTORS) : n);
}

void map_emit(struct gen *g, unsigned index)
{
    if (blocks_kept(g)) {
        blocks_emit(g, index);
        return;
    }
    struct map m = {.g = g, .inner = g->nest->rank - 1u};
    body_init(g, &m.body, &g->nest->main, g->variant->classes, g->slots.main_loads, g->slots.main_stores, g->nest->rank);
    body_plan_levels(g, &m.body);
    m.width = g->gpu ? loop_gpu_width(g->ir, g->nest) : map_width(g, &m.body);
    gen_begin(g, index, "main");
    if (g->nest->updates)
        blocks_make_shared(g, &m.body);
    body_uniform(g, &m.body);
    if (g->row)
        map_row(&m);
    else if (g->gpu)
        map_gpu(&m);
    else
        map_cpu(&m);
    gen_end(g);
}
