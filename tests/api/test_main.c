/* The groups of tests of the C API, in one process: the last checks that together they met every diagnostic. */
#include <libgen.h>
#include "fake.h"

int main(int argc, char **argv)
{
    char *self = strdup(argc > 0 ? argv[0] : ".");
    int failed = run_table_tests() + run_context_tests() + run_program_tests() + run_call_tests() + run_view_tests() + run_stage_tests() + run_memory_tests();
    find_fake(dirname(self));
    failed += run_misuse_tests() + run_launch_tests() + run_device_tests() + run_device_memory_tests() + run_device_launch_tests() + run_stream_tests();
    free(self);
    return (failed ? failed : run_code_tests()) != 0;
}
