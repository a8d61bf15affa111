"""NumPy's answer to a program's expression, and how far from it a right answer may be: every value goes with a bound, which each operation
widens by what it makes of the bounds of its operands and by what two good implementations of it may differ in themselves (Wilkinson's running
error analysis). Operations that IEEE or integers settle add nothing, so there NumPy's bits are asked for; a bound of inf says that anything may
come: a comparison of what is equal within its bounds, a quotient by what may be 0."""
import numpy as np

# how far two libraries of functions may be from each other, in ulps; those of float16 are computed in float32
FUNCTION_ULPS = {"e": 2, "f": 8, "d": 8}


class Unknown(Exception):
    """This reference has no rule for the operation."""


def wide(x):
    return x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)


def ulp(x):
    """Of each value in its own type; 0 of what is exact."""
    if x.dtype.kind not in "fc":
        return np.zeros(x.shape)
    size = np.abs(x)
    with np.errstate(all="ignore"):
        return np.where(np.isfinite(size), np.spacing(np.where(np.isfinite(size), size, 0)), 0).astype(np.float64)


class Ball:
    """Values and the bound of each, an absolute difference."""

    def __init__(self, value, error=0.0):
        self.value = np.asarray(value)
        self.error = np.broadcast_to(np.asarray(error, np.float64), self.value.shape)

    @property
    def T(self):
        return Ball(self.value.T, self.error.T)

    def __getitem__(self, at):
        return Ball(self.value[at], self.error[at])

    def ends(self):
        """What the value may be at least and at most."""
        with np.errstate(all="ignore"):
            return wide(self.value) - self.error, wide(self.value) + self.error


def ball(x):
    if isinstance(x, Ball):
        return x
    raise Unknown("functions of literals are literals, which are weak; NumPy's are not")


def exact(*balls):
    return all(not isinstance(b, Ball) or not b.error.any() for b in balls)


def values(balls):
    return [b.value if isinstance(b, Ball) else b for b in balls]


def apart(a, b):
    """|a - b|, 0 where both are the same infinity or nan, inf where one alone is."""
    with np.errstate(all="ignore"):
        d = np.abs(wide(np.asarray(a)) - wide(np.asarray(b)))
    same = (a == b) | ((a != a) & (b != b))
    return np.where(same, 0.0, np.where(np.isnan(d), np.inf, d))


def from_corners(f, balls, ulps=0, safe=1.0):
    """For f that is monotone in each argument, or nearly straight over so short a way (safe > 1)."""
    out = np.asarray(f(*values(balls)))
    if exact(*balls):
        return Ball(out, ulps * ulp(out))
    error = np.zeros(out.shape)
    corners = [(b.ends() if isinstance(b, Ball) else (b, b)) for b in balls]
    with np.errstate(all="ignore"):
        for k in range(2 ** len(balls)):
            at = f(*[c[k >> i & 1] for i, c in enumerate(corners)])
            error = np.maximum(error, apart(np.asarray(at), out) * safe)
    lost = sum(np.isinf(b.error) for b in balls if isinstance(b, Ball)) > 0
    return overflowing(Ball(out, np.where(lost, np.inf, error + (ulps + 1) * ulp(out))))


def overflowing(ball):
    """What may have overflowed may be anything."""
    if ball.value.dtype.kind == "f":
        most = float(np.finfo(ball.value.dtype).max)
        with np.errstate(all="ignore"):
            edge = np.isfinite(ball.value) & (np.abs(wide(ball.value)) + ball.error > most)
            ball.error = np.where(edge, np.inf, ball.error)
    return ball


def straddles(b, at=0.0):
    """Whether what is known only within its bound may lie on either side."""
    if not isinstance(b, Ball):
        return False
    low, high = b.ends()
    return (b.error > 0) & (low <= at) & (high >= at) | np.isinf(b.error)


def lost(ball, where):
    return Ball(ball.value, np.where(np.broadcast_to(where, ball.value.shape), np.inf, ball.error))


def complexes(*balls):
    return any(np.iscomplexobj(v) for v in values(balls))


# ---- elementwise ----

def plain(f):
    """+ - and their like: real parts by corners, complex ones by their size."""
    def of(*balls):
        if not complexes(*balls):
            return from_corners(f, balls)
        out = f(*values(balls))
        error = sum(b.error for b in balls if isinstance(b, Ball))
        return Ball(out, np.where(error > 0, error + ulp(out), 0.0))
    return of


def multiply(a, b):
    if not complexes(a, b):
        return from_corners(np.multiply, (a, b))
    out = np.multiply(*values((a, b)))
    with np.errstate(all="ignore"):
        (x, ex), (y, ey) = ((np.abs(wide(np.asarray(v.value))), v.error) if isinstance(v, Ball) else (abs(v), 0.0) for v in (a, b))
        spread = np.finfo(out.dtype).eps * x * y
        return Ball(out, np.where((ex + ey > 0), x * ey + y * ex + ex * ey + 4 * spread, 2 * spread))


def divide(a, b):
    if complexes(a, b):
        raise Unknown("complex division")
    return lost(from_corners(np.divide, (a, b)), straddles(b))


def refuse_bools(*balls):
    """What NumPy makes int8 of two bools, and is not defined here."""
    if all(np.asarray(v).dtype == bool for v in values(balls)):
        raise TypeError("not of bools")


def stepping(f):
    """// and %: exact, unless the quotient may lie on either side of an integer."""
    def of(a, b):
        refuse_bools(a, b)
        out = from_corners(f, (a, b))
        if exact(a, b):
            return out
        return Ball(out.value, np.inf)
    return of


def power(a, b):
    refuse_bools(a, b)
    if complexes(a, b):
        raise Unknown("complex powers")
    out = from_corners(np.power, (a, b), FUNCTION_ULPS.get(np.result_type(*values((a, b))).char, 0), 2.0)
    turning = isinstance(b, Ball) and b.error.any() and np.any(np.asarray(values((a,))[0]) <= 0)
    return lost(out, straddles(a) | straddles(b) | (b.error > 0 if turning else False))


def shift(a, b):
    out = np.left_shift(*values((a, b)))
    return Ball(np.where(np.asarray(values((b,))[0]) < 0, out.dtype.type(0), out))


def refuse_order(*balls):
    if complexes(*balls):
        raise TypeError("complex values have no order")


def fits(a, b):
    """A literal must fit the type of integers that it meets; NumPy's comparisons let it."""
    for x, y in ((a, b), (b, a)):
        if isinstance(x, int) and not isinstance(x, bool) and isinstance(y, Ball) and y.value.dtype.kind in "iu":
            y.value.dtype.type(x)


def compare(f, ordered=True):
    def of(a, b):
        fits(a, b)
        if ordered:
            refuse_order(a, b)
        out = np.asarray(f(*values((a, b))))
        if exact(a, b):
            return Ball(out)
        (low, high), (least, most) = (v.ends() if isinstance(v, Ball) else (v, v) for v in (a, b))
        meets = (low <= most) & (least <= high)
        return lost(Ball(out), np.broadcast_to(meets, out.shape) | sum(np.isinf(v.error) for v in (a, b) if isinstance(v, Ball)) > 0)
    return of


def zeros_in_order(out, zeros, below):
    """-0.0 is below 0.0, which NumPy leaves to the order of arguments."""
    return np.where(zeros, np.where(below, -0.0, 0.0), out).astype(out.dtype) if out.dtype.kind == "f" else out


def nearer(f, least):
    def ordered(a, b):
        return zeros_in_order(np.asarray(f(a, b)), (a == 0) & (b == 0), (np.logical_or if least else np.logical_and)(np.signbit(a), np.signbit(b)))

    def of(a, b):
        refuse_order(a, b)
        return from_corners(ordered, (a, b))
    return of


def bits(f):
    def of(*balls):
        if not exact(*balls):
            return lost(Ball(f(*values(balls))), sum(b.error > 0 for b in balls if isinstance(b, Ball)) > 0)
        return Ball(f(*values(balls)))
    return of


def function(f, ulps=None, safe=4.0):
    def of(x):
        x = ball(x)
        if complexes(x):
            raise Unknown("complex functions")
        kind = np.asarray(f(x.value)).dtype.char
        out = from_corners(f, (x,), FUNCTION_ULPS.get(kind, 0) if ulps is None else ulps, safe)
        return lost(out, x.error > 0.25) if safe > 1 else out
    return of


def absolute(x):
    x = ball(x)
    out = np.abs(x.value)
    return Ball(out, x.error + (4 * ulp(out) if complexes(x) else 0)) if complexes(x) or not exact(x) else Ball(out)


def sign(x):
    if complexes(x):
        raise Unknown("the sign of complex values")
    return lost(Ball(np.sign(ball(x).value)), straddles(x))


def signed(f):
    def of(*balls):
        if complexes(*balls):
            raise Unknown("signs of complex values")
        if f is np.signbit and ball(balls[0]).value.dtype == bool:
            raise TypeError("bool has no sign")
        last = balls[-1]
        if not isinstance(last, Ball) and not isinstance(balls[0], Ball):
            raise Unknown("functions of literals")
        out = Ball(f(*values(balls)), balls[0].error if len(balls) > 1 and isinstance(balls[0], Ball) else 0.0)
        # nan has no sign here, and NumPy's depends on the processor
        return lost(out, straddles(last) | (last.error > 0) & (last.value == 0) | np.isnan(last.value) if isinstance(last, Ball) else False)
    return of


def isnan(x):
    return lost(Ball(np.isnan(ball(x).value)), np.isinf(x.error))


def saturated(x, dtype):
    if x.dtype.kind != "f":
        return x.astype(dtype)
    info = np.iinfo(dtype)
    with np.errstate(all="ignore"):
        y = np.trunc(x.astype(np.float64))
        inside = np.where((y >= info.min) & (y < float(info.max)), y, 0.0).astype(dtype)
    return np.where(np.isnan(y), dtype.type(0), np.where(y >= float(info.max), dtype.type(info.max), np.where(y < info.min, dtype.type(info.min), inside)))


def cast(dtype):
    dtype = np.dtype(dtype)

    def of(x):
        x = ball(x)
        if complexes(x):
            raise TypeError("complex to real")
        if dtype.kind == "f":
            return overflowing(from_corners(lambda v: np.asarray(v).astype(dtype), (x,)))
        return from_corners(lambda v: saturated(np.asarray(v), dtype), (x,)) if not exact(x) else Ball(saturated(x.value, dtype))
    return of


def where(c, a, b):
    c = ball(c)
    out = np.where(*values((c, a, b)))
    if c.value.dtype != bool:
        raise TypeError("a condition is bool")
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        raise Unknown("weak both ways")
    dtype = np.result_type(*values((a, b)))
    error = np.where(c.value, a.error if isinstance(a, Ball) else 0.0, b.error if isinstance(b, Ball) else 0.0)
    return lost(Ball(out.astype(dtype), error), np.isinf(c.error))


# ---- along axes ----

def sum_error(x, total, axis, keepdims, error):
    """Of any order of adding up: (n - 1) roundings of partial sums, each no larger than the sum of the sizes."""
    if total.dtype.kind not in "fc":
        return np.where(error.sum(axis=axis, keepdims=keepdims) > 0, np.inf, 0.0)
    n = x.size / max(total.size, 1)
    size = np.abs(wide(x)).sum(axis=axis, keepdims=keepdims)
    return error.sum(axis=axis, keepdims=keepdims) + 2 * n * float(np.finfo(total.dtype).eps) * size + np.where(size > 0, 2 * ulp(total), 0)


def settle(total, error):
    """Infinities and nan are told by the values alone, unless partial sums may overflow."""
    return overflowing(Ball(total, np.where(np.isnan(error), 0.0, error) if not np.isfinite(total).all() else error))


def unknown_where(ball, x, axis, keepdims):
    return lost(ball, np.isinf(x.error).any(axis=axis, keepdims=keepdims))


def summing(f):
    def of(x, axis=None, keepdims=False):
        x = ball(x)
        total = np.asarray(f(x.value, axis=axis, keepdims=keepdims))
        with np.errstate(all="ignore"):
            error = sum_error(x.value, total, axis, keepdims, x.error)
            if f is np.mean:
                error = np.where(x.value.size, error / max(x.value.size / max(total.size, 1), 1), 0.0) + 2 * ulp(total)
        return unknown_where(settle(total, error), x, axis, keepdims)
    return of


def variance(x, axis=None, keepdims=False):
    x = ball(x)
    if complexes(x):
        raise Unknown("complex variance")
    total = np.asarray(np.var(x.value, axis=axis, keepdims=keepdims))
    n = max(x.value.size / max(total.size, 1), 1)
    eps = float(np.finfo(total.dtype).eps)
    with np.errstate(all="ignore"):
        v = wide(x.value)
        size = np.abs(v).mean(axis=axis, keepdims=True)
        centre = v.mean(axis=axis, keepdims=True)
        off = x.error + x.error.mean(axis=axis, keepdims=True) + 2 * n * eps * size + eps * (np.abs(v) + np.abs(centre))
        error = (2 * np.abs(v - centre) * off + off * off).mean(axis=axis, keepdims=keepdims) + 4 * n * eps * np.abs(wide(total)) + 2 * ulp(total)
    squares = lost(settle(total, error), (np.abs(v).max(axis=axis, keepdims=keepdims, initial=0) > np.sqrt(float(np.finfo(total.dtype).max)) / max(n, 8)))
    return unknown_where(squares, x, axis, keepdims)


def product(x, axis=None, keepdims=False, f=np.prod, along=np.sum):
    x = ball(x)
    if complexes(x):
        raise Unknown("complex products")
    extra = {"keepdims": keepdims} if f is np.prod else {}
    total = np.asarray(f(x.value, axis=axis, **extra))
    if total.dtype.kind != "f":
        if not exact(x):
            raise Unknown("products of integers that are not certain")
        return Ball(total)
    info = np.finfo(total.dtype)
    with np.errstate(all="ignore"):
        size = np.abs(wide(x.value))
        ordinary = np.isfinite(size) & (size > 0)
        logs = along(np.where(ordinary, np.abs(np.log2(np.where(ordinary, size, 1))), 0), axis=axis, **extra)
        relative = along(np.where(ordinary, x.error / np.where(ordinary, size, 1), np.where(x.error > 0, np.inf, 0)), axis=axis, **extra)
        n = x.value.size + 1
        error = np.abs(wide(total)) * (2 * relative + 2 * n * float(info.eps)) + 2 * ulp(total)
    exact_zero = (total == 0) & (relative == 0)
    return lost(Ball(total, np.where(np.isfinite(total) & ~exact_zero, error, np.where(relative > 0, np.inf, 0))), (logs > -info.minexp - 2) | (relative > 0.1))


def extreme(f, least):
    def of(x, axis=None, keepdims=False):
        x = ball(x)
        refuse_order(x)
        out = np.asarray(f(x.value, axis=axis, keepdims=keepdims))
        zeros, below = x.value == 0, np.signbit(x.value)
        some = (zeros & below if least else zeros & ~below).any(axis=axis, keepdims=keepdims)
        out = zeros_in_order(out, out == 0, some if least else ~some)
        with np.errstate(all="ignore"):
            low, high = (np.asarray(f(v, axis=axis, keepdims=keepdims)) for v in x.ends())
        return unknown_where(Ball(out, 0.0 if exact(x) else np.maximum(apart(low, out), apart(high, out))), x, axis, keepdims)
    return of


def counting(f):
    def of(x, axis=None, keepdims=False):
        x = ball(x)
        out = np.asarray(f(x.value, axis=axis, keepdims=keepdims))
        return lost(Ball(out), ((x.error > 0) & (np.abs(wide(x.value)) <= x.error)).any(axis=axis, keepdims=keepdims) | np.isinf(x.error).any(axis=axis, keepdims=keepdims))
    return of


def place(x, axis=None, keepdims=False):
    x = ball(x)
    if isinstance(axis, tuple):
        if len(axis) > 1 or complexes(x):
            raise Unknown("argmax over several axes")
        axis = axis[0]
    refuse_order(x)
    out = np.asarray(np.argmax(x.value, axis=axis, keepdims=keepdims))
    with np.errstate(all="ignore"):
        most = x.value.max(axis=axis, keepdims=True)
        near = (x.ends()[1] >= np.broadcast_to(wide(np.asarray(most)), x.value.shape)) & (x.error > 0)
    return lost(Ball(out), near.any(axis=axis, keepdims=keepdims) | np.isinf(x.error).any(axis=axis, keepdims=keepdims))


def running(f):
    def of(x, axis=None):
        x = ball(x)
        if axis is None:
            x, axis = Ball(x.value.reshape(-1), x.error.reshape(-1)), 0
        if f is np.cumprod:
            return product(x, axis, f=np.cumprod, along=np.cumsum)
        out = f(x.value, axis=axis)
        if f is not np.cumsum:
            refuse_order(x)
            least, zeros, below = f is np.minimum.accumulate, x.value == 0, np.signbit(x.value)
            some = np.logical_or.accumulate(zeros & below if least else zeros & ~below, axis=axis)
            out = zeros_in_order(out, out == 0, some if least else ~some)
            ends = [f(v, axis=axis) for v in x.ends()]
            return Ball(out, 0.0 if exact(x) else np.maximum(*(apart(v, out) for v in ends)))
        with np.errstate(all="ignore"):
            size = np.cumsum(np.abs(wide(x.value)), axis=axis)
            eps = float(np.finfo(out.dtype).eps) if out.dtype.kind in "fc" else 0.0
            error = np.cumsum(x.error, axis=axis) + 2 * x.value.shape[axis] * eps * size + (2 * ulp(out) if eps else 0)
        error = np.where(np.cumsum(x.error, axis=axis) > 0, np.inf, 0.0) if not eps else error
        return lost(settle(out, error), np.isinf(np.cumsum(x.error, axis=axis)) | (np.cumsum(~np.isfinite(np.abs(wide(out))), axis=axis) > 0))
    return of


def inverted(x):
    return bits(np.invert)(x)


def negative(x):
    return plain(np.negative)(x)


OPERATORS = {"add": plain(np.add), "sub": plain(np.subtract), "mul": multiply, "truediv": divide, "floordiv": stepping(np.floor_divide), "mod": stepping(np.remainder), "pow": power,
             "and": bits(np.bitwise_and), "or": bits(np.bitwise_or), "lshift": shift, "lt": compare(np.less), "gt": compare(np.greater), "eq": compare(np.equal, False)}
for _name, _f in OPERATORS.items():
    setattr(Ball, f"__{_name}__", lambda a, b, f=_f: f(a, b))
    if _name not in ("lt", "gt", "eq"):
        setattr(Ball, f"__r{_name}__", lambda a, b, f=_f: f(b, a))
Ball.__hash__ = None
Ball.__neg__, Ball.__invert__, Ball.__abs__ = negative, inverted, absolute

SCOPE = {
    "abs": absolute, "sqrt": function(np.sqrt, 0, 1.0), "exp": function(np.exp), "sin": function(np.sin), "tanh": function(np.tanh), "floor": function(np.floor, 0, 1.0), "sign": sign, "isnan": isnan,
    "float32": cast("float32"), "float64": cast("float64"), "int32": cast("int32"), "int64": cast("int64"), "signbit": signed(np.signbit), "copysign": signed(np.copysign), "where": where,
    "minimum": nearer(np.minimum, True), "maximum": nearer(np.maximum, False), "fmax": nearer(np.fmax, False),
    "sum": summing(np.sum), "mean": summing(np.mean), "var": variance, "prod": product, "min": extreme(np.min, True), "max": extreme(np.max, False), "nanmax": extreme(np.nanmax, False),
    "any": counting(np.any), "all": counting(np.all), "count_nonzero": counting(np.count_nonzero), "argmax": place,
    "cumsum": running(np.cumsum), "cumprod": running(np.cumprod), "cummax": running(np.maximum.accumulate), "cummin": running(np.minimum.accumulate),
    "iota": lambda x: Ball(np.arange(x.value.size).reshape(x.value.shape)), "__builtins__": {"__import__": __import__}, # NumPy takes up parts of itself when they are first used
}


def in_numpy(text, arrays):
    """Balls, one for each of the program's results; or the exception."""
    with np.errstate(all="ignore"):
        results = eval(text, SCOPE, {n: Ball(a) for n, a in arrays.items()})
    return [r if isinstance(r, Ball) else Ball(r) for r in (results if isinstance(results, tuple) else (results,))]


def within(got, ball):
    """Whether each element is as near to NumPy's as its bound says."""
    want = ball.value
    if want.dtype.kind == "c":
        near = (apart(got, want) <= ball.error) | ~np.isfinite(want) & ~np.isfinite(got)
    else:
        near = apart(got, want) <= ball.error
    return near | np.isinf(ball.error)
