/* See transfer.h. */
#include <stdlib.h>
#include <string.h>
#include "arguments.h"
#include "array.h"
#include "transfer.h"

static int place_of(const struct call *c)
{
    return c->device && c->device->ops->kind == DEVICE_CUDA ? c->device->ordinal : -1;
}

static bool host_alloc(struct call *c, size_t size, void **out)
{
    *out = malloc(size ? size : 1);
    if (!*out)
        diag_add(c->diags, AX_out_of_memory, NO_SPAN, "no memory for %zu bytes", size);
    return *out != NULL;
}

/* A host array to the device; `there`: as it is there, contiguous. */
static bool bring_in(struct call *c, uint32_t i, arex_array *there)
{
    const arex_array *a = &c->inputs[i];
    void *host = a->data, *packed = NULL;
    *there = array_packed_like(a, NULL);
    there->device = place_of(c);
    if (!array_is_contiguous(a)) {
        if (!host_alloc(c, array_bytes(a), &packed))
            return false;
        arex_array p = array_packed_like(a, packed);
        array_copy_strided(&p, a);
        host = packed;
    }
    bool ok = c->device->ops->alloc(c->device, array_bytes(a) ? array_bytes(a) : 1, c->options.stream, &c->in_memory[i], c->diags) &&
              c->device->ops->copy_in(c->device, c->in_memory[i], host, array_bytes(a), c->options.stream, c->diags);
    free(packed);
    there->data = c->in_memory[i];
    return ok;
}

bool place_inputs(struct call *c)
{
    for (uint32_t i = 0; i < c->n_inputs; i++) {
        const arex_array *a = &c->inputs[i];
        bool by_value = a->rank == 0 && a->device < 0, only_a_shape = i >= visible_inputs(c->p);
        arex_array *there = &c->there[i];
        *there = *a;
        if (!only_a_shape && a->device != place_of(c) && !by_value) {
            if (a->device >= 0) {
                diag_add(c->diags, AX_argument_array, c->p->interface.inputs.at[i].span, "argument '%s' is on CUDA device %d, and the program runs elsewhere",
                         call_input_name(c, i), a->device);
                return false;
            }
            if (!bring_in(c, i, there))
                return false;
        }
        c->in[i] = (struct exec_array){there->data, there->shape, there->strides, !by_value};
    }
    return true;
}

/* A kernel changes an array in place: an output that is that very input. */
static bool is_own_input(const struct call *c, uint32_t i, uint32_t k)
{
    const arex_array *o = &c->outputs[i], *in = &c->inputs[k];
    return c->p->interface.kernel && str_eq(c->p->interface.outputs.at[i].name, c->p->interface.inputs.at[k].name) && o->data == in->data &&
           o->device == in->device && memcmp(o->strides, in->strides, (size_t)o->rank * sizeof *o->strides) == 0;
}

static bool overlaps_any(const struct call *c, uint32_t i)
{
    for (uint32_t k = 0; k < c->n_inputs; k++)
        if (!is_own_input(c, i, k) && arrays_overlap(&c->outputs[i], &c->inputs[k]))
            return true;
    for (uint32_t k = 0; k < c->n_outputs; k++)
        if (k != i && arrays_overlap(&c->outputs[i], &c->outputs[k]))
            return true;
    return false;
}

bool place_outputs(struct call *c)
{
    for (uint32_t i = 0; i < c->n_outputs; i++) {
        arex_array *o = &c->outputs[i];
        bool given = o->data != NULL;
        if (!given) {
            int device = o->device;
            *o = c->results[i];
            o->device = device < 0 ? -1 : device;
            struct device *d = device < 0 ? context_cpu(c->p->context, c->diags) : context_cuda(c->p->context, device, c->diags);
            if (!d || !d->ops->alloc(d, array_bytes(o) ? array_bytes(o) : 1, c->options.stream, &o->data, c->diags))
                return false;
            c->allocated[i] = true;
        }
        bool direct = o->device == place_of(c) && !(given && overlaps_any(c, i));
        if (direct) {
            c->out[i] = (struct exec_array){o->data, o->shape, o->strides, true};
            continue;
        }
        if (!c->device->ops->alloc(c->device, array_bytes(o) ? array_bytes(o) : 1, c->options.stream, &c->out_memory[i], c->diags))
            return false;
        c->out[i] = (struct exec_array){c->out_memory[i], c->results[i].shape, c->results[i].strides, true};
    }
    return true;
}

/* No copy of the driver's puts elements here and there: a program of ours does. Its output overlaps nothing. */
static bool scatter_out(struct call *c, uint32_t i)
{
    arex_array from = array_packed_like(&c->outputs[i], c->out_memory[i]), to = c->outputs[i];
    struct call copy = {.p = context_copier(c->p->context, c->diags), .inputs = &from, .outputs = &to, .diags = c->diags};
    arex_call_options o;
    arex_call_options_init(&o);
    o.stream = c->options.stream;
    from.device = to.device;
    return copy.p && call_run(&copy, 1, 1, &o);
}

static bool bring_out(struct call *c, uint32_t i)
{
    arex_array *o = &c->outputs[i];
    size_t size = array_bytes(o);
    void *host = o->data, *packed = NULL;
    if (o->device >= 0 && !array_is_contiguous(o))
        return scatter_out(c, i);
    if (o->device >= 0)
        return c->device->ops->copy(c->device, o->data, c->out_memory[i], size, c->options.stream, c->diags);
    if (!array_is_contiguous(o)) {
        if (!host_alloc(c, size, &packed))
            return false;
        host = packed;
    }
    bool ok = c->device->ops->copy_out(c->device, host, c->out_memory[i], size, c->options.stream, c->diags);
    if (ok && packed) {
        arex_array p = array_packed_like(o, packed);
        array_copy_strided(o, &p);
    }
    free(packed);
    return ok;
}

bool bring_results_out(struct call *c)
{
    for (uint32_t i = 0; i < c->n_outputs; i++)
        if (c->out_memory[i] && !bring_out(c, i))
            return false;
    return true;
}
