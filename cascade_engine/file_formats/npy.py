"""Reading ``.npy`` files some rows at a time, so that an array may be larger than the memory."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from cascade_engine.errors import InputError

_BLOCK_BYTES = 1 << 26

#: Files whose first axis varies fastest are read whole, not column by column, from this part of the rows on.
_LARGE_PART = 1 / 8


class ArrayOnDisk:
    """A vector or matrix of numbers in a ``.npy`` file, of which rows are read when they are asked for.

    The file is read, not mapped into memory: pages that are mapped count as memory of the process.

    Parameters
    ----------
    path : path
        The file.
    hashed : bool
        Compute the file's SHA-256 while rows are read, so that `sha256` need not read them again.

    Attributes
    ----------
    path : Path
        The file.
    shape : tuple of int
        Number of rows, and of values in each if it is a matrix.
    dtype : numpy.dtype
        Type of the values, as stored.

    Raises
    ------
    InputError
        If it is no ``.npy`` file of numbers, or is damaged; when rows are read, also if it was changed meanwhile.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "F.npy"
    >>> np.save(path, np.arange(12.0).reshape(4, 3))
    >>> array = ArrayOnDisk(path)
    >>> array.shape
    (4, 3)
    >>> array[1:3]
    array([[3., 4., 5.],
           [6., 7., 8.]])
    """

    def __init__(self, path: str | os.PathLike, hashed: bool = False):
        self.path = Path(path)
        with self._explained(), self.path.open("rb") as file:
            self.shape, self._is_by_columns, self.dtype = _read_header(file)
            self._start = file.tell()
            self._state = _state(file)
        if min(self.shape, default=-1) < 0 or len(self.shape) > 2 or self.dtype.kind not in "biufc":
            raise InputError(f"{self.path} must hold rows of numbers, but is {self.dtype} of shape {self.shape}")
        if self._start + self.nbytes > self._state[0]:
            raise InputError(
                f"{self.path} is cut off: it should have {self._start + self.nbytes} bytes, but has {self._state[0]}"
            )
        self._is_by_columns = self._is_by_columns and self.ndim > 1
        self._is_hashed = hashed
        self._begin_hash()

    @property
    def is_by_columns(self) -> bool:
        """Whether it is a matrix whose first axis varies fastest in the file, so that columns lie together."""
        return self._is_by_columns

    def transposed(self) -> ArrayOnDisk:
        """The same matrix with its rows as columns: if columns lie together in the file, they are rows now."""
        other = copy(self)
        other.shape, other._is_by_columns = self.shape[::-1], not self._is_by_columns
        other._begin_hash()
        return other

    @property
    def ndim(self) -> int:
        """1 for a vector, 2 for a matrix."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the values."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> np.ndarray:
        """Read rows: one, a slice, or several by their numbers or a mask; columns may follow, as of an array."""
        rows, *columns = index if isinstance(index, tuple) else (index,)
        numbers = np.arange(len(self))[rows]
        if numbers.ndim == 0:
            row = self[int(numbers) : int(numbers) + 1][0]
            return row[tuple(columns)] if columns else row
        if len(columns) == 1 and isinstance(columns[0], slice) and self.ndim == 2 and not self._is_by_columns:
            first, last, step = columns[0].indices(self.shape[1])
            if step == 1 and last - first < self.shape[1]:
                return self._read_parts(numbers, first, max(first, last))
        found = np.empty((len(numbers), *self.shape[1:]), self.dtype)
        starts = [0, *(np.flatnonzero(np.diff(numbers) != 1) + 1).tolist(), len(numbers)]
        with self._opened() as file:
            for start, end in pairwise(starts):
                if end > start:
                    self._read(file, int(numbers[start]), found[start:end])
        everything: tuple = (slice(None), *columns)
        return found[everything] if columns else found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype=dtype)

    def blocks(self, n_bytes: int = _BLOCK_BYTES) -> Iterator[np.ndarray]:
        """All rows in order, in arrays of about this size."""
        at_once = max(1, n_bytes // max(1, self._row_bytes))
        return (self[first : first + at_once] for first in range(0, len(self), at_once))

    def sha256(self) -> str:
        """SHA-256 of the whole file, as hexadecimal digits; rows that were read in order are not read again."""
        digest = hashlib.sha256() if self._digest is None else self._digest.copy()
        done = 0 if not self._n_hashed else self._start + self._n_hashed * self._row_bytes
        with self._opened() as file:
            file.seek(done)
            while block := file.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()

    def _begin_hash(self) -> None:
        self._digest = hashlib.sha256() if self._is_hashed and not self._is_by_columns else None
        self._n_hashed = 0

    @property
    def _row_bytes(self) -> int:
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    def _read(self, file: BinaryIO, first: int, rows: np.ndarray) -> None:
        """Read rows that follow each other, from number `first` on, as many as there are in an array."""
        if self._is_by_columns:
            self._read_columns(file, first, rows)
        else:
            file.seek(self._start + first * self._row_bytes)
            self._fill(file, rows)
            self._hash(file, first, rows)

    def _read_parts(self, numbers: np.ndarray, first: int, last: int) -> np.ndarray:
        """Columns from number `first` to `last` of some rows, and nothing else of them."""
        found = np.empty((len(numbers), last - first), self.dtype)
        with self._opened() as file:
            for row, number in zip(found, numbers.tolist(), strict=True):
                file.seek(self._start + number * self._row_bytes + first * self.dtype.itemsize)
                self._fill(file, row)
        return found

    def _read_columns(self, file: BinaryIO, first: int, rows: np.ndarray) -> None:
        n_rows, n_columns = self.shape
        if len(rows) < n_rows * _LARGE_PART:
            values = np.empty(len(rows), self.dtype)
            for column in range(n_columns):
                file.seek(self._start + (column * n_rows + first) * self.dtype.itemsize)
                self._fill(file, values)
                rows[:, column] = values
        else:
            at_once = max(1, _BLOCK_BYTES // 4 // (n_rows * self.dtype.itemsize))
            file.seek(self._start)
            for column in range(0, n_columns, at_once):
                whole = np.empty((min(at_once, n_columns - column), n_rows), self.dtype)
                self._fill(file, whole)
                rows[:, column : column + at_once] = whole[:, first : first + len(rows)].T

    def _fill(self, file: BinaryIO, values: np.ndarray) -> None:
        """Read values that follow each other in the file."""
        view = values.reshape(-1).view(np.uint8).data
        while view:
            n_read = file.readinto(view)  # type: ignore[attr-defined]
            if not n_read:
                raise InputError(f"{self.path} is cut off")
            view = view[n_read:]

    def _hash(self, file: BinaryIO, first: int, rows: np.ndarray) -> None:
        """Take rows into the running SHA-256, as far as they are the next ones."""
        end = first + len(rows)
        if self._digest is None or not first <= self._n_hashed < end:
            return
        if self._n_hashed == 0:
            file.seek(0)
            self._digest.update(file.read(self._start))
        self._digest.update(rows[self._n_hashed - first :].reshape(-1).view(np.uint8).data)
        self._n_hashed = end

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO]:
        with self._explained(), self.path.open("rb", buffering=0) as file:
            if _state(file) != self._state:
                raise InputError(f"{self.path} was changed by another program while it was read: run again")
            yield file

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InputError(f"{self.path} cannot be read: {error.strerror or error}") from error
        except _NoArray as error:
            raise InputError(f"{self.path} {error}") from None


class _NoArray(Exception):
    """A file is no array of numbers: why."""


def _read_header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether the first axis varies fastest, and type."""
    magic = file.read(np.lib.format.MAGIC_LEN)
    if magic.startswith(b"PK\x03\x04"):
        raise _NoArray("is an archive of arrays, not an array")
    readers = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
    reader = readers.get(magic[-2]) if magic[:6] == b"\x93NUMPY" and len(magic) == np.lib.format.MAGIC_LEN else None
    if reader is None:
        raise _NoArray("cannot be read as an array: it is damaged, or no .npy file of numbers")
    try:
        return reader(file)
    except Exception as error:  # a damaged header can fail in any way
        raise _NoArray(f"cannot be read as an array: {' '.join(str(error).split())}") from None


def _state(file: BinaryIO) -> tuple[int, int]:
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns
