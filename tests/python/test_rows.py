"""Nests done row by row: the same bits as one after another, for rows of any length and arrays of any layout."""
import numpy as np
import pytest

import arex

PROGRAMS = {
    "softmax": "e = exp(x - max(x, -1, keepdims=True)); return e / sum(e, -1, keepdims=True)",
    "layer norm": "c = x - mean(x, -1, keepdims=True); return c / sqrt(mean(c * c, -1, keepdims=True) + 1e-5)",
    "several": "c = x - mean(x, -1, keepdims=True); return c, sum(c, -1), x + 1, max(c, -1, keepdims=True) > 1, argmax(x, -1)",
    "integers": "k = int32(x * 8); d = k - min(k, -1, keepdims=True); return d, sum(d, -1), d // (max(d, -1, keepdims=True) + 1)",
    "two axes": "c = x - max(x, (-1, -2), keepdims=True); return sum(exp(c), (-1, -2)), c * sum(c, (-1, -2), keepdims=True)",
}
SHAPES = [(1, 5), (7, 1), (100, 3), (33, 257), (41, 128), (40, 4096), (40, 4097), (36, 20000), (3, 140000), (3000, 16), (5, 7, 300), (40, 2, 3000)]
LAYOUTS = {
    "C": lambda x: x,
    "Fortran": np.asfortranarray,
    "strided": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    "backwards": lambda x: x[::-1, ..., ::-1],
    "one row": lambda x: np.broadcast_to(x[:1], x.shape),
}


def run(program, x, target, **options):
    got = arex.compile(program, target=target)(x=x, **options)
    return got if isinstance(got, tuple) else (got,)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_same_bits(name, layout, dtype, targets):
    rng = np.random.default_rng(1)
    for shape in SHAPES:
        x = LAYOUTS[layout](rng.normal(size=shape).astype(dtype))
        if name == "two axes" and x.ndim < 3:
            x = x[None]
        if x.size > 200000 and layout != "C":
            continue
        want = run(PROGRAMS[name], x, "reference")
        for target in targets[1:]:
            for got, w in zip(run(PROGRAMS[name], x, target), want):
                assert got.dtype == w.dtype and got.tobytes() == w.tobytes(), (shape, target)


@pytest.mark.parametrize("x, g", [((50, 40), (40,)), ((50, 40), (1,)), ((50, 1), (40,)), ((1, 40), (50, 1)), ((50, 40), (50, 1)), ((3, 1, 40), (1, 50, 1)), ((3, 50, 1), (1, 1, 40)),
                                  ((3, 50, 40), (1, 1, 40)), ((1, 50, 40), (6, 1, 1)), ((3, 50, 1), (3, 50, 300))])
def test_vectors_that_stretch_and_rows_that_do(x, g, targets):
    """Extents that no declaration ties are compared at the call: rows go together where they are those of the result."""
    rng = np.random.default_rng(5)
    x, g = rng.normal(size=x), rng.normal(size=g)
    program = "c = x - mean(x, -1, keepdims=True); return c / sqrt(var(x, -1, keepdims=True) + 1e-5) * g + b, sum(c * c, -1) > 1, x * g"
    want = run(program, x, "reference", g=g, b=g)
    for target in targets[1:]:
        for got, w in zip(run(program, x, target, g=g, b=g), want):
            assert got.shape == w.shape and got.tobytes() == w.tobytes(), target


def test_threads(targets):
    """Whether rows go together hangs on the number of threads; bits do not."""
    x = np.random.default_rng(2).normal(size=(6, 30000)).astype(np.float32)
    want = run(PROGRAMS["softmax"], x, "reference")[0].tobytes()
    for threads in (1, 2, 3, 8):
        assert run(PROGRAMS["softmax"], x, "cpu", threads=threads)[0].tobytes() == want


def test_no_rows_and_empty_rows(targets):
    for target in targets:
        assert run(PROGRAMS["layer norm"], np.ones((0, 5)), target)[0].shape == (0, 5)
        assert run("x - sum(x, -1, keepdims=True)", np.ones((5, 0)), target)[0].shape == (5, 0)


def test_against_numpy(targets):
    x = np.random.default_rng(3).normal(size=(300, 500))
    e = np.exp(x - x.max(1, keepdims=True))
    for target in targets:
        np.testing.assert_allclose(run(PROGRAMS["softmax"], x, target)[0], e / e.sum(1, keepdims=True), rtol=1e-13)


def test_faults_are_seen(targets):
    x = np.zeros((50, 40), np.int64)
    x[17, 3] = 99
    for target in targets:
        with pytest.raises(arex.ArexError, match="99"):
            run("param x: int64[n, m]\nparam v: float64[k]\nd = x - min(x, -1, keepdims=True); return sum(v[x], -1, keepdims=True) + d", x, target, v=np.ones(4))


@pytest.mark.parametrize("place", ["the input itself", "shifted", "backwards"])
def test_output_over_the_input(place, targets):
    """What is laid down in the output's memory must not meet the input, which is read again later."""
    program = "e = exp(sin(x) * 2 + cos(x) * x + 1 - x * x); return e / sum(e, -1, keepdims=True) + x"
    x = np.random.default_rng(4).normal(size=(70, 300))
    want = run(program, x, "reference")[0]
    for target in targets:
        memory = np.zeros((71, 300))
        memory[:-1] = x
        out = {"the input itself": memory[:-1], "shifted": memory[1:], "backwards": memory[:-1][::-1]}[place]
        run(program, memory[:-1], target, out=out)
        assert out.tobytes() == want.tobytes(), target
