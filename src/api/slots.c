/* See slots.h. */
#include "replay.h"
#include "slots.h"

/* All slots of a nest; what its partial results need is allocated. */
static bool fill_slots(struct run *r, const struct geometry *geo, int64_t *slots)
{
    const struct loop_nest *nest = geo->nest;
    struct loop_slots s = loop_slots(nest);
    geometry_slots(geo, slots);
    slots[s.faults] = (int64_t)(intptr_t)r->faults_on_device;
    for (uint32_t k = 0; k < nest->reduces.n; k++) {
        void *partials;
        unsigned size = type_table[ir_at(r->code->plan->ir, nest->reduces.at[k].value)->dtype].size;
        bool tells = nest->kind == NEST_SCAN && run_is_gpu(r);
        if (!run_temporary(r, tells ? loop_scan_bytes(geo->kept, geo->blocks, size) : geo->kept * geo->blocks * size, &partials))
            return false;
        slots[s.partials + k] = (int64_t)(intptr_t)partials;
    }
    return true;
}

/* The slots of a nest that is repeated, for the round at hand: buffers that changed hands, and what round it is. */
static void refresh(const struct run *r, const struct geometry *geo, int64_t *slots)
{
    const struct loop_plan *p = r->code->plan;
    const uint32_t main = geo->nest->main.loads.n + geo->nest->main.stores.n;
    int64_t *at = slots + loop_slots(geo->nest).main_loads;
    for (uint32_t i = 0; i < geo->n; i++) {
        const struct geometry_access *a = &geo->access[i];
        bool address = !a->access->layout || ir_at(p->ir, a->access->value)->attr == LAYOUT_ADDRESS;
        if (a->access->source == SOURCE_ROUND)
            *at = r->rounds[a->access->index];
        else if (a->access->source == SOURCE_BUFFER && address && a->pointer != (uint64_t)(uintptr_t)r->faults_on_device)
            *at = (int64_t)(a->pointer + (uint64_t)((uintptr_t)r->now[loop_memory_of(p, a->access->index)] - (uintptr_t)r->buffers[a->access->index].data));
        at += 1 + (i < main ? geo->nest->rank : geo->nest->n_kept);
    }
}

int64_t *slots_of(struct run *r, uint32_t first, uint32_t n, int64_t *here)
{
    int64_t *slots = r->slots ? r->slots + r->code->slot_at[first] : here, *at = slots;
    for (uint32_t i = first; i < first + n; i++) {
        const struct geometry *geo = &r->geometry[i];
        if ((!r->filled || !r->filled[i]) && !fill_slots(r, geo, at))
            return NULL;
        if (r->filled) {
            r->filled[i] = true;
            refresh(r, geo, at);
        }
        at += loop_slots(geo->nest).count;
    }
    if (r->record)
        replay_slots(r->record, &(struct replay_bases){r->code->plan, r->arguments, r->buffers, r->temporaries, r->n_temporaries}, &r->geometry[first], n, slots);
    return slots;
}
