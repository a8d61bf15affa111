"""Exceptions that carry what the compiler had to say."""
from typing import Any, Iterable, NamedTuple, NoReturn

from ._lib import ffi, lib
from .watching import raised

# what a name that nothing binds may have been meant for
_WORDS = ("bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 bfloat16 float32 float64 complex64 complex128 "
          "True False None newaxis inf nan").split()


class Diagnostic(NamedTuple):
    code: str
    severity: str
    message: str
    span: tuple
    line: int
    column: int
    text: str


class ArexError(Exception):
    """Base of all errors. code, span, line, column and text (with carets) are those of the first error."""

    text: Any  # a str; one of them is Python's SyntaxError too, whose text may be None

    def __init__(self, message: str, code: str = "", diagnostics: Iterable[Diagnostic] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.diagnostics = list(diagnostics)
        first = next((d for d in self.diagnostics if d.severity == "error"), None)
        self.span = first.span if first else (0, 0)
        self.line = first.line if first else 0
        self.column = first.column if first else 0
        self.text = "\n".join(d.text.rstrip("\n") for d in self.diagnostics) or message


class ArexWarning(UserWarning):
    """What the compiler noticed and let pass."""


class SyntaxError_(ArexError, ValueError):
    """The text is not a program."""


class NameError_(ArexError, ValueError):
    """A name, a function or a keyword is unknown, or bound twice."""


class TypeError_(ArexError, TypeError):
    """Types or arguments do not fit."""


class ShapeError(ArexError, ValueError):
    """Shapes, extents or axes do not fit."""


class ValueError_(ArexError, ValueError):
    """A value cannot be used: out of range, or nothing to reduce."""


class LimitError(ArexError, ValueError):
    """A limit of the compile options was reached."""


class UsageError(ArexError, ValueError):
    """The library was called in a way it rules out."""


class DeviceError(ArexError, RuntimeError):
    """No driver, no device, or trouble with one."""


class MemoryError_(ArexError, MemoryError):
    """The host or the device has no memory left."""


class CompilerError(ArexError, RuntimeError):
    """Code generation failed, or its library is missing."""


_TYPES = {
    **dict.fromkeys(["AX0203", "AX0204", "AX0208", "AX0306", "AX0304", "AX0305", "AX0308"], TypeError_),
    **dict.fromkeys(["AX0212", "AX0213", "AX0215", "AX0301", "AX0302", "AX0307", "AX0309"], ShapeError),
    **dict.fromkeys(["AX0214", "AX0303", "AX0310", "AX0311"], ValueError_),
    **dict.fromkeys(["AX0408", "AX0604"], MemoryError_),
    "AX01": SyntaxError_, "AX02": NameError_, "AX03": TypeError_, "AX04": LimitError, "AX05": CompilerError,
    "AX06": DeviceError, "AX07": UsageError,
}
_BY_STATUS = {2: UsageError, 3: DeviceError, 4: MemoryError_}


def _text(p):
    return ffi.string(p).decode("utf-8", "replace") if p else ""


def collect(diags):
    """The diagnostics of a diagnostics object, which stays the caller's."""
    found, one = [], ffi.new("arex_diagnostic *")
    for i in range(lib.arex_diagnostics_count(diags) if diags else 0):
        if lib.arex_diagnostics_get(diags, i, one) == 0:
            found.append(Diagnostic(_text(one.code), "warning" if one.severity else "error", _text(one.message),
                                    (one.begin, one.end), one.line, one.column,
                                    _text(lib.arex_diagnostics_text(diags, i))))
    return found


def class_of(code):
    return _TYPES.get(code) or _TYPES.get(code[:4]) or ArexError


def check(status, slot):
    """Frees what slot[0] holds; raises when status is not OK."""
    found = collect(slot[0])
    lib.arex_diagnostics_free(slot[0])
    slot[0] = ffi.NULL
    if status == 0:
        return found
    first = next((d for d in found if d.severity == "error"), None)
    if first is None:
        raise _BY_STATUS.get(status, ArexError)(f"failed with status {status}", "", found)
    if first.code == "AX0704":
        raised()  # the KeyboardInterrupt, say, that ended the call
    raise class_of(first.code)(f"{first.code}: {first.message}\n{first.text}".rstrip(), first.code, found)


def did_you_mean(name: str, *candidates: Any) -> str:
    """Words about the name that a mistyped one is nearest to, of these collections of names and the types; or none."""
    import difflib
    known = [n for names in candidates for n in list(names)[:5000] if isinstance(n, str) and n != name] + _WORDS
    near = difflib.get_close_matches(name, known, 1, 0.7)
    return f"; did you mean `{near[0]}`?" if near else ""


def fail(code: str, message: str) -> NoReturn:
    raise class_of(code)(f"{code}: {message}", code,
                         [Diagnostic(code, "error", message, (0, 0), 0, 0, f"error[{code}]: {message}")])
