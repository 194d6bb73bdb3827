"""Sizes, padding, stride, dilation: pure functions, the one place of that arithmetic.

Spatial axes only, in the order of the arrays.  Every argument of a public call that is a number
or a word is checked here, so that each kind of mistake has one wording.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Any

LARGEST = 2**60  # of any single size: sums of a few of them stay inside 64 bits

PADDING_WORDS = ("valid", "same", "same_upper", "same_lower", "full")


def unknown_word(name: str, word: object, known: Iterable[str]) -> Exception:
    """The error for a word that is none of the known ones, with the nearest of them."""
    import difflib

    known = list(known)
    listed = ", ".join(repr(k) for k in known)
    if not isinstance(word, str):
        return TypeError(f"{name} is {word!r} ({type(word).__name__}); want one of {listed}")
    near = difflib.get_close_matches(word.lower(), known, 1, 0.4)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return ValueError(f"{name}={word!r} is not known: want one of {listed}{hint}")


def integer(name: str, value: Any, least: int = 1) -> int:
    """`value` as an int of at least `least`; booleans and fractions are refused."""
    kind = type(value).__name__
    if kind in ("bool", "bool_"):
        raise TypeError(f"{name} is {value!r}, a boolean; want an integer of at least {least}")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(
            f"{name} is {value!r} ({kind}); want an integer of at least {least}"
        ) from None
    if number < least:
        raise ValueError(f"{name} is {number}; want an integer of at least {least}")
    if number > LARGEST:
        raise OverflowError(f"{name} is {number}; no size above 2**60 can be computed with")
    return number


def is_sequence(value: object) -> bool:
    """Whether `value` holds several entries (a tuple, list or array of one axis or more)."""
    return hasattr(value, "__len__") and hasattr(value, "__getitem__") and getattr(value, "ndim", 1) > 0


def per_axis(name: str, value: Any, axes: int, least: int = 1) -> tuple[int, ...]:
    """One integer for each axis, from one for all or one for each."""
    if isinstance(value, str) or not is_sequence(value):
        return (integer(name, value, least),) * axes
    if len(value) == 1 and axes > 1:
        return (integer(f"{name}[0]", value[0], least),) * axes
    if len(value) != axes:
        raise ValueError(
            f"{name}={value!r} has {len(value)} entries; want one integer, or one for each of "
            f"the {axes} axes"
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
        if padding not in PADDING_WORDS:
            raise unknown_word("padding", padding, PADDING_WORDS)
        return tuple(
            _word_padding(padding, n, k, s, d)
            for n, k, s, d in zip(sizes, kernel, stride, dilation, strict=True)
        )
    if is_sequence(padding) and len(padding) and any(is_sequence(p) for p in padding):
        if len(padding) != axes or any(not is_sequence(p) or len(p) != 2 for p in padding):
            raise ValueError(
                f"padding={padding!r} does not fit: want one integer, one for each of the {axes} "
                f"axes, or a pair (before, after) for each"
            )
        return tuple(per_axis(f"padding[{i}]", p, 2, 0) for i, p in enumerate(padding))  # type: ignore[misc]
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
    """`shape`, when an array of 8-byte values of that shape could be addressed."""
    total = 8
    for n in shape:
        total *= n
    if total >= 2**63:
        raise OverflowError(
            f"the result would have shape {tuple(shape)}: {total // 8} values, more than can be "
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
