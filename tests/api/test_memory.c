/* Arrays of the library's memory. */
#include "host.h"

static void test_memory(void **state)
{
    arex_array a = {.dtype = AREX_FLOAT32, .rank = 2, .device = -1, .shape = {3, 5}}, b = a, huge = {.dtype = AREX_FLOAT64, .rank = 1, .device = -1, .shape = {INT64_MAX / 16}};
    arex_diagnostics *d = NULL;
    (void)state;
    assert_int_equal(arex_array_alloc(context, &a, NULL), AREX_OK);
    assert_int_equal(arex_array_alloc(context, &b, NULL), AREX_OK);
    assert_int_equal((uintptr_t)a.data % 64, 0);
    assert_int_equal(a.strides[0], 20);
    for (int i = 0; i < 15; i++)
        ((float *)a.data)[i] = (float)i;
    assert_int_equal(arex_array_copy(context, &b, &a, NULL), AREX_OK);
    assert_memory_equal(a.data, b.data, 60);
    b.shape[0] = 2;
    assert_int_not_equal(arex_array_copy(context, &b, &a, NULL), AREX_OK);
    expect_told(arex_array_alloc(context, &huge, &d), AREX_ERROR_MEMORY, &d, "AX0408");
    assert_null(huge.data);
    arex_array_free(context, &a);
    arex_array_free(context, &b);
}

int run_memory_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests_name("memory", tests, open_context, close_context);
}
