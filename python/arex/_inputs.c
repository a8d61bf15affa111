/* See _call.h. */
#define NO_IMPORT_ARRAY
#include "_call.h"

bool read_array(const struct state *s, PyArrayObject *x, arex_array *a)
{
    int number = PyArray_TYPE(x), rank = PyArray_NDIM(x);
    if (number < 0 || number >= TYPE_NUMBERS || !s->code[number] || rank > AREX_MAX_RANK || !PyArray_ISNOTSWAPPED(x))
        return false;
    a->data = PyArray_DATA(x);
    a->dtype = s->code[number];
    a->rank = rank;
    a->device = -1;
    a->flags = 0;
    for (int d = 0; d < rank; d++) {
        a->shape[d] = PyArray_DIM(x, d);
        a->strides[d] = PyArray_STRIDE(x, d);
    }
    return true;
}

static bool weak(arex_array *a, int dtype, void *value)
{
    a->data = value;
    a->dtype = dtype;
    a->rank = 0;
    a->device = -1;
    a->flags = AREX_WEAK;
    return true;
}

static bool read_integer(struct call *c, uint32_t i, PyObject *x)
{
    int overflow = 0;
    c->number[i].i = PyLong_AsLongLongAndOverflow(x, &overflow);
    return !overflow && weak(&c->in[i], AREX_INT64, &c->number[i]);
}

/* A value of NumPy's, or of a class made from one: as an array of rank 0. */
static bool read_scalar(struct call *c, uint32_t i, PyObject *x)
{
    PyObject *array = PyArray_FromScalar(x, NULL);
    if (!array) {
        PyErr_Clear();
        return false;
    }
    c->held[c->n_held++] = array;
    return read_array(c->caller->state, (PyArrayObject *)array, &c->in[i]);
}

void copy_view(arex_array *to, const arex_array *from)
{
    memcpy(to, from, offsetof(arex_array, shape));
    memcpy(to->shape, from->shape, (size_t)from->rank * sizeof *to->shape);
    memcpy(to->strides, from->strides, (size_t)from->rank * sizeof *to->strides);
}

/* The elements of an array of ours, borrowed: what is put off runs now. NULL, and no exception: the long way tells why. */
static struct elements *elements_of(const struct state *s, PyObject *x)
{
    struct value *v = (struct value *)x;
    if (!v->memory || v->memory == Py_None) {
        PyObject *ran = PyObject_CallMethod(x, "_run", NULL);
        Py_DecRef(ran);
        PyErr_Clear();
    }
    bool there = v->memory && PyObject_TypeCheck(v->memory, (PyTypeObject *)s->elements_type);
    return there ? (struct elements *)v->memory : NULL;
}

bool is_value(const struct state *s, PyObject *x)
{
    return s->array_class && PyObject_TypeCheck(x, (PyTypeObject *)s->value_type);
}

bool read_value(struct call *c, PyObject *x, arex_array *a, bool *read_only)
{
    const struct state *s = c->caller->state;
    struct elements *e = elements_of(s, x);
    if (!e)
        return false;
    c->values = true;
    *read_only = e->read_only;
    if (e->host && e->host != Py_None)
        return PyArray_Check(e->host) && read_array(s, (PyArrayObject *)e->host, a);
    c->device = e->array.device;
    copy_view(a, &e->array);
    return e->array.rank >= 0 && e->array.dtype > 0;
}

static bool read_elsewhere(struct call *c, uint32_t i, PyObject *x)
{
    bool read_only = false, ok = is_value(c->caller->state, x) ? read_value(c, x, &c->in[i], &read_only) : read_foreign(c, x, &c->in[i], &read_only);
    c->read_only |= (uint32_t)read_only << i;
    return ok;
}

/* False: take the long way. */
bool read_input(struct call *c, uint32_t i, PyObject *x)
{
    if (is_value(c->caller->state, x))
        return read_elsewhere(c, i, x);
    if (PyArray_Check(x))
        return read_array(c->caller->state, (PyArrayObject *)x, &c->in[i]);
    if (PyFloat_CheckExact(x)) {
        c->number[i].f = PyFloat_AsDouble(x);
        return weak(&c->in[i], AREX_FLOAT64, &c->number[i]);
    }
    if (PyBool_Check(x)) {
        c->number[i].b = x == Py_True;
        return weak(&c->in[i], AREX_BOOL, &c->number[i]);
    }
    if (PyLong_CheckExact(x))
        return read_integer(c, i, x);
    if (PyArray_IsScalar(x, Generic))
        return read_scalar(c, i, x);
    return c->caller->state->array_class && !PyUnicode_Check(x) && !PyList_Check(x) && !PyTuple_Check(x) && read_elsewhere(c, i, x);
}

bool read_inputs(struct call *c, PyObject *values)
{
    bool ok = PyTuple_Size(values) == (Py_ssize_t)c->caller->n;
    for (uint32_t i = 0; ok && i < c->caller->n; i++)
        ok = read_input(c, i, PyTuple_GetItem(values, i));
    return ok;
}

/* May its elements change? What has been put off and reads them runs first. */
static bool value_is_writable(const struct state *s, PyObject *x)
{
    struct elements *e = elements_of(s, x);
    if (!e || e->read_only)
        return false;
    if (!e->readers || e->readers == Py_None || PyList_Size(e->readers) == 0)
        return true;
    PyObject *settled = PyObject_CallMethod((PyObject *)e, "settle", NULL);
    Py_DecRef(settled);
    PyErr_Clear();
    return settled != NULL;
}

bool is_writable(const struct state *s, PyObject *x)
{
    if (is_value(s, x))
        return value_is_writable(s, x);
    return PyArray_Check(x) && PyArray_ISWRITEABLE((PyArrayObject *)x);
}
