"""How well inferred spike times agree with true ones, per neuron.

Definitions, and what is known of those of others:

- Precision, recall and F1 come from matching spikes one to one, each pair no further apart than a tolerance.
- The error rate is 1 - F1: one minus the harmonic mean of sensitivity and precision, as of MLspike (Deneux et al. 2016,
  Nature Communications 7:12190). ENS2 (Zhou et al. 2023) reports it with 50 ms, taken here for the largest distance
  of a pair.
- The Victor-Purpura distance (Victor & Purpura 1996, Journal of Neurophysiology 76:1310) is the least cost of turning
  one train into the other: 1 for each spike removed or added, and `cost` per second by which one is moved. Which cost
  ENS2 takes, and what it divides the distance by, is not known here. Assumed: 20 per s, so that moving a spike by 50 ms
  costs as much as adding one, and the number of true spikes. Comparisons with its figures depend on that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Largest distance (s) of two spikes that count as the same, for precision, recall and F1, and for the error rate.
TOLERANCE_S, ERROR_RATE_TOLERANCE_S = 0.1, 0.05

#: Cost (1/s) of moving a spike.
VICTOR_PURPURA_COST = 20.0


@dataclass(frozen=True)
class SpikeTrainScore:
    """Agreement of one neuron's inferred spikes with its true ones.

    Attributes
    ----------
    n_true, n_found : int
        Spikes.
    precision, recall, f1 : float
        Of spikes matched within 100 ms; NaN where they are undefined, precision without an inferred spike.
    error_rate : float
        1 - F1 of spikes matched within 50 ms.
    victor_purpura : float
        Distance with a cost of 20 per s, per true spike.
    count_error : float
        Inferred spikes less true ones, per true spike: +1 means twice as many as there were.
    """

    n_true: int
    n_found: int
    precision: float
    recall: float
    f1: float
    error_rate: float
    victor_purpura: float
    count_error: float


def score_spikes(true_s: np.ndarray, found_s: np.ndarray) -> SpikeTrainScore:
    """Score the spike times of one neuron.

    Parameters
    ----------
    true_s, found_s : array, shapes (n_true,), (n_found,)
        Times in s, on the same clock, in any order.

    Returns
    -------
    SpikeTrainScore
        Values are NaN where they are undefined: all but the counts without a true spike.
    """
    true_s, found_s = np.sort(np.asarray(true_s, dtype=float)), np.sort(np.asarray(found_s, dtype=float))
    n_true, n_found = len(true_s), len(found_s)
    if not n_true:
        return SpikeTrainScore(0, n_found, *[float("nan")] * 6)
    matched = n_matched(true_s, found_s, TOLERANCE_S)
    return SpikeTrainScore(
        n_true=n_true,
        n_found=n_found,
        precision=matched / n_found if n_found else float("nan"),
        recall=matched / n_true,
        f1=2 * matched / (n_true + n_found),
        error_rate=1 - 2 * n_matched(true_s, found_s, ERROR_RATE_TOLERANCE_S) / (n_true + n_found),
        victor_purpura=victor_purpura(true_s, found_s) / n_true,
        count_error=(n_found - n_true) / n_true,
    )


def n_matched(true_s: np.ndarray, found_s: np.ndarray, tolerance_s: float) -> int:
    """Largest number of pairs of one spike each, no further apart than a tolerance.

    Parameters
    ----------
    true_s, found_s : array
        Times in s, sorted.
    tolerance_s : float
        In s; a distance of just that counts.

    Returns
    -------
    int
        Taking the first that fits, from early to late, is optimal here.
    """
    limit = tolerance_s * (1 + 1e-9)  # times that are multiples of a frame must not fall out by rounding
    pairs, i, j = 0, 0, 0
    true, found = true_s.tolist(), found_s.tolist()
    while i < len(true) and j < len(found):
        if true[i] < found[j] - limit:
            i += 1
        elif found[j] < true[i] - limit:
            j += 1
        else:
            pairs, i, j = pairs + 1, i + 1, j + 1
    return pairs


def victor_purpura(first_s: np.ndarray, second_s: np.ndarray, cost: float = VICTOR_PURPURA_COST) -> float:
    """Victor-Purpura distance of two spike trains.

    Parameters
    ----------
    first_s, second_s : array
        Times in s, sorted.
    cost : float
        Of moving a spike, per s.

    Returns
    -------
    float
        Not normalised.
    """
    both = np.sort(np.concatenate([first_s, second_s]))
    # a move over more than 2 / cost is dearer than removing and adding: what is further apart is independent
    borders = both[1:][np.diff(both) > 2.0 / cost] if cost > 0 else both[:0]
    ends = [np.concatenate([np.searchsorted(train, borders), [len(train)]]) for train in (first_s, second_s)]
    total, i, j = 0.0, 0, 0
    for stop_i, stop_j in zip(*ends, strict=True):
        total += _edit_distance(first_s[i:stop_i], second_s[j:stop_j], cost)
        i, j = stop_i, stop_j
    return total


def _edit_distance(first: np.ndarray, second: np.ndarray, cost: float) -> float:
    if not len(first) or not len(second):
        return float(len(first) + len(second))
    steps = np.arange(len(second) + 1)
    row = steps.astype(float)
    for number, time in enumerate(first, 1):
        new = np.empty_like(row)
        new[0] = number
        new[1:] = np.minimum(row[1:] + 1, row[:-1] + cost * np.abs(second - time))
        row = steps + np.minimum.accumulate(new - steps)  # spikes of the second train that are added, one by one
    return float(row[-1])
