/* The one door of libarex-llvm.so: a job goes through emission, verification and the target's backend. */
#include <stdlib.h>
#include <string.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include "backend/nvvm.h"
#include "base/clock.h"

#define NO_SPAN ((struct span){0, 0})
#define EXPORT __attribute__((visibility("default")))

/* Everything LLVM that one call makes; freed on one path. */
struct work {
    struct backend_target target;
    LLVMContextRef ctx;
    LLVMModuleRef mod;
    LLVMMemoryBufferRef buffer;
    struct codegen_times times;
};

/* Without one, LLVM ends the process on its first error. */
static void on_diagnostic(LLVMDiagnosticInfoRef info, void *user)
{
    struct diags *diags = user;
    if (LLVMGetDiagInfoSeverity(info) != LLVMDSError)
        return;
    char *text = LLVMGetDiagInfoDescription(info);
    diag_add(diags, AX_codegen_failed, NO_SPAN, "code generation failed: %s", text ? text : "");
    LLVMDisposeMessage(text);
}

/* Small loops come out equally fast one level down, and a tenth sooner; long bodies (sin, log in float64) lose 5 to 8 %
 * of their speed there. For a GPU the level makes no difference. */
static LLVMCodeGenOptLevel level_for(const struct codegen_job *job)
{
    enum { SMALL_BODY = 16 };
    const struct loop_plan *p = job->plan;
    if (job->options.target != TARGET_CPU)
        return LLVMCodeGenLevelDefault;
    for (uint32_t i = 0; i < p->nests.n; i++)
        if (p->nests.at[i].main.order.n + p->nests.at[i].epilogue.order.n > SMALL_BODY)
            return LLVMCodeGenLevelDefault;
    return LLVMCodeGenLevelLess;
}

static bool work_init(struct work *w, const struct codegen_job *job, struct diags *diags)
{
    memset(w, 0, sizeof *w);
    uint64_t start = now_ns();
    if (!backend_target_init(&w->target, &job->options, level_for(job), diags))
        return false;
    w->ctx = LLVMContextCreate();
    LLVMContextSetDiagnosticHandler(w->ctx, on_diagnostic, diags);
    w->mod = codegen_emit(w->ctx, job, &w->target.emit, diags);
    if (!w->mod)
        return false;
    backend_prepare_module(&w->target, w->mod);
    uint64_t emitted = now_ns();
    bool ok = backend_verify(w->mod, diags);
    w->times.emit_ns = emitted - start;
    w->times.verify_ns = now_ns() - emitted;
    return ok;
}

static void work_fini(struct work *w)
{
    if (w->buffer)
        LLVMDisposeMemoryBuffer(w->buffer);
    if (w->mod)
        LLVMDisposeModule(w->mod);
    if (w->ctx)
        LLVMContextDispose(w->ctx);
    if (w->target.machine)
        backend_target_fini(&w->target);
}

/* ---- PTX ---- */

static bool taken_by_driver(const char *ptx, int most, struct diags *diags)
{
    int version = nvvm_ptx_version(ptx);
    if (!most || version <= most)
        return true;
    diag_add(diags, AX_driver_too_old, NO_SPAN, "this libNVVM writes PTX %d.%d, and the driver takes %d.%d: update the driver, use an older libNVVM, or the code generator nvptx",
             version / 10, version % 10, most / 10, most % 10);
    return false;
}

static char *nvvm_text(const struct work *w, const struct codegen_options *o, struct diags *diags)
{
    struct nvvm library;
    if (!nvvm_open(&library, o->nvvm, o->n_nvvm, diags))
        return NULL;
    char *text = nvvm_print(w->mod, diags), *ptx = text ? nvvm_compile(&library, text, w->target.cpu, diags) : NULL;
    nvvm_close(&library);
    free(text);
    if (ptx && taken_by_driver(ptx, o->ptx_version, diags))
        return ptx;
    free(ptx);
    return NULL;
}

/* As the code generator writes it. */
static char *raw_ptx(struct work *w, const struct codegen_options *o, struct diags *diags)
{
    if (o->generator == GENERATOR_NVVM)
        return nvvm_text(w, o, diags);
    w->buffer = backend_emit(&w->target, w->mod, false, diags);
    return w->buffer && !diags_has_errors(diags) ? strndup(LLVMGetBufferStart(w->buffer), LLVMGetBufferSize(w->buffer)) : NULL;
}

static char *ptx_text(struct work *w, const struct codegen_options *o, struct diags *diags)
{
    char *raw = raw_ptx(w, o, diags), *ptx = raw ? backend_ptx_mended(raw, strlen(raw)) : NULL;
    free(raw);
    return ptx;
}

static bool ptx_image(const struct work *w, char *ptx, struct kernel_image *out)
{
    unsigned count = 0;
    out->kind = IMAGE_PTX;
    for (LLVMValueRef fn = LLVMGetFirstFunction(w->mod); fn; fn = LLVMGetNextFunction(fn))
        count += !LLVMIsDeclaration(fn);
    out->bytes = (uint8_t *)ptx;
    out->entries = calloc(count + 1, sizeof *out->entries);
    if (!out->entries) {
        image_fini(out);
        return false;
    }
    out->size = strlen(ptx) + 1;
    for (LLVMValueRef fn = LLVMGetFirstFunction(w->mod); fn; fn = LLVMGetNextFunction(fn)) {
        size_t length;
        const char *name = LLVMGetValueName2(fn, &length);
        if (!LLVMIsDeclaration(fn) && length < sizeof out->entries->name)
            memcpy(out->entries[out->n_entries++].name, name, length);
    }
    return true;
}

static bool to_native(struct work *w, struct kernel_image *out, struct diags *diags)
{
    uint64_t start = now_ns();
    w->buffer = backend_emit(&w->target, w->mod, true, diags);
    if (!w->buffer || diags_has_errors(diags))
        return false;
    w->times.backend_ns = now_ns() - start;
    start = now_ns();
    bool ok = flatten_object((const uint8_t *)LLVMGetBufferStart(w->buffer), LLVMGetBufferSize(w->buffer), out, diags);
    w->times.link_ns = now_ns() - start;
    return ok;
}

static bool to_ptx(struct work *w, const struct codegen_options *o, struct kernel_image *out, struct diags *diags)
{
    uint64_t start = now_ns();
    char *ptx = ptx_text(w, o, diags);
    w->times.backend_ns = now_ns() - start;
    return ptx && ptx_image(w, ptx, out);
}

static bool to_image(struct work *w, const struct codegen_options *o, struct kernel_image *out, struct diags *diags)
{
    bool ok = o->target == TARGET_CPU ? to_native(w, out, diags) : to_ptx(w, o, out, diags);
    if (!ok && !diags_has_errors(diags))
        diag_add(diags, AX_out_of_memory, NO_SPAN, "out of memory while generating code");
    return ok;
}

static bool compile(const struct codegen_job *job, struct kernel_image *out, struct codegen_times *times, struct diags *diags)
{
    struct work w;
    memset(out, 0, sizeof *out);
    bool ok = work_init(&w, job, diags) && backend_runs_here(&w.target, diags) && to_image(&w, &job->options, out, diags);
    if (times)
        *times = w.times;
    work_fini(&w);
    return ok;
}

static bool optimise(struct work *w, struct diags *diags)
{
    LLVMPassBuilderOptionsRef o = LLVMCreatePassBuilderOptions();
    LLVMErrorRef e = LLVMRunPasses(w->mod, "default<O2>", w->target.machine, o);
    LLVMDisposePassBuilderOptions(o);
    if (!e)
        return true;
    char *message = LLVMGetErrorMessage(e);
    diag_add(diags, AX_codegen_failed, NO_SPAN, "passes failed: %s", message);
    LLVMDisposeErrorMessage(message);
    return false;
}

static bool module_text(struct work *w, char **out)
{
    char *text = LLVMPrintModuleToString(w->mod);
    *out = strdup(text);
    LLVMDisposeMessage(text);
    return *out != NULL;
}

static bool assembly_text(struct work *w, char **out, struct diags *diags)
{
    w->buffer = backend_emit(&w->target, w->mod, false, diags);
    if (!w->buffer || diags_has_errors(diags))
        return false;
    *out = strndup(LLVMGetBufferStart(w->buffer), LLVMGetBufferSize(w->buffer));
    return *out != NULL;
}

static bool is_stage(const char *stage, bool cpu)
{
    if (strcmp(stage, "llvm") == 0 || strcmp(stage, "opt") == 0)
        return true;
    return cpu ? strcmp(stage, "asm") == 0 : strcmp(stage, "ptx") == 0 || strcmp(stage, "nvvm") == 0;
}

static bool stage_text(struct work *w, const char *stage, const struct codegen_options *o, char **out, struct diags *diags)
{
    if (strcmp(stage, "llvm") == 0)
        return module_text(w, out);
    if (strcmp(stage, "opt") == 0)
        return optimise(w, diags) && module_text(w, out);
    if (o->target == TARGET_CPU)
        return assembly_text(w, out, diags);
    *out = strcmp(stage, "nvvm") == 0 ? nvvm_print(w->mod, diags) : ptx_text(w, o, diags);
    return *out != NULL;
}

static bool text(const struct codegen_job *job, const char *stage, char **out, struct diags *diags)
{
    struct work w;
    struct codegen_job own = *job;
    bool cpu = job->options.target == TARGET_CPU;
    *out = NULL;
    if (!cpu && strcmp(stage, "nvvm") == 0)
        own.options.generator = GENERATOR_NVVM;
    if (!is_stage(stage, cpu)) {
        diag_add(diags, AX_bad_stage, NO_SPAN, "the %s has no stage '%s': use llvm, opt%s", cpu ? "CPU" : "GPU", stage, cpu ? " or asm" : ", nvvm or ptx");
        return false;
    }
    bool ok = work_init(&w, &own, diags) && stage_text(&w, stage, &own.options, out, diags);
    if (!ok && !diags_has_errors(diags))
        diag_add(diags, AX_out_of_memory, NO_SPAN, "out of memory while generating code");
    work_fini(&w);
    return ok;
}

static bool find_nvvm(const struct codegen_place *places, unsigned n, struct codegen_nvvm *out, struct diags *diags)
{
    struct nvvm library;
    if (!nvvm_open(&library, places, n, diags))
        return false;
    bool ok = nvvm_describe(&library, out);
    nvvm_close(&library);
    return ok;
}

EXPORT const struct codegen_api *arex_llvm_api(void)
{
    static const struct codegen_api api = {sizeof api, compile, text, backend_host, find_nvvm};
    return &api;
}
