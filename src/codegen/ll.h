/*
 * Thin helpers over LLVM's C API, so that emission reads like assembly. What differs between LLVM versions belongs
 * here. LLVM 22.
 */
#ifndef AREX_CODEGEN_LL_H
#define AREX_CODEGEN_LL_H
#include <llvm-c/Core.h>
#include <string.h>

typedef LLVMValueRef val;
typedef LLVMTypeRef type;
typedef LLVMBasicBlockRef block;

enum { LL_MOST_LANES = 64 }; /* elements of a vector: a register of bytes, or several registers of what is longer */

struct ll {
    LLVMContextRef ctx;
    LLVMModuleRef mod;
    LLVMBuilderRef b;
    val fn; /* the function being emitted */
    type i1, i8, i32, i64, f32, f64, ptr;
};

static inline val ll_i64(struct ll *l, int64_t v)
{
    return LLVMConstInt(l->i64, (uint64_t)v, 1);
}

static inline val ll_i32(struct ll *l, int32_t v)
{
    return LLVMConstInt(l->i32, (uint64_t)(int64_t)v, 1);
}

static inline block ll_block(struct ll *l, const char *name)
{
    return LLVMAppendBasicBlockInContext(l->ctx, l->fn, name);
}

static inline void ll_at(struct ll *l, block b)
{
    LLVMPositionBuilderAtEnd(l->b, b);
}

static inline block ll_here(struct ll *l)
{
    return LLVMGetInsertBlock(l->b);
}

static inline val ll_add(struct ll *l, val a, val b)
{
    return LLVMBuildAdd(l->b, a, b, "");
}

static inline val ll_sub(struct ll *l, val a, val b)
{
    return LLVMBuildSub(l->b, a, b, "");
}

static inline val ll_mul(struct ll *l, val a, val b)
{
    return LLVMBuildMul(l->b, a, b, "");
}

/* Indices are never negative: unsigned division is the cheaper one. */
static inline val ll_div(struct ll *l, val a, val b)
{
    return LLVMBuildUDiv(l->b, a, b, "");
}

static inline val ll_rem(struct ll *l, val a, val b)
{
    return LLVMBuildURem(l->b, a, b, "");
}

static inline val ll_lt(struct ll *l, val a, val b)
{
    return LLVMBuildICmp(l->b, LLVMIntSLT, a, b, "");
}

static inline val ll_le(struct ll *l, val a, val b)
{
    return LLVMBuildICmp(l->b, LLVMIntSLE, a, b, "");
}

static inline val ll_eq(struct ll *l, val a, val b)
{
    return LLVMBuildICmp(l->b, LLVMIntEQ, a, b, "");
}

static inline val ll_select(struct ll *l, val c, val a, val b)
{
    if (LLVMIsConstant(c) && (LLVMIsNull(c) || c == LLVMConstAllOnes(LLVMTypeOf(c))))
        return LLVMIsNull(c) ? b : a;
    return LLVMBuildSelect(l->b, c, a, b, "");
}

static inline val ll_min(struct ll *l, val a, val b)
{
    return ll_select(l, ll_lt(l, a, b), a, b);
}

static inline val ll_phi(struct ll *l, type t, val from, block in)
{
    val p = LLVMBuildPhi(l->b, t, "");
    LLVMAddIncoming(p, &from, &in, 1);
    return p;
}

static inline void ll_phi_add(val phi, val from, block in)
{
    LLVMAddIncoming(phi, &from, &in, 1);
}

static inline void ll_br(struct ll *l, block to)
{
    LLVMBuildBr(l->b, to);
}

static inline void ll_cond(struct ll *l, val c, block yes, block no)
{
    LLVMBuildCondBr(l->b, c, yes, no);
}

/* Yes is so rare that its code may lie far away. */
static inline void ll_cond_rarely(struct ll *l, val c, block yes, block no)
{
    val branch = LLVMBuildCondBr(l->b, c, yes, no);
    LLVMMetadataRef weights[] = {LLVMMDStringInContext2(l->ctx, "branch_weights", 14), LLVMValueAsMetadata(ll_i32(l, 1)),
                                 LLVMValueAsMetadata(ll_i32(l, 1 << 16))};
    LLVMSetMetadata(branch, LLVMGetMDKindIDInContext(l->ctx, "prof", 4), LLVMMetadataAsValue(l->ctx, LLVMMDNodeInContext2(l->ctx, weights, 3)));
}

static inline type ll_vec(type t, unsigned w)
{
    return w == 1 ? t : LLVMVectorType(t, w);
}

static inline unsigned ll_width(val v)
{
    type t = LLVMTypeOf(v);
    return LLVMGetTypeKind(t) == LLVMVectorTypeKind ? LLVMGetVectorSize(t) : 1;
}

static inline type ll_scalar(type t)
{
    return LLVMGetTypeKind(t) == LLVMVectorTypeKind ? LLVMGetElementType(t) : t;
}

static inline val ll_splat(struct ll *l, val v, unsigned w)
{
    if (w == 1)
        return v;
    if (LLVMIsConstant(v)) {
        val e[LL_MOST_LANES];
        for (unsigned i = 0; i < w; i++)
            e[i] = v;
        return LLVMConstVector(e, w);
    }
    type t = LLVMVectorType(LLVMTypeOf(v), w);
    val one = LLVMBuildInsertElement(l->b, LLVMGetPoison(t), v, ll_i32(l, 0), "");
    return LLVMBuildShuffleVector(l->b, one, LLVMGetPoison(t), LLVMConstNull(LLVMVectorType(l->i32, w)), "");
}

static inline val ll_extract(struct ll *l, val v, unsigned i)
{
    return ll_width(v) == 1 ? v : LLVMBuildExtractElement(l->b, v, ll_i32(l, (int)i), "");
}

static inline val ll_insert(struct ll *l, val v, val e, unsigned i)
{
    return ll_width(v) == 1 ? e : LLVMBuildInsertElement(l->b, v, e, ll_i32(l, (int)i), "");
}

/* Elements from..from + n of a vector. */
static inline val ll_part(struct ll *l, val v, unsigned from, unsigned n)
{
    if (n == 1)
        return ll_extract(l, v, from);
    val idx[LL_MOST_LANES];
    for (unsigned i = 0; i < n; i++)
        idx[i] = ll_i32(l, (int)(from + i));
    return LLVMBuildShuffleVector(l->b, v, LLVMGetPoison(LLVMTypeOf(v)), LLVMConstVector(idx, n), "");
}

/* Calls the intrinsic `name` overloaded on the types; result as LLVM says. */
static inline val ll_intrinsic(struct ll *l, const char *name, type *over, unsigned n_over, val *args, unsigned n)
{
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    val f = LLVMGetIntrinsicDeclaration(l->mod, id, over, n_over);
    return LLVMBuildCall2(l->b, LLVMIntrinsicGetType(l->ctx, id, over, n_over), f, args, n, "");
}

static inline val ll_intrinsic1(struct ll *l, const char *name, val a)
{
    type t = LLVMTypeOf(a);
    return ll_intrinsic(l, name, &t, 1, &a, 1);
}

/* Of float64, alone or in a vector? */
static inline bool ll_is_wide(const struct ll *l, val v)
{
    return ll_scalar(LLVMTypeOf(v)) == l->f64;
}

/* A load of what never changes. */
static inline val ll_invariant(struct ll *l, val load)
{
    val none = LLVMMetadataAsValue(l->ctx, LLVMMDNodeInContext2(l->ctx, NULL, 0));
    LLVMSetMetadata(load, LLVMGetMDKindIDInContext(l->ctx, "invariant.load", 14), none);
    return load;
}

static inline val ll_fma(struct ll *l, val a, val b, val c)
{
    type t = LLVMTypeOf(a);
    val args[] = {a, b, c};
    return ll_intrinsic(l, "llvm.fma", &t, 1, args, 3);
}

/* v in all lanes of something like `like` */
static inline val ll_real(struct ll *l, val like, double v)
{
    return ll_splat(l, LLVMConstReal(ll_scalar(LLVMTypeOf(like)), v), ll_width(like));
}

/* Two vectors of one width, one after the other. */
static inline val ll_join(struct ll *l, val low, val high)
{
    val idx[LL_MOST_LANES];
    unsigned n = 2 * ll_width(low);
    for (unsigned i = 0; i < n; i++)
        idx[i] = ll_i32(l, (int)i);
    return LLVMBuildShuffleVector(l->b, low, high, LLVMConstVector(idx, n), "");
}

/* base + offset bytes */
static inline val ll_offset(struct ll *l, val base, val bytes)
{
    return LLVMBuildGEP2(l->b, l->i8, base, &bytes, 1, "");
}

#endif
