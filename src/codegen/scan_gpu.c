/*
 * SCAN nests on a GPU, in one launch: each element is read once and written once. See scan.c for the scheme, scan_back.c for what is before a block.
 *
 * There is a block of threads for each block of the sequences, and they take these in the order in which they start to run (a ticket), so all
 * that one waits for is done or running. Blocks of threads that go on to other blocks, and compute the next one's elements in registers before
 * they wait, took twice as long (an H100, 2^28 elements).
 */
#include "scan.h"

enum {
    CHUNK_ROOM = CHUNK + 1, /* what it comes to, then what is before it, lies behind its elements */
    THREADS = LOOP_SCAN_THREADS,
    IN_FLIGHT = 4, /* loads a thread has under way */
    IN_A_ROW = 4,  /* elements of a chunk that are taken at once */
    UNROLLED_COST = 24
};

static val thread(struct scan *s)
{
    return gpu_thread(s->g, AXIS_X);
}

/* Element i of the block: threads that each go through a chunk meet other banks of shared memory. */
static val padded(struct scan *s, val i)
{
    return ll_add(&s->g->l, i, ll_div(&s->g->l, i, ll_i64(&s->g->l, CHUNK)));
}

/* What a chunk comes to. */
static val behind(struct scan *s, val chunk)
{
    return ll_add(&s->g->l, ll_mul(&s->g->l, chunk, ll_i64(&s->g->l, CHUNK_ROOM)), ll_i64(&s->g->l, CHUNK));
}

/* ---- the elements of a block ---- */

static void fill_whole(struct scan *s)
{
    struct gen *g = s->g;
    struct ll *l = &g->l;
    val v[IN_FLIGHT], i[IN_FLIGHT];
    unsigned n = TREE_BLOCK / (THREADS * s->width);
    if (n > IN_FLIGHT)
        n = IN_FLIGHT;
    struct loop turn = gen_loop(g, ll_mul(l, thread(s), ll_i64(l, s->width)), ll_i64(l, TREE_BLOCK));
    for (unsigned u = 0; u < n; u++) {
        i[u] = ll_add(l, turn.i, ll_i64(l, u * THREADS * s->width));
        v[u] = scan_compute(s, i[u], s->width);
    }
    for (unsigned u = 0; u < n; u++)
        scan_put(s, s->elements, padded(s, i[u]), v[u]);
    gen_loop_end(g, &turn, ll_i64(l, n * THREADS * s->width));
}

static void fill_part(struct scan *s)
{
    struct gen *g = s->g;
    struct ll *l = &g->l;
    struct loop turn = gen_loop(g, thread(s), ll_i64(l, TREE_BLOCK));
    scan_put(s, s->elements, padded(s, turn.i), scan_identity(s));
    struct branch in = gen_if(g, ll_lt(l, turn.i, s->n));
    scan_put(s, s->elements, padded(s, turn.i), scan_compute(s, turn.i, 1));
    gen_if_end(g, &in);
    gen_loop_end(g, &turn, ll_i64(l, THREADS));
}

/* The last block of a sequence is no whole one, and bodies that compute much are emitted once. */
static block whole_begin(struct scan *s, block *part, block *done)
{
    struct ll *l = &s->g->l;
    block whole = ll_block(l, "whole");
    *part = ll_block(l, "part");
    *done = ll_block(l, "done");
    ll_cond(l, ll_eq(l, s->n, ll_i64(l, TREE_BLOCK)), whole, *part);
    ll_at(l, whole);
    return whole;
}

static void then_part(struct scan *s, block part, block done)
{
    ll_br(&s->g->l, done);
    ll_at(&s->g->l, part);
}

static void fill(struct scan *s)
{
    struct ll *l = &s->g->l;
    block part, done;
    if (body_cost(s->g, &s->body) > UNROLLED_COST) {
        fill_part(s);
        return;
    }
    whole_begin(s, &part, &done);
    fill_whole(s);
    then_part(s, part, done);
    fill_part(s);
    ll_br(l, done);
    ll_at(l, done);
}

static void store_whole(struct scan *s, val before)
{
    struct gen *g = s->g;
    struct ll *l = &g->l;
    struct loop turn = gen_loop(g, ll_mul(l, thread(s), ll_i64(l, s->width)), ll_i64(l, TREE_BLOCK));
    val chunk = ll_div(l, turn.i, ll_i64(l, CHUNK)), group = ll_div(l, chunk, ll_i64(l, SCAN_WAYS));
    scan_store(s, turn.i, scan_with_all_before(s, before, group, behind(s, chunk), scan_take(s, s->elements, padded(s, turn.i), s->width)));
    gen_loop_end(g, &turn, ll_i64(l, THREADS * s->width));
}

static void store_part(struct scan *s, val before)
{
    struct gen *g = s->g;
    struct ll *l = &g->l;
    struct loop turn = gen_loop(g, thread(s), s->n);
    val chunk = ll_div(l, turn.i, ll_i64(l, CHUNK)), group = ll_div(l, chunk, ll_i64(l, SCAN_WAYS));
    scan_store(s, turn.i, scan_with_all_before(s, before, group, behind(s, chunk), scan_take(s, s->elements, padded(s, turn.i), 1)));
    gen_loop_end(g, &turn, ll_i64(l, THREADS));
}

static void store(struct scan *s, val before)
{
    struct ll *l = &s->g->l;
    block part, done;
    whole_begin(s, &part, &done);
    store_whole(s, before);
    then_part(s, part, done);
    store_part(s, before);
    ll_br(l, done);
    ll_at(l, done);
}

/* ---- what they come to ---- */

/* SCAN_WAYS elements in place, with or without what each is itself; returns what they come to. Counted from 0: of a loop from an address of
 * the thread's own to 16 after it, in bytes, ptxas 13.0 makes one that takes 21 more (sm_90). */
static val in_order(struct scan *s, val memory, val from, unsigned stride, bool with_own)
{
    struct gen *g = s->g;
    struct ll *l = &g->l;
    val none = scan_identity(s), x[IN_A_ROW];
    block here = ll_here(l);
    struct loop loop = gen_loop(g, ll_i64(l, 0), ll_i64(l, SCAN_WAYS));
    LLVMPositionBuilderBefore(l->b, LLVMGetFirstInstruction(loop.head));
    val before = ll_phi(l, LLVMTypeOf(none), none, here), all = before;
    ll_at(l, loop.body);
    val first = ll_add(l, from, ll_mul(l, loop.i, ll_i64(l, stride)));
    for (unsigned i = 0; i < IN_A_ROW; i++)
        x[i] = scan_take(s, memory, ll_add(l, first, ll_i64(l, i * stride)), 1);
    for (unsigned i = 0; i < IN_A_ROW; i++) {
        val with = scan_combine(s, all, x[i]);
        scan_put(s, memory, ll_add(l, first, ll_i64(l, i * stride)), with_own ? with : all);
        all = with;
    }
    ll_phi_add(before, all, ll_here(l));
    gen_loop_end(g, &loop, ll_i64(l, IN_A_ROW));
    return before;
}

static void all_groups(struct one_pass *o)
{
    struct scan *s = o->s;
    struct ll *l = &s->g->l;
    val all = in_order(s, s->groups, ll_i64(l, 0), 1, false);
    scan_put(s, s->groups, ll_i64(l, GROUPS), all);
    scan_tell_total(o, all);
}

/* Returns what the block comes to. A thread a chunk. */
static val walk(struct one_pass *o)
{
    struct scan *s = o->s;
    struct gen *g = s->g;
    struct ll *l = &g->l;
    fill(s);
    gpu_barrier(g);
    struct loop chunk = gen_loop(g, thread(s), ll_i64(l, CHUNKS));
    scan_put(s, s->elements, behind(s, chunk.i), in_order(s, s->elements, ll_mul(l, chunk.i, ll_i64(l, CHUNK_ROOM)), 1, true));
    gen_loop_end(g, &chunk, ll_i64(l, THREADS));
    gpu_barrier(g);
    struct branch group = gen_if(g, ll_lt(l, thread(s), ll_i64(l, GROUPS)));
    scan_put(s, s->groups, thread(s), in_order(s, s->elements, behind(s, ll_mul(l, thread(s), ll_i64(l, SCAN_WAYS))), CHUNK_ROOM, false));
    gen_if_end(g, &group);
    gpu_barrier(g);
    struct branch first = gen_if(g, ll_eq(l, thread(s), ll_i64(l, 0)));
    all_groups(o);
    gen_if_end(g, &first);
    gpu_barrier(g);
    return scan_take(s, s->groups, ll_i64(l, GROUPS), 1);
}

/* ---- the whole ---- */

/* The block of all sequences that is at hand: where none waits for another, any order does. */
static val take_number(struct one_pass *o)
{
    struct gen *g = o->s->g;
    struct ll *l = &g->l;
    val own = gpu_block(g, AXIS_X);
    block here = ll_here(l);
    struct branch many = gen_if(g, o->many), first = gen_if(g, ll_eq(l, thread(o->s), ll_i64(l, 0)));
    val ticket = LLVMBuildAtomicRMW(l->b, LLVMAtomicRMWBinOpAdd, gen_slot_ptr(g, g->slots.partials), ll_i64(l, 1), LLVMAtomicOrderingMonotonic, 0);
    LLVMSetAlignment(LLVMBuildStore(l->b, ticket, o->number), 8);
    gen_if_end(g, &first);
    gpu_barrier(g);
    val number = LLVMBuildLoad2(l->b, l->i64, o->number, "");
    LLVMSetAlignment(number, 8);
    block from = ll_here(l);
    gen_if_end(g, &many);
    val item = ll_phi(l, l->i64, own, here);
    ll_phi_add(item, number, from);
    return item;
}

static val room(struct scan *s, unsigned n)
{
    return gpu_shared(s->g, gen_memory_type(s->g, s->dtype), n);
}

void scan_gpu(struct scan *s)
{
    struct gen *g = s->g;
    struct one_pass o = {.s = s, .number = gpu_shared(g, g->l.i64, 1), .before = room(s, SCAN_LEVELS + 1)};
    s->elements = s->chunks = room(s, CHUNKS * CHUNK_ROOM);
    s->groups = room(s, GROUPS + 1);
    o.many = ll_lt(&g->l, ll_i64(&g->l, 1), gen_slot(g, g->slots.blocks));
    body_uniform(g, &s->body);
    scan_begin_item(s, take_number(&o));
    scan_find_words(&o);
    val all = walk(&o);
    store(s, scan_before_block(&o, all));
}
