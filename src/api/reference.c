/* See reference.h. */
#include <stdlib.h>
#include <string.h>
#include "arguments.h"
#include "array.h"
#include "reference.h"

bool reference_takes(struct call *c)
{
    for (uint32_t i = 0; i < c->n_inputs; i++)
        if (c->inputs[i].device >= 0)
            return call_refuse(c, i, "is on a device, and the reference evaluator runs on the host");
    for (uint32_t i = 0; i < c->n_outputs; i++)
        if (c->outputs[i].data && c->outputs[i].device >= 0) {
            diag_add(c->diags, AX_output_mismatch, NO_SPAN, "output %u is on a device, and the reference evaluator runs on the host", i);
            return false;
        }
    return true;
}

bool reference_run(struct call *c)
{
    struct ir_array *in = calloc(c->n_inputs + 1, sizeof *in);
    void **out = calloc(c->n_outputs + 1, sizeof *out);
    bool ok = in && out;
    for (uint32_t i = 0; ok && i < c->n_inputs; i++) {
        in[i].data = c->inputs[i].data;
        memcpy(in[i].stride, c->inputs[i].strides, sizeof in[i].stride);
        for (int d = 0; d < c->inputs[i].rank; d++)
            in[i].stride[d] = c->inputs[i].shape[d] == 1 ? 0 : in[i].stride[d];
    }
    for (uint32_t i = 0; ok && i < c->n_outputs; i++)
        ok = (out[i] = malloc(array_bytes(&c->results[i]) + 1)) != NULL;
    ok = ok && ir_eval(c->signature->ir, in, c->dims, out, &c->faults);
    if (!ok)
        diag_add(c->diags, AX_out_of_memory, NO_SPAN, "out of memory");
    for (uint32_t i = 0; ok && i < c->n_outputs; i++) {
        arex_array from = c->results[i], *o = &c->outputs[i];
        from.data = out[i];
        if (!o->data) {
            *o = c->results[i];
            struct device *d = context_cpu(c->p->context, c->diags);
            ok = d && d->ops->alloc(d, array_bytes(o) ? array_bytes(o) : 1, c->options.stream, &o->data, c->diags);
            c->allocated[i] = ok;
        }
        if (ok)
            array_copy_strided(o, &from);
    }
    for (uint32_t i = 0; out && i < c->n_outputs; i++)
        free(out[i]);
    free(in);
    free(out);
    return ok;
}
