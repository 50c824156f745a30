"""What to expect of a model: the figures of its evaluation, kept in its card, at a recording's own noise level."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from cascade_engine.evaluation.conditions import Condition
from cascade_engine.evaluation.scores import MEDIANS, NeuronScore, summarize
from cascade_engine.networks.settings import INTERNEURONS, Settings
from cascade_engine.networks.store import Model

#: Figures of an evaluation that are kept, and those that are told as expected.
_KEPT = (*MEDIANS, "total", "gain_sd_between", "gain_sd_within")
_FIGURES = ("correlation", "error", "bias", "absolute_bias")

#: Key of the range of correlations over neurons.
_RANGE = "correlation_range"

#: How far beyond what was measured a figure is still told, as a difference of logarithms: a factor of 2.
_FARTHEST = float(np.log(2.0)) + 1e-9

#: Widths of the kernel in frames count as the same up to this difference of logarithms: a factor of 1.5.
_SAME_SMOOTHING = float(np.log(1.5))

#: Width of the kernel in frames that no smoothing is taken for.
_LEAST_SMOOTHING_FRAMES = 0.1

#: Logarithms of the coordinates of what was measured, and its values.
_Point = tuple[np.ndarray, np.ndarray]


def card_entries(
    scores: Iterable[NeuronScore],
    conditions: Sequence[Condition],
    leaving_out: bool,
    told: Iterable[NeuronScore] = (),
) -> list[dict[str, Any]]:
    """Entries for the card of a model.

    Parameters
    ----------
    scores : iterable of NeuronScore
        Of one method.
    conditions : sequence of Condition
        Conditions to summarize, those with a noise level.
    leaving_out : bool
        Whether each dataset was predicted by a model trained like this one on the others, instead of by this model.
    told : iterable of NeuronScore
        Scores of the same model, told the indicator of each dataset.

    Returns
    -------
    list of dict
        Plain values, one entry per condition that has scores. ``indicator_gain`` is the correlation of `told` less that
        of `scores`, on the datasets of `told`.
    """
    by_condition, by_condition_told = _by_condition(scores), _by_condition(told)
    entries = []
    for condition in conditions:
        if condition.noise_level is None or condition.label not in by_condition:
            continue
        summary = summarize(by_condition[condition.label])
        gain = {}
        if condition.label in by_condition_told:
            with_indicator = by_condition_told[condition.label]
            datasets = {entry.dataset for entry in with_indicator}
            without = summarize([entry for entry in by_condition[condition.label] if entry.dataset in datasets])
            gain["indicator_gain"] = round(summarize(with_indicator).correlation - without.correlation, 3)
        entries.append(
            {
                "frame_rate_hz": condition.frame_rate,
                "smoothing_s": condition.smoothing,
                "kernel": condition.kernel,
                "noise_level": condition.noise_level,
                "leaving_out": leaving_out,
                "datasets": summary.n_datasets,
                "neurons": summary.n_neurons,
                **{name: round(value, 3) for name in _KEPT if np.isfinite(value := getattr(summary, name))},
                "correlation_interval": [round(value, 3) for value in summary.correlation_interval],
                "correlation_range": [round(value, 3) for value in summary.correlation_range],
                **gain,
            }
        )
    return entries


def _by_condition(scores: Iterable[NeuronScore]) -> dict[str, list[NeuronScore]]:
    groups: dict[str, list[NeuronScore]] = {}
    for entry in scores:
        groups.setdefault(entry.condition, []).append(entry)
    return groups


def expected_figures(model: Model, frame_rate: float, noise_level: float, settings: Settings) -> dict[str, Any] | None:
    """Figures that a model reached on recordings like this one which it had not seen.

    Between frame rates, widths of the kernel (in frames) and noise levels that were measured, figures are interpolated,
    in the logarithms of these. Beyond, the nearest that were measured stand for those up to twice as far; of those that
    are further off nothing is said.

    Parameters
    ----------
    model : Model
        A model.
    frame_rate : float
        In Hz.
    noise_level : float
        In percent per sqrt(Hz).
    settings : Settings
        Resolved.

    Returns
    -------
    dict or None
        ``correlation``, ``error``, ``bias`` and ``absolute_bias``; the ``frame_rate_hz``, ``smoothing_s`` and
        ``noise_level`` that they hold for, which are others than the recording's where these lie beyond what was
        measured. If they were measured: ``correlation_range``, between which four in five neurons lie, and
        ``indicator_gain``: how much higher the correlation is where the model is told the indicator. If it is told,
        this is part of the correlation. None if nothing near was measured: at all, with this kernel, or for
        interneurons.
    """
    if settings.population == INTERNEURONS or not (np.isfinite(noise_level) and noise_level > 0):
        return None
    smoothing, kernel = settings.resolved_kernel
    entries = [
        entry for entry in model.card.get("evaluation", []) if "frame_rate_hz" in entry and entry["kernel"] == kernel
    ]
    wanted = np.log([frame_rate, max(smoothing * frame_rate, _LEAST_SMOOTHING_FRAMES), noise_level])
    found = _interpolated(entries, _FIGURES, wanted)
    gain = _interpolated([entry for entry in entries if "indicator_gain" in entry], ("indicator_gain",), wanted)
    if found is None:
        return None
    ranges = [dict(entry, low=low, high=high) for entry in entries for low, high in [entry.get(_RANGE, (None, None))]]
    spread = _interpolated([entry for entry in ranges if entry["low"] is not None], ("low", "high"), wanted)
    told = 0.0
    if gain is not None:
        found["indicator_gain"] = gain["indicator_gain"]
        told = gain["indicator_gain"] if settings.given_indicator is not None else 0.0
    found["correlation"] += told
    if spread is not None:
        found[_RANGE] = [round(spread["low"] + told, 6), round(spread["high"] + told, 6)]
    return found


def _interpolated(
    entries: Iterable[Mapping[str, Any]], names: Sequence[str], wanted: np.ndarray
) -> dict[str, Any] | None:
    """Figures near the logarithms of a frame rate, a width in frames and a noise level, and what they hold for."""
    points: list[_Point] = []
    for entry in entries:
        place = np.log([entry[key] for key in ("frame_rate_hz", "smoothing_s", "noise_level")])
        place[1] += place[0]  # in frames
        values = np.concatenate([[entry[name] for name in names], place])
        if abs(place[1] - wanted[1]) < _SAME_SMOOTHING:
            place = np.array([place[0], wanted[1], place[2]])
        points.append((place, values))
    found = _at(points, wanted)
    if found is None:
        return None
    *figures, rate, frames, level = found[1].tolist()
    held = np.exp([rate, frames - rate, level]).round(6).tolist()
    return dict(zip((*names, "frame_rate_hz", "smoothing_s", "noise_level"), (*figures, *held), strict=True))


def _at(points: Iterable[_Point], wanted: np.ndarray) -> tuple[float, np.ndarray] | None:
    """How far the wanted place lies beyond the points, and their values there, one coordinate after the other.

    Of several places along a coordinate those count that are nearest in the others.
    """
    groups: dict[float, list[_Point]] = {}
    for place, values in points:
        if not len(wanted):
            return 0.0, values
        groups.setdefault(float(place[0]), []).append((place[1:], values))
    found = {first: at for first, group in sorted(groups.items()) if (at := _at(group, wanted[1:])) is not None}
    for far in sorted({round(off, 6) for off, _ in found.values()}):
        there = {first: values for first, (off, values) in found.items() if round(off, 6) == far}
        beyond = max(0.0, min(there) - wanted[0], wanted[0] - max(there))
        if beyond <= _FARTHEST:
            return far + beyond, np.array(
                [np.interp(wanted[0], [*there], row) for row in np.stack([*there.values()], 1)]
            )
    return None
