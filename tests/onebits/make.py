"""Prints the corpus of `arex selfcheck` without hashes: programs over the whole table of operators, and generated ones.

    ./dev python tests/onebits/make.py >build/corpus.txt
    ./dev arex selfcheck --update -t reference build/corpus.txt >tests/onebits/selfcheck.txt
"""
import random
import re

import arex

OPS, TYPES = arex.list("ops"), [t["name"] for t in arex.list("types") if t["works"] == "yes" and t["name"] not in ("float16", "bfloat16")]
SHAPES = {"c": "64", "d": "96", "n": "300", "p": "40,48", "q": "40,48", "x": "257", "y": "257", "z": "257", "m": "5,33", "w": "33", "v": "9001", "a": "257", "b": "257", "i": "64", "s": ""}


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
    for dtype in ("float64", "float32"):
        for text in ["cumsum(v[::-1])", "cumsum(v[::3] * 0.5)", "cummax(sin(v))", "cumprod(1 + v / 4096)", "v / cumsum(abs(v) + 1)", "cumsum(v) * cummin(v)"]:
            line(text, v=dtype)
        for text in ["cumsum(m, 0) + cumsum(m, 1)", "sum(cummax(m, 1), 0)", "cumsum(m.T, 0)", "cumprod(m / 4, 1)[:, -1]", "cumsum(m - mean(m, 1, keepdims=True), 1)"]:
            line(text, m=dtype)
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
    ("k = int64(i)\nreturn x[k % 257], m[k % 5, (k * 7) % 33], sum(m[:, k % 33], 1)", dict(x="float32", m="float64", i="uint8")),
    ("x[1:-1] - 2*x[:-2] + x[2:], m.T[::-2, 1:], diff(x), flip(m, 1)", dict(x="float64", m="float32")),
    ("(m - mean(m, 1, keepdims=True)) / std(m, 1, keepdims=True)", dict(m="float64")), ("exp(m - max(m, 1, keepdims=True)) / sum(exp(m - max(m, 1, keepdims=True)), 1, keepdims=True)", dict(m="float32")),
    ("sum(x*x), dot(x, y), x / sum(x)", dict(x="float64", y="float64")), ("m + w, sum(m * w, 1), max(m - w[:, None].T, 0)", dict(m="float32", w="float32")),
    ("linspace(-1, 1, 101) ** 3, arange(50) % 7, eye(4) * 2.5", {}), ("roll(x, 3) - x, reshape(m, (33, 5)), concatenate((x, y)), stack((x, y), 1)", dict(x="float32", y="float32", m="int64")),
    ("a, b = modf(x); c, d = frexp(x)\nreturn a, b, c, d", dict(x="float64")), ("a, b = divmod(x, y)\nreturn a, b", dict(x="int64", y="int64")), ("bits(x), frombits(bits(y), float32) * 2", dict(x="float64", y="float32")),
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


def kernel(text, launches, **types):
    """Every launch must leave the same."""
    inputs = [f"{name}={dtype}[{SHAPES[name]}]" if SHAPES[name] else f"{name}={dtype}" for name, dtype in types.items()]
    print("0" * 16, " ".join(inputs + [f"launch={a}" for a in launches]), text.replace("\n", "\\n"), sep="\t")


LINES = ["1/1", "2/33", "3/256", "40/8", "1/1024", "2,3/16,2"]
PLANES = ["3,3/16,16", "1,1/32,32", "6,40/8,1", "2,20/32,2", "48,5/1,8"]
BLOCKS = ["1/64", "3/64", "7/64"]
STRIDED = "i = grid(1)\nwhile i < len({0}) {{\n{1}\ni += gridsize(1)\n}}"
FLAT = "i = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * (blockIdx.x + gridDim.x * blockIdx.y)); step = blockDim.x * blockDim.y * gridDim.x * gridDim.y\nwhile i < len({0}) {{\n{1}\ni += step\n}}"


def kernels():
    """Explicit kernels, each over several shapes of launch: elementwise work, branches, loops, stencils, atomics on integers, shared memory."""
    for dtype in ("float64", "float32"):
        for body in ["n[i] = exp(n[i] / 8) * sin(v[i]) + n[i]", "n[i] = sqrt(abs(v[i])) / (n[i] + 0.5)", "if v[i] < 0 { n[i] = -v[i] } else { n[i] = tanh(v[i]) }", "n[i] = fma(v[i], n[i], 1.5)",
                     "t = v[i]; k = 0\nwhile abs(t) < 50 and k < 12 { t = t * 1.5 + 0.25; k += 1 }\nn[i] = t + k", "n[i] = v[(i * 7) % len(v)] ** 3 - cbrt(v[i + 1])", "s = 0.0\nfor k in range(9) { s += v[i + k] * (k + 1) }\nn[i] = s / 45",
                     "n[i] = where(v[i] > 0, log1p(v[i]), erf(v[i])) + hypot(v[i], n[i])", "n[i] += float32(v[i]) * 0.1"]:
            kernel("kernel f(v, n) {\n" + FLAT.format("n", body) + "\n}", LINES, v=dtype, n=dtype)
        for body in ["q[j, i] = 0.25 * (p[j - 1, i] + p[j + 1, i] + p[j, i - 1] + p[j, i + 1])", "q[j, i] = p[j, i] * 2 - q[j, i]", "q[j, i] = atan2(p[j, i], p[j, i - 1]) + p[j, -i]"]:
            kernel("kernel f(p, q) {\ni = threadIdx.x + blockIdx.x * blockDim.x + 1; first = threadIdx.y + blockIdx.y * blockDim.y + 1; z = blockIdx.z\nj = first\nwhile j < 39 {\ni = threadIdx.x + blockIdx.x * blockDim.x + 1\n"
                   "while i < 47 {\n" + body + "\ni += gridDim.x * blockDim.x\n}\nj += gridDim.y * blockDim.y\n}\n}", PLANES, p=dtype, q=dtype)
        kernel("def root(t) { if t < 0 { return 0.0 }; return sqrt(t) }\nkernel f(v, n) {\n" + STRIDED.format("n", "n[i] = root(v[i]) + root(n[i])") + "\n}", LINES[:-1], v=dtype, n=dtype)
    for dtype in ("int64", "int32", "uint32", "uint64"):
        for body in ["atomic_add(c, i * 7 % 64, n[i]); atomic_max(d, i % 96, n[i])", "atomic_max(c, i % 64, n[i]); atomic_min(d, i % 96, n[i])", "atomic_add(c, i % 5, 1); atomic_add(d, i % 96, n[i] * n[i])", "if n[i] % 2 == 0 { atomic_add(c, i % 64, n[i]) } else { atomic_min(d, i % 96, n[i]) }"]:
            kernel("kernel f(n, c, d) {\n" + FLAT.format("n", body) + "\n}", LINES, n=dtype, c=dtype, d=dtype)
    for dtype in ("float64", "float32", "int32"):
        kernel("kernel f(n, c) {\ns = shared(64, " + dtype + ")\ni = threadIdx.x\ns[i] = n[i] + n[i + 64]\nsyncthreads()\nw = 32\nwhile w > 0 {\nif i < w { s[i] += s[i + w] }\nsyncthreads()\nw = w // 2\n}\nif i == 0 { c[0] = s[0] }\nc[i] = s[63 - i]\n}", BLOCKS, n=dtype, c=dtype)
    kernel("kernel f(n, c) {\nmine = shared(64, int32)\n" + STRIDED.format("n", "atomic_add(mine, n[i] & 63, 1)") + "\nsyncthreads()\nb = threadIdx.x\nwhile b < 64 {\natomic_add(c, b, mine[b])\nb += blockDim.x\n}\n}", ["1/32", "4/64", "9/16", "2/256"], n="int64", c="int64")
    kernel("kernel f(p, q) {\nt = shared((16, 16), float32)\ni, j = grid(2)\nif i < 48 and j < 40 { t[threadIdx.y, threadIdx.x] = p[j, i] }\nsyncthreads()\nif i < 48 and j < 40 { q[j, i] = t[threadIdx.y, threadIdx.x] * 2 }\n}", ["3,3/16,16", "4,3/16,16"], p="float32", q="float32")


def by_element():
    """Functions with control, by element, on several types; and fused with what stands around them."""
    defs = {
        "newton": "def f(a) { r = a * 0 + 1; n = 0\nwhile n < 30 { t = 0.5 * (r + a / r); if abs(t - r) <= 1e-6 * abs(t) { return t }; r = t; n += 1 }\nreturn r }",
        "collatz": "def f(a) { n = 0\nwhile a > 1 and n < 50 { if a % 2 == 0 { a = a // 2 } else { a = 3 * a + 1 }; n += 1 }\nreturn n }",
        "horner": "def f(a) { s = 0.0; for k in range(12) { s = s * a + (k - 5) / 4 }; return s }",
        "branch": "def f(a) { if a < -2 { return exp(a) } elif a < 2 { return sin(a) }; return log(a) }",
        "series": "def f(a) { t = a * 0 + 1; s = t; for k in range(1, 15) { t = t * a / k; s += t; if abs(t) < 1e-9 { break } }; return s }",
        "gcd": "def f(a) { b = a * 0 + 84; a = abs(a)\nwhile b != 0 { a, b = b, a % b }\nreturn a }",
    }
    for name, text in defs.items():
        for dtype in ("float64", "float32", "int64", "int32"):
            if name in ("collatz", "gcd") and "float" in dtype or name not in ("collatz", "gcd") and "int" in dtype:
                continue
            for use in ("f(a)", "f(m)", "sum(f(v))", "max(f(m) + 1, 0)", "f(a)[::-2] * 2", "f(b + 1) - f(b)"):
                which = use[use.index("f(") + 2]
                line(text + "\n" + use, **{which: dtype})


def gathers():
    for dtype in ("float64", "float32", "int32"):
        for text in ["v[i * 11]", "m[i % 5]", "m[:, i % 33]", "m[i % 5, i % 33] + m[-1 - i % 5, 0]", "v[i * 3 + 1]", "sum(v[i])", "v[where(i > 10, i, -i - 1)] * 2", "m[i[:, None] % 5, i % 33]", "cumsum(v[i * 2])", "sum(m[i % 5], 1)"]:
            line(text, **{n: dtype if n != "i" else "int64" for n in "vmi" if re.search(rf"\b{n}\b", text)})


def more_complexes():
    for dtype in ("float64", "float32"):
        for text in ["z * 1e20 / (w * 1e-20 + 1)", "1 / (z + 3)", "sinh(z / 8)", "cos(z / 8)", "log2(z)", "log10(z)", "sqrt(z * z)", "z ** w", "z ** -1", "real(z) * imag(w)", "norm(z)", "var(z)", "dot(z, w)", "where(real(z) > 0, z, w)", "diff(z)", "z[i]", "roll(z, 3)", "prod(z[:7])",
                     "sum(abs(z))", "max(abs(z) + 1)", "exp(1j * real(w) / 4)", "reciprocal(z + 9)", "square(z)", "isnan(z)", "count_nonzero(z)"]:
            line(f"z = complex(x, y); w = complex(y, x * 0.5)\nreturn {text}", **({"i": "int64"} if "[i]" in text else {}), x=dtype, y=dtype)
        line("def e(c) { z = c * 0; n = 0\nwhile abs(z) <= 2 and n < 40 { z = z * z + c; n += 1 }\nreturn n, z }\ne(complex(a, b) / 4)", a=dtype, b=dtype)
        line("for k in range(4) { m[:, 1:] = m[:, :-1] * 0.5 + m[:, 1:] }\nz = complex(m, m * 2)\nreturn sum(z, 0), cumsum(z, 1)", m=dtype)


elementwise()
complexes()
more_complexes()
kernels()
by_element()
gathers()
steps()
reductions()
scans()
casts()
for program, types in PROGRAMS:
    line(program, **types)
generated(150)
