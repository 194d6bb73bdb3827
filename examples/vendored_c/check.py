"""Compares the module with a sum over the kernel's taps in NumPy; cconv itself is not imported."""

import sys

import layer
import numpy as np


def naive(x, weight, bias, padding):
    """What layer.conv2d computes before the ReLU, in float64."""
    x = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    rows, columns = x.shape[2] - weight.shape[2] + 1, x.shape[3] - weight.shape[3] + 1
    total = np.zeros((x.shape[0], weight.shape[0], rows, columns)) + bias[:, None, None]
    for i in range(weight.shape[2]):
        for j in range(weight.shape[3]):
            total += np.einsum("nchw,oc->nohw", x[:, :, i : i + rows, j : j + columns], weight[:, :, i, j].astype(np.float64))
    return total


random = np.random.default_rng(0)
cases = 0
for n, channels, outputs, size, kernel, padding in (
    (2, 16, 24, (40, 33), (3, 3), 1), (3, 5, 7, (21, 50), (5, 4), 2), (1, 1, 1, (64, 64), (7, 7), 3), (0, 3, 4, (9, 9), (3, 3), 0),
):
    x = random.standard_normal((n, channels, *size), np.float32)
    weight, bias = random.standard_normal((outputs, channels, *kernel), np.float32), random.standard_normal(outputs, np.float32)
    wanted = np.maximum(naive(x, weight, bias, padding), 0)
    # fast algorithms use what lies around an output: the bound is that of the whole picture
    limit = 16 * np.finfo(np.float32).eps * (abs(x).max(initial=0) * abs(weight).sum(axis=(1, 2, 3)).max() + abs(bias).max())
    results = []
    for threads in (1, 2, 5, 64):
        out = np.full(wanted.shape, np.nan, np.float32)
        layer.conv2d(x, weight, bias, out, padding, threads)
        results.append(out)
    if not (abs(results[0] - wanted) <= limit).all():
        raise SystemExit(f"vendored_c: {x.shape} * {weight.shape}: wrong by {abs(results[0] - wanted).max():.3g}; at most {limit:.3g} is right")
    if any(result.tobytes() != results[0].tobytes() for result in results):
        raise SystemExit(f"vendored_c: {x.shape} * {weight.shape}: the bits depend on the number of threads")
    cases += 1

x, weight, bias, out = (np.ones(shape, np.float32) for shape in ((1, 2, 8, 8), (3, 2, 3, 3), (3,), (1, 3, 6, 6)))
for why, wrong in {
    "an output of the wrong shape": (x, weight, bias, out[:, :, 1:].copy(), 0, 1),
    "an output that overlaps": (x.ravel()[:108].reshape(1, 3, 6, 6), np.ones((3, 3, 1, 1), np.float32), bias, x.ravel()[:108].reshape(1, 3, 6, 6), 0, 1),
    "channels that do not fit": (x[:, :1].copy(), weight, bias, out, 0, 1),
    "a kernel that is larger than the picture": (x[:, :, :2].copy(), weight, bias, out, 0, 1),
    "no thread": (x, weight, bias, out, 0, 0),
    "float64": (x.astype(float), weight, bias, out, 0, 1),
}.items():
    try:
        layer.conv2d(*wrong)
    except ValueError:
        continue
    raise SystemExit(f"vendored_c: {why} was accepted")

if "cconv" in sys.modules:
    raise SystemExit("vendored_c: cconv was imported")
print(f"vendored_c: {cases} layers agree with NumPy, with the same bits on 1 to 64 threads, and cconv is not imported")
