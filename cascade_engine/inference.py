"""From dF/F to the expected number of spikes per frame."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from cascade_engine.checks import check_units as refuse_other_units
from cascade_engine.checks import doubts, losses, unusable_reasons
from cascade_engine.errors import CascadeWarning, InputError
from cascade_engine.kernels import single_spike_amplitude
from cascade_engine.models.config import ModelConfig
from cascade_engine.models.network import INPUT, MEAN_OUTPUT
from cascade_engine.models.store import DEFAULT_MODEL, Model, load_model
from cascade_engine.noise import as_frame_rate, as_traces, noise_levels
from cascade_engine.segments import segment_slices

#: Frames that one call of a network works on: large enough to keep it busy, small enough for the processor's cache.
_BLOCK_FRAMES = 4096


@dataclass
class Inference:
    """Result of `infer`.

    Attributes
    ----------
    spike_prob : array, shape (n_neurons, n_frames), float32
        Expected number of spikes per frame; summed over time it counts spikes, times `frame_rate` it is a rate in Hz.
    frame_rate : float
        Frame rate in Hz.
    noise_levels : array, shape (n_neurons,), float64
        Noise level of each neuron in percent per sqrt(Hz); NaN where it has none.
    network_noise_levels : array, shape (n_neurons,), float64
        Noise level of the networks used for it; NaN for a neuron without prediction.
    model : Model
        The model.
    notes : list of str
        Per neuron: why it has no prediction, or an empty string.
    warnings : list of str
        What makes the result as a whole doubtful.
    """

    spike_prob: np.ndarray
    frame_rate: float
    noise_levels: np.ndarray
    network_noise_levels: np.ndarray
    model: Model
    notes: list[str]
    warnings: list[str] = field(default_factory=list)


def predict(dff: np.ndarray, frame_rate: float, model: str | os.PathLike | Model = DEFAULT_MODEL, **options):
    """Infer spikes and return the array alone.

    Takes the same arguments as `infer`, and warns (`CascadeWarning`) of whatever makes the result doubtful.

    Returns
    -------
    array, shape (n_neurons, n_frames), float32
        Expected number of spikes per frame.

    Examples
    --------
    >>> from cascade_engine import predict
    >>> from cascade_engine.ground_truth import simulate_dataset
    >>> recording = simulate_dataset(n_neurons=1, duration_s=60).recordings[0]
    >>> predict(recording.dff[np.newaxis], frame_rate=30.0).shape
    (1, 1800)
    """
    result = infer(dff, frame_rate, model, **options)
    for warning in result.warnings:
        warnings.warn(warning, CascadeWarning, stacklevel=2)
    for i, note in enumerate(result.notes):
        if note:
            warnings.warn(f"neuron {i} has no prediction: {note}", CascadeWarning, stacklevel=2)
    return result.spike_prob


def infer(
    dff: np.ndarray,
    frame_rate: float,
    model: str | os.PathLike | Model = DEFAULT_MODEL,
    *,
    noise_level: float | np.ndarray | None = None,
    segments: Sequence[int] | None = None,
    threshold: float | bool = 0,
    padding: float = np.nan,
    check_units: bool = True,
    n_threads: int | None = None,
    progress: bool = False,
) -> Inference:
    """Infer the expected number of spikes per frame from dF/F.

    Each neuron is predicted by the ensemble trained for the noise level nearest to its own.

    Parameters
    ----------
    dff : array, shape (n_neurons, n_frames)
        dF/F as a fraction (0.5 is 50 %). NaN marks missing frames: outputs whose window touches one are NaN.
    frame_rate : float
        Frame rate of each neuron's trace in Hz.
    model : str, path or Model
        Name or folder of a model.
    noise_level : float or array of shape (n_neurons,), optional
        Noise level in percent per sqrt(Hz) by which to choose networks. Default: measured.
    segments : sequence of int, optional
        Frames of each concatenated session; no window reaches across a seam.
    threshold : {0, 1, False}
        0: negative values become 0. 1 or True: also whatever stays below the height of a third of a spike (1/e of
        `single_spike_amplitude`), except next to larger values. False: the networks' output as it is.
    padding : float
        Value for frames at the ends of each segment, which have no full window: NaN or 0.
    check_units : bool
        Refuse arrays that look like percent or raw fluorescence.
    n_threads : int, optional
        Threads to use. Default: all processors that this process may use.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Inference
        Predictions, noise levels, and notes on every neuron that could not be predicted. Such neurons are NaN.

    Raises
    ------
    InputError
        If an argument is out of its range, or `dff` is not dF/F as a fraction.
    ModelError
        If the model is missing or damaged.

    References
    ----------
    Rupprecht et al. (2021), Nature Neuroscience 24:1324.
    """
    dff, frame_rate, model = as_traces(dff), as_frame_rate(frame_rate), load_model(model)
    if not (threshold is False or threshold in (0, 1)):
        raise InputError(f"threshold must be 0, 1 or False, but it is {threshold!r}")
    n_neurons, n_frames = dff.shape
    parts = segment_slices(n_frames, segments)
    config = model.config

    longest = max((part.stop - part.start for part in parts), default=0)
    notes = unusable_reasons(dff, config.windowsize, longest)
    usable = np.array([not note for note in notes], dtype=bool)
    with np.errstate(invalid="ignore"):  # infinite values, of neurons that are not used
        levels = noise_levels(dff, frame_rate, segments)
    levels[~usable] = np.nan
    if check_units:
        refuse_other_units(dff, levels, usable)
    chosen = levels if noise_level is None else _given_levels(noise_level, n_neurons)
    for i in np.flatnonzero(usable & ~np.isfinite(chosen)):
        notes[i] = "no two neighbouring frames have values" if noise_level is None else "its given noise level is NaN"
        usable[i] = False
    known = model.noise_levels
    network_levels = np.full(n_neurons, np.nan)
    network_levels[usable] = known[np.abs(chosen[usable, np.newaxis] - known).argmin(axis=1)]

    spike_prob = np.full((n_neurons, n_frames), np.nan, dtype=np.float32)
    blocks = list(_plan(network_levels, parts, config.windowsize))
    n_threads = n_threads or available_processors()
    _run_blocks(model, dff, spike_prob, blocks, n_threads, progress)

    for i in np.flatnonzero(usable):
        if np.isnan(spike_prob[i]).all():
            notes[i] = f"no {config.windowsize} consecutive frames without missing values"
            network_levels[i] = np.nan
    usable &= np.isfinite(network_levels)
    if threshold is not False:
        _clip(spike_prob, config, frame_rate, small_too=threshold == 1)
    if not np.isnan(padding):
        spike_prob[np.ix_(usable, _edge_frames(parts, config))] = padding
    doubtful = doubts(config, frame_rate, levels, usable, known)
    doubtful += losses(dff, parts, config.windowsize, usable)
    return Inference(spike_prob, frame_rate, levels, network_levels, model, notes, doubtful)


def available_processors() -> int:
    """Processors that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every platform
        return os.cpu_count() or 1


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


def _run_blocks(model: Model, dff, spike_prob, blocks: Sequence[_Block], n_threads: int, progress: bool) -> None:
    """Run every block; each writes frames that no other does."""
    import onnxruntime
    from tqdm import tqdm

    options = onnxruntime.SessionOptions()
    # one thread per block: blocks are independent, so this wastes less than threads that share a block
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    sessions = {
        level: onnxruntime.InferenceSession(model.read_network(level), options, providers=["CPUExecutionProvider"])
        for level in sorted({block.level for block in blocks})
    }
    windowsize, before = model.config.windowsize, model.config.frames_before

    def run(block: _Block) -> int:
        frames = dff[block.rows, block.start : block.stop + windowsize - 1].astype(np.float32)
        missing = np.isnan(frames)
        if missing.any():
            frames[missing] = 0.0
        output = sessions[block.level].run([MEAN_OUTPUT], {INPUT: frames})[0][:, : block.stop - block.start]
        if missing.any():
            touched = np.cumsum(np.pad(missing, ((0, 0), (1, 0))), axis=1)
            output[touched[:, windowsize:] > touched[:, :-windowsize]] = np.nan
        spike_prob[block.rows, block.start + before : block.stop + before] = output
        return output.size

    total = sum(len(block.rows) * (block.stop - block.start) for block in blocks)
    with tqdm(total=total, disable=not progress, unit="frame", unit_scale=True, desc="predicting") as bar:
        if n_threads == 1:
            for block in blocks:
                bar.update(run(block))
            return
        with ThreadPoolExecutor(n_threads) as pool:
            try:
                for n_done in pool.map(run, blocks):
                    bar.update(n_done)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


def _given_levels(noise_level: float | np.ndarray, n_neurons: int) -> np.ndarray:
    try:
        return np.broadcast_to(np.asarray(noise_level, dtype=np.float64), (n_neurons,)).copy()
    except (TypeError, ValueError):
        raise InputError(
            f"noise_level must be one number or one per neuron ({n_neurons}), but its shape is {np.shape(noise_level)}"
        ) from None


def _clip(spike_prob: np.ndarray, config: ModelConfig, frame_rate: float, small_too: bool) -> None:
    """Set negative, and if wanted also small, values to zero, in place; NaN stays."""
    if small_too:
        from scipy.ndimage import binary_dilation

        limit = single_spike_amplitude(frame_rate, config.smoothing, config.kernel) / np.e
        reach = max(1, round(config.smoothing * frame_rate))
        kept = binary_dilation(spike_prob > limit, structure=np.ones((1, 2 * reach + 1)))
        spike_prob[~kept & ~np.isnan(spike_prob)] = 0.0
    np.maximum(spike_prob, 0.0, out=spike_prob)


def _edge_frames(parts: Sequence[slice], config: ModelConfig) -> np.ndarray:
    """Frames at the ends of each segment that have no full window."""
    edges = []
    for part in parts:
        first = min(part.start + config.frames_before, part.stop)
        last = max(part.stop - config.windowsize + config.frames_before + 1, first)
        edges += [np.arange(part.start, first), np.arange(last, part.stop)]
    return np.concatenate(edges) if edges else np.empty(0, dtype=int)
