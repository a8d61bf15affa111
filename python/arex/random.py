"""Random numbers by counter: Philox 4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC11).

A block of four 32-bit words is a function of a counter and a key, so every thread makes its own and the numbers depend neither on the device nor on the
number of threads: the key is the seed, the counter runs on from call to call, its upper half is the stream. The same seed and the same calls give the
same bits on the CPU and on a GPU."""
import functools
import math
import os
from typing import Any

import numpy as np

from .array import Array, _place
from .errors import fail
from .locks import lock
from .program import Program, ffi
from .stored import _Memory

_ROUNDS = 10
_MULTIPLIERS = ("0xD2511F53", "0xCD9E8D57")
_WEYL = (0x9E3779B9, 0xBB67AE85)
_BLOCK = 256  # threads


def _philox():
    """The text of philox(c0, c1, c2, c3, k0, k1), its rounds written out."""
    lines = []
    for r in range(_ROUNDS):
        k = [f"k{i} + 0x{_WEYL[i] * r % 2**32:X}" for i in (0, 1)]
        lines += [f"p = uint64(c0) * {_MULTIPLIERS[0]}", f"q = uint64(c2) * {_MULTIPLIERS[1]}",
                  f"c0, c1, c2, c3 = uint32(q >> 32) ^ c1 ^ ({k[0]}), uint32(q), uint32(p >> 32) ^ c3 ^ ({k[1]}), uint32(p)"]
    return "def philox(c0, c1, c2, c3, k0, k1) {\n    " + "\n    ".join(lines) + "\n    return c0, c1, c2, c3\n}\n"


# What is made of words, of 64 bits (two of a block's four) or of 32: as values between 0 and 1, as integers below a limit, or as they are.
_WORDS = {64: ["uint64(w1) << 32 | uint64(w0)", "uint64(w3) << 32 | uint64(w2)"], 32: ["w0", "w1", "w2", "w3"]}
_UNIT = {64: "float64(({}) >> 11) * 0x1p-53", 32: "float32(({}) >> 8) * 0x1p-24"}


def _unit(bits):
    return [_UNIT[bits].format(word).replace("0x1p-53", repr(2.0**-53)).replace("0x1p-24", repr(2.0**-24)) for word in _WORDS[bits]]


def _uniform(bits):
    return [f"a + (b - a) * ({u})" for u in _unit(bits)]


def _normal(bits):
    """Box and Muller's: two normal values of two uniform ones, the first of which is not 0."""
    units, made = _unit(bits), []
    for u, v in zip(units[::2], units[1::2]):
        radius = f"sqrt(-2.0 * log(1.0 - {u}))"
        made += [f"a + b * ({radius} * cospi(2.0 * ({v})))", f"a + b * ({radius} * sinpi(2.0 * ({v})))"]
    return made


def _integers(_bits):
    return [f"a + (({word}) % b)" for word in _WORDS[64]]


def _whole(_bits):
    return [f"a + ({word}) + b" for word in _WORDS[64]]


_KINDS = {"uniform": _uniform, "normal": _normal, "integers": _integers, "whole": _whole}


@functools.lru_cache(maxsize=None)
def _program(kind, bits, target):
    values = _KINDS[kind](bits)
    stores = [f"if at + {i} < len(out) {{ out[at + {i}] = {value} }}" for i, value in enumerate(values)]
    body = ["t = first + uint64(grid(1))", "w0, w1, w2, w3 = philox(uint32(t), uint32(t >> 32), stream, uint32(0), k0, k1)",
            f"at = grid(1) * {len(values)}", *stores]
    text = _philox() + "kernel make(out, first, stream, k0, k1, a, b) {\n    " + "\n    ".join(body) + "\n}"
    return Program(text, target=target, name="arex.random"), len(values)


def _shape(size):
    shape = tuple(int(n) for n in size) if isinstance(size, (tuple, list)) else (int(size),)
    if any(n < 0 for n in shape):
        fail("AX0309", f"a shape has no negative extent: {shape}")
    return shape


def _shaped(memory, shape):
    """The same elements in this shape."""
    if memory.host is not None:
        return Array(_Memory.of_host(memory.host.reshape(shape)))
    struct, step = ffi.new("arex_array *", memory.struct[0]), memory.dtype.itemsize
    struct.rank = len(shape)
    for d in reversed(range(len(shape))):
        struct.shape[d], struct.strides[d], step = shape[d], step, step * shape[d]
    return Array(_Memory(struct, memory))


class Generator:
    """Numbers of one seed and stream, in the order of the calls. Streams of one seed have nothing in common: one for each process or task."""

    def __init__(self, seed: int | None = None, stream: int = 0) -> None:
        self.seed = int.from_bytes(os.urandom(8), "little") if seed is None else int(seed)
        self.stream, self._next, self._lock = int(stream), 0, lock()
        if not 0 <= self.seed < 2**64 or not 0 <= self.stream < 2**32:
            fail("AX0311", "a seed has 64 bits and a stream 32, and neither a sign")

    def __reduce__(self):
        return _again, (self.seed, self.stream, self._next)

    def __repr__(self) -> str:
        return f"arex.random.Generator(seed={self.seed}, stream={self.stream})"

    def _take(self, blocks):
        with self._lock:
            first, self._next = self._next, self._next + blocks
        return first

    def _make(self, kind, size, dtype, a, b):
        """A number where size is None, else an Array."""
        shape = _shape(() if size is None else size)
        n, device = math.prod(shape), _place()
        program, each = _program(kind, 32 if dtype == np.float32 else 64, "cpu" if device < 0 else "cuda")
        blocks = -(-n // each)
        flat = Array(_Memory.of_host(np.empty(n, dtype)) if device < 0 else _Memory.new((n,), dtype, device))
        words = [np.uint32(self.seed & 0xFFFFFFFF), np.uint32(self.seed >> 32)]
        first = np.uint64(self._take(blocks))
        if blocks:
            program.launch(-(-blocks // _BLOCK), _BLOCK, flat._run().host if device < 0 else flat, first, np.uint32(self.stream), *words, a, b)
        return flat.get()[0] if size is None else _shaped(flat._run(), shape)

    def _floats(self, kind, size, dtype, a, b):
        dtype = np.dtype(dtype)
        if dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
            fail("AX0306", f"random numbers are float32 or float64, not {dtype}")
        return self._make(kind, size, dtype, dtype.type(a), dtype.type(b))

    def random(self, size: Any = None, dtype: Any = np.float64) -> Any:
        """From 0 up to, without, 1; all multiples of 2**-53 (float32: 2**-24) are as likely."""
        return self._floats("uniform", size, dtype, 0, 1)

    def uniform(self, low: float = 0.0, high: float = 1.0, size: Any = None, dtype: Any = np.float64) -> Any:
        """From low up to high."""
        return self._floats("uniform", size, dtype, low, high)

    def normal(self, loc: float = 0.0, scale: float = 1.0, size: Any = None, dtype: Any = np.float64) -> Any:
        """Of a normal distribution with this mean and this standard deviation."""
        if not scale >= 0:
            fail("AX0311", f"a standard deviation is not {scale}")
        return self._floats("normal", size, dtype, loc, scale)

    def standard_normal(self, size: Any = None, dtype: Any = np.float64) -> Any:
        """normal(0, 1, size)."""
        return self.normal(0.0, 1.0, size, dtype)

    def integers(self, low: int, high: int | None = None, size: Any = None, dtype: Any = np.int64, endpoint: bool = False) -> Any:
        """From low (0, where only one limit is given) up to, without, high (with it: endpoint). The most likely one is less than 1 + n/2**64 times
        as likely as the least likely, of n."""
        low, high = (0, low) if high is None else (low, high)
        dtype, count = np.dtype(dtype), int(high) - int(low) + bool(endpoint)
        if dtype.kind not in "iu":
            fail("AX0306", f"integers are not {dtype}")
        limits = np.iinfo(dtype)
        if count <= 0 or not (limits.min <= low and low + count - 1 <= limits.max):
            fail("AX0311", f"there are no integers of {dtype} from {low} to {high}{'' if endpoint else ', without it'}")
        wide = np.dtype(np.uint64)  # in which all wraps
        made = self._make("whole" if count == 2**64 else "integers", (1,) if size is None else size, wide, np.uint64(low % 2**64), np.uint64(count % 2**64))
        result = made.astype(dtype)
        return result.get()[0] if size is None else result


def _again(seed, stream, first):
    made = Generator(seed, stream)
    made._next = first
    return made


def default_rng(seed: int | None = None) -> Generator:
    """A Generator; without a seed, of the system's randomness."""
    return Generator(seed)


_one = Generator()


def seed(seed: int | None = None) -> None:
    """Starts the functions of this module again; without a seed from the system's randomness."""
    global _one
    _one = Generator(seed)


def random(size: Any = None, dtype: Any = np.float64) -> Any:
    return _one.random(size, dtype)


def uniform(low: float = 0.0, high: float = 1.0, size: Any = None, dtype: Any = np.float64) -> Any:
    return _one.uniform(low, high, size, dtype)


def normal(loc: float = 0.0, scale: float = 1.0, size: Any = None, dtype: Any = np.float64) -> Any:
    return _one.normal(loc, scale, size, dtype)


def standard_normal(size: Any = None, dtype: Any = np.float64) -> Any:
    return _one.standard_normal(size, dtype)


def integers(low: int, high: int | None = None, size: Any = None, dtype: Any = np.int64, endpoint: bool = False) -> Any:
    return _one.integers(low, high, size, dtype, endpoint)


for _name in ("random", "uniform", "normal", "standard_normal", "integers"):
    globals()[_name].__doc__ = getattr(Generator, _name).__doc__
