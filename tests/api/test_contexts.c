/* Contexts: one without a code generator, programs and contexts on threads, a fork. */
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
#include "host.h"

/* Without its code generator the library still says so, and evaluates. */
static void test_no_llvm(void **state)
{
    arex_context_options o;
    arex_context *alone, *shared = context;
    arex_diagnostics *d = NULL;
    double data[2] = {3, 4};
    struct call c;
    arex_array x = vector(AREX_FLOAT64, data, 2);
    (void)state;
    arex_context_options_init(&o);
    o.llvm_library = "/nowhere/libarex-llvm.so";
    assert_int_equal(arex_context_new(&o, &alone, &d), AREX_OK);
    context = alone;
    call_open(&c, "sum(x*x)");
    assert_int_equal(call_run(&c, &x, 1), AREX_ERROR_MACHINE);
    assert_true(has(c.diags, "AX0501"));
    c.options.target = AREX_TARGET_REFERENCE;
    assert_int_equal(call_run(&c, &x, 1), AREX_OK);
    assert_true(*(double *)c.out.data == 25);
    call_close(&c);
    context = shared;
    arex_context_free(alone);
    arex_diagnostics_free(d);
}

enum { THREADS = 8, N = 5000 };

static void *many_calls(void *argument)
{
    arex_program *p = argument;
    static const int dtypes[] = {AREX_FLOAT64, AREX_FLOAT32, AREX_INT64, AREX_INT32};
    char *data = calloc(N, 8);
    intptr_t bad = 0;
    for (int i = 0; i < 40; i++) {
        int64_t n = 1 + 117 * i;
        arex_array x = vector(dtypes[i % 4], data, n), out = {.device = -1};
        bad += arex_call(p, &x, 1, &out, 1, NULL, NULL) != AREX_OK || out.rank;
        arex_array_free(context, &out);
    }
    free(data);
    return (void *)bad;
}

static void *own_program(void *unused)
{
    intptr_t bad = 0;
    (void)unused;
    for (int i = 0; i < 5; i++) {
        arex_program *p = NULL;
        if (arex_program_new(context, "sum(abs(x))", 11, NULL, NULL, &p, NULL) != AREX_OK)
            return (void *)1;
        bad += (intptr_t)many_calls(p);
        arex_program_free(p);
    }
    return (void *)bad;
}

static void on_threads(void *(*work)(void *), void *argument)
{
    pthread_t t[THREADS];
    void *bad;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&t[i], NULL, work, argument), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(t[i], &bad);
        assert_null(bad);
    }
}

static void test_threads(void **state)
{
    arex_program *p;
    arex_stats s = {.size = sizeof s};
    (void)state;
    assert_int_equal(arex_program_new(context, "sum(x*x)", 8, NULL, NULL, &p, NULL), AREX_OK);
    on_threads(many_calls, p);
    assert_int_equal(arex_program_stats(p, &s), AREX_OK);
    assert_int_equal(s.calls, THREADS * 40);
    assert_int_equal(s.compilations, 4); /* a dtype each: threads that meet wait for one compilation */
    arex_program_free(p);
    on_threads(own_program, NULL);
}

/* A context of one's own: nothing is shared, whichever order the others come and go in. */
static void *own_context(void *unused)
{
    intptr_t bad = 0;
    (void)unused;
    for (int i = 0; i < 6; i++) {
        double data[3] = {1, 2, 3};
        arex_context *mine = NULL;
        arex_program *p = NULL;
        arex_array x = vector(AREX_FLOAT64, data, 3), out = {.device = -1};
        if (arex_context_new(NULL, &mine, NULL) != AREX_OK || arex_program_new(mine, "cumsum = sum(x*x)", 17, NULL, NULL, &p, NULL) != AREX_OK)
            return (void *)1;
        bad += arex_call(p, &x, 1, &out, 1, NULL, NULL) != AREX_OK || *(double *)out.data != 14;
        arex_program_free(p);
        arex_array_free(mine, &out); /* outlives its program */
        arex_context_free(mine);
    }
    return (void *)bad;
}

static void test_contexts(void **state)
{
    (void)state;
    on_threads(own_context, NULL);
}

static void test_fork(void **state)
{
    static double data[200000];
    struct call c;
    arex_array x = vector(AREX_FLOAT64, data, 200000);
    int status;
    (void)state;
    for (int i = 0; i < 200000; i++)
        data[i] = 1;
    call_open(&c, "sum(x)");
    assert_int_equal(call_run(&c, &x, 1), AREX_OK);
    arex_array_free(context, &c.out);
    pid_t child = fork();
    if (child == 0) {
        alarm(20);
        _exit(call_run(&c, &x, 1) == AREX_OK && *(double *)c.out.data == 200000 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(call_run(&c, &x, 1), AREX_OK);
    call_close(&c);
}

int run_context_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_llvm), cmocka_unit_test(test_threads), cmocka_unit_test(test_contexts), cmocka_unit_test(test_fork),
    };
    return cmocka_run_group_tests_name("contexts", tests, open_context, close_context);
}
