/* PTX for every listed GPU is taken by ptxas, where there is one and it knows the GPU. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "codegen/codegen.h"
#include "plans.h"

static char ptxas[1024];

static bool runs(const char *command)
{
    return system(command) == 0;
}

static bool find_ptxas(void)
{
    char command[1200];
    const char *home = getenv("CUDA_HOME");
    snprintf(ptxas, sizeof ptxas, "ptxas");
    if (runs("ptxas --version >/dev/null 2>&1"))
        return true;
    if (!home)
        return false;
    snprintf(ptxas, sizeof ptxas, "'%s/bin/ptxas'", home);
    snprintf(command, sizeof command, "%s --version >/dev/null 2>&1", ptxas);
    return runs(command);
}

static bool knows(const char *arch)
{
    char command[1200];
    snprintf(command, sizeof command, "%s --help 2>/dev/null | grep -q \"'%s'\"", ptxas, arch);
    return runs(command);
}

static void assemble(const struct kernel_image *image, const char *arch, const char *program)
{
    char path[] = "/tmp/arex-ptx-XXXXXX", command[1400];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, image->bytes, image->size - 1), image->size - 1);
    close(fd);
    snprintf(command, sizeof command, "%s -arch=%s %s -o /dev/null", ptxas, arch, path);
    bool ok = runs(command);
    unlink(path);
    if (!ok)
        fail_msg("ptxas refuses %s for %s", program, arch);
}

static void one_plan(struct test_plan *p, const char *program, const char *arch)
{
    struct kernel_image image;
    struct codegen_job job = {.plan = p->plan, .variants = p->variants, .options = {.target = TARGET_NVPTX, .arch = arch}};
    assert_true(arex_llvm_api()->compile(&job, &image, NULL, &p->diags));
    assert_int_equal(image.kind, IMAGE_PTX);
    assert_int_equal(image.bytes[image.size - 1], 0);
    assert_true(image.n_entries >= 1);
    assemble(&image, arch, program);
    image_fini(&image);
    plan_fini(p);
}

static void one(const char *program, enum dtype dtype, const char *arch)
{
    struct test_plan p;
    assert_true(plan_make(&p, program, dtype));
    one_plan(&p, program, arch);
}

/* Every type that works, on the oldest and the newest GPU that ptxas knows: casts to all, arithmetic, reductions. */
static void test_types_assemble(void **state)
{
    static const char *const archs[] = {"sm_75", "sm_120"};
    static const char program[] = "int8(x), int16(x), int32(x), int64(x), uint8(x), uint16(x), uint32(x), uint64(x), float16(x), bfloat16(x), float32(x), float64(x), "
                                  "x + y * x - x / y, max(x), sum(y), x < y, where(x > y, x, y), cumsum(x), cummin(y), cumprod(m, 0), min(m, 0), prod(m, 1), x // y, minimum(x, y)";
    (void)state;
    if (!find_ptxas())
        skip();
    for (unsigned a = 0; a < sizeof archs / sizeof *archs; a++)
        for (enum dtype t = DT_int8; knows(archs[a]) && t <= DT_float64; t++)
            one(program, t, archs[a]);
}

static void test_assembles(void **state)
{
    static const char *const archs[] = {"sm_75", "sm_80", "sm_86", "sm_87", "sm_88", "sm_89", "sm_90", "sm_100", "sm_101", "sm_103", "sm_110", "sm_120", "sm_121"};
    static const char *const programs[] = {"sum(x*x), prod(x), max(x)", "sum(m, 0), min(m, 1)", "sin(x) + exp(x) + x**y", "cumsum(x), cummax(x*x + y)"};
    unsigned known = 0;
    (void)state;
    if (!find_ptxas())
        skip();
    for (unsigned a = 0; a < sizeof archs / sizeof *archs; a++) {
        if (!knows(archs[a]))
            continue;
        known++;
        for (unsigned i = 0; i < sizeof programs / sizeof *programs; i++) {
            one(programs[i], DT_float32, archs[a]);
            one(programs[i], DT_float64, archs[a]);
        }
        one("x // 3 + x % 5 + y", DT_int64, archs[a]);
    }
    print_message("%u GPUs known to ptxas\n", known);
    assert_true(known > 0); /* else the way it is asked no longer works */
}

static void each_column(struct ir *ir, const void *of)
{
    enum table t = *(const enum table *)of;
    ir_id index = ir_input_new(ir, str_of("i"), type_bits(table_table[t].dtype), 1, false, (struct span){0, 0});
    for (unsigned k = 0; k < TABLE_COLUMNS; k++)
        vec_push(ir->arena, &ir->outputs, ((struct ir_output){.node = ir_table(ir, t, k, index, (struct span){0, 0})}));
}

static void test_tables_assemble(void **state)
{
    static const char *const archs[] = {"sm_75", "sm_90", "sm_120"};
    (void)state;
    if (!find_ptxas())
        skip();
    for (unsigned a = 0; a < sizeof archs / sizeof *archs; a++)
        for (unsigned t = 0; knows(archs[a]) && t < TABLE_COUNT; t++) {
            struct test_plan p;
            enum table table = (enum table)t;
            assert_true(plan_of_ir(&p, each_column, &table));
            one_plan(&p, table_table[t].name, archs[a]);
        }
}

/* ptxas for sm_90 decides a 16-bit extreme that is compared with its bound by the wrong half (src/backend/ptx.c). */
static void test_no_extreme_in_16_bits(void **state)
{
    static const char *const bad[] = {"max.s16", "min.s16", "max.u16", "min.u16"};
    static const enum dtype dtypes[] = {DT_int8, DT_uint8, DT_int16, DT_uint16};
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct test_plan p;
        struct kernel_image image;
        assert_true(plan_make(&p, "where(maximum(x, 7) == 7, x, 2 * x), where(minimum(x, 7) == 7, x, 2 * x), x ** y", dtypes[i]));
        struct codegen_job job = {.plan = p.plan, .variants = p.variants, .options = {.target = TARGET_NVPTX, .arch = "sm_90"}};
        assert_true(arex_llvm_api()->compile(&job, &image, NULL, &p.diags));
        assert_non_null(strstr((const char *)image.bytes, i % 2 ? "max.u32" : "max.s32"));
        for (unsigned b = 0; b < 4; b++)
            assert_null(strstr((const char *)image.bytes, bad[b]));
        if (find_ptxas())
            assemble(&image, "sm_90", "16-bit extremes");
        image_fini(&image);
        plan_fini(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_extreme_in_16_bits), cmocka_unit_test(test_assembles), cmocka_unit_test(test_tables_assemble), cmocka_unit_test(test_types_assemble)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
