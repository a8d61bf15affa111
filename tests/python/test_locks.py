"""Many threads on the same arrays, programs and caches, with the GIL and without it; and locks that a fork finds held."""
import collections
import os
import sys
import threading
import warnings

import numpy as np
import pytest

import arex

LOCKS = sys.modules["arex.locks"]


@pytest.fixture(autouse=True)
def quiet():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", arex.ArexWarning)
        yield
    sys.setswitchinterval(before)


def together(work, n=8):
    """`work(i)` in n threads at once; what any of them raises."""
    wrong, gate = [], threading.Barrier(n)

    def run(i):
        gate.wait()
        try:
            work(i)
        except BaseException as error:  # noqa: BLE001
            wrong.append(error)
    threads = [threading.Thread(target=run, args=(i,)) for i in range(n)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    if wrong:
        raise wrong[0]


def test_one_program():
    program, x = arex.compile("sum(x*x) + y"), np.arange(1000.0)

    def work(i):
        for k in range(300):
            assert program(x, k) == np.sum(x * x) + k
            y = program(x[:i + 2], float(i))
            assert y == np.sum(x[:i + 2] ** 2) + i
    together(work)


def test_first_calls_compile_in_all_of_them():
    for k in range(6):
        program = arex.compile(f"a*{k} + b")

        def work(i):
            dtype = [np.float32, np.float64, np.int32, np.int64][i % 4]
            assert program(np.ones(3, dtype), np.ones(3, dtype)).tolist() == [k + 1] * 3
        together(work)


def test_evaluate_and_its_cache():
    def work(i):
        for k in range(80):
            a = np.full(4, float(k))
            assert arex.evaluate(f"a + {(k * 7 + i) % 330}").tolist() == [k + (k * 7 + i) % 330] * 4
            assert arex.re_evaluate().tolist() == [k + (k * 7 + i) % 330] * 4
    together(work, 6)
    assert len(sys.modules["arex.evaluating"]._programs) <= 256


shared = np.zeros(50)


def test_names_that_others_change():
    """evaluate finds a global's value while other threads bind it anew, and the old one is dropped."""
    def work(i):
        global shared
        for k in range(400):
            if i % 2:
                shared = np.full(50, float(k))
            else:
                got = arex.evaluate("shared + 1")
                assert (got == got[0]).all()
    together(work)


def test_what_is_put_off_and_shared():
    """Arrays that all threads need first: one or several compute them, and all see the same."""
    x = np.linspace(0, 1, 500)
    for _ in range(60):
        a = arex.asarray(x)
        b = np.sin(a) * 2
        c = b + a
        want = np.sin(x) * 2 + x

        def work(i):
            got = [c, b + i, c * 1 - b, c][i % 4]
            expected = [want, np.sin(x) * 2 + i, x, want][i % 4]
            np.testing.assert_allclose(got.get(), expected, rtol=1e-12, atol=1e-12)
            assert got.shape == (500,) and (c.dtype, b.ndim) == (np.float64, 1)
        together(work)


def test_arrays_of_their_own():
    def work(i):
        for k in range(60):
            a = arex.asarray(np.arange(20.0))
            late = a + 1
            a[a > 10] = -1
            a[2:5] = k
            a += i
            assert float(late.sum()) == 210 and float(a[3]) == k + i
            del a, late
    together(work)


@arex.jit
def total(v):
    result = 0.0
    for i in range(len(v)):
        result += v[i]
    return result


@arex.cuda.jit
def double(v, out):
    i = arex.cuda.grid(1)
    if i < len(v):
        out[i] = v[i] * 2


def test_functions_and_kernels():
    def work(i):
        x = np.arange(300.0) + i
        out = np.zeros(300)
        for _ in range(100):
            assert total(x) == x.sum()
            double[3, 128](x, out)
            assert np.array_equal(out, 2 * x)
    together(work)


def test_random_numbers_are_drawn_once():
    g = arex.random.Generator(5, 1)
    want = np.sort(arex.asnumpy(arex.random.Generator(5, 1).random(8 * 40 * 16)))
    drawn = []
    together(lambda i: [drawn.append(arex.asnumpy(g.random(16))) for _ in range(40)])
    np.testing.assert_array_equal(np.sort(np.concatenate(drawn)), want)


def test_errors_reach_their_threads():
    program = arex.compile("x[i]")

    def work(i):
        for k in range(100):
            with pytest.raises(arex.ArexError, match=f"index {i + 9} "):
                program(np.arange(3.0), i + 9)
    together(work)


def test_recent():
    """The last ones asked for stay."""
    for kind in (collections.OrderedDict, LOCKS._Locked):
        kept = kind()
        for i in range(4):
            kept[i] = i
        kept.move_to_end(0)
        assert kept.popitem(last=False) == (1, 1) and list(kept) == [2, 3, 0] and kept.get(9) is None
    many = LOCKS._Locked()

    def work(i):
        for k in range(2000):
            many[k % 50] = i
            many.get(k % 7)
            try:
                many.move_to_end((k + i) % 50)
            except KeyError:
                pass
            if len(many) > 40:
                many.popitem(last=False)
    together(work)
    assert len(many) == len(list(many)) <= 50


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_while_a_lock_is_held():
    """The child goes on with what another thread of the parent was in the midst of."""
    held, done, gpu, right = threading.Event(), threading.Event(), arex.device_count() > 0, False

    def hold():
        with sys.modules["arex.program"]._lock, sys.modules["arex.evaluating"]._lock, sys.modules["arex.stored"]._state, total._lock:
            held.set()
            done.wait(30)
    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = os.fork()
    if not child:
        import faulthandler
        faulthandler.dump_traceback_later(20, exit=True)
        try:  # on the CPU: CUDA does not go through a fork
            right = arex.evaluate("1 + 2 + 30 + 400", target="cpu") == 433 and (gpu or float((arex.asarray(np.ones(3)) + 1).sum()) == 6) and total(np.ones(4)) == 4
        finally:
            os._exit(0 if right else 1)
    status = os.waitpid(child, 0)[1]
    done.set()
    thread.join()
    assert status == 0


def test_the_gil_stays_off():
    """On a Python without it, importing the package does not bring it back."""
    if not hasattr(sys, "_is_gil_enabled"):
        pytest.skip("every Python of this version has the GIL")
    import sysconfig
    if not sysconfig.get_config_var("Py_GIL_DISABLED"):
        pytest.skip("this Python has the GIL")
    import subprocess
    said = subprocess.run([sys.executable, "-W", "error::RuntimeWarning", "-c", "import sys; import numpy, cffi, _cffi_backend; before = sys._is_gil_enabled(); import arex; print(before, sys._is_gil_enabled())"], capture_output=True, text=True, env={k: v for k, v in os.environ.items() if k != "PYTHON_GIL"})
    assert said.stdout.split() == ["False", "False"], said.stdout + said.stderr
