/*
 * The code generator's door: libarex-llvm.so exports one function, arex_llvm_api, that gives this table.
 *
 * Takes a plan and one variant a nest; gives a kernel image or the text of a stage. Stateless between calls, callable
 * from any thread; every LLVM object is made and freed inside a call.
 */
#ifndef AREX_CODEGEN_H
#define AREX_CODEGEN_H
#include "base/image.h"
#include "loop/loop.h"

enum codegen_target { TARGET_CPU, TARGET_NVPTX };

/* Who makes PTX of a module. */
enum codegen_generator { GENERATOR_NVPTX, GENERATOR_NVVM };

/* Where a part of a CUDA toolkit may lie, and what would put it there. */
struct codegen_place {
    const char *path, *provider;
};

struct codegen_options {
    enum codegen_target target;
    /* CPU: "" or "native" for the host, else a row of grammar/archs.def. NVPTX: "sm_90". Checked before use. */
    const char *arch;
    int ptx_version; /* 0: LLVM's choice for the arch; else 63, 74, 90 ...: at most what the driver takes */
    enum codegen_generator generator; /* of a GPU's code */
    const struct codegen_place *nvvm; /* where libNVVM may be, in the order of looking */
    unsigned n_nvvm;
    uint32_t max_work; /* see arex_compile_options; 0: no limit */
};

struct codegen_times {
    uint64_t emit_ns, verify_ns, backend_ns, link_ns;
};

struct codegen_job {
    const struct loop_plan *plan;
    const struct loop_variant *variants; /* one a nest */
    struct codegen_options options;
};

struct codegen_host {
    char llvm_version[16], cpu[64];
    char features[1024];
    unsigned vector_bits; /* width of the vectors emitted for this host */
    bool has_fma;
};

/* libNVVM as it was found. */
struct codegen_nvvm {
    char path[1024];
    int major, minor, ir_major, ir_minor;
};

struct codegen_api {
    uint32_t size; /* of this struct: both sides check it */
    bool (*compile)(const struct codegen_job *job, struct kernel_image *out, struct codegen_times *times, struct diags *diags);
    /* stage: "llvm", "opt", "asm", "nvvm", "ptx"; text malloc'd, the caller frees it */
    bool (*text)(const struct codegen_job *job, const char *stage, char **out, struct diags *diags);
    bool (*host)(struct codegen_host *out, struct diags *diags);
    bool (*nvvm)(const struct codegen_place *places, unsigned n, struct codegen_nvvm *out, struct diags *diags);
};

/* The library's only exported symbol. */
const struct codegen_api *arex_llvm_api(void);

#endif
