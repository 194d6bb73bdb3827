"""The promised error, |y - exact| <= 16 eps (sum |w||x| + |bias|), over data chosen to break it."""

from fractions import Fraction

import numpy as np
import pytest
from reference import convolution, promise

import cconv

SHAPES = {
    "layer": ((1, 30, 4, 8), (5, 30, 3, 3)),
    "one output": ((1, 20, 4, 8), (1, 20, 3, 3)),
    "wide kernel": ((1, 1, 12, 33), (1, 1, 11, 29)),
    "signal": ((1, 1, 1, 700), (1, 1, 1, 690)),
}


def one_huge_value(rng, shape, dtype):
    x = np.ones(shape, dtype)
    x.flat[rng.integers(x.size)] = 1e12
    return x


DATA = {
    "random": lambda rng, shape, dtype: rng.standard_normal(shape).astype(dtype),
    "constant": lambda rng, shape, dtype: np.full(shape, 0.1, dtype),
    "one huge value among ones": one_huge_value,
    "alternating signs": lambda rng, shape, dtype: np.where(np.arange(np.prod(shape)).reshape(shape) % 2, 1e6, -1e6).astype(dtype),
    "denormals": lambda rng, shape, dtype: (rng.integers(1, 9, shape) * np.finfo(dtype).smallest_subnormal).astype(dtype),
    "all magnitudes": lambda rng, shape, dtype: np.exp(rng.uniform(-20, 20, shape)).astype(dtype),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("data", DATA)
def test_every_algorithm_keeps_the_promise(data, shape, dtype):
    rng = np.random.default_rng(11)
    x_shape, w_shape = SHAPES[shape]
    x = DATA[data](rng, x_shape, dtype)
    w = DATA["constant" if data == "constant" else "random"](rng, w_shape, dtype)
    values, exact, bound = convolution(x, w, None, [1, 1], [[0, 0], [0, 0]], [1, 1])
    eps = np.finfo(dtype).eps
    smallest = Fraction(float(np.finfo(dtype).smallest_subnormal))
    worst = {}
    for algorithm in ("loop", "rows", "taps"):
        y = cconv.conv2d(x, w, algorithm=algorithm)
        ratios = []
        for got, want, most in zip(y.ravel().tolist(), exact, bound, strict=True):
            # Below the normal range a rounding is an absolute error.
            allowed = promise(eps, most) + w[0].size * smallest
            ratios.append(16 * abs(Fraction(got) - want) / allowed if allowed else Fraction(0))
        worst[algorithm] = float(max(ratios))
    print(f"{data}, {shape}, {dtype}: worst error in eps", worst)
    assert max(worst.values()) <= 16, worst
