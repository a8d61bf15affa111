/* Version, dtypes, lists, and what doctor says. */
#include "host.h"

static void test_tables(void **state)
{
    static const char *const lists[] = {"ops", "aliases", "types", "stages", "errors"};
    char *text;
    (void)state;
    char version[32];
    snprintf(version, sizeof version, "%d.%d.%d", AREX_VERSION_MAJOR, AREX_VERSION_MINOR, AREX_VERSION_PATCH);
    assert_string_equal(arex_version(), version);
    for (int t = AREX_BOOL; t <= AREX_COMPLEX128; t++) {
        assert_int_equal(arex_dtype_of(arex_dtype_name(t)), t);
        assert_true(arex_dtype_size(t) >= 1 && arex_dtype_size(t) <= 16);
    }
    assert_int_equal(arex_dtype_of("float32"), AREX_FLOAT32);
    assert_int_equal(arex_dtype_of("float31"), AREX_NONE);
    assert_string_equal(arex_dtype_name(AREX_COMPLEX128), "complex128");
    assert_null(arex_dtype_name(99));
    assert_int_equal(arex_dtype_size(AREX_INT16), 2);
    assert_int_equal(arex_dtype_size(-1), 0);
    assert_true(arex_dtype_supported(AREX_BOOL));
    assert_false(arex_dtype_supported(99));
    for (int i = 0; i < 4; i++)
        for (int json = 0; json < 2; json++) {
            assert_int_equal(arex_list(lists[i], json, &text), AREX_OK);
            assert_true(strlen(text) > 50);
            assert_true(!json || text[0] == '[' || text[0] == '{');
            arex_free(text);
        }
    assert_int_equal(arex_doctor(context, 0, &text), AREX_OK);
    assert_non_null(strstr(text, "driver"));
    arex_free(text);
}

int run_table_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),
    };
    return cmocka_run_group_tests_name("tables", tests, open_context, close_context);
}
