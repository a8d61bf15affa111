"""near_reciprocal, near_log2 and tame_scale, out of which the math library makes logarithms and powers: what each processor has for them, and that all give the same bits."""
import re
import subprocess

import numpy as np
import pytest

import arex
from test_ptx import ARCHS, PTXAS, known

LOGARITHMS = ("log2(x)", "log10(x)")


def assembly(source, dtype, arch):
    return arex.compile(source).emit("asm", types=f"x={dtype}[:]", arch=arch, target="cpu")


def values(dtype):
    """Either side of where a sixteenth ends, in several binades; beside 1; what is no positive normal number."""
    eps = np.finfo(dtype).eps
    ends = np.concatenate([(1 + np.arange(16) / 16) * (1 + k * eps) for k in (-2, -1, 0, 1)])
    tiny, huge = (-150, 127) if dtype == np.float32 else (-1074, 1023)
    scaled = [np.ldexp(ends, e) for e in (tiny, tiny + 30, -3, -1, 0, 1, 40, huge - 1)]
    near = 1 + np.arange(-40, 40) * eps
    with np.errstate(all="ignore"):
        return np.concatenate([*scaled, near, np.random.default_rng(3).uniform(0, 9, 300), [0.0, -0.0, -1.5, np.inf, -np.inf, np.nan]]).astype(dtype)


@pytest.mark.parametrize("source", LOGARITHMS)
def test_avx512_holds_the_table(source):
    wide, narrow = assembly(source, "float64", "x86-64-v4"), assembly(source, "float32", "x86-64-v4")
    assert "vgetexppd" in wide and ("vpermi2pd" in wide or "vpermt2pd" in wide)
    assert "vgetexpps" in narrow and ("vpermps" in narrow or "vpermd" in narrow)
    assert "sixteenths" not in wide + narrow


@pytest.mark.parametrize("source", LOGARITHMS)
def test_avx2_holds_that_of_float32(source):
    narrow, wide = assembly(source, "float32", "x86-64-v3"), assembly(source, "float64", "x86-64-v3")
    assert ("vpermps" in narrow or "vpermd" in narrow) and "vblendvps" in narrow and "sixteenths" not in narrow
    assert "sixteenths" in wide and "sixteenths" in assembly(source, "float32", "x86-64-v2")


@pytest.mark.parametrize("dtype, instruction", [("float32", "vscalefps"), ("float64", "vscalefpd")])
def test_avx512_scales(dtype, instruction):
    for source in ("exp(x)", "exp2(x)", "exp10(x)"):
        assert instruction in assembly(source, dtype, "x86-64-v4") and "vscalef" not in assembly(source, dtype, "x86-64-v3")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_same_bits(dtype, targets):
    x = values(dtype)
    for source in (*LOGARITHMS, "x ** 1.7", "exp2(x)", "exp10(x)"):
        want = arex.evaluate(source, dict(x=x), target="reference")
        got = [arex.evaluate(source, dict(x=x), target=target) for target in targets]
        got += [arex.evaluate(source, dict(x=x), target="cpu", arch=arch) for arch in ("x86-64", "x86-64-v2", "x86-64-v3")]
        assert all(np.asarray(g).tobytes() == np.asarray(want).tobytes() for g in got), source


def test_vectors_of_any_width(targets):
    """Beside wider values a vector of float32 is half a register, a single number none, a float16 less."""
    x, y = values(np.float32), values(np.float32).astype(np.float64)
    for source in ("log2(x) + y", "sum(log2(abs(x) + 1) * y[0])", "log10(x[3])", "log2(float16(x)) + y", "int8(log2(abs(x) + 2))"):
        want = arex.evaluate(source, dict(x=x, y=y), target="reference")
        for target in targets:
            assert np.asarray(arex.evaluate(source, dict(x=x, y=y), target=target)).tobytes() == np.asarray(want).tobytes(), source


def test_near_1_a_logarithm_is_small():
    """There it has nothing of the table's: the last and the first sixteenth are exact."""
    for dtype in (np.float32, np.float64):
        x = (1 + np.arange(-30, 30) * np.finfo(dtype).eps).astype(dtype)
        exact = (x.astype(np.longdouble) - 1) * np.longdouble(1.44269504088896340736)
        np.testing.assert_allclose(np.asarray(arex.evaluate("log2(x)", dict(x=x), target="cpu")), exact.astype(dtype), rtol=40 * np.finfo(dtype).eps)


def gpu(source, dtype, stage, codegen, arch="sm_90"):
    return arex.compile(source, codegen=codegen, target="cuda").emit(stage, types=f"x={dtype}[:]", arch=arch, target="cuda")


@pytest.mark.parametrize("dtype, kind", [("float32", "f32"), ("float64", "f64")])
def test_a_gpu_reads_rows(dtype, kind):
    ptx = gpu("log2(x)", dtype, "ptx", "nvptx")
    assert ".global .align 64 .b8" in ptx and (f"ld.global.nc.v2.{kind}" in ptx or f"ld.global.nc.v2.b{kind[1:]}" in ptx)
    plain = gpu("log2(x)", dtype, "nvvm", "nvvm")
    assert re.search(r"^@s\d+ = internal addrspace\(1\) constant \[32 x (float|double)\]", plain, re.M)


@pytest.mark.skipif(not PTXAS, reason="no ptxas here")
@pytest.mark.parametrize("arch", ARCHS)
def test_assembles(arch, tmp_path):
    if not known(arch):
        pytest.skip(f"this ptxas does not know {arch}")
    for dtype in ("float32", "float64"):
        ptx = tmp_path / "kernel.ptx"
        ptx.write_text(gpu("log2(x) + log10(x)", dtype, "ptx", "nvptx", arch))
        subprocess.run([PTXAS, f"-arch={arch}", str(ptx), "-o", str(tmp_path / "kernel.cubin")], check=True)


def test_only_the_library_spells_them():
    for source in ("near_reciprocal(x)", "near_log2(x)", "tame_scale(x, x, x)"):
        with pytest.raises(arex.ArexError, match="AX0202"):
            arex.compile(source).emit("ir", types="x=float64[:]")
