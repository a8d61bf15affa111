/*
 * What is before a block of a SCAN on a GPU, by what blocks tell each other. See scan.c for the scheme.
 *
 * A block tells what its elements come to (a total), and looks for what is before it. A single pass in which each block takes what it finds at the
 * moment (Merrill and Garland, Single-pass Parallel Prefix Scan with Decoupled Look-back, 2016) joins totals in an order that hangs on time,
 * and so would the bits. Here the order is that of the scheme, in which totals are scanned like elements: what is before block b
 * of a sequence are the totals of its chunk of totals, of chunks before in its group, of groups before in its block of totals, and what is before that.
 * The last block of a chunk, which has met all the others' totals, tells what the chunk comes to; so does the last of a group, and the
 * last of a block of totals what is before the next. So none waits for more than 47 words, most of which have been there for long, and
 * only the last kind hangs on the one before it.
 *
 * A word is 64 bits that are written at once: 32 of a value, and above them whether they are there. Values of 64 bits take two words.
 * So nothing has to be ordered, and it is enough that the words are 0 before the launch. Where words lie: loop_scan_bytes.
 */
#include "scan.h"

enum {
    WARP = 32,
    LEVELS = SCAN_LEVELS, /* of totals before a block: in its chunk, in its group, in its block of totals */
    PER_GROUP = SCAN_WAYS * SCAN_WAYS,
    PRESENT = 1 /* in the upper half of a word */
};

static val thread(struct scan *s)
{
    return gpu_thread(s->g, AXIS_X);
}

/* ---- words ---- */

static unsigned words_each(const struct scan *s)
{
    return loop_scan_words(type_table[s->dtype].size);
}

static val word_at(struct one_pass *o, val index, unsigned k)
{
    struct ll *l = &o->s->g->l;
    int64_t size = 8 * (int64_t)words_each(o->s);
    return ll_offset(l, o->words, ll_add(l, ll_mul(l, index, ll_i64(l, size)), ll_i64(l, 8 * (int64_t)k)));
}

static type bits_of(struct scan *s)
{
    return LLVMIntTypeInContext(s->g->l.ctx, 8u * type_table[s->dtype].size);
}

static val halves(struct scan *s, val v, unsigned k)
{
    struct ll *l = &s->g->l;
    val bits = LLVMBuildBitCast(l->b, gen_to_memory(s->g, v, s->dtype), bits_of(s), "");
    bits = LLVMBuildZExtOrBitCast(l->b, bits, l->i64, "");
    return k ? LLVMBuildLShr(l->b, bits, ll_i64(l, 32), "") : LLVMBuildAnd(l->b, bits, ll_i64(l, UINT32_MAX), "");
}

static void tell(struct one_pass *o, val index, val v)
{
    struct ll *l = &o->s->g->l;
    for (unsigned k = 0; k < words_each(o->s); k++) {
        val word = LLVMBuildOr(l->b, halves(o->s, v, k), ll_i64(l, (int64_t)PRESENT << 32), "");
        val st = LLVMBuildStore(l->b, word, word_at(o, index, k));
        LLVMSetAlignment(st, 8);
        LLVMSetVolatile(st, 1);
    }
}

static val look(struct one_pass *o, val index, unsigned k)
{
    struct ll *l = &o->s->g->l;
    val word = LLVMBuildLoad2(l->b, l->i64, word_at(o, index, k), "");
    LLVMSetAlignment(word, 8);
    LLVMSetVolatile(word, 1);
    return word;
}

static val value_of(struct scan *s, const val *word)
{
    struct ll *l = &s->g->l;
    val bits = LLVMBuildAnd(l->b, word[0], ll_i64(l, UINT32_MAX), "");
    if (words_each(s) == 2)
        bits = LLVMBuildOr(l->b, bits, LLVMBuildShl(l->b, word[1], ll_i64(l, 32), ""), "");
    bits = LLVMBuildTruncOrBitCast(l->b, bits, bits_of(s), "");
    return gen_from_memory(s->g, LLVMBuildBitCast(l->b, bits, gen_memory_type(s->g, s->dtype), ""), s->dtype);
}

/* What was told at `index`, waited for, where `wanted`; else the identity. */
static val await(struct one_pass *o, val wanted, val index)
{
    struct ll *l = &o->s->g->l;
    val none = scan_identity(o->s), word[2];
    block here = ll_here(l), again = ll_block(l, "await"), done = ll_block(l, "there");
    ll_cond(l, wanted, again, done);
    ll_at(l, again);
    val all = ll_i64(l, -1);
    for (unsigned k = 0; k < words_each(o->s); k++) {
        word[k] = look(o, index, k);
        all = LLVMBuildAnd(l->b, all, word[k], "");
    }
    val there = LLVMBuildICmp(l->b, LLVMIntUGT, all, ll_i64(l, UINT32_MAX), ""), v = value_of(o->s, word);
    ll_cond(l, there, done, again);
    ll_at(l, done);
    val out = ll_phi(l, LLVMTypeOf(none), none, here);
    ll_phi_add(out, v, again);
    return out;
}

/* The index of this block's total among the words. */
static val total_of(struct one_pass *o, val number)
{
    struct ll *l = &o->s->g->l;
    return ll_add(l, ll_mul(l, o->s->row, gen_slot(o->s->g, o->s->g->slots.blocks)), number);
}

void scan_find_words(struct one_pass *o)
{
    struct gen *g = o->s->g;
    struct ll *l = &g->l;
    val blocks = gen_slot(g, g->slots.blocks), chunks = ll_div(l, ll_add(l, blocks, ll_i64(l, SCAN_WAYS - 1)), ll_i64(l, SCAN_WAYS));
    o->words = ll_offset(l, gen_slot_ptr(g, g->slots.partials), ll_i64(l, LOOP_SCAN_TICKET));
    o->first_chunk = ll_add(l, ll_mul(l, gen_slot(g, g->slots.kept), blocks), ll_mul(l, o->s->row, chunks));
}

void scan_tell_total(struct one_pass *o, val all)
{
    struct branch many = gen_if(o->s->g, o->many);
    tell(o, total_of(o, o->s->block), all);
    gen_if_end(o->s->g, &many);
}

/* ---- what is before a block ---- */

static val by_level(struct ll *l, val level, val zero, val one, val two)
{
    return ll_select(l, ll_eq(l, level, ll_i64(l, 0)), zero, ll_select(l, ll_eq(l, level, ll_i64(l, 1)), one, two));
}

static val shifted(struct ll *l, val v, val by)
{
    return LLVMBuildLShr(l->b, v, by, "");
}

static val low(struct ll *l, val v, int64_t below)
{
    return LLVMBuildAnd(l->b, v, ll_i64(l, below - 1), "");
}

static val both(struct ll *l, val a, val b)
{
    return LLVMBuildAnd(l->b, a, b, "");
}

/* Is the block the last one of so many? */
static val is_last_of(struct one_pass *o, int64_t n)
{
    struct ll *l = &o->s->g->l;
    return ll_eq(l, low(l, o->s->block, n), ll_i64(l, n - 1));
}

/*
 * A warp a level. Its lower lanes look for what there is on that level before the block; `q` is the block before it. Upper lanes that have work:
 * on level 1, where the block is the last of a group, all look for the totals of its chunk, since that is the last of
 * the group's; on level 2 one looks for what is before the block of totals.
 */
struct place {
    val level, lane, upper, wanted, index, count;
};

static void place_lower(struct one_pass *o, struct place *p, val q)
{
    struct ll *l = &o->s->g->l;
    val shift = ll_mul(l, p->level, ll_i64(l, 4)), ways = ll_i64(l, SCAN_WAYS), none = ll_eq(l, o->s->block, ll_i64(l, 0));
    val i = ll_add(l, ll_mul(l, shifted(l, q, ll_add(l, shift, ll_i64(l, 4))), ways), p->lane);
    val chunk = ll_add(l, o->first_chunk, i), group = ll_add(l, o->first_chunk, ll_add(l, ll_mul(l, i, ways), ll_i64(l, SCAN_WAYS - 1)));
    p->index = by_level(l, p->level, total_of(o, i), chunk, group);
    p->count = low(l, shifted(l, q, shift), SCAN_WAYS);
    val itself = LLVMBuildZExt(l->b, ll_eq(l, p->level, ll_i64(l, 0)), l->i64, "");
    p->count = ll_select(l, none, ll_i64(l, 0), ll_add(l, p->count, itself));
    p->wanted = ll_lt(l, p->lane, p->count);
}

static void place_upper(struct one_pass *o, struct place *p, val q)
{
    struct ll *l = &o->s->g->l;
    val lane = ll_sub(l, p->lane, ll_i64(l, SCAN_WAYS)), last = ll_i64(l, SCAN_WAYS - 1), of_totals = ll_i64(l, TREE_BLOCK);
    val in_chunk = total_of(o, ll_sub(l, ll_add(l, o->s->block, lane), last));
    val joined = ll_sub(l, ll_add(l, o->first_chunk, ll_mul(l, ll_div(l, q, of_totals), ll_i64(l, PER_GROUP))), ll_i64(l, 1));
    val wanted_one = both(l, is_last_of(o, PER_GROUP), ll_lt(l, lane, last));
    val wanted_two = both(l, ll_le(l, of_totals, q), ll_eq(l, lane, ll_i64(l, 0)));
    val no = LLVMConstNull(l->i1);
    p->index = ll_select(l, p->upper, by_level(l, p->level, p->index, in_chunk, joined), p->index);
    p->wanted = ll_select(l, p->upper, by_level(l, p->level, no, wanted_one, wanted_two), p->wanted);
    p->count = ll_select(l, p->upper, last, p->count);
}

static struct place place_of(struct one_pass *o)
{
    struct scan *s = o->s;
    struct ll *l = &s->g->l;
    struct place p = {.level = ll_div(l, thread(s), ll_i64(l, WARP)), .lane = ll_rem(l, thread(s), ll_i64(l, WARP))};
    val none = ll_eq(l, s->block, ll_i64(l, 0)), q = ll_select(l, none, s->block, ll_sub(l, s->block, ll_i64(l, 1)));
    p.upper = ll_le(l, ll_i64(l, SCAN_WAYS), p.lane);
    place_lower(o, &p, q);
    place_upper(o, &p, q);
    return p;
}

/* What the first `count` lanes of each half of a warp have, in the first of the half. */
static val fold(struct scan *s, val v, val count)
{
    struct ll *l = &s->g->l;
    val all = scan_identity(s);
    for (unsigned i = 0; i < SCAN_WAYS; i++) {
        val x = i ? gpu_shuffle_xor(s->g, v, i, s->dtype) : v;
        all = ll_select(l, ll_lt(l, ll_i64(l, i), count), scan_combine(s, all, x), all);
    }
    return all;
}

static val chunk_of_block(struct one_pass *o)
{
    struct ll *l = &o->s->g->l;
    return ll_add(l, o->first_chunk, ll_div(l, o->s->block, ll_i64(l, SCAN_WAYS)));
}

/* What a chunk or a group of totals comes to, where this block is the last one in it. */
static void tell_totals(struct one_pass *o, const struct place *p, val all, val of_block)
{
    struct scan *s = o->s;
    struct ll *l = &s->g->l;
    val no = LLVMConstNull(l->i1), chunk = scan_combine(s, gpu_shuffle_xor(s->g, all, SCAN_WAYS, s->dtype), of_block);
    val zero = ll_eq(l, p->level, ll_i64(l, 0)), of_group = is_last_of(o, PER_GROUP);
    val tells = ll_select(l, of_group, by_level(l, p->level, no, LLVMBuildNot(l->b, is_last_of(o, TREE_BLOCK), ""), no), zero);
    tells = both(l, both(l, tells, is_last_of(o, SCAN_WAYS)), ll_eq(l, p->lane, ll_i64(l, 0)));
    struct branch telling = gen_if(s->g, tells);
    tell(o, chunk_of_block(o), scan_combine(s, all, ll_select(l, zero, of_block, chunk)));
    gen_if_end(s->g, &telling);
}

static void look_back(struct one_pass *o, val of_block)
{
    struct scan *s = o->s;
    struct ll *l = &s->g->l;
    struct branch warps = gen_if(s->g, ll_lt(l, thread(s), ll_i64(l, LEVELS * WARP)));
    struct place p = place_of(o);
    val v = await(o, p.wanted, p.index), all = fold(s, v, p.count);
    struct branch first = gen_if(s->g, ll_eq(l, p.lane, ll_i64(l, 0)));
    scan_put(s, o->before, p.level, all);
    gen_if_end(s->g, &first);
    struct branch last = gen_if(s->g, ll_eq(l, thread(s), ll_i64(l, (LEVELS - 1) * WARP + SCAN_WAYS)));
    scan_put(s, o->before, ll_i64(l, LEVELS), v);
    gen_if_end(s->g, &last);
    tell_totals(o, &p, all, of_block);
    gen_if_end(s->g, &warps);
}

/* `of_block`, joined to what is before it on each level. */
static val joined(struct one_pass *o, val of_block)
{
    struct scan *s = o->s;
    val all = scan_take(s, o->before, ll_i64(&s->g->l, 0), 1);
    if (of_block)
        all = scan_combine(s, all, of_block);
    for (unsigned level = 1; level <= LEVELS; level++)
        all = scan_combine(s, scan_take(s, o->before, ll_i64(&s->g->l, level), 1), all);
    return all;
}

val scan_before_block(struct one_pass *o, val of_block)
{
    struct scan *s = o->s;
    struct ll *l = &s->g->l;
    val none = scan_identity(s);
    block here = ll_here(l);
    struct branch many = gen_if(s->g, o->many);
    look_back(o, of_block);
    gpu_barrier(s->g);
    struct branch last = gen_if(s->g, both(l, is_last_of(o, TREE_BLOCK), ll_eq(l, thread(s), ll_i64(l, 0))));
    tell(o, chunk_of_block(o), joined(o, of_block));
    gen_if_end(s->g, &last);
    val all = joined(o, NULL);
    block from = ll_here(l);
    gen_if_end(s->g, &many);
    val out = ll_phi(l, LLVMTypeOf(none), none, here);
    ll_phi_add(out, all, from);
    return out;
}
