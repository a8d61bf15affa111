/*
 * Functions of elements with arguments that may be left out, or that decide what is computed: clip with one bound, round to
 * decimals.
 */
#include "sema/build.h"

/* As NumPy's: minimum(maximum(x, lo), hi), of the bounds that there are. */
static struct value clipped(struct sema *s, const struct value *x, const struct value *lo, const struct value *hi, struct span span)
{
    struct value args[2] = {*x, *lo}, from_above[2];

    if (lo->kind == VALUE_NONE && hi->kind == VALUE_NONE)
        return apply_op(s, OP_positive, args, 1, span);
    from_above[0] = lo->kind == VALUE_NONE ? *x : apply_op(s, OP_maximum, args, 2, span);
    from_above[1] = *hi;
    return hi->kind == VALUE_NONE ? from_above[0] : apply_op(s, OP_minimum, from_above, 2, span);
}

/* As NumPy makes it, and within its reach: from the tenth on the powers are products. */
static double power_of_ten(int64_t n)
{
    enum { BEYOND = 400 };
    double power = 1;

    for (n = n < BEYOND ? n : BEYOND; n > 0; n--)
        power *= 10;
    return power;
}

static struct value scaled(struct sema *s, bool up, struct value x, int64_t decimals, struct span span)
{
    struct value args[2] = {x, value_float(power_of_ten(decimals), span)};

    return apply_op(s, up ? OP_multiply : OP_divide, args, 2, span);
}

/* NumPy's steps, each of which rounds: x * 10**decimals, to an integer, / 10**decimals; for places before the point the other way about. */
static struct value rounded_to(struct sema *s, const struct value *x, int64_t decimals, struct span span)
{
    enum dtype t = value_dtype(x);
    bool whole = type_table[t].cls == CLASS_INT || type_table[t].cls == CLASS_UINT, up = decimals > 0;
    struct value v;

    if (whole && up)
        return apply_op(s, OP_positive, x, 1, span);
    decimals = up ? decimals : -decimals;
    v = scaled(s, up, *x, decimals, span);
    v = apply_op(s, OP_rint, &v, 1, span);
    v = scaled(s, !up, v, decimals, span);
    if (!whole)
        return v;
    struct value to = {.kind = VALUE_DTYPE, .dtype = (uint8_t)t, .span = span};
    return convert(s, &v, &to, span);
}

static struct value round_to(struct sema *s, const struct value *x, const struct value *decimals, struct span span)
{
    if (decimals->kind == VALUE_ERROR || x->kind == VALUE_ERROR)
        return value_error();
    if (decimals->kind == VALUE_INT && decimals->i)
        return rounded_to(s, x, decimals->i, span);
    if (decimals->kind == VALUE_INT || value_not_given(decimals))
        return apply_op(s, OP_rint, x, 1, span);
    sema_error(s, AX_not_constant, decimals->span, "`round` takes its decimals as a literal integer, not %s", value_words(s, decimals));
    return value_error();
}

struct value call_optional(struct sema *s, enum op op, const struct value *v, struct span span)
{
    return op == OP_clip ? clipped(s, &v[0], &v[1], &v[2], span) : round_to(s, &v[0], &v[1], span);
}
