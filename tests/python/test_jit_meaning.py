"""What translated functions mean, against Python itself: names that the language has too, what is left after loops, elements that trade
places, changes in place."""
import math

import numpy as np
import pytest

from arex import jit, vectorize
from arex.errors import ArexError


def words_of_the_language(pi, e, inf):
    nan = pi + e * inf
    return nan


def own_pi(x):
    e = math.pi
    pi = math.e
    return e * x + pi + math.pi


def types_as_names(float64, bool):
    int64 = float64 * 2
    return int64 + bool


def reserved(kernel, kernel_, param):
    return kernel - kernel_ * param


OUTER = 10.0
k = 5.0


def outer_names(outer_k):
    return outer_k + k


def after_loop(n):
    i = 7
    for i in range(n):
        pass
    return i


def after_broken_loop(x):
    i = -1
    for i in range(len(x)):
        if x[i] > 2:
            break
    return i


def before_and_after(n):
    total = 0
    i = 100
    for j in range(3):
        total += i
        for i in range(n):
            total += 1
    return total


def loop_twice(x):
    total = 0.0
    for i in range(len(x)):
        total += x[i]
    for i in range(len(x)):
        total += x[i] * i
    return total


def row_by_row(m):
    total = 0.0
    for i in range(m.shape[0]):
        for j in range(m.shape[1]):
            total += m[i][j] * (i + 1)
    return total


def axis_in_a_function_with_branches(m):
    top = np.max(m, 1)
    if True:
        bottom = np.min(m, 1)
    return top, bottom


def same_value(x):
    a = b = x * 2
    return a, b + 1


def columns(m):
    return sum(m)


def swap_names(a, b):
    a, b = b, a
    return a, b


X, M = np.arange(6.0), np.arange(12.0).reshape(3, 4)


@pytest.mark.parametrize("function, args", [
    (words_of_the_language, (1.0, 2.0, 3.0)), (own_pi, (1.0,)), (types_as_names, (1.5, 2)), (reserved, (1.0, 2.0, 3.0)), (outer_names, (1.0,)),
    (after_loop, (5,)), (after_loop, (0,)), (after_broken_loop, (X,)), (after_broken_loop, (X[:0],)), (before_and_after, (4,)), (before_and_after, (0,)),
    (loop_twice, (X,)), (row_by_row, (M,)), (row_by_row, (np.asfortranarray(M),)), (same_value, (2.0,)), (columns, (M,)), (columns, (X,)),
    (swap_names, (1.0, 2.0)), (axis_in_a_function_with_branches, (M,))], ids=lambda v: getattr(v, "__name__", ""))
def test_as_python(function, args):
    got, want = jit(function)(*args), function(*args)
    for g, w in zip(got, want) if isinstance(want, tuple) else [(got, want)]:
        np.testing.assert_array_equal(g, w)


def reverse(x):
    n = len(x)
    for i in range(n // 2):
        x[i], x[n - 1 - i] = x[n - 1 - i], x[i]
    return x


def first_two(x):
    x[0] = x[1] = 4.0


def fill_rows(m):
    for i in range(m.shape[0]):
        m[i][0] = i


@pytest.mark.parametrize("function, array", [(reverse, X), (reverse, X[:5]), (reverse, np.arange(12.0)[::2]), (first_two, X), (fill_rows, M),
                                             (fill_rows, np.asfortranarray(M))])
def test_in_place(function, array):
    ours, pythons = array.copy(order="K"), array.copy(order="K")
    jit(function)(ours)
    function(pythons)
    np.testing.assert_array_equal(ours, pythons)


def grow(x):
    x += 1
    return x


def test_augmented_arguments():
    assert jit(grow)(2) == 3
    with pytest.raises(ArexError, match="in place.*write x = x"):
        jit(grow)(X)  # NumPy would change the caller's array; a silent copy would be another answer
    np.testing.assert_array_equal(vectorize(grow)(X), X + 1)


def test_one_value_is_no_tuple():
    def one(x):
        return x,
    with pytest.raises(SyntaxError, match="a tuple of 1"):
        jit(one)


def test_sum_with_a_start():
    def start(x):
        return sum(x, 1)
    with pytest.raises(SyntaxError, match="start"):
        jit(start)


@jit
def scaled(a, by=2.0):
    return a * by


@jit
def exp(e):
    return np.exp(e) + 1


def make(sign):
    if sign > 0:
        @jit
        def helper(x):
            return x + 1.0
    else:
        @jit
        def helper(x):
            return x - 1.0
    return helper


up, down = make(1), make(-1)


@jit
def both(x):
    return up(down(x)) * 3 + down(x)


def test_helpers():
    @jit
    def f(x):
        return scaled(x) + scaled(x, by=3.0) + scaled(by=1.0, a=x)
    assert f(1.0) == 6
    assert exp(0.0) == 2  # a name of the language's own

    @jit
    def g(x):
        return exp(e=x) + np.exp(x)
    assert g(0.0) == 3
    assert both(1.0) == 3  # two functions of one name

    @jit
    def h(x):
        return both(x) + up(x)
    assert h(1.0) == 5
