/* See array.h. */
#include <stdlib.h>
#include <string.h>
#include "array.h"
#include "ir/ops.h"

bool array_has_elements(const arex_array *a)
{
    for (int d = 0; d < a->rank; d++)
        if (a->shape[d] == 0)
            return false;
    return true;
}

bool array_strides_fit(const arex_array *a)
{
    const int64_t memory = INT64_C(1) << 57; /* what five levels of page tables give, both ways */
    int64_t size = type_alignment((enum dtype)a->dtype), below = 0, above = type_table[a->dtype].size, reach;
    if (!array_has_elements(a))
        return true;
    for (int d = 0; d < a->rank; d++) {
        if (a->shape[d] == 1)
            continue;
        if (a->strides[d] % size || __builtin_mul_overflow(a->shape[d] - 1, a->strides[d], &reach))
            return false;
        if (reach < -memory || reach > memory)
            return false;
        *(reach < 0 ? &below : &above) += reach;
    }
    return above - below <= memory;
}

/* Axes from the densest on: each must step over all that lies within the ones before. */
bool array_elements_apart(const arex_array *a)
{
    bool taken[AREX_MAX_RANK] = {false};
    uint64_t reach = type_table[a->dtype].size;
    if (!array_has_elements(a))
        return true;
    for (int k = 0; k < a->rank; k++) {
        int next = -1;
        for (int d = 0; d < a->rank; d++)
            if (!taken[d] && (next < 0 || llabs(a->strides[d]) < llabs(a->strides[next])))
                next = d;
        taken[next] = true;
        if (a->shape[next] == 1)
            continue;
        uint64_t step = (uint64_t)llabs(a->strides[next]);
        if (step < reach)
            return false;
        reach += step * (uint64_t)(a->shape[next] - 1);
    }
    return true;
}

size_t array_bytes(const arex_array *a)
{
    size_t n = type_table[a->dtype].size;
    for (int d = 0; d < a->rank; d++)
        n *= (size_t)a->shape[d];
    return n;
}

struct array_reach array_reach_of(const arex_array *a)
{
    struct array_reach r = {0, type_table[a->dtype].size};
    if (!array_has_elements(a))
        return r;
    for (int d = 0; d < a->rank; d++) {
        int64_t reach = (a->shape[d] - 1) * a->strides[d];
        *(reach < 0 ? &r.below : &r.above) += reach;
    }
    return r;
}

bool arrays_overlap(const arex_array *a, const arex_array *b)
{
    struct array_reach r = array_reach_of(a), s = array_reach_of(b);
    return a->data && b->data && a->device == b->device && !array_reaches_apart(a->data, &r, b->data, &s);
}

bool array_is_contiguous(const arex_array *a)
{
    int64_t bytes = type_table[a->dtype].size;
    for (int d = a->rank - 1; d >= 0; d--) {
        if (a->shape[d] != 1 && a->strides[d] != bytes)
            return false;
        bytes *= a->shape[d];
    }
    return true;
}

arex_array array_packed_like(const arex_array *a, void *data)
{
    arex_array p = *a;
    int64_t bytes = type_table[a->dtype].size;
    p.data = data;
    p.device = -1;
    for (int d = a->rank - 1; d >= 0; d--) {
        p.strides[d] = bytes;
        bytes *= a->shape[d];
    }
    return p;
}

void array_copy_strided(const arex_array *to, const arex_array *from)
{
    int64_t index[AREX_MAX_RANK] = {0}, n = 1;
    size_t size = type_table[from->dtype].size;
    for (int d = 0; d < from->rank; d++)
        n *= from->shape[d];
    for (int64_t i = 0; i < n; i++) {
        char *t = to->data;
        const char *f = from->data;
        for (int d = 0; d < from->rank; d++) {
            t += index[d] * to->strides[d];
            f += index[d] * from->strides[d];
        }
        memcpy(t, f, size);
        for (int d = from->rank - 1; d >= 0 && ++index[d] == from->shape[d]; d--)
            index[d] = 0;
    }
}
