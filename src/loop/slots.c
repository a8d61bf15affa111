/* The order of a nest's arguments, and facts that its code and its executor must agree on. */
#include "loop/loop.h"

bool loop_is_loaded(const struct ir *ir, ir_id id)
{
    enum op op = (enum op)ir_at(ir, id)->op;
    if (op == OP_layout && ir_at(ir, ir_at(ir, id)->args[0])->op == OP_shared)
        return false; /* memory of the kernel's own */
    return op == OP_input || op == OP_place || op == OP_view || op == OP_layout || op == OP_count || op == OP_turn || op_is_kept(op);
}

struct loop_slots loop_slots(const struct loop_nest *nest)
{
    struct loop_slots s = {0};
    s.length = nest->rank;
    s.blocks = s.length + 1;
    s.kept = s.blocks + 1;
    s.partials = s.kept + 1;
    s.faults = s.partials + nest->reduces.n;
    s.main_loads = s.faults + 1;
    s.main_stores = s.main_loads + nest->main.loads.n * (1u + nest->rank);
    s.epilogue_loads = s.main_stores + nest->main.stores.n * (1u + nest->rank);
    s.epilogue_stores = s.epilogue_loads + nest->epilogue.loads.n * (1u + nest->n_kept);
    s.block = s.epilogue_stores + nest->epilogue.stores.n * (1u + nest->n_kept);
    s.count = s.block + (nest->updates ? nest->rank : 0);
    return s;
}

unsigned loop_scan_words(unsigned size)
{
    return size > 4 ? 2 : 1;
}

int64_t loop_scan_bytes(int64_t kept, int64_t blocks, unsigned size)
{
    int64_t chunks = (blocks + SCAN_WAYS - 1) / SCAN_WAYS, word = 8 * (int64_t)loop_scan_words(size);
    return blocks > 1 ? LOOP_SCAN_TICKET + kept * (blocks + chunks) * word : 0;
}

static unsigned widest(const struct loop_access *a, uint32_t n, unsigned size)
{
    for (uint32_t i = 0; i < n; i++)
        if (a[i].rank > 0 && type_table[a[i].dtype].size > size)
            size = type_table[a[i].dtype].size;
    return size;
}

/* Threads take 4 elements, or 8 where everything that is computed has 2 bytes or fewer: registers have 4. */
static unsigned least_size(const struct ir *ir, const struct loop_nest *nest)
{
    for (uint32_t i = 0; i < nest->main.order.n; i++)
        if (type_table[ir_at(ir, nest->main.order.at[i])->dtype].size > 2)
            return 4;
    return 2;
}

/* A thread that takes several elements goes round for the one that takes longest; one of a kernel is one element. */
static bool has_loops(const struct ir *ir, const struct loop_nest *nest)
{
    for (uint32_t i = 0; i < nest->main.order.n; i++)
        if (ir_at(ir, nest->main.order.at[i])->op == OP_loop)
            return true;
    return false;
}

unsigned loop_gpu_width(const struct ir *ir, const struct loop_nest *nest)
{
    if (nest->updates || (nest->kind == NEST_MAP && has_loops(ir, nest)))
        return 1;
    unsigned size = widest(nest->main.loads.at, nest->main.loads.n, least_size(ir, nest));
    size = widest(nest->main.stores.at, nest->main.stores.n, size);
    unsigned width = 16 / size;
    if (nest->kind == NEST_LANES && width > nest->lanes / 32u)
        width = nest->lanes / 32u;
    return width;
}

static unsigned arrays_read(const struct loop_nest *nest)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < nest->main.loads.n; i++)
        n += nest->main.loads.at[i].axis[nest->rank - 1] >= 0;
    return n;
}

/*
 * Where a thread starts (its place, its constants) costs as much as a short function of an element, so it is worth several vectors; all are loaded
 * before the first is computed, so they are fewer where several arrays are read. Measured on an H100: docs/performance.md, the functions beside CUDA's.
 */
unsigned loop_gpu_turns(const struct ir *ir, const struct loop_nest *nest)
{
    enum { SHORT_BODY = 20, MOST_LOADED = 4 };
    unsigned reads = arrays_read(nest);
    bool once = loop_gpu_width(ir, nest) == 1 || nest->main.order.n <= SHORT_BODY || reads == 0 || reads > MOST_LOADED;
    return once ? 1 : MOST_LOADED / reads;
}

static uint8_t default_class(const struct loop_access *a, unsigned n_dims, bool is_load)
{
    bool varies = false;
    for (unsigned d = 0; d < n_dims; d++)
        varies |= a->axis[d] >= 0;
    if (a->source == SOURCE_COUNT || a->source == SOURCE_ROUND || a->layout || (is_load && a->source == SOURCE_ARGUMENT && a->scalar))
        return CLASS_VALUE;
    if (a->axis[n_dims - 1] >= 0)
        return CLASS_ALIGNED;
    return is_load ? (varies ? CLASS_ROW : CLASS_UNIFORM) : CLASS_STRIDED;
}

unsigned loop_inner(const struct loop_nest *nest)
{
    return (nest->kind == NEST_LANES || nest->kind == NEST_SCAN ? nest->rank : nest->n_kept) - 1u;
}

struct loop_variant *loop_default_variants(struct arena *arena, const struct loop_plan *plan)
{
    struct loop_variant *v = arena_array(arena, struct loop_variant, plan->nests.n);
    for (uint32_t i = 0; i < plan->nests.n; i++) {
        const struct loop_nest *n = &plan->nests.at[i];
        unsigned k = 0, total = n->main.loads.n + n->main.stores.n + n->epilogue.loads.n + n->epilogue.stores.n;
        v[i].flags = VARIANT_FLAT | (n->updates ? VARIANT_BLOCKS : 0);
        v[i].n_classes = total;
        v[i].classes = arena_array(arena, uint8_t, total + 1);
        for (uint32_t j = 0; j < n->main.loads.n; j++)
            v[i].classes[k++] = default_class(&n->main.loads.at[j], loop_inner(n) + 1, true);
        for (uint32_t j = 0; j < n->main.stores.n; j++)
            v[i].classes[k++] = default_class(&n->main.stores.at[j], loop_inner(n) + 1, false);
        for (uint32_t j = 0; j < n->epilogue.loads.n; j++)
            v[i].classes[k++] = default_class(&n->epilogue.loads.at[j], n->n_kept, true);
        for (uint32_t j = 0; j < n->epilogue.stores.n; j++)
            v[i].classes[k++] = default_class(&n->epilogue.stores.at[j], n->n_kept, false);
    }
    for (uint32_t i = 0; i < plan->rows.n; i++)
        for (uint32_t k = 0; k < plan->rows.at[i].n; k++)
            v[plan->rows.at[i].first + k].flags |= VARIANT_ROWS | (plan->rows.at[i].n_kept ? VARIANT_KEEP : 0);
    return v;
}
