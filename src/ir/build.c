/*
 * Making nodes: equal ones are one, constants fold, exact rules apply. See ir.h.
 */
#include <string.h>
#include "base/hash.h"
#include "ir/build.h"

/* ---- tables of what exists ---- */

struct ir_builder {
    uint32_t *slots; /* node ids by hash; 0 is empty */
    uint32_t n_slots, used;
};

static uint64_t node_hash(const struct ir_node *n)
{
    uint64_t h = hash_bytes(HASH_START, &n->op, sizeof n->op);
    h = hash_bytes(h, &n->dtype, sizeof n->dtype);
    h = hash_bytes(h, n->args, sizeof n->args);
    h = hash_bytes(h, &n->shape, sizeof n->shape);
    h = hash_bytes(h, &n->flags, sizeof n->flags);
    return hash_bytes(h, &n->attr, sizeof n->attr);
}

static bool node_equal(const struct ir_node *a, const struct ir_node *b)
{
    return a->op == b->op && a->dtype == b->dtype && a->flags == b->flags && a->shape == b->shape && a->attr == b->attr &&
           memcmp(a->args, b->args, sizeof a->args) == 0;
}

bool ir_region_around(const struct ir *ir, uint32_t outer, uint32_t inner)
{
    for (; inner != outer; inner = ir->regions.at[inner].parent)
        if (inner == 0)
            return false;
    return true;
}

/* A unit is what a machine instruction takes to be made, a step what a node takes: some dozens of them. */
void ir_set_max_work(struct ir *ir, uint32_t units)
{
    enum { STEPS_OF_A_UNIT = 32 };
    ir->max_work = (uint64_t)units * STEPS_OF_A_UNIT;
}

static void worked(struct ir *ir, uint32_t steps)
{
    ir->work += steps;
    if (ir->max_work && ir->work > ir->max_work) { /* told as running out of the arena is */
        ir->arena->failure = ARENA_TOO_LONG;
        longjmp(*ir->arena->on_fail, 1);
    }
}

void ir_looked_through(struct ir *ir, uint32_t entries)
{
    enum { ENTRIES_OF_A_STEP = 128 };
    worked(ir, entries / ENTRIES_OF_A_STEP);
}

static void insert(struct ir_builder *b, uint64_t hash, ir_id id)
{
    uint32_t i = (uint32_t)hash & (b->n_slots - 1);
    while (b->slots[i])
        i = (i + 1) & (b->n_slots - 1);
    b->slots[i] = id;
    b->used++;
}

static void grow(struct ir *ir)
{
    struct ir_builder *b = ir->builder;
    if (b->used * 2 < b->n_slots)
        return;
    b->n_slots = b->n_slots ? b->n_slots * 2 : 256;
    b->slots = arena_array(ir->arena, uint32_t, b->n_slots);
    b->used = 0;
    for (ir_id id = 1; id < ir->nodes.n; id++)
        insert(b, node_hash(ir_at(ir, id)), id);
}

ir_id ir_intern(struct ir *ir, struct ir_node n)
{
    struct ir_builder *b = ir->builder;
    worked(ir, 1);
    grow(ir);
    uint64_t hash = node_hash(&n);
    for (uint32_t i = (uint32_t)hash & (b->n_slots - 1); b->slots[i]; i = (i + 1) & (b->n_slots - 1))
        if (node_equal(ir_at(ir, b->slots[i]), &n) && ir_region_around(ir, ir_at(ir, b->slots[i])->region, ir->region))
            return b->slots[i];
    if (ir->nodes.n >= ir->max_nodes) { /* told as running out of the arena is */
        ir->arena->failure = ARENA_TOO_MANY;
        longjmp(*ir->arena->on_fail, 1);
    }
    n.region = n.op == OP_const ? 0 : ir->region;
    vec_push(ir->arena, &ir->nodes, n);
    insert(b, hash, ir->nodes.n - 1);
    return ir->nodes.n - 1;
}

void ir_init(struct ir *ir, struct arena *arena, uint32_t max_nodes)
{
    memset(ir, 0, sizeof *ir);
    ir->arena = arena;
    ir->max_nodes = max_nodes ? max_nodes : 100000;
    ir->max_rounds = 1u << 30;
    ir->stepping = NO_STEPS;
    ir->builder = arena_new(arena, struct ir_builder);
    struct ir_node poison = {0};
    struct ir_dim one = {.kind = DIM_ONE};
    struct ir_shape scalar = {0};
    struct ir_region whole = {0};
    vec_push(arena, &ir->nodes, poison);
    vec_push(arena, &ir->dims, one);
    vec_push(arena, &ir->shapes, scalar);
    vec_push(arena, &ir->regions, whole);
}

/* ---- dims and shapes ---- */

bool ir_slice_equal(const struct ir_slice *a, const struct ir_slice *b)
{
    return a->start == b->start && a->stop == b->stop && a->step == b->step && a->flags == b->flags;
}

static bool dim_equal(const struct ir_dim *a, const struct ir_dim *b)
{
    return a->kind == b->kind && a->extent == b->extent && a->input == b->input && a->axis == b->axis && a->n_of == b->n_of &&
           a->base == b->base && a->own == b->own && ir_slice_equal(&a->slice, &b->slice) &&
           (a->n_of == 0 || memcmp(a->of, b->of, a->n_of * sizeof *a->of) == 0);
}

uint32_t ir_dim(struct ir *ir, struct ir_dim d)
{
    if (d.kind == DIM_CONST && d.extent == 1)
        return 0;
    ir_looked_through(ir, ir->dims.n);
    for (uint32_t i = 0; i < ir->dims.n; i++)
        if (dim_equal(&ir->dims.at[i], &d))
            return i;
    vec_push(ir->arena, &ir->dims, d);
    return ir->dims.n - 1;
}

uint32_t ir_shape(struct ir *ir, const struct ir_shape *s)
{
    ir_looked_through(ir, ir->shapes.n);
    for (uint32_t i = 0; i < ir->shapes.n; i++)
        if (ir->shapes.at[i].rank == s->rank && memcmp(ir->shapes.at[i].dim, s->dim, s->rank * sizeof *s->dim) == 0)
            return i;
    vec_push(ir->arena, &ir->shapes, *s);
    return ir->shapes.n - 1;
}

static uint32_t add_members(const struct ir *ir, uint32_t dim, uint32_t *of, uint32_t n)
{
    const struct ir_dim *d = &ir->dims.at[dim];
    uint32_t count = d->kind == DIM_BROADCAST ? d->n_of : 1;
    for (uint32_t k = 0; k < count; k++) {
        uint32_t m = d->kind == DIM_BROADCAST ? d->of[k] : dim, i = 0, j = n;
        while (i < n && of[i] < m)
            i++;
        if (i < n && of[i] == m)
            continue;
        for (; j > i; j--)
            of[j] = of[j - 1];
        of[i] = m;
        n++;
    }
    return n;
}

static uint32_t members(const struct ir *ir, uint32_t dim)
{
    return ir->dims.at[dim].kind == DIM_BROADCAST ? ir->dims.at[dim].n_of : 1;
}

uint32_t ir_dim_broadcast(struct ir *ir, uint32_t a, uint32_t b)
{
    if (a == b || b == 0)
        return a;
    if (a == 0)
        return b;
    struct ir_dim d = {.kind = DIM_BROADCAST};
    d.of = arena_array(ir->arena, uint32_t, members(ir, a) + members(ir, b));
    d.n_of = add_members(ir, a, d.of, 0);
    d.n_of = add_members(ir, b, d.of, d.n_of);
    return ir_dim(ir, d);
}

/* Aligned at the last axis; *checked is set when extents must be compared at the call. */
static uint32_t broadcast(struct ir *ir, uint32_t a, uint32_t b, bool *checked)
{
    struct ir_shape x = ir->shapes.at[a], y = ir->shapes.at[b], out = {0};
    out.rank = x.rank > y.rank ? x.rank : y.rank;
    for (unsigned d = 0; d < out.rank; d++) {
        int i = (int)d - (out.rank - x.rank), j = (int)d - (out.rank - y.rank);
        uint32_t p = i >= 0 ? x.dim[i] : 0, q = j >= 0 ? y.dim[j] : 0;
        out.dim[d] = ir_dim_broadcast(ir, p, q);
        *checked |= p != 0 && q != 0 && p != q;
    }
    return ir_shape(ir, &out);
}

uint32_t ir_broadcast(struct ir *ir, uint32_t a, uint32_t b)
{
    bool checked = false;
    return broadcast(ir, a, b, &checked);
}

/* ---- leaves ---- */

ir_id ir_const(struct ir *ir, enum dtype dtype, uint64_t bits, unsigned flags, struct span span)
{
    struct ir_node n = {.op = OP_const, .dtype = (uint8_t)dtype, .flags = (uint8_t)flags, .attr = bits, .span = span};
    return ir_intern(ir, n);
}

ir_id ir_input_new(struct ir *ir, struct str name, enum dtype dtype, unsigned rank, bool weak, struct span span)
{
    struct ir_shape s = {.rank = (uint8_t)rank};
    uint16_t index = (uint16_t)ir->inputs.n;
    for (unsigned a = 0; a < rank; a++)
        s.dim[a] = ir_dim(ir, (struct ir_dim){.kind = DIM_INPUT, .input = index, .axis = (uint16_t)a});
    struct ir_input in = {.name = name, .span = span, .dtype = (uint8_t)dtype, .rank = (uint8_t)rank, .weak = weak, .shape = ir_shape(ir, &s)};
    struct ir_node n = {.op = OP_input, .dtype = (uint8_t)dtype, .flags = weak ? IR_WEAK : 0, .shape = in.shape, .attr = index, .span = span};
    in.node = ir_intern(ir, n);
    vec_push(ir->arena, &ir->inputs, in);
    return in.node;
}

void ir_input_reshape(struct ir *ir, ir_id input, uint32_t shape)
{
    struct ir_node *n = ir_at(ir, input);
    n->shape = shape;
    ir->inputs.at[n->attr].shape = shape;
    /* its hash changed: findable under the new one; the old slot, still its, matches nothing and goes when the table grows */
    grow(ir);
    insert(ir->builder, node_hash(n), input);
}

/* ---- folding ---- */

static bool all_const(const struct ir *ir, const ir_id *args, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (ir_at(ir, args[i])->op != OP_const)
            return false;
    return true;
}

static ir_id fold(struct ir *ir, enum op op, enum dtype result, const ir_id *args, unsigned n, unsigned flags, struct span span)
{
    uint64_t in[3] = {0}, out = 0;
    const void *ptr[3];
    uint8_t fault = 0;
    for (unsigned i = 0; i < n; i++) {
        in[i] = ir_at(ir, args[i])->attr;
        ptr[i] = &in[i];
    }
    enum dtype arg = ir_at(ir, args[n == 3 && op == OP_where ? 1 : 0])->dtype;
    eval_prim(op_prim(op, arg), arg, &out, ptr, 1, &fault);
    return fault ? 0 : ir_const(ir, result, out, flags, span);
}

/* ---- operations ---- */

static void check_broadcast(struct ir *ir, ir_id id, struct span span)
{
    struct ir_check c = {.kind = CHECK_BROADCAST, .span = span, .node = id};
    vec_push(ir->arena, &ir->checks, c);
}

/* Two extents that the text fixes, neither of them 1, can never broadcast: no call is needed to know. */
static bool clashes(const struct ir *ir, uint32_t shape, struct span span, struct diags *diags)
{
    const struct ir_shape *s = &ir->shapes.at[shape];
    for (unsigned d = 0; diags && d < s->rank; d++) {
        const struct ir_dim *axis = &ir->dims.at[s->dim[d]], *first = NULL;
        for (uint32_t i = 0; axis->kind == DIM_BROADCAST && i < axis->n_of; i++) {
            const struct ir_dim *m = &ir->dims.at[axis->of[i]];
            if (m->kind != DIM_CONST)
                continue;
            if (first) {
                diag_add(diags, AX_shape_mismatch, span, "shapes do not broadcast: axis %u has %lld and %lld", d,
                         (long long)first->extent, (long long)m->extent);
                return true;
            }
            first = m;
        }
    }
    return false;
}

static bool poisoned(const ir_id *args, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (args[i] == 0)
            return true;
    return false;
}

ir_id ir_elem(struct ir *ir, enum op op, enum dtype result, const ir_id *args, unsigned n_args, unsigned flags, struct span span,
              struct diags *diags)
{
    struct ir_node n = {.op = (uint16_t)op, .dtype = (uint8_t)result, .n_args = (uint8_t)n_args, .flags = (uint8_t)flags, .span = span};
    bool checked = false;
    if (poisoned(args, n_args))
        return 0;
    memcpy(n.args, args, n_args * sizeof *args);
    if ((op_table[op].flags & OPF_COMM) && n.args[0] > n.args[1]) {
        n.args[0] = args[1];
        n.args[1] = args[0];
    }
    ir_id id = 0;
    if (all_const(ir, n.args, n_args) && (id = fold(ir, op, result, n.args, n_args, flags, span)))
        return id;
    n.shape = ir_at(ir, n.args[0])->shape;
    for (unsigned i = 1; i < n_args; i++)
        n.shape = broadcast(ir, n.shape, ir_at(ir, n.args[i])->shape, &checked);
    if (checked && clashes(ir, n.shape, span, diags))
        return 0;
    if ((id = rules_apply(ir, &n)))
        return id;
    uint32_t before = ir->nodes.n;
    id = ir_intern(ir, n);
    if (checked && ir->nodes.n > before) /* an equal node was checked when it was made */
        check_broadcast(ir, id, span);
    return id;
}

/* Back from `compute` to the type of storage a value came from: nothing was rounded, so it is that value. */
static bool undoes_widening(const struct ir *ir, const struct ir_node *a, enum dtype to)
{
    return type_is_storage(to) && a->op == OP_cast && a->dtype == type_table[to].compute && ir_at(ir, a->args[0])->dtype == to;
}

ir_id ir_cast(struct ir *ir, ir_id x, enum dtype to, struct span span)
{
    const struct ir_node *a = ir_at(ir, x);
    if (x == 0)
        return 0;
    if (a->dtype == to && !(a->flags & IR_WEAK))
        return x;
    if (undoes_widening(ir, a, to))
        return a->args[0];
    if (a->op == OP_const) {
        uint64_t out = 0, in = a->attr;
        eval_cast(to, &out, a->dtype, &in, 1);
        return ir_const(ir, to, out, 0, span);
    }
    struct ir_node n = {.op = OP_cast, .dtype = (uint8_t)to, .n_args = 1, .args = {x}, .shape = a->shape, .span = span};
    return ir_intern(ir, n);
}

static ir_id bitcast(struct ir *ir, ir_id x, enum dtype to, bool any_nan, struct span span)
{
    const struct ir_node *a = ir_at(ir, x);
    if (x == 0)
        return 0;
    if (a->op == OP_const) {
        uint64_t out = 0, in = a->attr;
        eval_bitcast(to, &out, a->dtype, &in, 1);
        return ir_const(ir, to, out, 0, span);
    }
    struct ir_node n = {.op = OP_bitcast, .dtype = (uint8_t)to, .n_args = 1, .args = {x}, .attr = any_nan, .shape = a->shape, .span = span};
    return ir_intern(ir, n);
}

ir_id ir_bitcast(struct ir *ir, ir_id x, enum dtype to, struct span span)
{
    return bitcast(ir, x, to, false, span);
}

ir_id ir_bitcast_of_number(struct ir *ir, ir_id x, enum dtype to, struct span span)
{
    return bitcast(ir, x, to, true, span);
}

ir_id ir_table(struct ir *ir, enum table table, unsigned column, ir_id index, struct span span)
{
    const struct ir_node *i = ir_at(ir, index);
    enum dtype dtype = table_table[table].dtype;
    if (index == 0)
        return 0;
    if (i->op == OP_const) {
        uint64_t out = 0, in = i->attr;
        table_look_up(table, column, &in, &out, 1);
        return ir_const(ir, dtype, out, 0, span);
    }
    struct ir_node n = {.op = OP_table, .dtype = (uint8_t)dtype, .n_args = 1, .args = {index}, .attr = table * TABLE_COLUMNS + column, .shape = i->shape, .span = span};
    return ir_intern(ir, n);
}

static uint32_t reduced_shape(struct ir *ir, uint32_t shape, unsigned axes, bool keepdims)
{
    struct ir_shape in = ir->shapes.at[shape], out = {0};
    for (unsigned a = 0; a < in.rank; a++)
        if (!(axes >> a & 1))
            out.dim[out.rank++] = in.dim[a];
        else if (keepdims)
            out.dim[out.rank++] = 0;
    return ir_shape(ir, &out);
}

ir_id ir_reduce(struct ir *ir, enum op op, ir_id x, unsigned axes, bool keepdims, struct span span)
{
    if (x == 0)
        return 0;
    struct ir_node n = {.op = (uint16_t)op, .dtype = ir_at(ir, x)->dtype, .n_args = 1, .args = {x}, .span = span};
    n.shape = reduced_shape(ir, ir_at(ir, x)->shape, axes, keepdims);
    n.attr = axes | (keepdims ? IR_KEEPDIMS : 0);
    uint32_t before = ir->nodes.n;
    ir_id id = ir_intern(ir, n);
    if (ir->nodes.n > before && (op == OP_min || op == OP_max)) {
        struct ir_check c = {.kind = CHECK_NONEMPTY, .span = span, .node = id};
        vec_push(ir->arena, &ir->checks, c);
    }
    return id;
}

ir_id ir_scan(struct ir *ir, enum op op, ir_id x, unsigned axis, struct span span)
{
    if (x == 0)
        return 0;
    const struct ir_node *a = ir_at(ir, x);
    struct ir_node n = {.op = (uint16_t)op, .dtype = a->dtype, .n_args = 1, .args = {x}, .shape = a->shape, .attr = 1u << axis, .span = span};
    return ir_intern(ir, n);
}

ir_id ir_place(struct ir *ir, uint32_t shape, unsigned axes, struct span span)
{
    struct ir_shape s = ir->shapes.at[shape];
    for (unsigned d = 0; d < s.rank; d++)
        if (!(axes >> d & 1))
            s.dim[d] = 0;
    struct ir_node n = {.op = OP_place, .dtype = DT_int64, .shape = ir_shape(ir, &s), .attr = axes, .span = span};
    return ir_intern(ir, n);
}

/* Extents of shared arrays are known, and so their strides. */
static int64_t shared_elements(const struct ir *ir, ir_id shared, unsigned axes)
{
    const struct ir_shape *s = &ir->shapes.at[ir_at(ir, shared)->shape];
    int64_t n = 1;
    for (unsigned d = 0; d < s->rank; d++)
        n *= (axes >> d & 1) && s->dim[d] ? ir->dims.at[s->dim[d]].extent : 1; /* dim 0 is 1 */
    return n;
}

int64_t ir_shared_size(const struct ir *ir, ir_id shared)
{
    return shared_elements(ir, shared, ~0u) * type_table[ir_at(ir, shared)->dtype].size;
}

ir_id ir_layout_of(struct ir *ir, ir_id x, uint64_t what, struct span span)
{
    if (ir_at(ir, x)->op == OP_shared && what != LAYOUT_ADDRESS) {
        int64_t stride = shared_elements(ir, x, ~0u << (what - LAYOUT_STRIDE + 1)) * type_table[ir_at(ir, x)->dtype].size;
        return ir_const(ir, DT_int64, (uint64_t)stride, 0, span);
    }
    struct ir_node n = {.op = OP_layout, .dtype = DT_int64, .n_args = 1, .args = {x}, .attr = what, .span = span};
    return ir_intern(ir, n);
}

ir_id ir_within(struct ir *ir, ir_id index, ir_id extent, unsigned axis, struct span span)
{
    struct ir_node n = {.op = OP_within, .dtype = DT_int64, .n_args = 2, .args = {index, extent}, .shape = ir_at(ir, index)->shape, .attr = axis, .span = span};
    return ir_intern(ir, n);
}

ir_id ir_gather(struct ir *ir, enum dtype dtype, const ir_id *args, uint64_t moment, struct span span)
{
    struct ir_node n = {.op = OP_gather, .dtype = (uint8_t)dtype, .n_args = 2, .args = {args[0], args[1]}, .shape = ir_at(ir, args[1])->shape, .attr = moment, .span = span};
    if (ir_at(ir, args[0])->op == OP_layout && ir_at(ir, ir_at(ir, args[0])->args[0])->op == OP_shared)
        n.shape = ir->launch; /* each block has its own */
    return ir_intern(ir, n);
}

ir_id ir_count(struct ir *ir, ir_id x, unsigned axes, struct span span)
{
    if (ir_at(ir, x)->op == OP_shared)
        return ir_const(ir, DT_int64, (uint64_t)shared_elements(ir, x, axes), 0, span);
    struct ir_node n = {.op = OP_count, .dtype = DT_int64, .n_args = 1, .args = {x}, .attr = axes, .span = span};
    return x ? ir_intern(ir, n) : 0;
}

ir_id ir_pair(struct ir *ir, ir_id re, ir_id im, struct span span, struct diags *diags)
{
    bool checked = false;
    if (!re || !im)
        return 0;
    struct ir_node n = {.op = OP_pair, .dtype = ir_at(ir, re)->dtype == DT_float32 ? DT_complex64 : DT_complex128, .n_args = 2, .args = {re, im}, .span = span};
    n.shape = broadcast(ir, ir_at(ir, re)->shape, ir_at(ir, im)->shape, &checked);
    if (checked && clashes(ir, n.shape, span, diags))
        return 0;
    ir_id id = ir_intern(ir, n);
    if (checked)
        check_broadcast(ir, id, span);
    return id;
}

uint32_t ir_region_begin(struct ir *ir)
{
    struct ir_region r = {.parent = ir->region};
    vec_push(ir->arena, &ir->regions, r);
    return ir->region = ir->regions.n - 1;
}

void ir_region_end(struct ir *ir)
{
    ir->region = ir->regions.at[ir->region].parent;
}

ir_id ir_rarely(struct ir *ir, ir_id cond, uint32_t region, ir_id slow, ir_id fast, unsigned flags, struct span span, struct diags *diags)
{
    ir_id args[] = {cond, slow, fast};
    if (poisoned(args, 3))
        return 0;
    bool checked = false;
    struct ir_node n = {.op = OP_rarely, .dtype = ir_at(ir, fast)->dtype, .flags = (uint8_t)flags, .n_args = 3, .args = {cond, slow, fast}, .attr = region, .span = span};
    n.shape = broadcast(ir, ir_at(ir, cond)->shape, ir_at(ir, slow)->shape, &checked);
    n.shape = broadcast(ir, n.shape, ir_at(ir, fast)->shape, &checked);
    if (checked && clashes(ir, n.shape, span, diags))
        return 0;
    if (ir_at(ir, cond)->op == OP_const && !ir_at(ir, cond)->attr && ir_at(ir, fast)->shape == n.shape)
        return fast;
    ir_id id = ir_intern(ir, n);
    ir->regions.at[region].owner = id;
    if (checked)
        check_broadcast(ir, id, span);
    return id;
}

/* ---- asking ---- */

enum dtype ir_arg_dtype(const struct ir *ir, ir_id id)
{
    const struct ir_node *n = ir_at(ir, id);
    return ir_at(ir, n->args[n->op == OP_where ? 1 : 0])->dtype;
}

enum prim ir_prim(const struct ir *ir, ir_id id)
{
    return op_prim(ir_at(ir, id)->op, ir_arg_dtype(ir, id));
}

void ir_live(const struct ir *ir, uint8_t *live)
{
    memset(live, 0, ir->nodes.n);
    for (uint32_t i = 0; i < ir->outputs.n; i++)
        live[ir->outputs.at[i].node] = 1;
    for (uint32_t i = 0; i < ir->effects.n; i++)
        live[ir->effects.at[i]] = 1;
    for (ir_id id = ir->nodes.n; id-- > 1;)
        for (unsigned k = 0; live[id] && ir_at(ir, id)->op != OP_count && k < ir_at(ir, id)->n_args; k++)
            live[ir_at(ir, id)->args[k]] = 1;
    live[0] = 0;
}
