/*
 * Rows of the math library's tables. All four numbers of a row are fetched when the first is asked for: a row lies side by side, so on the CPU
 * the rows of the lanes of a vector are loaded whole and transposed, which is far less than a load for each number; a GPU
 * reads one with loads of 16 bytes, and a CPU that gathers quickly takes pairs of float32 so. What nobody asks for is removed by LLVM, loads included: they are of constants.
 */
#include "gen.h"

enum { LANES_OF_WORD = 4 };

struct rows {
    struct gen *g;
    enum table table;
    type number;
    unsigned size, w;                        /* of a number; lanes */
    val base, row;                           /* the table; of the lanes: which row, on the CPU where it starts */
    val packed;                              /* `row` as words of LANES_OF_WORD lanes, or NULL */
    val word[LL_MOST_LANES / LANES_OF_WORD]; /* of these; NULL: not yet asked for */
    val offset[LL_MOST_LANES];               /* of `row`, per lane, i64; NULL: not yet asked for */
    val column[TABLE_COLUMNS];
};

/* ---- the table in the module ---- */

static val table_in(struct gen *g, enum table t)
{
    enum { CACHE_LINE = 64 };
    const struct table_info *info = &table_table[t];
    size_t bytes = (size_t)info->rows * table_row_size(t);
    return gen_global(g, LLVMConstDataArray(gen_type(g, info->dtype), info->data, bytes), info->name, CACHE_LINE);
}

/* ---- where rows start, in bytes ---- */

static val splat_like(struct gen *g, val v, uint64_t k)
{
    return ll_splat(&g->l, LLVMConstInt(ll_scalar(LLVMTypeOf(v)), k, 0), ll_width(v));
}

static unsigned log_of(unsigned n)
{
    unsigned log = 0;
    while (1u << log < n)
        log++;
    return log;
}

static val shifted(struct rows *r, val row)
{
    return LLVMBuildShl(r->g->l.b, row, splat_like(r->g, row, log_of(table_row_size(r->table))), "");
}

/* Of the lanes of a vector all at once. A GPU has no vectors, and its addresses take the shift. */
static void index_rows(struct rows *r, val index)
{
    val rows = splat_like(r->g, index, table_table[r->table].rows - 1);
    r->row = LLVMBuildAnd(r->g->l.b, index, rows, "");
    if (!r->g->gpu)
        r->row = shifted(r, r->row);
}

/*
 * Out of vector registers by words of four lanes, each lane 16 bits: taking out is what costs, for it needs the ports that the arithmetic and the shuffles
 * need; words are parted in scalar registers, which are idle. (Through memory it was two to three times slower on a Xeon.)
 */
static void pack_rows(struct rows *r)
{
    struct ll *l = &r->g->l;
    if (r->g->gpu || r->g->target->vector_bits != 512 || r->w % LANES_OF_WORD)
        return;
    val lanes = LLVMBuildTrunc(l->b, r->row, ll_vec(LLVMIntTypeInContext(l->ctx, 16), r->w), "");
    r->packed = LLVMBuildBitCast(l->b, lanes, ll_vec(l->i64, r->w / LANES_OF_WORD), "");
}

static val word_of(struct rows *r, unsigned k)
{
    struct ll *l = &r->g->l;
    if (!r->word[k])
        r->word[k] = ll_extract(l, r->packed, k);
    return r->word[k];
}

static val row_of(struct rows *r, unsigned lane)
{
    struct ll *l = &r->g->l;
    if (!r->packed)
        return ll_extract(l, r->row, lane);
    val word = word_of(r, lane / LANES_OF_WORD);
    word = LLVMBuildLShr(l->b, word, ll_i64(l, 16 * (lane % LANES_OF_WORD)), "");
    return LLVMBuildAnd(l->b, word, ll_i64(l, 0xffff), "");
}

/* Asked for lane by lane, just before the loads: all at once there are more than a processor has registers. */
static val offset_of(struct rows *r, unsigned lane)
{
    if (!r->offset[lane])
        r->offset[lane] = LLVMBuildZExtOrBitCast(r->g->l.b, row_of(r, lane), r->g->l.i64, "");
    return r->offset[lane];
}

/* ---- loads ---- */

static val load(struct rows *r, unsigned lane, unsigned column, unsigned n)
{
    struct ll *l = &r->g->l;
    val offset = offset_of(r, lane), at = ll_offset(l, r->base, r->g->gpu ? shifted(r, offset) : offset);
    if (column)
        at = ll_offset(l, at, ll_i64(l, column * r->size));
    val v = LLVMBuildLoad2(l->b, ll_vec(r->number, n), at, "");
    LLVMSetAlignment(v, n * r->size);
    return ll_invariant(l, v);
}

/* Number by number. */
static void fetch_singly(struct rows *r)
{
    struct ll *l = &r->g->l;
    for (unsigned c = 0; c < TABLE_COLUMNS; c++) {
        val v = LLVMGetPoison(ll_vec(r->number, r->w));
        for (unsigned i = 0; i < r->w; i++)
            v = ll_insert(l, v, load(r, i, c, 1), i);
        r->column[c] = v;
    }
}

/* By as many numbers as 16 bytes hold. */
static void fetch_by_sixteen_bytes(struct rows *r)
{
    struct ll *l = &r->g->l;
    const unsigned n = 16 / r->size;
    for (unsigned c = 0; c < TABLE_COLUMNS; c++)
        r->column[c] = LLVMGetPoison(ll_vec(r->number, r->w));
    for (unsigned i = 0; i < r->w; i++)
        for (unsigned c = 0; c < TABLE_COLUMNS; c++) {
            val part = c % n == 0 ? load(r, i, c, n) : NULL;
            for (unsigned k = 0; part && k < n; k++)
                r->column[c + k] = ll_insert(l, r->column[c + k], ll_extract(l, part, k), i);
        }
}

/* ---- transposed ---- */

static val shuffle(struct ll *l, val a, val b, const unsigned *at, unsigned n)
{
    val mask[LL_MOST_LANES];
    for (unsigned i = 0; i < n; i++)
        mask[i] = ll_i32(l, (int)at[i]);
    return LLVMBuildShuffleVector(l->b, a, b, LLVMConstVector(mask, n), "");
}

/* One after another; `n` of them, a power of two. */
static val joined_all(struct ll *l, val *v, unsigned n)
{
    for (; n > 1; n /= 2)
        for (unsigned i = 0; i < n / 2; i++)
            v[i] = ll_join(l, v[2 * i], v[2 * i + 1]);
    return v[0];
}

/* Of each block the elements (0, 1 of the low half, 2, 3 of the high one) of a and b in turn, `each` at a time: x86's unpck. */
static val interleaved(struct ll *l, val a, val b, unsigned block_n, unsigned each, bool high)
{
    unsigned at[LL_MOST_LANES] = {0}, n = ll_width(a), count = 0;
    for (unsigned from = high ? block_n / 2 : 0; from < n; from += block_n)
        for (unsigned k = 0; k < block_n / 2; k += each) {
            for (unsigned e = 0; e < each; e++)
                at[count++] = from + k + e;
            for (unsigned e = 0; e < each; e++)
                at[count++] = n + from + k + e;
        }
    return shuffle(l, a, b, at, n);
}

/* The rows of lanes `first`, `first + 4`, ...: n of them. */
static val whole_rows(struct rows *r, unsigned first, unsigned n)
{
    val v[16];
    for (unsigned i = 0; i < n; i++)
        v[i] = load(r, first + i * TABLE_COLUMNS, 0, TABLE_COLUMNS);
    return joined_all(&r->g->l, v, n);
}

/* Of n lanes from `first` on: pairs of rows within 16 bytes, then pairs of these. Columns that are side by side there come together. */
static void transpose(struct rows *r, unsigned first, unsigned n, val *column)
{
    struct ll *l = &r->g->l;
    const unsigned within = 16 / r->size;
    val v[TABLE_COLUMNS];
    for (unsigned k = 0; k < TABLE_COLUMNS; k++)
        v[k] = whole_rows(r, first + k, n / TABLE_COLUMNS);
    for (unsigned half = 0; half < 2; half++) {
        val a = interleaved(l, v[0], v[1], within, 1, half), b = interleaved(l, v[2], v[3], within, 1, half);
        for (unsigned k = 0; k < 2; k++)
            column[within == 2 ? half + 2 * k : 2 * half + k] = interleaved(l, a, b, TABLE_COLUMNS, 2, k);
    }
}

/* A register's lanes at a time, or as many as a row has numbers where a register has fewer. */
static void fetch_transposed(struct rows *r)
{
    val parts[TABLE_COLUMNS][16];
    unsigned n = r->g->target->vector_bits / (8 * r->size), count = 0;
    n = n < TABLE_COLUMNS ? TABLE_COLUMNS : n < r->w ? n : r->w;
    for (unsigned first = 0; first < r->w; first += n) {
        val column[TABLE_COLUMNS];
        transpose(r, first, n, column);
        for (unsigned c = 0; c < TABLE_COLUMNS; c++)
            parts[c][count] = column[c];
        count++;
    }
    for (unsigned c = 0; c < TABLE_COLUMNS; c++)
        r->column[c] = joined_all(&r->g->l, parts[c], count);
}

/* ---- gathered ---- */

enum { PAIRS = 8, GATHERED = 2 * PAIRS };

/* Two columns of float32, side by side, of eight lanes: as the one column of float64 that they would be. */
static val gathered_pairs(struct rows *r, unsigned first, unsigned column)
{
    struct ll *l = &r->g->l;
    type pair = ll_vec(l->f64, PAIRS), at = ll_vec(l->ptr, PAIRS), over[] = {pair, at};
    val offset = ll_part(l, r->row, first, PAIRS), from = ll_offset(l, r->base, ll_i64(l, column * r->size));
    val args[] = {LLVMBuildGEP2(l->b, l->i8, from, &offset, 1, ""), LLVMConstAllOnes(ll_vec(l->i1, PAIRS)), LLVMGetPoison(pair)};
    return LLVMBuildBitCast(l->b, ll_intrinsic(l, "llvm.masked.gather", over, 2, args, 3), ll_vec(r->number, GATHERED), "");
}

static val every_other(struct ll *l, val a, val b, unsigned from)
{
    unsigned at[GATHERED];
    for (unsigned i = 0; i < GATHERED; i++)
        at[i] = 2 * i + from;
    return shuffle(l, a, b, at, GATHERED);
}

static bool is_gathered(const struct rows *r)
{
    return r->g->target->gathers && r->size == 4 && r->w % GATHERED == 0;
}

static void fetch_gathered(struct rows *r)
{
    val parts[TABLE_COLUMNS][4];
    for (unsigned first = 0; first < r->w; first += GATHERED)
        for (unsigned c = 0; c < TABLE_COLUMNS; c += 2) {
            val low = gathered_pairs(r, first, c), high = gathered_pairs(r, first + PAIRS, c);
            for (unsigned k = 0; k < 2; k++)
                parts[c + k][first / GATHERED] = every_other(&r->g->l, low, high, k);
        }
    for (unsigned c = 0; c < TABLE_COLUMNS; c++)
        r->column[c] = joined_all(&r->g->l, parts[c], r->w / GATHERED);
}

/* ---- a node ---- */

static void fetch(struct rows *r, val index)
{
    r->base = table_in(r->g, r->table);
    index_rows(r, index);
    if (is_gathered(r)) {
        fetch_gathered(r);
        return;
    }
    pack_rows(r);
    if (r->g->gpu)
        fetch_by_sixteen_bytes(r);
    else if (r->w % TABLE_COLUMNS == 0)
        fetch_transposed(r);
    else
        fetch_singly(r);
}

/* Are they the ones fetched last? Nodes of a row come one after another. */
static bool is_at_hand(const struct gen *g, const struct body *b, const struct ir_node *n, val index)
{
    return b->row.fn == g->l.fn && b->row.index == index && b->row.table == ir_table_of(n) &&
           b->row.region == n->region;
}

void table_emit(struct gen *g, struct body *b, ir_id id, enum level level)
{
    const struct ir_node *n = ir_at(g->ir, id);
    val index = body_value(g, b, n->args[0]);
    struct rows r = {.g = g,
                     .table = ir_table_of(n),
                     .number = gen_type(g, n->dtype),
                     .size = type_table[n->dtype].size,
                     .w = ll_width(index)};
    if (!is_at_hand(g, b, n, index)) {
        fetch(&r, index);
        b->row = (struct table_row){.fn = g->l.fn, .index = index, .table = r.table, .region = n->region};
        memcpy(b->row.column, r.column, sizeof r.column);
    }
    body_set(b, id, level, b->row.column[ir_table_column(n)], body_fault_of(g, b, n->args[0]));
}
