/* What the tests of the C API share: a context, arrays, calls, and a record of the diagnostics that were seen. */
#ifndef TESTS_API_HOST_H
#define TESTS_API_HOST_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arex/arex.h>

extern arex_context *context; /* of the group of tests under way */
int open_context(void **state);
int close_context(void **state);

/* C-contiguous views of the caller's memory. */
arex_array view(int dtype, void *data, int rank, const int64_t *shape);
arex_array vector(int dtype, void *data, int64_t n);
arex_array scalar(int dtype, void *data);
arex_array weak(int dtype, void *data);

arex_program *program(const char *source); /* which is sound */

/* A program of one output, called again and again. */
struct call {
    arex_program *program;
    arex_call_options options;
    arex_diagnostics *diags;
    arex_array out;
};
void call_open(struct call *c, const char *source); /* for the CPU */
arex_status call_run(struct call *c, const arex_array *in, int n);
void call_close(struct call *c);

/* Is the diagnostic there? It is then one that a test triggers. */
bool has(arex_diagnostics *d, const char *code);
const char *all_text(arex_diagnostics *d);
/* An error was told with this status and code; frees *d and sets it to NULL. */
void expect_told(arex_status got, arex_status want, arex_diagnostics **d, const char *code);

/* The groups, in the order of the public header; then what goes across it. */
int run_table_tests(void);
int run_context_tests(void);
int run_program_tests(void);
int run_call_tests(void);
int run_view_tests(void);
int run_stage_tests(void);
int run_memory_tests(void);
int run_misuse_tests(void);
int run_launch_tests(void);
int run_device_tests(void); /* from here on a driver made for tests, once found (fake.h) */
int run_device_memory_tests(void);
int run_device_launch_tests(void);
int run_stream_tests(void);
int run_code_tests(void); /* last: what no test triggered */

#endif
