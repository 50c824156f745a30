"""Making what was written last through a power failure."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Any


def sync_open(file: IO[Any]) -> None:
    """Make what was written into an open file durable."""
    file.flush()
    os.fsync(file.fileno())


def sync_file(path: Path) -> None:
    """Make the content of a closed file durable."""
    with path.open("r+b") as file:  # Windows needs it open for writing
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable, where the platform can."""
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sync_tree(folder: Path) -> None:
    """Make everything in a folder durable."""
    for path in folder.rglob("*"):
        (sync_folder if path.is_dir() else sync_file)(path)
    sync_folder(folder)
