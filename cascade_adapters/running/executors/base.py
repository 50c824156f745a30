"""What every executor offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence

from cascade_adapters.running.progress import Display
from cascade_adapters.running.report import Report
from cascade_adapters.running.work import Job, Work


class Executor(ABC):
    """Does jobs; the results are the same whichever does them."""

    @abstractmethod
    def run(self, jobs: Sequence[Job], work: Work, display: Display) -> Generator[tuple[int, list[Report]], None, None]:
        """Do jobs.

        Parameters
        ----------
        jobs : sequence of Job
            Each independent of the others.
        work : Work
            What is done with each.
        display : Display
            Shows how far all of them are.

        Yields
        ------
        number : int
            Of a job that has ended, in whatever order.
        reports : list of Report
            One per recording of it, "failed" where it could not be done: the others are not affected.
        """
