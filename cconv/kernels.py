"""Named kernels, each with its formula and its source: functions that return float64 arrays.

All are written as `correlate` uses them, unflipped.  The directional ones are positive on the
side of the lower index, as Prewitt's and Sobel's operators are drawn for convolution: with
`correlate`, axis=0 answers with a positive number where the top is brighter than the bottom.
OpenCV and SciPy have the opposite sign.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .geometry import integer, shown
from .operation import real_number


def _size(size: Any) -> int:
    return integer("size", size)


def _odd(size: Any) -> int:
    n = integer("size", size)
    if n % 2 == 0:
        raise ValueError(f"size is {n}; this kernel needs a centre: pass an odd size, {n - 1 or 3} or {n + 1}")
    return n


def _within(name: str, value: Any, low: float, high: float) -> float:
    number = float(real_number(name, value))
    if not low <= number <= high:
        raise ValueError(f"{name} is {number:g}; want a number from {low:g} to {high:g}")
    return number


def _sigma(n: int, sigma: Any) -> float:
    return n / 6 if sigma is None else _within("sigma", sigma, 0.01, 1e6)


def _across(axis: Any, along: list[float], smooth: list[float]) -> np.ndarray:
    """The separable kernel that runs `along` the axis and `smooth` across it."""
    axis = integer("axis", axis, 0, 1)
    kernel = np.outer(along, smooth).astype(np.float64)
    return kernel if axis == 0 else kernel.T.copy()


def identity(size: int = 3) -> np.ndarray:
    """1 at the centre, 0 elsewhere: leaves a picture as it is.

    Parameters
    ----------
    size : int
        Odd.

    Returns
    -------
    ndarray of float64, shape (size, size)

    Examples
    --------
    >>> import cconv
    >>> cconv.kernels.identity(3)
    array([[0., 0., 0.],
           [0., 1., 0.],
           [0., 0., 0.]])
    """
    n = _odd(size)
    kernel = np.zeros((n, n))
    kernel[n // 2, n // 2] = 1
    return kernel


def box(size: int = 3) -> np.ndarray:
    """The mean of a square: every tap 1/size**2 (Gonzalez and Woods, Digital Image Processing, 3.5).

    Parameters
    ----------
    size : int

    Returns
    -------
    ndarray of float64, shape (size, size)

    Examples
    --------
    >>> import cconv
    >>> float(cconv.kernels.box(5)[0, 0])
    0.04
    """
    n = _size(size)
    return np.full((n, n), 1 / n**2)


def disk(size: int = 5) -> np.ndarray:
    """The mean of a circle, the blur of a lens out of focus: equal taps where
    ``x**2 + y**2 <= (size/2)**2``, 0 elsewhere, sum 1 (Gonzalez and Woods, 5.6).

    Parameters
    ----------
    size : int
        Diameter; odd.

    Returns
    -------
    ndarray of float64, shape (size, size)

    Examples
    --------
    >>> import cconv
    >>> (cconv.kernels.disk(5) > 0).astype(int)
    array([[0, 1, 1, 1, 0],
           [1, 1, 1, 1, 1],
           [1, 1, 1, 1, 1],
           [1, 1, 1, 1, 1],
           [0, 1, 1, 1, 0]])
    """
    n = _odd(size)
    place = np.arange(n) - n // 2
    inside = (place[:, None] ** 2 + place**2 <= (n / 2) ** 2).astype(np.float64)
    kernel: np.ndarray = inside / inside.sum()
    return kernel


def gaussian(size: int = 5, sigma: float | None = None) -> np.ndarray:
    """The bell ``exp(-(x**2 + y**2) / (2 sigma**2))``, divided by its sum (Marr and Hildreth,
    Theory of Edge Detection, 1980).

    Parameters
    ----------
    size : int
    sigma : float, optional
        Standard deviation in pixels, 0.01 to 1e6; by default ``size / 6``, so that the kernel reaches three
        of them to each side.

    Returns
    -------
    ndarray of float64, shape (size, size)

    Examples
    --------
    >>> import cconv
    >>> cconv.kernels.gaussian(3, 1).round(4)
    array([[0.0751, 0.1238, 0.0751],
           [0.1238, 0.2042, 0.1238],
           [0.0751, 0.1238, 0.0751]])
    """
    n = _size(size)
    square = (np.arange(n) - (n - 1) / 2) ** 2
    line = np.exp((square.min() - square) / (2 * _sigma(n, sigma) ** 2))  # the largest is 1, however small sigma is
    line /= line.sum()
    return np.outer(line, line)


def motion(size: int = 9, angle: float = 0.0) -> np.ndarray:
    """The smear of a camera that moves: a line of length `size` at `angle`, drawn by sharing each
    of its points among the four nearest taps, sum 1 (Gonzalez and Woods, 5.6).

    Parameters
    ----------
    size : int
        Odd.
    angle : float
        Degrees, counter-clockwise from the horizontal, -360 to 360.

    Returns
    -------
    ndarray of float64, shape (size, size)

    Examples
    --------
    >>> import cconv
    >>> cconv.kernels.motion(3).round(3)
    array([[0.   , 0.   , 0.   ],
           [0.333, 0.333, 0.333],
           [0.   , 0.   , 0.   ]])
    """
    n = _odd(size)
    turn = math.radians(_within("angle", angle, -360, 360))
    place = np.arange(n) - n // 2
    rows, columns = n // 2 - place * math.sin(turn), n // 2 + place * math.cos(turn)
    grid = np.arange(n)
    shares = [
        np.clip(1 - np.abs(points[:, None] - grid), 0, None).round(12) for points in (rows, columns)
    ]
    kernel: np.ndarray = shares[0].T @ shares[1] / n
    return kernel


def prewitt(axis: int = 0) -> np.ndarray:
    """Difference along `axis` of means across it: 1 1 1 / 0 0 0 / -1 -1 -1 (Prewitt, Object
    Enhancement and Extraction, 1970).

    Parameters
    ----------
    axis : {0, 1}
        0 finds horizontal edges, 1 vertical ones.  Negate it for the sign of OpenCV and SciPy.

    Returns
    -------
    ndarray of float64, shape (3, 3)

    Examples
    --------
    >>> import cconv
    >>> cconv.kernels.prewitt(axis=1)
    array([[ 1.,  0., -1.],
           [ 1.,  0., -1.],
           [ 1.,  0., -1.]])
    """
    return _across(axis, [1, 0, -1], [1, 1, 1])


def sobel(axis: int = 0) -> np.ndarray:
    """Difference along `axis`, smoothed by 1 2 1 across it (Sobel and Feldman, 1968, told in
    Duda and Hart, Pattern Classification and Scene Analysis, 1973).

    Parameters
    ----------
    axis : {0, 1}
        0 finds horizontal edges, 1 vertical ones.  Negate it for the sign of OpenCV and SciPy.

    Returns
    -------
    ndarray of float64, shape (3, 3)

    Examples
    --------
    >>> import cconv
    >>> cconv.kernels.sobel(axis=0)
    array([[ 1.,  2.,  1.],
           [ 0.,  0.,  0.],
           [-1., -2., -1.]])
    """
    return _across(axis, [1, 0, -1], [1, 2, 1])


def scharr(axis: int = 0) -> np.ndarray:
    """Difference along `axis`, smoothed by 3 10 3 across it, which answers most nearly alike to
    edges of every direction (Scharr, Optimal Operators in Digital Image Processing, 2000).

    Parameters
    ----------
    axis : {0, 1}
        0 finds horizontal edges, 1 vertical ones.  Negate it for the sign of OpenCV and SciPy.

    Returns
    -------
    ndarray of float64, shape (3, 3)

    Examples
    --------
    >>> import cconv
    >>> cconv.kernels.scharr(axis=0)
    array([[  3.,  10.,   3.],
           [  0.,   0.,   0.],
           [ -3., -10.,  -3.]])
    """
    return _across(axis, [1, 0, -1], [3, 10, 3])


def roberts(axis: int = 0) -> np.ndarray:
    """Difference along a diagonal of a 2x2 square (Roberts, Machine Perception of
    Three-Dimensional Solids, 1963).

    Parameters
    ----------
    axis : {0, 1}
        0: 1 0 / 0 -1; 1: 0 1 / -1 0.

    Returns
    -------
    ndarray of float64, shape (2, 2)

    Examples
    --------
    >>> import cconv
    >>> cconv.kernels.roberts(axis=0)
    array([[ 1.,  0.],
           [ 0., -1.]])
    """
    kernel = np.diag([1.0, -1.0])
    return kernel if integer("axis", axis, 0, 1) == 0 else kernel[:, ::-1].copy()


def laplacian(diagonals: bool = False) -> np.ndarray:
    """The second difference in both directions: 0 1 0 / 1 -4 1 / 0 1 0, or with the diagonals
    1 1 1 / 1 -8 1 / 1 1 1 (Gonzalez and Woods, 3.6).

    Parameters
    ----------
    diagonals : bool

    Returns
    -------
    ndarray of float64, shape (3, 3)

    Examples
    --------
    >>> import cconv
    >>> cconv.kernels.laplacian()
    array([[ 0.,  1.,  0.],
           [ 1., -4.,  1.],
           [ 0.,  1.,  0.]])
    """
    if not isinstance(diagonals, (int, np.bool_)) or diagonals not in (0, 1):
        raise ValueError(f"diagonals is {shown(diagonals)}; want True or False: this kernel is always 3x3")
    if diagonals:
        return np.array([[1.0, 1, 1], [1, -8, 1], [1, 1, 1]])
    return np.array([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])


def log(size: int = 9, sigma: float | None = None) -> np.ndarray:
    """Laplacian of a Gaussian, ``(x**2 + y**2 - 2 sigma**2) / sigma**4`` times the bell, its mean
    taken away so that the sum is 0 (Marr and Hildreth, Theory of Edge Detection, 1980).

    Parameters
    ----------
    size : int
        Odd.
    sigma : float, optional
        Standard deviation in pixels, 0.01 to 1e6; by default ``size / 6``.

    Returns
    -------
    ndarray of float64, shape (size, size)

    Examples
    --------
    >>> import cconv
    >>> k = cconv.kernels.log(9, 1.4)
    >>> bool(k[4, 4] < 0), bool(abs(k.sum()) < 1e-12)
    (True, True)
    """
    n = _odd(size)
    deviation = _sigma(n, sigma)
    square = (np.arange(n) - n // 2) ** 2
    distance = square[:, None] + square
    kernel: np.ndarray = (distance - 2 * deviation**2) / deviation**4 * gaussian(n, deviation)
    kernel -= kernel.mean()
    return kernel


def sharpen() -> np.ndarray:
    """The picture less its Laplacian: 0 -1 0 / -1 5 -1 / 0 -1 0 (Gonzalez and Woods, 3.6).

    Returns
    -------
    ndarray of float64, shape (3, 3)

    Examples
    --------
    >>> import cconv
    >>> cconv.kernels.sharpen()
    array([[ 0., -1.,  0.],
           [-1.,  5., -1.],
           [ 0., -1.,  0.]])
    """
    return np.array([[0.0, -1, 0], [-1, 5, -1], [0, -1, 0]])


def unsharp(size: int = 5, amount: float = 1.0) -> np.ndarray:
    """Unsharp masking, ``(1 + amount) identity - amount gaussian``: adds what a blur takes away
    (Gonzalez and Woods, 3.6).

    Parameters
    ----------
    size : int
        Odd; of the Gaussian, whose sigma is ``size / 6``.
    amount : float

    Returns
    -------
    ndarray of float64, shape (size, size)

    Examples
    --------
    >>> import cconv
    >>> bool(abs(cconv.kernels.unsharp(5, 2).sum() - 1) < 1e-12)
    True
    """
    strength = _within("amount", amount, 0, 1e6)
    return (1 + strength) * identity(size) - strength * gaussian(size)


def emboss() -> np.ndarray:
    """Relief lit from the upper left: -2 -1 0 / -1 1 1 / 0 1 2 (Jähne, Digital Image Processing,
    directional derivative added to the picture).

    Returns
    -------
    ndarray of float64, shape (3, 3)

    Examples
    --------
    >>> import cconv
    >>> float(cconv.kernels.emboss().sum())
    1.0
    """
    return np.array([[-2.0, -1, 0], [-1, 1, 1], [0, 1, 2]])


NAMED: dict[str, Callable[..., np.ndarray]] = {
    f.__name__: f
    for f in (identity, box, disk, gaussian, motion, prewitt, sobel, scharr, roberts, laplacian, log, sharpen,
              unsharp, emboss)
}
