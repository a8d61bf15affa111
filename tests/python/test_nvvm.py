"""The second code generator for GPUs: programs go through libNVVM for GPUs of all ages, and what comes out is assembled. Needs libNVVM and ptxas
for most of it; how a library that is missing or broken is told needs neither."""
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

import arex
from test_ptx import PROGRAMS, PTXAS, known, types_of
from test_sweep import DTYPES, ROWS, spell

ROOT = pathlib.Path(__file__).resolve().parents[2]
# libNVVM reads these with one reader ...
OLD = ["sm_75", "sm_80", "sm_86", "sm_87", "sm_88", "sm_89", "sm_90"]
# ... and these with another
NEW = ["sm_100", "sm_103", "sm_110", "sm_120", "sm_121"]


def _found():
    try:
        arex.compile("x + 1", codegen="nvvm").emit("ptx", arch="sm_90")
    except arex.ArexError as error:
        assert error.code == "AX0506", error  # a library that is there must work
        return False
    return True


needs_library = pytest.mark.skipif(not _found(), reason="no libNVVM here")
needs_both = pytest.mark.skipif(not _found() or not PTXAS, reason="no libNVVM or no ptxas here")


def archs(all_of):
    """Those that the ptxas and the libNVVM at hand know."""
    return [a for a in all_of if known(a)]


def ptx_of(program, types, arch, fast=False):
    return arex.compile(program, codegen="nvvm", fast=fast).emit("ptx", types=types, arch=arch)


def assemble(ptx, arch, folder):
    path = folder / "kernel.ptx"
    path.write_text(ptx)
    done = subprocess.run([PTXAS, f"-arch={arch}", path, "-o", folder / "kernel.cubin"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + done.stdout


def nth(items, i):
    return items[i % len(items)]


def works(program, types):
    try:
        arex.compile(program).emit("ir", types=types)
    except arex.ArexError:
        return False
    return True


# ---- what is compiled ----


@needs_both
@pytest.mark.parametrize("reader", ["old", "new"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_operators(dtype, reader, tmp_path):
    """Sixteen operators at a time; the groups go round the GPUs."""
    gpus = archs(OLD if reader == "old" else NEW)
    types = ", ".join(f"{i}={dtype}[:]" for i in "xyz")
    good = [e for e in map(spell, ROWS) if works(f"x + y + z, {e}" if dtype != "bool" else f"x & y & z, {e}", types)]
    assert len(good) > 50
    start = 0 if DTYPES.index(dtype) % 2 == (reader == "new") else 16  # every second group by each reader, the others in the next dtype
    for k in range(start, len(good), 32):
        group = "x & y & z" if dtype == "bool" else "x + y + z"
        arch = nth(gpus, DTYPES.index(dtype) + k // 16)
        assemble(ptx_of(", ".join([group, *good[k:k + 16]]), types, arch), arch, tmp_path)


def corpus():
    path = ROOT / "tests/onebits/selfcheck.txt"
    for line in path.read_text().splitlines() if path.exists() else []:
        if not line.startswith("#"):
            _, inputs, program = line.split("\t")
            of = re.sub(r"\[([\d,]*)\]", lambda m: "[" + ",".join(":" * len(m[1].split(","))) + "]" if m[1] else "", inputs)
            yield program.replace("\\n", "\n"), None if inputs == "-" else of.replace(" ", ", ")


@needs_both
@pytest.mark.parametrize("turn", range(6))
def test_corpus(turn, tmp_path):
    """Every twelfth program of the corpus of bits, for another GPU each."""
    gpus, n = archs(OLD + NEW), 0
    for i, (program, types) in enumerate(corpus()):
        if i % 72 != 12 * turn or not works(program, types):
            continue
        arch = nth(gpus, i // 12)
        assemble(ptx_of(program, types, arch), arch, tmp_path)
        n += 1
    assert n > 5


def language_cases():
    for path in sorted((ROOT / "tests/lang").glob("*.arex")):
        for text in re.split(r"^# case:", path.read_text(), flags=re.M)[1:]:
            name, body = text.split("\n", 1)
            if not re.search(r"^# error:", body, re.M):
                yield pytest.param(body, id=f"{path.stem}-{name.strip()}")


def types_of_case(body):
    """What `# input:` lines say: a type with a value, or a number."""
    out = []
    for name, value in re.findall(r"^# input: *(\w+) *= *(.*)$", body, re.M):
        dtype, rest = re.match(r"(bool|b?float\d+|u?int\d+)?(.*)", value).groups()
        made = re.search(r"\((?:arange|full)", rest)
        shape = re.search(r"shape ([\d ]+)", rest)
        rank = len(shape[1].split()) if shape else 1 if made else len(re.match(r"\(?(\[*)", rest)[1])
        out.append(f"{name}={dtype or ('bool' if value[0] in 'TF' else 'int64' if re.fullmatch(r'-?[0-9]+', value.strip()) else 'float64')}" + ("[" + ",".join(":" * rank) + "]" if rank else ""))
    return ", ".join(out)


@needs_both
@pytest.mark.parametrize("body", list(language_cases()))
def test_language(body, tmp_path):
    types = types_of_case(body)
    for i, gpus in enumerate((archs(OLD), archs(NEW))):
        arch = nth(gpus, len(body) + i)
        assemble(ptx_of(body, types, arch), arch, tmp_path)


@needs_both
@pytest.mark.parametrize("arch", OLD + NEW)
@pytest.mark.parametrize("name", ["sums", "columns", "functions", "histogram", "mandelbrot"])
def test_every_gpu(name, arch, tmp_path):
    if not known(arch):
        pytest.skip(f"this ptxas does not know {arch}")
    assemble(ptx_of(PROGRAMS[name], types_of(name), arch), arch, tmp_path)


@needs_both
@pytest.mark.parametrize("arch", ["sm_75", "sm_120"])
@pytest.mark.parametrize("dtype", ["int32", "uint32", "int64", "uint64", "float32", "float64"])
def test_atomics(dtype, arch, tmp_path):
    program = "kernel f(x, a, b, c, d) { i = grid(1); p = atomic_add(a, 0, x[i]); q = atomic_min(b, 0, p); r = atomic_max(c, 0, q); d[i] = atomic_cas(d, 0, r, x[i]) }"
    ptx = ptx_of(program, ", ".join(f"{i}={dtype}[:]" for i in "xabcd"), arch)
    assert "atom" in ptx and ".extern" not in ptx
    assemble(ptx, arch, tmp_path)


# ---- what must hold of the PTX ----


@needs_library
@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("arch", ["sm_75", "sm_120"])
def test_nothing_is_fused_or_flushed(arch, fast):
    for dtype, program in [("float32", "x*y + z, (x*y - z) / y, sqrt(x*y + z)"), ("float64", "x*y + z, x - y*z, x / y")]:
        ptx = ptx_of(program, ", ".join(f"{i}={dtype}[:]" for i in "xyz"), arch, fast)
        written = len(re.findall(r"@llvm\.fma", arex.compile(program, fast=fast).emit("nvvm", types=", ".join(f"{i}={dtype}[:]" for i in "xyz"))))
        assert bool(re.search(r"\bfma\.rn", ptx)) == fast == bool(written)
        assert "ftz" not in ptx and "approx" not in ptx


@needs_library
@pytest.mark.parametrize("arch", ["sm_75", "sm_90", "sm_100", "sm_120"])
def test_no_extreme_in_16_bits(arch):
    """src/backend/ptx.c: the assembler decides them by the wrong half."""
    for dtype in ("int8", "uint8", "int16", "uint16"):
        ptx = ptx_of("where(maximum(x, 7) == 7, x, 2 * x), minimum(x, y), x >> y, x ** y", f"x={dtype}[:], y={dtype}[:]", arch)
        assert not re.search(r"\b(max|min)\.[su]16", ptx)


@needs_library
def test_arrays_are_read_sixteen_bytes_at_a_time():
    for arch in ("sm_75", "sm_100"):
        assert "ld.global.v4" in ptx_of("sum(x*x)", "x=float32[:]", arch).replace("ld.global.nc.v4", "ld.global.v4")


@needs_library
def test_two_threads_at_once():
    jobs = [(f"sum(x*x + {i}), sin(x) * {i}, x ** {i + 2}", "x=float32[:]", a) for i in range(4) for a in ("sm_75", "sm_100")]
    alone = [ptx_of(*job) for job in jobs]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for _ in range(3):
            assert list(pool.map(lambda job: ptx_of(*job), jobs)) == alone


# ---- options ----


def test_options(cli):
    assert cli("emit", "--stage", "nvvm", "x + 1").stdout.startswith("target datalayout")
    assert cli("eval", "--codegen", "nvvm", "1 + 1", "-t", "cpu").stdout == "2\n"
    wrong = cli("eval", "--codegen", "cuda", "1 + 1")
    assert wrong.returncode == 2 and "unknown code generator" in wrong.stderr
    with pytest.raises(arex.UsageError, match="unknown code generator"):
        arex.compile("x", codegen="llvm")
    assert arex.evaluate("x + 1", {"x": np.arange(3)}, target="cpu", codegen="nvvm").tolist() == [1, 2, 3]


@needs_library
def test_generators_differ(cli):
    """--codegen reaches the code; auto is nvptx."""
    nvptx, nvvm, auto = (cli("emit", "--stage", "ptx", "--codegen", g, "sin(x)").stdout for g in ("nvptx", "nvvm", "auto"))
    assert "NVIDIA NVVM Compiler" in nvvm and "NVIDIA NVVM Compiler" not in nvptx and auto == nvptx


# ---- where the library is looked for ----


def run(command, environment, *args):
    clean = {k: v for k, v in os.environ.items() if k not in ("AREX_LIBNVVM", "CUDA_HOME", "CUDA_PATH", "CONDA_PREFIX", "VIRTUAL_ENV")}
    return subprocess.run([command, *args], env=clean | environment, capture_output=True, text=True, timeout=60)


def emit_ptx(command, environment):
    return run(command, environment, "emit", "--stage", "ptx", "--codegen", "nvvm", "sum(x)")


def real_library():
    path = json.loads(run(os.environ.get("AREX_COMMAND") or ROOT / "build/release/src/cli/arex", {} | {k: os.environ[k] for k in ("CUDA_HOME", "VIRTUAL_ENV") if k in os.environ}, "doctor", "--json").stdout)["libnvvm"]
    return pathlib.Path(path.split(", ", 2)[2])


def test_missing(command, tmp_path):
    told = emit_ptx(command, {"AREX_LIBNVVM": str(tmp_path / "none.so")})
    assert told.returncode == 3 and "AX0506" in told.stderr
    assert f"{tmp_path}/none.so (named by AREX_LIBNVVM): " in told.stderr and "No such file" in told.stderr
    assert run(command, {"AREX_LIBNVVM": str(tmp_path / "none.so")}, "emit", "--stage", "ptx", "sum(x)").returncode == 0  # never needed


def test_empty_wrong_and_truncated(command, tmp_path):
    files = {"empty.so": b"", "text.so": b"not a library\n" * 100}
    if sys.platform == "linux":
        files["cut.so"] = pathlib.Path(arex._library_path).read_bytes()[:5000]
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        told = emit_ptx(command, {"AREX_LIBNVVM": str(tmp_path / name)})
        assert told.returncode == 3 and "AX0506" in told.stderr and name in told.stderr, told
    told = emit_ptx(command, {"AREX_LIBNVVM": str(arex._library_path)})
    assert told.returncode == 3 and "it has no function nvvmVersion" in told.stderr


@needs_library
def test_halves_are_compared_by_value(cli):
    """A vector of halves that is widened only to be compared: read as raw bits, -0 would not be 0."""
    ptx = cli("emit", "--stage", "ptx", "--codegen", "nvvm", "param x: float16[n]; return bool(x), x < 1").stdout
    assert "setp" in ptx and not re.search(r"ld\.global(\.v\d)?\.b16\s+\{?%f", ptx)


@needs_library
def test_cut_short(command, tmp_path):
    whole = real_library().resolve().read_bytes()
    for n in (len(whole) // 2, 64, 4096):
        (tmp_path / "libnvvm.so.4").write_bytes(whole[:n])
        told = emit_ptx(command, {"AREX_LIBNVVM": str(tmp_path / "libnvvm.so.4")})
        assert told.returncode == 3 and "AX0506" in told.stderr, (n, told)


LAYOUTS = {
    "full": ("CUDA_HOME", "{0}", "nvvm/lib64/libnvvm.so.4"),
    "trimmed": ("CUDA_PATH", "{0}", "lib/libnvvm.so.4"),
    "conda": ("CONDA_PREFIX", "{0}", "nvvm/lib64/libnvvm.so.4"),
    "pip": ("VIRTUAL_ENV", "{0}", "lib/python3.99/site-packages/nvidia/cu13/lib/libnvvm.so.4"),
    "pip-12": ("VIRTUAL_ENV", "{0}", "lib/python3.99/site-packages/nvidia/cuda_nvcc/nvvm/lib64/libnvvm.so"),
    "pip-conda": ("CONDA_PREFIX", "{0}", "lib/python3.99/site-packages/nvidia/cu13/lib/libnvvm.so.4"),
}


@needs_library
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout, command, tmp_path):
    """A folder that looks like each kind of installation comes before the machine's own."""
    variable, value, place = LAYOUTS[layout]
    file = tmp_path / place
    file.parent.mkdir(parents=True)
    file.symlink_to(real_library().resolve())
    environment = {variable: value.format(tmp_path)}
    assert json.loads(run(command, environment, "doctor", "--json").stdout)["libnvvm"].endswith(f", {file}")
    assert "NVIDIA NVVM Compiler" in emit_ptx(command, environment).stdout


@needs_library
def test_packages_of_python(command, tmp_path):
    """Where pip put it is found from Python though no variable names the place."""
    file = tmp_path / "nvidia/cu13/lib/libnvvm.so.4"
    file.parent.mkdir(parents=True)
    file.symlink_to(real_library().resolve())
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    shown = run(sys.executable, {"PYTHONPATH": path, "AREX_LIBRARY": str(arex._library_path)}, "-c", "import arex; arex.show_config()")
    assert str(file) in shown.stdout, shown


def test_doctor_lists_the_places(command, tmp_path):
    """A library that cannot be used is passed over; the last place is always the system's list."""
    root = tmp_path / "cuda"
    (root / "nvvm/lib64").mkdir(parents=True)
    (root / "nvvm/lib64/libnvvm.so.4").write_bytes(b"")
    told = json.loads(run(command, {"CUDA_HOME": str(root)}, "doctor", "--json").stdout)
    if "libnvvm_notes" in told:
        for place in (f"{root}/nvvm/lib64/libnvvm.so.4 (the toolkit named by CUDA_HOME): ", f"{root}/lib/libnvvm.so.4", "/usr/local/cuda/nvvm/lib64/libnvvm.so.4 (NVIDIA's CUDA toolkit)", "libnvvm.so.4 (the system's list of libraries)"):
            assert place in told["libnvvm_notes"]
        assert "nvidia-nvvm" in told["libnvvm_cure"]
    else:
        assert str(root) not in told["libnvvm"]
