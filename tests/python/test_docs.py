"""Pages that are made from the tables are what the tables say. AREX_UPDATE_DOCS=1 writes them anew."""
import json
import os
import pathlib
import re

import numpy as np
import pytest

import arex
import ebnf
import test_conformance

DOCS = pathlib.Path(__file__).resolve().parent.parent.parent / "docs"


def errors_page():
    lines = ["# Errors and warnings", "",
             "Every diagnostic has a code that stays the same; below it stand its cause and its cure, and a program that brings it about. This page is made from", "`grammar/diag.def`, which `arex list errors` prints too, and from `tests/conformance`.", ""]
    cases = {}
    for case in (test_conformance.Case(c.values[0]) for c in test_conformance.ALL):
        if case.code and (case.code not in cases or len(case.program) < len(cases[case.code].program)):
            cases[case.code] = case
    for e in arex.list("errors"):
        lines += [f"## {e['code']}: {e['title']}", "", f"{e['help']}" + (" (A warning.)" if e["severity"] == "warning" else ""), ""]
        if e["code"] in cases:
            case = cases[e["code"]]
            given = "; ".join(f"`{n}` is {np.asarray(v).tolist()} of {np.asarray(v).dtype}" if isinstance(v, np.ndarray) else f"`{n}` is {v}" for n, v in case.inputs.items())
            lines += [f"Example: `{case.program}`" + (f", where {given}" if given else "") + ".", ""]
    return "\n".join(lines[:-1]) + "\n"


ACCURACY_HEAD = """# Accuracy

The largest error of every function, as compiled programs compute it, against MPFR. This page is made from the figures in
`grammar/accuracy.def`, which `arex list ops --accuracy` prints too, and which `tests/accuracy` guards: it measures samples each time (edges of all binades,
special values, hard cases, random numbers, the place of the largest error known) and fails when one is worse, or when the error at that place is
not what is said here. CPU and GPU give the same bits, so the strict figures hold for both.

Errors are in ulps, units of the last place of the exact result; 0.5 is correct rounding. Where the inputs are "all", those are
the 2^32 that float32 has; else their number is given. Wrong signs of zero, infinities and nans would count as
failures everywhere. Fast mode differs only where it has a row. For `rsqrt` and `divide` its figures are bounds for every processor, from the documented errors of
their estimates (divisors from 2^-126 to 2^125, `rsqrt` of normal numbers); its other functions are measured as the strict ones are, and give the same bits everywhere.

`logaddexp` and `logaddexp2` are measured where both arguments are positive; elsewhere the terms may cancel, and the error is that of the larger
one. In float64 `lgamma` and `digamma` of negative arguments, where zeros lie between two floats, count in ulps of 1 where results are smaller than 1;
those of float32 do not, and `digamma` reaches its 2 ulps next to one of them, at -66.8.

Beside them, on the same inputs: glibc 2.36's libm and libmvec (4 lanes of float64, 8 of float32), and the bounds that the CUDA C++ Programming
Guide publishes (11.x; differences from the correctly rounded result, so up to half an ulp less in this measure). glibc's large figures
for `cos` and `tan` are at the float64 nearest to a multiple of pi / 2. Measured on an AMD EPYC (Zen 4), 2026-11-24.

| function | dtype | mode | ulp | at | inputs | libm | libmvec | CUDA |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""

COMPLEX_HEAD = """
## Complex functions

`ulp` is the largest |result - exact| in ulps of |exact|; `parts` the largest error of a part in ulps of that part, where parts keep their digits: elsewhere they
may cancel, or underflow beside the other one, and only the whole counts. Both are against MPFR, by `tests/accuracy/complex.c`, on finite inputs: parts of all sizes, numbers near the unit circle,
and nearly parallel ones. `multiply` is measured where no product of parts over- or underflows, `divide` wherever the quotient is finite, `exp` where e**x is normal, and
`power` for bases from 1/16 to 16 in size and exponents up to 8: its error is that of the exponent's product with the logarithm, and goes with its size. `abs` and
`angle` give real results.

| function | dtype | ulp | parts | at | inputs |
| --- | --- | --- | --- | --- | --- |
"""


def inputs_of(row):
    n = int(row["inputs"])
    return "all" if n == 2**32 else f"{n:.1e}".replace("e+0", "e") if n >= 10**6 else str(n)


def place_of(row):
    digits = "%.17g" if row["dtype"] in ("float64", "complex128") else "%.9g"
    if row["dtype"].startswith("complex"):
        parts = [[digits % float.fromhex(part) for part in row[k].split()] for k in "xy"[:2 if row["name"] in ("multiply", "divide", "power") else 1]]
        return ", ".join(re + ("" if im.startswith("-") else "+") + im + "i" for re, im in parts)
    return ", ".join(digits % float.fromhex(row[k]) for k in "xy"[:2 if row["name"] in ("divide", "power", "hypot", "atan2", "logaddexp", "logaddexp2") else 1])


def accuracy_page():
    peers = {}
    for line in (DOCS.parent / "tests" / "accuracy" / "peers.txt").read_text().splitlines()[1:]:
        name, dtype, libm, libmvec, cuda = line.split(maxsplit=4)
        peers[name, dtype] = ["" if float(libm) < 0 else libm, "" if float(libmvec) < 0 else libmvec, "" if cuda == "-" else cuda]
    lines = []
    complex_lines = []
    for row in arex.list("accuracy"):
        if row["dtype"].startswith("complex"):
            parts = row["parts"] if float(row["parts"]) else "(cancel)"
            complex_lines.append("| " + " | ".join([f"`{row['name']}`", row["dtype"], row["ulp"], parts, place_of(row), inputs_of(row)]) + " |")
            continue
        beside = peers[row["name"], row["dtype"]] if row["mode"] == "strict" else ["", "", ""]
        lines.append("| " + " | ".join([f"`{row['name']}`", row["dtype"], row["mode"], row["ulp"], place_of(row), inputs_of(row), *beside]) + " |")
    return ACCURACY_HEAD + "\n".join(lines) + "\n" + COMPLEX_HEAD + "\n".join(complex_lines) + "\n"


def differences_page():
    cases = [test_conformance.Case(c.values[0]) for c in test_conformance.ALL]
    lines = ["# Differences from NumPy", "",
             "This page is made from `tests/conformance/differences.txt`; the tests hold every case of `tests/conformance` to NumPy and allow these alone.",
             f"There are {len(cases)} cases (a line there may stand for several types) and {len(test_conformance.promotions())} pairs of types that meet.", ""]
    for name, words in test_conformance.differences().items():
        of_it = [c.program for c in cases if c.why == name]
        example = min(of_it, key=len, default="")
        lines.append(f"- **{name.replace('-', ' ').capitalize()}.** {words}" + (f" Cases: {len(of_it)}, such as `{example}`." if of_it else ""))
    return "\n".join(lines) + "\n"


def language_page():
    """Written by hand but for the grammar at its end."""
    last = "numbers are as described above.\n"
    head = (DOCS / "language.md").read_text().partition(last)[0] + last
    folder = DOCS.parent / "grammar"
    return head + "\n" + ebnf.grammar((folder / "parser.y").read_text(), (folder / "lexer.re").read_text())


def described(name, thing):
    """A heading with how it is called, and its words."""
    import inspect
    try:
        formals = inspect.signature(thing)
        call = "(" + ", ".join(str(p).split(":")[0].split("=")[0] + (f"={p.default!r}" if p.default is not p.empty else "") for p in formals.parameters.values()) + ")"
    except (TypeError, ValueError):
        call = ""
    words = inspect.cleandoc(thing.__doc__ or "")
    assert words, f"{name} has no docstring"
    return [f"### `{name}{call}`", "", words.replace("<", "&lt;"), ""]


def reference_page():
    """Functions, classes and errors of the package, from their docstrings."""
    import inspect
    lines = ["# The Python package", "", "Made from the docstrings by the tests. Arrays are NumPy's or `arex.Array`; shapes broadcast as NumPy's do; angles are in radians.",
             "What raises which error: [errors](errors.md).", "", "## Functions and classes", ""]
    things = {n: getattr(arex, n) for n in sorted(arex.__all__, key=str.lower)}
    plain = {n: t for n, t in things.items() if callable(t) and not (inspect.isclass(t) and issubclass(t, Exception))}
    for name, thing in plain.items():
        lines += described("arex." + name, thing)
    for name, thing in {"Program.emit": arex.Program.emit, "Program.launch": arex.Program.launch, "Program.result_type": arex.Program.result_type,
                        "Program.stats": arex.Program.stats, "Array.get": arex.Array.get, "cuda.jit": arex.cuda.jit, "cuda.is_available": arex.cuda.is_available,
                        "cuda.synchronize": arex.cuda.synchronize, "cuda.Stream": arex.cuda.Stream, "cuda.Stream.synchronize": arex.cuda.Stream.synchronize,
                        "cuda.Stream.auto_synchronize": arex.cuda.Stream.auto_synchronize, "cuda.Stream.use": arex.cuda.Stream.use, "cuda.stream": arex.cuda.stream,
                        "cuda.default_stream": arex.cuda.default_stream, "cuda.external_stream": arex.cuda.external_stream}.items():
        lines += described("arex." + name, thing)
    lines += ["## Errors", "", "| class | codes | |", "| --- | --- | --- |"]
    from arex.errors import class_of
    codes = [e["code"] for e in arex.list("errors") if e["severity"] == "error"]
    for name, thing in things.items():
        if inspect.isclass(thing) and issubclass(thing, Exception):
            own = ", ".join(c for c in codes if class_of(c) is thing)
            lines.append(f"| `{name}({', '.join(b.__name__ for b in thing.__bases__)})` | {own} | {inspect.cleandoc(thing.__doc__)} |")
    lines += ["", "## Functions of the language", "", "As `arex.NAME`, on arrays, lists and numbers; reductions take `axis` and `keepdims`.", "",
              "| name | kind | |", "| --- | --- | --- |"]
    for row in arex.list("ops"):
        lines.append(f"| `{row['name']}` | {row['kind']} | {row.get('doc', '').replace('|', chr(92) + '|')} |")
    return "\n".join(lines) + "\n"


@pytest.mark.skipif(not DOCS.exists(), reason="no documents here")
@pytest.mark.parametrize("name, page", [("errors.md", errors_page), ("accuracy.md", accuracy_page), ("numpy-differences.md", differences_page), ("language.md", language_page), ("reference-python.md", reference_page)])
def test_page(name, page):
    if os.environ.get("AREX_UPDATE_DOCS"):
        (DOCS / name).write_text(page())
    assert (DOCS / name).read_text() == page(), f"docs/{name} is out of date: AREX_UPDATE_DOCS=1 ./dev test"


def blocks(page):
    """The ```python blocks of a page, in order, each behind as many newlines as make its lines those of the page."""
    text = (DOCS / page).read_text()
    parts = text.split("```python\n")
    at = parts[0].count("\n") + 1
    for part in parts[1:]:
        code = part.split("```")[0]
        yield "\n" * at + code
        at += part.count("\n") + 1


@pytest.mark.skipif(not DOCS.exists(), reason="no documents here")
@pytest.mark.parametrize("page", ["spyder.md", "coming-from.md"])
def test_snippets(page, tmp_path):
    import subprocess
    import sys
    script = tmp_path / "page.py"  # functions are translated by their source, so it is a file
    script.write_text("\n".join(blocks(page)))
    assert "assert" in script.read_text()
    done = subprocess.run([sys.executable, "-W", "ignore", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(not DOCS.exists(), reason="no tables here")
def test_list_of_operators_is_whole(cli):
    """As the table has them, but for what only fast mode puts in and what only the library spells; the same for people and for machines."""
    table = (DOCS.parent / "grammar" / "ops.def").read_text().splitlines()
    rows = [line.partition("(")[2].partition(",")[0] for line in table if line.startswith(("ELEM(", "REDUCE(", "SCAN(", "COMPOSE(", "SPECIAL(")) and not re.search(",(FAST|LIBRARY),", line.replace(" ", ""))]
    assert len(rows) > 100
    assert [r["name"] for r in json.loads(cli("list", "ops", "--json").stdout)] == rows
    assert [line.split()[0] for line in cli("list", "ops").stdout.splitlines()] == rows
