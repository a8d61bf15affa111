/*
 * Statements that choose and repeat, in functions: if, while, for, break, continue, return.
 *
 * A function with such statements works element by element: where elements differ in what they choose, both sides are
 * computed and each element keeps its own; a loop goes on while any element does. So a branch is a fork of the scope,
 * whose names are joined by `where`; a loop is an OP_loop over the names that its body changes. return, break and
 * continue are names too, of conditions: what follows one that may have happened is a branch on that it has not.
 */
#include "ir/build.h"
#include "sema/build.h"

#define RETURNED  "(returned)"
#define BROKEN    "(broken)"
#define CONTINUED "(continued)"

/* ---- asking the tree ---- */

static bool any_leaves(struct ast *const *st, uint32_t n, bool in_inner_loop);

/* May what follows the statement not be reached? In an inner loop only a return counts. */
static bool leaves(const struct ast *st, bool in_inner_loop)
{
    switch (st->kind) {
    case AST_RETURN:
        return true;
    case AST_BREAK:
    case AST_CONTINUE:
        return !in_inner_loop;
    case AST_IF:
        return any_leaves(st->body, st->n_body, in_inner_loop) || any_leaves(st->other, st->n_other, in_inner_loop);
    case AST_FOR:
    case AST_WHILE:
        return any_leaves(st->body, st->n_body, true);
    default:
        return false;
    }
}

static bool any_leaves(struct ast *const *st, uint32_t n, bool in_inner_loop)
{
    for (uint32_t i = 0; i < n; i++)
        if (leaves(st[i], in_inner_loop))
            return true;
    return false;
}

/* Is there a statement of this kind that belongs to this block, or for returns to any in it? */
static bool contains(struct ast *const *st, uint32_t n, enum ast_kind kind)
{
    for (uint32_t i = 0; i < n; i++) {
        bool loop = st[i]->kind == AST_FOR || st[i]->kind == AST_WHILE;
        if (st[i]->kind == kind)
            return true;
        if (loop ? kind == AST_RETURN && contains(st[i]->body, st[i]->n_body, kind)
                 : st[i]->kind == AST_IF && (contains(st[i]->body, st[i]->n_body, kind) || contains(st[i]->other, st[i]->n_other, kind)))
            return true;
    }
    return false;
}

static bool always_returns(struct ast *const *st, uint32_t n)
{
    const struct ast *last = n ? st[n - 1] : NULL;

    if (!last)
        return false;
    if (last->kind == AST_IF)
        return always_returns(last->body, last->n_body) && always_returns(last->other, last->n_other);
    if (last->kind == AST_WHILE)
        return last->kid[0]->kind == AST_BOOL && last->kid[0]->u.integer && !contains(last->body, last->n_body, AST_BREAK);
    return last->kind == AST_RETURN;
}

bool has_control(const struct ast *def)
{
    for (uint32_t i = 0; i < def->n_body; i++)
        if (def->body[i]->kind == AST_IF || def->body[i]->kind == AST_FOR || def->body[i]->kind == AST_WHILE)
            return true;
    return false;
}

/* ---- names ---- */

static struct str result_name(struct sema *s, uint32_t i)
{
    return str_of(arena_printf(s->arena, "(result %u)", i));
}

static void set(struct sema *s, struct str name, struct value v)
{
    struct binding *b = scope_bind(s->arena, s->scope, name, v.span);

    b->value = v;
}

/* The newest of a name in the scopes of the function at hand. */
static struct binding *local(struct sema *s, struct scope *scope, struct str name)
{
    for (; scope && scope != s->frame->root->up; scope = scope->up) {
        struct scope one = *scope;
        one.up = NULL;
        struct binding *b = scope_find(&one, name, false);
        if (b)
            return b;
    }
    return NULL;
}

static struct value known_false(struct span span)
{
    return value_bool(false, span);
}

static struct value flag(struct sema *s, const char *name, struct span span)
{
    struct binding *b = local(s, s->scope, str_of(name));

    return b ? b->value : known_false(span);
}

static bool is_known(const struct value *v, bool truth)
{
    return v->kind == VALUE_BOOL && (v->i != 0) == truth;
}

static struct value logic(struct sema *s, enum op op, struct value a, struct value b, struct span span)
{
    struct value pair[2] = {a, b};
    bool absorbing = op == OP_logical_or;

    if (is_known(&a, absorbing) || is_known(&b, !absorbing))
        return a;
    if (is_known(&b, absorbing) || is_known(&a, !absorbing))
        return b;
    return apply_op(s, op, pair, 2, span);
}

static struct value not(struct sema *s, struct value v, struct span span)
{
    return v.kind == VALUE_BOOL ? value_bool(!v.i, span) : apply_op(s, OP_logical_not, &v, 1, span);
}

static struct value condition(struct sema *s, const struct ast *e)
{
    struct value v = eval(s, e);

    if (s->in_kernel && v.kind == VALUE_ARRAY && !is_element(s, &v, e->span))
        return value_error();
    if (v.kind == VALUE_ERROR || v.kind == VALUE_BOOL || (v.kind == VALUE_ARRAY && v.dtype == DT_bool))
        return v;
    sema_error(s, AX_type_mismatch, e->span, "a condition must be bool, not %s; write `x != 0`", value_words(s, &v));
    return value_error();
}

/* ---- branches ---- */

static bool same_value(const struct value *a, const struct value *b)
{
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case VALUE_ARRAY:
        return a->id == b->id && a->weak == b->weak;
    case VALUE_INT:
    case VALUE_BOOL:
        return a->i == b->i;
    case VALUE_NONE:
        return true;
    case VALUE_DTYPE:
        return a->dtype == b->dtype;
    default:
        return false;
    }
}

static struct value choose(struct sema *s, struct str name, struct value cond, struct value a, struct value b, struct span span)
{
    struct value args[3] = {cond, a, b}, *items;

    if (a.kind == VALUE_ERROR || b.kind == VALUE_ERROR)
        return value_error();
    if (same_value(&a, &b))
        return a;
    if (is_known(&a, true) && is_known(&b, false))
        return cond;
    if (a.kind == VALUE_TUPLE && b.kind == VALUE_TUPLE && a.n_items == b.n_items) {
        items = arena_array(s->arena, struct value, a.n_items + 1);
        for (uint32_t i = 0; i < a.n_items; i++)
            items[i] = choose(s, name, cond, a.items[i], b.items[i], span);
        return (struct value){.kind = VALUE_TUPLE, .items = items, .n_items = a.n_items, .span = span};
    }
    if (value_is_numeric(&a) && value_is_numeric(&b))
        return apply_op(s, OP_where, args, 3, span);
    sema_error(s, AX_type_mismatch, span, "`%.*s` is %s on one side of the branch and %s on the other", (int)name.n, name.s,
               value_words(s, &a), value_words(s, &b));
    return value_error();
}


/* A statement after one that may have left is a block inside it, so many of them nest too. */
bool deeper(struct sema *s, struct span span)
{
    if (s->depth + DEPTH_OF_BLOCK > SEMA_MAX_DEPTH) {
        if (!s->too_deep)
            sema_error(s, AX_nesting_too_deep, span, "blocks, and statements after a return or a break, nest too deeply here");
        s->too_deep = true;
        return false;
    }
    s->depth += DEPTH_OF_BLOCK;
    return true;
}

/* The block with a scope of its own, where `cond` holds; its names are in the scope that is returned. */
static struct scope *fork(struct sema *s, struct value cond, struct ast *const *st, uint32_t n, struct span span)
{
    struct scope *outer = s->scope, *own = scope_new(s->arena, outer);
    struct value path = s->path;

    if (!deeper(s, span))
        return own;
    s->scope = own;
    s->path = logic(s, OP_logical_and, path, cond, span);
    run_block(s, st, n);
    s->depth -= DEPTH_OF_BLOCK;
    s->path = path;
    s->scope = outer;
    return own;
}

/* Newest first in a chain, so the first of a name is the one that counts. */
static bool is_newest(const struct binding *b, struct scope *scope)
{
    struct scope one = *scope;

    one.up = NULL;
    return scope_find(&one, b->name, false) == b;
}

/* A side of a branch: where it has left by a return, a break or a continue, what it does not name is missed by nobody. */
struct side {
    struct scope *scope;
    bool left;
};

static void join_name(struct sema *s, struct value cond, struct side yes, struct side no, const struct binding *b)
{
    struct binding *a = local(s, yes.scope, b->name), *c = local(s, no.scope, b->name), *to;
    struct value v = a && c ? choose(s, b->name, cond, a->value, c->value, b->span) : a ? a->value : c->value;

    to = scope_bind(s->arena, s->scope, b->name, b->span);
    to->value = v;
    to->partial = (a ? a->partial : !yes.left) || (c ? c->partial : !no.left);
}

/* In the order in which names were bound, those of the first side first. */
static void join_names(struct sema *s, struct value cond, struct side yes_side, struct side no_side)
{
    struct scope *yes = yes_side.scope, *no = no_side.scope;

    for (struct scope *side = yes; side; side = side == yes ? no : NULL) {
        struct binding **all = scope_all(s->arena, side);
        for (uint32_t i = 0; i < side->n; i++) {
            struct scope one = *yes;
            one.up = NULL;
            if (!all[i]->def && is_newest(all[i], side) && (side == yes || !scope_find(&one, all[i]->name, false)))
                join_name(s, cond, yes_side, no_side, all[i]);
        }
    }
}

static bool has_left(struct sema *s, struct scope *scope)
{
    static const char *const flags[] = {RETURNED, BROKEN, CONTINUED};

    for (unsigned i = 0; i < 3; i++) {
        struct binding *b = local(s, scope, str_of(flags[i]));
        if (b && is_known(&b->value, true))
            return true;
    }
    return false;
}

/* no_left: who does not take the first side has left already. */
static void branch(struct sema *s, struct value cond, struct ast *const *yes, uint32_t n_yes, struct ast *const *no, uint32_t n_no, bool no_left, struct span span)
{
    struct side sides[2];

    if (cond.kind == VALUE_ERROR)
        return;
    if (cond.kind == VALUE_BOOL) {
        run_block(s, cond.i ? yes : no, cond.i ? n_yes : n_no);
        return;
    }
    sides[0].scope = fork(s, cond, yes, n_yes, span);
    sides[1].scope = fork(s, not(s, cond, span), no, n_no, span);
    sides[0].left = has_left(s, sides[0].scope);
    sides[1].left = no_left || has_left(s, sides[1].scope);
    join_names(s, cond, sides[0], sides[1]);
}

/* ---- loops ---- */

enum { MOST_TRIES = 16 }; /* until the types and shapes of a loop's names are settled: each try widens one at least */

struct variable {
    struct str name;
    struct span span;
    struct value start, next;
    enum dtype dtype;
    bool weak;
};

struct looping {
    const struct ast *st;
    VEC(struct variable) vars;
    uint32_t shape;
    struct range range;              /* FOR */
    uint32_t n_errors, n_checks;     /* before the try at hand */
};

static bool has_variable(const struct looping *l, struct str name)
{
    for (uint32_t i = 0; i < l->vars.n; i++)
        if (str_eq(l->vars.at[i].name, name))
            return true;
    return false;
}

static void add_variable(struct sema *s, struct looping *l, struct str name, struct value start, struct span span)
{
    struct variable v = {.name = name, .span = span, .start = start, .dtype = value_dtype(&start)};

    v.weak = start.kind == VALUE_INT || start.kind == VALUE_FLOAT || (start.kind == VALUE_ARRAY && start.weak);
    vec_push(s->arena, &l->vars, v);
}

static void find_variables(struct sema *s, struct looping *l, struct ast *const *st, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t k = 0; st[i]->kind == AST_LET && k < st[i]->n_names; k++) {
            struct binding *b = local(s, s->scope, st[i]->names[k]);
            if (b && !b->partial && value_is_numeric(&b->value) && !has_variable(l, b->name))
                add_variable(s, l, b->name, b->value, st[i]->name_spans[k]);
        }
        if (st[i]->kind != AST_DEF) {
            find_variables(s, l, st[i]->body, st[i]->n_body);
            find_variables(s, l, st[i]->other, st[i]->n_other);
        }
    }
}

/* Names that hold something else than numbers cannot change from round to round. */
static bool refuse_others(struct sema *s, struct ast *const *st, uint32_t n)
{
    bool good = true;

    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t k = 0; st[i]->kind == AST_LET && k < st[i]->n_names; k++) {
            struct binding *b = local(s, s->scope, st[i]->names[k]);
            if (!b || b->partial || b->value.kind == VALUE_ERROR || value_is_numeric(&b->value))
                continue;
            sema_error(s, AX_type_mismatch, st[i]->name_spans[k], "a loop changes numbers; `%.*s` is %s", (int)b->name.n, b->name.s,
                       value_words(s, &b->value));
            good = false;
        }
        if (st[i]->kind != AST_DEF)
            good &= refuse_others(s, st[i]->body, st[i]->n_body) && refuse_others(s, st[i]->other, st[i]->n_other);
    }
    return good;
}

static struct str round_name(void)
{
    return str_of("(round)");
}

static struct value op2(struct sema *s, enum op op, struct value a, struct value b, struct span span)
{
    struct value pair[2] = {a, b};

    return apply_op(s, op, pair, 2, span);
}

/* How often `range` goes from first by step before stop, for a step of this sign: a where, so that nothing wraps. */
static struct value rounds(struct sema *s, struct value first, struct value stop, struct value step, bool up, struct span span)
{
    struct value one = value_int(1, span), zero = value_int(0, span), length, args[3];

    length = up ? op2(s, OP_subtract, stop, first, span) : op2(s, OP_subtract, first, stop, span);
    if (!up)
        step = apply_op(s, OP_negative, &step, 1, span);
    args[0] = op2(s, up ? OP_less : OP_greater, first, stop, span);
    args[1] = op2(s, OP_add, op2(s, OP_floor_divide, op2(s, OP_subtract, length, one, span), step, span), one, span);
    args[2] = zero;
    if (args[0].kind == VALUE_BOOL)
        return args[0].i ? args[1] : zero;
    return apply_op(s, OP_where, args, 3, span);
}

static bool is_integer(const struct value *v)
{
    enum type_class c = value_is_numeric(v) ? type_table[value_dtype(v)].cls : CLASS_NONE;

    return c == CLASS_INT || c == CLASS_UINT;
}

bool eval_range(struct sema *s, const struct ast *range, struct range *out)
{
    struct value args[3] = {value_int(0, range->span), value_int(0, range->span), value_int(1, range->span)}, choice[3];

    if (range->n_kids < 1 || range->n_kids > 3) {
        sema_error(s, AX_wrong_argument_count, range->span, "`range` takes 1 to 3 integers, %u given", range->n_kids);
        return false;
    }
    for (uint32_t i = 0; i < range->n_kids; i++) {
        struct value *v = &args[range->n_kids == 1 ? 1 : i];
        *v = eval(s, range->kid[i]);
        if (v->kind == VALUE_ERROR || (s->in_kernel && !is_element(s, v, range->kid[i]->span)))
            return false;
        if (!is_integer(v)) {
            sema_error(s, AX_type_mismatch, range->kid[i]->span, "`range` takes integers, not %s", value_words(s, v));
            return false;
        }
    }
    out->first = args[0];
    out->step = args[2];
    if (out->step.kind == VALUE_INT && out->step.i == 0) {
        sema_error(s, AX_type_mismatch, out->step.span, "a step of 0 goes nowhere");
        return false;
    }
    if (out->step.kind == VALUE_INT) {
        out->count = rounds(s, args[0], args[1], args[2], out->step.i > 0, range->span);
    } else {
        choice[0] = op2(s, OP_greater, out->step, value_int(0, range->span), range->span);
        choice[1] = rounds(s, args[0], args[1], args[2], true, range->span);
        choice[2] = rounds(s, args[0], args[1], args[2], false, range->span);
        out->count = apply_op(s, OP_where, choice, 3, range->span);
    }
    return out->count.kind != VALUE_ERROR;
}

static void loop_variables(struct sema *s, struct looping *l)
{
    const struct ast *st = l->st;

    if (st->kind == AST_FOR)
        add_variable(s, l, round_name(), value_int(0, st->span), st->span);
    find_variables(s, l, st->body, st->n_body);
    if (contains(st->body, st->n_body, AST_BREAK))
        add_variable(s, l, str_of(BROKEN), known_false(st->span), st->span);
    if (contains(st->body, st->n_body, AST_RETURN)) {
        add_variable(s, l, str_of(RETURNED), known_false(st->span), st->span);
        for (uint32_t i = 0; i < s->frame->n_results; i++) {
            struct binding *b = local(s, s->scope, result_name(s, i));
            if (b)
                add_variable(s, l, b->name, b->value, st->span);
        }
    }
    if (!l->vars.n) /* nothing changes: it is endless or does not begin, and still a loop */
        add_variable(s, l, round_name(), value_int(0, st->span), st->span);
}

static struct value variable_value(struct sema *s, struct str name)
{
    struct binding *b = local(s, s->scope, name);

    return b ? b->value : value_error();
}

/* What must hold of an element for it to do another round. */
static struct value goes_on(struct sema *s, const struct looping *l)
{
    struct span span = l->st->kid[0]->span;
    struct value c = l->st->kind == AST_FOR ? op2(s, OP_less, variable_value(s, round_name()), l->range.count, span) : condition(s, l->st->kid[0]);

    if (has_variable(l, str_of(BROKEN)))
        c = logic(s, OP_logical_and, c, not(s, variable_value(s, str_of(BROKEN)), span), span);
    if (has_variable(l, str_of(RETURNED)))
        c = logic(s, OP_logical_and, c, not(s, variable_value(s, str_of(RETURNED)), span), span);
    return logic(s, OP_logical_and, s->path, c, span);
}

static void run_loop_body(struct sema *s, const struct looping *l)
{
    const struct ast *st = l->st;
    struct span span = st->span;

    set(s, str_of(BROKEN), known_false(span)); /* else the element would not be here */
    set(s, str_of(RETURNED), known_false(span));
    set(s, str_of(CONTINUED), known_false(span));
    if (st->kind == AST_FOR) {
        struct value round = variable_value(s, round_name());
        set(s, st->name, op2(s, OP_add, l->range.first, op2(s, OP_multiply, round, l->range.step, span), span));
        set(s, round_name(), op2(s, OP_add, round, value_int(1, span), span));
    }
    run_block(s, st->body, st->n_body);
}

/* A return has made names that no round before had: they start from anything, since RETURNED says whether they count. */
static bool found_results(struct sema *s, struct looping *l)
{
    bool found = false;

    for (uint32_t i = 0; i < s->frame->n_results; i++) {
        struct binding *b = local(s, s->scope, result_name(s, i));
        if (!b || has_variable(l, b->name) || !value_is_numeric(&b->value))
            continue;
        add_variable(s, l, b->name, value_dtype(&b->value) == DT_bool ? known_false(b->span) : value_int(0, b->span), b->span);
        found = true;
    }
    return found;
}

static uint32_t shape_of(struct sema *s, const struct value *v)
{
    return v->kind == VALUE_ARRAY ? ir_at(s->ir, v->id)->shape : 0;
}

/* True when what came out of the round has the types and shapes that it was begun with. */
static bool is_settled(struct sema *s, struct looping *l, const struct value *cond)
{
    bool settled = !found_results(s, l);
    uint32_t shape = ir_broadcast(s->ir, l->shape, shape_of(s, cond));

    for (uint32_t i = 0; i < l->vars.n; i++) {
        struct variable *v = &l->vars.at[i];
        struct value pair[2] = {v->start, variable_value(s, v->name)};
        bool weak;
        if (!value_is_numeric(&pair[1])) {
            if (pair[1].kind != VALUE_ERROR)
                sema_error(s, AX_type_mismatch, v->span, "a loop changes numbers; `%.*s` becomes %s", (int)v->name.n, v->name.s, value_words(s, &pair[1]));
            return false;
        }
        if (s->in_kernel && !is_element(s, &pair[1], v->span))
            return false;
        v->next = pair[1];
        enum dtype t = promote_values(pair, 2, &weak);
        if (t != v->dtype || weak != v->weak)
            settled = false;
        v->dtype = t;
        v->weak = weak && t != DT_bool;
        shape = ir_broadcast(s->ir, ir_broadcast(s->ir, shape, shape_of(s, &pair[0])), shape_of(s, &pair[1]));
    }
    settled &= shape == l->shape;
    l->shape = shape;
    return settled;
}

/* Variables of the IR: a complex one is two. */
static uint32_t count_parts(const struct looping *l)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < l->vars.n; i++)
        n += complex_parts(l->vars.at[i].dtype);
    return n;
}

static void bind_variables(struct sema *s, const struct looping *l, uint32_t loop)
{
    const ir_id *carry = s->ir->loops.at[loop].carry;
    for (uint32_t i = 0; i < l->vars.n; i++) {
        const struct variable *v = &l->vars.at[i];
        set(s, v->name, complex_join(s, v->dtype, carry, v->weak, v->span));
        carry += complex_parts(v->dtype);
    }
}

static uint32_t begin(struct sema *s, const struct looping *l)
{
    uint32_t n = count_parts(l);
    enum dtype *dtypes = arena_array(s->arena, enum dtype, n);
    bool *weak = arena_array(s->arena, bool, n);

    for (uint32_t i = 0, k = 0; i < l->vars.n; i++)
        for (unsigned part = 0; part < complex_parts(l->vars.at[i].dtype); part++, k++) {
            dtypes[k] = type_part(l->vars.at[i].dtype);
            weak[k] = l->vars.at[i].weak;
        }
    return ir_loop_begin(s->ir, dtypes, weak, n, l->shape, sema_span(s, l->st->span));
}

enum outcome { FAILED, UNSETTLED, SETTLED };

/* One round, built with the types and shapes known so far. When they do not hold, what was built is dead. */
static enum outcome try_round(struct sema *s, struct looping *l, ir_id *loop_node)
{
    struct scope *outer = s->scope;
    struct value path = s->path, cond;
    struct span span = sema_span(s, l->st->span);
    uint32_t region = s->ir->region, loop = begin(s, l), n_checks = s->ir->checks.n, n_vars = l->vars.n, n_effects = s->ir->effects.n;
    unsigned n_errors = s->diags->n_errors;
    enum outcome outcome = UNSETTLED;

    if (!deeper(s, l->st->span)) {
        s->ir->region = region;
        return FAILED;
    }
    s->scope = scope_new(s->arena, outer);
    bind_variables(s, l, loop);
    cond = goes_on(s, l);
    s->path = cond;
    ir_loop_body(s->ir, loop);
    s->n_loops++;
    run_loop_body(s, l);
    s->n_loops--;
    s->path = path;
    if (is_settled(s, l, &cond) && cond.kind != VALUE_ERROR && s->diags->n_errors == n_errors) {
        ir_id *nexts = arena_array(s->arena, ir_id, 2 * n_vars), *starts = arena_array(s->arena, ir_id, 2 * n_vars), id;
        bool good = true;
        for (uint32_t i = 0, k = 0; i < n_vars && good; i++) {
            good = (id = value_as(s, &l->vars.at[i].next, l->vars.at[i].dtype)) != 0;
            k = complex_split(s, id, nexts, k, span);
        }
        ir_id chain = good ? ir_loop_end(s->ir, loop, nexts, span) : 0;
        s->ir->region = region;
        for (uint32_t i = 0, k = 0; i < n_vars && good; i++) {
            good = (id = value_as(s, &l->vars.at[i].start, l->vars.at[i].dtype)) != 0;
            k = complex_split(s, id, starts, k, span);
        }
        if (good)
            *loop_node = ir_loop_finish(s->ir, loop, starts, value_to_ir(s, &cond), chain, span);
        outcome = good ? SETTLED : FAILED;
    }
    s->depth -= DEPTH_OF_BLOCK;
    s->ir->region = region;
    s->scope = outer;
    if (outcome != SETTLED) {
        s->ir->checks.n = n_checks;
        s->ir->effects.n = n_effects;
    } else if (s->ir->effects.n > n_effects) {
        ir_at(s->ir, *loop_node)->flags |= IR_EFFECT;
        vec_push(s->arena, &s->ir->effects, *loop_node);
    }
    return s->diags->n_errors != n_errors || cond.kind == VALUE_ERROR ? FAILED : outcome;
}

static void bind_results(struct sema *s, const struct looping *l, ir_id loop)
{
    for (uint32_t i = 0, k = 0; i < l->vars.n; i++) {
        const struct variable *v = &l->vars.at[i];
        bool own = str_eq(v->name, round_name()) || str_is(v->name, BROKEN);
        ir_id parts[2] = {0};
        for (unsigned part = 0; loop && !own && part < complex_parts(v->dtype); part++)
            parts[part] = ir_loop_result(s->ir, loop, k + part);
        if (!own)
            set(s, v->name, loop ? complex_join(s, v->dtype, parts, v->weak, v->span) : value_error());
        k += complex_parts(v->dtype);
    }
}

static void run_loop(struct sema *s, const struct ast *st)
{
    struct looping l = {.st = st};
    enum outcome outcome = UNSETTLED;
    ir_id loop = 0;

    if (!refuse_others(s, st->body, st->n_body))
        return;
    loop_variables(s, &l);
    if (st->kind == AST_FOR && !eval_range(s, st->kid[0], &l.range))
        outcome = FAILED;
    for (unsigned i = 0; outcome == UNSETTLED && i < MOST_TRIES; i++)
        outcome = try_round(s, &l, &loop);
    if (outcome == UNSETTLED)
        sema_error(s, AX_type_mismatch, st->span, "the types of the names that this loop changes do not settle");
    bind_results(s, &l, loop);
}

/* ---- statements ---- */

static void give(struct sema *s, const struct ast *at, struct value v)
{
    uint32_t n = v.kind == VALUE_TUPLE ? v.n_items : 1;

    if (s->frame->n_results && s->frame->n_results != n) {
        sema_error(s, AX_wrong_argument_count, at->span, "this return gives %u value%s, another one %u", n, n == 1 ? "" : "s", s->frame->n_results);
        return;
    }
    s->frame->n_results = n;
    for (uint32_t i = 0; i < n; i++)
        set(s, result_name(s, i), v.kind == VALUE_TUPLE ? v.items[i] : v);
    set(s, str_of(RETURNED), value_bool(true, at->span));
}

static void run_statement(struct sema *s, const struct ast *st)
{
    switch (st->kind) {
    case AST_IF:
        branch(s, condition(s, st->kid[0]), st->body, st->n_body, st->other, st->n_other, false, st->span);
        break;
    case AST_FOR:
    case AST_WHILE:
        run_loop(s, st);
        break;
    case AST_BREAK:
        set(s, str_of(BROKEN), value_bool(true, st->span));
        break;
    case AST_CONTINUE:
        set(s, str_of(CONTINUED), value_bool(true, st->span));
        break;
    case AST_RETURN:
        if (st->n_kids)
            give(s, st, run_return(s, st));
        else
            set(s, str_of(RETURNED), value_bool(true, st->span));
        break;
    case AST_STORE:
        run_store(s, st);
        break;
    case AST_LET:
        run_let(s, st);
        break;
    case AST_DEF:
        bind_def(s, st, s->frame->built_in);
        break;
    default:
        eval(s, st->kid[0]);
    }
}

/* What follows a statement that may have left runs where it has not. */
void run_block(struct sema *s, struct ast *const *st, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        run_statement(s, st[i]);
        if (!leaves(st[i], false))
            continue;
        struct span span = st[i]->span;
        struct value left = logic(s, OP_logical_or, flag(s, RETURNED, span), logic(s, OP_logical_or, flag(s, BROKEN, span), flag(s, CONTINUED, span), span), span);
        if (is_known(&left, false))
            continue;
        branch(s, not(s, left, span), st + i + 1, n - i - 1, NULL, 0, true, span);
        return;
    }
}

void begin_control(struct sema *s, struct span span)
{
    s->frame->root = s->scope;
    set(s, str_of(RETURNED), known_false(span));
}

/* A last expression is what the function gives, as in a function without such statements. */
struct value run_control(struct sema *s, const struct ast *def)
{
    uint32_t n = def->n_body;
    const struct ast *last = def->body[n - 1];
    struct value *items;

    begin_control(s, def->span);
    if (last->kind != AST_EXPR && !always_returns(def->body, n)) {
        sema_error(s, AX_no_output, last->span, "not every way through `%.*s` gives a value: end it with a return", (int)def->name.n, def->name.s);
        return value_error();
    }
    run_block(s, def->body, last->kind == AST_EXPR ? n - 1 : n);
    if (last->kind == AST_EXPR) {
        struct ast *ret = arena_new(s->arena, struct ast);
        *ret = *last;
        ret->kind = AST_RETURN;
        struct value returned = flag(s, RETURNED, last->span);
        branch(s, not(s, returned, last->span), &ret, 1, NULL, 0, true, last->span);
    }
    items = arena_array(s->arena, struct value, s->frame->n_results + 1);
    for (uint32_t i = 0; i < s->frame->n_results; i++)
        items[i] = variable_value(s, result_name(s, i));
    if (s->frame->n_results == 1)
        return items[0];
    if (!s->frame->n_results)
        return value_error();
    return (struct value){.kind = VALUE_TUPLE, .items = items, .n_items = s->frame->n_results, .span = def->span};
}
