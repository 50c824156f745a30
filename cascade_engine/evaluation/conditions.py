"""Test data: ground truth at a wanted frame rate and noise level, and its spikes smoothed as they are predicted."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from cascade_engine.ground_truth.clocks import clock_shifts
from cascade_engine.ground_truth.records import Neuron
from cascade_engine.ground_truth.resampling import add_noise, count_spikes, resample
from cascade_engine.signal.kernels import smooth_spikes

#: Frames at either end of a recording that are not scored: a window of the published network does not reach them.
EDGE_FRAMES = 32

#: Frames of a recording that must be left to score.
_SHORTEST_SCORED = 32


@dataclass(frozen=True)
class Condition:
    """Frame rate and noise level of a test, and the kernel of what is predicted.

    Attributes
    ----------
    frame_rate : float
        In Hz.
    smoothing : float
        Width of the kernel in s.
    noise_level : float or None
        In percent per sqrt(Hz); noisier recordings are left out. None: recordings as they are.
    kernel : {"gaussian", "causal"}
        Form of the kernel.
    """

    frame_rate: float
    smoothing: float
    noise_level: float | None = None
    kernel: str = "gaussian"

    @property
    def label(self) -> str:
        """Short name, e.g. ``30Hz_50ms_noise2``."""
        noise = "native" if self.noise_level is None else f"{self.noise_level:g}"
        causal = "_causal" if self.kernel == "causal" else ""
        return f"{self.frame_rate:g}Hz_{1000 * self.smoothing:g}ms{causal}_noise{noise}"


#: Noise levels (percent per sqrt(Hz)) at which models are evaluated.
NOISE_LEVELS = (2.0, 4.0, 8.0)

#: Conditions under which models are evaluated, as far as they are made for them.
STANDARD_CONDITIONS = (
    *(Condition(30.0, 0.05, level) for level in (*NOISE_LEVELS, None)),
    *(Condition(7.5, 0.2, level) for level in (*NOISE_LEVELS, None)),
    *(Condition(15.0, 0.1, level) for level in (*NOISE_LEVELS, None)),
    Condition(30.0, 0.05, 2.0, "causal"),
    Condition(3.0, 0.5, 2.0),
    Condition(100.0, 0.02, 4.0),
    Condition(60.0, 0.025, None),
    *(Condition(30.0, 0.025, level) for level in NOISE_LEVELS),
    *(Condition(30.0, 0.2, level) for level in NOISE_LEVELS),
)


@dataclass(frozen=True)
class TestTrace:
    """All recordings of a neuron under one condition, concatenated.

    Attributes
    ----------
    dataset, cell : str
        Where it comes from.
    dff : array, shape (1, n_frames), float32
        dF/F as a fraction.
    frame_rate : float
        In Hz.
    segments : list of int
        Frames of each recording.
    noise_level : float
        The condition's, or the neuron's own, in percent per sqrt(Hz).
    spikes, aligned_spikes : array, shape (n_frames,)
        Spikes per frame, as published and with clocks aligned (`cascade_engine.ground_truth.clocks`).
    target, aligned_target : array, shape (n_frames,)
        The same, smoothed with the kernel of the condition.
    scored : array of bool, shape (n_frames,)
        Frames that count: all but the ends of each recording.
    """

    __test__ = False  # pytest would collect it by its name

    dataset: str
    cell: str
    dff: np.ndarray
    frame_rate: float
    segments: list[int]
    noise_level: float
    spikes: np.ndarray
    aligned_spikes: np.ndarray
    target: np.ndarray
    aligned_target: np.ndarray
    scored: np.ndarray


def make_trace(neuron: Neuron, condition: Condition, seed: int = 0) -> TestTrace | None:
    """Make the test data of a neuron under a condition.

    Parameters
    ----------
    neuron : Neuron
        Ground truth.
    condition : Condition
        Frame rate, noise level and kernel.
    seed : int
        Seed of the noise; the same for every method that is compared.

    Returns
    -------
    TestTrace or None
        None if no recording is long enough and quiet enough.
    """
    name = f"{neuron.dataset}/{neuron.cell}/{condition.frame_rate:g}/{condition.noise_level}"
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    shift_s = clock_shifts().get(neuron.dataset, 0.0)
    traces, spikes, aligned, levels, rates = [], [], [], [], []
    for recording in neuron.recordings:
        resampled = resample(recording, condition.frame_rate)
        if len(resampled.dff) < 2 * EDGE_FRAMES + _SHORTEST_SCORED:
            continue
        dff = resampled.dff if condition.noise_level is None else add_noise(resampled, condition.noise_level, rng)
        if dff is None:
            continue
        traces.append(dff)
        spikes.append(resampled.counts)
        shifted_s = recording.spike_times_s + shift_s
        aligned.append(count_spikes(shifted_s, recording.time_s[0], resampled.frame_rate, len(dff)))
        levels.append(resampled.noise_level if condition.noise_level is None else condition.noise_level)
        rates.append(resampled.frame_rate)
    if not traces:
        return None

    def smoothed(counts: list[np.ndarray]) -> np.ndarray:
        pairs = zip(counts, rates, strict=True)
        return np.concatenate([smooth_spikes(c, rate, condition.smoothing, condition.kernel) for c, rate in pairs])

    segments = [len(trace) for trace in traces]
    inner = [np.arange(n) for n in segments]
    return TestTrace(
        dataset=neuron.dataset,
        cell=neuron.cell,
        dff=np.concatenate(traces)[np.newaxis],
        frame_rate=float(np.average(rates, weights=segments)),
        segments=segments,
        noise_level=float(np.average(levels, weights=segments)),
        spikes=np.concatenate(spikes),
        aligned_spikes=np.concatenate(aligned),
        target=smoothed(spikes),
        aligned_target=smoothed(aligned),
        scored=np.concatenate([(i >= EDGE_FRAMES) & (i < len(i) - EDGE_FRAMES) for i in inner]),
    )
