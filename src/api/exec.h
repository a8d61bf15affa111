/*
 * Runs a plan on a device: decides from shapes and strides how each nest meets memory, gets code for that (compiled once
 * a variant), fills the slots, launches.
 *
 * Owns the loaded modules. Thread-safe: a variant is compiled once, by the call that needs it first.
 */
#ifndef AREX_API_EXEC_H
#define AREX_API_EXEC_H
#include "codegen/codegen.h"
#include "device.h"
#include "loop/loop.h"

struct exec_code;
struct replay;

/* Opens the code generator when it is first needed; NULL with a diagnostic when there is none. */
typedef const struct codegen_api *exec_codegen(void *user, struct diags *diags);

/* NULL when memory runs out. plan, device and the places in options must outlive it; a GPU's target and arch are the device's. */
struct exec_code *exec_code_new(const struct loop_plan *plan, struct device *device, exec_codegen *codegen, void *user,
                                const struct codegen_options *options);
void exec_code_free(struct exec_code *code);

struct exec_times {
    uint64_t compilations, emit_ns, backend_ns, load_ns;
};
void exec_code_times(const struct exec_code *code, struct exec_times *out);

struct exec_array {
    void *data; /* device address; of a rank-0 argument that is not on the device, a host pointer: passed by value */
    const int64_t *shape, *stride; /* of the argument's or output's own rank; strides in bytes */
    bool on_device;
};

/*
 * dim_values: from ir_shapes_resolve. Arrays of rank 1 and more are in the device's memory. Outputs overlap no input and
 * not each other. max_threads: 0 for all. watch may be NULL. Waits for the result unless a stream is given and the code raises no faults.
 * record: NULL, or a new replay for a code that exec_replays; it then takes the faults, and nothing is waited for.
 */
bool exec_run(struct exec_code *code, const struct exec_array *inputs, const struct exec_array *outputs,
              const int64_t *dim_values, unsigned max_threads, void *stream, struct watch *watch, struct ir_faults *faults, struct replay *record,
              struct diags *diags);
/* Is a run known beforehand, with nothing that its nests find out? On a GPU. */
bool exec_replays(const struct exec_code *code);
bool exec_may_fault(const struct exec_code *code);
/* Compiles what exec_run would need, and runs nothing. data may be NULL: taken as aligned. */
bool exec_prepare(struct exec_code *code, const struct exec_array *inputs, const struct exec_array *outputs,
                  const int64_t *dim_values, struct diags *diags);

#endif
