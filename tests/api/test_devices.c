/*
 * The GPU seen from a host that has none, and, through a driver made for tests, each way in which a driver or a device
 * can refuse: the diagnostic, its status, and that nothing of the device is left alive.
 */
#include "fake.h"

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

int run_device_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_driver), cmocka_unit_test(test_old_driver), cmocka_unit_test(test_no_device), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_full_device), cmocka_unit_test(test_no_libnvvm), cmocka_unit_test(test_doctor),
    };
    return cmocka_run_group_tests_name("devices", tests, open_fake, close_fake);
}
