"""Writes the numbers of the math library's tables: NAME.inc beside this file, a row a line, for runtime/math/tables.def.

Usage: make.py [NAME...], by hand, after a table's formulas here have changed; needs mpmath. The build only reads what it wrote.
Numbers are computed with far more digits than they have and rounded to nearest once, so every run gives the same files.
"""
import pathlib
import struct
import sys

from mpmath import mp, mpf

mp.prec = 400
NEAR = 8  # rows of erf where it is x and a rest


def float64(x):
    return float(mpf(x))  # mpmath rounds to nearest, ties to even; the tables have no subnormals


def float32(x):
    """The nearest float32, as the float64 of the same value."""
    x = mpf(x)
    if x == 0:
        return 0.0
    scale = mpf(2) ** min(23 - (mp.frexp(x)[1] - 1), 149)  # subnormal numbers have the last unit of the least normal one
    rounded = float(mp.nint(x * scale) / scale)  # nint: ties to even
    assert struct.unpack("<f", struct.pack("<f", rounded))[0] == rounded
    return rounded


def hexadecimal(x):
    """0x1.8p+1: no digits that are zero at the end."""
    sign, text = ("-", x.hex()[1:]) if x.hex().startswith("-") else ("", x.hex())
    mantissa, exponent = text.split("p")
    return f"{sign}{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa}p{exponent}"


def erf_row(rounded, digits, i):
    """Of x = i / 64: t, s - b, l, b (see runtime/math/special.arex). t: a multiple of 2**-digits until erfc(x) is smaller, then erfc rounded."""
    x, b = mpf(i) / 64, 1 if i < NEAR else 0
    erfc, unit = mp.erfc(x), mpf(2) ** -digits
    t = 1 - x if b else mp.nint(erfc / unit) * unit if erfc >= unit else mpf(rounded(erfc))
    return rounded(t), rounded(2 / mp.sqrt(mp.pi) * mp.exp(-x * x) - b), rounded(t - erfc), float(b)


def erf_float64():
    return [erf_row(float64, 53, i) for i in range(512)]


def erf_float32():
    return [erf_row(float32, 24, i) for i in range(512)]


TABLES = {f.__name__: f for f in (erf_float64, erf_float32)}


def main(names):
    for name in names or TABLES:
        suffix = "f" if name.endswith("float32") else ""
        lines = ["ROW(" + ", ".join(hexadecimal(x) + suffix for x in row) + ")\n" for row in TABLES[name]()]
        (pathlib.Path(__file__).parent / f"{name}.inc").write_text("".join(lines))


if __name__ == "__main__":
    main(sys.argv[1:])
