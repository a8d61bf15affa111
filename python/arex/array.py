"""Arrays on a device (or, where there is none, in the memory of the host) whose operations are put off and fused: an expression
runs as one program when a value of it is needed."""
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from . import devices, exchange
from .errors import fail
from .evaluating import _cached
from .memory import Value
from .pending import _MOST_PENDING, _Pending, _program_of_structure
from .program import _CODES, bind_arrays
from .stored import _copy, _Foreign, _is_contiguous, _Memory, _state

if TYPE_CHECKING:
    from ._operators import Operators as _Operators
else:
    _Operators = object  # they are set below, from a table


class Array(Value, _Operators):
    """An array that Arex keeps: shape, dtype, device; NumPy's operators and functions, put off until a value is needed."""

    __slots__ = ("__weakref__",)
    __array_priority__ = 1000

    def __init__(self, memory=None, pending=None):
        self._memory, self._pending, self._form, self._waiting = memory, pending, None, []
        for operand in pending.operands if pending else ():
            if isinstance(operand, Array):
                operand._read_by(self)
        if pending and pending.size > _MOST_PENDING:
            self._run()

    # ---- running ----

    def _read_by(self, array):
        """Notes who must run before these elements change; until they are there, on a list of our own."""
        with _state:
            if self._memory is not None:
                self._memory.read_by(array)
                return
            if len(self._waiting) >= 256:
                self._waiting = [r for r in self._waiting if r() is not None and r()._pending]
            self._waiting.append(weakref.ref(array))

    def _bound(self):
        return _program_of_structure(self)

    def _run(self):
        if self._memory is None:
            program, values = self._bound()
            result = program(*values)
            self._has_run(result._memory if isinstance(result, Array) else _Memory.of_host(np.asarray(result)))
        return self._memory

    def _has_run(self, memory):
        """Two threads may have computed the same: the first one's elements stay."""
        with _state:
            if self._memory is not None:
                return
            self._memory, self._pending = memory, None
            for reader in self._waiting:
                array = reader()
                if array is not None and array._pending:
                    self._memory.read_by(array)
            self._waiting = []

    def _typed(self):
        """(dtype, shape), without running."""
        if self._memory is not None:
            return self._memory.dtype, self._memory.shape
        if self._form is None:
            program, values = self._bound()
            self._form = program.result_type(*values)[0]
        return self._form

    # ---- what it is ----

    @property
    def dtype(self) -> np.dtype:
        return self._typed()[0]

    @property
    def shape(self) -> tuple[int, ...]:
        return self._typed()[1]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self.size * self.itemsize

    @property
    def strides(self) -> tuple[int, ...]:
        return self._run().strides

    @property
    def device(self) -> str:
        """"cuda:0", or "cpu"."""
        if self._memory is not None:
            number = self._memory.device
        else:
            number = _device_of(self._bound()[1])
        return f"cuda:{number}" if number >= 0 else "cpu"

    def __len__(self):
        if not self.shape:
            raise TypeError("len() of an array without axes")
        return self.shape[0]

    def __repr__(self):
        dtype, shape = self._typed()
        return f"<arex.Array shape={shape} dtype={dtype} device={self.device}>"

    def _repr_html_(self):
        from .display import array_html
        return array_html(self)

    def __reduce__(self):
        return asarray, (self.get(),)

    # ---- values out ----

    def get(self, out: np.ndarray | None = None) -> np.ndarray:
        """The elements as a NumPy array: a copy, or into `out`."""
        memory = self._run()
        if out is None:
            out = np.empty(memory.shape, memory.dtype)
        elif out.dtype != memory.dtype or out.shape != memory.shape:
            fail("AX0309", f"out has {out.dtype} {out.shape}; the array has {memory.dtype} {memory.shape}")
        if memory.host is not None:
            out[...] = memory.host
        else:
            memory = memory if _is_contiguous(memory) else self.copy()._run()
            there = out if out.flags.c_contiguous else np.empty(memory.shape, memory.dtype)
            _copy(_Memory.of_host(there).struct, memory.struct)  # waits, and tells what is wrong with all work before
            if there is not out:
                out[...] = there
        return out

    def copy_to_host(self, ary: np.ndarray | None = None, stream: Any = 0) -> np.ndarray:
        """get(), by the name that Numba has."""
        return self.get(ary)

    def copy_to_device(self, ary: Any, stream: Any = 0) -> None:
        """Takes over the elements of an array of the same shape and dtype."""
        self._take(asarray(ary))

    def _take(self, result):
        """The elements of a result that has run, as these of this array."""
        if result.dtype != self.dtype or result.shape != self.shape:
            fail("AX0309", f"out has {self.dtype} {self.shape}; the result has {result.dtype} {result.shape}")
        memory, source = self._run(), result._run()
        memory.settle()
        if memory.host is not None:
            memory.host[...] = result.get()
        else:
            _cached("x").into([_Foreign(source.struct, source)], memory)
        return self

    def _assign(self, result):
        """x += y and its kin: the elements change, for everybody who has this array. The type stays, if NumPy's rule same_kind allows it."""
        if result is NotImplemented:
            return result
        if result.dtype != self.dtype:
            if not np.can_cast(result.dtype, self.dtype, "same_kind"):
                fail("AX0306", f"a result of {result.dtype} does not become {self.dtype} in place: write x = x + y")
            result = result.astype(self.dtype)
        return self._take(result)

    def item(self, *index: Any) -> Any:
        """The only element, or one of them, as a Python number."""
        index = index[0] if len(index) == 1 and isinstance(index[0], tuple) else index
        if not index:
            return self.get().item()
        return (self.reshape(-1)[index[0]] if len(index) == 1 else self[index]).get().item()

    def tolist(self) -> Any:
        return self.get().tolist()

    def fill(self, value: Any) -> None:
        """Gives every element this value, in place."""
        value = np.asarray(value).astype(self.dtype)[()]
        self._take(Array(pending=_Pending("full_like({}, {})", [self, value])))

    def __array__(self, dtype=None, copy=None):
        if copy is False:
            raise ValueError("the elements of an arex.Array reach NumPy by a copy")
        got = self.get()
        return got if dtype is None else got.astype(dtype)

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __bool__(self):
        return bool(self.item())

    def __index__(self):
        return self.item().__index__()

    def __complex__(self):
        return complex(self.item())

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __hash__(self):
        raise TypeError("arrays are not hashable")

    def __contains__(self, value):
        return bool((self == value).any())

    def __format__(self, spec):
        return format(self.item(), spec) if spec and self.size == 1 else format(repr(self), spec)

    def __round__(self, decimals=0):
        return self.round(decimals)

    @property
    def __cuda_array_interface__(self):
        memory = self._run()
        if memory.device < 0:
            raise AttributeError("the array is not on a GPU")
        return exchange.cuda_interface(memory, _is_contiguous(memory))

    def __dlpack_device__(self):
        memory = self._run()
        return (exchange.CPU, 0) if memory.device < 0 else (exchange.CUDA, memory.device)

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        memory, here = self._run(), self.__dlpack_device__()
        if here[0] == exchange.CPU:
            asked = {"stream": stream, "max_version": max_version, "dl_device": dl_device, "copy": copy}
            return memory.host.__dlpack__(**{k: v for k, v in asked.items() if v is not None})
        if dl_device is not None and tuple(dl_device) == (exchange.CPU, 0) and copy is not False:
            return self.get().__dlpack__(max_version=max_version)
        if dl_device is not None and tuple(dl_device) != here:
            raise BufferError(f"the array is on {self.device} and is not brought to DLPack's device {tuple(dl_device)}")
        if copy:
            memory = self.copy()._run()
        return exchange.to_dlpack(memory, stream, max_version, bool(copy))

    # ---- operations ----

    def __getitem__(self, index):
        items, texts, operands = index if isinstance(index, tuple) else (index,), [], [self]
        if any(isinstance(i, (list, np.ndarray, Array)) for i in items):
            from . import indexing
            if any(map(indexing.is_mask, items)):
                items = indexing.without_masks(self.shape, items)
        for i in items:
            texts.append(_index_text(i, operands))
        return Array(pending=_Pending(f"{{}}[{', '.join(texts)}]", operands))

    def __setitem__(self, index, value):
        from .indexing import assign
        assign(self, index, value)

    @property
    def T(self) -> "Array":
        return Array(pending=_Pending("{}.T", [self]))

    @property
    def mT(self) -> "Array":
        return _form("matrix_transpose")(self)

    @property
    def real(self) -> "Array":
        return Array(pending=_Pending("real({})", [self]))

    @property
    def imag(self) -> "Array":
        return Array(pending=_Pending("imag({})", [self]))

    def reshape(self, *shape: Any, order: str = "C") -> "Array":
        return _form("reshape")(self, shape[0] if len(shape) == 1 else shape, order)

    def flatten(self, order: str = "C") -> "Array":
        return _form("ravel")(self, order)

    def transpose(self, *axes: Any) -> "Array":
        return _form("transpose")(self, axes[0] if len(axes) == 1 and not isinstance(axes[0], (int, np.integer)) else axes or None)

    def astype(self, dtype: Any, order: str = "K", casting: Any = "unsafe", subok: bool = True, copy: bool = True) -> "Array":
        return _form("astype")(self, dtype, order, casting, subok, copy)

    def copy(self, order: str = "K") -> "Array":
        memory = self._run()
        return asarray(self.get()) if memory.host is not None else Array(_cached("x")(self)._memory)

    def __divmod__(self, other):
        return _form("divmod")(self, other)

    def __rdivmod__(self, other):
        return _form("divmod")(other, self)

    def __matmul__(self, other):
        return _form("matmul")(self, other)

    def __rmatmul__(self, other):
        return _form("matmul")(other, self)

    def __getattr__(self, name):
        if not name.startswith("_") and hasattr(np.ndarray, name):
            raise AttributeError(f"arex.Array has no {name!r}: the language has nothing for it; asnumpy(x).{name} is NumPy's, on the host")
        raise AttributeError(f"'Array' object has no attribute {name!r}")

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        reductions = {"add": "sum", "multiply": "prod", "minimum": "min", "maximum": "max", "logical_and": "all", "logical_or": "any"}
        name = ufunc.__name__
        if method == "reduce" and name in reductions and not set(options) - {"axis", "keepdims", "dtype"}:
            options.setdefault("axis", 0)
            return _out(function(reductions[name])(*inputs, **options), out)
        scans = {"add": "cumsum", "multiply": "cumprod", "minimum": "cummin", "maximum": "cummax"}
        if method == "accumulate" and name in scans and not set(options) - {"axis"}:
            options.setdefault("axis", 0)
            return _out(function(scans[name])(*inputs, **options), out)
        if method == "outer" and known(name) and not options and len(inputs) == 2:
            a, b = map(asarray, inputs)
            return _out(function(name)(a[(...,) + (None,) * b.ndim], b), out)
        axis = {"axis": options.pop("axis")} if name == "vecdot" and "axis" in options else {}
        if method != "__call__" or options or not known(name):
            return _not_here(f"numpy.{name}{'' if method == '__call__' else '.' + method}", options, map(type, inputs))
        return _out(function(name)(*inputs, **axis), out)

    def __array_function__(self, func, _types, args, kwargs):
        from .composed import LINALG
        name, linear = func.__name__, func.__module__ == "numpy.linalg"
        if name not in LINALG if linear else not known(name):
            return _not_here(f"{func.__module__}.{name}", {}, _types)
        given = {k: v for k, v in kwargs.items() if v is not np._NoValue}
        if linear:
            return LINALG[name](*args, **given)
        out = given.pop("out", None)
        return _out(function(name)(*args, **given), (out,) if out is not None else None)


def _not_here(name, options, types):
    """NotImplemented where another kind of array may have the function; else a TypeError that tells the way round."""
    if any(hasattr(t, "__array_function__") and not issubclass(t, (Array, np.ndarray, np.generic)) for t in types):
        return NotImplemented
    raise TypeError(_refusal(name) if not options else f"{name} takes no {', '.join(options)} here")


def _refusal(name):
    short = name.replace("numpy.", "np.", 1)
    return f"arex has no {short}: on the host NumPy has it, {short}(arex.asnumpy(x), ...), and arex.asarray brings the result back"


def _out(result, out):
    if not out:
        return result
    (target,) = out
    if isinstance(target, Array):
        return target._take(result)
    target[...] = result.get()
    return target


def _device_of(values):
    for v in values:
        if isinstance(v, Array) and v._run().device >= 0:
            return v._memory.device
    return -1


def _index_text(i, operands):
    if isinstance(i, slice):
        return ":".join("" if p is None else str(int(p)) for p in ((i.start, i.stop) if i.step is None else (i.start, i.stop, i.step)))
    if i is Ellipsis:
        return "..."
    if i is None:
        return "None"
    if isinstance(i, (int, np.integer)) and not isinstance(i, bool):
        return str(int(i))
    if isinstance(i, (list, np.ndarray, Array)):
        operands.append(i if isinstance(i, Array) else np.asarray(i, np.intp if isinstance(i, list) and not i else None))
        return "{}"
    raise IndexError(f"{i!r} is no index")


# ---- functions of the language, by name ----

_elementwise: dict[str, bool] = {}
_names: set[str] = set()
_names_of_types = {dtype.name for dtype in _CODES}
_OPERANDS = {"clip", "isclose", "dot", "ldexp", "matmul", "vecdot"}  # written in the language, and their numbers are values
_JOINS = {"concatenate", "concat", "stack"}  # what comes first is a tuple of arrays


def _load():
    from . import list as listed
    for row in listed("ops"):
        _names.add(row["name"])
        _elementwise[row["name"]] = row["kind"] == "elementwise" or row["name"] in _OPERANDS
    for row in listed("aliases"):
        _names.add(row["name"])
        _elementwise[row["name"]] = _elementwise[row["of"]]
    _elementwise.update({t["name"]: True for t in listed("types")})
    _names.update(t["name"] for t in listed("types") if t["works"] == "yes")
    from .composed import FORMS
    _names.update(FORMS)


def known(name):
    if not _names:
        _load()
    return name in _names


def _form(name):
    from .forms import FORMS
    return FORMS[name]


def _literal(v):
    if isinstance(v, (bool, int, float, np.generic)):
        return repr(v.item() if isinstance(v, np.generic) else v)
    if isinstance(v, (tuple, list)):
        return "(" + "".join(_literal(x) + ", " for x in v) + ")"
    if v is None:
        return "None"
    try:
        return np.dtype(v).name
    except TypeError:
        fail("AX0306", f"{v!r} is no argument of a function of the language")


def function(name):
    """What arex.NAME is: NumPy's form of a function of the language, where there is one, else the language's."""
    from .composed import FORMS
    return FORMS.get(name) or _plain(name)


def _plain(name):
    """The language's function of this name, on Arrays (put off), NumPy arrays and numbers (at once)."""
    known(name)
    elementwise = _elementwise[name]

    def call(*args, out=None, **named):
        operands, texts = [], []
        for k, v in [(None, a) for a in args] + list(named.items()):
            if name in _JOINS and isinstance(v, (tuple, list)):
                operands += [x if isinstance(x, Array) else np.asarray(x) for x in v]
                texts.append((f"{k}=" if k else "") + "(" + "{}, " * len(v) + ")")
                continue
            is_value = isinstance(v, (Array, np.ndarray)) or (isinstance(v, (list, np.generic, bool, int, float, complex)) and (elementwise or (k is None and not texts)))
            if is_value:
                operands.append(np.asarray(v) if isinstance(v, list) else v)
            texts.append((f"{k}=" if k else "") + ("{}" if is_value else _literal(v)))
        text = f"{name}({', '.join(texts)})"
        if any(isinstance(o, Array) for o in operands):
            return _out(Array(pending=_Pending(text, operands)), (out,) if out is not None else None)
        inputs = [f"x{i}" for i in range(len(operands))]
        program = _cached(text.format(*inputs))
        given = dict(zip(inputs, operands))
        return program(*[given[n] for n in program.inputs], out=out)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"`{name}` of the language: on Arrays it is put off and fused, on NumPy arrays and numbers it runs at once."
    return Type(name, call) if name in _names_of_types else call


class Type:
    """arex.float32 and its kin: a function that converts, what is taken where a dtype is, and in Numba's signatures: float32(float32, int64[:])."""

    def __init__(self, name, convert=None):
        self.__name__ = self.__qualname__ = name
        self.__doc__ = convert.__doc__ if convert else f"`{name}`, in Numba's signatures."
        self._convert = convert
        if convert:
            self.dtype = np.dtype(name)

    def __call__(self, *args, **named):
        if self._convert is None or args and not named and all(isinstance(a, Type) for a in args):
            return Type(f"{self.__name__}({', '.join(a.__name__ for a in args)})")
        return self._convert(*args, **named)

    def __getitem__(self, axes):
        return Type(f"{self.__name__}[{', '.join(':' for _ in (axes if isinstance(axes, tuple) else (axes,)))}]")

    def __repr__(self):
        return f"arex.{self.__name__}"

    def __eq__(self, other):
        return self.__name__ == other.__name__ if isinstance(other, Type) else hasattr(self, "dtype") and self.dtype == other if isinstance(other, (np.dtype, type, str)) else NotImplemented

    def __hash__(self):
        return hash(self.__name__)

    def __reduce__(self):
        return _type, (self.__name__,)


def _type(name):
    return _plain(name) if name in _names_of_types else Type(name)


def _operator(text, swap=False):
    def method(a, b):
        if not isinstance(b, (Array, np.ndarray, np.generic, bool, int, float, complex)):
            return NotImplemented
        return Array(pending=_Pending(text, [b, a] if swap else [a, b]))
    return method


def _in_place(operator):
    def method(a, b):
        return a._assign(operator(a, b))
    return method


for _name, _symbol in {"add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%", "pow": "**", "and": "&", "or": "|", "xor": "^",
                       "lshift": "<<", "rshift": ">>"}.items():
    setattr(Array, f"__{_name}__", _operator(f"({{}} {_symbol} {{}})"))
    setattr(Array, f"__r{_name}__", _operator(f"({{}} {_symbol} {{}})", swap=True))
    setattr(Array, f"__i{_name}__", _in_place(_operator(f"({{}} {_symbol} {{}})")))
for _name, _symbol in {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}.items():
    setattr(Array, f"__{_name}__", _operator(f"({{}} {_symbol} {{}})"))
for _name, _text in {"neg": "(-{})", "pos": "(+{})", "invert": "(~{})", "abs": "abs({})"}.items():
    setattr(Array, f"__{_name}__", (lambda text: lambda self: Array(pending=_Pending(text, [self])))(_text))


def _method(name):
    def method(self, *args, **named):
        return function(name)(self, *args, **named)
    method.__name__ = name
    return method


# ---- values in ----

def _place():
    return 0 if devices.available_or_told(devices.ARRAYS) else -1


def _taken(t):
    return Array(_Memory(t.struct, t.owner, read_only=t.read_only))


def from_dlpack(x: Any) -> Array:
    """An array of x's elements, in place, wherever they are: of anything that has __dlpack__. Work that x's maker has queued comes first."""
    if exchange.on_a_device(x):
        return _taken(exchange.from_dlpack(x))
    return Array(_Memory.of_host(np.from_dlpack(x)))


def asarray(x: Any, dtype: Any = None) -> Array:
    """An arex.Array of x: on the GPU where there is one. Arrays of CuPy, Numba, PyTorch and JAX on a GPU are taken in place, by
    __cuda_array_interface__ or DLPack; work that has been queued on the stream they name is waited for."""
    if isinstance(x, Array):
        return x if dtype is None or x.dtype == np.dtype(dtype) else x.astype(dtype)
    if hasattr(x, "__cuda_array_interface__"):
        return asarray(_taken(exchange.from_cuda_interface(x)), dtype)
    if not isinstance(x, np.ndarray) and exchange.on_a_device(x):
        return asarray(from_dlpack(x), dtype)
    device = _place()
    # what others hold is copied (an object's __array__ may hand out its own memory), and brought to this machine's order of bytes
    host = np.array(np.asarray(x, dtype), copy=True, order="C")
    host = host if host.dtype.isnative else host.astype(host.dtype.newbyteorder("="))
    if device < 0:
        return Array(_Memory.of_host(host))
    memory = _Memory.new(host.shape, host.dtype, device)
    _copy(memory.struct, _Memory.of_host(host).struct)
    return Array(memory)


array = asarray


def asnumpy(x: Any) -> np.ndarray:
    """The elements of an array as NumPy has them."""
    return x.get() if isinstance(x, Array) else np.asarray(x)


def _made(name):
    def make(*args, dtype=None, **named):
        return asarray(getattr(np, name)(*args, dtype=dtype, **named) if name != "full" or dtype else np.full(*args, **named))
    make.__name__ = name
    make.__doc__ = f"numpy.{name}, as an arex.Array."
    return make


zeros, ones, full, arange, linspace, empty, eye, identity, logspace, geomspace = (_made(n) for n in [
    "zeros", "ones", "full", "arange", "linspace", "empty", "eye", "identity", "logspace", "geomspace"])


def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = float) -> Array:
    """numpy.tri, as an arex.Array."""
    return asarray(np.tri(N, M, k, dtype))


MADE = {"from_dlpack": from_dlpack, "asarray": asarray, "array": array, "asnumpy": asnumpy, "zeros": zeros, "ones": ones, "full": full, "arange": arange, "linspace": linspace, "empty": empty,
        "eye": eye, "identity": identity, "logspace": logspace, "geomspace": geomspace, "tri": tri, "asanyarray": asarray, "ascontiguousarray": asarray, "pi": np.pi, "e": np.e, "inf": np.inf, "nan": np.nan, "newaxis": None, "void": Type("void"), "boolean": Type("bool"), "ndarray": Array, "dtype": np.dtype, "bool_": np.bool_,
        **{name: getattr(np, name) for name in ("finfo", "iinfo", "promote_types", "can_cast", "isscalar", "broadcast_shapes", "integer", "floating", "complexfloating", "number")}}


from .forms import METHODS as _METHODS  # noqa: E402

for _name in _METHODS:
    setattr(Array, _name, _method(_name))

bind_arrays(_Memory, Array, lambda host: Array(_Memory.of_host(np.asarray(host))))
