"""A call needs no more than 16 MiB and five times its weights besides its arguments and its result."""

import tracemalloc

import numpy as np
import pytest

import cconv

RNG = np.random.default_rng(3)
PICTURE = (RNG.random((3000, 4000)) * 255).astype(np.uint8)
FIVE = np.ones((5, 5), np.float32)
LARGE = PICTURE[:1200, :1000]
LONG = PICTURE.reshape(3, -1)
VOLUME = PICTURE[:2000, :1000].reshape(2, 1000, 1000)


def layer(channels, outputs, size, kernel=3, batch=1, dtype=np.float32, **options):
    x = np.ones((batch, channels, size, size), dtype)
    w = np.ones((outputs, channels // options.get("groups", 1), kernel, kernel), dtype)
    return w.nbytes, lambda: cconv.conv2d(x, w, padding=kernel // 2, **options)


def picture(image, kernel, **options):
    return kernel.nbytes, lambda: cconv.correlate(image, kernel, padding="same", **options)


CALLS = {
    "uint8": lambda: picture(PICTURE, FIVE, normalize="sum", dtype=np.uint8),
    "to float32": lambda: picture(PICTURE, FIVE),
    "float64": lambda: picture(PICTURE.astype(float), FIVE, padding_mode="wrap"),
    "int32": lambda: picture(PICTURE, FIVE.astype(int), dtype=np.int32, padding_mode="reflect"),
    "float16": lambda: picture(PICTURE.astype(np.float16), FIVE, dtype=np.float16, padding_mode="symmetric"),
    "foreign byte order": lambda: picture(PICTURE.astype(">f4"), FIVE, padding_mode="edge"),
    "unaligned": lambda: picture(np.frombuffer(bytes(4 * LARGE.size + 1), np.uint8)[1:].view(np.float32).reshape(LARGE.shape), FIVE),
    "every other column": lambda: picture(PICTURE[:, ::2], FIVE, stride=2),
    "colours": lambda: picture(np.stack([LARGE] * 3, -1), FIVE, dtype=np.uint8),
    "colours to int32": lambda: picture(np.stack([LARGE] * 3, -1), FIVE.astype(int), dtype=np.int32),
    "sums in int64": lambda: picture(LARGE, FIVE.astype(np.int64) << 45, dtype=np.int64, padding_mode="wrap"),
    "the loop": lambda: picture(LARGE, FIVE, algorithm="loop"),
    "wide dilation": lambda: picture(PICTURE, FIVE, dilation=500),
    "dilated, wrapped, to float16": lambda: picture(PICTURE.astype(np.float32), FIVE, dilation=500, padding_mode="wrap", dtype=np.float16),
    "dilated, foreign byte order": lambda: picture(PICTURE.astype(">f4"), FIVE, dilation=500),
    "three long rows to int32": lambda: picture(LONG, FIVE.astype(int), dtype=np.int32),
    "tall kernel, foreign byte order": lambda: picture(PICTURE[:, :600].astype(">f4"), np.ones((1500, 1), np.float32)),
    "volume, foreign byte order": lambda: picture(VOLUME.astype(">f4"), np.ones((3, 3, 3), np.float32)),
    "long rows by the loop": lambda: picture(LONG[:, :1000000], FIVE.astype(np.int64) << 45, dtype=np.int64),
    "volume by the loop": lambda: picture(VOLUME, np.ones((1, 3, 3), np.int64) << 50, dtype=np.int64),
    "wide kernel": lambda: picture(LARGE, np.ones((31, 31), np.float32)),
    "layer": lambda: layer(64, 64, 224),
    "clipped": lambda: layer(64, 64, 112, activation="relu"),
    "channels last": lambda: (0, lambda: cconv.conv2d(np.ones((1, 112, 112, 64), np.float32), np.ones((64, 64, 3, 3), np.float32), layout="channels_last")),
    "many channels": lambda: layer(512, 512, 7),
    "fully connected": lambda: layer(2048, 1000, 1, 1),
    "batch": lambda: layer(6, 16, 14, 5, batch=512),
    "depthwise": lambda: layer(256, 256, 56, groups=256, dtype=np.float64),
}


@pytest.mark.parametrize("name", CALLS)
def test_memory_is_bounded(name):
    weights, call = CALLS[name]()
    tracemalloc.start()
    try:
        result = call()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    extra = peak - result.nbytes
    print(f"{name}: {extra / 2**20:.1f} MiB")
    assert extra <= 2**24 + 5 * weights
