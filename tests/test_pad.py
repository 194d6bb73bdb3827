"""cconv.pad: numpy.pad, and the zoom of padding_mode="resize"."""

from fractions import Fraction

import numpy as np
import pytest
from reference import ALIASES
from samples import FLOATS, FORMS, INTEGERS, SEED, byte_swapped, numbers

import cconv

MODES = ("zeros", "constant", "edge", "reflect", "symmetric", "wrap", *ALIASES)


def numpy_pad(image, pads, mode, value=0):
    mode = "constant" if mode == "zeros" else ALIASES.get(mode, mode)
    return np.pad(image, pads, mode, **({"constant_values": value} if mode == "constant" else {}))


@pytest.mark.parametrize("mode", MODES)
def test_pad_is_numpy_pad_at_any_width(mode):
    print(f"CCONV_TEST_SEED={SEED}")
    rng = np.random.default_rng([SEED, MODES.index(mode)])
    for _ in range(150):
        shape = tuple(rng.integers(1, 6, rng.integers(1, 5)).tolist())
        widest = int(rng.choice([1, 3, 14]))
        pads = [tuple(p) for p in rng.integers(0, widest + 1, (len(shape), 2)).tolist()]
        form = FORMS[rng.integers(len(FORMS))]
        x = form(rng, numbers(rng, rng.choice(INTEGERS + FLOATS), shape))
        value = int(rng.integers(0, 2)) if mode == "constant" else 0
        before = x.tobytes()
        y = cconv.pad(x, pads, mode, value)
        want = numpy_pad(x, pads, mode, value)
        label = f"CCONV_TEST_SEED={SEED}: {x.dtype} {form.__name__} {x.tolist()}, {pads}, {mode}, {value}"
        assert y.shape == want.shape and y.tolist() == want.tolist(), label
        assert y.dtype.newbyteorder("=") == x.dtype.newbyteorder("="), label
        assert x.tobytes() == before, label


def test_one_number_one_per_axis_and_pairs_mean_the_same():
    x = np.arange(12).reshape(3, 4)
    want = np.pad(x, 2)
    for padding in (2, (2, 2), [2, 2], ((2, 2), (2, 2)), np.array([[2, 2], [2, 2]]), np.int64(2)):
        assert cconv.pad(x, padding).tolist() == want.tolist()
    assert cconv.pad(x, (1, 0)).tolist() == np.pad(x, ((1, 1), (0, 0))).tolist()
    assert cconv.pad(x, 0).tolist() == x.tolist()
    assert not np.shares_memory(cconv.pad(x, 0), x)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
def test_the_channel_axis_is_not_padded(axis):
    x = np.arange(24).reshape(2, 3, 4)
    pads = [(1, 2), (1, 2), (1, 2)]
    pads[axis] = (0, 0)
    assert cconv.pad(x, ((1, 2), (1, 2)), "reflect", channel_axis=axis).tolist() == np.pad(x, pads, "reflect").tolist()


@pytest.mark.parametrize("dtype, value, stored", [
    ("uint8", 300, 255), ("uint8", -1, 0), ("uint8", 2.5, 2), ("uint8", 3.5, 4), ("int16", 1e9, 32767),
    ("int16", -np.inf, -32768), ("uint8", np.nan, 0), ("float32", 0.1, float(np.float32(0.1))), ("bool", 1, True),
    ("int64", 2**63 - 1, 2**63 - 1), ("uint64", -5, 0), ("float16", 1e9, np.inf),
])  # fmt: skip
def test_the_constant_is_rounded_and_saturated(dtype, value, stored):
    assert cconv.pad(np.ones(1, dtype), ((1, 0),), "constant", value).tolist() == [stored, 1]


@pytest.mark.parametrize("mode", MODES)
def test_an_empty_axis_without_padding_is_as_in_numpy(mode):
    x = np.ones((0, 3))
    want = numpy_pad(x, ((0, 0), (1, 2)), mode)
    assert cconv.pad(x, ((0, 0), (1, 2)), mode).shape == want.shape == (0, 6)
    assert cconv.pad(x, 0, mode).shape == (0, 3)


@pytest.mark.parametrize("mode", MODES)
def test_an_empty_axis_has_nothing_to_repeat(mode):
    if mode in ("zeros", "constant"):
        assert cconv.pad(np.ones((0, 2)), ((1, 1), (0, 0)), mode).tolist() == [[0, 0], [0, 0]]
    else:
        with pytest.raises(ValueError, match="empty axis.*no values to repeat"):
            cconv.pad(np.ones((0, 2)), ((1, 1), (0, 0)), mode)


def zoomed(values, size):
    """A line of numbers, bilinear at the pixel centres of a line of `size`; edge values beyond."""
    n, result = len(values), []
    for i in range(size):
        place = (i + Fraction(1, 2)) * Fraction(n, size) - Fraction(1, 2)
        place = min(max(place, 0), n - 1)
        left = int(place)
        right = min(left + 1, n - 1)
        result.append(values[left] * (1 - (place - left)) + values[right] * (place - left))
    return result


def zoomed_picture(rows, height, width):
    across = [zoomed(row, width) for row in rows]
    down = [zoomed(list(column), height) for column in zip(*across, strict=True)]
    return [list(row) for row in zip(*down, strict=True)]


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (2, 2), (3, 5), (7, 4)])
def test_resize_is_bilinear(shape):
    rng = np.random.default_rng(1)
    for pads in [((0, 0), (0, 0)), ((1, 1), (1, 1)), ((0, 5), (2, 0)), ((9, 12), (3, 3))]:
        x = rng.integers(0, 256, shape)
        height, width = (n + sum(p) for n, p in zip(shape, pads, strict=True))
        want = zoomed_picture([[Fraction(v) for v in row] for row in x.tolist()], height, width)
        got = cconv.pad(x.astype(float), pads, "resize")
        assert got.shape == (height, width)
        assert abs(got - np.array(want, float)).max() <= 255 * 8 * np.finfo(float).eps
        pixels = cconv.pad(x.astype(np.uint8), pads, "resize")
        assert pixels.dtype == np.uint8
        off = abs(pixels - np.array(want, float))
        assert off.max() <= 0.5 + 1e-9, "not the nearest integer"


def test_resize_without_padding_is_the_image():
    for dtype in INTEGERS + FLOATS:
        x = numbers(np.random.default_rng(2), dtype, (4, 5), small=True)
        y = cconv.pad(x, 0, "resize")
        assert y.dtype == x.dtype and y.tolist() == x.tolist()


def test_resize_leaves_the_channels_alone():
    x = np.random.default_rng(3).random((3, 4, 2))
    y = cconv.pad(x, ((1, 2), (0, 3)), "resize", channel_axis=-1)
    for c in range(2):
        assert y[..., c].tolist() == cconv.pad(x[..., c], ((1, 2), (0, 3)), "resize").tolist()


def test_byte_swapped_images_keep_their_values():
    x = byte_swapped(None, np.arange(6, dtype=np.float32).reshape(2, 3))
    assert cconv.pad(x, 1, "edge").tolist() == np.pad(x, 1, "edge").tolist()


@pytest.mark.parametrize("padding, mode, error, text", [
    (-1, "zeros", ValueError, "padding is -1; want an integer of at least 0"),
    (1.0, "zeros", TypeError, r"padding is 1\.0 \(float\)"),
    (True, "zeros", TypeError, "padding is True, a boolean"),
    ((1, 2, 3), "zeros", ValueError, "padding=.* has 3 entries.*2 axes"),
    (((1, 1), 2), "zeros", ValueError, "padding=.* does not fit.*pair"),
    ("same", "zeros", TypeError, "padding is 'same'"),
    (1, "reflct", ValueError, "padding_mode='reflct' is not known.*did you mean 'reflect'"),
    (1, None, TypeError, "padding_mode is None"),
    (2**61, "zeros", OverflowError, "padding is 2305843009213693952"),
    (2**59, "zeros", OverflowError, "more than can be addressed"),
])  # fmt: skip
def test_errors(padding, mode, error, text):
    with pytest.raises(error, match=text) as caught:
        cconv.pad(np.ones((2, 3)), padding, mode)
    assert "\n" not in str(caught.value)


def test_a_value_without_a_constant_border_is_refused():
    with pytest.raises(ValueError, match="padding_value=3 has no effect.*'constant'"):
        cconv.pad([1, 2], 1, "zeros", 3)
    with pytest.raises(ValueError, match="nothing to zoom"):
        cconv.pad(np.ones((0, 2)), 1, "resize")
