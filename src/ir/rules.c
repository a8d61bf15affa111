/* Matches nodes under construction against grammar/rules.def. */
#include <math.h>
#include <string.h>
#include "ir/build.h"

enum side { LEFT = 1, RIGHT = 2, EITHER = 3 };
enum rule_kind { RULE_KEEP, RULE_SQUARE, RULE_TWICE, RULE_ALIKE, RULE_INVERT };

struct rule {
    enum rule_kind kind;
    enum op op;
    const char *classes;
    enum side side;
    double value;
    enum op with; /* INVERT */
};

static const struct rule rules[] = {
#define KEEP(op, classes, side, value, why) {RULE_KEEP, OP_##op, classes, side, value, OP_none},
#define SQUARE(op, classes, value, why)     {RULE_SQUARE, OP_##op, classes, RIGHT, value, OP_none},
#define TWICE(op, classes, why)             {RULE_TWICE, OP_##op, classes, EITHER, 0, OP_none},
#define ALIKE(op, classes, why)             {RULE_ALIKE, OP_##op, classes, EITHER, 0, OP_none},
#define INVERT(op, classes, with, why)      {RULE_INVERT, OP_##op, classes, RIGHT, 0, OP_##with},
#define CHOICE(why)
#include "rules.def"
#undef KEEP
#undef SQUARE
#undef TWICE
#undef ALIKE
#undef INVERT
#undef CHOICE
};

static bool of_class(const struct rule *r, enum dtype t)
{
    static const char letters[] = {[CLASS_BOOL] = 'B',
                                   [CLASS_INT] = 'I',
                                   [CLASS_UINT] = 'I',
                                   [CLASS_FLOAT] = 'F',
                                   [CLASS_COMPLEX] = 'C'};
    return strchr(r->classes, letters[type_table[t].cls]) != NULL;
}

static bool is_constant(const struct ir *ir, ir_id id, double value)
{
    const struct ir_node *n = ir_at(ir, id);
    uint64_t bits = 0;
    double here = value;
    if (n->op != OP_const)
        return false;
    eval_cast(n->dtype, &bits, DT_float64, &here, 1);
    uint64_t mask =
        type_table[n->dtype].size == 8 ? UINT64_MAX : (UINT64_C(1) << (8 * type_table[n->dtype].size)) - 1;
    return (bits & mask) == (n->attr & mask);
}

static bool fits(const struct ir *ir, ir_id id, const struct ir_node *n)
{
    const struct ir_node *a = ir_at(ir, id);
    return a->shape == n->shape && a->dtype == n->dtype && a->flags == n->flags;
}

static ir_id keep(const struct ir *ir, const struct rule *r, const struct ir_node *n)
{
    if ((r->side & RIGHT) && is_constant(ir, n->args[1], r->value) && fits(ir, n->args[0], n))
        return n->args[0];
    if ((r->side & LEFT) && is_constant(ir, n->args[0], r->value) && fits(ir, n->args[1], n))
        return n->args[1];
    return 0;
}

static ir_id square(struct ir *ir, const struct rule *r, const struct ir_node *n)
{
    ir_id args[] = {n->args[0], n->args[0]};
    if (!is_constant(ir, n->args[1], r->value) || !fits(ir, n->args[0], n))
        return 0;
    return ir_elem(ir, OP_multiply, n->dtype, args, 2, n->flags, n->span, NULL);
}

static ir_id twice(const struct ir *ir, const struct ir_node *n)
{
    const struct ir_node *a = ir_at(ir, n->args[0]);
    return a->op == n->op && fits(ir, a->args[0], n) ? a->args[0] : 0;
}

static ir_id invert(struct ir *ir, const struct rule *r, const struct ir_node *n)
{
    const struct ir_node *by = ir_at(ir, n->args[1]);
    double value, most = by->dtype == DT_float32 ? 0x1p126 : 0x1p1022;
    uint64_t bits = 0;
    int exponent;
    if (by->op != OP_const)
        return 0;
    eval_cast(DT_float64, &value, by->dtype, &by->attr, 1);
    if (fabs(frexp(value, &exponent)) != 0.5 || fabs(value) > most || fabs(value) < 1 / most)
        return 0;
    value = 1 / value;
    eval_cast(by->dtype, &bits, DT_float64, &value, 1);
    ir_id args[] = {n->args[0], ir_const(ir, by->dtype, bits, 0, n->span)};
    return ir_elem(ir, r->with, n->dtype, args, 2, n->flags, n->span, NULL);
}

static ir_id apply(struct ir *ir, const struct rule *r, const struct ir_node *n)
{
    switch (r->kind) {
    case RULE_KEEP:
        return keep(ir, r, n);
    case RULE_SQUARE:
        return square(ir, r, n);
    case RULE_TWICE:
        return twice(ir, n);
    case RULE_INVERT:
        return invert(ir, r, n);
    case RULE_ALIKE:
        return n->args[0] == n->args[1] && fits(ir, n->args[0], n) ? n->args[0] : 0;
    }
    return 0;
}

static ir_id choice(const struct ir *ir, const struct ir_node *n)
{
    const struct ir_node *c = ir_at(ir, n->args[0]);
    ir_id side = n->args[1] == n->args[2] ? n->args[1]
                 : c->op != OP_const      ? 0
                 : c->attr & 1            ? n->args[1]
                                          : n->args[2];
    return side && fits(ir, side, n) ? side : 0;
}

ir_id rules_apply(struct ir *ir, const struct ir_node *n)
{
    if (n->op == OP_where)
        return choice(ir, n);
    for (unsigned i = 0; i < sizeof rules / sizeof *rules; i++)
        if (rules[i].op == n->op && of_class(&rules[i], ir_at(ir, n->args[0])->dtype)) {
            ir_id id = apply(ir, &rules[i], n);
            if (id)
                return id;
        }
    return 0;
}
