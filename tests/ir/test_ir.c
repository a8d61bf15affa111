/* The array IR: equal nodes are one, folding is what running gives, rules change no bit, shapes, the verifier, the fixed tree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ir/eval.h"
#include "plans.h"

#define NOWHERE ((struct span){0, 0})

static struct arena arena;
static struct diags diags;
static struct ir ir;
static jmp_buf failed;

static int begin(void **state)
{
    (void)state;
    arena_init(&arena, 0);
    arena.on_fail = &failed;
    diags_init(&diags);
    ir_init(&ir, &arena, 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    arena_fini(&arena);
    diags_fini(&diags);
    return 0;
}

static ir_id input(const char *name, enum dtype t, unsigned rank)
{
    return ir_input_new(&ir, str_of(name), t, rank, false, NOWHERE);
}

static ir_id two(enum op op, enum dtype result, ir_id a, ir_id b)
{
    return ir_elem(&ir, op, result, (ir_id[]){a, b}, 2, 0, NOWHERE, &diags);
}

static ir_id real(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return ir_const(&ir, DT_float64, bits, 0, NOWHERE);
}

static ir_id whole(int64_t v)
{
    return ir_const(&ir, DT_int64, (uint64_t)v, 0, NOWHERE);
}

static bool works(enum dtype t)
{
    return t != DT_none && type_table[t].works;
}

/* ---- nodes ---- */

static void test_equal_nodes(void **state)
{
    ir_id x = input("x", DT_float64, 1), y = input("y", DT_float64, 1);
    (void)state;
    assert_int_equal(two(OP_add, DT_float64, x, y), two(OP_add, DT_float64, x, y));
    assert_int_equal(two(OP_add, DT_float64, x, y), two(OP_add, DT_float64, y, x));
    assert_int_not_equal(two(OP_subtract, DT_float64, x, y), two(OP_subtract, DT_float64, y, x));
    assert_int_equal(real(2), real(2));
    assert_int_not_equal(real(0.0), real(-0.0));
    assert_int_not_equal(real(2), ir_const(&ir, DT_int64, 0x4000000000000000, 0, NOWHERE)); /* the same bits, another type */
    assert_int_equal(ir_reduce(&ir, OP_sum, x, 1, false, NOWHERE), ir_reduce(&ir, OP_sum, x, 1, false, NOWHERE));
    assert_int_not_equal(ir_reduce(&ir, OP_sum, x, 1, false, NOWHERE), ir_reduce(&ir, OP_sum, x, 1, true, NOWHERE));
}

static void test_many_nodes(void **state)
{
    enum { N = 5000 };
    static ir_id first[N];
    ir_id x = input("x", DT_float64, 1);
    (void)state;
    for (int i = 0; i < N; i++)
        first[i] = two(OP_multiply, DT_float64, x, real(i + 2));
    for (int i = 0; i < N; i++)
        assert_int_equal(two(OP_multiply, DT_float64, x, real(i + 2)), first[i]);
    assert_null(ir_verify(&ir));
}

/* Many declared inputs with extents change their nodes' hashes: this used to fill the table and never end. */
static void test_many_params(void **state)
{
    enum { N = 600 };
    char *text = malloc(N * 40), *at = text;
    struct test_plan p;
    (void)state;
    for (int i = 0; i < N; i++)
        at += sprintf(at, "param a%d: float64[n%d, 3]\n", i, i % 7);
    sprintf(at, "a0");
    assert_true(plan_make(&p, text, DT_float64) || p.diags.n); /* rank 1 is given: an error, but an answer */
    plan_fini(&p);
    free(text);
}

static void test_node_limit(void **state)
{
    (void)state;
    ir_init(&ir, &arena, 50);
    volatile int made = 0;
    if (setjmp(failed) == 0) {
        for (;; made++)
            real(made);
    }
    assert_int_equal(arena.failure, ARENA_OVER_LIMIT);
    assert_in_range(made, 40, 50);
}

/* ---- folding: the bits that running gives ---- */

static uint64_t from_double(enum dtype t, double v)
{
    uint64_t bits = 0;
    float f = (float)v;
    switch (type_table[t].cls) {
    case CLASS_BOOL:
        return v != 0;
    case CLASS_FLOAT:
        if (type_table[t].size == 8)
            memcpy(&bits, &v, 8);
        else if (type_table[t].size == 4)
            memcpy(&bits, &f, 4);
        else
            eval_cast(t, &bits, DT_float64, &v, 1);
        return bits;
    default:
        eval_cast(t, &bits, DT_float64, &v, 1);
        return bits;
    }
}

static const double specials[] = {0.0, -0.0, 1, -1, 2, 3, -7, 0.5, 63, 64, 1e10, -1e300, 5e-324, INFINITY, -INFINITY, NAN, 9.3e18, -9.3e18};
enum { N_SPECIALS = sizeof specials / sizeof *specials };

static enum dtype result_of(enum op op, enum dtype t)
{
    enum type_rule rule = op_table[op].rule;
    return rule == RULE_COMPARE || rule == RULE_LOGIC || rule == RULE_TEST ? DT_bool : t;
}

/* op on constants in one tree, on inputs with the same values in another. */
static void fold_one(enum op op, enum dtype t, const double *values)
{
    unsigned n = op_table[op].arity, faults = 0;
    uint64_t bits[3], got = 0, folded;
    ir_id consts[3], inputs[3];
    struct ir_array arrays[3] = {{0}};
    arena_fini(&arena);
    arena_init(&arena, 0);
    arena.on_fail = &failed;
    ir_init(&ir, &arena, 0);
    for (unsigned k = 0; k < n; k++) {
        enum dtype type = op_table[op].rule == RULE_SELECT && k == 0 ? DT_bool : t;
        bits[k] = from_double(type, values[k]);
        consts[k] = ir_const(&ir, type, bits[k], 0, NOWHERE);
        inputs[k] = input((const char *const[]){"x", "y", "z"}[k], type, 0);
        arrays[k].data = &bits[k];
    }
    ir_id c = ir_elem(&ir, op, result_of(op, t), consts, n, 0, NOWHERE, &diags), r = ir_elem(&ir, op, result_of(op, t), inputs, n, 0, NOWHERE, &diags);
    if (ir_at(&ir, c)->op != OP_const)
        return; /* what raises a fault is left to run */
    folded = ir_at(&ir, c)->attr;
    vec_push(&arena, &ir.outputs, ((struct ir_output){.name = str_of("r"), .node = r}));
    int64_t dims[8] = {1};
    assert_true(ir_eval(&ir, arrays, dims, (void *[]){&got}, &faults));
    eval_canonical(result_of(op, t), &folded, 1);
    if (memcmp(&got, &folded, type_table[result_of(op, t)].size))
        fail_msg("%s of %s, %g %g %g: folds to %llx, runs to %llx", op_table[op].name, type_table[t].name, values[0], n > 1 ? values[1] : 0, n > 2 ? values[2] : 0,
                 (unsigned long long)folded, (unsigned long long)got);
    assert_int_equal(faults, 0);
}

static void test_folding(void **state)
{
    unsigned rows = 0;
    (void)state;
    for (enum op op = OP_none + 1; op < OP_COUNT; op++)
        for (enum dtype t = DT_none + 1; t < DT_COUNT; t++) {
            if (op_table[op].kind != OPK_ELEM || !works(t) || op_prim(op, t) <= PRIM_math)
                continue;
            rows++;
            for (int i = 0; i < N_SPECIALS; i++)
                for (int j = 0; j < (op_table[op].arity > 1 ? N_SPECIALS : 1); j++)
                    fold_one(op, t, (double[]){specials[i], specials[j], specials[(i + j) % N_SPECIALS]});
        }
    assert_true(rows > 100);
}

/* ---- rules ---- */

static void test_rules(void **state)
{
    ir_id x = input("x", DT_float64, 1), i = input("i", DT_int64, 1), b = input("b", DT_bool, 1);
    ir_id minus = ir_elem(&ir, OP_negative, DT_float64, &x, 1, 0, NOWHERE, &diags), not_b = ir_elem(&ir, OP_logical_not, DT_bool, &b, 1, 0, NOWHERE, &diags);
    const ir_id zero = whole(0), one = whole(1);
    (void)state;
    /* exact: what is left is x */
    const ir_id gone[] = {two(OP_add, DT_float64, x, real(-0.0)), two(OP_subtract, DT_float64, x, real(0)), two(OP_multiply, DT_float64, real(1), x),
                          two(OP_divide, DT_float64, x, real(1)), ir_elem(&ir, OP_negative, DT_float64, &minus, 1, 0, NOWHERE, &diags),
                          two(OP_minimum, DT_float64, x, x), two(OP_maximum, DT_float64, x, x)};
    for (size_t k = 0; k < sizeof gone / sizeof *gone; k++)
        if (gone[k] != x)
            fail_msg("case %zu is left", k);
    const ir_id gone_i[] = {two(OP_add, DT_int64, zero, i), two(OP_multiply, DT_int64, i, one), two(OP_power, DT_int64, i, one), two(OP_left_shift, DT_int64, i, zero),
                            two(OP_bitwise_or, DT_int64, i, zero), two(OP_bitwise_xor, DT_int64, zero, i), two(OP_bitwise_and, DT_int64, i, i)};
    for (size_t k = 0; k < sizeof gone_i / sizeof *gone_i; k++)
        if (gone_i[k] != i)
            fail_msg("integer case %zu is left", k);
    assert_int_equal(ir_elem(&ir, OP_logical_not, DT_bool, &not_b, 1, 0, NOWHERE, &diags), b);
    assert_int_equal(two(OP_power, DT_int64, i, whole(2)), two(OP_multiply, DT_int64, i, i));
    assert_int_equal(ir_elem(&ir, OP_where, DT_float64, (ir_id[]){two(OP_less, DT_bool, x, minus), x, x}, 3, 0, NOWHERE, &diags), x);
    assert_int_equal(ir_elem(&ir, OP_where, DT_float64, (ir_id[]){ir_const(&ir, DT_bool, 0, 0, NOWHERE), minus, x}, 3, 0, NOWHERE, &diags), x);
    /* a bit would change: -0.0, nan, infinities, rounding */
    const ir_id kept[] = {two(OP_add, DT_float64, x, real(0.0)), two(OP_multiply, DT_float64, x, real(0)), two(OP_subtract, DT_float64, x, x),
                          two(OP_divide, DT_float64, x, x), two(OP_divide, DT_float64, x, real(3)), two(OP_subtract, DT_float64, real(0), x),
                          two(OP_equal, DT_bool, x, x), two(OP_subtract, DT_float64, x, real(-0.0)), two(OP_floor_divide, DT_int64, i, i)};
    for (size_t k = 0; k < sizeof kept / sizeof *kept; k++)
        if (kept[k] == x || ir_at(&ir, kept[k])->op == OP_const || ir_at(&ir, kept[k])->op == OP_negative)
            fail_msg("case %zu was rewritten", k);
}

/* x + 0 with x of rank 0 and 0 ... of no rank either; but a rule may not lose a broadcast. */
static void test_rules_keep_shapes(void **state)
{
    ir_id s = input("s", DT_float64, 0), x = input("x", DT_float64, 1), ones = two(OP_multiply, DT_float64, x, real(0));
    (void)state;
    ir_id chosen = ir_elem(&ir, OP_where, DT_float64, (ir_id[]){ir_const(&ir, DT_bool, 1, 0, NOWHERE), s, ones}, 3, 0, NOWHERE, &diags);
    assert_int_equal(ir.shapes.at[ir_at(&ir, chosen)->shape].rank, 1);
}

/* ---- shapes ---- */

static void test_shapes(void **state)
{
    ir_id x = input("x", DT_float64, 2), y = input("y", DT_float64, 1), z = two(OP_add, DT_float64, x, y);
    int64_t values[32], extents[2][IR_MAX_RANK] = {{3, 4}, {4}};
    const struct ir_shape *s = &ir.shapes.at[ir_at(&ir, z)->shape];
    (void)state;
    assert_int_equal(s->rank, 2);
    for (int64_t last = 0; last < 6; last++) {
        extents[1][0] = last;
        diags_fini(&diags);
        bool ok = ir_shapes_resolve(&ir, (const int64_t(*)[IR_MAX_RANK])extents, NULL, values, &diags);
        assert_int_equal(ok, last == 1 || last == 4);
        if (ok) {
            assert_int_equal(values[s->dim[0]], 3);
            assert_int_equal(values[s->dim[1]], 4);
        } else {
            assert_int_equal(diags.at[0].id, AX_shape_mismatch);
            assert_non_null(strstr(diags.at[0].message, "(3, 4)"));
            assert_non_null(strstr(diags.at[0].message, "axis 1 has 4 and"));
        }
    }
    extents[0][1] = 1, extents[1][0] = 0; /* 1 stretches to nothing */
    diags_fini(&diags);
    assert_true(ir_shapes_resolve(&ir, (const int64_t(*)[IR_MAX_RANK])extents, NULL, values, &diags));
    assert_int_equal(values[s->dim[1]], 0);
}

static void test_checks(void **state)
{
    int64_t values[32], extents[2][IR_MAX_RANK] = {{3, 0}, {0}};
    ir_id x = input("x", DT_float64, 2), least = ir_reduce(&ir, OP_min, x, 2, false, NOWHERE);
    (void)state;
    assert_int_equal(ir.shapes.at[ir_at(&ir, least)->shape].rank, 1);
    assert_false(ir_shapes_resolve(&ir, (const int64_t(*)[IR_MAX_RANK])extents, NULL, values, &diags));
    assert_int_equal(diags.at[0].id, AX_empty_reduction);
    extents[0][0] = 0; /* no minimum is asked for */
    diags_fini(&diags);
    assert_true(ir_shapes_resolve(&ir, (const int64_t(*)[IR_MAX_RANK])extents, NULL, values, &diags));
}

/* Extents that the text itself gives and that can never meet are told before any call. */
static void test_static_clash(void **state)
{
    struct test_plan p;
    (void)state;
    assert_false(plan_make(&p, "param x: float64[3]\nparam y: float64[4]\nx + y", DT_float64));
    assert_int_equal(p.diags.at[0].id, AX_shape_mismatch);
    plan_fini(&p);
    assert_true(plan_make(&p, "param x: float64[3]\nparam y: float64[1]\nx + y", DT_float64));
    plan_fini(&p);
}

/* ---- regions, liveness, the verifier ---- */

static void test_regions(void **state)
{
    ir_id x = input("x", DT_float64, 1), big = two(OP_greater, DT_bool, x, real(10)), fast = two(OP_add, DT_float64, x, real(1));
    uint32_t region = ir_region_begin(&ir);
    ir_id slow = two(OP_divide, DT_float64, x, real(3)), same = two(OP_add, DT_float64, x, real(1));
    ir_region_end(&ir);
    ir_id r = ir_rarely(&ir, big, region, slow, fast, NOWHERE, &diags), outside = two(OP_divide, DT_float64, x, real(3));
    uint8_t live[64];
    (void)state;
    assert_int_equal(same, fast); /* what is computed outside is seen inside */
    assert_int_not_equal(slow, outside); /* and not the other way round */
    vec_push(&arena, &ir.outputs, ((struct ir_output){.node = r}));
    assert_null(ir_verify(&ir));
    ir_live(&ir, live);
    assert_true(live[slow] && live[fast] && live[big] && !live[outside]);
    ir_at(&ir, r)->args[2] = slow; /* the fast side reaches into the slow one */
    assert_non_null(ir_verify(&ir));
}

static void corrupt_and_verify(ir_id id, size_t offset, uint8_t value)
{
    uint8_t *at = (uint8_t *)ir_at(&ir, id) + offset, before = *at;
    assert_null(ir_verify(&ir));
    *at = value;
    assert_non_null(ir_verify(&ir));
    *at = before;
}

static void test_verifier(void **state)
{
    ir_id x = input("x", DT_float64, 1), y = two(OP_multiply, DT_float64, x, x), z = two(OP_add, DT_float64, y, x);
    (void)state;
    vec_push(&arena, &ir.outputs, ((struct ir_output){.node = z}));
    corrupt_and_verify(z, offsetof(struct ir_node, dtype), DT_none);
    corrupt_and_verify(z, offsetof(struct ir_node, dtype), DT_COUNT);
    corrupt_and_verify(z, offsetof(struct ir_node, n_args), 1);
    corrupt_and_verify(y, offsetof(struct ir_node, args), (uint8_t)z); /* a later one */
    corrupt_and_verify(y, offsetof(struct ir_node, args), 0);          /* poison */
    ir.outputs.at[0].node = 0;
    assert_non_null(ir_verify(&ir));
}

/* ---- the fixed tree, written down once more and plainly ---- */

static double halve(double *lane, size_t n)
{
    for (n /= 2; n >= 1; n /= 2)
        for (size_t i = 0; i < n; i++)
            lane[i] = lane[i] + lane[i + n];
    return lane[0];
}

static double over_lanes(const double *x, size_t n, size_t lanes)
{
    double lane[1024];
    for (size_t i = 0; i < lanes; i++)
        lane[i] = -0.0;
    for (size_t i = 0; i < n; i++)
        lane[i % lanes] = lane[i % lanes] + x[i];
    return halve(lane, lanes);
}

static double tree_sum(const double *x, size_t n)
{
    size_t blocks = n > 4096 ? (n + 4095) / 4096 : 1;
    double *partial = malloc(blocks * sizeof *partial), sum;
    for (size_t b = 0; b < blocks; b++)
        partial[b] = over_lanes(x + b * 4096, n - b * 4096 < 4096 ? n - b * 4096 : 4096, 64);
    sum = blocks == 1 ? partial[0] : over_lanes(partial, blocks, 1024);
    free(partial);
    return n ? sum : 0.0;
}

static double chunk_sum(const double *x, size_t n, size_t stride)
{
    double *partial, sum = -0.0;
    if (n <= 256) {
        for (size_t i = 0; i < n; i++)
            sum = sum + x[i * stride];
        return sum;
    }
    size_t chunks = (n + 255) / 256;
    partial = malloc(chunks * sizeof *partial);
    for (size_t c = 0; c < chunks; c++)
        partial[c] = chunk_sum(x + c * 256 * stride, n - c * 256 < 256 ? n - c * 256 : 256, stride);
    sum = chunk_sum(partial, chunks, 1);
    free(partial);
    return sum;
}

/* sum over `axes` of x with the given extents, by the evaluator. */
static void evaluate_sum(const double *x, unsigned rank, const int64_t *extent, unsigned axes, double *out)
{
    int64_t values[32], extents[1][IR_MAX_RANK] = {{0}};
    struct ir_array a = {.data = (void *)(uintptr_t)x};
    unsigned faults = 0;
    end(NULL);
    begin(NULL);
    ir_id r = ir_reduce(&ir, OP_sum, input("x", DT_float64, rank), axes, false, NOWHERE);
    int64_t stride = sizeof(double);
    for (unsigned d = rank; d-- > 0; stride *= extent[d]) {
        extents[0][d] = extent[d];
        a.stride[d] = stride;
    }
    vec_push(&arena, &ir.outputs, ((struct ir_output){.node = r}));
    assert_true(ir_shapes_resolve(&ir, (const int64_t(*)[IR_MAX_RANK])extents, NULL, values, &diags));
    assert_true(ir_eval(&ir, &a, values, (void *[]){out}, &faults));
}

static double *numbers(size_t n)
{
    double *x = malloc((n + 1) * sizeof *x);
    uint64_t s = 88172645463325252u;
    for (size_t i = 0; i < n; i++) {
        s ^= s << 13, s ^= s >> 7, s ^= s << 17;
        x[i] = ((double)(s >> 11) - 4503599627370496.0) * (double)(1 + (s & 1023));
    }
    return x;
}

static void test_tree_of_rows(void **state)
{
    static const int64_t lengths[] = {0, 1, 2, 63, 64, 65, 127, 129, 1023, 1025, 4095, 4096, 4097, 8192, 100003, 4200000, 4999999, 6000000, 8400000};
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        double *x = numbers((size_t)lengths[i]), got, want = tree_sum(x, (size_t)lengths[i]);
        evaluate_sum(x, 1, &lengths[i], 1, &got);
        assert_memory_equal(&got, &want, sizeof got);
        free(x);
    }
}

static void test_tree_of_columns(void **state)
{
    static const int64_t rows[] = {1, 2, 255, 256, 257, 1000, 65536, 70000};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double *x = numbers((size_t)rows[i] * 3), got[3];
        evaluate_sum(x, 2, (int64_t[]){rows[i], 3}, 1, got);
        for (size_t c = 0; c < 3; c++) {
            double want = chunk_sum(x + c, (size_t)rows[i], 3);
            assert_memory_equal(&got[c], &want, sizeof want);
        }
        free(x);
    }
}

/* Several axes are one sequence, in logical order. */
static void test_tree_of_axes(void **state)
{
    enum { A = 30, B = 7, C = 40 };
    double *x = numbers(A * B * C), got[B], row[A * C];
    (void)state;
    evaluate_sum(x, 3, (int64_t[]){A, B, C}, 5, got);
    for (int b = 0; b < B; b++) {
        for (int a = 0; a < A; a++)
            memcpy(row + a * C, x + (a * B + b) * C, C * sizeof *row);
        double want = tree_sum(row, A * C);
        assert_memory_equal(&got[b], &want, sizeof want);
    }
    free(x);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_equal_nodes), TEST(test_many_nodes),   TEST(test_many_params), TEST(test_node_limit),   TEST(test_folding),         TEST(test_rules),       TEST(test_rules_keep_shapes), TEST(test_shapes),
        TEST(test_checks),      TEST(test_static_clash), TEST(test_regions),     TEST(test_verifier),     TEST(test_tree_of_rows),    TEST(test_tree_of_columns), TEST(test_tree_of_axes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
