/*
 * The short way from Python to arex_call and arex_launch: arrays of NumPy's and of ours, those of others on a GPU, and Python's numbers are read, the library is called,
 * and its memory becomes arrays, with no interpreted step between. What is not plain (lists, types that NumPy has not of its own) takes the long way,
 * the methods of Program in Python, which can do all of it; what goes wrong is told by them too. The package works without this file.
 *
 * With an array on a device the results are there too, and nothing is waited for. The GIL is kept for a call that is like one before, since that takes no longer than
 * to give the GIL away and to get it again; all others are made without it.
 *
 * The functions of the library come as addresses from the library that Python has loaded: it is looked for in one place.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#define NPY_NO_DEPRECATED_API NPY_1_7_API_VERSION
#include <numpy/arrayobject.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <arex/arex.h>
#include "_arrays.h"
#include "_cai.h"
#include "_dlpack.h"

enum { MOST_INPUTS = 16, MOST_OUTPUTS = 8, TYPE_NUMBERS = 32, CODES = AREX_COMPLEX128 + 1 };
#define DEFAULT_STREAM ((void *)1) /* CUDA's handle of it */

typedef arex_status call_fn(arex_program *, const arex_array *, int, arex_array *, int, const arex_call_options *, arex_diagnostics **);
typedef arex_status launch_fn(arex_program *, const arex_array *, int, const uint32_t *, const uint32_t *, const arex_call_options *,
                              arex_diagnostics **);
typedef arex_status device_fn(arex_context *, const void *, int *, arex_diagnostics **);

/* Somebody's class of arrays whose interface tells of no streams, and what tells the stream that its work goes to now, of a device; NULL: nothing does. */
struct maker {
    PyTypeObject *type;
    PyObject *stream;
};

/* Of the module; does not change once it is bound. */
struct state {
    call_fn *call;
    launch_fn *launch;
    int (*progress)(void *user, double done); /* looks for Ctrl-C */
    free_fn *array_free;
    device_fn *pointer_device;
    PyObject *elements_type, *value_type, *launcher_type;
    PyObject *memory_class, *array_class, *of_host; /* Python's: _Memory, Array, and what makes one of a NumPy array */
    PyObject *codes;                                /* of dtypes, by typestr */
    PyObject *cai[CAI_NAMES], *dlpack_name, *nothing; /* nothing: a tuple */
    PyObject *stream_of_maker;                        /* Python's: of a class, see struct maker */
    _Atomic(struct maker *) silent;                   /* once one is seen */
    PyObject *dtype_of; /* Python's: the dtype of a code that NumPy has not of its own */
    PyObject *library;  /* keeps the functions above mapped */
    PyArray_Descr *descr[CODES];
    uint8_t code[TYPE_NUMBERS]; /* arex_dtype of NumPy's type numbers, 0 for none */
    PyObject *memory_type, *call_name, *failed_name, *out_name, *threads_name, *stream_name, *face_name, *ptr_name, *cuda_stream_name;
};

/* What a Program is for C. Attached once, by its __init__; then it does not change. */
struct caller {
    PyObject_HEAD
    PyObject *module;  /* owns the state; NULL: not attached */
    PyObject *owner;   /* of the program: the collector may have emptied the Program around us when it is called for the last time */
    PyObject *results; /* makes one object of several results; None: a tuple */
    PyObject *names;   /* of the inputs: a tuple */
    struct state *state;
    arex_program *program;
    arex_context *context;
    int32_t target, threads;
    uint32_t n, m;
    uint64_t changed; /* inputs that a kernel changes, a bit each */
};

/* Memory that arex_call allocated, as the base of the array that shows it. */
struct memory {
    PyObject_HEAD
    free_fn *free;
    arex_context *context;
    arex_array array;
};

/* One call, on the stack: nothing is shared between threads. */
struct call {
    const struct caller *caller;
    arex_array in[MOST_INPUTS], out[MOST_OUTPUTS];
    union {
        double f;
        int64_t i;
        uint8_t b;
    } number[MOST_INPUTS];
    PyObject *held[MOST_INPUTS + 1]; /* arrays made of NumPy's scalars; capsules */
    uint32_t n_held;
    PyObject *given; /* borrowed: the array for the only output, or NULL */
    int32_t threads, device; /* device: of the arrays that are on one, or -1 */
    bool values;             /* some input is an array of ours, so results are */
    uint32_t read_only;      /* inputs that may not be written, a bit each */
    void *stream;            /* as given; NULL: the thread's */
};

/* The stream of `with stream:`. A fact of the thread, which Python's own place for those takes too long to tell. */
static _Thread_local void *stream_of_thread;

/* ---- values in ---- */

static bool read_array(const struct state *s, PyArrayObject *x, arex_array *a)
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

static void copy_view(arex_array *to, const arex_array *from)
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

static bool is_value(const struct state *s, PyObject *x)
{
    return s->array_class && PyObject_TypeCheck(x, (PyTypeObject *)s->value_type);
}

static bool read_value(struct call *c, PyObject *x, arex_array *a, bool *read_only)
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

static void *stream_of_call(const struct call *c)
{
    void *stream = c->stream ? c->stream : stream_of_thread;
    return stream ? stream : DEFAULT_STREAM;
}

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
static bool read_foreign(struct call *c, PyObject *x, arex_array *a, bool *read_only)
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

static bool read_elsewhere(struct call *c, uint32_t i, PyObject *x)
{
    bool read_only = false, ok = is_value(c->caller->state, x) ? read_value(c, x, &c->in[i], &read_only) : read_foreign(c, x, &c->in[i], &read_only);
    c->read_only |= (uint32_t)read_only << i;
    return ok;
}

/* False: take the long way. */
static bool read_input(struct call *c, uint32_t i, PyObject *x)
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

static bool read_inputs(struct call *c, PyObject *values)
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

static bool is_writable(const struct state *s, PyObject *x)
{
    if (is_value(s, x))
        return value_is_writable(s, x);
    return PyArray_Check(x) && PyArray_ISWRITEABLE((PyArrayObject *)x);
}

static bool read_threads(struct call *c, PyObject *threads)
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
static bool read_stream(const struct state *s, PyObject *x, void **stream)
{
    *stream = NULL;
    if (x == Py_None)
        return true;
    bool ok = PyBool_Check(x) ? false : PyLong_Check(x) ? number_of(x, NULL, stream) : number_of(x, s->ptr_name, stream) || number_of(x, s->cuda_stream_name, stream);
    *stream = ok && !*stream ? DEFAULT_STREAM : *stream;
    return ok;
}

/* Values by position, then those by the names of inputs. out=, threads= and stream= are understood; any other name is the long way's. */
static bool read_arguments(struct call *c, PyObject *args, PyObject *named)
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

static void call_begin(struct call *c, const struct caller *caller)
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

static void call_end(struct call *c)
{
    for (uint32_t i = 0; i < c->n_held; i++)
        Py_DecRef(c->held[i]);
}

/* ---- values out ---- */

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

/* Whoever looks at it from another stream has to know. */
static void note_stream(const struct call *c, PyObject *x)
{
    void *stream = stream_of_call(c);
    if (is_value(c->caller->state, x))
        ((struct elements *)((struct value *)x)->memory)->stream = stream == DEFAULT_STREAM ? NULL : stream;
}

static PyObject *results_of(struct call *c)
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

/* ---- the call ---- */

static arex_call_options options_of(const struct call *c)
{
    bool there = c->device >= 0;
    return (arex_call_options){.size = sizeof(arex_call_options), .target = c->caller->target, .threads = c->threads, .progress = c->caller->state->progress,
                               .stream = there ? stream_of_call(c) : NULL, .late_faults = there, .at_once = there};
}

/* Python raises what the library had to say. False with an exception; true after mere warnings. */
static bool settled(const struct call *c, arex_status status, arex_diagnostics *diags)
{
    if (status == AREX_OK && !diags)
        return true;
    PyObject *told = PyObject_GetAttr((PyObject *)c->caller, c->caller->state->failed_name);
    PyObject *done = told ? PyObject_CallFunction(told, "iN", (int)status, PyLong_FromVoidPtr(diags)) : NULL;
    Py_DecRef(told);
    Py_DecRef(done);
    if (done && status != AREX_OK)
        PyErr_SetString(PyExc_SystemError, "a call failed, and no exception told of it");
    return done && status == AREX_OK;
}

static PyObject *run(struct call *c)
{
    const struct caller *k = c->caller;
    arex_call_options options = options_of(c);
    arex_diagnostics *diags = NULL;
    arex_status status = AREX_NOT_AT_ONCE;
    for (uint32_t i = 0; !c->given && i < k->m; i++)
        c->out[i].device = c->device;
    if (options.at_once)
        status = k->state->call(k->program, c->in, (int)k->n, c->out, (int)k->m, &options, &diags);
    options.at_once = 0;
    if (status == AREX_NOT_AT_ONCE) {
        Py_BEGIN_ALLOW_THREADS
        status = k->state->call(k->program, c->in, (int)k->n, c->out, (int)k->m, &options, &diags);
        Py_END_ALLOW_THREADS
    }
    if (settled(c, status, diags))
        return results_of(c);
    for (uint32_t i = 0; status == AREX_OK && !c->given && i < k->m; i++)
        k->state->array_free(k->context, &c->out[i]);
    return NULL;
}

static PyObject *long_way(PyObject *self, PyObject *args, PyObject *named)
{
    const struct caller *k = (const struct caller *)self;
    PyObject *method = k->state ? PyObject_GetAttr(self, k->state->call_name) : PyObject_GetAttrString(self, "_call");
    PyObject *result = method ? PyObject_Call(method, args, named) : NULL;
    Py_DecRef(method);
    return result;
}

static PyObject *caller_call(PyObject *self, PyObject *args, PyObject *named)
{
    const struct caller *k = (const struct caller *)self;
    struct call c;
    if (!k->module)
        return long_way(self, args, named);
    call_begin(&c, k);
    PyObject *result = read_arguments(&c, args, named) ? run(&c) : long_way(self, args, named);
    call_end(&c);
    return result;
}

/* ---- evaluate: values by name, from where the caller has them ---- */

/* Without the GIL another thread may take the value out meanwhile. */
static PyObject *dict_value(PyObject *dict, PyObject *name)
{
#if defined(Py_GIL_DISABLED)
    PyObject *found = NULL;
    (void)PyDict_GetItemRef(dict, name, &found);
#else
    PyObject *found = PyDict_GetItemWithError(dict, name);
    Py_IncRef(found);
#endif
    return found;
}

static PyObject *named_value(PyObject *scope, PyObject *name)
{
    PyObject *found;
    if (PyDict_CheckExact(scope)) {
        found = dict_value(scope, name);
    } else {
        found = PyObject_GetItem(scope, name);
    }
    PyErr_Clear();
    return found;
}

/* A new tuple; NULL, and no exception, when a name has no value. */
static PyObject *named_values(const struct caller *k, PyObject *here, PyObject *there)
{
    PyObject *values = PyTuple_New(k->n);
    for (uint32_t i = 0; values && i < k->n; i++) {
        PyObject *name = PyTuple_GetItem(k->names, i), *x = named_value(here, name);
        x = x ? x : named_value(there, name);
        if (x && PyTuple_SetItem(values, i, x) == 0) /* takes x */
            continue;
        Py_DecRef(values);
        values = NULL;
    }
    PyErr_Clear();
    return values;
}

/* Does the order of a result depend on nothing here? */
static bool in_c_order(PyObject *values)
{
    for (Py_ssize_t i = 0; i < PyTuple_Size(values); i++) {
        PyObject *x = PyTuple_GetItem(values, i);
        if (PyArray_Check(x) && PyArray_NDIM((PyArrayObject *)x) > 1 && !PyArray_IS_C_CONTIGUOUS((PyArrayObject *)x))
            return false;
    }
    return true;
}

/* _evaluate(here, there, threads): NotImplemented when the long way must do it. */
static PyObject *caller_evaluate(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    const struct caller *k = (const struct caller *)self;
    struct call c;
    PyObject *values = n == 3 && k->module ? named_values(k, args[0], args[1]) : NULL;
    if (!values) {
        Py_IncRef(Py_NotImplemented);
        return Py_NotImplemented;
    }
    call_begin(&c, k);
    PyObject *result;
    if (read_threads(&c, args[2]) && in_c_order(values) && read_inputs(&c, values)) {
        result = run(&c);
    } else {
        result = Py_NotImplemented;
        Py_IncRef(result);
    }
    call_end(&c);
    Py_DecRef(values);
    return result;
}

/* ---- kernels ---- */

/* A number, or up to three of them. */
static bool read_dimensions(PyObject *x, uint32_t *out)
{
    Py_ssize_t n = PyTuple_Check(x) ? PyTuple_Size(x) : 1;
    bool ok = n >= 1 && n <= 3;
    for (Py_ssize_t i = 0; i < 3; i++) {
        PyObject *one = !ok || i >= n ? NULL : PyTuple_Check(x) ? PyTuple_GetItem(x, i) : x;
        PyObject *number = one ? PyNumber_Index(one) : NULL; /* NumPy's integers too */
        long long size = !one ? 1 : number ? PyLong_AsLongLong(number) : 0;
        Py_DecRef(number);
        ok = ok && size > 0 && size <= UINT32_MAX;
        out[i] = ok ? (uint32_t)size : 0;
    }
    PyErr_Clear();
    return ok;
}

static bool changed_are_writable(const struct call *c, PyObject *args)
{
    const struct caller *k = c->caller;
    for (uint32_t i = 0; i < k->n; i++) {
        PyObject *x = PyTuple_GetItem(args, i);
        bool foreign = c->in[i].device >= 0 && !is_value(k->state, x);
        if ((k->changed >> i & 1) && (foreign ? c->read_only >> i & 1 : !is_writable(k->state, x)))
            return false;
    }
    return true;
}

static void note_streams(const struct call *c, PyObject *args)
{
    for (uint32_t i = 0; i < c->caller->n; i++)
        if (c->caller->changed >> i & 1)
            note_stream(c, PyTuple_GetItem(args, i));
}

static PyObject *run_kernel(struct call *c, PyObject *args, const uint32_t *grid, const uint32_t *block)
{
    const struct caller *k = c->caller;
    arex_call_options options = options_of(c);
    arex_diagnostics *diags = NULL;
    arex_status status = AREX_NOT_AT_ONCE;
    options.target = c->device >= 0 ? AREX_TARGET_CUDA : options.target;
    if (options.at_once)
        status = k->state->launch(k->program, c->in, (int)k->n, grid, block, &options, &diags);
    options.at_once = 0;
    if (status == AREX_NOT_AT_ONCE) {
        Py_BEGIN_ALLOW_THREADS
        status = k->state->launch(k->program, c->in, (int)k->n, grid, block, &options, &diags);
        Py_END_ALLOW_THREADS
    }
    note_streams(c, args);
    return settled(c, status, diags) ? PyBool_FromLong(1) : NULL;
}

/* NULL, and no exception: the long way must do it. */
static PyObject *launch(const struct caller *k, PyObject *args, const uint32_t *grid, const uint32_t *block, void *stream)
{
    struct call c;
    call_begin(&c, k);
    c.stream = stream;
    PyObject *done = read_inputs(&c, args) && changed_are_writable(&c, args) ? run_kernel(&c, args, grid, block) : NULL;
    call_end(&c);
    return done;
}

/* A kernel with its launch: kernel[blocks, threads, stream]. Does not change. */
struct launcher {
    PyObject_HEAD
    PyObject *caller, *long_way; /* long_way: called with the arguments where they are not plain */
    PyObject *held;              /* the stream, kept alive */
    void *stream;
    uint32_t grid[3], block[3];
};

static PyObject *launcher_call(PyObject *self, PyObject *args, PyObject *named)
{
    const struct launcher *l = (const struct launcher *)self;
    const struct caller *k = (const struct caller *)l->caller;
    bool plain = (!named || PyDict_Size(named) == 0) && k && k->module; /* the collector may have emptied it */
    PyObject *done = plain ? launch(k, args, l->grid, l->block, l->stream) : NULL;
    if (!done && !PyErr_Occurred())
        return l->long_way ? PyObject_Call(l->long_way, args, named) : PyErr_Format(PyExc_RuntimeError, "the kernel is gone");
    Py_DecRef(done);
    if (!done)
        return NULL;
    Py_RETURN_NONE;
}

static int launcher_traverse(PyObject *self, visitproc visit, void *arg)
{
    struct launcher *l = (struct launcher *)self;
    Py_VISIT(l->caller);
    Py_VISIT(l->long_way);
    Py_VISIT(l->held);
    Py_VISIT(Py_TYPE(self));
    return 0;
}

static int launcher_clear(PyObject *self)
{
    struct launcher *l = (struct launcher *)self;
    Py_CLEAR(l->caller);
    Py_CLEAR(l->long_way);
    Py_CLEAR(l->held);
    return 0;
}

static void launcher_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    PyObject_GC_UnTrack(self);
    launcher_clear(self);
    release(self);
    Py_DecRef((PyObject *)type);
}

static PyType_Slot launcher_slots[] = {
    {Py_tp_dealloc, launcher_dealloc}, {Py_tp_traverse, launcher_traverse}, {Py_tp_clear, launcher_clear}, {Py_tp_call, launcher_call}, {Py_tp_doc, "A kernel with its blocks, threads and stream: call it with the kernel's arguments."}, {0, NULL},
};
static PyType_Spec launcher_spec = {"arex._fast.Launcher", sizeof(struct launcher), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, launcher_slots};

/* _launcher(grid, block, stream, long_way): None when they are not plain. */
static PyObject *caller_launcher(PyObject *self, PyObject *args)
{
    const struct caller *k = (const struct caller *)self;
    PyObject *grid, *block, *stream, *long_way;
    struct launcher made = {0};
    if (!PyArg_ParseTuple(args, "OOOO", &grid, &block, &stream, &long_way))
        return NULL;
    if (!k->module || !read_dimensions(grid, made.grid) || !read_dimensions(block, made.block) || !read_stream(k->state, stream, &made.stream))
        Py_RETURN_NONE;
    struct launcher *l = (struct launcher *)PyType_GenericAlloc((PyTypeObject *)k->state->launcher_type, 0);
    if (!l)
        return NULL;
    memcpy(l->grid, made.grid, sizeof made.grid);
    memcpy(l->block, made.block, sizeof made.block);
    l->stream = made.stream;
    Py_IncRef(self);
    l->caller = self;
    Py_IncRef(long_way);
    l->long_way = long_way;
    Py_IncRef(stream);
    l->held = stream;
    return (PyObject *)l;
}

/* _launch(grid, block, values, stream): True when done, False when the long way must do it. */
static PyObject *caller_launch(PyObject *self, PyObject *args)
{
    const struct caller *k = (const struct caller *)self;
    PyObject *grid, *block, *values, *stream;
    uint32_t blocks[3], threads[3];
    void *on;
    if (!PyArg_ParseTuple(args, "OOO!O", &grid, &block, &PyTuple_Type, &values, &stream))
        return NULL;
    if (!k->module || !read_dimensions(grid, blocks) || !read_dimensions(block, threads) || !read_stream(k->state, stream, &on))
        return PyBool_FromLong(0);
    PyObject *done = launch(k, values, blocks, threads, on);
    return done || PyErr_Occurred() ? done : PyBool_FromLong(0);
}

/* ---- the types ---- */

static void caller_dealloc(PyObject *self)
{
    struct caller *c = (struct caller *)self;
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    Py_DecRef(c->module);
    Py_DecRef(c->owner);
    Py_DecRef(c->results);
    Py_DecRef(c->names);
    release(self);
    Py_DecRef((PyObject *)type);
}

static PyMethodDef caller_methods[] = {
    {"_evaluate", (PyCFunction)(void (*)(void))caller_evaluate, METH_FASTCALL, "_evaluate(here, there, threads): NotImplemented when the long way must do it."},
    {"_launch", caller_launch, METH_VARARGS, "_launch(grid, block, values, stream): True when done, False when the long way must do it."},
    {"_launcher", caller_launcher, METH_VARARGS, "_launcher(grid, block, stream, long_way): what launches, or None when the long way must do it."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot caller_slots[] = {
    {Py_tp_dealloc, caller_dealloc}, {Py_tp_call, caller_call}, {Py_tp_methods, caller_methods},
    {Py_tp_doc, "What can be called with arrays; `_call` does what is not plain."}, {0, NULL},
};
static PyType_Spec caller_spec = {"arex._fast.Caller", sizeof(struct caller), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, caller_slots};

static PyType_Slot memory_slots[] = {
    {Py_tp_dealloc, memory_dealloc}, {Py_tp_doc, "Memory of the library's own under an array."}, {0, NULL},
};
static PyType_Spec memory_spec = {"arex._fast.Memory", sizeof(struct memory), 0, Py_TPFLAGS_DEFAULT, memory_slots};

/* ---- the module ---- */

static bool take_dtypes(struct state *s, PyObject *dtypes)
{
    for (Py_ssize_t code = 1; code < CODES && code < PyTuple_Size(dtypes); code++) {
        PyObject *d = PyTuple_GetItem(dtypes, code);
        if (!PyArray_DescrCheck(d))
            continue;
        Py_IncRef(d);
        s->descr[code] = (PyArray_Descr *)d;
        for (int number = 0; number < TYPE_NUMBERS; number++) { /* long and long long may be one type of ours */
            PyArray_Descr *other = number < NPY_NTYPES_ABI_COMPATIBLE || number == NPY_HALF ? PyArray_DescrFromType(number) : NULL;
            if (other && PyArray_EquivTypes(other, s->descr[code]))
                s->code[number] = (uint8_t)code;
            Py_DecRef((PyObject *)other);
        }
    }
    PyErr_Clear();
    return true;
}

static void *address(PyObject *numbers, Py_ssize_t i)
{
    PyObject *n = PyTuple_GetItem(numbers, i);
    return n ? PyLong_AsVoidPtr(n) : NULL;
}

/* bind(version, library, (arex_call, arex_launch, arex_array_free, who watches calls, arex_pointer_device), dtypes by code, dtype_of): once, before anything is attached. */
static PyObject *module_bind(PyObject *module, PyObject *args)
{
    struct state *s = PyModule_GetState(module);
    const char *version;
    PyObject *library, *functions, *dtypes, *dtype_of;
    char mine[32];
    if (!PyArg_ParseTuple(args, "sOO!O!O", &version, &library, &PyTuple_Type, &functions, &PyTuple_Type, &dtypes, &dtype_of))
        return NULL;
    PyOS_snprintf(mine, sizeof mine, "%d.%d.%d", AREX_VERSION_MAJOR, AREX_VERSION_MINOR, AREX_VERSION_PATCH);
    if (strcmp(mine, version) != 0)
        return PyErr_Format(PyExc_ImportError, "made for version %s of the library, not %s", mine, version);
    if (s->call)
        Py_RETURN_NONE;
    void *call = address(functions, 0), *launch = address(functions, 1), *release = address(functions, 2), *progress = address(functions, 3), *pointer = address(functions, 4);
    if (!call || !launch || !release || !progress || !pointer)
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_ValueError, "no address");
    memcpy(&s->launch, &launch, sizeof launch);
    memcpy(&s->progress, &progress, sizeof progress);
    memcpy(&s->array_free, &release, sizeof release);
    memcpy(&s->pointer_device, &pointer, sizeof pointer);
    Py_IncRef(dtype_of);
    s->dtype_of = dtype_of;
    Py_IncRef(library);
    s->library = library;
    take_dtypes(s, dtypes);
    memcpy(&s->call, &call, sizeof call);
    Py_RETURN_NONE;
}

/* bind_arrays(_Memory, Array, of_host, codes, stream_of_maker): once; from then on arrays of ours are known. codes: of dtypes, by typestr. */
static PyObject *module_bind_arrays(PyObject *module, PyObject *args)
{
    struct state *s = PyModule_GetState(module);
    PyObject *memory, *array, *of_host, *codes, *stream_of_maker;
    if (!PyArg_ParseTuple(args, "O!O!OO!O", &PyType_Type, &memory, &PyType_Type, &array, &of_host, &PyDict_Type, &codes, &stream_of_maker))
        return NULL;
    if (s->array_class)
        Py_RETURN_NONE;
    if (!PyType_IsSubtype((PyTypeObject *)memory, (PyTypeObject *)s->elements_type) || !PyType_IsSubtype((PyTypeObject *)array, (PyTypeObject *)s->value_type))
        return PyErr_Format(PyExc_TypeError, "the classes are not made of Elements and Value");
    PyObject **places[] = {&s->memory_class, &s->of_host, &s->codes, &s->stream_of_maker, &s->array_class}, *values[] = {memory, of_host, codes, stream_of_maker, array};
    for (int i = 0; i < 5; i++) {
        Py_IncRef(values[i]);
        *places[i] = values[i];
    }
    Py_RETURN_NONE;
}

/* set_stream(number): of this thread's calls from now on, 0 for the default one; returns the one before. */
static PyObject *module_set_stream(PyObject *module, PyObject *number)
{
    void *before = stream_of_thread, *now = PyLong_AsVoidPtr(number);
    (void)module;
    if (PyErr_Occurred())
        return NULL;
    stream_of_thread = now;
    return PyLong_FromVoidPtr(before);
}

/* host_view(NumPy array, address): fills an arex_array; False when the array is not plain. */
static PyObject *module_host_view(PyObject *module, PyObject *args)
{
    PyObject *x, *at;
    arex_array a = {0};
    if (!PyArg_ParseTuple(args, "OO", &x, &at))
        return NULL;
    void *out = PyLong_AsVoidPtr(at);
    if (!out)
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_ValueError, "no address");
    bool ok = PyArray_Check(x) && read_array(PyModule_GetState(module), (PyArrayObject *)x, &a);
    if (ok)
        memcpy(out, &a, sizeof a);
    return PyBool_FromLong(ok);
}

/* attach(caller, (program, context), target, threads, names of inputs, outputs, changed, results, owner): before its first call. */
static PyObject *module_attach(PyObject *module, PyObject *args)
{
    struct state *s = PyModule_GetState(module);
    PyObject *self, *pointers, *names, *results, *owner, *type = PyObject_GetAttrString(module, "Caller");
    int target, threads;
    unsigned m;
    unsigned long long changed;
    bool ok = type && PyArg_ParseTuple(args, "O!O!iiO!IKOO", type, &self, &PyTuple_Type, &pointers, &target, &threads, &PyTuple_Type, &names, &m, &changed, &results, &owner);
    Py_DecRef(type);
    if (!ok)
        return NULL;
    struct caller *c = (struct caller *)self;
    Py_ssize_t n = PyTuple_Size(names);
    if (c->module || !s->call || n > MOST_INPUTS || m > MOST_OUTPUTS)
        Py_RETURN_NONE; /* the long way always */
    c->program = address(pointers, 0);
    c->context = address(pointers, 1);
    if (!c->program || !c->context)
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_ValueError, "no address");
    c->state = s;
    c->target = target;
    c->threads = threads;
    c->n = (uint32_t)n;
    c->m = m;
    c->changed = changed;
    Py_IncRef(owner);
    c->owner = owner;
    Py_IncRef(results);
    c->results = results;
    Py_IncRef(names);
    c->names = names;
    Py_IncRef(module);
    c->module = module;
    Py_RETURN_NONE;
}

static int module_exec(PyObject *module)
{
    struct state *s = PyModule_GetState(module);
    import_array1(-1);
    PyObject *caller = PyType_FromModuleAndSpec(module, &caller_spec, NULL);
    if (!caller || PyModule_AddObject(module, "Caller", caller) < 0) {
        Py_DecRef(caller);
        return -1;
    }
    s->memory_type = PyType_FromModuleAndSpec(module, &memory_spec, NULL);
    s->launcher_type = PyType_FromModuleAndSpec(module, &launcher_spec, NULL);
    s->elements_type = elements_type(module);
    s->value_type = value_type(module);
    if (!s->launcher_type || !s->elements_type || !s->value_type || PyObject_SetAttrString(module, "Elements", s->elements_type) < 0 ||
        PyObject_SetAttrString(module, "Value", s->value_type) < 0)
        return -1;
    s->stream_name = PyUnicode_InternFromString("stream");
    s->face_name = PyUnicode_InternFromString("__cuda_array_interface__");
    s->ptr_name = PyUnicode_InternFromString("ptr");
    s->cuda_stream_name = PyUnicode_InternFromString("cuda_stream");
    if (!s->stream_name || !s->face_name || !s->ptr_name || !s->cuda_stream_name || !cai_names(s->cai) || !(s->dlpack_name = PyUnicode_InternFromString("__dlpack__")) || !(s->nothing = PyTuple_New(0)))
        return -1;
    s->call_name = PyUnicode_InternFromString("_call");
    s->failed_name = PyUnicode_InternFromString("_failed");
    s->out_name = PyUnicode_InternFromString("out");
    s->threads_name = PyUnicode_InternFromString("threads");
    return s->memory_type && s->call_name && s->failed_name && s->out_name && s->threads_name ? 0 : -1;
}

static void module_free(void *module)
{
    struct state *s = PyModule_GetState(module);
    if (!s)
        return;
    PyObject *held[] = {s->dtype_of, s->library, s->memory_type, s->call_name, s->failed_name, s->out_name, s->threads_name, s->stream_name, s->face_name, s->ptr_name,
                        s->cuda_stream_name, s->elements_type, s->value_type, s->launcher_type, s->memory_class, s->array_class, s->of_host, s->codes, s->dlpack_name, s->nothing, s->stream_of_maker};
    struct maker *maker = atomic_load(&s->silent);
    for (unsigned i = 0; i < sizeof held / sizeof *held; i++)
        Py_DecRef(held[i]);
    if (maker) {
        Py_DecRef((PyObject *)maker->type);
        Py_DecRef(maker->stream);
        free(maker);
    }
    for (int i = 0; i < CAI_NAMES; i++)
        Py_DecRef(s->cai[i]);
    for (int code = 0; code < CODES; code++)
        Py_DecRef((PyObject *)s->descr[code]);
}

static PyMethodDef module_methods[] = {
    {"dlpack_give", dlpack_give, METH_VARARGS, "dlpack_give(owner, data, device, type, shape, strides, flags, versioned): a capsule."},
    {"dlpack_take", dlpack_take, METH_O, "dlpack_take(capsule): (owner, data, device, type, shape, strides, flags)."},
    {"bind", module_bind, METH_VARARGS, "bind(version, library, functions, dtypes, dtype_of): the library that Python has loaded."},
    {"bind_arrays", module_bind_arrays, METH_VARARGS, "bind_arrays(_Memory, Array, of_host, codes, stream_of_maker): the classes of arrays."},
    {"set_stream", module_set_stream, METH_O, "set_stream(number): of this thread's calls; returns the one before."},
    {"host_view", module_host_view, METH_VARARGS, "host_view(NumPy array, address): fills an arex_array; False when the array is not plain."},
    {"attach", module_attach, METH_VARARGS, "attach(caller, pointers, target, threads, names, outputs, changed, results, owner): a program."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
#if defined(Py_GIL_DISABLED)
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, .m_name = "_fast", .m_doc = "The short way from Python to a program.", .m_size = sizeof(struct state), .m_methods = module_methods,
    .m_slots = module_slots, .m_free = module_free,
};

PyMODINIT_FUNC PyInit__fast(void)
{
    return PyModuleDef_Init(&module);
}
