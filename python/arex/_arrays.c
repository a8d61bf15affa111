/* See _arrays.h. */
#include "_arrays.h"
#include <stddef.h>
#include <string.h>
#include <structmember.h>

static void dealloc(PyObject *self, inquiry clear)
{
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    PyObject_GC_UnTrack(self);
    clear(self);
    release(self);
    Py_DecRef((PyObject *)type);
}

static int visit_type(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    return 0;
}

/* ---- elements ---- */

static int elements_traverse(PyObject *self, visitproc visit, void *arg)
{
    struct elements *e = (struct elements *)self;
    Py_VISIT(e->owner);
    Py_VISIT(e->host);
    Py_VISIT(e->readers);
    return visit_type(self, visit, arg);
}

static int elements_clear(PyObject *self)
{
    struct elements *e = (struct elements *)self;
    Py_CLEAR(e->owner);
    Py_CLEAR(e->host);
    Py_CLEAR(e->readers);
    return 0;
}

static void elements_dealloc(PyObject *self)
{
    struct elements *e = (struct elements *)self;
    if (e->free && e->array.data)
        e->free(e->context, &e->array);
    dealloc(self, elements_clear);
}

static PyObject *tuple_of(const int64_t *at, int n)
{
    PyObject *all = PyTuple_New(n);
    for (int i = 0; all && i < n; i++) {
        PyObject *one = PyLong_FromLongLong(at[i]);
        if (!one || PyTuple_SetItem(all, i, one) < 0) { /* takes one */
            Py_DecRef(all);
            return NULL;
        }
    }
    return all;
}

static PyObject *elements_shape(PyObject *self, void *ignored)
{
    struct elements *e = (struct elements *)self;
    (void)ignored;
    return tuple_of(e->array.shape, e->array.rank);
}

static PyObject *elements_strides(PyObject *self, void *ignored)
{
    struct elements *e = (struct elements *)self;
    (void)ignored;
    return tuple_of(e->array.strides, e->array.rank);
}

static PyObject *elements_address(PyObject *self, void *ignored)
{
    (void)ignored;
    return PyLong_FromVoidPtr(&((struct elements *)self)->array);
}

static PyObject *elements_stream(PyObject *self, void *ignored)
{
    (void)ignored;
    return PyLong_FromVoidPtr(((struct elements *)self)->stream);
}

static int elements_set_stream(PyObject *self, PyObject *number, void *ignored)
{
    void *stream = number ? PyLong_AsVoidPtr(number) : NULL;
    (void)ignored;
    if (PyErr_Occurred())
        return -1;
    ((struct elements *)self)->stream = stream;
    return 0;
}

/* _set(address): takes over the description of an array, an arex_array at that address. */
static PyObject *elements_set(PyObject *self, PyObject *address)
{
    void *from = PyLong_AsVoidPtr(address);
    if (!from)
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_ValueError, "no address");
    memcpy(&((struct elements *)self)->array, from, sizeof(arex_array));
    Py_RETURN_NONE;
}

/* _own(context, arex_array_free): the memory is the library's, to be freed with this object. */
static PyObject *elements_own(PyObject *self, PyObject *args)
{
    struct elements *e = (struct elements *)self;
    PyObject *context, *release;
    if (!PyArg_ParseTuple(args, "OO", &context, &release))
        return NULL;
    void *c = PyLong_AsVoidPtr(context), *f = PyLong_AsVoidPtr(release);
    if (!c || !f)
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_ValueError, "no address");
    e->context = c;
    memcpy(&e->free, &f, sizeof f);
    Py_RETURN_NONE;
}

static PyMemberDef elements_members[] = {
    {"owner", T_OBJECT, offsetof(struct elements, owner), 0, "Kept alive with the elements."},
    {"host", T_OBJECT, offsetof(struct elements, host), 0, "The NumPy array that has them; None: they are on a device."},
    {"readers", T_OBJECT, offsetof(struct elements, readers), 0, "Arrays put off that read them."},
    {"read_only", T_BOOL, offsetof(struct elements, read_only), 0, "Who made them said so."},
    {"device", T_INT, offsetof(struct elements, array.device), READONLY, "Number of the device; -1: the host."},
    {"_code", T_INT, offsetof(struct elements, array.dtype), READONLY, "The library's number of the dtype."},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef elements_properties[] = {
    {"shape", elements_shape, NULL, "In elements.", NULL},
    {"strides", elements_strides, NULL, "In bytes.", NULL},
    {"_address", elements_address, NULL, "Of the arex_array.", NULL},
    {"_stream", elements_stream, elements_set_stream, "Of the last call that wrote them; 0: the default one.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef elements_methods[] = {
    {"_set", elements_set, METH_O, "_set(address): takes over the description of an array."},
    {"_own", elements_own, METH_VARARGS, "_own(context, arex_array_free): the memory is to be freed with this object."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot elements_slots[] = {
    {Py_tp_dealloc, elements_dealloc}, {Py_tp_traverse, elements_traverse}, {Py_tp_clear, elements_clear}, {Py_tp_members, elements_members},
    {Py_tp_getset, elements_properties}, {Py_tp_methods, elements_methods}, {Py_tp_doc, "Elements of an array, where they are."}, {0, NULL},
};
static PyType_Spec elements_spec = {"arex._fast.Elements", sizeof(struct elements), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, elements_slots};

PyObject *elements_type(PyObject *module)
{
    return PyType_FromModuleAndSpec(module, &elements_spec, NULL);
}

/* ---- values ---- */

static int value_traverse(PyObject *self, visitproc visit, void *arg)
{
    struct value *v = (struct value *)self;
    Py_VISIT(v->memory);
    Py_VISIT(v->pending);
    Py_VISIT(v->form);
    Py_VISIT(v->waiting);
    return visit_type(self, visit, arg);
}

static int value_clear(PyObject *self)
{
    struct value *v = (struct value *)self;
    Py_CLEAR(v->memory);
    Py_CLEAR(v->pending);
    Py_CLEAR(v->form);
    Py_CLEAR(v->waiting);
    return 0;
}

static void value_dealloc(PyObject *self)
{
    dealloc(self, value_clear);
}

static PyMemberDef value_members[] = {
    {"_memory", T_OBJECT, offsetof(struct value, memory), 0, "Its elements; None: it is put off."},
    {"_pending", T_OBJECT, offsetof(struct value, pending), 0, "What it is to be."},
    {"_form", T_OBJECT, offsetof(struct value, form), 0, "dtype and shape of what is put off, once asked for."},
    {"_waiting", T_OBJECT, offsetof(struct value, waiting), 0, "Others put off that read it."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot value_slots[] = {
    {Py_tp_dealloc, value_dealloc}, {Py_tp_traverse, value_traverse}, {Py_tp_clear, value_clear}, {Py_tp_members, value_members},
    {Py_tp_doc, "An array, there or put off."}, {0, NULL},
};
static PyType_Spec value_spec = {"arex._fast.Value", sizeof(struct value), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, value_slots};

PyObject *value_type(PyObject *module)
{
    return PyType_FromModuleAndSpec(module, &value_spec, NULL);
}
