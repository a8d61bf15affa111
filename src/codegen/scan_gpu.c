/*
 * SCAN nests on a GPU, in one launch: each element is read once and written once. See scan.c for the scheme, scan_back.c for what is before a block.
 *
 * Blocks of threads go on until all is done, and take the blocks of the sequences in the order in which they ask for them (a ticket). So all that one
 * waits for has been taken by others, or by itself earlier. All wait at about the same time, for what is before one is known when it is
 * for those before; so that the memory has work meanwhile, the elements of the next block are computed, in registers, before this one waits.
 * Where sequences are of one block nobody waits, and there is a block of threads for each.
 */
#include "scan.h"

enum {
    CHUNK_ROOM = CHUNK + 1, /* what it comes to, then what is before it, lies behind its elements */
    THREADS = LOOP_SCAN_THREADS,
    IN_FLIGHT = 4, /* loads a thread has under way, where there are more than it keeps */
    IN_A_ROW = 4,  /* elements of a chunk that are taken at once */
    UNROLLED_COST = 24,
    AHEAD_COST = 64, /* of all that a thread computes of a block */
    MOST_AHEAD = TREE_BLOCK / THREADS
};

/* A block's elements, a thread's share, as they lie in memory: there where the block is a whole one. */
struct ahead {
    unsigned n; /* 0: bodies that compute much are not computed ahead */
    val v[MOST_AHEAD];
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

static val share(struct scan *s, unsigned turn)
{
    struct ll *l = &s->g->l;
    return ll_add(l, ll_mul(l, thread(s), ll_i64(l, s->width)), ll_i64(l, (int64_t)turn * THREADS * s->width));
}

static val is_whole(struct scan *s)
{
    return ll_eq(&s->g->l, s->n, ll_i64(&s->g->l, TREE_BLOCK));
}

static unsigned turns(const struct scan *s)
{
    return TREE_BLOCK / (THREADS * s->width);
}

static type ahead_type(struct scan *s)
{
    return ll_vec(gen_memory_type(s->g, s->dtype), s->width);
}

/* What is in `from` where `here` was left, else what is in `a`. */
static void join_ahead(struct scan *s, struct ahead *a, block from, block here)
{
    struct ll *l = &s->g->l;
    for (unsigned i = 0; i < a->n; i++) {
        val v = ll_phi(l, ahead_type(s), LLVMConstNull(ahead_type(s)), here);
        ll_phi_add(v, a->v[i], from);
        a->v[i] = v;
    }
}

/* Leaves the rows of that block behind. */
static void compute_ahead(struct scan *s, struct ahead *a, val item)
{
    struct gen *g = s->g;
    struct ll *l = &g->l;
    if (!a->n)
        return;
    block here = ll_here(l);
    struct branch in = gen_if(g, ll_lt(l, item, s->items));
    scan_begin_item(s, item);
    block part = ll_here(l);
    struct branch whole = gen_if(g, is_whole(s));
    for (unsigned i = 0; i < a->n; i++)
        a->v[i] = gen_to_memory(g, scan_compute(s, share(s, i), s->width), s->dtype);
    block from = ll_here(l);
    gen_if_end(g, &whole);
    join_ahead(s, a, from, part);
    from = ll_here(l);
    gen_if_end(g, &in);
    join_ahead(s, a, from, here);
}

static void put_ahead(struct scan *s, const struct ahead *a)
{
    for (unsigned i = 0; i < a->n; i++)
        scan_put(s, s->elements, padded(s, share(s, i)), gen_from_memory(s->g, a->v[i], s->dtype));
}

static void fill_whole(struct scan *s)
{
    struct gen *g = s->g;
    struct ll *l = &g->l;
    val v[IN_FLIGHT], i[IN_FLIGHT];
    unsigned n = turns(s) < IN_FLIGHT ? turns(s) : IN_FLIGHT;
    struct loop turn = gen_loop(g, share(s, 0), ll_i64(l, TREE_BLOCK));
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

static void fill(struct scan *s, const struct ahead *a)
{
    struct ll *l = &s->g->l;
    block part, done;
    if (body_cost(s->g, &s->body) > UNROLLED_COST) {
        fill_part(s);
        return;
    }
    whole_begin(s, &part, &done);
    if (a->n)
        put_ahead(s, a);
    else
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

/* In shared memory, which is filled. A thread a chunk. */
static void walk(struct one_pass *o)
{
    struct scan *s = o->s;
    struct gen *g = s->g;
    struct ll *l = &g->l;
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
}

/* ---- the whole ---- */

/* Of a thread that has little else to do: its ticket, or 0. */
static val draw(struct one_pass *o)
{
    struct gen *g = o->s->g;
    struct ll *l = &g->l;
    val none = ll_i64(l, 0), last = ll_eq(l, thread(o->s), ll_i64(l, THREADS - 1));
    block here = ll_here(l);
    struct branch draws = gen_if(g, LLVMBuildAnd(l->b, o->many, last, ""));
    val ticket = LLVMBuildAtomicRMW(l->b, LLVMAtomicRMWBinOpAdd, gen_slot_ptr(g, g->slots.partials), ll_i64(l, 1), LLVMAtomicOrderingMonotonic, 0);
    block from = ll_here(l);
    gen_if_end(g, &draws);
    val out = ll_phi(l, l->i64, none, here);
    ll_phi_add(out, ticket, from);
    return out;
}

/* To all threads, after a barrier; `otherwise` where nobody waits. */
static void show(struct one_pass *o, val ticket, val otherwise)
{
    struct gen *g = o->s->g;
    struct ll *l = &g->l;
    struct branch last = gen_if(g, ll_eq(l, thread(o->s), ll_i64(l, THREADS - 1)));
    LLVMSetAlignment(LLVMBuildStore(l->b, ll_select(l, o->many, ticket, otherwise), o->number), 8);
    gen_if_end(g, &last);
}

static val shown(struct one_pass *o)
{
    struct gen *g = o->s->g;
    gpu_barrier(g);
    val number = LLVMBuildLoad2(g->l.b, g->l.i64, o->number, "");
    LLVMSetAlignment(number, 8);
    return number;
}

/* One block, of which `a` is there; returns the number of the next, of which it is there then. */
static val one_block(struct one_pass *o, val item, struct ahead *a)
{
    struct scan *s = o->s;
    struct gen *g = s->g;
    scan_begin_item(s, item);
    scan_find_words(o);
    struct scan here = *s;
    struct view *stores = arena_array(g->arena, struct view, s->body.n_stores + 1);
    memcpy(stores, s->body.stores, s->body.n_stores * sizeof *stores);
    val ticket = draw(o);
    fill(s, a);
    gpu_barrier(g);
    walk(o);
    show(o, ticket, s->items);
    val next = shown(o), all = scan_take(s, s->groups, ll_i64(&g->l, GROUPS), 1);
    compute_ahead(s, a, next);
    *s = here;
    memcpy(s->body.stores, stores, s->body.n_stores * sizeof *stores);
    store(s, scan_before_block(o, all));
    gpu_barrier(g);
    return next;
}

static val room(struct scan *s, unsigned n)
{
    return gpu_shared(s->g, gen_memory_type(s->g, s->dtype), n);
}

static void one_pass_init(struct one_pass *o, struct scan *s)
{
    struct gen *g = s->g;
    struct ll *l = &g->l;
    val blocks = gen_slot(g, g->slots.blocks);
    o->s = s;
    o->number = gpu_shared(g, l->i64, 1);
    o->before = room(s, SCAN_LEVELS + 1);
    o->many = ll_lt(l, ll_i64(l, 1), blocks);
    s->elements = s->chunks = room(s, CHUNKS * CHUNK_ROOM);
    s->groups = room(s, GROUPS + 1);
    s->items = ll_mul(l, gen_slot(g, g->slots.kept), blocks);
}

void scan_gpu(struct scan *s)
{
    struct gen *g = s->g;
    struct ll *l = &g->l;
    struct one_pass o;
    struct ahead a = {.n = body_cost(g, &s->body) * turns(s) <= AHEAD_COST ? turns(s) : 0}, next;
    one_pass_init(&o, s);
    body_uniform(g, &s->body);
    show(&o, draw(&o), gpu_block(g, AXIS_X));
    val first = shown(&o);
    compute_ahead(s, &a, first);
    block here = ll_here(l);
    struct loop loop = gen_loop(g, first, s->items);
    LLVMPositionBuilderBefore(l->b, LLVMGetFirstInstruction(loop.head));
    next = a;
    for (unsigned i = 0; i < a.n; i++)
        next.v[i] = a.v[i] = ll_phi(l, ahead_type(s), a.v[i], here);
    ll_at(l, loop.body);
    val number = one_block(&o, loop.i, &next);
    for (unsigned i = 0; i < a.n; i++)
        ll_phi_add(a.v[i], next.v[i], ll_here(l));
    gen_loop_end(g, &loop, ll_sub(l, number, loop.i));
}
