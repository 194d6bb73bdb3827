"""Corners that a second look found in the ways a picture can go: separable, box, fft."""

import numpy as np
import pytest

import cconv


@pytest.mark.parametrize("algorithm", ["auto", "direct", "fast"])
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", ">u2", "u4", "i4"])
def test_integers_of_any_type_go_an_exact_way(algorithm, dtype):
    """Whatever is converted on the way, the plan knows that these are sums of integers."""
    rng = np.random.default_rng(1)
    x = rng.integers(0, 127 if dtype.endswith("1") else 30000, (200, 210)).astype(dtype)
    a = np.arange(12) + 1
    for k in (np.outer(a, a) + np.outer(a[::-1], np.ones(12, int)), rng.integers(-9, 9, (41, 41)), np.outer(a, a), np.ones((25, 25), int)):
        got = cconv.correlate(x, k, dtype=np.int64, algorithm=algorithm)
        np.testing.assert_array_equal(got, cconv.correlate(x, k, dtype=np.int64, algorithm="loop"))


def test_large_integers_are_not_made_fractions():
    rng = np.random.default_rng(2)
    x = rng.integers(100, 128, (60, 60)).astype("i1")
    k = np.outer(rng.integers(2**20, 2**21, 9) | 1, rng.integers(2**18, 3 * 2**17, 9) | 1)
    want = np.array([[sum(int(a) * int(b) for a, b in zip(x[i : i + 9, j : j + 9].ravel(), k.ravel(), strict=True)) for j in range(52)] for i in range(52)])
    np.testing.assert_array_equal(cconv.correlate(x, k, dtype=np.int64), want)


@pytest.mark.parametrize("scale, dtype, bright", [(1e-42, "f4", 1e20), (1e-37, "f8", 1.0), (1e-37, "f4", 1.0), (1e30, "f4", 1.0), (1e-300, "f8", 1.0)])
def test_kernels_of_any_size_keep_the_promise(scale, dtype, bright):
    rng = np.random.default_rng(3)
    kernels = [np.outer(rng.random(9), rng.random(9)) * scale, np.outer(np.full(12, scale), np.r_[1.0, rng.random(11) * 1e-40])]
    x = np.zeros((40, 40), dtype)
    x[:, 25:] = bright
    for k in kernels:
        k = k.astype("f4") if scale > 1e-45 else k
        windows = np.lib.stride_tricks.sliding_window_view(x.astype(np.longdouble), k.shape)
        want, size = (np.einsum("ijkl,kl->ij", windows, a.astype(np.longdouble)) for a in (k, np.abs(k)))
        for algorithm in ("auto", "direct", "fast"):
            y = cconv.correlate(x, k, algorithm=algorithm)
            assert (np.abs(y - want) <= 16 * np.finfo(dtype).eps * size + np.finfo(dtype).smallest_subnormal * np.longdouble(k.size)).all()


def test_large_weights_that_are_a_product():
    k = np.outer([1, 2, 3, 2, 1], [1, 2, 3, 2, 1]).astype("f4") * np.float32(3e37)
    x = np.full((30, 30), 1e-10, "f4")
    np.testing.assert_allclose(cconv.correlate(x, k, padding=2), cconv.correlate(x, k, padding=2, algorithm="loop"), rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-25, 1e-30, 1e-35, 1e-37])
@pytest.mark.parametrize("size", [41, 151])
def test_fft_of_small_weights(scale, size):
    x = ((np.random.default_rng(4).random((400, 400)) - 0.5) * 1e17).astype("f4")
    k = np.zeros((size, size), "f4")
    k[0, 0], k[3, 5] = scale, 0.7 * scale
    y = cconv.correlate(x, k, algorithm="fft")
    want = cconv.correlate(x.astype(float), k, algorithm="rows", dtype=float)
    assert np.abs(y - want).max() <= 16 * np.finfo("f4").eps * np.abs(x).max() * 1.7 * scale


@pytest.mark.parametrize("size", [17, 35])
def test_fast_has_the_same_bits_in_any_layout(size):
    rng = np.random.default_rng(5)
    x, k = rng.random((300, 400, 3), np.float32), rng.random((size, size))
    want = cconv.correlate(x, k, algorithm="fast")
    assert cconv.explain(cconv.correlate, x, k, algorithm="fast").algorithm == "fft"
    for other in (np.asfortranarray(x), x.astype(">f4")):
        np.testing.assert_array_equal(cconv.correlate(other, k, algorithm="fast"), want)
    for channel in range(3):
        np.testing.assert_array_equal(cconv.correlate(x[..., channel], k, algorithm="fast"), want[..., channel])


@pytest.mark.parametrize("kernel", [np.full((25, 25), 1e39), np.outer(np.arange(1, 16), np.arange(1, 16)) * 1e37], ids=["box", "product"])
def test_weights_that_float32_cannot_hold(kernel):
    """They are infinite there, and must not be multiplied by a border of zeros."""
    x = np.ones((60, 60), np.float32)
    y, want = (cconv.correlate(x, kernel, padding=12, algorithm=a) for a in ("auto", "loop"))
    np.testing.assert_array_equal(np.isnan(y), np.isnan(want))


@pytest.mark.parametrize("size, kernel, padding, options", [
    ((9, 31), (3, 3), 8, {"dilation": 8}),
    ((7, 7), (5, 5), 4, {}),
    ((20, 5), (3, 2), (6, 4), {"dilation": (6, 4), "stride": (2, 1)}),
    ((3, 40), (7, 1), (9, 0), {"groups": 2}),
    ((1, 6), (3, 4), 5, {"dilation": 3}),
])
@pytest.mark.parametrize("outputs", [4, 34])
def test_a_border_that_is_left_out_has_the_bits_of_zeros(size, kernel, padding, options, outputs):
    """Where most products are with a border of zeros, `taps` does not make them."""
    rng = np.random.default_rng(14)
    x = rng.standard_normal((2, 26, *size)).astype(np.float32)
    w = rng.standard_normal((outputs, 26 // options.get("groups", 1), *kernel)).astype(np.float32)
    b = rng.standard_normal(outputs).astype(np.float32)
    sides = np.broadcast_to(padding, 2)
    zeros = np.pad(x, ((0, 0), (0, 0), *((p, p) for p in sides)))
    want = cconv.conv2d(zeros, w, b, algorithm="taps", **options)
    np.testing.assert_array_equal(cconv.conv2d(x, w, b, padding=padding, algorithm="taps", **options), want)
    last = cconv.conv2d(np.ascontiguousarray(np.moveaxis(x, 1, -1)), w, b, padding=padding, algorithm="taps", layout="channels_last", **options)
    np.testing.assert_array_equal(np.moveaxis(last, -1, 1), want)
    volume = cconv.conv3d(x[:, :, None], w[:, :, None].repeat(3, 2), b, padding=(2, *sides.tolist()), algorithm="taps",
                          **{key: (1, *np.broadcast_to(value, 2).tolist()) if key != "groups" else value for key, value in options.items()})
    np.testing.assert_allclose(volume[:, :, 1], want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("channels, size, kernel, stride", [
    (16, (14, 14), (5, 5), 2), (40, (20, 9), (7, 7), 2), (150, (28, 28), (5, 5), 2), (33, (12, 30), (3, 3), 3), (20, (9, 8), (2, 4), (1, 2)),
])
def test_depthwise_planes_that_are_turned_have_the_bits_of_pixels(channels, size, kernel, stride):
    rng = np.random.default_rng(15)
    x, w = rng.standard_normal((2, channels, *size)).astype(np.float32), rng.standard_normal((channels, 1, *kernel)).astype(np.float32)
    options = {"stride": stride, "groups": channels, "padding": tuple(k // 2 for k in kernel)}
    y = cconv.conv2d(x, w, **options)
    last = cconv.conv2d(np.ascontiguousarray(np.moveaxis(x, 1, -1)), w, layout="channels_last", **options)
    np.testing.assert_array_equal(np.moveaxis(last, -1, 1), y)
    np.testing.assert_array_equal(cconv.conv2d(x[1:, 3:9], w[3:9], **options | {"groups": 6}), y[1:, 3:9])     # too few to be turned
    np.testing.assert_array_equal(cconv.Conv(w, **options)(x), y)
    np.testing.assert_allclose(y, cconv.conv2d(x, w, algorithm="loop", **options), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("depth", [1, 2])
def test_pointwise_volumes_and_batches_in_many_tasks(depth):
    """What the next task reads is fetched while this one is computed: the last one has no next."""
    rng = np.random.default_rng(16)
    x, w = rng.standard_normal((3, 300, 5, 12, 10)).astype(np.float32), rng.standard_normal((21, 300, depth, 1, 1)).astype(np.float32)
    want = cconv.conv3d(x, w, algorithm="loop")
    for layout, y in (("channels_first", cconv.conv3d(x, w)),
                      ("channels_last", np.moveaxis(cconv.conv3d(np.ascontiguousarray(np.moveaxis(x, 1, -1)), w, layout="channels_last"), -1, 1))):
        np.testing.assert_allclose(y, want, rtol=1e-4, atol=1e-4, err_msg=layout)


@pytest.mark.parametrize("groups, channels, outputs, size, way", [
    (8, 2, 1, 56, "rows"), (1, 8, 4, 56, "rows"), (8, 2, 2, 14, "rows"),
    (1, 8, 32, 56, "taps"), (1, 64, 4, 56, "taps"), (8, 8, 4, 14, "taps"),
])
def test_one_tap_with_a_stride_of_2(groups, channels, outputs, size, way):
    """Few values for few outputs are taken apart by vectors, up to four times as fast as one by one; what is chosen is right, too."""
    rng = np.random.default_rng(11)
    x, w = rng.standard_normal((2, groups * channels, size, size)), rng.standard_normal((groups * outputs, channels, 1, 1))
    assert cconv.explain(cconv.conv2d, x, w, stride=2, groups=groups).algorithm == way
    want = np.einsum("goc,ngcij->ngoij", w[..., 0, 0].reshape(groups, outputs, -1), x[..., ::2, ::2].reshape(2, groups, channels, (size + 1) // 2, -1))
    np.testing.assert_allclose(cconv.conv2d(x, w, stride=2, groups=groups), want.reshape(2, groups * outputs, *want.shape[3:]), rtol=0, atol=1e-12)
