"""@jit, @njit, @vectorize: Python functions compiled for the CPU (or a GPU), as Numba's users write them."""
import functools
import inspect
import sys
from typing import NamedTuple

import numpy as np

from .devices import KERNELS, available_or_told
from .errors import fail
from .locks import lock
from .made import Maker
from .program import Program
from .translate import Translator

_KNOWN = {"nopython", "fastmath", "parallel", "cache", "nogil", "target", "inline", "error_model", "boundscheck", "looplift", "forceobj", "debug", "locals", "identity",
          "no_cpython_wrapper", "no_cfunc_wrapper", "no_rewrites"}


class Form(NamedTuple):
    """What a translated function is beside its text."""
    kernel: bool
    parameters: tuple
    inputs: tuple   # the names that the text has for them
    captured: dict  # names from outside: (where from, value then)
    returned: tuple
    grown: tuple = ()  # places of parameters that may be no arrays, for `x += ...` would change them
    maker: Maker | None = None
    filled: tuple = ()  # of a function over whole arrays: the parameters that its results are written to

    @classmethod
    def of(cls, t, mapped):
        grown = () if mapped else tuple(t.parameters.index(name) for name in t.grown)
        return cls(t.kernel, tuple(t.parameters), tuple(t.local(p) for p in t.parameters + t.made), dict(t.captured), tuple(t.returned), grown, t.maker,
                   tuple(t.stored) if t.whole else ())


class Translated:
    """A Python function and its program. py_func: the function; None in another process, to which it came by value.

    Pickled by name, as a function is, when its module has it by that name and can be imported elsewhere; else (from a script, a cell, inside another
    function) by value: source and options, never code; names from outside have the values they had then."""

    def __init__(self, function, translated, text, options, mapped=False):
        functools.update_wrapper(self, function)
        plain = [p.replace(annotation=inspect.Parameter.empty) for p in inspect.signature(function).parameters.values()]
        self._set(text, Form.of(translated, mapped), options, inspect.Signature(plain), function)

    def _set(self, text, form, options, signature, function):
        self.py_func, self.source, self._form, self._options, self._signature = function, text, form, options, signature
        self._plain = all(p.default is p.empty for p in signature.parameters.values())
        self._lock, self._program = lock(), None

    def _outer(self):
        """The values that names from outside have now."""
        captured = self._form.captured
        if not captured or self.py_func is None:
            return tuple(value for _, value in captured.values())
        names = inspect.getclosurevars(self.py_func)
        found = {**names.globals, **names.nonlocals}
        return tuple(eval(path, found) if "." in path else found.get(path, value) for path, value in captured.values())

    def _values(self, args, named):
        if named or not self._plain:
            bound = self._signature.bind(*args, **named)
            bound.apply_defaults()
            args = tuple(bound.arguments.values())
        elif len(args) != len(self._form.parameters):
            self._signature.bind(*args)  # Python's own error
        return args + self._outer() if self._form.captured else args

    def _has_a_name(self):
        place = sys.modules.get(self.__module__) if self.__module__ != "__main__" else None
        for part in self.__qualname__.split("."):
            place = getattr(place, part, None)
        return place is self

    def __reduce__(self):
        if self._has_a_name():
            return self.__qualname__
        captured = {name: (path, value) for (name, (path, _)), value in zip(self._form.captured.items(), self._outer())}
        about = {name: getattr(self, name, None) for name in functools.WRAPPER_ASSIGNMENTS if name in ("__name__", "__qualname__", "__module__", "__doc__")}
        return _again, (type(self), about, self.source, self._form._replace(captured=captured), self._options, self._signature)


def _again(kind, about, *state):
    made = kind.__new__(kind)
    made.__dict__.update(about)
    made._set(*state, None)
    return made


class Compiled(Translated):
    """A Python function and its program, compiled for each new combination of dtypes and ranks. py_func: the function."""

    def __init__(self, function, target="cpu", fastmath=False, mapped=False, device=False):
        t = Translator(function, fills=not device, device=device)
        super().__init__(function, t, t.program if t.kernel else self._called(t), {"target": target, "fast": bool(fastmath), "name": function.__name__}, mapped)

    def _set(self, *state):
        super()._set(*state)
        self._order, self._in_order = None, False
        self._make = self._form.maker.function() if self._form.maker else None

    @staticmethod
    def _called(t):
        if t.whole:
            return t.program
        formals = ", ".join([t.local(p) for p in t.parameters] + list(t.captured))
        return f"{t.program}\n{t.name}({formals})"

    def _ready(self):
        with self._lock:
            if self._program is None:
                program = Program(self.source, **{**self._options, "target": self._where()})
                self._order = self._order_of(program)
                self._in_order = self._order == tuple(range(len(self._form.parameters)))
                self._program = program
        return self._program

    def _where(self):
        target = self._options["target"]
        return "cpu" if target == "cuda" and not available_or_told(KERNELS) else target

    def _order_of(self, program):
        """The argument that each input is, when all are: inputs the body does not read are none of the program."""
        if self._form.captured or self._form.kernel or self._form.filled:
            return None
        return tuple(self._form.inputs.index(name) for name in program.inputs)

    def _refuse_growth(self, args, named):
        """`x += 1` gives a number another name's value, but changes the caller's array: what is asked for shows only here."""
        values = self._values(args, named)
        for i in self._form.grown:
            if getattr(values[i], "shape", ()) != ():
                name = self._form.parameters[i]
                fail("AX0217", f"{self.__name__} would change its argument `{name}` in place, which is an array: write {name} = {name} + ..., or store to "
                     f"elements {name}[i]")

    def _fill(self, program, given, by_name):
        """Results of statements over whole arrays go where the arguments are."""
        out = tuple(by_name[name] for name in self._form.filled)
        for name in self._form.filled:
            for other, value in by_name.items():
                if other != name and isinstance(value, np.ndarray) and isinstance(by_name[name], np.ndarray) and np.may_share_memory(value, by_name[name]):
                    fail("AX0309", f"{self.__name__}: `{other}` shares memory with `{name}`, which changes")
        program(*[given[name] for name in program.inputs], out=out if len(out) > 1 else out[0])
        return self._returned(by_name)

    def __call__(self, *args, **named):
        program = self._program or self._ready()
        if self._form.grown:
            self._refuse_growth(args, named)
        order = self._order
        if order is not None and not named and len(args) == len(self._form.parameters):
            return program(*args) if self._in_order else program(*[args[i] for i in order])
        names, values = self._with_made(self._values(args, named))
        by_name = dict(zip(names, values))
        if self._form.kernel:
            program.launch(1, 1, *values)
            return self._returned(by_name)
        # a parameter that the body does not read is no input of the program
        given = dict(zip([*self._form.inputs, *self._form.captured], values))
        if self._form.filled:
            return self._fill(program, given, by_name)
        return program(*[given[name] for name in program.inputs])

    def _with_made(self, values):
        """Names and values of the parameters, of the arrays that are made for this call, and of what is outside."""
        names, n = self._form.parameters, len(self._form.parameters)
        if self._make:
            names, values = names + self._form.maker.names, values[:n] + self._make(*values) + values[n:]
        return names, values

    def _returned(self, by_name):
        results = tuple(by_name[name] for name in self._form.returned)
        return results if len(results) > 1 else results[0] if results else None


def _decorator(make):
    """What works as @jit, @jit(...), @jit("float64(float64)") and jit(f)."""
    @functools.wraps(make)
    def decorate(*args, **options):
        for name in options:
            if name not in _KNOWN:
                fail("AX0210", f"jit takes no option {name!r}; it takes {', '.join(sorted(_KNOWN))}")
        if options.get("nopython", True) is False or options.get("forceobj"):
            fail("AX0217", "nopython=False and forceobj=True ask for Python's objects where a function cannot be compiled; here it is compiled, or an error")
        if options.get("locals"):
            fail("AX0217", "locals= is not taken: a name has the type of its values; write float32(v) where it is to be another")
        options = {k: v for k, v in options.items() if k in ("fastmath", "target")}  # the rest holds in any case, or asks for nothing
        if len(args) == 1 and inspect.isfunction(args[0]):
            return make(args[0], **options)
        return lambda function: make(function, **options)
    return decorate


@_decorator
def jit(function, target="cpu", fastmath=False):
    """Compiles a function of numbers and arrays: @jit, @jit(nopython=True), jit(f). Loops, branches, NumPy's and math's functions by
    their names. Calls run without Python. Types in the decorator are not needed and not read."""
    return Compiled(function, target, fastmath)


njit = jit


@_decorator
def vectorize(function, target="cpu", fastmath=False):
    """A function of numbers that is mapped over arrays, which broadcast."""
    return Compiled(function, "cpu" if target == "parallel" else target, fastmath, mapped=True)


prange = range
