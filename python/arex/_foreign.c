/* See _call.h. */
#define NO_IMPORT_ARRAY
#include "_call.h"
#include "_dlpack.h"

static void found_elsewhere(struct call *c, arex_array *to, const arex_array *from)
{
    c->device = from->device;
    c->values = true;
    copy_view(to, from);
}

/* By DLPack, whose maker puts its work before ours. */
static bool read_tensor(struct call *c, PyObject *x, arex_array *a)
{
    const struct state *s = c->caller->state;
    PyObject *give = PyObject_GetAttr(x, s->dlpack_name), *stream = PyLong_FromVoidPtr(stream_of_call(c)), *named = PyDict_New();
    bool ready = give && stream && named && PyDict_SetItem(named, s->stream_name, stream) == 0;
    PyObject *capsule = ready ? PyObject_Call(give, s->nothing, named) : NULL;
    arex_array there;
    Py_DecRef(give);
    Py_DecRef(stream);
    Py_DecRef(named);
    if (!capsule) {
        PyErr_Clear();
        return false;
    }
    c->held[c->n_held++] = capsule;
    if (!dlpack_look(capsule, &there))
        return false;
    found_elsewhere(c, a, &there);
    return true;
}

/* Remembers the class, if it is the first of its kind. */
static void remember(struct state *s, PyTypeObject *type)
{
    struct maker *made = calloc(1, sizeof *made), *none = NULL;
    PyObject *stream = PyObject_CallFunctionObjArgs(s->stream_of_maker, (PyObject *)type, NULL);
    if (!stream)
        PyErr_Clear();
    if (made) {
        Py_IncRef((PyObject *)type);
        *made = (struct maker){type, stream};
    }
    if (made && atomic_compare_exchange_strong(&s->silent, &none, made))
        return;
    Py_DecRef(stream);
    if (made)
        Py_DecRef((PyObject *)type);
    free(made);
}

/* Does the maker's work go to the stream of this call? */
static bool goes_with_us(const struct call *c, const struct maker *maker, int device)
{
    PyObject *number = PyObject_CallFunction(maker->stream, "i", device);
    void *stream = number && PyLong_Check(number) ? PyLong_AsVoidPtr(number) : NULL;
    bool told = number && !PyErr_Occurred();
    Py_DecRef(number);
    PyErr_Clear();
    return told && (stream ? stream : DEFAULT_STREAM) == stream_of_call(c);
}

/*
 * An array of somebody else's on a GPU, all of whose work comes before ours anyway. Makers that tell of no streams are asked by DLPack, which does, but for those
 * of whom we know how to learn that it is the same one (PyTorch).
 */
bool read_foreign(struct call *c, PyObject *x, arex_array *a, bool *read_only)
{
    struct state *s = c->caller->state;
    struct maker *maker = atomic_load_explicit(&s->silent, memory_order_acquire);
    bool silent = maker && maker->type == Py_TYPE(x);
    if (silent && (!maker->stream || maker->stream == Py_None))
        return read_tensor(c, x, a);
    PyObject *face = PyObject_GetAttr(x, s->face_name);
    struct cai there;
    int device = -1;
    if (!face)
        PyErr_Clear();
    bool ok = face && cai_read(face, s->cai, s->codes, &there) && (!there.stream || there.stream == stream_of_call(c)) &&
              s->pointer_device(c->caller->context, there.array.data, &device, NULL) == AREX_OK;
    Py_DecRef(face);
    if (ok && !there.tells && PyObject_HasAttr(x, s->dlpack_name)) {
        if (!maker)
            remember(s, Py_TYPE(x));
        if (!silent || !goes_with_us(c, maker, device))
            return read_tensor(c, x, a);
    }
    if (!ok)
        return false;
    there.array.device = device;
    *read_only = there.read_only;
    found_elsewhere(c, a, &there.array);
    return true;
}
