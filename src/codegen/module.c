/* The frame of every entry: functions, slots, structured loops and branches, and the walk over the nests of a plan. */
#include <stdio.h>
#include <stdlib.h>
#include "gen.h"

static type entry_type(struct gen *g, uint32_t n_slots)
{
    type params[LOOP_MAX_SLOTS];
    if (!g->gpu) {
        type cpu[] = {g->l.ptr, g->l.i64, g->l.i64};
        return LLVMFunctionType(LLVMVoidTypeInContext(g->l.ctx), cpu, 3, 0);
    }
    for (uint32_t i = 0; i < n_slots; i++)
        params[i] = g->l.i64;
    return LLVMFunctionType(LLVMVoidTypeInContext(g->l.ctx), params, n_slots, 0);
}

static void add_attribute(struct gen *g, const char *key, const char *value)
{
    LLVMAttributeRef a = LLVMCreateStringAttribute(g->l.ctx, key, (unsigned)strlen(key), value, (unsigned)strlen(value));
    LLVMAddAttributeAtIndex(g->l.fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, a);
}

void gen_function(struct gen *g, unsigned nest, const char *step, uint32_t n_slots)
{
    enum { PTX_KERNEL = 71 };
    char name[24];
    snprintf(name, sizeof name, "n%u_%s", nest, step);
    g->l.fn = LLVMAddFunction(g->l.mod, name, entry_type(g, n_slots));
    memset(g->slot, 0, sizeof g->slot);
    g->entry = ll_block(&g->l, "entry");
    g->uniform = ll_block(&g->l, "uniform");
    if (g->gpu) {
        LLVMSetFunctionCallConv(g->l.fn, PTX_KERNEL);
        bool large = strcmp(step, "join") == 0 || (strcmp(step, "main") == 0 && g->nest->blocks);
        add_attribute(g, "nvvm.maxntid", large ? "1024" : strcmp(step, "rows") == 0 ? "512" : g->nest->kind == NEST_SCAN ? "128" : "256");
    } else {
        g->slots_arg = LLVMGetParam(g->l.fn, 0);
        g->begin = LLVMGetParam(g->l.fn, 1);
        g->end = LLVMGetParam(g->l.fn, 2);
    }
    ll_at(&g->l, g->uniform);
}

void gen_resident(struct gen *g, unsigned blocks)
{
    char count[12];
    snprintf(count, sizeof count, "%u", blocks);
    add_attribute(g, "nvvm.minctasm", count);
}

void gen_return(struct gen *g)
{
    LLVMBuildRetVoid(g->l.b);
    ll_at(&g->l, g->entry);
    ll_br(&g->l, g->uniform);
}

void gen_begin(struct gen *g, unsigned nest, const char *step)
{
    if (!g->row)
        gen_function(g, nest, step, g->slots.count);
}

void gen_end(struct gen *g)
{
    if (!g->row)
        gen_return(g);
}

val gen_slot(struct gen *g, uint32_t i)
{
    if (g->slot[i])
        return g->slot[i];
    if (g->gpu)
        return g->slot[i] = LLVMGetParam(g->l.fn, g->first_slot + i);
    block here = ll_here(&g->l);
    ll_at(&g->l, g->entry);
    val at = ll_offset(&g->l, g->slots_arg, ll_i64(&g->l, 8 * (int64_t)i));
    g->slot[i] = LLVMBuildLoad2(g->l.b, g->l.i64, at, "");
    ll_at(&g->l, here);
    return g->slot[i];
}

val gen_ptr(struct gen *g, val address)
{
    return LLVMBuildIntToPtr(g->l.b, address, g->l.ptr, "");
}

val gen_slot_ptr(struct gen *g, uint32_t i)
{
    return gen_ptr(g, gen_slot(g, i));
}

val gen_alloca(struct gen *g, type t, unsigned n)
{
    block here = ll_here(&g->l);
    ll_at(&g->l, g->entry);
    val a = LLVMBuildAlloca(g->l.b, LLVMArrayType2(t, n), "");
    LLVMSetAlignment(a, g->gpu ? 16 : 64);
    ll_at(&g->l, here);
    return a;
}

struct loop gen_loop(struct gen *g, val from, val to)
{
    struct ll *l = &g->l;
    struct loop loop = {.head = ll_block(l, "loop"), .body = ll_block(l, "body"), .done = ll_block(l, "done"), .to = to};
    block here = ll_here(l);
    ll_br(l, loop.head);
    ll_at(l, loop.head);
    loop.i = ll_phi(l, l->i64, from, here);
    ll_cond(l, ll_lt(l, loop.i, to), loop.body, loop.done);
    ll_at(l, loop.body);
    return loop;
}

void gen_loop_end(struct gen *g, struct loop *loop, val step)
{
    val next = ll_add(&g->l, loop->i, step);
    ll_phi_add(loop->i, next, ll_here(&g->l));
    ll_br(&g->l, loop->head);
    ll_at(&g->l, loop->done);
}

struct branch gen_if(struct gen *g, val cond)
{
    struct branch b = {.yes = ll_block(&g->l, "then"), .done = ll_block(&g->l, "endif")};
    ll_cond(&g->l, cond, b.yes, b.done);
    ll_at(&g->l, b.yes);
    return b;
}

void gen_if_end(struct gen *g, struct branch *b)
{
    ll_br(&g->l, b->done);
    ll_at(&g->l, b->done);
}

void gen_set_nest(struct gen *g, unsigned i)
{
    g->nest = &g->plan->nests.at[i];
    g->variant = &g->job->variants[i];
    g->slots = loop_slots(g->nest);
    memset(g->slot, 0, sizeof g->slot);
}

void gen_nest(struct gen *g, unsigned i)
{
    static void (*const shapes[])(struct gen *, unsigned) = {
        [NEST_MAP] = map_emit, [NEST_LANES] = lanes_emit, [NEST_COLUMNS] = columns_emit, [NEST_SCAN] = scan_emit};
    gen_set_nest(g, i);
    shapes[g->nest->kind](g, i);
}

/* Of the functions made since it was asked last. What is too much is told, and then nothing more is made. */
static bool within_limit(struct gen *g)
{
    uint32_t most = g->job->options.max_work;
    g->work += codegen_work(g->l.mod, g->counted, g->target);
    g->counted = LLVMGetLastFunction(g->l.mod);
    if (!most || g->work <= most || g->refused)
        return !g->refused;
    g->refused = true;
    diag_add(g->diags, AX_compile_work, (struct span){0, 0}, "the code of the program takes more work to compile than is allowed: at least %llu units, and the limit is %u",
             (unsigned long long)g->work, most);
    return false;
}

/* On the CPU rows call the functions of their nests; a kernel of a GPU holds all it needs. */
static void emit_all(struct gen *g)
{
    for (unsigned i = 0; i < g->plan->nests.n && within_limit(g); i++)
        if (!g->gpu || !(g->job->variants[i].flags & VARIANT_ROWS))
            gen_nest(g, i);
    for (unsigned i = 0; i < g->plan->rows.n && within_limit(g); i++)
        if (!g->gpu || g->job->variants[g->plan->rows.at[i].first].flags & VARIANT_ROWS)
            rows_emit(g, &g->plan->rows.at[i]);
    within_limit(g);
}

static void gen_init(struct gen *g, LLVMContextRef ctx)
{
    struct ll *l = &g->l;
    l->ctx = ctx;
    l->mod = LLVMModuleCreateWithNameInContext("arex", ctx);
    l->b = LLVMCreateBuilderInContext(ctx);
    l->i1 = LLVMInt1TypeInContext(ctx);
    l->i8 = LLVMInt8TypeInContext(ctx);
    l->i32 = LLVMInt32TypeInContext(ctx);
    l->i64 = LLVMInt64TypeInContext(ctx);
    l->f32 = LLVMFloatTypeInContext(ctx);
    l->f64 = LLVMDoubleTypeInContext(ctx);
    l->ptr = LLVMPointerTypeInContext(ctx, g->gpu ? 1 : 0);
}

LLVMModuleRef codegen_emit(LLVMContextRef ctx, const struct codegen_job *job, const struct emit_target *target,
                           struct diags *diags)
{
    struct arena arena;
    jmp_buf out_of_memory;
    struct gen *g = calloc(1, sizeof *g);
    if (!g) {
        diag_add(diags, AX_out_of_memory, (struct span){0, 0}, "out of memory while generating code");
        return NULL;
    }
    arena_init(&arena, 0);
    arena.on_fail = &out_of_memory;
    g->job = job;
    g->plan = job->plan;
    g->ir = job->plan->ir;
    g->target = target;
    g->arena = &arena;
    g->diags = diags;
    g->gpu = target->target == TARGET_NVPTX;
    gen_init(g, ctx);
    LLVMModuleRef mod = g->l.mod;
    if (setjmp(out_of_memory) == 0) {
        emit_all(g);
        if (g->refused) {
            LLVMDisposeModule(g->l.mod);
            mod = NULL;
        }
    } else {
        diag_add(diags, AX_out_of_memory, (struct span){0, 0}, "out of memory while generating code");
        LLVMDisposeModule(g->l.mod);
        mod = NULL;
    }
    LLVMDisposeBuilder(g->l.b);
    arena_fini(&arena);
    free(g);
    return mod;
}
