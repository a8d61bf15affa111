"""Arrays on a device: memory in and out by DLPack and __cuda_array_interface__, calls that are not waited for, streams. Over a driver made for tests, with memory on a
"device" that the host can see, and, where there is a GPU, beside CuPy, PyTorch and JAX."""
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
    for name in ("fake_waited_for", "fake_worked_on", "fake_page"):
        getattr(driver, name).restype = ctypes.c_void_p
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


class Silent:
    """One whose interface tells of no streams, as PyTorch's; its DLPack does."""

    def __init__(self, array):
        self.array, self.asked = array, []

    @property
    def __cuda_array_interface__(self):
        return {k: v for k, v in self.array.__cuda_array_interface__.items() if k != "stream"}

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()

    def __dlpack__(self, *, stream=None, max_version=None):
        self.asked.append(stream)
        return self.array.__dlpack__(stream=stream, max_version=max_version)


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


def test_a_description_keeps_its_elements(fake):
    from arex.stored import _Memory
    for memory in (arex.asarray(X)._run(), _Memory.of_host(X)):
        struct = memory.struct
        assert struct.rank == 2 and struct.shape[1] == 6
    seen, struct = weakref.ref(memory), memory.struct
    del memory
    gc.collect()
    assert seen() is not None and struct.rank == 2
    del struct
    gc.collect()
    assert seen() is None


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


# ---- beside others, on the host and on a GPU ----

def peer(name):
    return pytest.importorskip(name)


def on_a_gpu():
    if arex.device_count() == 0:
        pytest.skip("no GPU here")


def test_torch_on_the_host():
    torch = peer("torch")
    t = torch.arange(6, dtype=torch.float32).reshape(2, 3)
    f = arex.compile("x * 2", target="cpu")
    a = arex.from_dlpack(t)
    t[0, 0] = 7
    assert a.device in ("cpu", "cuda:0") and a[0, 0].item() == 7 and f(t.numpy())[0, 0] == 14  # no copy
    if arex.device_count() == 0:
        assert torch.from_dlpack(arex.asarray(X)).tolist() == X.tolist()


def test_jax_on_the_host():
    jax = peer("jax")
    with jax.default_device(jax.devices("cpu")[0]):
        j = jax.numpy.arange(6.0).reshape(2, 3)
    a = arex.from_dlpack(j)
    assert (a + 1).get().tolist() == (np.arange(6.0).reshape(2, 3) + 1).tolist()


BIG = np.arange(1 << 22, dtype=np.float32)


def test_cupy_on_a_gpu():
    cp = peer("cupy")
    on_a_gpu()
    f = arex.compile("2*x + y")
    x, y = cp.asarray(BIG), cp.asarray(BIG[::-1].copy())
    want = 2 * BIG + BIG[::-1]
    for _ in range(3):
        x2 = x * 2 / 2  # work of CuPy's that is under way when ours is given
        r = f(x2, y)
        assert isinstance(r, arex.Array) and (cp.asnumpy(cp.asarray(r)) == want).all() and (cp.asnumpy(cp.from_dlpack(r)) == want).all()
    out = cp.zeros_like(x)
    assert f(x, y, out=out) is out and (cp.asnumpy(out) == want).all()
    assert (f(x[::2], y[::2]).get() == want[::2]).all()
    kernel = store()
    kernel[(BIG.size + 255) // 256, 256](x, out)
    assert (cp.asnumpy(out) == BIG).all()
    for non_blocking in (False, True):
        with cp.cuda.Stream(non_blocking=non_blocking) as stream:
            for _ in range(20):
                v = cp.asarray(BIG) + 1
                w = f(v, v, stream=stream)
                u = cp.from_dlpack(w) - 1
            stream.synchronize()
            assert (cp.asnumpy(u) == 3 * (BIG + 1) - 1).all()


def test_torch_on_a_gpu():
    torch = peer("torch")
    on_a_gpu()
    f = arex.compile("2*x + y")
    x, y = torch.from_numpy(BIG).cuda(), torch.from_numpy(BIG[::-1].copy()).cuda()
    want = 2 * BIG + BIG[::-1]
    for _ in range(3):
        r = f(x * 2 / 2, y)
        t = torch.from_dlpack(r)
        assert t.is_cuda and t.data_ptr() == pointer(r) and (t.cpu().numpy() == want).all()
        assert (torch.as_tensor(r, device="cuda").cpu().numpy() == want).all()
    out = torch.empty_like(x)
    f(x, y, out=out)
    assert (out.cpu().numpy() == want).all()
    assert (arex.from_dlpack(x).get() == BIG).all() and (arex.asarray(x[1::3]).get() == BIG[1::3]).all()
    b = torch.arange(8, device="cuda", dtype=torch.bfloat16)
    assert arex.compile("float32(x) + 1")(arex.from_dlpack(b)).tolist() == [float(i) + 1 for i in range(8)]
    stream = torch.cuda.Stream()  # not in order with the default one
    with torch.cuda.stream(stream):
        for _ in range(20):
            v = torch.from_numpy(BIG).cuda() + 1
            w = f(v, v, stream=stream)
            u = torch.from_dlpack(w) - 1
        stream.synchronize()
        assert (u.cpu().numpy() == 3 * (BIG + 1) - 1).all()


def test_jax_on_a_gpu():
    jax = peer("jax")
    on_a_gpu()
    if jax.default_backend() != "gpu":
        pytest.skip("JAX has no GPU here")
    f = arex.compile("2*x + y")
    x = jax.numpy.asarray(BIG)
    r = f(arex.from_dlpack(x), x)
    assert (np.asarray(r) == 3 * BIG).all()
    back = jax.dlpack.from_dlpack(r)
    assert (np.asarray(back + 1) == 3 * BIG + 1).all()
    assert (arex.asarray(back * 2).get() == 6 * BIG).all()


def test_calls_on_a_gpu():
    """Made again and again: the same bits as of a first call and of one that is waited for."""
    on_a_gpu()
    rng = np.random.default_rng(5)
    for source, n in [("x + y", 2), ("sum(x*y)", 2), ("sum(x*y, 0)", 2), ("e = exp(x - max(x, 1, keepdims=True)); return e / sum(e, 1, keepdims=True)", 1), ("sum(x.T * y[:, 0], 1)", 2),
                      ("cumsum(x, 1)", 1), ("s = sum(x); return x / s, s", 1), ("x[1:, ::2] - a", 2), ("x[argmax(x, 1) % 7]", 1)]:
        f = arex.compile(source)
        for shape in [(37, 64), (300, 1000), (37, 64), (1, 5)]:
            for _ in range(4):
                values = [rng.random(shape) for _ in f.inputs]
                values = [rng.random() if name == "a" else v for name, v in zip(f.inputs, values)]
                if shape == (1, 5) and "%" in source:
                    continue
                there = [arex.asarray(v) if np.ndim(v) else v for v in values]
                got, want = f(*there), arex.compile(source, target="cpu")(*values)
                for g, w in zip(got if isinstance(got, tuple) else (got,), want if isinstance(want, tuple) else (want,)):
                    assert isinstance(g, arex.Array) and np.array_equal(g.get(), w), (source, shape)


def test_arrays_that_go_while_work_is_under_way():
    on_a_gpu()
    f, streams, total = arex.compile("x + 1"), [arex.cuda.stream() for _ in range(3)], []
    for i in range(300):
        stream = streams[i % 3]
        a = f(arex.asarray(BIG + i), stream=stream)
        b = f(a, stream=stream)
        del a
        total.append((i, arex.compile("max(x)")(b, stream=stream)))
        del b
    arex.cuda.synchronize()
    assert all(float(t) == np.float32(np.float32(np.float32(BIG[-1] + np.float32(i)) + 1) + 1) for i, t in total)


def test_errors_on_a_gpu():
    on_a_gpu()

    @arex.cuda.jit
    def beyond(x):
        i = arex.cuda.grid(1)
        x[i] = 1
    x = arex.asarray(np.zeros(1000, np.float32))
    stream = arex.cuda.stream()
    for launch, look in [((4, 256), arex.cuda.synchronize), ((4, 256), x.get), ((4, 256, stream), stream.synchronize), ((4, 256, stream), x.get)]:
        for _ in range(3):
            beyond[launch](x)
        with pytest.raises(arex.ArexError, match="index 10(0|1|2).* is out of range for axis 0 with 1000"):
            look()
        look()
        assert (x.get() == 1).all()
    f = arex.compile("x ** y")
    n = arex.asarray(np.array([2, 3]))
    for power in (np.array([1, 2]), np.array([1, -2])):
        r = f(n, arex.asarray(power))
        if power[1] > 0:
            assert r.tolist() == [2, 9]
        else:
            with pytest.raises(arex.ArexError, match="negative"):
                r.get()


# ---- calls ----

def kinds(fake):
    """Pairs of a call and what it is called, over two arrays of ours or of somebody else's."""
    f, total = arex.compile("x + y"), arex.compile("sum(x*y)")
    a, b, c = (arex.asarray(np.ones(100)) for _ in range(3))
    kernel = store()
    return {"f(x, y)": lambda **o: f(a, b, **o), "out=": lambda **o: f(a, b, out=c, **o), "sum": lambda **o: total(a, b, **o), "f(x, 2.0)": lambda **o: f(a, 2.0, **o),
            "by name": lambda **o: f(y=a, x=b, **o), "interface": lambda **o: f(Other(a), Other(b), **o), "interface out=": lambda **o: f(Other(a), b, out=Other(c), **o),
            "kernel": lambda stream=0: kernel[4, 32, stream](a, b), "launch": lambda **o: kernel._program.launch(4, 32, a, b, **o)}


def store():
    @arex.cuda.jit
    def store(x, y):
        i = arex.cuda.grid(1)
        if i < len(x):
            y[i] = x[i]
    return store


NAMES = ["f(x, y)", "out=", "sum", "f(x, 2.0)", "by name", "interface", "interface out=", "kernel", "launch"]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_waited_for(fake, name):
    call = kinds(fake)
    call["kernel"]()
    for _ in range(3):  # made, then made again from what it came to
        fake.fake_waited_for()
        before, launches = (fake.fake_waits(), fake.fake_synchronised()), fake.fake_launches()
        result = call[name]()
        assert (fake.fake_waits(), fake.fake_synchronised()) == before and fake.fake_launches() > launches
        assert fake.fake_worked_on() == 1  # the default stream
        assert result is None or isinstance(result, (arex.Array, Other))
        if isinstance(result, arex.Array):
            assert result.device == "cuda:0" and result.shape == (() if name == "sum" else (100,)) and result.dtype == np.float64


class CuPy:
    ptr = 0x5000


class Torch:
    cuda_stream = 0x6000


class Numba:
    handle = ctypes.c_void_p(0x7000)


@pytest.mark.parametrize("name", NAMES)
def test_streams(fake, name):
    call = kinds(fake)
    call["kernel"]()
    mine = arex.cuda.stream()
    for stream, number in [(mine, mine.ptr), (0x4000, 0x4000), (CuPy(), 0x5000), (Torch(), 0x6000), (Numba(), 0x7000), (arex.cuda.default_stream(), 1), (1, 1)]:
        for _ in range(2):
            call[name](stream=stream)
            assert fake.fake_worked_on() == number
    with mine, arex.cuda.external_stream(0x4000):
        call[name]()
        assert fake.fake_worked_on() == 0x4000
    with mine:
        call[name](stream=0x4000)
        assert fake.fake_worked_on() == 0x4000
        call[name]()
        assert fake.fake_worked_on() == mine.ptr
    call[name]()
    assert fake.fake_worked_on() == 1
    for wrong in ("main", 1.5, True)[:2 if name == "kernel" else 3]:  # to a kernel's memory of launches True is 1
        with pytest.raises(arex.UsageError, match="stream"):
            call[name](stream=wrong)
    with mine.auto_synchronize() as same:
        assert same is mine
    assert fake.fake_waited_for() == mine.ptr
    assert fake.fake_out_of_order() == 0
    with pytest.raises(TypeError):
        pickle.dumps(mine)


@needs_extension
def test_makers_that_tell_of_no_streams_are_asked_by_dlpack(fake):
    f, a = arex.compile("x + y"), arex.asarray(np.ones((10, 10)))
    x, y = Silent(a), Silent(a)
    for _ in range(3):
        r = f(x, y)
        f(x, y, out=x, stream=0x4000)
        f._call(x, y)
    assert x.asked == [1, 0x4000, 0x4000, 1] * 3 and y.asked == [1, 0x4000, 1] * 3
    assert isinstance(r, arex.Array) and r.shape == (10, 10)
    assert pointer(arex.asarray(x)) == pointer(a) and x.asked[-1] == 1


@needs_extension
def test_makers_whose_stream_is_known(fake):
    """As PyTorch, whose class is known by its module: a look at where it works now saves asking."""
    import subprocess
    import sys
    program = f"""
import ctypes, os, sys, types
import numpy as np
import arex, arex.program
from arex.program import ffi, lib
torch = types.ModuleType("torch")
torch.stream, torch._C = 0, types.SimpleNamespace(_cuda_getCurrentRawStream=lambda device: torch.stream)
sys.modules["torch"] = torch
options, out = ffi.new("arex_context_options *"), ffi.new("arex_context **")
lib.arex_context_options_init(options)
path = ffi.new("char[]", os.fsencode({str(FAKE)!r}))
options.cuda_driver = path
lib.arex_context_new(options, out, ffi.NULL)
arex.program._contexts[0, 0] = out[0]
sys.path.insert(0, {str(ROOT / "tests/python")!r})
from test_exchange import Silent
Silent.__module__ = "torch"
f, a = arex.compile("x + y"), arex.asarray(np.ones(10))
x, asked = Silent(a), []
f(x, 1.0)
for torch.stream, ours in [(0, 1), (0, 0), (77, 77), (77, 1), (0, 77)]:
    x.asked.clear()
    f(x, 1.0, stream=ours)
    asked.append(list(x.asked))
assert asked == [[], [], [], [1], [77]], asked
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_streams_of_kernels_by_other_names(fake):
    kernel, a, b = store(), arex.asarray(np.ones(100)), arex.asarray(np.ones(100))
    for launch in (kernel.forall(100, stream=0x4000), kernel.configure(4, 32, stream=0x4000), kernel[(4,), (32,), 0x4000, 0]):
        launch(a, b)
        assert fake.fake_worked_on() == 0x4000
    kernel.forall(100)(a, b)
    assert fake.fake_worked_on() == 1
    with pytest.raises(arex.UsageError, match="dynamic"):
        kernel[4, 32, 0, 1024](a, b)


def test_looking_waits(fake):
    f = arex.compile("x + y")
    a = arex.asarray(np.ones(100))
    f(a, a, stream=0x4000)
    for look in (lambda r: r.get(), np.asarray, lambda r: r.tolist(), arex.asnumpy):
        r, before = f(a, a), fake.fake_waits()
        look(r)
        assert fake.fake_waits() > before
    before = fake.fake_synchronised()
    f(a, a, stream=0x4000).get()  # other streams need not be in order with the default one
    assert fake.fake_synchronised() > before
    before = fake.fake_synchronised()
    arex.cuda.synchronize()
    assert fake.fake_synchronised() == before + 1


@needs_extension
@pytest.mark.parametrize("stream, waits", [(None, False), (1, False), (-1, False), (0x4000, True)])
def test_takers_of_memory_come_after_its_work(fake, stream, waits):
    f, a = arex.compile("x + y"), arex.asarray(np.ones(100))
    r, before = f(a, a), fake.fake_waits()
    capsule = r.__dlpack__(stream=stream)
    assert (fake.fake_waits() > before) == waits
    del capsule
    r, before = f(a, a, stream=0x9000), fake.fake_synchronised()
    r.__dlpack__(stream=None)
    assert fake.fake_synchronised() == before + 1
    before = fake.fake_synchronised()
    assert f(a, a, stream=0x9000).__cuda_array_interface__["stream"] == 1
    assert fake.fake_synchronised() == before + 1


def test_lent_memory_waits(fake):
    """Somebody else may still work on it, on any stream."""
    f, a = arex.compile("x + y"), arex.asarray(np.ones(100))
    r = f(a, a)
    at = pointer(r)
    del r
    assert pointer(f(a, a)) == at  # in order on one stream
    r = f(a, a)
    r.__cuda_array_interface__
    del r
    gc.collect()
    assert pointer(f(a, a)) != at
    arex.cuda.synchronize()
    assert at in [pointer(r) for r in [f(a, a) for _ in range(3)]]


def test_memory_goes_between_streams_after_a_wait(fake):
    f, a = arex.compile("x + y"), arex.asarray(np.ones(100))
    r = f(a, a, stream=0x4000)
    at = pointer(r)
    del r
    assert pointer(f(a, a)) != at and pointer(f(a, a, stream=0x4000)) == at


def raised_by_the_device(fake):
    ctypes.c_uint32.from_address(fake.fake_page()).value = 4  # an index out of range


LOOKS = {"synchronize": lambda a, s: arex.cuda.synchronize(), "get": lambda a, s: a.get(), "float": lambda a, s: float(a.sum()), "stream": lambda a, s: s.synchronize(),
         "asnumpy": lambda a, s: arex.asnumpy(a + 1)}


@pytest.mark.parametrize("look", LOOKS)
def test_errors_are_told_later(fake, look):
    kernel, a, b = store(), arex.asarray(np.ones(100)), arex.asarray(np.ones(100))
    stream = arex.cuda.default_stream()
    kernel[4, 32](a, b)
    kernel[4, 32](a, b)
    raised_by_the_device(fake)
    kernel[4, 32](a, b)
    with pytest.raises(arex.ArexError, match="index") as told:
        LOOKS[look](arex.asarray(np.ones(3)), stream)
    assert told.value.code == "AX0312"
    LOOKS[look](arex.asarray(np.ones(3)), stream)  # once
    kernel[4, 32](a, b)
    raised_by_the_device(fake)
    kernel._program = kernel._launchers = None  # the kernel goes, what it has to tell stays
    gc.collect()
    with pytest.raises(arex.ArexError, match="index"):
        arex.cuda.synchronize()
    arex.cuda.synchronize()


def test_threads_call_at_once(fake):
    import threading
    f, kernel, wrong = arex.compile("x + y"), store(), []

    def work(n):
        try:
            a, b = arex.asarray(np.ones(n)), arex.asarray(np.ones(n))
            for i in range(300):
                r = f(a, b)
                kernel[4, 32](r, b)
                if r.shape != (n,) or (i % 50 == 0 and r.get().shape != (n,)):
                    wrong.append(r)
        except Exception as error:
            wrong.append(error)
    threads = [threading.Thread(target=work, args=(10 + k,)) for k in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
