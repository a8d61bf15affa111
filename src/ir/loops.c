/* Loops: variables that a region computes again and again, element by element. */
#include "ir/build.h"

static uint32_t region_new(struct ir *ir)
{
    struct ir_region r = {.parent = ir->region};
    vec_push(ir->arena, &ir->regions, r);
    return ir->regions.n - 1;
}

uint32_t ir_loop_begin(struct ir *ir, const enum dtype *dtypes, const bool *weak, uint32_t n, uint32_t shape, struct span span)
{
    struct ir_loop loop = {.shape = shape, .n = n, .carry = arena_array(ir->arena, ir_id, n + 1)};
    uint32_t number = ir->loops.n;
    ir->region = loop.head = region_new(ir);
    loop.body = region_new(ir);
    for (uint32_t i = 0; i < n; i++) {
        struct ir_node carry = {.op = OP_carry, .dtype = (uint8_t)dtypes[i], .flags = weak[i] ? IR_WEAK : 0, .shape = shape, .attr = (uint64_t)number << 32 | i, .span = span};
        loop.carry[i] = ir_intern(ir, carry);
    }
    vec_push(ir->arena, &ir->loops, loop);
    return number;
}

void ir_loop_body(struct ir *ir, uint32_t loop)
{
    ir->region = ir->loops.at[loop].body;
}

ir_id ir_tie(struct ir *ir, const ir_id *items, uint32_t n, struct span span)
{
    ir_id chain = 0;
    for (uint32_t i = n; i-- > 0;) {
        const struct ir_node *x = ir_at(ir, items[i]);
        struct ir_node t = {.op = OP_tie, .dtype = x->dtype, .n_args = chain ? 2 : 1, .args = {items[i], chain}, .shape = x->shape, .span = span};
        if (chain)
            t.shape = ir_broadcast(ir, t.shape, ir_at(ir, chain)->shape);
        chain = ir_intern(ir, t);
    }
    return chain;
}

ir_id ir_loop_end(struct ir *ir, uint32_t loop, const ir_id *nexts, struct span span)
{
    const struct ir_loop *l = &ir->loops.at[loop];
    ir_id chain = ir_tie(ir, nexts, l->n, span);
    ir->region = ir->regions.at[l->head].parent;
    return chain;
}

ir_id ir_loop_finish(struct ir *ir, uint32_t loop, const ir_id *starts, ir_id cond, ir_id nexts, struct span span)
{
    const struct ir_loop *l = &ir->loops.at[loop];
    struct ir_node n = {.op = OP_loop, .dtype = DT_bool, .n_args = 3, .args = {ir_tie(ir, starts, l->n, span), cond, nexts}, .shape = l->shape, .attr = loop, .span = span};
    ir_id id = ir_intern(ir, n);
    ir->regions.at[l->head].owner = ir->regions.at[l->body].owner = id;
    return id;
}

ir_id ir_loop_result(struct ir *ir, ir_id loop, uint32_t variable)
{
    const struct ir_node *l = ir_at(ir, loop);
    ir_id carry = ir->loops.at[l->attr].carry[variable];
    struct ir_node n = {.op = OP_result, .dtype = ir_at(ir, carry)->dtype, .flags = ir_at(ir, carry)->flags, .n_args = 1, .args = {loop}, .shape = l->shape, .attr = carry, .span = l->span};
    return ir_intern(ir, n);
}

ir_id ir_tied(const struct ir *ir, ir_id chain, uint32_t i)
{
    while (i-- > 0)
        chain = ir_at(ir, chain)->args[1];
    return ir_at(ir, chain)->args[0];
}

uint32_t ir_looping_region(const struct ir *ir, uint32_t region)
{
    while (region && ir_at(ir, ir->regions.at[region].owner)->op == OP_rarely)
        region = ir->regions.at[region].parent;
    return region;
}
