"""What to expect of a model: the figures of its evaluation, kept in its card, at a recording's own noise level."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from cascade_engine.evaluation.conditions import Condition
from cascade_engine.evaluation.scores import MEDIANS, NeuronScore, summarize
from cascade_engine.networks.settings import Settings
from cascade_engine.networks.store import Model

#: Figures of an evaluation that are kept, and those that are told as expected.
_KEPT = (*MEDIANS, "total", "gain_sd_between", "gain_sd_within")
_FIGURES = ("correlation", "error", "bias", "absolute_bias")


def card_entries(
    scores: Iterable[NeuronScore], conditions: Sequence[Condition], leaving_out: bool
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

    Returns
    -------
    list of dict
        Plain values, one entry per condition that has scores.
    """
    by_condition: dict[str, list[NeuronScore]] = {}
    for entry in scores:
        by_condition.setdefault(entry.condition, []).append(entry)
    entries = []
    for condition in conditions:
        if condition.noise_level is None or condition.label not in by_condition:
            continue
        summary = summarize(by_condition[condition.label])
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
            }
        )
    return entries


def expected_figures(model: Model, frame_rate: float, noise_level: float, settings: Settings) -> dict[str, Any] | None:
    """Figures that a model reached on recordings like this one which it had not seen.

    Parameters
    ----------
    model : Model
        A model.
    frame_rate : float
        In Hz; the nearest one at which the model was evaluated is taken.
    noise_level : float
        In percent per sqrt(Hz); figures are interpolated between, and held beyond, the levels that were evaluated.
    settings : Settings
        Resolved. Of the smoothings evaluated at that frame rate the nearest is taken.

    Returns
    -------
    dict or None
        ``correlation``, ``error``, ``bias``, ``absolute_bias``, and the ``frame_rate_hz`` and ``smoothing_s`` that they
        were measured at; None if the card has no evaluation.
    """
    entries: list[Mapping[str, Any]] = [
        entry
        for entry in model.card.get("evaluation", [])
        if "frame_rate_hz" in entry and entry["kernel"] == "gaussian"
    ]
    if not entries or not np.isfinite(noise_level):
        return None
    smoothing_frames = max(settings.resolved_kernel[0] * frame_rate, 0.1)

    def distance(entry: Mapping[str, Any]) -> tuple[float, float]:
        evaluated_frames = entry["smoothing_s"] * entry["frame_rate_hz"]
        return abs(np.log(entry["frame_rate_hz"] / frame_rate)), abs(np.log(evaluated_frames / smoothing_frames))

    nearest = min(map(distance, entries))
    entries = sorted((entry for entry in entries if distance(entry) == nearest), key=lambda e: e["noise_level"])
    levels = [entry["noise_level"] for entry in entries]
    figures = {name: float(np.interp(noise_level, levels, [entry[name] for entry in entries])) for name in _FIGURES}
    return {**figures, "frame_rate_hz": entries[0]["frame_rate_hz"], "smoothing_s": entries[0]["smoothing_s"]}
