"""arex.Array: NumPy's answers, operations put off and fused, memory in and out; the tutorials whose import lines changed."""
import pathlib
import pickle
import runpy
import warnings

import numpy as np
import pytest

import arex
from arex import Array, asarray, asnumpy

RNG = np.random.default_rng(0)
ON_GPU = arex.device_count() > 0
SAMPLES = pathlib.Path(__file__).resolve().parents[2] / "samples"
X, Y, M = RNG.normal(size=1000), RNG.normal(size=1000).astype(np.float32), RNG.integers(-9, 9, (5, 7))


@pytest.fixture(autouse=True)
def no_gpu_is_told_once():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", arex.ArexWarning)
        yield


def same(array, want, rtol=1e-12):
    want = np.asarray(want)
    assert isinstance(array, Array)
    assert array.shape == want.shape and array.dtype == want.dtype
    got = asnumpy(array)
    assert got.dtype == want.dtype
    np.testing.assert_allclose(got, want, rtol=rtol, atol=1e-12) if want.dtype.kind == "f" else np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("f", [
    lambda a, m: a * 2 + 1, lambda a, m: (1 - a) / (2.5 + abs(a)), lambda a, m: -a ** 2, lambda a, m: 2 ** abs(m), lambda a, m: m // 3 - m % 4, lambda a, m: ~m & 7 | m ^ 2,
    lambda a, m: (m << 1) >> 2, lambda a, m: a < 0.5, lambda a, m: (a >= 0) & (a != 1), lambda a, m: a == a, lambda a, m: np.sin(a) + np.exp(-a * a),
    lambda a, m: np.where(a > 0, a, 0.0), lambda a, m: np.sum(a), lambda a, m: np.sum(m, axis=1), lambda a, m: m.sum(axis=0, keepdims=True), lambda a, m: a.mean(),
    lambda a, m: m.max(axis=1) - m.min(axis=1), lambda a, m: a.std() + a.var(ddof=1), lambda a, m: (a > 9).any(), lambda a, m: a.argmax(), lambda a, m: m.T,
    lambda a, m: a[3], lambda a, m: a[::-2], lambda a, m: m[1:, ..., 2], lambda a, m: m[None, 0], lambda a, m: a[np.array([1, -1, 5])], lambda a, m: m[[0, 2], [1, 1]],
    lambda a, m: np.maximum(a, 0.25), lambda a, m: np.clip(a, -0.5, 0.5), lambda a, m: a.astype(np.float32), lambda a, m: np.add.reduce(m), lambda a, m: np.arctan2(a, 2.0),
    lambda a, m: (a - a.mean()) / a.std(), lambda a, m: m * np.arange(7), lambda a, m: np.arange(5)[:, None] + m, lambda a, m: np.float32(2) * a,
])
def test_as_numpy(f):
    same(f(asarray(X), asarray(M)), f(X, M))


def test_functions_by_name():
    same(arex.sin(asarray(X)), np.sin(X))
    same(arex.sum(asarray(M), 1), M.sum(1))
    same(arex.arctan2(asarray(X), 1.0), np.arctan2(X, 1.0))
    assert isinstance(arex.sin(X), np.ndarray) and arex.sum(X) == pytest.approx(X.sum())
    assert arex.float32(asarray(X)).dtype == np.float32
    with pytest.raises(AttributeError):
        arex.no_such_function
    assert "fused" in arex.sin.__doc__ and arex.sin.__name__ == "sin"


def test_operations_are_put_off_and_fused():
    a = asarray(X)
    chain = np.sin(a) * 2 + np.sin(a)
    assert chain._memory is None and chain.shape == (1000,)  # asking for the shape runs nothing
    assert chain._memory is None
    program, _ = (chain.sum())._bound()
    assert program.source.count("sin") == 2 and len(program.inputs) == 2
    total = chain.sum()
    assert float(total) == pytest.approx((3 * np.sin(X)).sum())
    assert chain._memory is None  # the sum needed no array of it
    same(chain, 3 * np.sin(X))
    before = program.stats()["compilations"]
    asnumpy((np.sin(a) * 3 + np.sin(a)).sum())
    assert program.stats()["compilations"] == before  # another number is another argument


def test_long_chains_run_in_parts():
    a, want = asarray(X), X
    for _ in range(300):
        a, want = a * 1.001 + 0.5, want * 1.001 + 0.5
    same(a, want)
    b = asarray(np.float64(1))
    for _ in range(60):
        b = b + b  # a graph, not a tree of 2**60 nodes
    assert float(b) == 2.0**60


def test_what_it_is():
    a = asarray(Y)
    assert (a.shape, a.dtype, a.ndim, a.size, a.nbytes, a.itemsize, len(a), a.strides) == ((1000,), np.float32, 1, 1000, 4000, 4, 1000, (4,))
    assert a.device == ("cuda:0" if ON_GPU else "cpu")
    assert repr(a) == f"<arex.Array shape=(1000,) dtype=float32 device={a.device}>"
    assert float(asarray(2.5)) == 2.5 and int(asarray(3)) == 3 and bool(asarray(True)) and [1, 2][asarray(1)] == 2
    with pytest.raises(TypeError):
        len(asarray(1.0))
    with pytest.raises(TypeError):
        hash(a)
    with pytest.raises(ValueError):
        bool(asarray([1, 2]))
    assert asarray([[1, 2], [3, 4]]).tolist() == [[1, 2], [3, 4]]


def test_memory_in_and_out():
    a = asarray(X)
    X2 = X.copy()
    b = asarray(X2)
    X2[0] = 99
    assert b[0].item() == X[0]  # a copy went in
    out = np.empty(1000)
    assert a.get(out) is out and (out == X).all()
    assert (np.asarray(a) == X).all() and np.asarray(a, np.float32).dtype == np.float32
    strided = np.zeros((1000, 2))[:, 1]
    assert (a.get(strided) == X).all()
    with pytest.raises(arex.ArexError):
        a.get(np.empty(3))
    same(pickle.loads(pickle.dumps(a)), X)
    o = arex.zeros(1000)
    assert np.sin(a, out=o) is o
    same(o, np.sin(X))
    host = np.zeros(1000)
    arex.sin(a, out=host)
    np.testing.assert_allclose(host, np.sin(X), rtol=1e-14)
    with pytest.raises(arex.ArexError):
        np.sin(a, out=arex.zeros(3))
    for view in [asarray(M)[::2, ::-1], asarray(M).T, asarray(X)[3:3]]:
        assert view.get().shape == view.shape


def test_made():
    same(arex.zeros((2, 3)), np.zeros((2, 3)))
    same(arex.ones(3, dtype=np.int32), np.ones(3, np.int32))
    same(arex.full((2,), 7.5), np.full((2,), 7.5))
    same(arex.arange(1, 9, 3), np.arange(1, 9, 3))
    same(arex.linspace(0, 1, 5), np.linspace(0, 1, 5))


def test_programs_and_kernels_take_them():
    a = asarray(X)
    np.testing.assert_array_equal(asnumpy(arex.compile("2*x")(a)), 2 * X)

    @arex.cuda.jit
    def twice(x, out):
        i = arex.cuda.grid(1)
        if i < x.size:
            out[i] = 2 * x[i]
    out = arex.zeros(1000)
    twice[4, 256](a, out)
    same(out, 2 * X)


def test_what_is_put_off_sees_values_as_they_were():
    @arex.cuda.jit
    def bump(x):
        i = arex.cuda.grid(1)
        if i < len(x):
            x[i] += 1000
    b, host = asarray(np.arange(4.0)), np.arange(4.0)
    y, z, later = b * 2, b + host, (b + 1) * 3
    host[0] = 99
    bump[1, 32](b)
    same(y, 2 * np.arange(4.0))
    same(z, 2 * np.arange(4.0))
    same(later, 3 * np.arange(4.0) + 3)
    same(b, np.arange(4.0) + 1000)
    d = asarray(np.arange(4.0))
    y = d * 2
    arex.add(d, 5.0, out=d)
    same(y, 2 * np.arange(4.0))
    same(d, np.arange(4.0) + 5)
    same(np.add.reduce(d), 26.0)
    same(np.add.reduce(d, dtype=np.int32), np.add.reduce(np.arange(4.0) + 5, dtype=np.int32))
    for options in [dict(initial=100), dict(where=np.arange(4) > 2)]:
        with pytest.raises(TypeError):
            np.add.reduce(d, **options)


def test_what_numpy_has_and_the_language_has_not():
    with pytest.raises(TypeError):
        np.fft.fft(asarray(X))
    with pytest.raises(TypeError):
        asarray(X) + "text"
    with pytest.raises(IndexError):
        asarray(X)["a"]
    with pytest.raises(arex.ArexError):
        asnumpy(asarray(X) + asarray(X[:7]))
    with pytest.raises(arex.ArexError):
        asarray(np.array(["text"]))


def test_handed_to_others():
    a = asarray(X)
    if not ON_GPU:
        assert not hasattr(a, "__cuda_array_interface__") and a.__dlpack_device__() == (1, 0)
        np.testing.assert_array_equal(np.from_dlpack(a), X)
        pytest.skip("there is no GPU")
    face = a.__cuda_array_interface__
    assert face["version"] == 3 and face["shape"] == (1000,) and face["typestr"] == "<f8" and face["strides"] is None
    same(asarray(a[::1]), X)
    cupy = pytest.importorskip("cupy")
    c = cupy.asarray(a)
    assert c.data.ptr == face["data"][0]
    cupy.cuda.Device().synchronize()
    np.testing.assert_array_equal(cupy.asnumpy(c * 2), 2 * X)
    back = asarray(cupy.asarray(M.T.copy().T))
    cupy.cuda.Device().synchronize()
    same(back + 1, M + 1)
    same(asarray(cupy.asarray(X)[::2]) * 3, X[::2] * 3)


@pytest.mark.parametrize("name", ["tutorial_cupy", "tutorial_numba", "tutorial_mixed", "tiles_numba"])
def test_tutorials(name, capsys):
    runpy.run_path(str(SAMPLES / f"{name}.py"))
    said = capsys.readouterr().out
    assert "True" in said and "False" not in said


class _Holder:
    """As a column of pandas: hands out its own memory."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return self.values


def test_asarray_holds_nothing_of_others():
    own = np.arange(3.0)
    x = arex.asarray(_Holder(own))
    own[0] = 99
    np.testing.assert_array_equal(arex.asnumpy(x), [0, 1, 2])
    other = arex.asarray(np.arange(3.0).astype(">f8"))
    assert other.dtype == np.float64 and other.dtype.isnative
    np.testing.assert_array_equal(arex.asnumpy(other + 1), [1, 2, 3])
    assert x[[]].shape == (0,)
