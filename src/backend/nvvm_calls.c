/*
 * The intrinsics that may be called in libNVVM's dialect, each with how it is written: an unknown one would pass as a
 * function from elsewhere, and some that LLVM knows end the process. What is not on the list is refused. See nvvm.h.
 *
 * Calls are of scalars: vectors are taken apart, as the code generator would do later. What only newer dialects know is
 * written in plain instructions.
 */
#include <stdio.h>
#include <string.h>
#include "backend/nvvm.h"

struct intrinsic;
/* One element: `args` in, `into` out. */
typedef void element_fn(struct nvvm_printer *p, const struct intrinsic *k, LLVMValueRef call, const struct nvvm_word *args, const char *into);

struct intrinsic {
    const char *name, *theirs;
    element_fn *element; /* for each element; or */
    void (*whole)(struct nvvm_printer *p, const struct intrinsic *k, LLVMValueRef call);
};

static unsigned bits_of(LLVMTypeRef scalar)
{
    switch (LLVMGetTypeKind(scalar)) {
    case LLVMDoubleTypeKind: return 64;
    case LLVMFloatTypeKind: return 32;
    case LLVMHalfTypeKind: return 16;
    case LLVMIntegerTypeKind: return LLVMGetIntTypeWidth(scalar);
    default: return 0;
    }
}

static const char *real_type(unsigned bits)
{
    return bits == 64 ? "double" : "float";
}

static LLVMTypeRef type_of_argument(LLVMValueRef call)
{
    return nvvm_scalar(LLVMTypeOf(LLVMGetOperand(call, 0)));
}

static void declare(struct nvvm_printer *p, const char *text)
{
    if (!p->declares.s || !strstr(p->declares.s, text))
        strbuf_puts(&p->declares, text);
}

/* ---- by element ---- */

/* The same under a name of theirs, for float32 and float64. */
static void same(struct nvvm_printer *p, const struct intrinsic *k, LLVMValueRef call, const struct nvvm_word *args, const char *into)
{
    unsigned bits = bits_of(type_of_argument(call)), n = LLVMGetNumArgOperands(call);
    const char *t = real_type(bits);
    char text[160];
    if (bits < 32)
        nvvm_unknown(p, "an operation on 16 bits", call);
    snprintf(text, sizeof text, "declare %s @%s.f%u(%s%s%s%s%s)\n", t, k->theirs, bits, t, n > 1 ? ", " : "", n > 1 ? t : "", n > 2 ? ", " : "", n > 2 ? t : "");
    declare(p, text);
    strbuf_printf(&p->out, "  %s = call %s @%s.f%u(", into, t, k->theirs, bits);
    for (unsigned i = 0; i < n; i++)
        strbuf_printf(&p->out, "%s%s %s", i ? ", " : "", t, args[i].s);
    strbuf_puts(&p->out, ")\n");
}

static void with_sign(struct nvvm_printer *p, const struct intrinsic *k, LLVMValueRef call, const struct nvvm_word *args, const char *into)
{
    unsigned bits = bits_of(type_of_argument(call));
    const char *t = real_type(bits);
    long long sign = bits == 64 ? INT64_MIN : INT32_MIN;
    struct nvvm_word x = nvvm_temporary(p), y = nvvm_temporary(p), size = nvvm_temporary(p), s = nvvm_temporary(p), both = nvvm_temporary(p);
    (void)k;
    strbuf_printf(&p->out, "  %s = bitcast %s %s to i%u\n", x.s, t, args[0].s, bits);
    strbuf_printf(&p->out, "  %s = bitcast %s %s to i%u\n", y.s, t, args[1].s, bits);
    strbuf_printf(&p->out, "  %s = and i%u %s, %lld\n", size.s, bits, x.s, bits == 64 ? INT64_MAX : (long long)INT32_MAX);
    strbuf_printf(&p->out, "  %s = and i%u %s, %lld\n", s.s, bits, y.s, sign);
    strbuf_printf(&p->out, "  %s = or i%u %s, %s\n", both.s, bits, size.s, s.s);
    strbuf_printf(&p->out, "  %s = bitcast i%u %s to %s\n", into, bits, both.s, t);
}

/* 2^n, a float32 and a float64, as the dialect writes either. */
static struct nvvm_word power_of_two(unsigned n, bool negative)
{
    struct nvvm_word w;
    snprintf(w.s, sizeof w.s, "0x%016llX", (unsigned long long)negative << 63 | (1023ull + n) << 52);
    return w;
}

/* To an integer, ends of its range for what lies beyond, 0 for nan: what is converted fits. */
static void saturate(struct nvvm_printer *p, unsigned width, const char *t, const char *x, const char *into, bool is_signed)
{
    struct nvvm_word low = is_signed ? power_of_two(width - 1, true) : (struct nvvm_word){"0x0000000000000000"};
    struct nvvm_word high = power_of_two(is_signed ? width - 1 : width, false);
    struct nvvm_word above = nvvm_temporary(p), below = nvvm_temporary(p), fits = nvvm_temporary(p), safe = nvvm_temporary(p), v = nvvm_temporary(p),
                     up = nvvm_temporary(p), lower = nvvm_temporary(p);
    uint64_t most = UINT64_MAX >> (64 - width), signed_most = most >> 1;
    strbuf_printf(&p->out, "  %s = fcmp oge %s %s, %s\n", above.s, t, x, low.s);
    strbuf_printf(&p->out, "  %s = fcmp olt %s %s, %s\n", below.s, t, x, high.s);
    strbuf_printf(&p->out, "  %s = and i1 %s, %s\n", fits.s, above.s, below.s);
    strbuf_printf(&p->out, "  %s = select i1 %s, %s %s, %s 0.0\n", safe.s, fits.s, t, x, t);
    strbuf_printf(&p->out, "  %s = %s %s %s to i%u\n", v.s, is_signed ? "fptosi" : "fptoui", t, safe.s, width);
    strbuf_printf(&p->out, "  %s = fcmp oge %s %s, %s\n", up.s, t, x, high.s);
    if (!is_signed) {
        strbuf_printf(&p->out, "  %s = select i1 %s, i%u -1, i%u %s\n", into, up.s, width, width, v.s);
        return;
    }
    struct nvvm_word upper = nvvm_temporary(p);
    strbuf_printf(&p->out, "  %s = select i1 %s, i%u %lld, i%u %s\n", upper.s, up.s, width, (long long)signed_most, width, v.s);
    strbuf_printf(&p->out, "  %s = fcmp olt %s %s, %s\n", lower.s, t, x, low.s);
    strbuf_printf(&p->out, "  %s = select i1 %s, i%u %lld, i%u %s\n", into, lower.s, width, -(long long)signed_most - 1, width, upper.s);
}

static void to_signed(struct nvvm_printer *p, const struct intrinsic *k, LLVMValueRef call, const struct nvvm_word *args, const char *into)
{
    (void)k;
    saturate(p, bits_of(nvvm_scalar(LLVMTypeOf(call))), real_type(bits_of(type_of_argument(call))), args[0].s, into, true);
}

static void to_unsigned(struct nvvm_printer *p, const struct intrinsic *k, LLVMValueRef call, const struct nvvm_word *args, const char *into)
{
    (void)k;
    saturate(p, bits_of(nvvm_scalar(LLVMTypeOf(call))), real_type(bits_of(type_of_argument(call))), args[0].s, into, false);
}

/* ---- whole ---- */

static const char *result_name(LLVMValueRef call, struct nvvm_word *w)
{
    size_t n;
    snprintf(w->s, sizeof w->s, "%%%s", LLVMGetValueName2(call, &n));
    return w->s;
}

/* Element i of an operand. */
static struct nvvm_word element_of(struct nvvm_printer *p, LLVMValueRef v, unsigned i)
{
    if (nvvm_width(LLVMTypeOf(v)) == 1)
        return nvvm_word_of(p, v);
    struct nvvm_word w = nvvm_temporary(p);
    strbuf_printf(&p->out, "  %s = extractelement ", w.s);
    nvvm_typed(p, v);
    strbuf_printf(&p->out, ", i32 %u\n", i);
    return w;
}

static void put_element(struct nvvm_printer *p, LLVMTypeRef vector, const char *into, const char *before, const char *element, unsigned i)
{
    strbuf_printf(&p->out, "  %s = insertelement ", into);
    nvvm_type(p, vector);
    strbuf_printf(&p->out, " %s, ", before);
    nvvm_type(p, nvvm_scalar(vector));
    strbuf_printf(&p->out, " %s, i32 %u\n", element, i);
}

static void by_element(struct nvvm_printer *p, const struct intrinsic *k, LLVMValueRef call)
{
    LLVMTypeRef t = LLVMTypeOf(call);
    struct nvvm_word args[3], all = {"undef"}, into;
    unsigned n = nvvm_width(t), n_args = LLVMGetNumArgOperands(call);
    for (unsigned i = 0; i < n; i++) {
        for (unsigned a = 0; a < n_args && a < 3; a++)
            args[a] = element_of(p, LLVMGetOperand(call, a), i);
        struct nvvm_word one = nvvm_temporary(p), next = nvvm_temporary(p);
        const char *last = result_name(call, &into);
        k->element(p, k, call, args, n == 1 ? last : one.s);
        if (n > 1)
            put_element(p, t, i + 1 == n ? last : next.s, all.s, one.s, i);
        all = next;
    }
}

/* libNVVM 13.0 narrows a comparison of widened vectors to one of their halves, and then compares the bits of each half as
 * though they were a float32: -0 is no zero. One by one, it compares right. */
void nvvm_widen_halves(struct nvvm_printer *p, LLVMValueRef cast)
{
    LLVMTypeRef t = LLVMTypeOf(cast);
    LLVMValueRef from = LLVMGetOperand(cast, 0);
    struct nvvm_word all = {"undef"}, into;
    unsigned n = nvvm_width(t);
    result_name(cast, &into);
    for (unsigned i = 0; i < n; i++) {
        struct nvvm_word half = element_of(p, from, i), one = nvvm_temporary(p), next = i + 1 == n ? into : nvvm_temporary(p);
        strbuf_printf(&p->out, "  %s = fpext half %s to %s\n", n == 1 ? into.s : one.s, half.s, real_type(bits_of(nvvm_scalar(t))));
        if (n > 1)
            put_element(p, t, next.s, all.s, one.s, i);
        all = next;
    }
}

/* Elements joined one after another. */
static void reduce(struct nvvm_printer *p, LLVMValueRef call, const char *op)
{
    LLVMValueRef v = LLVMGetOperand(call, 0);
    struct nvvm_word all = element_of(p, v, 0), into;
    unsigned n = nvvm_width(LLVMTypeOf(v)), bits = bits_of(nvvm_scalar(LLVMTypeOf(v)));
    result_name(call, &into);
    for (unsigned i = 1; i < n; i++) {
        struct nvvm_word x = element_of(p, v, i), to = i + 1 == n ? into : nvvm_temporary(p), more = nvvm_temporary(p);
        if (strcmp(op, "or") == 0) {
            strbuf_printf(&p->out, "  %s = or i%u %s, %s\n", to.s, bits, all.s, x.s);
        } else {
            strbuf_printf(&p->out, "  %s = icmp %s i%u %s, %s\n", more.s, op, bits, x.s, all.s);
            strbuf_printf(&p->out, "  %s = select i1 %s, i%u %s, i%u %s\n", to.s, more.s, bits, x.s, bits, all.s);
        }
        all = to;
    }
    if (n == 1)
        nvvm_unknown(p, "the reduction of one element", call);
}

static void reduce_or(struct nvvm_printer *p, const struct intrinsic *k, LLVMValueRef call)
{
    (void)k;
    reduce(p, call, "or");
}

static void reduce_umax(struct nvvm_printer *p, const struct intrinsic *k, LLVMValueRef call)
{
    (void)k;
    reduce(p, call, "ugt");
}

static void barrier(struct nvvm_printer *p, const struct intrinsic *k, LLVMValueRef call)
{
    char text[64];
    LLVMValueRef id = LLVMGetOperand(call, 0);
    if (!LLVMIsAConstantInt(id) || LLVMConstIntGetZExtValue(id) != 0)
        nvvm_unknown(p, "a barrier of some threads", call);
    snprintf(text, sizeof text, "declare void @%s()\n", k->theirs);
    declare(p, text);
    strbuf_printf(&p->out, "  call void @%s()\n", k->theirs);
}

/* Arguments and result of 32 bits. */
static void of_words(struct nvvm_printer *p, const struct intrinsic *k, LLVMValueRef call)
{
    struct nvvm_word into;
    struct strbuf text = {0};
    unsigned n = LLVMGetNumArgOperands(call);
    strbuf_printf(&text, "declare i32 @%s(", k->theirs);
    strbuf_printf(&p->out, "  %s = call i32 @%s(", result_name(call, &into), k->theirs);
    for (unsigned i = 0; i < n; i++) {
        strbuf_puts(&text, i ? ", i32" : "i32");
        strbuf_puts(&p->out, i ? ", " : "");
        nvvm_typed(p, LLVMGetOperand(call, i));
    }
    strbuf_puts(&text, ")\n");
    strbuf_puts(&p->out, ")\n");
    declare(p, text.s ? text.s : "");
    p->declares.failed |= text.failed;
    strbuf_fini(&text);
}

#define REGISTER(name) {"llvm.nvvm.read.ptx.sreg." name, "llvm.nvvm.read.ptx.sreg." name, NULL, of_words}

static const struct intrinsic allowed[] = {
    {"llvm.fma", "llvm.fma", same, by_element},
    {"llvm.fabs", "llvm.fabs", same, by_element},
    {"llvm.sqrt", "llvm.sqrt", same, by_element},
    {"llvm.floor", "llvm.floor", same, by_element},
    {"llvm.ceil", "llvm.ceil", same, by_element},
    {"llvm.trunc", "llvm.trunc", same, by_element},
    {"llvm.roundeven", "llvm.rint", same, by_element}, /* in the only mode of rounding that a GPU has */
    {"llvm.copysign", NULL, with_sign, by_element},
    {"llvm.fptosi.sat", NULL, to_signed, by_element},
    {"llvm.fptoui.sat", NULL, to_unsigned, by_element},
    {"llvm.vector.reduce.or", NULL, NULL, reduce_or},
    {"llvm.vector.reduce.umax", NULL, NULL, reduce_umax},
    {"llvm.nvvm.barrier.cta.sync.aligned.all", "llvm.nvvm.barrier0", NULL, barrier},
    {"llvm.nvvm.shfl.sync.bfly.i32", "llvm.nvvm.shfl.sync.bfly.i32", NULL, of_words},
    REGISTER("tid.x"), REGISTER("tid.y"), REGISTER("tid.z"), REGISTER("ctaid.x"), REGISTER("ctaid.y"), REGISTER("ctaid.z"),
    REGISTER("ntid.x"), REGISTER("ntid.y"), REGISTER("ntid.z"), REGISTER("nctaid.x"), REGISTER("nctaid.y"),
};

void nvvm_call(struct nvvm_printer *p, LLVMValueRef call)
{
    unsigned id = LLVMGetIntrinsicID(LLVMGetCalledValue(call));
    for (unsigned i = 0; id && i < sizeof allowed / sizeof *allowed; i++)
        if (LLVMLookupIntrinsicID(allowed[i].name, strlen(allowed[i].name)) == id) {
            allowed[i].whole(p, &allowed[i], call);
            return;
        }
    nvvm_unknown(p, "a function", call);
}

void nvvm_atomic_add(struct nvvm_printer *p, LLVMValueRef rmw)
{
    struct nvvm_word into;
    LLVMValueRef to = LLVMGetOperand(rmw, 0), value = LLVMGetOperand(rmw, 1);
    LLVMTypeRef t = LLVMTypeOf(value);
    unsigned bits = bits_of(t), space = LLVMGetPointerAddressSpace(LLVMTypeOf(to));
    struct nvvm_word at = nvvm_pointer_to(p, to, t);
    char text[160];
    snprintf(text, sizeof text, "declare %s @llvm.nvvm.atomic.load.add.f%u.p%uf%u(%s addrspace(%u)*, %s)\n", real_type(bits), bits, space, bits, real_type(bits), space,
             real_type(bits));
    declare(p, text);
    strbuf_printf(&p->out, "  %s = call %s @llvm.nvvm.atomic.load.add.f%u.p%uf%u(", result_name(rmw, &into), real_type(bits), bits, space, bits);
    nvvm_pointer_type(p, to, t);
    strbuf_printf(&p->out, " %s, ", at.s);
    nvvm_typed(p, value);
    strbuf_puts(&p->out, ")");
}
