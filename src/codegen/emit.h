/*
 * Loop nests to an LLVM module: one emitter for all targets, which differ in a few facts (struct emit_target) and in
 * who does how much of a nest (a CPU worker takes a range, a GPU thread or warp its share).
 *
 * Takes a job (plan and variants); gives a module the caller owns, in the caller's context, or NULL with a diagnostic.
 * Entries: n0_main, n0_join, n1_main, ... (join only for nests that reduce).
 * CPU: void f(const int64_t *slots, int64_t begin, int64_t end). NVPTX: a kernel with one i64 parameter a slot.
 */
#ifndef AREX_CODEGEN_EMIT_H
#define AREX_CODEGEN_EMIT_H
#include <llvm-c/Core.h>
#include "codegen/codegen.h"

struct emit_target {
    enum codegen_target target;
    unsigned vector_bits; /* CPU */
    bool has_avx512;      /* vectors of 512 bits are registers, and the instructions that came with them are there */
    bool has_fma;
    bool has_round; /* to integers, in floats */
    bool has_half; /* an instruction for float16 to float32 and back */
    bool gathers; /* loads by a vector of indices are quick */
    enum codegen_generator generator;
    int sm;
};

LLVMModuleRef codegen_emit(LLVMContextRef ctx, const struct codegen_job *job, const struct emit_target *target,
                           struct diags *diags);

/*
 * How much work it is to make machine code of the functions after `last` (NULL: of all), in units of about one legal vector
 * instruction. Known before LLVM's passes run, which nothing can stop.
 */
uint64_t codegen_work(LLVMModuleRef mod, LLVMValueRef last, const struct emit_target *target);

#endif
