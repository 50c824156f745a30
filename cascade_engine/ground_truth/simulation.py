"""Simulated ground truth: spikes, and the dF/F that an indicator would make of them.

Simulated, not recorded: it serves tests, demonstrations and users without a download. Spike trains of varied rate and
burstiness drive calcium that rises and decays exponentially and binds the indicator with saturation; noise grows with
the square root of the brightness, as shot noise does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cascade_engine.declared import checked_number
from cascade_engine.ground_truth.records import Dataset, Neuron, Recording
from cascade_engine.signal.noise import NOISE_HINT, NOISE_LIMITS, NOISE_UNIT, as_frame_rate, noise_level_to_sd

#: The kinetics are integrated at this rate (Hz) or a multiple of the frame rate above it.
_FINE_RATE = 500.0


@dataclass(frozen=True)
class Indicator:
    """Kinetics of a calcium indicator in one neuron.

    Attributes
    ----------
    amplitude : float
        dF/F (fraction) at the peak of an isolated spike, before saturation.
    rise_s, decay_s : float
        Time constants of rise and decay in s.
    saturation : float
        dF/F (fraction) that a fully bound indicator would reach.
    hill : float
        Exponent of binding; above 1 a second spike adds more than the first.
    """

    amplitude: float = 0.15
    rise_s: float = 0.04
    decay_s: float = 0.6
    saturation: float = 4.0
    hill: float = 1.3

    @classmethod
    def random(cls, rng: np.random.Generator) -> Indicator:
        """Draw an indicator from the range that real ones span."""
        return cls(
            amplitude=float(np.exp(rng.uniform(np.log(0.06), np.log(0.4)))),
            rise_s=float(rng.uniform(0.01, 0.1)),
            decay_s=float(np.exp(rng.uniform(np.log(0.3), np.log(1.6)))),
            saturation=float(rng.uniform(2.0, 8.0)),
            hill=float(rng.uniform(1.0, 1.8)),
        )


def simulate_spikes(duration_s: float, rate_hz: float, burstiness: float, rng: np.random.Generator) -> np.ndarray:
    """Spike times of a neuron whose rate wanders slowly and whose spikes come partly in bursts.

    Parameters
    ----------
    duration_s : float
        Length in s.
    rate_hz : float
        Mean spike rate in Hz.
    burstiness : float
        Mean number of further spikes that follow each spike within a burst, 10 ms apart on average.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    array, shape (n_spikes,)
        Sorted spike times in s, at least 2 ms apart.
    """
    bin_s = 0.1
    n_bins = int(np.ceil(duration_s / bin_s))
    drift = rng.standard_normal(n_bins)
    memory = np.exp(-bin_s / 2.0)
    for i in range(1, n_bins):
        drift[i] = memory * drift[i - 1] + np.sqrt(1 - memory**2) * drift[i]
    log_sd = 1.0
    modulation = np.exp(log_sd * drift - 0.5 * log_sd**2)
    onsets = rng.poisson(rate_hz / (1.0 + burstiness) * bin_s * modulation)
    starts = (np.repeat(np.arange(n_bins), onsets) + rng.random(onsets.sum())) * bin_s
    times = [starts]
    for start, n_more in zip(starts, rng.poisson(burstiness, len(starts)), strict=True):
        times.append(start + np.cumsum(0.004 + rng.exponential(0.006, n_more)))
    spikes = np.sort(np.concatenate(times))
    spikes = spikes[spikes < duration_s]
    return spikes[np.concatenate([[True], np.diff(spikes) > 0.002])] if spikes.size else spikes


def simulate_dff(
    spike_times_s: np.ndarray,
    n_frames: int,
    frame_rate: float,
    noise_level: float,
    indicator: Indicator,
    rng: np.random.Generator,
) -> np.ndarray:
    """dF/F that these spikes would give.

    Parameters
    ----------
    spike_times_s : array, shape (n_spikes,)
        Spike times in s; frame ``i`` is taken at ``i / frame_rate``.
    n_frames : int
        Frames to make.
    frame_rate : float
        Frame rate in Hz.
    noise_level : float
        Noise level of the result in percent per sqrt(Hz).
    indicator : Indicator
        Kinetics.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    array, shape (n_frames,), float32
        dF/F as a fraction.
    """
    from scipy.signal import lfilter

    per_frame = int(np.ceil(_FINE_RATE / frame_rate))
    step_s = 1.0 / (frame_rate * per_frame)
    counts = np.bincount(
        np.minimum((np.asarray(spike_times_s) / step_s).astype(int), n_frames * per_frame - 1),
        minlength=n_frames * per_frame,
    ).astype(float)
    decay, rise = np.exp(-step_s / indicator.decay_s), np.exp(-step_s / indicator.rise_s)
    calcium = lfilter([1.0], [1.0, -decay], counts) - lfilter([1.0], [1.0, -rise], counts)
    lag_s = np.log(indicator.decay_s / indicator.rise_s) / (1 / indicator.rise_s - 1 / indicator.decay_s)
    calcium /= np.exp(-lag_s / indicator.decay_s) - np.exp(-lag_s / indicator.rise_s)
    half_bound = (indicator.saturation / indicator.amplitude - 1.0) ** (1.0 / indicator.hill)
    bound = np.maximum(calcium, 0.0) ** indicator.hill
    clean = indicator.saturation * bound / (bound + half_bound**indicator.hill)
    clean = clean[::per_frame]
    sd = noise_level_to_sd(noise_level, frame_rate)
    brightness = np.sqrt(1.0 + clean)
    return (clean + sd * brightness / np.median(brightness) * rng.standard_normal(n_frames)).astype(np.float32)


def simulate_dataset(
    n_neurons: int = 8,
    duration_s: float = 300.0,
    frame_rate: float = 30.0,
    noise_level: float = 1.0,
    seed: int = 0,
    indicator: Indicator | None = None,
) -> Dataset:
    """A dataset of simulated neurons, to be used wherever recorded ground truth can be.

    Parameters
    ----------
    n_neurons : int
        Neurons; each has its own spike rate, burstiness and, unless given, indicator kinetics.
    duration_s : float
        Length of each recording in s.
    frame_rate : float
        Frame rate in Hz.
    noise_level : float
        Noise level in percent per sqrt(Hz).
    seed : int
        Seed; the same seed gives the same dataset.
    indicator : Indicator, optional
        Kinetics shared by all neurons.

    Returns
    -------
    Dataset
        Named ``simulated``, one recording per neuron.
    """
    frame_rate = as_frame_rate(frame_rate)
    checked_number("noise_level", noise_level, (0.0, NOISE_LIMITS[1]), NOISE_UNIT, NOISE_HINT)
    checked_number("n_neurons", n_neurons, (1, 1e6))
    checked_number("duration_s", duration_s, (0.0, 1e6), "s")
    n_frames = round(duration_s * frame_rate)
    neurons = []
    for number, rng in enumerate(np.random.default_rng(seed).spawn(n_neurons), start=1):
        kinetics = indicator or Indicator.random(rng)
        rate_hz = float(np.exp(rng.uniform(np.log(0.1), np.log(2.0))))
        spikes = simulate_spikes(duration_s, rate_hz, burstiness=float(rng.uniform(0.0, 2.0)), rng=rng)
        dff = simulate_dff(spikes, n_frames, frame_rate, noise_level, kinetics, rng)
        recording = Recording("simulated", np.arange(n_frames) / frame_rate, dff, spikes)
        neurons.append(Neuron("simulated", f"cell{number:02d}", [recording], ["simulated, not recorded"]))
    return Dataset("simulated", neurons)
