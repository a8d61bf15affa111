"""NumPy arrays through Arex: ./dev python samples/python_demo.py"""
import numpy as np

import arex

x = np.random.default_rng(0).normal(size=1_000_000)
print("sum of squares", arex.evaluate("sum(x*x)"), "NumPy", np.sum(x * x))

score = arex.compile("(x - mean(x)) / sqrt(mean(square(x - mean(x))))")
z = score(x)
print("standard score: mean", z.mean(), "deviation", z.std())
print({name: value for name, value in score.stats().items() if name in ("kernels", "temporaries", "compilations")})

try:
    arex.evaluate("sum(x) + sinn(x)")
except arex.ArexError as error:
    print(error.text)
