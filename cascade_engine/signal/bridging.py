"""Short runs of missing frames, filled in by straight lines for a network to see."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cascade_engine.signal.segments import LONGEST_GAP_S

#: Longest run of missing frames that is filled in. Up to here the spikes found around it are nearer to those of the
#: whole trace than with a mask, at every frame rate (``benchmarks/accuracy/missing_frames.py``).
_LONGEST_RUN = 10


def longest_bridge(frame_rate: float) -> int:
    """Longest run of missing frames that is filled in at a frame rate (Hz): never more than `LONGEST_GAP_S`."""
    return max(1, min(_LONGEST_RUN, int(LONGEST_GAP_S * frame_rate)))


def bridge(dff: np.ndarray, frame_rate: float, segments: Sequence[slice]) -> np.ndarray:
    """Fill in short runs of missing frames by straight lines between the frames on either side.

    Spikes around missing frames are then found as if none were missing, and a network of windows loses none there. Runs
    of more than `longest_bridge` stay missing, and so do frames at the ends of a segment.

    Parameters
    ----------
    dff : array, shape (n_neurons, n_frames)
        dF/F; NaN where it is missing.
    frame_rate : float
        In Hz.
    segments : sequence of slice
        Uninterrupted segments; no line reaches from one into the next.

    Returns
    -------
    array, shape (n_neurons, n_frames)
        A copy; `dff` itself if nothing is missing.

    Examples
    --------
    >>> bridge(np.array([[np.nan, 1.0, np.nan, 2.0]]), 30.0, [slice(0, 4)])
    array([[nan, 1. , 1.5, 2. ]])
    """
    missing = np.isnan(dff)
    if not missing.any():
        return dff
    filled, longest = dff.copy(), longest_bridge(frame_rate)
    for row in np.flatnonzero(missing.any(axis=1)):
        for part in segments:
            gaps = missing[row, part]
            edges = np.flatnonzero(np.diff(gaps, prepend=False, append=False))
            first, end = edges[::2], edges[1::2]
            is_short = (end - first <= longest) & (first > 0) & (end < len(gaps))
            here, known = np.flatnonzero(gaps)[np.repeat(is_short, end - first)], np.flatnonzero(~gaps)
            if len(here):
                filled[row, part][here] = np.interp(here, known, dff[row, part][known])
    return filled
