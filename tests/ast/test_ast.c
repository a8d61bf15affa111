/* Text to tree: what binds tighter, what is said about text that is no program, limits, and mutated programs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ast/ast.h"

struct parsed {
    struct arena arena;
    struct diags diags;
    struct ast *tree;
    bool jumped; /* the arena's limit was met */
};

static void parse(struct parsed *p, const char *text, size_t n, struct ast_limits limits, size_t bytes)
{
    jmp_buf failed;
    memset(p, 0, sizeof *p);
    arena_init(&p->arena, bytes);
    diags_init(&p->diags);
    p->arena.on_fail = &failed;
    if (setjmp(failed))
        p->jumped = true;
    else
        p->tree = ast_parse(&p->arena, text, n, &limits, &p->diags);
}

static void parse_text(struct parsed *p, const char *text)
{
    parse(p, text, strlen(text), (struct ast_limits){0}, 0);
}

static void done(struct parsed *p)
{
    arena_fini(&p->arena);
    diags_fini(&p->diags);
}

/* ---- trees ---- */

static const struct {
    const char *text, *tree;
} trees[] = {
    /* precedence and associativity: Python's */
    {"-a**2", "(expr (- (** a 2)))"},
    {"a**-b", "(expr (** a (- b)))"},
    {"a**b**c", "(expr (** a (** b c)))"},
    {"-a**-b**c", "(expr (- (** a (- (** b c)))))"},
    {"a-b-c", "(expr (- (- a b) c))"},
    {"a+b*c", "(expr (+ a (* b c)))"},
    {"a/b*c//d%e", "(expr (% (// (* (/ a b) c) d) e))"},
    {"-a*b", "(expr (* (- a) b))"},
    {"~-+a", "(expr (~ (- (+ a))))"},
    {"a<<b+c", "(expr (<< a (+ b c)))"},
    {"a|b^c&d<<e", "(expr (| a (^ b (& c (<< d e)))))"},
    {"a&b==c", "(expr (compare == (& a b) c))"},
    {"not a==b", "(expr (not (compare == a b)))"},
    {"not not a", "(expr (not (not a)))"},
    {"a or b and not c", "(expr (or a (and b (not c))))"},
    {"a or b or c", "(expr (or (or a b) c))"},
    {"0<x<=1", "(expr (compare < <= 0 x 1))"},
    {"(a<b)<c", "(expr (compare < (compare < a b) c))"},
    {"a<(b<c)", "(expr (compare < a (compare < b c)))"},
    {"a<b<c<d<e<f", "(expr (compare < < < < < a b c d e f))"},
    {"a if c else b if d else e", "(expr (if a c (if b d e)))"},
    {"a or b if c and d else e", "(expr (if (or a b) (and c d) e))"},
    {"x **= 2", "(let x (** x 2))"},
    {"x //= y + 1", "(let x (// x (+ y 1)))"},
    {"if a { b } else { c }", "(branch a (expr b) (else (expr c)))"},
    {"if a {\n b\n}\n# a comment\nelif c { d }\n\nelse { e }", "(branch a (expr b) (else (branch c (expr d) (else (expr e)))))"},
    {"if a { b }\nelsewhere", "(branch a (expr b))\n(expr elsewhere)"},
    {"for i in range(3) { x += i; continue }", "(for i (call range 3) (let x (+ x i)) (continue))"},
    {"kernel f(a, b) { a[0, i] = b; a[1] += 2; return }", "(kernel f ((formal a) (formal b)) (store (index a 0 i) b) (store (index a 1) (+ (index a 1) 2)) (return))"},
    {"while x < 3 { break }", "(while (compare < x 3) (break))"},
    {"(a, b)", "(expr (tuple a b))"},
    {"(a,)", "(expr (tuple a))"},
    {"()", "(expr (tuple))"},
    {"[a, b]", "(expr (tuple a b))"},
    {"(a)", "(expr a)"},
    {"-f(x)[0].T**2", "(expr (- (** (attr T (index (call f x) 0)) 2)))"},
    {"f(x, axis=-1, keepdims=True,)", "(expr (call f x (keyword axis (- 1)) (keyword keepdims True)))"},
    {"x[1:2:3, ..., newaxis, :, ::-1]", "(expr (index x (slice 1 2 3) ... None (slice _ _ _) (slice _ _ (- 1))))"},
    /* literals */
    {"1_000 + 0xfF + 0b1_0 + 0o17", "(expr (+ (+ (+ 1000 255) 2) 15))"},
    {"1e3 + .5 + 2. + 1_0.5e-1_0", "(expr (+ (+ (+ 1000 0.5) 2) 1.05e-09))"},
    {"3j + 0.5J", "(expr (+ 3j 0.5j))"},
    {"True, False, None", "(return True False None)"},
    {"00 + 012.5", "(expr (+ 0 12.5))"},
    {"9223372036854775808", "(expr 9223372036854775808)"},
    /* statements */
    {"", ""},
    {"\n\n# only this\n", ""},
    {"a = b; c, d = f(a)", "(let a b)\n(let c d (call f a))"},
    {"a, b = c, d", "(let a b (tuple c d))"},
    {"return a, b", "(return a b)"},
    {"x # comment\ny", "(expr x)\n(expr y)"},
    {"sum(\n x,\n\n 0)", "(expr (call sum x 0))"},
    {"a = [b +\nc]", "(let a (tuple (+ b c)))"},
    {"a = b + \\\n c", "(let a (+ b c))"},
    {"def f(a, b=2) = a*b", "(def f ((formal a) (formal b 2)) (expr (* a b)))"},
    {"def f(a) { b = a\n c = (b +\n 1); return b, c }", "(def f ((formal a)) (let b a) (let c (+ b 1)) (return b c))"},
    {"def f() { 1 }", "(def f () (expr 1))"},
    {"param x: float32[n, 3, :]", "(param x float32 n 3 None)"},
    {"param s: int64", "(param s int64)"},
    {"ifx = notb + and_c", "(let ifx (+ notb and_c))"},
    {"x\r\ny\r\n", "(expr x)\n(expr y)"},
};

static void test_trees(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof trees / sizeof *trees; i++) {
        struct parsed p;
        struct strbuf out = {0};
        parse_text(&p, trees[i].text);
        if (!p.tree)
            fail_msg("%s: %s", trees[i].text, p.diags.n ? p.diags.at[0].message : "no tree");
        ast_print(p.tree, false, &out);
        if (out.n && out.s[out.n - 1] == '\n')
            out.s[out.n - 1] = 0;
        assert_string_equal(out.s ? out.s : "", trees[i].tree);
        strbuf_fini(&out);
        done(&p);
    }
}

/* Numbers are read and shown with a point whatever the user's locale has; in one built for the test it takes two bytes. */
static void test_locale(void **state)
{
    bool set = setlocale(LC_NUMERIC, "ps_AF.UTF-8") != NULL;
    assert_true(set || !getenv("LOCPATH"));
    test_trees(state);
    setlocale(LC_NUMERIC, "C");
}

/* A span covers the text it stands for: printed with spans, a few. */
static void test_spans(void **state)
{
    struct parsed p;
    struct strbuf out = {0};
    (void)state;
    parse_text(&p, "ab = f(x, -y)[1]\n(a + b)*c");
    assert_non_null(p.tree);
    ast_print(p.tree, true, &out);
    assert_string_equal(out.s, "(let@0:16 ab (index@5:16 (call@5:13 f x@7:8 (-@10:12 y@11:12)) 1@14:15))\n"
                               "(expr@17:26 (*@17:26 (+@17:24 a@18:19 b@22:23) c@25:26))\n");
    strbuf_fini(&out);
    done(&p);
}

/* ---- errors: code, span, part of the message; in order ---- */

struct expected {
    enum diag_id id;
    uint32_t begin, end;
    const char *says;
};

static const struct {
    const char *text;
    struct expected error[4];
} errors[] = {
    {"a b", {{AX_syntax, 2, 3, "unexpected 'b': expected an operator or the end of the statement"}}},
    {"c = 3 3", {{AX_syntax, 6, 7, "expected an operator or the end"}}},
    {"f(x))", {{AX_syntax, 4, 5, "')' closes nothing"}}},
    {"}", {{AX_syntax, 0, 1, "'}' closes nothing"}}},
    {"(a]", {{AX_syntax, 2, 3, "']' does not close '('"}}},
    {"f(a b)", {{AX_syntax, 4, 5, "expected an operator, ',' or ')'"}}},
    {"x[a b]", {{AX_syntax, 4, 5, "expected an operator, ',' or ']'"}}},
    {"1 + * 2", {{AX_syntax, 4, 5, "expected an expression"}}},
    {"a = ", {{AX_unexpected_end, 4, 4, "the statement ends too soon"}}},
    {"1 +\n2", {{AX_unexpected_end, 3, 4, "the statement ends too soon"}}},
    {"sum(x", {{AX_unclosed_bracket, 3, 4, "'(' is never closed"}}},
    {"a = (1 + 2\nb = 3\nc = 4 4\nd = 5", {{AX_unclosed_bracket, 4, 5, "never closed"}, {AX_syntax, 23, 24, "unexpected '4'"}}},
    {"f(a b\nc = 3 3", {{AX_syntax, 4, 5, "unexpected 'b'"}, {AX_syntax, 12, 13, "unexpected '3'"}}},
    {"a = 1 1\nb = 2 2\nc = 3", {{AX_syntax, 6, 7, "'1'"}, {AX_syntax, 14, 15, "'2'"}}},
    {"def f(x) {\na = 1 1\nb = 2 2\nreturn a }\nf(x) 3", {{AX_syntax, 17, 18, "'1'"}, {AX_syntax, 25, 26, "'2'"}, {AX_syntax, 43, 44, "'3'"}}},
    {"def f(x) { a = 1 1 }\nf(x) 3", {{AX_syntax, 17, 18, "'1'"}, {AX_syntax, 26, 27, "'3'"}}},
    {"def f(x { x }\na b", {{AX_unclosed_bracket, 5, 6, "'(' is never closed"}, {AX_syntax, 16, 17, "'b'"}}},
    {"((a b)\nc = 3 3", {{AX_syntax, 4, 5, "unexpected 'b'"}, {AX_syntax, 13, 14, "'3'"}}},
    {"a = [1,\nb = 2\nc = 3 3", {{AX_unclosed_bracket, 4, 5, "'[' is never closed"}, {AX_syntax, 20, 21, "'3'"}}},
    {"a = (1 +\nb = 3\nc = 4 4", {{AX_unclosed_bracket, 4, 5, "never closed"}, {AX_syntax, 21, 22, "'4'"}}},
    {"a = ((1 +\n2)\nb = 3 3", {{AX_unclosed_bracket, 4, 5, "never closed"}, {AX_syntax, 19, 20, "'3'"}}},
    {"a = ((1 +\n) b\nc c", {{AX_unclosed_bracket, 4, 5, "never closed"}, {AX_syntax, 16, 17, "'c'"}}},
    {"a = (1\n0123\nb b", {{AX_bad_number, 7, 11, "123"}, {AX_unclosed_bracket, 4, 5, "never closed"}, {AX_syntax, 14, 15, "'b'"}}}, /* the number once */
    {"x.(\nb = 3 3", {{AX_syntax, 2, 3, "unexpected '('"}, {AX_syntax, 10, 11, "'3'"}}},
    {"f(a = 1 $ 2\nc c", {{AX_unexpected_character, 8, 9, "'$'"}, {AX_syntax, 14, 15, "'c'"}}},
    {"f(a; b)\nc c", {{AX_syntax, 3, 4, "unexpected ';': expected an operator, ',' or ')'"}, {AX_syntax, 10, 11, "'c'"}}},
    {"f(a; b b", {{AX_unclosed_bracket, 1, 2, "never closed"}, {AX_syntax, 7, 8, "'b'"}}},
    {"a = (1 + 2]\nb b", {{AX_syntax, 10, 11, "']' does not close '('"}, {AX_syntax, 14, 15, "'b'"}}},
    {"f([a), b\nc c", {{AX_syntax, 4, 5, "')' does not close '['"}, {AX_syntax, 11, 12, "'c'"}}},
    {"def f(x) { a = 1", {{AX_unclosed_bracket, 9, 10, "'{' is never closed"}}},
    {"def f(x) {\na = (1\n}\nc c", {{AX_unclosed_bracket, 15, 16, "'(' is never closed"}, {AX_syntax, 22, 23, "'c'"}}},
    {"def f(x) { a = (1 + 2 }\nc c", {{AX_syntax, 22, 23, "'}' does not close '('"}, {AX_syntax, 26, 27, "'c'"}}},
    {"def f(a b) {\nx\n y y\n}\nz z", {{AX_syntax, 8, 9, "unexpected 'b': expected"}, {AX_syntax, 24, 25, "'z'"}}},
    {"x = f(a, {1,\n2}, b)\nz z", {{AX_syntax, 9, 10, "unexpected '{': expected an expression"}, {AX_syntax, 22, 23, "'z'"}}},
    {")\n}\n]\na", {{AX_syntax, 0, 1, "')' closes nothing"}, {AX_syntax, 2, 3, "'}' closes nothing"}, {AX_syntax, 4, 5, "']' closes nothing"}}},
    {"def f(a=1, b) = a", {{AX_syntax, 11, 12, "without a default"}}},
    {"f(a=1, 2)", {{AX_syntax, 7, 8, "by position stands before"}}},
    {"1 = x", {{AX_syntax, 0, 1, "only a name can be assigned to"}}},
    {"x = 3 $ 4\ny = ?", {{AX_unexpected_character, 6, 7, "'$'"}, {AX_unexpected_character, 14, 15, "'?'"}}},
    {"x = \x01", {{AX_unexpected_character, 4, 5, "control character 0x01"}}},
    {"\xc3\xa9 = 1", {{AX_unexpected_character, 0, 2, "\xc3\xa9"}}},
    {"1__0", {{AX_bad_number, 0, 4, "malformed number '1__0'"}}},
    {"3x + 0x", {{AX_bad_number, 0, 2, "'3x'"}, {AX_bad_number, 5, 7, "'0x'"}}},
    {"0123", {{AX_bad_number, 0, 4, "write 123, or 0o123 in octal"}}},
    {"089", {{AX_bad_number, 0, 3, "a number does not begin with 0: write 89"}}},
    {"18446744073709551616", {{AX_number_too_large, 0, 20, "too large"}}},
    {"for k in x { x }", {{AX_syntax, 9, 10, "runs over range"}}},
    {"a, b += 1", {{AX_syntax, 5, 7, "one name at a time"}}},
    {"x\nelse { y }", {{AX_syntax, 2, 6, "'else'"}}},
    {"elif x { y }", {{AX_syntax, 0, 4, "'elif'"}}},
    {"x = 1\nkernel f(a) { b }\ny y", {{AX_syntax, 26, 27, "'y'"}}},
    {"for\ny y", {{AX_unexpected_end, 3, 4, "too soon"}, {AX_syntax, 6, 7, "'y'"}}},
    {"for k in range(3) {\n x = x\n y = 2\n}\nz z", {{AX_syntax, 38, 39, "'z'"}}},
    {"kernel f(a) {\nif a < b { a[0] = 1 }\n}\nz z", {{AX_syntax, 40, 41, "'z'"}}},
    {"def f(x) { for i in x { r = 1 } }\nz z", {{AX_syntax, 20, 21, "range"}, {AX_syntax, 36, 37, "'z'"}}},
    {"def f(x) {\nwhile x {\nr\n}; b b\n}\nz", {{AX_syntax, 28, 29, "'b'"}}},
    {"if x {\n y\n} else {\n z\n}\nz z", {{AX_syntax, 26, 27, "'z'"}}},
    {"a = lambda", {{AX_not_supported, 4, 10, "'lambda'"}}},
    {"a[0], b = 1, 2", {{AX_not_supported, 0, 4, "one element at a time"}}},
    {"f(x)(y)", {{AX_not_supported, 0, 4, "only a function's name"}}},
    {"a = \xc0\x80", {{AX_not_utf8, 4, 5, "byte 4"}}},     /* overlong */
    {"a = \xed\xa0\x80", {{AX_not_utf8, 4, 5, "byte 4"}}}, /* a surrogate */
    {"a = \xf4\x90\x80\x80", {{AX_not_utf8, 4, 5, "byte 4"}}}, /* past U+10FFFF */
    {"a = \xe2\x82", {{AX_not_utf8, 4, 5, "byte 4"}}},     /* cut short */
    {"a = \xf0\x8f\xbf\xbf", {{AX_not_utf8, 4, 5, "byte 4"}}}, /* overlong */
    {"a = \xf5\x80\x80\x80", {{AX_not_utf8, 4, 5, "byte 4"}}},
    {"a = \x80", {{AX_not_utf8, 4, 5, "byte 4"}}},
};

static void test_errors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        struct parsed p;
        unsigned n = 0;
        parse_text(&p, errors[i].text);
        assert_null(p.tree);
        while (n < 4 && errors[i].error[n].says)
            n++;
        if (p.diags.n != n)
            fail_msg("%s: %u diagnostics, the first: %s", errors[i].text, p.diags.n, p.diags.n ? p.diags.at[0].message : "");
        for (unsigned k = 0; k < n; k++) {
            const struct expected *e = &errors[i].error[k];
            const struct diag *d = &p.diags.at[k];
            if (d->id != e->id || d->span.begin != e->begin || d->span.end != e->end || !strstr(d->message, e->says))
                fail_msg("%s: error %u is %s at %u..%u: %s", errors[i].text, k, diag_table[d->id].id, d->span.begin, d->span.end, d->message);
        }
        done(&p);
    }
}

static void test_nul_byte(void **state)
{
    struct parsed p;
    (void)state;
    parse(&p, "a\0b", 3, (struct ast_limits){0}, 0);
    assert_null(p.tree);
    assert_int_equal(p.diags.at[0].id, AX_not_utf8);
    done(&p);
}

/* ---- limits ---- */

static char *repeated(const char *unit, size_t times, const char *end)
{
    size_t n = strlen(unit), m = strlen(end);
    char *s = malloc(n * times + m + 1);
    for (size_t i = 0; i < times; i++)
        memcpy(s + i * n, unit, n);
    memcpy(s + n * times, end, m + 1);
    return s;
}

/* unit unit ... middle close close ... */
static void expect_limit(const char *unit, size_t times, const char *middle, const char *close, struct ast_limits limits, enum diag_id id)
{
    struct parsed p;
    char *tail = repeated(close, times, ""), *end = repeated(middle, 1, tail), *text = repeated(unit, times, end);
    parse(&p, text, strlen(text), limits, 0);
    assert_null(p.tree);
    assert_true(p.diags.n >= 1);
    assert_int_equal(p.diags.at[0].id, id);
    done(&p);
    free(text);
    free(end);
    free(tail);
}

static void test_limits(void **state)
{
    const struct ast_limits deep = {.max_nesting = 50}, none = {0};
    (void)state;
    expect_limit("(-", 100, "x", ")", deep, AX_nesting_too_deep);
    expect_limit("-", 100, "x", "", deep, AX_nesting_too_deep);
    expect_limit("x[1:", 100, "x", "]", deep, AX_nesting_too_deep);
    expect_limit("x**", 100, "x", "", deep, AX_nesting_too_deep);
    expect_limit("1 + ", 100, "1", "", deep, AX_nesting_too_deep);
    expect_limit("f(", 200000, "", "", none, AX_nesting_too_deep);
    expect_limit("x,", 100, "x", "", (struct ast_limits){.max_nodes = 50}, AX_too_many_nodes);
    expect_limit("x;", 100, "", "", (struct ast_limits){.max_source = 50}, AX_source_too_large);
    /* the counter of depth is small: a limit beyond it must not let it wrap */
    expect_limit("-", 200000, "x", "", (struct ast_limits){.max_nesting = UINT32_MAX, .max_nodes = UINT32_MAX}, AX_nesting_too_deep);
    expect_limit("1+", 100000, "x", "", (struct ast_limits){.max_nesting = UINT32_MAX, .max_nodes = UINT32_MAX}, AX_nesting_too_deep);
}

/* Past a limit nothing more is read: memory holds the text and what was made before. */
static void test_stops_at_limit(void **state)
{
    static const char *const units[] = {"x,", "x;", "x\n", "-"};
    enum { N = 100000 };
    (void)state;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        struct parsed p;
        char *text = repeated(units[i], N, "x");
        size_t n = strlen(text);
        parse(&p, text, n, (struct ast_limits){.max_nodes = 50, .max_nesting = 50}, 0);
        assert_null(p.tree);
        assert_int_equal(p.diags.n, 1);
        assert_true(p.arena.used < n + 60000);
        done(&p);
        free(text);
    }
}

/* Comparisons chain in one node: memory goes with their number, not with its square. */
static void test_long_chain(void **state)
{
    struct parsed p;
    enum { N = 50000 };
    char *text = repeated("x<", N, "x");
    (void)state;
    parse(&p, text, strlen(text), (struct ast_limits){0}, 64 << 20);
    assert_false(p.jumped);
    assert_non_null(p.tree);
    assert_int_equal(p.tree->kid[0]->kid[0]->n_kids, N + 1);
    done(&p);
    free(text);
}

/* Running into the arena's limit leaves through its owner's jump and leaks nothing (seen by the leak checker). */
static void test_arena_limit(void **state)
{
    (void)state;
    for (unsigned unit = 0; unit < 3; unit++)
        for (size_t bytes = 1000; bytes < 200000; bytes = bytes * 5 / 4) {
            struct parsed p;
            char *text = repeated((const char *const[]){"(", "a = f(x, 1)\n", "def f(a=1) { a }\n"}[unit], 400, "");
            parse(&p, text, strlen(text), (struct ast_limits){0}, bytes);
            if (p.jumped)
                assert_int_equal(p.arena.failure, ARENA_OVER_LIMIT);
            done(&p);
            free(text);
        }
}

/* A text with errors on every line is given up after some: each may look through the whole text. */
static void test_many_errors(void **state)
{
    struct parsed p;
    char *text = repeated("(a b\n", 100000, "");
    (void)state;
    parse(&p, text, strlen(text), (struct ast_limits){0}, 0);
    assert_null(p.tree);
    assert_true(p.diags.n_errors < 200);
    done(&p);
    free(text);
}

/* What is passed over after an error is read in one go, however many brackets are open. */
static void test_long_rests(void **state)
{
    enum { N = 250000 };
    static const char *const units[][2] = {{"(", "\n"}, {"{(", "}"}, {"({", "\n"}, {"(", ")\n"}};
    (void)state;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        struct parsed p;
        char *tail = repeated(units[i][1], N, ""), *rest = repeated(units[i][0], N, tail), *text = repeated("a b ", 1, rest);
        parse(&p, text, strlen(text), (struct ast_limits){.max_source = UINT32_MAX}, 64 << 20);
        assert_null(p.tree);
        assert_false(p.jumped);
        done(&p);
        free(text);
        free(rest);
        free(tail);
    }
}

/* ---- mutated programs ---- */

static const char *const corpus[] = {
    "def zscore(v, axis) = (v - mean(v, axis, keepdims=True)) / sqrt(mean((v - mean(v, axis, keepdims=True))**2, axis, keepdims=True))\n"
    "z = zscore(x, 1)\npeak = max(abs(z))\nreturn z, peak\n",
    "param x: float64[n, m]\nparam y: float64[m]\ns = sum(x*y, (0, -1))\ns if s > 0 and not s == inf else -s\n",
    "def f(a, b=2.5e-3) { c = a[1:-1, ..., newaxis]; d = [c,\n c]\n return c, d }\np, q = f(x, b=0xff)\np << 3 | ~q & 1 ^ 2\n",
    "0 < x <= 1_000 != y\nx.T**-2 // 3j % 4 # comment\n",
    "def g(x, by=1) {\n  y = [x,\n    by]\n  def h(z) { z + 1 }\n  return h(y[0]), y\n}\ng(1)\n",
    "kernel f(a, out) {\n  i = grid(1)\n  if i < len(out) { out[i] = (a[i] +\n 1) }\n}\nfor k in range(3) { x = x + k }\nx\n",
};

static uint32_t next_random(uint32_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 17;
    *s ^= *s << 5;
    return *s;
}

static size_t mutate(char *text, size_t n, size_t room, uint32_t *s)
{
    static const char bits[] = "()[]{}=,;:.\n#+-*/<>!~^&|\"\\ \t0x9e_aj\x80\xc3\xff";
    unsigned kind = next_random(s) % 4;
    size_t at = n ? next_random(s) % n : 0, length = next_random(s) % 8;
    if (kind == 0 && n)
        text[at] = bits[next_random(s) % (sizeof bits - 1)];
    if (kind == 1 && at + length <= n) { /* a piece goes */
        memmove(text + at, text + at + length, n - at - length);
        n -= length;
    }
    if (kind == 2 && n + length <= room && at + length <= n) { /* a piece comes twice */
        memmove(text + at + length, text + at, n - at);
        n += length;
    }
    if (kind == 3 && n + 1 <= room) {
        memmove(text + at + 1, text + at, n - at);
        text[at] = bits[next_random(s) % (sizeof bits - 1)];
        n++;
    }
    return n;
}

/* Every outcome is a tree or a diagnostic; spans lie inside the text, and rendering them works. */
static void test_mutations(void **state)
{
    enum { ROUNDS = 20000, ROOM = 1024 };
    uint32_t s = 2463534242u;
    unsigned trees_made = 0;
    (void)state;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct parsed p;
        char text[ROOM];
        const char *from = corpus[i % (sizeof corpus / sizeof *corpus)];
        size_t n = strlen(from);
        memcpy(text, from, n);
        for (unsigned k = 1 + next_random(&s) % 6; k; k--)
            n = mutate(text, n, ROOM, &s);
        parse(&p, text, n, (struct ast_limits){.max_nesting = 40, .max_nodes = 2000}, 1 << 20);
        assert_true(p.jumped || p.tree || p.diags.n_errors);
        assert_false(p.tree && p.diags.n_errors);
        trees_made += p.tree != NULL;
        diags_set_source(&p.diags, "mutated", text, n);
        for (unsigned k = 0; k < p.diags.n; k++)
            assert_true(p.diags.at[k].span.begin <= p.diags.at[k].span.end && p.diags.at[k].span.end <= n);
        struct strbuf out = {0};
        diags_render(&p.diags, &out);
        if (p.tree)
            ast_print(p.tree, true, &out);
        strbuf_fini(&out);
        done(&p);
    }
    assert_true(trees_made > 100 && trees_made < ROUNDS - 100); /* else it mutates nothing, or everything to pieces */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trees), cmocka_unit_test(test_locale),      cmocka_unit_test(test_spans),       cmocka_unit_test(test_errors),      cmocka_unit_test(test_nul_byte),    cmocka_unit_test(test_limits),
        cmocka_unit_test(test_long_chain), cmocka_unit_test(test_stops_at_limit), cmocka_unit_test(test_arena_limit), cmocka_unit_test(test_many_errors), cmocka_unit_test(test_long_rests), cmocka_unit_test(test_mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
