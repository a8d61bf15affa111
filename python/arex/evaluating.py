"""Programs evaluated on the spot, with numexpr's functions and arguments: `import arex as ne` works for numeric expressions."""
import os
import sys
import threading
from typing import Any, Mapping

import numpy as np

from .errors import ArexError, did_you_mean, fail
from .locks import Recent, lock
from .program import Program

_CACHE = 256
_programs = Recent()
_lock = lock()
_threads = 0
_last = threading.local()


def _keep(key, program):
    with _lock:
        _programs[key] = program
        if len(_programs) > _CACHE:
            _programs.popitem(last=False)
    return program


def _cached(expr, target="auto", device=0, fast=False, codegen="auto", arch="native"):
    """The program of these arguments: the last 256 are kept. What finds one takes no lock."""
    key = (expr, target, device, fast, codegen, arch)
    program = _programs.get(key)
    if program is None:
        return _keep(key, Program(expr, target=target, device=device, fast=fast, codegen=codegen, arch=arch))
    try:
        _programs.move_to_end(key)
    except KeyError:  # another thread has just dropped it
        pass
    return program


def _look_up(names, here, there):
    try:
        return [here[name] if name in here else there[name] for name in names]
    except KeyError as error:
        fail("AX0304", f"no value for the name `{error.args[0]}`{did_you_mean(error.args[0], here, there)}")


def _scopes(frame, local_dict, global_dict):
    here = frame.f_locals if local_dict is None else local_dict
    there = (frame.f_globals if local_dict is None else {}) if global_dict is None else global_dict
    return here, there


def _fortran(order, values):
    """Should a new result lie in Fortran's order? As NumPy's `order` has it: K and A keep what all inputs agree on."""
    if order not in ("K", "A", "C", "F"):
        fail("AX0701", f"order is 'K', 'A', 'C' or 'F', not {order!r}")
    if order in "CF":
        return order == "F"
    found = False
    for v in values:
        if isinstance(v, np.ndarray) and v.ndim > 1:
            flags = v.flags
            if flags.c_contiguous or not flags.f_contiguous:
                return False
            found = True
    return found


def _run(program, values, out, order, casting, threads):
    fortran = _fortran(order, values)
    if isinstance(out, np.ndarray) and casting != "no" and len(program.outputs) == 1:
        dtype, shape = program.result_type(*values)[0]
        if (out.dtype, out.shape) != (dtype, shape):
            try:
                np.copyto(out, program(*values, threads=threads), casting=casting)
            except (TypeError, ValueError) as error:
                fail("AX0309", f"out does not fit: {error}")
            return out
    result = program(*values, out=out, threads=threads) if threads or out is not None else program(*values)
    if not fortran or out is not None:
        return result
    return np.asfortranarray(result) if len(program.outputs) == 1 else type(result)(*map(np.asfortranarray, result)) if hasattr(result, "_fields") else tuple(map(np.asfortranarray, result))


def _with(program, here, there, out, order, casting, threads):
    if out is None and order == "K":
        result = program._evaluate(here, there, threads)
        if result is not NotImplemented:
            return result
    return _run(program, _look_up(program.inputs, here, there), out, order, casting, threads)


def evaluate(expr: str, local_dict: Mapping[str, Any] | None = None, global_dict: Mapping[str, Any] | None = None, out: Any = None, order: str = "K", casting: Any = "safe", sanitize: Any = None, *,
             truediv: Any = "auto", optimization: str = "aggressive", target: str = "auto", threads: int = 0, device: int = 0, fast: bool = False, codegen: str = "auto", arch: str = "native") -> Any:
    """Evaluates a program once; its names are looked up in local_dict, global_dict, or where evaluate is called.

    out: an array for the result; one of another dtype takes it under NumPy's `casting` rule. order: layout of a new result.
    threads: CPU threads, 0 for the number of set_num_threads. numexpr's sanitize and optimization ask for nothing: a text is never run as Python,
    and results do not depend on how it is compiled. Raises ArexError.
    """
    if truediv is False:
        fail("AX0701", "truediv=False is not taken: / of integers gives floats; write // for whole numbers")
    if not isinstance(expr, str):
        raise TypeError(f"a program is text, not {type(expr).__name__}")
    program = _cached(expr, target, device, fast, codegen, arch)
    here, there = _scopes(sys._getframe(1), local_dict, global_dict)
    _last.call = (program, out, order, casting, threads)
    return _with(program, here, there, out, order, casting, threads or _threads)


def re_evaluate(local_dict: Mapping[str, Any] | None = None, global_dict: Mapping[str, Any] | None = None) -> Any:
    """The last evaluate of this thread again, with the values its names have now."""
    call = getattr(_last, "call", None)
    if call is None:
        fail("AX0701", "there was no evaluate before this re_evaluate")
    program, out, order, casting, threads = call
    here, there = _scopes(sys._getframe(1), local_dict, global_dict)
    return _with(program, here, there, out, order, casting, threads or _threads)


def validate(expr: str, local_dict: Mapping[str, Any] | None = None, global_dict: Mapping[str, Any] | None = None, out: Any = None, order: str = "K", casting: Any = "safe", sanitize: Any = None, *,
             target: str = "auto", device: int = 0, fast: bool = False, codegen: str = "auto", arch: str = "native") -> Exception | None:
    """Checks what evaluate would, without computing: None when it would work, else the exception it would raise."""
    try:
        program = _cached(expr, target, device, fast, codegen, arch)
        values = _look_up(program.inputs, *_scopes(sys._getframe(1), local_dict, global_dict))
        _fortran(order, values)
        results = program.result_type(*values)
        if out is not None and not np.can_cast(results[0][0], out.dtype, casting):
            fail("AX0309", f"{results[0][0]} cannot be cast to {out.dtype} under the rule {casting!r}")
    except (ArexError, TypeError) as error:
        return error
    _last.call = (program, out, order, casting, 0)
    return None


def set_num_threads(n: int) -> int:
    """CPU threads of evaluate from now on, 0 for all; returns the number before. Results do not depend on it."""
    global _threads
    if not isinstance(n, int) or n < 0:
        fail("AX0701", f"a number of threads is an integer from 0 on, not {n!r}")
    _threads, before = n, _threads
    return before


def get_num_threads() -> int:
    """What set_num_threads has set; the number of cores where it has not."""
    return _threads or detect_number_of_cores()


def detect_number_of_cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0))
