/* The command `arex`: a thin face on the public library. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "cli.h"

static int exit_of(arex_status status)
{
    switch (status) {
    case AREX_OK: return EXIT_OK;
    case AREX_ERROR_PROGRAM: return EXIT_PROGRAM;
    case AREX_ERROR_USAGE: return EXIT_USE;
    default: return EXIT_MACHINE;
    }
}

/* Prints and frees. */
static int say(arex_status status, arex_diagnostics *diags)
{
    if (diags && arex_diagnostics_count(diags) > 0) {
        const char *text = arex_diagnostics_text(diags, -1);
        fputs(text, stderr);
        if (*text && text[strlen(text) - 1] != '\n')
            fputc('\n', stderr);
    } else if (status) {
        fprintf(stderr, "error: status %d\n", (int)status);
    }
    arex_diagnostics_free(diags);
    return exit_of(status);
}

static int bad_use(const char *what, const char *value)
{
    fprintf(stderr, "arex: %s: %s\n", what, value);
    return EXIT_USE;
}

static int target_of(const char *name)
{
    static const char *const names[] = {"auto", "cpu", "cuda", "reference"};
    for (int i = 0; name && i < 4; i++)
        if (!strcmp(name, names[i]))
            return i;
    return name ? -1 : AREX_TARGET_AUTO;
}

static int codegen_of(const char *name)
{
    static const char *const names[] = {"auto", "nvptx", "nvvm"};
    for (int i = 0; name && i < 3; i++)
        if (!strcmp(name, names[i]))
            return i;
    return name ? -1 : AREX_CODEGEN_AUTO;
}

static bool number_upto(const char *text, long most, int *out)
{
    char *end;
    long n = text ? strtol(text, &end, 10) : 0;
    *out = (int)n;
    return !text || (*text && !*end && n >= 0 && n <= most);
}

static bool number_of(const char *text, int *out)
{
    return number_upto(text, 65536, out);
}

static char *read_file(const char *path, size_t *n)
{
    FILE *f = strcmp(path, "-") ? fopen(path, "rb") : stdin;
    char *text = NULL;
    size_t room = 0, got;
    *n = 0;
    if (!f) {
        file_error(path, strerror(errno));
        return NULL;
    }
    do {
        if (*n + 4096 > room) {
            char *more = realloc(text, room = room * 2 + 8192);
            if (!more) {
                free(text);
                text = NULL;
                break;
            }
            text = more;
        }
        got = fread(text + *n, 1, room - *n, f);
        *n += got;
    } while (got && *n < ((size_t)16 << 20));
    if (text && ferror(f)) {
        file_error(path, "cannot be read");
        free(text);
        text = NULL;
    }
    if (f != stdin)
        fclose(f);
    return text;
}

/* What one command holds. */
struct session {
    struct options options;
    arex_context *context;
    arex_program *program;
    char *text; /* of a file, or NULL */
    struct value *inputs;
    arex_array *in, *out;
    int n_in, n_out, target, threads;
};

static int open_context(struct session *s)
{
    arex_context_options co;
    arex_diagnostics *diags = NULL;
    arex_context_options_init(&co);
    s->target = target_of(s->options.value[OPT_target]);
    if (s->target < 0)
        return bad_use("unknown target", s->options.value[OPT_target]);
    if (!number_of(s->options.value[OPT_device], &co.device))
        return bad_use("--device needs a number", s->options.value[OPT_device]);
    if (!number_of(s->options.value[OPT_threads], &s->threads))
        return bad_use("--threads needs a number", s->options.value[OPT_threads]);
    co.threads = s->threads;
    arex_status status = arex_context_new(&co, &s->context, &diags);
    return say(status, diags);
}

static int compile_options(const struct session *s, arex_compile_options *o)
{
    arex_compile_options_init(o);
    o->fast = s->options.value[OPT_fast] != NULL;
    o->codegen = codegen_of(s->options.value[OPT_codegen]);
    o->arch = s->options.value[OPT_arch];
    int32_t work = 0;
    if (!number_upto(s->options.value[OPT_max_work], INT32_MAX, &work))
        return bad_use("--max-work needs a number", s->options.value[OPT_max_work]);
    o->max_work = (uint32_t)work;
    return o->codegen < 0 ? bad_use("unknown code generator", s->options.value[OPT_codegen]) : EXIT_OK;
}

static int open_program(struct session *s, bool file)
{
    if (s->options.n_words != 1)
        return bad_use("expected one program", s->options.n_words ? s->options.words[1] : "none is given");
    const char *source = s->options.words[0], *name = "<expression>";
    size_t n = strlen(source);
    if (file) {
        name = source;
        s->text = read_file(source, &n);
        if (!s->text)
            return EXIT_PROGRAM;
        source = s->text;
    }
    arex_compile_options co;
    arex_diagnostics *diags = NULL;
    int code = compile_options(s, &co);
    if (code)
        return code;
    arex_status status = arex_program_new(s->context, source, n, name, &co, &s->program, &diags);
    return say(status, diags);
}

static int find_input(const struct session *s, const char *name, size_t n)
{
    for (int i = 0; i < s->n_in; i++)
        if (strlen(arex_program_input(s->program, i)) == n && !memcmp(arex_program_input(s->program, i), name, n))
            return i;
    return -1;
}

static void say_near(const struct near_name *near)
{
    if (near->best)
        fprintf(stderr, "  = help: did you mean `%s`?\n", near->best);
}

static int unknown_input(const struct session *s, const char *name, size_t n)
{
    struct near_name near = {.name = name, .n = n};
    fprintf(stderr, "error[AX0305]: the program has no input `%.*s`\n", (int)n, name);
    for (int i = 0; i < s->n_in; i++)
        near_try(&near, arex_program_input(s->program, i));
    say_near(&near);
    return EXIT_PROGRAM;
}

/* A type or a constant that is mistyped looks like an input too. */
static void missing_input(const char *name)
{
    static const char *const constants[] = {"True", "False", "None", "newaxis", "inf", "nan"};
    struct near_name near = {.name = name, .n = strlen(name)};
    fprintf(stderr, "error[AX0304]: no value for the input `%s`\n  = help: give -i %s=NUMBER or -i %s=FILE.npy\n", name, name, name);
    for (int t = 1; arex_dtype_name(t); t++)
        near_try(&near, arex_dtype_name(t));
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
        near_try(&near, constants[i]);
    say_near(&near);
}

static int read_inputs(struct session *s)
{
    s->n_in = arex_program_inputs(s->program);
    s->inputs = calloc((size_t)s->n_in + 1, sizeof *s->inputs);
    s->in = calloc((size_t)s->n_in + 1, sizeof *s->in);
    if (!s->inputs || !s->in)
        return EXIT_MACHINE;
    for (int k = 0; k < s->options.n_inputs; k++) {
        const char *text = s->options.inputs[k], *eq = strchr(text, '=');
        if (!eq || eq == text)
            return bad_use("-i needs NAME=VALUE", text);
        int i = find_input(s, text, (size_t)(eq - text));
        if (i < 0)
            return unknown_input(s, text, (size_t)(eq - text));
        value_fini(&s->inputs[i]);
        if (!value_read(&s->inputs[i], eq + 1))
            return EXIT_PROGRAM;
        s->in[i] = s->inputs[i].array;
    }
    int code = EXIT_OK;
    for (int i = 0; i < s->n_in; i++)
        if (!s->in[i].dtype) {
            missing_input(arex_program_input(s->program, i));
            code = EXIT_PROGRAM;
        }
    return code;
}

/* The file an output goes to, or NULL. */
static const char *file_of(const struct session *s, int index)
{
    const char *name = arex_program_output(s->program, index);
    const char *found = NULL;
    for (int k = 0; k < s->options.n_outputs; k++) {
        const char *text = s->options.outputs[k], *eq = strchr(text, '=');
        if (!eq && k == index)
            found = text;
        if (eq && *name && strlen(name) == (size_t)(eq - text) && !memcmp(name, text, (size_t)(eq - text)))
            found = eq + 1;
    }
    return found;
}

static int check_outputs(const struct session *s)
{
    for (int k = 0; k < s->options.n_outputs; k++) {
        bool used = false;
        for (int i = 0; i < s->n_out; i++) {
            const char *file = file_of(s, i);
            used |= file && file >= s->options.outputs[k] && file <= s->options.outputs[k] + strlen(s->options.outputs[k]);
        }
        if (!used)
            return bad_use("the program has no output for", s->options.outputs[k]);
    }
    return EXIT_OK;
}

static int write_outputs(struct session *s)
{
    for (int i = 0; i < s->n_out; i++) {
        const char *name = arex_program_output(s->program, i), *file = file_of(s, i);
        if (file) {
            if (!file_write(&s->out[i], file))
                return EXIT_PROGRAM;
            continue;
        }
        if (s->n_out > 1 && *name)
            printf("%s = %s", name, s->out[i].rank ? "\n" : "");
        print_value(stdout, &s->out[i]);
    }
    if (!fflush(stdout) && !ferror(stdout))
        return EXIT_OK;
    fprintf(stderr, "error: standard output cannot be written: %s\n", strerror(errno));
    return EXIT_MACHINE;
}

static void print_times(const struct session *s)
{
    arex_stats t = {.size = sizeof t};
    if (arex_program_stats(s->program, &t))
        return;
    const struct {
        const char *name;
        uint64_t ns;
    } rows[] = {{"parse", t.parse_ns}, {"sema", t.sema_ns}, {"loop", t.loop_ns}, {"emit", t.emit_ns}, {"backend", t.backend_ns}, {"load", t.load_ns}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        fprintf(stderr, "%-8s %9.3f ms\n", rows[i].name, (double)rows[i].ns / 1e6);
    fprintf(stderr, "compilations %llu, kernels %u, temporaries %u\n", (unsigned long long)t.compilations, t.kernels, t.temporaries);
}

/* ---- kernels ---- */

/* "4", "4,2" or "4,2,1". */
static bool read_dimensions(const char *text, uint32_t *out)
{
    out[0] = out[1] = out[2] = 1;
    for (int i = 0; text && i < 3; i++) {
        char *end;
        errno = 0;
        unsigned long v = strtoul(text, &end, 10);
        if (end == text || *text == '-' || errno || v > UINT32_MAX)
            return false;
        out[i] = (uint32_t)v;
        if (!*end)
            return true;
        if (*end != ',')
            return false;
        text = end + 1;
    }
    return false;
}

static void copy_elements(const arex_array *to, const arex_array *from)
{
    size_t size = arex_dtype_size(from->dtype);
    int64_t index[8] = {0}, n = 1;
    for (int d = 0; d < from->rank; d++)
        n *= from->shape[d];
    for (int64_t i = 0; i < n; i++) {
        const char *at = from->data;
        for (int d = 0; d < from->rank; d++)
            at += from->shape[d] > 1 ? index[d] * from->strides[d] : 0;
        memcpy((char *)to->data + (size_t)i * size, at, size);
        for (int d = from->rank - 1; d >= 0 && ++index[d] == from->shape[d]; d--)
            index[d] = 0;
    }
}

/* What the kernel changes is a copy of what was given, and is what is printed or written. */
static arex_status copy_changed(struct session *s, arex_diagnostics **diags)
{
    arex_status status = AREX_OK;
    for (int i = 0; !status && i < s->n_out; i++)
        for (int k = 0; !status && k < s->n_in; k++)
            if (!strcmp(arex_program_output(s->program, i), arex_program_input(s->program, k))) {
                arex_array copy = s->in[k];
                copy.flags = 0;
                status = arex_array_alloc(s->context, &copy, diags);
                if (status)
                    break;
                copy_elements(&copy, &s->in[k]);
                s->in[k] = s->out[i] = copy;
            }
    return status;
}

static int launch(struct session *s, const arex_call_options *co)
{
    uint32_t grid[3], block[3];
    arex_diagnostics *diags = NULL;
    const char *given[] = {s->options.value[OPT_grid], s->options.value[OPT_block]};
    if (!read_dimensions(given[0], grid) || !read_dimensions(given[1], block))
        return bad_use("a kernel needs its launch, as in --grid 4,2 --block 16,16", given[0] && given[1] ? given[0] : "it is not given");
    arex_status status = copy_changed(s, &diags);
    if (!status)
        status = arex_launch(s->program, s->in, s->n_in, grid, block, co, &diags);
    return say(status, diags);
}

static int call(struct session *s, const arex_call_options *co)
{
    arex_diagnostics *diags = NULL;
    if (arex_program_is_kernel(s->program))
        return launch(s, co);
    if (s->options.value[OPT_grid] || s->options.value[OPT_block])
        return bad_use("the program has no kernel to launch", s->options.value[OPT_grid] ? s->options.value[OPT_grid] : s->options.value[OPT_block]);
    arex_status status = arex_call(s->program, s->in, s->n_in, s->out, s->n_out, co, &diags);
    return say(status, diags);
}

static int call_program(struct session *s)
{
    arex_call_options co;
    uint32_t faults = 0;
    arex_call_options_init(&co);
    co.target = s->target;
    co.threads = s->threads;
    co.faults = &faults;
    s->n_out = arex_program_outputs(s->program);
    s->out = calloc((size_t)s->n_out + 1, sizeof *s->out);
    if (!s->out)
        return EXIT_MACHINE;
    for (int i = 0; i < s->n_out; i++)
        s->out[i].device = -1;
    int code = check_outputs(s);
    if (code)
        return code;
    code = call(s, &co);
    if (!code && (faults & AREX_FAULT_DIVIDE))
        fputs("warning: an integer was divided by 0; the result there is 0\n", stderr);
    return code ? code : write_outputs(s);
}

static void close_session(struct session *s)
{
    for (int i = 0; s->out && i < s->n_out; i++)
        arex_array_free(s->context, &s->out[i]);
    for (int i = 0; s->inputs && i < s->n_in; i++)
        value_fini(&s->inputs[i]);
    free(s->inputs);
    free(s->in);
    free(s->out);
    free(s->text);
    arex_program_free(s->program);
    arex_context_free(s->context);
    options_fini(&s->options);
}

static int evaluate(struct session *s, bool file)
{
    int code = open_context(s);
    if (!code)
        code = open_program(s, file);
    if (!code)
        code = read_inputs(s);
    if (!code)
        code = call_program(s);
    if (!code && s->options.value[OPT_time])
        print_times(s);
    return code;
}

static int run_eval(struct session *s)
{
    return evaluate(s, false);
}

static int run_run(struct session *s)
{
    return evaluate(s, true);
}

static bool is_file(const char *word)
{
    size_t n = strlen(word);
    return n > 5 && !strcmp(word + n - 5, ".arex");
}

static int run_emit(struct session *s)
{
    const char *stage = s->options.value[OPT_stage], *arch = s->options.value[OPT_arch];
    char *text = NULL;
    arex_diagnostics *diags = NULL;
    if (!stage)
        return bad_use("emit needs --stage", "see `arex list stages`");
    s->options.value[OPT_arch] = NULL; /* it may be a GPU's, which is no option of a program */
    int code = open_context(s);
    if (!code)
        code = open_program(s, s->options.n_words == 1 && is_file(s->options.words[0]));
    if (code)
        return code;
    bool sass = !strcmp(stage, "sass");
    int target = s->target != AREX_TARGET_AUTO ? s->target : sass || !strcmp(stage, "ptx") || !strcmp(stage, "nvvm") ? AREX_TARGET_CUDA : AREX_TARGET_CPU;
    arex_status status = arex_emit(s->program, sass ? "ptx" : stage, target, arch, s->options.value[OPT_types], &text, &diags);
    code = say(status, diags);
    if (!code && sass)
        code = sass_print(text, arch);
    else if (!code)
        fputs(text, stdout);
    arex_free(text);
    return code;
}

static int run_selfcheck(struct session *s)
{
    arex_call_options co;
    arex_compile_options made;
    int code = open_context(s);
    if (!code)
        code = compile_options(s, &made);
    arex_call_options_init(&co);
    co.target = s->target;
    co.threads = s->threads;
    if (!code && s->options.n_words > 1)
        return bad_use("expected one corpus", s->options.words[1]);
    return code ? code : selfcheck(s->context, s->options.n_words ? s->options.words[0] : NULL, &made, &co, s->options.value[OPT_update] != NULL);
}

static int run_doctor(struct session *s)
{
    char *text = NULL;
    int code = open_context(s);
    if (code)
        return code;
    arex_status status = arex_doctor(s->context, s->options.value[OPT_json] != NULL, &text);
    if (text)
        fputs(text, stdout);
    arex_free(text);
    return exit_of(status);
}

static int run_list(struct session *s)
{
    char *text = NULL;
    if (s->options.n_words != 1)
        return bad_use("list needs one of", "ops accuracy aliases types stages errors");
    const char *what = s->options.words[0];
    if (s->options.value[OPT_accuracy] && strcmp(what, "ops"))
        return bad_use("--accuracy is of", "ops");
    arex_status status = arex_list(s->options.value[OPT_accuracy] ? "accuracy" : what, s->options.value[OPT_json] != NULL, &text);
    if (status) {
        arex_free(text);
        return bad_use("no list of this name (ops, accuracy, aliases, types, stages, errors)", s->options.words[0]);
    }
    fputs(text, stdout);
    arex_free(text);
    return EXIT_OK;
}

struct command {
    const char *name, *words, *doc;
    char letter;
    int (*run)(struct session *s);
};

static const struct command commands[] = {
    {"eval", "EXPR", "evaluate an expression", 'e', run_eval},
    {"run", "FILE.arex", "run a program (- is standard input)", 'e', run_run},
    {"emit", "EXPR | FILE.arex", "print a stage of compilation", 'm', run_emit},
    {"doctor", "", "say what this machine offers and what is missing", 'd', run_doctor},
    {"selfcheck", "[CORPUS]", "compare what programs give here with what they give elsewhere", 's', run_selfcheck},
    {"list", "ops|types|stages|errors", "print a table of the language", 'l', run_list},
};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

static void usage(FILE *to)
{
    fputs("usage: arex COMMAND ...\n\n", to);
    for (int i = 0; i < N_COMMANDS; i++)
        fprintf(to, "  %-7s %-24s %s\n", commands[i].name, commands[i].words, commands[i].doc);
    fputs("\n`arex COMMAND --help` lists a command's options; `arex --version` prints the version.\n"
          "Exit codes: 0 success, 1 the program or its input is wrong, 2 usage, 3 the machine.\n", to);
}

static int run_command(const struct command *c, int argc, char **argv)
{
    struct session s = {0};
    int code = options_parse(&s.options, argc, argv, c->letter);
    if (!code && s.options.value[OPT_help]) {
        printf("usage: arex %s %s\n%s\n\n", c->name, c->words, c->doc);
        options_help(stdout, c->letter);
    } else if (!code) {
        code = c->run(&s);
    }
    close_session(&s);
    return code;
}

int main(int argc, char **argv)
{
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error to tell, with what was begun removed */
    if (argc < 2) {
        usage(stderr);
        return EXIT_USE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        usage(stdout);
        return EXIT_OK;
    }
    if (!strcmp(argv[1], "--version")) {
        printf("arex %s\n", arex_version());
        return EXIT_OK;
    }
    for (int i = 0; i < N_COMMANDS; i++)
        if (!strcmp(argv[1], commands[i].name))
            return run_command(&commands[i], argc - 2, argv + 2);
    usage(stderr);
    return bad_use("unknown command", argv[1]);
}
