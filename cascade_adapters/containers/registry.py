"""The kinds of container that are known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cascade_adapters.containers.arrays.file import ArrayFile
from cascade_adapters.containers.base import Container, Selection
from cascade_adapters.containers.caiman.file import CaimanFile
from cascade_adapters.containers.nwb.recording import NwbRecording
from cascade_adapters.containers.segmentations import SEGMENTATIONS
from cascade_adapters.containers.suite2p.plane import Suite2pPlane
from cascade_adapters.running.report import Report
from cascade_engine.errors import CascadeError, InputError

#: In this order a file is offered to them; the first that knows it has it.
CONTAINERS: tuple[type[Container], ...] = (Suite2pPlane, NwbRecording, CaimanFile, *SEGMENTATIONS, ArrayFile)


def find_containers(path: Path | str, selection: Selection = Selection()) -> list[Container]:
    """All recordings at or below a path.

    Parameters
    ----------
    path : Path or str
        File or folder; or the address of an NWB file, such as ``https://...``, as text.
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
    if isinstance(path, str) and "://" in path:
        from cascade_adapters.containers.nwb.remote import find_remote

        return list(find_remote(path, selection))
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist")
    found: list[Container] = []
    for kind in CONTAINERS:
        if not (found and path.is_file()):
            found += kind.find(path, selection)
    found = [container for container in found if not _is_hidden(container.path, path)]
    if not found:
        raise InputError(f"{path} holds nothing to run on; {_looked_for()}")
    return found


def _looked_for() -> str:
    searched, others = (
        "; ".join(f"{kind.kind} ({kind.looks_for})" for kind in CONTAINERS if kind.searched_for == wanted)
        for wanted in (True, False)
    )
    return f"looked for {searched}; and, given themselves and not a folder above, for {others}"


def find_all(paths: Sequence[Path | str], selection: Selection = Selection()) -> tuple[list[Container], list[Report]]:
    """All recordings at or below some paths.

    Parameters
    ----------
    paths : sequence of Path or str
        Files, folders or addresses, as for `find_containers`.
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


def _is_hidden(found: Path, path: Path) -> bool:
    """Whether something lies in a hidden folder below a path: what is there is unfinished, or a program's own."""
    return found.is_relative_to(path) and any(part.startswith(".") for part in found.relative_to(path).parts)
