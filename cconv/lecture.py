"""The lecture: the experiments by which convolution is taught, each a few lines of cconv.

`cconv demo` prints and shows them; docs/lecture.md walks through them; the tests hold each to
its result.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from . import images, kernels, layers, photo

X = np.array([[1, 2, 4, 2, 1], [4, 7, 3, 2, 1], [4, 5, 2, 3, 1], [2, 1, 7, 8, 4], [3, 2, 4, 7, 8]])
K = np.array([[1, 0, 1], [0, 2, 1], [1, 0, 1]])


class Experiment(NamedTuple):
    """One line of the lecture: its name, what came out in words, and the picture it makes."""

    name: str
    result: str
    picture: np.ndarray | None = None


def run(picture: np.ndarray) -> list[Experiment]:
    """All experiments of the lecture on a picture (H, W) or (H, W, C).

    Parameters
    ----------
    picture : ndarray
        At least 15 pixels high and wide.

    Returns
    -------
    list of Experiment

    Examples
    --------
    >>> import cconv
    >>> from cconv import lecture
    >>> lecture.run(cconv.sample_picture())[0].result
    'Y[0,0] = 28/9, Y[2,1] = 39/9, shape (3, 3)'
    """
    colours = photo.split_alpha(picture)[0]
    if min(colours.shape[:2]) < 15:
        raise ValueError(f"the picture has shape {colours.shape}; the lecture wants at least 15 x 15 pixels")
    grey = photo.to_grey(colours)
    return [*_by_hand(), *_sizes(grey), *_borders(grey), *_variants(grey), *_channels(grey, colours)]


def table(experiments: list[Experiment]) -> str:
    """The experiments as two columns of text.

    Examples
    --------
    >>> from cconv import lecture
    >>> print(lecture.table([lecture.Experiment("5x5 blur", "(455, 608)")]))
    experiment  result
    ----------  ----------
    5x5 blur    (455, 608)
    """
    rows = [("experiment", "result"), *((e.name, e.result) for e in experiments)]
    width = max(len(name) for name, _ in rows)
    rows.insert(1, ("-" * width, "-" * max(len(result) for _, result in rows)))
    return "\n".join(f"{name:{width}}  {result}" for name, result in rows)


def _by_hand() -> Iterator[Experiment]:
    y = images.correlate(X, K, normalize="size")
    ninths = [f"{9 * y[place]:.0f}/9" for place in ((0, 0), (2, 1))]
    yield Experiment("5x5 numbers, 3x3 kernel / 9", f"Y[0,0] = {ninths[0]}, Y[2,1] = {ninths[1]}, shape {y.shape}")


def _sizes(grey: np.ndarray) -> Iterator[Experiment]:
    yield Experiment("the picture", f"{grey.shape}", grey)
    blur = kernels.box(5)
    runs: list[tuple[str, np.ndarray, dict[str, Any]]] = [
        ("5x5 blur, no padding", blur, {}),
        ("Prewitt horizontal", kernels.prewitt(axis=0), {}),
        ("sharpen", kernels.sharpen(), {}),
        ("5x5 blur, padding 2", blur, {"padding": 2}),
        ("5x5 blur, padding 2, stride 2", blur, {"padding": 2, "stride": 2}),
        ("5x5 blur, dilation 2", blur, {"dilation": 2}),
        ("5x5 blur, dilation 3, padding 6", blur, {"dilation": 3, "padding": 6}),
    ]
    for name, kernel, options in runs:
        y = images.correlate(grey, kernel, dtype=np.uint8, **options)
        yield Experiment(name, f"{y.shape}", y)


def _borders(grey: np.ndarray) -> Iterator[Experiment]:
    k = 15
    wide, p = kernels.box(k), (k - 1) // 2
    for name, y in (
        ("valid", images.correlate(grey, wide, padding="valid", dtype=np.uint8)),
        ("same, zeros", images.correlate(grey, wide, padding="same", dtype=np.uint8)),
        ("same, edge", images.correlate(grey, wide, padding="same", padding_mode="edge", dtype=np.uint8)),
        ("same, resize", images.correlate(images.pad(grey, p, "resize"), wide, dtype=np.uint8)),
    ):
        corner = y[0, 0]
        yield Experiment(f"15x15 blur, {name}", f"{y.shape}, corner {corner}", y)


def _variants(grey: np.ndarray) -> Iterator[Experiment]:
    relief = kernels.emboss()
    for operate, words in ((images.correlate, "as written"), (images.convolve, "flipped")):
        yield Experiment(f"emboss, kernel {words}", operate.__name__, operate(grey, relief, dtype=np.uint8))
    binomial = np.outer([1, 2, 1], [1, 2, 1])
    for word in ("size", "sum", False):
        divisor = images._divisor(binomial, word) or 1
        y = images.correlate(grey, binomial, normalize=word, dtype=np.uint8)
        yield Experiment(f"1 2 1 blur, normalize={word!r}", f"divided by {divisor:g}, mean {y.mean():.1f}", y)
    y = grey.astype(np.float32)
    for turn in range(1, 11):
        y = images.correlate(y, binomial, normalize="sum", padding=1, padding_mode="edge")
        if turn in (1, 10):
            yield Experiment(f"1 2 1 blur, {turn} time{'s'[:turn - 1]}", f"{y.shape}, deviation {y.std():.2f}", y)


def _channels(grey: np.ndarray, colours: np.ndarray) -> Iterator[Experiment]:
    y = images.correlate(colours, kernels.gaussian(9), padding="same", padding_mode="edge", dtype=np.uint8)
    yield Experiment("colour, 9x9 Gaussian", f"{colours.shape} -> {y.shape}", y)
    edges = np.stack([kernels.sobel(0), kernels.sobel(1)])[:, None].astype(np.float32)
    x = grey[None, None].astype(np.float32)
    z = layers.conv2d(x, edges, bias=np.array([10, 20], np.float32), padding=1)
    strength = np.hypot(z[0, 0] - 10, z[0, 1] - 20)
    yield Experiment("Conv2d: 1 -> 2 channels, bias", f"{x.shape} * {edges.shape} + (2,) -> {z.shape}", strength / 2)
