/* See samples.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "ir/build.h"
#include "ir/eval.h"
#include "samples.h"

kernel *entry_of(const struct loaded_code *code, const struct kernel_image *image, const char *name)
{
    const struct image_entry *e = image_entry(image, name);
    kernel *f = NULL;
    assert_non_null(e);
    void *p = code->base + e->offset;
    memcpy(&f, &p, sizeof f);
    return f;
}

bool host_runs(const char *arch)
{
    if (strcmp(arch, "x86-64-v4") == 0)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    if (strcmp(arch, "x86-64-v3") == 0)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
               __builtin_cpu_supports("f16c");
    return strcmp(arch, "x86-64-v2") != 0 || __builtin_cpu_supports("sse4.2");
}

/* Bits in no order, so that floats come in every size, with nans and infinities among them. */
void sample_fill(struct sample *s)
{
    uint64_t state = 1;
    for (int i = 0; i < SAMPLE_N; i++)
        for (int k = 0; k < 2; k++) {
            state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
            s->in[k][i] = state ^ state >> 29;
        }
}

void sample_evaluate(struct sample *s, int64_t n)
{
    const struct ir *ir = s->p.plan->ir;
    struct ir_array arrays[2] = {{.data = s->in[0]}, {.data = s->in[1]}};
    int64_t extents[2][IR_MAX_RANK] = {{n}, {n}};
    void *outputs[SAMPLE_OUTPUTS];
    struct ir_faults faults = {0};
    assert_true(ir->dims.n <= 64 && ir->outputs.n <= SAMPLE_OUTPUTS && ir->inputs.n <= 2);
    for (uint32_t i = 0; i < ir->inputs.n; i++)
        arrays[i].stride[0] = type_table[ir->inputs.at[i].dtype].size;
    for (uint32_t i = 0; i < ir->outputs.n; i++)
        outputs[i] = s->want[i];
    assert_true(ir_shapes_resolve(ir, (const int64_t(*)[IR_MAX_RANK])extents, NULL, s->dims, &s->p.diags));
    assert_true(ir_eval(ir, arrays, s->dims, outputs, &faults));
}

static int64_t slot_of_load(const struct sample *s, const struct loop_access *a)
{
    int64_t value = 0;
    if (!a->scalar)
        return (intptr_t)s->in[a->index];
    memcpy(&value, s->in[a->index], type_table[a->dtype].size);
    return value;
}

void sample_run(struct sample *s, const struct loaded_code *code, const struct kernel_image *image, int64_t n)
{
    const struct loop_nest *nest = &s->p.plan->nests.at[0];
    struct loop_slots at = loop_slots(nest);
    int64_t slots[LOOP_MAX_SLOTS] = {0};
    struct ir_faults faults = {0};
    assert_int_equal(s->p.plan->nests.n, 1);
    slots[at.extents] = n;
    slots[at.faults] = (intptr_t)&faults;
    for (uint32_t i = 0; i < nest->main.loads.n; i++) {
        slots[at.main_loads + 2 * i] = slot_of_load(s, &nest->main.loads.at[i]);
        slots[at.main_loads + 2 * i + 1] = type_table[nest->main.loads.at[i].dtype].size;
    }
    for (uint32_t i = 0; i < nest->main.stores.n; i++) {
        uint32_t output = s->p.plan->buffers.at[nest->main.stores.at[i].index].output;
        slots[at.main_stores + 2 * i] = (intptr_t)s->got[output];
        slots[at.main_stores + 2 * i + 1] = type_table[nest->main.stores.at[i].dtype].size;
    }
    memset(s->got, 0, sizeof s->got);
    entry_of(code, image, "n0_main")(slots, 0, n);
}

void sample_compare(const struct sample *s, const char *what, const char *arch, int64_t n)
{
    const struct ir *ir = s->p.plan->ir;
    for (uint32_t i = 0; i < ir->outputs.n; i++) {
        size_t size = type_table[ir_at(ir, ir->outputs.at[i].node)->dtype].size;
        for (size_t k = 0; k < (size_t)n; k++)
            if (memcmp((const char *)s->got[i] + k * size, (const char *)s->want[i] + k * size, size))
                fail_msg("%s on %s: output %u, element %zu of %d", what, arch, i, k, (int)n);
    }
}
