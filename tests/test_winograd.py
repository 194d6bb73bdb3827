"""Winograd's algorithm: its error, what it must not mix, when it serves, when it is chosen."""

import numpy as np
import pytest
from test_promise import DATA

import cconv

# input channels, output channels, kernel, size, options; all but those of 3x3 go along one axis alone
LAYERS = {
    "dense": (16, 19, (3, 3), (9, 14), {"padding": 1}),
    "one row": (18, 16, (3, 3), (3, 30), {}),
    "grouped": (40, 36, (3, 3), (11, 8), {"padding": (2, 0), "groups": 2}),
    "dilated": (16, 17, (3, 3), (17, 23), {"padding": "same", "dilation": (3, 2)}),
    "many channels": (150, 16, (3, 3), (6, 7), {"padding": 1, "padding_mode": "reflect"}),
    "strided": (33, 18, (3, 3), (14, 9), {"padding": 1, "stride": 2}),
    "strided groups": (140, 34, (3, 3), (7, 30), {"padding": (0, 2), "stride": 2, "groups": 2, "padding_mode": "edge"}),
    "two rows": (4, 18, (2, 3), (12, 9), {"padding": 1}),
    "four rows": (4, 17, (4, 1), (19, 33), {"padding": (2, 0)}),
    "five rows": (9, 16, (5, 5), (9, 14), {"padding": 2, "groups": 1, "padding_mode": "symmetric"}),
    "seven rows": (12, 17, (7, 3), (21, 15), {"padding": (3, 1)}),
    "eleven rows": (5, 33, (11, 2), (24, 19), {"padding": (2, 0), "padding_mode": "reflect"}),
    "a row of three": (20, 18, (1, 3), (4, 70), {"padding": (0, 1), "groups": 2}),
    "a row of eight": (7, 40, (1, 8), (3, 41), {"padding": (0, 3), "padding_mode": "edge"}),
    "a row of nine, strided": (30, 16, (1, 9), (5, 90), {"padding": (0, 4), "stride": 2}),
    "first": (3, 32, (7, 7), (20, 22), {"padding": 3, "stride": 2}),
    "wide stride": (6, 34, (11, 3), (25, 40), {"padding": 1, "stride": 4, "groups": 2}),
}


def tile_of(kernel, stride):
    """Results of a tile along both axes, and the padded inputs that it sees."""
    if kernel != (3, 3):
        along = int(kernel[0] == 1)
        taps = -(-kernel[along] // stride)
        block = taps if taps < 6 - along else 4 if 4 * -(-taps // 4) < 3 * -(-taps // 3) else 3
        tile, seen = [1, 1], list(kernel)
        tile[along], seen[along] = 7 - block, (6 + (-(-taps // block) - 1) * block) * stride
        return tile, seen
    return ((4, 4), (6, 6)) if stride == 1 else ((2, 2), (5, 5))


def largest_of_tiles(x, y_shape, kernel, stride, dilation, groups, outputs):
    """The largest |x| among the inputs that each result's tile sees, in the shape of y."""
    N, O, H, W = y_shape
    most = np.abs(x).reshape(N, groups, -1, *x.shape[2:]).max(2)
    out = np.empty((N, groups, H, W))
    for r in range(H):
        for c in range(W):
            rows, columns = (i % d + d * (i // d // edge * edge * stride + np.arange(reach))
                             for i, d, edge, reach in zip((r, c), dilation, *tile_of(kernel, stride), strict=True))
            rows, columns = rows[rows < most.shape[2]], columns[columns < most.shape[3]]
            out[:, :, r, c] = most[:, :, rows][:, :, :, columns].max((2, 3))
    return out.repeat(outputs // groups, 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("name", LAYERS)
def test_the_promised_error(name, data, dtype):
    """16 eps max |x| sum |w|, over a tile; the exact sums are the loop's in the next wider type."""
    channels, outputs, kernel, size, options = LAYERS[name]
    rng = np.random.default_rng(5)
    groups, stride, dilation = options.get("groups", 1), options.get("stride", 1), np.broadcast_to(options.get("dilation", 1), 2).tolist()
    x = DATA[data](rng, (2, channels, *size), dtype)
    w = DATA["constant" if data == "constant" else "random"](rng, (outputs, channels // groups, *kernel), dtype)
    b = rng.standard_normal(outputs).astype(dtype)
    y = cconv.conv2d(x, w, b, algorithm="winograd", **options)
    padding = cconv.explain(x, w, b, **options).padding
    padded = np.pad(x, ((0, 0), (0, 0), *padding), mode=options.get("padding_mode", "constant"))
    wide = np.longdouble if dtype == np.float64 else np.float64
    want = np.zeros(y.shape, wide) + b.astype(wide)[:, None, None]
    for k in np.ndindex(kernel):
        seen = padded[:, :, k[0] * dilation[0] :, k[1] * dilation[1] :][:, :, ::stride, ::stride][:, :, : y.shape[2], : y.shape[3]].astype(wide)
        for g in range(groups):
            o, c = slice(g * outputs // groups, (g + 1) * outputs // groups), slice(g * channels // groups, (g + 1) * channels // groups)
            want[:, o] += np.einsum("oc,nchw->nohw", w[o, :, k[0], k[1]].astype(wide), seen[:, c])
    most = largest_of_tiles(padded.astype(wide), y.shape, kernel, stride, dilation, groups, outputs)
    sums = np.abs(w.astype(wide)).sum((1, 2, 3))[:, None, None]
    tiny = np.finfo(dtype).smallest_subnormal * wide(w[0].size)     # below the normal range a rounding is an absolute error
    bound = 16 * np.finfo(dtype).eps * (most * sums + np.abs(b.astype(wide))[:, None, None]) + tiny
    worst = float((16 * np.abs(y - want) / bound).max())
    print(f"{name}, {data}, {np.dtype(dtype)}: worst error {worst:.2f} eps")
    assert worst <= 16


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
@pytest.mark.parametrize("name", LAYERS)
def test_what_is_not_finite_stays_in_its_window(name, value):
    channels, outputs, kernel, size, options = LAYERS[name]
    rng = np.random.default_rng(6)
    x = rng.standard_normal((2, channels, *size)).astype(np.float32)
    w = rng.standard_normal((outputs, channels // options.get("groups", 1), *kernel)).astype(np.float32)
    x[1, channels - 1, size[0] // 2, size[1] // 3] = value
    want = cconv.conv2d(x.astype(np.float64), w, dtype=np.float64, algorithm="loop", **options)
    for algorithm in ("winograd", "auto"):
        y = cconv.conv2d(x, w, algorithm=algorithm, **options)
        np.testing.assert_array_equal(np.isnan(y), np.isnan(want))
        np.testing.assert_array_equal(np.isinf(y), np.isinf(want))
        seen = ~np.isfinite(want) | (np.abs(want) > 1e20)
        assert seen.any() and not seen.all()
        np.testing.assert_allclose(y[~seen], want[~seen], rtol=0, atol=1e-3)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_weights_that_are_not_finite_or_too_large(value):
    rng = np.random.default_rng(7)
    x, w = rng.standard_normal((1, 16, 12, 12)).astype(np.float32), rng.standard_normal((20, 16, 3, 3)).astype(np.float32)
    w[4, 5, 1, 2] = value
    for padding in (0, 1):
        if padding and not np.isfinite(value):      # zeros of a border must not be multiplied by these
            with pytest.raises(ValueError, match="weights that are not finite"):
                cconv.conv2d(x, w, padding=padding, algorithm="winograd")
        else:
            np.testing.assert_allclose(cconv.conv2d(x, w, padding=padding, algorithm="winograd"),
                                       cconv.conv2d(x, w, padding=padding, algorithm="taps"), rtol=2e-6, atol=2e-5)
        y, want = cconv.conv2d(x, w, padding=padding), cconv.conv2d(x, w, padding=padding, algorithm="loop")
        np.testing.assert_array_equal(np.isfinite(y), np.isfinite(want))
        np.testing.assert_allclose(y, want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("lie", [
    lambda w: w, lambda w: w[:, ::-1, ::-1, ::-1], lambda w: w[::-1], lambda w: w[..., ::-1], np.asfortranarray,
    lambda w: np.repeat(w, 2, axis=3)[..., ::2], lambda w: np.repeat(w, 2, axis=0)[::2], lambda w: w.astype(np.float64),
])
def test_weights_that_lie_anyhow_where_the_input_is_not_finite(lie):
    """Bands that are not finite are computed from the weights themselves, of which the packed ones hold a copy."""
    rng = np.random.default_rng(8)
    x, w = rng.standard_normal((1, 32, 20, 20)).astype(np.float32), lie(rng.standard_normal((64, 32, 3, 3)).astype(np.float32))
    x[0, 3, 5, 6] = np.nan
    for kind in (np.float32, np.float64):
        y, want = (cconv.conv2d(x.astype(kind), w, padding=1, dtype=kind, algorithm=a) for a in ("winograd", "loop"))
        np.testing.assert_array_equal(np.isnan(y), np.isnan(want))
        np.testing.assert_allclose(y[np.isfinite(want)], want[np.isfinite(want)], rtol=0, atol=1e-4)


@pytest.mark.parametrize("value", [512, 1e30, np.inf])
@pytest.mark.parametrize("channels, outputs, size, options", [
    (40, 70, 12, {"padding": 1}),
    (150, 24, 13, {"padding": 1}),
    (200, 40, 17, {"stride": 2}),
    (36, 96, 20, {"dilation": 2, "groups": 2}),
])
@pytest.mark.parametrize("lie", [
    lambda w: w, lambda w: w[:, ::-1, ::-1], lambda w: np.repeat(w, 2, axis=0)[::2], lambda w: np.repeat(w.astype(np.float16), 2, axis=3)[..., ::2],
    lambda w: np.ascontiguousarray(w.transpose(2, 3, 1, 0)).transpose(3, 2, 0, 1)[:, :, ::-1, ::-1],
])
def test_weights_that_each_task_transforms(lie, channels, outputs, size, options, value):
    """As for one sample; for so many that all share them, they are transformed before.  No bit changes."""
    rng = np.random.default_rng(9)
    x = rng.standard_normal((64, channels, size, size)).astype(np.float32)
    w = rng.integers(-99, 99, (outputs, channels // options.get("groups", 1), 3, 3)) / 64
    w[-1, 3, 1, 2] = value
    with np.errstate(over="ignore"):        # 1e30 as float16
        w = lie(w.astype(np.float32))
    options = options | {"algorithm": "winograd"}
    alone, together = (cconv.explain(cconv.conv2d, n, w, **options) for n in (x[:1], x))
    assert alone.packed_bytes == 0 < together.packed_bytes and alone.why == together.why
    if not np.isfinite(w).all() and "padding" in options:
        with pytest.raises(ValueError, match="weights that are not finite"):
            cconv.conv2d(x[:1], w, **options)
        return
    y = cconv.conv2d(x, w, **options)
    for i in (0, 63):
        np.testing.assert_array_equal(cconv.conv2d(x[i : i + 1], w, workers=1 + i % 2, **options), y[i : i + 1])


X, W = np.ones((1, 32, 40, 40), np.float32), np.ones((32, 32, 3, 3), np.float32)


@pytest.mark.parametrize("x, w, options", [
    (X, np.ones((32, 32, 1, 1), np.float32), {}),
    (X, np.ones((32, 32, 1, 17), np.float32), {"padding": (0, 8)}),
    (X, np.ones((32, 32, 1, 3), np.float32), {"dilation": 2}),
    (X, W, {"stride": 3}),
    (X, W, {"stride": 2, "dilation": 2}),
    (X, W, {"dilation": 2, "padding": 2, "padding_mode": "reflect"}),
    (X.astype(np.uint8), W.astype(np.int8), {}),        # sums of integers are exact
    (X.astype(np.uint8), W, {}),
])
def test_where_it_cannot_serve(x, w, options):
    assert cconv.explain(x, w, **options).algorithm != "winograd"
    with pytest.raises(ValueError, match=r"algorithm='winograd' cannot serve: .*2 to 16 rows.*pass 'auto'"):
        cconv.conv2d(x, w, algorithm="winograd", **options)


def test_where_it_is_chosen():
    for options in ({}, {"padding": 1}, {"dilation": 2, "padding": 2}, {"padding": 1, "padding_mode": "reflect"}):
        assert cconv.explain(X, W, **options).algorithm == "winograd", options
        for algorithm in ("direct", "taps", "rows"):
            assert cconv.explain(X, W, algorithm=algorithm, **options).algorithm in ("taps", "rows")
    assert cconv.explain(X.astype(np.float64), W).algorithm == "winograd"
    assert cconv.explain(np.ones((1, 64, 99, 99), np.float32), np.ones((64, 64, 3, 3), np.float32), stride=2).algorithm == "winograd"
    assert cconv.explain(np.ones((1, 16, 9, 20, 20), np.float32), np.ones((32, 16, 3, 3, 3), np.float32)).algorithm == "winograd"
    assert cconv.explain(X, W[:8]).algorithm == "taps"                   # too few output channels
    assert cconv.explain(X[:, :8], W[:, :8]).why.startswith("18 multiplications instead of 36 for each 4x1")      # along the height only
    assert cconv.explain(X[:, :8], W[:, :8], dilation=2).algorithm == "taps"
    signal, taps = np.ones((1, 32, 900), np.float32), np.ones((32, 32, 9), np.float32)
    assert cconv.explain(signal, taps).why.startswith("18 multiplications instead of 36 for each 1x4")
    assert cconv.explain(np.ones((1, 3, 99, 99), np.float32), np.ones((32, 3, 7, 7), np.float32), stride=2).algorithm == "winograd"
    assert cconv.explain(X[..., :4, :4], W).algorithm == "taps"          # or positions, for the weights that must be transformed
    assert cconv.explain(cconv.correlate, X[0, 0], W[0, 0]).algorithm == "rows"


@pytest.mark.parametrize("depth, options", [
    (1, {"stride": (2, 1, 1), "padding": (1, 1, 1)}),
    (3, {"padding": (1, 1, 1)}),
    (3, {"stride": (1, 2, 2), "padding": (1, 1, 0), "padding_mode": "reflect"}),
    (2, {"stride": (2, 1, 1), "padding": (2, 2, 1), "dilation": (2, 3, 1)}),
])
def test_a_volume_and_a_sample_without_a_batch(depth, options):
    rng = np.random.default_rng(8)
    x = rng.standard_normal((2, 16, 5, 12, 13)).astype(np.float32)
    x[1, 3, 1:3, 2, 3] = np.nan
    w = rng.standard_normal((24, 16, depth, 3, 3)).astype(np.float32)
    want = cconv.conv3d(x, w, algorithm="loop", **options)
    assert np.isnan(want).any() and np.isfinite(want).any()
    for layout in ("channels_first", "channels_last"):
        turned, back = ((0, 2, 3, 4, 1), (0, 4, 1, 2, 3)) if layout == "channels_last" else (range(5), range(5))
        y = cconv.conv3d(np.ascontiguousarray(x.transpose(turned)), w, algorithm="winograd", layout=layout, **options)
        np.testing.assert_allclose(y.transpose(back), want, atol=2e-4)
        np.testing.assert_array_equal(cconv.conv3d(x[0], w, algorithm="winograd", **options), y.transpose(back)[0])


@pytest.mark.parametrize("out", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_types_that_are_converted(kind, out):
    rng = np.random.default_rng(9)
    x, w = rng.standard_normal((1, 16, 30, 40)).astype(kind), rng.standard_normal((16, 16, 3, 3)).astype(kind)
    y = cconv.conv2d(x, w, padding=1, dilation=2, dtype=out, activation="relu", algorithm="winograd")
    want = cconv.conv2d(x, w, padding=1, dilation=2, dtype=out, activation="relu", algorithm="loop")
    assert y.dtype == out
    np.testing.assert_allclose(y, want, rtol=2e-3 if np.float16 in (kind, out) else 1e-4, atol=0.05 if out == np.float16 else 2e-3)


def test_a_dilation_wider_than_the_picture_is_converted_too():
    rng = np.random.default_rng(10)
    x, w = rng.standard_normal((1, 16, 9, 11)).astype(np.float32), rng.standard_normal((16, 16, 3, 3)).astype(np.float32)
    want = cconv.conv2d(x, w, padding=20, dilation=20, algorithm="winograd")
    np.testing.assert_array_equal(cconv.conv2d(x.astype(">f4"), w, padding=20, dilation=20, algorithm="winograd"), want)


@pytest.mark.parametrize("mode", ["zeros", "reflect", "wrap"])
@pytest.mark.parametrize("kernel, stride, size", [
    ((3, 3), 1, (9, 11)), ((3, 3), 2, (14, 16)), ((5, 5), 1, (12, 17)), ((7, 7), 2, (20, 24)), ((7, 3), 3, (33, 40)), ((4, 2), 3, (21, 23)),
    ((8, 2), 1, (31, 12)), ((11, 1), 2, (41, 9)), ((1, 3), 1, (5, 43)), ((1, 7), 1, (6, 57)), ((1, 9), 2, (6, 143)),
])
def test_what_no_result_sees_decides_nothing(kernel, stride, size, mode):
    """A tile at the end sees more than its results do: rows that a stride leaves over, or more of a border."""
    rng = np.random.default_rng(11)
    x = rng.standard_normal((2, 6, *size)).astype(np.float32)
    w = rng.standard_normal((16, 6, *kernel)).astype(np.float32)
    for padding in (0, 1, ((1, 0), (0, 1))):
        options = {"stride": stride, "padding": padding, "padding_mode": mode, "algorithm": "winograd"}
        want = cconv.conv2d(x, w, **options)
        np.testing.assert_array_equal(cconv.conv2d(x.astype(">f4"), w, **options), want)      # converted by parts
        np.testing.assert_array_equal(cconv.conv2d(x[1:], w, **options), want[1:])
        pads = cconv.explain(x, w, **options).padding
        over = [max(0, (n + sum(p) - k) % stride - p[1]) for n, p, k in zip(size, pads, kernel, strict=True)]
        if mode == "zeros":
            seen = x.copy()
            seen[:, :, size[0] - over[0] :] = seen[:, :, :, size[1] - over[1] :] = 1e9
            np.testing.assert_array_equal(cconv.conv2d(seen, w, **options), want)


@pytest.mark.parametrize("shape, kernel, padding, groups", [((1, 8, 3, 3), (3, 1), (1, 0), 1), ((3, 4, 1, 456), (1, 8), (2, 1), 2), ((1, 16, 7, 9), (5, 5), 2, 1)])
def test_rows_at_a_border_go_alone_as_those_inside_do(shape, kernel, padding, groups):
    """A unit that is not finite goes row by row; a review found rows at a border that wanted more memory than those inside."""
    x = np.ones(shape, np.float32)
    x[0, 0, shape[2] // 2, shape[3] // 2] = np.nan
    w = np.ones((24, shape[1] // groups, *kernel), np.float32)
    want = cconv.conv2d(x, w, padding=padding, groups=groups, algorithm="loop")
    y = cconv.conv2d(x, w, padding=padding, groups=groups, algorithm="winograd")
    last = cconv.conv2d(np.ascontiguousarray(np.moveaxis(x, 1, -1)), w, padding=padding, groups=groups, layout="channels_last", algorithm="winograd")
    np.testing.assert_array_equal(np.isnan(y), np.isnan(want))
    np.testing.assert_array_equal(np.isnan(np.moveaxis(last, -1, 1)), np.isnan(want))
