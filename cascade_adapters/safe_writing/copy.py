"""Changing one file by way of a copy, which takes its place only when it is complete.

A run that fails or is killed leaves the file as it was; the copy that a killed run leaves behind is removed by the
next one.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cascade_adapters.safe_writing import names
from cascade_adapters.safe_writing.fsync import sync_file, sync_folder
from cascade_adapters.safe_writing.lock import is_under_way, lock, under_way
from cascade_engine.errors import InputError


@contextmanager
def rewriting(path: Path, extra_bytes: int = 0) -> Iterator[Path]:
    """Give a copy of a file to be changed; it takes the file's place when the block ends without an error.

    Permissions and owner stay; where `path` is a link, the file that it leads to is replaced.

    Parameters
    ----------
    path : Path
        File to change.
    extra_bytes : int
        How much it will grow; refused before any work where the disk has no room for the copy.

    Yields
    ------
    Path
        The copy, in the same folder. It must be closed when the block ends.

    Raises
    ------
    InputError
        If the file is read-only, or is being changed by another run or program, or cannot be written.
    """
    with lock(path), under_way(path):
        copy = None
        try:
            target = path.resolve(strict=True)
            _remove(names.copies(target))
            before = target.stat()
            _check_room(path, target, before, extra_bytes)
            copy = _new_copy(target, before)
            yield copy
            sync_file(copy)
            if _state(target.stat()) != _state(before):
                raise InputError(f"{path} was changed by another program meanwhile: it was left as it is, run again")
            os.replace(copy, target)
            sync_folder(target.parent)
        except OSError as error:
            raise InputError(f"{path} cannot be changed: {error.strerror or error}") from error
        finally:
            if copy is not None:
                _remove([copy])


def remove_leftovers(path: Path) -> None:
    """Remove the copies that killed runs have left beside a file; waits for a run that is changing it now."""
    target = path.resolve()
    if names.copies(target) and not is_under_way(path):
        with lock(path):
            _remove(names.copies(target))


def _check_room(path: Path, target: Path, status: os.stat_result, extra_bytes: int) -> None:
    # a rename would replace even a file that is read-only, and the system lets root write anywhere
    if not status.st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH) or not os.access(target, os.W_OK):
        raise InputError(f"{path} is read-only: make it writable, or work on a copy")
    needed, free = status.st_size + extra_bytes, shutil.disk_usage(target.parent).free
    if needed > free:
        raise InputError(
            f"{path} cannot be changed: {needed / 1e6:.0f} MB are needed beside it, {free / 1e6:.0f} MB are free"
        )


def _new_copy(target: Path, status: os.stat_result) -> Path:
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=names.copy_prefix(target))
    os.close(handle)
    try:
        shutil.copy2(target, name)
        if hasattr(os, "chown"):
            with suppress(OSError):  # a file of somebody else's
                os.chown(name, status.st_uid, status.st_gid)
    except BaseException:
        _remove([Path(name)])
        raise
    return Path(name)


def _remove(paths: list[Path]) -> None:
    for path in paths:
        with suppress(OSError):
            path.unlink()


def _state(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ino
