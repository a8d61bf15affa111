/*
 * Nests that can be done row by row: reductions over the last axes, and what is computed from them over the same rows. A row is
 * then read once from memory and again from a cache; whether rows are short enough is for the executor to say.
 */
#include <string.h>
#include "loop/loop.h"

/* Are the axes that a LANES nest reduces the last ones, so that its rows are those of the array? */
static bool reduces_last(const struct loop_plan *plan, const struct loop_nest *nest)
{
    const struct ir_node *n = ir_at(plan->ir, nest->reduces.at[0].value);
    const struct ir_shape *s = &plan->ir->shapes.at[ir_at(plan->ir, n->args[0])->shape];
    bool kept = false;
    for (unsigned a = s->rank; a-- > 0;) {
        bool reduced = (n->attr & IR_AXES_MASK) >> a & 1;
        if (s->dim[a] != 0 && reduced && kept)
            return false;
        kept |= s->dim[a] != 0 && !reduced;
    }
    return kept;
}

bool loop_same_space(const struct loop_plan *plan, const struct loop_nest *a, const struct loop_nest *b)
{
    return a->kind == NEST_LANES && reduces_last(plan, a) && a->rank == b->rank && memcmp(a->dim, b->dim, a->rank * sizeof *a->dim) == 0 &&
           (b->kind == NEST_MAP || a->n_kept == b->n_kept);
}

static bool is_member(const struct ir_dim *d, uint32_t dim)
{
    for (uint32_t i = 0; d->kind == DIM_BROADCAST && i < d->n_of; i++)
        if (d->of[i] == dim)
            return true;
    return false;
}

/* Does one stretch over the other? Then they have one extent, but where the other is stretched. */
static bool usually_equal(const struct ir *ir, uint32_t a, uint32_t b)
{
    const struct ir_dim *p = &ir->dims.at[a], *q = &ir->dims.at[b];
    bool a_in_b = true, b_in_a = true;
    if (a == b || is_member(p, b) || is_member(q, a))
        return true;
    if (p->kind != DIM_BROADCAST || q->kind != DIM_BROADCAST)
        return false;
    for (uint32_t i = 0; i < p->n_of; i++)
        a_in_b &= is_member(q, p->of[i]);
    for (uint32_t i = 0; i < q->n_of; i++)
        b_in_a &= is_member(p, q->of[i]);
    return a_in_b || b_in_a;
}

/* The same space for all that is known: extents are compared at the call. */
static bool may_be_same_space(const struct loop_plan *plan, const struct loop_nest *a, const struct loop_nest *b)
{
    bool same = a->kind == NEST_LANES && reduces_last(plan, a) && a->rank == b->rank && (b->kind == NEST_MAP || a->n_kept == b->n_kept);
    for (unsigned d = 0; same && d < a->rank; d++)
        same = usually_equal(plan->ir, a->dim[d], b->dim[d]);
    return same;
}

/* Results of a reduction, and what its nest lays down of the elements themselves. */
static const struct loop_access *store_of(const struct loop_nest *n, uint32_t buffer, bool *whole)
{
    for (uint32_t i = 0; i < n->main.stores.n; i++)
        if ((*whole = n->main.stores.at[i].index == buffer))
            return &n->main.stores.at[i];
    for (uint32_t i = 0; i < n->epilogue.stores.n; i++)
        if (n->epilogue.stores.at[i].index == buffer)
            return &n->epilogue.stores.at[i];
    return NULL;
}

/* Does each row read what that very row has stored? */
static bool meets_own_row(const struct loop_nest *from, const struct loop_access *a, unsigned n_dims)
{
    bool whole = false;
    const struct loop_access *store = a->view || a->layout ? NULL : store_of(from, a->index, &whole);
    for (unsigned d = 0; store && d < n_dims; d++)
        if (a->axis[d] != (whole || d < from->n_kept ? store->axis[d] : -1))
            return false;
    return store != NULL;
}

static bool reads_own_rows(const struct loop_plan *plan, uint32_t first, uint32_t nest, const struct loop_body *b, unsigned n_dims)
{
    for (uint32_t i = 0; i < b->loads.n; i++) {
        const struct loop_access *a = &b->loads.at[i];
        uint32_t made = a->source == SOURCE_BUFFER ? plan->buffers.at[a->index].first : 0;
        if (a->source == SOURCE_BUFFER && made >= first && made < nest && !meets_own_row(&plan->nests.at[made], a, n_dims))
            return false;
    }
    return true;
}

bool loop_same_rows(const struct loop_plan *plan, uint32_t first, uint32_t nest)
{
    const struct loop_nest *a = &plan->nests.at[first], *b = &plan->nests.at[nest];
    if ((b->kind != NEST_LANES && b->kind != NEST_MAP) || b->updates || b->replaces || loop_steps_of(plan, first) != loop_steps_of(plan, nest) || !may_be_same_space(plan, a, b))
        return false;
    if (b->kind == NEST_LANES && !reduces_last(plan, b))
        return false;
    return reads_own_rows(plan, first, nest, &b->main, b->rank) && reads_own_rows(plan, first, nest, &b->epilogue, b->n_kept);
}

void loop_find_rows(struct arena *arena, struct loop_plan *plan)
{
    for (uint32_t i = 0; i < plan->nests.n;) {
        struct loop_rows rows = {.first = i};
        uint32_t slots = 0;
        while (i < plan->nests.n && loop_same_rows(plan, rows.first, i) && slots + loop_slots(&plan->nests.at[i]).count <= LOOP_MAX_SLOTS)
            slots += loop_slots(&plan->nests.at[i++]).count;
        rows.n = i - rows.first;
        if (rows.n > 1) {
            loop_find_kept(arena, plan, &rows);
            vec_push(arena, &plan->rows, rows);
        }
        i += rows.n == 0;
    }
}
