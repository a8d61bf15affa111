/*
 * A C program that keeps its data on the GPU: arrays are allocated there once, and programs run on the device pointers
 * in place. Ends with 77 where there is no GPU.
 */
#include <stdio.h>
#include <string.h>
#include <arex/arex.h>

enum { N = 1 << 20 };

static float host[N];

static int check(arex_context *context, arex_status status, arex_diagnostics *diags)
{
    (void)context;
    if (status != AREX_OK)
        fputs(arex_diagnostics_text(diags, -1), stderr);
    arex_diagnostics_free(diags);
    return status != AREX_OK;
}

static int scale_in_place(arex_context *context, arex_array *x)
{
    const char *source = "2*x + 1";
    arex_program *program = NULL;
    arex_diagnostics *diags = NULL;
    arex_status status = arex_program_new(context, source, strlen(source), "scale", NULL, &program, &diags);
    if (check(context, status, diags))
        return 1;
    /* the output is the input: the answer is as if they were apart */
    status = arex_call(program, x, 1, x, 1, NULL, &diags);
    int failed = check(context, status, diags);
    arex_program_free(program);
    return failed;
}

int main(void)
{
    arex_context *context = NULL;
    int devices = 0;
    if (arex_context_new(NULL, &context, NULL) != AREX_OK)
        return 1;
    if (arex_device_count(context, &devices, NULL) != AREX_OK || devices == 0) {
        puts("no GPU here: nothing to show");
        arex_context_free(context);
        return 77;
    }
    for (int i = 0; i < N; i++)
        host[i] = (float)i;
    arex_array here = {.data = host, .dtype = AREX_FLOAT32, .rank = 1, .device = -1, .shape = {N}, .strides = {4}}, there = here;
    there.device = 0;
    arex_diagnostics *diags = NULL;
    int failed = check(context, arex_array_alloc(context, &there, &diags), diags) || check(context, arex_array_copy(context, &there, &here, &diags), diags) ||
                 scale_in_place(context, &there) || check(context, arex_array_copy(context, &here, &there, &diags), diags);
    for (int i = 0; i < N && !failed; i++)
        failed = host[i] != 2 * (float)i + 1;
    puts(failed ? "wrong" : "2*x + 1 computed on the GPU, in place");
    arex_array_free(context, &there);
    arex_context_free(context);
    return failed;
}
