/* The order of a run: nests one after another, those of steps again and again, rows at once where they were chosen. */
#ifndef AREX_API_STEPS_H
#define AREX_API_STEPS_H
#include "run.h"

/* All nests of the plan. false with a diagnostic, also when who watches has stopped it. */
bool steps_run(struct run *r, struct variant_code *v);

#endif
