/* Growth of the arrays of vec.h. */
#include <string.h>
#include "base/vec.h"

void *vec_grown(struct arena *a, void *at, uint32_t *cap, uint32_t n, size_t item_size)
{
    if (n < *cap)
        return at;
    uint32_t more = *cap ? *cap * 2 : 8;
    void *grown = arena_alloc(a, (size_t)more * item_size);
    if (n)
        memcpy(grown, at, (size_t)n * item_size);
    *cap = more;
    return grown;
}
