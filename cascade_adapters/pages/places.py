"""Where pages are written, and how one of ours is told from any other file."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from cascade_adapters.containers.base import Container
from cascade_engine.errors import InputError
from cascade_engine.file_formats.atomic import replacing

#: What every page of ours has near its beginning, in a form that no other page has.
MARK = '<meta name="generator" content="cascade-spikes">'

#: Name of the page with a row for each of several recordings.
OVERVIEW = "cascade_overview.html"

#: The mark lies within so many bytes.
_HEAD = 2000


def is_ours(path: Path) -> bool:
    """Whether a file is a page of ours."""
    try:
        with open(path, "rb") as file:
            return MARK.encode() in file.read(_HEAD)
    except OSError:
        return False


def overview_path(paths: Sequence[Path | str]) -> Path:
    """Where the overview of several recordings lies: in the folder that holds all that was named.

    Parameters
    ----------
    paths : sequence of Path or str
        As the user gave them; of addresses, the working folder counts.
    """
    folders = []
    for path in paths:
        local = Path.cwd() if isinstance(path, str) and "://" in path else Path(path).absolute()
        folders.append(local if local.is_dir() else local.parent)
    try:
        common = Path(os.path.commonpath(folders))
    except ValueError:  # on several drives
        common = Path.cwd()
    return common / OVERVIEW


def overviews_above(containers: Sequence[Container], paths: Sequence[Path | str]) -> list[Path]:
    """Overviews of ours in the folders between what the user named and the recordings there."""
    top = overview_path(paths).parent
    folders = dict.fromkeys(
        folder
        for path in [container.path.absolute() for container in containers]
        for folder in path.parents
        if folder.is_relative_to(top)
    )
    return [folder / OVERVIEW for folder in folders if is_ours(folder / OVERVIEW)]


def page_for(overview: Path, number: int, container: Container) -> Path:
    """Where the page of one of several recordings goes if the overview has a place of its own."""
    name = re.sub(r"[^\w.-]+", "_", container.report_path.name)
    return overview.with_name(f"{overview.stem}_pages") / f"{number:03d}_{name}"


def write_page(path: Path, text: str) -> None:
    """Write a page, whole or not at all.

    Raises
    ------
    InputError
        If there is another file of this name, or the place cannot be written to.
    """
    if path.exists() and not is_ours(path):
        raise InputError(f"{path} is no page of cascade, so it is not replaced: pass --output FILE with another name")
    try:
        path.parent.mkdir(exist_ok=True)
        with replacing(path) as file:
            file.write(text.encode("utf-8"))
    except OSError as error:
        raise InputError(
            f"the page {path} cannot be written ({error.strerror or error}): pass --output FILE for another place"
        ) from None


def remove_page(path: Path) -> list[str]:
    """Remove a page of ours; returns what was done, as `Container.restore` does."""
    if not is_ours(path):
        return []
    try:
        path.unlink()
    except OSError as error:
        raise InputError(f"the page {path} cannot be removed: {error.strerror or error}") from None
    return [f"removed {path.name}"]
