"""x[mask] and x[...] = v of arex.Array: NumPy's answers, on the host and on memory that is known by its descriptor alone, as a device's is."""
import sys
import warnings

import numpy as np
import pytest

import arex
from arex import asarray, asnumpy

STORED = sys.modules["arex.stored"]
RNG = np.random.default_rng(0)
M = RNG.integers(-9, 9, (5, 7)).astype(np.float32)
N = M > 0


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", arex.ArexWarning)
        yield


def described(x):
    """Elements as on a device: behind an arex_array, and NumPy does not see them."""
    memory = STORED._Memory.new(x.shape, x.dtype, 0 if arex.device_count() else -1)
    STORED._copy(memory.struct, STORED._Memory.of_host(np.array(x, order="C")).struct)
    assert memory.host is None
    return arex.Array(memory)


@pytest.fixture(params=[asarray, described])
def make(request):
    return request.param


def wrapped(make, v):
    return tuple(wrapped(make, x) for x in v) if isinstance(v, tuple) else make(v) if isinstance(v, np.ndarray) else v


STORES = [
    (3, 1.5), ((2, 3), 7), (slice(1, -1), 0), (slice(None, None, -2), np.arange(7)), ((slice(None), 2), np.arange(5.0)), ((slice(None), slice(1, 4)), np.arange(3)), ((Ellipsis, -1), 3),
    ((None, 1), np.ones((1, 1, 7))), (N, 0), (N, np.arange(N.sum())), ((slice(None), N[0]), -1), ((N[:, 0], 2), 5), ([0, 2, 0], np.arange(21).reshape(3, 7)), (([0, 1, 0], [2, 2, 2]), [1, 2, 3]),
    (np.array([[0, -1], [2, 2]]), 2.25), ((slice(0, 0),), 9), (slice(0, 0), np.ones(7)), (Ellipsis, 4), ((), 3), (slice(None), np.ones((1, 1, 5, 7))), ((1, [1, 1, 3]), [4, 5, 6]),
    (([4, 0], slice(None, None, 2)), np.arange(8).reshape(2, 4)), (N[:, 0], np.arange(7)), (-1, [1, 2, 3, 4, 5, 6, 7]), (np.zeros(5, bool), 3), (np.zeros(0, int), 3), ((slice(1, 3), None, 2), 1), (True, 8),
    (np.int64(2), np.float64(1e-3)), (np.array(1), 2),
]


@pytest.mark.parametrize("number", range(len(STORES)))
@pytest.mark.parametrize("wrap", [False, True])
def test_stores(make, number, wrap):
    index, value = STORES[number]
    want = M.copy()
    want[index] = value
    a = make(M)
    late = a + 1
    a[wrapped(make, index) if wrap else index] = wrapped(make, value) if wrap else value
    np.testing.assert_array_equal(a.get(), want)
    np.testing.assert_array_equal(late.get(), M + 1)  # what was put off has seen the elements as they were


def test_values_that_read_the_array(make):
    a, want = make(M), M.copy()
    a[1:] = a[:-1]
    want[1:] = M[:-1]
    a[:, ::-1] = a * 2
    want[:, ::-1] = want.copy() * 2
    a[1:3] += 5
    want[1:3] += 5
    a[a > 3] = np.nan
    want[want > 3] = np.nan
    np.testing.assert_array_equal(a.get(), want)


def test_values_are_converted(make):
    a = make(np.arange(4))
    a[0], a[1], a[2:] = 2.75, np.float32(-1.5), asarray(np.array([True, False]))
    assert a.tolist() == [2, -1, 1, 0]
    with pytest.raises(OverflowError):
        make(np.arange(3, dtype=np.int8))[0] = 300


@pytest.mark.parametrize("index", [N, (slice(None), N[0]), (N[:, 0], 2), (N[:, 0], [1]), (Ellipsis, N[0]), N[:, 0], np.zeros(5, bool), np.zeros((5, 7), bool), [True, False, True, True, False]])
@pytest.mark.parametrize("wrap", [False, True])
def test_masks(make, index, wrap):
    got = make(M)[wrapped(make, index) if wrap else index]
    np.testing.assert_array_equal(got.get(), M[index])
    assert got.dtype == M.dtype and got.shape == M[index].shape


def test_places(make):
    a = make(M)
    for got, want in zip(a.nonzero() + arex.nonzero(a > 2) + np.where(a > 2), M.nonzero() + np.nonzero(M > 2) + np.nonzero(M > 2)):
        np.testing.assert_array_equal(got.get(), want)
        assert got.dtype == np.int64
    np.testing.assert_array_equal(np.flatnonzero(a).get(), np.flatnonzero(M))
    np.testing.assert_array_equal(np.argwhere(a > 2).get(), np.argwhere(M > 2))
    np.testing.assert_array_equal(np.compress([True, False, True], a, axis=1).get(), np.compress([True, False, True], M, axis=1))
    np.testing.assert_array_equal(np.extract(a > 2, a).get(), np.extract(M > 2, M))
    assert arex.flatnonzero(make(np.zeros(3))).shape == (0,) and arex.nonzero(make(np.zeros((0, 3))))[1].shape == (0,)


def test_copyto_where(make):
    a, want = make(M), M.copy()
    np.copyto(a, make(-M), where=make(N))
    np.copyto(want, -M, where=N)
    np.putmask(a, make(want < -4), 0)
    np.putmask(want, want < -4, 0)
    np.testing.assert_array_equal(a.get(), want)


@pytest.mark.parametrize("index, value, error", [
    (9, 1, IndexError), ((0, 0, 0), 1, IndexError), ("a", 1, IndexError), (1.5, 2, IndexError), (slice(0, 2), [1, 2, 3], ValueError), (0, "x", ValueError), (np.ones(4, bool), 1, IndexError),
    (np.zeros((5, 7), bool), [1, 2], ValueError), ([0, 9], 1, IndexError),
])
def test_errors(make, index, value, error):
    a = make(M)
    with pytest.raises(error):
        a[wrapped(make, index)] = value
    np.testing.assert_array_equal(a.get(), M)
    for mask in (np.ones(4, bool), np.ones((5, 8), bool), np.ones((5, 7, 1), bool)):
        with pytest.raises(IndexError):
            a[wrapped(make, mask)]


def test_read_only():
    x = np.arange(3.0)
    x.flags.writeable = False
    a = arex.from_dlpack(x) if int(np.__version__.split(".")[1]) >= 1 else arex.Array(STORED._Memory.of_host(x))
    with pytest.raises(arex.ArexError) as e:
        a[0] = 1
    assert e.value.code == "AX0309" and x[0] == 0


def test_everybody_sees_it():
    a = asarray(M)
    b, part = a, a[1]
    a[1] = 0
    assert not np.any(asnumpy(b)[1]) and np.array_equal(part.get(), M[1])  # a part is a value of its own
