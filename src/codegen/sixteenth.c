/*
 * Numbers out of the tables of grammar/sixteenths.def by the first four bits of a positive normal number's significand, its exponent, and scaling by powers
 * of two. AVX-512 has instructions for all three, and holds a table in a register or two; AVX2 holds sixteen float32 in two. Other processors read memory.
 */
#include "gen.h"

enum { ROWS = 16 };
enum sixteenth { SIXTEENTH_reciprocal, SIXTEENTH_log2 };

static const double numbers[][2][ROWS] = {
#define SIXTEENTHS(id, type, ...) [SIXTEENTH_##id][DT_##type == DT_float64] = {__VA_ARGS__},
#include "sixteenths.def"
#undef SIXTEENTHS
};

/* The bits, without a sign for all that is in the domain. */
static val bits_of(struct ll *l, val v)
{
    return LLVMBuildBitCast(l->b, v, ll_vec(ll_is_wide(l, v) ? l->i64 : l->i32, ll_width(v)), "");
}

static val integer(struct ll *l, val like, uint64_t v)
{
    return ll_splat(l, LLVMConstInt(ll_scalar(LLVMTypeOf(like)), v, 0), ll_width(like));
}

static val bits_from(struct ll *l, val v, unsigned wide_shift, unsigned shift)
{
    val bits = bits_of(l, v);
    return LLVMBuildLShr(l->b, bits, integer(l, bits, ll_is_wide(l, v) ? wide_shift : shift), "");
}

static val constants(type t, const double *from, unsigned n)
{
    val row[ROWS];
    for (unsigned i = 0; i < n; i++)
        row[i] = LLVMConstReal(t, from[i]);
    return LLVMConstVector(row, n);
}

/* Fills up with elements that nobody looks at. */
static val filled_up(struct ll *l, val v, unsigned n)
{
    val idx[LL_MOST_LANES];
    for (unsigned i = 0; i < n; i++)
        idx[i] = ll_i32(l, (int)(i < ll_width(v) ? i : 0));
    if (ll_width(v) == 1)
        v = LLVMBuildInsertElement(l->b, LLVMGetPoison(ll_vec(LLVMTypeOf(v), n)), v, ll_i32(l, 0), "");
    return LLVMBuildShuffleVector(l->b, v, LLVMGetPoison(LLVMTypeOf(v)), LLVMConstVector(idx, n), "");
}

/* Of vectors that are no whole register too. */
static val by_whole_registers(struct gen *g, const val *v, unsigned n, of_register *of, void *with)
{
    struct ll *l = &g->l;
    val whole[2];
    if (fills_registers(g, v[0]))
        return by_registers(g, v, n, of, with);
    for (unsigned i = 0; i < n; i++)
        whole[i] = filled_up(l, v[i], register_width(g, v[0]));
    return ll_part(l, of(g, whole, with), 0, ll_width(v[0]));
}

/* The index of an element is in the low four bits; the others do not count. */
static val of_avx512(struct gen *g, const val *v, void *table)
{
    const double *from = table;
    struct ll *l = &g->l;
    val at = bits_from(l, *v, 48, 19);
    if (!ll_is_wide(l, *v)) {
        val args[] = {constants(l->f32, from, ROWS), at};
        return ll_intrinsic(l, "llvm.x86.avx512.permvar.sf.512", NULL, 0, args, 2);
    }
    val args[] = {constants(l->f64, from, ROWS / 2), at, constants(l->f64, from + ROWS / 2, ROWS / 2)};
    return ll_intrinsic(l, "llvm.x86.avx512.vpermi2var.pd.512", NULL, 0, args, 3);
}

/* Of float32. The low three bits count; the fourth chooses between two tables. */
static val of_avx2(struct gen *g, const val *v, void *table)
{
    const double *from = table;
    struct ll *l = &g->l;
    val bits = bits_of(l, *v), at = bits_from(l, *v, 0, 19),
        half = LLVMBuildShl(l->b, bits, integer(l, bits, 9), "");
    val low[] = {constants(l->f32, from, ROWS / 2), at},
        high[] = {constants(l->f32, from + ROWS / 2, ROWS / 2), at};
    return ll_select(l, LLVMBuildICmp(l->b, LLVMIntSLT, half, integer(l, bits, 0), ""),
                     ll_intrinsic(l, "llvm.x86.avx2.permps", NULL, 0, high, 2),
                     ll_intrinsic(l, "llvm.x86.avx2.permps", NULL, 0, low, 2));
}

/* A table, of which the logarithms make up for the bias of the exponents that they are added to; getexp and float64 have none. */
static void take(const struct gen *g, enum sixteenth id, bool wide, double *to)
{
    const double bias = id == SIXTEENTH_log2 && !wide && !gen_has_avx512(g) ? 127 : 0;
    for (unsigned i = 0; i < ROWS; i++)
        to[i] = numbers[id][wide][i] - bias;
}

/* Both tables, a row for each sixteenth. */
static val rows_in_memory(struct gen *g, type t)
{
    const bool wide = t == g->l.f64;
    double column[2][ROWS];
    val all[2 * ROWS];
    for (unsigned id = 0; id < 2; id++)
        take(g, (enum sixteenth)id, wide, column[id]);
    for (unsigned i = 0; i < 2 * ROWS; i++)
        all[i] = LLVMConstReal(t, column[i % 2][i / 2]);
    return gen_global(g, LLVMConstArray2(t, all, 2 * ROWS), "sixteenths", 64);
}

static val row_at(struct gen *g, val rows, type t, val offset)
{
    struct ll *l = &g->l;
    val row = LLVMBuildLoad2(l->b, LLVMVectorType(t, 2), ll_offset(l, rows, offset), "");
    LLVMSetAlignment(row, t == l->f64 ? 16 : 8);
    return ll_invariant(l, row);
}

/* Of four rows a column: what both columns need comes first, so that it is done once. */
static val column_of_four(struct ll *l, const val *row, unsigned column)
{
    val even = ll_join(l, row[0], row[2]), odd = ll_join(l, row[1], row[3]), idx[4];
    for (unsigned i = 0; i < 4; i++)
        idx[i] = ll_i32(l, (int)(i / 2 * 2 + i % 2 * 4 + column));
    return LLVMBuildShuffleVector(l->b, even, odd, LLVMConstVector(idx, 4), "");
}

static val column_of_rows(struct ll *l, type t, const val *row, unsigned w, unsigned column)
{
    if (w == 4)
        return column_of_four(l, row, column);
    if (w > 4)
        return ll_join(l, column_of_rows(l, t, row, w / 2, column),
                       column_of_rows(l, t, row + w / 2, w / 2, column));
    val r = LLVMGetPoison(ll_vec(t, w));
    for (unsigned i = 0; i < w; i++)
        r = ll_insert(l, r, ll_extract(l, row[i], column), i);
    return r;
}

static val of_memory(struct gen *g, val v, enum sixteenth id)
{
    struct ll *l = &g->l;
    type t = ll_scalar(LLVMTypeOf(v));
    val rows = rows_in_memory(g, t), offset = bits_from(l, v, 44, 16), row[LL_MOST_LANES];
    offset = LLVMBuildAnd(l->b, offset, integer(l, offset, ll_is_wide(l, v) ? 0xf0 : 0x78), "");
    for (unsigned i = 0; i < ll_width(v); i++)
        row[i] = row_at(g, rows, t, ll_extract(l, offset, i));
    return column_of_rows(l, t, row, ll_width(v), id);
}

static val number_of(struct gen *g, enum sixteenth id, val v)
{
    double from[ROWS];
    take(g, id, ll_is_wide(&g->l, v), from);
    if (gen_has_avx512(g))
        return by_whole_registers(g, &v, 1, of_avx512, from);
    if (!g->gpu && g->target->vector_bits == 256 && !ll_is_wide(&g->l, v))
        return by_whole_registers(g, &v, 1, of_avx2, from);
    return of_memory(g, v, id);
}

val near_reciprocal(struct gen *g, val v)
{
    return number_of(g, SIXTEENTH_reciprocal, v);
}

static val getexp(struct gen *g, const val *v, void *unused)
{
    (void)unused;
    return by_avx512(g, "getexp", (val[]){v[0], LLVMConstNull(LLVMTypeOf(v[0]))}, 2);
}

static val scalef(struct gen *g, const val *v, void *unused)
{
    (void)unused;
    return by_avx512(g, "scalef", (val[]){v[0], v[1], LLVMConstNull(LLVMTypeOf(v[0]))}, 3);
}

/* By way of 2**52 + n, whose last bits are those of n: no x86 before AVX-512 converts integers of 64 bits. */
static val wide_exponent(struct ll *l, val v)
{
    val n = bits_from(l, v, 52, 0);
    n = LLVMBuildOr(l->b, n, integer(l, n, UINT64_C(0x4330000000000000)), "");
    return LLVMBuildFSub(l->b, LLVMBuildBitCast(l->b, n, LLVMTypeOf(v), ""),
                         ll_splat(l, LLVMConstReal(l->f64, 4503599627371519.0), ll_width(v)), "");
}

static val exponent(struct gen *g, val v)
{
    struct ll *l = &g->l;
    if (gen_has_avx512(g))
        return by_whole_registers(g, &v, 1, getexp, NULL);
    return ll_is_wide(l, v) ? wide_exponent(l, v)
                         : LLVMBuildSIToFP(l->b, bits_from(l, v, 0, 23), LLVMTypeOf(v),
                                           ""); /* with its bias: see `take` */
}

/* Every sum is exact. */
val near_log2(struct gen *g, val v)
{
    return LLVMBuildFAdd(g->l.b, exponent(g, v), number_of(g, SIXTEENTH_log2, v), "");
}

val tame_scale(struct gen *g, val v, val n, val low)
{
    struct ll *l = &g->l;
    if (gen_has_avx512(g))
        return by_whole_registers(g, (val[]){v, n}, 2, scalef, NULL);
    val bits = bits_of(l, low), up = LLVMBuildShl(l->b, bits, integer(l, bits, ll_is_wide(l, v) ? 52 : 23), "");
    return LLVMBuildBitCast(l->b, LLVMBuildAdd(l->b, bits_of(l, v), up, ""), LLVMTypeOf(v), "");
}
