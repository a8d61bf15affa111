"""Every diagnostic of grammar/diag.def: what brings it about, here, in the conformance cases or in a C test; and what help it offers."""
import pathlib
import re
import warnings

import numpy as np
import pytest

import arex
import test_conformance

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TABLE = {e["code"]: e for e in arex.list("errors")}
V = np.ones(3)


def call(text, *args, **options):
    return arex.compile(text, target="cpu", **options)(*args)


def launch(text, *args, grid=1, block=1, **options):
    return arex.compile(text, target="cpu", **options).launch(grid, block, *args)


def emit(text, stage, **options):
    return arex.compile(text).emit(stage, **options)


def given(name, value):
    return arex.compile("x + 1", target="cpu")(**{name: value})


# what no conformance case can say: calls, options, machines
TRIGGERS = {
    "AX0107": lambda: call("x + \0", V),
    "AX0201": lambda: launch("kernel f(x) { x[0] = y }", V),
    "AX0304": lambda: call("x + y", V),
    "AX0305": lambda: call("x", V, V),
    "AX0306": lambda: call("x", np.array(["a", "b"])),
    "AX0309": lambda: arex.compile("x + 1", target="cpu")(V, out=np.zeros(4)),
    "AX0314": lambda: call("def f(v) { while v > 0 { v = v + 1 }; return v }\nf(x)", V, max_rounds=100),
    "AX0313": lambda: call("sum(zeros(2305843009213693953)) + x", V),
    "AX0401": lambda: call("x + " + "1" * (1 << 20), V),
    "AX0402": lambda: call("-(" * 400 + "-(" * 400 + "x" + ")" * 800, V),
    "AX0403": lambda: call("\n".join(["y = x"] + ["y = y * x + y"] * 60000) + "\ny", V),
    "AX0404": lambda: call("def a(v) = v+v\n" + "\n".join(f"def {q}(v) = {p}({p}({p}({p}({p}({p}({p}({p}({p}({p}(v))))))))))" for p, q in zip("abcdef", "bcdefg")) + "\ng(x)", V),
    "AX0405": lambda: call("return " + ", ".join(f"sum(x[{i}:]) / max(x[{i}:])" for i in range(300)), np.ones(400)),
    "AX0411": lambda: call("x = sin(x)\nx = x / cumsum(x)\n" * 60 + "x", V),
    "AX0410": lambda: launch("kernel f(x) {\n" + "\n".join(f"v{k} = x[threadIdx.x] * {k}" for k in range(200)) + "\nsyncthreads()\nx[0] = " + " + ".join(f"v{k}" for k in range(200)) + " }", V),
    "AX0502": lambda: emit("x", "asm", types="x=float64", arch="pdp11"),
    "AX0701": lambda: arex.compile("x", target="gpu"),
    "AX0702": lambda: emit("x", "nonsense", types="x=float64"),
}


@pytest.mark.parametrize("code", TRIGGERS)
def test_triggered(code):
    with pytest.raises(arex.ArexError) as e:
        TRIGGERS[code]()
    assert e.value.code == code, e.value


def test_warning_triggered():
    """AX0218, the one that is no error."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        assert arex.compile("param y: float64[n]\nx + 1", target="cpu")(y=V, x=1.0) == 2.0
    assert any("AX0218" in str(w.message) for w in seen)


def from_conformance():
    return {case.code for case in (test_conformance.Case(c.values[0]) for c in test_conformance.ALL) if case.code}


def asserted(code, text):
    """Whether the source of a test holds something to this code: by its name in C (AX_syntax), by itself in Python and in tables of expectations."""
    names = rf"AX_{TABLE[code]['id']}\b|\b{code}\b"
    return any(re.search(names, line) and re.search(r"assert|refused|return got|expect_|has\(|FAKE_|^\s*\{.*\},?", line) for line in text.splitlines())


@pytest.mark.skipif(not (ROOT / "tests" / "api").exists(), reason="no C tests here")
def test_every_diagnostic_is_triggered():
    """By a conformance case that is run, by this file, or by the C test that the C API's own list of codes names; that list
    (tests/api/host.c) fails when a code that is not in it was not seen by the C tests of the API."""
    excused = dict(re.findall(r'\{"(AX\d+)", "([^"]+)",', (ROOT / "tests/api/host.c").read_text()))
    assert excused and set(excused) <= set(TABLE)
    for code, where in excused.items():
        assert asserted(code, (ROOT / "tests" / where).read_text()), (code, where)
    api = "".join(f.read_text() for f in (ROOT / "tests/api").glob("test_*.c"))
    for code in set(TABLE) - from_conformance() - set(TRIGGERS) - set(excused) - {"AX0218"}:
        assert asserted(code, api), code


def test_codes_of_tests_are_of_the_table():
    assert from_conformance() | set(TRIGGERS) <= set(TABLE)


def test_every_diagnostic_has_a_cause_and_a_cure():
    for e in TABLE.values():
        assert len(e["title"]) > 4 and len(e["help"].split()) >= 8 and e["help"][-1] == ".", e
        assert re.search(r"[.:;,] [A-Za-z`]", e["help"]), e


# ---- did you mean ----

NEAR = [("sinn(x)", "sin"), ("Sin(x)", "sin"), ("lgoaddexp(x, x)", "logaddexp"), ("cumsmu(x)", "cumsum"), ("zeros_lke(x)", "zeros_like"), ("flaot32(x)", "float32"), ("bfloat(x)", "bfloat16"),
        ("def double(v) = v + v\ndoubel(x)", "double"), ("sum(x, axs=0)", "axis"), ("sum(x, keepdim=True)", "keepdims"), ("var(x, dof=1)", "ddof"), ("def f(a, scale=2) = a * scale\nf(x, scle=3)", "scale"),
        ("param x: flaot32[n]\nx", "float32"), ("astype(x, flot64)", "float64"), ("x.t", "T"),
        ("kernel f(x) { index = grid(1); x[idnex] = 1 }", "index"), ("kernel f(values) { values[0] = vlaues[1] }", "values"), ("kernel f(x) { x[threadIx.x] = 1 }", "threadIdx")]


@pytest.mark.parametrize("text, word", NEAR)
def test_did_you_mean(text, word, cli):
    said = cli("eval", text, "-i", "x=1.5").stderr
    assert f"did you mean `{word}`?" in said, said


@pytest.mark.parametrize("text", ["qqqqq(x)", "sum(x, qqqqq=0)", "kernel f(x) { x[0] = qqqqq }", "qqqqq + x", "param x: qqqqq\nx"])
def test_nothing_is_near(text, cli):
    run = cli("eval", text, "-i", "x=1.5")
    assert run.returncode and "did you mean" not in run.stderr, run.stderr


def test_did_you_mean_an_input(cli):
    assert "did you mean `lenght`?" in cli("eval", "lenght + 1", "-i", "length=2.0").stderr
    assert "did you mean `True`?" in cli("eval", "true").stderr
    for run in (lambda: arex.evaluate("lenght + 1", {"length": 3.0}), lambda: arex.compile("length + 1")(lenght=2.0)):
        with pytest.raises(arex.ArexError, match="did you mean `length`"):
            run()
    with pytest.raises(arex.ArexError, match="did you mean `float32`"):
        arex.evaluate("astype(length, flaot32)", {"length": 3.0})


@pytest.mark.parametrize("text, word", [("np.sin(x)", "sin"), ("x.sum()", "sum"), ("(x + 1).mean()", "mean")])
def test_methods_are_functions(text, word, cli):
    assert f"write `{word}(...)`" in cli("eval", text, "-i", "x=1.5").stderr
