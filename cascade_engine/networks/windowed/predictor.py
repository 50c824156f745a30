"""Running a model of the published architecture: the ensemble of the nearest noise level on every window of a trace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cascade_engine.errors import InputError
from cascade_engine.networks.onnx_sessions import open_session
from cascade_engine.networks.store import Model
from cascade_engine.networks.windowed.weights import INPUT, MEAN_OUTPUT
from cascade_engine.parallel import work_through

#: Frames that one call of a network works on: large enough to keep it busy, small enough for the processor's cache.
_BLOCK_FRAMES = 4096


class WindowedPredictor:
    """Predicts with a model of the published architecture.

    Parameters
    ----------
    model : Model
        The model.
    frame_rate : float
        In Hz; it is the model's.
    smoothing : float or None
        Width of the kernel in s; it can be no other than the model's.
    kernel : str or None
        Form of the kernel, likewise.
    population : str or None
        These models know only the population that they were trained on.
    indicator : str or None
        Likewise.

    Attributes
    ----------
    shortest : int
        Frames that one output needs.
    smoothing, kernel
        What the output is smoothed with.
    population, indicator : None
        They cannot be told.
    """

    def __init__(
        self,
        model: Model,
        frame_rate: float,
        smoothing: float | None = None,
        kernel: str | None = None,
        population: str | None = None,
        indicator: str | None = None,
    ):
        config = model.config
        if smoothing not in (None, config.smoothing) or kernel not in (None, config.kernel):
            raise InputError(
                f"model {model.name} gives spikes smoothed by a {config.kernel} kernel of {config.smoothing:g} s and "
                "no other: leave out smoothing and kernel, or choose the universal model"
            )
        for name, told in (("a population", population), ("an indicator", indicator)):
            if told is not None:
                raise InputError(f"model {model.name} cannot be told {name}: leave it out, or choose another model")
        self.model, self.population, self.indicator = model, None, None
        self.smoothing, self.kernel = config.smoothing, config.kernel
        self.shortest = config.windowsize

    def run(
        self,
        dff: np.ndarray,
        levels: np.ndarray,
        frame_rate: float,
        parts: Sequence[slice],
        n_threads: int,
        progress: bool,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Predict.

        Parameters
        ----------
        dff : array, shape (n_neurons, n_frames)
            dF/F as a fraction.
        levels : array, shape (n_neurons,)
            Noise level in percent per sqrt(Hz) by which to choose networks; NaN for neurons that are not predicted.
        frame_rate : float
            In Hz; these networks do not need it.
        parts : sequence of slice
            Uninterrupted sessions.
        n_threads : int
            Threads.
        progress : bool
            Show a progress bar.

        Returns
        -------
        spike_prob : array, shape (n_neurons, n_frames), float32
            Expected spikes per frame, not clipped; NaN where no whole window is.
        network_levels : array, shape (n_neurons,)
            Noise level of the networks used for each neuron.
        """
        known = self.model.noise_levels
        network_levels = np.full(len(dff), np.nan)
        usable = np.isfinite(levels)
        network_levels[usable] = known[np.abs(levels[usable, np.newaxis] - known).argmin(axis=1)]
        spike_prob = np.full(dff.shape, np.nan, dtype=np.float32)
        blocks = list(_plan(network_levels, parts, self.shortest))
        sessions = {level: open_session(self.model.read_network(level)) for level in {block.level for block in blocks}}
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

        total = sum(len(block.rows) * (block.stop - block.start) for block in blocks)
        work_through(blocks, run, total, n_threads, progress)
        return spike_prob, network_levels

    def edge_frames(self, parts: Sequence[slice]) -> np.ndarray:
        """Frames at the ends of each session that have no full window."""
        before = self.model.config.frames_before
        edges = []
        for part in parts:
            first = min(part.start + before, part.stop)
            last = max(part.stop - self.shortest + before + 1, first)
            edges += [np.arange(part.start, first), np.arange(last, part.stop)]
        return np.concatenate(edges) if edges else np.empty(0, dtype=int)


@dataclass(frozen=True)
class _Block:
    """A piece of work: neurons of one noise level, and the frames whose windows start in it."""

    level: float
    rows: np.ndarray
    start: int
    stop: int


def _plan(network_levels: np.ndarray, parts: Sequence[slice], windowsize: int) -> Iterator[_Block]:
    """Cut the work into blocks of bounded size that together cover every window once."""
    for level in np.unique(network_levels[np.isfinite(network_levels)]):
        rows = np.flatnonzero(network_levels == level)
        for part in parts:
            last = part.stop - windowsize + 1
            for start in range(part.start, last, _BLOCK_FRAMES):
                stop = min(start + _BLOCK_FRAMES, last)
                at_once = max(1, _BLOCK_FRAMES // (stop - start))
                for first in range(0, len(rows), at_once):
                    yield _Block(level, rows[first : first + at_once], start, stop)
