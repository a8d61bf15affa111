/* Elements by index: the check of an index, the load, and what kernels do to memory. */
#include <stddef.h>
#include "gen.h"

static val splat_i64(struct gen *g, uint64_t v, unsigned w)
{
    return ll_splat(&g->l, LLVMConstInt(g->l.i64, v, 0), w);
}

/* The key of struct ir_faults for indices that are out of range: the largest stays. */
static void remember(struct gen *g, ir_id check, val bad, val index)
{
    struct ll *l = &g->l;
    unsigned w = ll_width(index);
    const int64_t most = INT64_C(1) << (FAULT_KEY_INDEX_BITS - 1);
    val low = splat_i64(g, (uint64_t)-most, w), high = splat_i64(g, (uint64_t)most - 1, w);
    index = ll_select(l, LLVMBuildICmp(l->b, LLVMIntSLT, index, low, ""), low, index);
    index = ll_select(l, LLVMBuildICmp(l->b, LLVMIntSGT, index, high, ""), high, index);
    val key = ll_add(l, index, splat_i64(g, ir_fault_key(check, 0), w));
    key = ll_select(l, bad, key, splat_i64(g, 0, w));
    if (w > 1)
        key = ll_intrinsic1(l, "llvm.vector.reduce.umax", key);
    val at = ll_offset(l, gen_slot_ptr(g, g->slots.faults), ll_i64(l, offsetof(struct ir_faults, index)));
    LLVMBuildAtomicRMW(l->b, LLVMAtomicRMWBinOpUMax, at, key, LLVMAtomicOrderingMonotonic, 0);
}

/* Out of the way of the usual path: what is bad becomes 0 and a fault. */
void within_emit(struct gen *g, struct body *b, ir_id id, enum level level)
{
    struct ll *l = &g->l;
    const struct ir_node *n = ir_at(g->ir, id);
    val index = body_value(g, b, n->args[0]), extent = body_value(g, b, n->args[1]), zero = LLVMConstNull(LLVMTypeOf(index));
    val at = ll_select(l, LLVMBuildICmp(l->b, LLVMIntSLT, index, zero, ""), ll_add(l, index, extent), index);
    val bad = LLVMBuildICmp(l->b, LLVMIntUGE, at, extent, ""), none = LLVMConstNull(ll_vec(l->i8, b->w));
    block here = ll_here(l);
    struct branch out = gen_if(g, prim_any(g, bad));
    remember(g, id, bad, index);
    val mended = ll_select(l, bad, zero, at), raised = ll_select(l, bad, ll_splat(l, LLVMConstInt(l->i8, FAULT_INDEX, 0), b->w), none);
    block from = ll_here(l);
    gen_if_end(g, &out);
    val v = ll_phi(l, LLVMTypeOf(at), at, here), fault = ll_phi(l, LLVMTypeOf(none), none, here);
    ll_phi_add(v, mended, from);
    ll_phi_add(fault, raised, from);
    body_set(b, id, level, v, prim_or_fault(g, fault, body_fault_of(g, b, n->args[0])));
}

/* The element, for lane i, at the offset in bytes in the array whose OP_layout `address` is. */
static val element_at(struct gen *g, struct body *b, ir_id address, ir_id offset, unsigned i)
{
    ir_id memory = ir_at(g->ir, address)->args[0];
    val bytes = body_value(g, b, offset);
    if (ir_is_own(g->ir, memory) && b->turn)
        bytes = ll_add(&g->l, bytes, ll_mul(&g->l, *b->turn, ll_i64(&g->l, 8 * (int64_t)blocks_shared_words(g, memory))));
    if (ir_at(g->ir, memory)->op == OP_shared)
        return ll_offset(&g->l, b->shared[memory], ll_extract(&g->l, bytes, i));
    return gen_ptr(g, ll_extract(&g->l, ll_add(&g->l, body_value(g, b, address), bytes), i));
}

void gather_emit(struct gen *g, struct body *b, ir_id id, enum level level)
{
    struct ll *l = &g->l;
    const struct ir_node *n = ir_at(g->ir, id);
    enum dtype t = (enum dtype)n->dtype;
    val out = b->w == 1 ? NULL : LLVMGetPoison(ll_vec(gen_memory_type(g, t), b->w));
    for (unsigned i = 0; i < b->w; i++) {
        val x = LLVMBuildLoad2(l->b, gen_memory_type(g, t), element_at(g, b, n->args[0], n->args[1], i), "");
        LLVMSetAlignment(x, type_table[t].size);
        out = b->w == 1 ? x : ll_insert(l, out, x, i);
    }
    body_set(b, id, level, gen_from_memory(g, out, t), body_fault_of(g, b, n->args[1]));
}

/* libNVVM's dialect has no atomic extreme of floats: what is there is read, and replaced if it is still the same. */
static val extreme_by_exchange(struct gen *g, enum update kind, enum dtype t, val at, val value)
{
    struct ll *l = &g->l;
    type bits = LLVMIntTypeInContext(l->ctx, 8u * type_table[t].size);
    val first = LLVMBuildLoad2(l->b, bits, at, "");
    LLVMSetAlignment(first, type_table[t].size);
    block here = ll_here(l), again = ll_block(l, "exchange"), done = ll_block(l, "exchanged");
    ll_br(l, again);
    ll_at(l, again);
    val was = ll_phi(l, bits, first, here), fault = NULL;
    val args[3] = {LLVMBuildBitCast(l->b, was, gen_type(g, t), ""), value};
    val next = gen_canonical_nan(g, prim_emit(g, kind == UPDATE_MIN ? PRIM_fminimum : PRIM_fmaximum, t, args, &fault), t);
    val x = LLVMBuildAtomicCmpXchg(l->b, at, was, LLVMBuildBitCast(l->b, next, bits, ""), LLVMAtomicOrderingMonotonic, LLVMAtomicOrderingMonotonic, 0);
    val found = LLVMBuildExtractValue(l->b, x, 0, "");
    ll_phi_add(was, found, ll_here(l));
    ll_cond(l, ll_eq(l, found, was), done, again);
    ll_at(l, done);
    return LLVMBuildBitCast(l->b, found, LLVMTypeOf(value), "");
}

static val change(struct gen *g, enum update kind, enum dtype t, val at, val value, val compare)
{
    static const LLVMAtomicRMWBinOp ops[3][UPDATE_CAS] = {
        {[UPDATE_ADD] = LLVMAtomicRMWBinOpAdd, [UPDATE_MIN] = LLVMAtomicRMWBinOpMin, [UPDATE_MAX] = LLVMAtomicRMWBinOpMax},
        {[UPDATE_ADD] = LLVMAtomicRMWBinOpAdd, [UPDATE_MIN] = LLVMAtomicRMWBinOpUMin, [UPDATE_MAX] = LLVMAtomicRMWBinOpUMax},
        {[UPDATE_ADD] = LLVMAtomicRMWBinOpFAdd, [UPDATE_MIN] = LLVMAtomicRMWBinOpFMinimum, [UPDATE_MAX] = LLVMAtomicRMWBinOpFMaximum}};
    struct ll *l = &g->l;
    unsigned sign = type_table[t].cls == CLASS_FLOAT ? 2 : type_table[t].cls == CLASS_UINT;
    val x;
    if (kind == UPDATE_STORE) {
        x = LLVMBuildStore(l->b, value, at);
        LLVMSetAlignment(x, type_table[t].size);
        return value;
    }
    if (kind == UPDATE_CAS) {
        type bits = LLVMIntTypeInContext(l->ctx, 8u * type_table[t].size);
        x = LLVMBuildAtomicCmpXchg(l->b, at, LLVMBuildBitCast(l->b, compare, bits, ""), LLVMBuildBitCast(l->b, value, bits, ""), LLVMAtomicOrderingMonotonic,
                                   LLVMAtomicOrderingMonotonic, 0);
        return LLVMBuildBitCast(l->b, LLVMBuildExtractValue(l->b, x, 0, ""), LLVMTypeOf(value), "");
    }
    if (sign == 2 && kind != UPDATE_ADD && g->gpu && g->target->generator == GENERATOR_NVVM)
        return extreme_by_exchange(g, kind, t, at, value);
    return LLVMBuildAtomicRMW(l->b, ops[sign][kind], at, value, LLVMAtomicOrderingMonotonic, 0);
}

/* For what was there; 0 where a thread does nothing. */
static val room_for(struct gen *g, enum dtype t)
{
    val room = gen_alloca(g, gen_memory_type(g, t), 1);
    LLVMBuildStore(g->l.b, LLVMConstNull(gen_memory_type(g, t)), room);
    return room;
}

static val is_clear(struct gen *g, val fault)
{
    val bad = LLVMBuildAnd(g->l.b, fault, LLVMConstInt(g->l.i8, FAULT_INDEX, 0), "");
    return LLVMBuildICmp(g->l.b, LLVMIntEQ, bad, LLVMConstNull(g->l.i8), "");
}

static val gen_canonical(struct gen *g, val v, enum dtype t)
{
    return type_table[t].cls == CLASS_FLOAT ? gen_canonical_nan(g, v, t) : v;
}

void update_emit(struct gen *g, struct body *b, ir_id id, enum level level)
{
    struct ll *l = &g->l;
    const struct ir_node *n = ir_at(g->ir, id);
    enum dtype t = (enum dtype)n->dtype;
    enum update kind = (enum update)(n->attr & 0xff);
    ir_id tied[4] = {0};
    val fault = NULL, was = NULL;
    for (unsigned k = 0; k < (kind == UPDATE_CAS ? 4 : 3); k++) {
        tied[k] = ir_tied(g->ir, n->args[1], k);
        fault = prim_or_fault(g, fault, k == 2 ? NULL : body_fault_of(g, b, tied[k]));
    }
    val value = gen_canonical(g, body_value(g, b, tied[1]), t), room = kind == UPDATE_STORE ? NULL : room_for(g, t);
    gen_raise(g, body_fault_of(g, b, tied[2])); /* of the conditions that lead here */
    struct branch comes = gen_if(g, body_value(g, b, tied[2]));
    gen_raise(g, fault);
    struct branch does = gen_if(g, fault ? is_clear(g, fault) : LLVMConstInt(l->i1, 1, 0));
    val at = element_at(g, b, n->args[0], tied[0], 0);
    was = change(g, kind, t, at, gen_to_memory(g, value, t), tied[3] ? gen_to_memory(g, body_value(g, b, tied[3]), t) : NULL);
    if (room)
        LLVMBuildStore(l->b, was, room);
    gen_if_end(g, &does);
    gen_if_end(g, &comes);
    body_set(b, id, level, room ? gen_from_memory(g, LLVMBuildLoad2(l->b, gen_memory_type(g, t), room, ""), t) : value, NULL);
}
