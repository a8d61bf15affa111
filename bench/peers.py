"""Times beside Numba and CuPy, where they are installed: what their users write, run by each, results compared.

    ./dev python bench/peers.py        (or from a bundle: AREX_LIBRARY=lib/libarex.so.0 PYTHONPATH=python python3 bench/peers.py)

Each row: median of calls after the first, and the first call, which compiles.
"""
import statistics
import time
import warnings

import numpy as np

import arex

try:
    import numba
    import numba.cuda
except ImportError:
    numba = None
try:
    import cupy
    cupy.cuda.runtime.getDeviceCount()
except Exception:  # not installed, or no GPU for it
    cupy = None

GPU = arex.device_count() > 0
warnings.simplefilter("ignore")


def timed(call, seconds=0.5):
    """(first call, median of the others), in seconds."""
    start = time.perf_counter()
    call()
    first, times = time.perf_counter() - start, []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return first, statistics.median(times)


def row(what, who, call):
    first, median = timed(call)
    print(f"{what:34} {who:28} {median * 1e6:12.1f} us   first call {first * 1e3:9.1f} ms", flush=True)


def escape(re, im):
    x = 0.0
    y = 0.0
    n = 0
    while x * x + y * y <= 4.0 and n < 100:
        x, y = x * x - y * y + re, 2.0 * x * y + im
        n += 1
    return n


def sum_of_squares(x):
    result = 0.0
    for i in range(len(x)):
        result += x[i]**2
    return result


def saxpy_with(cuda):
    @cuda.jit
    def saxpy(a, x, y, out):
        i = cuda.grid(1)
        if i < len(out):
            out[i] = a * x[i] + y[i]
    return saxpy


def histogram_with(cuda):
    @cuda.jit
    def histogram(x, bins):
        i = cuda.grid(1)
        if i < len(x):
            cuda.atomic.add(bins, x[i], 1)
    return histogram


def mandelbrot():
    re, im = np.linspace(-2, 1, 3000), np.linspace(-1.2, 1.2, 2000)[:, None]
    what = "Mandelbrot 3000 x 2000, 100 steps"
    f = arex.jit(escape)
    want = f(re, im)
    row(what, "arex.jit, CPU", lambda: f(re, im))
    one = arex.compile(f.source, target="cpu", threads=1)
    row(what, "arex, 1 thread", lambda: one(re, im))
    if GPU:
        g, a, b = arex.compile(f.source, target="cuda"), arex.asarray(re), arex.asarray(im)
        there = lambda: (g(a, b), arex.cuda.synchronize())[0]
        row(what, "arex, GPU, arrays there", there)
        assert (arex.asnumpy(there()) == want).all()
    if numba:
        v = numba.vectorize(["int64(float64, float64)"])(escape)
        assert (v(re, im) == want).all()
        row(what, "numba.vectorize, 1 thread", lambda: v(re, im))
        p = numba.vectorize(["int64(float64, float64)"], target="parallel")(escape)
        row(what, "numba.vectorize, parallel", lambda: p(re, im))


def loops():
    x, what = np.random.default_rng(0).random(10_000_000), "sum of squares by a loop, 10^7"
    f = arex.jit(sum_of_squares)
    row(what, "arex.jit", lambda: f(x))
    if numba:
        n = numba.njit(sum_of_squares)
        assert n(x) == f(x)
        row(what, "numba.njit", lambda: n(x))
    small = x[:8]
    row("the same, 8 elements: a call", "arex.jit", lambda: f(small))
    if numba:
        row("the same, 8 elements: a call", "numba.njit", lambda: n(small))


def kernels():
    if not GPU:
        return
    n = 1 << 26
    x, y = np.random.default_rng(0).random((2, n), np.float32)
    a, b, out, what, launch = arex.asarray(x), arex.asarray(y), arex.asarray(np.zeros(n, np.float32)), "saxpy kernel, 2^26 float32", (n // 256, 256)
    for array in (a, b, out):
        array._run()
    ours = saxpy_with(arex.cuda)
    row(what, "arex.cuda.jit", lambda: ours[launch](2.5, a, b, out))
    keys = (x * 64).astype(np.int64)
    k, bins, tally = arex.asarray(keys), arex.zeros(64, dtype=np.int64), histogram_with(arex.cuda)
    row("histogram by atomics, 2^26 int64", "arex.cuda.jit", lambda: tally[launch](k, bins))
    if numba and numba.cuda.is_available():
        theirs, da, db, dout = saxpy_with(numba.cuda), numba.cuda.to_device(x), numba.cuda.to_device(y), numba.cuda.device_array(n, np.float32)

        def run():
            theirs[launch](np.float32(2.5), da, db, dout)
            numba.cuda.synchronize()
        row(what, "numba.cuda.jit", run)
        assert (arex.asnumpy(out) == 2.5 * x + y).all()
        tally2, dk, dbins = histogram_with(numba.cuda), numba.cuda.to_device(keys), numba.cuda.to_device(np.zeros(64, np.int64))

        def run2():
            tally2[launch](dk, dbins)
            numba.cuda.synchronize()
        row("histogram by atomics, 2^26 int64", "numba.cuda.jit", run2)


def arrays():
    if not GPU:
        return
    n, what = 1 << 26, "sum(sin(x)**2 + y/2), 2^26 float32"
    x, y = np.random.default_rng(0).random((2, n), np.float32)
    a, b = arex.asarray(x), arex.asarray(y)
    row(what, "arex.Array", lambda: float((arex.sin(a)**2 + b / 2).sum()))
    if cupy:
        c, d = cupy.asarray(x), cupy.asarray(y)
        row(what, "cupy", lambda: float((cupy.sin(c)**2 + d / 2).sum()))
    tiny = a[:16].astype(np.float32)
    tiny._run()
    row("the same, 16 elements", "arex.Array", lambda: float((arex.sin(tiny)**2 + tiny / 2).sum()))
    if cupy:
        t = c[:16]
        row("the same, 16 elements", "cupy", lambda: float((cupy.sin(t)**2 + t / 2).sum()))


for part in (mandelbrot, loops, kernels, arrays):
    try:
        part()
    except Exception as error:  # a peer that does not run on this machine
        print(f"{part.__name__}: {type(error).__name__}: {error}", flush=True)
