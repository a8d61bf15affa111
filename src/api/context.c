/* The context: its life, its devices, memory on them. */
#include <stdlib.h>
#include <string.h>
#include "api.h"
#include "array.h"

static bool copied(const char *s, char **out)
{
    *out = s ? strdup(s) : NULL;
    return *out || !s;
}

static struct arex_context *context_alloc(const arex_context_options *o)
{
    struct arex_context *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    lock_init(&c->lock);
    lock_init(&c->late_lock);
    c->threads = o->threads > 0 ? (unsigned)o->threads : 0;
    c->device = o->device;
    c->log = o->log;
    c->log_user = o->log_user;
    if (copied(o->cuda_driver, &c->cuda_driver) && copied(o->llvm_library, &c->llvm_library) && toolkit_init(&c->toolkit, o->libnvvm, o->packages))
        return c;
    arex_context_free(c);
    return NULL;
}

PUBLIC arex_status arex_context_new(const arex_context_options *options, arex_context **out, arex_diagnostics **diags)
{
    struct diags d;
    arex_context_options o;
    diags_init(&d);
    arex_context_options_init(&o);
    if (out)
        *out = NULL;
    if (!out || (options && !options_known(options, options->size, sizeof o, "context", &d))) {
        if (!out)
            diag_add(&d, AX_usage, NO_SPAN, "no place for the context");
        return diags_hand_over(&d, false, diags);
    }
    if (options)
        memcpy(&o, options, options->size < sizeof o ? options->size : sizeof o);
    *out = context_alloc(&o);
    if (!*out)
        diag_add(&d, AX_out_of_memory, NO_SPAN, "out of memory");
    return diags_hand_over(&d, *out != NULL, diags);
}

PUBLIC void arex_context_free(arex_context *c)
{
    if (!c)
        return;
    arex_program_free(c->copier);
    for (int i = 0; i < MAX_DEVICES; i++)
        if (c->cuda[i])
            c->cuda[i]->ops->close(c->cuda[i]);
    if (c->cpu)
        c->cpu->ops->close(c->cpu);
    context_close_codegen(c);
    lock_fini(&c->lock);
    lock_fini(&c->late_lock);
    late_free(c);
    free(c->cuda_driver);
    free(c->llvm_library);
    toolkit_fini(&c->toolkit);
    free(c);
}

struct arex_program *context_copier(struct arex_context *c, struct diags *diags)
{
    struct arex_program *made = NULL, *spare = NULL;
    lock_take(&c->lock);
    made = c->copier;
    lock_give(&c->lock);
    if (made)
        return made;
    if (arex_program_new(c, "x", 1, "<copy>", NULL, &spare, NULL) != AREX_OK) {
        diag_add(diags, AX_out_of_memory, NO_SPAN, "out of memory");
        return NULL;
    }
    lock_take(&c->lock);
    made = c->copier ? c->copier : spare;
    spare = c->copier ? spare : NULL;
    c->copier = made;
    lock_give(&c->lock);
    arex_program_free(spare);
    return made;
}

struct device *context_cpu(struct arex_context *c, struct diags *diags)
{
    lock_take(&c->lock);
    if (!c->cpu)
        c->cpu = cpu_device_open(c->threads, diags);
    struct device *d = c->cpu;
    lock_give(&c->lock);
    return d;
}

struct device *context_cuda(struct arex_context *c, int ordinal, struct diags *diags)
{
    if (ordinal < 0 || ordinal >= MAX_DEVICES) {
        diag_add(diags, AX_no_device, NO_SPAN, "there is no CUDA device %d", ordinal);
        return NULL;
    }
    lock_take(&c->lock);
    if (!c->cuda[ordinal])
        c->cuda[ordinal] = cuda_device_open(c->cuda_driver, ordinal, diags);
    struct device *d = c->cuda[ordinal];
    lock_give(&c->lock);
    return d;
}

static struct device *automatic_gpu(struct arex_context *c)
{
    struct diags quiet;
    lock_take(&c->lock);
    bool none = c->no_gpu;
    lock_give(&c->lock);
    if (none)
        return NULL;
    diags_init(&quiet);
    struct device *d = context_cuda(c, c->device, &quiet);
    bool looked = !diags_of_memory(&quiet); /* else it is looked for again */
    diags_fini(&quiet);
    lock_take(&c->lock);
    c->no_gpu = !d && looked;
    lock_give(&c->lock);
    return d;
}

/* AUTO: where the arrays are; with all of them on the host, a GPU if there is one. */
bool context_target(struct arex_context *c, int target, int near, struct device **device, struct diags *diags)
{
    *device = NULL;
    switch (target) {
    case AREX_TARGET_REFERENCE:
        return true;
    case AREX_TARGET_CPU:
        *device = context_cpu(c, diags);
        return *device != NULL;
    case AREX_TARGET_CUDA:
        *device = context_cuda(c, near >= 0 ? near : c->device, diags);
        return *device != NULL;
    case AREX_TARGET_AUTO:
        if (near >= 0)
            return context_target(c, AREX_TARGET_CUDA, near, device, diags);
        *device = automatic_gpu(c);
        return *device || context_target(c, AREX_TARGET_CPU, near, device, diags);
    }
    diag_add(diags, AX_usage, NO_SPAN, "unknown target %d", target);
    return false;
}

static bool given(bool all, const char *what, struct diags *diags)
{
    if (!all)
        diag_add(diags, AX_usage, NO_SPAN, "%s must be given", what);
    return all;
}

PUBLIC arex_status arex_device_count(arex_context *c, int *count, arex_diagnostics **diags)
{
    struct diags d;
    diags_init(&d);
    if (count)
        *count = 0;
    if (!given(c && count, "context and a place for the number", &d))
        return diags_hand_over(&d, false, diags);
    *count = cuda_device_count(c->cuda_driver, &d);
    if (*count < 0)
        *count = 0;
    d.mild = true; /* no GPU is an answer */
    return diags_hand_over(&d, true, diags);
}

/* ---- memory ---- */

static bool array_device(arex_context *c, const arex_array *a, struct device **out, struct diags *diags)
{
    *out = a->device < 0 ? context_cpu(c, diags) : context_cuda(c, a->device, diags);
    return *out != NULL;
}

static bool array_size(arex_array *a, size_t *size, struct diags *diags)
{
    int64_t bytes = (int64_t)arex_dtype_size(a->dtype);
    if (bytes == 0 || a->rank < 0 || a->rank > AREX_MAX_RANK || a->device < -1) {
        diag_add(diags, AX_usage, NO_SPAN, "the array has no valid dtype, rank or device");
        return false;
    }
    for (int d = a->rank - 1; d >= 0; d--) {
        a->strides[d] = bytes;
        if (a->shape[d] < 0 || __builtin_mul_overflow(bytes, a->shape[d], &bytes)) {
            diag_add(diags, AX_usage, NO_SPAN, "the array has no valid shape");
            return false;
        }
    }
    *size = (size_t)bytes;
    return true;
}

PUBLIC arex_status arex_array_alloc(arex_context *c, arex_array *a, arex_diagnostics **diags)
{
    struct diags d;
    struct device *device;
    size_t size = 0;
    diags_init(&d);
    bool ok = given(c && a, "context and array", &d) && array_size(a, &size, &d) && array_device(c, a, &device, &d) && device->ops->alloc(device, size ? size : 1, NULL, &a->data, &d);
    return diags_hand_over(&d, ok, diags);
}

PUBLIC void arex_array_free(arex_context *c, arex_array *a)
{
    struct diags d;
    struct device *device;
    if (!c || !a || !a->data)
        return;
    diags_init(&d);
    if (array_device(c, a, &device, &d))
        device->ops->free(device, a->data);
    a->data = NULL;
    diags_fini(&d);
}

/* ---- streams ---- */

PUBLIC arex_status arex_stream_wait(arex_context *c, int ordinal, void *stream, arex_diagnostics **diags)
{
    struct diags d;
    diags_init(&d);
    struct device *device = given(c && ordinal >= 0, "context and the number of a CUDA device", &d) ? context_cuda(c, ordinal, &d) : NULL;
    uint64_t ticket = device ? late_ticket(c) : 0;
    return diags_hand_over(&d, device && device->ops->synchronize(device, stream, &d) && late_told(c, ticket, false, stream, &d), diags);
}

PUBLIC arex_status arex_synchronize(arex_context *c, int ordinal, arex_diagnostics **diags)
{
    struct diags d;
    diags_init(&d);
    struct device *device = given(c && ordinal >= 0, "context and the number of a CUDA device", &d) ? context_cuda(c, ordinal, &d) : NULL;
    uint64_t ticket = device ? late_ticket(c) : 0;
    return diags_hand_over(&d, device && cuda_wait_all(device, &d) && late_told(c, ticket, true, NULL, &d), diags);
}

PUBLIC arex_status arex_stream_new(arex_context *c, int ordinal, void **stream, arex_diagnostics **diags)
{
    struct diags d;
    diags_init(&d);
    if (stream)
        *stream = NULL;
    struct device *device = given(c && ordinal >= 0 && stream, "context, the number of a CUDA device and a place for the stream", &d) ? context_cuda(c, ordinal, &d) : NULL;
    return diags_hand_over(&d, device && cuda_stream_new(device, stream, &d), diags);
}

PUBLIC void arex_stream_free(arex_context *c, int ordinal, void *stream)
{
    struct diags d;
    diags_init(&d);
    struct device *device = c && stream ? context_cuda(c, ordinal, &d) : NULL;
    if (device)
        cuda_stream_free(device, stream);
    diags_fini(&d);
}

PUBLIC void arex_array_lent(arex_context *c, const arex_array *a)
{
    struct diags d;
    diags_init(&d);
    struct device *device = c && a && a->device >= 0 ? context_cuda(c, a->device, &d) : NULL;
    if (device)
        device->ops->uses(device, a->data, DEVICE_STREAMS_OF_OTHERS);
    diags_fini(&d);
}

PUBLIC arex_status arex_pointer_device(arex_context *c, const void *pointer, int *ordinal, arex_diagnostics **diags)
{
    struct diags d;
    diags_init(&d);
    if (ordinal)
        *ordinal = -1;
    struct device *device = given(c && pointer && ordinal, "context, pointer and a place for the device", &d) ? context_cuda(c, c->device, &d) : NULL;
    if (device)
        *ordinal = cuda_pointer_device(device, pointer, &d);
    return diags_hand_over(&d, device && *ordinal >= 0, diags);
}

static bool copy(arex_context *c, const arex_array *to, const arex_array *from, struct diags *diags)
{
    arex_array t = *to, f = *from;
    struct device *device;
    size_t size = 0, other = 0;
    if (!array_size(&t, &size, diags) || !array_size(&f, &other, diags))
        return false;
    if (t.dtype != f.dtype || t.rank != f.rank || memcmp(t.shape, f.shape, (size_t)t.rank * sizeof *t.shape)) {
        diag_add(diags, AX_usage, NO_SPAN, "the arrays differ in dtype or shape");
        return false;
    }
    if (size == 0)
        return true;
    if (!to->data || !from->data || !array_is_contiguous(to) || !array_is_contiguous(from)) {
        diag_add(diags, AX_usage, NO_SPAN, "only C-contiguous arrays with data are copied");
        return false;
    }
    if (!array_device(c, t.device >= 0 ? &t : &f, &device, diags))
        return false;
    if (t.device >= 0 && f.device < 0)
        return device->ops->copy_in(device, t.data, f.data, size, NULL, diags);
    uint64_t ticket = late_ticket(c);
    if (t.device < 0 && f.device >= 0)
        return device->ops->copy_out(device, t.data, f.data, size, NULL, diags) && late_told(c, ticket, false, NULL, diags);
    return device->ops->copy(device, t.data, f.data, size, NULL, diags) && device->ops->synchronize(device, NULL, diags);
}

PUBLIC arex_status arex_array_copy(arex_context *c, const arex_array *to, const arex_array *from, arex_diagnostics **diags)
{
    struct diags d;
    diags_init(&d);
    bool ok = given(c && to && from, "context and both arrays", &d) && copy(c, to, from, &d);
    return diags_hand_over(&d, ok, diags);
}
