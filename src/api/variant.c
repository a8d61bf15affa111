/* See variant.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "variant.h"

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
    o->arch = out;
    snprintf(out, size, "sm_%d", d->sm);
    o->target = TARGET_NVPTX;
    o->ptx_version = ptx_version_for(d->driver_version);
}

static unsigned entry_index(const struct kernel_image *image, unsigned nest, const char *step)
{
    char name[32];
    unsigned found = ~0u;
    snprintf(name, sizeof name, "n%u_%s", nest, step);
    for (unsigned i = 0; i < image->n_entries; i++)
        if (strcmp(image->entries[i].name, name) == 0)
            found = i;
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
    return n->kind == NEST_MAP || (n->kind == NEST_SCAN && run_is_gpu(r));
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
        return run_no_memory(r->diags);
    bool ok = true;
    for (unsigned i = 0; ok && i < p->nests.n; i++)
        if (!(r->geometry[i].flags & VARIANT_ROWS))
            ok = find_entry(r, image, i, "main", &v->main_entry[i]) &&
                 (in_one_step(r, &p->nests.at[i]) || find_entry(r, image, i, "join", &v->join_entry[i])) &&
                 (in_one_step(r, &p->nests.at[i]) || p->nests.at[i].kind != NEST_SCAN || find_entry(r, image, i, "totals", &v->totals_entry[i]));
    for (unsigned i = 0; ok && i < p->rows.n; i++)
        if (!run_is_gpu(r) || r->rows[i].chosen)
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
    bool ok = job.variants ? api && api->compile(&job, &image, &times, r->diags) : run_no_memory(r->diags);
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
        run_no_memory(r->diags);
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

struct variant_code *variant_for(struct run *r)
{
    lock_take(&r->code->lock);
    struct variant_code *v = find_variant(r);
    if (!v)
        v = make_variant(r);
    lock_give(&r->code->lock);
    return v;
}
