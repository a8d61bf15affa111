/*
 * Growable arrays that live in an arena: VEC(int) v = {0}; vec_push(arena, &v, 3); v.at[0]; v.n.
 * Growing copies; the old storage stays in the arena until it is dropped.
 */
#ifndef AREX_BASE_VEC_H
#define AREX_BASE_VEC_H
#include "base/arena.h"

#define VEC(T)                                                                                               \
    struct {                                                                                                 \
        T *at;                                                                                               \
        uint32_t n, cap;                                                                                     \
    }

void *vec_grown(struct arena *a, void *at, uint32_t *cap, uint32_t n, size_t item_size);

#define vec_push(a, v, item)                                                                                 \
    ((v)->at = vec_grown((a), (v)->at, &(v)->cap, (v)->n, sizeof *(v)->at), (v)->at[(v)->n++] = (item))

#endif
