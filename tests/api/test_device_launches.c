/* What a call gives the driver to do: how many launches, in which blocks, and what else. */
#include "fake.h"

/* The driver's functions do nothing here, but a call reaches the launch and brings its output back. */
static void test_call(void **state)
{
    double data[3] = {1, 2, 3};
    arex_array x = vector(AREX_FLOAT64, data, 3);
    char *text = NULL;
    struct call c;
    (void)state;
    fake.reset();
    context_over(fake.path, 1);
    call_open(&c, "x*2");
    c.options.target = AREX_TARGET_AUTO; /* there is a GPU */
    if (call_run(&c, &x, 1) != AREX_OK)
        fail_msg("%s", all_text(c.diags));
    assert_int_equal(fake.launches(), 1);
    assert_int_equal(c.out.device, -1);
    call_close(&c);
    assert_int_equal(arex_doctor(context, 0, &text), AREX_OK);
    assert_non_null(strstr(text, "CUDA 13.0"));
    assert_non_null(strstr(text, "Fake GPU, sm_90, 132 multiprocessors"));
    assert_non_null(strstr(text, "device_1"));
    arex_free(text);
    context_done();
}

/* Launches of softmax and of layer norm: one where rows are short and there are many, else one or two a nest. */
static void test_rows_on_a_device(void **state)
{
    static const char *const programs[] = {
        "e = exp(x - max(x, 1, keepdims=True)); return e / sum(e, 1, keepdims=True)",
        "c = x - mean(x, 1, keepdims=True); return c / sqrt(mean(c*c, 1, keepdims=True) + 1e-5)",
    };
    static const struct {
        int64_t rows, length;
        int launches;
    } cases[] = {{200, 1000, 1}, {200, 16384, 1}, {40, 5, 1}, {2, 1000, 5}, {1, 1000, 5}, {40, 100000, 5}};
    (void)state;
    double *data = calloc(40 * 100000, sizeof *data);
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        int64_t m = cases[i / 2].rows, n = cases[i / 2].length;
        arex_array x = view(AREX_FLOAT64, data, 2, (int64_t[]){m, n});
        struct call c;
        fake.reset();
        context_over(fake.path, 0);
        call_open(&c, programs[i % 2]);
        c.options.target = AREX_TARGET_CUDA;
        if (call_run(&c, &x, 1) != AREX_OK)
            fail_msg("%s", all_text(c.diags));
        if (fake.launches() != cases[i / 2].launches)
            fail_msg("%lld rows of %lld: %d launches", (long long)m, (long long)n, fake.launches());
        call_close(&c);
        context_done();
    }
    free(data);
}

struct driven {
    int launches, counts[3];
};

/* What a call of the loop gives the driver to do. */
static struct driven drive(const char *body, int rounds, int64_t m, int64_t n)
{
    struct driven out;
    struct call c;
    char text[1024];
    double *data = calloc((size_t)(m * n), sizeof *data);
    arex_array u = view(AREX_FLOAT64, data, 2, (int64_t[]){m, n});
    snprintf(text, sizeof text, "for k in range(%d) { %s }\nreturn u", rounds, body);
    fake.reset();
    context_over(fake.path, 0);
    call_open(&c, text);
    c.options.target = AREX_TARGET_CUDA;
    if (call_run(&c, &u, 1) != AREX_OK)
        fail_msg("%s: %s", text, all_text(c.diags));
    out.launches = fake.launches();
    fake.counts(out.counts);
    call_close(&c);
    context_done();
    free(data);
    return out;
}

#define INNER "u[1:-1, 1:-1] = 0.25 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:])"
#define ROWS  "u[0] = u[1]; u[-1] = u[-2]"
#define SIDES "u[:, 0] = u[:, 1]; u[:, -1] = u[:, -2]"

/* A round is as many launches as there are parts, and nothing else: no memory is asked for, nobody waits, nothing is copied. */
static void test_steps_on_a_device(void **state)
{
    static const struct {
        const char *body;
        int64_t m, n;
        int launches; /* of a round */
    } cases[] = {
        {"u = u * 0.5", 40, 30, 1}, {"u[1:-1] = u[1:-1] * 0.5", 40, 30, 1}, {INNER, 40, 30, 1}, {INNER "; u[0] = u[1]", 40, 30, 2},
        {INNER "; " ROWS "; " SIDES, 40, 30, 5}, {ROWS "; " SIDES "; " INNER, 40, 30, 5}, {INNER "; u[0] = u[-2]; u[-1] = u[1]", 40, 30, 3},
        {INNER "; " ROWS "; " SIDES, 3, 3, 5}, {INNER "; " ROWS, 2, 30, 4 - 1 /* no element is inside */}, {INNER "; u[0] = u[0] * 0.5", 40, 30, 3}, /* what it reads is of the round before: copied */
        {"for j in range(2) { " INNER "; u[0] = u[1] }", 40, 30, 2 * 2 + 2 /* what it starts from, and the whole in the first of its rounds */},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct driven few = drive(cases[i].body, 3, cases[i].m, cases[i].n), many = drive(cases[i].body, 13, cases[i].m, cases[i].n);
        if (many.launches - few.launches != 10 * cases[i].launches)
            fail_msg("%s: %d launches in ten rounds", cases[i].body, many.launches - few.launches);
        if (memcmp(few.counts, many.counts, sizeof few.counts) != 0)
            fail_msg("%s: ten rounds more take %d allocations, %d waits, %d copies", cases[i].body, many.counts[0] - few.counts[0], many.counts[1] - few.counts[1], many.counts[2] - few.counts[2]);
    }
}

/* One launch each, a block of threads for each block of the sequences; words are cleared where there is waiting. */
static void test_scans_on_a_device(void **state)
{
    static const struct {
        int64_t rows, length;
        unsigned blocks;
        bool waits;
    } cases[] = {{1, 4096, 1, false}, {1, 4097, 2, true}, {300, 4096, 300, false}, {3, 10000, 9, true}, {1, 4096 * 16 * 132 + 1, 16 * 132 + 1, true}};
    (void)state;
    double *data = calloc(4096 * 16 * 132 + 1, sizeof *data);
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        int64_t m = cases[i / 2].rows, n = cases[i / 2].length;
        arex_array x = view(AREX_FLOAT64, data, 2, (int64_t[]){m, n});
        bool refuses = i % 2;
        struct call c;
        fake.reset();
        if (refuses)
            fake.refuse("cuMemsetD8Async", 1, INVALID_VALUE);
        context_over(fake.path, 0);
        call_open(&c, "cumsum(x, 1)");
        c.options.target = AREX_TARGET_CUDA;
        assert_int_equal(call_run(&c, &x, 1), refuses && cases[i / 2].waits ? AREX_ERROR_MACHINE : AREX_OK);
        assert_int_equal(fake.launches(), refuses && cases[i / 2].waits ? 0 : 1);
        const unsigned *seen = fake.last_launch(), grid[] = {cases[i / 2].blocks, 1, 1, 128, 1, 1};
        if (fake.launches() && memcmp(seen, grid, sizeof grid) != 0)
            fail_msg("%lld rows of %lld: %u blocks of %u", (long long)m, (long long)n, seen[0], seen[3]);
        call_close(&c);
        context_done();
    }
    free(data);
}

/* Kernels go in the blocks that were asked for; those that need none, only where that is as fast as any. */
static void test_blocks_on_a_device(void **state)
{
    static const char alone[] = "kernel f(x) { i = grid(1); if i < len(x) { x[i] = 1 } }";
    static const char together[] = "kernel f(x) { s = shared(4, int32); syncthreads(); i = grid(1); if i < len(x) { x[i] = s[0] } }";
    static const struct {
        const char *source;
        uint32_t grid[3], block[3];
        unsigned seen[6]; /* by the driver */
    } cases[] = {
        {alone, {40, 1, 1}, {128, 1, 1}, {40, 1, 1, 128, 1, 1}}, {alone, {4, 3, 2}, {16, 4, 2}, {4, 3, 2, 16, 4, 2}}, {alone, {100, 1, 1}, {3, 1, 1}, {2, 1, 1, 256, 1, 1}},
        {alone, {1, 1, 1}, {1024, 1, 1}, {4, 1, 1, 256, 1, 1}}, {alone, {1, 70000, 1}, {64, 1, 1}, {1, 17500, 1, 64, 4, 1}},
        {together, {4, 3, 2}, {16, 4, 2}, {4, 3, 2, 16, 4, 2}}, {together, {100, 1, 1}, {3, 1, 1}, {100, 1, 1, 3, 1, 1}}, {together, {1, 1, 1}, {1024, 1, 1}, {1, 1, 1, 1024, 1, 1}},
    };
    double data[4] = {0};
    arex_array x = vector(AREX_FLOAT64, data, 4);
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        arex_program *p;
        arex_call_options o;
        arex_diagnostics *d = NULL;
        fake.reset();
        context_over(fake.path, 0);
        arex_call_options_init(&o);
        o.target = AREX_TARGET_CUDA;
        assert_int_equal(arex_program_new(context, cases[i].source, strlen(cases[i].source), NULL, NULL, &p, &d), AREX_OK);
        if (arex_launch(p, &x, 1, cases[i].grid, cases[i].block, &o, &d))
            fail_msg("%s", all_text(d));
        const unsigned *seen = fake.last_launch(); /* grid and block come first */
        if (memcmp(seen, cases[i].seen, sizeof cases[i].seen) != 0)
            fail_msg("case %zu: %u %u %u blocks of %u %u %u", i, seen[0], seen[1], seen[2], seen[3], seen[4], seen[5]);
        arex_diagnostics_free(d);
        arex_program_free(p);
        context_done();
    }
}

/* In place on a device: by way of memory of ours, from where the driver copies what lies together, and a program of ours the rest. */
static void test_overlap_on_a_device(void **state)
{
    double data[4] = {1, 2, 3, 4};
    arex_array here = vector(AREX_FLOAT64, data, 4), there = here;
    struct call c;
    (void)state;
    fake.reset();
    context_over(fake.path, 0);
    there.device = 0, there.data = NULL;
    assert_int_equal(arex_array_alloc(context, &there, NULL), AREX_OK);
    assert_int_equal(arex_array_copy(context, &there, &here, NULL), AREX_OK);
    call_open(&c, "x*2");
    c.options.target = AREX_TARGET_AUTO;
    for (int times = 1; times <= 2; times++) {
        arex_array each_second = there;
        each_second.shape[0] = 2, each_second.strides[0] = 16;
        c.out = each_second;
        assert_int_equal(call_run(&c, &each_second, 1), AREX_OK);
        assert_int_equal(fake.launches(), 2 * times);
    }
    c.out = there;
    assert_int_equal(call_run(&c, &there, 1), AREX_OK);
    assert_int_equal(fake.launches(), 5);
    c.out = (arex_array){0};
    call_close(&c);
    arex_array_free(context, &there);
    context_done();
}

int run_device_launch_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_call), cmocka_unit_test(test_rows_on_a_device), cmocka_unit_test(test_steps_on_a_device), cmocka_unit_test(test_scans_on_a_device),
        cmocka_unit_test(test_blocks_on_a_device), cmocka_unit_test(test_overlap_on_a_device),
    };
    return cmocka_run_group_tests_name("device_launches", tests, open_fake, close_fake);
}
