"""Every Python that is found, with the wheel alone: what `./dev wheel` has made works there, and so do the tests of the package. And what a
free-threaded one may load."""
import importlib.machinery
import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest

import arex  # noqa: F401

LIB = sys.modules["arex._lib"]
ROOT = pathlib.Path(__file__).resolve().parents[2]
WHEELS = sorted((ROOT / "build/dist").glob("*.whl"))
SUITES = ["test_forms", "test_array", "test_jit", "test_jit_meaning", "test_jit_complex", "test_kernels", "test_evaluating", "test_exchange", "test_fast", "test_processes", "test_random", "test_calls",
          "test_locks", "test_indexing", "test_composed"]


def pythons():
    """By name: those on the path, and where pyenv and uv put theirs; free-threaded ones too."""
    found = {}
    for minor in range(10, 15):
        for ending in ("", "t"):
            name = f"3.{minor}{ending}"
            places = [shutil.which(f"python{name}")] + [str(p) for pattern in (f".pyenv/versions/{name}/bin/python", f".pyenv/versions/3.{minor}.*{ending}/bin/python",
                                                                              f".local/share/uv/python/cpython-3.{minor}.*{'+freethreaded' if ending else ''}-linux-*/bin/python3")
                                                        for p in sorted(pathlib.Path.home().glob(pattern))]
            for place in filter(None, places):
                said = subprocess.run([place, "-c", "import sys, sysconfig; print(*sys.version_info[:2], sysconfig.get_config_var('Py_GIL_DISABLED') or 0)"], capture_output=True, text=True).stdout.split()
                if said == ["3", str(minor), "1" if ending else "0"]:
                    found[name] = place
                    break
    return found


def environment(name, python, *packages):
    """One with these and what the tests need, kept from run to run; skips where it cannot be had."""
    folder = ROOT / f"build/pythons/{name}"
    stamp, made = folder / "made", f"{WHEELS[0].name} {WHEELS[0].stat().st_mtime_ns}"
    if not stamp.exists() or stamp.read_text() != made:
        shutil.rmtree(folder, ignore_errors=True)
        for step in ([python, "-m", "venv", str(folder)], [str(folder / "bin/pip"), "install", "-q", "--only-binary", ":all:", "--disable-pip-version-check", *packages, "pytest", "joblib"]):
            done = subprocess.run(step, capture_output=True, text=True)
            if done.returncode:
                pytest.skip(f"no environment for Python {name}: {done.stderr[-300:]}")
        stamp.write_text(made)
    return folder / "bin/python"


@pytest.mark.skipif(len(WHEELS) != 1, reason="`./dev wheel` has not been run")
@pytest.mark.parametrize("name, python", [pytest.param(*p, id=p[0]) for p in (pythons() if WHEELS else {}).items()])
def test_the_wheel_everywhere(name, python, tmp_path):
    if name.endswith("t"):
        pytest.skip("the stable ABI is not for free-threaded Pythons: see below")
    there = environment(name, python, str(WHEELS[0]))
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "AREX_LIBRARY", "AREX_EXTENSION")}

    def run(*words):
        return subprocess.run([str(there), *map(str, words)], cwd=tmp_path, env=clean, capture_output=True, text=True)
    tried = run(ROOT / "tests/try_wheel.py")
    assert tried.returncode == 0 and f"the wheel works with Python {name}" in tried.stdout, tried.stdout + tried.stderr
    done = run("-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, *[ROOT / f"tests/python/{s}.py" for s in SUITES])
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout[-3000:]


FREE_SUITES = ["test_locks", "test_forms", "test_array", "test_indexing", "test_jit", "test_kernels", "test_evaluating", "test_processes", "test_random"]


@pytest.mark.skipif(len(WHEELS) != 1, reason="`./dev wheel` has not been run")
@pytest.mark.skipif(not shutil.which("cc"), reason="no compiler here")
@pytest.mark.parametrize("name, python", [pytest.param(*p, id=p[0]) for p in (pythons() if WHEELS else {}).items() if p[0].endswith("t")])
def test_without_the_gil(name, python, tmp_path):
    """The files of the wheel, whose extension is not loaded there; and with one that is made for this Python, as `pip install .` makes it."""
    there = environment(name, python, "numpy", "cffi")
    with zipfile.ZipFile(WHEELS[0]) as wheel:
        wheel.extractall(tmp_path)
    clean = {k: v for k, v in os.environ.items() if k not in ("AREX_LIBRARY", "AREX_EXTENSION")} | {"PYTHONPATH": str(tmp_path)}

    def run(*words):
        return subprocess.run([str(there), *map(str, words)], cwd=tmp_path, env=clean, capture_output=True, text=True)
    which = "import sys, arex.program; print(arex.program.extension is not None, sys._is_gil_enabled())"
    assert run("-c", which).stdout.split() == ["False", "False"]
    short = run("-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, ROOT / "tests/python/test_locks.py")
    assert short.returncode == 0 and " passed" in short.stdout, short.stdout[-3000:]
    includes = run("-c", "import numpy, sysconfig; print(sysconfig.get_path('include'), numpy.get_include(), sysconfig.get_config_var('EXT_SUFFIX'))").stdout.split()
    sources = sorted((ROOT / "python/arex").glob("_*.c"))
    made = subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-fvisibility=hidden", "-I", includes[0], "-isystem", includes[1], "-I", ROOT / "include", *sources, "-o", tmp_path / f"arex/_fast{includes[2]}"], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    assert run("-c", which).stdout.split() == ["True", "False"]
    done = run("-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, *[ROOT / f"tests/python/{s}.py" for s in FREE_SUITES])
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout[-3000:]


def test_the_stable_abi_is_for_some(monkeypatch, tmp_path):
    """A free-threaded Python has no ending for it, but loads every .so."""
    stable, own, other = (tmp_path / n for n in ("_fast.abi3.so", "_fast.cpython-313t-x86_64-linux-gnu.so", "_cffi.py"))
    assert LIB._fits(other)
    monkeypatch.setattr(importlib.machinery, "EXTENSION_SUFFIXES", [".cpython-313t-x86_64-linux-gnu.so", ".so"])
    assert not LIB._fits(stable) and LIB._fits(own)
    monkeypatch.setattr(importlib.machinery, "EXTENSION_SUFFIXES", [".cpython-312-x86_64-linux-gnu.so", ".abi3.so", ".so"])
    assert LIB._fits(stable) and not LIB._fits(own)
