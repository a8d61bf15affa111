/* The library's own results, through its public interface. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arex/arex.h>
#include "accuracy.h"

struct library {
    arex_context *context;
    arex_program *program;
    const struct function *function;
    bool wide;
};

static void fail(const struct function *f, arex_diagnostics *d)
{
    fprintf(stderr, "%s: %s\n", f->source, d ? arex_diagnostics_text(d, -1) : "failed");
    exit(3);
}

struct library *library_open(const struct function *f, bool wide, enum mode mode, const char *arch)
{
    arex_compile_options o;
    arex_diagnostics *d = NULL;
    struct library *l = calloc(1, sizeof *l);
    arex_compile_options_init(&o);
    o.fast = mode == FAST;
    o.arch = arch;
    if (!l || arex_context_new(NULL, &l->context, &d) || arex_program_new(l->context, f->source, strlen(f->source), NULL, &o, &l->program, &d))
        fail(f, d);
    l->function = f;
    l->wide = wide;
    return l;
}

void library_close(struct library *l)
{
    arex_program_free(l->program);
    arex_context_free(l->context);
    free(l);
}

static arex_array vector(int dtype, const void *data, size_t n)
{
    arex_array a = {.data = (void *)data, .dtype = dtype, .rank = 1, .device = -1, .shape = {(int64_t)n}, .strides = {(int64_t)arex_dtype_size(dtype)}};
    return a;
}

static void run(struct library *l, int dtype, const void *x, const void *y, void *out, size_t n)
{
    arex_array in[2] = {vector(dtype, x, n), vector(dtype, y, n)}, result = vector(dtype, out, n);
    arex_call_options o;
    arex_diagnostics *d = NULL;
    arex_call_options_init(&o);
    o.target = AREX_TARGET_CPU;
    o.threads = 1;
    if (arex_call(l->program, in, l->function->arity, &result, 1, &o, &d))
        fail(l->function, d);
    arex_diagnostics_free(d);
}

static float *floats(const double *v, size_t n)
{
    float *f = calloc(n + 1, sizeof *f);
    if (!f)
        exit(3);
    for (size_t i = 0; v && i < n; i++)
        f[i] = (float)v[i];
    return f;
}

void library_run(struct library *l, const double *x, const double *y, double *out, size_t n)
{
    if (l->wide) {
        run(l, AREX_FLOAT64, x, y, out, n);
        return;
    }
    float *a = floats(x, n), *b = floats(y, n), *r = floats(NULL, n);
    run(l, AREX_FLOAT32, a, b, r, n);
    for (size_t i = 0; i < n; i++)
        out[i] = (double)r[i];
    free(a), free(b), free(r);
}

void library_run_floats(struct library *l, const float *x, float *out, size_t n)
{
    run(l, AREX_FLOAT32, x, NULL, out, n);
}
