"""Arrays out of nothing, places, and what is found by them; as NumPy has it, on every target to the bit."""
import numpy as np
import pytest

import arex

RNG = np.random.default_rng(4)
X = RNG.integers(-4, 4, (6, 7)).astype(float)
ARRAYS = {"x": X, "k": RNG.integers(0, 3, (5, 4, 3)), "v": RNG.normal(size=5000), "f": RNG.normal(size=(3, 300)).astype(np.float32), "b": np.array([False, True, True]), "s": np.float64(3.5)}
NUMPY = {n: getattr(np, n) for n in "arange linspace full zeros ones eye full_like zeros_like ones_like argmin argmax sum where float32 int32 float64 sin".split()}
CASES = """
arange(5)  arange(2,9)  arange(9,2,-2)  arange(0)  arange(5,2)  arange(1,2,0.25)  arange(0.0,5)  arange(10)*s  arange(5,dtype=float32)  arange(3)[:,None]+arange(4)  sum(arange(100000))
arange(10)[::-2]  arange(12)[3]  linspace(0,1,11)  linspace(0,1)  linspace(2,-3,7)  linspace(0,1,1)  linspace(0,1,0)  linspace(0,s,5)[1:-1]  full((2,3),7)  full(4,2.5)  zeros((2,0,3))
zeros(3)  ones((2,2),dtype=int32)  full((),3)  eye(3)  eye(2,4)  eye(3,dtype=int32)  x@eye  full_like(x,3)  zeros_like(k)  ones_like(f)  zeros_like(b)  full_like(k,2)  x+arange(7)  x*eye(6,7)
argmin(x)  argmax(x)  argmin(x,0)  argmax(x,1)  argmin(k,1)  argmax(k,axis=-1)  argmax(v)  argmin(f,0)  argmax(f,1)  argmax(b)  argmin(b)  argmax(x,axis=1,keepdims=True)
argmin(x[::-1,1:],1)  where(arange(5000)%2==0,v,-v)  sin(arange(2000)*0.5)  arange(7)+x.T[:,:6].T  sum(sin(arange(3000)*1.0)*v[:3000])  zeros(4)[1:]+arange(3)  s*ones(3)
"""
CASES = [c for line in CASES.split("\n") for c in line.split("  ") if c and "@" not in c]


def everywhere(text, arrays, targets):
    results = [np.asarray(arex.evaluate(text, arrays, target=t)) for t in targets]
    assert all(r.tobytes() == results[0].tobytes() and r.shape == results[0].shape and r.dtype == results[0].dtype for r in results), text
    return results[0]


@pytest.mark.parametrize("text", CASES)
def test_as_numpy(text, targets):
    got, want = everywhere(text, ARRAYS, targets), np.asarray(eval(text, dict(NUMPY), ARRAYS))
    assert got.shape == want.shape and got.dtype == want.dtype
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape, axis", [((9000,), None), ((1,), None), ((3, 4097), 1), ((4097, 3), 0), ((5, 6, 70), 2), ((5, 6, 70), 1), ((2, 3, 4), None)])
@pytest.mark.parametrize("name", ["argmin", "argmax"])
@pytest.mark.parametrize("dtype", ["int32", "float32", "float64"])
def test_first_place(name, dtype, shape, axis, targets):
    rng = np.random.default_rng(6)
    x = rng.integers(-20, 20, shape).astype(dtype)
    for _ in range(2):
        assert np.array_equal(everywhere(f"{name}(x, axis={axis})", {"x": x}, targets), getattr(np, name)(x, axis=axis))
        if dtype == "int32":
            return
        x[rng.random(shape) < 0.1] = np.nan
    x[...] = np.inf
    assert np.array_equal(everywhere(f"{name}(x, axis={axis})", {"x": x}, targets), getattr(np, name)(x, axis=axis))


@pytest.mark.parametrize("text, want", [
    ("iota(x)", np.arange(42).reshape(6, 7)), ("iota(x, 0)", np.arange(6)[:, None]), ("iota(x, 1)", np.arange(7)[None]), ("iota(x, (0, 1))", np.arange(42).reshape(6, 7)),
    ("iota(k, (0, 2))", np.arange(15).reshape(5, 1, 3)), ("iota(x)[::-1, 2]", np.arange(42).reshape(6, 7)[::-1, 2]), ("iota(s)", 0)])
def test_iota(text, want, targets):
    assert np.array_equal(everywhere(text, ARRAYS, targets), want)


def test_no_memory_is_read():
    assert arex.compile("sum(arange(1000)*2)", target="cpu")() == 999000
    f = arex.compile("where(iota(u) % 2 == 0, u, -u)", target="cpu")
    u = np.arange(10.0).reshape(2, 5)
    assert np.array_equal(f(np.asfortranarray(u)), np.where(np.arange(10).reshape(2, 5) % 2 == 0, u, -u))
    assert f.stats()["kernels"] == 1


@pytest.mark.parametrize("text, code", [
    ("arange(s)", "AX0211"), ("arange(5, step=0)", "AX0203"), ("zeros(-1)", "AX0214"), ("zeros((2, 1.5))", "AX0203"), ("zeros(x)", "AX0211"), ("full(3)", "AX0208"), ("zeros(3, dtype=3)", "AX0204"),
    ("eye(2, k=1)", "AX0209"), ("full(3, None)", "AX0203"), ("zeros((1,1,1,1,1,1,1,1,1))", "AX0215"), ("argmin(zeros(0))", "AX0303"), ("arange(3) + arange(4)", "AX0301")])
def test_errors(text, code):
    with pytest.raises(arex.ArexError) as e:
        arex.evaluate(text, ARRAYS, target="cpu")
    assert e.value.code == code
