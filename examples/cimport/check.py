"""Compares the module with cconv's own Python functions."""

import cconv
import numpy as np
import sharpen

random = np.random.default_rng(0)
pictures = random.integers(0, 256, (5, 47, 61), np.uint8)
out, bright = np.empty_like(pictures), np.empty(len(pictures), np.int64)
sharpen.sharpen(pictures, out, bright, threshold=250)
for i, picture in enumerate(pictures):
    wanted = cconv.correlate(picture, [[0, -1, 0], [-1, 5, -1], [0, -1, 0]], padding="same", padding_mode="edge", dtype=np.uint8)
    if not np.array_equal(out[i], wanted):
        raise SystemExit(f"cimport: picture {i} differs from cconv.correlate in {np.count_nonzero(out[i] != wanted)} pixels")
    if bright[i] != np.count_nonzero(wanted >= 250):
        raise SystemExit(f"cimport: {bright[i]} bright pixels in picture {i}; want {np.count_nonzero(wanted >= 250)}")

x, w = random.integers(-(2**30), 2**30, (20, 30)), random.integers(-(2**28), 2**28, (3, 4))  # sums beyond 2**53
sums = np.empty((18, 27), np.int64)
sharpen.correlate_exactly(x, w, sums)
if not np.array_equal(sums, cconv.correlate(x, w, dtype=np.int64)):
    raise SystemExit("cimport: sums of int64 are not exact")
if sums.max() < 2**53:
    raise SystemExit("cimport: the sums are too small to show anything")

for wrong in (pictures, out[:, :-1].copy()):
    try:
        sharpen.sharpen(pictures, wrong, bright)
    except ValueError:
        continue
    raise SystemExit("cimport: an output that overlaps or does not fit was accepted")

print(f"cimport: {len(pictures)} pictures and {sums.size} sums of int64 are those of cconv {cconv.__version__}")
