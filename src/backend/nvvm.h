/*
 * libNVVM, the second way from an LLVM module to PTX: NVIDIA's own optimiser and code generator, reached by dlopen.
 *
 * A module goes to it as text (nvvm_print.c), because its readers know older dialects than this LLVM writes: that of
 * LLVM 7 for GPUs before compute capability 10, a later one from there on. Both take pointers with types, so that is
 * what is written. Nothing here is kept between calls; every function may be called from any thread.
 */
#ifndef AREX_BACKEND_NVVM_H
#define AREX_BACKEND_NVVM_H
#include "backend/backend.h"
#include "base/str.h"

enum { NVVM_SUCCESS = 0 };

/* The library, open. */
struct nvvm {
    void *library;
#define NVVM(field, symbol, result, parameters) result(*field) parameters;
#include "nvvm.def"
#undef NVVM
};

/* ---- nvvm_library.c ---- */
/* The first of the places where there is one that can be used. False with a diagnostic that lists all of them. */
bool nvvm_open(struct nvvm *n, const struct codegen_place *places, unsigned n_places, struct diags *diags);
void nvvm_close(struct nvvm *n);
bool nvvm_describe(const struct nvvm *n, struct codegen_nvvm *out);

/* ---- nvvm_compile.c ---- */
/* PTX as the library writes it, malloc'd; NULL with a diagnostic, its log as notes. arch: sm_90. */
char *nvvm_compile(const struct nvvm *n, const char *text, const char *arch, struct diags *diags);
/* "7.8" is 78 of PTX that says so in its head; 0 when it says nothing. */
int nvvm_ptx_version(const char *ptx);

/* ---- nvvm_print.c ---- */
/* The module in libNVVM's dialect, malloc'd; values lose their names. NULL with a diagnostic when the module holds what
 * the dialect has no words for, or when memory ran out. */
char *nvvm_print(LLVMModuleRef mod, struct diags *diags);

/* ---- shared by the files of the printer ---- */

struct nvvm_printer {
    struct strbuf out, declares;
    LLVMModuleRef mod;
    struct diags *diags;
    unsigned next;   /* number of the next value of the printer's own, %tN */
    unsigned rolled; /* loops that are not to be unrolled */
    bool failed;
};

/* A number, or the name of a value that is no vector. */
struct nvvm_word {
    char s[40];
};

/* Says what there are no words for. */
void nvvm_unknown(struct nvvm_printer *p, const char *what, LLVMValueRef v);
struct nvvm_word nvvm_temporary(struct nvvm_printer *p);
unsigned nvvm_width(LLVMTypeRef t); /* elements of a vector, 1 of anything else */
LLVMTypeRef nvvm_scalar(LLVMTypeRef t);

/* ---- nvvm_values.c ---- */
void nvvm_type(struct nvvm_printer *p, LLVMTypeRef t);
void nvvm_value(struct nvvm_printer *p, LLVMValueRef v); /* its name, or the constant */
void nvvm_typed(struct nvvm_printer *p, LLVMValueRef v); /* type and value */
struct nvvm_word nvvm_word_of(struct nvvm_printer *p, LLVMValueRef v);
/* A value that points to `t`, made before the line that uses it. */
struct nvvm_word nvvm_pointer_to(struct nvvm_printer *p, LLVMValueRef pointer, LLVMTypeRef t);
void nvvm_pointer_type(struct nvvm_printer *p, LLVMValueRef pointer, LLVMTypeRef t); /* "float addrspace(1)*" */

/* ---- nvvm_calls.c ---- */
void nvvm_call(struct nvvm_printer *p, LLVMValueRef call);
void nvvm_widen_halves(struct nvvm_printer *p, LLVMValueRef cast);
void nvvm_atomic_add(struct nvvm_printer *p, LLVMValueRef rmw); /* of floats */

#endif
