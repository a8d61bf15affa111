/*
 * Vector steps that the end of a row cuts short. The elements there are go to memory of the function's own, the body runs
 * over that at its full width, and the results are copied back: so a costly body is emitted once, not again for single
 * elements.
 */
#include "gen.h"

static bool along_lanes(const struct body *b, const struct view *v)
{
    return b->level[v->access->value] == LEVEL_LANE;
}

static val room_for(struct gen *g, const struct view *v, unsigned w)
{
    return gen_alloca(g, gen_memory_type(g, v->access->dtype), w);
}

/* The view reads or writes `memory` when coming from `short_end`, and what it did when coming from `long_end`. */
static void divert(struct gen *g, const struct body *b, struct view *v, val memory, block long_end, block short_end)
{
    struct ll *l = &g->l;
    val row = ll_phi(l, l->ptr, v->row, long_end);
    ll_phi_add(row, memory, short_end);
    if (v->cls == CLASS_STRIDED) {
        val stride = ll_phi(l, l->i64, gen_slot(g, v->slot + 1 + b->inner), long_end);
        ll_phi_add(stride, ll_i64(l, type_table[v->access->dtype].size), short_end);
        v->stride = stride;
    }
    v->row = row;
}

static void copy_in(struct gen *g, struct partial *p, val *memory, unsigned w)
{
    struct ll *l = &g->l;
    struct loop loop = gen_loop(g, ll_i64(l, 0), ll_i64(l, w));
    struct where from = {.inner = ll_add(l, p->inner, ll_min(l, loop.i, ll_sub(l, p->count, ll_i64(l, 1))))};
    for (uint32_t i = 0; i < p->body->n_loads; i++)
        if (memory[i])
            gen_put(g, memory[i], loop.i, p->loads[i].access->dtype, body_load_element(g, p->body, &p->loads[i], &from));
    gen_loop_end(g, &loop, ll_i64(l, 1));
}

val partial_begin(struct gen *g, struct partial *p, struct body *b, val inner, val count, unsigned w)
{
    struct ll *l = &g->l;
    val *memory = arena_array(g->arena, val, b->n_loads + 1);
    *p = (struct partial){.body = b, .loads = b->loads, .stores = b->stores, .inner = inner, .count = count};
    p->memory = arena_array(g->arena, val, b->n_stores + 1);
    b->loads = arena_array(g->arena, struct view, b->n_loads + 1);
    b->stores = arena_array(g->arena, struct view, b->n_stores + 1);
    memcpy(b->loads, p->loads, b->n_loads * sizeof *b->loads);
    memcpy(b->stores, p->stores, b->n_stores * sizeof *b->stores);
    for (uint32_t i = 0; i < b->n_loads; i++)
        memory[i] = along_lanes(b, &b->loads[i]) ? room_for(g, &b->loads[i], w) : NULL;
    for (uint32_t i = 0; i < b->n_stores; i++)
        p->memory[i] = room_for(g, &b->stores[i], w);

    block cut = ll_block(l, "cut_short"), step = ll_block(l, "step"), here = ll_here(l);
    p->whole = ll_eq(l, count, ll_i64(l, w));
    ll_cond(l, p->whole, step, cut);
    ll_at(l, cut);
    copy_in(g, p, memory, w);
    block cut_end = ll_here(l);
    ll_br(l, step);
    ll_at(l, step);
    val at = ll_phi(l, l->i64, inner, here);
    ll_phi_add(at, ll_i64(l, 0), cut_end);
    for (uint32_t i = 0; i < b->n_loads; i++)
        if (memory[i])
            divert(g, b, &b->loads[i], memory[i], here, cut_end);
    for (uint32_t i = 0; i < b->n_stores; i++)
        divert(g, b, &b->stores[i], p->memory[i], here, cut_end);
    return at;
}

void partial_end(struct gen *g, struct partial *p)
{
    struct ll *l = &g->l;
    p->body->loads = p->loads;
    p->body->stores = p->stores;
    if (!p->body->n_stores)
        return;
    block out = ll_block(l, "copy_out"), done = ll_block(l, "stepped");
    ll_cond(l, p->whole, done, out);
    ll_at(l, out);
    struct loop loop = gen_loop(g, ll_i64(l, 0), p->count);
    struct where to = {.inner = ll_add(l, p->inner, loop.i)};
    for (uint32_t i = 0; i < p->body->n_stores; i++)
        body_store_element(g, p->body, &p->stores[i], &to, gen_take_up(g, p->memory[i], loop.i, p->stores[i].access->dtype));
    gen_loop_end(g, &loop, ll_i64(l, 1));
    ll_br(l, done);
    ll_at(l, done);
}
