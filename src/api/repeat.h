/*
 * Calls on a GPU that are like one before: the same types, shapes, strides and alignment, on a stream. Such a call finds what that one came to, puts its addresses and
 * values in, and gives it to the device: nothing is looked up, inferred or allocated but its outputs.
 */
#ifndef AREX_API_REPEAT_H
#define AREX_API_REPEAT_H
#include "api.h"
#include "replay.h"

/* One kind of call. Owned by its program, whose `repeat_lock` guards it; what concerns faults, by the context's late_lock. */
struct repeat {
    struct repeat *next;
    struct arex_program *program;
    const struct signature *signature;
    int64_t *dims;
    arex_array *in, *out; /* as they were given */
    arex_array *results;  /* as outputs are where none is given */
    struct array_reach *reach; /* inputs, then outputs */
    struct replay *replay;
    /* ---- late.c ---- */
    struct repeat *next_armed;
    bool armed;      /* work is under way whose faults nobody has looked for */
    uint64_t ticket; /* of the last launch */
    void *stream;
    struct late *late; /* for what it has to tell once it is gone; NULL: it raises nothing */
};

enum repeat_answer { REPEAT_NONE, REPEAT_DONE, REPEAT_FAILED };

/* Runs the call when there has been one like it. REPEAT_FAILED: with a diagnostic, and no output allocated. */
enum repeat_answer repeat_call(struct arex_program *p, const arex_array *inputs, arex_array *outputs, const arex_call_options *options, struct diags *diags);

/* One to be filled by a first run of this kind, which has been checked; NULL when it is none that can be repeated. dims: copied. */
struct repeat *repeat_new(struct arex_program *p, const struct signature *signature, const int64_t *dims, const arex_array *inputs, const arex_array *outputs,
                          const arex_array *results, const arex_call_options *options);
/* After that run: keeps it, or drops it. */
void repeat_made(struct repeat *r, bool ok, void *stream);
void repeats_free(struct arex_program *p);

#endif
