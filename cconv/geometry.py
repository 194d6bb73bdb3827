"""Sizes, padding, stride, dilation: pure functions, the one place of that arithmetic.

Spatial axes only, in the order of the arrays.  Integers and words are checked here, so that each
kind of mistake has one wording.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

LARGEST = 2**60  # of any single size: sums of several stay inside 64 bits
ADDRESSABLE = 2**56  # values of an array: several such, in bytes, stay inside 64 bits

PADDING_WORDS = ("valid", "same", "same_upper", "same_lower", "full")


def shown(value: object) -> str:
    """What came, for an error message: one short line whatever it is."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 10**30:
        return f"an integer of {value.bit_length()} bits"
    try:
        text = " ".join(repr(value).split())
    except Exception:  # a foreign type may raise anything
        text = "something"
    return text if len(text) <= 80 else f"{text[:77]}..."


def one_of(name: str, word: object, known: Iterable[str]) -> str:
    """`word`, if it is a known one."""
    if isinstance(word, str) and word in known:
        return word
    import difflib

    known = list(known)
    listed = ", ".join(repr(k) for k in known)
    if not isinstance(word, str):
        raise TypeError(f"{name} is {shown(word)} ({type(word).__name__}); want one of {listed}")
    near = difflib.get_close_matches(word.lower(), known, 1, 0.7)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"{name}={shown(word)} is not known: want one of {listed}{hint}")


def integer(name: str, value: Any, least: int = 1, most: int | None = None) -> int:
    """`value` as an int in a range; booleans and fractions are refused."""
    if type(value) is int and least <= value <= (LARGEST if most is None else most):
        return value
    wanted = f"want an integer of at least {least}" if most is None else f"want an integer from {least} to {most}"
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} is {value!r}, a boolean; {wanted}")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(
            f"{name} is {shown(value)} ({type(value).__name__}); {wanted}"
        ) from None
    if number < least or most is not None and number > most:
        raise ValueError(f"{name} is {shown(number)}; {wanted}")
    if number > LARGEST:
        raise OverflowError(f"{name} is {shown(number)}; no size above 2**60 can be computed with")
    return number


def is_sequence(value: object) -> bool:
    """Whether `value` holds several entries: a tuple, a list, an array of one axis or more."""
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def per_axis(name: str, value: Any, axes: int, least: int = 1) -> tuple[int, ...]:
    """One integer for each axis, from one for all or one for each."""
    if not is_sequence(value):
        return (integer(name, value, least),) * axes
    if len(value) == 1 and axes > 1:
        return (integer(f"{name}[0]", value[0], least),) * axes
    if len(value) != axes:
        raise ValueError(
            f"{name}={shown(value)} has {len(value)} entries; want one integer, or one for each of "
            f"the {axes} {'axis' if axes == 1 else 'axes'}"
        )
    return tuple(integer(f"{name}[{i}]", v, least) for i, v in enumerate(value))


def resolve_padding(
    padding: Any,
    sizes: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
) -> tuple[tuple[int, int], ...]:
    """(before, after) of every axis, from a number, one per axis, a pair per axis, or a word."""
    axes = len(sizes)
    if isinstance(padding, str):
        word = one_of("padding", padding, PADDING_WORDS)
        return tuple(
            _word_padding(word, n, k, s, d)
            for n, k, s, d in zip(sizes, kernel, stride, dilation, strict=True)
        )
    if is_sequence(padding) and len(padding) and any(is_sequence(p) for p in padding):
        if len(padding) != axes or any(not is_sequence(p) or len(p) != 2 for p in padding):
            raise ValueError(
                f"padding={shown(padding)} does not fit: want one integer, one for each of the {axes} "
                f"axes, or a pair (before, after) for each"
            )
        pairs = (per_axis(f"padding[{i}]", p, 2, 0) for i, p in enumerate(padding))
        return tuple((before, after) for before, after in pairs)
    return tuple((p, p) for p in per_axis("padding", padding, axes, 0))


def _word_padding(word: str, n: int, k: int, s: int, d: int) -> tuple[int, int]:
    reach = d * (k - 1)
    if word == "valid":
        return 0, 0
    if word == "full":
        return reach, reach
    if word == "same":  # torch's rule: the same for every input, the odd one after
        return reach // 2, reach - reach // 2
    total = max(0, (-(-n // s) - 1) * s + reach + 1 - n)  # ONNX's and TensorFlow's rule
    less, more = total // 2, total - total // 2
    return (less, more) if word == "same_upper" else (more, less)


def output_sizes(
    sizes: Sequence[int],
    kernel: Sequence[int],
    pads: Sequence[tuple[int, int]],
    stride: Sequence[int],
    dilation: Sequence[int],
) -> tuple[int, ...]:
    """floor((n + before + after - d (k - 1) - 1) / s) + 1 of every axis, each at least 1."""
    result = []
    for axis, (n, k, (before, after), s, d) in enumerate(
        zip(sizes, kernel, pads, stride, dilation, strict=True)
    ):
        size = (n + before + after - d * (k - 1) - 1) // s + 1
        if n + before + after > 2 * LARGEST:
            raise OverflowError(f"padding makes spatial axis {axis} {n + before + after} long: more than 2**61")
        if size < 1:
            raise ValueError(
                f"nothing would be left of spatial axis {axis}: floor(({n} + {before} + {after} - "
                f"{d}*({k} - 1) - 1) / {s}) + 1 = {size}; want at least 1: a larger padding, a "
                f"smaller kernel or a smaller dilation"
            )
        if size > LARGEST:
            raise OverflowError(f"spatial axis {axis} of the result would hold {size} values: too many")
        result.append(size)
    return tuple(result)


def addressable(shape: Sequence[int]) -> tuple[int, ...]:
    """`shape`, when an array of that shape could be addressed."""
    total = math.prod(shape)
    if total > ADDRESSABLE:
        raise OverflowError(
            f"the result would have shape {tuple(shape)}: {total} values, more than can be "
            f"addressed; want a smaller padding or a larger stride"
        )
    return tuple(shape)


def output_shape(
    input_shape: Any, kernel_size: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1
) -> tuple[int, ...]:
    """Spatial shape of a convolution's result, without computing it.

    Parameters
    ----------
    input_shape : int or sequence of int
        Spatial sizes of the input, ``(H, W)`` for a picture: no batch, no channels.
    kernel_size : int or sequence of int
        Sizes of the kernel, one for all axes or one for each.
    stride, padding, dilation
        As in `conv2d`; padding words are allowed.

    Returns
    -------
    tuple of int
        ``floor((n + before + after - d*(k - 1) - 1) / s) + 1`` for each axis.

    Raises
    ------
    ValueError
        When a size would be less than 1; the message prints the arithmetic.

    Examples
    --------
    >>> import cconv
    >>> cconv.output_shape((459, 612), 5, stride=2, padding=2)
    (230, 306)
    """
    axes = len(input_shape) if is_sequence(input_shape) else 1
    if axes == 0:
        raise ValueError("input_shape is empty; want the spatial sizes, like (H, W)")
    sizes = per_axis("input_shape", input_shape, axes, 0)
    kernel = per_axis("kernel_size", kernel_size, axes)
    strides = per_axis("stride", stride, axes)
    dilations = per_axis("dilation", dilation, axes)
    pads = resolve_padding(padding, sizes, kernel, strides, dilations)
    return output_sizes(sizes, kernel, pads, strides, dilations)
