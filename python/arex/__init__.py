"""Arex: array expressions compiled to fused kernels, for CPU and GPU.

    import arex
    arex.evaluate("sum(x*x)")          # names come from the caller
    f = arex.compile("a*x + y")        # f(a, x, y), f(a=..., x=..., y=..., out=...)
"""
import collections as _collections
import json as _json
import sys as _sys

from ._lib import ffi as _ffi, lib as _lib, library_path as _library_path
from .errors import (ArexError, ArexWarning, CompilerError, DeviceError, Diagnostic, LimitError, MemoryError_, NameError_, ShapeError,
                     SyntaxError_, TypeError_, UsageError, ValueError_, check as _check, fail as _fail)
from .program import Program, context as _context, take as _take

__version__ = _ffi.string(_lib.arex_version()).decode()
__all__ = ["ArexError", "ArexWarning", "CompilerError", "DeviceError", "Diagnostic", "LimitError", "MemoryError_", "NameError_", "Program",
           "ShapeError", "SyntaxError_", "TypeError_", "UsageError", "ValueError_", "compile", "device_count", "evaluate",
           "list", "show_config"]
_CACHE = 256
_programs = _collections.OrderedDict()


def compile(expr, *, target="auto", threads=0, device=0, fast=False, name="<string>"):
    """A callable for a program; code is made for each new combination of dtypes and ranks, once."""
    return Program(expr, target=target, threads=threads, device=device, fast=fast, name=name)


def _cached(expr, **options):
    key = (expr, *sorted(options.items()))
    program = _programs.get(key)
    if program is None:
        program = _programs[key] = Program(expr, **options)
        if len(_programs) > _CACHE:
            _programs.popitem(last=False)
    return program


def evaluate(expr, local_dict=None, global_dict=None, out=None, *, target="auto", threads=0, device=0, fast=False):
    """Evaluates a program once; its names are looked up in local_dict, global_dict, or where evaluate is called."""
    if not isinstance(expr, str):
        raise TypeError(f"a program is text, not {type(expr).__name__}")
    program = _cached(expr, target=target, device=device, fast=fast)
    frame = _sys._getframe(1)
    here = frame.f_locals if local_dict is None else local_dict
    there = (frame.f_globals if local_dict is None else {}) if global_dict is None else global_dict
    values = []
    for name in program.inputs:
        if name not in here and name not in there:
            _fail("AX0304", f"no value for the name `{name}`")
        values.append(here[name] if name in here else there[name])
    return program(*values, out=out, threads=threads)


def list(what="ops"):
    """A table of the language (ops, types, stages, errors) as Python data."""
    text = _ffi.new("char **")
    if _lib.arex_list(what.encode(), 1, text):
        _lib.arex_free(text[0])
        _fail("AX0701", f"no list {what!r}: use ops, types, stages or errors")
    return _json.loads(_take(text))


def device_count():
    """Number of CUDA devices; 0 without a driver."""
    count, slot = _ffi.new("int *"), _ffi.new("arex_diagnostics **")
    _check(_lib.arex_device_count(_context(), count, slot), slot)
    return count[0]


def show_config():
    """Prints the version, the library and what this machine offers."""
    text = _ffi.new("char **")
    _lib.arex_doctor(_context(), 0, text)
    print(f"arex {__version__}, {_library_path}\n{_take(text)}", end="")
