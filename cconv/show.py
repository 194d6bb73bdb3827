"""Pictures for people: contact sheets, the sliding kernel.

Nothing is computed here that images.py does not compute.  Pillow, and its font, is imported when
something is drawn.  Sizes: PH PW padded grid, KH KW kernel, OH OW result; pixels unless said.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import images, kernels
from .dtypes import as_array
from .geometry import integer
from .operation import resolve_geometry
from .photo import to_uint8

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont

    Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

VISIBLE = {"box": 9, "disk": 13, "gaussian": 13, "motion": 21, "log": 9, "unsharp": 9}
LARGEST = 612  # longer side of a picture on which these sizes show
MOST_FRAMES, MOST_TAPS, MOST_CELLS = 400, 9, 40
INK, FAINT, GROUND = (33, 37, 41), (134, 142, 150), (255, 255, 255)
ORANGE, BLUE = (232, 89, 12), (76, 110, 245)
GAP, HEAD, SUMS = 22, 14, 34


def contact_sheet(tiles: Sequence[tuple[str, np.ndarray]], columns: int = 4, width: int = 306) -> np.ndarray:
    """Pictures side by side on white, each with its label below.

    Parameters
    ----------
    tiles : sequence of (label, array)
        Arrays of shape (H, W) or (H, W, C) with C from 1 to 4, of any real dtype: rounded and
        saturated to uint8, bool as 0 and 255, alpha laid on white.  A label too long is cut.
    columns : int
    width : int
        Of a tile, at least 16.  A picture is scaled to it, or to twice that height if it is very
        tall, and keeps its proportions.

    Returns
    -------
    ndarray of uint8, shape (H', W', 3)

    Examples
    --------
    >>> import cconv, numpy as np
    >>> from cconv.show import contact_sheet
    >>> contact_sheet([("grey", np.full((3, 4), 99)), ("line", np.eye(6) * 255)], width=100).shape
    (131, 224, 3)
    """
    from PIL import Image, ImageDraw, ImageFont

    width, columns = integer("width", width, 16), integer("columns", columns)
    tiles = list(tiles)
    if not tiles:
        raise ValueError("tiles is empty; want at least one pair (label, array)")
    columns = min(columns, len(tiles))
    size = max(10, width // 18)
    margin, line = max(8, width // 22), round(size * 1.5)
    font = ImageFont.load_default(size)
    pictures = [_fitted(label, array, width) for label, array in tiles]
    heights = [max(p.height for p in pictures[i:i + columns]) for i in range(0, len(tiles), columns)]
    sheet = Image.new("RGB", (
        margin + columns * (width + margin), margin + sum(heights) + len(heights) * (line + margin)
    ), GROUND)
    draw = ImageDraw.Draw(sheet)
    y = margin
    for row, height in enumerate(heights):
        for column in range(min(columns, len(tiles) - row * columns)):
            i, x = row * columns + column, margin + column * (width + margin)
            picture = pictures[i]
            sheet.paste(picture, (x + (width - picture.width) // 2, y + (height - picture.height) // 2))
            text = _shortened(str(tiles[i][0]), font, width)
            draw.text((x + width / 2, y + height + line * 0.55), text, INK, font, "mm")
        y += height + line + margin
    return np.asarray(sheet)


def _fitted(label: str, array: Any, width: int) -> Image.Image:
    """One tile's picture, RGB, at most (2 width, width)."""
    from PIL import Image

    picture = Image.fromarray(_rgb(array, f"tile {label!r}"))
    scale = min(width / picture.width, 2 * width / picture.height)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS)


def _rgb(array: Any, name: str) -> np.ndarray:
    """(H, W, 3) uint8 of a picture (H, W) or (H, W, C), its alpha laid on white."""
    x = as_array(name, array)
    x = x[:, :, None] if x.ndim == 2 else x
    if x.ndim != 3 or not 1 <= x.shape[2] <= 4 or x.size == 0:
        raise ValueError(f"{name} has shape {np.shape(array)}; want (H, W) or (H, W, C), C from 1 to 4")
    pixels = x * np.uint8(255) if x.dtype.kind == "b" else to_uint8(x)
    colors = pixels[:, :, :-1] if x.shape[2] in (2, 4) else pixels
    if colors is not pixels:
        alpha = pixels[:, :, -1:] / 255
        colors = to_uint8(colors * alpha + 255 * (1 - alpha))
    return np.ascontiguousarray(np.broadcast_to(colors, (*x.shape[:2], 3)))


def _shortened(text: str, font: Font, width: float) -> str:
    """The text, or as much of it as fits, with an ellipsis."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text.rstrip() + "…"


def gallery(image: np.ndarray) -> np.ndarray:
    """A contact sheet of a picture and what every named kernel makes of it.

    Kernels whose taps sum to 0 answer with both signs: they are shown as mid-grey plus the
    response r times a factor, in the label, which brings 99 of 100 pixels into the range.

    Parameters
    ----------
    image : ndarray, shape (H, W) or (H, W, C) with C from 1 to 4
        Values as in `contact_sheet`.  Alpha, the last of 2 or 4 channels, is kept and not
        filtered.  A picture larger than 612 pixels is reduced first: kernels are small.

    Returns
    -------
    ndarray of uint8, shape (H', W', 3)

    Examples
    --------
    >>> import cconv
    >>> from cconv.show import gallery
    >>> sheet = gallery(cconv.sample_picture())
    """
    from PIL import Image

    x = as_array("image", image)
    _rgb(x[:1], "image")  # refuses what is no picture
    pixels = x * np.uint8(255) if x.dtype.kind == "b" else to_uint8(x)
    pixels = pixels[:, :, 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    picture.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    pixels = np.asarray(picture)
    tiles = [("the picture", pixels)]
    for name, function in kernels.NAMED.items():
        arguments: list[Any] = [VISIBLE[name]] if name in VISIBLE else []
        choices = [[0], [1]] if "axis" in inspect.signature(function).parameters else [arguments]
        tiles += [_effect(pixels, ":".join(map(str, [name, *given])), function(*given)) for given in choices]
    return contact_sheet(tiles)


def _effect(pixels: np.ndarray, label: str, kernel: np.ndarray) -> tuple[str, np.ndarray]:
    """A tile of the gallery."""
    alpha = pixels.ndim == 3 and pixels.shape[2] in (2, 4)
    colors = pixels[:, :, :-1] if alpha else pixels
    result = images.correlate(colors, kernel, padding="same", padding_mode="edge")
    if abs(kernel.sum()) < 1e-9:
        reach = float(np.percentile(np.abs(result), 99))
        factor = float(f"{120 / reach:.1g}") if reach else 1.0
        result, label = 128 + factor * result, f"{label}   (128 + {compact(factor)} r)"
    result = to_uint8(result)
    return label, np.concatenate([result, pixels[:, :, -1:]], 2) if alpha else result


def compact(value: float) -> str:
    """A number in few letters: no point if it is whole, else at most two decimals."""
    if not abs(value) < 1e6:
        return f"{value:.3g}"
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def animate(
    image: Any, kernel: Any, path: str | os.PathLike[str], *, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, padding_mode: str = "zeros", padding_value: float = 0.0, normalize: Any = False,
    flipped: bool = False, cells: int = 8, frame_ms: int = 350,
) -> int:
    """Write an animated GIF of the kernel sliding over a small version of an image.

    Each frame shows the padded input (its border hatched, the taps outlined), the taps times the
    values under them with their sum, and the result as far as it is computed.

    Parameters
    ----------
    image : array_like, shape (H, W) or (H, W, C) with C from 1 to 4
        Made grey and, if a side is longer than `cells`, reduced to whole numbers from 0 to 255.
        A small (H, W) keeps its own values.
    kernel : array_like, shape (KH, KW), at most 9 taps along each axis
    path : str or path
        Ends in .gif.
    stride, padding, dilation, padding_mode, padding_value, normalize
        As in `cconv.correlate`.
    flipped : bool
        Convolve instead: the kernel is drawn as it is used, flipped.
    cells : int
        Longest side of the small version.
    frame_ms : int
        Time of a frame in milliseconds, at least 20; the last one stays five times as long.

    Returns
    -------
    int
        The number of frames, one for each value of the result, at most 400.

    Examples
    --------
    >>> import cconv, os, tempfile
    >>> from cconv.show import animate
    >>> path = os.path.join(tempfile.mkdtemp(), "sharpen.gif")
    >>> animate(cconv.sample_picture(), cconv.kernels.sharpen(), path, padding=1, cells=4)
    12
    """
    from PIL import Image

    frame_ms, target = integer("frame_ms", frame_ms, 20), Path(path)
    if target.suffix.lower() != ".gif":
        raise ValueError(f"{target} does not end in .gif, the one format that is written here")
    scene = Scene(_small_image(image, integer("cells", cells)), kernel, stride, padding, dilation,
                  padding_mode, padding_value, normalize, flipped)
    count = scene.result.size
    last = scene.frame(count - 1).quantize(255, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)

    def frames() -> Iterator[Image.Image]:  # one at a time: 400 of them together are large
        for i in range(count - 1):
            yield scene.frame(i).quantize(palette=last, dither=Image.Dither.NONE)
        yield last

    rest = frames()
    next(rest).save(target, "GIF", save_all=True, append_images=rest, loop=0,
                    duration=[frame_ms] * (count - 1) + [5 * frame_ms])
    return count


def _small_image(image: Any, cells: int) -> np.ndarray:
    """(H, W) float64, grey, both sides at most `cells`."""
    from PIL import Image

    x = as_array("image", image)
    x = x[:, :, 0] if x.ndim == 3 and x.shape[2] == 1 else x
    if x.ndim == 2 and 0 < x.size and max(x.shape) <= cells:
        return x.astype(np.float64)
    picture = Image.fromarray(_rgb(x, "image")).convert("L")
    scale = min(1, cells / max(picture.size))
    sizes = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return np.asarray(picture.resize(sizes, Image.Resampling.BOX)).astype(np.float64)


class Scene:
    """What the frames of an animation show: values (PH, PW), taps (KH, KW), result (OH, OW)."""

    def __init__(
        self, grid: np.ndarray, kernel: Any, stride: Any, padding: Any, dilation: Any, padding_mode: str,
        padding_value: float, normalize: Any, flipped: bool,
    ) -> None:
        taps = as_array("kernel", kernel).astype(np.float64)
        if taps.ndim != 2 or not 1 <= min(taps.shape) <= max(taps.shape) <= MOST_TAPS:
            raise ValueError(f"kernel has shape {taps.shape}; want (KH, KW), each from 1 to {MOST_TAPS}, to draw it")
        g = resolve_geometry(grid.shape, taps.shape, stride, padding, dilation, padding_mode, padding_value)
        (oh, ow), (top, left) = g.sizes, (pair[0] for pair in g.pads)
        ph, pw = (n + sum(pair) for n, pair in zip(grid.shape, g.pads, strict=True))
        if oh * ow > MOST_FRAMES or max(ph, pw) > MOST_CELLS:
            raise ValueError(
                f"a padded image of {ph} x {pw} cells and a result of {oh} x {ow} = {oh * ow} frames: at most "
                f"{MOST_CELLS} cells a side and {MOST_FRAMES} frames are drawn; pass smaller cells, less "
                f"padding or a larger stride"
            )
        self.geometry, self.taps = g, images.flip(taps) if flipped else taps
        self.result = (images.convolve if flipped else images.correlate)(
            grid, taps, stride=g.stride, padding=g.pads, dilation=g.dilation, padding_mode=g.mode,
            padding_value=g.value, normalize=normalize)
        self.divisor = {"size": float(taps.size), "sum": float(taps.sum())}[normalize] if normalize else None
        self.values = images.pad(grid, g.pads, g.mode, g.value)
        self.border = np.ones(self.values.shape, bool)
        self.border[top:top + grid.shape[0], left:left + grid.shape[1]] = False
        steps = [f", {name} {s[0] if s[0] == s[1] else s}"
                 for name, s in (("stride", g.stride), ("dilation", g.dilation)) if max(s) > 1]
        self._lay_out((
            f"input {grid.shape[0]} x {grid.shape[1]}" + (f", padding {g.mode}" if self.border.any() else ""),
            f"kernel {taps.shape[0]} x {taps.shape[1]}{', flipped' if flipped else ''}{''.join(steps)}",
            f"result {oh} x {ow}"))

    def _lay_out(self, titles: tuple[str, str, str]) -> None:
        """Where the three panels stand, with cells in which every text fits."""
        from PIL import ImageFont

        self.font, self.large = ImageFont.load_default(13), ImageFont.load_default(17)
        long = [max((compact(v) for v in a.flat), key=self.font.getlength)
                for a in (self.taps, self.values, self.result)]
        shapes = (self.values.shape, self.taps.shape, self.result.shape)
        texts = (long[1], f"{long[0]}·({long[1]})", long[2])
        self.cells = [self._cell(text, shape) for text, shape in zip(texts, shapes, strict=True)]
        sizes = [(c * w, r * h) for (r, c), (w, h) in zip(shapes, self.cells, strict=True)]
        widths = [max(w, self.font.getlength(t), 120) for (w, _), t in zip(sizes, titles, strict=True)]
        tall = max(sizes[0][1], sizes[1][1] + 2 * SUMS, sizes[2][1])
        middles = [GAP + sum(widths[:i]) + 2 * i * GAP + widths[i] / 2 for i in range(3)]
        self.titles = list(zip(middles, titles, strict=True))
        self.places = [(round(m - w / 2), round(HEAD + GAP + (tall - h) / 2))
                       for m, (w, h) in zip(middles, sizes, strict=True)]
        self.size = (round(middles[2] + widths[2] / 2 + GAP), round(HEAD + tall + 2 * GAP))

    def _cell(self, text: str, shape: tuple[int, ...]) -> tuple[int, int]:
        """Width and height of the cells of a grid."""
        side = int(np.clip(300 / max(shape), 28, 52))
        return max(side, int(self.font.getlength(text)) + 10), side

    def box(self, panel: int, row: int, column: int) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of a cell."""
        (x, y), (w, h) = self.places[panel], self.cells[panel]
        return x + column * w, y + row * h, x + (column + 1) * w, y + (row + 1) * h

    def frame(self, position: int) -> Image.Image:
        """The picture of one step: RGB."""
        from PIL import Image, ImageDraw

        g, (row, column) = self.geometry, divmod(position, self.result.shape[1])
        picture = Image.new("RGB", self.size, GROUND)
        draw = ImageDraw.Draw(picture)
        for middle, title in self.titles:
            draw.text((middle, GAP), title, INK, self.font, "mm")
        rows, columns = (o * s + np.arange(k) * d for o, s, d, k in zip(
            (row, column), g.stride, g.dilation, self.taps.shape, strict=True))
        self._numbers(draw, 0, self.values, self.values.size)
        self._numbers(draw, 2, self.result, position + 1)
        for r in rows.tolist():
            for c in columns.tolist():
                draw.rectangle(self.box(0, r, c), None, ORANGE, 2)
        left, top, *_ = self.box(0, rows[0], columns[0])
        *_, right, bottom = self.box(0, rows[-1], columns[-1])
        draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), None, ORANGE, 2)
        draw.rectangle(self.box(2, row, column), None, ORANGE, 3)
        self._products(draw, self.values[np.ix_(rows, columns)], float(self.result[row, column]))
        return picture

    def _numbers(self, draw: ImageDraw.ImageDraw, panel: int, values: np.ndarray, count: int) -> None:
        """A grid of numbers shaded by their size; only the first `count` are known."""
        finite = values[np.isfinite(values)]
        low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
        shades = np.nan_to_num((values - low) / ((high - low) or 1) * 190 + 60, posinf=250, neginf=60)
        for i, ((r, c), value) in enumerate(np.ndenumerate(values)):
            box, shade = self.box(panel, r, c), int(shades[r, c])
            middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
            if i >= count:
                draw.rectangle(box, (248, 249, 250), (222, 226, 230))
            elif panel == 0 and self.border[r, c]:
                draw.rectangle(box, (238, 242, 255), (186, 200, 255))
                for x in range(box[0] + 8, box[2], 8):  # hatched
                    reach = min(x - box[0], box[3] - box[1])
                    draw.line((x, box[1], x - reach, box[1] + reach), (211, 220, 255))
                draw.text(middle, compact(value), BLUE, self.font, "mm")
            else:
                draw.rectangle(box, (shade, shade, shade), FAINT)
                draw.text(middle, compact(value), INK if shade > 140 else GROUND, self.font, "mm")

    def _products(self, draw: ImageDraw.ImageDraw, under: np.ndarray, result: float) -> None:
        """The taps times the values under them, their sum, and what it is divided by."""
        for (r, c), tap in np.ndenumerate(self.taps):
            left, top, right, bottom = self.box(1, r, c)
            draw.rectangle((left, top, right, bottom), (255, 244, 230), ORANGE)
            value = compact(under[r, c])
            text = f"{compact(tap)}·({value})" if value.startswith("-") else f"{compact(tap)}·{value}"
            ink = INK if tap else FAINT
            draw.text(((left + right) / 2, (top + bottom) / 2), text, ink, self.font, "mm")
        middle, y = self.titles[1][0], self.box(1, self.taps.shape[0] - 1, 0)[3] + SUMS * 0.5
        with np.errstate(all="ignore"):
            total = compact(float((self.taps * under).sum()))
        last = self.divisor is None
        draw.text((middle, y), f"sum = {total}", ORANGE if last else INK, self.large, "mm")
        if self.divisor is not None:
            text = f"/ {compact(self.divisor)} = {compact(result)}"
            draw.text((middle, y + SUMS * 0.7), text, ORANGE, self.large, "mm")
