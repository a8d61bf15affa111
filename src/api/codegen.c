/* Opening the code generator, privately: its symbols meet nobody else's LLVM. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include "api.h"

#define LIBRARY "libarex-llvm.so"

static char *beside_this_library(void)
{
    static const char mark;
    Dl_info info;
    struct strbuf b = {0};
    if (!dladdr(&mark, &info) || !info.dli_fname)
        return strdup(LIBRARY);
    const char *slash = strrchr(info.dli_fname, '/');
    if (slash)
        strbuf_add(&b, info.dli_fname, (size_t)(slash - info.dli_fname) + 1);
    strbuf_puts(&b, LIBRARY);
    return strbuf_take(&b);
}

static const struct codegen_api *open_library(struct arex_context *c, const char *path, struct diags *diags)
{
    const struct codegen_api *(*get)(void) = NULL;
    /* Stays in the process: LLVM keeps tables of its own that unloading would leak, and the next context finds it ready. */
    c->llvm_handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    const char *why = c->llvm_handle ? NULL : dlerror();
    void *symbol = c->llvm_handle ? dlsym(c->llvm_handle, "arex_llvm_api") : NULL;
    memcpy(&get, &symbol, sizeof get);
    const struct codegen_api *api = get ? get() : NULL;
    if (api && api->size == sizeof *api)
        return api;
    diag_add(diags, AX_no_llvm, NO_SPAN, "the code generator cannot be opened: %s", why ? why : api ? "it belongs to another version" : "it is another library");
    diag_note(diags, NO_SPAN, "looked for %s", path);
    context_close_codegen(c);
    return NULL;
}

void context_close_codegen(struct arex_context *c)
{
    if (c->llvm_handle)
        dlclose(c->llvm_handle);
    c->llvm_handle = NULL;
    c->llvm = NULL;
}

const struct codegen_api *context_codegen(void *user, struct diags *diags)
{
    struct arex_context *c = user;
    lock_take(&c->lock);
    if (!c->llvm) {
        char *path = c->llvm_library ? strdup(c->llvm_library) : beside_this_library();
        if (!path)
            diag_add(diags, AX_out_of_memory, NO_SPAN, "out of memory");
        else
            c->llvm = open_library(c, path, diags);
        free(path);
    }
    const struct codegen_api *api = c->llvm;
    lock_give(&c->lock);
    return api;
}
