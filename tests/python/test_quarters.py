"""The sign of a quarter turn, (n << 30) & the sign bit, which AVX2 looks up; and the slow side of sin, cos and tan, asked for by n's bits, of all registers at once."""
import re

import numpy as np
import pytest

import arex

SIGNS = {"int32": "(n << 30) & -2147483648", "int64": "(n << 62) & (-9223372036854775807 - 1)"}
ARCHS = ("x86-64", "x86-64-v2", "x86-64-v3")


def assembly(source, types, arch="x86-64-v3"):
    return arex.compile(source).emit("asm", types=types, arch=arch, target="cpu")


@pytest.mark.parametrize("dtype", SIGNS)
def test_the_second_bit_is_the_sign(dtype, targets):
    t = np.dtype(dtype).type
    n = np.concatenate([np.arange(-70, 70), np.random.default_rng(1).integers(np.iinfo(t).min, np.iinfo(t).max, 500)]).astype(t)
    want = np.where(n & 2, np.iinfo(t).min, 0).astype(t)
    for k in (1, 3, 4, 7, 8, 9, 31, n.size):
        for source, expected in ((SIGNS[dtype], want[:k]), (f"({SIGNS[dtype]}) ^ n", want[:k] ^ n[:k])):
            for target in targets:
                assert arex.evaluate(source, dict(n=n[:k]), target=target).tolist() == expected.tolist()
            for arch in ARCHS:
                assert arex.evaluate(source, dict(n=n[:k]), target="cpu", arch=arch).tolist() == expected.tolist()


@pytest.mark.parametrize("source", ["(n << 29) & -2147483648", "(n << 30) & -1073741824", "(n << 31) & -2147483648", "(n >> 30) & -2147483648"])
@pytest.mark.parametrize("dtype", SIGNS)
def test_other_bits_are_not_looked_up(source, dtype):
    if dtype == "int64":
        source = re.sub(r"(29|30|31)\)", lambda m: f"{int(m[1]) + 32})", source).replace("-2147483648", "(-9223372036854775807 - 1)").replace("-1073741824", "-4611686018427387904")
    assert "vpermil" not in assembly(source, f"n={dtype}[:]")
    n = np.arange(-40, 40, dtype=dtype)
    assert arex.evaluate(source, dict(n=n), target="cpu", arch="x86-64-v3").tolist() == eval(source, {"n": n}).tolist()


@pytest.mark.parametrize("dtype, instruction", [("float32", "vpermilps"), ("float64", "vpermilpd")])
@pytest.mark.parametrize("function", ["sin", "cos"])
def test_avx2_looks_it_up(function, dtype, instruction):
    for source in (f"{function}(x)", f"sum({function}(x))"):
        assert instruction in assembly(source, f"x={dtype}[:]")
    assert instruction not in assembly(f"{function}(x)", f"x={dtype}[:]", "x86-64-v4") + assembly(f"{function}(x)", f"x={dtype}[:]", "x86-64-v2")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bits_of_all_registers_are_asked_at_once(dtype):
    text = assembly("sin(x)", f"x={dtype}[:]")
    first = text.index("vptest")
    usual = text[text.rindex("\n.LBB", 0, first):first]
    assert usual.count("vblendv") == 2 and usual.count("vpor\t") == 1 and not re.search("vpcmp|vcmp", usual)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("function", ["sin", "cos", "tan"])
def test_one_large_argument_in_any_place(function, dtype, targets):
    """Where n's bits leave their range, either side, and what is no number."""
    limit = (2.0**16 if dtype == "float32" else 2.0**23) * np.pi / 2
    for x in (limit * 0.9999, limit * 1.0001, -limit * 0.9999, -limit * 1.0001, 1e30, -1e30, np.inf, -np.inf, np.nan):
        v = np.linspace(-3, 3, 37).astype(dtype)
        want = arex.evaluate(f"{function}(v)", dict(v=v), target="reference")
        alone = arex.evaluate(f"{function}(v)", dict(v=np.array([x], dtype)), target="reference")
        for at in range(v.size):
            w, expected = v.copy(), want.copy()
            w[at], expected[at] = x, alone[0]
            for target in targets:
                assert arex.evaluate(f"{function}(v)", dict(v=w), target=target).tobytes() == expected.tobytes(), (x, at)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("function", ["sin", "cos", "tan"])
def test_no_large_argument_has_the_bits_of_a_small_one(function, dtype, fast, targets):
    """The sum of x, in units, with 2 and a little: by its sign, its exponent or its significand it is not between 2 and 2 and twice that little."""
    unit, little = (2.0**22, 2.0**-6) if dtype == "float32" else (2.0**51, 2.0**-21)
    near = np.linspace(-3 * little, 3 * little, 301)
    sums = np.concatenate([sign * (m + near) for sign in (1, -1) for m in (0, 1, 2, 4, 6, 8, 2.0**20, 2.0**60)])
    x = np.concatenate([(sums - 2 - little) * unit * turn for turn in (np.pi / 2, np.pi)]).astype(dtype)
    want = getattr(np, function)(x.astype(np.float64)).astype(dtype)
    for target in targets:
        got = arex.evaluate(f"{function}(x)", dict(x=x), target=target, fast=fast)
        assert np.all(np.abs(got.astype(np.float64) - want) <= 6 * np.spacing(np.abs(want)))


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("function", ["sin", "cos", "tan"])
def test_every_nan_gives_the_one_nan_and_zeros_keep_their_sign(function, dtype, fast, targets):
    bits = np.dtype(dtype.replace("float", "int"))
    nans = np.concatenate([np.array([np.nan, -np.nan, np.inf, -np.inf], dtype).view(bits), np.array([-1, np.iinfo(bits).max], bits)]).view(dtype)
    zeros = np.array([0.0, -0.0], dtype)
    for target in targets:
        got = arex.evaluate(f"{function}(x)", dict(x=nans), target=target, fast=fast)
        assert len(set(got.view(bits).tolist())) == 1 and np.isnan(got[0])
        assert arex.evaluate(f"{function}(x)", dict(x=zeros), target=target, fast=fast).tobytes() == getattr(np, function)(zeros).tobytes()
