/*
 * Kernels: what every thread of a launch does, as values over the launch's shape and updates of memory in their order.
 * The body is run as that of a function by element (control.c): branches are masks of threads, loops go on while any does.
 */
#include "ir/build.h"
#include "sema/build.h"

const struct str launch_names[LAUNCH_COUNT] = {[LAUNCH_THREADS] = {"(threads)", 9}, [LAUNCH_BLOCKS] = {"(blocks)", 8}, [LAUNCH_BLOCK] = {"(block)", 7}};

static const struct {
    const char *name;
    enum update kind;
    unsigned n_args;
} atomics[] = {{"atomic_add", UPDATE_ADD, 3}, {"atomic_min", UPDATE_MIN, 3}, {"atomic_max", UPDATE_MAX, 3}, {"atomic_cas", UPDATE_CAS, 4}};
enum { N_ATOMICS = sizeof atomics / sizeof *atomics };

static int atomic_of(struct str name)
{
    for (int i = 0; i < N_ATOMICS; i++)
        if (str_is(name, atomics[i].name))
            return i;
    return -1;
}

bool kernel_function(struct str name)
{
    return atomic_of(name) >= 0 || str_is(name, "grid") || str_is(name, "gridsize") || str_is(name, "syncthreads") || str_is(name, "shared") || str_is(name, "local");
}

bool kernel_attribute(const struct ast *e)
{
    return e->kind == AST_NAME && (str_is(e->name, "threadIdx") || str_is(e->name, "blockIdx") || str_is(e->name, "blockDim") || str_is(e->name, "gridDim"));
}

static bool is_atomic_on(const struct ast *e, struct str name)
{
    return e->kind == AST_CALL && atomic_of(e->name) >= 0 && e->n_kids && e->kid[0]->kind == AST_NAME && str_eq(e->kid[0]->name, name);
}

static bool changes(const struct ast *e, struct str name)
{
    if (!e)
        return false;
    if (e->kind == AST_STORE && e->kid[0]->kid[0]->kind == AST_NAME && str_eq(e->kid[0]->kid[0]->name, name))
        return true;
    if (is_atomic_on(e, name))
        return true;
    for (uint32_t i = 0; i < e->n_kids; i++)
        if (changes(e->kid[i], name))
            return true;
    return false;
}

bool kernel_changes(const struct ast *kernel, struct str name)
{
    return changes(kernel, name);
}

/* ---- where a thread is ---- */

static struct value place_along(struct sema *s, unsigned axis, struct span span)
{
    return value_array(s, ir_place(s->ir, s->ir->launch, 1u << axis, sema_span(s, span)), false, span);
}

static struct value extent_along(struct sema *s, unsigned what, unsigned axis, struct span span)
{
    return value_array(s, ir_count(s->ir, s->launch[what], 1u << axis, sema_span(s, span)), false, span);
}

static struct value op2(struct sema *s, enum op op, struct value a, struct value b, struct span span)
{
    struct value pair[2] = {a, b};
    return apply_op(s, op, pair, 2, span);
}

struct value eval_kernel_attribute(struct sema *s, const struct ast *e)
{
    struct str of = e->kid[0]->name;
    unsigned axis = str_is(e->name, "x") ? 2 : str_is(e->name, "y") ? 1 : str_is(e->name, "z") ? 0 : 3;
    if (axis == 3) {
        sema_error(s, AX_unknown_name, e->name_span, "`%.*s` has x, y and z", (int)of.n, of.s);
        return value_error();
    }
    struct value block = extent_along(s, LAUNCH_BLOCK, axis, e->span);
    if (str_is(of, "blockDim"))
        return block;
    if (str_is(of, "gridDim"))
        return extent_along(s, LAUNCH_BLOCKS, axis, e->span);
    return op2(s, str_is(of, "threadIdx") ? OP_remainder : OP_floor_divide, place_along(s, axis, e->span), block, e->span);
}

/* grid(d), gridsize(d): a number for one dimension, a tuple (x, y) or (x, y, z) for more. */
static struct value in_dimensions(struct sema *s, const struct ast *e, bool size)
{
    struct value d = e->n_kids == 1 ? eval(s, e->kid[0]) : value_error(), *items = arena_array(s->arena, struct value, 3);
    if (d.kind != VALUE_INT || d.i < 1 || d.i > 3) {
        sema_error(s, AX_type_mismatch, e->span, "`%.*s` takes the number of dimensions: 1, 2 or 3", (int)e->name.n, e->name.s);
        return value_error();
    }
    for (unsigned i = 0; i < (unsigned)d.i; i++)
        items[i] = size ? extent_along(s, LAUNCH_THREADS, 2 - i, e->span) : place_along(s, 2 - i, e->span);
    return d.i == 1 ? items[0] : (struct value){.kind = VALUE_TUPLE, .items = items, .n_items = (uint32_t)d.i, .span = e->span};
}

/* ---- updates ---- */

/* Complex memory is the pair of its parts. */
bool is_kernel_memory(struct sema *s, const struct value *v)
{
    const struct ir_node *n = v->kind == VALUE_ARRAY ? ir_at(s->ir, v->id) : NULL;
    return n && (ir_is_changed(s->ir, v->id) || (n->op == OP_pair && ir_is_changed(s->ir, n->args[0]) && ir_is_changed(s->ir, n->args[1])));
}

bool reads_kernel_memory(struct sema *s, const struct value *v)
{
    struct ir *ir = s->ir;
    if (!s->in_kernel || v->kind != VALUE_ARRAY)
        return false;
    enum op op = (enum op)ir_at(ir, v->id)->op;
    if (op == OP_input || op == OP_view || op == OP_place || is_kernel_memory(s, v)) /* nearly all are */
        return is_kernel_memory(s, v);
    uint8_t *seen = arena_array(s->arena, uint8_t, v->id + 1);
    seen[v->id] = 1;
    for (ir_id id = v->id; id > 0; id--) {
        const struct ir_node *n = ir_at(ir, id);
        if (seen[id] && (n->op == OP_memory || n->op == OP_shared))
            return true;
        /* an element that was read is a value: what it came from does not count */
        for (unsigned k = 0; seen[id] && n->op != OP_gather && n->op != OP_layout && n->op != OP_count && k < n->n_args; k++)
            seen[n->args[k]] = 1;
    }
    return false;
}

/* A thread has one value, not an array of them. */
bool is_element(struct sema *s, const struct value *v, struct span span)
{
    if (v->kind != VALUE_ARRAY || ir_broadcast(s->ir, ir_at(s->ir, v->id)->shape, s->ir->launch) == s->ir->launch)
        return v->kind != VALUE_ERROR;
    sema_error(s, AX_type_mismatch, span, "an array is no single value: give it an index");
    return false;
}

static bool find_memory(struct sema *s, const struct ast *e, ir_id *out)
{
    struct binding *b = e->kind == AST_NAME ? scope_find(s->scope, e->name, false) : NULL;
    *out = b && b->value.kind == VALUE_ARRAY ? b->value.id : 0;
    if (*out && is_kernel_memory(s, &b->value))
        return true;
    sema_error(s, AX_type_mismatch, e->span, "a kernel changes elements of its parameters and of its shared and local arrays only");
    *out = 0;
    return false;
}

static bool take_indices(struct sema *s, ir_id memory, struct ast *const *at, uint32_t n, struct span span, ir_id *indices)
{
    unsigned rank = s->ir->shapes.at[ir_at(s->ir, memory)->shape].rank;
    if (n != rank) {
        sema_error(s, AX_bad_axis, span, "an element of an array with %u ax%s has as many indices, not %u", rank, rank == 1 ? "is" : "es", n);
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        struct value v = at[i]->kind == AST_SLICE || at[i]->kind == AST_ELLIPSIS ? value_error() : eval(s, at[i]);
        enum type_class c = value_is_numeric(&v) ? type_table[value_dtype(&v)].cls : CLASS_NONE;
        if (c != CLASS_INT && c != CLASS_UINT) {
            sema_error(s, AX_type_mismatch, at[i]->span, "an element is found by integers");
            return false;
        }
        if (!is_element(s, &v, at[i]->span) || !(indices[i] = index_value(s, v)))
            return false;
    }
    return true;
}

/* What every thread does to an element found by these indices, part by part where it is complex: what was there. */
static struct value change(struct sema *s, struct ir_update u, ir_id memory, struct span span)
{
    const ir_id value = u.value;
    ir_id parts[2], was[2];
    uint32_t n = complex_split(s, memory, parts, 0, span);
    for (uint32_t k = 0; k < n; k++) {
        u.memory = parts[k];
        u.value = n == 2 ? ir_part(s->ir, value, k, span) : value;
        was[k] = ir_update(s->ir, &u, span, s->diags);
    }
    return complex_join(s, (enum dtype)ir_at(s->ir, memory)->dtype, was, false, span);
}

static bool is_atomic_type(struct sema *s, enum dtype t, struct span span)
{
    bool fits = type_table[t].size >= 4 && type_table[t].cls != CLASS_BOOL && !type_is_complex(t);
    if (!fits)
        sema_error(s, AX_type_mismatch, span, type_is_complex(t) ? "no atomic changes both parts of a %s: give it two real arrays" : "atomics work on types of 4 and 8 bytes, not %s",
                   type_table[t].name);
    return fits;
}

static struct value update(struct sema *s, enum update kind, ir_id memory, struct ast *const *at, uint32_t n, const struct value *values, struct span span)
{
    ir_id indices[IR_MAX_RANK];
    enum dtype t = (enum dtype)ir_at(s->ir, memory)->dtype;
    struct ir_update u = {.kind = kind, .indices = indices, .mask = value_to_ir(s, &s->path)};
    struct value to = {.kind = VALUE_DTYPE, .dtype = (uint8_t)t, .span = span}, v[2];
    if ((kind != UPDATE_STORE && !is_atomic_type(s, t, span)) || !take_indices(s, memory, at, n, span, indices))
        return value_error();
    for (unsigned i = 0; i < (kind == UPDATE_CAS ? 2 : 1); i++) {
        if (!is_element(s, &values[i], span))
            return value_error();
        v[i] = convert(s, &values[i], &to, span);
        if (v[i].kind == VALUE_ERROR)
            return v[i];
    }
    u.value = value_to_ir(s, &v[kind == UPDATE_CAS]);
    u.compare = kind == UPDATE_CAS ? value_to_ir(s, &v[0]) : 0;
    return change(s, u, memory, sema_span(s, span));
}

void run_store(struct sema *s, const struct ast *st)
{
    const struct ast *target = st->kid[0];
    struct value v = eval(s, st->kid[1]);
    ir_id memory;
    if (v.kind == VALUE_ERROR || !find_memory(s, target->kid[0], &memory))
        return;
    if (!value_is_numeric(&v)) {
        sema_error(s, AX_type_mismatch, st->kid[1]->span, "an element is a number, not %s", value_words(s, &v));
        return;
    }
    /* x[(i, j)] and x[p] of a tuple p are x[i, j] */
    struct ast *const *at = target->kid + 1;
    uint32_t n = target->n_kids - 1;
    if (n == 1 && at[0]->kind == AST_TUPLE) {
        n = at[0]->n_kids;
        at = at[0]->kid;
    }
    update(s, UPDATE_STORE, memory, at, n, &v, st->span);
}

/* atomic_add(x, i, v), atomic_cas(x, i, old, new): i an integer, or a tuple of them. */
static struct value call_atomic(struct sema *s, const struct ast *e, int which)
{
    struct value v[2];
    ir_id memory;
    if (e->n_kids != atomics[which].n_args) {
        sema_error(s, AX_wrong_argument_count, e->span, "`%s` takes %u arguments: an array, an index, %s", atomics[which].name, atomics[which].n_args,
                   atomics[which].kind == UPDATE_CAS ? "what is there, what is to be" : "a value");
        return value_error();
    }
    if (!find_memory(s, e->kid[0], &memory))
        return value_error();
    for (uint32_t i = 2; i < e->n_kids; i++)
        v[i - 2] = eval(s, e->kid[i]);
    struct ast *const *at = e->kid[1]->kind == AST_TUPLE ? e->kid[1]->kid : &e->kid[1];
    return update(s, atomics[which].kind, memory, at, e->kid[1]->kind == AST_TUPLE ? e->kid[1]->n_kids : 1, v, e->span);
}

/* ---- what the threads of a block have together ---- */

enum {
    SHARED_MOST = 48 * 1024, /* bytes: what every GPU gives a block without being asked (CUDA C++ Programming Guide, Compute Capabilities) */
    OWN_MOST = 4 * 1024,     /* of a thread; all that a GPU has at work have such arrays */
};

static bool take_extents(struct sema *s, const struct value *shape, const struct ast *e, int64_t *extents, unsigned *rank, int64_t most)
{
    const struct value *items = shape->kind == VALUE_TUPLE ? shape->items : shape;
    const char *what = most == OWN_MOST ? "local" : "shared";
    *rank = shape->kind == VALUE_TUPLE ? shape->n_items : 1;
    if (*rank == 0 || *rank > IR_MAX_RANK) {
        sema_error(s, AX_type_mismatch, e->span, "a %s array has 1 to %d axes", what, IR_MAX_RANK);
        return false;
    }
    for (unsigned d = 0; d < *rank; d++) {
        if (items[d].kind == VALUE_ERROR)
            return false;
        if (items[d].kind != VALUE_INT) {
            sema_error(s, items[d].kind == VALUE_ARRAY ? AX_not_constant : AX_type_mismatch, e->span, "extents of a %s array are integers known when compiling, not %s", what,
                       value_words(s, &items[d]));
            return false;
        }
        if (items[d].i < 1 || items[d].i > most) {
            sema_error(s, items[d].i < 1 ? AX_type_mismatch : AX_shared_too_large, e->span, "an extent of a %s array is 1 to %lld, not %lld", what, (long long)most, (long long)items[d].i);
            return false;
        }
        extents[d] = items[d].i;
    }
    return true;
}

static bool fits(int64_t size, const int64_t *extents, unsigned rank, int64_t most)
{
    for (unsigned d = 0; d < rank && size <= most; d++)
        size *= extents[d];
    return size <= most;
}

/* shared(shape, dtype) of a block, local(shape, dtype) of each thread. */
static struct value make_shared(struct sema *s, const struct ast *e)
{
    const bool own = str_is(e->name, "local");
    const int64_t most = own ? OWN_MOST : SHARED_MOST;
    int64_t extents[IR_MAX_RANK];
    unsigned rank;
    if (e->n_kids != 2) {
        sema_error(s, AX_wrong_argument_count, e->span, "`%.*s` takes 2 arguments: a shape and a type", (int)e->name.n, e->name.s);
        return value_error();
    }
    if (s->n_loops) {
        sema_error(s, AX_in_loop, e->span, "make the %s array before the loop: a %s has one of it", own ? "local" : "shared", own ? "thread" : "block");
        return value_error();
    }
    struct value shape = eval(s, e->kid[0]), dtype = eval(s, e->kid[1]);
    if (dtype.kind != VALUE_DTYPE && dtype.kind != VALUE_ERROR)
        sema_error(s, AX_type_mismatch, e->kid[1]->span, "the type of a %s array is the name of one, as float32, not %s", own ? "local" : "shared", value_words(s, &dtype));
    if (dtype.kind != VALUE_DTYPE || !known_dtype(s, &dtype) || !take_extents(s, &shape, e->kid[0], extents, &rank, most))
        return value_error();
    if (!fits(type_table[dtype.dtype].size, extents, rank, most)) {
        sema_error(s, AX_shared_too_large, e->span, "the %s arrays of a %s have %lld bytes together, and this one alone more", own ? "local" : "shared", own ? "thread" : "block", (long long)most);
        return value_error();
    }
    ir_id parts[2];
    for (unsigned k = 0; k < complex_parts((enum dtype)dtype.dtype); k++)
        parts[k] = ir_shared(s->ir, type_part((enum dtype)dtype.dtype), extents, rank, own, sema_span(s, e->span));
    return complex_join(s, (enum dtype)dtype.dtype, parts, false, e->span);
}

static struct value wait_for_block(struct sema *s, const struct ast *e)
{
    if (e->n_kids) {
        sema_error(s, AX_wrong_argument_count, e->span, "`syncthreads` takes no arguments");
        return value_error();
    }
    ir_barrier(s->ir, value_to_ir(s, &s->path), sema_span(s, e->span));
    return value_bool(true, e->span);
}

struct value call_kernel_function(struct sema *s, const struct ast *e)
{
    int atomic = atomic_of(e->name);
    if (atomic >= 0)
        return call_atomic(s, e, atomic);
    if (str_is(e->name, "grid") || str_is(e->name, "gridsize"))
        return in_dimensions(s, e, str_is(e->name, "gridsize"));
    return str_is(e->name, "syncthreads") ? wait_for_block(s, e) : make_shared(s, e);
}

/* ---- what the whole body must keep ---- */

/* A loop around a barrier goes round for all threads of a block or for none. */
static bool loops_are_uniform(const struct ir *ir, uint32_t region, const uint8_t *uniform)
{
    for (; region; region = ir->regions.at[region].parent) {
        const struct ir_node *owner = ir_at(ir, ir->regions.at[region].owner);
        if (owner->op == OP_loop && !uniform[owner->args[1]])
            return false;
    }
    return true;
}

static void check_barriers(struct sema *s)
{
    struct ir *ir = s->ir;
    uint8_t *uniform = arena_array(s->arena, uint8_t, ir->nodes.n);
    ir_uniform(ir, uniform);
    for (uint32_t i = 0; i < ir->effects.n; i++) {
        const struct ir_node *n = ir_at(ir, ir->effects.at[i]);
        if (n->op == OP_barrier && (!uniform[n->args[0]] || !loops_are_uniform(ir, n->region, uniform)))
            diag_add(s->diags, AX_divergent_barrier, n->span, "some threads of a block may come here and others not: a condition, a loop or a return before it depends on the thread");
    }
}

static void check_shared(struct sema *s)
{
    struct ir *ir = s->ir;
    uint8_t *live = arena_array(s->arena, uint8_t, ir->nodes.n);
    int64_t total[2] = {0}; /* of a block, of a thread */
    ir_live(ir, live);
    for (ir_id id = 1; id < ir->nodes.n; id++) {
        if (!live[id] || ir_at(ir, id)->op != OP_shared)
            continue;
        const bool own = ir_is_own(ir, id);
        total[own] += ir_shared_size(ir, id);
        if (total[own] > (own ? OWN_MOST : SHARED_MOST)) {
            diag_add(s->diags, AX_shared_too_large, ir_at(ir, id)->span, "with this the %s arrays of a %s take %lld bytes, and there are %d", own ? "local" : "shared", own ? "thread" : "block",
                     (long long)total[own], own ? OWN_MOST : SHARED_MOST);
            return;
        }
    }
}

/* ---- the whole ---- */

void run_kernel(struct sema *s, const struct sema_interface *interface)
{
    const struct ast *kernel = interface->kernel;
    struct frame frame = {.def = kernel, .call = kernel->span, .by_element = true};
    uint32_t n = interface->inputs.n - LAUNCH_COUNT;

    for (unsigned i = 0; i < LAUNCH_COUNT; i++)
        s->launch[i] = s->ir->inputs.at[n + i].node;
    s->ir->launch = ir_at(s->ir, s->launch[LAUNCH_THREADS])->shape;
    s->ir->block = s->launch[LAUNCH_BLOCK];
    s->ir->blocks = s->launch[LAUNCH_BLOCKS];
    s->scope = scope_new(s->arena, s->scope);
    s->frame = &frame;
    begin_control(s, kernel->span);
    s->in_kernel = true;
    for (uint32_t i = 0; i < interface->outputs.n; i++) {
        const struct sema_name *name = &interface->outputs.at[i];
        struct binding *in = scope_find(s->scope, name->name, false);
        if (in->value.weak || !s->ir->shapes.at[ir_at(s->ir, in->value.id)->shape].rank) {
            sema_error(s, AX_type_mismatch, name->span, "the kernel changes `%.*s`, which must be an array with an axis", (int)name->name.n, name->name.s);
            return;
        }
        ir_id memory = ir_memory(s->ir, in->value.id, name->span);
        ir_id parts[2];
        complex_split(s, memory, parts, 0, name->span);
        scope_bind(s->arena, s->scope, name->name, name->span)->value = complex_join(s, (enum dtype)ir_at(s->ir, memory)->dtype, parts, false, name->span);
        vec_push(s->arena, &s->ir->outputs, ((struct ir_output){.name = name->name, .node = memory, .span = name->span}));
    }
    run_block(s, kernel->body, kernel->n_body);
    s->frame = NULL;
    if (s->diags->n_errors == 0) {
        check_barriers(s);
        check_shared(s);
    }
}
