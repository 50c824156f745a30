"""Doing many independent pieces of work on several threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_Piece = TypeVar("_Piece")


def available_processors() -> int:
    """Processors that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every platform
        return os.cpu_count() or 1


def work_through(
    pieces: Sequence[_Piece], work: Callable[[_Piece], int], total: int, n_threads: int, progress: bool
) -> None:
    """Do every piece of work.

    Parameters
    ----------
    pieces : sequence
        What is to be done, in any order.
    work : callable
        Does one piece; returns the frames it has done.
    total : int
        Frames in all.
    n_threads : int
        Threads.
    progress : bool
        Show a progress bar.
    """
    from tqdm import tqdm

    with tqdm(total=total, disable=not progress, unit="frame", unit_scale=True, desc="predicting") as bar:
        if n_threads == 1:
            for piece in pieces:
                bar.update(work(piece))
            return
        with ThreadPoolExecutor(n_threads) as pool:
            try:
                for n_done in pool.map(work, pieces):
                    bar.update(n_done)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
