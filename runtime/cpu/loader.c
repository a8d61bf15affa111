/* See loader.h. Imports come from a list of two functions; anything else is refused. */
#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "cpu/loader.h"

#define NO_SPAN ((struct span){0, 0})

static void *allowed_function(const char *name)
{
    double (*f64)(double, double, double) = fma;
    float (*f32)(float, float, float) = fmaf;
    void *p = NULL;
    if (strcmp(name, "fma") == 0)
        memcpy(&p, &f64, sizeof p);
    else if (strcmp(name, "fmaf") == 0)
        memcpy(&p, &f32, sizeof p);
    return p;
}

static bool fill_imports(const struct loaded_code *code, const struct kernel_image *image, struct diags *diags)
{
    for (unsigned i = 0; i < image->n_imports; i++) {
        const struct image_import *im = &image->imports[i];
        void *p = allowed_function(im->name);
        if (!p || im->slot > image->size || image->size - im->slot < sizeof p) {
            diag_add(diags, AX_undefined_symbol, NO_SPAN, "compiled code calls '%.16s', which is not allowed", im->name);
            return false;
        }
        memcpy(code->base + im->slot, &p, sizeof p);
    }
    return true;
}

static bool entries_inside(const struct kernel_image *image, struct diags *diags)
{
    for (unsigned i = 0; i < image->n_entries; i++)
        if (image->entries[i].offset >= image->size) {
            diag_add(diags, AX_load_failed, NO_SPAN, "the code has an entry outside itself");
            return false;
        }
    return true;
}

bool loader_map(struct loaded_code *out, const struct kernel_image *image, struct diags *diags)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    out->size = (image->size + page - 1) / page * page;
    if (!entries_inside(image, diags))
        return false;
    out->base = out->size ? mmap(NULL, out->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) : MAP_FAILED;
    if (out->base == MAP_FAILED) {
        diag_add(diags, AX_load_failed, NO_SPAN, "no memory for %zu bytes of code", image->size);
        return false;
    }
    memcpy(out->base, image->bytes, image->size);
    if (!fill_imports(out, image, diags)) {
        loader_unmap(out);
        return false;
    }
    if (mprotect(out->base, out->size, PROT_READ | PROT_EXEC) != 0) {
        diag_add(diags, AX_load_failed, NO_SPAN, "the system does not let memory become executable");
        loader_unmap(out);
        return false;
    }
    return true;
}

void loader_unmap(struct loaded_code *code)
{
    munmap(code->base, code->size);
    code->base = NULL;
}
