/*
 * Which values of a kernel are the same for all threads of a block: what decides whether all of them come to a barrier.
 *
 * All are taken to be, until one is met that depends on the thread; loops are why this is asked again and again, until
 * nothing changes. What is read of memory that the kernel changes counts as different: other threads may have changed it.
 */
#include <string.h>
#include "ir/ir.h"

/* blockIdx is the place of a thread over the threads of a block, threadIdx the rest: nothing else says where one is. */
enum ir_standing ir_stands(const struct ir *ir, ir_id id, unsigned *axis)
{
    const struct ir_node *n = ir_at(ir, id), *place = ir_at(ir, n->args[0]), *count = ir_at(ir, n->args[1]);
    if (!ir->block || (n->op != OP_remainder && n->op != OP_floor_divide) || place->op != OP_place ||
        count->op != OP_count || count->args[0] != ir->block || count->attr != place->attr)
        return STANDS_NOT;
    for (*axis = 0; !(place->attr >> *axis & 1);)
        ++*axis;
    return n->op == OP_remainder ? STANDS_THREAD : STANDS_BLOCK;
}

static bool carry_uniform(const struct ir *ir, const struct ir_node *n, const ir_id *loop_node,
                          const uint8_t *uniform)
{
    uint32_t loop = (uint32_t)(n->attr >> 32), variable = (uint32_t)n->attr;
    const struct ir_node *l = ir_at(ir, loop_node[loop]);
    return loop_node[loop] && uniform[ir_tied(ir, l->args[0], variable)] &&
           uniform[ir_tied(ir, l->args[2], variable)];
}

static bool is_uniform(const struct ir *ir, ir_id id, const ir_id *loop_node, const uint8_t *uniform)
{
    const struct ir_node *n = ir_at(ir, id);
    unsigned axis;
    if (n->op == OP_place || n->op == OP_update || (n->op == OP_gather && n->attr) ||
        ir_stands(ir, id, &axis) == STANDS_THREAD)
        return false;
    if (n->op == OP_count || n->op == OP_layout || ir_stands(ir, id, &axis) == STANDS_BLOCK)
        return true;
    if (n->op == OP_carry)
        return carry_uniform(ir, n, loop_node, uniform);
    if (n->op == OP_result) /* threads that go round unequally often leave with different values */
        return uniform[n->attr] && uniform[ir_at(ir, n->args[0])->args[1]];
    for (unsigned k = 0; n->op != OP_loop && k < n->n_args; k++)
        if (!uniform[n->args[k]])
            return false;
    return true;
}

void ir_uniform(const struct ir *ir, uint8_t *uniform)
{
    ir_id *loop_node = arena_array(ir->arena, ir_id, ir->loops.n + 1);
    memset(uniform, 1, ir->nodes.n);
    for (ir_id id = 1; id < ir->nodes.n; id++)
        if (ir_at(ir, id)->op == OP_loop)
            loop_node[ir_at(ir, id)->attr] = id;
    for (bool changed = true; changed;) {
        changed = false;
        for (ir_id id = 1; id < ir->nodes.n; id++)
            if (uniform[id] && !is_uniform(ir, id, loop_node, uniform)) {
                uniform[id] = 0;
                changed = true;
            }
    }
}
