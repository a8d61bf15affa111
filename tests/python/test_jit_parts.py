"""@jit functions over whole arrays that store to parts of their arguments, in loops or not: what Python does itself, to the bit, in the caller's arrays;
and where a name would be a view in Python, an error."""
import importlib.util
import pickle

import numpy as np
import pytest

import arex
from arex import jit, njit

RNG = np.random.default_rng(8)
FACTOR = 0.25


def insulated(u, rounds):
    for k in range(rounds):
        u[1:-1, 1:-1] = 0.25 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:])
        u[0] = u[1]
        u[-1] = u[-2]
        u[:, 0] = u[:, 1]
        u[:, -1] = u[:, -2]
    return u


def waves(e, h, c, rounds):
    """A step of each field after the other."""
    for k in range(rounds):
        h[:] += c * (e[1:] - e[:-1])
        e[1:-1] += c * (h[1:] - h[:-1])
        e[0] = np.sin(k * 0.1)
        before = e.copy()
        e[...] = e * 0.99 + before * 0.01


def once(u, v):
    half = u[:3] * 0.5
    u[::2] = v[::2] + FACTOR
    v[:3] -= half
    u[:] = u[::-1]
    return v, u


def nested(u, n):
    m = u.shape[0]
    for k in range(n):
        for j in range(1, n):
            u[1:] = u[:-1] * 0.5 + j
        u[1:-1] -= m
    return u


CASES = [(insulated, lambda: (RNG.random((9, 7)), 5)), (insulated, lambda: (RNG.random((3, 3)).astype("f"), 4)), (waves, lambda: (RNG.random(20), RNG.random(19), 0.3, 6)),
         (once, lambda: (RNG.random(8), RNG.random(8))), (nested, lambda: (RNG.random(6), 3)), (nested, lambda: (RNG.random(6), 0))]


@pytest.mark.parametrize("i", range(len(CASES)))
def test_as_python(i):
    function, make = CASES[i]
    args = make()
    ours, pythons = [[a.copy() if isinstance(a, np.ndarray) else a for a in args] for _ in range(2)]
    got, want = jit(function)(*ours), function(*pythons)
    for a, b in zip(ours, pythons):
        if isinstance(a, np.ndarray):
            np.testing.assert_array_equal(a, b) if function is not waves else np.testing.assert_allclose(a, b, rtol=1e-12)
    if want is None:
        assert got is None
        return
    for a, b in zip(got if isinstance(got, tuple) else (got,), want if isinstance(want, tuple) else (want,)):
        assert any(a is x for x in ours) and a.dtype == b.dtype


scale = 2.0


@njit
def scaled(u):
    u[1:] = u[:-1] * scale


@jit
def halved(x):
    return x * 0.5


@jit
def by_helper(u, n):
    for _ in range(n):
        u[1:-1] = halved(u[2:] + u[:-2])


def test_names_from_outside_and_helpers():
    global scale
    u = np.arange(4.0)
    scaled(u)
    assert u.tolist() == [0, 0, 2, 4]
    scale = -1.0
    scaled(u)
    assert u.tolist() == [0, 0, 0, -2]
    u = np.array([0.0, 0, 4])
    by_helper(u, 1)
    assert u.tolist() == [0, 2, 4]
    again = pickle.loads(pickle.dumps(scaled))
    assert again is scaled


def test_strided_and_read_only():
    base = np.arange(20.0)
    by_helper(base[::2], 2)
    want = np.arange(20.0)
    by_helper.py_func(want[::2], 2)
    np.testing.assert_array_equal(base, want)
    base.flags.writeable = False
    with pytest.raises(arex.ArexError):
        by_helper(base, 1)
    with pytest.raises(arex.ArexError, match="shares memory"):
        jit(once)(want, want[::-1])


REFUSED = {"a name for u, which changes": "w = u\n    u[1:] = 2", r"a name for u\[:3\]": "w = u[:3]\n    u[1:] = 2", r"a name for u.T": "w = u.T\n    u[1:] = 2", r"a name for u.reshape": "w = u.reshape(2, 2)\n    u[1:] = 2",
           "a name for u if": "w = u if n else 2\n    u[1:] = 2", "another array by the name": "u = u + 1\n    u[1:] = 2", "`if` in a function": "if n:\n        u[1:] = 2", "parts of arrays that trade places": "u[1:], u[0] = u[:-1], 1",
           "a return of a value": "u[1:] = 2\n    return u.sum()", "a return before the end": "for k in range(n):\n        u[1:] = 2\n        return u"}


@pytest.mark.parametrize("what", REFUSED)
def test_refused(what, tmp_path):
    file = tmp_path / "user.py"
    file.write_text(f"def f(u, n):\n    {REFUSED[what]}\n")
    spec = importlib.util.spec_from_file_location("user", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with pytest.raises(arex.ArexError, match=rf"user\.py:\d: in f: {what}.*cannot be translated"):
        jit(module.f)


def test_growing_in_place_is_refused():
    """Whether `h += 1` changes an array is known at the call."""
    @jit
    def f(u, h):
        h += 1
        u[1:] = u[:-1] + h
    u = np.zeros(3)
    f(u, 2)
    assert u.tolist() == [0, 3, 3]
    with pytest.raises(arex.ArexError, match="would change its argument `h` in place"):
        f(u, np.zeros(2))


def test_a_changing_index_is_told():
    @jit
    def f(u, n):
        for k in range(n):
            u[k] = u[k] + 1
            u[1:] = u[:-1]
    with pytest.raises(arex.ArexError, match="known when compiling"):
        f(np.zeros(4), 2)
