"""Long calls end on Ctrl-C, tell how far they are, and say nothing on stderr."""
import logging
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import arex
from arex.watching import ffi, tell

LONG = "def f(v) { s = 0.0; for i in range(2000) { s += sin(v + i) }; return s }\nf(x)"


def interrupted(call, after=0.4):
    timer = threading.Timer(after, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    began = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            call()
    finally:
        timer.cancel()
    return time.monotonic() - began


@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c(threads):
    program = arex.compile(LONG, target="cpu", threads=threads)
    program(np.zeros(64))
    x = np.linspace(0, 1, 40_000_000)  # more than a minute of work
    assert interrupted(lambda: program(x)) < 30
    assert program(np.zeros(1))[0] == program(np.zeros(3))[2]  # nothing is left over


def test_ctrl_c_the_long_way():
    program = arex.compile(LONG, target="cpu")
    x = arex.asarray(np.linspace(0, 1, 10_000_000)) if not arex.device_count() else np.linspace(0, 1, 10_000_000)
    assert interrupted(lambda: program._call(x)) < 30


@arex.jit
def endless(n):
    s = 0.0
    for i in range(n):
        for j in range(n):
            s += 1.0 / (i + j + 1)
    return s


@arex.cuda.jit
def endless_threads(out, n):
    i = arex.cuda.grid(1)
    if i < len(out):
        out[i] = endless(n)


@arex.cuda.jit
def endless_blocks(out, n):
    i = arex.cuda.grid(1)
    tile = arex.cuda.shared.array(32, np.float64)
    for k in range(n):
        tile[arex.cuda.threadIdx.x] += k
        arex.cuda.syncthreads()
    if i < len(out):
        out[i] = tile[0]


WAVES = arex.compile("def f(v) { s = 0.0; for i in range(1000000000) { s += sin(v + i) }; return s }\nf(x)", target="cpu")
STEPS = arex.compile("for k in range(2) { x = x + w }\ndef g(v) { while v < 1e300 { v += 1e-300 }; return v }\nsum(g(x))", target="cpu")


@pytest.mark.parametrize("call", [lambda: endless(10**6), lambda: WAVES(np.zeros(1)), lambda: WAVES(np.zeros(3), threads=2), lambda: WAVES(np.zeros(100_000)), lambda: WAVES(np.zeros(100_000), threads=1),
                                  lambda: STEPS(np.zeros(2), 1.0)], ids=["a loop over loops", "one element", "two threads", "many", "many, alone", "a sum"])
def test_ctrl_c_inside_of_loops(call):
    """More than minutes of rounds in one piece of work: they are asked now and then."""
    assert interrupted(call) < 3
    assert endless(3) == pytest.approx(sum(1 / (i + j + 1) for i in range(3) for j in range(3)))  # nothing is left over


@pytest.mark.skipif(arex.device_count() > 0, reason="kernels run on the GPU here")
@pytest.mark.filterwarnings("ignore::arex.errors.ArexWarning")
@pytest.mark.parametrize("kernel", [endless_threads, endless_blocks], ids=["threads", "barriers"])
@pytest.mark.parametrize("blocks", [1, 10])
def test_ctrl_c_inside_of_kernels(kernel, blocks):
    out = np.zeros(300)
    assert interrupted(lambda: kernel[blocks, 32](out, 2**30 - 1)) < 3
    kernel[10, 32](out, 2)
    assert np.all(out == out[0]) and out[0] > 0


def test_loops_are_given_up_as_before():
    """After the last look before max_rounds there is one at it, whatever it is a multiple of."""
    for most in (1, 2, 65535, 65536, 65537, 200_000):
        program = arex.compile("def f(n) { i = 0; while i < n { i += 1 }; return i }\nf(n)", target="cpu", max_rounds=most)
        assert program(most) == most and program(np.full(9, most)).tolist() == [most] * 9
        with pytest.raises(arex.ArexError, match=f"given up after {most} rounds"):
            program(most + 1)


class Bar:
    """tqdm's protocol."""
    made = []

    def __init__(self, total, unit, desc=None):
        self.total, self.desc, self.seen, self.closed = total, desc, [], False
        Bar.made.append(self)

    def update(self, n):
        assert not self.closed and n >= 0
        self.seen.append(n)

    def close(self):
        self.closed = True


@pytest.fixture
def bars():
    Bar.made = []
    return Bar.made


def medium(seconds=0.6):
    """A program and its input that take about so long on one thread."""
    program = arex.compile(LONG.replace("2000", "400"), target="cpu", threads=1)
    program(np.zeros(1))
    n = 65536
    while True:
        x = np.zeros(n)
        began = time.monotonic()
        program(x)
        took = time.monotonic() - began
        if took > 0.1:
            return program, np.zeros(int(n * max(1, seconds / took)))
        n *= 2


def test_progress(bars):
    program, x = medium()
    with arex.progress(Bar, desc="sines"):
        program(x)
    (bar,) = bars
    assert bar.closed and bar.desc == "sines" and bar.total == 100
    assert sum(bar.seen) == 100 and len(bar.seen) >= 3
    with arex.progress(Bar):
        program(x[:1])
    assert len(bars) == 1  # short calls make no bar
    program(x)
    assert len(bars) == 1  # nor does anything outside


def test_progress_of_two_calls_and_of_one_that_ends_early(bars):
    program, x = medium()
    with arex.progress(Bar):
        program(x)
        program(x)
    assert [sum(b.seen) for b in bars] == [100, 100] and all(b.closed for b in bars)

    class Failing(Bar):
        def update(self, n):
            raise RuntimeError("no terminal")
    with pytest.raises(RuntimeError, match="no terminal"):
        with arex.progress(Failing):
            program(x)
    assert bars[-1].closed


def test_tqdm():
    tqdm = pytest.importorskip("tqdm")
    import io
    out = io.StringIO()
    program, x = medium()
    with arex.progress(tqdm.tqdm, file=out, desc="sines"):
        program(x)
    assert "sines" in out.getvalue() and "100%" in out.getvalue()


def test_other_threads_are_not_interrupted():
    program, x = medium()
    results = []
    thread = threading.Thread(target=lambda: results.append(program(x)))
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
    finally:
        thread.join()
    assert results[0].shape == x.shape


def test_logging(caplog, capfd):
    with caplog.at_level(logging.INFO, "arex"):
        text = ffi.new("char[]", b"a notice")
        tell(ffi.NULL, 1, text)
        tell(ffi.NULL, 0, ffi.new("char[]", b"an error"))
    assert [(r.name, r.levelname, r.message) for r in caplog.records] == [("arex", "INFO", "a notice"), ("arex", "ERROR", "an error")]
    assert capfd.readouterr().err == ""


SILENT = """
import warnings, numpy as np, arex
warnings.simplefilter("ignore")
for text, values in [("sum(x", ()), ("x[7]", (np.zeros(3),)), ("x + y", (np.zeros(3), np.zeros(4))), ("x // 0", (np.arange(3),)), ("2 ** x", (np.arange(-1, 3),))]:
    try:
        arex.compile(text)(*values)
    except arex.ArexError as error:
        assert error.code
try:
    arex.compile("x + 1", target="cuda")(np.zeros(3))
except arex.ArexError:
    pass
"""


def test_nothing_on_stderr():
    done = subprocess.run([sys.executable, "-c", SILENT], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
