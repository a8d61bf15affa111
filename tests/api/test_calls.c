/* Calls: what is refused, outputs, scalars, faults, and when code is compiled. */
#include "host.h"

static void expect_refused(const char *source, const arex_array *in, int n, arex_status status, const char *code)
{
    struct call c;
    call_open(&c, source);
    arex_status s = call_run(&c, in, n);
    if (s != status || !has(c.diags, code))
        fail_msg("%s: status %d, expected %s: %s", source, s, code, all_text(c.diags));
    assert_null(c.out.data);
    call_close(&c);
}

static void test_bad_calls(void **state)
{
    double data[6] = {1, 2, 3, 4, 5, 6};
    int64_t three = 300000000000;
    const int64_t two_by_three[] = {2, 3};
    arex_array x = vector(AREX_FLOAT64, data, 3), y = vector(AREX_FLOAT64, data, 2), m = view(AREX_FLOAT64, data, 2, two_by_three), none = vector(AREX_FLOAT64, data, 0);
    arex_array bad = x, small[] = {vector(AREX_INT32, data, 3), weak(AREX_INT64, &three)};
    (void)state;
    expect_refused("x + y", (arex_array[]){x, y}, 2, AREX_ERROR_PROGRAM, "AX0301");
    expect_refused("param x: float64[n]\nparam y: float64[n]\nx + y", (arex_array[]){x, y}, 2, AREX_ERROR_PROGRAM, "AX0302");
    expect_refused("zeros(2305843009213693953) + x", &x, 1, AREX_ERROR_PROGRAM, "AX0301");
    expect_refused("zeros(2305843009213693953)*x[0]", &x, 1, AREX_ERROR_PROGRAM, "AX0313"); /* 8 bytes, should the size wrap */
    expect_refused("sum(zeros((4294967296, 4294967297)), 0) + x[0]", &x, 1, AREX_ERROR_PROGRAM, "AX0313");
    expect_refused("x[3]", &x, 1, AREX_ERROR_PROGRAM, "AX0312");
    expect_refused("max(x)", &none, 1, AREX_ERROR_PROGRAM, "AX0303");
    expect_refused("x + y", &x, 1, AREX_ERROR_PROGRAM, "AX0304");
    expect_refused("x", (arex_array[]){x, y}, 2, AREX_ERROR_PROGRAM, "AX0305");
    expect_refused("param x: float32[n]\nx", &x, 1, AREX_ERROR_PROGRAM, "AX0306");
    expect_refused("param x: float64[n]\nx", &m, 1, AREX_ERROR_PROGRAM, "AX0307");
    expect_refused("x + y", small, 2, AREX_ERROR_PROGRAM, "AX0311");
    bad.data = NULL;
    expect_refused("x", &bad, 1, AREX_ERROR_PROGRAM, "AX0308");
    bad = x, bad.dtype = 99;
    expect_refused("x", &bad, 1, AREX_ERROR_PROGRAM, "AX0308");
    bad = x, bad.rank = 9;
    expect_refused("x", &bad, 1, AREX_ERROR_PROGRAM, "AX0308");
    bad = x, bad.rank = -1;
    expect_refused("x", &bad, 1, AREX_ERROR_PROGRAM, "AX0308");
    bad = x, bad.shape[0] = -1;
    expect_refused("x", &bad, 1, AREX_ERROR_PROGRAM, "AX0308");
    bad = x, bad.data = (char *)data + 1; /* no address of a double */
    expect_refused("x", &bad, 1, AREX_ERROR_PROGRAM, "AX0308");
    bad = x, bad.flags = 2;
    expect_refused("x", &bad, 1, AREX_ERROR_PROGRAM, "AX0308");
    bad = m, bad.shape[0] = bad.shape[1] = INT64_MAX / 2; /* bytes do not fit 64 bits */
    expect_refused("x", &bad, 1, AREX_ERROR_PROGRAM, "AX0308");
}

static void test_bad_outputs(void **state)
{
    double data[3] = {1, 2, 3}, room[3];
    struct call c;
    arex_array x = vector(AREX_FLOAT64, data, 3);
    (void)state;
    call_open(&c, "x*x");
    for (int k = 0; k < 3; k++) {
        c.out = vector(k == 0 ? AREX_FLOAT32 : AREX_FLOAT64, room, k == 1 ? 2 : 3);
        c.out.strides[0] = k == 2 ? 0 : c.out.strides[0]; /* elements on top of each other */
        assert_int_equal(call_run(&c, &x, 1), AREX_ERROR_PROGRAM);
        assert_true(has(c.diags, "AX0309"));
    }
    x.shape[0] = 0; /* nothing lies on nothing */
    c.out = vector(AREX_FLOAT64, room, 0), c.out.strides[0] = 0;
    assert_int_equal(call_run(&c, &x, 1), AREX_OK);
    c.out = (arex_array){0};
    call_close(&c);
}

static void test_outputs(void **state)
{
    static const char source[] = "a = x + 1\nb = sum(x)\nreturn a, b, x*0.5";
    double data[5] = {1, 2, 3, 4, 5}, room[10] = {0};
    arex_array x = vector(AREX_FLOAT64, data, 5), out[3] = {{.device = -1}, {.device = -1}, {.device = -1}}, shapes[3];
    arex_program *p;
    (void)state;
    assert_int_equal(arex_program_new(context, source, strlen(source), NULL, NULL, &p, NULL), AREX_OK);
    assert_int_equal(arex_program_outputs(p), 3);
    assert_string_equal(arex_program_output(p, 0), "a");
    assert_string_equal(arex_program_output(p, 1), "b");
    assert_string_equal(arex_program_output(p, 2), "");
    assert_int_equal(arex_infer(p, &x, 1, shapes, 3, NULL), AREX_OK);
    assert_int_equal(shapes[0].rank, 1);
    assert_int_equal(shapes[0].shape[0], 5);
    assert_int_equal(shapes[1].rank, 0);
    assert_null(shapes[0].data);
    out[0] = vector(AREX_FLOAT64, room, 5), out[0].strides[0] = 16; /* ours, every second place */
    assert_int_equal(arex_call(p, &x, 1, out, 3, NULL, NULL), AREX_OK);
    for (int i = 0; i < 5; i++)
        assert_true(room[2 * i] == i + 2 && room[2 * i + 1] == 0 && ((double *)out[2].data)[i] == 0.5 * (i + 1));
    assert_true(*(double *)out[1].data == 15);
    arex_array_free(context, &out[1]);
    arex_array_free(context, &out[2]);
    assert_null(out[2].data);
    arex_program_free(p);
}

static void test_weak_scalars(void **state)
{
    float data[2] = {1, 2};
    double by = 2.5;
    int64_t n = 3;
    struct call c;
    (void)state;
    call_open(&c, "x*a");
    assert_int_equal(call_run(&c, (arex_array[]){vector(AREX_FLOAT32, data, 2), weak(AREX_FLOAT64, &by)}, 2), AREX_OK);
    assert_int_equal(c.out.dtype, AREX_FLOAT32);
    assert_true(((float *)c.out.data)[1] == 5);
    arex_array_free(context, &c.out);
    assert_int_equal(call_run(&c, (arex_array[]){vector(AREX_FLOAT32, data, 2), weak(AREX_INT64, &n)}, 2), AREX_OK);
    assert_int_equal(c.out.dtype, AREX_FLOAT32);
    arex_array_free(context, &c.out);
    assert_int_equal(call_run(&c, (arex_array[]){vector(AREX_FLOAT32, data, 2), scalar(AREX_FLOAT64, &by)}, 2), AREX_OK);
    assert_int_equal(c.out.dtype, AREX_FLOAT64);
    call_close(&c);
}

static void test_faults(void **state)
{
    int32_t a[2] = {7, 8}, b[2] = {2, 0};
    uint32_t faults = 0;
    struct call c;
    (void)state;
    call_open(&c, "x // y");
    c.options.faults = &faults;
    assert_int_equal(call_run(&c, (arex_array[]){vector(AREX_INT32, a, 2), vector(AREX_INT32, b, 2)}, 2), AREX_OK);
    assert_int_equal(faults, AREX_FAULT_DIVIDE);
    assert_int_equal(((int32_t *)c.out.data)[0], 3);
    assert_int_equal(((int32_t *)c.out.data)[1], 0);
    call_close(&c);
}

/* Extents, values of scalars and places in memory never compile again; a new dtype does. */
static void test_compilations(void **state)
{
    static double data[3000];
    struct call c;
    arex_stats s = {.size = sizeof s};
    (void)state;
    call_open(&c, "x*a + 1");
    for (int64_t n = 0; n < 3000; n += 371)
        for (int k = 0; k < 3; k++) {
            double by = (double)n;
            if (call_run(&c, (arex_array[]){vector(AREX_FLOAT64, data + (n > 2999 - k ? 0 : k), n), weak(AREX_FLOAT64, &by)}, 2) != AREX_OK)
                fail_msg("%s", all_text(c.diags));
            arex_array_free(context, &c.out);
        }
    assert_int_equal(arex_program_stats(c.program, &s), AREX_OK);
    assert_int_equal(s.compilations, 1);
    assert_int_equal(s.calls, 27);
    double by = 1;
    assert_int_equal(call_run(&c, (arex_array[]){vector(AREX_FLOAT32, data, 4), weak(AREX_FLOAT64, &by)}, 2), AREX_OK);
    assert_int_equal(arex_program_stats(c.program, &s), AREX_OK);
    assert_int_equal(s.compilations, 2);
    call_close(&c);
}

/* How arrays lie may make a variant of the code each; more of the same never. */
static void test_compilations_of_places(void **state)
{
    static double data[4096];
    struct call c;
    arex_stats s = {.size = sizeof s};
    uint64_t before = 0;
    (void)state;
    call_open(&c, "x*y + sum(x)");
    for (int round = 0; round < 3; round++) {
        for (int64_t n = 2; n < 1000; n = 3 * n + round)
            for (int64_t step = -2; step <= 2; step++) {
                arex_array in[] = {vector(AREX_FLOAT64, data + 2048, n), vector(AREX_FLOAT64, data + round, n)};
                in[0].strides[0] = 8 * step;
                if (call_run(&c, in, 2) != AREX_OK)
                    fail_msg("%s", all_text(c.diags));
                arex_array_free(context, &c.out);
            }
        assert_int_equal(arex_program_stats(c.program, &s), AREX_OK);
        assert_true(s.compilations <= 6); /* contiguous, strided, one element; for two loop nests */
        if (round > 0)
            assert_int_equal(s.compilations, before);
        before = s.compilations;
    }
    arex_stats least = {.size = offsetof(arex_stats, calls)}; /* what an older host knows */
    assert_int_equal(arex_program_stats(c.program, &least), AREX_OK);
    assert_true(least.compilations == before && least.calls == 0);
    least.size = 0;
    assert_int_equal(arex_program_stats(c.program, &least), AREX_ERROR_USAGE);
    least.size = sizeof least + 8;
    assert_int_equal(arex_program_stats(c.program, &least), AREX_ERROR_USAGE);
    call_close(&c);
}

int run_call_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_calls), cmocka_unit_test(test_bad_outputs), cmocka_unit_test(test_outputs), cmocka_unit_test(test_weak_scalars),
        cmocka_unit_test(test_faults), cmocka_unit_test(test_compilations), cmocka_unit_test(test_compilations_of_places),
    };
    return cmocka_run_group_tests_name("calls", tests, open_context, close_context);
}
