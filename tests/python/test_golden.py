"""Stages of a few programs as text, compared with tests/golden. AREX_UPDATE_GOLDEN=1 writes the files anew.

A missing file is a failure: it would compare with nothing.
"""
import os
import pathlib

import pytest

import arex

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"
PROGRAMS = {
    "sum_of_squares": "sum(x*x)",
    "centred": "x - mean(x)",
    "softmax": "m = max(x, 1, keepdims=True); e = exp(x - m); e / sum(e, 1, keepdims=True)",
    "triad": "2*x + 3*y",
    "columns": "sum(x, 0)",
    "one_pass": "y = x*x; return y, sum(y)",
}
# what libNVVM is given, of these and of one with words that its dialect lacks
NVVM = {name: PROGRAMS[name] for name in ("triad", "sum_of_squares")} | {
    "dialect": "-x, copysign(x, y), rint(x), int32(x), uint8(y), fma(x, y, 0.1), x == 0, nan",
}
RANK = {"softmax": 2, "columns": 2}
STAGES = ["ast", "ir", "loop", "plan"]


def text_of(name, stage):
    program = arex.compile(PROGRAMS[name])
    dims = "[" + ",".join(":" * RANK.get(name, 1)) + "]"
    return program.emit(stage, types=", ".join(f"{i}=float32{dims}" for i in program.inputs))


def compare(got, path):
    if os.environ.get("AREX_UPDATE_GOLDEN"):
        path.write_text(got)
    assert path.exists(), f"{path} is missing"
    assert got == path.read_text()


@pytest.mark.parametrize("name", NVVM)
def test_nvvm(name):
    program = arex.compile(NVVM[name])
    compare(program.emit("nvvm", types=", ".join(f"{i}=float32[:]" for i in program.inputs)), GOLDEN / f"{name}.nvvm.txt")


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", PROGRAMS)
def test_stage(name, stage):
    compare(text_of(name, stage), GOLDEN / f"{name}.{stage}.txt")
