"""Elements in other places: reshape, roll, tile, repeat, concatenate and their kin; as NumPy has it, on every target to the bit."""
import re

import numpy as np
import pytest

import arex

RNG = np.random.default_rng(5)
A = RNG.normal(size=(3, 4, 5))
ARRAYS = {"a": A, "f": np.asfortranarray(RNG.normal(size=(5, 6)).astype(np.float32)), "v": RNG.integers(-9, 9, 4099), "b": RNG.random(6) < 0.5, "h": RNG.normal(size=(2, 6)).astype(np.float16),
          "o": RNG.normal(size=(1, 5, 1)), "z": np.zeros((0, 4)), "s": np.float64(2.5), "k": np.int64(-3), "u": RNG.integers(0, 9, (7, 1)).astype(np.uint8),
          "r": RNG.normal(size=(1, 2, 1, 3, 1, 2, 1, 2))}
NAMES = "reshape broadcast_to squeeze roll tile repeat concatenate stack flip transpose sum sin arange shape expand_dims mean diff".split()
CASES = """
reshape(a,(4,15))  reshape(a,-1)  reshape(a,(5,-1))  reshape(a,(3,4,5))  reshape(a,(3,1,4,1,5))  reshape(a,(2,-1,3))  reshape(a.T,(6,10))  reshape(f,30)  reshape(f[::2,::-1],(-1,2))  reshape(z,(4,0))
reshape(z,(7,0,2))  reshape(s,(1,1))  reshape(s,())  reshape(o,5)  reshape(o,(5,1))  reshape(o,(1,1,1,5))  reshape(r,(24,))  reshape(r,(2,2,2,3,1,1,1,1))  reshape(a*2+1,(6,10))[1:,::3]  reshape(arange(24),(2,3,4))
sum(reshape(a,(12,5)),1)  reshape(sum(a,0),(2,10))  reshape(a+o[:,:4],60)  reshape(v,(-1,1))  reshape(b,(2,3))  reshape(h,(3,4))  reshape(a,(len(a),-1))  reshape(v[:1],())  reshape(a-mean(a),(60,))
broadcast_to(s,(2,3))  broadcast_to(b,(4,6))  broadcast_to(o,(2,5,3))  broadcast_to(o,(1,5,1))  broadcast_to(z,(3,0,4))  sum(broadcast_to(u,(7,9)))  broadcast_to(a,(3,4,5))  broadcast_to(2,(2,2))  broadcast_to(s,())
squeeze(o,0)  squeeze(o,(0,2))  squeeze(o,-1)  squeeze(o+s,(2,0))  squeeze(r,(0,2,4,6))  squeeze(sum(a,1)[None],0)
roll(v,1)  roll(v,-5000)  roll(a,7)  roll(a,2,1)  roll(a,-1,axis=0)  roll(z,3)  roll(z,3,1)  roll(v,k)  roll(a*s,k,2)  roll(b,0)  roll(s,3)  v-roll(v,1)  roll(roll(f,1,0),-2,1)  sum(roll(a,1,2)*a)  roll(r,2,3)  roll(a,(1,2),(0,2))  roll(a,(1,-2),(1,1))  roll(a,1,(0,1,2))  roll(f,(3,1),0)  roll(a,(2,5))  roll(z,(1,1),(0,1))  v[3,]
tile(b,3)  tile(a,2)  tile(a,(2,1,1))  tile(a,(2,1,3,1))  tile(s,3)  tile(s,(2,2))  tile(b,0)  tile(z,(2,2))  tile(u,(1,5))  tile(f,())  sum(tile(f,(3,2)),0)  tile(b,(2,2))[1:,::2]  tile(o[:,1:]*a,(1,2))
repeat(b,3)  repeat(a,2)  repeat(a,2,1)  repeat(a,3,axis=-1)  repeat(s,4)  repeat(z,2,0)  repeat(z,2,1)  repeat(v,0)  repeat(f.T,2,0)  repeat(v,1)
concatenate((v,v))  concatenate((a,a[1:]))  concatenate((a,o[:,:4]*a[:,:,:2]),axis=2)  concatenate((a,f[None,:4,:5]))  concatenate((b,v))  concatenate((b,b[:0],b[::-1]))  concatenate((z,z))  concatenate((z,z),1)
concatenate((a,))  concatenate((a,a),None)  concatenate((a,f),axis=None)  sum(concatenate((f,f*2)),0)  concatenate((v[:1],arange(4)))  concatenate((f,f[:,:1],f),1)  concatenate((h,f[:,:][:2,:6]),-1)  concatenate((u,u),1)
sin(concatenate((a[0],a[1])))[::-2]  concatenate((sum(a,0),mean(a,0)),1)  concatenate((v,v,v,v,v))  concatenate((v,v))*2-1  concatenate((r,r),7)
stack((v,v*2))  stack((a,a+1),1)  stack((a,a,a),axis=-1)  stack((s,s+1))  stack((s,k))  stack((b,))  stack((f.T,f.T),0)  stack((z,z),2)  sum(stack((a,-a)),0)  stack((b,v[:6],arange(6)),1)  stack((v,))  stack((b,b[::-1]),-2)
""".split()


def everywhere(text, arrays, targets):
    names = [n for n in dict.fromkeys(re.findall(r"\b[a-z]\b", text)) if n in arrays]
    results = [np.asarray(arex.compile(text, target=t)(**{n: arrays[n] for n in names})) for t in targets]
    assert all(r.tobytes() == results[0].tobytes() and r.shape == results[0].shape and r.dtype == results[0].dtype for r in results), text
    return results[0]


@pytest.mark.parametrize("text", CASES)
def test_as_numpy(text, targets):
    scope = {n: getattr(np, n) for n in NAMES}
    got, want = everywhere(text, ARRAYS, targets), np.asarray(eval(text, scope, ARRAYS))
    assert got.shape == want.shape and got.dtype == want.dtype
    np.testing.assert_allclose(got, want, rtol=1e-5 if want.dtype == np.float32 else 1e-12, atol=1e-5 if want.dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int32", "uint64", "float16", "float32", "float64"])
@pytest.mark.parametrize("n", [0, 1, 2, 63, 65, 1000])
def test_types_and_lengths(dtype, n, targets):
    x = (RNG.normal(size=(2, n)) * 50).astype(dtype) if dtype[0] != "u" else RNG.integers(0, 99, (2, n)).astype(dtype)
    for text, want in [("reshape(x, -1)", x.ravel()), ("roll(x, 3, 1)", np.roll(x, 3, 1)), ("roll(x, -1)", np.roll(x, -1)), ("tile(x, (2, 3))", np.tile(x, (2, 3))), ("repeat(x, 3, 1)", x.repeat(3, 1)),
                       ("concatenate((x, x[:, 1:]), 1)", np.concatenate((x, x[:, 1:]), 1)), ("stack((x, x[::-1]), 1)", np.stack((x, x[::-1]), 1)), ("broadcast_to(x, (3, 2, shape(x, 1)))", np.broadcast_to(x, (3, 2, n)))]:
        got = everywhere(text, {"x": x}, targets)
        assert got.dtype == x.dtype and got.shape == want.shape and np.array_equal(got, want), text


@pytest.mark.parametrize("text", ["concatenate((x, y)) * 2 + 1", "stack((x, y, x - y), 1)", "sum(concatenate((x, y)))", "roll(x, 1) - x", "sum(reshape(x * y, (-1, 4)), 1)", "tile(x, 2) + repeat(y, 2)"])
def test_nothing_is_copied(text):
    """What is joined or moved is computed where it is used: one kernel, no temporary (an output of n elements is all it writes)."""
    f = arex.compile(text, target="cpu")
    x, y = np.arange(4000.0), np.arange(4000.0)[::-1]
    f(x, y) if "y" in text else f(x)
    assert f.stats()["kernels"] == 1
    assert f.stats()["temporaries"] == 0


@pytest.mark.parametrize("text, code, words", [
    ("reshape(a, (7, -1))", "AX0301", "keeps the number of elements: 60 and 56"), ("reshape(a, 59)", "AX0301", "60 and 59"), ("reshape(a, (-1, -1))", "AX0214", "only one"), ("reshape(a, (-2, 3))", "AX0214", "negative"),
    ("reshape(a, s)", "AX0211", "known"), ("reshape(a, (1.5,))", "AX0203", "extent"), ("reshape(a, (1,1,1,1,1,1,1,1,60))", "AX0215", "at most 8"), ("reshape(None, 3)", "AX0203", "takes an array"),
    ("squeeze(a, 1)", "AX0301", "axis 1 has not: 4 and 1"), ("squeeze(o, (0, 0))", "AX0213", "twice"), ("squeeze(o, 3)", "AX0212", "out of range"), ("squeeze(o)", "AX0301", "name the axes"),
    ("broadcast_to(a, (4, 5))", "AX0301", "3 axes"), ("broadcast_to(b, 5)", "AX0301", "broadcast"), ("broadcast_to(b, 1)", "AX0301", "extent 1: 6 and 1"), ("broadcast_to(b, (-1, 6))", "AX0214", "negative"),
    ("roll(b, 1.5)", "AX0203", "one integer"), ("roll(b, v)", "AX0203", "one integer"), ("roll(a, 1, 3)", "AX0212", "out of range"), ("roll(a, 1, v)", "AX0211", "axis"),
    ("tile(a, -1)", "AX0214", "negative"), ("tile(a, v)", "AX0211", "known"), ("tile(a, (1,1,1,1,1,1,1,1,1))", "AX0215", "at most 8"), ("repeat(a, 2.0)", "AX0203", "known"), ("repeat(a, 2, 5)", "AX0212", "out of range"),
    ("concatenate(a)", "AX0203", "tuple"), ("concatenate(())", "AX0203", "empty"), ("concatenate((a, b))", "AX0301", "3 axes, another 1"), ("concatenate((a, a[:, 1:]))", "AX0301", "axis 1: 4 and 3"),
    ("concatenate((s, s))", "AX0212", "0 axes"), ("concatenate((a, o[:, :4]))", "AX0301", "axis 2: 5 and 1"), ("stack((b, b[1:]))", "AX0301", "axis 0: 6 and 5"), ("stack((b, b), None)", "AX0203", "axis"), ("stack((r, r))", "AX0215", "at most 8"),
    ("stack((a, a), 4)", "AX0212", "out of range"), ("repeat(b, 9223372036854775807)", "AX0313", "2^48"), ("def g(x) { t = 0; while t < 3 { t += 1; reshape(x, 1) }; return t }; g(b)", "AX0219", "loop")])
def test_errors(text, code, words):
    names = [n for n in dict.fromkeys(re.findall(r"\b[a-z]\b", text)) if n in ARRAYS]
    for target in ["reference", "cpu"]:
        with pytest.raises(arex.ArexError, match=re.escape(words)) as e:
            arex.compile(text, target=target)(**{n: ARRAYS[n] for n in names})
        assert e.value.code == code


@pytest.mark.parametrize("text, dim", [("concatenate((x, y))", "(x.0+y.0)"), ("repeat(x, 3)", "(x.0*3)"), ("reshape(x, (-1, 4))", "(x.0/4)"), ("reshape(x, (len(y), -1))", "(x.0/y.0)")])
def test_extents_are_known_by_their_making(text, dim):
    f = arex.compile(text)
    assert dim in f.emit("ir", types=", ".join(f"{n}=float64[:]" for n in f.inputs))


def test_by_name():
    x = np.arange(6.0)
    for got, want in [(arex.concatenate((x, x[:2])), np.concatenate((x, x[:2]))), (arex.stack([x, -x], 1), np.stack([x, -x], 1)), (arex.concat(arrays=(x, x)), np.concatenate((x, x))),
                      (arex.asnumpy(arex.stack((arex.asarray(x) * 2, x), axis=-1)), np.stack((x * 2, x), -1)), (arex.reshape(x, (2, -1)), x.reshape(2, -1)), (arex.roll(x, 2), np.roll(x, 2))]:
        assert np.array_equal(got, want)
