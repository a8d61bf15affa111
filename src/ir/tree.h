/*
 * What a sequence in memory comes to, and what its elements come to up to each of them, in the fixed order. Private to src/ir.
 *
 * n elements of the dtype, one after another; they are overwritten, by partial results or by the scan.
 */
#ifndef AREX_IR_TREE_H
#define AREX_IR_TREE_H
#include "ir/ir.h"

struct tree {
    enum op op;
    enum dtype dtype;
    size_t size; /* of an element */
    char identity[8], lane[TREE_JOIN_LANES * 8];
};

void tree_init(struct tree *r, enum op op, enum dtype dtype);
void tree_lanes(struct tree *r, char *sequence, int64_t n, void *out);   /* the last axis is reduced */
void tree_columns(struct tree *r, char *sequence, int64_t n, void *out); /* it is kept */
void tree_scan(const struct tree *r, char *x, int64_t n, char *totals);  /* totals: room for as many again */

#endif
