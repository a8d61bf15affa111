"""Complex values in translated functions, against Python itself: literals, parts, cmath, names from outside, loops that store into
complex arrays and kernels over them, Mandelbrot's escape count as Numba's users write it."""
import cmath

import numpy as np
import pytest

import arex
from arex import cuda, jit, njit, vectorize
from arex.errors import ArexError

C = np.linspace(-2, 0.6, 31)[None, :] + 1j * np.linspace(-1.2, 1.2, 23)[:, None]
TURN = 2 - 1j


def escape(c, most):
    z = 0j
    n = 0
    while abs(z) <= 2 and n < most:
        z = z * z + c
        n += 1
    return n


def parts(x, y, most):
    c = complex(x, y)
    z = 0.0j
    for i in range(most):
        z = z * z + c
        if z.real * z.real + z.imag * z.imag >= 4:
            return i
    return most


escape_fast, parts_fast = njit(escape), jit(nopython=True)(parts)


def fill(left, right, low, high, image, most):
    step_x = (right - left) / image.shape[1]
    step_y = (high - low) / image.shape[0]
    for x in range(image.shape[1]):
        real = left + x * step_x
        for y in range(image.shape[0]):
            imag = low + y * step_y
            image[y, x] = parts_fast(real, imag, most)


def counted():
    return np.array([[escape(complex(c), 60) for c in row] for row in C])


def test_mandelbrot_over_a_complex_plane():
    np.testing.assert_array_equal(escape_fast(C, 60), counted())
    np.testing.assert_array_equal(vectorize(escape)(C, 60), counted())
    np.testing.assert_array_equal(vectorize(["int64(complex128, int64)"])(escape)(C[::2, ::-1], 60), counted()[::2, ::-1])
    assert escape_fast(-0.5 + 0.3j, 60) == 60 and escape_fast(1.0, 60) == escape(1.0, 60)


def test_mandelbrot_into_an_image():
    ours, pythons = np.zeros((20, 30), np.uint8), np.zeros((20, 30), np.uint8)
    jit(fill)(-2.0, 1.0, -1.0, 1.0, ours, 20)
    for x in range(30):
        for y in range(20):
            pythons[y, x] = parts(-2.0 + x * (3.0 / 30), -1.0 + y * (2.0 / 20), 20)
    np.testing.assert_array_equal(ours, pythons)
    assert len(np.unique(ours)) > 5


def arithmetic(z):
    w = z * 1j + TURN - 2.5
    return w / (z + 3), -w, w * w.real, (w * 1j).conjugate()


def numpys(z):
    return np.conj(z) + np.real(z) * np.imag(z), np.conjugate(z) - np.abs(z), np.angle(z), np.complex64(z)


def of_cmath(x):
    return cmath.sqrt(x), cmath.exp(x), cmath.log(x), cmath.phase(x), cmath.sin(x) * cmath.pi, cmath.isnan(x)


def deep(x):
    return cmath.sqrt(cmath.sqrt(cmath.sqrt(cmath.sqrt(cmath.sqrt(cmath.sqrt(cmath.sqrt(cmath.sqrt(cmath.sqrt(cmath.sqrt(cmath.sqrt(cmath.sqrt(cmath.sqrt(cmath.sqrt(cmath.sqrt(cmath.sqrt(cmath.sqrt(cmath.sqrt(cmath.sqrt(cmath.sqrt(cmath.sqrt(cmath.sqrt(cmath.sqrt(cmath.sqrt(x))))))))))))))))))))))))  # each argument is written once


def converted(x):
    return complex(x), complex(x, 2), complex(1, x), 1e22j + x, x == 1j


def names_of_the_language(real, z):
    imag = real + z.imag
    conj = imag + z.real
    complex = z.conjugate()
    return complex * imag + conj


def steps(z):
    for k in range(5):
        if z.real > 0:
            z = z * 1j
        else:
            z += 1
    return z if z.imag > 0 else z.conjugate()


def compared(ours, pythons):
    for a, b in zip(ours if isinstance(ours, tuple) else (ours,), pythons if isinstance(pythons, tuple) else (pythons,)):
        assert np.iscomplexobj(a) == np.iscomplexobj(b)
        np.testing.assert_allclose(a, b, rtol=1e-6 if getattr(a, "dtype", None) == np.complex64 else 1e-14)


@pytest.mark.parametrize("function, args", [(arithmetic, (1 + 2j,)), (arithmetic, (-0.5,)), (numpys, (3 - 4j,)), (of_cmath, (-4.0,)), (of_cmath, (2 - 1j,)), (of_cmath, (complex(-4.0, -0.0),)), (deep, (-3.0,)),
                                            (converted, (-2.5,)), (names_of_the_language, (3.0, 2j)), (steps, (0.3 - 0.7j,)), (steps, (-2 + 1j,))])
def test_as_python(function, args):
    compared(jit(function)(*args), function(*args))


def test_types():
    narrow = C.astype(np.complex64)
    assert jit(lambda z: z * 1j + 2)(narrow).dtype == np.complex64  # literals are weak
    assert jit(lambda x: complex(x, x))(np.float32(1)).dtype == np.complex64
    assert jit(lambda x: complex(x))(np.float32(1)).dtype == np.complex128  # as float(x) is float64
    assert jit(lambda z: z.real)(narrow).dtype == np.float32
    assert jit(lambda z: cmath.exp(z))(narrow).dtype == np.complex128  # as cmath makes them of all


# ---- loops that store, and @cuda.jit ----

def squares(z, c, out):
    for i in range(len(z)):
        out[i] = z[i] * z[i] + c
    return out


def taken_apart(z, re, im, con, size):
    for i in range(z.shape[0]):
        re[i], im[i] = z[i].real, z[i].imag
        con[i] = z[i].conjugate() * 1j
        size[i] = abs(z[i])


def of_functions(z, out):
    for i in range(len(z)):
        out[i] = cmath.exp(z[i]) + np.conj(z[i]) - cmath.sqrt(z[i]) + np.exp(1j * cmath.phase(z[i]))


def running(z, out):
    total = 0j
    for i in range(len(z)):
        total += z[i]
        out[i] *= total


def stored_by(function, *args):
    given = [a.copy() if isinstance(a, np.ndarray) else a for a in args]
    function(*given)
    return [a for a in given if isinstance(a, np.ndarray)]


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_storing_loops(dtype):
    z = C[3].astype(dtype)
    parts = np.zeros(len(z), z.real.dtype)
    for function, args in [(squares, (z, 1 - 1j, z * 0)), (squares, (z, 2, z * 0)), (taken_apart, (z, parts, parts, z * 0, parts)), (of_functions, (z, z * 0)), (running, (z, z + 1))]:
        for ours, pythons in zip(stored_by(jit(function), *args), stored_by(function, *args)):
            assert ours.dtype == pythons.dtype
            np.testing.assert_allclose(ours, pythons, rtol=2e-5 if z.real.dtype == np.float32 else 1e-13, atol=1e-5 if z.real.dtype == np.float32 else 1e-14)
    assert jit(squares)(z, dtype(1j), z * 0).dtype == dtype


def mandelbrot(c, image, most):
    i, j = cuda.grid(2)
    if i < c.shape[0] and j < c.shape[1]:
        z = 0j
        n = 0
        while z.real * z.real + z.imag * z.imag <= 4 and n < most:
            z = z * z + c[i, j]
            n += 1
        image[i, j] = n


def julia(z, c, rounds):
    start = cuda.grid(1)
    for i in range(start, z.size, cuda.gridsize(1)):
        w = z[i]
        for _ in range(rounds):
            w = w**2 + c
        z[i] = w


def reversed_in_blocks(z, out):
    held = cuda.shared.array(32, dtype=np.complex64)
    t = cuda.threadIdx.x
    held[t] = z[t]
    cuda.syncthreads()
    out[t] = held[31 - t] * 1j


@pytest.mark.filterwarnings("ignore:no NVIDIA GPU")
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_cuda_jit(dtype):
    plane, image = C.astype(dtype), np.zeros(C.shape, np.int32)
    cuda.jit(mandelbrot)[(2, 2), (16, 16)](plane, image, 40)
    z, want = np.zeros_like(plane), np.zeros(C.shape, np.int32)
    for _ in range(40):
        on = z.real * z.real + z.imag * z.imag <= 4
        z[on] = z[on] * z[on] + plane[on]
        want += on
    np.testing.assert_array_equal(image, want)
    z = (0.5 * C[5]).astype(dtype)
    want = z.copy()
    for _ in range(3):
        want = want * want + dtype(0.3 + 0.2j)
    device = arex.asarray(z)
    for kept in (z, device):
        cuda.jit(julia)[2, 8](kept, 0.3 + 0.2j, 3)
        np.testing.assert_allclose(np.asarray(kept), want, rtol=1e-5 if dtype == np.complex64 else 1e-13)
    z, out = C.ravel()[:32].astype(np.complex64), np.zeros(32, np.complex64)
    cuda.jit(reversed_in_blocks)[1, 32](z, out)
    np.testing.assert_array_equal(out, z[::-1] * np.complex64(1j))


turn = 1j


@jit
def turned(z):
    return z * turn


@jit
def moved(z, by=2 + 1j):
    return z + by


@jit
def moved_twice(z):
    return moved(moved(z), by=1j)


def test_names_from_outside_and_defaults():
    global turn
    assert turned(2.0) == 2j
    turn = -1j
    assert turned(2.0) == -2j
    assert moved(1.0) == 3 + 1j and moved(1.0, 1j) == 1 + 1j and moved_twice(1.0) == 3 + 2j


def test_refused():
    with pytest.raises(SyntaxError, match="line|cmath.polar") as caught:
        @jit
        def polar(z):
            return cmath.polar(z)
    assert "cmath.polar" in str(caught.value) and f"{__file__}:" in str(caught.value)
    with pytest.raises(TypeError, match="no order"):
        jit(lambda z, w: z < w)(1j, 2j)
    @jit
    def store(z, out):
        for i in range(len(z)):
            out[i] = z[i]
    with pytest.raises(TypeError, match="does not become float64 by itself"):
        store(np.array([1j]), np.zeros(1))
