"""Functions with if, for and while: against Python element by element, on all targets to the bit."""
import os
import random
import re

import numpy as np
import pytest

import arex

TARGETS = ["reference", "cpu"] + (["cuda"] if arex.device_count() else [])


def outputs(source, **args):
    """By target, all equal to the bit."""
    results = {}
    for target in TARGETS:
        r = arex.compile(source, target=target)(**args)
        results[target] = list(r) if isinstance(r, tuple) else [r]
    first = results["reference"]
    for target, got in results.items():
        for a, b in zip(got, first):
            assert a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes(), (target, source)
    return first


def check(source, function, *args, names="xyz"):
    """function: the same in Python, of single elements; a tuple for several results."""
    given = {n: a for n, a in zip(names, args)}
    got = outputs(source, **given)
    want = np.vectorize(function, otypes=[g.dtype for g in got])(*args)
    for g, w in zip(got, want if isinstance(want, tuple) else [want]):
        np.testing.assert_array_equal(g, w)


X = np.array([-7, -3, -1, 0, 1, 2, 5, 9, 14, 30, 31], np.int64)


def test_if_elif_else():
    def f(x):
        if x < 0:
            y = -x
        elif x > 10:
            y = x * 2
        else:
            y = 7
        return y
    check("""def f(x) {
        if x < 0 { y = -x }
        elif x > 10 { y = x * 2 }
        else { y = 7 }
        return y
    }
    f(x)""", f, X)


def test_returns_in_between():
    def f(x):
        if x < 0:
            return 1
        y = x + 1
        if x % 2 == 0:
            if x > 8:
                return y
            y = y * 3
        return y - 1
    check("""def f(x) {
        if x < 0 { return 1 }
        y = x + 1
        if x % 2 == 0 {
            if x > 8 { return y }
            y = y * 3
        }
        return y - 1
    }
    f(x)""", f, X)


def test_names_of_sides_that_have_left():
    def f(x):
        if x < 0:
            return -x
        elif x == 3:
            y = 7
        else:
            if x > 10:
                if x > 20:
                    return 0
                y = 1
            else:
                y = x * 2
        s = 0
        for i in range(6):
            if i == x:
                continue
            t = i + y
            s += t
        return s
    check("""def f(x) {
        if x < 0 { return -x } elif x == 3 { y = 7 } else {
            if x > 10 { if x > 20 { return 0 }; y = 1 } else { y = x * 2 }
        }
        s = 0
        for i in range(6) { if i == x { continue }; t = i + y; s += t }
        return s
    }
    f(x)""", f, X)


def test_while_with_break_and_continue():
    def f(x):
        n = s = 0
        while n < 40:
            n += 1
            if n % 3 == 0:
                continue
            if s > x:
                break
            s += n
        return s, n
    check("""def f(x) {
        n = 0; s = 0
        while n < 40 {
            n += 1
            if n % 3 == 0 { continue }
            if s > x { break }
            s += n
        }
        return s, n
    }
    f(x)""", f, X)


def test_return_from_loops():
    def f(x, y):
        for i in range(1, 50):
            for j in range(i):
                if i * j > x + y:
                    return i * 100 + j
        return -1
    source = """def f(x, y) {
        for i in range(1, 50) {
            for j in range(i) {
                if i * j > x + y { return i * 100 + j }
            }
        }
        return -1
    }
    f(x, y)"""
    check(source, f, X, X[::-1].copy())
    assert outputs(source, x=X[:, None], y=X[None, :])[0].shape == (11, 11)


@pytest.mark.parametrize("start, stop, step", [(0, 7, 1), (3, 3, 1), (5, 2, 1), (0, 7, 3), (0, 6, 3), (9, 0, -2), (9, 1, -2), (0, 9, -1)])
def test_range(start, stop, step):
    want = sum(k * 10 + i for k, i in enumerate(range(start, stop, step)))
    written = f"range({start}, {stop}, {step})"
    for bounds in [written, "range(a, b, c)"]:
        source = f"def f(a, b, c) {{ s = 0; k = 0; for i in {bounds} {{ s += k * 10 + i; k += 1 }}; return s }}; f(a + 0, b + 0, c + 0)"
        args = {n: np.array([v], np.int64) for n, v in zip("abc", (start, stop, step))}
        assert (outputs(source, **args)[0] == want).all(), bounds


def test_types_settle():
    x = np.linspace(0, 1, 7, dtype=np.float32)
    assert outputs("def f(x) { s = 0; for i in range(3) { s += x }; return s }; f(x)", x=x)[0].dtype == np.float32
    assert outputs("def f(x) { s = 0; for i in range(3) { s += i }; return s }; f(x)", x=x)[0].dtype == np.int64
    a, b = outputs("def f(x) { a = 0; b = 0; for i in range(5) { t = a; a = b + x; b = t }; return a, b }; f(x)", x=x)
    assert a.dtype == b.dtype == np.float32


def test_scalars_and_shapes():
    assert outputs("def f(n) { s = 1; while n > 1 { s *= n; n -= 1 }; return s }; f(n)", n=10)[0] == 3628800
    assert outputs("def f(x) { while x > 100 { x //= 2 }; return x }; f(x)", x=np.zeros((0, 3), np.int64))[0].shape == (0, 3)
    m = np.arange(24).reshape(2, 3, 4)
    got = outputs("def f(x, y) { while x < y { x += 5 }; return x }; f(m, v), sum(f(m, v), 1)", m=m, v=np.arange(4) * 9)
    assert got[0].shape == (2, 3, 4) and (got[1] == got[0].sum(1)).all()


def test_min_of_two_in_functions_by_element():
    assert outputs("def f(a, b) { if a > b { a = 1 }; return min(a, b) + max(a, 3) }; f(x, y)", x=X, y=X[::-1].copy())[0].shape == X.shape


def test_faults_of_the_side_not_taken_are_not_seen():
    outputs("def f(x) { if x > 0 { return 2 ** x }; return x }; f(x)", x=X)
    outputs("def f(x) { while x > 0 { y = 2 ** x; x -= 4 }; return x }; f(x)", x=X)
    for target in TARGETS:
        with pytest.raises(arex.ArexError, match="negative integer power"):
            arex.compile("def f(x) { s = 0; while x < 3 { s += 2 ** x; x += 1 }; return s }; f(x)", target=target)(x=X)


def test_library_functions_in_loops():
    x = np.linspace(-1e6, 1e6, 999)
    got = outputs("def f(x) { s = 0.0; for i in range(3) { s += sin(x * (i + 1)) * exp(-s) }; return s }; f(x)", x=x)[0]
    s = np.zeros_like(x)
    for i in range(3):
        s += np.sin(x * (i + 1)) * np.exp(-s)
    np.testing.assert_allclose(got, s, rtol=1e-9, atol=1e-9)


def test_endless_loops_are_given_up():
    for target in TARGETS:
        f = arex.compile("def f(x) { while x == x { x += 0 }; return x }; f(x)", target=target, max_rounds=1000)
        with pytest.raises(arex.ArexError, match="given up after 1000 rounds"):
            f(x=X)
    assert (outputs("def f(x) { while x > 99 { x += 0 }; return x }; f(x)", x=X)[0] == X).all()


@pytest.mark.parametrize("view", ["r[1:]", "r.T", "r[0]", "r[:, None] + 1", "diff(r)", "r[x % 3]", "flip(r)", "reshape(r, (-1,))", "r[::2, 1]", "concatenate((r, r))",
                                  "sum(r[:, ::-1], 1)", "r[1:] - r[:-1]", "roll(r, 1)"])
def test_what_loops_give_is_an_array_as_others(view):
    """The step goes into the loop: it is run for the elements that are there."""
    m, x = np.arange(12).reshape(3, 4) * 7, np.arange(5)
    source = """def f(v, w) {
        n = 0
        while v > 1 {
            for k in range(v % 3) { if k == w { break }; n += w + size(v) }
            v //= 2
            n += sin(w * 0) == 0.0
        }
        return n
    }
    r = f(m, m[:, :1] % 5)
    """
    r = outputs(source + "r + 0", m=m)[0]
    names = {"reshape": np.reshape, "diff": np.diff, "flip": np.flip, "concatenate": np.concatenate, "roll": np.roll, "sum": np.sum}
    want = eval(view, dict(names, r=r, x=x))
    args = {"m": m, "x": x} if "x " in view else {"m": m}
    np.testing.assert_array_equal(outputs(source + view, **args)[0], want)


@pytest.mark.parametrize("source, code", [
    ("if x { y = 1 }", "AX0217"), ("while x { y = 1 }", "AX0217"), ("for i in range(3) { x }", "AX0216"),
    ("def f(x) { break; return x }; f(x)", "AX0101"),
    ("def f(x) { for i in x { x += 1 }; return x }; f(x)", "AX0101"),
    ("def f(x) { if x > 0 { y = 1 }; return y }; f(x)", "AX0201"),
    ("def f(x) { if x > 0 { return 1 } }; f(x)", "AX0216"),
    ("def f(x) { while x { x -= 1 }; return x }; f(x)", "AX0203"),
    ("def f(x) { for i in range(1.5) { x += 1 }; return x }; f(x)", "AX0203"),
    ("def f(x) { for i in range(0, 9, 0) { x += 1 }; return x }; f(x)", "AX0203"),
    ("def f(x) { for i in range(3) { x += sum(x) }; return x }; f(x)", "AX0219"),
    ("def f(x) { for i in range(3) { x = x[1] }; return x }; f(x)", "AX0212"),
    ("def f(x) { t = (1, 2); for i in range(3) { t = 1 }; return x }; f(x)", "AX0203"),
    ("def f(x) { if x > 0 { return 1, 2 }; return x }; f(x)", "AX0208"),
    ("def f(x) { for i in range(3) { f(x) }; return x }; f(x)", "AX0207"),
])
def test_errors(source, code):
    with pytest.raises(arex.ArexError) as e:
        arex.compile(source, target="cpu")(x=X)
    assert e.value.code == code, e.value


# ---- random functions, written in both languages ----

class Writer:
    """A function of x and y over the names a, b, c, in Arex and in Python."""

    def __init__(self, seed):
        self.r, self.loops, self.rounds = random.Random(seed), 0, 0

    def expr(self, depth=2):
        r = self.r
        if depth == 0 or r.random() < 0.3:
            return r.choice(["x", "y", "a", "b", "c", str(r.randint(-4, 9))])
        return f"({self.expr(depth - 1)} {r.choice(['+', '-', '*', '%', '//', '&', '^'])} {self.expr(depth - 1)})"

    def cond(self):
        c = f"{self.expr(1)} {self.r.choice(['<', '<=', '>', '==', '!='])} {self.expr(1)}"
        return c if self.r.random() < 0.7 else f"{c} {self.r.choice(['and', 'or'])} not {self.expr(1)} < {self.expr(1)}"

    def block(self, depth, indent):
        lines = []
        for _ in range(self.r.randint(1, 3)):
            lines += self.statement(depth, indent)
        return lines

    def statement(self, depth, indent):
        r, pad = self.r, "    " * indent
        kind = r.choice(["let", "let", "if", "for", "while", "leave"]) if depth else "let"
        if kind == "leave":
            leave = r.choice(["break", "continue", "return"]) if self.loops else "return"
            if leave == "return":
                leave = f"return {self.expr()}, {r.choice('abc')}"
            return [pad + f"if {self.cond()} {{", pad + "    " + leave, pad + "}"]
        if kind == "if":
            lines = [pad + f"if {self.cond()} {{"] + self.block(depth - 1, indent + 1)
            if r.random() < 0.3:
                lines += [pad + f"}} elif {self.cond()} {{"] + self.block(depth - 1, indent + 1)
            if r.random() < 0.6:
                lines += [pad + "} else {"] + self.block(depth - 1, indent + 1)
            return lines + [pad + "}"]
        if kind in ("for", "while"):
            self.loops += 1
            self.rounds += 1
            k = f"k{self.rounds}"
            body = self.block(depth - 1, indent + 1)
            self.loops -= 1
            if kind == "for":
                return [pad + f"for {k} in range({r.randint(-2, 2)}, {r.choice(['x % 5', '3', 'a % 4'])}, {r.choice([1, 2, -1])}) {{"] + body + [pad + "}"]
            return [pad + f"{k} = 0", pad + f"while ({self.cond()}) and {k} < 4 {{", pad + f"    {k} += 1"] + body + [pad + "}"]
        name = r.choice("abc")
        return [pad + f"{name} {r.choice(['=', '=', '+=', '-='])} {self.expr()}"]

    def function(self):
        lines = ["    a = x", "    b = y", "    c = 1"] + self.block(3, 1) + ["    return a, b + c"]
        text = "\n".join(lines)
        source = "def f(x, y) {\n" + text + "\n}\nf(x, y)"
        python = "def f(x, y):\n" + "\n".join(line.replace("} elif", "elif").replace("} else", "else").replace("{", ":").rstrip()
                                              for line in lines if line.strip() != "}")
        return source, python


class Int(int):
    """int64 with the language's meaning: it wraps, and x // 0 is 0."""
    def __new__(cls, v):
        return int.__new__(cls, (v + 2**63) % 2**64 - 2**63)

    def __floordiv__(self, o):
        return Int(int(self) // int(o) if o else 0)

    def __mod__(self, o):
        return Int(int(self) % int(o) if o else 0)

    def __rfloordiv__(self, o):
        return Int(o) // self

    def __rmod__(self, o):
        return Int(o) % self


for _name in ["add", "sub", "mul", "and", "xor"]:
    for _n in [_name, "r" + _name]:
        setattr(Int, f"__{_n}__", (lambda f: lambda a, b: Int(f(int(a), int(b))))(getattr(int, f"__{_n}__")))


FIRST, LAST = int(os.environ.get("AREX_RANDOM_FROM", 0)), int(os.environ.get("AREX_RANDOM_TO", 40))


@pytest.mark.parametrize("seed", range(FIRST, LAST))
def test_random_functions(seed):
    source, python = Writer(seed).function()
    scope = {}
    python = re.sub(r"(?<![\w])(\d+)", r"Int(\1)", python).replace("range(", "wrapped_range(")
    exec(python, {"Int": Int, "wrapped_range": lambda *a: map(Int, range(*map(int, a)))}, scope)
    rng = np.random.default_rng(seed)
    x, y = rng.integers(-9, 12, (2, 37))
    got = outputs(source, x=x, y=y)
    want = [scope["f"](Int(int(a)), Int(int(b))) for a, b in zip(x, y)]
    for k in range(2):
        np.testing.assert_array_equal(got[k], [int(w[k]) for w in want], err_msg=source)
