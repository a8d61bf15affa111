"""The same bits everywhere: the corpus of `arex selfcheck` on the evaluator, the CPU with any number of threads, and a GPU."""
import pathlib
import subprocess
import sys

import pytest

import arex

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "onebits"
CORPUS = (FOLDER / "selfcheck.txt").read_text()
RUNS = [("reference", 1), ("cpu", 1), ("cpu", 2), ("cpu", 3), ("cpu", 16)] + ([("cuda", 1)] if arex.device_count() else [])


@pytest.mark.parametrize("target, threads", RUNS)
def test_same_bits(cli, target, threads):
    got = cli("selfcheck", "-t", target, "--threads", threads)
    assert got.returncode == 0 and got.stdout == f"{len(CORPUS.splitlines())} programs agree, 0 differ\n", got.stdout + got.stderr


def test_corpus_is_what_is_generated():
    made = subprocess.run([sys.executable, FOLDER / "make.py"], capture_output=True, text=True, check=True).stdout
    assert [line.split("\t")[1:] for line in made.splitlines()] == [line.split("\t")[1:] for line in CORPUS.splitlines()]
    assert len(made.splitlines()) >= 500 and "0" * 16 not in CORPUS


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
