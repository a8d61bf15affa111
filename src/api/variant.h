/* Code for the way a run meets memory. */
#ifndef AREX_API_VARIANT_H
#define AREX_API_VARIANT_H
#include "run.h"

/* By the key of the run: what an earlier one compiled, or compiled and loaded now. NULL with a diagnostic. It belongs to the code. */
struct variant_code *variant_for(struct run *r);

#endif
