"""The result has the same bits for any number of workers, alignment, batch position and memory order."""

import functools

import numpy as np
import pytest
from samples import SEED

import cconv

RNG = np.random.default_rng(11)

# channels, output channels, size, kernel, options: each way to multiply and each form of it
LAYERS = {
    "wide": (20, 40, (9, 70), 3, {"padding": 1}),
    "narrow": (40, 40, (7, 7), 3, {"padding": 1}),
    "odd": (17, 19, (13, 21), 3, {"padding": 2, "padding_mode": "reflect"}),
    "few outputs": (5, 3, (12, 50), 5, {"padding": 2}),
    "strided": (8, 16, (30, 31), 3, {"stride": 2, "padding": 1}),
    "pointwise": (64, 48, (10, 33), 1, {}),
    "depthwise": (12, 12, (40, 37), 3, {"padding": 1, "groups": 12}),
    "depthwise, tall": (12, 12, (23, 28), 5, {"padding": 2, "groups": 12}),
    "depthwise, tall and narrow": (6, 6, (9, 7), 7, {"padding": 3, "groups": 6}),
    "grouped": (12, 24, (20, 40), 3, {"padding": 1, "groups": 3}),
    "dilated": (6, 8, (30, 41), 3, {"dilation": (3, 2), "padding": 2}),
    "dilated, shared": (16, 24, (30, 41), 3, {"dilation": (3, 2), "padding": 2}),
    "many bands": (16, 16, (64, 130), 3, {"padding": 1}),
}


def arrays(name, dtype):
    c, o, size, k, options = LAYERS[name]
    x = RNG.standard_normal((3, c, *size)).astype(dtype)
    return x, RNG.standard_normal((o, c // options.get("groups", 1), k, k)).astype(dtype), RNG.standard_normal(o).astype(dtype), options


def moved(array, by):
    """The array `by` bytes behind a line of the cache."""
    memory = np.empty(array.nbytes + 128, np.uint8)
    start = -memory.ctypes.data % 64 + by
    copy = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", LAYERS)
def test_layers(name, dtype, monkeypatch):
    monkeypatch.setattr("cconv.compute.THREADING_PAYS", 1)
    x, w, b, options = arrays(name, dtype)
    want = cconv.conv2d(x, w, b, workers=1, **options)
    for workers in (1, 2, 3, 7):
        np.testing.assert_array_equal(cconv.conv2d(x, w, b, workers=workers, **options), want)
    for n in range(len(x)):
        np.testing.assert_array_equal(cconv.conv2d(x[n], w, b, workers=1, **options), want[n])
    for order in (np.asfortranarray, lambda a: a[:, ::-1].copy()[:, ::-1], lambda a: a.repeat(2, 3)[..., ::2], lambda a: a.astype(a.dtype.newbyteorder())):
        np.testing.assert_array_equal(cconv.conv2d(order(x), order(w), b, workers=1, **options), want)
    last = cconv.conv2d(np.moveaxis(x, 1, -1).copy(), w, b, workers=1, layout="channels_last", **options)
    np.testing.assert_array_equal(np.moveaxis(last, -1, 1), want)
    into = np.empty((*want.shape[:-1], want.shape[-1] + 3), dtype)[..., :-3]
    np.testing.assert_array_equal(cconv.conv2d(x, w, b, workers=1, out=into, **options), want)


@pytest.mark.parametrize("name", LAYERS)
def test_alignments_of_layers(name):
    x, w, b, options = arrays(name, np.float32)
    want = cconv.conv2d(x, w, b, workers=1, **options)
    for by in range(64):
        out = moved(np.empty_like(want), by)
        cconv.conv2d(moved(x, by), moved(w, (by * 7 + 1) % 64), moved(b, (by * 5 + 2) % 64), workers=1, out=out, **options)
        np.testing.assert_array_equal(out, want)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
@pytest.mark.parametrize("size", [2, 3, 5, 9])
def test_pictures(dtype, size, monkeypatch):
    monkeypatch.setattr("cconv.compute.THREADING_PAYS", 1)
    image = (RNG.standard_normal((60, 90, 3)) * 40 + 99).astype(dtype)
    kernel = RNG.standard_normal((size, size)) / size**2
    options = {"padding": "same", "padding_mode": "symmetric", "dtype": dtype}
    want = cconv.correlate(image, kernel, workers=1, **options)
    for workers in (2, 3, 7):
        np.testing.assert_array_equal(cconv.correlate(image, kernel, workers=workers, **options), want)
    for channel in range(3):
        np.testing.assert_array_equal(cconv.correlate(image[..., channel], kernel, workers=1, **options), want[..., channel])
        np.testing.assert_array_equal(cconv.correlate(image[..., channel].copy(), kernel, workers=1, **options), want[..., channel])
    np.testing.assert_array_equal(cconv.correlate(np.asfortranarray(image), kernel, workers=1, **options), want)
    for by in range(64):
        out = moved(np.empty_like(want), (by * 3 + 1) % 64)
        np.testing.assert_array_equal(cconv.correlate(moved(image, by), kernel, workers=1, out=out, **options), want)


def test_a_kernel_for_each_channel_in_either_layout():
    """Channels side by side have kernels of their own, which add taps in the same order."""
    rng, tried = np.random.default_rng(SEED), 0
    for _ in range(300):
        channels, taps = int(rng.integers(4, 40)), rng.integers(1, 10, 2)
        stride, dilation = (tuple(int(v) for v in rng.integers(1, 4, 2)) for _ in range(2))
        dtype = rng.choice([np.float32, np.float64])
        x = rng.standard_normal((2, channels, *rng.integers(1, 40, 2))).astype(dtype)
        w, b = rng.standard_normal((channels, 1, *taps)).astype(dtype), rng.standard_normal(channels).astype(dtype)
        options = dict(bias=b, stride=stride, dilation=dilation, padding=int(rng.integers(0, 6)), groups=channels,
                       padding_mode=str(rng.choice(["zeros", "edge", "reflect", "wrap", "symmetric"])))
        try:
            y = cconv.conv2d(x, w, **options)
        except ValueError:
            continue
        tried += 1
        last = np.ascontiguousarray(np.moveaxis(x, 1, -1))
        for workers in (1, 2):
            z = cconv.conv2d(last, w, layout="channels_last", workers=workers, **options)
            np.testing.assert_array_equal(np.moveaxis(z, -1, 1), y)
    assert tried > 150


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [3, 5, 7])
def test_results_that_are_written_past_the_caches(dtype, size):
    """Large ones, where lines are whole: the same bits as where they are not."""
    from cconv.dtypes import empty

    rng = np.random.default_rng(8)
    x, k = rng.standard_normal((1100, 1100)).astype(dtype), rng.standard_normal((size, size)).astype(dtype)
    for columns in (1088, 1099):            # lines whole in each row, or in none but the first
        part = x[:, :columns]
        want = np.concatenate([cconv.correlate(part[first : first + 100 + size - 1], k) for first in range(0, 1100 - size + 1, 100)])
        lies = empty((1100, columns), np.dtype(dtype))[: 1100 - size + 1, : columns - size + 1]
        for out in (lies, np.empty(lies.size + 1, dtype)[1:].reshape(lies.shape)):
            for workers in (1, 2):
                out[...] = np.nan
                np.testing.assert_array_equal(cconv.correlate(part, k, out=out, workers=workers), want)


@pytest.mark.parametrize("shape, kernel, stride, padding, dtype", [
    ((2732, 1, 4, 15), (16, 1, 5, 6), 1, 1, np.float32), ((1822, 1, 9, 24), (16, 1, 7, 4), 2, 1, np.float32),
    ((2732, 1, 6, 18), (16, 1, 5, 7), 1, 0, np.float32), ((6243, 3, 2, 12), (7, 3, 5, 5), 1, 2, np.float64),
])  # fmt: skip
def test_a_batch_beyond_the_caches_goes_the_way_of_its_samples(shape, kernel, stride, padding, dtype):
    """Layers for which two ways are counted alike, so that anything else that is counted would decide."""
    random = np.random.default_rng(4)
    x, w = random.standard_normal(shape).astype(dtype), random.standard_normal(kernel).astype(dtype)
    y = cconv.conv2d(x, w, stride=stride, padding=padding)
    assert y.nbytes >= 1 << 22
    for i in (0, len(x) - 1):
        np.testing.assert_array_equal(cconv.conv2d(x[i : i + 1], w, stride=stride, padding=padding)[0], y[i])


@pytest.mark.parametrize("shape, kernel, options", [
    ((5, 6, 5, 5), (9, 6, 5, 5), {}),
    ((33, 8, 1, 1), (40, 4, 1, 1), {"groups": 2}),
    ((4, 7, 9, 4), (16, 7, 3, 4), {"padding": ((1, 1), (0, 0)), "padding_mode": "edge", "stride": 2}),
    ((3, 20, 5), (33, 20, 5), {"dilation": 1}),
    ((2, 3, 1, 1), (5, 3, 3, 3), {"padding": 1, "padding_mode": "constant", "padding_value": 2.5}),
    ((4, 3, 1, 2, 1), (20, 3, 1, 2, 1), {"padding": ((1, 1), (0, 0), (0, 0)), "stride": (3, 1, 1)}),     # reads the border's depth only
])  # fmt: skip
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_samples_of_one_column_are_those_of_a_batch_of_one(shape, kernel, options, dtype):
    random = np.random.default_rng(3)
    x = (random.standard_normal(shape) * 50).astype(dtype)
    w, bias = random.standard_normal(kernel).astype(np.float32), random.standard_normal(kernel[0]).astype(np.float32)
    conv = {3: cconv.conv1d, 4: cconv.conv2d, 5: cconv.conv3d}[len(shape)]
    call = functools.partial(conv, weight=w, bias=bias, dtype=np.float32, activation="relu", **options)
    want = np.concatenate([call(x[i : i + 1]) for i in range(len(x))])
    assert want.shape[-1] == 1 and (want > 0).any()
    np.testing.assert_array_equal(call(x), want)
    np.testing.assert_array_equal(cconv.Conv(w, bias, dtype=np.float32, activation="relu", **options)(x), want)
    np.testing.assert_array_equal(call(np.asfortranarray(x)[::-1])[::-1], want)
    last = call(np.ascontiguousarray(np.moveaxis(x, 1, -1)), layout="channels_last")
    np.testing.assert_array_equal(np.moveaxis(last, -1, 1), want)
    out = np.full((*want.shape[:-1], 3), np.nan, np.float32)
    assert call(x, out=out[..., 1:2]) is not None and np.isnan(out[..., ::2]).all()
    np.testing.assert_array_equal(out[..., 1:2], want)


@pytest.mark.parametrize("chunk", [300, 5000, 2**18])
@pytest.mark.parametrize("algorithm", ["rows", "taps", "auto"])
def test_arrays_of_another_byte_order_strided_and_dilated(algorithm, chunk, monkeypatch):
    """Arrays that are converted by parts, large or small."""
    monkeypatch.setattr("cconv.job.CHUNK", chunk)
    rng, seen = np.random.default_rng(SEED), 0
    while seen < 150:
        size, kernel, stride, dilation = ([int(v) for v in rng.integers(low, high, 2)] for low, high in ((20, 90), (1, 8), (1, 5), (1, 10)))
        if any((k - 1) * d + 1 > n for n, k, d in zip(size, kernel, dilation, strict=True)):
            continue
        c, o, padding = (int(v) for v in rng.integers((1, 1, 0), (4, 4, 3)))
        o += 16 * (seen % 5 == 0)       # taps has another order
        x, w = rng.standard_normal((1, c, *size)).astype("f"), rng.standard_normal((o, c, *kernel)).astype("f")
        options = {"stride": stride, "dilation": dilation, "padding": padding, "algorithm": algorithm}
        want = cconv.conv2d(x, w, **options)
        got = cconv.conv2d(x.astype(x.dtype.newbyteorder()), w, **options)
        into = cconv.conv2d(x, w, out=np.empty(want.shape, want.dtype.newbyteorder()), **options)
        assert got.tobytes() == want.tobytes() == into.astype("f").tobytes(), f"x {x.shape}, w {w.shape}, {options}"
        seen += 1


def test_auto_chooses_alike_for_every_instruction_set(monkeypatch):
    """Else its results would have other bits on another CPU."""
    fused = [isa for isa in cconv.engine.instruction_sets() if isa != "generic"]
    if len(fused) < 2:
        pytest.skip("this CPU has one instruction set with fused multiply-add, or none")
    rng, chosen = np.random.default_rng(SEED), {}
    for case in range(400):
        channels, outputs, groups = (int(n) for n in (*np.exp(rng.uniform(0, 5, 2)), rng.choice([1, 1, 1, 4])))
        k, stride = int(rng.choice([1, 2, 3, 3, 3, 5])), int(rng.choice([1, 1, 2]))
        x = np.broadcast_to(np.float32(0), (1, channels * groups, *rng.integers(5, 90, 2)))
        w = np.broadcast_to(np.float32(0), (outputs * groups, channels, k, k))
        for isa in fused:
            monkeypatch.setenv("CCONV_ISA", isa)
            plan = cconv.explain(x, w, stride=stride, padding=k // 2, groups=groups)
            assert plan.isa == isa
            chosen.setdefault(case, set()).add((plan.algorithm, plan.why))
    assert all(len(ways) == 1 for ways in chosen.values()), f"seed {SEED}"
    assert {way for ways in chosen.values() for way, _ in ways} == {"rows", "taps", "winograd"}
