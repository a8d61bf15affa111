"""@cuda.jit: kernels over blocks of threads, as Numba's users write them; on the CPU where there is no GPU."""
import functools
import inspect
import threading
import warnings

from .errors import ArexWarning, fail
from .jit import Compiled, _decorator
from .program import Program
from .translate import Translator

_told = threading.Event()


def is_available():
    """Is there a GPU to run on?"""
    from . import device_count
    return device_count() > 0


def _target():
    if is_available():
        return "cuda"
    if not _told.is_set():
        _told.set()
        warnings.warn("no NVIDIA GPU is found: kernels run on the CPU", ArexWarning, stacklevel=3)
    return "cpu"


class Kernel:
    """kernel[blocks, threads](*args): arrays that it stores to are changed in place; host arrays are copied there and back."""

    def __init__(self, function, fastmath=False):
        functools.update_wrapper(self, function)
        self.py_func, self._fast = function, bool(fastmath)
        self._translated, self._program, self._lock = Translator(function, kernel=True), None, threading.Lock()
        self.source = self._translated.text
        if not self._translated.stored:
            fail("AX0216", f"the kernel {function.__name__} stores to none of its arguments")

    def __reduce__(self):
        return self.__qualname__

    def __getitem__(self, launch):
        if not isinstance(launch, tuple) or not 2 <= len(launch) <= 4:
            fail("AX0701", "a kernel is launched as kernel[blocks, threads](...)")
        return functools.partial(self._launch, *launch[:2])

    def __call__(self, *args):
        fail("AX0701", f"a kernel needs its launch: {self.__name__}[blocks, threads](...)")

    def _launch(self, blocks, threads, *args):
        with self._lock:
            if self._program is None:
                self._program = Program(self.source, target=_target(), fast=self._fast, name=self.__name__)
        if len(args) != len(self._translated.parameters):
            inspect.signature(self.py_func).bind(*args)
        outer = inspect.getclosurevars(self.py_func) if self._translated.captured else None
        found = {**outer.globals, **outer.nonlocals} if outer else {}
        args += tuple(eval(path, found) if "." in path else found.get(path, value) for path, value in self._translated.captured.values())
        self._program.launch(blocks, threads, *args)


def _make(function, device=False, fastmath=False, **_):
    return Compiled(function) if device else Kernel(function, fastmath)


def jit(*args, device=False, **options):
    """@cuda.jit, @cuda.jit(device=True)."""
    for name in options:
        if name not in {"fastmath", "cache", "debug", "opt", "lineinfo", "max_registers", "inline"}:
            fail("AX0210", f"cuda.jit takes no option {name!r}")
    make = functools.partial(_make, device=device, fastmath=options.get("fastmath", False))
    if len(args) == 1 and inspect.isfunction(args[0]):
        return make(args[0])
    return make


def synchronize():
    """Launches wait for their results, so there is nothing to wait for."""


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
threadIdx, blockIdx, blockDim, gridDim, atomic, shared = (_Names(n) for n in ["threadIdx", "blockIdx", "blockDim", "gridDim", "atomic", "shared"])
