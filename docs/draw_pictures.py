"""Make the pictures of README and docs/lecture.md anew: `python docs/draw_pictures.py`."""

import doctest
import os
from pathlib import Path

import numpy as np

import cconv
from cconv import lecture, show

HERE = Path(__file__).resolve().parent


def readme() -> None:
    """The picture at the top of README: six kernels, six effects."""
    picture = cconv.sample_picture()
    named = {
        "gaussian:13": cconv.kernels.gaussian(13),
        "motion:21,30": cconv.kernels.motion(21, 30),
        "sharpen": cconv.kernels.sharpen(),
        "emboss": cconv.kernels.emboss(),
        "laplacian, bias 128": 2 * cconv.kernels.laplacian(True),
    }
    tiles = [("the picture", picture)]
    for name, kernel in named.items():
        bias = 128 if "bias" in name else 0
        y = cconv.correlate(picture, kernel, padding="same", padding_mode="edge", bias=bias, dtype=np.uint8)
        tiles.append((name, y))
    cconv.write_picture(HERE / "images" / "readme.jpg", show.contact_sheet(tiles, columns=3, width=280))


def main() -> None:
    readme()
    show.animate(lecture.X, lecture.K, str(HERE / "images" / "slide.gif"))
    os.chdir(HERE / "images")  # the lecture's examples write where they run
    assert doctest.testfile(str(HERE / "lecture.md"), module_relative=False, encoding="utf-8").failed == 0


if __name__ == "__main__":
    main()
