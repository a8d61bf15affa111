"""Parts of arrays replaced (A[1:-1] = ...): NumPy's answer on every target to the bit, the right side as it was before."""
import numpy as np
import pytest

import arex

RNG = np.random.default_rng(12)
ARRAYS = {"a": RNG.normal(size=(5, 6)), "v": RNG.integers(-99, 99, 4103), "f": np.asfortranarray(RNG.normal(size=(7, 3)).astype(np.float32)), "h": RNG.normal(size=9).astype(np.float16),
          "b": RNG.random(12) < 0.5, "t": RNG.normal(size=(3, 4, 5)), "w": RNG.normal(size=4), "z": np.zeros((0, 3)), "o": np.ones((1, 1))}
CASES = """
a[1:-1] = 0|a[1:-1, 1:-1] = 2.5|a[2] = a[3]|a[-1] = a[0]|a[:, 1] = a[:, 4]|a[:, -2] *= 2.0|a[2, 3] = 7|a[...] = a + 1|a[..., 2] = 5|a[:] = 3|a[3] = 2|a[1:3, ::2] = 9
a[::-1] = a * 2|a[:, ::-1] = a|a[3:0:-1] = a[1:4]|a[::2, 1::3] = a[:3, :2]|a[-2:-5:-2, :] -= 1|a[4:1] = 8|a[99:] = 8|a[-99:2] = 1|a[:99] = 1|a[:-99] = 1|a[99::-1] = a|a[:99:-1] = 1|a[-99::-1] = 1|a[3::-2] = a[:2]
v[1:-1] = v[:-2]|v[1:] = v[:-1]|v[:-1] = v[1:]|v[::-1] = v|v[::7] = 0|v[5::-1] = v[:6]|v[::-5] += 1|v[1:-1] = (v[:-2] + v[2:]) // 2|v[4000:] = v[:103]|v[0] = sum(v)|v[2:] -= max(v)|v[-1:] = 3|v[:1] = v[-1:]
f[1:-1, 1:-1] = f[:-2, 1:-1] + f[2:, 1:-1]|f[:, 0] = f[:, 1]|f[::2] = 1.5|f[1:] = f[0]|f[1:] = f[:1]|f[:, 1:] = f[:, :1]|f[:, 1:] = f[0, 1:]
h[1:-1] = h[:-2] * h[2:]|h[::3] += 0.5|b[1:] = b[:-1]|b[::2] = True
t[1:-1, 1:-1, 1:-1] = 0|t[0] = t[1]|t[..., 0] = t[..., -1]|t[1, :, 2] = w|t[:, 1] = t[0, 1]|t[:, :, 1:3] = t[0, :, 2:4]|t[1] = t[1] - mean(t[1])|t[:, 0, :] = t[:, 3, :]
z[1:] = 1|z[:, 1:] = 2|z[:, 0] = 3|o[0] = 2|o[1:] = 4|o[1:-1, 1:-1] = o[:-2, 1:-1]|o[::-1] = o + 1
v[1:] += v[:-1]; v[1:] += v[:-1]|w[None] = 1|a[:, None, 2] = w[0]|v[None, 1:-1, None] = v[2:, None]|a[0] = 1; a[-1] = a[0]; a[:, 0] = a[:, 1]|a[1:] = a[:-1]; a[:, 1:] = a[:, :-1]; a[0] = sum(a, 0)|w[1:-1] = 1; w = w * 2; w[::2] -= w[1::2]
""".strip().replace("\n", "|").split("|")


def everywhere(text, arrays, targets):
    results = [np.asarray(arex.compile(text, target=t)(**arrays)) for t in targets]
    assert all(r.tobytes() == results[0].tobytes() and r.shape == results[0].shape and r.dtype == results[0].dtype for r in results), text
    return results[0]


@pytest.mark.parametrize("text", CASES)
def test_as_numpy(text, targets):
    name = text[0]
    arrays = {n: x.copy() for n, x in ARRAYS.items() if f"{n}[" in text or (n == "w" and "= w" in text)}
    before = {n: x.copy() for n, x in arrays.items()}
    got = everywhere(text, arrays, targets)
    assert all(np.array_equal(arrays[n], before[n]) for n in arrays)  # an input is not changed, its name is bound again
    scope = {"sum": np.sum, "max": np.max, "mean": np.mean, **before}
    exec(text, scope)
    want = scope[name]
    assert got.dtype == want.dtype and got.shape == want.shape
    if "mean" in text or "sum(a" in text:
        np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-14)
    else:
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 63, 64, 65])
def test_short_arrays(n, targets):
    """What is clamped to nothing replaces nothing; one compiled program for all lengths."""
    x = RNG.normal(size=n)
    for part, rest in [("1:-1", "x[1:-1] * 2"), ("2:", "7"), (":-3", "x[3:]"), ("::-2", "x[::2]"), ("-2::-1", "5"), ("5:2:-1", "1")]:
        want = x.copy()
        exec(f"x[{part}] = {rest}", {"x": want})
        np.testing.assert_array_equal(everywhere(f"x[{part}] = {rest}", {"x": x}, targets), want)


def test_in_functions_and_outputs(targets):
    text = "def edge(v, by=0.0) { v[0] = by; v[-1] = by; return v }\ny = edge(x)\nz = edge(x, 2.0)\nreturn x, y, z, sum(y)"
    x = np.array([1.0, 2.0, 3.0])
    for t in targets:
        got = [np.asarray(r) for r in arex.compile(text, target=t)(x)]
        np.testing.assert_array_equal(got[0], x)
        np.testing.assert_array_equal(got[1], [0, 2, 0])
        np.testing.assert_array_equal(got[2], [2, 2, 2])
        assert got[3] == 2


REFUSED = [("x[1:] = 2.5", {"x": np.arange(4)}, "AX0203", "keeps its type"), ("x[1:] = y", {"x": np.ones(4, np.float32), "y": np.ones(3)}, "AX0203", "keeps its type"),
           ("x[1:] = y", {"x": np.ones(4), "y": np.ones((1, 3))}, None, "does not broadcast"), ("x[1:3] = y", {"x": np.ones(4), "y": np.ones(3)}, None, "broadcast"),
           ("x[:1] = y", {"x": np.ones(4), "y": np.ones(3)}, None, "does not broadcast to the part"), ("x[i] = 1", {"x": np.ones(4), "i": np.array([1, 2])}, None, "given by slices"),
           ("x[4] = 1", {"x": np.ones(4)}, None, "index 4"), ("(x + 1)[0] = 1", {"x": np.ones(4)}, None, "name"),
           ("x[0, 0] = 1", {"x": np.ones(4)}, None, "too many indices"), ("x[1:] = (1, 2, 3)", {"x": np.ones(4)}, None, "not by a tuple"),
           ("def f(v) { for i in range(3) { v[0] = 1 }\nreturn v }\nf(x)", {"x": np.ones(4)}, None, "works on one element"),
           ("def g(v) { v[0] = 1; return v }\ndef f(v) { for i in range(3) { v = g(v) }\nreturn v }\nf(x)", {"x": np.ones(4)}, None, "works on one element")]


@pytest.mark.parametrize("text,arrays,code,words", REFUSED)
def test_refused(text, arrays, code, words, targets):
    for t in targets:
        with pytest.raises(arex.ArexError, match=words) as e:
            arex.compile(text, target=t)(**arrays)
        assert code is None or code in str(e.value)
