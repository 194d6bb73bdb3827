"""How many threads may work, and the pool of the loop (the engine's helpers: crew.h).

No pool exists before the first call that pays for one, none is inherited by a forked child, and
a call made from inside one of its workers runs serially.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any

from . import engine
from .geometry import integer

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

MOST = 1024  # threads, whatever is asked for

_pool: ThreadPoolExecutor | None = None
_pool_size = 0
_chosen: int | None = None
_working = ContextVar("cconv works in this thread", default=False)


def set_workers(workers: int | None) -> None:
    """Set how many threads a call with ``workers=None`` may use.

    Parameters
    ----------
    workers : int or None
        At least 1, 1024 at most are used; None: all cores that this process may run on.

    Raises
    ------
    TypeError, ValueError
        For anything else.

    Examples
    --------
    >>> import cconv
    >>> cconv.set_workers(1)
    >>> cconv.get_workers()
    1
    >>> cconv.set_workers(None)
    """
    global _chosen
    _chosen = None if workers is None else min(integer("workers", workers), MOST)


def get_workers() -> int:
    """How many threads a call with ``workers=None`` may use.

    What `set_workers` chose, else the environment variable CCONV_NUM_THREADS, else the cores
    that this process may run on (its affinity and its cgroup's quota).

    Returns
    -------
    int
        At least 1.

    Raises
    ------
    ValueError
        When CCONV_NUM_THREADS is not such a number.

    Examples
    --------
    >>> import cconv
    >>> cconv.get_workers() >= 1
    True
    """
    if _chosen is not None:
        return _chosen
    asked = (engine.asked_threads() or "").strip()
    if asked:
        if not asked.isdecimal() or not 1 <= int(asked) <= MOST:
            raise ValueError(f"CCONV_NUM_THREADS={asked!r} in the environment; want an integer from 1 to {MOST}")
        return int(asked)
    return _usable_cores()


def _usable_cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota = _cgroup_quota()
    return max(1, min(cores, quota)) if quota else cores


@cache
def _cgroup_quota() -> int | None:
    """Cores that a container's CPU quota amounts to, rounded up; read once, because files are slow."""
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as file:
            quota, period = file.read().split()
        return None if quota == "max" else -(-int(quota) // int(period))
    except (OSError, ValueError):
        return None


def resolve(workers: Any) -> int:
    """The number of threads of one call; 1 inside a worker."""
    if workers is not None:
        workers = min(integer("workers", workers), MOST)
    if _working.get():
        return 1
    return get_workers() if workers is None else workers


def run(tasks: Iterable[Callable[[], object]], workers: int) -> None:
    """Run all tasks on `workers` threads, this one among them; the first exception is raised."""
    waiting = list(tasks)[::-1]
    workers = min(workers, len(waiting))

    def work() -> None:
        token = _working.set(True)
        try:
            while True:
                try:
                    task = waiting.pop()
                except IndexError:
                    return
                task()
        except BaseException:
            waiting.clear()
            raise
        finally:
            _working.reset(token)

    futures = []
    try:
        for _ in range(workers - 1):
            futures.append(_get_pool(workers - 1).submit(work))
    except RuntimeError:
        pass  # no more threads to be had: those that work take all tasks
    error: BaseException | None = None
    try:
        work()
    except BaseException as mine:
        error = mine
    for future in futures:  # nobody may still write into the result when this returns
        if future.cancel():  # its thread never came to it
            continue
        while not future.done():
            try:
                future.exception()
            except KeyboardInterrupt as mine:
                waiting.clear()
                error = error or mine
        error = error or future.exception()
    if error is not None:
        raise error


def _get_pool(size: int) -> ThreadPoolExecutor:
    global _pool, _pool_size
    from concurrent.futures import ThreadPoolExecutor  # 5 ms that most processes never need

    pool = _pool
    if pool is None or _pool_size < size:
        pool = ThreadPoolExecutor(size, "cconv")
        _pool, _pool_size = pool, size  # one that was there ends when its last call does
    return pool


def _forget_pool() -> None:
    """In a forked child the pool's threads do not exist: waiting for them would hang."""
    global _pool
    _pool = None
    _working.set(False)
    engine.forget_helpers()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)
