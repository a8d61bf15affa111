/* arex_emit: stages, targets, architectures, and types of inputs as a text. */
#include "host.h"

static void test_stages(void **state)
{
    static const struct {
        const char *stage;
        int target;
        const char *arch, *has;
    } good[] = {
        {"ast", AREX_TARGET_CPU, NULL, "(call sum"}, {"ir", AREX_TARGET_CPU, NULL, "sum"}, {"loop", AREX_TARGET_CPU, NULL, "lanes"}, {"plan", AREX_TARGET_CPU, NULL, "nest"},
        {"llvm", AREX_TARGET_CPU, NULL, "define void @n0_main"}, {"opt", AREX_TARGET_CPU, NULL, "define"}, {"asm", AREX_TARGET_CPU, "x86-64-v3", "n0_main"},
        {"asm", AREX_TARGET_CPU, "x86-64", "n0_main"}, {"asm", AREX_TARGET_CPU, "x86-64-v4", "zmm"},
        {"ast", AREX_TARGET_CUDA, NULL, "(call sum"}, {"ir", AREX_TARGET_CUDA, NULL, "sum"}, {"loop", AREX_TARGET_CUDA, NULL, "lanes"}, {"plan", AREX_TARGET_CUDA, NULL, "nest"},
        {"llvm", AREX_TARGET_CUDA, "sm_90", "ptx_kernel"}, {"opt", AREX_TARGET_CUDA, "sm_90", "ptx_kernel"}, {"ptx", AREX_TARGET_CUDA, "sm_75", ".target sm_75"},
        {"ptx", AREX_TARGET_CPU, "sm_120", ".target sm_120"}, {"ptx", AREX_TARGET_AUTO, NULL, ".visible .entry"}, {"ir", AREX_TARGET_AUTO, NULL, "sum"},
    };
    arex_program *p;
    arex_diagnostics *d = NULL;
    char *text = NULL;
    (void)state;
    assert_int_equal(arex_program_new(context, "sum(x*x)", 8, NULL, NULL, &p, NULL), AREX_OK);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        arex_status s = arex_emit(p, good[i].stage, good[i].target, good[i].arch, "x=float32[:]", &text, &d);
        if (s != AREX_OK || !strstr(text, good[i].has))
            fail_msg("%s: %s", good[i].stage, s == AREX_OK ? text : all_text(d));
        arex_free(text);
    }
    static const struct {
        const char *stage;
        int target;
        const char *arch, *code;
    } bad[] = {
        {"nonsense", AREX_TARGET_CPU, NULL, "AX0702"}, {"", AREX_TARGET_CPU, NULL, "AX0702"}, {"sass", AREX_TARGET_CUDA, NULL, "AX0702"},
        {"asm", AREX_TARGET_CUDA, NULL, "AX0702"}, {"asm", AREX_TARGET_CPU, "pdp11", "AX0502"}, {"asm", AREX_TARGET_CPU, "sm_90", "AX0502"},
        {"ptx", AREX_TARGET_CUDA, "sm_9", "AX0502"}, {"ptx", AREX_TARGET_CUDA, "x86-64-v3", "AX0502"}, {"ptx", AREX_TARGET_CUDA, "sm_99999999999999999999", "AX0502"},
        {"ir", AREX_TARGET_REFERENCE, NULL, "AX0701"}, {"ir", 17, NULL, "AX0701"}, {"ir", -1, NULL, "AX0701"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        text = (char *)"untouched";
        arex_status s = arex_emit(p, bad[i].stage, bad[i].target, bad[i].arch, "x=float32[:]", &text, &d);
        if (s != AREX_ERROR_USAGE)
            fail_msg("%s %d %s: status %d", bad[i].stage, bad[i].target, bad[i].arch ? bad[i].arch : "", s);
        assert_null(text);
        expect_told(s, AREX_ERROR_USAGE, &d, bad[i].code);
    }
    arex_program_free(p);
}

/* The types of inputs as a text: what can be written, and what is refused without harm. */
static void test_types_of_stages(void **state)
{
    static const struct {
        const char *types, *has;
    } good[] = {
        {NULL, "float64"}, {"", "float64"}, {"x=float32", "float32"}, {"x=int8[:]", "int8"}, {" x = float16[:,:,:] ", "float16"}, {"x=float32[:,:,:,:,:,:,:,:],", "float32"},
    };
    static const struct {
        const char *types, *code;
        arex_status status;
    } bad[] = {
        {"x", "AX0701", AREX_ERROR_USAGE}, {"x=", "AX0701", AREX_ERROR_USAGE}, {"=float32", "AX0701", AREX_ERROR_USAGE}, {"x=float99[:]", "AX0701", AREX_ERROR_USAGE},
        {"x=float32[", "AX0701", AREX_ERROR_USAGE}, {"x=float32[:,:", "AX0701", AREX_ERROR_USAGE}, {"x=float32]", "AX0701", AREX_ERROR_USAGE},
        {"x=float32[:] y", "AX0701", AREX_ERROR_USAGE}, {"x=float32[hello]", "AX0701", AREX_ERROR_USAGE}, {"\xff", "AX0701", AREX_ERROR_USAGE},
        {"x=float32[:,:,:,:,:,:,:,:,:]", "AX0701", AREX_ERROR_USAGE}, {"q=float32", "AX0305", AREX_ERROR_PROGRAM},
    };
    char many[600] = "x=float32[";
    arex_program *p;
    arex_diagnostics *d = NULL;
    char *text = NULL;
    (void)state;
    assert_int_equal(arex_program_new(context, "x*x", 3, NULL, NULL, &p, NULL), AREX_OK);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        arex_status s = arex_emit(p, "ir", AREX_TARGET_CPU, NULL, good[i].types, &text, &d);
        if (s != AREX_OK || !strstr(text, good[i].has))
            fail_msg("%s: %s", good[i].types, s == AREX_OK ? text : all_text(d));
        arex_free(text);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        arex_status s = arex_emit(p, "ir", AREX_TARGET_CPU, NULL, bad[i].types, &text, &d);
        if (s != bad[i].status)
            fail_msg("%s: status %d: %s", bad[i].types, s, s ? all_text(d) : text);
        expect_told(s, bad[i].status, &d, bad[i].code);
    }
    for (int i = 0; i < 256; i++) /* 257 axes: no small number holds them */
        strcat(many, ":,");
    strcat(many, ":]");
    expect_told(arex_emit(p, "ir", AREX_TARGET_CPU, NULL, many, &text, &d), AREX_ERROR_USAGE, &d, "AX0701");
    arex_program_free(p);
}

int run_stage_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stages), cmocka_unit_test(test_types_of_stages),
    };
    return cmocka_run_group_tests_name("stages", tests, open_context, close_context);
}
