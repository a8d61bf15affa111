/* Arrays as calls meet them: strides of all kinds, bools of any byte, outputs that overlap inputs. */
#include "host.h"

static void expect_sum(arex_array a, double sum)
{
    struct call c;
    call_open(&c, "sum(x)");
    if (call_run(&c, &a, 1) != AREX_OK)
        fail_msg("%s", all_text(c.diags));
    assert_true(*(double *)c.out.data == sum);
    call_close(&c);
}

static void test_views(void **state)
{
    double data[24];
    const int64_t ones[] = {1, 1, 1, 2, 1, 3, 1, 4}, rows[] = {4, 6};
    arex_array a;
    (void)state;
    for (int i = 0; i < 24; i++)
        data[i] = i;
    expect_sum(vector(AREX_FLOAT64, data, 24), 276);
    expect_sum(view(AREX_FLOAT64, data, 8, ones), 276);
    expect_sum(scalar(AREX_FLOAT64, data + 5), 5);
    expect_sum(vector(AREX_FLOAT64, NULL, 0), 0);
    a = vector(AREX_FLOAT64, data + 23, 24), a.strides[0] = -8; /* reversed */
    expect_sum(a, 276);
    a = vector(AREX_FLOAT64, data + 1, 8), a.strides[0] = 24; /* each third */
    expect_sum(a, 92);
    a = vector(AREX_FLOAT64, data + 2, 1000), a.strides[0] = 0; /* one, many times */
    expect_sum(a, 2000);
    a = view(AREX_FLOAT64, data, 2, rows), a.strides[0] = 8, a.strides[1] = 32; /* transposed */
    expect_sum(a, 276);
}

/* Bytes of bools that are neither 0 nor 1 are true, whoever computes, in an array and alone. */
static void test_bools(void **state)
{
    static const int targets[] = {AREX_TARGET_CPU, AREX_TARGET_REFERENCE};
    uint8_t data[100];
    struct call c;
    (void)state;
    for (int i = 0; i < 100; i++)
        data[i] = (uint8_t)(i % 4 * 2);
    for (int t = 0; t < 2; t++) {
        static const char *const sources[] = {"sum(x)", "count_nonzero(x)", "sum(int64(x))", "sum(where(x, 1, 0))", "sum(x & x)", "sum(x == True)"};
        for (int k = 0; k < 6; k++) {
            arex_array x = vector(AREX_BOOL, data, 100), one = scalar(AREX_BOOL, data + 2);
            call_open(&c, sources[k]);
            c.options.target = targets[t];
            assert_int_equal(call_run(&c, &x, 1), AREX_OK);
            if (*(int64_t *)c.out.data != 75)
                fail_msg("%s on target %d: %lld", sources[k], targets[t], (long long)*(int64_t *)c.out.data);
            arex_array_free(context, &c.out);
            assert_int_equal(call_run(&c, &one, 1), AREX_OK);
            if (*(int64_t *)c.out.data != 1)
                fail_msg("%s of one on target %d: %lld", sources[k], targets[t], (long long)*(int64_t *)c.out.data);
            call_close(&c);
        }
        call_open(&c, "not x");
        c.options.target = targets[t];
        arex_array x = vector(AREX_BOOL, data, 100);
        assert_int_equal(call_run(&c, &x, 1), AREX_OK);
        for (int i = 0; i < 100; i++)
            assert_int_equal(((uint8_t *)c.out.data)[i], i % 4 == 0);
        call_close(&c);
    }
}

/* The answer as if the output did not overlap the input: in place, shifted either way, reversed. */
static void test_overlap(void **state)
{
    enum { N = 10000 };
    static double data[N + 8];
    struct call c;
    (void)state;
    call_open(&c, "2*x + 1");
    for (int shift = -3; shift <= 3; shift++)
        for (int reversed = 0; reversed < 2; reversed++) {
            double *to = data + 4 + shift;
            arex_array x = vector(AREX_FLOAT64, data + 4, N);
            if (reversed)
                x = vector(AREX_FLOAT64, data + 4 + N - 1, N), x.strides[0] = -8;
            for (int i = 0; i < N + 8; i++)
                data[i] = i - 4;
            c.out = vector(AREX_FLOAT64, to, N);
            if (call_run(&c, &x, 1) != AREX_OK)
                fail_msg("%s", all_text(c.diags));
            for (int i = 0; i < N; i++)
                assert_true(to[i] == 2 * (reversed ? N - 1 - i : i) + 1);
        }
    c.out = (arex_array){0};
    call_close(&c);
}

/* Nothing lies anywhere, whatever the strides say. */
static void test_strides_of_no_elements(void **state)
{
    double nothing;
    struct call c;
    arex_array x = {.data = &nothing, .dtype = AREX_FLOAT64, .rank = 2, .device = -1, .shape = {0, 5}, .strides = {INT64_MAX - 7, INT64_MIN}};
    (void)state;
    call_open(&c, "2*x + 1");
    static const int targets[] = {AREX_TARGET_CPU, AREX_TARGET_REFERENCE};
    for (int t = 0; t < 2; t++) {
        c.options.target = targets[t];
        c.out = x;
        if (call_run(&c, &x, 1) != AREX_OK)
            fail_msg("%s", all_text(c.diags));
    }
    c.out = (arex_array){0};
    call_close(&c);
}

static void diffuse(double *u, int n, int rounds)
{
    double old[64];
    for (int k = 0; k < rounds; k++) {
        memcpy(old, u, (size_t)n * sizeof *u);
        for (int i = 1; i < n - 1; i++)
            u[i] = 0.5 * (old[i - 1] + old[i + 1]);
        for (int j = 0; j < k; j++)
            u[0] += j;
    }
}

/* Loops over arrays, onto their own input and not, from several threads' worth of work down to no element; and complex values through a loop. */
static void test_steps(void **state)
{
    static const int targets[] = {AREX_TARGET_CPU, AREX_TARGET_REFERENCE};
    struct call c;
    (void)state;
    for (int t = 0; t < 2; t++)
        for (int n = 0; n <= 64; n += n < 5 ? 1 : 59)
            for (int64_t rounds = 0; rounds < 5; rounds++) {
                double u[64], want[64];
                arex_array in[2];
                for (int i = 0; i < 64; i++)
                    want[i] = u[i] = (i * 37 % 64) - 31.5;
                if (n)
                    diffuse(want, n, (int)rounds);
                call_open(&c, n ? "for k in range(r) { u[1:-1] = 0.5*(u[:-2] + u[2:])\nfor j in range(k) { u[0] += j } }\nreturn u"
                                : "for k in range(r) { u[1:-1] = 0.5*(u[:-2] + u[2:]) }\nreturn u");
                c.options.target = targets[t];
                for (int k = 0; k < 2; k++) { /* the inputs in the order in which the text meets them */
                    bool count = strcmp(arex_program_input(c.program, k), "r") == 0;
                    in[k] = count ? weak(AREX_INT64, &rounds) : vector(AREX_FLOAT64, u, n);
                    if (!count)
                        c.out = in[k];
                }
                if (call_run(&c, in, 2) != AREX_OK)
                    fail_msg("%s", all_text(c.diags));
                assert_memory_equal(u, want, sizeof u);
                c.out = (arex_array){0};
                call_close(&c);
            }
    float z[2] = {1, 2};
    call_open(&c, "for k in range(3) { z = z * 1j + 1 }\nreturn z");
    arex_array one = vector(AREX_COMPLEX64, z, 1);
    c.out = one;
    assert_int_equal(call_run(&c, &one, 1), AREX_OK);
    assert_true(z[0] == 2 && z[1] == 0);
    c.out = (arex_array){0};
    call_close(&c);
}

/* Transposed and reversed onto itself; a sum into its own input; two outputs into one input. */
static void test_overlap_of_axes(void **state)
{
    enum { ROWS = 67 };
    static double data[ROWS * ROWS];
    static const int targets[] = {AREX_TARGET_CPU, AREX_TARGET_REFERENCE};
    const int64_t square[] = {ROWS, ROWS};
    struct call c;
    (void)state;
    for (int t = 0; t < 2; t++) {
        arex_array x = view(AREX_FLOAT64, data, 2, square);
        for (int i = 0; i < ROWS * ROWS; i++)
            data[i] = i;
        call_open(&c, "x + 1");
        c.options.target = targets[t];
        c.out = x, c.out.strides[0] = x.strides[1], c.out.strides[1] = x.strides[0];
        assert_int_equal(call_run(&c, &x, 1), AREX_OK);
        for (int i = 0; i < ROWS; i++)
            for (int j = 0; j < ROWS; j++)
                assert_true(data[j * ROWS + i] == i * ROWS + j + 1);
        x = vector(AREX_FLOAT64, data, 2000), c.out = vector(AREX_FLOAT64, data + 1999, 2000), c.out.strides[0] = -8;
        for (int i = 0; i < 2000; i++)
            data[i] = i;
        assert_int_equal(call_run(&c, &x, 1), AREX_OK);
        for (int i = 0; i < 2000; i++)
            assert_true(data[1999 - i] == i + 1);
        c.out = (arex_array){0};
        call_close(&c);
        call_open(&c, "sum(x)");
        c.options.target = targets[t];
        for (int i = 0; i < 2000; i++)
            data[i] = 1;
        c.out = scalar(AREX_FLOAT64, data + 1000);
        assert_int_equal(call_run(&c, &x, 1), AREX_OK);
        assert_true(data[1000] == 2000 && data[999] == 1);
        c.out = (arex_array){0};
        call_close(&c);
    }
}

int run_view_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_views), cmocka_unit_test(test_bools), cmocka_unit_test(test_overlap), cmocka_unit_test(test_steps),
        cmocka_unit_test(test_overlap_of_axes), cmocka_unit_test(test_strides_of_no_elements),
    };
    return cmocka_run_group_tests_name("views", tests, open_context, close_context);
}
