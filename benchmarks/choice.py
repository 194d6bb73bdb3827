"""How good the choice of the algorithm is: `python benchmarks/choice.py [SHAPES [SEED]]`.

Draws random layers and pictures, runs each by every algorithm that can serve, one thread, and compares the one that is chosen with
the fastest of those that may be: for layers by "auto" (winograd from 16 output channels up), for pictures, whose kernels are random,
smooth, flat or of small whole numbers, by "fast" (fft, too).  The goal: within 10 % of it for 95 % of the shapes.
"""

from __future__ import annotations

import os
import sys

os.environ["OMP_NUM_THREADS"] = "1"

import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import cconv

Case = tuple[Callable[..., Any], tuple[np.ndarray, np.ndarray], dict[str, Any], tuple[str, ...]]
LAYER_WAYS, PICTURE_WAYS = ("rows", "taps", "winograd"), ("rows", "winograd", "separable", "box", "integer", "fft")


def number(rng: np.random.Generator, low: int, high: int) -> int:
    """From low to high, small ones as often as large ones."""
    return int(np.exp(rng.uniform(np.log(low), np.log(high + 1))))


def draw_layer(rng: np.random.Generator, kind: str) -> Case:
    """Like the layers of known networks in size, of any number of channels."""
    k = 3 if kind == "3x3" else int(rng.choice([1, 2, 3, 3, 3, 5, 7]))
    channels, outputs, groups = number(rng, 1, 300), number(rng, 1, 300), 1
    size = (number(rng, 4, 120), number(rng, 4, 120))
    options = {"stride": 1 if kind == "3x3" else int(rng.choice([1, 1, 2])), "dilation": int(rng.choice([1, 1, 1, 2, 3]))}
    if kind == "depthwise":
        groups = outputs = channels
    elif kind == "groups":
        groups = int(rng.choice([2, 4, 8]))
        channels, outputs = (max(1, n // groups) * groups for n in (channels, outputs))
    reach = options["dilation"] * (k - 1)
    options |= {"groups": groups, "padding": min(reach // 2 + int(rng.integers(2)), 8)}
    size = tuple(max(n, reach + 1) for n in size)
    x = rng.standard_normal((number(rng, 1, 4), channels, *size)).astype(np.float32)
    w = rng.standard_normal((outputs, channels // groups, k, k)).astype(np.float32)
    ways = LAYER_WAYS if outputs // groups >= 16 else LAYER_WAYS[:2]
    return cconv.conv2d, (x, w), options, ways


def draw_picture(rng: np.random.Generator) -> Case:
    """One kernel of up to 51x51, over floats or 8 bits."""
    k = number(rng, 2, 51)
    kernel = {
        "random": lambda: rng.standard_normal((k, k)),
        "smooth": lambda: cconv.kernels.gaussian(k, k / 5),
        "flat": lambda: cconv.kernels.box(k),
        "whole": lambda: rng.integers(-2, 5, (min(k, 9), min(k, 9))),
    }[rng.choice(["random", "random", "smooth", "flat", "whole"])]()
    size = tuple(max(k, number(rng, 30, 1500)) for _ in range(2))
    image = rng.integers(0, 256, size).astype(np.uint8) if rng.integers(2) else rng.standard_normal(size).astype(np.float32)
    options = {"padding": "same", "padding_mode": str(rng.choice(["zeros", "edge", "reflect"])), "dtype": image.dtype}
    return cconv.correlate, (image, kernel), options, PICTURE_WAYS


def measure(case: Case) -> tuple[str, dict[str, float]]:
    """Which algorithm is chosen, and the least time of each that serves."""
    function, arrays, options, ways = case
    pictures = ways is PICTURE_WAYS
    chosen = cconv.explain(function, *arrays, algorithm="fast" if pictures else "auto", **options).algorithm
    calls = {}
    for way in ways:
        try:
            cconv.explain(function, *arrays, algorithm=way, **options)
        except ValueError:
            continue
        calls[way] = partial(function, *arrays, algorithm=way, workers=1, **options)
    out = calls[chosen]()
    best = dict.fromkeys(calls, np.inf)
    end = time.perf_counter() + 0.3
    rounds = 0
    while rounds < 3 or (time.perf_counter() < end and rounds < 50):
        for way, call in calls.items():
            if rounds and best[way] > 3 * best[chosen]:
                continue
            start = time.perf_counter()
            call(out=out)
            best[way] = min(best[way], time.perf_counter() - start)
        rounds += 1
    return chosen, best


def main() -> None:
    shapes = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    rng = np.random.default_rng(int(sys.argv[2]) if len(sys.argv) > 2 else None)
    good, losses, ways = 0, [], Counter()
    for _ in range(shapes):
        kind = rng.choice(["layer", "layer", "3x3", "3x3", "depthwise", "groups", "picture", "picture"])
        case = draw_picture(rng) if kind == "picture" else draw_layer(rng, kind)
        chosen, best = measure(case)
        fastest = min(best, key=best.__getitem__)
        ratio = best[chosen] / best[fastest]
        ways[fastest] += 1
        good += ratio <= 1.1
        if ratio > 1.1:
            x, w = case[1]
            losses.append((ratio, f"{x.dtype} {x.shape} {w.shape} {case[2]}: {chosen} takes {ratio:.2f} times as long as {fastest}"))
    for _, line in sorted(losses, reverse=True):
        print(line)
    print(f"{good} of {shapes} shapes within 10 % of the fastest ({100 * good / shapes:.1f} %); fastest: {dict(ways)}")


if __name__ == "__main__":
    main()
