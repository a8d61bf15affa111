"""Calls by the extension are those of the interpreted way, in values and in errors; short, without the GIL, from many threads."""
import gc
import os
import pathlib
import subprocess
import sys
import threading
import time
import timeit
import weakref

import numpy as np
import pytest

import arex
from arex._lib import extension

needs_extension = pytest.mark.skipif(extension is None, reason="the extension is not built")
X, Y, M = np.arange(10.0), np.linspace(-1, 1, 10), np.arange(12).reshape(3, 4)


def outcome(call, *args, **named):
    """What a call gives, to be compared: a value with its type, or an exception's class and code."""
    try:
        r = call(*args, **named)
    except Exception as error:  # noqa: BLE001
        return type(error), getattr(error, "code", None)
    r = r if isinstance(r, tuple) else (r,)
    return [(type(v), v.dtype, v.shape, v.tobytes(), v.strides if v.size else ()) for v in r]


@needs_extension
def test_the_extension_is_used():
    assert isinstance(arex.compile("x"), extension.Caller) and arex.compile("x + 1")(X).base is not None


@pytest.mark.parametrize("source", ["x", "x + x", "sum(x)", "x == x", "a = x\nb = x + x\na, b", "float32(x)"])
@pytest.mark.parametrize("value", [
    X, X[::-1], X[::2], X[:0], M, M.T, M[:, 1:3], np.asfortranarray(M), np.broadcast_to(X, (3, 10)), np.float64(2), np.float32(2), np.int8(3), np.bool_(True), True, 3, -1.5, 2**63, -2**63,
    np.array(5), *[np.ones(3, t) for t in "?bhilqBHILQefdFD"], np.ones((1,) * 9), np.ones(3, ">f8"), np.array(["a"]), np.array([None]), np.ones(2, "M8[s]"), [1, 2, 3], (1.0, 2.0), range(3), "x", None, 1j,
    np.ma.array([1.0, 2.0]), np.frombuffer(b"\0" * 17, np.uint8)[1:].view(np.float64), np.lib.stride_tricks.as_strided(X, (3, 3), (8, 8))], ids=lambda v: f"{type(v).__name__}-{getattr(v, 'dtype', v)}-{getattr(v, 'shape', '')}")
def test_same_as_the_interpreted_way(source, value):
    f = arex.compile(source, target="cpu")
    assert outcome(f, value) == outcome(f._call, value)
    assert outcome(f, x=value) == outcome(f._call, x=value)


@pytest.mark.parametrize("args, named", [
    ((), {}), ((X,), {}), ((X, Y, Y), {}), ((X,), {"y": Y}), ((), {"y": Y, "x": X}), ((X,), {"x": X}), ((X, Y), {"z": 1}), ((X, Y), {"y": 1}), ((X, Y), {"out": None}), ((X, Y), {"out": np.zeros(10)}),
    ((X, Y), {"out": np.zeros(20)[::2]}), ((X, Y), {"out": np.zeros(9)}), ((X, Y), {"out": np.zeros(10, np.float32)}), ((X, Y), {"out": [np.zeros(10)]}), ((X, Y), {"out": [1.0] * 10}),
    ((X, Y), {"out": np.broadcast_to(np.zeros(1), 10)}), ((X, Y), {"threads": 1}), ((X, Y), {"threads": None}), ((X, Y), {"target": "cpu"}), ((X, Y), {"target": "tpu"}), ((X, M), {}), ((X, Y), {"threads": 2, "out": np.zeros(10)}),
])
def test_arguments_as_the_interpreted_way(args, named):
    f = arex.compile("x - y", target="cpu")
    assert outcome(f, *args, **named) == outcome(f._call, *args, **named)


def test_out_is_what_is_returned():
    f, out, two = arex.compile("x * 2", target="cpu"), np.zeros(10), arex.compile("a = x\nb = -x\na, b", target="cpu")
    assert f(X, out=out) is out and (out == 2 * X).all()
    x = X.copy()
    assert f(x[1:], out=x[:-1]) is not None and (x[:-1] == 2 * X[1:]).all()  # overlapping: as if it did not
    outs = [np.zeros(10), np.zeros(10)]
    assert two(X, out=outs).b is outs[1] and (outs[1] == -X).all()
    for bad in [np.zeros(9), np.zeros(10, int)]:
        with pytest.raises(arex.ShapeError):
            f(X, out=bad)


def test_errors_of_the_library_are_told():
    f = arex.compile("x ** n", target="cpu")
    for _ in range(3):
        with pytest.raises(arex.ValueError_) as error:
            f(M, -2)
    assert error.value.code == "AX0310" and "negative" in error.value.text


def test_results_outlive_all():
    f = arex.compile("x + 1", target="cpu")
    a = f(np.arange(1000.0))
    view, seen = a[10:20], weakref.ref(f)
    del f, a
    gc.collect()
    assert seen() is None  # a program is freed when nobody has it
    assert (view == np.arange(11.0, 21.0)).all() and view.flags.writeable
    assert arex.compile("x + 1", target="cpu")(np.zeros(5000)).ctypes.data % 64 == 0


def test_nothing_leaks():
    f, k = arex.compile("x * 2, sum(x)", target="cpu"), np.float32(2)
    bad, x, out = arex.compile("x ** n", target="cpu"), np.ones(50000), np.ones(3)
    g = arex.compile("x + y", target="cpu")

    def round():
        f(x), f(k), g(x=x, y=1.0), g(out, 1.0, out=out), outcome(bad, M, -1), outcome(g, x, M), arex.evaluate("x + k"), outcome(arex.evaluate, "x + none_such")

    def resident():
        return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
    for _ in range(20):
        round()
    counts, before = [sys.getrefcount(v) for v in (x, k, out, M)], resident()
    for _ in range(200):
        round()
    assert [sys.getrefcount(v) for v in (x, k, out, M)] == counts
    assert resident() - before < 20 * x.nbytes  # of the 800 results


@needs_extension
def test_calls_are_short():
    f, x = arex.compile("x + y", target="cpu"), np.ones(10)

    def cost(call):
        return min(timeit.repeat(lambda: call(x, x), number=200, repeat=25)) / 200
    assert cost(f) < cost(f._call) / 3


def test_the_gil_is_released():
    @arex.jit
    def long(n):
        i = 0.0
        while i < n:
            i = i + 1
        return i
    long(10.0)
    started, n = time.perf_counter(), 1e7
    long(n)
    n *= 0.5 / max(time.perf_counter() - started, 1e-4)
    thread, ticks = threading.Thread(target=long, args=(n,)), 0
    thread.start()
    while thread.is_alive():
        time.sleep(0.002)
        ticks += 1
    assert ticks > 10  # with the GIL held there would be one or two


def test_many_threads():
    f, wrong = arex.compile("x * k + sum(x)", target="cpu"), []

    def work(seed):
        rng = np.random.default_rng(seed)
        for _ in range(300):
            x, k = rng.integers(0, 9, rng.integers(0, 50)).astype(rng.choice(["i4", "f8", "f4"])), int(rng.integers(9))
            y = rng.integers(0, 9, (3, 4)).astype(float)
            if not np.array_equal(f(x, k), x * k + x.sum()) or not np.array_equal(arex.evaluate("y * k"), y * k):
                wrong.append(seed)
    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_kernels_in_place():
    @arex.jit
    def fill(x, k):
        for i in range(len(x)):
            x[i] = k * i
        return x
    x = np.zeros(4)
    assert fill(x, 2.0) is x and x.tolist() == [0, 2, 4, 6]
    frozen = np.zeros(4)
    frozen.flags.writeable = False
    with pytest.raises(arex.ShapeError):
        fill(frozen, 2.0)

    @arex.cuda.jit
    def plane(out):
        i, j = arex.cuda.grid(2)
        if i < 4 and j < 6:
            out[i, j] = i * 10 + j
    p = arex.compile(plane.source, target="cpu")
    out = np.zeros((4, 6))
    p.launch((2, 3), (2, 2), out)
    assert (out == np.arange(4)[:, None] * 10 + np.arange(6)).all()
    for grid, block in [(0, 1), ((1, 1, 1, 1), 1), (1, 2000), (2**40, 1), (-1, 1), (True, 0)]:
        with pytest.raises((arex.UsageError, TypeError)):
            p.launch(grid, block, out)


def test_without_the_extension(tmp_path):
    """The package alone, as with an interpreter that the extension was not made for."""
    program = "import arex, numpy as np; x = np.arange(3.0); assert arex.program.extension is None; print(arex.compile('x + 1', target='cpu')(x), arex.evaluate('x * 2'), arex.jit(abs_)(x))"
    program = "def abs_(x):\n    return x * x\n" + program
    path = tmp_path / "plain.py"
    path.write_text(program)
    done = subprocess.run([sys.executable, str(path)], env={**os.environ, "AREX_EXTENSION": "0"}, capture_output=True, text=True)
    assert done.stdout.split("\n")[0] == "[1. 2. 3.] [0. 2. 4.] [0. 1. 4.]", done.stderr
