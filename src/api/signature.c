/* The pipeline, once per set of argument types: tree to IR to plan to code. */
#include <stdlib.h>
#include <string.h>
#include "api.h"
#include "base/clock.h"

static enum diag_id arena_trouble(const struct arena *a)
{
    static const enum diag_id of[] = {[ARENA_FINE] = AX_internal, [ARENA_NO_MEMORY] = AX_out_of_memory, [ARENA_OVER_LIMIT] = AX_compile_memory,
                                      [ARENA_TOO_MANY] = AX_too_many_nodes, [ARENA_TOO_LONG] = AX_compile_work};
    return of[a->failure];
}

static const char *what_was_short(const struct arena *a)
{
    return a->failure == ARENA_TOO_MANY ? "nodes" : a->failure == ARENA_TOO_LONG ? "work" : "memory";
}

static bool sound(const char *fault, struct diags *diags)
{
    if (fault)
        diag_add(diags, AX_internal, NO_SPAN, "%s", fault);
    return !fault;
}

static void note_times(struct arex_program *p, uint64_t sema_ns, uint64_t loop_ns, const struct loop_plan *plan)
{
    lock_take(&p->lock);
    p->sema_ns += sema_ns;
    p->loop_ns += loop_ns;
    p->kernels = plan->nests.n;
    p->temporaries = loop_temporaries(plan);
    lock_give(&p->lock);
}

/* The stages in order; nothing else knows it. */
static bool stages(struct arex_program *p, struct arena *arena, const struct sema_arg *args, bool gpu, struct ir **ir, struct loop_plan **plan, struct diags *diags)
{
    /* where fma is emulated, fusing would be no gain */
    bool fuse = p->options.fast && arch_fuses(p->arch);
    struct sema_limits names = {.max_nodes = p->options.max_nodes, .max_rounds = p->options.max_rounds, .max_work = work_limit(p), .fast = fuse};
    struct loop_limits nests = {.max_nests = p->options.max_kernels, .max_work = work_limit(p), .recompute = gpu};
    uint64_t start = now_ns();
    *ir = sema_build(arena, p->tree, &p->interface, args, &names, diags);
    if (!*ir || !sound(ir_verify(*ir), diags))
        return false;
    uint64_t typed = now_ns();
    *plan = loop_build(arena, *ir, &nests, diags);
    if (!*plan || !sound(loop_verify(arena, *plan), diags))
        return false;
    note_times(p, typed - start, now_ns() - typed, *plan);
    return true;
}

bool program_build(struct arex_program *p, struct arena *arena, const struct sema_arg *args, bool gpu, struct ir **ir, struct loop_plan **plan, struct diags *diags)
{
    jmp_buf failed;
    arena->on_fail = &failed;
    if (setjmp(failed) == 0)
        return stages(p, arena, args, gpu, ir, plan, diags);
    diag_add(diags, arena_trouble(arena), NO_SPAN, "compiling the program takes more %s than is allowed", what_was_short(arena));
    return false;
}

static bool same_args(const struct sema_arg *a, const struct sema_arg *b, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (a[i].dtype != b[i].dtype || a[i].rank != b[i].rank || a[i].weak != b[i].weak)
            return false;
    return true;
}

static void signature_free(struct signature *s)
{
    exec_code_free(s->code);
    arena_fini(&s->arena);
    free(s->args);
    free(s);
}

static bool prepare_code(struct signature *s, struct arex_program *p, struct device *device, struct diags *diags)
{
    struct codegen_options options;
    if (!program_codegen(p, &options, diags))
        return false;
    s->code = exec_code_new(s->plan, device, context_codegen, p->context, &options);
    if (!s->code)
        diag_add(diags, AX_out_of_memory, NO_SPAN, "out of memory");
    return s->code != NULL;
}

static struct signature *build(struct arex_program *p, const struct sema_arg *args, struct device *device, struct diags *diags)
{
    uint32_t n = p->interface.inputs.n;
    struct signature *s = calloc(1, sizeof *s);
    if (s)
        s->args = malloc((n + 1) * sizeof *args);
    if (!s || !s->args) {
        free(s);
        diag_add(diags, AX_out_of_memory, NO_SPAN, "out of memory");
        return NULL;
    }
    memcpy(s->args, args, n * sizeof *args);
    s->device = device;
    arena_init(&s->arena, memory_limit(p));
    bool ok = program_build(p, &s->arena, args, device && device->ops->kind == DEVICE_CUDA, &s->ir, &s->plan, diags);
    if (ok && (!device || prepare_code(s, p, device, diags)))
        return s;
    signature_free(s);
    return NULL;
}

static struct signature *find(struct arex_program *p, const struct sema_arg *args, const struct device *device)
{
    for (struct signature *s = p->signatures; s; s = s->next)
        if (s->device == device && same_args(s->args, args, p->interface.inputs.n))
            return s;
    return NULL;
}

/* Two threads may build the same signature at once; the first to finish keeps its own. Building takes well under a
 * millisecond; what takes long, code generation, happens once, in exec. */
struct signature *program_signature(struct arex_program *p, const struct sema_arg *args, struct device *device, struct diags *diags)
{
    lock_take(&p->lock);
    struct signature *s = find(p, args, device);
    lock_give(&p->lock);
    if (s)
        return s;
    struct signature *made = build(p, args, device, diags);
    if (!made)
        return NULL;
    lock_take(&p->lock);
    s = find(p, args, device);
    if (!s) {
        s = made;
        s->next = p->signatures;
        p->signatures = s;
        made = NULL;
    }
    lock_give(&p->lock);
    if (made)
        signature_free(made);
    return s;
}

void signatures_free(struct arex_program *p)
{
    while (p->signatures) {
        struct signature *s = p->signatures;
        p->signatures = s->next;
        signature_free(s);
    }
}
