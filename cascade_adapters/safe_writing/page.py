"""Pages of ours among the files of a lab: written whole, told from any other file, and removed."""

from __future__ import annotations

from pathlib import Path

from cascade_engine.errors import InputError
from cascade_engine.file_formats.atomic import replacing

#: What every page of ours has near its beginning, in a form that no other page has.
MARK = '<meta name="generator" content="cascade-spikes">'

#: The mark lies within so many bytes.
_HEAD = 2000


def is_ours(path: Path) -> bool:
    """Whether a file is a page of ours."""
    try:
        with open(path, "rb") as file:
            return MARK.encode() in file.read(_HEAD)
    except OSError:
        return False


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
