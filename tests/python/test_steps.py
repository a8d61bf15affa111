"""Loops over whole arrays (for at the level of the program): NumPy's answer on every target to the bit, and what a round costs."""
import functools
import pathlib
import re

import numpy as np
import pytest

import arex

SAMPLES = pathlib.Path(__file__).resolve().parents[2] / "samples"
RNG = np.random.default_rng(21)


def sample(name):
    return (SAMPLES / f"{name}.arex").read_text()


@functools.lru_cache(maxsize=8)
def compiled(text, target):
    return arex.compile(text, target=target)


def everywhere(text, arrays, targets):
    """What all targets give, the same bits."""
    results = []
    for t in targets:
        given = {n: x.copy() if isinstance(x, np.ndarray) else x for n, x in arrays.items()}
        r = compiled(text, t)(**given)
        results.append([np.asarray(x) for x in (r if isinstance(r, tuple) else (r,))])
        for n, x in arrays.items():
            assert np.array_equal(given[n], x), f"{t} changed its input {n}"
    for r in results:
        assert all(a.tobytes() == b.tobytes() and a.shape == b.shape and a.dtype == b.dtype for a, b in zip(r, results[0])), text
    return results[0]


def python_of(text):
    """The same loops as Python writes them: braces become indents, one statement a line. Arrays are bound anew by plain assignments only."""
    lines, depth = [], 0
    for line in text.replace("{", "{\n").replace("}", "\n}\n").replace(";", "\n").splitlines():
        line = line.strip()
        if line == "}":
            depth -= 1
        elif line:
            lines.append("    " * depth + line.replace("{", ":"))
            depth += line.endswith("{")
    return "\n".join(lines)


def numpys(text, arrays):
    scope = {"sum": np.sum, "mean": np.mean, "max": np.max, "cumsum": np.cumsum, "roll": np.roll, "where": np.where, "len": len, "float32": np.float32, "sqrt": np.sqrt, "copy": lambda x: x.copy()}
    scope.update({n: x.copy() if isinstance(x, np.ndarray) else x for n, x in arrays.items()})
    body, names = text.rsplit("return ", 1)
    exec(python_of(body), scope)
    return [np.asarray(scope[n.strip()]) for n in names.split(",")]


A = {"u": RNG.normal(size=(9, 14)), "v": RNG.integers(-50, 50, 31), "w": RNG.normal(size=31), "x": RNG.normal(size=31), "h": RNG.normal(size=30), "f": RNG.normal(size=(5, 31)).astype(np.float32)}
CASES = """
for k in range(n) { w = w * 0.5 + x }; return w
for k in range(n) { w[1:-1] = 0.5 * (w[:-2] + w[2:]) }; return w
for k in range(n) { w[1:-1] = 0.5 * (w[:-2] + w[2:]); w[0] = w[1]; w[-1] = w[-2] }; return w
for k in range(n) { w[0] = w[1]; w[1:-1] = 0.5 * (w[:-2] + w[2:]) }; return w
for k in range(n) { w[0] = k }; return w
for k in range(n) { w[2:5] = w[2:5] * 2 + k; w[::2] = w[::2] - 1 }; return w
for k in range(n) { w[1:] = w[:-1] }; return w
for k in range(n) { w[::-1] = w }; return w
for k in range(n) { c = w * 1; w = x * 1; x = c * 1 }; return w, x
for k in range(n) { h = h + 0.5 * (w[1:] - w[:-1]); w[1:-1] = w[1:-1] + 0.5 * (h[1:] - h[:-1]) }; return w, h
for k in range(n) { y = 2.0 * w - x + 0.1 * (roll(w, 1) + roll(w, -1) - 2.0 * w); x = w; w = y }; return w, x
for k in range(n) { v = v // 2 + k }; return v
for k in range(2, 20, 5) { v = v * k - v }; return v
for k in range(9, -3, -4) { v[2] = k; v = v + k }; return v
for k in range(n) { u[1:-1, 1:-1] = 0.25 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:]); u[:, 0] = u[:, 1]; u[0] = u[1] }; return u
for k in range(n) { u[1:-1] = u[1:-1] + u[:-2] }; return u
for k in range(n) { u = u + 1; u[3] = u[4] }; return u
s = 0; for k in range(n) { s = s + k }; return s
s = 0; for k in range(n) { s = s + v * k }; return s
s = 0.0; for k in range(n) { s = s * 0.5 + k }; return s
s = 0; t = 1; for k in range(n) { for j in range(2) { s = s + t * x; t = 0.5 } }; return s, t
s = 0; for k in range(n) { s = s + 2 }; f = f * s; return f
s = v * 0; for k in range(n) { s = s + v; v = v + 1 }; return s, v
for k in range(n) { for j in range(3) { w[1:-1] = 0.5 * (w[:-2] + w[2:]) }; w = w + k }; return w
x = w * 1; for k in range(n) { x = w * 1; for j in range(k) { x[1:] = x[:-1] + j }; w = w + x }; return w, x
for k in range(n) { for j in range(k, 2 * k) { v = v + j }; for j in range(2) { v = v - j } }; return v
t = 0; for k in range(n) { t = t + max(v); v = v - 1 }; return t, v
for k in range(n) { f = f * 0.5 }; return f
for k in range(n) { f[1:-1] = f[1:-1] * 0.5 + k }; return f
a = w * 1; for k in range(n) { a[3] = a[3] + 1; w = w + a }; return a, w
a = w * 1; a[0] = 7; for k in range(n) { b = a * 1; b[1] = b[0] + k; w = w + b }; return w, a
for k in range(n) { w = w + 1 }; for k in range(n) { w[1:-1] = w[2:] }; return w
w = x * 2; for k in range(n) { w = x; x = w }; return w, x
for k in range(n) { w = cumsum(w) * 0.125 }; return w
for k in range(n) { v = cumsum(v) % 17 }; return v
""".strip().splitlines()


@pytest.mark.parametrize("n", [0, 1, 2, 3, 6])
@pytest.mark.parametrize("text", CASES)
def test_as_numpy(text, n, targets):
    arrays = {name: x for name, x in A.items() if re.search(rf"\b{name}\b", text)}
    if re.search(r"range\(.*\bn\b", text):
        arrays["n"] = n
    arrays = {name: x for name, x in arrays.items() if not re.match(rf"{name} = ", text)}
    got, want = everywhere(text, arrays, targets), numpys(text, arrays)
    for g, w in zip(got, want):
        if n == 0 and w.ndim == 0:
            w = np.broadcast_to(w, g.shape).astype(g.dtype)  # a literal is what it would become
        assert g.shape == w.shape and g.dtype == w.dtype
        if "cumsum(w)" in text:
            np.testing.assert_allclose(g, w, rtol=1e-12)
        else:
            np.testing.assert_array_equal(g, w)


class Writer:
    """Random loops over two vectors and a matrix, in text that Arex and Python read alike."""

    def __init__(self, seed):
        self.r = np.random.default_rng(seed)

    def pick(self, *choice):
        return choice[self.r.integers(len(choice))]

    def part(self):
        return self.pick("1:-1", "1:", ":-1", "::2", "2:-2", "::-1", "0", "-1", "3", "-2", "1:-1:3")

    def value(self, name, part):
        """Of the part's own length or a number."""
        same = f"{name}[{part}]"
        near = {"1:-1": [f"{name}[:-2]", f"{name}[2:]", "b[1:-1]"], "1:": [f"{name}[:-1]", "b[:-1]"], ":-1": [f"{name}[1:]", "b[1:]"], "::2": ["b[::2]"], "2:-2": [f"{name}[:-4]", "b[4:]"],
                "::-1": [name, "b"], "0": [f"{name}[1]", "b[0]", f"{name}[-1]"], "-1": [f"{name}[0]", f"{name}[-2]"], "3": [f"{name}[2]", "b[5]"], "-2": [f"{name}[0]"], "1:-1:3": ["b[1:-1:3]"]}[part]
        return self.pick(same, *near, f"{same} * 0.5 + {self.pick(*near)}", f"{self.pick(*near)} - {self.pick(same, *near)}", "k", "0.25")

    def statement(self, depth):
        kind = self.r.integers(8)
        name = self.pick("a", "b")
        if kind < 4:
            part = self.part()
            return f"{name}[{part}] = {self.value(name, part)}"
        if kind == 4:
            return self.pick("a = a * 0.5 + b", "b = b - 0.25 * a", "a = b * 1", "s = s + a[1] - b[2]", "b = b + s * 0.125", "c = a * 1; a = b * 1; b = c * 1", "a = a + k")
        if kind == 5:
            return self.pick("m[1:-1, 1:-1] = 0.5 * (m[:-2, 1:-1] + m[1:-1, 2:])", "m[0] = m[1]", "m[:, 0] = m[:, -1]", "m[2] = a[:6]", "a[:6] = m[1]", "m = m * 0.5")
        if kind == 6 and depth:
            return f"for j in range({self.pick('2', 'k', '3')}) {{ {self.body(depth - 1)} }}"
        return self.pick("s = s * 0.5", "a[1:-1] = 0.5 * (a[:-2] + a[2:])", "b[1:-1] = 0.5 * (b[:-2] + b[2:])")

    def body(self, depth):
        return "; ".join(self.statement(depth) for _ in range(self.r.integers(1, 5)))

    def program(self):
        before = self.pick("", "a[0] = 3; ", "b = b + a; ", "a[1:] = b[:-1]; ")
        return f"s = 0.5; {before}for k in range(n) {{ {self.body(2)} }}; {self.pick('', 'a[0] = b[1]; ', 'b = b + a; ')}return a, b, m, s"


def check(seed, targets):
    text = Writer(seed).program()
    r = np.random.default_rng(seed)
    arrays = {"a": r.normal(size=11), "b": r.normal(size=11), "m": r.normal(size=(5, 6)), "n": int(r.integers(0, 5))}
    text = "param a: float64[:]\nparam b: float64[:]\nparam m: float64[:, :]\nparam n: int64\n" + text
    used = {name: x for name, x in arrays.items() if re.search(rf"\b{name}\b", text)}
    for g, w in zip(everywhere(text, used, targets), numpys(text.split("int64\n")[1], used)):
        np.testing.assert_array_equal(g, w, err_msg=text)


@pytest.mark.parametrize("block", range(10))
def test_random_loops(block, targets):
    for seed in range(block * 30, block * 30 + 30):
        check(seed, targets)


class Edges(Writer):
    """Loops that replace several parts of one matrix, insides and edges, in any order: whether the whole is copied in each round hangs on where they lie."""

    INSIDES = ["m[1:-1, 1:-1] = 0.25 * (m[:-2, 1:-1] + m[2:, 1:-1] + m[1:-1, :-2] + m[1:-1, 2:])", "m[1:-1] = 0.5 * (m[:-2] + m[2:])", "m[:, 1:-1] = 0.5 * (m[:, :-2] + m[:, 2:])",
               "m[1:-1, 1:-1] = m[1:-1, 1:-1] + m[:-2, 2:]", "m[2:-1, 1:] = m[1:-2, :-1] * 0.5", "m[::2] = m[::2] + m[0]", "m[1:, :-1] = m[:-1, 1:]", "m[::-1] = m"]
    OTHERS = ["m[0] = k", "m[:, -1] = m[:, -1] * 0.5", "m[0] = m[0] * 0.5 + m[1]", "m[-1, 1:] = m[-1, :-1]", "s = s + m[1, 0]", "m[:, 0] = m[0, 1]", "m[1:-1, 0] = m[1:-1, 1]", "m[0] = m[0, ::-1]",
              "m[1:-1, -1] = m[1:-1, -2] + m[1:-1, 0]", "s = s + m[-1, -1] * m[0, 0]", "m[::2, 0] = m[::2, 1]", "m[1::2, 1:] = m[1::2, :-1]", "b[1:] = b[:-1] + m[1, :-1]; m[0] = b", "a = m * 1; m[1:-1] = a[2:]", "m[1:, 1:] = m[1:, 0] * 2.0"]
    EDGES = [("0", "1"), ("-1", "-2"), ("0", "-2"), ("-1", "1"), ("0", "-1"), ("1", "2"), ("-2", "-1")]

    def statement(self, depth):
        kind = self.r.integers(12)
        if kind < 4:
            return self.pick(*self.INSIDES)
        to, other = self.EDGES[self.r.integers(len(self.EDGES))]
        return self.pick(*self.OTHERS) if kind > 8 else self.pick(f"m[{to}] = m[{other}]", f"m[:, {to}] = m[:, {other}]")

    def program(self):
        return f"s = 0.5; a = m * 1; for k in range(n) {{ {'; '.join(self.statement(0) for _ in range(self.r.integers(2, 7)))} }}; return m, s, a, b"


@pytest.mark.parametrize("block", range(6))
def test_random_edges(block, targets):
    met = 0
    for seed in range(block * 16, block * 16 + 16):
        text, r = Edges(seed).program(), np.random.default_rng(seed)
        declared = "param m: float64[:, :]\nparam n: int64\nparam b: float64[:]\n" + text
        for shape in [(5, 6), (3, 3), (2, 5), (3, 2)]:
            arrays = {"m": r.normal(size=shape), "n": int(r.integers(2, 6)), "b": r.normal(size=shape[1])}
            try:
                want = numpys(text, arrays)
            except (IndexError, ValueError):
                continue
            met += 1
            for g, w in zip(everywhere(declared, arrays, targets), want):
                np.testing.assert_array_equal(g, w, err_msg=f"{shape} {text}")
    assert met > 16


INSIDE = "u[1:-1, 1:-1] = 0.25 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:])"
BORDERS = {"insulated": "u[0] = u[1]; u[-1] = u[-2]; u[:, 0] = u[:, 1]; u[:, -1] = u[:, -2]", "round": "u[0] = u[-2]; u[-1] = u[1]; u[:, 0] = u[:, -2]; u[:, -1] = u[:, 1]",
           "driven": "u[0] = k; u[:, -1] = u[:, -2] * 0.5 + k"}
# a place along one axis that becomes one along another: what is stale does not keep to its row
TURNED = f"for k in range(n) {{ {INSIDE}; u[1:, 1:] = u[1:, 0] * 2.0; u[2] = k }}; return u"


@pytest.mark.parametrize("text", ["m[-1] = m[-2]; m[1:, :-1] = m[:-1, 1:]; m[1:, :-1] = m[:-1, 1:]", "m[-1] = m[1]; m[0] = k; m[1:, :-1] = m[:-1, 1:]; m[:, -2] = m[:, -1]; m[::2] = m[::2] + m[0]"])
def test_a_part_between(text, targets):
    """An edge in all memories, and then a part over it that the next whole would have."""
    for shape in [(2, 5), (3, 4), (5, 5)]:
        arrays = {"m": RNG.normal(size=shape), "n": 4}
        text_of = f"for k in range(n) {{ {text} }}; return m"
        np.testing.assert_array_equal(everywhere(text_of, arrays, targets)[0], numpys(text_of, arrays)[0])


@pytest.mark.parametrize("n", [2, 3, 5])
def test_turned(n, targets):
    arrays = {"u": RNG.normal(size=(4, 4)), "n": n}
    np.testing.assert_array_equal(everywhere(TURNED, arrays, targets)[0], numpys(TURNED, arrays)[0])


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("first", [False, True])
def test_borders(border, first, targets):
    """No round lays down the whole, in whichever order the parts come; and what comes out is NumPy's, however small the plate."""
    body = "; ".join([BORDERS[border], INSIDE] if first else [INSIDE, BORDERS[border]])
    text = f"for k in range(n) {{ {body} }}; return u"
    plan = arex.compile(text).emit("plan", types="u=float64[:,:], n=int64")
    repeated, start = map(int, re.search(r"repeated: (\d+) steps from (\d+)", plan).groups())
    once = [int(i) for i in re.findall(r"once: step (\d+)", plan)]
    assert repeated == len(re.findall("=", body)) + 1 and len(once) == 1 and start <= once[0] < start + repeated, plan
    for shape in [(2, 2), (2, 3), (3, 2), (3, 3), (4, 3), (7, 9)]:
        for n in [0, 1, 2, 5]:
            arrays = {"u": RNG.normal(size=shape), "n": n}
            for g, w in zip(everywhere(text, arrays, targets), numpys(text, arrays)):
                np.testing.assert_array_equal(g, w, err_msg=f"{shape} {n} {text}")


@pytest.mark.parametrize("shape", [(0, 5), (1, 5), (2, 5), (3, 3), (1, 1), (5, 70), (40, 33)])
def test_shapes(shape, targets):
    u = RNG.normal(size=shape)
    (got,) = everywhere("for k in range(4) { u[1:-1, 1:-1] = u[2:, :-2] + u[:-2, 2:] }\nreturn u", {"u": u}, targets)
    want = u.copy()
    for _ in range(4):
        want[1:-1, 1:-1] = want[2:, :-2] + want[:-2, 2:]
    np.testing.assert_array_equal(got, want)


REFUSED = [("for k in range(3) { u = u[1:] }\nreturn u", {"u": np.ones(4)}, "changes from round to round"), ("for k in range(3) { u = u * x }\nreturn u", {"u": np.ones(4, np.float32), "x": np.ones(4)}, "keeps its type"),
           ("for k in range(3) { u = sum(u) }\nreturn u", {"u": np.ones(4)}, "keeps its shape"), ("for k in range(x) { u = u + 1 }\nreturn u", {"u": np.ones(4), "x": np.arange(3)}, "a number of times"),
           ("for k in range(3) { if k > 1 { u = u + 1 } }\nreturn u", {"u": np.ones(4)}, "choose by `where`"), ("while u[0] > 1 { u = u - 1 }\nreturn u", {"u": np.ones(4)}, "functions only"),
           ("for k in range(3) { u = u + 1; break }\nreturn u", {"u": np.ones(4)}, "as often as its range says"), ("for k in range(3) { return u }", {"u": np.ones(4)}, "nothing is returned"),
           ("for k in range(3) { t = u + k }\nreturn t", {"u": np.ones(4)}, "no value on some"), ("for k in range(3) { u = u + 1 }", {"u": np.ones(4)}, "without a value"),
           ("for k in range(0.5) { u = u + 1 }\nreturn u", {"u": np.ones(4)}, "takes integers"), ("for k in range(0, 5, 0) { u = u + 1 }\nreturn u", {"u": np.ones(4)}, "goes nowhere"),
           ("for k in range(3) { u = (u, u) }\nreturn u", {"u": np.ones(4)}, "becomes a tuple"), ("for k in range(3) { u[k] = 1 }\nreturn u", {"u": np.ones(4)}, "known when compiling")]


@pytest.mark.parametrize("text,arrays,words", REFUSED)
def test_refused(text, arrays, words, targets):
    for t in targets:
        with pytest.raises(arex.ArexError, match=words):
            arex.compile(text, target=t)(**arrays)


def test_given_up(targets):
    for t in targets:
        f = arex.compile("for k in range(n) { u = u + 1 }\nreturn u", target=t, max_rounds=10)
        assert np.asarray(f(u=np.zeros(3), n=10))[0] == 10
        with pytest.raises(arex.ArexError, match="given up after 10 rounds"):
            f(u=np.zeros(3), n=11)


def test_faults_of_a_round_are_told(targets):
    for t in targets:
        f = arex.compile("for k in range(n) { u[1:] = u[i] }\nreturn u", target=t)
        with pytest.raises(arex.ArexError, match="index 7 is out of range"):
            f(u=np.zeros(3), i=np.array([0, 7]), n=3)
        assert np.asarray(f(u=np.zeros(3), i=np.array([0, 7]), n=0)).shape == (3,)


# ---- what a round costs ----

TYPES = {"jacobi": "u=float64[:,:], rounds=int64", "heat_rod": "u=float64[:], k=float64, steps=int64", "heat_block": "u=float64[:,:,:], k=float64, steps=int64",
         "heat_plate": "u=float64[:,:], k=float64, steps=int64", "fdtd": "ez=float64[:], hy=float64[:], c=float64, steps=int64"}


@pytest.mark.parametrize("name,steps,once", [("jacobi", 2, 1), ("heat_rod", 2, 1), ("heat_block", 2, 1), ("heat_plate", 3, 1), ("fdtd", 2, 0)])
def test_a_round_stores_the_parts_alone(name, steps, once):
    """Jacobi's copy of the edge is made once; what reads its own part only is changed in place."""
    text = arex.compile(sample(name)).emit("plan", types=TYPES[name])
    assert re.search(rf"repeated: {steps} steps? from", text), text
    assert text.count("once: step") == once, text


@pytest.mark.parametrize("name", ["jacobi", "heat_plate", "heat_block", "heat_rod", "fdtd"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_samples(name, dtype, targets):
    """Many steps, as NumPy does them."""
    u = {"jacobi": (37, 131), "heat_plate": (20, 33), "heat_block": (9, 10, 11), "heat_rod": (301,)}.get(name)
    if name == "fdtd":
        ez, hy, c = np.exp(-((np.arange(201) - 100) / 9.0) ** 2).astype(dtype), np.zeros(200, dtype), dtype(0.5)
        ez[0] = ez[-1] = 0
        got = everywhere(sample(name), {"ez": ez, "hy": hy, "c": 0.5, "steps": 40}, targets)
        for _ in range(40):
            hy += c * (ez[1:] - ez[:-1])
            ez[1:-1] += c * (hy[1:] - hy[:-1])
        assert got[0].tobytes() == ez.tobytes() and got[1].tobytes() == hy.tobytes()
        return
    u, k = RNG.normal(size=u).astype(dtype), dtype(0.125)
    got = everywhere(sample(name), {"u": u, "rounds": 25} if name == "jacobi" else {"u": u, "k": 0.125, "steps": 25}, targets)[0]
    for _ in range(25):
        if name == "jacobi":
            u[1:-1, 1:-1] = dtype(0.25) * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:])
        elif name == "heat_rod":
            u[1:-1] += k * (u[:-2] - dtype(2) * u[1:-1] + u[2:])
        elif name == "heat_plate":
            u[1:-1, 1:-1] += k * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] - dtype(4) * u[1:-1, 1:-1])
            u[:, 0] = u[:, 1]
        else:
            m = slice(1, -1)
            u[m, m, m] = u[m, m, m] + k * ((u[:-2, m, m] + u[2:, m, m]) + (u[m, :-2, m] + u[m, 2:, m]) + (u[m, m, :-2] + u[m, m, 2:]) - dtype(6) * u[m, m, m])
    assert got.tobytes() == u.tobytes()
