/*
 * The short way from Python to arex_call and arex_launch: NumPy arrays and Python's numbers are read, the library is called without
 * the GIL, and its memory becomes NumPy arrays, with no interpreted step between. What is not plain (names of inputs, arrays
 * on a device, lists, types that NumPy has not of its own) takes the long way, the methods of Program in Python, which can do
 * all of it; what goes wrong is told by them too. The package works without this file.
 *
 * The functions of the library come as addresses from the library that Python has loaded: it is looked for in one place.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#define NPY_NO_DEPRECATED_API NPY_1_7_API_VERSION
#include <numpy/arrayobject.h>
#include <stdbool.h>
#include <string.h>
#include <arex/arex.h>
#include "_dlpack.h"

enum { MOST_INPUTS = 16, MOST_OUTPUTS = 8, TYPE_NUMBERS = 32, CODES = AREX_COMPLEX128 + 1 };

typedef arex_status call_fn(arex_program *, const arex_array *, int, arex_array *, int, const arex_call_options *, arex_diagnostics **);
typedef arex_status launch_fn(arex_program *, const arex_array *, int, const uint32_t *, const uint32_t *, const arex_call_options *,
                              arex_diagnostics **);
typedef void free_fn(arex_context *, arex_array *);

/* Of the module; does not change once it is bound. */
struct state {
    call_fn *call;
    launch_fn *launch;
    int (*progress)(void *user, double done); /* looks for Ctrl-C */
    free_fn *array_free;
    PyObject *dtype_of; /* Python's: the dtype of a code that NumPy has not of its own */
    PyObject *library;  /* keeps the functions above mapped */
    PyArray_Descr *descr[CODES];
    uint8_t code[TYPE_NUMBERS]; /* arex_dtype of NumPy's type numbers, 0 for none */
    PyObject *memory_type, *call_name, *failed_name, *out_name, *threads_name;
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
    PyObject *held[MOST_INPUTS]; /* arrays made of NumPy's scalars */
    uint32_t n_held;
    PyObject *given; /* borrowed: the array for the only output, or NULL */
    int32_t threads;
};

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

/* False: take the long way. */
static bool read_input(struct call *c, uint32_t i, PyObject *x)
{
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
    return PyArray_IsScalar(x, Generic) && read_scalar(c, i, x);
}

static bool read_inputs(struct call *c, PyObject *values)
{
    bool ok = PyTuple_Size(values) == (Py_ssize_t)c->caller->n;
    for (uint32_t i = 0; ok && i < c->caller->n; i++)
        ok = read_input(c, i, PyTuple_GetItem(values, i));
    return ok;
}

static bool is_writable(PyObject *x)
{
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
    c->given = out;
    return c->caller->m == 1 && is_writable(out) && read_array(c->caller->state, (PyArrayObject *)out, &c->out[0]);
}

/* Values by position, then those by the names of inputs. out= and threads= are understood; any other name is the long way's. */
static bool read_arguments(struct call *c, PyObject *args, PyObject *named)
{
    const struct caller *k = c->caller;
    if (!named)
        return read_inputs(c, args);
    PyObject *out = PyDict_GetItemWithError(named, k->state->out_name), *threads = PyDict_GetItemWithError(named, k->state->threads_name);
    Py_ssize_t n = PyTuple_Size(args);
    bool ok = n + PyDict_Size(named) == (Py_ssize_t)k->n + (out != NULL) + (threads != NULL);
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

static PyObject *result_of(const struct caller *c, arex_array *o)
{
    PyArray_Descr *descr = descr_of(c->state, o->dtype);
    if (descr)
        return o->rank ? array_of(c, o, descr) : scalar_of(c, o, descr);
    c->state->array_free(c->context, o);
    return NULL;
}

static PyObject *results_of(struct call *c)
{
    const struct caller *k = c->caller;
    if (c->given) {
        Py_IncRef(c->given);
        return c->given;
    }
    if (k->m == 1)
        return result_of(k, &c->out[0]);
    PyObject *all = PyTuple_New(k->m);
    for (uint32_t i = 0; i < k->m; i++) {
        PyObject *one = all ? result_of(k, &c->out[i]) : NULL;
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
    return (arex_call_options){.size = sizeof(arex_call_options), .target = c->caller->target, .threads = c->threads, .progress = c->caller->state->progress};
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
    arex_status status;
    Py_BEGIN_ALLOW_THREADS
    status = k->state->call(k->program, c->in, (int)k->n, c->out, (int)k->m, &options, &diags);
    Py_END_ALLOW_THREADS
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
        long long size = !one ? 1 : PyLong_CheckExact(one) ? PyLong_AsLongLong(one) : 0;
        ok = ok && size > 0 && size <= UINT32_MAX;
        out[i] = ok ? (uint32_t)size : 0;
    }
    PyErr_Clear();
    return ok;
}

static bool changed_are_writable(const struct caller *k, PyObject *args)
{
    for (uint32_t i = 0; i < k->n; i++)
        if (k->changed >> i & 1 && !is_writable(PyTuple_GetItem(args, i)))
            return false;
    return true;
}

static PyObject *run_kernel(struct call *c, const uint32_t *grid, const uint32_t *block)
{
    const struct caller *k = c->caller;
    arex_call_options options = options_of(c);
    arex_diagnostics *diags = NULL;
    arex_status status;
    Py_BEGIN_ALLOW_THREADS
    status = k->state->launch(k->program, c->in, (int)k->n, grid, block, &options, &diags);
    Py_END_ALLOW_THREADS
    return settled(c, status, diags) ? PyBool_FromLong(1) : NULL;
}

/* _launch(grid, block, values): True when done, False when the long way must do it. */
static PyObject *caller_launch(PyObject *self, PyObject *args)
{
    const struct caller *k = (const struct caller *)self;
    PyObject *grid, *block, *values;
    uint32_t blocks[3], threads[3];
    struct call c;
    if (!PyArg_ParseTuple(args, "OOO!", &grid, &block, &PyTuple_Type, &values))
        return NULL;
    if (!k->module || !read_dimensions(grid, blocks) || !read_dimensions(block, threads))
        return PyBool_FromLong(0);
    call_begin(&c, k);
    PyObject *done = read_inputs(&c, values) && changed_are_writable(k, values) ? run_kernel(&c, blocks, threads) : PyBool_FromLong(0);
    call_end(&c);
    return done;
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
    {"_launch", caller_launch, METH_VARARGS, "_launch(grid, block, values): True when done, False when the long way must do it."},
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

/* bind(version, library, (arex_call, arex_launch, arex_array_free, who watches calls), dtypes by code, dtype_of): once, before anything is attached. */
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
    void *call = address(functions, 0), *launch = address(functions, 1), *release = address(functions, 2), *progress = address(functions, 3);
    if (!call || !launch || !release || !progress)
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_ValueError, "no address");
    memcpy(&s->launch, &launch, sizeof launch);
    memcpy(&s->progress, &progress, sizeof progress);
    memcpy(&s->array_free, &release, sizeof release);
    Py_IncRef(dtype_of);
    s->dtype_of = dtype_of;
    Py_IncRef(library);
    s->library = library;
    take_dtypes(s, dtypes);
    memcpy(&s->call, &call, sizeof call);
    Py_RETURN_NONE;
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
    s->call_name = PyUnicode_InternFromString("_call");
    s->failed_name = PyUnicode_InternFromString("_failed");
    s->out_name = PyUnicode_InternFromString("out");
    s->threads_name = PyUnicode_InternFromString("threads");
    return s->memory_type && s->call_name && s->failed_name && s->out_name && s->threads_name ? 0 : -1;
}

static void module_free(void *module)
{
    struct state *s = PyModule_GetState(module);
    PyObject *held[] = {s ? s->dtype_of : NULL, s ? s->library : NULL, s ? s->memory_type : NULL, s ? s->call_name : NULL, s ? s->failed_name : NULL,
                        s ? s->out_name : NULL, s ? s->threads_name : NULL};
    for (unsigned i = 0; i < sizeof held / sizeof *held; i++)
        Py_DecRef(held[i]);
    for (int code = 0; s && code < CODES; code++)
        Py_DecRef((PyObject *)s->descr[code]);
}

static PyMethodDef module_methods[] = {
    {"dlpack_give", dlpack_give, METH_VARARGS, "dlpack_give(owner, data, device, type, shape, strides, flags, versioned): a capsule."},
    {"dlpack_take", dlpack_take, METH_O, "dlpack_take(capsule): (owner, data, device, type, shape, strides, flags)."},
    {"bind", module_bind, METH_VARARGS, "bind(version, library, functions, dtypes, dtype_of): the library that Python has loaded."},
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
