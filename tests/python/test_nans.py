"""A nan has one form in results, whatever the form it came in and however it came about: every elementwise function, strict and fast."""
import itertools

import numpy as np
import pytest

import arex
from test_sweep import ROWS, spell

BITS = {"float32": (np.uint32, 0x7fc00000, [0x7fc00000, 0xffc00000, 0x7f800001, 0xff812345, 0x7fffffff]),
        "float64": (np.uint64, 0x7ff8 << 48, [0x7ff8 << 48, 0xfff8 << 48, (0x7ff << 52) + 1, (0xfff << 52) + 0x12345, (1 << 63) - 1])}
PLAIN = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, -7.0, 1e30, -1e30, 1e-40, np.inf, -np.inf]
PROGRAMS = [spell(r) for r in ROWS if r["on_float"] and r["name"] != "where"] + ["where(x > 0, y, z)"] + [f"{part}(complex(x, y) / complex(y, 2))" for part in ("real", "imag")]

ESTIMATES = ["x / y", "rsqrt(x)"]  # in fast mode they differ from one kind of processor to another


def nans(dtype):
    """Of both signs, quiet and signalling, with bits everywhere."""
    bits = np.arange(1, 64, dtype=np.uint32) * np.uint32(0x9e3779b1)
    if dtype == "float64":
        wide = bits.astype(np.uint64) << np.uint64(32) | bits[::-1].astype(np.uint64) | np.uint64(1)
        return (wide | np.uint64(0x7ff0000000000000)).view(np.float64)
    return (bits | np.uint32(0x7f800001)).view(np.float32)


def columns(dtype, arity):
    """All combinations of some, and each nan of many in every place; each row also padded by plain numbers to whole vectors, so that no other element makes a vector unusual."""
    word, _, few = BITS[dtype]
    some, many = np.concatenate([np.array(few, word).view(dtype), np.array(PLAIN, dtype)]), nans(dtype)
    rows = some[np.array(list(itertools.product(range(len(some)), repeat=arity))).T]
    rows = np.concatenate([rows] + [[many if k == place else np.resize(np.array(PLAIN, dtype), many.size) for k in range(arity)] for place in range(arity)], axis=1)
    lonely = np.full((*rows.shape, 64), 0.75, dtype)
    lonely[:, :, 5] = rows
    return [np.concatenate([row, padded.ravel()]) for row, padded in zip(rows, lonely)]


@pytest.mark.parametrize("fast", [False, True], ids=["strict", "fast"])
@pytest.mark.parametrize("dtype", BITS)
@pytest.mark.parametrize("program", PROGRAMS)
def test_one_nan(program, dtype, fast, targets):
    """The library's functions take the bits of numbers as they are: what a nan is made of must not show."""
    word, one, _ = BITS[dtype]
    want = None
    for target in targets:
        compiled = arex.compile(program, target=target, fast=fast)
        args = columns(dtype, len(compiled.inputs))
        if want is None or fast and program in ESTIMATES:
            want = compiled(*[np.where(np.isnan(a), np.array(one, word).view(dtype), a) for a in args])
            assert want.dtype != dtype or set(want[np.isnan(want)].view(word).tolist()) <= {one}
        assert compiled(*args).tobytes() == want.tobytes(), target


@pytest.mark.parametrize("dtype", BITS)
def test_what_is_no_nan_keeps_its_bits(dtype, targets):
    """Also subnormals, both zeros and infinities, in whole vectors and left over."""
    word, one, _ = BITS[dtype]
    info = np.finfo(dtype)
    words = np.random.default_rng(5).integers(0, 2**(8 * word().itemsize), 5000, word, endpoint=False)
    ends = np.array([*PLAIN, info.tiny, -info.tiny, info.max, -info.max, info.smallest_subnormal, -info.smallest_subnormal], dtype)
    x = np.concatenate([words.view(dtype), (words[:500] >> word(8 * word().itemsize - info.nmant)).view(dtype), np.tile(ends, 9), nans(dtype)])
    want = np.where(np.isnan(x), np.array(one, word).view(dtype), -x)
    for target in targets:
        assert arex.evaluate("-x", dict(x=x), target=target).tobytes() == want.tobytes(), target


@pytest.mark.parametrize("dtype", BITS)
def test_avx512_has_one_operation_for_it(dtype):
    emitted = {arch: arex.compile("x - y", target="cpu").emit("asm", types=f"x={dtype}[:], y={dtype}[:]", arch=arch) for arch in ("x86-64-v4", "x86-64-v3")}
    assert "vfixupimmp" in emitted["x86-64-v4"] and "%zmm" not in "".join(line for line in emitted["x86-64-v4"].splitlines() if "vcmpunordp" in line)
    assert "vfixupimmp" not in emitted["x86-64-v3"] and "vcmpunordp" in emitted["x86-64-v3"]
