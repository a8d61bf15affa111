/*
 * A call: arguments checked, the program found for their types, arrays brought to where it runs, results brought back.
 */
#include <stdlib.h>
#include <string.h>
#include "arguments.h"
#include "base/slab.h"
#include "call.h"
#include "reference.h"
#include "repeat.h"
#include "transfer.h"

static void take_arrays(void *call, struct slab *slab)
{
    struct call *c = call;
    uint32_t n = c->n_inputs, m = c->n_outputs;
    c->args = slab_take(slab, n, sizeof *c->args);
    c->extents = slab_take(slab, n, sizeof *c->extents);
    c->weak = slab_take(slab, n, sizeof *c->weak);
    c->there = slab_take(slab, n, sizeof *c->there);
    c->in = slab_take(slab, n, sizeof *c->in);
    c->in_memory = slab_take(slab, n, sizeof *c->in_memory);
    c->results = slab_take(slab, m, sizeof *c->results);
    c->out = slab_take(slab, m, sizeof *c->out);
    c->out_memory = slab_take(slab, m, sizeof *c->out_memory);
    c->allocated = slab_take(slab, m, sizeof *c->allocated);
}

static bool no_memory(struct call *c)
{
    diag_add(c->diags, AX_out_of_memory, NO_SPAN, "out of memory");
    return false;
}

static bool call_init(struct call *c)
{
    c->n_inputs = c->p->interface.inputs.n;
    c->n_outputs = c->p->interface.outputs.n;
    c->memory = slab_new(take_arrays, c);
    return c->memory || no_memory(c);
}

static void call_fini(struct call *c, bool ok)
{
    for (uint32_t i = 0; c->in_memory && i < c->n_inputs; i++)
        if (c->in_memory[i])
            c->device->ops->free(c->device, c->in_memory[i]);
    for (uint32_t i = 0; c->out_memory && i < c->n_outputs; i++)
        if (c->out_memory[i])
            c->device->ops->free(c->device, c->out_memory[i]);
    for (uint32_t i = 0; c->allocated && i < c->n_outputs && !ok; i++)
        if (c->allocated[i])
            arex_array_free(c->p->context, &c->outputs[i]);
    free(c->dims);
    free(c->memory);
}

static void describe_output(const struct call *c, uint32_t i)
{
    const struct ir *ir = c->signature->ir;
    const struct ir_node *n = ir_at(ir, ir->outputs.at[i].node);
    const struct ir_shape *s = &ir->shapes.at[n->shape];
    arex_array *r = &c->results[i];
    int64_t bytes = type_table[n->dtype].size;
    r->dtype = n->dtype;
    r->rank = s->rank;
    r->device = -1;
    for (int d = s->rank - 1; d >= 0; d--) {
        r->shape[d] = c->dims[s->dim[d]];
        r->strides[d] = bytes;
        bytes *= r->shape[d];
    }
}

static bool resolve(struct call *c)
{
    const struct ir *ir = c->signature->ir;
    for (uint32_t i = 0; i < c->n_inputs; i++) {
        memcpy(c->extents[i], c->inputs[i].shape, (size_t)c->inputs[i].rank * sizeof(int64_t));
        if ((c->inputs[i].flags & AREX_WEAK) && c->inputs[i].dtype == AREX_INT64 && c->inputs[i].data && c->inputs[i].device < 0)
            memcpy(&c->weak[i], c->inputs[i].data, sizeof c->weak[i]);
    }
    c->dims = calloc(ir->dims.n + 1, sizeof *c->dims);
    if (!c->dims)
        return no_memory(c);
    if (!ir_shapes_resolve(ir, (const int64_t(*)[IR_MAX_RANK])c->extents, c->weak, c->dims, c->diags))
        return false;
    for (uint32_t i = 0; i < c->n_outputs; i++)
        describe_output(c, i);
    return true;
}

static bool finish(struct call *c)
{
    if (!faults_told(&c->faults, c->signature->ir, c->dims, c->diags))
        return false;
    if (c->options.faults)
        *c->options.faults = c->faults.bits & AREX_FAULT_DIVIDE;
    return true;
}

/* Their memory serves others only after this call's work. */
static void tell_uses(const struct call *c)
{
    for (uint32_t i = 0; i < c->n_inputs; i++)
        if (c->inputs[i].device >= 0)
            c->device->ops->uses(c->device, c->inputs[i].data, c->options.stream);
    for (uint32_t i = 0; i < c->n_outputs; i++)
        if (c->outputs[i].data && c->outputs[i].device >= 0 && !c->allocated[i])
            c->device->ops->uses(c->device, c->outputs[i].data, c->options.stream);
}

static bool run_on_device(struct call *c)
{
    unsigned threads = c->options.threads > 0 ? (unsigned)c->options.threads : 0;
    struct watch watch;
    watch_init(&watch, c->options.progress, c->options.progress_user);
    struct repeat *repeat = repeat_new(c->p, c->signature, c->dims, c->inputs, c->outputs, c->results, &c->options);
    bool ok = place_inputs(c) && place_outputs(c);
    tell_uses(c);
    ok = ok && exec_run(c->signature->code, c->in, c->out, c->dims, threads, c->options.stream, &watch, &c->faults, repeat ? repeat->replay : NULL, c->diags) && bring_results_out(c);
    if (repeat)
        repeat_made(repeat, ok, c->options.stream);
    return ok;
}

static int nearest_device(const struct call *c)
{
    for (uint32_t i = 0; i < c->n_inputs; i++)
        if (c->inputs[i].device >= 0)
            return c->inputs[i].device;
    for (uint32_t i = 0; i < c->n_outputs; i++)
        if (c->outputs[i].device >= 0)
            return c->outputs[i].device;
    return -1;
}

/* What call, infer and prepare have in common. */
static bool begin(struct call *c, int n_inputs, int n_outputs, bool with_data)
{
    if (!call_init(c) || !check_arguments(c, n_inputs, n_outputs, with_data))
        return false;
    if (!context_target(c->p->context, c->options.target, nearest_device(c), &c->device, c->diags))
        return false;
    c->signature = program_signature(c->p, c->args, c->device, c->diags);
    return c->signature && resolve(c);
}

bool call_is_launched(struct call *c, bool launch)
{
    bool kernel = c->p->interface.kernel != NULL;
    if (kernel != launch)
        diag_add(c->diags, AX_usage, NO_SPAN, kernel ? "a kernel is run by arex_launch" : "the program has no kernel to launch");
    return kernel == launch;
}

static bool take_options(struct call *c, const arex_call_options *options)
{
    arex_call_options_init(&c->options);
    if (options && !options_known(options, options->size, sizeof c->options, "call", c->diags))
        return false;
    if (options)
        memcpy(&c->options, options, options->size < sizeof c->options ? options->size : sizeof c->options);
    return true;
}

bool call_given(struct call *c, const void *program, const void *inputs, int n_inputs, const void *outputs, int n_outputs)
{
    if (program && (inputs || n_inputs <= 0) && (outputs || n_outputs <= 0))
        return true;
    diag_add(c->diags, AX_usage, NO_SPAN, "program, inputs and outputs must be given");
    return false;
}

/* Arguments in whole: what is wrong with their number is told by who takes the long way. */
static enum repeat_answer run_again(struct call *c, int n_inputs, int n_outputs)
{
    if (n_inputs < 0 || (uint32_t)n_inputs != c->p->interface.inputs.n || n_outputs < 0 || (uint32_t)n_outputs != c->p->interface.outputs.n)
        return REPEAT_NONE;
    return repeat_call(c->p, c->inputs, c->outputs, &c->options, c->diags);
}

bool call_run(struct call *c, int n_inputs, int n_outputs, const arex_call_options *options)
{
    bool ok = take_options(c, options);
    enum repeat_answer again = ok ? run_again(c, n_inputs, n_outputs) : REPEAT_NONE;
    atomic_fetch_add_explicit(&c->p->calls, again != REPEAT_NONE, memory_order_relaxed);
    if (again != REPEAT_NONE || (c->not_at_once = ok && c->options.at_once))
        return again == REPEAT_DONE;
    ok = ok && begin(c, n_inputs, n_outputs, true);
    for (uint32_t i = 0; ok && i < c->n_outputs; i++)
        ok = check_output(c, i);
    ok = ok && (c->device ? run_on_device(c) : reference_takes(c) && reference_run(c)) && finish(c);
    atomic_fetch_add_explicit(&c->p->calls, 1, memory_order_relaxed);
    call_fini(c, ok);
    return ok;
}

arex_status call_status(struct call *c, bool ok, arex_diagnostics **diags)
{
    if (c->diags->n && c->p)
        diags_set_source(c->diags, c->p->name, c->p->source, c->p->n_source);
    if (c->not_at_once && diags)
        *diags = NULL;
    return c->not_at_once ? AREX_NOT_AT_ONCE : diags_hand_over(c->diags, ok, diags);
}

PUBLIC arex_status arex_call(arex_program *p, const arex_array *inputs, int n_inputs, arex_array *outputs, int n_outputs,
                             const arex_call_options *options, arex_diagnostics **diags)
{
    struct diags d;
    struct call c = {.p = p, .inputs = inputs, .outputs = outputs, .diags = &d};
    diags_init(&d);
    bool ok = call_given(&c, p, inputs, n_inputs, outputs, n_outputs) && call_is_launched(&c, false) && call_run(&c, n_inputs, n_outputs, options);
    return call_status(&c, ok, diags);
}

PUBLIC arex_status arex_infer(arex_program *p, const arex_array *inputs, int n_inputs, arex_array *outputs, int n_outputs,
                              arex_diagnostics **diags)
{
    struct diags d;
    struct call c = {.p = p, .inputs = inputs, .outputs = outputs, .diags = &d};
    diags_init(&d);
    bool ok = call_given(&c, p, inputs, n_inputs, outputs, n_outputs) && call_is_launched(&c, false);
    if (ok) {
        take_options(&c, NULL);
        c.options.target = AREX_TARGET_REFERENCE; /* types and shapes do not depend on the device */
        ok = begin(&c, n_inputs, n_outputs, false);
        for (uint32_t i = 0; ok && i < c.n_outputs; i++)
            outputs[i] = c.results[i];
        call_fini(&c, ok);
    }
    if (d.n && p)
        diags_set_source(&d, p->name, p->source, p->n_source);
    return diags_hand_over(&d, ok, diags);
}

static bool prepare(struct call *c)
{
    for (uint32_t i = 0; i < c->n_inputs; i++)
        c->in[i] = (struct exec_array){c->inputs[i].data, c->inputs[i].shape, c->inputs[i].strides, c->inputs[i].rank > 0 || c->inputs[i].device >= 0};
    for (uint32_t i = 0; i < c->n_outputs; i++)
        c->out[i] = (struct exec_array){NULL, c->results[i].shape, c->results[i].strides, true};
    return exec_prepare(c->signature->code, c->in, c->out, c->dims, c->diags);
}

PUBLIC arex_status arex_prepare(arex_program *p, const arex_array *inputs, int n_inputs, const arex_call_options *options,
                                arex_diagnostics **diags)
{
    struct diags d;
    struct call c = {.p = p, .inputs = inputs, .diags = &d};
    diags_init(&d);
    bool ok = call_given(&c, p, inputs, n_inputs, NULL, 0) && call_is_launched(&c, false);
    if (ok) {
        arex_array *none = calloc(p->interface.outputs.n + 1, sizeof *none);
        for (uint32_t i = 0; none && i < p->interface.outputs.n; i++)
            none[i].device = -1;
        c.outputs = none;
        ok = none && take_options(&c, options) && begin(&c, n_inputs, (int)p->interface.outputs.n, false) && (!c.device || prepare(&c));
        call_fini(&c, ok);
        free(none);
    }
    if (d.n && p)
        diags_set_source(&d, p->name, p->source, p->n_source);
    return diags_hand_over(&d, ok, diags);
}
