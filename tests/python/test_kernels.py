"""Kernels: what every thread does, on all targets; samples of real work against NumPy; and what is refused."""
import pathlib

import numpy as np
import pytest

import arex

TARGETS = ["reference", "cpu"] + (["cuda"] if arex.device_count() else [])
RNG = np.random.default_rng(0)
SAMPLES = pathlib.Path(__file__).resolve().parents[2] / "samples"


def launched(source, grid, block, *args):
    """The changed arrays by target, all equal to the bit; the arrays given stay."""
    kernel = arex.compile(source)
    results = []
    for target in TARGETS:
        given = [a.copy() if isinstance(a, np.ndarray) else a for a in args]
        kernel.launch(grid, block, *given, target=target)
        results.append([a for a, name in zip(given, kernel.inputs) if name in kernel.outputs])
    for got in results:
        for a, b in zip(got, results[0]):
            assert a.tobytes() == b.tobytes()
    return results[0] if len(results[0]) > 1 else results[0][0]


def sample(name):
    return (SAMPLES / f"{name}.arex").read_text()


@pytest.mark.parametrize("n", [0, 1, 255, 1000, 1025])
def test_saxpy(n):
    x, y = RNG.normal(size=(2, n)).astype(np.float32)
    got = launched("kernel saxpy(a, x, y, out) {\n i = grid(1)\n if i < len(out) { out[i] = a * x[i] + y[i] }\n}", 5, 256, 2.5, x, y, np.zeros(n, np.float32))
    np.testing.assert_array_equal(got, np.float32(2.5) * x + y)


def test_histogram():
    x = RNG.integers(0, 64, 100_000)
    np.testing.assert_array_equal(launched(sample("histogram"), 16, 128, x, np.zeros(64, np.int64)), np.bincount(x, minlength=64))


def test_heat():
    u = RNG.random((67, 90))
    want = u.copy()
    want[1:-1, 1:-1] += 0.1 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] - 4 * u[1:-1, 1:-1])
    np.testing.assert_allclose(launched(sample("heat"), (6, 5), (16, 16), u, u.copy(), 0.1), want, rtol=1e-14)


def test_where_threads_are():
    names = ["threadIdx.x", "threadIdx.y", "threadIdx.z", "blockIdx.x", "blockIdx.y", "blockIdx.z", "blockDim.x", "blockDim.y", "blockDim.z",
             "gridDim.x", "gridDim.y", "gridDim.z", "gridsize(1)"]
    grid, block = (3, 2, 4), (5, 3, 2)
    lines = "\n".join(f"out[{k}, z, y, x] = {name}" for k, name in enumerate(names))
    got = launched("kernel f(out) {\n x, y, z = grid(3)\n sx, sy, sz = gridsize(3)\n" + lines + "\n}", grid, block, np.zeros((13, 8, 6, 15), np.int32))
    z, y, x = np.indices((8, 6, 15))
    want = [x % 5, y % 3, z % 2, x // 5, y // 3, z // 2] + [v + 0 * x for v in (5, 3, 2, 3, 2, 4, 15)]
    np.testing.assert_array_equal(got, want)


def test_layouts_and_types():
    base = np.zeros((8, 12), np.int16)
    for view in [base[::2, ::3], base.T[:4, ::-1], base[::-1]]:
        base[:] = 0
        want = view.copy()
        for i in range(want.shape[0]):
            for j in range(want.shape[1]):
                want[i, j] += i * 100 + j
        for target in TARGETS:
            base[:] = 0
            arex.compile("kernel f(a) { j, i = grid(2); if i < shape(a, 0) and j < shape(a, 1) { a[i, j] += i * 100 + j } }").launch((1, 1), (12, 12), view, target=target)
            np.testing.assert_array_equal(view, want)
    for dtype in ["bool", "int8", "uint64", "float16", "float32"]:
        assert launched("kernel f(a) { i = grid(1); a[-1 - i] = a[i] + 1 }", 1, 4, np.zeros(9, dtype)).tolist()[-4:] == [1] * 4


def test_reads_see_what_was_written_before():
    got = launched("kernel f(a) { i = grid(1); a[i] = 1; b = a[i]; a[i] = b + a[i]; for k in range(3) { a[i] = a[i] * 2 }; a[i] += 1 }", 1, 8, np.zeros(8, np.int64))
    np.testing.assert_array_equal(got, 17)


def test_return_break_and_uniform_values():
    got = launched("""kernel f(a, most) {
        i = grid(1)
        if i >= 6 { return }
        n = 0
        while True { if n * n > most * i { break }; n += 1 }
        a[i] = n
    }""", 1, 8, np.full(8, -1, np.int32), 5)
    np.testing.assert_array_equal(got, [1, 3, 4, 4, 5, 6, -1, -1])
    assert launched("kernel f(a) { a[0] = 7 }", 2, 32, np.zeros(3)).tolist() == [7, 0, 0]


def test_atomics():
    x = RNG.integers(-1000, 1000, 5000).astype(np.int32)
    for dtype in ["int32", "int64", "float32", "float64"]:
        a = launched("kernel f(x, s, lo, hi) { i = grid(1); if i < len(x) { atomic_add(s, 0, x[i]); atomic_min(lo, (0), x[i]); atomic_max(hi, 0, x[i]) } }",
                     40, 128, x, np.zeros(1, dtype), np.full(1, 9999, dtype), np.full(1, -9999, dtype))
        assert [v[0] for v in a] == [x.sum(), x.min(), x.max()]
    order = launched("kernel f(count, seen) { i = atomic_add(count, 0, 1); seen[i] = 1 }", 10, 100, np.zeros(1, np.uint32), np.zeros(1000, np.uint8))
    assert order[0][0] == 1000 and order[1].all()
    taken = launched("kernel f(lock, winners) { if atomic_cas(lock, 0, 0, 5) == 0 { atomic_add(winners, 0, 1) } }", 4, 64, np.zeros(1, np.int32), np.zeros(1, np.int64))
    assert taken[0][0] == 5 and taken[1][0] == 1


def test_device_functions():
    got = launched("def twice(v) = v + v\ndef clampedroot(v) { if v < 0 { return 0.0 }; return sqrt(v) }\n"
                   "kernel f(x, out) { i = grid(1); out[i] = twice(clampedroot(x[i])) }", 1, 4, np.array([-1.0, 0, 4, 9]), np.zeros(4))
    np.testing.assert_array_equal(got, [0, 0, 4, 6])


def test_out_of_range():
    for target in TARGETS:
        for source, message in [("kernel f(x) { i = grid(1); x[i] = 1 }", "index 7 is out of range for axis 0 with 5 elements"),
                                ("kernel f(x) { i = grid(1); if x[i + 1] > 0 { x[0] = 1 } }", "index 8 is out of range"),
                                ("kernel f(x) { i = grid(1); atomic_add(x, i - 6, 1) }", "index -6 is out of range")]:
            x = np.zeros(5)
            with pytest.raises(arex.ArexError, match=message) as e:
                arex.compile(source).launch(1, 8, x, target=target)
            assert e.value.code == "AX0312"


@pytest.mark.parametrize("source, code", [
    ("kernel f(x) { y = x[0] }", "AX0216"), ("kernel f(x) { x[0] = z }", "AX0201"), ("kernel f(x) { x[0, 1] = 1 }", "AX0212"),
    ("kernel f(x, y) { x[0] = y }", "AX0203"), ("kernel f(x) { x[grid(1)] = shared(3, float32) }", "AX0203"),
    ("y = 1\nkernel f(x) { x[0] = 1 }", "AX0217"), ("kernel f(x) { x[0] = 1 }\nkernel g(x) { x[0] = 1 }", "AX0217"), ("def f(v) { if v > 0 { v[0] = 1 }; return v }\nf(y)", "AX0217"),
    ("kernel f(x) { x[0.5] = 1 }", "AX0203"), ("kernel f(x) { x[1:2] = 1 }", "AX0203"), ("kernel f(x, x) { x[0] = 1 }", "AX0205"),
    ("kernel f(x) { x[grid(4)] = 1 }", "AX0203"), ("kernel f(x) { x[threadIdx.w] = 1 }", "AX0201"), ("kernel f(x) { t = x[0]; t[0] = 1; x[0] = 1 }", "AX0203"),
    ("kernel f(x) { atomic_add(x, 0); x[0] = 1 }", "AX0208"), ("kernel f(x) { x[0] = sum(x) }", "AX0219"), ("grid(1) + x", "AX0202"),
])
def test_refused(source, code):
    def run():
        k = arex.compile(source)
        k.launch(1, 1, *[np.zeros(4)] * len(k.inputs), target="cpu")
    with pytest.raises(arex.ArexError) as e:
        run()
    assert e.value.code == code, e.value


def test_launches_refused():
    kernel, other = arex.compile("kernel f(x) { x[0] = 1 }"), arex.compile("x + 1")
    for grid, block in [(0, 1), (1, 0), (1, 1025), (1, (32, 33)), ((1, 2, 3, 4), 1)]:
        with pytest.raises(arex.ArexError):
            kernel.launch(grid, block, np.zeros(1))
    frozen = np.zeros(1)
    frozen.flags.writeable = False
    for args in [(), (np.zeros(1), 2), (1.0,), (frozen,), (np.float64(1),)]:
        with pytest.raises(arex.ArexError):
            kernel.launch(1, 1, *args)
    with pytest.raises(arex.ArexError, match="arex_launch"):
        kernel(np.zeros(1))
    with pytest.raises(arex.ArexError, match="no kernel"):
        other.launch(1, 1, np.zeros(1))
