"""The layer with prepacked weights: what conv1d, conv2d and conv3d compute, for any input, from any thread."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from samples import SEED

import cconv

RNG = np.random.default_rng(6)
W = RNG.standard_normal((18, 16, 3, 3)).astype(np.float32)
B = RNG.standard_normal(18).astype(np.float32)


def close(y, want):
    np.testing.assert_allclose(y, want, rtol=2e-5, atol=2e-5 * max(1, np.abs(want).max(initial=0)))


def test_random_layers():
    rng = np.random.default_rng(SEED)
    for _ in range(150):
        axes, groups, last = int(rng.integers(1, 4)), int(rng.integers(1, 3)), bool(rng.integers(2))
        dtype = rng.choice([np.float32, np.float64])
        taps = tuple(int(v) for v in rng.integers(1, 4, axes))
        w = rng.standard_normal((groups * int(rng.integers(1, 20)), int(rng.integers(1, 20)), *taps)).astype(dtype)
        bias = rng.standard_normal(len(w)).astype(dtype) if rng.integers(2) else None
        options = dict(stride=int(rng.integers(1, 3)), padding=int(rng.integers(0, 3)), dilation=int(rng.integers(1, 3)), groups=groups,
                       padding_mode=str(rng.choice(["zeros", "edge", "wrap"])), layout="channels_last" if last else "channels_first",
                       activation=[None, "relu", ("clip", -1, 2)][rng.integers(3)])
        layer, conv = cconv.Conv(w, bias, **options), getattr(cconv, f"conv{axes}d")
        for _ in range(3):
            sizes = tuple(int(v) for v in rng.integers(7, 12, axes))
            x = rng.standard_normal((int(rng.integers(1, 4)), *((*sizes, w.shape[1] * groups) if last else (w.shape[1] * groups, *sizes)))).astype(dtype)
            want = conv(x, w, bias, **options)
            for _ in range(2):
                y = layer(x)
                assert y.dtype == want.dtype
                close(y, want)
            close(layer(x[0]), want[0])


def test_weights_are_packed_once_for_all_batches_and_sizes():
    layer = cconv.Conv(W, B, padding=1)
    held = layer.nbytes
    assert held == W.nbytes + B.nbytes
    for shape in ((1, 16, 40, 41), (3, 16, 64, 57), (16, 33, 90)):
        layer(np.ones(shape, np.float32))
    once = layer.nbytes
    assert held < once < 16 * held
    for shape in ((2, 16, 40, 41), (1, 16, 80, 80), (7, 16, 50, 60), (16, 41, 43)):
        layer(np.ones(shape, np.float32))
    assert layer.nbytes == once


def test_its_arrays_are_its_own():
    w, b = W.copy(), B.copy()
    layer, x = cconv.Conv(w, b), np.ones((1, 16, 9, 9), np.float32)
    y = layer(x)
    w[:], b[:] = 0, 0
    np.testing.assert_array_equal(layer(x), y)
    with pytest.raises(ValueError, match="read-only"):
        layer.weight[0] = 0


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float16, ">f4", np.float64, bool])
def test_any_input(dtype):
    x = (RNG.random((2, 16, 9, 8)) * 9).astype(dtype)
    layer = cconv.Conv(W, B, padding=1)
    for given in (x, x[::-1, :, ::2], np.asfortranarray(x), x.tolist() if dtype is np.float64 else x[0]):
        want = cconv.conv2d(np.asarray(given), W, B, padding=1)
        y = layer(given)
        assert y.dtype == want.dtype
        close(layer(given), want)
        close(y, want)


def test_integers_are_exact():
    w, x = RNG.integers(-9, 9, (4, 3, 3, 3)), RNG.integers(0, 255, (1, 3, 12, 12)).astype(np.uint8)
    layer = cconv.Conv(w, dtype=np.int64)
    for _ in range(2):
        np.testing.assert_array_equal(layer(x), cconv.conv2d(x, w, dtype=np.int64, algorithm="loop"))


def test_out():
    layer, x = cconv.Conv(W, B, padding=1), RNG.standard_normal((1, 16, 8, 8)).astype(np.float32)
    want = layer(x)
    for out in (np.empty_like(want), np.empty(want.shape[::-1], np.float32).T, np.empty(want.shape, np.float64)):
        for _ in range(2):
            assert layer(x, out) is out and (out == want).all()
    square = cconv.Conv(W[:16], padding=1)
    want = square(x)
    assert square(x, x) is x and (x == want).all()              # over its own input
    for _ in range(2):
        with pytest.raises(ValueError, match=r"out has shape \(1, 2, 3\); the result has"):
            layer(x, np.empty((1, 2, 3)))
    frozen = np.empty((1, 18, 8, 8), np.float32)
    layer(x, frozen)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="out is read-only"):
        layer(x, frozen)


def test_one_set_of_packed_weights_does_not_serve_every_layout():
    x = RNG.integers(0, 256, (1, 1, 20, 40), np.uint8)
    layer = cconv.Conv([[[[0, -1, 0], [-1, 5, -1], [0, -1, 0]]]], dtype=np.uint8)
    want, wide = layer(x), np.zeros((1, 1, 18, 76), np.uint8)
    for _ in range(2):
        assert (layer(x, wide[..., ::2]) == want).all() and (wide[..., 1::2] == 0).all()
    deep = cconv.Conv(RNG.standard_normal((8, 1, 3, 3)), groups=8, layout="channels_last")
    last = RNG.standard_normal((1, 9, 9, 8))
    want = deep(last)
    for given in (np.asfortranarray(last), last, np.repeat(last, 2, 3)[..., ::2]):
        np.testing.assert_array_equal(deep(given), want)


def test_many_threads_at_once():
    layer, xs = cconv.Conv(W, B, padding=1), [RNG.standard_normal((n % 3 + 1, 16, 10 + n, 20)).astype(np.float32) for n in range(24)]
    want = [cconv.Conv(W, B, padding=1)(x) for x in xs]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            for y, z in zip(pool.map(layer, xs), want):
                np.testing.assert_array_equal(y, z)


def test_workers_and_pickles():
    x = RNG.standard_normal((2, 16, 70, 60)).astype(np.float32)
    layer = cconv.Conv(W, B, stride=2, padding=((1, 0), (2, 3)), activation=["clip", 0, 6], layout="channels_first")
    y = layer(x, workers=1)
    for workers in (2, 3, None):
        np.testing.assert_array_equal(layer(x, workers=workers), y)
    other = pickle.loads(pickle.dumps(layer))
    np.testing.assert_array_equal(other(x), y)
    assert repr(other) == repr(layer) == ("Conv(weight (18, 16, 3, 3) float32, bias, stride=2, padding=((1, 0), (2, 3)), "
                                          "activation=('clip', 0, 6))")


def test_explain():
    layer = cconv.Conv(W, padding=1, algorithm="direct")
    plan = layer.explain((1, 16, 30, 30))
    assert (plan.algorithm, plan.shape, plan.dtype) == ("taps", (1, 18, 30, 30), np.float32) and plan.packed_bytes >= W.nbytes
    assert cconv.Conv(np.ones((32, 32, 3, 3)), padding=1).explain((32, 30, 30)).algorithm == "winograd"
    with pytest.raises(ValueError, match="input has 3 channels"):
        layer.explain((1, 3, 30, 30))
    with pytest.raises(TypeError, match="shape is 5"):
        layer.explain(5)


def test_weights_that_are_not_finite():
    w = W.copy()
    w[0, 0, 0, 0] = np.inf
    layer, x = cconv.Conv(w, padding=1), RNG.standard_normal((1, 16, 7, 7)).astype(np.float32)
    for _ in range(2):
        y = layer(x)
        assert np.isfinite(y[0, 1:]).all() and np.isfinite(y[0, 0, 0]).all() and not np.isnan(y).any()
    inside = cconv.Conv(w)
    for _ in range(2):
        assert np.isinf(inside(x)[0, 0]).all()


def test_an_instruction_set_that_is_forced_later(monkeypatch):
    layer, x = cconv.Conv(W), RNG.standard_normal((1, 16, 9, 9)).astype(np.float32)
    y = layer(x)
    monkeypatch.setenv("CCONV_ISA", "generic")
    close(layer(x), y)
    monkeypatch.setenv("CCONV_ISA", "none")
    with pytest.raises(ValueError, match="CCONV_ISA='none'"):
        layer(x)


@pytest.mark.parametrize("options, error, text", [
    ({"weight": np.ones((3, 3))}, ValueError, r"weight has shape \(3, 3\), 2 axes; Conv wants 3, 4 or 5: .*cconv.correlate"),
    ({"weight": np.ones((3, 0, 3))}, ValueError, "it is empty"),
    ({"weight": np.ones((3, 3, 3)) * 1j}, TypeError, "weight has dtype complex128"),
    ({"bias": [1, 2]}, ValueError, r"bias has shape \(2,\); want \(4,\)"),
    ({"stride": 0}, ValueError, "stride is 0; want an integer of at least 1"),
    ({"dilation": (1, 2, 3)}, ValueError, "dilation=.* has 3 entries"),
    ({"groups": 3}, ValueError, "groups=3 does not divide the 4 output channels"),
    ({"padding": "smae"}, ValueError, "did you mean 'same'"),
    ({"padding_mode": "mirrored"}, ValueError, "did you mean 'mirror'"),
    ({"padding_value": 3}, ValueError, "pass padding_mode='constant'"),
    ({"layout": "NHWC"}, ValueError, "layout='NHWC' is not known"),
    ({"activation": "tanh"}, ValueError, "activation='tanh' is not known"),
    ({"dtype": complex}, TypeError, "dtype is complex128"),
    ({"algorithm": "best"}, ValueError, "algorithm='best' is not known"),
])  # fmt: skip
def test_errors_come_when_it_is_made(options, error, text):
    with pytest.raises(error, match=text):
        cconv.Conv(**{"weight": np.ones((4, 2, 3, 3)), **options})


def test_errors_of_inputs():
    layer = cconv.Conv(np.ones((4, 2, 3, 3)))
    for given, error, text in ((np.ones((1, 3, 5, 5)), ValueError, "input has 3 channels on axis 1 but weight wants 2"),
                               (np.ones((1, 2, 2, 5)), ValueError, "nothing would be left of spatial axis 0"),
                               (None, TypeError, "input is NoneType"), (np.ones((2, 5)), ValueError, "conv2d wants 4"),
                               (np.ma.masked_array(np.ones((1, 2, 5, 5))), TypeError, "masked")):
        for _ in range(2):
            with pytest.raises(error, match=text):
                layer(given)
    with pytest.raises(ValueError, match="workers is 0"):
        layer(np.ones((1, 2, 5, 5)), workers=0)
    layer(np.ones((1, 2, 5, 5)))
    with pytest.raises(ValueError, match="workers is 0"):
        layer(np.ones((1, 2, 5, 5)), workers=0)
    assert layer(np.ones((0, 2, 5, 5))).shape == (0, 4, 3, 3)
