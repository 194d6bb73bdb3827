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
