/*
 * From names to parameters, from syntax to typed array IR.
 *
 * Takes the tree and the dtypes and ranks of the arguments (never their extents); gives IR in the arena. Inlines
 * functions of the user and of the math library (runtime/math, embedded), resolves promotion, literals, axes and
 * keyword arguments. Errors go to diags, several where they are independent.
 */
#ifndef AREX_SEMA_H
#define AREX_SEMA_H
#include "ast/ast.h"
#include "ir/ir.h"

struct sema_name {
    struct str name;
    struct span span;
    uint8_t dtype; /* DT_none unless a `param` line fixes it */
    int8_t rank;   /* -1 unless a `param` line fixes it */
    bool used;     /* an input: some expression names it */
};

/* Everything about a program that does not depend on its arguments. */
/* What a launch of a kernel is known by: three arrays of nothing but shapes, z, y and x, behind the inputs. */
enum { LAUNCH_THREADS, LAUNCH_BLOCKS, LAUNCH_BLOCK, LAUNCH_COUNT };

struct sema_interface {
    VEC(struct sema_name) inputs;  /* free names in order of first use, or of their param lines */
    VEC(struct sema_name) outputs; /* names may be empty; of a kernel: the parameters that it changes */
    const struct ast *kernel;      /* the program is one, or NULL; its last LAUNCH_COUNT inputs are the launch's */
};

struct sema_arg {
    uint8_t dtype, rank;
    bool weak; /* a Python scalar or inline literal: rank 0, dtype int64 or float64 */
};

struct sema_limits {
    uint32_t max_nodes;   /* IR nodes; 0: 100000 */
    uint32_t max_inlines; /* calls inlined; 0: 10000 */
    uint32_t max_rounds;  /* of a loop; 0: 2^30 */
    uint32_t max_work;    /* see arex_compile_options; 0: no limit */
    bool fast;            /* products are fused with the sums that they go into */
};

/* False, with diagnostics, when names do not resolve. */
bool sema_interface(struct arena *arena, const struct ast *program, struct sema_interface *out, struct diags *diags);
/* NULL, with diagnostics, when types do not fit. args are in the order of the interface's inputs. */
struct ir *sema_build(struct arena *arena, const struct ast *program, const struct sema_interface *interface,
                      const struct sema_arg *args, const struct sema_limits *limits, struct diags *diags);

/* The embedded math library: the file that defines a function (its text), or NULL. Looked up by function name. */
struct math_file {
    const char *name, *text;
    uint32_t size;
};
extern const struct math_file math_files[];
extern const unsigned n_math_files;

#endif
