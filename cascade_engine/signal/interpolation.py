"""Frames that were filled in: they lie exactly between their neighbours, in all ROIs at once.

Whoever has filled dropped frames by linear interpolation has taken noise out of them, and the network does not know.
The trace that results is not smooth throughout, so that `smoothness` does not find it. ROIs are added block by block.
"""

from __future__ import annotations

import numpy as np

from cascade_engine.signal.frames import frame_text

#: How near (as a part of a usual step between frames) a value lies to the mean of its neighbours. It is not 0, since F0
#: changes from frame to frame.
_NEAR = 2e-3

#: Fewest ROIs that tell by being so at the same frames, the part of them that is, and the part of the frames that is
#: worth a word. ROIs beyond a number tell nothing new.
_FEWEST_ROIS, _MOST_ROIS, _LEAST_PART, _LEAST_FRAMES = 3, 64, 0.8, 0.01

#: Frames that follow one another at the same distance in this part of the cases are said to be regular.
_REGULAR = 0.9


class InterpolationFinder:
    """Finds frames that were interpolated between their neighbours, from ROIs that are added block by block.

    Parameters
    ----------
    n_frames : int
        Frames of the recording.

    Examples
    --------
    >>> dff = 0.1 * np.random.default_rng(0).standard_normal((4, 1000))
    >>> dff[:, 10:-1:10] = (dff[:, 9:-2:10] + dff[:, 11::10]) / 2
    >>> finder = InterpolationFinder(n_frames=1000)
    >>> finder.add(dff)
    >>> finder.describe().partition("(")[2].partition(":")[0]
    '10%; one in 10) lie exactly between their neighbours in all traces'
    """

    def __init__(self, n_frames: int):
        self._n_between = np.zeros(n_frames, dtype=np.int32)
        self._n_rois = 0

    def add(self, dff: np.ndarray) -> None:
        """Add ROIs.

        Parameters
        ----------
        dff : array, shape (n_rois, n_frames)
            In any unit; NaN where missing.
        """
        for trace in dff[: max(0, _MOST_ROIS - self._n_rois)]:
            trace = np.asarray(trace, dtype=np.float64)
            with np.errstate(invalid="ignore", over="ignore"):
                steps = np.diff(trace)
                usual = np.median(np.abs(steps[np.isfinite(steps)])) if np.isfinite(steps).any() else 0.0
                if not usual > 0:
                    continue
                is_between = np.abs(np.diff(steps)) / 2 <= _NEAR * usual
                is_between &= np.abs(steps[1:]) > _NEAR * usual  # a flat trace was held, or is zero
            self._n_between[1:-1] += is_between
            self._n_rois += 1

    def found(self) -> np.ndarray:
        """Whether each frame was interpolated; bool, shape (n_frames,), all False if there are next to none."""
        frames = self._n_between >= max(_LEAST_PART * self._n_rois, 1)
        is_enough = self._n_rois >= _FEWEST_ROIS and np.count_nonzero(frames) >= _LEAST_FRAMES * len(frames)
        return frames if is_enough else np.zeros_like(frames)

    def describe(self) -> str:
        """A warning that says how many, and what to do; empty if there are none."""
        found = self.found()
        frames = np.flatnonzero(found)
        if not len(frames):
            return ""
        steps = np.diff(frames)
        usual = int(np.median(steps)) if len(steps) else 0
        is_regular = usual > 1 and np.count_nonzero(steps == usual) >= _REGULAR * len(steps)
        which = f"one in {usual}" if is_regular else f"such as {frame_text(found).partition(',')[0]}"
        part = f"{len(frames) / len(found):.0%}; {which}"
        return (
            f"{len(frames)} frames ({part}) lie exactly between their neighbours in all traces: they were filled in by "
            "interpolation. Noise is too low there: use the original traces, with NaN where there are no frames"
        )
