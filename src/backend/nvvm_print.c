/*
 * A module as text that every reader of libNVVM takes. See nvvm.h.
 *
 * Takes a verified module from src/codegen for a GPU, before any pass. Only what src/codegen builds has words here:
 * anything else is a diagnostic of ours. Names are given anew (%v0, %b0), since those of LLVM 22 are numbers that count
 * other things. The dialect: NVVM IR specification, version 2.0.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "backend/nvvm.h"

#define NO_SPAN ((struct span){0, 0})

/* The layout that the specification asks for; LLVM 22's own says more than the older reader knows. */
static const char header[] = "target datalayout = \"e-p:64:64:64-i1:8:8-i8:8:8-i16:16:16-i32:32:32-i64:64:64-i128:128:128-f32:32:32-f64:64:64-"
                             "v16:16:16-v32:32:32-v64:64:64-v128:128:128-n16:32:64\"\ntarget triple = \"nvptx64-nvidia-cuda\"\n\n";

void nvvm_unknown(struct nvvm_printer *p, const char *what, LLVMValueRef v)
{
    if (p->failed)
        return;
    p->failed = true;
    char *text = v ? LLVMPrintValueToString(v) : NULL;
    diag_add(p->diags, AX_nvvm_dialect, NO_SPAN, "libNVVM's dialect has no words for %s of this program; the code generator nvptx has", what);
    if (text)
        diag_note(p->diags, NO_SPAN, "%s", text);
    LLVMDisposeMessage(text);
}

struct nvvm_word nvvm_temporary(struct nvvm_printer *p)
{
    struct nvvm_word w;
    snprintf(w.s, sizeof w.s, "%%t%u", p->next++);
    return w;
}

/* ---- instructions ---- */

typedef void instruction_fn(struct nvvm_printer *p, LLVMValueRef i, const char *word);

static void result(struct nvvm_printer *p, LLVMValueRef i)
{
    size_t n;
    strbuf_printf(&p->out, "  %%%s = ", LLVMGetValueName2(i, &n));
}

static void comma_value(struct nvvm_printer *p, LLVMValueRef v)
{
    strbuf_puts(&p->out, ", ");
    nvvm_value(p, v);
}

static void comma_typed(struct nvvm_printer *p, LLVMValueRef v)
{
    strbuf_puts(&p->out, ", ");
    nvvm_typed(p, v);
}

static void binary(struct nvvm_printer *p, LLVMValueRef i, const char *word)
{
    result(p, i);
    strbuf_printf(&p->out, "%s ", word);
    nvvm_typed(p, LLVMGetOperand(i, 0));
    comma_value(p, LLVMGetOperand(i, 1));
}

/* The older reader has no word of its own for it, and knows this as the same. */
static void negation(struct nvvm_printer *p, LLVMValueRef i, const char *word)
{
    LLVMTypeRef t = LLVMTypeOf(i), scalar = nvvm_scalar(t);
    LLVMValueRef zero = LLVMConstReal(scalar, -0.0), zeros[64];
    unsigned n = nvvm_width(t);
    for (unsigned k = 0; k < n && k < 64; k++)
        zeros[k] = zero;
    result(p, i);
    strbuf_printf(&p->out, "%s ", word);
    nvvm_typed(p, n > 1 ? LLVMConstVector(zeros, n) : zero);
    comma_value(p, LLVMGetOperand(i, 0));
}

static void cast(struct nvvm_printer *p, LLVMValueRef i, const char *word)
{
    result(p, i);
    strbuf_printf(&p->out, "%s ", word);
    nvvm_typed(p, LLVMGetOperand(i, 0));
    strbuf_puts(&p->out, " to ");
    nvvm_type(p, LLVMTypeOf(i));
}

static void widening(struct nvvm_printer *p, LLVMValueRef i, const char *word)
{
    if (LLVMGetTypeKind(nvvm_scalar(LLVMTypeOf(LLVMGetOperand(i, 0)))) == LLVMHalfTypeKind)
        nvvm_widen_halves(p, i);
    else
        cast(p, i, word);
}

static const char *const int_predicates[] = {
    [LLVMIntEQ] = "eq", [LLVMIntNE] = "ne", [LLVMIntUGT] = "ugt", [LLVMIntUGE] = "uge", [LLVMIntULT] = "ult", [LLVMIntULE] = "ule",
    [LLVMIntSGT] = "sgt", [LLVMIntSGE] = "sge", [LLVMIntSLT] = "slt", [LLVMIntSLE] = "sle"};
static const char *const real_predicates[] = {
    [LLVMRealPredicateFalse] = "false", [LLVMRealOEQ] = "oeq", [LLVMRealOGT] = "ogt", [LLVMRealOGE] = "oge", [LLVMRealOLT] = "olt", [LLVMRealOLE] = "ole",
    [LLVMRealONE] = "one", [LLVMRealORD] = "ord", [LLVMRealUNO] = "uno", [LLVMRealUEQ] = "ueq", [LLVMRealUGT] = "ugt", [LLVMRealUGE] = "uge",
    [LLVMRealULT] = "ult", [LLVMRealULE] = "ule", [LLVMRealUNE] = "une", [LLVMRealPredicateTrue] = "true"};

static void comparison(struct nvvm_printer *p, LLVMValueRef i, const char *word)
{
    const char *how = LLVMGetInstructionOpcode(i) == LLVMICmp ? int_predicates[LLVMGetICmpPredicate(i)] : real_predicates[LLVMGetFCmpPredicate(i)];
    result(p, i);
    strbuf_printf(&p->out, "%s %s ", word, how);
    nvvm_typed(p, LLVMGetOperand(i, 0));
    comma_value(p, LLVMGetOperand(i, 1));
}

/* select, extractelement, insertelement: each operand with its type. */
static void listed(struct nvvm_printer *p, LLVMValueRef i, const char *word)
{
    result(p, i);
    strbuf_printf(&p->out, "%s ", word);
    for (unsigned k = 0; k < (unsigned)LLVMGetNumOperands(i); k++) {
        strbuf_puts(&p->out, k ? ", " : "");
        nvvm_typed(p, LLVMGetOperand(i, k));
    }
}

static void shuffle(struct nvvm_printer *p, LLVMValueRef i, const char *word)
{
    unsigned n = LLVMGetNumMaskElements(i);
    listed(p, i, word);
    strbuf_printf(&p->out, ", <%u x i32> <", n);
    for (unsigned k = 0; k < n; k++) {
        int at = LLVMGetMaskValue(i, k);
        strbuf_puts(&p->out, k ? ", i32 " : "i32 ");
        if (at == LLVMGetUndefMaskElem())
            strbuf_puts(&p->out, "undef");
        else
            strbuf_printf(&p->out, "%d", at);
    }
    strbuf_puts(&p->out, ">");
}

static void phi(struct nvvm_printer *p, LLVMValueRef i, const char *word)
{
    size_t n;
    result(p, i);
    strbuf_printf(&p->out, "%s ", word);
    nvvm_type(p, LLVMTypeOf(i));
    for (unsigned k = 0; k < LLVMCountIncoming(i); k++) {
        strbuf_puts(&p->out, k ? ", [ " : " [ ");
        nvvm_value(p, LLVMGetIncomingValue(i, k));
        strbuf_printf(&p->out, ", %%%s ]", LLVMGetValueName2(LLVMBasicBlockAsValue(LLVMGetIncomingBlock(i, k)), &n));
    }
}

static void label(struct nvvm_printer *p, LLVMValueRef branch, unsigned k)
{
    size_t n;
    strbuf_printf(&p->out, "label %%%s", LLVMGetValueName2(LLVMBasicBlockAsValue(LLVMGetSuccessor(branch, k)), &n));
}

enum { FIRST_LOOP = 10000 }; /* its number among the metadata */

static void jump(struct nvvm_printer *p, LLVMValueRef i, const char *word)
{
    strbuf_printf(&p->out, "  %s ", word);
    if (LLVMIsConditional(i)) {
        nvvm_typed(p, LLVMGetCondition(i));
        strbuf_puts(&p->out, ", ");
        label(p, i, 0);
        strbuf_puts(&p->out, ", ");
        label(p, i, 1);
    } else {
        label(p, i, 0);
    }
    /* the one thing that is said of loops: see turns.c */
    if (LLVMGetMetadata(i, LLVMGetMDKindIDInContext(LLVMGetModuleContext(p->mod), "llvm.loop", 9)))
        strbuf_printf(&p->out, ", !llvm.loop !%u", FIRST_LOOP + p->rolled++);
}

static void leave(struct nvvm_printer *p, LLVMValueRef i, const char *word)
{
    if (LLVMGetNumOperands(i))
        nvvm_unknown(p, "a result", i);
    strbuf_printf(&p->out, "  %s void", word);
}

/* ---- memory ---- */

static void alignment(struct nvvm_printer *p, LLVMValueRef i)
{
    strbuf_printf(&p->out, ", align %u", LLVMGetAlignment(i));
}

static void room(struct nvvm_printer *p, LLVMValueRef i, const char *word)
{
    struct nvvm_word w = nvvm_temporary(p);
    LLVMTypeRef t = LLVMGetAllocatedType(i);
    strbuf_printf(&p->out, "  %s = %s ", w.s, word);
    nvvm_type(p, t);
    alignment(p, i);
    strbuf_puts(&p->out, "\n");
    result(p, i);
    strbuf_puts(&p->out, "bitcast ");
    nvvm_pointer_type(p, i, t);
    strbuf_printf(&p->out, " %s to ", w.s);
    nvvm_type(p, LLVMTypeOf(i));
}

static const char *volatility(struct nvvm_printer *p, LLVMValueRef i)
{
    if (LLVMGetOrdering(i) != LLVMAtomicOrderingNotAtomic)
        nvvm_unknown(p, "an atomic access", i);
    return LLVMGetVolatile(i) ? " volatile" : "";
}

static void load(struct nvvm_printer *p, LLVMValueRef i, const char *word)
{
    LLVMTypeRef t = LLVMTypeOf(i);
    LLVMValueRef from = LLVMGetOperand(i, 0);
    struct nvvm_word at = nvvm_pointer_to(p, from, t);
    result(p, i);
    strbuf_printf(&p->out, "%s%s ", word, volatility(p, i));
    nvvm_type(p, t);
    strbuf_puts(&p->out, ", ");
    nvvm_pointer_type(p, from, t);
    strbuf_printf(&p->out, " %s", at.s);
    alignment(p, i);
}

static void store(struct nvvm_printer *p, LLVMValueRef i, const char *word)
{
    LLVMValueRef value = LLVMGetOperand(i, 0), to = LLVMGetOperand(i, 1);
    struct nvvm_word at = nvvm_pointer_to(p, to, LLVMTypeOf(value));
    strbuf_printf(&p->out, "  %s%s ", word, volatility(p, i));
    nvvm_typed(p, value);
    strbuf_puts(&p->out, ", ");
    nvvm_pointer_type(p, to, LLVMTypeOf(value));
    strbuf_printf(&p->out, " %s", at.s);
    alignment(p, i);
}

static void element(struct nvvm_printer *p, LLVMValueRef i, const char *word)
{
    LLVMTypeRef t = LLVMGetGEPSourceElementType(i);
    if (LLVMGetNumOperands(i) != 2 || LLVMGetTypeKind(t) != LLVMIntegerTypeKind || LLVMGetIntTypeWidth(t) != 8)
        nvvm_unknown(p, "an address", i);
    result(p, i);
    strbuf_printf(&p->out, "%s i8", word);
    comma_typed(p, LLVMGetOperand(i, 0));
    comma_typed(p, LLVMGetOperand(i, 1));
}

static void order(struct nvvm_printer *p, LLVMValueRef i, LLVMAtomicOrdering o)
{
    if (o != LLVMAtomicOrderingMonotonic)
        nvvm_unknown(p, "an atomic operation that orders others", i);
    strbuf_puts(&p->out, " monotonic");
}

static void atomic(struct nvvm_printer *p, LLVMValueRef i, const char *word)
{
    static const char *const names[] = {[LLVMAtomicRMWBinOpXchg] = "xchg", [LLVMAtomicRMWBinOpAdd] = "add", [LLVMAtomicRMWBinOpSub] = "sub",
                                        [LLVMAtomicRMWBinOpAnd] = "and",   [LLVMAtomicRMWBinOpOr] = "or",   [LLVMAtomicRMWBinOpXor] = "xor",
                                        [LLVMAtomicRMWBinOpMax] = "max",   [LLVMAtomicRMWBinOpMin] = "min", [LLVMAtomicRMWBinOpUMax] = "umax",
                                        [LLVMAtomicRMWBinOpUMin] = "umin"};
    LLVMAtomicRMWBinOp op = LLVMGetAtomicRMWBinOp(i);
    LLVMValueRef to = LLVMGetOperand(i, 0), value = LLVMGetOperand(i, 1);
    if (op == LLVMAtomicRMWBinOpFAdd) {
        nvvm_atomic_add(p, i);
        return;
    }
    if ((size_t)op >= sizeof names / sizeof *names || !names[op]) {
        nvvm_unknown(p, "an atomic operation", i);
        return;
    }
    struct nvvm_word at = nvvm_pointer_to(p, to, LLVMTypeOf(value));
    result(p, i);
    strbuf_printf(&p->out, "%s %s ", word, names[op]);
    nvvm_pointer_type(p, to, LLVMTypeOf(value));
    strbuf_printf(&p->out, " %s", at.s);
    comma_typed(p, value);
    order(p, i, LLVMGetOrdering(i));
}

static void exchange(struct nvvm_printer *p, LLVMValueRef i, const char *word)
{
    LLVMValueRef to = LLVMGetOperand(i, 0), value = LLVMGetOperand(i, 1);
    struct nvvm_word at = nvvm_pointer_to(p, to, LLVMTypeOf(value));
    result(p, i);
    strbuf_printf(&p->out, "%s ", word);
    nvvm_pointer_type(p, to, LLVMTypeOf(value));
    strbuf_printf(&p->out, " %s", at.s);
    comma_typed(p, value);
    comma_typed(p, LLVMGetOperand(i, 2));
    order(p, i, LLVMGetCmpXchgSuccessOrdering(i));
    order(p, i, LLVMGetCmpXchgFailureOrdering(i));
}

static void field(struct nvvm_printer *p, LLVMValueRef i, const char *word)
{
    result(p, i);
    strbuf_printf(&p->out, "%s ", word);
    nvvm_typed(p, LLVMGetOperand(i, 0));
    for (unsigned k = 0; k < LLVMGetNumIndices(i); k++)
        strbuf_printf(&p->out, ", %u", LLVMGetIndices(i)[k]);
}

static void call(struct nvvm_printer *p, LLVMValueRef i, const char *word)
{
    (void)word;
    nvvm_call(p, i);
}

static const struct words {
    LLVMOpcode op;
    const char *word;
    instruction_fn *print;
} words[] = {
    {LLVMAdd, "add", binary}, {LLVMSub, "sub", binary}, {LLVMMul, "mul", binary}, {LLVMUDiv, "udiv", binary}, {LLVMSDiv, "sdiv", binary},
    {LLVMURem, "urem", binary}, {LLVMSRem, "srem", binary}, {LLVMShl, "shl", binary}, {LLVMLShr, "lshr", binary}, {LLVMAShr, "ashr", binary},
    {LLVMAnd, "and", binary}, {LLVMOr, "or", binary}, {LLVMXor, "xor", binary}, {LLVMFAdd, "fadd", binary}, {LLVMFSub, "fsub", binary},
    {LLVMFMul, "fmul", binary}, {LLVMFDiv, "fdiv", binary}, {LLVMFNeg, "fsub", negation}, {LLVMICmp, "icmp", comparison}, {LLVMFCmp, "fcmp", comparison},
    {LLVMTrunc, "trunc", cast}, {LLVMZExt, "zext", cast}, {LLVMSExt, "sext", cast}, {LLVMFPToUI, "fptoui", cast}, {LLVMFPToSI, "fptosi", cast},
    {LLVMUIToFP, "uitofp", cast}, {LLVMSIToFP, "sitofp", cast}, {LLVMFPTrunc, "fptrunc", cast}, {LLVMFPExt, "fpext", widening},
    {LLVMPtrToInt, "ptrtoint", cast}, {LLVMIntToPtr, "inttoptr", cast}, {LLVMBitCast, "bitcast", cast}, {LLVMSelect, "select", listed},
    {LLVMExtractElement, "extractelement", listed}, {LLVMInsertElement, "insertelement", listed}, {LLVMShuffleVector, "shufflevector", shuffle},
    {LLVMPHI, "phi", phi}, {LLVMBr, "br", jump}, {LLVMRet, "ret", leave}, {LLVMAlloca, "alloca", room}, {LLVMLoad, "load", load},
    {LLVMStore, "store", store}, {LLVMGetElementPtr, "getelementptr", element}, {LLVMAtomicRMW, "atomicrmw", atomic},
    {LLVMAtomicCmpXchg, "cmpxchg", exchange}, {LLVMExtractValue, "extractvalue", field}, {LLVMCall, "call", call},
};

static void instruction(struct nvvm_printer *p, LLVMValueRef i)
{
    LLVMOpcode op = LLVMGetInstructionOpcode(i);
    for (unsigned k = 0; k < sizeof words / sizeof *words; k++)
        if (words[k].op == op) {
            words[k].print(p, i, words[k].word);
            if (p->out.n && p->out.s[p->out.n - 1] != '\n')
                strbuf_puts(&p->out, "\n");
            return;
        }
    nvvm_unknown(p, "an instruction", i);
}

/* ---- functions ---- */

static void rename_one(LLVMValueRef v, char kind, unsigned n)
{
    char name[16];
    int length = snprintf(name, sizeof name, "%c%u", kind, n);
    LLVMSetValueName2(v, name, (size_t)length);
}

/* First all names go, so that no new one is met by an old one and changed. */
static void rename_all(LLVMValueRef fn)
{
    unsigned values = 0, blocks = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(fn); b; b = LLVMGetNextBasicBlock(b)) {
            if (pass)
                rename_one(LLVMBasicBlockAsValue(b), 'b', blocks++);
            else
                LLVMSetValueName2(LLVMBasicBlockAsValue(b), "", 0);
            for (LLVMValueRef i = LLVMGetFirstInstruction(b); i; i = LLVMGetNextInstruction(i)) {
                if (LLVMGetTypeKind(LLVMTypeOf(i)) == LLVMVoidTypeKind)
                    continue;
                if (pass)
                    rename_one(i, 'v', values++);
                else
                    LLVMSetValueName2(i, "", 0);
            }
        }
    }
    for (unsigned k = 0; k < LLVMCountParams(fn); k++)
        rename_one(LLVMGetParam(fn, k), 'a', k);
}

static void parameters(struct nvvm_printer *p, LLVMValueRef fn, bool named)
{
    for (unsigned k = 0; k < LLVMCountParams(fn); k++) {
        strbuf_puts(&p->out, k ? ", " : "");
        nvvm_type(p, LLVMTypeOf(LLVMGetParam(fn, k)));
        if (named)
            strbuf_printf(&p->out, " %%a%u", k);
    }
}

static void function(struct nvvm_printer *p, LLVMValueRef fn)
{
    size_t n;
    rename_all(fn);
    p->next = 0;
    strbuf_printf(&p->out, "define void @%s(", LLVMGetValueName2(fn, &n));
    parameters(p, fn, true);
    strbuf_puts(&p->out, ") {\n");
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(fn); b && !p->failed; b = LLVMGetNextBasicBlock(b)) {
        strbuf_printf(&p->out, "%s:\n", LLVMGetValueName2(LLVMBasicBlockAsValue(b), &n));
        for (LLVMValueRef i = LLVMGetFirstInstruction(b); i && !p->failed; i = LLVMGetNextInstruction(i))
            instruction(p, i);
    }
    strbuf_puts(&p->out, "}\n\n");
}

/* Shared memory, whose size is the launch's where it is from outside, and constant tables. */
static void globals(struct nvvm_printer *p)
{
    unsigned count = 0;
    for (LLVMValueRef g = LLVMGetFirstGlobal(p->mod); g; g = LLVMGetNextGlobal(g)) {
        LLVMValueRef start = LLVMGetInitializer(g);
        bool outside = !start, constant = LLVMIsGlobalConstant(g) && LLVMGetTypeKind(LLVMGlobalGetValueType(g)) == LLVMArrayTypeKind;
        if (!outside && !LLVMIsUndef(start) && !constant)
            nvvm_unknown(p, "a global", g);
        rename_one(g, 's', count);
        strbuf_printf(&p->out, "@s%u = %s addrspace(%u) %s ", count++, outside ? "external" : "internal", LLVMGetPointerAddressSpace(LLVMTypeOf(g)), constant ? "constant" : "global");
        if (outside)
            nvvm_type(p, LLVMGlobalGetValueType(g));
        else
            nvvm_typed(p, start);
        alignment(p, g);
        strbuf_puts(&p->out, "\n");
    }
}

static void annotation(struct nvvm_printer *p, LLVMValueRef fn, const char *what, const char *value, unsigned *count)
{
    size_t n;
    strbuf_printf(&p->out, "!%u = !{void (", (*count)++);
    parameters(p, fn, false);
    strbuf_printf(&p->out, ")* @%s, !\"%s\", i32 %s}\n", LLVMGetValueName2(fn, &n), what, value);
}

/* What LLVM 22 keeps as a calling convention and an attribute. */
static void annotations(struct nvvm_printer *p)
{
    static const char threads[] = "nvvm.maxntid";
    unsigned count = 0, n;
    for (LLVMValueRef fn = LLVMGetFirstFunction(p->mod); fn; fn = LLVMGetNextFunction(fn)) {
        LLVMAttributeRef most = LLVMGetStringAttributeAtIndex(fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, threads, sizeof threads - 1);
        if (LLVMIsDeclaration(fn))
            continue;
        annotation(p, fn, "kernel", "1", &count);
        if (most)
            annotation(p, fn, "maxntidx", LLVMGetStringAttributeValue(most, &n), &count);
    }
    strbuf_puts(&p->out, "!nvvm.annotations = !{");
    for (unsigned i = 0; i < count; i++)
        strbuf_printf(&p->out, "%s!%u", i ? ", " : "", i);
    strbuf_printf(&p->out, "}\n!%u = !{i32 2, i32 0}\n!nvvmir.version = !{!%u}\n", count, count);
}

static void rolled_loops(struct nvvm_printer *p)
{
    unsigned disable = FIRST_LOOP + p->rolled;
    for (unsigned i = FIRST_LOOP; i < disable; i++)
        strbuf_printf(&p->out, "!%u = distinct !{!%u, !%u}\n", i, i, disable);
    if (p->rolled)
        strbuf_printf(&p->out, "!%u = !{!\"llvm.loop.unroll.disable\"}\n", disable);
}

char *nvvm_print(LLVMModuleRef mod, struct diags *diags)
{
    struct nvvm_printer p = {.mod = mod, .diags = diags};
    strbuf_puts(&p.out, header);
    globals(&p);
    for (LLVMValueRef fn = LLVMGetFirstFunction(mod); fn && !p.failed; fn = LLVMGetNextFunction(fn))
        if (!LLVMIsDeclaration(fn))
            function(&p, fn);
    if (p.declares.n)
        strbuf_add(&p.out, p.declares.s, p.declares.n);
    strbuf_puts(&p.out, "\n");
    annotations(&p);
    rolled_loops(&p);
    bool lost = p.declares.failed || p.out.failed;
    strbuf_fini(&p.declares);
    char *text = p.failed || lost ? NULL : strbuf_take(&p.out);
    if (!text && !p.failed)
        diag_add(diags, AX_out_of_memory, NO_SPAN, "out of memory while generating code");
    strbuf_fini(&p.out);
    return text;
}
