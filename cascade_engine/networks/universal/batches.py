"""Training batches for the universal network: ground truth at many frame rates, with noise drawn afresh.

A batch has one frame rate. Datasets are drawn in proportion to a power of their length, neurons within a dataset to
the square root. Every crop counts in inverse proportion to the neuron's mean firing rate: otherwise a few busy
neurons decide what the network learns, and every quiet neuron is predicted too high. A crop that is longer than a
recording goes on with another one of the same neuron.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass
from itertools import repeat

import numpy as np

from cascade_engine.errors import InputError
from cascade_engine.ground_truth.catalogue import load_catalogue
from cascade_engine.ground_truth.raw_fluorescence import raw_fluorescence_root, with_computed_dff
from cascade_engine.ground_truth.records import Dataset, Neuron
from cascade_engine.ground_truth.resampling import Resampled, noise_to_add, resample, shot_noise_profile
from cascade_engine.networks.universal.architecture import UNKNOWN, conditions, indicator_family
from cascade_engine.networks.universal.config import UniversalConfig
from cascade_engine.networks.universal.disturbances import disturb
from cascade_engine.signal.dff import NEUROPIL_KEPT, Baseline
from cascade_engine.signal.noise import MEDIAN_ABS_DIFFERENCE, noise_level_to_sd

#: A recording is brought to at most this multiple of its own frame rate.
_HIGHEST_UPSAMPLING = 6.0

#: Rate (Hz) that is added to a neuron's mean firing rate before crops are weighted by its inverse.
_RATE_FLOOR_HZ = 0.2

#: Errors of the baseline: standard deviations, in noise and in dF/F.
_OFFSET_NOISE, _OFFSET_DFF = 0.3, 0.02

#: How often the network is given the indicator.
_INDICATOR_TOLD = 0.5

#: Frames that a recording must have, and frames without a value that are put between two recordings.
_SHORTEST_FRAMES, _GAP_FRAMES = 24, 16

#: How dF/F is computed from raw fluorescence: on frames of this rate, with what users choose.
_COMPUTED_RATE_HZ, _NEUROPIL_COEFFICIENTS = 60.0, (0.5, 0.9)
_BASELINE_WINDOWS_S, _BASELINE_PERCENTILES = (30.0, 60.0, 60.0, 120.0), (10.0, 15.0, 15.0, 25.0)


@dataclass(frozen=True)
class _Source:
    """All recordings of a neuron at one frame rate."""

    recordings: list[Resampled]
    shot_noise: list[np.ndarray]
    dataset: str
    interneuron: bool
    family: int
    share: float
    weight: float


class UniversalBatches:
    """Draws training batches.

    Parameters
    ----------
    datasets : sequence of Dataset
        Ground truth.
    config : UniversalConfig
        Frame rates, noise levels, sizes.

    Attributes
    ----------
    frame_rates : tuple of float
        Frame rates (Hz) for which there is ground truth.
    """

    def __init__(self, datasets: Sequence[Dataset], config: UniversalConfig) -> None:
        self._config = config
        indicators = {entry.folder: entry.indicator for entry in load_catalogue().values()}
        computed = _with_computed_dff(datasets, config) if config.computed_dff_share else {}
        neurons = [
            (
                version,
                dataset.name in config.interneuron_datasets,
                indicator_family(indicators.get(dataset.name, "")),
                share * of_version,
            )
            for dataset in datasets
            for neuron, share in _shares(dataset, config)
            for version, of_version in _versions(neuron, computed, config.computed_dff_share)
        ]

        def made(entry: tuple[Neuron, bool, int, float], rate: float) -> _Source | None:
            return _source(*entry, rate)

        self._sources: dict[float, list[_Source]] = {}
        with ThreadPoolExecutor() as pool:
            for rate in config.frame_rates:
                sources = pool.map(made, neurons, repeat(rate))
                self._sources[rate] = [source for source in sources if source is not None]
        self._settle()

    def _settle(self) -> None:
        self.frame_rates = tuple(rate for rate, sources in self._sources.items() if sources)
        if not self.frame_rates:
            raise InputError("no recording of the training datasets can be brought to one of the frame rates")
        weights = dict(zip(self._config.frame_rates, self._config.rate_weights, strict=False))
        shares = np.array([weights.get(rate, 1.0) for rate in self.frame_rates])
        self._rate_shares = shares / shares.sum()

    def without(self, datasets: Collection[str]) -> UniversalBatches:
        """Batches in which no neuron of `datasets` (folder names) occurs; they share the recordings of this object."""
        reduced = copy(self)
        reduced._sources = {
            rate: [source for source in sources if source.dataset not in datasets]
            for rate, sources in self._sources.items()
        }
        reduced._settle()
        return reduced

    def batch(self, rng: np.random.Generator) -> tuple[list[np.ndarray], np.ndarray]:
        """Draw a batch.

        Parameters
        ----------
        rng : numpy.random.Generator
            Source of randomness; the same state gives the same batch.

        Returns
        -------
        inputs : list of three arrays
            dF/F (batch, frames), conditions (batch, N_CONDITIONS) and mask (batch, frames), as `build_network` takes
            them.
        target : array, shape (batch, frames, 2), float32
            Spikes per frame, and the weight of each frame.
        """
        config = self._config
        rate = self.frame_rates[rng.choice(len(self.frame_rates), p=self._rate_shares)]
        sources, n_frames = self._sources[rate], config.crop_frames(rate)
        n_crops = max(1, config.frames_per_step // n_frames)
        dff, mask = (np.zeros((n_crops, n_frames), dtype=np.float32) for _ in range(2))
        target = np.zeros((n_crops, n_frames, 2), dtype=np.float32)
        stated_rates, noise_sds, interneurons = np.zeros(n_crops), np.zeros(n_crops), np.zeros(n_crops)
        families = np.full(n_crops, UNKNOWN)
        shares = np.array([source.share for source in sources])
        chosen = rng.choice(len(sources), size=n_crops, p=shares / shares.sum())
        for i, source in enumerate(sources[index] for index in chosen):
            native = rng.random() < config.native_share
            noise_level = 0.0 if native else np.exp(rng.uniform(*np.log(config.noise_range)))
            pieces = _pieces(source, n_frames, rng)
            for number, read, here in pieces:
                recording = source.recordings[number]
                noise = source.shot_noise[number][read] * rng.standard_normal(read.stop - read.start, dtype=np.float32)
                sd = noise_to_add(recording, noise_level) or 0.0  # what is noisier already stays as it is
                dff[i, here] = recording.dff[read] + np.float32(sd) * noise
                mask[i, here] = 1.0
                target[i, here, 0], target[i, here, 1] = recording.counts[read], source.weight
            if config.silent_share and rng.random() < config.silent_share:
                sd = noise_level_to_sd(np.exp(rng.uniform(*np.log(config.noise_range))), recording.frame_rate)
                dff[i] = np.float32(sd) * rng.standard_normal(n_frames, dtype=np.float32) * mask[i]
                target[i, :, 0] = 0.0
            if config.disturbed_share and rng.random() < config.disturbed_share:
                neighbour = _neighbour(sources[rng.integers(len(sources))], n_frames, rng)
                dff[i], mask[i] = disturb(dff[i], mask[i] > 0, recording.frame_rate, neighbour, rng)
                target[i] *= mask[i, :, np.newaxis]
            steps = np.abs(np.diff(dff[i]))[mask[i, 1:] * mask[i, :-1] > 0]
            least_sd = noise_level_to_sd(config.least_noise_level, recording.frame_rate)
            noise_sds[i] = max(np.median(steps) / MEDIAN_ABS_DIFFERENCE, least_sd)
            offset = _OFFSET_NOISE * noise_sds[i] * rng.standard_normal() + _OFFSET_DFF * rng.standard_normal()
            dff[i] += np.float32(offset) * mask[i]
            stated_rates[i] = recording.frame_rate * np.exp(config.rate_jitter * rng.standard_normal())
            interneurons[i] = source.interneuron
            if rng.random() < _INDICATOR_TOLD:
                families[i] = source.family
        target[:, :, 1] *= n_crops / mask.sum()
        return [dff, conditions(stated_rates, noise_sds, interneurons, families), mask], target


def _pieces(source: _Source, n_frames: int, rng: np.random.Generator) -> list[tuple[int, slice, slice]]:
    """What of which recordings of a neuron goes where in a crop, until the crop is full."""
    lengths = np.array([len(recording.dff) for recording in source.recordings])
    pieces, first = [], 0
    for number in rng.choice(len(lengths), size=len(lengths), replace=False, p=lengths / lengths.sum()):
        length = min(lengths[number], n_frames - first)
        if length < _SHORTEST_FRAMES:
            break
        start = rng.integers(lengths[number] - length + 1)
        pieces.append((int(number), slice(start, start + length), slice(first, first + length)))
        first += length + _GAP_FRAMES
    return pieces


def _neighbour(source: _Source, n_frames: int, rng: np.random.Generator) -> np.ndarray:
    """dF/F of another neuron for a whole crop, repeated if it is too short."""
    dff = source.recordings[rng.integers(len(source.recordings))].dff
    return np.resize(np.roll(dff, -rng.integers(len(dff))), n_frames)


def _shares(dataset: Dataset, config: UniversalConfig) -> list[tuple[Neuron, float]]:
    """How often each neuron of a dataset is to be drawn."""
    neurons = [neuron for neuron in dataset.neurons if neuron.recordings]
    roots = np.array([np.sqrt(neuron.duration_s) for neuron in neurons])
    of_dataset = sum(neuron.duration_s for neuron in neurons) ** config.dataset_power
    if dataset.name in config.interneuron_datasets:
        of_dataset *= config.interneuron_weight
    return list(zip(neurons, (of_dataset * roots / roots.sum()).tolist(), strict=True)) if neurons else []


def _with_computed_dff(datasets: Sequence[Dataset], config: UniversalConfig) -> dict[tuple[str, str], Neuron]:
    """Neurons with the dF/F that users get, by dataset and cell; how it is computed is drawn for each neuron."""
    root = raw_fluorescence_root()
    rng = np.random.default_rng((config.seed, len(datasets)))
    found = {}
    for dataset in datasets:
        if not (root / dataset.name).is_dir():
            continue
        for neuron in dataset.neurons:
            baseline = Baseline(
                neuropil=str(rng.choice(list(NEUROPIL_KEPT))),
                window_s=float(rng.choice(_BASELINE_WINDOWS_S)),
                percentile=float(rng.choice(_BASELINE_PERCENTILES)),
            )
            coefficient = float(rng.uniform(*_NEUROPIL_COEFFICIENTS))
            only = Dataset(dataset.name, [neuron])
            found[dataset.name, neuron.cell] = with_computed_dff(
                only, root, _COMPUTED_RATE_HZ, coefficient, baseline
            ).neurons[0]
    return found


def _versions(neuron: Neuron, computed: Mapping[tuple[str, str], Neuron], share: float) -> list[tuple[Neuron, float]]:
    """A neuron with the published dF/F and, where there is one, with a computed one; how often each is drawn."""
    other = computed.get((neuron.dataset, neuron.cell))
    if other is None or not other.recordings:
        return [(neuron, 1.0)]
    return [(neuron, 1.0 - share), (other, share)]


def _source(neuron: Neuron, interneuron: bool, family: int, share: float, frame_rate: float) -> _Source | None:
    recordings = [
        resample(recording, frame_rate)
        for recording in neuron.recordings
        if frame_rate <= _HIGHEST_UPSAMPLING * recording.frame_rate
    ]
    recordings = [
        recording
        for recording in recordings
        if len(recording.dff) >= _SHORTEST_FRAMES and np.isfinite(recording.noise_level)
    ]
    if not recordings:
        return None
    firing_rate_hz = neuron.n_spikes / neuron.duration_s
    return _Source(
        recordings=recordings,
        dataset=neuron.dataset,
        shot_noise=[shot_noise_profile(recording.dff) for recording in recordings],
        interneuron=interneuron,
        family=family,
        share=share,
        weight=recordings[0].frame_rate / (firing_rate_hz + _RATE_FLOOR_HZ),
    )
