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
    {"sqrt(sum((x - y)**2))*2 + 1", "L", 2, 1, 0}, /* elementwise before and after */
    {"sum(x), max(x), min(x*2)", "L", 1, 3, 0},    /* one space, one pass */
    {"y = x*x; return y, sum(y)", "L", 1, 2, 0},   /* stored on the way */
    {"a = x + y; b = x - y; return a, b, a*b", "M", 2, 3, 0},
    {"x - mean(x)", "LM", 3, 2, 0}, /* a scalar between, no array */
    {"(x - mean(x))/sqrt(mean((x - mean(x))**2))", "LLM", 6, 3, 0},
    {"m - mean(m, 1, keepdims=True)", "LM", 3, 2, 1},
    {"m - mean(m, 0)", "CM", 3, 2, 1},
    {"sum(sum(m, 1))", "LL", 2, 2, 1},
    {"sum(x) + sum(x)", "L", 1, 1, 0},        /* one subexpression */
    {"sum(x) + sum(y)", "LLM", 4, 3, 0},      /* their extents may differ */
    {"dead = sum(x*3); x + 1", "M", 1, 1, 0}, /* a dead let costs nothing */
    {"2.0", "M", 0, 1, 0},
    {"x, x", "M", 1, 2, 0},
    {"sum(m, 0), sum(m, 1)", "CL", 2, 2, 0},
    {"exp(m - max(m, 1, keepdims=True))/sum(exp(m - max(m, 1, keepdims=True)), 1, keepdims=True)", "LLM", 5,
     4, 2},                                         /* softmax: its exponentials are laid down in the output's memory */
    {"e = exp(m); e/sum(e, 1, keepdims=True), e*2", "LM", 3, 4, 1},            /* in that of one output */
    {"e = exp(m); e/sum(e, 1, keepdims=True), e", "LM", 3, 3, 1},              /* an output itself */
    {"e = exp(m); float32(e/sum(e, 1, keepdims=True))", "LM", 3, 2, 1},        /* another type */
    {"e = exp(m); (e/sum(e, 1, keepdims=True)).T", "LM", 3, 2, 1},             /* another shape */
    {"e = m*m + 1; e/sum(e, 1, keepdims=True)", "LM", 3, 2, 1},                /* quick to compute */
    {"e = exp(m); m/sum(e, 1, keepdims=True)", "LM", 3, 2, 1},                 /* not needed again */
    {"(m - mean(m, 0))/std(m, 0)", "CCM", 6, 4, 3}, /* standard score of columns */
    {"v = x*x + y; return v, sum(v), max(v), mean(v)", "L", 2, 4, 0},
    {"sum(x*y) + sum(x*y), x*y", "L", 2, 2, 0},
    {"sum(t, 0)", "C", 1, 1, 0},
    {"sum(t, 1)", "C", 1, 1, 0}, /* the last axis is kept */
    {"sum(t, 2)", "L", 1, 1, 0},
    {"sum(t, (0, 2))", "L", 1, 1, 0}, /* the last axis is reduced */
    {"sum(t, (0, 1))", "C", 1, 1, 0},
    {"sum(m, ())", "C", 1, 1, 0}, /* over nothing: each its own sum */
    {"sum(s)", "L", 1, 1, 0},
    {"s*2, s*3", "M", 1, 2, 0},
    {"x + s*2", "M", 2, 1, 0},
    {"x, m", "MM", 2, 2, 0},                               /* spaces that differ */
    {"sum(m, 1), max(m, 1, keepdims=True)", "L", 1, 2, 0}, /* keepdims is no other pass */
    {"sum(m, 1) + x, x", "LMM", 4, 3, 1},                  /* their extents may differ */
    {"s*sum(x) + max(x)", "L", 2, 1, 0},
    {"a = sum(m, 1); b = sum(m, 0); return a*2, b*2", "LC", 2, 2, 0},
    {"cumsum(x*x + 1)", "S", 1, 1, 0}, /* what is scanned is computed on the way */
    {"cumsum(m, 0), cumsum(m, 1)", "SS", 2, 2, 0},
    {"c = cumsum(x); return c, c*2", "SM", 2, 2, 0}, /* an output is what the rest reads */
    {"cumsum(x)/sum(x)", "SLM", 4, 3, 1},
    {"sum(cumsum(m, 1), 1)", "SL", 2, 2, 1},
    {"cummax(m, 1)[:, ::-1]", "SM", 2, 2, 1},
    {"param m: float64[1, n]\ncumsum(m, 0)", "S", 1, 1, 0}, /* of one element each */
    {"m - cumsum(m, 1)", "SM", 3, 2, 1},
    {"y[1:] - y[:-1]", "M", 2, 1, 0},
    {"a = y[1:] + y[:-1]; a[1:] + a[:-1]", "M", 3, 1, 0},             /* one view for either way to the middle */
    {"m[1:, 1:] + m[:, 1:][1:] + m[1:][:, 1:]", "M", 1, 1, 0},         /* the order of axes does not matter */
    {"y[1:-1] + y[:-1][1:] + y[1:][:-1] + y[0:-1][1:]", "M", 1, 1, 0},
    {"y[::2][1:] + y[1:][::2]", "M", 2, 1, 0},
    {"m + m.T", "M", 2, 1, 0},
    {"sum(m, 0)[1:]", "CM", 2, 2, 1}, /* stored, then seen through the view */
    {"f = sum(x) > 0; x if f else y", "LM", 4, 2, 0},
};

/* Which nests are done row by row: the first and the last of each set. */
static const struct {
    const char *text, *rows;
} rows[] = {
    {"exp(m - max(m, 1, keepdims=True))/sum(exp(m - max(m, 1, keepdims=True)), 1, keepdims=True)", "0-2 "}, /* softmax */
    {"c = m - mean(m, 1, keepdims=True); c/sqrt(mean(c*c, 1, keepdims=True) + 1e-5)", "0-2 "},              /* layer norm */
    {"m - mean(m, 1, keepdims=True)", "0-1 "},
    {"m - mean(m, 1, keepdims=True), m*mean(m, 1, keepdims=True), sum(m, 0)", ""}, /* columns come between */
    {"t - mean(t, 2, keepdims=True)", "0-1 "},
    {"t - mean(t, (1, 2), keepdims=True)", "0-1 "},
    {"t - mean(t, (0, 2), keepdims=True)", ""}, /* its rows are not the array's */
    {"t - mean(t, 1, keepdims=True)", ""},      /* columns */
    {"m - mean(m, 0)", ""},
    {"x - mean(x)", ""},        /* one row */
    {"m - max(m, 1)", ""},      /* each element of a row needs another row's */
    {"s = sum(m, 1, keepdims=True); m*s[::-1]", ""},
    {"sum(m, 1)", ""},
    {"a = max(m, 1, keepdims=True); b = sum(m - a, 1); sum(b)", "0-1 "}, /* the last is over the rows' results */
    {"param m: float64[n, n]\nm - mean(m, 1, keepdims=True)", "0-1 "},
    {"param m: float64[n, n]\nm - max(m, 1)", ""},
    {"param t: float64[n, n, n]\nt - max(t, (0, 2), keepdims=True)", ""},
};

/* Parts and steps: kernels in all; of the innermost steps the nests, those of the first round only, and the memory that changes hands. */
static const struct {
    const char *text;
    unsigned kernels, repeated, once, moves, memories;
} parts[] = {
    {"x[0] = 1; x", 2, 0, 0, 0, 1},                                      /* the whole, then the part over it */
    {"x[0] = 1; x[-1] = 2; x[1:-1] = 3; x", 4, 0, 0, 0, 1},              /* one memory, that of the output */
    {"x[0] = x[1]; x[-1] = x[0]; x", 3, 0, 0, 0, 1},                     /* the last may be the first, and then reads what it stores */
    {"x[1:] = x[:-1]; x", 2, 0, 0, 0, 1},
    {"y = x*2; y[0] = 1; return x, y", 3, 0, 0, 0, 2},
    {"y = x*2; y[0] = 1; z = y; z[1] = 2; return y, z", 4, 0, 0, 0, 2}, /* the old one is seen */
    {"for k in range(9) { x = x*2 }\nreturn x", 3, 1, 0, 2, 3},
    {"for k in range(9) { x[1:-1] = x[1:-1]*2 }\nreturn x", 3, 1, 0, 0, 2},           /* in place */
    {"for k in range(9) { x[1:-1] = x[2:]*2 + x[:-2] }\nreturn x", 4, 2, 1, 2, 3},    /* two memories, equal outside the part */
    {"for k in range(9) { x[1:-1] = x[2:]*2; x[0] = x[1] }\nreturn x", 5, 3, 1, 2, 3}, /* equal outside both, where they lie apart */
    {"for k in range(9) { x[0] = x[1]; x[1:-1] = x[2:]*2 }\nreturn x", 5, 3, 1, 2, 3}, /* the edge is stored in both memories */
    {"for k in range(9) { x[1:-1] = x[2:]*2; x = x + 1 }\nreturn x", 5, 3, 0, 2, 4}, /* what it becomes is no part of it */
    {"for k in range(9) { x[0] = x[1]; x[-1] = x[-2] }\nreturn x", 4, 2, 0, 0, 2},     /* apart, whatever the extent */
    {"for k in range(9) { t = x*2; x = y*2; y = t }\nreturn x, y", 6, 2, 0, 4, 6}, /* their extents may differ */
    {"for k in range(9) { t = x; x = y; y = t }\nreturn x, y", 4, 0, 0, 2, 4},         /* nothing but hands */
    {"for k in range(9) { t = 2.0*x - y; y = x; x = t }\nreturn x, y", 5, 1, 0, 3, 5},
    {"for k in range(9) { x = x + y[1:]; y = y + x[1:] }\nreturn x, y", 6, 2, 0, 2, 5},  /* x is laid down, in place */
    {"for k in range(len(x)) { x = x*2 }\nreturn x", 4, 1, 0, 2, 4},                   /* a number of rounds to be computed */
    {"for k in range(9) { for j in range(9) { x = x*2 } }\nreturn x", 4, 1, 0, 2, 4}, /* what the inner ones leave is taken over */
    {"for k in range(9) { x = x - mean(x) }\nreturn x", 4, 2, 0, 2, 4},
    {"for k in range(9) { x = x - mean(y) }\nreturn x", 4, 1, 0, 2, 4}, /* what does not change is computed before */
};

/* Dims that a nest walks: those of extent 1 in the text are dropped, but no nest is left without. */
static const struct {
    const char *text;
    unsigned rank, n_kept;
} spaces[] = {
    {"x", 1, 1},
    {"m", 2, 2},
    {"t", 3, 3},
    {"s", 1, 1},
    {"2.0", 1, 1},
    {"param m: float64[n, 1]\nm*2", 1, 1},
    {"param m: float64[1, n]\nm*2", 1, 1},
    {"param m: float64[1, 1]\nm*2", 1, 1},
    {"param t: float64[1, n, 1]\nt + 1", 1, 1},
    {"sum(m)", 3, 1},
    {"sum(m, 1)", 2, 1},
    {"sum(m, 0)", 2, 1},
    {"sum(t, (0, 2))", 3, 1},
    {"sum(t, 1)", 3, 2},
    {"sum(s)", 2, 1},
    {"sum(x, 0, keepdims=True)", 2, 1},
    {"param t: float64[n, 1, k]\nsum(t, 0)", 2, 1},
    {"param t: float64[n, 1, k]\nsum(t, 1)", 3, 2}, /* what is reduced is 1, and stays a dim */
    {"x[:, None]", 1, 1},
    {"x[:, None] + y", 2, 2},
};

static char letter(const struct loop_nest *n)
{
    return n->kind == NEST_MAP ? 'M' : n->kind == NEST_LANES ? 'L' : n->kind == NEST_SCAN ? 'S' : 'C';
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
        if (strcmp(nests, plans[i].nests) || loads != plans[i].loads || stores != plans[i].stores ||
            temporaries(p.plan) != plans[i].temporaries)
            fail_msg("%s: nests %s, %u loads, %u stores, %u temporaries", plans[i].text, nests, loads, stores,
                     temporaries(p.plan));
        assert_null(loop_verify(&p.arena, p.plan));
        plan_fini(&p);
    }
}

static void test_parts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        struct test_plan p;
        unsigned once = 0, memories = 0;
        if (!plan_make(&p, parts[i].text, DT_float64))
            fail_msg("%s: %s", parts[i].text, p.diags.n ? p.diags.at[0].message : "?");
        const struct loop_steps *s = p.plan->steps.n ? &p.plan->steps.at[p.plan->steps.n - 1] : NULL;
        for (uint32_t k = 0; k < p.plan->nests.n; k++)
            once += p.plan->nests.at[k].once;
        for (uint32_t b = 0; b < p.plan->buffers.n; b++)
            memories += p.plan->buffers.at[b].in == b;
        const char *fault = loop_verify(&p.arena, p.plan);
        if (fault)
            fail_msg("%s: %s", parts[i].text, fault);
        if (p.plan->nests.n != parts[i].kernels || (s ? s->n : 0) != parts[i].repeated || once != parts[i].once || (s ? s->moves.n : 0) != parts[i].moves || memories != parts[i].memories)
            fail_msg("%s: %u kernels, %u repeated, %u once, %u moves, %u memories", parts[i].text, p.plan->nests.n, s ? s->n : 0, once, s ? s->moves.n : 0, memories);
        plan_fini(&p);
    }
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct test_plan p;
        char found[64] = "", *at = found;
        if (!plan_make(&p, rows[i].text, DT_float64))
            fail_msg("%s: %s", rows[i].text, p.diags.n ? p.diags.at[0].message : "?");
        for (uint32_t k = 0; k < p.plan->rows.n; k++)
            at += sprintf(at, "%u-%u ", p.plan->rows.at[k].first, p.plan->rows.at[k].first + p.plan->rows.at[k].n - 1);
        if (strcmp(found, rows[i].rows))
            fail_msg("%s: rows %s", rows[i].text, found);
        assert_null(loop_verify(&p.arena, p.plan));
        plan_fini(&p);
    }
}

static void test_spaces(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++) {
        struct test_plan p;
        if (!plan_make(&p, spaces[i].text, DT_float64))
            fail_msg("%s: %s", spaces[i].text, p.diags.n ? p.diags.at[0].message : "?");
        const struct loop_nest *n = &p.plan->nests.at[0];
        if (p.plan->nests.n != 1 || n->rank != spaces[i].rank || n->n_kept != spaces[i].n_kept)
            fail_msg("%s: %u nests, the first of rank %u, %u kept", spaces[i].text, p.plan->nests.n, n->rank,
                     n->n_kept);
        plan_fini(&p);
    }
}

static void expect_limit(const char *text, enum diag_id id)
{
    struct test_plan p;
    assert_false(plan_make(&p, text, DT_float64));
    assert_true(p.diags.n > 0);
    assert_int_equal(p.diags.at[0].id, id);
    plan_fini(&p);
}

/* "what" with its number, `count` times, `between` them. */
static char *repeat(char *at, const char *what, int count, const char *between)
{
    for (int i = 0; i < count; i++) {
        at += sprintf(at, what, i, i);
        at += sprintf(at, "%s", i + 1 < count ? between : "");
    }
    return at;
}

static void test_default_limits(void **state)
{
    char *text = malloc(1 << 20), *at;
    (void)state;
    repeat(text, "a%d[0]*b%d", 200, " + "); /* arrays of one kernel */
    expect_limit(text, AX_too_many_accesses);
    repeat(text, "sum(a%d)", 300, ", "); /* spaces that may differ */
    expect_limit(text, AX_too_many_kernels);
    at = text + sprintf(text, "a = x\n");
    at = repeat(at, "a = a*sum(a)\n", 300, ""); /* one after another */
    sprintf(at, "a");
    expect_limit(text, AX_too_many_kernels);
    repeat(text, "a%d*2", 300, ", "); /* maps */
    expect_limit(text, AX_too_many_kernels);
    free(text);
}

/* Programs far deeper than any stack, and ones where a value is used twice at every step, take no longer than others. */
static void expect_quick(const char *first, const char *step, const char *last)
{
    char *text = malloc(1 << 20), *at = text + sprintf(text, "def f(a) {\n");
    struct test_plan p;
    at = repeat(at, step, 100, "\n");
    at += sprintf(at, "\nreturn a }\na = %s\n", first);
    at = repeat(at, "a = f(a)\n", 400, "");
    sprintf(at, "%s", last);
    if (!plan_make(&p, text, DT_float64))
        fail_msg("%s, %s, %s: %s", first, step, last, p.diags.n ? p.diags.at[0].message : "?");
    plan_fini(&p);
    free(text);
}

static void test_deep(void **state)
{
    (void)state;
    expect_quick("x", "a = a*y", "a");
    expect_quick("x", "a = a*y", "a[1:]");
    expect_quick("x", "a = a*y", "sum(a)");
    expect_quick("sum(x)", "a = a*s", "a");
    expect_quick("sum(x)", "a = a*a + a", "a");
    expect_quick("m", "a = a*s", "a.T");
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

/* As for a GPU: what costs time is computed again. */
static void test_recomputes(void **state)
{
    struct test_plan p;
    (void)state;
    assert_true(plan_make(&p, "e = exp(m); e/sum(e, 1, keepdims=True)", DT_float64));
    struct loop_plan *again = loop_build(&p.arena, p.plan->ir, &(struct loop_limits){.recompute = true}, &p.diags);
    assert_non_null(again);
    assert_int_equal(p.plan->buffers.n, again->buffers.n + 1);
    assert_true(again->nests.at[1].main.order.n > p.plan->nests.at[1].main.order.n + 10);
    assert_null(loop_verify(&p.arena, again));
    plan_fini(&p);
}

/* What a GPU's rows keep: the nest that has it first, a stroke where it takes the place of the one before. */
static const struct {
    const char *text, *kept;
} kept_of[] = {
    {"e = exp(m - max(m, 1, keepdims=True)); e/sum(e, 1, keepdims=True)", "0 1'"}, /* softmax: elements, then exponentials */
    {"c = m - mean(m, 1, keepdims=True); c/sqrt(mean(c*c, 1, keepdims=True) + 1e-5)", "0"},
    {"e = exp(m); e/sum(e, 1, keepdims=True)*m", "0"},                            /* both are needed at the end: the costly one */
    {"u = mean(m, 1, keepdims=True); return u, sum(m - u, 1)", "0"},
};

static void test_kept(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof kept_of / sizeof *kept_of; i++) {
        struct test_plan p;
        char found[64] = "", *at = found;
        if (!plan_make(&p, kept_of[i].text, DT_float64))
            fail_msg("%s: %s", kept_of[i].text, p.diags.n ? p.diags.at[0].message : "?");
        struct loop_plan *gpu = loop_build(&p.arena, p.plan->ir, &(struct loop_limits){.recompute = true}, &p.diags);
        assert_non_null(gpu);
        for (uint32_t r = 0; r < gpu->rows.n; r++)
            for (uint32_t k = 0; k < gpu->rows.at[r].n_kept; k++)
                at += sprintf(at, "%s%u%s", at == found ? "" : " ", gpu->rows.at[r].kept[k].writer, k ? "'" : "");
        if (strcmp(found, kept_of[i].kept))
            fail_msg("%s: keeps %s", kept_of[i].text, found);
        assert_null(loop_verify(&p.arena, gpu));
        plan_fini(&p);
    }
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

/* A buffer is alive wherever it is read or written, and a temporary no longer. */
static void check_lifetimes(const struct loop_plan *p)
{
    for (uint32_t b = 0; b < p->buffers.n; b++) {
        bool used = p->buffers.at[b].role == BUFFER_OUTPUT;
        const struct loop_nest *n =
            &p->nests.at[p->buffers.at[b].last < p->nests.n ? p->buffers.at[b].last : 0];
        for (uint32_t i = 0; !used && i < n->main.loads.n; i++)
            used = n->main.loads.at[i].source == SOURCE_BUFFER && n->main.loads.at[i].index == b;
        for (uint32_t i = 0; !used && i < n->epilogue.loads.n; i++)
            used = n->epilogue.loads.at[i].source == SOURCE_BUFFER && n->epilogue.loads.at[i].index == b;
        assert_true(used);
    }
    for (uint32_t k = 0; k < p->nests.n; k++) {
        const struct loop_body *bodies[] = {&p->nests.at[k].main, &p->nests.at[k].epilogue};
        for (int b = 0; b < 2; b++) {
            for (uint32_t i = 0; i < bodies[b]->loads.n; i++) {
                const struct loop_access *a = &bodies[b]->loads.at[i];
                if (a->source == SOURCE_BUFFER)
                    assert_in_range(k, p->buffers.at[a->index].first, p->buffers.at[a->index].last);
            }
            for (uint32_t i = 0; i < bodies[b]->stores.n; i++)
                assert_in_range(k, p->buffers.at[bodies[b]->stores.at[i].index].first,
                                p->buffers.at[bodies[b]->stores.at[i].index].last);
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

/* One of what indexing a matrix or its columns gives, of rank 1. */
static const char *const views[] = {"m[0]",    "m[:, 1]",       "m[1:, 0]",        "m.T[0]",        "x[::2]",
                                    "x[1:-1]", "sum(m, 0)[1:]", "max(m, 1)[::-1]", "mean(m, 0)[:2]"};

static char *expression(char *at, unsigned depth)
{
    static const char *const leaves[] = {"x", "y", "m", "2", "0.5", "mm"},
                             *const ops[] = {"+", "-", "*", "/"}, *const calls[] = {"exp", "abs", "sin", "-"};
    static const char *const reduces[] = {"sum", "max", "mean", "std"};
    uint32_t kind = depth ? pick(9) : pick(4) ? 0 : 8;
    if (kind == 8)
        return at + sprintf(at, "%s", views[pick(sizeof views / sizeof *views)]);
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

/* Each fault alone, put into a sound schedule and taken out again. */
#define BREAK(place, value, says)                                                                            \
    do {                                                                                                     \
        __typeof__(place) whole = place;                                                                      \
        assert_null(loop_verify(&p.arena, p.plan));                                                          \
        place = value;                                                                                       \
        expect_fault(&p, says);                                                                              \
        place = whole;                                                                                       \
    } while (0)

static void test_verifier(void **state)
{
    struct test_plan p;
    (void)state;
    assert_true(plan_make(&p, "m - mean(m, 1, keepdims=True)", DT_float64));
    struct loop_nest *first = &p.plan->nests.at[0], *last = &p.plan->nests.at[1];
    struct loop_access *load = &last->main.loads.at[0], *store = &last->main.stores.at[0];
    struct loop_buffer *kept = &p.plan->buffers.at[1];
    assert_int_equal(load->source, SOURCE_ARGUMENT);

    BREAK(last->main.loads.n, 0, "before its argument");
    BREAK(last->main.order.n, 0, "which it does not compute");
    BREAK(last->main.order.at[1], last->main.order.at[0], "out of order");
    BREAK(last->main.order.at[0], first->reduces.at[0].value, "must be loaded");
    BREAK(last->main.order.at[0], 0, "a value that is not there");
    BREAK(last->main.order.at[0], 1u << 30, "a value that is not there");
    BREAK(last->main.stores.n, 0, "is never stored");
    BREAK(first->epilogue.stores.n, 0, "before it is stored");

    BREAK(last->n_kept, 0, "lacks a dim");
    BREAK(last->n_kept, 1, "lacks a dim");
    BREAK(first->n_kept, first->rank, "lacks a dim");
    BREAK(first->rank, LOOP_MAX_RANK + 1, "lacks a dim");
    BREAK(first->dim[0], 1u << 30, "a dim that is not there");
    BREAK(first->kind, 7, "of no kind");
    BREAK(first->reduces.n, 0, "reduces nothing");
    BREAK(first->lanes, 0, "0 lanes");
    BREAK(first->lanes, 63, "63 lanes");
    BREAK(first->reduces.at[0].operand, first->reduces.at[0].value, "does not compute");
    BREAK(first->reduces.at[0].op, OP_max, "another operation");
    BREAK(first->reduces.at[0].value, first->reduces.at[0].operand, "another operation");

    BREAK(load->value, 0, "a value that is not there");
    BREAK(load->value, 1u << 30, "a value that is not there");
    BREAK(load->dtype, DT_float32, "another type or rank");
    BREAK(load->rank, 1, "another type or rank");
    BREAK(load->axis[0], 5, "an axis of");
    BREAK(load->axis[0], load->axis[1], "or twice");
    BREAK(load->axis[0], -1, "never walks axis 0");
    BREAK(load->index, 3, "from where it is not");
    BREAK(load->view, true, "from where it is not");
    BREAK(load->source, SOURCE_COUNT, "another type or rank");
    BREAK(load->source, SOURCE_BUFFER, "from where it is not");
    BREAK(store->index, 99, "buffer 99, which is not there");
    BREAK(store->index, 1, "where it does not belong");
    BREAK(store->source, SOURCE_ARGUMENT, "where it does not belong");

    BREAK(kept->first, 1, "not alive from where it is stored");
    BREAK(kept->last, 0, "not alive where nest 1 loads it");
    BREAK(kept->dtype, DT_float32, "the type and shape of its value");
    BREAK(kept->shape, 0, "the type and shape of its value");
    BREAK(p.plan->buffers.at[0].last, 0, "does not live to the end");
    BREAK(p.plan->buffers.at[0].output, 1, "not the output it says");

    struct loop_rows *set = &p.plan->rows.at[0];
    assert_int_equal(p.plan->rows.n, 1);
    BREAK(set->n, 1, "that are not there");
    BREAK(set->n, 3, "that are not there");
    BREAK(set->first, 1, "that are not there");
    assert_int_equal(set->n_kept, 1);
    BREAK(set->kept[0].writer, 7, "keep what is not theirs");
    BREAK(set->kept[0].dtype, DT_int8, "keep what is not theirs");
    BREAK(set->n_kept, 2, "keep what is not theirs");
    BREAK(set->n_kept, 3, "keep what is not theirs");
    BREAK(set->first, 1u << 30, "that are not there");
    BREAK(last->updates, true, "cannot be done row by row");
    plan_fini(&p);

    assert_true(plan_make(&p, "e = exp(m); e/sum(e, 1, keepdims=True)", DT_float64));
    struct loop_buffer *lent = p.plan->buffers.at;
    while (lent->role != BUFFER_LENT)
        lent++;
    BREAK(lent->output, 1, "lies in an output");
    BREAK(lent->last, 2, "lies in an output");
    plan_fini(&p);

    assert_true(plan_make(&p, "for k in range(9) { for j in range(len(x)) { x[1:-1] = x[2:]*2 + x[:-2] } }\nreturn x", DT_float64));
    struct loop_steps *outer = &p.plan->steps.at[0], *steps = &p.plan->steps.at[1];
    BREAK(outer->n, 1, "not there, or others' too");
    BREAK(steps->first, outer->first + outer->n, "not there, or others' too");
    BREAK(steps->parent, 1, "not there, or others' too");
    BREAK(steps->number, 2, "not there, or others' too");
    BREAK(steps->rounds, 0, "no number of rounds");
    BREAK(steps->moves.at[0].from, steps->moves.at[0].to, "lose memory");
    BREAK(steps->moves.n, 1, "lose memory");
    BREAK(p.plan->nests.at[0].once, true, "in rounds that are none");
    BREAK(p.plan->buffers.at[steps->states[0].next].in, steps->rounds, "memory that is not its size");
    struct loop_access *part = &p.plan->nests.at[steps->first + 1].main.stores.at[0];
    assert_true(part->view);
    BREAK(part->target, 0, "where it does not belong");
    BREAK(part->target, steps->states[0].now, "stores to what is not there");
    plan_fini(&p);

    assert_true(plan_make(&p, "x, x*2, x", DT_float64));
    BREAK(p.plan->nests.at[0].main.stores.at[2].index, p.plan->nests.at[0].main.stores.at[0].index,
          "once more");
    plan_fini(&p);
}

/* Temporaries that are never alive together, so that they may share memory. */
static void test_lifetimes(void **state)
{
    struct test_plan p;
    unsigned apart = 0;
    (void)state;
    assert_true(plan_make(&p, "a = m - mean(m, 1, keepdims=True); b = a - max(a, 1, keepdims=True); sum(b*b)",
                          DT_float64));
    for (uint32_t i = 0; i < p.plan->buffers.n; i++)
        for (uint32_t k = 0; k < p.plan->buffers.n; k++)
            apart += p.plan->buffers.at[i].last < p.plan->buffers.at[k].first;
    assert_int_equal(p.plan->nests.n, 3);
    assert_int_equal(apart, 0); /* the mean is computed with once more in the last nest */
    plan_fini(&p);
    apart = 0;
    assert_true(plan_make(&p, "a = sum(m, 1); b = sum(a*a); c = sum(m*b, 0); max(c)", DT_float64));
    for (uint32_t i = 0; i < p.plan->buffers.n; i++)
        for (uint32_t k = 0; k < p.plan->buffers.n; k++)
            apart += p.plan->buffers.at[i].last < p.plan->buffers.at[k].first;
    assert_int_equal(p.plan->nests.n, 4);
    assert_true(apart > 0);
    plan_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_structure),      cmocka_unit_test(test_parts), cmocka_unit_test(test_rows),    cmocka_unit_test(test_spaces),  cmocka_unit_test(test_limits), cmocka_unit_test(test_recomputes), cmocka_unit_test(test_kept),
        cmocka_unit_test(test_default_limits), cmocka_unit_test(test_deep),    cmocka_unit_test(test_made_up),
        cmocka_unit_test(test_lifetimes),      cmocka_unit_test(test_verifier)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
