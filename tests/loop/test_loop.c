/* Schedules: how many passes a program takes, what each loads and stores, what is never kept; limits; the verifier. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "plans.h"

/* nests: a letter each: M map, L lanes, C columns. loads, stores: of all nests, main and epilogue. */
static const struct {
    const char *text, *nests;
    unsigned loads, stores, temporaries;
} plans[] = {
    {"x + y*2", "M", 2, 1, 0},
    {"sum(x*x)", "L", 1, 1, 0},
    {"sum(m, 0)", "C", 1, 1, 0},
    {"sum(m, 1)", "L", 1, 1, 0},
    {"sum(m, (0, 1))", "L", 1, 1, 0},
    {"sqrt(sum((x - y)**2))*2 + 1", "L", 2, 1, 0},               /* elementwise before and after */
    {"sum(x), max(x), min(x*2)", "L", 1, 3, 0},                  /* one space, one pass */
    {"y = x*x; return y, sum(y)", "L", 1, 2, 0},                 /* stored on the way */
    {"a = x + y; b = x - y; return a, b, a*b", "M", 2, 3, 0},
    {"x - mean(x)", "LM", 3, 2, 0},                              /* a scalar between, no array */
    {"(x - mean(x))/sqrt(mean((x - mean(x))**2))", "LLM", 6, 3, 0},
    {"m - mean(m, 1, keepdims=True)", "LM", 3, 2, 1},
    {"m - mean(m, 0)", "CM", 3, 2, 1},
    {"sum(sum(m, 1))", "LL", 2, 2, 1},
    {"sum(x) + sum(x)", "L", 1, 1, 0},                           /* one subexpression */
    {"sum(x) + sum(y)", "LLM", 4, 3, 0},                         /* their extents may differ */
    {"dead = sum(x*3); x + 1", "M", 1, 1, 0},                    /* a dead let costs nothing */
    {"2.0", "M", 0, 1, 0},
    {"x, x", "M", 1, 2, 0},
    {"sum(m, 0), sum(m, 1)", "CL", 2, 2, 0},
};

static char letter(const struct loop_nest *n)
{
    return n->kind == NEST_MAP ? 'M' : n->kind == NEST_LANES ? 'L' : 'C';
}

static unsigned temporaries(const struct loop_plan *p)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < p->buffers.n; i++)
        n += p->buffers.at[i].role == BUFFER_TEMPORARY && p->ir->shapes.at[p->buffers.at[i].shape].rank > 0;
    return n;
}

/* Loads from memory: a count of elements comes with the arguments. */
static unsigned arrays(const struct loop_body *b)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < b->loads.n; i++)
        n += b->loads.at[i].source != SOURCE_COUNT;
    return n;
}

static void test_structure(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
        struct test_plan p;
        char nests[16] = "";
        unsigned loads = 0, stores = 0;
        assert_true(plan_make(&p, plans[i].text, DT_float64));
        for (uint32_t k = 0; k < p.plan->nests.n && k < 15; k++) {
            const struct loop_nest *n = &p.plan->nests.at[k];
            nests[k] = letter(n);
            loads += arrays(&n->main) + arrays(&n->epilogue);
            stores += n->main.stores.n + n->epilogue.stores.n;
        }
        if (strcmp(nests, plans[i].nests) || loads != plans[i].loads || stores != plans[i].stores || temporaries(p.plan) != plans[i].temporaries)
            fail_msg("%s: nests %s, %u loads, %u stores, %u temporaries", plans[i].text, nests, loads, stores, temporaries(p.plan));
        assert_null(loop_verify(&p.arena, p.plan));
        plan_fini(&p);
    }
}

static void test_limits(void **state)
{
    struct test_plan p;
    (void)state;
    assert_true(plan_make(&p, "x/sum(x) + y/max(y - min(y))", DT_float64));
    struct loop_limits few = {.max_nests = 2};
    assert_null(loop_build(&p.arena, p.plan->ir, &few, &p.diags));
    assert_int_equal(p.diags.at[0].id, AX_too_many_kernels);
    plan_fini(&p);
}

/* ---- slots ---- */

static void mark(uint8_t *slots, uint32_t from, uint32_t n, uint32_t count)
{
    for (uint32_t i = from; i < from + n; i++) {
        assert_true(i < count);
        assert_false(slots[i]);
        slots[i] = 1;
    }
}

/* The parts of a nest's arguments lie side by side, none on another, none left out. */
static void check_slots(const struct loop_nest *n)
{
    struct loop_slots s = loop_slots(n);
    uint8_t slots[LOOP_MAX_SLOTS] = {0};
    assert_true(s.count <= LOOP_MAX_SLOTS);
    mark(slots, s.extents, n->rank, s.count);
    mark(slots, s.length, 1, s.count);
    mark(slots, s.blocks, 1, s.count);
    mark(slots, s.kept, 1, s.count);
    mark(slots, s.partials, n->reduces.n, s.count);
    mark(slots, s.faults, 1, s.count);
    mark(slots, s.main_loads, n->main.loads.n * (1u + n->rank), s.count);
    mark(slots, s.main_stores, n->main.stores.n * (1u + n->rank), s.count);
    mark(slots, s.epilogue_loads, n->epilogue.loads.n * (1u + n->n_kept), s.count);
    mark(slots, s.epilogue_stores, n->epilogue.stores.n * (1u + n->n_kept), s.count);
    for (uint32_t i = 0; i < s.count; i++)
        assert_true(slots[i]);
}

/* A buffer is alive wherever it is read or written. */
static void check_lifetimes(const struct loop_plan *p)
{
    for (uint32_t k = 0; k < p->nests.n; k++) {
        const struct loop_body *bodies[] = {&p->nests.at[k].main, &p->nests.at[k].epilogue};
        for (int b = 0; b < 2; b++) {
            for (uint32_t i = 0; i < bodies[b]->loads.n; i++) {
                const struct loop_access *a = &bodies[b]->loads.at[i];
                if (a->source == SOURCE_BUFFER)
                    assert_in_range(k, p->buffers.at[a->index].first, p->buffers.at[a->index].last);
            }
            for (uint32_t i = 0; i < bodies[b]->stores.n; i++)
                assert_in_range(k, p->buffers.at[bodies[b]->stores.at[i].index].first, p->buffers.at[bodies[b]->stores.at[i].index].last);
        }
    }
}

/* ---- programs made up: every one must schedule and verify ---- */

static uint32_t seed = 12345;

static uint32_t pick(uint32_t n)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 10) % n;
}

static char *expression(char *at, unsigned depth)
{
    static const char *const leaves[] = {"x", "y", "m", "2", "0.5", "mm"}, *const ops[] = {"+", "-", "*", "/"}, *const calls[] = {"exp", "abs", "sqrt", "-"};
    static const char *const reduces[] = {"sum", "max", "mean", "prod"};
    uint32_t kind = depth ? pick(8) : 0;
    if (kind == 0)
        return at + sprintf(at, "%s", leaves[pick(6)]);
    if (kind < 4) {
        at += sprintf(at, "(");
        at = expression(at, depth - 1);
        at += sprintf(at, " %s ", ops[pick(4)]);
        at = expression(at, depth - 1);
        return at + sprintf(at, ")");
    }
    if (kind < 6) {
        at += sprintf(at, "%s(", calls[pick(4)]);
        at = expression(at, depth - 1);
        return at + sprintf(at, ")");
    }
    at += sprintf(at, "%s(", reduces[pick(4)]);
    at = expression(at, depth - 1);
    return at + sprintf(at, pick(2) ? ")" : ", keepdims=True)");
}

static void test_made_up(void **state)
{
    enum { PROGRAMS = 400 };
    unsigned nests = 0;
    (void)state;
    for (int i = 0; i < PROGRAMS; i++) {
        char text[4096], *at = text;
        struct test_plan p;
        at = expression(at, 5);
        at += sprintf(at, ", ");
        at = expression(at, 3);
        if (!plan_make(&p, text, DT_float32))
            fail_msg("%s: %s", text, p.diags.n ? p.diags.at[0].message : "?");
        const char *fault = ir_verify(p.plan->ir);
        fault = fault ? fault : loop_verify(&p.arena, p.plan);
        if (fault)
            fail_msg("%s: %s", text, fault);
        for (uint32_t k = 0; k < p.plan->nests.n; k++)
            check_slots(&p.plan->nests.at[k]);
        check_lifetimes(p.plan);
        nests += p.plan->nests.n;
        plan_fini(&p);
    }
    assert_true(nests > 2 * PROGRAMS); /* else they are all trivial */
}

/* ---- the verifier ---- */

static void expect_fault(struct test_plan *p, const char *says)
{
    const char *fault = loop_verify(&p->arena, p->plan);
    if (!fault || !strstr(fault, says))
        fail_msg("expected '%s': %s", says, fault ? fault : "sound");
}

static void test_verifier(void **state)
{
    struct test_plan p;
    struct loop_nest *first, *last, saved;
    (void)state;
    assert_true(plan_make(&p, "m - mean(m, 1, keepdims=True)", DT_float64));
    assert_null(loop_verify(&p.arena, p.plan));
    first = &p.plan->nests.at[0], last = &p.plan->nests.at[1];

    saved = *last;
    last->main.loads.n = 0;
    expect_fault(&p, "before its argument");
    *last = saved;
    last->main.order.n--;
    expect_fault(&p, "which it does not compute");
    *last = saved;
    last->n_kept = 0;
    expect_fault(&p, "lacks a dim");
    *last = saved;
    last->main.stores.n = 0;
    expect_fault(&p, "is never stored");
    *last = saved;

    saved = *first;
    first->epilogue.stores.n = 0;
    expect_fault(&p, "before it is stored");
    *first = saved;
    first->reduces.at[0].operand = first->reduces.at[0].value;
    expect_fault(&p, "which it does not compute");
    plan_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_structure), cmocka_unit_test(test_limits), cmocka_unit_test(test_made_up), cmocka_unit_test(test_verifier)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
