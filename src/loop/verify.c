/* What must hold of a schedule before code is made from it. */
#include "loop/loop.h"

struct verify {
    struct arena *arena;
    const struct loop_plan *plan;
    uint8_t *known; /* values at hand in the body under check */
    uint8_t *stored;
};

static const char *check_body(struct verify *v, const struct loop_body *b, uint32_t nest, const char *step)
{
    const struct ir *ir = v->plan->ir;
    for (uint32_t i = 0; i < b->loads.n; i++) {
        const struct loop_access *a = &b->loads.at[i];
        if (a->source == SOURCE_BUFFER && !v->stored[a->index])
            return arena_printf(v->arena, "nest %u %s loads buffer %u before it is stored", nest, step, a->index);
        v->known[a->value] = 1;
    }
    for (uint32_t i = 0; i < b->order.n; i++) {
        const struct ir_node *n = ir_at(ir, b->order.at[i]);
        for (unsigned k = 0; k < n->n_args; k++)
            if (!v->known[n->args[k]])
                return arena_printf(v->arena, "nest %u %s computes %%%u before its argument %%%u", nest, step, b->order.at[i], n->args[k]);
        v->known[b->order.at[i]] = 1;
    }
    for (uint32_t i = 0; i < b->stores.n; i++)
        if (!v->known[b->stores.at[i].value])
            return arena_printf(v->arena, "nest %u %s stores %%%u, which it does not compute", nest, step, b->stores.at[i].value);
    return NULL;
}

static void note_stores(struct verify *v, const struct loop_body *b)
{
    for (uint32_t i = 0; i < b->stores.n; i++)
        v->stored[b->stores.at[i].index] = 1;
}

static const char *check_nest(struct verify *v, uint32_t i)
{
    const struct loop_nest *n = &v->plan->nests.at[i];
    v->known = arena_array(v->arena, uint8_t, v->plan->ir->nodes.n);
    const char *fault = check_body(v, &n->main, i, "main");
    for (uint32_t r = 0; r < n->reduces.n && !fault; r++)
        if (!v->known[n->reduces.at[r].operand])
            fault = arena_printf(v->arena, "nest %u reduces %%%u, which it does not compute", i, n->reduces.at[r].operand);
    if (fault)
        return fault;
    if (n->rank == 0 || n->n_kept == 0 || (n->kind != NEST_MAP && n->rank == n->n_kept))
        return arena_printf(v->arena, "nest %u lacks a dim", i);
    v->known = arena_array(v->arena, uint8_t, v->plan->ir->nodes.n);
    for (uint32_t r = 0; r < n->reduces.n; r++)
        v->known[n->reduces.at[r].value] = 1;
    fault = check_body(v, &n->epilogue, i, "epilogue");
    note_stores(v, &n->main);
    note_stores(v, &n->epilogue);
    return fault;
}

const char *loop_verify(struct arena *arena, const struct loop_plan *plan)
{
    struct verify v = {.arena = arena, .plan = plan, .stored = arena_array(arena, uint8_t, plan->buffers.n + 1)};
    for (uint32_t i = 0; i < plan->nests.n; i++) {
        const char *fault = check_nest(&v, i);
        if (fault)
            return fault;
    }
    for (uint32_t b = 0; b < plan->buffers.n; b++)
        if (!v.stored[b])
            return arena_printf(arena, "buffer %u is never stored", b);
    return NULL;
}
