"""Simulated neurons over wide ranges of kinetics, brightness and firing, from which to learn how large a spike can be.

There are two dozen public datasets. In each of them a spike has one brightness, so that a network learns from two dozen
examples how bright a spike can be. Simulations give as many examples as wanted. The ranges are those of fits to real
indicators, and wider.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cascade_engine.ground_truth.records import Dataset, Neuron, Recording
from cascade_engine.ground_truth.simulation import Indicator, simulate_dff, simulate_spikes

#: Ranges of what is drawn, log-uniformly, once for each dataset.
_AMPLITUDE_DFF, _RISE_S, _DECAY_S, _SATURATION_DFF = (0.02, 0.5), (0.005, 0.12), (0.2, 2.2), (1.5, 8.0)
_HILL, _FRAME_RATE_HZ = (1.0, 2.2), (20.0, 100.0)

#: And for each neuron.
_NOISE_LEVEL, _DURATION_S = (0.3, 3.0), 240.0

#: Part of the neurons that never fire: from them a network learns what noise and the surroundings alone look like.
_SILENT_PART = 0.08

#: What else real traces hold, of the surroundings and of movement: ranges of the time (s) over which it lasts, and of
#: its standard deviation in spikes.
_FLUCTUATIONS = (((0.3, 5.0), (0.02, 0.5)), ((0.03, 0.3), (0.01, 0.3)))

#: Standard deviations: of the logarithms of amplitude and decay between the neurons of a dataset, and of the baseline.
_AMPLITUDE_SPREAD, _DECAY_SPREAD, _DRIFT_DFF = 0.3, 0.15, 0.02


@dataclass(frozen=True)
class _Population:
    """Lowest and highest mean rate, and how many spikes at most follow the first of a burst on average."""

    rate_hz: tuple[float, float]
    most_bursty: float


#: One dataset in four is of interneurons.
_PRINCIPAL, _INTERNEURONS = _Population((0.05, 4.0), 2.5), _Population((0.5, 15.0), 0.5)


def simulated_datasets(n_datasets: int, n_neurons: int, seed: int) -> tuple[list[Dataset], list[str]]:
    """Simulate neurons with kinetics, nonlinearity, noise and firing over wide ranges.

    Parameters
    ----------
    n_datasets : int
        Datasets; the neurons of each share indicator and frame rate.
    n_neurons : int
        Neurons in each, of 240 s.
    seed : int
        Seed; the same seed gives the same neurons.

    Returns
    -------
    datasets : list of Dataset
        Named ``simulated-NUMBER``.
    interneurons : list of str
        Names of those that fire as interneurons do.
    """
    generators = np.random.default_rng(seed).spawn(n_datasets)
    interneurons = [f"simulated-{number}" for number in range(3, n_datasets, 4)]
    datasets = [
        _dataset(name, n_neurons, _INTERNEURONS if name in interneurons else _PRINCIPAL, rng)
        for name, rng in ((f"simulated-{number}", rng) for number, rng in enumerate(generators))
    ]
    return datasets, interneurons


def _dataset(name: str, n_neurons: int, population: _Population, rng: np.random.Generator) -> Dataset:
    indicator = Indicator(
        *(_between(rng, *limits) for limits in (_AMPLITUDE_DFF, _RISE_S, _DECAY_S, _SATURATION_DFF, _HILL))
    )
    frame_rate = _between(rng, *_FRAME_RATE_HZ)
    n_frames = round(_DURATION_S * frame_rate)
    neurons = []
    for number in range(n_neurons):
        amplitude = indicator.amplitude * np.exp(_AMPLITUDE_SPREAD * rng.standard_normal())
        decay_s = indicator.decay_s * np.exp(_DECAY_SPREAD * rng.standard_normal())
        own = replace(
            indicator,
            amplitude=min(amplitude, 0.7 * indicator.saturation),
            decay_s=max(decay_s, 1.5 * indicator.rise_s),
        )
        spikes = simulate_spikes(
            _DURATION_S, _between(rng, *population.rate_hz), rng.uniform(0, population.most_bursty), rng
        )
        if rng.random() < _SILENT_PART:
            spikes = spikes[:0]
        dff = simulate_dff(spikes, n_frames, frame_rate, _between(rng, *_NOISE_LEVEL), own, rng)
        dff += _slow_drift(n_frames, frame_rate, rng)
        for times_s, parts in _FLUCTUATIONS:
            sd = own.amplitude * _between(rng, *parts)
            dff += _fluctuation(n_frames, frame_rate, _between(rng, *times_s), sd, rng)
        recording = Recording("simulated", np.arange(n_frames) / frame_rate, dff, spikes)
        neurons.append(Neuron(name, f"cell{number}", [recording]))
    return Dataset(name, neurons)


def _slow_drift(n_frames: int, frame_rate: float, rng: np.random.Generator) -> np.ndarray:
    """A baseline that wanders with periods of 20 to 300 s, in dF/F."""
    time_s = np.arange(n_frames) / frame_rate
    waves = [np.sin(2 * np.pi * time_s / _between(rng, 20.0, 300.0) + rng.uniform(0, 2 * np.pi)) for _ in range(4)]
    return (_DRIFT_DFF * np.sum(waves, axis=0) / np.sqrt(2.0)).astype(np.float32)


def _fluctuation(n_frames: int, frame_rate: float, time_s: float, sd: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise whose correlation falls exponentially with `time_s`, in dF/F."""
    from scipy.signal import lfilter

    memory = np.exp(-1.0 / (time_s * frame_rate))
    white = rng.standard_normal(n_frames)
    return (sd * np.sqrt(1.0 - memory**2) * lfilter([1.0], [1.0, -memory], white)).astype(np.float32)


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
