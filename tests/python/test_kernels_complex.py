"""Kernels over complex arrays: elements are two parts in one memory, shared arrays are two. On all targets to the bit, against NumPy; layouts, copies
that are not made, what is refused, and that both code generators' PTX is assembled."""
import subprocess

import numpy as np
import pytest

import arex
from test_kernels import TARGETS, launched
from test_nvvm import _found
from test_ptx import PTXAS

BOTH = ["complex64", "complex128"]


def line(dtype, n=40):
    return (np.linspace(-1, 1.5, n) + 1j * np.cos(np.arange(n))).astype(dtype)


def close(got, want):
    assert got.dtype == want.dtype
    narrow = got.real.dtype == np.float32
    np.testing.assert_allclose(got, want, rtol=1e-5 if narrow else 1e-13, atol=1e-6 if narrow else 1e-14)


@pytest.mark.parametrize("dtype", BOTH)
def test_loads_stores_and_scalars(dtype):
    z = line(dtype)
    scale = "kernel f(a, z, out) { i = grid(1); if i < len(out) { out[i] = a * z[i] } }"
    close(launched(scale, 3, 16, 2 - 1j, z, np.zeros(40, dtype)), z * z.dtype.type(2 - 1j))
    close(launched(scale, 3, 16, np.complex128(2 - 1j), z, np.zeros(40, dtype)), (z * np.complex128(2 - 1j)).astype(dtype))
    close(launched(scale, 3, 16, 2, z, np.zeros(40, dtype)), z * 2)
    got = launched("kernel f(z) { i = grid(1); if i < len(z) { z[i] += 1j; z[i] *= z[i]; if real(z[i]) > 0 { z[i] = abs(z[i]) } } }", 3, 16, z)
    want = (z + 1j) ** 2
    close(got, np.where(want.real > 0, abs(want), want).astype(dtype))


@pytest.mark.parametrize("dtype", BOTH)
def test_parts(dtype):
    z = line(dtype)
    real = z.real.dtype
    re, im, con, angle, size = launched("kernel f(z, re, im, con, t, r) { i = grid(1); if i < len(z) { re[i] = real(z[i]); im[i] = imag(z[i]); con[i] = conj(z[i]); t[i] = angle(z[i]); r[i] = abs(z[i]) } }",
                                        2, 32, z, *np.zeros((2, 40), real), np.zeros(40, dtype), *np.zeros((2, 40), real))
    assert re.tobytes() == z.real.tobytes() and im.tobytes() == z.imag.tobytes() and con.tobytes() == z.conj().tobytes()
    close(angle, np.angle(z))
    close(size, abs(z))


def test_part_of_what_is_changed():
    """A name for a part is that part of the memory, as z.real is in NumPy."""
    z = line("complex128")
    got = launched("kernel f(z) { i = grid(1); if i < len(z) { x = real(z); z[i] = z[i] * 1j; z[i] = x[i] + imag(z)[i] * 2 } }", 2, 32, z)
    np.testing.assert_array_equal(got, -z.imag + z.real * 2)


@pytest.mark.parametrize("dtype", BOTH)
def test_complex_locals_and_loops(dtype):
    c = (np.linspace(-2, 0.6, 31)[None, :] + 1j * np.linspace(-1.2, 1.2, 23)[:, None]).astype(dtype)
    source = """kernel f(c, image, last) {
        j, i = grid(2)
        if i < shape(c, 0) and j < shape(c, 1) {
            z = 0j
            n = 0
            while n < 30 and real(z) * real(z) + imag(z) * imag(z) <= 4 { z = z * z + c[i, j]; n += 1 }
            image[i, j] = n
            last[i, j] = z
        }
    }"""
    image, last = launched(source, (2, 2), (16, 16), c, np.zeros(c.shape, np.int32), np.zeros(c.shape, dtype))
    z, n = np.zeros_like(c), np.zeros(c.shape, np.int32)
    for _ in range(30):
        on = z.real * z.real + z.imag * z.imag <= 4
        z[on] = z[on] * z[on] + c[on]
        n += on
    np.testing.assert_array_equal(image, n)
    assert len(np.unique(n)) > 10
    inside = n == 30
    np.testing.assert_allclose(last[inside], z[inside], atol=1e-2 if dtype == "complex64" else 1e-9)


def test_layouts():
    base = np.zeros((8, 12), complex)
    for view in [base[::2, ::3], base.T[:4, ::-1], base[::-1]]:
        base[:] = 0
        want = view.copy() + np.add.outer(np.arange(view.shape[0]) * 100, np.arange(view.shape[1])) * (1 - 2j)
        for target in TARGETS:
            base[:] = 0
            arex.compile("kernel f(a) { j, i = grid(2); if i < shape(a, 0) and j < shape(a, 1) { a[i, j] += (i * 100 + j) * (1 - 2j) } }").launch((1, 1), (12, 12), view, target=target)
            np.testing.assert_array_equal(view, want)


@pytest.mark.parametrize("dtype", BOTH)
def test_shared(dtype):
    z = line(dtype, 64)
    source = f"""kernel f(z, total, back) {{
        s = shared(64, {dtype})
        t = threadIdx.x
        s[t] = z[t]
        syncthreads()
        back[t] = s[63 - t]
        w = z[t]
        for k in range(2) {{ syncthreads(); w = w * 1j + s[t]; syncthreads(); s[t] = w }}
        step = blockDim.x // 2
        while step > 0 {{
            syncthreads()
            if t < step {{ s[t] += s[t + step] }}
            step //= 2
        }}
        if t == 0 {{ total[0] = s[0] }}
    }}"""
    total, back = launched(source, 1, 64, z, np.zeros(1, dtype), np.zeros(64, dtype))
    np.testing.assert_array_equal(back, z[::-1])
    w, s = z.copy(), z.copy()
    for _ in range(2):
        w = w * z.dtype.type(1j) + s
        s = w
    close(total, s.sum(keepdims=True).astype(dtype))


def test_size_of_shared():
    fits = "kernel f(z) {{ s = shared({}, complex128); s[0] = z[0]; syncthreads(); z[0] = s[0] * 2 }}"
    assert launched(fits.format(3072), 1, 1, np.array([1j]))[0] == 2j
    with pytest.raises(arex.ArexError, match="49152 bytes"):
        arex.compile(fits.format(3073)).launch(1, 1, np.array([1j]))


def test_out_of_range():
    for target in TARGETS:
        z = np.zeros(5, complex)
        with pytest.raises(arex.ArexError, match="index 7 is out of range for axis 0 with 5 elements"):
            arex.compile("kernel f(z) { i = grid(1); z[i] = 1j }").launch(1, 8, z, target=target)


@pytest.mark.parametrize("source, code, words", [
    ("kernel f(z) { atomic_add(z, 0, 1); z[0] = 1 }", "AX0203", "no atomic changes both parts"), ("kernel f(z) { atomic_cas(z, 0, 1, 2); z[0] = 1 }", "AX0203", "no atomic changes both parts"),
    ("kernel f(z, x) { x[0] = z[0] }", "AX0203", "does not become float64"), ("kernel f(z) { if z[0] < 1 { z[0] = 1 } }", "AX0203", "no order"), ("kernel f(z) { z[z[0]] = 1 }", "AX0203", "found by integers"),
    ("kernel f(z) { z[0] = z }", "AX0203", "no single value"), ("kernel f(z) { z[0] = z[1:][0] }", "AX0217", "element by element"),
])
def test_refused(source, code, words):
    kernel = arex.compile(source)
    with pytest.raises(arex.ArexError, match=words) as e:
        kernel.launch(1, 1, *[np.zeros(4, complex if name == "z" else float) for name in kernel.inputs], target="cpu")
    assert e.value.code == code


SOURCES = ["kernel f(a, z) { i = grid(1); if i < len(z) { z[i] = a * z[i] + exp(z[i]) } }",
           "kernel f(a, z) { s = shared(64, complex64); t = threadIdx.x; s[t] = z[t]; syncthreads(); w = 0j; for k in range(3) { syncthreads(); w = w * a + s[63 - t] }; z[t] = w }"]


@pytest.mark.skipif(not PTXAS, reason="no ptxas here")
@pytest.mark.parametrize("generator", ["nvptx", pytest.param("nvvm", marks=pytest.mark.skipif(not _found(), reason="no libNVVM here"))])
@pytest.mark.parametrize("arch", ["sm_75", "sm_90", "sm_120"])
@pytest.mark.parametrize("source", SOURCES)
def test_assembles(source, arch, generator, tmp_path):
    for dtype in BOTH:
        ptx = arex.compile(source, codegen=generator).emit("ptx", types=f"a={dtype}, z={dtype}[:]", arch=arch)
        assert ptx.count("st.global") >= 2
        (tmp_path / "kernel.ptx").write_text(ptx)
        subprocess.run([PTXAS, f"-arch={arch}", tmp_path / "kernel.ptx", "-o", tmp_path / "kernel.cubin"], check=True)
