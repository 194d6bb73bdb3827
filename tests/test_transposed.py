"""Transposed convolution against the definition in fractions; its sizes, words and errors."""

import numpy as np
import pytest
import reference
from samples import SEED, numbers

import cconv

CASES = 250


def random_case(rng):
    axes, groups = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    many = [int(v) for v in rng.integers(1, 4, 2)]
    taps, stride, dilation = ([int(v) for v in rng.integers(1, 4, axes)] for _ in range(3))
    pads = [tuple(int(v) for v in rng.integers(0, 3, 2)) for _ in range(axes)]
    positions = [int(v) for v in rng.integers(1, 5, axes)]
    extra = [int(rng.integers(0, max(s, d))) for s, d in zip(stride, dilation)]
    sizes = [(n - 1) * s - sum(p) + d * (k - 1) + e + 1 for n, s, p, d, k, e in zip(positions, stride, pads, dilation, taps, extra)]
    x = numbers(rng, rng.choice(["float32", "float64", "int16", "uint8"]), (int(rng.integers(1, 3)), many[0] * groups, *positions), small=True)
    w = numbers(rng, rng.choice(["float32", "float64", "int8"]), (many[0] * groups, many[1], *taps), small=True)
    bias = None if rng.integers(2) else numbers(rng, w.dtype, many[1] * groups, small=True)
    return axes, x, w, bias, stride, pads, extra, groups, dilation, sizes


def test_random_cases():
    rng, tried = np.random.default_rng(SEED), 0
    for case in range(CASES):
        axes, x, w, bias, stride, pads, extra, groups, dilation, sizes = random_case(rng)
        conv = getattr(cconv, f"conv_transpose{axes}d")
        if min(sizes) < 1:
            with pytest.raises(ValueError, match="nothing would be left"):
                conv(x, w, bias, stride, pads, extra, groups, dilation)
            continue
        tried += 1
        shape, sums, bounds = reference.transposed(x, w, bias, stride, pads, dilation, sizes, groups)
        last = bool(rng.integers(2))
        given = np.moveaxis(x, 1, -1) if last else x
        y = conv(given, w, bias, stride, pads, extra, groups, dilation, layout="channels_last" if last else "channels_first")
        y = np.moveaxis(y, -1, 1) if last else y
        assert y.shape == shape, (SEED, case)
        eps = np.finfo(y.dtype).eps
        for value, total, bound in zip(y.ravel().tolist(), sums, bounds, strict=True):
            assert abs(reference.exact(value) - total) <= reference.promise(eps, bound), (SEED, case)
        if x.dtype.kind in "iu" and w.dtype.kind in "iu":
            exact = conv(x, w, bias, stride, pads, extra, groups, dilation, dtype=np.int64)
            assert exact.ravel().tolist() == sums, (SEED, case)
    assert tried > CASES // 2


@pytest.mark.parametrize("stride, dilation", [(1, 1), (2, 1), (3, 2), (4, 6), (5, 1)])
def test_it_is_the_adjoint(stride, dilation):
    rng = np.random.default_rng(1)
    x, w = rng.standard_normal((2, 4, 23, 17)), rng.standard_normal((6, 2, 3, 2))
    y = cconv.conv2d(x, w, stride=stride, dilation=dilation, padding=2, groups=2)
    g = rng.standard_normal(y.shape)
    back = cconv.conv_transpose2d(g, w, None, stride, 2, 0, 2, dilation, output_size=(23, 17))
    assert np.isclose((y * g).sum(), (x * back).sum(), rtol=1e-12)


def test_sizes():
    x, w = np.ones((1, 1, 4, 5)), np.ones((1, 1, 3, 3))
    for size in ((7, 9), (8, 10), (7, 10), [8, 9]):
        assert cconv.conv_transpose2d(x, w, None, 2, 1, output_size=size).shape[2:] == tuple(size)
    assert cconv.conv_transpose2d(x, w, None, 2, 1, output_size=(1, 1, 8, 10)).shape == (1, 1, 8, 10)
    assert cconv.conv_transpose2d(x, w, padding="full").shape == (1, 1, 2, 3)
    assert cconv.conv_transpose2d(x, w, padding="same").shape == x.shape
    assert cconv.conv_transpose2d(x[0], w).shape == (1, 6, 7)
    assert cconv.conv_transpose2d(x[:0], w).shape == (0, 1, 6, 7)
    assert (cconv.conv_transpose2d(np.ones((1, 1, 0, 2)), w, [3], output_padding=0, stride=1, dilation=2) == 3).all()


@pytest.mark.parametrize("options, error, text", [
    ({"output_size": (6, 9), "stride": 2, "padding": 1}, ValueError, r"output_size=\(6, 9\) is impossible: spatial axis 0 can be 7 to 8, not 6"),
    ({"output_size": 9}, ValueError, "output_size=9 is impossible: spatial axis 0 can be 6, not 9"),
    ({"output_size": (6, 7), "output_padding": 1, "stride": 2}, ValueError, "say the same thing: pass one of them"),
    ({"output_padding": 2, "stride": 2}, ValueError, "output_padding=2 on spatial axis 0 must be less than the stride 2 or the dilation 1; want at most 1"),
    ({"output_padding": -1}, ValueError, "output_padding is -1; want an integer of at least 0"),
    ({"padding": 4}, ValueError, r"nothing would be left of spatial axis 0: \(4 - 1\)\*1 - 4 - 4 \+ 1\*\(3 - 1\) \+ 0 \+ 1 = -2; want at least 1"),
    ({"padding": "same_upper"}, ValueError, "padding='same_upper' depends on the size of the result: pass numbers, or 'same'"),
    ({"padding": "sam"}, ValueError, "did you mean 'same'"),
    ({"groups": 3}, ValueError, r"groups=3 does not divide the 2 input channels of weight \(2, 1, 3, 3\)"),
    ({"stride": 0}, ValueError, "stride is 0; want an integer of at least 1"),
    ({"bias": [1, 2]}, ValueError, r"bias has shape \(2,\); want \(1,\), one for each output channel"),
    ({"layout": "channels_last"}, ValueError, "input has 5 channels on axis 3 but weight .* wants 2: channels first"),
    ({"weight": np.ones((3, 2, 3, 3))}, ValueError, r"a weight \(O, C, ...\)\? pass weight.swapaxes\(0, 1\)"),
    ({"weight": np.ones((2, 1, 3))}, ValueError, r"conv_transpose2d wants 4: \(C, O/groups, KH, KW\)"),
    ({"weight": np.ones((2, 0, 3, 3))}, ValueError, "it is empty"),
    ({"out": np.empty((1, 1, 6, 6))}, ValueError, r"out has shape \(1, 1, 6, 6\); the result has \(1, 1, 6, 7\)"),
    ({"stride": 2**60}, OverflowError, "would hold"),
    ({"activation": "tanh"}, ValueError, "activation='tanh' is not known"),
    ({"algorithm": "fastest"}, ValueError, "algorithm='fastest' is not known"),
    ({"input": np.ones((2, 4, 5, 1, 1))}, ValueError, "conv_transpose2d wants 4"),
])  # fmt: skip
def test_errors(options, error, text):
    arguments = {"input": np.ones((1, 2, 4, 5)), "weight": np.ones((2, 1, 3, 3)), **options}
    with pytest.raises(error, match=text):
        cconv.conv_transpose2d(**arguments)


def test_wide_strides_cost_what_their_taps_do():
    x, w = np.arange(1.0, 5).reshape(1, 1, 4), np.array([[[1.0, 10]]])
    y = cconv.conv_transpose1d(x, w, [0.5], stride=2**21, dilation=3)
    assert y.shape == (1, 1, 3 * 2**21 + 4) and (np.flatnonzero(y != 0.5) == np.add.outer(np.arange(4) * 2**21, [0, 3]).ravel()).all()
    assert cconv.conv_transpose2d(x[..., None], w[..., None], stride=1500).shape == (1, 1, 4502, 1)
    assert cconv.conv_transpose3d(np.ones((1, 1, 2, 2, 2)), np.ones((1, 1, 1, 1, 1)), stride=150).sum() == 8


def test_options():
    rng = np.random.default_rng(2)
    x, w, b = rng.standard_normal((2, 3, 6, 5)), rng.standard_normal((3, 4, 3, 3)), rng.standard_normal(4)
    y = cconv.conv_transpose2d(x, w, b, stride=2)
    np.testing.assert_array_equal(cconv.conv_transpose2d(x, w, b, stride=2, activation="relu"), np.maximum(y, 0))
    out = np.full(y.shape[::-1], 7.0).T
    assert cconv.conv_transpose2d(x, w, b, stride=2, out=out) is out and (out == y).all()
    for workers in (1, 2, 3):
        np.testing.assert_array_equal(cconv.conv_transpose2d(x, w, b, stride=2, workers=workers), y)
    eight = cconv.conv_transpose2d(x * 99, w, b, stride=2, dtype=np.uint8)
    np.testing.assert_array_equal(eight, np.clip(np.rint(cconv.conv_transpose2d(x * 99, w, b, stride=2)), 0, 255))
    wide = cconv.conv_transpose2d(x, w, b, stride=5, activation=("clip", -0.5, 0.5))     # places that no tap reaches have the bias
    np.testing.assert_array_equal(wide[:, :, 3::5], np.broadcast_to(np.clip(b, -0.5, 0.5)[:, None, None], wide[:, :, 3::5].shape))
    overlapping = rng.standard_normal((1, 1, 9, 9))
    want = cconv.conv_transpose2d(overlapping[:, :, :7, :7].copy(), np.ones((1, 1, 3, 3)))
    np.testing.assert_array_equal(cconv.conv_transpose2d(overlapping[:, :, :7, :7], np.ones((1, 1, 3, 3)), out=overlapping), want)


def test_what_is_not_finite_stays_where_it_reaches():
    x, w = np.ones((1, 1, 6, 6)), np.ones((1, 1, 3, 3))
    x[0, 0, 2, 2] = np.inf
    y = cconv.conv_transpose2d(x, w, stride=2)
    assert np.isinf(y[0, 0, 4:7, 4:7]).all() and np.isfinite(y).sum() == y.size - 9
    w[0, 0, 0, 0] = np.inf                  # nothing is multiplied by zeros around the input
    y = cconv.conv_transpose2d(np.ones((1, 1, 6, 6)), w, stride=1)
    assert np.isinf(y[0, 0, :6, :6]).all() and not np.isnan(y).any() and np.isfinite(y[0, 0, 6:]).all()
