"""Arrays with a row per ROI, which are read and written some rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Protocol

import numpy as np

#: Values (ROIs times frames) that are worked on at a time.
BLOCK_VALUES = 8_000_000


class Rows(Protocol):
    """Something like an array whose rows are ROIs; they may be read from the disk when they are asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Numbers of ROIs and frames, or of ROIs alone."""

    @property
    def dtype(self) -> np.dtype:
        """Type of the values."""

    def __getitem__(self, rows: Any) -> np.ndarray:
        """The values of some ROIs, given as a slice."""


class ComputedRows:
    """An array whose rows are computed when they are asked for.

    Parameters
    ----------
    shape : tuple of int
        Numbers of ROIs and frames, or of ROIs alone.
    compute : callable
        Called with a slice that names the first ROI and the end; gives their rows.
    dtype : numpy.dtype or type
        Type of the values.

    Examples
    --------
    >>> squares = ComputedRows((4,), lambda rows: np.arange(rows.start, rows.stop) ** 2, int)
    >>> squares[1:3]
    array([1, 4])
    """

    def __init__(self, shape: tuple[int, ...], compute: Callable[[slice], np.ndarray], dtype: Any = np.float32):
        self.shape = tuple(int(length) for length in shape)
        self.dtype = np.dtype(dtype)
        self._compute = compute

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> np.ndarray:
        """Some rows, as of an array; columns may follow."""
        rows, *columns = index if isinstance(index, tuple) else (index,)
        numbers = np.arange(len(self))[rows]
        if numbers.ndim == 0:
            row = self._compute(slice(int(numbers), int(numbers) + 1))[0]
            return row[tuple(columns)] if columns else row
        place = (slice(None), *columns)
        parts = [np.empty((0, *self.shape[1:]), self.dtype)[place]]
        for run in np.split(numbers, np.flatnonzero(np.diff(numbers) != 1) + 1) if numbers.size else []:
            blocks = row_blocks(len(run), *self.shape[1:]) if columns else [slice(0, len(run))]
            for block in blocks:
                parts.append(self._compute(slice(int(run[0]) + block.start, int(run[0]) + block.stop))[place])
        return parts[-1] if len(parts) < 3 else np.concatenate(parts)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype=dtype)


def computed(values: Rows, compute: Callable[[slice, np.ndarray], np.ndarray]) -> Rows:
    """What is computed from values, ROI by ROI: at once if they are in memory, else when it is asked for.

    Parameters
    ----------
    values : array-like, shape (n_rois, n_frames)
        What it is computed from.
    compute : callable
        Called with a slice of rows and with these rows of `values`, which it may change.
    """
    if isinstance(values, np.ndarray):
        return compute(slice(None), values)
    return ComputedRows(values.shape, lambda rows: compute(rows, np.asarray(values[rows])))


def row_blocks(n_rois: int, n_frames: int = 1) -> Iterator[slice]:
    """Slices of ROIs that are worked on together; in order, all ROIs."""
    at_once = max(1, BLOCK_VALUES // max(n_frames, 1))
    return (slice(first, min(first + at_once, n_rois)) for first in range(0, n_rois, at_once))


def blocks_of(values: Rows) -> Iterator[tuple[slice, np.ndarray]]:
    """The values of an array, some ROIs at a time, with the slice of ROIs."""
    n_frames = values.shape[1] if len(values.shape) > 1 else 1
    return ((rows, np.asarray(values[rows])) for rows in row_blocks(values.shape[0], n_frames))


def write_npy(file: BinaryIO, values: Rows, factor: float | None = None) -> None:
    """Write an array as ``.npy`` of single precision, some rows at a time.

    Parameters
    ----------
    file : binary file
        Open for writing.
    values : array-like, shape (n_rois, ...)
        What to write.
    factor : float, optional
        Multiply by this, and write 0 where there is no value.
    """
    header = {"descr": "<f4", "fortran_order": False, "shape": tuple(int(length) for length in values.shape)}
    np.lib.format.write_array_header_1_0(file, header)
    for _, block in blocks_of(values):
        with np.errstate(over="ignore"):  # what is too large becomes infinite
            block = np.ascontiguousarray(block, dtype="<f4")
        file.write((block if factor is None else np.nan_to_num(block, nan=0.0) * np.float32(factor)).tobytes())
