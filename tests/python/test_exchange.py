"""Memory in and out by DLPack and __cuda_array_interface__, over a driver made for tests: memory on a "device" that the host can see."""
import ctypes
import gc
import os
import pathlib
import pickle
import weakref

import numpy as np
import pytest

import arex
import arex.program
from arex import evaluating, exchange
from arex.program import extension, ffi, lib

ROOT = pathlib.Path(__file__).resolve().parents[2]
FAKE = next((p for p in [ROOT / "build/release/tests/runtime/libfake_cuda.so", ROOT / "tests/c/libfake_cuda.so"] if p.exists()), None)
pytestmark = pytest.mark.skipif(FAKE is None, reason="the driver of the tests is not built")
needs_extension = pytest.mark.skipif(extension is None, reason="the extension is not built")
X = np.arange(24.0).reshape(4, 6)


@pytest.fixture
def fake(monkeypatch):
    """Two devices. What they are told is asked of the returned library. Kernels do not run there."""
    driver = ctypes.CDLL(str(FAKE))
    driver.fake_waited_for.restype = ctypes.c_void_p
    driver.fake_reset()
    options, out = ffi.new("arex_context_options *"), ffi.new("arex_context **")
    lib.arex_context_options_init(options)
    path = ffi.new("char[]", os.fsencode(FAKE))
    options.cuda_driver = path
    assert lib.arex_context_new(options, out, ffi.NULL) == 0
    monkeypatch.setattr(arex.program, "_contexts", {(0, 0): out[0], (0, 1): out[0]})
    monkeypatch.setattr(evaluating, "_programs", type(evaluating._programs)())
    yield driver
    gc.collect()
    evaluating._programs.clear()
    gc.collect()
    lib.arex_context_free(out[0])
    assert driver.fake_live() == 0  # all memory was given back, whoever had it


def pointer(a):
    return int(ffi.cast("uintptr_t", a._run().struct.data))


class Other:
    """An array of somebody else."""

    def __init__(self, array, **face):
        self.array, self.face = array, face

    @property
    def __cuda_array_interface__(self):
        return {**self.array.__cuda_array_interface__, **self.face}


class Maker:
    """One that speaks DLPack only, of version 1 or of before."""

    def __init__(self, array, old=False):
        self.array, self.old, self.asked = array, old, []

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()

    def __dlpack__(self, **options):
        self.asked.append(options)
        if self.old and set(options) - {"stream"}:
            raise TypeError("unexpected keyword")
        return self.array.__dlpack__(**options)


def test_out_by_interface(fake):
    a = arex.asarray(X)
    face = a.__cuda_array_interface__
    assert face == {"shape": (4, 6), "typestr": "<f8", "data": (pointer(a), False), "version": 3, "strides": None, "stream": 1}
    assert a.device == "cuda:0" and (a.get() == X).all()


def test_in_by_interface(fake):
    a = arex.asarray(X)
    b = arex.asarray(Other(a))
    assert b.device == "cuda:0" and pointer(b) == pointer(a) and (b.get() == X).all() and not b._run().read_only
    seen = weakref.ref(a._run())
    del a
    gc.collect()
    assert seen() is not None and (b.get() == X).all()  # kept alive
    del b
    gc.collect()
    assert seen() is None


@pytest.mark.parametrize("stream, waited", [(None, None), (1, None), (2, 2), (12345, 12345)])
def test_streams_of_others_are_waited_for(fake, stream, waited):
    a = arex.asarray(X)
    before = fake.fake_waited_for()
    arex.asarray(Other(a, stream=stream))
    assert fake.fake_waited_for() == (before if waited is None else waited)


@pytest.mark.parametrize("face, error", [({"stream": 0}, arex.UsageError), ({"stream": -1}, arex.UsageError), ({"stream": True}, arex.UsageError), ({"mask": 1}, arex.TypeError_),
                                         ({"typestr": ">f8"}, arex.TypeError_), ({"data": (64, False)}, arex.DeviceError)])
def test_faces_that_are_refused(fake, face, error):
    a = arex.asarray(X)
    with pytest.raises(error):
        arex.asarray(Other(a, **face))


def test_read_only_memory_stays_as_it_is(fake):
    a = arex.asarray(X)
    b = arex.asarray(Other(a, data=(pointer(a), True)))
    assert b.__cuda_array_interface__["data"] == (pointer(a), True)
    with pytest.raises(arex.ShapeError, match="read-only"):
        b += a
    with pytest.raises(arex.ShapeError, match="read-only"):
        np.add(a, a, out=b)

    @arex.cuda.jit
    def clear(x):
        x[arex.cuda.grid(1)] = 0
    with pytest.raises(arex.ShapeError, match="read-only"):
        clear[1, 1](arex.asarray(Other(arex.asarray(X[0]), data=(pointer(a), True))))
    if extension:
        with pytest.raises(BufferError):
            b.__dlpack__()  # cannot be said before version 1
        c = arex.from_dlpack(Maker(b))
        assert c._run().read_only and pointer(c) == pointer(a)


@needs_extension
@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("value", [X, np.float32(3), np.arange(5, dtype=np.int8), np.array([True, False]), np.zeros((0, 3)), np.ones((2, 1, 3), complex), np.ones(2, np.float16), np.ones(3, np.uint64)],
                         ids=lambda v: f"{v.dtype}-{v.shape}")
def test_round_trip(fake, value, old):
    a = arex.asarray(value)
    maker = Maker(a, old)
    for b in (arex.from_dlpack(maker), arex.asarray(maker)):
        assert (b.dtype, b.shape, b.device) == (a.dtype, a.shape, a.device) and pointer(b) == pointer(a) and np.array_equal(b.get(), value)
    assert all(asked["stream"] == 1 for asked in maker.asked)  # we work on the default stream: it is made to wait
    seen = weakref.ref(a._run())
    del a, maker
    gc.collect()
    assert seen() is not None and np.array_equal(b.get(), value)
    del b
    gc.collect()
    assert seen() is None


@needs_extension
def test_strides_go_through(fake):
    a = arex.asarray(X)
    b = arex.asarray(Other(a, shape=(6, 2), strides=(8, 96)))
    c = arex.from_dlpack(Maker(b))
    assert (c.shape, c.strides) == ((6, 2), (8, 96)) and c.__cuda_array_interface__["strides"] == (8, 96)


@needs_extension
def test_what_dlpack_says(fake):
    a = arex.asarray(X)
    assert a.__dlpack_device__() == (2, 0)
    assert '"dltensor"' in repr(a.__dlpack__()) and '"dltensor_versioned"' in repr(a.__dlpack__(max_version=(1, 1))) and '"dltensor"' in repr(a.__dlpack__(max_version=(0, 8)))
    owner, data, device, dl_type, shape, strides, flags = extension.dlpack_take(a.__dlpack__(max_version=(1, 0)))
    assert (data, device, dl_type, shape, strides, flags) == (pointer(a), (2, 0), (2, 64), (4, 6), (6, 1), 0)
    for stream in (None, -1, 1, 2, 999):
        a.__dlpack__(stream=stream)
    for stream in (0, -2, "1", True):
        with pytest.raises(ValueError):
            a.__dlpack__(stream=stream)
    copy = extension.dlpack_take(a.__dlpack__(copy=True, max_version=(1, 0)))
    assert copy[1] != pointer(a) and copy[6] == 2
    with pytest.raises(BufferError):
        a.__dlpack__(dl_device=(2, 1))
    assert (np.from_dlpack(a, device="cpu") == X).all() if "device" in np.from_dlpack.__doc__ else True
    taken = a.__dlpack__()
    extension.dlpack_take(taken)
    for wrong in (taken, object(), None):
        with pytest.raises(BufferError):
            extension.dlpack_take(wrong)


def test_on_the_host(fake, monkeypatch):
    monkeypatch.undo()  # no device
    x = X.copy()
    a = arex.from_dlpack(x)
    x[0, 0] = 7
    assert a.device == "cpu" and a[0, 0].item() == 7  # no copy
    assert np.shares_memory(np.from_dlpack(a), x) and a.__dlpack_device__() == (1, 0)
    frozen = X.copy()
    frozen.flags.writeable = False
    a = arex.from_dlpack(frozen)
    with pytest.raises(arex.ShapeError, match="read-only"):
        a += 1


# ---- x += y ----

def test_in_place():
    a = arex.asarray(X)
    same, late, x = a, a * 2, X.copy()
    memory = a._run()
    for change in (lambda v: v.__iadd__(1), lambda v: v.__imul__(X), lambda v: v.__isub__(np.float32(2)), lambda v: v.__itruediv__(3), lambda v: v.__ipow__(2), lambda v: v.__imod__(5)):
        a, x = change(a), change(x)
    assert a is same and a._run() is memory and np.allclose(a.get(), x)
    assert (late.get() == 2 * X).all()  # what was put off before sees the elements as they were
    n = arex.asarray(np.arange(4))
    n &= 2
    n <<= 1
    assert n.tolist() == [0, 0, 4, 4] and n.dtype == np.int64
    f = arex.asarray(np.ones(3, np.float32))
    f += np.ones(3)
    assert f.dtype == np.float32 and f.tolist() == [2, 2, 2]
    with pytest.raises(TypeError):
        n += 0.5
    with pytest.raises(TypeError):
        n /= 2
    with pytest.raises(ValueError):
        f += np.ones((2, 3))
    with pytest.raises(TypeError):
        f += "1"
    assert f.tolist() == [2, 2, 2]


def test_in_place_on_what_is_put_off():
    a = arex.asarray(X) * 2
    b = a + 1  # reads it
    c = a
    a += 100
    assert c is a and (a.get() == 2 * X + 100).all() and (b.get() == 2 * X + 1).all()


def test_pickle_of_arrays():
    a = pickle.loads(pickle.dumps(arex.asarray(X)))
    assert isinstance(a, arex.Array) and (a.get() == X).all()
