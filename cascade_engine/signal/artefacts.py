"""Frames that cannot be fluorescence: all ROIs at one value, or most of them jumping together and back at once.

A closed shutter, frames that were lost and stored as 0, a saturated detector and flashes of stimulation light hit all
ROIs in the same frames. No calcium signal does that: it rises together in many cells at most, and then decays.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cascade_engine.signal.segments import segment_slices

#: Names of the two kinds of frames that are found.
ONE_VALUE, JUMP = "with one value in all ROIs", "with a jump of most ROIs and back"

#: Fewest ROIs that can be judged together; with fewer, only frames at exactly 0 are found.
FEWEST_ROIS = 4

#: Longest run of frames (and s) that is taken for a jump and back.
_LONGEST_RUN, _LONGEST_S = 5, 0.35

#: Four in five steps from frame to frame stay below so many standard deviations, where there is noise alone.
_USUAL_STEP_QUANTILE, _USUAL_STEP_SD = 0.8, 1.81

#: A jump is as large as this: in standard deviations of the middle ROI, and of the noise that the middle of all has.
_LEAST_JUMP, _LEAST_COMMON_JUMP = 2.5, 5.0

#: Part of the ROIs that must jump, and by which part at least of what the middle one does.
_LEAST_PART, _LEAST_HEIGHT = 0.8, 0.3

#: A jump downwards must end below all but this part of the frames, not only below activity on either side of it.
_LOWEST_PART = 0.1

#: After spikes of all neurons, as much as the fastest indicator leaves after a frame is left; after a flash, nothing.
#: Half of it is the limit, and it must be so many standard deviations of noise away from both. Where less than the
#: last number remains, in slow recordings, a flash cannot be told from spikes.
_FASTEST_DECAY_S, _CERTAINTY, _LEAST_REST = 0.1, 3.0, 0.1

#: A ROI that stays the same in more than this part of the steps between frames is of no use: padded or sparse.
_MOST_EQUAL = 0.2

#: Frames whose median is taken at a time.
_FRAMES_AT_ONCE = 8192

#: As many frames may hold one value in all ROIs by chance, where few different values are stored.
_BY_CHANCE = 0.01


@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # damaged numbers
def find_artefacts(
    traces: np.ndarray, frame_rate: float, segments: Sequence[int] | None = None
) -> dict[str, np.ndarray]:
    """Find frames that cannot be fluorescence.

    Parameters
    ----------
    traces : array, shape (n_rois, n_frames)
        Raw fluorescence or dF/F; NaN where it is missing. ROIs that are constant, empty or sparse are not counted.
    frame_rate : float
        In Hz.
    segments : sequence of int, optional
        Frames of each uninterrupted segment; jumps are not looked for from one segment to the next.

    Returns
    -------
    dict of str to array of bool, shape (n_frames,)
        The frames of each kind that was found, `ONE_VALUE` or `JUMP`; no frame is of both kinds.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> fluorescence = 100 + rng.standard_normal((8, 600))
    >>> fluorescence[:, 200:203] = 0
    >>> fluorescence[:, 400] += 50
    >>> {kind: np.flatnonzero(mask).tolist() for kind, mask in find_artefacts(fluorescence, 30.0).items()}
    {'with one value in all ROIs': [200, 201, 202], 'with a jump of most ROIs and back': [400]}
    """
    traces = np.asarray(traces, dtype=np.result_type(traces, np.float32))
    n_frames = traces.shape[1]
    slices = segment_slices(n_frames, segments)
    rois = [np.where(np.isfinite(trace), trace, np.nan) for trace in traces if _varies(trace)]
    equal = _at_one_value(rois, n_frames)
    repeats = np.array([_repeated_part(trace, equal, slices) for trace in rois])
    if (repeats > _MOST_EQUAL).any():
        rois = [trace for trace, part in zip(rois, repeats, strict=True) if part <= _MOST_EQUAL]
        repeats = repeats[repeats <= _MOST_EQUAL]
        equal = _at_one_value(rois, n_frames)
    if len(rois) < FEWEST_ROIS:
        equal &= all(_is_far_above_zero(np.where(equal, np.nan, trace), slices) for trace in rois)
    elif n_frames * np.prod(np.sort(repeats)[:-1]) > _BY_CHANCE:
        equal[:] = False
    found = {ONE_VALUE: equal}
    if len(rois) >= FEWEST_ROIS:
        # what is missing, or found already, is as if it had never been recorded
        present = ~equal & np.any([np.isfinite(trace) for trace in rois], axis=0)
        lengths = [int(np.count_nonzero(present[segment])) for segment in slices]
        found[JUMP] = np.zeros(n_frames, dtype=bool)
        found[JUMP][present] = _jumps(
            [trace[present] for trace in rois], frame_rate, segment_slices(int(present.sum()), lengths)
        )
    return {kind: mask for kind, mask in found.items() if mask.any()}


def _varies(trace: np.ndarray) -> bool:
    finite = trace[np.isfinite(trace)]
    return bool(finite.size) and finite.min() < finite.max()


def _at_one_value(rois: Sequence[np.ndarray], n_frames: int) -> np.ndarray:
    """Frames in which all ROIs with a value have the same one, 0 if they are few; half of them must have one."""
    lowest, highest = np.full(n_frames, np.inf), np.full(n_frames, -np.inf)
    n_present = np.zeros(n_frames, dtype=int)
    for trace in rois:
        finite = np.isfinite(trace)
        np.minimum(lowest, trace, out=lowest, where=finite)
        np.maximum(highest, trace, out=highest, where=finite)
        n_present += finite
    if len(rois) < FEWEST_ROIS:
        return (lowest == 0) & (highest == 0)
    return (lowest == highest) & (n_present >= max(0.5 * len(rois), FEWEST_ROIS))


def _steps(trace: np.ndarray, slices: Sequence[slice]) -> np.ndarray:
    """Sizes of the steps from frame to frame, where both have a value."""
    steps = np.concatenate([np.abs(np.diff(trace[segment])) for segment in slices])
    return steps[np.isfinite(steps)]


def _noise_sd(trace: np.ndarray, slices: Sequence[slice]) -> float:
    """Standard deviation of the noise; activity hardly counts."""
    return float(np.quantile(_steps(trace, slices), _USUAL_STEP_QUANTILE)) / _USUAL_STEP_SD


def _repeated_part(trace: np.ndarray, equal: np.ndarray, slices: Sequence[slice]) -> float:
    """In which part of the steps between frames a ROI stays the same, apart from frames at one value in all ROIs."""
    steps = _steps(np.where(equal, np.nan, trace), slices)
    return float(np.mean(steps == 0)) if steps.size else 1.0


def _is_far_above_zero(trace: np.ndarray, slices: Sequence[slice]) -> bool:
    return bool(np.nanmin(trace) > _LEAST_COMMON_JUMP * _noise_sd(trace, slices))


def _jumps(rois: Sequence[np.ndarray], frame_rate: float, slices: Sequence[slice]) -> np.ndarray:
    """Frames in which most ROIs differ from the frame before and from the one behind."""
    scaled = [(trace - np.nanmedian(trace)) / _noise_sd(trace, slices) for trace in rois]
    middle = _middle(scaled)
    jumped = np.zeros(len(middle), dtype=bool)
    if not _steps(middle, slices).size:
        return jumped
    noise, usual, low = _noise_sd(middle, slices), np.nanmedian(middle), np.nanquantile(middle, _LOWEST_PART)
    least_down = max(_LEAST_JUMP, _LEAST_COMMON_JUMP * noise)
    largest_rest = 0.5 * np.exp(-1.0 / (frame_rate * _FASTEST_DECAY_S))
    least_up = max(least_down, _CERTAINTY * noise / largest_rest)
    for length in range(1, max(1, int(min(_LONGEST_RUN, round(_LONGEST_S * frame_rate)))) + 1):
        for segment in slices:
            part = middle[segment]
            n_runs = len(part) - length - 1
            if n_runs < 1:
                continue
            runs = [part[1 + i : 1 + i + n_runs] for i in range(length)]
            lowest, highest = np.minimum.reduce(runs), np.maximum.reduce(runs)
            before, behind = part[:n_runs], part[length + 1 :]
            is_down = (np.minimum(before, behind) - highest > least_down) & (highest < low - least_down)
            around, height = np.maximum(before, behind) - usual, lowest - usual
            is_up = (height - around > least_up) & (height > least_up) & (around <= largest_rest * height)
            is_up &= largest_rest > _LEAST_REST
            for first in segment.start + 1 + np.flatnonzero(is_down | is_up):
                if _most_jump([trace[first - 1 : first + length + 1] for trace in scaled]):
                    jumped[first : first + length] = True
    return jumped


def _middle(rois: Sequence[np.ndarray]) -> np.ndarray:
    """Median over the ROIs of each frame; NaN where too few have a value."""
    middle = np.full(len(rois[0]), np.nan)
    for first in range(0, len(middle), _FRAMES_AT_ONCE):
        part = np.array([trace[first : first + _FRAMES_AT_ONCE] for trace in rois])
        enough = np.isfinite(part).sum(axis=0) >= FEWEST_ROIS
        middle[first : first + _FRAMES_AT_ONCE][enough] = np.nanmedian(part[:, enough], axis=0)
    return middle


def _most_jump(pieces: Sequence[np.ndarray]) -> bool:
    """Whether most ROIs jump like the middle one, between the first and the last frame of these pieces of them."""
    heights = np.array([piece[1:-1].mean() - 0.5 * (piece[0] + piece[-1]) for piece in pieces])
    heights = heights[np.isfinite(heights)]
    if len(heights) < FEWEST_ROIS:
        return False
    middle = np.median(heights)
    return bool(np.mean(heights * np.sign(middle) >= _LEAST_HEIGHT * abs(middle)) >= _LEAST_PART)
