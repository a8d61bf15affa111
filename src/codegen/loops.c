/*
 * Loops of the language: all elements of a vector go round together until none goes on; those that are done keep their
 * values. Each variable is a phi in the head.
 */
#include "gen.h"

/* What one loop of the emitted code carries besides its variables. */
struct rounds {
    val active, fault, count;
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

static struct rounds enter(struct gen *g, struct body *b, const struct ir_node *n, enum level level)
{
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
    return (struct rounds){.active = ll_phi(l, ll_vec(l->i1, b->w), LLVMConstAllOnes(ll_vec(l->i1, b->w)), here),
                           .fault = ll_phi(l, LLVMTypeOf(none), fault ? fault : none, here),
                           .count = ll_phi(l, l->i32, ll_i32(l, 0), here)};
}

static void next_round(struct gen *g, struct body *b, const struct ir_node *n, const struct rounds *r, val go_on, val fault, block head)
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
    val count = ll_add(l, r->count, ll_i32(l, 1));
    block from = ll_here(l);
    for (uint32_t i = 0; i < loop->n; i++)
        ll_phi_add(body_value(g, b, loop->carry[i]), nexts[i], from);
    ll_phi_add(r->active, go_on, from);
    ll_phi_add(r->fault, fault, from);
    ll_phi_add(r->count, count, from);
    ll_br(l, head);
}

void loop_emit(struct gen *g, struct body *b, ir_id id, enum level level)
{
    struct ll *l = &g->l;
    const struct ir_node *n = ir_at(g->ir, id);
    const struct ir_loop *loop = &g->ir->loops.at[n->attr];
    struct rounds r = enter(g, b, n, level);
    block head = ll_here(l), body = ll_block(l, "loop_body"), done = ll_block(l, "loop_done");

    body_region(g, b, loop->head, level);
    val go_on = body_value(g, b, n->args[1]);
    if (b->w > 1)
        go_on = LLVMBuildAnd(l->b, r.active, go_on, "");
    val fault = prim_or_fault(g, r.fault, where_active(g, r.active, body_fault_of(g, b, n->args[1])));
    val given_up = ll_eq(l, r.count, ll_i32(l, (int32_t)g->ir->max_rounds));
    ll_cond(l, LLVMBuildAnd(l->b, prim_any(g, go_on), LLVMBuildNot(l->b, given_up, ""), ""), body, done);
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
    val endless = ll_select(l, go_on, ll_splat(l, LLVMConstInt(l->i8, FAULT_ENDLESS, 0), b->w), LLVMConstNull(LLVMTypeOf(fault)));
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
