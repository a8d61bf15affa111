/* Programs: what is wrong with a text and where, limits of what one may take, warnings. */
#include "host.h"

/* Fails at parsing, with inputs x, y, ... float64[2], or at the call; `at` is where: the text from byte `begin` on. */
static const struct {
    const char *code, *source;
    size_t begin;
    const char *at;
} programs[] = {
    {"AX0101", "a b", 2, "b"},
    {"AX0102", "a ? b", 2, "?"},
    {"AX0103", "1__0", 0, "1__0"},
    {"AX0104", "99999999999999999999", 0, "99999999999999999999"},
    {"AX0105", "sum(x", 3, "("},
    {"AX0106", "1 +", 3, ""},
    {"AX0107", "1 + \xff", 4, "\xff"},
    {"AX0201", "def f(a) = a\nx + f", 17, "f"},
    {"AX0202", "1 + sinn(x)", 4, "sinn"},
    {"AX0203", "x & 1", 0, "x & 1"},
    {"AX0204", "astype(x, 3)", 10, "3"},
    {"AX0205", "def f(a, a) = a\nf(x, x)", 9, "a"},
    {"AX0206", "param x: float64[n]\nparam x: float64[n]\nx", 20, "param x: float64[n]"},
    {"AX0207", "def f(a) = f(a)\nf(x)", 11, "f"},
    {"AX0208", "sqrt(x, x)", 0, "sqrt(x, x)"},
    {"AX0209", "sum(x, axes=0)", 7, "axes=0"},
    {"AX0210", "sum(x, axis=0, axis=0)", 15, "axis=0"},
    {"AX0211", "sum(x, axis=y)", 7, "axis=y"},
    {"AX0212", "sum(x, 1)", 7, "1"},
    {"AX0213", "sum(x, (0, -1))", 11, "-1"},
    {"AX0214", "int32(x) + 3000000000", 11, "3000000000"},
    {"AX0215", "param x: float64[a, b, c, d, e, f, g, h, i]\nx", 0, "param x: float64[a, b, c, d, e, f, g, h, i]"},
    {"AX0216", "param x: float64[n]", 0, "param x: float64[n]"},
    {"AX0217", "while x { }", 0, "while x { }"},
    {"AX0219", "def f(x) { for i in range(3) { x += sum(x) }; return x }; f(x)", 36, "sum(x)"},
    {"AX0310", "1 + int64(x) ** int64(-y)", 4, "int64(x) ** int64(-y)"},
};

static arex_status run_program(const char *source, const arex_compile_options *options, arex_diagnostics **d)
{
    double data[2] = {1, 2};
    arex_array in[8], out[8] = {0};
    arex_program *p = NULL;
    arex_status s = arex_program_new(context, source, strlen(source), NULL, options, &p, d);
    if (s != AREX_OK)
        return s;
    for (int i = 0; i < arex_program_inputs(p); i++)
        in[i] = vector(AREX_FLOAT64, data, 2);
    for (int i = 0; i < arex_program_outputs(p); i++)
        out[i].device = -1;
    arex_call_options call;
    arex_call_options_init(&call);
    call.target = AREX_TARGET_CPU;
    arex_diagnostics_free(*d);
    s = arex_call(p, in, arex_program_inputs(p), out, arex_program_outputs(p), &call, d);
    for (int i = 0; i < arex_program_outputs(p); i++)
        arex_array_free(context, &out[i]);
    arex_program_free(p);
    return s;
}

/* The first error lies where the table says, and its line and column agree. */
static void expect_place(arex_diagnostics *d, size_t i)
{
    const char *source = programs[i].source;
    int32_t line = 1, column = 1;
    arex_diagnostic one;
    assert_int_equal(arex_diagnostics_get(d, 0, &one), AREX_OK);
    assert_int_equal(one.severity, 0);
    assert_string_equal(one.code, programs[i].code);
    if (one.begin != programs[i].begin || one.end - one.begin != strlen(programs[i].at) || memcmp(source + one.begin, programs[i].at, one.end - one.begin))
        fail_msg("%s: %s at %zu to %zu", source, one.code, one.begin, one.end);
    for (size_t k = 0; k < one.begin; k++) {
        column = source[k] == '\n' ? 1 : column + 1;
        line += source[k] == '\n';
    }
    assert_int_equal(one.line, line);
    assert_int_equal(one.column, column);
    assert_non_null(strstr(arex_diagnostics_text(d, 0), one.message));
}

static void test_bad_programs(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        arex_diagnostics *d = NULL;
        arex_status s = run_program(programs[i].source, NULL, &d);
        if (s != AREX_ERROR_PROGRAM || !has(d, programs[i].code))
            fail_msg("%s: status %d, expected %s: %s", programs[i].source, s, programs[i].code, all_text(d));
        expect_place(d, i);
        arex_diagnostics_free(d);
    }
}

static void test_limits(void **state)
{
    arex_compile_options o;
    (void)state;
    static const struct {
        const char *code, *source;
        uint32_t source_bytes, nesting, nodes, kernels;
        uint64_t memory;
        uint32_t rounds;
    } cases[] = {
        {"AX0401", "x + x + x", 5, 0, 0, 0, 0}, {"AX0402", "-(-(-(-(-(-x)))))", 0, 3, 0, 0, 0}, {"AX0403", "x + y*x - y", 0, 0, 3, 0, 0},
        {"AX0314", "def f(v) { while True { v += 1 }; return v }; f(x)", 0, 0, 0, 0, 0, 100},
        {"AX0405", "x / sum(x) + y / max(y - min(y))", 0, 0, 0, 1, 0}, {"AX0407", "x + x", 0, 0, 0, 0, 2000},
        {"AX0403", "def a(v) = v*v+v\ndef b(v) = a(a(a(a(a(v)))))\nb(b(b(b(b(x)))))", 0, 0, 40, 0, 0}, /* of what calls become */
        {"AX0404", "def a(v) = v+v\ndef b(v) = a(a(a(a(a(a(a(a(a(a(v))))))))))\ndef c(v) = b(b(b(b(b(b(b(b(b(b(v))))))))))\n"
                   "def d(v) = c(c(c(c(c(c(c(c(c(c(v))))))))))\ndef e(v) = d(d(d(d(d(d(d(d(d(d(v))))))))))\ne(e(e(e(e(e(e(e(e(e(x))))))))))", 0, 0, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        arex_diagnostics *d = NULL;
        arex_compile_options_init(&o);
        o.max_source = cases[i].source_bytes;
        o.max_nesting = cases[i].nesting;
        o.max_nodes = cases[i].nodes;
        o.max_kernels = cases[i].kernels;
        o.max_memory = cases[i].memory;
        o.max_rounds = cases[i].rounds;
        arex_status s = run_program(cases[i].source, &o, &d);
        if (s == AREX_OK || !has(d, cases[i].code))
            fail_msg("%s: status %d, expected %s: %s", cases[i].source, s, cases[i].code, all_text(d));
        arex_diagnostics_free(d);
    }
}

/* Each stage that may be long counts what it does. */
static void test_work(void **state)
{
    static const struct {
        const char *source, *says;
        uint32_t work;
    } cases[] = {{"sin(x)", "takes more work than", 3}, {"a = sin(x) / cumsum(x)\nb = a / cumsum(a)\nb / cumsum(b)", "operations in", 250}, {"x % 3 // 5", "units, and the limit", 100}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        arex_diagnostics *d = NULL;
        arex_compile_options o;
        arex_compile_options_init(&o);
        o.max_work = cases[i].work;
        arex_status s = run_program(cases[i].source, &o, &d);
        if (s == AREX_OK || !has(d, "AX0411") || !strstr(all_text(d), cases[i].says))
            fail_msg("%s: status %d: %s", cases[i].source, s, all_text(d));
        arex_diagnostics_free(d);
        o.max_work = 5000;
        assert_int_equal(run_program(cases[i].source, &o, &d), AREX_OK);
        arex_diagnostics_free(d);
    }
}

/* All stages but code generation, for inputs float64[2]. */
static arex_status type_program(const char *source, const arex_compile_options *options, arex_diagnostics **d)
{
    arex_array in[8], out[8];
    arex_program *p = NULL;
    arex_status s = arex_program_new(context, source, strlen(source), NULL, options, &p, d);
    for (int i = 0; i < arex_program_inputs(p); i++)
        in[i] = vector(AREX_FLOAT64, NULL, 2);
    if (s == AREX_OK)
        s = arex_infer(p, in, arex_program_inputs(p), out, arex_program_outputs(p), d);
    arex_program_free(p);
    return s;
}

/* However little a program is given, it is told so or works: never another error, never a fault. */
static void test_tight_limits(void **state)
{
    static const char source[] = "def f(a, by=2) = exp(a) * by\ny = f(x) / sum(x)\nreturn y, std(y), max(sin(x))";
    int refused = 0, worked = 0;
    (void)state;
    for (int kind = 0; kind < 4; kind++)
        for (uint32_t limit = 1; limit < 3000000; limit += limit / (kind == 0 ? 16 : 4) + 1) {
            arex_compile_options o;
            arex_diagnostics *d = NULL;
            arex_diagnostic one;
            arex_compile_options_init(&o);
            *(kind == 0 ? &o.max_nodes : kind == 1 ? &o.max_nesting : kind == 2 ? &o.max_kernels : &o.max_source) = kind == 0 ? 0 : limit;
            o.max_memory = kind == 0 ? limit : 0;
            arex_status s = type_program(source, &o, &d);
            worked += s == AREX_OK;
            refused += s != AREX_OK;
            if (s != AREX_OK && (arex_diagnostics_get(d, 0, &one) != AREX_OK || s != AREX_ERROR_PROGRAM || strncmp(one.code, "AX040", 5)))
                fail_msg("limit %d of %u: status %d: %s", kind, limit, s, all_text(d));
            arex_diagnostics_free(d);
        }
    assert_true(refused > 20 && worked > 20);
}

/* Limits raised as far as they go: nesting of all kinds ends in an answer or an error, never in the end of the stack. */
static void test_raised_limits(void **state)
{
    static const struct {
        const char *open, *middle, *close;
    } kinds[] = {{"-", "x", ""}, {"(", "x", ")"}, {"abs(", "x", ")"}, {"1+(", "x", ")"}, {"x**", "x", ""}, {"x[", "0", "]"}, {"not ", "x", ""}};
    enum { DEPTH = 59000 };
    char *source = malloc(8 * DEPTH);
    int worked = 0;
    arex_compile_options o;
    (void)state;
    arex_compile_options_init(&o);
    o.max_nesting = o.max_nodes = o.max_source = UINT32_MAX;
    o.max_memory = UINT64_MAX;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (int depth = DEPTH; depth > 100; depth /= 4) {
            arex_diagnostics *d = NULL;
            char *at = source;
            for (int i = 0; i < depth; i++)
                at = stpcpy(at, kinds[k].open);
            at = stpcpy(at, kinds[k].middle);
            for (int i = 0; i < depth; i++)
                at = stpcpy(at, kinds[k].close);
            arex_program *p = NULL;
            char *text = NULL;
            arex_status s = arex_program_new(context, source, strlen(source), NULL, &o, &p, &d);
            if (s == AREX_OK)
                s = arex_emit(p, "plan", AREX_TARGET_CPU, NULL, NULL, &text, &d);
            assert_true(s == AREX_OK || s == AREX_ERROR_PROGRAM);
            worked += s == AREX_OK;
            arex_diagnostics_free(d);
            arex_free(text);
            arex_program_free(p);
        }
    free(source);
    assert_true(worked > 0);
}

/* Hundreds of arrays in one kernel are more than the arguments of a launch hold. */
static void test_many_arrays(void **state)
{
    enum { N = 400 };
    char source[N * 8] = "a0", *at = source + 2;
    static double data[2];
    static arex_array in[N];
    arex_array out = {.device = -1};
    arex_program *p;
    arex_diagnostics *d = NULL;
    (void)state;
    for (int i = 1; i < N; i++)
        at += sprintf(at, "+a%d", i);
    assert_int_equal(arex_program_new(context, source, strlen(source), NULL, NULL, &p, NULL), AREX_OK);
    for (int i = 0; i < N; i++)
        in[i] = vector(AREX_FLOAT64, data, 2);
    assert_int_equal(arex_call(p, in, N, &out, 1, NULL, &d), AREX_ERROR_PROGRAM);
    assert_true(has(d, "AX0406"));
    arex_diagnostics_free(d);
    arex_program_free(p);
}

/* A warning comes with success. */
static void test_warning(void **state)
{
    static const char source[] = "param x: float64[n]\nparam gain: float64\nx*2";
    arex_program *p;
    arex_diagnostics *d = NULL;
    arex_diagnostic one;
    (void)state;
    assert_int_equal(arex_program_new(context, source, strlen(source), NULL, NULL, &p, &d), AREX_OK);
    assert_true(has(d, "AX0218"));
    assert_int_equal(arex_diagnostics_get(d, 0, &one), AREX_OK);
    assert_int_equal(one.severity, 1);
    assert_int_equal(one.line, 2);
    assert_int_equal(one.end - one.begin, strlen("param gain: float64"));
    arex_diagnostics_free(d);
    arex_program_free(p);
}

int run_program_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_programs), cmocka_unit_test(test_limits), cmocka_unit_test(test_work), cmocka_unit_test(test_tight_limits),
        cmocka_unit_test(test_raised_limits), cmocka_unit_test(test_many_arrays), cmocka_unit_test(test_warning),
    };
    return cmocka_run_group_tests_name("programs", tests, open_context, close_context);
}
