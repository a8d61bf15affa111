"""tame_divide and tame_sqrt, which the math library uses where it knows its numbers; what a GPU makes of them, and slow sides that are short."""
import subprocess

import numpy as np
import pytest

import arex
from test_ptx import ARCHS, PTXAS, known

USERS = [("log(x)", "float64", "rcp.approx.ftz.f64"), ("atanh(x)", "float32", "rcp.approx.ftz.f32"),
         ("asinh(x)", "float64", "rsqrt.approx.ftz.f64"), ("acosh(x)", "float32", "rsqrt.approx.ftz.f32")]


def emitted(source, dtype, stage="ptx", codegen="nvptx"):
    return arex.compile(source, codegen=codegen, target="cuda").emit(stage, types=f"x={dtype}[:]", arch="sm_90", target="cuda")


@pytest.mark.parametrize("source,dtype,estimate", USERS)
def test_a_gpu_starts_from_its_estimate(source, dtype, estimate):
    ptx = emitted(source, dtype)
    assert estimate in ptx and "div.rn" not in ptx and "sqrt.rn" not in ptx
    plain = emitted(source, dtype, "nvvm", "nvvm")
    assert "approx" not in plain and ("fdiv" in plain or "sqrt" in plain)


@pytest.mark.skipif(not PTXAS, reason="no ptxas here")
@pytest.mark.parametrize("arch", ARCHS)
def test_assembles(arch, tmp_path):
    if not known(arch):
        pytest.skip(f"this ptxas does not know {arch}")
    ptx = tmp_path / "kernel.ptx"
    ptx.write_text(arex.compile("log(x) + asinh(x)", codegen="nvptx").emit("ptx", types="x=float64[:]", arch=arch, target="cuda"))
    subprocess.run([PTXAS, f"-arch={arch}", str(ptx), "-o", str(tmp_path / "kernel.cubin")], check=True)


def test_only_the_library_spells_them():
    for source in ("tame_divide(x, y)", "tame_sqrt(x)"):
        with pytest.raises(arex.ArexError, match="AX0202"):
            arex.compile(source).emit("ir", types="x=float64[:], y=float64[:]")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_short_slow_side_gives_what_the_reference_does(dtype):
    x = np.linspace(-9, 9, 1037).astype(dtype)
    x[::7] *= 1e30
    for source in ("x ** 3.0", "x ** (0.0 - 1.0)", "asinh(x)", "log(x)"):
        got, expected = (np.asarray(arex.compile(source, target=t)(x)) for t in ("cpu", "reference"))
        assert got.tobytes() == expected.tobytes()


def test_masks_of_two_registers_are_tested_together():
    """With AVX-512: no wider mask is made of them before one knows that a slow side is needed."""
    asm = arex.compile("exp2(x)", target="cpu").emit("asm", types="x=float32[:]", arch="x86-64-v4", target="cpu")
    usual, _, _ = asm.partition("kortest")
    assert usual != asm and usual.count("vcmpnleps") == 2 and "kunpck" not in usual
