"""Many recordings, one after another: a failure is reported at the end and stops nothing."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from cascade_adapters.containers.base import Container
from cascade_adapters.running.options import Options
from cascade_adapters.running.pipeline import process
from cascade_adapters.running.report import Report
from cascade_engine.errors import CascadeError


def process_all(
    containers: Sequence[Container],
    options: Options,
    dry_run: bool = False,
    announce: Callable[[Report], None] = lambda report: None,
    log: Path | None = None,
) -> list[Report]:
    """Process recordings one after another.

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
    log : Path, optional
        File to which the traceback of an unforeseen failure is appended.

    Returns
    -------
    list of Report
        One per recording; status "failed" with a message where it could not be done.
    """
    reports = []
    for container in containers:
        try:
            report = process(container, options, dry_run)
        except CascadeError as error:
            report = Report(str(container.path), container.kind, "failed", str(error))
        except Exception as error:
            message = f"unforeseen failure, please report it: {type(error).__name__}: {error}"
            report = Report(str(container.path), container.kind, "failed", " ".join(message.split()))
            if log is not None:
                with log.open("a", encoding="utf-8") as file:
                    file.write(f"{container.path}\n{traceback.format_exc()}\n")
        reports.append(report)
        announce(report)
    return reports
