/* A call by the reference evaluator. */
#ifndef AREX_API_REFERENCE_H
#define AREX_API_REFERENCE_H
#include "call.h"

bool reference_takes(struct call *c); /* are all arrays on the host? Else with a diagnostic */
/* Results go to the outputs, whose memory is made where none is given. false with a diagnostic. */
bool reference_run(struct call *c);

#endif
