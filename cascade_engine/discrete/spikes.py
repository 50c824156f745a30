"""From the expected number of spikes per frame to the most likely spikes."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from cascade_engine.discrete.islands import find_islands
from cascade_engine.discrete.solving import solve
from cascade_engine.errors import InputError
from cascade_engine.inference import Inference
from cascade_engine.parallel import as_threads
from cascade_engine.signal.kernels import check_smoothing, smoothing_kernel
from cascade_engine.signal.masked import unmasked
from cascade_engine.signal.noise import as_frame_rate
from cascade_engine.signal.segments import segment_slices

#: Noise level (percent per sqrt(Hz)) above which single spikes are not to be trusted, by the method's authors.
TRUSTED_NOISE_LEVEL = 2.0

#: Frames that are worked on at a time; the result does not depend on it.
_BLOCK_FRAMES = 1_400_000


@dataclass(frozen=True)
class DiscreteSpikes:
    """Result of `infer_discrete_spikes`: the spikes of each neuron, in order.

    Attributes
    ----------
    frames : list of array, shape (n_spikes,), int64
        Frame of each spike; a frame with several spikes is there several times.
    times_s : list of array, shape (n_spikes,), float64
        Frame divided by frame rate, in s: the first frame of the recording is at 0.
    confidence : list of array, shape (n_spikes,), float64
        By how much the squared distance to the trace grows without this spike, in units of that of a spike that stands
        alone and fits exactly: 1 for such a spike and for one that explains more, near 0 for one that might as well be
        left out.
    notes : list of str
        Why no spikes were searched for in a neuron; an empty string for all others.
    frame_rate : float
        In Hz.
    smoothing : float
        Width (s) of the kernel that the spikes were found with.
    kernel : str
        Its form.
    n_frames : int
        Frames of the recording.
    """

    frames: list[np.ndarray]
    times_s: list[np.ndarray]
    confidence: list[np.ndarray]
    notes: list[str]
    frame_rate: float
    smoothing: float
    kernel: str
    n_frames: int

    @property
    def n_spikes(self) -> np.ndarray:
        """Spikes of each neuron."""
        return np.array([len(frames) for frames in self.frames], dtype=np.int64)

    def counts(self) -> np.ndarray:
        """Spikes per frame, shape (n_neurons, n_frames)."""
        counts = np.zeros((len(self.frames), self.n_frames), dtype=np.int64)
        for row, frames in zip(counts, self.frames, strict=True):
            np.add.at(row, frames, 1)
        return counts


def infer_discrete_spikes(
    spike_prob: np.ndarray | Inference,
    frame_rate: float | None = None,
    smoothing: float | None = None,
    kernel: str = "gaussian",
    *,
    segments: Sequence[int] | None = None,
    n_threads: int | None = None,
) -> DiscreteSpikes:
    """Find the spike counts per frame whose sum of kernels is nearest to a trace of expected spikes.

    Nearest means the smallest sum of squared differences over the frames that have a value. Kernels are cut off at the
    ends of each segment as in `smooth_spikes`. The same input gives the same spikes, always.

    Single spikes can be trusted where the noise level is low, up to about 2 percent per sqrt(Hz), as the method's
    authors say; elsewhere use the expected number of spikes itself.

    Parameters
    ----------
    spike_prob : Inference, or array of shape (n_neurons, n_frames)
        What `infer` has returned, or expected spikes per frame, NaN where there is no value.
    frame_rate : float
        In Hz. Not needed with an `Inference`, nor are the next two.
    smoothing : float
        Width (s) of the kernel that the trace was smoothed with, as in `smoothing_kernel`. If that is less than half a
        frame, counts are rounded.
    kernel : {"gaussian", "causal"}
        Its form.
    segments : sequence of int, optional
        Frames of each segment; no kernel reaches from one segment into the next.
    n_threads : int, optional
        Threads to use. Default: all processors that this process may use.

    Returns
    -------
    DiscreteSpikes
        Spikes of every neuron; none, and a note, for one that has no values.

    Raises
    ------
    InputError
        If an argument is missing or out of its range.

    References
    ----------
    Rupprecht et al. (2021), Nature Neuroscience 24:1324: discrete spikes as those that explain a trace best.

    Examples
    --------
    >>> from cascade_engine import smooth_spikes
    >>> counts = np.zeros((1, 100))
    >>> counts[0, [30, 33, 60]] = 1, 1, 2
    >>> spikes = infer_discrete_spikes(smooth_spikes(counts, 30.0, 0.05), 30.0, 0.05)
    >>> spikes.frames[0]
    array([30, 33, 60, 60])
    >>> spikes.times_s[0].round(2)
    array([1. , 1.1, 2. , 2. ])
    """
    if isinstance(spike_prob, Inference):
        result = spike_prob
        spike_prob, frame_rate, smoothing, kernel = (
            result.spike_prob,
            result.frame_rate,
            result.smoothing,
            result.kernel,
        )
    if frame_rate is None or smoothing is None:
        raise InputError("frame_rate (Hz) and smoothing (s) are needed with an array: those it was inferred with")
    spike_prob, frame_rate, smoothing = _as_spike_prob(spike_prob), as_frame_rate(frame_rate), smoothing
    check_smoothing(frame_rate, smoothing)
    weights = smoothing_kernel(frame_rate, smoothing, kernel)
    n_neurons, n_frames = spike_prob.shape
    slices = segment_slices(n_frames, segments)

    def work(block: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        return _spikes_of(block, weights, slices)

    rows = max(1, _BLOCK_FRAMES // max(n_frames, 1))
    blocks = [spike_prob[first : first + rows] for first in range(0, n_neurons, rows)]
    with ThreadPoolExecutor(as_threads(n_threads)) as pool:
        found = [neuron for block in pool.map(work, blocks) for neuron in block]
    frames, confidence = [each[0] for each in found], [each[1] for each in found]
    silent = np.isnan(spike_prob).all(axis=1)
    return DiscreteSpikes(
        frames=frames,
        times_s=[each / frame_rate for each in frames],
        confidence=confidence,
        notes=["all values are missing" if is_silent else "" for is_silent in silent],
        frame_rate=frame_rate,
        smoothing=smoothing,
        kernel=kernel,
        n_frames=n_frames,
    )


def _as_spike_prob(spike_prob: np.ndarray) -> np.ndarray:
    spike_prob = unmasked(spike_prob)
    if spike_prob.ndim != 2:
        hint = "; for one neuron pass spike_prob[np.newaxis]" if spike_prob.ndim == 1 else ""
        raise InputError(
            f"spike_prob must have the shape (n_neurons, n_frames), but its shape is {spike_prob.shape}{hint}"
        )
    if spike_prob.dtype.kind not in "fiu":
        raise InputError(f"spike_prob must hold real numbers, but its type is {spike_prob.dtype}")
    spike_prob = spike_prob if spike_prob.dtype.kind == "f" else spike_prob.astype(np.float32)
    if np.isinf(spike_prob).any():
        raise InputError("spike_prob holds infinite values: missing ones must be NaN")
    return spike_prob


def _spikes_of(traces: np.ndarray, weights: np.ndarray, slices: Sequence[slice]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Frames and confidence of the spikes of each trace."""
    n_neurons, n_frames = traces.shape
    islands = find_islands(traces, weights, slices)
    if not len(islands.first):
        return [(np.empty(0, dtype=np.int64), np.empty(0))] * n_neurons
    solution = solve(islands)
    places = np.flatnonzero(solution.counts)
    counts, growth = solution.counts[places], 2.0 * solution.losses(places) / islands.norm[places]
    confidence = np.minimum(growth, 1.0)  # where the trace is higher than a spike, it grows by more
    neuron, frame = np.divmod(islands.frame[places], n_frames)
    borders = np.cumsum(np.bincount(neuron, counts, minlength=n_neurons).astype(np.int64))[:-1]
    return list(
        zip(np.split(np.repeat(frame, counts), borders), np.split(np.repeat(confidence, counts), borders), strict=True)
    )
