/*
 * The join step of a reducing nest: partial results of the blocks become one value per kept element, then the
 * epilogue computes and stores what follows from it.
 *
 * LANES: partials [kept][blocks], over TREE_JOIN_LANES lanes, by halving. Lanes that no partial reaches would hold the
 * identity, which changes no bit: they are left out. On a GPU a row of threads of one block takes a kept element, a
 * lane each; in a kernel of rows, a warp.
 * COLUMNS: partials [blocks][kept], folded in order in chunks of TREE_CHUNK, level upon level.
 */
#include "gen.h"

enum { FOLD_LEVELS = 4, CHUNK_LOG = 8 };

struct join {
    struct gen *g;
    struct body body;
    unsigned n;
};

static const struct loop_reduce *reduce_at(const struct join *j, unsigned r)
{
    return &j->g->nest->reduces.at[r];
}

static val element(struct join *j, val base, unsigned r, val index)
{
    enum dtype t = reduce_dtype(j->g, reduce_at(j, r));
    return ll_offset(&j->g->l, base, ll_mul(&j->g->l, index, ll_i64(&j->g->l, type_table[t].size)));
}

static val load(struct join *j, val base, unsigned r, val index)
{
    enum dtype t = reduce_dtype(j->g, reduce_at(j, r));
    val raw = LLVMBuildLoad2(j->g->l.b, gen_memory_type(j->g, t), element(j, base, r, index), "");
    LLVMSetAlignment(raw, type_table[t].size);
    return gen_from_memory(j->g, raw, t);
}

static void store(struct join *j, val base, unsigned r, val index, val v)
{
    enum dtype t = reduce_dtype(j->g, reduce_at(j, r));
    val st = LLVMBuildStore(j->g->l.b, gen_to_memory(j->g, v, t), element(j, base, r, index));
    LLVMSetAlignment(st, type_table[t].size);
}

static val partials(struct join *j, unsigned r)
{
    return gen_slot_ptr(j->g, j->g->slots.partials + r);
}

/*
 * In place, in one loop nest: pair i gets what lies `away` from it. First whole turns of TREE_JOIN_LANES fold onto the
 * lanes, in order; then the lanes are halved. Where nothing lies that far there is nothing to do, as with identities.
 */
static val join_lanes_cpu(struct join *j, unsigned r, val kept)
{
    struct gen *g = j->g;
    struct ll *l = &g->l;
    val blocks = gen_slot(g, g->slots.blocks), zero = ll_i64(l, 0), turn = ll_i64(l, TREE_JOIN_LANES), half_turn = ll_i64(l, TREE_JOIN_LANES / 2);
    val base = element(j, partials(j, r), r, ll_mul(l, kept, blocks));
    block before = ll_here(l), head = ll_block(l, "turns"), body = ll_block(l, "turn"), done = ll_block(l, "joined");
    val first = ll_select(l, ll_eq(l, blocks, ll_i64(l, 1)), zero, ll_select(l, ll_lt(l, turn, blocks), turn, half_turn));
    ll_br(l, head);
    ll_at(l, head);
    val away = ll_phi(l, l->i64, first, before);
    ll_cond(l, ll_lt(l, zero, away), body, done);
    ll_at(l, body);
    struct loop pair = gen_loop(g, zero, ll_min(l, ll_min(l, away, turn), ll_sub(l, blocks, away)));
    val other = load(j, base, r, ll_add(l, pair.i, away));
    store(j, base, r, pair.i, reduce_combine(g, reduce_at(j, r), load(j, base, r, pair.i), other));
    gen_loop_end(g, &pair, ll_i64(l, 1));
    val further = ll_add(l, away, turn);
    val next = ll_select(l, ll_lt(l, further, blocks), further, half_turn);
    ll_phi_add(away, ll_select(l, ll_lt(l, away, turn), ll_div(l, away, ll_i64(l, 2)), next), ll_here(l));
    ll_br(l, head);
    ll_at(l, done);
    return load(j, base, r, zero);
}

/* The chunk results of a column, folded again in chunks: acc[0] runs over partials, acc[k + 1] over full acc[k]. */
static val join_columns(struct join *j, unsigned r, val kept)
{
    struct gen *g = j->g;
    struct ll *l = &g->l;
    const struct loop_reduce *red = reduce_at(j, r);
    val identity = reduce_identity(g, red), acc[FOLD_LEVELS], next[FOLD_LEVELS];
    val blocks = gen_slot(g, g->slots.blocks), n_kept = gen_slot(g, g->slots.kept);
    block here = ll_here(l);
    struct loop loop = gen_loop(g, ll_i64(l, 0), blocks);
    LLVMPositionBuilderBefore(l->b, LLVMGetFirstInstruction(loop.head));
    for (unsigned k = 0; k < FOLD_LEVELS; k++)
        acc[k] = ll_phi(l, LLVMTypeOf(identity), identity, here);
    ll_at(l, loop.body);
    val partial = load(j, partials(j, r), r, ll_add(l, ll_mul(l, loop.i, n_kept), kept));
    next[0] = reduce_combine(g, red, acc[0], partial);
    val count = ll_add(l, loop.i, ll_i64(l, 1));
    for (unsigned k = 0; k + 1 < FOLD_LEVELS; k++) {
        int64_t span = INT64_C(1) << (CHUNK_LOG * (k + 1));
        val full = ll_eq(l, LLVMBuildAnd(l->b, count, ll_i64(l, span - 1), ""), ll_i64(l, 0));
        next[k + 1] = ll_select(l, full, reduce_combine(g, red, acc[k + 1], next[k]), acc[k + 1]);
        next[k] = ll_select(l, full, identity, next[k]);
    }
    for (unsigned k = 0; k < FOLD_LEVELS; k++)
        ll_phi_add(acc[k], next[k], ll_here(l));
    gen_loop_end(g, &loop, ll_i64(l, 1));
    val v = acc[0];
    for (unsigned k = 1; k < FOLD_LEVELS; k++)
        v = reduce_combine(g, red, acc[k], v);
    return v;
}

static void epilogue(struct join *j, val kept, const val *values)
{
    struct gen *g = j->g;
    struct where where = {.inner = ll_i64(&g->l, 0)};
    for (unsigned r = 0; r < j->n; r++)
        body_bind(&j->body, reduce_at(j, r)->value, reduce_finish(g, reduce_at(j, r), values[r]));
    body_rows(g, &j->body, kept, 0, g->nest->n_kept, true);
    body_row_values(g, &j->body);
    body_lanes(g, &j->body, &where, 1);
    body_stores(g, &j->body, &where);
}

static void join_cpu(struct join *j)
{
    struct gen *g = j->g;
    val *values = arena_array(g->arena, val, j->n + 1);
    struct loop loop = gen_loop(g, g->begin, g->end);
    for (unsigned r = 0; r < j->n; r++)
        values[r] = g->nest->kind == NEST_LANES ? join_lanes_cpu(j, r, loop.i) : join_columns(j, r, loop.i);
    epilogue(j, loop.i, values);
    gen_loop_end(g, &loop, ll_i64(&g->l, 1));
}

/* ---- GPU ---- */

static val shared_at(struct join *j, val shared, unsigned r, val index)
{
    enum dtype t = reduce_dtype(j->g, reduce_at(j, r));
    val bytes = ll_mul(&j->g->l, index, ll_i64(&j->g->l, type_table[t].size));
    return LLVMBuildGEP2(j->g->l.b, j->g->l.i8, shared, &bytes, 1, "");
}

static val shared_load(struct join *j, val shared, unsigned r, val index)
{
    enum dtype t = reduce_dtype(j->g, reduce_at(j, r));
    return gen_from_memory(j->g, LLVMBuildLoad2(j->g->l.b, gen_memory_type(j->g, t), shared_at(j, shared, r, index), ""), t);
}

static void shared_store(struct join *j, val shared, unsigned r, val index, val v)
{
    enum dtype t = reduce_dtype(j->g, reduce_at(j, r));
    LLVMBuildStore(j->g->l.b, gen_to_memory(j->g, v, t), shared_at(j, shared, r, index));
}

/* This thread's lane: partials lane, lane + lanes, ... in order, several loads under way at once. */
static val own_lane(struct join *j, unsigned r, val kept, val lane, val lanes, val inside)
{
    enum { UNROLL = 8 };
    struct gen *g = j->g;
    struct ll *l = &g->l;
    const struct loop_reduce *red = reduce_at(j, r);
    val blocks = gen_slot(g, g->slots.blocks), base = ll_mul(l, kept, blocks), identity = reduce_identity(g, red);
    val limit = ll_select(l, inside, blocks, ll_i64(l, 0)), acc = identity, at = lane;
    for (unsigned pass = 0; pass < 2; pass++) {
        unsigned unroll = pass == 0 ? UNROLL : 1;
        block here = ll_here(l), head = ll_block(l, "take"), body = ll_block(l, "taking"), done = ll_block(l, "taken");
        ll_br(l, head);
        ll_at(l, head);
        val i = ll_phi(l, l->i64, at, here), sum = ll_phi(l, LLVMTypeOf(identity), acc, here);
        ll_cond(l, ll_lt(l, ll_add(l, i, ll_mul(l, lanes, ll_i64(l, unroll - 1))), limit), body, done);
        ll_at(l, body);
        val got[UNROLL], next = sum, p = i;
        for (unsigned u = 0; u < unroll; u++, p = ll_add(l, p, lanes))
            got[u] = load(j, partials(j, r), r, ll_add(l, base, p));
        for (unsigned u = 0; u < unroll; u++)
            next = reduce_combine(g, red, next, got[u]);
        ll_phi_add(i, p, ll_here(l));
        ll_phi_add(sum, next, ll_here(l));
        ll_br(l, head);
        ll_at(l, done);
        acc = sum;
        at = i;
    }
    return acc;
}

static val join_lanes_gpu(struct join *j, unsigned r, val kept, val inside, val shared)
{
    struct gen *g = j->g;
    struct ll *l = &g->l;
    val lane = gpu_thread(g, AXIS_X), lanes = gpu_block_size(g, AXIS_X), zero = ll_i64(l, 0);
    val row = ll_mul(l, gpu_thread(g, AXIS_Y), lanes), mine = ll_add(l, row, lane);
    val v = own_lane(j, r, kept, lane, lanes, inside);
    gpu_barrier(g);
    shared_store(j, shared, r, mine, v);
    gpu_barrier(g);
    val first = ll_div(l, lanes, ll_i64(l, 2));
    block here = ll_here(l), head = ll_block(l, "halve"), body = ll_block(l, "halve_body"), done = ll_block(l, "halved");
    ll_br(l, head);
    ll_at(l, head);
    val half = ll_phi(l, l->i64, first, here);
    ll_cond(l, ll_lt(l, zero, half), body, done);
    ll_at(l, body);
    struct branch in = gen_if(g, ll_lt(l, lane, half));
    val other = shared_load(j, shared, r, ll_add(l, mine, half));
    shared_store(j, shared, r, mine, reduce_combine(g, reduce_at(j, r), shared_load(j, shared, r, mine), other));
    gen_if_end(g, &in);
    gpu_barrier(g);
    ll_phi_add(half, ll_div(l, half, ll_i64(l, 2)), ll_here(l));
    ll_br(l, head);
    ll_at(l, done);
    return shared_load(j, shared, r, row);
}

/* In a kernel of rows a warp does it, a lane for each block of the row: there are no more of them. */
static void join_row(struct join *j)
{
    enum { WARP = LOOP_ROW_BLOCKS };
    struct gen *g = j->g;
    struct ll *l = &g->l;
    val *values = arena_array(g->arena, val, j->n + 1), lane = gpu_thread(g, AXIS_X), zero = ll_i64(l, 0);
    struct branch warp = gen_if(g, ll_eq(l, gpu_thread(g, AXIS_Y), zero));
    for (unsigned r = 0; r < j->n; r++) {
        const struct loop_reduce *red = reduce_at(j, r);
        values[r] = own_lane(j, r, g->row, lane, ll_i64(l, WARP), LLVMConstInt(l->i1, 1, 0));
        for (unsigned mask = WARP / 2; mask >= 1; mask /= 2)
            values[r] = reduce_combine(g, red, values[r], gpu_shuffle_xor(g, values[r], mask, reduce_dtype(g, red)));
    }
    struct branch first = gen_if(g, ll_eq(l, lane, zero));
    epilogue(j, g->row, values);
    gen_if_end(g, &first);
    gen_if_end(g, &warp);
    gpu_barrier(g);
}

static void join_gpu(struct join *j)
{
    struct gen *g = j->g;
    struct ll *l = &g->l;
    bool lanes = g->nest->kind == NEST_LANES;
    val *values = arena_array(g->arena, val, j->n + 1), shared = lanes ? gpu_shared(g, l->i64, TREE_JOIN_LANES) : NULL;
    val per_block = lanes ? gpu_block_size(g, AXIS_Y) : gpu_block_size(g, AXIS_X);
    val within = lanes ? gpu_thread(g, AXIS_Y) : gpu_thread(g, AXIS_X);
    val kept = ll_add(l, ll_mul(l, gpu_block(g, AXIS_X), per_block), within);
    val inside = ll_lt(l, kept, gen_slot(g, g->slots.kept));
    if (lanes) {
        for (unsigned r = 0; r < j->n; r++)
            values[r] = join_lanes_gpu(j, r, kept, inside, shared);
        inside = LLVMBuildAnd(l->b, inside, ll_eq(l, gpu_thread(g, AXIS_X), ll_i64(l, 0)), "");
    }
    struct branch in = gen_if(g, inside);
    for (unsigned r = 0; !lanes && r < j->n; r++)
        values[r] = join_columns(j, r, kept);
    epilogue(j, kept, values);
    gen_if_end(g, &in);
}

void join_emit(struct gen *g, unsigned index)
{
    struct join j = {.g = g, .n = g->nest->reduces.n};
    const uint8_t *classes = g->variant->classes + g->nest->main.loads.n + g->nest->main.stores.n;
    body_init(g, &j.body, &g->nest->epilogue, classes, g->slots.epilogue_loads, g->slots.epilogue_stores, g->nest->n_kept);
    for (unsigned r = 0; r < j.n; r++)
        body_bind(&j.body, reduce_at(&j, r)->value, NULL);
    for (uint32_t i = 0; i < j.body.n_loads; i++)
        if (j.body.loads[i].cls > CLASS_UNIFORM)
            j.body.loads[i].cls = CLASS_ROW;
    for (uint32_t i = 0; i < j.body.n_stores; i++)
        j.body.stores[i].cls = CLASS_ROW;
    body_plan_levels(g, &j.body);
    gen_begin(g, index, "join");
    body_uniform(g, &j.body);
    if (g->row)
        join_row(&j);
    else if (g->gpu)
        join_gpu(&j);
    else
        join_cpu(&j);
    gen_end(g);
}
