"""How good the choice of the algorithm is: `python benchmarks/choice.py [SHAPES [SEED]]`.

Draws random layers and pictures, runs each by every algorithm that can serve, one thread, and compares the one that
"auto" chooses with the fastest of those that it may (winograd from 16 channels up).  The goal: within 10 % of it for 95 % of the shapes.
"""

from __future__ import annotations

import os
import sys

os.environ["OMP_NUM_THREADS"] = "1"

import time
from collections import Counter

import numpy as np

import cconv

WAYS = ("rows", "taps", "winograd")


def draw(rng: np.random.Generator) -> tuple[tuple, dict]:
    """Arguments of conv2d: like the layers of known networks in size, of any number of channels."""
    def number(low: int, high: int) -> int:
        return int(np.exp(rng.uniform(np.log(low), np.log(high + 1))))

    kind = rng.choice(["layer", "layer", "3x3", "3x3", "3x3", "depthwise", "groups", "picture"])
    k = 3 if kind == "3x3" else int(rng.choice([1, 2, 3, 3, 3, 5, 7]))
    channels, outputs, groups = number(1, 300), number(1, 300), 1
    size = (number(4, 120), number(4, 120))
    options = {"stride": 1 if kind == "3x3" else int(rng.choice([1, 1, 2])), "dilation": int(rng.choice([1, 1, 1, 2, 3]))}
    if kind == "depthwise":
        groups = outputs = channels
    elif kind == "groups":
        groups = int(rng.choice([2, 4, 8]))
        channels, outputs = (max(1, n // groups) * groups for n in (channels, outputs))
    elif kind == "picture":
        channels, outputs, size = 1, 1, (number(30, 1500), number(30, 1500))
    reach = options["dilation"] * (k - 1)
    options |= {"groups": groups, "padding": min(reach // 2 + int(rng.integers(2)), 8)}
    size = tuple(max(n, reach + 1) for n in size)
    batch = number(1, 4)
    x = rng.standard_normal((batch, channels, *size)).astype(np.float32)
    return (x, rng.standard_normal((outputs, channels // groups, k, k)).astype(np.float32)), options


def main() -> None:
    shapes = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    rng = np.random.default_rng(int(sys.argv[2]) if len(sys.argv) > 2 else None)
    good, losses, ways = 0, [], Counter()
    for _ in range(shapes):
        arrays, options = draw(rng)
        chosen = cconv.explain(*arrays, **options).algorithm
        calls = {}
        for way in WAYS[: 3 if min(arrays[0].shape[1], len(arrays[1])) // options["groups"] >= 16 else 2]:
            try:
                cconv.explain(*arrays, algorithm=way, **options)
            except ValueError:
                continue
            calls[way] = lambda out, way=way: cconv.conv2d(*arrays, algorithm=way, workers=1, out=out, **options)  # noqa: B023
        out = calls[chosen](None)
        best = dict.fromkeys(calls, np.inf)
        end = time.perf_counter() + 0.3
        rounds = 0
        while rounds < 3 or (time.perf_counter() < end and rounds < 50):
            for way, call in calls.items():
                if rounds and best[way] > 3 * best[chosen]:
                    continue
                start = time.perf_counter()
                call(out)
                best[way] = min(best[way], time.perf_counter() - start)
            rounds += 1
        fastest = min(best, key=best.__getitem__)
        ratio = best[chosen] / best[fastest]
        ways[fastest] += 1
        good += ratio <= 1.1
        if ratio > 1.1:
            losses.append((ratio, f"{arrays[0].shape} {arrays[1].shape} {options}: {chosen} takes {ratio:.2f} times as long as {fastest}"))
    for _, line in sorted(losses, reverse=True):
        print(line)
    print(f"{good} of {shapes} shapes within 10 % of the fastest ({100 * good / shapes:.1f} %); fastest: {dict(ways)}")


if __name__ == "__main__":
    main()
