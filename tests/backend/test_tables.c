/* Rows of the math library's tables: what compiled code finds in them is what the evaluator does, at every level, index and place in a program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "backend/backend.h"
#include "codegen/codegen.h"
#include "ir/build.h"
#include "samples.h"

#define NOWHERE ((struct span){0, 0})

/* ---- programs ---- */

struct how {
    enum table table;
    void (*outputs)(struct ir *ir, enum table t, ir_id index);
    unsigned rank; /* of the index */
};

static void output(struct ir *ir, ir_id id)
{
    vec_push(ir->arena, &ir->outputs, ((struct ir_output){.node = id}));
}

static ir_id two(struct ir *ir, enum op op, ir_id a, ir_id b)
{
    return ir_elem(ir, op, ir_at(ir, a)->dtype, (ir_id[]){a, b}, 2, 0, NOWHERE, NULL);
}

static ir_id moved(struct ir *ir, ir_id index, int64_t by)
{
    uint64_t bits = (uint64_t)by;
    return two(ir, OP_add, index, ir_const(ir, (enum dtype)ir_at(ir, index)->dtype, bits, 0, NOWHERE));
}

/* All four of a row, so that which is which counts. */
static ir_id joined(struct ir *ir, enum table t, ir_id index)
{
    ir_id c[TABLE_COLUMNS];
    for (unsigned k = 0; k < TABLE_COLUMNS; k++)
        c[k] = ir_table(ir, t, k, index, NOWHERE);
    return two(ir, OP_subtract, two(ir, OP_multiply, c[0], two(ir, OP_subtract, c[1], c[2])), c[3]);
}

static void each_column(struct ir *ir, enum table t, ir_id index)
{
    for (unsigned k = 0; k < TABLE_COLUMNS; k++)
        output(ir, ir_table(ir, t, k, index, NOWHERE));
}

static void one_column(struct ir *ir, enum table t, ir_id index)
{
    output(ir, ir_table(ir, t, 2, index, NOWHERE));
}

/* Long enough that two vectors are done at a time, and what is left over through memory. */
static void several_rows(struct ir *ir, enum table t, ir_id index)
{
    ir_id sum = joined(ir, t, index);
    for (int k = 1; k < 4; k++)
        sum = two(ir, OP_subtract, joined(ir, t, moved(ir, index, 5 * k)), sum);
    output(ir, sum);
}

/* A number of another width than the table's. */
static void among_wider(struct ir *ir, enum table t, ir_id index)
{
    output(ir, ir_cast(ir, joined(ir, t, index), DT_float64, NOWHERE));
}

static void a_slow_side(struct ir *ir, enum table t, ir_id index, int rows)
{
    ir_id zero = ir_const(ir, (enum dtype)ir_at(ir, index)->dtype, 0, 0, NOWHERE);
    ir_id less = ir_elem(ir, OP_less, DT_bool, (ir_id[]){index, zero}, 2, 0, NOWHERE, NULL), fast = joined(ir, t, index);
    uint32_t region = ir_region_begin(ir);
    ir_id slow = joined(ir, t, moved(ir, index, 1));
    for (int k = 0; k < rows; k++)
        slow = two(ir, OP_subtract, joined(ir, t, moved(ir, index, k + 2)), slow);
    ir_region_end(ir);
    output(ir, ir_rarely(ir, less, region, slow, fast, 0, NOWHERE, NULL));
}

static void short_slow_side(struct ir *ir, enum table t, ir_id index)
{
    a_slow_side(ir, t, index, 0);
}

static void long_slow_side(struct ir *ir, enum table t, ir_id index)
{
    a_slow_side(ir, t, index, 12);
}

/* The same row for all elements. */
static void added(struct ir *ir, enum table t, ir_id index)
{
    ir_id x = ir_input_new(ir, str_of("x"), table_table[t].dtype, 1, false, NOWHERE);
    output(ir, two(ir, OP_add, joined(ir, t, index), x));
}

static void make(struct ir *ir, const void *of)
{
    const struct how *how = of;
    enum dtype dtype = type_bits(table_table[how->table].dtype);
    how->outputs(ir, how->table, ir_input_new(ir, str_of("i"), dtype, how->rank, false, NOWHERE));
}

/* ---- running them ---- */

/* Indices from all of their type: below 0, far above the rows; but for some of them that are rows. */
static void fill(struct sample *s)
{
    sample_fill(s);
    for (uint32_t i = 0; i < SAMPLE_N / 2; i++)
        ((uint32_t *)s->in[0])[i] &= 1023;
}

/* What the code is made for, whatever the machine has: LLVM makes several of longer vectors, and single loads of gathers. */
struct as_if {
    unsigned bits; /* of vectors; 0: as the arch says */
    bool gathers;
};

static bool has_words(LLVMModuleRef mod)
{
    char *text = LLVMPrintModuleToString(mod);
    bool found = strstr(text, " x i16> ") != NULL;
    LLVMDisposeMessage(text);
    return found;
}

/* `full`: lanes are as many as float32 has. */
static void compile(struct sample *s, const char *arch, struct as_if as, bool full, struct kernel_image *image)
{
    struct codegen_job job = {.plan = s->p.plan, .variants = s->p.variants, .options = {.target = TARGET_CPU, .arch = arch}};
    struct backend_target target;
    assert_true(backend_target_init(&target, &job.options, LLVMCodeGenLevelDefault, &s->p.diags));
    target.emit.vector_bits = as.bits ? as.bits : target.emit.vector_bits;
    target.emit.gathers = as.gathers;
    LLVMContextRef ctx = LLVMContextCreate();
    LLVMModuleRef mod = codegen_emit(ctx, &job, &target.emit, &s->p.diags);
    assert_non_null(mod);
    assert_int_equal(LLVMGetNamedFunction(mod, "llvm.masked.gather.v8f64.v8p0") != NULL, as.gathers && full);
    if (as.bits == 512 && !as.gathers && full)
        assert_true(has_words(mod));
    backend_prepare_module(&target, mod);
    assert_true(backend_verify(mod, &s->p.diags));
    LLVMMemoryBufferRef object = backend_emit(&target, mod, true, &s->p.diags);
    assert_non_null(object);
    assert_true(flatten_object((const uint8_t *)LLVMGetBufferStart(object), LLVMGetBufferSize(object), image, &s->p.diags));
    LLVMDisposeMemoryBuffer(object);
    LLVMDisposeModule(mod);
    LLVMContextDispose(ctx);
    backend_target_fini(&target);
}

static void agrees(const struct how *how, const char *what, const char *arch, struct as_if as)
{
    static const int64_t lengths[] = {1, 2, 3, 7, 15, 16, 17, 31, 33, 65, SAMPLE_N};
    struct sample *s = calloc(1, sizeof *s);
    struct kernel_image image;
    struct loaded_code code;
    assert_non_null(s);
    assert_true(plan_of_ir(&s->p, make, how));
    compile(s, arch, as, how->rank && how->outputs != among_wider && table_table[how->table].dtype == DT_float32, &image);
    assert_true(loader_map(&code, &image, &s->p.diags));
    fill(s);
    for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        sample_evaluate(s, lengths[i]);
        sample_run(s, &code, &image, lengths[i]);
        sample_compare(s, what, arch, lengths[i]);
    }
    loader_unmap(&code);
    image_fini(&image);
    plan_fini(&s->p);
    free(s);
}

static const struct {
    const char *what;
    void (*outputs)(struct ir *ir, enum table t, ir_id index);
    unsigned rank;
} programs[] = {{"each column", each_column, 1},         {"one column", one_column, 1},           {"several rows", several_rows, 1}, {"among wider", among_wider, 1},
                {"short slow side", short_slow_side, 1}, {"long slow side", long_slow_side, 1}, {"added", added, 0}};

static void test_levels_agree(void **state)
{
    static const char *const archs[] = {"x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4", ""};
    (void)state;
    for (unsigned a = 0; a < sizeof archs / sizeof *archs; a++)
        for (unsigned i = 0; host_runs(archs[a]) && i < sizeof programs / sizeof *programs; i++)
            for (unsigned t = 0; t < TABLE_COUNT; t++)
                agrees(&(struct how){(enum table)t, programs[i].outputs, programs[i].rank}, programs[i].what, archs[a], (struct as_if){0});
}

/* The words of long vectors, and gathers, also where no processor at hand has such. */
static void test_long_vectors_agree(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof programs / sizeof *programs; i++)
        for (unsigned t = 0; t < TABLE_COUNT; t++)
            for (unsigned gathers = 0; gathers < 2; gathers++)
                agrees(&(struct how){(enum table)t, programs[i].outputs, programs[i].rank}, programs[i].what, "", (struct as_if){512, gathers});
}

/* ---- what is emitted ---- */

static char *text_of(const struct how *how, enum codegen_target target, const char *arch, const char *stage)
{
    struct test_plan p;
    char *text = NULL;
    assert_true(plan_of_ir(&p, make, how));
    struct codegen_job job = {.plan = p.plan, .variants = p.variants, .options = {.target = target, .arch = arch}};
    assert_true(arex_llvm_api()->text(&job, stage, &text, &p.diags));
    plan_fini(&p);
    return text;
}

static unsigned count(const char *text, const char *what)
{
    unsigned n = 0;
    for (const char *at = text; (at = strstr(at, what)); at += strlen(what))
        n++;
    return n;
}

static void expect_count(const struct how *how, enum codegen_target target, const char *arch, const char *stage, const char *what, unsigned n)
{
    char *text = text_of(how, target, arch, stage);
    if (count(text, what) != n)
        fail_msg("%s, stage %s for %s: %u times '%s', not %u", table_table[how->table].name, stage, arch, count(text, what), what, n);
    free(text);
}

/* Each row is fetched once: the vector's lanes and the single elements left over. A table is there once, and only where it is used. */
static void test_one_fetch_a_row(void **state)
{
    char definition[80];
    (void)state;
    for (unsigned t = 0; t < TABLE_COUNT; t++) {
        const struct how how = {(enum table)t, each_column, 1};
        const unsigned size = type_table[table_table[t].dtype].size, lanes = 32 / size, singly = TABLE_COLUMNS;
        expect_count(&how, TARGET_CPU, "x86-64-v3", "llvm", "!invariant.load", lanes + singly);
        snprintf(definition, sizeof definition, "@%s = private", table_table[t].name);
        expect_count(&how, TARGET_CPU, "x86-64-v3", "llvm", definition, 1);
        expect_count(&(struct how){(enum table)t, several_rows, 1}, TARGET_CPU, "x86-64-v3", "llvm", definition, 1);
        snprintf(definition, sizeof definition, "@%s = private", table_table[(t + 1) % TABLE_COUNT].name);
        expect_count(&how, TARGET_CPU, "x86-64-v3", "llvm", definition, 0);
    }
}

/* Halves of 16 bytes move between registers as wholes: in float32, where they are rows, when they are loaded. */
static void test_transposed(void **state)
{
    (void)state;
    for (unsigned t = 0; t < TABLE_COUNT; t++) {
        const struct how how = {(enum table)t, each_column, 1};
        bool wide = table_table[t].dtype == DT_float64;
        expect_count(&how, TARGET_CPU, "x86-64-v3", "asm", "vinsertf128\t$1, ", wide ? 2 : 4);
        expect_count(&how, TARGET_CPU, "x86-64-v3", "asm", wide ? "vunpcklpd" : "vunpcklps", 2);
        expect_count(&how, TARGET_CPU, "x86-64-v3", "asm", wide ? "vunpckhpd" : "vunpckhps", 2);
        expect_count(&how, TARGET_CPU, "x86-64-v3", "asm", "vperm", wide ? 2 : 0);
        expect_count(&how, TARGET_CPU, "x86-64-v3", "asm", "gather", 0);
    }
}

/* A GPU's row is one load of 16 bytes, or two, by the way of what no one changes. */
static void test_gpu_loads(void **state)
{
    char definition[80];
    (void)state;
    for (unsigned t = 0; t < TABLE_COUNT; t++) {
        const struct how how = {(enum table)t, several_rows, 1};
        bool wide = table_table[t].dtype == DT_float64;
        const unsigned rows = 4 * (wide ? 2 + 1 : 4 + 1);
        expect_count(&how, TARGET_NVPTX, "sm_90", "ptx", wide ? "ld.global.nc.v2.b64" : "ld.global.nc.v4.b32", rows * (wide ? 2 : 1));
        expect_count(&how, TARGET_NVPTX, "sm_90", "ptx", "ld.global.nc", rows * (wide ? 2 : 1));
        snprintf(definition, sizeof definition, "%s[", table_table[t].name);
        expect_count(&how, TARGET_NVPTX, "sm_90", "ptx", definition, 1);
        snprintf(definition, sizeof definition, "= internal addrspace(1) constant [%u x %s] [%s 0x", TABLE_COLUMNS * table_table[t].rows, wide ? "double" : "float", wide ? "double" : "float");
        expect_count(&how, TARGET_NVPTX, "sm_90", "nvvm", definition, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_levels_agree), cmocka_unit_test(test_long_vectors_agree),
                                       cmocka_unit_test(test_one_fetch_a_row), cmocka_unit_test(test_transposed), cmocka_unit_test(test_gpu_loads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
