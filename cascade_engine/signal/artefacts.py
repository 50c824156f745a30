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

#: How far a ROI must jump: a multiple of what four in five steps from frame to frame stay below, five standard
#: deviations where there is noise alone. And which part of the ROIs must jump together.
_USUAL_STEP_QUANTILE, _LEAST_JUMP, _LEAST_PART = 0.8, 2.75, 0.8

#: A jump downwards must end below all but this part of a ROI's frames, not only below activity on either side of it.
_LOWEST_PART = 0.1

#: Which part of a jump upwards may be there one frame before and one frame later, on average over the ROIs. Within
#: `_FAST_FRAME_S` even the fastest indicator keeps more; slower frames cannot tell a flash from spikes of all neurons.
_LARGEST_REST, _FAST_FRAME_S = 0.15, 0.11

#: A ROI that stays the same in more than this part of the steps between frames is of no use: padded or sparse.
_MOST_EQUAL = 0.2

#: As many frames may hold one value in all ROIs by chance, where few different values are stored.
_BY_CHANCE = 0.01


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
    rois = [trace for trace in traces if _varies(trace)]
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


def _repeated_part(trace: np.ndarray, equal: np.ndarray, slices: Sequence[slice]) -> float:
    """In which part of the steps between frames a ROI stays the same, apart from frames at one value in all ROIs."""
    steps = _steps(np.where(equal, np.nan, trace), slices)
    return float(np.mean(steps == 0)) if steps.size else 1.0


def _is_far_above_zero(trace: np.ndarray, slices: Sequence[slice]) -> bool:
    return bool(np.nanmin(trace) > _LEAST_JUMP * np.quantile(_steps(trace, slices), _USUAL_STEP_QUANTILE))


def _jumps(rois: Sequence[np.ndarray], frame_rate: float, slices: Sequence[slice]) -> np.ndarray:
    """Frames in which most ROIs differ from the frame before and from the one behind."""
    jumped = np.zeros(len(rois[0]), dtype=bool)
    leasts = [_LEAST_JUMP * np.quantile(_steps(trace, slices), _USUAL_STEP_QUANTILE) for trace in rois]
    levels = [np.nanquantile(trace, [_LOWEST_PART, 0.5]) for trace in rois]
    for length in range(1, max(1, int(min(_LONGEST_RUN, round(_LONGEST_S * frame_rate)))) + 1):
        for segment in slices:
            n_runs = segment.stop - segment.start - length - 1
            if n_runs < 1:
                continue
            n_down, n_up, n_present, rest_before, rest_behind = np.zeros((5, n_runs))
            for trace, least, (low, middle) in zip(rois, leasts, levels, strict=True):
                trace = trace[segment]
                runs = [trace[1 + i : 1 + i + n_runs] for i in range(length)]
                lowest, highest = np.minimum.reduce(runs), np.maximum.reduce(runs)
                before, behind = trace[:n_runs], trace[length + 1 :]
                rested = np.concatenate([trace[:1], trace[: n_runs - 1]])
                rested = np.where(lowest - rested > least, rested, before)
                is_up = (lowest - np.maximum(before, behind) > least) & (lowest > middle)
                height = (lowest - rested)[is_up]
                rest_before[is_up] += (before - rested)[is_up] / height
                rest_behind[is_up] += (behind - rested)[is_up] / height
                n_up += is_up
                n_down += (np.minimum(before, behind) - highest > least) & (highest < low)
                n_present += np.isfinite(before + lowest + behind)
            enough = _LEAST_PART * np.maximum(n_present, FEWEST_ROIS)
            is_jump = n_down >= enough
            if 1.0 / frame_rate <= _FAST_FRAME_S:
                is_jump |= (n_up >= enough) & (np.maximum(rest_before, rest_behind) <= _LARGEST_REST * n_up)
            for start in segment.start + 1 + np.flatnonzero(is_jump):
                jumped[start : start + length] = True
    return jumped
