"""Work beside the GUI: looking at planes and running them in a thread, with progress, and an end when asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from qtpy.QtCore import QObject, Signal

from cascade_adapters.containers.suite2p.plane import Suite2pPlane
from cascade_adapters.running.batch import inspect_all, process_all
from cascade_adapters.running.failures import unforeseen
from cascade_adapters.running.options import parse_options
from cascade_adapters.running.report import Report
from cascade_adapters.safe_writing.interruption import Interrupted
from cascade_engine.errors import CascadeError


class Job(QObject):
    """One piece of work in a thread of its own; the signals arrive in the GUI's thread.

    Attributes
    ----------
    advanced : Signal(float)
        Part that is done, from 0 to 1.
    done : Signal(object)
        List of Report, one per plane.
    failed : Signal(str)
        One line.
    cancelled : Signal()
        It has ended because of `cancel`. Planes that were not finished are as they were.
    """

    advanced = Signal(float)
    done = Signal(object)
    failed = Signal(str)
    cancelled = Signal()

    def __init__(self, work: Callable[[Job], list[Report]]):
        super().__init__()
        self._work = work
        self._is_cancelled = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cascade")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def cancel(self) -> None:
        """Ask it to end; it does so at the next piece of work, and takes back what it has begun."""
        self._is_cancelled.set()

    def wait(self) -> None:
        """Wait until it has ended."""
        self._thread.join()

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._thread.is_alive()

    def advance(self, part: float) -> None:
        """Tell how far it is; raises `Interrupted` if it shall end, which everything that writes takes back."""
        if self._is_cancelled.is_set():
            raise Interrupted
        self.advanced.emit(part)

    def _run(self) -> None:
        try:
            reports = self._work(self)
        except Interrupted:
            self.cancelled.emit()
        except CascadeError as error:
            self.failed.emit(str(error))
        except Exception as error:
            self.failed.emit(unforeseen(error, "cascade"))
        else:
            self.done.emit(reports)


def looking(planes: Sequence[Suite2pPlane], options: Mapping[str, Any]) -> Job:
    """A job that says what planes are, as ``cascade inspect`` does."""
    return Job(lambda job: inspect_all(planes, parse_options(options)))


def running(planes: Sequence[Suite2pPlane], options: Mapping[str, Any]) -> Job:
    """A job that infers spikes in planes and writes the results beside their traces, as ``cascade run`` does."""

    def work(job: Job) -> list[Report]:
        reports: list[Report] = []
        for plane in planes:
            job.advance(len(reports) / len(planes))
            tell = partial(_advance, job, len(reports), len(planes))
            is_replaced = plane.has_replaced_spikes()  # then spks.npy is to hold the new rates, too
            reports += process_all([plane], replace(chosen, replace_spikes=is_replaced, progress=tell))
        return reports

    chosen = parse_options({"existing": "overwrite", **options})
    return Job(work)


def _advance(job: Job, n_done: int, n_planes: int, part: float) -> None:
    job.advance((n_done + part) / n_planes)
