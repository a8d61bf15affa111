/*
 * DLPack, https://dmlc.github.io/dlpack/latest/c_api.html, version 1: its structures and who frees them. What an array is, which
 * streams must be waited for and what is refused is decided in array.py.
 *
 * A capsule owns its tensor until it is taken: then its name changes, and the taker calls the tensor's deleter. That may happen in any
 * thread, without the GIL, and after Python has ended; in the last case the owner stays, with everything else.
 */
#define PY_SSIZE_T_CLEAN
#include "_dlpack.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_AXES = 64, MAJOR = 1, MINOR = 0 };

struct tensor {
    void *data;
    int32_t device_type, device;
    int32_t rank;
    uint8_t code, bits;
    uint16_t lanes;
    int64_t *shape, *strides; /* in elements; no strides: C order */
    uint64_t byte_offset;
};

struct managed {
    struct tensor tensor;
    void *context;
    void (*deleter)(struct managed *);
};

struct versioned {
    uint32_t major, minor;
    void *context;
    void (*deleter)(struct versioned *);
    uint64_t flags;
    struct tensor tensor;
};

static const char plain_name[] = "dltensor", versioned_name[] = "dltensor_versioned";
static const char plain_used[] = "used_dltensor", versioned_used[] = "used_dltensor_versioned", owner_name[] = "arex.dlpack";

/* What we give: one block. */
struct given {
    union {
        struct managed plain;
        struct versioned versioned;
    } as;
    PyObject *owner;
    int64_t shape[MOST_AXES], strides[MOST_AXES];
};

static void given_free(struct given *g)
{
    if (Py_IsInitialized()) {
        PyGILState_STATE state = PyGILState_Ensure();
        Py_DecRef(g->owner);
        PyGILState_Release(state);
    }
    free(g);
}

static void delete_plain(struct managed *m)
{
    given_free(m->context);
}

static void delete_versioned(struct versioned *v)
{
    given_free(v->context);
}

/* Of a capsule that nobody took. */
static void drop(PyObject *capsule)
{
    if (PyCapsule_IsValid(capsule, plain_name)) {
        struct managed *m = PyCapsule_GetPointer(capsule, plain_name);
        if (m->deleter)
            m->deleter(m);
    } else if (PyCapsule_IsValid(capsule, versioned_name)) {
        struct versioned *v = PyCapsule_GetPointer(capsule, versioned_name);
        if (v->deleter)
            v->deleter(v);
    }
}

static bool read_numbers(PyObject *tuple, int64_t *out)
{
    for (Py_ssize_t i = 0; i < PyTuple_Size(tuple); i++)
        out[i] = PyLong_AsLongLong(PyTuple_GetItem(tuple, i));
    return !PyErr_Occurred();
}

PyObject *dlpack_give(PyObject *module, PyObject *args)
{
    PyObject *owner, *data, *shape, *strides;
    int device_type, device, with_version;
    unsigned char code, bits;
    unsigned long long flags;
    (void)module;
    if (!PyArg_ParseTuple(args, "OO(ii)(bb)O!O!Kp", &owner, &data, &device_type, &device, &code, &bits, &PyTuple_Type, &shape, &PyTuple_Type, &strides, &flags,
                          &with_version))
        return NULL;
    if (PyTuple_Size(shape) > MOST_AXES || PyTuple_Size(strides) != PyTuple_Size(shape))
        return PyErr_Format(PyExc_ValueError, "shape and strides do not fit");
    struct given *g = calloc(1, sizeof *g);
    if (!g)
        return PyErr_NoMemory();
    struct tensor t = {.data = PyLong_AsVoidPtr(data), .device_type = device_type, .device = device, .rank = (int32_t)PyTuple_Size(shape), .code = code, .bits = bits,
                       .lanes = 1, .shape = g->shape, .strides = g->strides};
    if (!read_numbers(shape, g->shape) || !read_numbers(strides, g->strides)) {
        free(g);
        return NULL;
    }
    if (with_version)
        g->as.versioned = (struct versioned){.major = MAJOR, .minor = MINOR, .context = g, .deleter = delete_versioned, .flags = flags, .tensor = t};
    else
        g->as.plain = (struct managed){.tensor = t, .context = g, .deleter = delete_plain};
    PyObject *capsule = PyCapsule_New(&g->as, with_version ? versioned_name : plain_name, drop);
    if (!capsule) {
        free(g);
        return NULL;
    }
    Py_IncRef(owner);
    g->owner = owner;
    return capsule;
}

/* ---- taking ---- */

static void let_go_plain(PyObject *owner)
{
    struct managed *m = PyCapsule_GetPointer(owner, owner_name);
    if (m && m->deleter)
        m->deleter(m);
}

static void let_go_versioned(PyObject *owner)
{
    struct versioned *v = PyCapsule_GetPointer(owner, owner_name);
    if (v && v->deleter)
        v->deleter(v);
}

static PyObject *tuple_of(const int64_t *numbers, int32_t n)
{
    PyObject *tuple = numbers ? PyTuple_New(n) : Py_None;
    if (!numbers)
        Py_IncRef(tuple);
    for (int32_t i = 0; numbers && tuple && i < n; i++) {
        PyObject *one = PyLong_FromLongLong(numbers[i]);
        if (!one || PyTuple_SetItem(tuple, i, one) < 0) { /* takes one */
            Py_DecRef(tuple);
            return NULL;
        }
    }
    return tuple;
}

static PyObject *described(PyObject *owner, const struct tensor *t, uint64_t flags)
{
    PyObject *shape = tuple_of(t->shape ? t->shape : (int64_t[]){0}, t->shape ? t->rank : 0), *strides = tuple_of(t->strides, t->rank);
    if (!shape || !strides) {
        Py_DecRef(shape);
        Py_DecRef(strides);
        return NULL;
    }
    PyObject *data = PyLong_FromVoidPtr(t->data ? (char *)t->data + t->byte_offset : NULL);
    return Py_BuildValue("(ON(ii)(ii)NNK)", owner, data, (int)t->device_type, (int)t->device, (int)t->code, (int)t->bits * t->lanes, shape, strides,
                         (unsigned long long)flags);
}

/* From here on the tensor is ours. */
static PyObject *owner_of(PyObject *capsule, void *managed, const char *used, PyCapsule_Destructor let_go)
{
    PyObject *owner = PyCapsule_New(managed, owner_name, let_go);
    if (owner && PyCapsule_SetName(capsule, used) == 0)
        return owner;
    if (owner)
        PyCapsule_SetDestructor(owner, NULL);
    Py_DecRef(owner);
    return NULL;
}

PyObject *dlpack_take(PyObject *module, PyObject *capsule)
{
    const struct tensor *t = NULL;
    uint64_t flags = 0;
    PyObject *owner = NULL;
    (void)module;
    if (PyCapsule_IsValid(capsule, versioned_name)) {
        struct versioned *v = PyCapsule_GetPointer(capsule, versioned_name);
        if (v->major != MAJOR)
            return PyErr_Format(PyExc_BufferError, "DLPack of version %d.%d is not known here", (int)v->major, (int)v->minor);
        t = &v->tensor;
        flags = v->flags;
        owner = owner_of(capsule, v, versioned_used, let_go_versioned);
    } else if (PyCapsule_IsValid(capsule, plain_name)) {
        struct managed *m = PyCapsule_GetPointer(capsule, plain_name);
        t = &m->tensor;
        owner = owner_of(capsule, m, plain_used, let_go_plain);
    } else {
        return PyErr_Format(PyExc_BufferError, "no DLPack capsule, or one that has been taken");
    }
    PyObject *all = owner ? described(owner, t, flags) : NULL;
    Py_DecRef(owner);
    return all;
}

/* ---- looking ---- */

static int dtype_of(const struct tensor *t)
{
    static const struct {
        uint8_t code, bits;
        int dtype;
    } known[] = {
        {0, 8, AREX_INT8}, {0, 16, AREX_INT16}, {0, 32, AREX_INT32}, {0, 64, AREX_INT64}, {1, 8, AREX_UINT8}, {1, 16, AREX_UINT16}, {1, 32, AREX_UINT32},
        {1, 64, AREX_UINT64}, {2, 16, AREX_FLOAT16}, {2, 32, AREX_FLOAT32}, {2, 64, AREX_FLOAT64}, {4, 16, AREX_BFLOAT16}, {5, 64, AREX_COMPLEX64},
        {5, 128, AREX_COMPLEX128}, {6, 8, AREX_BOOL},
    };
    for (size_t i = 0; t->lanes == 1 && i < sizeof known / sizeof *known; i++)
        if (known[i].code == t->code && known[i].bits == t->bits)
            return known[i].dtype;
    return AREX_NONE;
}

bool dlpack_look(PyObject *capsule, arex_array *out)
{
    enum { ON_CUDA = 2 };
    struct managed *m = PyCapsule_IsValid(capsule, plain_name) ? PyCapsule_GetPointer(capsule, plain_name) : NULL;
    const struct tensor *t = m ? &m->tensor : NULL;
    if (!t || t->device_type != ON_CUDA || t->rank < 0 || t->rank > AREX_MAX_RANK || dtype_of(t) == AREX_NONE)
        return false;
    int64_t size = t->bits / 8, step = size;
    *out = (arex_array){.data = (char *)t->data + t->byte_offset, .dtype = dtype_of(t), .rank = t->rank, .device = t->device};
    for (int d = t->rank - 1; d >= 0; d--) {
        out->shape[d] = t->shape[d];
        out->strides[d] = t->strides ? t->strides[d] * size : step;
        step *= t->shape[d] > 1 ? t->shape[d] : 1;
    }
    return t->data != NULL;
}
