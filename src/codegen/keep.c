/*
 * What a kernel of rows keeps of its row (struct loop_rows) lies in shared memory, element after element. A thread that reads it has waited
 * for those that wrote it: a barrier stands between nests.
 */
#include "gen.h"

void keep_begin(struct gen *g, const struct loop_rows *rows)
{
    if (!(g->variant->flags & VARIANT_KEEP))
        return;
    g->row_memory = gpu_launch_memory(g, LOOP_KEPT_ALIGNMENT);
    for (uint32_t i = 0; i < rows->n_kept; i++)
        g->kept[i] = (struct kept){.of = &rows->kept[i]};
    g->n_kept = rows->n_kept;
}

void keep_end(struct gen *g)
{
    g->n_kept = 0;
}

static const struct loop_nest *writer_of(const struct gen *g, const struct kept *k)
{
    return &g->plan->nests.at[k->of->writer];
}

bool keep_has(const struct body *b, ir_id id)
{
    return b->taken && b->taken[id];
}

/* What only a value at hand needs is neither loaded nor computed. */
static void leave_out(struct gen *g, struct body *b, const ir_id *given, unsigned n)
{
    uint8_t *needed = arena_array(g->arena, uint8_t, g->ir->nodes.n);
    loop_needed(g->ir, g->nest, given, n, needed);
    b->taken = arena_array(g->arena, uint8_t, g->ir->nodes.n);
    for (unsigned i = 0; i < n; i++)
        b->taken[given[i]] = needed[given[i]];
    for (ir_id id = 0; id < g->ir->nodes.n; id++)
        if (!needed[id] && b->level[id] == LEVEL_LANE)
            b->level[id] = LEVEL_NONE;
}

void keep_plan(struct gen *g, struct body *b)
{
    ir_id given[LOOP_MOST_KEPT];
    unsigned n = 0;
    for (uint32_t i = 0; i < g->n_kept; i++) {
        struct kept *k = &g->kept[i];
        bool lane = b->level[k->of->value] == LEVEL_LANE;
        if (g->nest == writer_of(g, k))
            k->is_there = lane;
        else if (k->is_there && lane)
            given[n++] = k->of->value;
    }
    if (n > 0)
        leave_out(g, b, given, n);
}

static val element(struct gen *g, const struct kept *k, val position)
{
    val bytes = ll_mul(&g->l, position, ll_i64(&g->l, type_table[k->of->dtype].size));
    return LLVMBuildGEP2(g->l.b, g->l.i8, g->row_memory, &bytes, 1, "");
}

static val taken_up(struct gen *g, const struct kept *k, val position, unsigned w)
{
    enum dtype t = (enum dtype)k->of->dtype;
    val v = LLVMBuildLoad2(g->l.b, ll_vec(gen_memory_type(g, t), w), element(g, k, position), "");
    LLVMSetAlignment(v, type_table[t].size * w < LOOP_KEPT_ALIGNMENT ? type_table[t].size * w : LOOP_KEPT_ALIGNMENT);
    return gen_from_memory(g, v, t);
}

void keep_take(struct gen *g, struct body *b, const struct where *at, unsigned w)
{
    for (uint32_t i = 0; i < g->n_kept; i++)
        if (keep_has(b, g->kept[i].of->value))
            body_set(b, g->kept[i].of->value, LEVEL_LANE, taken_up(g, &g->kept[i], at->position, w), NULL);
}

void keep_put(struct gen *g, struct body *b, const struct where *at)
{
    for (uint32_t i = 0; i < g->n_kept; i++) {
        const struct kept *k = &g->kept[i];
        if (g->nest != writer_of(g, k) || !k->is_there)
            continue;
        val v = gen_to_memory(g, body_value(g, b, k->of->value), (enum dtype)k->of->dtype);
        LLVMSetAlignment(LLVMBuildStore(g->l.b, v, element(g, k, at->position)),
                         type_table[k->of->dtype].size);
    }
}
