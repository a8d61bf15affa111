/*
 * A[1:-1, ::2] = expr: a part of an array replaced. Values do not change, so the name is bound again, to the array with that part replaced
 * (ir_replace). The right side sees the array as it was, whatever it reads of it.
 */
#include "ir/build.h"
#include "sema/build.h"

/* The type of an array stays: the value must be one that it holds without loss by the rules of promotion. */
static ir_id as_type_of(struct sema *s, const struct value *whole, struct value v)
{
    struct value both[] = {*whole, v};
    bool weak;
    enum dtype met = promote_values(both, 2, &weak), own = whole->dtype;
    if (met == own)
        return value_as(s, &v, own);
    sema_error(s, AX_type_mismatch, v.span, "a part of an array of %s cannot be replaced by %s: an array keeps its type; write `%s(...)`",
               type_table[own].name, value_words(s, &v), type_table[own].name);
    return 0;
}

/* As many axes as the array, so that nothing of it is left: the value, where it needs no stretching. */
static bool is_all_of(struct sema *s, const struct part *part, const struct value *whole, ir_id value)
{
    return !part->steps.n && ir_at(s->ir, value)->shape == ir_at(s->ir, whole->id)->shape;
}

static struct value replaced(struct sema *s, const struct value *whole, const struct part *part, struct value v, struct span span)
{
    ir_id value = as_type_of(s, whole, v);
    if (!value)
        return value_error();
    if (is_all_of(s, part, whole, value))
        return value_array(s, value, false, span);
    if (!type_is_complex((enum dtype)whole->dtype))
        return value_array(s, ir_replace(s->ir, whole->id, part->steps.at, part->steps.n, value, sema_span(s, span), s->diags), false, span);
    ir_id parts[2];
    for (unsigned k = 0; k < 2; k++) /* each lies in memory of its own */
        parts[k] = ir_replace(s->ir, ir_part(s->ir, whole->id, k, span), part->steps.at, part->steps.n, ir_part(s->ir, value, k, span), sema_span(s, span), s->diags);
    return complex_pair(s, parts[0], parts[1], false, span);
}

void run_part(struct sema *s, const struct ast *st)
{
    const struct ast *target = st->kid[0], *name = target->kid[0];
    struct part part = {0};
    if (name->kind != AST_NAME) {
        sema_error(s, AX_not_supported, target->span, "a part of an array is replaced by way of the array's name");
        return;
    }
    if (s->in_kernel || s->n_loops) {
        sema_error(s, AX_not_supported, st->span, "what a kernel or a loop calls works on one element: it has no parts to replace");
        return;
    }
    struct value old = eval_part(s, target, &part), v = eval(s, st->kid[1]), whole = eval(s, name);
    bool good = old.kind == VALUE_ARRAY && v.kind != VALUE_ERROR;
    if (good && !value_is_numeric(&v)) {
        sema_error(s, AX_type_mismatch, v.span, "a part of an array is replaced by numbers, not by %s", value_words(s, &v));
        good = false;
    }
    scope_bind(s->arena, s->scope, name->name, name->span)->value = good ? replaced(s, &whole, &part, v, st->span) : value_error();
}
