"""Steps of brightness: a frame at which most ROIs become brighter or darker for good, as where two sessions meet.

Nobody may have told that a recording was put together from several. ROIs are added block by block, so that a recording
need not be in memory as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cascade_engine.signal.segments import segment_slices

#: F is described by a low percentile in bins of this length (s).
_BIN_S, _PERCENTILE = 2.0, 25

#: Bins before and behind a step that are compared: near ones, since drift is slow, and many, since a step stays. Over
#: many bins it must be at least this part of what it is over the near ones.
_NEAR, _MANY, _LEAST_STAYING = 3, 20, 0.5

#: Smallest step, as a part of F0 (median over ROIs), and how far it stands out from what is usual elsewhere.
_SMALLEST_STEP, _LEAST_RATIO = 0.1, 4.0

#: Fewest ROIs that can be judged together.
_FEWEST_ROIS = 4


class StepFinder:
    """Finds a step of brightness that no segment explains, from ROIs that are added block by block.

    Parameters
    ----------
    n_frames : int
        Frames of the recording.
    frame_rate : float
        In Hz.
    segments : sequence of int, optional
        Frames of each segment; a step between two of them is known already.

    Examples
    --------
    >>> fluorescence = 100 + np.random.default_rng(0).standard_normal((8, 6000))
    >>> fluorescence[:, 2500:] *= 1.5
    >>> finder = StepFinder(n_frames=6000, frame_rate=30.0)
    >>> finder.add(fluorescence)
    >>> frame, size = finder.found()
    >>> frame, round(size, 2)
    (2500, 0.33)
    """

    def __init__(self, n_frames: int, frame_rate: float, segments: Sequence[int] | None = None):
        self._n_frames, self._per_bin = n_frames, max(1, round(_BIN_S * frame_rate))
        self._later_starts = [part.start for part in segment_slices(n_frames, segments)[1:]]
        self._n_bins = n_frames // self._per_bin
        self._steps: list[np.ndarray] = []
        self._sum = np.zeros(n_frames)  # of all ROIs, each over its level

    def add(self, fluorescence: np.ndarray) -> None:
        """Add ROIs.

        Parameters
        ----------
        fluorescence : array, shape (n_rois, n_frames)
            Raw fluorescence. ROIs of which most frames are missing, or that rest at or below zero, are not counted.
        """
        if self._n_bins < 2 * _MANY:
            return
        with np.errstate(over="ignore"):  # what is too large becomes infinite
            traces = np.asarray(fluorescence, dtype=np.float32)
        for trace in traces:
            binned = np.sort(trace[: self._n_bins * self._per_bin].reshape(self._n_bins, -1), axis=1)
            levels = binned[:, self._per_bin * _PERCENTILE // 100]  # missing values come last
            known = np.flatnonzero(np.isfinite(levels))
            level = np.median(levels[known]) if len(known) > 0.5 * self._n_bins else 0.0
            if level > 0:
                levels = np.interp(np.arange(self._n_bins), known, levels[known])
                self._steps.append(_steps(levels) / level)
                self._sum += np.where(np.isfinite(trace), trace / level, 1.0)

    def found(self) -> tuple[int, float] | None:
        """What was found in all ROIs that were added.

        Returns
        -------
        tuple of int and float, or None
            The first frame behind the largest step, and its size as a part of F0; None if there is no step that stands
            out.
        """
        if len(self._steps) < _FEWEST_ROIS:
            return None
        usual, steps = np.median(self._steps, axis=0)
        for start in self._later_starts:
            there = start // self._per_bin
            steps[max(0, there - _NEAR) : there + _NEAR + 1] = 0.0
        largest = int(np.argmax(steps))
        if steps[largest] < max(_SMALLEST_STEP, _LEAST_RATIO * np.quantile(usual, 0.9)):
            return None
        frames = np.arange((largest - 1) * self._per_bin, (largest + 1) * self._per_bin)
        return int(frames[np.argmax(np.abs(_differences(self._sum, frames, self._per_bin)))]), float(steps[largest])


def _steps(levels: np.ndarray) -> np.ndarray:
    """Sizes of the step at the beginning of each bin, shape (2, n_bins): all, and those that stay, the others as 0."""
    at = np.arange(_MANY, len(levels) - _MANY + 1)
    near, over_many = (_differences(levels, at, width) for width in (_NEAR, _MANY))
    sizes = np.zeros((2, len(levels)))
    sizes[:, at] = np.minimum(np.abs(near), np.abs(over_many))
    sizes[1, at] *= over_many * np.sign(near) > _LEAST_STAYING * np.abs(near)
    return sizes


def _differences(values: np.ndarray, at: np.ndarray, width: int) -> np.ndarray:
    """Mean of the values from each place on, less the mean of those before it."""
    sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    return (sums[at + width] - 2 * sums[at] + sums[at - width]) / width
