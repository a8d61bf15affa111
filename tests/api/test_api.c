/* What programs, calls and their diagnostics do: codes and places, limits, stages, views, overlap, threads, a fork. */
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
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

/* ---- calls ---- */

static void expect_refused(const char *source, const arex_array *in, int n, arex_status status, const char *code)
{
    struct call c;
    call_open(&c, source);
    arex_status s = call_run(&c, in, n);
    if (s != status || !has(c.diags, code))
        fail_msg("%s: status %d, expected %s: %s", source, s, code, all_text(c.diags));
    assert_null(c.out.data);
    call_close(&c);
}

static void test_bad_calls(void **state)
{
    double data[6] = {1, 2, 3, 4, 5, 6};
    int64_t three = 300000000000;
    const int64_t two_by_three[] = {2, 3};
    arex_array x = vector(AREX_FLOAT64, data, 3), y = vector(AREX_FLOAT64, data, 2), m = view(AREX_FLOAT64, data, 2, two_by_three), none = vector(AREX_FLOAT64, data, 0);
    arex_array bad = x, small[] = {vector(AREX_INT32, data, 3), weak(AREX_INT64, &three)};
    (void)state;
    expect_refused("x + y", (arex_array[]){x, y}, 2, AREX_ERROR_PROGRAM, "AX0301");
    expect_refused("param x: float64[n]\nparam y: float64[n]\nx + y", (arex_array[]){x, y}, 2, AREX_ERROR_PROGRAM, "AX0302");
    expect_refused("zeros(2305843009213693953) + x", &x, 1, AREX_ERROR_PROGRAM, "AX0301");
    expect_refused("zeros(2305843009213693953)*x[0]", &x, 1, AREX_ERROR_PROGRAM, "AX0313"); /* 8 bytes, should the size wrap */
    expect_refused("sum(zeros((4294967296, 4294967297)), 0) + x[0]", &x, 1, AREX_ERROR_PROGRAM, "AX0313");
    expect_refused("x[3]", &x, 1, AREX_ERROR_PROGRAM, "AX0312");
    expect_refused("max(x)", &none, 1, AREX_ERROR_PROGRAM, "AX0303");
    expect_refused("x + y", &x, 1, AREX_ERROR_PROGRAM, "AX0304");
    expect_refused("x", (arex_array[]){x, y}, 2, AREX_ERROR_PROGRAM, "AX0305");
    expect_refused("param x: float32[n]\nx", &x, 1, AREX_ERROR_PROGRAM, "AX0306");
    expect_refused("param x: float64[n]\nx", &m, 1, AREX_ERROR_PROGRAM, "AX0307");
    expect_refused("x + y", small, 2, AREX_ERROR_PROGRAM, "AX0311");
    bad.data = NULL;
    expect_refused("x", &bad, 1, AREX_ERROR_PROGRAM, "AX0308");
    bad = x, bad.dtype = 99;
    expect_refused("x", &bad, 1, AREX_ERROR_PROGRAM, "AX0308");
    bad = x, bad.rank = 9;
    expect_refused("x", &bad, 1, AREX_ERROR_PROGRAM, "AX0308");
    bad = x, bad.rank = -1;
    expect_refused("x", &bad, 1, AREX_ERROR_PROGRAM, "AX0308");
    bad = x, bad.shape[0] = -1;
    expect_refused("x", &bad, 1, AREX_ERROR_PROGRAM, "AX0308");
    bad = x, bad.data = (char *)data + 1; /* no address of a double */
    expect_refused("x", &bad, 1, AREX_ERROR_PROGRAM, "AX0308");
    bad = x, bad.flags = 2;
    expect_refused("x", &bad, 1, AREX_ERROR_PROGRAM, "AX0308");
    bad = m, bad.shape[0] = bad.shape[1] = INT64_MAX / 2; /* bytes do not fit 64 bits */
    expect_refused("x", &bad, 1, AREX_ERROR_PROGRAM, "AX0308");
}

static void test_bad_outputs(void **state)
{
    double data[3] = {1, 2, 3}, room[3];
    struct call c;
    arex_array x = vector(AREX_FLOAT64, data, 3);
    (void)state;
    call_open(&c, "x*x");
    for (int k = 0; k < 3; k++) {
        c.out = vector(k == 0 ? AREX_FLOAT32 : AREX_FLOAT64, room, k == 1 ? 2 : 3);
        c.out.strides[0] = k == 2 ? 0 : c.out.strides[0]; /* elements on top of each other */
        assert_int_equal(call_run(&c, &x, 1), AREX_ERROR_PROGRAM);
        assert_true(has(c.diags, "AX0309"));
    }
    x.shape[0] = 0; /* nothing lies on nothing */
    c.out = vector(AREX_FLOAT64, room, 0), c.out.strides[0] = 0;
    assert_int_equal(call_run(&c, &x, 1), AREX_OK);
    c.out = (arex_array){0};
    call_close(&c);
}

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

/* Without its code generator the library still says so, and evaluates. */
static void test_no_llvm(void **state)
{
    arex_context_options o;
    arex_context *alone, *shared = context;
    arex_diagnostics *d = NULL;
    double data[2] = {3, 4};
    struct call c;
    arex_array x = vector(AREX_FLOAT64, data, 2);
    (void)state;
    arex_context_options_init(&o);
    o.llvm_library = "/nowhere/libarex-llvm.so";
    assert_int_equal(arex_context_new(&o, &alone, &d), AREX_OK);
    context = alone;
    call_open(&c, "sum(x*x)");
    assert_int_equal(call_run(&c, &x, 1), AREX_ERROR_MACHINE);
    assert_true(has(c.diags, "AX0501"));
    c.options.target = AREX_TARGET_REFERENCE;
    assert_int_equal(call_run(&c, &x, 1), AREX_OK);
    assert_true(*(double *)c.out.data == 25);
    call_close(&c);
    context = shared;
    arex_context_free(alone);
    arex_diagnostics_free(d);
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

/* ---- views ---- */

static void expect_sum(arex_array a, double sum)
{
    struct call c;
    call_open(&c, "sum(x)");
    if (call_run(&c, &a, 1) != AREX_OK)
        fail_msg("%s", all_text(c.diags));
    assert_true(*(double *)c.out.data == sum);
    call_close(&c);
}

static void test_views(void **state)
{
    double data[24];
    const int64_t ones[] = {1, 1, 1, 2, 1, 3, 1, 4}, rows[] = {4, 6};
    arex_array a;
    (void)state;
    for (int i = 0; i < 24; i++)
        data[i] = i;
    expect_sum(vector(AREX_FLOAT64, data, 24), 276);
    expect_sum(view(AREX_FLOAT64, data, 8, ones), 276);
    expect_sum(scalar(AREX_FLOAT64, data + 5), 5);
    expect_sum(vector(AREX_FLOAT64, NULL, 0), 0);
    a = vector(AREX_FLOAT64, data + 23, 24), a.strides[0] = -8; /* reversed */
    expect_sum(a, 276);
    a = vector(AREX_FLOAT64, data + 1, 8), a.strides[0] = 24; /* each third */
    expect_sum(a, 92);
    a = vector(AREX_FLOAT64, data + 2, 1000), a.strides[0] = 0; /* one, many times */
    expect_sum(a, 2000);
    a = view(AREX_FLOAT64, data, 2, rows), a.strides[0] = 8, a.strides[1] = 32; /* transposed */
    expect_sum(a, 276);
}

/* Bytes of bools that are neither 0 nor 1 are true, whoever computes, in an array and alone. */
static void test_bools(void **state)
{
    static const int targets[] = {AREX_TARGET_CPU, AREX_TARGET_REFERENCE};
    uint8_t data[100];
    struct call c;
    (void)state;
    for (int i = 0; i < 100; i++)
        data[i] = (uint8_t)(i % 4 * 2);
    for (int t = 0; t < 2; t++) {
        static const char *const sources[] = {"sum(x)", "count_nonzero(x)", "sum(int64(x))", "sum(where(x, 1, 0))", "sum(x & x)", "sum(x == True)"};
        for (int k = 0; k < 6; k++) {
            arex_array x = vector(AREX_BOOL, data, 100), one = scalar(AREX_BOOL, data + 2);
            call_open(&c, sources[k]);
            c.options.target = targets[t];
            assert_int_equal(call_run(&c, &x, 1), AREX_OK);
            if (*(int64_t *)c.out.data != 75)
                fail_msg("%s on target %d: %lld", sources[k], targets[t], (long long)*(int64_t *)c.out.data);
            arex_array_free(context, &c.out);
            assert_int_equal(call_run(&c, &one, 1), AREX_OK);
            if (*(int64_t *)c.out.data != 1)
                fail_msg("%s of one on target %d: %lld", sources[k], targets[t], (long long)*(int64_t *)c.out.data);
            call_close(&c);
        }
        call_open(&c, "not x");
        c.options.target = targets[t];
        arex_array x = vector(AREX_BOOL, data, 100);
        assert_int_equal(call_run(&c, &x, 1), AREX_OK);
        for (int i = 0; i < 100; i++)
            assert_int_equal(((uint8_t *)c.out.data)[i], i % 4 == 0);
        call_close(&c);
    }
}

/* The answer as if the output did not overlap the input: in place, shifted either way, reversed. */
static void test_overlap(void **state)
{
    enum { N = 10000 };
    static double data[N + 8];
    struct call c;
    (void)state;
    call_open(&c, "2*x + 1");
    for (int shift = -3; shift <= 3; shift++)
        for (int reversed = 0; reversed < 2; reversed++) {
            double *to = data + 4 + shift;
            arex_array x = vector(AREX_FLOAT64, data + 4, N);
            if (reversed)
                x = vector(AREX_FLOAT64, data + 4 + N - 1, N), x.strides[0] = -8;
            for (int i = 0; i < N + 8; i++)
                data[i] = i - 4;
            c.out = vector(AREX_FLOAT64, to, N);
            if (call_run(&c, &x, 1) != AREX_OK)
                fail_msg("%s", all_text(c.diags));
            for (int i = 0; i < N; i++)
                assert_true(to[i] == 2 * (reversed ? N - 1 - i : i) + 1);
        }
    c.out = (arex_array){0};
    call_close(&c);
}

static void diffuse(double *u, int n, int rounds)
{
    double old[64];
    for (int k = 0; k < rounds; k++) {
        memcpy(old, u, (size_t)n * sizeof *u);
        for (int i = 1; i < n - 1; i++)
            u[i] = 0.5 * (old[i - 1] + old[i + 1]);
        for (int j = 0; j < k; j++)
            u[0] += j;
    }
}

/* Loops over arrays, onto their own input and not, from several threads' worth of work down to no element; and complex values through a loop. */
static void test_steps(void **state)
{
    static const int targets[] = {AREX_TARGET_CPU, AREX_TARGET_REFERENCE};
    struct call c;
    (void)state;
    for (int t = 0; t < 2; t++)
        for (int n = 0; n <= 64; n += n < 5 ? 1 : 59)
            for (int64_t rounds = 0; rounds < 5; rounds++) {
                double u[64], want[64];
                arex_array in[2];
                for (int i = 0; i < 64; i++)
                    want[i] = u[i] = (i * 37 % 64) - 31.5;
                if (n)
                    diffuse(want, n, (int)rounds);
                call_open(&c, n ? "for k in range(r) { u[1:-1] = 0.5*(u[:-2] + u[2:])\nfor j in range(k) { u[0] += j } }\nreturn u"
                                : "for k in range(r) { u[1:-1] = 0.5*(u[:-2] + u[2:]) }\nreturn u");
                c.options.target = targets[t];
                for (int k = 0; k < 2; k++) { /* the inputs in the order in which the text meets them */
                    bool count = strcmp(arex_program_input(c.program, k), "r") == 0;
                    in[k] = count ? weak(AREX_INT64, &rounds) : vector(AREX_FLOAT64, u, n);
                    if (!count)
                        c.out = in[k];
                }
                if (call_run(&c, in, 2) != AREX_OK)
                    fail_msg("%s", all_text(c.diags));
                assert_memory_equal(u, want, sizeof u);
                c.out = (arex_array){0};
                call_close(&c);
            }
    float z[2] = {1, 2};
    call_open(&c, "for k in range(3) { z = z * 1j + 1 }\nreturn z");
    arex_array one = vector(AREX_COMPLEX64, z, 1);
    c.out = one;
    assert_int_equal(call_run(&c, &one, 1), AREX_OK);
    assert_true(z[0] == 2 && z[1] == 0);
    c.out = (arex_array){0};
    call_close(&c);
}

/* Transposed and reversed onto itself; a sum into its own input; two outputs into one input. */
static void test_overlap_of_axes(void **state)
{
    enum { ROWS = 67 };
    static double data[ROWS * ROWS];
    static const int targets[] = {AREX_TARGET_CPU, AREX_TARGET_REFERENCE};
    const int64_t square[] = {ROWS, ROWS};
    struct call c;
    (void)state;
    for (int t = 0; t < 2; t++) {
        arex_array x = view(AREX_FLOAT64, data, 2, square);
        for (int i = 0; i < ROWS * ROWS; i++)
            data[i] = i;
        call_open(&c, "x + 1");
        c.options.target = targets[t];
        c.out = x, c.out.strides[0] = x.strides[1], c.out.strides[1] = x.strides[0];
        assert_int_equal(call_run(&c, &x, 1), AREX_OK);
        for (int i = 0; i < ROWS; i++)
            for (int j = 0; j < ROWS; j++)
                assert_true(data[j * ROWS + i] == i * ROWS + j + 1);
        x = vector(AREX_FLOAT64, data, 2000), c.out = vector(AREX_FLOAT64, data + 1999, 2000), c.out.strides[0] = -8;
        for (int i = 0; i < 2000; i++)
            data[i] = i;
        assert_int_equal(call_run(&c, &x, 1), AREX_OK);
        for (int i = 0; i < 2000; i++)
            assert_true(data[1999 - i] == i + 1);
        c.out = (arex_array){0};
        call_close(&c);
        call_open(&c, "sum(x)");
        c.options.target = targets[t];
        for (int i = 0; i < 2000; i++)
            data[i] = 1;
        c.out = scalar(AREX_FLOAT64, data + 1000);
        assert_int_equal(call_run(&c, &x, 1), AREX_OK);
        assert_true(data[1000] == 2000 && data[999] == 1);
        c.out = (arex_array){0};
        call_close(&c);
    }
}

static void test_outputs(void **state)
{
    static const char source[] = "a = x + 1\nb = sum(x)\nreturn a, b, x*0.5";
    double data[5] = {1, 2, 3, 4, 5}, room[10] = {0};
    arex_array x = vector(AREX_FLOAT64, data, 5), out[3] = {{.device = -1}, {.device = -1}, {.device = -1}}, shapes[3];
    arex_program *p;
    (void)state;
    assert_int_equal(arex_program_new(context, source, strlen(source), NULL, NULL, &p, NULL), AREX_OK);
    assert_int_equal(arex_program_outputs(p), 3);
    assert_string_equal(arex_program_output(p, 0), "a");
    assert_string_equal(arex_program_output(p, 1), "b");
    assert_string_equal(arex_program_output(p, 2), "");
    assert_int_equal(arex_infer(p, &x, 1, shapes, 3, NULL), AREX_OK);
    assert_int_equal(shapes[0].rank, 1);
    assert_int_equal(shapes[0].shape[0], 5);
    assert_int_equal(shapes[1].rank, 0);
    assert_null(shapes[0].data);
    out[0] = vector(AREX_FLOAT64, room, 5), out[0].strides[0] = 16; /* ours, every second place */
    assert_int_equal(arex_call(p, &x, 1, out, 3, NULL, NULL), AREX_OK);
    for (int i = 0; i < 5; i++)
        assert_true(room[2 * i] == i + 2 && room[2 * i + 1] == 0 && ((double *)out[2].data)[i] == 0.5 * (i + 1));
    assert_true(*(double *)out[1].data == 15);
    arex_array_free(context, &out[1]);
    arex_array_free(context, &out[2]);
    assert_null(out[2].data);
    arex_program_free(p);
}

static void test_weak_scalars(void **state)
{
    float data[2] = {1, 2};
    double by = 2.5;
    int64_t n = 3;
    struct call c;
    (void)state;
    call_open(&c, "x*a");
    assert_int_equal(call_run(&c, (arex_array[]){vector(AREX_FLOAT32, data, 2), weak(AREX_FLOAT64, &by)}, 2), AREX_OK);
    assert_int_equal(c.out.dtype, AREX_FLOAT32);
    assert_true(((float *)c.out.data)[1] == 5);
    arex_array_free(context, &c.out);
    assert_int_equal(call_run(&c, (arex_array[]){vector(AREX_FLOAT32, data, 2), weak(AREX_INT64, &n)}, 2), AREX_OK);
    assert_int_equal(c.out.dtype, AREX_FLOAT32);
    arex_array_free(context, &c.out);
    assert_int_equal(call_run(&c, (arex_array[]){vector(AREX_FLOAT32, data, 2), scalar(AREX_FLOAT64, &by)}, 2), AREX_OK);
    assert_int_equal(c.out.dtype, AREX_FLOAT64);
    call_close(&c);
}

static void test_faults(void **state)
{
    int32_t a[2] = {7, 8}, b[2] = {2, 0};
    uint32_t faults = 0;
    struct call c;
    (void)state;
    call_open(&c, "x // y");
    c.options.faults = &faults;
    assert_int_equal(call_run(&c, (arex_array[]){vector(AREX_INT32, a, 2), vector(AREX_INT32, b, 2)}, 2), AREX_OK);
    assert_int_equal(faults, AREX_FAULT_DIVIDE);
    assert_int_equal(((int32_t *)c.out.data)[0], 3);
    assert_int_equal(((int32_t *)c.out.data)[1], 0);
    call_close(&c);
}

/* Extents, values of scalars and places in memory never compile again; a new dtype does. */
static void test_compilations(void **state)
{
    static double data[3000];
    struct call c;
    arex_stats s = {.size = sizeof s};
    (void)state;
    call_open(&c, "x*a + 1");
    for (int64_t n = 0; n < 3000; n += 371)
        for (int k = 0; k < 3; k++) {
            double by = (double)n;
            if (call_run(&c, (arex_array[]){vector(AREX_FLOAT64, data + (n > 2999 - k ? 0 : k), n), weak(AREX_FLOAT64, &by)}, 2) != AREX_OK)
                fail_msg("%s", all_text(c.diags));
            arex_array_free(context, &c.out);
        }
    assert_int_equal(arex_program_stats(c.program, &s), AREX_OK);
    assert_int_equal(s.compilations, 1);
    assert_int_equal(s.calls, 27);
    double by = 1;
    assert_int_equal(call_run(&c, (arex_array[]){vector(AREX_FLOAT32, data, 4), weak(AREX_FLOAT64, &by)}, 2), AREX_OK);
    assert_int_equal(arex_program_stats(c.program, &s), AREX_OK);
    assert_int_equal(s.compilations, 2);
    call_close(&c);
}

/* How arrays lie may make a variant of the code each; more of the same never. */
static void test_compilations_of_places(void **state)
{
    static double data[4096];
    struct call c;
    arex_stats s = {.size = sizeof s};
    uint64_t before = 0;
    (void)state;
    call_open(&c, "x*y + sum(x)");
    for (int round = 0; round < 3; round++) {
        for (int64_t n = 2; n < 1000; n = 3 * n + round)
            for (int64_t step = -2; step <= 2; step++) {
                arex_array in[] = {vector(AREX_FLOAT64, data + 2048, n), vector(AREX_FLOAT64, data + round, n)};
                in[0].strides[0] = 8 * step;
                if (call_run(&c, in, 2) != AREX_OK)
                    fail_msg("%s", all_text(c.diags));
                arex_array_free(context, &c.out);
            }
        assert_int_equal(arex_program_stats(c.program, &s), AREX_OK);
        assert_true(s.compilations <= 6); /* contiguous, strided, one element; for two loop nests */
        if (round > 0)
            assert_int_equal(s.compilations, before);
        before = s.compilations;
    }
    arex_stats least = {.size = offsetof(arex_stats, calls)}; /* what an older host knows */
    assert_int_equal(arex_program_stats(c.program, &least), AREX_OK);
    assert_true(least.compilations == before && least.calls == 0);
    least.size = 0;
    assert_int_equal(arex_program_stats(c.program, &least), AREX_ERROR_USAGE);
    least.size = sizeof least + 8;
    assert_int_equal(arex_program_stats(c.program, &least), AREX_ERROR_USAGE);
    call_close(&c);
}

/* ---- threads, a fork ---- */

enum { THREADS = 8, N = 5000 };

static void *many_calls(void *argument)
{
    arex_program *p = argument;
    static const int dtypes[] = {AREX_FLOAT64, AREX_FLOAT32, AREX_INT64, AREX_INT32};
    char *data = calloc(N, 8);
    intptr_t bad = 0;
    for (int i = 0; i < 40; i++) {
        int64_t n = 1 + 117 * i;
        arex_array x = vector(dtypes[i % 4], data, n), out = {.device = -1};
        bad += arex_call(p, &x, 1, &out, 1, NULL, NULL) != AREX_OK || out.rank;
        arex_array_free(context, &out);
    }
    free(data);
    return (void *)bad;
}

static void *own_program(void *unused)
{
    intptr_t bad = 0;
    (void)unused;
    for (int i = 0; i < 5; i++) {
        arex_program *p = NULL;
        if (arex_program_new(context, "sum(abs(x))", 11, NULL, NULL, &p, NULL) != AREX_OK)
            return (void *)1;
        bad += (intptr_t)many_calls(p);
        arex_program_free(p);
    }
    return (void *)bad;
}

static void on_threads(void *(*work)(void *), void *argument)
{
    pthread_t t[THREADS];
    void *bad;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&t[i], NULL, work, argument), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(t[i], &bad);
        assert_null(bad);
    }
}

static void test_threads(void **state)
{
    arex_program *p;
    arex_stats s = {.size = sizeof s};
    (void)state;
    assert_int_equal(arex_program_new(context, "sum(x*x)", 8, NULL, NULL, &p, NULL), AREX_OK);
    on_threads(many_calls, p);
    assert_int_equal(arex_program_stats(p, &s), AREX_OK);
    assert_int_equal(s.calls, THREADS * 40);
    assert_int_equal(s.compilations, 4); /* a dtype each: threads that meet wait for one compilation */
    arex_program_free(p);
    on_threads(own_program, NULL);
}

/* A context of one's own: nothing is shared, whichever order the others come and go in. */
static void *own_context(void *unused)
{
    intptr_t bad = 0;
    (void)unused;
    for (int i = 0; i < 6; i++) {
        double data[3] = {1, 2, 3};
        arex_context *mine = NULL;
        arex_program *p = NULL;
        arex_array x = vector(AREX_FLOAT64, data, 3), out = {.device = -1};
        if (arex_context_new(NULL, &mine, NULL) != AREX_OK || arex_program_new(mine, "cumsum = sum(x*x)", 17, NULL, NULL, &p, NULL) != AREX_OK)
            return (void *)1;
        bad += arex_call(p, &x, 1, &out, 1, NULL, NULL) != AREX_OK || *(double *)out.data != 14;
        arex_program_free(p);
        arex_array_free(mine, &out); /* outlives its program */
        arex_context_free(mine);
    }
    return (void *)bad;
}

static void test_contexts(void **state)
{
    (void)state;
    on_threads(own_context, NULL);
}

static void test_fork(void **state)
{
    static double data[200000];
    struct call c;
    arex_array x = vector(AREX_FLOAT64, data, 200000);
    int status;
    (void)state;
    for (int i = 0; i < 200000; i++)
        data[i] = 1;
    call_open(&c, "sum(x)");
    assert_int_equal(call_run(&c, &x, 1), AREX_OK);
    arex_array_free(context, &c.out);
    pid_t child = fork();
    if (child == 0) {
        alarm(20);
        _exit(call_run(&c, &x, 1) == AREX_OK && *(double *)c.out.data == 200000 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(call_run(&c, &x, 1), AREX_OK);
    call_close(&c);
}

/* ---- tables, memory ---- */

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

int run_program_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_programs), cmocka_unit_test(test_limits), cmocka_unit_test(test_work), cmocka_unit_test(test_tight_limits), cmocka_unit_test(test_raised_limits), cmocka_unit_test(test_many_arrays),
        cmocka_unit_test(test_bad_calls), cmocka_unit_test(test_bad_outputs), cmocka_unit_test(test_stages), cmocka_unit_test(test_types_of_stages),
        cmocka_unit_test(test_no_llvm), cmocka_unit_test(test_warning), cmocka_unit_test(test_views), cmocka_unit_test(test_bools), cmocka_unit_test(test_overlap), cmocka_unit_test(test_steps),
        cmocka_unit_test(test_overlap_of_axes), cmocka_unit_test(test_outputs), cmocka_unit_test(test_weak_scalars), cmocka_unit_test(test_faults),
        cmocka_unit_test(test_compilations), cmocka_unit_test(test_compilations_of_places), cmocka_unit_test(test_threads), cmocka_unit_test(test_contexts),
        cmocka_unit_test(test_fork), cmocka_unit_test(test_tables), cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests_name("programs", tests, open_context, close_context);
}
