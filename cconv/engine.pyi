from collections.abc import Mapping, Sequence
from typing import final

import numpy as np

BORDERS: dict[str, int]
WANTED: dict[str, str]
TYPES: Mapping[np.dtype, int]
STORED: frozenset[np.dtype]
_C_API: object
__pyx_capi__: dict[str, object]
SPARE: int
SPARE_BYTES: int
PACKED_BYTES: int

def call_key(
    options: tuple[object, ...], reals: tuple[object, ...], dtype: object,
    x: object, w: object, bias: object, out: object,
) -> tuple[object, ...] | None: ...

def layer_key(x: object, out: object) -> object: ...

class NotFinite(ValueError): ...

def give_back(packed: np.ndarray) -> None: ...
def instruction_sets() -> tuple[str, ...]: ...

@final
class Plan:
    def __init__(
        self,
        x: np.ndarray,
        w: np.ndarray,
        y: np.ndarray,
        compute: np.dtype,
        stride: Sequence[int],
        pads: Sequence[tuple[int, int]],
        dilation: Sequence[int],
        groups: int,
        border: str,
        value: float,
        divisor: float = 1.0,
        low: float = ...,
        high: float = ...,
        algorithm: str = "auto",
        isa: str | None = None,
        interleave: int = 1,
        weights: str = "either",
        tile: int = 0,
        exact: bool = False,
        gradient: bool = False,
    ) -> None: ...
    def pack(self, w: np.ndarray) -> np.ndarray: ...
    def room(self) -> np.ndarray: ...
    def pack_part(self, first: int, last: int, w: np.ndarray, packed: np.ndarray) -> None: ...
    def run(
        self, first: int, last: int, x: np.ndarray, weights: np.ndarray, bias: np.ndarray | None, y: np.ndarray
    ) -> None: ...
    def suits(self, w: np.ndarray, most: float) -> bool: ...
    @property
    def packing(self) -> tuple[object, ...]: ...
    @property
    def rank(self) -> int: ...
    @property
    def tile(self) -> int: ...
    @property
    def wide(self) -> int: ...
    @property
    def steps(self) -> tuple[int, int] | None: ...
    @property
    def prepacked(self) -> bool: ...
    @property
    def packs(self) -> int: ...
    @property
    def work(self) -> float: ...
    @property
    def tasks(self) -> int: ...
    @property
    def algorithm(self) -> str: ...
    @property
    def isa(self) -> str: ...
    @property
    def workspace_bytes(self) -> int: ...
    @property
    def packed_bytes(self) -> int: ...
    @property
    def overhead(self) -> float: ...
    @property
    def band(self) -> tuple[int, int]: ...
