"""Where pages lie: those of single recordings, and overviews."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from cascade_adapters.containers.base import Container
from cascade_adapters.safe_writing.page import is_ours

#: Name of the page with a row for each of several recordings.
OVERVIEW = "cascade_overview.html"


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
