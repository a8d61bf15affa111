"""Run by `./dev wheel` with the Python of an environment into which the wheel alone was installed: does it stand on its own?"""
import pathlib
import pickle
import sys

import numpy as np

import arex
import arex.program

HERE = pathlib.Path(arex.__file__).parent
assert "site-packages" in HERE.parts, HERE
assert arex.program.extension is not None and pathlib.Path(arex.program.extension.__file__).parent == HERE
assert (HERE / "py.typed").exists() and (HERE / "libarex-llvm.so").exists()

x = np.arange(1000.0)
assert arex.evaluate("sum(x*x)") == np.sum(x * x)
assert np.allclose(arex.compile("sin(x)**2 + cos(x)**2", target="cpu")(x), 1)
assert pickle.loads(pickle.dumps(arex.compile("x + 1")))(1.0) == 2.0


@arex.jit
def total(v):
    result = 0.0
    for i in range(len(v)):
        result += v[i]
    return result


@arex.cuda.jit
def square(v, result):
    i = arex.cuda.grid(1)
    if i < len(v):
        result[i] = v[i] ** 2


assert total(x) == x.sum()
out = np.zeros_like(x)
square[4, 256](x, out)
assert np.array_equal(out, x * x)
assert "PTX" in arex.compile("x + 1").emit("ptx", types="x=float32[:]") or ".version" in arex.compile("x + 1").emit("ptx", types="x=float32[:]")
print("the wheel works with Python", sys.version.split()[0])
