"""Network layers beside torch, onnxruntime, openvino and ncnn, one thread: `python benchmarks/layers.py [WORD...]`.

Two races in one.  One-shot: cconv.conv2d and torch.nn.functional.conv2d are handed the weights in each
call.  Prepacked: every other peer may prepare its weights before the clock starts, and so may cconv's
engine.  Peers that are not installed are left out; results are compared before they are timed.
Writes docs/benchmark_layers.md, .json and docs/images/benchmark_layers.png, unless WORDs choose layers.
"""

from __future__ import annotations

import math
import os
import sys

os.environ["OMP_NUM_THREADS"] = "1"

from collections.abc import Callable
from functools import partial

import numpy as np
import peers
from race import draw, limits, mean, race, report

import cconv

Layer = tuple[str, str, int, int, int, tuple[int, ...], int, int, int, int, int]

# name, dtype, batch, input channels, output channels, size, kernel, stride, padding, dilation, groups
LAYERS: list[Layer] = [
    ("7x7 s2, 3 to 64, 224", "float32", 1, 3, 64, (224, 224), 7, 2, 3, 1, 1),
    ("3x3, 64 to 64, 56", "float32", 1, 64, 64, (56, 56), 3, 1, 1, 1, 1),
    ("3x3, 128 to 128, 28", "float32", 1, 128, 128, (28, 28), 3, 1, 1, 1, 1),
    ("3x3, 256 to 256, 14", "float32", 1, 256, 256, (14, 14), 3, 1, 1, 1, 1),
    ("3x3, 512 to 512, 7", "float32", 1, 512, 512, (7, 7), 3, 1, 1, 1, 1),
    ("3x3 s2, 128 to 128, 56", "float32", 1, 128, 128, (56, 56), 3, 2, 1, 1, 1),
    ("1x1, 64 to 256, 56", "float32", 1, 64, 256, (56, 56), 1, 1, 0, 1, 1),
    ("1x1, 256 to 64, 56", "float32", 1, 256, 64, (56, 56), 1, 1, 0, 1, 1),
    ("1x1, 1024 to 256, 14", "float32", 1, 1024, 256, (14, 14), 1, 1, 0, 1, 1),
    ("3x3, 64 to 64, 224", "float32", 1, 64, 64, (224, 224), 3, 1, 1, 1, 1),
    ("3x3, 3 to 64, 224", "float32", 1, 3, 64, (224, 224), 3, 1, 1, 1, 1),
    ("3x3, 512 to 512, 28", "float32", 1, 512, 512, (28, 28), 3, 1, 1, 1, 1),
    ("depthwise 3x3, 32, 112", "float32", 1, 32, 32, (112, 112), 3, 1, 1, 1, 32),
    ("depthwise 3x3 s2, 64, 112", "float32", 1, 64, 64, (112, 112), 3, 2, 1, 1, 64),
    ("depthwise 3x3, 512, 14", "float32", 1, 512, 512, (14, 14), 3, 1, 1, 1, 512),
    ("depthwise 5x5, 240, 28", "float32", 1, 240, 240, (28, 28), 5, 1, 2, 1, 240),
    ("3x3 groups 32, 128, 56", "float32", 1, 128, 128, (56, 56), 3, 1, 1, 1, 32),
    ("3x3 dilation 2, 256, 33", "float32", 1, 256, 256, (33, 33), 3, 1, 2, 2, 1),
    ("3x3, 37 to 53, 41x43", "float32", 1, 37, 53, (41, 43), 3, 1, 1, 1, 1),
    ("5x5, 1 to 6, 28, batch 64", "float32", 64, 1, 6, (28, 28), 5, 1, 0, 1, 1),
    ("5x5, 6 to 16, 14, batch 64", "float32", 64, 6, 16, (14, 14), 5, 1, 0, 1, 1),
    ("3x3, 64 to 64, 56, float64", "float64", 1, 64, 64, (56, 56), 3, 1, 1, 1, 1),
    ("1x1, 256 to 64, 56, float64", "float64", 1, 256, 64, (56, 56), 1, 1, 0, 1, 1),
    ("1-D, 9, 64 to 64, 4096", "float32", 1, 64, 64, (4096,), 9, 1, 4, 1, 1),
    ("3-D, 3x3x3, 16 to 32, 28", "float32", 1, 16, 32, (28, 28, 28), 3, 1, 1, 1, 1),
]


def channels_last(layer: cconv.Conv, pixels: np.ndarray) -> Callable[[], object]:
    """The layer; its result turned back is compared."""
    return lambda: np.moveaxis(layer(pixels), -1, 1)


def compare(layers: list[Layer], file: str, title: str) -> None:
    """Race all of them, or those that a word of the command line chooses; the report goes to docs/`file`."""
    cconv.set_workers(1)
    random = np.random.default_rng(0)
    machine = limits()
    rows, data, eager, best, last = [], [], [], [], []
    for name, kind, n, c, o, size, k, s, p, d, g in layers:
        if sys.argv[1:] and not any(word in name for word in sys.argv[1:]):
            continue
        dtype = np.dtype(kind)
        x = random.standard_normal((n, c, *size)).astype(dtype)
        w, b = random.standard_normal((o, c // g, *[k] * len(size))).astype(dtype), random.standard_normal(o).astype(dtype)
        conv = {1: cconv.conv1d, 2: cconv.conv2d, 3: cconv.conv3d}[len(size)]
        y = conv(x, w, b, s, p, d, g)
        contestants = {
            "cconv": partial(cconv.Conv(w, b, s, p, d, g), x),
            "cconv relu": partial(cconv.Conv(w, b, s, p, d, g, activation="relu"), x),
            "cconv one-shot": lambda: conv(x, w, b, s, p, d, g),
            **peers.contestants(x, w, b, s, p, d, g),
        }
        if "torch channels_last" in contestants:
            pixels = np.ascontiguousarray(np.moveaxis(x, 1, -1))
            contestants["cconv channels_last"] = channels_last(cconv.Conv(w, b, s, p, d, g, layout="channels_last"), pixels)
            contestants["cconv channels_last relu"] = channels_last(cconv.Conv(w, b, s, p, d, g, layout="channels_last", activation="relu"), pixels)
        want = conv(x, w, b, s, p, d, g, algorithm="loop")
        for peer, run in list(contestants.items()):
            result = np.asarray(run()).reshape(want.shape)
            if np.abs(result - (np.maximum(want, 0) if "relu" in peer else want)).max() > 1e-3 * np.abs(want).max():
                print(f"{name}: {peer} disagrees and is left out")
                del contestants[peer]
        times = race(contestants, 0.35 * len(contestants))
        work = 2 * y.size * w[0].size / 1e9
        rivals = [peer for peer in times if not peer.startswith("cconv")]
        ratio = {i: min(times[r][i] for r in rivals) / times["cconv"][i] for i in (0, 1)}
        alone = times["torch"][0] / times["cconv one-shot"][0]
        nearest = max(work / machine[kind], (x.nbytes + w.nbytes + y.nbytes) / 1e9 / machine["GB/s"])
        beside = times["torch channels_last"][0] / times["cconv channels_last"][0] if "cconv channels_last" in times else math.nan
        relu = [f"{times[f'{way} relu'][0] / times[way][0]:.2f}" for way in ("cconv", "cconv channels_last") if way in times]
        last += [] if math.isnan(beside) else [beside]
        eager.append(alone)
        best.append(ratio[0])
        rows.append([name, *(f"{work / times[peer][0]:.0f}" if peer in times else "" for peer in ("cconv", "cconv one-shot", *peers.NAMES)),
                     f"{alone:.2f}", "" if math.isnan(beside) else f"{beside:.2f}", f"{ratio[0]:.2f} ({ratio[1]:.2f})", min(rivals, key=lambda r: times[r][0]),
                     f"{100 * nearest / times['cconv'][0]:.0f} %", ", ".join(relu)])
        data.append({"layer": name, "seconds": times})
        print(rows[-1], flush=True)
    if sys.argv[1:]:
        return
    report(
        file, title,
        f"GFLOP/s counted as direct, from the minimum of many runs; `{machine['float32']:.0f}` float32 multiply-adds in registers "
        f"and {machine['GB/s']:.0f} GB/s of copying are this core's limits.  \"one-shot\" is handed the weights in each call, as torch is; "
        f"the others prepare them before, cconv as `Conv`.  \"with relu\": the time with `activation=\"relu\"`, of the time without it, channels "
        f"first, channels last.  Geometric means: {mean(eager):.2f} of torch one-shot, {mean(last):.2f} of torch's "
        f"channels_last, {mean(best):.2f} of the best peer.",
        ["layer", "cconv", "one-shot", *peers.NAMES, "one-shot of torch", "channels_last of torch's", "of the best (median)", "the best", "of the limit",
         "with relu"],
        rows, {"limits": machine, "rows": data},
    )
    draw(file, "cconv's speed, of its peers'", [row[0] for row in rows],
         {"one-shot, of torch": eager, "prepacked, of the best peer": best})


if __name__ == "__main__":
    compare(LAYERS, "benchmark_layers", "Layers, one thread")
