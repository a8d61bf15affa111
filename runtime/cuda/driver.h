/*
 * The CUDA driver, reached by dlopen: no part of a toolkit is needed. The functions are the fields of struct driver, made
 * from driver.def.
 */
#ifndef AREX_CUDA_DRIVER_H
#define AREX_CUDA_DRIVER_H
#include <stdbool.h>
#include <stddef.h>
#include "base/diag.h"

typedef int CUresult;
typedef int CUdevice;
typedef struct CUctx_st *CUcontext;
typedef struct CUmod_st *CUmodule;
typedef struct CUfunc_st *CUfunction;
typedef struct CUstream_st *CUstream;
typedef unsigned long long CUdeviceptr;

enum { CUDA_SUCCESS = 0, CUDA_ERROR_OUT_OF_MEMORY = 2, CUDA_ERROR_NO_DEVICE = 100, CUDA_ERROR_INVALID_DEVICE = 101, CUDA_ERROR_INVALID_PTX = 218,
       CUDA_ERROR_UNSUPPORTED_PTX_VERSION = 222, CUDA_ERROR_JIT_COMPILER_NOT_FOUND = 221, CUDA_ERROR_NO_BINARY_FOR_GPU = 209 };
enum { ATTRIBUTE_MULTIPROCESSORS = 16, ATTRIBUTE_MAJOR = 75, ATTRIBUTE_MINOR = 76, ATTRIBUTE_SHARED_OF_MULTIPROCESSOR = 81 };
enum { FUNCTION_MOST_SHARED = 8 }; /* CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES */
enum { POINTER_DEVICE = 9 }; /* CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL */
enum { JIT_ERROR_LOG = 5, JIT_ERROR_LOG_SIZE = 6 };

struct driver {
    void *library;
#define DRIVER(name, symbol, parameters, arguments) CUresult (*name) parameters;
#include "driver.def"
#undef DRIVER
};

/* file: NULL for libcuda.so.1. Opens, finds every function, initialises. False with a diagnostic; nothing stays open. */
bool driver_open(struct driver *d, const char *file, struct diags *diags);
void driver_close(struct driver *d);
/* Adds what the driver says of a failed call; true when it did not fail. */
bool driver_ok(const struct driver *d, CUresult result, const char *call, struct diags *diags);

#endif
