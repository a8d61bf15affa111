/* Names, types and shapes: programs to IR, checked by dtype, by value (the reference evaluator) and by diagnostic. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "sema/build.h"

struct job {
    struct arena arena;
    jmp_buf fail;
    struct diags diags;
    struct sema_interface interface;
    struct ir *ir;
    const char *text;
};

static struct sema_arg arg(enum dtype t, unsigned rank)
{
    return (struct sema_arg){.dtype = (uint8_t)t, .rank = (uint8_t)rank};
}

static struct sema_arg weak(enum dtype t)
{
    return (struct sema_arg){.dtype = (uint8_t)t, .weak = true};
}

static bool interface_of(struct job *j, const char *text)
{
    struct ast *tree;

    j->text = text;
    j->ir = NULL;
    arena_init(&j->arena, 0);
    diags_init(&j->diags);
    if (setjmp(j->fail))
        fail_msg("the arena gave up");
    j->arena.on_fail = &j->fail;
    diags_set_source(&j->diags, "test", text, strlen(text));
    tree = ast_parse(&j->arena, text, strlen(text), NULL, &j->diags);
    return tree && sema_interface(&j->arena, tree, &j->interface, &j->diags);
}

static void build(struct job *j, const char *text, const struct sema_arg *args)
{
    struct ast *tree;

    if (!interface_of(j, text))
        return;
    tree = ast_parse(&j->arena, text, strlen(text), NULL, &j->diags);
    j->ir = sema_build(&j->arena, tree, &j->interface, args, NULL, &j->diags);
    if (j->ir && ir_verify(j->ir))
        fail_msg("%s: %s", text, ir_verify(j->ir));
}

static void done(struct job *j)
{
    diags_fini(&j->diags);
    arena_fini(&j->arena);
}

static void show(struct job *j)
{
    struct strbuf out = {0};

    diags_render(&j->diags, &out);
    if (out.s)
        fprintf(stderr, "%s\n", out.s);
    strbuf_fini(&out);
}

static void check_dtype(const char *text, const struct sema_arg *args, enum dtype want)
{
    struct job j;

    build(&j, text, args);
    if (!j.ir)
        show(&j);
    assert_non_null(j.ir);
    enum dtype got = (enum dtype)ir_at(j.ir, j.ir->outputs.at[0].node)->dtype;
    if (got != want)
        fail_msg("%s gives %s, not %s", text, type_table[got].name, type_table[want].name);
    done(&j);
}

/* Evaluates on up to three arguments of extent 4 (or scalars); output k as doubles into out. */
static unsigned evaluate(const char *text, const struct sema_arg *args, void *const *data, unsigned k,
                         double *out)
{
    struct job j;
    int64_t extents[4][IR_MAX_RANK], *dims, weak_values[4] = {0};
    struct ir_array in[4];
    void *outs[4];
    unsigned n = 1;
    struct ir_faults faults = {0};

    build(&j, text, args);
    if (!j.ir)
        show(&j);
    assert_non_null(j.ir);
    for (unsigned i = 0; i < j.ir->inputs.n; i++) {
        in[i] = (struct ir_array){.data = data[i]};
        for (unsigned a = 0; a < args[i].rank; a++)
            extents[i][a] = a + 1 == args[i].rank ? 4 : 1;
        if (args[i].rank)
            in[i].stride[args[i].rank - 1] = type_table[args[i].dtype].size;
    }
    dims = calloc(j.ir->dims.n + 1, sizeof *dims);
    assert_true(ir_shapes_resolve(j.ir, (const int64_t(*)[IR_MAX_RANK])extents, weak_values, dims, &j.diags));
    for (unsigned i = 0; i < j.ir->outputs.n; i++)
        outs[i] = calloc(64, 8);
    assert_true(ir_eval(j.ir, in, dims, outs, &faults));
    const struct ir_node *node = ir_at(j.ir, j.ir->outputs.at[k].node);
    const struct ir_shape *shape = &j.ir->shapes.at[node->shape];
    for (unsigned a = 0; a < shape->rank; a++)
        n *= (unsigned)dims[shape->dim[a]];
    for (unsigned i = 0; i < n; i++)
        out[i] = node->dtype == DT_float64   ? ((double *)outs[k])[i]
                 : node->dtype == DT_float32 ? ((float *)outs[k])[i]
                 : node->dtype == DT_int64   ? (double)((int64_t *)outs[k])[i]
                 : node->dtype == DT_int32   ? ((int32_t *)outs[k])[i]
                                             : ((uint8_t *)outs[k])[i];
    for (unsigned i = 0; i < j.ir->outputs.n; i++)
        free(outs[i]);
    free(dims);
    done(&j);
    return n;
}

static void check_value(const char *text, double want)
{
    double got[64];

    assert_int_equal(evaluate(text, NULL, NULL, 0, got), 1);
    if (!(got[0] == want || (isnan(got[0]) && isnan(want))) || signbit(got[0]) != signbit(want))
        if (!isnan(want))
            fail_msg("%s is %g, not %g", text, got[0], want);
}

static void check_error(const char *text, const struct sema_arg *args, enum diag_id id, const char *at)
{
    struct job j;

    build(&j, text, args);
    if (j.ir)
        fail_msg("%s: no error", text);
    if (!j.diags.n)
        fail_msg("%s: no diagnostic", text);
    if (j.diags.at[0].id != id) {
        show(&j);
        fail_msg("%s: not the diagnostic that was wanted (%s)", text, diag_table[id].id);
    }
    struct span span = j.diags.at[0].span;
    if (at && (span.end - span.begin != strlen(at) || memcmp(text + span.begin, at, strlen(at)) != 0)) {
        show(&j);
        fail_msg("%s: underlines '%.*s', not '%s'", text, (int)(span.end - span.begin), text + span.begin,
                 at);
    }
    done(&j);
}

static void names_of_interfaces(void **state)
{
    static const struct {
        const char *text, *in, *out;
    } rows[] = {
        {"sum(x*x)", "x", "-"},
        {"a*x + y", "a x y", "-"},
        {"z = x + 1; z", "x", "z"},
        {"z = x + 1", "x", "z"},
        {"y = x + z; z = 3; return y, z", "x z", "y z"},
        {"x = x + 1; return x, x*2", "x", "x -"},
        {"def f(a) = a + b\nf(c)", "b c", "-"},
        {"param y: float64\nparam x: float64[n]\nx + y + w", "y x w", "-"},
        {"pi * r**2 + e + inf", "r", "-"},
        {"astype(x, float32)", "x", "-"},
        {"def f(v) { return v, v }\nf(x)", "x", "- -"},
        {"a, b = (x, y)", "x y", "a b"},
        {"sum = 3; sum(x) + sum", "x", "-"},
        {"def f(v, by=k) = v * by\nf(x)", "k x", "-"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct job j;
        struct strbuf in = {0}, out = {0};
        bool good = interface_of(&j, rows[i].text);
        if (!good)
            show(&j);
        assert_true(good);
        for (uint32_t k = 0; k < j.interface.inputs.n; k++)
            strbuf_printf(&in, "%s%.*s", k ? " " : "", (int)j.interface.inputs.at[k].name.n,
                          j.interface.inputs.at[k].name.s);
        for (uint32_t k = 0; k < j.interface.outputs.n; k++) {
            struct str name = j.interface.outputs.at[k].name;
            strbuf_printf(&out, "%s%.*s", k ? " " : "", name.n ? (int)name.n : 1, name.n ? name.s : "-");
        }
        assert_string_equal(in.s, rows[i].in);
        assert_string_equal(out.s, rows[i].out);
        strbuf_fini(&in);
        strbuf_fini(&out);
        done(&j);
    }
}

static void promotion_is_numpys(void **state)
{
    static const struct {
        enum dtype a, b, r;
    } rows[] = {
        {DT_bool, DT_int32, DT_int32},
        {DT_bool, DT_float32, DT_float32},
        {DT_int32, DT_int64, DT_int64},
        {DT_int32, DT_float32, DT_float64},
        {DT_int64, DT_float32, DT_float64},
        {DT_int16, DT_float32, DT_float32},
        {DT_float32, DT_float64, DT_float64},
        {DT_int64, DT_uint64, DT_float64},
        {DT_int8, DT_uint8, DT_int16},
        {DT_int32, DT_uint32, DT_int64},
        {DT_int64, DT_uint32, DT_int64},
        {DT_uint8, DT_float16, DT_float16},
        {DT_int16, DT_float16, DT_float32},
        {DT_int32, DT_float16, DT_float64},
        {DT_float16, DT_bfloat16, DT_float32},
        {DT_float32, DT_complex64, DT_complex64},
        {DT_float64, DT_complex64, DT_complex128},
        {DT_uint8, DT_uint16, DT_uint16},
        {DT_bool, DT_bool, DT_bool},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(promote_pair(rows[i].a, rows[i].b), rows[i].r);
        assert_int_equal(promote_pair(rows[i].b, rows[i].a), rows[i].r);
    }
}

static void dtypes_of_results(void **state)
{
    struct sema_arg f4[2] = {arg(DT_float32, 1), arg(DT_float32, 1)},
                    i4[2] = {arg(DT_int32, 1), arg(DT_int32, 1)};
    struct sema_arg b[2] = {arg(DT_bool, 1), arg(DT_bool, 1)}, wi[2] = {arg(DT_int32, 1), weak(DT_int64)};
    struct sema_arg mix[2] = {arg(DT_int32, 1), arg(DT_float32, 1)},
                    wf[2] = {arg(DT_int32, 1), weak(DT_float64)};

    (void)state;
    check_dtype("x + 1", f4, DT_float32);
    check_dtype("x * 2.5", f4, DT_float32);
    check_dtype("x * pi", f4, DT_float32);
    check_dtype("x + 3.5", i4, DT_float64);
    check_dtype("x + 3", i4, DT_int32);
    check_dtype("x + 1", b, DT_int64);
    check_dtype("x + 1.0", b, DT_float64);
    check_dtype("x + True", i4, DT_int32);
    check_dtype("x + y", mix, DT_float64);
    check_dtype("x / y", i4, DT_float64);
    check_dtype("x // y", i4, DT_int32);
    check_dtype("x + n", wi, DT_int32);
    check_dtype("x + (n + 1)", wi, DT_int32);
    check_dtype("x + n", wf, DT_float64);
    check_dtype("x ** 2.0", i4, DT_float64);
    check_dtype("x ** 2", i4, DT_int32);
    check_dtype("x ** 2", f4, DT_float32);
    check_dtype("param x: int32[n]\nparam n: float32\nn", wi, DT_float32);
    check_dtype("x < y", i4, DT_bool);
    check_dtype("x & y", b, DT_bool);
    check_dtype("x << 1", b, DT_int64);
    check_dtype("sum(x)", i4, DT_int64);
    check_dtype("sum(x)", b, DT_int64);
    check_dtype("sum(x)", f4, DT_float32);
    check_dtype("max(x)", i4, DT_int32);
    check_dtype("any(x)", f4, DT_bool);
    check_dtype("mean(x)", f4, DT_float32);
    check_dtype("mean(x)", i4, DT_float64);
    check_dtype("sqrt(x)", i4, DT_float64);
    check_dtype("floor(x)", i4, DT_int32);
    check_dtype("isnan(x)", i4, DT_bool);
    check_dtype("isfinite(x)", b, DT_bool);
    check_dtype("where(x > 0, x, 0)", f4, DT_float32);
    check_dtype("x // 2", f4, DT_float32);
    check_dtype("sign(x)", i4, DT_int32);
    check_dtype("clip(x, 0, 1)", f4, DT_float32);
    check_dtype("float32(x) + 1", i4, DT_float32);
    check_dtype("astype(x, int64)", f4, DT_int64);
    check_dtype("bits(x)", f4, DT_int32);
    check_dtype("frombits(bits(x), float32)", f4, DT_float32);
    check_dtype("def rows(a, b) = a + b\nrows(0, x)", f4, DT_float32); /* the library's rows(table, i) is none of a program's */
    check_dtype("count(x, 0)", f4, DT_int64);
    check_dtype("rarely(x > 1, x * 2, x)", f4, DT_float32);
    check_dtype("1 + 2", NULL, DT_int64);
    check_dtype("1 / 2", NULL, DT_float64);
    check_dtype("1 < 2", NULL, DT_bool);
}

static void values_of_programs(void **state)
{
    (void)state;
    check_value("7 // 2", 3);
    check_value("-7 // 2", -4);
    check_value("-7 % 3", 2);
    check_value("2 ** 10", 1024);
    check_value("-2 ** 2", -4);
    check_value("-9223372036854775808", -9223372036854775808.0);
    check_value("1 / 2", 0.5);
    check_value("0 < 1 < 2", 1);
    check_value("0 < 3 < 2", 0);
    check_value("True and not False", 1);
    check_value("3 if 1 > 2 else 4", 4);
    check_value("a = 1; a = a + 1; a = a * 10; a", 20);
    check_value("def f(a, b=2) = a * b\nf(3) + f(b=5, a=2)", 16);
    check_value("def f(a) = a + 1\ndef g(a) = f(a) * f(a)\ng(2)", 9);
    check_value("k = 2; def f(a) = a * k\nk = 100; f(3)", 6);
    check_value("def f(a, b) { c = a + b; return c * c }\nf(1, 2)", 9);
    check_value("def sin(a) = a + 1\nsin(1)", 2);
    check_value("sum(5)", 5);
    check_value("5.5 // 2.0", 2);
    check_value("-5.5 // 2.0", -3);
    check_value("-5.5 % 2.0", 0.5);
    check_value("5.5 % -2.0", -0.5);
    check_value("1.0 // 0.0", INFINITY);
    check_value("1.0 % inf", 1);
    check_value("-1.0 % inf", INFINITY);
    check_value("-1.0 // inf", -1);
    check_value("1.0 % 0.0", NAN);
    check_value("-0.0 // 1.0", -0.0);
    check_value("4.0 % -2.0", -0.0);
    check_value("0.7 // 0.1", 6);
    check_value("fmod(-7, int32(3))", -1);
    check_value("fmod(7, int32(-3))", 1);
    check_value("sign(-2.5)", -1);
    check_value("sign(-0.0)", 0);
    check_value("isinf(-inf)", 1);
    check_value("isnan(nan)", 1);
    check_value("isfinite(nan)", 0);
    check_value("round(2.5)", 2);
    check_value("reciprocal(4)", 0.25);
    check_value("square(3)", 9);
    check_value("clip(7, 0, 5)", 5);
}

static void arrays(void **state)
{
    double x[4] = {1, 2, 3, 6}, got[64];
    struct sema_arg f8[1] = {arg(DT_float64, 1)}, f82[1] = {arg(DT_float64, 2)};
    void *data[1] = {x};

    (void)state;
    assert_int_equal(evaluate("sum(x*x)", f8, data, 0, got), 1);
    assert_true(got[0] == 50);
    assert_int_equal(evaluate("x - mean(x)", f8, data, 0, got), 4);
    assert_true(got[0] == -2 && got[3] == 3);
    assert_int_equal(
        evaluate("def c(v, axis) = v - mean(v, axis, keepdims=True)\nc(x, -1)", f82, data, 0, got), 4);
    assert_true(got[0] == -2 && got[3] == 3);
    assert_int_equal(evaluate("max(x, axis=(0, 1))", f82, data, 0, got), 1);
    assert_true(got[0] == 6);
    assert_int_equal(evaluate("sum(x, 0)", f82, data, 0, got), 4);
    assert_true(got[1] == 2);
    assert_int_equal(evaluate("x**2", f8, data, 0, got), 4);
    assert_true(got[3] == 36);
    assert_int_equal(
        evaluate("def two(v) { return v + 1, v + 2 }\na, b = two(x)\nreturn a, b", f8, data, 1, got), 4);
    assert_true(got[0] == 3);
    assert_int_equal(evaluate("1 < x < 6", f8, data, 0, got), 4);
    assert_true(got[0] == 0 && got[1] == 1 && got[3] == 0);
}

static void errors_point_at_their_place(void **state)
{
    struct sema_arg f4[2] = {arg(DT_float32, 2), arg(DT_float32, 2)},
                    i4[2] = {arg(DT_int32, 1), arg(DT_int32, 1)};
    struct sema_arg b[2] = {arg(DT_bool, 1), arg(DT_bool, 1)}, wf[2] = {arg(DT_int32, 1), weak(DT_float64)};

    (void)state;
    check_error("summ(x)", f4, AX_unknown_function, "summ");
    check_error("rows(0, x)", f4, AX_unknown_function, "rows");
    check_error("sum(x, axes=1)", f4, AX_unknown_keyword, "axes=1");
    check_error("sum(x, 0, axis=1)", f4, AX_duplicate_keyword, "axis=1");
    check_error("sum(x, axis=2)", f4, AX_bad_axis, NULL);
    check_error("sum(x, -3)", f4, AX_bad_axis, "-3");
    check_error("sum(x, (0, -2))", f4, AX_duplicate_axis, "-2");
    check_error("min(x, y)", f4, AX_type_mismatch, "y");
    check_error("max(x, 0.5)", f4, AX_type_mismatch, "0.5");
    check_error("sum(x, axis=y)", f4, AX_not_constant, NULL);
    check_error("x & y", f4, AX_type_mismatch, "x & y");
    check_error("x - y", b, AX_type_mismatch, "x - y");
    check_error("x and y", f4, AX_type_mismatch, "x and y");
    check_error("not x", f4, AX_type_mismatch, "not x");
    check_error("x + 3000000000", i4, AX_literal_range, "3000000000");
    check_error("x ** -1", i4, AX_negative_power, "-1");
    check_error("where(x, 1, 2)", i4, AX_type_mismatch, "x");
    check_error("sqrt(x, y)", f4, AX_wrong_argument_count, "sqrt(x, y)");
    check_error("def f(a) = a\nf(x, 1)", f4, AX_wrong_argument_count, "f(x, 1)");
    check_error("def f(a) = f(a)\nf(x)", f4, AX_recursion, "f");
    check_error("def f(a) = g(a)\ndef g(a) = a\nf(x)", f4, AX_unknown_function, "g");
    check_error("def f(a) = a", f4, AX_no_output, NULL);
    check_error("9223372036854775807 + 1", NULL, AX_literal_range, NULL);
    check_error("x[0][0][0]", f4, AX_bad_axis, "x[0][0][0]");
    check_error("float32(x*1j)", f4, AX_type_mismatch, NULL);
    check_error("x*1j < x", f4, AX_type_mismatch, "x*1j < x");
    check_error("complex(x*1j, x)", f4, AX_type_mismatch, NULL);
    check_error("astype(x, 3)", f4, AX_unknown_type, "3");
    check_error("param x: float64[n, m]\nx", f4, AX_argument_dtype, NULL);
    check_error("param x: float32[n]\nx", f4, AX_argument_rank, NULL);
    check_error("param x: float32[n]\nparam x: float32[n]\nx", f4, AX_duplicate_param, NULL);
    check_error("a = (1, 2)\na", NULL, AX_type_mismatch, NULL);
    check_error("()", NULL, AX_no_output, NULL);
    check_error("def f(x) { return x, x }\nreturn f(x), x", f4, AX_type_mismatch, NULL);
    check_error("a, b = x", f4, AX_wrong_argument_count, "a, b = x");
    check_error("param x: int32[m]\nparam n: int64\nx+n", wf, AX_argument_dtype, NULL);
    check_error("param x: floot32[n]\nx", f4, AX_unknown_type, NULL);
}

static void errors_come_together(void **state)
{
    struct job j;
    struct sema_arg f4[2] = {arg(DT_float32, 1), arg(DT_float32, 1)};

    (void)state;
    build(&j, "a = x & y\nb = a + 1\nc = not x\nreturn b, c", f4);
    assert_null(j.ir);
    assert_int_equal(j.diags.n_errors, 2);
    done(&j);
    build(&j, "def f(a) = a & 1.5\nf(x)", f4);
    assert_null(j.ir);
    assert_int_equal(j.diags.at[0].n_notes, 1);
    done(&j);
    interface_of(&j, "summ(x) + meen(x)");
    assert_int_equal(j.diags.n_errors, 2);
    assert_non_null(strstr(j.diags.at[1].notes[0].text, "mean"));
    done(&j);
}

static void checks_for_the_call(void **state)
{
    struct job j;
    struct sema_arg two[2] = {arg(DT_float64, 1), arg(DT_float64, 1)},
                    wi[2] = {arg(DT_int32, 1), weak(DT_int64)};
    unsigned extents = 0, fits = 0;

    (void)state;
    build(&j, "param x: float64[n]\nparam y: float64[n]\nx + y", two);
    assert_non_null(j.ir);
    for (uint32_t i = 0; i < j.ir->checks.n; i++)
        extents += j.ir->checks.at[i].kind == CHECK_EXTENT;
    assert_int_equal(extents, 1);
    done(&j);
    build(&j, "x + n + n", wi);
    assert_non_null(j.ir);
    for (uint32_t i = 0; i < j.ir->checks.n; i++)
        fits += j.ir->checks.at[i].kind == CHECK_FITS;
    assert_int_equal(fits, 1);
    done(&j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_interfaces),
        cmocka_unit_test(promotion_is_numpys),
        cmocka_unit_test(dtypes_of_results),
        cmocka_unit_test(values_of_programs),
        cmocka_unit_test(arrays),
        cmocka_unit_test(errors_point_at_their_place),
        cmocka_unit_test(errors_come_together),
        cmocka_unit_test(checks_for_the_call),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
