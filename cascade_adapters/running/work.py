"""What is done with the recordings of a job, in whatever process: failures become reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from cascade_adapters.containers.base import Container
from cascade_adapters.running.failures import unforeseen
from cascade_adapters.running.options import Options
from cascade_adapters.running.pipeline import process
from cascade_adapters.running.progress import NO_PROGRESS, Progress
from cascade_adapters.running.report import Report
from cascade_engine._version import __version__
from cascade_engine.errors import CascadeError, InputError
from cascade_engine.networks.store import Model, load_model

#: Recordings that share a file, and so are processed and written together; see `Container.job`.
Job = Sequence[Container]


class Work(Protocol):
    """What is done with each job; it can be sent to other processes."""

    def __call__(self, job: Job, progress: Progress = NO_PROGRESS, n_threads: int | None = None) -> list[Report]:
        """One report per recording, whatever happens."""


@dataclass
class RunWork:
    """Infer spikes and write them back; see `cascade_adapters.running.pipeline.process`.

    Attributes
    ----------
    options : Options
        What the user chose.
    fingerprint : str
        Of the model that it is to be done with. Every process loads the model itself, and refuses another.
    dry_run : bool
        Write nothing.
    version : str
        Of cascade-spikes where the run was started. Another version refuses the work.
    model : Model or None
        Once it is loaded; its networks stay open from job to job.
    """

    options: Options
    fingerprint: str
    dry_run: bool = False
    version: str = __version__
    model: Model | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, options: Options, dry_run: bool = False) -> RunWork:
        """The work, with a model that is there.

        Raises
        ------
        CascadeError
            If the model cannot be had.
        """
        model = load_model(options.model)
        return cls(options, model.fingerprint, dry_run, model=model)

    def __call__(self, job: Job, progress: Progress = NO_PROGRESS, n_threads: int | None = None) -> list[Report]:
        """See `Work`."""
        try:
            return process(job, self.options, self._loaded(), self.dry_run, progress, n_threads)
        except Exception as error:
            return failed(job, explained(error, str(job[0].path)))

    def _loaded(self) -> Model:
        if self.model is None:
            self.model = load_model(self.options.model)
        if self.version != __version__:
            raise InputError(
                f"cascade-spikes is {__version__} here, but {self.version} where the run was started: install the same"
            )
        if self.model.fingerprint != self.fingerprint:
            raise InputError(f"{self.model.folder} holds other networks here than where the run was started")
        return self.model

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "model": None}


def failed(job: Job, message: str) -> list[Report]:
    """Reports on recordings that could not be processed."""
    return [Report(path=str(each.path), kind=each.kind, status="failed", message=message) for each in job]


def explained(error: Exception, what: str) -> str:
    """One line on why it failed."""
    return str(error) if isinstance(error, CascadeError) else unforeseen(error, what)
