/* The verifier finds each fault, put alone into a sound program. */
#include <string.h>
#include "fixture.h"

static void expect_fault(const char *says)
{
    const char *fault = ir_verify(&ir);
    if (!fault || !strstr(fault, says))
        fail_msg("expected '%s': %s", says, fault ? fault : "sound");
}

/* Each fault alone, put into a sound program and taken out again. */
#define BREAK(place, value, says)                                                                            \
    do {                                                                                                     \
        __typeof__(place) whole = place;                                                                     \
        assert_null(ir_verify(&ir));                                                                         \
        place = value;                                                                                       \
        expect_fault(says);                                                                                  \
        place = whole;                                                                                       \
    } while (0)

static void test_verifier(void **state)
{
    ir_id x = input("x", DT_float64, 2), y = two(OP_multiply, DT_float64, x, x),
          less = two(OP_less, DT_bool, x, y);
    ir_id sum = ir_reduce(&ir, OP_sum, y, 2, true, NOWHERE), z = two(OP_add, DT_float64, y, sum);
    uint32_t region = ir_region_begin(&ir);
    ir_id slow = two(OP_divide, DT_float64, x, y);
    ir_region_end(&ir);
    ir_id rarely = ir_rarely(&ir, less, region, slow, z, 0, NOWHERE, &diags);
    ir_id view = ir_view(&ir, x, (struct ir_step){.kind = STEP_INDEX, .axis = 0}, NOWHERE, &diags),
          bits = ir_bitcast(&ir, view, DT_int64, NOWHERE);
    ir_id chosen = ir_elem(&ir, OP_where, DT_float64, (ir_id[]){less, y, x}, 3, 0, NOWHERE, &diags),
          many = ir_count(&ir, x, 1, NOWHERE), number = ir_table(&ir, (enum table)0, 1, bits, NOWHERE);
    const ir_id ends[] = {rarely, bits, chosen, many, number};
    (void)state;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        vec_push(&arena, &ir.outputs, ((struct ir_output){.node = ends[i]}));

    BREAK(ir_at(&ir, z)->dtype, DT_none, "has no type");
    BREAK(ir_at(&ir, z)->dtype, DT_COUNT, "has no type");
    BREAK(ir_at(&ir, z)->dtype, DT_float32, "the type of its arguments");
    BREAK(ir_at(&ir, less)->dtype, DT_float64, "the type of its arguments");
    BREAK(ir_at(&ir, z)->op, OP_none, "no operation");
    BREAK(ir_at(&ir, z)->op, OP_COUNT, "no operation");
    BREAK(ir_at(&ir, z)->op, OP_mean, "no operation of the IR");
    BREAK(ir_at(&ir, z)->op, OP_left_shift, "not a primitive");
    BREAK(ir_at(&ir, z)->op, OP_power, "not a primitive");
    BREAK(ir_at(&ir, z)->n_args, 1, "too few or too many");
    BREAK(ir_at(&ir, z)->n_args, 3, "too few or too many");
    BREAK(ir_at(&ir, z)->n_args, 200, "not made before it");
    BREAK(ir_at(&ir, z)->shape, 99, "has no shape");
    BREAK(ir_at(&ir, z)->shape, 0, "the axes of its arguments");
    BREAK(ir_at(&ir, z)->region, 99, "a region that is not there");
    BREAK(ir_at(&ir, z)->args[0], less, "different types");
    BREAK(ir_at(&ir, y)->args[0], z, "not made before it");
    BREAK(ir_at(&ir, y)->args[0], y, "not made before it");
    BREAK(ir_at(&ir, y)->args[0], 0, "before it is made");
    BREAK(ir_at(&ir, chosen)->args[0], y, "different types");
    BREAK(ir_at(&ir, rarely)->args[2], slow, "a region it cannot see");
    BREAK(ir_at(&ir, rarely)->args[0], y, "different types");
    BREAK(ir_at(&ir, rarely)->attr, 0, "a region that is not there");
    BREAK(ir_at(&ir, rarely)->attr, 99, "a region that is not there");
    BREAK(ir.regions.at[region].owner, z, "own its region");
    BREAK(ir_at(&ir, x)->attr, 5, "no input");
    BREAK(ir_at(&ir, x)->shape, 0, "what the input is declared");
    BREAK(ir.inputs.at[0].dtype, DT_int32, "what the input is declared");
    BREAK(ir_at(&ir, sum)->attr, 4, "axes that are not there");
    BREAK(ir_at(&ir, sum)->attr, 2, "the axes that are kept");
    BREAK(ir_at(&ir, sum)->attr, 1u << 20, "axes that are not there");
    BREAK(ir_at(&ir, sum)->dtype, DT_float32, "the type of its argument");
    BREAK(ir_at(&ir, many)->dtype, DT_int32, "is not int64");
    BREAK(ir_at(&ir, view)->attr, 9, "no view");
    BREAK(ir_at(&ir, view)->args[0], y, "not in memory");
    BREAK(ir_at(&ir, bits)->dtype, DT_int32, "the size of an element");
    BREAK(ir_at(&ir, number)->attr, TABLE_COUNT * TABLE_COLUMNS, "of no table");
    BREAK(ir_at(&ir, number)->dtype, DT_float16, "of no table");
    BREAK(ir_at(&ir, number)->args[0], view, "no index of its numbers' width");
    BREAK(ir_at(&ir, number)->shape, 0, "the axes of its arguments");
    BREAK(ir.shapes.at[0].rank, 9, "too many axes");
    BREAK(ir.shapes.at[ir_at(&ir, x)->shape].dim[1], 99, "a dim that is not there");
    BREAK(ir.outputs.at[0].node, 0, "an output is poison");
    BREAK(ir.outputs.at[0].node, 999, "an output is poison");
    assert_null(ir_verify(&ir));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_verifier),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
