"""Dropped frames: an even grid of time on which they are missing frames between those that are stored.

A microscope or a computer loses a frame now and then, and the times of the frames tell. One lost frame is no reason to
begin anew: F0 and the network run across it. Only a long gap ends a segment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cascade_engine.errors import InputError
from cascade_engine.signal.masked import unmasked
from cascade_engine.signal.segments import LONGEST_GAP_S, segment_slices

#: Part of a frame's lateness that is expected of the next one too: clocks drift, and times jitter.
_LATENESS_KEPT = 0.5

#: A frame that is noted late is followed by a short interval; within so many frames nothing was dropped then.
_FRAMES_TO_CATCH_UP = 3

#: Intervals differ from whole frames by no more than this part of a frame on average, or there is no frame rate.
_MEAN_JITTER = 0.2


class FrameGrid:
    """Stored frames on an even grid of time, with missing frames where frames were dropped.

    Parameters
    ----------
    n_stored : int
        Frames that are stored.
    segments : sequence of int, optional
        Stored frames of each uninterrupted segment.
    dropped : mapping of int to int, optional
        Frames that were dropped before a stored frame, by its number; -1 for a frame that repeats the one before. Those
        at the beginning of a segment do not count.

    Attributes
    ----------
    n_frames : int
        Frames of the grid.
    segments : list of int or None
        Frames of the grid in each segment.
    positions : array, shape (n_stored,), int
        Frame of the grid for each stored frame.

    Examples
    --------
    >>> grid = FrameGrid(4, dropped={2: 1})
    >>> grid.expand(np.array([[1.0, 2.0, 4.0, 5.0]]))
    array([[ 1.,  2., nan,  4.,  5.]])
    >>> grid.collect(np.array([[1.0, 2.0, 3.0, 4.0, 5.0]]))
    array([[1., 2., 4., 5.]])
    """

    def __init__(self, n_stored: int, segments: Sequence[int] | None = None, dropped: Mapping[int, int] | None = None):
        steps = np.ones(n_stored, dtype=np.int64)
        for frame, count in (dropped or {}).items():
            if not (0 < frame < n_stored and count >= -1):
                raise InputError(f"{count} frames cannot have been dropped before frame {frame} of {n_stored}")
            steps[frame] += count
        slices = segment_slices(n_stored, segments)
        for part in slices:
            steps[part.start : part.start + 1] = 1
        self.positions = np.cumsum(steps) - 1
        self.n_frames = int(steps.sum())
        self.segments = None if segments is None else [int(steps[part].sum()) for part in slices]
        self._is_copy = steps == 0
        self._is_even = self.n_frames == n_stored and not self._is_copy.any()

    def expand(self, values: np.ndarray) -> np.ndarray:
        """Put stored frames onto the grid.

        Parameters
        ----------
        values : array, shape (..., n_stored)
            One value per stored frame.

        Returns
        -------
        array, shape (..., n_frames)
            NaN for frames that were dropped; `values` itself where none were.
        """
        values = unmasked(values)
        if self._is_even:
            return values
        dtype = np.result_type(values.dtype, np.float32) if values.dtype.kind != "f" else values.dtype
        on_grid = np.full((*values.shape[:-1], self.n_frames), np.nan, dtype)
        on_grid[..., self.positions[~self._is_copy]] = values[..., ~self._is_copy]
        return on_grid

    def collect(self, on_grid: np.ndarray) -> np.ndarray:
        """Take the stored frames from the grid.

        Parameters
        ----------
        on_grid : array, shape (..., n_frames)
            One value per frame of the grid.

        Returns
        -------
        array, shape (..., n_stored)
            NaN for a frame that repeats the one before, so that nothing counts twice.
        """
        if self._is_even:
            return on_grid
        values = on_grid[..., self.positions]
        values[..., self._is_copy] = np.nan
        return values

    def stored(self, frames: np.ndarray | int) -> np.ndarray:
        """Stored frames at frames of the grid; for one that was dropped, the next one."""
        return np.searchsorted(self.positions, frames)


@dataclass(frozen=True)
class FrameTimes:
    """What the times of frames tell.

    Attributes
    ----------
    frame_rate : float
        Frames per second, in Hz, of the grid: without gaps.
    dropped : dict of int to int
        As in `FrameGrid`.
    segments : list of int or None
        Stored frames of each segment; None if there is but one.
    words : list of str
        What was found, one line each: dropped frames, repeated frames, long gaps.
    """

    frame_rate: float
    dropped: dict[int, int]
    segments: list[int] | None
    words: list[str]


def read_times(times: np.ndarray, frame_rate: float | None = None) -> FrameTimes:
    """Find frame rate, dropped frames and long gaps from the times of frames.

    Parameters
    ----------
    times : array, shape (n_frames,)
        Time of each stored frame in s; they may jitter, and clocks may drift.
    frame_rate : float, optional
        Frame rate in Hz, if it is known better than from the times: it then says how many frames a long gap has.

    Returns
    -------
    FrameTimes
        Short gaps as dropped frames, long ones as ends of segments.

    Raises
    ------
    InputError
        If the times do not increase, or are too irregular to have a frame rate.

    Examples
    --------
    >>> times = np.delete(np.arange(1000) / 30.0, [500, 501])
    >>> times[900:] += 60.0
    >>> found = read_times(times)
    >>> found.dropped, found.segments
    ({500: 2}, [900, 98])
    """
    times = unmasked(times).astype(np.float64)
    if len(times) < 2:
        raise InputError(f"are only {len(times)}: there is no frame rate")
    intervals = np.diff(times)
    usual = float(np.median(intervals))
    if not ((intervals >= 0).all() and usual > 0):  # neither are NaN
        raise InputError(f"do not increase at frame {int(np.argmax(~(intervals >= 0))) + 1}")
    longest = max(1, int(LONGEST_GAP_S * (frame_rate or 1.0 / usual)))
    duration = usual
    for _ in range(2):  # the second time with a refined duration of a frame
        steps = _steps(intervals / duration, longest)
        is_long = steps > longest + 1
        if is_long.all():
            break
        duration = float(intervals[~is_long].sum() / max(steps[~is_long].sum(), 1))
    jitter = np.abs(intervals / duration - steps)[~is_long]
    if jitter.size and jitter.mean() > _MEAN_JITTER:
        raise InputError(
            f"are too irregular to have a frame rate (intervals from {intervals.min():.3g} to {intervals.max():.3g} s, "
            f"usually {usual:.3g} s)"
        )
    gaps = np.flatnonzero((steps != 1) & ~is_long)
    dropped = {int(gap) + 1: int(steps[gap]) - 1 for gap in gaps}
    segments = None
    if is_long.any():
        segments = np.diff(np.flatnonzero(np.concatenate([[True], is_long, [True]]))).tolist()
    return FrameTimes(1.0 / duration, dropped, segments, _words(dropped, intervals[is_long], duration))


def _steps(frames: np.ndarray, longest: int) -> np.ndarray:
    """Whole frames from each frame to the next, from intervals in frames; 0 where a frame repeats the one before."""
    from scipy.ndimage import grey_closing, grey_opening

    steps, late = [], 0.0
    for interval in frames.tolist():
        step = max(0, round(late + interval))
        late = _LATENESS_KEPT * (late + interval - step) if step <= longest + 1 else 0.0
        steps.append(step)
    size = _FRAMES_TO_CATCH_UP + 1
    lost = np.pad(np.cumsum([0, *steps]) - np.arange(len(steps) + 1), size, mode="edge")
    lost = grey_closing(grey_opening(lost, size), size)[size:-size]
    return np.diff(lost) + 1


def _words(dropped: Mapping[int, int], long_gaps: np.ndarray, duration: float) -> list[str]:
    counts = np.array([count for count in dropped.values() if count > 0], dtype=int)
    n_copies, words = len(dropped) - len(counts), []
    if len(counts):
        what, longest_s = _counted(counts.sum(), "dropped frame"), counts.max() * duration
        words.append(f"{what}, up to {longest_s:.2g} s at a time: F0 and prediction run across")
    if n_copies:
        words.append(f"{_counted(n_copies, 'frame')} at the time of the one before: left out")
    if len(long_gaps):
        words.append(
            f"{_counted(len(long_gaps), 'gap')} of more than {LONGEST_GAP_S:g} s, the longest of {long_gaps.max():.3g} "
            "s: a segment ends there, and nothing reaches across"
        )
    return words


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
