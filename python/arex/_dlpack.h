/* DLPack for arrays on a device: capsules out and in. Part of the extension; used by array.py. */
#ifndef AREX_PYTHON_DLPACK_H
#define AREX_PYTHON_DLPACK_H
#include <Python.h>
#include <stdbool.h>
#include <arex/arex.h>

/* dlpack_give(owner, data, (device type, device), (code, bits), shape, strides in elements, flags, versioned): a capsule that keeps
 * the owner until who took the memory lets it go. */
PyObject *dlpack_give(PyObject *module, PyObject *args);
/* dlpack_take(capsule): (owner, data, (device type, device), (code, bits), shape, strides in elements or None, flags). The memory
 * lives as long as the owner. */
PyObject *dlpack_take(PyObject *module, PyObject *capsule);

/* What a capsule holds that is not taken: elements on a GPU, which live as long as the capsule. False, without an exception, where it is anything else. */
bool dlpack_look(PyObject *capsule, arex_array *out);

#endif
