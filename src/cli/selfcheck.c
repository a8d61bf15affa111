/*
 * One answer, checked: a corpus of programs is run, and what each gives is compared with a hash that another machine made.
 *
 * A line of the corpus is HASH, INPUTS and PROGRAM with tabs between; `\n` in a program is a newline. INPUTS is "-" or
 * "x=float64[257] m=int64[5,33]"; those called x, y and z hold infinities and their kin too. A kernel has launches besides, blocks and threads as in
 * "launch=4,2/16,8"; what it leaves in its arrays must be the same after each of them. Values of inputs follow from name and type by integer operations and exact ones of float64,
 * so that they are the same bits everywhere. A hash is FNV-1a (64 bits) over dtype, rank, extents and elements of all outputs;
 * that of an error is over its code.
 */
#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli.h"

enum { MOST_INPUTS = 8, MOST_OUTPUTS = 16, MOST_WORKERS = 15, SPECIAL_EVERY = 17 };

/* A comment has no program. */
struct corpus_line {
    uint64_t hash, got;
    char *inputs, *written, *program;
};

#define FNV_START UINT64_C(0xcbf29ce484222325)

static uint64_t fnv(uint64_t h, const void *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        h = (h ^ ((const unsigned char *)bytes)[i]) * UINT64_C(0x100000001b3);
    return h;
}

/* Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014. */
static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static double special(uint64_t k)
{
    const double values[] = {0.0, -0.0, 1.0,   -1.0,     0.5,       2.5, -1.5,
                             3.0, 1e30, 1e-40, INFINITY, -INFINITY, NAN};
    return values[k % (sizeof values / sizeof *values)];
}

/* From -8 to 8: a multiple of 2^-49, so exact. */
static double number(uint64_t r, bool sometimes_special)
{
    return sometimes_special ? special(r) : (double)(int64_t)(r >> 11) * 0x1p-49 - 8.0;
}

/* specials: now and then a value at the edge of its type. */
static void fill(const arex_array *a, int64_t n, uint64_t seed, bool specials)
{
    size_t size = arex_dtype_size(a->dtype);
    for (int64_t i = 0; i < n; i++) {
        char *at = (char *)a->data + (size_t)i * size;
        uint64_t r = splitmix(&seed);
        double d = number(r, specials && i % SPECIAL_EVERY == 3);
        float f = (float)d;
        if (a->dtype == AREX_FLOAT64)
            memcpy(at, &d, sizeof d);
        else if (a->dtype == AREX_FLOAT32)
            memcpy(at, &f, sizeof f);
        else if (a->dtype == AREX_BOOL)
            *at = (char)(r & 1);
        else { /* small numbers, now and then any */
            uint64_t v = specials && i % SPECIAL_EVERY == 3 ? r : r % 23;
            memcpy(at, &v, size);
        }
    }
}

/* "x=float64[5,33]": its name, and the array with memory of its own; false when it is written wrong or memory ran out. */
static bool read_one(const char *text, char *name, arex_array *a)
{
    char type[16] = "", shape[64] = "";
    int64_t n = 1;
    *a = (arex_array){.device = -1};
    if (sscanf(text, "%31[a-z0-9_]=%15[a-z0-9][%63[0-9,]]", name, type, shape) < 2 ||
        !(a->dtype = arex_dtype_of(type)))
        return false;
    for (char *at = shape; *at && a->rank < AREX_MAX_RANK;) {
        a->shape[a->rank++] = strtoll(at, &at, 10);
        at += *at == ',';
    }
    int64_t step = (int64_t)arex_dtype_size(a->dtype);
    for (int d = a->rank - 1; d >= 0; d--) {
        a->strides[d] = step;
        step *= a->shape[d];
        n *= a->shape[d];
    }
    a->data = malloc((size_t)step + 1);
    if (a->data)
        fill(a, n, fnv(fnv(FNV_START, name, strlen(name)), type, strlen(type)),
             strchr("xyz", name[0]) != NULL);
    return a->data != NULL;
}

static uint64_t hash_array(uint64_t h, const arex_array *a)
{
    const char *dtype = arex_dtype_name(a->dtype);
    int64_t n = 1;
    h = fnv(h, dtype, strlen(dtype));
    for (int d = 0; d < a->rank; d++) {
        uint32_t extent = (uint32_t)a->shape[d];
        unsigned char bytes[] = {(unsigned char)extent, (unsigned char)(extent >> 8),
                                 (unsigned char)(extent >> 16), (unsigned char)(extent >> 24)};
        h = fnv(h, bytes, sizeof bytes);
        n *= a->shape[d];
    }
    return fnv(h, a->data, (size_t)n * arex_dtype_size(a->dtype));
}

static uint64_t hash_error(const arex_diagnostics *diags)
{
    arex_diagnostic one;
    return arex_diagnostics_get(diags, 0, &one) ? 0 : fnv(FNV_START, one.code, strlen(one.code));
}

static int find(const arex_program *p, const char *name)
{
    for (int i = 0; i < arex_program_inputs(p); i++)
        if (!strcmp(arex_program_input(p, i), name))
            return i;
    return -1;
}

/* The arrays of a line, by place in the program; false when it is written wrong or memory ran out. */
static bool read_inputs(const arex_program *p, const char *text, arex_array *in)
{
    bool sound = arex_program_inputs(p) <= MOST_INPUTS;
    for (const char *at = text; sound && *at && *at != '-'; at += strcspn(at, " "), at += *at == ' ') {
        char name[32];
        arex_array a;
        if (strncmp(at, "launch=", 7) == 0)
            continue;
        int i = read_one(at, name, &a) ? find(p, name) : -1;
        sound = i >= 0 && !in[i].data;
        if (sound)
            in[i] = a;
        else
            free(a.data);
    }
    return sound;
}

static void free_inputs(arex_array *in)
{
    for (int i = 0; i < MOST_INPUTS; i++)
        free(in[i].data);
}

/* Of what an expression gives, or of the error. */
static uint64_t hash_call(arex_context *context, arex_program *p, const arex_array *in,
                          const arex_call_options *options)
{
    arex_array out[MOST_OUTPUTS] = {{0}};
    arex_diagnostics *diags = NULL;
    uint64_t h = FNV_START;
    int n = arex_program_outputs(p);
    for (int i = 0; i < MOST_OUTPUTS; i++)
        out[i].device = -1;
    if (n > MOST_OUTPUTS)
        return 0;
    if (arex_call(p, in, arex_program_inputs(p), out, n, options, &diags)) {
        h = hash_error(diags);
        n = 0;
    }
    for (int i = 0; i < n; i++) {
        h = hash_array(h, &out[i]);
        arex_array_free(context, &out[i]);
    }
    arex_diagnostics_free(diags);
    return h;
}

static const char *read_extents(const char *text, uint32_t *to)
{
    char *end;
    for (int k = 0; k < 3; k++, text = end + (*end == ','))
        to[k] = *text >= '0' && *text <= '9' ? (uint32_t)strtoul(text, &end, 10) : (end = (char *)text, 1);
    return text;
}

/* Of what one launch leaves in the arrays that it changes, or of the error. */
static uint64_t hash_launch(arex_program *p, const char *text, arex_array *in,
                            const arex_call_options *options)
{
    uint32_t blocks[3], threads[3];
    arex_diagnostics *diags = NULL;
    uint64_t h = FNV_START;
    text = read_extents(text, blocks);
    read_extents(text + (*text == '/'), threads);
    if (arex_launch(p, in, arex_program_inputs(p), blocks, threads, options, &diags))
        h = hash_error(diags);
    else
        for (int i = 0; i < arex_program_outputs(p); i++)
            h = hash_array(h, &in[find(p, arex_program_output(p, i))]);
    arex_diagnostics_free(diags);
    return h;
}

/* Of all launches of a kernel; 0 when they do not agree. */
static uint64_t hash_launches(arex_program *p, const char *inputs, const arex_call_options *options)
{
    uint64_t all = 0;
    for (const char *at = strstr(inputs, "launch="); at; at = strstr(at + 1, "launch=")) {
        arex_array in[MOST_INPUTS] = {{0}};
        uint64_t h = read_inputs(p, inputs, in) ? hash_launch(p, at + 7, in, options) : 0;
        free_inputs(in);
        if (!h || (all && h != all))
            return 0;
        all = h;
    }
    return all;
}

/* Of what the program gives; 0 when the line itself is wrong. */
static uint64_t run_line(arex_context *context, const struct corpus_line *line,
                         const arex_compile_options *made, const arex_call_options *options)
{
    arex_program *p = NULL;
    arex_diagnostics *diags = NULL;
    arex_array in[MOST_INPUTS] = {{0}};
    uint64_t h = 0;
    bool wrong = arex_program_new(context, line->program, strlen(line->program), NULL, made, &p, &diags);
    if (wrong)
        h = hash_error(diags);
    else if (arex_program_is_kernel(p))
        h = hash_launches(p, line->inputs, options);
    else if (read_inputs(p, line->inputs, in))
        h = hash_call(context, p, in, options);
    free_inputs(in);
    arex_diagnostics_free(diags);
    arex_program_free(p);
    return h;
}

static void unescape(char *s)
{
    char *to = s;
    for (; *s; s++)
        if (s[0] == '\\' && s[1] == 'n')
            *to++ = '\n', s++;
        else
            *to++ = *s;
    *to = 0;
}

static void free_line(struct corpus_line *l)
{
    free(l->inputs);
    free(l->written);
    free(l->program);
}

/* False when memory ran out. What has no three parts is kept as it is. */
static bool parse_line(char *text, struct corpus_line *out)
{
    char *tab = strchr(text, '\t');
    *out = (struct corpus_line){0};
    if (text[0] == '#' || !tab || !strchr(tab + 1, '\t'))
        return (out->written = strdup(text)) != NULL;
    out->hash = strtoull(text, NULL, 16);
    text = tab + 1;
    out->inputs = strndup(text, strcspn(text, "\t"));
    text += strcspn(text, "\t") + 1;
    out->written = strdup(text);
    out->program = strdup(text);
    if (out->program)
        unescape(out->program);
    return out->inputs && out->written && out->program;
}

/* Where it is installed, where it lies in a bundle, where it is made. */
static FILE *open_corpus(const char *given)
{
    static const char *const places[] = {"../share/arex/selfcheck.txt", "../tests/onebits/selfcheck.txt",
                                         "../../../../tests/onebits/selfcheck.txt"};
    char self[4096], path[4200];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    FILE *f = given ? fopen(given, "r") : NULL;
    if (given && !f)
        file_error(given, strerror(errno));
    if (given || n <= 0)
        return f;
    self[n] = 0;
    const char *folder = dirname(self);
    for (size_t i = 0; !f && i < sizeof places / sizeof *places; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, places[i]);
        f = fopen(path, "r");
    }
    if (!f)
        fprintf(stderr, "error: the corpus selfcheck.txt is not found beside the command: name it\n");
    return f;
}

/* The corpus, and the next line that nobody has run. */
struct corpus {
    struct corpus_line *lines;
    size_t n;
    atomic_size_t next;
    arex_context *context;
    const arex_compile_options *made;
    const arex_call_options *options;
};

static bool add_line(struct corpus *c, char *text)
{
    struct corpus_line *more = realloc(c->lines, (c->n + 1) * sizeof *more);
    if (!more)
        return false;
    c->lines = more;
    text[strcspn(text, "\n")] = 0;
    return parse_line(text, &c->lines[c->n++]);
}

static bool read_lines(FILE *f, struct corpus *c)
{
    char *text = NULL;
    size_t room = 0;
    bool ok = true;
    while (ok && getline(&text, &room, f) > 0)
        ok = add_line(c, text);
    free(text);
    return ok && !ferror(f);
}

static void *work(void *corpus)
{
    struct corpus *c = corpus;
    for (size_t i; (i = atomic_fetch_add(&c->next, 1)) < c->n;)
        if (c->lines[i].program)
            c->lines[i].got = run_line(c->context, &c->lines[i], c->made, c->options);
    return NULL;
}

/* Most of the time is the compiler's, which knows one thread. */
static void run_all(struct corpus *c)
{
    pthread_t threads[MOST_WORKERS];
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int n = 0;
    while (n < MOST_WORKERS && n + 1 < cores && !pthread_create(&threads[n], NULL, work, c))
        n++;
    work(c);
    while (n > 0)
        pthread_join(threads[--n], NULL);
}

static int report(const struct corpus *c)
{
    unsigned agree = 0, differ = 0;
    for (const struct corpus_line *l = c->lines; l < c->lines + c->n; l++) {
        bool same = l->got && l->got == l->hash;
        agree += l->program && same;
        differ += l->program && !same;
        if (l->program && !same)
            printf("differs: %s\n", l->written);
    }
    printf("%u programs agree, %u differ\n", agree, differ);
    return differ || !agree ? EXIT_PROGRAM : EXIT_OK;
}

static int report_new(const struct corpus *c)
{
    for (const struct corpus_line *l = c->lines; l < c->lines + c->n; l++)
        if (l->program)
            printf("%016" PRIx64 "\t%s\t%s\n", l->got, l->inputs, l->written);
        else
            puts(l->written);
    return EXIT_OK;
}

int selfcheck(arex_context *context, const char *file, const arex_compile_options *made,
              const arex_call_options *options, bool update)
{
    struct corpus c = {.context = context, .made = made, .options = options};
    FILE *f = open_corpus(file);
    int status = EXIT_USE;
    if (!f)
        return status;
    if (read_lines(f, &c)) {
        run_all(&c);
        status = update ? report_new(&c) : report(&c);
    } else {
        fprintf(stderr, "error: the corpus cannot be read\n");
    }
    fclose(f);
    while (c.n > 0)
        free_line(&c.lines[--c.n]);
    free(c.lines);
    return status;
}
