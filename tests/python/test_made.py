"""Arrays that @jit functions make before they store to them: what Python itself computes, and clear refusals."""
import pickle

import numpy as np
import pytest

from arex import jit, prange

RNG = np.random.default_rng(3)
X = RNG.normal(size=129)
M = RNG.normal(size=(7, 5))
SCALE, WIDTH = 3, 4


def halves(x):
    out = np.zeros(len(x))
    for i in range(len(x)):
        out[i] = x[i] / 2
    return out


def smooth(x, width):
    n = len(x)
    out = np.empty_like(x)
    for i in prange(n):
        total = 0.0
        count = 0
        for k in range(max(0, i - width), min(n, i + width + 1)):
            total += x[k]
            count += 1
        out[i] = total / count
    return out


def transposed(m):
    rows, columns = m.shape
    out = np.zeros((columns, rows), dtype=np.float32)
    for i in range(rows):
        for j in range(columns):
            out[j, i] = m[i, j] * SCALE
    return out


def histogram(x, bins):
    counts = np.zeros(bins + 1, np.int64)
    edges = np.full(bins + 1, -1.0)
    low, high = -4.0, 4.0
    for k in range(bins + 1):
        edges[k] = low + (high - low) * k / bins
    for i in range(x.size):
        k = int((x[i] - low) / (high - low) * bins)
        if 0 <= k < bins:
            counts[k] += 1
    return counts, edges


def primes(n):
    """The sieve of Eratosthenes."""
    half = n + 1
    sieve = np.ones(half, dtype=np.bool_)
    sieve[0] = False
    sieve[1] = False
    for i in range(2, half):
        if sieve[i]:
            for j in range(i * i, half, i):
                sieve[j] = False
    return sieve


def with_scratch(x):
    scratch = np.zeros(WIDTH)
    out = np.zeros_like(x)
    for i in range(len(x)):
        scratch[i % WIDTH] = x[i]
        out[i] = scratch[0] + scratch[1] + scratch[2] + scratch[3]
    return out


def neighbours(u, rounds):
    out = np.zeros_like(u)
    total = np.ones(len(u))
    for k in range(rounds):
        out[1:-1] = u[:-2] + u[2:] + out[1:-1] * k
        total[:] = total * 2 + out
    return total, out


CASES = [(neighbours, (X, 3)), (halves, (X,)), (smooth, (X, 3)), (transposed, (M,)), (histogram, (X, 10)), (primes, (100,)), (with_scratch, (X,))]


@pytest.mark.parametrize("function, args", CASES, ids=lambda v: getattr(v, "__name__", ""))
def test_python_gives_the_same(function, args):
    found, wanted = jit(function)(*args), function(*args)
    for a, b in zip(found if isinstance(found, tuple) else (found,), wanted if isinstance(wanted, tuple) else (wanted,)):
        assert a.dtype == b.dtype and a.shape == b.shape
        assert np.array_equal(a, b)


def test_every_call_has_arrays_of_its_own():
    f = jit(halves)
    first, second = f(X), f(2 * X)
    assert np.array_equal(first, X / 2) and np.array_equal(second, X)
    assert f(np.ones(3)).shape == (3,)


def test_a_number_from_outside_is_what_it_is_now():
    global WIDTH
    f = jit(with_scratch)
    try:
        WIDTH = 5
        with_five = f(X)
        assert np.array_equal(with_five, with_scratch(X))
    finally:
        WIDTH = 4
    assert np.array_equal(f(X), with_scratch(X)) and not np.array_equal(f(X), with_five)


def test_by_value_to_another_process():
    def local(x):
        out = np.zeros(len(x) + SCALE)
        for i in range(len(x)):
            out[i + SCALE] = x[i]
        return out

    again = pickle.loads(pickle.dumps(jit(local)))
    assert np.array_equal(again(X), local(X))


def changes_what_the_shape_hangs_on(n):
    n = n + 1
    out = np.zeros(n)
    for i in range(n):
        out[i] = i
    return out


def counts_first(x):
    n = 0
    for i in range(len(x)):
        if x[i] > 0:
            n += 1
    out = np.zeros(n)
    for i in range(n):
        out[i] = x[i]
    return out


def hangs_on_what_is_stored(x):
    for i in range(len(x)):
        x[i] = i
    out = np.zeros(int(x[0]))
    out[0] = 1.0
    return out


def made_twice(n):
    out = np.zeros(n)
    out = np.ones(n)
    for i in range(n):
        out[i] = i
    return out


def made_in_a_loop(x):
    for i in range(len(x)):
        row = np.zeros(3)
        row[0] = x[i]
    return x[0]


REFUSED = [changes_what_the_shape_hangs_on, counts_first, hangs_on_what_is_stored, made_twice, made_in_a_loop]


@pytest.mark.parametrize("function", REFUSED, ids=lambda f: f.__name__)
def test_what_cannot_be_is_told_with_its_line(function):
    with pytest.raises(SyntaxError, match=rf"test_made.py:\d+: in {function.__name__}: .*cannot be translated"):
        jit(function)
