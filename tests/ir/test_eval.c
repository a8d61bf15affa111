/* Constants are computed to the bits that running gives, and conversions mean what they say where C leaves it open. */
#include <math.h>
#include <string.h>
#include "fixture.h"

static enum dtype result_of(enum op op, enum dtype t)
{
    enum type_rule rule = op_table[op].rule;
    return rule == RULE_COMPARE || rule == RULE_LOGIC || rule == RULE_TEST ? DT_bool : t;
}

/* op on constants in one tree, on inputs with the same values in another. */
static void fold_one(enum op op, enum dtype t, const double *values)
{
    unsigned n = op_table[op].arity;
    struct ir_faults faults = {0};
    uint64_t bits[3], got = 0, folded;
    ir_id consts[3], inputs[3];
    struct ir_array arrays[3] = {{0}};
    ir_anew();
    for (unsigned k = 0; k < n; k++) {
        enum dtype type = op_table[op].rule == RULE_SELECT && k == 0 ? DT_bool : t;
        bits[k] = from_double(type, values[k]);
        consts[k] = ir_const(&ir, type, bits[k], 0, NOWHERE);
        inputs[k] = input((const char *const[]){"x", "y", "z"}[k], type, 0);
        arrays[k].data = &bits[k];
    }
    ir_id c = ir_elem(&ir, op, result_of(op, t), consts, n, 0, NOWHERE, &diags),
          r = ir_elem(&ir, op, result_of(op, t), inputs, n, 0, NOWHERE, &diags);
    if (ir_at(&ir, c)->op != OP_const)
        return; /* what raises a fault is left to run */
    folded = ir_at(&ir, c)->attr;
    vec_push(&arena, &ir.outputs, ((struct ir_output){.name = str_of("r"), .node = r}));
    int64_t dims[8] = {1};
    assert_true(ir_eval(&ir, arrays, dims, (void *[]){&got}, &faults));
    eval_canonical(result_of(op, t), &folded, 1);
    if (memcmp(&got, &folded, type_table[result_of(op, t)].size))
        fail_msg("%s of %s, %g %g %g: folds to %llx, runs to %llx", op_table[op].name, type_table[t].name,
                 values[0], n > 1 ? values[1] : 0, n > 2 ? values[2] : 0, (unsigned long long)folded,
                 (unsigned long long)got);
    assert_int_equal(faults.bits, 0);
}

static void test_folding(void **state)
{
    unsigned rows = 0;
    bool seen[PRIM_COUNT] = {false};
    (void)state;
    for (enum op op = OP_none + 1; op < OP_COUNT; op++)
        for (enum dtype t = DT_none + 1; t < DT_COUNT; t++) {
            if (op_table[op].kind != OPK_ELEM || !works(t) || op_prim(op, t) <= PRIM_math)
                continue;
            rows++;
            seen[op_prim(op, t)] = true;
            for (int i = 0; i < N_SPECIALS; i++)
                for (int j = 0; j < (op_table[op].arity > 1 ? N_SPECIALS : 1); j++)
                    fold_one(op, t, (double[]){specials[i], specials[j], specials[(i + j) % N_SPECIALS]});
        }
    assert_true(rows > 100);
    for (enum prim prim = PRIM_math + 1; prim < PRIM_COUNT; prim++)
        if (!seen[prim])
            fail_msg("%s was not folded", prim_table[prim].name);
}

/* A conversion of a constant, and of an input with the same value. */
static void convert_one(enum dtype from, enum dtype to, double value,
                        ir_id (*convert)(struct ir *, ir_id, enum dtype, struct span))
{
    uint64_t bits = from_double(from, value), got = 0, folded;
    struct ir_array array = {.data = &bits};
    struct ir_faults faults = {0};
    ir_anew();
    ir_id c = convert(&ir, ir_const(&ir, from, bits, 0, NOWHERE), to, NOWHERE),
          r = convert(&ir, input("x", from, 0), to, NOWHERE);
    assert_int_equal(ir_at(&ir, c)->op, OP_const);
    folded = ir_at(&ir, c)->attr;
    vec_push(&arena, &ir.outputs, ((struct ir_output){.node = r}));
    assert_null(ir_verify(&ir));
    assert_true(ir_eval(&ir, &array, (int64_t[]){1}, (void *[]){&got}, &faults));
    eval_canonical(to, &folded, 1);
    if (memcmp(&got, &folded, type_table[to].size))
        fail_msg("%g from %s to %s: folds to %llx, runs to %llx", value, type_table[from].name,
                 type_table[to].name, (unsigned long long)folded, (unsigned long long)got);
}

static void test_conversions(void **state)
{
    (void)state;
    for (enum dtype from = DT_none + 1; from < DT_COUNT; from++)
        for (enum dtype to = DT_none + 1; to < DT_COUNT; to++)
            for (int i = 0; works(from) && works(to) && i < N_SPECIALS; i++) {
                convert_one(from, to, specials[i], ir_cast);
                if (type_table[from].size == type_table[to].size && to != DT_bool)
                    convert_one(from, to, specials[i], ir_bitcast);
            }
}

/* What conversion means where C leaves it open: the ends of the range, 0 for nan, never 0 for what is not. */
static void test_conversion_values(void **state)
{
    static const struct {
        enum dtype to;
        double from;
        int64_t want;
    } cases[] = {
        {DT_int32, 3e9, INT32_MAX},
        {DT_int32, -3e9, INT32_MIN},
        {DT_int32, NAN, 0},
        {DT_int32, -7.9, -7},
        {DT_int8, 300, 127},
        {DT_int8, -300, -128},
        {DT_int64, INFINITY, INT64_MAX},
        {DT_int64, -INFINITY, INT64_MIN},
        {DT_int64, 9007199254740993.0, 9007199254740992},
        {DT_uint8, -1, 0},
        {DT_uint8, 255.9, 255},
        {DT_uint8, 256, 255},
        {DT_uint32, 4294967295.0, 4294967295},
        {DT_uint32, 1e10, 4294967295},
        {DT_uint64, -0.5, 0},
        {DT_bool, 5e-324, 1},
        {DT_bool, -0.0, 0},
        {DT_bool, NAN, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t got = 0;
        uint64_t bits = 0;
        eval_cast(cases[i].to, &bits, DT_float64, &cases[i].from, 1);
        eval_cast(DT_int64, &got, cases[i].to, &bits, 1);
        if (got != cases[i].want)
            fail_msg("%g to %s gives %lld", cases[i].from, type_table[cases[i].to].name, (long long)got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_folding),
        TEST(test_conversions),
        TEST(test_conversion_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
