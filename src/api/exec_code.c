/* See exec_code.h: made with nothing compiled, freed with what runs have compiled. */
#include <stdlib.h>
#include <unistd.h>
#include "exec_code.h"
#include "geometry.h"

/* Virtual machines report the cache of the whole host; a share of it is what one process meets. */
static int64_t last_cache(void)
{
    const int64_t most = INT64_C(32) << 20;
    long size = sysconf(_SC_LEVEL3_CACHE_SIZE);
    return size > 0 && size < most ? size : most;
}

static bool raises(const struct ir *ir, const struct loop_body *b)
{
    for (uint32_t i = 0; i < b->order.n; i++) {
        const struct ir_node *n = ir_at(ir, b->order.at[i]);
        enum prim p = op_table[n->op].kind == OPK_ELEM ? ir_prim(ir, b->order.at[i]) : PRIM_none;
        if (p == PRIM_ifloordiv || p == PRIM_imod || p == PRIM_ipow || n->op == OP_within || n->op == OP_gather || n->op == OP_loop || n->op == OP_update)
            return true; /* a gather from nothing reads where faults are kept */
    }
    return false;
}

struct exec_code *exec_code_new(const struct loop_plan *plan, struct device *device, exec_codegen *codegen, void *user,
                                const struct codegen_options *options)
{
    struct exec_code *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->plan = plan;
    c->device = device;
    c->codegen = codegen;
    c->user = user;
    c->options = *options;
    c->slot_at = calloc(plan->nests.n + 1, sizeof *c->slot_at);
    if (!c->slot_at) {
        free(c);
        return NULL;
    }
    c->cache_bytes = device->ops->kind == DEVICE_CPU ? last_cache() : 0;
    for (uint32_t i = 0; i < plan->nests.n; i++) {
        c->may_fault |= raises(plan->ir, &plan->nests.at[i].main) || raises(plan->ir, &plan->nests.at[i].epilogue);
        c->n_accesses += geometry_accesses(&plan->nests.at[i]);
        c->key_size += 1 + geometry_accesses(&plan->nests.at[i]);
        c->slot_at[i] = c->n_slots;
        c->n_slots += loop_slots(&plan->nests.at[i]).count;
    }
    lock_init(&c->lock);
    return c;
}

void variant_free(struct exec_code *c, struct variant_code *v)
{
    if (v->module)
        c->device->ops->unload(c->device, v->module);
    free(v->key);
    free(v->main_entry);
    free(v->join_entry);
    free(v->totals_entry);
    free(v->rows_entry);
    free(v);
}

void exec_code_free(struct exec_code *c)
{
    if (!c)
        return;
    while (c->variants) {
        struct variant_code *v = c->variants;
        c->variants = v->next;
        variant_free(c, v);
    }
    lock_fini(&c->lock);
    free(c->slot_at);
    free(c);
}

bool exec_replays(const struct exec_code *c)
{
    return c->device->ops->kind == DEVICE_CUDA && c->plan->steps.n == 0;
}

bool exec_may_fault(const struct exec_code *c)
{
    return c->may_fault;
}

void exec_code_times(const struct exec_code *c, struct exec_times *out)
{
    struct exec_code *m = (struct exec_code *)c; /* the lock changes, nothing that shows */
    lock_take(&m->lock);
    *out = c->times;
    lock_give(&m->lock);
}
