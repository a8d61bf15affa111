/* Element types in LLVM: as values, in memory, as constants, converted. */
#include "gen.h"

type gen_type(struct gen *g, enum dtype t)
{
    switch (type_table[t].cls) {
    case CLASS_BOOL:
        return g->l.i1;
    case CLASS_FLOAT:
        if (type_is_storage(t))
            return LLVMIntTypeInContext(g->l.ctx, 8u * type_table[t].size);
        return type_table[t].size == 4 ? g->l.f32 : g->l.f64;
    default:
        return LLVMIntTypeInContext(g->l.ctx, 8u * type_table[t].size);
    }
}

type gen_memory_type(struct gen *g, enum dtype t)
{
    return t == DT_bool ? g->l.i8 : gen_type(g, t);
}

static type like(type t, val v)
{
    return ll_vec(t, ll_width(v));
}

val gen_from_memory(struct gen *g, val v, enum dtype t)
{
    if (t != DT_bool)
        return v;
    return LLVMBuildICmp(g->l.b, LLVMIntNE, v, LLVMConstNull(LLVMTypeOf(v)), "");
}

val gen_to_memory(struct gen *g, val v, enum dtype t)
{
    return t == DT_bool ? LLVMBuildZExt(g->l.b, v, like(g->l.i8, v), "") : v;
}

val gen_const(struct gen *g, enum dtype t, uint64_t bits)
{
    if (type_table[t].cls != CLASS_FLOAT || type_is_storage(t))
        return LLVMConstInt(gen_type(g, t), t == DT_bool ? bits & 1 : bits, 0);
    type raw = LLVMIntTypeInContext(g->l.ctx, 8u * type_table[t].size);
    return LLVMConstBitCast(LLVMConstInt(raw, bits, 0), gen_type(g, t));
}

static val new_global(struct gen *g, val v, const char *name, unsigned align)
{
    enum { GLOBAL = 1 }; /* of a GPU's memories */
    val made = LLVMAddGlobalInAddressSpace(g->l.mod, LLVMTypeOf(v), name, g->gpu ? GLOBAL : 0);
    LLVMSetInitializer(made, v);
    LLVMSetGlobalConstant(made, 1);
    LLVMSetLinkage(made, LLVMPrivateLinkage);
    LLVMSetUnnamedAddress(made, LLVMGlobalUnnamedAddr);
    LLVMSetAlignment(made, align);
    return made;
}

val gen_global(struct gen *g, val v, const char *name, unsigned align)
{
    for (val other = LLVMGetFirstGlobal(g->l.mod); other; other = LLVMGetNextGlobal(other))
        if (LLVMGetInitializer(other) == v)
            return other;
    return new_global(g, v, name, align);
}

/*
 * AVX2's instructions take a whole vector from memory for nothing, but not one element for all lanes, which is what the
 * backend makes of constant vectors: a load each, in long functions one for every step. (AVX-512's take that too.)
 * Each use has a place of its own: one that stands for several would be loaded into a register first.
 */
val gen_in_memory(struct gen *g, val v)
{
    type t = LLVMTypeOf(v);
    unsigned bits = ll_width(v) * (ll_scalar(t) == g->l.f64 ? 64 : 32);
    if (g->gpu || g->target->vector_bits != 256 || bits < 256 || !LLVMIsConstant(v))
        return v;
    val loaded = LLVMBuildLoad2(g->l.b, t, new_global(g, v, "constant", 32), "");
    LLVMSetAlignment(loaded, 32);
    return ll_invariant(&g->l, loaded);
}

static val nan_of(struct gen *g, val v)
{
    bool wide = ll_scalar(LLVMTypeOf(v)) == g->l.f64;
    val one = wide ? gen_const(g, DT_float64, UINT64_C(0x7ff8000000000000)) : gen_const(g, DT_float32, 0x7fc00000);
    return ll_splat(&g->l, one, ll_width(v));
}

val gen_by_class(struct gen *g, val v, val x, uint32_t classes)
{
    struct ll *l = &g->l;
    val table = LLVMConstInt(ll_is_wide(l, x) ? l->i64 : l->i32, classes, 0);
    return by_avx512(g, "fixupimm", (val[]){v, x, ll_splat(l, table, ll_width(x)), ll_i32(l, 0)}, 4);
}

/* One operation where AVX-512 has it, not two. */
static val canonical_register(struct gen *g, const val *v, void *unused)
{
    (void)unused;
    return gen_by_class(g, nan_of(g, *v), *v, BY_CLASS_ALL & ~(BY_CLASS(QUIET_NAN) | BY_CLASS(SIGNALING_NAN)));
}

val gen_canonical_nan(struct gen *g, val v, enum dtype t)
{
    if (type_is_storage(t))
        return half_canonical_nan(g, v, t);
    if (gen_has_avx512(g) && fills_registers(g, v) && !LLVMIsConstant(v))
        return by_registers(g, &v, 1, canonical_register, NULL);
    val is = LLVMBuildFCmp(g->l.b, LLVMRealUNO, v, v, "");
    return ll_select(&g->l, is, nan_of(g, v), v);
}

static val to_bool(struct gen *g, val v, enum dtype from)
{
    val zero = LLVMConstNull(LLVMTypeOf(v));
    if (type_table[from].cls == CLASS_FLOAT)
        return LLVMBuildFCmp(g->l.b, LLVMRealUNE, v, zero, "");
    return LLVMBuildICmp(g->l.b, LLVMIntNE, v, zero, "");
}

static val float_to_int(struct gen *g, val v, type to, bool is_signed)
{
    type over[] = {to, LLVMTypeOf(v)};
    return ll_intrinsic(&g->l, is_signed ? "llvm.fptosi.sat" : "llvm.fptoui.sat", over, 2, &v, 1);
}

static val int_to_int(struct gen *g, val v, enum dtype from, type to)
{
    if (type_table[from].cls == CLASS_INT)
        return LLVMBuildIntCast2(g->l.b, v, to, 1, "");
    return LLVMBuildIntCast2(g->l.b, v, to, 0, "");
}

val gen_cast(struct gen *g, val v, enum dtype from, enum dtype to)
{
    type t = like(gen_type(g, to), v);
    bool from_float = type_table[from].cls == CLASS_FLOAT, to_float = type_table[to].cls == CLASS_FLOAT;
    if (from == to)
        return v;
    if (type_is_storage(from))
        return gen_cast(g, half_widen(g, v, from), DT_float32, to);
    if (type_is_storage(to) && from == DT_float64)
        return half_narrow(g, half_odd(g, v), to);
    if (type_is_storage(to))
        return half_narrow(g, gen_cast(g, v, from, DT_float32), to);
    if (to == DT_bool)
        return to_bool(g, v, from);
    if (from_float && to_float)
        return LLVMBuildFPCast(g->l.b, v, t, "");
    if (from_float)
        return float_to_int(g, v, t, type_table[to].cls == CLASS_INT);
    if (to_float)
        return type_table[from].cls == CLASS_INT ? LLVMBuildSIToFP(g->l.b, v, t, "") : LLVMBuildUIToFP(g->l.b, v, t, "");
    return int_to_int(g, v, from, t);
}
