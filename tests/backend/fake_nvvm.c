/*
 * A libNVVM that compiles nothing and goes wrong as it is told (fake_nvvm.h). Its functions are declared from the list
 * that the real one's are loaded by: neither can have another shape.
 */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include "fake_nvvm.h"

#define EXPORT __attribute__((visibility("default")))
#define NVVM(field, symbol, result, parameters) EXPORT result fake_##field parameters __asm__(symbol);
#include "backend/nvvm.def"
#undef NVVM

enum { FAILED = 9 };

static const char reservations[] = "warning: something is odd\n\n  and so is this\n";
static const char ptx[] = "//\n.version 9.9\n.target sm_90\n", blank[] = " \n";
static enum fake_nvvm behaviour;
static int alive; /* programs */
static char one;

EXPORT void fake_nvvm_behave(enum fake_nvvm b)
{
    behaviour = b;
}

EXPORT int fake_nvvm_alive(void)
{
    return alive;
}

int fake_version(int *major, int *minor)
{
    *major = 2;
    *minor = 0;
    return 0;
}

int fake_ir_version(int *major, int *minor, int *debug_major, int *debug_minor)
{
    *major = behaviour == FAKE_OLD ? 1 : 2;
    *minor = *debug_major = *debug_minor = 3;
    return 0;
}

const char *fake_error_string(int result)
{
    return result == FAILED ? "FAKE_ERROR" : NULL;
}

int fake_create(void **program)
{
    if (behaviour == FAKE_BEGINS_NOT)
        return FAILED;
    alive++;
    *program = &one;
    return 0;
}

int fake_destroy(void **program)
{
    alive--;
    *program = NULL;
    return 0;
}

int fake_add_module(void *program, const char *text, size_t size, const char *name)
{
    bool whole = program == &one && strlen(text) == size && name;
    return whole && behaviour != FAKE_READS_NOT ? 0 : FAILED;
}

int fake_compile(void *program, int n, const char *const *options)
{
    bool strict = false;
    for (int i = 0; i < n; i++)
        strict |= strcmp(options[i], "-fma=0") == 0;
    return program == &one && strict && strcmp(options[0], "-arch=compute_90") == 0 && behaviour != FAKE_COMPILES_NOT ? 0 : FAILED;
}

static const char *the_log(void)
{
    return behaviour == FAKE_RESERVED || behaviour == FAKE_COMPILES_NOT ? reservations : behaviour == FAKE_BLANK_LOG ? blank : "";
}

static const char *the_result(void)
{
    return behaviour == FAKE_NO_RESULT ? "" : ptx;
}

static int size_of(void *program, const char *text, size_t *size)
{
    *size = strlen(text) + 1;
    return program == &one ? 0 : FAILED;
}

static int copy_to(void *program, const char *text, char *to)
{
    strcpy(to, text);
    return program == &one ? 0 : FAILED;
}

int fake_result_size(void *program, size_t *size)
{
    return size_of(program, the_result(), size);
}

int fake_result(void *program, char *text)
{
    return copy_to(program, the_result(), text);
}

int fake_log_size(void *program, size_t *size)
{
    return size_of(program, the_log(), size);
}

int fake_log(void *program, char *text)
{
    return copy_to(program, the_log(), text);
}
