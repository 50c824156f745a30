"""The recordings at or below the paths that a user gives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cascade_adapters.containers.base import Container, Selection
from cascade_adapters.containers.registry import list_containers, refuse_unused
from cascade_adapters.running.report import Report
from cascade_engine.errors import CascadeError


def find_all(paths: Sequence[Path | str], selection: Selection = Selection()) -> tuple[list[Container], list[Report]]:
    """All recordings at or below some paths; a choice that concerns none of them is refused once, for all.

    Parameters
    ----------
    paths : sequence of Path or str
        Files, folders or addresses, as for `cascade_adapters.containers.registry.find_containers`.
    selection : Selection
        Which traces are meant.

    Returns
    -------
    containers : list of Container
        Each recording once.
    failures : list of Report
        One for each path that holds nothing, or for what was refused.
    """
    found: dict[tuple, Container] = {}
    failures = []
    for path in paths:
        try:
            for container in list_containers(path, selection):
                found.setdefault(container.identity, container)
        except CascadeError as error:
            failures.append(Report(path=str(path), kind="unknown", status="failed", message=str(error)))
    containers = list(found.values())
    try:
        refuse_unused(selection, containers)
    except CascadeError as error:
        failures.append(
            Report(path=str(containers[0].path), kind=containers[0].kind, status="failed", message=str(error))
        )
        containers = []
    return containers, failures
