/* The arguments of launches: what the slots of nests hold. */
#ifndef AREX_API_SLOTS_H
#define AREX_API_SLOTS_H
#include "run.h"

/* Of n nests one after another: in `here`, or where those that are repeated are kept. What their partial results need is allocated. NULL with a diagnostic. */
int64_t *slots_of(struct run *r, uint32_t first, uint32_t n, int64_t *here);

#endif
