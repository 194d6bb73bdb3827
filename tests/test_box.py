"""Kernels all values of which are the same: exact, local, and without drift."""

import numpy as np
import pytest

import cconv
from cconv import kernels


@pytest.mark.parametrize("size", [(2, 2), (3, 2), (5, 7), (16, 16), (21, 40), (64, 3), (101, 77)])
@pytest.mark.parametrize("options", [{}, {"padding": "same", "padding_mode": "reflect"}, {"padding": "full", "bias": 2}, {"padding": (9, 300)}])
@pytest.mark.parametrize("shape", [(120, 130), (150, 110, 3), (110, 3000)])
def test_against_the_definition(size, options, shape):
    x = np.random.default_rng(1).random(shape, np.float32)
    k = np.full(size, -0.3)
    y = cconv.correlate(x, k, algorithm="box", **options)
    np.testing.assert_allclose(y, cconv.correlate(x, k, algorithm="loop", **options), rtol=4e-6, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_drift(dtype):
    """0.1 added up 100,000 times by running sums is off by hundreds of eps."""
    x = np.full((2000, 900), 0.1, dtype)
    x[:300, :] = 1e6        # and what left the window must not be remembered
    y = cconv.correlate(x, np.ones((300, 300)), algorithm="box")
    exact = np.float64(x[-1, -1]) * 300 * 300
    assert np.abs(y[300:].astype(np.longdouble) / exact - 1).max() <= 4 * np.finfo(dtype).eps


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_integers_stay_exact(dtype):
    x = np.random.default_rng(2).integers(0, np.iinfo(dtype).max, (150, 160), dtype, endpoint=True)
    for k in (np.ones((31, 31), np.int64), np.full((15, 21), 3)):
        want = cconv.correlate(x, k, algorithm="loop", dtype=np.int64)
        assert cconv.explain(cconv.correlate, x, k, dtype=np.int64).algorithm == "box"
        np.testing.assert_array_equal(cconv.correlate(x, k, dtype=np.int64), want)
    mean = cconv.correlate(x, np.ones((31, 31), int), normalize="size", dtype=dtype)
    exact = cconv.correlate(x, np.ones((31, 31), int), algorithm="loop", dtype=np.int64)
    np.testing.assert_array_equal(mean, np.rint(exact / 961))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
def test_what_is_not_finite_stays_in_its_window(value):
    x = np.random.default_rng(3).random((200, 190), np.float32)
    x[90, 100] = value
    k = kernels.box(21)
    y, want = (cconv.correlate(x, k, algorithm=a) for a in ("box", "loop"))
    np.testing.assert_array_equal(np.isnan(y), np.isnan(want))
    np.testing.assert_array_equal(np.isinf(y), np.isinf(want))
    near = np.isfinite(want) & (np.abs(want) < 1e6)
    np.testing.assert_allclose(y[near], want[near], rtol=1e-5)


def test_the_bits_depend_on_nothing_else():
    x = np.random.default_rng(4).random((900, 700), np.float32)
    want = cconv.correlate(x, kernels.box(25), padding=12, workers=1)
    for other in (x.astype(">f4"), np.asfortranarray(x)):
        for workers in (1, 2, 3):
            np.testing.assert_array_equal(cconv.correlate(other, kernels.box(25), padding=12, workers=workers), want)


def test_when_it_is_chosen():
    x = np.zeros((300, 300), np.float32)
    chosen = {n: cconv.explain(cconv.correlate, x, kernels.box(n)).algorithm for n in (3, 7, 31, 101)}
    assert chosen == {3: "rows", 7: "separable", 31: "box", 101: "box"}
    k = kernels.box(31)
    k[3, 4] *= 1.1
    assert cconv.explain(cconv.correlate, x, k).algorithm != "box"
    for kernel, options in ((k, {}), (kernels.box(9), {"stride": 2}), (kernels.box(9), {"dilation": 2}), (np.ones((1, 9)), {})):
        with pytest.raises(ValueError, match="algorithm='box' cannot serve: it wants .*; pass 'auto'"):
            cconv.correlate(x, kernel, algorithm="box", **options)
