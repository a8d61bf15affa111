/* A program's text to a plan with default variants, as the public library does it before code generation. */
#ifndef TEST_PLANS_H
#define TEST_PLANS_H
#include "loop/loop.h"

struct test_plan {
    struct arena arena;
    struct diags diags;
    struct loop_plan *plan;
    struct loop_variant *variants;
};

/* Every input has this dtype; those called m have rank 2, t rank 3, s rank 0, the others rank 1. */
bool plan_make(struct test_plan *p, const char *text, enum dtype dtype);
/* The same of an IR that `make` fills, for nodes that no text spells. */
bool plan_of_ir(struct test_plan *p, void (*make)(struct ir *ir, const void *how), const void *how);
void plan_fini(struct test_plan *p);

#endif
