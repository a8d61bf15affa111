/* Arrays of a call that lie elsewhere are brought to where the program runs, and results back. */
#ifndef AREX_API_TRANSFER_H
#define AREX_API_TRANSFER_H
#include "call.h"

/* there: room for the inputs as they then are; outlives the run. false with a diagnostic, as the others here. */
bool place_inputs(struct call *c, arex_array *there);
bool place_outputs(struct call *c); /* the caller's memory where it serves; else memory of ours, copied afterwards */
bool bring_results_out(struct call *c);

#endif
