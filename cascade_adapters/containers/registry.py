"""The kinds of container that are known."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path

from cascade_adapters.containers.arrays.file import ArrayFile
from cascade_adapters.containers.base import Container, Selection
from cascade_adapters.containers.caiman.file import CaimanFile
from cascade_adapters.containers.converted import ConvertedFile, ConvertedTables
from cascade_adapters.containers.fall import FallFile, ProcFile
from cascade_adapters.containers.nwb.recording import NwbRecording
from cascade_adapters.containers.segmentations import SEGMENTATIONS
from cascade_adapters.containers.suite2p.plane import Suite2pPlane
from cascade_engine.declared import declared_fields
from cascade_engine.errors import InputError

#: In this order a file is offered to them; the first that knows it has it. Those of other packages come first.
CONTAINERS: tuple[type[Container], ...] = (
    Suite2pPlane,
    NwbRecording,
    CaimanFile,
    ConvertedFile,
    ConvertedTables,
    FallFile,
    ProcFile,
    *SEGMENTATIONS,
    ArrayFile,
)

#: Group of entry points by which other packages add kinds of container; see ``docs/write_a_container.md``.
ENTRY_POINTS = "cascade_adapters.containers"


def all_containers() -> tuple[type[Container], ...]:
    """Every kind of container: those of other packages, then our own.

    Raises
    ------
    InputError
        If another package adds something that cannot be used.
    """
    added = []
    for entry in entry_points(group=ENTRY_POINTS):
        try:
            kind = entry.load()
        except Exception as error:  # whatever goes wrong in somebody else's package
            raise InputError(
                f"the container {entry.name} ({entry.value}) cannot be loaded: {error}; repair or uninstall its package"
            ) from error
        if not (isinstance(kind, type) and issubclass(kind, Container)):
            raise InputError(f"the container {entry.name} ({entry.value}) is no subclass of Container")
        added.append(kind)
    return (*added, *CONTAINERS)


def find_containers(path: Path | str, selection: Selection = Selection()) -> list[Container]:
    """All recordings at or below a path; refuses what concerns none of them, see `refuse_unused`.

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
    found = list_containers(path, selection)
    refuse_unused(selection, found)
    return found


def list_containers(path: Path | str, selection: Selection = Selection()) -> list[Container]:
    """All recordings at or below a path, as `find_containers`, whatever choices concern them."""
    if isinstance(path, str) and "://" in path:
        from cascade_adapters.containers.nwb.remote import find_remote

        return list(find_remote(path, selection))
    path, kinds = Path(path), all_containers()
    if not path.exists():
        raise InputError(f"{path} does not exist")
    found: list[Container] = []
    for kind in kinds:
        if found and path.is_file():
            break
        found += kind.find(path, selection)
        if not found and path.is_file() and (reason := kind.why_not(path)):
            raise InputError(reason)
    found = [container for container in found if not _is_hidden(container.path, path)]
    if not found:
        if path.is_dir() and (reason := next(filter(None, (kind.why_not(path) for kind in kinds)), "")):
            raise InputError(reason)
        raise InputError(f"{path} holds nothing to run on; {_looked_for(kinds)}")
    return found


def refuse_unused(selection: Selection, found: Sequence[Container]) -> None:
    """Raise `InputError` if a choice concerns none of the recordings that were found; see `Container.uses`."""
    for choice in declared_fields(Selection) if found else ():
        value = getattr(selection, choice.name)
        if value in (None, choice.default) or any(choice.name in container.uses for container in found):
            continue
        kinds = ", ".join(dict.fromkeys(container.kind for container in found))
        raise InputError(f"{found[0].path}: {choice.options[0]} does not concern {kinds}: leave it out")


def _looked_for(kinds: Sequence[type[Container]]) -> str:
    searched, others = (
        "; ".join(f"{kind.kind} ({kind.looks_for})" for kind in kinds if kind.searched_for == wanted)
        for wanted in (True, False)
    )
    return f"looked for {searched}; not searched for in folders, to be named themselves: {others}"


def _is_hidden(found: Path, path: Path) -> bool:
    """Whether something lies in a hidden folder below a path: what is there is unfinished, or a program's own."""
    return found.is_relative_to(path) and any(part.startswith(".") for part in found.relative_to(path).parts)
