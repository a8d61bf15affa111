/* See repeat.h. */
#include <stdlib.h>
#include <string.h>
#include "array.h"
#include "repeat.h"

enum {
    MOST_REPEATS = 64, /* of a program */
    MOST_ARRAYS = 24,  /* of a call: inputs, outputs */
    MOST_GIVEN = 500   /* calls after which one may have to wait: CUDA keeps about 1000 launches */
};

static bool by_value(const arex_array *a)
{
    return a->rank == 0 && a->device < 0;
}

/* ---- is it like this one? ---- */

/* Code depends on how arrays lie to 16 bytes. */
static bool lies_alike(const arex_array *a, const arex_array *b)
{
    if (by_value(a))
        return a->data && (uintptr_t)a->data % type_alignment((enum dtype)a->dtype) == 0;
    return !a->data == !b->data && (((uintptr_t)a->data ^ (uintptr_t)b->data) & 15) == 0;
}

static bool alike(const arex_array *a, const arex_array *b)
{
    return a->dtype == b->dtype && a->rank == b->rank && a->device == b->device && a->flags == b->flags && lies_alike(a, b) &&
           memcmp(a->shape, b->shape, (size_t)b->rank * sizeof *a->shape) == 0 && memcmp(a->strides, b->strides, (size_t)b->rank * sizeof *a->strides) == 0;
}

/* An output that the caller gave, or place for one that is allocated here. */
static bool output_alike(const arex_array *a, const arex_array *b)
{
    return a->data && b->data ? alike(a, b) && a->data : !a->data && !b->data && a->device == b->device;
}

/* A kernel's output is the very input it was given as; nothing else may share memory with an output. */
static bool outputs_apart(const struct repeat *r, const arex_array *in, const arex_array *out, uint32_t i)
{
    const struct sema_interface *face = &r->program->interface;
    const struct array_reach *to = &r->reach[face->inputs.n + i];
    for (uint32_t k = 0; k < visible_inputs(r->program); k++)
        if (!by_value(&in[k]) && !(face->kernel && in[k].data == out[i].data && str_eq(face->inputs.at[k].name, face->outputs.at[i].name)) &&
            !array_reaches_apart(out[i].data, to, in[k].data, &r->reach[k]))
            return false;
    for (uint32_t k = 0; k < i; k++)
        if (out[k].data && !array_reaches_apart(out[i].data, to, out[k].data, &r->reach[face->inputs.n + k]))
            return false;
    return true;
}

static bool is_like(const struct repeat *r, const arex_array *in, const arex_array *out)
{
    const struct sema_interface *face = &r->program->interface;
    for (uint32_t i = 0; i < face->inputs.n; i++)
        if (!alike(&in[i], &r->in[i]))
            return false;
    for (uint32_t i = 0; i < face->outputs.n; i++)
        if (!output_alike(&out[i], &r->out[i]) || (out[i].data && !outputs_apart(r, in, out, i)))
            return false;
    return true;
}

/* To the front, since the next call is likely to be of this kind too. */
static struct repeat *find(struct arex_program *p, const arex_array *in, const arex_array *out)
{
    for (struct repeat **at = &p->repeats; *at; at = &(*at)->next)
        if (is_like(*at, in, out)) {
            struct repeat *found = *at;
            *at = found->next;
            found->next = p->repeats;
            return p->repeats = found;
        }
    return NULL;
}

/* ---- a call ---- */

static bool place_output(const struct repeat *r, uint32_t i, arex_array *out, void *stream, struct diags *diags)
{
    struct device *d = r->signature->device;
    const struct array_reach *reach = &r->reach[r->program->interface.inputs.n + i];
    void *data;
    if (out->data)
        return true;
    if (!d->ops->alloc(d, (size_t)reach->above, stream, &data, diags))
        return false;
    int32_t device = out->device;
    *out = r->results[i];
    out->device = device;
    out->data = data;
    return true;
}

/* The memory of arrays serves others only after this call's work. */
static void tell_uses(const struct repeat *r, const arex_array *in, const arex_array *out, void *stream)
{
    struct device *d = r->signature->device;
    for (uint32_t i = 0; i < visible_inputs(r->program); i++)
        if (in[i].device >= 0)
            d->ops->uses(d, in[i].data, stream);
    for (uint32_t i = 0; i < r->program->interface.outputs.n; i++)
        if (r->out[i].data)
            d->ops->uses(d, out[i].data, stream);
}

static bool run(struct repeat *r, const arex_array *in, arex_array *out, void *stream, struct diags *diags)
{
    void *inputs[MOST_ARRAYS], *outputs[MOST_ARRAYS];
    uint32_t n = r->program->interface.inputs.n, m = r->program->interface.outputs.n, placed = 0;
    while (placed < m && place_output(r, placed, &out[placed], stream, diags))
        placed++;
    for (uint32_t i = 0; i < n; i++)
        inputs[i] = in[i].data;
    for (uint32_t i = 0; i < placed; i++)
        outputs[i] = out[i].data;
    tell_uses(r, in, out, stream);
    if (placed == m && replay_run(r->replay, inputs, outputs, stream, diags))
        return true;
    for (uint32_t i = 0; i < placed; i++)
        if (!r->out[i].data)
            arex_array_free(r->program->context, &out[i]);
    return false;
}

static bool knows_target(const arex_call_options *o)
{
    return o->target == AREX_TARGET_AUTO || o->target == AREX_TARGET_CUDA;
}

enum repeat_answer repeat_call(struct arex_program *p, const arex_array *inputs, arex_array *outputs, const arex_call_options *o, struct diags *diags)
{
    unsigned given = atomic_load_explicit(&p->context->given, memory_order_relaxed);
    if (!o->stream || o->faults || !knows_target(o) || (o->at_once && given >= MOST_GIVEN))
        return REPEAT_NONE;
    atomic_store_explicit(&p->context->given, given + 1, memory_order_relaxed);
    lock_take(&p->repeat_lock);
    struct repeat *r = find(p, inputs, outputs);
    bool ours = r && (o->late_faults || !replay_faults(r->replay)), ok = ours && run(r, inputs, outputs, o->stream, diags);
    if (ours && replay_faults(r->replay))
        late_arm(r, o->stream);
    lock_give(&p->repeat_lock);
    return !ours ? REPEAT_NONE : ok ? REPEAT_DONE : REPEAT_FAILED;
}

/* ---- a new kind ---- */

static void repeat_free(struct repeat *r)
{
    if (!r)
        return;
    late_forget(r);
    late_drop(r->late);
    replay_free(r->replay);
    free(r->dims);
    free(r->in);
    free(r->out);
    free(r->results);
    free(r->reach);
    free(r);
}

void repeats_free(struct arex_program *p)
{
    while (p->repeats) {
        struct repeat *r = p->repeats;
        p->repeats = r->next;
        repeat_free(r);
    }
}

/* Does any value decide whether the call is sound? */
static bool checks_values(const struct ir *ir)
{
    bool any = false;
    for (uint32_t i = 0; i < ir->checks.n; i++)
        any |= ir->checks.at[i].kind == CHECK_FITS;
    return any;
}

static bool all_there(const struct arex_program *p, int place, const arex_array *in, const arex_array *out)
{
    bool there = true;
    for (uint32_t i = 0; i < visible_inputs(p); i++)
        there &= by_value(&in[i]) || in[i].device == place;
    for (uint32_t i = 0; i < p->interface.outputs.n; i++)
        there &= out[i].device == place;
    return there;
}

static void *copy_of(const void *from, size_t n, size_t size)
{
    void *to = malloc(n * size + 1);
    return to ? memcpy(to, from, n * size) : NULL;
}

static bool fill(struct repeat *r, const int64_t *dims, const arex_array *inputs, const arex_array *outputs, const arex_array *results)
{
    uint32_t n = r->program->interface.inputs.n, m = r->program->interface.outputs.n;
    struct device *d = r->signature->device;
    struct diags quiet;
    diags_init(&quiet);
    void *faults = exec_may_fault(r->signature->code) ? cuda_shared_new(d, &quiet) : NULL;
    diags_fini(&quiet);
    r->replay = faults || !exec_may_fault(r->signature->code) ? replay_new(d, faults) : NULL;
    r->late = faults ? late_new() : NULL;
    r->dims = copy_of(dims, r->signature->ir->dims.n, sizeof *dims);
    r->in = copy_of(inputs, n, sizeof *inputs);
    r->out = copy_of(outputs, m, sizeof *outputs);
    r->results = copy_of(results, m, sizeof *results);
    r->reach = calloc(n + m + 1, sizeof *r->reach);
    if (faults && !r->replay)
        cuda_shared_free(d, faults);
    if (!r->replay || (faults && !r->late) || !r->dims || !r->in || !r->out || !r->results || !r->reach)
        return false;
    for (uint32_t i = 0; i < n; i++)
        r->reach[i] = array_reach_of(&inputs[i]);
    for (uint32_t i = 0; i < m; i++)
        r->reach[n + i] = array_reach_of(outputs[i].data ? &outputs[i] : &results[i]);
    return true;
}

struct repeat *repeat_new(struct arex_program *p, const struct signature *s, const int64_t *dims, const arex_array *inputs, const arex_array *outputs,
                          const arex_array *results, const arex_call_options *o)
{
    bool possible = o->stream && !o->faults && s->code && exec_replays(s->code) && (o->late_faults || !exec_may_fault(s->code)) &&
                    p->interface.inputs.n <= MOST_ARRAYS && p->interface.outputs.n <= MOST_ARRAYS && !checks_values(s->ir) &&
                    all_there(p, s->device->ordinal, inputs, outputs);
    struct repeat *r = possible ? calloc(1, sizeof *r) : NULL;
    if (!r)
        return NULL;
    r->program = p;
    r->signature = s;
    bool ok = fill(r, dims, inputs, outputs, results);
    for (uint32_t i = 0; ok && i < p->interface.outputs.n; i++)
        ok = !outputs[i].data || outputs_apart(r, inputs, outputs, i);
    if (ok)
        return r;
    repeat_free(r);
    return NULL;
}

/* The one that was called longest ago goes when there are too many; its faults are waited for. */
static struct repeat *drop_last(struct arex_program *p)
{
    unsigned n = 0;
    for (struct repeat **at = &p->repeats; *at; at = &(*at)->next)
        if (++n > MOST_REPEATS) {
            struct repeat *last = *at;
            *at = NULL;
            return last;
        }
    return NULL;
}

/* What has been given to the device goes on even where the whole has failed. */
void repeat_made(struct repeat *r, bool ok, void *stream)
{
    struct repeat *dropped = r;
    if (replay_faults(r->replay))
        late_arm(r, stream);
    if (ok && replay_complete(r->replay)) {
        struct arex_program *p = r->program;
        lock_take(&p->repeat_lock);
        r->next = p->repeats;
        p->repeats = r;
        dropped = drop_last(p);
        lock_give(&p->repeat_lock);
    }
    repeat_free(dropped);
}
