/*
 * SCAN nests: what the elements along an axis come to up to each of them, by the scheme of src/ir/ir.h (SCAN_WAYS).
 *
 * A block of the sequence lies in memory of the worker's own (a CPU thread, a block of threads on a GPU): its elements are computed there, chunks
 * are gone through one element after another, then the results of chunks, then those of groups. Three steps, of which the first
 * two are for sequences of several blocks: `totals` gives what each block comes to, `join` scans these in place, `main` computes the
 * elements once more and stores what they come to. Totals lie in memory as [kept][blocks].
 *
 * Merrill and Garland (Single-pass Parallel Prefix Scan with Decoupled Look-back, 2016) read the elements once; what a block finds of the ones
 * before it then hangs on time, and so do the bits.
 */
#include "gen.h"

enum { CHUNK = SCAN_WAYS, CHUNKS = TREE_BLOCK / CHUNK, GROUPS = CHUNKS / SCAN_WAYS, THREADS = CHUNKS, UNROLL = 4, UNROLLED_COST = 24 };

struct scan {
    struct gen *g;
    struct body body;
    const struct loop_reduce *reduce;
    enum dtype dtype;
    val elements, chunks, groups; /* of the block: what is in it; per chunk and group what is before it */
    val start, n;                 /* first element of the sequence, how many */
    val totals;                   /* the block is one of totals, from this index on; or NULL */
    unsigned width;               /* CPU */
};

static val combine(struct scan *s, val a, val b)
{
    return reduce_combine(s->g, s->reduce, a, b);
}

static val identity(struct scan *s)
{
    return reduce_identity(s->g, s->reduce);
}

/* ---- memory ---- */

static val at(struct scan *s, val memory, val k)
{
    return ll_offset(&s->g->l, memory, ll_mul(&s->g->l, k, ll_i64(&s->g->l, type_table[s->dtype].size)));
}

static val take(struct scan *s, val memory, val k, unsigned w)
{
    val raw = LLVMBuildLoad2(s->g->l.b, ll_vec(gen_memory_type(s->g, s->dtype), w), at(s, memory, k), "");
    LLVMSetAlignment(raw, type_table[s->dtype].size);
    return gen_from_memory(s->g, raw, s->dtype);
}

static void put(struct scan *s, val memory, val k, val v)
{
    val st = LLVMBuildStore(s->g->l.b, gen_to_memory(s->g, v, s->dtype), at(s, memory, k));
    LLVMSetAlignment(st, type_table[s->dtype].size);
}

static val room(struct scan *s, unsigned n)
{
    type t = gen_memory_type(s->g, s->dtype);
    return s->g->gpu ? gpu_shared(s->g, t, n) : gen_alloca(s->g, t, n);
}

/* Threads that each go through a chunk meet other banks of shared memory. */
static val padded(struct scan *s, val i)
{
    return s->g->gpu ? ll_add(&s->g->l, i, ll_div(&s->g->l, i, ll_i64(&s->g->l, CHUNK))) : i;
}

static val totals(struct scan *s)
{
    return gen_slot_ptr(s->g, s->g->slots.partials);
}

/* ---- one after another ---- */

/* `count` elements in place, with or without what each is itself; returns what they come to. Counted from 0: of a loop from an address of
 * the thread's own to 16 after it, in bytes, ptxas 13.0 makes one that takes 21 more (sm_90). */
static val in_order(struct scan *s, val memory, val from, val count, bool with_own)
{
    struct gen *g = s->g;
    struct ll *l = &g->l;
    val none = identity(s);
    block here = ll_here(l);
    struct loop loop = gen_loop(g, ll_i64(l, 0), count);
    LLVMPositionBuilderBefore(l->b, LLVMGetFirstInstruction(loop.head));
    val before = ll_phi(l, LLVMTypeOf(none), none, here);
    ll_at(l, loop.body);
    val k = ll_add(l, from, loop.i), all = combine(s, before, take(s, memory, k, 1));
    put(s, memory, k, with_own ? all : before);
    ll_phi_add(before, all, ll_here(l));
    gen_loop_end(g, &loop, ll_i64(l, 1));
    return before;
}

/* ---- elements in and out ---- */

static val compute(struct scan *s, val i, unsigned w)
{
    if (s->totals)
        return take(s, totals(s), ll_add(&s->g->l, s->totals, i), w);
    struct where where = {.inner = ll_add(&s->g->l, s->start, i)};
    body_lanes(s->g, &s->body, &where, w);
    gen_raise(s->g, body_fault_of(s->g, &s->body, s->reduce->operand));
    return body_value(s->g, &s->body, s->reduce->operand);
}

static void result(struct scan *s, val i, val v)
{
    struct where where = {.inner = ll_add(&s->g->l, s->start, i)};
    if (s->totals) {
        put(s, totals(s), ll_add(&s->g->l, s->totals, i), v);
        return;
    }
    s->body.w = ll_width(v);
    body_set(&s->body, s->reduce->value, LEVEL_LANE, v, NULL);
    body_stores(s->g, &s->body, &where);
}

static val with_all_before(struct scan *s, val before_block, val group, val chunk, val own)
{
    struct ll *l = &s->g->l;
    unsigned w = ll_width(own);
    val v = combine(s, ll_splat(l, take(s, s->chunks, chunk, 1), w), own);
    v = combine(s, ll_splat(l, take(s, s->groups, group, 1), w), v);
    return combine(s, ll_splat(l, before_block, w), v);
}

/* ---- a block, CPU ---- */

static val at_most(struct scan *s, val most, val from, unsigned step)
{
    return ll_min(&s->g->l, ll_sub(&s->g->l, most, from), ll_i64(&s->g->l, step));
}

static val up(struct scan *s, val n, unsigned by)
{
    return ll_div(&s->g->l, ll_add(&s->g->l, n, ll_i64(&s->g->l, by - 1)), ll_i64(&s->g->l, by));
}

static void fill_cpu(struct scan *s)
{
    struct gen *g = s->g;
    struct ll *l = &g->l;
    val w = ll_i64(l, s->width), whole = ll_sub(l, s->n, ll_rem(l, s->n, w));
    struct loop wide = gen_loop(g, ll_i64(l, 0), whole);
    put(s, s->elements, wide.i, compute(s, wide.i, s->width));
    gen_loop_end(g, &wide, w);
    struct loop rest = gen_loop(g, whole, s->n);
    put(s, s->elements, rest.i, compute(s, rest.i, 1));
    gen_loop_end(g, &rest, ll_i64(l, 1));
}

/* Returns what the block comes to. */
static val walk_cpu(struct scan *s)
{
    struct gen *g = s->g;
    struct ll *l = &g->l;
    val zero = ll_i64(l, 0), one = ll_i64(l, 1), n_chunks = up(s, s->n, CHUNK), n_groups = up(s, n_chunks, SCAN_WAYS);
    fill_cpu(s);
    struct loop chunk = gen_loop(g, zero, n_chunks);
    val from = ll_mul(l, chunk.i, ll_i64(l, CHUNK));
    put(s, s->chunks, chunk.i, in_order(s, s->elements, from, at_most(s, s->n, from, CHUNK), true));
    gen_loop_end(g, &chunk, one);
    struct loop group = gen_loop(g, zero, n_groups);
    from = ll_mul(l, group.i, ll_i64(l, SCAN_WAYS));
    put(s, s->groups, group.i, in_order(s, s->chunks, from, at_most(s, n_chunks, from, SCAN_WAYS), false));
    gen_loop_end(g, &group, one);
    return in_order(s, s->groups, zero, n_groups, false);
}

static void store_some(struct scan *s, val before, val chunk, val from, val to, unsigned w)
{
    struct ll *l = &s->g->l;
    struct loop loop = gen_loop(s->g, from, to);
    result(s, loop.i, with_all_before(s, before, ll_div(l, chunk, ll_i64(l, SCAN_WAYS)), chunk, take(s, s->elements, loop.i, w)));
    gen_loop_end(s->g, &loop, ll_i64(l, w));
}

static void store_cpu(struct scan *s, val before)
{
    struct gen *g = s->g;
    struct ll *l = &g->l;
    struct loop chunk = gen_loop(g, ll_i64(l, 0), up(s, s->n, CHUNK));
    val from = ll_mul(l, chunk.i, ll_i64(l, CHUNK)), to = ll_add(l, from, at_most(s, s->n, from, CHUNK));
    val whole = ll_sub(l, to, ll_rem(l, ll_sub(l, to, from), ll_i64(l, s->width)));
    store_some(s, before, chunk.i, from, whole, s->width);
    store_some(s, before, chunk.i, whole, to, 1);
    gen_loop_end(g, &chunk, ll_i64(l, 1));
}

/* ---- a block, GPU: a thread a chunk, and each an element in every THREADS ---- */

static void fill_whole(struct scan *s)
{
    struct gen *g = s->g;
    struct ll *l = &g->l;
    val thread = gpu_thread(g, AXIS_X), v[UNROLL], i[UNROLL];
    struct loop turn = gen_loop(g, thread, ll_i64(l, TREE_BLOCK));
    for (unsigned u = 0; u < UNROLL; u++) {
        i[u] = ll_add(l, turn.i, ll_i64(l, u * THREADS));
        v[u] = compute(s, i[u], 1);
    }
    for (unsigned u = 0; u < UNROLL; u++)
        put(s, s->elements, padded(s, i[u]), v[u]);
    gen_loop_end(g, &turn, ll_i64(l, UNROLL * THREADS));
}

static void fill_part(struct scan *s)
{
    struct gen *g = s->g;
    struct ll *l = &g->l;
    struct loop turn = gen_loop(g, gpu_thread(g, AXIS_X), ll_i64(l, TREE_BLOCK));
    put(s, s->elements, padded(s, turn.i), identity(s));
    struct branch in = gen_if(g, ll_lt(l, turn.i, s->n));
    put(s, s->elements, padded(s, turn.i), compute(s, turn.i, 1));
    gen_if_end(g, &in);
    gen_loop_end(g, &turn, ll_i64(l, THREADS));
}

static void fill_gpu(struct scan *s)
{
    struct ll *l = &s->g->l;
    if (!s->totals && body_cost(s->g, &s->body) > UNROLLED_COST) {
        fill_part(s);
        return;
    }
    block whole = ll_block(l, "whole"), part = ll_block(l, "part"), done = ll_block(l, "filled");
    ll_cond(l, ll_eq(l, s->n, ll_i64(l, TREE_BLOCK)), whole, part);
    ll_at(l, whole);
    fill_whole(s);
    ll_br(l, done);
    ll_at(l, part);
    fill_part(s);
    ll_br(l, done);
    ll_at(l, done);
}

static val walk_gpu(struct scan *s)
{
    struct gen *g = s->g;
    struct ll *l = &g->l;
    val thread = gpu_thread(g, AXIS_X), ways = ll_i64(l, SCAN_WAYS), own = ll_mul(l, thread, ll_i64(l, CHUNK + 1));
    fill_gpu(s);
    gpu_barrier(g);
    put(s, s->chunks, thread, in_order(s, s->elements, own, ll_i64(l, CHUNK), true));
    gpu_barrier(g);
    struct branch group = gen_if(g, ll_lt(l, thread, ll_i64(l, GROUPS)));
    val from = ll_mul(l, thread, ways);
    put(s, s->groups, thread, in_order(s, s->chunks, from, ways, false));
    gen_if_end(g, &group);
    gpu_barrier(g);
    struct branch first = gen_if(g, ll_eq(l, thread, ll_i64(l, 0)));
    put(s, s->groups, ll_i64(l, GROUPS), in_order(s, s->groups, ll_i64(l, 0), ll_i64(l, GROUPS), false));
    gen_if_end(g, &first);
    gpu_barrier(g);
    return take(s, s->groups, ll_i64(l, GROUPS), 1);
}

static void store_gpu(struct scan *s, val before)
{
    struct gen *g = s->g;
    struct ll *l = &g->l;
    struct loop turn = gen_loop(g, gpu_thread(g, AXIS_X), s->n);
    val chunk = ll_div(l, turn.i, ll_i64(l, CHUNK)), group = ll_div(l, chunk, ll_i64(l, SCAN_WAYS));
    result(s, turn.i, with_all_before(s, before, group, chunk, take(s, s->elements, padded(s, turn.i), 1)));
    gen_loop_end(g, &turn, ll_i64(l, THREADS));
}

static val walk(struct scan *s)
{
    return s->g->gpu ? walk_gpu(s) : walk_cpu(s);
}

static void store(struct scan *s, val before)
{
    if (s->g->gpu)
        store_gpu(s, before);
    else
        store_cpu(s, before);
}

/* ---- the steps ---- */

typedef void item_fn(struct scan *s, val item);

static void begin_item(struct scan *s, val item)
{
    struct gen *g = s->g;
    struct ll *l = &g->l;
    val blocks = gen_slot(g, g->slots.blocks);
    s->start = ll_mul(l, ll_rem(l, item, blocks), ll_i64(l, TREE_BLOCK));
    s->n = ll_min(l, ll_i64(l, TREE_BLOCK), ll_sub(l, gen_slot(g, g->slots.length), s->start));
    body_rows(g, &s->body, ll_div(l, item, blocks), 0, g->nest->n_kept, true);
    body_row_values(g, &s->body);
}

static void totals_of(struct scan *s, val item)
{
    struct gen *g = s->g;
    begin_item(s, item);
    val all = walk(s);
    if (!g->gpu) {
        put(s, totals(s), item, all);
        return;
    }
    struct branch first = gen_if(g, ll_eq(&g->l, gpu_thread(g, AXIS_X), ll_i64(&g->l, 0)));
    put(s, totals(s), item, all);
    gen_if_end(g, &first);
}

static void main_of(struct scan *s, val item)
{
    struct ll *l = &s->g->l;
    begin_item(s, item);
    walk(s);
    val is_first = ll_eq(l, s->start, ll_i64(l, 0)), before = take(s, totals(s), ll_select(l, is_first, item, ll_sub(l, item, ll_i64(l, 1))), 1);
    store(s, ll_select(l, is_first, identity(s), before));
}

/* The totals of one kept element, blocks of them one after another. */
static void join_of(struct scan *s, val kept)
{
    struct gen *g = s->g;
    struct ll *l = &g->l;
    val blocks = gen_slot(g, g->slots.blocks), none = identity(s), first = ll_mul(l, kept, blocks);
    block here = ll_here(l);
    struct loop loop = gen_loop(g, ll_i64(l, 0), blocks);
    LLVMPositionBuilderBefore(l->b, LLVMGetFirstInstruction(loop.head));
    val before = ll_phi(l, LLVMTypeOf(none), none, here);
    ll_at(l, loop.body);
    s->totals = ll_add(l, first, loop.i);
    s->start = ll_i64(l, 0);
    s->n = ll_min(l, ll_i64(l, TREE_BLOCK), ll_sub(l, blocks, loop.i));
    val all = combine(s, before, walk(s));
    store(s, before);
    if (g->gpu)
        gpu_barrier(g);
    ll_phi_add(before, all, ll_here(l));
    gen_loop_end(g, &loop, ll_i64(l, TREE_BLOCK));
    s->totals = NULL;
}

static void step(struct scan *s, unsigned index, const char *name, item_fn *item)
{
    struct gen *g = s->g;
    gen_begin(g, index, name);
    s->elements = room(s, TREE_BLOCK + (g->gpu ? CHUNKS : 0));
    s->chunks = room(s, CHUNKS);
    s->groups = room(s, GROUPS + 1);
    body_uniform(g, &s->body);
    if (g->gpu) {
        item(s, gpu_block(g, AXIS_X));
    } else {
        struct loop loop = gen_loop(g, g->begin, g->end);
        item(s, loop.i);
        gen_loop_end(g, &loop, ll_i64(&g->l, 1));
    }
    gen_end(g);
}

void scan_emit(struct gen *g, unsigned index)
{
    struct scan s = {.g = g, .reduce = &g->nest->reduces.at[0], .dtype = reduce_dtype(g, &g->nest->reduces.at[0])};
    body_init(g, &s.body, &g->nest->main, g->variant->classes, g->slots.main_loads, g->slots.main_stores, g->nest->rank);
    body_plan_levels(g, &s.body);
    s.width = g->gpu ? 1 : body_width(g, &s.body);
    if (s.width > CHUNK)
        s.width = CHUNK;
    step(&s, index, "totals", totals_of);
    step(&s, index, "join", join_of);
    step(&s, index, "main", main_of);
}
