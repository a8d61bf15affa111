/* See run.h: memory for what a run knows, and the device's memory that it uses meanwhile. */
#include <stdlib.h>
#include "replay.h"
#include "run.h"

bool run_no_memory(struct diags *diags)
{
    diag_add(diags, AX_out_of_memory, (struct span){0, 0}, "out of memory");
    return false;
}

bool run_init(struct run *r)
{
    const struct loop_plan *p = r->code->plan;
    uint32_t n_reduces = 0;
    for (uint32_t i = 0; i < p->nests.n; i++)
        n_reduces += p->nests.at[i].reduces.n;
    r->max_temporaries = p->buffers.n + n_reduces + 1;
    r->arguments = calloc(p->ir->inputs.n + 1, sizeof *r->arguments);
    r->buffers = calloc(p->buffers.n + 1, sizeof *r->buffers);
    r->buffer_strides = calloc(p->buffers.n + 1, sizeof *r->buffer_strides);
    r->buffer_shapes = calloc(p->buffers.n + 1, sizeof *r->buffer_shapes);
    r->geometry = calloc(p->nests.n + 1, sizeof *r->geometry);
    r->accesses = calloc(r->code->n_accesses + 1, sizeof *r->accesses);
    r->rows = calloc(p->rows.n + 1, sizeof *r->rows);
    r->key = calloc(r->code->key_size + 1, 1);
    r->temporaries = calloc(r->max_temporaries, sizeof *r->temporaries);
    if (p->steps.n) {
        r->slots = calloc(r->code->n_slots + 1, sizeof *r->slots);
        r->filled = calloc(p->nests.n + 1, sizeof *r->filled);
        r->once = calloc(p->nests.n + 1, sizeof *r->once);
        r->rounds = calloc(p->ir->steps.n + 1, sizeof *r->rounds);
        r->now = calloc(2 * (size_t)p->buffers.n + 1, sizeof *r->now);
        if (!r->slots || !r->filled || !r->once || !r->rounds || !r->now)
            return run_no_memory(r->diags);
        loop_find_once(p, r->dims, r->once);
    }
    return (r->arguments && r->buffers && r->buffer_strides && r->buffer_shapes && r->geometry && r->accesses && r->rows && r->key && r->temporaries) ||
           run_no_memory(r->diags);
}

void run_fini(struct run *r)
{
    for (uint32_t i = 0; i < r->n_temporaries; i++)
        r->device->ops->free(r->device, r->temporaries[i]);
    free(r->arguments);
    free(r->buffers);
    free(r->buffer_strides);
    free(r->buffer_shapes);
    free(r->geometry);
    free(r->accesses);
    free(r->rows);
    free(r->key);
    free(r->slots);
    free(r->filled);
    free(r->once);
    free(r->rounds);
    free(r->now);
    free(r->temporaries);
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
