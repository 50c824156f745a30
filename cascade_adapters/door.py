"""The one Python door: `run`, `find`, `read_results` and `restore`, for every container alike."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from os import PathLike
from typing import Any

from cascade_adapters.containers.base import Container, Selection
from cascade_adapters.containers.registry import find_containers
from cascade_adapters.results import Record, Results
from cascade_adapters.running.batch import process_all
from cascade_adapters.running.options import parse_options
from cascade_adapters.running.report import Report
from cascade_engine.errors import CascadeWarning, InputError


@dataclass
class Done:
    """One recording that was run.

    Attributes
    ----------
    container : Container
        The recording.
    report : Report
        What was found and done.
    """

    container: Container
    report: Report

    @property
    def results(self) -> Results:
        """The results, read from the container."""
        results = self.container.results()
        assert results is not None
        return results

    @property
    def record(self) -> Record:
        """The record of the results."""
        record = self.report.record or self.container.record()
        assert record is not None
        return record


def run(where: str | PathLike | Any, **options: Any) -> list[Done]:
    """Infer spikes in all recordings at or below a path, or in an object of CaImAn's, and write them back.

    Parameters
    ----------
    where : path, str or object
        File or folder; the address of an NWB file; or a CNMF or OnACID object, or its estimates.
    **options
        Choices as of ``cascade run --help``, by the names of `cascade_adapters.running.options.parse_options`:
        ``model``, ``smoothing``, ``indicator``, ``frame_rate``, ``channel``, ``baseline``, ``existing``, ...

    Returns
    -------
    list of Done
        One per recording, with its results and their record.

    Raises
    ------
    CascadeError
        If an option is wrong or nothing is found; or, once all recordings have had their turn, if some could not be
        processed: they are as they were, the others are complete.

    Warns
    -----
    CascadeWarning
        For whatever makes results doubtful.
    """
    chosen = parse_options(options)
    containers = find(where, chosen.selection)
    reports = process_all(containers, chosen)
    failed = [report.message for report in reports if report.status == "failed"]
    if failed:
        raise InputError("; ".join(failed))
    for report in reports:
        for text in report.warnings if report.status != "failed" else ():
            warnings.warn(f"{report.path}: {text}", CascadeWarning, stacklevel=2)
    return [Done(container, report) for container, report in zip(containers, reports, strict=True)]


def find(where: str | PathLike | Any, selection: Selection = Selection(), **choices: Any) -> list[Container]:
    """All recordings at or below a path, or the one in an object of CaImAn's.

    Parameters
    ----------
    where : path, str or object
        As for `run`.
    selection : Selection
        Which of the traces are meant; or its fields as keywords.

    Returns
    -------
    list of Container
        At least one.

    Raises
    ------
    InputError
        If there is none, saying what was looked for.
    """
    selection = Selection(**choices) if choices else selection
    if isinstance(where, str | PathLike):
        return find_containers(where if isinstance(where, str) else str(where), selection)
    if isinstance(where, Container):
        return [where]
    from cascade_adapters.containers.caiman.memory import CaimanObject

    return [CaimanObject(where)]


def read_results(where: str | PathLike | Any, **choices: Any) -> list[Results | None]:
    """The results of each recording at or below a path, None where there are none; arguments as for `find`."""
    return [container.results() for container in find(where, **choices)]


def restore(where: str | PathLike | Any) -> list[str]:
    """Remove everything that `run` has written and put back what it had replaced; returns what was done."""
    return [text for container in find(where, Selection(channel=None)) for text in container.restore()]
