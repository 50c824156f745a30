"""Many recordings, one after another: a failure of one is reported and stops nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

from cascade_adapters.containers.base import Container
from cascade_adapters.running.discrete import add_spikes
from cascade_adapters.running.failures import unforeseen
from cascade_adapters.running.inspection import inspect_container
from cascade_adapters.running.options import Options
from cascade_adapters.running.pipeline import process
from cascade_adapters.running.report import Report
from cascade_engine.errors import CascadeError
from cascade_engine.networks.store import load_model


def process_all(
    containers: Sequence[Container],
    options: Options,
    dry_run: bool = False,
    announce: Callable[[Report], None] = lambda report: None,
) -> list[Report]:
    """Process recordings one after another; those that share a file go together.

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

    Returns
    -------
    list of Report
        One per recording; status "failed" with a message where it could not be done.

    Raises
    ------
    CascadeError
        If the model cannot be had.
    """
    model = load_model(options.model)
    reports = []
    for _, group in groupby(containers, key=lambda container: container.job):
        job = list(group)
        try:
            done = process(job, options, model, dry_run)
        except Exception as error:
            message = unforeseen(error, f"{job[0].path}")
            done = [Report(path=str(each.path), kind=each.kind, status="failed", message=message) for each in job]
        for report in done:
            announce(report)
        reports += done
    return reports


def inspect_all(containers: Sequence[Container], options: Options) -> list[Report]:
    """Say what recordings hold; see `cascade_adapters.running.inspection.inspect_container`."""
    model = load_model(options.model)
    return [_one(container, lambda each: inspect_container(each, options, model)) for container in containers]


def add_spikes_to_all(containers: Sequence[Container], n_threads: int | None = None) -> list[Report]:
    """Find discrete spikes in the results of recordings; see `cascade_adapters.running.discrete.add_spikes`."""
    return [_one(container, lambda each: add_spikes(each, n_threads)) for container in containers]


def restore_all(containers: Sequence[Container]) -> list[Report]:
    """Take back what was written into recordings; the reports say what was done."""

    def restore(container: Container) -> Report:
        return Report(path=str(container.path), kind=container.kind, written=container.restore())

    return [_one(container, restore) for container in containers]


def _one(container: Container, work: Callable[[Container], Report]) -> Report:
    """The report on one recording, whatever happens."""
    try:
        return work(container)
    except CascadeError as error:
        message = str(error)
    except Exception as error:
        message = unforeseen(error, str(container.path))
    return Report(path=str(container.path), kind=container.kind, status="failed", message=message)
