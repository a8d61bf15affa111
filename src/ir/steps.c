/* Steps: statements that are repeated over whole arrays. Each state lies in memory from round to round. */
#include "ir/build.h"

uint32_t ir_steps_begin(struct ir *ir, const ir_id *starts, const uint32_t *shapes, uint32_t n, struct span span)
{
    struct ir_steps steps = {.n = n, .parent = ir->stepping, .state = arena_array(ir->arena, ir_id, n + 1)};
    uint32_t number = ir->steps.n;
    struct ir_node round = {.op = OP_turn, .dtype = DT_int64, .attr = number, .span = span};
    for (uint32_t i = 0; i < n; i++) {
        struct ir_node state = {.op = OP_state, .dtype = ir_at(ir, starts[i])->dtype, .shape = shapes[i], .attr = (uint64_t)number << 32 | i, .span = span};
        steps.state[i] = ir_intern(ir, state);
    }
    steps.round = ir_intern(ir, round);
    vec_push(ir->arena, &ir->steps, steps);
    return ir->stepping = number;
}

ir_id ir_steps_end(struct ir *ir, uint32_t steps, const ir_id *starts, ir_id rounds, const ir_id *nexts, struct span span)
{
    const struct ir_steps *s = &ir->steps.at[steps];
    ir->stepping = s->parent;
    if (!nexts)
        return 0;
    ir_id first = ir_tie(ir, starts, s->n, span), last = ir_tie(ir, nexts, s->n, span);
    return ir_intern(ir, (struct ir_node){.op = OP_steps, .dtype = DT_bool, .n_args = 3, .args = {first, rounds, last}, .attr = steps, .span = span});
}

ir_id ir_stepped(struct ir *ir, ir_id steps, uint32_t state)
{
    const struct ir_node *of = ir_at(ir, ir->steps.at[ir_at(ir, steps)->attr].state[state]);
    return ir_intern(ir, (struct ir_node){.op = OP_stepped, .dtype = of->dtype, .n_args = 1, .args = {steps}, .shape = of->shape, .attr = state, .span = of->span});
}

static unsigned depth_of(const struct ir *ir, uint32_t steps)
{
    unsigned depth = 0;
    for (; steps != NO_STEPS; steps = ir->steps.at[steps].parent)
        depth++;
    return depth;
}

void ir_owners(const struct ir *ir, uint32_t *owner)
{
    for (ir_id id = 0; id < ir->nodes.n; id++) {
        const struct ir_node *n = ir_at(ir, id);
        owner[id] = n->op == OP_state ? (uint32_t)(n->attr >> 32) : n->op == OP_turn ? (uint32_t)n->attr : n->op == OP_steps ? ir->steps.at[n->attr].parent : NO_STEPS;
        for (unsigned k = 0; n->op != OP_steps && n->op != OP_count && k < n->n_args; k++)
            if (owner[n->args[k]] != owner[id] && depth_of(ir, owner[n->args[k]]) > depth_of(ir, owner[id]))
                owner[id] = owner[n->args[k]];
    }
}
