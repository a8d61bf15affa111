"""In a kernel as Spyder starts it: scripts run and run again (its reloader of the user's modules is on), the Variable Explorer looks at results,
the magics, Ctrl-C, a restart."""
import ast
import os
import sys
import threading
import time

import pytest

pytest.importorskip("spyder_kernels")
manager_of = pytest.importorskip("jupyter_client.manager").KernelManager

SETTINGS = ("dict(check_all=False, exclude_private=True, exclude_uppercase=False, exclude_capitalized=False, exclude_unsupported=False, "
            "exclude_callables_and_modules=False, minmax=False, remote_editing=False, autorefresh=False, excluded_names=[], "
            "show_callable_attributes=True, show_special_attributes=False, filter_on=True)")

MODULE = """
from arex import jit

@jit(nopython=True)
def scaled(x):
    total = 0.0
    for i in range(len(x)):
        total += FACTOR * x[i]
    return total
"""

SCRIPT = """
import numpy as np
import arex as cp
import arex
from helpers_of_mine import scaled
x = np.arange(4.0)
d = cp.asarray(x) * 2
f = arex.compile("sum(x*x)")
s = f(x)
t = scaled(x)
"""


class Kernel:
    def __init__(self, folder):
        self.folder, self.manager = folder, manager_of()
        self.manager.kernel_spec.argv = [sys.executable, "-m", "spyder_kernels.console", "-f", "{connection_file}"]
        self.manager.kernel_spec.env = {}
        self.manager.start_kernel(cwd=str(folder), env={**os.environ, "SPY_UMR_ENABLED": "True", "SPY_UMR_VERBOSE": "True", "PYTHONWARNINGS": "ignore"})
        self.listen()

    def listen(self):
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def run(self, code, timeout=60):
        """(what was printed, what was shown by type, the error's name or None)"""
        printed, shown, error = [], {}, []

        def hook(message):
            content = message["content"]
            if message["msg_type"] == "stream":
                printed.append(content["text"])
            elif message["msg_type"] in ("execute_result", "display_data"):
                shown.update(content["data"])
            elif message["msg_type"] == "error":
                error.append(content["ename"])
        self.client.execute_interactive(code, timeout=timeout, output_hook=hook)
        return "".join(printed), shown, error[0] if error else None

    def value(self, expression):
        return ast.literal_eval(self.run(expression)[1]["text/plain"])

    def stop(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    kernel = Kernel(tmp_path_factory.mktemp("spyder"))
    yield kernel
    kernel.stop()


def write(kernel, factor, script=SCRIPT):
    (kernel.folder / "helpers_of_mine.py").write_text(MODULE.replace("FACTOR", f"{factor:.1f}"))
    (kernel.folder / "script.py").write_text(script)


def test_run_and_run_again(kernel):
    write(kernel, 1)
    printed, _, error = kernel.run("%runfile script.py --wdir")
    assert error is None, printed
    assert kernel.value("float(s), float(t), d.get().tolist()") == (14.0, 6.0, [0.0, 2.0, 4.0, 6.0])
    write(kernel, 25)
    printed, _, error = kernel.run("%runfile script.py --wdir")
    assert error is None and "helpers_of_mine" in printed  # reloaded
    assert kernel.value("float(t)") == 150.0
    assert kernel.value("isinstance(d, cp.Array), type(f).__module__") == (True, "arex.program")
    for factor in (2, 3):
        write(kernel, factor, SCRIPT + "t = t + scaled(d.get())\n")
        assert kernel.run("%runfile script.py --wdir")[2] is None
        assert kernel.value("float(t)") == 18.0 * factor


def test_variable_explorer(kernel):
    write(kernel, 1)
    assert kernel.run("%runfile script.py --wdir")[2] is None
    assert kernel.run("%reload_ext arex\n%arex sum(x)")[2] is None
    kernel.run(f"get_ipython().kernel.namespace_view_settings = {SETTINGS}")
    view = kernel.value("{k: (v['type'], str(v['size']), v['view']) for k, v in get_ipython().kernel.get_namespace_view().items() if k in 'xdfst'}")
    assert view["x"][2].startswith("[0. 1. 2. 3.]")
    assert view["d"] == ("array.Array", "(4,)", "Array object of arex.array module")  # Spyder names objects that it has no editor for
    assert "Program" in view["f"][0]
    assert "14.0" in view["s"][2]


def test_magics_and_displays(kernel):
    kernel.run("import numpy as np, arex\nx = np.arange(4.0)")
    printed, shown, error = kernel.run("%load_ext arex")
    assert error is None
    assert "14.0" in kernel.run("%arex sum(x*x)")[1]["text/plain"]
    printed, shown, error = kernel.run("%%arex\nz = x*3\nreturn z, max(z)")
    assert "9.0" in shown["text/plain"] and kernel.value("z.tolist()") == [0.0, 3.0, 6.0, 9.0]
    assert "^~" in kernel.run("%arex summ(x)")[0]
    assert "libarex" in kernel.run("%arex_doctor")[0]
    assert "<b>shape</b> (4,)" in kernel.run("arex.asarray(x)")[1]["text/html"]
    shown = kernel.run("arex.compile('sum(x)')")[1]
    assert "plan" in shown["text/html"] and "kernels=1" in shown["text/plain"]


LONG = """
import numpy as np, arex
slow = arex.compile("def f(v) { s = 0.0; for i in range(2000) { s += sin(v + i) }; return s }\\nf(x)", target="cpu")
slow(np.zeros(40_000_000))
"""


def test_interrupt_and_restart(kernel):
    threading.Timer(3, kernel.manager.interrupt_kernel).start()
    began = time.monotonic()
    assert kernel.run(LONG, timeout=120)[2] == "KeyboardInterrupt"
    assert time.monotonic() - began < 60
    assert kernel.value("float(slow(np.zeros(1))[0]) == float(slow(np.zeros(2))[1])")  # and goes on
    kernel.client.stop_channels()
    kernel.manager.restart_kernel(now=False)
    kernel.listen()
    assert kernel.run("slow")[2] == "NameError"
    write(kernel, 1)
    assert kernel.run("%runfile script.py --wdir")[2] is None
    assert kernel.value("float(s)") == 14.0
