/*
 * Fast mode: what operations of the program's own text become, by the rules of grammar/loose.def. Made here, where types are settled, so
 * what is exact and what is not can be read off the IR, and all devices still agree where the operators do.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "ir/build.h"
#include "sema/build.h"

enum rule_kind { RULE_GATHER, RULE_INVERT, RULE_ROOT, RULE_QUICK, RULE_POWER };
enum divisor { CONSTANT, FEWER };

static const struct rule {
    enum rule_kind kind;
    enum op op, with;
    enum dtype dtype;
    double number; /* enum divisor, or the largest power */
} rules[] = {
#define GATHER(op, with, why)       {RULE_GATHER, OP_##op, OP_##with, DT_none, 0},
#define INVERT(who, why)            {RULE_INVERT, OP_divide, OP_none, DT_none, who},
#define ROOT(dtype, why)            {RULE_ROOT, OP_divide, OP_none, DT_##dtype, 0},
#define QUICK(op, dtype, with, why) {RULE_QUICK, OP_##op, OP_##with, DT_##dtype, 0},
#define POWER(most, why)            {RULE_POWER, OP_power, OP_none, DT_none, most},
#include "loose.def"
#undef GATHER
#undef INVERT
#undef ROOT
#undef QUICK
#undef POWER
};
enum { RULES = sizeof rules / sizeof *rules };

bool is_loose(const struct sema *s, enum dtype t)
{
    return s->fast && (!s->frame || !s->frame->built_in) && type_table[t].cls == CLASS_FLOAT &&
           !type_is_storage(t);
}

/* ---- constants ---- */

static bool constant(const struct ir *ir, ir_id id, double *value)
{
    const struct ir_node *n = ir_at(ir, id);
    if (n->op != OP_const)
        return false;
    eval_cast(DT_float64, value, n->dtype, &n->attr, 1);
    return true;
}

/* Is it a number that products can be moved across, with no infinity or subnormal made? */
static bool is_plain(const struct ir *ir, ir_id id)
{
    double v;
    if (!constant(ir, id, &v))
        return false;
    return ir_at(ir, id)->dtype == DT_float32 ? isnormal((float)v) : isnormal(v);
}

static ir_id two(struct sema *s, enum op op, ir_id a, ir_id b, struct span span)
{
    ir_id args[] = {a, b};
    return ir_elem(s->ir, op, (enum dtype)ir_at(s->ir, a)->dtype, args, 2, 0, span, s->diags);
}

static ir_id one(struct sema *s, enum dtype t, struct span span)
{
    struct value v = value_int(1, span);
    return value_as(s, &v, t);
}

/* ---- gathered constants ---- */

struct moved { /* x op constant, or x with constant */
    ir_id x, constant;
    enum op op;
};

static bool take_apart(const struct ir *ir, const struct rule *r, enum op op, const ir_id *args,
                       struct moved *out)
{
    double v;
    if (op != r->op && op != r->with)
        return false;
    unsigned side = constant(ir, args[1], &v) ? 1 : 0;
    if (!constant(ir, args[side], &v) || (side == 0 && op != r->op))
        return false;
    *out = (struct moved){args[!side], args[side], op};
    return true;
}

/* What (x op c) op d is, or 0. */
static ir_id gather(struct sema *s, const struct rule *r, enum op op, const ir_id *args, struct span span)
{
    struct moved outer, inner;
    if (!take_apart(s->ir, r, op, args, &outer))
        return 0;
    const struct ir_node in = *ir_at(s->ir, outer.x);
    if (in.n_args != 2 || !take_apart(s->ir, r, (enum op)in.op, in.args, &inner))
        return 0;
    ir_id both = two(s, inner.op == outer.op ? r->op : r->with, inner.constant, outer.constant, span);
    return is_plain(s->ir, both) ? two(s, inner.op, inner.x, both, span) : 0;
}

/* ---- quotients ---- */

/* Does y, which x is divided by, have elements for fewer places than x? */
static bool has_fewer(const struct ir *ir, ir_id x, ir_id y)
{
    const struct ir_shape *a = &ir->shapes.at[ir_at(ir, x)->shape], *b = &ir->shapes.at[ir_at(ir, y)->shape];
    bool fewer = b->rank < a->rank;
    if (b->rank > a->rank)
        return false;
    for (unsigned d = 0; d < b->rank; d++) {
        uint32_t of_x = a->dim[a->rank - 1 - d], of_y = b->dim[b->rank - 1 - d];
        if (of_y != of_x && ir->dims.at[of_y].kind != DIM_ONE)
            return false;
        fewer |= of_y != of_x;
    }
    return fewer;
}

static bool is_invertible(const struct ir *ir, enum divisor who, ir_id x, ir_id y)
{
    double v;
    if (who == FEWER)
        return !constant(ir, y, &v) && has_fewer(ir, x, y);
    return is_plain(ir, y) && constant(ir, y, &v) &&
           fabs(v) <= (ir_at(ir, y)->dtype == DT_float32 ? 0x1p126 : 0x1p1022);
}

static ir_id rewritten(struct sema *s, enum op op, const ir_id *args, enum dtype t, struct span span);

static ir_id times(struct sema *s, ir_id x, ir_id y, enum dtype t, struct span span)
{
    ir_id args[] = {x, y}, better = rewritten(s, OP_multiply, args, t, span);
    return better ? better : two(s, OP_multiply, x, y, span);
}

static ir_id invert(struct sema *s, const struct rule *r, const ir_id *args, enum dtype t, struct span span)
{
    if (!is_invertible(s->ir, (enum divisor)r->number, args[0], args[1]))
        return 0;
    return times(s, args[0], two(s, OP_divide, one(s, t, span), args[1], span), t, span);
}

static ir_id through_root(struct sema *s, const struct rule *r, const ir_id *args, enum dtype t,
                          struct span span)
{
    if (r->dtype != t || ir_at(s->ir, args[1])->op != OP_sqrt)
        return 0;
    ir_id inside = ir_at(s->ir, args[1])->args[0];
    return times(s, args[0], ir_elem(s->ir, OP_quick_rsqrt, t, &inside, 1, 0, span, s->diags), t, span);
}

/* ---- the rules ---- */

static ir_id rewritten(struct sema *s, enum op op, const ir_id *args, enum dtype t, struct span span)
{
    ir_id id = 0;
    for (const struct rule *r = rules; !id && r < rules + RULES; r++)
        if (r->kind == RULE_GATHER)
            id = gather(s, r, op, args, span);
        else if (r->kind == RULE_INVERT && op == r->op)
            id = invert(s, r, args, t, span);
        else if (r->kind == RULE_ROOT && op == r->op)
            id = through_root(s, r, args, t, span);
    return id;
}

/* a*b + c with one rounding. */
static ir_id contracted(struct sema *s, enum op op, const ir_id *ids, enum dtype t, struct span span)
{
    for (unsigned side = 0; side < 2 && (op == OP_add || op == OP_subtract); side++) {
        const struct ir_node product = *ir_at(s->ir, ids[side]);
        ir_id args[3] = {product.args[0], product.args[1], ids[!side]};
        if (product.op != OP_multiply)
            continue;
        if (op == OP_subtract) /* a*b - c, or c - a*b */
            args[side ? 0 : 2] = ir_elem(s->ir, OP_negative, t, &args[side ? 0 : 2], 1, 0, span, s->diags);
        return ir_elem(s->ir, OP_fma, t, args, 3, 0, span, s->diags);
    }
    return 0;
}

/* Not a division by a constant that cannot be inverted: that is one which the estimate cannot either. */
static ir_id quickened(struct sema *s, enum op op, const ir_id *args, unsigned n, enum dtype t,
                       struct span span)
{
    double v;
    for (const struct rule *r = rules; r < rules + RULES; r++)
        if (r->kind == RULE_QUICK && r->op == op && r->dtype == t && !constant(s->ir, args[n - 1], &v))
            return ir_elem(s->ir, r->with, t, args, n, 0, span, s->diags);
    return 0;
}

ir_id loose_node(struct sema *s, enum op op, const ir_id *args, unsigned n, enum dtype t, struct span span)
{
    ir_id id = 0;
    if (!is_loose(s, t))
        return 0;
    if (n == 2 && !(id = rewritten(s, op, args, t, span)))
        id = contracted(s, op, args, t, span);
    return id ? id : quickened(s, op, args, n, t, span);
}

bool loose_function(struct sema *s, enum op op, enum dtype t, char *name, size_t size)
{
    snprintf(name, size, "%s_quick_%s", op_table[op].name, type_table[t].name);
    return is_loose(s, t) && library_find(s, str_of(name), DT_none);
}

/* ---- powers ---- */

static struct value whole_power(struct sema *s, const struct value *x, unsigned n, struct span span)
{
    struct value pair[2];
    if (n == 1)
        return *x;
    pair[0] = pair[1] = whole_power(s, x, n / 2, span);
    pair[0] = apply_op(s, OP_multiply, pair, 2, span);
    pair[1] = *x;
    return n % 2 ? apply_op(s, OP_multiply, pair, 2, span) : pair[0];
}

static double most_power(void)
{
    for (const struct rule *r = rules; r < rules + RULES; r++)
        if (r->kind == RULE_POWER)
            return r->number;
    return 0;
}

bool loose_power(struct sema *s, const struct value *x, double by, enum dtype t, struct span span,
                 struct value *out)
{
    double whole, size = fabs(by);
    bool half = modf(size, &whole) != 0;
    struct value pair[2];
    if (!is_loose(s, t) || size > most_power() || size == 0 || rint(2 * by) != 2 * by)
        return false;
    if (whole > 0)
        *out = whole_power(s, x, (unsigned)whole, span);
    if (half) {
        pair[0] = *out;
        pair[1] = apply_op(s, OP_sqrt, x, 1, span);
        *out = whole > 0 ? apply_op(s, OP_multiply, pair, 2, span) : pair[1];
    }
    pair[0] = value_int(1, span);
    pair[1] = *out;
    if (by < 0)
        *out = apply_op(s, OP_divide, pair, 2, span);
    return true;
}
