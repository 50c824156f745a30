"""Many recordings: a failure of one is reported and stops nothing."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import closing

from cascade_adapters.containers.base import Container, Selection
from cascade_adapters.containers.registry import refuse_unused
from cascade_adapters.running.discrete import add_spikes
from cascade_adapters.running.executors import ONE_BY_ONE, Parallel, choose_executor
from cascade_adapters.running.in_python import in_python, speaking_python
from cascade_adapters.running.inspection import inspect_container
from cascade_adapters.running.options import Options
from cascade_adapters.running.progress import open_display
from cascade_adapters.running.report import Report
from cascade_adapters.running.unused import unused_selection
from cascade_adapters.running.work import Job, RunWork, explained, failed
from cascade_adapters.safe_writing.interruption import end_if_asked
from cascade_adapters.safe_writing.page import remove_page
from cascade_adapters.safe_writing.spool import remove_leftovers
from cascade_engine.errors import CascadeWarning, InputError
from cascade_engine.networks.store import load_model


def process_all(
    containers: Sequence[Container],
    options: Options,
    dry_run: bool = False,
    announce: Callable[[Report], None] = lambda report: None,
    parallel: Parallel = ONE_BY_ONE,
    say: Callable[[str], object] = lambda line: None,
) -> list[Report]:
    """Process recordings; those that share a file go together. The results do not depend on where this is done.

    Parameters
    ----------
    containers : sequence of Container
        Recordings.
    options : Options
        What the user chose.
    dry_run : bool
        Write nothing.
    announce : callable
        Called with each report as soon as it is there.
    parallel : Parallel
        How many at a time, and where.
    say : callable
        Called with lines for the user about where it is done.

    Returns
    -------
    list of Report
        One per recording, in their order; status "failed" with a message where it could not be done.

    Raises
    ------
    CascadeError
        If the model cannot be had, or the scheduler.
    """
    work = RunWork.of(options, dry_run)
    jobs = jobs_of(containers)
    executor = choose_executor(jobs, parallel, options.n_threads, say)
    reports: dict[int, Report] = {}
    with (
        closing(open_display(len(containers), options.progress)) as display,
        closing(executor.run(jobs, work, display)) as ended,
    ):
        for number, found in ended:
            display.end(number, len(found))
            with display.aside():
                for container, report in zip(jobs[number], found, strict=True):
                    reports[id(container)] = report
                    announce(report)
    return [reports[id(container)] for container in containers]


def jobs_of(containers: Sequence[Container]) -> list[Job]:
    """Recordings that are processed and written together, because they share a file; see `Container.job`."""
    jobs: dict[tuple, list[Container]] = {}
    for container in containers:
        jobs.setdefault(container.job, []).append(container)
    return list(jobs.values())


def run_and_warn(
    containers: Sequence[Container], options: Options, stacklevel: int = 3, parallel: Parallel = ONE_BY_ONE
) -> list[Report]:
    """Process recordings as `process_all`; doubts become warnings, failures one error at the end.

    Parameters
    ----------
    containers : sequence of Container
        Recordings.
    options : Options
        What the user chose.
    stacklevel : int
        Of the warnings, so that they point at the user's line.
    parallel : Parallel
        How many at a time, and where.

    Returns
    -------
    list of Report
        One per recording.

    Raises
    ------
    CascadeError
        If the model cannot be had, or a choice concerns none of the recordings; or, once all recordings have had their
        turn, if some could not be processed: they are as they were, the others are complete.
    """
    with speaking_python():
        refuse_unused(options.selection, containers)
        reports = process_all(
            containers, options, parallel=parallel, say=lambda line: print(f"cascade: {line}", file=sys.stderr)
        )
    told: dict[str, list[str]] = {}
    for report in reports:
        texts = [*filter(None, [report.exclusion]), *report.rois_without_prediction, *report.warnings]
        for text in texts if report.status != "failed" else []:
            told.setdefault(text, []).append(report.path)
    for text, (path, *others) in told.items():
        more = f" and {len(others)} more" if others else ""
        warnings.warn(in_python(f"{path}{more}: {text}"), CascadeWarning, stacklevel=stacklevel)
    failed = [report.message for report in reports if report.status == "failed"]
    if failed:
        raise InputError(in_python("; ".join(failed)))
    return reports


def inspect_all(containers: Sequence[Container], options: Options) -> list[Report]:
    """Say what recordings hold; see `cascade_adapters.running.inspection.inspect_container`."""
    model = load_model(options.model)
    return [_one(container, lambda each: inspect_container(each, options, model)) for container in containers]


def add_spikes_to_all(
    containers: Sequence[Container], n_threads: int | None = None, selection: Selection = Selection()
) -> list[Report]:
    """Find discrete spikes in the results of recordings; see `cascade_adapters.running.discrete.add_spikes`.

    Parts of a `selection` that change nothing for a recording are warnings of its report.
    """
    reports = [_one(container, lambda each: add_spikes(each, n_threads)) for container in containers]
    for container, report in zip(containers, reports, strict=True):
        report.warnings += unused_selection(selection, container)
    return reports


def restore_all(containers: Sequence[Container]) -> list[Report]:
    """Take back what was written into recordings; the reports say what was done."""

    def restore(container: Container) -> Report:
        if container.scratch_folder is not None:
            remove_leftovers(container.scratch_folder)
        done = container.restore() + remove_page(container.report_path)
        return Report(path=str(container.path), kind=container.kind, restored=done)

    return [_one(container, restore) for container in containers]


def _one(container: Container, work: Callable[[Container], Report]) -> Report:
    """The report on one recording, whatever happens."""
    end_if_asked()
    try:
        return work(container)
    except Exception as error:
        (report,) = failed([container], explained(error, str(container.path)))
        return report
