from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BORDERS: dict[str, int]
CONSTANTS: frozenset[str]
COMPILER: str
CHECKED: bool
__pyx_capi__: dict[str, object]

def border_map(n: int, before: int, after: int, mode: str) -> NDArray[np.intp]: ...
def correlate(
    x: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray,
    y: np.ndarray,
    stride: Sequence[int],
    pads: Sequence[tuple[int, int]],
    dilation: Sequence[int],
    groups: int,
    mode: str,
    value: float,
    start: Sequence[int] = (0, 0, 0),
) -> None: ...
def tap_map(
    n: int, before: int, start: int, size: int, k: int, s: int, d: int, mode: str
) -> tuple[NDArray[np.intp], int, int]: ...
def inside_ranges(n: int, before: int, k: int, size: int, s: int, d: int) -> NDArray[np.intp]: ...
