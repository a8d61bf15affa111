"""Runs arex_bench and puts NumPy beside it: one table for the CPU and, where there is one, for the GPU.

    ./dev bench            prints the tables (arguments go to arex_bench: --seconds S, --threads N)
Ratios are what counts: `of ceiling` is the time of the hand-written loop (the device's copy on a GPU) over ours, `NumPy`
is NumPy's time over ours, in the same run on the same machine. Results are checked against NumPy in float64 first.
"""
import datetime
import json
import platform
import subprocess
import sys
import time

import numpy as np

import arex

PROGRAM = sys.argv[1]


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


NUMPY = {
    "sum(x*x)": (1, lambda x: np.sum(x * x)),
    "2*x+3*y": (2, lambda x, y: 2 * x + 3 * y),
    "sin(x)**2+cos(x)**2": (1, lambda x: np.sin(x) ** 2 + np.cos(x) ** 2),
    "black-scholes": (3, black_scholes),
}


def numpy_seconds(name, dtype, n):
    count, function = NUMPY[name]
    rng = np.random.default_rng(1)
    args = [(0.5 + rng.random(n)).astype(dtype) for _ in range(count)]
    times = []
    for _ in range(3 if n > 1 << 20 else 11):
        start = time.perf_counter()
        function(*args)
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]


def check(target):
    rng = np.random.default_rng(2)
    for name, (count, function) in NUMPY.items():
        if name == "black-scholes":
            continue  # samples/black_scholes.arex is checked by the tests
        args = dict(zip("xyz", (0.5 + rng.random(100003) for _ in range(count))))
        got = arex.compile(name, target=target)(**args)
        np.testing.assert_allclose(got, function(*args.values()), rtol=1e-12)


STAGES = ("parse", "sema", "loop", "emit", "backend", "load")


def speed_row(r):
    ceiling = f"{r['ceiling'] / r['seconds']:.2f}" if r["ceiling"] else "-"
    ratio = f"{numpy_seconds(r['name'], r['dtype'], r['n']) / r['seconds']:.1f}x" if r["n"] <= 1 << 26 else "-"
    return (f"{r['name']:20} {r['dtype']:8}{r['n']:10}{r['seconds'] * 1e6:10.1f}{r['bytes'] / r['seconds'] / 1e9:7.0f}"
            f"{ceiling:>11}{ratio:>9}")


def table(target):
    check(target)
    out = subprocess.run([PROGRAM, "--target", target, *sys.argv[2:]], check=True, capture_output=True, text=True).stdout
    rows = [json.loads(line) for line in out.splitlines()]
    print(f"\n{target}\n{'program':20} {'dtype':8}{'n':>10}{'us':>10}{'GB/s':>7}{'of ceiling':>11}{'NumPy':>9}")
    for r in rows:
        print(speed_row(r), flush=True)
    print(f"\n{target}: text to callable, and its stages in us\n{'program':20} {'dtype':8}{'ready ms':>9}" + "".join(f"{s:>9}" for s in STAGES))
    for name, dtype in dict.fromkeys((r["name"], r["dtype"]) for r in rows):
        same = [r for r in rows if (r["name"], r["dtype"]) == (name, dtype)]
        r = sorted(same, key=lambda r: r["ready_ms"])[len(same) // 2]
        print(f"{name:20} {dtype:8}{r['ready_ms']:9.2f}" + "".join(f"{r[s + '_us']:9.0f}" for s in STAGES))


if __name__ == "__main__":
    arex.show_config()
    print(datetime.date.today(), platform.platform(), "NumPy", np.__version__)
    table("cpu")
    try:
        arex.evaluate("x + 1", {"x": 1.0}, target="cuda")
    except arex.ArexError:
        print("\nno GPU here")
    else:
        table("cuda")
