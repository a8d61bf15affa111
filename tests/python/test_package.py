"""What is packed: lists that must agree, types that must hold, and the wheel where `./dev wheel` has made one."""
import ast
import importlib.util
import pathlib
import re
import subprocess
import sys
import zipfile

import cffi
import pytest

import arex
import arex.program
from arex._lib import library_path

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "python/arex"
needs_sources = pytest.mark.skipif(not (ROOT / "pyproject.toml").exists() or not (PACKAGE / "meson.build").exists(), reason="no sources here")


def found(pattern, path):
    return re.search(pattern, (ROOT / path).read_text(), re.M).group(1)


@needs_sources
def test_one_version():
    versions = {found(r"^\s*version: '([\d.]+)'", "meson.build"), found(r'^version = "([\d.]+)"', "pyproject.toml"), found(r'^  version: "([\d.]+)"', "conda/recipe.yaml"), arex.__version__}
    assert len(versions) == 1, versions


@needs_sources
def test_every_module_is_packed():
    listed = set(re.findall(r"'([\w.]+\.py[ied]?|py\.typed)'", (PACKAGE / "meson.build").read_text())) - {"_cffi.py"}  # made by the build
    assert {p.name for p in PACKAGE.iterdir() if p.suffix in (".py", ".pyi") or p.name == "py.typed"} == listed


@needs_sources
def test_requirements_agree():
    project = (ROOT / "pyproject.toml").read_text()
    for name in re.findall(r'"(\w+)>=', re.search(r"^dependencies = (.*)$", project, re.M).group(1)):
        need = re.search(rf'"{name}>=([\d.]+)"', project).group(1)
        assert f"    - {name} >={need}\n" in (ROOT / "conda/recipe.yaml").read_text().split("  run:")[1]
    pythons = re.findall(r"Python :: (3\.\d+)", project)
    assert pythons[0] == re.search(r'requires-python = ">=([\d.]+)"', project).group(1) and pythons == [f"3.{n}" for n in range(10, 15)]


@needs_sources
@pytest.mark.skipif(not importlib.util.find_spec("rattler_build"), reason="py-rattler-build is not installed")
def test_the_recipe_renders():
    import rattler_build
    variants = "".join(f"  - 3.{n}.*\n" for n in range(10, 15))
    config = rattler_build.VariantConfig.from_yaml(f"python:\n{variants}c_compiler: [gcc]\ncxx_compiler: [gxx]\nc_stdlib: [sysroot]\nc_stdlib_version: ['2.28']\n")
    made = [r.recipe.to_dict() for r in rattler_build.Stage0Recipe.from_file(str(ROOT / "conda/recipe.yaml")).render(config)]
    assert len(made) == 5 and all(r["package"]["version"] == arex.__version__ and "-Dllvm_config=" in r["build"]["script"] for r in made)
    assert all({"python", "numpy >=2", "cffi >=1.15"} <= set(r["requirements"]["run"]) and (ROOT / "conda" / r["source"][0]["path"] / "pyproject.toml").exists() for r in made)


@needs_sources
@pytest.mark.skipif(arex.program.extension is None, reason="the extension is not built")
def test_stub_of_the_extension():
    stub = ast.parse((PACKAGE / "_fast.pyi").read_text())
    names = {n.name for n in stub.body if isinstance(n, (ast.ClassDef, ast.FunctionDef))}
    assert names == {n for n in vars(arex.program.extension) if not n.startswith("__")}
    caller = next(n for n in stub.body if isinstance(n, ast.ClassDef))
    assert {n.name for n in caller.body if isinstance(n, ast.FunctionDef)} == {n for n in vars(arex.program.extension.Caller) if n not in ("__new__", "__doc__", "__module__")}


@needs_sources
def test_declarations_are_those_of_the_header():
    """What the build made of it, where it did."""
    header = cffi.FFI()
    header.cdef((ROOT / "include/arex/api.h").read_text())
    text = (ROOT / "include/arex/api.h").read_text()
    structs = re.findall(r"^typedef struct (\w+) \{", text, re.M)
    assert len(structs) > 5

    def fields(ffi):
        return {name: (ffi.sizeof(name), [(f, d.type.cname, d.offset) for f, d in ffi.typeof(name).fields]) for name in structs}
    assert fields(arex.program.ffi) == fields(header)
    functions = re.findall(r"^(?:const )?[a-z_]+ \*?(arex_\w+)\(", text, re.M)
    assert len(functions) > 25
    opened = header.dlopen(str(library_path))
    for name in functions:
        mine, its = arex.program.ffi.typeof(getattr(arex.program.lib, name)).cname, header.typeof(getattr(opened, name)).cname
        assert re.sub(r"\b(struct|enum) ", "", mine) == re.sub(r"\b(struct|enum) ", "", its)


@needs_sources
@pytest.mark.skipif(not importlib.util.find_spec("mypy"), reason="mypy is not installed")
def test_types_hold(tmp_path):
    def mypy(*args):
        return subprocess.run([sys.executable, "-m", "mypy", "--cache-dir", str(ROOT / "build/mypy"), *args], cwd=ROOT, capture_output=True, text=True)
    done = mypy()
    assert done.returncode == 0, done.stdout
    user = tmp_path / "user.py"
    user.write_text("import arex\nprogram: arex.Program = arex.compile('x + 1')\nn: int = arex.compile('x').stats()['calls']\narex.compile(3)\nshape: str = arex.zeros(3)\nx: str = arex.asarray(1).shape\n")
    done = mypy(str(user))
    assert re.findall(r"user.py:(\d+): error", done.stdout) == ["4", "6"], done.stdout  # and the right lines are right


def test_the_command_of_the_package():
    """python -m arex is the command: its words, its results, how it ends."""
    def run(*words):
        return subprocess.run([sys.executable, "-m", "arex", *words], capture_output=True, text=True)
    if not (PACKAGE / "bin/arex").exists() and not (ROOT / "build/release/src/cli/arex").exists() and not (ROOT / "bin/arex").exists():
        pytest.skip("no command here")
    assert run("eval", "sum(linspace(0,1,5))").stdout == "2.5\n"
    assert "llvm" in run("doctor").stdout and run("--version").stdout.split()[-1] == arex.__version__
    wrong = run("eval", "sum(")
    assert wrong.returncode == 1 and "error[AX01" in wrong.stderr and run("no-such-word").returncode == 2


def test_a_missing_command_is_told(tmp_path, capsys):
    import importlib
    main = importlib.import_module("arex.__main__")
    before, main._here = main._here, tmp_path / "a/b/c"
    try:
        assert main.main() == 3 and "not beside the package" in capsys.readouterr().err
    finally:
        main._here = before


WHEELS = sorted((ROOT / "build/dist").glob("*.whl"))


@pytest.mark.skipif(not WHEELS, reason="`./dev wheel` has not been run")
def test_the_wheel():
    (path,) = WHEELS
    glibc = re.fullmatch(r"arex-[\d.]+-cp310-abi3-manylinux_2_(\d+)_x86_64\.whl", path.name)
    assert glibc and int(glibc[1]) <= 35 and path.stat().st_size <= 20_000_000  # Ubuntu 22.04's, Colab's
    with zipfile.ZipFile(path) as wheel:
        names = set(wheel.namelist())
        assert {"arex/libarex.so", "arex/libarex-llvm.so", "arex/_fast.abi3.so", "arex/api.h", "arex/py.typed", "arex/bin/arex", "arex/share/arex/selfcheck.txt"} <= names
        assert not [n for n in names if not n.startswith(("arex/", "arex-"))]
        assert b"arex = arex.__main__:main" in wheel.read(next(n for n in names if n.endswith("entry_points.txt")))
        assert wheel.getinfo("arex/bin/arex").external_attr >> 16 & 0o111
        assert b"Requires-Python: >=3.10" in wheel.read(next(n for n in names if n.endswith("METADATA")))
