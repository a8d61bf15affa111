/*
 * The program as a whole: arguments to inputs, statements in order, outputs with their names.
 */
#include "ir/build.h"
#include "sema/build.h"

static bool check_arg(struct sema *s, const struct sema_name *name, const struct sema_arg *arg)
{
    unsigned before = s->diags->n_errors;
    int n = (int)name->name.n;

    if (!arg->dtype || arg->dtype >= DT_COUNT || !type_table[arg->dtype].works)
        sema_error(s, AX_not_supported, name->span, "`%.*s` has dtype %s, which is not in this version", n,
                   name->name.s,
                   arg->dtype < DT_COUNT && arg->dtype ? type_table[arg->dtype].name : "unknown");
    else if (arg->rank > IR_MAX_RANK)
        sema_error(s, AX_rank_too_large, name->span, "`%.*s` has %u axes; arrays have at most %d", n,
                   name->name.s, arg->rank, IR_MAX_RANK);
    else if (name->rank >= 0 && arg->rank != name->rank)
        sema_error(s, AX_argument_rank, name->span, "`%.*s` has rank %u, but is declared with rank %d", n,
                   name->name.s, arg->rank, name->rank);
    else if (name->dtype && !arg->weak && arg->dtype != name->dtype)
        sema_error(s, AX_argument_dtype, name->span, "`%.*s` is %s, but is declared %s", n, name->name.s,
                   type_table[arg->dtype].name, type_table[name->dtype].name);
    else if (name->dtype && arg->weak && promote_pair(arg->dtype, name->dtype) != name->dtype &&
             type_table[arg->dtype].cls > type_table[name->dtype].cls)
        sema_error(s, AX_argument_dtype, name->span, "`%.*s` is a Python %s, but is declared %s", n,
                   name->name.s, type_table[arg->dtype].cls == CLASS_FLOAT ? "float" : "int",
                   type_table[name->dtype].name);
    return s->diags->n_errors == before;
}

/* A Python scalar for a declared dtype is converted to it, once, at the door. */
static void bind_input(struct sema *s, const struct sema_name *name, const struct sema_arg *arg)
{
    struct binding *b = scope_bind(s->arena, s->scope, name->name, name->span);
    ir_id id = ir_input_new(s->ir, name->name, (enum dtype)arg->dtype, arg->rank, arg->weak, name->span);

    b->value = value_array(s, id, arg->weak && arg->dtype != DT_bool, name->span);
    if (type_is_complex((enum dtype)arg->dtype))
        b->value = complex_pair(s, ir_part(s->ir, id, 0, name->span), ir_part(s->ir, id, 1, name->span), arg->weak, name->span);
    if (arg->weak && name->dtype) {
        ir_id to = value_as(s, &b->value, (enum dtype)name->dtype);
        b->value = value_array(s, to, false, name->span);
    }
}

struct extent {
    struct str name;
    uint32_t dim;
    uint16_t input; /* where it was named first */
    uint32_t axis;
    struct span span;
};

typedef VEC(struct extent) extents_vec;

static void check_extent(struct sema *s, uint32_t a, uint32_t b, const struct ast *at)
{
    struct ir_check check = {
        .kind = CHECK_EXTENT, .span = at->span, .dim_a = a, .dim_b = b, .text = at->name};

    if (at->kind == AST_INT)
        check.text = str_of(arena_printf(s->arena, "%llu", (unsigned long long)at->u.integer));
    vec_push(s->arena, &s->ir->checks, check);
}

/* Equal names mean equal extents: the axes share one dim, and a check at the call makes it true. */
static void share_dim(struct sema *s, uint16_t input, uint32_t axis, uint32_t dim)
{
    const struct ir_input *in = &s->ir->inputs.at[input];
    struct ir_shape shape = s->ir->shapes.at[in->shape];

    shape.dim[axis] = dim;
    ir_input_reshape(s->ir, in->node, ir_shape(s->ir, &shape));
}

static void declare_extent(struct sema *s, const struct ast *at, uint16_t input, uint32_t axis,
                           extents_vec *known)
{
    uint32_t own = s->ir->shapes.at[s->ir->inputs.at[input].shape].dim[axis], i = 0;
    struct ir_dim fixed = {.kind = DIM_CONST, .extent = (int64_t)at->u.integer};

    if (at->kind == AST_INT) {
        uint32_t dim = ir_dim(s->ir, fixed);
        check_extent(s, dim, own, at);
        share_dim(s, input, axis, dim);
        return;
    }
    if (at->kind != AST_NAME) /* `:`, any extent */
        return;
    while (i < known->n && !str_eq(known->at[i].name, at->name))
        i++;
    if (i == known->n) {
        vec_push(s->arena, known, ((struct extent){at->name, own, input, axis, at->span}));
        return;
    }
    check_extent(s, known->at[i].dim, own, at);
    share_dim(s, input, axis, known->at[i].dim);
}

/* The name of an extent is its value, as int64, unless an input has the name. */
static void bind_extent(struct sema *s, const struct extent *e)
{
    if (scope_find(s->scope, e->name, false))
        return;
    ir_id id = ir_count(s->ir, s->ir->inputs.at[e->input].node, 1u << e->axis, e->span);
    scope_bind(s->arena, s->scope, e->name, e->span)->value = value_array(s, id, false, e->span);
}

static void declare_params(struct sema *s)
{
    extents_vec known = {0};
    uint16_t input = 0;

    for (uint32_t i = 0; i < s->program->n_kids; i++) {
        const struct ast *param = s->program->kid[i];
        if (param->kind != AST_PARAM)
            continue;
        for (uint32_t k = 0; k < param->n_kids; k++)
            declare_extent(s, param->kid[k], input, k, &known);
        input++;
    }
    for (uint32_t i = 0; i < known.n; i++)
        bind_extent(s, &known.at[i]);
}

static bool take_args(struct sema *s, const struct sema_interface *interface, const struct sema_arg *args)
{
    bool good = true;

    for (uint32_t i = 0; i < interface->inputs.n; i++)
        good &= check_arg(s, &interface->inputs.at[i], &args[i]);
    for (uint32_t i = 0; good && i < interface->inputs.n; i++)
        bind_input(s, &interface->inputs.at[i], &args[i]);
    if (good)
        declare_params(s);
    return good;
}

static void add_output(struct sema *s, const struct sema_interface *interface, struct value v)
{
    uint32_t i = s->ir->outputs.n;
    struct ir_output out = {.span = v.span};

    if (v.kind == VALUE_ERROR)
        return;
    if (!value_is_numeric(&v)) {
        sema_error(s, AX_type_mismatch, v.span, "an output must be an array or a number, not %s%s",
                   value_words(s, &v), v.kind == VALUE_TUPLE ? "; write `return a, b` for several" : "");
        return;
    }
    out.node = value_to_ir(s, &v);
    if (i < interface->outputs.n) {
        out.name = interface->outputs.at[i].name;
        out.span = interface->outputs.at[i].span;
    }
    vec_push(s->arena, &s->ir->outputs, out);
}

static void add_outputs(struct sema *s, const struct sema_interface *interface, struct value v)
{
    if (v.kind != VALUE_TUPLE || s->ir->outputs.n + v.n_items > interface->outputs.n) {
        add_output(s, interface, v);
        return;
    }
    for (uint32_t i = 0; i < v.n_items; i++)
        add_output(s, interface, v.items[i]);
}

static void run_last(struct sema *s, const struct ast *last, const struct sema_interface *interface)
{
    if (last->kind == AST_LET) {
        run_let(s, last);
        for (uint32_t i = 0; i < last->n_names; i++)
            add_output(s, interface, scope_find(s->scope, last->names[i], false)->value);
    } else if (last->kind == AST_STORE) {
        run_part(s, last);
        add_output(s, interface, eval(s, last->kid[0]->kid[0]));
    } else if (last->kind == AST_EXPR) {
        add_outputs(s, interface, eval(s, last->kid[0]));
    } else if (last->kind == AST_RETURN) {
        if (last->n_kids == 1)
            add_outputs(s, interface, eval(s, last->kid[0]));
        for (uint32_t i = 0; last->n_kids > 1 && i < last->n_kids; i++)
            add_output(s, interface, eval(s, last->kid[i]));
    }
}

static void run_program(struct sema *s, const struct sema_interface *interface)
{
    for (uint32_t i = 0; i < s->program->n_kids; i++) {
        const struct ast *st = s->program->kid[i];
        if (st->kind == AST_RETURN || i + 1 == s->program->n_kids) {
            run_last(s, st, interface);
            return;
        }
        if (st->kind == AST_LET)
            run_let(s, st);
        else if (st->kind == AST_STORE)
            run_part(s, st);
        else if (st->kind == AST_FOR)
            run_steps(s, st);
        else if (st->kind == AST_DEF)
            bind_def(s, st, false);
        else if (st->kind == AST_EXPR)
            eval(s, st->kid[0]);
    }
}

struct ir *sema_build(struct arena *arena, const struct ast *program, const struct sema_interface *interface,
                      const struct sema_arg *args, const struct sema_limits *limits, struct diags *diags)
{
    unsigned before = diags->n_errors;
    struct sema s = {.arena = arena, .diags = diags, .program = program, .ir = arena_new(arena, struct ir)};

    s.path = value_bool(true, program->span);
    s.max_inlines = limits && limits->max_inlines ? limits->max_inlines : 10000;
    ir_init(s.ir, arena, limits && limits->max_nodes ? limits->max_nodes : 100000);
    ir_set_max_work(s.ir, limits ? limits->max_work : 0);
    s.fast = limits && limits->fast;
    if (limits && limits->max_rounds)
        s.ir->max_rounds = limits->max_rounds;
    s.scope = scope_new(arena, NULL);
    if (!take_args(&s, interface, args))
        return NULL;
    s.scope = scope_new(arena, s.scope);
    for (uint32_t i = 0; interface->kernel && i < program->n_kids; i++)
        if (program->kid[i]->kind == AST_DEF)
            bind_def(&s, program->kid[i], false);
    if (interface->kernel)
        run_kernel(&s, interface);
    else
        run_program(&s, interface);
    if (diags->n_errors != before)
        return NULL;
    if (s.ir->outputs.n != interface->outputs.n) {
        sema_error(&s, AX_internal, program->span, "the program gives %u outputs, not %u", s.ir->outputs.n,
                   interface->outputs.n);
        return NULL;
    }
    return s.ir;
}
