"""The words of the command line that mean numbers, kernels and a convolution's arguments."""

from __future__ import annotations

import argparse
import inspect
import math
import re
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from . import geometry, kernels, loop


class Usage(argparse.ArgumentTypeError):
    """A command line that cannot be meant."""


def join_negative(argv: Sequence[str]) -> list[str]:
    """`--bias -5e1` as `--bias=-5e1`: argparse takes a word with a leading minus for an option."""
    words: list[str] = []
    for word in argv:
        if words and re.fullmatch(r"--[a-z-]+", words[-1]) and re.match(r"-\.?\d", word):
            words[-1] += f"={word}"
        else:
            words.append(word)
    return words


def add_kernel(parser: argparse.ArgumentParser) -> None:
    """The options of a convolution, one wording for every command that computes one."""
    kernel = parser.add_mutually_exclusive_group(required=True)
    kernel.add_argument("--kernel", metavar="NAME[:SIZE[,PARAM]]", help="a named kernel: see 'cconv kernels'")
    kernel.add_argument("--matrix", metavar='"0 -1 0; -1 5 -1; 0 -1 0"', help="taps row by row; 1/9 is a number")
    parser.add_argument("--stride", default="1", metavar="N[,N]", help="rows, columns (default: 1)")
    parser.add_argument("--padding", default="0", metavar="N|ROWS,COLUMNS|TOP,BOTTOM,LEFT,RIGHT|WORD",
                        help=f"pixels, or {', '.join(geometry.PADDING_WORDS)} (default: 0)")
    parser.add_argument("--padding-mode", default="zeros", metavar="MODE",
                        help=f"{', '.join(loop.BORDERS)} or resize (default: zeros)")
    parser.add_argument("--padding-value", type=number, default=0.0, metavar="V",
                        help="what constant means; other than 0 it turns zeros into constant (default: 0)")
    parser.add_argument("--dilation", default="1", metavar="N[,N]", help="rows, columns (default: 1)")
    parser.add_argument("--normalize", choices=("size", "sum"),
                        help="divide by the number of taps, or by their sum")
    parser.add_argument("--bias", type=number, default=0.0, metavar="B", help="added to every pixel")
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--correlate", dest="flipped", action="store_false", default=False,
                     help="the kernel as it is written (default)")
    way.add_argument("--convolve", dest="flipped", action="store_true", help="the kernel flipped along both axes")


def convolution(args: argparse.Namespace) -> tuple[np.ndarray, dict[str, Any]]:
    """The kernel and the keyword arguments that the options of `add_kernel` mean."""
    kernel = parse_kernel(args.kernel) if args.kernel is not None else parse_matrix(args.matrix)
    padding: Any = args.padding
    if padding[:1].isalpha():
        _word("--padding", padding, geometry.PADDING_WORDS)
    else:
        padding = _integers("--padding", padding, (1, 2, 4), 0)
        if isinstance(padding, list) and len(padding) == 4:
            padding = [padding[:2], padding[2:]]
    _word("--padding-mode", args.padding_mode, (*loop.BORDERS, "resize"))
    mode = "constant" if args.padding_value and args.padding_mode == "zeros" else args.padding_mode
    return kernel, {
        "stride": _integers("--stride", args.stride, (1, 2), 1),
        "padding": padding,
        "dilation": _integers("--dilation", args.dilation, (1, 2), 1),
        "padding_mode": mode,
        "padding_value": args.padding_value,
        "normalize": args.normalize or False,
        "bias": args.bias,
    }


def parse_kernel(spec: str) -> np.ndarray:
    """The kernel that NAME[:SIZE[,PARAM]] names."""
    name, _, rest = spec.partition(":")
    _word("--kernel", name, kernels.NAMED)
    function = kernels.NAMED[name]
    takes = list(inspect.signature(function).parameters)
    try:
        numbers = [number(word) for word in rest.split(",")] if rest else []
        if len(numbers) > len(takes):
            raise ValueError(f"{name} takes {' and '.join(takes) or 'no number'}; got {len(numbers)} numbers")
        return function(*numbers)
    except (ValueError, TypeError, OverflowError) as error:
        raise Usage(f"--kernel {spec}: {' '.join(str(error).split())}") from None


def parse_matrix(text: str) -> np.ndarray:
    """A kernel written out: rows parted by semicolons, taps by blanks or commas."""
    rows = [[number(word) for word in row.replace(",", " ").split()] for row in text.split(";") if row.strip()]
    if not rows or len({len(row) for row in rows}) != 1:
        lengths = ", ".join(str(len(row)) for row in rows) or "none"
        raise Usage(f"--matrix {text!r} has rows of {lengths} taps; want rows of the same length, like '1 2; 3 4'")
    return np.array(rows)


def number(word: str) -> int | float:
    """A finite number: an int where it is whole and int64 holds it, so that sums stay exact."""
    text = word.strip()
    try:
        if "/" in text and len(text) <= 100:
            value: int | float | Fraction = Fraction(text)
        else:  # a Fraction of "1e99999999" would be computed digit by digit
            value = int(text) if re.fullmatch(r"[+-]?\d{1,18}", text) else float(text)
        result = float(value)
        if math.isfinite(result):
            return int(value) if result.is_integer() and abs(result) < 2**62 and value == int(value) else result
    except (ValueError, ZeroDivisionError, OverflowError):
        pass
    shown = text if len(text) <= 40 else f"{text[:37]}..."
    raise Usage(f"{shown!r} is not a number; want one like 3, -0.5 or 1/9")


def _word(option: str, word: str, known: Iterable[str]) -> None:
    try:
        geometry.one_of(option, word, known)
    except ValueError as error:
        raise Usage(str(error)) from None


def _integers(option: str, text: str, counts: tuple[int, ...], least: int) -> Any:
    words = text.split(",")
    good = all(re.fullmatch(r"\s*\d{1,18}\s*", w) and int(w) >= least for w in words)
    if len(words) not in counts or not good:
        raise Usage(f"{option} {text}: want {' or '.join(map(str, counts))} integers of at least {least}, "
                    f"parted by commas")
    return [int(w) for w in words] if len(words) > 1 else int(text)
