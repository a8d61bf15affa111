/* Shapes: NumPy's rule at every rank, extents that meet at a call or never, what else is checked before a run. */
#include <string.h>
#include "fixture.h"
#include "plans.h"

static void test_shapes(void **state)
{
    ir_id x = input("x", DT_float64, 2), y = input("y", DT_float64, 1), z = two(OP_add, DT_float64, x, y);
    int64_t values[32], extents[2][IR_MAX_RANK] = {{3, 4}, {4}};
    const struct ir_shape *s = &ir.shapes.at[ir_at(&ir, z)->shape];
    (void)state;
    assert_int_equal(s->rank, 2);
    for (int64_t last = 0; last < 6; last++) {
        extents[1][0] = last;
        diags_fini(&diags);
        bool ok = ir_shapes_resolve(&ir, (const int64_t(*)[IR_MAX_RANK])extents, NULL, values, &diags);
        assert_int_equal(ok, last == 1 || last == 4);
        if (ok) {
            assert_int_equal(values[s->dim[0]], 3);
            assert_int_equal(values[s->dim[1]], 4);
        } else {
            assert_int_equal(diags.at[0].id, AX_shape_mismatch);
            assert_non_null(strstr(diags.at[0].message, "(3, 4)"));
            assert_non_null(strstr(diags.at[0].message, "axis 1 has 4 and"));
        }
    }
    extents[0][1] = 1, extents[1][0] = 0; /* 1 stretches to nothing */
    diags_fini(&diags);
    assert_true(ir_shapes_resolve(&ir, (const int64_t(*)[IR_MAX_RANK])extents, NULL, values, &diags));
    assert_int_equal(values[s->dim[1]], 0);
}

/* NumPy's rule for two shapes, said once more; false when they do not fit. */
static bool meet(const int64_t *a, unsigned na, const int64_t *b, unsigned nb, int64_t *out)
{
    unsigned n = na > nb ? na : nb;
    for (unsigned k = 1; k <= n; k++) {
        int64_t p = k <= na ? a[na - k] : 1, q = k <= nb ? b[nb - k] : 1;
        if (p != q && p != 1 && q != 1)
            return false;
        out[n - k] = p == 1 ? q : p;
    }
    return true;
}

/* x op y op z over every rank, extents of 0 to 3. */
static void test_shapes_of_all_ranks(void **state)
{
    unsigned good = 0, bad = 0;
    (void)state;
    for (int round = 0; round < 4000; round++) {
        unsigned rank[3];
        int64_t extents[3][IR_MAX_RANK] = {{0}}, first[IR_MAX_RANK], want[IR_MAX_RANK], values[128];
        ir_id in[3];
        ir_anew();
        for (int k = 0; k < 3; k++) {
            rank[k] = round < 9 ? (unsigned)round : pick(IR_MAX_RANK + 1);
            for (unsigned d = 0; d < rank[k]; d++)
                extents[k][d] = pick(16) == 0 ? (int64_t)pick(4)
                                : pick(3)     ? (int64_t)((unsigned)round + rank[k] - d) % 4
                                              : 1; /* mostly what fits */
            in[k] = input((const char *const[]){"x", "y", "z"}[k], DT_float64, rank[k]);
        }
        ir_id r = two(OP_multiply, DT_float64, two(OP_add, DT_float64, in[0], in[1]), in[2]);
        unsigned n = rank[0] > rank[1] ? rank[0] : rank[1];
        bool fits = meet(extents[0], rank[0], extents[1], rank[1], first) &&
                    meet(first, n, extents[2], rank[2], want);
        bool ok = ir_shapes_resolve(&ir, (const int64_t(*)[IR_MAX_RANK])extents, NULL, values, &diags);
        assert_int_equal(ok, fits);
        const struct ir_shape *s = &ir.shapes.at[ir_at(&ir, r)->shape];
        assert_int_equal(s->rank, n > rank[2] ? n : rank[2]);
        for (unsigned d = 0; ok && d < s->rank; d++)
            assert_int_equal(values[s->dim[d]], want[d]);
        if (!ok) {
            assert_int_equal(diags.at[0].id, AX_shape_mismatch);
            assert_non_null(strstr(diags.at[0].message, ": axis "));
        }
        *(ok ? &good : &bad) += 1;
    }
    assert_true(good > 500 && bad > 500);
}

static void test_checks(void **state)
{
    int64_t values[32], extents[2][IR_MAX_RANK] = {{3, 0}, {0}};
    ir_id x = input("x", DT_float64, 2), least = ir_reduce(&ir, OP_min, x, 2, false, NOWHERE);
    (void)state;
    assert_int_equal(ir.shapes.at[ir_at(&ir, least)->shape].rank, 1);
    assert_false(ir_shapes_resolve(&ir, (const int64_t(*)[IR_MAX_RANK])extents, NULL, values, &diags));
    assert_int_equal(diags.at[0].id, AX_empty_reduction);
    extents[0][0] = 0; /* no minimum is asked for */
    diags_fini(&diags);
    assert_true(ir_shapes_resolve(&ir, (const int64_t(*)[IR_MAX_RANK])extents, NULL, values, &diags));
}

static void expect_extents(const char *text, const int64_t (*extents)[IR_MAX_RANK], const int64_t *weak,
                           enum diag_id id, const char *says)
{
    struct test_plan p;
    int64_t values[64];
    if (!plan_make(&p, text, DT_float64))
        fail_msg("%s: %s", text, p.diags.n ? p.diags.at[0].message : "?");
    bool ok = ir_shapes_resolve(p.plan->ir, extents, weak, values, &p.diags);
    if (says ? ok || p.diags.at[0].id != id || !strstr(p.diags.at[0].message, says) : !ok)
        fail_msg("%s: %s", text, p.diags.n ? p.diags.at[0].message : "no message");
    plan_fini(&p);
}

#define EXTENTS(...) ((const int64_t[][IR_MAX_RANK]){__VA_ARGS__})

static void test_checks_of_programs(void **state)
{
    (void)state;
    expect_extents("param x: float64[n]\nparam y: float64[n]\nx + y", EXTENTS({3}, {3}), NULL, 0, NULL);
    expect_extents("param x: float64[n]\nparam y: float64[n]\nx + y", EXTENTS({3}, {1}), NULL,
                   AX_extent_mismatch, "the extent n is 1 here, but 3 before");
    expect_extents("param m: float64[n, n]\nm", EXTENTS({2, 5}), NULL, AX_extent_mismatch, "the extent n");
    expect_extents("param x: float64[4]\nx", EXTENTS({4}), NULL, 0, NULL);
    expect_extents("param x: float64[4]\nx", EXTENTS({5}), NULL, AX_extent_mismatch,
                   "the extent 4 is 5 here");
    expect_extents("max(m, 0)", EXTENTS({0, 3}), NULL, AX_empty_reduction, "max of nothing");
    expect_extents("max(m, 0)", EXTENTS({0, 0}), NULL, 0, NULL);
    expect_extents("max(m, 1)", EXTENTS({0, 3}), NULL, 0, NULL);
    expect_extents("sum(m)", EXTENTS({0, 3}), NULL, 0, NULL);
    expect_extents("min(x[1:])", EXTENTS({1}), NULL, AX_empty_reduction, "min of nothing");
    expect_extents("x[3]", EXTENTS({3}), NULL, AX_index_range,
                   "index 3 is out of range: axis 0 has 3 elements");
    expect_extents("x[-3]", EXTENTS({3}), NULL, 0, NULL);
    expect_extents("m[0, -4]", EXTENTS({1, 3}), NULL, AX_index_range, "axis 1 has 3");
    expect_extents("x[1:] + y[:-1]", EXTENTS({4}, {4}), NULL, 0, NULL);
    expect_extents("x[1:] + y[:-2]", EXTENTS({4}, {4}), NULL, AX_shape_mismatch, "(3,) and (2,)");
}

/* Extents that the text itself gives and that can never meet are told before any call. */
static void test_static_clash(void **state)
{
    struct test_plan p;
    (void)state;
    assert_false(plan_make(&p, "param x: float64[3]\nparam y: float64[4]\nx + y", DT_float64));
    assert_int_equal(p.diags.at[0].id, AX_shape_mismatch);
    plan_fini(&p);
    assert_true(plan_make(&p, "param x: float64[3]\nparam y: float64[1]\nx + y", DT_float64));
    plan_fini(&p);
}

/* A Python integer that meets a narrower type must fit it. */
static void test_check_fits(void **state)
{
    static const struct {
        enum dtype t;
        int64_t low, high;
    } cases[] = {{DT_int8, -128, 127},       {DT_uint8, 0, 255},
                 {DT_int16, -32768, 32767},  {DT_int32, INT32_MIN, INT32_MAX},
                 {DT_uint32, 0, UINT32_MAX}, {DT_int64, INT64_MIN, INT64_MAX},
                 {DT_uint64, 0, INT64_MAX}};
    int64_t values[4];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t extents[1][IR_MAX_RANK] = {{0}}, low = cases[i].low, high = cases[i].high,
                under = low - (low > INT64_MIN), over = high + (high < INT64_MAX);
        ir_anew();
        struct ir_check c = {.kind = CHECK_FITS, .dtype = (uint8_t)cases[i].t};
        vec_push(&arena, &ir.checks, c);
        const int64_t(*none)[IR_MAX_RANK] = (const int64_t(*)[IR_MAX_RANK])extents;
        assert_true(ir_shapes_resolve(&ir, none, &low, values, &diags));
        assert_true(ir_shapes_resolve(&ir, none, &high, values, &diags));
        assert_int_equal(ir_shapes_resolve(&ir, none, &over, values, &diags), over == high);
        assert_int_equal(ir_shapes_resolve(&ir, none, &under, values, &diags), under == low);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_shapes),
        TEST(test_shapes_of_all_ranks),
        TEST(test_checks),
        TEST(test_checks_of_programs),
        TEST(test_static_clash),
        TEST(test_check_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
