"""Writing the pages of recordings, and an overview where there are several."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath
from urllib.parse import quote

from cascade_adapters.containers.base import Container
from cascade_adapters.pages.places import overview_path, page_for
from cascade_adapters.pages.recording_page import Row, recording_page
from cascade_adapters.running.failures import unforeseen
from cascade_adapters.running.report import Report
from cascade_adapters.safe_writing.interruption import end_if_asked
from cascade_adapters.safe_writing.page import write_page
from cascade_engine.errors import CascadeError

#: Kind of the report on the overview.
OVERVIEW_KIND = "overview"


def write_pages(
    containers: Sequence[Container],
    paths: Sequence[Path | str],
    output: Path | None = None,
    rois: tuple[int, ...] = (),
    announce: Callable[[Report], None] = lambda report: None,
) -> list[Report]:
    """Write a page for each recording, and an overview if there are several.

    Parameters
    ----------
    containers : sequence of Container
        Recordings with results.
    paths : sequence of Path or str
        What the user named: the overview goes into the folder that holds all of it.
    output : Path, optional
        Another place for the page; of several recordings, for the overview, with the pages in a folder beside it.
    rois : tuple of int
        ROIs of which all frames are to be shown, besides those that are chosen anyway.
    announce : callable
        Called with each report as soon as it is there.

    Returns
    -------
    list of Report
        One per recording, with its page; then one for the overview, of the kind `OVERVIEW_KIND`. What could not be
        written has failed, and says why.
    """
    reports: list[Report] = []
    rows: list[tuple[Row, Path | None]] = []
    several = len(containers) > 1
    overview = output or overview_path(paths)
    for number, container in enumerate(containers, start=1):
        end_if_asked()
        place = container.report_path
        if output is not None:
            place = page_for(overview, number, container) if several else output
        report = Report(path=str(container.path), kind=container.kind)
        try:
            text, row = recording_page(container, rois)
            write_page(place, text)
            report.page = str(place)
            rows.append((row, place))
        except Exception as error:
            report.status = "failed"
            report.message = str(error) if isinstance(error, CascadeError) else unforeseen(error, str(container.path))
            rows.append((Row(container.path.name, str(container.path), container.kind, report.message), None))
        announce(report)
        reports.append(report)
    if several and any(place for _, place in rows):
        report = _write_overview(overview, rows)
        announce(report)
        reports.append(report)
    return reports


def add_pages(
    containers: Sequence[Container],
    processed: Sequence[Report],
    paths: Sequence[Path | str],
    announce: Callable[[Report], None] = lambda report: None,
) -> list[Report]:
    """Write pages for recordings that were run, or have results already, and note them in their reports.

    Parameters
    ----------
    containers : sequence of Container
        Recordings.
    processed : sequence of Report
        What running them has given, in the same order.
    paths, announce
        As of `write_pages`.

    Returns
    -------
    list of Report
        One for each page that could not be written, and one for the overview if there are several recordings.
    """
    with_results = [
        (container, report)
        for container, report in zip(containers, processed, strict=True)
        if report.status in ("done", "skipped")
    ]
    written = write_pages([container for container, _ in with_results], paths, announce=announce)
    for (_, report), page in zip(with_results, written, strict=False):  # the overview comes last
        report.page = page.page
    return [page for page in written if page.status == "failed" or page.kind == OVERVIEW_KIND]


def _write_overview(path: Path, rows: Sequence[tuple[Row, Path | None]]) -> Report:
    from cascade_adapters.pages.overview_page import overview_page

    report = Report(path=str(path.parent), kind=OVERVIEW_KIND)
    linked = [(row, None if page is None else _link(page, path.parent)) for row, page in rows]
    try:
        write_page(path, overview_page(linked, path.parent))
        report.page = str(path)
    except CascadeError as error:
        report.status, report.message = "failed", str(error)
    return report


def _link(page: Path, folder: Path) -> str:
    """The address of a page as seen from a folder."""
    try:
        return quote(PurePath(os.path.relpath(page, folder)).as_posix())
    except ValueError:  # on another drive
        return page.absolute().as_uri()
