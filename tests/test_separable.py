"""Kernels that are products of a column and a row: found, exact where they must be, and local."""

import numpy as np
import pytest
from test_promise import DATA

import cconv
from cconv import kernels

RNG = np.random.default_rng(11)
GAUSSIAN = kernels.gaussian(15, 2.5)
UNSHARP = np.negative(kernels.gaussian(15, 2.5))
UNSHARP[7, 7] += 2


def laplacian_of_gaussian(size, sigma):
    i = np.arange(size) - size // 2
    square = i[:, None] ** 2 + i**2
    return (square / sigma**2 - 2) * np.exp(-square / (2 * sigma**2))


@pytest.mark.parametrize("kernel, rank", [
    (GAUSSIAN, 1), (GAUSSIAN.astype(np.float32), 1), (kernels.box(9), 1), (np.ones((9, 7), np.int8), 1), (UNSHARP, 2),
    (RNG.standard_normal((9, 1)) * RNG.standard_normal(9), 1), (RNG.standard_normal((9, 9)), 0), (GAUSSIAN[:, :1], 0), (GAUSSIAN[:1], 0),
    (laplacian_of_gaussian(15, 2.0), 0),                        # of rank 2, but its products cancel where it passes 0
    (GAUSSIAN * (1 + 1e-6 * RNG.standard_normal((15, 15))), 0),  # nearly
    (kernels.gaussian(3, 1), 0),                                # not worth it
    (np.where(np.eye(15) > 2, 0, np.nan), 0),
], ids=range(13))
def test_what_is_a_product_is_found(kernel, rank):
    plan = cconv.explain(cconv.correlate, np.zeros((60, 70), np.float32), kernel)
    assert (plan.algorithm == "separable") == (rank > 0)
    if rank:
        assert ("a product of" in plan.why) == (rank == 1) and f"instead of {kernel.size}" in plan.why


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("kernel", [GAUSSIAN, UNSHARP, kernels.gaussian(31, 5)[:, 8:-8]], ids=["gaussian", "unsharp", "tall"])
def test_the_promised_error(kernel, data, dtype):
    """16 eps sum |w||x|, of the taps of each result alone."""
    x = DATA[data](np.random.default_rng(3), (50, 70), dtype)
    y = cconv.correlate(x, kernel, algorithm="separable")
    wide = np.longdouble if dtype == np.float64 else np.float64
    windows = np.lib.stride_tricks.sliding_window_view(x.astype(wide), kernel.shape)
    want, size = (np.einsum("ijkl,kl->ij", a, k) for a, k in ((windows, kernel.astype(wide)), (np.abs(windows), np.abs(kernel.astype(wide)))))
    tiny = np.finfo(dtype).smallest_subnormal * wide(kernel.size)
    ratio = float((np.abs(y - want) / (np.finfo(dtype).eps * size + tiny)).max())
    print(f"{data}, {np.dtype(dtype)}: worst error {ratio:.2f} eps")
    assert ratio <= 16


@pytest.mark.parametrize("options", [
    {}, {"stride": (2, 3)}, {"dilation": (2, 3)}, {"padding": 20, "padding_mode": "reflect"}, {"padding": (0, 400)},
    {"stride": 9}, {"normalize": "sum", "bias": 2}, {"padding": "same", "padding_mode": "wrap", "stride": 2, "dilation": 2},
])
@pytest.mark.parametrize("shape", [(40, 60), (40, 60, 3), (16, 5000)])
def test_the_options(shape, options):
    x = np.random.default_rng(4).random(shape, np.float32)
    k = np.outer([1, 2, 3, 4, 5, 4, 3], np.array([1, 3, 0, 1, 2, 7, 1])) / 50
    try:
        y = cconv.correlate(x, k, algorithm="separable", **options)
    except ValueError as error:
        assert options.get("stride") == 9 and "cannot serve" in str(error)
        return
    np.testing.assert_allclose(y, cconv.correlate(x, k, algorithm="loop", **options), rtol=2e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16])
def test_integers_stay_exact(dtype):
    info = np.iinfo(dtype)
    x = np.random.default_rng(5).integers(info.min, info.max, (60, 70), dtype, endpoint=True)
    for k in (np.ones((9, 9), np.int64), np.outer(np.arange(-4, 5) * 6, np.arange(1, 10) * 10), kernels.box(9) * 81):
        k = np.rint(k).astype(np.int64)
        plan = cconv.explain(cconv.correlate, x, k, dtype=np.int64)
        assert plan.algorithm == "separable"
        want = cconv.correlate(x.astype(np.int64), k, algorithm="loop", dtype=np.int64)
        np.testing.assert_array_equal(cconv.correlate(x, k, dtype=np.int64), want)
    mean = cconv.correlate(x, np.ones((9, 9), int), normalize="size", dtype=dtype)
    np.testing.assert_array_equal(mean, np.rint(cconv.correlate(x.astype(np.int64), np.ones((9, 9), int), dtype=np.int64) / 81))


def test_products_of_integers_are_integers():
    """Of rank 2 and whole numbers: a float sum of them is exact, too."""
    x = np.random.default_rng(6).integers(0, 256, (50, 50)).astype(np.float32)
    k = np.outer(np.arange(1, 16), np.arange(2, 17)) + np.outer(np.arange(15) % 3, np.arange(15) % 4)
    y = cconv.correlate(x, k, algorithm="separable")
    np.testing.assert_array_equal(y, cconv.correlate(x.astype(np.int64), k, algorithm="loop", dtype=np.int64))
    with pytest.raises(ValueError, match="cannot serve"):     # what is in between may be larger than what is exact
        cconv.correlate(x.astype(np.uint8), k, algorithm="separable")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("kernel", [GAUSSIAN, UNSHARP, np.outer(np.arange(9) % 3, np.arange(9) % 2)], ids=["gaussian", "unsharp", "zeros"])
def test_what_is_not_finite_stays_in_its_window(kernel, value):
    x = np.random.default_rng(7).random((60, 90), np.float32)
    x[30, 40] = value
    y, want = (cconv.correlate(x, kernel, algorithm=a) for a in ("separable", "loop"))
    np.testing.assert_array_equal(np.isnan(y), np.isnan(want))
    np.testing.assert_array_equal(np.isinf(y), np.isinf(want))
    near = np.isfinite(want) & (np.abs(want) < 1e6)
    np.testing.assert_allclose(y[near], want[near], rtol=1e-5, atol=1e-6)


def test_a_volume():
    x = np.random.default_rng(8).random((12, 40, 50))
    k = np.multiply.outer([1.0, 2, 1], np.outer([1, 2, 3, 2, 1], [1, 3, 5, 7, 5, 3, 1]))
    assert cconv.explain(cconv.correlate, x, k).algorithm == "separable"
    np.testing.assert_allclose(cconv.correlate(x, k), cconv.correlate(x, k, algorithm="loop"), rtol=1e-14)


def test_the_next_kernel_may_be_another():
    """A call whose like went before is not taken for it where its kernel is of another rank."""
    x = np.random.default_rng(9).random((60, 70), np.float32)
    other = np.random.default_rng(9).random((15, 15))
    for k in (GAUSSIAN, other, GAUSSIAN, GAUSSIAN * 2, other, UNSHARP, UNSHARP):
        np.testing.assert_allclose(cconv.correlate(x, k), cconv.correlate(x, k, algorithm="loop"), rtol=1e-5, atol=1e-5)


def test_the_bits_do_not_depend_on_conversions():
    x = np.random.default_rng(10).random((700, 900)).astype(np.float32)
    want = cconv.correlate(x, GAUSSIAN, padding=7)
    np.testing.assert_array_equal(cconv.correlate(x.astype(">f4"), GAUSSIAN, padding=7), want)
    np.testing.assert_array_equal(cconv.correlate(np.asfortranarray(x), GAUSSIAN, padding=7, workers=3), want)


def test_what_cannot_be_taken_apart_says_so():
    x = np.zeros((30, 30), np.float32)
    for k in (np.random.default_rng(1).random((9, 9)), np.ones((1, 9)), np.ones((9, 1))):
        with pytest.raises(ValueError, match="algorithm='separable' cannot serve: it wants .* products of a column and a row"):
            cconv.correlate(x, k, algorithm="separable")
