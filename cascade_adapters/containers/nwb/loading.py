"""The values of a series of an NWB file, in their unit, and their hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from cascade_adapters.containers.nwb.opening import OpenNwb, one_line
from cascade_adapters.containers.nwb.rows_first import Loaded, load_rois_first
from cascade_adapters.containers.nwb.series import has_rois_first, roi_rows, series_at, table_of
from cascade_adapters.containers.nwb.whole import check_claim, read_whole
from cascade_adapters.results.rows import Rows, blocks_of
from cascade_engine.errors import CascadeError, InputError

#: Times that are hashed at a time.
_TIMES_AT_ONCE = 100_000


def load_series(opened: OpenNwb, path: str, like: str | None = None) -> Loaded:
    """Read a series.

    Parameters
    ----------
    opened : OpenNwb
        The file.
    path : str
        Path of the series.
    like : str, optional
        Path of a series with the same ROIs, for one that does not say which it has.

    Raises
    ------
    InputError
        If the data is damaged, or it is not certain which of its axes is time.
    """
    series = series_at(opened, path)
    with_rois = series if table_of(series) is not None else series_at(opened, like or path)
    data = series.data
    _check_data(opened, path, data)
    table = table_of(with_rois)
    if table is None:
        is_transposed = has_rois_first(with_rois)
    else:
        is_transposed = _is_transposed(path, data.shape, len(roi_rows(with_rois)), len(table.id))
    conversion, offset = float(series.conversion or 1.0), float(series.offset or 0.0)
    if not np.isfinite([conversion, offset]).all():
        raise InputError(f"{path} has a conversion of {conversion} and an offset of {offset}: values have no unit")

    def in_unit(part: np.ndarray) -> np.ndarray:
        part = np.asarray(part, dtype=np.float32)
        if (conversion, offset) == (1.0, 0.0):
            return part
        return part * np.float32(conversion) + np.float32(offset)

    n_values = int(np.prod(data.shape, dtype=object))
    try:
        return load_rois_first(data, is_transposed, in_unit, None if opened.takes(4 * n_values) else opened.scratch)
    except CascadeError:
        raise
    except Exception as error:  # a damaged block can fail in any way
        raise InputError(f"{path} in {opened.name} cannot be read: {one_line(error)}") from error


@dataclass(frozen=True)
class Times:
    """What a series says of its times: frame rate and starting time, or the time of every frame."""

    times: tuple[float | None, ...] | np.ndarray

    @classmethod
    def of(cls, series: Any) -> Times:
        """The times of a series of pynwb."""
        if series.timestamps is not None:
            times = read_whole(series.timestamps, f"the list of timestamps of series {series.name}")
            return cls(times.astype(float, copy=False))
        return cls(tuple(None if time is None else float(time) for time in (series.rate, series.starting_time)))

    def texts(self) -> Iterator[str]:
        """A text that says the same, in pieces: it can be long."""
        for first in range(0, len(self.times), _TIMES_AT_ONCE):
            part = self.times[first : first + _TIMES_AT_ONCE]
            some = part.tolist() if isinstance(part, np.ndarray) else part
            yield ("[" if first == 0 else ", ") + ", ".join(map(repr, some))
        yield "]" if len(self.times) else "[]"


def hash_of(values: Rows, times: Times) -> str:
    """SHA-256 of the values of a series and of its times."""
    digest = hashlib.sha256()
    for _, block in blocks_of(values):
        digest.update(np.ascontiguousarray(block).data)
    for text in times.texts():
        digest.update(text.encode())
    return digest.hexdigest()


def _check_data(opened: OpenNwb, path: str, data: Any) -> None:
    shape = getattr(data, "shape", ())
    dtype = getattr(data, "dtype", np.dtype(object))
    if not np.prod(shape, dtype=object):
        raise InputError(f"{path} in {opened.name} holds no data; if it is linked from another file, is that there?")
    if dtype.kind not in "fiu" or len(shape) not in (1, 2):
        raise InputError(f"{path} in {opened.name} must hold numbers of (time, roi), but is {dtype} of shape {shape}")
    check_claim(data, f"{path} in {opened.name}")


def _is_transposed(path: str, shape: tuple[int, ...], n_rois: int, n_table: int) -> bool:
    """Which axis is time; (time, roi) is the rule, and the ROI table tells."""
    if len(shape) == 1:
        if n_rois != 1:
            raise InputError(f"{path} has one dimension ({shape[0]} values) but {n_rois} ROIs: it cannot be read")
        return False
    if shape[1] == n_rois:
        return False
    if shape[0] == n_rois:
        return True
    raise InputError(
        f"{path} has the shape {shape}, but {n_rois} ROIs (of {n_table} in its table): it is not certain which value "
        "belongs to which ROI"
    )
