/*
 * Several nests done row by row (struct loop_rows), by one function.
 *
 * CPU: a few rows at a time go through all nests, each by its own functions, so that the later ones find them in a cache.
 * GPU: a block takes a row through all nests, and then another one; a barrier stands between the steps. Blocks are of 32 threads
 * by as many warps as there are. What is reduced passes through the memory that the nests' own kernels would use.
 */
#include <stdio.h>
#include "gen.h"

/* ---- CPU ---- */

static void call_step(struct gen *g, unsigned nest, const char *step, val slots, val from, val to)
{
    char name[24];
    val args[] = {slots, from, to};
    snprintf(name, sizeof name, "n%u_%s", nest, step);
    val fn = LLVMGetNamedFunction(g->l.mod, name);
    LLVMBuildCall2(g->l.b, LLVMGlobalGetValueType(fn), fn, args, 3, "");
}

static void call_nest(struct gen *g, unsigned i, val slots, val from, val to, val length, val blocks)
{
    struct ll *l = &g->l;
    bool reduces = g->plan->nests.at[i].kind != NEST_MAP;
    val each = reduces ? blocks : length;
    call_step(g, i, "main", slots, ll_mul(l, from, each), ll_mul(l, to, each));
    if (reduces)
        call_step(g, i, "join", slots, from, to);
}

static void rows_cpu(struct gen *g, const struct loop_rows *rows)
{
    struct ll *l = &g->l;
    gen_set_nest(g, rows->first);
    gen_function(g, rows->first, "rows", 0);
    val length = gen_slot(g, g->slots.length), blocks = gen_slot(g, g->slots.blocks), one = ll_i64(l, 1);
    val some = ll_select(l, ll_lt(l, length, one), one, length);
    val tile = ll_div(l, ll_add(l, some, ll_i64(l, LOOP_ROW_TILE - 1)), some); /* rows; 1 where they are long */
    struct loop loop = gen_loop(g, g->begin, g->end);
    val to = ll_min(l, g->end, ll_add(l, loop.i, tile)), slots = g->slots_arg;
    for (unsigned i = rows->first; i < rows->first + rows->n; i++) {
        call_nest(g, i, slots, loop.i, to, length, blocks);
        slots = ll_offset(l, slots, ll_i64(l, 8 * (int64_t)loop_slots(&g->plan->nests.at[i]).count));
    }
    gen_loop_end(g, &loop, tile);
    gen_return(g);
}

/* ---- GPU ---- */

static void rows_gpu(struct gen *g, const struct loop_rows *rows)
{
    uint32_t count = 0;
    for (unsigned i = 0; i < rows->n; i++)
        count += loop_slots(&g->plan->nests.at[rows->first + i]).count;
    gen_set_nest(g, rows->first);
    gen_function(g, rows->first, "rows", count);
    g->n_rows = gen_slot(g, g->slots.kept);
    g->scratch = gpu_shared(g, g->l.i64, LOOP_ROW_THREADS);
    keep_begin(g, rows);
    struct loop loop = gen_loop(g, gpu_block(g, AXIS_X), g->n_rows);
    g->row = loop.i;
    for (unsigned i = rows->first; i < rows->first + rows->n; i++) {
        gen_nest(g, i);
        g->first_slot += g->slots.count;
    }
    if (g->n_kept)
        gpu_barrier(g); /* before the next row takes the place of this one */
    keep_end(g);
    g->row = NULL;
    g->first_slot = 0;
    gen_loop_end(g, &loop, gpu_grid_size(g, AXIS_X));
    gen_return(g);
}

void rows_emit(struct gen *g, const struct loop_rows *rows)
{
    if (g->gpu)
        rows_gpu(g, rows);
    else
        rows_cpu(g, rows);
}
