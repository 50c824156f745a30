"""Which executor is meant."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cascade_adapters.running.executors.base import Executor
from cascade_adapters.running.executors.memory import bytes_available, bytes_needed
from cascade_adapters.running.executors.serial import Serial
from cascade_adapters.running.work import Job
from cascade_engine.declared import checked_number
from cascade_engine.networks.store import list_models
from cascade_engine.parallel import THREAD_LIMITS, as_threads, available_processors

#: Choices that can be files or folders.
_FILES = ("model", "exclude_frames", "sessions")


@dataclass(frozen=True)
class Parallel:
    """How many recordings are processed at a time, and where: the same for everything that can be done in parallel.

    Attributes
    ----------
    jobs : int
        How many at a time, each in a process of its own; 1: one after another, in this process. With
        ``scheduler="local"`` 1 stands for as many as there are processors.
    scheduler : str or None
        Address of a Dask scheduler, or ``"local"`` for one that is started here.
    """

    jobs: int = 1
    scheduler: str | None = None

    def __post_init__(self) -> None:
        checked_number("jobs", self.jobs, THREAD_LIMITS)

    def choices(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Choices of a run as they hold where it is done.

        A cluster may do a recording twice, and skips what is up to date by then unless something else is asked for. Its
        computers have working folders of their own, so that files are named in full.
        """
        if self.scheduler is None:
            return dict(given)
        found = {"existing": "update", **given}
        for name in _FILES:
            value = found.get(name)
            is_named = name == "model" and value in list_models()
            if isinstance(value, str | os.PathLike) and os.path.exists(value) and not is_named:
                found[name] = os.path.abspath(value)
        return found

    def place(self, path: Path | str) -> Path | str:
        """A path as it holds where the run is done."""
        return path if self.scheduler is None or "://" in str(path) else Path(path).absolute()


ONE_BY_ONE = Parallel()


def choose_executor(
    jobs: Sequence[Job],
    parallel: Parallel = ONE_BY_ONE,
    n_threads: int | None = None,
    say: Callable[[str], object] = lambda line: None,
) -> Executor:
    """What does jobs.

    Parameters
    ----------
    jobs : sequence of Job
        What is to be done.
    parallel : Parallel
        How many at a time, and where.
    n_threads : int, optional
        Threads of all jobs together; on a cluster, of each. Default: all processors of this computer; on a cluster 1.
    say : callable
        Called with a line for the user.

    Returns
    -------
    Executor
        To be used once.
    """
    if parallel.scheduler is not None and jobs:
        from cascade_adapters.running.executors.cluster import Cluster

        if parallel.scheduler != "local":
            return Cluster(parallel.scheduler, n_threads or 1, say)
        n_workers = min(parallel.jobs if parallel.jobs > 1 else available_processors(), max(1, len(jobs)))
        return Cluster("local", n_threads or 1, say, fitting(jobs, n_workers, say))
    n_jobs = fitting(jobs, min(parallel.jobs, len(jobs)), say)
    if n_jobs < 2:
        return Serial()
    from cascade_adapters.running.executors.processes import Processes

    return Processes(n_jobs, max(1, as_threads(n_threads) // n_jobs))


def fitting(jobs: Sequence[Job], n_jobs: int, say: Callable[[str], object]) -> int:
    """How many of `n_jobs` jobs at a time fit into memory; says so if it is fewer."""
    available, needed = bytes_available(), bytes_needed(jobs) if n_jobs > 1 else 0
    if n_jobs < 2 or available is None or n_jobs * needed <= available:
        return n_jobs
    n_fitting = max(1, available // needed)
    say(
        f"{n_fitting} of {n_jobs} jobs at a time: one may need {needed / 1e9:.1f} GB of memory, and "
        f"{available / 1e9:.1f} GB are free"
    )
    return n_fitting
