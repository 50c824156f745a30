"""Running a model of the published architecture: the ensemble of the nearest noise level on every window of a trace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cascade_engine.networks.base import Progress
from cascade_engine.networks.settings import Settings
from cascade_engine.networks.store import Model
from cascade_engine.networks.windowed.weights import INPUT, MEAN_OUTPUT
from cascade_engine.parallel import work_through

#: Frames that one call of a network works on: large enough to keep it busy, small enough for the processor's cache.
_BLOCK_FRAMES = 4096


class WindowedPredictor:
    """Predicts with a model of the published architecture; see `cascade_engine.networks.base.Predictor`."""

    def __init__(self, model: Model, frame_rate: float, settings: Settings) -> None:
        self.model, self.frame_rate, self.settings = model, frame_rate, settings
        self.shortest = model.config.windowsize

    def predict(
        self,
        dff: np.ndarray,
        noise_levels: np.ndarray,
        segments: Sequence[slice],
        n_threads: int,
        progress: Progress,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Predict; a frame whose window touches a missing one, or the end of a segment, has no prediction."""
        known = self.model.noise_levels
        network_levels = np.full(len(dff), np.nan)
        usable = np.isfinite(noise_levels)
        network_levels[usable] = known[np.abs(noise_levels[usable, np.newaxis] - known).argmin(axis=1)]
        spike_prob = np.full(dff.shape, np.nan, dtype=np.float32)
        blocks = list(_plan(network_levels, segments, self.shortest))
        sessions = {level: self.model.session(f"{level:g}") for level in {block.level for block in blocks}}
        before = self.model.config.frames_before

        def run(block: _Block) -> int:
            frames = dff[block.rows, block.start : block.stop + self.shortest - 1].astype(np.float32)
            missing = np.isnan(frames)
            if missing.any():
                frames[missing] = 0.0
            output = sessions[block.level].run([MEAN_OUTPUT], {INPUT: frames})[0][:, : block.stop - block.start]
            if missing.any():
                touched = np.cumsum(np.pad(missing, ((0, 0), (1, 0))), axis=1)
                output[touched[:, self.shortest :] > touched[:, : -self.shortest]] = np.nan
            spike_prob[block.rows, block.start + before : block.stop + before] = output
            return output.size

        work_through(blocks, run, n_threads, progress)
        return spike_prob, network_levels

    def edge_frames(self, segments: Sequence[slice]) -> np.ndarray:
        """Frames at the ends of each segment that have no full window."""
        before = self.model.config.frames_before
        edges = []
        for segment in segments:
            first = min(segment.start + before, segment.stop)
            last = max(segment.stop - self.shortest + before + 1, first)
            edges += [np.arange(segment.start, first), np.arange(last, segment.stop)]
        return np.concatenate(edges) if edges else np.empty(0, dtype=int)


@dataclass(frozen=True)
class _Block:
    """A piece of work: neurons of one noise level, and the frames whose windows start in it."""

    level: float
    rows: np.ndarray
    start: int
    stop: int


def _plan(network_levels: np.ndarray, segments: Sequence[slice], windowsize: int) -> Iterator[_Block]:
    """Cut the work into blocks of bounded size that together cover every window once."""
    for level in np.unique(network_levels[np.isfinite(network_levels)]):
        rows = np.flatnonzero(network_levels == level)
        for segment in segments:
            last = segment.stop - windowsize + 1
            for start in range(segment.start, last, _BLOCK_FRAMES):
                stop = min(start + _BLOCK_FRAMES, last)
                at_once = max(1, _BLOCK_FRAMES // (stop - start))
                for first in range(0, len(rows), at_once):
                    yield _Block(level, rows[first : first + at_once], start, stop)
