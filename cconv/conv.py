"""A layer whose weights are checked and put in the order of their use once, for many calls."""

from __future__ import annotations

from threading import Lock
from typing import Any

import numpy as np

from . import workers as pool
from .compute import engine_alone, pack, run, share, threads_for
from .dtypes import as_array, empty
from .engine import NotFinite, Plan, layer_key
from .explain import Plan as Explanation, describe
from .geometry import integer, is_sequence, per_axis, shown
from .job import Job
from .layers import _conv
from .operation import prepare

MOST_KNOWN = 256  # shapes of inputs whose plans are kept


class Conv:
    """A convolution with weights that stay: `conv1d`, `conv2d` or `conv3d` for many inputs.

    ``Conv(weight, ...)(x)`` is ``conv2d(x, weight, ...)``, but the weights are transformed and packed once, at the first call
    that needs them so, whatever the batch and the size of the picture.  Where that makes another algorithm the fastest, the
    last bits differ.  It may be called from many threads at once, and pickled.

    Parameters
    ----------
    weight : array_like, shape (O, C/groups, K...)
        Three axes are those of `conv1d`, four of `conv2d`, five of `conv3d`.  Copied.
    bias : array_like, shape (O,), optional
        Copied.
    stride, padding, dilation, groups, padding_mode, padding_value, layout, activation, dtype, algorithm
        As in `conv2d`.

    Attributes
    ----------
    weight, bias : ndarray
        The copies, read-only; bias may be None.
    nbytes : int
        Memory that the layer holds: weights as they are and packed.

    Raises
    ------
    TypeError, ValueError, OverflowError
        As `conv2d`: when the layer is made for what does not depend on the input, else when it is called.

    Examples
    --------
    >>> import numpy as np, cconv
    >>> layer = cconv.Conv(np.ones((8, 3, 3, 3), np.float32), padding=1, activation="relu")
    >>> layer(np.ones((2, 3, 10, 12), np.float32)).shape, layer(np.ones((3, 5, 5), np.float32)).shape
    ((2, 8, 10, 12), (8, 5, 5))
    >>> layer
    Conv(weight (8, 3, 3, 3) float32, padding=1, activation='relu')
    """

    def __init__(
        self, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1, *,
        padding_mode: str = "zeros", padding_value: float = 0.0, layout: str = "channels_first", activation: Any = None,
        dtype: Any = None, algorithm: str = "auto",
    ) -> None:
        self.weight = _kept("weight", weight)
        self.bias = None if bias is None else _kept("bias", bias)
        if self.weight.ndim not in (3, 4, 5):
            raise ValueError(
                f"weight has shape {self.weight.shape}, {self.weight.ndim} axes; Conv wants 3, 4 or 5: (O, C/groups, K...)"
                + ("; for a plain picture and kernel use cconv.correlate" if self.weight.ndim == 2 else "")
            )
        options = dict(stride=stride, padding=padding, dilation=dilation, groups=groups, padding_mode=padding_mode,
                       padding_value=padding_value, layout=layout, activation=activation, dtype=dtype, algorithm=algorithm)
        self._options = {name: _frozen(value) for name, value in options.items()}
        self._known: dict[Any, tuple[Plan, np.ndarray, np.ndarray | None, tuple[int, ...], np.dtype]] = {}
        self._packed: dict[Any, np.ndarray] = {}
        self._biases: dict[np.dtype, np.ndarray | None] = {}
        self._lock = Lock()
        axes = self.weight.ndim - 2
        channels = self.weight.shape[1] * integer("groups", groups)
        spans = [d * (k - 1) + 1 for d, k in zip(per_axis("dilation", dilation, axes), self.weight.shape[2:], strict=True)]
        sample = (*spans, channels) if isinstance(layout, str) and layout == "channels_last" else (channels, *spans)
        self._prepare(np.broadcast_to(np.zeros((), self.weight.dtype), (0, *sample)), None, None)  # checks all options

    def __call__(self, input: Any, out: np.ndarray | None = None, workers: int | None = None) -> np.ndarray:
        """The convolution of an input.

        Parameters
        ----------
        input : array_like, shape (N, C, spatial...) or (C, spatial...), channels last where the layout says so
        out : ndarray, optional
            Takes the result and is returned: exact shape, any strides, may overlap the input.
        workers : int, optional
            Threads; by default all cores (see `set_workers`).  The result does not depend on it.

        Returns
        -------
        ndarray, as `conv2d`
        """
        key = layer_key(input, out)
        known = None if key is None else self._known.get(key)
        if known is None:
            return self._call(key, input, out, workers)
        plan, packed, bias, shape, dtype = known
        y = empty(shape, dtype) if out is None else out
        share(plan, input, packed, bias, y, threads_for(plan, workers))
        return y

    def explain(self, shape: Any) -> Explanation:
        """How an input of this shape, of the weight's dtype, would be computed.

        Parameters
        ----------
        shape : sequence of int
            Of the input.

        Returns
        -------
        Plan
            As `cconv.explain` returns it.
        """
        if not is_sequence(shape):
            raise TypeError(f"shape is {shown(shape)} ({type(shape).__name__}); want the input's shape, like (N, C, H, W)")
        sizes = tuple(integer(f"shape[{i}]", n, 0) for i, n in enumerate(shape))
        out, job = self._prepare(np.broadcast_to(np.zeros((), self.weight.dtype), sizes), None, None)
        return describe(out.shape, job, "packed")

    @property
    def nbytes(self) -> int:
        """Memory that the layer holds, in bytes."""
        held = [self.weight, *self._packed.values()] + ([] if self.bias is None else [self.bias])
        return sum(array.nbytes for array in held)

    def __repr__(self) -> str:
        said = "".join(f", {name}={value!r}" for name, value in self._options.items() if value != _DEFAULTS[name])
        bias = "" if self.bias is None else ", bias"
        return f"Conv(weight {self.weight.shape} {self.weight.dtype}{bias}{said})"

    def __reduce__(self) -> Any:
        return _rebuilt, (self.weight, self.bias, self._options)

    def _prepare(self, input: Any, out: Any, workers: Any) -> tuple[np.ndarray, Job]:
        options = dict(self._options)
        activation, dtype, algorithm = (options.pop(name) for name in ("activation", "dtype", "algorithm"))
        out, job = _conv(self.weight.ndim - 2, input, self.weight, self.bias, *options.values(), activation, dtype, out, workers,
                         algorithm, do=prepare)
        return out, job

    def _call(self, key: Any, input: Any, out: Any, workers: Any) -> np.ndarray:
        """A call the like of which was not made before."""
        y, job = self._prepare(input, out, workers)
        with np.errstate(all="ignore"):
            lies = engine_alone(job, "packed")
            if lies is None:
                run(job)
                return y
            part = next(lies.parts())
            plan = lies.plan(part)
            try:
                packed = self._pack(plan, lies.w, job.threads)
            except NotFinite:
                run(job)
                return y
            bias = self._bias_of(job.compute)
            share(plan, part.x, packed, bias, y, job.threads)
        if key is not None:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[key] = plan, packed, bias, y.shape, y.dtype
        return y

    def _pack(self, plan: Plan, w: np.ndarray, threads: int) -> np.ndarray:
        with self._lock:
            packed = self._packed.get(plan.packing)
            if packed is None:
                packed = np.empty(plan.packed_bytes, np.uint8)
                pack(plan, w, packed, threads)
                self._packed[plan.packing] = packed
            return packed

    def _bias_of(self, dtype: np.dtype) -> np.ndarray | None:
        if dtype not in self._biases:
            self._biases[dtype] = None if self.bias is None else self.bias.astype(dtype)
        return self._biases[dtype]


_DEFAULTS: dict[str, Any] = {
    "stride": 1, "padding": 0, "dilation": 1, "groups": 1, "padding_mode": "zeros", "padding_value": 0.0,
    "layout": "channels_first", "activation": None, "dtype": None, "algorithm": "auto",
}


def _kept(name: str, value: Any) -> np.ndarray:
    """A copy that nobody writes to."""
    array = as_array(name, value)
    copy = np.array(array, array.dtype.newbyteorder("="), order="C")
    copy.flags.writeable = False
    return copy


def _frozen(value: Any) -> Any:
    """An option that its giver cannot change any more."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    return tuple(_frozen(v) for v in value) if isinstance(value, list) else value


def _rebuilt(weight: np.ndarray, bias: np.ndarray | None, options: dict[str, Any]) -> Conv:
    return Conv(weight, bias, **options)
