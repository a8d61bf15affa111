"""@cuda.jit kernels as Numba's users and its documentation write them: products of matrices, histograms, cellular automata, reductions, bodies that
attract each other; and the forms of statements that they use."""
import math

import numpy as np
import pytest

import arex
from arex import cuda, jit, vectorize

pytestmark = pytest.mark.filterwarnings("ignore:no NVIDIA GPU")
RNG = np.random.default_rng(5)
TILE = 16
TABLE = np.array([1.0, 2.5, -3.0])
float32 = np.float32


@cuda.jit
def fast_matmul(a, b, c):
    sa = cuda.shared.array(shape=(TILE, TILE), dtype=float32)
    sb = cuda.shared.array(shape=(TILE, TILE), dtype=float32)
    x, y = cuda.grid(2)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    tmp = float32(0.)
    for i in range(cuda.gridDim.x):
        sa[ty, tx] = 0
        sb[ty, tx] = 0
        if y < a.shape[0] and (tx + i * TILE) < a.shape[1]:
            sa[ty, tx] = a[y, tx + i * TILE]
        if x < b.shape[1] and (ty + i * TILE) < b.shape[0]:
            sb[ty, tx] = b[ty + i * TILE, x]
        cuda.syncthreads()
        for j in range(TILE):
            tmp += sa[ty, j] * sb[j, tx]
        cuda.syncthreads()
    if y < c.shape[0] and x < c.shape[1]:
        c[y, x] = tmp


def test_matmul():
    a, b, c = RNG.random((40, 40)).astype("f"), RNG.random((40, 40)).astype("f"), np.zeros((40, 40), "f")
    fast_matmul[(3, 3), (TILE, TILE)](a, b, c)
    np.testing.assert_allclose(c, a @ b, rtol=1e-5)


@cuda.jit
def block_sums(data, sums):
    tid, i = cuda.threadIdx.x, cuda.grid(1)
    held = cuda.shared.array(256, dtype=np.int32)
    held[tid] = data[i] if i < data.size else 0
    cuda.syncthreads()
    s = 1
    while s < cuda.blockDim.x:
        if not tid % (2 * s):
            held[tid] += held[tid + s]
        s *= 2
        cuda.syncthreads()
    if tid == 0:
        cuda.atomic.add(sums, cuda.blockIdx.x % 2, held[0])


def test_reduction():
    data, sums = RNG.integers(0, 100, 1000).astype(np.int32), np.zeros(2, np.int32)
    block_sums[4, 256](data, sums)
    assert sums.tolist() == [data[:256].sum() + data[512:768].sum(), data[256:512].sum() + data[768:].sum()]


@cuda.jit
def histogram(x, low, high, bins):
    width = (high - low) / bins.shape[0]
    for i in range(cuda.grid(1), x.shape[0], cuda.gridsize(1)):
        k = np.int32((x[i] - low) / width)
        if 0 <= k < len(bins):
            cuda.atomic.add(bins, k, 1)


def test_histogram():
    x, bins = RNG.normal(size=10_000), np.zeros(10, np.int32)
    histogram[8, 64](x, -4.0, 4.0, bins)
    np.testing.assert_array_equal(bins, np.histogram(x, 10, (-4, 4))[0])


@cuda.jit
def game_of_life(grid, after):
    x, y = cuda.grid(2)
    rows, cols = grid.shape
    if x >= rows or y >= cols:
        return
    n = 0
    for i in range(-1, 2):
        for j in range(-1, 2):
            if i == 0 and j == 0:
                continue
            n += grid[(x + i) % rows, (y + j) % cols]
    if grid[x, y] and (n < 2 or n > 3):
        after[x, y] = 0
    elif not grid[x, y] and n == 3:
        after[x, y] = 1
    else:
        after[x, y] = grid[x, y]


def test_game_of_life():
    grid = RNG.integers(0, 2, (19, 33))
    n = sum(np.roll(grid, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)) - grid
    after = np.zeros_like(grid)
    game_of_life[(2, 3), (16, 16)](grid, after)
    np.testing.assert_array_equal(after, (n == 3) | ((grid == 1) & (n == 2)))


@cuda.jit
def attract(place, speed, dt, eps):
    i = cuda.grid(1)
    n, _ = place.shape
    if i < n:
        ax = ay = az = 0.0
        for j in range(n):
            if j != i:
                dx = place[j, 0] - place[i, 0]
                dy = place[j, 1] - place[i, 1]
                dz = place[j, 2] - place[i, 2]
                r = 1.0 / math.sqrt(dx * dx + dy * dy + dz * dz + eps)
                ax += dx * r ** 3
                ay += dy * r ** 3
                az += dz * r ** 3
        speed[i, 0] += ax * dt
        speed[i, 1] += ay * dt
        speed[i, 2] += az * dt


def test_bodies():
    place, speed = RNG.normal(size=(20, 3)), np.zeros((20, 3))
    attract.forall(20)(place, speed, 0.1, 1e-3)
    d = place[None] - place[:, None]
    np.testing.assert_allclose(speed, 0.1 * (d / ((d**2).sum(2) + 1e-3)[:, :, None] ** 1.5).sum(1), rtol=1e-12)


@cuda.jit
def forms(x, out, flags):
    i = cuda.grid(1)
    table = cuda.const.array_like(TABLE)
    if i < out.size and len(out.shape) == 1:
        out[i] = cuda.fma(x[i], 2.0, table[i % 3])
        out[i] += cuda.selp(i > 3, 10.0, 20.0) if i % 2 else cuda.popc(i) + cuda.clz(i)
        out[i] = min(max(out[i], 0), 50) if flags[i] else out[i] / 2
        if flags[i] and i or not x[i]:
            out[i] -= 1
        out[i] **= 2


def test_forms():
    x, out, flags = np.arange(8.0), np.zeros(8), np.arange(8) % 3 == 0
    forms.configure(1, 32)(x, out, flags)
    want = [2 * v + TABLE[i % 3] + ((10 if i > 3 else 20) if i % 2 else bin(i).count("1") + 64 - i.bit_length()) for i, v in enumerate(x)]
    want = [min(max(w, 0), 50) if f else w / 2 for w, f in zip(want, flags)]
    np.testing.assert_array_equal(out, [(w - 1 if (f and i) or not v else w) ** 2 for i, (w, f, v) in enumerate(zip(want, flags, x))])


def test_how_many_axes():
    for given in [np.zeros(3), np.zeros((2, 3, 4))]:
        with pytest.raises(arex.ArexError, match="axis -?8 is out of range"):
            game_of_life[1, 1](given, given)


def test_launches():
    for launch in [attract.forall(20), attract.forall(20, tpb=32), attract.forall(0)]:
        launch(np.ones((20, 3)), np.zeros((20, 3)), 0.1, 1e-3)
    for name in ["fma", "selp", "popc", "clz", "cbrt"]:
        with pytest.raises(arex.ArexError, match="in kernels only"):
            getattr(cuda, name)(1)


@jit
def collatz(n):
    steps = 0
    while n - 1:
        n = n * 3 + 1 if n % 2 else n // 2
        steps += 1
    return steps


@vectorize
def sign_of(x, flag):
    return (1 if x else 0) if flag else -1


def test_numbers_as_conditions():
    assert collatz(27) == 111 and collatz(np.array([1, 2, 3])).tolist() == [0, 1, 7]
    assert sign_of(np.array([0.0, -0.0, np.nan, 3.0]), True).tolist() == [0, 0, 1, 1] and sign_of(1.0, 0) == -1


@jit
def norms(x, y):
    total = most = 0.0
    for v in x:
        total += v * v
        if v > most:
            most = v
    for i, v in enumerate(y):
        if i in (0, 2) or v not in [4.0, 6.0]:
            y[i] = v * total
    return y


@jit
def last_of(x):
    v = -1.0
    i = -1
    for i, v in enumerate(x):
        if v == 7:
            break
    return v, i


def test_loops_over_elements():
    x = np.array([3.0, 4.0])
    np.testing.assert_array_equal(norms(x, np.array([4.0, 4.0, 6.0, 1.0, 6.0])), [100, 4, 150, 25, 6])
    assert last_of(np.array([1.0, 7.0, 9.0])) == (7, 1) and last_of(np.array([5.0])) == (5, 0) and last_of(np.zeros(0)) == (-1, -1)


def test_refused():
    for what, body in {"cuda.threadfence": "cuda.threadfence()", "cuda.syncwarp": "cuda.syncwarp()", "cuda.laneid": "x[0] = cuda.laneid"}.items():
        scope, text = {}, f"from arex import cuda\ndef f(x):\n    {body}\n    x[0] = 1\n"
        import linecache
        linecache.cache["<refused>"] = (len(text), None, text.splitlines(True), "<refused>")
        exec(compile(text, "<refused>", "exec"), scope)
        with pytest.raises(arex.ArexError, match=f"{what} cannot be translated"):
            cuda.jit(scope["f"])
