"""Arrays that a @jit function makes (`out = np.zeros(len(x))`) before it stores to their elements. Python makes them at each call, from the
function's own statements, and the compiled code takes them as it takes arguments. So their shapes follow from the arguments alone."""
import ast
import builtins
import types
from typing import NamedTuple

MAKERS = {"zeros", "ones", "empty", "full", "zeros_like", "ones_like", "empty_like", "full_like"}
MODULES = ("numpy", "arex", "math")


class Maker(NamedTuple):
    """What is done before the compiled code runs. names: the arrays, as the function calls them. text: a `def` that takes the function's parameters,
    then values of outer numbers, and gives the arrays. modules: names in the text that stand for modules; others: for functions and types."""
    names: tuple
    text: str
    modules: dict
    others: dict

    def function(self):
        known = {alias: __import__(module, fromlist=["_"]) for alias, module in self.modules.items()}
        space = {}
        exec(self.text, known | self.others | {"__builtins__": builtins}, space)
        return space["make"]


def _assigned(node, name):
    return [n for n in ast.walk(node) if isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Store)]


def _stored(node):
    """Names of arrays whose elements are stored to."""
    def base(n):
        while isinstance(n, ast.Subscript):
            n = n.value
        return n.id if isinstance(n, ast.Name) else None
    return {base(n) for n in ast.walk(node) if isinstance(n, ast.Subscript) and isinstance(n.ctx, ast.Store)}


class Finder:
    """The statements of one function that make arrays, and those that these hang on."""

    def __init__(self, translator):
        self.t, self.node = translator, translator.source.node
        self.stored = _stored(self.node)
        self.made = [s for s in self.node.body if self._makes(s)]
        self.needed, self.modules, self.others, self.outer = [], {}, {}, {}
        for s in self.made:
            self._need(s)

    def _makes(self, s):
        if not (isinstance(s, ast.Assign) and len(s.targets) == 1 and isinstance(s.targets[0], ast.Name) and isinstance(s.value, ast.Call)):
            return False
        name, function = s.targets[0].id, self.t.outer(s.value.func)
        ours = (getattr(function, "__module__", None) or "").split(".")[0] in ("numpy", "arex")
        return name in self.stored and name not in self.t.parameters and ours and getattr(function, "__name__", "") in MAKERS

    def _need(self, s):
        """A statement, after those that it hangs on."""
        if s in self.needed:
            return
        for target in ast.walk(s.targets[0]):
            if isinstance(target, ast.Name) and len(_assigned(self.node, target.id)) != 1:
                self.t.fail(s, f"{target.id}, an array that is made or a number its shape hangs on, and has several values,")
        looked_at = self._only_looked_at(s.value)
        for n in ast.walk(s.value):
            if isinstance(n, ast.Name):
                self._name(s, n, id(n) in looked_at)
        self.needed.append(s)

    def _only_looked_at(self, value):
        """Names of arrays whose elements do not count: len(x), x.shape, np.zeros_like(x)."""
        found = set()
        for n in ast.walk(value):
            if isinstance(n, ast.Attribute) and n.attr in ("shape", "size", "ndim", "dtype"):
                found.add(id(n.value))
            elif isinstance(n, ast.Call) and n.args and (self.t.outer(n.func) is len or getattr(self.t.outer(n.func), "__name__", "").endswith("_like")):
                found.add(id(n.args[0]))
        return found

    def _name(self, s, n, looked_at):
        if n.id in self.t.parameters:
            if _assigned(self.node, n.id) or (n.id in self.stored and not looked_at):
                self.t.fail(s, f"an array whose shape hangs on {n.id}, which the function changes,")
        elif n.id in self.t.locals:
            above = [b for b in self.node.body if isinstance(b, ast.Assign) and len(b.targets) == 1 and _assigned(b.targets[0], n.id)]
            if not above or above[0].lineno >= s.lineno:
                self.t.fail(s, f"an array whose shape hangs on {n.id}, which is not known before the work begins,")
            self._need(above[0])
        else:
            self._outside(s, n)

    def _outside(self, s, n):
        value = self.t.outer(n)
        if isinstance(value, types.ModuleType) and value.__name__ in MODULES:
            self.modules[n.id] = value.__name__
        elif isinstance(value, (type, types.BuiltinFunctionType)) or callable(value):
            if getattr(builtins, n.id, None) is not value:
                self.others[n.id] = value
        else:
            self.outer[n.id] = self.t.expr(n)  # a number is an argument, or an error

    def maker(self):
        if not self.made:
            return None
        names = tuple(s.targets[0].id for s in self.made)
        formals = ", ".join(self.t.parameters + list(self.t.captured))
        lines = [f"{name} = {written}" for name, written in self.outer.items()] + [ast.unparse(s) for s in sorted(self.needed, key=lambda s: s.lineno)]
        text = "\n    ".join([f"def make({formals}):"] + lines + [f"return ({', '.join(names)},)"])
        return Maker(names, text, self.modules, self.others)
