"""Results that wait on the disk until they are written, so that they need not fit into memory."""

from __future__ import annotations

import math
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np

from cascade_adapters.safe_writing import names
from cascade_adapters.safe_writing.lock_file import LockFile
from cascade_engine.errors import InputError
from cascade_engine.file_formats.npy import ArrayOnDisk


class Spool:
    """A hidden folder for arrays that are written row by row; it goes when the block ends.

    It is kept locked, so that the next run beside the same files removes what killed runs have left, and nothing else.

    Parameters
    ----------
    folder : Path or None
        Where the folder is made; if that is not possible, it is made among the system's temporary files. None: the
        arrays stay in memory.
    what : str
        What waits there, for messages.

    Examples
    --------
    >>> with Spool.beside(Path(tempfile.mkdtemp())) as spool:
    ...     rates = spool.array("rates", (4, 3), "float32")
    ...     for first in (0, 2):
    ...         rates.append(np.full((2, 3), first))
    ...     rates.finish()[1:3]
    array([[0., 0., 0.],
           [2., 2., 2.]], dtype=float32)
    """

    def __init__(self, folder: Path | None, what: str = "results"):
        self._parent, self._what = folder, what
        self._folder: Path | None = None
        self._lock: LockFile | None = None
        self._arrays: list[SpooledArray | SpooledMatrix] = []

    @classmethod
    def beside(cls, folder: Path | None, what: str = "results") -> Spool:
        """A spool beside the files in a folder; `what` waits there, for messages."""
        return cls(folder, what)

    def array(self, name: str, shape: tuple[int, ...], dtype: Any) -> SpooledArray | ArrayInMemory:
        """An array that rows can be appended to.

        Parameters
        ----------
        name : str
            Name of the array; the file is ``NAME.npy``.
        shape : tuple of int
            Shape when it is complete: rows first.
        dtype : numpy.dtype or str
            Type of the values.

        Raises
        ------
        InputError
            If there is no room for it.
        """
        if self._folder is None:
            assert self._parent is None, "a spool is used within its block"
            return ArrayInMemory(shape, np.dtype(dtype))
        self._check_room(math.prod(shape) * np.dtype(dtype).itemsize)
        array = SpooledArray(self._folder / f"{name}.npy", shape, np.dtype(dtype))
        self._arrays.append(array)
        return array

    def matrix(self, name: str, shape: tuple[int, int], dtype: Any) -> SpooledMatrix | MatrixInMemory:
        """A matrix of which blocks can be written in any order; parameters as of `array`."""
        if self._folder is None:
            assert self._parent is None, "a spool is used within its block"
            return MatrixInMemory(shape, np.dtype(dtype))
        self._check_room(math.prod(shape) * np.dtype(dtype).itemsize)
        matrix = SpooledMatrix(self._folder / f"{name}.npy", shape, np.dtype(dtype))
        self._arrays.append(matrix)
        return matrix

    def __enter__(self) -> Spool:
        if self._parent is not None:
            for parent in (self._parent, Path(tempfile.gettempdir())):
                remove_leftovers(parent)
                try:
                    self._make_folder(parent)
                    return self
                except OSError as error:
                    failure = error
            raise InputError(f"{self._what} cannot wait in {parent}: {failure.strerror or failure}") from failure
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None):
        for array in self._arrays:
            with suppress(InputError):
                array.close()
        if self._folder is not None and self._lock is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._lock.release()
            self._folder = self._lock = None

    def _make_folder(self, parent: Path) -> None:
        folder = parent / (names.spool_prefix() + secrets.token_hex(8))
        lock = LockFile(names.spool_lock(folder))
        if not lock.acquire():  # before there is a folder, or it could be taken for a leftover
            raise OSError(f"{lock.path} cannot be locked")
        try:
            folder.mkdir(mode=0o700)
        except BaseException:
            lock.release()
            raise
        self._folder, self._lock = folder, lock

    def _check_room(self, n_bytes: int) -> None:
        assert self._folder is not None
        needed = n_bytes + sum(array.n_missing_bytes for array in self._arrays)
        free = shutil.disk_usage(self._folder).free
        if needed > free:
            raise InputError(
                f"{self._folder.parent} has {free / 1e9:.1f} GB free, but {self._what} of {needed / 1e9:.1f} GB have "
                "to wait there until they are written: make room"
            )


def remove_leftovers(folder: Path) -> None:
    """Remove from a folder what killed runs of this computer have left waiting there; never that of a live run."""
    for spool in names.spools(folder):
        lock = LockFile(names.spool_lock(spool))
        try:
            if lock.acquire():
                shutil.rmtree(spool, ignore_errors=True)
                lock.release()
        except OSError:  # somebody else's
            continue


class WaitingArray(ArrayOnDisk):
    """A complete array in a spool: its file may be moved to where results go, and cannot be read from then on."""


class SpooledArray:
    """An array in a file, to which rows are appended in order.

    Parameters
    ----------
    path : Path
        The file.
    shape : tuple of int
        Shape when it is complete.
    dtype : numpy.dtype
        Type of the values.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype):
        self.path, self.shape, self.dtype = path, tuple(int(length) for length in shape), dtype
        self._n_rows = 0
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": self.shape}
        try:
            self._file: BinaryIO | None = path.open("xb")
            np.lib.format.write_array_header_1_0(self._file, header)
        except OSError as error:
            raise self._failure(error) from error

    @property
    def n_missing_bytes(self) -> int:
        """Bytes of the rows that have not been appended yet."""
        return (self.shape[0] - self._n_rows) * math.prod(self.shape[1:]) * self.dtype.itemsize

    def append(self, rows: np.ndarray) -> None:
        """Write the next rows.

        Raises
        ------
        InputError
            If the disk is full.
        """
        assert self._file is not None and rows.shape[1:] == self.shape[1:]
        assert self._n_rows + len(rows) <= self.shape[0]
        try:
            self._file.write(np.ascontiguousarray(rows, dtype=self.dtype).reshape(-1).view(np.uint8).data)
        except OSError as error:
            raise self._failure(error) from error
        self._n_rows += len(rows)

    def finish(self) -> WaitingArray:
        """The complete array, to be read by rows as long as the spool is open."""
        assert self._n_rows == self.shape[0], f"{self.path.name} has {self._n_rows} of {self.shape[0]} rows"
        self.close()
        return WaitingArray(self.path)

    def close(self) -> None:
        """Close the file."""
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError as error:
                raise self._failure(error) from error

    def _failure(self, error: OSError) -> InputError:
        return InputError(f"results cannot wait in {self.path.parent.parent}: {error.strerror or error}")


class SpooledMatrix:
    """A matrix in a file, of which blocks are written in any order.

    Parameters
    ----------
    path : Path
        The file.
    shape : tuple of int
        Rows and columns.
    dtype : numpy.dtype
        Type of the values.
    """

    def __init__(self, path: Path, shape: tuple[int, int], dtype: np.dtype):
        self.path, self.dtype = path, dtype
        self.shape = (int(shape[0]), int(shape[1]))
        self._n_missing = math.prod(self.shape)
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": self.shape}
        with self._explained():
            self._file: BinaryIO | None = path.open("xb", buffering=0)
            np.lib.format.write_array_header_1_0(self._file, header)
            self._start = self._file.tell()

    @property
    def n_missing_bytes(self) -> int:
        """Bytes of the values that have not been written yet."""
        return max(0, self._n_missing) * self.dtype.itemsize

    def write(self, rows: slice, columns: slice, block: np.ndarray) -> None:
        """Write a block.

        Raises
        ------
        InputError
            If the disk is full.
        """
        assert self._file is not None
        size, n_columns = self.dtype.itemsize, self.shape[1]
        block = np.ascontiguousarray(block, dtype=self.dtype)
        lines = block.reshape(1, -1) if block.shape[1] == n_columns else block
        with self._explained():
            for number, line in enumerate(lines, rows.start):
                self._file.seek(self._start + (number * n_columns + columns.start) * size)
                view = line.view(np.uint8).data
                while view:
                    view = view[self._file.write(view) :]
        self._n_missing -= block.size

    def finish(self) -> ArrayOnDisk:
        """The complete matrix, to be read by rows as long as the spool is open."""
        assert self._n_missing == 0, f"{self.path.name} lacks {self._n_missing} values"
        self.close()
        return ArrayOnDisk(self.path)

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
            raise InputError(f"values cannot wait in {self.path.parent.parent}: {error.strerror or error}") from error


class MatrixInMemory:
    """The same in memory."""

    def __init__(self, shape: tuple[int, int], dtype: np.dtype):
        self._values = np.empty(shape, dtype)

    def write(self, rows: slice, columns: slice, block: np.ndarray) -> None:
        """Set a block."""
        self._values[rows, columns] = block

    def finish(self) -> np.ndarray:
        """The complete matrix."""
        return self._values


class ArrayInMemory:
    """The same in memory."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype):
        self._values, self._n_rows = np.empty(shape, dtype), 0

    def append(self, rows: np.ndarray) -> None:
        """Set the next rows."""
        self._values[self._n_rows : self._n_rows + len(rows)] = rows
        self._n_rows += len(rows)

    def finish(self) -> np.ndarray:
        """The complete array."""
        assert self._n_rows == len(self._values)
        return self._values
