/* The fixed reduction tree, written down once more and plainly, against the evaluator: over the last axis, the first, and two around a kept one. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "fixture.h"

static const enum op joined[] = {[0] = OP_sum, OP_prod, OP_min, OP_max};

static double join64(enum op op, double a, double b)
{
    if (op == OP_sum || op == OP_prod)
        return op == OP_sum ? a + b : a * b;
    return op == OP_min ? (b < a ? b : a) : (b > a ? b : a);
}

static float join32(enum op op, float a, float b)
{
    if (op == OP_sum || op == OP_prod)
        return op == OP_sum ? a + b : a * b;
    return op == OP_min ? (b < a ? b : a) : (b > a ? b : a);
}

static double join(enum op op, enum dtype t, double a, double b)
{
    return t == DT_float64 ? join64(op, a, b) : (double)join32(op, (float)a, (float)b);
}

static double nothing(enum op op)
{
    return op == OP_sum ? -0.0 : op == OP_prod ? 1 : op == OP_min ? INFINITY : -INFINITY;
}

static double lanes_of(enum op op, enum dtype t, const double *x, size_t n, size_t lanes)
{
    double lane[1024];
    for (size_t i = 0; i < lanes; i++)
        lane[i] = nothing(op);
    for (size_t i = 0; i < n; i++)
        lane[i % lanes] = join(op, t, lane[i % lanes], x[i]);
    for (lanes /= 2; lanes; lanes /= 2)
        for (size_t i = 0; i < lanes; i++)
            lane[i] = join(op, t, lane[i], lane[i + lanes]);
    return lane[0];
}

static double last_axis(enum op op, enum dtype t, const double *x, size_t n)
{
    size_t blocks = (n + 4095) / 4096;
    double *partial = malloc((blocks + 1) * sizeof *partial), r;
    for (size_t b = 0; b < blocks; b++)
        partial[b] = lanes_of(op, t, x + b * 4096, n - b * 4096 < 4096 ? n - b * 4096 : 4096,
                              t == DT_float64 ? 64 : 128);
    r = lanes_of(op, t, partial, blocks, 1024);
    free(partial);
    return n == 0 && op == OP_sum ? 0.0 : r;
}

static double other_axis(enum op op, enum dtype t, double *x, size_t n)
{
    double r = nothing(op);
    size_t chunks = (n + 255) / 256;
    if (n <= 256) {
        for (size_t i = 0; i < n; i++)
            r = join(op, t, r, x[i]);
        return n == 0 && op == OP_sum ? 0.0 : r;
    }
    double *partial = malloc(chunks * sizeof *partial);
    for (size_t c = 0; c < chunks; c++)
        partial[c] = other_axis(op, t, x + c * 256, n - c * 256 < 256 ? n - c * 256 : 256);
    r = other_axis(op, t, partial, chunks);
    free(partial);
    return r;
}

/* Values whose products neither vanish nor overflow; all are floats. */
static double gentle(void)
{
    return (double)(float)((pick(2) ? 1 : -1) * (0.75 + pick(1 << 20) / 2097152.0));
}

/* Every sum of a few rounds: numbers without a mean, of many sizes, all bits in use. */
static double wild(void)
{
    double whole = (double)pick(1u << 31) * 2147483648.0 + (double)pick(1u << 31);
    return (whole - 2305843009213693952.0) * (double)(1 + pick(1023));
}

static double value_for(enum op op, enum dtype t)
{
    double v = op == OP_prod ? gentle() : wild();
    return t == DT_float32 ? (double)(float)v : v;
}

/* The array is [before, n, kept]: n and `before` are reduced when last is false, else the array is [kept, before, n]. */
static void compare_tree(enum op op, enum dtype t, size_t n, size_t before, size_t kept, bool last)
{
    size_t length = n * before, size = type_table[t].size;
    double *x = malloc((length * kept + 1) * sizeof *x), *row = malloc((length + 1) * sizeof *row);
    char *data = malloc((length * kept + 1) * size);
    int64_t extents[1][IR_MAX_RANK] = {{0}}, values[8],
            order[3] = {(int64_t)before, (int64_t)n, (int64_t)kept}, step = (int64_t)size;
    struct ir_array array = {.data = data};
    struct ir_faults faults = {0};
    double got[4];
    if (last)
        order[0] = (int64_t)kept, order[1] = (int64_t)before, order[2] = (int64_t)n;
    for (size_t i = 0; i < length * kept; i++)
        x[i] = value_for(op, t);
    eval_cast(t, data, DT_float64, x, length * kept);
    for (int d = 2; d >= 0; d--, step *= order[d + 1])
        extents[0][d] = order[d], array.stride[d] = step;
    ir_anew();
    vec_push(
        &arena, &ir.outputs,
        ((struct ir_output){.node = ir_reduce(&ir, op, input("x", t, 3), last ? 6 : 3, false, NOWHERE)}));
    for (uint32_t d = 0; d < ir.dims.n; d++)
        values[d] = ir.dims.at[d].kind == DIM_INPUT ? extents[0][ir.dims.at[d].axis] : 1;
    assert_true(ir_eval(&ir, &array, values, (void *[]){got}, &faults));
    for (size_t k = 0; k < kept; k++) {
        for (size_t i = 0; i < length; i++)
            row[i] = last ? x[k * length + i] : x[i * kept + k];
        double want = last ? last_axis(op, t, row, length) : other_axis(op, t, row, length);
        char bits[8];
        eval_cast(t, bits, DT_float64, &want, 1);
        if (memcmp((char *)got + k * size, bits, size))
            fail_msg("%s of %s, %zu times %zu elements, %s axes: not the tree", op_table[op].name,
                     type_table[t].name, before, n, last ? "last" : "first");
    }
    free(x);
    free(row);
    free(data);
}

/* Results of more blocks than lanes, and of three levels of chunks: few operations, large arrays. */
static void test_long_sequences(void **state)
{
    static const size_t rows[] = {4200000, 4999999, 6000000, 8400000}, columns[] = {65536, 70000, 200000};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        compare_tree(OP_sum, DT_float64, rows[i], 1, 1, true);
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        compare_tree(OP_sum, DT_float64, columns[i], 1, 3, false);
}

static void test_tree_of_operations(void **state)
{
    static const size_t lengths[] = {0,   1,    2,    127,  128,  129,  255,  256,
                                     257, 1023, 1024, 1025, 4095, 4096, 4097, 100003};
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (size_t k = 0; k < sizeof joined / sizeof *joined; k++)
            for (int last = 0; last < 2; last++) {
                compare_tree(joined[k], DT_float32, lengths[i], 1, 2, last);
                compare_tree(joined[k], DT_float64, lengths[i], 1, 2, last);
                if (lengths[i] < 5000) {
                    compare_tree(joined[k], DT_float32, lengths[i], 7, 3, last);
                    compare_tree(joined[k], DT_float64, lengths[i], 7, 3, last);
                }
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_tree_of_operations),
        TEST(test_long_sequences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
