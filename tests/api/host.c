/* See host.h. Also the two tables that every diagnostic is in: those a test triggers, and those a host cannot trigger. */
#include "host.h"

arex_context *context;

int open_context(void **state)
{
    (void)state;
    return arex_context_new(NULL, &context, NULL) != AREX_OK;
}

int close_context(void **state)
{
    (void)state;
    arex_context_free(context);
    return 0;
}

/* ---- arrays, calls ---- */

arex_array view(int dtype, void *data, int rank, const int64_t *shape)
{
    arex_array a = {.data = data, .dtype = dtype, .rank = rank, .device = -1};
    int64_t stride = (int64_t)arex_dtype_size(dtype);
    for (int d = rank; d-- > 0; stride *= shape[d]) {
        a.shape[d] = shape[d];
        a.strides[d] = stride;
    }
    return a;
}

arex_array vector(int dtype, void *data, int64_t n)
{
    return view(dtype, data, 1, &n);
}

arex_array scalar(int dtype, void *data)
{
    return view(dtype, data, 0, NULL);
}

arex_array weak(int dtype, void *data)
{
    arex_array a = scalar(dtype, data);
    a.flags = AREX_WEAK;
    return a;
}

arex_program *program(const char *source)
{
    arex_program *p = NULL;
    arex_diagnostics *d = NULL;
    if (arex_program_new(context, source, strlen(source), NULL, NULL, &p, &d))
        fail_msg("%s", all_text(d));
    return p;
}

void call_open(struct call *c, const char *source)
{
    memset(c, 0, sizeof *c);
    arex_call_options_init(&c->options);
    c->options.target = AREX_TARGET_CPU;
    c->out.device = -1;
    if (arex_program_new(context, source, strlen(source), "t", NULL, &c->program, &c->diags) != AREX_OK)
        fail_msg("%s: %s", source, all_text(c->diags));
}

arex_status call_run(struct call *c, const arex_array *in, int n)
{
    arex_diagnostics_free(c->diags);
    c->diags = NULL;
    return arex_call(c->program, in, n, &c->out, 1, &c->options, &c->diags);
}

void call_close(struct call *c)
{
    arex_diagnostics_free(c->diags);
    arex_array_free(context, &c->out);
    arex_program_free(c->program);
}

/* ---- every diagnostic has a program or a call that triggers it ---- */

#define DIAG(id, code, severity, title, help) code,
static const char *const all_codes[] = {
#include "diag.def"
};
#undef DIAG
enum { N_CODES = sizeof all_codes / sizeof *all_codes };
static bool triggered[N_CODES];

/* Those that a host cannot bring about with a sound installation, and the test that does (tests/python/test_diagnostics.py reads this). */
static const struct {
    const char *code, *where, *why;
} not_from_here[] = {
    {"AX0503", "backend/test_backend.c", "a fault of the compiler: malformed modules and objects"},
    {"AX0504", "backend/test_backend.c", "a fault of the compiler: malformed objects"},
    {"AX0505", "runtime/test_cpu.c", "a fault of the compiler: code without the entry that is launched"},
    {"AX0507", "backend/test_nvvm.c", "a libNVVM that goes wrong"},
    {"AX0508", "backend/test_nvvm.c", "a fault of the compiler: the printer is given what it has no words for"},
    {"AX0509", "backend/test_backend.c", "a processor that lacks a level"},
    {"AX0607", "runtime/test_cpu.c", "the system refuses memory for code"},
    {"AX0703", "python/test_cli.py", "the library opens no files of arrays: the command does"},
};

static void saw(const char *code)
{
    for (int i = 0; i < N_CODES; i++)
        triggered[i] |= strcmp(all_codes[i], code) == 0;
}

bool has(arex_diagnostics *d, const char *code)
{
    arex_diagnostic one;
    bool found = false;
    for (int i = 0; i < arex_diagnostics_count(d); i++) {
        assert_int_equal(arex_diagnostics_get(d, i, &one), AREX_OK);
        assert_non_null(strstr(arex_diagnostics_text(d, i), one.code));
        found |= strcmp(one.code, code) == 0;
    }
    if (found)
        saw(code);
    return found;
}

const char *all_text(arex_diagnostics *d)
{
    return arex_diagnostics_count(d) ? arex_diagnostics_text(d, -1) : "no diagnostic";
}

void expect_told(arex_status got, arex_status want, arex_diagnostics **d, const char *code)
{
    if (got != want || !has(*d, code))
        fail_msg("status %d, wanted %d with %s: %s", got, want, code, all_text(*d));
    arex_diagnostics_free(*d);
    *d = NULL;
}

static void test_all_codes(void **state)
{
    (void)state;
    for (int i = 0; i < N_CODES; i++) {
        bool excused = false;
        for (size_t k = 0; k < sizeof not_from_here / sizeof *not_from_here; k++)
            excused |= strcmp(not_from_here[k].code, all_codes[i]) == 0;
        if (triggered[i] == excused)
            fail_msg("%s %s", all_codes[i], excused ? "is triggered after all" : "is triggered by no test");
    }
}

static void test_excuses_are_of_the_table(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof not_from_here / sizeof *not_from_here; k++) {
        bool known = false;
        for (int i = 0; i < N_CODES; i++)
            known |= strcmp(not_from_here[k].code, all_codes[i]) == 0;
        assert_true(known && strchr(not_from_here[k].where, '/') && strlen(not_from_here[k].why) > 10);
    }
}

int run_code_tests(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_codes), cmocka_unit_test(test_excuses_are_of_the_table)};
    return cmocka_run_group_tests_name("codes", tests, NULL, NULL);
}
