"""Going through the folders below a path, links to folders included."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from cascade_adapters.safe_writing import names


def walk(path: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Folders at and below a path, as of ``os.walk``: each real folder once, whatever links lead to it or in circles.

    Parameters
    ----------
    path : Path
        A folder.

    Yields
    ------
    folder : Path
        A folder; those that links lead to come after all others.
    folders, files : list of str
        Names in it, in order, without folders of ours; what is removed from the list of folders is not gone through.
    """
    seen: set[tuple[int, int]] = set()
    starts = deque([path])
    while starts:
        for place, folders, files in os.walk(starts.popleft()):
            folder = Path(place)
            try:
                status = folder.stat()
            except OSError:  # it has just been removed
                folders.clear()
                continue
            if (status.st_dev, status.st_ino) in seen:
                folders.clear()
                continue
            seen.add((status.st_dev, status.st_ino))
            folders[:] = sorted(name for name in folders if not names.is_ours(name))
            yield folder, folders, sorted(files)
            starts += [folder / name for name in folders if (folder / name).is_symlink()]


def files_below(path: Path) -> Iterator[Path]:
    """Files below a folder, as of `walk`."""
    for folder, _, files in walk(path):
        yield from (folder / name for name in files)
