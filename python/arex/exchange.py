"""Arrays of others, and ours for others, in place: DLPack and __cuda_array_interface__.

Work of ours is given to a stream (CUDA's default one, unless a call says otherwise) and not waited for. So whoever takes memory of ours is told of that stream, or it is
waited for; of memory that we take, the giver's stream is waited for, or its own work made to come before the default stream. What others do with our memory on
streams that are not seen here is waited for before the memory serves again.
"""
import math

import numpy as np

from . import streams
from ._lib import extension, ffi, lib
from .errors import check, fail
from .program import _CODES, _DTYPES, context

CPU, CUDA, CUDA_HOST, MANAGED = 1, 2, 3, 13  # DLPack's device types
_DEFAULT_STREAM = streams.DEFAULT  # as both protocols write it too
_READ_ONLY, _COPIED = 1, 2  # DLPack's flags
_KINDS = {"b": 6, "i": 0, "u": 1, "f": 2, "c": 5}
_BFLOAT16 = 4


class Taken:
    """Memory of somebody else: its description, who keeps it alive, whether it may be written."""

    def __init__(self, data, code, shape, strides, device, owner, read_only):
        self.struct, self.owner, self.read_only = ffi.new("arex_array *"), owner, read_only
        if len(shape) > 8:
            fail("AX0308", f"the array has {len(shape)} axes; arrays have at most 8")
        self.struct.data, self.struct.dtype, self.struct.rank, self.struct.device = ffi.cast("void *", data), code, len(shape), device
        self.struct.shape[0:len(shape)], self.struct.strides[0:len(shape)] = shape, strides


def _c_strides(shape, step):
    strides = []
    for extent in reversed(shape):
        strides.append(step)
        step *= max(extent, 1)
    return tuple(reversed(strides))


def _code(dtype):
    code = _CODES.get(dtype) if dtype.isnative else None
    return code if code else fail("AX0306", f"dtype {dtype!r} is not supported")


# ---- __cuda_array_interface__, version 3 ----

def _on_default(memory):
    """Is what has been given to do with it on the default stream, or has it been waited for?"""
    if memory._stream:
        streams.synchronize(memory.device)
    return True


def cuda_interface(memory, contiguous):
    """Ours for others, who wait for the stream that it names."""
    _on_default(memory)
    memory.lent()
    return {"shape": memory.shape, "typestr": memory.dtype.str, "data": (int(ffi.cast("uintptr_t", memory.struct.data)), memory.read_only), "version": 3,
            "strides": None if contiguous else memory.strides, "stream": _DEFAULT_STREAM}


def _device_of(pointer):
    device, slot = ffi.new("int *"), ffi.new("arex_diagnostics **")
    check(lib.arex_pointer_device(context(), ffi.cast("void *", pointer), device, slot), slot)
    return device[0]


def from_cuda_interface(x):
    """Takes x in place. The stream that it names is waited for; of a maker that names none, and has DLPack, by that, which puts its work before ours."""
    face = x.__cuda_array_interface__
    if "stream" not in face and extension is not None and on_a_device(x):
        return from_dlpack(x)
    data, read_only = face["data"]
    dtype, shape, stream = np.dtype(face["typestr"]), tuple(face["shape"]), face.get("stream")
    if face.get("mask") is not None:
        fail("AX0306", "arrays with a mask are not taken")
    if stream is not None and (isinstance(stream, bool) or not isinstance(stream, int) or stream <= 0):
        fail("AX0701", f"{stream!r} is no stream: 1 is the default one, 2 that of each thread, others are handles")
    empty = math.prod(shape) == 0
    device = 0 if empty and not data else _device_of(data)
    if stream is not None and stream != streams.number():
        streams.wait(stream, device)
    return Taken(data, _code(dtype), shape, face.get("strides") or _c_strides(shape, dtype.itemsize), device, x, bool(read_only))


# ---- DLPack ----

def _dl_type(dtype):
    return (_BFLOAT16 if dtype.name == "bfloat16" else _KINDS[dtype.kind], dtype.itemsize * 8)


def _code_of(dl_type):
    for code, dtype in _DTYPES.items():
        if _dl_type(dtype) == dl_type:
            return code
    return lib.AREX_BFLOAT16 if dl_type == (_BFLOAT16, 16) else fail("AX0306", f"DLPack's type {dl_type[0]} of {dl_type[1]} bits is not supported")


def _steps(memory):
    """Strides in elements, those of axes with one element as C order has them."""
    strides = _c_strides(memory.shape, 1)
    return tuple(c if n == 1 else s // memory.dtype.itemsize for c, n, s in zip(strides, memory.shape, memory.strides))


def _ordered(memory, stream):
    if stream != -1:
        _on_default(memory)
    if stream not in (None, _DEFAULT_STREAM):
        memory.lent()
        if stream != -1:
            streams.wait(_DEFAULT_STREAM, memory.device)


def to_dlpack(memory, stream=None, max_version=None, copied=False):
    """A capsule of device memory, for work on a stream: the default one's comes after ours anyway, before others ours is waited for; -1: no waiting."""
    if stream is not None and (isinstance(stream, bool) or not isinstance(stream, int) or stream < -1 or stream == 0):
        raise ValueError(f"{stream!r} is no stream: -1 for none, 1 is the default one, 2 that of each thread, others are handles")
    if extension is None:
        raise BufferError("DLPack on a device needs the package's extension; __cuda_array_interface__ does not")
    versioned = max_version is not None and tuple(max_version) >= (1, 0)
    if memory.read_only and not versioned:
        raise BufferError("the array is read-only, which DLPack cannot say before version 1")
    _ordered(memory, stream)
    flags = (_READ_ONLY if memory.read_only else 0) | (_COPIED if copied else 0)
    return extension.dlpack_give(memory, int(ffi.cast("uintptr_t", memory.struct.data)), (CUDA, memory.struct.device), _dl_type(memory.dtype), memory.shape,
                                 _steps(memory), flags, versioned)


def on_a_device(x):
    """Has x elements on a CUDA device, which it gives by DLPack?"""
    return hasattr(x, "__dlpack__") and hasattr(x, "__dlpack_device__") and x.__dlpack_device__()[0] in (CUDA, MANAGED)


def from_dlpack(x):
    """Takes x, which is on a device, in place. The giver makes its work come before the default stream, on which ours runs."""
    if extension is None:
        raise BufferError("DLPack on a device needs the package's extension; __cuda_array_interface__ does not")
    try:
        capsule = x.__dlpack__(stream=_DEFAULT_STREAM, max_version=(1, 0))
    except TypeError:  # from before version 1
        capsule = x.__dlpack__(stream=_DEFAULT_STREAM)
    owner, data, (kind, device), dl_type, shape, steps, flags = extension.dlpack_take(capsule)
    if kind not in (CUDA, MANAGED):
        raise BufferError(f"DLPack's device type {kind} is not supported")
    code = _code_of(dl_type)
    size = lib.arex_dtype_size(code)
    strides = _c_strides(shape, size) if steps is None else tuple(s * size for s in steps)
    return Taken(data, code, shape, strides, device, owner, bool(flags & _READ_ONLY))
