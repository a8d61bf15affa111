"""The same bits everywhere: the corpus of `arex selfcheck` on the evaluator, the CPU with any number of threads, and a GPU."""
import json
import pathlib
import subprocess
import sys

import pytest

import arex

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "onebits"
CORPUS = (FOLDER / "selfcheck.txt").read_text()
RUNS = [("reference", 1, "auto"), ("cpu", 1, "auto"), ("cpu", 2, "auto"), ("cpu", 3, "auto"), ("cpu", 16, "auto")]
RUNS += [("cuda", 1, "nvptx"), ("cuda", 1, "nvvm")] if arex.device_count() else []  # code for levels of x86-64: test_arch.py


@pytest.mark.parametrize("target, threads, codegen", RUNS)
def test_same_bits(cli, target, threads, codegen):
    """Kernels go through several launches in each run."""
    if codegen == "nvvm" and not json.loads(cli("doctor", "--json").stdout)["libnvvm"]:
        pytest.skip("no libNVVM here")
    got = cli("selfcheck", "-t", target, "--threads", threads, "--codegen", codegen)
    assert got.returncode == 0 and got.stdout == f"{len(CORPUS.splitlines())} programs agree, 0 differ\n", got.stdout + got.stderr


def test_corpus_is_what_is_generated():
    made = subprocess.run([sys.executable, FOLDER / "make.py"], capture_output=True, text=True, check=True).stdout
    assert [line.split("\t")[1:] for line in made.splitlines()] == [line.split("\t")[1:] for line in CORPUS.splitlines()]
    assert len(made.splitlines()) >= 500 and "0" * 16 not in CORPUS


def test_launches_must_agree(cli, tmp_path):
    """A kernel whose result depends on its launch is told, as is a launch that cannot be."""
    line = "0" * 16 + "\tn=int64[300] launch=1/4 launch={}\tkernel f(n) {{ i = grid(1); n[i] = i }}\n"
    (tmp_path / "same.txt").write_text(line.format("2/2"))
    new = cli("selfcheck", "--update", "-t", "reference", tmp_path / "same.txt").stdout
    assert not new.startswith("0" * 16) and new.split("\t")[1:] == line.format("2/2").split("\t")[1:]
    (tmp_path / "same.txt").write_text(new)
    assert cli("selfcheck", "-t", "cpu", tmp_path / "same.txt").stdout == "1 programs agree, 0 differ\n"
    (tmp_path / "other.txt").write_text(line.format("1/8"))
    assert cli("selfcheck", "--update", "-t", "reference", tmp_path / "other.txt").stdout.startswith("0" * 16)
    assert "0 programs agree, 1 differ" in cli("selfcheck", "-t", "cpu", tmp_path / "other.txt").stdout
    kernels = [text for text in CORPUS.splitlines() if "launch=" in text]
    assert len(kernels) >= 40 and all(text.count("launch=") >= 2 for text in kernels)


def test_a_difference_is_told(cli, tmp_path):
    lines = CORPUS.splitlines()[:20]
    lines[7] = "f" * 16 + lines[7][16:]
    (tmp_path / "c.txt").write_text("# a remark\n" + "\n".join(lines) + "\n")
    got = cli("selfcheck", "-t", "cpu", tmp_path / "c.txt")
    assert got.returncode == 1 and "differs: " + lines[7].split("\t")[2] in got.stdout and "19 programs agree, 1 differ" in got.stdout
    (tmp_path / "empty.txt").write_text("")
    assert cli("selfcheck", tmp_path / "empty.txt").returncode == 1
    (tmp_path / "bad.txt").write_text("0\tx=nosuch[3]\tx\n0\tx=float64[3] y=float64[1]\tx\nno tabs\n0\t-\tx +\n")
    assert "0 programs agree, 3 differ" in cli("selfcheck", tmp_path / "bad.txt").stdout
    assert cli("selfcheck", tmp_path / "missing.txt").returncode == 2 and cli("selfcheck", "a", "b").returncode == 2
