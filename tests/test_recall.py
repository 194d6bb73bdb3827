"""A call whose like went before is answered from its plan: nothing but the time may differ."""

import numpy as np
import pytest

import cconv
from cconv import operation

RNG = np.random.default_rng(7)
X = RNG.standard_normal((2, 3, 9, 11)).astype(np.float32)
W = RNG.standard_normal((4, 3, 3, 3)).astype(np.float32)


@pytest.fixture(autouse=True)
def forgotten():
    operation._known.clear()


def twice(call):
    """The result of the second of two calls, which must be made from the plan of the first."""
    first = call()
    known = dict(operation._known)
    assert len(known) == 1
    second = call()
    assert operation._known == known and second is not first
    np.testing.assert_array_equal(first, second)
    return second


@pytest.mark.parametrize("options", [
    {}, {"stride": 2, "padding": 1}, {"padding": "same", "padding_mode": "wrap"}, {"padding": ((1, 0), (2, 3))},
    {"bias": W[:, 0, 0, 0].copy()}, {"activation": ("clip", -1, 1.5)}, {"dtype": np.float32}, {"workers": 2},
    {"padding": 1, "padding_mode": "constant", "padding_value": 0.5}, {"algorithm": "taps"},
])
def test_layers(options):
    twice(lambda: cconv.conv2d(X, W, **options))
    want = cconv.conv2d(X, W, **{**options, "algorithm": "loop"})
    np.testing.assert_allclose(cconv.conv2d(X, W, **options), want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("flipped", [cconv.correlate, cconv.convolve])
@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_pictures(flipped, dtype):
    image = (RNG.random((20, 31, 3)) * 255).astype(dtype)
    kernel = RNG.random((3, 5))
    twice(lambda: flipped(image, kernel, padding="same", padding_mode="reflect", dtype=dtype))
    kernel[0, 0] = -9  # the same plan, other values
    again = flipped(image, kernel, padding="same", padding_mode="reflect", dtype=dtype)
    want = flipped(image.copy(), kernel.copy(), padding="same", padding_mode="reflect", dtype=dtype, algorithm="loop")
    np.testing.assert_allclose(again, want, atol=1 if dtype == np.uint8 else 1e-9)


def test_values_that_only_seem_equal_are_checked():
    cconv.conv2d(X, W, stride=1, padding=(1, 1))
    for wrong in ({"stride": True}, {"stride": 1.0}, {"stride": 1, "padding": (True, 1)}, {"padding": (1, 1.0)}, {"groups": True}):
        with pytest.raises(TypeError):
            cconv.conv2d(X, W, **{"stride": 1, "padding": (1, 1), **wrong})
    with pytest.raises(TypeError):
        cconv.conv2d(X, W, padding=(1, 1), workers=1.5)


def test_other_layouts_are_other_calls():
    cconv.conv2d(X, W)
    for x in (X[:, :, ::-1], X[..., ::-1], np.asfortranarray(X), X.astype(">f4"), X.astype(np.float64), X[:1], X[:, :, :8]):
        np.testing.assert_allclose(cconv.conv2d(x, W), cconv.conv2d(x, W, algorithm="loop"), rtol=1e-5, atol=1e-5)


def test_out_that_overlaps_or_cannot_be_written():
    image = RNG.random((40, 40)).astype(np.float32)
    kernel = np.full((3, 3), 1 / 9, np.float32)
    out = np.empty_like(image)
    want = cconv.correlate(image, kernel, padding="same", out=out).copy()
    assert cconv.correlate(image, kernel, padding="same", out=out) is out
    np.testing.assert_array_equal(out, want)
    out.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        cconv.correlate(image, kernel, padding="same", out=out)
    cconv.correlate(image, kernel, padding="same", out=image)
    np.testing.assert_array_equal(image, want)


def test_weights_that_are_not_finite_skip_the_padding():
    w = W.copy()
    cconv.conv2d(X, w, padding=1)
    w[1, 1, 0, 0] = np.inf
    want = cconv.conv2d(X, w, padding=1, algorithm="loop")
    np.testing.assert_allclose(cconv.conv2d(X, w, padding=1), want, rtol=1e-5, atol=1e-5)


def test_integers_depend_on_their_values():
    image = np.full((5, 5), 255, np.uint8)
    kernel = np.ones((3, 3), np.int64)
    assert cconv.correlate(image, kernel, dtype=np.int64)[0, 0] == 2295
    kernel[...] = 2**40
    assert cconv.correlate(image, kernel, dtype=np.int64)[0, 0] == 2295 * 2**40
    assert not operation._known


def test_the_instruction_set_may_change_and_not_too_much_is_kept(monkeypatch):
    cconv.conv2d(X, W)
    monkeypatch.setenv("CCONV_ISA", "nonsense")
    with pytest.raises(ValueError, match="CCONV_ISA"):
        cconv.conv2d(X, W)
    monkeypatch.delenv("CCONV_ISA")
    for n in range(2 * operation.MOST_KNOWN):
        cconv.conv1d(np.ones((1, n + 1)), np.ones((1, 1, 1)))
    assert len(operation._known) <= operation.MOST_KNOWN


def test_integers_whose_sums_need_another_dtype():
    x = RNG.integers(0, 256, (12, 13), np.uint8)
    x[5, 5] = 255
    k = np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]])
    twice(lambda: cconv.correlate(x, k, dtype=np.int16))
    for middle in (5, 65793 - 4, 65793, 2**24, 2**40, 2**50, 5):
        k[1, 1] = middle
        for dtype in (np.int16, np.uint8, np.int32, np.int64):
            for _ in range(2):
                np.testing.assert_array_equal(cconv.correlate(x, k, dtype=dtype), cconv.correlate(x, k, dtype=dtype, algorithm="loop"))


@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "?"])
def test_integer_kernels_of_every_dtype(kind):
    x = RNG.integers(0, 256, (3, 4, 9, 8), np.uint8)
    w = RNG.integers(0, 2, (5, 4, 3, 3)).astype(kind)
    y = twice(lambda: cconv.conv2d(x, w, dtype=np.int16))
    np.testing.assert_array_equal(y, cconv.conv2d(x, w, dtype=np.int16, algorithm="loop"))


@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": 1}, {"stride": (3, 1)}, {"groups": 2}, {"layout": "channels_last"}])
def test_gradients_and_transposed_convolutions(options):
    """Of which a stride makes several plans."""
    groups, last = options.get("groups", 1), options.get("layout") == "channels_last"
    rng = np.random.default_rng(8)
    w = rng.standard_normal((4, 6 // groups, 3, 3)).astype(np.float32)
    shape = (2, 9, 12, 6) if last else (2, 6, 9, 12)
    x = rng.standard_normal(shape).astype(np.float32)
    g = np.zeros_like(cconv.conv2d(x, w, **options))
    operation._known.clear()
    plain = {name: value for name, value in options.items() if name != "layout"} | {"layout": options.get("layout", "channels_first")}
    for call in (
        lambda g: cconv.conv_input(shape, w, g, **plain),
        lambda g: cconv.conv_weight(x, w.shape, g, **plain),
        lambda g: cconv.conv_transpose2d(g, w, np.ones(6, np.float32), activation="relu", **plain),
    ):
        operation._known.clear()
        g[...] = rng.standard_normal(g.shape)
        twice(lambda g=g, call=call: call(g))
        g[...] = rng.standard_normal(g.shape)
        again = call(g)
        operation._known.clear()
        np.testing.assert_array_equal(again, call(g))
        w[0, 0, 1, 1] = x[0, 1, 1, 1] = np.inf      # over a border of zeros: by the loop
        again = call(g)
        operation._known.clear()
        np.testing.assert_array_equal(again, call(g))
        w[0, 0, 1, 1] = x[0, 1, 1, 1] = 1


def test_what_no_tap_reaches_is_filled_again():
    w, g = np.ones((2, 3, 1, 1), np.float32), np.ones((1, 2, 4, 4), np.float32)
    first = cconv.conv_input((1, 3, 8, 8), w, g, stride=2)
    np.testing.assert_array_equal(cconv.conv_input((1, 3, 8, 8), w, g, stride=2, out=np.full_like(first, 7)), first)
    assert first[0, 0, 0, 0] == 2 and first[0, 0, 1, 1] == 0


def test_exact_sums_of_transposed_integers_are_looked_at():
    x, w = np.full((1, 1, 3, 3), 250, np.uint8), np.ones((1, 1, 2, 2), np.int32)
    cconv.conv_transpose2d(x, w, dtype=np.int32)
    w[...] = 2**20 + 1
    want = cconv.conv_transpose2d(x, w, dtype=np.int32, algorithm="loop")
    np.testing.assert_array_equal(cconv.conv_transpose2d(x, w, dtype=np.int32), want)
