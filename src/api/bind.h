/* Binds the arrays of a run to its plan: where each is, so how every nest meets it (geometry), and the key of the code that takes. */
#ifndef AREX_API_BIND_H
#define AREX_API_BIND_H
#include "run.h"

/* After run_init; fills what run.h says of arrays. allocate: temporaries too; else nothing is going to be launched. false with a diagnostic. */
bool run_bind(struct run *r, const struct exec_array *inputs, const struct exec_array *outputs, bool allocate);

#endif
