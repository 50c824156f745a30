"""Scores of spike times against hand-made and exhaustive answers."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from cascade_engine.evaluation.spike_trains import n_matched, score_spikes, victor_purpura


def test_perfect_and_empty():
    score = score_spikes([3.0, 1.0, 2.0], [1.0, 2.0, 3.0])
    assert (score.precision, score.recall, score.f1) == (1, 1, 1)
    assert (score.error_rate, score.victor_purpura, score.count_error) == (0, 0, 0)
    nothing = score_spikes([1.0, 2.0], [])
    assert np.isnan(nothing.precision) and nothing.recall == nothing.f1 == 0
    assert (nothing.error_rate, nothing.victor_purpura, nothing.count_error) == (1, 1, -1)
    undefined = score_spikes([], [1.0])
    assert undefined.n_found == 1 and np.isnan([undefined.f1, undefined.error_rate, undefined.count_error]).all()


def test_tolerances():
    score = score_spikes([1.0, 2.0, 3.0], [1.05, 2.08, 3.2])
    assert score.f1 == pytest.approx(2 / 3)  # within 100 ms: two
    assert score.error_rate == pytest.approx(1 - 1 / 3)  # within 50 ms: one, at just that distance


def test_each_spike_is_matched_once():
    assert n_matched(np.array([1.0]), np.array([0.99, 1.0, 1.01]), 0.1) == 1
    assert n_matched(np.array([1.0, 1.15]), np.array([0.92, 1.08]), 0.1) == 2


def test_no_matching_is_larger():
    rng = np.random.default_rng(0)
    for _ in range(50):
        true, found = np.sort(rng.random(5)), np.sort(rng.random(4))
        close = np.abs(true[:, np.newaxis] - found) <= 0.1
        # sorted times: some largest matching does not cross
        largest = max(
            size
            for size in range(5)
            for rows in combinations(range(5), size)
            for columns in combinations(range(4), size)
            if close[list(rows), list(columns)].all()
        )
        assert n_matched(true, found, 0.1) == largest


def plain_victor_purpura(first, second, cost) -> float:
    """The recursion as published."""
    table = np.add.outer(np.arange(len(first) + 1.0), np.arange(len(second) + 1.0))
    for i, one in enumerate(first, 1):
        for j, other in enumerate(second, 1):
            table[i, j] = min(table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + cost * abs(one - other))
    return float(table[-1, -1])


@pytest.mark.parametrize("cost", [0.0, 1.0, 20.0, 1000.0])
def test_victor_purpura_is_the_published_recursion(cost):
    rng = np.random.default_rng(1)
    for n_first, n_second in [(0, 3), (4, 0), (7, 12), (40, 30)]:
        first, second = np.sort(rng.uniform(0, 3, n_first)), np.sort(rng.uniform(0, 3, n_second))
        assert victor_purpura(first, second, cost) == pytest.approx(plain_victor_purpura(first, second, cost))
