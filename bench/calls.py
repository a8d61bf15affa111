"""What a call from Python costs beside the work: Arex, NumPy, numexpr, Numba and CuPy, each where it is installed, on the CPU and on a GPU.

    ./dev python bench/calls.py        (or from a bundle: AREX_LIBRARY=lib/libarex.so.0 PYTHONPATH=python python3 bench/calls.py)

Prints one table in Markdown: microseconds a call for 10, 1024 and 10000 float64, the least of 30 rounds. On a GPU calls are given one after another and waited
for after each round, outside its time; "and waited for" waits after every call. The bare launch is cuLaunchKernel with an empty kernel, from a loop in C
where there is a C compiler (so is arex_call), else by ctypes, less what a call by ctypes costs.
"""
import ctypes
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import warnings

import numpy as np

import arex

warnings.simplefilter("ignore")
SIZES = (10, 1024, 10000)
ROUNDS, CALLS = 30, 100
EMPTY = b""".version 7.0
.target sm_50
.address_size 64
.visible .entry nothing(.param .u64 a, .param .u64 b, .param .u64 c) { ret; }
\0"""
LOOP = """
#include <stdint.h>
#include <time.h>
typedef int launch(void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **, void **);
double calls(launch *f, void *kernel, void **parameters, int n)
{
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    for (int i = 0; i < n; i++)
        f(kernel, 1, 1, 1, 32, 1, 1, 0, 0, parameters, 0);
    clock_gettime(CLOCK_MONOTONIC, &b);
    return ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / n;
}
typedef int program_call(void *, const void *, int, void *, int, const void *, void *);
double program_calls(program_call *f, void *program, const void *in, int n_in, void *out, int n_out, const void *options, int n)
{
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    for (int i = 0; i < n; i++)
        if (f(program, in, n_in, out, n_out, options, 0))
            return -1e3;
    clock_gettime(CLOCK_MONOTONIC, &b);
    return ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / n;
}
"""


def importable(name):
    try:
        return __import__(name, fromlist=["*"])
    except Exception:  # not installed, or not for this machine
        return None


def least(call, wait=None, each=False):
    """Microseconds a call."""
    for _ in range(10):
        call()
    best = float("inf")
    for _ in range(ROUNDS):
        if wait:
            wait()
        start = time.perf_counter()
        for _ in range(CALLS):
            call()
            if each:
                wait()
        best = min(best, (time.perf_counter() - start) / CALLS)
    if wait:
        wait()
    return best * 1e6


# ---- the bare launch ----

def driver():
    cuda = ctypes.CDLL("libcuda.so.1")
    context, device, module, kernel = ctypes.c_void_p(), ctypes.c_int(), ctypes.c_void_p(), ctypes.c_void_p()
    steps = [cuda.cuInit(0), cuda.cuDeviceGet(ctypes.byref(device), 0), cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), device),
             cuda.cuCtxSetCurrent(context), cuda.cuModuleLoadData(ctypes.byref(module), EMPTY), cuda.cuModuleGetFunction(ctypes.byref(kernel), module, b"nothing")]
    if any(steps):
        raise OSError(f"the driver answers {steps}")
    return cuda, kernel


def in_c(name):
    """A function of LOOP, compiled."""
    with tempfile.TemporaryDirectory() as folder:
        source, made = os.path.join(folder, "loop.c"), os.path.join(folder, "loop.so")
        with open(source, "w") as file:
            file.write(LOOP)
        subprocess.run([shutil.which("cc") or "gcc", "-O2", "-shared", "-fPIC", "-o", made, source], check=True, capture_output=True)
        loop = getattr(ctypes.CDLL(made), name)
    loop.restype = ctypes.c_double
    return loop


def bare_in_c(cuda, kernel, parameters):
    loop, best = in_c("calls"), float("inf")
    for _ in range(ROUNDS):
        best = min(best, loop(ctypes.cast(cuda.cuLaunchKernel, ctypes.c_void_p), kernel, parameters, CALLS))
        cuda.cuCtxSynchronize()
    return best / 1e3


def program_in_c(n):
    """arex_call of x + y into an array that is there, on the default stream."""
    from arex.program import ffi, lib
    add, arrays = arex.compile("x + y"), [arex.asarray(np.linspace(0.0, 1.0, n)) for _ in range(3)]
    views, options = ffi.new("arex_array[]", [a._run().struct[0] for a in arrays]), ffi.new("arex_call_options *")
    lib.arex_call_options_init(options)
    options.stream = ffi.cast("void *", 1)
    at = [ctypes.c_void_p(int(ffi.cast("uintptr_t", p))) for p in (lib.arex_call, add._program, views, views + 2, options)]
    loop, best = in_c("program_calls"), float("inf")
    for _ in range(ROUNDS):
        best = min(best, loop(at[0], at[1], at[2], 2, at[3], 1, at[4], CALLS))
        arex.cuda.synchronize()
    return best / 1e3


def bare():
    """(microseconds, how)."""
    cuda, kernel = driver()
    numbers = [ctypes.c_uint64(0) for _ in range(3)]
    parameters = (ctypes.c_void_p * 3)(*[ctypes.addressof(n) for n in numbers])
    if shutil.which("cc") or shutil.which("gcc"):
        return bare_in_c(cuda, kernel, parameters), "from C"
    f = cuda.cuLaunchKernel
    f.argtypes = [ctypes.c_void_p] + [ctypes.c_uint] * 7 + [ctypes.c_void_p] * 3
    took = least(lambda: f(kernel, 1, 1, 1, 32, 1, 1, 0, None, parameters, None), cuda.cuCtxSynchronize)
    refused = least(lambda: f(None, 1, 1, 1, 32, 1, 1, 0, None, parameters, None), cuda.cuCtxSynchronize)
    return took - refused, "by ctypes, whose own cost is taken off"


# ---- what is called ----

class Table:
    def __init__(self):
        self.rows = []

    def add(self, where, who, what, make, wait=None):
        """make(x, y): what is called, for arrays of NumPy's."""
        cells = []
        for n in SIZES:
            x, y = np.linspace(0.0, 1.0, n), np.linspace(1.0, 2.0, n)
            try:
                call = make(x, y)
                cells.append(f"{least(call, wait):.2f}")
                if wait and n == SIZES[0]:
                    waited = f"{least(call, wait, each=True):.2f}"
            except Exception as error:  # a peer that is installed but does not work here
                print(f"{who}, {what}: {type(error).__name__}: {error}", file=sys.stderr)
                return
        self.row(where, who, what, cells + [waited if wait else ""])

    def row(self, where, who, what, cells):
        self.rows.append([where, who, f"`{what}`" if what else "", *cells])
        print(".", end="", file=sys.stderr, flush=True)

    def show(self):
        heads = ["on", "by", "call", *[f"{n} elements, us" for n in SIZES], f"{SIZES[0]} and waited for, us"]
        print("\n| " + " | ".join(heads) + " |\n" + "| --- " * 3 + "| ---: " * (len(SIZES) + 1) + "|")
        for row in self.rows:
            print("| " + " | ".join(row) + " |")


def bind(call, *args):
    return lambda: call(*args)


def arex_on(table, where, to, target, wait=None):
    add, two = arex.compile("x + y", target=target), arex.compile("sin(x)**2 + cos(x)**2", target=target)
    total = arex.compile("sum(x*y)", target=target)
    table.add(where, "Arex", "f(x, y): x + y", lambda x, y: bind(add, to(x), to(y)), wait)
    table.add(where, "Arex", "f(x): sin(x)**2 + cos(x)**2", lambda x, y: bind(two, to(x)), wait)
    table.add(where, "Arex", "f(x, y): sum(x*y)", lambda x, y: bind(total, to(x), to(y)), wait)
    table.add(where, "Arex", "f(x, y, out=z)", lambda x, y: (lambda x, y, z: lambda: add(x, y, out=z))(to(x), to(y), to(np.empty_like(x))), wait)
    table.add(where, "Arex", 'evaluate("x + y")', lambda x, y: bind(arex.evaluate, "x + y", {"x": to(x), "y": to(y)}), wait)


def axpy_of(cuda):
    @cuda.jit
    def axpy(a, x, y):
        i = cuda.grid(1)
        if i < len(y):
            y[i] = a * x[i] + y[i]
    return axpy


def on_the_cpu(table):
    table.add("CPU", "NumPy", "x + y", lambda x, y: bind(np.add, x, y))
    table.add("CPU", "NumPy", "sin(x)**2 + cos(x)**2", lambda x, y: lambda: np.sin(x)**2 + np.cos(x)**2)
    arex_on(table, "CPU", lambda a: a, "cpu")
    f = arex.jit(lambda_of("a * a + b"))
    table.add("CPU", "Arex", "@jit f(x, y): x*x + y", lambda x, y: bind(f, x, y))
    numexpr, numba = importable("numexpr"), importable("numba")
    if numexpr:
        table.add("CPU", "numexpr", 'evaluate("x + y")', lambda x, y: bind(numexpr.evaluate, "x + y", {"x": x, "y": y}))
        table.add("CPU", "numexpr", 'evaluate("sin(x)**2 + cos(x)**2")', lambda x, y: bind(numexpr.evaluate, "sin(x)**2 + cos(x)**2", {"x": x}))
        table.add("CPU", "numexpr", "re_evaluate()", lambda x, y: (numexpr.evaluate("x + y", {"x": x, "y": y}), bind(numexpr.re_evaluate, {"x": x, "y": y}))[1])
    if numba:
        g, v = numba.njit(lambda_of("a * a + b")), numba.vectorize(lambda_of("a + b"))
        table.add("CPU", "Numba", "@njit f(x, y): x*x + y", lambda x, y: bind(g, x, y))
        table.add("CPU", "Numba", "@vectorize f(x, y): x + y", lambda x, y: bind(v, x, y))


def lambda_of(text):
    """Functions that must be read from a file are read from this one."""
    return {"a * a + b": square_and_add, "a + b": add_up}[text]


def square_and_add(a, b):
    return a * a + b


def add_up(a, b):
    return a + b


def on_a_gpu(table):
    try:
        took, how = bare()
        table.row("GPU", "the driver", f"cuLaunchKernel, {how}", [f"{took:.2f}"] + [""] * len(SIZES))
        if shutil.which("cc") or shutil.which("gcc"):
            table.row("GPU", "Arex, from C", "arex_call, x + y", [f"{program_in_c(n):.2f}" for n in SIZES] + [""])
    except Exception as error:
        print(f"no bare launch: {type(error).__name__}: {error}", file=sys.stderr)
    arex_on(table, "GPU", arex.asarray, "auto", arex.cuda.synchronize)
    table.add("GPU", "Arex", "kernel[blocks, threads](a, x, y)",
              lambda x, y: bind(axpy_of(arex.cuda)[(len(x) + 127) // 128, 128], 0.5, arex.asarray(x), arex.asarray(y)), arex.cuda.synchronize)
    stream = arex.cuda.stream()
    table.add("GPU", "Arex", "kernel[blocks, threads, stream](a, x, y)",
              lambda x, y: bind(axpy_of(arex.cuda)[(len(x) + 127) // 128, 128, stream], 0.5, arex.asarray(x), arex.asarray(y)), arex.cuda.synchronize)
    add = arex.compile("x + y")
    table.add("GPU", "Arex", "f(x, y, stream=s)", lambda x, y: (lambda x, y: lambda: add(x, y, stream=stream))(arex.asarray(x), arex.asarray(y)), arex.cuda.synchronize)
    table.add("GPU", "Arex", "x + y, and run", lambda x, y: (lambda x, y: lambda: (x + y)._run())(arex.asarray(x), arex.asarray(y)), arex.cuda.synchronize)
    if not hasattr(np, "row_stack"):
        np.row_stack = np.vstack  # numba-cuda looks for it when it is imported
    cupy, cuda, torch, jax = importable("cupy"), importable("numba.cuda"), importable("torch"), importable("jax")
    if cupy:
        wait, to = cupy.cuda.Stream.null.synchronize, cupy.asarray
        table.add("GPU", "Arex, arrays of CuPy", "f(x, y): x + y", lambda x, y: bind(add, to(x), to(y)), wait)
        two, fused = cupy.ElementwiseKernel("T x", "T r", "r = sin(x) * sin(x) + cos(x) * cos(x)", "two"), cupy.fuse(kernel_name="fused")(lambda x: cupy.sin(x)**2 + cupy.cos(x)**2)
        table.add("GPU", "CuPy", "x + y", lambda x, y: bind(cupy.add, to(x), to(y)), wait)
        table.add("GPU", "CuPy", "add(x, y, out=z)", lambda x, y: (lambda x, y, z: lambda: cupy.add(x, y, out=z))(to(x), to(y), to(np.empty_like(x))), wait)
        table.add("GPU", "CuPy", "sin(x)**2 + cos(x)**2", lambda x, y: (lambda x: lambda: cupy.sin(x)**2 + cupy.cos(x)**2)(to(x)), wait)
        table.add("GPU", "CuPy", "ElementwiseKernel of it", lambda x, y: bind(two, to(x)), wait)
        table.add("GPU", "CuPy", "@fuse of it", lambda x, y: bind(fused, to(x)), wait)
        table.add("GPU", "CuPy", "sum(x*y)", lambda x, y: (lambda x, y: lambda: cupy.sum(x * y))(to(x), to(y)), wait)
    if torch and torch.cuda.is_available():
        wait, to = torch.cuda.synchronize, lambda a: torch.from_numpy(a).cuda()
        table.add("GPU", "Arex, tensors of PyTorch", "f(x, y): x + y", lambda x, y: bind(add, to(x), to(y)), wait)
        table.add("GPU", "PyTorch", "x + y", lambda x, y: bind(torch.add, to(x), to(y)), wait)
        table.add("GPU", "PyTorch", "add(x, y, out=z)", lambda x, y: (lambda x, y, z: lambda: torch.add(x, y, out=z))(to(x), to(y), to(np.empty_like(x))), wait)
        table.add("GPU", "PyTorch", "sum(x*y)", lambda x, y: (lambda x, y: lambda: torch.sum(x * y))(to(x), to(y)), wait)
    if jax and jax.default_backend() == "gpu":
        jax.config.update("jax_enable_x64", True)
        jitted, to = jax.jit(lambda x, y: x + y), jax.numpy.asarray
        wait = lambda: jitted(to(1.0), to(1.0)).block_until_ready()
        table.add("GPU", "JAX", "@jit f(x, y): x + y", lambda x, y: bind(jitted, to(x), to(y)), wait)
    if cuda and cuda.is_available():
        table.add("GPU", "Numba", "kernel[blocks, threads](a, x, y)",
                  lambda x, y: bind(axpy_of(cuda)[(len(x) + 127) // 128, 128], 0.5, cuda.to_device(x), cuda.to_device(y)), cuda.synchronize)


def machine():
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), platform.machine())
    parts = [f"{model}, {os.cpu_count()} CPUs", f"Python {platform.python_version()}", f"Arex {arex.__version__}", f"NumPy {np.__version__}"]
    parts += [f"{name} {module.__version__}" for name in ("numexpr", "numba", "cupy", "torch", "jax") if (module := importable(name))]
    return ", ".join(parts)


def main():
    table = Table()
    on_the_cpu(table)
    if arex.device_count() > 0:
        on_a_gpu(table)
    print(f"\n{machine()}")
    table.show()


if __name__ == "__main__":
    main()
