"""From dF/F to the expected number of spikes per frame."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from cascade_engine.checks import check_units as refuse_other_units
from cascade_engine.checks import doubts, losses, unusable_reasons
from cascade_engine.errors import CascadeWarning, InputError
from cascade_engine.networks.store import DEFAULT_MODEL, Model, load_model
from cascade_engine.networks.universal.predictor import UniversalPredictor
from cascade_engine.networks.windowed.predictor import WindowedPredictor
from cascade_engine.parallel import available_processors
from cascade_engine.signal.kernels import single_spike_amplitude
from cascade_engine.signal.noise import as_frame_rate, as_traces, noise_levels
from cascade_engine.signal.segments import segment_slices

Predictor = WindowedPredictor | UniversalPredictor


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
        Noise level that the networks used for it were trained for, or were told; NaN for a neuron without prediction.
    model : Model
        The model.
    smoothing : float
        Width (s) of the kernel with which the spikes are smoothed.
    kernel : str
        Its form.
    population : str or None
        What the neurons were taken for; None for a model that cannot be told.
    indicator : str or None
        Calcium indicator that the model was told.
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
    smoothing: float
    kernel: str
    population: str | None
    indicator: str | None
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
    smoothing: float | None = None,
    kernel: str | None = None,
    population: str | None = None,
    indicator: str | None = None,
    noise_level: float | np.ndarray | None = None,
    segments: Sequence[int] | None = None,
    threshold: float | bool = 0,
    padding: float = np.nan,
    check_units: bool = True,
    n_threads: int | None = None,
    progress: bool = False,
) -> Inference:
    """Infer the expected number of spikes per frame from dF/F.

    The universal model serves every frame rate, smoothing and kernel. A model of the published architecture predicts
    each neuron by the ensemble trained for the noise level nearest to its own.

    Parameters
    ----------
    dff : array, shape (n_neurons, n_frames)
        dF/F as a fraction (0.5 is 50 %). NaN marks missing frames: outputs whose window touches one are NaN.
    frame_rate : float
        Frame rate of each neuron's trace in Hz.
    model : str, path or Model
        Name or folder of a model.
    smoothing : float, optional
        Width of the kernel (s) with which the spikes are smoothed, as in `smoothing_kernel`. Default: the model's; for
        the universal model one and a half frames (50 ms at 30 Hz, 200 ms at 7.5 Hz).
    kernel : {"gaussian", "causal"}, optional
        Form of the kernel. Default: the model's; "gaussian" for the universal model.
    population : {"principal", "interneurons"}, optional
        What the neurons are, for the universal model. Default: principal cells.
    indicator : str, optional
        Calcium indicator (``"GCaMP6s"``, ``"OGB-1"``, ...), for the universal model: it knows better then what spikes
        look like; how many there are it judges without. Default, and ``"unknown"``: it is not told.
    noise_level : float or array of shape (n_neurons,), optional
        Noise level in percent per sqrt(Hz) that the networks are to assume. Default: measured.
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
    kind = UniversalPredictor if model.is_universal else WindowedPredictor
    predictor = kind(model, frame_rate, smoothing, kernel, population, indicator)

    longest = max((part.stop - part.start for part in parts), default=0)
    notes = unusable_reasons(dff, predictor.shortest, longest)
    usable = np.array([not note for note in notes], dtype=bool)
    with np.errstate(invalid="ignore"):  # infinite values, of neurons that are not used
        levels = noise_levels(dff, frame_rate, segments)
    levels[~usable] = np.nan
    if check_units:
        refuse_other_units(dff, levels, usable)
    chosen = levels.copy() if noise_level is None else _given_levels(noise_level, n_neurons)
    for i in np.flatnonzero(usable & ~np.isfinite(chosen)):
        notes[i] = "no two neighbouring frames have values" if noise_level is None else "its given noise level is NaN"
        usable[i] = False
    chosen[~usable] = np.nan
    n_threads = n_threads or available_processors()
    spike_prob, network_levels = predictor.run(dff, chosen, frame_rate, parts, n_threads, progress)

    for i in np.flatnonzero(usable):
        if np.isnan(spike_prob[i]).all():
            notes[i] = f"no {predictor.shortest} consecutive frames without missing values"
            network_levels[i] = np.nan
    usable &= np.isfinite(network_levels)
    if threshold is not False:
        _clip(spike_prob, predictor, frame_rate, small_too=threshold == 1)
    if not np.isnan(padding):
        spike_prob[np.ix_(usable, predictor.edge_frames(parts))] = padding
    doubtful = []
    if model.preset:
        how = f"{predictor.kernel} kernel of {1000 * predictor.smoothing:g} ms, {predictor.population}"
        doubtful.append(f"{model.preset['asked_for']} is not installed: the universal model stands for it ({how})")
    doubtful += doubts(model.config, frame_rate, levels, usable, model.noise_levels)
    doubtful += losses(dff, parts, predictor.shortest, usable)
    return Inference(
        spike_prob=spike_prob,
        frame_rate=frame_rate,
        noise_levels=levels,
        network_noise_levels=network_levels,
        model=model,
        smoothing=predictor.smoothing,
        kernel=predictor.kernel,
        population=predictor.population,
        indicator=predictor.indicator,
        notes=notes,
        warnings=doubtful,
    )


def _given_levels(noise_level: float | np.ndarray, n_neurons: int) -> np.ndarray:
    try:
        return np.broadcast_to(np.asarray(noise_level, dtype=np.float64), (n_neurons,)).copy()
    except (TypeError, ValueError):
        raise InputError(
            f"noise_level must be one number or one per neuron ({n_neurons}), but its shape is {np.shape(noise_level)}"
        ) from None


def _clip(spike_prob: np.ndarray, predictor: Predictor, frame_rate: float, small_too: bool) -> None:
    """Set negative, and if wanted also small, values to zero, in place; NaN stays."""
    if small_too:
        from scipy.ndimage import binary_dilation

        limit = single_spike_amplitude(frame_rate, predictor.smoothing, predictor.kernel) / np.e
        reach = max(1, round(predictor.smoothing * frame_rate))
        kept = binary_dilation(spike_prob > limit, structure=np.ones((1, 2 * reach + 1)))
        spike_prob[~kept & ~np.isnan(spike_prob)] = 0.0
    np.maximum(spike_prob, 0.0, out=spike_prob)


@dataclass
class InferredBlock:
    spike_prob: np.ndarray
    noise_levels: np.ndarray
    network_noise_levels: np.ndarray
    missing_part: np.ndarray
    notes: list[str]


def infer_block(predictor, dff, segments=None, n_threads=None, progress=None, predict=True):
    frame_rate = predictor.frame_rate
    if not predict:
        parts = segment_slices(dff.shape[1], segments)
        longest = max((p.stop - p.start for p in parts), default=0)
        notes = unusable_reasons(dff, predictor.shortest, longest)
        with np.errstate(invalid="ignore"):
            levels = noise_levels(dff, frame_rate, segments)
        levels[[bool(n) for n in notes]] = np.nan
        return InferredBlock(dff, levels, np.full(len(dff), np.nan), np.isnan(dff).mean(axis=1), notes)
    s = predictor.settings
    r = infer(
        dff,
        frame_rate,
        predictor.model,
        smoothing=s.smoothing if predictor.model.is_universal else None,
        kernel=s.kernel if predictor.model.is_universal else None,
        population=s.population,
        indicator=s.indicator,
        noise_level=s.noise_level,
        segments=segments,
        threshold=s.threshold,
        padding=s.padding,
        check_units=False,
        n_threads=n_threads,
    )
    if progress:
        progress(dff.size)
    return InferredBlock(r.spike_prob, r.noise_levels, r.network_noise_levels, np.isnan(dff).mean(axis=1), r.notes)


def warnings_about(predictor, n_frames, segments, levels, usable, missing_part):
    model = predictor.model
    out = []
    if model.preset:
        how = f"{predictor.kernel} kernel of {1000 * predictor.smoothing:g} ms, {predictor.population}"
        out.append(f"{model.preset['asked_for']} is not installed: the universal model stands for it ({how})")
    out += doubts(model.config, predictor.frame_rate, levels, usable, model.noise_levels)
    return out
