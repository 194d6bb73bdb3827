"""Convolution for NumPy arrays: pictures and network layers, in one small compiled package."""

try:
    from . import engine as engine
    from . import loop as loop
except ImportError:
    import os as _os

    if any(name.startswith(("loop.", "engine.")) and name.endswith((".so", ".pyd")) for name in _os.listdir(__path__[0])):
        raise
    raise ImportError(
        f"{__path__[0]} holds cconv's bare sources, without its compiled modules: run 'pip install .' in the "
        f"folder above, then import cconv from another folder"
    ) from None

from . import kernels as kernels
from .conv import Conv
from .embed import get_include, get_sources
from .explain import explain
from .geometry import output_shape
from .gradients import conv_bias, conv_input, conv_weight
from .images import convolve, correlate, pad
from .layers import conv1d, conv2d, conv3d
from .photo import read_picture, sample_picture, write_picture
from .transposed import conv_transpose1d, conv_transpose2d, conv_transpose3d
from .workers import get_workers, set_workers

__version__ = "0.1.0"

__all__ = [
    "Conv", "conv1d", "conv2d", "conv3d", "conv_bias", "conv_input", "conv_transpose1d", "conv_transpose2d",
    "conv_transpose3d", "conv_weight", "convolve", "correlate", "explain", "get_include", "get_sources", "get_workers",
    "kernels", "output_shape", "pad", "read_picture", "sample_picture", "set_workers", "write_picture",
]
