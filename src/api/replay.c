/* See replay.h. */
#include <stdlib.h>
#include <string.h>
#include "replay.h"

enum patch_kind { PATCH_INPUT, PATCH_VALUE, PATCH_OUTPUT, PATCH_TEMPORARY };

/* A slot that is of this run alone. */
struct patch {
    uint32_t slot, index;
    enum patch_kind kind;
    uint8_t dtype; /* of a value */
    int64_t offset;
};

/* A launch; where there is no module, memory that is set to 0. */
struct step {
    struct device_module *module;
    uint32_t temporary;
    size_t size;
    unsigned entry;
    uint32_t first; /* slot */
    struct device_launch launch;
};

struct replay {
    struct device *device;
    void *faults;
    int64_t *slots;
    struct patch *patches;
    struct step *steps;
    size_t *sizes; /* of temporaries */
    void **temporaries;
    uint32_t n_slots, n_patches, n_steps, n_temporaries, at; /* at: where the slots begin that launches take now */
    bool broken;
};

struct replay *replay_new(struct device *device, void *faults)
{
    struct replay *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->device = device;
    p->faults = faults;
    return p;
}

void replay_free(struct replay *p)
{
    if (!p)
        return;
    if (p->faults)
        cuda_shared_free(p->device, p->faults);
    free(p->slots);
    free(p->patches);
    free(p->steps);
    free(p->sizes);
    free(p->temporaries);
    free(p);
}

void *replay_faults(const struct replay *p)
{
    return p->faults;
}

bool replay_complete(const struct replay *p)
{
    return !p->broken;
}

/* ---- making ---- */

/* Room for `more` items after n, or NULL: then it is broken. */
static void *room(struct replay *p, void *at, uint32_t n, uint32_t more, size_t size)
{
    void *grown = p->broken ? NULL : realloc(at, ((size_t)n + more) * size);
    p->broken |= !grown;
    return grown;
}

static void add_patch(struct replay *p, struct patch patch)
{
    struct patch *grown = room(p, p->patches, p->n_patches, 1, sizeof *grown);
    if (!grown)
        return;
    p->patches = grown;
    p->patches[p->n_patches++] = patch;
}

void replay_temporary(struct replay *p, size_t size)
{
    size_t *sizes = room(p, p->sizes, p->n_temporaries, 1, sizeof *sizes);
    if (!sizes)
        return;
    p->sizes = sizes;
    void **temporaries = room(p, p->temporaries, p->n_temporaries, 1, sizeof *temporaries);
    if (!temporaries)
        return;
    p->temporaries = temporaries;
    p->sizes[p->n_temporaries++] = size;
}

static void add_temporary(struct replay *p, const struct replay_bases *bases, uint32_t slot, const void *base, int64_t offset)
{
    for (uint32_t i = 0; i < bases->n_temporaries; i++)
        if (bases->temporaries[i] == base) {
            add_patch(p, (struct patch){slot, i, PATCH_TEMPORARY, 0, offset});
            return;
        }
    p->broken = true; /* memory that nobody told of */
}

/* Does the slot hold an address? An array of no elements is nowhere, whatever its address. */
static bool holds_address(const struct replay *p, const struct replay_bases *bases, const struct geometry_access *a)
{
    if (!a->access->layout)
        return !a->by_value;
    return ir_at(bases->plan->ir, a->access->value)->attr == LAYOUT_ADDRESS && (!p->faults || a->pointer != (uint64_t)(uintptr_t)p->faults);
}

static void add_access(struct replay *p, const struct replay_bases *bases, const struct geometry_access *a, uint32_t slot)
{
    const struct loop_access *access = a->access;
    if (access->source == SOURCE_ARGUMENT && a->by_value && !access->layout) {
        add_patch(p, (struct patch){slot, access->index, PATCH_VALUE, access->dtype, a->offset});
    } else if (access->source == SOURCE_ARGUMENT && holds_address(p, bases, a)) {
        add_patch(p, (struct patch){slot, access->index, PATCH_INPUT, 0, a->offset});
    } else if (access->source == SOURCE_BUFFER && holds_address(p, bases, a)) {
        const struct loop_buffer *b = &bases->plan->buffers.at[loop_memory_of(bases->plan, access->index)];
        if (b->role == BUFFER_TEMPORARY)
            add_temporary(p, bases, slot, bases->buffers[access->index].data, a->offset);
        else
            add_patch(p, (struct patch){slot, b->output, PATCH_OUTPUT, 0, a->offset});
    }
}

static void add_nest(struct replay *p, const struct replay_bases *bases, const struct geometry *geo, const int64_t *slots, uint32_t first)
{
    const struct loop_nest *nest = geo->nest;
    const uint32_t main = nest->main.loads.n + nest->main.stores.n;
    struct loop_slots s = loop_slots(nest);
    uint32_t at = s.main_loads;
    for (uint32_t i = 0; i < geo->n; i++) {
        add_access(p, bases, &geo->access[i], first + at);
        at += 1 + (i < main ? nest->rank : nest->n_kept);
    }
    for (uint32_t k = 0; k < nest->reduces.n; k++)
        add_temporary(p, bases, first + s.partials + k, (const void *)(intptr_t)slots[s.partials + k], 0);
}

void replay_slots(struct replay *p, const struct replay_bases *bases, const struct geometry *geo, uint32_t n, const int64_t *slots)
{
    uint32_t count = 0;
    p->at = p->n_slots;
    for (uint32_t i = 0; i < n; i++) {
        add_nest(p, bases, &geo[i], slots + count, p->at + count);
        count += loop_slots(geo[i].nest).count;
    }
    int64_t *grown = room(p, p->slots, p->n_slots, count, sizeof *grown);
    if (!grown)
        return;
    p->slots = grown;
    memcpy(p->slots + p->n_slots, slots, count * sizeof *slots);
    p->n_slots += count;
}

static void add_step(struct replay *p, struct step step)
{
    struct step *grown = room(p, p->steps, p->n_steps, 1, sizeof *grown);
    if (!grown)
        return;
    p->steps = grown;
    p->steps[p->n_steps++] = step;
}

void replay_zero(struct replay *p, uint32_t temporary, size_t size)
{
    add_step(p, (struct step){.temporary = temporary, .size = size});
}

void replay_launch(struct replay *p, struct device_module *module, unsigned entry, const struct device_launch *l)
{
    struct step step = {.module = module, .entry = entry, .first = p->at, .launch = *l};
    step.launch.watch = NULL;
    add_step(p, step);
}

/* ---- running ---- */

static int64_t patched(const struct replay *p, const struct patch *patch, void *const *inputs, void *const *outputs)
{
    switch (patch->kind) {
    case PATCH_INPUT:
        return (int64_t)(intptr_t)inputs[patch->index] + patch->offset;
    case PATCH_VALUE:
        return (int64_t)geometry_value((const char *)inputs[patch->index] + patch->offset, patch->dtype);
    case PATCH_OUTPUT:
        return (int64_t)(intptr_t)outputs[patch->index] + patch->offset;
    case PATCH_TEMPORARY:
        break;
    }
    return (int64_t)(intptr_t)p->temporaries[patch->index] + patch->offset;
}

static bool take_step(struct replay *p, struct step *s, void *stream, struct diags *diags)
{
    if (!s->module)
        return p->device->ops->zero(p->device, p->temporaries[s->temporary], s->size, stream, diags);
    s->launch.slots = p->slots + s->first;
    return p->device->ops->launch(p->device, s->module, s->entry, &s->launch, stream, diags);
}

static bool take_steps(struct replay *p, void *stream, struct diags *diags)
{
    bool ok = true;
    for (uint32_t i = 0; ok && i < p->n_steps; i++)
        ok = take_step(p, &p->steps[i], stream, diags);
    return ok;
}

bool replay_run(struct replay *p, void *const *inputs, void *const *outputs, void *stream, struct diags *diags)
{
    uint32_t n = 0;
    while (n < p->n_temporaries && p->device->ops->alloc(p->device, p->sizes[n], stream, &p->temporaries[n], diags))
        n++;
    bool ok = n == p->n_temporaries;
    for (uint32_t i = 0; ok && i < p->n_patches; i++)
        p->slots[p->patches[i].slot] = patched(p, &p->patches[i], inputs, outputs);
    ok = ok && take_steps(p, stream, diags);
    while (n > 0)
        p->device->ops->free(p->device, p->temporaries[--n]);
    return ok;
}
