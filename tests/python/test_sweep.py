"""Every elementwise operator of the table: reference, CPU and GPU to the bit, NumPy within the table's bound."""
import math

import numpy as np
import pytest

import arex

LENGTHS = [0, 1, 2, 3, 15, 16, 17, 63, 64, 65, 127, 129, 4095, 4096, 4097, 9000]
# the types that go another way through each device: all lengths; the others: where a vector and a row of lanes ends
FULL = ["bool", "int32", "int64", "float32", "float64"]
SHORT_LENGTHS = [0, 1, 63, 257, 4097]
DTYPES = [r["name"] for r in arex.list("types") if not r["name"].startswith("complex")]  # complex ones are pairs of these: test_complex.py
ROWS = [r for r in arex.list("ops") if r["kind"] == "elementwise"]


def by_math(function):
    """A function of Python's math module on arrays: computed in float64, then of the arguments' dtype."""
    def one(*args):
        try:
            return function(*args)
        except OverflowError:
            return np.inf
        except ValueError:
            return np.nan
    return lambda *args: np.array([one(*map(float, a)) for a in zip(*args)]).astype(np.exp(args[0][:0]).dtype)


def times_pi(x, quarter):
    """sin(pi x), or cos(pi x) with quarter 1."""
    y = math.remainder(x, 2)
    n = round(2 * y)
    r, q = math.pi * (y - n / 2), (n + quarter) % 4
    v = math.cos(r) if q % 2 else math.sin(r)
    return 0.0 * math.copysign(1, x) if v == 0 and not quarter else abs(v) if v == 0 else -v if q > 1 else v


NUMPY = {
    "where": np.where, "rint": np.rint, "remainder": np.remainder,
    "atan": np.arctan, "asin": np.arcsin, "acos": np.arccos, "atan2": np.arctan2,
    "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh,
    "sinpi": by_math(lambda x: times_pi(x, 0)), "cospi": by_math(lambda x: times_pi(x, 1)),
    "erf": by_math(math.erf), "erfc": by_math(math.erfc), "sigmoid": by_math(lambda x: 1 / (1 + math.exp(-x)) if x > -700 else math.exp(x)),
    "softplus": by_math(lambda x: max(x, 0) + math.log1p(math.exp(-abs(x))) if x == x else x),
    "exp10": lambda x: np.power(np.exp(x).dtype.type(10), x),
}
# about the bits of float16 itself, not of the float32 that it computes in
OF_BITS = {"nextafter"}
# NumPy has no such function, or means something else there by our own rules (docs/language.md)
OURS = {"fma", "sign"}


def spell(row):
    symbol, name = row.get("symbol") or "", row["name"]
    if not symbol:
        return f"{name}({', '.join('xyz'[:row['arity']])})"
    if row["arity"] == 2:
        return f"x {symbol} y"
    return f"{symbol.removesuffix('x')} x"


def bfloat16_bits(x):
    """Rounded to nearest even, a nan to the quiet one."""
    w = np.asarray(x, np.float32).view(np.uint32).astype(np.uint64)
    r = ((w + 0x7fff + (w >> 16 & 1)) >> 16).astype(np.uint16)
    return np.where(np.isnan(x), np.uint16(0x7fc0), r).view(np.int16)


def bfloat16_values(bits):
    return (np.asarray(bits).view(np.uint16).astype(np.uint32) << 16).view(np.float32)


def half(dtype):
    return dtype in ("float16", "bfloat16")


def values(dtype, domain, n, seed):
    if dtype == "bfloat16":
        return bfloat16_values(bfloat16_bits(values("float32", domain, n, seed)))
    rng, t = np.random.default_rng(seed), np.dtype(dtype)
    if t.kind == "b":
        return rng.integers(0, 2, n).astype(bool)
    if t.kind in "iu":
        info = np.iinfo(t)
        v = rng.integers(info.min, info.max, n, dtype=t, endpoint=True)
        v[::3] = rng.integers(0, 20, len(v[::3]))
        special = np.array([0, 1, -1 if info.min else 7, info.min, info.max], t)
    else:
        low, high = {"POSITIVE": (1e-3, 1e3), "UNIT": (-1, 1), "SMALL": (-30, 30), "ANGLE": (-1e5, 1e5)}.get(domain.upper(), (-1e3, 1e3))
        high, low = min(high, float(np.finfo(t).max)), max(low, float(np.finfo(t).min))
        v = rng.uniform(low, high, n).astype(t)
        info = np.finfo(t)
        special = np.array([0.0, -0.0, 1, -1, np.inf, -np.inf, np.nan, info.tiny, info.smallest_subnormal, info.max, 0.5, 2.5], t)
    k = min(n, len(special))
    v[:k] = rng.permutation(special)[:k]
    return v


def arguments(row, dtype, n):
    args = [values(dtype, row.get("domain", "ANY"), n, seed) for seed in range(row["arity"])]
    if row["name"] == "where":
        args[0] = values("bool", "ANY", n, 7)
    if row["name"] == "power" and args[1].dtype.kind in "iu":
        args[1] = np.abs(args[1] % 8)
    return args


def program(row, dtype, target, result="{}"):
    text = result.format(spell(row))
    if dtype == "bfloat16":
        names = "yz" if row["name"] == "where" else "xyz"[:row["arity"]]
        text = "; ".join(f"{v} = frombits({v}_bits, bfloat16)" for v in names) + "; " + text
    return arex.compile(text, target=target)


def given(row, dtype, args):
    """By name, bfloat16 as bits."""
    as_bits = dtype == "bfloat16"
    return {f"{v}_bits" if as_bits and a.dtype == np.float32 else v: bfloat16_bits(a) if as_bits and a.dtype == np.float32 else a
            for v, a in zip("xyz", args)}


def result_form(row, dtype):
    """How to have the result back: "{}", "bits({})", or None where the operator refuses the type."""
    args = given(row, dtype, arguments(row, dtype, 1))
    for form in ["bits({})", "{}"] if dtype == "bfloat16" else ["{}"]:
        try:
            program(row, dtype, "reference", form)(**args)
            return form
        except arex.TypeError_:
            pass
    return None


def reference(row, args):
    """What NumPy says in the dtype of the result, or None."""
    function = NUMPY.get(row["name"]) or getattr(np, row["name"], None)
    if function is None or row["name"] in OURS:
        return None
    with np.errstate(all="ignore"):
        return function(*args)


def ulps(got, want):
    wide = np.longdouble
    with np.errstate(all="ignore"):
        d = np.abs(got.astype(wide) - want.astype(wide)) / np.spacing(np.abs(want)).astype(wide)
    d[(got == want) | (np.isnan(got) & np.isnan(want))] = 0
    return d


def check_numpy(row, dtype, args, want):
    theirs = reference(row, args)
    if theirs is None or (row["name"] == "rint" and want.dtype.kind != "f"):  # integers stay what they are
        return
    if row["name"] in ("conj", "angle") and dtype == "bool":  # NumPy makes int8 and float64 of them
        return
    assert theirs.dtype == want.dtype
    if want.dtype.kind != "f":
        bad = want != theirs
    else:
        # NumPy's own functions are within an ulp or so of the truth, not on it; its float16 ones round those of float32
        slack = {"float16": 1, "float32": 4, "float64": 2}[want.dtype.name]
        bad = ~(ulps(want, theirs) <= (0 if row["ulp"] <= 0.5 else row["ulp"] + slack))
    assert not bad.any(), ([a[bad][:3] for a in args], want[bad][:3], theirs[bad][:3])


def check_rounded(row, dtype, args, want):
    """float16 and bfloat16 are float32 throughout one operation, rounded once."""
    wide = [a.astype(np.float32) if a.dtype.kind == "f" else a for a in args]
    exact = program(row, "float32", "reference")(*wide)
    if exact.dtype == np.float32:
        with np.errstate(all="ignore"):
            exact = exact.astype(np.float16) if dtype == "float16" else bfloat16_bits(exact)
    same = (exact == want) | ((exact != exact) & (want != want))
    assert same.all(), ([a[~same][:3] for a in args], want[~same][:3], exact[~same][:3])


CASES = [(r, d) for r in ROWS for d in DTYPES]


@pytest.mark.parametrize("row, dtype", CASES, ids=[f"{r['name']}-{d}" for r, d in CASES])
def test_operator(row, dtype, targets):
    form = result_form(row, dtype)
    if form is None:
        assert row["name"] not in ("where", "equal", "maximum")
        return
    programs = {t: program(row, dtype, t, form) for t in targets}
    # a float function of integers is the one of floats behind a conversion
    thorough = dtype in FULL and not (row["ulp"] and not dtype.startswith("float"))
    for n in LENGTHS if thorough else SHORT_LENGTHS:
        args = arguments(row, dtype, n)
        results = {t: p(**given(row, dtype, args)) for t, p in programs.items()}
        want = results["reference"]
        for target, got in results.items():
            assert got.dtype == want.dtype and got.tobytes() == want.tobytes(), (target, n)
        if n and half(dtype) and row["name"] not in OF_BITS:
            check_rounded(row, dtype, args, want)
        if n and dtype != "bfloat16":
            check_numpy(row, dtype, args, want)


def test_table_is_there():
    assert len(ROWS) > 35


def met(a, b):
    """NumPy's answer; of bfloat16, which it has not, the rule of docs/language.md."""
    if a == b:
        return a
    if "bfloat16" not in (a, b):
        return np.result_type(np.dtype(a), np.dtype(b)).name
    other = b if a == "bfloat16" else a
    narrow = np.result_type(np.float16, np.dtype(other)).name
    return "float32" if other == "float16" else "bfloat16" if narrow == "float16" else narrow


def take(dtype, name):
    """Text that gives an input its dtype, and how it is passed."""
    return f"{name} = frombits({name}_bits, bfloat16)\n" if dtype == "bfloat16" else "", f"{name}_bits" if dtype == "bfloat16" else name


def passed(dtype, v):
    return bfloat16_bits(v) if dtype == "bfloat16" else v


@pytest.mark.parametrize("a", DTYPES)
def test_pairs_meet_as_in_numpy(a, targets):
    for b in DTYPES:
        x, y = values(a, "ANY", 67, 1), values(b, "ANY", 67, 2)
        (text_x, name_x), (text_y, name_y), want = take(a, "x"), take(b, "y"), met(a, b)
        result = "bits(r)" if want == "bfloat16" else "r"
        for e in ["x + y", "maximum(x, y)", "x * y"] if a < b else ["x + y"]:
            inputs = {name_x: passed(a, x), name_y: passed(b, y)}
            got = [arex.evaluate(f"{text_x}{text_y}r = {e}\nreturn {result}", inputs, target=t) for t in targets]
            assert got[0].dtype.name == ("int16" if want == "bfloat16" else want), (e, b)
            assert all(g.tobytes() == got[0].tobytes() for g in got), (e, b)
            if "bfloat16" in (a, b):
                continue
            with np.errstate(all="ignore"):
                theirs = eval(e, {"x": x, "y": y, "maximum": np.maximum})
            np.testing.assert_array_equal(got[0], theirs, err_msg=f"{e} {b}")


@pytest.mark.parametrize("a", DTYPES)
def test_comparisons_of_pairs(a, targets):
    """Exact also where no type holds both: int64 with uint64."""
    for b in DTYPES:
        x, y = values(a, "ANY", 67, 1), values(b, "ANY", 67, 2)
        (text_x, name_x), (text_y, name_y) = take(a, "x"), take(b, "y")
        e = ["x < y", "x == y", "x >= y", "x != y"][(DTYPES.index(a) + DTYPES.index(b)) % 4]
        got = [arex.evaluate(f"{text_x}{text_y}return {e}", {name_x: passed(a, x), name_y: passed(b, y)}, target=t) for t in targets]
        for g in got:
            np.testing.assert_array_equal(g, eval(e), err_msg=f"{e} {b}")


def converted(x, dtype):
    """As the language has it: saturated, nan to 0; integers wrap among themselves."""
    t = np.dtype("float32" if dtype == "bfloat16" else dtype)
    with np.errstate(all="ignore"):
        if x.dtype.kind == "f" and t.kind in "iu":
            info = np.iinfo(t)
            whole = np.trunc(np.nan_to_num(x.astype(np.float64), nan=0, posinf=1e300, neginf=-1e300))
            return np.array([min(max(int(v), info.min), info.max) for v in whole], t)
        return x.astype(t)


@pytest.mark.parametrize("a", DTYPES)
def test_conversions(a, targets):
    for b in DTYPES:
        x = values(a, "ANY", 257, 4)
        if a.startswith(("float", "bfloat")):
            rng = np.random.default_rng(6)
            with np.errstate(over="ignore"):
                x[20:] = (rng.uniform(-2, 2, 237) * 2.0 ** rng.integers(-30, 70, 237)).astype(x.dtype)
            x = bfloat16_values(bfloat16_bits(x)) if a == "bfloat16" else x
        text, name = take(a, "x")
        result = f"bits({b}(x))" if b == "bfloat16" else f"{b}(x)"
        got = [arex.evaluate(f"{text}return {result}", {name: passed(a, x)}, target=t) for t in targets]
        want = converted(x, b)
        want = bfloat16_bits(want) if b == "bfloat16" and a != "float64" else want
        assert all(g.tobytes() == got[0].tobytes() for g in got), b
        if b == "bfloat16" and a == "float64":  # rounded once, not first to float32
            normal = (np.abs(x) > 1e-30) & (np.abs(x) < 1e30)
            mantissa, exponent = np.frexp(x[normal])
            np.testing.assert_array_equal(bfloat16_values(got[0])[normal], np.ldexp(np.rint(np.ldexp(mantissa, 8)), exponent - 8))
        else:
            np.testing.assert_array_equal(got[0], want, err_msg=b)


def test_halfway_from_float64(targets):
    """A tie of float16 and bfloat16, and its neighbours of float64, which float32 would take for the tie."""
    for dtype, tie, below, above in [("float16", 1 + 2**-11, 1.0, 1 + 2**-10), ("bfloat16", 1 + 2**-8, 1.0, 1 + 2**-7)]:
        x = np.array([np.nextafter(tie, 0), tie, np.nextafter(tie, 2)])
        for target in targets:
            assert arex.evaluate(f"float64({dtype}(x))", {"x": x}, target=target).tolist() == [below, 1.0, above]


def test_every_float16(targets):
    x = np.arange(65536, dtype=np.uint16).view(np.float16)
    for target in targets:
        np.testing.assert_array_equal(arex.evaluate("float32(x)", {"x": x}, target=target), x.astype(np.float32))
        w = x.astype(np.float32) * np.float32(1 + 2**-11)  # ties, and subnormals between two
        np.testing.assert_array_equal(arex.evaluate("float16(w)", {"w": w}, target=target), w.astype(np.float16))


def test_float16_rounds_each_operation(targets):
    x, y = values("float16", "ANY", 4097, 1), values("float16", "ANY", 4097, 2)
    with np.errstate(all="ignore"):
        want = (x * y + x) / y - x
    for target in targets:
        np.testing.assert_array_equal(arex.evaluate("(x * y + x) / y - x", {"x": x, "y": y}, target=target), want)


def test_bfloat16_arrays(targets):
    """With the package that gives NumPy the type; without it, a result of the type says what to do."""
    bits = np.arange(5, dtype=np.int16) + 0x3f80
    try:
        import ml_dtypes
    except ImportError:
        with pytest.raises(arex.TypeError_, match="ml_dtypes"):
            arex.evaluate("frombits(x, bfloat16)", {"x": bits})
        with pytest.raises(arex.TypeError_, match="ml_dtypes"):
            arex.evaluate("x", {"x": bits.view("V2")})
        return
    x = bits.view(ml_dtypes.bfloat16)
    for target in targets:
        got = arex.evaluate("x * 3 + 1", {"x": x}, target=target)
        assert got.dtype == x.dtype
        np.testing.assert_array_equal(got.astype(np.float32), (x * 3 + 1).astype(np.float32))


SMALL = [d for d in DTYPES if d not in FULL and d != "bfloat16"]


@pytest.mark.parametrize("dtype", FULL + SMALL)
@pytest.mark.parametrize("name", ["sum", "prod", "min", "max", "any", "all", "mean"])
@pytest.mark.parametrize("shape, axis", [((9000,), None), ((7, 131), 0), ((7, 131), 1), ((131, 7), 0), ((3, 5, 65), (0, 2))])
def test_reduction(name, dtype, shape, axis, targets):
    rng = np.random.default_rng(3)
    x = (rng.integers(0, 2, shape) if dtype == "bool" else rng.integers(-3, 4, shape)).astype(dtype)
    if dtype in SMALL and name in ("min", "max"):
        x = values(dtype, "UNIT", x.size, 3).reshape(shape)
        x[np.isnan(x)] = 0
    if dtype.startswith("float"):
        x += rng.uniform(0, 1, shape).astype(dtype)
    f = f"{name}(x, axis={axis})"
    results = {t: arex.evaluate(f, {"x": x}, target=t) for t in targets}
    want = np.asarray(results["reference"])
    for target, got in results.items():
        assert np.asarray(got).tobytes() == want.tobytes(), target
    with np.errstate(all="ignore"):
        theirs = getattr(np, name)(x, axis=axis)
    assert want.shape == np.shape(theirs) and want.dtype == theirs.dtype
    if dtype == "float16":  # NumPy adds in float16 along some axes: the truth instead
        with np.errstate(all="ignore"):
            theirs = getattr(np, name)(x.astype(np.float64), axis=axis).astype(want.dtype)
        if name != "prod":
            np.testing.assert_allclose(want, theirs, rtol=2e-3, atol=0)
    elif not (name == "prod" and dtype.startswith("float")):
        np.testing.assert_allclose(want, theirs, rtol=1e-5 if dtype == "float32" else 1e-12, atol=1e-3 if dtype == "float32" else 1e-9)


NAN_FREE = {"nansum", "nanmean", "nanmin", "nanmax"}


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int32", "int64", "float16", "float32", "float64"])
@pytest.mark.parametrize("name", ["var", "std", "count_nonzero", "ptp", *sorted(NAN_FREE)])
@pytest.mark.parametrize("shape, axis", [((9000,), None), ((7, 131), 0), ((7, 131), 1), ((3, 5, 65), (0, 2))])
@pytest.mark.parametrize("keepdims", [False, True])
def test_statistics(name, dtype, shape, axis, keepdims, targets):
    rng = np.random.default_rng(5)
    x = rng.integers(-3, 4, shape).astype(dtype)
    if dtype.startswith("float"):
        x += rng.uniform(0, 1, shape).astype(dtype)
        if name in NAN_FREE:
            x[rng.random(shape) < 0.3] = np.nan
    f = f"{name}(x, axis={axis}, keepdims={keepdims})"
    results = [np.asarray(arex.evaluate(f, {"x": x}, target=t)) for t in targets]
    theirs = np.asarray(getattr(np, name)(x, axis=axis, keepdims=keepdims))
    if dtype == "float16":  # as in test_reduction
        theirs = np.asarray(getattr(np, name)(x.astype(np.float64), axis=axis, keepdims=keepdims)).astype(theirs.dtype)
    assert all(r.tobytes() == results[0].tobytes() for r in results)
    assert results[0].shape == theirs.shape and results[0].dtype == theirs.dtype
    rtol, atol = {"float16": (2e-3, 0), "float32": (2e-5, 1e-6)}.get(dtype, (1e-12, 0))
    np.testing.assert_allclose(results[0], theirs, rtol=rtol, atol=atol)


@pytest.mark.parametrize("values, want", [([], "error"), ([-np.inf, -np.inf], -np.inf), ([np.inf, 1.0], np.inf), ([np.nan, 1.0], np.nan), ([1000.0, 1000.0], 1000 + np.log(2)), ([-1e308], -1e308)])
def test_logsumexp(values, want, targets):
    for target in targets:
        if want == "error":
            with pytest.raises(arex.ValueError_):
                arex.evaluate("logsumexp(x)", {"x": np.array(values)}, target=target)
        else:
            np.testing.assert_equal(arex.evaluate("logsumexp(x)", {"x": np.array(values)}, target=target), want)


def test_nothing_but_nan(targets):
    x = np.full((2, 3), np.nan)
    x[1, 1] = 4
    for target in targets:
        for name in ("nanmin", "nanmax", "nanmean"):
            np.testing.assert_equal(arex.evaluate(f"{name}(x, 1)", {"x": x}, target=target), [np.nan, 4])
        np.testing.assert_equal(arex.evaluate("var(x, ddof=5)", {"x": np.array([1.0, 2.0])}, target=target), np.inf)


def test_isclose(targets):
    a = np.array([1, np.inf, np.nan, 1, -np.inf, 0, 1e-9])
    b = np.array([1 + 1e-6, np.inf, np.nan, 2, np.inf, 1e-9, 0])
    for target in targets:
        assert np.array_equal(arex.evaluate("isclose(a, b)", {"a": a, "b": b}, target=target), np.isclose(a, b))


@pytest.mark.parametrize("shape, axis", [((6, 5, 1), (1, 2)), ((6, 1, 5), (0,)), ((1, 6, 1, 5), (1, 3)), ((4, 3, 1, 2), (3,))])
def test_stretched_results(shape, axis, targets):
    x = np.random.default_rng(1).random(shape)
    for order in "CF":
        x = np.array(x, order=order)
        results = [arex.evaluate(f"x - sum(x, {axis}, keepdims=True)", {"x": x}, target=t) for t in targets]
        assert all(np.array_equal(r, results[0]) for r in results)
        np.testing.assert_allclose(results[0], x - x.sum(axis, keepdims=True), atol=1e-12)


@pytest.mark.parametrize("f", ["exp({})", "sin({})", "sum(sin({}))", "sum(exp({}), 1)", "{} ** 1.5", "tanh({}) + {}[:, ::-1]"])
@pytest.mark.parametrize("view", [lambda x: x, lambda x: x[:, ::2], lambda x: x[:, ::-1], lambda x: x.T, lambda x: x[:, 3:], lambda x: np.broadcast_to(x[:1], x.shape)])
def test_costly_bodies_over_views(f, view, targets):
    """Bodies that are emitted once, over arrays of every stride and rows of every length."""
    for columns in (1, 2, 3, 7, 8, 9, 17, 33, 130):
        x = view(np.abs(np.random.default_rng(columns).normal(size=(7, columns))))
        results = [np.asarray(arex.evaluate(f.format("x", "x"), {"x": x}, target=t)) for t in targets]
        assert all(r.tobytes() == results[0].tobytes() for r in results)


def test_sequences_over_rows_that_do_not_merge(targets):
    a, d = np.arange(17), np.arange(68).reshape(2, 2, 17)
    for target in targets:
        assert arex.evaluate("sum(d + a)", {"a": a, "d": d}, target=target) == (d + a).sum()
