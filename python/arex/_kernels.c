/* See _call.h. */
#define NO_IMPORT_ARRAY
#include "_call.h"

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

PyObject *launcher_type(PyObject *module)
{
    return PyType_FromModuleAndSpec(module, &launcher_spec, NULL);
}

/* _launcher(grid, block, stream, long_way): None when they are not plain. */
PyObject *caller_launcher(PyObject *self, PyObject *args)
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
PyObject *caller_launch(PyObject *self, PyObject *args)
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
