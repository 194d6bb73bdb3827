"""One convolution, after both vocabularies have been taken off: arrays in, array out.

layers.py and images.py say what is to be computed; here the arguments that both share are checked
and the dtypes decided; compute.py does the work.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from . import loop, workers as pool
from .compute import ALGORITHMS, plan_of, run, run_plan, threads_for
from .dtypes import F32, F64, check_out, default_dtype, empty, integer_compute_dtype, magnitude, result_dtype
from .engine import NotFinite, Plan, call_key
from .geometry import addressable, one_of, output_sizes, per_axis, resolve_padding, shown
from .job import Geometry, Job

def resolve_geometry(
    sizes: Sequence[int], kernel: Sequence[int], stride: Any, padding: Any, dilation: Any,
    padding_mode: Any, padding_value: Any,
) -> Geometry:
    """Check the arguments of the geometry and turn words into numbers."""
    axes = len(sizes)
    strides = per_axis("stride", stride, axes)
    dilations = per_axis("dilation", dilation, axes)
    pads = resolve_padding(padding, sizes, kernel, strides, dilations)
    mode, value = check_border(padding_mode, padding_value)
    for axis, (n, pad) in enumerate(zip(sizes, pads, strict=True)):
        if n == 0 and any(pad) and mode not in loop.CONSTANTS:
            raise ValueError(
                f"spatial axis {axis} is empty and has no values for padding_mode={mode!r} to "
                f"repeat; pass padding_mode='zeros'"
            )
    return Geometry(strides, pads, dilations, output_sizes(sizes, kernel, pads, strides, dilations), mode, value)


def check_border(padding_mode: Any, padding_value: Any) -> tuple[str, float | int]:
    """The border's word and the value of its constant."""
    if isinstance(padding_mode, str) and padding_mode == "resize":
        raise ValueError(
            "padding_mode='resize' is for cconv.pad only: pass cconv.pad(image, padding, 'resize') "
            "as the image, and padding=0"
        )
    mode = one_of("padding_mode", padding_mode, loop.BORDERS)
    value = real_number("padding_value", padding_value)
    if value != 0 and (mode == "zeros" or mode not in loop.CONSTANTS):
        raise ValueError(
            f"padding_value={value} has no effect with padding_mode={mode!r}: "
            f"pass padding_mode='constant', or leave padding_value out"
        )
    return mode, value


def real_number(name: str, value: Any) -> float | int:
    """`value` as a Python float, or an int that int64 holds."""
    if isinstance(value, (bool, np.bool_, int, np.integer)):
        number = int(value)
        try:
            return number if abs(number) < 2**63 else float(number)
        except OverflowError:
            raise OverflowError(f"{name} is {shown(number)}: more than a float64 can hold") from None
    if isinstance(value, (float, np.floating)):
        return float(value)
    if isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in "biuf":
        return real_number(name, value.item())
    raise TypeError(f"{name} is {shown(value)} ({type(value).__name__}); want a number")


def check_activation(activation: Any) -> tuple[float | None, float | None] | None:
    """The lower and upper limit that an activation sets, or None."""
    if activation is None:
        return None
    if isinstance(activation, str) and activation != "clip":
        one_of("activation", activation, ("relu", "('clip', low, high)"))
        return 0, None
    if (
        isinstance(activation, (tuple, list)) and len(activation) == 3
        and isinstance(activation[0], str) and activation[0] == "clip"
    ):
        low, high = (real_number("activation", a) for a in activation[1:])
        if not low <= high:
            raise ValueError(f"activation={shown(activation)} clips to an empty range; want low <= high")
        return low, high
    raise ValueError(f"activation={shown(activation)} is not known: want None, 'relu' or ('clip', low, high)")


def prepare(
    image: np.ndarray, w: np.ndarray, bias: np.ndarray | None, geometry: Geometry, groups: int = 1, *,
    name: str, planes: Callable[[np.ndarray], np.ndarray], shape: Sequence[int], natural: np.dtype,
    dtype: Any, out: Any, divisor: float | None = None, activation: Any = None, workers: Any,
    algorithm: Any,
) -> tuple[np.ndarray, Job]:
    """The array that takes the result, of shape `shape`, and the work that fills it, for `image`
    (called `name` in errors), w (O, C/groups, taps...) and bias (O,).

    `planes` turns the image into a view (N, C, spatial...), and the result into (N, O, spatial...).
    `natural` is the result's dtype if nothing else is asked for.
    """
    limits = check_activation(activation)
    one_of("algorithm", algorithm, ALGORITHMS)
    threads = pool.resolve(workers)
    wanted = result_dtype(dtype, out, natural)
    if out is not None:
        check_out(out, shape, wanted)
    compute, value = compute_dtype(name, image, w, bias, geometry.value, natural, wanted)
    if out is None:
        out = empty(addressable(shape), wanted)
    else:
        image, w = (a.copy() if np.may_share_memory(a, out) else a for a in (image, w))
        bias = bias.copy() if bias is not None and np.may_share_memory(bias, out) else bias
    job = Job(planes(image), w, bias, planes(out), geometry, groups, value, compute, wanted, divisor, limits,
              threads, algorithm)
    return out, job


def correlate(*args: Any, key: Any = None, **kwargs: Any) -> np.ndarray:
    """The result of the operation that `prepare` takes; its plan is kept under `key`."""
    out, job = prepare(*args, **kwargs)
    with np.errstate(all="ignore"):  # inf and NaN travel as IEEE says, without a warning
        run(job)
    plan = None if key is None else plan_of(job)
    if plan is not None:
        remember(key, partial(_again, plan, out.shape, out.dtype, most_of(job)))
    return out


def _again(
    plan: Plan, shape: tuple[int, ...], kind: np.dtype, most: float, x: Any, w: Any, bias: Any, out: Any, workers: Any
) -> np.ndarray | None:
    """The result for other values in arrays of the same layout; None if their plan would be another."""
    if not plan.suits(w, most):
        return None
    threads = threads_for(plan, workers)
    y = empty(shape, kind) if out is None else out
    run_plan(plan, x, w, bias, y, threads)
    return y


def most_of(job: Job) -> float:
    """What the weights' magnitudes for a result may add up to, for the dtype of the sums to be the same."""
    if job.wanted.kind == "f" or "f" in job.x.dtype.kind + job.w.dtype.kind:
        return math.inf
    if job.bias is not None:  # whose values count, too
        return -1
    limit = 2**24 if job.compute == F32 else 2**53
    return (limit - 1) // max(magnitude(job.x), abs(job.value))


MOST_KNOWN = 256
_known: dict[Any, Callable[..., np.ndarray | None]] = {}


def remember(key: Any, again: Callable[..., np.ndarray | None]) -> None:
    """What `recall` shall call for `key`, with x, w, bias, out, workers."""
    if len(_known) >= MOST_KNOWN:
        _known.clear()
    _known[key] = again


def recall(
    options: tuple[Any, ...], reals: tuple[Any, ...], dtype: Any, x: Any, w: Any, bias: Any, out: Any, workers: Any
) -> tuple[Any, np.ndarray | None]:
    """A key for a call, and its result if a call with such arrays and options went well before.

    Checking every argument and making a plan takes longer than many a convolution.
    """
    key = call_key(options, reals, dtype, x, w, bias, out)
    known = None if key is None else _known.get(key)
    if known is None:
        return key, None
    try:
        return key, known(x, w, bias, out, workers)
    except NotFinite:
        return None, None


def compute_dtype(
    name: str, x: np.ndarray, w: np.ndarray, bias: np.ndarray | None, value: float | int,
    natural: np.dtype, wanted: np.dtype,
) -> tuple[np.dtype, float | int]:
    """The dtype of the sums, and the border's constant as a number of it."""
    integers = all(a.dtype.kind in "biu" for a in (x, w)) and (bias is None or bias.dtype.kind in "biu")
    if integers and wanted.kind in "iu" and value == int(value if np.isfinite(value) else 0):
        return integer_compute_dtype(name, x, w, bias, int(value)), int(value)
    wide = F64 in (default_dtype(natural), wanted)
    return (F64 if wide else F32), float(value)
