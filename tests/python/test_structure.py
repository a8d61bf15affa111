"""What fusion makes of a program, by the stages that can be looked at: how many kernels, what is kept between them, how often an array is read."""
import re

import pytest

import arex

DEVICES = ["cpu", "cuda"]  # plans and code of both are made without either


def emitted(text, stage, device, types):
    return arex.compile(text).emit(stage, target=device, types=types)


def plan(text, device, types):
    """(kernels, temporaries, whole text)."""
    said = emitted(text, "plan", device, types)
    counts = re.match(r"kernels=(\d+) temporaries=(\d+)\n", said)
    return int(counts[1]), int(counts[2]), said


def reads(text, device, types, name="x"):
    """In how many nests the array is read, and by how many loads in each."""
    nests = emitted(text, "loop", device, types).split("nest ")[1:]
    return [n for n in (len(re.findall(rf"load \w+ {name}\b", nest)) for nest in nests) if n]


ROWS = {
    "softmax": "e = exp(x - max(x, 1, keepdims=True)); return e / sum(e, 1, keepdims=True)",
    "layer norm": "c = x - mean(x, 1, keepdims=True); return c / sqrt(mean(c * c, 1, keepdims=True) + 1e-5)",
    "layer norm by var": "param x: float32[n, m]; param g: float32[m]; param b: float32[m]; return (x - mean(x, -1, keepdims=True)) / sqrt(var(x, -1, keepdims=True) + 1e-5) * g + b",
    "layer norm of any vectors": "return (x - mean(x, -1, keepdims=True)) / sqrt(var(x, -1, keepdims=True) + 1e-5) * g + b",
    "softmax of a mask": "v = x * 0.125; e = exp(v - max(v, 1, keepdims=True)); return e / sum(e, 1, keepdims=True) * g",
    "log softmax": "return x - max(x, 1, keepdims=True) - log(sum(exp(x - max(x, 1, keepdims=True)), 1, keepdims=True))",
}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ROWS)
def test_rows_are_one_kernel(name, dtype, device):
    """All nests of them, where a row fits: there is code that takes a row through all, and on a GPU no other."""
    text = ROWS[name].replace("float32", dtype)
    types = ", ".join(f"{v}={dtype}[{':,:' if v == 'x' else ':'}]" for v in "xgb" if re.search(rf"\b{v}\b", text))
    kernels, _, said = plan(text, device, types)
    assert kernels == 3 and re.search(r"rows: steps 0 to 2 are one kernel", said), said
    if device == "cuda":
        assert re.findall(r"\.entry (\w+)", emitted(text, "ptx", device, types)) == ["n0_rows"]
    else:
        assert "define void @n0_rows(" in emitted(text, "llvm", device, types)


@pytest.mark.parametrize("text", ["x - mean(x, 0, keepdims=True)", "x - mean(x)", "s = sum(x, 1, keepdims=True); return x / s / max(s)"])
def test_what_is_not_row_by_row(text):
    """A column, the whole, a row that needs all others."""
    said = plan(text, "cpu", "x=float64[:,:]")[2]
    assert not re.search(rf"rows: steps 0 to {said.count('step ') - 1}", said), said


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("types", ["x=float32[:]", "x=float64[:,:]"])
def test_a_standard_score_reads_three_times(types, device):
    for text in ("(x - mean(x)) / std(x)", "m = mean(x); d = x - m; return d / sqrt(mean(d * d))"):
        assert reads(text, device, types) == [1, 1, 1]
        assert plan(text, device, types)[0] == 3


PASSES = ["sum(x), max(x), mean(x * x), any(x > 3)", "min(x, 1), max(x, 1), sum(x, 1), count_nonzero(x, 1)", "sum(x, 0), prod(x, 0), all(x, 0)", "ptp(x)", "x * 2, sum(x * 2), norm(x)",
          "argmin(x, 1), min(x, 1)", "sum(x, 1, keepdims=True), mean(x, 1)", "sum(exp(x)), max(exp(x)), exp(x)"]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("text", PASSES)
def test_independent_reductions_share_a_pass(text, device):
    types = "x=float32[:,:]"
    first = text.split(",")[0] == "argmin(x"  # the places of the smallest are looked for once it is known
    assert plan("return " + text, device, types)[0] == (2 if first else 1)
    assert reads("return " + text, device, types) == ([1, 1] if first else [1])


def test_other_axes_are_other_passes():
    assert plan("return sum(x, 0), sum(x, 1)", "cpu", "x=float32[:,:]")[0] == 2


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dead", ["d = exp(x)", "d = sum(x)", "d = x - mean(x, 0)", "d = cumsum(x)", "d = x[1:] * 2; d[0] = 5", "def f(v) { while v > 1 { v = v / 2 }; return v }; d = f(x)",
                                  "d = x; for k in range(9) { d = d * 0.5 }", "a, d = modf(x)"])
def test_a_dead_let_costs_nothing(dead, device):
    """The nests and the code have the instructions they have without; constants may be named, and stand in sums, in another order."""
    def instructions(text):
        return sorted(" ".join(sorted(re.split(r"[ ,]+", line))) for line in re.sub(r"%\d+", "%", text).splitlines())

    for stage in ("loop", "plan", "ptx" if device == "cuda" else "llvm"):
        with_it, without = (emitted(text, stage, device, "x=float64[:,:]") for text in (f"{dead}\ny = x * 2 + 1\nreturn y, sum(y)", "y = x * 2 + 1\nreturn y, sum(y)"))
        assert instructions(with_it) == instructions(without), stage


STENCILS = {
    "two points": ("u[1:] - u[:-1]", 1, 2),
    "three points": ("u[:-2] - 2 * u[1:-1] + u[2:]", 1, 3),
    "in a function": ("def lap(v) = v[:-2] - 2 * v[1:-1] + v[2:]\nlap(u * u)", 1, 3),
    "a stencil of a stencil": ("d = u[1:] - u[:-1]\nd[1:] - d[:-1]", 1, 3),
    "five points": ("0.25 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:]) - u[1:-1, 1:-1]", 2, 5),
    "seven points": ("u[:-2, 1:-1, 1:-1] + u[2:, 1:-1, 1:-1] + u[1:-1, :-2, 1:-1] + u[1:-1, 2:, 1:-1] + u[1:-1, 1:-1, :-2] + u[1:-1, 1:-1, 2:] - 6 * u[1:-1, 1:-1, 1:-1]", 3, 7),
    "gradient": ("sqrt((u[2:, 1:-1] - u[:-2, 1:-1]) ** 2 + (u[1:-1, 2:] - u[1:-1, :-2]) ** 2)", 2, 4),
    "reduced": ("sum((u[1:] - u[:-1]) ** 2)", 1, 2),
    "every second": ("u[::2][1:] - u[::2][:-1]", 1, 2),
    "turned around": ("u[::-1][1:] + diff(u)", 1, 2),
}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", STENCILS)
def test_stencils_are_one_nest(name, device):
    text, rank, points = STENCILS[name]
    types = f"u=float32[{','.join(':' * rank)}]"
    assert plan(text, device, types)[:2] == (1, 0)
    assert reads(text, device, types, "u") == [points] or name == "turned around" and len(reads(text, device, types, "u")) == 1


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("text", ["sqrt(x) * 2 + exp(x) / (x + 1)", "where(x > 0, x, -x)[::2]", "(x + 1).T", "x[:, None] * x", "reshape(x, (-1,)) + 1", "concatenate((x, x)) * 2", "astype(x, int32) % 7"])
def test_elementwise_is_one_nest(text, device):
    assert plan(text, device, "x=float32[:,:]")[:2] == (1, 0)


def test_dims_made_of_dims_are_cut_short():
    """Slices of slices: written out, the extent of the last is longer than any memory."""
    text = "a = x\n" + "\n".join(f"a = a[::2] + x[{i}:][::3]" for i in range(40)) + "\na"
    for stage in ("ir", "loop", "plan"):
        said = emitted(text, stage, "cpu", "x=float64[:]")
        assert "~" in said and max(map(len, said.split("\n"))) < 2000


@pytest.mark.parametrize("arch, elements", [("x86-64-v3", 16), ("x86-64-v4", 32)])
def test_whole_vectors_are_one_run(arch, elements):
    """Between two steps of a costly body there is a counter: it is moved on and compared where the results are stored."""
    asm = arex.compile("exp2(x)").emit("asm", target="cpu", types="x=float32[:]", arch=arch)
    [block] = [b for b in re.split(r"^\.L\w+:", asm, flags=re.M) if re.search(r"vmovup?s\s+%[yz]mm\d+, \(%\w+,%\w+,4\)", b)]
    after = block[block.rindex("(%r") :]
    assert re.search(rf"addq\s+\${elements}, %\w+\n\s+cmpq\s+%\w+, %\w+\n\s+j\w+", after)
