/*
 * Kernels whose threads share memory or wait for each other: a MAP nest walked block by block. On a GPU others too, where that is faster.
 *
 * On a GPU a block is a block, shared arrays are shared memory, and a barrier is one. On the CPU a worker takes one block
 * after another and runs its threads in turns, as MCUDA does (Stratton, Stone, Hwu 2008): the body is cut into segments at
 * its barriers, and each segment is a loop over the threads. A loop of the kernel with a barrier inside goes round for all
 * threads of a block together (sema has seen to that): its condition and its body are segments of their own, and it is a
 * loop around them. Values that one segment makes and another one reads are kept in arrays with an element for each thread.
 *
 * The body is walked twice, in the same order: once to number the segments and find what crosses from one to another, once
 * to emit.
 */
#include "gen.h"

enum {
    MOST_THREADS = 1024,
    MOST_KEPT = 1 << 20
}; /* of a block; bytes of a worker's stack for values that are kept */

/* What a segment does at its end, for the loop that it belongs to or leads to. */
enum tail { TAIL_NONE, TAIL_START, TAIL_TURN, TAIL_NEXT };

struct blocks {
    struct gen *g;
    struct body body;
    bool emitting;
    uint8_t *cut;      /* per region: holds a barrier, at any depth */
    uint8_t *computed; /* per node: in the order of the body */
    uint32_t *segment; /* per node: which one computes it; 0 for those that need none */
    uint8_t *crosses;  /* per node: read by another segment than its own */
    val *kept, *kept_fault,
        *endless;   /* per node: an element a thread; of loops: FAULT_ENDLESS where one was given up */
    ir_id *goes_on; /* conditions that hold where the builder is: those of the loops around it */
    uint32_t n_goes_on, now;
    val threads, thread_of_block; /* of a block; the one at hand */
    val block[LOOP_MAX_RANK], thread[LOOP_MAX_RANK], index[LOOP_MAX_RANK];
    uint64_t bytes; /* of what is kept, for the largest block */
};

struct segment {
    uint32_t region, from, to; /* positions in the order */
    enum tail tail;
    ir_id loop;
};

static const struct ir_node *node_at(const struct blocks *k, ir_id id)
{
    return ir_at(k->g->ir, id);
}

static val block_extent(struct gen *g, unsigned d)
{
    return gen_slot(g, g->slots.block + d);
}

/* ---- what a segment reads ---- */

typedef void use_fn(struct blocks *k, ir_id used);

static void use_chain(struct blocks *k, ir_id chain, use_fn *use)
{
    for (; chain; chain = node_at(k, chain)->n_args == 2 ? node_at(k, chain)->args[1] : 0)
        use(k, node_at(k, chain)->args[0]);
}

static void use_node(struct blocks *k, ir_id id, use_fn *use)
{
    const struct ir_node *n = node_at(k, id);
    for (unsigned i = 0; i < n->n_args; i++)
        if (node_at(k, n->args[i])->op == OP_tie)
            use_chain(k, n->args[i], use);
        else
            use(k, n->args[i]);
    if (n->op == OP_result)
        use(k, (ir_id)n->attr);
}

static void use_tail(struct blocks *k, const struct segment *s, use_fn *use)
{
    const struct ir_node *n = node_at(k, s->loop);
    if (s->tail == TAIL_START)
        use_chain(k, n->args[0], use);
    else if (s->tail == TAIL_TURN)
        use(k, n->args[1]);
    else if (s->tail == TAIL_NEXT)
        use_chain(k, n->args[2], use);
    if (s->tail == TAIL_TURN || s->tail == TAIL_NEXT) /* the faults so far */
        use(k, s->loop);
}

/* Has each thread a value of its own of this? */
static bool is_lane(const struct blocks *k, ir_id id)
{
    enum op op = (enum op)node_at(k, id)->op;
    return k->body.level[id] == LEVEL_LANE && op != OP_const && op != OP_tie && op != OP_layout &&
           op != OP_shared;
}

static void plan_use(struct blocks *k, ir_id used)
{
    unsigned axis;
    /* loads are of places, and made again in each segment; where a thread stands is always at hand */
    if (k->computed[used] && is_lane(k, used) && k->segment[used] != k->now &&
        ir_stands(k->g->ir, used, &axis) == STANDS_NOT)
        k->crosses[used] = 1;
}

/* ---- kept values ---- */

/* In `entry`, for every thread of a block. */
static val keep(struct blocks *k, enum dtype t)
{
    struct gen *g = k->g;
    block here = ll_here(&g->l);
    k->bytes += (uint64_t)type_table[t].size * MOST_THREADS;
    ll_at(&g->l, g->entry);
    val memory = LLVMBuildArrayAlloca(g->l.b, gen_memory_type(g, t), k->threads, "");
    LLVMSetAlignment(memory, 64);
    ll_at(&g->l, here);
    return memory;
}

static void put(struct blocks *k, val *memory, enum dtype t, val v)
{
    if (!*memory)
        *memory = keep(k, t);
    gen_put(k->g, *memory, k->thread_of_block, t, v);
}

static void take_fault(struct blocks *k, ir_id id)
{
    val fault = k->kept_fault[id] ? gen_take_up(k->g, k->kept_fault[id], k->thread_of_block, DT_uint8) : NULL;
    if (k->endless[id])
        fault = prim_or_fault(k->g, fault, LLVMBuildLoad2(k->g->l.b, k->g->l.i8, k->endless[id], ""));
    k->body.lane_fault[id] = fault;
}

static void emit_use(struct blocks *k, ir_id used)
{
    unsigned axis;
    if (k->computed[used] && ir_stands(k->g->ir, used, &axis) != STANDS_NOT)
        body_node(k->g, &k->body, used, LEVEL_LANE);
    if (!k->crosses[used] || k->segment[used] == k->now || k->body.lane[used] || k->body.lane_fault[used])
        return;
    if (node_at(k, used)->op != OP_loop)
        k->body.lane[used] =
            gen_take_up(k->g, k->kept[used], k->thread_of_block, (enum dtype)node_at(k, used)->dtype);
    take_fault(k, used);
}

static void keep_made(struct blocks *k, const struct segment *s)
{
    for (uint32_t i = s->from; i < s->to; i++) {
        ir_id id = k->body.source->order.at[i];
        if (k->segment[id] != k->now || !k->crosses[id] || node_at(k, id)->region != s->region)
            continue;
        if (node_at(k, id)->op != OP_loop) /* which has no value */
            put(k, &k->kept[id], (enum dtype)node_at(k, id)->dtype, k->body.lane[id]);
        if (k->body.lane_fault[id])
            put(k, &k->kept_fault[id], DT_uint8, k->body.lane_fault[id]);
    }
}

/* ---- ends of segments ---- */

/* All variables change at once: their new values are at hand before the first is put down. */
static void put_variables(struct blocks *k, ir_id loop, ir_id chain, val fault)
{
    const struct ir_loop *l = &k->g->ir->loops.at[node_at(k, loop)->attr];
    val *v = arena_array(k->g->arena, val, l->n);
    for (uint32_t i = 0; i < l->n; i++) {
        ir_id x = ir_tied(k->g->ir, chain, i);
        v[i] = body_value(k->g, &k->body, x);
        fault = prim_or_fault(k->g, fault, body_fault_of(k->g, &k->body, x));
    }
    for (uint32_t i = 0; i < l->n; i++)
        put(k, &k->kept[l->carry[i]], (enum dtype)node_at(k, l->carry[i])->dtype, v[i]);
    put(k, &k->kept_fault[loop], DT_uint8, fault ? fault : LLVMConstNull(k->g->l.i8));
}

static void emit_tail(struct blocks *k, const struct segment *s, val goes_on)
{
    struct gen *g = k->g;
    const struct ir_node *n = node_at(k, s->loop);
    val fault = k->body.lane_fault[s->loop];
    if (s->tail == TAIL_START) {
        put_variables(k, s->loop, n->args[0], NULL);
    } else if (s->tail == TAIL_NEXT) {
        put_variables(k, s->loop, n->args[2], fault);
    } else if (s->tail == TAIL_TURN) {
        LLVMBuildStore(g->l.b, body_value(g, &k->body, n->args[1]), goes_on); /* each thread the same */
        val raised = body_fault_of(g, &k->body, n->args[1]);
        if (raised)
            put(k, &k->kept_fault[s->loop], DT_uint8, prim_or_fault(g, fault, raised));
    }
}

/* ---- segments ---- */

/* Variables of a loop that is cut are of none: they are kept. */
static bool in_segment(const struct blocks *k, const struct segment *s, ir_id id)
{
    return is_lane(k, id) && node_at(k, id)->region == s->region && node_at(k, id)->op != OP_carry;
}

static void plan_segment(struct blocks *k, const struct segment *s)
{
    for (uint32_t i = s->from; i < s->to; i++) {
        ir_id id = k->body.source->order.at[i];
        if (in_segment(k, s, id))
            k->segment[id] = k->now;
    }
    for (uint32_t i = s->from; i < s->to; i++)
        if (in_segment(k, s, k->body.source->order.at[i]))
            use_node(k, k->body.source->order.at[i], plan_use);
    use_tail(k, s, plan_use);
}

/* for z, y, x: the thread at hand, everywhere it stands */
static void threads_begin(struct blocks *k, struct loop *loops)
{
    struct gen *g = k->g;
    struct ll *l = &g->l;
    unsigned rank = g->nest->rank;
    k->thread_of_block = ll_i64(l, 0);
    for (unsigned d = 0; d < rank; d++) {
        loops[d] = gen_loop(g, ll_i64(l, 0), block_extent(g, d));
        k->thread[d] = loops[d].i;
        k->thread_of_block = ll_add(l, ll_mul(l, k->thread_of_block, block_extent(g, d)), loops[d].i);
        k->index[d] = ll_add(l, ll_mul(l, k->block[d], block_extent(g, d)), loops[d].i);
    }
    body_rows_at(g, &k->body, k->index, 0, k->body.inner, true);
    body_lane_loads(g, &k->body, &(struct where){.inner = k->index[k->body.inner]}, 1);
    for (uint32_t i = 0; i < k->n_goes_on; i++)
        body_set(&k->body, k->goes_on[i], LEVEL_LANE, LLVMConstInt(l->i1, 1, 0), NULL);
}

static void threads_end(struct blocks *k, struct loop *loops)
{
    for (unsigned d = k->g->nest->rank; d-- > 0;)
        gen_loop_end(k->g, &loops[d], ll_i64(&k->g->l, 1));
}

static void emit_segment(struct blocks *k, const struct segment *s, val goes_on)
{
    const struct loop_body *source = k->body.source;
    struct loop loops[LOOP_MAX_RANK];
    threads_begin(k, loops);
    for (uint32_t i = 0; i < source->order.n; i++) /* nodes of regions inside it too */
        if (k->segment[source->order.at[i]] == k->now)
            use_node(k, source->order.at[i], emit_use);
    use_tail(k, s, emit_use);
    for (uint32_t i = s->from; i < s->to; i++)
        if (in_segment(k, s, source->order.at[i]))
            body_node(k->g, &k->body, source->order.at[i], LEVEL_LANE);
    keep_made(k, s);
    emit_tail(k, s, goes_on);
    threads_end(k, loops);
}

static void close_segment(struct blocks *k, struct segment *s, uint32_t to, enum tail tail, ir_id loop,
                          val goes_on)
{
    bool empty = tail == TAIL_NONE;
    s->to = to;
    s->tail = tail;
    s->loop = loop;
    for (uint32_t i = s->from; i < to && empty; i++)
        empty = !in_segment(k, s, k->body.source->order.at[i]);
    if (!empty) {
        k->now++;
        if (k->emitting)
            emit_segment(k, s, goes_on);
        else
            plan_segment(k, s);
    }
    s->from = to + 1;
}

static void walk_loop(struct blocks *k, ir_id id);

static bool holds_barrier(const struct blocks *k, ir_id id)
{
    const struct ir_node *n = node_at(k, id);
    return n->op == OP_loop && k->cut[k->g->ir->loops.at[n->attr].head];
}

static void walk(struct blocks *k, uint32_t region, enum tail tail, ir_id loop, val goes_on)
{
    struct segment s = {.region = region};
    for (uint32_t i = 0; i < k->body.source->order.n; i++) {
        ir_id id = k->body.source->order.at[i];
        if (node_at(k, id)->region != region)
            continue;
        if (node_at(k, id)->op == OP_barrier) {
            close_segment(k, &s, i, TAIL_NONE, 0, NULL);
        } else if (holds_barrier(k, id)) {
            close_segment(k, &s, i, TAIL_START, id, NULL);
            walk_loop(k, id);
        }
    }
    close_segment(k, &s, k->body.source->order.n, tail, loop, goes_on);
}

/* ---- loops with barriers ---- */

/* Its variables and its faults are kept, whoever reads them. */
static void plan_loop(struct blocks *k, ir_id id)
{
    const struct ir_loop *loop = &k->g->ir->loops.at[node_at(k, id)->attr];
    for (uint32_t i = 0; i < loop->n; i++)
        k->crosses[loop->carry[i]] = 1;
    k->crosses[id] = 1;
    walk(k, loop->head, TAIL_TURN, id, NULL);
    walk(k, loop->body, TAIL_NEXT, id, NULL);
}

static val make_in_entry(struct gen *g, type t)
{
    block here = ll_here(&g->l);
    ll_at(&g->l, g->entry);
    val v = LLVMBuildAlloca(g->l.b, t, "");
    ll_at(&g->l, here);
    return v;
}

static void emit_loop(struct blocks *k, ir_id id)
{
    struct gen *g = k->g;
    struct ll *l = &g->l;
    const struct ir_node *n = node_at(k, id);
    const struct ir_loop *loop = &g->ir->loops.at[n->attr];
    val goes_on = make_in_entry(g, l->i1), endless = make_in_entry(g, l->i8);
    block here = ll_here(l), head = ll_block(l, "block_loop"), body = ll_block(l, "block_body"),
          done = ll_block(l, "block_done");
    ll_br(l, head);
    ll_at(l, head);
    struct loop_clock clock = loop_clock_begin(g, &k->body, id, here);
    walk(k, loop->head, TAIL_TURN, id, goes_on);
    loop_clock_look(g, &clock);
    val go = LLVMBuildLoad2(l->b, l->i1, goes_on, "");
    ll_cond(l, LLVMBuildAnd(l->b, go, LLVMBuildNot(l->b, clock.ends, ""), ""), body, done);
    ll_at(l, body);
    bool own = is_lane(k, n->args[1]) && ir_region_around(g->ir, loop->head, node_at(k, n->args[1])->region);
    if (own)
        k->goes_on[k->n_goes_on++] = n->args[1];
    walk(k, loop->body, TAIL_NEXT, id, NULL);
    k->n_goes_on -= own;
    loop_clock_turn(g, &clock);
    ll_br(l, head);
    ll_at(l, done);
    val fault = ll_select(l, LLVMBuildAnd(l->b, go, clock.given_up, ""), LLVMConstInt(l->i8, FAULT_ENDLESS, 0),
                          LLVMConstNull(l->i8));
    gen_raise(g, fault);
    LLVMBuildStore(l->b, fault, endless);
    k->endless[id] = endless;
}

static void walk_loop(struct blocks *k, ir_id id)
{
    if (k->emitting)
        emit_loop(k, id);
    else
        plan_loop(k, id);
}

/* ---- the plan ---- */

/* Nodes of regions that no barrier cuts belong to the segment of what owns these. */
static uint32_t segment_of(const struct blocks *k, ir_id id)
{
    uint32_t region = node_at(k, id)->region;
    while (!k->cut[region]) {
        id = k->g->ir->regions.at[region].owner;
        region = node_at(k, id)->region;
    }
    return k->segment[id];
}

static void plan(struct blocks *k)
{
    const struct loop_body *source = k->body.source;
    const struct ir *ir = k->g->ir;
    uint32_t n = ir->nodes.n;
    k->cut = arena_array(k->g->arena, uint8_t, ir->regions.n + 1);
    k->computed = arena_array(k->g->arena, uint8_t, n);
    k->segment = arena_array(k->g->arena, uint32_t, n);
    k->crosses = arena_array(k->g->arena, uint8_t, n);
    k->kept = arena_array(k->g->arena, val, n);
    k->kept_fault = arena_array(k->g->arena, val, n);
    k->endless = arena_array(k->g->arena, val, n);
    k->goes_on = arena_array(k->g->arena, ir_id, ir->loops.n + 1);
    k->cut[0] = 1;
    for (uint32_t i = 0; i < source->order.n; i++) {
        k->computed[source->order.at[i]] = 1;
        for (uint32_t r = ir_at(ir, source->order.at[i])->region;
             ir_at(ir, source->order.at[i])->op == OP_barrier && r; r = ir->regions.at[r].parent) {
            const struct ir_loop *loop = &ir->loops.at[ir_at(ir, ir->regions.at[r].owner)->attr];
            k->cut[r] = k->cut[loop->head] = k->cut[loop->body] = 1;
        }
    }
    walk(k, 0, TAIL_NONE, 0, NULL);
    for (uint32_t i = 0; i < source->order.n; i++) {
        ir_id id = source->order.at[i];
        if (!is_lane(k, id) || k->cut[ir_at(ir, id)->region])
            continue;
        k->now = k->segment[id] = segment_of(k, id);
        use_node(k, id, plan_use);
    }
    k->now = 0;
}

/* ---- shared arrays ---- */

unsigned blocks_shared_words(const struct gen *g, ir_id id)
{
    return (unsigned)((ir_shared_size(g->ir, id) + 7) / 8);
}

void blocks_make_shared(struct gen *g, struct body *b)
{
    b->shared = arena_array(g->arena, val, g->ir->nodes.n);
    for (uint32_t i = 0; i < b->source->order.n; i++) {
        ir_id id = b->source->order.at[i];
        if (ir_at(g->ir, id)->op == OP_shared && (g->gpu || !g->nest->blocks || !ir_is_own(g->ir, id))) /* else make_own */
            b->shared[id] = g->gpu && !ir_is_own(g->ir, id) ? gpu_shared(g, g->l.i64, blocks_shared_words(g, id))
                                                            : gen_alloca(g, g->l.i64, blocks_shared_words(g, id));
    }
}

/* Words first, first + step, ... of `words` become 0. */
static void clear_words(struct gen *g, val array, val first, val words, val step)
{
    struct ll *l = &g->l;
    struct loop loop = gen_loop(g, first, words);
    LLVMSetAlignment(LLVMBuildStore(l->b, ll_i64(l, 0), ll_offset(l, array, ll_mul(l, loop.i, ll_i64(l, 8)))), 8);
    gen_loop_end(g, &loop, step);
}

static void clear_shared(struct gen *g, struct body *b, bool own, val first, val copies, val step)
{
    for (uint32_t i = 0; i < b->source->order.n; i++) {
        ir_id id = b->source->order.at[i];
        if (ir_at(g->ir, id)->op == OP_shared && ir_is_own(g->ir, id) == own)
            clear_words(g, b->shared[id], first, ll_mul(&g->l, copies, ll_i64(&g->l, blocks_shared_words(g, id))), step);
    }
}

void blocks_clear_own(struct gen *g, struct body *b)
{
    clear_shared(g, b, true, ll_i64(&g->l, 0), ll_i64(&g->l, 1), ll_i64(&g->l, 1));
}

static bool has_shared(const struct gen *g, const struct body *b)
{
    for (uint32_t i = 0; i < b->source->order.n; i++)
        if (ir_at(g->ir, b->source->order.at[i])->op == OP_shared && !ir_is_own(g->ir, b->source->order.at[i]))
            return true;
    return false;
}

/* ---- the whole ---- */

bool blocks_kept(const struct gen *g)
{
    return g->nest->blocks || (g->gpu && (g->variant->flags & VARIANT_BLOCKS));
}

/* Not negative, and the code generator knows: indices that cannot be need no wrapping. */
static val grown(struct ll *l, val a, val by, val plus)
{
    return LLVMBuildNSWAdd(l->b, LLVMBuildNSWMul(l->b, a, by, ""), plus, "");
}

static void blocks_gpu(struct blocks *k)
{
    struct gen *g = k->g;
    struct ll *l = &g->l;
    unsigned rank = g->nest->rank;
    val thread = ll_i64(l, 0), threads = ll_i64(l, 1);
    for (unsigned d = 0; d < rank; d++) {
        enum axis a = (enum axis)(rank - 1 - d);
        val size = gpu_block_size(g, a);
        k->thread[d] = gpu_thread(g, a);
        k->block[d] = gpu_block(g, a);
        k->index[d] = grown(l, k->block[d], size, k->thread[d]);
        thread = ll_add(l, ll_mul(l, thread, size), k->thread[d]);
        threads = ll_mul(l, threads, size);
    }
    if (has_shared(g, &k->body)) {
        clear_shared(g, &k->body, false, thread, ll_i64(l, 1), threads);
        gpu_barrier(g);
    }
    blocks_clear_own(g, &k->body);
    body_rows_at(g, &k->body, k->index, 0, k->body.inner, true);
    body_lanes(g, &k->body, &(struct where){.inner = k->index[k->body.inner]}, 1);
}

static void count_threads(struct blocks *k)
{
    struct gen *g = k->g;
    struct ll *l = &g->l;
    block here = ll_here(l);
    val n[LOOP_MAX_RANK];
    for (unsigned d = 0; d < g->nest->rank; d++)
        n[d] = block_extent(g, d);
    ll_at(l, g->entry);
    k->threads = n[0];
    for (unsigned d = 1; d < g->nest->rank; d++)
        k->threads = ll_mul(l, k->threads, n[d]);
    ll_at(l, here);
}

/* On the CPU a block's threads take turns: one behind the other. */
static void make_own(struct blocks *k)
{
    struct gen *g = k->g;
    block here = ll_here(&g->l);
    k->body.turn = &k->thread_of_block;
    ll_at(&g->l, g->entry);
    for (uint32_t i = 0; i < k->body.source->order.n; i++) {
        ir_id id = k->body.source->order.at[i];
        if (!ir_is_own(g->ir, id))
            continue;
        k->bytes += 8 * (uint64_t)blocks_shared_words(g, id) * MOST_THREADS;
        k->body.shared[id] = LLVMBuildArrayAlloca(g->l.b, g->l.i64, ll_mul(&g->l, k->threads, ll_i64(&g->l, blocks_shared_words(g, id))), "");
        LLVMSetAlignment(k->body.shared[id], 64);
    }
    ll_at(&g->l, here);
}

static void blocks_cpu(struct blocks *k)
{
    struct gen *g = k->g;
    struct ll *l = &g->l;
    count_threads(k);
    make_own(k);
    struct loop loop = gen_loop(g, g->begin, g->end);
    val left = loop.i;
    for (unsigned d = g->nest->rank; d-- > 0;) {
        val n = ll_div(l, gen_slot(g, g->slots.extents + d), block_extent(g, d));
        k->block[d] = d ? ll_rem(l, left, n) : left;
        left = ll_div(l, left, n);
    }
    clear_shared(g, &k->body, false, ll_i64(l, 0), ll_i64(l, 1), ll_i64(l, 1));
    clear_shared(g, &k->body, true, ll_i64(l, 0), k->threads, ll_i64(l, 1));
    plan(k);
    k->emitting = true;
    walk(k, 0, TAIL_NONE, 0, NULL);
    gen_loop_end(g, &loop, ll_i64(l, 1));
    if (k->bytes <= MOST_KEPT)
        return;
    diag_add(g->diags, AX_too_much_kept, (struct span){0, 0},
             "values that the threads of a block keep across syncthreads take %llu bytes, and there are %d",
             (unsigned long long)k->bytes, MOST_KEPT);
    g->refused = true;
}

void blocks_emit(struct gen *g, unsigned index)
{
    struct blocks k = {.g = g};
    body_init(g, &k.body, &g->nest->main, g->variant->classes, g->slots.main_loads, g->slots.main_stores,
              g->nest->rank);
    body_plan_levels(g, &k.body);
    k.body.thread = k.thread;
    k.body.block = k.block;
    k.body.index = k.index;
    gen_begin(g, index, "main");
    blocks_make_shared(g, &k.body);
    body_uniform(g, &k.body);
    if (g->gpu)
        blocks_gpu(&k);
    else
        blocks_cpu(&k);
    gen_end(g);
}
