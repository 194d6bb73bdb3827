"""What all benchmarks share: contestants run in turn in one process, and the limits of the machine.

A ratio of two contestants in one run means something on a shared machine, a time alone does not.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

DOCS = Path(__file__).resolve().parents[1] / "docs"


def race(contestants: dict[str, Callable[[], object]], seconds: float = 1.5) -> dict[str, tuple[float, float]]:
    """(minimum, median) in seconds of each contestant, run in turn for so long in all."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or min(map(len, times.values())) < 5:
        for name, run in contestants.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return {name: (min(t), statistics.median(t)) for name, t in times.items()}


def limits() -> dict[str, float]:
    """GFLOP/s of a float32 matrix product (near the peak of multiply-add), GB/s of a copy (read and written)."""
    a, b = np.ones((2, 1024, 1024), np.float32)
    out = np.empty_like(a)
    source = np.ones(2**25)
    target = np.empty_like(source)
    times = race({"product": lambda: np.matmul(a, b, out=out), "copy": lambda: np.copyto(target, source)}, 3)
    return {"GFLOP/s": 2 * 1024**3 / times["product"][0] / 1e9, "GB/s": 2 * source.nbytes / times["copy"][0] / 1e9}


def report(name: str, title: str, head: list[str], rows: list[list[str]], data: object) -> None:
    """Print a table, and write it to docs/<name>.md and .json."""
    lines = [f"# {title}", "", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    text = "\n".join(lines) + "\n"
    print(text)
    (DOCS / f"{name}.md").write_text(text, encoding="utf-8")
    (DOCS / f"{name}.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
