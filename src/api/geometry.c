/* See geometry.h. Strides of extents of 1 are 0 here: such a dim is broadcast or does not matter. */
#include <string.h>
#include "geometry.h"

static int64_t product(const int64_t *e, unsigned from, unsigned to)
{
    int64_t p = 1;
    for (unsigned d = from; d < to; d++)
        p *= e[d];
    return p;
}

uint32_t geometry_accesses(const struct loop_nest *n)
{
    return n->main.loads.n + n->main.stores.n + n->epilogue.loads.n + n->epilogue.stores.n;
}

/* ---- one access ---- */

static int64_t count_value(const struct ir *ir, ir_id id, const int64_t *dim_values)
{
    const struct ir_node *n = ir_at(ir, id);
    const struct ir_shape *s = &ir->shapes.at[ir_at(ir, n->args[0])->shape];
    int64_t count = 1;
    for (unsigned a = 0; a < s->rank; a++)
        if (n->attr >> a & 1)
            count *= dim_values[s->dim[a]];
    return count;
}

uint64_t geometry_value(const void *host, enum dtype dtype)
{
    uint64_t bits = 0;
    if (host)
        memcpy(&bits, host, type_table[dtype].size);
    return dtype == DT_bool ? bits != 0 : bits;
}

/* As the access sees the array: through its view, where it is one. */
static struct ir_layout layout_of(const struct ir *ir, const struct loop_access *a, const struct geometry_array *array, const int64_t *dim_values)
{
    const struct ir_node *n = a->layout ? ir_at(ir, ir_at(ir, a->value)->args[0]) : ir_at(ir, a->target ? a->target : a->value);
    const bool pair = a->target && ir_is_of_parts(ir, a->target);
    const struct ir_node *base = a->view && !pair ? ir_at(ir, n->args[0]) : n;
    struct ir_layout l = {.rank = ir->shapes.at[base->shape].rank};
    if (a->source == SOURCE_PLACE) {
        ir_place_layout(ir, base, dim_values, &l);
    } else {
        memcpy(l.shape, array->shape, l.rank * sizeof *l.shape);
        memcpy(l.stride, array->stride, l.rank * sizeof *l.stride);
    }
    if (pair)
        l.offset = a->part * (int64_t)type_table[a->dtype].size;
    else if (a->view)
        ir_view_apply(&ir->views.at[(uint32_t)n->attr], dim_values, (enum dtype)base->dtype, &l);
    return l;
}

static void read_access(struct geometry_access *out, const struct loop_plan *plan, const struct loop_access *a, unsigned n_dims, uint64_t nowhere_address,
                        const int64_t *dim_values, const struct geometry_array *arguments, const struct geometry_array *buffers)
{
    out->access = a;
    if (a->source == SOURCE_COUNT) {
        out->by_value = true;
        out->pointer = (uint64_t)count_value(plan->ir, a->value, dim_values);
        return;
    }
    if (a->source == SOURCE_ROUND) {
        out->by_value = true;
        return;
    }
    static const struct geometry_array nowhere = {0};
    const struct geometry_array *array = a->source == SOURCE_ARGUMENT ? &arguments[a->index] : a->source == SOURCE_BUFFER ? &buffers[a->index] : &nowhere;
    struct ir_layout seen = layout_of(plan->ir, a, array, dim_values);
    out->offset = seen.offset;
    if (a->layout) {
        uint64_t address = (uint64_t)(uintptr_t)array->data + (uint64_t)seen.offset;
        out->by_value = true;
        out->pointer = (uint64_t)ir_layout_value(ir_at(plan->ir, a->value)->attr, address, seen.rank, seen.shape, seen.stride, nowhere_address);
        return;
    }
    out->by_value = a->source == SOURCE_ARGUMENT && a->scalar && !array->on_device;
    out->pointer = out->by_value ? geometry_value(array->data ? (const char *)array->data + seen.offset : NULL, a->dtype) : (uint64_t)(uintptr_t)array->data + (uint64_t)seen.offset;
    for (unsigned d = 0; d < n_dims; d++)
        if (a->axis[d] >= 0 && seen.shape[a->axis[d]] != 1)
            out->stride[d] = seen.stride[a->axis[d]];
}

static struct geometry_access *read_body(struct geometry_access *out, const struct loop_plan *plan, const struct loop_body *b,
                                         unsigned n_dims, uint64_t nowhere, const int64_t *dims, const struct geometry_array *arguments,
                                         const struct geometry_array *buffers)
{
    for (uint32_t i = 0; i < b->loads.n; i++)
        read_access(out++, plan, &b->loads.at[i], n_dims, nowhere, dims, arguments, buffers);
    for (uint32_t i = 0; i < b->stores.n; i++)
        read_access(out++, plan, &b->stores.at[i], n_dims, nowhere, dims, arguments, buffers);
    return out;
}

static unsigned dims_of(const struct geometry *geo, uint32_t i)
{
    return i < geo->nest->main.loads.n + geo->nest->main.stores.n ? geo->nest->rank : geo->nest->n_kept;
}

/* ---- merging dims ---- */

static void swap_dims(struct geometry *geo, unsigned a, unsigned b)
{
    int64_t t = geo->extent[a];
    geo->extent[a] = geo->extent[b];
    geo->extent[b] = t;
    for (uint32_t i = 0; i < geo->n; i++) {
        t = geo->access[i].stride[a];
        geo->access[i].stride[a] = geo->access[i].stride[b];
        geo->access[i].stride[b] = t;
    }
}

static int64_t magnitude(int64_t v)
{
    return v < 0 ? -v : v;
}

/* The order of a MAP's dims is free: the largest stride of what it stores goes outside (Fortran order becomes C order). */
static void sort_dims(struct geometry *geo)
{
    const struct geometry_access *first = &geo->access[geo->nest->main.loads.n];
    if (!geo->nest->main.stores.n)
        return;
    for (unsigned i = 1; i < geo->nest->rank; i++)
        for (unsigned j = i; j > 0 && magnitude(first->stride[j - 1]) < magnitude(first->stride[j]) && geo->extent[j] > 1; j--) {
            swap_dims(geo, j - 1, j);
            geo->reordered = true;
        }
}

static bool mergeable(const struct geometry *geo, unsigned outer, unsigned inner)
{
    for (uint32_t i = 0; i < geo->n; i++)
        if (inner < dims_of(geo, i) && geo->access[i].stride[outer] != geo->access[i].stride[inner] * geo->extent[inner])
            return false;
    return true;
}

static void drop_dim(struct geometry *geo, unsigned from, unsigned d)
{
    for (; d > from; d--) {
        geo->extent[d] = geo->extent[d - 1];
        for (uint32_t i = 0; i < geo->n; i++)
            geo->access[i].stride[d] = geo->access[i].stride[d - 1];
    }
    geo->extent[from] = 1;
    for (uint32_t i = 0; i < geo->n; i++)
        geo->access[i].stride[from] = 0;
}

/* Within dims from..to-1; `from` grows by one for every dim given up. */
static void merge(struct geometry *geo, unsigned from, unsigned to)
{
    unsigned first = from;
    for (unsigned d = to; d-- > first;) { /* extents of 1 go to the front */
        bool one = geo->extent[d] == 1;
        if (one && first < d) {
            drop_dim(geo, first++, d);
            d++;
        } else if (one) {
            break;
        }
    }
    for (unsigned d = to - 1; d > first;) {
        if (!mergeable(geo, d - 1, d)) {
            d--;
            continue;
        }
        geo->extent[d] *= geo->extent[d - 1];
        drop_dim(geo, first++, d - 1);
    }
}

/* A lone element along the inner dim is no broadcast: keep the class it would have with more of them. */
static void keep_unit_stride(struct geometry *geo, unsigned inner)
{
    if (geo->extent[inner] != 1)
        return;
    for (uint32_t i = 0; i < geo->n; i++) {
        struct geometry_access *a = &geo->access[i];
        bool varies = false;
        for (unsigned d = 0; d < dims_of(geo, i); d++)
            varies |= a->access->axis[d] >= 0;
        if (inner < dims_of(geo, i) && varies && !a->by_value)
            a->stride[inner] = type_table[a->access->dtype].size;
    }
}

static int64_t stored_bytes(const struct geometry *geo)
{
    int64_t bytes = 0, elements = product(geo->extent, 0, geo->nest->rank);
    for (uint32_t i = 0; i < geo->nest->main.stores.n + geo->nest->main.loads.n; i++)
        if (geo->access[i].stride[geo->nest->rank - 1])
            bytes += elements * type_table[geo->access[i].access->dtype].size;
    return bytes;
}

bool geometry_blocks_fit(const struct geometry *geo, unsigned *axis)
{
    static const int64_t most[] = {INT32_MAX, 65535, 65535};
    static const int64_t most_deep = 64;
    unsigned rank = geo->nest->rank;
    for (*axis = 0; *axis < rank && *axis < 3; ++*axis)
        if (geo->extent[rank - 1 - *axis] / geo->block[rank - 1 - *axis] > most[*axis])
            return false;
    return geo->block[0] <= most_deep;
}

/* A kernel whose threads go alone is faster in the blocks that were asked for, unless they leave most of a warp idle. */
static bool goes_in_blocks(const struct geometry *geo)
{
    const int64_t least = 32, most = 256; /* threads of a block; what code of a MAP is made for */
    int64_t threads = 1;
    unsigned axis;
    for (unsigned d = 0; geo->nest->updates && d < geo->nest->rank; d++)
        threads *= geo->block[d];
    return geo->nest->updates && !geo->nest->blocks && threads >= least && threads <= most && geometry_blocks_fit(geo, &axis);
}

void geometry_of(struct geometry *geo, const struct loop_plan *plan, const struct loop_nest *nest, const int64_t *dim_values,
                 const struct geometry_array *arguments, const struct geometry_array *buffers, bool gpu, int64_t cache_bytes, uint64_t nowhere)
{
    geo->nest = nest;
    geo->n = geometry_accesses(nest);
    geo->reordered = false;
    memset(geo->access, 0, geo->n * sizeof *geo->access);
    for (unsigned d = 0; d < nest->rank; d++)
        geo->extent[d] = dim_values[nest->dim[d]];
    struct geometry_access *rest = read_body(geo->access, plan, &nest->main, nest->rank, nowhere, dim_values, arguments, buffers);
    read_body(rest, plan, &nest->epilogue, nest->n_kept, nowhere, dim_values, arguments, buffers);
    geo->kept = product(geo->extent, 0, nest->n_kept);
    geo->length = product(geo->extent, nest->n_kept, nest->rank);
    int64_t block = nest->kind == NEST_COLUMNS ? TREE_CHUNK : TREE_BLOCK;
    geo->blocks = geo->length > block ? (geo->length + block - 1) / block : 1;
    for (unsigned d = 0; nest->updates && d < nest->rank; d++)
        geo->block[d] = dim_values[nest->block[d]];
    geo->flags = gpu && goes_in_blocks(geo) ? VARIANT_BLOCKS : 0;
    if (nest->kind == NEST_MAP)
        sort_dims(geo);
    if (!nest->blocks && !geo->flags && geo->kept > 0 && geo->length > 0) {
        merge(geo, 0, nest->n_kept);
        if (nest->kind != NEST_MAP)
            merge(geo, nest->n_kept, nest->rank);
    }
    keep_unit_stride(geo, loop_inner(nest));
    if (nest->kind == NEST_LANES && product(geo->extent, nest->n_kept, nest->rank - 1u) == 1)
        geo->flags |= VARIANT_FLAT;
    if (nest->kind == NEST_MAP && cache_bytes > 0 && stored_bytes(geo) > cache_bytes)
        geo->flags |= VARIANT_STREAM;
}

/* ---- what follows for code ---- */

static bool aligned(const struct geometry *geo, const struct geometry_access *a, unsigned n_dims, unsigned inner)
{
    uint64_t low = a->pointer;
    for (unsigned d = 0; d < n_dims; d++)
        if (d != inner && geo->extent[d] > 1)
            low |= (uint64_t)a->stride[d];
    return (low & 15) == 0;
}

static uint8_t class_of(const struct geometry *geo, const struct geometry_access *a, unsigned n_dims, unsigned inner, bool gpu, bool is_store)
{
    bool varies = false;
    if (a->by_value)
        return CLASS_VALUE;
    for (unsigned d = 0; d < n_dims; d++)
        varies |= a->stride[d] != 0;
    if (a->stride[inner] == (int64_t)type_table[a->access->dtype].size)
        return gpu && aligned(geo, a, n_dims, inner) ? CLASS_ALIGNED : CLASS_UNIT;
    if (is_store || a->stride[inner] != 0)
        return CLASS_STRIDED;
    return varies ? CLASS_ROW : CLASS_UNIFORM;
}

void geometry_classes(const struct geometry *geo, bool gpu, uint8_t *classes)
{
    const struct loop_nest *n = geo->nest;
    unsigned main_inner = loop_inner(n);
    uint32_t main = n->main.loads.n + n->main.stores.n;
    for (uint32_t i = 0; i < geo->n; i++) {
        bool is_store = i < main ? i >= n->main.loads.n : i >= main + n->epilogue.loads.n;
        classes[i] = class_of(geo, &geo->access[i], dims_of(geo, i), i < main ? main_inner : n->n_kept - 1u, gpu, is_store);
        if (i >= main && classes[i] > CLASS_UNIFORM)
            classes[i] = CLASS_ROW; /* a join takes one element at a time */
    }
}

void geometry_slots(const struct geometry *geo, int64_t *slots)
{
    struct loop_slots s = loop_slots(geo->nest);
    for (unsigned d = 0; d < geo->nest->rank; d++)
        slots[s.extents + d] = geo->extent[d];
    slots[s.length] = geo->length;
    slots[s.blocks] = geo->blocks;
    slots[s.kept] = geo->kept;
    for (unsigned d = 0; geo->nest->updates && d < geo->nest->rank; d++)
        slots[s.block + d] = geo->block[d];
    uint32_t at = s.main_loads;
    for (uint32_t i = 0; i < geo->n; i++) {
        slots[at++] = (int64_t)geo->access[i].pointer;
        for (unsigned d = 0; d < dims_of(geo, i); d++)
            slots[at++] = geo->access[i].stride[d];
    }
}

/* ---- nests row by row ---- */

enum {
    CPU_ROW_BYTES = 512 << 10,      /* what a row of all arrays may take of the second cache */
    GPU_ROW_BYTES = 256 << 10,      /* of the first cache of a multiprocessor */
    GPU_BYTES_UNDER_WAY = 64 << 20, /* of the cache that all share: rows of all blocks together */
    ROW_SCRATCH = 5 << 10,          /* shared memory of a block beside what it keeps */
    SMALL = 32768, /* elements that one CPU worker takes anyway */
};

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t bytes_of_row(const struct loop_rows *rows, const struct geometry *geo)
{
    int64_t most = 0;
    for (unsigned i = rows->first; i < rows->first + rows->n; i++) {
        int64_t bytes = stored_bytes(&geo[i]) / geo[rows->first].kept;
        most = bytes > most ? bytes : most;
    }
    return most;
}

/* Do all nests see the same rows, whole rows of the innermost dim each? */
static bool rows_agree(const struct loop_rows *rows, const struct geometry *geo, const int64_t *dim_values)
{
    const struct geometry *first = &geo[rows->first];
    for (unsigned i = rows->first; i < rows->first + rows->n; i++) {
        int64_t inner = geo[i].extent[geo[i].nest->rank - 1];
        if (geo[i].reordered || inner <= 0 || first->length % inner != 0)
            return false;
        for (unsigned d = 0; d < first->nest->rank; d++)
            if (dim_values[geo[i].nest->dim[d]] != dim_values[first->nest->dim[d]])
                return false;
    }
    return true;
}

/* A lane a thread: four warps a block of the tree. */
static unsigned warps_for(const struct geometry *first)
{
    unsigned warps = LOOP_ROW_WARPS_EACH;
    while (32 * warps < LOOP_ROW_THREADS && warps < LOOP_ROW_WARPS_EACH * first->blocks)
        warps *= 2;
    return warps;
}

/* Where it fits, and whoever reads it has the same row. One block of threads that keeps its row is faster than several that read it again. */
static unsigned kept_bytes(const struct loop_rows *rows, const struct geometry *geo, const struct device *gpu)
{
    const struct geometry *first = &geo[rows->first];
    int64_t bytes = rows->n_kept ? first->length * type_table[rows->kept[0].dtype].size : 0;
    if (bytes + ROW_SCRATCH > gpu->shared_bytes)
        return 0;
    for (unsigned i = rows->first; i < rows->first + rows->n; i++)
        if (geo[i].nest->kind == NEST_MAP && geo[i].extent[geo[i].nest->rank - 1] != first->length)
            return 0;
    return (unsigned)bytes;
}

struct geometry_rows geometry_rows_of(const struct loop_rows *rows, const struct geometry *geo, const int64_t *dim_values, const struct device *gpu, unsigned workers)
{
    const struct geometry *first = &geo[rows->first];
    struct geometry_rows out = {0};
    if (first->kept <= 1 || first->length <= 0 || !rows_agree(rows, geo, dim_values))
        return out;
    int64_t bytes = bytes_of_row(rows, geo), tile = LOOP_ROW_TILE / first->length + 1;
    if (!gpu) {
        out.chosen = bytes <= CPU_ROW_BYTES && (first->kept >= 2 * (int64_t)workers || first->kept * first->length <= SMALL);
        out.grain = 4 * tile;
        return out;
    }
    out.chosen = bytes <= GPU_ROW_BYTES && first->blocks <= LOOP_ROW_BLOCKS && 4 * first->kept >= gpu->multiprocessors;
    out.warps = warps_for(first);
    out.kept_bytes = kept_bytes(rows, geo, gpu);
    int64_t fit = GPU_BYTES_UNDER_WAY / (bytes + 1), all = gpu->multiprocessors;
    out.blocks = (unsigned)least(first->kept, fit > all ? fit : all);
    return out;
}
