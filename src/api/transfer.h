/* Arrays of a call that lie elsewhere are brought to where the program runs, and results back. */
#ifndef AREX_API_TRANSFER_H
#define AREX_API_TRANSFER_H
#include "call.h"

/* Fills `there` and `in`. false with a diagnostic, as the others here. */
bool place_inputs(struct call *c);
bool place_outputs(struct call *c); /* fills `out`: the caller's memory where it serves; else memory of ours, copied afterwards */
bool bring_results_out(struct call *c); /* to the outputs that were not written in place */

#endif
