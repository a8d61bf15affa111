/*
 * Memory of parts and of steps.
 *
 * An array of which a part is replaced is made of two nests, one that lays down the whole and one that stores the part over it. Where nothing
 * reads the old array afterwards, and the part's nest reads nothing of it that it changes under another's eyes, the new array lies in the
 * memory of the old one, and the first nest goes. Steps that replace a part of a state and read around it (Jacobi) have two memories that change
 * hands after each round; outside the parts both are the same from the first round on (once.c).
 */
#include <string.h>
#include "ir/build.h"
#include "loop/loop.h"

uint32_t loop_steps_of(const struct loop_plan *plan, uint32_t nest)
{
    uint32_t found = NO_STEPS; /* outer ones come first */
    for (uint32_t i = 0; i < plan->steps.n; i++)
        if (plan->steps.at[i].first <= nest && nest - plan->steps.at[i].first < plan->steps.at[i].n)
            found = i;
    return found;
}

uint32_t loop_memory_of(const struct loop_plan *plan, uint32_t buffer)
{
    while (plan->buffers.at[buffer].in != buffer)
        buffer = plan->buffers.at[buffer].in;
    return buffer;
}

uint32_t loop_temporaries(const struct loop_plan *plan)
{
    uint32_t n = 0;
    for (uint32_t b = 0; b < plan->buffers.n; b++)
        n += plan->buffers.at[b].role == BUFFER_TEMPORARY && plan->buffers.at[b].in == b && plan->ir->shapes.at[plan->buffers.at[b].shape].rank > 0;
    return n;
}

/* ---- in place ---- */

static bool is_from_front(const struct ir_slice *s)
{
    return s->step > 0 && (!(s->flags & SLICE_HAS_START) || s->start >= 0);
}

/* Elements of a slice all lie before those counted from the end that it leaves out, whatever the extent. */
static bool misses(const struct ir_slice *s, int64_t index)
{
    if (index >= 0)
        return is_from_front(s) && (s->flags & SLICE_HAS_START) && s->start > index;
    return s->step > 0 && (s->flags & SLICE_HAS_STOP) && s->stop < 0 && s->stop <= index;
}

static bool steps_apart(const struct ir_step *a, const struct ir_step *b)
{
    if (a->axis != b->axis)
        return false;
    if (a->kind == STEP_INDEX && b->kind == STEP_INDEX)
        return (a->index < 0) == (b->index < 0) && a->index != b->index;
    if (a->kind == STEP_INDEX && b->kind == STEP_SLICE)
        return misses(&b->slice, a->index);
    if (a->kind == STEP_SLICE && b->kind == STEP_INDEX)
        return misses(&a->slice, b->index);
    return false;
}

/* Have two views of one array no element together, whatever its extents? Told from steps that come before any that renames axes. */
static bool views_apart(const struct ir_view *a, const struct ir_view *b)
{
    for (uint32_t i = 0; i < a->n && (a->steps[i].kind == STEP_SLICE || a->steps[i].kind == STEP_INDEX); i++) {
        for (uint32_t k = 0; k < b->n && (b->steps[k].kind == STEP_SLICE || b->steps[k].kind == STEP_INDEX); k++) {
            if (steps_apart(&a->steps[i], &b->steps[k]))
                return true;
            if (b->steps[k].kind == STEP_INDEX)
                break;
        }
        if (a->steps[i].kind == STEP_INDEX)
            break;
    }
    return false;
}

static bool steps_alike(const struct ir_step *a, const struct ir_step *b)
{
    if (a->kind != b->kind || a->axis != b->axis)
        return false;
    return a->kind == STEP_INDEX || (a->kind == STEP_SLICE && ir_slice_equal(&a->slice, &b->slice));
}

/* Do two views differ in integers at most? Then they have no element together, or are the same: u[0] and u[-2], whose extent may be 2. */
static bool views_alike(const struct ir_view *a, const struct ir_view *b)
{
    bool alike = a->n == b->n;
    for (uint32_t i = 0; alike && i < a->n; i++)
        alike = steps_alike(&a->steps[i], &b->steps[i]);
    return alike;
}

/* May the part's nest read this of the array that it changes? What each element reads is what it stores, or is not stored at all. */
static bool reads_harmlessly(const struct loop_plan *plan, const struct loop_access *a, const struct loop_access *part)
{
    uint32_t own = (uint32_t)ir_at(plan->ir, part->target)->attr;
    bool same_axes = a->rank == part->rank && memcmp(a->axis, part->axis, sizeof a->axis) == 0;
    if (!a->view || a->layout)
        return !a->layout && plan->ir->views.at[own].n == 0 && same_axes;
    uint32_t read = (uint32_t)ir_at(plan->ir, a->value)->attr;
    if (same_axes && views_alike(&plan->ir->views.at[read], &plan->ir->views.at[own]))
        return true;
    return views_apart(&plan->ir->views.at[read], &plan->ir->views.at[own]);
}

static bool body_loads(const struct loop_plan *plan, const struct loop_body *b, uint32_t memory)
{
    for (uint32_t i = 0; i < b->loads.n; i++)
        if (b->loads.at[i].source == SOURCE_BUFFER && loop_memory_of(plan, b->loads.at[i].index) == memory)
            return true;
    return false;
}

static bool nest_loads(const struct loop_plan *plan, uint32_t nest, uint32_t memory)
{
    return body_loads(plan, &plan->nests.at[nest].main, memory) || body_loads(plan, &plan->nests.at[nest].epilogue, memory);
}

static bool loaded_after(const struct loop_plan *plan, uint32_t nest, uint32_t memory)
{
    uint32_t around = loop_steps_of(plan, nest), end = around == NO_STEPS ? plan->nests.n : plan->steps.at[around].first + plan->steps.at[around].n;
    for (uint32_t i = nest + 1; i < end; i++)
        if (nest_loads(plan, i, memory))
            return true;
    for (uint32_t i = 0; around != NO_STEPS && i < plan->steps.at[around].n_states; i++)
        if (loop_memory_of(plan, plan->steps.at[around].states[i].next) == memory)
            return true;
    return false;
}

static bool part_reads_harmlessly(const struct loop_plan *plan, const struct loop_nest *part, uint32_t memory)
{
    for (uint32_t i = 0; i < part->main.loads.n; i++) {
        const struct loop_access *a = &part->main.loads.at[i];
        if (a->source == SOURCE_BUFFER && loop_memory_of(plan, a->index) == memory && !reads_harmlessly(plan, a, &part->main.stores.at[0]))
            return false;
    }
    return true;
}

static uint32_t first_store(const struct loop_plan *plan, uint32_t buffer)
{
    for (uint32_t i = 0; i < plan->nests.n; i++)
        for (unsigned epilogue = 0; epilogue < 2; epilogue++) {
            const struct loop_body *b = epilogue ? &plan->nests.at[i].epilogue : &plan->nests.at[i].main;
            for (uint32_t k = 0; k < b->stores.n; k++)
                if (b->stores.at[k].index == buffer)
                    return i;
        }
    return 0;
}

/* Was the old array made in the same round as the new one? A state is made anew in each of its own. */
static bool of_same_round(const struct loop_plan *plan, uint32_t nest, uint32_t old)
{
    const struct ir_node *n = ir_at(plan->ir, plan->buffers.at[old].value);
    uint32_t around = loop_steps_of(plan, nest);
    if (n->op == OP_state)
        return around != NO_STEPS && plan->steps.at[around].number == n->attr >> 32;
    return around == loop_steps_of(plan, first_store(plan, old));
}

/* The buffer of the old array, when the nest that lays down the whole does nothing but copy it; else NO_STEPS. */
static uint32_t copied_buffer(const struct loop_plan *plan, const struct loop_nest *whole)
{
    const struct loop_access *a = whole->main.loads.n == 1 ? &whole->main.loads.at[0] : NULL;
    ir_id old = ir_at(plan->ir, whole->replaces)->args[0];
    return a && a->source == SOURCE_BUFFER && !a->view && !a->layout && a->value == old && op_is_kept((enum op)ir_at(plan->ir, old)->op) ? a->index : NO_STEPS;
}

static bool lays_whole(const struct loop_nest *nest)
{
    return nest->replaces && !nest->part;
}

/* The buffer of the array of which this nest replaces a part; NO_STEPS where it is in none. */
static uint32_t old_buffer(const struct loop_plan *plan, uint32_t part)
{
    ir_id old = ir_at(plan->ir, plan->nests.at[part].replaces)->args[0];
    if (part > 0 && lays_whole(&plan->nests.at[part - 1]))
        return copied_buffer(plan, &plan->nests.at[part - 1]);
    for (uint32_t b = 0; b < plan->buffers.n; b++)
        if (plan->buffers.at[b].value == old && ir_at(plan->ir, old)->op == OP_state)
            return b;
    return NO_STEPS;
}

static bool go_in_place(struct loop_plan *plan, uint32_t part)
{
    uint32_t old = old_buffer(plan, part), made = plan->nests.at[part].main.stores.at[0].index;
    if (old == NO_STEPS || !of_same_round(plan, part, old))
        return false;
    uint32_t memory = loop_memory_of(plan, old);
    if (plan->buffers.at[memory].role == BUFFER_OUTPUT || loaded_after(plan, part, memory) || !part_reads_harmlessly(plan, &plan->nests.at[part], memory))
        return false;
    if (plan->buffers.at[made].role == BUFFER_OUTPUT && ir_at(plan->ir, plan->buffers.at[memory].value)->op != OP_replace)
        return false; /* others have laid it down elsewhere */
    if (plan->buffers.at[made].role == BUFFER_OUTPUT)
        plan->buffers.at[memory].in = made;
    else
        plan->buffers.at[made].in = memory;
    return true;
}

static void drop_nests(struct arena *arena, struct loop_plan *plan, const uint8_t *drop)
{
    uint32_t *before = arena_array(arena, uint32_t, plan->nests.n + 1), kept = 0; /* how many stay of those before each */
    for (uint32_t i = 0; i < plan->nests.n; i++) {
        before[i] = kept;
        if (!drop[i])
            plan->nests.at[kept++] = plan->nests.at[i];
    }
    before[plan->nests.n] = kept;
    for (uint32_t i = 0; i < plan->steps.n; i++) {
        struct loop_steps *s = &plan->steps.at[i];
        uint32_t end = before[s->first + s->n];
        s->first = before[s->first];
        s->n = end - s->first;
    }
    plan->nests.n = kept;
}

/* ---- what changes hands ---- */

/* Where the memory goes that a state had: to the state that takes it over, and so on; the last of a chain frees one. */
static void add_moves(struct arena *arena, const struct loop_plan *plan, struct loop_steps *s)
{
    for (uint32_t i = 0; i < s->n_states; i++) {
        struct loop_move m = {s->states[i].now, loop_memory_of(plan, s->states[i].next)};
        if (m.to != m.from)
            vec_push(arena, &s->moves, m);
    }
    for (uint32_t i = 0, n = s->moves.n; i < n; i++) {
        uint32_t free = s->moves.at[i].to, taken = s->moves.at[i].from;
        bool is_state = false, found = true;
        for (uint32_t k = 0; k < n; k++)
            is_state |= s->moves.at[k].to == taken;
        while (!is_state && found) {
            found = false;
            for (uint32_t k = 0; k < n && !found; k++)
                if (s->moves.at[k].from == free) {
                    free = s->moves.at[k].to;
                    found = true;
                }
        }
        struct loop_move m = {taken, free};
        if (!is_state)
            vec_push(arena, &s->moves, m);
    }
}

void loop_place_parts(struct arena *arena, struct loop_plan *plan)
{
    uint8_t *drop = arena_array(arena, uint8_t, plan->nests.n + 1);
    for (uint32_t b = 0; b < plan->buffers.n; b++)
        plan->buffers.at[b].in = b;
    for (uint32_t i = 0; i < plan->nests.n; i++)
        if (plan->nests.at[i].part && go_in_place(plan, i) && i > 0)
            drop[i - 1] = lays_whole(&plan->nests.at[i - 1]);
    drop_nests(arena, plan, drop);
    for (uint32_t i = 0; i < plan->steps.n; i++)
        add_moves(arena, plan, &plan->steps.at[i]);
    loop_mark_once(arena, plan);
}
