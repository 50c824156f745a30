"""Scores per neuron, their tables on disk, and medians with intervals from drawing the neurons anew."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from cascade_engine.evaluation.conditions import TestTrace
from cascade_engine.file_formats.atomic import replacing
from cascade_engine.metrics import score

METRICS = ("correlation", "error", "bias")

_N_BOOTSTRAP = 1000


@dataclass(frozen=True)
class NeuronScore:
    """How well one method predicts one neuron under one condition.

    Attributes
    ----------
    condition, method, dataset, cell : str
        What was predicted by what.
    noise_level : float
        In percent per sqrt(Hz).
    firing_rate : float
        True mean firing rate in Hz.
    correlation, error, bias : float
        As in `cascade_engine.metrics.score`.
    """

    condition: str
    method: str
    dataset: str
    cell: str
    noise_level: float
    firing_rate: float
    correlation: float
    error: float
    bias: float


def evaluate(spike_prob: np.ndarray, trace: TestTrace, condition: str, method: str) -> NeuronScore | None:
    """Score a prediction of one neuron.

    Parameters
    ----------
    spike_prob : array, shape (n_frames,)
        Expected spikes per frame.
    trace : TestTrace
        The neuron.
    condition, method : str
        Labels for the table.

    Returns
    -------
    NeuronScore or None
        None if nothing can be scored: no spike, or no prediction.
    """
    predicted = np.where(trace.scored, spike_prob, np.nan)
    found = score(predicted, trace.target)
    if not np.isfinite(found.error):
        return None
    firing_rate = float(trace.spikes.sum() / len(trace.spikes) * trace.frame_rate)
    correlation = found.correlation if np.isfinite(found.correlation) else 0.0  # a constant prediction
    return NeuronScore(
        condition,
        method,
        trace.dataset,
        trace.cell,
        trace.noise_level,
        firing_rate,
        correlation,
        found.error,
        found.bias,
    )


def write_scores(path: Path, scores: Iterable[NeuronScore]) -> None:
    """Write a table, one neuron per line; it replaces an earlier one as a whole."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(NeuronScore)])
    for entry in scores:
        writer.writerow([f"{value:.4f}" if isinstance(value, float) else value for value in asdict(entry).values()])
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(text.getvalue().encode())


def read_scores(path: Path) -> list[NeuronScore]:
    """Read a table that `write_scores` has written."""
    numbers = {field.name for field in fields(NeuronScore) if field.type == "float"}
    scores = []
    with Path(path).open(newline="") as file:
        for row in csv.DictReader(file):
            values: dict[str, Any] = {key: float(value) if key in numbers else value for key, value in row.items()}
            scores.append(NeuronScore(**values))
    return scores


@dataclass(frozen=True)
class Summary:
    """Medians over neurons, and their means over datasets.

    Attributes
    ----------
    n_datasets, n_neurons : int
        What they are made of.
    correlation, error, bias, absolute_bias : float
        Mean over datasets of the median over neurons.
    intervals : dict of str to tuple of two float
        95 % interval of each, from drawing neurons within each dataset anew.
    """

    n_datasets: int
    n_neurons: int
    correlation: float
    error: float
    bias: float
    absolute_bias: float
    intervals: dict[str, tuple[float, float]]


def summarize(scores: Sequence[NeuronScore], seed: int = 0) -> Summary:
    """Summarize scores of one method under one condition.

    Parameters
    ----------
    scores : sequence of NeuronScore
        At least one.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    Summary
        Means over datasets of medians over neurons.
    """
    by_dataset: dict[str, list[list[float]]] = {}
    for entry in scores:
        values = [entry.correlation, entry.error, entry.bias, abs(entry.bias)]
        by_dataset.setdefault(entry.dataset, []).append(values)
    tables = [np.array(rows) for rows in by_dataset.values()]
    middle = np.mean([np.median(table, axis=0) for table in tables], axis=0)
    rng = np.random.default_rng(seed)
    drawn = [
        np.mean([np.median(table[rng.integers(len(table), size=len(table))], axis=0) for table in tables], axis=0)
        for _ in range(_N_BOOTSTRAP)
    ]
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    names = (*METRICS, "absolute_bias")
    intervals = {name: (float(low[i]), float(high[i])) for i, name in enumerate(names)}
    correlation, error, bias, absolute_bias = map(float, middle)
    return Summary(len(tables), len(scores), correlation, error, bias, absolute_bias, intervals)
