/* Not a test: how long code generation takes in a warm process. Least and median of many compilations. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "codegen/codegen.h"
#include "plans.h"

enum { ROUNDS = 60 };

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v)
{
    qsort(v, ROUNDS, sizeof *v, compare);
    return v[ROUNDS / 2];
}

static void measure(const char *text, enum dtype dtype, enum codegen_target target, const char *arch)
{
    double whole[ROUNDS], emit[ROUNDS], backend[ROUNDS], first = 0;
    size_t size = 0;
    for (int i = -1; i < ROUNDS; i++) {
        struct test_plan p;
        struct kernel_image image;
        struct codegen_times t;
        double start = now_ms();
        bool ok = plan_make(&p, text, dtype);
        struct codegen_job job = {.plan = p.plan, .variants = p.variants, .options = {.target = target, .arch = arch}};
        ok = ok && arex_llvm_api()->compile(&job, &image, &t, &p.diags);
        double end = now_ms();
        if (!ok)
            exit(1);
        size = image.size;
        image_fini(&image);
        plan_fini(&p);
        if (i < 0) {
            first = end - start;
            continue;
        }
        whole[i] = end - start;
        emit[i] = (double)(t.emit_ns + t.verify_ns) * 1e-6;
        backend[i] = (double)t.backend_ns * 1e-6;
    }
    double w = median(whole), e = median(emit), b = median(backend);
    printf("%-34s %-10s first %6.2f  median %5.2f (least %5.2f)  emit %4.2f  backend %5.2f ms  %zu bytes\n", text, arch[0] ? arch : "host", first, w, whole[0], e, b, size);
}

int main(void)
{
    measure("sum(x*x)", DT_float32, TARGET_CPU, "");
    measure("sum(x*x)", DT_float32, TARGET_CPU, "x86-64-v3");
    measure("sum(x*x)", DT_float32, TARGET_CPU, "x86-64");
    measure("x*2 + y", DT_float32, TARGET_CPU, "");
    measure("exp(x)", DT_float32, TARGET_CPU, "");
    measure("sum(m, 0)", DT_float32, TARGET_CPU, "");
    measure("sum(x*x)", DT_float32, TARGET_NVPTX, "sm_90");
    return 0;
}
