/* A call by the reference evaluator. */
#ifndef AREX_API_REFERENCE_H
#define AREX_API_REFERENCE_H
#include "call.h"

bool all_on_host(struct call *c); /* as it must be; else with a diagnostic */
bool run_reference(struct call *c);

#endif
