/* Arrays of others on a GPU, by __cuda_array_interface__ (version 3, as Numba documents it). */
#ifndef AREX_PYTHON_CAI_H
#define AREX_PYTHON_CAI_H
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>
#include <arex/arex.h>

enum { CAI_MASK, CAI_TYPESTR, CAI_DATA, CAI_SHAPE, CAI_STRIDES, CAI_STREAM, CAI_NAMES };

/* The names of what it has, as Python's: false with an exception. */
bool cai_names(PyObject **names);

struct cai {
    arex_array array; /* but for its device, which the protocol does not tell */
    bool read_only;
    void *stream; /* whose work comes first; NULL: none */
    bool tells;   /* of streams at all, as version 3 does */
};
/* codes: the library's number of a dtype by its typestr. False where the interface is not plain (a mask, other types), without an exception. */
bool cai_read(PyObject *face, PyObject *const *names, PyObject *codes, struct cai *out);

#endif
