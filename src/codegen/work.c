/* How long LLVM will be at a module: counted, since a clock in its passes could stop none of them. */
#include "codegen/emit.h"

static unsigned element_bits(LLVMTypeRef t)
{
    switch (LLVMGetTypeKind(t)) {
    case LLVMIntegerTypeKind:
        return LLVMGetIntTypeWidth(t);
    case LLVMHalfTypeKind:
        return 16;
    case LLVMFloatTypeKind:
        return 32;
    default:
        return 64;
    }
}

/* Instructions that one on a value of this type becomes. A GPU has no vectors. */
static unsigned pieces(LLVMTypeRef t, const struct emit_target *target)
{
    if (LLVMGetTypeKind(t) != LLVMVectorTypeKind)
        return 1;
    unsigned n = LLVMGetVectorSize(t), bits = n * element_bits(LLVMGetElementType(t));
    if (target->target != TARGET_CPU)
        return n;
    return bits > target->vector_bits ? bits / target->vector_bits : 1;
}

/* No CPU divides integers in vectors: each element is taken out, divided and put back. */
static unsigned of_division(LLVMTypeRef t)
{
    enum { EACH = 8 };
    return EACH * (LLVMGetTypeKind(t) == LLVMVectorTypeKind ? LLVMGetVectorSize(t) : 1);
}

/* Elements that become wider or narrower cross from one vector register to others. */
enum { OF_A_CAST = 4 };

static unsigned of_instruction(LLVMValueRef i, const struct emit_target *target)
{
    LLVMTypeRef result = LLVMTypeOf(i),
                first = LLVMGetNumOperands(i) ? LLVMTypeOf(LLVMGetOperand(i, 0)) : result;
    unsigned a = pieces(result, target), b = pieces(first, target);
    switch (LLVMGetInstructionOpcode(i)) {
    case LLVMUDiv:
    case LLVMSDiv:
    case LLVMURem:
    case LLVMSRem:
        return of_division(result);
    case LLVMSExt:
    case LLVMZExt:
    case LLVMTrunc:
    case LLVMSIToFP:
    case LLVMUIToFP:
    case LLVMFPToSI:
    case LLVMFPToUI:
        return OF_A_CAST * (a > b ? a : b);
    case LLVMExtractElement:
    case LLVMInsertElement:
        return 1;
    default:
        return a > b ? a : b;
    }
}

static uint64_t of_function(LLVMValueRef fn, const struct emit_target *target)
{
    uint64_t work = 0;
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(fn); b; b = LLVMGetNextBasicBlock(b))
        for (LLVMValueRef i = LLVMGetFirstInstruction(b); i; i = LLVMGetNextInstruction(i))
            work += of_instruction(i, target);
    return work;
}

uint64_t codegen_work(LLVMModuleRef mod, LLVMValueRef last, const struct emit_target *target)
{
    uint64_t work = 0;
    for (LLVMValueRef fn = last ? LLVMGetNextFunction(last) : LLVMGetFirstFunction(mod); fn;
         fn = LLVMGetNextFunction(fn))
        work += of_function(fn, target);
    return work;
}
