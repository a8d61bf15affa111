"""@cuda.jit: kernels over blocks of threads, as Numba's users write them; on the CPU where there is no GPU. Streams, which calls and launches are given to."""
import functools
import inspect

import numpy as np

from . import streams as _streams
from .array import Array, _place, asarray as _asarray
from .devices import KERNELS, available_or_told, is_available
from .errors import fail
from .jit import Compiled, Translated
from .program import Program
from .stored import _Memory
from .streams import Stream, default_stream, external_stream, stream
from .translate import Translator

_MOST_LAUNCHES = 64  # with their blocks and threads, that a kernel remembers


class Kernel(Translated):
    """kernel[blocks, threads](*args), kernel[blocks, threads, stream](*args): arrays that it stores to are changed in place; host arrays are copied there and back."""

    def __init__(self, function, fastmath=False):
        t = Translator(function, kernel=True)
        super().__init__(function, t, t.program, {"fast": bool(fastmath), "name": function.__name__})
        if not t.stored:
            fail("AX0216", f"the kernel {function.__name__} stores to none of its arguments")

    def _set(self, *state):
        super()._set(*state)
        self._launchers = {}

    def __getitem__(self, launch):
        try:
            return self._launchers[launch]
        except (KeyError, TypeError):  # not seen before, or lists
            return self._launcher(launch)

    def _launcher(self, launch):
        if not isinstance(launch, tuple) or not 2 <= len(launch) <= 4:
            fail("AX0701", "a kernel is launched as kernel[blocks, threads](...) or kernel[blocks, threads, stream](...)")
        if len(launch) == 4 and launch[3]:
            fail("AX0701", "shared arrays have their shapes in the kernel: there is no shared memory of dynamic size")
        blocks, threads, stream = launch[0], launch[1], _stream_of(launch[2:3])
        long_way = functools.partial(self._launch, blocks, threads, stream)
        made = self._ready()._launcher(blocks, threads, stream, long_way) if self._plain and not self._form.captured else None
        if made is None:
            return long_way
        if len(self._launchers) >= _MOST_LAUNCHES:
            self._launchers = {}
        try:
            self._launchers[launch] = made
        except TypeError:  # a stream that is no key
            pass
        return made

    def configure(self, griddim, blockdim, stream=0, sharedmem=0):
        """kernel[griddim, blockdim, stream]."""
        return self[griddim, blockdim, stream, sharedmem]

    def forall(self, ntasks, tpb=0, stream=0, sharedmem=0):
        """The kernel over at least ntasks threads in one dimension; tpb: threads of a block."""
        threads = tpb or 256
        return self[max(1, -(-int(ntasks) // threads)), threads, stream, sharedmem]

    def __call__(self, *args):
        fail("AX0701", f"a kernel needs its launch: {self.__name__}[blocks, threads](...)")

    def _ready(self):
        with self._lock:
            if self._program is None:
                self._program = Program(self.source, target="cuda" if available_or_told(KERNELS) else "cpu", **self._options)
        return self._program

    def _launch(self, blocks, threads, stream, *args, **named):
        self._ready().launch(blocks, threads, *self._values(args, named), stream=stream)


def _stream_of(given):
    """Numba's 0 is what None is: the thread's stream, or the default one."""
    stream = given[0] if given else None
    if stream is None or (isinstance(stream, int) and stream == 0):
        return None
    _streams.handle(stream)  # says what is wrong with it
    return stream


def _make(function, device=False, fastmath=False, **_):
    return Compiled(function, device=True) if device else Kernel(function, fastmath)


def jit(*args, device=False, **options):
    """@cuda.jit, @cuda.jit(device=True)."""
    for name in options:
        if name not in {"fastmath", "cache", "debug", "opt", "lineinfo", "max_registers", "inline"}:
            fail("AX0210", f"cuda.jit takes no option {name!r}")
    make = functools.partial(_make, device=device, fastmath=options.get("fastmath", False))
    if len(args) == 1 and inspect.isfunction(args[0]):
        return make(args[0])
    return make


# ---- arrays, by Numba's names ----

def to_device(obj, stream=0, copy=True, to=None):
    """A copy of an array on the GPU, or in memory of the host where there is none; `to`: an array to copy into."""
    if to is None:
        return obj.copy() if copy and isinstance(obj, Array) else _asarray(obj)
    to.copy_to_device(obj)
    return to


def device_array(shape, dtype=np.float64, strides=None, order="C", stream=0):
    """An array on the GPU (or the host, where there is none) whose elements may be anything."""
    if strides is not None or order != "C":
        fail("AX0309", "arrays on a device are made in C order")
    shape = tuple(shape) if isinstance(shape, (tuple, list)) else (int(shape),)
    device = _place()
    return Array(_Memory.of_host(np.empty(shape, dtype)) if device < 0 else _Memory.new(shape, np.dtype(dtype), device))


def device_array_like(ary, stream=0):
    """device_array of the same shape and dtype."""
    return device_array(ary.shape, ary.dtype)


def pinned_array(shape, dtype=np.float64, strides=None, order="C"):
    """A NumPy array; its memory is what NumPy has."""
    return np.empty(shape, dtype, order)


def as_cuda_array(obj, sync=True):
    """An array of CuPy, PyTorch or Numba on a GPU, taken in place."""
    if not hasattr(obj, "__cuda_array_interface__"):
        raise TypeError("*obj* doesn't implement the cuda array interface.")
    return _asarray(obj)


def is_cuda_array(obj):
    """Has the object the CUDA array interface?"""
    return hasattr(obj, "__cuda_array_interface__")


def synchronize():
    """Waits for all work on the GPU; raises what launches and calls have to tell that nobody has waited for (an index out of range, say). Where there is no
    GPU there is nothing to wait for."""
    _streams.synchronize()


def _only_in_kernels(name):
    def stand_in(*args, **named):
        fail("AX0701", f"cuda.{name} stands in kernels only")
    stand_in.__name__ = name
    return stand_in


class _Names:
    """threadIdx and its kin: names for the translator."""

    def __init__(self, name):
        self._name = name

    def __getattr__(self, axis):
        fail("AX0701", f"cuda.{self._name}.{axis} stands in kernels only")


grid, gridsize, syncthreads = _only_in_kernels("grid"), _only_in_kernels("gridsize"), _only_in_kernels("syncthreads")
threadIdx, blockIdx, blockDim, gridDim, atomic, shared, local, const = (_Names(n) for n in ["threadIdx", "blockIdx", "blockDim", "gridDim", "atomic", "shared", "local", "const"])
fma, selp, popc, clz, cbrt = (_only_in_kernels(n) for n in ["fma", "selp", "popc", "clz", "cbrt"])
