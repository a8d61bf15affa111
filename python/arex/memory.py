"""What arrays are made of: the extension's types, or, without an extension, the same in Python."""
import weakref
from typing import TYPE_CHECKING, Any

from ._lib import extension, ffi, lib


class _Elements:
    """Where the elements of an array are, and who keeps them alive."""

    __slots__ = ("owner", "host", "readers", "read_only", "_array", "_stream")

    def __init__(self) -> None:
        self.owner: Any = None
        self.host: Any = None
        self.readers: Any = None
        self.read_only, self._array, self._stream = False, None, 0

    def _set(self, address):
        self._array = ffi.new("arex_array *", ffi.cast("arex_array *", address)[0])

    def _own(self, context, _free):
        weakref.finalize(self, lib.arex_array_free, ffi.cast("arex_context *", context), ffi.new("arex_array *", self._array[0]))

    @property
    def _address(self):
        return int(ffi.cast("uintptr_t", self._array))

    @property
    def _code(self):
        return self._array.dtype

    @property
    def device(self):
        return self._array.device

    @property
    def shape(self):
        return tuple(self._array.shape[0:self._array.rank])

    @property
    def strides(self):
        return tuple(self._array.strides[0:self._array.rank])


class _Value:
    __slots__ = ("_memory", "_pending", "_form", "_waiting")


if TYPE_CHECKING:
    from ._fast import Elements, Value
else:
    Elements, Value = (_Elements, _Value) if extension is None else (extension.Elements, extension.Value)


def host_view(array, address):
    """Fills an arex_array at this address with what a NumPy array is; False: the long way must."""
    return extension is not None and extension.host_view(array, address)
