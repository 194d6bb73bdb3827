"""What a call comes down to, and the parts it is cut into where arrays must be converted."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from . import loop

CHUNK = 2**18  # values converted at a time, where an array is not as the engine or the loop takes it


class Geometry(NamedTuple):
    """Everything about a call that is a number per spatial axis, and its border."""

    stride: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    sizes: tuple[int, ...]  # of the result
    mode: str
    value: float | int


class Job(NamedTuple):
    """One convolution: x (N, C, spatial...), w (O, C/groups, taps...), bias (O,), y (N, O, spatial...)."""

    x: np.ndarray
    w: np.ndarray
    bias: np.ndarray | None
    y: np.ndarray
    geometry: Geometry
    groups: int
    value: float | int  # of the border, as a number of `compute`
    compute: np.dtype  # of the sums
    wanted: np.dtype  # of the result
    divisor: float | None  # of the sums, before the bias
    limits: tuple[float | None, float | None] | None
    threads: int
    algorithm: str


class Part(NamedTuple):
    """A box of a job's results: y is what stands from `start` on in the convolution of x with this geometry."""

    x: np.ndarray
    y: np.ndarray
    geometry: Geometry
    start: tuple[int, ...]  # a position for each spatial axis


def parts_of(job: Job, readable: bool, direct: bool, steps: tuple[int, int] | None = None) -> Iterator[Part]:
    """The job in parts for which about CHUNK values are converted: x unless readable, y unless direct.

    Parts begin at multiples of the steps along H and W; without steps, the last rows and columns of results may belong to two parts.
    """
    sizes = job.y.shape[2:]
    if readable and direct or job.y.size == 0:
        x = job.x if readable else job.x.astype(job.compute)
        yield Part(x, job.y, job.geometry, (0,) * len(sizes))
        return
    fewest = _fewest(job) if steps is None else (1,) * len(sizes)
    box = _box(job, readable, steps, fewest)
    samples = max(1, CHUNK // max(1, job.x[:1].size, job.y[:1].size)) if box == sizes else 1
    starts = itertools.product(*([min(first, size - least) for first in range(0, size, step)]
                                 for size, step, least in zip(sizes, box, fewest, strict=True)))
    for n, start in itertools.product(range(0, len(job.x), samples), starts):
        cut = tuple(slice(first, first + step) for first, step in zip(start, box, strict=True))
        part = Part(job.x[n : n + samples], job.y[(slice(n, n + samples), slice(None), *cut)], job.geometry, start)
        yield part if readable else _converted(part, job, steps is not None)


def spans(
    sizes: tuple[int, ...], kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[int, ...]:
    """How many coordinates lie from the first to the last that results of `sizes` see, along each axis."""
    return tuple((m - 1) * s + (k - 1) * d + 1 for m, k, s, d in zip(sizes, kernel, stride, dilation, strict=True))


def _apart(k: int, s: int, d: int, size: int) -> bool:
    """Whether each tap has a phase of its own, so that their order does not depend on how far they lie apart.

    The rule is the core's for H (cconv_lay_out_phases in layout.c); along the other axes no order depends on phases.
    """
    common = math.gcd(s, d)
    return s // common >= k or d // common >= size or (k - 1) * d // s > (k - 1) * min(8, size)


def _fewest(job: Job) -> tuple[int, ...]:
    """How many results a part has along each axis, at least, so that its taps are added in the order of the whole."""
    fewest = [1] * (job.y.ndim - 2)
    fewest[-1] = min(job.y.shape[-1], 2)        # by_columns in seen.h
    if len(fewest) > 1:
        k, s, d, size = job.w.shape[-2], job.geometry.stride[-2], job.geometry.dilation[-2], job.y.shape[-2]
        if not _apart(k, s, d, size):
            fewest[-2] = min(size, max(8, d // math.gcd(s, d) + 1))
    return tuple(fewest)


def _box(job: Job, readable: bool, along: tuple[int, int] | None, fewest: tuple[int, ...]) -> tuple[int, ...]:
    """The sizes of a part: whole rows as long as they fit, then what converts least in all."""
    sizes, kernel = job.y.shape[2:], job.w.shape[2:]
    steps = (1,) * len(sizes) if along is None else ((1,) * len(sizes) + along)[-len(sizes) :]
    left = max(1, CHUNK // max(1, len(job.w)))
    box: tuple[int, ...] = ()
    for a in reversed(range(len(sizes))):
        room = max(fewest[a], left // math.prod(fewest[:a]))
        box = (min(sizes[a], -(-room // steps[a]) * steps[a]), *box)
        left //= box[0]

    def converted(box: tuple[int, ...]) -> int:
        seen = spans(box, kernel, job.geometry.stride, job.geometry.dilation)
        return job.x.shape[1] * math.prod(min(span, m * k) for span, m, k in zip(seen, box, kernel, strict=True))

    def in_all(box: tuple[int, ...]) -> int:
        return converted(box) * math.prod(-(-size // m) for size, m in zip(sizes, box, strict=True))

    while not readable and converted(box) > 2 * CHUNK:
        halves = [(*box[:a], max(least, -(-m // (2 * step)) * step), *box[a + 1 :])
                  for a, (m, step, least) in enumerate(zip(box, steps, fewest, strict=True)) if m > max(step, least)]
        if not halves:
            break
        box = min(halves, key=in_all)
    return box


def _converted(part: Part, job: Job, dense: bool) -> Part:
    """The part over those values of x that it sees, in the dtype of the sums, with their border written out.

    Only constants before the first value and after the last stay a border.  Where taps lie far apart, what lies
    between them is left out and the stride another; not where `dense`, nor where weights are not finite and the
    loop must skip the zeros of a border.
    """
    x, given = part.x, part.geometry
    skips = given.mode in loop.CONSTANTS and job.value == 0 and job.w.dtype.kind == "f" and not np.isfinite(job.w).all()
    lengths = spans(part.y.shape[2:], job.w.shape[2:], given.stride, given.dilation)
    strides, pads, dilations, constants = [], [], [], []
    for a, length in enumerate(lengths):
        m, k, s, d, first = part.y.shape[2 + a], job.w.shape[2 + a], given.stride[a], given.dilation[a], part.start[a]
        n, before = x.shape[2 + a], given.pads[a][0]
        # What stride and dilation have in common changes no order of taps, nor does it where each tap has its own phase.
        common = 1 if dense or skips else math.gcd(s, d)
        step, spread = s // common, d // common
        if not (dense or skips) and _apart(k, s, d, job.y.shape[2 + a]):
            at, step, spread = loop.tap_map(n, before, first, m, k, s, d, given.mode)
        else:
            at = loop.tap_map(n, before, first * step, (length - 1) // common + 1, 1, common, 1, given.mode)[0]
        values = np.flatnonzero(at >= 0)
        left, right = (values[0], values[-1] + 1) if len(values) else (len(at), len(at))
        strides.append(step)
        dilations.append(spread)
        pads.append((int(left), int(len(at) - right)))
        at = at[left:right]
        constants.append(at < 0)
        run = slice(at[0], at[-1] + 1) if len(at) and (np.diff(at) == 1).all() else None
        x = x.take(at, 2 + a) if run is None else x[(slice(None),) * (2 + a) + (run,)]
    x = x.astype(job.compute)
    for a, constant in enumerate(constants):
        if constant.any():
            x[(slice(None),) * (2 + a) + (constant,)] = job.value
    geometry = given._replace(stride=tuple(strides), pads=tuple(pads), dilation=tuple(dilations))
    return Part(x, part.y, geometry, (0,) * len(lengths))
