"""Pictures beside cv2 and scipy.ndimage, one thread: `python benchmarks/pictures.py`.

Each contestant is given an array for its result; results are compared before they are timed.  Random kernels go to
cv2.filter2D, which takes the DFT from 11x11 up; Gaussians also to cv2.sepFilter2D, box kernels to cv2.blur.  Writes
docs/benchmark_pictures.md, .json and docs/images/benchmark_pictures.png.
"""

from __future__ import annotations

import cv2
import numpy as np
from race import draw, limits, mean, race, report
from scipy import ndimage

import cconv

PICTURES = [
    ((459, 612), "uint8", 3), ((459, 612), "uint8", 5), ((459, 612), "float32", 5), ((459, 612), "float64", 5),
    ((2160, 3840), "uint8", 3), ((2160, 3840, 3), "uint8", 3), ((2160, 3840, 3), "uint8", 5),
    ((2160, 3840), "float32", 3), ((2160, 3840), "float32", 5), ((2160, 3840), "float32", 7),
    ((2160, 3840), "float32", 11), ((2160, 3840), "float32", 15), ((2160, 3840), "float64", 5),
    ((2160, 3840, 3), "float32", 5), ((1080, 1920), "uint16", 3),
    ((2160, 3840), "float32", 15, "gaussian"), ((459, 612), "uint8", 15, "gaussian"), ((2160, 3840), "float32", 31, "box"),
    ((2160, 3840), "float32", 15, "fast"), ((2160, 3840), "float32", 31, "fast"), ((459, 612), "float32", 31, "fast"),
    ((2160, 3840), "float32", 101, "fast"),
]


def main() -> None:
    cv2.setNumThreads(1)
    cconv.set_workers(1)
    random = np.random.default_rng(0)
    machine = limits()
    rows, ratios, shown, data = [], [], [], []
    for shape, name, k, *special in PICTURES:
        what = special[0] if special else "random"
        dtype = np.dtype(name)
        x = (random.random(shape) * (255 if dtype.kind == "u" else 1)).astype(dtype)
        w = random.random((k, k))
        if what == "gaussian":
            w = cconv.kernels.gaussian(k, k / 6)
        elif what == "box":
            w = np.ones((k, k))
        w = (w / w.sum()).astype(np.float64 if name == "float64" else np.float32)
        y, other, third = np.empty_like(x), np.empty_like(x), np.empty_like(x)
        contestants = {
            "cconv": lambda: cconv.correlate(x, w, padding="same", padding_mode="edge", dtype=dtype, out=y,
                                             algorithm="fast" if what == "fast" else "auto"),
            "cv2": lambda: cv2.filter2D(x, -1, w, dst=other, borderType=cv2.BORDER_REPLICATE),
        }
        if what == "gaussian":
            column = cv2.getGaussianKernel(k, k / 6)
            contestants["sepFilter2D"] = lambda: cv2.sepFilter2D(x, -1, column, column, dst=third, borderType=cv2.BORDER_REPLICATE)
        if what == "box":
            contestants["blur"] = lambda: cv2.blur(x, (k, k), dst=third, borderType=cv2.BORDER_REPLICATE)
        if x.size < 10**6:
            contestants["ndimage"] = lambda: ndimage.correlate(x, w, output=third, mode="nearest")
        for run in contestants.values():
            run()
        assert np.abs(y.astype(float) - other).max() <= (1 if dtype.kind == "u" else 1e-4), (shape, name, k)
        times = race(contestants)
        peers = [peer for peer in contestants if peer not in ("cconv", "ndimage")]
        ratio, median = (min(times[peer][i] for peer in peers) / times["cconv"][i] for i in (0, 1))
        if not special:
            ratios.append(ratio)
        shown.append(ratio)
        bytes_limit = 2 * x.nbytes / machine["GB/s"] / 1e9
        peak = machine["float64" if name == "float64" else "float32"]
        share = max(bytes_limit, 2 * x.size * k * k / peak / 1e9) / times["cconv"][0]
        other_name, other_time = min(((p, times[p][0]) for p in peers if p != "cv2"), key=lambda p: p[1], default=("", 0))
        rows.append(["x".join(map(str, shape)), name, f"{k}x{k}" + (f" {what}" if special else ""),
                     *(f"{times[c][0] * 1e3:.2f}" for c in ("cconv", "cv2")), f"{other_time * 1e3:.2f} {other_name}" if other_name else "",
                     f"{times['ndimage'][0] * 1e3:.2f}" if "ndimage" in times else "", f"{ratio:.2f} ({median:.2f})",
                     f"{100 * share:.0f} %"])
        data.append({"picture": [list(shape), name, k, what], "seconds": times})
        print(rows[-1], flush=True)
    report(
        "benchmark_pictures", "Pictures, one thread",
        f"Milliseconds, from the minimum of many runs, into an array that was there before.  Geometric mean: {mean(ratios):.2f} times "
        f"the speed of cv2.filter2D for random kernels with algorithm='auto'.  Gaussian and box: kernels that are a product; "
        f"fast: random ones with algorithm='fast', the others with 'auto'.",
        ["picture", "dtype", "kernel", "cconv ms", "filter2D ms", "other of cv2, ms", "ndimage ms", "of the best of cv2 (median)", "of the nearer limit"],
        rows, {"limits": machine, "rows": data},
    )
    draw("benchmark_pictures", "cconv's speed, of cv2.filter2D's", [" ".join(row[:3]) for row in rows], {"of cv2": shown})


if __name__ == "__main__":
    main()
