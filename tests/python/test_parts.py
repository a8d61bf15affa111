"""Parts of arrays replaced (A[1:-1] = ...): NumPy's answer on every target to the bit, the right side as it was before; stencils step after step."""
import pathlib

import numpy as np
import pytest

import arex

SAMPLES = pathlib.Path(__file__).resolve().parents[2] / "samples"
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
v[1:] += v[:-1]; v[1:] += v[:-1]|a[0] = 1; a[-1] = a[0]; a[:, 0] = a[:, 1]|a[1:] = a[:-1]; a[:, 1:] = a[:, :-1]; a[0] = sum(a, 0)|w[1:-1] = 1; w = w * 2; w[::2] -= w[1::2]
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
           ("x[None] = 1", {"x": np.ones(4)}, None, "given by slices"), ("x[4] = 1", {"x": np.ones(4)}, None, "index 4"), ("(x + 1)[0] = 1", {"x": np.ones(4)}, None, "name"),
           ("x[0, 0] = 1", {"x": np.ones(4)}, None, "too many indices"), ("x[1:] = (1, 2, 3)", {"x": np.ones(4)}, None, "not by a tuple"),
           ("def f(v) { for i in range(3) { v[0] = 1 }\nreturn v }\nf(x)", {"x": np.ones(4)}, None, "works on one element"),
           ("def g(v) { v[0] = 1; return v }\ndef f(v) { for i in range(3) { v = g(v) }\nreturn v }\nf(x)", {"x": np.ones(4)}, None, "works on one element")]


@pytest.mark.parametrize("text,arrays,code,words", REFUSED)
def test_refused(text, arrays, code, words, targets):
    for t in targets:
        with pytest.raises(arex.ArexError, match=words) as e:
            arex.compile(text, target=t)(**arrays)
        assert code is None or code in str(e.value)


def sample(name):
    return (SAMPLES / f"{name}.arex").read_text()


@pytest.mark.parametrize("name,kernels", [("jacobi", 1), ("heat_plate", 1), ("heat_block", 1), ("heat_rod", 1), ("fdtd", 2)])
def test_one_nest_a_state_and_nothing_stored_between(name, kernels):
    rank = {"jacobi": 2, "heat_plate": 2, "heat_block": 3}.get(name, 1)
    f = arex.compile(sample(name), target="cpu")
    state = {"ez": np.ones(9), "hy": np.ones(8)} if name == "fdtd" else {"u": np.ones((9,) * rank)}
    f(**state, **({} if name == "jacobi" else {"c": 0.5} if name == "fdtd" else {"k": 0.1}))
    assert (f.stats()["kernels"], f.stats()["temporaries"]) == (kernels, 0)


def heat(u, k):
    inner, mid = u[(slice(1, -1),) * u.ndim].copy(), (slice(1, -1),) * u.ndim
    out, parts = u.copy(), []
    for d in range(u.ndim):
        parts.append(u[mid[:d] + (slice(None, -2),) + mid[d + 1:]] + u[mid[:d] + (slice(2, None),) + mid[d + 1:]])
    total = parts[0]
    for p in parts[1:]:
        total = total + p
    out[mid] = inner + k * (total - 2.0 * u.ndim * inner)
    return out


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_jacobi_step_after_step(dtype, targets):
    u = RNG.normal(size=(37, 131)).astype(dtype)
    f, states = sample("jacobi"), []
    for t in targets:
        step, now, then = arex.compile(f, target=t), u.copy(), np.empty_like(u)
        for _ in range(25):  # two arrays that trade places
            step(u=now, out=then)
            now, then = then, now
        states.append(now)
    want = u.copy()
    for _ in range(25):
        want[1:-1, 1:-1] = dtype(0.25) * (want[:-2, 1:-1] + want[2:, 1:-1] + want[1:-1, :-2] + want[1:-1, 2:])
    assert all(s.tobytes() == want.tobytes() for s in states)


def test_an_output_that_is_the_state_itself(targets):
    """In place, step by step: the answer as if it were not."""
    u = RNG.normal(size=(20, 33))
    for t in targets:
        step, now, want = arex.compile(sample("jacobi"), target=t), u.copy(), u.copy()
        for _ in range(5):
            step(u=now, out=now)
            want[1:-1, 1:-1] = 0.25 * (want[:-2, 1:-1] + want[2:, 1:-1] + want[1:-1, :-2] + want[1:-1, 2:])
        assert now.tobytes() == want.tobytes()


def test_heat_in_three_dimensions(targets):
    u = RNG.normal(size=(9, 10, 11))
    for t in targets:
        step, now, want = arex.compile(sample("heat_block"), target=t), u, u
        for _ in range(10):
            now, want = np.asarray(step(u=now, k=0.1)), heat(want, 0.1)
        np.testing.assert_allclose(now, want, rtol=1e-12, atol=1e-13)


def test_heat_in_one_dimension(targets):
    u = RNG.normal(size=301)
    for t in targets:
        now = np.asarray(arex.compile(sample("heat_rod"), target=t)(u=u, k=0.25))
        want = u.copy()
        for _ in range(2):
            want[1:-1] += 0.25 * (want[:-2] - 2.0 * want[1:-1] + want[2:])
        assert now.tobytes() == want.tobytes()


def test_fdtd_is_numpys(targets):
    e, h = np.exp(-((np.arange(201) - 100) / 9.0) ** 2), np.zeros(200)
    e[0] = e[-1] = 0
    for t in targets:
        step, a, b, want_e, want_h = arex.compile(sample("fdtd"), target=t), e, h, e.copy(), h.copy()
        for _ in range(40):
            a, b = (np.asarray(x) for x in step(ez=a, hy=b, c=0.5))
            want_h += 0.5 * (want_e[1:] - want_e[:-1])
            want_e[1:-1] += 0.5 * (want_h[1:] - want_h[:-1])
        assert a.tobytes() == want_e.tobytes() and b.tobytes() == want_h.tobytes()
