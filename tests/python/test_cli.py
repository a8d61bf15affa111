import os
import resource
import stat
import struct
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest

import arex


def test_sum_of_squares(cli, tmp_path):
    x = np.random.default_rng(1).normal(size=100_003)
    np.save(tmp_path / "x.npy", x)
    one, two = (cli("eval", "sum(x*x)", "-i", f"x={tmp_path}/x.npy", "--threads", n) for n in (1, 2))
    assert one.returncode == 0, one.stderr
    assert one.stdout == two.stdout and np.isclose(float(one.stdout), np.sum(x * x), rtol=1e-13)


@pytest.mark.parametrize("array", [
    np.arange(12.0).reshape(3, 4), np.asfortranarray(np.arange(12, dtype=np.float32).reshape(3, 4)), np.arange(5, dtype=">i4"),
    np.arange(6, dtype=">f8").reshape(2, 3), np.array([True, False]), np.zeros((0, 3)), np.array(2.5), np.arange(2001)])
def test_npy_round_trip(cli, tmp_path, array):
    np.save(tmp_path / "x.npy", array)
    got = cli("eval", "+x" if array.dtype.kind != "b" else "x & x", "-i", f"x={tmp_path}/x.npy", "-o", tmp_path / "y.npy")
    assert got.returncode == 0, got.stderr
    back = np.load(tmp_path / "y.npy")
    assert back.dtype == array.dtype.newbyteorder("=") and np.array_equal(back, array)


HISTOGRAM = "kernel h(x, bins) { i = grid(1); if i < len(x) { atomic_add(bins, x[i], 1) } }"


def test_kernels(cli, tmp_path):
    np.save(tmp_path / "x.npy", np.array([1, 2, 3, 1]))
    np.save(tmp_path / "b.npy", np.asfortranarray(np.zeros((2, 4), np.int64))[1])
    given = ["-i", f"x={tmp_path}/x.npy", "-i", f"bins={tmp_path}/b.npy"]
    for target in ("reference", "cpu"):
        got = cli("eval", HISTOGRAM, *given, "--grid", "2", "--block", "3,1,1", "-t", target)
        assert (got.returncode, got.stdout.split("\n")[0]) == (0, "[0 2 1 1]"), got.stderr
    got = cli("eval", HISTOGRAM, *given, "--grid", "1", "--block", "4", "-o", f"bins={tmp_path}/o.npy")
    assert got.returncode == 0 and np.load(tmp_path / "o.npy").tolist() == [0, 2, 1, 1]
    assert np.load(tmp_path / "b.npy").tolist() == [0, 0, 0, 0]  # what was read stays
    for wrong in ([], ["--grid", "1"], ["--grid", "1,2,3,4", "--block", "1"], ["--grid", "x", "--block", "1"], ["--grid", "1,", "--block", "1"], ["--grid=-1", "--block=1"]):
        assert cli("eval", HISTOGRAM, *given, *wrong).returncode == 2, wrong
    assert cli("eval", "x + 1", "-i", "x=1", "--grid", "1").returncode == 2
    bad = cli("eval", HISTOGRAM, "-i", f"x={tmp_path}/x.npy", "-i", "bins=1", "--grid", "1", "--block", "1")
    assert bad.returncode == 1 and "AX0203" in bad.stderr and "in this call" not in bad.stderr


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_npy_versions(cli, tmp_path, version):
    with open(tmp_path / "x.npy", "wb") as f:
        np.lib.format.write_array(f, np.arange(3.0), version=version)
    assert cli("eval", "sum(x)", "-i", f"x={tmp_path}/x.npy").stdout == "3.0\n"


def _header(text, version=1, length=None):
    """A .npy file of three float64 whose header is this text."""
    body = text.encode("latin1") + b"\n"
    size = len(body) if length is None else length
    return b"\x93NUMPY" + bytes([version, 0]) + size.to_bytes(2 if version == 1 else 4, "little") + body + np.arange(3.0).tobytes()


def _dict(descr="'<f8'", order="False", shape="(3,)"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"


GOOD = _header(_dict())
BAD_FILES = {
    "one byte short": GOOD[:-1], "ends in the header": GOOD[:20], "ends in the magic": GOOD[:4], "ends in the version": GOOD[:7], "empty": b"",
    "no .npy": b"garbage" * 10, "wrong magic": b"\x93NUMPX" + GOOD[6:], "version 0": _header(_dict(), 0), "version 9": _header(_dict(), 9),
    "header longer than the file": _header(_dict(), 1, 60000), "header of 4 GiB": _header(_dict(), 2, 2**32 - 1), "header of 100 kB": _header(_dict() + " " * 100000, 2),
    "no header": _header("", 1, 0), "no dict": _header("hello"), "no descr": _header("{'fortran_order': False, 'shape': (3,), }"),
    "no order": _header("{'descr': '<f8', 'shape': (3,), }"), "no shape": _header("{'descr': '<f8', 'fortran_order': False, }"),
    "order is 7": _header(_dict(order="7")), "descr without end": _header("{'fortran_order': False, 'shape': (3,), 'descr': '<f8"),
    "objects": _header(_dict("'|O'")), "objects of 8": _header(_dict("'|O8'")), "text": _header(_dict("'<U5'")), "bytes": _header(_dict("'|S8'")),
    "dates": _header(_dict("'<M8[ns]'")), "records": _header(_dict("[('a', '<f8'), ('b', '<i4')]")), "void": _header(_dict("'|V8'")),
    "float of 16": _header(_dict("'<f16'")), "complex": _header(_dict("'<c16'")), "no type": _header(_dict("''")), "only an order": _header(_dict("'<'")),
    "negative": _header(_dict(shape="(-3,)")), "negative twice": _header(_dict(shape="(-3, -1)")), "a word": _header(_dict(shape="(x,)")),
    "a fraction": _header(_dict(shape="(3.5,)")), "no end": _header(_dict(shape="(3, ")), "no tuple": _header(_dict(shape="3")),
    "more than the file": _header(_dict(shape="(4,)")), "more than memory": _header(_dict(shape="(3333333333333333333,)")),
    "more than 64 bits": _header(_dict(shape="(99999999999999999999999,)")), "product overflows": _header(_dict(shape="(4294967296, 4294967296)")),
    "product overflows to 24": _header(_dict(shape="(3, 9223372036854775807, 3)")), "bytes overflow": _header(_dict(shape="(2305843009213693952,)")),
    "nine axes": _header(_dict(shape="(1, 1, 1, 1, 1, 1, 1, 1, 3)")), "Fortran and too long": _header(_dict(order="True", shape="(2, 2)")),
}


def _refused(got):
    return got.returncode == 1 and "error[AX0703]" in got.stderr and not got.stdout


@pytest.mark.parametrize("what", BAD_FILES)
def test_bad_npy(cli, tmp_path, what):
    (tmp_path / "x.npy").write_bytes(BAD_FILES[what])
    (tmp_path / "y.npy").write_bytes(b"as it was")
    got = cli("eval", "sum(x)", "-i", f"x={tmp_path}/x.npy", "-o", tmp_path / "y.npy")
    assert _refused(got), got
    assert (tmp_path / "y.npy").read_bytes() == b"as it was" and len(list(tmp_path.iterdir())) == 2


def test_the_good_file_is_good(cli, tmp_path):
    (tmp_path / "x.npy").write_bytes(GOOD)
    assert cli("eval", "sum(x)", "-i", f"x={tmp_path}/x.npy").stdout == "3.0\n"


def test_pickled_objects(cli, tmp_path):
    np.save(tmp_path / "x.npy", np.array([1, "a", None], object), allow_pickle=True)
    assert _refused(cli("eval", "sum(x)", "-i", f"x={tmp_path}/x.npy"))


def test_records(cli, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros(3, [("a", "f8"), ("b", "i4")]))
    assert _refused(cli("eval", "sum(x)", "-i", f"x={tmp_path}/x.npy"))


def test_what_is_no_file(cli, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder.npy").mkdir()
    (tmp_path / "loop.npy").symlink_to(tmp_path / "loop.npy")
    for name in ("pipe", "folder.npy", "loop.npy", "missing.npy"):
        assert _refused(cli("eval", "x", "-i", f"x={tmp_path}/{name}")), name
    assert _refused(cli("eval", "x", "-i", "x=/dev/null")) and _refused(cli("eval", "x", "-i", "x=/dev/zero"))


def test_unreadable(command, tmp_path):
    np.save(tmp_path / "x.npy", np.arange(3.0))
    (tmp_path / "x.npy").chmod(0)
    anyone = {"user": 65534} if os.geteuid() == 0 else {}  # root may read every file
    try:
        got = subprocess.run([command, "eval", "x", "-i", f"x={tmp_path}/x.npy"], capture_output=True, text=True, timeout=60, cwd="/", **anyone)
    except PermissionError:
        pytest.skip("the command lies where only root may go")
    assert _refused(got) and "denied" in got.stderr


def test_output_replaces_its_input(cli, tmp_path):
    """The input is read from the very file that is written; its mode stays, and a link to it too."""
    np.save(tmp_path / "x.npy", np.arange(100_000.0))
    (tmp_path / "x.npy").chmod(0o640)
    (tmp_path / "link.npy").symlink_to("x.npy")
    got = cli("eval", "x + 1", "-i", f"x={tmp_path}/x.npy", "-o", tmp_path / "link.npy")
    assert got.returncode == 0, got.stderr
    assert np.array_equal(np.load(tmp_path / "x.npy"), np.arange(100_000.0) + 1)
    assert (tmp_path / "link.npy").is_symlink() and stat.S_IMODE((tmp_path / "x.npy").stat().st_mode) == 0o640
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link.npy", "x.npy"]


def test_output_that_is_no_file(cli, tmp_path):
    """Written as it is: never replaced by a file."""
    (tmp_path / "null").symlink_to("/dev/null")
    assert cli("eval", "1 + 1", "-o", tmp_path / "null").returncode == 0
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    (tmp_path / "full").symlink_to("/dev/full")
    assert _refused(cli("eval", "1 + 1", "-o", tmp_path / "full"))
    (tmp_path / "folder").mkdir()
    assert _refused(cli("eval", "1 + 1", "-o", tmp_path / "folder")) and (tmp_path / "folder").is_dir()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "full", "null"] and (tmp_path / "null").is_symlink()


def test_full_disk_leaves_the_old_file(command, tmp_path):
    (tmp_path / "y.npy").write_bytes(b"as it was")
    got = subprocess.run([command, "eval", "arange(10000) * 1.0", "-o", str(tmp_path / "y.npy")], capture_output=True, text=True, timeout=60,
                         preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)))
    assert _refused(got), got
    assert (tmp_path / "y.npy").read_bytes() == b"as it was" and len(list(tmp_path.iterdir())) == 1


def test_nobody_reads(command):
    with open("/dev/full", "w") as full:
        got = subprocess.run([command, "eval", "1 + 1"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert got.returncode == 3 and "standard output" in got.stderr


def test_no_file_is_left_behind(cli, tmp_path):
    got = cli("eval", "1 + 1", "-o", tmp_path / "none" / "y.npy")
    assert got.returncode == 1 and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("value", [0.1, 1e-5, 1e16, 123456.789, -0.0, np.inf, np.nan, 1e22, 5e-324, 3.0])
def test_scalars_print_as_numpy(cli, tmp_path, dtype, value):
    with np.errstate(all="ignore"):
        x = np.array(value).astype(dtype)
    np.save(tmp_path / "x.npy", x)
    assert cli("eval", "+x", "-i", f"x={tmp_path}/x.npy").stdout.strip() == str(x[()])


@pytest.mark.parametrize("array", [
    np.linspace(0, 1, 7), np.arange(30).reshape(5, 6) * 1000, np.array([1e10, 1.5, np.nan]), np.array([[np.inf, -np.inf], [0.5, 2]]),
    np.arange(3000.0), np.arange(27.0).reshape(3, 3, 3), np.array([True, False]), np.linspace(0, 1, 50, dtype=np.float32),
    np.arange(4000).reshape(40, 100), np.array([1e-5, 1.0]), np.arange(2400.).reshape(20, 10, 12)])
def test_arrays_print_as_numpy(cli, tmp_path, array):
    np.save(tmp_path / "x.npy", array)
    got = cli("eval", "+x" if array.dtype.kind != "b" else "x & x", "-i", f"x={tmp_path}/x.npy").stdout
    assert got == f"{array}\ndtype={array.dtype} shape={array.shape}\n"


def test_outputs_have_names(cli):
    got = cli("eval", "s = a + 1; d = a / 2; return s, d", "-i", "a=3")
    assert got.stdout == "s = 4\nd = 1.5\n"


@pytest.mark.parametrize("value, printed", [("3", "3"), ("-5", "-5"), ("2.5", "2.5"), ("1e-3", "0.001"), ("True", "True"), ("nan", "nan"), ("-inf", "-inf")])
def test_inline_scalars(cli, value, printed):
    assert cli("eval", "x" if value == "True" else "+x", "-i", f"x={value}").stdout.strip() == printed


@pytest.mark.parametrize("args, code", [
    (["eval", "1 +* 2"], 1), (["eval", "x"], 1), (["eval", "x", "-i", "x=1", "-i", "y=2"], 1), (["eval", "x", "-i", "x=missing.npy"], 1),
    (["eval"], 2), (["evil"], 2), ([], 2), (["eval", "1", "--target", "tpu"], 2), (["eval", "1", "--threads", "x"], 2), (["eval", "1", "--what"], 2),
    (["list", "nothing"], 2), (["emit", "1"], 2), (["run", "missing.arex"], 1), (["--version"], 0), (["--help"], 0), (["eval", "--help"], 0),
    (["doctor"], 0), (["doctor", "--json"], 0), (["list", "ops"], 0), (["list", "errors", "--json"], 0)])
def test_exit_codes(cli, args, code):
    got = cli(*args)
    assert got.returncode == code, got.stderr
    assert (got.stdout if code == 0 else got.stderr).strip()


def test_carets(cli):
    got = cli("eval", "1 + sinn(2.0)")
    assert got.returncode == 1 and "AX0202" in got.stderr and "^" in got.stderr


def test_run_and_time(cli, tmp_path):
    (tmp_path / "p.arex").write_text("sum(x) + 1\n")
    got = cli("run", tmp_path / "p.arex", "-i", "x=2", "--time")
    assert got.returncode == 0 and got.stdout == "3\n" and "parse" in got.stderr


def test_emit(cli):
    assert ".target sm_80" in cli("emit", "--stage", "ptx", "--arch", "sm_80", "--types", "x=float32[:]", "sum(x*x)").stdout


@pytest.mark.parametrize("dtype", ["int8", "int16", "uint8", "uint16", "uint32", "uint64", "float16"])
def test_every_width_is_read_written_and_printed(cli, tmp_path, dtype):
    t = np.dtype(dtype)
    if t.kind == "f":
        x = np.array([0.1, -2.5, 65504, 6e-8, 1 / 3, 1000, 0.0009765625], t)
    else:
        x = np.array([np.iinfo(t).min, np.iinfo(t).max, 0, 7], t)
    np.save(tmp_path / "x.npy", x)
    r = cli("eval", "x", "-i", f"x={tmp_path / 'x.npy'}", "-o", tmp_path / "y.npy")
    assert r.returncode == 0, r.stderr
    y = np.load(tmp_path / "y.npy")
    assert y.dtype == t and y.tobytes() == x.tobytes()
    for values in ([x] if t.kind != "f" else [x, x[:2], x[4:], np.array([0.1, 0.2, 0.3], t), np.array([2048, 3, 1e-2], t)]):
        np.save(tmp_path / "x.npy", values)
        printed = cli("eval", "x", "-i", f"x={tmp_path / 'x.npy'}").stdout
        assert printed.rsplit("\ndtype", 1)[0] == str(values), printed
    for v in x:
        np.save(tmp_path / "x.npy", v)
        assert cli("eval", "x", "-i", f"x={tmp_path / 'x.npy'}").stdout.strip() == str(v)


def test_bfloat16_files(cli, tmp_path):
    """The way NumPy writes the type of ml_dtypes."""
    bits = np.array([0x3f80, 0x4049, 0x3dcd, 0xff80], np.uint16)
    np.save(tmp_path / "x.npy", bits.view("V2"))
    r = cli("eval", "x", "-i", f"x={tmp_path / 'x.npy'}", "-o", tmp_path / "y.npy")
    assert r.returncode == 0, r.stderr
    assert np.load(tmp_path / "y.npy").tobytes() == bits.tobytes()
    assert cli("eval", "x", "-i", f"x={tmp_path / 'x.npy'}").stdout.splitlines() == ["[1.   3.14 0.1  -inf]", "dtype=bfloat16 shape=(4,)"]


def test_accuracy_is_listed(cli):
    """Every row keeps what the table of operators promises; of fast mode only what differs is listed."""
    promised = {op["name"]: float(op["ulp"]) for op in arex.list("ops")}
    rows = arex.list("accuracy")
    assert {(r["name"], r["dtype"]) for r in rows} >= {(n, t) for n in ("sin", "exp", "power", "gamma", "divide") for t in ("float32", "float64")}
    assert {(r["name"], r["dtype"]) for r in rows} >= {(n, t) for n in ("abs", "angle", "multiply", "divide", "exp", "log", "sqrt", "power") for t in ("complex64", "complex128")}
    for r in rows:
        real_strict = r["mode"] == "strict" and not r["dtype"].startswith("complex")
        assert not real_strict or float(r["ulp"]) <= promised.get(r["name"], 0.5) or r["name"] == "reciprocal", r
        assert r["mode"] == "strict" or float(r["ulp"]) <= 4.5, r
    text = cli("list", "ops", "--accuracy").stdout
    assert len(text.splitlines()) == len(rows) and "ulp at 0x" in text
    assert cli("list", "types", "--accuracy").returncode == 2


def test_mark_of_utf8(cli, tmp_path):
    """Editors on Windows begin files with it: no part of the program, and columns do not count it."""
    program = tmp_path / "p.arex"
    program.write_bytes(b"\xef\xbb\xbf2 + 3\n")
    assert cli("run", program).stdout.strip().endswith("5")
    program.write_bytes(b"\xef\xbb\xbf2 +* 3\n")
    told = cli("run", program).stderr
    assert ":1:4: error[AX0101]" in told and "\n    2 +* 3\n       ^" in told
    program.write_bytes(b"2 + \xef\xbb\xbf3\n")
    assert "AX0102" in cli("run", program).stderr


def test_nearly_a_type(cli):
    assert "did you mean `float32`?" in cli("eval", "param x: flaot32; x").stderr


def png_pixels(path):
    """Rows of bytes of an 8-bit PNG, by its standard alone (ISO/IEC 15948): no filter but those that the encoder may choose."""
    data, at, idat = path.read_bytes(), 8, b""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    while at < len(data):
        n, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + n]
        assert zlib.crc32(kind + body) == struct.unpack(">I", data[at + 8 + n:at + 12 + n])[0]
        if kind == b"IHDR":
            width, height, depth, colour, *_ = struct.unpack(">IIBBBBB", body)
            assert depth == 8
        idat += body if kind == b"IDAT" else b""
        at += 12 + n
    channels = {0: 1, 2: 3, 6: 4}[colour]
    raw, rows, before = zlib.decompress(idat), [], np.zeros(width * channels, np.int64)
    for y in range(height):
        kind, line = raw[y * (width * channels + 1)], np.frombuffer(raw, np.uint8, width * channels, y * (width * channels + 1) + 1).astype(np.int64)
        out = np.zeros_like(line)
        for i, v in enumerate(line):
            left, up, corner = (out[i - channels], before[i], before[i - channels]) if i >= channels else (0, before[i], 0)
            p = left + up - corner
            paeth = min((left, up, corner), key=lambda q: abs(p - q))
            out[i] = (v + [0, left, up, (left + up) // 2, paeth][kind]) & 255
        rows.append(out)
        before = out
    image = np.array(rows, np.uint8)
    return image if channels == 1 else image.reshape(height, width, channels)


def has_png(cli, tmp_path):
    run = cli("eval", "uint8(zeros((1, 1)))", "-o", tmp_path / "has.png")
    if "without libpng" in run.stderr:
        pytest.skip("this command was built without libpng")
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("text", ["uint8(reshape(arange(35), (5, 7)) * 7)", "reshape(arange(12), (3, 4)) % 3 == 0", "uint8(reshape(arange(60), (4, 5, 3)) * 4)", "uint8(reshape(arange(80), (4, 5, 4)) * 3)",
                                  "reshape(linspace(-0.2, 1.2, 30), (5, 6))", "float32(reshape(linspace(0, 1, 27), (3, 3, 3)))", "full((2, 3), nan)"])
def test_pictures(cli, tmp_path, text):
    has_png(cli, tmp_path)
    run = cli("eval", text, "-o", tmp_path / "a.png")
    assert run.returncode == 0, run.stderr
    assert cli("eval", text, "-o", tmp_path / "a.npy").returncode == 0
    a = np.load(tmp_path / "a.npy")
    want = a if a.dtype == np.uint8 else np.where(a, 255, 0) if a.dtype == bool else np.floor(np.clip(np.nan_to_num(a.astype(float), nan=0), 0, 1) * 255 + 0.5)
    np.testing.assert_array_equal(png_pixels(tmp_path / "a.png"), want)


@pytest.mark.parametrize("text, words", [("arange(5)", "uint8"), ("zeros(5)", "shape"), ("zeros((2, 3, 2))", "shape"), ("zeros((0, 3))", "rows and columns"), ("reshape(arange(6), (2, 3))", "uint8")])
def test_no_pictures(cli, tmp_path, text, words):
    has_png(cli, tmp_path)
    run = cli("eval", text, "-o", tmp_path / "a.png")
    assert run.returncode == 1 and words in run.stderr and not (tmp_path / "a.png").exists()


def test_picture_of_mandelbrot(cli, tmp_path):
    has_png(cli, tmp_path)
    sample = Path(__file__).resolve().parents[2] / "samples/mandelbrot_image.arex"
    run = cli("run", sample, "-o", tmp_path / "m.png", "-t", "cpu")
    assert run.returncode == 0, run.stderr
    c = np.linspace(-2.2, 0.8, 240) + 1j * np.linspace(1.2, -1.2, 192)[:, None]
    z, n = np.zeros_like(c), np.zeros(c.shape, int)
    for _ in range(60):
        on = np.abs(z) <= 2
        z, n = np.where(on, z * z + c, z), n + on
    image = png_pixels(tmp_path / "m.png")
    assert image.shape == (192, 240) and ((image == 0) == (n == 60)).mean() > 0.999


def test_work_of_a_compilation_is_limited(cli):
    """Counted before LLVM is at it: what would take a minute is refused at once, and a raised limit lets it pass."""
    run = lambda *more: cli("eval", "x % 3 // 5", "-i", "x=7.5", *more)
    assert "AX0411" in run("--max-work", "60").stderr and run("--max-work=60").returncode == 1
    assert run("--max-work", "3000").stdout == run().stdout
    assert run("--max-work", "many").returncode == 2
