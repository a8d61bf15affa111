"""What notebooks and consoles show of arrays and programs."""
import warnings

import numpy as np
import pytest

import arex

warnings.simplefilter("ignore", arex.ArexWarning)


def shown(values):
    return arex.asarray(values)._repr_html_()


def test_array():
    page = shown(np.arange(6.0))
    for part in ("<b>shape</b> (6,)", "<b>dtype</b> float64", "<b>device</b> c", "<b>bytes</b> 48", "<b>min</b> 0", "<b>max</b> 5", "<b>mean</b> 2.5", "<td>3</td>"):
        assert part in page
    assert "…" not in page


def test_ends_of_large_arrays():
    page = shown(np.arange(200).reshape(10, 20))
    assert "<td>2</td><td>…</td><td>17</td>" in page and page.count("⋮") == 1
    assert "<td>199</td>" in page and "<td>63</td>" not in page
    page = shown(np.arange(24).reshape(2, 3, 4))
    assert "of [0, :, :]" in page and "<td>11</td>" in page and "<td>12</td>" not in page


@pytest.mark.parametrize("values", [np.zeros((0, 3)), np.array(2.5), np.array([True, False]), np.float32([np.nan]), np.zeros(3, np.float16), np.zeros((1,) * 8)])
def test_any_array(values):
    page = shown(values)
    assert f"<b>shape</b> {values.shape}" in page
    assert repr(arex.asarray(values)).startswith(f"<arex.Array shape={values.shape} dtype={values.dtype} ")


def test_a_preview_brings_few_elements(monkeypatch):
    got = []
    plain = arex.Array.get
    monkeypatch.setattr(arex.Array, "get", lambda self, out=None: got.append(self.size) or plain(self, out))
    shown(np.zeros((3, 1000, 1000)))
    shown(np.zeros(1_000_000))
    assert got == [1, 1, 1, 36, 1, 1, 1, 6]  # min, max and mean, then the ends
    got.clear()
    repr(arex.asarray(np.zeros(1000)) + 1)
    assert got == []


def test_program():
    pytest.importorskip("IPython")
    from IPython.lib.pretty import pretty
    program = arex.compile("a < sum(x)")
    text = pretty(program)
    assert "sum" in text and "bool[a.0]" in text and "kernels=2" in text and "a < sum(x)" in text
    page = program._repr_html_()
    assert "a &lt; sum(x)" in page and "<summary>plan</summary>" in page
    assert "AX0" in pretty(arex.compile("kernel k(a, out) { i = grid(1); out[i] = a*2 }"))  # what types it lacks, and no exception
