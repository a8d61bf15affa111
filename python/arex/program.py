"""Programs: text compiled once, called on NumPy arrays in place."""
import collections
import math
import os
import sys
import threading
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from . import streams
from ._lib import extension, ffi, lib
from .watching import look, tell
from .errors import ArexWarning, check, did_you_mean, fail
from .locks import lock

TARGETS = {"auto": 0, "cpu": 1, "cuda": 2, "reference": 3}
CODEGENS = {"auto": 0, "nvptx": 1, "nvvm": 2}
_NAMES = ["", "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "bfloat16",
          "float32", "float64", "complex64", "complex128"]
_BFLOAT16 = _NAMES.index("bfloat16")
_CODES = {np.dtype(name): i for i, name in enumerate(_NAMES) if name and i != _BFLOAT16}
_DTYPES = {i: d for d, i in _CODES.items()}
_contexts: dict[tuple[int, int], Any] = {}
_lock = lock()


def _target(name):
    if name not in TARGETS:
        fail("AX0701", f"unknown target {name!r}: use cpu, cuda, reference or auto")
    return TARGETS[name]


def _codegen(name):
    if name not in CODEGENS:
        fail("AX0701", f"unknown code generator {name!r}: use nvptx, nvvm or auto")
    return CODEGENS[name]


def _packages():
    """Folders in which pip may have put NVIDIA's libraries."""
    return ":".join(p for p in sys.path if p and os.path.isdir(os.path.join(p, "nvidia")))


def context(threads=0, device=0):
    """The context of the process for these options, made at first need."""
    with _lock:
        if (threads, device) not in _contexts:
            options, slot, out = ffi.new("arex_context_options *"), ffi.new("arex_diagnostics **"), ffi.new("arex_context **")
            lib.arex_context_options_init(options)
            options.threads, options.device = threads, device
            packages = ffi.new("char[]", os.fsencode(_packages()))  # copied by the library
            options.packages = packages
            options.log = tell
            check(lib.arex_context_new(options, out, slot), slot)
            _contexts[threads, device] = out[0]
        return _contexts[threads, device]


def _bfloat16(dtype):
    """The library's number for the bfloat16 of ml_dtypes, known by its name so that nothing is imported for it; else None."""
    return _BFLOAT16 if dtype.name == "bfloat16" and dtype.itemsize == 2 else None


def _dtype(code):
    """The NumPy dtype of a result."""
    if code != _BFLOAT16:
        return _DTYPES[code]
    try:
        import ml_dtypes
    except ImportError:
        fail("AX0306", "the result is bfloat16, which NumPy has only with the package ml_dtypes: install it, or convert the "
             "result in the program, as in float32(x)")
    return np.dtype(ml_dtypes.bfloat16)


def _empty(shape, dtype):
    """C-contiguous memory, on a boundary of 64 bytes where that pays; where it is large, in the middle of a page, apart from
    where NumPy's arrays begin (runtime/cpu/device.c says why)."""
    n = math.prod(shape) * dtype.itemsize
    if n < 4096:
        return np.empty(shape, dtype)
    step, place = (64, 0) if n < 65536 else (4096, 2112)
    raw = np.empty(n + step, np.uint8)
    skip = (place - raw.ctypes.data) % step
    return raw[skip:skip + n].view(dtype).reshape(shape)


def _view(a, array, name):
    code, rank = _CODES.get(array.dtype) or _bfloat16(array.dtype), array.ndim
    if not code or not array.dtype.isnative:
        why = "its bytes are not in this machine's order" if not array.dtype.isnative else "this type is not supported"
        if array.dtype == np.dtype("V2"):
            why = "two bytes of no type; for bfloat16 install ml_dtypes and view it as ml_dtypes.bfloat16"
        fail("AX0306", f"`{name}` has dtype {array.dtype!r}: {why}; convert it with astype")
    if rank > 8:
        fail("AX0308", f"`{name}` has {rank} axes; arrays have at most 8")
    a.data = ffi.cast("void *", array.__array_interface__["data"][0])
    a.dtype, a.rank, a.device, a.flags = code, rank, -1, 0
    if rank == 1:
        a.shape[0], a.strides[0] = array.shape[0], array.strides[0]
    elif rank:
        a.shape[0:rank], a.strides[0:rank] = array.shape, array.strides
    return array


def _weak(value, name):
    if isinstance(value, bool):
        return np.array(value)
    if isinstance(value, (float, complex)):
        return np.array(value, np.complex128 if isinstance(value, complex) else np.float64)
    if not -2**63 <= value < 2**63:
        fail("AX0311", f"`{name}` does not fit int64; pass a float")
    return np.array(value, np.int64)


def _foreign(value):
    """Somebody else's array on a GPU, in place; else None."""
    from . import exchange
    if hasattr(value, "__cuda_array_interface__"):
        return exchange.from_cuda_interface(value)
    return exchange.from_dlpack(value) if exchange.on_a_device(value) else None


def _input(a, value, name):
    """Fills a view; the result keeps its memory alive."""
    if type(value) in (bool, int, float, complex):
        array = _view(a, _weak(value, name), name)
        a.flags = lib.AREX_WEAK
        return array
    if isinstance(value, (np.ndarray, np.generic)):
        return _view(a, np.asarray(value), name)
    memory = value._run() if hasattr(value, "_run") else value if hasattr(value, "struct") else _foreign(value)
    if memory is not None:
        ffi.memmove(ffi.addressof(a), memory.struct, ffi.sizeof("arex_array"))
        return memory
    if value is None or isinstance(value, (str, bytes, dict, set)):
        fail("AX0306", f"`{name}` is {type(value).__name__}, not an array or a number")
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        fail("AX0308", f"`{name}` is not an array: {error}")
    return _view(a, array, name)


def _written(memories, number):
    """Whoever takes these elements from another stream has to know which one they are written on."""
    for memory in memories:
        if hasattr(memory, "_stream"):
            memory._stream = 0 if number == streams.DEFAULT else number


def _dimensions(sizes):
    sizes = tuple(int(s) for s in (sizes if isinstance(sizes, (tuple, list)) else (sizes,)))
    if not 1 <= len(sizes) <= 3 or any(not 0 < s < 2**32 for s in sizes):
        fail("AX0701", f"a launch has one to three dimensions of at least 1, not {sizes}")
    return ffi.new("uint32_t[3]", sizes + (1,) * (3 - len(sizes)))


_KNOWN = 256  # shapes of results that a program remembers


class _Call:
    """What one thread's calls of one program are made with, again and again."""

    def __init__(self, place, n, m):
        self.input_array, self.output_array = ffi.new("arex_array[]", n + 1), ffi.new("arex_array[]", m + 1)
        self.inputs, self.outputs = [self.input_array[i] for i in range(n)], [self.output_array[i] for i in range(m)]
        self.options, self.slot = ffi.new("arex_call_options *"), ffi.new("arex_diagnostics **")
        lib.arex_call_options_init(self.options)
        self.options.progress = look
        place.call = self


def _address(function):
    return int(ffi.cast("uintptr_t", function))


class _Interpreted:
    """In place of the extension's Caller."""

    def __call__(self, *args, **named):
        return self._call(*args, **named)

    def _launch(self, grid, block, values, stream):
        return False

    def _launcher(self, grid, block, stream, long_way):
        return None

    def _evaluate(self, here, there, threads):
        return NotImplemented


def _caller():
    """What programs are made from: the extension's class, where there is an extension for this library."""
    if extension is None:
        return _Interpreted
    try:
        extension.bind(ffi.string(lib.arex_version()).decode(), lib, tuple(_address(f) for f in (lib.arex_call, lib.arex_launch, lib.arex_array_free, look, lib.arex_pointer_device)),
                  tuple(_DTYPES.get(code) for code in range(len(_NAMES))), _dtype)
    except ImportError:
        return _Interpreted
    return extension.Caller


if TYPE_CHECKING:
    from ._fast import Caller as _Caller
else:
    _Caller = _caller()

_arrays: Any = None  # what makes an Array: of an output of the library's, and of a NumPy array


def bind_arrays(memory, array, of_host):
    """Once, from where arrays are: calls that are given arrays give arrays."""
    global _arrays
    _arrays = (lambda output: array(memory.taken(output)), of_host)
    if _Caller is not _Interpreted:
        extension.bind_arrays(memory, array, of_host, {d.str: code for d, code in _CODES.items()}, streams.of_maker)


class Program(_Caller):
    """A compiled program. Call it with its inputs by position or by name: f(x, y), f(x=x, y=y); out: an array for the result (several: a tuple);
    target, threads: as for compile, of this call. Of NumPy arrays the results are NumPy arrays; with an arex.Array, or an array of CuPy, PyTorch or JAX on a
    GPU, they are arex.Arrays, where those are, and a GPU is not waited for. stream: the stream of CUDA that the work is given to: an arex.cuda.Stream,
    a number, or an object of CuPy, PyTorch or Numba; None for that of `with stream:`, else the default one."""

    source: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def __init__(self, expr: str, *, target: str = "auto", threads: int = 0, device: int = 0, fast: bool = False, codegen: str = "auto", arch: str = "native",
                 max_rounds: int = 0, max_work: int = 0, name: str = "<string>") -> None:
        if not isinstance(expr, str):
            raise TypeError(f"a program is text, not {type(expr).__name__}")
        self._target, self._threads = _target(target), threads
        self._context = context(0, device)
        options, slot, out = ffi.new("arex_compile_options *"), ffi.new("arex_diagnostics **"), ffi.new("arex_program **")
        lib.arex_compile_options_init(options)
        options.fast, options.max_rounds, options.max_work, options.codegen = bool(fast), max_rounds, max_work, _codegen(codegen)
        level = ffi.new("char[]", arch.encode())  # copied by the library
        options.arch = level
        source = expr.encode("utf-8", "surrogatepass")
        for d in check(lib.arex_program_new(self._context, source, len(source), name.encode(), options, out, slot), slot):
            warnings.warn(d.text.rstrip(), ArexWarning, stacklevel=3)
        self._program = ffi.gc(out[0], lib.arex_program_free)
        self._calls = threading.local()
        self._known: dict[tuple, Any] = {}
        self.source = expr
        self.inputs = self._names(lib.arex_program_inputs, lib.arex_program_input)
        self.outputs = self._names(lib.arex_program_outputs, lib.arex_program_output)
        self._tuple: Any = None
        self._made = dict(target=target, threads=threads, device=device, fast=fast, codegen=codegen, arch=arch, max_rounds=max_rounds, max_work=max_work, name=name)
        if len(self.outputs) > 1 and all(self.outputs) and len(set(self.outputs)) == len(self.outputs):
            self._tuple = _tuple_of(self.outputs)
        if _Caller is not _Interpreted:
            changed = sum(1 << i for i, name in enumerate(self.inputs) if name in self.outputs)
            extension.attach(self, (_address(self._program), _address(self._context)), self._target, self._threads, self.inputs, len(self.outputs),
                        changed & (1 << 64) - 1, self._tuple, self._program)

    def _failed(self, status, diagnostics):
        """Raises what a call of the extension's had to say."""
        slot = ffi.new("arex_diagnostics **")
        slot[0] = ffi.cast("arex_diagnostics *", diagnostics)
        check(status, slot)

    def __reduce__(self):
        return _again, (self.source, self._made)  # source and options, never code

    def _names(self, count, name):
        return tuple(ffi.string(name(self._program, i)).decode() for i in range(count(self._program)))

    def __repr__(self) -> str:
        return f"<arex.Program ({', '.join(self.inputs)}) -> {len(self.outputs)} output(s)>"

    def _repr_html_(self):
        from .display import program_html
        return program_html(self)

    def _repr_pretty_(self, printer, cycle):
        from .display import program_text
        printer.text(repr(self) if cycle else program_text(self))

    def _bind(self, args, named):
        if len(args) > len(self.inputs):
            fail("AX0305", f"{len(args)} values given; the program has {len(self.inputs)} inputs: {', '.join(self.inputs)}")
        values = dict(zip(self.inputs, args))
        for name, value in named.items():
            if name not in self.inputs:
                fail("AX0305", f"the program has no input `{name}`; it has {', '.join(self.inputs) or 'none'}{did_you_mean(name, self.inputs)}")
            if name in values:
                fail("AX0210", f"`{name}` is given twice")
            values[name] = value
        for name in self.inputs:
            if name not in values:
                fail("AX0304", f"no value for the input `{name}`{did_you_mean(name, set(named) - set(self.inputs))}")
        return [values[name] for name in self.inputs]

    def _given(self, out):
        given = list(out) if isinstance(out, (tuple, list)) else [out]
        if len(given) != len(self.outputs):
            fail("AX0309", f"{len(given)} outputs given; the program has {len(self.outputs)}")
        for g in given:
            if hasattr(g, "_run"):
                g._run().settle()
            elif not (g.flags.writeable if isinstance(g, np.ndarray) else hasattr(g, "__cuda_array_interface__")):
                fail("AX0309", "out must be writable arrays")
        return given

    def _ours(self):
        """What this thread's calls are made with."""
        return getattr(self._calls, "call", None) or _Call(self._calls, len(self.inputs), len(self.outputs))

    def _give(self, call, target, threads, stream):
        """arex_call, on a stream when some array is on a device: its number, else 0."""
        there = any(a.device >= 0 for a in call.inputs) or any(a.device >= 0 for a in call.outputs)
        call.options.target, call.options.threads, call.options.late_faults = target, threads, there
        number = streams.number(stream) if there else 0
        call.options.stream = ffi.cast("void *", number)
        status = lib.arex_call(self._program, call.input_array, len(self.inputs), call.output_array, len(self.outputs), call.options, call.slot)
        if status or call.slot[0]:
            check(status, call.slot)
        return number

    def _call(self, *args, out=None, target=None, threads=None, stream=None, **named):
        values = args if not named and len(args) == len(self.inputs) else self._bind(args, named)
        call = self._ours()
        arrays = [_input(a, v, name) for a, v, name in zip(call.inputs, values, self.inputs)]
        kept, device = any(hasattr(a, "struct") for a in arrays), max((a.device for a in call.inputs), default=-1)
        if out is not None:
            results = self._check_given(call, arrays, self._given(out))
        else:
            results = None if device >= 0 else self._results(call, arrays)
        there = [self._place(a, r, device) for a, r in zip(call.outputs, results or [None] * len(self.outputs))]
        number = self._give(call, self._target if target is None else _target(target), self._threads if threads is None else threads, stream)
        _written(there, number)
        if results is None:
            results = [_arrays[0](o) for o in call.outputs]
            _written([r._memory for r in results], number)
        elif out is None:
            results = [_arrays[1](r) if kept else r if r.ndim else r[()] for r in results]
        if len(self.outputs) == 1:
            return results[0]
        return self._tuple(*results) if self._tuple else tuple(results)

    def _place(self, a, result, device):
        """Where an output goes: an array that was given or made, or None, memory that the call allocates on the device."""
        if result is None:
            a.data, a.device = ffi.NULL, device
            return None
        there = _view(a, result, "out") if isinstance(result, np.ndarray) else _input(a, result, "out")
        if getattr(there, "read_only", False):
            fail("AX0309", "out must be writable arrays")
        return there

    def into(self, values, out):
        """The only output, into a NumPy array or elements on a device, from wherever the inputs are."""
        call = self._ours()
        arrays = [_input(a, v, name) for a, v, name in zip(call.inputs, values, self.inputs)]
        there = _input(call.outputs[0], out, "out")
        _written([there], self._give(call, TARGETS["auto"], 0, None))
        del arrays

    def launch(self, grid: int | tuple[int, ...], block: int | tuple[int, ...], *args: Any, target: str | None = None, threads: int | None = None,
               stream: Any = None) -> None:
        """Runs a kernel over grid blocks of block threads (numbers, or tuples of up to 3: x, y, z). Arrays that the kernel changes are
        changed in place. stream: as for a call; with arrays on a device nothing is waited for."""
        if target is None and threads is None and self._launch(grid, block, args, stream):
            return
        if len(args) != len(self.inputs):
            fail("AX0305" if len(args) > len(self.inputs) else "AX0304", f"{len(args)} values given; the kernel takes {', '.join(self.inputs)}")
        call = self._ours()
        for name, value in zip(self.inputs, args):
            if name in self.outputs:
                self._changes(name, value)
        arrays = [_input(a, v, name) for a, v, name in zip(call.inputs, args, self.inputs)]
        if any(getattr(a, "read_only", False) for a, name in zip(arrays, self.inputs) if name in self.outputs):
            fail("AX0309", "the array is read-only: who made it said so")
        there = any(a.device >= 0 for a in call.inputs)
        call.options.target = TARGETS["cuda"] if there else self._target if target is None else _target(target)
        call.options.threads, call.options.late_faults = self._threads if threads is None else threads, there
        number = streams.number(stream) if there else 0
        call.options.stream = ffi.cast("void *", number)
        status = lib.arex_launch(self._program, call.input_array, len(arrays), _dimensions(grid), _dimensions(block), call.options, call.slot)
        if status or call.slot[0]:
            check(status, call.slot)
        _written([a for a, name in zip(arrays, self.inputs) if name in self.outputs], number)

    def _changes(self, name, value):
        """May the kernel change this argument?"""
        if hasattr(value, "_run"):
            value._run().settle()
        elif not (value.flags.writeable if isinstance(value, np.ndarray) else hasattr(value, "__cuda_array_interface__")):
            fail("AX0309", f"the kernel changes `{name}`, which must be a writable array")

    def result_type(self, *args: Any, **named: Any) -> list[tuple[np.dtype, tuple[int, ...]]]:
        """[(dtype, shape)] of the outputs for these inputs; compiles no code."""
        call = getattr(self._calls, "call", None) or _Call(self._calls, len(self.inputs), len(self.outputs))
        arrays = [_input(a, v, name) for a, v, name in zip(call.inputs, self._bind(args, named), self.inputs)]
        return self._shapes(call, arrays)

    def _shapes(self, call, arrays):
        """Dtype and shape of each output for these arrays: asked for once."""
        key = tuple((c.dtype, a.shape if hasattr(a, "shape") else tuple(c.shape[0:c.rank]), c.flags) for a, c in zip(arrays, call.inputs))
        known = self._known.get(key)
        if known is None:
            check(lib.arex_infer(self._program, call.input_array, len(self.inputs), call.output_array, len(self.outputs), call.slot), call.slot)
            known = [(_dtype(o.dtype), tuple(o.shape[k] for k in range(o.rank))) for o in call.outputs]
            if len(self._known) >= _KNOWN:
                self._known.clear()
            self._known[key] = known
        return known

    def _results(self, call, arrays):
        return [_empty(shape, dtype) for dtype, shape in self._shapes(call, arrays)]

    def _check_given(self, call, arrays, given):
        for g, (dtype, shape) in zip(given, self._shapes(call, arrays)):
            if (isinstance(g, np.ndarray) or hasattr(g, "_run")) and (g.dtype != dtype or g.shape != shape):
                fail("AX0309", f"out has {g.dtype} {g.shape}; the result has {dtype} {shape}")
        return given

    def stats(self) -> dict[str, int]:
        """What compiling cost and gave: a dict of the fields of arex_stats."""
        stats, fields = ffi.new("arex_stats *"), dict(ffi.typeof("arex_stats").fields)
        stats.size = ffi.sizeof("arex_stats")
        slot = ffi.new("arex_diagnostics **")
        check(lib.arex_program_stats(self._program, stats), slot)
        return {name: int(getattr(stats, name)) for name in fields if name != "size"}

    def emit(self, stage: str, *, target: str = "auto", arch: str | None = None, types: str | None = None) -> str:
        """The text of a stage of compilation: see arex.list("stages")."""
        number = _target(target) or (TARGETS["cuda"] if stage in ("nvvm", "ptx") else TARGETS["cpu"])
        text, slot = ffi.new("char **"), ffi.new("arex_diagnostics **")
        check(lib.arex_emit(self._program, stage.encode(), number, arch.encode() if arch else ffi.NULL,
                            types.encode() if types else ffi.NULL, text, slot), slot)
        return take(text)


def _tuple_of(names):
    return collections.namedtuple("Outputs", names, rename=True)


def _again(source, options):
    return Program(source, **options)


def take(text):
    """A text of the library as a str; frees it."""
    try:
        return ffi.string(text[0]).decode("utf-8", "replace") if text[0] else ""
    finally:
        lib.arex_free(text[0])
