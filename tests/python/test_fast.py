"""Fast mode: its estimates, its rewriting, its quicker functions; where they are used, what they are made of, the ends of their ranges."""
import numpy as np
import pytest

import arex
from test_ptx import PTXAS

TYPES = "x=float32[:], y=float32[:]"


def ir(source, dtype="float32", **options):
    program = arex.compile(source, **options)
    return program.emit("ir", types=", ".join(f"{name}={dtype}[:]" for name in program.inputs))


def test_only_fast_mode_and_only_the_programs_own_text():
    assert "quick_divide" in ir("x / y", fast=True) and "quick" not in ir("x / y")
    assert "quick_rsqrt" in ir("rsqrt(x)", fast=True) and "quick" not in ir("rsqrt(x)")
    assert "quick" not in ir("tanh(x) + atan(x)", fast=True)  # the library's divisions are as they were
    assert "quick" not in ir("x / y", dtype="float64", fast=True)
    assert "quick_rsqrt" in ir("rsqrt(x)", dtype="float64", fast=True)
    assert "quick" not in ir("x / y", fast=True, arch="x86-64-v2")
    for name in ("quick_divide(x, y)", "quick_rsqrt(x)"):
        with pytest.raises(arex.ArexError, match="AX0202"):
            ir(name, fast=True)


def test_code():
    program = arex.compile("x / y + rsqrt(x)", fast=True, codegen="nvptx")
    for arch, words in [("x86-64-v3", ("vrcpps", "vrsqrtps")), ("x86-64-v4", ("vrcp14ps", "vrsqrt14ps"))]:
        text = program.emit("asm", types=TYPES, arch=arch)
        assert all(w in text for w in words) and "vdivps" not in text and "vsqrtps" not in text
    ptx = program.emit("ptx", types=TYPES, arch="sm_90")
    assert "rcp.approx" in ptx and "rsqrt.approx" in ptx and "div.rn" not in ptx
    assert "fdiv" in arex.compile("x / y", fast=True, codegen="nvvm").emit("nvvm", types=TYPES)


@pytest.mark.skipif(not PTXAS, reason="no ptxas here")
def test_ptx_assembles(tmp_path):
    import subprocess
    (tmp_path / "k.ptx").write_text(arex.compile("x / y + rsqrt(x)", fast=True).emit("ptx", types=TYPES, arch="sm_90"))
    subprocess.run([PTXAS, "-arch=sm_90", str(tmp_path / "k.ptx"), "-o", str(tmp_path / "k.cubin")], check=True)


def test_ends():
    v = np.array([0.0, -0.0, 1.0, -3.0, np.inf, -np.inf, np.nan, 2.0**-126, 2.0**125, 1e30], np.float32)
    x, y = (a.ravel() for a in np.meshgrid(v, v))
    with np.errstate(all="ignore"):
        want, root = x / y, (1 / np.sqrt(v.astype(np.float64))).astype(np.float32)
    for n in (1, 3, 17, len(x)):  # of every width
        for start in range(0, len(x) - n + 1, n):
            part = slice(start, start + n)
            got = arex.evaluate("x / y", dict(x=x[part], y=y[part]), fast=True, target="cpu")
            assert np.array_equal(np.isnan(got), np.isnan(want[part])) and np.array_equal(np.signbit(got[got == got]), np.signbit(want[part][got == got]))
            np.testing.assert_allclose(got, want[part], rtol=3e-7, atol=1e-44)
    np.testing.assert_allclose(arex.evaluate("rsqrt(v)", dict(v=v), fast=True, target="cpu"), root, rtol=3e-7)
    wide = arex.evaluate("rsqrt(v)", dict(v=v.astype(np.float64)), fast=True, target="cpu")
    np.testing.assert_allclose(wide, root.astype(np.float64), rtol=1e-6)


def test_position_does_not_matter():
    """An element's bits are the same wherever it stands in a vector."""
    x = np.full(1003, 1.2345678, np.float32)
    got = arex.evaluate("7 / x + rsqrt(x)", dict(x=x), fast=True, target="cpu")
    assert len(set(got.tolist())) == 1 and got[0] == arex.evaluate("7 / x + rsqrt(x)", dict(x=x[0:1]), fast=True, target="cpu")[0]


X = np.array([0.3, 1.7, 2.5, 40.0, 1e-3])
REWRITTEN = [  # program, what its IR must have, what it must not have
    ("2*x*3", "const 6", "const 3"), ("x*2/3", "const 0.6666666666666666", "divide"), ("x/4/5", "const 0.05", "divide"), ("x + 1 - 3", "const -2", "const 3"), ("x - 1 - 2", "const 3", "const 2"), ("1.5 + x + 2", "const 3.5", "const 2 "),
    ("x / sum(x)", "multiply", "quick"), ("x / 3", "multiply", "divide"), ("x ** 3", "multiply", "frombits"), ("x ** 0.5", "sqrt", "multiply"), ("x ** -2.5", "divide", "bitcast"), ("x ** 8", "multiply", "bitcast"),
    ("x ** 9", "bitcast", "quick"), ("x ** 0.3", "bitcast", "quick"), ("3 / x", "divide", "quick"), ("x * 2 * x", "const 2", "const 4")]  # the last ones stay what they are


@pytest.mark.parametrize("text, has, lacks", REWRITTEN)
def test_rewritten(text, has, lacks):
    loose, strict = (ir(text, dtype="float64", fast=fast) for fast in (True, False))
    assert has in loose and lacks not in loose, loose
    got, want = (arex.evaluate(text, dict(x=X), fast=fast, target="cpu") for fast in (True, False))
    np.testing.assert_allclose(got, want, rtol=2e-15)
    assert strict != loose or has not in strict or lacks in ("quick", "const 4")


def test_rewriting_keeps_what_it_should():
    """Nothing becomes infinite or 0 by the way, and other types and the library's text are left alone."""
    x = np.array([0.0, 1.0, 3e30], np.float32)
    for text in ("x * 1e30 * 1e30", "x * 1e-30 * 1e-30", "x / 3e38", "x / 1e-40", "x + 3e38 + 3e38"):
        got, want = (arex.evaluate(text, dict(x=x), fast=fast, target="cpu") for fast in (True, False))
        np.testing.assert_allclose(got, want, rtol=1e-6, err_msg=text)
    assert "const 6" not in ir("2*x*3", dtype="int64", fast=True)
    assert ir("std(x)", dtype="float64", fast=True) == ir("std(x)", dtype="float64")
    m = np.arange(12.0).reshape(3, 4) + 1
    for text in ("m / sum(m, 1, keepdims=True)", "m / max(m)", "m / w", "w / m"):
        inputs = dict(m=m, w=m[0].copy()) if "w" in text else dict(m=m)
        got, want = (arex.evaluate(text, inputs, fast=fast, target="cpu") for fast in (True, False))
        np.testing.assert_allclose(got, want, rtol=5e-16)
        assert got.shape == want.shape


QUICK = {"float32": "sin cos tan atan asinh acosh sigmoid softplus",
         "float64": "expm1 log log2 log10 sin cos atan sinh sigmoid softplus"}
CASES = [(name, dtype) for dtype, names in QUICK.items() for name in names.split()]


def special_values(dtype):
    info = np.finfo(dtype)
    v = np.array([0.0, 1.0, np.inf, 0.5, 3.5, info.max, info.tiny, info.smallest_subnormal * 7, 88.0, 710.0, 1e5, 1e10, 1e-5], np.float64).astype(dtype)
    return np.concatenate([v, -v, np.array([np.nan], dtype)])


@pytest.mark.parametrize("name, dtype", CASES)
def test_quick_functions_at_the_ends(name, dtype, targets):
    """The same specials as in strict mode (zeros with their signs), and the same bits on all targets; strict mode keeps its own code."""
    x = special_values(dtype)
    got = [arex.evaluate(f"{name}(x)", dict(x=x), fast=True, target=t) for t in targets]
    want = arex.evaluate(f"{name}(x)", dict(x=x), target="cpu")
    assert all(g.tobytes() == got[0].tobytes() for g in got)
    assert ir(f"{name}(x)", dtype, fast=True) != ir(f"{name}(x)", dtype) == ir(f"{name}(x)", dtype, fast=False)
    np.testing.assert_allclose(got[0], want, rtol=4.5 * float(np.finfo(dtype).eps), atol=4 * float(np.finfo(dtype).smallest_subnormal))
    assert np.array_equal(np.signbit(got[0][want == want]), np.signbit(want[want == want]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("text", ["x ** y", "logaddexp(x, y)"])
def test_quick_functions_of_two_at_the_ends(text, dtype, targets):
    x, y = (a.ravel() for a in np.meshgrid(special_values(dtype), special_values(dtype)))
    got = [arex.evaluate(text, dict(x=x, y=y), fast=True, target=t) for t in targets]
    want = arex.evaluate(text, dict(x=x, y=y), target="cpu")
    assert all(g.tobytes() == got[0].tobytes() for g in got)
    here = (x > 0) & (y > 0) if "logaddexp" in text else x == x  # its terms cancel elsewhere
    eps, least = float(np.finfo(dtype).eps), float(np.finfo(dtype).smallest_subnormal)
    np.testing.assert_allclose(got[0][here], want[here], rtol=4.5 * eps, atol=4 * least)
    np.testing.assert_allclose(got[0], want, rtol=4.5 * eps, atol=4 * eps if "logaddexp" in text else 4 * least)
    same = want == want if "logaddexp" not in text else (want == want) & here
    assert np.array_equal(np.signbit(got[0][same]), np.signbit(want[same]))
