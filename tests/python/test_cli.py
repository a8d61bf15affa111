import numpy as np
import pytest


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


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_npy_versions(cli, tmp_path, version):
    with open(tmp_path / "x.npy", "wb") as f:
        np.lib.format.write_array(f, np.arange(3.0), version=version)
    assert cli("eval", "sum(x)", "-i", f"x={tmp_path}/x.npy").stdout == "3.0\n"


@pytest.mark.parametrize("damage", [
    lambda b: b[:-1], lambda b: b[:20], lambda b: b[:4], lambda b: b"", lambda b: b"garbage" * 10, lambda b: b[:6] + b"\x09" + b[7:],
    lambda b: b.replace(b"<f8", b"|O8"), lambda b: b.replace(b"(3,)", b"(x,)"), lambda b: b.replace(b"(3,), }", b"(3333333333333333333,), }"),
    lambda b: b.replace(b"descr", b"dxscr")])
def test_bad_npy(cli, tmp_path, damage):
    np.save(tmp_path / "x.npy", np.arange(3.0))
    data = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "x.npy").write_bytes(damage(data))
    got = cli("eval", "sum(x)", "-i", f"x={tmp_path}/x.npy", "-o", tmp_path / "y.npy")
    assert got.returncode == 1 and "error[AX0703]" in got.stderr and not (tmp_path / "y.npy").exists()


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
