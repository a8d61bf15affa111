"""Complex types: NumPy's answers on every target, the same bits; special values as C99's annex G and the Array API standard have them."""
import re

import numpy as np
import pytest

import arex

RNG = np.random.default_rng(8)
SHAPES = {"z": (37,), "w": (37,), "x": (37,), "m": (5, 11), "t": (2, 3, 4), "o": (0, 3)}
SCOPE = {n: getattr(np, n) for n in "real imag conj abs angle exp log sqrt sum prod mean where cumsum sin cos sinh cosh var std isnan isinf isfinite square reciprocal concatenate stack flip roll "
         "diff dot complex64 complex128 float64 any all count_nonzero full zeros repeat tile transpose reshape expand_dims".split()}
SCOPE |= {"astype": lambda a, t: a.astype(t), "complex": lambda a, b: a + np.asarray(b) * a.dtype.type(1) * 1j, "norm": lambda a: np.sqrt(np.sum(np.abs(a) ** 2))}


def arrays_for(text, dtype):
    real, out = (np.float32 if dtype == np.complex64 else np.float64), {}
    for n, shape in SHAPES.items():
        if re.search(rf"\b{n}\b", text):
            x = RNG.normal(size=shape)
            out[n] = x.astype(real) if n == "x" else (x + 1j * RNG.normal(size=shape)).astype(dtype)
    return out


def everywhere(text, arrays, targets, **options):
    results = [np.asarray(arex.compile(text, target=t, **options)(**arrays)) for t in targets]
    assert all(r.tobytes() == results[0].tobytes() and r.shape == results[0].shape and r.dtype == results[0].dtype for r in results), text
    return results[0]


EXACT = """z + w|z - w|-z|+z|z + x|x - z|z + 1|2.5 - z|z * 2|conj(z)|real(z)|imag(z)|real(x)|imag(x)|conj(x)|z == w|z == z|z != w|z == real(z)|where(x > 0, z, w)|where(x > 0, z, x)|where(x > 0, 1j, z)
m.T|m[:, 1]|m[1:, ::2]|z[::-1]|m[0]|m[-1, 2]|z[3]|t[1, :, None]|concatenate((z, w))|stack((z, w), 1)|flip(m)|roll(z, 5)|diff(z)|repeat(z, 2)|tile(z, 2)|reshape(m, (11, 5))|transpose(t, (2, 0, 1))
isnan(z)|isinf(z)|isfinite(z)|complex(x, x)|complex64(x)|complex128(x)|complex128(z)|astype(z, complex64)|any(z)|all(z)|count_nonzero(z)|o + 1j|sum(o)|prod(o)|prod(o, 0)|sum(o, 1)|o * 2|x + 2j|1j + x""".replace("\n", "|").split("|")
NEAR = """z * w|z / w|z / x|x / z|1 / z|z * 1j + 3|abs(z)|angle(z)|angle(x)|exp(z)|log(z)|sqrt(z)|sqrt(z * z)|z ** 2|z ** 3|z ** 0.5|z ** w|2 ** z|z ** -1|z ** 1|sum(z)|sum(m, 0)|sum(m, 1)|sum(t, (0, 2))|sum(m, 1, keepdims=True)
mean(z)|mean(m, 1)|mean(m, 0, keepdims=True)|prod(z)|prod(m, 0)|prod(m, 1)|prod(t, (0, 2))|prod(t, 1, keepdims=True)|prod(m, keepdims=True)|prod(m)|cumsum(z)|cumsum(m, 0)|cumsum(m)|sin(z)|cos(z)|sinh(z)|cosh(z)
var(z)|var(m, 1)|std(m, 0)|square(z)|reciprocal(z)|dot(z, w)|norm(m)|sum(z * conj(z))|m - mean(m, 1, keepdims=True)|exp(1j * x)|abs(z - w) ** 2""".replace("\n", "|").split("|")


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("text", EXACT + NEAR)
def test_as_numpy(text, dtype, targets):
    arrays = arrays_for(text, dtype)
    got, want = everywhere(text, arrays, targets), np.asarray(eval(text, dict(SCOPE), arrays))
    assert got.shape == want.shape and got.dtype == want.dtype
    if text in EXACT:
        np.testing.assert_array_equal(got, want)
    else:
        tolerance = 4e-6 if dtype == np.complex64 else 1e-14
        np.testing.assert_allclose(got, want, rtol=4 * tolerance, atol=tolerance * max(1, np.abs(want).max(initial=0)))


REALS = [np.bool_, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64, np.float16, np.float32, np.float64, np.complex64, np.complex128]


@pytest.mark.parametrize("other", REALS)
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_promotion(dtype, other, targets):
    a, b = np.arange(4).astype(dtype), np.ones(4, other)
    for text in ("a + b", "b * a"):
        assert everywhere(text, {"a": a, "b": b}, targets).dtype == (a + b).dtype
    literal = everywhere("b * 1j", {"b": b}, targets)
    assert literal.dtype == (b * 1j).dtype
    np.testing.assert_array_equal(literal, b * 1j)
    scalar = everywhere("b * s", {"b": b, "s": 2 - 1j}, targets)
    assert scalar.dtype == (b * (2 - 1j)).dtype
    np.testing.assert_array_equal(scalar, b * (2 - 1j))


def specials(real):
    info = np.finfo(real)
    v = np.array([0.0, 1.0, np.inf, 3.5, 2.25, 0.5, 1e-3, info.max, info.tiny, info.smallest_subnormal, 88 if real == np.float32 else 709.5, 89.2 if real == np.float32 else 710.1], real)
    v = np.concatenate([v, -v, np.array([np.nan], real)])
    a, b = np.meshgrid(v, v)
    z = np.empty(a.size, np.complex64 if real == np.float32 else np.complex128)
    z.real, z.imag = a.ravel(), b.ravel()
    return z


@pytest.mark.parametrize("real", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["exp", "log", "sqrt", "abs", "angle", "sinh", "cosh"])
def test_special_values(name, real, targets):
    """Every pair of special parts, values and signs of zeros; but for signs that the standard leaves open: e**(-inf + i inf), and parts beside a nan."""
    z = specials(real)
    with np.errstate(all="ignore"):
        want = getattr(np, name)(z)
    got = everywhere(f"{name}(z)", {"z": z}, targets)
    got, want = (x.view(real).reshape(len(z), -1) for x in (got, want))
    open_sign = np.isnan(z.real) | np.isnan(z.imag) | (np.isinf(z.real) & np.isinf(z.imag))
    if name in ("sinh", "cosh"):
        open_sign |= ~np.isfinite(z.imag)
    value = np.isclose(got, want, rtol=1e-5 if real == np.float32 else 1e-12, atol=np.finfo(real).smallest_subnormal, equal_nan=True)
    value |= open_sign[:, None] & (np.abs(got) == np.abs(want))
    sign = (np.signbit(got) == np.signbit(want)) | np.isnan(want) | open_sign[:, None]
    bad = np.where(~(value & sign).all(1))[0]
    assert not len(bad), [(z[i], got[i], want[i]) for i in bad[:5]]


@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_division_at_the_ends(real, targets):
    """Parts that are no numbers, and divisors of 0: as NumPy. Numbers of any size: the quotient, with no over- or underflow on the way."""
    info = np.finfo(real)
    v = np.array([0.0, 1.0, np.inf, 3.5, 0.5, info.max, info.tiny, info.smallest_subnormal], real)
    v = np.concatenate([v, -v, np.array([np.nan], real)])
    parts = np.array(np.meshgrid(v, v, v, v)).reshape(4, -1).astype(real)
    a, b = (np.ascontiguousarray(parts[k:k + 2].T).view(np.result_type(real, np.complex64)).ravel() for k in (0, 2))
    got = everywhere("a / b", {"a": a, "b": b}, targets)
    with np.errstate(all="ignore"):
        want = a / b
        odd = ~np.isfinite(a) | ~np.isfinite(b) | (b == 0)
        g, w = got[odd].view(real), want[odd].view(real)
        assert ((g == w) & (np.signbit(g) == np.signbit(w)) | np.isnan(g) & np.isnan(w)).all()
        exact = a[~odd].astype(np.clongdouble) / b[~odd].astype(np.clongdouble)  # of more digits and a wider range
    if np.finfo(np.longdouble).maxexp > 1024:
        size = np.abs(exact)
        here = (size < info.max) & (size >= info.tiny)
        assert here.sum() > 1000 and (np.abs(got[~odd][here] - exact[here]) <= 4.5 * info.eps * size[here]).all()


def test_log_near_one(targets):
    """|z| near 1: log|z| keeps its digits."""
    rng = np.random.default_rng(1)
    z = np.exp(1j * rng.uniform(-np.pi, np.pi, 2000)) * (1 + rng.normal(size=2000) * 10.0 ** rng.uniform(-16, -1, 2000))
    got = everywhere("log(z)", {"z": z}, targets).real
    exact = np.array([_log_size(v) for v in z])
    assert (np.abs(got - exact) <= 1e-14 * np.abs(exact)).all()


def _log_size(v):
    from fractions import Fraction
    size = Fraction(v.real) ** 2 + Fraction(v.imag) ** 2 - 1  # exact; log1p of it by its series or by floats
    return 0.5 * np.log1p(float(size))


@pytest.mark.parametrize("view", ["z[::-1]", "z[::2]", "z[1::3]", "m.T", "m[:, ::-1]", "m[::2, 1]", "broadcast", "fortran"])
def test_strided_arguments_and_outputs(view, targets):
    z, m = (RNG.normal(size=24) + 1j * RNG.normal(size=24)), (RNG.normal(size=(4, 6)) + 1j * RNG.normal(size=(4, 6)))
    a = np.broadcast_to(z, (3, 24)) if view == "broadcast" else np.asfortranarray(m) if view == "fortran" else eval(view)
    np.testing.assert_array_equal(everywhere("a * 2 + 1j", {"a": a}, targets), a * 2 + 1j)
    for t in targets:
        big = np.zeros(tuple(2 * n for n in a.shape), complex)
        out = big[tuple(slice(None, None, 2) for _ in a.shape)]
        arex.compile("a * 2", target=t)(a=a, out=out)
        np.testing.assert_array_equal(out, a * 2)
        assert np.count_nonzero(big) == np.count_nonzero(out)


def test_functions_by_element(targets):
    """Mandelbrot's escape count over a complex plane; a complex name in a loop, in branches and in results."""
    c = (np.linspace(-2, 0.6, 31)[None, :] + 1j * np.linspace(-1.2, 1.2, 23)[:, None])
    text = "def escape(c) { z = 0j; n = 0\nwhile abs(z) <= 2 and n < 60 { z = z * z + c; n += 1 }\nreturn n, z }\nn, z = escape(c)\nreturn n"
    want = np.zeros(c.shape, np.int64)
    for i in np.ndindex(c.shape):
        z, n = 0j, 0
        while abs(z) <= 2 and n < 60:
            z, n = z * z + c[i], n + 1
        want[i] = n
    np.testing.assert_array_equal(everywhere(text, {"c": c}, targets), want)
    text = "def f(c) { if real(c) < 0 { r = conj(c) } else { r = c * 1j }\nfor k in range(3) { r = r + k }\nreturn r }\nf(c)"
    np.testing.assert_array_equal(everywhere(text, {"c": c}, targets), np.where(c.real < 0, c.conj(), c * 1j) + 3)


def test_loops_and_parts(targets):
    z = RNG.normal(size=9) + 1j * RNG.normal(size=9)
    want = z.copy()
    for k in range(4):
        want[1:-1] = 0.5 * (want[:-2] + want[2:])
        want[0] = 1j * k
    np.testing.assert_array_equal(everywhere("for k in range(4) { z[1:-1] = 0.5 * (z[:-2] + z[2:]); z[0] = 1j * k }\nreturn z", {"z": z}, targets), want)
    np.testing.assert_array_equal(everywhere("s = 0\nfor k in range(3) { s = s + z * 1j }\nreturn s", {"z": z}, targets), z * 1j + z * 1j + z * 1j)
    np.testing.assert_array_equal(everywhere("z[i]", {"z": z, "i": np.array([3, -1, 0])}, targets), z[[3, -1, 0]])


def test_sums_have_one_answer(targets):
    z = (RNG.normal(size=70001) + 1j * RNG.normal(size=70001)).astype(np.complex64)
    total = everywhere("sum(z)", {"z": z}, targets)
    assert total.real == everywhere("sum(x)", {"x": z.real.copy()}, targets) and total.imag == everywhere("sum(x)", {"x": z.imag.copy()}, targets)


REFUSED = [("z < w", "no order"), ("z // w", "not defined for complex"), ("z % 2", "not defined"), ("min(z)", "not defined"), ("maximum(z, w)", "no order"), ("argmax(z)", "not defined"), ("float64(z)", "real"),
           ("floor(z)", "not defined"), ("cumprod(z)", "not defined"), ("complex(z, z)", "complex already"), ("z & w", "not defined"), ("x[1:] = z[1:]; x", "keeps its type"),
           ("where(z, 1, 2)", "condition must be bool"), ("z if z else w", "bool"), ("bits(z)", "takes floats"), ("cbrt(z)", "not defined")]


@pytest.mark.parametrize("text,words", REFUSED)
def test_refused(text, words, targets):
    arrays = arrays_for(text, np.complex128)
    for t in targets:
        with pytest.raises(arex.ArexError, match=words):
            program = arex.compile(text, target=t)
            program.launch(1, 32, *arrays.values()) if text.startswith("kernel") else program(**arrays)


@pytest.mark.parametrize("value", [np.complex64(1 - 2j), np.array([1 + 2j, -3.25 - 4e-5j]), np.array([[1j, 2], [3, 4j]], np.complex64), np.array([np.nan + 1j, complex(0, np.inf)]), np.array([], complex)])
def test_command_prints_as_numpy(value, cli, tmp_path):
    np.save(tmp_path / "z.npy", value)
    run = cli("eval", "z", "-i", f"z={tmp_path / 'z.npy'}")
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith(str(value)), run.stdout
    out = tmp_path / "out.npy"
    assert cli("eval", "conj(z)", "-i", f"z={tmp_path / 'z.npy'}", "-o", out).returncode == 0
    np.testing.assert_array_equal(np.load(out), np.conj(value))


@pytest.mark.parametrize("text,want", [("2j", "2j"), ("1+2j", "(1+2j)"), ("-1.5-3e2j", "(-1.5-300j)"), (".5j", "0.5j")])
def test_command_reads_numbers(text, want, cli):
    run = cli("eval", "z + 0", "-i", f"z={text}")
    assert run.returncode == 0 and complex(run.stdout.strip()) == complex(want), run.stdout + run.stderr


def test_arex_arrays():
    z = RNG.normal(size=5) + 1j * RNG.normal(size=5)
    a = arex.asarray(z)
    assert a.dtype == np.complex128
    np.testing.assert_array_equal(np.asarray(a * 2 + 1j), z * 2 + 1j)
    np.testing.assert_array_equal(np.asarray(np.conj(a)), z.conj())
    np.testing.assert_array_equal(np.asarray(a.real + a.imag), z.real + z.imag)
    np.testing.assert_array_equal(np.asarray(a.conj() - np.imag(a)), z.conj() - z.imag)
    np.testing.assert_allclose(np.asarray(arex.exp(a)), np.exp(z), rtol=1e-14)
