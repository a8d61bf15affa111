/* Elements by index: the check of an index, and the load. */
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
    struct branch b = gen_if(g, prim_any(g, bad));
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
    gen_if_end(g, &b);
}

void within_emit(struct gen *g, struct body *b, ir_id id, enum level level)
{
    struct ll *l = &g->l;
    const struct ir_node *n = ir_at(g->ir, id);
    val index = body_value(g, b, n->args[0]), extent = body_value(g, b, n->args[1]), zero = LLVMConstNull(LLVMTypeOf(index));
    val at = ll_select(l, LLVMBuildICmp(l->b, LLVMIntSLT, index, zero, ""), ll_add(l, index, extent), index);
    val bad = LLVMBuildICmp(l->b, LLVMIntUGE, at, extent, "");
    val none = LLVMConstNull(ll_vec(l->i8, b->w)), raised = ll_splat(l, LLVMConstInt(l->i8, FAULT_INDEX, 0), b->w);
    remember(g, id, bad, index);
    body_set(b, id, level, ll_select(l, bad, zero, at), prim_or_fault(g, ll_select(l, bad, raised, none), body_fault_of(g, b, n->args[0])));
}

/* Where nothing is there, every index was out of range: what is read then, from where faults are kept, is seen by nobody. */
void gather_emit(struct gen *g, struct body *b, ir_id id, enum level level)
{
    struct ll *l = &g->l;
    const struct ir_node *n = ir_at(g->ir, id);
    enum dtype t = (enum dtype)n->dtype;
    val offset = body_value(g, b, n->args[1]), out = b->w == 1 ? NULL : LLVMGetPoison(ll_vec(gen_memory_type(g, t), b->w));
    val address = body_value(g, b, n->args[0]), count = body_value(g, b, n->args[2]);
    val there = LLVMBuildICmp(l->b, LLVMIntNE, count, LLVMConstNull(LLVMTypeOf(count)), "");
    val at = ll_select(l, there, ll_add(l, address, offset), ll_splat(l, gen_slot(g, g->slots.faults), b->w));
    for (unsigned i = 0; i < b->w; i++) {
        val x = LLVMBuildLoad2(l->b, gen_memory_type(g, t), gen_ptr(g, ll_extract(l, at, i)), "");
        LLVMSetAlignment(x, type_table[t].size);
        out = b->w == 1 ? x : ll_insert(l, out, x, i);
    }
    body_set(b, id, level, gen_from_memory(g, out, t), body_fault_of(g, b, n->args[1]));
}
