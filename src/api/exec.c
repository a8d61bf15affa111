/*
 * See exec.h. A run from beginning to end: arrays bound to the plan (bind.c), code for that (variant.c), launches (steps.c, nest.c), what they raised. Each part either succeeds or
 * adds a diagnostic; what was allocated is freed on one exit.
 */
#include "bind.h"
#include "replay.h"
#include "steps.h"
#include "variant.h"

static bool faults_begin(struct run *r)
{
    if (!run_is_gpu(r) || !r->code->may_fault) {
        r->faults_on_device = &r->faults_here;
        r->faults_here.asked = watch_asked;
        r->faults_here.user = r->watch;
        return true;
    }
    if (r->record) {
        r->faults_on_device = replay_faults(r->record);
        return true;
    }
    void *p;
    if (!run_temporary(r, sizeof r->faults_here, &p))
        return false;
    r->faults_on_device = p;
    return r->device->ops->zero(r->device, p, sizeof r->faults_here, r->stream, r->diags);
}

static bool faults_end(struct run *r, struct ir_faults *faults)
{
    bool ok = true;
    if (r->record)
        return true;
    if (run_is_gpu(r) && r->code->may_fault)
        ok = r->device->ops->copy_out(r->device, &r->faults_here, r->faults_on_device, sizeof r->faults_here, r->stream, r->diags);
    else if (!r->stream)
        ok = r->device->ops->synchronize(r->device, NULL, r->diags);
    if (!ok)
        return false;
    if (r->endless)
        r->faults_here.bits |= FAULT_ENDLESS;
    if (faults)
        *faults = r->faults_here;
    return true;
}

static bool prepare(struct run *r, const struct exec_array *inputs, const struct exec_array *outputs, bool allocate)
{
    return run_init(r) && (!allocate || faults_begin(r)) && run_bind(r, inputs, outputs, allocate);
}

bool exec_run(struct exec_code *code, const struct exec_array *inputs, const struct exec_array *outputs,
              const int64_t *dim_values, unsigned max_threads, void *stream, struct watch *watch, struct ir_faults *faults, struct replay *record,
              struct diags *diags)
{
    struct run r = {.code = code, .device = code->device, .diags = diags, .stream = stream, .max_threads = max_threads, .watch = watch, .dims = dim_values, .record = record};
    struct variant_code *v = NULL;
    bool ok = prepare(&r, inputs, outputs, true) && (v = variant_for(&r)) && steps_run(&r, v) && faults_end(&r, faults);
    run_fini(&r);
    return ok;
}

bool exec_prepare(struct exec_code *code, const struct exec_array *inputs, const struct exec_array *outputs,
                  const int64_t *dim_values, struct diags *diags)
{
    struct run r = {.code = code, .device = code->device, .diags = diags, .dims = dim_values};
    bool ok = prepare(&r, inputs, outputs, false) && variant_for(&r);
    run_fini(&r);
    return ok;
}
