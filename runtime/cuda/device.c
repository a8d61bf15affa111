/*
 * An NVIDIA GPU as a device: its primary context, shared with every other user of the driver in the process, is
 * current only during a call, unless it is so anyway. Freed memory is kept for reuse, by size and stream; see cuda_alloc.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "cuda/driver.h"
#include "device.h"

#define NO_SPAN ((struct span){0, 0})

enum { ALIGNMENT = 256, BUCKETS = 256, KEPT_MOST = 256, LAUNCH_BUFFER = 1, LAUNCH_BUFFER_SIZE = 2, LAUNCH_END = 0, SHARED_BLOCK = 4096, PORTABLE_AND_MAPPED = 3 };

/* Device memory: in use, or kept for reuse. */
struct piece {
    CUdeviceptr at;
    size_t size;
    struct piece *next;
    void *stream;   /* whose work it was allocated for */
    bool wide;      /* other streams have used it too */
    uint64_t freed; /* when: c->clock */
};

/* A page that the host and the GPU see, in parts of CUDA_SHARED bytes; `used` has a bit each. */
struct shared {
    struct shared *next;
    char *at;
    uint64_t used;
};

struct cuda_device {
    struct device device;
    struct driver driver;
    CUdevice handle;
    CUcontext context;
    pthread_mutex_t lock; /* guards what follows, but for the atomics */
    struct piece *used[BUCKETS], *kept[BUCKETS]; /* by address; by size */
    unsigned n_kept;
    uint64_t clock, waited; /* frees so far; how many there were when all work was waited for last */
    _Atomic(void *) first;  /* the stream that memory was asked for first; DEVICE_STREAMS_OF_OTHERS: none so far */
    _Atomic bool several;   /* another one followed */
    _Atomic bool elsewhere; /* there may be work under way on another stream than the default one */
    struct shared *shared;
};

struct device_module {
    CUmodule module;
    unsigned n;
    struct entry_of_module {
        CUfunction function;
        _Atomic unsigned shared; /* bytes of it that launches may ask for, beyond what all may */
    } entries[];
};

static struct cuda_device *cuda_of(struct device *d)
{
    return (struct cuda_device *)d;
}

/* ---- the context ---- */

enum entry { OUTSIDE, INSIDE, ENTERED };

/* The context of the device is the thread's own when others have made it so (CUDA's runtime does), which is quicker than to push it. */
static enum entry enter(struct cuda_device *c, struct diags *diags)
{
    CUcontext current = NULL;
    if (c->driver.cuCtxGetCurrent(&current) == CUDA_SUCCESS && current == c->context)
        return INSIDE;
    return driver_ok(&c->driver, c->driver.cuCtxPushCurrent(c->context), "cuCtxPushCurrent", diags) ? ENTERED : OUTSIDE;
}

static void leave(struct cuda_device *c, enum entry how)
{
    CUcontext ignored;
    if (how == ENTERED)
        c->driver.cuCtxPopCurrent(&ignored);
}

/* ---- streams ---- */

static void *stream_of(void *stream)
{
    return stream == DEVICE_STREAM_DEFAULT ? NULL : stream;
}

/* Notes work that is about to be given to a stream. */
static void on_stream(struct cuda_device *c, void *stream)
{
    if (stream_of(stream))
        atomic_store(&c->elsewhere, true);
}

/* Waits for all work; what has been freed until now then serves anybody. Entered, without the lock. */
static bool wait_all(struct cuda_device *c, struct diags *diags)
{
    pthread_mutex_lock(&c->lock);
    uint64_t now = c->clock;
    pthread_mutex_unlock(&c->lock);
    bool elsewhere = atomic_exchange(&c->elsewhere, false);
    if (!driver_ok(&c->driver, c->driver.cuCtxSynchronize(), "cuCtxSynchronize", diags)) {
        if (elsewhere)
            atomic_store(&c->elsewhere, true);
        return false;
    }
    pthread_mutex_lock(&c->lock);
    c->waited = c->waited > now ? c->waited : now;
    pthread_mutex_unlock(&c->lock);
    return true;
}

/* Before the default stream reads or writes what the host sees: other streams may not be ordered with it (CU_STREAM_NON_BLOCKING). */
static bool others_done(struct cuda_device *c, void *stream, struct diags *diags)
{
    return stream_of(stream) || !atomic_load(&c->elsewhere) || wait_all(c, diags);
}

/* ---- memory ---- */

static size_t rounded(size_t size)
{
    size_t unit = size < ((size_t)1 << 20) ? ALIGNMENT : (size_t)1 << 21;
    return (size + unit - 1) / unit * unit;
}

static struct piece **used_at(struct cuda_device *c, CUdeviceptr at)
{
    return &c->used[(at / ALIGNMENT ^ at >> 21) % BUCKETS];
}

static struct piece **kept_of(struct cuda_device *c, size_t size)
{
    return &c->kept[(size / ALIGNMENT ^ size >> 21) % BUCKETS];
}

/* Is all work on it done, or before what is given to this stream from now on? */
static bool serves(const struct cuda_device *c, const struct piece *p, void *stream)
{
    return (!p->wide && p->stream == stream && stream != DEVICE_STREAM_OF_THREAD) || p->freed <= c->waited;
}

/* *waiting: pieces of this size that serve once all work is waited for; their bytes. */
static struct piece *take_kept(struct cuda_device *c, size_t size, void *stream, size_t *waiting)
{
    *waiting = 0;
    for (struct piece **p = kept_of(c, size); *p; p = &(*p)->next) {
        struct piece *found = *p;
        if (found->size == size && serves(c, found, stream)) {
            *p = found->next;
            c->n_kept--;
            return found;
        }
        *waiting += found->size == size ? size : 0;
    }
    return NULL;
}

/* entered: false when the context cannot be used any more; then only our own part goes. */
static void forget(struct cuda_device *c, struct piece **lists, bool entered)
{
    for (unsigned i = 0; i < BUCKETS; i++)
        while (lists[i]) {
            struct piece *p = lists[i];
            lists[i] = p->next;
            if (entered)
                c->driver.cuMemFree(p->at);
            free(p);
        }
}

static void release_kept(struct cuda_device *c)
{
    forget(c, c->kept, true);
    c->n_kept = 0;
}

static void out_of_memory(struct cuda_device *c, size_t size, struct diags *diags)
{
    size_t left = 0, total = 0;
    c->driver.cuMemGetInfo(&left, &total);
    diag_add(diags, AX_device_out_of_memory, NO_SPAN, "the GPU has no memory for %zu bytes: %zu of %zu are free", size, left, total);
}

/* cuMemFree waits for all work, so what is released may be in use until then. */
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

static struct piece *new_piece(struct cuda_device *c, size_t size, struct diags *diags)
{
    enum entry how = enter(c, diags);
    if (how == OUTSIDE)
        return NULL;
    struct piece *p = make_piece(c, size, diags);
    leave(c, how);
    return p;
}

/* So much that other streams have freed is rather waited for than left lying. */
static bool worth_waiting(size_t waiting, size_t size)
{
    return waiting >= 8 * size || waiting >= (size_t)64 << 20;
}

/* Without the lock. */
static void wait_for_kept(struct cuda_device *c, struct diags *diags)
{
    enum entry how = enter(c, diags);
    if (how == OUTSIDE)
        return;
    wait_all(c, diags);
    leave(c, how);
}

static void note_stream(struct cuda_device *c, void *stream)
{
    void *first = atomic_load(&c->first);
    if (first == DEVICE_STREAMS_OF_OTHERS)
        atomic_store(&c->first, stream);
    else if (first != stream)
        atomic_store(&c->several, true);
}

/*
 * Memory that is freed may still be in use by work under way. It serves the next request of its size that is for the same stream, whose work comes
 * after that; others, and where several streams have used it, only once all work was waited for.
 */
static bool cuda_alloc(struct device *d, size_t size, void *stream, void **out, struct diags *diags)
{
    struct cuda_device *c = cuda_of(d);
    size_t need = rounded(size ? size : 1), waiting;
    *out = NULL;
    stream = stream_of(stream);
    pthread_mutex_lock(&c->lock);
    note_stream(c, stream);
    struct piece *p = take_kept(c, need, stream, &waiting);
    if (!p && worth_waiting(waiting, need)) {
        struct diags quiet;
        pthread_mutex_unlock(&c->lock);
        diags_init(&quiet);
        wait_for_kept(c, &quiet);
        diags_fini(&quiet);
        pthread_mutex_lock(&c->lock);
        p = take_kept(c, need, stream, &waiting);
    }
    p = p ? p : new_piece(c, need, diags);
    if (p) {
        struct piece **list = used_at(c, p->at);
        p->stream = stream;
        p->wide = false;
        p->next = *list;
        *list = p;
        *out = (void *)(uintptr_t)p->at;
    }
    pthread_mutex_unlock(&c->lock);
    return p != NULL;
}

static void release(struct cuda_device *c, struct piece *p)
{
    struct diags quiet;
    diags_init(&quiet);
    enum entry how = enter(c, &quiet);
    if (how != OUTSIDE)
        c->driver.cuMemFree(p->at);
    leave(c, how);
    diags_fini(&quiet);
    free(p);
}

static void keep(struct cuda_device *c, struct piece *p)
{
    struct piece **list = kept_of(c, p->size);
    p->freed = ++c->clock;
    p->next = *list;
    *list = p;
    c->n_kept++;
}

static struct piece **find_used(struct cuda_device *c, const void *address)
{
    CUdeviceptr at = (CUdeviceptr)(uintptr_t)address;
    for (struct piece **p = used_at(c, at); *p; p = &(*p)->next)
        if ((*p)->at == at)
            return p;
    return NULL;
}

static void cuda_free(struct device *d, void *address)
{
    struct cuda_device *c = cuda_of(d);
    struct piece *found = NULL;
    pthread_mutex_lock(&c->lock);
    struct piece **p = address ? find_used(c, address) : NULL;
    if (p) {
        found = *p;
        *p = found->next;
        if (c->n_kept < KEPT_MOST) {
            keep(c, found);
            found = NULL;
        }
    }
    pthread_mutex_unlock(&c->lock);
    if (found)
        release(c, found);
}

/* The piece that an address lies in, which need not be its first. */
static struct piece *piece_around(struct cuda_device *c, const void *address)
{
    CUdeviceptr at = (CUdeviceptr)(uintptr_t)address;
    struct piece **exact = find_used(c, address);
    for (unsigned i = 0; !exact && i < BUCKETS; i++)
        for (struct piece *p = c->used[i]; p; p = p->next)
            if (at - p->at < p->size)
                return p;
    return exact ? *exact : NULL;
}

/* While all memory is asked for and used on one stream, as in most processes, a look at two fields does. */
static void cuda_uses(struct device *d, const void *address, void *stream)
{
    struct cuda_device *c = cuda_of(d);
    stream = stream_of(stream);
    if (!atomic_load_explicit(&c->several, memory_order_relaxed) && atomic_load_explicit(&c->first, memory_order_relaxed) == stream)
        return;
    pthread_mutex_lock(&c->lock);
    if (stream != DEVICE_STREAMS_OF_OTHERS)
        note_stream(c, stream);
    struct piece *p = piece_around(c, address);
    if (p && p->stream != stream)
        p->wide = true;
    pthread_mutex_unlock(&c->lock);
}

/* ---- memory that the host sees too ---- */

static bool add_shared(struct cuda_device *c, struct diags *diags)
{
    struct shared *s = calloc(1, sizeof *s);
    enum entry how = s ? enter(c, diags) : OUTSIDE;
    void *at = NULL;
    bool ok = how != OUTSIDE && driver_ok(&c->driver, c->driver.cuMemHostAlloc(&at, SHARED_BLOCK, PORTABLE_AND_MAPPED), "cuMemHostAlloc", diags);
    leave(c, how);
    if (!s)
        diag_add(diags, AX_out_of_memory, NO_SPAN, "out of memory");
    if (!ok) {
        free(s);
        return false;
    }
    s->at = at;
    s->next = c->shared;
    c->shared = s;
    return true;
}

static void *take_shared(struct cuda_device *c)
{
    for (struct shared *s = c->shared; s; s = s->next)
        if (~s->used) {
            unsigned i = (unsigned)__builtin_ctzll(~s->used);
            s->used |= UINT64_C(1) << i;
            return memset(s->at + i * CUDA_SHARED, 0, CUDA_SHARED);
        }
    return NULL;
}

void *cuda_shared_new(struct device *d, struct diags *diags)
{
    struct cuda_device *c = cuda_of(d);
    pthread_mutex_lock(&c->lock);
    void *p = take_shared(c);
    if (!p && add_shared(c, diags))
        p = take_shared(c);
    pthread_mutex_unlock(&c->lock);
    return p;
}

void cuda_shared_free(struct device *d, void *p)
{
    struct cuda_device *c = cuda_of(d);
    pthread_mutex_lock(&c->lock);
    for (struct shared *s = c->shared; p && s; s = s->next)
        if ((uintptr_t)p - (uintptr_t)s->at < SHARED_BLOCK)
            s->used &= ~(UINT64_C(1) << ((uintptr_t)p - (uintptr_t)s->at) / CUDA_SHARED);
    pthread_mutex_unlock(&c->lock);
}

static void forget_shared(struct cuda_device *c, bool entered)
{
    while (c->shared) {
        struct shared *s = c->shared;
        c->shared = s->next;
        if (entered)
            c->driver.cuMemFreeHost(s->at);
        free(s);
    }
}

/* ---- copies ---- */

static CUdeviceptr pointer(const void *p)
{
    return (CUdeviceptr)(uintptr_t)p;
}

static bool waited(struct cuda_device *c, void *stream, struct diags *diags)
{
    return driver_ok(&c->driver, c->driver.cuStreamSynchronize(stream), "cuStreamSynchronize", diags);
}

enum way { INTO_DEVICE, OUT_OF_DEVICE, WITHIN_DEVICE };

/* Ordinary memory is staged by the driver before the call returns, so the source may change at once. */
static bool start_copy(struct cuda_device *c, enum way way, void *to, const void *from, size_t size, void *stream, struct diags *diags)
{
    struct driver *driver = &c->driver;
    if (way == INTO_DEVICE)
        return driver_ok(driver, driver->cuMemcpyHtoDAsync(pointer(to), from, size, stream), "cuMemcpyHtoD", diags);
    if (way == OUT_OF_DEVICE)
        return driver_ok(driver, driver->cuMemcpyDtoHAsync(to, pointer(from), size, stream), "cuMemcpyDtoH", diags);
    return driver_ok(driver, driver->cuMemcpyDtoDAsync(pointer(to), pointer(from), size, stream), "cuMemcpyDtoD", diags);
}

/* Where the host has a part in it, it is waited for. */
static bool copy_some(struct cuda_device *c, enum way way, void *to, const void *from, size_t size, void *stream, struct diags *diags)
{
    enum entry how = enter(c, diags);
    if (how == OUTSIDE)
        return false;
    on_stream(c, stream);
    bool ok = others_done(c, stream, diags) && (size == 0 || start_copy(c, way, to, from, size, stream, diags)) && (way == WITHIN_DEVICE || waited(c, stream, diags));
    leave(c, how);
    return ok;
}

static bool cuda_copy_in(struct device *d, void *to, const void *from, size_t size, void *stream, struct diags *diags)
{
    return size == 0 || copy_some(cuda_of(d), INTO_DEVICE, to, from, size, stream, diags);
}

/* Waits even for nothing: for what the stream has to do before. */
static bool cuda_copy_out(struct device *d, void *to, const void *from, size_t size, void *stream, struct diags *diags)
{
    return copy_some(cuda_of(d), OUT_OF_DEVICE, to, from, size, stream, diags);
}

static bool cuda_copy(struct device *d, void *to, const void *from, size_t size, void *stream, struct diags *diags)
{
    return size == 0 || copy_some(cuda_of(d), WITHIN_DEVICE, to, from, size, stream, diags);
}

static bool cuda_zero(struct device *d, void *p, size_t size, void *stream, struct diags *diags)
{
    struct cuda_device *c = cuda_of(d);
    if (size == 0)
        return true;
    enum entry how = enter(c, diags);
    if (how == OUTSIDE)
        return false;
    on_stream(c, stream);
    bool ok = driver_ok(&c->driver, c->driver.cuMemsetD8Async(pointer(p), 0, size, stream), "cuMemset", diags);
    leave(c, how);
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
        if (!driver_ok(&c->driver, c->driver.cuModuleGetFunction(&m->entries[m->n].function, m->module, image->entries[m->n].name), "cuModuleGetFunction", diags))
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
    enum entry how = enter(c, diags);
    bool ok = how != OUTSIDE && load_module(c, image, &m->module, diags);
    if (ok && !find_entries(c, m, image, diags)) {
        c->driver.cuModuleUnload(m->module);
        ok = false;
    }
    leave(c, how);
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
    enum entry how = enter(c, &quiet);
    if (how != OUTSIDE) {
        wait_all(c, &quiet);
        c->driver.cuModuleUnload(m->module);
        leave(c, how);
    }
    diags_fini(&quiet);
    free(m);
}

/* What a launch takes beyond the least that all GPUs have must be said before. */
static CUresult allow_shared(struct cuda_device *c, struct device_module *m, unsigned entry, unsigned bytes)
{
    enum { ALL_MAY = 40 << 10 };
    if (bytes <= ALL_MAY || bytes <= atomic_load(&m->entries[entry].shared))
        return CUDA_SUCCESS;
    CUresult r = c->driver.cuFuncSetAttribute(m->entries[entry].function, FUNCTION_MOST_SHARED, (int)bytes);
    if (r == CUDA_SUCCESS)
        atomic_store(&m->entries[entry].shared, bytes);
    return r;
}

static unsigned cuda_at_once(struct device *d, struct device_module *m, unsigned entry, const struct device_launch *l)
{
    struct cuda_device *c = cuda_of(d);
    struct diags quiet;
    int blocks = 0;
    diags_init(&quiet);
    enum entry how = enter(c, &quiet);
    if (how != OUTSIDE) {
        if (allow_shared(c, m, entry, l->shared_bytes) != CUDA_SUCCESS ||
            c->driver.cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, m->entries[entry].function, (int)(l->block[0] * l->block[1] * l->block[2]), l->shared_bytes) != CUDA_SUCCESS)
            blocks = 0;
        leave(c, how);
    }
    diags_fini(&quiet);
    return blocks > 0 ? (unsigned)(blocks * d->multiprocessors) : 0;
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
    enum entry how = enter(c, diags);
    if (how == OUTSIDE)
        return false;
    on_stream(c, stream);
    CUresult r = allow_shared(c, m, entry, l->shared_bytes);
    if (r == CUDA_SUCCESS)
        r = c->driver.cuLaunchKernel(m->entries[entry].function, l->grid[0], l->grid[1], l->grid[2], l->block[0], l->block[1], l->block[2], l->shared_bytes, stream, NULL, extra);
    leave(c, how);
    return driver_ok(&c->driver, r, "cuLaunchKernel", diags);
}

static bool cuda_synchronize(struct device *d, void *stream, struct diags *diags)
{
    struct cuda_device *c = cuda_of(d);
    enum entry how = enter(c, diags);
    if (how == OUTSIDE)
        return false;
    bool ok = waited(c, stream, diags);
    leave(c, how);
    return ok;
}

bool cuda_wait_all(struct device *d, struct diags *diags)
{
    struct cuda_device *c = cuda_of(d);
    enum entry how = enter(c, diags);
    if (how == OUTSIDE)
        return false;
    bool ok = wait_all(c, diags);
    leave(c, how);
    return ok;
}

bool cuda_stream_new(struct device *d, void **stream, struct diags *diags)
{
    struct cuda_device *c = cuda_of(d);
    CUstream made = NULL;
    enum entry how = enter(c, diags);
    if (how == OUTSIDE)
        return false;
    bool ok = driver_ok(&c->driver, c->driver.cuStreamCreate(&made, 0), "cuStreamCreate", diags);
    leave(c, how);
    *stream = ok ? made : NULL;
    return ok;
}

/* Another stream may get the handle; so none of the old one's work may be left, after which memory of it is taken to be. */
void cuda_stream_free(struct device *d, void *stream)
{
    struct cuda_device *c = cuda_of(d);
    struct diags quiet;
    diags_init(&quiet);
    enum entry how = enter(c, &quiet);
    if (how != OUTSIDE) {
        waited(c, stream, &quiet);
        c->driver.cuStreamDestroy(stream);
        leave(c, how);
    }
    diags_fini(&quiet);
}

/* ---- life ---- */

static void cuda_close(struct device *d)
{
    struct cuda_device *c = cuda_of(d);
    struct diags quiet;
    diags_init(&quiet);
    enum entry how = c->context ? enter(c, &quiet) : OUTSIDE;
    forget(c, c->used, how != OUTSIDE);
    forget(c, c->kept, how != OUTSIDE);
    forget_shared(c, how != OUTSIDE);
    leave(c, how);
    if (c->context)
        c->driver.cuDevicePrimaryCtxRelease(c->handle);
    driver_close(&c->driver);
    pthread_mutex_destroy(&c->lock);
    diags_fini(&quiet);
    free(c);
}

static const struct device_ops cuda_ops = {
    DEVICE_CUDA, "cuda", cuda_alloc, cuda_free, cuda_copy_in, cuda_copy_out, cuda_copy, cuda_zero, cuda_load, cuda_unload, cuda_launch, cuda_at_once, cuda_synchronize, cuda_uses, cuda_close,
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
        !attribute(c, ATTRIBUTE_MULTIPROCESSORS, &c->device.multiprocessors, diags) || !attribute(c, ATTRIBUTE_SHARED_OF_MULTIPROCESSOR, &c->device.shared_bytes, diags))
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
    atomic_init(&c->first, DEVICE_STREAMS_OF_OTHERS);
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
    enum entry how = enter(c, diags);
    if (how == OUTSIDE)
        return -1;
    if (!driver_ok(&c->driver, c->driver.cuPointerGetAttribute(&ordinal, POINTER_DEVICE, (CUdeviceptr)(uintptr_t)p), "cuPointerGetAttribute", diags))
        ordinal = -1;
    leave(c, how);
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
