"""Remembering inside an HDF5 file how it was before, byte by byte.

HDF5 appends what is added, and changes a few pages of what was there: the tables of contents. A copy of those pages,
kept in a dataset of its own, is all that is needed to make the file what it was, to the last byte. A seal over the
whole file tells whether somebody else has written to it since; then its pages no longer mean what they did, and the
additions have to be taken out by HDF5 itself.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path

_PAGE = 4096
_READ = 1024 * _PAGE
_SEAL = hashlib.sha256().digest_size
_HEADER = struct.Struct("<QQQ")  # size of the original, number of pages, length of what follows


@dataclass
class Original:
    """A file as it was: what lies in the file now, except for some pages.

    Attributes
    ----------
    path : Path
        The file now.
    size : int
        Size of the original in bytes.
    pages : dict of int to bytes
        Content of the pages that are different now, by their number.
    """

    path: Path
    size: int
    pages: dict[int, bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, path: Path, name: str) -> Original | None:
        """The original of a file, from what is remembered in its dataset `name`; None if that holds no longer."""
        place = _place(path, name)
        if place is None:
            return None
        with path.open("rb") as file:
            file.seek(place[0])
            stored = file.read(place[1])
        if stored[:_SEAL] != _digest(path, place[0]):
            return None
        size, n_pages, length = _HEADER.unpack_from(stored, _SEAL)
        content = zlib.decompress(stored[_SEAL + _HEADER.size :][:length])
        pages, start = {}, 8 * n_pages
        for number in struct.unpack_from(f"<{n_pages}Q", content):
            length = min(_PAGE, size - number * _PAGE)
            pages[number] = content[start : start + length]
            start += length
        return cls(path, size, pages)

    def restore(self, copy: Path) -> None:
        """Make a copy of the file now what it was."""
        with copy.open("r+b") as file:
            file.truncate(self.size)
            for number, page in self.pages.items():
                file.seek(number * _PAGE)
                file.write(page)

    def remember(self, changed: Path, name: str) -> None:
        """Store in a new dataset `name` of a changed copy what makes the original of it again."""
        import h5py
        import numpy as np

        different: dict[int, bytes] = {}
        while True:
            different |= self._different_pages(changed)
            numbers = struct.pack(f"<{len(different)}Q", *different)
            packed = zlib.compress(numbers + b"".join(different.values()))
            stored = bytes(_SEAL) + _HEADER.pack(self.size, len(different), len(packed)) + packed
            with h5py.File(changed, "r+") as file:
                if name in file:
                    del file[name]
                file.create_dataset(name, data=np.frombuffer(stored, np.uint8))
            if self._different_pages(changed).keys() <= different.keys():
                break
        place = _place(changed, name)
        assert place is not None and place[1] == len(stored)
        digest = _digest(changed, place[0])
        with changed.open("r+b") as file:
            file.seek(place[0])
            file.write(digest)

    def _different_pages(self, changed: Path) -> dict[int, bytes]:
        """Content in the original of the pages that are different in another file."""
        found = {}
        with self.path.open("rb") as now, changed.open("rb") as other:
            for start in range(0, self.size, _READ):
                length = min(_READ, self.size - start)
                ours, theirs = bytearray(now.read(length)), other.read(length)
                for number, page in self.pages.items():
                    if start <= number * _PAGE < start + length:
                        at = number * _PAGE - start
                        ours[at : at + len(page)] = page
                if ours == theirs:
                    continue
                for at in range(0, length, _PAGE):
                    if ours[at : at + _PAGE] != theirs[at : at + _PAGE]:
                        found[(start + at) // _PAGE] = bytes(ours[at : at + _PAGE])
        return found


def _place(path: Path, name: str) -> tuple[int, int] | None:
    """Where in the file the content of a dataset lies, and its length in bytes."""
    import h5py

    with h5py.File(path, "r") as file:
        dataset = file.get(name)
        if not isinstance(dataset, h5py.Dataset) or dataset.dtype != "u1" or dataset.ndim != 1:
            return None
        offset = dataset.id.get_offset()  # None unless its content lies in one piece
        return None if offset is None else (offset, dataset.size)


def _digest(path: Path, seal: int) -> bytes:
    """SHA-256 of a file, the place of the seal itself read as zeros."""
    digest, position = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(_READ):
            start, end = max(seal - position, 0), min(seal + _SEAL - position, len(block))
            if start < end:
                block = block[:start] + bytes(end - start) + block[end:]
            digest.update(block)
            position += len(block)
    return digest.digest()
