"""Large kernels by transforms: their error, what they must not mix, when "fast" takes them."""

import numpy as np
import pytest
from test_promise import DATA

import cconv

KERNELS = {"5x3": (5, 3), "13x13": (13, 13), "17x40": (17, 40), "31x31": (31, 31), "70x9": (70, 9), "60x65": (60, 65)}


def exact(x, w):
    """Correlation in the next wider type, by its definition along the rows, a tap at a time."""
    wide = np.longdouble if x.dtype == np.float64 else np.float64
    x, w = x.astype(wide), w.astype(wide)
    y = np.zeros(tuple(n - k + 1 for n, k in zip(x.shape, w.shape, strict=True)), wide)
    for i, j in np.ndindex(w.shape):
        y += w[i, j] * x[i : i + y.shape[0], j : j + y.shape[1]]
    return y


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("name", KERNELS)
def test_the_promised_error(name, data, dtype):
    """16 eps max |x| sum |w|."""
    rng = np.random.default_rng(1)
    x = DATA[data](rng, (140, 150), dtype)
    for w in (rng.standard_normal(KERNELS[name]), rng.random(KERNELS[name]), np.sign(rng.standard_normal(KERNELS[name]))):
        w = w.astype(dtype)
        y = cconv.correlate(x, w, algorithm="fft")
        bound = np.finfo(dtype).eps * np.abs(x).max() * np.abs(w).sum() + np.finfo(dtype).smallest_subnormal * 200.0 * w.size
        worst = float(np.abs(y - exact(x, w)).max() / bound)
        print(f"{name}, {data}, {np.dtype(dtype)}: worst error {worst:.2f} eps")
        assert worst <= 16


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
@pytest.mark.parametrize("name", KERNELS)
def test_what_is_not_finite_stays_in_its_window(name, value):
    rng = np.random.default_rng(2)
    x = rng.standard_normal((150, 170)).astype(np.float32)
    x[70, 80] = value
    w = rng.standard_normal(KERNELS[name])
    y, want = (cconv.correlate(x, w, algorithm=a) for a in ("fft", "loop"))
    np.testing.assert_array_equal(np.isnan(y), np.isnan(want))
    np.testing.assert_array_equal(np.isinf(y), np.isinf(want))
    near = np.isfinite(want) & (np.abs(want) < 1e20)
    assert near.any() and not near.all()
    np.testing.assert_allclose(y[near], want[near], rtol=0, atol=1e-3)
    w[1, 1] = value
    x[70, 80] = 0
    y, want = (cconv.correlate(x, w, algorithm=a) for a in ("fft", "loop"))
    np.testing.assert_array_equal(np.isnan(y), np.isnan(want))
    np.testing.assert_allclose(y, want, rtol=1e-4)


@pytest.mark.parametrize("options", [
    {}, {"padding": 40, "padding_mode": "reflect"}, {"padding": "same", "padding_mode": "wrap"}, {"padding": "full"},
    {"normalize": "size", "bias": 2}, {"bias": 3.5}, {"dilation": (1, 2)}, {"padding": (0, 300), "padding_mode": "constant", "padding_value": 2},
])
@pytest.mark.parametrize("shape", [(90, 110), (90, 110, 3), (400, 70)])
@pytest.mark.parametrize("kernel", [(6, 5), (31, 30)])
def test_the_options(shape, kernel, options):
    rng = np.random.default_rng(3)
    x, w = rng.random(shape, np.float32), rng.random(kernel)
    y = cconv.correlate(x, w, algorithm="fft", **options)
    np.testing.assert_allclose(y, cconv.correlate(x, w, algorithm="loop", **options), rtol=2e-5, atol=1e-6 * w.sum())


def test_the_bits_depend_on_nothing_else():
    rng = np.random.default_rng(4)
    x = rng.random((900, 700), np.float32)
    for kernel in ((13, 13), (31, 31)):
        w = rng.random(kernel)
        want = cconv.correlate(x, w, algorithm="fft", padding=5, workers=1)
        for other in (x.astype(">f4"), np.asfortranarray(x)):
            for workers in (1, 2, 3):
                np.testing.assert_array_equal(cconv.correlate(other, w, algorithm="fft", padding=5, workers=workers), want)


def test_what_fast_takes():
    x, rng = np.zeros((500, 600), np.float32), np.random.default_rng(5)
    chosen = {n: cconv.explain(cconv.correlate, x, rng.random((n, n)), algorithm="fast").algorithm for n in (3, 7, 17, 31, 101)}
    assert chosen == {3: "rows", 7: "rows", 17: "fft", 31: "fft", 101: "fft"}
    assert cconv.explain(cconv.correlate, x, cconv.kernels.gaussian(31, 5), algorithm="fast").algorithm == "separable"
    for n in (8, 11, 16):       # which winograd would serve, far slower
        assert cconv.explain(cconv.correlate, x, cconv.kernels.gaussian(n, n / 5), algorithm="fast").algorithm == "separable"
    for algorithm in ("auto", "direct"):    # pictures stay local
        assert cconv.explain(cconv.correlate, x, rng.random((31, 31)), algorithm=algorithm).algorithm == "rows"
    images, weights = np.zeros((1, 8, 56, 56), np.float32), np.zeros((32, 8, 3, 3), np.float32)
    assert cconv.explain(images, weights, padding=1, algorithm="fast").algorithm in ("winograd", "taps")
    integers = cconv.explain(cconv.correlate, np.zeros((99, 99), np.uint8), rng.integers(0, 99, (31, 31)), dtype=np.uint8, algorithm="fast")
    assert integers.algorithm == "rows"


@pytest.mark.parametrize("kernel, options", [((31, 31), {"stride": 2}), ((31, 31), {"dilation": 2}), ((1, 31), {})])
def test_what_it_cannot_do_says_so(kernel, options):
    with pytest.raises(ValueError, match="algorithm='fft' cannot serve: it wants .*; pass 'auto'"):
        cconv.correlate(np.zeros((99, 99), np.float32), np.ones(kernel), algorithm="fft", **options)
