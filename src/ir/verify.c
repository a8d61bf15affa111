/* What must hold of an IR before a schedule is made from it. Says so of live nodes only: the others are never looked at. */
#include "ir/build.h"

static const char *fault(const struct ir *ir, ir_id id, const char *what)
{
    return arena_printf(ir->arena, "node %u (%s) %s", id,
                        ir_at(ir, id)->op < OP_COUNT ? op_table[ir_at(ir, id)->op].name : "?", what);
}

static unsigned arity(const struct ir_node *n)
{
    switch (n->op) {
    case OP_input:
    case OP_const:
    case OP_place:
    case OP_carry:
    case OP_state:
    case OP_turn:
        return 0;
    case OP_tie:
    case OP_memory:
        return n->n_args == 1 ? 1 : 2;
    case OP_rarely:
        return 3;
    case OP_count:
        return 1;
    default:
        return op_table[n->op].arity;
    }
}

/* What the tables are asked with: nothing may be read by an index that is none. */
static const char *check_numbers(const struct ir *ir, ir_id id)
{
    const struct ir_node *n = ir_at(ir, id);
    if (n->op == OP_none || n->op >= OP_COUNT)
        return fault(ir, id, "is no operation");
    enum op_kind kind = op_table[n->op].kind;
    if (kind != OPK_ELEM && kind != OPK_REDUCE && kind != OPK_SCAN && kind != OPK_INTERNAL && n->op != OP_rarely &&
        n->op != OP_count)
        return fault(ir, id, "is no operation of the IR");
    if (n->dtype == DT_none || n->dtype >= DT_COUNT)
        return fault(ir, id, "has no type");
    if (n->shape >= ir->shapes.n)
        return fault(ir, id, "has no shape");
    if (n->region >= ir->regions.n || (n->op == OP_rarely && (n->attr == 0 || n->attr >= ir->regions.n)))
        return fault(ir, id, "is of a region that is not there");
    if (n->op == OP_loop && n->attr >= ir->loops.n)
        return fault(ir, id, "is no loop");
    if (n->n_args != arity(n))
        return fault(ir, id, "has too few or too many arguments");
    return NULL;
}

/* The region whose values argument k may be: that of the node, or one that it owns. */
static uint32_t seen_from(const struct ir *ir, const struct ir_node *n, unsigned k)
{
    if (n->op == OP_rarely && k == 1)
        return (uint32_t)n->attr;
    if (n->op == OP_loop && k > 0)
        return k == 1 ? ir->loops.at[n->attr].head : ir->loops.at[n->attr].body;
    return n->region;
}

static const char *check_args(const struct ir *ir, ir_id id)
{
    const struct ir_node *n = ir_at(ir, id);
    for (unsigned k = 0; k < n->n_args; k++) {
        if (n->args[k] == 0 || n->args[k] >= id)
            return fault(ir, id, arena_printf(ir->arena, "uses %u before it is made", n->args[k]));
        uint32_t region = seen_from(ir, n, k);
        if (n->op != OP_count && !ir_region_around(ir, ir_at(ir, n->args[k])->region, region))
            return fault(ir, id, arena_printf(ir->arena, "uses %u of a region it cannot see", n->args[k]));
    }
    return NULL;
}

/* The arguments from `first` on have one type, `t`. */
static bool args_are(const struct ir *ir, const struct ir_node *n, unsigned first, enum dtype t)
{
    for (unsigned k = first; k < n->n_args; k++)
        if (ir_at(ir, n->args[k])->dtype != t)
            return false;
    return true;
}

static const char *check_elem(const struct ir *ir, ir_id id)
{
    const struct ir_node *n = ir_at(ir, id);
    enum type_rule rule = op_table[n->op].rule;
    enum prim prim = ir_prim(ir, id);
    enum dtype arg = ir_arg_dtype(ir, id);
    bool gives_bool = rule == RULE_COMPARE || rule == RULE_LOGIC || rule == RULE_TEST;
    if (prim == PRIM_none || prim == PRIM_math)
        return fault(ir, id, "is not a primitive of its arguments");
    if (!args_are(ir, n, n->op == OP_where, arg) ||
        (n->op == OP_where && ir_at(ir, n->args[0])->dtype != DT_bool))
        return fault(ir, id, "has arguments of different types");
    if (n->dtype != (gives_bool ? DT_bool : arg))
        return fault(ir, id, "has not the type of its arguments");
    return NULL;
}

static const char *check_input(const struct ir *ir, ir_id id)
{
    const struct ir_node *n = ir_at(ir, id);
    if (n->attr >= ir->inputs.n)
        return fault(ir, id, "is no input");
    const struct ir_input *in = &ir->inputs.at[n->attr];
    return in->node != id || in->dtype != n->dtype || in->shape != n->shape
               ? fault(ir, id, "differs from what the input is declared")
               : NULL;
}

static const char *check_view(const struct ir *ir, ir_id id)
{
    const struct ir_node *n = ir_at(ir, id), *of = ir_at(ir, n->args[0]);
    if (n->attr >= ir->views.n || ir->views.at[n->attr].n == 0)
        return fault(ir, id, "is no view");
    if (of->op != OP_input && of->op != OP_place && !op_is_kept((enum op)of->op) && !(of->op == OP_memory && of->n_args == 2))
        return fault(ir, id, "looks at what is not in memory");
    bool part = ir->views.at[n->attr].steps[0].kind == STEP_PART;
    return n->dtype != (part ? type_part((enum dtype)of->dtype) : of->dtype) ? fault(ir, id, "has not the type of what it looks at") : NULL;
}

/* Complex values are read and written part by part: no other node has one for an argument. */
static const char *check_complex(const struct ir *ir, ir_id id)
{
    const struct ir_node *n = ir_at(ir, id);
    if (type_is_complex((enum dtype)n->dtype) && !ir_is_of_parts(ir, id) && n->op != OP_input)
        return fault(ir, id, "is complex");
    for (unsigned k = 0; k < n->n_args; k++)
        if (type_is_complex((enum dtype)ir_at(ir, n->args[k])->dtype) && n->op != OP_count && n->op != OP_layout &&
            !(n->op == OP_view && ir->views.at[n->attr].n && ir->views.at[n->attr].steps[0].kind == STEP_PART))
            return fault(ir, id, "computes with a complex value as a whole");
    if (ir_is_of_parts(ir, id) && (!args_are(ir, n, 0, type_part((enum dtype)n->dtype)) || !type_is_complex((enum dtype)n->dtype)))
        return fault(ir, id, "is no complex value of two parts");
    return NULL;
}

static const char *check_reduce(const struct ir *ir, ir_id id)
{
    const struct ir_node *n = ir_at(ir, id), *of = ir_at(ir, n->args[0]);
    unsigned rank = ir->shapes.at[of->shape].rank, kept = 0;
    if (n->attr & ~(uint64_t)(IR_AXES_MASK | IR_KEEPDIMS) || (n->attr & IR_AXES_MASK) >> rank)
        return fault(ir, id, "is over axes that are not there");
    if (n->op == OP_count)
        return n->dtype != DT_int64 ? fault(ir, id, "is not int64") : NULL;
    for (unsigned a = 0; a < rank; a++)
        kept += (n->attr & IR_KEEPDIMS) || !(n->attr >> a & 1);
    if (ir->shapes.at[n->shape].rank != kept)
        return fault(ir, id, "has not the axes that are kept");
    return of->dtype != n->dtype ? fault(ir, id, "has not the type of its argument") : NULL;
}

static const char *check_scan(const struct ir *ir, ir_id id)
{
    const struct ir_node *n = ir_at(ir, id), *of = ir_at(ir, n->args[0]);
    unsigned rank = ir->shapes.at[of->shape].rank;
    if (n->attr == 0 || n->attr & (n->attr - 1) || n->attr >> rank)
        return fault(ir, id, "is not over one axis that is there");
    return of->dtype != n->dtype || of->shape != n->shape ? fault(ir, id, "has not the type and shape of its argument") : NULL;
}

static const char *check_rarely(const struct ir *ir, ir_id id)
{
    const struct ir_node *n = ir_at(ir, id);
    if (ir_at(ir, n->args[0])->dtype != DT_bool || !args_are(ir, n, 1, n->dtype))
        return fault(ir, id, "has arguments of different types");
    return ir->regions.at[n->attr].owner != id || ir->regions.at[n->attr].parent != n->region
               ? fault(ir, id, "does not own its region")
               : NULL;
}

static bool in_memory(const struct ir_node *n)
{
    return n->op == OP_input || n->op == OP_memory || n->op == OP_shared || n->op == OP_place || n->op == OP_view || op_is_kept((enum op)n->op);
}

static const char *check_layout(const struct ir *ir, ir_id id)
{
    const struct ir_node *n = ir_at(ir, id), *of = ir_at(ir, n->args[0]);
    if (!in_memory(of) || n->dtype != DT_int64)
        return fault(ir, id, "is of what is not in memory");
    return n->attr >= LAYOUT_STRIDE + (uint64_t)ir->shapes.at[of->shape].rank ? fault(ir, id, "is of an axis that is not there") : NULL;
}

/* An input, or the two parts of one. */
static bool is_changeable(const struct ir *ir, const struct ir_node *memory)
{
    const struct ir_node *of = ir_at(ir, memory->args[0]);
    if (memory->n_args == 2)
        return of->op == OP_view && ir_at(ir, of->args[0])->op == OP_input && ir_at(ir, of->args[0])->dtype == memory->dtype && of->shape == memory->shape;
    return of->op == OP_input && of->dtype == memory->dtype && of->shape == memory->shape;
}

static const char *check_update(const struct ir *ir, ir_id id)
{
    const struct ir_node *n = ir_at(ir, id), *address = ir_at(ir, n->args[0]), *tied = ir_at(ir, n->args[1]);
    unsigned items = (n->attr & 0xff) == UPDATE_CAS ? 4 : 3;
    if (address->op != OP_layout || address->attr != LAYOUT_ADDRESS || !ir_is_changed(ir, address->args[0]))
        return fault(ir, id, "changes what is not a kernel's");
    for (unsigned i = 0; i < items; i++, tied = ir_at(ir, tied->args[1])) {
        enum dtype want = i == 0 ? DT_int64 : i == 2 ? DT_bool : (enum dtype)n->dtype;
        if (tied->op != OP_tie || tied->dtype != want || tied->n_args != (i + 1 == items ? 1 : 2))
            return fault(ir, id, "has not an offset, a value and a mask");
    }
    return n->shape != ir->launch ? fault(ir, id, "is not done by every thread") : NULL;
}

/* Extents are constants, all of them at least 1. */
static const char *check_shared(const struct ir *ir, ir_id id)
{
    const struct ir_shape *s = &ir->shapes.at[ir_at(ir, id)->shape];
    for (unsigned d = 0; d < s->rank; d++)
        if (s->dim[d] && (ir->dims.at[s->dim[d]].kind != DIM_CONST || ir->dims.at[s->dim[d]].extent < 1))
            return fault(ir, id, "has an extent that is not known");
    return s->rank == 0 || ir_at(ir, id)->region != 0 ? fault(ir, id, "is no array of a whole block") : NULL;
}

/* Starts and nexts have the types of the variables, one each. */
static const char *check_loop(const struct ir *ir, ir_id id)
{
    const struct ir_node *n = ir_at(ir, id);
    const struct ir_loop *l = &ir->loops.at[n->attr];
    ir_id starts = n->args[0], nexts = n->args[2];
    if (ir_at(ir, n->args[1])->dtype != DT_bool)
        return fault(ir, id, "has no bool for a condition");
    if (ir->regions.at[l->head].owner != id || ir->regions.at[l->body].owner != id || ir->regions.at[l->head].parent != n->region ||
        ir->regions.at[l->body].parent != l->head)
        return fault(ir, id, "does not own its regions");
    for (uint32_t i = 0; i < l->n; i++) {
        const struct ir_node *start = ir_at(ir, starts), *next = ir_at(ir, nexts);
        bool last = i + 1 == l->n;
        if (start->op != OP_tie || next->op != OP_tie || start->n_args != (last ? 1 : 2) || next->n_args != (last ? 1 : 2))
            return fault(ir, id, "has not one start and one next for each variable");
        if (start->dtype != ir_at(ir, l->carry[i])->dtype || next->dtype != start->dtype)
            return fault(ir, id, "changes the type of a variable");
        starts = start->args[1];
        nexts = next->args[1];
    }
    return NULL;
}

static const char *check_carry(const struct ir *ir, ir_id id)
{
    const struct ir_node *n = ir_at(ir, id);
    uint64_t loop = n->attr >> 32, i = n->attr & UINT32_MAX;
    return loop >= ir->loops.n || i >= ir->loops.at[loop].n || ir->loops.at[loop].carry[i] != id || n->shape != ir->loops.at[loop].shape
               ? fault(ir, id, "is no variable of a loop")
               : NULL;
}

static const char *check_result(const struct ir *ir, ir_id id)
{
    const struct ir_node *n = ir_at(ir, id), *l = ir_at(ir, n->args[0]);
    if (l->op != OP_loop || n->attr >= ir->nodes.n || ir_at(ir, (ir_id)n->attr)->op != OP_carry || ir_at(ir, (ir_id)n->attr)->attr >> 32 != l->attr)
        return fault(ir, id, "is no result of a loop");
    return ir_at(ir, (ir_id)n->attr)->dtype != n->dtype ? fault(ir, id, "has not the type of the loop's variable") : NULL;
}

/* The part and its value have as many axes, or the value fewer; and the type of the whole. */
static const char *check_replace(const struct ir *ir, ir_id id)
{
    const struct ir_node *n = ir_at(ir, id), *whole = ir_at(ir, n->args[0]), *value = ir_at(ir, n->args[1]);
    if ((uint32_t)n->attr >= ir->views.n || n->attr >> 32 >= ir->shapes.n)
        return fault(ir, id, "replaces no part");
    if (whole->dtype != n->dtype || value->dtype != n->dtype || whole->shape != n->shape)
        return fault(ir, id, "has not the type and shape of what it replaces a part of");
    return ir->shapes.at[value->shape].rank > ir->shapes.at[n->attr >> 32].rank ? fault(ir, id, "replaces a part by what has more axes") : NULL;
}

static const char *check_steps(const struct ir *ir, ir_id id)
{
    const struct ir_node *n = ir_at(ir, id), *rounds = ir_at(ir, n->args[1]);
    ir_id starts = n->args[0], nexts = n->args[2];
    if (n->attr >= ir->steps.n || n->region != 0)
        return fault(ir, id, "are no steps of a program");
    if (rounds->dtype != DT_int64 || ir->shapes.at[rounds->shape].rank != 0)
        return fault(ir, id, "have no number of rounds");
    const struct ir_steps *s = &ir->steps.at[n->attr];
    for (uint32_t i = 0; i < s->n; i++) {
        const struct ir_node *start = ir_at(ir, starts), *next = ir_at(ir, nexts), *state = ir_at(ir, s->state[i]);
        bool last = i + 1 == s->n;
        if (start->op != OP_tie || next->op != OP_tie || start->n_args != (last ? 1 : 2) || next->n_args != (last ? 1 : 2))
            return fault(ir, id, "have not one start and one next for each state");
        if (start->dtype != state->dtype || next->dtype != state->dtype)
            return fault(ir, id, "change the type of a state");
        if (ir->shapes.at[ir_at(ir, start->args[0])->shape].rank > ir->shapes.at[state->shape].rank ||
            ir->shapes.at[ir_at(ir, next->args[0])->shape].rank > ir->shapes.at[state->shape].rank)
            return fault(ir, id, "change the axes of a state");
        starts = start->args[1];
        nexts = next->args[1];
    }
    return NULL;
}

static const char *check_table(const struct ir *ir, ir_id id)
{
    const struct ir_node *n = ir_at(ir, id);
    if (n->attr >= TABLE_COUNT * TABLE_COLUMNS || n->dtype != table_table[ir_table_of(n)].dtype)
        return fault(ir, id, "is of no table");
    return ir_at(ir, n->args[0])->dtype != type_bits((enum dtype)n->dtype) ? fault(ir, id, "has no index of its numbers' width") : NULL;
}

static const char *check_kind(const struct ir *ir, ir_id id)
{
    const struct ir_node *n = ir_at(ir, id), *of = ir_at(ir, n->args[0]);
    if (op_table[n->op].kind == OPK_ELEM)
        return check_elem(ir, id);
    if (op_table[n->op].kind == OPK_REDUCE || n->op == OP_count)
        return check_reduce(ir, id);
    if (op_table[n->op].kind == OPK_SCAN)
        return check_scan(ir, id);
    if (n->op == OP_input)
        return check_input(ir, id);
    if (n->op == OP_view)
        return check_view(ir, id);
    if (n->op == OP_place)
        return n->dtype != DT_int64 || n->attr >> ir->shapes.at[n->shape].rank
                   ? fault(ir, id, "is no place along its axes")
                   : NULL;
    if (n->op == OP_rarely)
        return check_rarely(ir, id);
    if (n->op == OP_memory && !is_changeable(ir, n))
        return fault(ir, id, "is no input");
    if (n->op == OP_update)
        return check_update(ir, id);
    if (n->op == OP_layout)
        return check_layout(ir, id);
    if (n->op == OP_shared)
        return check_shared(ir, id);
    if (n->op == OP_barrier && (of->dtype != DT_bool || n->shape != ir->launch))
        return fault(ir, id, "is not met by every thread");
    if (n->op == OP_within || n->op == OP_gather)
        return n->op == OP_within && n->dtype != DT_int64 ? fault(ir, id, "is no index")
               : !args_are(ir, n, 0, DT_int64)            ? fault(ir, id, "is not found by integers")
                                                          : NULL;
    if (n->op == OP_loop)
        return check_loop(ir, id);
    if (n->op == OP_carry)
        return check_carry(ir, id);
    if (n->op == OP_result)
        return check_result(ir, id);
    if (n->op == OP_replace)
        return check_replace(ir, id);
    if (n->op == OP_steps)
        return check_steps(ir, id);
    if (n->op == OP_state && (n->attr >> 32 >= ir->steps.n || (uint32_t)n->attr >= ir->steps.at[n->attr >> 32].n || ir->steps.at[n->attr >> 32].state[(uint32_t)n->attr] != id))
        return fault(ir, id, "is no state of steps");
    if (n->op == OP_turn && (n->attr >= ir->steps.n || ir->steps.at[n->attr].round != id))
        return fault(ir, id, "is no round of steps");
    if (n->op == OP_stepped && (of->op != OP_steps || n->attr >= ir->steps.at[of->attr].n || n->dtype != ir_at(ir, ir->steps.at[of->attr].state[n->attr])->dtype))
        return fault(ir, id, "is no result of steps");
    if (n->op == OP_table)
        return check_table(ir, id);
    if (n->op == OP_bitcast && type_table[n->dtype].size != type_table[ir_at(ir, n->args[0])->dtype].size)
        return fault(ir, id, "changes the size of an element");
    return NULL;
}

/* The axes of an elementwise result: those of its arguments, each stretched over the others. */
static const char *check_shape(const struct ir *ir, ir_id id)
{
    const struct ir_node *n = ir_at(ir, id);
    unsigned widest = 0, rank = ir->shapes.at[n->shape].rank;
    if (op_table[n->op].kind != OPK_ELEM && n->op != OP_cast && n->op != OP_bitcast && n->op != OP_table && n->op != OP_rarely)
        return NULL;
    for (unsigned k = 0; k < n->n_args; k++) {
        unsigned r = ir->shapes.at[ir_at(ir, n->args[k])->shape].rank;
        widest = r > widest ? r : widest;
    }
    return rank != widest ? fault(ir, id, "has not the axes of its arguments") : NULL;
}

static const char *check_node(const struct ir *ir, ir_id id)
{
    const char *f = check_numbers(ir, id);
    f = f ? f : check_args(ir, id);
    f = f ? f : check_kind(ir, id);
    f = f ? f : check_complex(ir, id);
    return f ? f : check_shape(ir, id);
}

static const char *check_shapes(const struct ir *ir)
{
    for (uint32_t i = 0; i < ir->shapes.n; i++) {
        if (ir->shapes.at[i].rank > IR_MAX_RANK)
            return arena_printf(ir->arena, "shape %u has too many axes", i);
        for (unsigned d = 0; d < ir->shapes.at[i].rank; d++)
            if (ir->shapes.at[i].dim[d] >= ir->dims.n)
                return arena_printf(ir->arena, "shape %u has a dim that is not there", i);
    }
    return NULL;
}

/* ir_live follows arguments, so they are looked at first, live or not. */
static const char *check_all_args(const struct ir *ir)
{
    for (ir_id id = 1; id < ir->nodes.n; id++) {
        const struct ir_node *n = ir_at(ir, id);
        for (unsigned k = 0; k < n->n_args; k++)
            if (n->n_args > 3 || n->args[k] >= id)
                return fault(ir, id, "uses what is not made before it");
    }
    return NULL;
}

const char *ir_verify(const struct ir *ir)
{
    const char *found = check_all_args(ir);
    found = found ? found : check_shapes(ir);
    for (uint32_t i = 0; !found && i < ir->outputs.n; i++)
        if (ir->outputs.at[i].node == 0 || ir->outputs.at[i].node >= ir->nodes.n)
            return "an output is poison";
    if (found)
        return found;
    uint8_t *live = arena_array(ir->arena, uint8_t, ir->nodes.n + 1);
    ir_live(ir, live);
    for (ir_id id = 1; !found && id < ir->nodes.n; id++)
        found = live[id] ? check_node(ir, id) : NULL;
    return found;
}
