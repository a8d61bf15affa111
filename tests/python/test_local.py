"""Local arrays of kernels, one for each thread: on all targets to the bit, alone and where threads of a block wait for each other, against NumPy; what is
refused; that both code generators' PTX is assembled; and Numba's cuda.local.array."""
import subprocess

import numpy as np
import pytest

import arex
from arex import cuda
from test_kernels import RNG, TARGETS, launched
from test_nvvm import _found
from test_ptx import PTXAS

MEDIAN = """kernel median(image, out) {
    near = local(9, float32)
    x, y = grid(2)
    if x >= shape(image, 1) or y >= shape(image, 0) { return }
    n = 0
    for dy in range(-1, 2) {
        for dx in range(-1, 2) {
            v = image[clip(y + dy, 0, shape(image, 0) - 1), clip(x + dx, 0, shape(image, 1) - 1)]
            at = n
            while at > 0 {
                if near[at - 1] <= v { break }
                near[at] = near[at - 1]
                at -= 1
            }
            near[at] = v
            n += 1
        }
    }
    out[y, x] = near[4]
}"""


@pytest.mark.parametrize("shape, block", [((1, 1), (1, 1)), ((19, 37), (16, 16)), ((40, 5), (8, 4)), ((7, 300), (3, 1))])
def test_median(shape, block):
    image = RNG.random(shape).astype(np.float32)
    around = np.pad(image, 1, mode="edge")
    want = np.median([around[i:i + shape[0], j:j + shape[1]] for i in range(3) for j in range(3)], axis=0)
    got = launched(MEDIAN, (-(-shape[1] // block[0]), -(-shape[0] // block[1])), block, image, np.zeros_like(image))
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("block", [1, 7, 32, 100])
def test_across_barriers(block):
    """What a thread has kept is there after others have had their turns; blocks begin with zeros again."""
    source = """kernel f(x, out) {
        own = local((3, 2), float64)
        all = shared(100, float64)
        t = threadIdx.x
        i = grid(1)
        out[i] = own[2, 1]
        for k in range(3) {
            own[k, 0] = x[i] * (k + 1)
            all[t] = own[k, 0]
            syncthreads()
            own[k, 1] = all[blockDim.x - 1 - t] + own[k, 0]
            syncthreads()
        }
        for k in range(3) { for j in range(2) { out[i] += own[k, j] * (2 * k + j + 1) } }
    }"""
    x = RNG.normal(size=3 * block)
    got = launched(source, 3, block, x, np.zeros(3 * block))
    mirrored = x.reshape(3, block)[:, ::-1].ravel()
    want = sum((k + 1) * (x * (2 * k + 1) + (mirrored + x) * (2 * k + 2)) for k in range(3))
    np.testing.assert_allclose(got, want, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int64", "float16", "float32", "complex64", "complex128"])
def test_types(dtype):
    source = f"kernel f(x, out) {{ a = local(5, {dtype}); i = grid(1); for k in range(5) {{ a[k] = x[k] }}; a[i] = x[4 - i]; for k in range(5) {{ out[i, k] = a[-1 - k] }} }}"
    x = (RNG.integers(0, 2, 5) if dtype == "bool" else RNG.integers(0, 100, 5) * (1 + 1j) if "complex" in dtype else RNG.integers(0, 100, 5)).astype(dtype)
    want = np.tile(x, (5, 1))
    want[np.arange(5), np.arange(5)] = x[::-1]
    np.testing.assert_array_equal(launched(source, 1, 5, x, np.zeros((5, 5), dtype)), want[:, ::-1])


def test_atomics_and_branches():
    source = """kernel f(x, out) {
        counts = local(4, int32)
        i = grid(1)
        for k in range(len(x)) { if x[k] % 4 != i { was = atomic_add(counts, x[k] % 4, 2) } }
        if i == 2 { counts[0] = -1 }
        for k in range(4) { out[i, k] = counts[k] }
    }"""
    x = RNG.integers(0, 1000, 50)
    want = np.tile(2 * np.bincount(x % 4, minlength=4), (4, 1)).astype(np.int32)
    want[np.arange(4), np.arange(4)] = 0
    want[2, 0] = -1
    np.testing.assert_array_equal(launched(source, 4, 1, x, np.zeros((4, 4), np.int32)), want)


def test_out_of_range():
    for target in TARGETS:
        with pytest.raises(arex.ArexError, match="index 7 is out of range for axis 0 with 5 elements"):
            arex.compile("kernel f(x) { a = local(5, int32); i = grid(1); a[i] = 1; x[0] = a[0] }").launch(1, 8, np.zeros(1), target=target)


@pytest.mark.parametrize("source, code, words", [
    ("kernel f(x) { a = local(1025, float32); x[0] = a[0] }", "AX0409", "this one alone more"), ("kernel f(x) { a = local(600, float32); b = local(600, float32); x[0] = a[0] + b[0] }", "AX0409", "a thread take 4800 bytes"),
    ("kernel f(x) { a = local(0, float32); x[0] = a[0] }", "AX0203", "1 to 4096"), ("kernel f(x) { a = local(x[0], float32); x[0] = a[0] }", "AX0211", "known when compiling"),
    ("kernel f(x) { for k in range(2) { a = local(2, float32); x[0] = a[0] } }", "AX0219", "before the loop: a thread has one"), ("kernel f(x) { a = local(3, 4); x[0] = 1 }", "AX0203", "the name of one"),
    ("kernel f(x) { a = local(3); x[0] = 1 }", "AX0208", "`local` takes 2"), ("local(3, float32) + x", "AX0202", "local"),
])
def test_refused(source, code, words):
    with pytest.raises(arex.ArexError, match=words) as e:
        kernel = arex.compile(source)
        kernel.launch(1, 1, np.zeros(4), target="cpu")
    assert e.value.code == code


@pytest.mark.skipif(not PTXAS, reason="no ptxas here")
@pytest.mark.parametrize("generator", ["nvptx", pytest.param("nvvm", marks=pytest.mark.skipif(not _found(), reason="no libNVVM here"))])
@pytest.mark.parametrize("arch", ["sm_75", "sm_90", "sm_120"])
def test_assembles(arch, generator, tmp_path):
    together = "kernel f(x) { a = local(4, complex64); s = shared(32, int32); t = threadIdx.x; s[t] = x[t]; syncthreads(); a[t % 4] = s[31 - t]; x[t] = real(a[s[t] % 4]) }"
    for source, types in [(MEDIAN, "image=float32[:,:], out=float32[:,:]"), (together, "x=float32[:]")]:
        ptx = arex.compile(source, codegen=generator).emit("ptx", types=types, arch=arch)
        assert ".local" in ptx
        (tmp_path / "kernel.ptx").write_text(ptx)
        subprocess.run([PTXAS, f"-arch={arch}", tmp_path / "kernel.ptx", "-o", tmp_path / "kernel.cubin"], check=True)


SIZE = 4


@cuda.jit
def weighted(x, out):
    i = cuda.grid(1)
    held = cuda.local.array(SIZE, dtype=np.float64)
    pair = cuda.local.array((2, 2), np.int32)
    if i < out.size:
        for j in range(SIZE):
            held[j] = x[i] * j
        pair[i % 2, 1] += 5
        total = 0.0
        for j in range(SIZE):
            total += held[SIZE - 1 - j]
        out[i] = total + pair[0, 1] - pair[1, 1]


@pytest.mark.filterwarnings("ignore:no NVIDIA GPU")
def test_as_numba_writes_them():
    x, out = np.arange(10.0), np.zeros(10)
    weighted[1, 16](x, out)
    np.testing.assert_array_equal(out, 6 * x + np.where(np.arange(10) % 2, -5, 5))
    with pytest.raises(arex.ArexError, match="in kernels only"):
        cuda.local.array(3, np.int32)
