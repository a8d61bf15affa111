/*
 * How one nest meets memory at one call: extents merged as far as every array allows, strides, and from those the
 * variant of code it needs. Pure arithmetic; no device, no allocation.
 */
#ifndef AREX_API_GEOMETRY_H
#define AREX_API_GEOMETRY_H
#include "device.h"
#include "exec.h"

struct geometry_access {
    const struct loop_access *access;
    uint64_t pointer; /* address, or the bits of a value */
    bool by_value;
    int64_t offset; /* bytes from where the array begins to what is accessed first, or to the value */
    int64_t stride[LOOP_MAX_RANK]; /* bytes, per dim of the space */
};

struct geometry {
    const struct loop_nest *nest;
    int64_t extent[LOOP_MAX_RANK]; /* merged: extents of 1 in front of the kept and of the reduced dims */
    int64_t kept, length, blocks;
    int64_t block[LOOP_MAX_RANK]; /* of a kernel: extents of a block of threads */
    uint32_t n; /* accesses: main loads, main stores, epilogue loads, epilogue stores */
    struct geometry_access *access;
    uint8_t flags;
    bool reordered; /* a MAP's dims, so that its rows are not those of other nests */
};

struct geometry_array {
    void *data;
    const int64_t *shape, *stride;
    bool on_device;
};

/* access has room for every access of the nest. arguments and buffers are indexed as in the plan. cache_bytes: size of the
 * last cache of a CPU, above which stores bypass it; 0 for never. nowhere: 16 bytes where the
 * program runs, that stand in for arrays of no elements. */
void geometry_of(struct geometry *geo, const struct loop_plan *plan, const struct loop_nest *nest, const int64_t *dim_values,
                 const struct geometry_array *arguments, const struct geometry_array *buffers, bool gpu, int64_t cache_bytes, uint64_t nowhere);
/* What CUDA sets a launch (CUDA C++ Programming Guide, Compute Capabilities); else the axis, x first, or 3: a block that is too deep. */
bool geometry_blocks_fit(const struct geometry *geo, unsigned *axis);
uint32_t geometry_accesses(const struct loop_nest *nest);
void geometry_classes(const struct geometry *geo, bool gpu, uint8_t *classes);
/* How nests are done row by row: blocks of threads on a GPU, or work for the CPU's threads. */
struct geometry_rows {
    bool chosen; /* else they are done one after another */
    unsigned blocks, warps; /* GPU: at most so many blocks */
    unsigned kept_bytes;    /* GPU: shared memory for what a row keeps, or 0 */
    int64_t grain;          /* CPU */
};
/* device: a GPU, or NULL. workers: threads of the CPU. geo: of every nest of the plan. */
struct geometry_rows geometry_rows_of(const struct loop_rows *rows, const struct geometry *geo, const int64_t *dim_values, const struct device *gpu, unsigned workers);
uint64_t geometry_value(const void *host, enum dtype dtype); /* as code reads an element: a bool is true when its byte is not 0. NULL: 0 */
void geometry_slots(const struct geometry *geo, int64_t *slots); /* all but partials and faults */

#endif
