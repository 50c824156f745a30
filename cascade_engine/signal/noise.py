"""The noise level of a dF/F trace, by which the network is chosen and its accuracy can be predicted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cascade_engine.declared import checked_number
from cascade_engine.errors import InputError
from cascade_engine.signal.masked import unmasked
from cascade_engine.signal.segments import segment_slices

#: Frame rates (Hz) that a recording of calcium can have, and how they are written.
FRAME_RATE_LIMITS, FRAME_RATE_HINT = (0.1, 2000.0), "frames per second, not s per frame or kHz"

#: Noise levels that can be told or asked for, and how they are written.
NOISE_LIMITS, NOISE_UNIT, NOISE_HINT = (0.05, 100.0), "% per sqrt(Hz)", "1.5 is a usual one"

#: What noise levels are called: name, and from where to where (percent per sqrt(Hz)).
NOISE_ZONES = (("very good", 0.0, 2.0), ("decent", 2.0, 5.0), ("poor", 5.0, np.inf))

#: Median of |x1 - x2| for two independent standard normal numbers: sqrt(2) times the normal's 75 % quantile.
MEDIAN_ABS_DIFFERENCE = 0.9538725524


def noise_levels(dff: np.ndarray, frame_rate: float, segments: Sequence[int] | None = None) -> np.ndarray:
    """Standardized noise level of each neuron.

    ``100 * median(|dff[t + 1] - dff[t]|) / sqrt(frame_rate)``: the shot noise of the recording, comparable between
    frame rates. About 1 is very good, 3-4 is decent, above 5 is poor.

    Parameters
    ----------
    dff : array, shape (n_neurons, n_frames)
        dF/F as a fraction (0.5 is 50 %). Missing frames are NaN, or masked, and ignored.
    frame_rate : float
        Frames per second of each neuron's trace, in Hz.
    segments : sequence of int, optional
        Frames of each segment; differences from one segment to the next are left out.

    Returns
    -------
    array, shape (n_neurons,), float64
        Noise levels in percent per sqrt(Hz); NaN for a neuron without two neighbouring frames.

    Raises
    ------
    InputError
        If `dff` is not two-dimensional or `frame_rate` cannot be one.

    References
    ----------
    Rupprecht et al. (2021), Nature Neuroscience 24:1324, Methods.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> noise_levels(0.1 * rng.standard_normal((1, 10_000)), frame_rate=30.0).round(1)
    array([1.8])
    """
    dff = as_traces(dff)
    frame_rate = as_frame_rate(frame_rate)
    n_neurons, n_frames = dff.shape
    slices = [segment for segment in segment_slices(n_frames, segments) if segment.stop - segment.start > 1]
    levels = np.full(n_neurons, np.nan)
    for neuron in range(n_neurons):
        with np.errstate(over="ignore", invalid="ignore"):  # infinite values give none
            differences = [np.abs(np.diff(dff[neuron, segment])) for segment in slices]
        steps = np.concatenate(differences) if differences else np.empty(0)
        steps = steps[~np.isnan(steps)]
        if steps.size:
            levels[neuron] = np.median(steps)
    return 100.0 * levels / np.sqrt(frame_rate)


def noise_level_to_sd(noise_level: float, frame_rate: float) -> float:
    """Standard deviation per frame (dF/F, fraction) of white noise with this noise level (% per sqrt(Hz))."""
    return noise_level * np.sqrt(frame_rate) / (100.0 * MEDIAN_ABS_DIFFERENCE)


def sd_to_noise_level(noise_sd: float, frame_rate: float) -> float:
    """Noise level (% per sqrt(Hz)) of white noise with this standard deviation per frame (dF/F, fraction)."""
    return 100.0 * MEDIAN_ABS_DIFFERENCE * noise_sd / np.sqrt(frame_rate)


def as_traces(dff: np.ndarray) -> np.ndarray:
    """Check that `dff` is a numeric array of shape (n_neurons, n_frames), and return it as floating point.

    Masked values are NaN then.
    """
    dff = unmasked(dff)
    if dff.ndim != 2:
        hint = "; for one neuron pass dff[np.newaxis]" if dff.ndim == 1 else ""
        raise InputError(f"dff must have the shape (n_neurons, n_frames), but its shape is {dff.shape}{hint}")
    if not (np.issubdtype(dff.dtype, np.floating) or np.issubdtype(dff.dtype, np.integer)):
        raise InputError(f"dff must hold real numbers, but its type is {dff.dtype}")
    return dff if np.issubdtype(dff.dtype, np.floating) else dff.astype(np.float32)


def as_frame_rate(frame_rate: float) -> float:
    """Check that `frame_rate` is a number of frames per second (Hz), and not of s per frame or of kHz."""
    return checked_number("frame_rate", frame_rate, FRAME_RATE_LIMITS, "Hz", FRAME_RATE_HINT)
