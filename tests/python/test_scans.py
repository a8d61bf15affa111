"""cumsum, cumprod, cummax, cummin: NumPy's values; the same bits everywhere, at every length where a block, a group or a chunk ends."""
import numpy as np
import pytest

import arex

THEIRS = {"cumsum": np.cumsum, "cumprod": np.cumprod, "cummax": np.maximum.accumulate, "cummin": np.minimum.accumulate}
LENGTHS = [0, 1, 2, 15, 16, 17, 255, 256, 257, 4095, 4096, 4097, 8192, 20000, 100001]


def run(program, target, **arrays):
    got = arex.compile(program, target=target)(**arrays)
    return got if isinstance(got, tuple) else (got,)


def same_bits(program, targets, **arrays):
    want = run(program, "reference", **arrays)
    for target in targets[1:]:
        for got, w in zip(run(program, target, **arrays), want):
            assert got.dtype == w.dtype and got.shape == w.shape and got.tobytes() == w.tobytes(), (program, target)
    return want


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint8", "bool", "float16"])
@pytest.mark.parametrize("name", THEIRS)
def test_lengths(name, dtype, targets):
    rng = np.random.default_rng(1)
    for n in LENGTHS:
        x = (rng.normal(size=n) * (1 if name == "cumprod" else 9)).astype(dtype)
        (got,) = same_bits(f"{name}(x)", targets, x=x)
        with np.errstate(all="ignore"):
            want = THEIRS[name](x)
        assert got.dtype == want.dtype and got.shape == want.shape
        if name in ("cummax", "cummin") or got.dtype.kind in "iu":
            np.testing.assert_array_equal(got, want)
        elif dtype == "float64":
            np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-10)
        elif name == "cumsum" and dtype == "float32":
            np.testing.assert_allclose(got, np.cumsum(x.astype(np.float64)), rtol=1e-5, atol=2e-3)


@pytest.mark.parametrize("shape", [(3, 5), (40, 300), (7, 5000), (5000, 7), (2, 3, 4100), (4100, 2, 3), (1, 5), (5, 1), (0, 3), (3, 0)])
def test_axes(shape, targets):
    x = np.random.default_rng(2).normal(size=shape)
    for axis in range(-len(shape), len(shape)):
        (got,) = same_bits(f"cumsum(x, {axis})", targets, x=x)
        np.testing.assert_allclose(got, np.cumsum(x, axis), rtol=1e-10, atol=1e-10)
    (got,) = same_bits("cumsum(x)", targets, x=x)
    np.testing.assert_allclose(got, np.cumsum(x), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("layout", [lambda x: x, np.asfortranarray, lambda x: x[::-1, ::-1], lambda x: np.repeat(x, 2, 1)[:, ::2], lambda x: np.broadcast_to(x[:1], x.shape)])
def test_layouts_and_fusion(layout, targets):
    x = layout(np.random.default_rng(3).normal(size=(45, 333)).astype(np.float32))
    for axis in (0, 1):
        same_bits(f"cumsum(x*x + 1, {axis}), cummax(x, {axis}), sum(cumsum(x, {axis}), {axis}), cumsum(x, {axis}) - x", targets, x=x)
        same_bits(f"cumsum(exp(x), {axis})[::-1], cumsum(cumsum(x, 0), 1)", targets, x=x)


def test_more_blocks_than_a_block_holds(targets):
    x = np.random.default_rng(4).normal(size=4096 * 4096 + 5000)
    (got,) = same_bits("cumsum(x)", targets, x=x)
    np.testing.assert_allclose(got[::99991], np.cumsum(x)[::99991], rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("program, dtype", [("cumsum(x)", "float32"), ("cumsum(x)", "float64"), ("cummax(x)", "int8"), ("cumsum(x)", "bool"), ("cumsum(x*x + 0.1)", "float32")])
def test_where_totals_meet(program, dtype, targets):
    """At 16 and 256 blocks, where chunks and groups of totals end, and once more: nothing hangs on who comes first."""
    rng = np.random.default_rng(7)
    for blocks in (2, 15, 16, 17, 33, 255, 256, 257, 530):
        for n in (4096 * blocks, 4096 * blocks + 1):
            x = (rng.normal(size=n) * 9).astype(dtype)
            want = run(program, "cpu", x=x)[0].tobytes()
            for target in targets[2:]:
                f = arex.compile(program, target=target)
                assert all(f(x=x).tobytes() == want for _ in range(5)), (target, n)
        if blocks in (17, 257):
            assert run(program, "reference", x=x)[0].tobytes() == want


def test_rows_of_several_blocks(targets):
    x = np.random.default_rng(8).normal(size=(70, 70000))
    (got,) = same_bits("cumsum(x, 1)", targets, x=x)
    np.testing.assert_allclose(got, np.cumsum(x, 1), rtol=1e-9, atol=1e-8)
    same_bits("cumprod(x, 0), cumsum(x[::-1, ::-3], 1)", targets, x=x[:, :5000])


@pytest.mark.parametrize("dtype, words", [("float32", 1), ("float64", 2)])
def test_one_kernel_of_a_gpu(dtype, words):
    """It waits in one place for what blocks tell in three; on the CPU there are three steps."""
    program = arex.compile("cumsum(x*x)", codegen="nvptx")
    ptx = program.emit("ptx", types=f"x={dtype}[:]", arch="sm_90")
    assert ptx.count(".entry n0_") == 1
    assert (ptx.count("ld.volatile.global"), ptx.count("st.volatile.global"), ptx.count("atom.global")) == (words, 3 * words, 1)
    text = program.emit("nvvm", types=f"x={dtype}[:]", arch="sm_90")
    assert text.count("define void @n0_") == 1
    assert (text.count("load volatile i64"), text.count("store volatile i64"), text.count("atomicrmw add")) == (words, 3 * words, 1)
    steps = arex.compile("cumsum(x*x)").emit("llvm", types=f"x={dtype}[:]")
    assert all(f"@n0_{step}(" in steps for step in ("totals", "join", "main"))


def test_special_values(targets):
    x = np.array([1.0, np.inf, 2.0, -np.inf, 3.0, np.nan, 4.0])
    for name, theirs in THEIRS.items():
        (got,) = same_bits(f"{name}(x)", targets, x=x)
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(got, theirs(x))
    for zeros in ([-0.0, -0.0], [-0.0, 0.0], [0.0, -0.0]):
        (got,) = same_bits("cumsum(x)", targets, x=np.array(zeros))
        assert got.tobytes() == np.cumsum(zeros).tobytes()


def test_threads():
    x = np.random.default_rng(5).normal(size=300001)
    want = run("cumsum(x)", "reference", x=x)[0].tobytes()
    for threads in (1, 2, 3, 7):
        assert arex.compile("cumsum(x)", target="cpu")(x=x, threads=threads).tobytes() == want


def test_in_place(targets):
    for target in targets:
        x = np.arange(10000.0)
        arex.compile("cumsum(x)", target=target)(x=x, out=x)
        np.testing.assert_array_equal(x, np.cumsum(np.arange(10000.0)))


def test_faults(targets):
    x = np.zeros((5, 40), np.int64)
    x[3, 7] = 99
    for target in targets:
        with pytest.raises(arex.ArexError, match="99"):
            run("param x: int64[n, m]\nparam v: float64[k]\ncumsum(v[x], 1)", target, x=x, v=np.ones(4))


@pytest.mark.parametrize("program, code", [("cumsum(x, (0, 1))", "AX0203"), ("cumsum(x, 5)", "AX0212"), ("cumsum(x, keepdims=True)", "AX0209"), ("cumsum(x, 0.5)", "AX0203")])
def test_errors(program, code):
    with pytest.raises(arex.ArexError) as e:
        arex.compile(program)(x=np.ones((2, 3)))
    assert e.value.code == code


def test_names_of_numpy():
    x = np.random.default_rng(6).normal(size=(3, 50))
    a = arex.asarray(x)
    np.testing.assert_allclose(np.cumsum(a, axis=1).get(), np.cumsum(x, axis=1))
    np.testing.assert_allclose(a.cumsum().get(), x.cumsum())
    np.testing.assert_array_equal(np.maximum.accumulate(a).get(), np.maximum.accumulate(x))
    np.testing.assert_allclose(arex.cumprod(a, axis=0).get(), np.cumprod(x, axis=0))

    @arex.jit
    def f(v):
        return np.cumsum(v * v, axis=1) / np.sum(v)
    np.testing.assert_allclose(f(x), np.cumsum(x * x, axis=1) / np.sum(x))
