/* Numbers of a table: known where the index is, told apart by table, column and index, looked up in parts. */
#include <string.h>
#include "fixture.h"

/* A table's numbers: which table, column and index they are of tells them apart; of a known index they are known. */
static void test_tables(void **state)
{
    (void)state;
    for (unsigned t = 0; t < TABLE_COUNT; t++) {
        const enum dtype dtype = table_table[t].dtype;
        ir_anew();
        ir_id i = input("i", type_bits(dtype), 1), j = input("j", type_bits(dtype), 1);
        ir_id first = ir_table(&ir, (enum table)t, 0, i, NOWHERE);
        assert_int_equal(ir_at(&ir, first)->dtype, dtype);
        assert_int_equal(ir_at(&ir, first)->shape, ir_at(&ir, i)->shape);
        assert_int_equal(first, ir_table(&ir, (enum table)t, 0, i, NOWHERE));
        assert_int_not_equal(first, ir_table(&ir, (enum table)t, 1, i, NOWHERE));
        assert_int_not_equal(first, ir_table(&ir, (enum table)t, 0, j, NOWHERE));
        for (unsigned other = 0; other < TABLE_COUNT; other++)
            if (other != t && table_table[other].dtype == dtype)
                assert_int_not_equal(first, ir_table(&ir, (enum table)other, 0, i, NOWHERE));
        for (unsigned column = 0; column < TABLE_COLUMNS; column++)
            for (int row = -3; row < 3; row++) {
                size_t size = type_table[dtype].size, at = ((uint32_t)row & (table_table[t].rows - 1)) * TABLE_COLUMNS + column;
                ir_id known = ir_table(&ir, (enum table)t, column, ir_const(&ir, type_bits(dtype), (uint64_t)(int64_t)row, 0, NOWHERE), NOWHERE);
                assert_int_equal(ir_at(&ir, known)->op, OP_const);
                assert_memory_equal(&ir_at(&ir, known)->attr, (const char *)table_table[t].data + at * size, size);
            }
    }
}

/* A part of what is looked up is looked up by a part of the indices. */
static void test_part_of_a_table(void **state)
{
    ir_id i = input("i", type_bits(table_table[0].dtype), 1), all = ir_table(&ir, (enum table)0, 2, i, NOWHERE);
    struct ir_step step = {.kind = STEP_SLICE, .slice = {.step = 2}};
    ir_id part = ir_view(&ir, all, step, NOWHERE, &diags);
    (void)state;
    assert_int_equal(ir_at(&ir, part)->op, OP_table);
    assert_int_equal(ir_at(&ir, part)->attr, ir_at(&ir, all)->attr);
    assert_int_equal(ir_at(&ir, ir_at(&ir, part)->args[0])->op, OP_view);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_tables),
        TEST(test_part_of_a_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
