/*
 * Loops of the language: all elements of a vector go round together until none goes on; those that are done keep their
 * values. Each variable is a phi in the head.
 */
#include <stddef.h>
#include "gen.h"

/* What one loop of the emitted code carries besides its variables. */
struct rounds {
    val active, fault;
    struct loop_clock clock;
};

static val tied_faults(struct gen *g, struct body *b, ir_id chain, uint32_t n)
{
    val fault = NULL;
    for (uint32_t i = 0; i < n; i++)
        fault = prim_or_fault(g, fault, body_fault_of(g, b, ir_tied(g->ir, chain, i)));
    return fault;
}

static val where_active(struct gen *g, val active, val fault)
{
    return fault ? ll_select(&g->l, active, fault, LLVMConstNull(LLVMTypeOf(fault))) : NULL;
}

static struct rounds enter(struct gen *g, struct body *b, ir_id id, enum level level)
{
    const struct ir_node *n = ir_at(g->ir, id);
    struct ll *l = &g->l;
    const struct ir_loop *loop = &g->ir->loops.at[n->attr];
    val *starts = arena_array(g->arena, val, loop->n), none = LLVMConstNull(ll_vec(l->i8, b->w));
    for (uint32_t i = 0; i < loop->n; i++)
        starts[i] = body_value(g, b, ir_tied(g->ir, n->args[0], i));
    val fault = tied_faults(g, b, n->args[0], loop->n);
    block here = ll_here(l), head = ll_block(l, "loop_head");
    ll_br(l, head);
    ll_at(l, head);
    for (uint32_t i = 0; i < loop->n; i++)
        body_set(b, loop->carry[i], level, ll_phi(l, LLVMTypeOf(starts[i]), starts[i], here), NULL);
    return (struct rounds){.active =
                               ll_phi(l, ll_vec(l->i1, b->w), LLVMConstAllOnes(ll_vec(l->i1, b->w)), here),
                           .fault = ll_phi(l, LLVMTypeOf(none), fault ? fault : none, here),
                           .clock = loop_clock_begin(g, b, id, here)};
}

/* How many loops a region of this loop is within, itself counted; 0: none of its regions. */
static unsigned depth_within(const struct ir *ir, uint32_t region, ir_id loop)
{
    unsigned depth = 0;
    for (ir_id last = 0; region; region = ir->regions.at[region].parent) {
        ir_id owner = ir->regions.at[region].owner;
        depth += owner != last && ir_at(ir, owner)->op == OP_loop;
        if (owner == loop)
            return depth;
        last = owner;
    }
    return 0;
}

/* How many loops stand in each other inside of this one. */
static unsigned depth_of(struct gen *g, struct body *b, ir_id loop)
{
    unsigned most = 0;
    for (uint32_t i = 0; i < b->source->order.n; i++) {
        const struct ir_node *n = ir_at(g->ir, b->source->order.at[i]);
        unsigned depth = n->op == OP_loop ? depth_within(g->ir, n->region, loop) : 0;
        most = depth > most ? depth : most;
    }
    return most;
}

/* A call that is hardly ever made and touches nothing of the code's own, so that nothing around it is computed or loaded otherwise. */
static val call_aside(struct gen *g, val function, val user)
{
    struct ll *l = &g->l;
    val call = LLVMBuildCall2(l->b, LLVMFunctionType(l->i32, &l->ptr, 1, 0), function, &user, 1, "");
    const uint64_t inaccessible_memory =
        3 << 2; /* read and written; of LLVM's kinds of memory it is the second, two bits each */
    LLVMAddCallSiteAttribute(
        call, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
        LLVMCreateEnumAttribute(l->ctx, LLVMGetEnumAttributeKindForName("memory", 6), inaccessible_memory));
    LLVMAddCallSiteAttribute(
        call, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
        LLVMCreateEnumAttribute(l->ctx, LLVMGetEnumAttributeKindForName("nounwind", 8), 0));
    return call;
}

static unsigned period_of(struct gen *g, struct body *b, ir_id loop)
{
    static const unsigned bits[] = {16, 8, 4, 0};
    unsigned depth = depth_of(g, b, loop), period = 1u << bits[depth < 3 ? depth : 3];
    return period < g->ir->max_rounds ? period : g->ir->max_rounds;
}

static val stopped_at(struct gen *g)
{
    return ll_offset(&g->l, gen_slot_ptr(g, g->slots.faults),
                     ll_i64(&g->l, offsetof(struct ir_faults, stopped)));
}

/* When to look first: at once where an end has been asked for. Loaded at the end of the block before the loop. */
static val first_limit(struct gen *g, unsigned period, block before)
{
    struct ll *l = &g->l;
    block head = ll_here(l);
    gen_slot(g, g->slots.faults); /* at hand, before the builder stands within a block */
    LLVMPositionBuilderBefore(l->b, LLVMGetBasicBlockTerminator(before));
    val stopped = LLVMBuildLoad2(l->b, l->i32, stopped_at(g), "");
    LLVMSetOrdering(stopped, LLVMAtomicOrderingMonotonic);
    val limit = ll_select(l, ll_eq(l, stopped, ll_i32(l, 0)), ll_i32(l, (int32_t)period), ll_i32(l, 0));
    ll_at(l, head);
    return limit;
}

struct loop_clock loop_clock_begin(struct gen *g, struct body *b, ir_id loop, block before)
{
    struct ll *l = &g->l;
    struct loop_clock c = {.count = ll_phi(l, l->i32, ll_i32(l, 0), before)};
    if (g->gpu)
        return c;
    c.period = period_of(g, b, loop);
    c.limit = ll_phi(l, l->i32, first_limit(g, c.period, before), before);
    return c;
}

/* The count has come to the limit: is it the last one, or is an end asked for? Else there is another limit. */
static void ask(struct gen *g, struct loop_clock *c, block on)
{
    struct ll *l = &g->l;
    val most = ll_i32(l, (int32_t)g->ir->max_rounds), faults = gen_slot_ptr(g, g->slots.faults);
    val next = ll_add(l, c->count, ll_i32(l, (int32_t)c->period));
    c->next = ll_select(l, LLVMBuildICmp(l->b, LLVMIntULT, next, most, ""), next, most);
    c->given_up = ll_eq(l, c->count, most);
    val function =
        LLVMBuildLoad2(l->b, l->ptr, ll_offset(l, faults, ll_i64(l, offsetof(struct ir_faults, asked))), "");
    block due = ll_here(l), asked = ll_block(l, "ask"), told = ll_block(l, "told");
    ll_cond(l, LLVMBuildIsNull(l->b, function, ""), told, asked);
    ll_at(l, asked);
    val user =
        LLVMBuildLoad2(l->b, l->ptr, ll_offset(l, faults, ll_i64(l, offsetof(struct ir_faults, user))), "");
    val stop = LLVMBuildIsNotNull(l->b, call_aside(g, function, user), "");
    struct branch stops = gen_if(g, stop);
    LLVMSetOrdering(LLVMBuildStore(l->b, ll_i32(l, 1), stopped_at(g)), LLVMAtomicOrderingMonotonic);
    gen_if_end(g, &stops);
    block answered = ll_here(l);
    ll_br(l, told);
    ll_at(l, told);
    c->ends = ll_phi(l, l->i1, LLVMConstInt(l->i1, 0, 0), due);
    ll_phi_add(c->ends, stop, answered);
    c->ends = LLVMBuildOr(l->b, c->ends, c->given_up, "");
    ll_br(l, on);
}

void loop_clock_look(struct gen *g, struct loop_clock *c)
{
    struct ll *l = &g->l;
    if (g->gpu) {
        c->ends = c->given_up = ll_eq(l, c->count, ll_i32(l, (int32_t)g->ir->max_rounds));
        return;
    }
    val no = LLVMConstInt(l->i1, 0, 0);
    block here = ll_here(l), due = ll_block(l, "due"), on = ll_block(l, "on");
    ll_cond_rarely(l, ll_eq(l, c->count, c->limit), due, on);
    ll_at(l, due);
    ask(g, c, on);
    block told = ll_here(l);
    ll_at(l, on);
    val *const after[] = {&c->ends, &c->given_up, &c->next}, usual[] = {no, no, c->limit};
    for (unsigned i = 0; i < 3; i++) {
        val rare = *after[i];
        *after[i] = ll_phi(l, LLVMTypeOf(rare), usual[i], here);
        ll_phi_add(*after[i], rare, told);
    }
}

void loop_clock_turn(struct gen *g, const struct loop_clock *c)
{
    struct ll *l = &g->l;
    val count = ll_add(l, c->count, ll_i32(l, 1));
    ll_phi_add(c->count, count, ll_here(l));
    if (c->limit)
        ll_phi_add(c->limit, c->next, ll_here(l));
}

static void next_round(struct gen *g, struct body *b, const struct ir_node *n, const struct rounds *r,
                       val go_on, val fault, block head)
{
    struct ll *l = &g->l;
    const struct ir_loop *loop = &g->ir->loops.at[n->attr];
    val *nexts = arena_array(g->arena, val, loop->n);
    for (uint32_t i = 0; i < loop->n; i++) {
        nexts[i] = body_value(g, b, ir_tied(g->ir, n->args[2], i));
        if (b->w > 1)
            nexts[i] = ll_select(l, go_on, nexts[i], body_value(g, b, loop->carry[i]));
    }
    val raised = tied_faults(g, b, n->args[2], loop->n);
    fault = prim_or_fault(g, fault, b->w > 1 ? where_active(g, go_on, raised) : raised);
    loop_clock_turn(g, &r->clock);
    block from = ll_here(l);
    for (uint32_t i = 0; i < loop->n; i++)
        ll_phi_add(body_value(g, b, loop->carry[i]), nexts[i], from);
    ll_phi_add(r->active, go_on, from);
    ll_phi_add(r->fault, fault, from);
    ll_br(l, head);
}

void loop_emit(struct gen *g, struct body *b, ir_id id, enum level level)
{
    struct ll *l = &g->l;
    const struct ir_node *n = ir_at(g->ir, id);
    const struct ir_loop *loop = &g->ir->loops.at[n->attr];
    struct rounds r = enter(g, b, id, level);
    block head = ll_here(l), body = ll_block(l, "loop_body"), done = ll_block(l, "loop_done");

    body_region(g, b, loop->head, level);
    val go_on = body_value(g, b, n->args[1]);
    if (b->w > 1)
        go_on = LLVMBuildAnd(l->b, r.active, go_on, "");
    val fault = prim_or_fault(g, r.fault, where_active(g, r.active, body_fault_of(g, b, n->args[1])));
    loop_clock_look(g, &r.clock);
    val given_up = r.clock.given_up;
    ll_cond(l, LLVMBuildAnd(l->b, prim_any(g, go_on), LLVMBuildNot(l->b, r.clock.ends, ""), ""), body, done);
    ll_at(l, body);
    val cond = body_value(g, b, n->args[1]), cond_fault = body_fault_of(g, b, n->args[1]);
    bool own = ir_region_around(g->ir, loop->head, ir_at(g->ir, n->args[1])->region);
    if (own && b->w == 1) /* a single element is here because it holds */
        body_set(b, n->args[1], level, LLVMConstInt(l->i1, 1, 0), NULL);
    body_region(g, b, loop->body, level);
    next_round(g, b, n, &r, go_on, fault, head);
    if (own)
        body_set(b, n->args[1], level, cond, cond_fault);

    ll_at(l, done); /* reached from the last block of the head: what it computed is at hand */
    val endless = ll_select(l, go_on, ll_splat(l, LLVMConstInt(l->i8, FAULT_ENDLESS, 0), b->w),
                            LLVMConstNull(LLVMTypeOf(fault)));
    fault = prim_or_fault(g, fault, ll_select(l, given_up, endless, LLVMConstNull(LLVMTypeOf(fault))));
    if (n->flags & IR_EFFECT)
        gen_raise(g, LLVMBuildAnd(l->b, fault, ll_splat(l, LLVMConstInt(l->i8, FAULT_ENDLESS, 0), b->w), ""));
    body_set(b, id, level, LLVMGetPoison(ll_vec(l->i1, b->w)), fault);
}

/* Variables change through the whole loop, and what is computed from them with them: all of it at the loop's level. */
void loop_raise_levels(struct gen *g, struct body *b, ir_id id)
{
    const struct ir_loop *loop = &g->ir->loops.at[ir_at(g->ir, id)->attr];
    for (uint32_t i = 0; i < b->source->order.n; i++) {
        ir_id in = b->source->order.at[i];
        if (b->level[in] > b->level[id] && ir_region_around(g->ir, loop->head, ir_at(g->ir, in)->region))
            b->level[id] = b->level[in];
    }
    for (uint32_t i = 0; i < loop->n; i++)
        b->level[loop->carry[i]] = b->level[id];
    for (uint32_t i = 0; i < b->source->order.n; i++) {
        ir_id in = b->source->order.at[i];
        if (ir_at(g->ir, in)->op != OP_const && ir_region_around(g->ir, loop->head, ir_at(g->ir, in)->region))
            b->level[in] = b->level[id];
    }
}
