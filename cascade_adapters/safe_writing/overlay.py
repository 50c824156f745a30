"""A file that can be written to without changing it, until the changes are applied."""

from __future__ import annotations

import io
import os
from typing import BinaryIO

from cascade_adapters.safe_writing.fsync import sync_open

_PAGE = 4096

_EVERYTHING = 1 << 63


class OverlayFile(io.RawIOBase):
    """A file whose old bytes stay as they are until `apply`; appended bytes are written at once.

    A full disk is reported by `check`, not when it happens: HDF5 does not survive a file object that fails. What cannot
    be written until then is kept in memory.

    Parameters
    ----------
    file : binary file
        Open for reading and writing, without a buffer.

    Attributes
    ----------
    old_size, size : int
        Size in bytes before, and as it will be.
    """

    def __init__(self, file: BinaryIO):
        self._file = file
        self.old_size = self.size = file.seek(0, os.SEEK_END)
        #: Everything below is changed in memory, by pages.
        self._in_memory = self.old_size
        self._pages: dict[int, bytearray] = {}
        self._position = 0
        self._error: OSError | None = None

    def readable(self) -> bool:
        """Always."""
        return True

    def writable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """Position in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position in bytes."""
        self._position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        return self._position

    def readinto(self, buffer) -> int:
        """Read bytes as they will be once everything is written."""
        view = memoryview(buffer).cast("B")
        first, last = self._position, min(self._position + len(view), self.size)
        if last <= first:
            return 0
        view[: last - first] = self._read_file(first, last - first)
        for page in range(first // _PAGE, (min(last, self._in_memory) - 1) // _PAGE + 1):
            if page in self._pages:
                start = page * _PAGE
                low, high = max(first, start), min(last, start + len(self._pages[page]))
                view[low - first : high - first] = self._pages[page][low - start : high - start]
        self._position = last
        return last - first

    def write(self, data) -> int:
        """Write behind the old end, or into memory."""
        view = memoryview(data).cast("B")
        self._grow(self._position)
        first, last = self._position, self._position + len(view)
        inside = max(0, min(last, self._in_memory) - first)
        if inside < len(view):
            try:
                self._write_file(first + inside, view[inside:])
            except OSError as error:
                self._error = error
                self._in_memory, inside = _EVERYTHING, len(view)
        self._write_pages(first, view[:inside])
        self._position, self.size = last, max(self.size, last)
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        """Set the size in bytes."""
        size = self._position if size is None else size
        self._grow(size)
        try:
            self._file.truncate(max(size, self.old_size))
        except OSError as error:
            self._error = error
        self.size = size
        return size

    def check(self) -> None:
        """Raise the `OSError` of whatever has failed, and make sure that what was appended is on the disk."""
        if self._error is not None:
            raise self._error
        sync_open(self._file)

    def changed(self) -> list[tuple[int, int]]:
        """Offset and length in bytes of what is changed in memory and will be there."""
        runs: list[tuple[int, int]] = []
        for page in self._changed_pages():
            start = page * _PAGE
            stop = min(start + len(self._pages[page]), self.size)
            if runs and sum(runs[-1]) == start:
                runs[-1] = (runs[-1][0], stop - runs[-1][0])
            else:
                runs.append((start, stop - start))
        return runs

    def apply(self) -> None:
        """Make all changes real."""
        for page in self._changed_pages():
            start = page * _PAGE
            self._write_file(start, memoryview(self._pages[page])[: self.size - start])
        self._file.truncate(self.size)
        sync_open(self._file)

    def _changed_pages(self) -> list[int]:
        return sorted(page for page in self._pages if page * _PAGE < self.size)

    def _write_pages(self, first: int, view: memoryview) -> None:
        position = first
        while position < first + len(view):
            page, within = divmod(position, _PAGE)
            start = page * _PAGE
            content = self._pages.setdefault(page, bytearray())
            known = start + len(content)
            content += self._read_file(known, max(0, min(start + _PAGE, self._in_memory) - known))
            length = min(len(content) - within, first + len(view) - position)
            content[within : within + length] = view[position - first : position - first + length]
            position += length

    def _read_file(self, start: int, length: int) -> bytes:
        """What the file itself holds, and zeros behind its end."""
        found = b""
        try:
            self._file.seek(start)
            while len(found) < length and (part := self._file.read(length - len(found))):
                found += part
        except OSError as error:
            self._error = error
        return found.ljust(length, b"\0")

    def _write_file(self, start: int, view: memoryview) -> None:
        self._file.seek(start)
        while view:
            view = view[self._file.write(view) :]

    def _grow(self, size: int) -> None:
        """Old bytes that had been cut off do not come back."""
        if size > self.size and self.size < self.old_size:
            self._write_pages(self.size, memoryview(bytes(min(size, self.old_size) - self.size)))
        self.size = max(self.size, size)
