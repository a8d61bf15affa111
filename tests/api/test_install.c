/*
 * libarex.so as a file: this program does not link it but opens it, in processes that hold none of it yet. How long
 * opening takes; what it says when it lies alone, without its code generator.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dlfcn.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <arex/arex.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { MOST_MILLISECONDS = 500 }; /* the sanitizers' own start-up */
#else
enum { MOST_MILLISECONDS = 5 };
#endif

static char library[1024], alone[64], alone_library[128];

static bool find_library(const char *folder)
{
    static const char *const places[] = {"../../libarex.so", "../../lib/libarex.so"}; /* where it is built, where it is packed */
    for (int i = 0; i < 2; i++) {
        snprintf(library, sizeof library, "%s/%s", folder, places[i]);
        if (!access(library, R_OK))
            return true;
    }
    return false;
}

static bool copy_file(const char *from, const char *to)
{
    char buffer[65536];
    size_t n;
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    bool ok = in && out;
    while (ok && (n = fread(buffer, 1, sizeof buffer, in)) > 0)
        ok = fwrite(buffer, 1, n, out) == n;
    if (in)
        fclose(in);
    return (!out || !fclose(out)) && ok;
}

static int set_up(void **state)
{
    (void)state;
    strcpy(alone, "/tmp/arex-alone-XXXXXX");
    if (!mkdtemp(alone))
        return 1;
    snprintf(alone_library, sizeof alone_library, "%s/libarex.so", alone);
    return !copy_file(library, alone_library);
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(alone_library) | rmdir(alone);
}

/* Runs work in a process of its own, which has not opened the library; what it writes to `out` comes back. */
static int in_child(int (*work)(void *out), void *out, size_t size)
{
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        alarm(60);
        int failed = work(out);
        _exit(write(ends[1], out, size) != (ssize_t)size ? 99 : failed);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], out, size), (ssize_t)size);
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int time_to_open(void *out)
{
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    clock_gettime(CLOCK_MONOTONIC, &b);
    *(double *)out = (double)(b.tv_sec - a.tv_sec) * 1e3 + (double)(b.tv_nsec - a.tv_nsec) / 1e6;
    return handle ? 0 : 1;
}

/* The least of several: what else the machine does only adds. */
static void test_opens_quickly(void **state)
{
    double least = 1e9;
    (void)state;
    for (int i = 0; i < 20; i++) {
        double ms = 0;
        assert_int_equal(in_child(time_to_open, &ms, sizeof ms), 0);
        least = ms < least ? ms : least;
    }
    print_message("opening the library takes %.3f ms\n", least);
    assert_true(least > 0 && least < MOST_MILLISECONDS);
}

struct answer {
    int status, status_of_reference;
    double value;
    char code[8], text[600], doctor[4000];
};

/* One function of the opened library, by its name in the header. */
#define GET(name)                                                                                            \
    __typeof__(name) *name##_ = NULL;                                                                        \
    {                                                                                                        \
        void *symbol = dlsym(handle, #name);                                                                 \
        if (!symbol)                                                                                         \
            return 3;                                                                                        \
        memcpy(&name##_, &symbol, sizeof symbol);                                                            \
    }

static int use(const char *path, struct answer *a)
{
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        return 2;
    GET(arex_context_new) GET(arex_program_new) GET(arex_call) GET(arex_call_options_init) GET(arex_diagnostics_get) GET(arex_diagnostics_text)
    GET(arex_doctor) GET(arex_free) GET(arex_array_free) GET(arex_program_free) GET(arex_context_free) GET(arex_diagnostics_free)
    double data[2] = {3, 4};
    arex_array x = {.data = data, .dtype = AREX_FLOAT64, .rank = 1, .device = -1, .shape = {2}, .strides = {8}}, out = {.device = -1};
    arex_context *context = NULL;
    arex_program *program = NULL;
    arex_diagnostics *d = NULL;
    arex_diagnostic one;
    arex_call_options o;
    char *text = NULL;
    if (arex_context_new_(NULL, &context, NULL) || arex_program_new_(context, "sum(x*x)", 8, NULL, NULL, &program, NULL))
        return 4;
    arex_call_options_init_(&o);
    o.target = AREX_TARGET_CPU;
    a->status = arex_call_(program, &x, 1, &out, 1, &o, &d);
    if (arex_diagnostics_get_(d, 0, &one) == AREX_OK) {
        snprintf(a->code, sizeof a->code, "%s", one.code);
        snprintf(a->text, sizeof a->text, "%s", arex_diagnostics_text_(d, -1));
    }
    arex_array_free_(context, &out);
    o.target = AREX_TARGET_REFERENCE;
    a->status_of_reference = arex_call_(program, &x, 1, &out, 1, &o, NULL);
    a->value = out.data ? *(double *)out.data : 0;
    if (arex_doctor_(context, 0, &text) == AREX_OK)
        snprintf(a->doctor, sizeof a->doctor, "%s", text);
    arex_free_(text);
    arex_array_free_(context, &out);
    arex_diagnostics_free_(d);
    arex_program_free_(program);
    arex_context_free_(context);
    return dlclose(handle) != 0;
}

static int use_alone(void *out)
{
    return use(alone_library, out);
}

static int use_whole(void *out)
{
    return use(library, out);
}

static void test_alone(void **state)
{
    static struct answer a;
    char wanted[200];
    (void)state;
    snprintf(wanted, sizeof wanted, "%s/libarex-llvm.so", alone);
    assert_int_equal(in_child(use_alone, &a, sizeof a), 0);
    assert_int_equal(a.status, AREX_ERROR_MACHINE);
    assert_string_equal(a.code, "AX0501");
    assert_non_null(strstr(a.text, wanted)); /* the path that was looked at */
    assert_non_null(strstr(a.doctor, wanted));
    assert_int_equal(a.status_of_reference, AREX_OK);
    assert_true(a.value == 25);
}

static void test_whole(void **state)
{
    static struct answer a;
    (void)state;
    assert_int_equal(in_child(use_whole, &a, sizeof a), 0);
    assert_int_equal(a.status, AREX_OK);
    assert_string_equal(a.code, "");
    assert_true(a.value == 25);
    assert_null(strstr(a.doctor, "AX0501"));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_opens_quickly), cmocka_unit_test(test_alone), cmocka_unit_test(test_whole)};
    char *self = strdup(argc > 0 ? argv[0] : ".");
    bool found = self && find_library(dirname(self));
    free(self);
    if (!found) {
        fprintf(stderr, "libarex.so is not where it is looked for\n");
        return 1;
    }
    return cmocka_run_group_tests_name("install", tests, set_up, tear_down);
}
