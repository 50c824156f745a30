"""Doing many independent pieces of work on several threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from cascade_engine.declared import checked_number

_Piece = TypeVar("_Piece")

#: Numbers of threads that can be asked for.
THREAD_LIMITS = (1, 1024)


def available_processors() -> int:
    """Processors that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every platform
        return os.cpu_count() or 1


def as_threads(n_threads: int | None) -> int:
    """Number of threads to use: as given, or all processors; raises `InputError` for no sensible number."""
    if n_threads is None:
        return available_processors()
    return int(checked_number("n_threads", n_threads, THREAD_LIMITS, hint="leave it out for all processors"))


def work_through(
    pieces: Sequence[_Piece], work: Callable[[_Piece], int], n_threads: int, progress: Callable[[int], object]
) -> None:
    """Do every piece of work.

    Parameters
    ----------
    pieces : sequence
        What is to be done, in any order.
    work : callable
        Does one piece; returns the frames it has done.
    n_threads : int
        Threads.
    progress : callable
        Called with the frames of each piece that is done.
    """
    if n_threads == 1:
        for piece in pieces:
            progress(work(piece))
        return
    with ThreadPoolExecutor(n_threads) as pool:
        try:
            for n_done in pool.map(work, pieces):
                progress(n_done)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
