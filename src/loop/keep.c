/*
 * What is worth keeping of a row while nests take it in turns (struct loop_rows): an array that the first one loads and a later one loads again, and a
 * costly value that one reduces and a later one computes again, the exponentials of softmax. The second takes the place of the first where nobody
 * needs that any more. Whether there is memory for it is for the executor to say.
 */
#include "loop/loop.h"

static bool is_given(const ir_id *given, unsigned n, ir_id id)
{
    for (unsigned i = 0; i < n; i++)
        if (given[i] == id)
            return true;
    return false;
}

static void need_arguments(const struct ir *ir, ir_id id, uint8_t *needed)
{
    const struct ir_node *n = ir_at(ir, id);
    for (unsigned k = 0; k < n->n_args; k++)
        needed[n->args[k]] = 1;
    if (n->op == OP_result)
        needed[n->attr] = 1;
}

/* Nodes come before those that need them. Those of an inner region are all needed where its owner is computed. */
void loop_needed(const struct ir *ir, const struct loop_nest *nest, const ir_id *given, unsigned n,
                 uint8_t *needed)
{
    for (uint32_t i = 0; i < nest->main.stores.n; i++)
        needed[nest->main.stores.at[i].value] = 1;
    for (uint32_t r = 0; r < nest->reduces.n; r++)
        needed[nest->reduces.at[r].operand] = 1;
    for (uint32_t i = nest->main.order.n; i-- > 0;) {
        ir_id id = nest->main.order.at[i];
        ir_id owner = ir->regions.at[ir_at(ir, id)->region].owner;
        needed[id] |= owner && needed[owner] && !is_given(given, n, owner);
        if (needed[id] && !is_given(given, n, id))
            need_arguments(ir, id, needed);
    }
}

static bool computes(const struct loop_body *b, ir_id id)
{
    for (uint32_t i = 0; i < b->order.n; i++)
        if (b->order.at[i] == id)
            return true;
    return false;
}

/* Operations that both do, up to the value. */
static uint32_t done_twice(const struct loop_body *a, const struct loop_body *b, ir_id value)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < a->order.n; i++)
        n += a->order.at[i] <= value && computes(b, a->order.at[i]);
    return n;
}

static bool is_costly(const struct loop_plan *plan, ir_id value, const struct loop_nest *from,
                      const struct loop_nest *to)
{
    const struct ir_node *n = ir_at(plan->ir, value);
    return to->kind == NEST_MAP && n->region == 0 && type_table[n->dtype].cls == CLASS_FLOAT &&
           computes(&to->main, value) && done_twice(&from->main, &to->main, value) >= LOOP_COSTLY;
}

static struct loop_kept find_costly(const struct loop_plan *plan, const struct loop_rows *rows)
{
    uint32_t end = rows->first + rows->n;
    for (uint32_t i = rows->first; i < end; i++)
        for (uint32_t r = 0; r < plan->nests.at[i].reduces.n; r++)
            for (uint32_t k = i + 1; k < end; k++) {
                ir_id value = plan->nests.at[i].reduces.at[r].operand;
                if (is_costly(plan, value, &plan->nests.at[i], &plan->nests.at[k]))
                    return (struct loop_kept){
                        .value = value, .writer = i, .dtype = ir_at(plan->ir, value)->dtype};
            }
    return (struct loop_kept){0};
}

static bool loads(const struct loop_body *b, ir_id value)
{
    for (uint32_t i = 0; i < b->loads.n; i++)
        if (b->loads.at[i].value == value && !b->loads.at[i].view)
            return true;
    return false;
}

/* An element for every one of the row, not one for all of it. */
static bool is_whole(const struct loop_access *a, const struct loop_nest *nest)
{
    bool whole =
        (a->source == SOURCE_ARGUMENT || a->source == SOURCE_BUFFER) && !a->view && !a->scalar && !a->layout;
    for (unsigned d = 0; d < nest->rank; d++)
        whole = whole && a->axis[d] >= 0;
    return whole;
}

static struct loop_kept find_loaded(const struct loop_plan *plan, const struct loop_rows *rows)
{
    const struct loop_nest *first = &plan->nests.at[rows->first];
    for (uint32_t i = 0; i < first->main.loads.n; i++)
        for (uint32_t k = 1; k < rows->n; k++) {
            const struct loop_access *a = &first->main.loads.at[i];
            if (is_whole(a, first) && loads(&plan->nests.at[rows->first + k].main, a->value))
                return (struct loop_kept){.value = a->value, .writer = rows->first, .dtype = a->dtype};
        }
    return (struct loop_kept){0};
}

bool loop_needed_after(struct arena *arena, const struct loop_plan *plan, const struct loop_rows *rows,
                       const struct loop_kept *kept, ir_id id)
{
    bool needed = false;
    for (uint32_t k = kept->writer + 1; k < rows->first + rows->n; k++) {
        uint8_t *by_nest = arena_array(arena, uint8_t, plan->ir->nodes.n);
        loop_needed(plan->ir, &plan->nests.at[k], &kept->value, 1, by_nest);
        needed |= by_nest[id];
    }
    return needed;
}

void loop_find_kept(struct arena *arena, const struct loop_plan *plan, struct loop_rows *rows)
{
    struct loop_kept loaded = find_loaded(plan, rows), costly = find_costly(plan, rows);
    bool both = loaded.value && costly.value && loaded.dtype == costly.dtype &&
                !loop_needed_after(arena, plan, rows, &costly, loaded.value);
    if (loaded.value && (both || !costly.value))
        rows->kept[rows->n_kept++] = loaded;
    if (costly.value)
        rows->kept[rows->n_kept++] = costly;
}
