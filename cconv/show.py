"""Pictures for people: contact sheets, the sliding kernel.

Nothing is computed here that images.py does not compute.  Pillow, and its font, is imported when
something is drawn.  Sizes: PH PW padded grid, KH KW kernel, OH OW result; pixels unless said.
"""

from __future__ import annotations

import inspect
import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import images, kernels
from .dtypes import as_array
from .geometry import integer
from .operation import resolve_geometry
from .photo import join_alpha, replacing, split_alpha, to_uint8, zoomed

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont

VISIBLE = {"box": 9, "disk": 13, "gaussian": 13, "motion": 21, "log": 9, "unsharp": 9}
LARGEST = 612  # longer side of a picture on which these sizes show
MOST_FRAMES, MOST_TAPS, MOST_CELLS = 400, 9, 40
INK, FAINT, FRAME, GROUND = (33, 37, 41), (134, 142, 150), (206, 212, 218), (255, 255, 255)
ORANGE, BLUE = (232, 89, 12), (76, 110, 245)
GAP, HEAD, SUMS = 22, 14, 34


def contact_sheet(tiles: Sequence[tuple[str, np.ndarray]], columns: int = 4, width: int = 306) -> np.ndarray:
    """Pictures side by side on white, each in a thin grey frame with its label below.

    Parameters
    ----------
    tiles : sequence of (label, array)
        Arrays of shape (H, W) or (H, W, C) with C from 1 to 4, of any real dtype: rounded and
        saturated to uint8, bool as 0 and 255, alpha laid on white.  A label too long is cut.
    columns : int
    width : int
        Of a tile, at least 16.  Pictures keep their proportions; none is taller than twice this.

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

    if not len(tiles):
        raise ValueError("tiles is empty; want at least one pair (label, array)")
    width, columns = integer("width", width, 16), min(integer("columns", columns), len(tiles))
    size, margin, line = max(10, width // 18), max(8, width // 22), max(15, width // 12)
    font = ImageFont.load_default(size)
    pictures = [_fitted(label, array, width) for label, array in tiles]
    heights = [max(p.height for p in pictures[i:i + columns]) for i in range(0, len(tiles), columns)]
    tall = margin + sum(heights) + len(heights) * (line + margin)
    sheet = Image.new("RGB", (margin + columns * (width + margin), tall), GROUND)
    draw, y = ImageDraw.Draw(sheet), margin
    for row, height in enumerate(heights):
        for column in range(min(columns, len(tiles) - row * columns)):
            x, i = margin + column * (width + margin), row * columns + column
            spare = (width - pictures[i].width, height - pictures[i].height)
            left, top = x + spare[0] // 2, y + spare[1] // 2
            sheet.paste(pictures[i], (left, top))
            draw.rectangle((left - 1, top - 1, left + pictures[i].width, top + pictures[i].height), None, FRAME)
            text = _shortened(str(tiles[i][0]), font, width)
            draw.text((x + width / 2, y + height + line * 0.55), text, INK, font, "mm")
        y += height + line + margin
    return np.asarray(sheet)


def _fitted(label: str, array: Any, width: int) -> Image.Image:
    """One tile's picture, RGB, at most (2 width, width)."""
    from PIL import Image

    picture = Image.fromarray(_rgb(f"tile {label!r}", array))
    scale = min(width / picture.width, 2 * width / picture.height)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS)


def _pixels(name: str, array: Any) -> np.ndarray:
    """(H, W, C) uint8, whatever holds the picture."""
    x = as_array(name, array)
    if x.ndim not in (2, 3) or x.size == 0 or x.ndim == 3 and x.shape[2] > 4:
        raise ValueError(f"{name} has shape {x.shape}; want (H, W) or (H, W, C), C from 1 to 4")
    return (x * np.uint8(255) if x.dtype.kind == "b" else to_uint8(x)).reshape(*x.shape[:2], -1)


def _rgb(name: str, array: Any) -> np.ndarray:
    """(H, W, 3) uint8, the alpha laid on white."""
    pixels = _pixels(name, array)
    colours, alpha = split_alpha(pixels)
    colours = colours.reshape(*pixels.shape[:2], -1)
    if alpha is not None:
        colours = to_uint8(255 - (255.0 - colours) * alpha[:, :, None] / 255)
    return np.ascontiguousarray(np.broadcast_to(colours, (*colours.shape[:2], 3)))


def _shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float) -> str:
    """The text, or as much of it as fits, with an ellipsis."""
    shown = text
    while text and font.getlength(shown) > width:
        text, shown = text[:-1], text[:-1].rstrip() + "…"
    return shown


def gallery(image: np.ndarray) -> np.ndarray:
    """A contact sheet of a picture and what every named kernel makes of it.

    Kernels whose taps sum to 0 answer with both signs: they are shown as mid-grey plus the
    response r times a factor, in the label, which brings 95 of 100 values into the range.

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

    pixels = _pixels("image", image)
    picture = Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels))
    picture.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    pixels = _pixels("image", np.asarray(picture))
    tiles = [("the picture", pixels)]
    for name, function in kernels.NAMED.items():
        directional = "axis" in inspect.signature(function).parameters
        choices = [[0], [1]] if directional else [[VISIBLE[name]]] if name in VISIBLE else [[]]
        tiles += [_effect(pixels, ":".join(map(str, [name, *given])), function(*given)) for given in choices]
    return contact_sheet(tiles)


def _effect(pixels: np.ndarray, label: str, kernel: np.ndarray) -> tuple[str, np.ndarray]:
    """A tile of the gallery."""
    colours, alpha = split_alpha(pixels)
    result = images.correlate(colours, kernel, padding="same", padding_mode="edge")
    if abs(kernel.sum()) < 1e-9:
        reach = float(np.percentile(np.abs(result), 95))
        factor = float(f"{120 / reach:.1g}") if reach > 1e-3 else 1.0  # less is rounding: the picture is flat
        result, label = 128 + factor * result, f"{label}   (128 + {compact(factor)} r)"
    return label, join_alpha(to_uint8(result), alpha)


def compact(value: Any) -> str:
    """A number in few letters: no point if it is whole, else at most two decimals."""
    if not abs(value) < 1e6:
        return f"{value:.3g}"
    return f"{round(float(value), 2) + 0.0:.2f}".rstrip("0").rstrip(".")  # + 0.0: no "-0"


def animate(
    image: Any, kernel: Any, path: str | os.PathLike[str], *, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, padding_mode: str = "zeros", padding_value: float = 0.0, normalize: Any = False,
    bias: float = 0.0, flipped: bool = False, cells: int = 8, frame_ms: int = 350,
) -> int:
    """Write an animated GIF of the kernel sliding over a small version of an image.

    A frame shows the input (padding hatched, taps outlined), the taps times the values under
    them with their sum, and the result so far.

    Parameters
    ----------
    image : array_like, shape (H, W) or (H, W, C) with C from 1 to 4
        Made grey, reduced, whole numbers from 0 to 255; but a small (H, W) keeps its values.
    kernel : array_like, shape (KH, KW), at most 9 taps along each axis
    path : str or path
        Ends in .gif.
    stride, padding, dilation, padding_mode, padding_value, normalize, bias
        As in `cconv.correlate`; padding_mode="resize" draws the zoomed image.
    flipped : bool
        As `cconv.convolve` does it: the kernel is drawn flipped.
    cells, frame_ms : int
        Longest side of the small version; milliseconds of a frame, of the last one five times that.

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
    target = Path(path)
    if target.suffix.lower() != ".gif":
        raise ValueError(f"{target} does not end in .gif, the one format that is written here")
    scene = Scene(small_picture(image, cells), kernel, stride, padding, dilation, padding_mode, padding_value,
                  normalize, bias, flipped)
    return scene.save(target, frame_ms)


def small_picture(image: Any, cells: int) -> np.ndarray:
    """(H, W) float64, grey, both sides at most `cells`."""
    from PIL import Image

    cells = integer("cells", cells)
    x = as_array("image", image)
    if x.ndim == 2 and 0 < x.size and max(x.shape) <= cells:
        return x.astype(np.float64)
    picture = Image.fromarray(_rgb("image", x)).convert("L")
    picture.thumbnail((cells, cells), Image.Resampling.BOX, reducing_gap=None)
    return np.asarray(picture).astype(np.float64)


class Scene:
    """What the frames of an animation show: values (PH, PW), taps (KH, KW), result (OH, OW)."""

    def __init__(
        self, grid: np.ndarray, kernel: Any, stride: Any, padding: Any, dilation: Any, padding_mode: str,
        padding_value: float, normalize: Any, bias: float, flipped: bool,
    ) -> None:
        taps = as_array("kernel", kernel).astype(np.float64)
        if taps.ndim != 2 or not 1 <= min(taps.shape) <= max(taps.shape) <= MOST_TAPS:
            raise ValueError(f"kernel has shape {taps.shape}; want (KH, KW) of at most {MOST_TAPS} taps each")
        if padding_mode == "resize":
            grid, padding, padding_mode = zoomed(grid, taps.shape, stride, padding, dilation), 0, "zeros"
        g = resolve_geometry(grid.shape, taps.shape, stride, padding, dilation, padding_mode, padding_value)
        (oh, ow), (ph, pw) = g.sizes, [n + sum(pair) for n, pair in zip(grid.shape, g.pads, strict=True)]
        if oh * ow > MOST_FRAMES or max(ph, pw) > MOST_CELLS:
            raise ValueError(
                f"{ph} x {pw} cells with padding and {oh} x {ow} = {oh * ow} frames are too many: want "
                f"{MOST_CELLS} a side and {MOST_FRAMES} frames at most; pass fewer cells or a larger stride")
        self.geometry, self.taps = g, images.flip(taps) if flipped else taps
        self.result = (images.convolve if flipped else images.correlate)(
            grid, taps, stride=g.stride, padding=g.pads, dilation=g.dilation, padding_mode=g.mode,
            padding_value=g.value, normalize=normalize, bias=bias)
        self.bias = bias
        self.divisor = images._divisor(taps, normalize)
        self.values = images.pad(grid, g.pads, g.mode, g.value)
        self.border = images.pad(np.zeros(grid.shape, bool), g.pads, "constant", 1)
        pair = "{} x {}".format
        steps = [f", {name} {s[0] if s[0] == s[1] else pair(*s)}"
                 for name, s in (("stride", g.stride), ("dilation", g.dilation)) if max(s) > 1]
        self._lay_out((f"input {pair(*grid.shape)}" + (f", padding {g.mode}" if self.border.any() else ""),
                       "".join([f"kernel {pair(*taps.shape)}", ", flipped" if flipped else "", *steps]),
                       f"result {pair(*g.sizes)}"))

    def _lay_out(self, titles: tuple[str, str, str]) -> None:
        """Where the three panels stand, with cells in which every text fits."""
        from PIL import ImageFont

        self.font, self.large = ImageFont.load_default(13), ImageFont.load_default(17)
        long = [max((compact(v) for v in a.flat), key=self.font.getlength)
                for a in (self.taps, self.values, self.result)]
        shapes = (self.values.shape, self.taps.shape, self.result.shape)
        texts = (long[1], f"{long[0]}·({long[1]})", long[2])
        sides = [int(np.clip(300 / max(shape), 28, 52)) for shape in shapes]
        lengths = [int(self.font.getlength(text)) + 10 for text in texts]
        self.cells = [(max(pair), pair[0]) for pair in zip(sides, lengths, strict=True)]
        sizes = [(c * w, r * h) for (r, c), (w, h) in zip(shapes, self.cells, strict=True)]
        widths = [max(w, self.font.getlength(t), 120) for (w, _), t in zip(sizes, titles, strict=True)]
        tall = max(sizes[0][1], sizes[1][1] + 2 * SUMS, sizes[2][1])
        middles = [GAP + sum(widths[:i]) + 2 * i * GAP + widths[i] / 2 for i in range(3)]
        self.titles = list(zip(middles, titles, strict=True))
        corners = [(m - w / 2, HEAD + GAP + (tall - h) / 2) for m, (w, h) in zip(middles, sizes, strict=True)]
        self.places = [(round(x), round(y)) for x, y in corners]
        self.size = (round(middles[2] + widths[2] / 2 + GAP), round(HEAD + tall + 2 * GAP))

    def box(self, panel: int, row: int, column: int) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of a cell."""
        (x, y), (w, h) = self.places[panel], self.cells[panel]
        return x + column * w, y + row * h, x + (column + 1) * w, y + (row + 1) * h

    def save(self, path: Path, frame_ms: int = 350) -> int:
        """Write all frames as a GIF; returns their number."""
        from PIL import Image

        count, pause, plain = self.result.size, integer("frame_ms", frame_ms, 20), Image.Dither.NONE
        palette = self.frame(count - 1).quantize(255, Image.Quantize.MAXCOVERAGE, dither=plain)
        palette.putpalette([255 if v > 246 else v for v in palette.getpalette() or ()])  # white stays white
        pictures = (self.frame(i).quantize(palette=palette, dither=plain) for i in range(count))
        with replacing(str(path)) as partial:
            next(pictures).save(partial, "GIF", save_all=True, append_images=pictures, loop=0,
                                duration=[pause] * (count - 1) + [5 * pause])
        return count

    def frame(self, position: int) -> Image.Image:
        """The picture of one step: RGB."""
        from PIL import Image, ImageDraw

        picture = Image.new("RGB", self.size, GROUND)
        draw = ImageDraw.Draw(picture)
        for middle, title in self.titles:
            draw.text((middle, GAP), title, INK, self.font, "mm")
        g, (row, column) = self.geometry, divmod(position, self.result.shape[1])
        rows = row * g.stride[0] + np.arange(self.taps.shape[0]) * g.dilation[0]
        columns = column * g.stride[1] + np.arange(self.taps.shape[1]) * g.dilation[1]
        self._numbers(draw, 0, self.values, self.values.size)
        self._numbers(draw, 2, self.result, position + 1)
        for r, c in itertools.product(rows, columns):
            draw.rectangle(self.box(0, r, c), None, ORANGE, 3)
        draw.rectangle(self.box(2, row, column), None, ORANGE, 3)
        self._products(draw, self.values[np.ix_(rows, columns)], float(self.result[row, column]))
        return picture

    def _numbers(self, draw: ImageDraw.ImageDraw, panel: int, values: np.ndarray, count: int) -> None:
        """A grid of numbers shaded by their size; only the first `count` are known."""
        finite = values[np.isfinite(values)] if np.isfinite(values).any() else np.zeros(1)
        low, high = finite.min(), finite.max()
        shades = np.nan_to_num((values - low) / ((high - low) or 1) * 190 + 60, posinf=250, neginf=60)
        for i, ((r, c), value) in enumerate(np.ndenumerate(values)):
            box, shade = self.box(panel, r, c), int(shades[r, c])
            middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
            if i >= count:
                draw.rectangle(box, (241, 243, 245), (222, 226, 230))
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
            text = f"{compact(tap)}·" + ("({})" if under[r, c] < 0 else "{}").format(compact(under[r, c]))
            middle = ((left + right) / 2, (top + bottom) / 2)
            draw.text(middle, text, INK if tap else FAINT, self.font, "mm")
        x, y = self.titles[1][0], self.box(1, self.taps.shape[0] - 1, 0)[3] + SUMS * 0.5
        with np.errstate(all="ignore"):
            total = compact((self.taps * under).sum())
        after = f"/ {compact(self.divisor)} " if self.divisor else ""
        after += f"+ {compact(self.bias)} ".replace("+ -", "- ") if self.bias else ""
        draw.text((x, y), f"sum = {total}", INK if after else ORANGE, self.large, "mm")
        if after:
            text = f"{after}= {compact(result)}"
            draw.text((x, y + SUMS * 0.7), text, ORANGE, self.large, "mm")
