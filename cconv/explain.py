"""What a call would do, without doing it."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from . import images, layers
from .compute import THREADING_PAYS, EngineJob, needs_loop
from .job import Job
from .operation import prepare

VOCABULARY: dict[Callable[..., Any], tuple[Callable[..., Any], tuple[Any, ...]]] = {
    layers.conv1d: (layers._conv, (1,)),
    layers.conv2d: (layers._conv, (2,)),
    layers.conv3d: (layers._conv, (3,)),
}


class Plan(NamedTuple):
    """What a call does; prints as a table."""

    algorithm: str
    why: str
    shape: tuple[int, ...]  # of the result
    dtype: np.dtype  # of the result
    sums: np.dtype
    padding: tuple[tuple[int, int], ...]  # before and after, of each spatial axis
    multiplications: int
    bytes_moved: int  # input, weights and result, each once
    workspace_bytes: int  # for each worker
    packed_bytes: int  # of the weights in the order of their use
    tasks: int
    workers: int  # that would share the tasks
    isa: str

    def __repr__(self) -> str:
        rows = [(name.replace("_", " "), _shown(value)) for name, value in zip(self._fields, self, strict=True)]
        return "\n".join(f"{name:16} {value}" for name, value in rows)


def _shown(value: Any) -> str:
    if isinstance(value, int) and value >= 10_000:
        return f"{value:,}"
    return str(value)


def _products(rank: int, kernel: tuple[int, ...]) -> str:
    column, row = math.prod(kernel[:-1]), kernel[-1]
    what = "a product" if rank == 1 else f"a sum of {rank} products"
    return f"{what} of a column and a row: {rank * (column + row)} taps instead of {column * row}"


def _sharing(rows: int, columns: int, multiplications: int, taps: int) -> str:
    return f"{multiplications} multiplications instead of {rows * columns * taps} for each {rows}x{columns} results"


def explain(*args: Any, **kwargs: Any) -> Plan:
    """How a convolution would be computed: which algorithm and why, sizes, memory, workers.

    Parameters
    ----------
    *args, **kwargs
        The arguments of `conv2d` (or `conv1d`, `conv3d`), or those of `correlate`: a kernel of one
        or two axes is a picture's, one of three to five a layer's.  To be explicit, put the
        function in front: ``explain(cconv.correlate, volume, kernel)``.

    Returns
    -------
    Plan
        A named tuple: algorithm, why, shape, dtype, sums (their dtype), padding, multiplications,
        bytes_moved, workspace_bytes, packed_bytes, tasks, workers, isa.  Prints as a table.

    Raises
    ------
    TypeError, ValueError, OverflowError
        What the call itself would raise before any work.

    Examples
    --------
    >>> import numpy as np, cconv
    >>> plan = cconv.explain(np.ones((1, 64, 56, 56), np.float32), np.ones((64, 64, 3, 3), np.float32), padding=1)
    >>> plan.algorithm, plan.shape, plan.padding, plan.multiplications
    ('winograd', (1, 64, 56, 56), ((1, 1), (1, 1)), 115605504)
    >>> cconv.explain(np.ones((9, 9), np.uint8), np.ones((3, 3), np.uint8), dtype=np.int64).sums
    dtype('float32')
    """
    import inspect

    function = args[0] if args and callable(args[0]) else None
    rest = args if function is None else args[1:]
    if function is None:
        kernel = rest[1] if len(rest) > 1 else kwargs.get("weight", kwargs.get("kernel"))
        axes = np.ndim(kernel if kernel is not None else ()) - 2
        function = {1: layers.conv1d, 2: layers.conv2d, 3: layers.conv3d}.get(axes, images.correlate)
    if function not in (*VOCABULARY, images.correlate, images.convolve):
        raise TypeError("explain takes the arguments of conv1d, conv2d, conv3d, correlate or convolve, or one of them first; "
                        "of a Conv, call layer.explain(shape)")
    bound = inspect.signature(function).bind(*rest, **kwargs)
    bound.apply_defaults()
    if function in VOCABULARY:
        call, first = VOCABULARY[function]
        out, job = call(*first, *bound.arguments.values(), do=prepare)
    else:
        image, kernel, *options = bound.arguments.values()
        call = partial(images._filter, do=prepare)
        out, job = call(kernel, function is images.convolve, image, *options)
    return describe(out.shape, job)


def describe(shape: tuple[int, ...], job: Job, weights: str = "either") -> Plan:
    """The plan of a job; weights: "packed" where they are kept in the order of their use."""
    taps = job.w[:1].size
    common: dict[str, Any] = dict(
        shape=shape, dtype=job.wanted, sums=job.compute, padding=job.geometry.pads,
        multiplications=job.y.size * taps, bytes_moved=job.x.nbytes + job.w.nbytes + job.y.nbytes,
    )
    if needs_loop(job):
        why = "it was asked for" if job.algorithm == "loop" else "the sums need int64"
        shared = 8 * job.y.size * taps >= THREADING_PAYS
        return Plan("loop", why, workspace_bytes=3 * job.y.shape[-1] * job.compute.itemsize, packed_bytes=0, tasks=1,
                    workers=job.threads if shared else 1, isa="any", **common)
    lies = EngineJob(job, weights)
    part = next(lies.parts())
    plan = lies.plan(part if lies.direct else part._replace(y=np.empty(part.y.shape, job.compute)))
    outputs = job.w.shape[0] // job.groups
    why = {
        "taps": f"{outputs} output channels share each value that is loaded",
        "rows": "few output channels: output rows share each value that is loaded",
        "winograd": _sharing(*plan.shared, math.prod(job.w.shape[2:][-2:])),
        "box": f"all of the kernel is the same: sums of 2, 4, 8 ... neighbours instead of {taps} taps",
        "integer": "small whole numbers: the sums fit into 16 bits",
        "fft": f"transforms of {plan.tile} x {plan.wide} values instead of {taps} taps" if plan.wide
               else f"transforms of columns of {plan.tile}, and {job.w.shape[-1]} instead of {taps} taps",
        "separable": f"the kernel is {_products(plan.rank, job.w.shape[2:])}",
    }[plan.algorithm]
    if job.algorithm == plan.algorithm:
        why = "it was asked for"
    workers = min(job.threads, plan.tasks) if plan.work >= THREADING_PAYS else 1
    packed_bytes = plan.packed_bytes if plan.prepacked else 0
    return Plan(plan.algorithm, why, workspace_bytes=plan.workspace_bytes, packed_bytes=packed_bytes, tasks=plan.tasks,
                workers=workers, isa=plan.isa, **common)
