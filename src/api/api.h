/*
 * What the files of src/api share: the opaque objects behind the public header, what each owns, who may touch it.
 */
#ifndef AREX_API_API_H
#define AREX_API_API_H
#include <arex/arex.h>
#include "ast/ast.h"
#include "base/lock.h"
#include "exec.h"
#include "sema/sema.h"

#define NO_SPAN ((struct span){0, 0})
#define PUBLIC  __attribute__((visibility("default")))

enum { MAX_DEVICES = 16 };

enum { TOOLKIT_FILE, TOOLKIT_HOME, TOOLKIT_PATH, TOOLKIT_CONDA, TOOLKIT_VENV, TOOLKIT_VARIABLES };

/* What was said of where libNVVM lies; the places are made of it when they are first asked for, and then stay. */
struct toolkit {
    char *given, *packages, *variable[TOOLKIT_VARIABLES];
    struct codegen_place *places;
    unsigned n;
    bool starved; /* a place was left out for want of memory */
};

/* Owns its devices and the opened code generator. Any thread; `lock` guards what is opened lazily. */
struct arex_context {
    struct lock lock;
    unsigned threads;
    int device;
    char *cuda_driver, *llvm_library;
    void (*log)(void *user, int level, const char *message);
    void *log_user;
    struct device *cpu, *cuda[MAX_DEVICES];
    bool no_gpu; /* looked for once and not found: AUTO means the CPU */
    void *llvm_handle;
    const struct codegen_api *llvm;
    struct toolkit toolkit;
    struct arex_program *copier; /* `x`: for results that go to memory of a device in pieces */
    _Atomic unsigned given; /* calls made again since somebody waited */
    struct lock late_lock; /* guards what follows */
    struct repeat *armed;
    struct late *late;
    uint64_t tickets;
};

/* One set of argument types on one device: IR, plan and code. Immutable once built; owned by its program. */
struct signature {
    struct signature *next;
    struct sema_arg *args;
    struct device *device; /* NULL: the reference evaluator */
    struct arena arena;
    struct ir *ir;
    struct loop_plan *plan;
    struct exec_code *code;
};

/* Owns its source, tree and signatures. Any thread; `lock` guards the list and the figures. */
struct arex_program {
    struct arex_context *context;
    char *name, *source, *arch; /* arch: "" for this machine */
    size_t n_source;
    struct arex_compile_options options;
    struct arena arena;
    struct ast *tree;
    struct sema_interface interface;
    char **input_names, **output_names; /* in the arena */
    struct lock lock;
    struct signature *signatures;
    struct lock repeat_lock; /* guards: */
    struct repeat *repeats;  /* called last first */
    _Atomic uint64_t calls;
    uint64_t parse_ns, sema_ns, loop_ns;
    uint32_t kernels, temporaries;
};

struct arex_diagnostics {
    struct diags diags;
    char **texts; /* as they were asked for: all together, then each; or NULL */
};

/* ---- diagnostics.c ---- */
/* Hands `diags` to the caller (or drops it) and gives the status it stands for; the struct is empty afterwards. */
arex_status diags_hand_over(struct diags *diags, bool ok, arex_diagnostics **out);

/* ---- faults.c ---- */
/* Is nothing wrong? Else with a diagnostic. dims: of the run. */
bool faults_told(const struct ir_faults *f, const struct ir *ir, const int64_t *dims, struct diags *diags);

/* ---- late.c: of work that nobody waits for ---- */
struct repeat;
void late_arm(struct repeat *r, void *stream);
void late_forget(struct repeat *r);
struct late *late_new(void); /* NULL: no memory */
void late_drop(struct late *l); /* NULL is allowed */
/* Asked before a wait, and then, after it: is nothing wrong with what was given to the stream (all: to any) before? Else with a diagnostic and its source. */
uint64_t late_ticket(struct arex_context *c);
bool late_told(struct arex_context *c, uint64_t ticket, bool all, void *stream, struct diags *diags);
void late_free(struct arex_context *c);

/* ---- program.c ---- */
size_t memory_limit(const struct arex_program *p); /* of one compilation, in bytes */
uint32_t work_limit(const struct arex_program *p);
/* What its options say of code, for the CPU until a device says otherwise. False, with a diagnostic: no memory. */
bool program_codegen(const struct arex_program *p, struct codegen_options *out, struct diags *diags);

/* ---- options.c ---- */
/* Is this option struct one this version understands: a known size, nothing set that it does not know? */
bool options_known(const void *options, size_t size, size_t known, const char *what, struct diags *diags);

/* Is this an architecture of CPUs, NULL and "" among them? */
bool arch_known(const char *arch);
/* Has it fma in hardware? */
bool arch_fuses(const char *arch);

/* ---- codegen.c ---- */
exec_codegen context_codegen; /* user: the context */
void context_close_codegen(struct arex_context *c);

/* ---- toolkit.c ---- */
bool toolkit_init(struct toolkit *t, const char *file, const char *packages); /* either may be NULL; false: no memory, and toolkit_fini is still due */
void toolkit_fini(struct toolkit *t);
const struct codegen_place *context_nvvm(struct arex_context *c, unsigned *n); /* live as long as the context; NULL: no memory */

/* ---- context.c ---- */
struct device *context_cpu(struct arex_context *c, struct diags *diags);
struct device *context_cuda(struct arex_context *c, int ordinal, struct diags *diags);
struct arex_program *context_copier(struct arex_context *c, struct diags *diags); /* lives as long as the context; NULL with a diagnostic */
/* The device a target means; *device NULL for the reference. False with a diagnostic. */
bool context_target(struct arex_context *c, int target, int near, struct device **device, struct diags *diags);

/* ---- signature.c ---- */
/* Finds or builds. device NULL: IR only. NULL with diagnostics. */
uint32_t visible_inputs(const struct arex_program *p); /* all but the launch of a kernel */
struct signature *program_signature(struct arex_program *p, const struct sema_arg *args, struct device *device, struct diags *diags);
/* IR and plan in the caller's arena (its jump point set here); for emit and infer. */
bool program_build(struct arex_program *p, struct arena *arena, const struct sema_arg *args, bool gpu, struct ir **ir, struct loop_plan **plan, struct diags *diags);
void signatures_free(struct arex_program *p);

#endif
