"""Fast mode's division and reciprocal square root: where they are used, what they are made of, the ends of their ranges."""
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
    v = np.array([0.0, -0.0, 1.0, -3.0, np.inf, -np.inf, np.nan, 2.0**-126, 2.0**126, 1e30], np.float32)
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
