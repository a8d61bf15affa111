/*
 * Memory that runs short. Each scenario is done again and again: the first request of libarex.so for memory is refused, then the second, and so on until it is done with
 * none refused; and then the same with all that follow refused too. Whatever was refused, the call returns, says so (AX0408) or is right, loses nothing and does no harm: made
 * again with memory it is right, and once all is freed nothing of the library's is alive.
 */
#include <libgen.h>
#include <sys/stat.h>
#include <unistd.h>
#include "fake.h"
#include "short.h"

/* What a scenario works on; freed after each round. */
struct stage {
    const struct scenario *scenario;
    arex_context *context;
    arex_program *program;
    arex_diagnostics *diags;
    arex_diagnostics *kept; /* of what was told before */
    arex_array in[3], out[2];
    arex_array there; /* of the device, for outputs */
    int n_in, n_out, count;
    char *text;
    bool raised;  /* a fault that nobody was told of */
    bool refused; /* something was, in what is judged */
};

struct scenario {
    const char *name;
    void (*open)(struct stage *); /* with memory; NULL: a context and the program */
    arex_status (*act)(struct stage *);
    bool (*right)(struct stage *); /* has it done what it is for? Asked where its status is `want` */
    const char *source, *argument; /* what for, is open's and act's business */
    const char *says;              /* the code of what it is to say, or NULL */
    arex_status want;
    int target, threads, codegen, calls; /* calls: how many more there are in a row, with arrays on the device and a stream */
    void (*fill)(struct stage *); /* inputs and outputs of a call; NULL: ten elements of float64, outputs allocated by the library */
};

static char expected[1 << 14]; /* of a round with memory: text, or the bytes of outputs */
static size_t n_expected;

/* ---- arrays ---- */

enum { SMALL = 10, LARGE = 1 << 17 };
static double small[3 * SMALL], large[LARGE], room[4 * SMALL];
static float narrow[SMALL];
static int64_t whole[SMALL];

static void fill_data(void)
{
    for (int i = 0; i < 3 * SMALL; i++)
        small[i] = 0.5 * i - 3;
    for (int i = 0; i < LARGE; i++)
        large[i] = (i % 1000) * 0.001;
    for (int i = 0; i < SMALL; i++)
        narrow[i] = (float)i, whole[i] = i % 3;
}

static arex_array place(void)
{
    return (arex_array){.device = -1};
}

static void fill_usual(struct stage *s)
{
    s->n_in = arex_program_inputs(s->program);
    s->n_out = arex_program_outputs(s->program);
    for (int i = 0; i < s->n_in; i++)
        s->in[i] = vector(AREX_FLOAT64, small + SMALL * i, SMALL);
    for (int i = 0; i < s->n_out; i++)
        s->out[i] = place();
}

static void fill_large(struct stage *s)
{
    fill_usual(s);
    s->in[0] = vector(AREX_FLOAT64, large, LARGE);
}

static void fill_matrix(struct stage *s)
{
    const int64_t shape[] = {3, SMALL};
    fill_usual(s);
    s->in[0] = view(AREX_FLOAT64, small, 2, shape);
}

/* An output that lies where the input does, with room between its elements. */
static void fill_over(struct stage *s)
{
    fill_usual(s);
    memcpy(room, small, sizeof small);
    s->in[0] = vector(AREX_FLOAT64, room + 1, SMALL);
    s->out[0] = vector(AREX_FLOAT64, room, SMALL);
    s->out[0].strides[0] = 16;
}

static void fill_mixed(struct stage *s)
{
    fill_usual(s);
    s->in[0] = vector(AREX_FLOAT32, narrow, SMALL);
    s->in[1] = vector(AREX_INT64, whole, SMALL);
}

/* ---- opening and closing ---- */

static void open_context_of(struct stage *s, const char *driver)
{
    arex_context_options o;
    arex_context_options_init(&o);
    o.packages = "/nowhere/one:/nowhere/two";
    o.threads = s->scenario->threads ? s->scenario->threads : 1;
    o.cuda_driver = driver;
    assert_int_equal(arex_context_new(&o, &s->context, NULL), AREX_OK);
}

static void open_only_context(struct stage *s)
{
    open_context_of(s, "/nowhere/libcuda.so.1");
}

static void make_program(struct stage *s)
{
    arex_compile_options o;
    arex_compile_options_init(&o);
    o.codegen = s->scenario->codegen;
    if (arex_program_new(s->context, s->scenario->source, strlen(s->scenario->source), "t", &o, &s->program, &s->diags) != AREX_OK)
        fail_msg("%s: %s", s->scenario->source, all_text(s->diags));
}

/* Arrays for a call. */
static void fill(struct stage *s)
{
    (s->scenario->fill ? s->scenario->fill : fill_usual)(s);
}

static void open_program(struct stage *s)
{
    open_only_context(s);
    make_program(s);
}

/* ---- a GPU that computes nothing ---- */

static void open_gpu(struct stage *s)
{
    fake.reset();
    open_context_of(s, fake.path);
}

static void open_gpu_program(struct stage *s)
{
    open_gpu(s);
    make_program(s);
}

static void fill_gpu(struct stage *s)
{
    fill_usual(s);
    for (int i = 0; i < s->n_in; i++) {
        s->in[i].device = 0;
        s->in[i].data = NULL;
        assert_int_equal(arex_array_alloc(s->context, &s->in[i], NULL), AREX_OK);
    }
    for (int i = 0; i < s->n_out; i++)
        s->out[i].device = 0;
}

/* With its inputs on the device; before anything is refused. */
static void open_gpu_arrays(struct stage *s)
{
    open_gpu_program(s);
    fill_gpu(s);
}

/* With room on the device for an output that lies over its input. */
static void open_gpu_room(struct stage *s)
{
    open_gpu_program(s);
    s->there = (arex_array){.dtype = AREX_FLOAT64, .rank = 1, .device = 0, .shape = {2 * SMALL}};
    assert_int_equal(arex_array_alloc(s->context, &s->there, NULL), AREX_OK);
}

static void fill_gpu_over(struct stage *s)
{
    s->n_in = s->n_out = 1;
    s->in[0] = s->out[0] = s->there;
    s->in[0].shape[0] = s->out[0].shape[0] = SMALL;
    s->out[0].strides[0] = 16;
}

/* ---- the end of a round ---- */

static bool is_of_test(const struct stage *s, const char *data)
{
    return data == s->there.data || (data >= (char *)room && data < (char *)(room + 4 * SMALL));
}

static void drop_inputs(struct stage *s)
{
    for (int i = 0; i < s->n_in; i++)
        if (s->in[i].device >= 0 && !is_of_test(s, s->in[i].data))
            arex_array_free(s->context, &s->in[i]);
    arex_array_free(s->context, &s->there);
}

static void drop_results(struct stage *s)
{
    for (int i = 0; i < s->n_out; i++)
        if (s->out[i].data && !is_of_test(s, s->out[i].data))
            arex_array_free(s->context, &s->out[i]);
    arex_diagnostics_free(s->diags);
    arex_free(s->text);
    s->diags = NULL;
    s->text = NULL;
}

static void close_stage(struct stage *s)
{
    drop_results(s);
    drop_inputs(s);
    arex_diagnostics_free(s->kept);
    arex_program_free(s->program);
    arex_context_free(s->context);
    if (fake.live() != 0)
        fail_msg("%s: %d things of the device stay", s->scenario->name, fake.live());
}

/* ---- what is done ---- */

static void open_nothing(struct stage *s)
{
    (void)s;
}

static arex_status new_context(struct stage *s)
{
    arex_context_options o;
    arex_context_options_init(&o);
    o.threads = 1;
    o.cuda_driver = "/nowhere/cuda";
    o.packages = "/nowhere/packages";
    o.llvm_library = s->scenario->argument ? NULL : "/nowhere/llvm";
    o.libnvvm = s->scenario->argument;
    arex_context_free(s->context);
    return arex_context_new(&o, &s->context, &s->diags);
}

/* It has kept all that it was told. */
static bool keeps_options(struct stage *s)
{
    char *text = NULL;
    bool all = arex_doctor(s->context, 0, &text) == AREX_OK && strstr(text, "/nowhere/cuda") && strstr(text, s->scenario->argument ? s->scenario->argument : "/nowhere/llvm");
    arex_free(text);
    return all;
}

static arex_status new_program(struct stage *s)
{
    const char *source = s->scenario->source;
    arex_program_free(s->program);
    return arex_program_new(s->context, source, strlen(source), "t", NULL, &s->program, &s->diags);
}

static bool has_names(struct stage *s)
{
    return arex_program_inputs(s->program) >= 1 && strcmp(arex_program_input(s->program, 0), "x") == 0;
}

static arex_status call(struct stage *s)
{
    fill(s);
    arex_call_options o;
    arex_call_options_init(&o);
    o.target = s->scenario->target;
    return arex_call(s->program, s->in, s->n_in, s->out, s->n_out, &o, &s->diags);
}

static arex_status launch(struct stage *s)
{
    static const uint32_t one[3] = {1, 1, 1}, all[3] = {SMALL, 1, 1};
    arex_call_options o;
    arex_call_options_init(&o);
    o.target = s->scenario->target;
    fill(s);
    s->in[1] = vector(AREX_FLOAT64, room, SMALL);
    s->out[0] = s->in[1];
    return arex_launch(s->program, s->in, s->n_in, one, all, &o, &s->diags);
}

/* Again and again on a stream: the first is remembered, those after it are given to the device as it was. */
static arex_status call_on_stream(struct stage *s)
{
    arex_status status = AREX_OK;
    arex_call_options o;
    arex_call_options_init(&o);
    o.stream = (void *)1;
    o.late_faults = 1;
    for (int i = 0; status == AREX_OK && i <= s->scenario->calls; i++) {
        drop_results(s);
        s->out[0] = (arex_array){.device = 0};
        status = arex_call(s->program, s->in, s->n_in, s->out, s->n_out, &o, &s->diags);
    }
    return status;
}

/* Work under way that raises a fault. */
static void raise_fault(struct stage *s)
{
    assert_int_equal(call_on_stream(s), AREX_OK);
    drop_results(s);
    void *(*page)(void);
    find_function("fake_page", &page);
    *(uint32_t *)page() = 4; /* an index out of range */
    s->raised = true;
}

static void open_raised(struct stage *s)
{
    open_gpu_arrays(s);
    raise_fault(s);
}

static arex_status synchronize(struct stage *s)
{
    if (!s->raised)
        raise_fault(s);
    arex_status status = arex_synchronize(s->context, 0, &s->diags);
    s->raised = status == AREX_ERROR_MEMORY;
    return status;
}

/* The program goes before anybody asks. */
static arex_status synchronize_without(struct stage *s)
{
    if (!s->program)
        make_program(s);
    if (!s->raised)
        raise_fault(s);
    arex_program_free(s->program);
    s->program = NULL;
    arex_status status = arex_synchronize(s->context, 0, &s->diags);
    s->raised = status == AREX_ERROR_MEMORY;
    return status;
}

static arex_status new_device_array(struct stage *s)
{
    s->n_out = 1;
    s->out[0] = (arex_array){.dtype = AREX_FLOAT64, .rank = 1, .device = 1, .shape = {SMALL}};
    return arex_array_alloc(s->context, &s->out[0], &s->diags);
}

/* What was told before is read: the text is made then. */
static void open_told(struct stage *s)
{
    open_only_context(s);
    assert_int_equal(arex_program_new(s->context, s->scenario->source, strlen(s->scenario->source), "t", NULL, &s->program, &s->kept), AREX_ERROR_PROGRAM);
}

static arex_status read_told(struct stage *s)
{
    return *arex_diagnostics_text(s->kept, -1) && *arex_diagnostics_text(s->kept, 0) ? AREX_OK : AREX_ERROR_MEMORY;
}

/* A program that has run before, for other types: it still runs for those. */
static void open_called(struct stage *s)
{
    open_program(s);
    fill_usual(s);
    arex_call_options o;
    arex_call_options_init(&o);
    o.target = s->scenario->target;
    assert_int_equal(arex_call(s->program, s->in, s->n_in, s->out, s->n_out, &o, NULL), AREX_OK);
    drop_results(s);
}

static arex_status prepare(struct stage *s)
{
    fill(s);
    arex_call_options o;
    arex_call_options_init(&o);
    o.target = s->scenario->target;
    return arex_prepare(s->program, s->in, s->n_in, &o, &s->diags);
}

static arex_status infer(struct stage *s)
{
    fill(s);
    return arex_infer(s->program, s->in, s->n_in, s->out, s->n_out, &s->diags);
}

static arex_status list(struct stage *s)
{
    return arex_list(s->scenario->argument, s->scenario->target, &s->text);
}

static arex_status doctor(struct stage *s)
{
    return arex_doctor(s->context, s->scenario->target, &s->text);
}

static arex_status emit(struct stage *s)
{
    return arex_emit(s->program, s->scenario->argument, s->scenario->target, NULL, NULL, &s->text, &s->diags);
}

static arex_status count_devices(struct stage *s)
{
    return arex_device_count(s->context, &s->count, &s->diags);
}

static arex_status new_array(struct stage *s)
{
    s->n_out = 1;
    s->out[0] = (arex_array){.dtype = AREX_FLOAT64, .rank = 1, .device = -1, .shape = {SMALL}};
    return arex_array_alloc(s->context, &s->out[0], &s->diags);
}

/* ---- is it right? ---- */

static size_t elements(const arex_array *a)
{
    size_t n = 1;
    for (int d = 0; d < a->rank; d++)
        n *= (size_t)a->shape[d];
    return n;
}

/* The same as the first time. */
static bool as_expected(const void *at, size_t n)
{
    n = n < sizeof expected ? n : sizeof expected;
    if (!n_expected) {
        memcpy(expected, at, n);
        n_expected = n;
    }
    return n == n_expected && memcmp(expected, at, n) == 0;
}

static bool same_text(struct stage *s)
{
    return s->text && as_expected(s->text, strlen(s->text) + 1);
}

/* Of the first output. */
static bool same_result(struct stage *s)
{
    const arex_array *o = &s->out[0];
    int64_t size = (int64_t)arex_dtype_size(o->dtype);
    return o->data && as_expected(o->data, elements(o) ? (elements(o) - 1) * (size_t)(o->rank ? o->strides[o->rank - 1] : size) + (size_t)size : 1);
}

static bool same_room(struct stage *s)
{
    (void)s;
    return as_expected(room, sizeof *room * SMALL);
}

/* The fake GPU leaves anything in its arrays. */
static bool has_output(struct stage *s)
{
    return s->out[0].data && s->out[0].rank == 1 && s->out[0].shape[0] == SMALL;
}

/* AUTO takes the GPU, and does again after one that could not be opened for want of memory. */
static bool ran_on_gpu(struct stage *s)
{
    return has_output(s) && (s->refused || fake.launches() > 0);
}

static bool same_shape(struct stage *s)
{
    return as_expected(s->out[0].shape, sizeof s->out[0].shape);
}

static bool two_devices(struct stage *s)
{
    return s->count == 2;
}

static bool same_words(struct stage *s)
{
    const char *text = all_text(s->diags);
    return strstr(text, s->scenario->says) && as_expected(text, strlen(text) + 1);
}

static bool reads_well(struct stage *s)
{
    const char *text = arex_diagnostics_text(s->kept, -1);
    return strcmp(text, arex_diagnostics_text(s->kept, 0)) == 0 && as_expected(text, strlen(text) + 1);
}

static bool also_as_before(struct stage *s)
{
    bool right = same_result(s);
    arex_array in[] = {vector(AREX_FLOAT64, small, SMALL), vector(AREX_FLOAT64, small + SMALL, SMALL)}, out = place();
    arex_call_options o;
    arex_call_options_init(&o);
    o.target = s->scenario->target;
    right = right && arex_call(s->program, in, 2, &out, 1, &o, NULL) == AREX_OK;
    for (int i = 0; right && i < SMALL; i++)
        right = ((double *)out.data)[i] == small[i] + small[SMALL + i];
    arex_array_free(s->context, &out);
    return right;
}

/* ---- rounds ---- */

static bool says(const struct stage *s, const char *code)
{
    arex_diagnostic one;
    bool found = false;
    for (int i = 0; i < arex_diagnostics_count(s->diags); i++) {
        found |= arex_diagnostics_get(s->diags, i, &one) == AREX_OK && strcmp(one.code, code) == 0 && one.message && *one.message;
        assert_non_null(arex_diagnostics_text(s->diags, i));
    }
    return found;
}

/* No memory, told so where there was memory to tell it; or code that could not be loaded. */
static bool tells_shortage(const struct stage *s, arex_status status)
{
    return (status == AREX_ERROR_MEMORY && (arex_diagnostics_count(s->diags) == 0 || says(s, "AX0408"))) || (status == AREX_ERROR_MACHINE && says(s, "AX0607"));
}

/* With something refused an error may have lost its words, but not its code. */
static bool is_right(struct stage *s, bool refused)
{
    const struct scenario *c = s->scenario;
    return refused && c->says ? arex_diagnostics_count(s->diags) == 0 || says(s, c->says) : c->right(s);
}

static void judge(struct stage *s, arex_status status, bool refused, unsigned nth, bool on)
{
    s->refused = refused;
    bool fine = status == s->scenario->want ? is_right(s, refused) : refused && tells_shortage(s, status);
    if (!fine)
        fail_msg("%s, request %u%s (%s)%s: status %d, %s", s->scenario->name, nth, on ? " and on" : "", short_first(), refused ? "" : ", again with memory", status, all_text(s->diags));
}

/* Was anything refused? */
static bool round_of(const struct scenario *c, unsigned nth, bool on)
{
    struct stage s = {.scenario = c};
    unsigned before = short_live();
    (c->open ? c->open : open_program)(&s);
    short_refuse(nth, on);
    arex_status status = c->act(&s);
    bool refused = short_done() > 0;
    judge(&s, status, refused, nth, on);
    drop_results(&s);
    if (!on || nth % 3 == 0) /* it takes most of the time, compiling */
        judge(&s, c->act(&s), false, nth, on);
    close_stage(&s);
    if (short_live() != before)
        fail_msg("%s, request %u%s (%s): %d blocks stay, of %s", c->name, nth, on ? " and on" : "", short_first(), (int)(short_live() - before), short_alive());
    return refused;
}

static void play(void **state)
{
    const struct scenario *c = *state;
    n_expected = 0;
    round_of(c, 0, false); /* what is right */
    for (int on = 0; on < 2; on++)
        for (unsigned k = 1; round_of(c, k, on); k++)
            ;
}

/* ---- scenarios ---- */

#define SUMS    "sum(x * y) + max(x)"
#define LOOPS   "def f(x) { s = 0.0; for i in range(10, 0, -3) { if i % 2 == 0 { continue }; for j in range(i) { s += x } }; return s }; f(x)"
#define ROWS    "e = x - max(x, 1, keepdims=True); return e / sum(e, 1, keepdims=True)"
#define SOFTMAX "e = exp(x - max(x, 1, keepdims=True)); return e / sum(e, 1, keepdims=True)"
#define STEPS   "for k in range(3) { x[1:-1] = (x[:-2] + x[2:]) / 2.0 }; return x"
#define KERNEL  "kernel f(x, out) { i = grid(1); if i < len(x) { out[i] = x[i] * 2.0 } }"

#define TEN(text) text text text text text text text text text text
#define DEEP    "x" TEN(TEN("+(x")) TEN(TEN(")"))

#define NEW(source_)          {"new " source_, open_only_context, new_program, has_names, .source = source_}
#define NEW_WRONG(source_, code)                                                                             \
    {                                                                                                        \
        "new " source_, open_only_context, new_program, same_words, .source = source_, .says = code, .want = AREX_ERROR_PROGRAM                                  \
    }
#define CALL(source_, target_, ...)       {#target_ " " source_, NULL, call, same_result, .source = source_, .target = AREX_TARGET_##target_, __VA_ARGS__}
#define CALL_WRONG(source_, target_, code)                                                                   \
    {                                                                                                        \
        #target_ " " source_, NULL, call, same_words, .source = source_, .target = AREX_TARGET_##target_, .says = code, .want = AREX_ERROR_PROGRAM                \
    }
#define CALLS(source_, calls_)   {"on a stream " source_, open_gpu_arrays, call_on_stream, has_output, .source = source_, .calls = calls_}
#define EMIT(stage, source_)    {"emit " stage, NULL, emit, same_text, .source = source_, .argument = stage}

static const struct scenario scenarios[] = {
    {"new context", open_nothing, new_context, keeps_options},
    {"new context, libNVVM named", open_nothing, new_context, keeps_options, .argument = "/nowhere/nvvm"},
    NEW(SUMS),
    NEW(LOOPS),
    NEW(KERNEL),
    NEW("param x: float64[n]; param y: float64[n]; x"),
    NEW(DEEP),
    NEW_WRONG("y = (x + 1; z = y", "AX0105"),
    NEW_WRONG("x +", "AX0106"),
    NEW_WRONG("sqr(x)", "AX0202"),
    CALL_WRONG("def f(a) = a & 1.5; def g(a) = f(a) + 1; g(x)", CPU, "AX0203"),
    CALL_WRONG("x[20]", CPU, "AX0312"),
    CALL_WRONG("x[int64(y) * 0 + 20]", REFERENCE, "AX0312"),
    CALL_WRONG("x[int64(y) * 0 + 20]", CPU, "AX0312"),
    CALL(SUMS, REFERENCE),
    CALL(SUMS, CPU),
    CALL(LOOPS, REFERENCE),
    CALL(LOOPS, CPU),
    CALL(STEPS, REFERENCE),
    CALL("for k in range(3) { x, y = y * 2.0, x + y[0] }; return x + y", REFERENCE),
    CALL("conj(x + 1j * y) * (y - 1j)", REFERENCE),
    CALL("where(x > y, x, y)[::-1] ** 2 % 3", REFERENCE),
    CALL("reshape(x, (2, 5)) @ reshape(y, (5, 2))", REFERENCE),
    CALL("argmax(x) + std(y) + prod(x)", REFERENCE),
    CALL("def f(x) { n = 0; while x > 1 { n += 1; x = x / 2.0; if n == 5 { break } }; return n }; f(x)", REFERENCE),
    CALL(SOFTMAX, REFERENCE, .fill = fill_matrix),
    CALL(ROWS, CPU, .fill = fill_matrix),
    CALL(STEPS, CPU),
    CALL("cumsum(x)", REFERENCE),
    CALL("cumsum(x)", CPU),
    CALL("cumsum(x)", CPU, .fill = fill_large, .threads = 2),
    CALL("sum(x * x)", CPU, .fill = fill_large, .threads = 2),
    CALL("x * 2.0", REFERENCE, .fill = fill_over),
    CALL("x * 2.0", CPU, .fill = fill_over),
    CALL("sin(x * 1e300)", CPU),
    CALL("x + y", CPU, .fill = fill_mixed),
    {"other types", open_called, call, also_as_before, .source = "x + y", .target = AREX_TARGET_CPU, .fill = fill_mixed},
    {"as before", open_called, call, also_as_before, .source = "x + y", .target = AREX_TARGET_CPU},
    {"launch", NULL, launch, same_room, .source = KERNEL, .target = AREX_TARGET_CPU},
    {"launch of the reference", NULL, launch, same_room, .source = KERNEL, .target = AREX_TARGET_REFERENCE},
    {"reading", open_told, read_told, reads_well, .source = "sqr(x)"},
    {"prepare", NULL, prepare, same_shape, .source = "x * y + 1.0", .target = AREX_TARGET_CPU},
    {"infer", NULL, infer, same_shape, .source = SOFTMAX, .fill = fill_matrix},
    EMIT("ast", LOOPS),
    EMIT("ir", LOOPS),
    EMIT("loop", "param x: float64[n]\nsum(x * x)"),
    EMIT("plan", "param x: float64[n]\nsum(x * x)"),
    EMIT("llvm", "x * 2.0"),
    EMIT("asm", "x * 2.0"),
    EMIT("ptx", "x * 2.0"),
    {"emit for libNVVM", NULL, emit, same_text, .source = "x * 2.0", .argument = "nvvm", .codegen = AREX_CODEGEN_NVVM},
    {"list ops", open_only_context, list, same_text, .argument = "ops"},
    {"list ops as JSON", open_only_context, list, same_text, .argument = "ops", .target = 1},
    {"list accuracy as JSON", open_only_context, list, same_text, .argument = "accuracy", .target = 1},
    {"list errors as JSON", open_only_context, list, same_text, .argument = "errors", .target = 1},
    {"doctor", open_only_context, doctor, same_text},
    {"doctor as JSON", open_only_context, doctor, same_text, .target = 1},
    {"devices", open_only_context, count_devices, same_words, .says = "AX0601"},
    {"new array", open_only_context, new_array, same_shape},
    {"devices there", open_gpu, count_devices, two_devices},
    {"doctor of a GPU", open_gpu, doctor, same_text},
    {"new array on a GPU", open_gpu, new_device_array, same_shape},
    {"CUDA x * 2.0", open_gpu_program, call, has_output, .source = "x * 2.0", .target = AREX_TARGET_CUDA},
    {"CUDA cumsum(x)", open_gpu_program, call, has_output, .source = "cumsum(x)", .target = AREX_TARGET_CUDA},
    {"CUDA x * 2.0 over x", open_gpu_program, call, has_output, .source = "x * 2.0", .target = AREX_TARGET_CUDA, .fill = fill_over},
    {"CUDA x * 2.0 over x on the device", open_gpu_room, call, has_output, .source = "x * 2.0", .target = AREX_TARGET_CUDA, .fill = fill_gpu_over},
    {"AUTO x * 2.0", open_gpu_program, call, ran_on_gpu, .source = "x * 2.0", .target = AREX_TARGET_AUTO},
    CALLS("x * y", 0),
    CALLS("x * y", 3),
    CALLS("(x - sum(x)) * y", 3),
    CALLS("x[int64(y)]", 3),
    {"fault told late", open_raised, synchronize, same_words, .source = "x[int64(y)]", .says = "AX0312", .want = AREX_ERROR_PROGRAM, .calls = 1},
    {"fault of a program that is gone", open_raised, synchronize_without, same_words, .source = "x[int64(y)]", .says = "AX0312", .want = AREX_ERROR_PROGRAM, .calls = 1},
};

/* A conda environment of several Pythons, and its parts in the order they are made in. */
static char conda[] = "/tmp/arex_failing_XXXXXX";
static const char *const conda_parts[] = {"lib", "lib/python3.10", "lib/python3.10/site-packages", "lib/python3.11", "lib/python3.11/site-packages", "lib/python3.12"};

static void each_part(int (*done)(const char *path), bool backwards)
{
    enum { N = sizeof conda_parts / sizeof *conda_parts };
    char path[128];
    for (int i = 0; i < N; i++) {
        snprintf(path, sizeof path, "%s/%s", conda, conda_parts[backwards ? N - 1 - i : i]);
        done(path);
    }
}

static int make_folder(const char *path)
{
    return mkdir(path, 0700);
}

/* Where a toolkit is looked for: here it depends on nothing but this machine's folders of toolkits. */
static bool set_environment(void)
{
    if (!mkdtemp(conda))
        return false;
    each_part(make_folder, false);
    unsetenv("AREX_LIBNVVM");
    unsetenv("CUDA_PATH");
    setenv("CUDA_HOME", "/nowhere/toolkit", 1);
    setenv("CONDA_PREFIX", conda, 1);
    setenv("VIRTUAL_ENV", "/nowhere/venv", 1);
    return true;
}

int main(int argc, char **argv)
{
    char *self = strdup(argc > 0 ? argv[0] : ".");
    enum { N = sizeof scenarios / sizeof *scenarios };
    struct CMUnitTest tests[N];
    short_begin();
    fill_data();
    if (!set_environment())
        return perror(conda), 1;
    find_fake(dirname(self));
    free(self);
    for (int i = 0; i < N; i++)
        tests[i] = (struct CMUnitTest){.name = scenarios[i].name, .test_func = play, .initial_state = (void *)&scenarios[i]};
    int failed = cmocka_run_group_tests_name("failing", tests, open_fake, close_fake);
    each_part(rmdir, true);
    rmdir(conda);
    return failed != 0;
}
