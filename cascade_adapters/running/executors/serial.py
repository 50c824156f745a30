"""One job after another, in this process."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from cascade_adapters.running.executors.base import Executor
from cascade_adapters.running.progress import Display
from cascade_adapters.running.report import Report
from cascade_adapters.running.work import Job, Work
from cascade_adapters.safe_writing.interruption import end_if_asked


class Serial(Executor):
    """Does jobs in this process, in order."""

    def run(self, jobs: Sequence[Job], work: Work, display: Display) -> Generator[tuple[int, list[Report]], None, None]:
        """See `Executor.run`."""
        for number, job in enumerate(jobs):
            end_if_asked()
            yield number, work(job, display.of(number))
