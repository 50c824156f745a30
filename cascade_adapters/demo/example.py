"""The whole example: recording, spikes, comparison, and what there is to look at."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cascade_adapters.containers.base import Container
from cascade_adapters.containers.registry import find_containers
from cascade_adapters.demo.recording import write_recording
from cascade_adapters.demo.truth import Agreement, compare, draw
from cascade_adapters.door import Done
from cascade_adapters.pages.writing import OVERVIEW_KIND, write_pages
from cascade_adapters.running.batch import process_all
from cascade_adapters.running.options import parse_options
from cascade_adapters.safe_writing.interruption import held_back
from cascade_adapters.safe_writing.new_file import placing
from cascade_engine.errors import CascadeError, MissingExtraError


@dataclass(frozen=True)
class Example:
    """What `run_example` has made.

    Attributes
    ----------
    recording : Path
        The suite2p folder, with the results in it.
    planes : list of Path
        Its planes.
    agreements : list of Agreement
        How the results of each plane agree with the true spikes.
    page : Path
        The overview, to be opened in a browser; it leads to the report on each plane.
    picture : Path or None
        Traces of a few neurons with their true spikes; None without matplotlib.
    """

    recording: Path
    planes: list[Path]
    agreements: list[Agreement]
    page: Path
    picture: Path | None


def run_example(folder: Path, say: Callable[[str], None] = lambda line: None, progress: bool = False) -> Example:
    """Make the example recording, infer its spikes, and compare them with the true ones.

    Parameters
    ----------
    folder : Path
        Where to put everything; it must not exist yet. It is removed again if something fails.
    say : callable
        Called with a line on each step.
    progress : bool
        Whether to show how far the inference has come.

    Returns
    -------
    Example
        What was made, and how good it is.

    Raises
    ------
    InputError
        If the folder exists, or cannot be written to.
    """
    with placing(folder) as building:
        write_recording(building / "suite2p")
    say(f"made an example recording: two planes of simulated neurons, in {folder / 'suite2p'}")
    try:
        return _infer(folder, say, progress)
    except BaseException:
        with held_back():
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _infer(folder: Path, say: Callable[[str], None], progress: bool) -> Example:
    recording = folder / "suite2p"
    say(f"inferring its spikes, as 'cascade run {recording}' does ...")
    containers = find_containers(str(recording))
    reports = process_all(containers, parse_options({}, progress=progress))
    if failed := [report.message for report in reports if report.status == "failed"]:
        raise CascadeError("; ".join(failed))
    planes = [container.path for container in containers]
    results = [Done(container, report).results for container, report in zip(containers, reports, strict=True)]
    agreements = [compare(plane, each) for plane, each in zip(planes, results, strict=True)]
    picture: Path | None = folder / "traces.png"
    try:
        draw(planes[0], results[0], folder / "traces.png")
    except MissingExtraError:
        picture = None
    return Example(recording, planes, agreements, _write_page(containers, folder), picture)


def _write_page(containers: Sequence[Container], folder: Path) -> Path:
    """Write the report pages of the planes, and the overview that leads to them; returns where that is."""
    pages = write_pages(containers, [folder])
    if failed := [page.message for page in pages if page.status == "failed"]:
        raise CascadeError("; ".join(failed))
    return next(Path(page.page) for page in pages if page.kind == OVERVIEW_KIND and page.page)
