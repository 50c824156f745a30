"""Results that wait on the disk until they are written, so that they need not fit into memory."""

from __future__ import annotations

import math
import os
import secrets
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from cascade_adapters.safe_writing import names
from cascade_adapters.safe_writing.interruption import held_back
from cascade_adapters.safe_writing.lock_file import LockFile
from cascade_adapters.safe_writing.spooled_array import ArrayInMemory, SpooledArray
from cascade_engine.errors import InputError


class Spool:
    """A hidden folder for arrays that are written part by part; it goes when the block ends.

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
        self._arrays: list[SpooledArray] = []
        self._process = os.getpid()

    @classmethod
    def beside(cls, folder: Path | None, what: str = "results") -> Spool:
        """A spool beside the files in a folder; `what` waits there, for messages."""
        return cls(folder, what)

    def array(self, name: str, shape: tuple[int, ...], dtype: Any) -> SpooledArray | ArrayInMemory:
        """An array to be written: rows in order, or blocks in any order.

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
        array = SpooledArray(self._folder / f"{name}.npy", shape, np.dtype(dtype), self._what)
        self._arrays.append(array)
        return array

    def __enter__(self) -> Spool:
        if self._parent is not None:
            for parent in (self._parent, Path(tempfile.gettempdir())):
                remove_leftovers(parent)
                try:
                    with held_back():
                        self._make_folder(parent)
                    return self
                except OSError as error:
                    failure = error
            raise InputError(f"{self._what} cannot wait in {parent}: {failure.strerror or failure}") from failure
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None):
        with held_back():
            self._remove()

    def __del__(self) -> None:
        """Remove the folder of a spool whose block a signal kept from beginning."""
        if self._process == os.getpid():
            self._remove()

    def _remove(self) -> None:
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
            with held_back():
                if not lock.acquire():
                    continue
                shutil.rmtree(spool, ignore_errors=True)
                lock.release()
        except OSError:  # somebody else's
            continue
