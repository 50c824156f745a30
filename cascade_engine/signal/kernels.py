"""Smoothing kernels: what one spike looks like in the output of a network.

A network is trained to give the spike train convolved with a kernel of unit sum, so that the output summed over time
counts spikes. The kernel is a Gaussian, or a causal one for uses in which the output must not precede the spike.
"""

from __future__ import annotations

import numpy as np

from cascade_engine.declared import checked_number
from cascade_engine.errors import InputError
from cascade_engine.signal.noise import as_frame_rate

KERNELS = ("gaussian", "causal")

#: Widths (s) that a kernel can have, and how they are written.
SMOOTHING_LIMITS, SMOOTHING_HINT = (0.0, 20.0), "0.05 is 50 ms"

#: At the frame rate of a recording, what is longer than both of these (s, frames) is a mistake.
_LARGEST_WIDTH_S, _LARGEST_WIDTH_FRAMES = 2.0, 3.0

#: From this width (frames) on, it may be a mistake.
_DOUBTFUL_WIDTH_FRAMES = 60

#: Part of the causal kernel's mass that may lie before the spike.
_CAUSAL_LEAD = 0.01


def smoothing_kernel(frame_rate: float, smoothing: float, kernel: str = "gaussian") -> np.ndarray:
    """Sampled kernel, centred on the frame of the spike.

    Parameters
    ----------
    frame_rate : float
        Frame rate in Hz.
    smoothing : float
        Width in s: the standard deviation of the Gaussian; for the causal kernel half the mean of the inverse-Gaussian
        density (shape parameter 1 s), which is then shifted so that 99 % of its mass follows the spike.
    kernel : {"gaussian", "causal"}
        Form of the kernel.

    Returns
    -------
    array, shape (2 * half + 1,), float64
        Weights that sum to 1; the spike is at index ``half``.

    Raises
    ------
    InputError
        For a width that is negative or longer than 20 s, or a kernel that is not known.
    """
    frame_rate = as_frame_rate(frame_rate)
    if kernel not in KERNELS:
        raise InputError(f"kernel must be one of {', '.join(KERNELS)}, but it is {kernel!r}")
    smoothing = checked_number("smoothing", smoothing, SMOOTHING_LIMITS, "s", SMOOTHING_HINT)
    if smoothing == 0:
        return np.ones(1)
    if kernel == "gaussian":
        sd_frames = smoothing * frame_rate
        half = int(4.0 * sd_frames + 0.5)
        weights = np.exp(-0.5 * (np.arange(-half, half + 1) / sd_frames) ** 2)
        return weights / weights.sum()
    from scipy.stats import invgauss

    density = invgauss(mu=2.0 * smoothing, scale=1.0)
    lead_s, tail_s = density.ppf([_CAUSAL_LEAD, 0.9999])
    half = int(np.ceil((tail_s - lead_s) * frame_rate)) + 1
    edges_s = (np.arange(-half, half + 2) - 0.5) / frame_rate + lead_s
    weights = np.diff(density.cdf(edges_s))
    return weights / weights.sum()


def check_smoothing(frame_rate: float, smoothing: float) -> None:
    """Raise `InputError` for a width (s) that nobody can mean at the frame rate (Hz) of a recording."""
    longest = max(_LARGEST_WIDTH_S, _LARGEST_WIDTH_FRAMES / frame_rate)
    checked_number("smoothing", smoothing, (SMOOTHING_LIMITS[0], longest), "s", SMOOTHING_HINT)


def doubt_smoothing(frame_rate: float, smoothing: float) -> str:
    """Why a width (s) may be a mistake at a frame rate (Hz); empty if it need not be."""
    frames = smoothing * frame_rate
    if frames <= _DOUBTFUL_WIDTH_FRAMES:
        return ""
    return f"the smoothing of {smoothing:g} s is {frames:.0f} frames wide; it is given in s: {SMOOTHING_HINT}"


def smooth_spikes(counts: np.ndarray, frame_rate: float, smoothing: float, kernel: str = "gaussian") -> np.ndarray:
    """Spike counts per frame convolved with the kernel: what a network is trained to give.

    Beyond the ends of the recording no spikes are assumed.

    Parameters
    ----------
    counts : array, shape (..., n_frames)
        Spikes per frame.
    frame_rate, smoothing, kernel
        As in `smoothing_kernel`: Hz, s, form.

    Returns
    -------
    array, shape (..., n_frames), float64
        Expected spikes per frame.
    """
    from scipy.ndimage import convolve1d

    counts, weights = np.asarray(counts, dtype=np.float64), smoothing_kernel(frame_rate, smoothing, kernel)
    beyond = len(weights) // 2 - counts.shape[-1]  # what reaches from no frame to another
    return convolve1d(counts, weights[beyond:-beyond] if beyond > 0 else weights, axis=-1, mode="constant")


def single_spike_amplitude(frame_rate: float, smoothing: float, kernel: str = "gaussian") -> float:
    """Height of one spike in the output of a perfect network.

    Use it to read a trace of spike probabilities: a peak of half this height was worth half a spike to the network.

    Parameters
    ----------
    frame_rate : float
        Frame rate in Hz.
    smoothing : float
        Width of the kernel in s, as in `smoothing_kernel`.
    kernel : {"gaussian", "causal"}
        Form of the kernel.

    Returns
    -------
    float
        Expected spikes per frame at the peak, between 0 and 1.

    Examples
    --------
    >>> round(single_spike_amplitude(frame_rate=30.0, smoothing=0.05), 3)
    0.266
    """
    return float(smoothing_kernel(frame_rate, smoothing, kernel).max())
