/* Types, constants and names in libNVVM's dialect. See nvvm.h. */
#include <stdio.h>
#include <string.h>
#include "backend/nvvm.h"

unsigned nvvm_width(LLVMTypeRef t)
{
    return LLVMGetTypeKind(t) == LLVMVectorTypeKind ? LLVMGetVectorSize(t) : 1;
}

LLVMTypeRef nvvm_scalar(LLVMTypeRef t)
{
    return LLVMGetTypeKind(t) == LLVMVectorTypeKind ? LLVMGetElementType(t) : t;
}

static void space(struct nvvm_printer *p, LLVMTypeRef pointer)
{
    unsigned in = LLVMGetPointerAddressSpace(pointer);
    if (in)
        strbuf_printf(&p->out, " addrspace(%u)", in);
    strbuf_puts(&p->out, "*");
}

static void sequence(struct nvvm_printer *p, char open, uint64_t n, LLVMTypeRef element, char close)
{
    strbuf_printf(&p->out, "%c%llu x ", open, (unsigned long long)n);
    nvvm_type(p, element);
    strbuf_add(&p->out, &close, 1);
}

static void structure(struct nvvm_printer *p, LLVMTypeRef t)
{
    strbuf_puts(&p->out, "{ ");
    for (unsigned i = 0; i < LLVMCountStructElementTypes(t); i++) {
        strbuf_puts(&p->out, i ? ", " : "");
        nvvm_type(p, LLVMStructGetTypeAtIndex(t, i));
    }
    strbuf_puts(&p->out, " }");
}

/* Every pointer is one to bytes, and is cast just before it is used. */
void nvvm_type(struct nvvm_printer *p, LLVMTypeRef t)
{
    switch (LLVMGetTypeKind(t)) {
    case LLVMVoidTypeKind: strbuf_puts(&p->out, "void"); break;
    case LLVMHalfTypeKind: strbuf_puts(&p->out, "half"); break;
    case LLVMFloatTypeKind: strbuf_puts(&p->out, "float"); break;
    case LLVMDoubleTypeKind: strbuf_puts(&p->out, "double"); break;
    case LLVMIntegerTypeKind: strbuf_printf(&p->out, "i%u", LLVMGetIntTypeWidth(t)); break;
    case LLVMPointerTypeKind: strbuf_puts(&p->out, "i8"), space(p, t); break;
    case LLVMVectorTypeKind: sequence(p, '<', LLVMGetVectorSize(t), LLVMGetElementType(t), '>'); break;
    case LLVMArrayTypeKind: sequence(p, '[', LLVMGetArrayLength2(t), LLVMGetElementType(t), ']'); break;
    case LLVMStructTypeKind: structure(p, t); break;
    default: nvvm_unknown(p, "a type", NULL);
    }
}

static uint64_t bits_of(LLVMValueRef v, unsigned width)
{
    LLVMTypeRef integer = LLVMIntTypeInContext(LLVMGetTypeContext(LLVMTypeOf(v)), width);
    return LLVMConstIntGetZExtValue(LLVMConstBitCast(v, integer));
}

/* float32 is written as the float64 of the same value; of a nan the bits are moved, for no conversion keeps them all. */
static uint64_t widened(uint32_t bits)
{
    float f;
    uint64_t wide = (uint64_t)(bits & 0x80000000u) << 32 | UINT64_C(0x7ff0000000000000) | (uint64_t)(bits & 0x007fffffu) << 29;
    memcpy(&f, &bits, sizeof f);
    double d = f;
    if ((bits & 0x7f800000u) != 0x7f800000u)
        memcpy(&wide, &d, sizeof wide);
    return wide;
}

static struct nvvm_word real_word(LLVMValueRef v)
{
    struct nvvm_word w;
    LLVMTypeKind kind = LLVMGetTypeKind(LLVMTypeOf(v));
    if (kind == LLVMHalfTypeKind)
        snprintf(w.s, sizeof w.s, "0xH%04X", (unsigned)bits_of(v, 16));
    else
        snprintf(w.s, sizeof w.s, "0x%016llX", (unsigned long long)(kind == LLVMDoubleTypeKind ? bits_of(v, 64) : widened((uint32_t)bits_of(v, 32))));
    return w;
}

static struct nvvm_word integer_word(LLVMValueRef v)
{
    struct nvvm_word w;
    if (LLVMGetIntTypeWidth(LLVMTypeOf(v)) == 1)
        snprintf(w.s, sizeof w.s, LLVMConstIntGetZExtValue(v) ? "true" : "false");
    else
        snprintf(w.s, sizeof w.s, "%lld", LLVMConstIntGetSExtValue(v));
    return w;
}

struct nvvm_word nvvm_word_of(struct nvvm_printer *p, LLVMValueRef v)
{
    struct nvvm_word w = {"undef"};
    size_t n;
    if (LLVMIsAConstantInt(v))
        return integer_word(v);
    if (LLVMIsAConstantFP(v))
        return real_word(v);
    if (LLVMIsUndef(v) || LLVMIsPoison(v))
        return w;
    if (LLVMIsConstant(v))
        nvvm_unknown(p, "a constant", v);
    else
        snprintf(w.s, sizeof w.s, "%%%s", LLVMGetValueName2(v, &n));
    return w;
}

/* Of a vector or an array. */
static void elements(struct nvvm_printer *p, LLVMValueRef v)
{
    LLVMTypeRef t = LLVMTypeOf(v);
    bool vector = LLVMGetTypeKind(t) == LLVMVectorTypeKind;
    unsigned n = vector ? LLVMGetVectorSize(t) : (unsigned)LLVMGetArrayLength2(t);
    strbuf_puts(&p->out, vector ? "<" : "[");
    for (unsigned i = 0; i < n; i++) {
        strbuf_puts(&p->out, i ? ", " : "");
        nvvm_typed(p, LLVMGetAggregateElement(v, i));
    }
    strbuf_puts(&p->out, vector ? ">" : "]");
}

static void global(struct nvvm_printer *p, LLVMValueRef v)
{
    size_t n;
    const char *name = LLVMGetValueName2(v, &n);
    strbuf_puts(&p->out, "bitcast (");
    nvvm_type(p, LLVMGlobalGetValueType(v));
    space(p, LLVMTypeOf(v));
    strbuf_printf(&p->out, " @%s to ", name);
    nvvm_type(p, LLVMTypeOf(v));
    strbuf_puts(&p->out, ")");
}

/* What LLVM folds an address into while it is built. */
static void expression(struct nvvm_printer *p, LLVMValueRef v)
{
    LLVMOpcode op = LLVMGetConstOpcode(v);
    if (op == LLVMGetElementPtr && LLVMGetNumOperands(v) == 2 && LLVMGetTypeKind(LLVMGetGEPSourceElementType(v)) == LLVMIntegerTypeKind) {
        strbuf_puts(&p->out, "getelementptr (i8, ");
        nvvm_typed(p, LLVMGetOperand(v, 0));
        strbuf_puts(&p->out, ", ");
        nvvm_typed(p, LLVMGetOperand(v, 1));
        strbuf_puts(&p->out, ")");
    } else if (op == LLVMIntToPtr || op == LLVMPtrToInt) {
        strbuf_puts(&p->out, op == LLVMIntToPtr ? "inttoptr (" : "ptrtoint (");
        nvvm_typed(p, LLVMGetOperand(v, 0));
        strbuf_puts(&p->out, " to ");
        nvvm_type(p, LLVMTypeOf(v));
        strbuf_puts(&p->out, ")");
    } else {
        nvvm_unknown(p, "a constant expression", v);
    }
}

void nvvm_value(struct nvvm_printer *p, LLVMValueRef v)
{
    if (LLVMIsAGlobalVariable(v))
        global(p, v);
    else if (LLVMIsAConstantExpr(v))
        expression(p, v);
    else if (LLVMIsUndef(v) || LLVMIsPoison(v))
        strbuf_puts(&p->out, "undef");
    else if (LLVMIsConstant(v) && LLVMIsNull(v) && !LLVMIsAConstantInt(v) && !LLVMIsAConstantFP(v))
        strbuf_puts(&p->out, LLVMGetTypeKind(LLVMTypeOf(v)) == LLVMPointerTypeKind ? "null" : "zeroinitializer");
    else if (LLVMIsConstant(v) && (LLVMGetTypeKind(LLVMTypeOf(v)) == LLVMVectorTypeKind || LLVMGetTypeKind(LLVMTypeOf(v)) == LLVMArrayTypeKind))
        elements(p, v);
    else
        strbuf_puts(&p->out, nvvm_word_of(p, v).s);
}

void nvvm_typed(struct nvvm_printer *p, LLVMValueRef v)
{
    nvvm_type(p, LLVMTypeOf(v));
    strbuf_puts(&p->out, " ");
    nvvm_value(p, v);
}

void nvvm_pointer_type(struct nvvm_printer *p, LLVMValueRef pointer, LLVMTypeRef t)
{
    nvvm_type(p, t);
    space(p, LLVMTypeOf(pointer));
}

struct nvvm_word nvvm_pointer_to(struct nvvm_printer *p, LLVMValueRef pointer, LLVMTypeRef t)
{
    struct nvvm_word w = nvvm_temporary(p);
    strbuf_printf(&p->out, "  %s = bitcast ", w.s);
    nvvm_typed(p, pointer);
    strbuf_puts(&p->out, " to ");
    nvvm_pointer_type(p, pointer, t);
    strbuf_puts(&p->out, "\n");
    return w;
}
