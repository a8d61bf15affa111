/* The C library's functions, one value at a time (libm) and a vector at a time (libmvec), opened by name. */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include "accuracy.h"

typedef double vector_d __attribute__((vector_size(32)));
typedef float vector_f __attribute__((vector_size(32)));
#define WITH_AVX2 __attribute__((target("avx2,fma")))

static void *symbol(const char *library, const char *format, const char *name)
{
    char full[64];
    if (!name[0])
        return NULL;
    void *handle = dlopen(library, RTLD_NOW); /* stays open: functions of it are kept */
    snprintf(full, sizeof full, format, name);
    return handle ? dlsym(handle, full) : NULL;
}

union call {
    void *address;
    double (*d1)(double), (*d2)(double, double);
    float (*f1)(float), (*f2)(float, float);
    long double (*l1)(long double), (*l2)(long double, long double);
    vector_d (*vd1)(vector_d), (*vd2)(vector_d, vector_d);
    vector_f (*vf1)(vector_f), (*vf2)(vector_f, vector_f);
};

static void run_libm(union call c, int arity, bool wide, const double *x, const double *y, double *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (wide)
            out[i] = arity == 1 ? c.d1(x[i]) : c.d2(x[i], y[i]);
        else
            out[i] = (double)(arity == 1 ? c.f1((float)x[i]) : c.f2((float)x[i], (float)y[i]));
}

WITH_AVX2 static void run_wide(union call c, int arity, const double *x, const double *y, double *out, size_t n)
{
    for (size_t i = 0; i < n; i += 4) {
        size_t m = n - i < 4 ? n - i : 4;
        vector_d a = {0}, b = {0};
        for (size_t k = 0; k < m; k++)
            a[k] = x[i + k], b[k] = arity == 2 ? y[i + k] : 0;
        vector_d r = arity == 1 ? c.vd1(a) : c.vd2(a, b);
        for (size_t k = 0; k < m; k++)
            out[i + k] = r[k];
    }
}

WITH_AVX2 static void run_narrow(union call c, int arity, const double *x, const double *y, double *out, size_t n)
{
    for (size_t i = 0; i < n; i += 8) {
        size_t m = n - i < 8 ? n - i : 8;
        vector_f a = {0}, b = {0};
        for (size_t k = 0; k < m; k++)
            a[k] = (float)x[i + k], b[k] = arity == 2 ? (float)y[i + k] : 0;
        vector_f r = arity == 1 ? c.vf1(a) : c.vf2(a, b);
        for (size_t k = 0; k < m; k++)
            out[i + k] = (double)r[k];
    }
}

bool peer_run(enum peer p, const struct function *f, bool wide, const double *x, const double *y, double *out, size_t n)
{
    union call c;
    if (p == PEER_LIBM) {
        c.address = symbol("libm.so.6", wide ? "%s" : "%sf", f->peer);
        if (c.address)
            run_libm(c, f->arity, wide, x, y, out, n);
        return c.address;
    }
    const char *format = f->arity == 1 ? wide ? "_ZGVdN4v_%s" : "_ZGVdN8v_%sf" : wide ? "_ZGVdN4vv_%s" : "_ZGVdN8vv_%sf";
    c.address = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? symbol("libmvec.so.1", format, f->peer) : NULL;
    if (c.address)
        (wide ? run_wide : run_narrow)(c, f->arity, x, y, out, n);
    return c.address;
}

bool peer_run_long(const struct function *f, const double *x, const double *y, long double *out, size_t n)
{
    union call c = {symbol("libm.so.6", "%sl", f->peer)};
    for (size_t i = 0; c.address && i < n; i++)
        out[i] = f->arity == 1 ? c.l1((long double)x[i]) : c.l2((long double)x[i], (long double)y[i]);
    return c.address;
}
