"""Arrays of results in the form in which the input has its traces: one row per ROI, or one per frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from cascade_adapters.containers.transposed import TransposedRows
from cascade_adapters.results.rows import Rows, blocks_of


@dataclass(frozen=True)
class LaidOut:
    """An array of results, and the form that it has in a file.

    Attributes
    ----------
    values : array-like
        With a row per ROI; or one value per ROI, or a table.
    shape : tuple of int
        Shape in the file.
    by_frames : bool
        Whether the file has a row per frame where `values` has one per ROI.
    folder : Path or None
        Where a large array may wait on the disk while it is written row by row.
    """

    values: Rows
    shape: tuple[int, ...]
    by_frames: bool = False
    folder: Path | None = None

    @property
    def dtype(self) -> np.dtype:
        """Type of the values in the file."""
        return np.dtype(self.values.dtype)

    @property
    def nbytes(self) -> int:
        """Size of the values in bytes."""
        return prod(self.shape) * self.dtype.itemsize

    @property
    def is_by_columns(self) -> bool:
        """Whether the values, ROI after ROI, are the columns of the matrix in the file."""
        return self.by_frames and len(self.shape) == 2 and min(self.shape) > 1

    def whole(self) -> np.ndarray:
        """All of it, as in the file."""
        values = np.asarray(self.values[:])
        return values.T if self.is_by_columns else values.reshape(self.shape)

    def blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """The values, some ROIs at a time."""
        return blocks_of(self.values)

    def file_rows(self) -> Iterator[np.ndarray]:
        """The rows of the matrix in the file, some at a time."""
        if len(self.shape) < 2 or min(self.shape) == 1:
            return iter([self.whole().reshape(self.shape[0], -1)])
        rows = TransposedRows(self.values, self.folder) if self.by_frames else self.values
        return (block for _, block in blocks_of(rows))
