/* Option structs: defaults, and the check that keeps callers of other versions safe. */
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
