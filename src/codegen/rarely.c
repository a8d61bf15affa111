/* A slow side that runs only when some element needs it: kept out of the way of the usual path. */
#include "gen.h"

static bool inside(const struct ir *ir, uint32_t region, uint32_t of)
{
    while (region && region != of)
        region = ir->regions.at[region].parent;
    return region == of;
}

bool rarely_done(const struct ir *ir, ir_id id)
{
    for (uint32_t region = ir_at(ir, id)->region; region; region = ir->regions.at[region].parent)
        if (ir_at(ir, ir->regions.at[region].owner)->op == OP_rarely)
            return true;
    return false;
}

/* Nothing of a slow side is computed but on its path, what depends on no element too: all of it at the level of the choice. */
void rarely_raise_levels(struct gen *g, struct body *b, ir_id id)
{
    for (uint32_t i = 0; i < b->source->order.n; i++) {
        ir_id in = b->source->order.at[i];
        if (ir_at(g->ir, in)->op != OP_const && b->level[in] < b->level[id] && inside(g->ir, ir_at(g->ir, in)->region, (uint32_t)ir_at(g->ir, id)->attr))
            b->level[in] = b->level[id];
    }
}

/* A lane value that a slow side uses, laid down in memory to be taken up element by element. */
struct laid_down {
    ir_id id;
    val whole, whole_fault, memory, fault_memory;
};

static uint32_t lay_down_outer(struct gen *g, struct body *b, uint32_t region, struct laid_down *outer)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < b->source->order.n; i++) {
        const struct ir_node *node = ir_at(g->ir, b->source->order.at[i]);
        if (!inside(g->ir, node->region, region))
            continue;
        for (unsigned k = 0; k < node->n_args; k++) {
            ir_id id = node->args[k];
            uint32_t seen = 0;
            while (seen < n && outer[seen].id != id)
                seen++;
            if (seen < n || !b->lane[id] || inside(g->ir, ir_at(g->ir, id)->region, region))
                continue;
            outer[n] = (struct laid_down){id, b->lane[id], b->lane_fault[id], gen_lay_down(g, b->lane[id], ir_at(g->ir, id)->dtype), NULL};
            outer[n].fault_memory = b->lane_fault[id] ? gen_lay_down(g, b->lane_fault[id], DT_uint8) : NULL;
            n++;
        }
    }
    return n;
}

/*
 * A longer slow side for the elements of a vector that need it, one after another: half the code of doing all of them at
 * once, and the time goes with their number. Results start as the fast ones.
 */
static void slow_elements(struct gen *g, struct body *b, const struct ir_node *n, val cond, val *v, val *fault)
{
    struct ll *l = &g->l;
    unsigned w = b->w;
    struct laid_down *outer = arena_array(g->arena, struct laid_down, g->ir->nodes.n);
    uint32_t n_outer = lay_down_outer(g, b, (uint32_t)n->attr, outer);
    val faults = gen_lay_down(g, *fault ? *fault : LLVMConstNull(ll_vec(l->i8, w)), DT_uint8);
    val needed = gen_lay_down(g, cond, DT_bool), results = gen_lay_down(g, *v, n->dtype);
    struct loop loop = gen_loop(g, ll_i64(l, 0), ll_i64(l, w));
    struct branch slow = gen_if(g, gen_take_up(g, needed, loop.i, DT_bool));
    b->w = 1;
    for (uint32_t i = 0; i < n_outer; i++) {
        b->lane[outer[i].id] = gen_take_up(g, outer[i].memory, loop.i, ir_at(g->ir, outer[i].id)->dtype);
        b->lane_fault[outer[i].id] = outer[i].fault_memory ? gen_take_up(g, outer[i].fault_memory, loop.i, DT_uint8) : NULL;
    }
    body_region(g, b, (uint32_t)n->attr, LEVEL_LANE);
    gen_put(g, results, loop.i, n->dtype, body_value(g, b, n->args[1]));
    val raised = body_fault_of(g, b, n->args[1]);
    gen_put(g, faults, loop.i, DT_uint8, raised ? raised : LLVMConstNull(l->i8));
    for (uint32_t i = 0; i < n_outer; i++) {
        b->lane[outer[i].id] = outer[i].whole;
        b->lane_fault[outer[i].id] = outer[i].whole_fault;
    }
    b->w = w;
    gen_if_end(g, &slow);
    gen_loop_end(g, &loop, ll_i64(l, 1));
    *v = gen_whole(g, results, w, n->dtype);
    if (*fault || raised)
        *fault = gen_whole(g, faults, w, DT_uint8);
}

static void slow_at_once(struct gen *g, struct body *b, const struct ir_node *n, val cond, val *v, val *fault, enum level level)
{
    body_region(g, b, (uint32_t)n->attr, level);
    *v = ll_select(&g->l, cond, body_value(g, b, n->args[1]), *v);
    *fault = body_choose_fault(g, cond, body_fault_of(g, b, n->args[1]), *fault);
}

/* Is it so short, and without loops and look-ups, that doing all elements costs less than laying them down? */
static bool is_short(const struct gen *g, const struct body *b, uint32_t region)
{
    enum { SHORT_ON_CPU = 64, SHORT_ON_GPU = 30 };
    const unsigned most = g->gpu ? SHORT_ON_GPU : SHORT_ON_CPU;
    unsigned n = 0;
    for (uint32_t i = 0; i < b->source->order.n && n <= most; i++) {
        const struct ir_node *node = ir_at(g->ir, b->source->order.at[i]);
        if (node->op == OP_const || !inside(g->ir, node->region, region))
            continue;
        bool plain = op_table[node->op].kind == OPK_ELEM || node->op == OP_cast || node->op == OP_bitcast || node->op == OP_table || node->op == OP_rarely;
        n += plain ? 1 : most + 1;
    }
    return n <= most;
}

/* The library's fast sides are no nan, and its slow ones are seen to where they are chosen. */
bool rarely_gives_the_one_nan(const struct ir *ir, ir_id id)
{
    return ir_at(ir, id)->op == OP_rarely && ir_at(ir, id)->flags & IR_NUMBER;
}

/* Bits of which none may be set where the fast side is right. */
struct bits_asked {
    val v, mask; /* NULL: it is not that which is asked */
};

static struct bits_asked bits_asked(const struct gen *g, val cond)
{
    if (g->gpu)
        return (struct bits_asked){NULL, NULL};
    val both = LLVMIsAICmpInst(cond) && LLVMGetICmpPredicate(cond) == LLVMIntNE && LLVMIsNull(LLVMGetOperand(cond, 1)) ? LLVMGetOperand(cond, 0) : NULL;
    if (!both || !LLVMIsAInstruction(both) || LLVMGetInstructionOpcode(both) != LLVMAnd || !LLVMIsConstant(LLVMGetOperand(both, 1)))
        return (struct bits_asked){NULL, NULL};
    return (struct bits_asked){LLVMGetOperand(both, 0), LLVMGetOperand(both, 1)};
}

static val is_any_set(struct ll *l, struct bits_asked asked)
{
    val both = LLVMBuildAnd(l->b, asked.v, asked.mask, "");
    return LLVMBuildICmp(l->b, LLVMIntNE, both, LLVMConstNull(LLVMTypeOf(both)), "");
}

/* What is in any of the parts of n elements. */
static val merged(struct ll *l, val v, unsigned n)
{
    unsigned w = ll_width(v);
    if (w <= n)
        return v;
    val any = ll_part(l, v, 0, n);
    for (unsigned from = n; from < w; from += n)
        any = LLVMBuildOr(l->b, any, ll_part(l, v, from, n), "");
    return any;
}

/*
 * Registers go into one test together: bits, of which some may not be set, before these are picked out, and with AVX-512 the masks of
 * comparisons, each a register of its own, before they are made a wider one.
 */
static val needed_by_any(struct gen *g, val cond, struct bits_asked asked, enum dtype t)
{
    struct ll *l = &g->l;
    unsigned full = g->target->vector_bits / (8 * type_table[t].size);
    if (asked.v) {
        asked = (struct bits_asked){merged(l, asked.v, full), merged(l, asked.mask, full)};
        return prim_any(g, is_any_set(l, asked));
    }
    return prim_any(g, gen_has_avx512(g) ? merged(l, cond, full) : cond);
}

/* The slow side runs when any element needs it; its nodes are emitted on that path only. */
void rarely_emit(struct gen *g, struct body *b, ir_id id, enum level level)
{
    struct ll *l = &g->l;
    const struct ir_node *n = ir_at(g->ir, id);
    val cond = body_value(g, b, n->args[0]), fast = body_value(g, b, n->args[2]);
    val fast_fault = body_fault_of(g, b, n->args[2]), chosen = fast, chosen_fault = fast_fault;
    val none = LLVMConstNull(ll_vec(l->i8, b->w));
    block slow = ll_block(l, "slow"), join = ll_block(l, "join"), here = ll_here(l);
    struct bits_asked asked = bits_asked(g, cond);
    ll_cond(l, needed_by_any(g, cond, asked, n->dtype), slow, join);
    ll_at(l, slow);
    if (asked.v)
        cond = is_any_set(l, asked); /* made again here, it is not held on the usual path */
    if (level == LEVEL_LANE && b->w > 1 && !is_short(g, b, (uint32_t)n->attr))
        slow_elements(g, b, n, cond, &chosen, &chosen_fault);
    else
        slow_at_once(g, b, n, cond, &chosen, &chosen_fault, level);
    if (rarely_gives_the_one_nan(g->ir, id))
        chosen = gen_canonical_nan(g, chosen, (enum dtype)n->dtype);
    block from = ll_here(l);
    ll_br(l, join);
    ll_at(l, join);
    val v = ll_phi(l, LLVMTypeOf(fast), fast, here), fault = NULL;
    ll_phi_add(v, chosen, from);
    if (chosen_fault) {
        fault = ll_phi(l, LLVMTypeOf(none), fast_fault ? fast_fault : none, here);
        ll_phi_add(fault, chosen_fault, from);
    }
    body_set(b, id, level, v, prim_or_fault(g, fault, body_fault_of(g, b, n->args[0])));
}
