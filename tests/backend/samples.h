/* Inputs of random bits for a plan of one nest: what compiled code makes of them, beside the evaluator. */
#ifndef TEST_SAMPLES_H
#define TEST_SAMPLES_H
#include "base/image.h"
#include "cpu/loader.h"
#include "plans.h"

enum { SAMPLE_N = 4099, SAMPLE_OUTPUTS = 16 };

struct sample {
    struct test_plan p;
    _Alignas(64) uint64_t in[2][SAMPLE_N]; /* as many bytes as the widest type needs */
    uint64_t want[SAMPLE_OUTPUTS][SAMPLE_N], got[SAMPLE_OUTPUTS][SAMPLE_N];
    int64_t dims[64];
};

typedef void kernel(const int64_t *slots, int64_t begin, int64_t end);
kernel *entry_of(const struct loaded_code *code, const struct kernel_image *image, const char *name);
bool host_runs(const char *arch);

/* The first n elements, at most SAMPLE_N. */
void sample_fill(struct sample *s);
void sample_evaluate(struct sample *s, int64_t n);
void sample_run(struct sample *s, const struct loaded_code *code, const struct kernel_image *image,
                int64_t n);
void sample_compare(const struct sample *s, const char *what, const char *arch, int64_t n);

#endif
