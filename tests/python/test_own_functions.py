"""Functions that a user writes work as the library's do: the library's own files, as a user's program, give the same bits on all targets."""
import pathlib
import re

import numpy as np
import pytest

import arex

MATH = pathlib.Path(__file__).resolve().parents[2] / "runtime" / "math"
RNG = np.random.default_rng(11)
CASES = [("trig.arex", "sin"), ("trig.arex", "cos"), ("trig.arex", "tan"), ("exp.arex", "exp"), ("exp.arex", "expm1"), ("roots.arex", "cbrt")]


def values(dtype):
    """Usual numbers, and enough large ones for what is `rarely` computed."""
    x = np.concatenate([RNG.normal(size=301) * 8, RNG.normal(size=40) * 1e20, [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, 1e-310]])
    with np.errstate(all="ignore"):
        return x.astype(dtype)


def of_type(text, dtype):
    """The library finds NAME_float32 or NAME_float64 for NAME by what it is given; a user's program does not."""
    typed = set(re.findall(r"def (\w+)_float32\(", text)) - set(re.findall(r"def (\w+)\(", text))
    return re.sub(rf"\b({'|'.join(sorted(typed))})\(", rf"\1_{dtype}(", text)


@pytest.mark.skipif(not MATH.exists(), reason="the library's text is not in a bundle")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("file, name", CASES)
def test_the_librarys_text(file, name, dtype, targets):
    x = values(dtype)
    signs = [line for line in (MATH / "basic.arex").read_text().splitlines() if line.startswith("def with_sign_")]
    own = "\n".join(["def tame_divide(a, b) = a / b", "def tame_sqrt(a) = sqrt(a)", "def larger_size(a, b) = where(abs(a) > abs(b), abs(a), abs(b))",
                     "def smaller_size(a, b) = where(abs(a) > abs(b), abs(b), abs(a))", "def tame_scale(a, b, c) = a * exp2(b)", *signs, of_type((MATH / file).read_text(), dtype), f"{name}_{dtype}(x)"])
    want = arex.evaluate(f"{name}(x)", dict(x=x), target="cpu")
    for target in targets:
        got = arex.evaluate(own, dict(x=x), target=target)
        assert got.dtype == x.dtype and got.tobytes() == want.tobytes(), target
    assert arex.evaluate(own, dict(x=x), target="cpu", arch="x86-64-v2").tobytes() == want.tobytes()  # fma by other means


def test_an_own_function_takes_the_place_of_the_librarys(targets):
    x = values("float64")[:99]
    text = "def sin(x) = x * 2\ndef twice(x) = sin(sin(x))\ntwice(x), cos(x)"
    for target in targets:
        got = arex.evaluate(text, dict(x=x), target=target)
        np.testing.assert_array_equal(got[0], x * 4)
        assert got[1].tobytes() == arex.evaluate("cos(x)", dict(x=x), target="cpu").tobytes()  # the library's cos does not see the own sin
        assert arex.evaluate("def exp(x) = x\ntanh(x)", dict(x=x), target=target).tobytes() == arex.evaluate("tanh(x)", dict(x=x), target="cpu").tobytes()


def test_rarely_bits_and_fma(targets):
    """The slow side is computed for the elements that need it alone, and the same everywhere."""
    text = """def halley(x) {
        r = frombits(bits(abs(x)) // 3 + 709921077, float32)
        c = r * r * r
        return copysign(r * fma(abs(x), 2, c) / fma(c, 2, abs(x)), x)
    }
    def root(x) = rarely(~((abs(x) > 1e-30) & (abs(x) < 1e30)), cbrt(x), halley(x))
    """
    x = values("float32")
    got = [arex.evaluate(text + "root(x)", dict(x=x), target=t) for t in targets]
    assert all(g.tobytes() == got[0].tobytes() for g in got)
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(got[0], np.cbrt(x), rtol=2e-3)
    rare = ~((np.abs(x) > 1e-30) & (np.abs(x) < 1e30))
    assert got[0][rare].tobytes() == arex.evaluate("cbrt(x)", dict(x=x), target="cpu")[rare].tobytes() and rare.any()
