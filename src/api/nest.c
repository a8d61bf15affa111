/* See nest.h. */
#include <string.h>
#include "launch_shape.h"
#include "nest.h"
#include "replay.h"
#include "slots.h"

static bool launch_entry(struct run *r, struct variant_code *v, unsigned entry, struct device_launch *l)
{
    l->watch = r->watch;
    if (l->items == 0)
        return true;
    if (r->record)
        replay_launch(r->record, v->module, entry, l);
    if (run_is_gpu(r))
        return r->device->ops->launch(r->device, v->module, entry, l, r->stream, r->diags);
    return cpu_launch_with(r->device, v->module, entry, l, r->max_threads, r->diags);
}

static bool launch(struct run *r, struct variant_code *v, unsigned entry, const struct geometry *geo, const int64_t *slots, bool join)
{
    struct device_launch l = {.slots = slots, .n_slots = loop_slots(geo->nest).count, .grid = {1, 1, 1}, .block = {1, 1, 1}};
    if (join)
        launch_shape_join(geo, &l);
    else
        launch_shape_main(r->code->plan->ir, geo, &l);
    return launch_entry(r, v, entry, &l);
}

/* A kernel's memory that is the caller's own array needs no copy of it. */
static bool copies_onto_itself(const struct ir *ir, const struct geometry *geo)
{
    const struct loop_body *b = &geo->nest->main;
    bool same = geo->nest->kind == NEST_MAP && b->stores.n > 0 && b->loads.n == b->stores.n;
    for (uint32_t i = 0; same && i < b->stores.n; i++) {
        const struct geometry_access *to = &geo->access[b->loads.n + i], *from = NULL;
        ir_id value = b->stores.at[i].value, memory = b->stores.at[i].target ? b->stores.at[i].target : value;
        value = memory == value ? ir_at(ir, value)->args[0] : value; /* a part of a complex array is what is stored itself */
        for (uint32_t k = 0; k < b->loads.n && ir_at(ir, memory)->op == OP_memory; k++)
            from = b->loads.at[k].value == value ? &geo->access[k] : from;
        same = from && !from->by_value && from->pointer == to->pointer && memcmp(from->stride, to->stride, sizeof to->stride) == 0;
    }
    return same;
}

/* In steps: what blocks come to, what is before each, the elements. */
static bool run_scan(struct run *r, struct variant_code *v, unsigned i, const int64_t *slots)
{
    const struct geometry *geo = &r->geometry[i];
    return (geo->blocks == 1 || (launch(r, v, v->totals_entry[i], geo, slots, false) && launch(r, v, v->join_entry[i], geo, slots, true))) &&
           launch(r, v, v->main_entry[i], geo, slots, false);
}

/* Sets a temporary to 0, also when the run is made again. */
static bool zeroed(struct run *r, void *p, size_t size)
{
    for (uint32_t i = 0; r->record && i < r->n_temporaries; i++)
        if (r->temporaries[i] == p)
            replay_zero(r->record, i, size);
    return r->device->ops->zero(r->device, p, size, r->stream, r->diags);
}

static bool run_scan_gpu(struct run *r, struct variant_code *v, unsigned i, const int64_t *slots)
{
    const struct geometry *geo = &r->geometry[i];
    int64_t bytes = loop_scan_bytes(geo->kept, geo->blocks, type_table[ir_at(r->code->plan->ir, geo->nest->reduces.at[0].value)->dtype].size);
    void *told = (void *)(intptr_t)slots[loop_slots(geo->nest).partials];
    return (geo->kept == 0 || bytes == 0 || zeroed(r, told, (size_t)bytes)) &&
           launch(r, v, v->main_entry[i], geo, slots, false);
}

bool nest_run(struct run *r, struct variant_code *v, unsigned i)
{
    const struct geometry *geo = &r->geometry[i];
    int64_t here[LOOP_MAX_SLOTS], *slots;
    if (copies_onto_itself(r->code->plan->ir, geo))
        return true;
    if (geo->nest->blocks && !launch_shape_fits(geo, r->diags))
        return false;
    if (!(slots = slots_of(r, i, 1, here)))
        return false;
    if (geo->nest->kind == NEST_SCAN)
        return run_is_gpu(r) ? run_scan_gpu(r, v, i, slots) : run_scan(r, v, i, slots);
    return launch(r, v, v->main_entry[i], geo, slots, false) &&
           (geo->nest->kind == NEST_MAP || launch(r, v, v->join_entry[i], geo, slots, true));
}

/* As many as are under way at once: each takes one row after another. */
static unsigned blocks_of_rows(struct run *r, const struct variant_code *v, unsigned i, const struct device_launch *l)
{
    unsigned at_once = r->device->ops->at_once(r->device, v->module, v->rows_entry[i], l);
    return at_once && at_once < r->rows[i].blocks ? at_once : r->rows[i].blocks;
}

bool nest_run_rows(struct run *r, struct variant_code *v, unsigned i)
{
    const struct loop_rows *rows = &r->code->plan->rows.at[i];
    int64_t here[LOOP_MAX_SLOTS], *slots = slots_of(r, rows->first, rows->n, here);
    struct device_launch l = {.slots = slots, .grid = {1, 1, 1}, .block = {32, r->rows[i].warps, 1}, .grain = r->rows[i].grain, .shared_bytes = r->rows[i].kept_bytes};
    if (!slots)
        return false;
    if (run_is_gpu(r))
        l.grid[0] = blocks_of_rows(r, v, i, &l);
    for (uint32_t k = rows->first; k < rows->first + rows->n; k++)
        l.n_slots += loop_slots(r->geometry[k].nest).count;
    l.items = r->geometry[rows->first].kept;
    return launch_entry(r, v, v->rows_entry[i], &l);
}
