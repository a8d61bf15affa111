/* One nest, or several that are done row by row: its one to three launches. */
#ifndef AREX_API_NEST_H
#define AREX_API_NEST_H
#include "run.h"

/* The i-th nest of the plan, and all nests of its i-th rows. On a GPU they are queued, not waited for. false with a diagnostic. */
bool nest_run(struct run *r, struct variant_code *v, unsigned i);
bool nest_run_rows(struct run *r, struct variant_code *v, unsigned i);

#endif
