"""The math functions on a GPU beside CUDA's own (libdevice, compiled by NVRTC through CuPy): one kernel of each a function, by turns.

    ./dev python bench/libdevice.py [--log2 28] [--rounds 15] [--fast] [NAME...]
    (or from a bundle: AREX_LIBRARY=lib/libarex.so.0 PYTHONPATH=python python3 bench/libdevice.py)

Needs CuPy and a GPU, and no LLVM beside the library. Prints a table in Markdown: for each function and type microseconds over 2^28 elements in the
device's memory, both waited for (medians of the rounds), the median of each round's ratio, ours over CUDA's; `copy` is the same for a copy, which
is what memory allows; `apart` is the largest difference of the two results, relative to CUDA's (to 1 where that is smaller). --fast: our fast mode.
"""
import argparse
import statistics
import sys
import time

import numpy as np

import arex

# name: (our program, CUDA's expression with F for the suffix of float's functions, lowest and highest input, the same for y)
FUNCTIONS = {
    "copy": ("x + 0", "x + 0", -10, 10),
    "sqrt": ("sqrt(x)", "sqrtF(x)", 0.01, 100),
    "rsqrt": ("rsqrt(x)", "rsqrtF(x)", 0.01, 100),
    "cbrt": ("cbrt(x)", "cbrtF(x)", -10, 10),
    "reciprocal": ("reciprocal(x)", "1 / x", 0.01, 100),
    "exp": ("exp(x)", "expF(x)", -10, 10),
    "exp2": ("exp2(x)", "exp2F(x)", -10, 10),
    "exp10": ("exp10(x)", "exp10F(x)", -10, 10),
    "expm1": ("expm1(x)", "expm1F(x)", -10, 10),
    "log": ("log(x)", "logF(x)", 0.01, 100),
    "log2": ("log2(x)", "log2F(x)", 0.01, 100),
    "log10": ("log10(x)", "log10F(x)", 0.01, 100),
    "log1p": ("log1p(x)", "log1pF(x)", -0.9, 100),
    "sin": ("sin(x)", "sinF(x)", -100, 100),
    "cos": ("cos(x)", "cosF(x)", -100, 100),
    "tan": ("tan(x)", "tanF(x)", -100, 100),
    "asin": ("asin(x)", "asinF(x)", -0.999, 0.999),
    "acos": ("acos(x)", "acosF(x)", -0.999, 0.999),
    "atan": ("atan(x)", "atanF(x)", -10, 10),
    "sinpi": ("sinpi(x)", "sinpiF(x)", -10, 10),
    "cospi": ("cospi(x)", "cospiF(x)", -10, 10),
    "sinh": ("sinh(x)", "sinhF(x)", -10, 10),
    "cosh": ("cosh(x)", "coshF(x)", -10, 10),
    "tanh": ("tanh(x)", "tanhF(x)", -10, 10),
    "asinh": ("asinh(x)", "asinhF(x)", -10, 10),
    "acosh": ("acosh(x)", "acoshF(x)", 1, 100),
    "atanh": ("atanh(x)", "atanhF(x)", -0.999, 0.999),
    "erf": ("erf(x)", "erfF(x)", -3, 3),
    "erfc": ("erfc(x)", "erfcF(x)", -3, 6),
    "erfinv": ("erfinv(x)", "erfinvF(x)", -0.999, 0.999),
    "gamma": ("gamma(x)", "tgammaF(x)", 0.1, 30),
    "lgamma": ("lgamma(x)", "lgammaF(x)", 0.1, 30),
    "divide": ("x / y", "x / y", -10, 10, 0.1, 10),
    "power": ("x ** y", "powF(x, y)", 0.1, 10, 0.1, 10),
    "hypot": ("hypot(x, y)", "hypotF(x, y)", -10, 10, -10, 10),
    "atan2": ("atan2(x, y)", "atan2F(x, y)", -10, 10, -10, 10),
}

# Four elements a thread, read and written together, as a careful user would write it.
KERNEL = """
struct __align__(16) four { %(type)s v[4]; };
__device__ __forceinline__ %(type)s f(%(type)s x, %(type)s y) { return %(expression)s; }
extern "C" __global__ void peer(const four *__restrict__ a, const four *__restrict__ b, four *__restrict__ out, long long n)
{
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n)
        return;
    four x = a[i], r;
#if TWO
    four y = b[i];
#else
    four y = x;
#endif
    for (int k = 0; k < 4; k++)
        r.v[k] = f(x.v[k], y.v[k]);
    out[i] = r;
}
"""


def peer_of(cupy, expression, two, dtype):
    kind, suffix = ("float", "f") if dtype == np.float32 else ("double", "")
    source = KERNEL % {"type": kind, "expression": expression.replace("F(", suffix + "(")}
    kernel = cupy.RawModule(code=f"#define TWO {int(two)}\n" + source).get_function("peer")

    def run(x, y, out):
        n = x.size // 4
        kernel(((n + 255) // 256,), (256,), (x, y, out, np.int64(n)))
    return run


def timed(call, wait):
    wait()
    start = time.perf_counter()
    call()
    wait()
    return (time.perf_counter() - start) * 1e6


def apart(cupy, ours, theirs):
    """In parts, so that little memory is needed beside the arrays."""
    most = 0.0
    for i in range(0, ours.size, 1 << 24):
        a, b = ours[i:i + (1 << 24)].astype(np.float64), theirs[i:i + (1 << 24)].astype(np.float64)
        most = max(most, float(cupy.max(cupy.abs(a - b) / cupy.maximum(cupy.abs(b), 1.0))))
    return most


def filled(cupy, n, dtype, low, high):
    part = cupy.random.default_rng(1).random(min(n, 1 << 22), dtype=dtype) * dtype(high - low) + dtype(low)
    return cupy.tile(part, n // part.size)


def row(cupy, name, dtype, options):
    expression, cuda, low, high, *second = FUNCTIONS[name]
    n, wait = 1 << options.log2, cupy.cuda.Device().synchronize
    x = filled(cupy, n, dtype, low, high)
    y = filled(cupy, n, dtype, *second)[::-1].copy() if second else x
    ours, theirs = cupy.empty_like(x), cupy.empty_like(x)
    wait()
    program, peer = arex.compile(expression, target="cuda", fast=options.fast), peer_of(cupy, cuda, bool(second), dtype)
    given = [arex.asarray(a) for a in ([x, y] if second else [x])]
    out = arex.asarray(ours)
    calls = [lambda: program.into(given, out), lambda: peer(x, y, theirs)]
    for call in calls * 2:
        call()
        wait()
    rounds = [[timed(call, wait) for call in calls] for _ in range(options.rounds)]
    us, cuda_us = (statistics.median(column) for column in zip(*rounds))
    ratio = statistics.median(a / b for a, b in rounds)
    print(f"| `{name}` | {np.dtype(dtype).name} | {us:.1f} | {cuda_us:.1f} | {ratio:.2f} | {apart(cupy, ours, theirs):.0e} |", flush=True)
    return ratio


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log2", type=int, default=28, help="elements, as a power of two")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--fast", action="store_true")
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in FUNCTIONS]
    if unknown:
        parser.error(f"no such function: {', '.join(unknown)}; there are {', '.join(FUNCTIONS)}")
    if arex.device_count() == 0:
        sys.exit("no NVIDIA GPU is found")
    try:
        import cupy
    except ImportError:
        sys.exit("CuPy is not installed: CUDA's functions are compiled by it")
    device = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    print(f"{device}, CUDA {cupy.cuda.nvrtc.getVersion()}, CuPy {cupy.__version__}, 2^{options.log2} elements{', fast mode' if options.fast else ''}\n")
    print("| function | dtype | Arex, us | CUDA, us | ratio | apart |\n| --- | --- | ---: | ---: | ---: | ---: |")
    ratios = [(row(cupy, name, dtype, options), name, np.dtype(dtype).name) for name in options.names or FUNCTIONS for dtype in (np.float32, np.float64)]
    over = [f"{name} {dtype} {ratio:.2f}" for ratio, name, dtype in sorted(ratios, reverse=True) if ratio > 1.1]
    print(f"\n{len(ratios) - len(over)} of {len(ratios)} within 1.1 of CUDA's{': beyond it ' + ', '.join(over) if over else ''}")


if __name__ == "__main__":
    main()
