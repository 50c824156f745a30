"""The one Python door: `run`, `find`, `read_results`, `report` and `restore`, for every container alike."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from cascade_adapters.containers.base import Container, Selection
from cascade_adapters.containers.registry import find_containers, refuse_unused
from cascade_adapters.results import Record, Results
from cascade_adapters.running.batch import run_and_warn
from cascade_adapters.running.executors import Parallel
from cascade_adapters.running.in_python import in_python, speaking_python
from cascade_adapters.running.lab_defaults import lab_defaults
from cascade_adapters.running.options import parse_options, parse_selection
from cascade_adapters.running.report import Report
from cascade_adapters.safe_writing.page import remove_page
from cascade_engine.errors import InputError

__all__ = ["Done", "find", "lab_defaults", "read_results", "report", "restore", "run"]


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

    def __repr__(self) -> str:
        return f"<Done {self.report.status}: {self.container!r}>"

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


def run(where: str | PathLike | Any, *, jobs: int = 1, scheduler: str | None = None, **options: Any) -> list[Done]:
    """Infer spikes in all recordings at or below a path, or in an object of CaImAn's, and write them back.

    Parameters
    ----------
    where : path, str or object
        File or folder; the address of an NWB file; or a CNMF or OnACID object, or its estimates.
    jobs : int
        How many recordings at a time, each in a process of its own.
    scheduler : str, optional
        Address of a Dask scheduler that shall have it done, or ``"local"`` for one that is started here. What is up to
        date is then skipped, unless ``existing`` says otherwise.
    **options
        The choices that ``cascade run --help`` lists: ``model``, ``smoothing``, ``indicator``, ``frame_rate``,
        ``channel``, ``baseline``, ``existing``, ...; `cascade_adapters.running.options.parse_options` takes them. A
        ``cascade.yaml`` is not looked for here: `lab_defaults` reads it.

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
    with speaking_python():
        parallel = Parallel(jobs, scheduler)
        chosen = parse_options(parallel.choices(options))
        place = parallel.place(fspath(where)) if isinstance(where, str | PathLike) else where
    containers = _find(place, chosen.selection)
    reports = run_and_warn(containers, chosen, parallel=parallel)
    return [Done(container, report) for container, report in zip(containers, reports, strict=True)]


def find(where: str | PathLike | Any, **selection: Any) -> list[Container]:
    """All recordings at or below a path, or the one in an object of CaImAn's.

    Parameters
    ----------
    where : path, str or object
        As for `run`.
    **selection
        Which of the traces are meant: ``channel``, ``series``, ``key``, ``orientation``, ...; see
        `cascade_adapters.containers.base.Selection`.

    Returns
    -------
    list of Container
        At least one.

    Raises
    ------
    InputError
        If there is none, saying what was looked for.
    """
    return _find(where, parse_selection(selection))


def _find(where: Any, selection: Selection) -> list[Container]:
    with speaking_python():
        return _found(where, selection)


def _found(where: Any, selection: Selection) -> list[Container]:
    if isinstance(where, str | PathLike):
        return find_containers(fspath(where), selection)
    if isinstance(where, Container):
        if selection != Selection() and selection != Selection(channel=None):
            raise InputError(f"{where.path}: which traces are meant was said when it was found: leave it out here")
        return [where]
    from cascade_adapters.containers.caiman.memory import CaimanObject

    found: list[Container] = [CaimanObject(where)]
    refuse_unused(selection, found)
    return found


def read_results(where: str | PathLike | Any, **selection: Any) -> list[Results | None]:
    """The results of each recording at or below a path, None where there are none; arguments as for `find`."""
    found = find(where, **selection)
    with speaking_python():
        return [container.results() for container in found]


def restore(where: str | PathLike | Any) -> list[str]:
    """Remove everything that `run` has written and put back what it had replaced; returns what was done."""
    containers = find(where, channel=None)
    with speaking_python():
        return [text for each in containers for text in (*each.restore(), *remove_page(each.report_path))]


def report(where: str | PathLike | Any, output: str | PathLike | None = None, **selection: Any) -> list[Path]:
    """Write a page to look at for the results of each recording at or below a path.

    Parameters
    ----------
    where : path, str or object
        As for `run`.
    output : path, optional
        Another place for the page, as ``cascade report --output`` takes it.
    **selection
        As for `find`.

    Returns
    -------
    list of Path
        The pages; if there are several recordings, that of the overview last.

    Raises
    ------
    CascadeError
        If nothing is found, or if some pages could not be written; the others are there then.
    """
    from cascade_adapters.pages.writing import write_pages

    containers = find(where, **selection)
    paths = [container.path for container in containers]
    with speaking_python():
        reports = write_pages(containers, paths, None if output is None else Path(output))
    failed = [each.message for each in reports if each.status == "failed"]
    if failed:
        raise InputError(in_python("; ".join(failed)))
    return [Path(each.page) for each in reports if each.page]
