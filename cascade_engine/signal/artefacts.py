"""Frames that cannot be fluorescence: all ROIs at one value, or most of them jumping together and back at once.

A closed shutter, frames that were lost and stored as 0, a saturated detector and flashes of stimulation light hit all
ROIs in the same frames. No calcium signal does that: it rises together in many cells at most, and then decays. ROIs
are added block by block, so that a recording need not be in memory as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cascade_engine.signal.segments import segment_slices

#: Longest run of frames (and s) that is taken for an artefact.
_LONGEST_RUN, _LONGEST_S = 5, 0.35

#: How far a ROI must jump: a multiple of what four in five steps from frame to frame stay below, five standard
#: deviations where there is noise alone. And which part of the ROIs must jump together.
_USUAL_STEP_QUANTILE, _LEAST_JUMP, _LEAST_PART = 0.8, 2.75, 0.8

#: A jump downwards must end below all but this part of a ROI's frames, not only below activity on either side of it.
_LOWEST_PART = 0.1

#: Which part of a jump upwards may be there one frame before and one frame later, on average over the ROIs. Within
#: `_FAST_FRAME_S` even the fastest indicator keeps more; slower frames cannot tell a flash from spikes of all neurons.
_LARGEST_REST, _FAST_FRAME_S = 0.15, 0.11

#: Fewest ROIs that can be judged together.
_FEWEST_ROIS = 4

#: A ROI that stays the same in more than this part of the steps between frames is of no use: empty, padded or sparse.
_MOST_EQUAL = 0.2


class ArtefactFinder:
    """Finds frames that cannot be fluorescence, from ROIs that are added block by block.

    Parameters
    ----------
    n_frames : int
        Frames of the recording.
    frame_rate : float
        In Hz.
    segments : sequence of int, optional
        Frames of each uninterrupted segment; jumps are not looked for from one segment to the next.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> fluorescence = 100 + rng.standard_normal((8, 600))
    >>> fluorescence[:, 200:203] = 0
    >>> finder = ArtefactFinder(n_frames=600, frame_rate=30.0)
    >>> finder.add(fluorescence[:5])
    >>> finder.add(fluorescence[5:])
    >>> mask, words = finder.found()
    >>> np.flatnonzero(mask)
    array([200, 201, 202])
    >>> words
    ['3 of 600 frames hold one and the same value in all 8 ROIs']
    """

    def __init__(self, n_frames: int, frame_rate: float, segments: Sequence[int] | None = None):
        self._segments = segment_slices(n_frames, segments)
        self._frame_rate = frame_rate
        longest = int(min(_LONGEST_RUN, max(1, round(_LONGEST_S * frame_rate))))
        self._n_rois = 0
        self._lowest, self._highest = np.full(n_frames, np.inf), np.full(n_frames, -np.inf)
        # for each length of a run, and the frame that it starts with
        self._down, self._up = (np.zeros((longest, n_frames), dtype=np.int64) for _ in range(2))
        self._rest = np.zeros((longest, n_frames))

    def add(self, traces: np.ndarray) -> None:
        """Add ROIs.

        Parameters
        ----------
        traces : array, shape (n_rois, n_frames)
            Raw fluorescence or dF/F. ROIs that are constant, empty or sparse are not counted.
        """
        for trace in np.asarray(traces, dtype=np.float64):
            steps = np.concatenate([np.abs(np.diff(trace[segment])) for segment in self._segments])
            steps = steps[np.isfinite(steps)]
            if not steps.size or np.mean(steps == 0) > _MOST_EQUAL:
                continue
            self._n_rois += 1
            self._lowest = np.fmin(self._lowest, trace)
            self._highest = np.fmax(self._highest, trace)
            least = _LEAST_JUMP * np.quantile(steps, _USUAL_STEP_QUANTILE)
            low, middle = np.nanquantile(trace, [_LOWEST_PART, 0.5])
            for segment in self._segments:
                self._add_jumps(trace[segment] - middle, segment.start, least, low - middle)

    def _add_jumps(self, trace: np.ndarray, first: int, least: float, low: float) -> None:
        """Runs of frames that differ by at least `least` from the frame before and from the one behind."""
        for i in range(len(self._down)):
            length = i + 1
            n_runs = len(trace) - length - 1
            if n_runs < 1:
                return
            runs = np.lib.stride_tricks.sliding_window_view(trace[1:-1], length)
            before, behind = trace[:n_runs], trace[length + 1 :]
            starts = slice(first + 1, first + 1 + n_runs)
            lowest, highest = runs.min(axis=1), runs.max(axis=1)
            self._down[i, starts] += (np.minimum(before, behind) - highest > least) & (highest < low)
            around = np.maximum(before, behind)
            up = (lowest - around > least) & (lowest > 0)
            self._up[i, starts] += up
            self._rest[i, starts][up] += (around / lowest)[up]

    def found(self) -> tuple[np.ndarray, list[str]]:
        """What was found in all ROIs that were added.

        Returns
        -------
        mask : array of bool, shape (n_frames,)
            Frames that cannot be fluorescence.
        words : list of str
            One line for each kind that was found.
        """
        n_frames = len(self._lowest)
        equal, jumped = (np.zeros(n_frames, dtype=bool) for _ in range(2))
        if self._n_rois < _FEWEST_ROIS:
            return equal, []
        equal = self._lowest == self._highest
        enough = _LEAST_PART * self._n_rois
        is_artefact = self._down >= enough
        if 1.0 / self._frame_rate <= _FAST_FRAME_S:
            is_artefact |= (self._up >= enough) & (self._rest <= _LARGEST_REST * self._up)
        for i, starts in enumerate(is_artefact):
            for start in np.flatnonzero(starts):
                jumped[start : start + i + 1] = True
        jumped &= ~equal
        words = []
        if equal.any():
            words.append(f"{equal.sum()} of {n_frames} frames hold one and the same value in all {self._n_rois} ROIs")
        if jumped.any():
            words.append(f"in {jumped.sum()} of {n_frames} frames most of {self._n_rois} ROIs jump together and back")
        return equal | jumped, words


def find_artefacts(
    traces: np.ndarray, frame_rate: float, segments: Sequence[int] | None = None
) -> tuple[np.ndarray, list[str]]:
    """Find frames that cannot be fluorescence.

    Parameters
    ----------
    traces : array, shape (n_rois, n_frames)
        Raw fluorescence or dF/F of all ROIs.
    frame_rate : float
        In Hz.
    segments : sequence of int, optional
        Frames of each uninterrupted segment.

    Returns
    -------
    mask : array of bool, shape (n_frames,)
        Frames that cannot be fluorescence.
    words : list of str
        One line for each kind that was found.
    """
    finder = ArtefactFinder(traces.shape[1], frame_rate, segments)
    finder.add(traces)
    return finder.found()
