/*
 * The reference evaluator: every node one whole array, plain loops, the fixed reduction tree. Slow and simple; what
 * the other devices are compared with.
 */
#include <stdlib.h>
#include <string.h>
#include "ir/build.h"
#include "ir/tree.h"

struct value {
    void *data; /* C-contiguous */
    uint8_t *faults; /* per element, or NULL */
};

struct evaluation {
    const struct ir *ir;
    const uint8_t *live;
    const uint32_t *owner; /* of ir_owners */
    uint32_t steps;        /* in whose round it is, or NO_STEPS */
    struct ir_faults *faults;
    const int64_t *dims;
    const struct ir_array *inputs;
    struct value *values;
    bool failed;
    uint8_t nowhere[16]; /* for what is read of arrays that have no elements */
};

static void *get(struct evaluation *e, size_t size)
{
    void *p = e->failed ? NULL : malloc(size ? size : 1);
    e->failed |= !p;
    return p;
}

static int64_t elements(const struct evaluation *e, uint32_t shape)
{
    int64_t n = 1;
    for (unsigned d = 0; d < e->ir->shapes.at[shape].rank; d++)
        n *= e->dims[e->ir->shapes.at[shape].dim[d]];
    return n;
}

static size_t size_of(const struct evaluation *e, ir_id id)
{
    return type_table[ir_at(e->ir, id)->dtype].size;
}

/* Copies an array given by strides (bytes, per axis of `shape`) into C order. */
static void walk(const struct evaluation *e, uint32_t shape, const char *from, const int64_t *stride, size_t size, char *to)
{
    const struct ir_shape *s = &e->ir->shapes.at[shape];
    int64_t index[IR_MAX_RANK] = {0}, n = elements(e, shape);
    for (int64_t i = 0; i < n; i++) {
        const char *p = from;
        for (unsigned d = 0; d < s->rank; d++)
            p += index[d] * stride[d];
        memcpy(to + (size_t)i * size, p, size);
        for (unsigned d = s->rank; d-- > 0;) {
            if (++index[d] < e->dims[s->dim[d]])
                break;
            index[d] = 0;
        }
    }
}

/* Byte strides that make a C-contiguous array of shape `from` look like one of shape `to`. */
static void broadcast_strides(const struct evaluation *e, uint32_t from, uint32_t to, size_t size, int64_t *stride)
{
    const struct ir_shape *f = &e->ir->shapes.at[from], *t = &e->ir->shapes.at[to];
    int64_t step = (int64_t)size;
    memset(stride, 0, IR_MAX_RANK * sizeof *stride);
    for (unsigned k = 1; k <= f->rank; k++) {
        int64_t extent = e->dims[f->dim[f->rank - k]];
        stride[t->rank - k] = extent == 1 ? 0 : step;
        step *= extent;
    }
}

static void value_free(struct value *v)
{
    free(v->data);
    free(v->faults);
    memset(v, 0, sizeof *v);
}

static struct value expand(struct evaluation *e, ir_id id, uint32_t shape)
{
    struct value out = {NULL, NULL};
    int64_t stride[IR_MAX_RANK], n = elements(e, shape);
    const struct ir_node *node = ir_at(e->ir, id);
    size_t size = size_of(e, id);
    out.data = get(e, (size_t)n * size);
    broadcast_strides(e, node->shape, shape, size, stride);
    if (out.data)
        walk(e, shape, e->values[id].data, stride, size, out.data);
    if (e->values[id].faults && (out.faults = get(e, (size_t)n))) {
        broadcast_strides(e, node->shape, shape, 1, stride);
        walk(e, shape, (const char *)e->values[id].faults, stride, 1, (char *)out.faults);
    }
    return out;
}

/* ---- elementwise ---- */

static bool raises(enum prim p)
{
    return p == PRIM_ifloordiv || p == PRIM_imod || p == PRIM_ipow;
}

static bool any_faults(const struct value *args, unsigned n)
{
    for (unsigned k = 0; k < n; k++)
        if (args[k].faults)
            return true;
    return false;
}

/* A side that is not chosen raises nothing; `first` is where the two sides start, `cond` decides between them. */
static void join_faults(uint8_t *out, const struct value *args, unsigned n, int64_t count, bool chooses)
{
    for (int64_t i = 0; i < count; i++)
        for (unsigned k = 0; k < n; k++) {
            bool left_out = chooses && k > 0 && (((uint8_t *)args[0].data)[i] != 0) != (k == 1);
            if (args[k].faults && !left_out)
                out[i] |= args[k].faults[i];
        }
}

static void elementwise(struct evaluation *e, ir_id id)
{
    const struct ir_node *n = ir_at(e->ir, id);
    struct value args[3] = {{0}};
    const void *ptr[3];
    int64_t count = elements(e, n->shape);
    bool chooses = n->op == OP_where || n->op == OP_rarely;
    enum prim prim = n->op == OP_rarely ? PRIM_select : ir_prim(e->ir, id);
    enum dtype arg = chooses ? n->dtype : ir_arg_dtype(e->ir, id);
    for (unsigned k = 0; k < n->n_args; k++) {
        args[k] = expand(e, n->args[k], n->shape);
        ptr[k] = args[k].data;
    }
    struct value *out = &e->values[id];
    out->data = get(e, (size_t)count * size_of(e, id));
    if (!e->failed && (raises(prim) || any_faults(args, n->n_args)) && (out->faults = get(e, (size_t)count)))
        memset(out->faults, 0, (size_t)count);
    if (!e->failed) {
        if (out->faults)
            join_faults(out->faults, args, n->n_args, count, chooses);
        eval_prim(prim, arg, out->data, ptr, (size_t)count, out->faults);
    }
    for (unsigned k = 0; k < n->n_args; k++)
        value_free(&args[k]);
}

static void convert(struct evaluation *e, ir_id id)
{
    const struct ir_node *n = ir_at(e->ir, id);
    int64_t count = elements(e, n->shape);
    struct value in = expand(e, n->args[0], n->shape), *out = &e->values[id];
    enum dtype from = ir_at(e->ir, n->args[0])->dtype;
    out->data = get(e, (size_t)count * size_of(e, id));
    if (!e->failed) {
        if (n->op == OP_table)
            table_look_up(ir_table_of(n), ir_table_column(n), in.data, out->data, (size_t)count);
        else if (n->op == OP_cast)
            eval_cast(n->dtype, out->data, from, in.data, (size_t)count);
        else
            eval_bitcast(n->dtype, out->data, from, in.data, (size_t)count);
        out->faults = in.faults;
        in.faults = NULL;
    }
    value_free(&in);
}

/* ---- reductions and scans: each sequence by src/ir/tree.c ---- */

struct axes {
    unsigned n;
    int64_t extent[IR_MAX_RANK], stride[IR_MAX_RANK];
};

/* The axes of a C-contiguous array that are (not) in the mask, with strides in elements. */
static struct axes axes_of(const struct evaluation *e, uint32_t shape, unsigned mask)
{
    const struct ir_shape *s = &e->ir->shapes.at[shape];
    struct axes a = {0};
    int64_t stride[IR_MAX_RANK], step = 1;
    for (unsigned d = s->rank; d-- > 0;) {
        stride[d] = step;
        step *= e->dims[s->dim[d]];
    }
    for (unsigned d = 0; d < s->rank; d++)
        if (mask >> d & 1) {
            a.extent[a.n] = e->dims[s->dim[d]];
            a.stride[a.n++] = stride[d];
        }
    return a;
}

static int64_t count_of(const struct axes *a)
{
    int64_t n = 1;
    for (unsigned d = 0; d < a->n; d++)
        n *= a->extent[d];
    return n;
}

static int64_t offset_of(const struct axes *a, int64_t position)
{
    int64_t offset = 0;
    for (unsigned d = a->n; d-- > 0; position /= a->extent[d])
        offset += position % a->extent[d] * a->stride[d];
    return offset;
}

static void reduce(struct evaluation *e, ir_id id)
{
    const struct ir_node *n = ir_at(e->ir, id);
    uint32_t shape = ir_at(e->ir, n->args[0])->shape;
    unsigned rank = e->ir->shapes.at[shape].rank, mask = n->attr & IR_AXES_MASK;
    struct axes kept = axes_of(e, shape, ~mask), reduced = axes_of(e, shape, mask);
    int64_t n_kept = count_of(&kept), length = count_of(&reduced);
    bool lanes = rank == 0 || (mask >> (rank - 1) & 1);
    struct tree *r = get(e, sizeof *r);
    const struct value *in = &e->values[n->args[0]];
    struct value *out = &e->values[id];
    size_t size = size_of(e, id);
    char *sequence = get(e, (size_t)(length + 1) * size);
    out->data = get(e, (size_t)n_kept * size);
    if (in->faults && (out->faults = get(e, (size_t)n_kept)))
        memset(out->faults, 0, (size_t)n_kept);
    if (!e->failed)
        tree_init(r, n->op, n->dtype);
    for (int64_t k = 0; !e->failed && k < n_kept; k++) {
        int64_t base = offset_of(&kept, k);
        for (int64_t i = 0; i < length; i++) {
            int64_t at = base + offset_of(&reduced, i);
            memcpy(sequence + (size_t)i * size, (const char *)in->data + (size_t)at * size, size);
            if (out->faults)
                out->faults[k] |= in->faults[at];
        }
        void *to = (char *)out->data + (size_t)k * size;
        if (lanes)
            tree_lanes(r, sequence, length, to);
        else
            tree_columns(r, sequence, length, to);
        if (length == 0 && op_table[n->op].identity == IDENTITY_ZERO)
            memset(to, 0, size); /* +0.0, not the -0.0 that lanes start from */
    }
    free(sequence);
    free(r);
}

static void scan(struct evaluation *e, ir_id id)
{
    const struct ir_node *n = ir_at(e->ir, id);
    uint32_t shape = ir_at(e->ir, n->args[0])->shape;
    struct axes kept = axes_of(e, shape, ~(unsigned)n->attr), along = axes_of(e, shape, (unsigned)n->attr);
    int64_t n_kept = count_of(&kept), length = count_of(&along), count = elements(e, shape);
    const struct value *in = &e->values[n->args[0]];
    struct value *out = &e->values[id];
    size_t size = size_of(e, id);
    struct tree *r = get(e, sizeof *r);
    char *sequence = get(e, 2 * (size_t)(length + 1) * size);
    out->data = get(e, (size_t)count * size);
    if (in->faults && (out->faults = get(e, (size_t)count)))
        memcpy(out->faults, in->faults, (size_t)count);
    if (!e->failed)
        tree_init(r, n->op, n->dtype);
    for (int64_t k = 0; !e->failed && k < n_kept; k++) {
        int64_t base = offset_of(&kept, k);
        for (int64_t i = 0; i < length; i++)
            memcpy(sequence + (size_t)i * size, (const char *)in->data + (size_t)(base + offset_of(&along, i)) * size, size);
        tree_scan(r, sequence, length, sequence + (size_t)length * size);
        for (int64_t i = 0; i < length; i++)
            memcpy((char *)out->data + (size_t)(base + offset_of(&along, i)) * size, sequence + (size_t)i * size, size);
    }
    free(sequence);
    free(r);
}

/* ---- leaves ---- */

static void places(const struct evaluation *e, uint32_t shape, const struct ir_layout *l, int64_t *out)
{
    int64_t index[IR_MAX_RANK] = {0}, n = elements(e, shape);
    for (int64_t i = 0; i < n; i++) {
        out[i] = l->offset;
        for (unsigned d = 0; d < l->rank; d++)
            out[i] += index[d] * l->stride[d];
        out[i] >>= 3;
        for (unsigned d = l->rank; d-- > 0 && ++index[d] == l->shape[d];)
            index[d] = 0;
    }
}

static void view(struct evaluation *e, ir_id id)
{
    const struct ir_node *n = ir_at(e->ir, id);
    const struct value *base = &e->values[n->args[0]];
    const struct ir_shape *s = &e->ir->shapes.at[ir_at(e->ir, n->args[0])->shape];
    size_t size = size_of(e, id);
    struct ir_layout l = {.rank = s->rank};
    int64_t step = (int64_t)size_of(e, n->args[0]);
    for (unsigned d = s->rank; d-- > 0; step *= l.shape[d]) {
        l.shape[d] = e->dims[s->dim[d]];
        l.stride[d] = step;
    }
    ir_view_apply(&e->ir->views.at[n->attr], e->dims, (enum dtype)ir_at(e->ir, n->args[0])->dtype, &l);
    void *out = e->values[id].data = get(e, (size_t)elements(e, n->shape) * size);
    if (out)
        walk(e, n->shape, (const char *)base->data + l.offset, l.stride, size, out);
}

/* Arrays from outside may hold any byte: what is not 0 is true, as compiled code reads it. */
static void tidy_bools(uint8_t *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        b[i] = b[i] != 0;
}

static void leaf(struct evaluation *e, ir_id id)
{
    const struct ir_node *n = ir_at(e->ir, id);
    void *out = e->values[id].data = get(e, (size_t)elements(e, n->shape) * (size_of(e, id) < 8 ? 8 : size_of(e, id)));
    if (!out)
        return;
    if (n->op == OP_const) {
        memcpy(out, &n->attr, size_of(e, id));
    } else if (n->op == OP_count) {
        struct axes a = axes_of(e, ir_at(e->ir, n->args[0])->shape, (unsigned)n->attr);
        int64_t count = count_of(&a);
        memcpy(out, &count, sizeof count);
    } else if (n->op == OP_place) {
        struct ir_layout l;
        ir_place_layout(e->ir, n, e->dims, &l);
        places(e, n->shape, &l, out);
    } else {
        walk(e, n->shape, e->inputs[n->attr].data, e->inputs[n->attr].stride, size_of(e, id), out);
        if (n->dtype == DT_bool)
            tidy_bools(out, elements(e, n->shape));
    }
}

/* ---- elements by index ---- */

/*
 * Of what the evaluator holds: C-contiguous; a place is computed, and so an array of 8 bytes an element too. A view is a copy, but for a
 * part of what a kernel changes.
 */
static void layout(struct evaluation *e, ir_id id)
{
    const struct ir_node *n = ir_at(e->ir, id), *of = ir_at(e->ir, n->args[0]);
    const ir_id base = of->op == OP_view ? of->args[0] : n->args[0];
    const bool place = ir_at(e->ir, base)->op == OP_place, through = of->op == OP_view && (place || ir_is_changed(e->ir, base));
    const ir_id held = through ? base : n->args[0];
    const struct ir_shape *s = &e->ir->shapes.at[ir_at(e->ir, held)->shape];
    struct ir_layout l = {.rank = s->rank};
    int64_t step = (int64_t)size_of(e, held), *out = e->values[id].data = get(e, sizeof *out);
    uint64_t address = place ? 0 : (uint64_t)(uintptr_t)e->values[held].data;
    if (!out)
        return;
    for (unsigned d = s->rank; d-- > 0; step *= l.shape[d]) {
        l.shape[d] = e->dims[s->dim[d]];
        l.stride[d] = step;
    }
    if (place)
        ir_place_layout(e->ir, ir_at(e->ir, base), e->dims, &l);
    if (through)
        ir_view_apply(&e->ir->views.at[of->attr], e->dims, (enum dtype)ir_at(e->ir, base)->dtype, &l);
    *out = ir_layout_value(n->attr, address + (uint64_t)l.offset, l.rank, l.shape, l.stride, (uint64_t)(uintptr_t)e->nowhere);
}

static void within(struct evaluation *e, ir_id id)
{
    const struct ir_node *n = ir_at(e->ir, id);
    struct value index = expand(e, n->args[0], n->shape), *out = &e->values[id];
    int64_t count = elements(e, n->shape), *to = out->data = get(e, (size_t)count * sizeof *to);
    out->faults = get(e, (size_t)count);
    for (int64_t i = 0; !e->failed && i < count; i++) {
        int64_t at = ((int64_t *)index.data)[i], extent = *(int64_t *)e->values[n->args[1]].data, k = at < 0 ? at + extent : at;
        bool bad = k < 0 || k >= extent;
        to[i] = bad ? 0 : k;
        out->faults[i] = (uint8_t)((index.faults ? index.faults[i] : 0) | (bad ? FAULT_INDEX : 0));
        if (bad && e->faults && e->faults->index < ir_fault_key(id, at))
            e->faults->index = ir_fault_key(id, at);
    }
    value_free(&index);
}

static int64_t launch_extent(const struct evaluation *e, uint32_t shape, unsigned axis)
{
    return e->dims[e->ir->shapes.at[shape].dim[axis]];
}

/* Every block has its own copy of a shared array, or every thread: where that of a thread begins. */
static int64_t copy_of(const struct evaluation *e, ir_id address, int64_t thread)
{
    const struct ir *ir = e->ir;
    ir_id memory = ir_at(ir, address)->args[0];
    int64_t at = 0, step = 1;
    if (ir_at(ir, memory)->op != OP_shared)
        return 0;
    if (ir_is_own(ir, memory))
        return thread * ir_shared_size(ir, memory);
    for (unsigned d = ir->shapes.at[ir->launch].rank; d-- > 0;) {
        int64_t n = launch_extent(e, ir->launch, d), blocks = launch_extent(e, ir_at(ir, ir->blocks)->shape, d);
        at += thread % n / launch_extent(e, ir_at(ir, ir->block)->shape, d) * step;
        thread /= n;
        step *= blocks;
    }
    return at * ir_shared_size(ir, memory);
}

static void shared(struct evaluation *e, ir_id id)
{
    uint32_t copies = ir_is_own(e->ir, id) ? e->ir->launch : ir_at(e->ir, e->ir->blocks)->shape;
    size_t size = (size_t)(elements(e, copies) * ir_shared_size(e->ir, id));
    void *out = e->values[id].data = get(e, size);
    if (out)
        memset(out, 0, size);
}

static void gather(struct evaluation *e, ir_id id)
{
    const struct ir_node *n = ir_at(e->ir, id);
    struct value offset = expand(e, n->args[1], n->shape), *out = &e->values[id];
    size_t size = size_of(e, id);
    int64_t count = elements(e, n->shape);
    out->data = get(e, (size_t)count * size);
    if (!e->failed) {
        const char *from = (const char *)(uintptr_t)*(int64_t *)e->values[n->args[0]].data;
        for (int64_t i = 0; i < count; i++)
            memcpy((char *)out->data + (size_t)i * size, from + copy_of(e, n->args[0], i) + ((int64_t *)offset.data)[i], size);
        out->faults = offset.faults;
        offset.faults = NULL;
    }
    value_free(&offset);
}

/* ---- kernels: one thread after another ---- */

static void change(enum update kind, enum dtype t, void *at, const void *value, const void *compare)
{
    static const enum prim prims[2][UPDATE_CAS] = {{[UPDATE_ADD] = PRIM_iadd, [UPDATE_MIN] = PRIM_iminimum, [UPDATE_MAX] = PRIM_imaximum},
                                                   {[UPDATE_ADD] = PRIM_fadd, [UPDATE_MIN] = PRIM_fminimum, [UPDATE_MAX] = PRIM_fmaximum}};
    const void *args[] = {at, value, value};
    char out[16];
    size_t size = type_table[t].size;
    if (kind == UPDATE_CAS && memcmp(at, compare, size) != 0)
        return;
    if (kind == UPDATE_STORE || kind == UPDATE_CAS) {
        memcpy(out, value, size);
        eval_canonical(t, out, 1);
    } else {
        eval_prim(prims[type_table[t].cls == CLASS_FLOAT][kind], t, out, args, 1, NULL);
    }
    memcpy(at, out, size);
}

static void update(struct evaluation *e, ir_id id)
{
    const struct ir_node *n = ir_at(e->ir, id);
    enum update kind = (enum update)(n->attr & 0xff);
    struct value item[4] = {{0}}, *out = &e->values[id];
    size_t size = size_of(e, id);
    int64_t count = elements(e, n->shape);
    for (unsigned k = 0; k < (kind == UPDATE_CAS ? 4 : 3); k++)
        item[k] = expand(e, ir_tied(e->ir, n->args[1], k), n->shape);
    out->data = get(e, (size_t)count * size);
    for (int64_t i = 0; !e->failed && i < count; i++) {
        unsigned raised = 0;
        char *at = (char *)(uintptr_t)*(int64_t *)e->values[n->args[0]].data + copy_of(e, n->args[0], i) + ((int64_t *)item[0].data)[i], *was = (char *)out->data + (size_t)i * size;
        memset(was, 0, size);
        if (e->faults && item[2].faults) /* of the conditions that lead here */
            e->faults->bits |= item[2].faults[i];
        if (!((uint8_t *)item[2].data)[i])
            continue;
        for (unsigned k = 0; k < 4; k++)
            raised |= item[k].faults && k != 2 ? item[k].faults[i] : 0;
        if (e->faults)
            e->faults->bits |= raised;
        if (raised & FAULT_INDEX)
            continue;
        memcpy(was, at, size);
        change(kind, (enum dtype)n->dtype, at, (char *)item[1].data + (size_t)i * size, (char *)item[3].data + (size_t)i * size);
    }
    for (unsigned k = 0; k < 4; k++)
        value_free(&item[k]);
}

/* ---- parts, steps ---- */

static void replace(struct evaluation *e, ir_id id)
{
    const struct ir_node *n = ir_at(e->ir, id);
    const uint32_t part = (uint32_t)(n->attr >> 32);
    const struct ir_shape *s = &e->ir->shapes.at[n->shape];
    struct value value = expand(e, n->args[1], part), *out = &e->values[id];
    struct ir_layout l = {.rank = s->rank}; /* in elements */
    size_t size = size_of(e, id);
    *out = expand(e, n->args[0], n->shape);
    if (value.faults && !out->faults && (out->faults = get(e, (size_t)elements(e, n->shape))))
        memset(out->faults, 0, (size_t)elements(e, n->shape));
    int64_t step = 1, index[IR_MAX_RANK] = {0}; /* strides count elements */
    for (unsigned d = s->rank; d-- > 0; step *= l.shape[d]) {
        l.shape[d] = e->dims[s->dim[d]];
        l.stride[d] = step;
    }
    ir_view_apply(&e->ir->views.at[(uint32_t)n->attr], e->dims, (enum dtype)n->dtype, &l);
    for (int64_t i = 0; !e->failed && i < elements(e, part); i++) {
        int64_t at = l.offset;
        for (unsigned d = 0; d < l.rank; d++)
            at += index[d] * l.stride[d];
        memcpy((char *)out->data + (size_t)at * size, (char *)value.data + (size_t)i * size, size);
        if (out->faults)
            out->faults[at] |= value.faults ? value.faults[i] : 0;
        for (unsigned d = l.rank; d-- > 0 && ++index[d] == l.shape[d];)
            index[d] = 0;
    }
    value_free(&value);
}

/* As it lies in memory: real, imaginary, and so on. */
static void pair(struct evaluation *e, ir_id id)
{
    const struct ir_node *n = ir_at(e->ir, id);
    int64_t count = elements(e, n->shape);
    size_t half = size_of(e, id) / 2;
    struct value *out = &e->values[id];
    out->data = get(e, 2 * half * (size_t)count);
    for (unsigned k = 0; k < 2; k++) {
        struct value part = expand(e, n->args[k], n->shape);
        if (part.faults && !out->faults && (out->faults = get(e, (size_t)count)))
            memset(out->faults, 0, (size_t)count);
        for (int64_t i = 0; !e->failed && i < count; i++) {
            memcpy((char *)out->data + (2 * (size_t)i + k) * half, (char *)part.data + (size_t)i * half, half);
            if (part.faults)
                out->faults[i] |= part.faults[i];
        }
        value_free(&part);
    }
}

static void run_loop(struct evaluation *e, ir_id id);
static void run_steps(struct evaluation *e, ir_id id);
static void result(struct evaluation *e, ir_id id);

static void node(struct evaluation *e, ir_id id)
{
    const struct ir_node *n = ir_at(e->ir, id);
    if (n->op == OP_tie || n->op == OP_barrier || n->op == OP_state || n->op == OP_turn) /* threads go side by side: what one does is done before the next node */
        return;
    if (n->op == OP_layout)
        layout(e, id);
    else if (n->op == OP_within)
        within(e, id);
    else if (n->op == OP_gather)
        gather(e, id);
    else if (n->op == OP_loop)
        run_loop(e, id);
    else if (n->op == OP_result)
        result(e, id);
    else if (ir_is_of_parts(e->ir, id))
        pair(e, id);
    else if (n->op == OP_replace)
        replace(e, id);
    else if (n->op == OP_steps)
        run_steps(e, id);
    else if (n->op == OP_stepped)
        e->values[id] = expand(e, e->ir->steps.at[ir_at(e->ir, n->args[0])->attr].state[n->attr], n->shape);
    else if (op_table[n->op].kind == OPK_REDUCE)
        reduce(e, id);
    else if (op_table[n->op].kind == OPK_SCAN)
        scan(e, id);
    else if (n->op == OP_const || n->op == OP_input || n->op == OP_place || n->op == OP_count)
        leaf(e, id);
    else if (n->op == OP_view)
        view(e, id);
    else if (n->op == OP_memory)
        e->values[id] = expand(e, n->args[0], n->shape);
    else if (n->op == OP_shared)
        shared(e, id);
    else if (n->op == OP_update)
        update(e, id);
    else if (n->op == OP_cast || n->op == OP_bitcast || n->op == OP_table)
        convert(e, id);
    else
        elementwise(e, id);
}

/* ---- loops ---- */

/* What a reduction takes in counts even when its value is not an output: it has been computed. */
static void reduction_faults(const struct evaluation *e, ir_id id)
{
    if (!op_is_kept((enum op)ir_at(e->ir, id)->op) || !e->values[id].faults || !e->faults)
        return;
    for (int64_t i = 0; i < elements(e, ir_at(e->ir, id)->shape); i++)
        e->faults->bits |= e->values[id].faults[i];
}

/* The live nodes of a region, and of what runs once with it. Those of a loop run again: what they were goes first. */
static void run_region(struct evaluation *e, uint32_t region, ir_id from, ir_id to)
{
    for (ir_id id = from; !e->failed && id < to; id++) {
        if (!e->live[id] || ir_looping_region(e->ir, ir_at(e->ir, id)->region) != region || ir_at(e->ir, id)->op == OP_carry)
            continue;
        if (ir_at(e->ir, id)->op == OP_state || ir_at(e->ir, id)->op == OP_turn || (region == 0 && e->owner[id] != e->steps))
            continue;
        value_free(&e->values[id]);
        node(e, id);
        if (!e->failed)
            reduction_faults(e, id);
    }
}

struct looping {
    const struct ir_loop *loop;
    int64_t count;    /* elements */
    uint8_t *active;  /* which still go on */
    uint8_t *faults;  /* what has been raised */
};

static void raise_from(struct evaluation *e, const struct looping *l, ir_id id)
{
    struct value v = expand(e, id, l->loop->shape);
    for (int64_t i = 0; !e->failed && v.faults && i < l->count; i++)
        l->faults[i] |= l->active[i] ? v.faults[i] : 0;
    value_free(&v);
}

/* False when no element goes on. */
static bool go_on(struct evaluation *e, const struct looping *l, ir_id cond, uint32_t round)
{
    struct value c = expand(e, cond, l->loop->shape);
    bool any = false;
    raise_from(e, l, cond);
    for (int64_t i = 0; !e->failed && i < l->count; i++) {
        l->active[i] &= ((uint8_t *)c.data)[i];
        any |= l->active[i];
    }
    for (int64_t i = 0; !e->failed && round == e->ir->max_rounds && i < l->count; i++)
        l->faults[i] |= l->active[i] ? FAULT_ENDLESS : 0;
    value_free(&c);
    return any && !e->failed && round < e->ir->max_rounds;
}

/* n values, nothing yet; NULL when memory runs out. */
static struct value *values_new(struct evaluation *e, uint32_t n)
{
    struct value *v = get(e, (n + 1) * sizeof *v);
    return v ? memset(v, 0, (n + 1) * sizeof *v) : NULL;
}

/* The values of all variables become those of `chain` where an element goes on; from its first value, everywhere. */
static void step_variables(struct evaluation *e, const struct looping *l, ir_id chain)
{
    struct value *next = values_new(e, l->loop->n);
    for (uint32_t k = 0; !e->failed && k < l->loop->n; k++)
        next[k] = expand(e, ir_tied(e->ir, chain, k), l->loop->shape);
    for (uint32_t k = 0; !e->failed && k < l->loop->n; k++) {
        struct value *now = &e->values[l->loop->carry[k]];
        size_t size = size_of(e, l->loop->carry[k]);
        for (int64_t i = 0; now->data && i < l->count; i++)
            if (!l->active[i])
                memcpy((char *)next[k].data + (size_t)i * size, (char *)now->data + (size_t)i * size, size);
        value_free(now);
        now->data = next[k].data;
        next[k].data = NULL;
    }
    for (uint32_t k = 0; next && k < l->loop->n; k++)
        value_free(&next[k]);
    free(next);
}

static void run_loop(struct evaluation *e, ir_id id)
{
    const struct ir_node *n = ir_at(e->ir, id);
    struct looping l = {.loop = &e->ir->loops.at[n->attr], .count = elements(e, n->shape)};
    l.active = get(e, (size_t)l.count);
    l.faults = get(e, (size_t)l.count);
    for (int64_t i = 0; !e->failed && i < l.count; i++)
        l.active[i] = 1, l.faults[i] = 0;
    for (uint32_t k = 0; k < l.loop->n; k++) {
        raise_from(e, &l, ir_tied(e->ir, n->args[0], k));
        value_free(&e->values[l.loop->carry[k]]);
    }
    step_variables(e, &l, n->args[0]);
    for (uint32_t round = 0; !e->failed; round++) {
        run_region(e, l.loop->head, l.loop->carry[0], id);
        if (e->failed || !go_on(e, &l, n->args[1], round))
            break;
        run_region(e, l.loop->body, l.loop->carry[0], id);
        for (uint32_t k = 0; k < l.loop->n; k++)
            raise_from(e, &l, ir_tied(e->ir, n->args[2], k));
        step_variables(e, &l, n->args[2]);
    }
    for (int64_t i = 0; !e->failed && (n->flags & IR_EFFECT) && e->faults && i < l.count; i++)
        e->faults->bits |= l.faults[i] & FAULT_ENDLESS;
    free(l.active);
    e->values[id].faults = l.faults;
    e->values[id].data = get(e, 1);
}

/* What states become is taken before any of them changes. */
static void set_states(struct evaluation *e, const struct ir_steps *s, ir_id chain)
{
    struct value *next = values_new(e, s->n);
    for (uint32_t i = 0; !e->failed && i < s->n; i++)
        next[i] = expand(e, ir_tied(e->ir, chain, i), ir_at(e->ir, s->state[i])->shape);
    for (uint32_t i = 0; next && i < s->n; i++) {
        struct value *state = &e->values[s->state[i]];
        for (int64_t k = 0; !e->failed && next[i].faults && e->faults && k < elements(e, ir_at(e->ir, s->state[i])->shape); k++)
            e->faults->bits |= next[i].faults[k]; /* each is stored, whoever reads it */
        value_free(state);
        free(next[i].faults);
        state->data = next[i].data;
    }
    free(next);
}

static void run_steps(struct evaluation *e, ir_id id)
{
    const struct ir_node *n = ir_at(e->ir, id);
    const struct ir_steps *s = &e->ir->steps.at[n->attr];
    const uint32_t outer = e->steps;
    int64_t rounds = e->failed ? 0 : *(int64_t *)e->values[n->args[1]].data;
    if (rounds > e->ir->max_rounds && e->faults)
        e->faults->bits |= FAULT_ENDLESS;
    set_states(e, s, n->args[0]);
    e->steps = (uint32_t)n->attr;
    for (int64_t round = 0; !e->failed && round < rounds && round < e->ir->max_rounds; round++) {
        struct value *at = &e->values[s->round];
        value_free(at);
        if ((at->data = get(e, sizeof round)))
            memcpy(at->data, &round, sizeof round);
        run_region(e, 0, s->state[0], id);
        set_states(e, s, n->args[2]);
    }
    e->steps = outer;
    e->values[id].data = get(e, 1);
}

static void result(struct evaluation *e, ir_id id)
{
    const struct ir_node *n = ir_at(e->ir, id);
    size_t count = (size_t)elements(e, n->shape), size = count * size_of(e, id);
    struct value *out = &e->values[id];
    out->data = get(e, size);
    out->faults = get(e, count);
    if (e->failed)
        return;
    memcpy(out->data, e->values[n->attr].data, size);
    memcpy(out->faults, e->values[n->args[0]].faults, count);
}

static void output(struct evaluation *e, ir_id id, void *to)
{
    const struct ir_node *n = ir_at(e->ir, id);
    int64_t count = elements(e, n->shape);
    memcpy(to, e->values[id].data, (size_t)count * size_of(e, id));
    eval_canonical(type_part((enum dtype)n->dtype), to, (size_t)count * (type_is_complex((enum dtype)n->dtype) ? 2 : 1));
    for (int64_t i = 0; e->values[id].faults && e->faults && i < count; i++)
        e->faults->bits |= e->values[id].faults[i];
}

bool ir_eval(const struct ir *ir, const struct ir_array *inputs, const int64_t *dim_values, void *const *outputs,
             struct ir_faults *faults)
{
    uint8_t *live = calloc(ir->nodes.n + 1, 1);
    uint32_t *owner = calloc(ir->nodes.n + 1, sizeof *owner);
    struct evaluation e = {.ir = ir, .live = live, .owner = owner, .steps = NO_STEPS, .faults = faults, .dims = dim_values, .inputs = inputs};
    e.values = calloc(ir->nodes.n + 1, sizeof *e.values);
    e.failed = !live || !owner || !e.values;
    if (!e.failed) {
        ir_live(ir, live);
        ir_owners(ir, owner);
    }
    run_region(&e, 0, 1, ir->nodes.n);
    for (uint32_t i = 0; !e.failed && i < ir->outputs.n; i++)
        output(&e, ir->outputs.at[i].node, outputs[i]);
    for (ir_id id = 1; e.values && id < ir->nodes.n; id++)
        value_free(&e.values[id]);
    free(e.values);
    free(owner);
    free(live);
    return !e.failed;
}
