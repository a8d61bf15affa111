/* Launches of kernels: calls with three inputs more, which are nothing but shapes. */
#include <stdlib.h>
#include <string.h>
#include "call.h"

/* An array of a shape and nothing else: every element is the one byte. */
static arex_array shape_of_launch(uint32_t x, uint32_t y, uint32_t z, const uint32_t *by)
{
    static uint8_t nothing;
    arex_array a = {.data = &nothing, .dtype = AREX_BOOL, .rank = 3, .device = -1};
    a.shape[0] = (int64_t)z * by[2];
    a.shape[1] = (int64_t)y * by[1];
    a.shape[2] = (int64_t)x * by[0];
    return a;
}

static bool check_launch(struct call *c, const uint32_t *grid, const uint32_t *block)
{
    enum { MOST_THREADS = 1024 };
    const uint64_t most_blocks = UINT64_C(1) << 38; /* of the most threads: 2^48, as arrays have elements */
    uint64_t threads = 1, blocks = 1;
    for (unsigned i = 0; i < 3; i++) {
        threads = threads > MOST_THREADS ? threads : threads * block[i];
        blocks = blocks > most_blocks ? blocks : blocks * grid[i];
    }
    if (blocks && blocks <= most_blocks && threads && threads <= MOST_THREADS)
        return true;
    diag_add(c->diags, AX_usage, NO_SPAN, "a launch has 1 to 2^38 blocks of 1 to %u threads", MOST_THREADS);
    return false;
}

/* The arrays and the launch as inputs; of the arrays, those that the kernel changes as outputs. */
static bool launch_arguments(struct call *c, const arex_array *arrays, int n, const uint32_t *grid, const uint32_t *block, arex_array *in, arex_array *out)
{
    static const uint32_t one[3] = {1, 1, 1};
    const struct sema_interface *face = &c->p->interface;
    if (n < 0 || (uint32_t)n != visible_inputs(c->p)) {
        diag_add(c->diags, n < (int)visible_inputs(c->p) ? AX_missing_argument : AX_extra_argument, NO_SPAN, "%d arguments given, and the kernel takes %u", n,
                 visible_inputs(c->p));
        return false;
    }
    memcpy(in, arrays, (size_t)n * sizeof *in);
    in[n + LAUNCH_THREADS] = shape_of_launch(grid[0], grid[1], grid[2], block);
    in[n + LAUNCH_BLOCKS] = shape_of_launch(grid[0], grid[1], grid[2], one);
    in[n + LAUNCH_BLOCK] = shape_of_launch(block[0], block[1], block[2], one);
    for (uint32_t i = 0; i < face->outputs.n; i++)
        for (int k = 0; k < n; k++)
            if (str_eq(face->outputs.at[i].name, face->inputs.at[k].name))
                out[i] = arrays[k];
    return true;
}

PUBLIC arex_status arex_launch(arex_program *p, const arex_array *arrays, int n, const uint32_t *grid, const uint32_t *block,
                               const arex_call_options *options, arex_diagnostics **diags)
{
    struct diags d;
    struct call c = {.p = p, .diags = &d};
    diags_init(&d);
    bool ok = call_given(&c, p, arrays, n, grid && block ? grid : NULL, 1) && call_is_launched(&c, true) && check_launch(&c, grid, block);
    if (ok) {
        enum { FEW = 20 };
        arex_array here[FEW], *memory = NULL, *in = here;
        uint32_t n_in = p->interface.inputs.n, n_out = p->interface.outputs.n;
        if (n_in + n_out > FEW)
            in = memory = calloc(n_in + n_out, sizeof *in);
        c.inputs = in;
        c.outputs = in ? in + n_in : NULL;
        ok = in != NULL;
        if (!ok)
            diag_add(&d, AX_out_of_memory, NO_SPAN, "out of memory");
        ok = ok && launch_arguments(&c, arrays, n, grid, block, in, c.outputs) && call_run(&c, (int)n_in, (int)n_out, options);
        free(memory);
    }
    return call_status(&c, ok, diags);
}
