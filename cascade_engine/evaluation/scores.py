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
from cascade_engine.metrics import LEAST_GAIN, log_gain, score

METRICS = ("correlation", "error", "bias")

#: Figures of a neuron of which a summary has medians.
MEDIANS = (*METRICS, "absolute_bias", "absolute_log_gain", "aligned_correlation", "aligned_error")

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
    aligned_correlation, aligned_error : float
        The same with the clocks of the dataset aligned (`cascade_engine.ground_truth.clocks`); NaN in tables from
        before this was measured.
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
    aligned_correlation: float = np.nan
    aligned_error: float = np.nan

    @property
    def absolute_bias(self) -> float:
        """Size of the bias."""
        return abs(self.bias)

    @property
    def log_gain(self) -> float:
        """Natural logarithm of predicted over true spikes."""
        return float(log_gain(self.bias))

    @property
    def absolute_log_gain(self) -> float:
        """Its size."""
        return abs(self.log_gain)


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
    found, aligned = score(predicted, trace.target), score(predicted, trace.aligned_target)
    if not np.isfinite(found.error):
        return None
    firing_rate = float(trace.spikes.sum() / len(trace.spikes) * trace.frame_rate)
    if not np.isfinite(aligned.error):  # its few spikes are shifted out of the frames that count
        aligned = found
    return NeuronScore(
        condition,
        method,
        trace.dataset,
        trace.cell,
        trace.noise_level,
        firing_rate,
        float(np.nan_to_num(found.correlation)),  # 0 for a constant prediction
        found.error,
        found.bias,
        float(np.nan_to_num(aligned.correlation)),
        aligned.error,
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
    with Path(path).open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            values: dict[str, Any] = {key: float(value) if key in numbers else value for key, value in row.items()}
            scores.append(NeuronScore(**values))
    return scores


@dataclass(frozen=True)
class Summary:
    """Figures of many neurons, every dataset counting alike.

    Attributes
    ----------
    n_datasets, n_neurons : int
        What they are made of.
    correlation, error, bias, absolute_bias, absolute_log_gain, aligned_correlation, aligned_error : float
        Mean over datasets of the median over neurons; the last two are NaN if they were not measured.
    total : float
        Predicted over true spikes of all neurons of a dataset (`total`); geometric mean over datasets.
    gain_sd_between, gain_sd_within : float
        Standard deviation of the log gain: of its means over the neurons of each dataset, and within a dataset (root
        mean square over datasets). NaN without two datasets, or two neurons in one.
    correlation_interval : tuple of two float
        95 % interval of the correlation, from drawing neurons within each dataset anew.
    correlation_range : tuple of two float
        10th and 90th percentile of the correlation over neurons: how much they differ.
    """

    n_datasets: int
    n_neurons: int
    correlation: float
    error: float
    bias: float
    absolute_bias: float
    absolute_log_gain: float
    aligned_correlation: float
    aligned_error: float
    total: float
    gain_sd_between: float
    gain_sd_within: float
    correlation_interval: tuple[float, float]
    correlation_range: tuple[float, float]


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
        Means over datasets.
    """
    by_dataset: dict[str, list[NeuronScore]] = {}
    for entry in scores:
        by_dataset.setdefault(entry.dataset, []).append(entry)
    tables = [np.array([[getattr(e, name) for name in MEDIANS] for e in found]) for found in by_dataset.values()]
    rng = np.random.default_rng(seed)
    draws = [table[rng.integers(len(table), size=(_N_BOOTSTRAP, len(table))), 0] for table in tables]
    low, high = np.percentile(np.mean([np.median(drawn, axis=1) for drawn in draws], axis=0), [2.5, 97.5])
    middle = np.mean([np.median(table, axis=0) for table in tables], axis=0).tolist()
    medians: dict[str, Any] = dict(zip(MEDIANS, middle, strict=True))
    gains = [np.array([entry.log_gain for entry in found]) for found in by_dataset.values()]
    variances = [gain.var(ddof=1) for gain in gains if len(gain) > 1]
    return Summary(
        n_datasets=len(tables),
        n_neurons=len(scores),
        **medians,
        total=float(np.exp(np.mean([np.log(max(total(found), LEAST_GAIN)) for found in by_dataset.values()]))),
        gain_sd_between=float(np.std([gain.mean() for gain in gains], ddof=1)) if len(gains) > 1 else np.nan,
        gain_sd_within=float(np.sqrt(np.mean(variances))) if variances else np.nan,
        correlation_interval=(float(low), float(high)),
        correlation_range=_range([table[:, 0] for table in tables]),
    )


def _range(values: Sequence[np.ndarray]) -> tuple[float, float]:
    """10th and 90th percentile over the neurons of all datasets, every dataset counting alike."""
    pooled = np.concatenate(values)
    weights = np.concatenate([np.full(len(found), 1.0 / len(found)) for found in values]) / len(values)
    order = np.argsort(pooled)
    low, high = np.interp([0.1, 0.9], np.cumsum(weights[order]) - weights[order] / 2, pooled[order])
    return float(low), float(high)


def total(scores: Iterable[NeuronScore]) -> float:
    """Predicted over true spikes of all neurons together, as if each had been recorded for the same time."""
    rates, biases = np.array([(entry.firing_rate, entry.bias) for entry in scores]).T
    return float(np.sum((1.0 + biases) * rates) / np.sum(rates))
