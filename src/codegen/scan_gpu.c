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
    UNROLLED_COST = 24,
    IN_REGISTERS = 0, /* 1: a thread keeps its share of a whole block instead of going through chunks in shared memory */
    MOST_KEPT = TREE_BLOCK / (2 * THREADS)
};

/* A thread's share of a whole block, as it lies in memory: in the end, what its elements come to in their chunks. */
struct kept {
    unsigned n; /* 0: elements are in shared memory */
    val v[MOST_KEPT];
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

static val share(struct scan *s, unsigned turn)
{
    struct ll *l = &s->g->l;
    return ll_add(l, ll_mul(l, thread(s), ll_i64(l, s->width)), ll_i64(l, (int64_t)turn * THREADS * s->width));
}

/* What comes in is what is before the vector in its chunk; what comes to be is in `v`, and all of it returned. */
static val in_vector(struct scan *s, val x, val all, val *v)
{
    for (unsigned i = 0; i < s->width; i++) {
        all = scan_combine(s, all, ll_extract(&s->g->l, x, i));
        *v = ll_insert(&s->g->l, *v, all, i);
    }
    return all;
}

/* Neighbours have a chunk: one after another knows what is before its vector, and all go through theirs as often. */
static void chunks_kept(struct scan *s, struct kept *k, val *all)
{
    struct gen *g = s->g;
    struct ll *l = &g->l;
    unsigned lanes = CHUNK / s->width;
    val x[MOST_KEPT], before[MOST_KEPT], lane = ll_rem(l, thread(s), ll_i64(l, lanes));
    for (unsigned turn = 0; turn < lanes; turn++)
        for (unsigned i = 0; i < k->n; i++) {
            x[i] = turn ? x[i] : k->v[i];
            before[i] = turn ? ll_select(l, ll_eq(l, lane, ll_i64(l, turn)), gpu_shuffle_xor(g, all[i], turn ^ (turn - 1), s->dtype), before[i]) : scan_identity(s);
            all[i] = in_vector(s, x[i], before[i], &k->v[i]);
        }
    struct branch last = gen_if(g, ll_eq(l, lane, ll_i64(l, lanes - 1)));
    for (unsigned i = 0; i < k->n; i++)
        scan_put(s, s->elements, behind(s, ll_div(l, share(s, i), ll_i64(l, CHUNK))), all[i]);
    gen_if_end(g, &last);
}

static void keep_whole(struct scan *s, struct kept *k)
{
    val all[MOST_KEPT];
    for (unsigned i = 0; i < k->n; i++)
        k->v[i] = scan_compute(s, share(s, i), s->width);
    chunks_kept(s, k, all);
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

static void store_kept(struct scan *s, const struct kept *k, val before)
{
    struct ll *l = &s->g->l;
    for (unsigned i = 0; i < k->n; i++) {
        val chunk = ll_div(l, share(s, i), ll_i64(l, CHUNK)), group = ll_div(l, chunk, ll_i64(l, SCAN_WAYS));
        scan_store(s, share(s, i), scan_with_all_before(s, before, group, behind(s, chunk), k->v[i]));
    }
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

static void store(struct scan *s, const struct kept *k, val before)
{
    struct ll *l = &s->g->l;
    block part, done;
    whole_begin(s, &part, &done);
    if (k->n)
        store_kept(s, k, before);
    else
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

/* A thread a chunk. */
static void all_chunks(struct scan *s)
{
    struct gen *g = s->g;
    struct ll *l = &g->l;
    gpu_barrier(g);
    struct loop chunk = gen_loop(g, thread(s), ll_i64(l, CHUNKS));
    scan_put(s, s->elements, behind(s, chunk.i), in_order(s, s->elements, ll_mul(l, chunk.i, ll_i64(l, CHUNK_ROOM)), 1, true));
    gen_loop_end(g, &chunk, ll_i64(l, THREADS));
}

static void fill_kept(struct scan *s, struct kept *k)
{
    struct ll *l = &s->g->l;
    block part, done;
    whole_begin(s, &part, &done);
    keep_whole(s, k);
    block from = ll_here(l);
    then_part(s, part, done);
    fill_part(s);
    all_chunks(s);
    part = ll_here(l);
    ll_br(l, done);
    ll_at(l, done);
    for (unsigned i = 0; i < k->n; i++) {
        val v = ll_phi(l, LLVMTypeOf(k->v[i]), LLVMConstNull(LLVMTypeOf(k->v[i])), part);
        ll_phi_add(v, k->v[i], from);
        k->v[i] = v;
    }
}

/* Returns what the block comes to. */
static val walk(struct one_pass *o, struct kept *k)
{
    struct scan *s = o->s;
    struct gen *g = s->g;
    struct ll *l = &g->l;
    if (k->n) {
        fill_kept(s, k);
    } else {
        fill(s);
        all_chunks(s);
    }
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

static bool keeps(struct scan *s)
{
    return IN_REGISTERS && s->width >= 2 && type_table[s->dtype].size >= 4 && body_cost(s->g, &s->body) <= UNROLLED_COST;
}

void scan_gpu(struct scan *s)
{
    struct gen *g = s->g;
    struct kept kept = {.n = keeps(s) ? TREE_BLOCK / (THREADS * s->width) : 0};
    struct one_pass o = {.s = s, .number = gpu_shared(g, g->l.i64, 1), .before = room(s, SCAN_LEVELS + 1)};
    s->elements = s->chunks = room(s, CHUNKS * CHUNK_ROOM);
    s->groups = room(s, GROUPS + 1);
    o.many = ll_lt(&g->l, ll_i64(&g->l, 1), gen_slot(g, g->slots.blocks));
    body_uniform(g, &s->body);
    scan_begin_item(s, take_number(&o));
    scan_find_words(&o);
    val all = walk(&o, &kept);
    store(s, &kept, scan_before_block(&o, all));
}
