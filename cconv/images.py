"""Filtering pictures: correlate, convolve, pad.  The vocabulary of the picture people."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from . import loop
from .dtypes import as_array, default_dtype, store
from .geometry import addressable, integer, one_of, resolve_padding, shown
from .operation import check_border, real_number, recall, resolve_geometry
from .operation import correlate as _correlate

AUTO = "auto"


def correlate(
    image: Any, kernel: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    padding_mode: str = "zeros", padding_value: float = 0.0, normalize: Any = False, bias: float = 0.0,
    channel_axis: int | str | None = AUTO, dtype: Any = None, out: np.ndarray | None = None,
    workers: int | None = None, algorithm: str = "auto",
) -> np.ndarray:
    """Cross-correlation of an image with a kernel (the kernel is not flipped).

    Each pixel of the result is the sum of the pixels under the kernel, each times its tap.

    Parameters
    ----------
    image : array_like, shape (H, W), (H, W, C), or the same with 1 or 3 spatial axes
        Any strides, byte order and alignment; never written to.
    kernel : array_like, shape (KH, KW)
        Its axes are the spatial axes: 1, 2 or 3.  Every channel is filtered with it.
    stride, dilation : int or one int per spatial axis
        At least 1.
    padding : int, one per axis, a pair (before, after) per axis, or str
        "valid" (none, the default), "same", "full", "same_upper", "same_lower": see `conv2d`.
        "same" puts the odd one of an even kernel after; SciPy and OpenCV put it before, which is
        ``padding=[(k//2, (k - 1)//2) for k in kernel.shape]``.
    padding_mode : str
        "zeros", "constant", "edge", "reflect", "symmetric" or "wrap", as in `numpy.pad`, at any
        width; also "replicate", "nearest" (edge), "mirror" (reflect), "circular" (wrap).
        What SciPy calls "reflect" is "symmetric" here.
    padding_value : float
        What "constant" means.
    normalize : False, "size" or "sum"
        Divide each sum of products by the number of taps, or by the sum of the kernel.
    bias : float
        Added to every pixel of the result, after normalising.
    channel_axis : int, None or "auto"
        Which axis of the image holds channels.  "auto": the last one if the image has one axis
        more than the kernel.  None: no axis does.
    dtype : dtype, optional
        Of the result.  By default float32 for bool, 8- and 16-bit integers, float16 and float32
        images, float64 for the others.  An integer dtype is rounded half to even and saturated,
        never wrapped; with an integer image and kernel the sums are exact.
    out : ndarray, optional
        Takes the result and is returned: exact shape, any strides, may overlap the image.
    workers : int, optional
        Threads; by default all cores (see `set_workers`).  The result does not depend on it.
    algorithm : {"auto", "direct", "fast", "loop", "rows", "taps", "winograd", "separable", "fft", "box", "integer"}
        "auto" chooses among ways whose results depend on nothing outside their windows, and so does "direct":
        each is within 16 eps (sum(abs(w * x)) + abs(bias)) of the exact one (docs/design.md names the
        exception: sums of over 28 taps made to round in one direction).  Kernels that are a product of a
        column and a row, all of one value, or (over 8 bits) of small whole numbers, are found.  "fast" also
        takes "fft" for large kernels: results within 16 eps max(abs(x)) * sum(abs(w)).  The others force one
        way or raise ValueError.

    Returns
    -------
    ndarray, shape (H', W') or (H', W', C)
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
    >>> x = np.array([[1, 2, 4, 2, 1], [4, 7, 3, 2, 1], [4, 5, 2, 3, 1]])
    >>> k = np.array([[1, 0, 1], [0, 2, 1], [1, 0, 1]])
    >>> cconv.correlate(x, k)
    array([[28., 20., 13.]])
    >>> cconv.correlate(x, k, normalize="size", dtype=np.uint8)
    array([[3, 2, 1]], dtype=uint8)
    """
    result: np.ndarray = _filter(kernel, False, image, stride, padding, dilation, padding_mode, padding_value,
                                 normalize, bias, channel_axis, dtype, out, workers, algorithm)
    return result


def convolve(
    image: Any, kernel: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    padding_mode: str = "zeros", padding_value: float = 0.0, normalize: Any = False, bias: float = 0.0,
    channel_axis: int | str | None = AUTO, dtype: Any = None, out: np.ndarray | None = None,
    workers: int | None = None, algorithm: str = "auto",
) -> np.ndarray:
    """Mathematical convolution of an image with a kernel (the kernel is flipped along every axis).

    Otherwise the same as `correlate`, in all arguments, results and errors.

    Parameters
    ----------
    image : array_like, shape (H, W), (H, W, C), or the same with 1 or 3 spatial axes
    kernel : array_like, shape (KH, KW)
    stride, padding, dilation, padding_mode, padding_value, normalize, bias, channel_axis, dtype, \
out, workers, algorithm
        As in `correlate`.

    Returns
    -------
    ndarray, shape (H', W') or (H', W', C)

    Raises
    ------
    TypeError, ValueError, OverflowError
        As in `correlate`.

    Examples
    --------
    >>> import numpy as np, cconv
    >>> cconv.convolve(np.array([0., 0, 1, 0, 0]), np.array([1., 2., 3.]))
    array([1., 2., 3.])
    >>> cconv.correlate(np.array([0., 0, 1, 0, 0]), np.array([1., 2., 3.]))
    array([3., 2., 1.])
    """
    result: np.ndarray = _filter(kernel, True, image, stride, padding, dilation, padding_mode, padding_value,
                                 normalize, bias, channel_axis, dtype, out, workers, algorithm)
    return result


def flip(kernel: np.ndarray) -> np.ndarray:
    """The kernel reversed along every axis, as a view: what tells convolution from correlation."""
    return kernel[(slice(None, None, -1),) * kernel.ndim]


def _filter(
    kernel: Any, flipped: bool, image: Any, stride: Any, padding: Any, dilation: Any, padding_mode: Any,
    padding_value: Any, normalize: Any, bias: Any, channel_axis: Any, dtype: Any, out: Any, workers: Any,
    algorithm: Any, do: Callable[..., Any] = _correlate,
) -> Any:
    """Check what only pictures know, then `do` it: compute, or explain."""
    plain = normalize is None or normalize is False or isinstance(normalize, str) and normalize == "size"
    if do is _correlate and plain and type(bias) in (int, float) and bias == 0:
        options = ("image", stride, padding, dilation, padding_mode, normalize or None, channel_axis, algorithm)
        taps = flip(kernel) if flipped and isinstance(kernel, np.ndarray) else kernel
        key, result = recall(options, (padding_value,), dtype, image, taps, None, out, workers)
        if result is not None:
            return result
        do = partial(_correlate, key=key)
    x, w = as_array("image", image), as_array("kernel", kernel)
    axes = w.ndim
    if axes not in (1, 2, 3) or w.size == 0:
        raise ValueError(f"kernel has shape {w.shape}; want 1, 2 or 3 axes, each of at least one tap")
    channels = _channel_axis(x, axes, channel_axis)
    offset = real_number("bias", bias)
    if isinstance(offset, float) and offset.is_integer() and abs(offset) < 2**63:
        offset = int(offset)  # keeps a sum of integers exact
    divisor = _divisor(w, normalize)

    def planes(array: np.ndarray) -> np.ndarray:  # every channel is a sample of one channel
        return array[None, None] if channels is None else np.moveaxis(array, channels, 0)[:, None]

    try:
        geometry = resolve_geometry(
            planes(x).shape[2:], w.shape, stride, padding, dilation, padding_mode, padding_value
        )
    except ValueError as error:
        if channels is not None and channel_axis == AUTO and x.shape[0] <= 4 and "nothing would" in str(error):
            raise ValueError(f"{error}; channels first? pass channel_axis=0") from None
        raise
    shape = list(geometry.sizes)
    if channels is not None:
        shape.insert(channels, x.shape[channels])
    b = None if offset == 0 else np.array([offset])
    return do(
        x, (flip(w) if flipped else w)[None, None], b, geometry, name="image", planes=planes, shape=shape,
        natural=default_dtype(x.dtype), dtype=dtype, out=out, divisor=divisor, workers=workers,
        algorithm=algorithm,
    )


def _channel_axis(x: np.ndarray, axes: int, channel_axis: Any) -> int | None:
    """Which axis of the image holds channels, counted from the front; None: no axis does."""
    if isinstance(channel_axis, str):
        if channel_axis != AUTO:
            raise ValueError(f"channel_axis={shown(channel_axis)}; want an integer, None or {AUTO!r}")
        if x.ndim in (axes, axes + 1):
            return axes if x.ndim > axes else None
        raise ValueError(
            f"image has shape {x.shape}, {x.ndim} axes, but the kernel has {axes}: want an image of "
            f"{axes} axes, or {axes + 1} with channels"
        )
    axis = None if channel_axis is None else integer("channel_axis", channel_axis, -axes - 1, axes)
    wanted = axes if axis is None else axes + 1
    if x.ndim != wanted:
        raise ValueError(
            f"image has shape {x.shape}, {x.ndim} axes; with channel_axis={axis} and a kernel "
            f"of {axes} axes it needs {wanted}"
        )
    return None if axis is None else axis % x.ndim


def _divisor(kernel: np.ndarray, normalize: Any) -> float | None:
    """What `normalize` divides the sums of products by."""
    if normalize is False or normalize is None:
        return None
    if normalize is True:
        raise ValueError("normalize=True does not say how: pass 'size' (number of taps) or 'sum' (of the kernel)")
    if one_of("normalize", normalize, ("size", "sum")) == "size":
        return float(kernel.size) if kernel.size > 1 else None
    # Python's integers do not wrap
    with np.errstate(all="ignore"):
        total = float(kernel.sum(dtype=object if kernel.dtype.kind in "iu" else np.float64))
    if total == 0:
        raise ValueError("normalize='sum' cannot divide by the kernel's sum, 0: pass 'size' or False")
    return total


def pad(
    image: Any, padding: Any, padding_mode: str = "zeros", padding_value: float = 0.0, *,
    channel_axis: int | None = None,
) -> np.ndarray:
    """An image with a border around it: the borders of `numpy.pad`, or zoomed to the padded size.

    Parameters
    ----------
    image : array_like, shape (H, W), (H, W, C), or any number of axes
    padding : int, one per axis, or a pair (before, after) per axis
        In pixels, for every axis but `channel_axis`.  Two numbers are one for each of two axes
        (for `numpy.pad` they are before and after).
    padding_mode : str
        "zeros", "constant", "edge", "reflect", "symmetric", "wrap" and their other names as in
        `correlate`, or "resize": the image zoomed to the padded size, bilinear between pixel
        centres (the border takes part in nothing: there is none).
    padding_value : float
        What "constant" means.  Rounded and saturated if the image holds integers.
    channel_axis : int, optional
        An axis that is not padded, -1 for a picture (H, W, C).  By default all are, as in `numpy.pad`.

    Returns
    -------
    ndarray of the image's dtype

    Raises
    ------
    TypeError, ValueError
        For arguments that do not fit, and an empty axis that has nothing to repeat.

    Examples
    --------
    >>> import cconv
    >>> cconv.pad([1, 2, 3, 4], 3, "reflect")
    array([4, 3, 2, 1, 2, 3, 4, 3, 2, 1])
    >>> cconv.pad([[0., 8.]], ((0, 0), (1, 1)), "resize")
    array([[0., 2., 6., 8.]])
    """
    x = as_array("image", image)
    if isinstance(padding, str):
        raise TypeError(f"padding is {shown(padding)}; want an integer, one per axis, or a pair per axis")
    channels = None
    if channel_axis is not None:
        channels = integer("channel_axis", channel_axis, -x.ndim, x.ndim - 1) % x.ndim
    sizes = [n for axis, n in enumerate(x.shape) if axis != channels]
    ones = (1,) * len(sizes)
    try:
        pads = list(resolve_padding(padding, sizes, ones, ones, ones))
    except ValueError as error:
        if x.ndim == 3 and channels is None and hasattr(padding, "__len__") and len(padding) == 2:
            raise ValueError(f"{error}; a picture with channels? pass channel_axis=-1") from None
        raise
    if channels is not None:
        pads.insert(channels, (0, 0))
    shape = addressable([before + n + after for n, (before, after) in zip(x.shape, pads, strict=True)])
    if isinstance(padding_mode, str) and padding_mode == "resize":
        return _zoom(x, shape)
    one_of("padding_mode", padding_mode, (*loop.BORDERS, "resize"))
    mode, value = check_border(padding_mode, padding_value)
    maps = [loop.border_map(n, *pair, mode) for n, pair in zip(x.shape, pads, strict=True)]
    result = np.empty(shape, x.dtype)
    result[...] = _as_dtype(np.array(value), x.dtype)
    inside = [np.flatnonzero(m >= 0) for m in maps]
    result[np.ix_(*inside)] = x[np.ix_(*(m[i] for m, i in zip(maps, inside, strict=True)))]
    return result


def _as_dtype(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Numbers as an image of `dtype` holds them: rounded, saturated; bool from one half up."""
    if dtype.kind == "b":
        return values >= 0.5
    result = np.empty(values.shape, dtype)
    store(values, dtype, result)
    return result


def _zoom(x: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    """Bilinear interpolation at (i + 1/2) n / size - 1/2 along each axis, edge values beyond."""
    if 0 in x.shape:
        raise ValueError(f"image has shape {x.shape}: there is nothing to zoom")
    y = x.astype(np.float64)
    for axis, (n, size) in enumerate(zip(x.shape, sizes, strict=True)):
        place = np.clip((np.arange(size) + 0.5) * n / size - 0.5, 0, n - 1)
        left = np.minimum(place.astype(np.intp), max(n - 2, 0))
        part = (place - left).reshape(-1, *[1] * (x.ndim - axis - 1))
        y = y.take(left, axis) * (1 - part) + y.take(np.minimum(left + 1, n - 1), axis) * part
    return _as_dtype(y, x.dtype)
