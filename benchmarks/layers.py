"""Network layers beside torch, one thread: `OMP_NUM_THREADS=1 python benchmarks/layers.py`.

One call of cconv.conv2d and one of torch.nn.functional.conv2d, weights handed in each time; results
are compared before they are timed.  Writes docs/benchmark_layers.md and .json.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from race import limits, race, report

import cconv

# name, batch, input channels, output channels, size, kernel, stride, padding, dilation, groups
LAYERS = [
    ("7x7 s2, 3 to 64, 224", 1, 3, 64, (224, 224), 7, 2, 3, 1, 1),
    ("3x3, 64 to 64, 56", 1, 64, 64, (56, 56), 3, 1, 1, 1, 1),
    ("3x3, 128 to 128, 28", 1, 128, 128, (28, 28), 3, 1, 1, 1, 1),
    ("3x3, 256 to 256, 14", 1, 256, 256, (14, 14), 3, 1, 1, 1, 1),
    ("3x3, 512 to 512, 7", 1, 512, 512, (7, 7), 3, 1, 1, 1, 1),
    ("3x3 s2, 128 to 128, 56", 1, 128, 128, (56, 56), 3, 2, 1, 1, 1),
    ("1x1, 64 to 256, 56", 1, 64, 256, (56, 56), 1, 1, 0, 1, 1),
    ("1x1, 256 to 64, 56", 1, 256, 64, (56, 56), 1, 1, 0, 1, 1),
    ("1x1, 1024 to 256, 14", 1, 1024, 256, (14, 14), 1, 1, 0, 1, 1),
    ("3x3, 64 to 64, 224", 1, 64, 64, (224, 224), 3, 1, 1, 1, 1),
    ("3x3, 3 to 64, 224", 1, 3, 64, (224, 224), 3, 1, 1, 1, 1),
    ("3x3, 512 to 512, 28", 1, 512, 512, (28, 28), 3, 1, 1, 1, 1),
    ("depthwise 3x3, 32, 112", 1, 32, 32, (112, 112), 3, 1, 1, 1, 32),
    ("depthwise 3x3 s2, 64, 112", 1, 64, 64, (112, 112), 3, 2, 1, 1, 64),
    ("depthwise 3x3, 512, 14", 1, 512, 512, (14, 14), 3, 1, 1, 1, 512),
    ("depthwise 5x5, 240, 28", 1, 240, 240, (28, 28), 5, 1, 2, 1, 240),
    ("3x3 groups 32, 128, 56", 1, 128, 128, (56, 56), 3, 1, 1, 1, 32),
    ("3x3 dilation 2, 256, 33", 1, 256, 256, (33, 33), 3, 1, 2, 2, 1),
    ("3x3, 37 to 53, 41x43", 1, 37, 53, (41, 43), 3, 1, 1, 1, 1),
    ("5x5, 1 to 6, 28, batch 64", 64, 1, 6, (28, 28), 5, 1, 0, 1, 1),
    ("5x5, 6 to 16, 14, batch 64", 64, 6, 16, (14, 14), 5, 1, 0, 1, 1),
]


def main() -> None:
    torch.set_num_threads(1)
    cconv.set_workers(1)
    draw = np.random.default_rng(0)
    machine = limits()
    rows, ratios, data = [], [], []
    for name, n, c, o, size, k, s, p, d, g in LAYERS:
        x = draw.standard_normal((n, c, *size), np.float32)
        w, b = draw.standard_normal((o, c // g, k, k), np.float32), draw.standard_normal(o, np.float32)
        tx, tw, tb = map(torch.from_numpy, (x, w, b))
        last = tx.contiguous(memory_format=torch.channels_last)
        y = cconv.conv2d(x, w, b, s, p, d, g)
        with torch.no_grad():
            want = torch.nn.functional.conv2d(tx, tw, tb, s, p, d, g).numpy()
            assert np.abs(y - want).max() <= 1e-4 * np.abs(want).max(), name
            times = race({
                "cconv": lambda: cconv.conv2d(x, w, b, s, p, d, g, out=y),
                "torch": lambda: torch.nn.functional.conv2d(tx, tw, tb, s, p, d, g),
                "torch channels_last": lambda: torch.nn.functional.conv2d(last, tw, tb, s, p, d, g),
            })
        work = 2 * y.size * w[0].size / 1e9
        best, median = (min(t[i] for peer, t in times.items() if peer != "cconv") / times["cconv"][i] for i in (0, 1))
        eager = times["torch"][0] / times["cconv"][0]
        ratios.append(eager)
        speed = {peer: work / t[0] for peer, t in times.items()}
        rows.append([name, *(f"{v:.0f}" for v in speed.values()), f"{eager:.2f}", f"{best:.2f} ({median:.2f})",
                     f"{100 * speed['cconv'] / machine['GFLOP/s']:.0f} %"])
        data.append({"layer": name, "seconds": times})
        print(rows[-1], flush=True)
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    report(
        "benchmark_layers", f"Layers, float32, one thread (a matrix product here: {machine['GFLOP/s']:.0f} GFLOP/s; geometric "
        f"mean over torch: {mean:.2f})",
        ["layer", "cconv GFLOP/s", "torch", "torch channels_last", "of torch", "of the better (median)", "of a matrix product"],
        rows, {"limits": machine, "rows": data},
    )


if __name__ == "__main__":
    main()
