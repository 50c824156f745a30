"""Values with ROIs first, from datasets with frames first: in memory, or on the disk where they are too large for it.

Every chunk is read and decompressed once, in the order in which they lie in the file.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cascade_adapters.results.rows import Rows
from cascade_adapters.safe_writing.spool import Spool

#: Bytes of values, of all recordings in a file together, that are kept in memory rather than on the disk.
IN_MEMORY_BYTES = 256_000_000

#: Bytes that are read at a time, if chunks allow.
_BLOCK_BYTES = 32_000_000


@dataclass
class Loaded:
    """Values of a series in its unit.

    Attributes
    ----------
    values : array-like, shape (n_rois, n_frames), float32
        Stored values times `conversion` plus `offset`; large ones are read from the disk when rows are asked for.
    is_transposed : bool
        Whether they are stored as (roi, time).
    n_filled : int
        Frames up to the last one that is not zero in every ROI.
    """

    values: Rows
    is_transposed: bool
    n_filled: int


def load_rois_first(
    data: Any, is_transposed: bool, in_unit: Callable[[np.ndarray], np.ndarray], scratch: Path | None
) -> Loaded:
    """Values of a dataset with ROIs first.

    Parameters
    ----------
    data : h5py.Dataset or zarr.Array
        The dataset, of numbers (time, roi) or (time,).
    is_transposed : bool
        It is (roi, time) instead.
    in_unit : callable
        Called with values as they are stored; gives those in their unit, in single precision.
    scratch : Path or None
        Folder in which values wait on the disk; None: they stay in memory.
    """
    shape = data.shape if len(data.shape) == 2 else (data.shape[0], 1)
    size = shape if is_transposed else shape[::-1]
    n_filled = 0
    with ExitStack() as stack:
        waiting = stack.enter_context(Spool.beside(scratch, "traces")).array("values", size, np.float32)
        for block in _blocks(data):
            part = in_unit(np.asarray(data[block]))
            part = part.reshape(len(part), -1)
            places = (block[0], block[1] if len(block) == 2 else slice(0, 1))
            if not is_transposed:
                part, places = part.T, places[::-1]
            waiting.write(*places, part)
            filled = np.flatnonzero(part.any(axis=0))
            if filled.size:
                n_filled = max(n_filled, places[1].start + int(filled[-1]) + 1)
        values = waiting.finish()
        clean_up = stack.pop_all()
    if scratch is not None:  # the file goes with the last user of the values
        weakref.finalize(values, clean_up.close)
    return Loaded(values, is_transposed, n_filled)


def load_rows(data: Any, in_unit: Callable[[np.ndarray], np.ndarray], is_in_memory: bool, scratch: Path) -> Rows:
    """Values of a dataset (time, roi) as (roi, time).

    Parameters
    ----------
    data : h5py.Dataset or zarr.Array
        The dataset.
    in_unit : callable
        As for `load_rois_first`.
    is_in_memory : bool
        Whether there is room for it.
    scratch : Path
        Folder in which it waits on the disk if there is not.
    """
    return load_rois_first(data, False, in_unit, None if is_in_memory else scratch).values


def _blocks(data: Any) -> Iterator[tuple[slice, ...]]:
    """Slices that cover the data, in whole chunks, so that none is decompressed twice."""
    sizes = list(data.chunks or (1, *data.shape[1:]))
    for axis in reversed(range(len(sizes))):  # rows of chunks first, as they lie in the file
        room = _BLOCK_BYTES // max(1, int(np.prod(sizes)) * data.dtype.itemsize)
        sizes[axis] = min(data.shape[axis], sizes[axis] * max(1, room))
    starts = [range(0, length, size) for length, size in zip(data.shape, sizes, strict=True)]
    for first in starts[0]:
        rows = slice(first, min(first + sizes[0], data.shape[0]))
        if len(starts) == 1:
            yield (rows,)
        else:
            yield from ((rows, slice(start, min(start + sizes[1], data.shape[1]))) for start in starts[1])
