"""Indices that the language has not: x[mask], whose shape depends on values, and x[...] = v, which changes elements in place. On the host
NumPy does it; on a device it is done there, and the answer is NumPy's: of an index that comes twice the last value stays."""
import math
from typing import Any

import numpy as np

from .array import Array, _plain, asarray
from .errors import fail
from .evaluating import _cached
from .exchange import on_a_device
from .program import ffi
from .stored import _Foreign, _is_contiguous, _Memory

_BLOCK = 256
_PLACES = """kernel places(holds, number, out) {
    i = grid(1)
    if i < len(holds) { if holds[i] { out[number[i] - 1] = i } }
}"""
_SCATTER = """kernel scatter(out, at, v) {
    i = grid(1)
    if i < len(at) { out[at[i]] = v[i] }
}"""


def _launch(text, n, *args):
    if n:
        _cached(text).launch(-(-n // _BLOCK), _BLOCK, *args)


# ---- masks ----

def is_mask(i: Any) -> bool:
    """Is an item of an index an array of booleans?"""
    if isinstance(i, list):
        i = np.asarray(i) if i else np.empty(0, np.intp)
    return isinstance(i, (Array, np.ndarray)) and i.dtype == np.bool_


def flatnonzero(a: Any) -> Any:
    """Where the elements that are not zero stand, in C order: int64. Runs at once, since the shape depends on them."""
    if not isinstance(a, Array):
        return np.flatnonzero(a)
    memory = (a if a.dtype == np.bool_ else a != 0)._run()
    if memory.host is not None:
        return Array(_Memory.of_host(np.flatnonzero(memory.host)))
    holds = _plain("reshape")(Array(memory), (-1,))
    number = _plain("cumsum")(_plain("int64")(holds))
    out = Array(_Memory.new((int(number[-1]) if holds.size else 0,), np.int64, memory.device))
    holds._run(), number._run()
    _launch(_PLACES, holds.size, holds, number, out)
    return out


def nonzero(a: Any) -> tuple:
    """An array of places for each axis of `a`."""
    if not isinstance(a, Array):
        return np.nonzero(a)
    flat, shape = flatnonzero(a), a.shape
    steps = [math.prod(shape[d + 1:]) for d in range(len(shape))]
    return tuple(flat // max(step, 1) % max(extent, 1) for step, extent in zip(steps, shape)) if len(shape) > 1 else (flat,)


def _items(index):
    return index if isinstance(index, tuple) else (index,)


def _axes_of(item):
    return 0 if item is None or item is Ellipsis else np.ndim(item) if not isinstance(item, Array) and is_mask(item) else item.ndim if is_mask(item) else 1


def _matched(shape, index):
    """The masks of an index have the extents of the axes that they stand for; else an IndexError."""
    taken, axis = sum(_axes_of(i) for i in index), 0
    for item in index:
        axes = len(shape) - taken if item is Ellipsis else _axes_of(item)
        if is_mask(item):
            mask, here = np.shape(item) if isinstance(item, list) else item.shape, tuple(shape[axis:axis + axes])
            if mask != here:
                raise IndexError(f"a mask of shape {mask} does not stand for axes of shape {here}")
        axis += axes


def without_masks(shape: tuple, index: Any) -> tuple:
    """The index with places in place of masks, as NumPy has it."""
    index = _items(index)
    found: list[Any] = []
    _matched(shape, index)
    for i in index:
        found += nonzero(np.asarray(i) if isinstance(i, list) else i) if is_mask(i) else [i]
    return tuple(found)


# ---- assignment ----

def assign(array: Array, index: Any, value: Any) -> None:
    """array[index] = value, in place: of NumPy's indices all, the value broadcast and converted to the array's dtype."""
    memory, index = array._run(), _items(index)
    if memory.host is not None:
        value, index = _host(value), tuple(map(_host_index, index))
        memory.settle()
        memory.host[index] = value
        return
    value = _converted(value, memory.dtype)
    if len(index) == 1 and isinstance(index[0], Array) and is_mask(index[0]) and not value.ndim:
        _by_mask(array, index[0], value)
    elif all(_is_plain(i) for i in index):
        _into_part(memory, index, value)
    else:
        _scatter(array, memory, tuple(map(_host_index, index)), value)


def _is_plain(i):
    """Is what it names a part that is there, and no copy?"""
    return i is None or i is Ellipsis or isinstance(i, slice) or (isinstance(i, (int, np.integer)) and not isinstance(i, bool))


def _host(x):
    return x.get() if isinstance(x, Array) else asarray(x).get() if on_a_device(x) else x


def _host_index(i):
    return i.get() if isinstance(i, Array) else i


def _converted(value, dtype):
    """As an array of this dtype that has run; a number that an integer type cannot hold is an error, as in NumPy."""
    if isinstance(value, Array) or on_a_device(value):
        value = asarray(value)
        value = value if value.dtype == dtype else value.astype(dtype)
        value._run()
        return value
    return value.astype(dtype) if isinstance(value, (np.ndarray, np.generic)) else np.asarray(value, dtype)


def _spread(value, shape):
    """The value, less axes that it has too many of, when it can be spread over this shape."""
    while value.ndim > len(shape) and value.shape[0] == 1:
        value = value[0]
    fits = value.ndim <= len(shape) and all(n in (1, m) for n, m in zip(value.shape[::-1], shape[::-1]))
    return value if fits else fail("AX0301", f"a value of shape {value.shape} cannot be spread over {shape}")


def _by_mask(array, mask, value):
    _matched(array.shape, (mask,))
    mask = _plain("reshape")(mask, mask.shape + (1,) * (array.ndim - mask.ndim))
    array._take(_plain("where")(mask, value, array))


def _part_of(memory, index):
    """The descriptor of a part that slices and integers name: NumPy works it out on an array that is never read."""
    shadow = np.lib.stride_tricks.as_strided(np.empty(1, memory.dtype), memory.shape, memory.strides)
    part = shadow[index if Ellipsis in index else index + (Ellipsis,)]
    struct = ffi.new("arex_array *", memory.struct[0])
    offset = part.__array_interface__["data"][0] - shadow.__array_interface__["data"][0]
    struct.data, struct.rank = ffi.cast("void *", int(ffi.cast("intptr_t", memory.struct.data)) + offset), part.ndim
    struct.shape[0:part.ndim], struct.strides[0:part.ndim] = part.shape, part.strides
    return _Foreign(struct, memory), part.shape


def _into_part(memory, index, value):
    part, shape = _part_of(memory, index)
    value = _spread(value, shape)
    memory.settle()
    if 0 not in shape:
        extents = "".join(f"shape(part, {d}), " for d in range(len(shape)))
        _cached(f"broadcast_to(v, ({extents}))" if shape else "v").into([value, part][:2 if shape else 1], part)


def _places_of(shape, index):
    """Where the elements of an index stand in C order, as NumPy picks them: of each axis the places along it, of which no array is made."""
    along = [np.broadcast_to(np.arange(n).reshape((-1,) + (1,) * (len(shape) - 1 - d)), shape)[index] for d, n in enumerate(shape)]
    return sum(at * math.prod(shape[d + 1:]) for d, at in enumerate(along))


def _last_of_each(places):
    """Which places to store, each once."""
    kept = np.unique(places[::-1], return_index=True)[1]
    return places.size - 1 - kept


def _scatter(array, memory, index, value):
    places = np.asarray(_places_of(memory.shape, index))
    value = _spread(value, places.shape)
    if not _is_contiguous(memory):
        host = array.get()
        host[index] = _host(value)
        array._take(asarray(host))
        return
    kept = _last_of_each(places.ravel())
    value = _plain("reshape")(_plain("broadcast_to")(value, places.shape), (-1,))[kept]
    if isinstance(value, Array):
        value._run()
    struct = ffi.new("arex_array *", memory.struct[0])
    struct.rank, struct.shape[0], struct.strides[0] = 1, math.prod(memory.shape), memory.dtype.itemsize
    memory.settle()
    _launch(_SCATTER, kept.size, Array(_Memory(struct, memory)), places.ravel()[kept], value)
