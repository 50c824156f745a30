"""Running a universal model: describe each neuron by its whole trace, then predict its spikes block by block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cascade_engine.errors import ModelError
from cascade_engine.networks.base import Progress
from cascade_engine.networks.settings import POPULATIONS, Settings
from cascade_engine.networks.store import Model
from cascade_engine.networks.universal.architecture import N_CONDITIONS, UNKNOWN, conditions, indicator_family
from cascade_engine.parallel import work_through
from cascade_engine.signal.dips import find_dips
from cascade_engine.signal.kernels import smooth_spikes
from cascade_engine.signal.noise import noise_level_to_sd

#: Frames of a block, and frames on either side that it is computed with and that are then cut off: more than the
#: network can see, so that blocks join smoothly. Both are multiples of every stride.
_BLOCK_FRAMES, _MARGIN = 16384, 256

#: Frames that a segment needs to be predicted.
_SHORTEST = 16

#: Lowest expected number of spikes in a trace; smaller ones are raised to it, so that their logarithm is finite.
_FEWEST = 1e-6


class UniversalPredictor:
    """Predicts with a universal model; see `cascade_engine.networks.base.Predictor`."""

    shortest = _SHORTEST

    def __init__(self, model: Model, frame_rate: float, settings: Settings) -> None:
        self.model, self.frame_rate, self.settings = model, frame_rate, settings
        indicator = settings.given_indicator
        self._family = UNKNOWN if indicator is None else indicator_family(indicator)

    def predict(
        self,
        dff: np.ndarray,
        noise_levels: np.ndarray,
        segments: Sequence[slice],
        n_threads: int,
        progress: Progress,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Predict; frames without a value have no prediction, all others have one, up to the ends of each segment."""
        levels = np.maximum(noise_levels, self.model.config.least_noise_level)
        inputs = self.sessions()[1].get_inputs()
        if any(part.name == "conditions" and part.shape[1] != N_CONDITIONS for part in inputs):
            raise ModelError(
                f"model {self.model.name} was trained by another version of cascade-spikes: train it again"
            )
        smoothing, kernel = self.settings.resolved_kernel
        spike_prob = np.full(dff.shape, np.nan, dtype=np.float32)
        long_enough = [segment for segment in segments if segment.stop - segment.start >= _SHORTEST]
        jobs = [_Job(int(row), long_enough) for row in np.flatnonzero(np.isfinite(levels))]

        def run(job: _Job) -> int:
            expected = self.expected_spikes(dff[job.row], float(levels[job.row]), job.segments)
            for segment, found in zip(job.segments, expected, strict=True):
                smoothed = smooth_spikes(found, self.frame_rate, smoothing, kernel)
                smoothed[np.isnan(dff[job.row, segment])] = np.nan
                spike_prob[job.row, segment] = smoothed
            return sum(segment.stop - segment.start for segment in job.segments)

        work_through(jobs, run, n_threads, progress)
        return spike_prob, levels

    def expected_spikes(self, trace: np.ndarray, noise_level: float, segments: Sequence[slice]) -> list[np.ndarray]:
        """Expected spikes per frame of one neuron, not smoothed.

        Parameters
        ----------
        trace : array, shape (n_frames,)
            dF/F as a fraction; NaN where there is no value.
        noise_level : float
            In percent per sqrt(Hz).
        segments : sequence of slice
            Uninterrupted segments.

        Returns
        -------
        list of array, shape (n_frames,)
            One per segment.
        """
        without = self.by_networks(trace, noise_level, segments, UNKNOWN)
        told = self._family != UNKNOWN
        informed = self.by_networks(trace, noise_level, segments, self._family) if told else without
        return self._combine(informed, without)

    def by_networks(
        self, trace: np.ndarray, noise_level: float, segments: Sequence[slice], family: int
    ) -> list[np.ndarray]:
        """Expected spikes per frame of one neuron by each network, not smoothed.

        Parameters
        ----------
        trace : array, shape (n_frames,)
            dF/F as a fraction; NaN where there is no value.
        noise_level : float
            In percent per sqrt(Hz).
        segments : sequence of slice
            Uninterrupted segments.
        family : int
            Number of the family of the indicator that the networks are told, or `UNKNOWN`.

        Returns
        -------
        list of array, shape (n_networks, n_frames)
            One per segment.
        """
        noise_sd = noise_level_to_sd(noise_level, self.frame_rate)
        population = self.settings.population != POPULATIONS[0]
        given = conditions(self.frame_rate, np.array([noise_sd]), population, family)
        pieces = [trace[segment].astype(np.float32) for segment in segments]
        stride = self.model.config.stride
        # what lies below the rest would mislead the description of the neuron
        telling = [np.where(find_dips(piece, self.frame_rate, noise_sd), np.nan, piece) for piece in pieces]
        padded = [_padded(piece, stride) for piece in telling]
        whole, mask = (np.concatenate(arrays, axis=1) for arrays in zip(*padded, strict=True))
        context, spikes = self.sessions()
        inputs = {"conditions": given, "dff": whole, "mask": mask}
        described = {"conditions": given, "context": context.run(["context"], inputs)[0]}
        return [_expected_spikes(spikes, *_padded(piece, stride), described)[:, : len(piece)] for piece in pieces]

    def sessions(self) -> tuple[Any, Any]:
        """The two parts: what describes a neuron, and its spikes."""
        return self.model.session("context"), self.model.session("spikes")

    def _combine(self, informed: list[np.ndarray], without: list[np.ndarray]) -> list[np.ndarray]:
        """One trace per segment from those of all networks, each (networks, frames), with and without the indicator.

        The shape is the mean over the networks that were trained on ground truth, with the indicator. The number of
        spikes comes from predictions without it, which are better at that: the geometric mean of what the networks
        trained on ground truth find and of what those trained on simulated neurons find, times a gain.
        """
        config = self.model.config
        recorded = list(range(config.ensemble_size) if self.model.members is None else self.model.members)
        shapes = [segment[recorded].mean(axis=0) for segment in informed]
        n_spikes = sum(segment.sum(axis=1, dtype=np.float64) for segment in without)
        counts = [n_spikes[recorded].mean()]
        if config.simulated_networks:
            counts.append(n_spikes[config.ensemble_size :].mean())
        count = config.gain * np.exp(np.mean(np.log(np.maximum(counts, _FEWEST))))
        gain = count / max(sum(map(np.sum, shapes)), _FEWEST)
        return [np.float32(gain) * shape for shape in shapes]

    def edge_frames(self, segments: Sequence[slice]) -> np.ndarray:
        """Frames of segments that are too short."""
        short = [
            np.arange(segment.start, segment.stop) for segment in segments if segment.stop - segment.start < _SHORTEST
        ]
        return np.concatenate(short) if short else np.empty(0, dtype=int)


@dataclass(frozen=True)
class _Job:
    """One neuron and its segments."""

    row: int
    segments: Sequence[slice]


def _padded(trace: np.ndarray, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """A trace and its mask, as batches of one, filled up to a whole number of strides; missing frames are masked."""
    n_frames = -(-len(trace) // stride) * stride
    values, mask = np.zeros((1, n_frames), dtype=np.float32), np.zeros((1, n_frames), dtype=np.float32)
    present = np.isfinite(trace)
    values[0, : len(trace)] = np.where(present, trace, 0.0)
    mask[0, : len(trace)] = present
    return values, mask


def _expected_spikes(spikes, values: np.ndarray, mask: np.ndarray, described: dict[str, np.ndarray]) -> np.ndarray:
    """Expected spikes per frame of one segment by each network, shape (networks, frames), not smoothed."""
    n_frames = values.shape[1]
    blocks = []
    for start in range(0, n_frames, _BLOCK_FRAMES):
        stop = min(start + _BLOCK_FRAMES, n_frames)
        seen = slice(max(start - _MARGIN, 0), min(stop + _MARGIN, n_frames))
        inputs = {"dff": values[:, seen], "mask": mask[:, seen], **described}
        block = spikes.run(["members"], inputs)[0][0]
        blocks.append(block[:, start - seen.start : stop - seen.start])
    return np.concatenate(blocks, axis=1)
