"""What to expect of results: noise in words, accuracy, and counts with their interval."""

from __future__ import annotations

from dataclasses import dataclass
from math import isclose
from typing import Any

import numpy as np

from cascade_adapters.results import Record
from cascade_engine.counts import count_interval, population_key
from cascade_engine.errors import CascadeError
from cascade_engine.networks.settings import INTERNEURONS
from cascade_engine.networks.store import Model, load_model

#: Ends of the zones of noise (percent per sqrt(Hz)), and what they are called.
ZONES = ((0.0, 2.0, "very good"), (2.0, 5.0, "decent"), (5.0, np.inf, "poor"))

#: Spikes that may be inferred in a second, and part of the cases for which an interval is given.
_COUNTS, _COVERAGE = (1, 3, 10), 0.8


def zone_of(noise_level: float) -> str:
    """The zone of a noise level in percent per sqrt(Hz)."""
    return next(name for low, high, name in ZONES if low <= noise_level < high)


@dataclass(frozen=True)
class Expected:
    """What to expect at a noise level.

    Attributes
    ----------
    correlation : str
        With the true spikes.
    correlation_range : str
        Between which four in five neurons lie; empty if it was not measured.
    errors : str
        Of ten spikes, in words.
    bias : str
        Whether spikes are missing or too many on average, in words.
    measured : str
        On what, and under which conditions.
    counts : list of tuple
        Inferred spikes in a second, and the lowest and highest true number in four of five cases.
    """

    correlation: str
    correlation_range: str
    errors: str
    bias: str
    measured: str
    counts: list[tuple[int, int, int]]


def model_of(record: Record) -> Model | None:
    """The model that made the results, if it is here and the same."""
    try:
        model = load_model(record.model.name)
    except CascadeError:
        return None
    return model if record.model.fingerprint in ("", model.fingerprint) else None


def expected(record: Record, noise_level: float) -> Expected | None:
    """What to expect of results, from their record, and from the card of the model for whatever is not in it.

    Parameters
    ----------
    record : Record
        Of the results.
    noise_level : float
        Median noise level of the recording, comparable with others, in percent per sqrt(Hz).

    Returns
    -------
    Expected or None
        None where the record holds no figures.
    """
    figures, model = record.expected, model_of(record)
    if not figures or "correlation" not in figures:
        return None
    error = 10 * float(figures["error"])
    spread = figures.get("correlation_range") or _range_from_card(model, record, noise_level)
    return Expected(
        correlation=f"{figures['correlation']:.2f}",
        correlation_range="" if spread is None else f"{spread[0]:.2f} and {spread[1]:.2f}",
        errors=f"For 10 true spikes, about {error:.0f} are missed, misplaced or added.",
        bias=_bias(float(figures.get("bias", 0.0))),
        measured=_measured(figures, record, model, noise_level),
        counts=_counts(model, record, noise_level),
    )


def measured_levels(record: Record) -> str:
    """Where the model was measured, for recordings that are far from it; empty if that is not known."""
    model = model_of(record)
    levels = sorted({entry["noise_level"] for entry in (model.card.get("evaluation", []) if model else [])})
    if not levels:
        return ""
    return f"The model was measured at noise levels from {levels[0]:g} to {levels[-1]:g}."


def _range_from_card(model: Model | None, record: Record, noise_level: float) -> list[float] | None:
    """The spread over neurons, for records that are older than it."""
    from cascade_engine.evaluation import expected_figures

    if model is None:
        return None
    found = expected_figures(model, record.recording.frame_rate_hz, noise_level, record.settings) or {}
    return found.get("correlation_range")


def _bias(bias: float) -> str:
    if abs(bias) < 0.03:
        return "On average the number of spikes is about right."
    side = "too low" if bias < 0 else "too high"
    return f"On average the number of spikes is {abs(bias):.0%} {side}."


def _measured(figures: dict[str, Any], record: Record, model: Model | None, noise_level: float) -> str:
    conditions = [f"{figures['frame_rate_hz']:g} Hz", f"noise level {figures['noise_level']:.1f}"]
    if figures.get("smoothing_s"):
        conditions.append(f"{1000 * figures['smoothing_s']:.0f} ms smoothing")
    text = f"Measured on ground truth that the networks had not seen, at {', '.join(conditions)}"
    entries = [entry for entry in (model.card.get("evaluation", []) if model else []) if "neurons" in entry]
    if entries:
        most = max(entries, key=lambda entry: entry["neurons"])
        text += f" ({most['neurons']} neurons of {most['datasets']} datasets; between conditions, interpolated)"
    text += "."
    if not isclose(figures["noise_level"], noise_level, rel_tol=0.02):
        side = "highest" if figures["noise_level"] < noise_level else "lowest"
        text += f" This was the {side} noise level that was measured; the recording has {noise_level:.1f}."
    if not isclose(figures["frame_rate_hz"], record.recording.frame_rate_hz, rel_tol=1e-3):
        text += f" The recording has {record.recording.frame_rate_hz:g} Hz."
    return text


def _counts(model: Model | None, record: Record, noise_level: float) -> list[tuple[int, int, int]]:
    spread = (model.card.get("uncertainty") or {}) if model else {}
    found = spread.get(population_key(record.settings.population))
    if not found or record.settings.population == INTERNEURONS:
        return []
    low, high = count_interval(np.array(_COUNTS, dtype=float), noise_level, found, _COVERAGE)
    return [(count, int(first), int(last)) for count, first, last in zip(_COUNTS, low, high, strict=True)]
