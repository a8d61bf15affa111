/* A C program that embeds Arex: compiles an expression once, calls it on its own arrays, and shows a mistake's message. */
#include <stdio.h>
#include <string.h>
#include <arex/arex.h>

static arex_array vector(double *data, int64_t n)
{
    arex_array a = {.data = data, .dtype = AREX_FLOAT64, .rank = 1, .device = -1, .shape = {n}, .strides = {sizeof *data}};
    return a;
}

static int distance(arex_context *context)
{
    const char *source = "sqrt(sum((x - y)**2))";
    double x[] = {1, 2, 3, 4}, y[] = {1, 0, 3, 1}, result = 0;
    arex_array inputs[] = {vector(x, 4), vector(y, 4)}, output = {.data = &result, .dtype = AREX_FLOAT64, .device = -1};
    arex_program *program = NULL;
    arex_diagnostics *diags = NULL;
    int failed = arex_program_new(context, source, strlen(source), "distance", NULL, &program, &diags) != AREX_OK ||
                 arex_call(program, inputs, 2, &output, 1, NULL, &diags) != AREX_OK;
    if (failed)
        fputs(arex_diagnostics_text(diags, -1), stderr);
    else
        printf("%s = %.17g\n", source, result);
    arex_diagnostics_free(diags);
    arex_program_free(program);
    return failed || result != 3.605551275463989;
}

static int mistake(arex_context *context)
{
    const char *source = "sqroot(sum(x*x)) +";
    arex_program *program = NULL;
    arex_diagnostics *diags = NULL;
    arex_status status = arex_program_new(context, source, strlen(source), "mistake", NULL, &program, &diags);
    printf("%s", arex_diagnostics_text(diags, -1));
    arex_diagnostics_free(diags);
    arex_program_free(program);
    return status != AREX_ERROR_PROGRAM;
}

int main(void)
{
    arex_context *context = NULL;
    if (arex_context_new(NULL, &context, NULL) != AREX_OK)
        return 1;
    int failed = distance(context) || mistake(context);
    arex_context_free(context);
    return failed;
}
