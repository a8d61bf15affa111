/*
 * The C API of Arex. Include <arex/arex.h>; this file has no preprocessor conditions so that cffi reads it as it
 * stands.
 *
 *   arex_context -> arex_program -> arex_call -> arrays
 *
 * Errors: functions that can fail return an arex_status, and put what there is to say into an arex_diagnostics when
 * the caller gives a place for one (`diags`, may be NULL). *diags is set to NULL or to a new object that the caller
 * frees with arex_diagnostics_free, on success (warnings) as on failure.
 *
 * Threads: a context and a program may be used from any number of threads at once. A program is immutable; code for
 * new argument types is compiled once, inside the call that needs it first. Diagnostics belong to one thread at a time.
 *
 * Ownership: each function says who frees what. Nothing here exits, aborts or prints.
 */

#define AREX_VERSION_MAJOR 0
#define AREX_VERSION_MINOR 1
#define AREX_VERSION_PATCH 0
#define AREX_MAX_RANK 8

typedef struct arex_context arex_context;
typedef struct arex_program arex_program;
typedef struct arex_diagnostics arex_diagnostics;

typedef enum arex_status {
    AREX_OK = 0,
    AREX_ERROR_PROGRAM = 1,  /* the program or its arguments are wrong */
    AREX_ERROR_USAGE = 2,    /* the API was called in a way its comments rule out */
    AREX_ERROR_MACHINE = 3,  /* no device, driver trouble, a missing part of the installation */
    AREX_ERROR_MEMORY = 4,   /* host or device memory ran out */
    AREX_STOPPED = 5,        /* the function that watched the call ended it */
    AREX_NOT_AT_ONCE = 6     /* nothing was done: options->at_once, and the call would compile, copy or wait */
} arex_status;

/* Types of elements. Not all are supported yet: arex_dtype_supported tells. */
typedef enum arex_dtype {
    AREX_NONE = 0,
    AREX_BOOL, /* one byte, 0 or 1; in inputs any byte but 0 is true */
    AREX_INT8, AREX_INT16, AREX_INT32, AREX_INT64,
    AREX_UINT8, AREX_UINT16, AREX_UINT32, AREX_UINT64,
    AREX_FLOAT16, AREX_BFLOAT16, AREX_FLOAT32, AREX_FLOAT64,
    AREX_COMPLEX64, AREX_COMPLEX128
} arex_dtype;

typedef enum arex_target {
    AREX_TARGET_AUTO = 0,      /* a GPU where a driver and a device are found, else the CPU */
    AREX_TARGET_CPU = 1,
    AREX_TARGET_CUDA = 2,
    AREX_TARGET_REFERENCE = 3  /* the plain evaluator: slow, the same bits; needs no code generation */
} arex_target;

/* Who makes a GPU's code, PTX, of a program. */
typedef enum arex_codegen {
    AREX_CODEGEN_AUTO = 0,  /* NVPTX */
    AREX_CODEGEN_NVPTX = 1, /* LLVM's, in this library */
    AREX_CODEGEN_NVVM = 2   /* NVIDIA's libNVVM, which must be installed: the context's options say where it is looked for */
} arex_codegen;

/* Flags of an array. */
#define AREX_WEAK 1 /* a Python scalar or literal: rank 0, AREX_INT64, AREX_FLOAT64 or AREX_COMPLEX128 (or AREX_BOOL); takes the type of what it meets */

/* A view of an array. Never owned by the library when it is an input. */
typedef struct arex_array {
    void *data;     /* first element, at a multiple of its size; on a GPU, a device address. NULL in an output: allocated by arex_call */
    int32_t dtype;  /* arex_dtype */
    int32_t rank;   /* 0 to AREX_MAX_RANK */
    int32_t device; /* -1: host memory; n >= 0: memory of CUDA device n */
    uint32_t flags;
    int64_t shape[8];   /* extents, in elements */
    int64_t strides[8]; /* bytes, multiples of the element's size; may be negative, in inputs 0; unread along extents of 1 */
} arex_array;

/* ---- version, tables ---- */

/* "0.1.0". Static. */
const char *arex_version(void);
/* "float32" for AREX_FLOAT32; NULL when there is no such type. Static. */
const char *arex_dtype_name(int dtype);
/* AREX_NONE when there is no such name. */
int arex_dtype_of(const char *name);
/* Bytes of an element; 0 when there is no such type. */
size_t arex_dtype_size(int dtype);
int arex_dtype_supported(int dtype);
/* what: "ops", "accuracy" (of functions, measured), "aliases", "types", "stages" or "errors"; json: 0 for people, 1 for machines. *text: free with arex_free. */
arex_status arex_list(const char *what, int json, char **text);

/* ---- context ---- */

/* Options of a context. Fill with arex_context_options_init, then change what you need. */
typedef struct arex_context_options {
    size_t size;             /* of this struct, set by the initialiser */
    int32_t threads;         /* CPU threads; 0: one per CPU the process may use */
    int32_t device;          /* CUDA device number; default 0 */
    const char *cuda_driver; /* file to open as the driver; NULL: libcuda.so.1 */
    const char *llvm_library;/* file to open as the code generator; NULL: libarex-llvm.so beside this library */
    void (*log)(void *user, int level, const char *message); /* NULL: silent. Never called under a lock. level 0 is an error, 1 a notice */
    void *log_user;
    const char *libnvvm;     /* file to open as libNVVM; NULL: what the environment variable AREX_LIBNVVM names, else the places where toolkits,
                                conda and pip put it (arex_doctor tells) */
    const char *packages;    /* folders of Python packages in which pip may have put NVIDIA's, separated by ':'; NULL: those of the environment */
} arex_context_options;

void arex_context_options_init(arex_context_options *options);
/* options may be NULL. *out: free with arex_context_free once its programs are freed. Opens no device and no code generator: those
 * are opened when first needed. AREX_ERROR_USAGE when options->size is unknown or unused bytes are not zero. */
arex_status arex_context_new(const arex_context_options *options, arex_context **out, arex_diagnostics **diags);
/* Waits for work under way. NULL is allowed. */
void arex_context_free(arex_context *context);
/* Number of CUDA devices; 0 when there is no driver (the reason is in diags, as a warning). */
arex_status arex_device_count(arex_context *context, int *count, arex_diagnostics **diags);
/* What this machine offers and what is missing, for people or as JSON. *text: free with arex_free. */
arex_status arex_doctor(arex_context *context, int json, char **text);

/* ---- programs ---- */

/* Options of compilation. Fill with arex_compile_options_init. Limits of 0 mean the default. */
typedef struct arex_compile_options {
    size_t size;
    int32_t fast;            /* 1: a*b + c rounds once, constants are gathered, float32 division and rsqrt are approximate, many functions have errors up to 4 ulp
                                instead of 1 (docs/language.md): the bits of results are not those of strict mode; default 0 */
    uint32_t max_source;     /* bytes of source; default 1 MiB */
    uint32_t max_nesting;    /* depth of expressions; default 500; the parser ends at about 10000 */
    uint32_t max_nodes;      /* nodes of the tree (default 200000) and of the IR (default 100000) */
    uint32_t max_kernels;    /* loop nests of a program; default 256 */
    uint64_t max_memory;     /* bytes one compilation may use; default 512 MiB */
    uint32_t max_rounds;     /* of one loop of a function, before the call gives it up with an error; default 2^30 */
    int32_t codegen;         /* arex_codegen, of code for a GPU; default AUTO */
    const char *arch;        /* of code for the CPU: "x86-64", "x86-64-v2", "-v3", "-v4", or "native", this machine (the default, NULL). Copied.
                                Results have the same bits for all; one that this machine cannot run is an error of the call */
    uint32_t max_work;       /* of one compilation, about the vector instructions of its code before it is optimised, each of which takes 10 to 60
                                microseconds to become machine code; default 200000. Counted, not timed: a program is refused on every machine or on none */
} arex_compile_options;

void arex_compile_options_init(arex_compile_options *options);
/*
 * Parses a program and finds its inputs and outputs; compiles nothing yet. source: n bytes of UTF-8, copied; name: for
 * messages ("<string>" when NULL), copied. *out: free with arex_program_free; the context must outlive it.
 */
arex_status arex_program_new(arex_context *context, const char *source, size_t n, const char *name,
                             const arex_compile_options *options, arex_program **out, arex_diagnostics **diags);
void arex_program_free(arex_program *program);
/* Inputs in the order in which arex_call takes them. Names live as long as the program; NULL past the end. */
int arex_program_inputs(const arex_program *program);
const char *arex_program_input(const arex_program *program, int index);
/* Outputs. The name of an unnamed one is "". */
int arex_program_outputs(const arex_program *program);
const char *arex_program_output(const arex_program *program, int index);

/* Options of a call. Fill with arex_call_options_init. */
typedef struct arex_call_options {
    size_t size;
    int32_t target;  /* arex_target; default AUTO: where the arrays are; with all on the host, a GPU if there is one, else the CPU */
    int32_t threads; /* at most so many CPU threads for this call; 0: the context's number. Results do not depend on it */
    void *stream;    /* CUstream to launch on (1 is CUDA's handle of its default stream): with it, device inputs, and device outputs given or
                        allocated, the call does not wait, unless faults must be read: see late_faults. NULL: waits */
    uint32_t *faults;/* where to put AREX_FAULT_ bits, or NULL */
    int (*progress)(void *user, double done); /* NULL, or called by the calling thread some times a second while a long call works, under no lock:
                        done is the part that is done, 0 to 1. Not 0: the call ends with AREX_STOPPED. On the CPU it is asked between pieces of
                        an array, on a GPU between launches; the reference evaluator never asks */
    void *progress_user;
    int32_t late_faults; /* 1: with a stream, a program that may fault (an index out of range, an integer to a negative power, a loop given up) is not waited for
                            either; what it raises is told by a later arex_synchronize, arex_stream_wait or arex_array_copy to the host of this context, whatever
                            thread makes it. The results are then what is documented for the fault. default 0: waits and tells */
    int32_t at_once;     /* 1: the call is made only if it neither compiles, copies nor waits, which it does not when there was one of the same types, shapes,
                            strides and alignment; else AREX_NOT_AT_ONCE, without diagnostics. default 0 */
} arex_call_options;

#define AREX_FAULT_DIVIDE 1 /* an integer was divided by 0: the result there is 0 */

void arex_call_options_init(arex_call_options *options);
/*
 * Runs a program. inputs: arex_program_inputs arrays; outputs: arex_program_outputs arrays. An output whose data is
 * NULL is allocated: in host memory, or, when its device field is n >= 0, on that device; dtype, shape and
 * (C-contiguous) strides are filled in and the caller frees it with arex_array_free. An output with data must have
 * exactly the dtype and shape of the result (any strides that do not overlap). Inputs may be in host or device memory;
 * what is elsewhere than the target is copied. An output may overlap an input: the answer is as if it did not (in
 * device memory such an output must be C-contiguous).
 * On failure no output has been allocated; given outputs may have been written in part only when the status is
 * AREX_ERROR_MACHINE or AREX_STOPPED. Blocks until results are there, unless options->stream says otherwise. options may be NULL.
 */
arex_status arex_call(arex_program *program, const arex_array *inputs, int n_inputs, arex_array *outputs, int n_outputs,
                      const arex_call_options *options, arex_diagnostics **diags);
/*
 * Runs a program that is a kernel (arex_program_is_kernel): its body once for every thread of grid[0] x grid[1] x grid[2] blocks
 * of block[0] x block[1] x block[2] threads (x, y, z; at most 1024 in a block). arrays: arex_program_inputs of them; those that
 * the kernel changes (the program's outputs, by name) are changed in place, on the host or on a device. An index out of range
 * is an error; what other threads did stays. On the CPU the grid runs on the thread pool. Blocks as arex_call does.
 */
arex_status arex_launch(arex_program *program, const arex_array *arrays, int n, const uint32_t *grid, const uint32_t *block,
                        const arex_call_options *options, arex_diagnostics **diags);
int arex_program_is_kernel(const arex_program *program);
/* Dtype, rank and shape each output would have for these inputs (their data may be NULL); fills outputs as arex_call does, with data NULL. */
arex_status arex_infer(arex_program *program, const arex_array *inputs, int n_inputs, arex_array *outputs, int n_outputs,
                       arex_diagnostics **diags);
/* Compiles for these inputs (data may be NULL: then taken as contiguous and aligned) without running. */
arex_status arex_prepare(arex_program *program, const arex_array *inputs, int n_inputs, const arex_call_options *options,
                         arex_diagnostics **diags);

/* What compiling cost and gave, summed over everything this program compiled. */
typedef struct arex_stats {
    size_t size;           /* set by the caller to sizeof(arex_stats); no more is written */
    uint64_t compilations; /* code generations so far: does not grow with new extents or values of scalars */
    uint64_t calls;
    uint32_t kernels;      /* loop nests of the last plan */
    uint32_t temporaries;  /* arrays of rank 1 or more that the last plan keeps between kernels */
    uint64_t parse_ns, sema_ns, loop_ns, emit_ns, backend_ns, load_ns; /* time by stage */
} arex_stats;
arex_status arex_program_stats(const arex_program *program, arex_stats *out);

/*
 * The text of a stage ("ast", "ir", "loop", "plan", "llvm", "opt", "asm", "nvvm", "ptx"). target: CPU (AUTO means it too) or CUDA ("nvvm" and "ptx" are
 * CUDA's in any case). arch: "sm_90", "x86-64-v3", or NULL for this machine. types: "x=float32[:,:], a=float64" for inputs without a `param`; NULL allowed
 * (inputs are then float64 of rank 1). *text: free with arex_free; NULL on failure.
 */
arex_status arex_emit(arex_program *program, const char *stage, int target, const char *arch, const char *types, char **text,
                      arex_diagnostics **diags);

/* ---- memory ---- */

/* Frees what arex_call allocated for an output (host or device) and sets data to NULL. Work that uses it may be under way, on any stream that calls were given. */
void arex_array_free(arex_context *context, arex_array *array);
/* C-contiguous memory for array->dtype, rank and shape on array->device (-1: host, aligned to 64 bytes); fills data and strides. */
arex_status arex_array_alloc(arex_context *context, arex_array *array, arex_diagnostics **diags);
/* Copies elements between two arrays of equal dtype and shape, C-contiguous both (else AREX_ERROR_USAGE), host or device. Waits, also for what other
 * streams were given to do; tells of late faults when it copies to the host. */
arex_status arex_array_copy(arex_context *context, const arex_array *to, const arex_array *from, arex_diagnostics **diags);
/*
 * Memory that others made and still work on. arex_stream_wait: until all that has been queued on a CUstream of a CUDA device (NULL: its default stream) is
 * done; what comes after on that stream is not waited for; tells of late faults. arex_pointer_device: the CUDA device in whose memory a pointer lies.
 */
arex_status arex_stream_wait(arex_context *context, int device, void *stream, arex_diagnostics **diags);
arex_status arex_pointer_device(arex_context *context, const void *pointer, int *device, arex_diagnostics **diags);
/* All work on a CUDA device, whoever in the process gave it to do; tells of late faults. */
arex_status arex_synchronize(arex_context *context, int device, arex_diagnostics **diags);
/* A stream of a CUDA device, ordered with its default stream as CUDA's own are. *stream: free with arex_stream_free, which waits for its work. */
arex_status arex_stream_new(arex_context *context, int device, void **stream, arex_diagnostics **diags);
void arex_stream_free(arex_context *context, int device, void *stream);
/* Memory of this library that others work on, on streams it does not see: once freed it serves again only after all work of the device was waited for. */
void arex_array_lent(arex_context *context, const arex_array *array);
/* Frees a text this library returned. NULL is allowed. */
void arex_free(char *text);

/* ---- diagnostics ---- */

typedef struct arex_diagnostic {
    const char *code;     /* "AX0203"; static */
    int32_t severity;     /* 0 error, 1 warning */
    const char *message;  /* these strings live as long as the diagnostics object */
    size_t begin, end;    /* byte span in the source; begin == end: a place between two bytes, or nowhere */
    int32_t line, column; /* 1-based; 0 when nowhere */
} arex_diagnostic;

int arex_diagnostics_count(const arex_diagnostics *diags);
/* AREX_ERROR_USAGE when index is out of range. */
arex_status arex_diagnostics_get(const arex_diagnostics *diags, int index, arex_diagnostic *out);
/* One diagnostic (index >= 0) or all (-1) as text with source line, caret range and notes. Lives as long as diags. */
const char *arex_diagnostics_text(const arex_diagnostics *diags, int index);
void arex_diagnostics_free(arex_diagnostics *diags);
