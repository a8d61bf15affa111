"""Shared memory as Numba's users write it, with one line changed: `from numba import cuda` is `from arex import cuda`.
Numba's own example of a matrix product by tiles, and a histogram that each block makes for itself first."""
import math

import numpy as np
from arex import cuda

TPB = 16
BINS = 64


@cuda.jit
def fast_matmul(A, B, C):
    sA = cuda.shared.array(shape=(TPB, TPB), dtype=np.float32)
    sB = cuda.shared.array(shape=(TPB, TPB), dtype=np.float32)
    x, y = cuda.grid(2)
    tx = cuda.threadIdx.x
    ty = cuda.threadIdx.y
    tmp = np.float32(0.)
    for i in range((A.shape[1] + TPB - 1) // TPB):
        sA[ty, tx] = 0
        sB[ty, tx] = 0
        if y < A.shape[0] and (tx + i * TPB) < A.shape[1]:
            sA[ty, tx] = A[y, tx + i * TPB]
        if x < B.shape[1] and (ty + i * TPB) < B.shape[0]:
            sB[ty, tx] = B[ty + i * TPB, x]
        cuda.syncthreads()
        for j in range(TPB):
            tmp += sA[ty, j] * sB[j, tx]
        cuda.syncthreads()
    if y < C.shape[0] and x < C.shape[1]:
        C[y, x] = tmp


@cuda.jit
def histogram(values, counts):
    mine = cuda.shared.array(BINS, np.int32)
    for bin in range(cuda.threadIdx.x, BINS, cuda.blockDim.x):
        mine[bin] = 0
    cuda.syncthreads()
    for i in range(cuda.grid(1), values.size, cuda.gridsize(1)):
        cuda.atomic.add(mine, values[i], 1)
    cuda.syncthreads()
    for bin in range(cuda.threadIdx.x, BINS, cuda.blockDim.x):
        cuda.atomic.add(counts, bin, mine[bin])


rng = np.random.default_rng(0)
a, b = rng.random((70, 50), dtype=np.float32), rng.random((50, 90), dtype=np.float32)
a_device, b_device = cuda.to_device(a), cuda.to_device(b)
c_device = cuda.device_array((70, 90), np.float32)
blocks = (math.ceil(c_device.shape[1] / TPB), math.ceil(c_device.shape[0] / TPB))
fast_matmul[blocks, (TPB, TPB)](a_device, b_device, c_device)
cuda.synchronize()
print("product by tiles agrees with NumPy:", np.allclose(c_device.copy_to_host(), a @ b))

values = rng.integers(0, BINS, 100_000)
counts = cuda.to_device(np.zeros(BINS, np.int64))
histogram[32, 128](cuda.to_device(values), counts)
print("histogram agrees with NumPy:", np.array_equal(counts.copy_to_host(), np.bincount(values, minlength=BINS)))
