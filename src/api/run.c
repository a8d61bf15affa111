/* See run.h: memory for what a run knows, and the device's memory that it uses meanwhile. */
#include <stdlib.h>
#include "base/slab.h"
#include "replay.h"
#include "run.h"

bool run_no_memory(struct diags *diags)
{
    diag_add(diags, AX_out_of_memory, (struct span){0, 0}, "out of memory");
    return false;
}

static uint32_t most_temporaries(const struct loop_plan *p)
{
    uint32_t n_reduces = 0;
    for (uint32_t i = 0; i < p->nests.n; i++)
        n_reduces += p->nests.at[i].reduces.n;
    return p->buffers.n + n_reduces + 1;
}

static void take_arrays(void *run, struct slab *slab)
{
    struct run *r = run;
    const struct loop_plan *p = r->code->plan;
    r->arguments = slab_take(slab, p->ir->inputs.n, sizeof *r->arguments);
    r->buffers = slab_take(slab, p->buffers.n, sizeof *r->buffers);
    r->buffer_strides = slab_take(slab, p->buffers.n, sizeof *r->buffer_strides);
    r->buffer_shapes = slab_take(slab, p->buffers.n, sizeof *r->buffer_shapes);
    r->geometry = slab_take(slab, p->nests.n, sizeof *r->geometry);
    r->accesses = slab_take(slab, r->code->n_accesses, sizeof *r->accesses);
    r->rows = slab_take(slab, p->rows.n, sizeof *r->rows);
    r->key = slab_take(slab, r->code->key_size, 1);
    r->temporaries = slab_take(slab, most_temporaries(p), sizeof *r->temporaries);
    if (p->steps.n) {
        r->slots = slab_take(slab, r->code->n_slots, sizeof *r->slots);
        r->filled = slab_take(slab, p->nests.n, sizeof *r->filled);
        r->once = slab_take(slab, p->nests.n, sizeof *r->once);
        r->rounds = slab_take(slab, p->ir->steps.n, sizeof *r->rounds);
        r->now = slab_take(slab, 2 * (size_t)p->buffers.n, sizeof *r->now);
    }
}

bool run_init(struct run *r)
{
    r->memory = slab_new(take_arrays, r);
    if (!r->memory)
        return run_no_memory(r->diags);
    if (r->once)
        loop_find_once(r->code->plan, r->dims, r->once);
    return true;
}

void run_fini(struct run *r)
{
    for (uint32_t i = 0; i < r->n_temporaries; i++)
        r->device->ops->free(r->device, r->temporaries[i]);
    free(r->memory);
}

bool run_temporary(struct run *r, int64_t size, void **out)
{
    *out = NULL;
    if (!r->device->ops->alloc(r->device, size ? (size_t)size : 1, r->stream, out, r->diags))
        return false;
    r->temporaries[r->n_temporaries++] = *out;
    if (r->record)
        replay_temporary(r->record, size ? (size_t)size : 1);
    return true;
}
