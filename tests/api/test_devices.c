/*
 * The GPU seen from a host that has none, and, through a driver made for tests, each way in which a driver or a device
 * can refuse: the diagnostic, its status, and that nothing of the device is left alive.
 */
#include <dlfcn.h>
#include <unistd.h>
#include "host.h"

static struct {
    char path[1024], old_path[1024];
    void *handle;
    void (*reset)(void);
    void (*refuse)(const char *symbol, int nth, int code);
    void (*memory_limit)(size_t bytes);
    int (*live)(void);
    int (*launches)(void);
    void (*counts)(int counts[3]); /* allocations, waits, copies */
    const void *(*last_launch)(void);
} fake;

enum { INVALID_VALUE = 1, NO_DEVICE = 100, NO_BINARY = 209, LAUNCH_FAILED = 719 };

/* Beside this program where tests are packed, in the folder of the runtime's tests where they are built. */
static void find_file(char *out, size_t room, const char *folder, const char *name)
{
    snprintf(out, room, "%s/%s", folder, name);
    if (access(out, R_OK))
        snprintf(out, room, "%s/../runtime/%s", folder, name);
}

static void find_function(const char *name, void *out)
{
    void *p = dlsym(fake.handle, name);
    assert_non_null(p);
    memcpy(out, &p, sizeof p);
}

static int open_fake(void **state)
{
    (void)state;
    fake.handle = dlopen(fake.path, RTLD_NOW | RTLD_LOCAL);
    if (!fake.handle)
        fail_msg("%s", dlerror());
    find_function("fake_reset", &fake.reset);
    find_function("fake_fail", &fake.refuse);
    find_function("fake_memory_limit", &fake.memory_limit);
    find_function("fake_live", &fake.live);
    find_function("fake_launches", &fake.launches);
    find_function("fake_counts", &fake.counts);
    find_function("fake_last_launch", &fake.last_launch);
    return 0;
}

static int close_fake(void **state)
{
    (void)state;
    return dlclose(fake.handle);
}

/* A context over this driver, in place of the group's. */
static void context_over(const char *driver, int device)
{
    arex_context_options o;
    arex_context_options_init(&o);
    o.cuda_driver = driver;
    o.device = device;
    assert_int_equal(arex_context_new(&o, &context, NULL), AREX_OK);
}

static void context_done(void)
{
    arex_context_free(context);
    context = NULL;
    assert_int_equal(fake.live(), 0);
}

/* One call of "x*2" on the GPU that must be refused with `code`; the text of what was said goes to `said`. */
static void refused_call(arex_status status, const char *code, char *said, size_t room)
{
    double data[3] = {1, 2, 3};
    arex_array x = vector(AREX_FLOAT64, data, 3);
    struct call c;
    call_open(&c, "x*2");
    c.options.target = AREX_TARGET_CUDA;
    arex_status got = call_run(&c, &x, 1);
    if (said)
        snprintf(said, room, "%s", all_text(c.diags));
    expect_told(got, status, &c.diags, code);
    assert_null(c.out.data);
    call_close(&c);
}

/* No driver: what was looked for is said, counting is a warning, AUTO takes the CPU. */
static void test_no_driver(void **state)
{
    static const char missing[] = "/nowhere/libcuda.so.1";
    double data[2] = {3, 4};
    char said[4096];
    int count = 5;
    arex_array x = vector(AREX_FLOAT64, data, 2), there = {.dtype = AREX_FLOAT64, .rank = 1, .device = 0, .shape = {2}};
    arex_diagnostics *d = NULL;
    arex_diagnostic one;
    struct call c;
    (void)state;
    context_over(missing, 0);
    refused_call(AREX_ERROR_MACHINE, "AX0601", said, sizeof said);
    assert_non_null(strstr(said, missing));
    assert_int_equal(arex_device_count(context, &count, &d), AREX_OK);
    assert_int_equal(count, 0);
    assert_true(has(d, "AX0601"));
    assert_int_equal(arex_diagnostics_get(d, 0, &one), AREX_OK);
    assert_int_equal(one.severity, 1); /* told with success: nothing is wrong */
    arex_diagnostics_free(d);
    expect_told(arex_array_alloc(context, &there, &d), AREX_ERROR_MACHINE, &d, "AX0601");
    call_open(&c, "sum(x*x)");
    c.options.target = AREX_TARGET_AUTO;
    assert_int_equal(call_run(&c, &x, 1), AREX_OK);
    assert_true(*(double *)c.out.data == 25);
    there.data = data, there.strides[0] = 8; /* claims to be on a GPU */
    arex_array_free(context, &c.out);
    assert_int_equal(call_run(&c, &there, 1), AREX_ERROR_MACHINE);
    assert_true(has(c.diags, "AX0601"));
    c.options.target = AREX_TARGET_CPU;
    assert_int_equal(call_run(&c, &there, 1), AREX_ERROR_PROGRAM);
    assert_true(has(c.diags, "AX0308"));
    c.options.target = AREX_TARGET_REFERENCE;
    assert_int_equal(call_run(&c, &there, 1), AREX_ERROR_PROGRAM);
    assert_true(has(c.diags, "AX0308"));
    call_close(&c);
    context_done();
}

static void test_old_driver(void **state)
{
    (void)state;
    context_over(fake.old_path, 0);
    refused_call(AREX_ERROR_MACHINE, "AX0602", NULL, 0);
    context_done();
}

static void test_no_device(void **state)
{
    static const int devices[] = {2, 15, 16, 1000, -1};
    int count = 0;
    (void)state;
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
        fake.reset();
        context_over(fake.path, devices[i]);
        refused_call(AREX_ERROR_MACHINE, "AX0603", NULL, 0);
        context_done();
    }
    fake.reset();
    fake.refuse("cuInit", 1, NO_DEVICE);
    context_over(fake.path, 0);
    refused_call(AREX_ERROR_MACHINE, "AX0603", NULL, 0);
    context_done();
    fake.reset();
    context_over(fake.path, 0);
    assert_int_equal(arex_device_count(context, &count, NULL), AREX_OK);
    assert_int_equal(count, 2);
    context_done();
}

/* Each function of the driver that a call needs refuses in turn. */
static void test_refusals(void **state)
{
    static const struct {
        const char *symbol;
        int code;
        arex_status status;
        const char *diagnostic;
    } cases[] = {
        {"cuInit", INVALID_VALUE, AREX_ERROR_MACHINE, "AX0605"},
        {"cuDevicePrimaryCtxRetain", INVALID_VALUE, AREX_ERROR_MACHINE, "AX0605"},
        {"cuMemcpyHtoDAsync_v2", INVALID_VALUE, AREX_ERROR_MACHINE, "AX0605"},
        {"cuModuleLoadDataEx", NO_BINARY, AREX_ERROR_MACHINE, "AX0606"},
        {"cuLaunchKernel", LAUNCH_FAILED, AREX_ERROR_MACHINE, "AX0605"},
        {"cuMemcpyDtoHAsync_v2", INVALID_VALUE, AREX_ERROR_MACHINE, "AX0605"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fake.reset();
        fake.refuse(cases[i].symbol, 1, cases[i].code);
        context_over(fake.path, 0);
        refused_call(cases[i].status, cases[i].diagnostic, NULL, 0);
        context_done();
    }
}

/* No memory for the data of a call: told, and nothing of it stays. */
static void test_full_device(void **state)
{
    (void)state;
    fake.reset();
    fake.memory_limit(1);
    context_over(fake.path, 0);
    refused_call(AREX_ERROR_MEMORY, "AX0604", NULL, 0);
    context_done();
}

static void test_device_memory(void **state)
{
    double data[4] = {1, 2, 3, 4}, back[4] = {0};
    arex_array here = vector(AREX_FLOAT64, data, 4), there = here, huge = {.dtype = AREX_FLOAT64, .rank = 1, .device = 1, .shape = {1 << 30}}, home = vector(AREX_FLOAT64, back, 4);
    arex_diagnostics *d = NULL;
    (void)state;
    fake.reset();
    fake.memory_limit(1 << 20);
    context_over(fake.path, 0);
    there.device = 1, there.data = NULL;
    assert_int_equal(arex_array_alloc(context, &there, NULL), AREX_OK);
    assert_int_equal(arex_array_copy(context, &there, &here, NULL), AREX_OK);
    assert_int_equal(arex_array_copy(context, &home, &there, NULL), AREX_OK);
    assert_memory_equal(data, back, sizeof data);
    expect_told(arex_array_alloc(context, &huge, &d), AREX_ERROR_MEMORY, &d, "AX0604");
    assert_null(huge.data);
    arex_array_free(context, &there);
    assert_null(there.data);
    context_done();
}

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
        arex_array x = {.data = data, .dtype = AREX_FLOAT64, .rank = 2, .device = -1, .shape = {m, n}, .strides = {8 * n, 8}};
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
    arex_array u = {.data = data, .dtype = AREX_FLOAT64, .rank = 2, .device = -1, .shape = {m, n}, .strides = {8 * n, 8}};
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
        arex_array x = {.data = data, .dtype = AREX_FLOAT64, .rank = 2, .device = -1, .shape = {m, n}, .strides = {8 * n, 8}};
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

/* The second code generator, chosen and not there: said by the call that needs it, and by no other. */
static void test_no_libnvvm(void **state)
{
    double data[2] = {3, 4};
    arex_array x = vector(AREX_FLOAT64, data, 2), out = {.device = -1};
    arex_context_options o;
    arex_compile_options made;
    arex_call_options call;
    arex_program *p = NULL;
    arex_diagnostics *d = NULL;
    char *text = NULL;
    (void)state;
    fake.reset();
    arex_context_options_init(&o);
    o.cuda_driver = fake.path;
    o.libnvvm = "/nowhere/libnvvm.so.4";
    assert_int_equal(arex_context_new(&o, &context, NULL), AREX_OK);
    arex_compile_options_init(&made);
    made.codegen = 3;
    expect_told(arex_program_new(context, "sum(x*x)", 8, NULL, &made, &p, &d), AREX_ERROR_USAGE, &d, "AX0701");
    made.codegen = -1;
    expect_told(arex_program_new(context, "sum(x*x)", 8, NULL, &made, &p, &d), AREX_ERROR_USAGE, &d, "AX0701");
    made.codegen = AREX_CODEGEN_NVVM;
    assert_int_equal(arex_program_new(context, "sum(x*x)", 8, NULL, &made, &p, &d), AREX_OK);
    arex_call_options_init(&call);
    call.target = AREX_TARGET_CUDA;
    arex_status got = arex_call(p, &x, 1, &out, 1, &call, &d);
    assert_non_null(strstr(all_text(d), "/nowhere/libnvvm.so.4 (named in the options): "));
    expect_told(got, AREX_ERROR_MACHINE, &d, "AX0506");
    expect_told(arex_emit(p, "ptx", AREX_TARGET_CUDA, "sm_90", NULL, &text, &d), AREX_ERROR_MACHINE, &d, "AX0506");
    assert_int_equal(arex_emit(p, "nvvm", AREX_TARGET_CUDA, "sm_90", NULL, &text, &d), AREX_OK);
    assert_non_null(strstr(text, "!nvvmir.version"));
    arex_free(text);
    call.target = AREX_TARGET_CPU;
    assert_int_equal(arex_call(p, &x, 1, &out, 1, &call, &d), AREX_OK);
    assert_true(*(double *)out.data == 25);
    arex_array_free(context, &out);
    arex_program_free(p);
    assert_int_equal(arex_doctor(context, 0, &text), AREX_OK);
    assert_non_null(strstr(text, "libNVVM was not found"));
    assert_non_null(strstr(text, "/nowhere/libnvvm.so.4"));
    arex_free(text);
    context_done();
}

/* Memory and streams of others: whose is it, and is what they have queued done? */
static void test_memory_of_others(void **state)
{
    double here = 1;
    int device = 5, stream;
    arex_diagnostics *d = NULL;
    arex_array a = {.dtype = AREX_FLOAT64, .rank = 1, .device = 0, .shape = {10}};
    void *(*waited_for)(void);
    (void)state;
    find_function("fake_waited_for", &waited_for);
    context_over(fake.path, 0);
    assert_int_equal(arex_array_alloc(context, &a, NULL), AREX_OK);
    assert_int_equal(arex_pointer_device(context, (double *)a.data + 3, &device, &d), AREX_OK);
    assert_int_equal(device, 0);
    expect_told(arex_pointer_device(context, &here, &device, &d), AREX_ERROR_MACHINE, &d, "AX0605");
    assert_int_equal(device, -1);
    expect_told(arex_pointer_device(context, NULL, &device, &d), AREX_ERROR_USAGE, &d, "AX0701");
    assert_int_equal(arex_stream_wait(context, 1, &stream, &d), AREX_OK);
    assert_ptr_equal(waited_for(), &stream);
    expect_told(arex_stream_wait(context, 7, &stream, &d), AREX_ERROR_MACHINE, &d, "AX0603");
    expect_told(arex_stream_wait(context, -1, NULL, &d), AREX_ERROR_USAGE, &d, "AX0701");
    fake.refuse("cuStreamSynchronize", 1, LAUNCH_FAILED);
    expect_told(arex_stream_wait(context, 0, NULL, &d), AREX_ERROR_MACHINE, &d, "AX0605");
    arex_array_free(context, &a);
    context_done();
    context_over("/nowhere/libcuda.so.1", 0);
    expect_told(arex_pointer_device(context, &here, &device, &d), AREX_ERROR_MACHINE, &d, "AX0601");
    context_done();
}

/* ---- calls that are not waited for ---- */

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

static arex_program *made(const char *source)
{
    arex_program *p = NULL;
    arex_diagnostics *d = NULL;
    if (arex_program_new(context, source, strlen(source), NULL, NULL, &p, &d))
        fail_msg("%s", all_text(d));
    return p;
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
        arex_program *p = made(programs[i]), *q = made(programs[i]);
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
    arex_program *p = made("x + y");
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

/* Shapes without end: the oldest are forgotten, and their faults told all the same. */
static void test_many_kinds_of_calls(void **state)
{
    static const char source[] = "kernel f(x) { i = grid(1); x[i] = 1 }";
    static const uint32_t one[3] = {1, 1, 1};
    (void)state;
    fake.reset();
    context_over(fake.path, 0);
    arex_program *p = made(source);
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
    static const char source[] = "kernel f(x) { i = grid(1); x[i] = 1 }";
    static const uint32_t one[3] = {1, 1, 1};
    double data[SOME];
    (void)state;
    for (int way = 0; way < 4; way++) {
        fake.reset();
        context_over(fake.path, 0);
        arex_program *p = made(source);
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
    arex_program *p = made("x + y");
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

/* What the report says of a driver and of a code generator that are not there. */
static void test_doctor(void **state)
{
    arex_context_options o;
    char *text = NULL;
    (void)state;
    arex_context_options_init(&o);
    o.cuda_driver = "/nowhere/libcuda.so.1";
    o.llvm_library = "/nowhere/libarex-llvm.so";
    for (int json = 0; json < 2; json++) {
        assert_int_equal(arex_context_new(&o, &context, NULL), AREX_OK);
        assert_int_equal(arex_doctor(context, json, &text), AREX_OK);
        assert_non_null(strstr(text, "/nowhere/libcuda.so.1"));
        assert_non_null(strstr(text, "/nowhere/libarex-llvm.so"));
        assert_non_null(strstr(text, "Install NVIDIA's driver"));
        assert_non_null(strstr(text, "must lie beside libarex.so"));
        const char *cure = strstr(text, "\"driver_cure\""); /* each key once */
        assert_true(!cure || !strstr(cure + 1, "\"driver_cure\""));
        arex_free(text);
        context_done();
    }
}

int run_device_tests(const char *folder)
{
    find_file(fake.path, sizeof fake.path, folder, "libfake_cuda.so");
    find_file(fake.old_path, sizeof fake.old_path, folder, "libfake_cuda_old.so");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_driver), cmocka_unit_test(test_old_driver), cmocka_unit_test(test_no_device), cmocka_unit_test(test_refusals), cmocka_unit_test(test_full_device),
        cmocka_unit_test(test_device_memory), cmocka_unit_test(test_call),
        cmocka_unit_test(test_rows_on_a_device), cmocka_unit_test(test_steps_on_a_device), cmocka_unit_test(test_scans_on_a_device),
        cmocka_unit_test(test_blocks_on_a_device), cmocka_unit_test(test_overlap_on_a_device), cmocka_unit_test(test_no_libnvvm), cmocka_unit_test(test_memory_of_others),
        cmocka_unit_test(test_calls_like_one_before), cmocka_unit_test(test_calls_unlike_the_one_before), cmocka_unit_test(test_many_kinds_of_calls),
        cmocka_unit_test(test_late_faults), cmocka_unit_test(test_streams), cmocka_unit_test(test_doctor),
    };
    return cmocka_run_group_tests_name("devices", tests, open_fake, close_fake);
}
