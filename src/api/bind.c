/* See bind.h. */
#include "bind.h"

static void take_inputs(struct run *r, const struct exec_array *inputs)
{
    for (uint32_t i = 0; i < r->code->plan->ir->inputs.n; i++) {
        r->arguments[i].data = inputs[i].data;
        r->arguments[i].shape = inputs[i].shape;
        r->arguments[i].stride = inputs[i].stride;
        r->arguments[i].on_device = inputs[i].on_device;
    }
}

/* Shape and C-contiguous strides of a buffer of ours; its size in bytes. */
static int64_t buffer_layout(struct run *r, uint32_t b)
{
    const struct loop_plan *p = r->code->plan;
    const struct ir_shape *s = &p->ir->shapes.at[p->buffers.at[b].shape];
    int64_t size = type_table[p->buffers.at[b].dtype].size;
    for (unsigned d = s->rank; d-- > 0;) {
        r->buffer_shapes[b][d] = r->dims[s->dim[d]];
        r->buffer_strides[b][d] = size;
        size *= r->buffer_shapes[b][d];
    }
    r->buffers[b].shape = r->buffer_shapes[b];
    r->buffers[b].stride = r->buffer_strides[b];
    r->buffers[b].on_device = true;
    return size;
}

static bool make_buffers(struct run *r, const struct exec_array *outputs, bool allocate)
{
    const struct loop_plan *p = r->code->plan;
    for (uint32_t b = 0; b < p->buffers.n; b++) {
        int64_t size = buffer_layout(r, b);
        if (p->buffers.at[b].role != BUFFER_TEMPORARY) {
            const struct exec_array *o = &outputs[p->buffers.at[b].output];
            r->buffers[b].data = o->data;
            if (o->stride)
                r->buffers[b].stride = o->stride;
        } else if (allocate && p->buffers.at[b].in == b && !run_temporary(r, size, &r->buffers[b].data)) {
            return false;
        }
    }
    for (uint32_t b = 0; b < p->buffers.n; b++) {
        uint32_t memory = loop_memory_of(p, b);
        r->buffers[b].data = r->buffers[memory].data;
        r->buffers[b].stride = r->buffers[memory].stride;
        if (r->now)
            r->now[b] = r->buffers[b].data;
    }
    return true;
}

/* On a GPU it takes other code. */
static void choose_rows(struct run *r)
{
    const struct loop_plan *p = r->code->plan;
    unsigned workers = run_is_gpu(r) ? 0 : r->max_threads ? r->max_threads : cpu_device_threads(r->device);
    for (uint32_t i = 0; i < p->rows.n; i++) {
        const struct loop_rows *rows = &p->rows.at[i];
        r->rows[i] = geometry_rows_of(rows, r->geometry, r->dims, run_is_gpu(r) ? r->device : NULL, workers);
        for (uint32_t k = rows->first; run_is_gpu(r) && r->rows[i].chosen && k < rows->first + rows->n; k++)
            r->geometry[k].flags |= VARIANT_ROWS | (r->rows[i].kept_bytes ? VARIANT_KEEP : 0);
    }
}

static void find_geometry(struct run *r)
{
    const struct loop_plan *p = r->code->plan;
    struct geometry_access *next = r->accesses;
    uint8_t *key = r->key;
    for (uint32_t i = 0; i < p->nests.n; i++) {
        struct geometry *geo = &r->geometry[i];
        geo->access = next;
        geometry_of(geo, p, &p->nests.at[i], r->dims, r->arguments, r->buffers, run_is_gpu(r), r->code->cache_bytes, (uint64_t)(uintptr_t)r->faults_on_device);
        next += geo->n;
    }
    choose_rows(r);
    for (uint32_t i = 0; i < p->nests.n; i++) {
        *key++ = r->geometry[i].flags;
        geometry_classes(&r->geometry[i], run_is_gpu(r), key);
        key += r->geometry[i].n;
    }
}

bool run_bind(struct run *r, const struct exec_array *inputs, const struct exec_array *outputs, bool allocate)
{
    take_inputs(r, inputs);
    if (!make_buffers(r, outputs, allocate))
        return false;
    find_geometry(r);
    return true;
}
