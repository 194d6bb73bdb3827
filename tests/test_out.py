"""`out`: what is taken, what is refused, and that overlapping an input changes nothing."""

import numpy as np
import pytest
from samples import FLOATS, INTEGERS

import cconv

X, K = np.random.default_rng(0).standard_normal((6, 7)), np.array([[1.0, 2, 0], [0, -1, 0.5], [0, 0, 1]])


def test_out_is_returned_itself():
    for out in (np.empty((4, 5)), np.empty((4, 5), np.float32), np.empty((4, 5), np.uint8), np.empty((5, 4)).T,
                np.empty((8, 10))[::2, ::-2], np.empty((4, 5), ">f8")):  # fmt: skip
        assert cconv.correlate(X, K, out=out) is out
        want = cconv.correlate(X, K, dtype=out.dtype)
        assert out.tolist() == want.tolist()
    out = np.empty((2, 1, 4, 5))
    assert cconv.conv2d(np.stack([X, X])[:, None], K[None, None], out=out) is out
    assert out[1, 0].tolist() == cconv.correlate(X, K).tolist()


@pytest.mark.parametrize("dtype", INTEGERS[1:])
def test_an_integer_out_is_rounded_and_saturated(dtype):
    x = X * 1e3 + 0.5
    want = cconv.correlate(x, K, dtype=dtype)
    assert cconv.correlate(x, K, out=np.empty((4, 5), dtype)).tolist() == want.tolist()
    out = np.empty((4, 5), np.float64)
    assert cconv.correlate(x, K, dtype=dtype, out=out) is out and out.tolist() == want.tolist()
    out = np.empty((4, 5), np.int8)
    clipped = want.clip(max(-128, np.iinfo(dtype).min), 127)
    assert cconv.correlate(x, K, dtype=dtype, out=out) is out and out.tolist() == clipped.tolist()


def test_a_floating_out_takes_every_floating_result():
    for first in FLOATS:
        for second in FLOATS:
            out = np.empty(2, second)
            assert cconv.correlate(np.ones(3, first), [1.0, 1], out=out).tolist() == [2, 2]


@pytest.mark.parametrize("out, error, text", [
    (np.empty((4, 4)), ValueError, r"out has shape \(4, 4\); the result has \(4, 5\)"),
    (np.empty((5, 4)), ValueError, r"out has shape \(5, 4\); the result has \(4, 5\)"),
    (np.empty((1, 4, 5)), ValueError, r"out has shape \(1, 4, 5\); the result has \(4, 5\)"),
    (np.empty(20), ValueError, r"out has shape \(20,\); the result has \(4, 5\)"),
    (np.broadcast_to(1.0, (4, 5)), ValueError, "out is read-only; want a writable array"),
    (np.empty((4, 5), complex), ValueError, "out has dtype complex128, which cannot hold a sum; want float64"),
    (np.empty((4, 5), bool), ValueError, "out has dtype bool, which cannot hold a sum; want float64"),
    (np.empty((4, 5), object), ValueError, "out has dtype object, which cannot hold a sum; want float64"),
    (np.empty((4, 5), "M8[s]"), ValueError, "out has dtype datetime64"),
    ([[0.0] * 5] * 4, TypeError, r"out is a list; want a NumPy array of shape \(4, 5\)"),
    (np.ma.zeros((4, 5)), TypeError, "out is a MaskedArray; want a NumPy array"),
    ("out", TypeError, "out is a str; want a NumPy array"),
])  # fmt: skip
def test_any_other_out_is_refused_and_left_as_it_was(out, error, text):
    with pytest.raises(error, match=text) as caught:
        cconv.correlate(X, K, out=out)
    assert "\n" not in str(caught.value)
    with pytest.raises(error):
        cconv.conv2d(X[None], K[None, None], out=out[None] if isinstance(out, np.ndarray) else out)


def test_a_float_result_asked_for_does_not_go_into_an_integer_out():
    out = np.full((4, 5), 7, np.uint8)
    with pytest.raises(ValueError, match="out has dtype uint8, but the result is float64: pass dtype='uint8'"):
        cconv.correlate(X, K, dtype=np.float64, out=out)
    assert (out == 7).all()


@pytest.mark.parametrize("function", [cconv.correlate, cconv.convolve])
@pytest.mark.parametrize("mode", ["zeros", "edge", "reflect", "symmetric", "wrap"])
def test_out_may_be_the_image_itself(function, mode):
    want = function(X, K, padding="same", padding_mode=mode)
    x = X.copy()
    assert function(x, K, padding="same", padding_mode=mode, out=x) is x
    assert x.tolist() == want.tolist()


@pytest.mark.parametrize("shift", range(-4, 5))
def test_out_may_overlap_the_image_at_any_distance(shift):
    memory = np.random.default_rng(1).standard_normal(60)
    for view in (lambda m, at: m[at : at + 42].reshape(6, 7), lambda m, at: m[at : at + 42].reshape(7, 6).T,
                 lambda m, at: m[at : at + 42][::-1].reshape(6, 7)):  # fmt: skip
        want = cconv.correlate(view(memory, 8).copy(), K, padding=1)
        shared = memory.copy()
        out = view(shared, 8 + shift)
        cconv.correlate(view(shared, 8), K, padding=1, out=out)
        assert out.tolist() == want.tolist()


def test_out_may_overlap_the_weight_and_the_bias():
    x = np.random.default_rng(2).standard_normal((2, 6))
    memory = np.random.default_rng(3).standard_normal(24)
    for at in range(0, 6):
        shared = memory.copy()
        w, b = shared[:8].reshape(2, 2, 2), shared[8:10]
        want = cconv.conv1d(x, w.copy(), b.copy())
        out = shared[at : at + 10].reshape(2, 5)
        assert cconv.conv1d(x, w, b, out=out) is out
        assert out.tolist() == want.tolist()


def test_an_integer_out_may_overlap_the_image():
    x = np.random.default_rng(4).integers(0, 256, (9, 9), np.uint8)
    want = cconv.correlate(x, np.ones((3, 3), int), padding=1, normalize="size", dtype=np.uint8)
    assert cconv.correlate(x, np.ones((3, 3), int), padding=1, normalize="size", out=x) is x
    assert x.tolist() == want.tolist()


def test_one_memory_seen_as_two_dtypes_may_overlap():
    memory = np.random.default_rng(5).standard_normal(12)
    want = cconv.correlate(memory.copy(), [1.0, 2, 3], dtype=np.float32)
    out = memory.view(np.float32)[3:13]
    assert cconv.correlate(memory, [1.0, 2, 3], out=out).tolist() == want.tolist()
