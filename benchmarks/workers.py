"""Network layers on all cores, of one: `python benchmarks/workers.py [WORD...]`.

Each in a window of its own, in turn: one worker; as many as there are cores; as many callers, each of
which has a picture and a worker to itself, which is what the machine can do; torch with as many threads.
A pause before each window, in which threads fall asleep: its first call is a figure of its own.
Writes docs/benchmark_workers.md, .json and docs/images/benchmark_workers.png, unless WORDs choose layers.
"""

from __future__ import annotations

import random
import statistics
import sys
import threading
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from layers import LAYERS
from race import draw, mean, report

import cconv

ROUNDS, WINDOW, PAUSE = 24, 0.05, 0.02  # seconds
LEAST = 2**22  # multiplications for which threads are woken


def window(run: Callable[[], object]) -> list[float]:
    """Seconds of each call."""
    times: list[float] = []
    end = time.perf_counter() + WINDOW
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return times


def together(runs: list[Callable[[], object]]) -> list[float]:
    """The same of several callers at once."""
    times: list[list[float]] = [[] for _ in runs]
    threads = [threading.Thread(target=lambda i=i: times[i].extend(window(runs[i]))) for i in range(1, len(runs))]
    for thread in threads:
        thread.start()
    times[0] += window(runs[0])
    for thread in threads:
        thread.join()
    return [t for each in times for t in each]


def torch_layer(x: np.ndarray, w: np.ndarray, b: np.ndarray, s: int, p: int, d: int, g: int) -> Callable[[int], Callable[[], object]] | None:
    """A layer of torch for so many threads; None where it is not installed."""
    try:
        import torch
    except ModuleNotFoundError:
        return None
    conv = {1: torch.conv1d, 2: torch.conv2d, 3: torch.conv3d}[x.ndim - 2]
    arrays = [torch.from_numpy(a) for a in (x, w, b)]

    def with_threads(threads: int) -> Callable[[], object]:
        def run() -> object:
            torch.set_num_threads(threads)
            return conv(*arrays, s, p, d, g)

        return run

    return with_threads


def main() -> None:
    cores = cconv.get_workers()
    if cores == 1:
        raise SystemExit("one core: nothing to compare")
    rows, data, gains, limits, beside = [], [], [], [], []
    numbers = np.random.default_rng(0)
    for name, kind, n, c, o, size, k, s, p, d, g in LAYERS:
        if sys.argv[1:] and not any(word in name for word in sys.argv[1:]):
            continue
        xs = [numbers.standard_normal((n, c, *size)).astype(kind) for _ in range(cores)]
        w, b = numbers.standard_normal((o, c // g, *[k] * len(size))).astype(kind), numbers.standard_normal(o).astype(kind)
        layer = cconv.Conv(w, b, s, p, d, g)
        ys = [layer(x, workers=1) for x in xs]
        if ys[0].size * w[0].size < LEAST:
            continue
        assert (layer(xs[0], workers=cores) == ys[0]).all()
        torch = torch_layer(xs[0], w, b, s, p, d, g)
        contestants = {
            "one": partial(window, partial(layer, xs[0], out=ys[0], workers=1)),
            "all": partial(window, partial(layer, xs[0], out=ys[0], workers=cores)),
            "callers": partial(together, [partial(layer, x, out=y, workers=1) for x, y in zip(xs, ys)]),
        }
        if torch:
            contestants |= {"torch, one": partial(window, torch(1)), "torch, all": partial(window, torch(cores))}
        first: dict[str, list[float]] = {what: [] for what in contestants}
        times: dict[str, list[float]] = {what: [] for what in contestants}
        order, turns = list(contestants.items()), random.Random(0)
        for _ in range(ROUNDS):
            turns.shuffle(order)
            for what, run in order:
                time.sleep(PAUSE)
                took = run()
                first[what].append(took[0])
                times[what] += took[1:]
        least = {what: min(t) for what, t in times.items()}
        usual = {what: statistics.median(t) for what, t in times.items()}
        woken = {what: statistics.median(t) for what, t in first.items()}
        gains.append(least["one"] / least["all"])
        limits.append(cores * least["one"] / least["callers"])
        rows.append([
            name, f"{1e3 * least['one']:.2f} ms", f"{gains[-1]:.2f} ({usual['one'] / usual['all']:.2f})",
            f"{limits[-1]:.2f} ({cores * usual['one'] / usual['callers']:.2f})", f"{woken['one'] / woken['all']:.2f}",
        ])
        if torch:
            beside.append(least["torch, all"] / least["all"])
            rows[-1] += [f"{least['torch, one'] / least['torch, all']:.2f} ({usual['torch, one'] / usual['torch, all']:.2f})",
                         f"{beside[-1]:.2f} ({usual['torch, all'] / usual['all']:.2f})", f"{woken['torch, all'] / woken['all']:.2f}"]
        data.append({"layer": name, "minimum": least, "median": usual, "first call, median": woken})
        print(rows[-1], flush=True)
    if sys.argv[1:]:
        return
    head = ["layer", "one worker", f"{cores} workers", f"{cores} callers", "first call"]
    text = (f"How many times as fast as one worker, from the minimum of many calls, in brackets the median: {cores} workers, geometric mean "
            f"{mean(gains):.2f}; {cores} callers that share nothing but the machine, {mean(limits):.2f}.  \"first call\": after a pause in which threads fall asleep, medians.")
    if beside:
        head += ["torch's threads", "of torch", "first call, of torch"]
        text += f"  Beside torch with as many threads, weights handed over in each call: {mean(beside):.2f}."
    report("benchmark_workers", f"Layers, {cores} cores of one", text, head, rows, {"rows": data})
    draw("benchmark_workers", "times as fast as one worker", [row[0] for row in rows], {f"{cores} workers": gains, f"{cores} callers": limits})


if __name__ == "__main__":
    main()
