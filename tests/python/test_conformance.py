"""The cases of tests/conformance (its README tells their format) on every target, to the bit, and in NumPy where it can say something."""
import math
import pathlib
import re
import warnings

import numpy as np
import pytest

import arex

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "conformance"
WILD = {"float*": ["float16", "float32", "float64"], "int*": ["int8", "int16", "int32", "int64"]}
WORDS = {"nan": math.nan, "inf": math.inf, "pi": math.pi, "e": math.e, "True": True, "False": False, "__builtins__": {}}
# spelled otherwise in NumPy
NUMPY = {"newaxis": None, **{n: getattr(np, n) for n in dir(np) if not n.startswith("_")}, **{n: getattr(math, n) for n in ("pi", "e", "inf", "nan")}}
# NumPy leaves these to the processor, to the order of arguments: it may be equal somewhere
VARYING = {"floats-to-integers", "signs-of-zeros"}


def lines(name):
    for i, line in enumerate((FOLDER / name).read_text().splitlines(), 1):
        if line and not line.startswith(("#  ", "[")) and (not line.startswith("#") or " gives " in line):
            yield i, line


def differences():
    return dict(line.split(": ", 1) for line in (FOLDER / "differences.txt").read_text().splitlines() if not line.startswith("#"))


def value(text):
    m = re.fullmatch(r"(~?)([a-z]+[0-9]*)([\[(].*[\])])", text)
    if not m:
        return eval(text, WORDS)
    data = eval(m[3], WORDS)
    with np.errstate(over="ignore"):
        a = np.array(data, np.dtype(m[2]))
    a = a.reshape([len(data), 0]) if data and a.size == 0 else a
    return (bool(m[1]), a)


class Case:
    def __init__(self, line):
        m = re.fullmatch(r"(?P<program>.*?)(?: with (?P<inputs>.*?))? gives (?P<result>.*?)(?: unlike numpy: (?P<why>\S+))?", line)
        assert m, line
        self.program, self.why = m["program"].replace("; ", "\n") if m["program"].startswith("#") else m["program"], m["why"]
        self.inputs = {}
        for one in re.split(r", (?=[a-z]+=)", m["inputs"] or ""):
            if one:
                name, text = one.split("=", 1)
                v = value(text)
                self.inputs[name] = v[1] if isinstance(v, tuple) else v
        self.error = m["result"].split()[1:] if m["result"].startswith("error") else None
        self.results = [value(t) for t in m["result"].split(" and ")] if self.error is None else []


def cases(name):
    for i, line in lines(name):
        wild = next((w for w in WILD if w in line), None)
        for dtype in WILD.get(wild, [""]):
            yield pytest.param(line.replace(wild, dtype) if wild else line, id=f"{name}:{i}" + (f"-{dtype}" if dtype else ""))


ALL = [c for name in ("language.txt", "special-values.txt") for c in cases(name)]


def same(got, want, near):
    if got.dtype != want.dtype or got.shape != want.shape:
        return False
    if want.dtype.kind != "f":
        return np.array_equal(got, want)
    equal = ((got == want) & (np.signbit(got) == np.signbit(want))) | (np.isnan(got) & np.isnan(want))
    if near:
        with np.errstate(all="ignore"):
            equal |= np.abs(got - want) <= near * np.spacing(np.abs(want))
    return bool(np.all(equal))


def run(case, target):
    try:
        results = arex.compile(case.program, target=target)(**case.inputs)
    except arex.ArexError as e:
        return e.code
    return [np.asarray(r) for r in (results if isinstance(results, tuple) else (results,))]


def in_numpy(case):
    """What NumPy makes of the program, or the exception it raises."""
    scope = {**NUMPY, **case.inputs}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            results = eval(case.program, {"__builtins__": {"len": len}}, scope)
        except Exception as e:
            return e
    return [np.asarray(r) for r in (results if isinstance(results, tuple) else (results,))]


@pytest.mark.parametrize("line", ALL)
def test_case(line, targets):
    case = Case(line)
    for target in targets:
        got = run(case, target)
        if case.error is not None:
            assert isinstance(got, str) and (not case.error or got == case.error[0]), (target, got)
            continue
        assert isinstance(got, list), (target, got)
        assert len(got) == len(case.results) and all(same(g, w, 2 if near else 0) for g, (near, w) in zip(got, case.results)), (target, got)
    outcomes = [run(case, t) for t in targets]
    if case.error is None:
        assert all([g.tobytes() for g in o] == [g.tobytes() for g in outcomes[0]] for o in outcomes)


@pytest.mark.parametrize("line", [c for c in ALL if " gives error" not in c.values[0]])
def test_case_in_numpy(line):
    """Equal, where functions round to within some ulps; or it is said why not, and it is true."""
    case = Case(line)
    theirs = in_numpy(case)
    equal = isinstance(theirs, list) and len(theirs) == len(case.results) and all(same(t, w, 4) for t, (_, w) in zip(theirs, case.results))
    if case.why:
        assert case.why in differences()
    if case.why not in VARYING:
        assert equal == (case.why is None), theirs


def promotions():
    rows = [line.split() for line in (FOLDER / "promotion.txt").read_text().splitlines() if not line.startswith("#")]
    return [(row[0], b, t) for row in rows[1:] for b, t in zip(rows[0], row[1:], strict=True)]


def test_promotion_is_whole():
    names = {t["name"] for t in arex.list("types") if t["works"] == "yes"}
    assert {(a, b) for a, b, _ in promotions()} == {(a, b) for a in names for b in names}


@pytest.mark.parametrize("a, b, want", promotions())
def test_promotion(a, b, want, targets):
    text = "".join(f"{n} = astype({n}0, {t})\n" for n, t in (("x", a), ("y", b)))
    for target in targets:
        r = arex.compile(f"{text}r = x + y\n" + ("bits(r), float32(r)" if want == "bfloat16" else "r"), target=target)(x0=np.ones(3, bool), y0=np.ones(3, bool))
        if want == "bfloat16":
            assert r[0].dtype == np.int16 and r[1].tolist() == [2.0] * 3
        else:
            assert r.dtype.name == want
    if "bfloat16" not in (a, b):
        assert np.result_type(np.dtype(a), np.dtype(b)).name == want


def test_differences_are_used():
    """Every reason has a case (errors and whole programs speak for themselves)."""
    used = {Case(c.values[0]).why for c in ALL}
    assert set(differences()) - used == {"errors"}
