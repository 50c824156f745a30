"""What all hooks have in common: the same options, the same way to warn, to raise, and to treat earlier results."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from cascade_adapters.containers.base import Container
from cascade_adapters.running.batch import process_all
from cascade_adapters.running.options import parse_options
from cascade_adapters.running.report import Report
from cascade_engine.errors import CascadeWarning, InputError


def hook_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a hook: a pipeline that runs again overwrites what it wrote before, unless told otherwise."""
    return {"existing": "overwrite", **options}


def run_and_warn(containers: Sequence[Container], options: Mapping[str, Any], stacklevel: int = 3) -> list[Report]:
    """Infer spikes in recordings; doubts become warnings, failures one error at the end.

    Parameters
    ----------
    containers : sequence of Container
        Recordings.
    options : mapping
        As for `cascade_adapters.run`.
    stacklevel : int
        Of the warnings, so that they point at the user's line.

    Returns
    -------
    list of Report
        One per recording.

    Raises
    ------
    CascadeError
        If some could not be processed: they are as they were, the others are complete.
    """
    reports = process_all(containers, parse_options(hook_options(options)))
    for report in reports:
        for text in report.warnings if report.status != "failed" else ():
            warnings.warn(f"{report.path}: {text}", CascadeWarning, stacklevel=stacklevel)
    failed = [report.message for report in reports if report.status == "failed"]
    if failed:
        raise InputError("; ".join(failed))
    return reports
