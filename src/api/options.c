/* Option structs: defaults, the check that keeps callers of other versions safe, and names of architectures. */
#include <string.h>
#include "api.h"

bool options_known(const void *options, size_t size, size_t known, const char *what, struct diags *diags)
{
    const unsigned char *bytes = options;
    if (size < sizeof(size_t) || size > 65536) {
        diag_add(diags, AX_usage, NO_SPAN, "the size of the %s options is %zu: fill them with their initialiser first", what, size);
        return false;
    }
    for (size_t i = known; i < size; i++)
        if (bytes[i]) {
            diag_add(diags, AX_usage, NO_SPAN, "the %s options set something this version does not know", what);
            return false;
        }
    return true;
}

PUBLIC void arex_context_options_init(arex_context_options *o)
{
    if (!o)
        return;
    memset(o, 0, sizeof *o);
    o->size = sizeof *o;
}

PUBLIC void arex_compile_options_init(arex_compile_options *o)
{
    if (!o)
        return;
    memset(o, 0, sizeof *o);
    o->size = sizeof *o;
}

PUBLIC void arex_call_options_init(arex_call_options *o)
{
    if (!o)
        return;
    memset(o, 0, sizeof *o);
    o->size = sizeof *o;
}

static const struct arch {
    const char *name, *features;
} archs[] = {
#define ARCH(name, features) {name, features},
#include "archs.def"
#undef ARCH
};

static const struct arch *find_arch(const char *name)
{
    for (size_t i = 0; i < sizeof archs / sizeof *archs; i++)
        if (strcmp(archs[i].name, name) == 0)
            return &archs[i];
    return NULL;
}

static bool is_native(const char *arch)
{
    return !arch || !arch[0] || strcmp(arch, "native") == 0;
}

bool arch_known(const char *arch)
{
    return is_native(arch) || find_arch(arch);
}

bool arch_fuses(const char *arch)
{
    const struct arch *a = is_native(arch) ? NULL : find_arch(arch);
    return a ? strstr(a->features, "+fma") != NULL : __builtin_cpu_supports("fma");
}
