"""arex.random: the generator's published values, distributions, the same bits everywhere."""
import pickle
import subprocess
import threading
import warnings

import numpy as np
import pytest

import arex
from arex import random
from test_ptx import PTXAS


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there is no GPU
        yield


# Random123's kat_vectors: counter, key, what philox4x32-10 gives
@pytest.mark.parametrize("counter, key, want", [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0), (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
])
def test_published_values(counter, key, want, targets):
    for target in targets:
        f = arex.compile(random._philox() + "philox(c0, c1, c2, c3, k0, k1)", target=target)
        assert tuple(map(int, f(*map(np.uint32, counter + key)))) == want


def blocks(seed, stream, n):
    """Philox as its authors write it, in Python's integers."""
    for t in range(n):
        c, k = [t & 0xFFFFFFFF, t >> 32, stream, 0], [seed & 0xFFFFFFFF, seed >> 32]
        for _ in range(10):
            p, q = c[0] * 0xD2511F53, c[2] * 0xCD9E8D57
            c = [(q >> 32) ^ c[1] ^ k[0], q & 0xFFFFFFFF, (p >> 32) ^ c[3] ^ k[1], p & 0xFFFFFFFF]
            k = [(k[0] + 0x9E3779B9) % 2**32, (k[1] + 0xBB67AE85) % 2**32]
        yield c


def test_values_of_a_seed():
    seed, stream = 0x123456789ABCDEF, 7
    words = [c for block in blocks(seed, stream, 4) for c in block]
    wide = [words[i + 1] << 32 | words[i] for i in range(0, 16, 2)]
    make = lambda: random.Generator(seed, stream)  # noqa: E731
    assert make().random(7).tolist() == [(w >> 11) * 2.0**-53 for w in wide[:7]]
    assert make().random(15, np.float32).tolist() == [(w >> 8) * 2.0**-24 for w in words[:15]]
    assert make().integers(-3, 9, (2, 3)).tolist() == np.reshape([w % 12 - 3 for w in wide[:6]], (2, 3)).tolist()
    assert make().integers(-2**63, 2**63, 5).tolist() == [(w + 2**63) % 2**64 - 2**63 for w in [w - 2**63 for w in wide[:5]]]
    u, v = np.array([(w >> 11) * 2.0**-53 for w in wide]).reshape(4, 2).T
    radius = np.sqrt(-2 * np.log(1 - u))
    np.testing.assert_allclose(make().normal(1, 2, 8).get().reshape(4, 2), 1 + 2 * np.stack([radius * np.cos(2 * np.pi * v), radius * np.sin(2 * np.pi * v)], 1), rtol=1e-13, atol=1e-14)
    assert make().uniform(-1, 3, 4).tolist() == [-1 + 4 * ((w >> 11) * 2.0**-53) for w in wide[:4]]


@pytest.mark.parametrize("kind", random._KINDS)
@pytest.mark.parametrize("bits", [32, 64])
def test_the_same_bits_on_every_target(kind, bits, targets):
    if bits == 32 and kind in ("integers", "whole"):
        bits = 64
    dtype = np.uint64 if kind in ("integers", "whole") else np.dtype(f"f{bits // 8}")
    outs = []
    for target in targets:
        program, each = random._program(kind, bits, target)
        out = np.zeros(301, dtype)
        program.launch(-(-301 // each // 32) + 1, 32, out, np.uint64(5), np.uint32(1), np.uint32(2), np.uint32(3), out.dtype.type(1), out.dtype.type(4))
        outs.append(out.tobytes())
    assert len(set(outs)) == 1 and out.all()


def test_calls_follow_each_other_and_streams_differ():
    g, h = random.Generator(5), random.Generator(5)
    first, second = g.random(10).get(), g.random(10).get()
    both = h.random(20).get()
    assert (np.concatenate([first, second]) == both).all()
    assert len({*both.tolist(), *random.Generator(5, 1).random(20).tolist(), *random.Generator(6).random(20).tolist()}) == 60
    again = pickle.loads(pickle.dumps(h))
    assert again.random() == h.random() and repr(again) == "arex.random.Generator(seed=5, stream=0)"
    random.seed(9)
    a = [random.random(), random.uniform(1, 2), random.normal(), random.standard_normal(), random.integers(10)]
    random.seed(9)
    assert a == [random.random(), random.uniform(1, 2), random.normal(), random.standard_normal(), random.integers(10)]
    assert random.default_rng().random() != random.default_rng().random()
    g._next = 2**32 - 1  # over the end of the counter's first word
    assert len(set(g.random(8).tolist())) == 8


def test_distributions():
    g, n = random.Generator(1), 200_000
    for dtype in (np.float32, np.float64):
        u, z = g.random(n, dtype).get(), g.normal(size=n, dtype=dtype).get().astype(float)
        assert u.dtype == dtype and 0 <= u.min() < 1e-4 and 1 - 1e-4 < u.max() < 1
        counts = np.histogram(u, 100, (0, 1))[0]
        assert ((counts - n / 100) ** 2 / (n / 100)).sum() < 200  # chi squared, 99 degrees of freedom: 200 is ten million to one
        assert abs(np.corrcoef(u[:-1], u[1:])[0, 1]) < 0.012
        assert abs(z.mean()) < 0.012 and abs(z.std() - 1) < 0.012 and abs((z**3).mean()) < 0.04 and abs((z**4).mean() - 3) < 0.1
        assert abs((np.abs(z) < 1).mean() - 0.6827) < 0.006 and np.isfinite(z).all()
    k = g.integers(7, size=n, dtype=np.int8).get()
    assert k.dtype == np.int8 and ((np.bincount(k, minlength=7) - n / 7) ** 2 / (n / 7)).sum() < 45
    assert set(g.integers(2, 5, 1000, endpoint=True).tolist()) == {2, 3, 4, 5} and set(g.integers(0, 256, 9999, np.uint8).tolist()) == set(range(256))


def test_shapes_and_refusals():
    g = random.Generator(1)
    assert isinstance(g.random(), np.float64) and isinstance(g.random(dtype=np.float32), np.float32) and isinstance(g.integers(3), np.int64)
    a = g.random((2, 3, 4))
    assert isinstance(a, arex.Array) and a.shape == (2, 3, 4) and (a * 2).sum().item() > 0 and g.random(0).shape == (0,) and g.random((3, 0)).shape == (3, 0) and g.random(()).shape == ()
    assert a.device == ("cuda:0" if arex.device_count() else "cpu")
    for wrong in [lambda: g.random(-1), lambda: g.random(3, int), lambda: g.integers(0), lambda: g.integers(5, 5), lambda: g.integers(300, dtype=np.uint8), lambda: g.integers(3, dtype=float),
                  lambda: g.normal(0, -1), lambda: random.Generator(-1), lambda: random.Generator(2**64), lambda: random.Generator(1, 2**32)]:
        with pytest.raises(arex.ArexError):
            wrong()


def test_threads_share_a_generator():
    g, got = random.Generator(3), []
    threads = [threading.Thread(target=lambda: got.extend(g.random(10).tolist())) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(got) == sorted(random.Generator(3).random(80).tolist())


@pytest.mark.skipif(not PTXAS, reason="no ptxas here")
@pytest.mark.parametrize("kind, dtype", [("uniform", "float32"), ("normal", "float64"), ("integers", "uint64")])
def test_ptx_assembles(kind, dtype, tmp_path):
    program, _ = random._program(kind, 32 if dtype == "float32" else 64, "cpu")
    path = tmp_path / "k.ptx"
    path.write_text(program.emit("ptx", arch="sm_90", types=f"out={dtype}[:], first=uint64, stream=uint32, k0=uint32, k1=uint32, a={dtype}, b={dtype}"))
    subprocess.run([PTXAS, "-arch=sm_90", "-o", str(tmp_path / "k.cubin"), str(path)], check=True)
