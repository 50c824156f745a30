"""Arrays that are written part by part, on the disk or in memory, and then read by rows; see `safe_writing.spool`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from cascade_engine.errors import InputError
from cascade_engine.file_formats.npy import ArrayOnDisk


class WaitingArray(ArrayOnDisk):
    """A complete array in a spool: its file may be moved to where results go, and cannot be read from then on."""


class SpooledArray:
    """An array in a file: rows are appended in order, or blocks are written in any order.

    Parameters
    ----------
    path : Path
        The file.
    shape : tuple of int
        Shape when it is complete.
    dtype : numpy.dtype
        Type of the values.
    what : str
        What it is, for messages.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype, what: str = "results"):
        self.path, self.shape, self.dtype = path, tuple(int(length) for length in shape), dtype
        self._what = what
        self._n_columns = math.prod(self.shape[1:])
        self._n_appended, self._n_missing = 0, math.prod(self.shape)
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": self.shape}
        with self._explained():
            self._file: BinaryIO | None = path.open("xb", buffering=0)
            np.lib.format.write_array_header_1_0(self._file, header)
            self._start = self._file.tell()

    @property
    def n_missing_bytes(self) -> int:
        """Bytes of the values that have not been written yet."""
        return max(0, self._n_missing) * self.dtype.itemsize

    def append(self, rows: np.ndarray) -> None:
        """Write the next rows.

        Raises
        ------
        InputError
            If the disk is full.
        """
        assert rows.shape[1:] == self.shape[1:] and self._n_appended + len(rows) <= self.shape[0]
        self.write(slice(self._n_appended, self._n_appended + len(rows)), slice(0, self._n_columns), rows)
        self._n_appended += len(rows)

    def write(self, rows: slice, columns: slice, block: np.ndarray) -> None:
        """Write a block.

        Raises
        ------
        InputError
            If the disk is full.
        """
        assert self._file is not None
        block = np.ascontiguousarray(block, dtype=self.dtype)
        is_whole = columns.start == 0 and columns.stop == self._n_columns
        lines = block.reshape(1, -1) if is_whole else block
        with self._explained():
            for number, line in enumerate(lines, rows.start):
                self._file.seek(self._start + (number * self._n_columns + columns.start) * self.dtype.itemsize)
                view = line.view(np.uint8).data
                while view:
                    view = view[self._file.write(view) :]
        self._n_missing -= block.size

    def finish(self) -> WaitingArray:
        """The complete array, to be read by rows as long as the spool is open."""
        assert self._n_missing == 0, f"{self.path.name} lacks {self._n_missing} values"
        self.close()
        return WaitingArray(self.path)

    def close(self) -> None:
        """Close the file."""
        file, self._file = self._file, None
        if file is not None:
            with self._explained():
                file.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            where = self.path.parent.parent
            raise InputError(f"{self._what} cannot wait in {where}: {error.strerror or error}") from error


class ArrayInMemory:
    """The same in memory."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype):
        self._values, self._n_appended = np.empty(shape, dtype), 0

    def append(self, rows: np.ndarray) -> None:
        """Set the next rows."""
        self._values[self._n_appended : self._n_appended + len(rows)] = rows
        self._n_appended += len(rows)

    def write(self, rows: slice, columns: slice, block: np.ndarray) -> None:
        """Set a block."""
        self._values[rows, columns] = block

    def finish(self) -> np.ndarray:
        """The complete array."""
        return self._values
