"""NumPy's and CuPy's forms of what the language has: their arguments, in their order, as methods of Array, as arex.NAME and behind NumPy's
own functions. What the language cannot do is an error that says so, and never another answer."""
import math
import operator
from typing import Any, Callable

import numpy as np

from .array import Array, _out, _plain, asarray, function, zeros
from .errors import fail
from .evaluating import _cached
from .indexing import flatnonzero, nonzero
from .pending import _Pending

FORMS: dict[str, Callable[..., Any]] = {}
LINALG: dict[str, Callable[..., Any]] = {}  # those of np.linalg
# methods of arrays that are forms, by their own names
METHODS = ["sum", "prod", "min", "max", "mean", "var", "std", "any", "all", "argmin", "argmax", "cumsum", "cumprod", "clip", "round", "conj", "conjugate", "dot", "swapaxes",
           "take", "squeeze", "ravel", "repeat", "ptp", "nonzero", "compress", "diagonal", "trace"]


def _form(*names):
    def keep(f):
        for name in names or (f.__name__,):
            FORMS[name] = f
        return f
    return keep


def _refuse(name, given):
    for what, value in given.items():
        if value is not None:
            fail("AX0208", f"{name} takes no {what}")


def _pending(text, operands, line="{} = {}"):
    return Array(pending=_Pending(text, operands, line))


def _own(a):
    return a if isinstance(a, (Array, np.ndarray)) else np.asarray(a)


def _converted(a, dtype):
    a = _own(a)
    return a if dtype is None or a.dtype == np.dtype(dtype) else a.astype(dtype)


# ---- reductions and scans ----

def _reduction(name, typed, more=()):
    call_name = {"amin": "min", "amax": "max"}.get(name, name)

    def reduce(a, axis, dtype, out, keepdims, options):
        if isinstance(dtype, bool):
            fail("AX0208", f"{name}: the argument after axis is a dtype; write keepdims={dtype}")
        for what in ("where", "initial"):
            if options.get(what) is not None and options[what] is not np._NoValue:
                fail("AX0208", f"{name} takes no {what}: write the choice into the values, as in {name}(where(c, x, 0))")
        known = {k: v for k, v in options.items() if k in more}
        _refuse(name, {k: v for k, v in options.items() if k not in (*more, "where", "initial")})
        result = _plain(call_name)(_converted(a, dtype), axis=axis, keepdims=bool(keepdims), **known)
        return _out(_converted(result, dtype), (out,) if out is not None else None)

    def with_dtype(a, axis=None, dtype=None, out=None, *rest, keepdims=False, **options):
        if rest and more:  # NumPy's order: ddof, then keepdims
            options["ddof"], rest = rest[0], rest[1:]
        return reduce(a, axis, dtype, out, rest[0] if rest else keepdims, options)

    def without(a, axis=None, out=None, *rest, keepdims=False, **options):
        if isinstance(out, bool):
            fail("AX0208", f"{name}: the argument after axis is `out`; write keepdims={out}")
        return reduce(a, axis, None, out, rest[0] if rest else keepdims, options)

    form = with_dtype if typed else without
    form.__name__ = name
    FORMS[name] = form


for _name in ["sum", "prod", "mean", "nansum", "nanmean"]:
    _reduction(_name, True)
for _name in ["var", "std"]:
    _reduction(_name, True, ("ddof",))
for _name in ["min", "max", "amin", "amax", "any", "all", "argmin", "argmax", "ptp", "nanmin", "nanmax"]:
    _reduction(_name, False)


@_form()
def count_nonzero(a, axis=None, *, keepdims=False):
    return _plain("count_nonzero")(_own(a), axis=axis, keepdims=bool(keepdims))


def _scan(name):
    def form(a, axis=None, dtype=None, out=None):
        return _out(_converted(_plain(name)(_converted(a, dtype), axis=axis), dtype), (out,) if out is not None else None)
    form.__name__ = name
    FORMS[name] = form


for _name in ["cumsum", "cumprod"]:
    _scan(_name)


@_form()
def average(a, axis=None, weights=None, *, keepdims=False):
    if weights is None:
        return FORMS["mean"](a, axis, keepdims=keepdims)
    a, weights = _own(a), _own(weights)
    if weights.shape != a.shape:
        fail("AX0208", "average takes weights of the shape of the array")
    return FORMS["sum"](a * weights, axis, keepdims=keepdims) / FORMS["sum"](weights, axis, keepdims=keepdims)


# ---- shapes ----

def _order(name, order):
    if order not in ("C", "F"):
        fail("AX0208", f"{name} takes the orders C and F, not {order!r}: arrays have no order of memory that a program sees")
    return order == "F"


@_form()
def reshape(a, /, shape=None, order="C", *, newshape=None, copy=None):
    shape = newshape if shape is None else shape
    extents = tuple(int(n) for n in (shape if isinstance(shape, (tuple, list)) else (shape,)))
    if _order("reshape", order):
        return transpose(_plain("reshape")(transpose(a), extents[::-1]))
    return _plain("reshape")(_own(a), extents)


@_form()
def ravel(a, order="C"):
    return _plain("reshape")(transpose(a) if _order("ravel", order) else _own(a), (-1,))


@_form()
def transpose(a, axes=None):
    return _plain("transpose")(_own(a), *(() if axes is None else (tuple(int(i) for i in axes),)))


@_form()
def moveaxis(a, source, destination):
    a = _own(a)
    pair = [tuple(i % a.ndim for i in (x if isinstance(x, (tuple, list)) else (x,))) for x in (source, destination)]
    order = [i for i in range(a.ndim) if i not in pair[0]]
    for to, origin in sorted(zip(pair[1], pair[0])):
        order.insert(to, origin)
    return transpose(a, order)


@_form()
def squeeze(a, axis=None):
    a = _own(a)
    ones = tuple(i for i, n in enumerate(a.shape) if n == 1) if axis is None else axis
    return a if ones == () else _plain("squeeze")(a, ones)


@_form()
def shape(a, axis=None):
    extents = _own(a).shape
    return extents if axis is None else extents[axis]


@_form()
def ndim(a):
    return len(shape(a))


@_form()
def size(a, axis=None):
    return math.prod(shape(a)) if axis is None else math.prod(shape(a)[i] for i in (axis if isinstance(axis, tuple) else (axis,)))


def _stacked(name, axis, at_least):
    def form(tup, *, dtype=None, casting="same_kind"):
        parts = [at_least(_own(x)) for x in tup]
        joined = _plain("concatenate")(parts, 0 if axis == 1 and parts[0].ndim == 1 else axis)
        return _converted(joined, dtype)
    form.__name__ = name
    FORMS[name] = form


def _rows(x):
    return _plain("reshape")(x, (1, -1)) if x.ndim < 2 else x


def _columns(x):
    return _plain("reshape")(x, (-1, 1)) if x.ndim < 2 else x


def _line(x):
    return _plain("reshape")(x, (1,)) if x.ndim < 1 else x


_stacked("vstack", 0, _rows)
_stacked("hstack", 1, _line)
_stacked("column_stack", 1, _columns)


@_form()
def take(a, indices, axis=None, out=None, mode="raise"):
    a = _own(a)
    a, axis = (ravel(a), 0) if axis is None else (a, axis % a.ndim)
    where = indices if isinstance(indices, Array) else np.asarray(indices)
    if mode in ("wrap", "clip"):
        where = where % a.shape[axis] if mode == "wrap" else np.clip(where, 0, a.shape[axis] - 1)
    elif mode not in ("raise", None):
        fail("AX0208", f"take takes the modes raise, wrap and clip, not {mode!r}")
    where = int(where) if isinstance(where, (np.ndarray, np.generic)) and where.ndim == 0 else where
    return _out(a[(slice(None),) * axis + (where,)], (out,) if out is not None else None)


@_form()
def empty_like(prototype, dtype=None, order="K", subok=True, shape=None):
    """The elements are 0."""
    prototype = _own(prototype)
    return zeros(prototype.shape if shape is None else shape, dtype=dtype or prototype.dtype)


@_form()
def copyto(dst, src, casting="same_kind", where=True):
    """Into an Array: its elements change, in place."""
    if not isinstance(dst, Array):
        fail("AX0208", "copyto takes an arex.Array to copy into; asnumpy(x) is one for NumPy's")
    src = _own(src)
    src = src if where is True else _plain("where")(_own(where), astype(src, dst.dtype, casting=casting), dst)
    src = src if src.shape == dst.shape else _plain("broadcast_to")(src, dst.shape)
    dst._take(asarray(astype(src, dst.dtype, casting=casting)))


# ---- places of what holds ----

for _name, _places in {"nonzero": nonzero, "flatnonzero": flatnonzero}.items():
    FORMS[_name] = _places


@_form()
def argwhere(a):
    return _plain("stack")(nonzero(_own(a)), 1)


@_form()
def compress(condition, a, axis=None, out=None):
    return _out(take(a, flatnonzero(_own(condition)), axis), (out,) if out is not None else None)


@_form()
def extract(condition, arr):
    return compress(ravel(condition), ravel(arr))


@_form()
def putmask(a, mask, values):
    """Into an Array, in place; the values are spread over it."""
    copyto(a, values, "unsafe", mask)


@_form()
def where(condition, *choice):
    """Of a condition alone: where it holds."""
    return _plain("where")(condition, *choice) if choice else nonzero(condition)


# ---- elementwise ----

@_form()
def nan_to_num(x, copy=True, nan=0.0, posinf=None, neginf=None):
    x, where = _own(x), _plain("where")
    if x.dtype.kind != "f":
        return x
    most = float(np.finfo(x.dtype).max)
    x = where(_plain("isnan")(x), nan, x)
    x = where(x == np.inf, most if posinf is None else posinf, x)
    return where(x == -np.inf, -most if neginf is None else neginf, x)


@_form()
def clip(a, a_min=None, a_max=None, out=None, *, min=None, max=None):
    low, high = a_min if a_min is not None else min, a_max if a_max is not None else max
    a = _own(a)
    if low is None and high is None:
        result = a.copy()
    elif low is None or high is None:
        result = function("minimum")(a, high) if low is None else function("maximum")(a, low)
    else:
        result = _plain("clip")(a, low, high)
    return _out(result, (out,) if out is not None else None)


def _rounded(a, decimals=0, out=None):
    a = _own(a)
    if a.dtype.kind == "b":
        decimals = min(decimals, 0)
    result = _plain("round")(a, decimals=operator.index(decimals))
    return _out(result, (out,) if out is not None else None)


FORMS["round"] = FORMS["around"] = _rounded


@_form("conj", "conjugate")
def conj(a):
    a = _own(a)
    return _plain("conj")(a) if a.dtype.kind == "c" else a


@_form()
def angle(z, deg=False):
    result = _plain("angle")(_own(z))
    return function("degrees")(result) if deg else result


@_form()
def copy(a, order="K", subok=False):
    return a.copy()


@_form()
def astype(a, dtype, order="K", casting="unsafe", subok=True, copy=True):
    a = _own(a)
    if not np.can_cast(a.dtype, dtype, casting):
        fail("AX0306", f"{a.dtype} does not become {np.dtype(dtype)} by the rule {casting!r}")
    if not copy and a.dtype == np.dtype(dtype):
        return a
    return _plain(np.dtype(dtype).name)(a)


def _parts(name):
    """Several results: each is the language's, put off by itself; what they have in common is computed once where both are."""
    def form(*operands):
        operands = [np.asarray(x) if isinstance(x, (list, tuple)) else x for x in operands]
        if not any(isinstance(x, Array) for x in operands):
            inputs = [f"x{i}" for i in range(len(operands))]
            return tuple(_cached(f"a, b = {name}({', '.join(inputs)})\nreturn a, b")(*operands))
        text = f"{name}({', '.join(['{}'] * len(operands))})"
        return _pending(text, operands, "{}, rest = {}"), _pending(text, operands, "rest, {} = {}")
    form.__name__ = name
    FORMS[name] = form


for _name in ["divmod", "modf", "frexp"]:
    _parts(_name)


# ---- comparisons of whole arrays ----

@_form()
def isclose(a, b, rtol=1e-5, atol=1e-8, equal_nan=False):
    near = _plain("isclose")(a, b, rtol=rtol, atol=atol)
    return near | (function("isnan")(a) & function("isnan")(b)) if equal_nan else near


@_form()
def allclose(a, b, rtol=1e-5, atol=1e-8, equal_nan=False):
    return bool(_plain("all")(isclose(_own(a), _own(b), rtol, atol, equal_nan)))


@_form()
def array_equal(a1, a2, equal_nan=False):
    a, b = _own(a1), _own(a2)
    if a.shape != b.shape:
        return False
    same = a == b
    if equal_nan and a.dtype.kind in "fc" and b.dtype.kind in "fc":
        same = same | (function("isnan")(a) & function("isnan")(b))
    return bool(_plain("all")(same))


@_form()
def array_equiv(a1, a2):
    a, b = _own(a1), _own(a2)
    try:
        np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        return False
    return bool(_plain("all")(a == b))


@_form()
def iscomplexobj(x):
    return _own(x).dtype.kind == "c"


@_form()
def isrealobj(x):
    return not iscomplexobj(x)


@_form()
def result_type(*given):
    return np.result_type(*[x.dtype if isinstance(x, Array) else x for x in given])


# ---- products ----

@_form()
def dot(a, b, out=None):
    return _product("dot", a, b, out)


@_form()
def matmul(x1, x2, /, out=None):
    return _product("matmul", x1, x2, out)


@_form()
def vecdot(x1, x2, /, out=None, *, axis=-1):
    return _product("vecdot", moveaxis(x1, axis, -1), moveaxis(x2, axis, -1), out)


def _product(name, a, b, out):
    """Of NumPy arrays at once; the extents are looked at now, not when the product runs."""
    a, b = _own(a), _own(b)
    result = _plain(name)(a, b)
    if isinstance(result, Array):
        result.shape
    return _out(result, (out,) if out is not None else None)


@_form()
def inner(a, b):
    a, b = _own(a), _own(b)
    return dot(a, b if b.ndim < 2 else moveaxis(b, -1, -2))


@_form()
def outer(a, b, out=None):
    return _out(ravel(a)[:, None] * ravel(b), (out,) if out is not None else None)


@_form()
def vdot(a, b):
    return dot(conj(ravel(a)), ravel(b))


@_form()
def tensordot(a, b, axes=2):
    a, b = _own(a), _own(b)
    if isinstance(axes, (int, np.integer)):
        axes = range(a.ndim - axes, a.ndim), range(axes)
    of_a, of_b = ([i % x.ndim for i in (along if isinstance(along, (tuple, list, range)) else (along,))] for x, along in zip((a, b), axes))
    if [a.shape[i] for i in of_a] != [b.shape[i] for i in of_b]:
        fail("AX0301", f"tensordot of {a.shape} and {b.shape}: the extents of the axes {of_a} and {of_b} differ")
    left, right = ([i for i in range(x.ndim) if i not in along] for x, along in ((a, of_a), (b, of_b)))
    n = math.prod(a.shape[i] for i in of_a)
    rows = reshape(transpose(a, left + of_a), (math.prod(a.shape[i] for i in left), n))
    columns = reshape(transpose(b, of_b + right), (n, math.prod(b.shape[i] for i in right)))
    return reshape(matmul(rows, columns), [a.shape[i] for i in left] + [b.shape[i] for i in right])


def _norm(x, ord=None, axis=None, keepdims=False):
    x = _own(x)
    if ord is None or (ord == 2 and (isinstance(axis, int) or x.ndim == 1)):
        return _plain("norm")(x, axis=axis, keepdims=bool(keepdims))
    size_of = _plain("abs")(x)
    if ord == "fro" and (axis is None and x.ndim == 2 or isinstance(axis, tuple) and len(axis) == 2):
        return _plain("norm")(x, axis=axis, keepdims=bool(keepdims))
    if not isinstance(axis, int) and x.ndim != 1:
        fail("AX0208", f"norms of matrices with ord={ord!r} are not in the language")
    if ord in (math.inf, -math.inf):
        return FORMS["max" if ord > 0 else "min"](size_of, axis, keepdims=keepdims)
    if ord == 0:
        return FORMS["sum"](x != 0, axis, keepdims=keepdims).astype(size_of.dtype)
    return FORMS["sum"](size_of, axis, keepdims=keepdims) if ord == 1 else FORMS["sum"](size_of ** ord, axis, keepdims=keepdims) ** (1.0 / ord)


LINALG["norm"] = _norm
