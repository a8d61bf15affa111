/*
 * MAP on a GPU: a thread takes several vectors of a row, one after another by the same code. All are on their way from memory before the first is
 * computed. So where a thread starts, its place and its constants, is paid for once, and registers are needed for one vector's values only: more threads
 * are under way, which is what hides the time that memory takes. What the threads of a block take at a time lies side by side.
 */
#include <llvm-c/DebugInfo.h>
#include "gen.h"

struct turns {
    struct gen *g;
    struct body *body;
    unsigned width, n;
    val first, stride; /* of the first vector, and from one to the next, in elements */
    val last;          /* where one can start that the row has all of */
    val whole;         /* i32: how many of the thread's vectors are such */
    val *loaded;       /* of turn k and load i: k * n_loads + i */
};

static bool is_loaded(const struct turns *t, uint32_t i)
{
    return t->body->level[t->body->loads[i].access->value] == LEVEL_LANE;
}

static val *lane_of(const struct turns *t, uint32_t i)
{
    return &t->body->lane[t->body->loads[i].access->value];
}

static val *loaded_at(const struct turns *t, unsigned k, uint32_t i)
{
    return &t->loaded[k * t->body->n_loads + i];
}

/* Turn k's vector, where the row does not end before it has all of it. */
static void load_vector(struct turns *t, unsigned k)
{
    struct ll *l = &t->g->l;
    block here = ll_here(l);
    val at = ll_add(l, t->first, ll_mul(l, t->stride, ll_i64(l, k)));
    val whole = ll_le(l, at, t->last);
    t->whole = ll_add(l, t->whole, LLVMBuildZExt(l->b, whole, l->i32, ""));
    struct branch in = gen_if(t->g, whole);
    body_lane_loads(t->g, t->body, &(struct where){.inner = at}, t->width);
    block from = ll_here(l);
    gen_if_end(t->g, &in);
    for (uint32_t i = 0; i < t->body->n_loads; i++)
        if (is_loaded(t, i)) {
            val v = *lane_of(t, i), there = ll_phi(l, LLVMTypeOf(v), LLVMGetPoison(LLVMTypeOf(v)), here);
            ll_phi_add(there, v, from);
            *loaded_at(t, k, i) = there;
        }
}

/* The vectors of this turn and those after it: at the loop's head those loaded, then each is the one after. */
static val *queue_begin(struct turns *t, block before)
{
    val *queue = arena_array(t->g->arena, val, t->n * t->body->n_loads + 1);
    for (unsigned k = 0; k < t->n; k++)
        for (uint32_t i = 0; i < t->body->n_loads; i++)
            if (is_loaded(t, i))
                queue[k * t->body->n_loads + i] =
                    ll_phi(&t->g->l, LLVMTypeOf(*loaded_at(t, k, i)), *loaded_at(t, k, i), before);
    return queue;
}

static void queue_turn(struct turns *t, val *queue, block from)
{
    for (unsigned k = 0; k < t->n; k++)
        for (uint32_t i = 0; i < t->body->n_loads; i++)
            if (is_loaded(t, i)) {
                val phi = queue[k * t->body->n_loads + i];
                ll_phi_add(phi,
                           k + 1 < t->n ? queue[(k + 1) * t->body->n_loads + i]
                                        : LLVMGetPoison(LLVMTypeOf(phi)),
                           from);
            }
}

/* Unrolled it would be what it is there to avoid. */
static void keep_rolled(struct gen *g, val branch)
{
    LLVMContextRef c = g->l.ctx;
    const char disable[] = "llvm.loop.unroll.disable", kind[] = "llvm.loop";
    LLVMMetadataRef name = LLVMMDStringInContext2(c, disable, sizeof disable - 1),
                    self = LLVMTemporaryMDNode(c, NULL, 0);
    LLVMMetadataRef parts[] = {self, LLVMMDNodeInContext2(c, &name, 1)},
                    loop = LLVMMDNodeInContext2(c, parts, 2);
    LLVMMetadataReplaceAllUsesWith(self, loop);
    LLVMSetMetadata(branch, LLVMGetMDKindIDInContext(c, kind, sizeof kind - 1), LLVMMetadataAsValue(c, loop));
}

/* Returns where the thread's next vector would start. */
static val take_turns(struct turns *t)
{
    struct ll *l = &t->g->l;
    block before = ll_here(l), head = ll_block(l, "turns"), turn = ll_block(l, "turn"),
          done = ll_block(l, "turned");
    ll_br(l, head);
    ll_at(l, head);
    val at = ll_phi(l, l->i64, t->first, before), left = ll_phi(l, l->i32, t->whole, before),
        *queue = queue_begin(t, before);
    ll_cond(l, ll_lt(l, ll_i32(l, 0), left), turn, done);
    ll_at(l, turn);
    struct where where = {.inner = at};
    for (uint32_t i = 0; i < t->body->n_loads; i++)
        if (is_loaded(t, i))
            *lane_of(t, i) = queue[i];
    body_region(t->g, t->body, 0, LEVEL_LANE);
    body_stores(t->g, t->body, &where);
    ll_phi_add(at, ll_add(l, at, t->stride), ll_here(l));
    ll_phi_add(left, ll_sub(l, left, ll_i32(l, 1)), ll_here(l));
    queue_turn(t, queue, ll_here(l));
    keep_rolled(t->g, LLVMBuildBr(l->b, head));
    ll_at(l, done);
    return at;
}

/* The end of the row, shorter than a vector: elements one by one, by the thread whose turn it would be. */
static void rest_of_row(struct turns *t, val at, val end)
{
    struct ll *l = &t->g->l;
    val to = ll_select(l, ll_lt(l, t->whole, ll_i32(l, (int)t->n)), end, at);
    struct loop each = gen_loop(t->g, at, to);
    struct where where = {.inner = each.i};
    body_lanes(t->g, t->body, &where, 1);
    body_stores(t->g, t->body, &where);
    gen_loop_end(t->g, &each, ll_i64(l, 1));
}

/* Elements of 8 bytes take two registers each. Three blocks of threads on a multiprocessor leave 80 to a thread; unasked, the assembler may give out
 * fewer and put some values in memory: sin and cbrt of float64 lost an eighth so. */
static void share_registers(struct gen *g, unsigned width)
{
    enum { RESIDENT = 3 };
    if (width == 2)
        gen_resident(g, RESIDENT);
}

void turns_emit(struct gen *g, struct body *b, unsigned width, unsigned n, val end)
{
    struct ll *l = &g->l;
    struct turns t = {
        .g = g, .body = b, .width = width, .n = n, .loaded = arena_array(g->arena, val, n * b->n_loads + 1)};
    val w = ll_i64(l, width);
    t.stride = ll_mul(l, gpu_block_size(g, AXIS_X), w);
    val start = ll_mul(l, gpu_block(g, AXIS_X), ll_mul(l, t.stride, ll_i64(l, n)));
    t.first = ll_add(l, start, ll_mul(l, gpu_thread(g, AXIS_X), w));
    t.last = ll_sub(l, end, w);
    t.whole = ll_i32(l, 0);
    for (unsigned k = 0; k < n; k++)
        load_vector(&t, k);
    rest_of_row(&t, take_turns(&t), end);
    share_registers(g, width);
}
