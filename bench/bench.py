"""Runs arex_bench and puts NumPy beside it: one table for the CPU and, where there is one, for the GPU.

    ./dev bench                 prints the tables (arguments go to arex_bench: --seconds S, --threads N, --only PROGRAM, --size N)
    ./dev bench --generators    a GPU's kernels by both code generators instead: time, registers (where ptxas is), compilation
    ./dev bench --price         strict mode's price instead: each program in strict and in fast mode, and how far apart the results are
Ratios are what counts: `of ceiling` is the time of the hand-written loop (the device's copy on a GPU) over ours, `NumPy`
is NumPy's time over ours, in the same run on the same machine. Results are checked against NumPy in float64.
"""
import datetime
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time

import numpy as np

import arex

PROGRAM = sys.argv[1]
OPTIONS = [o for o in sys.argv[2:] if o not in ("--generators", "--price")]
PTXAS = shutil.which("ptxas") or shutil.which("ptxas", path=os.path.join(os.environ.get("CUDA_HOME", "/usr/local/cuda"), "bin"))


def cdf(d):
    k = 1 / (1 + 0.2316419 * np.abs(d))
    p = ((((1.330274429 * k - 1.821255978) * k + 1.781477937) * k - 0.356563782) * k + 0.319381530) * k
    tail = 0.3989422804014327 * np.exp(-0.5 * d * d) * p
    return np.where(d > 0, 1 - tail, tail)


def black_scholes(x, y, z):
    root = 0.3 * np.sqrt(z)
    d1 = (np.log(x / y) + (0.02 + 0.045) * z) / root
    call = x * cdf(d1) - y * np.exp(-0.02 * z) * cdf(d1 - root)
    return call, call - x + y * np.exp(-0.02 * z)


def softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def layer_norm(x):
    c = x - x.mean(1, keepdims=True)
    return c / np.sqrt((c * c).mean(1, keepdims=True) + 1e-5)


# inputs, their rank, what NumPy does
NUMPY = {
    "sum(x*x)": (1, 1, lambda x: np.sum(x * x)),
    "sqrt(sum((x-y)**2))": (2, 1, lambda x, y: np.sqrt(np.sum((x - y) ** 2))),
    "2*x+3*y": (2, 1, lambda x, y: 2 * x + 3 * y),
    "sin(x)": (1, 1, np.sin),
    "sin(x)**2+cos(x)**2": (1, 1, lambda x: np.sin(x) ** 2 + np.cos(x) ** 2),
    "black-scholes": (3, 1, black_scholes),
    "cumsum(x)": (1, 1, np.cumsum),
    "sum(x, 1)": (1, 2, lambda x: x.sum(1)),
    "sum(x, 0)": (1, 2, lambda x: x.sum(0)),
    "softmax": (1, 2, softmax),
    "layer norm": (1, 2, layer_norm),
}


def arguments(name, n, seed):
    count, rank, _ = NUMPY[name]
    rng = np.random.default_rng(seed)
    shape = (n,) if rank == 1 else (round(n**0.5),) * 2
    return [0.5 + rng.random(shape) for _ in range(count)]


def numpy_seconds(name, dtype, n):
    function = NUMPY[name][2]
    args = [a.astype(dtype) for a in arguments(name, n, 1)]
    times = []
    for _ in range(3 if n > 1 << 20 else 11):
        start = time.perf_counter()
        function(*args)
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]


def check(rows, target):
    """The very programs that are timed, on smaller arrays."""
    for name, source in {r["name"]: r["source"] for r in rows}.items():
        args = arguments(name, 100003, 2)
        got = arex.compile(source, target=target)(**dict(zip("xyz", args)))
        for g, w in zip(*(v if isinstance(v, tuple) else (v,) for v in (got, NUMPY[name][2](*args)))):
            np.testing.assert_allclose(g, w, rtol=1e-9, atol=1e-12, err_msg=name)


STAGES = ("parse", "sema", "loop", "emit", "backend", "load")


def speed_row(r):
    ceiling = f"{r['ceiling'] / r['seconds']:.2f}" if r["ceiling"] else "-"
    ratio = f"{numpy_seconds(r['name'], r['dtype'], r['n']) / r['seconds']:.1f}x" if r["n"] <= 1 << 26 else "-"
    return (f"{r['name']:20} {r['dtype']:8}{r['n']:10}{r['seconds'] * 1e6:10.1f}{r['bytes'] / r['seconds'] / 1e9:7.0f}"
            f"{ceiling:>11}{ratio:>9}")


def table(target):
    out = subprocess.run([PROGRAM, "--target", target, *OPTIONS], check=True, capture_output=True, text=True).stdout
    rows = [json.loads(line) for line in out.splitlines()]
    check(rows, target)
    print(f"\n{target}\n{'program':20} {'dtype':8}{'n':>10}{'us':>10}{'GB/s':>7}{'of ceiling':>11}{'NumPy':>9}")
    for r in rows:
        print(speed_row(r), flush=True)
    print(f"\n{target}: text to callable, and its stages in us\n{'program':20} {'dtype':8}{'ready ms':>9}" + "".join(f"{s:>9}" for s in STAGES))
    for name, dtype in dict.fromkeys((r["name"], r["dtype"]) for r in rows):
        same = [r for r in rows if (r["name"], r["dtype"]) == (name, dtype)]
        r = sorted(same, key=lambda r: r["ready_ms"])[len(same) // 2]
        print(f"{name:20} {dtype:8}{r['ready_ms']:9.2f}" + "".join(f"{r[s + '_us']:9.0f}" for s in STAGES))


# ---- the two code generators ----


def registers(row, arch):
    """Of each kernel in order, as ptxas counts them."""
    if not PTXAS:
        return "-"
    program = arex.compile(row["source"], codegen=row["codegen"])
    with tempfile.NamedTemporaryFile("w", suffix=".ptx") as file:
        file.write(program.emit("ptx", types=", ".join(f"{i}={row['dtype']}[{', '.join(':' * row['rank'])}]" for i in program.inputs), arch=arch))
        file.flush()
        told = subprocess.run([PTXAS, "-v", f"-arch={arch}", file.name, "-o", os.devnull], check=True, capture_output=True, text=True)
    return " ".join(re.findall(r"Used (\d+) registers", told.stdout + told.stderr))


def device_arch():
    shown = subprocess.run([sys.executable, "-c", "import arex; arex.show_config()"], check=True, capture_output=True, text=True).stdout
    return re.search(r"\bsm_\d+\b", shown)[0]


def generators_row(pair, arch):
    a, b = pair["nvptx"], pair["nvvm"]
    return (f"{a['name']:20} {a['dtype']:8}{a['n']:10}{a['seconds'] * 1e6:11.1f}{b['seconds'] * 1e6:11.1f}{a['seconds'] / b['seconds']:7.2f}"
            f"{registers(a, arch):>16}{registers(b, arch):>16}{a['ready_ms']:10.1f}{b['ready_ms']:10.1f}{a['backend_us'] / 1e3:10.1f}{b['backend_us'] / 1e3:10.1f}")


def generators():
    """Each case by one and then the other, in one process. The ratio is above 1 where libNVVM's kernel is the faster one."""
    arch, pairs = device_arch(), {}
    out = subprocess.run([PROGRAM, "--target", "cuda", "--codegen", "both", *OPTIONS], check=True, capture_output=True, text=True).stdout
    for row in map(json.loads, out.splitlines()):
        pairs.setdefault((row["name"], row["dtype"], row["n"]), {})[row["codegen"]] = row
    print(f"\n{arch}\n{'':38}{'time in us':>29}{'registers':>32}{'until callable, ms':>20}{'the generator, ms':>20}")
    print(f"{'program':20} {'dtype':8}{'n':>10}" + f"{'nvptx':>11}{'nvvm':>11}{'ratio':>7}" + f"{'nvptx':>16}{'nvvm':>16}" + f"{'nvptx':>10}{'nvvm':>10}" * 2)
    for pair in pairs.values():
        print(generators_row(pair, arch), flush=True)


# ---- strict mode and fast mode ----


def apart(row):
    """The largest difference of results, relative to the largest of them, over inputs of 100003 elements."""
    args = {k: a.astype(row["dtype"]) for k, a in zip("xyz", arguments(row["name"], 100003, 3))}
    strict, fast = (arex.compile(row["source"], target=row["target"], fast=f)(**args) for f in (False, True))
    pairs = zip(*(v if isinstance(v, tuple) else (v,) for v in (strict, fast)))
    return max(float(np.max(np.abs(np.float64(s) - f)) / np.max(np.abs(np.float64(s)))) for s, f in pairs)


def price(target):
    """The least of all calls of three rounds: a machine has other work too."""
    pairs = {}
    for _ in range(3):
        out = subprocess.run([PROGRAM, "--target", target, "--mode", "both", *OPTIONS], check=True, capture_output=True, text=True).stdout
        for row in map(json.loads, out.splitlines()):
            modes = pairs.setdefault((row["name"], row["dtype"], row["n"]), {})
            modes[row["mode"]] = min(modes.get(row["mode"], row | {"target": target}), row | {"target": target}, key=lambda r: r["seconds"])
    print(f"\n{target}\n{'program':20} {'dtype':8}{'n':>10}{'strict us':>11}{'fast us':>11}{'price':>7}{'apart':>9}")
    for (name, dtype, n), pair in pairs.items():
        a, b = pair["strict"], pair["fast"]
        print(f"{name:20} {dtype:8}{n:10}{a['seconds'] * 1e6:11.1f}{b['seconds'] * 1e6:11.1f}{a['seconds'] / b['seconds']:7.2f}{apart(a):9.0e}", flush=True)


if __name__ == "__main__" and "--price" in sys.argv:
    arex.show_config()
    print(datetime.date.today(), platform.platform())
    price("cuda" if arex.device_count() else "cpu")
elif __name__ == "__main__" and "--generators" in sys.argv:
    arex.show_config()
    print(datetime.date.today(), platform.platform())
    generators()
elif __name__ == "__main__":
    arex.show_config()
    print(datetime.date.today(), platform.platform(), "NumPy", np.__version__)
    table("cpu")
    try:
        arex.evaluate("x + 1", {"x": 1.0}, target="cuda")
    except arex.ArexError:
        print("\nno GPU here")
    else:
        table("cuda")
