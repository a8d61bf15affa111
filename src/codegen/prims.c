/*
 * The primitives of grammar/prims.def in LLVM IR, one function each, found through a table made from that list.
 * Each works at any width. What LLVM leaves undefined (division by zero, wide shifts, MIN / -1) is defined here as
 * src/ir/eval.c defines it.
 */
#include "gen.h"

struct prim_args {
    struct gen *g;
    enum dtype dtype;
    val a, b, c;
    val *fault;
};

static LLVMBuilderRef builder(const struct prim_args *p)
{
    return p->g->l.b;
}

static type type_of(const struct prim_args *p)
{
    return LLVMTypeOf(p->a);
}

static unsigned bits_of(const struct prim_args *p)
{
    return p->dtype == DT_bool ? 1 : 8u * type_table[p->dtype].size;
}

static bool is_signed(const struct prim_args *p)
{
    return type_table[p->dtype].cls == CLASS_INT;
}

static val zero(const struct prim_args *p)
{
    return LLVMConstNull(type_of(p));
}

static val integer(const struct prim_args *p, uint64_t v)
{
    return ll_splat(&p->g->l, LLVMConstInt(ll_scalar(type_of(p)), v, 1), ll_width(p->a));
}

static val real(const struct prim_args *p, double v)
{
    return ll_splat(&p->g->l, LLVMConstReal(ll_scalar(type_of(p)), v), ll_width(p->a));
}

static val pick(const struct prim_args *p, val c, val a, val b)
{
    return ll_select(&p->g->l, c, a, b);
}

static val fcmp(const struct prim_args *p, LLVMRealPredicate r, val a, val b)
{
    return LLVMBuildFCmp(builder(p), r, a, b, "");
}

static val icmp(const struct prim_args *p, LLVMIntPredicate r, val a, val b)
{
    return LLVMBuildICmp(builder(p), r, a, b, "");
}

val prim_any(struct gen *g, val mask)
{
    return ll_width(mask) == 1 ? mask : ll_intrinsic1(&g->l, "llvm.vector.reduce.or", mask);
}

val prim_or_fault(struct gen *g, val a, val b)
{
    if (!a || !b)
        return a ? a : b;
    unsigned w = ll_width(a) > ll_width(b) ? ll_width(a) : ll_width(b);
    a = ll_width(a) < w ? ll_splat(&g->l, a, w) : a;
    b = ll_width(b) < w ? ll_splat(&g->l, b, w) : b;
    return LLVMBuildOr(g->l.b, a, b, "");
}

static void raise_where(struct prim_args *p, val mask, unsigned bit)
{
    struct ll *l = &p->g->l;
    val byte = ll_splat(l, LLVMConstInt(l->i8, bit, 0), ll_width(mask));
    val raised = ll_select(l, mask, byte, LLVMConstNull(LLVMTypeOf(byte)));
    *p->fault = prim_or_fault(p->g, *p->fault, raised);
}

/* ---- floats ---- */

#define BINARY(name, build)                                                                                  \
    static val emit_##name(struct prim_args *p)                                                              \
    {                                                                                                        \
        return build(builder(p), p->a, p->b, "");                                                            \
    }
#define INTRINSIC(name, intrinsic)                                                                           \
    static val emit_##name(struct prim_args *p)                                                              \
    {                                                                                                        \
        return ll_intrinsic1(&p->g->l, intrinsic, p->a);                                                     \
    }
#define ROUNDING(name, intrinsic)                                                                            \
    static val emit_##name(struct prim_args *p)                                                              \
    {                                                                                                        \
        return p->g->target->has_round ? ll_intrinsic1(&p->g->l, intrinsic, p->a) : round_emit(p->g, PRIM_##name, p->a); \
    }
#define COMPARE(name, fn, how)                                                                               \
    static val emit_##name(struct prim_args *p)                                                              \
    {                                                                                                        \
        return fn(p, how, p->a, p->b);                                                                       \
    }
#define COMPARE_INT(name, s, u)                                                                              \
    static val emit_##name(struct prim_args *p)                                                              \
    {                                                                                                        \
        return icmp(p, is_signed(p) ? s : u, p->a, p->b);                                                    \
    }

/* A constant that is no zero and no nan, the same in all lanes as constants are. */
static bool is_plain(val v)
{
    LLVMBool inexact;
    val one = ll_width(v) == 1 || !LLVMIsConstant(v) ? v : LLVMGetAggregateElement(v, 0);
    double d = one && LLVMIsAConstantFP(one) ? LLVMConstRealGetDouble(one, &inexact) : 0;
    return d < 0 || d > 0;
}

/* A constant as an instruction takes it best (gen_in_memory). */
static val operand(const struct prim_args *p, val v)
{
    return is_plain(v) ? gen_in_memory(p->g, v) : v;
}

#define ARITHMETIC(name, build)                                                                              \
    static val emit_##name(struct prim_args *p)                                                              \
    {                                                                                                        \
        return build(builder(p), operand(p, p->a), operand(p, p->b), "");                                    \
    }
ARITHMETIC(fadd, LLVMBuildFAdd)
ARITHMETIC(fsub, LLVMBuildFSub)
ARITHMETIC(fmul, LLVMBuildFMul)
BINARY(fdiv, LLVMBuildFDiv)
INTRINSIC(fabs, "llvm.fabs")
ROUNDING(ffloor, "llvm.floor")
ROUNDING(fceil, "llvm.ceil")
ROUNDING(ftrunc, "llvm.trunc")
ROUNDING(frint, "llvm.roundeven")
COMPARE(feq, fcmp, LLVMRealOEQ)
COMPARE(fne, fcmp, LLVMRealUNE)
COMPARE(flt, fcmp, LLVMRealOLT)
COMPARE(fle, fcmp, LLVMRealOLE)
COMPARE(fgt, fcmp, LLVMRealOGT)
COMPARE(fge, fcmp, LLVMRealOGE)

static val emit_fneg(struct prim_args *p)
{
    return LLVMBuildFNeg(builder(p), p->a, "");
}

static val emit_fsqrt(struct prim_args *p)
{
    return wide_sqrt(p->g, p->a);
}

static val emit_ffma(struct prim_args *p)
{
    type t = type_of(p);
    val args[] = {operand(p, p->a), operand(p, p->b), operand(p, p->c)};
    if (!p->g->target->has_fma)
        return fma_emit(p->g, p->a, p->b, p->c);
    return ll_intrinsic(&p->g->l, "llvm.fma", &t, 1, args, 3);
}

static val emit_fquickdiv(struct prim_args *p)
{
    return quick_divide(p->g, p->a, p->b);
}

static val emit_fquickrsqrt(struct prim_args *p)
{
    return quick_rsqrt(p->g, p->a);
}

static val emit_ftamediv(struct prim_args *p)
{
    return tame_divide(p->g, p->a, p->b);
}

static val emit_ftamesqrt(struct prim_args *p)
{
    return tame_sqrt(p->g, p->a);
}

static val emit_flargersize(struct prim_args *p)
{
    return by_size(p->g, LARGER, p->a, p->b);
}

static val emit_fsmallersize(struct prim_args *p)
{
    return by_size(p->g, SMALLER, p->a, p->b);
}

static val emit_ftamescale(struct prim_args *p)
{
    return tame_scale(p->g, p->a, p->b, p->c);
}

static val emit_fnearrcp(struct prim_args *p)
{
    return near_reciprocal(p->g, p->a);
}

static val emit_fnearlog(struct prim_args *p)
{
    return near_log2(p->g, p->a);
}

/* A nan has no sign: x86 makes negative ones, NVIDIA's GPUs positive ones. */
static val emit_fcopysign(struct prim_args *p)
{
    type t = type_of(p);
    val args[] = {p->a, gen_canonical_nan(p->g, p->b, p->dtype)};
    return ll_intrinsic(&p->g->l, "llvm.copysign", &t, 1, args, 2);
}

static type integer_like(const struct prim_args *p)
{
    return ll_vec(LLVMIntTypeInContext(p->g->l.ctx, bits_of(p)), ll_width(p->a));
}

static val as_integer(const struct prim_args *p, val v)
{
    return LLVMBuildBitCast(builder(p), v, integer_like(p), "");
}

/* Equal values: zeros of either sign are told apart by their bits. Unordered ones: the sum is a nan. */
static val extreme(struct prim_args *p, LLVMRealPredicate first, LLVMOpcode zeros)
{
    val bits = LLVMBuildBinOp(builder(p), zeros, as_integer(p, p->a), as_integer(p, p->b), "");
    val equal = LLVMBuildBitCast(builder(p), bits, type_of(p), "");
    val sum = LLVMBuildFAdd(builder(p), p->a, p->b, "");
    val r = pick(p, fcmp(p, first, p->a, p->b), p->a, p->b);
    r = pick(p, fcmp(p, LLVMRealOEQ, p->a, p->b), equal, r);
    return pick(p, fcmp(p, LLVMRealUNO, p->a, p->b), sum, r);
}

/* With such a limit equal values have equal bits and a nan can only be the other one, so it is a comparison: one instruction
 * of x86. Most extremes are limits of this kind. */
static val limited(struct prim_args *p, LLVMRealPredicate first, val limit, val v)
{
    return pick(p, fcmp(p, first, limit, v), limit, v);
}

/* One instruction of newer GPUs: PTX ISA 7.0, max.NaN.f32. */
static bool has_extremes(const struct prim_args *p)
{
    return p->g->gpu && p->g->target->generator == GENERATOR_NVPTX && p->g->target->sm >= 80 && bits_of(p) == 32;
}

static val extreme_of(struct prim_args *p, LLVMRealPredicate first, LLVMOpcode zeros)
{
    if (has_extremes(p)) {
        val args[] = {p->a, p->b};
        type over = type_of(p);
        return ll_intrinsic(&p->g->l, first == LLVMRealOLT ? "llvm.minimum" : "llvm.maximum", &over, 1, args, 2);
    }
    if (is_plain(p->b))
        return limited(p, first, p->b, p->a);
    return is_plain(p->a) ? limited(p, first, p->a, p->b) : extreme(p, first, zeros);
}

static val emit_fminimum(struct prim_args *p)
{
    return extreme_of(p, LLVMRealOLT, LLVMOr);
}

static val emit_fmaximum(struct prim_args *p)
{
    return extreme_of(p, LLVMRealOGT, LLVMAnd);
}

/* x mod m for 0 <= x < inf, m normal: subtract m scaled to the exponent of x until x < m. Each step is exact. */
static val reduce_modulo(struct prim_args *p, val x, val m)
{
    struct ll *l = &p->g->l;
    uint64_t mantissa = bits_of(p) == 64 ? UINT64_C(0x000fffffffffffff) : 0x007fffff;
    uint64_t exponent = bits_of(p) == 64 ? UINT64_C(0x7ff0000000000000) : 0x7f800000;
    val mant = ll_splat(l, LLVMConstInt(ll_scalar(integer_like(p)), mantissa, 0), ll_width(x));
    val expo = ll_splat(l, LLVMConstInt(ll_scalar(integer_like(p)), exponent, 0), ll_width(x));
    block before = ll_here(l), head = ll_block(l, "mod"), body = ll_block(l, "mod_step"), done = ll_block(l, "mod_done");
    ll_br(l, head);
    ll_at(l, head);
    val left = ll_phi(l, type_of(p), x, before);
    val more = fcmp(p, LLVMRealOGE, left, m);
    ll_cond(l, prim_any(p->g, more), body, done);
    ll_at(l, body);
    val bits = LLVMBuildOr(l->b, LLVMBuildAnd(l->b, as_integer(p, m), mant, ""), LLVMBuildAnd(l->b, as_integer(p, left), expo, ""), "");
    val t = LLVMBuildBitCast(l->b, bits, type_of(p), "");
    t = pick(p, fcmp(p, LLVMRealOGT, t, left), LLVMBuildFMul(l->b, t, real(p, 0.5), ""), t);
    val next = pick(p, more, LLVMBuildFSub(l->b, left, t, ""), left);
    ll_phi_add(left, next, ll_here(l));
    ll_br(l, head);
    ll_at(l, done);
    return left;
}

/*
 * Exact, as C's fmod. A tiny divisor is handled in two rounds, modulo a large multiple of it and then scaled up, so
 * that the divisor of each round is normal. float32 goes through float64, where it has no subnormals.
 */
static val emit_fmod(struct prim_args *p)
{
    struct ll *l = &p->g->l;
    if (bits_of(p) == 32) {
        struct prim_args q = {.g = p->g, .dtype = DT_float64, .fault = p->fault};
        type wide = ll_vec(l->f64, ll_width(p->a));
        q.a = LLVMBuildFPExt(l->b, p->a, wide, "");
        q.b = LLVMBuildFPExt(l->b, p->b, wide, "");
        return LLVMBuildFPTrunc(l->b, emit_fmod(&q), type_of(p), "");
    }
    val inf = real(p, 1.0 / 0.0), x = ll_intrinsic1(l, "llvm.fabs", p->a), y = ll_intrinsic1(l, "llvm.fabs", p->b);
    val valid = LLVMBuildAnd(l->b, fcmp(p, LLVMRealOLT, x, inf), fcmp(p, LLVMRealOGT, y, zero(p)), "");
    val tiny = fcmp(p, LLVMRealOLT, y, real(p, 0x1p-970));
    val m = pick(p, valid, y, inf);
    x = pick(p, valid, x, zero(p));
    tiny = LLVMBuildAnd(l->b, tiny, valid, "");
    x = reduce_modulo(p, x, pick(p, tiny, LLVMBuildFMul(l->b, m, real(p, 0x1p1000), ""), m));
    val up = pick(p, tiny, real(p, 0x1p54), real(p, 1.0)), down = pick(p, tiny, real(p, 0x1p-54), real(p, 1.0));
    x = reduce_modulo(p, LLVMBuildFMul(l->b, x, up, ""), LLVMBuildFMul(l->b, m, up, ""));
    x = LLVMBuildFMul(l->b, x, down, "");
    type t = type_of(p);
    val args[] = {x, p->a};
    val r = ll_intrinsic(l, "llvm.copysign", &t, 1, args, 2);
    return pick(p, valid, r, real(p, 0.0 / 0.0));
}

/* ---- integers ---- */

BINARY(iadd, LLVMBuildAdd)
BINARY(isub, LLVMBuildSub)
BINARY(imul, LLVMBuildMul)

static val emit_iand(struct prim_args *p)
{
    val sign = quarter_sign(p->g, p->a, p->b);
    return sign ? sign : LLVMBuildAnd(builder(p), p->a, p->b, "");
}

BINARY(ior, LLVMBuildOr)
BINARY(ixor, LLVMBuildXor)
COMPARE(ieq, icmp, LLVMIntEQ)
COMPARE(ine, icmp, LLVMIntNE)
COMPARE_INT(ilt, LLVMIntSLT, LLVMIntULT)
COMPARE_INT(ile, LLVMIntSLE, LLVMIntULE)
COMPARE_INT(igt, LLVMIntSGT, LLVMIntUGT)
COMPARE_INT(ige, LLVMIntSGE, LLVMIntUGE)

static val emit_ineg(struct prim_args *p)
{
    return LLVMBuildNeg(builder(p), p->a, "");
}

static val emit_inot(struct prim_args *p)
{
    return LLVMBuildNot(builder(p), p->a, "");
}

static val emit_iabs(struct prim_args *p)
{
    if (!is_signed(p))
        return p->a;
    return pick(p, icmp(p, LLVMIntSLT, p->a, zero(p)), LLVMBuildNeg(builder(p), p->a, ""), p->a);
}

static val emit_iminimum(struct prim_args *p)
{
    return pick(p, emit_ilt(p), p->a, p->b);
}

static val emit_imaximum(struct prim_args *p)
{
    return pick(p, emit_igt(p), p->a, p->b);
}

struct quotient {
    val q, r; /* towards zero, by a divisor made safe */
    val by_zero, by_minus_one;
};

/* The CPU divides vectors of floats, not of integers: float32 holds 16 bits, and their quotients lie further from the next
 * integer than its rounding reaches, so cut off they are right. */
static val quotient_of_short(struct prim_args *p, val divisor)
{
    LLVMBuilderRef b = builder(p);
    type wide = ll_vec(p->g->l.f32, ll_width(p->a));
    if (is_signed(p)) {
        val q = LLVMBuildFDiv(b, LLVMBuildSIToFP(b, p->a, wide, ""), LLVMBuildSIToFP(b, divisor, wide, ""), "");
        return LLVMBuildFPToSI(b, q, type_of(p), "");
    }
    val q = LLVMBuildFDiv(b, LLVMBuildUIToFP(b, p->a, wide, ""), LLVMBuildUIToFP(b, divisor, wide, ""), "");
    return LLVMBuildFPToUI(b, q, type_of(p), "");
}

static val quotient_towards_zero(struct prim_args *p, val divisor)
{
    if (!p->g->gpu && bits_of(p) <= 16)
        return quotient_of_short(p, divisor);
    return is_signed(p) ? LLVMBuildSDiv(builder(p), p->a, divisor, "") : LLVMBuildUDiv(builder(p), p->a, divisor, "");
}

static struct quotient divide(struct prim_args *p)
{
    struct quotient d;
    val one = integer(p, 1);
    d.by_zero = icmp(p, LLVMIntEQ, p->b, zero(p));
    d.by_minus_one = is_signed(p) ? icmp(p, LLVMIntEQ, p->b, integer(p, UINT64_MAX)) : LLVMConstNull(LLVMTypeOf(d.by_zero));
    val safe = pick(p, LLVMBuildOr(builder(p), d.by_zero, d.by_minus_one, ""), one, p->b);
    d.q = quotient_towards_zero(p, safe);
    d.r = LLVMBuildSub(builder(p), p->a, LLVMBuildMul(builder(p), d.q, safe, ""), "");
    raise_where(p, d.by_zero, FAULT_DIVIDE);
    return d;
}

/* Does the remainder have the other sign than the divisor, so that flooring takes one more? */
static val goes_below(struct prim_args *p, val r)
{
    if (!is_signed(p))
        return LLVMConstNull(ll_vec(p->g->l.i1, ll_width(r)));
    val differs = icmp(p, LLVMIntSLT, LLVMBuildXor(builder(p), r, p->b, ""), zero(p));
    return LLVMBuildAnd(builder(p), icmp(p, LLVMIntNE, r, zero(p)), differs, "");
}

static val emit_ifloordiv(struct prim_args *p)
{
    struct quotient d = divide(p);
    val below = LLVMBuildSub(builder(p), d.q, integer(p, 1), "");
    val q = pick(p, goes_below(p, d.r), below, d.q);
    q = pick(p, d.by_minus_one, LLVMBuildNeg(builder(p), p->a, ""), q);
    return pick(p, d.by_zero, zero(p), q);
}

static val emit_imod(struct prim_args *p)
{
    struct quotient d = divide(p);
    val r = pick(p, goes_below(p, d.r), LLVMBuildAdd(builder(p), d.r, p->b, ""), d.r);
    return pick(p, LLVMBuildOr(builder(p), d.by_zero, d.by_minus_one, ""), zero(p), r);
}

/* By squaring, until no lane has bits of its exponent left. */
static val emit_ipow(struct prim_args *p)
{
    struct ll *l = &p->g->l;
    val negative = is_signed(p) ? icmp(p, LLVMIntSLT, p->b, zero(p)) : LLVMConstNull(ll_vec(l->i1, ll_width(p->a)));
    raise_where(p, negative, FAULT_NEGATIVE_POWER);
    val exponent = pick(p, negative, zero(p), p->b);
    block before = ll_here(l), head = ll_block(l, "pow"), body = ll_block(l, "pow_step"), done = ll_block(l, "pow_done");
    ll_br(l, head);
    ll_at(l, head);
    val result = ll_phi(l, type_of(p), integer(p, 1), before), base = ll_phi(l, type_of(p), p->a, before);
    val left = ll_phi(l, type_of(p), exponent, before);
    ll_cond(l, prim_any(p->g, icmp(p, LLVMIntNE, left, zero(p))), body, done);
    ll_at(l, body);
    val odd = icmp(p, LLVMIntNE, LLVMBuildAnd(l->b, left, integer(p, 1), ""), zero(p));
    ll_phi_add(result, pick(p, odd, LLVMBuildMul(l->b, result, base, ""), result), body);
    ll_phi_add(base, LLVMBuildMul(l->b, base, base, ""), body);
    ll_phi_add(left, LLVMBuildLShr(l->b, left, integer(p, 1), ""), body);
    ll_br(l, head);
    ll_at(l, done);
    return pick(p, negative, zero(p), result);
}

static val emit_ishl(struct prim_args *p)
{
    val fits = icmp(p, LLVMIntULT, p->b, integer(p, bits_of(p)));
    val by = pick(p, fits, p->b, zero(p));
    return pick(p, fits, LLVMBuildShl(builder(p), p->a, by, ""), zero(p));
}

static val emit_ishr(struct prim_args *p)
{
    val fits = icmp(p, LLVMIntULT, p->b, integer(p, bits_of(p)));
    if (is_signed(p))
        return LLVMBuildAShr(builder(p), p->a, pick(p, fits, p->b, integer(p, bits_of(p) - 1)), "");
    return pick(p, fits, LLVMBuildLShr(builder(p), p->a, pick(p, fits, p->b, zero(p)), ""), zero(p));
}

/* ---- any ---- */

static val emit_same(struct prim_args *p)
{
    return p->a;
}

static val emit_select(struct prim_args *p)
{
    return ll_select(&p->g->l, p->a, p->b, p->c);
}

typedef val prim_fn(struct prim_args *);

static prim_fn *const prim_fns[PRIM_COUNT] = {
#define PRIM(name, arity, cls, value) [PRIM_##name] = emit_##name,
#include "prims.def"
#undef PRIM
};

val prim_emit(struct gen *g, enum prim prim, enum dtype arg, val *args, val *fault)
{
    struct prim_args p = {.g = g, .dtype = arg, .a = args[0], .b = args[1], .c = args[2], .fault = fault};
    return prim_fns[prim](&p);
}
