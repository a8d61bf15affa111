"""Every elementwise operator of the table: reference, CPU and GPU to the bit, NumPy within the table's bound."""
import numpy as np
import pytest

import arex

LENGTHS = [0, 1, 2, 3, 15, 16, 17, 63, 64, 65, 127, 129, 4095, 4096, 4097, 9000]
DTYPES = ["bool", "int32", "int64", "float32", "float64"]
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
    return lambda *args: np.array([one(*map(float, a)) for a in zip(*args)]).astype(np.result_type(*args))


NUMPY = {
    "where": np.where, "rint": np.rint, "remainder": np.remainder,
    "exp10": lambda x: np.power(np.exp(x).dtype.type(10), x),
}
# NumPy has no such function, or means something else there by our own rules (docs/language.md)
OURS = {"fma", "sign"}


def spell(row):
    symbol, name = row.get("symbol") or "", row["name"]
    if not symbol:
        return f"{name}({', '.join('xyz'[:row['arity']])})"
    if row["arity"] == 2:
        return f"x {symbol} y"
    return f"{symbol.removesuffix('x')} x"


def values(dtype, domain, n, seed):
    rng, t = np.random.default_rng(seed), np.dtype(dtype)
    if t.kind == "b":
        return rng.integers(0, 2, n).astype(bool)
    if t.kind == "i":
        info = np.iinfo(t)
        v = rng.integers(info.min, info.max, n, dtype=t, endpoint=True)
        v[::3] = rng.integers(0, 20, len(v[::3]))
        special = np.array([0, 1, -1, info.min, info.max], t)
    else:
        low, high = {"POSITIVE": (1e-3, 1e3), "UNIT": (-1, 1), "SMALL": (-30, 30), "ANGLE": (-1e5, 1e5)}.get(domain.upper(), (-1e3, 1e3))
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
    if row["name"] == "power" and args[1].dtype.kind == "i":
        args[1] = np.abs(args[1] % 8)
    return args


def defined(row, dtype):
    try:
        arex.compile(spell(row), target="reference")(*arguments(row, dtype, 1))
        return True
    except arex.TypeError_:
        return False


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


CASES = [(r, d) for r in ROWS for d in DTYPES]


@pytest.mark.parametrize("row, dtype", CASES, ids=[f"{r['name']}-{d}" for r, d in CASES])
def test_operator(row, dtype, targets):
    if not defined(row, dtype):
        assert row["name"] not in ("where", "equal", "maximum")
        return
    programs = {t: arex.compile(spell(row), target=t) for t in targets}
    for n in LENGTHS:
        args = arguments(row, dtype, n)
        results = {t: p(*args) for t, p in programs.items()}
        want = results["reference"]
        for target, got in results.items():
            assert got.dtype == want.dtype and got.tobytes() == want.tobytes(), (target, n)
        # where NumPy takes a bool to float16, Arex computes in float64 (docs/language.md)
        theirs = reference(row, [a.astype(want.dtype) if a.dtype == bool and row["ulp"] and want.dtype.kind == "f" else a for a in args])
        if theirs is None or n == 0 or want.dtype.kind != "f":
            continue
        assert theirs.dtype == want.dtype or dtype in ("bool", "int32"), n
        exact = row["ulp"] <= 0.5
        with np.errstate(all="ignore"):
            # NumPy's own functions are within an ulp or so of the truth, not on it
            bound = 0 if exact else row["ulp"] + (4 if want.dtype == np.float32 else 2)
            bad = ~(ulps(want, theirs.astype(want.dtype)) <= bound)
        assert not bad.any(), (n, [a[bad][:3] for a in args], want[bad][:3], theirs[bad][:3])


def test_table_is_there():
    assert len(ROWS) > 35


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["sum", "prod", "min", "max", "any", "all", "mean"])
@pytest.mark.parametrize("shape, axis", [((9000,), None), ((7, 131), 0), ((7, 131), 1), ((131, 7), 0), ((3, 5, 65), (0, 2))])
def test_reduction(name, dtype, shape, axis, targets):
    rng = np.random.default_rng(3)
    x = (rng.integers(0, 2, shape) if dtype == "bool" else rng.integers(-3, 4, shape)).astype(dtype)
    if dtype.startswith("float"):
        x += rng.uniform(0, 1, shape).astype(dtype)
    f = f"{name}(x, axis={axis})"
    results = {t: arex.evaluate(f, {"x": x}, target=t) for t in targets}
    want = np.asarray(results["reference"])
    for target, got in results.items():
        assert np.asarray(got).tobytes() == want.tobytes(), target
    theirs = getattr(np, name)(x, axis=axis)
    assert want.shape == np.shape(theirs)
    if not (name == "prod" and dtype.startswith("float")):
        np.testing.assert_allclose(want, theirs, rtol=1e-5 if dtype == "float32" else 1e-12, atol=1e-3 if dtype == "float32" else 1e-9)


NAN_FREE = {"nansum", "nanmean", "nanmin", "nanmax"}


@pytest.mark.parametrize("dtype", ["int32", "int64", "float32", "float64"])
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
    assert all(r.tobytes() == results[0].tobytes() for r in results)
    assert results[0].shape == theirs.shape and results[0].dtype == theirs.dtype
    np.testing.assert_allclose(results[0], theirs, rtol=2e-5 if dtype == "float32" else 1e-12, atol=1e-6 if dtype == "float32" else 0)


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
