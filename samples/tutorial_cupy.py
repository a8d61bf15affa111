"""CuPy's first steps with one line changed: `import cupy as cp` is `import arex as cp`."""
import numpy as np
import arex as cp

x_cpu = np.linspace(0, 10, 1_000_000)
x_gpu = cp.asarray(x_cpu)
y_gpu = cp.sin(x_gpu)
y_cpu = cp.asnumpy(y_gpu)

print("sine on", y_gpu.device, "agrees with NumPy:", np.allclose(y_cpu, np.sin(x_cpu)))
