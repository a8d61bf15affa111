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
RANK = {"softmax": 2, "columns": 2}
STAGES = ["ast", "ir", "loop", "plan"]


def text_of(name, stage):
    program = arex.compile(PROGRAMS[name])
    dims = "[" + ",".join(":" * RANK.get(name, 1)) + "]"
    return program.emit(stage, types=", ".join(f"{i}=float32{dims}" for i in program.inputs))


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", PROGRAMS)
def test_stage(name, stage):
    got = text_of(name, stage)
    path = GOLDEN / f"{name}.{stage}.txt"
    if os.environ.get("AREX_UPDATE_GOLDEN"):
        path.write_text(got)
    assert path.exists(), f"{path} is missing"
    assert got == path.read_text()
