"""Programs: text compiled once, called on NumPy arrays in place."""
import collections
import threading
import warnings

import numpy as np

from ._lib import ffi, lib
from .errors import ArexWarning, check, fail

TARGETS = {"auto": 0, "cpu": 1, "cuda": 2, "reference": 3}
_CODES = {np.dtype(name): i for i, name in enumerate(
    ["", "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "",
     "float32", "float64", "complex64", "complex128"]) if name}
_DTYPES = {i: d for d, i in _CODES.items()}
_contexts = {}
_lock = threading.Lock()


def _target(name):
    if name not in TARGETS:
        fail("AX0701", f"unknown target {name!r}: use cpu, cuda, reference or auto")
    return TARGETS[name]


def context(threads=0, device=0):
    """The context of the process for these options, made at first need."""
    with _lock:
        if (threads, device) not in _contexts:
            options, slot, out = ffi.new("arex_context_options *"), ffi.new("arex_diagnostics **"), ffi.new("arex_context **")
            lib.arex_context_options_init(options)
            options.threads, options.device = threads, device
            check(lib.arex_context_new(options, out, slot), slot)
            _contexts[threads, device] = out[0]
        return _contexts[threads, device]


def _empty(shape, dtype):
    """C-contiguous memory on a boundary of 64 bytes."""
    n = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    raw = np.empty(n + 64, np.uint8)
    skip = -raw.ctypes.data % 64
    return raw[skip:skip + n].view(dtype).reshape(shape)


def _view(a, array, name):
    if array.dtype not in _CODES or not array.dtype.isnative:
        why = "its bytes are not in this machine's order" if not array.dtype.isnative else "this type is not supported"
        fail("AX0306", f"`{name}` has dtype {array.dtype!r}: {why}; convert it with astype")
    if array.ndim > 8:
        fail("AX0308", f"`{name}` has {array.ndim} axes; arrays have at most 8")
    a.data = ffi.cast("void *", array.ctypes.data)
    a.dtype, a.rank, a.device, a.flags = _CODES[array.dtype], array.ndim, -1, 0
    for k in range(array.ndim):
        a.shape[k], a.strides[k] = array.shape[k], array.strides[k]
    return array


def _weak(value, name):
    if isinstance(value, bool):
        return np.array(value)
    if isinstance(value, float):
        return np.array(value, np.float64)
    if not -2**63 <= value < 2**63:
        fail("AX0311", f"`{name}` does not fit int64; pass a float")
    return np.array(value, np.int64)


def _input(a, value, name):
    """Fills a view; the result keeps its memory alive."""
    if type(value) in (bool, int, float):
        array = _view(a, _weak(value, name), name)
        a.flags = lib.AREX_WEAK
        return array
    if isinstance(value, (np.ndarray, np.generic)):
        return _view(a, np.asarray(value), name)
    if value is None or isinstance(value, (str, bytes, dict, set)):
        fail("AX0306", f"`{name}` is {type(value).__name__}, not an array or a number")
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        fail("AX0308", f"`{name}` is not an array: {error}")
    return _view(a, array, name)


class Program:
    """A compiled program. Call it with its inputs by position or by name."""

    def __init__(self, expr, *, target="auto", threads=0, device=0, fast=False, name="<string>"):
        if not isinstance(expr, str):
            raise TypeError(f"a program is text, not {type(expr).__name__}")
        self._target, self._threads = _target(target), threads
        self._context = context(0, device)
        options, slot, out = ffi.new("arex_compile_options *"), ffi.new("arex_diagnostics **"), ffi.new("arex_program **")
        lib.arex_compile_options_init(options)
        options.fast = bool(fast)
        source = expr.encode("utf-8", "surrogatepass")
        for d in check(lib.arex_program_new(self._context, source, len(source), name.encode(), options, out, slot), slot):
            warnings.warn(d.text.rstrip(), ArexWarning, stacklevel=3)
        self._program = ffi.gc(out[0], lib.arex_program_free)
        self.source = expr
        self.inputs = self._names(lib.arex_program_inputs, lib.arex_program_input)
        self.outputs = self._names(lib.arex_program_outputs, lib.arex_program_output)
        self._tuple = None
        if len(self.outputs) > 1 and all(self.outputs) and len(set(self.outputs)) == len(self.outputs):
            self._tuple = collections.namedtuple("Outputs", self.outputs, rename=True)

    def _names(self, count, name):
        return tuple(ffi.string(name(self._program, i)).decode() for i in range(count(self._program)))

    def __repr__(self):
        return f"<arex.Program ({', '.join(self.inputs)}) -> {len(self.outputs)} output(s)>"

    def _bind(self, args, named):
        if len(args) > len(self.inputs):
            fail("AX0305", f"{len(args)} values given; the program has {len(self.inputs)} inputs: {', '.join(self.inputs)}")
        values = dict(zip(self.inputs, args))
        for name, value in named.items():
            if name not in self.inputs:
                fail("AX0305", f"the program has no input `{name}`; it has {', '.join(self.inputs) or 'none'}")
            if name in values:
                fail("AX0210", f"`{name}` is given twice")
            values[name] = value
        for name in self.inputs:
            if name not in values:
                fail("AX0304", f"no value for the input `{name}`")
        return [values[name] for name in self.inputs]

    def _given(self, out):
        if out is None:
            return [None] * len(self.outputs)
        given = list(out) if isinstance(out, (tuple, list)) else [out]
        if len(given) != len(self.outputs):
            fail("AX0309", f"{len(given)} outputs given; the program has {len(self.outputs)}")
        for g in given:
            if not isinstance(g, np.ndarray) or not g.flags.writeable:
                fail("AX0309", "out must be writable NumPy arrays")
        return given

    def __call__(self, *args, out=None, target=None, threads=None, **named):
        n, m = len(self.inputs), len(self.outputs)
        inputs, outputs = ffi.new("arex_array[]", n + 1), ffi.new("arex_array[]", m + 1)
        alive = [_input(inputs[i], v, self.inputs[i]) for i, v in enumerate(self._bind(args, named))]
        given, slot = self._given(out), ffi.new("arex_diagnostics **")
        results = []
        check(lib.arex_infer(self._program, inputs, n, outputs, m, slot), slot)
        for i, g in enumerate(given):
            dtype, shape = _DTYPES[outputs[i].dtype], tuple(outputs[i].shape[k] for k in range(outputs[i].rank))
            if g is not None and (g.dtype != dtype or g.shape != shape):
                fail("AX0309", f"out has {g.dtype} {g.shape}; the result has {dtype} {shape}")
            results.append(_view(outputs[i], _empty(shape, dtype) if g is None else g, "out"))
        options = ffi.new("arex_call_options *")
        lib.arex_call_options_init(options)
        options.target = self._target if target is None else _target(target)
        options.threads = self._threads if threads is None else threads
        check(lib.arex_call(self._program, inputs, n, outputs, m, options, slot), slot)
        del alive
        results = [r if g is not None or r.ndim else r[()] for r, g in zip(results, given)]
        if m == 1:
            return results[0]
        return self._tuple(*results) if self._tuple else tuple(results)

    def stats(self):
        """What compiling cost and gave: a dict of the fields of arex_stats."""
        stats, fields = ffi.new("arex_stats *"), dict(ffi.typeof("arex_stats").fields)
        stats.size = ffi.sizeof("arex_stats")
        slot = ffi.new("arex_diagnostics **")
        check(lib.arex_program_stats(self._program, stats), slot)
        return {name: int(getattr(stats, name)) for name in fields if name != "size"}

    def emit(self, stage, *, target="auto", arch=None, types=None):
        """The text of a stage of compilation: see arex.list("stages")."""
        number = _target(target) or (TARGETS["cuda"] if stage == "ptx" else TARGETS["cpu"])
        text, slot = ffi.new("char **"), ffi.new("arex_diagnostics **")
        check(lib.arex_emit(self._program, stage.encode(), number, arch.encode() if arch else ffi.NULL,
                            types.encode() if types else ffi.NULL, text, slot), slot)
        return take(text)


def take(text):
    """A text of the library as a str; frees it."""
    try:
        return ffi.string(text[0]).decode("utf-8", "replace") if text[0] else ""
    finally:
        lib.arex_free(text[0])
