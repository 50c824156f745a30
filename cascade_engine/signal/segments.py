"""Segments: the uninterrupted runs of frames in a recording.

Several imaging sessions are often concatenated into one array. No difference between neighbouring frames, no baseline
and no window of a network may reach from one segment into the next.
"""

from __future__ import annotations

from collections.abc import Sequence

from cascade_engine.errors import InputError

#: Longest gap (s) that a segment runs across; a single frame never ends one.
LONGEST_GAP_S = 2.0


def segment_slices(n_frames: int, segments: Sequence[int] | None = None) -> list[slice]:
    """Turn the frame counts of segments into slices of the time axis.

    Parameters
    ----------
    n_frames : int
        Frames of the whole recording.
    segments : sequence of int, optional
        Frames of each segment, in order. None: the whole recording is one segment.

    Returns
    -------
    list of slice
        One per segment, together all frames; segments without frames are left out.

    Raises
    ------
    InputError
        If the counts are negative or do not add up to `n_frames`.

    Examples
    --------
    >>> segment_slices(10, [4, 6])
    [slice(0, 4, None), slice(4, 10, None)]
    """
    if segments is None:
        return [slice(0, n_frames)]
    counts = [int(count) for count in segments]
    if any(count < 0 for count in counts) or sum(counts) != n_frames:
        raise InputError(
            f"the segments' frame counts {counts} add up to {sum(counts)}, but the recording has {n_frames} frames"
        )
    slices, start = [], 0
    for count in counts:
        if count:
            slices.append(slice(start, start + count))
        start += count
    return slices
