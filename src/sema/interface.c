/*
 * What a program takes and gives, whatever the types: free names become inputs, the last statement the outputs.
 */
#include "sema/build.h"

struct walk {
    struct sema s;
    struct sema_interface *out;
    struct scope *root;    /* the inputs */
    struct scope *extents; /* names of extents in param lines */
    struct frame *defs; /* functions being walked */
    unsigned n_loops;   /* around the statement at hand, in its function */
    bool serves_kernel; /* a kernel follows: its functions may ask where a thread is */
};

static void walk_expr(struct walk *w, const struct ast *e);

static void add_input(struct walk *w, struct sema_name name)
{
    scope_bind(w->s.arena, w->root, name.name, name.span);
    vec_push(w->s.arena, &w->out->inputs, name);
}

static void walk_name(struct walk *w, const struct ast *e)
{
    struct value unused;
    const struct binding *input;

    if (scope_find(w->s.scope, e->name, false))
        return;
    if ((input = scope_find(w->root, e->name, false))) {
        w->out->inputs.at[input->seq].used = true;
        return;
    }
    if (constant_value(e->name, &unused) || type_by_name(e->name) != DT_none ||
        scope_find(w->extents, e->name, false))
        return;
    if (scope_find(w->s.scope, e->name, true)) {
        sema_error(&w->s, AX_unknown_name, e->span,
                   "`%.*s` is a function: call it, or give the value another name", (int)e->name.n,
                   e->name.s);
        return;
    }
    add_input(w, (struct sema_name){.name = e->name, .span = e->span, .dtype = DT_none, .rank = -1, .used = true});
}

static void walk_call(struct walk *w, const struct ast *e)
{
    if (w->serves_kernel && kernel_function(e->name))
        return;
    for (struct frame *f = w->defs; f; f = f->up)
        if (str_eq(f->def->name, e->name) && !scope_find(w->s.scope, e->name, true)) {
            sema_error(&w->s, AX_recursion, e->name_span,
                       "`%.*s` calls itself; functions are inlined and may not recurse", (int)e->name.n,
                       e->name.s);
            return;
        }
    if (!scope_find(w->s.scope, e->name, true) && op_by_name(e->name, false) == OP_none &&
        type_by_name(e->name) == DT_none)
        sema_unknown_function(&w->s, e->name, e->name_span);
}

static void walk_expr(struct walk *w, const struct ast *e)
{
    if (!e)
        return;
    if (e->kind == AST_ATTR && w->serves_kernel && kernel_attribute(e->kid[0]))
        return;
    if (e->kind == AST_NAME)
        walk_name(w, e);
    else if (e->kind == AST_CALL)
        walk_call(w, e);
    for (uint32_t i = 0; i < e->n_kids; i++)
        walk_expr(w, e->kid[i]);
}

static void walk_block(struct walk *w, struct ast *const *st, uint32_t n);

static unsigned results_of(struct walk *w, struct ast *const *body, uint32_t n);

/* How many values an expression gives: a call those of its function, which may be one of the library's. */
static unsigned result_count(struct walk *w, const struct ast *e)
{
    if (e->kind == AST_TUPLE)
        return e->n_kids;
    struct binding *f = e->kind == AST_CALL ? scope_find(w->s.scope, e->name, true) : NULL;
    if (f)
        return f->n_results;
    enum op op = e->kind == AST_CALL ? op_by_name(e->name, false) : OP_none;
    f = op != OP_none && op_table[op].kind == OPK_COMPOSE ? library_find(&w->s, e->name, DT_none) : NULL;
    return f ? results_of(w, f->def->body, f->def->n_body) : 1;
}

/* What the last statement of a body returns, with the names of the body in scope. */
static unsigned results_of(struct walk *w, struct ast *const *body, uint32_t n)
{
    const struct ast *last = n ? body[n - 1] : NULL;

    if (last && last->kind == AST_IF)
        return results_of(w, last->body, last->n_body);
    if (!last || (last->kind != AST_RETURN && last->kind != AST_EXPR))
        return 1;
    return last->n_kids == 1 ? result_count(w, last->kid[0]) : last->n_kids;
}

static bool same_name_twice(const struct ast *def, uint32_t k)
{
    for (uint32_t i = 0; i < k; i++)
        if (str_eq(def->params[i]->name, def->params[k]->name))
            return true;
    return false;
}

static void walk_def(struct walk *w, const struct ast *def)
{
    struct scope *saved = w->s.scope;
    struct frame frame = {.up = w->defs, .def = def};

    for (uint32_t k = 0; k < def->n_params; k++)
        for (uint32_t i = 0; i < def->params[k]->n_kids; i++)
            walk_expr(w, def->params[k]->kid[i]);
    w->s.scope = scope_new(w->s.arena, saved);
    for (uint32_t k = 0; k < def->n_params; k++) {
        if (same_name_twice(def, k))
            sema_error(&w->s, AX_duplicate_name, def->params[k]->span, "two parameters are called `%.*s`",
                       (int)def->params[k]->name.n, def->params[k]->name.s);
        scope_bind(w->s.arena, w->s.scope, def->params[k]->name, def->params[k]->span);
    }
    unsigned n_loops = w->n_loops;
    w->defs = &frame;
    w->n_loops = 0;
    walk_block(w, def->body, def->n_body);
    w->n_loops = n_loops;
    w->defs = frame.up;
    unsigned n_results = results_of(w, def->body, def->n_body);
    w->s.scope = saved;
    struct binding *b = scope_bind(w->s.arena, saved, def->name, def->name_span);
    b->def = def;
    b->home = saved;
    b->n_results = n_results;
}

static void walk_range(struct walk *w, const struct ast *range)
{
    for (uint32_t i = 0; i < range->n_kids; i++)
        walk_expr(w, range->kid[i]);
}

/* Blocks share the names of their function: what one binds is bound after it. */
static void walk_control(struct walk *w, const struct ast *st)
{
    bool loops = st->kind != AST_IF;

    if (!w->defs && st->kind != AST_FOR) {
        sema_error(&w->s, AX_not_supported, st->span, "`%s` stands in functions only: write a def around it, or choose by `where`", st->kind == AST_IF ? "if" : "while");
        return;
    }
    if (st->kind == AST_FOR) {
        walk_range(w, st->kid[0]);
        scope_bind(w->s.arena, w->s.scope, st->name, st->name_span);
    } else {
        walk_expr(w, st->kid[0]);
    }
    w->n_loops += loops;
    walk_block(w, st->body, st->n_body);
    w->n_loops -= loops;
    walk_block(w, st->other, st->n_other);
}

static void walk_statement(struct walk *w, const struct ast *st)
{
    if (st->kind == AST_STORE && !w->out->kernel && w->defs && has_control(w->defs->def))
        sema_error(&w->s, AX_not_supported, st->span, "a function with `if`, `for` or `while` works on one element: it has no parts to replace");
    if (st->kind == AST_RETURN && w->n_loops && !w->defs)
        sema_error(&w->s, AX_not_supported, st->span, "a loop over arrays goes round as often as its range says: nothing is returned from within");
    if (st->kind == AST_RETURN && !st->n_kids && !w->out->kernel)
        sema_error(&w->s, AX_no_output, st->span, "a return gives a value, but for those in kernels");
    switch (st->kind) {
    case AST_DEF:
        walk_def(w, st);
        return;
    case AST_PARAM:
        return;
    case AST_IF:
    case AST_FOR:
    case AST_WHILE:
        walk_control(w, st);
        return;
    case AST_BREAK:
    case AST_CONTINUE:
        if (w->n_loops && !w->defs)
            sema_error(&w->s, AX_not_supported, st->span, "a loop over arrays goes round as often as its range says: `%s` stands in functions", st->kind == AST_BREAK ? "break" : "continue");
        if (!w->n_loops)
            sema_error(&w->s, AX_syntax, st->span, "`%s` stands in a loop only", st->kind == AST_BREAK ? "break" : "continue");
        return;
    default:
        break;
    }
    for (uint32_t i = 0; i < st->n_kids; i++)
        walk_expr(w, st->kid[i]);
    if (st->kind == AST_LET)
        for (uint32_t i = 0; i < st->n_names; i++)
            scope_bind(w->s.arena, w->s.scope, st->names[i], st->name_spans[i]);
    if (st->kind == AST_STORE && !w->out->kernel && st->kid[0]->kid[0]->kind == AST_NAME)
        scope_bind(w->s.arena, w->s.scope, st->kid[0]->kid[0]->name, st->kid[0]->kid[0]->span);
}

static void walk_block(struct walk *w, struct ast *const *st, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        walk_statement(w, st[i]);
}

static void add_param(struct walk *w, const struct ast *p)
{
    enum dtype t = type_by_name(p->type_name);

    for (uint32_t k = 0; k < p->n_kids; k++)
        if (p->kid[k]->kind == AST_NAME && !scope_find(w->extents, p->kid[k]->name, false))
            scope_bind(w->s.arena, w->extents, p->kid[k]->name, p->kid[k]->span);

    if (scope_find(w->root, p->name, false)) {
        sema_error(&w->s, AX_duplicate_param, p->span, "`%.*s` is declared twice", (int)p->name.n, p->name.s);
        return;
    }
    if (t == DT_none)
        sema_unknown_type(&w->s, p->type_name, p->name_span);
    else if (!type_table[t].works)
        sema_error(&w->s, AX_not_supported, p->name_span, "%s is not in this version", type_table[t].name);
    if (p->n_kids > IR_MAX_RANK)
        sema_error(&w->s, AX_rank_too_large, p->span, "arrays have at most %d axes", IR_MAX_RANK);
    add_input(w, (struct sema_name){
                     .name = p->name, .span = p->span, .dtype = (uint8_t)t, .rank = (int8_t)p->n_kids});
}

static void add_output(struct walk *w, struct str name, struct span span)
{
    vec_push(w->s.arena, &w->out->outputs, ((struct sema_name){.name = name, .span = span, .rank = -1}));
}

static void output_expr(struct walk *w, const struct ast *e)
{
    unsigned n = result_count(w, e);

    if (e->kind == AST_NAME) {
        add_output(w, e->name, e->span);
    } else if (e->kind == AST_TUPLE) {
        for (uint32_t i = 0; i < e->n_kids; i++)
            add_output(w, e->kid[i]->kind == AST_NAME ? e->kid[i]->name : (struct str){"", 0},
                       e->kid[i]->span);
    } else {
        for (unsigned i = 0; i < n; i++)
            add_output(w, (struct str){"", 0}, e->span);
    }
}

static void find_outputs(struct walk *w, const struct ast *last)
{
    if (last->kind == AST_LET)
        for (uint32_t i = 0; i < last->n_names; i++)
            add_output(w, last->names[i], last->name_spans[i]);
    else if (last->kind == AST_EXPR)
        output_expr(w, last->kid[0]);
    else if (last->kind == AST_STORE)
        output_expr(w, last->kid[0]->kid[0]);
    else if (last->kind == AST_RETURN && last->n_kids == 1)
        output_expr(w, last->kid[0]);
    else if (last->kind == AST_RETURN)
        for (uint32_t i = 0; i < last->n_kids; i++)
            add_output(w, last->kid[i]->kind == AST_NAME ? last->kid[i]->name : (struct str){"", 0},
                       last->kid[i]->span);
    else
        sema_error(&w->s, AX_no_output, last->span, "the program ends without a value to give");
    if (!w->out->outputs.n && !w->s.diags->n_errors)
        sema_error(&w->s, AX_no_output, last->span, "an empty tuple is no output");
}

/* ---- kernels ---- */

/* The parameters are the inputs, those that the body changes the outputs; it sees functions beside them. */
static void walk_kernel(struct walk *w, const struct ast *kernel)
{
    struct frame frame = {.def = kernel};
    uint32_t n = kernel->n_params;

    for (uint32_t i = 0; i < n; i++) {
        if (kernel->params[i]->n_kids)
            sema_error(&w->s, AX_not_supported, kernel->params[i]->span, "a parameter of a kernel has no default");
        if (same_name_twice(kernel, i))
            sema_error(&w->s, AX_duplicate_name, kernel->params[i]->span, "two parameters are called `%.*s`", (int)kernel->params[i]->name.n, kernel->params[i]->name.s);
        add_input(w, (struct sema_name){.name = kernel->params[i]->name, .span = kernel->params[i]->span, .rank = -1, .used = true});
        if (kernel_changes(kernel, kernel->params[i]->name))
            add_output(w, kernel->params[i]->name, kernel->params[i]->span);
    }
    w->out->kernel = kernel;
    w->s.scope = scope_new(w->s.arena, w->s.scope);
    w->defs = &frame;
    walk_block(w, kernel->body, kernel->n_body);
    w->defs = NULL;
    for (; n < w->out->inputs.n; n++)
        sema_unknown_name(&w->s, w->out->inputs.at[n].name, "is no parameter of the kernel", kernel, w->out->inputs.at[n].span);
    if (!w->out->outputs.n)
        sema_error(&w->s, AX_no_output, kernel->span, "the kernel changes none of its parameters");
    for (unsigned i = 0; i < LAUNCH_COUNT; i++)
        add_input(w, (struct sema_name){.name = launch_names[i], .span = kernel->name_span, .dtype = DT_bool, .rank = 3, .used = true});
}

static bool is_kernel_program(struct walk *w, const struct ast *program)
{
    const struct ast *last = program->n_kids ? program->kid[program->n_kids - 1] : NULL;

    for (uint32_t i = 0; i < program->n_kids; i++) {
        const struct ast *st = program->kid[i];
        bool fits = !last || last->kind != AST_KERNEL ? st->kind != AST_KERNEL : st == last || st->kind == AST_DEF;
        if (!fits)
            sema_error(&w->s, AX_not_supported, st->span, "a program with a kernel ends with it, and has functions before it only");
    }
    return last && last->kind == AST_KERNEL;
}

static void warn_unused(struct walk *w)
{
    for (uint32_t i = 0; i < w->out->inputs.n; i++) {
        const struct sema_name *in = &w->out->inputs.at[i];
        if (!in->used)
            sema_error(&w->s, AX_unused_param, in->span, "`%.*s` is declared and not used", (int)in->name.n, in->name.s);
    }
}

bool sema_interface(struct arena *arena, const struct ast *program, struct sema_interface *out,
                    struct diags *diags)
{
    unsigned before = diags->n_errors;
    struct walk w = {.s = {.arena = arena, .diags = diags, .program = program}, .out = out};
    const struct ast *last = NULL;

    *out = (struct sema_interface){0};
    w.root = scope_new(arena, NULL);
    w.extents = scope_new(arena, NULL);
    w.s.scope = scope_new(arena, NULL);
    bool kernel = w.serves_kernel = is_kernel_program(&w, program);
    for (uint32_t i = 0; i < program->n_kids; i++)
        if (program->kid[i]->kind == AST_PARAM)
            add_param(&w, program->kid[i]);
    for (uint32_t i = 0; i < program->n_kids; i++) {
        last = program->kid[i];
        if (last->kind == AST_KERNEL)
            break;
        walk_statement(&w, last);
        if (last->kind == AST_RETURN)
            break;
    }
    if (kernel)
        walk_kernel(&w, last);
    else if (last && last->kind != AST_KERNEL)
        find_outputs(&w, last);
    else if (last) {
        /* told already */
    }
    else
        sema_error(&w.s, AX_no_output, (struct span){0, 0}, "the program is empty");
    warn_unused(&w);
    return diags->n_errors == before;
}
