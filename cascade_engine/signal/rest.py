"""Where dF/F rests: it should be at 0, and networks that were trained on such traces count wrongly where it is not.

A trace rests at what its lowest values have in common. Some dF/F rests elsewhere: F was divided by F0 without
subtracting it, F0 was the mean or the minimum, or a constant was added. What is measured here is compared with the
published ground truth, in which traces rest a little above 0: only what lies beyond it, and beyond what noise and
activity could make of a trace that does rest at 0, counts as an offset.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from cascade_engine.signal.noise import MEDIAN_ABS_DIFFERENCE, as_frame_rate, as_traces
from cascade_engine.signal.segments import segment_slices

#: dF/F is averaged in bins of this length (s), so that noise counts less.
_BIN_S = 0.25

#: Percentile of the bins at which a trace rests, and the one that even a neuron that is hardly ever at rest comes near.
_REST, _LOWEST = 15.0, 2.0

#: Rest (dF/F, fraction) below and above which a trace has an offset. Smaller ones change spikes little.
_TOO_LOW, _TOO_HIGH = -0.1, 0.3

#: An offset is at least this many times the noise of a bin: less could be noise that is not white.
_NOISES = 1.25

#: Bins that a trace needs.
_FEWEST_BINS = 40

#: If more than this part of the traces has an offset, it comes from how dF/F was computed, not from their activity.
_MOST_TRACES = 0.5

#: Where F / F0 rests (median of the traces).
_RATIO = (0.85, 1.2)


@dataclass(frozen=True)
class Rests:
    """Where the traces of a recording rest.

    Attributes
    ----------
    levels : array, shape (n_neurons,), float64
        Where each trace rests, in dF/F (fraction); NaN for one that is too short (less than about 10 s), or has no or
        infinite values.
    lowest : array, shape (n_neurons,), float64
        Where its lowest values lie.
    noise : array, shape (n_neurons,), float64
        Standard deviation of the noise of these values.
    goes_down : array of bool, shape (n_neurons,)
        Whether it is not low most of the time, and goes down from there rather than up.
    """

    levels: np.ndarray
    lowest: np.ndarray
    noise: np.ndarray
    goes_down: np.ndarray

    @classmethod
    def together(cls, parts: Sequence[Rests]) -> Rests:
        """The rests of several blocks of neurons as one."""
        return cls(*(np.concatenate([vars(part)[each.name] for part in parts]) for each in fields(cls)))

    @property
    def offsets(self) -> np.ndarray:
        """What to subtract from each trace so that it rests at 0; 0 where it does, as far as that can be measured.

        A neuron that hardly ever rests looks as if it rested above 0, so that a trace is too high only where most
        traces are. One that is silenced looks as if it rested below, so that a trace that goes down from where it is
        most of the time is too low only where most are.
        """
        n_most = _MOST_TRACES * np.count_nonzero(np.isfinite(self.levels))
        with np.errstate(invalid="ignore"):
            low = (self.levels < _TOO_LOW) & (self.levels < -_NOISES * self.noise)
            high = (self.lowest > _TOO_HIGH) & (self.levels > _NOISES * self.noise)
            is_high = np.count_nonzero(high) > n_most
            high = is_high & (self.levels > _TOO_HIGH / 2)  # those too that only just are not
        if not np.count_nonzero(low) > n_most:
            low &= ~self.goes_down
        return np.where(low | high, self.levels, 0.0)

    @property
    def problem(self) -> str:
        """Why the traces look like F / F0 instead of dF/F, and what to do; empty if they do not."""
        if np.count_nonzero(self.offsets > 0) <= _MOST_TRACES * np.count_nonzero(np.isfinite(self.levels)):
            return ""
        middle = float(np.nanmedian(self.levels))
        if not _RATIO[0] < middle < _RATIO[1]:
            return ""
        return f"most traces rest at about {middle:.2f}, as F / F0 does, where dF/F rests at 0: subtract 1"

    def describe(self, called: str = "neurons") -> str:
        """How many traces have an offset, and of what size, in one phrase; empty if none has."""
        given = self.offsets[self.offsets != 0]
        if not given.size:
            return ""
        median, n_known = float(np.median(given)), np.count_nonzero(np.isfinite(self.levels))
        spread = "" if given.size == 1 else f" (median; {given.min():.2f} to {given.max():.2f})"
        return f"dF/F of {given.size} of {n_known} {called} does not rest at 0, but at {median:.2f}{spread}"


def find_rests(dff: np.ndarray, frame_rate: float, segments: Sequence[int] | None = None) -> Rests:
    """Find where each trace rests.

    Parameters
    ----------
    dff : array, shape (n_neurons, n_frames)
        dF/F as a fraction; NaN where missing.
    frame_rate : float
        Frame rate in Hz.
    segments : sequence of int, optional
        Frames of each segment.

    Returns
    -------
    Rests
        With what to subtract.

    Raises
    ------
    InputError
        If `dff` is not two-dimensional or `frame_rate` is not a positive number.

    Examples
    --------
    >>> dff = 0.05 * np.random.default_rng(0).standard_normal((3, 3000)) + np.array([[0.0], [0.05], [-0.3]])
    >>> find_rests(dff, frame_rate=30.0).offsets.round(1)
    array([ 0. ,  0. , -0.3])
    """
    from scipy.special import ndtri

    dff, frame_rate = as_traces(dff), as_frame_rate(frame_rate)
    n_neurons, n_frames = dff.shape
    per_bin = max(1, round(_BIN_S * frame_rate))
    slices = segment_slices(n_frames, segments)
    levels, lowest, noise = (np.full(n_neurons, np.nan) for _ in range(3))
    goes_down = np.zeros(n_neurons, dtype=bool)
    for i, trace in enumerate(dff):
        if np.isinf(trace).any():
            continue
        bins = np.concatenate([_binned(trace[part], per_bin) for part in slices])
        bins = bins[~np.isnan(bins)]
        if len(bins) < _FEWEST_BINS:
            continue
        steps = np.concatenate([np.abs(np.diff(trace[part])) for part in slices])
        steps = steps[~np.isnan(steps)]
        noise[i] = np.median(steps) / MEDIAN_ABS_DIFFERENCE / np.sqrt(per_bin) if steps.size else 0.0
        low, at_rest, middle, high = np.percentile(bins, (_LOWEST, _REST, 50.0, 100.0 - _LOWEST))
        # a low percentile of noise lies below its mean
        levels[i] = at_rest - ndtri(_REST / 100) * noise[i]
        lowest[i] = low - ndtri(_LOWEST / 100) * noise[i]
        goes_down[i] = middle > _TOO_LOW and middle - low > high - middle
    return Rests(levels, lowest, noise, goes_down)


def _binned(trace: np.ndarray, per_bin: int) -> np.ndarray:
    """Means of bins; NaN where more than half of the values are missing."""
    n_bins = len(trace) // per_bin
    frames = trace[: n_bins * per_bin].reshape(n_bins, per_bin)
    means = frames @ np.full(per_bin, 1.0 / per_bin, dtype=trace.dtype)  # much faster than a mean of short rows
    if not np.isnan(means).any():
        return means
    present = ~np.isnan(frames)
    counts = np.count_nonzero(present, axis=1)
    sums = np.sum(frames, axis=1, dtype=np.float64, where=present)
    return np.where(2 * counts >= per_bin, sums / np.maximum(counts, 1), np.nan)
