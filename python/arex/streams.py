"""Streams of CUDA as calls take them: numbers, objects of ours, of CuPy, PyTorch and Numba; and the one of `with stream:`."""
import contextlib
import sys
import threading
from typing import Any, Iterator

from ._lib import extension, ffi, lib
from .errors import ArexError, check, fail

DEFAULT = 1  # CUDA's own handle of its default stream
_here = threading.local()  # number: of `with stream:`; before: of those around it


def handle(stream: Any) -> int:
    """The number of a stream: 0 for None (then the thread's is meant), 1 for CUDA's default stream, else its handle."""
    if stream is None:
        return 0
    number = stream
    for name in ("ptr", "cuda_stream", "handle"):
        number = getattr(number, name, number)
    number = getattr(number, "value", number)
    number = 0 if number is None else number
    if isinstance(number, bool) or not isinstance(number, int):
        fail("AX0701", f"{stream!r} is no stream: give a number, or an object of arex.cuda, CuPy, PyTorch or Numba")
    return number or DEFAULT


def number(stream: Any = None) -> int:
    """Of the stream that a call with this argument is given to."""
    return handle(stream) or getattr(_here, "number", 0) or DEFAULT


def of_maker(kind: type) -> Any:
    """What tells, of a device, the stream that a library gives its work to now, by the class of its arrays; None where we do not know."""
    if kind.__module__.partition(".")[0] != "torch":
        return None
    return getattr(getattr(sys.modules.get("torch"), "_C", None), "_cuda_getCurrentRawStream", None)


def _set(number):
    before, _here.number = getattr(_here, "number", 0), number
    if extension is not None:
        extension.set_stream(number)
    return before


def _context():
    from .program import context
    return context()


def _where_there_is_one(wait):
    try:
        wait()
    except ArexError as error:
        if error.code not in ("AX0601", "AX0602", "AX0603"):  # no driver, none that serves, no device
            raise


def wait(number: int, device: int = 0) -> None:
    """Until the work of a stream is done; raises what it has to tell. Without a device there is none."""
    slot = ffi.new("arex_diagnostics **")
    _where_there_is_one(lambda: check(lib.arex_stream_wait(_context(), device, ffi.cast("void *", number), slot), slot))


def synchronize(device: int = 0) -> None:
    """Until all work of the device is done, of whatever stream and whoever in the process; raises what it has to tell. Without a device there is none."""
    slot = ffi.new("arex_diagnostics **")
    _where_there_is_one(lambda: check(lib.arex_synchronize(_context(), device, slot), slot))


class Stream:
    """A queue of work on a GPU: Stream(), a new one; Stream(null=True), CUDA's default one. Calls are given to it by `stream=`, by
    kernel[blocks, threads, stream], and within `with stream:`. Where there is no GPU it does nothing.

    ptr: its handle, a number that CuPy, PyTorch and Numba take too. non_blocking is taken and makes no difference: streams of ours are in order with
    CUDA's default stream. Free it in no hurry: that waits for its work."""

    def __init__(self, null: bool = False, non_blocking: bool = False, ptds: bool = False, *, ptr: int | None = None) -> None:
        from .devices import device_count
        self._free: Any = None
        if ptr is not None:
            self.ptr = int(ptr)
        elif ptds:
            self.ptr = 2
        elif null or device_count() == 0:
            self.ptr = 0
        else:
            self.ptr = self._new()

    def _new(self):
        slot, out, context = ffi.new("arex_diagnostics **"), ffi.new("void **"), _context()
        check(lib.arex_stream_new(context, 0, out, slot), slot)
        free = lib.arex_stream_free
        self._free = lambda: free(context, 0, out[0])
        return int(ffi.cast("uintptr_t", out[0]))

    def __del__(self):
        if getattr(self, "_free", None):
            self._free()

    @property
    def cuda_stream(self) -> int:
        """The handle, by the name that PyTorch has for it."""
        return self.ptr

    def __repr__(self) -> str:
        return f"<arex.cuda.Stream {self.ptr:#x}>" if self.ptr > 2 else "<arex.cuda.Stream, the default one>"

    def __reduce__(self):
        raise TypeError("a stream belongs to its process")

    def __enter__(self) -> "Stream":
        _here.before = getattr(_here, "before", ()) + (_set(self.ptr or DEFAULT),)
        return self

    def __exit__(self, *about: Any) -> None:
        *_here.before, number = _here.before
        _here.before = tuple(_here.before)
        _set(number)

    def use(self) -> "Stream":
        """The stream of this thread's calls from now on."""
        _set(self.ptr or DEFAULT)
        return self

    def synchronize(self) -> None:
        """Waits for the work of the stream; raises what it has to tell (an index out of range in a kernel, say)."""
        wait(self.ptr)

    @contextlib.contextmanager
    def auto_synchronize(self) -> Iterator["Stream"]:
        """with stream.auto_synchronize(): the stream is waited for at the end."""
        yield self
        self.synchronize()


def stream() -> Stream:
    """A new stream."""
    return Stream()


def default_stream() -> Stream:
    """CUDA's default stream, on which everything runs that was given no other."""
    return Stream(null=True)


def external_stream(ptr: int) -> Stream:
    """A stream that somebody else has made and frees."""
    return Stream(ptr=ptr)
