/* Modules in libNVVM's dialect: constants to the bit, what there are no words for; and a libNVVM that goes wrong at every step. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <llvm-c/IRReader.h>
#include "backend/nvvm.h"
#include "fake_nvvm.h"
#include "plans.h"

static const char *fake_library;

static char *print(const char *text, struct diags *diags)
{
    LLVMContextRef ctx = LLVMContextCreate();
    LLVMModuleRef mod = NULL;
    char *message = NULL;
    diags_init(diags);
    LLVMMemoryBufferRef input = LLVMCreateMemoryBufferWithMemoryRangeCopy(text, strlen(text), "source");
    if (LLVMParseIRInContext(ctx, input, &mod, &message))
        fail_msg("%s", message);
    char *out = nvvm_print(mod, diags);
    LLVMDisposeModule(mod);
    LLVMContextDispose(ctx);
    return out;
}

static char *print_body(const char *body, const char *declares, struct diags *diags)
{
    struct strbuf b = {0};
    strbuf_printf(&b, "@shared = internal addrspace(3) global [8 x i64] undef, align 16\n%s\n", declares);
    strbuf_printf(&b, "define ptx_kernel void @n0_main(i64 %%n, double %%d, float %%f, <2 x float> %%v, ptr addrspace(1) %%p, i1 %%c) {\nentry:\n%s\n  ret void\n}\n", body);
    char *text = strbuf_take(&b), *out = print(text, diags);
    free(text);
    return out;
}

static void expect(const char *body, const char *declares, const char *words)
{
    struct diags diags;
    char *out = print_body(body, declares, &diags);
    if (!out)
        fail_msg("%s: refused: %s", body, diags.n ? diags.at[0].message : "");
    if (!strstr(out, words))
        fail_msg("%s: no '%s' in\n%s", body, words, out);
    free(out);
    diags_fini(&diags);
}

static void refuse(const char *body, const char *declares)
{
    struct diags diags;
    char *out = print_body(body, declares, &diags);
    if (out)
        fail_msg("%s: taken\n%s", body, out);
    assert_int_equal(diags.n, 1);
    assert_int_equal(diags.at[0].id, AX_nvvm_dialect);
    diags_fini(&diags);
}

static void test_constants(void **state)
{
    (void)state;
    expect("%x = fadd float %f, 0x3FB99999A0000000", "", "fadd float %a2, 0x3FB99999A0000000");
    expect("%x = fadd float %f, bitcast (i32 1 to float)", "", "fadd float %a2, 0x36A0000000000000");                    /* the least of all */
    expect("%x = fadd float %f, bitcast (i32 2143289344 to float)", "", "fadd float %a2, 0x7FF8000000000000");           /* nan */
    expect("%x = fadd float %f, bitcast (i32 -4194302 to float)", "", "fadd float %a2, 0xFFF8000040000000");             /* with bits of its own */
    expect("%x = fadd float %f, 0xFFF0000000000000", "", "fadd float %a2, 0xFFF0000000000000");                          /* -inf */
    expect("%x = fadd double %d, bitcast (i64 9218868437227405313 to double)", "", "fadd double %a1, 0x7FF0000000000001");
    expect("%x = fadd double %d, -0.0", "", "fadd double %a1, 0x8000000000000000");
    expect("%x = add i64 %n, -9223372036854775808", "", "add i64 %a0, -9223372036854775808");
    expect("%x = and i1 %c, true", "", "and i1 %a5, true");
    expect("%x = fadd <2 x float> %v, <float 1.0, float poison>", "", "<float 0x3FF0000000000000, float undef>");
    expect("%x = fadd <2 x float> %v, zeroinitializer", "", "%a3, zeroinitializer");
    expect("%x = fneg <2 x float> %v", "", "fsub <2 x float> <float 0x8000000000000000, float 0x8000000000000000>, %a3");
}

static void test_memory(void **state)
{
    (void)state;
    expect("%x = load <4 x float>, ptr addrspace(1) %p, align 16", "", "load <4 x float>, <4 x float> addrspace(1)* %t0, align 16");
    expect("store i8 1, ptr addrspace(1) %p, align 1", "", "store i8 1, i8 addrspace(1)* %t0, align 1");
    expect("%x = load volatile i64, ptr addrspace(1) %p, align 8", "", "load volatile i64, i64 addrspace(1)* %t0, align 8");
    expect("store volatile i64 %n, ptr addrspace(1) %p, align 8", "", "store volatile i64 %a0, i64 addrspace(1)* %t0, align 8");
    expect("%x = load i64, ptr addrspace(3) getelementptr (i8, ptr addrspace(3) @shared, i64 8), align 8", "",
           "bitcast i8 addrspace(3)* getelementptr (i8, i8 addrspace(3)* bitcast ([8 x i64] addrspace(3)* @s0 to i8 addrspace(3)*), i64 8) to i64 addrspace(3)*");
    expect("%x = atomicrmw umax ptr addrspace(1) %p, i64 %n monotonic", "", "atomicrmw umax i64 addrspace(1)* %t0, i64 %a0 monotonic");
    expect("%x = atomicrmw fadd ptr addrspace(1) %p, float %f monotonic", "", "call float @llvm.nvvm.atomic.load.add.f32.p1f32(float addrspace(1)* %t0, float %a2)");
    expect("%x = cmpxchg ptr addrspace(1) %p, i64 %n, i64 1 monotonic monotonic\n%y = extractvalue {i64, i1} %x, 0", "", "extractvalue { i64, i1 } %v0, 0");
}

/* Everything else would reach a library that takes what it does not know as a function from elsewhere. */
static void test_no_words(void **state)
{
    (void)state;
    refuse("%x = call double @llvm.exp.f64(double %d)", "declare double @llvm.exp.f64(double)");
    refuse("%x = call double @llvm.log.f64(double %d)", "declare double @llvm.log.f64(double)");
    refuse("%x = call double @llvm.minimum.f64(double %d, double 1.0)", "declare double @llvm.minimum.f64(double, double)");
    refuse("%x = call double @exp(double %d)", "declare double @exp(double)");
    refuse("%x = call half @llvm.fabs.f16(half 0xH3C00)", "declare half @llvm.fabs.f16(half)");
    refuse("call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 1)", "declare void @llvm.nvvm.barrier.cta.sync.aligned.all(i32)");
    refuse("%x = freeze i64 %n", "");
    refuse("%x = frem double %d, 2.0", "");
    refuse("fence seq_cst", "");
    refuse("%x = load atomic i64, ptr addrspace(1) %p monotonic, align 8", "");
    refuse("store atomic i64 %n, ptr addrspace(1) %p release, align 8", "");
    refuse("%x = atomicrmw umax ptr addrspace(1) %p, i64 %n seq_cst", "");
    refuse("%x = atomicrmw fmaximum ptr addrspace(1) %p, float %f monotonic", "");
    refuse("%x = atomicrmw nand ptr addrspace(1) %p, i64 %n monotonic", "");
    refuse("%x = getelementptr i64, ptr addrspace(1) %p, i64 %n", "");
    refuse("%x = fpext float %f to fp128", "");
    refuse("%x = load i64, ptr @table, align 8", "@table = private constant i64 7");
    refuse("%x = add i64 %n, ptrtoint (ptr @other to i64)", "declare void @other()");
}

/* Vectors are taken apart; what the intrinsics round or saturate is the same (tests/python/test_sweep.py has it run). */
static void test_calls(void **state)
{
    (void)state;
    expect("%x = call <2 x float> @llvm.fma.v2f32(<2 x float> %v, <2 x float> %v, <2 x float> %v)", "declare <2 x float> @llvm.fma.v2f32(<2 x float>, <2 x float>, <2 x float>)",
           "declare float @llvm.fma.f32(float, float, float)");
    expect("%x = call double @llvm.roundeven.f64(double %d)", "declare double @llvm.roundeven.f64(double)", "%v0 = call double @llvm.rint.f64(double %a1)");
    expect("%x = call i32 @llvm.fptosi.sat.i32.f64(double %d)", "declare i32 @llvm.fptosi.sat.i32.f64(double)", "i32 -2147483648, i32");
    expect("%x = call i64 @llvm.fptoui.sat.i64.f32(float %f)", "declare i64 @llvm.fptoui.sat.i64.f32(float)", "fcmp oge float %a2, 0x43F0000000000000");
    expect("%x = call i64 @llvm.vector.reduce.umax.v2i64(<2 x i64> <i64 1, i64 2>)", "declare i64 @llvm.vector.reduce.umax.v2i64(<2 x i64>)", "icmp ugt i64");
}

/* ---- the library ---- */

struct fake {
    void *handle;
    void (*behave)(enum fake_nvvm);
    int (*alive)(void);
};

static struct fake fake_open(enum fake_nvvm b)
{
    struct fake f = {dlopen(fake_library, RTLD_NOW | RTLD_LOCAL), NULL, NULL};
    assert_non_null(f.handle);
    void *p = dlsym(f.handle, "fake_nvvm_behave"), *q = dlsym(f.handle, "fake_nvvm_alive");
    memcpy(&f.behave, &p, sizeof p);
    memcpy(&f.alive, &q, sizeof q);
    f.behave(b);
    return f;
}

static bool compile_with(enum fake_nvvm b, int ptx_version, struct diags *diags)
{
    const struct codegen_place place = {fake_library, "the tests"};
    struct fake f = fake_open(b);
    struct kernel_image image;
    struct test_plan p;
    assert_true(plan_make(&p, "sum(x*x)", DT_float32));
    struct codegen_job job = {.plan = p.plan, .variants = p.variants,
                              .options = {.target = TARGET_NVPTX, .arch = "sm_90", .ptx_version = ptx_version, .generator = GENERATOR_NVVM, .nvvm = &place, .n_nvvm = 1}};
    diags_init(diags);
    bool ok = arex_llvm_api()->compile(&job, &image, NULL, diags);
    assert_int_equal(f.alive(), 0);
    if (ok) {
        assert_string_equal((const char *)image.bytes, "//\n.version 9.9\n.target sm_90\n");
        assert_int_equal(image.n_entries, 2);
        image_fini(&image);
    }
    plan_fini(&p);
    dlclose(f.handle);
    return ok;
}

static void test_library_that_works(void **state)
{
    struct diags diags;
    (void)state;
    assert_true(compile_with(FAKE_FINE, 0, &diags));
    assert_true(compile_with(FAKE_FINE, 99, &diags));
    assert_true(compile_with(FAKE_BLANK_LOG, 0, &diags));
    diags_fini(&diags);
}

static void test_library_that_fails(void **state)
{
    static const struct {
        enum fake_nvvm behaviour;
        int ptx_version;
        enum diag_id id;
        const char *text;
        unsigned notes;
    } cases[] = {{FAKE_OLD, 0, AX_no_libnvvm, "libNVVM was not found", 1},
                 {FAKE_BEGINS_NOT, 0, AX_libnvvm_refused, "failed to begin: FAKE_ERROR", 0},
                 {FAKE_READS_NOT, 0, AX_libnvvm_refused, "failed to read the code: FAKE_ERROR", 0},
                 {FAKE_COMPILES_NOT, 0, AX_libnvvm_refused, "failed to compile: FAKE_ERROR", 2},
                 {FAKE_RESERVED, 0, AX_libnvvm_refused, "with reservations", 2},
                 {FAKE_NO_RESULT, 0, AX_libnvvm_refused, "gave no code", 0},
                 {FAKE_FINE, 98, AX_driver_too_old, "writes PTX 9.9, and the driver takes 9.8", 0}};
    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct diags diags;
        assert_false(compile_with(cases[i].behaviour, cases[i].ptx_version, &diags));
        assert_int_equal(diags.n, 1);
        assert_int_equal(diags.at[0].id, cases[i].id);
        assert_non_null(strstr(diags.at[0].message, cases[i].text));
        assert_int_equal(diags.at[0].n_notes, cases[i].notes);
        diags_fini(&diags);
    }
}

/* The first that can be used; all of them are listed when none can. */
static void test_places(void **state)
{
    const struct codegen_place places[] = {{"/nowhere/libnvvm.so.4", "the first"}, {"/dev/null", "the second"}, {fake_library, "the tests"}};
    struct fake f = fake_open(FAKE_FINE);
    struct codegen_nvvm found;
    struct diags diags;
    (void)state;
    diags_init(&diags);
    assert_true(arex_llvm_api()->nvvm(places, 3, &found, &diags));
    assert_int_equal(diags.n, 0);
    assert_int_equal(found.ir_major, 2);
    assert_non_null(strstr(found.path, "fake_nvvm"));
    f.behave(FAKE_OLD);
    assert_false(arex_llvm_api()->nvvm(places, 3, &found, &diags));
    assert_int_equal(diags.at[0].n_notes, 3);
    assert_non_null(strstr(diags.at[0].notes[0].text, "/nowhere/libnvvm.so.4 (the first): "));
    assert_non_null(strstr(diags.at[0].notes[2].text, "(the tests): it reads version 1.3 of the IR, and 2.0 is written"));
    assert_false(arex_llvm_api()->nvvm(NULL, 0, &found, &diags));
    diags_fini(&diags);
    dlclose(f.handle);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_constants), cmocka_unit_test(test_memory), cmocka_unit_test(test_no_words), cmocka_unit_test(test_calls),
                                       cmocka_unit_test(test_library_that_works), cmocka_unit_test(test_library_that_fails), cmocka_unit_test(test_places)};
    if (argc != 2)
        return 2;
    fake_library = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
