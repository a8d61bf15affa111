"""Writes the numbers of the math library's tables: NAME.inc beside this file, a row a line, for runtime/math/tables.def.

Usage: make.py [NAME...], by hand, after a table's formulas here have changed; needs mpmath. The build only reads what it wrote.
Numbers are computed with far more digits than they have and rounded to nearest once, so every run gives the same files.
"""
import pathlib
import struct
import sys

from mpmath import mp, mpf

mp.prec = 400


def float64(x):
    return float(mpf(x))  # mpmath rounds to nearest, ties to even; the tables have no subnormals


def float32(x):
    """The nearest float32, as the float64 of the same value."""
    x = mpf(x)
    if x == 0:
        return 0.0
    scale = mpf(2) ** (23 - (mp.frexp(x)[1] - 1))
    rounded = float(mp.nint(x * scale) / scale)  # nint: ties to even
    assert struct.unpack("<f", struct.pack("<f", rounded))[0] == rounded
    return rounded


def hexadecimal(x):
    """0x1.8p+1: no digits that are zero at the end."""
    sign, text = ("-", x.hex()[1:]) if x.hex().startswith("-") else ("", x.hex())
    mantissa, exponent = text.split("p")
    return f"{sign}{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa}p{exponent}"


def erfc_row(step, rounded, i):
    """Of x = i * step: erfc(x) as a sum of two numbers, its slope without the sign."""
    x = mpf(i) * step
    high = rounded(mp.erfc(x))
    return high, rounded(mp.erfc(x) - high), rounded(2 / mp.sqrt(mp.pi) * mp.exp(-x * x)), 0.0


def erfc_float64():
    return [erfc_row(mpf(1) / 64, float64, i) for i in range(512)]


def erfc_float32():
    return [erfc_row(mpf(1) / 32, float32, i) for i in range(256)]


TABLES = {f.__name__: f for f in (erfc_float64, erfc_float32)}


def main(names):
    for name in names or TABLES:
        suffix = "f" if name.endswith("float32") else ""
        lines = ["ROW(" + ", ".join(hexadecimal(x) + suffix for x in row) + ")\n" for row in TABLES[name]()]
        (pathlib.Path(__file__).parent / f"{name}.inc").write_text("".join(lines))


if __name__ == "__main__":
    main(sys.argv[1:])
