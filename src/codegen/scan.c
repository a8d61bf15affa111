/*
 * SCAN nests: what the elements along an axis come to up to each of them, by the scheme of src/ir/ir.h (SCAN_WAYS).
 *
 * A block of the sequence lies in memory of the worker's own (a CPU thread, a block of threads on a GPU): its elements are computed there, chunks
 * are gone through one element after another, then the results of chunks, then those of groups. A GPU has all of it in one launch
 * (scan_gpu.c), the CPU three steps, of which the first two are for sequences of several blocks: `totals` gives what each block comes to,
 * `join` scans these in place, `main` computes the elements once more and stores what they come to. Totals lie in memory as [kept][blocks].
 */
#include "scan.h"

val scan_combine(struct scan *s, val a, val b)
{
    return reduce_combine(s->g, s->reduce, a, b);
}

val scan_identity(struct scan *s)
{
    return reduce_identity(s->g, s->reduce);
}

/* ---- memory ---- */

static val at(struct scan *s, val memory, val k)
{
    return ll_offset(&s->g->l, memory, ll_mul(&s->g->l, k, ll_i64(&s->g->l, type_table[s->dtype].size)));
}

val scan_take(struct scan *s, val memory, val k, unsigned w)
{
    val raw = LLVMBuildLoad2(s->g->l.b, ll_vec(gen_memory_type(s->g, s->dtype), w), at(s, memory, k), "");
    LLVMSetAlignment(raw, type_table[s->dtype].size);
    return gen_from_memory(s->g, raw, s->dtype);
}

void scan_put(struct scan *s, val memory, val k, val v)
{
    val st = LLVMBuildStore(s->g->l.b, gen_to_memory(s->g, v, s->dtype), at(s, memory, k));
    LLVMSetAlignment(st, type_table[s->dtype].size);
}

static val totals(struct scan *s)
{
    return gen_slot_ptr(s->g, s->g->slots.partials);
}

/* ---- one after another ---- */

/* `count` elements in place, with or without what each is itself; returns what they come to. */
static val in_order(struct scan *s, val memory, val from, val count, bool with_own)
{
    struct gen *g = s->g;
    struct ll *l = &g->l;
    val none = scan_identity(s);
    block here = ll_here(l);
    struct loop loop = gen_loop(g, ll_i64(l, 0), count);
    LLVMPositionBuilderBefore(l->b, LLVMGetFirstInstruction(loop.head));
    val before = ll_phi(l, LLVMTypeOf(none), none, here);
    ll_at(l, loop.body);
    val k = ll_add(l, from, loop.i), all = scan_combine(s, before, scan_take(s, memory, k, 1));
    scan_put(s, memory, k, with_own ? all : before);
    ll_phi_add(before, all, ll_here(l));
    gen_loop_end(g, &loop, ll_i64(l, 1));
    return before;
}

/* ---- elements in and out ---- */

val scan_compute(struct scan *s, val i, unsigned w)
{
    if (s->totals)
        return scan_take(s, totals(s), ll_add(&s->g->l, s->totals, i), w);
    struct where where = {.inner = ll_add(&s->g->l, s->start, i)};
    body_lanes(s->g, &s->body, &where, w);
    gen_raise(s->g, body_fault_of(s->g, &s->body, s->reduce->operand));
    return body_value(s->g, &s->body, s->reduce->operand);
}

void scan_store(struct scan *s, val i, val v)
{
    struct where where = {.inner = ll_add(&s->g->l, s->start, i)};
    if (s->totals) {
        scan_put(s, totals(s), ll_add(&s->g->l, s->totals, i), v);
        return;
    }
    s->body.w = ll_width(v);
    body_set(&s->body, s->reduce->value, LEVEL_LANE, v, NULL);
    body_stores(s->g, &s->body, &where);
}

val scan_with_all_before(struct scan *s, val before_block, val group, val chunk, val own)
{
    struct ll *l = &s->g->l;
    unsigned w = ll_width(own);
    val v = scan_combine(s, ll_splat(l, scan_take(s, s->chunks, chunk, 1), w), own);
    v = scan_combine(s, ll_splat(l, scan_take(s, s->groups, group, 1), w), v);
    return scan_combine(s, ll_splat(l, before_block, w), v);
}

/* ---- a block ---- */

static val at_most(struct scan *s, val most, val from, unsigned step)
{
    return ll_min(&s->g->l, ll_sub(&s->g->l, most, from), ll_i64(&s->g->l, step));
}

static val up(struct scan *s, val n, unsigned by)
{
    return ll_div(&s->g->l, ll_add(&s->g->l, n, ll_i64(&s->g->l, by - 1)), ll_i64(&s->g->l, by));
}

static void fill(struct scan *s)
{
    struct gen *g = s->g;
    struct ll *l = &g->l;
    val w = ll_i64(l, s->width), whole = ll_sub(l, s->n, ll_rem(l, s->n, w));
    struct loop wide = gen_loop(g, ll_i64(l, 0), whole);
    scan_put(s, s->elements, wide.i, scan_compute(s, wide.i, s->width));
    gen_loop_end(g, &wide, w);
    struct loop rest = gen_loop(g, whole, s->n);
    scan_put(s, s->elements, rest.i, scan_compute(s, rest.i, 1));
    gen_loop_end(g, &rest, ll_i64(l, 1));
}

/* Returns what the block comes to. */
static val walk(struct scan *s)
{
    struct gen *g = s->g;
    struct ll *l = &g->l;
    val zero = ll_i64(l, 0), one = ll_i64(l, 1), n_chunks = up(s, s->n, CHUNK), n_groups = up(s, n_chunks, SCAN_WAYS);
    fill(s);
    struct loop chunk = gen_loop(g, zero, n_chunks);
    val from = ll_mul(l, chunk.i, ll_i64(l, CHUNK));
    scan_put(s, s->chunks, chunk.i, in_order(s, s->elements, from, at_most(s, s->n, from, CHUNK), true));
    gen_loop_end(g, &chunk, one);
    struct loop group = gen_loop(g, zero, n_groups);
    from = ll_mul(l, group.i, ll_i64(l, SCAN_WAYS));
    scan_put(s, s->groups, group.i, in_order(s, s->chunks, from, at_most(s, n_chunks, from, SCAN_WAYS), false));
    gen_loop_end(g, &group, one);
    return in_order(s, s->groups, zero, n_groups, false);
}

static void store_some(struct scan *s, val before, val chunk, val from, val to, unsigned w)
{
    struct ll *l = &s->g->l;
    struct loop loop = gen_loop(s->g, from, to);
    scan_store(s, loop.i, scan_with_all_before(s, before, ll_div(l, chunk, ll_i64(l, SCAN_WAYS)), chunk, scan_take(s, s->elements, loop.i, w)));
    gen_loop_end(s->g, &loop, ll_i64(l, w));
}

static void store(struct scan *s, val before)
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

/* ---- the steps ---- */

void scan_begin_item(struct scan *s, val item)
{
    struct gen *g = s->g;
    struct ll *l = &g->l;
    val blocks = gen_slot(g, g->slots.blocks);
    s->row = ll_div(l, item, blocks);
    s->block = ll_rem(l, item, blocks);
    s->start = ll_mul(l, s->block, ll_i64(l, TREE_BLOCK));
    s->n = ll_min(l, ll_i64(l, TREE_BLOCK), ll_sub(l, gen_slot(g, g->slots.length), s->start));
    body_rows(g, &s->body, s->row, 0, g->nest->n_kept, true);
    body_row_values(g, &s->body);
}

typedef void item_fn(struct scan *s, val item);

static void totals_of(struct scan *s, val item)
{
    scan_begin_item(s, item);
    scan_put(s, totals(s), item, walk(s));
}

static void main_of(struct scan *s, val item)
{
    struct ll *l = &s->g->l;
    scan_begin_item(s, item);
    walk(s);
    val is_first = ll_eq(l, s->start, ll_i64(l, 0)), before = scan_take(s, totals(s), ll_select(l, is_first, item, ll_sub(l, item, ll_i64(l, 1))), 1);
    store(s, ll_select(l, is_first, scan_identity(s), before));
}

/* The totals of one kept element, blocks of them one after another. */
static void join_of(struct scan *s, val kept)
{
    struct gen *g = s->g;
    struct ll *l = &g->l;
    val blocks = gen_slot(g, g->slots.blocks), none = scan_identity(s), first = ll_mul(l, kept, blocks);
    block here = ll_here(l);
    struct loop loop = gen_loop(g, ll_i64(l, 0), blocks);
    LLVMPositionBuilderBefore(l->b, LLVMGetFirstInstruction(loop.head));
    val before = ll_phi(l, LLVMTypeOf(none), none, here);
    ll_at(l, loop.body);
    s->totals = ll_add(l, first, loop.i);
    s->start = ll_i64(l, 0);
    s->n = ll_min(l, ll_i64(l, TREE_BLOCK), ll_sub(l, blocks, loop.i));
    val all = scan_combine(s, before, walk(s));
    store(s, before);
    ll_phi_add(before, all, ll_here(l));
    gen_loop_end(g, &loop, ll_i64(l, TREE_BLOCK));
    s->totals = NULL;
}

static val room(struct scan *s, unsigned n)
{
    return gen_alloca(s->g, gen_memory_type(s->g, s->dtype), n);
}

static void step(struct scan *s, unsigned index, const char *name, item_fn *item)
{
    struct gen *g = s->g;
    gen_begin(g, index, name);
    s->elements = room(s, TREE_BLOCK);
    s->chunks = room(s, CHUNKS);
    s->groups = room(s, GROUPS);
    body_uniform(g, &s->body);
    struct loop loop = gen_loop(g, g->begin, g->end);
    item(s, loop.i);
    gen_loop_end(g, &loop, ll_i64(&g->l, 1));
    gen_end(g);
}

void scan_emit(struct gen *g, unsigned index)
{
    struct scan s = {.g = g, .reduce = &g->nest->reduces.at[0], .dtype = reduce_dtype(g, &g->nest->reduces.at[0])};
    body_init(g, &s.body, &g->nest->main, g->variant->classes, g->slots.main_loads, g->slots.main_stores, g->nest->rank);
    body_plan_levels(g, &s.body);
    s.width = g->gpu ? loop_gpu_width(g->ir, g->nest) : body_width(g, &s.body);
    if (s.width > CHUNK)
        s.width = CHUNK;
    if (g->gpu) {
        gen_begin(g, index, "main");
        scan_gpu(&s);
        gen_end(g);
        return;
    }
    step(&s, index, "totals", totals_of);
    step(&s, index, "join", join_of);
    step(&s, index, "main", main_of);
}
