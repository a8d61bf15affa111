"""NumPy's functions that others make up: the same answers as NumPy's, on arex.Array and on NumPy's own arrays."""
import warnings

import numpy as np
import pytest

import arex

RNG = np.random.default_rng(3)
A, S, I, V = RNG.normal(size=(4, 6)), RNG.normal(size=(4, 4)), RNG.integers(-9, 9, (4, 6)), RNG.normal(size=6)
Z = S + 1j * RNG.normal(size=(4, 4))
N = np.where(A > 0.5, np.nan, A)
T = RNG.normal(size=(2, 3, 4))
ALL = {"a": A, "s": S, "i": I, "v": V, "z": Z, "n": N, "t": T}


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", arex.ArexWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


# cp: arex, or NumPy
BOTH = """cp.fliplr(a)|cp.flipud(a)|cp.rot90(a)|cp.rot90(a, 2)|cp.rot90(a, 3)|cp.rot90(t, -1, (1, 2))|cp.rot90(a, 4)|cp.atleast_1d(v)|cp.atleast_2d(v)|cp.atleast_2d(a)|cp.atleast_3d(v)|cp.atleast_3d(a)|cp.atleast_1d(v, a)
cp.dstack([a, a])|cp.dstack([v, v])|cp.meshgrid(v, a[0, :3])|cp.meshgrid(v, v[:2], indexing='ij')|cp.meshgrid(v, v[:2], v[:3], sparse=True)|cp.meshgrid(v)|cp.split(v, 2)|cp.split(a, [1, 3])|cp.split(a, 3, axis=1)
cp.array_split(v, 4)|cp.array_split(v, [2, 9])|cp.hsplit(a, 2)|cp.hsplit(v, 3)|cp.vsplit(a, 2)|cp.dsplit(t, 2)|cp.broadcast_arrays(v, a)|cp.rollaxis(t, 2)|cp.rollaxis(t, 0, 3)|cp.rollaxis(t, 1, -1)|cp.append(v, a)
cp.append(a, a, axis=0)|cp.append(v, 1.5)|cp.pad(v, 2)|cp.pad(a, 1, constant_values=7)|cp.pad(a, ((0, 1), (2, 0)), 'edge')|cp.pad(v, (3, 2), mode='wrap')|cp.pad(v, 4, 'reflect')|cp.pad(a, 2, 'symmetric')|cp.pad(i, 1)
cp.diagonal(s)|cp.diagonal(a, 2)|cp.diagonal(a, -1)|cp.diagonal(t, 1, 1, 2)|cp.diagonal(t, 0, 2, 0)|cp.diagonal(s, 9)|cp.trace(s)|cp.trace(t, 0, 1, 2)|cp.trace(i, dtype=np.float32)|cp.diag(v)|cp.diag(v, 2)|cp.diag(v, -1)|cp.diag(s, 1)|cp.diag(i[0])
cp.tril(a)|cp.triu(a, 1)|cp.tril(t, -1)|cp.triu(i)|cp.tril(a > 0)|cp.tri(3, 4, 1)|cp.nanprod(n)|cp.nanprod(n, 0)|cp.nancumsum(n)|cp.nancumsum(n, 1)|cp.nancumprod(n, 0)|cp.nanvar(n)|cp.nanvar(n, 1, ddof=1)
cp.nanstd(n, 1, keepdims=True)|cp.nanstd(a)|cp.trapezoid(v)|cp.trapezoid(a, dx=0.5, axis=0)|cp.trapezoid(a, v)|cp.cov(a)|cp.cov(v)|cp.cov(a, rowvar=False)|cp.cov(v, a[1])|cp.cov(a, ddof=0)|cp.cov(z)|cp.corrcoef(a)
cp.corrcoef(v, a[0])|cp.select([a > 1, a > 0], [a, a * 2], 5.0)|cp.select([a > 0], [a])|cp.logical_and(a, i)|cp.logical_or(a > 0, i)|cp.logical_xor(a > 0, i > 0)|cp.logical_xor(i, a)|cp.logical_not(i)|cp.logical_not(a > 0)
cp.isposinf(a / 0)|cp.isneginf(a / 0)|cp.isreal(z)|cp.iscomplex(z)|cp.isreal(a)|cp.fix(a * 9)|cp.fabs(i)|cp.fabs(a)|cp.float_power(abs(i), 2)|cp.heaviside(a, 0.5)|cp.heaviside(i, 0.5)|cp.sinc(a)|cp.sinc(v * 0)|cp.bitwise_count(i)
cp.polyval([1, 2, 3], v)|cp.polyval([1, 2], i)|cp.isin(i, [1, 2, 3])|cp.isin(i, [1, 2], invert=True)|cp.take_along_axis(a, i % 4, 0)|cp.take_along_axis(a, i % 6, 1)|cp.take_along_axis(t, t.argmax(1)[:, None], 1)
cp.gradient(v)|cp.gradient(v, 2.0)|cp.gradient(a)|cp.gradient(a, 0.5, axis=1)|cp.gradient(a, 0.5, 2.0)|cp.kron(v, v[:2])|cp.kron(s, a)|cp.kron(v, s)|cp.cross(a[:, :3], a[:, 3:])|cp.cross(a[:3], a[1:], axis=0)
cp.matvec(a, v)|cp.vecmat(z[0], z)|cp.matmul(a, a.T)|a @ a.T|a @ v|v @ a.T|t @ s|cp.dot(a, a.T)|cp.dot(t, t.swapaxes(1, 2))|cp.dot(a, v)|cp.dot(v, 2)|cp.inner(a, a)|cp.inner(v, a)|cp.inner(t, v[:4])|cp.outer(v, a)
cp.vdot(z, z)|cp.vdot(a, a)|cp.vecdot(a, v)|cp.vecdot(z, z, axis=0)|cp.tensordot(t, t, 3)|cp.tensordot(a, a, ([1], [1]))|cp.tensordot(t, s, 1)|cp.tensordot(t, t, ((0, 2), (0, 2)))|cp.tensordot(v, v, 0)|cp.tensordot(t, s, (2, 0))
cp.einsum('ij,kj->ik', a, a)|cp.einsum('ij,jk', a, a.T)|cp.einsum('ii', s)|cp.einsum('ii->i', s)|cp.einsum('ijk->kji', t)|cp.einsum('ijk->', t)|cp.einsum('ij,j', a, v)|cp.einsum('i,j->ji', v, v)|cp.einsum('bij,jk->bik', t, s)
cp.einsum('ij,ij,j->i', a, a, v)|cp.einsum('ij->j', i)|cp.einsum('i,i', i[0], i[1])|cp.einsum('iij->j', t[:, :2])|np.matrix_transpose(t)|t.mT|a.trace()|t.diagonal(1, 1, 2)|np.add.outer(v, a[0])|np.subtract.outer(a, v)
np.linalg.norm(a, 'fro')|np.linalg.norm(t, 'fro', (0, 2))|np.linalg.matmul(a, a.T)|np.linalg.outer(v, v)|np.linalg.matrix_power(s, 3)|np.linalg.matrix_power(s, 0)|np.linalg.multi_dot([a, a.T, a])|np.linalg.vector_norm(a)
np.linalg.vector_norm(a, axis=1, ord=1)|np.linalg.matrix_norm(t)|np.linalg.trace(t[:, :, :3])|np.linalg.diagonal(t)|np.linalg.tensordot(a, a.T, axes=1)|np.linalg.cross(a[:, :3], a[:, 3:])|np.linalg.vecdot(v, v)
f"{a.sum():.6f}"|f"{v[0]:8.3f}"|round(v[1], 2)|3.25 in v|v[1] in v|cp.finfo(np.float32).eps|cp.bool_|cp.isscalar(1)|cp.geomspace(1, 8, 4)|cp.promote_types('i4', 'f4')|cp.linalg.norm(a)|cp.linalg.matrix_power(s, 2)""".replace("\n", "|").split("|")


def compared(ours, numpys):
    if isinstance(numpys, (tuple, list)):
        assert len(ours) == len(numpys) and all(isinstance(x, arex.Array) for x in ours)
        for pair in zip(ours, numpys):
            compared(*pair)
    elif isinstance(numpys, (np.ndarray, np.generic)):
        assert (ours.dtype, ours.shape) == (numpys.dtype, numpys.shape)
        np.testing.assert_allclose(np.asarray(ours), numpys, rtol=1e-9, atol=1e-12)
    else:
        assert ours == numpys


@pytest.mark.parametrize("text", BOTH)
def test_as_numpy(text):
    name = text.partition("(")[0].removeprefix("cp.")
    if text.startswith("cp.") and not hasattr(np, name.partition(".")[0]):
        pytest.skip(f"this NumPy has no {name}")
    want = eval(text, {"np": np, "cp": np, **ALL})
    compared(eval(text, {"np": np, "cp": arex, **{k: arex.asarray(x) for k, x in ALL.items()}}), want)
    if hasattr(np, name) and name not in ("matvec", "vecmat"):  # through NumPy's own function, as __array_function__ has it
        compared(eval(text, {"np": np, "cp": np, **{k: arex.asarray(x) for k, x in ALL.items()}}), want)


@pytest.mark.parametrize("text", ["cp.tril(a)", "cp.einsum('ij,kj->ik', a, a)", "cp.dot(a, a.T)", "cp.sinc(a)", "cp.kron(v, v)", "cp.trace(s)", "cp.outer(v, v)", "cp.linalg.matrix_power(s, 0)", "cp.pad(v, 1)"])
def test_numpys_own_arrays_stay_theirs(text):
    ours = eval(text, {"np": np, "cp": arex, **ALL})
    assert isinstance(ours, (np.ndarray, np.generic))
    np.testing.assert_allclose(ours, eval(text, {"np": np, "cp": np, **ALL}), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("text, words", [
    ("np.sort(a)", r"no np.sort: on the host NumPy has it, np.sort\(arex.asnumpy\(x\)"), ("np.linalg.inv(s)", r"np.linalg.inv\(arex.asnumpy"), ("cp.linalg.inv", "no np.linalg.inv"), ("cp.median", "no np.median"),
    ("np.fft.fft(v)", "no np.fft.fft"), ("np.subtract.reduce(a)", "no np.subtract.reduce"), ("np.add(a, 1, where=a > 0)", "takes no where"), ("cp.nonsense", "has no attribute 'nonsense'"), ("np.i0(a)", "no np.i0"),
    ("cp.split(v, 4)", "equal division"), ("a @ a", "sums over differ: 6 and 4"), ("a @ 2", "multiplied with"), ("cp.einsum('ij,k...', a, v)", "einsum takes letters"), ("cp.einsum('ij->ik', a)", "each one of those"),
    ("cp.einsum('ij,jk', a, a)", "differ"), ("cp.pad(v, 1, 'mean')", "modes"), ("cp.cross(a, a)", "3 elements"), ("cp.linalg.matrix_power(s, -1)", "negative"), ("cp.gradient(v, v)", "distance"),
    ("cp.tensordot(a, a, 1)", "differ"), ("a.sort()", "has no 'sort'"),
])
def test_refused(text, words):
    with pytest.raises((arex.ArexError, AttributeError, TypeError, ValueError), match=words):
        eval(text, {"np": np, "cp": arex, **{k: arex.asarray(x) for k, x in ALL.items()}})


def test_other_kinds_of_arrays_may_answer():
    class Other:
        def __array_ufunc__(self, ufunc, method, *inputs, **options):
            return "theirs"

        def __array_function__(self, func, types, args, kwargs):
            return "theirs"
    assert np.add(arex.asarray(V), Other(), where=True) == "theirs"
    assert np.lexsort((arex.asarray(V), Other())) == "theirs" and arex.get_array_module(arex.asarray(V)) is arex and arex.get_array_module(V) is np


def test_one_kernel():
    a = arex.asarray(A)
    program, values = (a @ a.T + 1)._bound()
    program.result_type(*values)
    program(A, 1)
    assert program.stats()["kernels"] == 1 and program.stats()["temporaries"] == 0
