"""Training batches: ground truth at one frame rate and noise level, with noise drawn afresh for every batch.

The published recipe stores noisy copies of each recording; here the numbers of those copies become the probabilities
with which recordings are drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cascade_engine.errors import InputError
from cascade_engine.ground_truth.records import Dataset
from cascade_engine.ground_truth.resampling import Resampled, noise_to_add, resample, shot_noise_profile
from cascade_engine.networks.windowed.config import ModelConfig
from cascade_engine.signal.kernels import smooth_spikes

_COPIES_FACTOR, _MAX_COPIES = 1.2, 500
_MAX_SAMPLES_PER_NEURON = 8e5
_MAX_SAMPLES_PER_DATASET = 15e6


@dataclass(frozen=True)
class _Source:
    """A recording ready to be drawn from."""

    dff: np.ndarray
    target: np.ndarray
    noise_sd: np.ndarray
    dataset: int
    neuron: tuple[int, int]
    samples: float


class BatchMaker:
    """Draws training batches for one noise level.

    Parameters
    ----------
    resampled : sequence of (dataset number, neuron number, Resampled)
        Ground truth at the frame rate of the model, as made by `resample_datasets`.
    noise_level : float
        Noise level in percent per sqrt(Hz) that every recording gets; noisier ones are left out.
    config : ModelConfig
        Kernel, window and batch sizes.

    Attributes
    ----------
    n_recordings, n_neurons : int
        What is used.

    References
    ----------
    Rupprecht et al. (2021), Nature Neuroscience 24:1324, Methods: noise, numbers of copies and their limits.
    """

    def __init__(
        self, resampled: Sequence[tuple[int, int, Resampled]], noise_level: float, config: ModelConfig
    ) -> None:
        self._length = config.sequence_length
        self._reach = config.windowsize - 1
        self._before = config.frames_before
        self._n_sequences = max(1, config.batch_size // config.sequence_length)
        self._sources = [
            source
            for dataset, neuron, recording in resampled
            if (source := self._source(dataset, neuron, recording, noise_level, config)) is not None
        ]
        if not self._sources:
            raise InputError(f"no recording of the training datasets has a noise level of {noise_level:g} or less")
        samples = _limit(np.array([source.samples for source in self._sources]), self._sources)
        n_windows = np.array([len(source.dff) - self._reach for source in self._sources])
        # a recording has this many places for a sequence, those that reach beyond its ends included
        chances = samples / n_windows * (n_windows + self._length - 1)
        self._chances = chances / chances.sum()
        self.n_recordings = len(self._sources)
        self.n_neurons = len({source.neuron for source in self._sources})

    def _source(
        self, dataset: int, neuron: int, recording: Resampled, noise_level: float, config: ModelConfig
    ) -> _Source | None:
        sd = noise_to_add(recording, noise_level)
        n_windows = len(recording.dff) - self._reach
        if sd is None or n_windows < 1:
            return None
        ratio = noise_level / max(recording.noise_level, 1e-6)
        copies = min(np.ceil(_COPIES_FACTOR * ratio**2), _MAX_COPIES)
        target = smooth_spikes(recording.counts, recording.frame_rate, config.smoothing, config.kernel)
        return _Source(
            dff=recording.dff,
            target=target.astype(np.float32),
            noise_sd=np.float32(sd) * shot_noise_profile(recording.dff),
            dataset=dataset,
            neuron=(dataset, neuron),
            samples=copies * n_windows,
        )

    def batch(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draw a batch.

        Parameters
        ----------
        rng : numpy.random.Generator
            Source of randomness; the same state gives the same batch.

        Returns
        -------
        dff : array, shape (n_sequences, sequence_length + windowsize - 1, 1), float32
            Noisy dF/F.
        target : array, shape (n_sequences, sequence_length, 1), float32
            Smoothed spikes per frame, each on the frame that its window is meant to predict.
        weight : array, shape (n_sequences, sequence_length, 1), float32
            1, or 0 where a sequence reaches beyond its recording.
        """
        shape = (self._n_sequences, self._length, 1)
        dff = np.zeros((shape[0], self._length + self._reach, 1), dtype=np.float32)
        target, weight = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32)
        noise = rng.standard_normal(dff.shape[:2], dtype=np.float32)
        chosen = rng.choice(len(self._sources), size=self._n_sequences, p=self._chances)
        places = rng.random(self._n_sequences)
        for i, (index, place) in enumerate(zip(chosen, places, strict=True)):
            source = self._sources[index]
            n_windows = len(source.dff) - self._reach
            # sequences may reach beyond the ends, where they weigh nothing: so every window is drawn equally often
            start = int(place * (n_windows + self._length - 1)) - (self._length - 1)
            first, last = max(start, 0), min(start + self._length, n_windows)
            here = slice(first - start, last - start)
            read = slice(here.start, here.stop + self._reach)
            frames = slice(first, last + self._reach)
            dff[i, read, 0] = source.dff[frames] + source.noise_sd[frames] * noise[i, read]
            target[i, here, 0] = source.target[first + self._before : last + self._before]
            weight[i, here, 0] = 1.0
        return dff, target, weight


def resample_datasets(datasets: Sequence[Dataset], frame_rate: float) -> list[tuple[int, int, Resampled]]:
    """Resample all recordings to a frame rate (Hz); each comes with the numbers of its dataset and neuron."""
    return [
        (i, j, resample(recording, frame_rate))
        for i, dataset in enumerate(datasets)
        for j, neuron in enumerate(dataset.neurons)
        for recording in neuron.recordings
    ]


def _limit(samples: np.ndarray, sources: Sequence[_Source]) -> np.ndarray:
    """Apply the limits per neuron, then per dataset, by scaling what exceeds them."""
    samples = _scale_to(samples, [source.neuron for source in sources], _MAX_SAMPLES_PER_NEURON)
    datasets = [source.dataset for source in sources]
    return _scale_to(samples, datasets, _MAX_SAMPLES_PER_DATASET / len(set(datasets)))


def _scale_to(samples: np.ndarray, groups: Sequence, limit: float) -> np.ndarray:
    _, group = np.unique(np.array(groups), axis=0, return_inverse=True)
    totals = np.bincount(group.ravel(), weights=samples)
    return samples * np.minimum(1.0, limit / totals)[group.ravel()]
