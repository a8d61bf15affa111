/* Which machine code is made for: the host, a level of x86-64, or a GPU. Names are checked here, before LLVM sees them. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <llvm-c/Analysis.h>
#include <llvm-c/ErrorHandling.h>
#include <llvm-c/Support.h>
#include <llvm-c/Target.h>
#include "backend/backend.h"

#define NO_SPAN ((struct span){0, 0})

/* The least PTX version with which LLVM makes code for each GPU. Code is always made with it: nothing emitted needs a
 * newer one, and a driver takes every version up to its own. */
static const struct gpu_arch {
    int sm, ptx;
} gpu_archs[] = {{75, 63}, {80, 70}, {86, 71}, {87, 74}, {88, 90}, {89, 78}, {90, 78}, {100, 86}, {101, 86}, {103, 88}, {110, 90}, {120, 87}, {121, 88}};

/* Nothing can be done for LLVM once it calls this; it must not print. */
static void on_fatal_error(const char *reason)
{
    (void)reason;
}

static void init_once(void)
{
    /* Addresses are emitted the way they shall stay, and the processors that AVX2 code runs on order instructions
     * themselves: without the passes that see to either, code is as fast and made in two thirds of the time. This LLVM is
     * private to the library: nobody else's options change. */
    static const char *const options[] = {"arex", "-disable-lsr", "-enable-misched=false", "-disable-post-ra"};
    LLVMParseCommandLineOptions(sizeof options / sizeof *options, options, "");
    LLVMInstallFatalErrorHandler(on_fatal_error);
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
}

void backend_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_once);
}

static bool has(const char *features, const char *name)
{
    size_t n = strlen(name);
    for (const char *s = strstr(features, name); s; s = strstr(s + 1, name))
        if (s > features && s[-1] == '+' && (s[n] == ',' || s[n] == 0))
            return true;
    return false;
}

static unsigned vector_bits(const char *features)
{
    if (has(features, "avx512f") && has(features, "avx512vl") && has(features, "avx512bw") && has(features, "avx512dq"))
        return 512;
    return has(features, "avx2") ? 256 : 128;
}

/* As LLVM calls them. Others' gathers take several operations an element, or were slowed down for safety's sake (Intel's before these, 2023). */
static const char *const quick_gatherers[] = {"sapphirerapids", "emeraldrapids", "graniterapids", "graniterapids-d", "diamondrapids"};

static bool gathers_quickly(const char *cpu)
{
    for (unsigned i = 0; i < sizeof quick_gatherers / sizeof *quick_gatherers; i++)
        if (strcmp(cpu, quick_gatherers[i]) == 0)
            return true;
    return false;
}

struct level {
    const char *name, *features;
};

static const struct level levels[] = {
#define ARCH(name, features) {name, features},
#include "archs.def"
#undef ARCH
};

static bool cpu_target(struct backend_target *t, const char *arch, struct diags *diags)
{
    t->emit.target = TARGET_CPU;
    t->triple = LLVMGetDefaultTargetTriple();
    if (!arch || !arch[0] || strcmp(arch, "native") == 0) {
        t->cpu = LLVMGetHostCPUName();
        t->features = LLVMGetHostCPUFeatures();
        return true;
    }
    for (unsigned i = 0; i < sizeof levels / sizeof *levels; i++)
        if (strcmp(arch, levels[i].name) == 0) {
            t->owned_by_us = true;
            t->cpu = strdup(levels[i].name);
            t->features = strdup(levels[i].features);
            return t->cpu && t->features;
        }
    diag_add(diags, AX_bad_arch, NO_SPAN, "unknown architecture '%s' for the CPU: use native, x86-64, x86-64-v2, x86-64-v3 or x86-64-v4", arch);
    return false;
}

/* Exact names only. What a GPU that is not listed can run is for the caller, who knows the device, to say. */
static const struct gpu_arch *find_gpu(const char *arch)
{
    char name[16];
    for (unsigned i = 0; i < sizeof gpu_archs / sizeof *gpu_archs; i++) {
        snprintf(name, sizeof name, "sm_%d", gpu_archs[i].sm);
        if (strcmp(arch, name) == 0)
            return &gpu_archs[i];
    }
    return NULL;
}

static bool gpu_target(struct backend_target *t, const struct codegen_options *o, struct diags *diags)
{
    const char *arch = o->arch && o->arch[0] ? o->arch : "sm_90";
    char cpu[16], features[16];
    const struct gpu_arch *found = find_gpu(arch);
    if (!found) {
        diag_add(diags, AX_bad_arch, NO_SPAN, "unknown architecture '%s' for the GPU: use sm_75, 80, 86 to 90, 100, 101, 103, 110, 120 or 121", arch);
        return false;
    }
    if (o->ptx_version && o->ptx_version < found->ptx) {
        diag_add(diags, AX_driver_too_old, NO_SPAN, "the driver takes PTX %d.%d, and sm_%d needs %d.%d: update the driver", o->ptx_version / 10,
                 o->ptx_version % 10, found->sm, found->ptx / 10, found->ptx % 10);
        return false;
    }
    snprintf(cpu, sizeof cpu, "sm_%d", found->sm);
    snprintf(features, sizeof features, "+ptx%d", found->ptx);
    t->emit.target = TARGET_NVPTX;
    t->emit.sm = found->sm;
    t->emit.generator = o->generator;
    t->emit.vector_bits = 128;
    t->emit.has_fma = true;
    t->emit.has_round = true;
    t->emit.has_half = true;
    t->owned_by_us = true;
    t->triple = LLVMCreateMessage("nvptx64-nvidia-cuda");
    t->cpu = strdup(cpu);
    t->features = strdup(features);
    return t->cpu && t->features;
}

bool backend_target_init(struct backend_target *t, const struct codegen_options *o, LLVMCodeGenOptLevel level, struct diags *diags)
{
    memset(t, 0, sizeof *t);
    backend_init();
    bool ok = o->target == TARGET_CPU ? cpu_target(t, o->arch, diags) : gpu_target(t, o, diags);
    LLVMTargetRef target;
    char *message = NULL;
    if (ok && LLVMGetTargetFromTriple(t->triple, &target, &message)) {
        diag_add(diags, AX_codegen_failed, NO_SPAN, "no code generator for %s: %s", t->triple, message ? message : "");
        LLVMDisposeMessage(message);
        ok = false;
    }
    if (ok)
        t->machine = LLVMCreateTargetMachine(target, t->triple, t->cpu, t->features, level, LLVMRelocPIC, LLVMCodeModelSmall);
    if (!t->machine) {
        if (!diags_has_errors(diags))
            diag_add(diags, AX_codegen_failed, NO_SPAN, "no target machine could be made");
        backend_target_fini(t);
        return false;
    }
    if (o->target == TARGET_CPU) {
        t->emit.vector_bits = vector_bits(t->features);
        t->emit.has_avx512 = t->emit.vector_bits == 512;
        t->emit.has_fma = has(t->features, "fma");
        t->emit.has_round = has(t->features, "sse4.1");
        t->emit.has_half = has(t->features, "f16c");
        t->emit.gathers = t->emit.has_avx512 && gathers_quickly(t->cpu);
    }
    return true;
}

void backend_target_fini(struct backend_target *t)
{
    if (t->machine)
        LLVMDisposeTargetMachine(t->machine);
    if (t->owned_by_us) {
        free(t->cpu);
        free(t->features);
    } else {
        LLVMDisposeMessage(t->cpu);
        LLVMDisposeMessage(t->features);
    }
    LLVMDisposeMessage(t->triple);
    memset(t, 0, sizeof *t);
}

static void add_attribute(LLVMValueRef fn, const char *key, const char *value)
{
    LLVMContextRef ctx = LLVMGetModuleContext(LLVMGetGlobalParent(fn));
    LLVMAttributeRef a = LLVMCreateStringAttribute(ctx, key, (unsigned)strlen(key), value, (unsigned)strlen(value));
    LLVMAddAttributeAtIndex(fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, a);
}

static void add_flag(LLVMValueRef fn, const char *name)
{
    LLVMContextRef ctx = LLVMGetModuleContext(LLVMGetGlobalParent(fn));
    LLVMAddAttributeAtIndex(fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, LLVMCreateEnumAttribute(ctx, LLVMGetEnumAttributeKindForName(name, strlen(name)), 0));
}

void backend_prepare_module(const struct backend_target *t, LLVMModuleRef mod)
{
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(t->machine);
    LLVMSetModuleDataLayout(mod, layout);
    LLVMDisposeTargetData(layout);
    LLVMSetTarget(mod, t->triple);
    for (LLVMValueRef fn = LLVMGetFirstFunction(mod); fn; fn = LLVMGetNextFunction(fn)) {
        if (LLVMIsDeclaration(fn))
            continue;
        add_attribute(fn, "target-cpu", t->cpu);
        add_attribute(fn, "target-features", t->features);
        add_flag(fn, "nounwind");
        if (t->emit.target == TARGET_CPU) {
            add_attribute(fn, "prefer-vector-width", t->emit.vector_bits == 512 ? "512" : "256");
            add_attribute(fn, "no-builtins", "");
        }
    }
}

/* The first of `wanted` that the host lacks, into name; false when it has them all. */
static bool lacks(const char *host, const char *wanted, char *name, size_t size)
{
    for (const char *at = wanted; *at; at += *at == ',') {
        size_t n = strcspn(at, ",");
        snprintf(name, size, "%.*s", (int)n - 1, at + 1);
        if (!has(host, name))
            return true;
        at += n;
    }
    return false;
}

bool backend_runs_here(const struct backend_target *t, struct diags *diags)
{
    char name[32];
    if (t->emit.target != TARGET_CPU || !t->owned_by_us)
        return true;
    char *host = LLVMGetHostCPUFeatures();
    bool foreign = lacks(host, t->features, name, sizeof name);
    LLVMDisposeMessage(host);
    if (foreign)
        diag_add(diags, AX_foreign_arch, NO_SPAN, "this machine cannot run code for %s: its processor has no %s", t->cpu, name);
    return !foreign;
}

bool backend_host(struct codegen_host *out, struct diags *diags)
{
    struct backend_target t;
    struct codegen_options o = {.target = TARGET_CPU, .arch = ""};
    unsigned major, minor, patch;
    memset(out, 0, sizeof *out);
    if (!backend_target_init(&t, &o, LLVMCodeGenLevelDefault, diags))
        return false;
    LLVMGetVersion(&major, &minor, &patch);
    snprintf(out->llvm_version, sizeof out->llvm_version, "%u.%u.%u", major, minor, patch);
    snprintf(out->cpu, sizeof out->cpu, "%s", t.cpu);
    snprintf(out->features, sizeof out->features, "%s", t.features);
    out->vector_bits = t.emit.vector_bits;
    out->has_fma = t.emit.has_fma;
    backend_target_fini(&t);
    return true;
}

bool backend_verify(LLVMModuleRef mod, struct diags *diags)
{
    char *message = NULL;
    bool bad = LLVMVerifyModule(mod, LLVMReturnStatusAction, &message);
    if (bad)
        diag_add(diags, AX_internal, NO_SPAN, "the code generator made invalid code: %s", message ? message : "");
    LLVMDisposeMessage(message);
    return !bad;
}

LLVMMemoryBufferRef backend_emit(const struct backend_target *t, LLVMModuleRef mod, bool object, struct diags *diags)
{
    LLVMMemoryBufferRef buffer = NULL;
    char *message = NULL;
    if (LLVMTargetMachineEmitToMemoryBuffer(t->machine, mod, object ? LLVMObjectFile : LLVMAssemblyFile, &message, &buffer)) {
        diag_add(diags, AX_codegen_failed, NO_SPAN, "code generation failed: %s", message ? message : "no reason given");
        LLVMDisposeMessage(message);
        return NULL;
    }
    return buffer;
}
