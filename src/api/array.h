/* What an array says of its elements: how many bytes they are, where they lie, how far they reach. Nothing is asked of a device. */
#ifndef AREX_API_ARRAY_H
#define AREX_API_ARRAY_H
#include <stdbool.h>
#include <arex/arex.h>

size_t array_bytes(const arex_array *a); /* of all elements */
bool array_has_elements(const arex_array *a);
bool array_is_contiguous(const arex_array *a); /* row-major, without gaps */
/* Do all elements lie as near the first as a machine's memory reaches, at multiples of their size? */
bool array_strides_fit(const arex_array *a);
bool array_elements_apart(const arex_array *a); /* none on top of another; of strides that fit */
/* How far its elements lie around the first one, in bytes: from `below` on, before `above`. Of strides that fit; without elements as of one. */
struct array_reach {
    int64_t below, above;
};
struct array_reach array_reach_of(const arex_array *a);
/* Do elements of arrays that begin at a and at b share no byte? */
static inline bool array_reaches_apart(const void *a, const struct array_reach *ra, const void *b, const struct array_reach *rb)
{
    return (intptr_t)a + ra->below >= (intptr_t)b + rb->above || (intptr_t)b + rb->below >= (intptr_t)a + ra->above;
}
bool arrays_overlap(const arex_array *a, const arex_array *b); /* may they, by their reach? */
arex_array array_packed_like(const arex_array *a, void *data); /* contiguous, on the host */
/* Element by element between two host arrays of one shape. */
void array_copy_strided(const arex_array *to, const arex_array *from);

#endif
