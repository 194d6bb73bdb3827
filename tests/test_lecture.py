"""The lecture's table, line by line, and the three implementations that agree."""

import itertools
import random

import numpy as np
import pytest

import cconv
from cconv import lecture

X = [[1, 2, 4, 2, 1], [4, 7, 3, 2, 1], [4, 5, 2, 3, 1], [2, 1, 7, 8, 4], [3, 2, 4, 7, 8]]
K = [[1, 0, 1], [0, 2, 1], [1, 0, 1]]


@pytest.fixture(scope="module")
def picture():
    return cconv.sample_picture()


@pytest.fixture(scope="module")
def grey(picture):
    return picture @ np.array([0.299, 0.587, 0.114])


def with_loops(x, k, p=0, s=1, d=1):
    """Plain Python: four loops over lists."""
    h, w, kh, kw = len(x), len(x[0]), len(k), len(k[0])
    result = []
    for r in range(-p, h + p - d * (kh - 1), s):
        result.append([])
        for c in range(-p, w + p - d * (kw - 1), s):
            total = 0
            for i in range(kh):
                for j in range(kw):
                    if 0 <= r + i * d < h and 0 <= c + j * d < w:
                        total += k[i][j] * x[r + i * d][c + j * d]
            result[-1].append(total)
    return result


def with_slices(x, k, p=0, s=1, d=1):
    """NumPy: one shifted slice of the padded picture for each tap."""
    x, k = np.pad(np.asarray(x), p), np.asarray(k)
    h, w = ((n - d * (m - 1) - 1) // s + 1 for n, m in zip(x.shape, k.shape, strict=True))
    result = np.zeros((h, w), np.result_type(x, k))
    for i, j in np.ndindex(*k.shape):
        result += k[i, j] * x[i * d : i * d + s * (h - 1) + 1 : s, j * d : j * d + s * (w - 1) + 1 : s]
    return result


def with_conv2d(x, k, p=0, s=1, d=1):
    x, k = np.asarray(x), np.asarray(k)
    dtype = np.int64 if x.dtype.kind == k.dtype.kind == "i" else None
    return cconv.conv2d(x[None, None], k[None, None], padding=p, stride=s, dilation=d, dtype=dtype)[0, 0]


def test_the_example_by_hand():
    y = cconv.correlate(X, K, normalize="size")
    assert y.shape == (3, 3)
    assert y[0, 0] == 28 / 9
    assert y[2, 1] == 39 / 9
    for implementation in (with_loops, with_slices, with_conv2d):
        assert implementation(X, K)[0][0] == 28 and implementation(X, K)[2][1] == 39


@pytest.mark.parametrize(
    "kernel, options, shape",
    [
        (cconv.kernels.box(5), {}, (455, 608)),
        (cconv.kernels.prewitt(axis=0), {}, (457, 610)),
        (cconv.kernels.sharpen(), {}, (457, 610)),
        (cconv.kernels.box(5), {"padding": 2}, (459, 612)),
        (cconv.kernels.box(5), {"padding": 2, "stride": 2}, (230, 306)),
    ],
)
def test_the_sizes_of_the_lecture(grey, kernel, options, shape):
    assert grey.shape == (459, 612)
    y = cconv.correlate(grey, kernel, **options)
    z = with_slices(grey, kernel, options.get("padding", 0), options.get("stride", 1))
    assert y.shape == z.shape == shape == cconv.output_shape((459, 612), kernel.shape, **options)
    assert np.abs(y - z).max() < 1e-11


def test_the_kernels_of_the_lecture():
    assert (cconv.kernels.box(5) == np.full((5, 5), 1 / 25)).all()
    assert cconv.kernels.prewitt(axis=0).tolist() == [[1, 1, 1], [0, 0, 0], [-1, -1, -1]]
    assert cconv.kernels.sharpen().tolist() == [[0, -1, 0], [-1, 5, -1], [0, -1, 0]]


def test_the_formula_of_dilation_for_any_size():
    draw = random.Random(7)
    tried = 0
    while tried < 300:
        h, w, p, q, s, d, k = (draw.randint(1, 12) for _ in range(7))
        sizes = [(n + 2 * b - d * (k - 1) - 1) // s + 1 for n, b in ((h, p - 1), (w, q - 1))]
        if min(sizes) < 1:
            with pytest.raises(ValueError, match="nothing would be left"):
                cconv.output_shape((h, w), k, s, (p - 1, q - 1), d)
            continue
        tried += 1
        y = cconv.correlate(np.ones((h, w)), np.ones((k, k)), stride=s, padding=(p - 1, q - 1), dilation=d)
        assert y.shape == tuple(sizes) == cconv.output_shape((h, w), k, s, (p - 1, q - 1), d)


@pytest.mark.parametrize("p, s, d", list(itertools.product((0, 1, 2), (1, 2, 3), (1, 2))))
def test_the_implementations_are_indeed_equivalent(p, s, d):
    assert with_loops(X, K, p, s, d) == with_slices(X, K, p, s, d).tolist() == with_conv2d(X, K, p, s, d).tolist()
    draw = np.random.default_rng(p + 3 * s + 9 * d)
    x, k = draw.standard_normal((9, 11)), draw.standard_normal((3, 3))
    loops, slices, layer = (f(x, k, p, s, d) for f in (with_loops, with_slices, with_conv2d))
    assert np.abs(np.array(loops) - slices).max() < 1e-13
    assert np.abs(np.array(loops) - layer).max() < 1e-13


@pytest.mark.parametrize("k", (3, 5, 9))
def test_the_paddings_of_the_lecture(grey, k):
    box, p = cconv.kernels.box(k), (k - 1) // 2
    assert cconv.correlate(grey, box, padding="valid").shape == (459 - k + 1, 612 - k + 1)
    for mode, padded in (
        ("zeros", np.pad(grey, p)),
        ("edge", np.pad(grey, p, "edge")),
        ("resize", cconv.pad(grey, p, "resize")),
    ):
        assert padded.shape == (459 + 2 * p, 612 + 2 * p)
        y = with_slices(padded, box)
        assert y.shape == (459, 612)
        if mode != "resize":
            assert np.abs(cconv.correlate(grey, box, padding="same", padding_mode=mode) - y).max() < 1e-11
        assert np.abs(cconv.correlate(padded, box) - y).max() < 1e-11


def test_resize_keeps_the_corners_and_the_mean(grey):
    zoomed = cconv.pad(grey, 7, "resize")
    assert zoomed.shape == (473, 626)
    assert zoomed[0, 0] == grey[0, 0] and zoomed[-1, -1] == grey[-1, -1]
    assert abs(zoomed.mean() - grey.mean()) < 0.5


def test_convolve_flips_and_correlate_does_not(grey):
    k = cconv.kernels.emboss()
    turned = k[::-1, ::-1]
    assert (cconv.convolve(grey, k) == cconv.correlate(grey, turned)).all()
    assert not np.allclose(cconv.convolve(grey, k), cconv.correlate(grey, k))


def test_normalised_by_size_by_sum_or_not():
    k = np.outer([1, 2, 1], [1, 2, 1])
    plain = cconv.correlate(X, k)
    assert (cconv.correlate(X, k, normalize="size") == plain / 9).all()
    assert (cconv.correlate(X, k, normalize="sum") == plain / 16).all()


def test_repeating_a_filter_is_filtering_with_the_kernel_convolved_with_itself(grey):
    k = np.outer([1, 2, 1], [1, 2, 1])
    twice = cconv.correlate(cconv.correlate(grey, k), k)
    once = cconv.correlate(grey, cconv.convolve(np.pad(k, 2), k))
    assert twice.shape == once.shape == (455, 608)
    assert np.abs(twice - once).max() < 1e-9


def test_colour_keeps_its_channels(picture):
    y = cconv.correlate(picture, cconv.kernels.box(5), padding=2)
    assert picture.shape == y.shape == (459, 612, 3)
    for c in range(3):
        assert (y[:, :, c] == cconv.correlate(picture[:, :, c], cconv.kernels.box(5), padding=2)).all()


def test_conv2d_takes_batch_channels_weight_and_bias_as_pytorch_does():
    draw = np.random.default_rng(3)
    x, w, b = draw.standard_normal((2, 3, 7, 8)), draw.standard_normal((4, 3, 3, 3)), draw.standard_normal(4)
    y = cconv.conv2d(x, w, b, 2, 1)
    assert y.shape == (2, 4, 4, 4)
    for n, o in np.ndindex(2, 4):
        total = sum(with_slices(x[n, c], w[o, c], 1, 2) for c in range(3)) + b[o]
        assert np.abs(y[n, o] - total).max() < 1e-13


def test_the_demo_prints_these_lines(picture):
    results = {e.name: e.result for e in lecture.run(picture)}
    assert results["5x5 numbers, 3x3 kernel / 9"] == "Y[0,0] = 28/9, Y[2,1] = 39/9, shape (3, 3)"
    assert results["5x5 blur, no padding"] == "(455, 608)"
    assert results["Prewitt horizontal"] == results["sharpen"] == "(457, 610)"
    assert results["5x5 blur, padding 2"] == "(459, 612)"
    assert results["5x5 blur, padding 2, stride 2"] == "(230, 306)"
