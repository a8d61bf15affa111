/* Where the arrays of a run are, and so how each nest meets them: geometry, and the key of the code that takes. */
#ifndef AREX_API_MEET_H
#define AREX_API_MEET_H
#include "run.h"

/* allocate: temporaries too; else nothing is going to be launched. false with a diagnostic. */
bool run_meet(struct run *r, const struct exec_array *inputs, const struct exec_array *outputs, bool allocate);

#endif
