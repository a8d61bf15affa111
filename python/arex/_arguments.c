/* See _call.h. */
#define NO_IMPORT_ARRAY
#include "_call.h"

bool read_threads(struct call *c, PyObject *threads)
{
    long n = PyLong_CheckExact(threads) ? PyLong_AsLong(threads) : -1;
    PyErr_Clear();
    if (n > 0 && n <= INT32_MAX)
        c->threads = (int32_t)n;
    return n >= 0 && n <= INT32_MAX;
}

static bool read_out(struct call *c, PyObject *out)
{
    const struct state *s = c->caller->state;
    bool read_only = false;
    c->given = out;
    if (c->caller->m != 1)
        return false;
    if (PyArray_Check(out))
        return is_writable(s, out) && read_array(s, (PyArrayObject *)out, &c->out[0]);
    if (is_value(s, out))
        return is_writable(s, out) && read_value(c, out, &c->out[0], &read_only);
    return s->array_class && read_foreign(c, out, &c->out[0], &read_only) && !read_only;
}

/* Values by position, then those by the names of inputs. out=, threads= and stream= are understood; any other name is the long way's. */
bool read_arguments(struct call *c, PyObject *args, PyObject *named)
{
    const struct caller *k = c->caller;
    if (!named)
        return read_inputs(c, args);
    PyObject *out = PyDict_GetItemWithError(named, k->state->out_name), *threads = PyDict_GetItemWithError(named, k->state->threads_name);
    PyObject *stream = PyDict_GetItemWithError(named, k->state->stream_name);
    Py_ssize_t n = PyTuple_Size(args);
    bool ok = n + PyDict_Size(named) == (Py_ssize_t)k->n + (out != NULL) + (threads != NULL) + (stream != NULL) && (!stream || read_stream(k->state, stream, &c->stream));
    ok = ok && (!threads || threads == Py_None || read_threads(c, threads)) && (!out || out == Py_None || read_out(c, out));
    for (uint32_t i = 0; ok && i < k->n; i++) {
        PyObject *x = i < n ? PyTuple_GetItem(args, i) : PyDict_GetItemWithError(named, PyTuple_GetItem(k->names, i));
        ok = x && read_input(c, i, x);
    }
    PyErr_Clear();
    return ok;
}

void call_begin(struct call *c, const struct caller *caller)
{
    c->caller = caller;
    c->n_held = 0;
    c->given = NULL;
    c->threads = caller->threads;
    c->device = -1;
    c->values = false;
    c->read_only = 0;
    c->stream = NULL;
    for (uint32_t i = 0; i < caller->m; i++) {
        c->out[i].data = NULL;
        c->out[i].device = -1;
    }
}

void call_end(struct call *c)
{
    for (uint32_t i = 0; i < c->n_held; i++)
        Py_DecRef(c->held[i]);
}
