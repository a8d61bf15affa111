"""Which GPUs there are; where there is none, work that asks for one goes to the host, which is told once for each kind of work."""
import sys
import threading
import warnings

from ._lib import ffi, lib
from .errors import ArexWarning, check
from .program import context

_told = {"arrays stay in the memory of the host, and programs run on the CPU": threading.Event(), "kernels run on the CPU": threading.Event()}
ARRAYS, KERNELS = _told


def device_count() -> int:
    """Number of CUDA devices; 0 without a driver."""
    count, slot = ffi.new("int *"), ffi.new("arex_diagnostics **")
    check(lib.arex_device_count(context(), count, slot), slot)
    return count[0]


def is_available() -> bool:
    """Is there a GPU to run on?"""
    return device_count() > 0


def _stacklevel():
    """Of the first frame outside the package, for a warning of whoever calls this."""
    frame, level = sys._getframe(1), 1
    while frame.f_back and frame.f_globals.get("__package__") == __package__:
        frame, level = frame.f_back, level + 1
    return level


def available_or_told(instead):
    """Is there a GPU? If not, what is done instead is told once, at the line that called the package."""
    if is_available():
        return True
    if not _told[instead].is_set():
        _told[instead].set()
        warnings.warn(f"no NVIDIA GPU is found: {instead}", ArexWarning, stacklevel=_stacklevel())
    return False
