/*
 * LANES nests: reductions whose sequence ends with the innermost axis. The tree is fixed (src/ir/ir.h): blocks of
 * TREE_BLOCK elements; within one, element i goes to lane i mod `lanes`; lanes are joined by halving.
 *
 * A worker (a CPU thread, a warp) takes one block of one kept element at a time. It holds the lanes in vectors of
 * `width`: on the CPU all of them, vector v holding lanes v * width and up; on a GPU each of 32 threads holds
 * lanes / 32, vector v of thread t holding v * 32 * width + t * width and up. So loads of a warp lie side by side.
 *
 * In a kernel of rows (rows.c) there is one row for all warps of a block, so as many of them as there are lanes for share a block of the
 * tree, a lane a thread.
 *
 * Partial results lie in memory as [kept][blocks]; the join step (join.c) takes them from there.
 */
#include "gen.h"

enum { WARP = 32, UNROLL_BUDGET = 160 };

struct lanes {
    struct gen *g;
    struct body body;
    unsigned width, n_vectors, n_reduces;
    val thread;        /* of the warp, or of those that share a block; GPU */
    unsigned workers;  /* how many of those there are; 1 on the CPU */
    val start, length; /* of the block: first element of the sequence, number of elements */
    val *acc;          /* [reduce * n_vectors + vector] */
    val *memory;       /* per reduce: room for the lanes of this worker */
};

static const struct loop_reduce *reduce_at(const struct lanes *s, unsigned r)
{
    return &s->g->nest->reduces.at[r];
}

static val *acc_at(struct lanes *s, unsigned r, unsigned v)
{
    return &s->acc[r * s->n_vectors + v];
}

/* The element of the block that lane `k` (counted within this worker) meets first. */
static val first_of_lane(struct lanes *s, val k)
{
    struct ll *l = &s->g->l;
    if (!s->g->gpu)
        return k;
    val width = ll_i64(l, s->width);
    val vector = ll_mul(l, ll_div(l, k, width), ll_i64(l, s->workers * s->width));
    return ll_add(l, vector, ll_add(l, ll_mul(l, s->thread, width), ll_rem(l, k, width)));
}

static void step(struct lanes *s, const struct where *where, unsigned w)
{
    body_lanes(s->g, &s->body, where, w);
    body_stores(s->g, &s->body, where);
    for (unsigned r = 0; r < s->n_reduces; r++)
        gen_raise(s->g, body_fault_of(s->g, &s->body, reduce_at(s, r)->operand));
}

/* Computes w elements from position `at + plus` of the block. */
static void compute(struct lanes *s, val at, unsigned plus, unsigned w)
{
    struct gen *g = s->g;
    struct where where = {.inner = ll_add(&g->l, s->start, at), .plus = plus};
    if (!(g->variant->flags & VARIANT_FLAT))
        where.sequence = ll_add(&g->l, where.inner, ll_i64(&g->l, plus));
    if (g->row)
        where.position = ll_add(&g->l, where.inner, ll_i64(&g->l, plus));
    step(s, &where, w);
}

static val operand(struct lanes *s, unsigned r)
{
    return body_value(s->g, &s->body, reduce_at(s, r)->operand);
}

/* ---- lanes in memory ---- */

static val memory_at(struct lanes *s, unsigned r, val k)
{
    enum dtype t = reduce_dtype(s->g, reduce_at(s, r));
    return ll_offset(&s->g->l, s->memory[r], ll_mul(&s->g->l, k, ll_i64(&s->g->l, type_table[t].size)));
}

static val load_lanes(struct lanes *s, unsigned r, val k, unsigned w)
{
    enum dtype t = reduce_dtype(s->g, reduce_at(s, r));
    val raw = LLVMBuildLoad2(s->g->l.b, ll_vec(gen_memory_type(s->g, t), w), memory_at(s, r, k), "");
    LLVMSetAlignment(raw, type_table[t].size);
    return gen_from_memory(s->g, raw, t);
}

static void store_lanes(struct lanes *s, unsigned r, val k, val v)
{
    enum dtype t = reduce_dtype(s->g, reduce_at(s, r));
    val st = LLVMBuildStore(s->g->l.b, gen_to_memory(s->g, v, t), memory_at(s, r, k));
    LLVMSetAlignment(st, type_table[t].size);
}

static void spill(struct lanes *s)
{
    for (unsigned r = 0; r < s->n_reduces; r++)
        for (unsigned v = 0; v < s->n_vectors; v++)
            store_lanes(s, r, ll_i64(&s->g->l, v * s->width), *acc_at(s, r, v));
}

static void reload(struct lanes *s)
{
    for (unsigned r = 0; r < s->n_reduces; r++)
        for (unsigned v = 0; v < s->n_vectors; v++)
            *acc_at(s, r, v) = load_lanes(s, r, ll_i64(&s->g->l, v * s->width), s->width);
}

/* Elements at..at + w of the block into the lanes in memory from k on. */
static void into_memory(struct lanes *s, val at, val k, unsigned w)
{
    compute(s, at, 0, w);
    for (unsigned r = 0; r < s->n_reduces; r++)
        store_lanes(s, r, k, reduce_combine(s->g, reduce_at(s, r), load_lanes(s, r, k, w), operand(s, r)));
}

/* ---- the block ---- */

static void start_lanes(struct lanes *s)
{
    for (unsigned r = 0; r < s->n_reduces; r++)
        for (unsigned v = 0; v < s->n_vectors; v++)
            *acc_at(s, r, v) = ll_splat(&s->g->l, reduce_identity(s->g, reduce_at(s, r)), s->width);
}

static void compute_row(struct lanes *s, val row)
{
    struct ll *l = &s->g->l;
    val first = ll_mul(l, row, ll_i64(l, s->g->nest->lanes));
    if (s->g->gpu)
        first = ll_add(l, first, ll_mul(l, s->thread, ll_i64(l, s->width)));
    s->g->turn.width = s->width * s->n_vectors;
    for (unsigned v = 0; v < s->n_vectors; v++) {
        s->g->turn.at = v * s->width;
        compute(s, first, v * s->workers * s->width, s->width);
        for (unsigned r = 0; r < s->n_reduces; r++)
            *acc_at(s, r, v) = reduce_combine(s->g, reduce_at(s, r), *acc_at(s, r, v), operand(s, r));
    }
    s->g->turn.width = s->g->turn.at = 0;
}

/* Rows from..to with the lanes in registers, `unroll` rows a turn. Returns where it stopped. */
static val rows_in_registers(struct lanes *s, val from, val to, unsigned unroll)
{
    struct gen *g = s->g;
    struct ll *l = &g->l;
    unsigned n = s->n_reduces * s->n_vectors;
    block here = ll_here(l), head = ll_block(l, "rows"), body = ll_block(l, "row"), done = ll_block(l, "rows_done");
    val *phi = arena_array(g->arena, val, n + 1);
    ll_br(l, head);
    ll_at(l, head);
    val row = ll_phi(l, l->i64, from, here);
    for (unsigned i = 0; i < n; i++)
        phi[i] = s->acc[i] = ll_phi(l, LLVMTypeOf(s->acc[i]), s->acc[i], here);
    ll_cond(l, ll_le(l, ll_add(l, row, ll_i64(l, unroll)), to), body, done);
    ll_at(l, body);
    for (unsigned u = 0; u < unroll; u++)
        compute_row(s, ll_add(l, row, ll_i64(l, u)));
    ll_phi_add(row, ll_add(l, row, ll_i64(l, unroll)), ll_here(l));
    for (unsigned i = 0; i < n; i++) {
        ll_phi_add(phi[i], s->acc[i], ll_here(l));
        s->acc[i] = phi[i];
    }
    ll_br(l, head);
    ll_at(l, done);
    return row;
}

/* One kept element has one unfinished block, if any: going through it one by one costs no time, and less code. */
static bool reduces_everything(const struct gen *g)
{
    for (unsigned d = 0; d < g->nest->n_kept; d++)
        if (g->nest->dim[d] != 0)
            return false;
    return true;
}

/* What is left of a block after `done` elements, fewer than one row of lanes; lanes in memory. */
static void tail_cpu(struct lanes *s, val done)
{
    unsigned w = reduces_everything(s->g) ? 1 : s->width;
    struct ll *l = &s->g->l;
    val left = ll_sub(l, s->length, done);
    val wide = ll_sub(l, left, ll_rem(l, left, ll_i64(l, w)));
    if (w > 1) {
        struct loop loop = gen_loop(s->g, ll_i64(l, 0), wide);
        into_memory(s, ll_add(l, done, loop.i), loop.i, w);
        gen_loop_end(s->g, &loop, ll_i64(l, w));
    }
    struct loop loop = gen_loop(s->g, w > 1 ? wide : ll_i64(l, 0), left);
    into_memory(s, ll_add(l, done, loop.i), loop.i, 1);
    gen_loop_end(s->g, &loop, ll_i64(l, 1));
}

static void tail_gpu(struct lanes *s, val done)
{
    struct ll *l = &s->g->l;
    struct loop loop = gen_loop(s->g, ll_i64(l, 0), ll_i64(l, s->width * s->n_vectors));
    val at = ll_add(l, done, first_of_lane(s, loop.i));
    struct branch in = gen_if(s->g, ll_lt(l, at, s->length));
    into_memory(s, at, loop.i, 1);
    gen_if_end(s->g, &in);
    gen_loop_end(s->g, &loop, ll_i64(l, 1));
}

/* After the branch lanes come from either side. */
static void tail(struct lanes *s, val done)
{
    struct gen *g = s->g;
    struct ll *l = &g->l;
    unsigned n = s->n_reduces * s->n_vectors;
    val *kept = arena_array(g->arena, val, n + 1);
    memcpy(kept, s->acc, n * sizeof *kept);
    block here = ll_here(l);
    struct branch rest = gen_if(g, ll_lt(l, done, s->length));
    spill(s);
    if (g->gpu)
        tail_gpu(s, done);
    else
        tail_cpu(s, done);
    reload(s);
    block from = ll_here(l);
    gen_if_end(g, &rest);
    for (unsigned i = 0; i < n; i++) {
        val phi = ll_phi(l, LLVMTypeOf(kept[i]), kept[i], here);
        ll_phi_add(phi, s->acc[i], from);
        s->acc[i] = phi;
    }
}

static void combine_in_memory(struct lanes *s, unsigned r, val k, val v, unsigned w)
{
    store_lanes(s, r, k, reduce_combine(s->g, reduce_at(s, r), load_lanes(s, r, k, w), v));
}

/* `count` elements of the block from `at` on, w or fewer, into the lanes in memory. */
static void partly_into_memory(struct lanes *s, val at, val count, val lane)
{
    struct gen *g = s->g;
    struct ll *l = &g->l;
    struct partial part;
    val *v = arena_array(g->arena, val, s->n_reduces + 1);
    struct where where = {.inner = partial_begin(g, &part, &s->body, ll_add(l, s->start, at), count, s->width)};
    step(s, &where, s->width);
    for (unsigned r = 0; r < s->n_reduces; r++)
        v[r] = operand(s, r);
    partial_end(g, &part);
    block whole = ll_block(l, "whole"), some = ll_block(l, "some"), done = ll_block(l, "combined");
    ll_cond(l, part.whole, whole, some);
    ll_at(l, whole);
    for (unsigned r = 0; r < s->n_reduces; r++)
        combine_in_memory(s, r, lane, v[r], s->width);
    ll_br(l, done);
    ll_at(l, some);
    for (unsigned r = 0; r < s->n_reduces; r++) {
        enum dtype t = reduce_dtype(g, reduce_at(s, r));
        val memory = gen_lay_down(g, v[r], t);
        struct loop loop = gen_loop(g, ll_i64(l, 0), count);
        combine_in_memory(s, r, ll_add(l, lane, loop.i), gen_take_up(g, memory, loop.i, t), 1);
        gen_loop_end(g, &loop, ll_i64(l, 1));
    }
    ll_br(l, done);
    ll_at(l, done);
}

/* Costly bodies: the body emitted once, lanes in memory throughout (CPU). */
static void block_in_memory(struct lanes *s)
{
    struct gen *g = s->g;
    struct ll *l = &g->l;
    spill(s);
    val w = ll_i64(l, s->width), lanes = ll_i64(l, g->nest->lanes - 1);
    struct loop loop = gen_loop(g, ll_i64(l, 0), s->length);
    partly_into_memory(s, loop.i, ll_min(l, w, ll_sub(l, s->length, loop.i)), LLVMBuildAnd(l->b, loop.i, lanes, ""));
    gen_loop_end(g, &loop, w);
    reload(s);
}

/* The same where the sequence runs over several rows: their ends are met inside a vector. */
static void block_of_rows_in_memory(struct lanes *s)
{
    struct gen *g = s->g;
    struct ll *l = &g->l;
    spill(s);
    val w = ll_i64(l, s->width), wide = ll_sub(l, s->length, ll_rem(l, s->length, w));
    val lanes = ll_i64(l, g->nest->lanes - 1);
    struct loop loop = gen_loop(g, ll_i64(l, 0), wide);
    into_memory(s, loop.i, LLVMBuildAnd(l->b, loop.i, lanes, ""), s->width);
    gen_loop_end(g, &loop, w);
    struct loop rest = gen_loop(g, wide, s->length);
    into_memory(s, rest.i, LLVMBuildAnd(l->b, rest.i, lanes, ""), 1);
    gen_loop_end(g, &rest, ll_i64(l, 1));
    reload(s);
}

/* Rows of lanes whose loads are under way at once. */
static unsigned unrolled(const struct lanes *s)
{
    unsigned cost = body_cost(s->g, &s->body) * s->n_vectors;
    if (s->g->row)
        return cost <= 12 ? 8 : cost <= 24 ? 4 : 2;
    return s->g->gpu && cost <= 24 ? 4 : 1;
}

static void block_in_registers(struct lanes *s)
{
    struct gen *g = s->g;
    struct ll *l = &g->l;
    unsigned unroll = unrolled(s);
    val lanes = ll_i64(l, g->nest->lanes), full = ll_div(l, s->length, lanes);
    val row = ll_i64(l, 0);
    if (unroll > 1)
        row = rows_in_registers(s, row, full, unroll);
    rows_in_registers(s, row, full, 1);
    tail(s, ll_mul(l, full, lanes));
}

static void halve_vectors(struct lanes *s, unsigned r)
{
    for (unsigned n = s->n_vectors / 2; n >= 1; n /= 2)
        for (unsigned v = 0; v < n; v++)
            *acc_at(s, r, v) = reduce_combine(s->g, reduce_at(s, r), *acc_at(s, r, v), *acc_at(s, r, v + n));
}

/* One number out of this worker's lanes; on a GPU, right in thread 0. */
static val tree(struct lanes *s, unsigned r)
{
    struct gen *g = s->g;
    const struct loop_reduce *red = reduce_at(s, r);
    halve_vectors(s, r);
    val v = *acc_at(s, r, 0);
    if (g->gpu)
        for (unsigned mask = WARP / 2; mask >= 1; mask /= 2)
            v = reduce_combine(g, red, v, gpu_shuffle_xor(g, v, mask, reduce_dtype(g, red)));
    for (unsigned w = s->width / 2; w >= 1; w /= 2)
        v = reduce_combine(g, red, ll_part(&g->l, v, 0, w), ll_part(&g->l, v, w, w));
    return v;
}

static void store_partial(struct lanes *s, unsigned r, val item, val v)
{
    struct gen *g = s->g;
    enum dtype t = reduce_dtype(g, reduce_at(s, r));
    val at = ll_offset(&g->l, gen_slot_ptr(g, g->slots.partials + r), ll_mul(&g->l, item, ll_i64(&g->l, type_table[t].size)));
    val st = LLVMBuildStore(g->l.b, gen_to_memory(g, v, t), at);
    LLVMSetAlignment(st, type_table[t].size);
}

/* Its elements, into the lanes. */
static void walk_block(struct lanes *s, val item)
{
    struct gen *g = s->g;
    struct ll *l = &g->l;
    val blocks = gen_slot(g, g->slots.blocks), kept = ll_div(l, item, blocks), block_of = ll_rem(l, item, blocks);
    s->start = ll_mul(l, block_of, ll_i64(l, TREE_BLOCK));
    s->length = ll_min(l, ll_i64(l, TREE_BLOCK), ll_sub(l, gen_slot(g, g->slots.length), s->start));
    body_rows(g, &s->body, kept, 0, g->nest->n_kept, true);
    body_row_values(g, &s->body);
    start_lanes(s);
    if (!g->gpu && body_cost(g, &s->body) * s->n_vectors > UNROLL_BUDGET)
        ((g->variant->flags & VARIANT_FLAT) && !body_has_places(&s->body) ? block_in_memory : block_of_rows_in_memory)(s);
    else
        block_in_registers(s);
}

static void one_item(struct lanes *s, val item)
{
    struct gen *g = s->g;
    struct ll *l = &g->l;
    walk_block(s, item);
    for (unsigned r = 0; r < s->n_reduces; r++) {
        val v = tree(s, r);
        if (g->gpu) {
            struct branch first = gen_if(g, ll_eq(l, s->thread, ll_i64(l, 0)));
            store_partial(s, r, item, v);
            gen_if_end(g, &first);
        } else {
            store_partial(s, r, item, v);
        }
    }
}

/* ---- in a kernel of rows ---- */

static val scratch_at(struct lanes *s, val thread)
{
    val bytes = ll_mul(&s->g->l, thread, ll_i64(&s->g->l, 8));
    return LLVMBuildGEP2(s->g->l.b, s->g->l.i8, s->g->scratch, &bytes, 1, "");
}

/* The lanes of a team, a thread each, joined by its first warp; right in its thread 0. first: the team's first thread of the block. */
static val tree_of_team(struct lanes *s, unsigned r, val first)
{
    struct gen *g = s->g;
    struct ll *l = &g->l;
    const struct loop_reduce *red = reduce_at(s, r);
    enum dtype t = reduce_dtype(g, red);
    unsigned n = s->workers / WARP;
    val *part = arena_array(g->arena, val, n), lane = gpu_thread(g, AXIS_X);
    for (unsigned k = 0; k < n; k++)
        part[k] = gen_from_memory(g, LLVMBuildLoad2(l->b, gen_memory_type(g, t), scratch_at(s, ll_add(l, first, ll_add(l, lane, ll_i64(l, k * WARP)))), ""), t);
    for (n /= 2; n >= 1; n /= 2)
        for (unsigned k = 0; k < n; k++)
            part[k] = reduce_combine(g, red, part[k], part[k + n]);
    for (unsigned mask = WARP / 2; mask >= 1; mask /= 2)
        part[0] = reduce_combine(g, red, part[0], gpu_shuffle_xor(g, part[0], mask, t));
    return part[0];
}

/* The lanes of the block of the tree that this team has, where it has one. */
static void walk_block_if(struct lanes *s, val has_one, val item)
{
    struct ll *l = &s->g->l;
    unsigned n = s->n_reduces;
    val *none = arena_array(s->g->arena, val, n + 1);
    start_lanes(s);
    memcpy(none, s->acc, n * sizeof *none);
    block here = ll_here(l);
    struct branch in = gen_if(s->g, has_one);
    walk_block(s, item);
    block from = ll_here(l);
    gen_if_end(s->g, &in);
    for (unsigned r = 0; r < n; r++) {
        val phi = ll_phi(l, LLVMTypeOf(none[r]), none[r], here);
        ll_phi_add(phi, s->acc[r], from);
        s->acc[r] = phi;
    }
}

/* All threads come to every barrier, those of teams without a block too. */
static void blocks_of_row(struct lanes *s)
{
    struct gen *g = s->g;
    struct ll *l = &g->l;
    val blocks = gen_slot(g, g->slots.blocks), warp = gpu_thread(g, AXIS_Y), each = ll_i64(l, s->workers / WARP), warp_size = ll_i64(l, WARP);
    val team = ll_div(l, warp, each), teams = ll_div(l, gpu_block_size(g, AXIS_Y), each);
    val me = ll_add(l, ll_mul(l, warp, warp_size), gpu_thread(g, AXIS_X)), first = ll_mul(l, team, ll_i64(l, s->workers));
    s->thread = ll_sub(l, me, first);
    struct loop loop = gen_loop(g, ll_i64(l, 0), blocks);
    val own = ll_add(l, loop.i, team), has_one = ll_lt(l, own, blocks), item = ll_add(l, ll_mul(l, g->row, blocks), own);
    val joins = LLVMBuildAnd(l->b, has_one, ll_lt(l, s->thread, warp_size), "");
    walk_block_if(s, has_one, item);
    for (unsigned r = 0; r < s->n_reduces; r++) {
        LLVMBuildStore(l->b, gen_to_memory(g, *acc_at(s, r, 0), reduce_dtype(g, reduce_at(s, r))), scratch_at(s, me));
        gpu_barrier(g);
        struct branch in = gen_if(g, joins);
        val v = tree_of_team(s, r, first);
        struct branch zero = gen_if(g, ll_eq(l, s->thread, ll_i64(l, 0)));
        store_partial(s, r, item, v);
        gen_if_end(g, &zero);
        gen_if_end(g, &in);
        gpu_barrier(g);
    }
    gen_loop_end(g, &loop, teams);
}

static void lanes_main(struct lanes *s)
{
    struct gen *g = s->g;
    struct ll *l = &g->l;
    if (g->row) {
        blocks_of_row(s);
        return;
    }
    if (!g->gpu) {
        struct loop loop = gen_loop(g, g->begin, g->end);
        one_item(s, loop.i);
        gen_loop_end(g, &loop, ll_i64(l, 1));
        return;
    }
    val id = ll_add(l, ll_mul(l, gpu_block(g, AXIS_X), gpu_block_size(g, AXIS_X)), gpu_thread(g, AXIS_X));
    val item = ll_div(l, id, ll_i64(l, WARP));
    s->thread = ll_rem(l, id, ll_i64(l, WARP));
    struct branch in = gen_if(g, ll_lt(l, item, ll_mul(l, gen_slot(g, g->slots.kept), gen_slot(g, g->slots.blocks))));
    one_item(s, item);
    gen_if_end(g, &in);
}

static unsigned at_most(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

void lanes_emit(struct gen *g, unsigned index)
{
    struct lanes s = {.g = g, .n_reduces = g->nest->reduces.n};
    body_init(g, &s.body, &g->nest->main, g->variant->classes, g->slots.main_loads, g->slots.main_stores, g->nest->rank);
    body_plan_levels(g, &s.body);
    s.width = g->row ? 1 : g->gpu ? loop_gpu_width(g->ir, g->nest) : at_most(body_width(g, &s.body), g->nest->lanes);
    s.workers = g->row ? g->nest->lanes : g->gpu ? WARP : 1;
    s.n_vectors = g->nest->lanes / s.workers / s.width;
    s.acc = arena_array(g->arena, val, s.n_reduces * s.n_vectors + 1);
    s.memory = arena_array(g->arena, val, s.n_reduces + 1);
    gen_begin(g, index, "main");
    for (unsigned r = 0; r < s.n_reduces; r++)
        s.memory[r] = gen_alloca(g, gen_memory_type(g, reduce_dtype(g, reduce_at(&s, r))), s.width * s.n_vectors);
    body_uniform(g, &s.body);
    lanes_main(&s);
    gen_end(g);
    join_emit(g, index);
}
