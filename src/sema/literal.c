/*
 * Values known while compiling: folding integers as Python does (in 64 bits, with overflow checked), and turning
 * literals into constants of the dtype they meet.
 */
#include <string.h>
#include "sema/build.h"

struct value value_int(int64_t i, struct span span)
{
    return (struct value){.kind = VALUE_INT, .i = i, .span = span};
}

struct value value_float(double f, struct span span)
{
    return (struct value){.kind = VALUE_FLOAT, .f = f, .span = span};
}

struct value value_bool(bool b, struct span span)
{
    return (struct value){.kind = VALUE_BOOL, .i = b, .span = span};
}

struct value value_array(const struct sema *s, ir_id id, bool weak, struct span span)
{
    if (!id)
        return value_error();
    return (struct value){
        .kind = VALUE_ARRAY, .id = id, .weak = weak, .dtype = ir_at(s->ir, id)->dtype, .span = span};
}

bool value_is_literal(const struct value *v)
{
    return v->kind == VALUE_INT || v->kind == VALUE_FLOAT || v->kind == VALUE_BOOL;
}

const char *value_words(struct sema *s, const struct value *v)
{
    static const char *const words[] = {
        "an error", "", "an integer literal", "a float literal", "a bool", "None", "a tuple", "a dtype"};

    (void)s;
    return v->kind == VALUE_ARRAY ? type_table[v->dtype].name : words[v->kind];
}

static bool compare_ints(enum op op, int64_t a, int64_t b, bool *r)
{
    switch (op) {
    case OP_less:
        return *r = a < b, true;
    case OP_less_equal:
        return *r = a <= b, true;
    case OP_greater:
        return *r = a > b, true;
    case OP_greater_equal:
        return *r = a >= b, true;
    case OP_equal:
        return *r = a == b, true;
    case OP_not_equal:
        return *r = a != b, true;
    default:
        return false;
    }
}

/* True on overflow. */
static bool int_power(int64_t a, int64_t b, int64_t *r)
{
    int64_t result = 1;

    while (b > 0) {
        if ((b & 1) && __builtin_mul_overflow(result, a, &result))
            return true;
        b >>= 1;
        if (b && __builtin_mul_overflow(a, a, &a))
            return true;
    }
    *r = result;
    return false;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    int64_t q = a / b;

    return q - ((a % b != 0) && ((a < 0) != (b < 0)));
}

enum fold { FOLD_NO, FOLD_DONE, FOLD_OVERFLOW };

static enum fold fold_over(bool overflow)
{
    return overflow ? FOLD_OVERFLOW : FOLD_DONE;
}

static enum fold fold_two(enum op op, int64_t a, int64_t b, int64_t *r)
{
    switch (op) {
    case OP_add:
        return fold_over(__builtin_add_overflow(a, b, r));
    case OP_subtract:
        return fold_over(__builtin_sub_overflow(a, b, r));
    case OP_multiply:
        return fold_over(__builtin_mul_overflow(a, b, r));
    case OP_power:
        return b < 0 ? FOLD_NO : fold_over(int_power(a, b, r));
    case OP_floor_divide:
        if (b == -1)
            return fold_over(__builtin_sub_overflow((int64_t)0, a, r));
        return b ? (*r = floor_div(a, b), FOLD_DONE) : FOLD_NO;
    case OP_remainder:
        if (b == -1)
            return *r = 0, FOLD_DONE;
        return b ? (*r = a - b * floor_div(a, b), FOLD_DONE) : FOLD_NO;
    case OP_bitwise_and:
        return *r = a & b, FOLD_DONE;
    case OP_bitwise_or:
        return *r = a | b, FOLD_DONE;
    case OP_bitwise_xor:
        return *r = a ^ b, FOLD_DONE;
    case OP_left_shift:
        return b < 0                ? FOLD_NO
               : b > 62             ? fold_over(a != 0 || (*r = 0))
               : int_power(2, b, r) ? FOLD_OVERFLOW
                                    : fold_over(__builtin_mul_overflow(a, *r, r));
    case OP_right_shift:
        return b < 0 ? FOLD_NO : (*r = a >> (b > 63 ? 63 : b), FOLD_DONE);
    default:
        return FOLD_NO;
    }
}

static enum fold fold_one(enum op op, int64_t a, int64_t *r)
{
    switch (op) {
    case OP_negative:
        return fold_over(__builtin_sub_overflow((int64_t)0, a, r));
    case OP_abs:
        return a < 0 ? fold_one(OP_negative, a, r) : (*r = a, FOLD_DONE);
    case OP_positive:
        return *r = a, FOLD_DONE;
    case OP_invert:
        return *r = ~a, FOLD_DONE;
    default:
        return FOLD_NO;
    }
}

static bool fold_bools(enum op op, const struct value *args, unsigned n, struct span span, struct value *out)
{
    if (op == OP_logical_not && n == 1)
        return *out = value_bool(!args[0].i, span), true;
    if (n != 2)
        return false;
    if (op == OP_logical_and || op == OP_bitwise_and)
        return *out = value_bool(args[0].i && args[1].i, span), true;
    if (op == OP_logical_or || op == OP_bitwise_or)
        return *out = value_bool(args[0].i || args[1].i, span), true;
    return false;
}

bool literal_fold(struct sema *s, enum op op, const struct value *args, unsigned n, struct span span,
                  struct value *out)
{
    int64_t r = 0;
    bool truth;
    enum fold did;

    if (n == 1 && args[0].kind == VALUE_FLOAT && (op == OP_negative || op == OP_positive))
        return *out = value_float(op == OP_negative ? -args[0].f : args[0].f, span), true;
    if (args[0].kind == VALUE_BOOL && (n == 1 || args[1].kind == VALUE_BOOL))
        return fold_bools(op, args, n, span, out);
    if (n > 2 || args[0].kind != VALUE_INT || (n == 2 && args[1].kind != VALUE_INT))
        return false;
    if (n == 2 && compare_ints(op, args[0].i, args[1].i, &truth))
        return *out = value_bool(truth, span), true;
    did = n == 2 ? fold_two(op, args[0].i, args[1].i, &r) : fold_one(op, args[0].i, &r);
    if (did == FOLD_NO)
        return false;
    *out = value_int(r, span);
    if (did == FOLD_OVERFLOW) {
        sema_error(s, AX_literal_range, span,
                   "the result does not fit int64; write one of the numbers as a float");
        *out = value_error();
    }
    return true;
}

static uint64_t float_bits(double f)
{
    uint64_t bits;

    memcpy(&bits, &f, sizeof bits);
    return bits;
}

ir_id value_to_ir(struct sema *s, const struct value *v)
{
    struct span span = sema_span(s, v->span);

    switch (v->kind) {
    case VALUE_ARRAY:
        return v->id;
    case VALUE_INT:
        return ir_const(s->ir, DT_int64, (uint64_t)v->i, 0, span);
    case VALUE_FLOAT:
        return ir_const(s->ir, DT_float64, float_bits(v->f), 0, span);
    case VALUE_BOOL:
        return ir_const(s->ir, DT_bool, (uint64_t)v->i, 0, span);
    default:
        return 0;
    }
}

static bool int_fits(int64_t i, enum dtype t)
{
    unsigned bits = 8u * type_table[t].size;

    if (type_table[t].cls == CLASS_UINT)
        return i >= 0 && (bits == 64 || i < (INT64_C(1) << bits));
    return bits == 64 || (i >= -(INT64_C(1) << (bits - 1)) && i < (INT64_C(1) << (bits - 1)));
}

static bool is_integer(enum dtype t)
{
    return type_table[t].cls == CLASS_INT || type_table[t].cls == CLASS_UINT;
}

/* A Python integer given as an argument is checked when the program is called. */
static void check_weak_input(struct sema *s, const struct value *v, enum dtype to)
{
    const struct ir_node *node = ir_at(s->ir, v->id);

    if (!v->weak || node->op != OP_input || !is_integer(to) || !is_integer((enum dtype)node->dtype) ||
        to == DT_int64)
        return;
    for (uint32_t i = 0; i < s->ir->checks.n; i++) {
        const struct ir_check *c = &s->ir->checks.at[i];
        if (c->kind == CHECK_FITS && c->node == v->id && c->dtype == to)
            return;
    }
    struct ir_check check = {.kind = CHECK_FITS,
                             .span = sema_span(s, v->span),
                             .node = v->id,
                             .input = (uint16_t)node->attr,
                             .dtype = (uint8_t)to};
    vec_push(s->arena, &s->ir->checks, check);
}

/* A literal above int64, which is a constant of uint64 that is weak. */
static bool natural_fits(struct sema *s, const struct value *v, enum dtype to)
{
    const struct ir_node *n = ir_at(s->ir, v->id);

    if (!v->weak || n->op != OP_const || n->dtype != DT_uint64 || !is_integer(to) || to == DT_uint64 ||
        (n->attr <= INT64_MAX && int_fits((int64_t)n->attr, to)))
        return true;
    sema_error(s, AX_literal_range, v->span, "%llu does not fit %s; convert the other operand first",
               (unsigned long long)n->attr, type_table[to].name);
    return false;
}

ir_id value_as(struct sema *s, const struct value *v, enum dtype dtype)
{
    if (v->kind == VALUE_INT && is_integer(dtype)) {
        if (!int_fits(v->i, dtype)) {
            sema_error(s, AX_literal_range, v->span, "%lld does not fit %s; convert the other operand first",
                       (long long)v->i, type_table[dtype].name);
            return 0;
        }
        return ir_const(s->ir, dtype, (uint64_t)v->i & (UINT64_MAX >> (64 - 8 * type_table[dtype].size)), 0,
                        sema_span(s, v->span));
    }
    if (v->kind == VALUE_ARRAY && !natural_fits(s, v, dtype))
        return 0;
    if (v->kind == VALUE_ARRAY)
        check_weak_input(s, v, dtype);
    ir_id id = value_to_ir(s, v);
    if (!id || ir_at(s->ir, id)->dtype == dtype)
        return id;
    if (type_is_complex(dtype) || type_is_complex((enum dtype)ir_at(s->ir, id)->dtype))
        return complex_as(s, v, dtype);
    return ir_cast(s->ir, id, dtype, sema_span(s, v->span));
}
