"""Code for named levels of x86-64: the same bits with and without fma, rounding instructions and wide vectors; what is refused."""
import itertools
import pathlib
import subprocess

import numpy as np
import pytest

import arex

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LEVELS = ["x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4"]
FLAGS = pathlib.Path("/proc/cpuinfo").read_text().split("flags", 1)[-1].split("\n", 1)[0].split()
NEEDS = {"x86-64": [], "x86-64-v2": ["sse4_2", "popcnt"], "x86-64-v3": ["avx2", "fma", "f16c", "bmi2", "movbe"],
         "x86-64-v4": ["avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"]}
HERE = [level for level in LEVELS if all(flag in FLAGS for flag in NEEDS[level])]
CORPUS = (ROOT / "tests" / "onebits" / "selfcheck.txt").read_text()


@pytest.mark.parametrize("level", [level for level in HERE if level != "x86-64"])
def test_same_bits(command, level):
    got = subprocess.run([command, "selfcheck", "-t", "cpu", "--arch", level], capture_output=True, text=True, timeout=600)
    assert got.returncode == 0 and got.stdout == f"{len(CORPUS.splitlines())} programs agree, 0 differ\n", got.stdout + got.stderr


def bits(a):
    a = np.where(np.isnan(a), a.dtype.type(np.nan), a)
    return a.view(f"u{a.itemsize}")


def fma(a, b, c, **options):
    return bits(arex.evaluate("fma(a, b, c)", dict(a=a, b=b, c=c), **options))


def extremes(dtype):
    f, one = np.finfo(dtype), dtype(1)
    positive = [dtype(0), f.smallest_subnormal, 3 * f.smallest_subnormal, np.nextafter(f.tiny, dtype(0)), f.tiny, f.eps, np.sqrt(f.tiny), np.nextafter(one, dtype(0)),
                one, one + f.eps, dtype(1.5), dtype(3), 1 / f.eps, np.sqrt(f.max), f.max / 2, np.nextafter(f.max, dtype(0)), f.max, dtype(np.inf)]
    return np.array(positive + [-p for p in positive] + [np.nan], dtype)


@pytest.mark.parametrize("level", ["x86-64", "x86-64-v2"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fma_of_extremes(level, dtype):
    a, b, c = (np.array(v, dtype) for v in zip(*itertools.product(extremes(dtype), repeat=3)))
    assert np.array_equal(fma(a, b, c, target="cpu", arch=level), fma(a, b, c, target="reference"))


def random_cases(dtype, n, seed):
    """Products of all sizes, with c near them: half an ulp, cancelling, of the size of what the product rounds off, unrelated."""
    r, f = np.random.default_rng(seed), np.finfo(dtype)
    digits, low, high = f.nmant + 1, f.minexp - f.nmant, f.maxexp
    scaled = lambda e: np.ldexp((1 + r.random(n)) * np.where(r.random(n) < 0.5, -1, 1), e).astype(dtype)  # noqa: E731
    few = lambda v: np.where(r.random(n) < 0.3, np.ldexp(np.rint(np.ldexp(v, 9 - np.frexp(v)[1])), np.frexp(v)[1] - 9), v).astype(dtype)  # noqa: E731
    with np.errstate(all="ignore"):
        ea = r.integers(low // 2, high // 2, n)
        eb = np.clip(np.where(r.random(n) < 0.3, r.choice([low, low + digits, f.minexp, high], n) - ea + r.integers(-3, 3, n), r.integers(low // 2, high // 2, n)), low, high - 1)
        a, b = few(scaled(ea)), few(scaled(eb))
        product = a * b
        c = np.choose(r.integers(0, 5, n), [-product, np.nextafter(-product, dtype(0)), scaled(np.clip(ea + eb + r.integers(-2 * digits - 3, 2 * digits + 3, n), low, high - 1)),
                                            np.ldexp(dtype(1), np.clip(ea + eb + r.integers(-2 * digits, 2 * digits, n), low, high - 1)).astype(dtype), scaled(r.integers(low, high, n))])
        return a, b, c.astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fma_of_random_numbers(dtype):
    for seed in range(4):
        a, b, c = random_cases(dtype, 250_001, seed)
        want = fma(a, b, c, target="reference")
        got = fma(a, b, c, target="cpu", arch="x86-64-v2")
        bad = np.flatnonzero(got != want)
        assert bad.size == 0, [float(v[bad[0]]).hex() for v in (a, b, c)]
        with np.errstate(all="ignore"):
            assert np.mean(bits(a * b + c) != want) > 0.1  # cases that tell an fma from two roundings


def test_code_without_fma_calls_nothing():
    program = arex.compile("fma(x, y, 0.5) + sin(x) * tanh(y) + floor(x)")
    for types in ("x=float64[:], y=float64[:]", "x=float32[:], y=float32[:]"):
        for level in ("x86-64", "x86-64-v2"):
            text = program.emit("llvm", arch=level, types=types)
            assert "llvm.fma" not in text and "define internal" in text
            assert ("llvm.floor" in text) == (level == "x86-64-v2")
        assert "llvm.fma" in program.emit("llvm", arch="x86-64-v3", types=types)


def test_rounding_without_instructions():
    x = np.concatenate([np.array([0.0, -0.0, 0.3, 0.5, 0.7, 1.5, 2.5, 2**52 - 0.5, 2**52 + 1, 2**51 + 0.5, 1e300, 5e-324, np.inf]), np.random.default_rng(1).normal(0, 1e3, 1001)])
    x = np.concatenate([x, -x, [np.nan]])
    for dtype in (np.float32, np.float64):
        with np.errstate(over="ignore"):
            v = x.astype(dtype)
        for name in ("floor", "ceil", "trunc", "rint"):
            assert np.array_equal(bits(arex.evaluate(f"{name}(v)", target="cpu", arch="x86-64")), bits(getattr(np, name)(v))), name


def test_fast_mode_fuses_where_it_pays():
    f = lambda arch: arex.compile("x*y + 1", fast=True, arch=arch).emit("ir")  # noqa: E731
    assert "fma" in f("x86-64-v3") and "fma" not in f("x86-64-v2")


def test_the_option_reaches_code():
    """--arch and arch= choose the width of vectors, in what is emitted and in what runs."""
    for level, register in [("x86-64-v2", "%xmm"), ("x86-64-v3", "%ymm"), ("x86-64-v4", "%zmm")]:
        text = arex.compile("x*x + 1", arch=level).emit("asm", types="x=float32[:]")
        assert register in text and text == arex.compile("x*x + 1").emit("asm", types="x=float32[:]", arch=level)
    assert arex.evaluate("sum(x)", {"x": np.arange(9.0)}, arch="native") == 36
    again = arex.compile("x + 1", arch="x86-64-v2").__reduce__()
    assert again[1][1]["arch"] == "x86-64-v2"


@pytest.mark.parametrize("wrong", ["x86-64-v5", "znver4", "sm_90", "X86-64", "x86-64-v3,+avx512f", " native"])
def test_unknown(cli, wrong):
    with pytest.raises(arex.ArexError, match="AX0502"):
        arex.compile("x + 1", arch=wrong)
    got = cli("eval", "1 + 1", "-t", "cpu", "--arch", wrong)
    assert got.returncode == 2 and "AX0502" in got.stderr and "x86-64-v3" in got.stderr


@pytest.mark.skipif("x86-64-v4" in HERE, reason="this machine runs every level")
def test_not_of_this_machine(cli):
    got = cli("eval", "1 + x", "-i", "x=2", "-t", "cpu", "--arch", "x86-64-v4")
    assert got.returncode == 3 and "AX0509" in got.stderr
    assert "n0_main" in cli("emit", "--stage", "asm", "--arch", "x86-64-v4", "x + 1").stdout


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_each_use_of_a_constant_has_its_place(dtype):
    """AVX2: taken from memory by the operation that needs it, not loaded for two of them."""
    text = arex.compile("(x + 3.5) * (y - 3.5) + (x*y + 3.5)").emit("asm", types=f"x={dtype}[:], y={dtype}[:]", arch="x86-64-v3", target="cpu")
    wide = [line for line in text.splitlines() if "Lconstant" in line and "%ymm" in line]
    assert len(wide) >= 3 and not any("vmov" in line for line in wide), wide
