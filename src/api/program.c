/* Programs: parsed when made; names, figures, stages as text. */
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "repeat.h"

static char *c_string(struct arena *a, struct str s)
{
    return arena_strndup(a, s.s, s.n);
}

size_t memory_limit(const struct arex_program *p)
{
    return p->options.max_memory ? (size_t)p->options.max_memory : (size_t)512 << 20;
}

uint32_t work_limit(const struct arex_program *p)
{
    return p->options.max_work ? p->options.max_work : 200000;
}

/* AUTO is NVPTX: it is always there. */
bool program_codegen(const struct arex_program *p, struct codegen_options *out, struct diags *diags)
{
    *out = (struct codegen_options){.target = TARGET_CPU, .arch = p->arch, .max_work = work_limit(p)};
    if (p->options.codegen != AREX_CODEGEN_NVVM)
        return true;
    out->generator = GENERATOR_NVVM;
    out->nvvm = context_nvvm(p->context, &out->n_nvvm);
    if (!out->nvvm)
        diag_add(diags, AX_out_of_memory, NO_SPAN, "out of memory");
    return out->nvvm != NULL;
}

static bool parse(struct arex_program *p, struct diags *diags)
{
    struct ast_limits limits = {p->options.max_source, p->options.max_nesting, p->options.max_nodes};
    jmp_buf failed;
    p->arena.on_fail = &failed;
    if (setjmp(failed)) {
        diag_add(diags, p->arena.failure == ARENA_NO_MEMORY ? AX_out_of_memory : AX_compile_memory, NO_SPAN, "parsing takes more memory than is allowed");
        return false;
    }
    p->tree = ast_parse(&p->arena, p->source, p->n_source, &limits, diags);
    if (!p->tree || !sema_interface(&p->arena, p->tree, &p->interface, diags))
        return false;
    p->input_names = arena_array(&p->arena, char *, p->interface.inputs.n + 1);
    p->output_names = arena_array(&p->arena, char *, p->interface.outputs.n + 1);
    for (uint32_t i = 0; i < p->interface.inputs.n; i++)
        p->input_names[i] = c_string(&p->arena, p->interface.inputs.at[i].name);
    for (uint32_t i = 0; i < p->interface.outputs.n; i++)
        p->output_names[i] = c_string(&p->arena, p->interface.outputs.at[i].name);
    return true;
}

static struct arex_program *program_alloc(arex_context *context, const char *source, size_t n, const char *name, const arex_compile_options *o)
{
    struct arex_program *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    lock_init(&p->lock);
    lock_init(&p->repeat_lock);
    p->context = context;
    p->name = strdup(name ? name : "<string>");
    p->source = malloc(n + 1);
    p->arch = strdup(o->arch ? o->arch : "");
    p->n_source = n;
    p->options = *o;
    p->options.arch = p->arch;
    arena_init(&p->arena, memory_limit(p));
    if (p->source && n)
        memcpy(p->source, source, n);
    if (p->name && p->source && p->arch)
        return p;
    arex_program_free(p);
    return NULL;
}

static bool sound_options(const arex_compile_options *o, struct diags *diags)
{
    if (o->codegen < AREX_CODEGEN_AUTO || o->codegen > AREX_CODEGEN_NVVM)
        diag_add(diags, AX_usage, NO_SPAN, "codegen %d is no code generator", o->codegen);
    else if (!arch_known(o->arch))
        diag_add(diags, AX_bad_arch, NO_SPAN, "unknown architecture '%s' for the CPU: use native, x86-64, x86-64-v2, x86-64-v3 or x86-64-v4", o->arch);
    return !diags_has_errors(diags);
}

PUBLIC arex_status arex_program_new(arex_context *context, const char *source, size_t n, const char *name,
                                    const arex_compile_options *options, arex_program **out, arex_diagnostics **diags)
{
    struct diags d;
    arex_compile_options o;
    diags_init(&d);
    arex_compile_options_init(&o);
    if (out)
        *out = NULL;
    if (!context || !out || (!source && n)) {
        diag_add(&d, AX_usage, NO_SPAN, "context, source and a place for the program must be given");
        return diags_hand_over(&d, false, diags);
    }
    if (options && !options_known(options, options->size, sizeof o, "compile", &d))
        return diags_hand_over(&d, false, diags);
    if (options)
        memcpy(&o, options, options->size < sizeof o ? options->size : sizeof o);
    if (!sound_options(&o, &d))
        return diags_hand_over(&d, false, diags);
    uint32_t most = o.max_source ? o.max_source : AST_MAX_SOURCE;
    if (n > most) { /* before anything is copied: so long a text may not even be there */
        diag_add(&d, AX_source_too_large, NO_SPAN, "the source has %zu bytes; the limit is %u", n, most);
        return diags_hand_over(&d, false, diags);
    }
    diags_set_source(&d, name ? name : "<string>", source ? source : "", n);
    struct arex_program *p = program_alloc(context, source, n, name, &o);
    uint64_t start = now_ns();
    bool ok = p && parse(p, &d);
    if (!p)
        diag_add(&d, AX_out_of_memory, NO_SPAN, "out of memory");
    if (ok) {
        p->parse_ns = now_ns() - start;
        *out = p;
    } else {
        arex_program_free(p);
    }
    return diags_hand_over(&d, ok, diags);
}

PUBLIC void arex_program_free(arex_program *p)
{
    if (!p)
        return;
    repeats_free(p);
    signatures_free(p);
    arena_fini(&p->arena);
    lock_fini(&p->lock);
    lock_fini(&p->repeat_lock);
    free(p->name);
    free(p->source);
    free(p->arch);
    free(p);
}

uint32_t visible_inputs(const struct arex_program *p)
{
    return p->interface.inputs.n - (p->interface.kernel ? LAUNCH_COUNT : 0);
}

PUBLIC int arex_program_is_kernel(const arex_program *p)
{
    return p && p->interface.kernel;
}

PUBLIC int arex_program_inputs(const arex_program *p)
{
    return p ? (int)visible_inputs(p) : 0;
}

PUBLIC const char *arex_program_input(const arex_program *p, int index)
{
    return p && index >= 0 && (uint32_t)index < visible_inputs(p) ? p->input_names[index] : NULL;
}

PUBLIC int arex_program_outputs(const arex_program *p)
{
    return p ? (int)p->interface.outputs.n : 0;
}

PUBLIC const char *arex_program_output(const arex_program *p, int index)
{
    return p && index >= 0 && (uint32_t)index < p->interface.outputs.n ? p->output_names[index] : NULL;
}

PUBLIC arex_status arex_program_stats(const arex_program *program, arex_stats *out)
{
    struct arex_program *p = (struct arex_program *)program; /* the lock changes, nothing that shows */
    arex_stats s = {.size = sizeof s};
    if (!program || !out || out->size < sizeof out->size || out->size > sizeof s)
        return AREX_ERROR_USAGE;
    lock_take(&p->lock);
    s.calls = p->calls;
    s.kernels = p->kernels;
    s.temporaries = p->temporaries;
    s.parse_ns = p->parse_ns;
    s.sema_ns = p->sema_ns;
    s.loop_ns = p->loop_ns;
    for (struct signature *g = p->signatures; g; g = g->next) {
        struct exec_times t = {0};
        if (g->code)
            exec_code_times(g->code, &t);
        s.compilations += t.compilations;
        s.emit_ns += t.emit_ns;
        s.backend_ns += t.backend_ns;
        s.load_ns += t.load_ns;
    }
    lock_give(&p->lock);
    s.size = out->size;
    memcpy(out, &s, out->size);
    return AREX_OK;
}

/* ---- emit ---- */

struct types_text {
    const char *s;
};

static void skip(struct types_text *t)
{
    while (*t->s == ' ' || *t->s == ',')
        t->s++;
}

static struct str word(struct types_text *t)
{
    struct str w = {t->s, 0};
    while ((*t->s >= 'a' && *t->s <= 'z') || (*t->s >= 'A' && *t->s <= 'Z') || (*t->s >= '0' && *t->s <= '9') || *t->s == '_')
        t->s++, w.n++;
    return w;
}

static bool one_type(struct arex_program *p, struct types_text *t, struct sema_arg *args, struct diags *diags)
{
    struct str name = word(t);
    skip(t);
    bool ok = name.n && *t->s++ == '=';
    while (ok && *t->s == ' ')
        t->s++;
    struct str type = ok ? word(t) : name;
    struct sema_arg a = {.dtype = ok ? (uint8_t)type_by_name(type) : DT_none};
    if (ok && *t->s == '[') {
        unsigned rank = 1;
        for (t->s++; *t->s && strchr(":, ", *t->s); t->s++)
            rank += *t->s == ',';
        ok = *t->s++ == ']' && rank <= AREX_MAX_RANK;
        a.rank = (uint8_t)rank;
    }
    ok = ok && (!*t->s || *t->s == ' ' || *t->s == ',');
    if (!ok || a.dtype == DT_none) {
        diag_add(diags, AX_usage, NO_SPAN, "types are written as in \"x=float32[:,:], a=float64\"");
        return false;
    }
    if (!type_table[a.dtype].works) {
        diag_add(diags, AX_argument_dtype, NO_SPAN, "'%.*s' is %s, which is not supported yet", (int)name.n, name.s, type_table[a.dtype].name);
        return false;
    }
    for (uint32_t i = 0; i < p->interface.inputs.n; i++)
        if (str_eq(p->interface.inputs.at[i].name, name)) {
            args[i] = a;
            return true;
        }
    diag_add(diags, AX_extra_argument, NO_SPAN, "the program has no input '%.*s'", (int)name.n, name.s);
    return false;
}

static bool parse_types(struct arex_program *p, const char *types, struct sema_arg *args, struct diags *diags)
{
    struct types_text t = {types ? types : ""};
    for (uint32_t i = 0; i < p->interface.inputs.n; i++) {
        const struct sema_name *in = &p->interface.inputs.at[i];
        args[i] = (struct sema_arg){.dtype = in->dtype ? in->dtype : DT_float64, .rank = in->rank >= 0 ? (uint8_t)in->rank : in->dtype ? 0 : 1};
    }
    for (skip(&t); *t.s; skip(&t))
        if (!one_type(p, &t, args, diags))
            return false;
    return true;
}

static bool default_variants(struct arena *arena, const struct loop_plan *plan, const struct loop_variant **out, struct diags *diags)
{
    jmp_buf failed;
    arena->on_fail = &failed;
    bool ok = setjmp(failed) == 0;
    if (ok)
        *out = loop_default_variants(arena, plan);
    else
        diag_add(diags, AX_out_of_memory, NO_SPAN, "out of memory");
    arena->on_fail = NULL;
    return ok;
}

static bool emit_code(struct arex_program *p, struct arena *arena, const struct loop_plan *plan, const char *stage, int target, const char *arch,
                      struct strbuf *out, struct diags *diags)
{
    char *text = NULL;
    const struct codegen_api *api = context_codegen(p->context, diags);
    bool gpu = target == AREX_TARGET_CUDA || strcmp(stage, "ptx") == 0 || strcmp(stage, "nvvm") == 0;
    struct codegen_job job = {.plan = plan};
    if (!program_codegen(p, &job.options, diags))
        return false;
    job.options.target = gpu ? TARGET_NVPTX : TARGET_CPU;
    job.options.arch = arch ? arch : gpu ? "" : p->arch;
    if (!api || !default_variants(arena, plan, &job.variants, diags) || !api->text(&job, stage, &text, diags))
        return false;
    strbuf_puts(out, text);
    free(text);
    return true;
}

static bool emit(struct arex_program *p, const char *stage, int target, const char *arch, const char *types, struct strbuf *out, struct diags *diags)
{
    struct sema_arg *args = calloc(p->interface.inputs.n + 1, sizeof *args);
    struct arena arena;
    struct ir *ir = NULL;
    struct loop_plan *plan = NULL;
    bool gpu = target == AREX_TARGET_CUDA || strcmp(stage, "ptx") == 0 || strcmp(stage, "nvvm") == 0;
    arena_init(&arena, memory_limit(p));
    bool ok = args && parse_types(p, types, args, diags) && program_build(p, &arena, args, gpu, &ir, &plan, diags);
    if (ok && strcmp(stage, "ir") == 0)
        ir_print(ir, out);
    else if (ok && strcmp(stage, "loop") == 0)
        loop_print(plan, out);
    else if (ok && strcmp(stage, "plan") == 0)
        loop_print_plan(plan, out);
    else if (ok)
        ok = emit_code(p, &arena, plan, stage, target, arch, out, diags);
    arena_fini(&arena);
    free(args);
    return ok;
}

static bool is_stage(const char *stage)
{
#define STAGE(name, needs, doc)                                                                              \
    if (strcmp(stage, #name) == 0)                                                                           \
        return true;
#include "stages.def"
#undef STAGE
    return false;
}

PUBLIC arex_status arex_emit(arex_program *p, const char *stage, int target, const char *arch, const char *types, char **text,
                             arex_diagnostics **diags)
{
    struct diags d;
    struct strbuf out = {0};
    bool ok = false;
    diags_init(&d);
    if (!p || !text) {
        diag_add(&d, AX_usage, NO_SPAN, "a program and a place for the text must be given");
        return diags_hand_over(&d, false, diags);
    }
    *text = NULL;
    diags_set_source(&d, p->name, p->source, p->n_source);
    if (!stage || !is_stage(stage))
        diag_add(&d, AX_bad_stage, NO_SPAN, "there is no stage '%s'", stage ? stage : "");
    else if (strcmp(stage, "sass") == 0)
        diag_add(&d, AX_bad_stage, NO_SPAN, "machine code of a GPU is made by NVIDIA's tools: the command line calls them");
    else if (target < AREX_TARGET_AUTO || target > AREX_TARGET_CUDA)
        diag_add(&d, AX_usage, NO_SPAN, "target %d is none that code is made for", target);
    else if (strcmp(stage, "ast") == 0)
        ast_print(p->tree, false, &out), ok = true;
    else
        ok = emit(p, stage, target, arch, types, &out, &d);
    if (ok)
        ok = (*text = strbuf_take(&out)) != NULL;
    strbuf_fini(&out);
    return diags_hand_over(&d, ok, diags);
}
