/*
 * Expressions to values.
 */
#include "sema/build.h"

static struct value refuse(struct sema *s, const struct ast *e, const char *what)
{
    sema_error(s, AX_not_supported, e->span, "%s not in this version", what);
    return value_error();
}

static struct value eval_name(struct sema *s, const struct ast *e)
{
    struct binding *b = scope_find(s->scope, e->name, false);
    enum dtype t = type_by_name(e->name);
    struct value v;

    if (b && b->partial) {
        sema_error(s, AX_unknown_name, e->span, "`%.*s` has no value on some of the ways that lead here: give it one before", (int)e->name.n, e->name.s);
        return value_error();
    }
    if (b) {
        v = b->value;
    } else if (constant_value(e->name, &v)) {
    } else if (t != DT_none) {
        v = (struct value){.kind = VALUE_DTYPE, .dtype = (uint8_t)t};
    } else {
        sema_unknown_name(s, e->name, "is not bound here", NULL, e->span);
        return value_error();
    }
    v.span = e->span;
    return v;
}

static struct value eval_int(struct sema *s, const struct ast *e, bool negative)
{
    uint64_t limit = (uint64_t)INT64_MAX + negative;

    if (e->u.integer > limit && negative) {
        sema_error(s, AX_number_too_large, e->span, "the integer does not fit int64; write a float for more");
        return value_error();
    }
    if (e->u.integer > limit)
        return value_array(s, ir_const(s->ir, DT_uint64, e->u.integer, IR_WEAK, sema_span(s, e->span)), true, e->span);
    return value_int((int64_t)(negative ? 0 - e->u.integer : e->u.integer), e->span);
}

static struct value eval_unary(struct sema *s, const struct ast *e)
{
    struct value v;

    if (e->op == OP_negative && e->kid[0]->kind == AST_INT) {
        v = eval_int(s, e->kid[0], true);
        v.span = e->span;
        return v;
    }
    v = eval(s, e->kid[0]);
    return apply_op(s, (enum op)e->op, &v, 1, e->span);
}

static struct value eval_binary(struct sema *s, const struct ast *e)
{
    struct value args[2];

    args[0] = eval(s, e->kid[0]);
    args[1] = eval(s, e->kid[1]);
    if (e->op == OP_matmul)
        return call_product(s, OP_matmul, args, e->span);
    return apply_op(s, (enum op)e->op, args, 2, e->span);
}

/* a < b < c is (a < b) & (b < c), with b evaluated once */
static struct value eval_compare(struct sema *s, const struct ast *e)
{
    struct value pair[2] = {eval(s, e->kid[0])}, all[2] = {value_error()};

    for (uint32_t i = 1; i < e->n_kids; i++) {
        pair[1] = eval(s, e->kid[i]);
        struct span span = span_join(e->kid[i - 1]->span, e->kid[i]->span);
        all[1] = apply_op(s, (enum op)e->ops[i - 1], pair, 2, span);
        all[0] = i == 1 ? all[1] : apply_op(s, OP_logical_and, all, 2, e->span);
        pair[0] = pair[1];
    }
    all[0].span = e->span;
    return all[0];
}

/* Between things known while compiling the choice is made now; between arrays it is `where`. */
static struct value eval_cond(struct sema *s, const struct ast *e)
{
    struct value args[3];

    args[0] = eval(s, e->kid[1]);
    args[1] = eval(s, e->kid[0]);
    args[2] = eval(s, e->kid[2]);
    if (args[0].kind == VALUE_BOOL && args[1].kind != VALUE_ARRAY && args[2].kind != VALUE_ARRAY)
        return args[0].i ? args[1] : args[2];
    return apply_op(s, OP_where, args, 3, e->span);
}

static struct value eval_tuple(struct sema *s, const struct ast *e)
{
    struct value *items = arena_array(s->arena, struct value, e->n_kids + 1);

    for (uint32_t i = 0; i < e->n_kids; i++)
        items[i] = eval(s, e->kid[i]);
    return (struct value){.kind = VALUE_TUPLE, .items = items, .n_items = e->n_kids, .span = e->span};
}

static struct value eval_attribute(struct sema *s, const struct ast *e)
{
    if (s->in_kernel && kernel_attribute(e->kid[0]))
        return eval_kernel_attribute(s, e);
    struct value x = eval(s, e->kid[0]);

    if (x.kind == VALUE_ARRAY && str_is(e->name, "T"))
        return transpose(s, &x, NULL, e->span);
    if (x.kind != VALUE_ERROR) {
        sema_error(s, AX_unknown_name, e->name_span, "%s has no attribute `%.*s`", value_words(s, &x), (int)e->name.n, e->name.s);
        diag_note(s->diags, sema_span(s, e->name_span), str_is(e->name, "t") ? "did you mean `T`?" : "there is `.T`; `shape(x, 0)`, `size(x)`, `ndim(x)` and all else are functions");
    }
    return value_error();
}

static struct value eval_imaginary(struct sema *s, const struct ast *e)
{
    struct value zero = value_float(0, e->span), im = value_float(e->u.real, e->span);
    return complex_pair(s, value_to_ir(s, &zero), value_to_ir(s, &im), true, e->span);
}

static struct value eval_inner(struct sema *s, const struct ast *e)
{
    switch (e->kind) {
    case AST_INT:
        return eval_int(s, e, false);
    case AST_FLOAT:
        return value_float(e->u.real, e->span);
    case AST_BOOL:
        return value_bool(e->u.integer != 0, e->span);
    case AST_NONE:
        return (struct value){.kind = VALUE_NONE, .span = e->span};
    case AST_NAME:
        return eval_name(s, e);
    case AST_UNARY:
        return eval_unary(s, e);
    case AST_BINARY:
        return eval_binary(s, e);
    case AST_COMPARE:
        return eval_compare(s, e);
    case AST_COND:
        return eval_cond(s, e);
    case AST_CALL:
        return eval_call(s, e);
    case AST_TUPLE:
        return eval_tuple(s, e);
    case AST_IMAG:
        return eval_imaginary(s, e);
    case AST_INDEX:
        return eval_index(s, e);
    case AST_SLICE:
    case AST_ELLIPSIS:
        return refuse(s, e, "slices are");
    case AST_ATTR:
        return eval_attribute(s, e);
    default:
        return refuse(s, e, "this construct is");
    }
}

struct value eval(struct sema *s, const struct ast *e)
{
    struct value v;

    if (s->depth >= SEMA_MAX_DEPTH) {
        sema_error(s, AX_nesting_too_deep, e->span, "calls and brackets nest too deeply here");
        return value_error();
    }
    s->depth++;
    v = eval_inner(s, e);
    s->depth--;
    return v;
}
