"""Transposed convolution: what a convolution's result came from, in the shape of its input.

Every input value is spread over the outputs that its taps reach.  Seen from an output, with a stride of s along an
axis, those at places r, r + s, r + 2s ... use the same taps, at neighbouring inputs: each such phase is a dense convolution
with a part of the kernel, flipped.  So no zeros are inserted, and nothing is multiplied in vain.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .compute import ALGORITHMS, as_it_lies, forced_isa, lift, plan_of, run, run_plan, share, threads_for
from .dtypes import as_array, check_out, default_dtype, empty, result_dtype, store
from .engine import CannotServe, NotFinite, Plan
from .geometry import LARGEST, addressable, integer, is_sequence, one_of, per_axis, resolve_padding, shown
from .job import Geometry, Job, spans
from .layers import LAYOUTS, check_axes, check_bias, other_layout
from .operation import check_activation, compute_dtype, most_of, recall, remember
from .workers import resolve

Index = tuple[slice, ...]


def conv_transpose1d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups: int = 1,
    dilation: Any = 1, *, output_size: Any = None, layout: str = "channels_first", activation: Any = None, dtype: Any = None,
    out: np.ndarray | None = None, workers: int | None = None, algorithm: str = "auto",
) -> np.ndarray:
    """Transposed cross-correlation of a batch of signals with filters.

    Parameters
    ----------
    input : array_like, shape (N, C, L) or (C, L)
    weight : array_like, shape (C, O/groups, K)
    bias : array_like, shape (O,), optional
    stride, padding, output_padding, groups, dilation, output_size, layout, activation, dtype, out, workers, algorithm
        As in `conv_transpose2d`.

    Returns
    -------
    ndarray, shape (N, O, L') or (O, L'), in the layout of the input

    Raises
    ------
    TypeError, ValueError, OverflowError
        As in `conv_transpose2d`.

    Examples
    --------
    >>> import numpy as np, cconv
    >>> cconv.conv_transpose1d(np.array([[1., 2.]]), np.array([[[1., 10., 100.]]]), stride=2)
    array([[  1.,  10., 102.,  20., 200.]])
    """
    return _conv_transpose(1, input, weight, bias, stride, padding, output_padding, groups, dilation, output_size, layout, activation,
                           dtype, out, workers, algorithm)


def conv_transpose2d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups: int = 1,
    dilation: Any = 1, *, output_size: Any = None, layout: str = "channels_first", activation: Any = None, dtype: Any = None,
    out: np.ndarray | None = None, workers: int | None = None, algorithm: str = "auto",
) -> np.ndarray:
    """Transposed cross-correlation of a batch of pictures with filters: the gradient of `conv2d` with respect to its input.

    Each input value, times the kernel, is added to the output from ``(r*s - padding, j*s - padding)`` on, taps a dilation
    apart.  Arguments are named and ordered as in ``torch.nn.functional.conv_transpose2d``.

    Parameters
    ----------
    input : array_like, shape (N, C, H, W) or (C, H, W)
        With ``layout="channels_last"`` (N, H, W, C) or (H, W, C).
    weight : array_like, shape (C, O/groups, KH, KW)
        Whatever the layout.
    bias : array_like, shape (O,), optional
    stride, dilation : int or (int, int)
        At least 1.
    padding : int, (int, int), ((top, bottom), (left, right)), "valid", "same" or "full"
        What the convolution would have padded: so much is cut off the result.
    output_padding : int or (int, int)
        Added to the size of the result at the end, less than the stride or the dilation.
    groups : int
        Divides C and O.
    output_size : int or (int, int), optional
        Of the result, instead of output_padding: one of the `stride` sizes that a convolution takes to the input's.
    layout, activation, dtype, out, workers, algorithm
        As in `conv2d`.

    Returns
    -------
    ndarray, shape (N, O, H', W') or (O, H', W'), in the layout of the input
        ``H' = (H - 1)*s - top - bottom + d*(KH - 1) + output_padding + 1``, W' alike.

    Raises
    ------
    TypeError
        For masked, lazy, complex or object arrays, and arguments of the wrong kind.
    ValueError
        For shapes and values that do not fit, unknown words, an impossible output_size and an empty result.
    OverflowError
        When an exact sum of integers may not fit int64, or a size cannot be addressed.

    Notes
    -----
    With a stride of s this is s*s convolutions over phases of the result, each with a part of the kernel; no zeros are inserted.

    Examples
    --------
    >>> import numpy as np, cconv
    >>> x = np.array([[[1., 2.], [3., 4.]]])
    >>> cconv.conv_transpose2d(x, np.ones((1, 1, 2, 2)), stride=2)[0]
    array([[1., 1., 2., 2.],
           [1., 1., 2., 2.],
           [3., 3., 4., 4.],
           [3., 3., 4., 4.]])
    """
    return _conv_transpose(2, input, weight, bias, stride, padding, output_padding, groups, dilation, output_size, layout, activation,
                           dtype, out, workers, algorithm)


def conv_transpose3d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups: int = 1,
    dilation: Any = 1, *, output_size: Any = None, layout: str = "channels_first", activation: Any = None, dtype: Any = None,
    out: np.ndarray | None = None, workers: int | None = None, algorithm: str = "auto",
) -> np.ndarray:
    """Transposed cross-correlation of a batch of volumes with filters.

    Parameters
    ----------
    input : array_like, shape (N, C, D, H, W) or (C, D, H, W)
    weight : array_like, shape (C, O/groups, KD, KH, KW)
    bias : array_like, shape (O,), optional
    stride, padding, output_padding, groups, dilation, output_size, layout, activation, dtype, out, workers, algorithm
        As in `conv_transpose2d`, with three axes.

    Returns
    -------
    ndarray, shape (N, O, D', H', W') or (O, D', H', W'), in the layout of the input

    Raises
    ------
    TypeError, ValueError, OverflowError
        As in `conv_transpose2d`.

    Examples
    --------
    >>> import numpy as np, cconv
    >>> cconv.conv_transpose3d(np.ones((1, 2, 3, 3, 3)), np.ones((2, 4, 2, 2, 2)), stride=2).shape
    (1, 4, 6, 6, 6)
    """
    return _conv_transpose(3, input, weight, bias, stride, padding, output_padding, groups, dilation, output_size, layout, activation,
                           dtype, out, workers, algorithm)


def _conv_transpose(
    axes: int, input: Any, weight: Any, bias: Any, stride: Any, padding: Any, output_padding: Any, groups: Any, dilation: Any,
    output_size: Any, layout: Any, activation: Any, dtype: Any, out: Any, workers: Any, algorithm: Any,
) -> np.ndarray:
    options = ("transposed", axes, stride, padding, output_padding, groups, dilation, output_size, layout, algorithm)
    key, result = recall(options, (activation,), dtype, input, weight, bias, out, workers)
    if result is not None:
        return result
    x, w = as_array("input", input), as_array("weight", weight)
    b = None if bias is None else as_array("bias", bias)
    last = one_of("layout", layout, LAYOUTS) == "channels_last"
    groups = integer("groups", groups)
    _check_shapes(axes, x, w, b, groups, last)
    batched = x.ndim == axes + 2
    natural = np.result_type(x.dtype, w.dtype).newbyteorder("=")
    natural = natural if natural.kind == "f" else default_dtype(natural)

    strides, dilations = per_axis("stride", stride, axes), per_axis("dilation", dilation, axes)
    if isinstance(padding, str) and padding in ("same_upper", "same_lower"):
        raise ValueError(f"padding={padding!r} depends on the size of the result: pass numbers, or 'same'")
    pads = resolve_padding(padding, planes(x, batched, last).shape[2:], w.shape[2:], strides, dilations)
    sizes = _sizes(planes(x, batched, last).shape[2:], w.shape[2:], strides, pads, dilations, output_padding, output_size)
    outputs = w.shape[1] * groups
    sample = (*sizes, outputs) if last else (outputs, *sizes)
    shape = (len(x), *sample) if batched else sample
    one_of("algorithm", algorithm, ALGORITHMS)
    limits, threads = check_activation(activation), resolve(workers)
    wanted = result_dtype(dtype, out, natural)
    if out is not None:
        check_out(out, shape, wanted)
    compute, _ = compute_dtype("input", x, forward_weight(w, groups), b, 0, natural, wanted)
    if out is None:
        out = empty(addressable(shape), wanted)
    else:
        x, w = (a.copy() if np.may_share_memory(a, out) else a for a in (x, w))
        b = b.copy() if b is not None and np.may_share_memory(b, out) else b
    job = Job(planes(x, batched, last), w, b, planes(out, batched, last), Geometry(strides, pads, dilations, sizes, "zeros", 0), groups, 0, compute, wanted, None,
              limits, threads, algorithm)
    with np.errstate(all="ignore"):
        spread(job)
    if key is not None:
        keep(key, job, out, batched, last)
    return out


def forward_weight(w: np.ndarray, groups: int) -> np.ndarray:
    """(C, O/groups, taps...) as (O, C/groups, taps...), the weights of a convolution from C to O channels; not flipped."""
    if groups == 1:
        return w.swapaxes(0, 1)
    channels, outputs = w.shape[:2]
    parts = w.reshape(groups, channels // groups, outputs, *w.shape[2:]).swapaxes(1, 2)
    return parts.reshape(groups * outputs, channels // groups, *w.shape[2:])


def spread(job: Job) -> None:
    """Fill y of a job whose weights are (C, O/groups, taps...) and whose geometry is that of the convolution from y to x."""
    plan = _plan_at_once(job)
    try:
        if plan is not None:
            share(plan, job.x, job.w, None, job.y, job.threads)
            return
    except NotFinite:
        pass
    w = forward_weight(job.w, job.groups)
    if not _all_reached(job):
        _fill(job.y, job)
    for geometry, taps, places in _parts(job):
        run(job._replace(w=w[taps], y=job.y[places], geometry=geometry))


def _plan_at_once(job: Job) -> Plan | None:
    """All phases by a kernel of their own, if the core has one."""
    geometry, missing, arrays = job.geometry, 5 - job.w.ndim, (job.x, job.w, job.y)
    plain = job.bias is None and job.limits is None and job.algorithm in ("auto", "direct", "fast")
    if max(geometry.stride) == 1 or not plain or any(a.dtype != job.compute or not as_it_lies(a) for a in arrays):
        return None
    seen = spans(job.x.shape[2:], job.w.shape[2:], geometry.stride, geometry.dilation)
    pads = tuple((before, span - n - before) for (before, _), span, n in zip(geometry.pads, seen, job.y.shape[2:], strict=True))
    x, w, y = map(lift, arrays)
    try:
        return Plan(y, w, x, job.compute, (1,) * missing + geometry.stride, ((0, 0),) * missing + pads,
                    (1,) * missing + geometry.dilation, job.groups, "zeros", 0.0, isa=forced_isa(), gradient="input")
    except CannotServe:
        return None


def _axes(job: Job) -> list[list[_Phase]]:
    geometry = job.geometry
    return [
        _phases(*numbers)
        for numbers in zip(job.x.shape[2:], job.w.shape[2:], geometry.sizes, geometry.stride, (p[0] for p in geometry.pads), geometry.dilation,
                           strict=True)
    ]


def _all_reached(job: Job) -> bool:
    """Whether some tap reaches each value of y."""
    counts = zip(_axes(job), job.geometry.stride, job.geometry.sizes, strict=True)
    return math.prod(job.x.shape[2:]) > 0 and all(len(phases) == min(s, n) for phases, s, n in counts)


def _parts(job: Job) -> Iterator[tuple[Geometry, Index, Index]]:
    """The convolutions that make y up: the geometry of each, its taps, and where its results lie in y."""
    for phases in itertools.product(*_axes(job)) if math.prod(job.x.shape[2:]) else ():
        geometry = Geometry((1,) * len(phases), tuple(p.pads for p in phases), tuple(p.dilation for p in phases),
                            tuple(p.places for p in phases), "zeros", 0)
        places = (slice(p.first, None, s) for p, s in zip(phases, job.geometry.stride, strict=True))
        yield geometry, (slice(None), slice(None), *(p.taps for p in phases)), (slice(None), slice(None), *places)


class _Kept(NamedTuple):
    """What a call needs whose like went before: a plan for all at once, or one for each part."""

    at_once: Plan | None
    parts: list[tuple[Plan, float, Index, Index]]
    zeros: bool         # some results are, since no tap reaches them
    groups: int
    batched: bool
    last: bool


def keep(key: Any, job: Job, result: np.ndarray, batched: bool, last: bool) -> None:
    """The plans of a job that went well, for `recall`, if they are all that one with other values of the same arrays needs."""
    kept = _Kept(_plan_at_once(job), [], not _all_reached(job), job.groups, batched, last)
    if kept.at_once is None:
        w = forward_weight(job.w, job.groups)
        if kept.zeros and (job.bias is not None or job.limits is not None):
            return
        for geometry, taps, places in _parts(job):
            part = job._replace(w=w[taps], y=job.y[places], geometry=geometry)
            plan = plan_of(part)
            if plan is None:
                return
            kept.parts.append((plan, most_of(part), taps, places))
    remember(key, partial(_again, kept, result.shape, result.dtype))


def _again(kept: _Kept, shape: tuple[int, ...], kind: np.dtype, x: Any, w: Any, bias: Any, out: Any, workers: Any) -> np.ndarray | None:
    """As operation's."""
    result = empty(shape, kind) if out is None else out
    x, y = (planes(a, kept.batched, kept.last) for a in (x, result))
    if kept.at_once is not None:
        share(kept.at_once, x, w, None, y, threads_for(kept.at_once, workers))
        return result
    if kept.zeros:
        resolve(workers)
        result[...] = 0
    w = forward_weight(w, kept.groups)
    for plan, most, taps, places in kept.parts:
        if not plan.suits(w[taps], most):
            return None
        run_plan(plan, x, w[taps], bias, y[places], threads_for(plan, workers))
    return result


def planes(array: np.ndarray, batched: bool, last: bool) -> np.ndarray:
    """An array of either layout, with or without a batch, as (N, C, spatial...)."""
    array = array if batched else array[None]
    return np.moveaxis(array, -1, 1) if last else array


def _fill(y: np.ndarray, job: Job) -> None:
    """Results that no tap reaches: the bias alone."""
    value = np.zeros(len(job.y[0]), job.compute) if job.bias is None else job.bias.astype(job.compute)
    if job.limits is not None:
        value = np.clip(value, *job.limits)
    narrow = np.empty(value.shape, job.wanted)
    store(value, job.wanted, narrow)
    y[...] = narrow.reshape(-1, *[1] * (y.ndim - 2))


class _Phase(NamedTuple):
    """The places first, first + stride ... of an axis of the result, as a convolution of their own."""

    first: int
    places: int
    taps: slice
    dilation: int
    pads: tuple[int, int]


def _phases(n: int, k: int, size: int, s: int, before: int, d: int) -> list[_Phase]:
    """Those that taps reach."""
    phases, step, dilation = [], s // math.gcd(s, d), d // math.gcd(s, d)
    for tap in range(min(k, step)):  # taps that many apart are in the same phase
        first = (tap * d - before) % s
        count, taps = len(range(first, size, s)), len(range(tap, k, step))
        if count:
            backwards = slice(tap + (taps - 1) * step, tap - 1 if tap else None, -step)  # the nearest input has the last tap
            reach = (taps - 1) * dilation
            left = reach - (first + before - tap * d) // s
            phases.append(_Phase(first, count, backwards, dilation, (left, count + reach - n - left)))
    return phases


def _sizes(
    sizes: Sequence[int], kernel: Sequence[int], stride: Sequence[int], pads: Sequence[tuple[int, int]], dilation: Sequence[int],
    output_padding: Any, output_size: Any,
) -> tuple[int, ...]:
    """The sizes of the result."""
    axes = len(sizes)
    extra = per_axis("output_padding", output_padding, axes, 0)
    least = [(n - 1) * s - sum(p) + d * (k - 1) + 1 for n, k, s, p, d in zip(sizes, kernel, stride, pads, dilation, strict=True)]
    if output_size is not None:
        if any(extra):
            raise ValueError(f"output_size={shown(output_size)} and output_padding={shown(output_padding)} say the same thing: pass one of them")
        if is_sequence(output_size) and len(output_size) == axes + 2:  # torch takes the whole shape, too
            output_size = output_size[2:]
        wanted = per_axis("output_size", output_size, axes, 0)
        for axis, (size, low, s) in enumerate(zip(wanted, least, stride, strict=True)):
            if not low <= size < low + s:
                possible = f"{low}" if s == 1 else f"{low} to {low + s - 1}"
                raise ValueError(f"output_size={shown(output_size)} is impossible: spatial axis {axis} can be {possible}, not {size}")
        result = list(wanted)
    else:
        for axis, (more, s, d) in enumerate(zip(extra, stride, dilation, strict=True)):
            if more >= max(s, d):
                raise ValueError(f"output_padding={shown(output_padding)} on spatial axis {axis} must be less than the stride {s} or the "
                                 f"dilation {d}; want at most {max(s, d) - 1}")
        result = [low + more for low, more in zip(least, extra, strict=True)]
    for axis, size in enumerate(result):
        if size < 1:
            n, k, s, (before, after), d = sizes[axis], kernel[axis], stride[axis], pads[axis], dilation[axis]
            raise ValueError(f"nothing would be left of spatial axis {axis}: ({n} - 1)*{s} - {before} - {after} + {d}*({k} - 1) + "
                             f"{size - least[axis]} + 1 = {size}; want at least 1: a smaller padding")
        if size > LARGEST:
            raise OverflowError(f"spatial axis {axis} of the result would hold {size} values: too many")
    return tuple(result)


def _check_shapes(axes: int, x: np.ndarray, w: np.ndarray, b: np.ndarray | None, groups: int, last: bool) -> None:
    """input, weight and bias must fit each other and the number of groups."""
    axis, other = check_axes("conv_transpose", "C, O/groups", axes, x, w, last)
    if x.shape[axis] != w.shape[0]:
        hint = ""
        if x.shape[other] == w.shape[0]:
            hint = other_layout(last)
        elif x.shape[axis] == w.shape[1] and groups == 1:
            hint = ": a weight (O, C, ...)? pass weight.swapaxes(0, 1)"
        raise ValueError(f"input has {x.shape[axis]} channels on axis {axis} but weight {w.shape} wants {w.shape[0]}{hint}")
    if w.shape[0] % groups:
        raise ValueError(
            f"groups={groups} does not divide the {w.shape[0]} input channels of weight {w.shape}; "
            f"want weight.shape[0] to be a multiple of groups"
        )
    check_bias(b, w.shape[1] * groups)
