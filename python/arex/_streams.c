/* See _call.h. */
#define NO_IMPORT_ARRAY
#include "_call.h"

/* The stream of `with stream:`. A fact of the thread, which Python's own place for those takes too long to tell. */
static _Thread_local void *stream_of_thread;

void *stream_of_call(const struct call *c)
{
    void *stream = c->stream ? c->stream : stream_of_thread;
    return stream ? stream : DEFAULT_STREAM;
}

static bool number_of(PyObject *x, PyObject *name, void **out)
{
    PyObject *n = name ? PyObject_GetAttr(x, name) : x;
    bool ok = n && PyLong_Check(n);
    if (ok)
        *out = PyLong_AsVoidPtr(n);
    if (name)
        Py_DecRef(n);
    ok = ok && !PyErr_Occurred();
    PyErr_Clear();
    return ok;
}

/* A number, or an object of ours, of CuPy's or PyTorch's. Every handle of the default stream is one here. */
bool read_stream(const struct state *s, PyObject *x, void **stream)
{
    *stream = NULL;
    if (x == Py_None)
        return true;
    bool ok = PyBool_Check(x) ? false : PyLong_Check(x) ? number_of(x, NULL, stream) : number_of(x, s->ptr_name, stream) || number_of(x, s->cuda_stream_name, stream);
    *stream = ok && !*stream ? DEFAULT_STREAM : *stream;
    return ok;
}

/* Whoever looks at it from another stream has to know. */
void note_stream(const struct call *c, PyObject *x)
{
    void *stream = stream_of_call(c);
    if (is_value(c->caller->state, x))
        ((struct elements *)((struct value *)x)->memory)->stream = stream == DEFAULT_STREAM ? NULL : stream;
}

PyObject *module_set_stream(PyObject *module, PyObject *number)
{
    void *before = stream_of_thread, *now = PyLong_AsVoidPtr(number);
    (void)module;
    if (PyErr_Occurred())
        return NULL;
    stream_of_thread = now;
    return PyLong_FromVoidPtr(before);
}
