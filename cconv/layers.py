"""Network layers: the vocabulary of torch.nn.functional, for NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .dtypes import as_array, default_dtype
from .geometry import integer, one_of
from .operation import correlate, recall, resolve_geometry

LAYOUTS = ("channels_first", "channels_last")


def conv1d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1, *, padding_mode: str = "zeros", padding_value: float = 0.0,
    layout: str = "channels_first", activation: Any = None, dtype: Any = None,
    out: np.ndarray | None = None, workers: int | None = None, algorithm: str = "auto",
) -> np.ndarray:
    """Cross-correlation of a batch of signals with filters (the kernel is not flipped).

    Parameters
    ----------
    input : array_like, shape (N, C, L) or (C, L)
        With ``layout="channels_last"`` (N, L, C) or (L, C).
    weight : array_like, shape (O, C/groups, K)
    bias : array_like, shape (O,), optional
    stride, padding, dilation, groups, padding_mode, padding_value, layout, activation, dtype, \
out, workers, algorithm
        As in `conv2d`.

    Returns
    -------
    ndarray, shape (N, O, L') or (O, L'), in the layout of the input

    Raises
    ------
    TypeError, ValueError, OverflowError
        As in `conv2d`.

    Examples
    --------
    >>> import numpy as np, cconv
    >>> x = np.array([[1., 2., 4., 8.]])          # one channel
    >>> w = np.array([[[1., -1.]]])               # one filter of two taps
    >>> cconv.conv1d(x, w)
    array([[-1., -2., -4.]])
    """
    result: np.ndarray = _conv(1, input, weight, bias, stride, padding, dilation, groups, padding_mode,
                               padding_value, layout, activation, dtype, out, workers, algorithm)
    return result


def conv2d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1, *, padding_mode: str = "zeros", padding_value: float = 0.0,
    layout: str = "channels_first", activation: Any = None, dtype: Any = None,
    out: np.ndarray | None = None, workers: int | None = None, algorithm: str = "auto",
) -> np.ndarray:
    """Cross-correlation of a batch of pictures with filters (the kernel is not flipped).

    ``y[n, o, r, j] = bias[o] + sum(weight[o, c, kh, kw] * x[n, c', r*s + kh*d, j*s + kw*d])``
    over c, kh, kw, with stride s, dilation d, and c' the c-th channel of o's group.  Arguments
    are named and ordered as in ``torch.nn.functional.conv2d``.

    Parameters
    ----------
    input : array_like, shape (N, C, H, W) or (C, H, W)
        With ``layout="channels_last"`` (N, H, W, C) or (H, W, C).  Any strides, byte order and
        alignment; never written to.
    weight : array_like, shape (O, C/groups, KH, KW)
        Whatever the layout.
    bias : array_like, shape (O,), optional
    stride, dilation : int or (int, int)
        At least 1.
    padding : int, (int, int), ((top, bottom), (left, right)) or str
        "valid": none.  "full": ``d*(k-1)`` on both sides.  "same": ``d*(k-1)`` in all, the odd one
        after (torch's rule).  "same_upper", "same_lower": as much as gives ``ceil(n/stride)``
        positions, the odd one after or before (the rule of ONNX and TensorFlow).
    groups : int
        Divides C and O; each group of outputs sees its own group of channels.
    padding_mode : str
        "zeros", "constant", "edge", "reflect", "symmetric" or "wrap", as in `numpy.pad`, at any
        width; also "replicate", "nearest" (edge), "mirror" (reflect), "circular" (wrap).
    padding_value : float
        What "constant" means.
    layout : {"channels_first", "channels_last"}
        Of input and result.
    activation : None, "relu" or ("clip", low, high)
        Applied to the result.
    dtype : dtype, optional
        Of the result.  By default ``numpy.result_type(input, weight)``; where that is an integer
        or bool: float32 up to 16 bits, float64 above.  An integer dtype is rounded half to even and
        saturated; sums of integers are then exact.
    out : ndarray, optional
        Takes the result and is returned: exact shape, any strides, may overlap the inputs.
    workers : int, optional
        Threads; by default all cores (see `set_workers`).  The result does not depend on it.
    algorithm : {"auto", "direct", "fast", "loop", "rows", "taps", "winograd", "separable", "fft", "box", "integer"}
        "auto" chooses, from 16 output channels up also "winograd": its results share work with their neighbours,
        and each is within 16 eps max(abs(x)) * sum(abs(w)) of the exact one.  "direct" chooses among the others, whose
        results depend on nothing outside their windows, within 16 eps (sum(abs(w * x)) + abs(bias)) (docs/design.md
        names the exception: sums of over 28 taps made to round in one direction).  "fast"
        is "auto" with "winograd" for any number of channels and "fft" for large single kernels.  The rest
        force one way or raise ValueError.

    Returns
    -------
    ndarray, shape (N, O, H', W') or (O, H', W'), in the layout of the input
        ``H' = floor((H + top + bottom - d*(KH - 1) - 1) / s) + 1``, W' alike.

    Raises
    ------
    TypeError
        For masked, lazy, complex or object arrays, and arguments of the wrong kind.
    ValueError
        For shapes and values that do not fit, unknown words, and an empty result.
    OverflowError
        When an exact sum of integers may not fit int64, or a size cannot be addressed.

    Examples
    --------
    >>> import numpy as np, cconv
    >>> x = np.arange(12.).reshape(1, 1, 3, 4)
    >>> w = np.array([[[[0., 1.], [1., 0.]]]])
    >>> cconv.conv2d(x, w, bias=[100])
    array([[[[105., 107., 109.],
             [113., 115., 117.]]]])
    >>> cconv.conv2d(x, w, stride=2, padding=1).shape
    (1, 1, 2, 3)
    """
    result: np.ndarray = _conv(2, input, weight, bias, stride, padding, dilation, groups, padding_mode,
                               padding_value, layout, activation, dtype, out, workers, algorithm)
    return result


def conv3d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1, *, padding_mode: str = "zeros", padding_value: float = 0.0,
    layout: str = "channels_first", activation: Any = None, dtype: Any = None,
    out: np.ndarray | None = None, workers: int | None = None, algorithm: str = "auto",
) -> np.ndarray:
    """Cross-correlation of a batch of volumes with filters (the kernel is not flipped).

    Parameters
    ----------
    input : array_like, shape (N, C, D, H, W) or (C, D, H, W)
        With ``layout="channels_last"`` (N, D, H, W, C) or (D, H, W, C).
    weight : array_like, shape (O, C/groups, KD, KH, KW)
    bias : array_like, shape (O,), optional
    stride, padding, dilation, groups, padding_mode, padding_value, layout, activation, dtype, \
out, workers, algorithm
        As in `conv2d`, with three axes.

    Returns
    -------
    ndarray, shape (N, O, D', H', W') or (O, D', H', W'), in the layout of the input

    Raises
    ------
    TypeError, ValueError, OverflowError
        As in `conv2d`.

    Examples
    --------
    >>> import numpy as np, cconv
    >>> x = np.ones((1, 2, 4, 5, 6), np.float32)
    >>> w = np.ones((3, 2, 2, 2, 2), np.float32)
    >>> y = cconv.conv3d(x, w)
    >>> y.shape, float(y.max())
    ((1, 3, 3, 4, 5), 16.0)
    """
    result: np.ndarray = _conv(3, input, weight, bias, stride, padding, dilation, groups, padding_mode,
                               padding_value, layout, activation, dtype, out, workers, algorithm)
    return result


def _conv(
    axes: int, input: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: Any,
    padding_mode: Any, padding_value: Any, layout: Any, activation: Any, dtype: Any, out: Any,
    workers: Any, algorithm: Any, do: Callable[..., Any] = correlate,
) -> Any:
    """Check what only layers know, then `do` it: compute, or explain."""
    if do is correlate:
        options = (axes, stride, padding, dilation, groups, padding_mode, layout, algorithm)
        key, result = recall(options, (padding_value, activation), dtype, input, weight, bias, out, workers)
        if result is not None:
            return result
        do = partial(correlate, key=key)
    x, w = as_array("input", input), as_array("weight", weight)
    b = None if bias is None else as_array("bias", bias)
    last = one_of("layout", layout, LAYOUTS) == "channels_last"
    groups = integer("groups", groups)
    check_shapes(axes, x, w, b, groups, last)

    batched = x.ndim == axes + 2

    def planes(array: np.ndarray) -> np.ndarray:
        array = array if batched else array[None]
        return np.moveaxis(array, -1, 1) if last else array

    geometry = resolve_geometry(
        planes(x).shape[2:], w.shape[2:], stride, padding, dilation, padding_mode, padding_value
    )
    sample = (*geometry.sizes, w.shape[0]) if last else (w.shape[0], *geometry.sizes)
    natural = np.result_type(x.dtype, w.dtype).newbyteorder("=")
    return do(
        x, w, b, geometry, groups, name="input", planes=planes,
        shape=(len(x), *sample) if batched else sample,
        natural=natural if natural.kind == "f" else default_dtype(natural),
        dtype=dtype, out=out, activation=activation, workers=workers, algorithm=algorithm,
    )


def check_axes(name: str, leading: str, axes: int, x: np.ndarray, w: np.ndarray, last: bool) -> tuple[int, int]:
    """Which axis of input holds channels, and which would in the other layout; weight is (leading..., taps...)."""
    spatial = ("L",) if axes == 1 else ("D", "H", "W")[3 - axes :]
    sample = ", ".join((*spatial, "C") if last else ("C", *spatial))
    if w.ndim != axes + 2:
        wanted = "K" if axes == 1 else ", ".join(f"K{s}" for s in spatial)
        raise ValueError(
            f"weight has shape {w.shape}, {w.ndim} axes; {name}{axes}d wants {axes + 2}: ({leading}, {wanted})"
            + ("; for a plain picture and kernel use cconv.correlate" if x.ndim == w.ndim == axes else "")
        )
    if x.ndim not in (axes + 1, axes + 2):
        raise ValueError(
            f"input has shape {x.shape}, {x.ndim} axes; {name}{axes}d wants {axes + 2}: (N, {sample}), "
            f"or {axes + 1}: ({sample})" + ("; add the channel axis with input[None]" if x.ndim == axes else "")
        )
    if 0 in w.shape:
        raise ValueError(f"weight has shape {w.shape}: it is empty; every axis must have at least one entry")
    first, final = x.ndim - axes - 1, x.ndim - 1
    return (final, first) if last else (first, final)


def other_layout(last: bool) -> str:
    """The hint where channels stand on the other axis."""
    return f": channels {'first' if last else 'last'}? pass layout='channels_{'first' if last else 'last'}'"


def check_shapes(
    axes: int, x: np.ndarray, w: np.ndarray, b: np.ndarray | None, groups: int, last: bool
) -> None:
    """input, weight and bias must fit each other and the number of groups."""
    axis, other = check_axes("conv", "O, C/groups", axes, x, w, last)
    channels, wanted_channels = x.shape[axis], w.shape[1] * groups
    if channels != wanted_channels:
        hint = ""
        if x.shape[other] == wanted_channels:
            hint = other_layout(last)
        elif channels and channels % w.shape[1] == 0 and w.shape[0] % (channels // w.shape[1]) == 0:
            hint = f": grouped? pass groups={channels // w.shape[1]}"
        per_group = f" ({w.shape[1]} for each of {groups} groups)" if groups > 1 else ""
        raise ValueError(
            f"input has {channels} channels on axis {axis} but weight wants {wanted_channels}{per_group}{hint}"
        )
    if w.shape[0] % groups:
        raise ValueError(
            f"groups={groups} does not divide the {w.shape[0]} output channels of weight {w.shape}; "
            f"want weight.shape[0] to be a multiple of groups"
        )
    check_bias(b, w.shape[0])


def check_bias(b: np.ndarray | None, outputs: int) -> None:
    if b is not None and b.shape != (outputs,):
        raise ValueError(f"bias has shape {b.shape}; want ({outputs},), one for each output channel")
