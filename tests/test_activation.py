"""A result with an activation has the bits of one that is clipped afterwards, whichever kernels write it."""

import numpy as np
import pytest

import cconv

# batch, channels, output channels, size, kernel, options
LAYERS = {
    "pointwise": (1, 64, 48, (10, 33), 1, {}),
    "pointwise, blocks of taps": (1, 300, 20, (12, 13), 1, {}),
    "pointwise to few outputs": (1, 40, 3, (9, 31), 1, {}),
    "patches": (1, 3, 20, (32, 32), 8, {"stride": 8}),
    "a border left out": (1, 40, 40, (7, 7), 3, {"padding": 1}),
    "winograd of 4x4": (1, 24, 24, (30, 31), 3, {"padding": 1}),
    "winograd of 2x2": (1, 128, 128, (7, 7), 3, {"padding": 1}),
    "winograd with a stride": (1, 64, 64, (28, 30), 3, {"padding": 1, "stride": 2}),
    "upright": (1, 3, 64, (40, 71), 3, {"padding": 1}),
    "upright, past the caches": (1, 3, 64, (130, 160), 3, {"padding": 1}),
    "upright, short rows": (2, 6, 16, (14, 14), 5, {}),
    "along the width": (1, 32, 33, (1, 300), (1, 9), {"padding": (0, 4)}),
    "taps, past the caches": (1, 16, 96, (112, 112), 1, {}),
    "rows": (2, 1, 6, (28, 28), 5, {}),
    "rows in passes": (1, 6, 2, (30, 33), 7, {}),
    "groups": (1, 32, 32, (20, 23), 3, {"padding": 1, "groups": 8}),
    "depthwise": (1, 20, 20, (30, 71), 3, {"padding": 1, "groups": 20}),
    "depthwise, wide, stride": (1, 5, 5, (30, 171), 3, {"padding": 1, "groups": 5, "stride": 2}),
    "depthwise without a border": (1, 20, 20, (30, 71), 3, {"groups": 20}),
    "depthwise, another border": (1, 20, 20, (30, 37), 3, {"padding": 1, "padding_mode": "reflect", "groups": 20}),
    "depthwise, dilated": (1, 20, 20, (30, 37), 3, {"padding": 2, "dilation": 2, "groups": 20}),
    "depthwise, tall": (1, 20, 20, (23, 28), 5, {"padding": 2, "groups": 20}),
    "depthwise, tall, stride": (1, 20, 20, (45, 99), 5, {"padding": 2, "groups": 20, "stride": 2}),
    "depthwise, turned": (1, 33, 33, (14, 14), 5, {"padding": 2, "groups": 33, "stride": 2}),
    "depthwise, one row": (1, 20, 20, (1, 300), (1, 7), {"padding": (0, 3), "groups": 20}),
    "depthwise, large": (1, 6, 6, (33, 40), 9, {"padding": 4, "groups": 6}),
}  # fmt: skip

BOUNDS = {"relu": (0, np.inf), "both": (-0.5, 2), "above": (-np.inf, 0.25), "nothing": (-np.inf, np.inf)}


def clipped(y, low, high):
    """As `store` does: a NaN passes, and so does -0."""
    return np.where(y < low, y.dtype.type(low), np.where(y > high, y.dtype.type(high), y))


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", LAYERS)
def test_bits_of_clipping(name, dtype, layout):
    n, c, o, size, k, options = LAYERS[name]
    rng = np.random.default_rng(21)
    kernel = k if isinstance(k, tuple) else (k, k)
    x, w = rng.standard_normal((n, c, *size)), rng.standard_normal((o, c // options.get("groups", 1), *kernel))
    x[0, 0, size[0] // 2, size[1] // 2] = np.nan
    x[..., :1, -3:] = 0
    x, w, b = x.astype(dtype), w.astype(dtype), rng.standard_normal(o).astype(dtype)
    if layout == "channels_last":
        x = np.ascontiguousarray(np.moveaxis(x, 1, -1))
    options = {**options, "layout": layout}
    with np.errstate(invalid="ignore"):
        y = cconv.conv2d(x, w, b, **options)
        assert np.isnan(y).any() and not np.isnan(y).all()
        for low, high in BOUNDS.values():
            activation = "relu" if (low, high) == BOUNDS["relu"] else ("clip", low, high)
            want = clipped(y, low, high).tobytes()
            assert cconv.conv2d(x, w, b, activation=activation, **options).tobytes() == want, activation
            layer = cconv.Conv(w, b, activation=activation, **options)
            packed = clipped(cconv.Conv(w, b, **options)(x), low, high).tobytes()
            assert layer(x).tobytes() == packed, activation
            assert layer(x, workers=2).tobytes() == packed, activation
            assert layer.explain(x.shape).algorithm == cconv.Conv(w, b, **options).explain(x.shape).algorithm


def test_a_negative_zero_is_not_below_zero():
    x = np.full((1, 20, 9, 40), -0.0, np.float32)
    for groups in (1, 20):
        y = cconv.conv2d(x, np.ones((20, 20 // groups, 1, 1), np.float32), -np.zeros(20, np.float32), groups=groups, activation="relu")
        np.testing.assert_array_equal(np.signbit(y), np.signbit(cconv.conv2d(x, np.ones((20, 20 // groups, 1, 1), np.float32), -np.zeros(20, np.float32), groups=groups)))
