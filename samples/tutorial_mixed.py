"""CuPy and Numba together, with the import lines changed."""
import numpy as np
import arex as cp
from arex import jit

data_gpu = cp.sin(cp.asarray(np.linspace(0, np.pi, 100_000)))
data = cp.asnumpy(data_gpu)


@jit(nopython=True)
def process(data):
    return data * 2


result = process(data)
print("sum of the processed data:", np.sum(result), "agrees:", np.isclose(np.sum(result), 2 * np.sum(np.sin(np.linspace(0, np.pi, 100_000)))))
