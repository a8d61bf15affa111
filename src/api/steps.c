/* See steps.h. */
#include "nest.h"
#include "steps.h"

/* Nests from `from` to `end`, which are in the rounds of `parent`; `round` is that of the innermost steps. */
struct span_of_nests {
    uint32_t from, end, parent;
    int64_t round;
};

static bool run_steps(struct run *r, struct variant_code *v, const struct loop_steps *s, uint32_t index);

/* Asked before every nest, so on a GPU too. */
static bool goes_on(struct run *r)
{
    if (!is_watched(r->watch) || watch_goes_on(r->watch, 0))
        return true;
    diag_add(r->diags, AX_stopped, (struct span){0, 0}, "the call was stopped by who watched it");
    return false;
}

/* The rows that begin here, or those after. */
static uint32_t rows_from(const struct loop_plan *p, uint32_t nest)
{
    uint32_t i = 0;
    while (i < p->rows.n && p->rows.at[i].first < nest)
        i++;
    return i;
}

static bool run_nests(struct run *r, struct variant_code *v, struct span_of_nests span)
{
    const struct loop_plan *p = r->code->plan;
    uint32_t rows = rows_from(p, span.from), steps = 0;
    for (uint32_t i = span.from;;) {
        while (steps < p->steps.n && (p->steps.at[steps].parent != span.parent || p->steps.at[steps].first < i))
            steps++;
        if (steps < p->steps.n && p->steps.at[steps].first == i && i <= span.end) {
            if (!run_steps(r, v, &p->steps.at[steps], steps))
                return false;
            i += p->steps.at[steps++].n;
            continue;
        }
        if (i >= span.end)
            return true;
        if (span.parent == NO_STEPS)
            watch_share(r->watch, (double)i / p->nests.n, 1.0 / p->nests.n);
        if (!goes_on(r))
            return false;
        while (rows < p->rows.n && p->rows.at[rows].first < i)
            rows++;
        bool by_rows = rows < p->rows.n && p->rows.at[rows].first == i && r->rows[rows].chosen;
        bool skipped = span.round > 0 && r->once[i];
        if (!skipped && !(by_rows ? nest_run_rows(r, v, rows) : nest_run(r, v, i)))
            return false;
        i += by_rows ? p->rows.at[rows].n : 1;
    }
}

/* How many: known, or what nests before have computed. */
static bool rounds_of(struct run *r, const struct loop_steps *s, int64_t *rounds)
{
    *rounds = s->known;
    if (s->rounds != NO_STEPS && !r->device->ops->copy_out(r->device, rounds, r->now[s->rounds], sizeof *rounds, r->stream, r->diags))
        return false;
    if (*rounds > r->code->plan->ir->max_rounds) {
        *rounds = r->code->plan->ir->max_rounds;
        r->endless = true;
    }
    return true;
}

static void change_hands(struct run *r, const struct loop_steps *s)
{
    void **before = r->now + r->code->plan->buffers.n;
    for (uint32_t i = 0; i < s->moves.n; i++)
        before[s->moves.at[i].from] = r->now[s->moves.at[i].from];
    for (uint32_t i = 0; i < s->moves.n; i++)
        r->now[s->moves.at[i].to] = before[s->moves.at[i].from];
}

static bool run_steps(struct run *r, struct variant_code *v, const struct loop_steps *s, uint32_t index)
{
    int64_t rounds;
    if (!rounds_of(r, s, &rounds))
        return false;
    for (int64_t round = 0; round < rounds; round++) {
        r->rounds[s->number] = round;
        if (!goes_on(r) || !run_nests(r, v, (struct span_of_nests){s->first, s->first + s->n, index, round}))
            return false;
        change_hands(r, s);
    }
    return true;
}

bool steps_run(struct run *r, struct variant_code *v)
{
    return run_nests(r, v, (struct span_of_nests){0, r->code->plan->nests.n, NO_STEPS, 0});
}
