"""Blurs planes, with a copy of cconv of its own: `blur._cconv`."""

import numpy as np

from . import _cconv
from .planes import correlate


def blur(planes, size=9, threads=1):
    """Planes (N, H, W) under a Gaussian of size x size taps, as float32; borders are mirrored."""
    planes = np.ascontiguousarray(planes, np.float32)
    out = np.empty_like(planes)
    correlate(planes, _cconv.kernels.gaussian(size).astype(np.float32), out, threads)
    return out


def blur_picture(picture, size=9):
    """A picture (H, W) or (H, W, C) under the same, of the same dtype."""
    picture = np.asarray(picture)
    return _cconv.correlate(picture, _cconv.kernels.gaussian(size), padding="same", padding_mode="reflect", dtype=picture.dtype)
