"""Traces that a file holds frame by frame, read ROI by ROI without all of them in memory."""

from __future__ import annotations

import math
import os
import weakref
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from cascade_adapters.results.rows import Rows
from cascade_adapters.safe_writing.spool import Spool
from cascade_engine.file_formats.matlab_v73 import MatrixOnDisk
from cascade_engine.file_formats.npy import ArrayOnDisk

#: Arrays of up to so many bytes are read whole; of larger ones, so much is in memory at a time.
BLOCK_BYTES = 1 << 26


class TransposedRows:
    """An array of frames x ROIs as one of ROIs x frames.

    A large one is read once, some frames at a time, and waits on the disk in a form that can be read by ROIs. That copy
    goes with the object, or with the process.

    Parameters
    ----------
    frames : array-like, shape (n_frames, n_rois)
        Read by slices of frames, in order.
    folder : Path or None
        Where the copy lies; None: in memory.

    Attributes
    ----------
    frames : array-like, shape (n_frames, n_rois)
        As given.
    shape : tuple of int
        Numbers of ROIs and frames.
    dtype : numpy.dtype
        Type of the values.

    Examples
    --------
    >>> rows = TransposedRows(np.arange(6).reshape(3, 2), None)
    >>> rows[1:2]
    array([[1, 3, 5]])
    """

    ndim = 2

    def __init__(self, frames: Rows, folder: Path | None):
        self.frames, self._folder = frames, folder
        n_frames, n_rois = frames.shape
        self.shape, self.dtype = (int(n_rois), int(n_frames)), np.dtype(frames.dtype)
        self._copy: _Tiles | np.ndarray | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of the values."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> np.ndarray:
        """Read ROIs: one, a slice, or several by their numbers or a mask; a slice of frames may follow."""
        rows, *columns = index if isinstance(index, tuple) else (index,)
        if self._copy is None and columns and isinstance(columns[0], slice):
            first, last, step = columns[0].indices(self.shape[1])
            if step == 1 and (last - first) * self.shape[0] * self.dtype.itemsize <= BLOCK_BYTES:
                return np.asarray(self.frames[first:last]).T[rows]
        if self._copy is None:
            self._copy = self._read()
        if isinstance(self._copy, np.ndarray):
            return self._copy[index]
        numbers = np.arange(len(self))[rows]
        frames = range(self.shape[1])[columns[0]] if columns and isinstance(columns[0], slice) else range(self.shape[1])
        if numbers.ndim == 0:
            return self._copy.read(int(numbers), int(numbers) + 1, frames)[0]
        found = np.empty((len(numbers), len(frames)), self.dtype)
        starts = [0, *(np.flatnonzero(np.diff(numbers) != 1) + 1).tolist(), len(numbers)]
        for start, end in pairwise(starts):
            if end > start:
                found[start:end] = self._copy.read(int(numbers[start]), int(numbers[end - 1]) + 1, frames)
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype=dtype)

    def _read(self) -> _Tiles | np.ndarray:
        if self.nbytes <= BLOCK_BYTES or self._folder is None:
            return np.ascontiguousarray(np.asarray(self.frames[:]).T)
        return _Tiles(self.frames, self.shape, self.dtype, self._folder)


def by_rois(array: ArrayOnDisk | MatrixOnDisk, folder: Path | None) -> ArrayOnDisk | MatrixOnDisk | TransposedRows:
    """A matrix of ROIs x frames in a file, to be read by ROIs whatever its order there; see `TransposedRows`."""
    return TransposedRows(array.transposed(), folder) if array.is_by_columns else array


class _Tiles:
    """A copy on the disk: one tile after another, each some frames of all ROIs, row by row.

    Both writing it and reading some ROIs of it go through the file in few, large steps.
    """

    def __init__(self, frames: Rows, shape: tuple[int, int], dtype: np.dtype, folder: Path):
        self._n_rois, self._n_frames = shape
        self._width = max(1, BLOCK_BYTES // (self._n_rois * dtype.itemsize))
        starts = range(0, self._n_frames, self._width)
        spool = Spool.beside(folder)
        spool.__enter__()
        weakref.finalize(self, _close, spool, os.getpid())
        copy = spool.array("traces", (len(starts) * self._n_rois, self._width), dtype)
        for first in starts:
            tile = np.zeros((self._n_rois, self._width), dtype)
            block = np.asarray(frames[first : min(first + self._width, self._n_frames)])
            tile[:, : len(block)] = block.T
            copy.append(tile)
        self._rows, self._starts = copy.finish(), starts

    def read(self, start: int, end: int, frames: range) -> np.ndarray:
        """ROIs from number `start` to `end`, at frames that follow each other."""
        assert frames.step == 1
        found = np.empty((end - start, len(frames)), self._rows.dtype)
        for tile, first in enumerate(self._starts):
            wanted = range(max(first, frames.start), min(first + self._width, frames.stop))
            if wanted:
                place = tile * self._n_rois
                part = self._rows[place + start : place + end, wanted.start - first : wanted.stop - first]
                found[:, wanted.start - frames.start : wanted.stop - frames.start] = part
        return found


def _close(spool: Spool, process: int) -> None:
    if os.getpid() == process:  # not in a forked one
        spool.__exit__(None, None, None)
