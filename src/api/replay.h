/*
 * What one run on a GPU came to: its launches, and which of their slots hold addresses and values of the arguments. So a run whose arguments differ in nothing
 * else is made again without looking at the plan. Made by exec_run; one thread at a time.
 */
#ifndef AREX_API_REPLAY_H
#define AREX_API_REPLAY_H
#include "geometry.h"

struct replay;

/* NULL when memory runs out. faults: where launches put them, in memory that outlives the work; NULL where the plan raises none. */
struct replay *replay_new(struct device *device, void *faults);
void replay_free(struct replay *p); /* NULL is allowed. No launch of it is under way any more, if it has faults */
void *replay_faults(const struct replay *p);

/* ---- while it is made; when memory runs out, replay_complete tells ---- */

/* Where the parts of the run are. */
struct replay_bases {
    const struct loop_plan *plan;
    const struct geometry_array *arguments, *buffers; /* as in geometry_of */
    void *const *temporaries;                         /* as they were told of */
    uint32_t n_temporaries;
};
void replay_temporary(struct replay *p, size_t size);
/* Slots of nests one after another, for the launches that follow. */
void replay_slots(struct replay *p, const struct replay_bases *bases, const struct geometry *geo, uint32_t n, const int64_t *slots);
/* Bytes of a temporary, by its number, that are set to 0 between launches. */
void replay_zero(struct replay *p, uint32_t temporary, size_t size);
void replay_launch(struct replay *p, struct device_module *module, unsigned entry, const struct device_launch *l);
bool replay_complete(const struct replay *p);

/* inputs, outputs: where they are; host addresses of what goes by value. Does not wait. */
bool replay_run(struct replay *p, void *const *inputs, void *const *outputs, void *stream, struct diags *diags);

#endif
