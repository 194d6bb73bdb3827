"""Compares both ways into the private copy with a sum over the kernel's taps in NumPy; no other cconv is imported."""

import sys

import numpy as np

import blur
from blur import _cconv


def naive(plane, kernel):
    """The correlation with mirrored borders, in float64."""
    rows, columns = kernel.shape
    padded = np.pad(plane.astype(np.float64), [((k - 1) // 2, k // 2) for k in kernel.shape], "reflect")
    total = np.zeros(plane.shape)
    for i in range(rows):
        for j in range(columns):
            total += float(kernel[i, j]) * padded[i : i + plane.shape[0], j : j + plane.shape[1]]
    return total


random = np.random.default_rng(0)
planes = random.standard_normal((7, 60, 75), np.float32)
kernels = [_cconv.kernels.gaussian(9).astype(np.float32), random.standard_normal((4, 5), np.float32)]
for kernel in kernels:
    results = []
    for threads in (1, 2, 3, 16):
        out = np.full_like(planes, np.nan)
        blur.planes.correlate(planes, kernel, out, threads)
        results.append(out)
    if any(result.tobytes() != results[0].tobytes() for result in results):
        raise SystemExit(f"vendored_cython: kernel {kernel.shape}: the bits depend on the number of threads")
    for plane, out in zip(planes, results[0], strict=True):
        limit = 16 * np.finfo(np.float32).eps * naive(abs(plane), abs(kernel))
        python = _cconv.correlate(plane, kernel, padding="same", padding_mode="reflect")
        for way, found in (("cimport", out), ("Python", python)):
            if not (abs(found - naive(plane, kernel)) <= limit).all():
                raise SystemExit(f"vendored_cython: kernel {kernel.shape}, by {way}: wrong by {abs(found - naive(plane, kernel)).max():.3g}")

if not np.array_equal(blur.blur(planes, 9, threads=2), blur.blur(planes, 9)):
    raise SystemExit("vendored_cython: two threads blur otherwise than one")
picture = random.integers(0, 256, (30, 40), np.uint8)
if abs(blur.blur_picture(picture).astype(float) - naive(picture, _cconv.kernels.gaussian(9))).max() > 0.5 + 1e-3:
    raise SystemExit("vendored_cython: a uint8 picture is not what it should be, rounded")

for why, wrong in {
    "an output that is the input": (planes, kernels[0], planes),
    "an output that is too small": (planes, kernels[0], planes[1:].copy()),
    "a kernel without taps": (planes, kernels[0][:, :0], np.empty_like(planes)),
    "float64": (planes.astype(float), kernels[0], np.empty_like(planes)),
}.items():
    try:
        blur.planes.correlate(*wrong)
    except ValueError:
        continue
    raise SystemExit(f"vendored_cython: {why} was accepted")

if "cconv" in sys.modules or "blur._cconv.engine" not in sys.modules:
    raise SystemExit("vendored_cython: cconv is not the private copy")
print(f"vendored_cython: {len(planes)} planes under {len(kernels)} kernels agree with NumPy, and cconv is blur's own")
