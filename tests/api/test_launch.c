/* Functions by element, indices and kernels through the C API: what they compute on both CPU targets, what arex_launch refuses. */
#include "host.h"

static const int targets[] = {AREX_TARGET_REFERENCE, AREX_TARGET_CPU};
static const uint32_t one[3] = {1, 1, 1}, few[3] = {2, 1, 1}, eight[3] = {8, 1, 1};

static void test_functions_by_element(void **state)
{
    static const struct {
        const char *source;
        int64_t expect[4];
    } cases[] = {
        {"def f(x) { if x < 0 { return -x } elif x == 3 { y = 7 } else { y = x * 2 }; return y + 1 }; f(x)", {4, 1, 8, 201}},
        {"def f(x) { n = 0; while x > 1 { n += 1; x //= 2; if n == 5 { break } }; return n }; f(x)", {0, 0, 1, 5}},
        {"def f(x) { s = 0; for i in range(10, 0, -3) { if i % 2 == 0 { continue }; for j in range(i) { s += x } }; return s }; f(x)", {-32, 0, 24, 800}},
        {"def f(v, i) { s = 0; for k in range(len(v)) { if k == i { return s }; s += v[k] }; return -1 }; f(x, arange(4))", {0, -4, -4, -1}},
        {"x[3 - arange(4)] + x[arange(4) - 4]", {96, 3, 3, 96}},
    };
    int64_t x[4] = {-4, 0, 3, 100};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (unsigned t = 0; t < 2; t++) {
            struct call c;
            arex_array in = vector(AREX_INT64, x, 4);
            call_open(&c, cases[i].source);
            c.options.target = targets[t];
            if (call_run(&c, &in, 1))
                fail_msg("%s: %s", cases[i].source, all_text(c.diags));
            assert_int_equal(c.out.dtype, AREX_INT64);
            for (int k = 0; k < 4; k++)
                if (((int64_t *)c.out.data)[k] != cases[i].expect[k])
                    fail_msg("%s: element %d is %lld", cases[i].source, k, (long long)((int64_t *)c.out.data)[k]);
            call_close(&c);
        }
}

static void test_kernels_change_in_place(void **state)
{
    (void)state;
    for (unsigned t = 0; t < 2; t++) {
        float x[10], out[20] = {0};
        int32_t bins[3] = {0};
        arex_call_options o;
        arex_diagnostics *d = NULL;
        arex_program *p = program("def twice(v) = v + v\nkernel f(a, x, out, bins) { i = grid(1); if i >= len(x) { return }\n"
                                  "out[i] = twice(a * x[i]); atomic_add(bins, i % 3, 1); for k in range(2) { out[i] += 1 } }");
        float a = 2;
        for (int i = 0; i < 10; i++)
            x[i] = (float)i;
        arex_array in[4] = {scalar(AREX_FLOAT32, &a), vector(AREX_FLOAT32, x, 10), vector(AREX_FLOAT32, out, 10), vector(AREX_INT32, bins, 3)};
        in[2].strides[0] = 8; /* every second element */
        arex_call_options_init(&o);
        o.target = targets[t];
        assert_int_equal(arex_program_is_kernel(p), 1);
        assert_int_equal(arex_program_inputs(p), 4);
        assert_null(arex_program_input(p, 4));
        assert_int_equal(arex_program_outputs(p), 2);
        if (arex_launch(p, in, 4, few, eight, &o, &d))
            fail_msg("%s", all_text(d));
        for (int i = 0; i < 20; i++)
            assert_true(out[i] == (i % 2 ? 0 : 2.0f * (float)i + 2));
        assert_int_equal(bins[0] * 100 + bins[1] * 10 + bins[2], 433);
        arex_diagnostics_free(d);
        arex_program_free(p);
    }
}

/* An array that two parameters are: each sees its own, as found. */
static void test_shared_memory(void **state)
{
    (void)state;
    for (unsigned t = 0; t < 2; t++) {
        double x[8] = {1, 2, 3, 4, 5, 6, 7, 8};
        arex_call_options o;
        arex_diagnostics *d = NULL;
        arex_program *p = program("kernel f(a, b) { i = grid(1); b[i] = a[7 - i] }");
        arex_array in[2] = {vector(AREX_FLOAT64, x, 8), vector(AREX_FLOAT64, x, 8)};
        arex_call_options_init(&o);
        o.target = targets[t];
        assert_int_equal(arex_launch(p, in, 2, one, eight, &o, &d), AREX_OK);
        for (int i = 0; i < 8; i++)
            assert_true(x[i] == 8 - i);
        arex_diagnostics_free(d);
        arex_program_free(p);
    }
}

/* Threads of a block hand each other what they have, round after round. */
static void test_blocks_wait_and_share(void **state)
{
    (void)state;
    for (unsigned t = 0; t < 2; t++) {
        int64_t x[16];
        int32_t rounds = 3;
        arex_call_options o;
        arex_diagnostics *d = NULL;
        arex_program *p = program("kernel f(x, rounds) { s = shared(8, int64); t = threadIdx.x; i = grid(1)\n"
                                  "for k in range(rounds) { s[t] = x[i]; syncthreads(); x[i] = s[(t + 1) % 8]; syncthreads() } }");
        for (int i = 0; i < 16; i++)
            x[i] = i;
        arex_array in[2] = {vector(AREX_INT64, x, 16), scalar(AREX_INT32, &rounds)};
        arex_call_options_init(&o);
        o.target = targets[t];
        if (arex_launch(p, in, 2, few, eight, &o, &d))
            fail_msg("%s", all_text(d));
        for (int i = 0; i < 16; i++)
            assert_int_equal(x[i], i / 8 * 8 + (i + 3) % 8);
        arex_diagnostics_free(d);
        arex_program_free(p);
    }
}

static void expect_refused(const char *source, const char *code)
{
    double x[4] = {0};
    arex_call_options o;
    arex_diagnostics *d = NULL;
    arex_program *p = program(source);
    arex_array in = vector(AREX_FLOAT64, x, 4);
    arex_call_options_init(&o);
    o.target = AREX_TARGET_CPU;
    expect_told(arex_launch(p, &in, 1, one, one, &o, &d), AREX_ERROR_PROGRAM, &d, code);
    arex_program_free(p);
}

static void test_blocks_refused(void **state)
{
    char many[16384], *at = many;
    (void)state;
    expect_refused("kernel f(x) { if threadIdx.x < 2 { syncthreads() }; x[0] = 1 }", "AX0220");
    expect_refused("kernel f(x) { s = shared((100, 100), float64); x[0] = s[1, 1] }", "AX0409");
    at += sprintf(at, "kernel f(x) {");
    for (int i = 0; i < 200; i++)
        at += sprintf(at, "v%d = x[threadIdx.x] * %d\n", i, i);
    at += sprintf(at, "syncthreads()\nx[0] = 0");
    for (int i = 0; i < 200; i++)
        at += sprintf(at, " + v%d", i);
    sprintf(at, "}");
    expect_refused(many, "AX0410");
}

static void test_launches_refused(void **state)
{
    static const uint32_t none[3] = {0, 1, 1}, many[3] = {32, 33, 1}, most[3] = {UINT32_MAX, UINT32_MAX, UINT32_MAX};
    double x[4] = {0};
    arex_array in = vector(AREX_FLOAT64, x, 4), out = {.device = -1}, nothing = vector(AREX_FLOAT64, NULL, 4);
    arex_diagnostics *d = NULL;
    arex_program *kernel = program("kernel f(x) { x[grid(1)] = 1 }"), *plain = program("x + 1");
    (void)state;
    expect_told(arex_launch(NULL, &in, 1, one, one, NULL, &d), AREX_ERROR_USAGE, &d, "AX0701");
    expect_told(arex_launch(kernel, NULL, 1, one, one, NULL, &d), AREX_ERROR_USAGE, &d, "AX0701");
    expect_told(arex_launch(kernel, &in, 1, NULL, one, NULL, &d), AREX_ERROR_USAGE, &d, "AX0701");
    expect_told(arex_launch(kernel, &in, 1, one, NULL, NULL, &d), AREX_ERROR_USAGE, &d, "AX0701");
    expect_told(arex_launch(kernel, &in, 1, none, one, NULL, &d), AREX_ERROR_USAGE, &d, "AX0701");
    expect_told(arex_launch(kernel, &in, 1, one, none, NULL, &d), AREX_ERROR_USAGE, &d, "AX0701");
    expect_told(arex_launch(kernel, &in, 1, one, many, NULL, &d), AREX_ERROR_USAGE, &d, "AX0701");
    expect_told(arex_launch(kernel, &in, 1, one, most, NULL, &d), AREX_ERROR_USAGE, &d, "AX0701");
    expect_told(arex_launch(kernel, &in, 0, one, one, NULL, &d), AREX_ERROR_PROGRAM, &d, "AX0304");
    expect_told(arex_launch(kernel, &in, 2, one, one, NULL, &d), AREX_ERROR_PROGRAM, &d, "AX0305");
    expect_told(arex_launch(kernel, &in, -1, one, one, NULL, &d), AREX_ERROR_PROGRAM, &d, "AX0304");
    expect_told(arex_launch(kernel, &nothing, 1, one, one, NULL, &d), AREX_ERROR_PROGRAM, &d, "AX0308");
    expect_told(arex_launch(plain, &in, 1, one, one, NULL, &d), AREX_ERROR_USAGE, &d, "AX0701");
    expect_told(arex_call(kernel, &in, 1, &out, 1, NULL, &d), AREX_ERROR_USAGE, &d, "AX0701");
    expect_told(arex_infer(kernel, &in, 1, &out, 1, &d), AREX_ERROR_USAGE, &d, "AX0701");
    expect_told(arex_prepare(kernel, &in, 1, NULL, &d), AREX_ERROR_USAGE, &d, "AX0701");
    arex_call_options o;
    arex_call_options_init(&o);
    for (unsigned t = 0; t < 2; t++) {
        o.target = targets[t];
        expect_told(arex_launch(kernel, &in, 1, one, eight, &o, &d), AREX_ERROR_PROGRAM, &d, "AX0312");
        expect_told(arex_launch(kernel, &in, 1, most, one, &o, &d), AREX_ERROR_USAGE, &d, "AX0701");
    }
    arex_program_free(kernel);
    arex_program_free(plain);
}

int run_launch_tests(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_functions_by_element), cmocka_unit_test(test_kernels_change_in_place),
                                       cmocka_unit_test(test_shared_memory), cmocka_unit_test(test_blocks_wait_and_share), cmocka_unit_test(test_blocks_refused),
                                       cmocka_unit_test(test_launches_refused)};
    return cmocka_run_group_tests_name("launch", tests, open_context, close_context);
}
