/* See _cai.h. */
#include "_cai.h"
#include <stdlib.h>
#include <string.h>

bool cai_names(PyObject **names)
{
    static const char *const all[CAI_NAMES] = {"mask", "typestr", "data", "shape", "strides", "stream"};
    for (int i = 0; i < CAI_NAMES; i++)
        if (!(names[i] = PyUnicode_InternFromString(all[i])))
            return false;
    return true;
}

/* Borrowed; NULL where it is missing or None. */
static PyObject *item(PyObject *face, PyObject *name)
{
    PyObject *x = PyDict_GetItemWithError(face, name);
    return x == Py_None ? NULL : x;
}

static bool read_numbers(PyObject *from, int n, int64_t *out)
{
    bool ok = PyTuple_Check(from) && PyTuple_Size(from) == n;
    for (int i = 0; ok && i < n; i++) {
        out[i] = PyLong_AsLongLong(PyTuple_GetItem(from, i));
        ok = out[i] != -1 || !PyErr_Occurred();
    }
    return ok;
}

static bool read_data(PyObject *data, struct cai *out)
{
    if (!data || !PyTuple_Check(data) || PyTuple_Size(data) != 2)
        return false;
    out->array.data = PyLong_AsVoidPtr(PyTuple_GetItem(data, 0));
    out->read_only = PyObject_IsTrue(PyTuple_GetItem(data, 1)) != 0;
    return out->array.data != NULL;
}

static bool read_dtype(PyObject *typestr, PyObject *codes, arex_array *a)
{
    PyObject *code = typestr ? PyDict_GetItemWithError(codes, typestr) : NULL;
    a->dtype = code ? (int32_t)PyLong_AsLong(code) : AREX_NONE;
    return code != NULL;
}

static void c_strides(arex_array *a, int64_t step)
{
    for (int d = a->rank - 1; d >= 0; d--) {
        a->strides[d] = step;
        step *= a->shape[d] > 1 ? a->shape[d] : 1;
    }
}

static int64_t size_of(PyObject *typestr)
{
    const char *text = PyUnicode_AsUTF8AndSize(typestr, NULL); /* "<f8" */
    return text && strlen(text) > 2 ? strtol(text + 2, NULL, 10) : 0;
}

static bool read_layout(PyObject *shape, PyObject *strides, PyObject *typestr, arex_array *a)
{
    Py_ssize_t rank = shape && PyTuple_Check(shape) ? PyTuple_Size(shape) : -1;
    if (rank < 0 || rank > AREX_MAX_RANK)
        return false;
    a->rank = (int32_t)rank;
    if (!read_numbers(shape, a->rank, a->shape))
        return false;
    if (strides)
        return read_numbers(strides, a->rank, a->strides);
    c_strides(a, size_of(typestr));
    return true;
}

static bool read_stream(PyObject *stream, struct cai *out)
{
    out->stream = NULL;
    if (!stream)
        return true;
    if (!PyLong_CheckExact(stream))
        return false;
    out->stream = PyLong_AsVoidPtr(stream);
    return out->stream != NULL && !PyErr_Occurred();
}

bool cai_read(PyObject *face, PyObject *const *names, PyObject *codes, struct cai *out)
{
    bool ok = PyDict_Check(face) && !item(face, names[CAI_MASK]);
    PyObject *typestr = ok ? item(face, names[CAI_TYPESTR]) : NULL;
    out->array.flags = 0;
    out->tells = ok && PyDict_GetItemWithError(face, names[CAI_STREAM]) != NULL;
    ok = ok && read_data(item(face, names[CAI_DATA]), out) && read_dtype(typestr, codes, &out->array) &&
         read_layout(item(face, names[CAI_SHAPE]), item(face, names[CAI_STRIDES]), typestr, &out->array) && read_stream(item(face, names[CAI_STREAM]), out);
    if (!ok)
        PyErr_Clear();
    return ok;
}
