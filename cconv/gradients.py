"""Gradients of a convolution: the vocabulary of torch.nn.grad.

With y = conv(input, weight) + bias and any g of y's shape, these are the adjoints:
<conv(x, weight), g> = <x, conv_input(x.shape, weight, g)> = <weight, conv_weight(x, weight.shape, g)>, for every padding,
padding mode, stride, dilation and number of groups.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from . import engine, loop
from .compute import as_it_lies, forced_isa, lift, run, share, threads_for
from .dtypes import F32, F64, as_array, check_out, empty, result_dtype
from .geometry import addressable, integer, is_sequence, one_of, shown
from .job import Geometry, Job
from .layers import LAYOUTS, check_shapes
from .operation import recall, remember, resolve_geometry
from .transposed import keep, planes, spread
from .workers import resolve


def conv_input(
    input_shape: Any, weight: Any, grad_output: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1, *,
    padding_mode: str = "zeros", padding_value: float = 0.0, layout: str = "channels_first", dtype: Any = None,
    out: np.ndarray | None = None, workers: int | None = None,
) -> np.ndarray:
    """Gradient of a convolution with respect to its input.

    Parameters
    ----------
    input_shape : sequence of int
        Of the input: (N, C, H, W) or (C, H, W), with one or three spatial axes too, in the layout.
    weight : array_like, shape (O, C/groups, K...)
    grad_output : array_like
        The gradient with respect to the result; of the result's shape.
    stride, padding, dilation, groups, padding_mode, padding_value, layout
        Of the convolution, as in `conv2d`.
    dtype : dtype, optional
        Of the gradient: float32 or float64.  By default ``numpy.result_type(weight, grad_output)``, at least float32.
    out : ndarray, optional
        Takes the gradient and is returned.
    workers : int, optional
        Threads; by default all cores (see `set_workers`).  The result does not depend on it.

    Returns
    -------
    ndarray, of input_shape

    Raises
    ------
    TypeError, ValueError, OverflowError
        As `conv2d`, and where shapes do not belong to each other.

    Examples
    --------
    >>> import numpy as np, cconv
    >>> w, g = np.array([[[1., 10.]]]), np.array([[[1., 2., 3.]]])
    >>> cconv.conv_input((1, 1, 4), w, g)
    array([[[ 1., 12., 23., 30.]]])
    """
    options = ("input", input_shape, stride, padding, dilation, groups, padding_mode, layout)
    key, found = recall(options, (padding_value,), dtype, grad_output, weight, None, out, workers)
    if found is not None:
        return found
    shape = _shape("input_shape", input_shape)
    w, g = as_array("weight", weight), as_array("grad_output", grad_output)
    if 3 <= w.ndim <= 5 and len(shape) not in (w.ndim - 1, w.ndim):
        raise ValueError(f"input_shape={shape} has {len(shape)} sizes; want {w.ndim}, or {w.ndim - 1} for one sample, with weight {w.shape}")
    like = np.broadcast_to(np.zeros((), F32), shape)
    call = _Call(like, w, g, stride, padding, dilation, groups, padding_mode, padding_value, layout, dtype, (w, g), workers)
    result = _result(shape, call.dtype, out)
    y = call.planes(result)
    g = call.planes(g if out is None or not np.may_share_memory(g, out) else g.copy())
    geometry, batch = call.geometry, y.shape[:2]
    if geometry.mode in loop.CONSTANTS:
        job = _spread(call, g, w, y, geometry.pads)
        if key is not None:
            keep(key, job, result, call.batched, call.last)
        return result
    padded = np.empty((*batch, *(n + sum(p) for n, p in zip(y.shape[2:], geometry.pads, strict=True))), call.dtype)
    _spread(call, g, w, padded, ((0, 0),) * len(geometry.pads))
    y[...] = _folded(padded, y.shape[2:], geometry)
    return result


def conv_weight(
    input: Any, weight_shape: Any, grad_output: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1, *,
    padding_mode: str = "zeros", padding_value: float = 0.0, layout: str = "channels_first", dtype: Any = None,
    out: np.ndarray | None = None, workers: int | None = None,
) -> np.ndarray:
    """Gradient of a convolution with respect to its weight.

    Parameters
    ----------
    input : array_like, shape (N, C, H, W) or (C, H, W), with one or three spatial axes too, in the layout
    weight_shape : sequence of int
        (O, C/groups, K...)
    grad_output : array_like
        The gradient with respect to the result; of the result's shape.
    stride, padding, dilation, groups, padding_mode, padding_value, layout
        Of the convolution, as in `conv2d`.
    dtype, out, workers
        As in `conv_input`.

    Returns
    -------
    ndarray, of weight_shape

    Raises
    ------
    TypeError, ValueError, OverflowError
        As `conv2d`, and where shapes do not belong to each other.

    Examples
    --------
    >>> import numpy as np, cconv
    >>> x, g = np.array([[[1., 2., 3., 4.]]]), np.array([[[1., 0., 1.]]])
    >>> cconv.conv_weight(x, (1, 1, 2), g)
    array([[[4., 6.]]])
    """
    options = ("weight", weight_shape, stride, padding, dilation, groups, padding_mode, layout)
    key, found = recall(options, (padding_value,), dtype, input, grad_output, None, out, workers)
    if found is not None:
        return found
    shape = _shape("weight_shape", weight_shape)
    if not 3 <= len(shape) <= 5 or 0 in shape:
        raise ValueError(f"weight_shape={shape}; want 3 to 5 sizes of at least 1: (O, C/groups, K...)")
    x, g = as_array("input", input), as_array("grad_output", grad_output)
    like = np.broadcast_to(np.zeros((), F32), shape)
    call = _Call(x, like, g, stride, padding, dilation, groups, padding_mode, padding_value, layout, dtype, (x, g), workers)
    result = _result(shape, call.dtype, out)
    elsewhere = out is not None and (not as_it_lies(result) or np.may_share_memory(result, x) or np.may_share_memory(result, g))
    grad = np.zeros(shape, call.dtype) if elsewhere else result
    with np.errstate(all="ignore"):
        plan = _gather(call, call.planes(x), call.planes(g), grad)
    if plan is not None and key is not None:
        remember(key, partial(_again, plan, call.batched, call.last, shape, call.dtype))
    if grad is not result:
        result[...] = grad
    return result


def conv_bias(grad_output: Any, *, layout: str = "channels_first", axes: int | None = None, dtype: Any = None) -> np.ndarray:
    """Gradient of a convolution with respect to its bias: the sum of each output channel.

    Parameters
    ----------
    grad_output : array_like, shape (N, O, H, W), with one or three spatial axes too
        The gradient with respect to the result.  Without a batch, (O, H, W), where `axes` says so.
    layout : {"channels_first", "channels_last"}
    axes : int, optional
        How many spatial axes there are; by default all but two.
    dtype : dtype, optional
        float32 or float64; by default that of grad_output, at least float32.

    Returns
    -------
    ndarray, shape (O,)

    Raises
    ------
    TypeError, ValueError
        For arrays and words that do not fit.

    Examples
    --------
    >>> import numpy as np, cconv
    >>> cconv.conv_bias(np.arange(8.).reshape(1, 2, 2, 2))
    array([ 6., 22.])
    """
    g = as_array("grad_output", grad_output)
    last = one_of("layout", layout, LAYOUTS) == "channels_last"
    spatial = g.ndim - 2 if axes is None else integer("axes", axes, 1, 3)
    if g.ndim not in (spatial + 1, spatial + 2) or not 1 <= spatial <= 3:
        raise ValueError(f"grad_output has shape {g.shape}, {g.ndim} axes; want 3 to 5: (N, O, spatial...), or say axes=")
    channel = g.ndim - 1 if last else g.ndim - spatial - 1
    total = np.sum(g, tuple(a for a in range(g.ndim) if a != channel), F64)
    gradient: np.ndarray = total.astype(_float(dtype, (g,)))
    return gradient


class _Call:
    """A convolution that has taken place, checked: x and w may stand for their shapes only."""

    def __init__(
        self, x: np.ndarray, w: np.ndarray, g: np.ndarray, stride: Any, padding: Any, dilation: Any, groups: Any, padding_mode: Any,
        padding_value: Any, layout: Any, dtype: Any, given: tuple[np.ndarray, ...], workers: Any,
    ) -> None:
        axes = w.ndim - 2
        if not 1 <= axes <= 3:
            raise ValueError(f"weight has shape {w.shape}, {w.ndim} axes; want 3 to 5: (O, C/groups, K...)")
        self.last = one_of("layout", layout, LAYOUTS) == "channels_last"
        self.groups = integer("groups", groups)
        check_shapes(axes, x, w, None, self.groups, self.last)
        self.batched = x.ndim == axes + 2
        self.geometry = resolve_geometry(self.planes(x).shape[2:], w.shape[2:], stride, padding, dilation, padding_mode, padding_value)
        sample = (*self.geometry.sizes, len(w)) if self.last else (len(w), *self.geometry.sizes)
        shape = (len(x), *sample) if self.batched else sample
        if g.shape != shape:
            raise ValueError(f"grad_output has shape {g.shape}; the convolution's result has {shape}")
        self.dtype = _float(dtype, given)
        self.threads = resolve(workers)

    def planes(self, array: np.ndarray) -> np.ndarray:
        return planes(array, self.batched, self.last)


def _shape(name: str, shape: Any) -> tuple[int, ...]:
    if not is_sequence(shape):
        raise TypeError(f"{name} is {shown(shape)} ({type(shape).__name__}); want a shape, like (N, C, H, W)")
    return addressable([integer(f"{name}[{i}]", n, 0) for i, n in enumerate(shape)])


def _float(dtype: Any, given: tuple[np.ndarray, ...]) -> np.dtype:
    """The gradient's dtype."""
    natural = np.result_type(F32, *(a.dtype for a in given))
    wanted = result_dtype(dtype, None, F64 if natural.itemsize > 4 else F32)
    if wanted not in (F32, F64):
        raise TypeError(f"dtype is {wanted}; gradients are float32 or float64")
    return wanted


def _result(shape: Sequence[int], dtype: np.dtype, out: Any) -> np.ndarray:
    if out is None:
        return empty(shape, dtype)
    check_out(out, shape, dtype)
    if out.dtype != dtype:
        raise ValueError(f"out has dtype {out.dtype}; the gradient is {dtype}: pass dtype={str(out.dtype)!r} too")
    return out


def _spread(call: _Call, g: np.ndarray, w: np.ndarray, y: np.ndarray, pads: tuple[tuple[int, int], ...]) -> Job:
    """y: what the results' gradients come to at each value that was read, or padded.  Returns what was done."""
    geometry = Geometry(call.geometry.stride, pads, call.geometry.dilation, y.shape[2:], "zeros", 0)
    w = w if not np.may_share_memory(w, y) else w.copy()
    job = Job(g, w, None, y, geometry, call.groups, 0, call.dtype, call.dtype, None, None, call.threads, "auto")
    with np.errstate(all="ignore"):
        spread(job)
    return job


def _folded(padded: np.ndarray, sizes: tuple[int, ...], geometry: Geometry) -> np.ndarray:
    """What stands on a border, added to the values that it repeats."""
    for axis, (n, (before, after)) in enumerate(zip(sizes, geometry.pads, strict=True)):
        where = loop.border_map(n, before, after, geometry.mode)
        lines = np.moveaxis(padded, 2 + axis, 0)
        sums = lines[before : before + n].copy()
        for at in (*range(before), *range(before + n, before + n + after)):
            sums[where[at]] += lines[at]
        padded = np.moveaxis(sums, 0, 2 + axis)
    return padded


def _gather(call: _Call, x: np.ndarray, g: np.ndarray, grad: np.ndarray) -> engine.Plan | None:
    """grad[o, c, k] = sum over samples and positions p of g[o, p] x[c, p s + k d - before].

    The engine has ways whose vectors run along the positions or across the output channels.  Where these do not serve, it is a convolution:
    its kernel is g, its channels are the samples, stride and dilation change places, and its vectors run along the channels.
    Returns the plan, if there was one, for arrays of the same layout.
    """
    if g.size == 0 or x.size == 0 and call.geometry.value == 0:
        grad[...] = 0
        return None
    served, plan = _by_products(call, x, g, grad)
    if served:
        return plan
    if grad.ndim < 5:
        _along_channels(call, x, g.swapaxes(0, 1), call.geometry, grad)
    else:  # the slices that a depth of the kernel sees count as samples
        geometry = call.geometry
        flat = geometry._replace(**{name: getattr(geometry, name)[1:] for name in ("stride", "pads", "dilation", "sizes")})
        slices = np.moveaxis(g, 1, 0).reshape(len(grad), -1, *g.shape[3:])
        for k in range(grad.shape[2]):
            _along_channels(call, _slices(x.swapaxes(1, 2), geometry, k), slices, flat, grad[:, :, k])
    return None


def _again(
    plan: engine.Plan, batched: bool, last: bool, shape: tuple[int, ...], kind: np.dtype, x: Any, g: Any, bias: None, out: Any, workers: Any
) -> np.ndarray:
    """The gradient for other values in arrays of the same layout, for `recall`."""
    grad = empty(shape, kind) if out is None else out
    share(plan, planes(x, batched, last), planes(g, batched, last), bias, grad, threads_for(plan, workers))
    return grad


def _by_products(call: _Call, x: np.ndarray, g: np.ndarray, grad: np.ndarray) -> tuple[bool, engine.Plan | None]:
    """False where the other way is faster, or a result is not finite: values beside a row's end would have been multiplied by zeros; and the
    plan, if it is for the arrays as they came."""
    geometry, missing = call.geometry, 5 - grad.ndim
    came = x, g
    x = x if as_it_lies(x) and x.dtype in engine.TYPES else x.astype(call.dtype)
    g = g if as_it_lies(g) and g.dtype == call.dtype else g.astype(call.dtype)
    plan = engine.Plan(
        lift(x), lift(grad), lift(g), call.dtype, (1,) * missing + geometry.stride, ((0, 0),) * missing + geometry.pads,
        (1,) * missing + geometry.dilation, call.groups, geometry.mode, geometry.value, isa=forced_isa(), gradient="weight",
    )
    if plan.overhead > _overhead_along_channels(call, grad, g):
        return False, None
    try:
        share(plan, x, g, None, grad, call.threads)
    except engine.NotFinite:
        return False, None
    return True, plan if came[0] is x and came[1] is g else None


def _overhead_along_channels(call: _Call, grad: np.ndarray, g: np.ndarray) -> float:
    """What the other way takes for each of its multiplications: vectors that are not full, loads that few outputs share, values brought in
    order (measured)."""
    outputs, channels, vector = len(grad) // call.groups, grad.shape[1], 64 // call.dtype.itemsize
    each = (1.25 + 6.6 / outputs + 20 * len(grad) / g.size) * -(-channels // vector) * vector / channels
    return each + 100 / (outputs * math.prod(grad.shape[2:]))


def _along_channels(call: _Call, x: np.ndarray, g: np.ndarray, geometry: Geometry, grad: np.ndarray) -> None:
    """Of x (N, C, up to two axes) and g (O, N, positions...), by one convolution whose results lie along C."""
    groups, channels = call.groups, grad.shape[1]
    lines = x.reshape(len(x), groups, channels, *x.shape[2:]).swapaxes(0, 1)        # (groups, N, C/groups, spatial...)
    lines = np.moveaxis(lines, 2, -1).reshape(1, groups * len(x), *x.shape[2:], channels)
    plain = _turned(geometry, x.shape[2:], grad.shape[2:])
    turned = Geometry((*plain.stride, 1), (*plain.pads, (0, 0)), (*plain.dilation, 1), (*plain.sizes, channels), plain.mode, plain.value)
    _products(call, lines, g[..., None], turned, np.moveaxis(grad, 1, -1)[None])


def _turned(geometry: Geometry, sizes: tuple[int, ...], kernel: tuple[int, ...]) -> Geometry:
    """Of the convolution whose kernel is the result's gradient, and whose result is the kernel's."""
    pads = tuple((before, d * (k - 1) + s * (m - 1) + 1 - n - before) for n, k, m, s, d, (before, _) in zip(
        sizes, kernel, geometry.sizes, geometry.stride, geometry.dilation, geometry.pads, strict=True))
    return Geometry(geometry.dilation, pads, geometry.stride, kernel, geometry.mode, geometry.value)


def _products(call: _Call, x: np.ndarray, w: np.ndarray, geometry: Geometry, y: np.ndarray) -> None:
    run(Job(x, w, None, y, geometry, call.groups, geometry.value, call.dtype, call.dtype, None, None, call.threads, "direct"))


def _slices(x: np.ndarray, geometry: Geometry, k: int) -> np.ndarray:
    """Of x (N, D, ...) the slices that the k-th depth of the kernel sees, as samples (N D', ...)."""
    s, d, before = geometry.stride[0], geometry.dilation[0], geometry.pads[0][0]
    at = loop.tap_map(x.shape[1], before - k * d, 0, (geometry.sizes[0] - 1) * s + 1, 1, 1, 1, geometry.mode)[0][::s]
    seen = x[:, np.maximum(at, 0)] if x.shape[1] else np.zeros((len(x), len(at), *x.shape[2:]), x.dtype)
    if (at < 0).any():
        seen[:, at < 0] = geometry.value
    return seen.reshape(-1, *x.shape[2:])
