"""Arex: array expressions compiled to fused kernels, for CPU and GPU.

    import arex
    arex.evaluate("sum(x*x)")          # names come from the caller
    f = arex.compile("a*x + y")        # f(a, x, y), f(a=..., x=..., y=..., out=...)
"""
import json as _json
import sys as _sys
from typing import Any as _Any

from ._lib import ffi as _ffi, lib as _lib, library_path as _library_path
from .errors import (ArexError, ArexWarning, CompilerError, DeviceError, Diagnostic, LimitError, MemoryError_, NameError_, ShapeError,
                     SyntaxError_, TypeError_, UsageError, ValueError_, check as _check, fail as _fail)
from .devices import device_count
from .evaluating import detect_number_of_cores, evaluate, get_num_threads, re_evaluate, set_num_threads, validate
from .jit import jit, njit, prange, vectorize
from .watching import progress
from .program import Program, context as _context, take as _take

from . import array as _array, cuda, linalg, random  # noqa: E402
from .array import Array, array, asarray, asnumpy, empty, from_dlpack  # noqa: E402

__version__ = _ffi.string(_lib.arex_version()).decode()
__all__ = ["Array", "ArexError", "ArexWarning", "CompilerError", "DeviceError", "Diagnostic", "LimitError", "MemoryError_", "NameError_", "Program",
           "ShapeError", "SyntaxError_", "TypeError_", "UsageError", "ValueError_", "array", "asarray", "asnumpy", "compile", "detect_number_of_cores", "device_count", "evaluate", "from_dlpack",
           "cuda", "get_array_module", "get_num_threads", "jit", "linalg", "list", "njit", "prange", "progress", "random", "re_evaluate", "set_num_threads", "show_config", "validate", "vectorize"]


def compile(expr: str, *, target: str = "auto", threads: int = 0, device: int = 0, fast: bool = False, codegen: str = "auto", arch: str = "native", max_rounds: int = 0, max_work: int = 0,
            name: str = "<string>") -> Program:
    """A callable for a program; code is made for each new combination of dtypes and ranks, once. codegen: who makes a GPU's
    code, "nvptx" (LLVM's, always there), "nvvm" (NVIDIA's libNVVM) or "auto" (nvptx). arch: what a CPU's code is made for, "native" or a level from "x86-64" to "x86-64-v4". max_rounds: after which a loop of a
    function is given up with an error; 0 for 2**30. max_work: how much work one compilation may take, about vector instructions of its code before it is
    optimised; beyond it there is an error; 0 for 200000, some seconds."""
    return Program(expr, target=target, threads=threads, device=device, fast=fast, codegen=codegen, arch=arch, max_rounds=max_rounds, max_work=max_work, name=name)


def list(what: str = "ops") -> _Any:
    """A table of the language (ops, accuracy, aliases, types, stages, errors) as Python data."""
    text = _ffi.new("char **")
    if _lib.arex_list(what.encode(), 1, text):
        _lib.arex_free(text[0])
        _fail("AX0701", f"no list {what!r}: use ops, accuracy, aliases, types, stages or errors")
    return _json.loads(_take(text))


def get_array_module(*args: _Any) -> _Any:
    """This module when one of the arguments is an arex.Array, else NumPy: for code that takes both."""
    import numpy
    return _sys.modules[__name__] if any(isinstance(a, Array) for a in args) else numpy


def show_config() -> None:
    """Prints the version, the library and what this machine offers."""
    text = _ffi.new("char **")
    _lib.arex_doctor(_context(), 0, text)
    print(f"arex {__version__}, {_library_path}\n{_take(text)}", end="")


def load_ipython_extension(shell):
    """%load_ext arex"""
    from .magics import ArexMagics
    shell.register_magics(ArexMagics)


_NUMBAS = {
    "stencil": "arex has no stencil: write the neighbours as slices, x[1:-1] + x[:-2] + x[2:], which are one kernel",
    "guvectorize": "arex has no guvectorize: functions take whole arrays, and reductions an axis, so @jit does it",
    "cfunc": "arex has no cfunc: the C library calls programs as they are (arex/api.h)", "generated_jit": "arex has no generated_jit: functions are compiled for each type they are called with",
    "ElementwiseKernel": "arex has no ElementwiseKernel: expressions fuse as they are; for a text of your own arex.compile", "ReductionKernel": "arex has no ReductionKernel: arex.compile('sum(x * y)') is one",
    "RawKernel": "arex has no RawKernel: @arex.cuda.jit makes kernels of Python functions", "fuse": "arex has no fuse: operations on arrays are put off and fused anyway",
}


def __getattr__(name: str) -> _Any:
    """Every function of the language: arex.sin(x), arex.sum(x, axis=0); and what makes arrays."""
    if name in _array.MADE:
        return _array.MADE[name]
    if name.startswith("_") or not _array.known(name):
        import numpy
        known = not name.startswith("_") and (_NUMBAS.get(name) or (name in dir(numpy) and _array._refusal(f"numpy.{name}")))
        raise AttributeError(known or f"module 'arex' has no attribute {name!r}")
    return _array.function(name)
