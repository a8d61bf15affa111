/* See driver.h. */
#include <dlfcn.h>
#include <string.h>
#include "cuda/driver.h"

#define NO_SPAN ((struct span){0, 0})

/* The loader finds the first by its own list; the second is where Windows' Linux keeps it. */
static const char *const usual[] = {"libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1"};

static void not_found(const char *file, struct strbuf *tried, struct diags *diags)
{
    diag_add(diags, AX_no_driver, NO_SPAN, "no CUDA driver was found");
    diag_note(diags, NO_SPAN, "tried %s", tried->s ? tried->s : file);
    diags->starved |= tried->failed;
}

static bool open_library(struct driver *d, const char *file, struct diags *diags)
{
    struct strbuf tried = {0};
    unsigned n = file ? 1 : sizeof usual / sizeof *usual;
    for (unsigned i = 0; i < n && !d->library; i++) {
        const char *path = file ? file : usual[i];
        d->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (!d->library) {
            const char *why = dlerror();
            strbuf_printf(&tried, "%s%s (%s)", i ? "; " : "", path, why ? why : "no reason given");
        }
    }
    if (!d->library)
        not_found(file, &tried, diags);
    strbuf_fini(&tried);
    return d->library != NULL;
}

static bool find(void *library, const char *symbol, void *out, struct diags *diags)
{
    void *p = dlsym(library, symbol);
    if (!p)
        diag_add(diags, AX_driver_too_old, NO_SPAN, "the CUDA driver has no function %s", symbol);
    memcpy(out, &p, sizeof p);
    return p != NULL;
}

static bool find_all(struct driver *d, struct diags *diags)
{
#define DRIVER(name, symbol, parameters, arguments)                                                          \
    if (!find(d->library, symbol, &d->name, diags))                                                          \
        return false;
#include "driver.def"
#undef DRIVER
    return true;
}

bool driver_open(struct driver *d, const char *file, struct diags *diags)
{
    memset(d, 0, sizeof *d);
    if (!open_library(d, file, diags))
        return false;
    if (find_all(d, diags)) {
        CUresult result = d->cuInit(0);
        if (result == CUDA_ERROR_NO_DEVICE) {
            diag_add(diags, AX_no_device, NO_SPAN, "the CUDA driver finds no device");
        } else if (driver_ok(d, result, "cuInit", diags)) {
            return true;
        }
    }
    driver_close(d);
    return false;
}

void driver_close(struct driver *d)
{
    if (d->library)
        dlclose(d->library);
    memset(d, 0, sizeof *d);
}

bool driver_ok(const struct driver *d, CUresult result, const char *call, struct diags *diags)
{
    const char *name = NULL, *text = NULL;
    if (result == CUDA_SUCCESS)
        return true;
    d->cuGetErrorName(result, &name);
    d->cuGetErrorString(result, &text);
    diag_add(diags, result == CUDA_ERROR_OUT_OF_MEMORY ? AX_device_out_of_memory : AX_driver_error, NO_SPAN, "%s failed: %s (%s)", call, text ? text : "unknown error",
             name ? name : "no name");
    return false;
}
