"""Prints the corpus of `arex selfcheck` without hashes: programs over the whole table of operators, and generated ones.

    ./dev python tests/onebits/make.py >build/corpus.txt
    ./dev arex selfcheck --update -t reference build/corpus.txt >tests/onebits/selfcheck.txt
"""
import random
import re

import arex

OPS, TYPES = arex.list("ops"), [t["name"] for t in arex.list("types") if t["works"] == "yes" and t["name"] not in ("float16", "bfloat16")]
SHAPES = {"x": "257", "y": "257", "z": "257", "m": "5,33", "w": "33", "v": "9001", "a": "257", "b": "257", "i": "64", "s": ""}


def line(program, **types):
    inputs = " ".join(f"{name}={dtype}[{SHAPES[name]}]" if SHAPES[name] else f"{name}={dtype}" for name, dtype in types.items())
    print("0" * 16, inputs or "-", program.replace("\n", "\\n"), sep="\t")


def elementwise():
    for row in OPS:
        if row["kind"] != "elementwise":
            continue
        symbol, n = row["symbol"], row["arity"]
        text = f"{row['name']}({', '.join('xyz'[:n])})"
        if symbol and n == 2:
            text = f"x {symbol} y"
        for dtype in ("float64", "float32", "int64", "int16", "uint8", "bool"):
            form = {"on_float": dtype.startswith("float"), "on_int": "int" in dtype, "on_bool": dtype == "bool"}
            if not any(row[k] for k, v in form.items() if v) and not (dtype == "int64" and row["on_float"]):
                continue
            if row["name"] == "where":
                line("where(x > y, y, z)", x=dtype, y=dtype, z=dtype)
            else:
                line(text, **{k: dtype for k in "xyz"[:n]})
        if row["on_float"]:
            line(re.sub(r"\bx\b", "float16(x)", text), **{k: "float32" for k in "xyz"[:n]})


def reductions():
    for name in ["sum", "prod", "min", "max", "any", "all", "mean", "var", "std", "argmin", "argmax", "norm", "logsumexp", "count_nonzero", "ptp", "nansum", "nanmax"]:
        for dtype in ("float64", "float32", "int32", "uint8", "bool"):
            if name in ("norm", "logsumexp", "nansum", "nanmax", "ptp") and not dtype.startswith("float"):
                continue
            for form in ("(m)", "(m, 0)", "(m, 1, keepdims=True)"):
                line(name + form, m=dtype)
            if dtype.startswith("float"):
                line(f"{name}(v)", v=dtype)
                line(f"{name}(v * 0.37 + 1.5)", v=dtype)


def scans():
    for name in ["cumsum", "cumprod", "cummax", "cummin"]:
        for dtype in ("float64", "float32", "int32", "uint8", "bool"):
            for form in ("(m)", "(m, 0)", "(m, 1)", "(v)"):
                line(name + form, **{form[1]: dtype})
    for text in ["sum(cumsum(v * v))", "cumsum(v) - v", "cumsum(float16(v))"]:
        line(text, v="float64")
    for text in ["cumsum(exp(m / 8), 1)[:, ::-1]", "c = cumsum(m, 1); return c, max(c, 1), cumprod(c / 64, 0)"]:
        line(text, m="float32")


def casts():
    for to in TYPES + ["float16", "bfloat16"]:
        for source in ("float64", "float32", "int64", "uint8", "bool"):
            line(f"float32({to}(x))" if to == "bfloat16" else f"{to}(x)", x=source)


LOOPS = """def f(a, b) {
    n = 0; s = a * 0
    while n < 20 {
        n += 1
        if s > b { break }
        if n % 3 == 0 { continue }
        s += a / n
    }
    return s, n
}
f(x, y)"""
PROGRAMS = [
    (LOOPS, dict(x="float64", y="float64")), (LOOPS, dict(x="float32", y="float32")), (LOOPS, dict(x="int64", y="int64")),
    ("def e(a, b) { x = 0.0; y = 0.0; n = 0; while x*x + y*y <= 4.0 and n < 60 { x, y = x*x - y*y + a, 2.0*x*y + b; n += 1 }; return n }\ne(x / 4, y / 4)", dict(x="float64", y="float64")),
    ("def f(v) { s = 0.0; for k in range(len(v)) { s += v[k] * 0.25 }; return s }\nf(x)", dict(x="float32")),
    ("def f(t) { if t < 0 { return sqrt(-t) } elif t > 4 { return exp(t / 8) }; return sin(t) + tanh(t) }\nf(x), sum(f(m), 0)", dict(x="float64", m="float32")),
    ("x[i % 257], m[i % 5, (i * 7) % 33], sum(m[:, i % 33], 1)", dict(x="float32", m="float64", i="uint8")),
    ("x[1:-1] - 2*x[:-2] + x[2:], m.T[::-2, 1:], diff(x), flip(m, 1)", dict(x="float64", m="float32")),
    ("(m - mean(m, 1, keepdims=True)) / std(m, 1, keepdims=True)", dict(m="float64")), ("exp(m - max(m, 1, keepdims=True)) / sum(exp(m - max(m, 1, keepdims=True)), 1, keepdims=True)", dict(m="float32")),
    ("sum(x*x), dot(x, y), x / sum(x)", dict(x="float64", y="float64")), ("m + w, sum(m * w, 1), max(m - w[:, None].T, 0)", dict(m="float32", w="float32")),
    ("linspace(-1, 1, 101) ** 3, arange(50) % 7, eye(4) * 2.5", {}), ("roll(x, 3) - x, reshape(m, (33, 5)), concatenate((x, y)), stack((x, y), 1)", dict(x="float32", y="float32", m="int64")),
    ("modf(x), frexp(x)", dict(x="float64")), ("divmod(x, y)", dict(x="int64", y="int64")), ("bits(x), frombits(bits(y), float32) * 2", dict(x="float64", y="float32")),
]


class Writer:
    """Expressions over x, y, m and a scalar, from an integer generator."""

    def __init__(self, seed):
        self.r = random.Random(seed)

    def expr(self, depth, names):
        r = self.r
        if depth == 0 or r.random() < 0.15:
            return r.choice(names + [str(r.randint(-3, 9)), f"{r.randint(-30, 30) / 8}"])
        kind = r.randrange(9)
        sub = lambda: self.expr(depth - 1, names)  # noqa: E731
        if kind < 4:
            return f"({sub()} {r.choice('+-*/')} {sub()})"
        if kind == 4:
            return f"{r.choice(['abs', 'sqrt', 'floor', 'exp', 'sin', 'cos', 'tanh', 'log1p', 'atan', 'cbrt', 'erf', 'rint', 'square'])}({sub()})"
        if kind == 5:
            return f"where({sub()} < {sub()}, {sub()}, {sub()})"
        if kind == 6:
            return f"{r.choice(['minimum', 'maximum', 'hypot', 'atan2', 'fmod', 'copysign'])}({sub()} + 0.0, {sub()})"
        if kind == 7:
            return f"{r.choice(['sum', 'mean', 'max', 'min', 'prod'])}({sub()} + {names[0]} * 1.0)"
        return f"fma({sub()} * 1.0, {sub()}, {sub()} + {names[0]})"


def generated(n):
    for seed in range(n):
        w = Writer(seed)
        dtype = ["float64", "float32"][seed % 2]
        names = [["a", "b"], ["m", "w"], ["v"], ["x", "y"]][seed % 4]
        text = w.expr(5, names) + f" + {' * '.join(names)} * 0.5"
        line(text, **{k: dtype for k in names})


def complexes():
    for dtype in ("float64", "float32"):
        for text in ["z * w", "z / w", "z + 1j * w", "abs(z)", "angle(z)", "exp(z / 8)", "log(z)", "sqrt(z)", "z ** 0.5", "z ** 2", "sin(z / 8)", "cosh(z / 8)", "sum(z)", "mean(z * conj(w))", "prod(z / 64)", "cumsum(z)", "std(z)", "z == w", "z[::-1]"]:
            line(f"z = complex(x, y); w = complex(y, x * 0.5)\nreturn {text}", x=dtype, y=dtype)


def steps():
    for dtype in ("float64", "float32"):
        for text in ["for k in range(7) { v[1:-1] = 0.25 * (v[:-2] + v[2:]) + 0.5 * v[1:-1] }\nreturn v", "for k in range(5) { v[0] = v[1]; v[1:] = v[:-1] * 0.5 + k }\nreturn v, sum(v)",
                     "s = 0\nfor k in range(3) { for j in range(k) { s = s + v * j }\nv = v - mean(v) }\nreturn s, v"]:
            line(text, v=dtype)
        line("h = x[1:] * 1\nfor k in range(9) { h += 0.5 * (x[1:] - x[:-1]); x[1:-1] += 0.5 * (h[1:] - h[:-1]) }\nreturn x, h", x=dtype)
        line("for k in range(4) { m[1:-1, 1:-1] = 0.25 * (m[:-2, 1:-1] + m[2:, 1:-1] + m[1:-1, :-2] + m[1:-1, 2:]); m[:, 0] = m[:, 1] }\nreturn m", m=dtype)


elementwise()
complexes()
steps()
reductions()
scans()
casts()
for program, types in PROGRAMS:
    line(program, **types)
generated(150)
