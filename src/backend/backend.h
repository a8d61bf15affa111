/*
 * From an LLVM module to bytes a device can load. Shared by the files of src/backend only.
 */
#ifndef AREX_BACKEND_H
#define AREX_BACKEND_H
#include <llvm-c/Core.h>
#include <llvm-c/TargetMachine.h>
#include "codegen/emit.h"

/* A target machine and what code for it must carry. Made by backend_target_init, freed by backend_target_fini. */
struct backend_target {
    struct emit_target emit;
    LLVMTargetMachineRef machine;
    char *triple, *cpu, *features; /* LLVM's strings */
    bool owned_by_us;              /* cpu and features are malloc'd */
};

void backend_init(void); /* targets, once */
bool backend_target_init(struct backend_target *t, const struct codegen_options *options, LLVMCodeGenOptLevel level, struct diags *diags);
void backend_target_fini(struct backend_target *t);
/* Can the machine we are on run its code? A GPU's is for the driver to say. */
bool backend_runs_here(const struct backend_target *t, struct diags *diags);
/* Triple, layout, and on every function the cpu and features code is made for. */
void backend_prepare_module(const struct backend_target *t, LLVMModuleRef mod);
bool backend_host(struct codegen_host *out, struct diags *diags);

/* Verified first: LLVM crashes on invalid IR. */
bool backend_verify(LLVMModuleRef mod, struct diags *diags);
/* object: 1 for machine code, 0 for assembly (or PTX). */
LLVMMemoryBufferRef backend_emit(const struct backend_target *t, LLVMModuleRef mod, bool object, struct diags *diags);

/* PTX that no assembler misreads, malloc'd; NULL when memory ran out. Every PTX goes through it. */
char *backend_ptx_mended(const char *ptx, size_t n);

/* An ELF64 object of the CPU becomes a blob (see base/image.h). Every offset in it is checked. */
bool flatten_object(const uint8_t *bytes, size_t size, struct kernel_image *out, struct diags *diags);

#endif
