/* Targets, stages, objects flattened to blobs that run, malformed objects, and what the shared library exports. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <elf.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <llvm-c/IRReader.h>
#include "backend/backend.h"
#include "cpu/loader.h"
#include "codegen/codegen.h"
#include "samples.h"

static const char *shared_library;

/* x -> fma(x, x, -0.1), once per float type. The constant lies in a section of its own; fma is a call where the CPU has none. */
static const char source[] =
    "define void @n0_main(ptr %slots, i64 %begin, i64 %end) {\n"
    "entry:\n  %out = load ptr, ptr %slots\n  %at = getelementptr ptr, ptr %slots, i64 1\n  %x = load ptr, ptr %at\n  br label %loop\n"
    "loop:\n  %i = phi i64 [ %begin, %entry ], [ %next, %loop ]\n  %from = getelementptr double, ptr %x, i64 %i\n"
    "  %v = load double, ptr %from\n  %r = call double @llvm.fma.f64(double %v, double %v, double 0xBFB999999999999A)\n"
    "  %to = getelementptr double, ptr %out, i64 %i\n  store double %r, ptr %to\n  %next = add i64 %i, 1\n"
    "  %more = icmp slt i64 %next, %end\n  br i1 %more, label %loop, label %done\ndone:\n  ret void\n}\n"
    "define void @n0_join(ptr %slots, i64 %begin, i64 %end) {\n"
    "entry:\n  %out = load ptr, ptr %slots\n  %at = getelementptr ptr, ptr %slots, i64 1\n  %x = load ptr, ptr %at\n  br label %loop\n"
    "loop:\n  %i = phi i64 [ %begin, %entry ], [ %next, %loop ]\n  %from = getelementptr float, ptr %x, i64 %i\n"
    "  %v = load float, ptr %from\n  %r = call float @llvm.fma.f32(float %v, float %v, float 0xBFB99999A0000000)\n"
    "  %to = getelementptr float, ptr %out, i64 %i\n  store float %r, ptr %to\n  %next = add i64 %i, 1\n"
    "  %more = icmp slt i64 %next, %end\n  br i1 %more, label %loop, label %done\ndone:\n  ret void\n}\n"
    "declare double @llvm.fma.f64(double, double, double)\ndeclare float @llvm.fma.f32(float, float, float)\n";

struct bytes {
    uint8_t *at;
    size_t n;
};

static struct bytes copy_of(LLVMMemoryBufferRef buffer)
{
    struct bytes b = {NULL, LLVMGetBufferSize(buffer)};
    b.at = malloc(b.n);
    memcpy(b.at, LLVMGetBufferStart(buffer), b.n);
    LLVMDisposeMemoryBuffer(buffer);
    return b;
}

static struct bytes object_of(const char *text, const char *arch)
{
    struct codegen_options options = {.target = TARGET_CPU, .arch = arch};
    struct backend_target target;
    struct diags diags;
    LLVMModuleRef mod = NULL;
    char *message = NULL;
    diags_init(&diags);
    assert_true(backend_target_init(&target, &options, LLVMCodeGenLevelDefault, &diags));
    LLVMContextRef ctx = LLVMContextCreate();
    LLVMMemoryBufferRef input = LLVMCreateMemoryBufferWithMemoryRangeCopy(text, strlen(text), "source");
    assert_false(LLVMParseIRInContext(ctx, input, &mod, &message));
    backend_prepare_module(&target, mod);
    assert_true(backend_verify(mod, &diags));
    LLVMMemoryBufferRef output = backend_emit(&target, mod, true, &diags);
    assert_non_null(output);
    LLVMDisposeModule(mod);
    LLVMContextDispose(ctx);
    backend_target_fini(&target);
    diags_fini(&diags);
    return copy_of(output);
}

/* What compile() flattens: a program's own object. */
static struct bytes object_of_program(const char *text, enum dtype dtype, const char *arch)
{
    struct test_plan p;
    struct backend_target target;
    assert_true(plan_make(&p, text, dtype));
    struct codegen_job job = {.plan = p.plan, .variants = p.variants, .options = {.target = TARGET_CPU, .arch = arch}};
    assert_true(backend_target_init(&target, &job.options, LLVMCodeGenLevelDefault, &p.diags));
    LLVMContextRef ctx = LLVMContextCreate();
    LLVMModuleRef mod = codegen_emit(ctx, &job, &target.emit, &p.diags);
    assert_non_null(mod);
    backend_prepare_module(&target, mod);
    LLVMMemoryBufferRef output = backend_emit(&target, mod, true, &p.diags);
    assert_non_null(output);
    LLVMDisposeModule(mod);
    LLVMContextDispose(ctx);
    backend_target_fini(&target);
    plan_fini(&p);
    return copy_of(output);
}

static void check_results(const struct loaded_code *code, const struct kernel_image *image)
{
    enum { N = 1000 };
    double x[N], y[N];
    float xf[N], yf[N];
    for (int i = 0; i < N; i++) {
        x[i] = 1 / (i + 0.3);
        xf[i] = (float)x[i];
    }
    int64_t slots[] = {(intptr_t)y, (intptr_t)x}, slots_f[] = {(intptr_t)yf, (intptr_t)xf};
    entry_of(code, image, "n0_main")(slots, 0, N);
    entry_of(code, image, "n0_join")(slots_f, 0, N);
    for (int i = 0; i < N; i++) {
        assert_true(y[i] == fma(x[i], x[i], -0.1));
        assert_true(yf[i] == fmaf(xf[i], xf[i], -0.1f));
    }
}

static void run_on(const char *arch, int imports)
{
    struct bytes object = object_of(source, arch);
    struct kernel_image image;
    struct loaded_code code;
    struct diags diags;
    diags_init(&diags);
    assert_true(flatten_object(object.at, object.n, &image, &diags));
    assert_int_equal(image.n_entries, 2);
    if (imports >= 0)
        assert_int_equal(image.n_imports, imports);
    assert_true(loader_map(&code, &image, &diags));
    check_results(&code, &image);
    loader_unmap(&code);
    image_fini(&image);
    diags_fini(&diags);
    free(object.at);
}

static void test_runs(void **state)
{
    (void)state;
    run_on("x86-64", 2);
    run_on("", -1);
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        run_on("x86-64-v3", 0);
}

/* ---- every level gives the evaluator's bits ---- */

/* Nothing is imported: no conversion is a call. */
static void level_agrees(const char *text, enum dtype dtype, const char *arch)
{
    struct sample *s = calloc(1, sizeof *s);
    struct bytes object = object_of_program(text, dtype, arch);
    struct kernel_image image;
    struct loaded_code code;
    assert_non_null(s);
    assert_true(plan_make(&s->p, text, dtype));
    sample_fill(s);
    sample_evaluate(s, SAMPLE_N);
    assert_true(flatten_object(object.at, object.n, &image, &s->p.diags));
    assert_int_equal(image.n_imports, 0);
    assert_true(loader_map(&code, &image, &s->p.diags));
    sample_run(s, &code, &image, SAMPLE_N);
    sample_compare(s, text, arch, SAMPLE_N);
    loader_unmap(&code);
    image_fini(&image);
    plan_fini(&s->p);
    free(object.at);
    free(s);
}

static void test_levels_agree(void **state)
{
    static const char *const archs[] = {"x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4", ""};
    static const char casts[] = "int8(x), int16(x), int32(x), int64(x), uint8(x), uint16(x), uint32(x), uint64(x), float16(x), bfloat16(x), float32(x), float64(x)";
    static const char *const numbers[] = {"x + y, x - y, x * y, x / y, minimum(x, y), -(x * y), x < y, x == y", casts};
    static const char integers[] = "x // (y | 1), x % y, x >> (y & 7), x << (y & 7), ~(x ^ y), abs(x | y), x > y";
    (void)state;
    for (unsigned a = 0; a < sizeof archs / sizeof *archs; a++)
        for (enum dtype t = DT_int8; host_runs(archs[a]) && t <= DT_float64; t++) {
            for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++)
                level_agrees(numbers[i], t, archs[a]);
            if (type_table[t].cls != CLASS_FLOAT)
                level_agrees(integers, t, archs[a]);
        }
}

static void test_unknown_call(void **state)
{
    static const char text[] = "declare void @getpid()\ndefine void @n0_main(ptr %s, i64 %b, i64 %e) {\n  call void @getpid()\n  ret void\n}\n";
    struct bytes object = object_of(text, "x86-64");
    struct kernel_image image;
    struct diags diags;
    (void)state;
    diags_init(&diags);
    assert_false(flatten_object(object.at, object.n, &image, &diags));
    assert_int_equal(diags.at[0].id, AX_undefined_symbol);
    assert_null(image.bytes);
    diags_fini(&diags);
    free(object.at);
}

/* ---- malformed objects ---- */

static void flatten_anyway(const uint8_t *bytes, size_t n)
{
    struct kernel_image image;
    struct diags diags;
    uint8_t *exact = malloc(n ? n : 1); /* so that a sanitizer sees one byte too many */
    memcpy(exact, bytes, n);
    diags_init(&diags);
    bool ok = flatten_object(exact, n, &image, &diags);
    assert_int_equal(ok, !diags_has_errors(&diags));
    if (!ok)
        assert_null(image.bytes);
    for (unsigned i = 0; i < image.n_entries; i++)
        assert_true(image.entries[i].offset < image.size);
    for (unsigned i = 0; i < image.n_imports; i++)
        assert_true(image.imports[i].slot + 8 <= image.size);
    image_fini(&image);
    diags_fini(&diags);
    free(exact);
}

static uint64_t next_random(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

/* Half of the changes go to the tables, where most offsets are. */
static void mutate(const struct bytes *object, unsigned rounds, uint64_t seed)
{
    uint8_t *b = malloc(object->n);
    uint64_t shoff = ((const Elf64_Ehdr *)object->at)->e_shoff;
    for (unsigned i = 0; i < rounds; i++) {
        memcpy(b, object->at, object->n);
        for (uint64_t k = 1 + next_random(&seed) % 4; k > 0; k--) {
            uint64_t at = next_random(&seed) % object->n;
            if (next_random(&seed) % 2)
                at = next_random(&seed) % 4 ? shoff + at % (object->n - shoff) : at % sizeof(Elf64_Ehdr);
            b[at] = next_random(&seed) % 3 ? (uint8_t)next_random(&seed) : (uint8_t)(next_random(&seed) % 2 ? 0xff : 0);
        }
        flatten_anyway(b, object->n);
    }
    free(b);
}

static void test_mutations(void **state)
{
    (void)state;
    struct bytes small = object_of(source, "x86-64");
    struct bytes large = object_of_program("sin(x) + exp(x)", DT_float64, "x86-64");
    mutate(&small, 6000, 88172645463325252u);
    mutate(&large, 2000, 1181783497276652981u);
    for (size_t n = 0; n < small.n; n++)
        flatten_anyway(small.at, n);
    free(small.at);
    free(large.at);
}

static Elf64_Shdr *section_of_type(const struct bytes *b, unsigned type)
{
    Elf64_Ehdr *h = (Elf64_Ehdr *)b->at;
    Elf64_Shdr *s = (Elf64_Shdr *)(b->at + h->e_shoff);
    for (unsigned i = 0; i < h->e_shnum; i++)
        if (s[i].sh_type == type)
            return &s[i];
    fail_msg("no such section");
    return NULL;
}

static enum diag_id fault_of(const struct bytes *b)
{
    struct kernel_image image;
    struct diags diags;
    diags_init(&diags);
    assert_false(flatten_object(b->at, b->n, &image, &diags));
    enum diag_id id = diags.at[0].id;
    diags_fini(&diags);
    return id;
}

/* An empty section (the stack's note) becomes the table of names, far outside the file. */
static void test_names_without_bytes(void **state)
{
    (void)state;
    struct bytes b = object_of(source, "x86-64");
    Elf64_Ehdr *h = (Elf64_Ehdr *)b.at;
    Elf64_Shdr *s = (Elf64_Shdr *)(b.at + h->e_shoff);
    unsigned i = 1;
    while (i < h->e_shnum && (s[i].sh_size || s[i].sh_flags))
        i++;
    assert_true(i < h->e_shnum);
    s[i].sh_type = SHT_NOBITS;
    s[i].sh_offset = UINT64_MAX / 2;
    s[i].sh_size = UINT64_MAX / 4;
    h->e_shstrndx = (Elf64_Half)i;
    assert_int_equal(fault_of(&b), AX_codegen_failed);
    h->e_shstrndx = h->e_shnum;
    assert_int_equal(fault_of(&b), AX_codegen_failed);
    free(b.at);
}

static void test_huge_addend(void **state)
{
    static const int64_t addends[] = {INT64_MAX, INT64_MIN, INT32_MAX + 1ll, INT32_MIN - 1ll};
    (void)state;
    struct bytes b = object_of(source, "x86-64");
    Elf64_Rela *r = (Elf64_Rela *)(b.at + section_of_type(&b, SHT_RELA)->sh_offset);
    for (unsigned i = 0; i < 4; i++) {
        r->r_addend = addends[i];
        assert_int_equal(fault_of(&b), AX_codegen_failed);
    }
    r->r_addend = 0;
    r->r_offset = UINT64_MAX - 1;
    assert_int_equal(fault_of(&b), AX_codegen_failed);
    free(b.at);
}

/* Many sections that all lie over the same megabyte of the file ask for more than the limit. */
static void test_blob_limit(void **state)
{
    enum { COUNT = 80, MIB = 1 << 20 };
    (void)state;
    struct bytes o = object_of(source, "x86-64"), b = {NULL, o.n + MIB + (COUNT + 64) * sizeof(Elf64_Shdr)};
    b.at = calloc(1, b.n);
    memcpy(b.at, o.at, o.n);
    Elf64_Ehdr *h = (Elf64_Ehdr *)b.at;
    size_t table = (o.n + MIB + 15) / 16 * 16;
    Elf64_Shdr *s = (Elf64_Shdr *)(b.at + table);
    memcpy(s, o.at + h->e_shoff, h->e_shnum * sizeof *s);
    for (int i = 0; i < COUNT; i++)
        s[h->e_shnum++] = (Elf64_Shdr){.sh_type = SHT_PROGBITS, .sh_flags = SHF_ALLOC, .sh_offset = o.n, .sh_size = MIB};
    h->e_shoff = table;
    assert_int_equal(fault_of(&b), AX_codegen_failed);
    h->e_shnum -= COUNT / 2;
    flatten_anyway(b.at, b.n); /* half of them fit */
    free(o.at);
    free(b.at);
}

/* ---- names of targets and stages ---- */

static enum diag_id refused(enum codegen_target target, const char *arch, int ptx)
{
    struct codegen_options options = {.target = target, .arch = arch, .ptx_version = ptx};
    struct backend_target t;
    struct diags diags;
    diags_init(&diags);
    enum diag_id id = AX_COUNT;
    if (backend_target_init(&t, &options, LLVMCodeGenLevelDefault, &diags))
        backend_target_fini(&t);
    else
        id = diags.at[0].id;
    diags_fini(&diags);
    return id;
}

static void test_arch_names(void **state)
{
    static const char *const bad_cpu[] = {"x86", "x86-64-v5", "x86-64 ", "X86-64", "sm_90", "natives", "x86-64-v3,+avx512f", "znver4"};
    static const char *const bad_gpu[] = {"sm_", "sm_74", "sm_81", "sm_90a", "sm_ 90", "sm_+90", "sm_090", "SM_90", "90", "sm_9", "sm_900", "sm_122", "compute_90", "x86-64", " sm_90"};
    static const char *const good_gpu[] = {"sm_75", "sm_80", "sm_86", "sm_87", "sm_88", "sm_89", "sm_90", "sm_100", "sm_101", "sm_103", "sm_110", "sm_120", "sm_121", ""};
    (void)state;
    for (unsigned i = 0; i < sizeof bad_cpu / sizeof *bad_cpu; i++)
        assert_int_equal(refused(TARGET_CPU, bad_cpu[i], 0), AX_bad_arch);
    for (unsigned i = 0; i < sizeof bad_gpu / sizeof *bad_gpu; i++)
        assert_int_equal(refused(TARGET_NVPTX, bad_gpu[i], 0), AX_bad_arch);
    for (unsigned i = 0; i < sizeof good_gpu / sizeof *good_gpu; i++)
        assert_int_equal(refused(TARGET_NVPTX, good_gpu[i], 0), AX_COUNT);
    assert_int_equal(refused(TARGET_NVPTX, "sm_90", 77), AX_driver_too_old);
    assert_int_equal(refused(TARGET_NVPTX, "sm_90", 78), AX_COUNT);
    assert_int_equal(refused(TARGET_NVPTX, "sm_110", 88), AX_driver_too_old);
    assert_int_equal(refused(TARGET_NVPTX, "sm_75", 90), AX_COUNT);
}

static void one_stage(const struct test_plan *p, enum codegen_target target, const char *stage, bool good)
{
    struct codegen_job job = {.plan = p->plan, .variants = p->variants, .options = {.target = target, .arch = ""}};
    struct diags diags;
    char *text = NULL;
    diags_init(&diags);
    assert_int_equal(arex_llvm_api()->text(&job, stage, &text, &diags), good);
    if (good)
        assert_non_null(text);
    else
        assert_int_equal(diags.at[0].id, AX_bad_stage);
    free(text);
    diags_fini(&diags);
}

static void test_stages(void **state)
{
    static const char *const stages[] = {"llvm", "opt", "asm", "ptx", "", "LLVM", "sass", "llvm2", "nvvm"};
    struct test_plan p;
    (void)state;
    assert_true(plan_make(&p, "sum(x*x)", DT_float32));
    for (int i = 0; i < 9; i++) {
        one_stage(&p, TARGET_CPU, stages[i], i < 3);
        one_stage(&p, TARGET_NVPTX, stages[i], i < 2 || i == 3 || i == 8);
    }
    plan_fini(&p);
}

static void test_failure_leaves_nothing(void **state)
{
    struct test_plan p;
    struct kernel_image image;
    (void)state;
    assert_true(plan_make(&p, "x + 1", DT_float32));
    struct codegen_job job = {.plan = p.plan, .variants = p.variants, .options = {.target = TARGET_CPU, .arch = "z80"}};
    memset(&image, 0xa5, sizeof image);
    assert_false(arex_llvm_api()->compile(&job, &image, NULL, &p.diags));
    image_fini(&image);
    plan_fini(&p);
}

/* ---- what code needs, and what the library shows ---- */

static void nothing_undefined(const struct bytes *b)
{
    const Elf64_Shdr *table = section_of_type(b, SHT_SYMTAB);
    const Elf64_Shdr *sections = (const Elf64_Shdr *)(b->at + ((const Elf64_Ehdr *)b->at)->e_shoff);
    const char *strings = (const char *)b->at + sections[table->sh_link].sh_offset;
    const Elf64_Sym *symbols = (const Elf64_Sym *)(b->at + table->sh_offset);
    for (size_t i = 1; i < table->sh_size / sizeof *symbols; i++) {
        const char *name = strings + symbols[i].st_name;
        if (symbols[i].st_shndx == SHN_UNDEF)
            fail_msg("code refers to %s", name);
    }
}

static void check_program(const char *program, enum dtype dtype, const char *arch)
{
    struct bytes b = object_of_program(program, dtype, arch);
    nothing_undefined(&b);
    free(b.at);
}

static void test_undefined_symbols(void **state)
{
    static const char *const programs[] = {
        "sum(x*x), prod(x), max(x), min(x)",
        "sum(m, 0), max(m, 1)",
        "x % y + x // y + abs(x)",
        "where(x > y, x, y)",
        "sin(x) + cos(x) + tanh(x)",
        "exp(x) + log(x) + sqrt(x)",
    };
    static const char *const archs[] = {"x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4", ""};
    static const enum dtype dtypes[] = {DT_float32, DT_float64, DT_int32, DT_int64};
    (void)state;
    for (unsigned a = 0; a < 5; a++) {
        for (unsigned i = 0; i < sizeof programs / sizeof *programs; i++)
            for (unsigned d = 0; d < 4; d++)
                check_program(programs[i], dtypes[d], archs[a]);
        for (unsigned d = 0; d < 2; d++)
            check_program("floor(x) + ceil(x) + trunc(x) + rint(x)", dtypes[d], archs[a]);
    }
}

/* Code for a processor that has more than this one is not run; what it lacks is named. */
static void test_foreign_arch(void **state)
{
    struct codegen_options o = {.target = TARGET_CPU, .arch = "x86-64"};
    struct backend_target t;
    struct diags diags;
    (void)state;
    diags_init(&diags);
    assert_true(backend_target_init(&t, &o, LLVMCodeGenLevelDefault, &diags));
    assert_true(backend_runs_here(&t, &diags));
    free(t.features);
    t.features = strdup("+sse2,+flying,+sse4.1");
    assert_false(backend_runs_here(&t, &diags));
    assert_int_equal(diags.at[0].id, AX_foreign_arch);
    assert_non_null(strstr(diags.at[0].message, "no flying"));
    backend_target_fini(&t);
    diags_fini(&diags);
}

/* Lines of the command's output that contain a text; -1 where the tool is missing. */
static int count_lines(const char *command, const char *text)
{
    char line[1024];
    int n = 0, all = 0;
    FILE *f = popen(command, "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        all++;
        n += strstr(line, text) != NULL;
    }
    return pclose(f) == 0 && all ? n : -1;
}

static void test_exports(void **state)
{
    char command[4096];
    (void)state;
    if (!shared_library)
        skip();
    snprintf(command, sizeof command, "nm -D --defined-only '%s' 2>/dev/null", shared_library);
    int all = count_lines(command, ""), ours = count_lines(command, " T arex_llvm_api");
    if (all < 0)
        skip();
    assert_int_equal(all, 1);
    assert_int_equal(ours, 1);
    snprintf(command, sizeof command, "readelf -d '%s' 2>/dev/null", shared_library);
    assert_true(count_lines(command, "libstdc++") <= 0);
}

int main(int argc, char **argv)
{
    shared_library = argc > 1 ? argv[1] : NULL;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs), cmocka_unit_test(test_levels_agree),        cmocka_unit_test(test_unknown_call), cmocka_unit_test(test_mutations),
        cmocka_unit_test(test_huge_addend), cmocka_unit_test(test_blob_limit),   cmocka_unit_test(test_names_without_bytes),
        cmocka_unit_test(test_arch_names),  cmocka_unit_test(test_stages),       cmocka_unit_test(test_failure_leaves_nothing),
        cmocka_unit_test(test_exports),     cmocka_unit_test(test_undefined_symbols),
        cmocka_unit_test(test_foreign_arch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
