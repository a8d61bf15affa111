/* Rules that rewrite: each changes no bit of any special value and is applied, loses no shape; what would change a bit stays. */
#include <math.h>
#include <string.h>
#include "fixture.h"

static ir_id whole(int64_t v)
{
    return ir_const(&ir, DT_int64, (uint64_t)v, 0, NOWHERE);
}

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
    ir_anew();
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_rules),
        TEST(test_rules_row_by_row),
        TEST(test_rules_keep_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
