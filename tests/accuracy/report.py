"""Puts measured figures where they are published: grammar/accuracy.def and tests/accuracy/peers.txt, of which docs/accuracy.md is made.

    build/release/tests/accuracy/arex_accuracy --rows --full --float32 >rows.txt          about an hour of one core
    build/release/tests/accuracy/arex_accuracy --rows --full --float64 --points 100000 >>rows.txt
    ./dev python tests/accuracy/report.py rows.txt ...
    AREX_UPDATE_DOCS=1 ./dev python -m pytest tests/python/test_docs.py                    after ./dev build

Rows of functions that the files do not have stay as they are; of several for one function the last counts. Bounds of fast mode's
estimates are kept: they are for every processor, not for this one. Complex functions: `arex_accuracy_complex --rows --points 300000`.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DEF, PEERS = ROOT / "grammar" / "accuracy.def", ROOT / "tests" / "accuracy" / "peers.txt"
ROW = re.compile(r"(?:ACCURACY|COMPLEX)\((\w+), (\w+), ([\w.]+), ")
ESTIMATES = ("divide", "rsqrt")
COMPLEX = ("abs", "angle", "multiply", "divide", "exp", "log", "sqrt", "power")
FUNCTION = re.compile(r"^(?:ONE|TWO)\((\w+),", re.M)


def rows_of(text):
    """By function, dtype and mode; complex ones have none."""
    found = [(ROW.match(line).groups(), line) for line in text.splitlines() if ROW.match(line)]
    return {(name, dtype, mode if mode in ("strict", "fast") else "complex"): line for (name, dtype, mode), line in found}


def peers_of(text):
    return {tuple(line.split()[:2]): line for line in text.splitlines() if line and line[0] != "#"}


def main(files):
    old = DEF.read_text()
    rows, peers = rows_of(old), peers_of(PEERS.read_text()) if PEERS.exists() else {}
    kept = {k: v for k, v in rows.items() if k[2] == "fast" and k[0] in ESTIMATES}
    for file in files:
        text = pathlib.Path(file).read_text()
        rows |= rows_of(text)
        peers |= peers_of("\n".join(line[len("PEERS "):] for line in text.splitlines() if line.startswith("PEERS ")))
    rows |= kept
    order = FUNCTION.findall((ROOT / "tests" / "accuracy" / "functions.def").read_text())
    place = lambda k: (k[2:] == ("complex",), (COMPLEX if k[2:] == ("complex",) else order).index(k[0]), len(k[1]), k[1], k[2:] == ("fast",))  # noqa: E731
    DEF.write_text(old[:old.index("ACCURACY(sqrt")] + "".join(rows[k] + "\n" for k in sorted(rows, key=place)))
    PEERS.write_text("# function, dtype, largest errors of libm and libmvec (-1: no such function), CUDA's published bound (-: none)\n" +
                     "".join(peers[k] + "\n" for k in sorted(peers, key=place)))


if __name__ == "__main__":
    main(sys.argv[1:])
