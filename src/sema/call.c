/*
 * Calls: who is meant, arguments to parameters as Python does it, and inlining.
 */
#include <string.h>
#include "sema/build.h"

struct args {
    struct value *value;
    struct str *keyword; /* empty for positional ones */
    unsigned n;
};

static struct args eval_args(struct sema *s, const struct ast *e)
{
    struct args a = {arena_array(s->arena, struct value, e->n_kids + 1),
                     arena_array(s->arena, struct str, e->n_kids + 1), e->n_kids};

    for (uint32_t i = 0; i < e->n_kids; i++) {
        const struct ast *kid = e->kid[i];
        bool named = kid->kind == AST_KEYWORD;
        a.value[i] = eval(s, named ? kid->kid[0] : kid);
        a.value[i].span = named ? kid->span : a.value[i].span;
        if (named)
            a.keyword[i] = kid->name;
        else if (a.value[i].kind == VALUE_ERROR)
            a.value[i].span = kid->span;
    }
    return a;
}

/* ---- functions of the program and of the library ---- */

static void wrong_count(struct sema *s, const struct ast *def, unsigned n, struct span span)
{
    sema_error(s, AX_wrong_argument_count, span, "`%.*s` takes %u argument%s, %u given", (int)def->name.n,
               def->name.s, def->n_params, def->n_params == 1 ? "" : "s", n);
}

/* The formal that an argument is for; -1 with a diagnostic when there is none. */
static int formal_of(struct sema *s, const struct ast *def, struct str keyword, unsigned position, unsigned n,
                     struct span span, struct span call)
{
    struct str *names;

    if (!keyword.n) {
        if (position < def->n_params)
            return (int)position;
        wrong_count(s, def, n, call);
        return -1;
    }
    for (uint32_t k = 0; k < def->n_params; k++)
        if (str_eq(def->params[k]->name, keyword))
            return (int)k;
    names = arena_array(s->arena, struct str, def->n_params + 1);
    for (uint32_t k = 0; k < def->n_params; k++)
        names[k] = def->params[k]->name;
    sema_unknown_keyword(s, def->name, keyword, names, def->n_params, span);
    return -1;
}

/* Gives every formal its value; false with a diagnostic. */
static bool match_args(struct sema *s, struct binding *f, const struct value *given,
                       const struct str *keywords, unsigned n, struct span call, struct value *values)
{
    const struct ast *def = f->def;
    bool *seen = arena_array(s->arena, bool, def->n_params + 1);

    for (unsigned i = 0; i < n; i++) {
        int k = formal_of(s, def, keywords ? keywords[i] : (struct str){NULL, 0}, i, n, given[i].span, call);
        if (k < 0)
            return false;
        if (seen[k]) {
            sema_error(s, AX_duplicate_keyword, given[i].span, "`%.*s` is given twice",
                       (int)def->params[k]->name.n, def->params[k]->name.s);
            return false;
        }
        seen[k] = true;
        values[k] = given[i];
    }
    for (uint32_t k = 0; k < def->n_params; k++) {
        if (!seen[k] && !def->params[k]->n_kids) {
            sema_error(s, AX_wrong_argument_count, call, "`%.*s` needs its argument `%.*s`", (int)def->name.n,
                       def->name.s, (int)def->params[k]->name.n, def->params[k]->name.s);
            return false;
        }
        if (!seen[k])
            values[k] = f->defaults[k];
    }
    return true;
}

static bool may_inline(struct sema *s, const struct ast *def, struct span span)
{
    for (struct frame *f = s->frame; f; f = f->up)
        if (f->def == def) {
            sema_error(s, AX_recursion, span,
                       "`%.*s` calls itself; functions are inlined and may not recurse", (int)def->name.n,
                       def->name.s);
            return false;
        }
    if (s->n_inlines++ < s->max_inlines)
        return true;
    if (s->n_inlines == s->max_inlines + 1)
        sema_error(s, AX_too_many_inlines, span, "more than %u calls are inlined", s->max_inlines);
    return false;
}

struct value inline_call(struct sema *s, struct binding *f, const struct value *given,
                         const struct str *keywords, unsigned n, struct span span)
{
    const struct ast *def = f->def;
    struct value *values = arena_array(s->arena, struct value, def->n_params + 1), result;
    struct frame frame = {.up = s->frame, .def = def, .call = span, .built_in = f->library, .by_element = has_control(def)};
    struct scope *saved = s->scope;

    if (!may_inline(s, def, span) || !match_args(s, f, given, keywords, n, span, values))
        return value_error();
    const struct value *made = f->library ? made_find(s, f, values) : NULL;
    if (made) {
        result = *made;
        result.span = span;
        return result;
    }
    s->scope = scope_new(s->arena, f->home);
    s->scope->up_limit = f->library ? UINT32_MAX : f->seq; /* a function sees what was bound before it */
    for (uint32_t k = 0; k < def->n_params; k++)
        scope_bind(s->arena, s->scope, def->params[k]->name, def->params[k]->span)->value = values[k];
    s->frame = &frame;
    result = frame.by_element ? run_control(s, def) : run_body(s, def->body, def->n_body, def->span);
    s->frame = frame.up;
    s->scope = saved;
    if (f->library && result.kind != VALUE_ERROR)
        made_keep(s, f, values, result);
    result.span = span;
    return result;
}

struct value call_library(struct sema *s, struct str name, enum dtype dtype, const struct value *args,
                          const struct str *keywords, unsigned n, struct span span)
{
    struct binding *f = library_find(s, name, dtype);

    if (f)
        return inline_call(s, f, args, keywords, n, span);
    sema_error(s, AX_not_supported, span, "`%.*s` is not in this version's math library", (int)name.n,
               name.s);
    return value_error();
}

/* ---- what the builder knows itself ---- */

static bool positional(struct sema *s, enum op op, const struct args *a, unsigned want, struct span span)
{
    for (unsigned i = 0; i < a->n; i++)
        if (a->keyword[i].n) {
            sema_unknown_keyword(s, str_of(op_table[op].name), a->keyword[i], NULL, 0, a->value[i].span);
            return false;
        }
    if (a->n == want)
        return true;
    sema_error(s, AX_wrong_argument_count, span, "`%s` takes %u argument%s, %u given", op_table[op].name,
               want, want == 1 ? "" : "s", a->n);
    return false;
}

bool known_dtype(struct sema *s, const struct value *v)
{
    if (v->kind != VALUE_DTYPE) {
        if (v->kind != VALUE_ERROR)
            sema_error(s, AX_unknown_type, v->span, "a dtype is expected here, such as float32, not %s",
                       value_words(s, v));
        return false;
    }
    if (!type_table[v->dtype].works) {
        sema_error(s, AX_not_supported, v->span, "%s is not in this version", type_table[v->dtype].name);
        return false;
    }
    return true;
}

static bool numeric(struct sema *s, const char *what, const struct value *v)
{
    if (v->kind != VALUE_ERROR && !value_is_numeric(v))
        sema_error(s, AX_type_mismatch, v->span, "`%s` takes an array or a number, not %s", what,
                   value_words(s, v));
    return value_is_numeric(v);
}

/* Conversions wrap or saturate, so a literal of any size may be converted. */
struct value convert(struct sema *s, const struct value *x, const struct value *to, struct span span)
{
    ir_id id;

    if (!known_dtype(s, to) || !numeric(s, type_table[to->dtype].name, x))
        return value_error();
    if (type_is_complex((enum dtype)to->dtype) || any_complex(x, 1))
        return value_array(s, value_as(s, x, (enum dtype)to->dtype), false, span);
    id = value_to_ir(s, x);
    if (id && ir_at(s->ir, id)->dtype != to->dtype)
        id = ir_cast(s->ir, id, (enum dtype)to->dtype, sema_span(s, span));
    return value_array(s, id, false, span);
}

/* The library's functions see to it that what a nan is made of does not show. */
static bool in_library(const struct sema *s)
{
    return s->frame && s->frame->built_in;
}

static struct value call_bits(struct sema *s, const struct value *x, struct span span)
{
    enum dtype t = value_dtype(x);

    if (!numeric(s, "bits", x))
        return value_error();
    if (type_table[t].cls != CLASS_FLOAT) {
        sema_error(s, AX_type_mismatch, span, "`bits` takes floats, not %s", value_words(s, x));
        return value_error();
    }
    ir_id id = value_to_ir(s, x);
    return value_array(s, (in_library(s) ? ir_bitcast_of_number : ir_bitcast)(s->ir, id, type_bits(t), sema_span(s, span)), false, span);
}

static struct value call_frombits(struct sema *s, const struct value *i, const struct value *to,
                                  struct span span)
{
    enum dtype want;
    bool weak = i->kind == VALUE_INT || (i->kind == VALUE_ARRAY && i->weak);

    if (!known_dtype(s, to) || !numeric(s, "frombits", i))
        return value_error();
    want = type_bits((enum dtype)to->dtype);
    if (type_table[to->dtype].cls != CLASS_FLOAT || (!weak && value_dtype(i) != want)) {
        sema_error(s, AX_type_mismatch, span,
                   "`frombits` makes a float of the signed integer of its width, such as float32 of int32, not %s of %s",
                   type_table[to->dtype].name, value_words(s, i));
        return value_error();
    }
    ir_id id = value_as(s, i, want);
    return id ? value_array(s, ir_bitcast(s->ir, id, (enum dtype)to->dtype, sema_span(s, span)), false, span)
              : value_error();
}

/* The slow side is built in a region of its own, its conversion included. */
static struct value call_rarely(struct sema *s, const struct ast *e)
{
    struct value cond, both[2];
    uint32_t region;
    enum dtype t;
    bool weak;
    ir_id slow, fast;

    if (e->n_kids != 3 || e->kid[0]->kind == AST_KEYWORD || e->kid[1]->kind == AST_KEYWORD ||
        e->kid[2]->kind == AST_KEYWORD) {
        sema_error(s, AX_wrong_argument_count, e->span,
                   "`rarely` takes 3 arguments: a condition, slow, fast");
        return value_error();
    }
    cond = eval(s, e->kid[0]);
    both[1] = eval(s, e->kid[2]);
    region = ir_region_begin(s->ir);
    both[0] = eval(s, e->kid[1]);
    if (!value_is_numeric(&both[0]) || !value_is_numeric(&both[1]) || value_dtype(&cond) != DT_bool) {
        ir_region_end(s->ir);
        if (cond.kind != VALUE_ERROR && both[0].kind != VALUE_ERROR && both[1].kind != VALUE_ERROR)
            sema_error(s, AX_type_mismatch, e->span,
                       "`rarely` takes a bool condition and two arrays or numbers");
        return value_error();
    }
    t = promote_values(both, 2, &weak);
    if (type_is_complex(t)) {
        ir_region_end(s->ir);
        sema_error(s, AX_type_mismatch, e->span, "`rarely` chooses between real values: write one for each part");
        return value_error();
    }
    slow = value_as(s, &both[0], t);
    ir_region_end(s->ir);
    fast = value_as(s, &both[1], t);
    if (!slow || !fast)
        return value_error();
    unsigned flags = in_library(s) && type_table[t].cls == CLASS_FLOAT ? IR_NUMBER : 0; /* the library's conditions hold where there is a nan */
    return value_array(
        s, ir_rarely(s->ir, value_to_ir(s, &cond), region, slow, fast, flags, sema_span(s, e->span), s->diags), weak,
        e->span);
}

enum { MOST_PARAMETERS = 4 };

struct signature {
    struct str name[MOST_PARAMETERS];
    unsigned n, required;
};

/* From the table's text: "x, axis=None". */
static struct signature signature_of(enum op op)
{
    struct signature sig = {.n = 0};
    for (const char *at = op_table[op].signature; *at && sig.n < MOST_PARAMETERS;) {
        size_t length = strcspn(at, ",="), all = strcspn(at, ",");
        sig.name[sig.n++] = (struct str){at, (uint32_t)length};
        sig.required += length == all;
        at += all;
        at += strspn(at, ", ");
    }
    return sig;
}

/* NumPy's further names of parameters. */
static struct str own_name(enum op op, struct str keyword)
{
    static const struct {
        enum op op;
        const char *theirs, *ours;
    } names[] = {{OP_clip, "a_min", "lo"}, {OP_clip, "a_max", "hi"}, {OP_clip, "min", "lo"}, {OP_clip, "max", "hi"}};

    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].op == op && str_is(keyword, names[i].theirs))
            return str_of(names[i].ours);
    return keyword;
}

/* Each parameter's value by position or name, None where an optional one is not given; false with a diagnostic. */
static bool bind_parameters(struct sema *s, enum op op, const struct args *a, struct span span, struct value *values)
{
    struct signature sig = signature_of(op);
    bool given[MOST_PARAMETERS] = {false};

    for (unsigned i = 0; i < a->n; i++) {
        unsigned k = i;
        for (k = a->keyword[i].n ? 0 : i; a->keyword[i].n && k < sig.n && !str_eq(sig.name[k], own_name(op, a->keyword[i]));)
            k++;
        if (k >= sig.n && a->keyword[i].n) {
            sema_unknown_keyword(s, str_of(op_table[op].name), a->keyword[i], sig.name, sig.n, a->value[i].span);
            return false;
        }
        if (k >= sig.n) {
            sema_error(s, AX_wrong_argument_count, span, "`%s` takes at most %u arguments, %u given", op_table[op].name, sig.n, a->n);
            return false;
        }
        if (given[k]) {
            sema_error(s, AX_duplicate_keyword, a->value[i].span, "`%.*s` is given twice", (int)sig.name[k].n, sig.name[k].s);
            return false;
        }
        given[k] = true;
        values[k] = a->value[i];
    }
    for (unsigned k = 0; k < sig.n; k++) {
        if (!given[k] && k < sig.required) {
            sema_error(s, AX_wrong_argument_count, span, "`%s` needs its argument `%.*s`", op_table[op].name, (int)sig.name[k].n, sig.name[k].s);
            return false;
        }
        if (!given[k])
            values[k] = (struct value){.kind = VALUE_NONE, .i = NOT_GIVEN, .span = span};
    }
    return true;
}

static struct value call_conversion(struct sema *s, enum op op, const struct args *a, struct span span)
{
    bool one = op == OP_bits || op == OP_real || op == OP_imag;
    if (!positional(s, op, a, one ? 1 : 2, span))
        return value_error();
    if (op == OP_complex || op == OP_real || op == OP_imag)
        return call_complex(s, op, a->value, a->n, span);
    if (op == OP_astype)
        return convert(s, &a->value[0], &a->value[1], span);
    if (op == OP_bits)
        return call_bits(s, &a->value[0], span);
    return call_frombits(s, &a->value[0], &a->value[1], span);
}

static struct value call_special(struct sema *s, enum op op, const struct args *a, struct span span)
{
    struct value values[MOST_PARAMETERS];

    switch (op_table[op].taker) {
    case TAKER_REDUCTION:
        return eval_reduce(s, op, a->value, a->keyword, a->n, span);
    case TAKER_AXES:
        return bind_parameters(s, op, a, span, values) ? call_axes(s, op, values, span) : value_error();
    case TAKER_MAKING:
        return bind_parameters(s, op, a, span, values) ? call_making(s, op, values, span) : value_error();
    case TAKER_SHAPING:
        return bind_parameters(s, op, a, span, values) ? call_shaping(s, op, values, span) : value_error();
    case TAKER_OPTIONAL:
        return bind_parameters(s, op, a, span, values) ? call_optional(s, op, values, span) : value_error();
    case TAKER_PRODUCT:
        return bind_parameters(s, op, a, span, values) ? call_product(s, op, values, span) : value_error();
    default:
        return call_conversion(s, op, a, span);
    }
}

static struct value call_cast(struct sema *s, enum dtype t, const struct args *a, struct span span)
{
    struct value to = {.kind = VALUE_DTYPE, .dtype = (uint8_t)t, .span = span};

    if (a->n != 1 || a->keyword[0].n) {
        sema_error(s, AX_wrong_argument_count, span, "`%s` converts one value, %u given", type_table[t].name,
                   a->n);
        return value_error();
    }
    return convert(s, &a->value[0], &to, span);
}

static enum dtype first_dtype(const struct args *a)
{
    return a->n ? value_dtype(&a->value[0]) : DT_none;
}

/* The dtype that arrays among the arguments meet in. */
static enum dtype arrays_dtype(const struct args *a)
{
    enum dtype t = DT_none;

    for (unsigned i = 0; i < a->n; i++)
        if (a->value[i].kind == VALUE_ARRAY && !a->value[i].weak)
            t = t ? promote_pair(t, (enum dtype)a->value[i].dtype) : (enum dtype)a->value[i].dtype;
    return t;
}

/* Of types that are storage only, such a function is one operation: computed throughout in the wider type, rounded once. */
static struct value call_composed(struct sema *s, enum op op, struct args *a, struct span span)
{
    enum dtype t = arrays_dtype(a);

    for (unsigned i = 0; type_is_storage(t) && i < a->n; i++)
        if (a->value[i].kind == VALUE_ARRAY && !a->value[i].weak)
            a->value[i] = value_array(s, value_as(s, &a->value[i], (enum dtype)type_table[t].compute), false,
                                      a->value[i].span);
    return narrow(s, call_library(s, str_of(op_table[op].name), first_dtype(a), a->value, a->keyword, a->n, span), t);
}

static struct value call_builtin(struct sema *s, enum op op, struct args *a, struct span span)
{
    switch (op_table[op].kind) {
    case OPK_ELEM:
        if (!positional(s, op, a, op_table[op].arity, span))
            return value_error();
        return apply_op(s, op, a->value, a->n, span);
    case OPK_REDUCE:
        if (s->frame && s->frame->by_element && (op == OP_min || op == OP_max) && a->n == 2 && !a->keyword[0].n && !a->keyword[1].n)
            return apply_op(s, op == OP_min ? OP_minimum : OP_maximum, a->value, 2, span);
        return eval_reduce(s, op, a->value, a->keyword, a->n, span);
    case OPK_SCAN:
        return eval_scan(s, op, a->value, a->keyword, a->n, span);
    case OPK_COMPOSE:
        return call_composed(s, op, a, span);
    default:
        return call_special(s, op, a, span);
    }
}

/* A function sees only what was defined before it, so its own name is not bound inside it. */
static bool is_recursive(struct sema *s, struct str name)
{
    for (struct frame *f = s->frame; f; f = f->up)
        if (!f->built_in && str_eq(f->def->name, name))
            return true;
    return false;
}

struct value eval_call(struct sema *s, const struct ast *e)
{
    bool library = in_library(s);
    struct binding *f = library ? NULL : scope_find(s->scope, e->name, true);
    enum op op = op_by_name(e->name, library);
    enum dtype t = type_by_name(e->name);
    struct args a;

    if (!f && op == OP_rarely)
        return call_rarely(s, e);
    if (library && str_is(e->name, "rows"))
        return call_rows(s, e);
    if (s->in_kernel && !library && !f && kernel_function(e->name))
        return call_kernel_function(s, e);
    a = eval_args(s, e);
    if (f)
        return inline_call(s, f, a.value, a.keyword, a.n, e->span);
    if (!library && is_recursive(s, e->name)) {
        sema_error(s, AX_recursion, e->name_span,
                   "`%.*s` calls itself; functions are inlined and may not recurse", (int)e->name.n,
                   e->name.s);
        return value_error();
    }
    if (op != OP_none)
        return call_builtin(s, op, &a, e->span);
    if (t != DT_none)
        return call_cast(s, t, &a, e->span);
    if (library)
        return call_library(s, e->name, first_dtype(&a), a.value, a.keyword, a.n, e->span);
    sema_unknown_function(s, e->name, e->name_span);
    return value_error();
}
