"""Changing a large HDF5 file in place so that every change can be taken back, byte for byte.

The program that changes the file is given a file object. What it appends goes to the end of the file, where nobody who
opens the file sees it; what it would overwrite is kept in memory until it has ended without an error. Only then the old
bytes of those few pages are saved in a journal beside the file, and the pages are written. A run that is killed earlier
leaves the file as it was, but for bytes behind its end; one that is killed in the instant in between is rolled back by
the next command that opens the file. The journal can be kept: it is a complete backup, of the size of the change.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import BinaryIO

from cascade_adapters.safe_writing import names
from cascade_adapters.safe_writing.fsync import sync_folder, sync_open
from cascade_adapters.safe_writing.lock import is_under_way, lock, under_way
from cascade_adapters.safe_writing.overlay import OverlayFile
from cascade_engine.errors import InputError

_MAGIC = b"cascade undo journal 1\n"

#: Bytes at the beginning of a file that are compared with what they were.
_PAGE = 4096

#: What a disk writes as one.
_SECTOR = 512

_BLOCK = 1 << 20


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
    try:
        _recover(path)
        if keep:
            _forget_stale(path)
        if not path.stat().st_mode & 0o222:  # the system would let root write all the same
            raise InputError(f"{path} is read-only: make it writable, or work on a copy")
        with path.open("r+b", buffering=0) as file:
            _refuse_if_open_elsewhere(file, path)
            journal = _Journal(path.stat().st_size, path.stat().st_mtime_ns, _first_page(file))
            _write_journal(pending, file, journal)
            overlay = OverlayFile(file)
            with under_way(path):
                yield overlay
            _save_old_bytes(overlay, file, pending, journal)
            overlay.apply()
        with under_way(path):
            check(path)
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
        If another run is changing the file now, or somebody else has changed it after the run was killed.
    """
    if names.pending_journal(path.resolve()).exists() and not is_under_way(path):
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
    if not journals or not _still_as_written(path, _read_journal(journals[-1])):
        return False
    os.replace(journals[-1], names.pending_journal(path))
    _recover(path)
    return True


def kept_journals(path: Path) -> list[Path]:
    """Journals of the changes that can be undone, oldest first."""
    path, found = path.resolve(), []
    while names.journal(path, len(found) + 1).exists():
        found.append(names.journal(path, len(found) + 1))
    return found


def forget(path: Path) -> None:
    """Remove all journals that are kept: the changes cannot be rolled back any more."""
    for journal in reversed(kept_journals(path)):
        journal.unlink()


@dataclass
class _Journal:
    """What is needed to take a change back; the old bytes follow it in the journal's file.

    Attributes
    ----------
    size, mtime_ns : int
        Size and time of modification before the change.
    first_page : str
        The file's first bytes before the change, base64: appending to an HDF5 file changes them.
    ranges : list of (int, int)
        Offset and length of the old bytes.
    after : dict or None
        Size, first bytes, and SHA-256 of everything that was written; None as long as old bytes are untouched.
    old_sha256 : str
        Of the old bytes.
    """

    size: int
    mtime_ns: int
    first_page: str
    ranges: list[tuple[int, int]] = field(default_factory=list)
    after: dict | None = None
    old_sha256: str = ""

    def written(self) -> list[tuple[int, int]]:
        """Offset and length of everything that was written."""
        overwritten = [(offset, length) for offset, length in self.ranges if offset < self.after["size"]]
        return [*overwritten, (self.size, max(0, self.after["size"] - self.size))]


def _save_old_bytes(overlay: OverlayFile, file: BinaryIO, pending: Path, journal: _Journal) -> None:
    overlay.check()
    journal.ranges = overlay.changed()
    journal.after = {"size": overlay.size, "first_page": _first_page(overlay)}
    journal.after["sha256"] = _digest(overlay, journal.written())
    if overlay.size < overlay.old_size:
        journal.ranges.append((overlay.size, overlay.old_size - overlay.size))
    _write_journal(pending, file, journal)


def _write_journal(place: Path, file: BinaryIO, journal: _Journal) -> None:
    journal.old_sha256 = _digest(file, journal.ranges)
    part = names.journal_part(place)
    with part.open("wb") as target:
        target.write(_MAGIC + json.dumps(asdict(journal)).encode() + b"\n")
        for block in _blocks(file, journal.ranges):
            target.write(block)
        sync_open(target)
    os.replace(part, place)
    sync_folder(place.parent)


def _read_journal(place: Path) -> _Journal:
    try:
        with place.open("rb") as file:
            if file.readline(len(_MAGIC)) != _MAGIC:
                raise ValueError
            journal = _Journal(**json.loads(file.readline()))
            digest = hashlib.sha256()
            while block := file.read(_BLOCK):
                digest.update(block)
        if digest.hexdigest() != journal.old_sha256:
            raise ValueError
    except (ValueError, TypeError):
        raise InputError(
            f"{place} is damaged: what was changed cannot be rolled back; remove it if the file beside it can be read"
        ) from None
    return journal


def _recover(path: Path) -> None:
    """Put the old bytes back, if a change is under way; may be killed and called again."""
    pending = names.pending_journal(path)
    names.journal_part(pending).unlink(missing_ok=True)
    if not pending.exists():
        return
    journal = _read_journal(pending)
    try:
        with path.open("r+b") as file:
            first_page = file.read(_PAGE)
            if _is_mixture(first_page, journal):
                _copy_old_bytes_back(pending, file, journal)
                file.truncate(journal.size)
                sync_open(file)
                os.utime(path, ns=(path.stat().st_atime_ns, journal.mtime_ns))
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


def _is_mixture(first_page: bytes, journal: _Journal) -> bool:
    """Whether the file begins as it did before or after the change, or is on its way from one to the other."""
    versions = [base64.b64decode(journal.first_page)]
    if journal.after is not None:
        versions.append(base64.b64decode(journal.after["first_page"]))
    if len(first_page) < min(len(version) for version in versions):
        return False
    return all(
        any(first_page[i : i + _SECTOR] == version[i : i + _SECTOR] for version in versions)
        for i in range(0, min(len(version) for version in versions), _SECTOR)
    )


def _copy_old_bytes_back(pending: Path, file: BinaryIO, journal: _Journal) -> None:
    with pending.open("rb") as source:
        source.readline()
        source.readline()
        for offset, length in journal.ranges:
            file.seek(offset)
            while length:
                block = source.read(min(length, _BLOCK))
                file.write(block)
                length -= len(block)


def _still_as_written(path: Path, journal: _Journal) -> bool:
    after = journal.after
    if after is None or path.stat().st_size != after["size"]:
        return False
    with path.open("rb") as file:
        return _digest(file, journal.written()) == after["sha256"]


def _forget_stale(path: Path) -> None:
    """A journal of a file that was changed since is of no use."""
    journals = kept_journals(path)
    if journals and not _still_as_written(path, _read_journal(journals[-1])):
        forget(path)


def _blocks(file: BinaryIO, ranges: list[tuple[int, int]]) -> Iterator[bytes]:
    for offset, length in ranges:
        file.seek(offset)
        while length and (block := file.read(min(length, _BLOCK))):
            yield block
            length -= len(block)


def _first_page(file: BinaryIO) -> str:
    file.seek(0)
    return base64.b64encode(file.read(_PAGE)).decode()


def _digest(file: BinaryIO, ranges: list[tuple[int, int]]) -> str:
    digest = hashlib.sha256()
    for block in _blocks(file, ranges):
        digest.update(block)
    return digest.hexdigest()


def _refuse_if_open_elsewhere(file: BinaryIO, path: Path) -> None:
    """HDF5 locks a file that it has open, where the system and the user let it."""
    try:
        import fcntl
    except ImportError:  # Windows does not let two programs write to one file
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(f"{path} is open in another program: close it there") from None
    except OSError:  # a file system without locks
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_UN)
