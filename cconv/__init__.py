"""Convolution for NumPy arrays: pictures and network layers, in one small compiled package."""

try:
    from . import loop as loop
except ImportError as error:
    raise ImportError(
        f"cconv's compiled loop is not here ({error}): these are the bare sources; "
        f"run 'pip install .' in their folder, then import cconv from elsewhere"
    ) from None

from . import kernels as kernels
from .geometry import output_shape
from .images import convolve, correlate, pad
from .layers import conv1d, conv2d, conv3d
from .photo import read_picture, sample_picture, write_picture
from .workers import get_workers, set_workers

__version__ = "0.1.0"

__all__ = [
    "conv1d", "conv2d", "conv3d", "convolve", "correlate", "get_workers", "kernels", "output_shape",
    "pad", "read_picture", "sample_picture", "set_workers", "write_picture",
]
