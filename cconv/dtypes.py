"""What may go in, what comes out: kinds of arrays, result dtypes, exactness, rounding.

The one place of the number rules; which values are multiplied is none of its business.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from .geometry import shown

SUPPORTED = "bool, 8- to 64-bit integers, float16, float32, float64"
F32, F64, I64 = np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.int64)


def as_array(name: str, value: Any) -> np.ndarray:
    """`value` as an array of a supported dtype, without copying one that is an array already."""
    if isinstance(value, np.ndarray) and not isinstance(value, np.ma.MaskedArray):
        array = value
    else:
        try:
            _refuse_lazy(name, value)
        except RecursionError:
            raise ValueError(f"{name} cannot be read as an array: it holds itself") from None
        try:
            array = np.asarray(value)
        except ValueError as error:
            raise ValueError(f"{name} cannot be read as an array: {error}") from None
        except Exception as error:  # a foreign array type may raise anything
            raise TypeError(f"{name} cannot be read as an array: {error}") from None
    check_dtype(name, array.dtype)
    return array


def _refuse_lazy(name: str, value: Any) -> None:
    """Only what lies in memory as numbers is taken; nothing is computed or fetched silently."""
    if isinstance(value, (int, float, complex, np.generic)):
        return
    if isinstance(value, (list, tuple)):
        for item in value:
            _refuse_lazy(name, item)
        return
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(
            f"{name} is or holds a masked array, and the mask would be lost: pass {name}.filled(0) or {name}.data"
        )
    if isinstance(value, np.ndarray):
        return
    kind = f"{type(value).__module__.partition('.')[0]} {type(value).__name__}"
    if isinstance(value, (str, os.PathLike)):
        raise TypeError(
            f"{name} is {shown(value)}; want an array: cconv.read_picture(...) reads a file, "
            f"cconv.kernels has the named kernels"
        )
    if callable(value) and not hasattr(value, "__array_interface__"):
        raise TypeError(f"{name} is {shown(value)}, a function or class; want an array: call it first")
    if value is None or isinstance(value, (bytes, dict, set)):
        raise TypeError(f"{name} is {type(value).__name__} ({shown(value)}); want an array of numbers")
    if hasattr(value, "__dask_graph__") or callable(getattr(value, "compute", None)):
        raise TypeError(f"{name} is a {kind}, a lazy array: pass {name}.compute()")
    if callable(getattr(value, "to_numpy", None)):
        raise TypeError(f"{name} is a {kind}; want a plain array: pass {name}.to_numpy()")
    if hasattr(value, "__array_interface__") or hasattr(value, "__dlpack__"):
        return
    try:
        memoryview(value)
    except TypeError:
        raise TypeError(
            f"{name} is a {kind}; want a NumPy array: pass numpy.asarray({name}) if that is what you mean"
        ) from None


def supported(dtype: np.dtype) -> bool:
    return dtype.kind in "biu" or dtype.kind == "f" and dtype.itemsize <= 8


def check_dtype(name: str, dtype: np.dtype) -> None:
    if supported(dtype):
        return
    repair = {
        "c": "pass the real and imaginary parts, each in its own call",
        "O": f"convert it first, for example with {name}.astype(float)",
        "f": f"convert it first with {name}.astype(numpy.float64)",
    }.get(dtype.kind, "pass one field or convert it first")
    raise TypeError(f"{name} has dtype {dtype}; supported are {SUPPORTED}: {repair}")


def default_dtype(dtype: np.dtype) -> np.dtype:
    """The result's dtype when none is asked for: float32 for what float32 holds exactly."""
    exact_bytes = 4 if dtype.kind == "f" else 2
    return F32 if dtype.itemsize <= exact_bytes else F64


def result_dtype(wanted: Any, out: Any, natural: np.dtype) -> np.dtype:
    """The dtype of the result: `dtype=`, else that of an integer `out`, else `natural`."""
    if wanted is None:
        integer_out = isinstance(out, np.ndarray) and out.dtype.kind in "iu"
        return out.dtype.newbyteorder("=") if integer_out else natural
    try:
        dtype = np.dtype(wanted)
    except (TypeError, ValueError):
        raise TypeError(f"dtype={shown(wanted)} is no NumPy dtype; want one like numpy.float32 or numpy.uint8") from None
    if dtype.kind == "b":
        raise TypeError("dtype=bool cannot hold a sum; want a float or integer dtype, then compare")
    if not supported(dtype):
        raise TypeError(f"dtype is {dtype}; supported are {SUPPORTED}")
    native: np.dtype = dtype.newbyteorder("=")
    return native


def magnitude(array: np.ndarray, exact: bool = False) -> int:
    """An integer that no |value| of an integer array exceeds: by its dtype, or by its values."""
    if array.dtype.kind == "b":
        return 1
    if exact:
        return max(abs(int(array.max(initial=0))), abs(int(array.min(initial=0))))
    info = np.iinfo(array.dtype)
    return max(int(info.max), -int(info.min))


def integer_compute_dtype(
    x_name: str, x: np.ndarray, w: np.ndarray, bias: np.ndarray | None, value: int
) -> np.dtype:
    """The dtype in which a sum of integers is exact: float32, float64 or int64.

    `w` (O, taps...).  Raises OverflowError where not even int64 is sure to hold the sum.
    """
    taps = w.reshape(w.shape[0], -1)
    if magnitude(w, exact=True) * taps.shape[1] < 2**62:
        weights = int(np.abs(taps.astype(np.int64)).sum(axis=1).max(initial=0))
    else:  # in Python's integers, which do not wrap
        weights = max((sum(abs(int(v)) for v in row) for row in taps), default=0)
    offset = 0 if bias is None else magnitude(bias, exact=True)
    bound = max(magnitude(x), abs(value)) * weights + offset
    if bound >= 2**63:
        bound = max(magnitude(x, exact=True), abs(value), 1) * weights + offset
    if bound < 2**24:
        return F32
    if bound < 2**53:
        return F64
    if bound < 2**63:
        return I64
    raise OverflowError(
        f"an exact sum could reach {bound}, beyond int64's {2**63 - 1}: pass dtype=numpy.float64, "
        f"or scale {x_name} or the weights down"
    )


def empty(shape: Sequence[int], dtype: np.dtype) -> np.ndarray:
    """An array without values.  A large one begins at a line of the cache, which numpy.empty's do not: whole vectors
    are then written to one line each."""
    size = math.prod(shape) * dtype.itemsize
    if size < 2**16:
        return np.empty(shape, dtype)
    memory = np.empty(size + 64, np.uint8)
    return np.ndarray(shape, dtype, memory, -memory.__array_interface__["data"][0] % 64)


def check_out(out: Any, shape: Sequence[int], dtype: np.dtype) -> None:
    """`out` must be exactly what the result fits into."""
    shape = tuple(shape)
    if not isinstance(out, np.ndarray) or isinstance(out, np.ma.MaskedArray):
        raise TypeError(f"out is a {type(out).__name__}; want a NumPy array of shape {shape}")
    if out.shape != shape:
        raise ValueError(f"out has shape {out.shape}; the result has {shape}: pass numpy.empty({shape}, ...)")
    if not out.flags.writeable:
        raise ValueError("out is read-only; want a writable array: pass out.copy()")
    if out.dtype.kind in "iu" and dtype.kind in "iu":
        return  # saturated, never wrapped
    if out.dtype.kind not in "iuf":
        raise ValueError(f"out has dtype {out.dtype}, which cannot hold a sum; want {dtype}")
    if not np.can_cast(dtype, out.dtype, "same_kind"):
        raise ValueError(
            f"out has dtype {out.dtype}, but the result is {dtype}: pass dtype={str(out.dtype)!r} too, "
            f"or an out of dtype {dtype}"
        )


def store(values: np.ndarray, dtype: np.dtype, out: np.ndarray) -> None:
    """Write `values` (float or int64) into `out` as numbers of `dtype`.

    Integers are rounded half to even and saturated, NaN becomes 0.
    """
    if dtype.kind in "iu" and out.dtype != dtype:
        narrow = np.empty(values.shape, dtype)
        store(values, dtype, narrow)
        values = narrow
    if out.dtype.kind not in "iu":
        with np.errstate(over="ignore"):
            out[...] = values
        return
    info = np.iinfo(out.dtype)
    if values.dtype.kind in "iu":
        mine = np.iinfo(values.dtype)
        out[...] = np.clip(values, max(int(info.min), int(mine.min)), min(int(info.max), int(mine.max)))
        return
    rounded = np.rint(values)
    low, high = float(info.min), float(info.max)  # may round up to a value just outside
    with np.errstate(invalid="ignore"):
        out[...] = np.where((rounded > low) & (rounded < high), rounded, 0)
    out[rounded >= high] = info.max
    out[rounded <= low] = info.min
