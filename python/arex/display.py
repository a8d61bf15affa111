"""What IPython and Spyder show of arrays and programs: HTML and text. No more than a few elements of an array leave their device for it."""
import html

import numpy as np

_EDGE = 3  # elements shown at each end of an axis
_LONG = 2 * _EDGE + 1
_STATISTICS = "float64(min(x)), float64(max(x)), float64(mean(x))"


def _ends(extent):
    return list(range(extent)) if extent <= _LONG else [*range(_EDGE), *range(extent - _EDGE, extent)]


def sample(array):
    """The ends of the last two axes (of others the first), as a NumPy array, and which rows and columns they are."""
    for _ in range(array.ndim - 2):
        array = array[0]
    if array.size == 0 or array.ndim == 0:
        return array.get(), []
    places = [_ends(n) for n in array.shape]
    if array.ndim == 1:
        return array[np.array(places[0])].get(), places
    rows, columns = (np.array(p) for p in places)
    return array[rows[:, None], columns[None, :]].get(), places


def facts(array):
    """What is known, and what a sum over the array tells: pairs of name and value."""
    known = [("shape", str(array.shape)), ("dtype", str(array.dtype)), ("device", array.device), ("bytes", f"{array.nbytes:,}")]
    if array.size and array.dtype.kind in "iuf" or array.size and array.dtype.name == "bfloat16":
        from .evaluating import _cached
        values = _cached(_STATISTICS)(array)
        known += [(name, f"{float(v):.6g}") for name, v in zip(("min", "max", "mean"), values)]
    return known


def _cells(values, where):
    """A row of the table; '...' where elements are left out."""
    cells = []
    for i, (value, place) in enumerate(zip(values, where)):
        if i and place != where[i - 1] + 1:
            cells.append("<td>…</td>")
        cells.append(f"<td>{html.escape(f'{value:.6g}' if values.dtype.kind == 'f' else str(value))}</td>")
    return "<tr>" + "".join(cells) + "</tr>"


def array_html(array):
    about = " · ".join(f"<b>{name}</b> {html.escape(value)}" for name, value in facts(array))
    values, places = sample(array)
    if not places:
        body = "" if values.size == 0 else f"<tr><td>{html.escape(str(values))}</td></tr>"
    elif values.ndim == 1:
        body = _cells(values, places[0])
    else:
        body = "".join(("<tr><td>⋮</td></tr>" if i and row != places[0][i - 1] + 1 else "") + _cells(values[i], places[1]) for i, row in enumerate(places[0]))
    first = f"<div>of [{', '.join(['0'] * (array.ndim - 2) + [':', ':'])}]:</div>" if array.ndim > 2 and body else ""
    return f"<div class='arex-array'><div>arex.Array: {about}</div>{first}<table>{body}</table></div>"


def stages(program):
    """The typed tree and the plan, for the types of its `param` lines or else vectors of float64: pairs of name and text."""
    found = []
    for name in ("ir", "plan"):
        try:
            found.append((name, program.emit(name).rstrip()))
        except Exception as error:  # of types that do not suit the program: shown, since a display must not fail
            found.append((name, str(error)))
    return found


def program_html(program):
    parts = [f"<div>{html.escape(repr(program))}</div><pre>{html.escape(program.source)}</pre>"]
    parts += [f"<details><summary>{name}</summary><pre>{html.escape(text)}</pre></details>" for name, text in stages(program)]
    return "<div class='arex-program'>" + "".join(parts) + "</div>"


def program_text(program):
    lines = [repr(program), *("    " + line for line in program.source.splitlines())]
    for name, text in stages(program):
        lines += [f"{name}:", *("    " + line for line in text.splitlines())]
    return "\n".join(lines)
