"""Sizes one less, equal and one more than what the code works in, and what sums do at the ends
of the number line.  Where the numbers are small integers, the sums are exact: tolerance 0."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from reference import convolution, promise
from samples import FORMS, zero_strides

import cconv

INF, NAN = np.inf, np.nan
MODES = ("zeros", "constant", "edge", "reflect", "symmetric", "wrap")
CONV = {1: cconv.conv1d, 2: cconv.conv2d, 3: cconv.conv3d}


def small_integers(shape, dtype=np.float64, seed=0):
    return np.random.default_rng([seed, *shape]).integers(-4, 5, shape).astype(dtype)


def assert_exact(x, w, stride=1, pads=((0, 0),), dilation=1, groups=1, mode="zeros", value=0, dtype=None):
    """The layer's result of integers small enough for any dtype equals the reference's."""
    axes = w.ndim - 2
    stride, dilation = ((v,) * axes if isinstance(v, int) else v for v in (stride, dilation))
    pads = pads * axes if len(pads) != axes else pads
    shape, sums, _ = convolution(x, w, None, stride, pads, dilation, groups, mode, value)
    y = CONV[axes](
        x, w, None, stride, pads, dilation, groups, padding_mode=mode, padding_value=value, dtype=dtype
    )
    assert y.shape == shape
    assert y.ravel().tolist() == sums


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize("width", [w + d for w in (4, 8, 16, 32) for d in (-1, 0, 1)])
def test_rows_around_a_vector_are_exact(width, dtype):
    for taps, pads in product((1, 3, 4, 5), ([0, 0], [2, 1])):
        x, w = small_integers((1, 2, width + taps - 1), dtype), small_integers((3, 2, taps), dtype)
        assert_exact(x, w, pads=(pads,), dtype=dtype)
        x, w = small_integers((1, 1, 3, width), dtype), small_integers((2, 1, 2, taps), dtype)
        if width + sum(pads) >= taps:
            assert_exact(x, w, pads=(pads,), dtype=dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "kernel", [(1, 3), (1, 4), (1, 5), (2, 2), (3, 5), (15, 1), (4, 4), (1, 16), (1, 17), (17, 1), (5, 7), (3, 11)]
)
def test_kernels_around_a_block_and_its_lines_are_exact(kernel, dtype):
    for channels, stride, mode in product((1, 3), (1, 2), ("zeros", "reflect")):
        x = small_integers((1, channels, 6, 9), dtype)
        w = small_integers((2, channels, *kernel), dtype, seed=1)
        pads = [[k // 2, k // 2 + 1] for k in kernel]
        assert_exact(x, w, stride, pads, mode=mode)


@pytest.mark.parametrize("mode", MODES)
def test_kernel_larger_than_the_image(mode):
    assert_exact(small_integers((2, 1, 3)), small_integers((1, 1, 9)), pads=([5, 4],), mode=mode)
    assert_exact(small_integers((1, 2, 2, 3)), small_integers((2, 2, 5, 4)), 1, ([2, 1], [2, 3]), mode=mode)
    assert_exact(small_integers((1, 1, 1, 2, 1)), small_integers((1, 1, 2, 4, 3)), pads=([1, 2],), mode=mode)


@pytest.mark.parametrize("mode", MODES)
def test_stride_larger_than_the_kernel(mode):
    assert_exact(small_integers((1, 2, 23)), small_integers((2, 2, 3)), 7, ([3, 1],), mode=mode)
    assert_exact(small_integers((1, 1, 9, 11)), small_integers((1, 1, 2, 1)), (4, 5), ([1, 2],), mode=mode)


def test_stride_larger_than_the_image_leaves_one_position():
    x, w = small_integers((1, 1, 5)), small_integers((1, 1, 2))
    assert cconv.conv1d(x, w, stride=2**59).tolist() == [[[float(x[0, 0, :2] @ w[0, 0])]]]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("n", [1, 2, 3])
def test_padding_wider_than_the_image(n, mode):
    value = 2 if mode == "constant" else 0
    for before, after in [(n - 1, n), (n, n + 1), (7 * n, 4 * n + 1), (0, 11), (11, 0)]:
        for stride, dilation in [(1, 1), (3, 1), (2, 3)]:
            x, w = small_integers((1, 1, n)), small_integers((1, 1, 2), seed=2)
            if n + before + after > dilation:
                assert_exact(x, w, stride, ([before, after],), dilation, mode=mode, value=value)
    assert_exact(small_integers((1, 1, n, 2)), small_integers((1, 1, 2, 3)), 1, ([9, 4], [3, 8]), mode=mode)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_one_pixel(axes, mode):
    x, w = small_integers((1, 1) + (1,) * axes) + 6, small_integers((1, 1) + (3,) * axes)
    assert_exact(x, w, pads=([1, 1],), mode=mode)
    assert_exact(x, x, mode=mode)


def test_empty_batch_and_no_channels_give_empty_results():
    y = cconv.conv2d(np.ones((0, 3, 5, 6), "f4"), np.ones((2, 3, 3, 3), "f4"), padding=1)
    assert y.shape == (0, 2, 5, 6) and y.dtype == np.float32
    y = cconv.conv1d(np.ones((0, 7, 3)), np.ones((4, 3, 2)), layout="channels_last", dtype=np.uint8)
    assert y.shape == (0, 6, 4) and y.dtype == np.uint8
    assert cconv.correlate(np.ones((5, 6, 0)), np.ones((2, 3))).shape == (4, 4, 0)
    out = np.empty((0, 1, 3))
    assert cconv.conv1d(np.ones((0, 1, 3)), np.ones((1, 1, 1)), out=out) is out
    with pytest.raises(ValueError, match="channels"):
        cconv.conv1d(np.ones((0, 2, 3)), np.ones((1, 1, 1)))


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_groups_equal_to_the_channels(channels, axes):
    x = small_integers((2, channels) + (4,) * axes)
    for filters in (channels, 2 * channels):
        w = small_integers((filters, 1) + (2,) * axes, seed=3)
        assert_exact(x, w, 1, ([1, 0],), groups=channels)


def test_an_axis_of_length_zero_holds_the_padding_only():
    w = small_integers((2, 1, 2), seed=4)
    assert cconv.conv1d(np.ones((3, 1, 0)), w, padding=2).tolist() == np.zeros((3, 2, 3)).tolist()
    assert_exact(np.ones((1, 1, 0)), w, pads=([2, 1],), mode="constant", value=3)
    y = cconv.conv2d(np.ones((1, 1, 0, 4)), np.ones((1, 1, 3, 3)), [7.0], padding=2, stride=2)
    assert y.tolist() == np.full((1, 1, 1, 3), 7.0).tolist()
    for mode in MODES[2:]:
        with pytest.raises(ValueError, match="empty"):
            cconv.conv1d(np.ones((1, 1, 0)), w, padding=2, padding_mode=mode)


def windows(n, taps, place):
    """Which of the results of n values see the value at `place`."""
    return [start <= place < start + taps for start in range(n - taps + 1)]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("taps", [1, 3, 4, 15, 16, 17, 40])
def test_nan_and_inf_are_seen_in_their_window_only(taps, dtype):
    n = taps + 35
    x, w = small_integers((n,), dtype), np.full(taps, 0.5, dtype)
    clean = cconv.correlate(x, w)
    for place, number in product((0, taps - 1, n // 2, n - 1), (INF, -INF, NAN)):
        dirty = x.copy()
        dirty[place] = number
        seen = np.array(windows(n, taps, place))
        np.testing.assert_array_equal(cconv.correlate(dirty, w), np.where(seen, number, clean))


def test_inf_times_zero_and_inf_minus_inf_are_nan():
    assert np.isnan(cconv.correlate([INF, 1.0], [0.0, 1.0])).all()
    for taps, apart in product((2, 4, 17, 40), (1, 3, 16, 30)):
        x = np.ones(taps)
        x[0], x[min(apart, taps - 1)] = INF, -INF
        assert np.isnan(cconv.correlate(x, np.ones(taps))).all()


@pytest.mark.parametrize("bad", [INF, -INF, NAN])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_a_weight_that_is_not_finite_does_not_meet_the_zero_border(axes, bad):
    x, w = np.ones((1, 1) + (3,) * axes), np.ones((1, 1) + (3,) * axes)
    w[(0, 0) + (0,) * axes] = bad  # sees x wherever no coordinate is 0
    want = np.full(x.shape, bad)
    for axis in range(axes):
        want[(0, 0) + (slice(None),) * axis + (0,)] = 0
    for options in ({}, {"padding_mode": "constant"}, {"padding_mode": "constant", "padding_value": 0.0}):
        y = CONV[axes](x, w, padding=1, **options)
        np.testing.assert_array_equal(np.isfinite(y), want == 0)
        np.testing.assert_array_equal(y[want != 0], want[want != 0])
    edge = CONV[axes](x, w, padding=1, padding_mode="edge")
    np.testing.assert_array_equal(edge, np.full(x.shape, bad))


def test_a_constant_border_that_is_not_finite_travels():
    y = cconv.correlate([1.0, 2, 3], [1.0, 1], padding=1, padding_mode="constant", padding_value=NAN)
    np.testing.assert_array_equal(y, [NAN, 3, 5, NAN])
    y = cconv.correlate([1.0, 2, 3], [1.0, 1], padding=1, padding_mode="constant", padding_value=-INF)
    np.testing.assert_array_equal(y, [-INF, 3, 5, -INF])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("taps", [2, 4, 16, 17, 33])
def test_sums_overflow_to_infinity_and_not_before(taps, dtype):
    top = np.finfo(dtype).max
    most, ones = np.full(taps, top / taps, dtype), np.ones(taps, dtype)
    assert np.isfinite(cconv.correlate(most * 0.99, ones)).all()
    np.testing.assert_array_equal(cconv.correlate(most, 2 * ones), [INF])
    np.testing.assert_array_equal(cconv.correlate(most, -2 * ones), [-INF])
    first_two = np.zeros(taps, dtype)
    first_two[:2] = top
    np.testing.assert_array_equal(cconv.correlate(first_two, ones), [INF])
    np.testing.assert_array_equal(cconv.correlate(np.full(taps, top, dtype), 2 * ones[:1]), np.full(taps, INF))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("taps", [15, 16, 17, 1000, 20000])
def test_long_kernels_keep_the_error_promise(taps, dtype):
    number = np.array(0.1, dtype)
    x, w = np.full(taps + 2, number), np.full(taps, number)
    exact = taps * Fraction(float(number)) ** 2
    for value in cconv.correlate(x, w).tolist():
        assert abs(Fraction(value) - exact) <= promise(np.finfo(dtype).eps, exact)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("taps", [16, 17, 64, 1000])
def test_small_addends_that_each_addition_would_lose_keep_the_error_promise(taps, dtype):
    half = np.finfo(dtype).eps / 2  # 1 + half is 1
    for place in (0, 1, 15, taps - 1):
        x = np.full(taps, half, dtype)
        x[place] = 1
        exact = 1 + (taps - 1) * Fraction(float(half))
        y = cconv.correlate(x, np.ones(taps, dtype), algorithm="loop")
        assert abs(Fraction(y.item()) - exact) <= promise(np.finfo(dtype).eps, exact)
        # The engine adds up to 128 taps plainly: half an eps each is the worst that can be made of it.
        y = cconv.correlate(x, np.ones(taps, dtype))
        assert abs(Fraction(y.item()) - exact) <= (64 + taps // 128) * Fraction(float(half)) * 2


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_long_kernel_that_cancels_keeps_the_error_promise(dtype):
    rng = np.random.default_rng(5)
    x, w = rng.standard_normal((2, 20000)).astype(dtype)
    _, (exact,), (bound,) = convolution(x[None, None], w[None, None], None, [1], [[0, 0]], [1])
    y = cconv.correlate(x, w)
    assert abs(Fraction(y.item()) - exact) <= promise(np.finfo(dtype).eps, bound)


BIG = [  # each cut along another axis: batch, depth, rows, columns
    ((9, 4, 20, 20), (8, 4, 5, 5), {"padding": 2}),
    ((1, 2, 40, 16, 12), (6, 2, 3, 3, 3), {"padding": 1, "padding_mode": "reflect"}),
    ((1, 3, 90, 60), (6, 3, 5, 5), {"padding": 3, "stride": (1, 2), "padding_mode": "wrap"}),
    ((1, 1, 70000), (2, 1, 17), {"padding": 20, "dilation": 2, "padding_mode": "symmetric"}),
]


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
@pytest.mark.parametrize("shape, kernel, options", BIG)
@pytest.mark.parametrize("algorithm", ["loop", "rows", "taps"])
def test_the_number_of_workers_changes_no_bit(algorithm, shape, kernel, options, dtype, monkeypatch):
    options = options | {"algorithm": algorithm}
    monkeypatch.setattr("cconv.compute.THREADING_PAYS", 0)
    rng = np.random.default_rng(6)
    x, w = (rng.standard_normal(s) * 20 for s in (shape, kernel))
    x = abs(x).astype(dtype) if dtype == "uint8" else x.astype(dtype)
    cuts, run, share = [], cconv.workers.run, cconv.compute.share
    monkeypatch.setattr(cconv.workers, "run", lambda tasks, workers: (cuts.append(workers), run(tasks, workers)))
    monkeypatch.setattr(cconv.compute, "share", lambda plan, *rest: (cuts.append(rest[-1] if plan.tasks > 1 else 1), share(plan, *rest)))
    conv = CONV[len(kernel) - 2]
    alone = conv(x, w, workers=1, **options)
    for workers in (2, 3, 7):
        assert conv(x, w, workers=workers, **options).tobytes() == alone.tobytes()
    assert set(cuts) >= {2, 3, 7}, "no threads were used: the case is too small to prove anything"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_order_in_memory_changes_no_bit(form, dtype):
    rng = np.random.default_rng(7)
    x, w = (rng.standard_normal(s).astype(dtype) for s in ((2, 3, 19, 23), (4, 3, 3, 6)))
    if form is zero_strides:
        x[:] = x[:1]
        w[:] = w[:1]
        other_x, other_w = np.broadcast_to(x[:1], x.shape), np.broadcast_to(w[:1], w.shape)
    else:
        other_x, other_w = form(rng, x), form(rng, w)
    options = dict(padding=2, stride=(1, 2), padding_mode="reflect")
    want = cconv.conv2d(x, w, **options)
    assert cconv.conv2d(other_x, other_w, **options).tobytes() == want.tobytes()
    out = np.empty((2, 21, 11, 4), dtype).transpose(0, 3, 1, 2)
    assert cconv.conv2d(other_x, other_w, out=out, **options).tobytes() == want.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_the_place_in_the_batch_changes_no_bit(dtype):
    rng = np.random.default_rng(8)
    x, w = (rng.standard_normal((7, 5, 33, 31)) * 50).clip(0).astype(dtype), rng.standard_normal((6, 5, 4, 5))
    whole = cconv.conv2d(x, w, padding=2)
    for i in range(7):
        assert cconv.conv2d(x[i : i + 1], w, padding=2).tobytes() == whole[i].tobytes()
        assert cconv.conv2d(x[i], w, padding=2, workers=1).tobytes() == whole[i].tobytes()
    picture = rng.standard_normal((40, 41, 4))
    together = cconv.correlate(picture, w[0, 0])
    for c in range(4):
        assert cconv.correlate(picture[..., c], w[0, 0]).tobytes() == together[..., c].tobytes()


@pytest.mark.parametrize("dtype", ["float16", "uint8", ">i2"])
def test_inputs_converted_piece_by_piece_are_converted_whole(dtype):
    rng = np.random.default_rng(9)
    x = (rng.random((37, 3, 110, 101)) * 100).astype(dtype)
    w = rng.standard_normal((2, 3, 2, 1)).astype(np.float32)
    assert x.size > 2**20
    y = cconv.conv2d(x, w, dtype=np.float32)
    assert y.tobytes() == cconv.conv2d(x.astype(np.float32), w).tobytes()


def test_strides_and_dilations_as_wide_as_the_padding_cost_what_their_taps_cost():
    for n in (10**9, 2**40, 2**59):
        y = cconv.conv1d([[5.0, 6.0, 7.0]], [[[2.0]]], padding=n, stride=n)
        assert y.tolist() == [[0, 10, 0]]
        y = cconv.conv1d([[5.0, 6.0, 7.0]], [[[2.0, 3.0, 4.0]]], padding=n, dilation=n)
        assert y.tolist() == [[15, 18, 21]]
        y = cconv.conv1d([[5.0, 6.0, 7.0]], [[[2.0, 3.0]]], padding=n, dilation=n, stride=n, padding_mode="edge")
        assert y.tolist() == [[25, 2 * 5 + 3 * 7]]
