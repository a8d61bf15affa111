"""NumPy's and CuPy's forms on arex.Array: methods, NumPy's own functions, arex.NAME, each against NumPy; and what is refused, by its words."""
import sys
import warnings

import numpy as np
import pytest

import arex

X = np.arange(6.0).reshape(2, 3) - 2
Z = X + 1j * X[::-1]


@pytest.fixture(autouse=True)
def no_gpu_is_told_once():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", arex.ArexWarning)
        yield


def compared(ours, numpys):
    if isinstance(numpys, tuple):
        assert len(ours) == len(numpys)
        for a, b in zip(ours, numpys):
            compared(a, b)
    elif isinstance(numpys, (np.ndarray, np.generic)):
        assert ours.dtype == numpys.dtype and ours.shape == numpys.shape
        np.testing.assert_allclose(np.asarray(ours), numpys, rtol=1e-6 if numpys.dtype == np.float32 else 1e-12)
    else:
        assert type(ours) is type(numpys) and ours == numpys


# cp: arex, or NumPy; a, c: the arrays; x: NumPy's in both
BOTH = """a.reshape(3, 2)|a.reshape((3, 2))|a.reshape(-1)|a.reshape(3, -1)|a.reshape((3, 2), order='F')|a.ravel()|a.ravel('F')|a.flatten()|a.flatten('F')|a.transpose()|a.transpose(1, 0)
a.transpose((1, 0))|a.T|a[None, :, None].transpose(2, 0, 3, 1)|a[:1].squeeze()|a[:1].squeeze(0)|a[:, :1].squeeze(axis=1)|a[:1, :1].squeeze()|a.squeeze()|a.astype('f4')|a.astype(np.int32, copy=False)
a.astype(float)|a.astype(cp.float32)|a.copy()|a.item(3)|a.item(1, 2)|a.item((0, 1))|a[0, 1].item()|a.tolist()|a.min()|a.max(1)|a.max(axis=0, keepdims=True)|a.sum(dtype=np.float32)|a.sum(1)|a.mean(dtype=np.float32)
a.std(0, ddof=1)|a.var(axis=(0, 1))|a.prod()|a.any()|a.all(1)|a.argmin()|a.argmax(1)|a.cumsum()|a.cumsum(1)|a.cumsum(0, np.float32)|a.cumprod(0)|a.clip(-1, 1)|a.clip(0)|a.clip(max=1)|a.clip(min=0, max=1)
a.round()|a.round(1)|(a * 1.2345).round(decimals=2)|(a * 123).round(-2)|a.astype(int).round(2)|(a * 100).astype(int).round(-1)|(a * 1.2345).astype(np.float32).round(3)|c.conj()|c.conjugate()|c.real|c.imag|a.ravel().dot(a.ravel())|a.dot(2)|a.dot(a[0])|a @ a[1]|a.swapaxes(0, 1)
a.take([0, 5])|a.take(np.array([[1, 0]]), axis=1)|a.take(1, axis=0)|a.take([7, -1], mode='wrap')|a.take([7, -1], mode='clip')|a.repeat(2)|a.repeat(2, axis=1)|divmod(a, 2.5)|divmod(7.5, a + 9)
np.shape(a)|np.ndim(a)|np.size(a)|np.size(a, 1)|np.allclose(a, x)|np.allclose(x, a + 1)|np.isclose(a, x + 1e-9)|np.isclose(a / a, a / a)|np.isclose(a / a, a / a, equal_nan=True)|np.array_equal(a, x)
np.array_equal(a, a.ravel())|np.array_equal(a / a, a / a)|np.array_equal(a / a, a / a, equal_nan=True)|np.array_equiv(a, a[None])|np.array_equiv(a, a[:, :2])|np.divmod(a, 2.0)|np.modf(a / 4)|np.frexp(a)
np.sum(a, 0, np.float32)|np.sum(a.astype(int), dtype=np.int32)|np.cumsum(a.astype(int), dtype=np.int16)|np.sum(a, axis=0)|np.mean(a)|np.std(a, ddof=1)|np.var(a, 0, None, None, 1)|np.var(a, 1, keepdims=True)|np.prod(a)|np.amax(a)|np.amin(a, 1)|np.max(a, axis=1)|np.ptp(a)|np.ptp(a, 0)
np.argmax(a)|np.any(a)|np.all(a, 0)|np.cumsum(a, 1)|np.cumprod(a)|int(np.count_nonzero(a))|np.count_nonzero(a, axis=1, keepdims=True)|np.nansum(a)|np.nanmean(a, 0)|np.nanmax(a)|np.average(a)
np.average(a, weights=a + 9)|np.average(a[0], weights=[1, 2, 4])|np.reshape(a, (3, 2))|np.ravel(a)|np.transpose(a, (1, 0))|np.squeeze(a[:1])|np.moveaxis(a[None], 0, 2)|np.moveaxis(a[None], (0, 1), (-1, 0))|np.concatenate([a, x])
np.concatenate([a, a], axis=None)|np.stack([a, a], 1)|np.vstack([a, a[0]])|np.hstack([a, a])|np.hstack([a[0], a[1]])|np.column_stack([a[0], a[1]])|np.clip(a, 0, 1)|np.round(a, 1)|np.around(a)
np.take(a, [1, 2], axis=-1)|np.flip(a)|np.roll(a, 1)|np.diff(a)|np.expand_dims(a, 0)|np.where(a > 0, a, 0)|np.zeros_like(a)|np.full_like(a, 3)|np.empty_like(a).shape|np.real(c)|np.imag(c)|np.angle(c)
np.angle(c, True)|np.conj(c)|np.iscomplexobj(c)|np.isrealobj(c)|np.copy(a)|np.linalg.norm(a)|np.linalg.norm(a, 1, axis=0)|np.linalg.norm(a.ravel(), 3)|np.linalg.norm(a, np.inf, 1)|np.linalg.norm(a[0], 0)
np.linalg.norm(a, axis=1, keepdims=True)|np.result_type(a, np.float32)|np.nan_to_num(a / 0.0)|np.nan_to_num(a / 0.0, nan=5, posinf=7, neginf=-7)|np.add.reduce(a, axis=1, keepdims=True)|np.maximum.reduce(a)
np.add.accumulate(a)|np.multiply.accumulate(a, axis=1)|np.logical_or.reduce(a > 0)|cp.allclose(a, x)|cp.allclose(x, x + 1)|cp.array_equal(a, x)|cp.isclose(a, x)|cp.divmod(a, 2.0)|cp.modf(x)|cp.frexp(x)|cp.ravel(a)
cp.take(a, [0])|cp.zeros((2, 2))|cp.zeros(3, dtype=cp.complex64)|cp.max(a, 1)|cp.amax(a)|cp.transpose(a, (1, 0))|cp.reshape(a, (3, 2))|cp.vstack((a, a))|cp.eye(3)|cp.identity(2)|cp.logspace(0, 1, 3)|cp.size(a)
cp.shape(a)|cp.ndim(a)|cp.full((2,), 3)|cp.full((2,), cp.pi)|cp.astype(a, np.float32)|a[cp.newaxis]|isinstance(a, cp.ndarray)|cp.dot(a[0], a[1])|cp.sum(a, 0)|cp.round(a, 1)""".replace("\n", "|").split("|")


@pytest.mark.parametrize("text", BOTH)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_as_numpy(text):
    ours = eval(text, {"np": np, "cp": arex, "a": arex.asarray(X), "c": arex.asarray(Z), "x": X})
    compared(ours, eval(text, {"np": np, "cp": np, "a": X, "c": Z, "x": X}))


def test_in_place():
    a = arex.asarray(X)
    later = a + 1  # put off: reads the elements before they change
    a.fill(7.9)
    assert a.tolist() == [[7.9] * 3] * 2
    compared(later, X + 1)
    n = arex.asarray(np.arange(3))
    n.fill(2.7)
    assert n.tolist() == [2, 2, 2] and n.dtype == np.arange(3).dtype
    np.copyto(a, X[0])
    compared(a, np.broadcast_to(X[0], X.shape))
    for out in (arex.zeros(2), np.zeros(2)):
        assert np.sum(a, 1, out=out) is out
        compared(out, np.broadcast_to(X[0], X.shape).sum(1))
    flat = a.flatten()
    a += 1
    compared(flat, np.broadcast_to(X[0], X.shape).flatten())


REFUSED = [("a.reshape(3, 2, order='A')", "orders C and F"), ("a.reshape(4, 2)", "reshape|elements|extent"), ("np.sum(a, where=x > 0)", "takes no where"), ("np.sum(a, initial=1)", "takes no initial"), ("cp.sum(a, 0, True)", "write keepdims"),
           ("a.max(1, True)", "write keepdims"), ("a @ a", "3 and 2"), ("a.dot(x[0, :2])", "3 and 2"), ("np.linalg.norm(a, 'nuc')", "norms of matrices"), ("a.sort()", "has no 'sort'"),
           ("a.take([9]).get()", "out of range"), ("a.take([0], mode='other')", "modes"), ("a.astype(int, casting='safe')", "by the rule"), ("np.copyto(x, a)", "an arex.Array to copy into"), ("np.average(a, weights=x[0])", "weights"),
           ("np.linalg.inv(a)", "no np.linalg.inv"), ("a.no_such_thing", "no attribute 'no_such_thing'"), ("np.copyto(a, x * 1j)", "by the rule")]


@pytest.mark.parametrize("text, words", REFUSED)
def test_refused(text, words):
    with pytest.raises((arex.ArexError, AttributeError, TypeError), match=words):
        result = eval(text, {"np": np, "cp": arex, "a": arex.asarray(X), "x": X})
        result.get()


def test_hasattr_is_honest():
    a = arex.asarray(X)
    assert not hasattr(a, "sort") and hasattr(a, "reshape") and a.sum.__self__ is a


def test_parts_share_one_program():
    """Two results of one function, used together, are one program in which it is computed once."""
    whole, rest = divmod(arex.asarray(X), 2.0)
    both = whole * 2 + rest
    text, values = sys.modules["arex.pending"]._program_of(both)
    assert text.count("divmod(a0, s0)") == 2 and [v for _, v in values[1:]] == [2.0, 2]
    compared(both, X)
