"""Whether the noise of a trace is as a detector gives it, or the trace was smoothed, interpolated or filled.

The noise of neighbouring frames is independent. So a step up is followed by a step down more often than not: the
correlation of neighbouring steps is -0.5. In a smoothed trace it is about 0 or above. Calcium changes it too, so only
quiet stretches are looked at, and large steps count no more than the others.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cascade_engine.signal.segments import segment_slices

#: Frames of each neuron that are looked at, and fewest pairs of steps that tell anything.
_SAMPLED_FRAMES, _FEWEST_PAIRS = 6000, 100

#: Steps are cut off at this many times their median size.
_LARGEST_STEP = 4.0

#: A stretch is quiet if the mean over so many frames is no higher than usual.
_QUIET_FRAMES = 9


def step_correlations(dff: np.ndarray, segments: Sequence[int] | None = None) -> np.ndarray:
    """Correlation of neighbouring steps in the quiet half of each trace.

    Recorded traces have -0.5 to -0.3. A mean over two or three frames gives 0, resampling to a higher frame rate -0.2
    or more.

    Parameters
    ----------
    dff : array, shape (n_neurons, n_frames)
        Traces in any unit; NaN where missing.
    segments : sequence of int, optional
        Frames of each segment.

    Returns
    -------
    array, shape (n_neurons,), float64
        NaN for a trace that is too short to tell; 1 for one that mostly repeats the value of the frame before, as
        filled or held ones do.

    Examples
    --------
    >>> noise = np.random.default_rng(0).standard_normal((1, 10_000))
    >>> step_correlations(noise).round(1), step_correlations(noise[:, 1:] + noise[:, :-1]).round(1) + 0.0
    (array([-0.5]), array([0.]))
    """
    starts = [part.start for part in segment_slices(dff.shape[1], segments)[1:]]
    return np.array([_step_correlation(trace[:_SAMPLED_FRAMES], starts) for trace in dff], dtype=np.float64)


def _step_correlation(trace: np.ndarray, starts: Sequence[int]) -> float:
    from scipy.ndimage import uniform_filter1d

    trace = np.asarray(trace, dtype=np.float64)
    present = np.isfinite(trace)
    with np.errstate(invalid="ignore", over="ignore"):
        steps = np.diff(trace)
    steps[[start - 1 for start in starts if start <= len(steps)]] = np.nan
    known = np.isfinite(steps)
    if np.count_nonzero(known) < _FEWEST_PAIRS:
        return np.nan
    size = float(np.median(np.abs(steps[known])))
    if size == 0:
        return 1.0
    steps = np.clip(steps, -_LARGEST_STEP * size, _LARGEST_STEP * size)
    level = uniform_filter1d(np.where(present, trace, np.median(trace[present])), _QUIET_FRAMES)
    first, second = steps[:-1], steps[1:]
    pairs = known[:-1] & known[1:] & (level[1:-1] <= np.median(level))
    if np.count_nonzero(pairs) < _FEWEST_PAIRS:
        return np.nan
    first, second = first[pairs], second[pairs]
    if np.count_nonzero(first == 0) > 0.5 * len(first):
        return 1.0
    return float(np.mean(first * second) / np.sqrt(np.mean(first**2) * np.mean(second**2)))
