/* Calls that are not waited for: at once where one like them was made before, their faults told late, on streams of ours. */
#include "fake.h"

enum { SOME = 5000 };
static int (*waits)(void);
static void *(*page)(void);

/* Fake functions that only these need; arrays on the device, at multiples of 256. */
static arex_array on_device(int64_t n)
{
    arex_array a = {.dtype = AREX_FLOAT64, .rank = 1, .device = 0, .shape = {n}};
    find_function("fake_waits", &waits);
    find_function("fake_page", &page);
    assert_int_equal(arex_array_alloc(context, &a, NULL), AREX_OK);
    return a;
}

static arex_call_options asynchronous(void)
{
    arex_call_options o;
    arex_call_options_init(&o);
    o.stream = (void *)1;
    o.late_faults = 1;
    return o;
}

/* Into memory that is freed at once: the next call gets the same. */
static arex_status call_on_device(arex_program *p, const arex_array *in, const arex_call_options *o)
{
    arex_array out = {.device = 0};
    arex_status status = arex_call(p, in, arex_program_inputs(p), &out, 1, o, NULL);
    arex_array_free(context, &out);
    return status;
}

struct launch {
    unsigned grid[3], block[3], shared, n_slots;
    int entry;
    long long slots[64];
};

/* A call made again gives the device what a first one of the same arguments does, and is made at once. */
static void test_calls_like_one_before(void **state)
{
    static const char *const programs[] = {"x*2 + y", "x + sum(y)", "a*x + y", "x[1:] - y[:-1]", "sum(x*y)", "where(x > a, x, y)", "x[::2] + y[::-2]", "cumsum(x*y)"};
    size_t (*zeroed)(void);
    (void)state;
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        double one = 1.5, two = 2.5;
        fake.reset();
        context_over(fake.path, 0);
        arex_program *p = program(programs[i]), *q = program(programs[i]);
        arex_call_options o = asynchronous(), waiting;
        arex_call_options_init(&waiting);
        arex_array first[3] = {0}, second[3] = {0};
        for (int k = 0; k < arex_program_inputs(p); k++) {
            bool value = arex_program_input(p, k)[0] == 'a';
            first[k] = value ? scalar(AREX_FLOAT64, &one) : on_device(SOME);
            second[k] = value ? scalar(AREX_FLOAT64, &two) : on_device(SOME);
        }
        o.at_once = 1;
        assert_int_equal(call_on_device(p, first, &o), AREX_NOT_AT_ONCE);
        assert_int_equal(fake.launches(), 0);
        o.at_once = 0;
        assert_int_equal(call_on_device(p, first, &o), AREX_OK);
        find_function("fake_zeroed", &zeroed);
        o.at_once = 1;
        int before = waits();
        size_t first_zeroed = zeroed();
        assert_int_equal(call_on_device(p, second, &o), AREX_OK);
        assert_int_equal(zeroed(), 2 * first_zeroed);
        assert_int_equal(waits(), before);
        struct launch again, want;
        memcpy(&again, fake.last_launch(), sizeof again);
        assert_int_equal(call_on_device(q, second, &waiting), AREX_OK);
        assert_true(waits() > before);
        memcpy(&want, fake.last_launch(), sizeof want);
        if (memcmp(&again, &want, sizeof want) != 0)
            fail_msg("%s: made again it is another launch", programs[i]);
        for (int k = 0; k < arex_program_inputs(p); k++)
            if (first[k].device == 0) {
                arex_array_free(context, &first[k]);
                arex_array_free(context, &second[k]);
            }
        arex_program_free(p);
        arex_program_free(q);
        context_done();
    }
}

/* What differs in more than addresses and values is no call like the one before. */
static void test_calls_unlike_the_one_before(void **state)
{
    (void)state;
    fake.reset();
    context_over(fake.path, 0);
    arex_program *p = program("x + y");
    arex_call_options o = asynchronous();
    arex_array in[2] = {on_device(SOME), on_device(SOME)}, out = on_device(SOME), other;
    assert_int_equal(arex_call(p, in, 2, &out, 1, &o, NULL), AREX_OK);
    o.at_once = 1;
    assert_int_equal(arex_call(p, in, 2, &out, 1, &o, NULL), AREX_OK);
    other = out; /* overlaps an input: as if it did not */
    other.data = in[0].data;
    assert_int_equal(arex_call(p, in, 2, &other, 1, &o, NULL), AREX_NOT_AT_ONCE);
    other.data = NULL;
    assert_int_equal(arex_call(p, in, 2, &other, 1, &o, NULL), AREX_NOT_AT_ONCE);
    for (int what = 0; what < 6; what++) {
        arex_array unlike[2] = {in[0], in[1]};
        switch (what) {
        case 0: unlike[0].shape[0] = 1; break;
        case 1: unlike[0].data = (char *)unlike[0].data + 8, unlike[0].shape[0] = SOME; break;
        case 2: unlike[0].dtype = AREX_INT64; break;
        case 3: unlike[0].strides[0] = 0; break;
        case 4: unlike[0].device = 1; break;
        default: unlike[0].data = NULL; break;
        }
        if (arex_call(p, unlike, 2, &out, 1, &o, NULL) != AREX_NOT_AT_ONCE)
            fail_msg("case %d was taken for the call before", what);
    }
    o.stream = NULL; /* waits */
    assert_int_equal(arex_call(p, in, 2, &out, 1, &o, NULL), AREX_NOT_AT_ONCE);
    o.stream = (void *)1;
    for (int i = 0; i < 2000; i++) /* CUDA's queue may be full at some time: only who has time goes on */
        o.at_once = arex_call(p, in, 2, &out, 1, &o, NULL) != AREX_NOT_AT_ONCE && o.at_once;
    assert_int_equal(o.at_once, 0);
    assert_int_equal(arex_synchronize(context, 0, NULL), AREX_OK);
    o.at_once = 1;
    assert_int_equal(arex_call(p, in, 2, &out, 1, &o, NULL), AREX_OK);
    fake.refuse("cuLaunchKernel", 1, LAUNCH_FAILED);
    arex_diagnostics *d = NULL;
    expect_told(arex_call(p, in, 2, &out, 1, &o, &d), AREX_ERROR_MACHINE, &d, "AX0605");
    arex_array_free(context, &in[0]);
    arex_array_free(context, &in[1]);
    arex_array_free(context, &out);
    arex_program_free(p);
    context_done();
}

/* A kernel whose index may be out of range, and one block of one thread. */
static const char source[] = "kernel f(x) { i = grid(1); x[i] = 1 }";
static const uint32_t one[3] = {1, 1, 1};

/* Shapes without end: the oldest are forgotten, and their faults told all the same. */
static void test_many_kinds_of_calls(void **state)
{
    (void)state;
    fake.reset();
    context_over(fake.path, 0);
    arex_program *p = program(source);
    arex_call_options o = asynchronous();
    arex_diagnostics *d = NULL;
    arex_array x = on_device(SOME);
    assert_int_equal(arex_launch(p, &x, 1, one, one, &o, NULL), AREX_OK);
    *(uint32_t *)page() = 4; /* an index out of range */
    for (uint32_t n = 2; n < 200; n++) {
        uint32_t grid[3] = {n, 1, 1};
        assert_int_equal(arex_launch(p, &x, 1, grid, one, &o, NULL), AREX_OK);
    }
    expect_told(arex_synchronize(context, 0, &d), AREX_ERROR_PROGRAM, &d, "AX0312");
    assert_int_equal(arex_synchronize(context, 0, &d), AREX_OK);
    arex_array_free(context, &x);
    arex_program_free(p);
    context_done();
}

/* Faults are told by what waits next, once; without late_faults by the call. */
static void test_late_faults(void **state)
{
    double data[SOME];
    (void)state;
    for (int way = 0; way < 4; way++) {
        fake.reset();
        context_over(fake.path, 0);
        arex_program *p = program(source);
        arex_call_options o = asynchronous();
        arex_diagnostics *d = NULL;
        arex_array x = on_device(SOME), home = vector(AREX_FLOAT64, data, SOME);
        for (int i = 0; i < 3; i++)
            assert_int_equal(arex_launch(p, &x, 1, one, one, &o, NULL), AREX_OK);
        int before = waits();
        *(uint32_t *)page() = 4; /* an index out of range */
        assert_int_equal(arex_launch(p, &x, 1, one, one, &o, NULL), AREX_OK);
        assert_int_equal(waits(), before);
        if (way == 3) { /* the program goes, what it has to tell stays */
            arex_program_free(p);
            p = NULL;
        }
        arex_status told = way == 0 ? arex_synchronize(context, 0, &d) : way == 1 ? arex_stream_wait(context, 0, NULL, &d) : arex_array_copy(context, &home, &x, &d);
        expect_told(told, AREX_ERROR_PROGRAM, &d, "AX0312");
        assert_int_equal(arex_synchronize(context, 0, &d), AREX_OK);
        o.late_faults = 0;
        before = waits();
        assert_int_equal(p ? arex_launch(p, &x, 1, one, one, &o, NULL) : AREX_OK, AREX_OK);
        assert_true(!p || waits() > before);
        arex_array_free(context, &x);
        arex_program_free(p);
        context_done();
    }
}

/* Streams of ours: a call is given to the one it names; what is wrong with them is said. */
static void test_streams(void **state)
{
    void *stream = NULL, *(*worked_on)(void);
    arex_diagnostics *d = NULL;
    (void)state;
    find_function("fake_worked_on", &worked_on);
    fake.reset();
    context_over(fake.path, 0);
    arex_program *p = program("x + y");
    arex_call_options o = asynchronous();
    arex_array in[2] = {on_device(SOME), on_device(SOME)};
    assert_int_equal(arex_stream_new(context, 0, &stream, &d), AREX_OK);
    o.stream = stream;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(call_on_device(p, in, &o), AREX_OK);
        assert_ptr_equal(worked_on(), stream);
    }
    arex_array_lent(context, &in[0]);
    arex_stream_free(context, 0, stream);
    arex_stream_free(context, 0, NULL);
    expect_told(arex_stream_new(context, 7, &stream, &d), AREX_ERROR_MACHINE, &d, "AX0603");
    assert_null(stream);
    expect_told(arex_stream_new(context, 0, NULL, &d), AREX_ERROR_USAGE, &d, "AX0701");
    expect_told(arex_synchronize(context, -1, &d), AREX_ERROR_USAGE, &d, "AX0701");
    fake.refuse("cuStreamCreate", 1, LAUNCH_FAILED);
    expect_told(arex_stream_new(context, 0, &stream, &d), AREX_ERROR_MACHINE, &d, "AX0605");
    fake.refuse("cuCtxSynchronize", 1, LAUNCH_FAILED);
    expect_told(arex_synchronize(context, 0, &d), AREX_ERROR_MACHINE, &d, "AX0605");
    arex_array_free(context, &in[0]);
    arex_array_free(context, &in[1]);
    arex_program_free(p);
    context_done();
}

int run_stream_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls_like_one_before), cmocka_unit_test(test_calls_unlike_the_one_before), cmocka_unit_test(test_many_kinds_of_calls), cmocka_unit_test(test_late_faults),
        cmocka_unit_test(test_streams),
    };
    return cmocka_run_group_tests_name("streams", tests, open_fake, close_fake);
}
