"""The kinds of container that are known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cascade_adapters.base import Container, Selection
from cascade_adapters.report import Report
from cascade_adapters.suite2p.plane import Suite2pPlane
from cascade_engine.errors import CascadeError, InputError

CONTAINERS: tuple[type[Container], ...] = (Suite2pPlane,)


def find_containers(path: Path, selection: Selection = Selection()) -> list[Container]:
    """All recordings at or below a path.

    Parameters
    ----------
    path : Path
        File or folder.
    selection : Selection
        Which traces are meant.

    Returns
    -------
    list of Container
        At least one.

    Raises
    ------
    InputError
        If there is none, saying what was looked for.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist")
    found = [container for kind in CONTAINERS for container in kind.find(path, selection)]
    if not found:
        looked_for = "; ".join(f"{kind.kind} ({kind.looks_for})" for kind in CONTAINERS)
        raise InputError(f"{path} holds nothing to run on; looked for {looked_for}")
    return found


def find_all(paths: Sequence[Path], selection: Selection = Selection()) -> tuple[list[Container], list[Report]]:
    """All recordings at or below some paths.

    Parameters
    ----------
    paths : sequence of Path
        Files or folders.
    selection : Selection
        Which traces are meant.

    Returns
    -------
    containers : list of Container
        Each recording once.
    failures : list of Report
        One for each path that holds nothing.
    """
    found: dict[tuple, Container] = {}
    failures = []
    for path in paths:
        try:
            for container in find_containers(path, selection):
                found.setdefault(container.identity, container)
        except CascadeError as error:
            failures.append(Report(str(path), "unknown", "failed", str(error)))
    return list(found.values()), failures
