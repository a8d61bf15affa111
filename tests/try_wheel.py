"""Run by `./dev wheel` with the Python of an environment into which the wheel alone was installed: does it stand on its own?"""
import pathlib
import pickle
import subprocess
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


def command(*words):
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


beside = str(pathlib.Path(sys.executable).parent / "arex")
assert command(beside, "eval", "sum(linspace(0,1,5))").strip() == "2.5"
assert "llvm" in command(sys.executable, "-m", "arex", "doctor") and command(beside, "doctor") == command(sys.executable, "-m", "arex", "doctor")
assert command(beside, "--version").split()[-1] == arex.__version__
assert " 0 differ" in command(beside, "selfcheck", "-t", "reference")
wrong = subprocess.run([beside, "eval", "sum("], capture_output=True, text=True)
assert wrong.returncode == 1 and "AX01" in wrong.stderr and not wrong.stdout
print("the wheel works with Python", sys.version.split()[0])
