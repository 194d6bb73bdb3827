"""The work of one job: by the engine or the loop, on some threads.

The engine (engine.pyx, core/) serves every float sum.  The loop serves exact sums in int64, and
weights that are not finite over a border of zeros, which it skips where the engine multiplies.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from . import engine, loop, workers as pool
from .dtypes import F64, store
from .geometry import shown
from .job import Job, Part, parts_of, spans

ALGORITHMS = ("auto", "direct", "fast", "loop", "rows", "taps", "winograd", "separable", "fft", "box",
              "integer")
THREADING_PAYS = 2**22  # multiplications, or about a tenth of a millisecond
PACKING_PAYS = 2**20  # bytes of weights in the order of their use
PATIENCE = 2**31  # multiplications between two looks for Ctrl-C


def needs_loop(job: Job) -> bool:
    """Whether the loop serves whatever the weights are."""
    if job.compute.kind == "i" and job.algorithm not in ("auto", "direct", "fast", "loop"):
        raise ValueError(
            f"algorithm={job.algorithm!r} cannot serve: these sums of integers need int64; pass 'auto' or 'loop'"
        )
    return job.algorithm == "loop" or job.compute.kind == "i"


def run(job: Job) -> None:
    """Fill y."""
    if job.x.shape[0] == 0:
        return
    if needs_loop(job):
        _run_loop(job)
    elif not _run_engine(job):
        if job.algorithm not in ("auto", "direct", "fast"):
            raise ValueError(
                f"algorithm={job.algorithm!r} cannot serve: weights that are not finite must not be multiplied "
                f"by the padding's zeros; pass 'auto' or 'loop'"
            )
        _run_loop(job)


def forced_isa() -> str | None:
    """The instruction set that CCONV_ISA in the environment asks for."""
    isa = os.environ.get("CCONV_ISA") or None
    if isa is not None and isa not in engine.instruction_sets():
        known = ", ".join(engine.instruction_sets())
        raise ValueError(f"CCONV_ISA={shown(isa)} in the environment is not to be had here; want one of {known}")
    return isa


class EngineJob:
    """A job as the engine takes it: which arrays it can use as they lie, and a plan for each part."""

    def __init__(self, job: Job, weights: str = "either") -> None:
        self.job, self.weights = job, weights
        self.readable = as_it_lies(job.x) and job.x.dtype in engine.TYPES
        self.direct = (
            as_it_lies(job.y) and job.y.dtype == job.wanted and job.y.dtype in engine.STORED
            and (job.y.dtype.kind in "iu" or job.y.dtype == job.compute)
        )
        self.w = lift(job.w if as_it_lies(job.w) else job.w.astype(job.compute))
        whole = self.readable and self.direct
        self.pixels = whole and job.geometry.stride[-1] == 1 and _interleaved(job.x) and _interleaved(job.y)
        self.algorithm, self.tile = job.algorithm, 0
        self.steps: tuple[int, int] | None = None
        if self.pixels and job.algorithm in ("fast", "fft"):  # whose tiles, and so the bits, would be others
            self.pixels = False
            first = next(self.parts())
            self.pixels = self.plan(first).algorithm != "fft"
        if not whole:  # the parts go the way that the whole would, so that they have the same bits
            x, y = (np.broadcast_to(np.zeros((), job.compute), a.shape) for a in (job.x, job.y))
            plan = self.plan(Part(x, y, job.geometry, (0,) * len(job.geometry.stride)))
            self.algorithm, self.tile, self.steps = plan.algorithm, plan.tile, plan.steps

    def parts(self) -> Iterator[Part]:
        """The job in parts, for each of which one `plan` is made."""
        return parts_of(self.job, self.readable, self.direct, self.steps)

    def plan(self, part: Part) -> engine.Plan:
        """The plan of a part, for x and y as the engine can use them."""
        job, (x, y, geometry, start), pixel = self.job, part, 1
        missing, dilation = 3 - len(start), geometry.dilation
        befores = tuple(pads[0] - first * s for pads, first, s in zip(geometry.pads, start, geometry.stride, strict=True))
        seen = spans(y.shape[2:], job.w.shape[2:], geometry.stride, dilation)
        pads = tuple((before, span - n - before) for before, span, n in zip(befores, seen, x.shape[2:], strict=True))
        if self.pixels:  # colours side by side are one wide picture whose taps lie a pixel apart
            pixel = len(x)
            x, y = (np.moveaxis(a[:, 0], 0, -1).reshape(1, 1, *a.shape[2:-1], -1) for a in (x, y))
            dilation = (*dilation[:-1], dilation[-1] * pixel)
            pads = (*pads[:-1], (pads[-1][0] * pixel, pads[-1][1] * pixel))
        low, high = job.limits if job.limits and self.direct else (None, None)

        def make(x: np.ndarray, w: np.ndarray, y: np.ndarray, geometry: tuple[Any, Any, Any], algorithm: str) -> engine.Plan:
            return engine.Plan(
                x, w, y, job.compute, *geometry, job.groups, job.geometry.mode, job.value, job.divisor or 1.0,
                -np.inf if low is None else low, np.inf if high is None else high, algorithm, forced_isa(), pixel,
                weights=self.weights, tile=self.tile, exact=job.x.dtype.kind in "biu" and job.w.dtype.kind in "biu",
            )

        axes = ((1,) * missing + geometry.stride, ((0, 0),) * missing + pads, (1,) * missing + dilation)
        arrays = lift(x), self.w, lift(y)
        plan = make(*arrays, axes, self.algorithm)
        free = all(a.shape[2] == 1 for a in arrays) and axes[1][0] == (0, 0)
        if plan.algorithm == "taps" and len(x) > 1 and y.shape[-1] == 1 and free:
            # A column of results, or one, for each sample: the samples side by side are the columns of one picture, so that
            # vectors are full and weights are read once.  The axes H and W become D and H; no sum changes.
            turned = (arrays[0].transpose(2, 1, 3, 4, 0), self.w.transpose(0, 1, 3, 4, 2), arrays[2].transpose(2, 1, 3, 4, 0))
            beside = tuple((*axis[1:], none) for axis, none in zip(axes, (1, (0, 0), 1), strict=True))
            plan = make(*turned, beside, "taps")
        return plan


def _run_engine(job: Job) -> bool:
    """By the C core; False where weights are not finite and zeros are padded."""
    lies = EngineJob(job)
    bias = None if job.bias is None else job.bias.astype(job.compute)
    try:
        for part in lies.parts():
            sums = part.y if lies.direct else np.empty(part.y.shape, job.compute)
            run_plan(lies.plan(part._replace(y=sums)), part.x, lies.w, bias, sums, job.threads)
            if not lies.direct:
                store(sums if job.limits is None else np.clip(sums, *job.limits), job.wanted, part.y)
    except engine.NotFinite:
        return False
    return True


def engine_alone(job: Job, weights: str = "either") -> EngineJob | None:
    """The job for the engine, if one plan serves all that have other values in the same arrays."""
    if len(job.x) == 0 or needs_loop(job):
        return None
    lies = EngineJob(job, weights)
    return lies if lies.readable and lies.direct else None


def plan_of(job: Job) -> engine.Plan | None:
    """The plan of a job, if that is all that one with other values of the same arrays needs."""
    if job.bias is not None and not (as_it_lies(job.bias) and job.bias.dtype == job.compute and job.bias.flags.c_contiguous):
        return None
    lies = engine_alone(job)
    return lies.plan(next(lies.parts())) if lies is not None and as_it_lies(job.w) else None


def threads_for(plan: engine.Plan, workers: Any) -> int:
    """How many threads a plan may use; asking takes longer than a small one."""
    return 1 if workers is None and plan.work < THREADING_PAYS else pool.resolve(workers)


def run_plan(
    plan: engine.Plan, x: np.ndarray, w: np.ndarray, bias: np.ndarray | None, y: np.ndarray, threads: int
) -> None:
    """Run all tasks of a plan; engine.NotFinite where weights are not and zeros are padded."""
    if not plan.prepacked:
        share(plan, x, w, bias, y, threads)
        return
    packed = plan.room()
    pack(plan, w, packed, threads)
    share(plan, x, packed, bias, y, threads)
    engine.give_back(packed)


def pack(plan: engine.Plan, w: np.ndarray, packed: np.ndarray, threads: int) -> None:
    """The weights in the order of their use; engine.NotFinite as `run_plan`."""
    if threads == 1 or plan.packed_bytes < PACKING_PAYS:
        plan.pack_part(0, plan.packs, w, packed)
    else:
        plan.share_packing(w, packed, threads)


def share(
    plan: engine.Plan, x: np.ndarray, weights: np.ndarray, bias: np.ndarray | None, y: np.ndarray, threads: int
) -> None:
    """All tasks of a plan, in ranges that threads take one after the other."""
    work = plan.work
    if threads == 1 and work < PATIENCE or work < THREADING_PAYS:
        plan.run(0, plan.tasks, x, weights, bias, y)
    else:
        plan.share(x, weights, bias, y, threads, work / PATIENCE)


def _interleaved(array: np.ndarray) -> bool:
    """Whether the samples of (N, 1, ..., W) are the channels of pixels that lie side by side."""
    n, size = array.shape[0], array.itemsize
    return n > 1 and array.shape[1] == 1 and array.strides[0] == size and array.strides[-1] == n * size


def _run_loop(job: Job) -> None:
    """By the loop; it takes arrays of the sums' dtype only."""
    late = job.divisor is not None
    bias = np.zeros(job.w.shape[0], job.compute) if job.bias is None or late else job.bias.astype(job.compute)
    w = lift(job.w.astype(job.compute, copy=False))
    readable = as_it_lies(job.x) and job.x.dtype == job.compute
    direct = as_it_lies(job.y) and job.y.dtype == job.wanted == job.compute and not late and job.limits is None
    for part in parts_of(job, readable, direct):
        sums = part.y if direct else np.empty(part.y.shape, job.compute)
        _share_loop(part._replace(y=sums), w, bias, job)
        if not direct:
            store(_finish(sums, job), job.wanted, part.y)


def _finish(sums: np.ndarray, job: Job) -> np.ndarray:
    """What store does besides rounding: the divisor, the bias after it, the activation."""
    if job.divisor is not None:  # in float64 for integers, so that no quotient becomes a half that it is not
        sums = np.divide(sums, job.divisor, dtype=sums.dtype if job.wanted.kind == "f" else F64)
        if job.bias is not None:
            sums += job.bias.reshape(-1, *[1] * (sums.ndim - 2)).astype(sums.dtype)
    return sums if job.limits is None else np.asarray(np.clip(sums, *job.limits))


def _share_loop(whole: Part, w: np.ndarray, bias: np.ndarray, job: Job) -> None:
    """The loop over 5-axis arrays, cut once more where threads pay."""
    x, y, geometry = lift(whole.x), lift(whole.y), whole.geometry
    missing = 3 - len(geometry.stride)
    stride = (1,) * missing + geometry.stride
    dilation = (1,) * missing + geometry.dilation
    pads = ((0, 0),) * missing + geometry.pads

    def part(axis: int, first: int, last: int) -> None:
        start = [0] * missing + list(whole.start)
        cut: list[Any] = [slice(None)] * 5
        cut[axis] = slice(first, last)
        if axis >= 2:
            start[axis - 2] += first
        loop.correlate(x[first:last] if axis == 0 else x, w, bias, y[tuple(cut)], stride, pads, dilation,
                       job.groups, geometry.mode, job.value, start)

    work = 8.0 * y.size * w[0].size  # the loop is slower than the engine by about so much
    threads = job.threads if work >= THREADING_PAYS else 1
    axis = max((0, 2, 3, 4), key=lambda a: engine.pieces(y.shape[a], threads, work / PATIENCE))
    size, count = y.shape[axis], engine.pieces(y.shape[axis], threads, work / PATIENCE)
    ends = itertools.pairwise(i * size // count for i in range(count + 1))
    pool.run([partial(part, axis, *pair) for pair in ends], threads)


def as_it_lies(array: np.ndarray) -> bool:
    """Whether compiled code can read or write `array` in place: aligned and native."""
    return bool(array.dtype.isnative and array.flags.aligned)


def lift(array: np.ndarray) -> np.ndarray:
    """(A, B, spatial...) as (A, B, D, H, W): missing axes have length 1."""
    return array[(slice(None), slice(None)) + (None,) * (5 - array.ndim)]
