"""@jit, @vectorize and @cuda.jit: what Python itself computes, what Numba's users write, and clear refusals."""
import importlib.util
import math
import pickle
import warnings

import numpy as np
import pytest

import arex
from arex import cuda, devices, jit, njit, prange, vectorize

RNG = np.random.default_rng(0)
X = RNG.normal(size=257)
FACTOR, LIMIT = 1.5, 3


@jit(nopython=True)
def sum_of_squares(x):
    result = 0.0
    for i in range(len(x)):
        result += x[i]**2
    return result


@njit
def collatz(n):
    """Steps down to 1."""
    steps = 0
    while n != 1 and steps < 1000:
        if n % 2 == 0:
            n //= 2
        else:
            n = 3 * n + 1
        steps += 1
    return steps


@jit
def several(x, scale=2.0):
    low, high = min(x[0], x[1]), max(x[0], x[1], 0.5)
    pass
    if low < 0 < high and not x.size == 0:
        return low * scale, abs(high)
    elif x.shape[0] > LIMIT:
        return math.sqrt(high), FACTOR * low
    return -1.0, 0.0


@jit
def arrays(x, y):
    z = np.where(x > y, np.sin(x), np.exp(-y)) + (x if x.ndim == 1 else y)
    return z.sum() + np.max(z[1:-1]) - np.arctan2(z, 1.0).mean(axis=0)


@jit
def helper(v):
    if v > 0:
        return v
    return v * v


@jit
def with_helper(x):
    s = 0.0
    for i in range(x.shape[0] - 1, -1, -2):
        if x[i] > 2:
            continue
        s += helper(x[i])
        if s > 20:
            break
    return s


@jit
def running(out, x):
    for i in range(len(x)):
        out[i] = x[i] + (out[i - 1] if i > 0 else 0.0)
    return out


@jit(parallel=True, cache=True, fastmath=False)
def fill2(m, v):
    for i in prange(m.shape[0]):
        for j in range(m.shape[1]):
            m[i, j] += v * i - j


@pytest.mark.parametrize("function, args", [
    (sum_of_squares, (X,)), (sum_of_squares, (X.astype(np.float32),)), (collatz, (27,)), (several, (X,)), (several, (np.abs(X),)), (several, (X, 3.0)),
    (arrays, (X, X[::-1].copy())), (with_helper, (X,)),
])
def test_as_python(function, args):
    want, got = function.py_func(*args), function(*args)
    for w, g in zip(want if isinstance(want, tuple) else [want], got if isinstance(got, tuple) else [got]):
        np.testing.assert_allclose(g, w, rtol=1e-6 if np.asarray(args[0]).dtype == np.float32 else 1e-12)


def test_mapped_over_arrays():
    n = np.arange(1, 200)
    np.testing.assert_array_equal(collatz(n), [collatz.py_func(int(k)) for k in n])


def test_functions_that_fill_their_arguments():
    got, want = np.zeros(257), np.zeros(257)
    assert running(got, X) is got
    running.py_func(want, X)
    np.testing.assert_array_equal(got, want)
    a, b = np.zeros((5, 7)), np.zeros((5, 7))
    assert fill2(a, 2.0) is None
    fill2.py_func(b, 2.0)
    np.testing.assert_array_equal(a, b)


def test_outer_scalars_are_arguments():
    before = several._program.stats()["compilations"] if several._program else 0
    global FACTOR
    x = np.abs(X) + 1
    first = several(x)[1]
    FACTOR = 4.0
    try:
        assert several(x)[1] == first / 1.5 * 4.0
        assert several._program.stats()["compilations"] <= before + 1
    finally:
        FACTOR = 1.5

    def inner(k):
        @jit
        def f(x):
            return x * k
        return f
    assert inner(3)(2) == 6 and inner(5)(2) == 10


def test_keywords_defaults_and_python_errors():
    assert several(x=X, scale=1.0) == several.py_func(X, 1.0)
    with pytest.raises(TypeError):
        several()
    with pytest.raises(TypeError):
        sum_of_squares(X, X)


def test_without_a_gpu_the_host_does_it_and_says_so(monkeypatch):
    monkeypatch.setattr(devices, "device_count", lambda: 0)
    devices._told[devices.KERNELS].clear()
    def add(a, b):
        return a + b

    added, again = (vectorize(["float64(float64, float64)"], target="cuda")(add) for _ in range(2))
    with pytest.warns(arex.ArexWarning, match="no NVIDIA GPU is found: kernels run on the CPU") as told:
        np.testing.assert_array_equal(added(X, X), X + X)
        np.testing.assert_array_equal(again(X, X), X + X)
    assert len(told) == 1 and told[0].filename == __file__
    devices._told[devices.ARRAYS].clear()
    with pytest.warns(arex.ArexWarning, match="arrays stay in the memory of the host") as told:
        arex.asarray(X), arex.zeros(3)
    assert len(told) == 1 and told[0].filename == __file__


def test_vectorize():
    @vectorize(["float64(float64, float64)"], nopython=True)
    def pick(a, b):
        if a > b:
            return a - b
        return a + b
    np.testing.assert_array_equal(pick(X[:, None], X[:3]), np.where(X[:, None] > X[:3], X[:, None] - X[:3], X[:, None] + X[:3]))


def test_lambdas_and_pickles():
    f = jit(lambda a, b: a * b + 1)
    np.testing.assert_array_equal(f(np.arange(3), 2), [1, 3, 5])
    assert pickle.loads(pickle.dumps(sum_of_squares)) is sum_of_squares and pickle.loads(pickle.dumps(square)) is square
    program = pickle.loads(pickle.dumps(arex.compile("a*x + 1", target="cpu")))
    np.testing.assert_array_equal(program(2.0, X), 2 * X + 1)


# ---- kernels ----

@cuda.jit
def square(x, result):
    idx = cuda.grid(1)
    if idx < len(x):
        result[idx] = x[idx]**2


@cuda.jit(device=True)
def clamp(v, most):
    if v > most:
        return most
    return v


@cuda.jit
def tally(x, bins, total):
    start = cuda.threadIdx.x + cuda.blockIdx.x * cuda.blockDim.x
    for i in range(start, x.shape[0], cuda.gridsize(1)):
        k = clamp(int(x[i]), 9)
        if k < 0:
            continue
        cuda.atomic.add(bins, k, 1)
        cuda.atomic.max(total, 0, x[i])


@cuda.jit
def transpose(a, out):
    x, y = cuda.grid(2)
    if x >= a.shape[1] or y >= a.shape[0]:
        return
    out[x, y] = a[y, x]


@pytest.fixture(autouse=True)
def no_gpu_is_told_once():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", arex.ArexWarning)
        yield


def test_cuda_kernels():
    result = np.zeros_like(X)
    square[(len(X) + 127) // 128, 128](X, result)
    np.testing.assert_array_equal(result, X**2)
    v, bins, total = RNG.uniform(-3, 14, 5000), np.zeros(10, np.int64), np.full(1, -np.inf)
    tally[8, 64](v, bins, total)
    k = v.astype(int)
    np.testing.assert_array_equal(bins, np.bincount(np.minimum(k[k >= 0], 9), minlength=10))
    assert total[0] == v[k >= 0].max()
    a, out = RNG.random((33, 50)), np.zeros((50, 33))
    transpose[(4, 3), (16, 16)](a, out)
    np.testing.assert_array_equal(out, a.T)


WIDTH = 8


@cuda.jit
def backwards(x, out, types):
    """Each block's elements in reverse; what is shared is of types and shapes by all the names they have."""
    a = cuda.shared.array(shape=(2, WIDTH // 2), dtype=np.float64)
    b = cuda.shared.array(WIDTH, "int32")
    c = cuda.shared.array((WIDTH,), arex.float32)
    d = cuda.shared.array(dtype=np.bool_, shape=WIDTH + 1)
    e = cuda.shared.array(1, float)
    t, i = cuda.threadIdx.x, cuda.grid(1)
    a[t // (WIDTH // 2), t % (WIDTH // 2)] = x[i]
    b[t] = t
    c[t] = 0.5 * t
    d[t] = t > 2
    e[0] = 7.5
    cuda.syncthreads()
    u = WIDTH - 1 - t
    out[i] = a[u // (WIDTH // 2), u % (WIDTH // 2)]
    types[i] = b[u] + c[u] + (100 if d[u] else 0) + e[0]


def test_shared_arrays():
    x, out, types = RNG.random(32), np.zeros(32), np.zeros(32)
    backwards[4, WIDTH](x, out, types)
    u = np.tile(np.arange(8)[::-1], 4)
    np.testing.assert_array_equal(out, x.reshape(4, 8)[:, ::-1].ravel())
    np.testing.assert_array_equal(types, 1.5 * u + 100 * (u > 2) + 7.5)


@cuda.jit(device=True)
def neighbour(s, step):
    cuda.syncthreads()
    return s[(cuda.threadIdx.x + step) % cuda.blockDim.x]


@cuda.jit
def shifted(x, out):
    s = cuda.shared.array(64, np.float64)
    s[cuda.threadIdx.x] = x[cuda.grid(1)]
    out[cuda.grid(1)] = neighbour(s, 2)


def test_device_functions_ask_where_they_are():
    x, out = RNG.random(21), np.zeros(21)
    shifted[3, 7](x, out)
    np.testing.assert_array_equal(out, np.roll(x.reshape(3, 7), -2, axis=1).ravel())
    with pytest.raises(arex.ArexError):
        neighbour(x, 1)


@cuda.jit
def takes(x, lock, n):
    if cuda.atomic.compare_and_swap(lock, 0, 1) == 0:
        cuda.atomic.sub(n, 0, 3)
    cuda.atomic.cas(x, cuda.grid(1), 2.0, -1.0)


def test_more_atomics():
    x, lock, n = np.arange(4.0), np.zeros(1, np.int32), np.full(1, 10, np.uint32)
    takes[1, 4](x, lock, n)
    assert x.tolist() == [0, 1, -1, 3] and lock[0] == 1 and n[0] == 7


def test_arrays_by_numbas_names():
    x = np.arange(6.0).reshape(2, 3)
    d = cuda.to_device(x)
    x[:] = -1  # a copy was made
    np.testing.assert_array_equal(d.copy_to_host(), np.arange(6.0).reshape(2, 3))
    e = cuda.device_array_like(d)
    assert (e.shape, e.dtype) == ((2, 3), np.float64) and cuda.device_array(4).shape == (4,) and cuda.device_array((2, 5), np.int8).dtype == np.int8
    f = cuda.device_array_like(np.zeros(3, np.float32))
    assert (f.shape, f.dtype) == ((3,), np.float32)
    transposed = cuda.device_array((3, 2))
    transpose[(1, 1), (16, 16)](d, transposed)
    cuda.synchronize()
    out = np.empty((3, 2))
    assert transposed.copy_to_host(out) is out
    np.testing.assert_array_equal(out, np.arange(6.0).reshape(2, 3).T)
    e.copy_to_device(np.full((2, 3), 4.0))
    assert cuda.to_device(np.full((2, 3), 5.0), to=e) is e
    copy = cuda.to_device(e)
    e.copy_to_device(d)
    np.testing.assert_array_equal(copy.copy_to_host(), 5)
    np.testing.assert_array_equal(e.copy_to_host(), np.arange(6.0).reshape(2, 3))
    assert cuda.pinned_array(3, np.int16).dtype == np.int16 and not cuda.is_cuda_array(x)
    for wrong in [lambda: e.copy_to_device(np.zeros(3)), lambda: e.copy_to_host(np.zeros(3)), lambda: cuda.device_array(3, order="F")]:
        with pytest.raises(arex.ArexError) as error:
            wrong()
        assert error.value.code == "AX0309"
    with pytest.raises(TypeError):
        cuda.as_cuda_array(x)


KERNELS_REFUSED = {
    "size that the launch gives": "s = cuda.shared.array(0, 'int32')\n    x[0] = s[0]",
    "a shape and a dtype": "s = cuda.shared.array(3)\n    x[0] = s[0]",
    "the type 'text'": "s = cuda.shared.array(3, 'text')\n    x[0] = s[0]",
    "the type x": "s = cuda.shared.array(3, x)\n    x[0] = s[0]",
    "cuda.local.array": "s = cuda.local.array(3)\n    x[0] = s[0]",
    "cuda.atomic.exch": "cuda.atomic.exch(x, 0, 1)",
    "arguments by name": "cuda.atomic.add(x, 0, val=1)",
}


@pytest.mark.parametrize("what", KERNELS_REFUSED)
def test_kernels_refused(what, tmp_path):
    file = tmp_path / "user.py"
    file.write_text(f"from arex import cuda\ndef f(x):\n    {KERNELS_REFUSED[what]}\n")
    spec = importlib.util.spec_from_file_location("user", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with pytest.raises(arex.ArexError, match=rf"user\.py:3: in f: .*{what}.*cannot be translated"):
        cuda.jit(module.f)


@cuda.jit
def halves(x):
    s = cuda.shared.array(4, np.float64)
    if cuda.threadIdx.x < 2:
        cuda.syncthreads()
    x[0] = s[0]


def test_divergent_barrier_is_refused():
    with pytest.raises(arex.ArexError, match="some threads of a block may come here") as e:
        halves[1, 4](np.zeros(1))
    assert e.value.code == "AX0220"


def test_cuda_misuse():
    with pytest.raises(arex.ArexError, match="needs its launch"):
        square(X, X)
    with pytest.raises(arex.ArexError, match="blocks, threads"):
        square[1]
    with pytest.raises(arex.ArexError, match="in kernels only"):
        cuda.grid(1)
    with pytest.raises(arex.ArexError, match="index 299 is out of range"):
        square[300, 1](np.zeros(300), np.zeros(299)[:299])
    with pytest.raises(TypeError):
        square[1, 1](X)


REFUSED = {
    "with": "def f(x):\n    with open(x) as g:\n        pass\n    return 1\n",
    "list comprehension": "def f(x):\n    y = x\n    return [v for v in x]\n",
    "loop over x.flat": "def f(x):\n    for v in x.flat:\n        y = v\n    return y\n",
    "loop over enumerate": "def f(x):\n    for i, v in enumerate(x, 1):\n        y = v\n    return y\n",
    "value is not used": "def f(x):\n    print(x)\n    return x\n",
    "call of len2": "len2 = len\ndef len3(x): return 1\ndef f(x):\n    return len2x(x)\n".replace("len2x", "len2") + "def len2(x): pass\n",
    r"\*args": "def f(*args):\n    return 1\n",
    "else": "def f(x):\n    for i in range(3):\n        x += i\n    else:\n        x = 1\n    return x\n",
    "return without a value": "def f(x):\n    return\n",
    "assignment to y": "def f(x):\n    y = x\n    y[0] = 1\n    return x\n",
    "'text'": "def f(x):\n    return 'text'\n",
    "`in`|x in y": "def f(x, y):\n    return x in y\n",
    "cuda.grid outside": "from arex import cuda\ndef f(x):\n    return cuda.grid(1)\n",
    "call of itself": "import arex\n@arex.jit\ndef g(x): return x\ndef f(x):\n    return f(x)\n",
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused_with_line_and_construct(what, tmp_path):
    file = tmp_path / "user.py"
    file.write_text(REFUSED[what])
    spec = importlib.util.spec_from_file_location("user", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with pytest.raises(arex.ArexError, match=rf"user\.py:\d+: in f: .*({what}|cannot be translated)") as e:
        jit(module.f)
    assert "cannot be translated" in str(e.value) or "itself" in str(e.value)


def test_options():
    with pytest.raises(arex.ArexError, match="no option 'speed'"):
        jit(speed=True)
    with pytest.raises(arex.ArexError, match="nopython=False"):
        jit(nopython=False)
    with pytest.raises(TypeError):
        jit(target="cpu")(len)


@pytest.mark.parametrize("options", [{"debug": True}, {"locals": {}}, {"forceobj": False}, {"no_cpython_wrapper": True}, {"boundscheck": False}, {"inline": "always"}, {"error_model": "numpy"}, {"fastmath": {"nnan"}}])
def test_numbas_other_options(options):
    assert jit(**options)(squares)(2.0) == 4.0


def squares(x):
    return x * x


def test_numbas_signatures():
    """Types are taken as Numba has them, and not needed."""
    f8, i4 = arex.float64, arex.int32
    for decorated in (jit(f8(f8)), jit([f8(f8), i4(i4)], nopython=True), arex.vectorize([f8(f8)], identity=0), jit(f8[:](f8[:])), jit("f8(f8)")):
        assert decorated(squares)(3.0) == 9.0
    assert repr(f8(f8, i4[:, :])) == "arex.float64(float64, int32[:, :])" and repr(arex.void(arex.boolean)) == "arex.void(bool)"
    assert f8(3).dtype == np.float64 and np.zeros(2, dtype=f8).dtype == np.float64 and f8 == np.float64 and f8 != i4 and f8 == arex.float64 and len({f8, arex.float64}) == 1
    import pickle
    assert pickle.loads(pickle.dumps(f8)) == f8 and pickle.loads(pickle.dumps(f8[:])) == f8[:]
    with pytest.raises(arex.ArexError, match="forceobj=True"):
        jit(forceobj=True)
    with pytest.raises(arex.ArexError, match="locals= is not taken"):
        jit(locals={"x": f8})
    with pytest.raises(AttributeError, match="write the neighbours as slices"):
        arex.stencil


@jit
def converted(x):
    return arex.float32(x) * 2 + arex.int64(x)


def test_types_convert_in_functions():
    assert converted(2.5) == 7.0 and converted(np.ones(2)).dtype == np.float64
