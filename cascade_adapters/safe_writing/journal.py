"""Undo journals: hidden files beside a file from which a change to it can be taken back, byte for byte.

HDF5 appends what is added, and changes a few pages of what was there: the tables of contents. The old bytes of those
pages, and the old size, make the file again what it was. A journal also has the digest of everything that was written:
if that is no longer what the file holds, somebody else has changed the file since, and the journal does not fit.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import BinaryIO

from cascade_adapters.safe_writing import names
from cascade_adapters.safe_writing.fsync import sync_folder, sync_open
from cascade_adapters.safe_writing.overlay import OverlayFile
from cascade_engine.errors import InputError
from cascade_engine.file_formats.json_text import parse_json

_MAGIC = b"cascade undo journal 1\n"

#: Bytes at the beginning of a file that are compared with what they were.
_PAGE = 4096

#: What a disk writes as one.
_SECTOR = 512

_BLOCK = 1 << 20


@dataclass
class After:
    """A file as it is after a change.

    Attributes
    ----------
    size : int
        Size in bytes.
    first_page : str
        The file's first bytes, base64.
    sha256 : str
        Of everything that was written.
    """

    size: int
    first_page: str
    sha256: str


@dataclass
class Journal:
    """What is needed to take a change back; the old bytes follow it in the journal's file.

    Attributes
    ----------
    size, mtime_ns : int
        Size (bytes) and time of modification before the change.
    first_page : str
        The file's first bytes before the change, base64: appending to an HDF5 file changes them.
    ranges : list of (int, int)
        Offset and length of the old bytes.
    after : After or None
        The file after the change; None as long as old bytes are untouched.
    old_sha256 : str
        Of the old bytes.
    """

    size: int
    mtime_ns: int
    first_page: str
    ranges: list[tuple[int, int]] = field(default_factory=list)
    after: After | None = None
    old_sha256: str = ""

    @classmethod
    def of(cls, file: BinaryIO) -> Journal:
        """The journal of a file that is about to be changed."""
        status = os.fstat(file.fileno())
        return cls(status.st_size, status.st_mtime_ns, _first_page(file))

    def record(self, overlay: OverlayFile) -> None:
        """Take in what was written; the file itself has still its old bytes."""
        overlay.check()
        self.ranges = overlay.changed()
        self.after = After(overlay.size, _first_page(overlay), "")
        self.after.sha256 = _digest(overlay, self._written(self.after))
        if overlay.size < overlay.old_size:
            self.ranges.append((overlay.size, overlay.old_size - overlay.size))

    def write(self, place: Path, file: BinaryIO) -> None:
        """Write the journal, with the old bytes of a file that has them still."""
        self.old_sha256 = _digest(file, self.ranges)
        part = names.journal_part(place)
        with part.open("wb") as target:
            target.write(_MAGIC + json.dumps(asdict(self)).encode() + b"\n")
            for block in _blocks(file, self.ranges):
                target.write(block)
            sync_open(target)
        os.replace(part, place)
        sync_folder(place.parent)

    @classmethod
    def read(cls, place: Path) -> Journal:
        """Read a journal; `InputError` if it is damaged."""
        try:
            with place.open("rb") as file:
                if file.readline(len(_MAGIC)) != _MAGIC:
                    raise ValueError
                content = parse_json(file.readline())
                after = content.pop("after")
                journal = cls(**content, after=None if after is None else After(**after))
                digest = hashlib.sha256()
                while block := file.read(_BLOCK):
                    digest.update(block)
            for page in (journal.first_page, *([] if journal.after is None else [journal.after.first_page])):
                base64.b64decode(page, validate=True)
            if digest.hexdigest() != journal.old_sha256:
                raise ValueError
        except (ValueError, TypeError, KeyError, AttributeError, OSError):
            raise InputError(
                f"{place} is damaged: what was changed cannot be rolled back; remove it if the file beside it can be "
                "read"
            ) from None
        return journal

    def fits(self, path: Path) -> bool:
        """Whether what was written into a file is there, as it was written."""
        if self.after is None or path.stat().st_size != self.after.size:
            return False
        with path.open("rb") as file:
            return _digest(file, self._written(self.after)) == self.after.sha256

    def put_back(self, place: Path, path: Path) -> None:
        """Make a file what it was, with the old bytes of the journal at `place`; may be killed and called again."""
        with path.open("r+b") as file:
            with place.open("rb") as source:
                source.readline()
                source.readline()
                for offset, length in self.ranges:
                    file.seek(offset)
                    while length:
                        block = source.read(min(length, _BLOCK))
                        file.write(block)
                        length -= len(block)
            file.truncate(self.size)
            sync_open(file)
        os.utime(path, ns=(path.stat().st_atime_ns, self.mtime_ns))

    def is_mixture(self, first_page: bytes) -> bool:
        """Whether a file begins as before or after the change, or is on its way from one to the other."""
        versions = [base64.b64decode(self.first_page)]
        if self.after is not None:
            versions.append(base64.b64decode(self.after.first_page))
        length = min(len(version) for version in versions)
        return len(first_page) >= length and all(
            any(first_page[i : i + _SECTOR] == version[i : i + _SECTOR] for version in versions)
            for i in range(0, length, _SECTOR)
        )

    def _written(self, after: After) -> list[tuple[int, int]]:
        """Offset and length of everything that was written."""
        overwritten = [(offset, length) for offset, length in self.ranges if offset < after.size]
        return [*overwritten, (self.size, max(0, after.size - self.size))]


def kept_journals(path: Path) -> list[Path]:
    """Journals of the changes that can be taken back, oldest first."""
    path = path.resolve()
    found: list[Path] = []
    while names.journal(path, len(found) + 1).exists():
        found.append(names.journal(path, len(found) + 1))
    return found


def forget(path: Path) -> None:
    """Remove all journals that are kept: the changes cannot be taken back any more."""
    for journal in reversed(kept_journals(path)):
        journal.unlink()


def first_page(path: Path) -> bytes:
    """As many of a file's first bytes as journals compare."""
    with path.open("rb") as file:
        return file.read(_PAGE)


def _blocks(file: BinaryIO | OverlayFile, ranges: list[tuple[int, int]]) -> Iterator[bytes]:
    for offset, length in ranges:
        file.seek(offset)
        while length and (block := file.read(min(length, _BLOCK))):
            yield block
            length -= len(block)


def _first_page(file: BinaryIO | OverlayFile) -> str:
    file.seek(0)
    return base64.b64encode(file.read(_PAGE) or b"").decode()


def _digest(file: BinaryIO | OverlayFile, ranges: list[tuple[int, int]]) -> str:
    digest = hashlib.sha256()
    for block in _blocks(file, ranges):
        digest.update(block)
    return digest.hexdigest()
