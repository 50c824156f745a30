"""The frame rate of a series, and where its recording was interrupted."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from cascade_adapters.containers.frame_rates import doubts_about_rate
from cascade_adapters.containers.nwb.series import imaging_plane_of
from cascade_adapters.containers.nwb.whole import read_whole
from cascade_engine.errors import InputError
from cascade_engine.signal.grid import read_times

#: Relative difference from which two frame rates contradict each other.
_CONTRADICTION = 0.02

#: What the name of the source of a frame rate begins with if it is measured.
_TIMESTAMPS = "timestamps"

#: Timestamps that lie this close (in s) to even spacing are evenly spaced.
_EVEN_S = 1e-6


@dataclass
class Timing:
    """When the frames of a series were taken.

    Attributes
    ----------
    frame_rate : float
        Frames per second of each ROI, in Hz.
    source : str
        Where the frame rate comes from.
    segments : list of int or None
        Frames of each segment; None if there is but one.
    dropped : dict of int to int
        Frames that were dropped before a stored frame, as of `cascade_engine.FrameGrid`.
    starting_time : float
        Time of the first frame, in s.
    timestamps : array, shape (n_frames,), or None
        Time of each frame in s, unless they are evenly spaced.
    untimed : array of bool, shape (n_frames,), or None
        Frames that have no time of their own (NaN): those around them tell it.
    remarks : list of str
        What is doubtful.
    """

    frame_rate: float
    source: str
    segments: list[int] | None = None
    dropped: dict[int, int] = field(default_factory=dict)
    starting_time: float = 0.0
    timestamps: np.ndarray | None = None
    untimed: np.ndarray | None = None
    remarks: list[str] = field(default_factory=list)

    def times_of(self, frames: np.ndarray) -> np.ndarray:
        """Times of frames on the clock of the file, in s."""
        if self.timestamps is None:
            return self.starting_time + frames / self.frame_rate
        return self.timestamps[frames].astype(float)


def find_timing(
    series,
    path: str,
    n_frames: int,
    given: float | None = None,
    defaults: dict[float, str] | None = None,
    n_planes: int | None = None,
) -> Timing:
    """Find out when frames were taken.

    What the user gives comes first, then the timestamps of the series, its rate, and the rate of the imaging plane.

    Parameters
    ----------
    series : pynwb.ophys.RoiResponseSeries
        The series.
    path : str
        Its path, for messages.
    n_frames : int
        Frames in its data.
    given : float, optional
        Frame rate in Hz that the user gives.
    defaults : dict of float to str, optional
        Rates (Hz) that programs write that know none, and whose they are.
    n_planes : int, optional
        Planes that were scanned one after the other.

    Returns
    -------
    Timing
        The frame rate, and what else is known.

    Raises
    ------
    InputError
        If there is no frame rate, or frames are so irregular that there is none.
    """
    plane_rate = _positive(getattr(imaging_plane_of(series), "imaging_rate", None))
    own_rate = _positive(series.rate)
    if series.timestamps is not None:
        try:
            if len(series.timestamps) != n_frames:
                raise InputError(f"{path} has {n_frames} frames, but {len(series.timestamps)} timestamps")
            timestamps = read_whole(series.timestamps, f"the list of timestamps of {path}").astype(float)
            timing = _from_timestamps(timestamps, path, n_frames, given)
        except InputError as error:
            if given is None:
                raise InputError(
                    f"{error}: resample the traces evenly, or pass --frame-rate to take them as they are"
                ) from None
            timing = Timing(given, "given", remarks=[f"{error}: the frames were taken for evenly spaced"])
    elif own_rate is not None:
        timing = Timing(own_rate, f"rate of {path}")
    elif plane_rate is not None:
        timing = Timing(plane_rate, "imaging_rate of the imaging plane")
    elif given is not None:
        timing = Timing(given, "given")
    else:
        found = "" if series.rate is None else f"but a rate of {series.rate:g}"
        raise InputError(f"{path} has no frame rate, {found or 'nor has its imaging plane'}: pass --frame-rate")
    if series.timestamps is None:
        timing.starting_time = float(series.starting_time or 0.0)
        if given is None and series.rate is not None and own_rate is None:
            timing.remarks.append(f"the rate of {path} is {series.rate:g}; the imaging plane's was taken")
    if given is not None:
        if timing.source.startswith(_TIMESTAMPS) and abs(timing.frame_rate / given - 1.0) > _CONTRADICTION:
            timing.remarks.append(
                f"--frame-rate {given:g} was followed, although the {timing.source} mean {timing.frame_rate:.4g} Hz"
            )
        timing.frame_rate, timing.source = given, "given"
    elif plane_rate is not None and abs(timing.frame_rate / plane_rate - 1.0) > _CONTRADICTION:
        timing.remarks.append(
            f"the frame rate of {path} is {timing.frame_rate:.4g} Hz, but the imaging_rate of its imaging plane is "
            f"{plane_rate:.4g} Hz: the former was believed; --frame-rate overrides"
        )
    elif series.timestamps is None:
        timing.remarks += doubts_about_rate(timing.frame_rate, f"the {timing.source}", defaults, n_planes)
    return timing


def _from_timestamps(timestamps: np.ndarray, path: str, n_frames: int, given: float | None) -> Timing:
    timestamps, untimed = _filled(timestamps, path)
    try:
        found = read_times(timestamps, given)
    except InputError as error:
        raise InputError(f"the timestamps of {path} {error}") from None
    even = np.linspace(timestamps[0], timestamps[-1], n_frames)
    return Timing(
        frame_rate=found.frame_rate,
        source=f"{_TIMESTAMPS} of {path}",
        segments=found.segments,
        dropped=found.dropped,
        starting_time=float(timestamps[0]),
        timestamps=None if np.abs(timestamps - even).max() <= _EVEN_S else timestamps,
        untimed=untimed,
        remarks=[f"the timestamps of {path} show {words}" for words in found.words],
    )


def _filled(timestamps: np.ndarray, path: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Times in which those that are missing lie evenly between their neighbours, and which these are."""
    known = np.isfinite(timestamps)
    if known.all():
        return timestamps, None
    if known.sum() < 2:
        raise InputError(f"the timestamps of {path} are NaN")
    frames, rows = np.flatnonzero(known), np.arange(len(timestamps))
    filled, interval = np.interp(rows, frames, timestamps[known]), np.median(np.diff(timestamps[known]))
    for end, is_beyond in ((frames[0], rows < frames[0]), (frames[-1], rows > frames[-1])):
        filled[is_beyond] = timestamps[end] + (rows[is_beyond] - end) * interval
    return filled, ~known


def _positive(rate) -> float | None:
    rate = float("nan") if rate is None else float(rate)
    return rate if np.isfinite(rate) and rate > 0 else None
