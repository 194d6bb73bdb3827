"""8-bit pictures and kernels of small whole numbers: sums in 16 bits, the same bits as by floats."""

import numpy as np
import pytest

import cconv

SHARPEN = np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]])
SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
BINOMIAL = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1])
serves = pytest.mark.skipif(cconv.explain(cconv.correlate, np.ones((99, 200), np.uint8), SHARPEN, dtype=np.uint8).algorithm != "integer",
                            reason="plain C has no such way")


def picture(*shape):
    return np.random.default_rng(1).integers(0, 256, shape, np.uint8)


@serves
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int8])
@pytest.mark.parametrize("kernel", [SHARPEN, SOBEL, BINOMIAL, -BINOMIAL // 3, np.ones((1, 7), int), np.eye(11, dtype=np.int8) * 11, [[127, 1], [-127, -1]]],
                         ids=["sharpen", "sobel", "binomial", "negative", "row", "diagonal", "edge"])
@pytest.mark.parametrize("options", [{}, {"padding": "same", "padding_mode": "reflect"}, {"padding": (11, 9), "padding_mode": "constant", "padding_value": 255, "dilation": 2}])
@pytest.mark.parametrize("shape", [(33, 47), (40, 31, 3), (11, 5000)])
def test_the_bits_of_rows(dtype, kernel, options, shape):
    kernel = np.asarray(kernel)
    x = picture(*shape)
    want = cconv.correlate(x, kernel, dtype=dtype, algorithm="rows", **options)
    for algorithm in ("auto", "integer"):
        np.testing.assert_array_equal(cconv.correlate(x, kernel, dtype=dtype, algorithm=algorithm, **options), want)


@serves
@pytest.mark.parametrize("kernel, divisor", [(BINOMIAL, 256), (BINOMIAL / 256, 1), (BINOMIAL / 16, 8), (SHARPEN / 4, 2), (SOBEL, 1), (SOBEL, 256)])
def test_halves_are_rounded_to_even(kernel, divisor):
    x = picture(200, 300)
    exact = cconv.correlate(x, np.rint(kernel * 256).astype(int), dtype=np.int64) / (256 * divisor)
    assert (exact % 1 == 0.5).any() or (kernel is SOBEL and divisor == 1)
    kernel = kernel / divisor
    y = cconv.correlate(x, kernel, dtype=np.uint8, algorithm="integer")
    np.testing.assert_array_equal(y, np.clip(np.rint(exact), 0, 255))


@serves
def test_where_it_is_taken():
    x, taken = picture(60, 130), {}
    for name, kernel, dtype in (
        ("sharpen", SHARPEN, np.uint8), ("floats", SHARPEN / 16, np.uint8), ("tenths", SHARPEN / 10, np.uint8), ("result", SOBEL, np.float32),
        ("large", SOBEL * 40, np.int16), ("weight", [[128, 0]], np.uint8), ("pair", [[65, 64, 0]], np.uint8), ("nan", [[np.nan, 1]], np.uint8),
        ("rank", np.ones((11, 11), int), np.uint8), ("full", np.eye(11, dtype=int), np.uint8),
    ):
        taken[name] = cconv.explain(cconv.correlate, x, np.asarray(kernel), dtype=dtype).algorithm
    assert taken == {"sharpen": "integer", "floats": "integer", "tenths": "rows", "result": "rows", "large": "rows", "weight": "rows",
                     "pair": "rows", "nan": "rows", "rank": "box", "full": "integer"}
    with pytest.raises(ValueError, match="algorithm='integer' cannot serve: it wants an 8-bit picture"):
        cconv.correlate(x, SOBEL * 40, dtype=np.int16, algorithm="integer")
    for image, options in ((x.astype(np.uint16), {}), (x, {"stride": 2}), (x, {"padding": 1, "padding_mode": "constant", "padding_value": 0.5}), (x, {"padding": 1, "padding_mode": "constant", "padding_value": -1})):
        assert cconv.explain(cconv.correlate, image, SHARPEN, dtype=np.uint8, **options).algorithm == "rows"


@serves
def test_a_bias_goes_by_floats():
    x = picture(50, 60)
    for bias in (0.25, -3, np.inf):
        np.testing.assert_array_equal(*(cconv.correlate(x, SHARPEN, bias=bias, dtype=np.uint8, algorithm=a) for a in ("integer", "rows")))


@serves
def test_any_cut_and_layout():
    x = picture(700, 900)
    want = cconv.correlate(x, SHARPEN, padding=1, dtype=np.int16, workers=1)
    for workers in (2, 3):
        np.testing.assert_array_equal(cconv.correlate(x, SHARPEN, padding=1, dtype=np.int16, workers=workers), want)
    for view in (x[:, ::-1][:, ::-1], np.asfortranarray(x), np.repeat(x, 2, 1)[:, ::2]):
        out = np.empty((700, 1800), np.int16)[:, ::2]
        np.testing.assert_array_equal(cconv.correlate(view, SHARPEN, padding=1, dtype=np.int16, out=out), want)
    for kernel in (SHARPEN, SHARPEN / 10, SHARPEN * 2):     # a recalled call looks at its weights
        np.testing.assert_array_equal(*(cconv.correlate(x, kernel, dtype=np.uint8, algorithm=a) for a in ("auto", "rows")))
