"""Random programs over arrays of random dtypes, shapes and layouts: every target gives the same bits, or the same error."""
import os

import numpy as np
import pytest

import arex

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
    def __init__(self, seed):
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

    def make(self, depth):
        if depth == 0:
            return self.leaf()
        kind = self.rng.random()
        a, shape = self.make(depth - 1)
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
        b, other = self.make(depth - 1) if self.rng.random() < 0.5 else self.leaf()
        try:
            both = np.broadcast_shapes(shape, other)
        except ValueError:
            return a, shape
        if kind < 0.6:
            return f"where(({a}) > ({b}), {a}, {b})", both
        if kind < 0.7:
            return f"{self.rng.choice(CALLS)}({a}, {b})", both
        return f"(({a}) {self.rng.choice(BINARY)} ({b}))", both


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


@pytest.mark.parametrize("seed", range(int(os.environ.get("AREX_RANDOM_FROM", 0)), int(os.environ.get("AREX_RANDOM_TO", 200))))
def test_program(seed, targets):
    maker = Maker(seed)
    first, shape = maker.make(4)
    second, _ = maker.make(2)
    text = f"{first}, {second}" if seed % 2 else first
    outcomes = [outcome(text, maker.arrays, t) for t in targets]
    assert all(o == outcomes[0] for o in outcomes), f"{text}\nthe smallest part that fails: {shrunk(text, lambda p: disagree(p, maker.arrays, targets))}\n" + "\n".join(f"{k}: {v.dtype} {v.shape} {v.strides}" for k, v in maker.arrays.items())
    if isinstance(outcomes[0], list):
        assert outcomes[0][0][1] == shape, text
