"""How far the number of spikes is off in neurons that the networks have not seen, and the spread that describes it.

`cascade_engine.counts` makes its intervals from such a spread, as the card of a model states it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from cascade_engine.counts import population_key
from cascade_engine.evaluation.conditions import NOISE_LEVELS, Condition, make_trace
from cascade_engine.evaluation.leave_out import predict_with, settings_for
from cascade_engine.ground_truth.records import Dataset
from cascade_engine.networks.families import resolve
from cascade_engine.networks.store import Model

#: Length (s) of the bins on which the spread is fitted.
FITTED_BIN_S = 1.0

#: Expected and true counts of each neuron of a dataset, shape (2, n_bins), by noise level and length of the bins (s).
Counts = dict[tuple[float, float], list[np.ndarray]]

#: Expected counts below this are raised to it: the distribution needs a positive mean.
_LEAST_COUNT = 1e-3


def count_in_bins(
    model: Model,
    dataset: Dataset,
    frame_rate: float,
    noise_levels: Iterable[float] = NOISE_LEVELS,
    bins_s: Sequence[float] = (FITTED_BIN_S,),
) -> Counts:
    """Expected and true numbers of spikes in bins of time.

    Parameters
    ----------
    model : Model
        A model that has not seen the dataset.
    dataset : Dataset
        Ground truth.
    frame_rate : float
        Frame rate in Hz to resample it to.
    noise_levels : iterable of float
        Noise levels in percent per sqrt(Hz); noise is added to reach them.
    bins_s : sequence of float
        Lengths of the bins in s.

    Returns
    -------
    dict
        For each noise level and length of the bins an array per neuron, shape (2, n_bins).
    """
    found: Counts = {(level, bin_s): [] for level in noise_levels for bin_s in bins_s}
    for level in dict.fromkeys(level for level, _ in found):
        condition = Condition(frame_rate, 0.0, level)
        for trace in filter(None, (make_trace(neuron, condition) for neuron in dataset.neurons)):
            expected = predict_with(model, condition, trace)
            for bin_s in bins_s:
                n_frames = round(bin_s * trace.frame_rate)
                starts = np.arange(0, len(expected) - n_frames + 1, n_frames)
                frames = starts[:, np.newaxis] + np.arange(n_frames)
                frames = frames[trace.scored[frames].all(axis=1)]
                if len(frames):
                    pair = np.stack([expected[frames].sum(axis=1), trace.spikes[frames].sum(axis=1)])
                    found[level, bin_s].append(pair)
    return found


def fit_spread(counts: Iterable[Counts], noise_level: float) -> dict[str, float] | None:
    """The spread that makes the true counts most likely; every neuron counts alike.

    Parameters
    ----------
    counts : iterable of dict
        Counts of each dataset, as of `count_in_bins`.
    noise_level : float
        Noise level in percent per sqrt(Hz).

    Returns
    -------
    dict or None
        ``noise_level``, ``excess`` and ``gain_variance``, as `cascade_engine.counts.count_interval` takes them; None if
        there is no neuron.
    """
    from scipy.optimize import minimize
    from scipy.stats import nbinom

    pairs = [pair for found in counts for pair in found[noise_level, FITTED_BIN_S]]
    if not pairs:
        return None
    weights = np.concatenate([np.full(pair.shape[1], 1.0 / pair.shape[1]) for pair in pairs])
    expected, true = np.concatenate(pairs, axis=1)
    expected = np.maximum(expected, _LEAST_COUNT)

    def deviance(logarithms: np.ndarray) -> float:
        excess, gain_variance = np.exp(logarithms)
        part = 1.0 / (1.0 + excess + gain_variance * expected)
        likelihood = nbinom.logpmf(np.round(true), expected * part / (1.0 - part), part)
        return -float(np.sum(weights * likelihood))

    excess, gain_variance = np.exp(minimize(deviance, np.log([0.5, 0.3]), method="Nelder-Mead").x)
    return {
        "noise_level": noise_level,
        "excess": round(float(excess), 3),
        "gain_variance": round(float(gain_variance), 3),
    }


def by_population(datasets: Iterable[str], model: Model) -> dict[str, list[str]]:
    """Names of datasets, by the population that the model is given for their neurons."""
    groups: dict[str, list[str]] = {}
    for name in datasets:
        condition = Condition(model.usual_frame_rate, 0.0, NOISE_LEVELS[0])
        settings = settings_for(model, name, condition, NOISE_LEVELS[0])
        population = resolve(settings, model, condition.frame_rate).population
        groups.setdefault(population_key(population), []).append(name)
    return groups


def card_spread(counts: Mapping[str, Counts], model: Model) -> dict[str, list[dict[str, Any]]]:
    """The entry ``uncertainty`` for the card of a model.

    Parameters
    ----------
    counts : mapping of str to dict
        Counts by name of the dataset, each predicted by networks that have not seen it.
    model : Model
        The model.

    Returns
    -------
    dict
        For each population, a spread for each noise level.
    """
    entry = {}
    for population, names in by_population(counts, model).items():
        levels = dict.fromkeys(level for name in names for level, _ in counts[name])
        spread = [fit_spread([counts[name] for name in names], level) for level in levels]
        found = [each for each in spread if each is not None]
        if found:
            entry[population] = found
    return entry
