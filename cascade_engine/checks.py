"""Is this dF/F? What cannot be used, and what is doubtful about the rest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cascade_engine.errors import InputError
from cascade_engine.networks.configuration import Configuration
from cascade_engine.signal.orientation import doubt_orientation
from cascade_engine.signal.units import unit_problem

#: dF/F (fraction) that is too large to be true: F0 was near zero.
ABSURD_DFF = 1e3

#: What numpy writes in the place of masked values.
_NUMPY_FILL = 1e20

#: Noise level (percent per sqrt(Hz)) that hardly any microscope reaches.
_DENOISED_NOISE_LEVEL = 0.1

#: Neighbouring steps of a recorded trace have a correlation below this (`cascade_engine.signal.smoothness`).
_SMOOTHED_CORRELATION = -0.15

#: On less (s) than this a neuron cannot be described well.
_SHORT_S = 5.0


def why_transposed(n_neurons: int, n_frames: int, shortest: int) -> str:
    """Why an array looks as if its axes were exchanged; empty if it does not.

    Parameters
    ----------
    n_neurons, n_frames : int
        Its shape.
    shortest : int
        Frames that a prediction needs.

    Returns
    -------
    str
        What was found.
    """
    if n_frames >= shortest or n_neurons < shortest:
        return ""
    return (
        f"the traces are {n_neurons} neurons of {n_frames} frame{'' if n_frames == 1 else 's'}, and a prediction needs "
        f"{shortest} frames: this looks transposed"
    )


def unusable_reasons(dff: np.ndarray, windowsize: int, longest_segment: int) -> list[str]:
    """Why each neuron cannot be used; an empty string for one that can.

    Parameters
    ----------
    dff : array, shape (n_neurons, n_frames)
        dF/F as a fraction.
    windowsize : int
        Frames that one output needs.
    longest_segment : int
        Frames of the longest segment.

    Returns
    -------
    list of str
        One reason per neuron.
    """
    return [_unusable_reason(trace, windowsize, longest_segment) for trace in dff]


def _unusable_reason(trace: np.ndarray, windowsize: int, longest_segment: int) -> str:
    if longest_segment < windowsize:
        return f"too short: {longest_segment} frames without interruption, {windowsize} are needed"
    present = trace[~np.isnan(trace)]
    if present.size == 0:
        return "all values are missing"
    if np.isinf(present).any():
        return f"infinite dF/F in {np.count_nonzero(np.isinf(present))} frames"
    largest, smallest = present.max(), present.min()
    if largest == smallest:
        return f"constant: every value is {largest:g}"
    if max(largest, -smallest) == present.dtype.type(_NUMPY_FILL):
        return f"values of {_NUMPY_FILL:g}, with which numpy fills what is masked: write NaN in their place"
    if max(largest, -smallest) > ABSURD_DFF:
        return f"absurd dF/F (beyond {ABSURD_DFF:g}): F0 is near zero, or this is not dF/F"
    return ""


def check_units(dff: np.ndarray, levels: np.ndarray, usable: np.ndarray) -> None:
    """Refuse what looks like percent or like raw fluorescence.

    Parameters
    ----------
    dff : array, shape (n_neurons, n_frames)
        dF/F, meant to be a fraction.
    levels : array, shape (n_neurons,)
        Noise levels in percent per sqrt(Hz).
    usable : array of bool, shape (n_neurons,)
        Neurons to look at; the others may hold anything.

    Raises
    ------
    InputError
        Saying what was found and what to do.
    """
    if not usable.any():
        return
    middle = float(np.median([np.nanmedian(dff[i]) for i in np.flatnonzero(usable)]))
    peak = float(np.median([np.nanmax(np.abs(dff[i])) for i in np.flatnonzero(usable)]))
    known = levels[usable & np.isfinite(levels)]
    problem = unit_problem(middle, float(np.median(known)) if known.size else 0.0, peak)
    if problem:
        raise InputError(f"{problem}; or pass check_units=False if this is right")


def doubts(
    config: Configuration,
    frame_rate: float,
    levels: np.ndarray,
    usable: np.ndarray,
    known_levels: np.ndarray,
    step_correlations: np.ndarray,
) -> list[str]:
    """What makes a prediction doubtful, one line each.

    Parameters
    ----------
    config : Configuration
        Configuration of the model.
    frame_rate : float
        Frame rate of the data in Hz.
    levels : array, shape (n_neurons,)
        Noise levels in percent per sqrt(Hz).
    usable : array of bool, shape (n_neurons,)
        Neurons that are predicted.
    known_levels : array, shape (n_levels,)
        Noise levels that the model was trained for.
    step_correlations : array, shape (n_neurons,)
        As of `cascade_engine.signal.smoothness.step_correlations`.

    Returns
    -------
    list of str
        Empty if all is well.
    """
    found = []
    doubt = config.doubt_about_rate(frame_rate)
    if doubt:
        found.append(doubt)
    smoothing = doubt_noise(step_correlations[usable])
    if smoothing:
        found.append(smoothing)
    levels, n_all = levels[usable], int(np.count_nonzero(usable))
    highest, lowest = known_levels.max(), known_levels.min()
    above, below = levels > 1.25 * highest, levels < 0.5 * lowest
    denoised = levels < _DENOISED_NOISE_LEVEL
    if above.any():
        found.append(
            f"{np.count_nonzero(above)} of {n_all} neurons have noise levels up to {levels.max():.1f}, but the model "
            f"knows only up to {highest:g}: their spikes are unreliable"
        )
    if np.count_nonzero(denoised) > 0.5 * n_all:
        if not smoothing:  # else that is the reason
            found.append(
                f"{np.count_nonzero(denoised)} of {n_all} neurons have a noise level below {_DENOISED_NOISE_LEVEL:g}, "
                f"down to {levels.min():.2g}, which hardly any microscope reaches: an offset of the detector that is "
                "left in F0 makes dF/F and its noise too small (subtract it first); denoised traces cannot be used"
            )
    elif below.any():
        found.append(
            f"{np.count_nonzero(below)} of {n_all} neurons have noise levels down to {levels.min():.2g}, but the model "
            f"knows only down to {lowest:g}: a model for less noise would do better"
        )
    return found


def doubt_noise(correlations: np.ndarray) -> str:
    """A warning if most traces are smoother than a detector gives them; empty if they are not.

    Parameters
    ----------
    correlations : array, shape (n_neurons,)
        As of `cascade_engine.signal.smoothness.step_correlations`; NaN where it is not known.

    Returns
    -------
    str
        What was found and what to do.
    """
    known = correlations[np.isfinite(correlations)]
    smoothed = known > _SMOOTHED_CORRELATION
    if not np.count_nonzero(smoothed) > 0.5 * len(known):
        return ""
    return (
        f"{np.count_nonzero(smoothed)} of {len(known)} traces are smoothed, interpolated, denoised or filled: "
        f"neighbouring steps have a correlation of {np.median(known):.2f}, those of recorded noise -0.5. The noise "
        "level is then too low, and spikes are wrong: use the original traces, with NaN where there are no frames"
    )


def doubt_length(n_frames: int, frame_rate: float) -> str:
    """A warning if a recording is too short to describe a neuron; empty if it is not.

    Parameters
    ----------
    n_frames : int
        Frames of the recording.
    frame_rate : float
        In Hz.
    """
    if n_frames >= (_SHORT_S - 0.05) * frame_rate:  # as long as it is said to be, to a tenth
        return ""
    return (
        f"there are only {n_frames} frames ({n_frames / frame_rate:.2g} s at {frame_rate:g} Hz): a neuron cannot be "
        f"known from less than {_SHORT_S:g} s, so that noise level and spikes are unreliable"
    )


def check_axes(dff: np.ndarray, frame_rate: float) -> str:
    """Find out whether axes were mixed up.

    Parameters
    ----------
    dff : array, shape (n_neurons, n_frames)
        What is meant to be dF/F, neurons first.
    frame_rate : float
        In Hz.

    Returns
    -------
    str
        A warning, or empty.

    Raises
    ------
    InputError
        If it is all but certain: there are also more neurons than frames; or there are, and frames of a few seconds.
    """
    doubt = doubt_orientation(dff)
    n_neurons, n_frames = dff.shape
    if 0 < n_frames < n_neurons and (doubt or doubt_length(n_frames, frame_rate)):
        why = doubt or f"{n_frames} frames are {n_frames / frame_rate:.2g} s at {frame_rate:g} Hz"
        raise InputError(
            f"dff would be {n_neurons} neurons of {n_frames} frames, but {why}: the shape must be "
            "(n_neurons, n_frames), so pass dff.T; or check_units=False if this is right"
        )
    return f"{doubt}: the shape must be (n_neurons, n_frames)" if doubt else ""


def losses(
    missing_part: np.ndarray, segments: Sequence[slice], windowsize: int, usable: np.ndarray, bridged: int
) -> list[str]:
    """What has no prediction although its neuron has one, one line each.

    Parameters
    ----------
    missing_part : array, shape (n_neurons,)
        Part of the frames of each neuron that have no value.
    segments : sequence of slice
        Uninterrupted segments.
    windowsize : int
        Frames that one output needs.
    usable : array of bool, shape (n_neurons,)
        Neurons that are predicted.
    bridged : int
        Longest run of missing frames that is filled in for the network.

    Returns
    -------
    list of str
        Empty if nothing but the ends of segments is lost.
    """
    found = []
    short = [segment.stop - segment.start for segment in segments if segment.stop - segment.start < windowsize]
    if short and usable.any():
        found.append(
            f"{len(short)} of {len(segments)} segments have fewer than the {windowsize} frames that a prediction needs "
            f"(down to {min(short)}): none there"
        )
    gappy = missing_part[usable & (missing_part > 0)]
    if gappy.size:
        found.append(
            f"{gappy.size} of {np.count_nonzero(usable)} neurons have missing frames (up to {gappy.max():.1%}): they "
            f"have no prediction; up to {bridged} in a row were bridged for the network, longer gaps hidden from it"
        )
    return found
