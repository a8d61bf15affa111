/* The code of a plan on one device, as it is kept from run to run. Private to the rooms of exec.h. */
#ifndef AREX_API_EXEC_CODE_H
#define AREX_API_EXEC_CODE_H
#include "base/lock.h"
#include "exec.h"

struct variant_code {
    struct variant_code *next;
    uint32_t key_size;
    uint8_t *key; /* per nest: flags, classes */
    struct device_module *module;
    unsigned *main_entry, *join_entry, *totals_entry; /* per nest */
    unsigned *rows_entry;                             /* per loop_rows */
};

struct exec_code {
    const struct loop_plan *plan;
    struct device *device;
    exec_codegen *codegen;
    void *user;
    struct codegen_options options;
    bool may_fault;
    int64_t cache_bytes;
    uint32_t key_size, n_accesses;
    uint32_t *slot_at, n_slots; /* where the slots of each nest are among those of all, and how many these are */
    struct lock lock; /* guards variants and times; held while compiling, so that no variant is made twice */
    struct variant_code *variants;
    struct exec_times times;
};

/* Unloads the module too, where there is one. */
void variant_free(struct exec_code *c, struct variant_code *v);

#endif
