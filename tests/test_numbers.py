"""The number rules: which dtype comes out, what an integer dtype means, what is refused."""

import numpy as np
import pytest
from samples import FLOATS, INTEGERS

import cconv

FLOAT32_IMAGES = ("bool", "uint8", "int8", "uint16", "int16", "float16", "float32")
FLOAT64_IMAGES = ("int32", "uint32", "int64", "uint64", "float64")
ONE = np.ones((1, 1, 1))


def layer(x, w, **options):
    """conv1d of lines of numbers: one channel, one filter."""
    y = cconv.conv1d(np.asarray(x)[None], np.asarray(w)[None, None], **options)
    return y[0]


@pytest.mark.parametrize("kernel", ["uint8", "int64", "float16", "float32", "float64"])
def test_the_image_decides_the_dtype_not_the_kernel(kernel):
    assert set(FLOAT32_IMAGES + FLOAT64_IMAGES) == set(INTEGERS + FLOATS)
    for dtypes, result in ((FLOAT32_IMAGES, np.float32), (FLOAT64_IMAGES, np.float64)):
        for dtype in dtypes:
            for order in "<>":
                image = np.ones((3, 4), np.dtype(dtype).newbyteorder(order))
                for function in (cconv.correlate, cconv.convolve):
                    y = function(image, np.ones((2, 2), kernel))
                    assert y.dtype == result and y.dtype.isnative, image.dtype
                    assert y.tolist() == [[4.0] * 3] * 2


def test_a_list_is_the_array_numpy_makes_of_it():
    assert cconv.correlate([1, 2], [1]).dtype == np.float64
    assert cconv.correlate([True, False], [1]).dtype == np.float32
    assert cconv.correlate(memoryview(b"\1\2"), (1.0,)).dtype == np.float32


@pytest.mark.parametrize("first", INTEGERS + FLOATS)
@pytest.mark.parametrize("second", INTEGERS + FLOATS)
def test_layers_have_numpys_result_type_and_integers_become_floats(first, second):
    both = np.result_type(first, second)
    if both.kind != "f":
        both = np.dtype(np.float32 if str(both) in FLOAT32_IMAGES else np.float64)
    for bias in (None, np.ones(1), np.ones(1, np.int64)):
        y = cconv.conv1d(np.ones((1, 1, 3), first), np.ones((1, 1, 2), second), bias)
        assert y.dtype == both
        assert y.ravel().tolist() == [2.0 + (bias is not None)] * 2


@pytest.mark.parametrize("first", ["uint8", "float16", "float32", "int64", "float64"])
@pytest.mark.parametrize("dtype", [*INTEGERS[1:], *FLOATS, int, float, np.dtype(">f4"), "u1"])
def test_dtype_overrides(first, dtype):
    wanted = np.dtype(dtype).newbyteorder("=")
    assert cconv.correlate(np.ones(3, first), [1.0, 2], dtype=dtype).dtype == wanted
    y = layer(np.ones(3, first), np.ones(2, "float32"), dtype=dtype)
    assert y.dtype == wanted and y.tolist() == [2, 2]


def test_a_wider_dtype_is_summed_in_that_dtype():
    x = np.array([1, 2**-40], np.float32)
    assert cconv.correlate(x, [1.0, 1.0], dtype=np.float64).tolist() == [1 + 2**-40]
    assert layer(x, np.ones(2, np.float32), dtype=np.float64).tolist() == [1 + 2**-40]


@pytest.mark.parametrize("dtype", INTEGERS[1:])
def test_integer_results_are_rounded_half_to_even(dtype):
    halves = np.array([0.5, 1.5, 2.5, 3.5, 0.49, 0.51, 2.499, 4.5])
    assert cconv.correlate(halves, [1.0], dtype=dtype).tolist() == [0, 2, 2, 4, 0, 1, 2, 4]
    assert layer(halves, [1.0], dtype=dtype).tolist() == [0, 2, 2, 4, 0, 1, 2, 4]
    if dtype.startswith("int"):
        assert cconv.correlate(-halves, [1.0], dtype=dtype).tolist() == [0, -2, -2, -4, 0, -1, -2, -4]
    assert cconv.correlate([1, 3, 5], [1], normalize=False, dtype=dtype).tolist() == [1, 3, 5]
    assert cconv.correlate([1, 2, 3, 4], [1, 1], normalize="size", dtype=dtype).tolist() == [2, 2, 4]


@pytest.mark.parametrize("dtype", INTEGERS[1:])
def test_integer_results_saturate_and_nan_is_0(dtype):
    low, high = (int(v) for v in (np.iinfo(dtype).min, np.iinfo(dtype).max))
    x = np.array([np.inf, -np.inf, np.nan, 1e300, -1e300, 2.0**64, -(2.0**64), 0.0])
    want = [high, low, 0, high, low, high, low, 0]
    assert cconv.correlate(x, [1.0], dtype=dtype).tolist() == want
    assert cconv.correlate(x.clip(-1e38, 1e38).astype("f4"), [3.0], dtype=dtype).tolist() == want
    assert cconv.correlate(x, [1.0], out=np.empty(8, dtype)).tolist() == want


def test_uint8_is_never_wrapped():
    every = np.arange(256, dtype=np.uint8)
    for weight in (-300, -1, 0, 1, 2, 255, 1000, 0.5, -0.5, 1.001):
        want = [min(max(round(v * weight), 0), 255) for v in range(256)]
        assert cconv.correlate(every, [weight], dtype=np.uint8).tolist() == want
        assert layer(every, [weight], dtype=np.uint8).tolist() == want
    for bias in (-300, -1, 1, 300, 1e30):
        want = [min(max(v + bias, 0), 255) for v in range(256)]
        assert cconv.correlate(every, [1], bias=bias, dtype=np.uint8).tolist() == want
    ones = np.full((5, 5), 255, np.uint8)
    assert cconv.correlate(ones, ones[:3, :3], dtype=np.uint8).tolist() == [[255] * 3] * 3
    assert cconv.correlate(ones, ones[:3, :3], dtype=np.int64).tolist() == [[9 * 255 * 255] * 3] * 3


@pytest.mark.parametrize("bits", [24, 53])
@pytest.mark.parametrize("taps", [1, 2, 3, 17])
def test_integer_sums_are_exact_on_both_sides_of_each_float(bits, taps):
    for off in (-2, -1, 0, 1, 2, 3):
        for sign in (1, -1):
            x = np.zeros(taps, np.int64)
            x[-1] = sign * (2**bits + off - (taps - 1))
            x[:-1] = sign
            assert cconv.correlate(x, np.ones(taps, int), dtype=np.int64).tolist() == [sign * (2**bits + off)]
            assert layer(x, np.ones(taps, int), dtype=np.int64).tolist() == [sign * (2**bits + off)]


def test_integer_sums_are_exact_up_to_the_last_int64():
    top = 2**63 - 1
    for x, w, bias in [([top], [1], 0), ([-top], [1], 0), ([1], [-top], 0), ([2**62], [1], 2**62 - 1),
                       ([7 * 2**59 + 1, 3], [1, 1], 0), ([3037000499], [3037000499], 0)]:  # fmt: skip
        want = sum(a * b for a, b in zip(x, w, strict=True)) + bias
        assert cconv.correlate(x, w, bias=bias, dtype=np.int64).tolist() == [want]
        assert layer(x, w, bias=np.array([bias]), dtype=np.int64).tolist() == [want]
        assert cconv.correlate(x, w, bias=bias, dtype=np.uint8).tolist() == [255 if want > 0 else 0]
    assert cconv.correlate(np.array([2**63 - 1], np.uint64), [1], dtype=np.uint64).tolist() == [top]


@pytest.mark.parametrize("x, w, bias", [
    ([2**63 - 1], [2], 0), ([2**63 - 1, 1], [1, 1], 0), ([-(2**63)], [1], 0), ([2**62], [1], 2**62),
    ([1], [-(2**63)], 0),
])  # fmt: skip
def test_sums_that_int64_may_not_hold_are_an_overflow_error(x, w, bias):
    bound = max(map(abs, x)) * sum(map(abs, w)) + bias
    ways_out = rf"{bound}, beyond int64's 9223372036854775807: pass dtype=numpy\.float64, or scale"
    with pytest.raises(OverflowError, match=ways_out):
        cconv.correlate(x, w, bias=bias, dtype=np.int64)
    with pytest.raises(OverflowError, match=ways_out):
        layer(x, w, bias=[bias], dtype=np.uint8)
    assert cconv.correlate(x, w, bias=bias, dtype=np.float64).dtype == np.float64


def test_only_the_numbers_that_are_there_can_overflow():
    assert cconv.correlate(np.arange(4), [2**60], dtype=np.int64).tolist() == [i * 2**60 for i in range(4)]
    assert cconv.correlate(np.zeros(2, np.uint64), [2**62, 1], dtype=np.int64).tolist() == [0]


def test_an_integer_that_saturates_has_an_exact_sum_first():
    x = np.array([2**40, 1, -(2**40)])
    assert cconv.correlate(x, [1, 1, 1], dtype=np.int8).tolist() == [1]
    assert cconv.correlate(x, [2**20, 3, 2**20], dtype=np.int8).tolist() == [3]


def test_normalize_sum_divides_by_the_sum_however_large():
    for big in (2**53 + 1, 2**61, 2**62, 2**63 - 1):
        y = cconv.correlate([1.0, 3.0], np.array([big, big]), normalize="sum")
        np.testing.assert_allclose(y, [2.0])
    y = cconv.correlate([1.0], np.array([2**64 - 1], np.uint64), normalize="sum")
    np.testing.assert_allclose(y, [1.0])


@pytest.mark.parametrize("call", [
    lambda f32: cconv.correlate(f32, [1e300]), lambda f32: cconv.correlate(f32, [1.0], bias=1e300),
    lambda f32: cconv.conv1d(f32[None], ONE.astype("f4"), [1e300]), lambda f32: cconv.correlate(f32 * 3e38, [4.0]),
    lambda f32: cconv.correlate(f32[:2] * [1.5e38, -1.5e38], [1.0, -0.75], normalize="sum", dtype=np.float32),
    lambda f32: cconv.correlate(f32, [1.0], padding=1, padding_mode="constant", padding_value=1e300)[[0, -1]],
    lambda f32: cconv.correlate(f32, [6e4], dtype=np.float16, bias=6e4),
    lambda f32: cconv.correlate(f32 * np.float32(1e38), [1e5, 1e-3], normalize="size"),
])  # fmt: skip
def test_numbers_too_large_for_the_dtype_become_inf_without_a_warning(call):
    assert np.isinf(call(np.ones(3, np.float32))).all()


def test_what_is_not_finite_raises_no_warning():
    f32 = np.array([np.inf, 1, 2], np.float32)
    np.testing.assert_array_equal(cconv.correlate(f32, [1.0, 1], normalize="sum", bias=-np.inf), [np.nan, -np.inf])
    assert np.isnan(cconv.correlate(f32[1:], [np.inf, -np.inf], normalize="sum")).all()
    y = cconv.conv1d(f32[None, 1:], ONE.astype("f4"), activation=("clip", 0, 1e300))
    assert y.tolist() == [[1, 2]]


class FakeDask:
    """What dask's arrays look like from outside: computing them is a failure of the test."""

    shape, ndim, dtype = (3,), 1, np.dtype(float)

    def __dask_graph__(self):
        raise AssertionError("looked into")

    def compute(self):
        raise AssertionError("computed silently")

    __array__ = __array_interface__ = property(compute)


class Unknown:
    """An array of another library that offers __array__ only."""

    def __array__(self, dtype=None, copy=None):
        raise AssertionError("converted silently")


class Frame:
    def to_numpy(self):
        raise AssertionError("converted silently")


REFUSED = [
    (np.ones(3, complex), "dtype complex128; supported are bool, .*float64: .*real and imaginary"),
    (np.ones(3, object), r"dtype object; supported are .*\.astype\(float\)"),
    (np.ones(3, [("r", "u1"), ("g", "u1")]), r"dtype \[\('r'.*supported are .*one field"),
    (np.ones(3, np.longdouble), r"dtype float128; supported are .*astype\(numpy\.float64\)"),
    (np.zeros(3, "M8[s]"), "dtype datetime64.*supported are"),
    (np.array(["a", "b"]), "dtype <U1; supported are"),
    ([1j, 2], "dtype complex128; supported are"),
    ([2**70, 1], "dtype object; supported are"),
    (np.ma.array([1, 2, 3], mask=[0, 1, 0]), r"masked array.*\.filled\(0\)"),
    (FakeDask(), r"lazy array: pass {name}\.compute\(\)"),
    (Frame(), r"pass {name}\.to_numpy\(\)"),
    (Unknown(), r"pass numpy\.asarray\({name}\)"),
    (None, "NoneType .*want an array of numbers"), ("abc", "want an array: cconv.read_picture"),
    (b"abc", "bytes .*want an array of numbers"), ({1: 2}, "dict .*want an array of numbers"),
    (iter([1, 2]), "want a NumPy array"),
    ([np.ma.array([1.0, 2], mask=[0, 1])], "masked"), ([FakeDask(), FakeDask()], "lazy"),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*longdouble")
@pytest.mark.parametrize("value, text", REFUSED, ids=[f"{i}-{type(v).__name__}" for i, (v, _) in enumerate(REFUSED)])
def test_other_kinds_of_arrays_are_refused_with_what_to_call_instead(value, text):
    if getattr(value, "dtype", None) == np.longdouble and np.dtype(np.longdouble) == np.float64:
        text = None  # they are one here: taken
    calls = {
        "image": lambda v: cconv.correlate(v, [1.0]), "kernel": lambda v: cconv.convolve([1.0, 2, 3], v),
        "input": lambda v: cconv.conv1d(v, ONE), "weight": lambda v: cconv.conv1d(np.ones((1, 3)), v),
    }  # fmt: skip
    if value is not None:
        calls["bias"] = lambda v: cconv.conv1d(np.ones((1, 3)), ONE, v)
    for name, call in calls.items() if text else ():
        with pytest.raises(TypeError, match=f"^{name}.*" + text.replace("{name}", name)) as caught:
            call(value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype, text", [
    (bool, "bool cannot hold a sum"), (complex, "complex128; supported"), (object, "object; supported"),
    ("f4,f4", "supported"), ("banana", "='banana' is no NumPy dtype"), (np.longdouble, "supported"),
    (3, "no NumPy dtype"),
])  # fmt: skip
def test_dtypes_that_cannot_hold_a_result_are_refused(dtype, text):
    with pytest.raises(TypeError, match=f"dtype.*{text}"):
        cconv.correlate([1.0, 2], [1.0], dtype=dtype)


def test_inputs_are_never_written():
    x, w, b = np.arange(12.0).reshape(1, 1, 3, 4), np.arange(4.0).reshape(1, 1, 2, 2), np.ones(1)
    before = [a.tobytes() for a in (x, w, b)]
    cconv.conv2d(x, w, b, padding=1, activation="relu")
    cconv.correlate(x[0, 0], w[0, 0], normalize="sum", bias=3, dtype=np.uint8)
    cconv.pad(x, 2, "resize")
    assert [a.tobytes() for a in (x, w, b)] == before
    for a in (x, w, b):
        a.flags.writeable = False
    cconv.conv2d(x, w, b)


def test_the_result_is_new_memory():
    x = np.ones((3, 3))
    y = cconv.correlate(x, [[1.0]])
    assert not np.shares_memory(x, y) and y.flags.writeable and y.flags.owndata
