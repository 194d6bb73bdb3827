"""Picture files in and out.  Pillow is imported when a file is touched, not before."""

from __future__ import annotations

import os
import warnings

import numpy as np

from .dtypes import as_array


def read_picture(path: str | os.PathLike[str]) -> np.ndarray:
    """Read a picture file as an array, the right way up.

    Parameters
    ----------
    path : str or path
        Any format that Pillow reads; of several frames the first.

    Returns
    -------
    ndarray, shape (H, W) or (H, W, C)
        Grey (H, W); grey and alpha (H, W, 2); colour (H, W, 3); colour and alpha (H, W, 4), all
        uint8.  16-bit grey is uint16, Pillow's mode I int32, mode F float32, each (H, W).
        Palettes become colours and bilevel pictures 0 and 255.

    Raises
    ------
    OSError
        FileNotFoundError and its kin; a file that is broken or no picture.
    ValueError
        A picture larger than Pillow's limit against decompression bombs.

    Examples
    --------
    >>> import cconv, os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "grey.png")
    >>> cconv.write_picture(path, [[0.0, 100.4], [300.0, 7.0]])
    >>> cconv.read_picture(path)
    array([[  0, 100],
           [255,   7]], dtype=uint8)
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    path = os.fspath(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            # Opened here, because Pillow turns a TIFF that it maps into memory by name twice.
            with open(path, "rb") as file, Image.open(file) as found:
                image = ImageOps.exif_transpose(found)
    except UnidentifiedImageError:
        raise OSError(f"{path} is not a picture that Pillow can read") from None
    except Image.DecompressionBombError as error:
        raise ValueError(
            f"{path} is too large: {error}; raise PIL.Image.MAX_IMAGE_PIXELS if you trust it"
        ) from None
    except (SyntaxError, EOFError, ValueError, IndexError) as error:  # Pillow's words for broken files
        raise OSError(f"{path} is broken: {error}") from None
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(f"{path} is broken: {error}") from None
    if image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    elif image.mode == "1":
        image = image.convert("L")
    elif image.mode in ("PA", "RGBa", "La"):
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    elif image.mode not in ("L", "LA", "RGB", "RGBA", "I", "F") and not image.mode.startswith("I;16"):
        image = image.convert("RGB")
    array = np.asarray(image)
    return array.astype(array.dtype.newbyteorder("="))


def write_picture(path: str | os.PathLike[str], array: object) -> None:
    """Write an array as a picture file, in the format that the name's ending says.

    Parameters
    ----------
    path : str or path
        Overwritten if it exists.
    array : array_like, shape (H, W) or (H, W, C) with C from 1 to 4
        uint8 as it is; bool as 0 and 255; uint16 and int32 of one channel as they are, where the
        format can hold them (TIFF can, PNG holds uint16); float32 of one channel as it is in a
        TIFF.  Anything else is rounded half to even and saturated to uint8.

    Raises
    ------
    ValueError
        A shape that is no picture, an unknown ending, a format that cannot hold the values.
    OSError
        When the file cannot be written.

    Examples
    --------
    >>> import cconv, os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "edges.png")
    >>> cconv.write_picture(path, cconv.correlate(cconv.sample_picture(), cconv.kernels.sobel()))
    """
    from PIL import Image

    path = os.fspath(path)
    pixels = as_array("array", array)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if pixels.ndim not in (2, 3) or channels > 4 or 0 in pixels.shape:
        raise ValueError(f"array has shape {pixels.shape}; want a picture: (H, W) or (H, W, C), C from 1 to 4")
    if pixels.dtype.kind == "b":
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    elif channels > 1 or pixels.dtype not in (np.uint8, np.uint16, np.int32, np.float32):
        pixels = to_uint8(pixels)
    elif pixels.dtype == np.float32 and not keeps_numbers(path):
        pixels = to_uint8(pixels)
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if not is_picture_name(path):
        raise ValueError(f"{path} has no known ending of a picture; want one like .png, .jpg or .tiff")
    # Under another name first, so that a failure leaves the old file as it was.
    partial = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.{os.getpid()}.part")
    try:
        image.save(partial, format=Image.registered_extensions()[_ending(path)])
        os.replace(partial, path)
    except (OSError, ValueError, KeyError) as error:
        if os.path.exists(partial):
            os.remove(partial)
        if isinstance(error, OSError) and error.errno is not None:
            raise OSError(error.errno, error.strerror, path) from None
        raise ValueError(
            f"{path} cannot hold {pixels.dtype} with {channels} channels ({error}); "
            f"save it as .tiff or .png, or as uint8"
        ) from None


def _ending(path: str | os.PathLike[str]) -> str:
    return os.path.splitext(path)[1].lower()


def is_picture_name(path: str | os.PathLike[str]) -> bool:
    """Whether the name ends as that of a picture that Pillow knows."""
    from PIL import Image

    return _ending(path) in Image.registered_extensions()


def split_alpha(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Colours (H, W) or (H, W, 3), and alpha (H, W) of a picture of 2 or 4 channels."""
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
        return (pixels[..., 0] if pixels.shape[2] == 2 else pixels[..., :3]), pixels[..., -1]
    return pixels, None


def join_alpha(colours: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """What `split_alpha` took apart."""
    return colours if alpha is None else np.dstack([colours, alpha])


def to_grey(colours: np.ndarray) -> np.ndarray:
    """(H, W) uint8: the luma 0.299 R + 0.587 G + 0.114 B of ITU-R BT.601."""
    if colours.ndim == 3:
        colours = colours @ np.array([0.299, 0.587, 0.114])
    return to_uint8(colours)


def keeps_numbers(path: str | os.PathLike[str]) -> bool:
    """Whether the format holds floats and wide integers as they are."""
    return _ending(path) in (".tif", ".tiff")


def to_uint8(pixels: np.ndarray) -> np.ndarray:
    """Rounded half to even and saturated; NaN becomes 0."""
    from .dtypes import store

    result = np.empty(pixels.shape, np.uint8)
    store(pixels, result.dtype, result)
    return result


def sample_picture() -> np.ndarray:
    """The picture that ships with cconv: a flower with edges, gradients and fine texture.

    Returns
    -------
    ndarray of uint8, shape (459, 612, 3)

    Examples
    --------
    >>> import cconv
    >>> cconv.sample_picture().shape
    (459, 612, 3)
    """
    return read_picture(os.path.join(os.path.dirname(__file__), "sample.png"))
