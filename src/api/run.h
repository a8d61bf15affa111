/* What one run knows and owns, filled by one room after another: arrays (bind.c), code (variant.c), arguments of launches (slots.c). Private to the rooms of exec.h. */
#ifndef AREX_API_RUN_H
#define AREX_API_RUN_H
#include "exec_code.h"
#include "geometry.h"

struct run {
    void *memory; /* of all arrays below that no caller owns */
    /* ---- as the caller says ---- */
    struct exec_code *code;
    struct device *device;
    struct diags *diags;
    void *stream;
    unsigned max_threads;
    struct watch *watch;
    const int64_t *dims;
    struct replay *record; /* NULL: nobody keeps what the run comes to */
    /* ---- where arrays are, and how nests meet them ---- */
    struct geometry_array *arguments, *buffers;
    int64_t (*buffer_strides)[IR_MAX_RANK], (*buffer_shapes)[IR_MAX_RANK];
    struct geometry *geometry;
    struct geometry_access *accesses;
    struct geometry_rows *rows;
    uint8_t *key;
    void **temporaries; /* to free */
    uint32_t n_temporaries;
    struct ir_faults *faults_on_device, faults_here;
    /* ---- where nests are repeated ---- */
    int64_t *slots, *rounds; /* of all nests, filled once; by their number in the IR */
    bool *filled, *once;     /* slots of a nest; once: nests of the first round alone */
    bool endless;            /* steps were given up */
    void **now;              /* where buffers are, and room for where they were */
};

/* Memory for all of it, in one piece; what the caller says is set. false with a diagnostic. */
bool run_init(struct run *r);
void run_fini(struct run *r); /* also after a run_init that failed */
/* Memory of the device until the run is over; at least a byte. false with a diagnostic. */
bool run_temporary(struct run *r, int64_t size, void **out);
bool run_no_memory(struct diags *diags); /* says so; false */

static inline bool run_is_gpu(const struct run *r)
{
    return r->device->ops->kind == DEVICE_CUDA;
}

#endif
