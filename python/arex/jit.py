"""@jit, @njit, @vectorize: Python functions compiled for the CPU (or a GPU), as Numba's users write them."""
import functools
import inspect
import threading

from .errors import fail
from .program import Program
from .translate import Translator

_KNOWN = {"nopython", "fastmath", "parallel", "cache", "nogil", "target", "inline", "error_model", "boundscheck", "looplift"}


class Compiled:
    """A Python function and its program, compiled for each new combination of dtypes and ranks. py_func: the function."""

    def __init__(self, function, target="cpu", fastmath=False, mapped=False):
        functools.update_wrapper(self, function)
        self.py_func, self._options = function, {"target": target, "fast": bool(fastmath), "name": function.__name__}
        self._signature, self._lock = inspect.signature(function), threading.Lock()
        self._plain = all(p.default is p.empty for p in self._signature.parameters.values())
        self._program, self._order, self._in_order = None, None, False
        self._translated = translated = Translator(function, fills=True)
        self._grown = () if mapped else tuple(translated.parameters.index(name) for name in translated.grown)
        self.source = translated.program if translated.kernel else self._called(translated)

    @staticmethod
    def _called(t):
        formals = ", ".join([t.local(p) for p in t.parameters] + list(t.captured))
        return f"{t.program}\n{t.name}({formals})"

    def __reduce__(self):
        return self.__qualname__  # as functions pickle: by the name under which a module has it

    def _ready(self):
        with self._lock:
            if self._program is None:
                program = Program(self.source, **self._options)
                self._order = self._order_of(program)
                self._in_order = self._order == tuple(range(len(self._translated.parameters)))
                self._program = program
        return self._program

    def _order_of(self, program):
        """The argument that each input is, when all are: inputs the body does not read are none of the program."""
        names = [self._translated.local(p) for p in self._translated.parameters]
        if self._translated.captured or self._translated.kernel:
            return None
        return tuple(names.index(name) for name in program.inputs)

    def _values(self, args, named):
        if named or not self._plain:
            bound = self._signature.bind(*args, **named)
            bound.apply_defaults()
            args = tuple(bound.arguments.values())
        elif len(args) != len(self._translated.parameters):
            self._signature.bind(*args)  # Python's own error
        outer = self._translated.captured
        if outer:
            names = inspect.getclosurevars(self.py_func)
            found = {**names.globals, **names.nonlocals}
            args += tuple(eval(path, found) if "." in path else found.get(path, value) for path, value in outer.values())
        return args

    def _refuse_growth(self, args, named):
        """`x += 1` gives a number another name's value, but changes the caller's array: what is asked for shows only here."""
        values = self._values(args, named)
        for i in self._grown:
            if getattr(values[i], "shape", ()) != ():
                name = self._translated.parameters[i]
                fail("AX0217", f"{self.__name__} would change its argument `{name}` in place, which is an array: write {name} = {name} + ..., or store to "
                     f"elements {name}[i]")

    def __call__(self, *args, **named):
        program = self._program or self._ready()
        if self._grown:
            self._refuse_growth(args, named)
        order = self._order
        if order is not None and not named and len(args) == len(self._translated.parameters):
            return program(*args) if self._in_order else program(*[args[i] for i in order])
        values = self._values(args, named)
        if self._translated.kernel:
            program.launch(1, 1, *values)
            by_name = dict(zip(self._translated.parameters, values))
            results = tuple(by_name[name] for name in self._translated.returned)
            return results if len(results) > 1 else results[0] if results else None
        # a parameter that the body does not read is no input of the program
        given = dict(zip([self._translated.local(p) for p in self._translated.parameters] + [*self._translated.captured], values))
        return program(*[given[name] for name in program.inputs])


def _decorator(make):
    """What works as @jit, @jit(...), @jit("float64(float64)") and jit(f)."""
    @functools.wraps(make)
    def decorate(*args, **options):
        for name in options:
            if name not in _KNOWN:
                fail("AX0210", f"jit takes no option {name!r}; it takes {', '.join(sorted(_KNOWN))}")
        if options.get("nopython", True) is False:
            fail("AX0217", "nopython=False asks for Python's objects where a function cannot be compiled; here it is compiled, or an error")
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
