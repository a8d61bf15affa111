/* Memory of devices, the library's own and that of others, and what others have queued there. */
#include "fake.h"

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

int run_device_memory_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_of_others), cmocka_unit_test(test_device_memory),
    };
    return cmocka_run_group_tests_name("device_memory", tests, open_fake, close_fake);
}
