"""Gradients of layers beside torch's, one thread: `python benchmarks/backward.py [WORD...]`.

torch.ops.aten.convolution_backward is what torch's autograd calls, asked for one gradient at a time.  Results are compared
before they are timed.  Writes docs/benchmark_backward.md and .json, unless WORDs choose layers.
"""

from __future__ import annotations

import os
import sys

os.environ["OMP_NUM_THREADS"] = "1"

from functools import partial

import numpy as np
import torch
from layers import LAYERS
from race import mean, race, report

import cconv


def main() -> None:
    cconv.set_workers(1)
    torch.set_num_threads(1)
    random = np.random.default_rng(0)
    rows, data, ratios = [], [], {"input": [], "weight": []}
    for name, kind, n, c, o, size, k, s, p, d, g in LAYERS:
        if sys.argv[1:] and not any(word in name for word in sys.argv[1:]):
            continue
        axes = len(size)
        x, w = (random.standard_normal(shape).astype(kind) for shape in ((n, c, *size), (o, c // g, *[k] * axes)))
        y = {1: cconv.conv1d, 2: cconv.conv2d, 3: cconv.conv3d}[axes](x, w, None, s, p, d, g)
        grad = random.standard_normal(y.shape).astype(kind)
        theirs = [torch.from_numpy(a) for a in (grad, x, w)]

        def backward(*mask: bool, theirs=theirs, s=s, p=p, d=d, g=g, axes=axes) -> object:
            return torch.ops.aten.convolution_backward(*theirs, None, [s] * axes, [p] * axes, [d] * axes, False, [0] * axes, g, mask)

        contestants = {
            "cconv input": partial(cconv.conv_input, x.shape, w, grad, s, p, d, g),
            "torch input": partial(backward, True, False, False),
            "cconv weight": partial(cconv.conv_weight, x, w.shape, grad, s, p, d, g),
            "torch weight": partial(backward, False, True, False),
        }
        for i, which in enumerate(ratios):
            want = contestants[f"torch {which}"]()[i].numpy()
            assert np.abs(contestants[f"cconv {which}"]() - want).max() <= 1e-3 * np.abs(want).max(), f"{name}: {which} disagrees"
        times = race(contestants, 3)
        cells = []
        for which, values in ratios.items():
            mine, other = times[f"cconv {which}"], times[f"torch {which}"]
            values.append(other[0] / mine[0])
            cells += [f"{1e3 * mine[0]:.2f}", f"{1e3 * other[0]:.2f}", f"{other[0] / mine[0]:.2f} ({other[1] / mine[1]:.2f})"]
        rows.append([name, *cells])
        data.append({"layer": name, "seconds": times})
        print(rows[-1], flush=True)
    if sys.argv[1:]:
        return
    report(
        "benchmark_backward", "Gradients of layers, one thread",
        f"Milliseconds, from the minimum of many runs; ratios of torch's time, from minima (and medians).  Geometric means: {mean(ratios['input']):.2f} "
        f"for the input, {mean(ratios['weight']):.2f} for the weight.",
        ["layer", "input: cconv", "torch", "ratio", "weight: cconv", "torch", "ratio"], rows, data,
    )


if __name__ == "__main__":
    main()
