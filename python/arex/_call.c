/* See _call.h. */
#define NO_IMPORT_ARRAY
#include "_call.h"

arex_call_options options_of(const struct call *c)
{
    bool there = c->device >= 0;
    return (arex_call_options){.size = sizeof(arex_call_options), .target = c->caller->target, .threads = c->threads, .progress = c->caller->state->progress,
                               .stream = there ? stream_of_call(c) : NULL, .late_faults = there, .at_once = there};
}

/* Python raises what the library had to say. False with an exception; true after mere warnings. */
bool settled(const struct call *c, arex_status status, arex_diagnostics *diags)
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

/* ---- the type ---- */

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

PyObject *caller_type(PyObject *module)
{
    return PyType_FromModuleAndSpec(module, &caller_spec, NULL);
}
