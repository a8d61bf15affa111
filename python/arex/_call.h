/*
 * The short way from Python to arex_call and arex_launch: arrays of NumPy's and of ours, those of others on a GPU, and Python's numbers are read, the library is called,
 * and its memory becomes arrays, with no interpreted step between. What is not plain (lists, types that NumPy has not of its own) takes the long way,
 * the methods of Program in Python, which can do all of it; what goes wrong is told by them too. The package works without it.
 *
 * With an array on a device the results are there too, and nothing is waited for. The GIL is kept for a call that is like one before, since that takes no longer than
 * to give the GIL away and to get it again; all others are made without it.
 *
 * Rooms: _inputs.c reads what NumPy, Python and we hold, _foreign.c what others hold on a GPU, _arguments.c a whole call's arguments; _streams.c tells whose stream a
 * call goes to; _call.c makes the call, _kernels.c launches kernels; _results.c makes arrays of what comes out; _fast.c is the module. Reading raises nothing:
 * false sends the call the long way.
 */
#ifndef AREX_PYTHON_CALL_H
#define AREX_PYTHON_CALL_H
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#define NPY_NO_DEPRECATED_API NPY_1_7_API_VERSION
#define PY_ARRAY_UNIQUE_SYMBOL arex_fast_numpy
#include <numpy/arrayobject.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <arex/arex.h>
#include "_arrays.h"
#include "_cai.h"

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

/* An array of NumPy's; false: byte order or type are not ours. */
bool read_array(const struct state *s, PyArrayObject *x, arex_array *a);
bool read_value(struct call *c, PyObject *x, arex_array *a, bool *read_only);
bool read_foreign(struct call *c, PyObject *x, arex_array *a, bool *read_only);
bool read_input(struct call *c, uint32_t i, PyObject *x);
bool read_inputs(struct call *c, PyObject *values);
bool is_value(const struct state *s, PyObject *x);
/* May its elements change? What has been put off and reads them runs first. */
bool is_writable(const struct state *s, PyObject *x);
void copy_view(arex_array *to, const arex_array *from);

bool read_stream(const struct state *s, PyObject *x, void **stream);
void *stream_of_call(const struct call *c);
/* After a call that wrote x: whoever looks at it from another stream has to know. */
void note_stream(const struct call *c, PyObject *x);
/* set_stream(number): of this thread's calls from now on, 0 for the default one; returns the one before. */
PyObject *module_set_stream(PyObject *module, PyObject *number);

bool read_threads(struct call *c, PyObject *threads);
bool read_arguments(struct call *c, PyObject *args, PyObject *named);
void call_begin(struct call *c, const struct caller *caller);
void call_end(struct call *c);

arex_call_options options_of(const struct call *c);
/* Python raises what the library had to say. False with an exception; true after mere warnings. */
bool settled(const struct call *c, arex_status status, arex_diagnostics *diags);
/* Takes over the memory of the outputs, also when it fails. NULL with an exception. */
PyObject *results_of(struct call *c);

/* Methods of Caller: _launcher(grid, block, stream, long_way) and _launch(grid, block, values, stream). */
PyObject *caller_launcher(PyObject *self, PyObject *args);
PyObject *caller_launch(PyObject *self, PyObject *args);

/* Make the types. NULL with an exception. */
PyObject *caller_type(PyObject *module);
PyObject *launcher_type(PyObject *module);
PyObject *memory_type(PyObject *module);

#endif
