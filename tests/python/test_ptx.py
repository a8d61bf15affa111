"""All PTX that is emitted can be assembled, from the oldest GPU to the newest that is supported; needs NVIDIA's ptxas."""
import functools
import os
import pathlib
import re
import shutil
import subprocess

import pytest

import arex

PTXAS = shutil.which("ptxas") or shutil.which("ptxas", path=os.path.join(os.environ.get("CUDA_HOME", "/usr/local/cuda"), "bin"))
SAMPLES = sorted((pathlib.Path(__file__).resolve().parent.parent.parent / "samples").glob("*.arex"))
PROGRAMS = {p.stem: p.read_text() for p in SAMPLES} | {
    "sums": "sum(x*x), prod(x), any(x > 0), max(x)",
    "columns": "sum(m, 0), min(m, 0, keepdims=True)",
    "broadcast": "sum((m - x)**2, 1)",
    "scans": "cumsum(x), cummax(y), cumprod(m, 0)",
    "integers": "x // 3 + x % 5 + x ** 2",
    "shaping": "concatenate((x, roll(x, 1))), stack((x, y)), reshape(m, -1), tile(x, 2) + repeat(y, 2), squeeze(m[:1], 0)",
    "functions": "sin(x) + cos(x) + tanh(x) + exp(x) + log(x) + x ** y",
}
ARCHS = ["sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_103", "sm_120"]


@functools.cache
def _help():
    return subprocess.run([PTXAS, "--help"], capture_output=True, text=True).stdout


def known(arch):
    return f"'{arch}'" in _help()


RANKS = {"transpose": {"x": 2}, "matmul_tiled": {"a": 2, "b": 2, "c": 2}, "heat_rod": {"u": 1}, "heat_block": {"u": 3}, "fdtd": {"c": 0}}


def types_of(name):
    rank = {"m": 2, "points": 2, "p": 2, "u": 2, "out": 2, "k": 0, "rounds": 0, "steps": 0} | RANKS.get(name, {})
    dtype = "int64" if name in ("integers", "histogram", "histogram_shared") else "float32"
    inputs = arex.compile(PROGRAMS[name]).inputs
    return ", ".join(f"{i}={'int64' if i in ('rounds', 'steps') else dtype}" + (f"[{',' * (rank.get(i, 1) - 1)}]" if rank.get(i, 1) else "") for i in inputs) if "param" not in PROGRAMS[name] else None


@pytest.mark.skipif(not PTXAS, reason="no ptxas here")
@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_assembles(name, arch, tmp_path):
    if not known(arch):
        pytest.skip(f"this ptxas does not know {arch}")
    program, types = arex.compile(PROGRAMS[name]), types_of(name)
    ptx = tmp_path / "kernel.ptx"
    ptx.write_text(program.emit("ptx", types=types, arch=arch, target="cuda"))
    subprocess.run([PTXAS, f"-arch={arch}", str(ptx), "-o", str(tmp_path / "kernel.cubin")], check=True)


@pytest.mark.parametrize("generator", ["nvptx", "nvvm"])
@pytest.mark.parametrize("text, dtype, turns, reads", [("sinh(x)", "float64", 4, 1), ("asinh(x)", "float32", 4, 1), ("atan2(x, y)", "float64", 2, 2), ("x + 1", "float32", 1, 1)])
def test_turns(text, dtype, turns, reads, generator):
    """A thread of a longer function loads several vectors, then computes them one after another by the same code."""
    try:
        ptx = arex.compile(text, codegen=generator).emit("ptx", types=f"x={dtype}[:]" + f", y={dtype}[:]" * (reads - 1), arch="sm_90", target="cuda")
    except arex.ArexError as error:
        assert error.code == "AX0506", error
        pytest.skip("no libNVVM here")
    vector = r"\.global(?:\.nc)?\.v[24]\."
    assert len(re.findall("ld" + vector, ptx)) == turns * reads
    assert len(re.findall("st" + vector, ptx)) == 1
    assert ptx.count('.pragma "nounroll"') == (turns > 1)
