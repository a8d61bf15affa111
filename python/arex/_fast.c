/* The module of the short way from Python to a program. See _call.h. */
#include "_call.h"
#include "_dlpack.h"

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

/* The functions of the library come as addresses from the library that Python has loaded: it is looked for in one place. */
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
    PyObject *caller = caller_type(module);
    if (!caller || PyModule_AddObject(module, "Caller", caller) < 0) {
        Py_DecRef(caller);
        return -1;
    }
    s->memory_type = memory_type(module);
    s->launcher_type = launcher_type(module);
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
