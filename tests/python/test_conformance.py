"""The cases of tests/conformance (its README tells their format) on every target, to the bit, and in NumPy where it can say something."""
import math
import pathlib
import re
import warnings

import numpy as np
import pytest

import arex

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "conformance"
# a case is run once for each column; what a line has of them stands for the same place in all
WILD = [("uint*", ["uint8", "uint16", "uint32", "uint64"]), ("complex*", ["complex64", "complex128"]), ("real*", ["float32", "float64"]),
        ("float*", ["float16", "float32", "float64"]), ("int*", ["int8", "int16", "int32", "int64"])]
WORDS = {"nan": math.nan, "inf": math.inf, "pi": math.pi, "e": math.e, "True": True, "False": False, "complex": complex, "__builtins__": {}}
PATTERN = re.compile(r"(?P<program>.*?)(?: with (?P<inputs>.*?))?(?: over (?P<grid>\[.*?\]))?(?: into (?P<into>\S+))? gives (?P<result>.*?)(?: unlike numpy: (?P<why>\S+))?")
# spelled otherwise in NumPy
NUMPY = {"newaxis": None, **{n: getattr(np, n) for n in dir(np) if not n.startswith("_")}, **{n: getattr(math, n) for n in ("pi", "e", "inf", "nan")}}
# NumPy leaves these to the processor, to the order of arguments: it may be equal somewhere
VARYING = {"floats-to-integers", "signs-of-zeros", "zeros-of-float16"}  # with NumPy's version or the processor


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
        m = PATTERN.fullmatch(line)
        assert m, line
        self.program = m["program"].replace("; ", "\n") if m["program"].startswith("#") else m["program"]
        self.grid, self.into = eval(m["grid"] or "None", WORDS), m["into"]
        self.why = m["why"] or ("programs" if self.grid or self.into else None)
        self.inputs = {}
        for one in re.split(r", (?=[a-z]+=)", m["inputs"] or ""):
            if one:
                name, text = one.split("=", 1)
                v = value(text)
                self.inputs[name] = v[1] if isinstance(v, tuple) else v
        error = re.fullmatch(r"error(?: (AX\d+))?(?: saying (.*))?", m["result"])
        self.error, self.code, self.words = error is not None, error and error[1], (error and error[2]) or ""
        self.results = [value(t) for t in m["result"].split(" and ")] if not self.error else []


def cases(name):
    for i, line in lines(name):
        wild = [(w, dtypes) for w, dtypes in WILD if re.search(rf"\b{re.escape(w)}", line)]
        for k in range(len(wild[0][1]) if wild else 1):
            one = line
            for w, dtypes in wild:
                one = re.sub(rf"\b{re.escape(w)}", dtypes[k], one)
            yield pytest.param(one, id=f"{name}:{i}" + (f"-{wild[0][1][k]}" if wild else ""))


FILES = ("language.txt", "functions.txt", "special-values.txt", "complex-values.txt", "kernels.txt")
ALL = [c for name in FILES for c in cases(name)]


def same(got, want, near):
    if got.dtype != want.dtype or got.shape != want.shape:
        return False
    if want.dtype.kind == "c":
        return same(got.real, want.real, near) and same(got.imag, want.imag, near)
    if want.dtype.kind != "f":
        return np.array_equal(got, want)
    signs = np.signbit(got) == np.signbit(want)
    equal = ((got == want) & signs) | (np.isnan(got) & np.isnan(want))
    if near:
        with np.errstate(all="ignore"):
            equal |= (np.abs(got - want) <= near * np.spacing(np.abs(want))) & signs
    return bool(np.all(equal))


def run(case, target):
    """The results, or the error."""
    given = {n: v.copy() if isinstance(v, np.ndarray) else v for n, v in case.inputs.items()}
    try:
        program = arex.compile(case.program, target=target)
        if case.grid:
            program.launch(*case.grid, *given.values())
            return [given[n] for n in given if n in program.outputs]
        out = {"out": eval(case.into, {}, given)} if case.into else {}
        results = program(**given, **out)
    except arex.ArexError as e:
        return e
    if case.into:
        return [out["out"]]
    return [np.asarray(r) for r in (results if isinstance(results, tuple) else (results,))]


def in_numpy(case):
    """What NumPy makes of the program, or the exception it raises."""
    if case.grid or case.into:
        return None
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
    outcomes = [run(case, t) for t in targets]
    for target, got in zip(targets, outcomes):
        if case.error:
            assert isinstance(got, arex.ArexError) and case.code in (None, got.code) and case.words in str(got), (target, got)
        else:
            assert isinstance(got, list), (target, got)
            assert len(got) == len(case.results) and all(same(g, w, 2 if near else 0) for g, (near, w) in zip(got, case.results)), (target, got)
            assert [g.tobytes() for g in got] == [g.tobytes() for g in outcomes[0]], target


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


def operations(tree):
    """What a program's tree applies, of `emit ast`: names of functions, and symbols of operators with how many things they are put to."""
    found, open_ = set(), []
    for token in re.findall(r"[()]|[^\s()]+", tree):
        if token == "(":
            open_.append([])
        elif token == ")":
            node = open_.pop()
            if node and node[0] == "call":
                found.add(node[1])
            elif node and node[0] == "compare":
                found |= {(t, 2) for t in node[1:] if isinstance(t, str)}
            elif node and isinstance(node[0], str):
                found.add((node[0], len(node) - 1))
            if open_:
                open_[-1].append(node)
        elif open_:
            open_[-1].append(token)
    return found


def test_operations_of_a_tree():
    applied = operations(arex.compile("def f(a) = -a // exp(a)\nf(x) < y <= 1").emit("ast"))
    assert {"exp", "f", ("-", 1), ("//", 2), ("<", 2), ("<=", 2)} <= applied and not {"sin", ("-", 2), (">", 2)} & applied


def test_every_operation_has_a_case():
    """That gives a result; of what is written by a symbol, one that writes it so."""
    applied = set()
    for case in {c.program: c for c in (Case(c.values[0]) for c in ALL) if not c.error}.values():
        applied |= operations(arex.compile(case.program).emit("ast"))
    names = {a["name"]: a["of"] for a in arex.list("aliases")}
    applied |= {names[f] for f in applied if isinstance(f, str) and f in names}
    wanted = {op["name"]: (op["symbol"].rstrip("x"), op["arity"]) if op["symbol"] else op["name"] for op in arex.list("ops")}
    assert not [name for name, how in wanted.items() if how not in applied]
