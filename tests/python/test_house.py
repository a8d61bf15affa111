"""The rooms of the house may be entered in one direction only: the #include lines are read and held against this map."""
import pathlib
import re
import shutil
import subprocess

import pytest

from arex._lib import library_path

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

# room -> rooms it may include besides itself. ops.h (in ir) is the table of operators: the tree names them.
MAY = {
    "base": set(),
    "ast": {"base", "ir/ops.h"},
    "ir": {"base"},
    "sema": {"base", "ast", "ir"},
    "loop": {"base", "ir"},
    "codegen": {"base", "ir", "loop"},
    "backend": {"base", "ir", "loop", "codegen"},
    "api": {"base", "ast", "ir", "sema", "loop", "codegen/codegen.h", "runtime"},
    "runtime": {"base"},
    "cli": set(),
}
ROOMS = set(MAY) - {"runtime"}


def room_of(include):
    first = include.split("/")[0]
    return "runtime" if first in ("cpu", "cuda", "device.h") else first if first in ROOMS else None


def sources(room):
    top = ROOT / ("runtime" if room == "runtime" else f"src/{room}")
    return [p for p in top.rglob("*") if p.suffix in (".c", ".h")]


@pytest.mark.skipif(not (ROOT / "src").exists(), reason="no sources here")
@pytest.mark.parametrize("room", MAY)
def test_direction(room):
    files = sources(room)
    assert files
    for path in files:
        for include in re.findall(r'#include "([^"]+)"', path.read_text()):
            other = room_of(include)
            if other and other != room:
                assert other in MAY[room] or include in MAY[room], f"{path.name} includes {include}"


@pytest.mark.skipif(not (ROOT / "src").exists(), reason="no sources here")
def test_llvm_stays_behind_its_boundary():
    for room in set(MAY) - {"codegen", "backend"}:
        for path in sources(room):
            assert "llvm-c/" not in path.read_text(), path.name


@pytest.mark.skipif(not (ROOT / "src").exists() or not shutil.which("nm"), reason="no sources or no nm here")
def test_exports_are_the_public_header():
    header = re.sub(r"/\*.*?\*/", "", (ROOT / "include/arex/api.h").read_text(), flags=re.S)
    declared = set(re.findall(r"\b(arex_\w+)\(", header))
    symbols = subprocess.run(["nm", "-D", "--defined-only", library_path], capture_output=True, text=True, check=True).stdout
    assert {line.split()[-1].split("@")[0] for line in symbols.splitlines()} == declared


@pytest.mark.skipif(not shutil.which("readelf"), reason="no readelf here")
def test_library_needs_the_c_library_only():
    needed = re.findall(r"NEEDED.*\[(.*)\]", subprocess.run(["readelf", "-d", library_path], capture_output=True, text=True, check=True).stdout)
    assert set(needed) <= {"libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "ld-linux-x86-64.so.2"}
