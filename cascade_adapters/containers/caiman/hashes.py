"""Hashes of matrices, by their numbers: the same whatever type and order they are stored in."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from cascade_adapters.results.rows import row_blocks


class RowsDigest:
    """SHA-256 of a matrix, taken while its rows are read.

    Parameters
    ----------
    matrix : array-like
        Numbers, with two axes.
    """

    def __init__(self, matrix: Any):
        self._matrix = matrix
        self._digest = _begin(matrix)
        self._n_done = 0

    def take(self, first: int, rows: np.ndarray) -> None:
        """Rows that were read, from number `first` on; they count as far as they are the next ones."""
        end = first + len(rows)
        if first <= self._n_done < end:
            _take(self._digest, rows[self._n_done - first :])
            self._n_done = end

    def finish(self) -> str:
        """The digest, after reading what has not been read yet."""
        for rows in row_blocks(*self._matrix.shape):
            if rows.stop > self._n_done:
                self.take(rows.start, np.asarray(self._matrix[rows]))
        return self._digest.hexdigest()


def digest(*matrices: Any) -> str:
    """SHA-256 of the numbers of matrices, and of their shapes."""
    found = hashlib.sha256()
    for matrix in matrices:
        _begin(matrix, found)
        for rows in row_blocks(*matrix.shape):
            _take(found, np.asarray(matrix[rows]))
    return found.hexdigest()


def _begin(matrix: Any, found: Any = None) -> Any:
    found = hashlib.sha256() if found is None else found
    found.update(repr(tuple(int(length) for length in matrix.shape)).encode())
    return found


def _take(found: Any, rows: np.ndarray) -> None:
    found.update(np.ascontiguousarray(rows, dtype="<f8").data)
