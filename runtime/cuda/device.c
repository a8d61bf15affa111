/*
 * An NVIDIA GPU as a device: its primary context, shared with every other user of the driver in the process, is
 * current only during a call. Freed memory is kept for reuse, by size; see cuda_alloc.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "cuda/driver.h"
#include "device.h"

#define NO_SPAN ((struct span){0, 0})

enum { ALIGNMENT = 256, KEPT_MOST = 64, LAUNCH_BUFFER = 1, LAUNCH_BUFFER_SIZE = 2, LAUNCH_END = 0 };

struct piece {
    CUdeviceptr at;
    size_t size;
    struct piece *next;
};

struct cuda_device {
    struct device device;
    struct driver driver;
    CUdevice handle;
    CUcontext context;
    pthread_mutex_t lock; /* guards the lists */
    struct piece *used, *kept;
    unsigned n_kept;
    void *stream; /* of the last work given to the device */
};

struct device_module {
    CUmodule module;
    unsigned n;
    CUfunction entries[];
};

static struct cuda_device *cuda_of(struct device *d)
{
    return (struct cuda_device *)d;
}

static bool enter(struct cuda_device *c, struct diags *diags)
{
    return driver_ok(&c->driver, c->driver.cuCtxPushCurrent(c->context), "cuCtxPushCurrent", diags);
}

/*
 * Memory that was freed while work on it was under way may already serve somebody else. Within one stream that is in
 * order; so when work moves to another stream, all that went before is waited for first. The lock stays held until
 * work_given, else another thread could move on between the wait and the work.
 */
static bool use_stream(struct cuda_device *c, void *stream, struct diags *diags)
{
    pthread_mutex_lock(&c->lock);
    if (c->stream != stream && !driver_ok(&c->driver, c->driver.cuCtxSynchronize(), "cuCtxSynchronize", diags)) {
        pthread_mutex_unlock(&c->lock);
        return false;
    }
    c->stream = stream;
    return true;
}

static bool work_given(struct cuda_device *c, CUresult r, const char *call, struct diags *diags)
{
    pthread_mutex_unlock(&c->lock);
    return driver_ok(&c->driver, r, call, diags);
}

static void leave(struct cuda_device *c)
{
    CUcontext ignored;
    c->driver.cuCtxPopCurrent(&ignored);
}

/* ---- memory ---- */

static size_t rounded(size_t size)
{
    size_t unit = size < ((size_t)1 << 20) ? ALIGNMENT : (size_t)1 << 21;
    return (size + unit - 1) / unit * unit;
}

static struct piece *take_kept(struct cuda_device *c, size_t size)
{
    for (struct piece **p = &c->kept; *p; p = &(*p)->next)
        if ((*p)->size == size) {
            struct piece *found = *p;
            *p = found->next;
            c->n_kept--;
            return found;
        }
    return NULL;
}

/* entered: false when the context cannot be used any more; then only our own part goes. */
static void forget(struct cuda_device *c, struct piece **list, bool entered)
{
    while (*list) {
        struct piece *p = *list;
        *list = p->next;
        if (entered)
            c->driver.cuMemFree(p->at);
        free(p);
    }
}

static void release_kept(struct cuda_device *c)
{
    forget(c, &c->kept, true);
    c->n_kept = 0;
}

static void out_of_memory(struct cuda_device *c, size_t size, struct diags *diags)
{
    size_t left = 0, total = 0;
    c->driver.cuMemGetInfo(&left, &total);
    diag_add(diags, AX_device_out_of_memory, NO_SPAN, "the GPU has no memory for %zu bytes: %zu of %zu are free", size, left, total);
}

static struct piece *make_piece(struct cuda_device *c, size_t size, struct diags *diags)
{
    struct piece *p = calloc(1, sizeof *p);
    if (!p) {
        diag_add(diags, AX_out_of_memory, NO_SPAN, "out of memory");
        return NULL;
    }
    CUresult r = c->driver.cuMemAlloc(&p->at, size);
    if (r == CUDA_ERROR_OUT_OF_MEMORY) {
        release_kept(c);
        r = c->driver.cuMemAlloc(&p->at, size);
    }
    p->size = size;
    if (r == CUDA_SUCCESS)
        return p;
    if (r == CUDA_ERROR_OUT_OF_MEMORY)
        out_of_memory(c, size, diags);
    else
        driver_ok(&c->driver, r, "cuMemAlloc", diags);
    free(p);
    return NULL;
}

/*
 * A freed piece serves the next request of its size without waiting; use_stream keeps that in order.
 */
static bool cuda_alloc(struct device *d, size_t size, void **out, struct diags *diags)
{
    struct cuda_device *c = cuda_of(d);
    *out = NULL;
    if (!enter(c, diags))
        return false;
    size_t need = rounded(size ? size : 1);
    pthread_mutex_lock(&c->lock);
    struct piece *p = take_kept(c, need);
    if (!p)
        p = make_piece(c, need, diags);
    if (p) {
        p->next = c->used;
        c->used = p;
        *out = (void *)(uintptr_t)p->at;
    }
    pthread_mutex_unlock(&c->lock);
    leave(c);
    return p != NULL;
}

static void give_back(struct cuda_device *c, struct piece *p)
{
    if (c->n_kept >= KEPT_MOST) {
        c->driver.cuMemFree(p->at);
        free(p);
        return;
    }
    p->next = c->kept;
    c->kept = p;
    c->n_kept++;
}

static void cuda_free(struct device *d, void *address)
{
    struct cuda_device *c = cuda_of(d);
    struct diags quiet;
    diags_init(&quiet);
    if (address && enter(c, &quiet)) {
        pthread_mutex_lock(&c->lock);
        for (struct piece **p = &c->used; *p; p = &(*p)->next)
            if ((*p)->at == (CUdeviceptr)(uintptr_t)address) {
                struct piece *found = *p;
                *p = found->next;
                give_back(c, found);
                break;
            }
        pthread_mutex_unlock(&c->lock);
        leave(c);
    }
    diags_fini(&quiet);
}

static CUdeviceptr pointer(const void *p)
{
    return (CUdeviceptr)(uintptr_t)p;
}

static bool waited(struct cuda_device *c, void *stream, struct diags *diags)
{
    return driver_ok(&c->driver, c->driver.cuStreamSynchronize(stream), "cuStreamSynchronize", diags);
}

/* Ordinary memory is staged by the driver before the call returns, so the source may change at once. */
static bool cuda_copy_in(struct device *d, void *to, const void *from, size_t size, void *stream, struct diags *diags)
{
    struct cuda_device *c = cuda_of(d);
    if (size == 0)
        return true;
    if (!enter(c, diags))
        return false;
    bool ok = use_stream(c, stream, diags) && work_given(c, c->driver.cuMemcpyHtoDAsync(pointer(to), from, size, stream), "cuMemcpyHtoD", diags) &&
              waited(c, stream, diags);
    leave(c);
    return ok;
}

static bool cuda_copy_out(struct device *d, void *to, const void *from, size_t size, void *stream, struct diags *diags)
{
    struct cuda_device *c = cuda_of(d);
    if (!enter(c, diags))
        return false;
    bool ok = size == 0 || (use_stream(c, stream, diags) && work_given(c, c->driver.cuMemcpyDtoHAsync(to, pointer(from), size, stream), "cuMemcpyDtoH", diags));
    ok = ok && waited(c, stream, diags);
    leave(c);
    return ok;
}

static bool cuda_copy(struct device *d, void *to, const void *from, size_t size, void *stream, struct diags *diags)
{
    struct cuda_device *c = cuda_of(d);
    if (size == 0)
        return true;
    if (!enter(c, diags))
        return false;
    bool ok = use_stream(c, stream, diags) && work_given(c, c->driver.cuMemcpyDtoDAsync(pointer(to), pointer(from), size, stream), "cuMemcpyDtoD", diags);
    leave(c);
    return ok;
}

static bool cuda_zero(struct device *d, void *p, size_t size, void *stream, struct diags *diags)
{
    struct cuda_device *c = cuda_of(d);
    if (size == 0)
        return true;
    if (!enter(c, diags))
        return false;
    bool ok = use_stream(c, stream, diags) && work_given(c, c->driver.cuMemsetD8Async(pointer(p), 0, size, stream), "cuMemset", diags);
    leave(c);
    return ok;
}

/* ---- code ---- */

static bool is_rejection(CUresult r)
{
    return r == CUDA_ERROR_INVALID_PTX || r == CUDA_ERROR_UNSUPPORTED_PTX_VERSION || r == CUDA_ERROR_NO_BINARY_FOR_GPU || r == CUDA_ERROR_JIT_COMPILER_NOT_FOUND;
}

static bool load_module(struct cuda_device *c, const struct kernel_image *image, CUmodule *out, struct diags *diags)
{
    char log[4096] = "";
    int options[] = {JIT_ERROR_LOG, JIT_ERROR_LOG_SIZE};
    void *values[] = {log, (void *)(uintptr_t)(sizeof log - 1)};
    CUresult r = c->driver.cuModuleLoadDataEx(out, image->bytes, 2, options, values);
    const char *name = NULL;
    if (r == CUDA_SUCCESS)
        return true;
    if (!is_rejection(r))
        return driver_ok(&c->driver, r, "cuModuleLoadDataEx", diags);
    c->driver.cuGetErrorName(r, &name);
    diag_add(diags, AX_ptx_rejected, NO_SPAN, "the CUDA driver refused the code: %s", name ? name : "no name");
    if (log[0])
        diag_note(diags, NO_SPAN, "%s", log);
    return false;
}

static bool find_entries(struct cuda_device *c, struct device_module *m, const struct kernel_image *image, struct diags *diags)
{
    for (; m->n < image->n_entries; m->n++)
        if (!driver_ok(&c->driver, c->driver.cuModuleGetFunction(&m->entries[m->n], m->module, image->entries[m->n].name), "cuModuleGetFunction", diags))
            return false;
    return true;
}

static bool cuda_load(struct device *d, const struct kernel_image *image, struct device_module **out, struct diags *diags)
{
    struct cuda_device *c = cuda_of(d);
    struct device_module *m = calloc(1, sizeof *m + image->n_entries * sizeof m->entries[0]);
    if (!m || image->kind != IMAGE_PTX) {
        diag_add(diags, m ? AX_load_failed : AX_out_of_memory, NO_SPAN, m ? "the code is not for a GPU" : "out of memory");
        free(m);
        return false;
    }
    bool entered = enter(c, diags), ok = entered && load_module(c, image, &m->module, diags);
    if (ok && !find_entries(c, m, image, diags)) {
        c->driver.cuModuleUnload(m->module);
        ok = false;
    }
    if (entered)
        leave(c);
    if (!ok)
        free(m);
    else
        *out = m;
    return ok;
}

static void cuda_unload(struct device *d, struct device_module *m)
{
    struct cuda_device *c = cuda_of(d);
    struct diags quiet;
    diags_init(&quiet);
    if (enter(c, &quiet)) {
        c->driver.cuCtxSynchronize();
        c->driver.cuModuleUnload(m->module);
        leave(c);
    }
    diags_fini(&quiet);
    free(m);
}

static bool cuda_launch(struct device *d, struct device_module *m, unsigned entry, const struct device_launch *l, void *stream,
                        struct diags *diags)
{
    struct cuda_device *c = cuda_of(d);
    size_t size = l->n_slots * sizeof *l->slots;
    void *extra[] = {(void *)LAUNCH_BUFFER, (void *)l->slots, (void *)LAUNCH_BUFFER_SIZE, &size, (void *)LAUNCH_END};
    if (entry >= m->n) {
        diag_add(diags, AX_internal, NO_SPAN, "no entry %u in this code", entry);
        return false;
    }
    if (!enter(c, diags))
        return false;
    bool ok = use_stream(c, stream, diags) &&
              work_given(c, c->driver.cuLaunchKernel(m->entries[entry], l->grid[0], l->grid[1], l->grid[2], l->block[0], l->block[1], l->block[2], l->shared_bytes, stream, NULL, extra),
                         "cuLaunchKernel", diags);
    leave(c);
    return ok;
}

static bool cuda_synchronize(struct device *d, void *stream, struct diags *diags)
{
    struct cuda_device *c = cuda_of(d);
    if (!enter(c, diags))
        return false;
    bool ok = waited(c, stream, diags);
    leave(c);
    return ok;
}

/* ---- life ---- */

static void cuda_close(struct device *d)
{
    struct cuda_device *c = cuda_of(d);
    struct diags quiet;
    diags_init(&quiet);
    bool entered = c->context && enter(c, &quiet);
    forget(c, &c->used, entered);
    forget(c, &c->kept, entered);
    if (entered)
        leave(c);
    if (c->context)
        c->driver.cuDevicePrimaryCtxRelease(c->handle);
    driver_close(&c->driver);
    pthread_mutex_destroy(&c->lock);
    diags_fini(&quiet);
    free(c);
}

static const struct device_ops cuda_ops = {
    DEVICE_CUDA, "cuda", cuda_alloc, cuda_free, cuda_copy_in, cuda_copy_out, cuda_copy, cuda_zero, cuda_load, cuda_unload, cuda_launch, cuda_synchronize, cuda_close,
};

static bool attribute(struct cuda_device *c, int which, int *out, struct diags *diags)
{
    return driver_ok(&c->driver, c->driver.cuDeviceGetAttribute(out, which, c->handle), "cuDeviceGetAttribute", diags);
}

static bool find_device(struct cuda_device *c, int ordinal, struct diags *diags)
{
    int count = 0, major = 0, minor = 0;
    if (!driver_ok(&c->driver, c->driver.cuDeviceGetCount(&count), "cuDeviceGetCount", diags))
        return false;
    if (ordinal < 0 || ordinal >= count) {
        diag_add(diags, AX_no_device, NO_SPAN, "there is no CUDA device %d: the driver finds %d", ordinal, count);
        return false;
    }
    if (!driver_ok(&c->driver, c->driver.cuDeviceGet(&c->handle, ordinal), "cuDeviceGet", diags) ||
        !driver_ok(&c->driver, c->driver.cuDriverGetVersion(&c->device.driver_version), "cuDriverGetVersion", diags) ||
        !driver_ok(&c->driver, c->driver.cuDeviceGetName(c->device.title, (int)sizeof c->device.title, c->handle), "cuDeviceGetName", diags) ||
        !attribute(c, ATTRIBUTE_MAJOR, &major, diags) || !attribute(c, ATTRIBUTE_MINOR, &minor, diags) ||
        !attribute(c, ATTRIBUTE_MULTIPROCESSORS, &c->device.multiprocessors, diags))
        return false;
    c->device.title[sizeof c->device.title - 1] = 0;
    c->device.ordinal = ordinal;
    c->device.sm = 10 * major + minor;
    return driver_ok(&c->driver, c->driver.cuDevicePrimaryCtxRetain(&c->context, c->handle), "cuDevicePrimaryCtxRetain", diags);
}

struct device *cuda_device_open(const char *driver, int ordinal, struct diags *diags)
{
    struct cuda_device *c = calloc(1, sizeof *c);
    if (!c) {
        diag_add(diags, AX_out_of_memory, NO_SPAN, "out of memory");
        return NULL;
    }
    pthread_mutex_init(&c->lock, NULL);
    c->device.ops = &cuda_ops;
    if (driver_open(&c->driver, driver, diags) && find_device(c, ordinal, diags))
        return &c->device;
    cuda_close(&c->device);
    return NULL;
}

int cuda_pointer_device(struct device *d, const void *p, struct diags *diags)
{
    struct cuda_device *c = cuda_of(d);
    int ordinal = -1;
    if (!enter(c, diags))
        return -1;
    if (!driver_ok(&c->driver, c->driver.cuPointerGetAttribute(&ordinal, POINTER_DEVICE, (CUdeviceptr)(uintptr_t)p), "cuPointerGetAttribute", diags))
        ordinal = -1;
    leave(c);
    return ordinal;
}

int cuda_device_count(const char *driver, struct diags *diags)
{
    struct driver d;
    int count = -1;
    if (!driver_open(&d, driver, diags))
        return -1;
    if (!driver_ok(&d, d.cuDeviceGetCount(&count), "cuDeviceGetCount", diags))
        count = -1;
    driver_close(&d);
    return count;
}
