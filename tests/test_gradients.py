"""Gradients are the adjoints of the convolution: <conv(x, w), g> = <x, conv_input(g)> = <w, conv_weight(x, g)>."""

import numpy as np
import pytest
from samples import SEED

import cconv

CASES = 300
MODES = ("zeros", "constant", "edge", "reflect", "symmetric", "wrap", "replicate", "circular")


def random_case(rng):
    axes, groups, channels = int(rng.integers(1, 4)), int(rng.integers(1, 4)), int(rng.choice([1, 2, 3, 16, 18]))
    taps, stride, dilation = (tuple(int(v) for v in rng.integers(1, 5, axes)) for _ in range(3))
    mode = str(rng.choice(MODES))
    padding = tuple(tuple(int(v) for v in rng.integers(0, 7, 2)) for _ in range(axes))
    if rng.integers(4) == 0:
        padding = str(rng.choice(["same", "full", "valid", "same_upper", "same_lower"]))
    sizes, last = tuple(int(v) for v in rng.integers(1, 9, axes)), bool(rng.integers(2))
    batch = (int(rng.integers(1, 4)),) if rng.integers(3) else ()
    x = rng.standard_normal((*batch, *sizes, channels * groups) if last else (*batch, channels * groups, *sizes))
    w = rng.standard_normal((groups * int(rng.integers(1, 4)), channels, *taps))
    options = dict(stride=stride, padding=padding, dilation=dilation, groups=groups, padding_mode=mode,
                   padding_value=1.5 if mode == "constant" else 0.0, layout="channels_last" if last else "channels_first")
    return getattr(cconv, f"conv{axes}d"), x, w, options


@pytest.fixture(params=["by products", "along channels", "the faster"])
def way(request, monkeypatch):
    """Which of its ways conv_weight takes."""
    forced = {"by products": np.inf, "along channels": 0.0}
    if request.param in forced:
        monkeypatch.setattr(cconv.gradients, "_overhead_along_channels", lambda *_: forced[request.param])


def test_adjoints_and_differences(way):
    rng, tried, worst = np.random.default_rng(SEED), 0, 0.0
    for case in range(CASES):
        conv, x, w, options = random_case(rng)
        try:
            y = conv(x, w, **options)
        except ValueError:
            continue
        tried += 1
        g = rng.standard_normal(y.shape)
        border = conv(np.zeros_like(x), w, **options)       # what a constant adds does not depend on x
        to_x, to_w = cconv.conv_input(x.shape, w, g, **options), cconv.conv_weight(x, w.shape, g, **options)
        assert to_x.shape == x.shape and to_w.shape == w.shape
        scale = (np.abs(y) * np.abs(g)).sum() + np.abs(border * g).sum() + 1
        errors = [((y - border) * g).sum() - (to_x * x).sum(), (y * g).sum() - (to_w * w).sum()]
        for array, gradient in ((x, to_x), (w, to_w)):      # the convolution is linear in both
            place = tuple(int(rng.integers(n)) for n in array.shape)
            moved = array.copy()
            moved[place] += 1
            other = conv(moved, w, **options) if array is x else conv(x, moved, **options)
            errors.append(((other - y) * g).sum() - gradient[place])
        worst = max(worst, np.abs(errors).max() / scale)
        assert np.abs(errors).max() <= 1e-12 * scale, (SEED, case, options, x.shape, w.shape, errors)
    assert tried > CASES // 2
    print(f"{tried} layers, worst error {worst:.1e}, seed {SEED}")


def test_dtypes_and_out():
    rng = np.random.default_rng(4)
    x, w = rng.standard_normal((2, 3, 8, 9)).astype(np.float32), rng.standard_normal((4, 3, 3, 3)).astype(np.float32)
    g = rng.standard_normal((2, 4, 6, 7)).astype(np.float32)
    assert cconv.conv_input(x.shape, w, g).dtype == cconv.conv_weight(x, w.shape, g).dtype == cconv.conv_bias(g).dtype == np.float32
    assert cconv.conv_input(x.shape, w, g.astype(float)).dtype == cconv.conv_weight(x, w.shape, g, dtype=float).dtype == np.float64
    assert cconv.conv_weight((x * 9).astype(np.uint8), w.shape, g).dtype == np.float32
    for call, shape in ((lambda **o: cconv.conv_input(x.shape, w, g, **o), x.shape), (lambda **o: cconv.conv_weight(x, w.shape, g, **o), w.shape)):
        want = call()
        for workers in (1, 2, 3):
            np.testing.assert_array_equal(call(workers=workers), want)
        out = np.empty(shape[::-1], np.float32).T
        assert call(out=out) is out and (out == want).all()
        with pytest.raises(ValueError, match="out has shape"):
            call(out=np.empty(3))
        with pytest.raises(ValueError, match=r"out has dtype float64; the gradient is float32: pass dtype='float64' too"):
            call(out=np.empty(shape))
        with pytest.raises(TypeError, match="dtype is int32; gradients are float32 or float64"):
            call(dtype=np.int32)
    same = w.copy()
    np.testing.assert_array_equal(cconv.conv_weight(x[:, :, :8, :8], w.shape, g[:, :, :6, :6], out=same), cconv.conv_weight(x[:, :, :8, :8], w.shape, g[:, :, :6, :6]))
    square, flat = rng.standard_normal((1, 2, 5, 5)), rng.standard_normal((2, 2, 1, 1))
    want = cconv.conv_input(square.shape, flat, square)
    np.testing.assert_array_equal(cconv.conv_input(square.shape, flat, square, out=square), want)    # over the gradient that came


def test_bias():
    g = np.random.default_rng(5).standard_normal((2, 3, 4, 5))
    np.testing.assert_allclose(cconv.conv_bias(g), g.sum((0, 2, 3)))
    np.testing.assert_allclose(cconv.conv_bias(g, layout="channels_last"), g.sum((0, 1, 2)))
    np.testing.assert_allclose(cconv.conv_bias(g[0], axes=2), g[0].sum((1, 2)))
    with pytest.raises(ValueError, match="grad_output has shape"):
        cconv.conv_bias(g[0, 0])


@pytest.mark.parametrize("call, error, text", [
    (lambda: cconv.conv_input((1, 2, 5, 5), np.ones((3, 2, 3, 3)), np.ones((1, 3, 4, 4))), ValueError,
     r"grad_output has shape \(1, 3, 4, 4\); the convolution's result has \(1, 3, 3, 3\)"),
    (lambda: cconv.conv_weight(np.ones((1, 2, 5, 5)), (3, 2, 3, 3), np.ones((1, 3, 3))), ValueError, "grad_output has shape"),
    (lambda: cconv.conv_input((1, 3, 5, 5), np.ones((3, 2, 3, 3)), np.ones((1, 3, 3, 3))), ValueError, "input has 3 channels on axis 1 but weight wants 2"),
    (lambda: cconv.conv_input(5, np.ones((3, 2, 3, 3)), np.ones((1, 3, 3, 3))), TypeError, "input_shape is 5"),
    (lambda: cconv.conv_weight(np.ones((1, 2, 5, 5)), (3, 2), np.ones((1, 3, 3, 3))), ValueError, r"weight_shape=\(3, 2\); want 3 to 5 sizes"),
    (lambda: cconv.conv_weight(np.ones((1, 2, 5, 5)), (3, 2, 3, -3), np.ones((1, 3, 3, 3))), ValueError, r"weight_shape\[3\] is -3"),
    (lambda: cconv.conv_input((2**40, 2**40, 5, 5), np.ones((3, 2, 3, 3)), np.ones((1, 3, 3, 3))), OverflowError, "addressed"),
    (lambda: cconv.conv_input((1, 2, 5, 5), np.ones((3, 2, 3, 3)) * 1j, np.ones((1, 3, 3, 3))), TypeError, "complex"),
    (lambda: cconv.conv_weight(np.ones((1, 2, 5, 5)), (3, 2, 3, 3), np.ones((1, 3, 3, 3)), padding_mode="mirrored"), ValueError, "did you mean 'mirror'"),
])  # fmt: skip
def test_errors(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_weight_of_many_positions(way):
    """Bands, tiles of outputs and taps that are not whole, planes read where they lie; the same bits for any number of workers."""
    rng = np.random.default_rng(6)
    for channels, outputs, sizes, taps, options in [
        (5, 7, (61, 47), (3, 2), dict(padding=1)), (70, 33, (31, 32), (1, 1), {}), (3, 2, (3, 5000), (1, 4), dict(stride=(1, 2))),
        (64, 40, (40, 40), (3, 3), dict(padding=1, padding_mode="reflect")), (4, 4, (90, 90), (5, 5), dict(groups=4)), (2, 70, (6, 6), (3, 3), {}),
    ]:  # fmt: skip
        x, shape = rng.integers(-9, 9, (2, channels, *sizes)).astype(np.float32), (outputs, channels // options.get("groups", 1), *taps)
        y = cconv.conv2d(x, np.zeros(shape, np.float32), **options)
        g = rng.integers(-2, 3, y.shape).astype(np.float32)
        want = cconv.conv_weight(x, shape, g, **options, workers=1)
        w = rng.integers(-3, 4, shape).astype(np.float32)
        assert (cconv.conv2d(x, w, **options, algorithm="direct").astype(float) * g).sum() == (w * want.astype(float)).sum()     # all of it is exact
        last = dict(options, layout="channels_last")
        np.testing.assert_array_equal(cconv.conv_weight(np.moveaxis(x, 1, -1).copy(), shape, np.moveaxis(g, 1, -1).copy(), **last), want)
        for workers in (2, 3, 7):
            x, g = x + np.float32(0.1), g + np.float32(0.3)
            out = np.empty(shape[::-1], np.float32).T
            one = cconv.conv_weight(x, shape, g, **options, workers=1)
            np.testing.assert_array_equal(cconv.conv_weight(x, shape, g, **options, workers=workers, out=out), one)


def test_nothing_comes_from_nothing():
    assert cconv.conv_input((0, 2, 5, 5), np.ones((3, 2, 3, 3)), np.ones((0, 3, 3, 3))).shape == (0, 2, 5, 5)
    assert (cconv.conv_weight(np.ones((0, 2, 5, 5)), (3, 2, 3, 3), np.ones((0, 3, 3, 3))) == 0).all()
    x = np.ones((1, 1, 4, 4))
    x[0, 0, 0, 0] = np.nan                  # a value that is not finite reaches the taps that saw it
    gradient = cconv.conv_weight(x, (1, 1, 3, 3), np.ones((1, 1, 2, 2)))
    assert np.isnan(gradient[0, 0, 0, 0]) and np.isfinite(gradient).sum() == 8


@pytest.mark.parametrize("stride", [1, 2])
def test_kernel_per_channel_same_bits(stride):
    """Read where it lies or copied, in any layout and by any number of workers, from one band of a few columns to several of many."""
    rng = np.random.default_rng(SEED)
    for dtype, batch, channels, sizes, padding in [("f", 3, 37, (14, 14), 1), ("d", 2, 5, (7, 9), 2), ("f", 1, 2, (90, 311), 1), ("f", 2, 1, (3, 9000), (0, 2))]:
        x, w = rng.standard_normal((batch, channels, *sizes)).astype(dtype), rng.standard_normal((channels, 1, 3, 3)).astype(dtype)
        options = dict(stride=stride, padding=padding, groups=channels)
        g = rng.standard_normal(cconv.conv2d(x, w, **options).shape).astype(dtype)
        to_x, to_w = cconv.conv_input(x.shape, w, g, workers=1, **options), cconv.conv_weight(x, w.shape, g, workers=1, **options)
        double = [a.astype(float) for a in (x, w, g)]
        np.testing.assert_allclose((double[2] * cconv.conv2d(*double[:2], **options)).sum((0, 2, 3)), (to_w * double[1]).sum((1, 2, 3)), 1e-3, 1e-2)
        for workers in (2, 3):
            np.testing.assert_array_equal(cconv.conv_input(x.shape, w, g, workers=workers, **options), to_x)
            np.testing.assert_array_equal(cconv.conv_weight(x, w.shape, g, workers=workers, **options), to_w)
        last = [np.moveaxis(a, 1, -1).copy() for a in (x, g)]
        np.testing.assert_array_equal(cconv.conv_weight(last[0], w.shape, last[1], layout="channels_last", **options), to_w)
        np.testing.assert_array_equal(np.moveaxis(cconv.conv_input(last[0].shape, w, last[1], layout="channels_last", **options), -1, 1), to_x)
        wide, flipped = np.zeros((*g.shape[:3], 2 * g.shape[3]), dtype)[..., ::2], x[..., ::-1].copy()[..., ::-1]
        wide[...] = g
        np.testing.assert_array_equal(cconv.conv_weight(flipped, w.shape, wide, **options), to_w)
        np.testing.assert_array_equal(cconv.conv_input(x.shape, w, wide, **options), to_x)


@pytest.mark.parametrize("batch, kernel, stride, padding", [(1, 1, 1, 0), (2, 1, 2, 0), (1, 3, 1, 1), (3, 3, 1, 1), (2, 3, 2, 0)])
def test_many_channels_same_bits(batch, kernel, stride, padding):
    """Whatever the layout and the number of workers: the sum's order is that of the positions."""
    rng = np.random.default_rng(SEED)
    x = rng.standard_normal((batch, 40, 23, 31), np.float32)
    g = cconv.conv2d(x, np.ones((60, 40, kernel, kernel), np.float32), None, stride, padding)
    g = rng.standard_normal(g.shape, np.float32)
    shape = (60, 40, kernel, kernel)
    want = cconv.conv_weight(x, shape, g, stride, padding, workers=1)
    exact = cconv.conv_weight(x.astype(float), shape, g.astype(float), stride, padding)
    assert np.abs(want - exact).max() <= 16 * np.finfo(np.float32).eps * cconv.conv_weight(abs(x), shape, abs(g), stride, padding).max()
    last = [np.ascontiguousarray(np.moveaxis(a, 1, -1)) for a in (x, g)]
    others = [
        cconv.conv_weight(x, shape, g, stride, padding, workers=2),
        cconv.conv_weight(last[0], shape, last[1], stride, padding, layout="channels_last"),
        cconv.conv_weight(np.asfortranarray(x), shape, np.asfortranarray(g), stride, padding),
        cconv.conv_weight(x[:, ::-1][:, ::-1], shape, g[:, :, ::-1][:, :, ::-1], stride, padding, out=np.empty(shape[::-1], np.float32).T),
    ]
    for other in others:
        np.testing.assert_array_equal(other, want)


def test_an_out_that_is_not_aligned():
    rng = np.random.default_rng(9)
    x, g = rng.standard_normal((1, 2, 9, 9)).astype(np.float32), rng.standard_normal((1, 3, 7, 7)).astype(np.float32)
    room = np.zeros(3 * 2 * 9 * 4 + 1, np.uint8)
    out = room[1:].view(np.float32).reshape(3, 2, 3, 3)
    assert not out.flags.aligned
    assert cconv.conv_weight(x, out.shape, g, out=out) is out
    np.testing.assert_array_equal(out, cconv.conv_weight(x, out.shape, g))
