/*
 * The fixed tree and the scheme of scans (src/ir/ir.h), one sequence after another in plain loops: what generated code is compared with.
 */
#include <string.h>
#include "ir/eval.h"
#include "ir/tree.h"

static void combine(const struct tree *r, void *into, const void *x)
{
    const void *args[] = {into, x, x};
    char out[8];
    eval_prim(op_prim(op_table[r->op].combine, r->dtype), r->dtype, out, args, 1, NULL);
    memcpy(into, out, r->size);
}

void tree_init(struct tree *r, enum op op, enum dtype dtype)
{
    r->op = op;
    r->dtype = dtype;
    r->size = type_table[dtype].size;
    double real[] = {[IDENTITY_ZERO] = -0.0, [IDENTITY_ONE] = 1, [IDENTITY_LOWEST] = -1.0 / 0.0, [IDENTITY_HIGHEST] = 1.0 / 0.0};
    /* conversion of an infinity to an integer gives its extreme */
    eval_cast(r->dtype, r->identity, DT_float64, &real[op_table[r->op].identity], 1);
    if (r->dtype == DT_bool)
        r->identity[0] = op_table[r->op].identity == IDENTITY_ONE || op_table[r->op].identity == IDENTITY_HIGHEST;
}

/* Element i of the sequence goes to lane i mod lanes; lanes are joined by halving. */
static void lanes_tree(struct tree *r, const char *sequence, int64_t n, int64_t lanes, void *out)
{
    for (int64_t j = 0; j < lanes; j++)
        memcpy(r->lane + (size_t)j * r->size, r->identity, r->size);
    for (int64_t i = 0; i < n; i++)
        combine(r, r->lane + (size_t)(i % lanes) * r->size, sequence + (size_t)i * r->size);
    for (int64_t half = lanes / 2; half >= 1; half /= 2)
        for (int64_t j = 0; j < half; j++)
            combine(r, r->lane + (size_t)j * r->size, r->lane + (size_t)(j + half) * r->size);
    memcpy(out, r->lane, r->size);
}

void tree_lanes(struct tree *r, char *sequence, int64_t n, void *out)
{
    int64_t lanes = TREE_LANE_BYTES / (int64_t)(r->size < 4 ? 4 : r->size), blocks = 0;
    for (int64_t i = 0; i < n; i += TREE_BLOCK, blocks++) {
        int64_t length = n - i < TREE_BLOCK ? n - i : TREE_BLOCK;
        lanes_tree(r, sequence + (size_t)i * r->size, length, lanes, sequence + (size_t)blocks * r->size);
    }
    lanes_tree(r, sequence, blocks, TREE_JOIN_LANES, out);
}

void tree_columns(struct tree *r, char *sequence, int64_t n, void *out)
{
    memcpy(out, r->identity, r->size);
    do {
        int64_t chunks = 0;
        for (int64_t i = 0; i < n; i += TREE_CHUNK, chunks++) {
            memcpy(out, r->identity, r->size);
            for (int64_t k = i; k < n && k < i + TREE_CHUNK; k++)
                combine(r, out, sequence + (size_t)k * r->size);
            memcpy(sequence + (size_t)chunks * r->size, out, r->size);
        }
        n = chunks;
    } while (n > 1);
}

/* ---- scans ---- */

/* What is before stands on the left. */
static void join_before(const struct tree *r, const void *before, char *x, int64_t n)
{
    char all[8];
    for (int64_t i = 0; i < n; i++) {
        memcpy(all, before, r->size);
        combine(r, all, x + (size_t)i * r->size);
        memcpy(x + (size_t)i * r->size, all, r->size);
    }
}

/* In place; `before` is what came before the sequence, and after it what came to its end. */
static void scan_level(const struct tree *r, char *x, int64_t n, int64_t span, void *before)
{
    char inner[8];
    for (int64_t i = 0; i < n; i += span) {
        int64_t length = n - i < span ? n - i : span;
        char *part = x + (size_t)i * r->size;
        memcpy(inner, r->identity, r->size);
        if (span > 1)
            scan_level(r, part, length, span / SCAN_WAYS, inner);
        else
            memcpy(inner, part, r->size);
        join_before(r, before, part, length);
        combine(r, before, inner);
    }
}

static int64_t block_at(int64_t i, int64_t n)
{
    return n - i < TREE_BLOCK ? n - i : TREE_BLOCK;
}

static void scan_totals(const struct tree *r, char *x, int64_t n)
{
    char before[8], total[8];
    memcpy(before, r->identity, r->size);
    for (int64_t i = 0; i < n; i += TREE_BLOCK) {
        char *part = x + (size_t)i * r->size;
        memcpy(total, r->identity, r->size);
        scan_level(r, part, block_at(i, n), TREE_BLOCK / SCAN_WAYS, total);
        join_before(r, before, part, block_at(i, n));
        combine(r, before, total);
    }
}

void tree_scan(const struct tree *r, char *x, int64_t n, char *totals)
{
    int64_t blocks = 0;
    for (int64_t i = 0; i < n; i += TREE_BLOCK, blocks++) {
        char *total = totals + (size_t)blocks * r->size;
        memcpy(total, r->identity, r->size);
        scan_level(r, x + (size_t)i * r->size, block_at(i, n), TREE_BLOCK / SCAN_WAYS, total);
    }
    scan_totals(r, totals, blocks);
    for (int64_t b = 1; b < blocks; b++)
        join_before(r, totals + (size_t)(b - 1) * r->size, x + (size_t)b * TREE_BLOCK * r->size, block_at(b * TREE_BLOCK, n));
}
