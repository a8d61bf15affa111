/*
 * Statements: definitions, lets, bodies of functions.
 */
#include "sema/build.h"

void bind_def(struct sema *s, const struct ast *def, bool library)
{
    struct value *defaults = arena_array(s->arena, struct value, def->n_params + 1);

    for (uint32_t k = 0; k < def->n_params; k++)
        defaults[k] = def->params[k]->n_kids ? eval(s, def->params[k]->kid[0]) : value_error();
    struct binding *b = scope_bind(s->arena, s->scope, def->name, def->name_span);
    b->def = def;
    b->home = s->scope;
    b->library = library;
    b->defaults = defaults;
}

static void bind_several(struct sema *s, const struct ast *let, struct value v)
{
    if (v.kind != VALUE_ERROR && (v.kind != VALUE_TUPLE || v.n_items != let->n_names)) {
        sema_error(s, AX_wrong_argument_count, let->span, "%u names, but %u value%s", let->n_names,
                   v.kind == VALUE_TUPLE ? v.n_items : 1, v.kind == VALUE_TUPLE && v.n_items != 1 ? "s" : "");
        v = value_error();
    }
    for (uint32_t i = 0; i < let->n_names; i++)
        scope_bind(s->arena, s->scope, let->names[i], let->name_spans[i])->value =
            v.kind == VALUE_TUPLE ? v.items[i] : value_error();
}

void run_let(struct sema *s, const struct ast *let)
{
    struct value v = eval(s, let->kid[0]);

    if (let->n_names == 1)
        scope_bind(s->arena, s->scope, let->names[0], let->name_spans[0])->value = v;
    else
        bind_several(s, let, v);
}

struct value run_return(struct sema *s, const struct ast *ret)
{
    struct value *items;

    if (ret->n_kids == 1)
        return eval(s, ret->kid[0]);
    items = arena_array(s->arena, struct value, ret->n_kids + 1);
    for (uint32_t i = 0; i < ret->n_kids; i++)
        items[i] = eval(s, ret->kid[i]);
    return (struct value){.kind = VALUE_TUPLE, .items = items, .n_items = ret->n_kids, .span = ret->span};
}

struct value run_body(struct sema *s, struct ast **body, unsigned n, struct span span)
{
    for (unsigned i = 0; i < n; i++) {
        switch (body[i]->kind) {
        case AST_LET:
            run_let(s, body[i]);
            break;
        case AST_STORE:
            run_part(s, body[i]);
            break;
        case AST_DEF:
            bind_def(s, body[i], s->frame && s->frame->built_in);
            break;
        case AST_RETURN:
            return run_return(s, body[i]);
        case AST_EXPR:
            if (i + 1 == n)
                return eval(s, body[i]->kid[0]);
            eval(s, body[i]->kid[0]);
            break;
        default:
            sema_error(s, AX_not_supported, body[i]->span, "this statement is not in this version");
            return value_error();
        }
    }
    sema_error(s, AX_no_output, span, "the function gives no value: end it with a return");
    return value_error();
}
