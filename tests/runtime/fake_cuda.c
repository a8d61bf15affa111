/*
 * A CUDA driver that has no GPU: the functions of runtime/cuda/driver.def over host memory. Made from the same list as
 * the real one's table, so neither can have a function the other lacks. Any function can be told to fail; what is
 * alive is counted. Controlled through the fake_ functions, looked up by the test with dlsym.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "cuda/driver.h"

#define EXPORT __attribute__((visibility("default")))

enum { CALLS = 64 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    char name[32];
    int nth, code, seen;
} failing;
static int live_memory, live_modules, live_contexts, synchronised, launches;
static size_t memory_limit, memory_used;
static unsigned last_grid[3];
static long long last_slot;

EXPORT void fake_reset(void)
{
    memset(&failing, 0, sizeof failing);
    live_memory = live_modules = live_contexts = synchronised = launches = 0;
    memory_limit = memory_used = 0;
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
    return failing.seen >= failing.nth;
}

EXPORT int fake_live(void)
{
    return live_memory + live_modules + live_contexts;
}

EXPORT void fake_memory_limit(size_t bytes)
{
    memory_limit = bytes;
}

EXPORT int fake_synchronised(void)
{
    return synchronised;
}

EXPORT int fake_launches(void)
{
    return launches;
}

EXPORT long long fake_last_slot(void)
{
    return last_slot;
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
static CUresult does_cuDevicePrimaryCtxRelease(CUdevice device) { (void)device; live_contexts--; return 0; }
static CUresult does_cuCtxPushCurrent(CUcontext context) { (void)context; return 0; }
static CUresult does_cuCtxPopCurrent(CUcontext *context) { *context = (CUcontext)&live_contexts; return 0; }
static CUresult does_cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned n, int *options, void **values)
{
    (void)image, (void)n, (void)options, (void)values;
    *module = (CUmodule)malloc(1);
    live_modules++;
    return 0;
}
static CUresult does_cuModuleUnload(CUmodule module) { free(module); live_modules--; return 0; }
static CUresult does_cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) { (void)module, (void)name; *function = (CUfunction)&launches; return 0; }
static CUresult does_cuLaunchKernel(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, CUstream stream, void **parameters, void **extra)
{
    (void)f, (void)bx, (void)by, (void)bz, (void)shared, (void)stream, (void)parameters;
    last_grid[0] = gx, last_grid[1] = gy, last_grid[2] = gz;
    last_slot = *(long long *)extra[1];
    launches++;
    return 0;
}
static CUresult does_cuMemAlloc(CUdeviceptr *p, size_t size)
{
    if (memory_limit && memory_used + size > memory_limit)
        return CUDA_ERROR_OUT_OF_MEMORY;
    size_t *block = malloc(size + 64);
    block[0] = size;
    memory_used += size;
    live_memory++;
    *p = (CUdeviceptr)(uintptr_t)(block + 8);
    return 0;
}
static CUresult does_cuMemFree(CUdeviceptr p)
{
    size_t *block = (size_t *)(uintptr_t)p - 8;
    memory_used -= block[0];
    live_memory--;
    free(block);
    return 0;
}
static CUresult does_cuMemGetInfo(size_t *free_bytes, size_t *total) { *total = memory_limit; *free_bytes = memory_limit - memory_used; return 0; }
static CUresult does_cuMemcpyHtoDAsync(CUdeviceptr to, const void *from, size_t size, CUstream stream) { (void)stream; memcpy((void *)(uintptr_t)to, from, size); return 0; }
static CUresult does_cuMemcpyDtoHAsync(void *to, CUdeviceptr from, size_t size, CUstream stream) { (void)stream; memcpy(to, (void *)(uintptr_t)from, size); return 0; }
static CUresult does_cuMemcpyDtoDAsync(CUdeviceptr to, CUdeviceptr from, size_t size, CUstream stream) { (void)stream; memmove((void *)(uintptr_t)to, (void *)(uintptr_t)from, size); return 0; }
static CUresult does_cuMemsetD8Async(CUdeviceptr p, unsigned char value, size_t size, CUstream stream) { (void)stream; memset((void *)(uintptr_t)p, value, size); return 0; }
static CUresult does_cuStreamSynchronize(CUstream stream) { (void)stream; return 0; }
static CUresult does_cuCtxSynchronize(void) { synchronised++; return 0; }
static CUresult does_cuGetErrorName(CUresult error, const char **name) { *name = error == 2 ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR_FAKE"; return 0; }
static CUresult does_cuGetErrorString(CUresult error, const char **text) { (void)error; *text = "as told"; return 0; }

static int told_to_fail(const char *name)
{
    return strcmp(failing.name, name) == 0 && ++failing.seen == failing.nth;
}

#define DRIVER(name, symbol, parameters, arguments)                                                          \
    EXPORT CUresult fake_##name parameters __asm__(symbol);                                                  \
    EXPORT CUresult fake_##name parameters                                                                   \
    {                                                                                                        \
        pthread_mutex_lock(&lock);                                                                           \
        CUresult r = told_to_fail(symbol) ? failing.code : does_##name arguments;                            \
        pthread_mutex_unlock(&lock);                                                                         \
        return r;                                                                                            \
    }
#include "driver.def"
#undef DRIVER
