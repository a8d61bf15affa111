/*
 * See exec.h. The steps of a run: temporaries, the geometry of every nest, the code for it, then one to three launches
 * a nest. Each step either succeeds or adds a diagnostic; what was allocated is freed on one exit.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/lock.h"
#include "replay.h"

struct variant_code {
    struct variant_code *next;
    uint32_t key_size;
    uint8_t *key; /* per nest: flags, classes */
    struct device_module *module;
    unsigned *main_entry, *join_entry, *totals_entry; /* per nest */
    unsigned *rows_entry;              /* per loop_rows */
};

struct exec_code {
    const struct loop_plan *plan;
    struct device *device;
    exec_codegen *codegen;
    void *user;
    struct codegen_options options;
    bool may_fault;
    int64_t cache_bytes;
    uint32_t key_size, n_accesses;
    uint32_t *slot_at, n_slots; /* where the slots of each nest are among those of all, and how many these are */
    struct lock lock; /* guards variants and times; held while compiling, so that no variant is made twice */
    struct variant_code *variants;
    struct exec_times times;
};

/* ---- life ---- */

/* Virtual machines report the cache of the whole host; a share of it is what one process meets. */
static int64_t last_cache(void)
{
    const int64_t most = INT64_C(32) << 20;
    long size = sysconf(_SC_LEVEL3_CACHE_SIZE);
    return size > 0 && size < most ? size : most;
}

static bool raises(const struct ir *ir, const struct loop_body *b)
{
    for (uint32_t i = 0; i < b->order.n; i++) {
        const struct ir_node *n = ir_at(ir, b->order.at[i]);
        enum prim p = op_table[n->op].kind == OPK_ELEM ? ir_prim(ir, b->order.at[i]) : PRIM_none;
        if (p == PRIM_ifloordiv || p == PRIM_imod || p == PRIM_ipow || n->op == OP_within || n->op == OP_gather || n->op == OP_loop || n->op == OP_update)
            return true; /* a gather from nothing reads where faults are kept */
    }
    return false;
}

struct exec_code *exec_code_new(const struct loop_plan *plan, struct device *device, exec_codegen *codegen, void *user,
                                const struct codegen_options *options)
{
    struct exec_code *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->plan = plan;
    c->device = device;
    c->codegen = codegen;
    c->user = user;
    c->options = *options;
    c->slot_at = calloc(plan->nests.n + 1, sizeof *c->slot_at);
    if (!c->slot_at) {
        free(c);
        return NULL;
    }
    c->cache_bytes = device->ops->kind == DEVICE_CPU ? last_cache() : 0;
    for (uint32_t i = 0; i < plan->nests.n; i++) {
        c->may_fault |= raises(plan->ir, &plan->nests.at[i].main) || raises(plan->ir, &plan->nests.at[i].epilogue);
        c->n_accesses += geometry_accesses(&plan->nests.at[i]);
        c->key_size += 1 + geometry_accesses(&plan->nests.at[i]);
        c->slot_at[i] = c->n_slots;
        c->n_slots += loop_slots(&plan->nests.at[i]).count;
    }
    lock_init(&c->lock);
    return c;
}

static void variant_free(struct exec_code *c, struct variant_code *v)
{
    if (v->module)
        c->device->ops->unload(c->device, v->module);
    free(v->key);
    free(v->main_entry);
    free(v->join_entry);
    free(v->totals_entry);
    free(v->rows_entry);
    free(v);
}

void exec_code_free(struct exec_code *c)
{
    if (!c)
        return;
    while (c->variants) {
        struct variant_code *v = c->variants;
        c->variants = v->next;
        variant_free(c, v);
    }
    lock_fini(&c->lock);
    free(c->slot_at);
    free(c);
}

bool exec_replays(const struct exec_code *c)
{
    return c->device->ops->kind == DEVICE_CUDA && c->plan->steps.n == 0;
}

bool exec_may_fault(const struct exec_code *c)
{
    return c->may_fault;
}

void exec_code_times(const struct exec_code *c, struct exec_times *out)
{
    struct exec_code *m = (struct exec_code *)c; /* the lock changes, nothing that shows */
    lock_take(&m->lock);
    *out = c->times;
    lock_give(&m->lock);
}

/* ---- one run ---- */

struct run {
    struct exec_code *code;
    struct device *device;
    struct diags *diags;
    void *stream;
    unsigned max_threads;
    struct watch *watch;
    const int64_t *dims;
    struct geometry_array *arguments, *buffers;
    int64_t (*buffer_strides)[IR_MAX_RANK], (*buffer_shapes)[IR_MAX_RANK];
    struct geometry *geometry;
    struct geometry_access *accesses;
    struct geometry_rows *rows;
    uint8_t *key;
    void **temporaries; /* to free */
    uint32_t n_temporaries, max_temporaries;
    struct ir_faults *faults_on_device, faults_here;
    /* where nests are repeated: the slots of all of them, filled once; where buffers are now; rounds by their number in the IR */
    int64_t *slots, *rounds;
    bool *filled, *once, endless; /* once: nests of the first round alone; endless: steps were given up */
    void **now;            /* and room for what they were */
    struct replay *record; /* NULL: nobody keeps what the run comes to */
};

static bool no_memory(struct diags *diags)
{
    diag_add(diags, AX_out_of_memory, (struct span){0, 0}, "out of memory");
    return false;
}

static bool run_init(struct run *r)
{
    const struct loop_plan *p = r->code->plan;
    uint32_t n_reduces = 0;
    for (uint32_t i = 0; i < p->nests.n; i++)
        n_reduces += p->nests.at[i].reduces.n;
    r->max_temporaries = p->buffers.n + n_reduces + 1;
    r->arguments = calloc(p->ir->inputs.n + 1, sizeof *r->arguments);
    r->buffers = calloc(p->buffers.n + 1, sizeof *r->buffers);
    r->buffer_strides = calloc(p->buffers.n + 1, sizeof *r->buffer_strides);
    r->buffer_shapes = calloc(p->buffers.n + 1, sizeof *r->buffer_shapes);
    r->geometry = calloc(p->nests.n + 1, sizeof *r->geometry);
    r->accesses = calloc(r->code->n_accesses + 1, sizeof *r->accesses);
    r->rows = calloc(p->rows.n + 1, sizeof *r->rows);
    r->key = calloc(r->code->key_size + 1, 1);
    r->temporaries = calloc(r->max_temporaries, sizeof *r->temporaries);
    if (p->steps.n) {
        r->slots = calloc(r->code->n_slots + 1, sizeof *r->slots);
        r->filled = calloc(p->nests.n + 1, sizeof *r->filled);
        r->once = calloc(p->nests.n + 1, sizeof *r->once);
        r->rounds = calloc(p->ir->steps.n + 1, sizeof *r->rounds);
        r->now = calloc(2 * (size_t)p->buffers.n + 1, sizeof *r->now);
        if (!r->slots || !r->filled || !r->once || !r->rounds || !r->now)
            return no_memory(r->diags);
        loop_find_once(p, r->dims, r->once);
    }
    return (r->arguments && r->buffers && r->buffer_strides && r->buffer_shapes && r->geometry && r->accesses && r->rows && r->key && r->temporaries) ||
           no_memory(r->diags);
}

static void run_fini(struct run *r)
{
    for (uint32_t i = 0; i < r->n_temporaries; i++)
        r->device->ops->free(r->device, r->temporaries[i]);
    free(r->arguments);
    free(r->buffers);
    free(r->buffer_strides);
    free(r->buffer_shapes);
    free(r->geometry);
    free(r->accesses);
    free(r->rows);
    free(r->key);
    free(r->slots);
    free(r->filled);
    free(r->once);
    free(r->rounds);
    free(r->now);
    free(r->temporaries);
}

static bool temporary(struct run *r, int64_t size, void **out)
{
    *out = NULL;
    if (!r->device->ops->alloc(r->device, size ? (size_t)size : 1, r->stream, out, r->diags))
        return false;
    r->temporaries[r->n_temporaries++] = *out;
    if (r->record)
        replay_temporary(r->record, size ? (size_t)size : 1);
    return true;
}

static bool is_gpu(const struct run *r)
{
    return r->device->ops->kind == DEVICE_CUDA;
}

static bool faults_begin(struct run *r)
{
    if (!is_gpu(r) || !r->code->may_fault) {
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
    if (!temporary(r, sizeof r->faults_here, &p))
        return false;
    r->faults_on_device = p;
    return r->device->ops->zero(r->device, p, sizeof r->faults_here, r->stream, r->diags);
}

/* Shape and C-contiguous strides of a buffer of ours; its size in bytes. */
static int64_t buffer_layout(struct run *r, uint32_t b)
{
    const struct loop_plan *p = r->code->plan;
    const struct ir_shape *s = &p->ir->shapes.at[p->buffers.at[b].shape];
    int64_t size = type_table[p->buffers.at[b].dtype].size;
    for (unsigned d = s->rank; d-- > 0;) {
        r->buffer_shapes[b][d] = r->dims[s->dim[d]];
        r->buffer_strides[b][d] = size;
        size *= r->buffer_shapes[b][d];
    }
    r->buffers[b].shape = r->buffer_shapes[b];
    r->buffers[b].stride = r->buffer_strides[b];
    r->buffers[b].on_device = true;
    return size;
}

static bool make_buffers(struct run *r, const struct exec_array *outputs, bool allocate)
{
    const struct loop_plan *p = r->code->plan;
    for (uint32_t b = 0; b < p->buffers.n; b++) {
        int64_t size = buffer_layout(r, b);
        if (p->buffers.at[b].role != BUFFER_TEMPORARY) {
            const struct exec_array *o = &outputs[p->buffers.at[b].output];
            r->buffers[b].data = o->data;
            if (o->stride)
                r->buffers[b].stride = o->stride;
        } else if (allocate && p->buffers.at[b].in == b && !temporary(r, size, &r->buffers[b].data)) {
            return false;
        }
    }
    for (uint32_t b = 0; b < p->buffers.n; b++) {
        uint32_t memory = loop_memory_of(p, b);
        r->buffers[b].data = r->buffers[memory].data;
        r->buffers[b].stride = r->buffers[memory].stride;
        if (r->now)
            r->now[b] = r->buffers[b].data;
    }
    return true;
}

static void take_inputs(struct run *r, const struct exec_array *inputs)
{
    for (uint32_t i = 0; i < r->code->plan->ir->inputs.n; i++) {
        r->arguments[i].data = inputs[i].data;
        r->arguments[i].shape = inputs[i].shape;
        r->arguments[i].stride = inputs[i].stride;
        r->arguments[i].on_device = inputs[i].on_device;
    }
}

/* On a GPU it takes other code. */
static void choose_rows(struct run *r)
{
    const struct loop_plan *p = r->code->plan;
    unsigned workers = is_gpu(r) ? 0 : r->max_threads ? r->max_threads : cpu_device_threads(r->device);
    for (uint32_t i = 0; i < p->rows.n; i++) {
        const struct loop_rows *rows = &p->rows.at[i];
        r->rows[i] = geometry_rows_of(rows, r->geometry, r->dims, is_gpu(r) ? r->device : NULL, workers);
        for (uint32_t k = rows->first; is_gpu(r) && r->rows[i].chosen && k < rows->first + rows->n; k++)
            r->geometry[k].flags |= VARIANT_ROWS | (r->rows[i].kept_bytes ? VARIANT_KEEP : 0);
    }
}

static void find_geometry(struct run *r)
{
    const struct loop_plan *p = r->code->plan;
    struct geometry_access *next = r->accesses;
    uint8_t *key = r->key;
    for (uint32_t i = 0; i < p->nests.n; i++) {
        struct geometry *geo = &r->geometry[i];
        geo->access = next;
        geometry_of(geo, p, &p->nests.at[i], r->dims, r->arguments, r->buffers, is_gpu(r), r->code->cache_bytes, (uint64_t)(uintptr_t)r->faults_on_device);
        next += geo->n;
    }
    choose_rows(r);
    for (uint32_t i = 0; i < p->nests.n; i++) {
        *key++ = r->geometry[i].flags;
        geometry_classes(&r->geometry[i], is_gpu(r), key);
        key += r->geometry[i].n;
    }
}

/* ---- code for a variant ---- */

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int ptx_version_for(int driver_version)
{
    static const struct {
        int cuda, ptx;
    } versions[] = {{13000, 90}, {12090, 88}, {12080, 87}, {12070, 86}, {12050, 85}, {12040, 84}, {12030, 83},
                    {12020, 82}, {12010, 81}, {12000, 80}, {11080, 78}, {11070, 77}, {11060, 76}, {11050, 75}, {11040, 74},
                    {11030, 73}, {11020, 72}, {11010, 71}, {11000, 70}};
    for (unsigned i = 0; i < sizeof versions / sizeof *versions; i++)
        if (driver_version >= versions[i].cuda)
            return versions[i].ptx;
    return 63;
}

/* A GPU is its own architecture; that of the CPU is an option. */
static void name_arch(const struct device *d, char *out, size_t size, struct codegen_options *o)
{
    if (d->ops->kind != DEVICE_CUDA)
        return;
    out[0] = 0;
    o->arch = out;
    struct strbuf b = {0};
    strbuf_printf(&b, "sm_%d", d->sm);
    if (b.s && b.n < size)
        memcpy(out, b.s, b.n + 1);
    strbuf_fini(&b);
    o->target = TARGET_NVPTX;
    o->ptx_version = ptx_version_for(d->driver_version);
}

static unsigned entry_index(const struct kernel_image *image, unsigned nest, const char *step)
{
    struct strbuf b = {0};
    unsigned found = ~0u;
    strbuf_printf(&b, "n%u_%s", nest, step);
    for (unsigned i = 0; b.s && i < image->n_entries; i++)
        if (strcmp(image->entries[i].name, b.s) == 0)
            found = i;
    strbuf_fini(&b);
    return found;
}

static bool find_entry(struct run *r, const struct kernel_image *image, unsigned nest, const char *step, unsigned *entry)
{
    *entry = entry_index(image, nest, step);
    if (*entry == ~0u)
        diag_add(r->diags, AX_internal, (struct span){0, 0}, "the code generator left out an entry of kernel %u", nest);
    return *entry != ~0u;
}

static bool in_one_step(const struct run *r, const struct loop_nest *n)
{
    return n->kind == NEST_MAP || (n->kind == NEST_SCAN && is_gpu(r));
}

/* A GPU's code for nests row by row has no entries for each of them. */
static bool find_entries(struct run *r, struct variant_code *v, const struct kernel_image *image)
{
    const struct loop_plan *p = r->code->plan;
    v->main_entry = calloc(p->nests.n + 1, sizeof *v->main_entry);
    v->join_entry = calloc(p->nests.n + 1, sizeof *v->join_entry);
    v->totals_entry = calloc(p->nests.n + 1, sizeof *v->totals_entry);
    v->rows_entry = calloc(p->rows.n + 1, sizeof *v->rows_entry);
    if (!v->main_entry || !v->join_entry || !v->totals_entry || !v->rows_entry)
        return no_memory(r->diags);
    bool ok = true;
    for (unsigned i = 0; ok && i < p->nests.n; i++)
        if (!(r->geometry[i].flags & VARIANT_ROWS))
            ok = find_entry(r, image, i, "main", &v->main_entry[i]) &&
                 (in_one_step(r, &p->nests.at[i]) || find_entry(r, image, i, "join", &v->join_entry[i])) &&
                 (in_one_step(r, &p->nests.at[i]) || p->nests.at[i].kind != NEST_SCAN || find_entry(r, image, i, "totals", &v->totals_entry[i]));
    for (unsigned i = 0; ok && i < p->rows.n; i++)
        if (!is_gpu(r) || r->rows[i].chosen)
            ok = find_entry(r, image, p->rows.at[i].first, "rows", &v->rows_entry[i]);
    return ok;
}

static struct loop_variant *variants_of_key(struct run *r)
{
    const struct loop_plan *p = r->code->plan;
    struct loop_variant *v = calloc(p->nests.n + 1, sizeof *v);
    uint8_t *key = r->key;
    for (uint32_t i = 0; v && i < p->nests.n; i++) {
        v[i].flags = *key++;
        v[i].classes = key;
        v[i].n_classes = r->geometry[i].n;
        key += r->geometry[i].n;
    }
    return v;
}

static bool compile(struct run *r, struct variant_code *v)
{
    struct exec_code *c = r->code;
    char arch[16];
    struct kernel_image image = {0};
    struct codegen_times times = {0};
    struct codegen_job job = {.plan = c->plan, .variants = variants_of_key(r), .options = c->options};
    name_arch(r->device, arch, sizeof arch, &job.options);
    const struct codegen_api *api = job.variants ? c->codegen(c->user, r->diags) : NULL;
    bool ok = job.variants ? api && api->compile(&job, &image, &times, r->diags) : no_memory(r->diags);
    free((void *)job.variants);
    if (!ok)
        return false;
    uint64_t start = now_ns();
    ok = r->device->ops->load(r->device, &image, &v->module, r->diags) && find_entries(r, v, &image);
    c->times.compilations++;
    c->times.emit_ns += times.emit_ns + times.verify_ns;
    c->times.backend_ns += times.backend_ns + times.link_ns;
    c->times.load_ns += now_ns() - start;
    image_fini(&image);
    return ok;
}

static struct variant_code *find_variant(struct run *r)
{
    for (struct variant_code *v = r->code->variants; v; v = v->next)
        if (memcmp(v->key, r->key, r->code->key_size) == 0)
            return v;
    return NULL;
}

static struct variant_code *make_variant(struct run *r)
{
    struct exec_code *c = r->code;
    struct variant_code *v = calloc(1, sizeof *v);
    if (v)
        v->key = malloc(c->key_size + 1);
    if (!v || !v->key) {
        free(v);
        no_memory(r->diags);
        return NULL;
    }
    memcpy(v->key, r->key, c->key_size);
    if (!compile(r, v)) {
        variant_free(c, v);
        return NULL;
    }
    v->next = c->variants;
    c->variants = v;
    return v;
}

static struct variant_code *code_for(struct run *r)
{
    lock_take(&r->code->lock);
    struct variant_code *v = find_variant(r);
    if (!v)
        v = make_variant(r);
    lock_give(&r->code->lock);
    return v;
}

/* ---- launching ---- */

static unsigned power_of_two(int64_t n, unsigned most)
{
    unsigned p = 1;
    while (p < n && p < most)
        p *= 2;
    return p;
}

static int64_t up(int64_t n, int64_t by)
{
    return (n + by - 1) / by;
}

static unsigned at_most(int64_t n, unsigned most)
{
    return n < most ? (unsigned)n : most;
}

enum { GPU_BLOCK = 256, GPU_WARPS = 4, GRID_HEIGHT = 65535 };

/* Threads side by side along the inner dim; several rows a block when rows are short. */
static void grid_of_rows(struct device_launch *l, int64_t inner, int64_t rows, unsigned width)
{
    int64_t across = up(inner, width);
    l->block[0] = power_of_two(across, GPU_BLOCK);
    l->block[1] = GPU_BLOCK / l->block[0];
    l->grid[0] = (unsigned)up(across, l->block[0]);
    l->grid[1] = at_most(up(rows, l->block[1]), GRID_HEIGHT);
}

/* As it was asked for: x is the last dim. */
static void shape_blocks(const struct geometry *geo, struct device_launch *l)
{
    int64_t threads = 1;
    unsigned rank = geo->nest->rank;
    l->items = 1;
    for (unsigned d = 0; d < rank; d++) {
        int64_t blocks = geo->extent[d] / geo->block[d];
        l->items *= blocks;
        threads *= geo->block[d];
        l->grid[rank - 1 - d] = (unsigned)blocks;
        l->block[rank - 1 - d] = (unsigned)geo->block[d];
    }
    l->grain = up(4096, threads);
}

/* The same on all devices. */
static bool blocks_fit(const struct geometry *geo, struct diags *diags)
{
    unsigned axis;
    if (geometry_blocks_fit(geo, &axis))
        return true;
    if (axis < 3)
        diag_add(diags, AX_usage, (struct span){0, 0}, "a kernel with shared arrays or syncthreads is launched over at most %s blocks along %c", axis ? "65535" : "2^31 - 1", "xyz"[axis]);
    else
        diag_add(diags, AX_usage, (struct span){0, 0}, "a kernel with shared arrays or syncthreads has at most 64 threads of a block along z");
    return false;
}

static void shape_main(const struct ir *ir, const struct geometry *geo, struct device_launch *l)
{
    const struct loop_nest *n = geo->nest;
    unsigned width = loop_gpu_width(ir, n);
    int64_t inner = geo->extent[n->n_kept - 1], rows = inner ? geo->kept / inner : 0;
    switch (n->kind) {
    case NEST_MAP:
        if (n->blocks || (geo->flags & VARIANT_BLOCKS)) {
            shape_blocks(geo, l);
            break;
        }
        l->items = geo->kept;
        l->grain = 16384;
        grid_of_rows(l, inner, rows, width * loop_gpu_turns(ir, n));
        break;
    case NEST_LANES:
        l->items = geo->kept * geo->blocks;
        l->grain = up(16384, geo->length < TREE_BLOCK ? geo->length + 1 : TREE_BLOCK);
        l->block[0] = 32 * GPU_WARPS;
        l->grid[0] = (unsigned)up(l->items, GPU_WARPS);
        break;
    case NEST_COLUMNS:
        l->items = geo->blocks * rows * up(inner, LOOP_COLUMN_TILE);
        l->grain = 1;
        grid_of_rows(l, inner, rows * geo->blocks, width);
        break;
    case NEST_SCAN:
        l->items = geo->length ? geo->kept * geo->blocks : 0;
        l->grain = up(16384, geo->length < TREE_BLOCK ? geo->length + 1 : TREE_BLOCK);
        l->block[0] = LOOP_SCAN_THREADS;
        l->grid[0] = (unsigned)l->items;
        break;
    }
}

static void shape_join(const struct geometry *geo, struct device_launch *l)
{
    l->items = geo->kept;
    l->grain = up(4096, geo->blocks);
    l->block[0] = GPU_BLOCK;
    if (geo->nest->kind == NEST_LANES) {
        l->block[0] = power_of_two(geo->blocks, TREE_JOIN_LANES);
        l->block[1] = l->block[0] < GPU_BLOCK ? GPU_BLOCK / l->block[0] : 1;
        l->grid[0] = (unsigned)up(geo->kept, l->block[1]);
    } else {
        l->grid[0] = (unsigned)up(geo->kept, GPU_BLOCK);
    }
}

static bool launch_entry(struct run *r, struct variant_code *v, unsigned entry, struct device_launch *l)
{
    l->watch = r->watch;
    if (l->items == 0)
        return true;
    if (r->record)
        replay_launch(r->record, v->module, entry, l);
    if (is_gpu(r))
        return r->device->ops->launch(r->device, v->module, entry, l, r->stream, r->diags);
    return cpu_launch_with(r->device, v->module, entry, l, r->max_threads, r->diags);
}

static bool launch(struct run *r, struct variant_code *v, unsigned entry, const struct geometry *geo, const int64_t *slots, bool join)
{
    struct device_launch l = {.slots = slots, .n_slots = loop_slots(geo->nest).count, .grid = {1, 1, 1}, .block = {1, 1, 1}};
    if (join)
        shape_join(geo, &l);
    else
        shape_main(r->code->plan->ir, geo, &l);
    return launch_entry(r, v, entry, &l);
}

/* A kernel's memory that is the caller's own array needs no copy of it. */
static bool copies_onto_itself(const struct ir *ir, const struct geometry *geo)
{
    const struct loop_body *b = &geo->nest->main;
    bool same = geo->nest->kind == NEST_MAP && b->stores.n > 0 && b->loads.n == b->stores.n;
    for (uint32_t i = 0; same && i < b->stores.n; i++) {
        const struct geometry_access *to = &geo->access[b->loads.n + i], *from = NULL;
        ir_id value = b->stores.at[i].value, memory = b->stores.at[i].target ? b->stores.at[i].target : value;
        value = memory == value ? ir_at(ir, value)->args[0] : value; /* a part of a complex array is what is stored itself */
        for (uint32_t k = 0; k < b->loads.n && ir_at(ir, memory)->op == OP_memory; k++)
            from = b->loads.at[k].value == value ? &geo->access[k] : from;
        same = from && !from->by_value && from->pointer == to->pointer && memcmp(from->stride, to->stride, sizeof to->stride) == 0;
    }
    return same;
}

/* All slots of a nest; what its partial results need is allocated. */
static bool fill_slots(struct run *r, const struct geometry *geo, int64_t *slots)
{
    const struct loop_nest *nest = geo->nest;
    struct loop_slots s = loop_slots(nest);
    geometry_slots(geo, slots);
    slots[s.faults] = (int64_t)(intptr_t)r->faults_on_device;
    for (uint32_t k = 0; k < nest->reduces.n; k++) {
        void *partials;
        unsigned size = type_table[ir_at(r->code->plan->ir, nest->reduces.at[k].value)->dtype].size;
        bool tells = nest->kind == NEST_SCAN && is_gpu(r);
        if (!temporary(r, tells ? loop_scan_bytes(geo->kept, geo->blocks, size) : geo->kept * geo->blocks * size, &partials))
            return false;
        slots[s.partials + k] = (int64_t)(intptr_t)partials;
    }
    return true;
}

/* The slots of a nest that is repeated, for the round at hand: buffers that changed hands, and what round it is. */
static void refresh(const struct run *r, const struct geometry *geo, int64_t *slots)
{
    const struct loop_plan *p = r->code->plan;
    const uint32_t main = geo->nest->main.loads.n + geo->nest->main.stores.n;
    int64_t *at = slots + loop_slots(geo->nest).main_loads;
    for (uint32_t i = 0; i < geo->n; i++) {
        const struct geometry_access *a = &geo->access[i];
        bool address = !a->access->layout || ir_at(p->ir, a->access->value)->attr == LAYOUT_ADDRESS;
        if (a->access->source == SOURCE_ROUND)
            *at = r->rounds[a->access->index];
        else if (a->access->source == SOURCE_BUFFER && address && a->pointer != (uint64_t)(uintptr_t)r->faults_on_device)
            *at = (int64_t)(a->pointer + (uint64_t)((uintptr_t)r->now[loop_memory_of(p, a->access->index)] - (uintptr_t)r->buffers[a->access->index].data));
        at += 1 + (i < main ? geo->nest->rank : geo->nest->n_kept);
    }
}

/* Of nests one after another: in `here`, or where those that are repeated are kept. NULL with a diagnostic. */
static int64_t *slots_of(struct run *r, uint32_t first, uint32_t n, int64_t *here)
{
    int64_t *slots = r->slots ? r->slots + r->code->slot_at[first] : here, *at = slots;
    for (uint32_t i = first; i < first + n; i++) {
        const struct geometry *geo = &r->geometry[i];
        if ((!r->filled || !r->filled[i]) && !fill_slots(r, geo, at))
            return NULL;
        if (r->filled) {
            r->filled[i] = true;
            refresh(r, geo, at);
        }
        at += loop_slots(geo->nest).count;
    }
    if (r->record)
        replay_slots(r->record, &(struct replay_bases){r->code->plan, r->arguments, r->buffers, r->temporaries, r->n_temporaries}, &r->geometry[first], n, slots);
    return slots;
}

/* In steps: what blocks come to, what is before each, the elements. */
static bool run_scan(struct run *r, struct variant_code *v, unsigned i, const int64_t *slots)
{
    const struct geometry *geo = &r->geometry[i];
    return (geo->blocks == 1 || (launch(r, v, v->totals_entry[i], geo, slots, false) && launch(r, v, v->join_entry[i], geo, slots, true))) &&
           launch(r, v, v->main_entry[i], geo, slots, false);
}

/* Sets a temporary to 0, also when the run is made again. */
static bool zeroed(struct run *r, void *p, size_t size)
{
    for (uint32_t i = 0; r->record && i < r->n_temporaries; i++)
        if (r->temporaries[i] == p)
            replay_zero(r->record, i, size);
    return r->device->ops->zero(r->device, p, size, r->stream, r->diags);
}

static bool run_scan_gpu(struct run *r, struct variant_code *v, unsigned i, const int64_t *slots)
{
    const struct geometry *geo = &r->geometry[i];
    int64_t bytes = loop_scan_bytes(geo->kept, geo->blocks, type_table[ir_at(r->code->plan->ir, geo->nest->reduces.at[0].value)->dtype].size);
    void *told = (void *)(intptr_t)slots[loop_slots(geo->nest).partials];
    return (geo->kept == 0 || bytes == 0 || zeroed(r, told, (size_t)bytes)) &&
           launch(r, v, v->main_entry[i], geo, slots, false);
}

static bool run_nest(struct run *r, struct variant_code *v, unsigned i)
{
    const struct geometry *geo = &r->geometry[i];
    int64_t here[LOOP_MAX_SLOTS], *slots;
    if (copies_onto_itself(r->code->plan->ir, geo))
        return true;
    if (geo->nest->blocks && !blocks_fit(geo, r->diags))
        return false;
    if (!(slots = slots_of(r, i, 1, here)))
        return false;
    if (geo->nest->kind == NEST_SCAN)
        return is_gpu(r) ? run_scan_gpu(r, v, i, slots) : run_scan(r, v, i, slots);
    return launch(r, v, v->main_entry[i], geo, slots, false) &&
           (geo->nest->kind == NEST_MAP || launch(r, v, v->join_entry[i], geo, slots, true));
}

/* As many as are under way at once: each takes one row after another. */
static unsigned blocks_of_rows(struct run *r, const struct variant_code *v, unsigned i, const struct device_launch *l)
{
    unsigned at_once = r->device->ops->at_once(r->device, v->module, v->rows_entry[i], l);
    return at_once && at_once < r->rows[i].blocks ? at_once : r->rows[i].blocks;
}

static bool run_rows(struct run *r, struct variant_code *v, unsigned i)
{
    const struct loop_rows *rows = &r->code->plan->rows.at[i];
    int64_t here[LOOP_MAX_SLOTS], *slots = slots_of(r, rows->first, rows->n, here);
    struct device_launch l = {.slots = slots, .grid = {1, 1, 1}, .block = {32, r->rows[i].warps, 1}, .grain = r->rows[i].grain, .shared_bytes = r->rows[i].kept_bytes};
    if (!slots)
        return false;
    if (is_gpu(r))
        l.grid[0] = blocks_of_rows(r, v, i, &l);
    for (uint32_t k = rows->first; k < rows->first + rows->n; k++)
        l.n_slots += loop_slots(r->geometry[k].nest).count;
    l.items = r->geometry[rows->first].kept;
    return launch_entry(r, v, v->rows_entry[i], &l);
}

/* Asked before every nest, so on a GPU too. */
static bool goes_on(struct run *r)
{
    if (!is_watched(r->watch) || watch_goes_on(r->watch, 0))
        return true;
    diag_add(r->diags, AX_stopped, (struct span){0, 0}, "the call was stopped by who watched it");
    return false;
}

/* Nests from `from` to `end`, which are in the rounds of `parent`; `round` is that of the innermost steps. */
struct span_of_nests {
    uint32_t from, end, parent;
    int64_t round;
};

static bool run_steps(struct run *r, struct variant_code *v, const struct loop_steps *s, uint32_t index);

/* The rows that begin here, or those after. */
static uint32_t rows_from(const struct loop_plan *p, uint32_t nest)
{
    uint32_t i = 0;
    while (i < p->rows.n && p->rows.at[i].first < nest)
        i++;
    return i;
}

static bool run_nests(struct run *r, struct variant_code *v, struct span_of_nests span)
{
    const struct loop_plan *p = r->code->plan;
    uint32_t rows = rows_from(p, span.from), steps = 0;
    for (uint32_t i = span.from;;) {
        while (steps < p->steps.n && (p->steps.at[steps].parent != span.parent || p->steps.at[steps].first < i))
            steps++;
        if (steps < p->steps.n && p->steps.at[steps].first == i && i <= span.end) {
            if (!run_steps(r, v, &p->steps.at[steps], steps))
                return false;
            i += p->steps.at[steps++].n;
            continue;
        }
        if (i >= span.end)
            return true;
        if (span.parent == NO_STEPS)
            watch_share(r->watch, (double)i / p->nests.n, 1.0 / p->nests.n);
        if (!goes_on(r))
            return false;
        while (rows < p->rows.n && p->rows.at[rows].first < i)
            rows++;
        bool by_rows = rows < p->rows.n && p->rows.at[rows].first == i && r->rows[rows].chosen;
        bool skipped = span.round > 0 && r->once[i];
        if (!skipped && !(by_rows ? run_rows(r, v, rows) : run_nest(r, v, i)))
            return false;
        i += by_rows ? p->rows.at[rows].n : 1;
    }
}

/* How many: known, or what nests before have computed. */
static bool rounds_of(struct run *r, const struct loop_steps *s, int64_t *rounds)
{
    *rounds = s->known;
    if (s->rounds != NO_STEPS && !r->device->ops->copy_out(r->device, rounds, r->now[s->rounds], sizeof *rounds, r->stream, r->diags))
        return false;
    if (*rounds > r->code->plan->ir->max_rounds) {
        *rounds = r->code->plan->ir->max_rounds;
        r->endless = true;
    }
    return true;
}

static void change_hands(struct run *r, const struct loop_steps *s)
{
    void **before = r->now + r->code->plan->buffers.n;
    for (uint32_t i = 0; i < s->moves.n; i++)
        before[s->moves.at[i].from] = r->now[s->moves.at[i].from];
    for (uint32_t i = 0; i < s->moves.n; i++)
        r->now[s->moves.at[i].to] = before[s->moves.at[i].from];
}

static bool run_steps(struct run *r, struct variant_code *v, const struct loop_steps *s, uint32_t index)
{
    int64_t rounds;
    if (!rounds_of(r, s, &rounds))
        return false;
    for (int64_t round = 0; round < rounds; round++) {
        r->rounds[s->number] = round;
        if (!goes_on(r) || !run_nests(r, v, (struct span_of_nests){s->first, s->first + s->n, index, round}))
            return false;
        change_hands(r, s);
    }
    return true;
}

static bool faults_end(struct run *r, struct ir_faults *faults)
{
    bool ok = true;
    if (r->record)
        return true;
    if (is_gpu(r) && r->code->may_fault)
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
    if (!run_init(r))
        return false;
    take_inputs(r, inputs);
    if ((allocate && !faults_begin(r)) || !make_buffers(r, outputs, allocate))
        return false;
    find_geometry(r);
    return true;
}

bool exec_run(struct exec_code *code, const struct exec_array *inputs, const struct exec_array *outputs,
              const int64_t *dim_values, unsigned max_threads, void *stream, struct watch *watch, struct ir_faults *faults, struct replay *record,
              struct diags *diags)
{
    struct run r = {.code = code, .device = code->device, .diags = diags, .stream = stream, .max_threads = max_threads, .watch = watch, .dims = dim_values, .record = record};
    const struct loop_plan *plan = code->plan;
    struct variant_code *v = NULL;
    bool ok = prepare(&r, inputs, outputs, true) && (v = code_for(&r)) && run_nests(&r, v, (struct span_of_nests){0, plan->nests.n, NO_STEPS, 0}) && faults_end(&r, faults);
    run_fini(&r);
    return ok;
}

bool exec_prepare(struct exec_code *code, const struct exec_array *inputs, const struct exec_array *outputs,
                  const int64_t *dim_values, struct diags *diags)
{
    struct run r = {.code = code, .device = code->device, .diags = diags, .dims = dim_values};
    bool ok = prepare(&r, inputs, outputs, false) && code_for(&r);
    run_fini(&r);
    return ok;
}
