"""From dF/F to the expected number of spikes per frame."""

from __future__ import annotations

import functools
import inspect
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import numpy as np

from cascade_engine.checks import check_axes, doubt_length, doubts, losses, unusable_reasons
from cascade_engine.checks import check_units as refuse_other_units
from cascade_engine.declared import declared_fields
from cascade_engine.errors import CascadeWarning, InputError
from cascade_engine.networks.base import Predictor, Progress
from cascade_engine.networks.families import open_predictor
from cascade_engine.networks.settings import Settings
from cascade_engine.networks.store import DEFAULT_MODEL, Model, load_model
from cascade_engine.parallel import as_threads
from cascade_engine.reasons import group_reasons, in_words
from cascade_engine.signal.bridging import bridge, longest_bridge
from cascade_engine.signal.interpolation import InterpolationFinder
from cascade_engine.signal.kernels import doubt_smoothing, single_spike_amplitude
from cascade_engine.signal.noise import as_frame_rate, as_traces, noise_levels
from cascade_engine.signal.rest import find_rests
from cascade_engine.signal.segments import segment_slices
from cascade_engine.signal.smoothness import step_correlations

#: Relative difference from which the frame rate in the name of a published model is not that of the recording.
_OTHER_RATE = 0.2


@dataclass
class InferredBlock:
    """Predictions for some neurons, and what is to be known of each.

    Attributes
    ----------
    spike_prob : array, shape (n_neurons, n_frames), float32
        Expected spikes per frame.
    noise_levels : array, shape (n_neurons,), float64
        Noise level of each neuron in percent per sqrt(Hz); NaN where it has none.
    network_noise_levels : array, shape (n_neurons,), float64
        Noise level that the networks used for it were trained for, or were given; NaN for a neuron without prediction.
    missing_part : array, shape (n_neurons,), float64
        Part of the frames without a value.
    step_correlations : array, shape (n_neurons,), float64
        Correlation of neighbouring steps: -0.5 in noise, about 0 in smoothed traces; NaN where it is not known.
    notes : list of str
        Per neuron: why it has no prediction, or an empty string.
    """

    spike_prob: np.ndarray
    noise_levels: np.ndarray
    network_noise_levels: np.ndarray
    missing_part: np.ndarray
    step_correlations: np.ndarray
    notes: list[str]


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
        Noise level that the networks used for it were trained for, or were given; NaN for a neuron without prediction.
    model : Model
        The model.
    settings : Settings
        What the model was set to, with nothing left open.
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
    settings: Settings
    notes: list[str]
    warnings: list[str] = field(default_factory=list)

    def __repr__(self) -> str:
        n_neurons, n_frames = self.spike_prob.shape
        without = sum(bool(note) for note in self.notes)
        return (
            f"<Inference of {n_neurons} neurons x {n_frames} frames at {self.frame_rate:g} Hz by {self.model.name}: "
            f"{without} without prediction, {len(self.warnings)} warnings>"
        )

    @property
    def smoothing(self) -> float:
        """Width (s) of the kernel with which the spikes are smoothed."""
        return self.settings.resolved_kernel[0]

    @property
    def kernel(self) -> str:
        """Form of the kernel."""
        return self.settings.resolved_kernel[1]

    @property
    def population(self) -> str | None:
        """Population that the model was given; None for a model that cannot be given one."""
        return self.settings.population

    @property
    def indicator(self) -> str | None:
        """Calcium indicator that the model was given."""
        return self.settings.given_indicator


_Function = TypeVar("_Function", bound=Callable[..., Any])


def _takes_settings(function: _Function) -> _Function:
    """Let the fields of `Settings` be keywords of a function, in its signature and documentation too."""
    signature = inspect.signature(function)
    own = [parameter for parameter in signature.parameters.values() if parameter.kind is not parameter.VAR_KEYWORD]
    choices = declared_fields(Settings)
    added = [
        inspect.Parameter(
            each.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=each.default,
            annotation=Settings.__annotations__[each.name],
        )
        for each in choices
    ]
    first_keyword = next((i for i, each in enumerate(own) if each.kind is each.KEYWORD_ONLY), len(own))
    parameters = [*own[:first_keyword], *added, *own[first_keyword:]]

    @functools.wraps(function)
    def wrapped(*args: Any, **keywords: Any) -> Any:
        unknown = set(keywords) - {parameter.name for parameter in parameters}
        if unknown:
            raise TypeError(f"{function.__name__}() has no argument {', '.join(sorted(unknown))}")
        return function(*args, **keywords)

    wrapped.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    lines = []
    for each in choices:
        kind = Settings.__annotations__[each.name].removesuffix(" | None").replace(" | ", " or ")
        if each.choices is not None:
            kind = f"{{{', '.join(map(repr, each.choices))}}}"
        unit = f", in {each.unit}" if each.unit else ""
        lines.append(f"    {each.name} : {kind}{unit}, optional\n        {each.help}")
    wrapped.__doc__ = (function.__doc__ or "").replace(
        "    **settings\n        Fields of `Settings`.", "\n".join(lines)
    )
    return cast(_Function, wrapped)


@_takes_settings
def predict(
    dff: np.ndarray,
    frame_rate: float,
    model: str | os.PathLike | Model = DEFAULT_MODEL,
    *,
    segments: Sequence[int] | None = None,
    check_units: bool = True,
    n_threads: int | None = None,
    progress: bool | Progress = False,
    **settings: Any,
) -> np.ndarray:
    """Infer the expected number of spikes per frame from dF/F, as an array alone; `infer` gives all about it.

    Parameters
    ----------
    dff : array, shape (n_neurons, n_frames)
        dF/F as a fraction (0.5 is 50 %). NaN, or the mask of a masked array, marks missing frames.
    frame_rate : float
        Frame rate of each neuron's trace in Hz.
    model : str, path or Model
        Name or folder of a model. Default: the universal model.
    **settings
        Fields of `Settings`.
    segments : sequence of int, optional
        Frames of each uninterrupted segment; no window reaches from one into the next. Default: one segment.
    check_units : bool
        Refuse arrays that look like percent, raw fluorescence, F / F0, or frames x neurons. Default: True.
    n_threads : int, optional
        Threads to use. Default: all processors that this process may use.
    progress : bool or callable
        Show a progress bar, or call this with the number of frames that were predicted since the last call. Default:
        False.

    Returns
    -------
    array, shape (n_neurons, n_frames), float32
        Expected number of spikes per frame: summed over time it counts spikes, times `frame_rate` it is a rate in Hz.
        NaN where there is no prediction.

    Raises
    ------
    InputError
        If an argument is out of its range, or `dff` is not dF/F as a fraction.
    ModelError
        If the model is missing or damaged.

    Warns
    -----
    CascadeWarning
        Of everything that makes the result doubtful.

    Examples
    --------
    >>> from cascade_engine import predict
    >>> from cascade_engine.ground_truth import simulate_dataset
    >>> recording = simulate_dataset(n_neurons=1, duration_s=60).recordings[0]
    >>> predict(recording.dff[np.newaxis], frame_rate=30.0).shape
    (1, 1800)
    """
    how: dict[str, Any] = {"segments": segments, "check_units": check_units, "n_threads": n_threads}
    result = infer(dff, frame_rate, model, **how, progress=progress, **settings)
    for warning in result.warnings:
        warnings.warn(warning, CascadeWarning, stacklevel=3)
    for reason, neurons in group_reasons({i: note for i, note in enumerate(result.notes) if note}):
        warnings.warn(f"{in_words(neurons)} no prediction: {reason}", CascadeWarning, stacklevel=3)
    return result.spike_prob


@_takes_settings
def infer(
    dff: np.ndarray,
    frame_rate: float,
    model: str | os.PathLike | Model = DEFAULT_MODEL,
    *,
    segments: Sequence[int] | None = None,
    check_units: bool = True,
    n_threads: int | None = None,
    progress: bool | Progress = False,
    **settings: Any,
) -> Inference:
    """Infer the expected number of spikes per frame from dF/F.

    The universal model serves every frame rate, smoothing and kernel. A model of the published architecture predicts
    each neuron by the ensemble trained for the noise level nearest to its own.

    Parameters
    ----------
    dff : array, shape (n_neurons, n_frames)
        dF/F as a fraction (0.5 is 50 %). NaN, or the mask of a masked array, marks missing frames. They have no
        prediction; up to 10 in a row are bridged by a straight line for the network to see.
    frame_rate : float
        Frame rate of each neuron's trace in Hz.
    model : str, path or Model
        Name or folder of a model.
    **settings
        Fields of `Settings`.
    segments : sequence of int, optional
        Frames of each uninterrupted segment; no window reaches from one into the next.
    check_units : bool
        Refuse arrays that look like percent, raw fluorescence, F / F0, or frames x neurons, and warn of dF/F that does
        not rest at 0.
    n_threads : int, optional
        Threads to use. Default: all processors that this process may use.
    progress : bool or callable
        Show a progress bar, or call this with the number of frames that were predicted since the last call.

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
    from tqdm import tqdm

    dff, frame_rate, model = as_traces(dff), as_frame_rate(frame_rate), load_model(model)
    chosen = Settings(**settings)
    if isinstance(chosen.noise_level, tuple) and len(chosen.noise_level) != len(dff):
        raise InputError(
            f"noise_level must be one number or one per neuron ({len(dff)}), but there are {len(chosen.noise_level)}"
        )
    n_threads = as_threads(n_threads)
    predictor = open_predictor(model, frame_rate, chosen)
    doubts = [check_axes(dff, frame_rate), _doubt_about_rest(dff, frame_rate, segments)] if check_units else []
    hidden = not progress or callable(progress)
    with tqdm(total=dff.size, disable=hidden, unit="frame", unit_scale=True, desc="predicting") as bar:
        block = infer_block(
            predictor,
            dff,
            segments=segments,
            check_units=check_units,
            n_threads=n_threads,
            progress=progress if callable(progress) else bar.update,
        )
    usable = np.array([not note for note in block.notes], dtype=bool)
    interpolated = InterpolationFinder(dff.shape[1])
    interpolated.add(dff[usable])
    doubts.append(interpolated.describe())
    return Inference(
        spike_prob=block.spike_prob,
        frame_rate=frame_rate,
        noise_levels=block.noise_levels,
        network_noise_levels=block.network_noise_levels,
        model=model,
        settings=predictor.settings,
        notes=block.notes,
        warnings=[
            *filter(None, doubts),
            *warnings_about(
                predictor,
                dff.shape[1],
                segments,
                block.noise_levels,
                usable,
                block.missing_part,
                block.step_correlations,
            ),
        ],
    )


def infer_block(
    predictor: Predictor,
    dff: np.ndarray,
    *,
    first_neuron: int = 0,
    segments: Sequence[int] | None = None,
    check_units: bool = False,
    n_threads: int | None = None,
    progress: Progress = lambda n_frames: None,
    predict: bool = True,
) -> InferredBlock:
    """Infer spikes in some neurons of a recording, with a model that is open already.

    Parameters
    ----------
    predictor : Predictor
        As of `cascade_engine.networks.families.open_predictor`.
    dff : array, shape (n_neurons, n_frames)
        dF/F as a fraction.
    first_neuron : int
        Number of the first of these neurons in the recording, for settings that have a value for each neuron.
    segments : sequence of int, optional
        Frames of each uninterrupted segment.
    check_units : bool
        Refuse arrays that look like percent or raw fluorescence.
    n_threads : int, optional
        Threads to use. Default: all processors that this process may use.
    progress : callable
        Called with the number of frames that were predicted since the last call.
    predict : bool
        If false, only noise levels and notes are found; `spike_prob` is empty.

    Returns
    -------
    InferredBlock
        Predictions; neurons that could not be predicted are NaN, with a note.

    Raises
    ------
    InputError
        If `dff` is not dF/F as a fraction.
    """
    frame_rate, settings = predictor.frame_rate, predictor.settings
    n_neurons, n_frames = dff.shape
    slices = segment_slices(n_frames, segments)
    longest = max((segment.stop - segment.start for segment in slices), default=0)
    notes = unusable_reasons(dff, predictor.shortest, longest)
    usable = np.array([not note for note in notes], dtype=bool)
    with np.errstate(invalid="ignore"):  # infinite values, of neurons that are not used
        levels = noise_levels(dff, frame_rate, segments)
    levels[~usable] = np.nan
    if check_units:
        refuse_other_units(dff, levels, usable)
    assumed = _assumed_levels(settings.noise_level, levels, first_neuron)
    for i in np.flatnonzero(usable & ~np.isfinite(assumed)):
        is_measured = settings.noise_level is None
        notes[i] = "no two neighbouring frames have values" if is_measured else "its given noise level is NaN"
        usable[i] = False
    seen = bridge(dff, frame_rate, slices)
    for neuron, reason in _never_predicted(predictor, dff, seen, slices, usable).items():
        notes[neuron], usable[neuron] = reason, False
    assumed[~usable] = np.nan
    missing_part = np.isnan(dff).mean(axis=1) if n_frames else np.zeros(n_neurons)
    correlations = np.full(n_neurons, np.nan)
    correlations[usable] = step_correlations(dff[usable], segments)
    if not predict:
        nothing = np.full(n_neurons, np.nan)
        return InferredBlock(np.empty((0, n_frames), np.float32), levels, nothing, missing_part, correlations, notes)

    spike_prob, network_levels = predictor.predict(seen, assumed, slices, as_threads(n_threads), progress)
    spike_prob[np.isnan(dff)] = np.nan
    if settings.threshold is not False:
        _clip(spike_prob, predictor, small_too=settings.threshold == 1)
    if not np.isnan(settings.padding):
        spike_prob[np.ix_(usable, predictor.edge_frames(slices))] = settings.padding
    return InferredBlock(spike_prob, levels, network_levels, missing_part, correlations, notes)


def warnings_about(
    predictor: Predictor,
    n_frames: int,
    segments: Sequence[int] | None,
    noise_levels: np.ndarray,
    usable: np.ndarray,
    missing_part: np.ndarray,
    step_correlations: np.ndarray,
) -> list[str]:
    """What makes a result as a whole doubtful, one line each.

    Parameters
    ----------
    predictor : Predictor
        What was predicted with.
    n_frames : int
        Frames of the recording.
    segments : sequence of int or None
        Frames of each uninterrupted segment.
    noise_levels : array, shape (n_neurons,)
        In percent per sqrt(Hz).
    usable : array of bool, shape (n_neurons,)
        Neurons that are predicted.
    missing_part : array, shape (n_neurons,)
        Part of the frames without a value.
    step_correlations : array, shape (n_neurons,)
        Correlation of neighbouring steps, as in `InferredBlock`.

    Returns
    -------
    list of str
        Empty if all is well.
    """
    model, settings = predictor.model, predictor.settings
    found = []
    if model.preset:
        how = f"{settings.kernel} kernel of {1000 * (settings.smoothing or 0):.3g} ms, {settings.population}"
        found.append(f"{model.preset['asked_for']} is not installed: the universal model stands for it ({how})")
        named = float(model.preset["frame_rate"])
        if abs(predictor.frame_rate / named - 1) > _OTHER_RATE:
            found.append(
                f"{model.preset['asked_for']} is for {named:g} Hz, but the frame rate is {predictor.frame_rate:.4g} "
                "Hz: the universal model goes by the frame rate, so make sure that it is right"
            )
    found += filter(None, [doubt_smoothing(predictor.frame_rate, settings.resolved_kernel[0])])
    found += filter(None, [doubt_length(n_frames, predictor.frame_rate) if usable.any() else ""])
    found += doubts(model.config, predictor.frame_rate, noise_levels, usable, model.noise_levels, step_correlations)
    slices = segment_slices(n_frames, segments)
    found += losses(missing_part, slices, predictor.shortest, usable, longest_bridge(predictor.frame_rate))
    return found


def _doubt_about_rest(dff: np.ndarray, frame_rate: float, segments: Sequence[int] | None) -> str:
    """A warning about dF/F that does not rest at 0; empty if it does. F / F0 is refused."""
    rests = find_rests(dff, frame_rate, segments)
    if rests.problem:
        raise InputError(f"{rests.problem}; or pass check_units=False if this is right")
    found = rests.describe()
    return found and (
        f"{found}: this makes numbers of spikes wrong; subtract find_rests(dff, frame_rate).offsets[:, np.newaxis]"
    )


def _never_predicted(
    predictor: Predictor, dff: np.ndarray, seen: np.ndarray, slices: Sequence[slice], usable: np.ndarray
) -> dict[int, str]:
    """Why neurons that seem to be usable have no frame that is predicted; `seen` is `dff` with short gaps bridged."""
    shortest, found = predictor.shortest, {}
    # a network of windows loses the ends of a segment, and whatever is near to missing frames
    has_windows = bool(predictor.edge_frames([slice(0, 4 * shortest)]).size)
    has_short = any(part.stop - part.start < shortest for part in slices)
    for i in np.flatnonzero(usable & (np.isnan(dff).any(axis=1) | has_short)):
        parts = [part for part in slices if part.stop - part.start >= shortest]
        if has_windows:
            runs = (_runs(seen[i, part], part.start) for part in parts)
            parts = [run for each in runs for run in each]
        predicted = np.zeros(dff.shape[1], dtype=bool)
        for part in parts:
            predicted[part] = True
        predicted[predictor.edge_frames(parts)] = False
        if not np.isfinite(dff[i, predicted]).any():
            found[int(i)] = (
                f"no {shortest} consecutive frames without missing values"
                if has_windows
                else f"no values in segments of {shortest} frames or more"
            )
    return found


def _runs(trace: np.ndarray, start: int) -> list[slice]:
    """Uninterrupted runs of values; `start` is the number of the first frame."""
    edges = np.flatnonzero(np.diff(~np.isnan(trace), prepend=False, append=False)) + start
    return [slice(int(first), int(end)) for first, end in zip(edges[::2], edges[1::2], strict=True)]


def _assumed_levels(given: float | Sequence[float] | None, measured: np.ndarray, first_neuron: int) -> np.ndarray:
    if given is None:
        return measured.copy()
    levels = np.asarray(given, dtype=np.float64)
    if levels.ndim == 0:
        return np.full(len(measured), float(levels))
    return levels[first_neuron : first_neuron + len(measured)].copy()


def _clip(spike_prob: np.ndarray, predictor: Predictor, small_too: bool) -> None:
    """Set negative, and if wanted also small, values to zero, in place; NaN stays."""
    if small_too:
        from scipy.ndimage import binary_dilation

        smoothing, kernel = predictor.settings.resolved_kernel
        limit = single_spike_amplitude(predictor.frame_rate, smoothing, kernel) / np.e
        reach = max(1, round(smoothing * predictor.frame_rate))
        kept = binary_dilation(spike_prob > limit, structure=np.ones((1, 2 * reach + 1)))
        spike_prob[~kept & ~np.isnan(spike_prob)] = 0.0
    np.maximum(spike_prob, 0.0, out=spike_prob)
