"""numexpr's functions: what it would give, and its arguments."""
import threading

import numpy as np
import pytest

import arex as ne

a = np.arange(10.0)
b = np.arange(10.0)[::-1]


def test_names_from_where_it_is_called():
    a = np.ones(10)  # hides the global one
    assert np.array_equal(ne.evaluate("a + 2*b"), 1 + 2 * b)
    assert np.array_equal(ne.evaluate("a + c", {"a": 1, "c": b}), 1 + b)
    assert np.array_equal(ne.evaluate("a + c", {"a": 1}, {"c": b}), 1 + b)
    with pytest.raises(ne.ArexError) as e:
        ne.evaluate("a + c", {"a": 1})
    assert e.value.code == "AX0304"


def test_pandas_style():
    assert np.array_equal(ne.evaluate("(a > 2) & (b < 6) | ~(a != 9)"), (a > 2) & (b < 6) | ~(a != 9))
    assert np.array_equal(ne.evaluate("where(a > 5, sqrt(a), -a)"), np.where(a > 5, np.sqrt(a), -a))


def test_out_and_casting():
    out = np.empty(10)
    assert ne.evaluate("a*2", out=out) is out and np.array_equal(out, a * 2)
    single = np.empty(10, np.float32)
    with pytest.raises(ne.ArexError) as e:
        ne.evaluate("a*2", out=single)
    assert e.value.code == "AX0309"
    assert ne.evaluate("a*2", out=single, casting="same_kind") is single and np.array_equal(single, a * 2)
    whole = np.empty(10, np.int64)
    assert ne.evaluate("a*2", out=whole, casting="unsafe").tolist() == (a * 2).tolist()
    with pytest.raises(ne.ArexError):
        ne.evaluate("a*2", out=np.empty(3))


def test_order():
    m = np.asfortranarray(np.arange(12.0).reshape(3, 4))
    assert ne.evaluate("m + 1").flags.f_contiguous and ne.evaluate("m + 1", order="C").flags.c_contiguous
    assert ne.evaluate("m + 1", order="F").flags.f_contiguous and not ne.evaluate("c + 1", {"c": m.copy("C")}).flags.f_contiguous
    assert all(r.flags.f_contiguous for r in ne.evaluate("m + 1, m * 2"))
    with pytest.raises(ne.ArexError):
        ne.evaluate("m + 1", order="X")


def test_re_evaluate():
    x = np.ones(3)
    assert ne.evaluate("x*3").tolist() == [3, 3, 3]
    x = np.zeros(2)
    assert ne.re_evaluate().tolist() == [0, 0] and ne.re_evaluate({"x": 2.0}) == 6
    failed = []

    def other():
        try:
            ne.re_evaluate()
        except ne.ArexError as e:
            failed.append(e.code)
    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert failed == ["AX0701"]


def test_validate():
    assert ne.validate("a + b") is None and np.array_equal(ne.re_evaluate(), a + b)
    assert ne.validate("a + ").code == "AX0106" and ne.validate("a + nothing").code == "AX0304"
    assert ne.validate("a + c", {"a": a, "c": np.ones(3)}).code == "AX0301"
    assert ne.validate("a*2", out=np.empty(10, np.int32)).code == "AX0309" and isinstance(ne.validate(3), TypeError)


def test_threads():
    before = ne.set_num_threads(1)
    one = ne.evaluate("sum(x*x)", {"x": np.random.default_rng(1).normal(size=100_003)})
    assert ne.set_num_threads(2) == 1
    assert ne.evaluate("sum(x*x)", {"x": np.random.default_rng(1).normal(size=100_003)}) == one
    assert ne.set_num_threads(before) == 2
    with pytest.raises(ne.ArexError):
        ne.set_num_threads(-1)


def test_numexprs_other_arguments():
    assert np.array_equal(ne.evaluate("a / 2", sanitize=True, truediv=True, optimization="none"), a / 2)
    assert np.array_equal(ne.evaluate("a / 2", None, None, None, "K", "safe", False), a / 2) and ne.validate("a / 2", sanitize=True) is None
    with pytest.raises(ne.ArexError, match="write //"):
        ne.evaluate("a / 2", truediv=False)
    before = ne.set_num_threads(1)
    assert ne.get_num_threads() == 1 and ne.set_num_threads(before) == 1 and ne.detect_number_of_cores() >= 1
    with pytest.raises(ne.ArexError, match="no texts in this language"):
        ne.evaluate('a == "x"')
    with pytest.raises(ne.ArexError, match="not supported"):
        ne.evaluate("a == s", {"a": a, "s": np.array(["x"] * 10)})
