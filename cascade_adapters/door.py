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
from cascade_adapters.running.options import parse_options, parse_selection
from cascade_adapters.running.report import Report
from cascade_adapters.safe_writing.page import remove_page
from cascade_engine.errors import InputError


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
        The choices that ``cascade run --help`` lists: ``model``, ``smoothing``, ``indicator``, ``frame_rate``,
        ``channel``, ``baseline``, ``existing``, ...; `cascade_adapters.running.options.parse_options` takes them.

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
    containers = _find(where, chosen.selection)
    reports = run_and_warn(containers, chosen)
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
    return [container.results() for container in find(where, **selection)]


def restore(where: str | PathLike | Any) -> list[str]:
    """Remove everything that `run` has written and put back what it had replaced; returns what was done."""
    containers = find(where, channel=None)
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
    reports = write_pages(containers, paths, None if output is None else Path(output))
    failed = [each.message for each in reports if each.status == "failed"]
    if failed:
        raise InputError("; ".join(failed))
    return [Path(each.page) for each in reports if each.page]
