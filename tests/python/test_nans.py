"""A nan has one form in results, whatever the form it came in and however it came about: every elementwise function, strict and fast."""
import itertools

import numpy as np
import pytest

import arex
from test_sweep import ROWS, spell

BITS = {"float32": (np.uint32, 0x7fc00000, [0x7fc00000, 0xffc00000, 0x7f800001, 0xff812345, 0x7fffffff]),
        "float64": (np.uint64, 0x7ff8 << 48, [0x7ff8 << 48, 0xfff8 << 48, (0x7ff << 52) + 1, (0xfff << 52) + 0x12345, (1 << 63) - 1])}
PLAIN = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, -7.0, 1e30, -1e30, 1e-40, np.inf, -np.inf]
PROGRAMS = [spell(r) for r in ROWS if r["on_float"] and r["arity"] < 3] + [f"{part}(complex(x, y) / complex(y, 2))" for part in ("real", "imag")]

ESTIMATES = ["x / y", "rsqrt(x)"]  # in fast mode they differ from one kind of processor to another


def columns(dtype, arity):
    """All combinations, each padded by plain numbers to whole vectors, so that no other element makes a vector unusual."""
    word, _, nans = BITS[dtype]
    some = np.concatenate([np.array(nans, word).view(dtype), np.array(PLAIN, dtype)])
    rows = np.array(list(itertools.product(range(len(some)), repeat=arity))).T
    lonely = [np.full((rows.shape[1], 64), 0.75, dtype) for _ in range(arity)]
    for k in range(arity):
        lonely[k][:, 5] = some[rows[k]]
    return [np.concatenate([some[rows[k]], lonely[k].ravel()]) for k in range(arity)]


@pytest.mark.parametrize("fast", [False, True], ids=["strict", "fast"])
@pytest.mark.parametrize("dtype", BITS)
@pytest.mark.parametrize("program", PROGRAMS)
def test_one_nan(program, dtype, fast, targets):
    """The library's functions take the bits of numbers as they are: what a nan is made of must not show."""
    word, one, _ = BITS[dtype]
    args = columns(dtype, 2)
    plain = [np.where(np.isnan(a), np.array(one, word).view(dtype), a) for a in args]
    want = None
    for target in targets:
        compiled = arex.compile(program, target=target, fast=fast)
        if want is None or fast and program in ESTIMATES:
            want = compiled(**dict(zip(compiled.inputs, plain)))
            assert want.dtype != dtype or set(want[np.isnan(want)].view(word).tolist()) <= {one}
        assert compiled(**dict(zip(compiled.inputs, args))).tobytes() == want.tobytes(), target
