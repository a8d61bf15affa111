"""Operations that have been put off, and the programs that they become when a value is needed."""
import collections

import numpy as np

from . import evaluating
from .evaluating import _cached
from .memory import Value
from .stored import _state

_MOST_PENDING = 64  # operations put off before they run: bounds the size of programs


class _Pending:
    """An operation that has not run: its text, with {} where an operand stands. line: how its value gets a name; of a function that
    gives several values, which one it is."""

    __slots__ = ("text", "operands", "size", "line")

    def __init__(self, text, operands, line="{} = {}"):
        self.text, self.line, self.operands, self.size = text, line, [], 1
        for o in operands:
            if isinstance(o, Value):
                pending = o._pending
                self.size += pending.size if pending else 0
            elif isinstance(o, np.ndarray) and o.ndim:
                o = o.copy()  # an array of the caller's may change before this runs
            self.operands.append(o)


def _program_of(root):
    """The text of an expression and the values of its inputs, in the order in which the text names them."""
    names, lines, values, order = {}, [], [], collections.Counter()

    def name_of(operand):
        key = id(operand)
        if key not in names:
            if isinstance(operand, Value) and operand._pending:
                visit(operand)
            else:
                kind = "a" if isinstance(operand, (Value, np.ndarray)) else "s"
                names[key] = f"{kind}{order[kind]}"
                order[kind] += 1
                values.append((names[key], operand))
        return names[key]

    def visit(array):  # no deeper than _MOST_PENDING
        node = array._pending
        text = node.text.format(*[name_of(o) for o in node.operands])
        names[id(array)] = f"t{order['t']}"
        order["t"] += 1
        lines.append(node.line.format(names[id(array)], text))

    lines.append(f"return {name_of(root)}")
    return "\n".join(lines), values


def _structure_of_one(node):
    """Of an operation on what is there, the same in less time."""
    places, values = [node.text, node.line], []
    for operand in node.operands:
        number = next((i for i, v in enumerate(values) if v is operand), len(values)) if values else 0
        if number == len(values):
            values.append(operand)
        places.append(number)
    return (tuple(places),), values


def _structure(root):
    """What tells the programs of expressions apart, without their texts; and the values of inputs, in the order in which _program_of has them."""
    if root._pending and root._pending.size == 1:
        return _structure_of_one(root._pending)
    numbers, steps, values = {}, [], []

    def visit(array):
        node, places = array._pending, []
        for operand in node.operands:
            number = numbers.get(id(operand))
            if number is None:
                if isinstance(operand, Value) and operand._pending:
                    number = visit(operand)
                else:
                    number = numbers[id(operand)] = len(values)
                    values.append(operand)
            places.append(number)
        steps.append((node.text, node.line, *places))
        numbers[id(array)] = -len(steps)
        return -len(steps)

    if root._pending:
        visit(root)
    else:  # another thread has just run it
        values.append(root)
    return tuple(steps), values


def _program_of_structure(root):
    """A program, and its inputs' values."""
    with _state:  # another thread may run it, or a part of it, meanwhile
        key, values = _structure(root)
        found = evaluating._programs.get(key)
        text, named = ("", []) if found else _program_of(root)
    if found is None:
        program, names = _cached(text), [name for name, _ in named]
        found = evaluating._keep(key, (program, [names.index(name) for name in program.inputs]))
    program, order = found
    return program, [values[i] for i in order]
