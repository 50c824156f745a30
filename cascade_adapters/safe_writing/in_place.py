"""Changing a large HDF5 file in place so that every change can be taken back, byte for byte.

The program that changes the file is given a file object. What it appends goes to the end of the file, where nobody who
opens the file sees it; what it would overwrite is kept in memory until it has ended without an error. Only then the old
bytes of those few pages are saved in a journal beside the file, and the pages are written. A run that is killed earlier
leaves the file as it was, but for bytes behind its end; one that is killed in the instant in between is rolled back by
the next command that opens the file. The journal can be kept: it is a complete backup, of the size of the change.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from cascade_adapters.safe_writing import names
from cascade_adapters.safe_writing.fsync import sync_folder
from cascade_adapters.safe_writing.interruption import held_back
from cascade_adapters.safe_writing.journal import Journal, first_page, forget, kept_journals
from cascade_adapters.safe_writing.lock import is_under_way, lock, under_way
from cascade_adapters.safe_writing.overlay import OverlayFile
from cascade_engine.errors import InputError

#: How long (s) others may keep the file open: another run of ours may be looking into it.
_OTHERS_S, _POLL_S = 2.0, 0.05


@contextmanager
def changing(path: Path, keep: bool, check: Callable[[Path], None] = lambda path: None) -> Iterator[OverlayFile]:
    """Open a file to be changed; the changes become real when the block ends without an error.

    The caller holds `cascade_adapters.safe_writing.lock.lock` on the file.

    Parameters
    ----------
    path : Path
        The file.
    keep : bool
        Keep the journal, so that `roll_back` can undo this change later.
    check : callable
        Called with the path once the file is changed; if it raises, the change is rolled back.

    Yields
    ------
    OverlayFile
        A binary file, open for reading and writing.

    Raises
    ------
    InputError
        If the file cannot be changed, or another program has it open.
    """
    path = path.resolve()  # journals lie beside the file, not beside a link to it
    pending = names.pending_journal(path)
    # HDF5 does not survive an exception while it writes to a file of ours
    with held_back(), _changing(path, pending, keep, check) as overlay:
        yield overlay


@contextmanager
def _changing(path: Path, pending: Path, keep: bool, check: Callable[[Path], None]) -> Iterator[OverlayFile]:
    try:
        _recover(path)
        has_stale = keep and _has_stale_journals(path)
        if not path.stat().st_mode & 0o222:  # the system would let root write all the same
            raise InputError(f"{path} is read-only: make it writable, or work on a copy")
        with path.open("r+b", buffering=0) as file:
            _refuse_if_open_elsewhere(file, path)
            journal = Journal.of(file)
            journal.write(pending, file)
            overlay = OverlayFile(file)
            with under_way(path):
                yield overlay
            journal.record(overlay)
            journal.write(pending, file)
            overlay.apply()
        with under_way(path):
            check(path)
        if has_stale:
            forget(path)
        if keep:
            os.replace(pending, names.journal(path, len(kept_journals(path)) + 1))
        else:
            pending.unlink()
        sync_folder(path.parent)
    except BaseException as error:
        _recover(path)
        if isinstance(error, OSError):
            raise InputError(f"{path} cannot be changed: {error.strerror or error}") from error
        raise


def recover(path: Path) -> None:
    """Roll back what a killed run has left; every command that opens a file calls this first.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    InputError
        If another run is still changing the file, or somebody else has changed it after the run was killed.
    """
    pending = names.pending_journal(path.resolve())
    if (pending.exists() or names.journal_part(pending).exists()) and not is_under_way(path):
        with lock(path):
            _recover(path.resolve())


def roll_back(path: Path) -> bool:
    """Undo the latest change that was kept, if what it has written is still as it was written.

    The caller holds `cascade_adapters.safe_writing.lock.lock` on the file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    bool
        Whether it was undone; the file's bytes, size and time of modification are then those from before the change.
    """
    path = path.resolve()
    _recover(path)
    journals = kept_journals(path)
    if not journals or not Journal.read(journals[-1]).fits(path):
        return False
    os.replace(journals[-1], names.pending_journal(path))
    _recover(path)
    return True


def _recover(path: Path) -> None:
    """Put the old bytes back, if a change is under way; may be killed and called again."""
    pending = names.pending_journal(path)
    names.journal_part(pending).unlink(missing_ok=True)
    if not pending.exists():
        return
    journal = Journal.read(pending)
    try:
        if journal.is_mixture(first_page(path)):
            journal.put_back(pending, path)
        elif journal.after is not None:
            raise InputError(
                f"{path} was changed after a run that was killed: if it can be read and is as you want it, remove "
                f"{pending}"
            )
        # else: its old bytes were never touched, and whoever changed it since has dealt with the rest
    except OSError as error:
        raise InputError(
            f"{path}: what a killed run has left cannot be rolled back: {error.strerror or error}"
        ) from error
    pending.unlink()


def _has_stale_journals(path: Path) -> bool:
    """Whether there are journals of a file that was changed since: they are of no use."""
    journals = kept_journals(path)
    return bool(journals) and not Journal.read(journals[-1]).fits(path)


def _refuse_if_open_elsewhere(file: BinaryIO, path: Path) -> None:
    """HDF5 locks a file that it has open, where the system and the user let it."""
    try:
        import fcntl
    except ImportError:  # Windows does not let two programs write to one file
        return
    until = time.monotonic() + _OTHERS_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise InputError(f"{path} is open in another program: close it there") from None
            time.sleep(_POLL_S)
            continue
        except OSError:  # a file system without locks
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_UN)
        return
