"""What all benchmarks share: contestants run in turn in one process, and the limits of the machine.

A ratio of two contestants in one run means something on a shared machine, a time alone does not.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import random
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

DOCS = Path(__file__).resolve().parents[1] / "docs"


def race(contestants: dict[str, Callable[[], object]], seconds: float = 1.5) -> dict[str, tuple[float, float]]:
    """(minimum, median) in seconds of each contestant, run in turn for so long in all.

    Each round has an order of its own: whoever follows one that reads the same array finds it in the cache.
    """
    times: dict[str, list[float]] = {name: [] for name in contestants}
    order, turns = list(contestants.items()), random.Random(0)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or min(map(len, times.values())) < 5:
        turns.shuffle(order)
        for name, run in order:
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return {name: (min(t), statistics.median(t)) for name, t in times.items()}


def limits() -> dict[str, float]:
    """GFLOP/s of multiply-adds in registers, of each dtype, and GB/s of a copy (read and written), of one core.

    Without a compiler a float32 matrix product stands for the first.
    """
    source = np.ones(2**25)
    target = np.empty_like(source)
    moved = race({"copy": lambda: np.copyto(target, source)}, 2)["copy"][0]
    return {**_peaks(), "GB/s": 2 * source.nbytes / moved / 1e9}


def _peaks() -> dict[str, float]:
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang") or shutil.which("cc")
    if compiler:
        with tempfile.TemporaryDirectory() as folder:
            library = Path(folder) / "peak.so"
            source = Path(__file__).with_name("peak.c")
            subprocess.run([compiler, "-O2", "-march=native", "-ffp-contract=fast", "-fPIC", "-shared", source, "-o", library], check=True)
            loaded = ctypes.CDLL(str(library))
            peaks = {}
            for dtype in ("float32", "float64"):
                run = getattr(loaded, f"peak_{dtype}")
                run.restype, run.argtypes = ctypes.c_double, [ctypes.c_int64, ctypes.c_double]
                peaks[dtype] = 2 * run(200_000, 0) / race({"peak": lambda run=run: run(200_000, 0)}, 0.5)["peak"][0] / 1e9
            return peaks
    a, b = np.ones((2, 1024, 1024), np.float32)
    best = race({"product": lambda: np.matmul(a, b)}, 2)["product"][0]
    return {"float32": 2 * 1024**3 / best / 1e9, "float64": 1024**3 / best / 1e9}


def mean(ratios: Iterable[float]) -> float:
    """The geometric mean."""
    ratios = list(ratios)
    return math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else math.nan


def report(name: str, title: str, text: str, head: list[str], rows: list[list[str]], data: object) -> None:
    """Print a table, and write it to docs/<name>.md and .json."""
    lines = [f"# {title}", "", text, "", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    written = "\n".join(lines) + "\n"
    print(written)
    (DOCS / f"{name}.md").write_text(written, encoding="utf-8")
    (DOCS / f"{name}.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def draw(name: str, title: str, labels: list[str], ratios: dict[str, list[float]]) -> None:
    """The ratios as bars, logarithmic, to docs/images/<name>.png; 1 is the peer's speed."""
    try:
        import matplotlib
    except ModuleNotFoundError:
        print("no picture of the ratios: matplotlib is not installed")
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 1.2 + 0.32 * len(labels)), constrained_layout=True)
    height = 0.8 / len(ratios)
    for i, (what, values) in enumerate(ratios.items()):
        bars = axes.barh([j + i * height for j in range(len(labels))], values, height, label=what)
        axes.bar_label(bars, [f"{v:.2f}" for v in values], padding=2, fontsize=7)
    axes.set_yticks([j + 0.4 - height / 2 for j in range(len(labels))], labels, fontsize=8)
    axes.invert_yaxis()
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.axvline(1, color="black", linewidth=1)
    axes.margins(x=0.12)
    axes.set_title(title)
    axes.legend(loc="lower right", fontsize=8)
    figure.savefig(DOCS / "images" / f"{name}.png", dpi=100)
    pyplot.close(figure)
