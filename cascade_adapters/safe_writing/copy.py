"""Changing one file by way of a copy, which takes its place only when it is complete.

A run that fails or is killed leaves the file as it was; the copy that a killed run leaves behind is removed by the
next one. A change to the copy can be recorded: its undo journal lies beside the file once the copy is there.
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
from cascade_adapters.safe_writing.interruption import held_back
from cascade_adapters.safe_writing.journal import Journal, forget, kept_journals
from cascade_adapters.safe_writing.lock import is_under_way, lock, under_way
from cascade_adapters.safe_writing.overlay import OverlayFile
from cascade_engine.errors import InputError


class Copy:
    """A copy of a file, to be changed and then to take its place.

    Attributes
    ----------
    path : Path
        Where it is. It must be closed when the block of `rewriting` ends.
    """

    def __init__(self, target: Path, path: Path):
        self.path = path
        self._target = target
        self._is_rolled_back = self._is_recorded = False

    def roll_back(self) -> bool:
        """Take back the latest change whose journal was kept.

        Returns
        -------
        bool
            Whether the copy is what the file was before it, to the last byte; if not, there is no journal that fits,
            and the copy is unchanged.
        """
        assert not self._is_recorded
        kept = kept_journals(self._target)
        if not kept or not _fits(kept[-1], self.path):
            return False
        Journal.read(kept[-1]).put_back(kept[-1], self.path)
        self._is_rolled_back = True
        return True

    @contextmanager
    def recording(self) -> Iterator[OverlayFile]:
        """Open the copy to be changed so that `roll_back` can take the change back later.

        Yields
        ------
        OverlayFile
            A binary file, open for reading and writing.
        """
        assert not self._is_recorded
        # HDF5 does not survive an exception while it writes to a file of ours
        with held_back(), self.path.open("r+b", buffering=0) as file:
            journal = Journal.of(file)
            overlay = OverlayFile(file)
            yield overlay
            journal.record(overlay)
            journal.write(names.next_journal(self._target), file)
            overlay.apply()
        self._is_recorded = True

    def take_place(self) -> None:
        """Let the copy be the file; killed at any step, `finish_interrupted` tells by the journal what was done."""
        kept, following = kept_journals(self._target), names.next_journal(self._target)
        if self._is_rolled_back and not self._is_recorded:
            os.replace(kept[-1], following)  # it fits the file until the copy takes its place, and is of no use then
        os.replace(self.path, self._target)
        sync_folder(self._target.parent)
        if self._is_recorded:
            _keep(self._target, following)
            return
        if self._is_rolled_back:
            following.unlink()
        kept = kept_journals(self._target)
        if kept and not _fits(kept[-1], self._target):
            forget(self._target)


@contextmanager
def rewriting(path: Path, extra_bytes: int = 0) -> Iterator[Copy]:
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
    Copy
        The copy, in the same folder.

    Raises
    ------
    InputError
        If the file is read-only, or is being changed by another run or program, or cannot be written.
    """
    with lock(path), under_way(path):
        target = path.resolve()
        try:
            _clean_up(target)
            before = target.stat()
            _check_room(path, target, before, extra_bytes)
            copy = _new_copy(target, before)
            yield copy
            sync_file(copy.path)
            if _state(target.stat()) != _state(before):
                raise InputError(f"{path} was changed by another program meanwhile: it was left as it is, run again")
            with held_back():
                copy.take_place()
        except OSError as error:
            raise InputError(f"{path} cannot be changed: {error.strerror or error}") from error
        finally:
            with held_back():
                _clean_up(target)


def copy_content(source: Path, target: Path) -> None:
    """Copy the content of a file; where the file system can, both share their blocks."""
    if hasattr(os, "copy_file_range"):
        try:
            with source.open("rb") as old, target.open("wb") as new:
                while os.copy_file_range(old.fileno(), new.fileno(), 1 << 30):
                    pass
            if target.stat().st_size == source.stat().st_size:
                return
        except OSError:  # not all file systems can
            pass
    shutil.copyfile(source, target)


def finish_interrupted(path: Path) -> None:
    """Remove what killed runs have left beside a file; waits for a run that is changing it now."""
    target = path.resolve()
    if (names.copies(target) or names.next_journal(target).exists()) and not is_under_way(path):
        with lock(path):
            _clean_up(target)


def _clean_up(target: Path) -> None:
    """Remove copies, and a journal that is not needed; a journal of the file as it is now is kept."""
    for copy in names.copies(target):
        with suppress(OSError):
            copy.unlink()
    following = names.next_journal(target)
    with suppress(OSError):
        names.journal_part(following).unlink(missing_ok=True)
        if following.exists():
            if _fits(following, target):
                _keep(target, following)
            else:
                following.unlink()


def _keep(target: Path, following: Path) -> None:
    """Keep a journal as the only one: the copy that it goes with was made of what the file was before any change."""
    for journal in reversed(kept_journals(target)[1:]):
        journal.unlink()
    os.replace(following, names.journal(target, 1))
    sync_folder(target.parent)


def _fits(journal: Path, path: Path) -> bool:
    try:
        return Journal.read(journal).fits(path)
    except InputError:  # damaged
        return False


def _check_room(path: Path, target: Path, status: os.stat_result, extra_bytes: int) -> None:
    # a rename would replace even a file that is read-only, and the system lets root write anywhere
    if not status.st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH) or not os.access(target, os.W_OK):
        raise InputError(f"{path} is read-only: make it writable, or work on a copy")
    needed, free = status.st_size + extra_bytes, shutil.disk_usage(target.parent).free
    if needed > free:
        raise InputError(
            f"{path} cannot be changed: {needed / 1e6:.0f} MB are needed beside it, {free / 1e6:.0f} MB are free"
        )


def _new_copy(target: Path, status: os.stat_result) -> Copy:
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=names.copy_prefix(target))
    os.close(handle)
    try:
        copy_content(target, Path(name))
        shutil.copystat(target, name)
        if hasattr(os, "chown"):
            with suppress(OSError):  # a file of somebody else's
                os.chown(name, status.st_uid, status.st_gid)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
    return Copy(target, Path(name))


def _state(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ino
