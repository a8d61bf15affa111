/* Nodes as they are made: equal ones are one, what a limit or a rare side does to them, which are seen from where and live. */
#include <stdio.h>
#include <stdlib.h>
#include "fixture.h"
#include "plans.h"

static void test_equal_nodes(void **state)
{
    ir_id x = input("x", DT_float64, 1), y = input("y", DT_float64, 1);
    (void)state;
    assert_int_equal(two(OP_add, DT_float64, x, y), two(OP_add, DT_float64, x, y));
    assert_int_equal(two(OP_add, DT_float64, x, y), two(OP_add, DT_float64, y, x));
    assert_int_not_equal(two(OP_subtract, DT_float64, x, y), two(OP_subtract, DT_float64, y, x));
    assert_int_equal(real(2), real(2));
    assert_int_not_equal(real(0.0), real(-0.0));
    assert_int_not_equal(
        real(2), ir_const(&ir, DT_int64, 0x4000000000000000, 0, NOWHERE)); /* the same bits, another type */
    assert_int_equal(ir_reduce(&ir, OP_sum, x, 1, false, NOWHERE),
                     ir_reduce(&ir, OP_sum, x, 1, false, NOWHERE));
    assert_int_not_equal(ir_reduce(&ir, OP_sum, x, 1, false, NOWHERE),
                         ir_reduce(&ir, OP_sum, x, 1, true, NOWHERE));
}

static void test_many_nodes(void **state)
{
    enum { N = 5000 };
    static ir_id first[N];
    ir_id x = input("x", DT_float64, 1);
    (void)state;
    for (int i = 0; i < N; i++)
        first[i] = two(OP_multiply, DT_float64, x, real(i + 2));
    for (int i = 0; i < N; i++)
        assert_int_equal(two(OP_multiply, DT_float64, x, real(i + 2)), first[i]);
    assert_null(ir_verify(&ir));
}

/* The library's raw bits are a node of their own: what keeps a nan as it is must not stand in for what makes it canonical. */
static void test_raw_bits(void **state)
{
    ir_id x = input("x", DT_float64, 1);
    ir_id raw = ir_bitcast_of_number(&ir, x, DT_int64, NOWHERE), bits = ir_bitcast(&ir, x, DT_int64, NOWHERE);
    (void)state;
    assert_int_not_equal(raw, bits);
    assert_int_equal(raw, ir_bitcast_of_number(&ir, x, DT_int64, NOWHERE));
    assert_int_equal(bits, ir_bitcast(&ir, x, DT_int64, NOWHERE));
}

/* Many declared inputs with extents change their nodes' hashes: this used to fill the table and never end. */
static void test_many_params(void **state)
{
    enum { N = 600 };
    char *text = malloc(N * 40), *at = text;
    struct test_plan p;
    (void)state;
    for (int i = 0; i < N; i++)
        at += sprintf(at, "param a%d: float64[n%d, 3]\n", i, i % 7);
    sprintf(at, "a0");
    assert_true(plan_make(&p, text, DT_float64) || p.diags.n); /* rank 1 is given: an error, but an answer */
    plan_fini(&p);
    free(text);
}

static void test_node_limit(void **state)
{
    (void)state;
    ir_init(&ir, &arena, 50);
    volatile int made = 0;
    if (setjmp(failed) == 0) {
        for (;; made++)
            real(made);
    }
    assert_int_equal(arena.failure, ARENA_TOO_MANY);
    assert_in_range(made, 40, 50);
}

/* The side that is taken for certain must have the shape of the whole. */
static void test_rarely_keeps_shape(void **state)
{
    ir_id x = input("x", DT_float64, 1), s = input("s", DT_float64, 0),
          no = ir_const(&ir, DT_bool, 0, 0, NOWHERE);
    uint32_t region = ir_region_begin(&ir);
    ir_region_end(&ir);
    (void)state;
    assert_int_equal(ir_rarely(&ir, no, region, s, x, 0, NOWHERE, &diags), x);
    ir_id r = ir_rarely(&ir, no, region, x, s, 0, NOWHERE, &diags);
    assert_int_equal(ir_at(&ir, r)->shape, ir_at(&ir, x)->shape);
}

static void test_regions(void **state)
{
    ir_id x = input("x", DT_float64, 1), big = two(OP_greater, DT_bool, x, real(10)),
          fast = two(OP_add, DT_float64, x, real(1));
    uint32_t region = ir_region_begin(&ir);
    ir_id slow = two(OP_divide, DT_float64, x, real(3)), same = two(OP_add, DT_float64, x, real(1));
    ir_region_end(&ir);
    ir_id r = ir_rarely(&ir, big, region, slow, fast, 0, NOWHERE, &diags),
          outside = two(OP_divide, DT_float64, x, real(3));
    uint8_t live[64];
    (void)state;
    assert_int_equal(same, fast);        /* what is computed outside is seen inside */
    assert_int_not_equal(slow, outside); /* and not the other way round */
    vec_push(&arena, &ir.outputs, ((struct ir_output){.node = r}));
    assert_null(ir_verify(&ir));
    ir_live(&ir, live);
    assert_true(live[slow] && live[fast] && live[big] && !live[outside]);
    ir_at(&ir, r)->args[2] = slow; /* the fast side reaches into the slow one */
    assert_non_null(ir_verify(&ir));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_equal_nodes),
        TEST(test_many_nodes),
        TEST(test_raw_bits),
        TEST(test_many_params),
        TEST(test_node_limit),
        TEST(test_rarely_keeps_shape),
        TEST(test_regions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
