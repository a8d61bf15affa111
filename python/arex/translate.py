"""From the source of a Python function to a program: what can be said in the language is translated, anything else is an
error that names the line and the construct."""
import ast
import builtins
import cmath
import inspect
import math
import textwrap
import types

import numpy as np

from .errors import ArexError
from .made import Finder


class TranslationError(ArexError, SyntaxError):
    """A Python function uses something that the language does not have."""


BINARY = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.MatMult: "@", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**", ast.BitAnd: "&",
          ast.BitOr: "|", ast.BitXor: "^", ast.LShift: "<<", ast.RShift: ">>"}
UNARY = {ast.UAdd: "+", ast.USub: "-", ast.Invert: "~", ast.Not: "not "}
COMPARE = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}
# Python's and NumPy's names of what the language calls otherwise
CALLS = {"abs": "abs", "len": "len", "int": "int64", "float": "float64", "pow": "pow", "fabs": "abs", "sum": "sum", "float_": "float64", "double": "float64"}
CONSTANTS = {"pi": "pi", "e": "e", "inf": "inf", "nan": "nan", "tau": "(2.0*pi)"}
# functions of the cuda module that the language has by another name
CUDA_FUNCTIONS = {"fma": "fma", "selp": "where", "popc": "popcount", "clz": "clz", "cbrt": "cbrt"}
CUDA_CALLS = {"grid", "gridsize", "syncthreads", "shared.array", "atomic.add", "atomic.sub", "atomic.min", "atomic.max", "atomic.cas", "atomic.compare_and_swap"}
# of cmath, whose functions make complex values of all: those that the language has for them
CMATH = {"sqrt": "sqrt", "exp": "exp", "log": "log", "log10": "log10", "sin": "sin", "cos": "cos", "sinh": "sinh", "cosh": "cosh", "phase": "angle", "isnan": "isnan",
         "isinf": "isinf", "isfinite": "isfinite"}
# of NumPy's functions and methods, those whose result may be a view
VIEWS = {"reshape", "ravel", "transpose", "swapaxes", "moveaxis", "flip", "squeeze", "expand_dims", "broadcast_to", "asarray", "real", "imag", "atleast_1d", "atleast_2d"}
NUMBERS = (bool, int, float, complex, np.generic)  # of names from outside
# words of the language that are names in Python
RESERVED = {"kernel", "param", "newaxis", "lambda", "pi", "e", "inf", "nan"}
OUTER = "outer_"  # what parameters for outer scalars begin with
CONTROL = (ast.If, ast.For, ast.While)


def _list(what):
    from . import list as listed
    return {row["name"]: row for row in listed(what)}


class Source:
    """A function's tree and where it stands."""

    def __init__(self, function):
        if not isinstance(function, types.FunctionType):
            raise TypeError(f"a Python function is expected, not {type(function).__name__}")
        self.function, self.file = function, function.__code__.co_filename
        self.first = function.__code__.co_firstlineno
        try:
            text = textwrap.dedent("".join(inspect.getsourcelines(function)[0]))
        except (OSError, TypeError) as error:
            raise TranslationError(f"the source of {function.__name__} cannot be found: {error}", "AX0101") from None
        self.node = self._find(text, function)
        scope = inspect.getclosurevars(function)
        self.names = {**scope.builtins, **scope.globals, **scope.nonlocals}

    @staticmethod
    def _find(text, function):
        try:
            tree = ast.parse(text)
        except SyntaxError:  # a lambda inside an expression that its lines cut
            start = text.index("lambda")
            for end in range(len(text), start, -1):
                try:
                    tree = ast.parse(text[start:end])
                    break
                except SyntaxError:
                    continue
        wanted = ast.Lambda if function.__name__ == "<lambda>" else ast.FunctionDef
        found = [n for n in ast.walk(tree) if isinstance(n, wanted) and (wanted is ast.Lambda or n.name == function.__name__)]
        if wanted is ast.Lambda:
            found = [n for n in found if [a.arg for a in n.args.args] == list(inspect.signature(function).parameters)]
        if len(found) != 1:
            raise TranslationError(f"{function.__name__} at line {function.__code__.co_firstlineno} is not alone on its line: write a def", "AX0101")
        return found[0]


class Translator:
    """One function to `def` or `kernel`. captured: outer scalars that it reads, which become parameters. fills: a function that
    stores to its arguments, or to arrays that it makes (made, maker), is a kernel, of one thread; it may end by returning some of them (returned). helpers: functions that it
    calls, by their function objects, shared by all of one program. whole: it stores to parts of them (u[1:-1] = ...) and is no kernel but statements
    over whole arrays, repeated by loops; what they become is written to them. device: it runs in kernels only, and may ask where it is. grown: array parameters that it may not be given, because
    `x += ...` changes NumPy's arrays in place."""

    def __init__(self, function, kernel=False, fills=False, helpers=None, device=False):
        self.source, self.returned = Source(function), []
        self.known = False  # in what must be known when compiling: outer numbers are written down there
        self.ops, self.aliases, self.types = _list("ops"), _list("aliases"), _list("types")
        self.captured, self.helpers, self.lines, self.is_helper = {}, {} if helpers is None else helpers, [], helpers is not None
        self.name = self._function_name(function)
        node = self.source.node
        args = node.args
        if args.vararg or args.kwarg or args.kwonlyargs or args.posonlyargs:
            self.fail(node, "*args, **kwargs and keyword-only parameters")
        self.parameters = [a.arg for a in args.args]
        self.locals = set(self.parameters) | {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        self.written = self._written()
        self.by_element = any(isinstance(n, CONTROL) for n in ast.walk(node))
        self.grown = [] if self.by_element else [n.target.id for n in ast.walk(node) if isinstance(n, ast.AugAssign) and isinstance(n.target, ast.Name)
                                                 and n.target.id in self.parameters]
        self.counters = 0
        self.finder = Finder(self) if fills and isinstance(node, ast.FunctionDef) else None
        self.made = [s.targets[0].id for s in self.finder.made] if self.finder else []
        self.stored = self._stored(node)
        self.whole = fills and not kernel and not self.is_helper and self._stores_parts(node)
        self.kernel, self.fills = kernel or (fills and bool(self.stored) and not self.whole), fills
        if self.whole:
            self.by_element = False
            self.grown = [n.target.id for n in ast.walk(node) if isinstance(n, ast.AugAssign) and isinstance(n.target, ast.Name) and n.target.id in self.parameters and n.target.id not in self.stored]
        self.device = device or kernel
        body = [s for s in node.body if s not in self.finder.made] if self.made else node.body
        if isinstance(node, ast.Lambda):
            self.lines.append("    return " + self.expr(node.body))
        elif self.whole:
            self.block(body, 0)
            self.lines.append("return " + ", ".join(self.local(p) for p in self.stored))
        else:
            self.block(body, 1)
        self.maker = self.finder.maker() if self.made else None

    def fail(self, node, what):
        line = self.source.first + getattr(node, "lineno", 1) - 1
        raise TranslationError(f"{self.source.file}:{line}: in {self.name}: {what} cannot be translated", "AX0217")

    @staticmethod
    def base(node):
        """The name of the array of m[i][j]."""
        while isinstance(node, ast.Subscript):
            node = node.value
        return node.id if isinstance(node, ast.Name) else None

    def _stored(self, node):
        """Parameters, and arrays made here, that elements are stored to."""
        found = {self.base(n) for n in ast.walk(node) if isinstance(n, ast.Subscript) and isinstance(n.ctx, ast.Store)}
        for call in ast.walk(node):
            if isinstance(call, ast.Call) and self.is_atomic(call.func) and call.args and isinstance(call.args[0], ast.Name):
                found.add(call.args[0].id)
        return [p for p in self.parameters + self.made if p in found]

    @staticmethod
    def is_part(node):
        """m[1:-1], m[0, 2:], m[...]: not an element alone."""
        return isinstance(node, ast.Subscript) and any(isinstance(n, ast.Slice) or (isinstance(n, ast.Constant) and n.value is Ellipsis) for n in ast.walk(node.slice))

    def _stores_parts(self, node):
        return any(self.is_part(n) and isinstance(n.ctx, ast.Store) and self.base(n) in self.stored for n in ast.walk(node))

    def formals(self):
        """Parameters, and of a function that others call their defaults."""
        given = self.source.function.__defaults__ or ()
        first = len(self.parameters) - len(given)
        defaults = {p: f"={v!r}" for p, v in zip(self.parameters[first:], given) if type(v) in (bool, int, float, complex) and cmath.isfinite(v)}
        return [self.local(p) + (defaults.get(p, "") if self.is_helper else "") for p in self.parameters + self.made]

    @property
    def text(self):
        """The function alone."""
        if self.whole:
            return "\n".join(self.lines)
        word = "kernel" if self.kernel else "def"
        formals = ", ".join(self.formals() + list(self.captured))
        return "\n".join([f"{word} {self.name}({formals}) {{"] + self.lines + ["}"])

    @property
    def program(self):
        """With the functions that it calls."""
        return "\n".join([t.text for t in self.helpers.values()] + [self.text])

    # ---- names ----

    def _function_name(self, function):
        """A name that no function of the language has, nor another of this program."""
        name = function.__name__ if function.__name__ != "<lambda>" else "f"
        others = {t.name for t in self.helpers.values()}
        while name in RESERVED or name in self.ops or name in self.aliases or name in self.types or name in others:
            name += "_"
        return name

    def _written(self):
        """Local names as they are written: words of the language get another ending."""
        written = {}
        for name in sorted(self.locals):
            text = name
            while text in RESERVED or text in self.types or text.startswith(OUTER) or (text != name and text in self.locals):
                text = "_" + text if text.startswith(OUTER) else text + "_"
            written[name] = text
        return written

    def local(self, name):
        return self.written.get(name, name)

    def fresh(self, what):
        """A name that nothing else has."""
        self.counters += 1
        name = f"{what}_{self.counters}"
        return name if name not in self.locals else self.fresh(what)

    def outer(self, node):
        """What a name or attribute outside of the function stands for, or None."""
        if isinstance(node, ast.Name):
            if node.id in self.locals:
                return None
            return self.source.names.get(node.id, getattr(builtins, node.id, None))
        if isinstance(node, ast.Attribute):
            base = self.outer(node.value)
            return getattr(base, node.attr, None) if base is not None else None
        return None

    def is_module(self, node, *modules):
        value = self.outer(node)
        return isinstance(value, types.ModuleType) and value.__name__ in modules

    def cuda_name(self, node):
        """"grid", "threadIdx.x", "atomic.add", ... when the node is one of the cuda module's."""
        parts = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
            if self.is_module(node, "arex.cuda", "numba.cuda"):
                return ".".join(reversed(parts))
        return None

    def is_atomic(self, func):
        name = self.cuda_name(func)
        return bool(name) and name.startswith("atomic.")

    def capture(self, node, value):
        """An outer scalar is an argument, so that a new value needs no new program."""
        if self.known:
            return repr(value.item() if isinstance(value, np.generic) else value)
        name = OUTER + (node.id if isinstance(node, ast.Name) else ast.unparse(node).replace(".", "_"))
        self.captured[name] = (node.id if isinstance(node, ast.Name) else ast.unparse(node), value)
        return name

    # ---- statements ----

    def block(self, statements, depth):
        before = len(self.lines)
        for s in statements:
            self.statement(s, depth)
        if len(self.lines) == before:
            self.lines.append("    " * depth + "0")

    def say(self, depth, text):
        self.lines.append("    " * depth + text)

    def target(self, node):
        if isinstance(node, ast.Name):
            return self.local(node.id)
        if isinstance(node, ast.Tuple) and all(isinstance(n, ast.Name) for n in node.elts):
            return ", ".join(self.local(n.id) for n in node.elts)
        if isinstance(node, ast.Subscript) and self.kernel and isinstance(self.element(node)[0], ast.Name):
            return self.expr(node)
        if isinstance(node, ast.Subscript) and self.whole and isinstance(node.value, ast.Name) and node.value.id in self.stored:
            return self.expr(node)
        self.fail(node, f"assignment to {ast.unparse(node)} (of the arrays that a function makes, it changes those that it makes before its loops)" if isinstance(node, ast.Subscript) else
                  f"assignment to {ast.unparse(node)}")

    def statement(self, s, depth):
        if isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant):
            return  # a docstring
        if isinstance(s, ast.Pass):
            return
        if self.whole:
            self.refuse_beside_parts(s)
        if isinstance(s, ast.Assign):
            self.assign(s, depth)
        elif isinstance(s, ast.AnnAssign) and s.value is not None:
            self.say(depth, f"{self.target(s.target)} = {self.values(s.value)}")
        elif isinstance(s, ast.AugAssign):
            if type(s.op) not in BINARY:
                self.fail(s, f"{ast.unparse(s)}")
            if self.whole and isinstance(s.target, ast.Name):
                self.say(depth, f"{self.target(s.target)} = {self.target(s.target)} {BINARY[type(s.op)]} ({self.expr(s.value)})")
            else:
                self.say(depth, f"{self.target(s.target)} {BINARY[type(s.op)]}= {self.expr(s.value)}")
        elif isinstance(s, ast.Return):
            self.give(s, depth)
        elif isinstance(s, ast.If):
            self.branch(s, depth)
        elif isinstance(s, ast.While):
            self.loop(s, f"while {self.truth(s.test)}", depth)
        elif isinstance(s, ast.For):
            self.count(s, depth)
        elif isinstance(s, (ast.Break, ast.Continue)):
            self.say(depth, "break" if isinstance(s, ast.Break) else "continue")
        elif isinstance(s, ast.Expr) and isinstance(s.value, ast.Call) and (self.is_atomic(s.value.func) or self.cuda_name(s.value.func) == "syncthreads"):
            self.say(depth, self.expr(s.value))
        elif isinstance(s, ast.Expr) and isinstance(s.value, ast.Call) and self.cuda_name(s.value.func):
            self.fail(s, f"cuda.{self.cuda_name(s.value.func)}")
        else:
            self.fail(s, {"With": "`with`", "Try": "`try`", "Raise": "`raise`", "Assert": "`assert`", "Import": "`import`", "Global": "`global`",
                          "FunctionDef": "a function inside of a function", "Delete": "`del`", "Expr": "an expression whose value is not used"}.get(
                              type(s).__name__, f"a {type(s).__name__} statement"))

    def refuse_beside_parts(self, s):
        """In a function that stores to parts of arrays a name is a value: where in Python it would be a view of what changes, or what changes another one, it is refused."""
        if isinstance(s, (ast.If, ast.While, ast.Break, ast.Continue)):
            self.fail(s, f"`{type(s).__name__.lower()}` in a function that stores to parts of arrays (choose by np.where)")
        targets = s.targets if isinstance(s, ast.Assign) else [s.target] if isinstance(s, ast.AnnAssign) else []
        names = [n for t in targets for n in ast.walk(t) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
        if any(n.id in self.stored for n in names):
            self.fail(s, "another array by the name of an argument whose parts are stored to")
        if any(isinstance(t, ast.Tuple) and any(isinstance(n, ast.Subscript) for n in t.elts) for t in targets):
            self.fail(s, "parts of arrays that trade places")
        for value in (s.value.elts if isinstance(s.value, ast.Tuple) else [s.value]) if names else []:
            if self.is_view(value):
                self.fail(s, f"a name for {ast.unparse(value)}, which changes (write {ast.unparse(value)}.copy())")

    def is_view(self, node):
        """May this be memory of an argument whose parts are stored to?"""
        if isinstance(node, ast.IfExp):
            return self.is_view(node.body) or self.is_view(node.orelse)
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            return name in VIEWS and any(self.is_view(n) for n in [node.func.value, *node.args])
        if isinstance(node, ast.Attribute):
            return node.attr not in ("shape", "size", "ndim") and self.is_view(node.value)
        return isinstance(node, (ast.Name, ast.Subscript)) and self.base(node) in self.stored

    def assign(self, s, depth):
        if len(s.targets) == 1 and isinstance(s.targets[0], ast.Tuple) and self.is_shape(s.value):
            self.say(depth, f"{self.target(s.targets[0])} = {self.extents(s.value, len(s.targets[0].elts))}")
            return
        stores = any(isinstance(n, ast.Subscript) for t in s.targets for n in ast.walk(t) if isinstance(getattr(n, "ctx", None), ast.Store))
        tuples = isinstance(s.targets[0], ast.Tuple) and stores
        if len(s.targets) == 1 and not tuples:
            self.say(depth, f"{self.target(s.targets[0])} = {self.values(s.value)}")
            return
        # a value for several targets is computed once; elements that trade places are all read before one is written
        if tuples and len(s.targets) == 1:
            targets = s.targets[0].elts
            names = [self.fresh("value") for _ in targets]
            self.say(depth, f"{', '.join(names)} = {self.values(s.value)}")
        else:
            targets, names = s.targets, [self.fresh("value")] * len(s.targets)
            self.say(depth, f"{names[0]} = {self.expr(s.value)}")
        for target, name in zip(targets, names):
            self.say(depth, f"{self.target(target)} = {name}")

    def is_shape(self, node):
        return isinstance(node, ast.Attribute) and node.attr == "shape" and self.outer(node.value) is None

    def extents(self, node, n):
        """Of `h, w = x.shape`: where x has another number of axes, the first asks for one that is not there."""
        x = self.expr(node.value)
        return ", ".join([f"shape({x}, 8 * (ndim({x}) - {n}))"] + [f"shape({x}, {i})" for i in range(1, n)])

    def give(self, s, depth):
        if self.whole and s is not self.source.node.body[-1]:
            self.fail(s, "a return before the end of a function that stores to parts of arrays")
        if self.whole and (s.value is None or (isinstance(s.value, ast.Constant) and s.value.value is None)):
            return
        if not self.kernel and not self.whole:
            if s.value is None or (isinstance(s.value, ast.Constant) and s.value.value is None):
                self.fail(s, "a return without a value")
            self.say(depth, f"return {self.values(s.value)}")
        elif s.value is None or (isinstance(s.value, ast.Constant) and s.value.value is None):
            self.say(depth, "return")
        else:
            names = s.value.elts if isinstance(s.value, ast.Tuple) else [s.value]
            if not self.fills or s is not self.source.node.body[-1] or not all(isinstance(n, ast.Name) and n.id in self.stored for n in names):
                self.fail(s, "a return of a value from a " + ("function that stores to elements, but for its arrays at its end" if self.fills else "kernel"))
            self.returned = [n.id for n in names]

    def branch(self, s, depth):
        self.say(depth, f"if {self.truth(s.test)} {{")
        self.block(s.body, depth + 1)
        if s.orelse:
            self.say(depth, "} else {")
            self.block(s.orelse, depth + 1)
        self.say(depth, "}")

    def loop(self, s, head, depth, first=()):
        if s.orelse:
            self.fail(s.orelse[0], "`else` after a loop")
        self.say(depth, head + " {")
        for line in first:
            self.say(depth + 1, line)
        self.block(s.body, depth + 1)
        self.say(depth, "}")

    def count(self, s, depth):
        """A `for`. In the language its variable ends with the loop; where it is read elsewhere, it is another name's value."""
        elements = self.elements_of(s)
        if elements:
            counter = self.fresh("count")
            self.loop(s, f"for {counter} in range(len({elements}))", depth, first=self.element_at(s, elements, counter))
            return
        if not isinstance(s.target, ast.Name):
            self.fail(s, f"a loop over {ast.unparse(s.target)}")
        name, within = s.target.id, set()
        for loop in ast.walk(self.source.node):
            if isinstance(loop, ast.For) and isinstance(loop.target, ast.Name) and loop.target.id == name:
                inside = [id(n) for b in loop.body for n in ast.walk(b)]
                if any(id(n) in inside for n in [s]) and loop is not s:
                    self.fail(s, f"a loop over {name} inside of one over {name}")
                within.update(inside)
        reads = [n for n in ast.walk(self.source.node) if isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Load) and id(n) not in within]
        if not any(self.seen_after(n, s) for n in reads):
            self.loop(s, f"for {self.local(name)} in {self.range(s.iter)}", depth)
            return
        counter = self.fresh("count")
        self.loop(s, f"for {counter} in {self.range(s.iter)}", depth, first=[f"{self.local(name)} = {counter}"])

    def elements_of(self, s):
        """The array x of `for v in x` and `for i, v in enumerate(x)`, or None."""
        node, counted = s.iter, isinstance(s.iter, ast.Call) and self.outer(s.iter.func) is builtins.enumerate
        if counted:
            node = s.iter.args[0] if len(s.iter.args) == 1 and not s.iter.keywords else None
            counted = isinstance(s.target, ast.Tuple) and len(s.target.elts) == 2 and all(isinstance(n, ast.Name) for n in s.target.elts)
        return self.expr(node) if isinstance(node, ast.Name) and node.id in self.parameters and (counted or (node is s.iter and isinstance(s.target, ast.Name))) else None

    def element_at(self, s, elements, counter):
        names = s.target.elts if isinstance(s.target, ast.Tuple) else [s.target]
        return [f"{self.local(name.id)} = {value}" for name, value in zip(names[::-1], [f"{elements}[{counter}]", counter])]

    def seen_after(self, node, loop):
        """May this node be reached once the loop has ended? It stands below it, or both are in another loop."""
        if (node.lineno, node.col_offset) > (loop.end_lineno, loop.end_col_offset):
            return True
        around = [n for n in ast.walk(self.source.node) if isinstance(n, (ast.For, ast.While)) and n is not loop and any(m is loop for m in ast.walk(n))]
        return any(m is node for n in around for m in ast.walk(n))

    def range(self, node):
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr if isinstance(node.func, ast.Attribute) else ""
            if name in ("range", "prange") and not node.keywords:
                return f"range({', '.join(self.expr(a) for a in node.args)})"
        self.fail(node, f"a loop over {ast.unparse(node)} (loops run over range)")

    # ---- expressions ----

    def truth(self, node):
        """A condition. What may be a number is compared with 0, as Python does."""
        if isinstance(node, ast.BoolOp):
            return "(" + (" and " if isinstance(node.op, ast.And) else " or ").join(self.truth(v) for v in node.values) + ")"
        number = (isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow))) or isinstance(node, (ast.Name, ast.Subscript))
        number = number or (isinstance(node, ast.Constant) and not isinstance(node.value, bool))
        return f"({self.expr(node)} != 0)" if number else self.expr(node)

    def values(self, node):
        if isinstance(node, ast.Tuple):
            if len(node.elts) < 2:
                self.fail(node, f"a tuple of {len(node.elts)}")
            return ", ".join(self.expr(e) for e in node.elts)
        return self.expr(node)

    def expr(self, node):
        method = getattr(self, "x_" + type(node).__name__, None)
        if not method:
            self.fail(node, {"ListComp": "a list comprehension", "JoinedStr": "an f-string", "Dict": "a dict", "Lambda": "a lambda inside of a function",
                             "Starred": "*", "NamedExpr": "`:=`", "Await": "`await`", "Set": "a set", "GeneratorExp": "a generator"}.get(
                                 type(node).__name__, f"{ast.unparse(node)}"))
        return method(node)

    def x_Constant(self, node):
        if node.value is None or isinstance(node.value, bool):
            return str(node.value)
        if isinstance(node.value, complex):  # an imaginary part alone
            return repr(node.value) if math.isfinite(node.value.imag) else "complex(0.0, inf)"
        if isinstance(node.value, (int, float)):
            return repr(node.value) if math.isfinite(node.value) else ("inf" if node.value > 0 else "nan")
        self.fail(node, f"{node.value!r}")

    def x_Name(self, node):
        if node.id in self.locals:
            return self.local(node.id)
        value = self.outer(node)
        if isinstance(value, NUMBERS):
            return self.capture(node, value)
        if isinstance(value, np.ndarray):
            return self.capture(node, value)
        self.fail(node, f"the outer name {node.id}")

    def x_Attribute(self, node):
        if self.is_module(node.value, "math", "cmath", "numpy") and node.attr in CONSTANTS:
            return CONSTANTS[node.attr]
        if self.is_module(node.value, "numpy") and node.attr == "newaxis":
            return "newaxis"
        name = self.cuda_name(node)
        if name and self.device and name.split(".")[0] in ("threadIdx", "blockIdx", "blockDim", "gridDim"):
            return name
        if node.attr == "T" and self.outer(node.value) is None:
            return f"{self.expr(node.value)}.T"
        if node.attr in ("size", "ndim", "real", "imag") and self.outer(node.value) is None:
            return f"{node.attr}({self.expr(node.value)})"
        value = self.outer(node)
        if isinstance(value, NUMBERS):
            return self.capture(node, value)
        self.fail(node, ast.unparse(node))

    def x_Subscript(self, node):
        if isinstance(node.value, ast.Attribute) and node.value.attr == "shape" and self.outer(node.value) is None:
            return f"shape({self.expr(node.value.value)}, {self.expr(node.slice)})"
        base, indices = self.element(node)
        return f"{self.expr(base)}[{', '.join(self.index(i) for i in indices)}]"

    def element(self, node):
        """m[i][j] is m[i, j] where every index is a number: in kernels and in functions by element."""
        indices = [node.slice]
        while (self.kernel or self.by_element) and isinstance(node.value, ast.Subscript) and not any(
                isinstance(n, ast.Slice) for n in ast.walk(node.value.slice)) and not isinstance(node.value.value, ast.Attribute):
            node = node.value
            indices.insert(0, node.slice)
        return node.value, indices

    def index(self, node):
        if isinstance(node, ast.Tuple):
            return ", ".join(self.index(e) for e in node.elts)
        if isinstance(node, ast.Slice):
            parts = [self.expr(p) if p else "" for p in (node.lower, node.upper)]
            return ":".join(parts) + (":" + self.expr(node.step) if node.step else "")
        if isinstance(node, ast.Constant) and node.value is Ellipsis:
            return "..."
        return self.expr(node)

    def x_Tuple(self, node):
        return f"({', '.join(self.expr(e) for e in node.elts)},)"

    def x_BinOp(self, node):
        return f"({self.expr(node.left)} {BINARY[type(node.op)]} {self.expr(node.right)})"

    def x_UnaryOp(self, node):
        operand = self.truth(node.operand) if isinstance(node.op, ast.Not) else self.expr(node.operand)
        return f"({UNARY[type(node.op)]}{operand})"

    def x_BoolOp(self, node):
        return "(" + (" and " if isinstance(node.op, ast.And) else " or ").join(self.expr(v) for v in node.values) + ")"

    def x_Compare(self, node):
        if len(node.ops) == 1 and isinstance(node.ops[0], (ast.In, ast.NotIn)) and isinstance(node.comparators[0], (ast.Tuple, ast.List, ast.Set)):
            text = " or ".join(f"({self.expr(node.left)} == {self.expr(e)})" for e in node.comparators[0].elts) or "False"
            return f"({text})" if isinstance(node.ops[0], ast.In) else f"(not ({text}))"
        text = self.expr(node.left)
        for op, right in zip(node.ops, node.comparators):
            if type(op) not in COMPARE:
                self.fail(node, f"`{ast.unparse(node)}`")
            text += f" {COMPARE[type(op)]} {self.expr(right)}"
        return f"({text})"

    def x_IfExp(self, node):
        return f"({self.expr(node.body)} if {self.truth(node.test)} else {self.expr(node.orelse)})"

    def x_Call(self, node):
        cuda = self.cuda_name(node.func)
        if cuda:
            return self.cuda_call(node, cuda)
        value = self.outer(node.func)
        if value is builtins.len and len(node.args) == 1 and self.is_shape(node.args[0]):
            return f"ndim({self.expr(node.args[0].value)})"
        if any(k.arg is None for k in node.keywords) or any(isinstance(a, ast.Starred) for a in node.args):
            self.fail(node, "* and ** in a call")
        args = [self.expr(a) for a in node.args]
        function = getattr(value, "py_func", None)
        if function is not None:
            helper = self.helper(node, function)
            return f"{helper.name}({', '.join(args + [f'{helper.local(k.arg)}={self.expr(k.value)}' for k in node.keywords])})"
        keywords = [f"{k.arg}={self.expr(k.value)}" for k in node.keywords]
        name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr if isinstance(node.func, ast.Attribute) else ""
        if self.whole and isinstance(node.func, ast.Attribute) and node.func.attr == "copy" and self.outer(node.func.value) is None and not args and not keywords:
            return self.expr(node.func.value)  # names are values
        if isinstance(node.func, ast.Attribute) and self.outer(node.func.value) is None:  # x.sum(axis=0)
            args, value = [self.expr(node.func.value)] + args, np
        return self.function(node, name, value, args, keywords)

    def function(self, node, name, value, args, keywords):
        if value in (builtins.min, builtins.max) and len(args) > 1:
            text = args[0]
            for a in args[1:]:
                text = f"{name}imum({text}, {a})"
            return text
        if value is builtins.sum:
            if len(args) != 1 or keywords:
                self.fail(node, "sum with a start")
            return f"sum({args[0]}, axis=0)"
        if name in ("min", "max", "amin", "amax") and len(args) == 2:  # NumPy's second is the axis
            args[1] = "axis=" + args[1]
        if value is builtins.round and len(args) == 1:
            return f"int64(rint({args[0]}))"
        if value is builtins.bool and len(args) == 1:
            return f"({args[0]} != 0)"
        if value is builtins.complex and len(args) == 1:
            return f"complex128({args[0]})"
        if getattr(value, "__module__", "") == "cmath":
            return self.of_complex(node, name, args)
        if name in ("int", "float") and value not in (builtins.int, builtins.float):
            self.fail(node, ast.unparse(node.func))
        known = CALLS.get(name) or (name if name in self.ops or name in self.aliases or name in self.types else None)
        module = (getattr(value, "__module__", "") or "").split(".")[0]
        ours = value is np or module in ("math", "numpy", "arex", "builtins") or isinstance(value, np.ufunc) or (isinstance(value, type) and issubclass(value, np.generic))
        if not known or not ours:
            self.fail(node, f"a call of {ast.unparse(node.func)}")
        return f"{known}({', '.join(args + keywords)})"

    def of_complex(self, node, name, args):
        """A function of cmath's: what it is given is complex, whatever it was."""
        if name not in CMATH or len(args) != 1:
            self.fail(node, f"{ast.unparse(node)}")
        return f"{CMATH[name]}(complex128({args[0]}))"

    def helper(self, node, function):
        if function is self.source.function:
            self.fail(node, "a call of itself")
        if function not in self.helpers:
            helper = Translator(function, helpers=self.helpers, device=self.device)  # those that it calls come before it
            if helper.captured:
                self.fail(node, f"a call of {function.__name__}, which reads names from around it")
            self.helpers[function] = helper
        return self.helpers[function]

    def type_name(self, node):
        """A type as NumPy, Numba, this package or a text names it."""
        value = node.value if isinstance(node, ast.Constant) else self.outer(node)
        name = value if isinstance(value, str) else getattr(value, "__name__", None) or str(value)
        name = {"bool_": "bool", "boolean": "bool"}.get(name, CALLS.get(name, name))
        if name not in self.types:
            self.fail(node, f"the type {ast.unparse(node)}")
        return name

    def shared(self, node, word):
        """cuda.shared.array(shape, dtype), cuda.local.array(shape, dtype)"""
        given = dict(zip(["shape", "dtype"], node.args)) | {k.arg: k.value for k in node.keywords}
        if len(node.args) > 2 or set(given) != {"shape", "dtype"}:
            self.fail(node, f"{ast.unparse(node)} (a shape and a dtype are given)")
        if word == "shared" and isinstance(given["shape"], ast.Constant) and given["shape"].value == 0:
            self.fail(node, f"{ast.unparse(node)}: shared memory of a size that the launch gives")
        self.known = True
        shape = self.expr(given["shape"])
        self.known = False
        return f"{word}({shape}, {self.type_name(given['dtype'])})"

    def cuda_call(self, node, name):
        if not self.device:
            self.fail(node, f"cuda.{name} outside of a kernel")
        if name in ("shared.array", "local.array"):
            return self.shared(node, name.split(".")[0])
        if name not in CUDA_CALLS and name not in CUDA_FUNCTIONS and name != "const.array_like":
            self.fail(node, f"cuda.{name}")
        if node.keywords:
            self.fail(node, f"cuda.{name} with arguments by name")
        args = [self.expr(a) for a in node.args]
        if name == "const.array_like" and len(args) == 1:  # an argument as any other name from outside
            return args[0]
        if name in CUDA_FUNCTIONS:
            return f"{CUDA_FUNCTIONS[name]}({', '.join(args)})"
        if name in ("grid", "gridsize", "syncthreads"):
            return f"{name}({', '.join(args)})"
        if name == "atomic.sub":
            if len(args) != 3:
                self.fail(node, ast.unparse(node))
            return f"atomic_add({args[0]}, {args[1]}, -({args[2]}))"
        if name == "atomic.compare_and_swap":  # of the first element
            return f"atomic_cas({', '.join(args[:1] + ['0'] + args[1:])})"
        return f"atomic_{name.split('.')[1]}({', '.join(args)})"
