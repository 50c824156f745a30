"""Frames of a series that lie in the invalid times of an NWB file."""

from __future__ import annotations

from typing import Any

import numpy as np

from cascade_adapters.containers.nwb.opening import OpenNwb
from cascade_adapters.containers.nwb.series import imaging_plane_of, roi_rows, table_of
from cascade_adapters.containers.nwb.timing import Timing
from cascade_adapters.containers.nwb.whole import read_whole

#: Times closer than this part of a frame count as the same.
_TOLERANCE = 0.01


def invalid_frames(opened: OpenNwb, series: Any, timing: Timing, n_frames: int, remarks: list[str]) -> np.ndarray:
    """Frames that overlap with an interval that the file calls invalid; its end belongs to it.

    An interval that names series counts if one of them is this one or comes from the same imaging plane.

    Parameters
    ----------
    opened : OpenNwb
        The file.
    series : pynwb.ophys.RoiResponseSeries
        The series.
    timing : Timing
        When its frames were taken.
    n_frames : int
        How many it has.
    remarks : list of str
        Takes what is doubtful.

    Returns
    -------
    array of bool, shape (n_frames,)
        None is True in a file without invalid times.
    """
    invalid, table = np.zeros(n_frames, dtype=bool), opened.nwbfile.invalid_times
    if table is None or not len(table):
        return invalid
    starts, stops = (
        read_whole(table[name].data, f"{name} of invalid_times").astype(float) for name in ("start_time", "stop_time")
    )
    frame_s = 1.0 / timing.frame_rate
    times = timing.starting_time + frame_s * np.arange(n_frames)
    if series.timestamps is not None:
        times = np.asarray(series.timestamps[:], dtype=float)
    n_wrong = 0
    for row, (start, stop) in enumerate(zip(starts, stops, strict=True)):
        if not start <= stop:  # NaN, or the wrong way round
            n_wrong += 1
        elif _concerns(table, row, series):
            ends = times + (1 - _TOLERANCE) * frame_s
            invalid |= (ends > start) & (times <= stop + _TOLERANCE * frame_s)
    if n_wrong:
        remarks.append(f"{n_wrong} of {len(starts)} rows of invalid_times are no intervals: they were ignored")
    return invalid


def _concerns(table: Any, row: int, series: Any) -> bool:
    """Whether a row of the table is about the whole file, this series, or others of the same imaging plane.

    Series of other ROIs in the same ROI table are of another plane, although some programs make one imaging plane of
    several.
    """
    named = table["timeseries"][row] if "timeseries" in table.colnames else []
    plane = imaging_plane_of(series)
    for reference in named:
        other = reference.timeseries
        its_table = table_of(other) or other
        same_plane = plane is not None and getattr(its_table, "imaging_plane", None) is plane
        other_table = its_table is not table_of(series)
        if other is series or (same_plane and (other_table or set(roi_rows(series)) & set(roi_rows(other)))):
            return True
    return not len(named)
