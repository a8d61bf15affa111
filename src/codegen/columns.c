/*
 * COLUMNS nests: reductions that keep the innermost axis. A chunk of TREE_CHUNK steps of the reduced sequence is
 * folded in order for every kept element; partial results lie as [chunk][kept], and join.c folds them further.
 *
 * A CPU worker takes a chunk for LOOP_COLUMN_TILE kept elements of one row, with the results so far in memory that
 * stays in the first cache; a GPU thread takes `width` neighbouring kept elements in registers.
 */
#include "gen.h"

struct columns {
    struct gen *g;
    struct body body;
    unsigned width, n_reduces, inner; /* the innermost kept dim */
    val extent, rows, chunk, row;     /* of the innermost kept dim; kept rows; of the item */
    val first_step, last_step;
};

static const struct loop_reduce *reduce_at(const struct columns *c, unsigned r)
{
    return &c->g->nest->reduces.at[r];
}

static val element(struct columns *c, val base, unsigned r, val index)
{
    enum dtype t = reduce_dtype(c->g, reduce_at(c, r));
    return ll_offset(&c->g->l, base, ll_mul(&c->g->l, index, ll_i64(&c->g->l, type_table[t].size)));
}

static val load(struct columns *c, val base, unsigned r, val index, unsigned w)
{
    enum dtype t = reduce_dtype(c->g, reduce_at(c, r));
    val raw = LLVMBuildLoad2(c->g->l.b, ll_vec(gen_memory_type(c->g, t), w), element(c, base, r, index), "");
    LLVMSetAlignment(raw, type_table[t].size);
    return gen_from_memory(c->g, raw, t);
}

static void store(struct columns *c, val base, unsigned r, val index, val v)
{
    enum dtype t = reduce_dtype(c->g, reduce_at(c, r));
    val st = LLVMBuildStore(c->g->l.b, gen_to_memory(c->g, v, t), element(c, base, r, index));
    LLVMSetAlignment(st, type_table[t].size);
}

static void compute(struct columns *c, val at, unsigned w)
{
    struct where where = {.inner = at};
    body_lanes(c->g, &c->body, &where, w);
    body_stores(c->g, &c->body, &where);
    for (unsigned r = 0; r < c->n_reduces; r++)
        gen_raise(c->g, body_fault_of(c->g, &c->body, reduce_at(c, r)->operand));
}

static val operand(struct columns *c, unsigned r)
{
    return body_value(c->g, &c->body, reduce_at(c, r)->operand);
}

/* From the number of a (chunk, kept row) pair to where its arrays start and which steps it takes. */
static void place(struct columns *c, val pair)
{
    struct gen *g = c->g;
    struct ll *l = &g->l;
    c->row = ll_rem(l, pair, c->rows);
    c->chunk = ll_div(l, pair, c->rows);
    c->first_step = ll_mul(l, c->chunk, ll_i64(l, TREE_CHUNK));
    c->last_step = ll_min(l, gen_slot(g, g->slots.length), ll_add(l, c->first_step, ll_i64(l, TREE_CHUNK)));
}

static void step_rows(struct columns *c, val step)
{
    body_rows(c->g, &c->body, c->row, 0, c->inner, true);
    body_rows(c->g, &c->body, step, c->g->nest->n_kept, c->g->nest->rank, false);
    body_row_values(c->g, &c->body);
}

static val partial_index(struct columns *c, val at)
{
    struct ll *l = &c->g->l;
    val row = ll_add(l, ll_mul(l, c->chunk, c->rows), c->row);
    return ll_add(l, ll_mul(l, row, c->extent), at);
}

static val partials(struct columns *c, unsigned r)
{
    return gen_slot_ptr(c->g, c->g->slots.partials + r);
}

/* ---- CPU ---- */

static void accumulate(struct columns *c, val *room, val at, val from, unsigned w)
{
    struct gen *g = c->g;
    val k = ll_sub(&g->l, at, from);
    compute(c, at, w);
    for (unsigned r = 0; r < c->n_reduces; r++)
        store(c, room[r], r, k, reduce_combine(g, reduce_at(c, r), load(c, room[r], r, k, w), operand(c, r)));
}

static void tile_cpu(struct columns *c, val *room, val from, val to)
{
    struct gen *g = c->g;
    struct ll *l = &g->l;
    val one = ll_i64(l, 1), zero = ll_i64(l, 0), length = ll_sub(l, to, from);
    struct loop clear = gen_loop(g, zero, length);
    for (unsigned r = 0; r < c->n_reduces; r++)
        store(c, room[r], r, clear.i, reduce_identity(g, reduce_at(c, r)));
    gen_loop_end(g, &clear, one);
    val wide_to = ll_sub(l, to, ll_rem(l, length, ll_i64(l, c->width)));
    struct loop steps = gen_loop(g, c->first_step, c->last_step);
    step_rows(c, steps.i);
    struct loop wide = gen_loop(g, from, wide_to);
    accumulate(c, room, wide.i, from, c->width);
    gen_loop_end(g, &wide, ll_i64(l, c->width));
    struct loop rest = gen_loop(g, wide_to, to);
    accumulate(c, room, rest.i, from, 1);
    gen_loop_end(g, &rest, one);
    gen_loop_end(g, &steps, one);
    struct loop out = gen_loop(g, zero, length);
    for (unsigned r = 0; r < c->n_reduces; r++)
        store(c, partials(c, r), r, partial_index(c, ll_add(l, from, out.i)), load(c, room[r], r, out.i, 1));
    gen_loop_end(g, &out, one);
}

static void columns_cpu(struct columns *c)
{
    struct gen *g = c->g;
    struct ll *l = &g->l;
    val *room = arena_array(g->arena, val, c->n_reduces + 1), tile = ll_i64(l, LOOP_COLUMN_TILE);
    for (unsigned r = 0; r < c->n_reduces; r++)
        room[r] = gen_alloca(g, gen_memory_type(g, reduce_dtype(g, reduce_at(c, r))), LOOP_COLUMN_TILE);
    val tiles = ll_div(l, ll_add(l, c->extent, ll_i64(l, LOOP_COLUMN_TILE - 1)), tile);
    struct loop loop = gen_loop(g, g->begin, g->end);
    place(c, ll_div(l, loop.i, tiles));
    val from = ll_mul(l, ll_rem(l, loop.i, tiles), tile);
    tile_cpu(c, room, from, ll_min(l, c->extent, ll_add(l, from, tile)));
    gen_loop_end(g, &loop, ll_i64(l, 1));
}

/* ---- GPU ---- */

/* Steps from `from` on, `unroll` a turn, so that their loads are under way at once. Returns where it stopped. */
static val fold_steps(struct columns *c, val at, unsigned w, val from, unsigned unroll, val *acc)
{
    struct gen *g = c->g;
    struct ll *l = &g->l;
    block here = ll_here(l), head = ll_block(l, "steps"), body = ll_block(l, "step"), done = ll_block(l, "steps_done");
    val *next = arena_array(g->arena, val, c->n_reduces + 1);
    ll_br(l, head);
    ll_at(l, head);
    val i = ll_phi(l, l->i64, from, here);
    for (unsigned r = 0; r < c->n_reduces; r++)
        next[r] = acc[r] = ll_phi(l, LLVMTypeOf(acc[r]), acc[r], here);
    ll_cond(l, ll_le(l, ll_add(l, i, ll_i64(l, unroll)), c->last_step), body, done);
    ll_at(l, body);
    for (unsigned u = 0; u < unroll; u++) {
        step_rows(c, ll_add(l, i, ll_i64(l, u)));
        compute(c, at, w);
        for (unsigned r = 0; r < c->n_reduces; r++)
            next[r] = reduce_combine(g, reduce_at(c, r), next[r], operand(c, r));
    }
    ll_phi_add(i, ll_add(l, i, ll_i64(l, unroll)), ll_here(l));
    for (unsigned r = 0; r < c->n_reduces; r++)
        ll_phi_add(acc[r], next[r], ll_here(l));
    ll_br(l, head);
    ll_at(l, done);
    return i;
}

static void fold_gpu(struct columns *c, val at, unsigned w)
{
    struct gen *g = c->g;
    unsigned cost = body_cost(g, &c->body), unroll = w == 1 || cost > 12 ? 1 : cost > 4 ? 4 : 8;
    val *acc = arena_array(g->arena, val, c->n_reduces + 1), step = c->first_step;
    for (unsigned r = 0; r < c->n_reduces; r++)
        acc[r] = ll_splat(&g->l, reduce_identity(g, reduce_at(c, r)), w);
    if (unroll > 1)
        step = fold_steps(c, at, w, step, unroll, acc);
    fold_steps(c, at, w, step, 1, acc);
    for (unsigned r = 0; r < c->n_reduces; r++)
        store(c, partials(c, r), r, partial_index(c, at), acc[r]);
}

static void columns_gpu(struct columns *c)
{
    struct gen *g = c->g;
    struct ll *l = &g->l;
    val x = ll_add(l, ll_mul(l, gpu_block(g, AXIS_X), gpu_block_size(g, AXIS_X)), gpu_thread(g, AXIS_X));
    val y = ll_add(l, ll_mul(l, gpu_block(g, AXIS_Y), gpu_block_size(g, AXIS_Y)), gpu_thread(g, AXIS_Y));
    val from = ll_mul(l, x, ll_i64(l, c->width)), to = ll_min(l, c->extent, ll_add(l, from, ll_i64(l, c->width)));
    val pairs = ll_mul(l, c->rows, gen_slot(g, g->slots.blocks));
    struct loop loop = gen_loop(g, y, pairs);
    place(c, loop.i);
    block wide = ll_block(l, "wide"), narrow = ll_block(l, "narrow"), done = ll_block(l, "folded");
    ll_cond(l, ll_eq(l, ll_sub(l, to, from), ll_i64(l, c->width)), wide, narrow);
    ll_at(l, wide);
    fold_gpu(c, from, c->width);
    ll_br(l, done);
    ll_at(l, narrow);
    struct loop one = gen_loop(g, from, to);
    fold_gpu(c, one.i, 1);
    gen_loop_end(g, &one, ll_i64(l, 1));
    ll_br(l, done);
    ll_at(l, done);
    gen_loop_end(g, &loop, ll_mul(l, gpu_grid_size(g, AXIS_Y), gpu_block_size(g, AXIS_Y)));
}

void columns_emit(struct gen *g, unsigned index)
{
    struct columns c = {.g = g, .n_reduces = g->nest->reduces.n, .inner = g->nest->n_kept - 1u};
    body_init(g, &c.body, &g->nest->main, g->variant->classes, g->slots.main_loads, g->slots.main_stores, g->nest->rank);
    c.body.inner = c.inner;
    body_plan_levels(g, &c.body);
    c.width = g->gpu ? loop_gpu_width(g->ir, g->nest) : body_width(g, &c.body);
    gen_begin(g, index, "main");
    c.extent = gen_slot(g, g->slots.extents + c.inner);
    c.rows = ll_i64(&g->l, 1);
    for (unsigned d = 0; d < c.inner; d++)
        c.rows = ll_mul(&g->l, c.rows, gen_slot(g, g->slots.extents + d));
    body_uniform(g, &c.body);
    if (g->gpu)
        columns_gpu(&c);
    else
        columns_cpu(&c);
    gen_end(g);
    join_emit(g, index);
}
