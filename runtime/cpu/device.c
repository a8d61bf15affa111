/* The CPU as a device: ordinary memory, mapped code, the thread pool. See runtime/device.h. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cpu/loader.h"
#include "cpu/pool.h"
#include "device.h"

#define NO_SPAN ((struct span){0, 0})

enum { ALIGNMENT = 64 };

struct cpu_device {
    struct device device;
    struct pool *pool;
};

struct device_module {
    struct loaded_code code;
    unsigned n_entries;
    uint32_t entries[];
};

/*
 * Large blocks begin in the middle of a page. Those of malloc begin at its start: a result that lay there, next to its arguments'
 * places in their pages, would make a processor take a load for one of what has just been stored, because it compares the last 12
 * bits of addresses first (Intel, Optimization Reference Manual, "4-KByte aliasing"; AMD's does so too). Five times slower, at worst.
 */
static char *place(char *from, size_t size)
{
    enum { LARGE = 1 << 16, PAGE = 4096, MIDDLE = PAGE / 2 + ALIGNMENT };
    return size < LARGE ? from : from + ((MIDDLE - (uintptr_t)from) & (PAGE - 1));
}

static bool cpu_alloc(struct device *d, size_t size, void *stream, void **out, struct diags *diags)
{
    enum { ROOM = 4096 + 2 * ALIGNMENT };
    (void)d, (void)stream;
    size_t padded = (size + ROOM) / ALIGNMENT * ALIGNMENT;
    char *block = padded < size ? NULL : aligned_alloc(ALIGNMENT, padded);
    *out = NULL;
    if (!block) {
        diag_add(diags, AX_out_of_memory, NO_SPAN, "no memory for %zu bytes", size);
        return false;
    }
    char *p = place(block + ALIGNMENT, size);
    memcpy(p - sizeof block, &block, sizeof block);
    *out = p;
    return true;
}

static void cpu_free(struct device *d, void *p)
{
    char *block = NULL;
    (void)d;
    if (p)
        memcpy(&block, (char *)p - sizeof block, sizeof block);
    free(block);
}

static bool cpu_copy_in(struct device *d, void *to, const void *from, size_t size, void *stream, struct diags *diags)
{
    (void)d, (void)stream, (void)diags;
    if (size)
        memmove(to, from, size);
    return true;
}

static bool cpu_zero(struct device *d, void *p, size_t size, void *stream, struct diags *diags)
{
    (void)d, (void)stream, (void)diags;
    memset(p, 0, size);
    return true;
}

static bool cpu_load(struct device *d, const struct kernel_image *image, struct device_module **out, struct diags *diags)
{
    (void)d;
    struct device_module *m = calloc(1, sizeof *m + image->n_entries * sizeof m->entries[0]);
    if (!m) {
        diag_add(diags, AX_out_of_memory, NO_SPAN, "out of memory");
        return false;
    }
    if (image->kind != IMAGE_NATIVE || !loader_map(&m->code, image, diags)) {
        if (image->kind != IMAGE_NATIVE)
            diag_add(diags, AX_load_failed, NO_SPAN, "the code is not for a CPU");
        free(m);
        return false;
    }
    m->n_entries = image->n_entries;
    for (unsigned i = 0; i < image->n_entries; i++)
        m->entries[i] = image->entries[i].offset;
    *out = m;
    return true;
}

static void cpu_unload(struct device *d, struct device_module *m)
{
    (void)d;
    loader_unmap(&m->code);
    free(m);
}

bool cpu_launch_with(struct device *d, struct device_module *m, unsigned entry, const struct device_launch *l,
                     unsigned max_threads, struct diags *diags)
{
    pool_fn *fn;
    if (entry >= m->n_entries) {
        diag_add(diags, AX_internal, NO_SPAN, "no entry %u in this code", entry);
        return false;
    }
    void *address = m->code.base + m->entries[entry];
    memcpy(&fn, &address, sizeof fn);
    if (pool_run(((struct cpu_device *)d)->pool, fn, l->slots, l->items, l->grain > 0 ? l->grain : 1, max_threads, l->watch))
        return true;
    diag_add(diags, AX_stopped, NO_SPAN, "the call was stopped by who watched it");
    return false;
}

static bool cpu_launch(struct device *d, struct device_module *m, unsigned entry, const struct device_launch *l, void *stream,
                       struct diags *diags)
{
    (void)stream;
    return cpu_launch_with(d, m, entry, l, 0, diags);
}

static void cpu_uses(struct device *d, const void *p, void *stream)
{
    (void)d, (void)p, (void)stream;
}

static bool cpu_synchronize(struct device *d, void *stream, struct diags *diags)
{
    (void)d, (void)stream, (void)diags;
    return true;
}

static void cpu_close(struct device *d)
{
    pool_free(((struct cpu_device *)d)->pool);
    free(d);
}

static const struct device_ops cpu_ops = {
    DEVICE_CPU, "cpu", cpu_alloc, cpu_free, cpu_copy_in, cpu_copy_in, cpu_copy_in, cpu_zero, cpu_load, cpu_unload, cpu_launch, NULL, cpu_synchronize, cpu_uses, cpu_close,
};

/* The first lines are about the first processor. Without the C library's files, which take memory. */
static void read_title(char *title, size_t size)
{
    static const char key[] = "model name\t: ";
    char text[4096];
    int f = open("/proc/cpuinfo", O_RDONLY | O_CLOEXEC);
    ssize_t n = f < 0 ? 0 : read(f, text, sizeof text - 1);
    text[n > 0 ? n : 0] = 0;
    const char *at = strstr(text, key), *value = at ? at + strlen(key) : "CPU";
    snprintf(title, size, "%.*s", (int)strcspn(value, "\n"), value);
    if (f >= 0)
        close(f);
}

struct device *cpu_device_open(unsigned threads, struct diags *diags)
{
    struct cpu_device *c = calloc(1, sizeof *c);
    if (c)
        c->pool = pool_new(threads);
    if (!c || !c->pool) {
        free(c);
        diag_add(diags, AX_out_of_memory, NO_SPAN, "out of memory");
        return NULL;
    }
    c->device.ops = &cpu_ops;
    read_title(c->device.title, sizeof c->device.title);
    return &c->device;
}

unsigned cpu_device_threads(const struct device *d)
{
    return pool_threads(((const struct cpu_device *)d)->pool);
}
