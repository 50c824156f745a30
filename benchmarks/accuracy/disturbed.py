"""Disturbed copies of ground truth, for the ablation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cascade_engine.ground_truth.records import Dataset, Recording
from cascade_engine.signal.noise import noise_level_to_sd, noise_levels


def disturbed(datasets: Sequence[Dataset], seed: int) -> list[Dataset]:
    """Copies of datasets with other amplitudes and kinetics, a drifting baseline, leaks, line noise, repeated frames.

    Each neuron has its own: amplitude times exp(0.25 z), time scale times exp(0.15 z); drift and bleaching of up to a
    few percent; up to 0.2 times the activity of another neuron of the dataset; a sine of up to half the noise; up to
    0.5 % of the frames replaced by the one before.

    Parameters
    ----------
    datasets : sequence of Dataset
        Recorded ground truth.
    seed : int
        Of all that is drawn.

    Returns
    -------
    list of Dataset
        With the names of the originals.
    """
    rng = np.random.default_rng(seed)
    copies = []
    for dataset in datasets:
        others = [recording.dff for recording in dataset.recordings]
        neurons = []
        for neuron in dataset.neurons:
            gain, stretch = np.exp(0.25 * rng.standard_normal()), np.exp(0.15 * rng.standard_normal())
            recordings = [_disturbed(recording, gain, stretch, others, rng) for recording in neuron.recordings]
            neurons.append(replace(neuron, recordings=recordings))
        copies.append(replace(dataset, neurons=neurons))
    return copies


def _disturbed(recording: Recording, gain: float, stretch: float, others: list[np.ndarray], rng) -> Recording:
    n_frames, frame_rate = len(recording.dff), recording.frame_rate / stretch
    noise_sd = noise_level_to_sd(noise_levels(recording.dff[np.newaxis], frame_rate)[0], frame_rate)
    time_s = np.arange(n_frames) / frame_rate
    dff = gain * recording.dff.astype(np.float64)
    dff += rng.uniform(0, 0.2) * gain * np.resize(others[rng.integers(len(others))], n_frames)
    dff += _slow_drift(n_frames, frame_rate, rng.uniform(0, 0.04), rng) + rng.uniform(-0.05, 0.05) * time_s / time_s[-1]
    line_hz = rng.uniform(0.5, frame_rate / 2)
    dff += rng.uniform(0, 0.5) * noise_sd * np.sin(2 * np.pi * line_hz * time_s + rng.uniform(0, 6))
    repeated = np.flatnonzero(rng.random(n_frames - 1) < rng.uniform(0, 0.005)) + 1
    dff[repeated] = dff[repeated - 1]
    return replace(
        recording,
        time_s=recording.time_s * stretch,
        dff=dff.astype(np.float32),
        spike_times_s=recording.spike_times_s * stretch,
    )


def _slow_drift(n_frames: int, frame_rate: float, sd: float, rng: np.random.Generator) -> np.ndarray:
    """A baseline that wanders with periods of 20 to 300 s, in dF/F."""
    time_s = np.arange(n_frames) / frame_rate
    periods_s = np.exp(rng.uniform(np.log(20.0), np.log(300.0), 4))
    waves = [np.sin(2 * np.pi * time_s / period_s + rng.uniform(0, 6)) for period_s in periods_s]
    return sd * np.sum(waves, axis=0) / np.sqrt(2.0)
