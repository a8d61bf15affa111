/*
 * A device: memory, code and launches behind one small table, the same for the CPU and a GPU.
 *
 * Memory functions take device addresses (on the CPU: ordinary pointers). A failing call adds a diagnostic and
 * returns false; nothing is half done. A device may be used from any thread. Functions block unless they say
 * otherwise; launch and the copies go to `stream` (NULL: the device's own, blocking semantics of the default stream).
 */
#ifndef AREX_RUNTIME_DEVICE_H
#define AREX_RUNTIME_DEVICE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/diag.h"
#include "base/image.h"
#include "watch.h"

struct device;
struct device_module; /* loaded code; made and freed by its device */

enum device_kind { DEVICE_CPU, DEVICE_CUDA };

/* What one entry of a module is asked to do. */
struct device_launch {
    const int64_t *slots; /* its arguments; on a GPU passed by value */
    unsigned n_slots;
    /* CPU: the function is called as void f(const int64_t *slots, int64_t begin, int64_t end) over disjoint
     * ranges that cover 0..items, from several threads when it pays; every begin is a multiple of grain. */
    int64_t items, grain;
    struct watch *watch; /* CPU: may stop it, and is told how far it is; NULL: nobody */
    /* CUDA: */
    unsigned grid[3], block[3], shared_bytes;
};

struct device_ops {
    enum device_kind kind;
    const char *name; /* "cpu", "cuda" */
    /* For work on a stream (NULL: waited for, or on the default one); aligned to 64 (CPU), 256 (GPU); size 0 gives a valid pointer or NULL. */
    bool (*alloc)(struct device *d, size_t size, void *stream, void **out, struct diags *diags);
    void (*free)(struct device *d, void *p); /* at once, whatever work on it is under way: it serves others when that is done */
    bool (*copy_in)(struct device *d, void *to, const void *from_host, size_t size, void *stream, struct diags *diags);
    bool (*copy_out)(struct device *d, void *to_host, const void *from, size_t size, void *stream, struct diags *diags); /* waits for the stream */
    bool (*copy)(struct device *d, void *to, const void *from, size_t size, void *stream, struct diags *diags);
    bool (*zero)(struct device *d, void *p, size_t size, void *stream, struct diags *diags);
    bool (*load)(struct device *d, const struct kernel_image *image, struct device_module **out, struct diags *diags);
    void (*unload)(struct device *d, struct device_module *m); /* waits for work that uses it */
    bool (*launch)(struct device *d, struct device_module *m, unsigned entry, const struct device_launch *l, void *stream,
                   struct diags *diags);
    unsigned (*at_once)(struct device *d, struct device_module *m, unsigned entry, const struct device_launch *l); /* blocks of such a launch that are under way at once; 0: not known. NULL on the CPU */
    bool (*synchronize)(struct device *d, void *stream, struct diags *diags);
    /* Work on this stream (DEVICE_STREAMS_OF_OTHERS: on any) uses memory that was perhaps allocated for another: said before it is freed. */
    void (*uses)(struct device *d, const void *p, void *stream);
    void (*close)(struct device *d); /* frees the device; no call may be under way */
};

#define DEVICE_STREAM_DEFAULT   ((void *)1) /* CUDA's own handle of its default stream: the same as NULL, but nobody waits */
#define DEVICE_STREAM_OF_THREAD ((void *)2) /* another one in each thread */
#define DEVICE_STREAMS_OF_OTHERS ((void *)-1)

struct device {
    const struct device_ops *ops;
    int ordinal; /* CUDA device number; 0 for the CPU */
    /* CUDA facts, 0 on the CPU */
    int sm;             /* 90 for compute capability 9.0 */
    int driver_version; /* 13000 for CUDA 13.0 */
    int multiprocessors;
    int shared_bytes; /* shared memory that a multiprocessor has for blocks */
    char title[96]; /* "NVIDIA H100 80GB HBM3" or the CPU's model name */
};

/* threads: 0 for one per CPU the process may use. Workers start on first need. */
struct device *cpu_device_open(unsigned threads, struct diags *diags);
unsigned cpu_device_threads(const struct device *d);
/* For one call: at most so many threads (0: no limit). The same bits whatever the number. */
bool cpu_launch_with(struct device *d, struct device_module *m, unsigned entry, const struct device_launch *l,
                     unsigned max_threads, struct diags *diags);

/* driver: path or soname to open instead of libcuda.so.1, or NULL. NULL, with a diagnostic that lists what was looked
 * for and what the loader said, when there is no usable driver or no such device. Uses the device's primary context. */
struct device *cuda_device_open(const char *driver, int ordinal, struct diags *diags);
/* The CUDA device in whose memory this lies, as the driver knows it; -1 with a diagnostic when it is no memory of one. d: any CUDA device. */
int cuda_pointer_device(struct device *d, const void *p, struct diags *diags);
/* Streams of a CUDA device, which the work of the default one goes before and comes after. Freeing one waits for its work. */
bool cuda_stream_new(struct device *d, void **stream, struct diags *diags);
void cuda_stream_free(struct device *d, void *stream);
/* All work on the device, of whoever in the process. */
bool cuda_wait_all(struct device *d, struct diags *diags);
/* CUDA_SHARED bytes of the host's memory, all 0, that kernels reach at the same address. NULL with a diagnostic. */
enum { CUDA_SHARED = 64 };
void *cuda_shared_new(struct device *d, struct diags *diags);
void cuda_shared_free(struct device *d, void *p); /* no kernel uses it any more */
int cuda_device_count(const char *driver, struct diags *diags); /* -1 with a diagnostic when there is no driver */

#endif
