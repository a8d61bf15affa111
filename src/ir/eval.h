/* The scalar code behind folding and the evaluator. Private to src/ir. */
#ifndef AREX_IR_EVAL_H
#define AREX_IR_EVAL_H
#include "ir/ir.h"

/* n elements of arguments with dtype `arg`, arrays side by side; faults[i] is or-ed when not NULL. */
void eval_prim(enum prim prim, enum dtype arg, void *out, const void *const *args, size_t n, uint8_t *faults);
void eval_cast(enum dtype to, void *out, enum dtype from, const void *x, size_t n);
void eval_bitcast(enum dtype to, void *out, enum dtype from, const void *x, size_t n);
void eval_canonical(enum dtype t, void *x, size_t n); /* every nan becomes the one quiet nan */

#endif
