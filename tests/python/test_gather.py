"""Indexing with arrays of integers: as NumPy, on all targets to the bit; indices out of range are told alike everywhere."""
import re

import numpy as np
import pytest

import arex

TARGETS = ["reference", "cpu"] + (["cuda"] if arex.device_count() else [])
RNG = np.random.default_rng(0)
GIVEN = {
    "a": RNG.normal(size=(5, 6, 7)), "b": RNG.normal(size=7), "v": RNG.normal(size=9).astype(np.float32),
    "i": RNG.integers(-5, 5, 4), "j": RNG.integers(-6, 6, (3, 4)), "k": RNG.integers(0, 7, (3, 1)).astype(np.uint8),
    "t": np.asfortranarray(RNG.integers(-9, 9, (7, 6), dtype=np.int8)), "w": RNG.integers(0, 2, 9).astype(bool),
    "l": RNG.integers(-9, 9, 5000), "n": RNG.integers(0, 5, 0), "u": np.array([0, 8], np.uint64), "one": RNG.normal(size=(1, 7)),
}
CASES = ["v[i]", "a[i]", "a[:, j]", "a[..., k]", "a[i, j]", "a[i, :, k]", "a[:, i, k]", "a[0, :, k]", "a[1:, ::-1][:, i]", "(a*b + 1)[i, :, 2]",
         "(a*b)[:, i, k]", "sum(a, 0)[i, k]", "sum(a[i])", "a[i, None, j]", "v[i]*v[i[::-1]]", "arange(10)[i]", "(a - mean(a))[i]", "a.T[k]",
         "a[i][..., k]", "v[argmax(v)]", "a[i, j][:, 1]", "v[1:][i]", "where(v[i] > 0, v[i], 0)", "(a > 0)[i, 0]", "v[::-1][i]", "a[i, 2, k]",
         "a[..., i, :]", "t[k]", "t[::-2, i]", "w[i]", "v[l]", "v[n]", "a[:, n]", "v[u]", "a[i, j, k]", "(a*one)[i, :, k]", "v[i % 5]",
         "arange(12)[::2][i]", "a[0, ..., i]", "sum(v[l])", "max(a[:, j], 1)", "a[:0][:, i]", "v[where(w, 1, -1)]", "v[[0, 3, -1]]", "v[[2]]", "a[[1, -1]]", "a[:, [4, 0, 0]]", "a[[0, 1], :, [5, -7]]", "a[i[:3], [0, 1, 2]]", "(a*b)[..., [1, 6]]", "a[1, [0, 2]][:, ::-1]"]


@pytest.mark.parametrize("case", CASES)
def test_as_numpy(case):
    scope = dict(GIVEN, **{f: getattr(np, f) for f in ["sum", "mean", "arange", "where", "argmax", "max"]})
    want = np.asarray(eval(case, scope))
    names = [n for n in dict.fromkeys(re.findall(r"\b[a-z]+\b", case)) if n in GIVEN]
    first = None
    for target in TARGETS:
        got = np.asarray(arex.compile(case, target=target)(**{n: GIVEN[n] for n in names}))
        assert got.shape == want.shape and got.dtype == want.dtype, target
        first = got if first is None else first
        assert got.tobytes() == first.tobytes(), target
    if want.dtype.kind == "f":
        np.testing.assert_allclose(first, want, rtol=1e-5)
    else:
        np.testing.assert_array_equal(first, want)


@pytest.mark.parametrize("program, i, message", [
    ("v[i]", [1, 9, -11], "index 9 is out of range for axis 0 with 9 elements"),
    ("v[i]", [1, -11, -10], "index -10 is out of range for axis 0 with 9 elements"),
    ("a[0, i]", [5, 6], "index 6 is out of range for axis 1 with 6 elements"),
    ("v[:0][i]", [0], "index 0 is out of range for axis 0 with 0 elements"),
    ("sum(v[i] * a[0, i, i])", [7], "index 7 is out of range for axis 1 with 6 elements"),
    ("def f(i) { s = 0.0; while i >= 0 { s += v[i]; i -= 1 }; return s }; f(i)", [8, 12], "index 12 is out of range for axis 0 with 9 elements"),
])
def test_out_of_range(program, i, message):
    names = [n for n in ["v", "a"] if re.search(rf"\b{n}\b", program)]
    for target in TARGETS:
        with pytest.raises(arex.ArexError, match=re.escape(message)) as e:
            arex.compile(program, target=target)(i=np.array(i), **{n: GIVEN[n] for n in names})
        assert e.value.code == "AX0312"


def test_what_is_not_selected_is_not_out_of_range():
    v, i = GIVEN["v"], np.arange(-12, 12)
    for target in TARGETS:
        got = arex.compile("where((i < 9) & (i >= -9), v[i], 0)", target=target)(v=v, i=i)
        np.testing.assert_array_equal(got, [v[k] if -9 <= k < 9 else 0 for k in i])
        got = arex.compile("def f(i) { if i < len(v) and i >= 0 { return v[i] }; return 0 }; f(i)", target=target)(v=v, i=i)
        np.testing.assert_array_equal(got, [v[k] if 0 <= k < 9 else 0 for k in i])


def test_loops_over_elements():
    v, a = GIVEN["v"], GIVEN["a"]
    s = np.float32(0)
    for x in v:
        s += x**2
    for target in TARGETS:
        assert arex.compile("def f(x) { s = 0.0; for i in range(len(x)) { s += x[i]**2 }; return s }; f(v)", target=target)(v=v) == s
        got = arex.compile("def trace(m) { s = 0.0; for i in range(min(shape(m, 1), shape(m, 2))) { s += m[0, i, i] }; return s }; trace(a)", target=target)(a=a)
        assert got == sum(a[0, i, i] for i in range(6))


@pytest.mark.parametrize("program, code", [("v[w]", "AX0203"), ("v[v]", "AX0203"), ("a[i, i, i, i]", "AX0212"), ("v[1:i]", "AX0211"),
                                           ("def f(i) { while i > 0 { i -= 1; a[i] }; return i }; f(i)", "AX0219")])
def test_errors(program, code):
    names = [n for n in GIVEN if re.search(rf"\b{n}\b", program)]
    with pytest.raises(arex.ArexError) as e:
        arex.compile(program, target="cpu")(**{n: GIVEN[n] for n in names})
    assert e.value.code == code, e.value
