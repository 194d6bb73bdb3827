"""One convolution, after both vocabularies have been taken off: arrays in, array out.

layers.py and images.py say what is to be computed; here it is decided in which dtype, by which
algorithm and on how many threads, and the sums are turned into the result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from . import loop, workers as pool
from .dtypes import F32, F64, check_out, default_dtype, integer_compute_dtype, result_dtype, store
from .geometry import addressable, one_of, output_sizes, per_axis, resolve_padding, shown

ALGORITHMS = ("auto", "loop")
CHUNK = 2**20  # values converted at a time, where the input is not of the dtype of the sums
THREADING_PAYS = 2**20  # multiplications


class Geometry(NamedTuple):
    """Everything about a call that is a number per spatial axis, and its border."""

    stride: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    sizes: tuple[int, ...]  # of the result
    mode: str
    value: float | int


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
        if n == 0 and any(pad) and mode not in ("zeros", "constant"):
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
    if value != 0 and mode != "constant":
        raise ValueError(
            f"padding_value={value} has no effect with padding_mode={mode!r}: "
            f"pass padding_mode='constant', or leave padding_value out"
        )
    return mode, value


def real_number(name: str, value: Any) -> float | int:
    """`value` as a Python float, or an int that int64 holds."""
    if isinstance(value, (bool, np.bool_, int, np.integer)):
        number = int(value)
        if abs(number) >= 2**1023:
            raise OverflowError(f"{name} is {shown(number)}: more than a float64 can hold")
        return number if abs(number) < 2**63 else float(number)
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
        one_of("activation", activation, ("relu", "clip"))
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


def correlate(
    image: np.ndarray, w: np.ndarray, bias: np.ndarray | None, geometry: Geometry, groups: int = 1, *,
    name: str, planes: Callable[[np.ndarray], np.ndarray], shape: Sequence[int], natural: np.dtype,
    dtype: Any, out: Any, divisor: float | None = None, activation: Any = None, workers: Any,
    algorithm: Any,
) -> np.ndarray:
    """The result, of shape `shape`, of `image` (called `name` in errors) with w (O, C/groups,
    taps...) and bias (O,).

    `planes` turns the image into a view (N, C, spatial...), and the result into (N, O, spatial...).
    `natural` is the result's dtype if nothing else is asked for.
    """
    limits = check_activation(activation)
    one_of("algorithm", algorithm, ALGORITHMS)
    threads = pool.resolve(workers)
    wanted = result_dtype(dtype, out, natural)
    if out is not None:
        check_out(out, shape, wanted)
    compute, value = _compute_dtype(name, image, w, bias, geometry.value, natural, wanted)
    if out is None:
        out = np.empty(addressable(shape), wanted)
    else:
        image, w = (a.copy() if np.may_share_memory(a, out) else a for a in (image, w))
        bias = bias.copy() if bias is not None and np.may_share_memory(bias, out) else bias
    x, y = planes(image), planes(out)

    with np.errstate(all="ignore"):  # inf and NaN travel as IEEE says, without a warning
        _compute(x, w, bias, y, compute, wanted, geometry, groups, value, divisor, limits, threads)
    return out  # type: ignore[no-any-return]


def _compute(
    x: np.ndarray, w: np.ndarray, bias: np.ndarray | None, y: np.ndarray, compute: np.dtype, wanted: np.dtype,
    geometry: Geometry, groups: int, value: float | int, divisor: float | None, limits: Any, threads: int,
) -> None:
    """x (N, C, spatial...) -> y (N, O, spatial...), a chunk of samples at a time if x or y is to be converted."""
    start = np.zeros(w.shape[0], compute) if bias is None or divisor is not None else bias.astype(compute)
    w = lift(w.astype(compute, copy=False))
    direct = compute == wanted and usable(y, compute) and divisor is None and limits is None
    whole = direct and usable(x, compute)
    step = max(1, len(x) if whole else CHUNK // max(1, x[:1].size, y[:1].size))
    for first in range(0, len(x), step):
        part = slice(first, first + step)
        given = x[part] if usable(x, compute) else x[part].astype(compute)
        sums = y[part] if direct else np.empty(y[part].shape, compute)
        run_loop(lift(given), w, start, lift(sums), geometry, groups, value, threads)
        if not direct:
            store(finish(sums, divisor, bias, limits, wanted), wanted, y[part])


def finish(
    sums: np.ndarray, divisor: float | None, bias: np.ndarray | None, limits: Any, wanted: np.dtype
) -> np.ndarray:
    """What store does besides rounding: the divisor, the bias after it, the activation."""
    if divisor is not None:  # in float64 for integers, so that no quotient becomes a half that it is not
        sums = np.divide(sums, divisor, dtype=sums.dtype if wanted.kind == "f" else F64)
        if bias is not None:
            sums += bias.reshape(-1, *[1] * (sums.ndim - 2)).astype(sums.dtype)
    return sums if limits is None else np.asarray(np.clip(sums, *limits))


def _compute_dtype(
    name: str, x: np.ndarray, w: np.ndarray, bias: np.ndarray | None, value: float | int,
    natural: np.dtype, wanted: np.dtype,
) -> tuple[np.dtype, float | int]:
    """The dtype of the sums, and the border's constant as a number of it."""
    integers = all(a.dtype.kind in "biu" for a in (x, w)) and (bias is None or bias.dtype.kind in "biu")
    if integers and wanted.kind in "iu" and value == int(value if np.isfinite(value) else 0):
        return integer_compute_dtype(name, x, w, bias, int(value)), int(value)
    wide = F64 in (default_dtype(natural), wanted)
    return (F64 if wide else F32), float(value)


def usable(array: np.ndarray, compute: np.dtype) -> bool:
    """Whether the loop can read or write `array` as it lies: its dtype, aligned, native."""
    return array.dtype == compute and array.dtype.isnative and array.flags.aligned


def lift(array: np.ndarray) -> np.ndarray:
    """(A, B, spatial...) as (A, B, D, H, W): missing axes have length 1."""
    return array[(slice(None), slice(None)) + (None,) * (5 - array.ndim)]


def run_loop(
    x: np.ndarray, w: np.ndarray, bias: np.ndarray, y: np.ndarray, geometry: Geometry,
    groups: int, value: float | int, threads: int,
) -> None:
    """The loop over 5-axis arrays, cut into parts of the result where threads pay."""
    missing = 3 - len(geometry.stride)
    stride = (1,) * missing + geometry.stride
    dilation = (1,) * missing + geometry.dilation
    pads = ((0, 0),) * missing + geometry.pads

    def part(axis: int, first: int, last: int) -> None:
        start = [0, 0, 0]
        cut: list[Any] = [slice(None)] * 5
        cut[axis] = slice(first, last)
        if axis >= 2:
            start[axis - 2] = first
        given = x[first:last] if axis == 0 else x
        loop.correlate(given, w, bias, y[tuple(cut)], stride, pads, dilation, groups, geometry.mode, value, start)

    axis = max((0, 2, 3, 4), key=lambda a: min(y.shape[a], 4 * threads))  # the first that is long enough
    size = y.shape[axis]
    if threads == 1 or size == 1 or y.size * w[0].size < THREADING_PAYS:
        part(0, 0, y.shape[0])
        return
    edges = np.linspace(0, size, min(size, 4 * threads) + 1).astype(int).tolist()
    pool.run([partial(part, axis, *ends) for ends in pairwise(edges)], threads)
