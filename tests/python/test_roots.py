"""sqrt rounds correctly for every kind of number; where AVX-512's code takes steps from an estimate, and that these round correctly whatever the estimate is."""
import math
import re

import numpy as np
import pytest

import arex

RNG = np.random.default_rng(17)


def near_middles(most):
    """All float64 of two binades whose root is n + 1/2 units in the last place, but for (j - 1/4) / (2 n + 1) of one, |j| <= most; with their root."""
    found = {}
    for j in range(-most, most + 1, 2):  # n (n + 1) + j is the square of n + 1/2 but for j - 1/4, and has to end in zeros enough to be a float's: n bit by bit
        for k in (52, 53):
            ns = {0, 1}
            for bit in range(1, k):
                ns = {n + more for n in ns for more in (0, 1 << bit) if (n + more) * (n + more + 1) + j & (2 << bit) - 1 == 0}
            for n in {n + more for n in ns for more in (0, 1 << k)}:
                x = n * (n + 1) + j
                if 1 << 52 <= n < 1 << 53 and x.bit_length() == k + 53:
                    found[math.ldexp(x >> k, k - 104)] = math.ldexp(n + (j > 0), -52)
    return np.array(list(found)), np.array(list(found.values()))


HARD, ROOTS = near_middles(96)


def bits(x):
    return x.view(f"u{x.itemsize}")


def test_near_middles():
    assert len(HARD) > 100
    for x, root in zip(HARD.tolist(), ROOTS.tolist()):
        n = int(math.ldexp(root, 52))
        assert (2 * n - 1)**2 < 4 * int(math.ldexp(x, 104)) < (2 * n + 1)**2


@pytest.mark.parametrize("power", [-1020, -968, -902, -900, -400, 0, 2, 900, 1020])
def test_near_the_middle_of_two_floats(power, targets):
    for target in targets:
        got = arex.evaluate("sqrt(x)", dict(x=np.ldexp(HARD, power)), target=target)
        assert got.tobytes() == np.ldexp(ROOTS, power // 2).tobytes(), target


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_kind_of_number(dtype, targets):
    t = np.dtype(dtype).type
    info = np.finfo(t)
    ends = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, -np.nan, info.max, -info.max, info.tiny, -info.tiny, info.smallest_subnormal, -info.smallest_subnormal, 1, 4], t)
    words = RNG.integers(0, 2**(8 * t().itemsize), 40000, np.dtype(f"u{t().itemsize}"), endpoint=False)
    around = (bits(np.array([2.0**e for e in (-900, -60, 0, 1, 2)], t))[:, None] + np.arange(-40, 41).astype(words.dtype)).ravel()
    x = np.concatenate([np.tile(ends, 5), words.view(t), around.view(t), (words[:1000] >> (8 * t().itemsize - info.nmant)).view(t)])
    with np.errstate(all="ignore"):
        want = np.sqrt(x)
    want[np.isnan(want)] = np.nan
    for source, expected in [("sqrt(x)", want), ("sqrt(x[::-1])", want[::-1]), ("sqrt(x[1:])", want[1:])]:
        for target in targets:
            assert arex.evaluate(source, dict(x=x), target=target).tobytes() == expected.tobytes(), (source, target)


STEPS = {"float32": "s = x * r\nh = r * 0.5\ne = fma(-s, h, 0.5)\na = fma(s, e, s)\nb = fma(h, e, h)\nfma(fma(-a, a, x), b, a)",
         "float64": "e = fma(-(x * r), r, 1.0)\nq = fma(r * e, fma(fma(e, 0.3125, 0.37500000337395814), e, 0.5), r)\na = x * q\nfma(fma(-a, a, x), q * 0.5, a)"}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_steps_round_correctly_whatever_the_estimate(dtype):
    t = np.dtype(dtype).type
    x = np.concatenate([HARD, 1 + RNG.random(4000) * 3, np.nextafter([1, 4, 2, 4], [2, 0, 1, 0])]).astype(t) if dtype == "float64" else \
        np.concatenate([1 + RNG.random(4000) * 3, np.nextafter(t([1, 4, 2, 4]), t([2, 0, 1, 0]))]).astype(t)
    steps = arex.compile(STEPS[dtype], target="cpu")
    for off in [-0.999, 0.999, *RNG.uniform(-1, 1, 40), *RNG.uniform(-1, 1, 40) * 1e-4, *RNG.uniform(-1, 1, 20) * 1e-9, 0.0]:
        r = (1 / np.sqrt(x.astype("float64")) * (1 + off * 2.0**-14)).astype(t)
        assert steps(x, r).tobytes() == np.sqrt(x).tobytes(), off


def code(source, dtype, arch="x86-64-v4"):
    names = sorted(set(re.findall(r"\b[xy]\b", source)))
    return arex.compile(source, target="cpu").emit("asm", types=", ".join(f"{n}={dtype}[:]" for n in names), arch=arch)


def roots_of(text):
    """Whole vectors' instructions: by estimates, and by the root's own."""
    return [len(re.findall(rf"\t{name}p[sd]\t[^\n]*%zmm", text)) for name in ("vrsqrt14", "vsqrt")]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_divider_is_shared(dtype):
    steps = 3 if dtype == "float64" else 1  # registers of a turn, beside one by the instruction
    assert roots_of(code("sqrt(x)", dtype)) == [steps, 1]
    assert roots_of(code("x * sqrt(x) + y", dtype)) == [steps, 1]
    assert roots_of(code("sum(sqrt(x))", dtype)) == ([6, 2] if dtype == "float64" else [5, 3])  # all lanes are one turn
    assert roots_of(code("sqrt(x) / (1 + sqrt(x))", dtype)) == [1, 0]  # quotients take the divider
    assert roots_of(code("sqrt(x)", dtype, "x86-64-v3")) == [0, 0] and "vsqrtp" in code("sqrt(x)", dtype, "x86-64-v3")
    busy = code("sqrt(exp(x) + log(y) * erf(x))", dtype)  # which has enough to do while it waits
    assert roots_of(busy)[0] == 0 and roots_of(busy)[1] > 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tame_ones_take_the_fewer_steps(dtype):
    text = code("hypot(x, y)", dtype)
    usual = text[:text.index("kortest")]
    registers = 4 if dtype == "float32" else 2
    assert roots_of(usual) == [1, registers - 1] and "vfixupimmp" not in usual
    assert usual.count("vrangep") == 2 * registers and "vandp" not in usual  # sizes are chosen without being made
    assert "vfixupimmp" in code("sqrt(x)", dtype)


def hypotenuses(t):
    """Pairs whose larger is twice the smaller, or nearly; whose sum of squares is a bit above 2, where an ulp is most; of any ratio."""
    digits = np.finfo(t).nmant
    a = 1 + RNG.random(6000)
    near = np.ldexp(RNG.integers(-3, 4, 6000), -digits) + RNG.choice([0, 1e-3], 6000) * RNG.random(6000)
    s = 1 + RNG.random(6000) * 0.4
    pairs = [(a, a / 2 + near), (a, a + near), (s, np.sqrt(np.maximum(2 + RNG.random(6000) * 0.02 - s * s, 1e-6))), (a, a * np.exp2(-30 * RNG.random(6000)))]
    x, y = (np.concatenate(v).astype(t) for v in zip(*pairs))
    return x * RNG.choice(t([1, -1]), x.size), y * RNG.choice(t([1, -1]), x.size)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("power", [0, 30, -40])
def test_hypot_is_good_to_nine_tenths_of_an_ulp(dtype, power, targets):
    """Exactly: the squares of the result less and more 0.9 ulps have the sum of squares between them."""
    t, digits = np.dtype(dtype).type, np.finfo(dtype).nmant
    x, y = hypotenuses(t)
    for target in targets:
        got = arex.evaluate("hypot(x, y)", dict(x=np.ldexp(x, power), y=np.ldexp(y, power)), target=target)
        for a, b, h in zip(x.tolist(), y.tolist(), np.ldexp(got.astype("float64"), -power).tolist()):
            a, b, h, ulp = (int(math.ldexp(v, 2 * digits + 40)) for v in (a, b, h, math.ldexp(1, math.frexp(h)[1] - 1 - digits)))
            assert (10 * h - 9 * ulp)**2 <= 100 * (a * a + b * b) <= (10 * h + 9 * ulp)**2, (a, b)
