"""Kernels whose threads share memory and wait for each other: all targets, against NumPy; and what is refused."""
import numpy as np
import pytest

import arex
from test_kernels import RNG, TARGETS, launched, sample


@pytest.mark.parametrize("shape", [(1, 1), (16, 16), (37, 50), (100, 3)])
def test_transpose(shape):
    x = RNG.random(shape).astype(np.float32)
    got = launched(sample("transpose"), (-(-shape[1] // 16), -(-shape[0] // 16)), (16, 16), x, np.zeros(shape[::-1], np.float32))
    np.testing.assert_array_equal(got, x.T)


@pytest.mark.parametrize("bins, block", [(1, 1), (64, 32), (256, 100), (200, 256)])
def test_histogram(bins, block):
    x = RNG.integers(0, bins, 10_000)
    np.testing.assert_array_equal(launched(sample("histogram_shared"), 5, block, x, np.zeros(bins, np.int64)), np.bincount(x, minlength=bins))


def test_heat():
    u = RNG.random((67, 90))
    plain = launched(sample("heat"), (6, 5), (16, 16), u, u.copy(), 0.1)
    assert launched(sample("heat_tiled"), (6, 5), (16, 16), u, u.copy(), 0.1).tobytes() == plain.tobytes()


@pytest.mark.parametrize("n, m, k", [(16, 16, 16), (19, 30, 21), (5, 40, 64)])
def test_matmul(n, m, k):
    a, b = RNG.random((n, k)).astype(np.float32), RNG.random((k, m)).astype(np.float32)
    got = launched(sample("matmul_tiled"), (-(-m // 16), -(-n // 16)), (16, 16), a, b, np.zeros((n, m), np.float32))
    np.testing.assert_allclose(got, a @ b, rtol=1e-5)


SUM = """kernel total(x, out) {
    s = shared(256, float64)
    t = threadIdx.x
    i = grid(1)
    if i < len(x) { s[t] = x[i] }
    syncthreads()
    step = blockDim.x // 2
    while step > 0 {
        if t < step { s[t] += s[t + step] }
        syncthreads()
        step //= 2
    }
    if t == 0 { out[blockIdx.x] = s[0] }
}"""


@pytest.mark.parametrize("block", [1, 2, 32, 256])
def test_sum_in_a_block(block):
    x = RNG.random(1000)
    blocks = -(-len(x) // block)
    np.testing.assert_allclose(launched(SUM, blocks, block, x, np.zeros(blocks)).sum(), x.sum())


def test_barriers_in_loops_in_loops():
    """A wavefront: in each of the rounds each thread takes what its neighbour had; values of all kinds live across."""
    source = """kernel f(out, rounds, flags) {
        s = shared((2, 64), int64)
        t = threadIdx.x
        odd = t % 2 == 1
        mine = t * t
        weight = 0.5 * t
        n = 0
        for r in range(rounds) {
            for half in range(2) {
                s[half, t] = mine + (1 if odd else 0)
                syncthreads()
                mine = s[half, (t + 1) % blockDim.x]
                n += 1
                syncthreads()
                if half == 1 { continue }
                weight = weight + n
            }
            if r == 3 { break }
        }
        out[blockIdx.x, t] = mine + weight
        flags[grid(1)] = odd
    }"""
    def expect(blocks, block, rounds):
        t = np.arange(block)
        mine, weight, n = t * t, 0.5 * t, 0
        for r in range(rounds):
            for half in range(2):
                mine = np.roll(mine + t % 2, -1)
                n += 1
                if half == 0:
                    weight = weight + n
            if r == 3:
                break
        return np.tile(mine + weight, (blocks, 1))
    for blocks, block, rounds in [(3, 64, 2), (2, 5, 9), (1, 1, 3), (2, 7, 0)]:
        got, flags = launched(source, blocks, block, np.zeros((blocks, block)), rounds, np.zeros(blocks * block, bool))
        np.testing.assert_array_equal(got, expect(blocks, block, rounds))
        np.testing.assert_array_equal(flags, np.tile(np.arange(block) % 2 == 1, blocks))


def test_blocks_of_three_dimensions():
    source = """kernel f(out) {
        s = shared((2, 3, 5), int32)
        s[threadIdx.z, threadIdx.y, threadIdx.x] = threadIdx.x + 10 * threadIdx.y + 100 * threadIdx.z + 1000 * blockIdx.x + 10000 * blockIdx.y + 100000 * blockIdx.z
        syncthreads()
        x, y, z = grid(3)
        out[z, y, x] = s[1 - threadIdx.z, 2 - threadIdx.y, 4 - threadIdx.x]
    }"""
    z, y, x = np.indices((8, 6, 15))
    want = 4 - x % 5 + 10 * (2 - y % 3) + 100 * (1 - z % 2) + 1000 * (x // 5) + 10000 * (y // 3) + 100000 * (z // 2)
    np.testing.assert_array_equal(launched(source, (3, 2, 4), (5, 3, 2), np.zeros((8, 6, 15), np.int32)), want)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int32", "uint64", "float16", "bfloat16", "float32", "float64"])
def test_types(dtype):
    """Values of each type, kept across a barrier and put into shared memory, which is 0 at first."""
    source = f"""kernel f(x, out) {{
        s = shared(10, {dtype})
        t = threadIdx.x
        v = {dtype}(x[t])
        s[t + 1] = v
        syncthreads()
        out[t] = float64(s[t]) + 10 * float64(v) + 100 * float64(s[9])
    }}"""
    x = np.arange(8) % 2 if dtype == "bool" else np.arange(8)
    before = np.concatenate([[0], x[:-1]])
    np.testing.assert_array_equal(launched(source, 1, 8, x.astype(float), np.zeros(8)), before + 10 * x)


def test_extents_of_one():
    source = "kernel f(out) { s = shared((1, 3, 1), int16); t = shared(1, int8); s[0, threadIdx.x, 0] = threadIdx.x + 1; t[0] = 5; syncthreads(); out[grid(1)] = s[0, 2 - threadIdx.x, -1] + t[0] + len(t) + shape(s, 1) }"
    np.testing.assert_array_equal(launched(source, 2, 3, np.zeros(6)), [12, 11, 10] * 2)


def test_atomics_on_shared():
    for dtype in ["int32", "uint32", "int64", "float32", "float64"]:
        source = f"""kernel f(x, out) {{
            s = shared(4, {dtype})
            if threadIdx.x == 0 {{ s[1] = 1000 }}
            syncthreads()
            v = x[grid(1)]
            atomic_add(s, 0, v); atomic_min(s, 1, v); atomic_max(s, (2), v); atomic_cas(s, 3, 0, 5)
            syncthreads()
            if threadIdx.x < 4 {{ out[blockIdx.x, threadIdx.x] = s[threadIdx.x] }}
        }}"""
        x = RNG.integers(0, 100, 96).astype(dtype)
        blocks = x.reshape(3, 32)
        want = np.stack([blocks.sum(1), blocks.min(1), blocks.max(1), np.full(3, 5)], 1)
        np.testing.assert_array_equal(launched(source, 3, 32, x, np.zeros((3, 4), dtype)), want)


def test_conditions_that_all_threads_share():
    source = """kernel f(out, n, wait) {
        s = shared(8, int32)
        s[threadIdx.x] = threadIdx.x
        if wait { syncthreads() }
        if len(out) > 3 and blockIdx.x == 1 { syncthreads(); s[threadIdx.x] += 1; syncthreads() }
        for k in range(blockIdx.x + n) { syncthreads() }
        out[grid(1)] = s[threadIdx.x]
        if grid(1) >= 5 { return }
        out[0] = 7
    }"""
    np.testing.assert_array_equal(launched(source, 2, 8, np.zeros(16), 2, True), [7, *range(1, 8), *range(1, 9)])


def test_a_lone_index_and_what_was_stored_before():
    np.testing.assert_array_equal(launched("kernel f(x) { x[0] = x[0] + 1; s = shared((2, 2), int8); s[1, -1] = 3; x[1] = s[1, 1] + s[0, 0] }", 1, 1, np.zeros(2)), [1, 3])


def test_elements_of_what_is_computed():
    source = """kernel f(x, y) {
        s = shared(4, float64); t = shared(4, float64)
        s[1] = 4; t[2] = 5
        x[0] = (s + 2 * t)[2] + (s + x)[1]
        if y[0] > 0 { s = t }
        i = 1
        x[1] = s[2] + (s * s)[i] + (y[1:] + y[:-1])[1]
    }"""
    np.testing.assert_array_equal(launched(source, 1, 1, np.ones(4), np.arange(4.0)), [15, 4 * 4 + 3, 1, 1])
    np.testing.assert_array_equal(launched(source, 1, 1, np.ones(4), 1 + np.arange(4.0)), [15, 5 + 5, 1, 1])


def test_functions_ask_where_they_are():
    source = """def place() = blockIdx.x * blockDim.x + threadIdx.x
    def wait(v) { if v > 0 { v += 1 }; syncthreads(); return v }
    def count(counts, v) = atomic_add(counts, v, 1)
    def turned(n) { t = shared(8, int32); return len(t) - n + grid(1) - place() }
    kernel f(out) {
        s = shared(8, int64)
        count(s, threadIdx.x // 2)
        n = wait(threadIdx.x)
        out[place()] = 10 * s[threadIdx.x] + n + 100 * turned(3)
    }"""
    np.testing.assert_array_equal(launched(source, 2, 8, np.zeros(16)), np.tile([520, 522, 523, 524, 505, 506, 507, 508], 2))
    for function in ["def g(v) = v + grid(1)", "def g(v) { syncthreads(); return v }"]:
        with pytest.raises(arex.ArexError) as e:
            arex.compile(f"{function}\ng(x)")
        assert e.value.code == "AX0202"
    with pytest.raises(arex.ArexError) as e:
        arex.compile("def g(v) { if v < 1 { syncthreads() }; return v }\nkernel f(x) { x[0] = g(threadIdx.x) }").launch(1, 4, np.zeros(4), target="cpu")
    assert e.value.code == "AX0220"


def test_faults_are_told():
    for target in TARGETS:
        for source, message in [("kernel f(x) { s = shared(4, int32); s[threadIdx.x] = 1; x[0] = 1 }", "index 7 is out of range for axis 0 with 4 elements"),
                                ("kernel f(x) { s = shared((2, 5), int32); syncthreads(); x[0] = s[1, threadIdx.x] }", "index 7 is out of range for axis 1 with 5 elements"),
                                ("kernel f(x) { s = shared(8, int32); i = x[threadIdx.x + 1]; syncthreads(); s[0] = i; syncthreads(); x[0] = s[0] }", "index 8 is out of range for axis 0 with 8"),
                                ("kernel f(x) { s = shared(4, int32); x[0] = s[4] }", "index 4 is out of range for axis 0 with 4 elements")]:
            with pytest.raises(arex.ArexError, match=message) as e:
                arex.compile(source).launch(1, 8, np.zeros(8), target=target)
            assert e.value.code == "AX0312"


def test_endless_loop_with_a_barrier():
    for wait in ["syncthreads();", ""]:
        kernel = arex.compile(f"kernel f(x) {{ n = 0; while n == 0 {{ {wait} x[0] = 1 }} }}", max_rounds=100)
        for target in TARGETS:
            with pytest.raises(arex.ArexError, match="given up after 100 rounds"):
                kernel.launch(1, 4, np.zeros(1), target=target)


@pytest.mark.parametrize("body, code", [
    ("if threadIdx.x < 2 { syncthreads() }", "AX0220"), ("if grid(1) >= len(x) { return }; syncthreads()", "AX0220"), ("for k in range(threadIdx.x) { syncthreads() }", "AX0220"),
    ("while x[0] < 3 { x[0] += 1; syncthreads() }", "AX0220"), ("for k in range(3) { if x[k] > 0 { break }; syncthreads() }", "AX0220"),
    ("n = 0; while n < threadIdx.x { n += 1 }; if n < 2 { syncthreads() }", "AX0220"), ("n = atomic_add(x, 0, 1); if n > 1 { syncthreads() }", "AX0220"),
    ("s = shared((100, 100), float64); x[0] = s[1, 1]", "AX0409"), ("s = shared(4096, float64); t = shared(4096, float64); x[0] = s[1] + t[1]", "AX0409"),
    ("s = shared((9999999999, 2), int8); x[0] = s[1, 1]", "AX0409"), ("s = shared(len(x), float64)", "AX0211"), ("s = shared(2.5, float64)", "AX0203"), ("s = shared((), float64)", "AX0203"),
    ("s = shared(0, int8)", "AX0203"), ("s = shared(4, 5)", "AX0203"), ("s = shared(4)", "AX0208"), ("syncthreads(1)", "AX0208"), ("for k in range(3) { s = shared(2, int8) }", "AX0219"),
    ("s = shared(4, int8); x[0] = s[1:]", "AX0217"), ("s = shared((4, 4), int8); x[0] = s[1]", "AX0212"), ("s = shared(4, int8); if s > 0 { x[0] = 1 }", "AX0203"),
    ("s = shared(4, int8); x[0] = s", "AX0203"), ("s = shared(4, int8); x[0] = s[0] + s", "AX0203"), ("s = shared(4, int8); s[0, 1] = 1", "AX0212"), ("s = shared(4, int8); atomic_add(s, 0, 1)", "AX0203"),
    ("s = shared(4, int8); for k in range(3) { s = s + 1 }; x[0] = s[0]", "AX0203"), ("s = shared(4, int8); x[0] = (s + 1)[1:][0]", "AX0217"), ("s = shared((2, 2), int8); x[0] = s.T[0, 0]", "AX0217"),
    ("for k in range(x) { x[0] = 1 }", "AX0203"), ("x[0] = x[1:][0]", "AX0217"),
])
def test_refused(body, code):
    with pytest.raises(arex.ArexError) as e:
        arex.compile(f"kernel f(x) {{ x[0] = 1; {body} }}").launch(1, 4, np.zeros(4), target="cpu")
    assert e.value.code == code, e.value


def test_too_much_kept_on_the_cpu():
    names = "\n".join(f"v{k} = x[threadIdx.x] * {k}" for k in range(200))
    source = f"kernel f(x) {{\n{names}\nsyncthreads()\nx[0] = {' + '.join(f'v{k}' for k in range(200))}\n}}"
    with pytest.raises(arex.ArexError) as e:
        arex.compile(source).launch(1, 1, np.zeros(1), target="cpu")
    assert e.value.code == "AX0410"
    arex.compile(source).launch(1, 1, np.zeros(1), target="reference")


def test_launches_refused():
    kernel = arex.compile("kernel f(x) { s = shared(4, int8); x[0] = s[0] }")
    for grid, block in [((1, 70000), 1), ((1, 1, 70000), 1), (1, (1, 1, 128))]:
        with pytest.raises(arex.ArexError) as e:
            kernel.launch(grid, block, np.zeros(1), target="cpu")
        assert e.value.code == "AX0701"



def test_a_gpu_divides_nothing_to_find_its_threads():
    for source in ["kernel f(x, out) { i = grid(1); if i < len(out) { out[i] += 2 * x[i] } }",
                   "kernel f(x) { s = shared(64, int32); s[threadIdx.x] = blockIdx.x; syncthreads(); x[grid(1)] = s[63 - threadIdx.x] }"]:
        ptx = arex.compile(source).emit("ptx", arch="sm_90", target="cuda").split("n1_main")[-1]
        assert "st.global" in ptx and "div." not in ptx and "rem." not in ptx
    assert "bar.sync" in ptx and ".shared" in ptx
