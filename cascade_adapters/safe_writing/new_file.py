"""Building a new file or folder so that its name appears only when it is complete."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cascade_adapters.safe_writing import names
from cascade_adapters.safe_writing.fsync import sync_folder, sync_tree
from cascade_adapters.safe_writing.interruption import held_back
from cascade_adapters.safe_writing.lock import lock
from cascade_engine.errors import InputError


@contextmanager
def placing(path: Path) -> Iterator[Path]:
    """Give a place to build a new file or folder in; it gets its name when the block ends without an error.

    What a killed run has left behind is removed by the next one with the same target.

    Parameters
    ----------
    path : Path
        File or folder to create.

    Yields
    ------
    Path
        Where to build it: the same name, in a hidden folder beside.

    Raises
    ------
    InputError
        If there is something at `path` already, or it cannot be written to.
    """
    if not path.parent.is_dir():
        raise InputError(f"{path.parent} is no folder: make it first")
    with lock(path):
        staging = names.part(path)
        shutil.rmtree(staging, ignore_errors=True)
        _refuse_existing(path)
        try:
            staging.mkdir()
            yield staging / path.name
            sync_tree(staging)
            with held_back():
                _refuse_existing(path)  # renaming would replace a file
                os.rename(staging / path.name, path)
                sync_folder(path.parent)
                shutil.rmtree(staging, ignore_errors=True)
        except OSError as error:
            raise InputError(f"{path} cannot be written: {error.strerror or error}") from error
        finally:
            with held_back():
                shutil.rmtree(staging, ignore_errors=True)


def _refuse_existing(path: Path) -> None:
    if path.exists() or path.is_symlink():
        raise InputError(f"{path} exists already: remove it, or choose another name")
