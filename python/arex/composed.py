"""NumPy's functions that others make up, with its arguments. Each is an expression over what the language has: put off, fused and run on the
device as everything else. What has no such form (sorting, solving, transforms) is refused with the way round it."""
from functools import reduce
from typing import Any, Callable

import numpy as np

from . import forms
from .array import Array, _plain, asarray, function
from .errors import fail
from .forms import FORMS, LINALG, _form, _own, matmul, moveaxis, ravel, reshape, transpose
from .pending import _Pending


def _where(condition, a, b):
    return _plain("where")(condition, a, b)


def concatenated(parts, axis):
    return _plain("concatenate")(parts, axis)


def _lazily(text, *operands):
    """An expression of the language on arrays; of NumPy's it runs at once."""
    if any(isinstance(o, Array) for o in operands):
        return Array(pending=_Pending(text, list(operands)))
    return Array(pending=_Pending(text, [asarray(o) if isinstance(o, np.ndarray) else o for o in operands])).get()


# ---- shapes ----

@_form()
def fliplr(m):
    return _own(m)[:, ::-1]


@_form()
def flipud(m):
    return _own(m)[::-1]


@_form()
def rot90(m, k=1, axes=(0, 1)):
    m, (a, b) = _own(m), axes
    flip, swap = _plain("flip"), _plain("swapaxes")
    return [lambda: m, lambda: swap(flip(m, b), a, b), lambda: flip(flip(m, a), b), lambda: flip(swap(m, a, b), b)][k % 4]()


def _at_least(rank, new_axes):
    def form(*arys):
        made = tuple(x if x.ndim >= rank else x[new_axes(x.ndim)] if x.ndim else reshape(x, (1,) * rank) for x in map(_own, arys))
        return made[0] if len(made) == 1 else made
    form.__name__ = f"atleast_{rank}d"
    FORMS[form.__name__] = form
    return form


_at_least(1, lambda rank: (...,))
_at_least(2, lambda rank: (None, ...))
atleast_3d = _at_least(3, lambda rank: (None, ..., None) if rank == 1 else (..., None))


@_form()
def dstack(tup):
    return concatenated([atleast_3d(x) for x in tup], 2)


@_form()
def meshgrid(*xi, copy=True, sparse=False, indexing="xy"):
    n, order = len(xi), list(range(len(xi)))
    if indexing not in ("xy", "ij"):
        fail("AX0208", f"meshgrid takes the indexing 'xy' or 'ij', not {indexing!r}")
    if indexing == "xy" and n > 1:
        order[:2] = [1, 0]
    lines = [ravel(x) for x in xi]
    extents = [lines[d].shape[0] for d in order]
    grids = [x[tuple(slice(None) if order[d] == i else None for d in range(n))] for i, x in enumerate(lines)]
    return tuple(grids if sparse else [_plain("broadcast_to")(g, tuple(extents)) for g in grids])


@_form()
def array_split(ary, indices_or_sections, axis=0):
    ary = _own(ary)
    n, before = ary.shape[axis], (slice(None),) * (axis % ary.ndim)
    if isinstance(indices_or_sections, (int, np.integer)):
        each, more = divmod(n, int(indices_or_sections))
        cuts = [i * each + min(i, more) for i in range(indices_or_sections + 1)]
    else:
        cuts = [0, *map(int, indices_or_sections), n]
    return [ary[before + (slice(a, b),)] for a, b in zip(cuts, cuts[1:])]


@_form()
def split(ary, indices_or_sections, axis=0):
    if isinstance(indices_or_sections, (int, np.integer)) and _own(ary).shape[axis] % indices_or_sections:
        raise ValueError("array split does not result in an equal division")
    return array_split(ary, indices_or_sections, axis)


@_form()
def hsplit(ary, indices_or_sections):
    return split(ary, indices_or_sections, min(1, _own(ary).ndim - 1))


@_form()
def vsplit(ary, indices_or_sections):
    return split(ary, indices_or_sections, 0)


@_form()
def dsplit(ary, indices_or_sections):
    return split(ary, indices_or_sections, 2)


@_form()
def unstack(x, /, *, axis=0):
    x = moveaxis(x, axis, 0)
    return tuple(x[i] for i in range(x.shape[0]))


@_form()
def broadcast_arrays(*args, subok=False):
    arrays = [_own(x) for x in args]
    shape = np.broadcast_shapes(*[x.shape for x in arrays])
    return tuple(x if x.shape == shape else _plain("broadcast_to")(x, shape) for x in arrays)


@_form()
def rollaxis(a, axis, start=0):
    a = _own(a)
    axis, start = axis % a.ndim, start + a.ndim if start < 0 else start
    return moveaxis(a, axis, start - 1 if axis < start else start)


@_form("matrix_transpose")
def matrix_transpose(x, /):
    return _plain("swapaxes")(_own(x), -1, -2)


@_form()
def append(arr, values, axis=None):
    return concatenated([ravel(arr), ravel(values)] if axis is None else [_own(arr), _own(values)], axis or 0)


def _padded(x, axis, before, after, mode, fill):
    """By the places that elements come from."""
    n, here = x.shape[axis], np.arange(-before, x.shape[axis] + after)
    period = max(2 * n - 2, 1)
    places = {"edge": np.clip(here, 0, n - 1), "constant": np.clip(here, 0, n - 1), "wrap": here % max(n, 1), "reflect": np.abs((here + n - 1) % period - (n - 1)),
              "symmetric": np.minimum(here % (2 * n), 2 * n - 1 - here % (2 * n))}[mode]
    made = x[(slice(None),) * axis + (places,)]
    if mode != "constant":
        return made
    inside = ((here >= 0) & (here < n)).reshape((-1,) + (1,) * (x.ndim - 1 - axis))
    return _where(inside, made, np.asarray(fill).astype(x.dtype)[()])


@_form()
def pad(array, pad_width, mode="constant", *, constant_values=0):
    x = _own(array)
    if mode not in ("constant", "edge", "wrap", "reflect", "symmetric"):
        fail("AX0208", f"pad takes the modes constant, edge, wrap, reflect and symmetric, not {mode!r}")
    widths, fills = (np.broadcast_to(np.asarray(w), (x.ndim, 2)) for w in (pad_width, constant_values))
    if (fills != fills.ravel()[:1]).any():
        fail("AX0208", "pad takes one constant value")
    for axis, (before, after) in enumerate(widths.tolist()):
        if before or after:
            x = _padded(x, axis, before, after, mode, fills.flat[0])
    return x


# ---- diagonals ----

@_form()
def diagonal(a, offset=0, axis1=0, axis2=1):
    a = moveaxis(a, (axis1, axis2), (-2, -1))
    rows, columns = max(-offset, 0), max(offset, 0)
    along = np.arange(max(min(a.shape[-2] - rows, a.shape[-1] - columns), 0))
    return a[..., along + rows, along + columns]


@_form()
def trace(a, offset=0, axis1=0, axis2=1, dtype=None, out=None):
    return FORMS["sum"](diagonal(a, offset, axis1, axis2), -1, dtype, out)


@_form()
def diag(v, k=0):
    v = _own(v)
    if v.ndim != 1:
        return diagonal(v, k)
    here = np.arange(v.shape[0] + abs(k))
    line = v[np.clip(here - max(-k, 0), 0, v.shape[0] - 1)][:, None]
    return _where(here - here[:, None] == k, line, np.zeros((), v.dtype)[()])


@_form()
def tril(m, k=0):
    return _lazily("where(iota({}, -1) - iota({}, -2) <= {}, {}, zeros_like({}))", m, m, k, m, m)


@_form()
def triu(m, k=0):
    return _lazily("where(iota({}, -1) - iota({}, -2) >= {}, {}, zeros_like({}))", m, m, k, m, m)


# ---- reductions ----

def _without_nan(name, instead):
    def form(a, axis=None, dtype=None, out=None, **options):
        a = _own(a)
        return FORMS[name](_where(function("isnan")(a), instead, a) if a.dtype.kind in "fc" else a, axis, dtype, out, **options)
    form.__name__ = f"nan{name}"
    FORMS[form.__name__] = form


for _name, _instead in {"prod": 1, "cumsum": 0, "cumprod": 1}.items():
    _without_nan(_name, _instead)


@_form()
def nanvar(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False):
    a, total = forms._converted(a, dtype), FORMS["sum"]
    held = a == a
    n = total(held, axis, keepdims=True)
    away = _where(held, a - FORMS["nanmean"](a, axis, keepdims=True), 0)
    squares = total(forms.conj(away) * away, axis, keepdims=keepdims)
    squares = function("real")(squares) if a.dtype.kind == "c" else squares
    n = n if keepdims else reshape(n, squares.shape)
    return forms._out(forms._converted(squares / _where(n > ddof, n - ddof, np.nan), squares.dtype), (out,) if out is not None else None)


@_form()
def nanstd(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False):
    return forms._out(function("sqrt")(nanvar(a, axis, dtype, None, ddof, keepdims)), (out,) if out is not None else None)


@_form()
def trapezoid(y, x=None, dx=1.0, axis=-1):
    y = moveaxis(y, axis, -1)
    x = None if x is None else _own(x)
    step = dx if x is None else x[1:] - x[:-1] if x.ndim == 1 else _plain("diff")(moveaxis(x, axis, -1))
    return FORMS["sum"](step * (y[..., 1:] + y[..., :-1]) / 2, -1)


@_form()
def cov(m, y=None, rowvar=True, bias=False, ddof=None):
    m = FORMS["atleast_2d"](m)
    m = m if rowvar or m.shape[0] == 1 else m.T
    if y is not None:
        y = FORMS["atleast_2d"](y)
        m = concatenated([m, y if rowvar or y.shape[0] == 1 else y.T], 0)
    away = m - FORMS["mean"](m, 1, keepdims=True)
    return forms.squeeze(matmul(away, forms.conj(away).T) / (m.shape[1] - ((0 if bias else 1) if ddof is None else ddof)))


@_form()
def corrcoef(x, y=None, rowvar=True):
    c = cov(x, y, rowvar)
    if c.ndim == 0:
        return c / c
    size = function("sqrt")(function("real")(diagonal(c)) if c.dtype.kind == "c" else diagonal(c))
    return c / size[:, None] / size


# ---- elementwise ----

@_form()
def select(condlist, choicelist, default=0):
    return reduce(lambda rest, pair: _where(pair[0], pair[1], rest), list(zip(condlist, choicelist))[::-1], default)


def _holds(x):
    x = _own(x)
    return x if x.dtype == np.bool_ else x != 0


_ELEMENTWISE: dict[str, Callable[..., Any]] = {
    "logical_and": lambda x1, x2: _holds(x1) & _holds(x2), "logical_or": lambda x1, x2: _holds(x1) | _holds(x2), "logical_xor": lambda x1, x2: _holds(x1) ^ _holds(x2),
    "logical_not": lambda x: ~_holds(x), "isposinf": lambda x: _own(x) == np.inf, "isneginf": lambda x: _own(x) == -np.inf,
    "isreal": lambda x: function("imag")(_own(x)) == 0, "iscomplex": lambda x: function("imag")(_own(x)) != 0, "fix": lambda x: function("trunc")(_own(x)),
    "fabs": lambda x: abs(_own(x) if _own(x).dtype.kind == "f" else forms.astype(x, np.float64)), "float_power": lambda x1, x2: forms._converted(x1, np.float64) ** x2,
    "heaviside": lambda x1, x2: _where(_own(x1) != x1, x1, _where(_own(x1) == 0, x2, forms._converted(_own(x1) > 0, np.result_type(_own(x1).dtype, np.float32) if _own(x1).dtype.kind != "f" else _own(x1).dtype))),
    "sinc": lambda x: _lazily("where({} == 0, 1, sinpi({}) / (pi * {}))", x, x, x), "bitwise_count": lambda x: forms.astype(function("popcount")(abs(_own(x))), np.uint8),
    "polyval": lambda p, x: reduce(lambda value, c: value * x + c, [_own(p)[i] for i in range(len(p))], _own(x) * 0),
    "isin": lambda element, test_elements, assume_unique=False, invert=False: (FORMS["all"] if invert else FORMS["any"])((_own(element)[..., None] != ravel(test_elements)) if invert else (
        _own(element)[..., None] == ravel(test_elements)), -1),
}
for _name, _made in _ELEMENTWISE.items():
    setattr(_made, "__name__", _name)
FORMS.update(_ELEMENTWISE)


@_form()
def take_along_axis(arr, indices, axis=-1):
    if axis is None:
        return ravel(arr)[indices]
    arr, indices = _own(arr), _own(indices)
    axis %= arr.ndim
    along = [np.arange(n).reshape((-1,) + (1,) * (arr.ndim - 1 - d)) for d, n in enumerate(arr.shape)]
    return arr[tuple(indices if d == axis else along[d] for d in range(arr.ndim))]


@_form()
def gradient(f, *varargs, axis=None, edge_order=1):
    f = _own(f)
    axes = range(f.ndim) if axis is None else [i % f.ndim for i in (axis if isinstance(axis, tuple) else (axis,))]
    steps = [1.0] * len(axes) if not varargs else list(varargs) * (len(axes) if len(varargs) == 1 else 1)
    if edge_order != 1 or len(steps) != len(axes) or any(np.ndim(h) for h in steps):
        fail("AX0208", "gradient takes a number for the distance of each axis, and edge_order=1")
    found = [_slope(f, d, h) for d, h in zip(axes, steps)]
    return found[0] if len(found) == 1 else tuple(found)


def _slope(f, axis, h):
    f = moveaxis(f, axis, -1)
    inner = (f[..., 2:] - f[..., :-2]) / (2.0 * h)
    return moveaxis(concatenated([(f[..., 1:2] - f[..., :1]) / h, inner, (f[..., -1:] - f[..., -2:-1]) / h], -1), -1, axis)


# ---- products ----

@_form()
def kron(a, b):
    a, b = _own(a), _own(b)
    rank = max(a.ndim, b.ndim)
    a, b = (reshape(x, (1,) * (rank - x.ndim) + tuple(x.shape)) for x in (a, b))
    each = a[(slice(None), None) * rank] * b[(None, slice(None)) * rank]
    return reshape(each, tuple(m * n for m, n in zip(a.shape, b.shape)))


@_form()
def cross(a, b, axisa=-1, axisb=-1, axisc=-1, axis=None):
    axisa, axisb, axisc = (axisa, axisb, axisc) if axis is None else (axis,) * 3
    a, b = moveaxis(a, axisa, -1), moveaxis(b, axisb, -1)
    if a.shape[-1] != 3 or b.shape[-1] != 3:
        fail("AX0208", "cross takes vectors of 3 elements")
    turned = [a[..., i] * b[..., j] - a[..., j] * b[..., i] for i, j in ((1, 2), (2, 0), (0, 1))]
    return _plain("stack")(turned, axisc)


@_form()
def matvec(x1, x2, /):
    return matmul(x1, _own(x2)[..., None])[..., 0]


@_form()
def vecmat(x1, x2, /):
    return matmul(forms.conj(x1)[..., None, :], x2)[..., 0, :]


def _letters(subscripts, operands):
    """Of each operand and of the result, as einsum writes them."""
    text = subscripts.replace(" ", "")
    given, arrow, result = text.partition("->")
    parts = given.split(",")
    if not all(c.isalpha() for part in (*parts, result) for c in part) or len(parts) != len(operands) or any(len(p) != x.ndim for p, x in zip(parts, operands)):
        fail("AX0208", f"einsum takes letters for every axis of each array, not {subscripts!r} for arrays with {[x.ndim for x in operands]} axes")
    if not arrow:
        result = "".join(sorted(c for c in set(given) - {","} if given.count(c) == 1))
    if len(set(result)) != len(result) or set(result) - set(given):
        fail("AX0208", f"einsum: the axes {result!r} of the result are each one of those given, once")
    return parts, result


def _in_order(x, letters, order):
    """The axes of an operand where the result and the sum have them, of extent 1 where it has none."""
    for c in sorted(set(letters)):
        while letters.count(c) > 1:
            i = letters.index(c)
            j = letters.index(c, i + 1)
            x, letters = diagonal(x, 0, i, j), letters[:i] + letters[i + 1:j] + letters[j + 1:] + c
    here = [c for c in order if c in letters]
    return transpose(x, [letters.index(c) for c in here])[tuple(slice(None) if c in letters else None for c in order)]


@_form()
def einsum(subscripts, /, *operands, optimize=False):
    """One kernel: a sum of products over all axes that the result has not, in whatever order they come."""
    operands = tuple(_own(x) for x in operands)
    parts, result = _letters(subscripts, operands)
    order = result + "".join(sorted(set("".join(parts)) - set(result)))
    factors = [_in_order(x, part, order) if part else x for x, part in zip(operands, parts)]
    for axes in zip(*[f.shape for f in factors if f.ndim]):
        if len({n for n in axes if n != 1}) > 1:
            fail("AX0301", f"einsum: the extents {axes} of one axis differ")
    product, t = reduce(lambda a, b: a * b, factors), np.result_type(*[x.dtype for x in operands])
    summed = tuple(range(len(result), len(order)))
    return forms._converted(FORMS["any" if t == np.bool_ else "sum"](product, summed), t) if summed else product


def _matrix_power(a, n):
    a = _own(a)
    if n < 0:
        fail("AX0208", "matrix_power takes no negative powers: there is no inverse here")
    if n == 0:
        return _lazily("where(iota({}, -1) == iota({}, -2), ones_like({}), zeros_like({}))", a, a, a, a)
    return reduce(matmul, [a] * n)


def _vector_norm(x, /, *, axis=None, keepdims=False, ord=2):
    if axis is None and not keepdims:
        x, axis = ravel(x), 0
    return LINALG["norm"](x, ord, axis, keepdims)


LINALG.update({name: FORMS[name] for name in ("matmul", "outer", "vecdot", "tensordot", "trace", "cross", "matrix_transpose")})
LINALG.update(matrix_power=_matrix_power, multi_dot=lambda arrays: reduce(matmul, arrays), vector_norm=_vector_norm,
              diagonal=lambda x, /, *, offset=0: diagonal(x, offset, -2, -1), matrix_norm=lambda x, /, *, keepdims=False, ord="fro": LINALG["norm"](x, ord, (-2, -1), keepdims))
LINALG["trace"] = lambda x, /, *, offset=0, dtype=None: trace(x, offset, -2, -1, dtype)
LINALG["cross"] = lambda x1, x2, /, *, axis=-1: cross(x1, x2, axis=axis)
