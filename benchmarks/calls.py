"""What a call costs: one channel, 3x3 over 8x8, one thread, beside those peers that are installed: `python benchmarks/calls.py`.

Nearly all of it is checking and handing over.  Microseconds, minimum and median of many rounds of 200 calls.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

from functools import partial

import numpy as np
import peers
from race import race

import cconv

CALLS = 200


def main() -> None:
    cconv.set_workers(1)
    random = np.random.default_rng(0)
    x, w, b = (random.standard_normal(shape).astype(np.float32) for shape in ((1, 1, 8, 8), (1, 1, 3, 3), 1))
    whole = (random.random((8, 8)) * 255).astype(np.uint8), np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]])
    contestants = {
        "cconv.Conv": partial(cconv.Conv(w, b), x),
        "cconv.conv2d": lambda: cconv.conv2d(x, w, b),
        "cconv.correlate": lambda: cconv.correlate(x[0, 0], w[0, 0]),
        "cconv.correlate, uint8, integer kernel": lambda: cconv.correlate(*whole, dtype=np.uint8),
        **peers.contestants(x, w, b, 1, 0, 1, 1),
    }

    def often(run: peers.Run) -> None:
        for _ in range(CALLS):
            run()

    times = race({name: partial(often, run) for name, run in contestants.items()}, 12)
    for name, (least, middle) in sorted(times.items(), key=lambda item: item[1]):
        print(f"{name:40} {1e6 * least / CALLS:7.2f} ({1e6 * middle / CALLS:.2f})")


if __name__ == "__main__":
    main()
