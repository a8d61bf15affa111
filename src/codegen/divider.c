/*
 * The divider of a processor with AVX-512 is a unit of its own: an instruction that divides or roots keeps it for many cycles, and takes next to nothing of what
 * all else goes through, where two operations of 512 bits begin in a cycle. Of what one turn of a loop computes some registers can take their roots from the
 * divider and the others theirs by steps (wide.c), so that both are busy; the results are the same. Here it is chosen how many, and how many registers a turn has.
 */
#include "gen.h"

/* What 512 bits of float32 and of float64 take: cycles of the divider, and how many operations the steps instead of it are; 0: there are none. */
static const struct slow {
    uint8_t cycles[2], steps[2];
} slow_table[PRIM_COUNT] = {
    [PRIM_fsqrt] = {{12, 24}, {14, 17}},
    [PRIM_ftamesqrt] = {{12, 24}, {10, 13}},
    [PRIM_fdiv] = {{10, 16}, {0, 0}},
    [PRIM_ftamediv] = {{10, 16}, {0, 0}},
};

/* Of one register of each value: cycles of the divider for what is divided and for what is rooted, and operations. */
struct work {
    unsigned quotients, roots, n_roots, steps, others;
};

enum {
    BEGUN_IN_A_CYCLE = 2,
    SLOW_ONE = 3 /* the operations that an instruction of the divider counts for beside it */
};

static void count(struct work *w, const struct slow *s, bool wide)
{
    bool root = s->steps[wide] != 0;
    *(root ? &w->roots : &w->quotients) += s->cycles[wide];
    w->n_roots += root;
    w->steps += s->steps[wide];
    w->others += root ? 0 : s->cycles[wide] ? SLOW_ONE : 1;
}

/* Comparisons do not count: with the choice between what they compare they are one operation, and so is what asks whether a slow side is needed. */
static struct work work_of(const struct gen *g)
{
    const struct loop_body *b = &g->nest->main;
    struct work w = {0};
    for (uint32_t i = 0; i < b->order.n; i++) {
        ir_id id = b->order.at[i];
        const struct ir_node *n = ir_at(g->ir, id);
        if (rarely_done(g->ir, id))
            continue;
        if (op_table[n->op].kind == OPK_ELEM && n->dtype != DT_bool)
            count(&w, &slow_table[ir_prim(g->ir, id)], n->dtype == DT_float64);
        w.others += n->op == OP_rarely;
    }
    return w;
}

/* How long n registers take of which j have their roots from the divider. The divider is kept busier than the others can be, which wait for one another: by a twelfth. */
static unsigned time_of(const struct work *w, unsigned n, unsigned j)
{
    unsigned divider = 11 * BEGUN_IN_A_CYCLE * (n * w->quotients + j * w->roots);
    unsigned operations = 12 * (n * w->others + (n - j) * w->steps + j * w->n_roots * SLOW_ONE);
    return divider > operations ? divider : operations;
}

/* Of as good ones the one with the fewest operations. */
static unsigned best_share(const struct work *w, unsigned n)
{
    unsigned best = n;
    for (unsigned j = n; j-- > 0;)
        if (time_of(w, n, j) < time_of(w, n, best))
            best = j;
    return best;
}

unsigned divider_share(const struct gen *g, unsigned n)
{
    struct work w = work_of(g);
    return best_share(&w, n);
}

/* More of them only where that saves a twentieth. */
unsigned divider_registers(const struct gen *g, unsigned least, unsigned most)
{
    struct work w = work_of(g);
    unsigned best = least;
    for (unsigned n = 2 * least; w.n_roots && n <= most; n *= 2)
        if (20 * best * time_of(&w, n, best_share(&w, n)) < 19 * n * time_of(&w, best, best_share(&w, best)))
            best = n;
    return best;
}
