"""The loop beside scipy.ndimage: `python benchmarks/loop.py`.

Contestants run in turn in one process, results are checked before they are timed, minimum and
median of many runs are printed.  One thread.
"""

from __future__ import annotations

import numpy as np
from race import race

import cconv


def main() -> None:
    draw = np.random.default_rng(0)
    cconv.set_workers(1)

    x, w = draw.standard_normal((1, 64, 56, 56), np.float32), draw.standard_normal((64, 64, 3, 3), np.float32)
    exact = cconv.conv2d(x, w, padding=1, dtype=np.float64)
    out = np.empty(exact.shape, np.float32)
    layer = lambda: cconv.conv2d(x, w, padding=1, algorithm="loop", out=out)  # noqa: E731
    assert np.abs(layer() - exact).max() < 1e-4
    fastest, median = race({"cconv": layer})["cconv"]
    work = 2 * 64 * 64 * 9 * 56 * 56 / 1e9
    print(f"3x3, 64 -> 64 channels, 56x56, float32: {work / fastest:.1f} GFLOP/s (median {work / median:.1f}); goal 5")

    try:
        from scipy import ndimage
    except ImportError:
        print("scipy is not installed: pip install '.[bench]'")
        return
    for dtype, goal in ((np.float32, "; goal 3"), (np.float64, ""), (np.uint8, "")):
        image = (draw.random((459, 612)) * 255).astype(dtype)
        kernel = draw.standard_normal((5, 5)).astype(np.float32 if dtype == np.uint8 else dtype)
        wanted = np.float32 if dtype == np.uint8 else dtype
        out2, out3 = np.empty(image.shape, wanted), np.empty(image.shape, wanted)
        contestants = {
            "cconv": lambda: cconv.correlate(image, kernel, padding="same", algorithm="loop", out=out2),
            "ndimage": lambda: ndimage.correlate(image, kernel, mode="constant", output=out3),
        }
        assert np.abs(contestants["cconv"]() - contestants["ndimage"]()).max() < 1e-2
        times = race(contestants)
        ratios = [times["ndimage"][i] / times["cconv"][i] for i in (0, 1)]
        print(f"459x612 {np.dtype(dtype)}, 5x5: cconv {times['cconv'][0] * 1e3:.2f} ms, scipy.ndimage "
              f"{times['ndimage'][0] * 1e3:.2f} ms: {ratios[0]:.1f} times as fast (median {ratios[1]:.1f}){goal}")


if __name__ == "__main__":
    main()
