/* The array IR: equal nodes are one, folding is what running gives, rules change no bit, shapes, the verifier. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fixture.h"
#include "plans.h"

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
    return t != DT_none && type_table[t].works && !type_is_complex(t); /* complex values are pairs of others */
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
    assert_int_not_equal(
        real(2), ir_const(&ir, DT_int64, 0x4000000000000000, 0, NOWHERE)); /* the same bits, another type */
    assert_int_equal(ir_reduce(&ir, OP_sum, x, 1, false, NOWHERE),
                     ir_reduce(&ir, OP_sum, x, 1, false, NOWHERE));
    assert_int_not_equal(ir_reduce(&ir, OP_sum, x, 1, false, NOWHERE),
                         ir_reduce(&ir, OP_sum, x, 1, true, NOWHERE));
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

/* A table's numbers: which table, column and index they are of tells them apart; of a known index they are known. */
static void test_tables(void **state)
{
    (void)state;
    for (unsigned t = 0; t < TABLE_COUNT; t++) {
        const enum dtype dtype = table_table[t].dtype;
        ir_end(state);
        ir_begin(state);
        ir_id i = input("i", type_bits(dtype), 1), j = input("j", type_bits(dtype), 1);
        ir_id first = ir_table(&ir, (enum table)t, 0, i, NOWHERE);
        assert_int_equal(ir_at(&ir, first)->dtype, dtype);
        assert_int_equal(ir_at(&ir, first)->shape, ir_at(&ir, i)->shape);
        assert_int_equal(first, ir_table(&ir, (enum table)t, 0, i, NOWHERE));
        assert_int_not_equal(first, ir_table(&ir, (enum table)t, 1, i, NOWHERE));
        assert_int_not_equal(first, ir_table(&ir, (enum table)t, 0, j, NOWHERE));
        for (unsigned other = 0; other < TABLE_COUNT; other++)
            if (other != t && table_table[other].dtype == dtype)
                assert_int_not_equal(first, ir_table(&ir, (enum table)other, 0, i, NOWHERE));
        for (unsigned column = 0; column < TABLE_COLUMNS; column++)
            for (int row = -3; row < 3; row++) {
                size_t size = type_table[dtype].size, at = ((uint32_t)row & (table_table[t].rows - 1)) * TABLE_COLUMNS + column;
                ir_id known = ir_table(&ir, (enum table)t, column, ir_const(&ir, type_bits(dtype), (uint64_t)(int64_t)row, 0, NOWHERE), NOWHERE);
                assert_int_equal(ir_at(&ir, known)->op, OP_const);
                assert_memory_equal(&ir_at(&ir, known)->attr, (const char *)table_table[t].data + at * size, size);
            }
    }
}

/* A part of what is looked up is looked up by a part of the indices. */
static void test_part_of_a_table(void **state)
{
    ir_id i = input("i", type_bits(table_table[0].dtype), 1), all = ir_table(&ir, (enum table)0, 2, i, NOWHERE);
    struct ir_step step = {.kind = STEP_SLICE, .slice = {.step = 2}};
    ir_id part = ir_view(&ir, all, step, NOWHERE, &diags);
    (void)state;
    assert_int_equal(ir_at(&ir, part)->op, OP_table);
    assert_int_equal(ir_at(&ir, part)->attr, ir_at(&ir, all)->attr);
    assert_int_equal(ir_at(&ir, ir_at(&ir, part)->args[0])->op, OP_view);
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
    assert_int_equal(arena.failure, ARENA_TOO_MANY);
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

static const double specials[] = {0.0, -0.0, 1,      -1,     2,        3,         -7,  0.5,    63,
                                  64,  1e10, -1e300, 5e-324, INFINITY, -INFINITY, NAN, 9.3e18, -9.3e18};
enum { N_SPECIALS = sizeof specials / sizeof *specials };

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
    ir_end(NULL);
    ir_begin(NULL);
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

/* The library's raw bits are a node of their own: what keeps a nan as it is must not stand in for what makes it canonical. */
static void test_raw_bits(void **state)
{
    ir_id x = input("x", DT_float64, 1);
    ir_id raw = ir_bitcast_of_number(&ir, x, DT_int64, NOWHERE), bits = ir_bitcast(&ir, x, DT_int64, NOWHERE);
    (void)state;
    assert_int_not_equal(raw, bits);
    assert_int_equal(raw, ir_bitcast_of_number(&ir, x, DT_int64, NOWHERE));
    assert_int_equal(bits, ir_bitcast(&ir, x, DT_int64, NOWHERE));
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

/* ---- rules ---- */

static void test_rules(void **state)
{
    ir_id x = input("x", DT_float64, 1), i = input("i", DT_int64, 1), b = input("b", DT_bool, 1);
    ir_id minus = ir_elem(&ir, OP_negative, DT_float64, &x, 1, 0, NOWHERE, &diags),
          not_b = ir_elem(&ir, OP_logical_not, DT_bool, &b, 1, 0, NOWHERE, &diags);
    const ir_id zero = whole(0), one = whole(1);
    (void)state;
    /* exact: what is left is x */
    const ir_id gone[] = {two(OP_add, DT_float64, x, real(-0.0)),
                          two(OP_subtract, DT_float64, x, real(0)),
                          two(OP_multiply, DT_float64, real(1), x),
                          two(OP_divide, DT_float64, x, real(1)),
                          ir_elem(&ir, OP_negative, DT_float64, &minus, 1, 0, NOWHERE, &diags),
                          two(OP_minimum, DT_float64, x, x),
                          two(OP_maximum, DT_float64, x, x)};
    for (size_t k = 0; k < sizeof gone / sizeof *gone; k++)
        if (gone[k] != x)
            fail_msg("case %zu is left", k);
    const ir_id gone_i[] = {two(OP_add, DT_int64, zero, i),        two(OP_multiply, DT_int64, i, one),
                            two(OP_power, DT_int64, i, one),       two(OP_left_shift, DT_int64, i, zero),
                            two(OP_bitwise_or, DT_int64, i, zero), two(OP_bitwise_xor, DT_int64, zero, i),
                            two(OP_bitwise_and, DT_int64, i, i)};
    for (size_t k = 0; k < sizeof gone_i / sizeof *gone_i; k++)
        if (gone_i[k] != i)
            fail_msg("integer case %zu is left", k);
    assert_int_equal(ir_elem(&ir, OP_logical_not, DT_bool, &not_b, 1, 0, NOWHERE, &diags), b);
    assert_int_equal(two(OP_power, DT_int64, i, whole(2)), two(OP_multiply, DT_int64, i, i));
    assert_int_equal(ir_elem(&ir, OP_where, DT_float64, (ir_id[]){two(OP_less, DT_bool, x, minus), x, x}, 3,
                             0, NOWHERE, &diags),
                     x);
    assert_int_equal(ir_elem(&ir, OP_where, DT_float64,
                             (ir_id[]){ir_const(&ir, DT_bool, 0, 0, NOWHERE), minus, x}, 3, 0, NOWHERE,
                             &diags),
                     x);
    /* a bit would change: -0.0, nan, infinities, rounding */
    const ir_id kept[] = {two(OP_add, DT_float64, x, real(0.0)),  two(OP_multiply, DT_float64, x, real(0)),
                          two(OP_subtract, DT_float64, x, x),     two(OP_divide, DT_float64, x, x),
                          two(OP_divide, DT_float64, x, real(3)), two(OP_subtract, DT_float64, real(0), x),
                          two(OP_equal, DT_bool, x, x),           two(OP_subtract, DT_float64, x, real(-0.0)),
                          two(OP_floor_divide, DT_int64, i, i)};
    for (size_t k = 0; k < sizeof kept / sizeof *kept; k++)
        if (kept[k] == x || ir_at(&ir, kept[k])->op == OP_const || ir_at(&ir, kept[k])->op == OP_negative)
            fail_msg("case %zu was rewritten", k);
}

enum rule_kind { KEEPS, SQUARES, TWICE_IS, ALIKES, INVERTS };
enum { LEFT = 1, RIGHT = 2, EITHER = 3 };

static const struct rule {
    enum rule_kind kind;
    enum op op;
    const char *classes;
    int side;
    double value;
    enum op with; /* INVERTS */
} rules[] = {
#define KEEP(op, classes, side, value, why) {KEEPS, OP_##op, classes, side, value, OP_none},
#define SQUARE(op, classes, value, why)     {SQUARES, OP_##op, classes, RIGHT, value, OP_none},
#define TWICE(op, classes, why)             {TWICE_IS, OP_##op, classes, 0, 0, OP_none},
#define ALIKE(op, classes, why)             {ALIKES, OP_##op, classes, 0, 0, OP_none},
#define INVERT(op, classes, with, why)      {INVERTS, OP_##op, classes, RIGHT, 4, OP_##with},
#define CHOICE(why)
#include "rules.def"
#undef KEEP
#undef SQUARE
#undef TWICE
#undef ALIKE
#undef INVERT
#undef CHOICE
};

/* What the rule's left side gives when it is computed, x being `bits`. */
static uint64_t left_side(const struct rule *r, enum dtype t, uint64_t bits, bool swapped)
{
    uint64_t constant = from_double(t, r->value), out = 0, again = 0;
    const void *args[] = {&bits, r->kind == ALIKES ? &bits : &constant, &bits};
    if (swapped)
        args[0] = &constant, args[1] = &bits;
    eval_prim(op_prim(r->op, t), t, &out, args, 1, NULL);
    if (r->kind != TWICE_IS)
        return out;
    args[0] = &out;
    eval_prim(op_prim(r->op, t), t, &again, args, 1, NULL);
    return again;
}

static uint64_t right_side(const struct rule *r, enum dtype t, uint64_t bits)
{
    uint64_t out = bits, inverse = from_double(t, 1 / r->value);
    const void *args[] = {&bits, r->kind == INVERTS ? &inverse : &bits, &bits};
    if (r->kind == SQUARES || r->kind == INVERTS)
        eval_prim(op_prim(r->kind == INVERTS ? r->with : OP_multiply, t), t, &out, args, 1, NULL);
    return out;
}

/* The rule changes no bit of any special value. */
static void rule_is_exact(const struct rule *r, enum dtype t)
{
    for (int i = 0; i < N_SPECIALS; i++)
        for (int swapped = 0; swapped < 2; swapped++) {
            uint64_t bits = from_double(t, specials[i]);
            if (r->kind == KEEPS && !(r->side & (swapped ? LEFT : RIGHT)))
                continue;
            if (r->kind != KEEPS && swapped)
                continue;
            uint64_t left = left_side(r, t, bits, swapped), right = right_side(r, t, bits);
            eval_canonical(t, &left, 1);
            eval_canonical(t, &right, 1);
            if (memcmp(&left, &right, type_table[t].size))
                fail_msg("the rule about %s of %s changes %g", op_table[r->op].name, type_table[t].name,
                         specials[i]);
        }
}

/* And it is applied: to x of rank 1 and its constant. */
static void rule_fires(const struct rule *r, enum dtype t)
{
    ir_end(NULL);
    ir_begin(NULL);
    ir_id x = input("x", t, 1), constant = ir_const(&ir, t, from_double(t, r->value), 0, NOWHERE), once;
    if (r->kind == TWICE_IS) {
        once = ir_elem(&ir, r->op, t, &x, 1, 0, NOWHERE, &diags);
        assert_int_not_equal(once, x);
        assert_int_equal(ir_elem(&ir, r->op, t, &once, 1, 0, NOWHERE, &diags), x);
    } else if (r->kind == ALIKES) {
        assert_int_equal(two(r->op, t, x, x), x);
    } else if (r->kind == INVERTS) {
        assert_int_equal(two(r->op, t, x, constant), two(r->with, t, x, ir_const(&ir, t, from_double(t, 1 / r->value), 0, NOWHERE)));
        for (int k = 0; k < 4; k++) { /* no power of two, or without a normal reciprocal */
            ir_id other = ir_const(&ir, t, from_double(t, ((const double[]){3, 0, INFINITY, t == DT_float32 ? 0x1p127 : 0x1p1023})[k]), 0, NOWHERE);
            ir_id kept = two(r->op, t, x, other);
            assert_int_equal(ir_at(&ir, kept)->op, r->op);
        }
    } else if (r->kind == SQUARES) {
        assert_int_equal(two(r->op, t, x, constant), two(OP_multiply, t, x, x));
    } else {
        if (r->side & RIGHT)
            assert_int_equal(two(r->op, t, x, constant), x);
        if (r->side & LEFT)
            assert_int_equal(two(r->op, t, constant, x), x);
    }
}

static void test_rules_row_by_row(void **state)
{
    static const char letters[] = {[CLASS_BOOL] = 'B',
                                   [CLASS_INT] = 'I',
                                   [CLASS_UINT] = 'I',
                                   [CLASS_FLOAT] = 'F',
                                   [CLASS_COMPLEX] = 'C'};
    unsigned checked = 0;
    (void)state;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        for (enum dtype t = DT_none + 1; t < DT_COUNT; t++) {
            if (!works(t) || type_is_storage(t) || !strchr(rules[i].classes, letters[type_table[t].cls]))
                continue;
            rule_is_exact(&rules[i], t);
            rule_fires(&rules[i], t);
            checked++;
        }
    assert_true(checked > 60);
}

/* The side that is taken for certain must have the shape of the whole. */
static void test_rarely_keeps_shape(void **state)
{
    ir_id x = input("x", DT_float64, 1), s = input("s", DT_float64, 0),
          no = ir_const(&ir, DT_bool, 0, 0, NOWHERE);
    uint32_t region = ir_region_begin(&ir);
    ir_region_end(&ir);
    (void)state;
    assert_int_equal(ir_rarely(&ir, no, region, s, x, 0, NOWHERE, &diags), x);
    ir_id r = ir_rarely(&ir, no, region, x, s, 0, NOWHERE, &diags);
    assert_int_equal(ir_at(&ir, r)->shape, ir_at(&ir, x)->shape);
}

/* x + 0 with x of rank 0 and 0 ... of no rank either; but a rule may not lose a broadcast. */
static void test_rules_keep_shapes(void **state)
{
    ir_id s = input("s", DT_float64, 0), x = input("x", DT_float64, 1),
          ones = two(OP_multiply, DT_float64, x, real(0));
    (void)state;
    ir_id chosen = ir_elem(&ir, OP_where, DT_float64,
                           (ir_id[]){ir_const(&ir, DT_bool, 1, 0, NOWHERE), s, ones}, 3, 0, NOWHERE, &diags);
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

/* NumPy's rule for two shapes, said once more; false when they do not fit. */
static bool meet(const int64_t *a, unsigned na, const int64_t *b, unsigned nb, int64_t *out)
{
    unsigned n = na > nb ? na : nb;
    for (unsigned k = 1; k <= n; k++) {
        int64_t p = k <= na ? a[na - k] : 1, q = k <= nb ? b[nb - k] : 1;
        if (p != q && p != 1 && q != 1)
            return false;
        out[n - k] = p == 1 ? q : p;
    }
    return true;
}

/* x op y op z over every rank, extents of 0 to 3. */
static void test_shapes_of_all_ranks(void **state)
{
    unsigned good = 0, bad = 0;
    (void)state;
    for (int round = 0; round < 4000; round++) {
        unsigned rank[3];
        int64_t extents[3][IR_MAX_RANK] = {{0}}, first[IR_MAX_RANK], want[IR_MAX_RANK], values[128];
        ir_id in[3];
        ir_end(NULL);
        ir_begin(NULL);
        for (int k = 0; k < 3; k++) {
            rank[k] = round < 9 ? (unsigned)round : pick(IR_MAX_RANK + 1);
            for (unsigned d = 0; d < rank[k]; d++)
                extents[k][d] = pick(16) == 0 ? (int64_t)pick(4)
                                : pick(3)     ? (int64_t)((unsigned)round + rank[k] - d) % 4
                                              : 1; /* mostly what fits */
            in[k] = input((const char *const[]){"x", "y", "z"}[k], DT_float64, rank[k]);
        }
        ir_id r = two(OP_multiply, DT_float64, two(OP_add, DT_float64, in[0], in[1]), in[2]);
        unsigned n = rank[0] > rank[1] ? rank[0] : rank[1];
        bool fits = meet(extents[0], rank[0], extents[1], rank[1], first) &&
                    meet(first, n, extents[2], rank[2], want);
        bool ok = ir_shapes_resolve(&ir, (const int64_t(*)[IR_MAX_RANK])extents, NULL, values, &diags);
        assert_int_equal(ok, fits);
        const struct ir_shape *s = &ir.shapes.at[ir_at(&ir, r)->shape];
        assert_int_equal(s->rank, n > rank[2] ? n : rank[2]);
        for (unsigned d = 0; ok && d < s->rank; d++)
            assert_int_equal(values[s->dim[d]], want[d]);
        if (!ok) {
            assert_int_equal(diags.at[0].id, AX_shape_mismatch);
            assert_non_null(strstr(diags.at[0].message, ": axis "));
        }
        *(ok ? &good : &bad) += 1;
    }
    assert_true(good > 500 && bad > 500);
}

static void expect_extents(const char *text, const int64_t (*extents)[IR_MAX_RANK], const int64_t *weak,
                           enum diag_id id, const char *says)
{
    struct test_plan p;
    int64_t values[64];
    if (!plan_make(&p, text, DT_float64))
        fail_msg("%s: %s", text, p.diags.n ? p.diags.at[0].message : "?");
    bool ok = ir_shapes_resolve(p.plan->ir, extents, weak, values, &p.diags);
    if (says ? ok || p.diags.at[0].id != id || !strstr(p.diags.at[0].message, says) : !ok)
        fail_msg("%s: %s", text, p.diags.n ? p.diags.at[0].message : "no message");
    plan_fini(&p);
}

#define EXTENTS(...) ((const int64_t[][IR_MAX_RANK]){__VA_ARGS__})

static void test_checks_of_programs(void **state)
{
    (void)state;
    expect_extents("param x: float64[n]\nparam y: float64[n]\nx + y", EXTENTS({3}, {3}), NULL, 0, NULL);
    expect_extents("param x: float64[n]\nparam y: float64[n]\nx + y", EXTENTS({3}, {1}), NULL,
                   AX_extent_mismatch, "the extent n is 1 here, but 3 before");
    expect_extents("param m: float64[n, n]\nm", EXTENTS({2, 5}), NULL, AX_extent_mismatch, "the extent n");
    expect_extents("param x: float64[4]\nx", EXTENTS({4}), NULL, 0, NULL);
    expect_extents("param x: float64[4]\nx", EXTENTS({5}), NULL, AX_extent_mismatch,
                   "the extent 4 is 5 here");
    expect_extents("max(m, 0)", EXTENTS({0, 3}), NULL, AX_empty_reduction, "max of nothing");
    expect_extents("max(m, 0)", EXTENTS({0, 0}), NULL, 0, NULL);
    expect_extents("max(m, 1)", EXTENTS({0, 3}), NULL, 0, NULL);
    expect_extents("sum(m)", EXTENTS({0, 3}), NULL, 0, NULL);
    expect_extents("min(x[1:])", EXTENTS({1}), NULL, AX_empty_reduction, "min of nothing");
    expect_extents("x[3]", EXTENTS({3}), NULL, AX_index_range,
                   "index 3 is out of range: axis 0 has 3 elements");
    expect_extents("x[-3]", EXTENTS({3}), NULL, 0, NULL);
    expect_extents("m[0, -4]", EXTENTS({1, 3}), NULL, AX_index_range, "axis 1 has 3");
    expect_extents("x[1:] + y[:-1]", EXTENTS({4}, {4}), NULL, 0, NULL);
    expect_extents("x[1:] + y[:-2]", EXTENTS({4}, {4}), NULL, AX_shape_mismatch, "(3,) and (2,)");
}

/* A Python integer that meets a narrower type must fit it. */
static void test_check_fits(void **state)
{
    static const struct {
        enum dtype t;
        int64_t low, high;
    } cases[] = {{DT_int8, -128, 127},       {DT_uint8, 0, 255},
                 {DT_int16, -32768, 32767},  {DT_int32, INT32_MIN, INT32_MAX},
                 {DT_uint32, 0, UINT32_MAX}, {DT_int64, INT64_MIN, INT64_MAX},
                 {DT_uint64, 0, INT64_MAX}};
    int64_t values[4];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t extents[1][IR_MAX_RANK] = {{0}}, low = cases[i].low, high = cases[i].high,
                under = low - (low > INT64_MIN), over = high + (high < INT64_MAX);
        ir_end(NULL);
        ir_begin(NULL);
        struct ir_check c = {.kind = CHECK_FITS, .dtype = (uint8_t)cases[i].t};
        vec_push(&arena, &ir.checks, c);
        const int64_t(*none)[IR_MAX_RANK] = (const int64_t(*)[IR_MAX_RANK])extents;
        assert_true(ir_shapes_resolve(&ir, none, &low, values, &diags));
        assert_true(ir_shapes_resolve(&ir, none, &high, values, &diags));
        assert_int_equal(ir_shapes_resolve(&ir, none, &over, values, &diags), over == high);
        assert_int_equal(ir_shapes_resolve(&ir, none, &under, values, &diags), under == low);
    }
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
    ir_id x = input("x", DT_float64, 1), big = two(OP_greater, DT_bool, x, real(10)),
          fast = two(OP_add, DT_float64, x, real(1));
    uint32_t region = ir_region_begin(&ir);
    ir_id slow = two(OP_divide, DT_float64, x, real(3)), same = two(OP_add, DT_float64, x, real(1));
    ir_region_end(&ir);
    ir_id r = ir_rarely(&ir, big, region, slow, fast, 0, NOWHERE, &diags),
          outside = two(OP_divide, DT_float64, x, real(3));
    uint8_t live[64];
    (void)state;
    assert_int_equal(same, fast);        /* what is computed outside is seen inside */
    assert_int_not_equal(slow, outside); /* and not the other way round */
    vec_push(&arena, &ir.outputs, ((struct ir_output){.node = r}));
    assert_null(ir_verify(&ir));
    ir_live(&ir, live);
    assert_true(live[slow] && live[fast] && live[big] && !live[outside]);
    ir_at(&ir, r)->args[2] = slow; /* the fast side reaches into the slow one */
    assert_non_null(ir_verify(&ir));
}

static void expect_fault(const char *says)
{
    const char *fault = ir_verify(&ir);
    if (!fault || !strstr(fault, says))
        fail_msg("expected '%s': %s", says, fault ? fault : "sound");
}

/* Each fault alone, put into a sound program and taken out again. */
#define BREAK(place, value, says)                                                                            \
    do {                                                                                                     \
        __typeof__(place) whole = place;                                                                     \
        assert_null(ir_verify(&ir));                                                                         \
        place = value;                                                                                       \
        expect_fault(says);                                                                                  \
        place = whole;                                                                                       \
    } while (0)

static void test_verifier(void **state)
{
    ir_id x = input("x", DT_float64, 2), y = two(OP_multiply, DT_float64, x, x),
          less = two(OP_less, DT_bool, x, y);
    ir_id sum = ir_reduce(&ir, OP_sum, y, 2, true, NOWHERE), z = two(OP_add, DT_float64, y, sum);
    uint32_t region = ir_region_begin(&ir);
    ir_id slow = two(OP_divide, DT_float64, x, y);
    ir_region_end(&ir);
    ir_id rarely = ir_rarely(&ir, less, region, slow, z, 0, NOWHERE, &diags);
    ir_id view = ir_view(&ir, x, (struct ir_step){.kind = STEP_INDEX, .axis = 0}, NOWHERE, &diags),
          bits = ir_bitcast(&ir, view, DT_int64, NOWHERE);
    ir_id chosen = ir_elem(&ir, OP_where, DT_float64, (ir_id[]){less, y, x}, 3, 0, NOWHERE, &diags),
          many = ir_count(&ir, x, 1, NOWHERE), number = ir_table(&ir, (enum table)0, 1, bits, NOWHERE);
    const ir_id ends[] = {rarely, bits, chosen, many, number};
    (void)state;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        vec_push(&arena, &ir.outputs, ((struct ir_output){.node = ends[i]}));

    BREAK(ir_at(&ir, z)->dtype, DT_none, "has no type");
    BREAK(ir_at(&ir, z)->dtype, DT_COUNT, "has no type");
    BREAK(ir_at(&ir, z)->dtype, DT_float32, "the type of its arguments");
    BREAK(ir_at(&ir, less)->dtype, DT_float64, "the type of its arguments");
    BREAK(ir_at(&ir, z)->op, OP_none, "no operation");
    BREAK(ir_at(&ir, z)->op, OP_COUNT, "no operation");
    BREAK(ir_at(&ir, z)->op, OP_mean, "no operation of the IR");
    BREAK(ir_at(&ir, z)->op, OP_left_shift, "not a primitive");
    BREAK(ir_at(&ir, z)->op, OP_power, "not a primitive");
    BREAK(ir_at(&ir, z)->n_args, 1, "too few or too many");
    BREAK(ir_at(&ir, z)->n_args, 3, "too few or too many");
    BREAK(ir_at(&ir, z)->n_args, 200, "not made before it");
    BREAK(ir_at(&ir, z)->shape, 99, "has no shape");
    BREAK(ir_at(&ir, z)->shape, 0, "the axes of its arguments");
    BREAK(ir_at(&ir, z)->region, 99, "a region that is not there");
    BREAK(ir_at(&ir, z)->args[0], less, "different types");
    BREAK(ir_at(&ir, y)->args[0], z, "not made before it");
    BREAK(ir_at(&ir, y)->args[0], y, "not made before it");
    BREAK(ir_at(&ir, y)->args[0], 0, "before it is made");
    BREAK(ir_at(&ir, chosen)->args[0], y, "different types");
    BREAK(ir_at(&ir, rarely)->args[2], slow, "a region it cannot see");
    BREAK(ir_at(&ir, rarely)->args[0], y, "different types");
    BREAK(ir_at(&ir, rarely)->attr, 0, "a region that is not there");
    BREAK(ir_at(&ir, rarely)->attr, 99, "a region that is not there");
    BREAK(ir.regions.at[region].owner, z, "own its region");
    BREAK(ir_at(&ir, x)->attr, 5, "no input");
    BREAK(ir_at(&ir, x)->shape, 0, "what the input is declared");
    BREAK(ir.inputs.at[0].dtype, DT_int32, "what the input is declared");
    BREAK(ir_at(&ir, sum)->attr, 4, "axes that are not there");
    BREAK(ir_at(&ir, sum)->attr, 2, "the axes that are kept");
    BREAK(ir_at(&ir, sum)->attr, 1u << 20, "axes that are not there");
    BREAK(ir_at(&ir, sum)->dtype, DT_float32, "the type of its argument");
    BREAK(ir_at(&ir, many)->dtype, DT_int32, "is not int64");
    BREAK(ir_at(&ir, view)->attr, 9, "no view");
    BREAK(ir_at(&ir, view)->args[0], y, "not in memory");
    BREAK(ir_at(&ir, bits)->dtype, DT_int32, "the size of an element");
    BREAK(ir_at(&ir, number)->attr, TABLE_COUNT * TABLE_COLUMNS, "of no table");
    BREAK(ir_at(&ir, number)->dtype, DT_float16, "of no table");
    BREAK(ir_at(&ir, number)->args[0], view, "no index of its numbers' width");
    BREAK(ir_at(&ir, number)->shape, 0, "the axes of its arguments");
    BREAK(ir.shapes.at[0].rank, 9, "too many axes");
    BREAK(ir.shapes.at[ir_at(&ir, x)->shape].dim[1], 99, "a dim that is not there");
    BREAK(ir.outputs.at[0].node, 0, "an output is poison");
    BREAK(ir.outputs.at[0].node, 999, "an output is poison");
    assert_null(ir_verify(&ir));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, ir_begin, ir_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_equal_nodes),
        TEST(test_tables),
        TEST(test_part_of_a_table),
        TEST(test_many_nodes),
        TEST(test_raw_bits),
        TEST(test_many_params),
        TEST(test_node_limit),
        TEST(test_folding),
        TEST(test_rules),
        TEST(test_rules_keep_shapes),
        TEST(test_shapes),
        TEST(test_checks),
        TEST(test_static_clash),
        TEST(test_regions),
        TEST(test_verifier),
        TEST(test_conversions),
        TEST(test_conversion_values),
        TEST(test_rules_row_by_row),
        TEST(test_rarely_keeps_shape),
        TEST(test_shapes_of_all_ranks),
        TEST(test_checks_of_programs),
        TEST(test_check_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
