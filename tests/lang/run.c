/*
 * Runs .arex files against what their comments say. A line `# case: NAME` starts a program of its own.
 *
 *   # input: x = float64[[1, 2], [3, 4]]     an array; float64[] is empty; float32(7) is of rank 0
 *   # input: x = int32(arange 0 10 shape 2 5)  also `full VALUE shape ...`
 *   # input: a = 2.5                         a weak scalar
 *   # expect: 14.0      # expect: [1, 2] dtype=int64 shape=(2,)      # expect: name: [1, 2]
 *   # expect-ulp: 1                          how far floats may be from the expectation
 *   # error: AX0203 @2:7                     the first error and, if given, its place in the program
 *   # structure: kernels=1 temporaries=0
 *   # launch: 4 2 1, 16 16 1                  of a kernel: blocks, threads of a block (x y z); what it changes are its outputs
 *   # targets: reference cpu cuda
 *
 * All targets must agree bit for bit. The environment variable AREX_CODEGEN (nvptx, nvvm) says who makes the GPU's code.
 * Closes with counts.
 */
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arex/arex.h>

enum { MAX_VALUES = 100000, MAX_INPUTS = 16, MAX_EXPECTS = 16 };

struct number {
    double f;
    int64_t i;
};

struct literal {
    struct arex_array array;
    struct number *values;
    int64_t n;
    bool integral;
};

struct expectation {
    char name[64];
    struct literal value;
    int dtype, rank; /* -1: not said */
    int64_t shape[8];
};

struct test_case {
    char name[128];
    const char *text;
    size_t n;
    char input_names[MAX_INPUTS][64];
    struct literal inputs[MAX_INPUTS];
    struct expectation expects[MAX_EXPECTS];
    int n_inputs, n_expects;
    char error[16];
    int line, column, kernels, temporaries;
    double ulp;
    uint32_t grid[3], block[3];
    const char *targets;
    const char *malformed;
};

struct runner {
    arex_context *context;
    const char *file;
    arex_compile_options made;
    bool cuda;
    int passed, failed, skipped;
};

static const char *skip(const char *p)
{
    return p + strspn(p, " \t");
}

static const char *read_number(const char *p, struct number *out, bool *integral)
{
    char *end;
    if (!strncmp(p, "True", 4) || !strncmp(p, "False", 5)) {
        *out = (struct number){*p == 'T', *p == 'T'};
        return p + (*p == 'T' ? 4 : 5);
    }
    /* what is above int64 is kept as the bits of a uint64 */
    out->i = *p == '-' ? strtoll(p, &end, 0) : (int64_t)strtoull(p, &end, 0);
    const char *int_end = end;
    out->f = strtod(p, &end);
    if (end == p)
        return NULL;
    if (end > int_end) {
        *integral = false;
        out->i = fabs(out->f) < 9e18 ? (int64_t)out->f : 0;
    }
    return end;
}

static bool push(struct literal *l, struct number x)
{
    if (!l->values)
        l->values = malloc(MAX_VALUES * sizeof *l->values);
    if (!l->values || l->n == MAX_VALUES)
        return false;
    l->values[l->n++] = x;
    return true;
}

/* A number or a nested list; the shape comes from the first list of each depth. */
static const char *read_nested(const char *p, struct literal *l, int depth)
{
    struct number x;
    p = skip(p);
    if (*p != '[') {
        p = read_number(p, &x, &l->integral);
        return p && push(l, x) ? p : NULL;
    }
    int64_t count = 0;
    if (depth + 1 > l->array.rank)
        l->array.rank = depth + 1;
    for (p = skip(p + 1); *p && *p != ']'; count++) {
        p = read_nested(p, l, depth + 1);
        if (!p)
            return NULL;
        p = skip(p);
        p = skip(p + (*p == ','));
    }
    l->array.shape[depth] = count;
    return *p == ']' ? p + 1 : NULL;
}

static bool read_made(const char *p, struct literal *l)
{
    double a = 0, b = 0;
    int used = 0;
    int64_t total = 0;
    bool range = sscanf(p, "arange %lf %lf%n", &a, &b, &used) == 2 && used;
    if (!range && sscanf(p, "full %lf%n", &a, &used) != 1)
        return false;
    p = skip(p + used);
    total = range ? (int64_t)(b - a) : 1;
    if (!strncmp(p, "shape", 5)) {
        char *end;
        total = 1;
        for (p = skip(p + 5); isdigit((unsigned char)*p); p = skip(end)) {
            l->array.shape[l->array.rank] = strtoll(p, &end, 10);
            total *= l->array.shape[l->array.rank++];
        }
    } else {
        l->array.shape[l->array.rank++] = total;
    }
    l->integral = false;
    for (int64_t i = 0; i < total; i++) {
        double v = range ? a + (double)i : a;
        if (!push(l, (struct number){v, (int64_t)v}))
            return false;
    }
    return true;
}

static bool is_integer(int dtype)
{
    return dtype >= AREX_INT8 && dtype <= AREX_UINT64;
}

/* The value of 16 bits; the exponent has what the fraction leaves beside the sign. */
static double half_value(int dtype, unsigned bits)
{
    int fraction = dtype == AREX_FLOAT16 ? 10 : 7, bias = (1 << (14 - fraction)) - 1, exponent = (int)(bits >> fraction) & (2 * bias + 1);
    double v = bits & ((1u << fraction) - 1);
    if (exponent == 2 * bias + 1)
        v = v != 0 ? NAN : INFINITY;
    else
        v = ldexp(v + (exponent ? 1 << fraction : 0), (exponent ? exponent : 1) - bias - fraction);
    return bits & 0x8000 ? -v : v;
}

/* Files give numbers that the type holds: the bits are looked for. */
static uint16_t half_bits(int dtype, double v)
{
    uint16_t bits = 0;
    for (unsigned i = 0; i < 0x10000; i++)
        if (isnan(v) ? i == (dtype == AREX_FLOAT16 ? 0x7e00 : 0x7fc0) : half_value(dtype, i) == v && !signbit(v) == (i < 0x8000))
            bits = (uint16_t)i;
    return bits;
}

static void store(char *to, int dtype, struct number x)
{
    float f = (float)x.f;
    uint16_t half;
    switch (dtype) {
    case AREX_BOOL: *to = x.f != 0; break;
    case AREX_FLOAT16:
    case AREX_BFLOAT16: half = half_bits(dtype, x.f); memcpy(to, &half, 2); break;
    case AREX_FLOAT32: memcpy(to, &f, 4); break;
    case AREX_FLOAT64: memcpy(to, &x.f, 8); break;
    default: memcpy(to, &x.i, arex_dtype_size(dtype)); /* little-endian: the low bytes */
    }
}

static bool materialise(struct literal *l, int dtype)
{
    size_t size = arex_dtype_size(dtype);
    l->array.dtype = dtype;
    l->array.device = -1;
    int64_t step = (int64_t)size;
    for (int k = l->array.rank - 1; k >= 0; k--) {
        l->array.strides[k] = step;
        step *= l->array.shape[k];
    }
    l->array.data = calloc((size_t)l->n + 1, 8);
    for (int64_t i = 0; l->array.data && i < l->n; i++)
        store((char *)l->array.data + (size_t)i * size, dtype, l->values[i]);
    return l->array.data != NULL;
}

static bool read_input(struct test_case *t, const char *p)
{
    if (t->n_inputs == MAX_INPUTS)
        return false;
    struct literal *l = &t->inputs[t->n_inputs];
    char type[32] = "";
    int used = 0;
    if (sscanf(p, " %63[a-zA-Z_0-9] = %n", t->input_names[t->n_inputs], &used) < 1 || !used)
        return false;
    t->n_inputs++;
    p += used;
    l->integral = true;
    size_t word = strcspn(p, "[( \n");
    if (word < sizeof type)
        memcpy(type, p, word);
    int dtype = arex_dtype_of(type);
    if (dtype) {
        p = skip(p + word);
        bool made = *p == '(' && isalpha((unsigned char)p[1]) && read_made(p + 1, l);
        return (made || read_nested(p + (*p == '('), l, 0)) && materialise(l, dtype);
    }
    if (!read_nested(p, l, 0) || l->array.rank)
        return false;
    bool boolean = *p == 'T' || *p == 'F';
    l->array.flags = AREX_WEAK;
    return materialise(l, boolean ? AREX_BOOL : l->integral ? AREX_INT64 : AREX_FLOAT64);
}

static bool read_expect(struct test_case *t, const char *p)
{
    if (t->n_expects == MAX_EXPECTS)
        return false;
    struct expectation *e = &t->expects[t->n_expects++];
    int used = 0;
    e->dtype = e->rank = -1;
    e->value.integral = true;
    if (sscanf(p, " %63[a-zA-Z_0-9]:%n", e->name, &used) == 1 && used)
        p += used;
    else
        e->name[0] = 0;
    p = read_nested(p, &e->value, 0);
    if (!p)
        return false;
    const char *end = strchr(p, '\n'), *dtype = strstr(p, "dtype="), *shape = strstr(p, "shape=(");
    char name[32];
    if (dtype && (!end || dtype < end) && sscanf(dtype, "dtype=%31[a-z0-9]", name) == 1)
        e->dtype = arex_dtype_of(name);
    if (shape && (!end || shape < end)) {
        e->rank = 0;
        for (p = shape + 7; isdigit((unsigned char)*p); p += strspn(p, ", ")) {
            char *after;
            e->shape[e->rank++] = strtoll(p, &after, 10);
            p = after;
        }
    }
    return true;
}

static const char *value_of(const char *line, const char *directive)
{
    size_t n = strlen(directive);
    line = skip(line);
    if (*line != '#')
        return NULL;
    line = skip(line + 1);
    return strncmp(line, directive, n) ? NULL : line + n;
}

static bool read_directive(struct test_case *t, const char *line)
{
    const char *p;
    if ((p = value_of(line, "input:")))
        return read_input(t, p);
    if ((p = value_of(line, "expect:")))
        return read_expect(t, p);
    if ((p = value_of(line, "expect-ulp:")))
        return sscanf(p, "%lf", &t->ulp) == 1;
    if ((p = value_of(line, "error:")))
        return sscanf(p, " %15s @%d:%d", t->error, &t->line, &t->column) >= 1;
    if ((p = value_of(line, "structure:")))
        return sscanf(p, " kernels=%d temporaries=%d", &t->kernels, &t->temporaries) >= 1;
    if ((p = value_of(line, "launch:")))
        return sscanf(p, "%" SCNu32 " %" SCNu32 " %" SCNu32 ", %" SCNu32 " %" SCNu32 " %" SCNu32, &t->grid[0], &t->grid[1], &t->grid[2], &t->block[0], &t->block[1],
                      &t->block[2]) == 6;
    if ((p = value_of(line, "targets:")))
        t->targets = p;
    return true;
}

static void read_case(struct test_case *t, const char *text, size_t n)
{
    t->text = text;
    t->n = n;
    t->kernels = t->temporaries = -1;
    for (const char *line = text; line && line < text + n; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        if (!read_directive(t, line))
            t->malformed = line;
    }
}

static void free_case(struct test_case *t)
{
    for (int i = 0; i < t->n_inputs; i++) {
        free(t->inputs[i].values);
        free(t->inputs[i].array.data);
    }
    for (int i = 0; i < t->n_expects; i++)
        free(t->expects[i].value.values);
}

static bool complain(const struct runner *r, const struct test_case *t, const char *target, const char *format, ...)
{
    va_list args;
    printf("FAILED %s [%s] on %s: ", r->file, t->name, target);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    return false;
}

static struct number load(const struct arex_array *a, int64_t i)
{
    const char *p = (const char *)a->data + (size_t)i * arex_dtype_size(a->dtype);
    float f;
    double d;
    uint16_t half;
    uint64_t bits = 0;
    unsigned above = 64 - 8 * (unsigned)arex_dtype_size(a->dtype);
    switch (a->dtype) {
    case AREX_BOOL: return (struct number){*p, *p};
    case AREX_FLOAT16:
    case AREX_BFLOAT16: memcpy(&half, p, 2); return (struct number){half_value(a->dtype, half), 0};
    case AREX_FLOAT32: memcpy(&f, p, 4); return (struct number){(double)f, 0};
    case AREX_FLOAT64: memcpy(&d, p, 8); return (struct number){d, 0};
    default: break;
    }
    memcpy(&bits, p, arex_dtype_size(a->dtype));
    if (a->dtype <= AREX_INT64)
        bits = (uint64_t)((int64_t)(bits << above) >> above);
    return (struct number){(double)(int64_t)bits, (int64_t)bits};
}

static bool near(const struct arex_array *a, struct number got, struct number want, double ulp)
{
    if (a->dtype == AREX_BOOL || is_integer(a->dtype))
        return got.i == want.i;
    double w = a->dtype == AREX_FLOAT32 ? (double)(float)want.f : want.f;
    if (isnan(w) || isnan(got.f))
        return isnan(w) && isnan(got.f);
    if (got.f == w)
        return signbit(got.f) == signbit(w) || ulp > 0;
    double step = a->dtype == AREX_FLOAT32 ? (double)(nextafterf(fabsf((float)w), INFINITY) - fabsf((float)w)) : nextafter(fabs(w), INFINITY) - fabs(w);
    return fabs(got.f - w) <= ulp * step;
}

static int64_t elements(const struct arex_array *a)
{
    int64_t n = 1;
    for (int k = 0; k < a->rank; k++)
        n *= a->shape[k];
    return n;
}

static bool check_output(const struct runner *r, const struct test_case *t, const char *target, int index, const struct arex_array *a,
                         const char *name)
{
    const struct expectation *e = &t->expects[index];
    int64_t n = elements(a);
    if (e->name[0] && strcmp(e->name, name))
        return complain(r, t, target, "output %d is called `%s`, not `%s`", index, name, e->name);
    if (e->dtype >= 0 && e->dtype != a->dtype)
        return complain(r, t, target, "output %d is %s", index, arex_dtype_name(a->dtype));
    if (e->rank >= 0 && (e->rank != a->rank || memcmp(e->shape, a->shape, (size_t)e->rank * sizeof *e->shape)))
        return complain(r, t, target, "output %d has another shape", index);
    if (e->rank < 0 && (e->value.array.rank != a->rank || e->value.n != n))
        return complain(r, t, target, "output %d has rank %d and %" PRId64 " elements", index, a->rank, n);
    if (e->value.n != n && e->value.n != 1)
        return complain(r, t, target, "output %d has %" PRId64 " elements", index, n);
    for (int64_t i = 0; i < n; i++) {
        struct number got = load(a, i), want = e->value.values[e->value.n == 1 ? 0 : i];
        if (!near(a, got, want, t->ulp))
            return complain(r, t, target, "output %d, element %" PRId64 ": %.17g, not %.17g", index, i, got.f, want.f);
    }
    return true;
}

static bool check_structure(const struct runner *r, const struct test_case *t, const char *target, const arex_program *program)
{
    arex_stats s = {.size = sizeof s};
    if (t->kernels < 0)
        return true;
    if (arex_program_stats(program, &s))
        return complain(r, t, target, "no statistics");
    if ((int)s.kernels != t->kernels || (t->temporaries >= 0 && (int)s.temporaries != t->temporaries))
        return complain(r, t, target, "kernels=%u temporaries=%u", s.kernels, s.temporaries);
    return true;
}

static bool check_error(const struct runner *r, const struct test_case *t, const char *target, arex_status status, const arex_diagnostics *diags)
{
    arex_diagnostic d = {0};
    bool any = diags && !arex_diagnostics_get(diags, 0, &d);
    if (!t->error[0])
        return !status ? true : complain(r, t, target, "%s", any ? arex_diagnostics_text(diags, -1) : "failed without a word");
    if (!status || !any)
        return complain(r, t, target, "no error, %s is expected", t->error);
    if (strcmp(d.code, t->error))
        return complain(r, t, target, "%s is expected, not\n%s", t->error, arex_diagnostics_text(diags, -1));
    if (t->line && (d.line != t->line || d.column != t->column))
        return complain(r, t, target, "error at %d:%d, not %d:%d", d.line, d.column, t->line, t->column);
    return true;
}

static bool bind(const struct test_case *t, const arex_program *program, arex_array *in)
{
    for (int i = 0; i < arex_program_inputs(program); i++) {
        bool found = false;
        for (int k = 0; k < t->n_inputs; k++)
            if (!strcmp(t->input_names[k], arex_program_input(program, i))) {
                in[i] = t->inputs[k].array;
                found = true;
            }
        if (!found)
            return false;
    }
    return true;
}

static bool same_bits(const struct arex_array *a, const struct arex_array *b)
{
    return a->dtype == b->dtype && a->rank == b->rank && elements(a) == elements(b)
        && (!elements(a) || !memcmp(a->data, b->data, (size_t)elements(a) * arex_dtype_size(a->dtype)));
}

/* What a kernel changes is changed in place: in copies, which are the outputs. */
static arex_status launch(struct runner *r, const struct test_case *t, arex_program *program, arex_array *in, arex_array *out, const arex_call_options *options,
                          arex_diagnostics **diags)
{
    arex_status status = AREX_OK;
    for (int i = 0; !status && i < arex_program_outputs(program); i++)
        for (int k = 0; !status && k < arex_program_inputs(program); k++)
            if (strcmp(arex_program_output(program, i), arex_program_input(program, k)) == 0) {
                out[i] = in[k];
                out[i].device = -1;
                status = arex_array_alloc(r->context, &out[i], diags);
                if (!status)
                    memcpy(out[i].data, in[k].data, (size_t)elements(&in[k]) * arex_dtype_size(in[k].dtype));
                in[k] = out[i];
            }
    return status ? status : arex_launch(program, in, arex_program_inputs(program), t->grid, t->block, options, diags);
}

/* Outputs of the first target are kept in `first`, to compare the others with. */
static bool run_target(struct runner *r, const struct test_case *t, int target, const char *name, arex_array *first, int *n_first)
{
    arex_program *program = NULL;
    arex_diagnostics *diags = NULL;
    arex_array in[MAX_INPUTS + 1] = {0}, out[MAX_EXPECTS + 1] = {0};
    arex_call_options options;
    arex_status status = arex_program_new(r->context, t->text, t->n, t->name, &r->made, &program, &diags);
    int n = program ? arex_program_outputs(program) : 0;
    bool ok = true;
    if (!status && (n > MAX_EXPECTS || arex_program_inputs(program) > MAX_INPUTS || !bind(t, program, in))) {
        ok = complain(r, t, name, "the program's inputs and the file's differ");
    } else {
        if (!status) {
            arex_diagnostics_free(diags);
            diags = NULL;
            arex_call_options_init(&options);
            options.target = target;
            for (int i = 0; i < n; i++)
                out[i].device = -1;
            status = arex_program_is_kernel(program) ? launch(r, t, program, in, out, &options, &diags) : arex_call(program, in, arex_program_inputs(program), out, n, &options, &diags);
        }
        ok = check_error(r, t, name, status, diags);
    }
    if (ok && !status) {
        if (t->n_expects && t->n_expects != n)
            ok = complain(r, t, name, "%d outputs", n);
        for (int i = 0; ok && i < t->n_expects; i++)
            ok = check_output(r, t, name, i, &out[i], arex_program_output(program, i));
        for (int i = 0; ok && i < *n_first; i++)
            if (!same_bits(&first[i], &out[i]))
                ok = complain(r, t, name, "output %d differs in bits from the reference", i);
        if (ok && target != AREX_TARGET_REFERENCE)
            ok = check_structure(r, t, name, program);
    }
    bool keep = ok && !*n_first && !status;
    for (int i = 0; i < n; i++)
        if (keep)
            first[(*n_first)++] = out[i];
        else
            arex_array_free(r->context, &out[i]);
    arex_diagnostics_free(diags);
    arex_program_free(program);
    return ok;
}

static bool wanted(const struct test_case *t, const char *target)
{
    const char *end = t->targets ? strchr(t->targets, '\n') : NULL, *at = t->targets ? strstr(t->targets, target) : NULL;
    return !t->targets || (at && (!end || at < end));
}

static void run_case(struct runner *r, const struct test_case *t)
{
    static const struct {
        const char *name;
        int target;
    } targets[] = {{"reference", AREX_TARGET_REFERENCE}, {"cpu", AREX_TARGET_CPU}, {"cuda", AREX_TARGET_CUDA}};
    arex_array first[MAX_EXPECTS + 1] = {0};
    int n_first = 0;
    bool ok = true;
    if (t->malformed) {
        complain(r, t, "no target", "malformed: %.*s", (int)strcspn(t->malformed, "\n"), t->malformed);
        r->failed++;
        return;
    }
    for (int i = 0; i < 3; i++)
        if (wanted(t, targets[i].name) && (i < 2 || r->cuda))
            ok = run_target(r, t, targets[i].target, targets[i].name, first, &n_first) && ok;
    for (int i = 0; i < n_first; i++)
        arex_array_free(r->context, &first[i]);
    r->passed += ok;
    r->failed += !ok;
}

static char *read_text(const char *path)
{
    FILE *f = fopen(path, "rb");
    char *text = calloc(1, 1 << 20);
    if (f && text && !fread(text, 1, (1 << 20) - 1, f))
        text[0] = 0;
    if (f)
        fclose(f);
    else
        free(text), text = NULL;
    return text;
}

static const char *next_case(const char *p)
{
    for (; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL)
        if (value_of(p, "case:"))
            return p;
    return NULL;
}

static void run_file(struct runner *r, const char *path)
{
    char *text = read_text(path);
    r->file = path;
    if (!text) {
        printf("FAILED %s: cannot be read\n", path);
        r->failed++;
        return;
    }
    const char *at = next_case(text);
    for (const char *p = at ? at : text; p;) {
        const char *line_end = strchr(p, '\n'), *next = at && line_end ? next_case(line_end + 1) : NULL;
        struct test_case *t = calloc(1, sizeof *t);
        if (at)
            sscanf(value_of(p, "case:"), " %127[^\n]", t->name);
        else
            strcpy(t->name, "whole");
        read_case(t, p, next ? (size_t)(next - p) : strlen(p));
        run_case(r, t);
        free_case(t);
        free(t);
        p = next;
    }
    free(text);
}

static bool choose_generator(struct runner *r)
{
    const char *name = getenv("AREX_CODEGEN");
    arex_compile_options_init(&r->made);
    if (!name || !strcmp(name, "nvptx"))
        return true;
    r->made.codegen = AREX_CODEGEN_NVVM;
    return !strcmp(name, "nvvm");
}

int main(int argc, char **argv)
{
    struct runner r = {0};
    arex_diagnostics *diags = NULL;
    int devices = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!choose_generator(&r)) {
        puts("AREX_CODEGEN is nvptx or nvvm");
        return 2;
    }
    if (arex_context_new(NULL, &r.context, &diags)) {
        puts("no context");
        return 1;
    }
    arex_diagnostics_free(diags);
    diags = NULL;
    if (!arex_device_count(r.context, &devices, &diags))
        r.cuda = devices > 0;
    arex_diagnostics_free(diags);
    for (int i = 1; i < argc; i++)
        run_file(&r, argv[i]);
    printf("targets: reference cpu%s%s\n", r.cuda ? " cuda" : "", r.made.codegen == AREX_CODEGEN_NVVM ? " by nvvm" : "");
    arex_context_free(r.context);
    printf("%d passed, %d failed, %d skipped\n", r.passed, r.failed, r.skipped);
    return r.failed || !r.passed;
}
