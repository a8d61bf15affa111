/*
 * A CUDA driver that has no GPU: the functions of runtime/cuda/driver.def over host memory. Made from the same list as
 * the real one's table, so neither can have a function the other lacks. Any function can be told to fail; what is
 * alive is counted. Controlled through the fake_ functions, looked up by the test with dlsym.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "cuda/driver.h"

#define EXPORT __attribute__((visibility("default")))

enum { MOST_SLOTS = 64, INVALID_VALUE = 1 };

struct block {
    _Alignas(256) size_t size;
    struct block *next;
    void *stream; /* of the last work on it */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    char name[32];
    int nth, code, seen;
} failing;
static bool told; /* the call under way has to fail */
static int live_memory, live_modules, live_contexts, live_streams, live_pages, synchronised, waits, launches, allocations, copies;
static _Thread_local CUcontext current;
static struct block *blocks;
static size_t memory_limit, memory_used, zeroed; /* bytes */
static struct fake_launch {
    unsigned grid[3], block[3], shared, n_slots;
    int entry;
    long long slots[MOST_SLOTS];
} last;
static CUstream waited_for, worked_on;
static int out_of_order;  /* work on memory that another stream has worked on before, with nothing waited for in between */
static char functions[2];
static char anything;
static void *page;
static void *const any_stream = &anything; /* all work has been waited for */

EXPORT void fake_reset(void)
{
    memset(&failing, 0, sizeof failing);
    live_memory = live_modules = live_contexts = live_streams = live_pages = synchronised = launches = allocations = waits = copies = 0;
    memory_limit = memory_used = zeroed = 0;
    out_of_order = 0;
    waited_for = worked_on = NULL;
    memset(&last, 0, sizeof last);
}

EXPORT void fake_fail(const char *name, int nth, int code)
{
    memset(&failing, 0, sizeof failing);
    strncpy(failing.name, name, sizeof failing.name - 1);
    failing.nth = nth;
    failing.code = code;
}

EXPORT int fake_failed(void)
{
    return failing.nth && failing.seen >= failing.nth;
}

EXPORT int fake_live(void)
{
    return live_memory + live_modules + live_contexts + live_streams + live_pages;
}

EXPORT void fake_memory_limit(size_t bytes)
{
    memory_limit = bytes;
}

EXPORT int fake_synchronised(void)
{
    return synchronised;
}

EXPORT size_t fake_zeroed(void)
{
    return zeroed;
}

/* How often a stream was waited for. */
EXPORT int fake_waits(void)
{
    return waits;
}

EXPORT int fake_launches(void)
{
    return launches;
}

/* How often memory was asked for, the host waited, and memory was copied or set. */
EXPORT void fake_counts(int counts[3])
{
    counts[0] = allocations;
    counts[1] = waits;
    counts[2] = copies;
}

EXPORT const void *fake_last_launch(void)
{
    return &last;
}

/* The stream that was waited for last. */
EXPORT void *fake_waited_for(void)
{
    return (void *)waited_for;
}

EXPORT int fake_out_of_order(void)
{
    return out_of_order;
}

/* The stream of the last work. */
EXPORT void *fake_worked_on(void)
{
    return (void *)worked_on;
}

static struct block *block_around(CUdeviceptr p)
{
    for (struct block *b = blocks; b; b = b->next)
        if (p >= (CUdeviceptr)(uintptr_t)(b + 1) && p < (CUdeviceptr)(uintptr_t)(b + 1) + b->size)
            return b;
    return NULL;
}

static void work_on(CUstream stream, CUdeviceptr p)
{
    struct block *b = block_around(p);
    worked_on = stream;
    if (!b)
        return;
    stream = stream == (CUstream)(void *)1 ? NULL : stream; /* another handle of the default one */
    out_of_order += b->stream != any_stream && (void *)stream != b->stream;
    b->stream = (void *)stream;
}

/* ---- what each function does when it is not failing ---- */

static CUresult does_cuInit(unsigned flags) { (void)flags; return 0; }
static CUresult does_cuDriverGetVersion(int *version) { *version = 13000; return 0; }
static CUresult does_cuDeviceGetCount(int *count) { *count = 2; return 0; }
static CUresult does_cuDeviceGet(CUdevice *device, int ordinal) { *device = ordinal; return 0; }
static CUresult does_cuDeviceGetName(char *name, int size, CUdevice device) { (void)device; strncpy(name, "Fake GPU", (size_t)size); return 0; }
static CUresult does_cuDeviceGetAttribute(int *value, int attribute, CUdevice device)
{
    (void)device;
    *value = attribute == ATTRIBUTE_MAJOR ? 9 : attribute == ATTRIBUTE_MINOR ? 0 : 132;
    return 0;
}
static CUresult does_cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) { (void)device; *context = (CUcontext)&live_contexts; live_contexts++; return 0; }
/* With the last user goes the memory, as on a real device; who left it stays in the count. */
static CUresult does_cuDevicePrimaryCtxRelease(CUdevice device)
{
    (void)device;
    live_contexts--;
    while (live_contexts == 0 && blocks) {
        struct block *b = blocks;
        blocks = b->next;
        free(b);
    }
    return 0;
}
static CUresult does_cuCtxPushCurrent(CUcontext context) { current = context; return 0; }
static CUresult does_cuCtxPopCurrent(CUcontext *context) { *context = current; current = NULL; return 0; }
static CUresult does_cuCtxGetCurrent(CUcontext *context) { *context = current; return 0; }
static CUresult does_cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned n, int *options, void **values)
{
    (void)image;
    if (told) { /* as the real one: the log is what an assembler would say */
        for (unsigned i = 0; i + 1 < n; i++)
            if (options[i] == JIT_ERROR_LOG && options[i + 1] == JIT_ERROR_LOG_SIZE)
                memset(values[i], 'x', (uintptr_t)values[i + 1]), strcpy(values[i], "line 3: this is no PTX");
        return 0;
    }
    *module = (CUmodule)malloc(1);
    live_modules++;
    return 0;
}
static CUresult does_cuModuleUnload(CUmodule module) { free(module); live_modules--; return 0; }
static CUresult does_cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name)
{
    (void)module;
    *function = (CUfunction)(void *)&functions[strstr(name, "_main") == NULL];
    return 0;
}
static CUresult does_cuFuncSetAttribute(CUfunction f, int attribute, int value) { (void)f, (void)attribute, (void)value; return 0; }
static CUresult does_cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, CUfunction f, int threads, size_t shared)
{
    (void)f, (void)threads, (void)shared;
    *blocks = 2;
    return 0;
}
static CUresult does_cuLaunchKernel(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, CUstream stream, void **parameters, void **extra)
{
    (void)parameters;
    size_t size = *(size_t *)extra[3];
    work_on(stream, 0);
    last = (struct fake_launch){{gx, gy, gz}, {bx, by, bz}, shared, (unsigned)(size / sizeof *last.slots), (int)((char *)f - functions), {0}};
    memcpy(last.slots, extra[1], size < sizeof last.slots ? size : sizeof last.slots);
    launches++;
    return 0;
}
static CUresult does_cuMemAlloc(CUdeviceptr *p, size_t size)
{
    if (memory_limit && memory_used + size > memory_limit)
        return CUDA_ERROR_OUT_OF_MEMORY;
    struct block *b = aligned_alloc(256, sizeof *b + (size + 255) / 256 * 256);
    if (!b)
        return CUDA_ERROR_OUT_OF_MEMORY;
    b->size = size;
    b->stream = any_stream;
    b->next = blocks;
    blocks = b;
    memory_used += size;
    live_memory++;
    allocations++;
    *p = (CUdeviceptr)(uintptr_t)(b + 1);
    return 0;
}
static CUresult does_cuMemFree(CUdeviceptr p)
{
    for (struct block **at = &blocks; *at; at = &(*at)->next)
        if ((CUdeviceptr)(uintptr_t)(*at + 1) == p) {
            struct block *b = *at;
            *at = b->next;
            memory_used -= b->size;
            live_memory--;
            free(b);
            return 0;
        }
    return INVALID_VALUE;
}
/* What was allocated last that the host sees too. */
EXPORT void *fake_page(void)
{
    return page;
}

static CUresult does_cuMemHostAlloc(void **p, size_t size, unsigned flags)
{
    (void)flags;
    page = *p = aligned_alloc(4096, (size + 4095) / 4096 * 4096);
    live_pages += *p != NULL;
    allocations++;
    return *p ? 0 : CUDA_ERROR_OUT_OF_MEMORY;
}
static CUresult does_cuMemFreeHost(void *p) { free(p); live_pages--; return 0; }
static CUresult does_cuMemGetInfo(size_t *free_bytes, size_t *total) { *total = memory_limit; *free_bytes = memory_limit - memory_used; return 0; }
static CUresult does_cuMemcpyHtoDAsync(CUdeviceptr to, const void *from, size_t size, CUstream stream) { work_on(stream, to); copies++; memcpy((void *)(uintptr_t)to, from, size); return 0; }
static CUresult does_cuMemcpyDtoHAsync(void *to, CUdeviceptr from, size_t size, CUstream stream) { work_on(stream, from); copies++; memcpy(to, (void *)(uintptr_t)from, size); return 0; }
static CUresult does_cuMemcpyDtoDAsync(CUdeviceptr to, CUdeviceptr from, size_t size, CUstream stream) { work_on(stream, to); work_on(stream, from); copies++; memmove((void *)(uintptr_t)to, (void *)(uintptr_t)from, size); return 0; }
static CUresult does_cuMemsetD8Async(CUdeviceptr p, unsigned char value, size_t size, CUstream stream) { work_on(stream, p); zeroed += size; copies++; memset((void *)(uintptr_t)p, value, size); return 0; }
/* All memory is that of device 0; what is in no block is no device's. */
static CUresult does_cuPointerGetAttribute(void *value, int attribute, CUdeviceptr p)
{
    if (attribute != POINTER_DEVICE || !block_around(p))
        return INVALID_VALUE;
    *(int *)value = 0;
    return 0;
}
static CUresult does_cuStreamCreate(CUstream *stream, unsigned flags)
{
    (void)flags;
    *stream = (CUstream)malloc(1);
    live_streams++;
    return 0;
}
static CUresult does_cuStreamDestroy(CUstream stream) { free(stream); live_streams--; return 0; }
static CUresult does_cuStreamSynchronize(CUstream stream)
{
    waited_for = stream;
    waits++;
    for (struct block *b = blocks; b; b = b->next)
        b->stream = b->stream == (stream == (CUstream)(void *)1 ? NULL : (void *)stream) ? any_stream : b->stream;
    return 0;
}
static CUresult does_cuCtxSynchronize(void)
{
    synchronised++;
    waits++;
    for (struct block *b = blocks; b; b = b->next)
        b->stream = any_stream;
    return 0;
}
static CUresult does_cuGetErrorName(CUresult error, const char **name) { *name = error == 2 ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR_FAKE"; return 0; }
static CUresult does_cuGetErrorString(CUresult error, const char **text) { (void)error; *text = "as told"; return 0; }

static bool told_to_fail(const char *name)
{
    return strcmp(failing.name, name) == 0 && ++failing.seen == failing.nth;
}

/* What gives something back does so even when it fails: it then reports an error of work given earlier. */
static bool acts_anyway(const char *name)
{
    static const char *const those[] = {"cuMemFree_v2", "cuModuleUnload", "cuDevicePrimaryCtxRelease_v2", "cuCtxPopCurrent_v2", "cuModuleLoadDataEx", "cuMemFreeHost", "cuStreamDestroy_v2"};
    for (unsigned i = 0; i < sizeof those / sizeof *those; i++)
        if (strcmp(name, those[i]) == 0)
            return true;
    return false;
}

#define DRIVER(name, symbol, parameters, arguments)                                                          \
    EXPORT CUresult fake_##name parameters __asm__(symbol);                                                  \
    EXPORT CUresult fake_##name parameters                                                                   \
    {                                                                                                        \
        pthread_mutex_lock(&lock);                                                                           \
        told = told_to_fail(symbol);                                                                         \
        CUresult r = !told || acts_anyway(symbol) ? does_##name arguments : 0;                               \
        r = told ? failing.code : r;                                                                         \
        pthread_mutex_unlock(&lock);                                                                         \
        return r;                                                                                            \
    }
#include "driver.def"
#undef DRIVER

#ifdef FAKE_LACKS_ONE
__asm__(".hidden cuCtxSynchronize"); /* a driver older than the one we want */
#endif
