"""Random programs over arrays of random dtypes, shapes and layouts: every target gives the same bits, or the same error; and what comes is
NumPy's, to the bit or within a bound that running_error.py works out for each element."""
import os
import warnings

import numpy as np
import pytest

import arex
import running_error

DTYPES = [t["name"] for t in arex.list("types") if t["works"] == "yes" and t["name"] != "bfloat16"]
UNARY = ["-{}", "abs({})", "sqrt({})", "exp({})", "sin({})", "tanh({})", "floor({})", "sign({})", "isnan({})", "float32({})", "int64({})", "float64({})", "int32({})", "~({})", "({} > 0)", "signbit({})"]
BINARY = ["+", "-", "*", "/", "//", "%", "**", "<", "==", "&", "|", "<<"]
CALLS = ["minimum", "maximum", "copysign", "fmax"]
REDUCES = ["sum", "prod", "min", "max", "any", "all", "mean", "var", "argmax", "count_nonzero", "nanmax"]


def layout(rng, a):
    kind = rng.integers(5)
    if kind == 0:
        return np.asfortranarray(a)
    if kind == 1 and a.ndim:
        return a[::-1].copy()[::-1]
    if kind == 2 and a.ndim:
        return np.repeat(a, 2, axis=-1)[..., ::2]
    if kind == 3 and a.ndim > 1:
        return np.swapaxes(np.swapaxes(a, 0, 1).copy(), 0, 1)
    return a


def array(rng, shape):
    dtype = np.dtype(rng.choice(DTYPES))
    if dtype.kind == "b":
        a = rng.integers(0, 2, shape).astype(bool)
    elif dtype.kind in "iu":
        a = rng.integers(0, 7, shape).astype(dtype) if dtype.kind == "u" else rng.integers(-6, 7, shape).astype(dtype)
    else:
        a = rng.normal(0, 3, shape).astype(dtype)
        special = rng.random(shape) < 0.05
        a = np.where(special, rng.choice(np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-40, 1e30], dtype)), a).astype(dtype)
    return layout(rng, a)


class Maker:
    """typed: programs whose types fit; else one in three is an error. known: and of which running_error.py knows what comes."""

    def __init__(self, seed, typed=True, known=True):
        self.typed, self.known = typed, known
        self.rng = np.random.default_rng(seed)
        extents = self.rng.choice([1, 2, 3, 5, 17, 70, 0], 3, p=[0.2, 0.15, 0.2, 0.2, 0.15, 0.05, 0.05])
        self.arrays = {}
        for name in "abcd":
            rank = self.rng.integers(0, 4)
            shape = tuple(e if self.rng.random() < 0.8 else 1 for e in extents[3 - rank:])
            self.arrays[name] = array(self.rng, shape)

    def leaf(self):
        kind = self.rng.random()
        if kind < 0.15:
            return str(self.rng.choice(["2", "0.5", "3", "-1", "1.5"])), ()
        name = str(self.rng.choice(list(self.arrays)))
        return (name, self.arrays[name].shape) if kind < 0.95 else (f"iota({name})", self.arrays[name].shape)

    def index(self, text, shape):
        items, out = [], []
        for extent in shape:
            kind = self.rng.random()
            if kind < 0.2 and extent:
                items.append(str(self.rng.integers(-extent, extent)))
            else:
                items.append(str(self.rng.choice([":", "1:", ":-1", "::-1", "::2", "-2:"])))
                out.append(len(range(extent)[slice(*[int(p) if p else None for p in items[-1].split(":")])]))
        return f"({text})[{', '.join(items)}]", tuple(out)

    def reduce(self, text, shape):
        name, keep = str(self.rng.choice(REDUCES)), bool(self.rng.integers(2))
        axes = tuple(i for i in range(len(shape)) if self.rng.random() < 0.5)
        if not axes:
            return f"{name}({text})", ()
        out = tuple(1 if i in axes else e for i, e in enumerate(shape) if keep or i not in axes)
        return f"{name}({text}, axis={axes}, keepdims={keep})", out

    def scan(self, text, shape):
        name = str(self.rng.choice(["cumsum", "cumprod", "cummax", "cummin"]))
        if not shape or self.rng.random() < 0.2:
            return f"{name}({text})", (int(np.prod(shape)),)
        return f"{name}({text}, {self.rng.integers(len(shape))})", shape

    def fits(self, text):
        try:
            running_error.in_numpy(text, self.arrays)
        except running_error.Unknown:
            return not self.known
        except (TypeError, ValueError, OverflowError):
            return False
        return True

    def make(self, depth):
        if depth == 0:
            return self.leaf()
        a, shape = self.make(depth - 1)
        b, other = self.make(depth - 1) if self.rng.random() < 0.5 else self.leaf()
        for _ in range(6):
            text, out = self.joined(a, shape, b, other)
            if not self.typed or self.fits(text):
                return text, out
        return a, shape

    def joined(self, a, shape, b, other):
        kind = self.rng.random()
        if kind < 0.25:
            return str(self.rng.choice(UNARY)).format(f"({a})"), shape
        if kind < 0.37 and shape:
            return self.index(a, shape)
        if kind < 0.5:
            return self.reduce(a, shape)
        if kind < 0.52:
            return self.scan(a, shape)
        if kind < 0.55 and len(shape) > 1:
            return f"({a}).T", shape[::-1]
        try:
            both = np.broadcast_shapes(shape, other)
        except ValueError:
            return a, shape
        if kind < 0.6:
            return f"where(({a}) > ({b}), {a}, {b})", both
        if kind < 0.7:
            return f"{self.rng.choice(CALLS)}({a}, {b})", both
        return f"(({a}) {self.rng.choice(BINARY)} ({b}))", both


def program(seed):
    """Text, arrays, and the shape of the first result."""
    maker = Maker(seed, typed=seed % 5 < 4, known=seed % 5 < 3)
    first, shape = maker.make(4)
    second, _ = maker.make(2)
    return f"{first}, {second}" if seed % 2 else first, maker.arrays, shape


def outcome(text, arrays, target):
    try:
        results = arex.compile(text, target=target)(**{k: v for k, v in arrays.items() if k in arex.compile(text).inputs})
    except arex.ArexError as e:
        return e.code
    return [(np.asarray(r).dtype.str, np.shape(r), np.asarray(r).tobytes()) for r in (results if isinstance(results, tuple) else (results,))]


def parts(text):
    """What stands in brackets: the smaller programs in a program."""
    opened = []
    for i, c in enumerate(text):
        if c == "(":
            opened.append(i + 1)
        elif c == ")":
            yield text[opened.pop():i]


def shrunk(text, fails):
    """The smallest part that fails by itself, or all of it."""
    return next((p for p in sorted(set(parts(text)), key=len) if p and fails(p)), text)


def disagree(text, arrays, targets):
    outcomes = [outcome(text, arrays, t) for t in targets]
    return any(o != outcomes[0] for o in outcomes)


def test_programs_shrink():
    text = "((abs((a)) + (b)), sum((sqrt((c)) * (d))))"
    assert shrunk(text, lambda p: "sqrt" in p) == "sqrt((c)) * (d)"
    assert shrunk(text, lambda p: p == "c") == "c"
    assert shrunk(text, lambda p: False) == text


SEEDS = range(int(os.environ.get("AREX_RANDOM_FROM", 0)), int(os.environ.get("AREX_RANDOM_TO", 300)))


@pytest.mark.parametrize("seed", SEEDS)
def test_program(seed, targets):
    text, arrays, shape = program(seed)
    outcomes = [outcome(text, arrays, t) for t in targets]
    assert all(o == outcomes[0] for o in outcomes), f"{text}\nthe smallest part that fails: {shrunk(text, lambda p: disagree(p, arrays, targets))}\n" + "\n".join(f"{k}: {v.dtype} {v.shape} {v.strides}" for k, v in arrays.items())
    if isinstance(outcomes[0], list):
        assert outcomes[0][0][1] == shape, text


# ---- and NumPy ----

def against_numpy(text, arrays, spoken=None, disturbed=0):
    """None where NumPy has no say; else a list of (shape, where it fails, what is bounded), one for each result, or a word where only one of both fails.
    spoken: what Arex is given instead; disturbed: how many ulps its floats are put off."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            want = running_error.in_numpy(text, arrays)
        except running_error.Unknown:
            return None
        except (TypeError, ValueError, OverflowError) as e:
            want = str(e)
    got = outcome(spoken or text, arrays, "reference")
    if isinstance(want, str) or isinstance(got, str):
        both = isinstance(want, str) and isinstance(got, str)
        faults_unseen = isinstance(want, str) and "negative integer powers" in want  # in NumPy they count where nothing is chosen of them
        return [] if both or faults_unseen else f"NumPy: {want}, here: {got}"
    report = []
    for (dtype, shape, raw), ball in zip(got, want, strict=True):
        value = np.frombuffer(raw, np.dtype(dtype)).reshape(shape)
        if value.dtype != ball.value.dtype or value.shape != ball.value.shape:
            return f"NumPy: {ball.value.dtype} {ball.value.shape}, here: {value.dtype} {value.shape}"
        if disturbed and value.dtype.kind == "f":
            with np.errstate(all="ignore"):
                value = value + (disturbed * np.spacing(np.abs(value))).astype(value.dtype)
        report.append((value, ball, ~running_error.within(value, ball)))
    return report


def differs(text, arrays, **how):
    report = against_numpy(text, arrays, **how)
    return isinstance(report, str) or any(bad.any() for _, _, bad in report or [])


@pytest.mark.parametrize("seed", SEEDS)
def test_program_in_numpy(seed):
    text, arrays, _ = program(seed)
    if not differs(text, arrays):
        return
    part = shrunk(text, lambda p: differs(p, arrays))
    report = against_numpy(part, arrays)
    words = report if isinstance(report, str) else [(v[bad][:3], b.value[bad][:3], b.error[bad][:3]) for v, b, bad in report]
    pytest.fail(f"{text}\nthe smallest part that fails: {part}\n{words}\n" + "\n".join(f"{k}: {v.dtype} {v.shape}" for k, v in arrays.items()))


def test_numpy_has_a_say_in_most_programs():
    """In all that are known but for what an empty array makes an error; of their elements most are held to a bound, and most of those to the bit."""
    programs = [program(seed)[:2] for seed in range(100) if seed % 5 < 3]
    reports = [r for r in (against_numpy(*p) for p in programs) if r]
    balls = [ball for r in reports for _, ball, _ in r]
    size, exact, free = (sum(f(b) for b in balls) for f in (lambda b: b.value.size, lambda b: (b.error == 0).sum(), lambda b: np.isinf(b.error).sum()))
    assert len(reports) > 0.9 * len(programs) and exact > 0.5 * size and free < 0.1 * size, (len(reports), len(programs), size, exact, free)


def test_numpy_tells_wrong_results():
    """Floats that are 100 ulps off are found in most programs that end in them, and functions that are taken for others."""
    off = [differs(text, arrays, disturbed=100) for text, arrays, _ in map(program, range(60)) if any(b.value.dtype.kind == "f" and b.value.size for r in [against_numpy(text, arrays)] if r for _, b, _ in r)]
    assert len(off) > 15 and sum(off) > 0.6 * len(off), off
    x = {"a": np.random.default_rng(1).normal(size=(5, 40)).astype(np.float32)}
    for right, wrong in [("sin(a)", "tanh(a)"), ("sum(exp(a), axis=(1,))", "sum(exp(a * 1.0001), axis=(1,))"), ("a / sum(a)", "a / sum(abs(a))"), ("var(a)", "mean(a * a)"),
                         ("cumsum(a, 1)", "cumsum(a[:, ::-1], 1)[:, ::-1]"), ("prod(a, axis=(1,))", "prod(a * 1.00001, axis=(1,))"), ("a * 2 + 1", "a * 2 + 1.0000001"), ("floor(a)", "trunc(a)"), ("a > 0", "a >= 0.01"), ("argmax(a)", "argmin(a)")]:
        assert not differs(right, x) and differs(right, x, spoken=wrong), (right, wrong)
