/* What only a GPU has: thread and block indices, barriers, shuffles within a warp, shared memory. */
#include "gen.h"

static val special_register(struct gen *g, const char *name)
{
    val v = ll_intrinsic(&g->l, name, NULL, 0, NULL, 0);
    return LLVMBuildZExt(g->l.b, v, g->l.i64, "");
}

#define REGISTER(fn, sreg)                                                                                   \
    val fn(struct gen *g, enum axis a)                                                                       \
    {                                                                                                        \
        return special_register(g, a == AXIS_X   ? "llvm.nvvm.read.ptx.sreg." sreg ".x"                      \
                                   : a == AXIS_Y ? "llvm.nvvm.read.ptx.sreg." sreg ".y"                      \
                                                 : "llvm.nvvm.read.ptx.sreg." sreg ".z");                    \
    }

REGISTER(gpu_thread, "tid")
REGISTER(gpu_block, "ctaid")
REGISTER(gpu_block_size, "ntid")
REGISTER(gpu_grid_size, "nctaid")

void gpu_barrier(struct gen *g)
{
    val id = ll_i32(&g->l, 0);
    ll_intrinsic(&g->l, "llvm.nvvm.barrier.cta.sync.aligned.all", NULL, 0, &id, 1);
}

static val shuffle_word(struct gen *g, val v, unsigned mask)
{
    val args[] = {ll_i32(&g->l, -1), v, ll_i32(&g->l, (int)mask), ll_i32(&g->l, 31)};
    return ll_intrinsic(&g->l, "llvm.nvvm.shfl.sync.bfly.i32", NULL, 0, args, 4);
}

static val shuffle_double(struct gen *g, val v, unsigned mask)
{
    struct ll *l = &g->l;
    type pair = LLVMVectorType(l->i32, 2);
    val halves = LLVMBuildBitCast(l->b, v, pair, "");
    val out = halves;
    for (unsigned i = 0; i < 2; i++)
        out = ll_insert(l, out, shuffle_word(g, ll_extract(l, halves, i), mask), i);
    return LLVMBuildBitCast(l->b, out, LLVMTypeOf(v), "");
}

static val shuffle_scalar(struct gen *g, val v, unsigned mask, enum dtype t)
{
    struct ll *l = &g->l;
    if (type_table[t].size == 8)
        return shuffle_double(g, v, mask);
    if (type_table[t].cls == CLASS_FLOAT) {
        val bits = LLVMBuildBitCast(l->b, v, l->i32, "");
        return LLVMBuildBitCast(l->b, shuffle_word(g, bits, mask), l->f32, "");
    }
    val wide = LLVMBuildZExtOrBitCast(l->b, v, l->i32, "");
    return LLVMBuildTruncOrBitCast(l->b, shuffle_word(g, wide, mask), LLVMTypeOf(v), "");
}

val gpu_shuffle_xor(struct gen *g, val v, unsigned mask, enum dtype t)
{
    val out = v;
    for (unsigned i = 0; i < ll_width(v); i++)
        out = ll_insert(&g->l, out, shuffle_scalar(g, ll_extract(&g->l, v, i), mask, t), i);
    return out;
}

enum { SHARED = 3 }; /* the address space */

val gpu_launch_memory(struct gen *g, unsigned alignment)
{
    val v = LLVMAddGlobalInAddressSpace(g->l.mod, LLVMArrayType2(g->l.i8, 0), "row", SHARED);
    LLVMSetAlignment(v, alignment);
    return v;
}

val gpu_shared(struct gen *g, type t, unsigned n)
{
    type array = LLVMArrayType2(t, n);
    val v = LLVMAddGlobalInAddressSpace(g->l.mod, array, "shared", SHARED);
    LLVMSetLinkage(v, LLVMInternalLinkage);
    LLVMSetInitializer(v, LLVMGetUndef(array));
    LLVMSetAlignment(v, 16);
    return v;
}
