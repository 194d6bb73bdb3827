"""Picture files in and out.  Pillow is imported when a file is touched, not before."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import images
from .dtypes import as_array
from .geometry import per_axis, resolve_padding, shown

if TYPE_CHECKING:
    from PIL import Image

LOSSLESS = "save it as .png"  # the advice wherever another format falls short
WIDENED = ("PNG", "PPM")  # 16 bits that Pillow reads as its mode I (PNG before Pillow 11)


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
    return load(path)[0]


def load(path: str | os.PathLike[str]) -> tuple[np.ndarray, dict[str, Any]]:
    """What `read_picture` returns, and what `save` can write along: the colour profile and the dpi."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    path = os.fspath(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            # Opened here, because Pillow turns a TIFF that it maps into memory by name twice.
            with open(path, "rb") as file, Image.open(file) as found:
                sideways = found.getexif().get(0x0112, 1) >= 5
                image = ImageOps.exif_transpose(found)
                info, format_ = found.info, found.format
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
    dtype = np.dtype(np.uint16) if image.mode == "I" and format_ in WIDENED else array.dtype.newbyteorder("=")
    return array.astype(dtype), _extras(info, array, sideways)


def _extras(info: dict[Any, Any], pixels: np.ndarray, sideways: bool) -> dict[str, Any]:
    """The colour profile, if it is one for the pixels as they were read, and a dpi that can be meant."""
    extras: dict[str, Any] = {}
    profile, space = info.get("icc_profile"), b"RGB " if pixels.ndim == 3 and pixels.shape[2] > 2 else b"GRAY"
    if isinstance(profile, bytes) and profile[16:20] == space:
        extras["icc_profile"] = profile
    try:
        dpi = tuple(float(value) for value in info.get("dpi", ()))
    except (TypeError, ValueError, ArithmeticError):
        dpi = ()
    if len(dpi) == 2 and all(1 <= value < 65536 for value in dpi):
        extras["dpi"] = dpi[::-1] if sideways else dpi
    return extras


def write_picture(path: str | os.PathLike[str], array: object) -> None:
    """Write an array as a picture file, in the format that the name's ending says.

    What cannot be read back with the same size, channels and depth is refused, and the file that
    was there stays.  Formats that compress with loss (JPEG, WebP, AVIF) do so; JPEG at quality 95.

    Parameters
    ----------
    path : str or path
        Overwritten if it exists.
    array : array_like, shape (H, W) or (H, W, C) with C from 1 to 4
        uint8 as it is; bool as 0 and 255; uint16 of one channel as it is, where the format can
        hold it (PNG, TIFF and JPEG 2000 can); int32 and float32 of one channel as they are in a
        TIFF.  Anything else is rounded half to even and saturated to uint8: multiply what lies
        between 0 and 1 by 255 first.

    Raises
    ------
    TypeError
        A path that is none: the path comes first.
    ValueError
        A shape that is no picture; an unknown ending; a format that cannot hold the values, the
        size or the transparency; floats that are to become uint8 and all lie from 0 to 1, not
        only on 0 and 1.
    OSError
        When the file cannot be written.

    Examples
    --------
    >>> import cconv, os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "edges.png")
    >>> cconv.write_picture(path, cconv.correlate(cconv.sample_picture(), cconv.kernels.sobel()))
    """
    save(path, array, {})


def save(path: str | os.PathLike[str], array: object, extras: dict[str, Any]) -> None:
    """`write_picture`, with what `load` found beside the pixels, where the format takes it."""
    from PIL import Image

    if not isinstance(path, (str, bytes, os.PathLike)):
        raise TypeError(f"path is {shown(path)} ({type(path).__name__}); want a file name: write_picture(path, array)")
    path = os.fsdecode(path)
    format_ = writable_format(path)
    image = Image.fromarray(np.ascontiguousarray(_storable(path, array)))
    if format_ == "JPEG":
        extras = {**extras, "quality": 95}
    with replacing(path) as partial:
        try:
            image.save(partial, format_, **extras)
            lost = _lost(partial, format_, image)
        except Exception as error:  # Pillow lets struct.error, OverflowError, SystemError, ... through
            if isinstance(error, MemoryError) or isinstance(error, OSError) and error.errno is not None:
                raise
            lost = _cannot_hold(image, error)
        if lost:
            raise ValueError(f"{path} cannot hold {lost}")


def _storable(path: str, array: object) -> np.ndarray:
    """The array in a dtype and shape that Pillow takes, (H, W) or (H, W, 2 to 4)."""
    pixels = as_array("array", array)
    pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if pixels.ndim not in (2, 3) or channels > 4 or 0 in pixels.shape:
        raise ValueError(f"array has shape {pixels.shape}; want a picture: (H, W) or (H, W, C), C from 1 to 4")
    if pixels.dtype.kind == "b":
        return pixels.astype(np.uint8) * np.uint8(255)
    numbers = keeps_numbers(path)
    if channels == 1 and (pixels.dtype == np.uint16 or numbers and pixels.dtype in (np.int32, np.float32)):
        return pixels
    if channels == 1 and pixels.dtype == np.int32:
        raise ValueError(f"{path} cannot hold int32: save it as .tiff, or pass uint8")
    if pixels.dtype.kind == "f":
        between = ((pixels > 0) & (pixels < 1)).any()
        if between and not ((pixels < 0) | (pixels > 1)).any():
            raise ValueError("array holds values from 0 to 1, which would become black: multiply by 255")
    return to_uint8(pixels)


def _cannot_hold(image: Image.Image, error: Exception) -> str:
    """What a format cannot hold of a picture, from what Pillow said when it was to save it."""
    words = " ".join(str(error).split()) or type(error).__name__
    if image.mode in ("LA", "RGBA") and ("mode" in words or image.mode in words):
        return f"transparency ({words}): {LOSSLESS}, or drop the last channel"
    if image.mode.startswith("I;16"):
        return f"uint16 ({words}): save it as .png or .tiff, or pass uint8"
    return f"{image.width} x {image.height} pixels of mode {image.mode} ({words}): {LOSSLESS}"


def _lost(written: str, format_: str, image: Image.Image) -> str:
    """What a file does not hold of the picture that Pillow wrote to it; "" if it holds all."""
    from PIL import Image

    with open(written, "rb") as file, Image.OPEN[format_][0](file, written) as back:  # no limit on its size
        if back.size != image.size:
            return f"{image.width} x {image.height} pixels, only {back.width} x {back.height}: {LOSSLESS}"
        if back.mode in (image.mode, {"L": "RGB", "LA": "RGBA"}.get(image.mode)):
            return ""
        if image.mode.startswith("I;16"):
            if back.mode == "I" and format_ in WIDENED:
                return ""
            return "uint16: save it as .png or .tiff, or pass uint8"
        if back.mode in ("P", "L", "PA", "LA") and image.mode in ("L", "LA", "RGB", "RGBA"):
            if np.array_equal(np.asarray(back.convert(image.mode)), np.asarray(image)):
                return ""
            return f"these pixels: it would round them to a palette; {LOSSLESS}"
    if image.mode in ("LA", "RGBA"):
        return f"transparency: {LOSSLESS}, or drop the last channel"
    return f"mode {image.mode}, only {back.mode}: {LOSSLESS}"


@contextlib.contextmanager
def replacing(path: str) -> Iterator[str]:
    """A name beside `path` to write to: it takes the place of `path`, or is gone if anything failed."""
    partial = os.path.join(os.path.dirname(path), f".{os.urandom(6).hex()}.part")
    try:
        yield partial
        os.replace(partial, path)
    except BaseException as error:
        with contextlib.suppress(OSError, ValueError):
            os.remove(partial)
        if isinstance(error, OSError) and error.errno is not None:
            raise OSError(error.errno, error.strerror, path) from None
        raise


def _format(path: str | os.PathLike[str]) -> str | None:
    """Pillow's name of the format that the ending says."""
    from PIL import Image

    return Image.registered_extensions().get(_ending(path))


def writable_format(path: str | os.PathLike[str]) -> str:
    """The format that the ending says, if pictures can be written in it and read again."""
    from PIL import Image

    format_ = _format(path)
    if format_ is None:
        raise ValueError(f"{path} has no known ending of a picture; want one like .png, .jpg or .tiff")
    for known, verb in ((Image.SAVE, "write"), (Image.OPEN, "read back")):
        if format_ not in known:
            raise ValueError(f"{path}: Pillow cannot {verb} {format_} pictures; want one like .png, .jpg or .tiff")
    return format_


def _ending(path: str | os.PathLike[str]) -> str:
    return os.path.splitext(os.fsdecode(path))[1].lower()


def is_picture_name(path: str | os.PathLike[str]) -> bool:
    """Whether the name ends as that of a picture that Pillow can open."""
    from PIL import Image

    return _format(path) in Image.OPEN


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


def to_display(pixels: np.ndarray) -> np.ndarray:
    """A picture of any depth as the uint8 that a screen shows: uint16 / 257; wider integers and
    floats from their own least to their own largest finite value, NaN as 0."""
    if pixels.dtype in (np.uint8, np.bool_):
        return pixels
    if pixels.dtype == np.uint16:
        return to_uint8(pixels / 257)
    values = pixels.astype(np.float64)
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    if low == high:
        return np.zeros(values.shape, np.uint8)
    return to_uint8((values - low) * (255 / (high - low)))


def zoomed(image: np.ndarray, kernel: Sequence[int], stride: Any, padding: Any, dilation: Any) -> np.ndarray:
    """The picture zoomed to the size that `padding` would give it: padding_mode="resize"."""
    pads = resolve_padding(padding, image.shape[:2], kernel, per_axis("stride", stride, 2),
                           per_axis("dilation", dilation, 2))
    return images.pad(image, pads, "resize", channel_axis=2 if image.ndim == 3 else None)


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
    return read_picture(os.path.join(os.path.dirname(__file__), "sample.jpg"))
