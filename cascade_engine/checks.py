"""Is this dF/F? What cannot be used, and what is doubtful about the rest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cascade_engine.errors import InputError
from cascade_engine.networks.configuration import Configuration
from cascade_engine.signal.units import unit_problem

#: dF/F (fraction) that is too large to be true: F0 was near zero.
ABSURD_DFF = 1e3

#: Noise level (percent per sqrt(Hz)) that hardly any microscope reaches: most such traces were denoised or smoothed.
_DENOISED_NOISE_LEVEL = 0.1


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
    problem = unit_problem(middle, float(np.nanmedian(levels[usable])), peak)
    if problem:
        raise InputError(f"{problem}; or pass check_units=False if this is right")


def doubts(
    config: Configuration,
    frame_rate: float,
    levels: np.ndarray,
    usable: np.ndarray,
    known_levels: np.ndarray,
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

    Returns
    -------
    list of str
        Empty if all is well.
    """
    found = []
    doubt = config.doubt_about_rate(frame_rate)
    if doubt:
        found.append(doubt)
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
        found.append(
            f"{np.count_nonzero(denoised)} of {n_all} neurons have a noise level below {_DENOISED_NOISE_LEVEL:g}, "
            f"down to {levels.min():.2g}, as of denoised or smoothed traces: use the original ones"
        )
    elif below.any():
        found.append(
            f"{np.count_nonzero(below)} of {n_all} neurons have noise levels down to {levels.min():.2g}, but the model "
            f"knows only down to {lowest:g}: a model for less noise would do better"
        )
    return found


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
