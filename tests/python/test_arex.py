import threading

import numpy as np
import pytest

import arex


def test_evaluate_takes_names_from_the_caller():
    x = np.arange(3.0)
    assert arex.evaluate("sum(x*x)") == 5.0
    assert isinstance(arex.evaluate("sum(x*x)"), np.float64)
    assert arex.evaluate("x + y", {"x": x, "y": 1}).tolist() == [1, 2, 3]


def test_by_name_and_place():
    f = arex.compile("a*x + y")
    assert f.inputs == ("a", "x", "y")
    x = np.arange(4, dtype=np.float32)
    got = f(2.0, x, y=x)
    assert got.dtype == np.float32 and got.tolist() == [0, 3, 6, 9]
    assert f(1.0, np.arange(4096.0), 0.0).ctypes.data % 64 == 0


@pytest.mark.parametrize("view", [lambda a: a[::2], lambda a: a[::-1], lambda a: a.T, lambda a: a[:0], lambda a: a[:, ::-3],
                                  np.asfortranarray, lambda a: np.broadcast_to(a[:1], a.shape)])
def test_layouts(view, targets):
    x = view(np.arange(60.0).reshape(6, 10))
    for target in targets:
        assert np.array_equal(arex.evaluate("x*2 + 1", target=target), x * 2 + 1)
        assert np.isclose(arex.evaluate("sum(x)", target=target), x.sum())


def test_out_may_overlap_the_input():
    x = np.arange(1000.0)
    want = x[:-1] + 1
    arex.evaluate("x + 1", {"x": x[:-1]}, out=x[1:])
    assert np.array_equal(x[1:], want)


def test_out_strided():
    out = np.zeros(8)
    assert arex.evaluate("x + 1", {"x": np.arange(4.0)}, out=out[::2]) is not None
    assert out.tolist() == [1, 0, 2, 0, 3, 0, 4, 0]


def test_several_outputs():
    f = arex.compile("s = sum(x)\nm = max(x)\nreturn s, m")
    got = f(np.arange(5.0))
    assert (got.s, got.m) == (10, 4)


def test_scalars():
    x = np.ones(2, np.float32)
    assert arex.evaluate("x*a", {"x": x, "a": 2.5}).dtype == np.float32
    assert arex.evaluate("x*a", {"x": x, "a": np.float64(2.5)}).dtype == np.float64
    assert arex.evaluate("x*a", {"x": x, "a": True}).dtype == np.float32


def test_extents_and_scalars_never_recompile():
    f = arex.compile("sum(a*x)", target="cpu")
    for n in (1, 2, 7, 1000, 100000):
        f(float(n), np.ones(n))
    assert f.stats()["compilations"] == 1


def test_centred_is_two_kernels():
    f = arex.compile("x - mean(x)", target="cpu")
    f(np.arange(10.0))
    assert (f.stats()["kernels"], f.stats()["temporaries"]) == (2, 0)


def test_threads_do_not_change_bits(targets):
    x = np.random.default_rng(0).normal(size=300_001)
    for expr in ("sum(x*x)", "mean(exp(x))", "x*3 + sin(x)"):
        bits = {np.asarray(arex.evaluate(expr, {"x": x}, target="cpu", threads=t)).tobytes() for t in (1, 2, 3)}
        assert len(bits) == 1


def test_many_threads_share_a_program():
    f, x, got = arex.compile("sum(x*x)"), np.arange(1000.0), []
    workers = [threading.Thread(target=lambda: got.append(f(x))) for _ in range(8)]
    [w.start() for w in workers]
    [w.join() for w in workers]
    assert got == [f(x)] * 8


@pytest.mark.parametrize("expr, values, kind, also, code", [
    ("1 +* 2", {}, arex.SyntaxError_, ValueError, "AX0101"),
    ("sinn(x)", {"x": 1.0}, arex.NameError_, ValueError, "AX0202"),
    ("x + y", {"x": np.ones(2), "y": np.ones(3)}, arex.ShapeError, ValueError, "AX0301"),
    ("x & 1", {"x": np.ones(2)}, arex.TypeError_, TypeError, "AX0203"),
    ("x + 1", {}, arex.TypeError_, TypeError, "AX0304"),
    ("x + 1", {"x": np.ones(2, ">f8")}, arex.TypeError_, TypeError, "AX0306"),
    ("x + 1", {"x": np.array(["a"])}, arex.TypeError_, TypeError, "AX0306"),
    ("x + 1", {"x": "text"}, arex.TypeError_, TypeError, "AX0306"),
    ("x + 1", {"x": 2**70}, arex.ValueError_, ValueError, "AX0311"),
    ("min(x)", {"x": np.ones(0)}, arex.ValueError_, ValueError, "AX0303"),
    ("sum(x, 3)", {"x": np.ones(2)}, arex.ShapeError, ValueError, "AX0212"),
])
def test_errors(expr, values, kind, also, code):
    with pytest.raises(kind) as caught:
        arex.evaluate(expr, values, {})
    assert isinstance(caught.value, also) and isinstance(caught.value, arex.ArexError)
    assert caught.value.code == code and caught.value.diagnostics and caught.value.text


def test_error_has_a_place():
    with pytest.raises(arex.NameError_) as caught:
        arex.evaluate("1 + sinn(2.0)")
    error = caught.value
    assert (error.line, error.column) == (1, 5) and "^" in error.text and error.span[0] == 4


def test_wrong_calls():
    f = arex.compile("x + y")
    for bad in (lambda: f(1), lambda: f(1, 2, 3), lambda: f(1, 2, z=3), lambda: f(1, 2, out=np.zeros(3))):
        with pytest.raises(arex.ArexError):
            bad()
    with pytest.raises(arex.ArexError):
        f(1, 2, target="tpu")


def test_no_device_says_so():
    if arex.device_count():
        pytest.skip("there is a device")
    with pytest.raises(arex.DeviceError) as caught:
        arex.evaluate("x + 1", {"x": np.ones(3)}, target="cuda")
    assert caught.value.code.startswith("AX06")


@pytest.mark.parametrize("stage", ["ast", "ir", "loop", "plan", "llvm", "opt", "asm", "ptx"])
def test_every_stage_prints(stage):
    assert arex.compile("sum(x*x)").emit(stage, types="x=float32[:]", arch="sm_80" if stage == "ptx" else None).strip()


def test_lists_and_config(capsys):
    for what in ("ops", "aliases", "types", "stages", "errors"):
        assert len(arex.list(what)) > 3
    arex.show_config()
    assert arex.__version__ in capsys.readouterr().out


def test_warning():
    with pytest.warns(arex.ArexWarning, match="`gain` is declared and not used"):
        arex.compile("param gain: float64\nx*2")


def test_extents_are_values(targets):
    source = "param x: float64[n, m]\nparam y: float64[m]\nreturn sum(x, 0) / n + y, n * m"
    x, y = np.arange(12.0).reshape(3, 4), np.ones(4)
    for target in targets:
        a, b = arex.compile(source, target=target)(x, y)
        assert np.allclose(a, x.mean(0) + 1) and b == 12 and b.dtype == np.int64
    with pytest.raises(arex.ShapeError) as e:
        arex.compile(source)(x, np.ones(3))
    assert e.value.code == "AX0302"
    assert arex.compile("param x: float64[n]\nparam n: float64\nsum(x)*n")(y, 0.5) == 2  # an input of the name comes first
    assert arex.compile("param x: float64[:, :]\nsum(x, 0)")(x).shape == (4,)  # each `:` is an extent of its own


def test_fast_mode_fuses_products_with_sums():
    rng = np.random.default_rng(0)
    a, b, c = rng.normal(size=(3, 999))
    for dtype in (np.float64, np.float32):
        x, y, z = (v.astype(dtype) for v in (a, b, c))
        for source, fused in [("x*y + z", "fma(x, y, z)"), ("z + x*y", "fma(x, y, z)"), ("x*y - z", "fma(x, y, -z)"), ("z - x*y", "fma(-x, y, z)"),
                              ("sum(x*y + 1)", "sum(fma(x, y, float32(1)))" if dtype is np.float32 else "sum(fma(x, y, 1.0))")]:
            for target in ("reference", "cpu"):
                fast, strict, own = (arex.compile(s, target=target, fast=f) for s, f in [(source, True), (source, False), (fused, False)])
                given = dict(x=x, y=y, z=z)
                got, plain, want = (p(**{n: given[n] for n in p.inputs}) for p in (fast, strict, own))
                assert np.asarray(got).tobytes() == np.asarray(want).tobytes()
                assert got.ndim == 0 or not np.array_equal(got, plain)
    assert arex.compile("tanh(x)", fast=True)(a).tobytes() == arex.compile("tanh(x)")(a).tobytes()
    assert (arex.compile("x*x + 1", fast=True)(np.arange(5)) == np.arange(5)**2 + 1).all()


def test_work_of_a_compilation_is_limited():
    program = arex.compile("x % 3 // 5", target="cpu", max_work=60)
    with pytest.raises(arex.ArexError, match="AX0411"):
        program(7.5)
    assert arex.compile("x % 3 // 5", target="cpu", max_work=3000)(7.5) == 0
