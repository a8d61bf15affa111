/*
 * Elementwise operators and functions on values: the row of grammar/ops.def decides dtypes, then the node is made or
 * the library's function expanded.
 */
#include <stdio.h>
#include "sema/build.h"

static const char *op_words(enum op op)
{
    const struct op_info *info = &op_table[op];

    return info->symbol && info->symbol[0] ? info->symbol : info->name;
}

static const char *cure(enum op op, enum dtype t)
{
    switch (op_table[op].rule) {
    case RULE_LOGIC:
        return op == OP_logical_not ? "write `x == 0`, or `~x` for the bits"
                                    : "compare first, as in `x != 0`";
    case RULE_BITWISE:
    case RULE_SHIFT:
        return "convert with `int64(x)`, or compare first, as in `x != 0`";
    default:
        break;
    }
    if (t == DT_bool && op == OP_subtract)
        return "write `a ^ b`, or convert with `int64(x)`";
    if (t == DT_bool && op == OP_negative)
        return "write `~x`, or convert with `int64(x)`";
    return t == DT_bool ? "convert with `int64(x)` or `float64(x)`" : "convert an operand first";
}

static struct value mismatch(struct sema *s, enum op op, const struct value *args, unsigned n,
                             struct span span, enum dtype t)
{
    if (n == 1)
        sema_error(s, AX_type_mismatch, span, "`%s` is not defined for %s; %s", op_words(op),
                   value_words(s, &args[0]), cure(op, t));
    else
        sema_error(s, AX_type_mismatch, span, "`%s` is not defined for %s and %s; %s", op_words(op),
                   value_words(s, &args[n - 2]), value_words(s, &args[n - 1]), cure(op, t));
    return value_error();
}

/* False, with a diagnostic where there is not one already, unless all are arrays or numbers. */
static bool all_numeric(struct sema *s, enum op op, const struct value *args, unsigned n, struct span span)
{
    for (unsigned i = 0; i < n; i++)
        if (args[i].kind == VALUE_ERROR)
            return false;
    for (unsigned i = 0; i < n; i++)
        if (!value_is_numeric(&args[i])) {
            sema_error(s, AX_type_mismatch, span, "`%s` takes arrays and numbers, not %s", op_words(op),
                       value_words(s, &args[i]));
            return false;
        }
    return true;
}

/* The dtype the arguments are converted to; DT_none when the rule refuses them. */
static enum dtype rule_dtype(enum type_rule rule, enum dtype t)
{
    enum type_class cls = type_table[t].cls;

    switch (rule) {
    case RULE_FLOATING:
        return cls >= CLASS_FLOAT ? t : promote_pair(t, DT_float16);
    case RULE_DIVIDE:
        return cls >= CLASS_FLOAT ? t : DT_float64;
    case RULE_LOGIC:
        return t == DT_bool ? t : DT_none;
    case RULE_BITWISE:
        return cls >= CLASS_FLOAT ? DT_none : t;
    case RULE_SHIFT:
        return cls >= CLASS_FLOAT ? DT_none : t == DT_bool ? DT_int8 : t;
    case RULE_COUNTING:
        return t == DT_bool ? DT_int8 : t;
    default:
        return t;
    }
}

static bool gives_bool(enum type_rule rule)
{
    return rule == RULE_COMPARE || rule == RULE_LOGIC || rule == RULE_TEST;
}

static bool is_int_class(enum dtype t)
{
    return type_table[t].cls == CLASS_INT || type_table[t].cls == CLASS_UINT;
}

/* x ** 2, x ** 1 and x ** -1 in floats have correctly rounded forms that cost one operation or none. */
static bool simple_power(struct sema *s, const struct value *args, enum dtype t, struct span span,
                         struct value *out)
{
    const struct value *by = &args[1];
    double n = by->kind == VALUE_INT ? (double)by->i : by->kind == VALUE_FLOAT ? by->f : 0;
    struct value pair[2] = {args[0], args[0]};

    if (type_table[t].cls != CLASS_FLOAT || args[0].kind != VALUE_ARRAY)
        return false;
    bool literal = by->kind == VALUE_INT || by->kind == VALUE_FLOAT;
    if (literal && args[0].dtype != t && (n == 2 || n == 1 || n == -1 || is_loose(s, t)))
        pair[0] = pair[1] = value_array(s, value_as(s, &args[0], t), args[0].weak, args[0].span);
    if (literal && loose_power(s, &pair[0], n, t, span, out))
        return true;
    if (n == 2)
        return *out = apply_op(s, OP_multiply, pair, 2, span), true;
    if (n == 1)
        return *out = pair[0], true;
    if (n == -1) {
        pair[0] = value_int(1, span);
        return *out = apply_op(s, OP_divide, pair, 2, span), true;
    }
    return false;
}

/* `integers ** literal` is refused now; other exponents are checked at the call. */
static bool negative_exponent(struct sema *s, const struct value *args, enum dtype t)
{
    if (!is_int_class(t) || args[1].kind != VALUE_INT || args[1].i >= 0)
        return false;
    sema_error(
        s, AX_negative_power, args[1].span,
        "integers to the power %lld are not integers; write the exponent as a float, or convert the base",
        (long long)args[1].i);
    return true;
}

struct value narrow(struct sema *s, struct value v, enum dtype t)
{
    struct value *items;

    if (v.kind == VALUE_ARRAY && v.dtype == type_table[t].compute && v.dtype != t)
        return value_array(s, ir_cast(s->ir, v.id, t, sema_span(s, v.span)), false, v.span);
    if (v.kind != VALUE_TUPLE)
        return v;
    items = arena_array(s->arena, struct value, v.n_items + 1);
    for (uint32_t i = 0; i < v.n_items; i++)
        items[i] = narrow(s, v.items[i], t);
    v.items = items;
    return v;
}

/* A few functions are about the bits of a storage type itself and have one of their own for it: nextafter. */
static bool has_own(struct sema *s, enum op op, enum dtype t)
{
    char name[64];

    if (!type_is_storage(t) || op_table[op].on_float != PRIM_math)
        return false;
    snprintf(name, sizeof name, "%s_%s", op_table[op].name, type_table[t].name);
    return library_find(s, str_of(name), DT_none);
}

static struct value make_node(struct sema *s, enum op op, const struct value *args, unsigned n,
                              unsigned first, enum dtype t, bool weak, struct span span)
{
    enum dtype result = gives_bool(op_table[op].rule) ? DT_bool : t;
    struct value cast[3];
    ir_id ids[3];
    bool own = has_own(s, op, t);

    for (unsigned i = 0; i < n; i++) {
        ids[i] = value_as(s, &args[i], i < first ? DT_bool : t);
        if (!ids[i])
            return value_error();
        cast[i] = value_array(s, ids[i], weak && i >= first, args[i].span);
    }
    if (op_prim(op, t) == PRIM_none && !own) /* storage only: compute in the wider type, round the result */
        return narrow(s, make_node(s, op, cast, n, first, (enum dtype)type_table[t].compute, false, span), t);
    weak = weak && result != DT_bool;
    ir_id loose = own ? 0 : loose_node(s, op, ids, n, t, sema_span(s, span));
    if (loose)
        return value_array(s, loose, weak, span);
    if (op_prim(op, t) != PRIM_math && !own)
        return value_array(s, ir_elem(s->ir, op, result, ids, n, 0, sema_span(s, span), s->diags), weak,
                           span);
    char quick[64];
    const char *name = loose_function(s, op, t, quick, sizeof quick) ? quick : op_table[op].name;
    struct value v = call_library(s, str_of(name), t, cast, NULL, n, span);
    if (v.kind != VALUE_ERROR &&
        (v = value_array(s, value_as(s, &v, result), weak, span)).kind == VALUE_ARRAY)
        v.weak = weak;
    return v;
}

/* int64 with uint64: no type holds both, and comparisons are still exact (as NumPy's). */
static bool signs_meet(const struct value *args)
{
    return (value_dtype(&args[0]) == DT_int64 && value_dtype(&args[1]) == DT_uint64) ||
           (value_dtype(&args[0]) == DT_uint64 && value_dtype(&args[1]) == DT_int64);
}

/* Bits are compared without a sign where the signed one is not negative; where it is, -1 stands for it, and 0 for the other. */
static struct value compare_signs(struct sema *s, enum op op, const struct value *args, struct span span)
{
    unsigned k = value_dtype(&args[0]) == DT_int64 ? 0 : 1;
    struct value choice[3], pair[2] = {args[0], args[1]}, zero = value_int(0, span);
    struct value below[2] = {args[k], zero}, apart[2] = {zero, zero};

    apart[k] = value_int(-1, span);
    pair[k] = value_array(s, ir_cast(s->ir, value_to_ir(s, &args[k]), DT_uint64, sema_span(s, span)), false, span);
    choice[0] = apply_op(s, OP_less, below, 2, span);
    choice[1] = apply_op(s, op, apart, 2, span);
    choice[2] = apply_op(s, op, pair, 2, span);
    return apply_op(s, OP_where, choice, 3, span);
}

struct value apply_op(struct sema *s, enum op op, const struct value *args, unsigned n, struct span span)
{
    const struct op_info *info = &op_table[op];
    unsigned first = info->rule == RULE_SELECT ? 1 : 0;
    bool weak;
    enum dtype t, at;
    struct value out;

    if (!all_numeric(s, op, args, n, span))
        return value_error();
    if (literal_fold(s, op, args, n, span, &out))
        return out;
    if (any_complex(args + first, n - first))
        return apply_complex(s, op, args, n, span);
    if (first && value_dtype(&args[0]) != DT_bool) {
        sema_error(s, AX_type_mismatch, args[0].span, "a condition must be bool, not %s; write `x != 0`",
                   value_words(s, &args[0]));
        return value_error();
    }
    t = promote_values(args + first, n - first, &weak);
    at = rule_dtype(info->rule, t);
    if (at == DT_none || op_prim(op, (enum dtype)type_table[at].compute) == PRIM_none)
        return mismatch(s, op, args, n, span, t);
    if (op == OP_power) {
        if (negative_exponent(s, args, at))
            return value_error();
        if (simple_power(s, args, at, span, &out))
            return out;
    }
    if (info->rule == RULE_COMPARE && t == DT_float64 && signs_meet(args))
        return compare_signs(s, op, args, span);
    return make_node(s, op, args, n, first, at, weak, span);
}
