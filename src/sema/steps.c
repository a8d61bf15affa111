/*
 * for k in range(...) { ... } at the level of the program: its statements are repeated over whole arrays, the names that were bound before it
 * and that it binds again being what changes from round to round. (In functions a loop works element by element: control.c.)
 *
 * A round is built with the types and shapes known so far; a number that becomes an array, or a literal that takes a type, makes
 * it be built again. An array keeps its type and its shape.
 */
#include "ir/build.h"
#include "sema/build.h"

enum { MOST_TRIES = 16 };

struct state {
    struct str name;
    struct span span;
    struct value start, next;
    enum dtype dtype;
    bool weak;
    uint32_t shape;
};

struct stepping {
    const struct stepping *up;
    const struct ast *st;
    uint32_t number; /* in the IR, of the round at hand */
    struct range range;
    VEC(struct state) states;
};

static uint32_t shape_of(struct sema *s, const struct value *v)
{
    return v->kind == VALUE_ARRAY ? ir_at(s->ir, v->id)->shape : 0;
}

static unsigned rank_of(struct sema *s, uint32_t shape)
{
    return s->ir->shapes.at[shape].rank;
}

static void add_state(struct sema *s, struct stepping *l, struct str name, struct span span)
{
    struct binding *b = scope_find(s->scope, name, false);
    for (uint32_t i = 0; i < l->states.n; i++)
        if (str_eq(l->states.at[i].name, name))
            return;
    if (!b || b->partial || !value_is_numeric(&b->value))
        return;
    struct state state = {.name = name, .span = span, .start = b->value, .dtype = value_dtype(&b->value), .shape = shape_of(s, &b->value)};
    state.weak = b->value.kind == VALUE_INT || b->value.kind == VALUE_FLOAT || (b->value.kind == VALUE_ARRAY && b->value.weak);
    vec_push(s->arena, &l->states, state);
}

static void find_states(struct sema *s, struct stepping *l, struct ast *const *st, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t k = 0; st[i]->kind == AST_LET && k < st[i]->n_names; k++)
            add_state(s, l, st[i]->names[k], st[i]->name_spans[k]);
        if (st[i]->kind == AST_STORE && st[i]->kid[0]->kid[0]->kind == AST_NAME)
            add_state(s, l, st[i]->kid[0]->kid[0]->name, st[i]->kid[0]->span);
        if (st[i]->kind == AST_FOR)
            find_states(s, l, st[i]->body, st[i]->n_body);
    }
}

static void bind(struct sema *s, struct str name, struct value v)
{
    scope_bind(s->arena, s->scope, name, v.span)->value = v;
}

static void run_round(struct sema *s, const struct stepping *l, uint32_t steps)
{
    const ir_id *state = s->ir->steps.at[steps].state;
    const struct ast *st = l->st;
    struct value round[2] = {l->range.first, value_array(s, s->ir->steps.at[steps].round, true, st->span)}, step[2] = {round[1], l->range.step};
    for (uint32_t i = 0; i < l->states.n; i++) {
        bind(s, l->states.at[i].name, complex_join(s, l->states.at[i].dtype, state, l->states.at[i].weak, l->states.at[i].span));
        state += complex_parts(l->states.at[i].dtype);
    }
    round[1] = apply_op(s, OP_multiply, step, 2, st->span);
    bind(s, st->name, apply_op(s, OP_add, round, 2, st->span));
    for (uint32_t i = 0; i < st->n_body; i++) {
        const struct ast *inner = st->body[i];
        if (inner->kind == AST_LET)
            run_let(s, inner);
        else if (inner->kind == AST_STORE)
            run_part(s, inner);
        else if (inner->kind == AST_FOR)
            run_steps(s, inner);
        else if (inner->kind == AST_DEF)
            bind_def(s, inner, false);
        else
            eval(s, inner->kid[0]);
    }
}

/* As far as one can tell: a state's own extents, or what they are stretched to together with others. */
static bool has_shape_of(const struct ir *ir, uint32_t shape, uint32_t state)
{
    const struct ir_shape *a = &ir->shapes.at[shape], *b = &ir->shapes.at[state];
    bool same = a->rank == b->rank && a->rank > 0;
    for (unsigned d = 0; same && d < a->rank; d++) {
        const struct ir_dim *dim = &ir->dims.at[a->dim[d]];
        same = a->dim[d] == b->dim[d];
        for (uint32_t i = 0; dim->kind == DIM_BROADCAST && i < dim->n_of; i++)
            same |= dim->of[i] == b->dim[d];
    }
    return same;
}

/*
 * What a state has become is laid down in memory before other elements of it are read: computed again for each of them, the work would double
 * with every such statement of a round.
 */
void lay_down_state(struct sema *s, const struct ast *e)
{
    const struct stepping *l = s->stepping;
    struct binding *b = l && e->kind == AST_NAME ? scope_find(s->scope, e->name, false) : NULL;
    if (!b || b->value.kind != VALUE_ARRAY || !b->value.id)
        return;
    const struct ir_node n = *ir_at(s->ir, b->value.id);
    bool computed = op_table[n.op].kind == OPK_ELEM || n.op == OP_cast || n.op == OP_rarely || n.op == OP_gather || n.op == OP_result;
    const ir_id *states = s->ir->steps.at[l->number].state;
    for (uint32_t i = 0; computed && i < l->states.n; states += complex_parts(l->states.at[i++].dtype)) {
        ir_id state = *states;
        if (str_eq(l->states.at[i].name, e->name) && ir_at(s->ir, state)->dtype == n.dtype && has_shape_of(s->ir, n.shape, ir_at(s->ir, state)->shape))
            b->value = value_array(s, ir_replace(s->ir, state, NULL, 0, b->value.id, sema_span(s, e->span), s->diags), false, b->value.span);
    }
}

static void check_same_shape(struct sema *s, const struct state *v, uint32_t next)
{
    for (unsigned d = 0; d < rank_of(s, next); d++) {
        struct ir_check c = {.kind = CHECK_EQUAL, .span = v->span, .dim_a = s->ir->shapes.at[v->shape].dim[d], .dim_b = s->ir->shapes.at[next].dim[d]};
        c.text = str_of(arena_printf(s->arena, "axis %u of `%.*s` changes from round to round of the loop", d, (int)v->name.n, v->name.s));
        if (c.dim_a != c.dim_b)
            vec_push(s->arena, &s->ir->checks, c);
    }
}

/* Is the type what it was? A literal at the start takes that of what it becomes; then the round is built again. */
static bool same_type(struct sema *s, struct state *v, bool *settled)
{
    struct value pair[2] = {v->start, v->next};
    bool weak, weak_start = v->start.kind != VALUE_ARRAY || v->start.weak;
    enum dtype met = promote_values(pair, 2, &weak);
    if (met == v->dtype && weak == v->weak)
        return true;
    *settled = false;
    v->weak = weak && met != DT_bool;
    if (weak_start)
        v->dtype = met;
    else
        sema_error(s, AX_type_mismatch, v->span, "`%.*s` is %s before the loop and %s after a round: an array keeps its type; write `%s(...)`", (int)v->name.n, v->name.s,
                   type_table[v->dtype].name, value_words(s, &v->next), type_table[v->dtype].name);
    return weak_start;
}

/* Has it as many axes? A number at the start takes the shape of what it becomes. */
static bool same_axes(struct sema *s, struct state *v, bool *settled)
{
    uint32_t next = shape_of(s, &v->next);
    if (rank_of(s, next) == rank_of(s, v->shape)) {
        check_same_shape(s, v, next);
        return true;
    }
    *settled = false;
    if (rank_of(s, v->shape) == 0) {
        v->shape = next;
        return true;
    }
    sema_error(s, AX_shape_mismatch, v->span, "`%.*s` has %u ax%s before the loop and %u after a round: an array keeps its shape", (int)v->name.n, v->name.s, rank_of(s, v->shape),
               rank_of(s, v->shape) == 1 ? "is" : "es", rank_of(s, next));
    return false;
}

static bool take_next(struct sema *s, struct state *v, bool *settled)
{
    v->next = scope_find(s->scope, v->name, false)->value;
    if (v->next.kind == VALUE_ERROR)
        return false;
    if (!value_is_numeric(&v->next)) {
        sema_error(s, AX_type_mismatch, v->span, "a loop changes numbers; `%.*s` becomes %s", (int)v->name.n, v->name.s, value_words(s, &v->next));
        return false;
    }
    return same_type(s, v, settled) && same_axes(s, v, settled);
}

static bool all_good(const ir_id *ids, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (!ids[i])
            return false;
    return true;
}

/* One round; *node stays 0 when the types and shapes it was begun with do not hold. False with a diagnostic. */
static bool try_round(struct sema *s, struct stepping *l, ir_id rounds, ir_id *node)
{
    uint32_t n = l->states.n, n_parts = 0, n_checks = s->ir->checks.n, n_errors = s->diags->n_errors;
    ir_id *starts = arena_array(s->arena, ir_id, 2 * n + 1), *nexts = arena_array(s->arena, ir_id, 2 * n + 1);
    uint32_t *shapes = arena_array(s->arena, uint32_t, 2 * n + 1);
    struct scope *outer = s->scope;
    bool settled = true, good = true;
    for (uint32_t i = 0; i < n; i++) {
        const struct state *v = &l->states.at[i];
        shapes[n_parts] = shapes[n_parts + 1] = v->shape;
        n_parts = complex_split(s, value_as(s, &v->start, v->dtype), starts, n_parts, v->span);
    }
    if (!all_good(starts, n_parts))
        return false;
    l->number = ir_steps_begin(s->ir, starts, shapes, n_parts, sema_span(s, l->st->span));
    s->scope = scope_new(s->arena, outer);
    s->stepping = l;
    run_round(s, l, l->number);
    for (uint32_t i = 0; good && i < n; i++)
        good = take_next(s, &l->states.at[i], &settled);
    for (uint32_t i = 0, k = 0; good && settled && i < n; i++) {
        ir_id next = value_as(s, &l->states.at[i].next, l->states.at[i].dtype);
        good = next != 0;
        k = complex_split(s, next, nexts, k, l->states.at[i].span);
    }
    s->scope = outer;
    s->stepping = l->up;
    good &= s->diags->n_errors == n_errors;
    *node = ir_steps_end(s->ir, l->number, starts, rounds, good && settled ? nexts : NULL, sema_span(s, l->st->span));
    if (!*node)
        s->ir->checks.n = n_checks;
    return good;
}

/* A number of rounds, the same for all. */
static ir_id rounds_of(struct sema *s, const struct stepping *l)
{
    const struct value *count = &l->range.count;
    if (count->kind == VALUE_ARRAY && rank_of(s, shape_of(s, count))) {
        sema_error(s, AX_type_mismatch, l->st->kid[0]->span, "a loop over arrays goes round a number of times, not an array of numbers");
        return 0;
    }
    return value_as(s, count, DT_int64);
}

/* What the loop binds for the first time has no value where it goes round no time. */
static void forget_others(struct sema *s, struct ast *const *st, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; st[i]->kind == AST_LET && k < st[i]->n_names; k++)
            if (!scope_find(s->scope, st[i]->names[k], false))
                scope_bind(s->arena, s->scope, st[i]->names[k], st[i]->name_spans[k])->partial = true;
}

void run_steps(struct sema *s, const struct ast *st)
{
    struct stepping l = {.up = s->stepping, .st = st};
    ir_id rounds, node = 0;
    if (!deeper(s, st->span))
        return;
    bool good = eval_range(s, st->kid[0], &l.range) && (rounds = rounds_of(s, &l)) != 0;
    find_states(s, &l, st->body, st->n_body);
    for (unsigned i = 0; good && !node && i < MOST_TRIES; i++)
        good = try_round(s, &l, rounds, &node);
    if (good && !node)
        sema_error(s, AX_type_mismatch, st->span, "the types of the names that this loop changes do not settle");
    for (uint32_t i = 0, k = 0; i < l.states.n; i++) {
        const struct state *v = &l.states.at[i];
        ir_id parts[2] = {0};
        for (unsigned part = 0; node && part < complex_parts(v->dtype); part++)
            parts[part] = ir_stepped(s->ir, node, k++);
        bind(s, v->name, node ? complex_join(s, v->dtype, parts, v->weak, v->span) : value_error());
    }
    forget_others(s, st->body, st->n_body);
    s->depth -= DEPTH_OF_BLOCK;
}
