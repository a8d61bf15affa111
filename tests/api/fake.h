/* A driver of CUDA made for tests (tests/runtime/fake_cuda.c), what can be told and asked of it, and contexts over it. */
#ifndef TESTS_API_FAKE_H
#define TESTS_API_FAKE_H
#include "host.h"

enum { INVALID_VALUE = 1, NO_DEVICE = 100, NO_BINARY = 209, LAUNCH_FAILED = 719 };

extern struct fake {
    char path[1024], old_path[1024];
    void *handle;
    void (*reset)(void);
    void (*refuse)(const char *symbol, int nth, int code);
    void (*memory_limit)(size_t bytes);
    int (*live)(void);
    int (*launches)(void);
    void (*counts)(int counts[3]); /* allocations, waits, copies */
    const void *(*last_launch)(void);
} fake;

void find_fake(const char *folder); /* where this program lies; once, before any group */
int open_fake(void **state);        /* set-up and tear-down of a group */
int close_fake(void **state);
void find_function(const char *name, void *out); /* of the driver, that few tests need */

/* A context over this driver, in place of the group's. */
void context_over(const char *driver, int device);
void context_done(void); /* nothing of the device is left alive */

#endif
