/* A call under way, as the rooms that do it share it: arguments.c, transfer.c, reference.c, launch.c; call.c has their order. */
#ifndef AREX_API_CALL_H
#define AREX_API_CALL_H
#include "api.h"

/* Everything one call holds, freed on one path; of one thread. */
struct call {
    struct arex_program *p;
    const arex_array *inputs;
    arex_array *outputs;
    uint32_t n_inputs, n_outputs;
    arex_call_options options;
    struct diags *diags;
    void *memory; /* of all arrays below but `dims` */
    struct sema_arg *args;
    struct device *device; /* NULL: the reference evaluator */
    struct signature *signature;
    int64_t (*extents)[IR_MAX_RANK], *weak, *dims;
    arex_array *results;   /* outputs as computed: dtype, shape, C strides */
    arex_array *there;     /* inputs as they are where the program runs */
    struct exec_array *in, *out;
    void **in_memory, **out_memory; /* device memory of ours for inputs and outputs */
    bool *allocated;       /* outputs whose memory this call made for the caller */
    bool not_at_once;      /* nothing was done, as the options ask */
    struct ir_faults faults;
};

/* Those that return bool: false with a diagnostic. */
bool call_given(struct call *c, const void *program, const void *inputs, int n_inputs, const void *outputs, int n_outputs);
bool call_is_launched(struct call *c, bool launch); /* is the program a kernel, as it should be, or none? */
/* The whole, but for what is handed to the caller. Once for a struct call, of which p, inputs, outputs and diags are set. false: or not_at_once. */
bool call_run(struct call *c, int n_inputs, int n_outputs, const arex_call_options *options);
/* Hands over what was told of it. */
arex_status call_status(struct call *c, bool ok, arex_diagnostics **diags);

#endif
