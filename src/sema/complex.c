/*
 * Complex values. A complex value is a pair of real ones in the IR (OP_pair), and every operation on it is an Arex function of its name with
 * _complex behind it (runtime/math/complex.arex), on parts that `real` and `imag` give and `complex` joins: no other room knows of it, but for
 * loads, which see half of each element through a view, and stores of outputs. What has no such function is not defined for complex values.
 */
#include "sema/build.h"

bool any_complex(const struct value *args, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (type_is_complex(value_dtype(&args[i])))
            return true;
    return false;
}

struct value complex_pair(struct sema *s, ir_id re, ir_id im, bool weak, struct span span)
{
    return value_array(s, ir_pair(s->ir, re, im, sema_span(s, span), s->diags), weak, span);
}

unsigned complex_parts(enum dtype t)
{
    return type_is_complex(t) ? 2 : 1;
}

uint32_t complex_split(struct sema *s, ir_id value, ir_id *to, uint32_t n, struct span span)
{
    unsigned parts = complex_parts(value ? (enum dtype)ir_at(s->ir, value)->dtype : DT_none);
    for (unsigned part = 0; part < parts; part++)
        to[n++] = parts == 2 ? ir_part(s->ir, value, part, span) : value;
    return n;
}

struct value complex_join(struct sema *s, enum dtype t, const ir_id *parts, bool weak, struct span span)
{
    return complex_parts(t) == 2 ? complex_pair(s, parts[0], parts[1], weak, span) : value_array(s, parts[0], weak, span);
}

struct value complex_part(struct sema *s, const struct value *v, unsigned part)
{
    if (type_is_complex(value_dtype(v)))
        return value_array(s, ir_part(s->ir, v->id, part, sema_span(s, v->span)), v->weak, v->span);
    if (part == 0)
        return *v;
    struct value zero = value_int(0, v->span);
    return v->kind == VALUE_ARRAY ? value_array(s, value_as(s, &zero, (enum dtype)v->dtype), v->weak, v->span) : zero;
}

ir_id complex_as(struct sema *s, const struct value *v, enum dtype dtype)
{
    if (!type_is_complex(dtype)) {
        sema_error(s, AX_type_mismatch, v->span, "%s does not become %s by itself: write `real(x)`, or `abs(x)`", value_words(s, v), type_table[dtype].name);
        return 0;
    }
    struct value re = complex_part(s, v, 0), im = complex_part(s, v, 1);
    ir_id a = value_as(s, &re, type_part(dtype)), b = value_as(s, &im, type_part(dtype));
    return complex_pair(s, a, b, false, v->span).id;
}

/* x ** 2, x ** 1 and x ** -1 need no logarithm. */
static bool quick_power(struct sema *s, enum op op, const struct value *args, enum dtype t, struct span span, struct value *out)
{
    double by = op != OP_power ? 0 : args[1].kind == VALUE_INT ? (double)args[1].i : args[1].kind == VALUE_FLOAT ? args[1].f : 0;
    struct value pair[2] = {args[0], args[0]};
    if (by == 1)
        *out = value_array(s, value_as(s, &args[0], t), false, span);
    else if (by == 2)
        *out = apply_op(s, OP_multiply, pair, 2, span);
    else if (by == -1)
        pair[0] = value_int(1, span), *out = apply_op(s, OP_divide, pair, 2, span);
    return by == 1 || by == 2 || by == -1;
}

struct value apply_complex(struct sema *s, enum op op, const struct value *args, unsigned n, struct span span)
{
    struct binding *f = library_complex(s, str_of(op_table[op].name));
    unsigned first = op_table[op].rule == RULE_SELECT ? 1 : 0;
    struct value as[3], out;
    bool weak;
    if (!f) {
        bool orders = op_table[op].rule == RULE_COMPARE || op == OP_minimum || op == OP_maximum || op == OP_fmin || op == OP_fmax;
        sema_error(s, AX_type_mismatch, span, "`%s` is not defined for complex values%s", op_table[op].symbol[0] ? op_table[op].symbol : op_table[op].name,
                   orders ? ": they have no order; compare `abs(x)`, or parts" : "");
        return value_error();
    }
    if (first && value_dtype(&args[0]) != DT_bool) {
        sema_error(s, AX_type_mismatch, args[0].span, "a condition must be bool, not %s; write `x != 0`", value_words(s, &args[0]));
        return value_error();
    }
    enum dtype t = promote_values(args + first, n - first, &weak);
    if (quick_power(s, op, args, t, span, &out))
        return out;
    for (unsigned i = 0; i < n; i++) {
        as[i] = i < first ? args[i] : value_array(s, value_as(s, &args[i], t), false, args[i].span);
        if (as[i].kind == VALUE_ERROR)
            return value_error();
    }
    out = inline_call(s, f, as, NULL, n, span);
    if (out.kind == VALUE_ARRAY)
        out.weak = weak && out.dtype != DT_bool;
    return out;
}

static struct value join(struct sema *s, const struct value *parts, struct span span)
{
    bool weak;
    if (any_complex(parts, 2)) {
        sema_error(s, AX_type_mismatch, span, "`complex` joins two real parts; one of these is complex already");
        return value_error();
    }
    enum dtype t = promote_values(parts, 2, &weak);
    t = type_part(promote_pair(t == DT_float16 || t == DT_bfloat16 ? DT_float32 : t, DT_complex64));
    ir_id re = value_as(s, &parts[0], t), im = value_as(s, &parts[1], t);
    return complex_pair(s, re, im, weak, span);
}

struct value call_complex(struct sema *s, enum op op, const struct value *args, unsigned n, struct span span)
{
    for (unsigned i = 0; i < n; i++)
        if (!value_is_numeric(&args[i])) {
            if (args[i].kind != VALUE_ERROR)
                sema_error(s, AX_type_mismatch, args[i].span, "`%s` takes an array or a number, not %s", op_table[op].name, value_words(s, &args[i]));
            return value_error();
        }
    if (op == OP_complex)
        return join(s, args, span);
    if (op == OP_real || type_is_complex(value_dtype(&args[0])))
        return complex_part(s, &args[0], op == OP_imag);
    struct value zero = call_library(s, str_of("imag_real"), DT_none, args, NULL, 1, span);
    return zero.kind == VALUE_ARRAY ? value_array(s, value_as(s, &zero, value_dtype(&args[0])), false, span) : zero;
}
