/*
 * The elementwise part of a nest: loads, operations, stores, at any width and level.
 */
#include "gen.h"

/* ---- setting up ---- */

static void views_init(struct gen *g, struct view **out, const struct loop_access *a, uint32_t n, const uint8_t *classes,
                       uint32_t slot, unsigned n_dims)
{
    *out = arena_array(g->arena, struct view, n + 1);
    for (uint32_t i = 0; i < n; i++) {
        (*out)[i].access = &a[i];
        (*out)[i].cls = classes[i];
        (*out)[i].slot = slot + i * (1 + n_dims);
    }
}

void body_init(struct gen *g, struct body *b, const struct loop_body *source, const uint8_t *classes, uint32_t loads_slot,
               uint32_t stores_slot, unsigned n_dims)
{
    uint32_t n = g->ir->nodes.n;
    memset(b, 0, sizeof *b);
    b->source = source;
    b->n_dims = n_dims;
    b->inner = n_dims - 1;
    b->n_loads = source->loads.n;
    b->n_stores = source->stores.n;
    views_init(g, &b->loads, source->loads.at, b->n_loads, classes, loads_slot, n_dims);
    views_init(g, &b->stores, source->stores.at, b->n_stores, classes + b->n_loads, stores_slot, n_dims);
    b->level = arena_array(g->arena, uint8_t, n);
    b->low = arena_array(g->arena, val, n);
    b->low_fault = arena_array(g->arena, val, n);
    b->lane = arena_array(g->arena, val, n);
    b->lane_fault = arena_array(g->arena, val, n);
}

void body_bind(struct body *b, ir_id id, val v)
{
    b->level[id] = LEVEL_ROW;
    b->low[id] = v;
}

static enum level level_of_class(struct gen *g, enum loop_class c)
{
    switch (c) {
    case CLASS_VALUE:
    case CLASS_UNIFORM:
        return LEVEL_UNIFORM;
    case CLASS_ROW:
        if (blocks_kept(g)) /* there are no rows, only threads */
            return LEVEL_LANE;
        /* a reduced sequence that runs over several rows meets new rows inside a vector */
        return g->nest->kind == NEST_LANES && !(g->variant->flags & VARIANT_FLAT) ? LEVEL_LANE : LEVEL_ROW;
    default:
        return LEVEL_LANE;
    }
}

/* The place of a thread along one axis of its launch is its index there. */
static bool is_index(struct gen *g, const struct view *v)
{
    uint64_t axes = ir_at(g->ir, v->access->value)->attr;
    return blocks_kept(g) && v->access->source == SOURCE_PLACE && !v->access->view && !v->access->layout && (axes & (axes - 1)) == 0;
}

static val thread_index(struct gen *g, const struct body *b, const struct view *v)
{
    unsigned axis = 0;
    while (!(ir_at(g->ir, v->access->value)->attr >> axis & 1))
        axis++;
    return b->index[axis];
}

/* Threads and blocks know where they are: nothing is divided. */
static bool stands(struct gen *g, ir_id id)
{
    unsigned axis;
    return ir_stands(g->ir, id, &axis) != STANDS_NOT;
}

void body_plan_levels(struct gen *g, struct body *b)
{
    for (uint32_t i = 0; i < b->n_loads; i++)
        b->level[b->loads[i].access->value] = is_index(g, &b->loads[i]) ? LEVEL_LANE : level_of_class(g, b->loads[i].cls);
    for (uint32_t i = 0; i < b->source->order.n; i++) {
        ir_id id = b->source->order.at[i];
        const struct ir_node *n = ir_at(g->ir, id);
        b->level[id] = LEVEL_UNIFORM;
        for (unsigned k = 0; k < n->n_args; k++)
            if (b->level[id] < b->level[n->args[k]])
                b->level[id] = b->level[n->args[k]];
        if (n->op == OP_update || n->op == OP_barrier || (n->op == OP_gather && n->attr) || (blocks_kept(g) && stands(g, id))) /* each thread its own, in their order */
            b->level[id] = LEVEL_LANE;
        if (n->op == OP_loop)
            loop_raise_levels(g, b, id);
    }
    for (uint32_t i = 0; i < b->source->order.n; i++)
        if (ir_at(g->ir, b->source->order.at[i])->op == OP_rarely)
            rarely_raise_levels(g, b, b->source->order.at[i]);
    if (g->row && b->source == &g->nest->main)
        keep_plan(g, b);
}

static unsigned size_of_node(struct gen *g, ir_id id)
{
    return type_table[ir_at(g->ir, id)->dtype].size;
}

unsigned body_width(struct gen *g, const struct body *b)
{
    unsigned size = 1;
    for (uint32_t i = 0; i < b->n_loads; i++)
        if (b->level[b->loads[i].access->value] == LEVEL_LANE && size_of_node(g, b->loads[i].access->value) > size)
            size = size_of_node(g, b->loads[i].access->value);
    for (uint32_t i = 0; i < b->n_stores; i++)
        if (size_of_node(g, b->stores[i].access->value) > size)
            size = size_of_node(g, b->stores[i].access->value);
    for (uint32_t i = 0; i < b->source->order.n; i++) {
        ir_id id = b->source->order.at[i];
        if (b->level[id] == LEVEL_LANE && ir_at(g->ir, id)->region == 0 && size_of_node(g, id) > size)
            size = size_of_node(g, id);
    }
    return g->target->vector_bits / 8 / size;
}

bool body_has_places(const struct body *b)
{
    for (uint32_t i = 0; i < b->n_loads; i++)
        if (b->loads[i].access->source == SOURCE_PLACE)
            return true;
    return false;
}

bool body_has_loop(struct gen *g, const struct body *b)
{
    for (uint32_t i = 0; i < b->source->order.n; i++)
        if (ir_at(g->ir, b->source->order.at[i])->op == OP_loop)
            return true;
    return false;
}

unsigned body_cost(struct gen *g, const struct body *b)
{
    unsigned cost = b->n_loads;
    for (uint32_t i = 0; i < b->source->order.n; i++)
        cost += b->level[b->source->order.at[i]] == LEVEL_LANE && !rarely_done(g->ir, b->source->order.at[i]);
    return cost;
}

/* ---- memory ---- */

/* An address is the value: see SOURCE_PLACE. */
static val place_at(struct gen *g, val at)
{
    return LLVMBuildAShr(g->l.b, LLVMBuildPtrToInt(g->l.b, at, g->l.i64, ""), ll_i64(&g->l, 3), "");
}

static val places_at(struct gen *g, val at, unsigned w)
{
    struct ll *l = &g->l;
    val counts[LL_MOST_LANES];
    for (unsigned i = 0; i < w; i++)
        counts[i] = ll_i64(l, i);
    return ll_add(l, ll_splat(l, place_at(g, at), w), LLVMConstVector(counts, w));
}

static val load_scalar(struct gen *g, const struct view *v, val at)
{
    if (v->access->source == SOURCE_PLACE)
        return place_at(g, at);
    enum dtype t = v->access->dtype;
    val raw = LLVMBuildLoad2(g->l.b, gen_memory_type(g, t), at, "");
    LLVMSetAlignment(raw, type_table[t].size);
    return gen_from_memory(g, raw, t);
}

static val value_in_slot(struct gen *g, const struct view *v)
{
    enum dtype t = v->access->dtype;
    val bits = gen_slot(g, v->slot);
    type raw = LLVMIntTypeInContext(g->l.ctx, t == DT_bool ? 1 : 8u * type_table[t].size);
    bits = LLVMBuildTruncOrBitCast(g->l.b, bits, raw, "");
    return LLVMBuildBitCast(g->l.b, bits, gen_type(g, t), "");
}

static val inner_stride(struct gen *g, const struct body *b, const struct view *v)
{
    if (v->cls == CLASS_UNIT || v->cls == CLASS_ALIGNED)
        return ll_i64(&g->l, type_table[v->access->dtype].size);
    if (v->cls != CLASS_STRIDED)
        return ll_i64(&g->l, 0);
    return v->stride ? v->stride : gen_slot(g, v->slot + 1 + b->inner);
}

/* Of the element `k` after the one at `at`. */
static val address(struct gen *g, const struct body *b, const struct view *v, const struct where *at, unsigned k)
{
    struct ll *l = &g->l;
    val stride = inner_stride(g, b, v), first = ll_offset(l, v->row, ll_mul(l, at->inner, stride));
    k += at->plus;
    return k ? ll_offset(l, first, ll_mul(l, ll_i64(l, k), stride)) : first;
}

static unsigned vector_alignment(const struct gen *g, const struct view *v, unsigned w)
{
    unsigned size = type_table[v->access->dtype].size;
    if (!g->gpu || v->cls != CLASS_ALIGNED)
        return size;
    return size * w < 16 ? size * w : 16;
}

static val load_vector(struct gen *g, const struct body *b, const struct view *v, const struct where *at, unsigned w)
{
    struct ll *l = &g->l;
    if (w == 1)
        return load_scalar(g, v, address(g, b, v, at, 0));
    if (v->access->source == SOURCE_PLACE && (v->cls == CLASS_UNIT || v->cls == CLASS_ALIGNED))
        return places_at(g, address(g, b, v, at, 0), w);
    if (v->cls == CLASS_UNIT || v->cls == CLASS_ALIGNED) {
        val raw = LLVMBuildLoad2(l->b, ll_vec(gen_memory_type(g, v->access->dtype), w), address(g, b, v, at, 0), "");
        LLVMSetAlignment(raw, vector_alignment(g, v, w));
        return gen_from_memory(g, raw, v->access->dtype);
    }
    if (v->cls != CLASS_STRIDED)
        return ll_splat(l, load_scalar(g, v, v->row), w);
    val out = LLVMGetPoison(ll_vec(gen_type(g, v->access->dtype), w));
    for (unsigned i = 0; i < w; i++)
        out = ll_insert(l, out, load_scalar(g, v, address(g, b, v, at, i)), i);
    return out;
}

static void set_metadata(struct gen *g, val inst, const char *kind)
{
    LLVMMetadataRef one = LLVMValueAsMetadata(ll_i32(&g->l, 1));
    LLVMMetadataRef node = LLVMMDNodeInContext2(g->l.ctx, &one, 1);
    LLVMSetMetadata(inst, LLVMGetMDKindIDInContext(g->l.ctx, kind, (unsigned)strlen(kind)), LLVMMetadataAsValue(g->l.ctx, node));
}

static void store_scalar(struct gen *g, const struct view *v, val at, val x)
{
    val s = LLVMBuildStore(g->l.b, gen_to_memory(g, x, v->access->dtype), at);
    LLVMSetAlignment(s, type_table[v->access->dtype].size);
}

static void store_vector(struct gen *g, const struct body *b, const struct view *v, const struct where *at, val x, unsigned w)
{
    struct ll *l = &g->l;
    if (w > 1 && (v->cls == CLASS_UNIT || v->cls == CLASS_ALIGNED)) {
        val s = LLVMBuildStore(l->b, gen_to_memory(g, x, v->access->dtype), address(g, b, v, at, 0));
        bool stream = !g->gpu && (g->variant->flags & VARIANT_STREAM) && v == &b->stores[0];
        LLVMSetAlignment(s, stream ? type_table[v->access->dtype].size * w : vector_alignment(g, v, w));
        if (stream)
            set_metadata(g, s, "nontemporal");
        return;
    }
    for (unsigned i = 0; i < w; i++)
        store_scalar(g, v, address(g, b, v, at, i), ll_extract(l, x, i));
}

val body_load_element(struct gen *g, const struct body *b, const struct view *v, const struct where *at)
{
    return load_scalar(g, v, address(g, b, v, at, 0));
}

void body_store_element(struct gen *g, const struct body *b, const struct view *v, const struct where *at, val x)
{
    store_scalar(g, v, address(g, b, v, at, 0), x);
}

/* ---- rows: where each array's current row starts ---- */

/* At a call dims trade places within the kept ones and within the reduced ones: an array that varies along one of
 * them may do so along any. */
static bool may_vary(const struct gen *g, const struct view *v, unsigned d)
{
    unsigned n_kept = g->nest->n_kept, from = d < n_kept ? 0 : n_kept, to = d < n_kept ? n_kept : g->nest->rank;
    for (unsigned k = from; k < to; k++)
        if (v->access->axis[k] >= 0)
            return true;
    return false;
}

static val row_offset(struct gen *g, const struct view *v, const val *index, unsigned from, unsigned to)
{
    struct ll *l = &g->l;
    val sum = ll_i64(l, 0);
    for (unsigned d = from; d < to; d++)
        if (may_vary(g, v, d))
            sum = ll_add(l, sum, ll_mul(l, index[d], gen_slot(g, v->slot + 1 + d)));
    return sum;
}

/* The indices of a row-major position in dims from..to-1. */
static void unravel(struct gen *g, val position, unsigned from, unsigned to, val *index)
{
    struct ll *l = &g->l;
    for (unsigned d = to; d-- > from;) {
        if (d == from) {
            index[d] = position;
            return;
        }
        val extent = gen_slot(g, g->slots.extents + d);
        index[d] = ll_rem(l, position, extent);
        position = ll_div(l, position, extent);
    }
}

static bool has_memory(const struct view *v)
{
    return v->cls != CLASS_VALUE;
}

static void view_row(struct gen *g, struct view *v, const val *index, unsigned from, unsigned to, bool first)
{
    if (!has_memory(v))
        return;
    val base = first ? gen_slot_ptr(g, v->slot) : v->row;
    v->row = v->cls == CLASS_UNIFORM ? base : ll_offset(&g->l, base, row_offset(g, v, index, from, to));
}

void body_rows(struct gen *g, struct body *b, val position, unsigned from, unsigned to, bool first)
{
    val index[LOOP_MAX_RANK] = {NULL};
    if (to > from)
        unravel(g, position, from, to, index);
    body_rows_at(g, b, index, from, to, first);
}

void body_rows_at(struct gen *g, struct body *b, const val *index, unsigned from, unsigned to, bool first)
{
    for (uint32_t i = 0; i < b->n_loads; i++)
        view_row(g, &b->loads[i], index, from, to, first);
    for (uint32_t i = 0; i < b->n_stores; i++)
        view_row(g, &b->stores[i], index, from, to, first);
}

/* ---- values ---- */

static val widen(struct gen *g, val v, unsigned w)
{
    return v && ll_width(v) < w ? ll_splat(&g->l, v, w) : v;
}

val body_value(struct gen *g, struct body *b, ir_id id)
{
    const struct ir_node *n = ir_at(g->ir, id);
    if (n->op == OP_const)
        return ll_splat(&g->l, gen_const(g, n->dtype, n->attr), b->w);
    return b->lane[id] ? b->lane[id] : widen(g, b->low[id], b->w);
}

val body_fault_of(struct gen *g, struct body *b, ir_id id)
{
    return b->lane_fault[id] ? b->lane_fault[id] : widen(g, b->low_fault[id], b->w);
}

void body_set(struct body *b, ir_id id, enum level level, val v, val fault)
{
    if (level == LEVEL_LANE) {
        b->lane[id] = v;
        b->lane_fault[id] = fault;
    } else {
        b->low[id] = v;
        b->low_fault[id] = fault;
    }
}

static val bitcast(struct gen *g, val v, const struct ir_node *n, enum dtype from)
{
    if (type_table[from].cls == CLASS_FLOAT && !n->attr)
        v = gen_canonical_nan(g, v, from);
    return LLVMBuildBitCast(g->l.b, v, ll_vec(gen_type(g, n->dtype), ll_width(v)), "");
}

/* Faults of a side that a choice leaves out are not seen. */
val body_choose_fault(struct gen *g, val cond, val yes, val no)
{
    val some = yes ? yes : no;
    if (!some)
        return NULL;
    val none = LLVMConstNull(LLVMTypeOf(some));
    return ll_select(&g->l, cond, yes ? yes : none, no ? no : none);
}

static void emit_prim(struct gen *g, struct body *b, ir_id id, enum level level)
{
    const struct ir_node *n = ir_at(g->ir, id);
    val args[3] = {NULL}, fault = NULL;
    for (unsigned k = 0; k < n->n_args; k++)
        args[k] = body_value(g, b, n->args[k]);
    if (ir_prim(g->ir, id) == PRIM_select) {
        fault = body_choose_fault(g, args[0], body_fault_of(g, b, n->args[1]), body_fault_of(g, b, n->args[2]));
        fault = prim_or_fault(g, fault, body_fault_of(g, b, n->args[0]));
    } else {
        for (unsigned k = 0; k < n->n_args; k++)
            fault = prim_or_fault(g, fault, body_fault_of(g, b, n->args[k]));
    }
    val v = prim_emit(g, ir_prim(g->ir, id), ir_arg_dtype(g->ir, id), args, &fault);
    body_set(b, id, level, v, fault);
}

static bool emit_standing(struct gen *g, struct body *b, ir_id id, enum level level)
{
    unsigned axis;
    enum ir_standing where = blocks_kept(g) ? ir_stands(g->ir, id, &axis) : STANDS_NOT;
    if (where != STANDS_NOT)
        body_set(b, id, level, where == STANDS_THREAD ? b->thread[axis] : b->block[axis], NULL);
    return where != STANDS_NOT;
}

void body_node(struct gen *g, struct body *b, ir_id id, enum level level)
{
    const struct ir_node *n = ir_at(g->ir, id);
    if (emit_standing(g, b, id, level))
        return;
    enum dtype from = n->n_args ? ir_at(g->ir, n->args[0])->dtype : DT_none;
    switch (n->op) {
    case OP_const:
    case OP_carry:
    case OP_tie:
    case OP_shared: /* made before any thread runs */
        break;
    case OP_layout: /* of a shared array: gather.c knows where that is */
        break;
    case OP_barrier:
        gpu_barrier(g);
        break;
    case OP_within:
        within_emit(g, b, id, level);
        break;
    case OP_gather:
        gather_emit(g, b, id, level);
        break;
    case OP_memory:
        body_set(b, id, level, body_value(g, b, n->args[0]), body_fault_of(g, b, n->args[0]));
        break;
    case OP_update:
        update_emit(g, b, id, level);
        break;
    case OP_loop:
        loop_emit(g, b, id, level);
        break;
    case OP_result:
        body_set(b, id, level, body_value(g, b, (ir_id)n->attr), body_fault_of(g, b, n->args[0]));
        break;
    case OP_cast:
        body_set(b, id, level, gen_cast(g, body_value(g, b, n->args[0]), from, n->dtype), body_fault_of(g, b, n->args[0]));
        break;
    case OP_bitcast:
        body_set(b, id, level, bitcast(g, body_value(g, b, n->args[0]), n, from), body_fault_of(g, b, n->args[0]));
        break;
    case OP_table:
        table_emit(g, b, id, level);
        break;
    case OP_rarely:
        rarely_emit(g, b, id, level);
        break;
    default:
        emit_prim(g, b, id, level);
    }
}

void body_region(struct gen *g, struct body *b, uint32_t region, enum level level)
{
    for (uint32_t i = 0; i < b->source->order.n; i++) {
        ir_id id = b->source->order.at[i];
        if (b->level[id] == level && ir_at(g->ir, id)->region == region && !keep_has(b, id))
            body_node(g, b, id, level);
    }
}

static void load_level(struct gen *g, struct body *b, enum level level)
{
    for (uint32_t i = 0; i < b->n_loads; i++) {
        struct view *v = &b->loads[i];
        ir_id id = v->access->value;
        if (b->level[id] != level)
            continue;
        if (v->cls == CLASS_VALUE)
            b->low[id] = value_in_slot(g, v);
        else
            b->low[id] = load_scalar(g, v, v->cls == CLASS_UNIFORM ? gen_slot_ptr(g, v->slot) : v->row);
    }
}

void body_uniform(struct gen *g, struct body *b)
{
    b->w = 1;
    load_level(g, b, LEVEL_UNIFORM);
    body_region(g, b, 0, LEVEL_UNIFORM);
}

void body_row_values(struct gen *g, struct body *b)
{
    b->w = 1;
    memset(&b->row, 0, sizeof b->row);
    memset(b->lane, 0, g->ir->nodes.n * sizeof *b->lane);
    memset(b->lane_fault, 0, g->ir->nodes.n * sizeof *b->lane_fault);
    load_level(g, b, LEVEL_ROW);
    body_region(g, b, 0, LEVEL_ROW);
}

/* ---- a reduced sequence that runs over several rows ---- */

/* Byte offset of element `sequence` of the reduced dims. */
static val sequence_offset(struct gen *g, const struct view *v, val sequence)
{
    val index[LOOP_MAX_RANK] = {NULL};
    unravel(g, sequence, g->nest->n_kept, g->nest->rank, index);
    return row_offset(g, v, index, g->nest->n_kept, g->nest->rank);
}

static val gather(struct gen *g, const struct view *v, val sequence, unsigned w)
{
    struct ll *l = &g->l;
    val out = w == 1 ? NULL : LLVMGetPoison(ll_vec(gen_type(g, v->access->dtype), w));
    for (unsigned i = 0; i < w; i++) {
        val at = ll_offset(l, v->row, sequence_offset(g, v, ll_add(l, sequence, ll_i64(l, i))));
        val x = load_scalar(g, v, at);
        out = w == 1 ? x : ll_insert(l, out, x, i);
    }
    return out;
}

/* All w elements in one row: one vector load. Else: element by element. */
static void load_sequence(struct gen *g, struct body *b, const struct where *at)
{
    struct ll *l = &g->l;
    val n = gen_slot(g, g->slots.extents + g->nest->rank - 1);
    val c = ll_rem(l, at->sequence, n);
    val fits = ll_le(l, ll_add(l, c, ll_i64(l, b->w)), n);
    block one = ll_block(l, "one_row"), many = ll_block(l, "rows"), join = ll_block(l, "loaded");
    val *first = arena_array(g->arena, val, b->n_loads + 1);
    ll_cond(l, fits, one, many);
    ll_at(l, one);
    for (uint32_t i = 0; i < b->n_loads; i++)
        if (b->level[b->loads[i].access->value] == LEVEL_LANE) {
            struct view row = b->loads[i];
            row.row = ll_offset(l, row.row, sequence_offset(g, &row, ll_sub(l, at->sequence, c)));
            if (row.cls == CLASS_ALIGNED) /* rows are, and the sequence meets them anywhere */
                row.cls = CLASS_UNIT;
            first[i] = load_vector(g, b, &row, &(struct where){.inner = c}, b->w);
        }
    block one_end = ll_here(l);
    ll_br(l, join);
    ll_at(l, many);
    for (uint32_t i = 0; i < b->n_loads; i++)
        if (b->level[b->loads[i].access->value] == LEVEL_LANE)
            b->lane[b->loads[i].access->value] = gather(g, &b->loads[i], at->sequence, b->w);
    block many_end = ll_here(l);
    ll_br(l, join);
    ll_at(l, join);
    for (uint32_t i = 0; i < b->n_loads; i++) {
        ir_id id = b->loads[i].access->value;
        if (b->level[id] != LEVEL_LANE)
            continue;
        val v = ll_phi(l, LLVMTypeOf(first[i]), first[i], one_end);
        ll_phi_add(v, b->lane[id], many_end);
        b->lane[id] = v;
    }
}

static void forget_lanes(struct gen *g, struct body *b, unsigned w)
{
    b->w = w;
    memset(&b->row, 0, sizeof b->row);
    memset(b->lane, 0, g->ir->nodes.n * sizeof *b->lane);
    memset(b->lane_fault, 0, g->ir->nodes.n * sizeof *b->lane_fault);
}

static bool is_loaded(const struct body *b, const struct view *v)
{
    return b->level[v->access->value] == LEVEL_LANE && !keep_has(b, v->access->value);
}

static void load_lanes(struct gen *g, struct body *b, const struct where *at, unsigned w)
{
    for (uint32_t i = 0; i < b->n_loads; i++)
        if (is_loaded(b, &b->loads[i]))
            b->lane[b->loads[i].access->value] = is_index(g, &b->loads[i]) ? thread_index(g, b, &b->loads[i]) : load_vector(g, b, &b->loads[i], at, w);
}

void body_lane_loads(struct gen *g, struct body *b, const struct where *at, unsigned w)
{
    forget_lanes(g, b, w);
    load_lanes(g, b, at, w);
}

void body_lanes(struct gen *g, struct body *b, const struct where *at, unsigned w)
{
    forget_lanes(g, b, w);
    if (at->sequence) {
        if (w > 1)
            load_sequence(g, b, at);
        else
            for (uint32_t i = 0; i < b->n_loads; i++)
                if (is_loaded(b, &b->loads[i]))
                    b->lane[b->loads[i].access->value] = gather(g, &b->loads[i], at->sequence, 1);
    } else {
        load_lanes(g, b, at, w);
    }
    if (b->taken)
        keep_take(g, b, at, w);
    body_region(g, b, 0, LEVEL_LANE);
    if (at->position)
        keep_put(g, b, at);
}

void body_stores(struct gen *g, struct body *b, const struct where *at)
{
    struct ll *l = &g->l;
    for (uint32_t i = 0; i < b->n_stores; i++) {
        struct view *v = &b->stores[i];
        ir_id id = v->access->value;
        val x = body_value(g, b, id);
        if (type_table[v->access->dtype].cls == CLASS_FLOAT && !rarely_gives_the_one_nan(g->ir, id))
            x = gen_canonical_nan(g, x, (enum dtype)v->access->dtype);
        if (!at->sequence)
            store_vector(g, b, v, at, x, b->w);
        else
            for (unsigned k = 0; k < b->w; k++)
                store_scalar(g, v, ll_offset(l, v->row, sequence_offset(g, v, ll_add(l, at->sequence, ll_i64(l, k)))), ll_extract(l, x, k));
        gen_raise(g, body_fault_of(g, b, id));
    }
}

void gen_raise(struct gen *g, val fault)
{
    struct ll *l = &g->l;
    if (!fault)
        return;
    val any = ll_width(fault) == 1 ? fault : ll_intrinsic1(l, "llvm.vector.reduce.or", fault);
    struct branch b = gen_if(g, LLVMBuildICmp(l->b, LLVMIntNE, any, LLVMConstNull(l->i8), ""));
    LLVMBuildAtomicRMW(l->b, LLVMAtomicRMWBinOpOr, gen_slot_ptr(g, g->slots.faults), LLVMBuildZExt(l->b, any, l->i32, ""),
                       LLVMAtomicOrderingMonotonic, 0);
    gen_if_end(g, &b);
}
