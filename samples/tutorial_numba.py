"""Numba's first steps with one line changed: `from numba import jit, cuda` is `from arex import jit, cuda`."""
import numpy as np
from arex import jit, cuda


@jit(nopython=True)
def sum_of_squares(x):
    result = 0.0
    for i in range(len(x)):
        result += x[i]**2
    return result


@cuda.jit
def square(x, result):
    idx = cuda.grid(1)
    if idx < len(x):
        result[idx] = x[idx]**2


x = np.arange(100_000, dtype=np.float64)
result = np.zeros_like(x)
threads = 256
square[(len(x) + threads - 1) // threads, threads](x, result)

print("sum of squares:", sum_of_squares(x), "agrees with NumPy:", np.isclose(sum_of_squares(x), np.sum(x**2)))
print("squares by a kernel agree with NumPy:", np.allclose(result, x**2))
