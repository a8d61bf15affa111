/* What the rooms of src/ir share, and sema's few needs beyond ir.h. */
#ifndef AREX_IR_BUILD_H
#define AREX_IR_BUILD_H
#include "ir/eval.h"

uint32_t ir_dim(struct ir *ir, struct ir_dim d);              /* the number of a dim, interned */
uint32_t ir_dim_broadcast(struct ir *ir, uint32_t a, uint32_t b);
uint32_t ir_shape(struct ir *ir, const struct ir_shape *s);   /* the number of a shape, interned */
void ir_input_reshape(struct ir *ir, ir_id input, uint32_t shape); /* before the input has users */
bool ir_slice_equal(const struct ir_slice *a, const struct ir_slice *b);
ir_id ir_tie(struct ir *ir, const ir_id *items, uint32_t n, struct span span); /* a chain of OP_tie; 0 of none */
ir_id ir_layout_of(struct ir *ir, ir_id x, uint64_t what, struct span span); /* of an input, a reduction, a place, or a view of one */
ir_id ir_within(struct ir *ir, ir_id index, ir_id extent, unsigned axis, struct span span);
ir_id ir_gather(struct ir *ir, enum dtype dtype, const ir_id *args, uint64_t moment, struct span span); /* moment: of what a kernel changes, else 0 */
ir_id ir_intern(struct ir *ir, struct ir_node n); /* the node, or the one before that equals it */
/* The node an exact rule gives instead of n, or 0. n is complete but for its id. */
ir_id rules_apply(struct ir *ir, const struct ir_node *n);

/* So many entries of a table were looked at. */
void ir_looked_through(struct ir *ir, uint32_t entries);

#endif
