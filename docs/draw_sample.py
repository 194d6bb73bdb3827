"""Draw cconv's sample picture: a flower with sharp edges, smooth gradients and fine texture.

    python docs/draw_sample.py [OUT]        by default ../cconv/sample.jpg

Needs NumPy and Pillow.  Everything is computed here from formulas and one seed, so the picture
carries nobody's rights.  It is drawn SCALE times larger and averaged down.

Sizes: H W of the large canvas; colours are float arrays (H, W, 3) from 0 to 1.  Positions are in
pixels of the finished picture.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT, SCALE = 612, 459, 3
GOLDEN = np.pi * (3 - 5**0.5)
LIGHT = np.array([-0.55, -0.83])  # where the light comes from: the upper left

Rng = np.random.Generator


def color(text: str) -> np.ndarray:
    """(3,) from "rrggbb"."""
    return np.array([int(text[i:i + 2], 16) for i in (0, 2, 4)]) / 255


def ramp(t: np.ndarray, *stops: tuple[float, str]) -> np.ndarray:
    """(..., 3): the colours between the stops (place, colour) at t (...)."""
    places = [place for place, _ in stops]
    colors = np.array([color(text) for _, text in stops])
    return np.stack([np.interp(t, places, colors[:, c]) for c in range(3)], -1)


def smooth(t: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below low, 1 above high, a smooth step between (low may be the larger one)."""
    u = np.clip((t - low) / (high - low), 0, 1)
    return u * u * (3 - 2 * u)


def blur(a: np.ndarray, radius: float) -> np.ndarray:
    """Three box blurs along both axes: nearly a Gaussian of that standard deviation."""
    half = max(1, round(radius * SCALE))
    for axis in (0, 1):
        for _ in range(3):
            ends = [(half + 1, half) if i == axis else (0, 0) for i in range(a.ndim)]
            sums = np.pad(a, ends, "edge").cumsum(axis)
            n = sums.shape[axis]
            late, early = np.arange(2 * half + 1, n), np.arange(0, n - 2 * half - 1)
            a = (sums.take(late, axis) - sums.take(early, axis)) / (2 * half + 1)
    return a


def noise(rng: Rng, shape: tuple[int, ...], cells: int) -> np.ndarray:
    """Smooth noise (...) from -1 to 1 with about `cells` bumps along the longer side."""
    step = max(shape) / cells
    grid = rng.uniform(-1, 1, [int(n / step) + 3 for n in shape[:2]])
    y, x = (np.arange(n) / step for n in shape[:2])
    rows, columns = y.astype(int), x.astype(int)
    fy, fx = smooth(y - rows, 0, 1)[:, None], smooth(x - columns, 0, 1)
    a, b = grid[rows], grid[rows + 1]
    top = a[:, columns] * (1 - fx) + a[:, columns + 1] * fx
    low = b[:, columns] * (1 - fx) + b[:, columns + 1] * fx
    return top * (1 - fy) + low * fy


class Canvas:
    """A picture to paint on, in layers from back to front."""

    def __init__(self, width: int = WIDTH, height: int = HEIGHT) -> None:
        self.pixels = np.zeros((height * SCALE, width * SCALE, 3))

    def region(self, left: float, top: float, right: float, bottom: float) -> tuple[slice, slice]:
        """The part of the canvas inside a box."""
        height, width = self.pixels.shape[:2]
        y0, y1 = (int(np.clip(v * SCALE, 0, height)) for v in (top, bottom + 1))
        x0, x1 = (int(np.clip(v * SCALE, 0, width)) for v in (left, right + 1))
        return slice(y0, y1), slice(x0, x1)

    def places(self, part: tuple[slice, slice]) -> tuple[np.ndarray, np.ndarray]:
        """x (1, w) and y (h, 1) of the pixels of a part."""
        rows, columns = part
        y = (np.arange(rows.start, rows.stop) + 0.5) / SCALE
        x = (np.arange(columns.start, columns.stop) + 0.5) / SCALE
        return x[None, :], y[:, None]

    def paint(self, part: tuple[slice, slice], colors: np.ndarray, alpha: np.ndarray) -> None:
        """Lay colours (h, w, 3) or (3,) over a part, as opaque as alpha (h, w) says."""
        under = self.pixels[part]
        under += (colors - under) * alpha[..., None]

    def shade(self, part: tuple[slice, slice], factor: np.ndarray) -> None:
        """Darken (below 1) or brighten a part by factor (h, w)."""
        self.pixels[part] *= factor[..., None]


def background(canvas: Canvas, rng: Rng) -> None:
    """A meadow out of focus: gradient, soft patches, bokeh."""
    part = canvas.region(0, 0, WIDTH, HEIGHT)
    x, y = canvas.places(part)
    t = y / HEIGHT * 0.75 + x / WIDTH * 0.25
    shape = canvas.pixels.shape[:2]
    soft = blur(noise(rng, shape, 7), 22)
    canvas.pixels[...] = ramp(np.clip(t + 0.12 + 0.55 * soft, 0, 1), (0, "d8ecb0"), (0.25, "93c985"),
                              (0.55, "3f9466"), (0.8, "1b6350"), (1, "0e3f3c"))
    glow = np.exp(-(((x - 545) / 190) ** 2 + ((y - 40) / 150) ** 2))
    canvas.paint(part, color("fff1c4"), 0.8 * glow)
    for _ in range(46):
        cx, cy = rng.uniform(-20, WIDTH + 20), rng.triangular(-20, 90, 400)
        radius = rng.uniform(8, 30)
        tint = color(rng.choice(["fff6d0", "ffe9a8", "e5f5c8", "ffd9c0", "c9efd9", "ffc8d4"]))
        part = canvas.region(cx - radius - 3, cy - radius - 3, cx + radius + 3, cy + radius + 3)
        x, y = canvas.places(part)
        r = np.hypot(x - cx, y - cy)
        rim = 0.72 + 0.28 * smooth(r, radius * 0.7, radius * 0.96)
        canvas.paint(part, tint, rng.uniform(0.12, 0.5) * rim * smooth(r, radius + 0.9, radius - 0.9))


def blade(
    canvas: Canvas, x0: float, y0: float, lean: float, tall: float, wide: float, tint: np.ndarray,
) -> None:
    """One blade of grass from (x0, y0) upward: a curve x = x0 + lean t^2 that grows thin, with a rib."""
    part = canvas.region(min(x0, x0 + lean) - wide, y0 - tall, max(x0, x0 + lean) + wide, y0)
    x, y = canvas.places(part)
    t = np.clip((y0 - y) / tall, 0, 1)
    across = (x - x0 - lean * t**2) / (wide * (1 - t) ** 0.6 + 0.05)
    light = (0.62 + 0.5 * t) * (1 - 0.30 * across) + 0.12 * np.cos(across * 14)
    light -= 0.25 * np.exp(-((across / 0.12) ** 2))
    canvas.paint(part, np.clip(tint * light[..., None], 0, 1), smooth(np.abs(across), 1.05, 0.9))


def grass(canvas: Canvas, rng: Rng, count: int, tall: tuple[float, float], dim: float) -> None:
    """Blades along the lower edge, at random."""
    for x0 in rng.permutation(np.linspace(-20, WIDTH + 20, count)):
        tint = ramp(np.array(rng.uniform()), (0, "3f7d3a"), (0.5, "6aa544"), (0.85, "9cc55a"), (1, "cfd67a"))
        blade(canvas, x0 + rng.normal(0, 4), HEIGHT + 4, rng.normal(0, 34), rng.uniform(*tall),
              rng.uniform(1.3, 3.6), tint * dim)


def stem(canvas: Canvas, points: np.ndarray, wide: float) -> None:
    """A hairy stalk along a quadratic curve through three points (3, 2), drawn downward."""
    (ax, ay), (bx, _), (cx, cy) = points
    part = canvas.region(min(ax, bx, cx) - 14, ay, max(ax, bx, cx) + 14, cy)
    x, y = canvas.places(part)
    t = np.clip((y - ay) / (cy - ay), 0, 1)
    middle = ax * (1 - t) ** 2 + 2 * bx * t * (1 - t) + cx * t**2
    across = (x - middle) / (wide * (1 + 0.25 * t))
    light = np.sqrt(np.clip(1 - across**2, 0, 1)) * 0.75 + 0.35 - 0.25 * across
    light = light * (1 - 0.55 * smooth(y, ay + 110, ay)) + 0.05 * np.sin(across * 22)
    canvas.shade(part, 1 - 0.35 * np.exp(-(((across - 1.1) / 0.8) ** 2)) * (np.abs(across) > 0.9))
    canvas.paint(part, np.clip(color("7aa84a") * light[..., None], 0, 1), smooth(np.abs(across), 1.04, 0.92))


def leaf(canvas: Canvas, x0: float, y0: float, turn: float, long: float, wide: float, rng: Rng) -> None:
    """A leaf with a toothed edge and branching veins, from (x0, y0) in the direction `turn` (degrees)."""
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    part = canvas.region(x0 - long, y0 - long, x0 + long, y0 + long)
    x, y = canvas.places(part)
    u = ((x - x0) * c + (y - y0) * s) / long
    v = (-(x - x0) * s + (y - y0) * c) / wide - 0.22 * np.sin(np.pi * np.clip(u, 0, 1))
    inner = np.clip(u, 0, 1)
    teeth = 1 + 0.045 * np.abs((u * 13 + 0.3) % 1 - 0.5) * 2
    edge = np.sin(np.pi * inner**0.8) ** 0.85 * teeth
    distance = (edge - np.abs(v)) * wide
    side = np.abs(v) / np.maximum(edge, 1e-3)
    branch = np.abs(((u - 0.30 * side**1.2) * 11) % 1 - 0.5)
    fine = np.abs(((u * 1.0 + 0.5 * side) * 47) % 1 - 0.5) * np.abs((side * 9) % 1 - 0.5)
    light = 0.80 + 0.22 * np.where(v < 0, 1, -0.6) * (1 - side) - 0.18 * u
    light += 0.16 * smooth(branch, 0.07, 0.0) - 0.10 * smooth(branch, 0.0, 0.30) * (1 - side)
    light += 0.10 * (fine - 0.12) + 0.35 * smooth(np.abs(v) * wide, 1.6, 0.5) * (1 - u)
    light += 0.06 * blur(noise(rng, light.shape, 40), 1)
    tint = ramp(inner, (0, "4e8f45"), (0.6, "5fa047"), (1, "93b957"))
    inside = (u > 0) & (u < 1)
    canvas.shade(part, 1 - 0.22 * smooth(distance, -9, 0) * inside)
    canvas.paint(part, np.clip(tint * light[..., None], 0, 1), smooth(distance, -0.2, 0.9) * inside)


def petal(
    canvas: Canvas, place: Callable[[tuple[slice, slice]], tuple[np.ndarray, np.ndarray]],
    part: tuple[slice, slice], turn: float, start: float, long: float, wide: float, rng: Rng, dim: float,
    dark: float,
) -> None:
    """One petal of the flower: u runs along it from 0 to 1, v across from -1 to 1."""
    px, py = place(part)
    c, s = np.cos(turn), np.sin(turn)
    along, across = px * c + py * s - start, -px * s + py * c
    u = along / long
    inner = np.clip(u, 0, 1)
    across = across - rng.normal(0, 0.05) * long * inner**2
    body = wide * (0.42 + 0.58 * np.sin(np.pi * inner**0.75 * 0.72))
    body *= 1 + 0.03 * np.sin(inner * 9 + rng.uniform(0, 6))
    edge = body * (1 - inner**6) ** 0.5
    distance = np.where(u < 1, edge - np.abs(across), -np.hypot(across, along - long))
    flat = np.clip(across / np.maximum(edge, 0.45 * body), -1, 1)
    ridge = np.cos(flat * np.pi * rng.uniform(3.2, 3.8) + rng.normal(0, 0.3))
    vein = np.cos(flat * 34 + 3 * inner + rng.uniform(0, 6)) * np.cos(flat * 13 + rng.uniform(0, 6))
    normal = -s * LIGHT[0] + c * LIGHT[1]  # how far the petal's left side faces the light
    light = 0.93 + 0.11 * (c * LIGHT[0] + s * LIGHT[1]) + 0.20 * flat * normal - 0.10 * flat**2
    light += 0.055 * ridge * (0.4 + inner) + 0.035 * vein * smooth(inner, 0, 0.2)
    light *= (0.52 + 0.48 * smooth(along, -6, long * 0.42)) * dim
    light += 0.15 * smooth(distance, 2.0, 0.5) * smooth(inner, 0.15, 0.6)
    tint = ramp(np.clip(inner + 0.06 * vein + 0.05 * ridge, 0, 1), (0, "8c1245"), (0.22, "c8234f"),
                (0.55, "f2495c"), (0.82, "ff7f6c"), (1, "ffc09a"))
    canvas.shade(part, 1 - dark * smooth(distance, -11, 1) * (u > -0.05))
    canvas.paint(part, np.clip(tint * light[..., None], 0, 1), smooth(distance, -0.25, 0.5) * (u > 0))


def seed(
    canvas: Canvas, x0: float, y0: float, turn: float, size: float, tint: np.ndarray, tip: np.ndarray,
) -> None:
    """One floret of the disc: a small lit dome, its tip towards the outside."""
    part = canvas.region(x0 - size * 1.8, y0 - size * 1.8, x0 + size * 1.8, y0 + size * 1.8)
    x, y = canvas.places(part)
    c, s = np.cos(turn), np.sin(turn)
    u, v = ((x - x0) * c + (y - y0) * s) / size, (-(x - x0) * s + (y - y0) * c) / (size * 0.72)
    r = np.hypot(u, v)
    dome = np.sqrt(np.clip(1 - r**2, 0, 1))
    lit = 0.45 + 0.65 * dome + 0.40 * ((x - x0) * LIGHT[0] + (y - y0) * LIGHT[1]) / size
    shine = np.exp(-(((x - x0) / size - LIGHT[0] * 0.4) ** 2 + ((y - y0) / size - LIGHT[1] * 0.4) ** 2) * 12)
    mix = smooth(u, 0.0, 0.7)[..., None]
    canvas.shade(part, 1 - 0.55 * smooth(r, 1.7, 0.9))
    painted = (tint * (1 - mix) + tip * mix) * lit[..., None] + 0.35 * shine[..., None]
    canvas.paint(part, np.clip(painted, 0, 1), smooth(r, 1.06, 0.9))


def flower(
    canvas: Canvas, x0: float, y0: float, radius: float, rng: Rng, squash: float = 0.93, lean: float = -0.25,
) -> None:
    """Four rings of petals from the outer to the inner, then the disc, seen a little from the side."""
    c, s = np.cos(lean), np.sin(lean)

    def place(part: tuple[slice, slice]) -> tuple[np.ndarray, np.ndarray]:
        x, y = canvas.places(part)
        dx, dy = x - x0, y - y0
        return dx * c + dy * s, (-dx * s + dy * c) / squash

    rings = ((19, 1.0, 0.150, 0.78), (19, 0.93, 0.140, 0.9), (17, 0.79, 0.125, 0.98), (21, 0.56, 0.075, 1.03))
    for ring, (count, reach, wide, dim) in enumerate(rings):
        for i in rng.permutation(count):
            turn = 2 * np.pi * (i + 0.5 * (ring % 2) + rng.normal(0, 0.09)) / count
            far = radius * reach * (1 + rng.normal(0, 0.025)) - radius * 0.2
            tx, ty = np.cos(turn) * radius * 0.6, np.sin(turn) * radius * 0.6
            bx, by = x0 + tx * c - ty * squash * s, y0 + tx * s + ty * squash * c
            near = radius * 0.62
            part = canvas.region(bx - near, by - near, bx + near, by + near)
            width = radius * wide * (1 + rng.normal(0, 0.05))
            petal(canvas, place, part, turn, radius * 0.2, far, width, rng, dim * (1 + rng.normal(0, 0.03)),
                  0.5 if ring else 0.12)
    disc(canvas, x0, y0, radius, rng, squash, lean)


def disc(canvas: Canvas, x0: float, y0: float, radius: float, rng: Rng, squash: float, lean: float) -> None:
    """Seeds at the golden angle (Vogel, A Better Way to Construct the Sunflower Head, 1979)."""
    c, s = np.cos(lean), np.sin(lean)
    part = canvas.region(x0 - radius * 0.5, y0 - radius * 0.5, x0 + radius * 0.5, y0 + radius * 0.5)
    x, y = canvas.places(part)
    r = np.hypot((x - x0) * c + (y - y0) * s, (-(x - x0) * s + (y - y0) * c) / squash) / radius
    canvas.shade(part, 1 - 0.75 * smooth(r, 0.44, 0.26))
    canvas.paint(part, color("3a1408"), smooth(r, 0.285, 0.265))
    count = 420
    for i in range(count - 1, -1, -1):
        share = ((i + 0.5) / count) ** 0.5
        turn = i * GOLDEN
        dx, dy = (np.array([np.cos(turn), np.sin(turn)]) * share * radius * 0.285) * (1, squash)
        tint = ramp(np.array(share), (0, "5d7a1e"), (0.35, "8a8a1c"), (0.6, "9c5a12"),
                    (0.85, "6e2a0c"), (1, "a5521a"))
        tip = ramp(np.array(share), (0, "b9c843"), (0.35, "e2d34a"), (0.6, "f0a52c"),
                   (0.85, "f5b53a"), (1, "ffd65a"))
        dim = 1.1 + rng.normal(0, 0.05) - 0.12 * (1 - share)
        size = radius * (0.0105 + 0.0065 * share)
        seed(canvas, x0 + dx * c - dy * s, y0 + dx * s + dy * c, turn + lean, size, tint * dim, tip * dim)


def drop(canvas: Canvas, x0: float, y0: float, size: float) -> None:
    """A drop of dew: dark where the light enters, bright where it leaves, one sharp glint."""
    part = canvas.region(x0 - 2 * size, y0 - 2 * size, x0 + 2 * size, y0 + 2 * size)
    x, y = canvas.places(part)
    u, v = (x - x0) / size, (y - y0) / size
    r, lit = np.hypot(u, v), u * LIGHT[0] + v * LIGHT[1]
    shadow = np.hypot(u + LIGHT[0] * 0.4, v + LIGHT[1] * 0.4)
    canvas.shade(part, 1 - 0.45 * smooth(shadow, 1.25, 0.7))
    canvas.shade(part, 1 + smooth(r, 1.05, 0.92) * (0.28 - 0.45 * lit))
    canvas.paint(part, color("fff4ea"), 0.55 * smooth(r, 1, 0.75) * smooth(-lit, 0.35, 0.95))
    glint = np.hypot(u - LIGHT[0] * 0.45, v - LIGHT[1] * 0.45)
    canvas.paint(part, color("ffffff"), smooth(glint, 0.28, 0.16))


def draw(seed_number: int = 2023) -> Image.Image:
    """The whole picture, from the back to the front."""
    rng = np.random.default_rng(seed_number)
    canvas = Canvas()
    background(canvas, rng)
    stem(canvas, np.array([(508, 190), (515, 330), (497, 470)]), 3.2)
    flower(canvas, 508, 168, 66, rng, 0.80, 0.35)
    grass(canvas, rng, 90, (60, 170), 0.7)
    canvas.pixels = blur(canvas.pixels, 2.4)
    grass(canvas, rng, 60, (40, 125), 0.72)
    canvas.pixels = blur(canvas.pixels, 0.9)
    stem(canvas, np.array([(262, 230), (268, 350), (302, 470)]), 6.0)
    leaf(canvas, 296, 448, -27, 205, 38, rng)
    leaf(canvas, 292, 440, 196, 190, 34, rng)
    flower(canvas, 250, 200, 186, rng)
    for x, y, size in ((163, 118, 6.2), (176, 131, 3.0), (345, 260, 5.4), (330, 96, 4.0), (140, 262, 4.4),
                       (254, 330, 3.6)):
        drop(canvas, x, y, size)
    grass(canvas, rng, 85, (14, 62), 1.0)
    small = canvas.pixels.reshape(HEIGHT, SCALE, WIDTH, SCALE, 3).mean((1, 3))
    x, y = (np.arange(WIDTH) - WIDTH / 2) / WIDTH, (np.arange(HEIGHT)[:, None] - HEIGHT / 2) / HEIGHT
    small = small * (1 - 0.35 * (x**2 + y**2))[..., None]
    return Image.fromarray(np.rint(np.clip(small, 0, 1) * 255).astype(np.uint8))


def main() -> None:
    default = Path(__file__).resolve().parent.parent / "cconv" / "sample.jpg"
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    draw().save(out, quality=92, subsampling=0, progressive=True, optimize=True)
    print(f"{out}: {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
