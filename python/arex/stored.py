"""Elements that are there: memory behind arrays, on a device or in the host's, and who waits to read it."""
import weakref

import numpy as np

from .errors import check, fail
from .locks import lock
from .memory import Elements, host_view
from .program import _CODES, _dtype, _view, context, ffi, lib

_state = lock()  # what an array waits for, and whether it has run, changes under it; nothing runs under it


class _Memory(Elements):
    """Elements that are there: in a NumPy array, or on a device behind an arex_array. owner is kept alive with them."""

    __slots__ = ("__weakref__",)

    def __init__(self, struct, owner, host=None, read_only=False):
        super().__init__()
        self.owner, self.host, self.readers, self.read_only = owner, host, [], bool(read_only)
        self._set(int(ffi.cast("uintptr_t", struct)))

    @property
    def struct(self):
        """The arex_array, which keeps this object."""
        return ffi.gc(ffi.cast("arex_array *", self._address), lambda _, keep=self: None)

    @property
    def dtype(self):
        return _dtype(self._code) if self.host is None else self.host.dtype

    def read_by(self, array):
        if self.readers is None:  # made without Python
            self.readers = []
        if len(self.readers) >= 256:
            self.readers = [r for r in self.readers if r() is not None and r()._pending]
        self.readers.append(weakref.ref(array))

    def settle(self):
        """Before the elements change: may they? What has been put off and reads them runs now."""
        if self.read_only:
            fail("AX0309", "the array is read-only: who made it said so")
        with _state:
            readers, self.readers = self.readers or [], []
        for reader in readers:
            array = reader()
            if array is not None:
                array._run()

    def lent(self):
        """Others work on the elements from now on, on streams that are not seen here."""
        lib.arex_array_lent(context(), self.struct)

    @classmethod
    def of_host(cls, array):
        struct = ffi.new("arex_array *")
        if not host_view(array, int(ffi.cast("uintptr_t", struct))):
            _view(struct, array, "array")  # says what is wrong, if anything
        return cls(struct, array, array, not array.flags.writeable)

    @classmethod
    def taken(cls, result):
        """Of an output that the library has allocated."""
        memory = cls(ffi.new("arex_array *", result), None)
        memory._own(int(ffi.cast("uintptr_t", context())), int(ffi.cast("uintptr_t", lib.arex_array_free)))
        return memory

    @classmethod
    def new(cls, shape, dtype, device):
        struct = ffi.new("arex_array *")
        struct.dtype, struct.rank, struct.device = _code(dtype), len(shape), device
        struct.shape[0:len(shape)] = shape
        slot = ffi.new("arex_diagnostics **")
        check(lib.arex_array_alloc(context(), struct, slot), slot)
        return cls.taken(struct[0])


def _code(dtype):
    code = _CODES.get(np.dtype(dtype))
    return code if code else fail("AX0306", f"dtype {dtype!r} is not supported")


def _copy(to, source):
    slot = ffi.new("arex_diagnostics **")
    check(lib.arex_array_copy(context(), to, source, slot), slot)


def _is_contiguous(memory):
    step = memory.dtype.itemsize
    for extent, stride in zip(reversed(memory.shape), reversed(memory.strides)):
        if extent != 1 and stride != step:
            return False
        step *= extent
    return True


class _Foreign:
    """Elements by their descriptor, for a call; keeps what owns them."""

    def __init__(self, struct, owner):
        self.struct, self.owner = struct, owner
