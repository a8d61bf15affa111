"""%arex, %%arex and %arex_doctor in a shell of IPython's own."""
import numpy as np
import pytest

pytest.importorskip("IPython")
from IPython.core.interactiveshell import InteractiveShell  # noqa: E402


@pytest.fixture
def shell():
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "arex")
    shell.push({"x": np.arange(4.0), "k": 2})
    yield shell
    InteractiveShell.clear_instance()


def test_line(shell):
    assert shell.run_line_magic("arex", "sum(x*x) * k") == 28
    low, high = shell.run_line_magic("arex", "min(x), max(x)")
    assert (low, high) == (0, 3)
    assert shell.run_cell("y = %arex x + k").success and (shell.user_ns["y"] == np.arange(4) + 2).all()


def test_cell(shell):
    assert shell.run_cell_magic("arex", "", "def twice(v) = v + v\nz = twice(x)\nreturn z, sum(z)") == 12
    np.testing.assert_array_equal(shell.user_ns["z"], 2 * np.arange(4))


def test_errors_are_shown_and_change_nothing(shell, capsys):
    assert shell.run_line_magic("arex", "summ(x)") is None
    assert "^~~" in capsys.readouterr().out
    assert shell.run_line_magic("arex", "x + nowhere") is None
    assert "no value for nowhere" in capsys.readouterr().out
    assert shell.run_cell_magic("arex", "", "x = x +") is None
    np.testing.assert_array_equal(shell.user_ns["x"], np.arange(4))


def test_doctor(shell, capsys):
    shell.run_line_magic("arex_doctor", "")
    assert "libarex" in capsys.readouterr().out
