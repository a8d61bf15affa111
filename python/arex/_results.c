/* See _call.h. */
#define NO_IMPORT_ARRAY
#include "_call.h"

static PyArray_Descr *descr_of(const struct state *s, int code)
{
    if (code > 0 && code < CODES && s->descr[code]) {
        Py_IncRef((PyObject *)s->descr[code]);
        return s->descr[code];
    }
    PyObject *made = PyObject_CallFunction(s->dtype_of, "i", code);
    if (made && !PyArray_DescrCheck(made)) {
        PyErr_SetString(PyExc_TypeError, "a dtype was expected");
        Py_DecRef(made);
        return NULL;
    }
    return (PyArray_Descr *)made;
}

static void memory_dealloc(PyObject *self)
{
    struct memory *m = (struct memory *)self;
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    if (m->array.data)
        m->free(m->context, &m->array);
    release(self);
    Py_DecRef((PyObject *)type);
}

static PyType_Slot memory_slots[] = {
    {Py_tp_dealloc, memory_dealloc}, {Py_tp_doc, "Memory of the library's own under an array."}, {0, NULL},
};

static PyType_Spec memory_spec = {"arex._fast.Memory", sizeof(struct memory), 0, Py_TPFLAGS_DEFAULT, memory_slots};

PyObject *memory_type(PyObject *module)
{
    return PyType_FromModuleAndSpec(module, &memory_spec, NULL);
}

/* Takes over o's memory, also when it fails. */
static PyObject *memory_new(const struct caller *c, arex_array *o)
{
    PyTypeObject *type = (PyTypeObject *)c->state->memory_type;
    struct memory *m = (struct memory *)PyType_GenericAlloc(type, 0);
    if (!m) {
        c->state->array_free(c->context, o);
        return NULL;
    }
    m->free = c->state->array_free;
    m->context = c->context;
    m->array = *o;
    o->data = NULL;
    return (PyObject *)m;
}

static PyObject *array_of(const struct caller *c, arex_array *o, PyArray_Descr *descr)
{
    npy_intp shape[AREX_MAX_RANK];
    void *data = o->data;
    PyObject *memory = memory_new(c, o);
    if (!memory) {
        Py_DecRef((PyObject *)descr);
        return NULL;
    }
    for (int d = 0; d < o->rank; d++)
        shape[d] = (npy_intp)o->shape[d];
    PyObject *array = PyArray_NewFromDescr(&PyArray_Type, descr, o->rank, shape, NULL, data, NPY_ARRAY_CARRAY, NULL); /* takes descr */
    if (!array) {
        Py_DecRef(memory);
        return NULL;
    }
    if (PyArray_SetBaseObject((PyArrayObject *)array, memory) == 0) /* takes memory */
        return array;
    Py_DecRef(array);
    return NULL;
}

static PyObject *scalar_of(const struct caller *c, arex_array *o, PyArray_Descr *descr)
{
    PyObject *value = PyArray_Scalar(o->data, descr, NULL);
    Py_DecRef((PyObject *)descr);
    c->state->array_free(c->context, o);
    return value;
}

/* An array of ours. Takes over o's memory, also when it fails. */
static PyObject *value_of(const struct caller *c, arex_array *o, void *stream)
{
    const struct state *s = c->state;
    struct elements *e = (struct elements *)PyType_GenericAlloc((PyTypeObject *)s->memory_class, 0);
    struct value *v = e ? (struct value *)PyType_GenericAlloc((PyTypeObject *)s->array_class, 0) : NULL;
    if (e) {
        e->free = s->array_free;
        e->context = c->context;
        e->stream = stream == DEFAULT_STREAM ? NULL : stream;
        copy_view(&e->array, o);
        o->data = NULL;
    } else {
        s->array_free(c->context, o);
    }
    if (v)
        v->memory = (PyObject *)e;
    else
        Py_DecRef((PyObject *)e);
    return (PyObject *)v;
}

static PyObject *numpy_of(const struct caller *c, arex_array *o)
{
    PyArray_Descr *descr = descr_of(c->state, o->dtype);
    if (descr)
        return o->rank ? array_of(c, o, descr) : scalar_of(c, o, descr);
    c->state->array_free(c->context, o);
    return NULL;
}

static PyObject *result_of(const struct call *c, arex_array *o)
{
    const struct caller *k = c->caller;
    if (o->device >= 0)
        return value_of(k, o, stream_of_call(c));
    PyObject *there = numpy_of(k, o);
    if (!there || !c->values)
        return there;
    PyObject *made = PyObject_CallFunctionObjArgs(k->state->of_host, there, NULL);
    Py_DecRef(there);
    return made;
}

PyObject *results_of(struct call *c)
{
    const struct caller *k = c->caller;
    if (c->given) {
        note_stream(c, c->given);
        Py_IncRef(c->given);
        return c->given;
    }
    if (k->m == 1)
        return result_of(c, &c->out[0]);
    PyObject *all = PyTuple_New(k->m);
    for (uint32_t i = 0; i < k->m; i++) {
        PyObject *one = all ? result_of(c, &c->out[i]) : NULL;
        if (one && PyTuple_SetItem(all, i, one) == 0) /* takes one */
            continue;
        for (uint32_t rest = i; rest < k->m; rest++)
            k->state->array_free(k->context, &c->out[rest]);
        Py_DecRef(all);
        return NULL;
    }
    if (!all || k->results == Py_None)
        return all;
    PyObject *named = PyObject_CallObject(k->results, all);
    Py_DecRef(all);
    return named;
}
