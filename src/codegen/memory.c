/* Values laid down in memory of the function's own, to be met element by element. */
#include "gen.h"

val gen_lay_down(struct gen *g, val v, enum dtype t)
{
    type element = gen_memory_type(g, t);
    val memory = gen_alloca(g, element, ll_width(v));
    LLVMSetAlignment(LLVMBuildStore(g->l.b, gen_to_memory(g, v, t), memory), type_table[t].size);
    return memory;
}

static val element_at(struct gen *g, val memory, val k, enum dtype t)
{
    return ll_offset(&g->l, memory, ll_mul(&g->l, k, ll_i64(&g->l, type_table[t].size)));
}

val gen_take_up(struct gen *g, val memory, val k, enum dtype t)
{
    val raw = LLVMBuildLoad2(g->l.b, gen_memory_type(g, t), element_at(g, memory, k, t), "");
    LLVMSetAlignment(raw, type_table[t].size);
    return gen_from_memory(g, raw, t);
}

void gen_put(struct gen *g, val memory, val k, enum dtype t, val v)
{
    LLVMSetAlignment(LLVMBuildStore(g->l.b, gen_to_memory(g, v, t), element_at(g, memory, k, t)), type_table[t].size);
}

val gen_whole(struct gen *g, val memory, unsigned w, enum dtype t)
{
    val raw = LLVMBuildLoad2(g->l.b, ll_vec(gen_memory_type(g, t), w), memory, "");
    LLVMSetAlignment(raw, type_table[t].size);
    return gen_from_memory(g, raw, t);
}
