"""Smoothing kernels: what one spike looks like in the output of a network.

A network is trained to give the spike train convolved with a kernel of unit sum, so that the output summed over time
counts spikes. The kernel is a Gaussian, or a causal one for uses in which the output must not precede the spike.
"""

from __future__ import annotations

import numpy as np

from cascade_engine.errors import InputError
from cascade_engine.signal.noise import as_frame_rate

KERNELS = ("gaussian", "causal")

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
        For a width that is negative or a kernel that is not known.
    """
    frame_rate = as_frame_rate(frame_rate)
    if kernel not in KERNELS:
        raise InputError(f"kernel must be one of {', '.join(KERNELS)}, but it is {kernel!r}")
    if not (np.isfinite(smoothing) and smoothing >= 0):
        raise InputError(f"smoothing must be a width in s, zero or more, but it is {smoothing!r}")
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

    weights = smoothing_kernel(frame_rate, smoothing, kernel)
    return convolve1d(np.asarray(counts, dtype=np.float64), weights, axis=-1, mode="constant")


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
