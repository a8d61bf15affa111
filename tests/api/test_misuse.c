/*
 * Calls that the header's comments rule out: no place for a result, nothing where something is needed, numbers out of
 * all range, option structs of other versions. Each is refused, none is a crash, and what was given stays as it was.
 */
#include <limits.h>
#include "host.h"

static void test_usage(void **state)
{
    arex_context_options o;
    arex_context *other = NULL;
    arex_program *p = NULL;
    arex_diagnostics *d = NULL;
    char *text = NULL;
    arex_diagnostic one;
    (void)state;
    arex_context_options_init(&o);
    o.size = 3;
    assert_int_equal(arex_context_new(&o, &other, &d), AREX_ERROR_USAGE);
    assert_true(has(d, "AX0701"));
    assert_null(other);
    arex_diagnostics_free(d);
    assert_int_equal(arex_context_new(NULL, NULL, NULL), AREX_ERROR_USAGE);
    assert_int_equal(arex_program_new(NULL, "x", 1, NULL, NULL, &p, NULL), AREX_ERROR_USAGE);
    assert_int_equal(arex_program_new(context, NULL, 1, NULL, NULL, &p, NULL), AREX_ERROR_USAGE);
    assert_int_equal(arex_program_new(context, "x", 1, NULL, NULL, NULL, NULL), AREX_ERROR_USAGE);
    assert_int_equal(arex_list("nonsense", 0, &text), AREX_ERROR_USAGE);
    assert_int_equal(arex_list(NULL, 0, &text), AREX_ERROR_USAGE);
    assert_int_equal(arex_list("ops", 0, NULL), AREX_ERROR_USAGE);
    assert_null(arex_program_input(NULL, 0));
    assert_int_equal(arex_diagnostics_get(NULL, 0, &one), AREX_ERROR_USAGE);
    assert_int_equal(arex_diagnostics_count(NULL), 0);
    assert_int_equal(arex_program_new(context, "x", 1, NULL, NULL, &p, NULL), AREX_OK);
    assert_null(arex_program_input(p, 1));
    assert_null(arex_program_input(p, -1));
    assert_int_equal(arex_call(p, NULL, 1, NULL, 1, NULL, NULL), AREX_ERROR_USAGE);
    assert_int_equal(arex_call(NULL, NULL, 0, NULL, 0, NULL, NULL), AREX_ERROR_USAGE);
    assert_int_equal(arex_emit(p, NULL, AREX_TARGET_CPU, NULL, NULL, &text, NULL), AREX_ERROR_USAGE);
    assert_int_equal(arex_program_stats(p, NULL), AREX_ERROR_USAGE);
    arex_call_options c;
    arex_call_options_init(&c);
    c.target = 17;
    double v = 1;
    arex_array x = scalar(AREX_FLOAT64, &v), out = {.device = -1};
    assert_int_equal(arex_call(p, &x, 1, &out, 1, &c, &d), AREX_ERROR_USAGE);
    arex_diagnostics_free(d);
    arex_program_free(p);
    arex_program_free(NULL);
    arex_context_free(NULL);
    arex_diagnostics_free(NULL);
    arex_free(NULL);
    arex_array_free(context, NULL);
}


/* NULL where the header does not allow it. */
static void test_nothing_given(void **state)
{
    arex_diagnostics *d = (arex_diagnostics *)1;
    arex_array a = {.dtype = AREX_FLOAT64, .device = -1}, b = a;
    arex_stats s = {.size = sizeof s};
    char *text = NULL;
    int count = 7;
    (void)state;
    arex_context_options_init(NULL);
    arex_compile_options_init(NULL);
    arex_call_options_init(NULL);
    expect_told(arex_context_new(NULL, NULL, &d), AREX_ERROR_USAGE, &d, "AX0701");
    expect_told(arex_device_count(NULL, &count, &d), AREX_ERROR_USAGE, &d, "AX0701");
    expect_told(arex_device_count(context, NULL, &d), AREX_ERROR_USAGE, &d, "AX0701");
    assert_int_equal(arex_doctor(NULL, 0, &text), AREX_ERROR_USAGE);
    assert_int_equal(arex_doctor(context, 0, NULL), AREX_ERROR_USAGE);
    expect_told(arex_program_new(NULL, NULL, 0, NULL, NULL, NULL, &d), AREX_ERROR_USAGE, &d, "AX0701");
    assert_int_equal(arex_program_inputs(NULL), 0);
    assert_int_equal(arex_program_outputs(NULL), 0);
    assert_null(arex_program_output(NULL, 0));
    expect_told(arex_call(NULL, &a, 1, &b, 1, NULL, &d), AREX_ERROR_USAGE, &d, "AX0701");
    expect_told(arex_infer(NULL, &a, 1, &b, 1, &d), AREX_ERROR_USAGE, &d, "AX0701");
    expect_told(arex_prepare(NULL, &a, 1, NULL, &d), AREX_ERROR_USAGE, &d, "AX0701");
    assert_int_equal(arex_program_stats(NULL, &s), AREX_ERROR_USAGE);
    expect_told(arex_emit(NULL, "ir", AREX_TARGET_CPU, NULL, NULL, &text, &d), AREX_ERROR_USAGE, &d, "AX0701");
    expect_told(arex_array_alloc(NULL, &a, &d), AREX_ERROR_USAGE, &d, "AX0701");
    expect_told(arex_array_alloc(context, NULL, &d), AREX_ERROR_USAGE, &d, "AX0701");
    expect_told(arex_array_copy(NULL, &a, &b, &d), AREX_ERROR_USAGE, &d, "AX0701");
    expect_told(arex_array_copy(context, NULL, &b, &d), AREX_ERROR_USAGE, &d, "AX0701");
    expect_told(arex_array_copy(context, &a, NULL, &d), AREX_ERROR_USAGE, &d, "AX0701");
    expect_told(arex_array_copy(context, &a, &b, &d), AREX_ERROR_USAGE, &d, "AX0701"); /* no data */
    arex_array_free(NULL, &a);
    arex_array_free(NULL, NULL);
    assert_int_equal(arex_dtype_of(NULL), AREX_NONE);
    assert_string_equal(arex_diagnostics_text(NULL, -1), "");
    assert_int_equal(arex_diagnostics_get(NULL, 0, NULL), AREX_ERROR_USAGE);
}

/* Places are set even when nothing comes of them, so that a host may free what it finds there. */
static void test_places_are_set(void **state)
{
    arex_context_options o;
    arex_compile_options c;
    arex_context *other = (arex_context *)1;
    arex_program *p = (arex_program *)1;
    arex_diagnostics *d = (arex_diagnostics *)1;
    char *text = (char *)1;
    (void)state;
    arex_context_options_init(&o);
    o.size = 0;
    assert_int_equal(arex_context_new(&o, &other, NULL), AREX_ERROR_USAGE);
    assert_null(other);
    assert_int_equal(arex_program_new(NULL, "x", 1, NULL, NULL, &p, NULL), AREX_ERROR_USAGE);
    assert_null(p);
    p = (arex_program *)1;
    arex_compile_options_init(&c);
    c.size = 1;
    assert_int_equal(arex_program_new(context, "x", 1, NULL, &c, &p, NULL), AREX_ERROR_USAGE);
    assert_null(p);
    p = (arex_program *)1;
    assert_int_equal(arex_program_new(context, "x +", 3, NULL, NULL, &p, NULL), AREX_ERROR_PROGRAM);
    assert_null(p);
    assert_int_equal(arex_list("nothing", 0, &text), AREX_ERROR_USAGE);
    assert_null(text);
    assert_int_equal(arex_program_new(context, "x", 1, NULL, NULL, &p, &d), AREX_OK);
    assert_null(d);
    arex_program_free(p);
}

/* Option structs: shorter ones of older hosts, longer ones of newer hosts that set nothing new, and those that do. */
static void test_option_structs(void **state)
{
    struct {
        arex_compile_options known;
        uint64_t more[4];
    } o;
    arex_program *p = NULL;
    arex_diagnostics *d = NULL;
    (void)state;
    memset(&o, 0, sizeof o);
    arex_compile_options_init(&o.known);
    assert_int_equal(o.known.size, sizeof o.known);
    o.known.size = sizeof o;
    assert_int_equal(arex_program_new(context, "x", 1, NULL, &o.known, &p, &d), AREX_OK);
    arex_program_free(p);
    o.more[3] = 1;
    expect_told(arex_program_new(context, "x", 1, NULL, &o.known, &p, &d), AREX_ERROR_USAGE, &d, "AX0701");
    o.known.max_source = 1; /* lies beyond an older host's struct: not looked at */
    o.known.size = offsetof(arex_compile_options, max_source);
    assert_int_equal(arex_program_new(context, "x + x", 5, NULL, &o.known, &p, &d), AREX_OK);
    arex_program_free(p);
    static const size_t sizes[] = {0, 1, 7, SIZE_MAX, (size_t)1 << 40};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        o.known.size = sizes[i];
        expect_told(arex_program_new(context, "x", 1, NULL, &o.known, &p, &d), AREX_ERROR_USAGE, &d, "AX0701");
    }
    arex_call_options c;
    double v = 2;
    arex_array x = scalar(AREX_FLOAT64, &v), out = {.device = -1};
    assert_int_equal(arex_program_new(context, "x", 1, NULL, NULL, &p, &d), AREX_OK);
    arex_call_options_init(&c);
    c.size = 3;
    expect_told(arex_call(p, &x, 1, &out, 1, &c, &d), AREX_ERROR_USAGE, &d, "AX0701");
    expect_told(arex_prepare(p, &x, 1, &c, &d), AREX_ERROR_USAGE, &d, "AX0701");
    assert_null(out.data);
    arex_program_free(p);
}

/* Sources whose length cannot be true are refused before they are read. */
static void test_sources(void **state)
{
    static const size_t absurd[] = {SIZE_MAX, SIZE_MAX / 2, (size_t)UINT32_MAX + 1, UINT32_MAX, (size_t)1 << 21};
    arex_compile_options o;
    arex_program *p = NULL;
    arex_diagnostics *d = NULL;
    (void)state;
    arex_compile_options_init(&o);
    for (size_t i = 0; i < sizeof absurd / sizeof *absurd; i++)
        expect_told(arex_program_new(context, "x", absurd[i], NULL, NULL, &p, &d), AREX_ERROR_PROGRAM, &d, "AX0401");
    o.max_source = 100;
    expect_told(arex_program_new(context, "x", 101, NULL, &o, &p, &d), AREX_ERROR_PROGRAM, &d, "AX0401");
    expect_told(arex_program_new(context, NULL, 0, NULL, NULL, &p, &d), AREX_ERROR_PROGRAM, &d, "AX0216");
    expect_told(arex_program_new(context, "x\0y", 3, NULL, NULL, &p, &d), AREX_ERROR_PROGRAM, &d, "AX0107");
    char name[5000];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = 0;
    expect_told(arex_program_new(context, "x +", 3, name, NULL, &p, &d), AREX_ERROR_PROGRAM, &d, "AX0106");
}

/* The source and its name are copied, and a program answers when both are gone. */
static void test_sources_are_copied(void **state)
{
    char source[] = "total = sum(x*x)\nreturn total, x + y", name[] = "here";
    double data[2] = {3, 4};
    arex_array in[2] = {vector(AREX_FLOAT64, data, 2), vector(AREX_FLOAT64, data, 1)}, out[2] = {{.device = -1}, {.device = -1}};
    arex_program *p = NULL;
    arex_diagnostics *d = NULL;
    (void)state;
    assert_int_equal(arex_program_new(context, source, strlen(source), name, NULL, &p, NULL), AREX_OK);
    memset(source, '#', sizeof source - 1);
    memset(name, '#', sizeof name - 1);
    assert_string_equal(arex_program_input(p, 1), "y");
    assert_int_equal(arex_call(p, in, 2, out, 2, NULL, &d), AREX_OK);
    assert_true(*(double *)out[0].data == 25);
    in[1].shape[0] = 2, in[1].data = NULL;
    assert_int_equal(arex_call(p, in, 2, out, 2, NULL, &d), AREX_ERROR_PROGRAM);
    arex_program_free(p);
    assert_non_null(strstr(arex_diagnostics_text(d, 0), "here")); /* diagnostics outlive their program */
    assert_non_null(strstr(arex_diagnostics_text(d, 0), "x + y"));
    arex_diagnostics_free(d);
    arex_array_free(context, &out[0]);
    arex_array_free(context, &out[1]);
}

/* What a diagnostics object gives for any index. */
static void test_diagnostics(void **state)
{
    static const char source[] = "a = sinn(x)\nb = x +\nc = cosn(y)\nc";
    arex_program *p = NULL;
    arex_diagnostics *d = NULL;
    arex_diagnostic one;
    (void)state;
    assert_int_equal(arex_program_new(context, source, strlen(source), "t", NULL, &p, &d), AREX_ERROR_PROGRAM);
    int n = arex_diagnostics_count(d);
    assert_true(n >= 1);
    assert_int_equal(arex_diagnostics_get(d, n, &one), AREX_ERROR_USAGE);
    assert_int_equal(arex_diagnostics_get(d, -1, &one), AREX_ERROR_USAGE);
    assert_int_equal(arex_diagnostics_get(d, INT_MIN, &one), AREX_ERROR_USAGE);
    assert_int_equal(arex_diagnostics_get(d, 0, NULL), AREX_ERROR_USAGE);
    assert_string_equal(arex_diagnostics_text(d, n), "");
    assert_string_equal(arex_diagnostics_text(d, -2), "");
    const char *all = arex_diagnostics_text(d, -1), *again = arex_diagnostics_text(d, 0);
    assert_non_null(strstr(all, "^"));
    assert_non_null(strstr(again, "^"));
    arex_diagnostics_free(d);
}

/* Counts and views that no array has. */
static void refused(arex_program *p, const arex_array *in, int n, arex_status status, const char *code)
{
    arex_array out = {.device = -1};
    arex_diagnostics *d = NULL;
    expect_told(arex_call(p, in, n, &out, 1, NULL, &d), status, &d, code);
    assert_null(out.data);
    expect_told(arex_infer(p, in, n, &out, 1, &d), status, &d, code);
    expect_told(arex_prepare(p, in, n, NULL, &d), status, &d, code);
}

static void test_absurd_inputs(void **state)
{
    double data[4] = {1, 2, 3, 4};
    const int64_t square[] = {2, 2};
    static const int64_t far[] = {INT64_MAX, INT64_MIN, INT64_MIN + 8, INT64_MAX / 8 * 8, (int64_t)1 << 62, -((int64_t)1 << 62), 4};
    arex_array good = view(AREX_FLOAT64, data, 2, square), x;
    arex_program *p = NULL;
    (void)state;
    assert_int_equal(arex_program_new(context, "x + 1", 5, NULL, NULL, &p, NULL), AREX_OK);
    for (size_t i = 0; i < sizeof far / sizeof *far; i++) {
        x = good, x.strides[0] = far[i]; /* an element further off than memory reaches, or not at an element's place */
        refused(p, &x, 1, AREX_ERROR_PROGRAM, "AX0308");
    }
    x = good, x.shape[0] = (int64_t)1 << 40, x.strides[0] = (int64_t)1 << 40;
    refused(p, &x, 1, AREX_ERROR_PROGRAM, "AX0308");
    static const int dtypes[] = {AREX_NONE, -1, 16, 99, INT_MAX, INT_MIN, 256 + AREX_FLOAT64};
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        x = good, x.dtype = dtypes[i];
        refused(p, &x, 1, AREX_ERROR_PROGRAM, "AX0308");
    }
    x = good, x.dtype = AREX_COMPLEX128, x.data = (char *)x.data + 4; /* aligned as its parts are, not less */
    refused(p, &x, 1, AREX_ERROR_PROGRAM, "AX0308");
    static const int ranks[] = {-1, 9, INT_MAX, INT_MIN, 256};
    for (size_t i = 0; i < sizeof ranks / sizeof *ranks; i++) {
        x = good, x.rank = ranks[i];
        refused(p, &x, 1, AREX_ERROR_PROGRAM, "AX0308");
    }
    x = good, x.flags = AREX_WEAK; /* weak is for rank 0 */
    refused(p, &x, 1, AREX_ERROR_PROGRAM, "AX0308");
    x = weak(AREX_FLOAT32, data); /* and for Python's own types */
    refused(p, &x, 1, AREX_ERROR_PROGRAM, "AX0308");
    x = good, x.flags = UINT32_MAX;
    refused(p, &x, 1, AREX_ERROR_PROGRAM, "AX0308");
    x = good, x.device = -2;
    refused(p, &x, 1, AREX_ERROR_PROGRAM, "AX0308");
    refused(p, &good, 0, AREX_ERROR_PROGRAM, "AX0304");
    refused(p, &good, 2, AREX_ERROR_PROGRAM, "AX0305");
    refused(p, &good, -1, AREX_ERROR_USAGE, "AX0701");
    refused(p, &good, INT_MIN, AREX_ERROR_USAGE, "AX0701");
    refused(p, NULL, 1, AREX_ERROR_USAGE, "AX0701");
    arex_program_free(p);
    assert_int_equal(arex_program_new(context, "1 + 1", 5, NULL, NULL, &p, NULL), AREX_OK);
    refused(p, NULL, -1, AREX_ERROR_USAGE, "AX0701");
    refused(p, &good, 1, AREX_ERROR_PROGRAM, "AX0305");
    arex_program_free(p);
    x = vector(AREX_FLOAT64, data, 1), x.strides[0] = 3; /* with one element strides mean nothing */
    struct call c;
    call_open(&c, "x + 1");
    assert_int_equal(call_run(&c, &x, 1), AREX_OK);
    arex_array_free(context, &c.out);
    x = vector(AREX_FLOAT64, data, 0), x.strides[0] = INT64_MIN;
    assert_int_equal(call_run(&c, &x, 1), AREX_OK);
    call_close(&c);
}

/* Given outputs: not at an element's place, further off than memory reaches, on top of themselves, too many, too few. */
static void test_absurd_outputs(void **state)
{
    double data[4] = {1, 2, 3, 4}, room[4] = {0};
    static const int64_t far[] = {0, 4, -4, 12, INT64_MAX, INT64_MIN, INT64_MAX / 8 * 8, (int64_t)1 << 62};
    arex_array x = vector(AREX_FLOAT64, data, 3), out;
    arex_program *p = NULL;
    arex_diagnostics *d = NULL;
    arex_call_options o;
    (void)state;
    arex_call_options_init(&o);
    assert_int_equal(arex_program_new(context, "x + 1", 5, NULL, NULL, &p, NULL), AREX_OK);
    for (int target = AREX_TARGET_AUTO; target <= AREX_TARGET_REFERENCE; target++) {
        o.target = target;
        if (target == AREX_TARGET_CUDA)
            continue;
        for (size_t i = 0; i < sizeof far / sizeof *far; i++) {
            out = vector(AREX_FLOAT64, room, 3), out.strides[0] = far[i];
            expect_told(arex_call(p, &x, 1, &out, 1, &o, &d), AREX_ERROR_PROGRAM, &d, "AX0309");
        }
        out = vector(AREX_FLOAT64, (char *)room + 1, 3);
        expect_told(arex_call(p, &x, 1, &out, 1, &o, &d), AREX_ERROR_PROGRAM, &d, "AX0309");
        out = vector(AREX_FLOAT64, room, 3), out.rank = INT_MAX;
        expect_told(arex_call(p, &x, 1, &out, 1, &o, &d), AREX_ERROR_PROGRAM, &d, "AX0309");
        out = vector(AREX_FLOAT64, room, 3), out.dtype = INT_MIN;
        expect_told(arex_call(p, &x, 1, &out, 1, &o, &d), AREX_ERROR_PROGRAM, &d, "AX0309");
    }
    for (int i = 0; i < 4; i++)
        assert_true(room[i] == 0);
    expect_told(arex_call(p, &x, 1, &out, 0, NULL, &d), AREX_ERROR_USAGE, &d, "AX0701");
    expect_told(arex_call(p, &x, 1, &out, 2, NULL, &d), AREX_ERROR_USAGE, &d, "AX0701");
    expect_told(arex_call(p, &x, 1, &out, -1, NULL, &d), AREX_ERROR_USAGE, &d, "AX0701");
    expect_told(arex_call(p, &x, 1, NULL, 1, NULL, &d), AREX_ERROR_USAGE, &d, "AX0701");
    x.shape[0] = (int64_t)1 << 48, x.strides[0] = 0; /* one number, seen so often that its like has no place */
    memset(&out, 0, sizeof out);
    out.device = -1;
    expect_told(arex_call(p, &x, 1, &out, 1, NULL, &d), AREX_ERROR_MEMORY, &d, "AX0408");
    assert_null(out.data);
    arex_program_free(p);
}

static void test_absurd_memory(void **state)
{
    double data[6] = {1, 2, 3, 4, 5, 6}, room[6] = {0};
    const int64_t shape[] = {2, 3};
    arex_array a = view(AREX_FLOAT64, data, 2, shape), b = view(AREX_FLOAT64, room, 2, shape), c;
    arex_diagnostics *d = NULL;
    (void)state;
    static const arex_array bad[] = {
        {.dtype = 0, .device = -1}, {.dtype = 99, .device = -1}, {.dtype = AREX_INT8, .rank = 9, .device = -1}, {.dtype = AREX_INT8, .rank = -1, .device = -1},
        {.dtype = AREX_INT8, .rank = 1, .device = -1, .shape = {-1}}, {.dtype = AREX_INT16, .rank = 2, .device = -1, .shape = {INT64_MAX, INT64_MAX}},
        {.dtype = AREX_INT8, .device = -2},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        c = bad[i];
        expect_told(arex_array_alloc(context, &c, &d), AREX_ERROR_USAGE, &d, "AX0701");
        assert_null(c.data);
    }
    c = b, c.shape[0] = 3, c.shape[1] = 2, c.strides[0] = 16; /* as many elements, another shape */
    expect_told(arex_array_copy(context, &c, &a, &d), AREX_ERROR_USAGE, &d, "AX0701");
    c = b, c.dtype = AREX_INT64;
    expect_told(arex_array_copy(context, &c, &a, &d), AREX_ERROR_USAGE, &d, "AX0701");
    c = b, c.strides[0] = 8, c.strides[1] = 16; /* not contiguous in this order */
    expect_told(arex_array_copy(context, &c, &a, &d), AREX_ERROR_USAGE, &d, "AX0701");
    expect_told(arex_array_copy(context, &a, &c, &d), AREX_ERROR_USAGE, &d, "AX0701");
    assert_true(room[0] == 0);
    assert_int_equal(arex_array_copy(context, &b, &a, NULL), AREX_OK);
    assert_true(room[5] == 6);
    c = (arex_array){.dtype = AREX_FLOAT32, .rank = 2, .device = -1, .shape = {0, 5}};
    assert_int_equal(arex_array_alloc(context, &c, NULL), AREX_OK); /* nothing has a place too */
    assert_non_null(c.data);
    arex_array_free(context, &c);
    arex_array_free(context, &c);
}

/* Numbers of threads and devices that no machine has. */
static void test_absurd_contexts(void **state)
{
    static const int32_t threads[] = {-1, INT32_MIN, INT32_MAX, 100000}, devices[] = {-1, 99, INT32_MAX, INT32_MIN};
    static double data[100000];
    arex_context *shared = context;
    arex_array x = vector(AREX_FLOAT64, data, 100000);
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        arex_context_options o;
        struct call c;
        arex_context_options_init(&o);
        o.threads = threads[i];
        o.device = devices[i];
        assert_int_equal(arex_context_new(&o, &context, NULL), AREX_OK);
        call_open(&c, "sum(x)");
        c.options.target = AREX_TARGET_AUTO;
        c.options.threads = threads[3 - i];
        assert_int_equal(call_run(&c, &x, 1), AREX_OK);
        call_close(&c);
        arex_context_free(context);
    }
    context = shared;
}

static int stop_at_once(void *user, double done)
{
    assert_true(done >= 0 && done <= 1);
    return ++*(int *)user;
}

/* Some 10^10 sines: nobody waits for them. */
static void test_watched(void **state)
{
    static double data[1 << 20];
    const char *source = "def f(v) { s = 0.0; for i in range(10000) { s += sin(v + i) }; return s }\nf(x)";
    arex_array x = vector(AREX_FLOAT64, data, 1 << 20), few = vector(AREX_FLOAT64, data, 1);
    struct call c;
    int looks = 0;
    (void)state;
    call_open(&c, source);
    c.options.progress = stop_at_once;
    c.options.progress_user = &looks;
    assert_int_equal(call_run(&c, &x, 1), AREX_STOPPED);
    assert_true(has(c.diags, "AX0704"));
    assert_int_equal(looks, 1);
    assert_null(c.out.data);
    c.options.progress = NULL;
    assert_int_equal(call_run(&c, &few, 1), AREX_OK);
    call_close(&c);
}

int run_misuse_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usage), cmocka_unit_test(test_nothing_given), cmocka_unit_test(test_places_are_set), cmocka_unit_test(test_option_structs),
        cmocka_unit_test(test_sources), cmocka_unit_test(test_sources_are_copied), cmocka_unit_test(test_diagnostics), cmocka_unit_test(test_absurd_inputs),
        cmocka_unit_test(test_absurd_outputs), cmocka_unit_test(test_absurd_memory), cmocka_unit_test(test_absurd_contexts), cmocka_unit_test(test_watched),
    };
    return cmocka_run_group_tests_name("misuse", tests, open_context, close_context);
}
