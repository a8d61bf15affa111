/* What arex.Array is made of, for C: elements that are there, and a value that has some or is put off. */
#ifndef AREX_PYTHON_ARRAYS_H
#define AREX_PYTHON_ARRAYS_H
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>
#include <arex/arex.h>

typedef void free_fn(arex_context *, arex_array *);

/* Memory and who keeps it: base of _Memory in Python. What is set once does not change, but for `readers` and `stream`. */
struct elements {
    PyObject_HEAD
    arex_array array;      /* where they are: on a device, or in `host` */
    free_fn *free;         /* not NULL: the memory is the library's and ours to free */
    arex_context *context; /* of that memory */
    PyObject *owner, *host, *readers;
    void *stream; /* of the last call that wrote them, NULL for the default one */
    char read_only;
};

/* An array: base of Array in Python. */
struct value {
    PyObject_HEAD
    PyObject *memory; /* a struct elements; NULL or None: put off */
    PyObject *pending, *form, *waiting;
};

/* Makes the types as attributes of the module: Elements and Value. NULL with an exception. */
PyObject *elements_type(PyObject *module);
PyObject *value_type(PyObject *module);

#endif
