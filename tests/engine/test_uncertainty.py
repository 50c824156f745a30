"""Counts of spikes per bin, and the intervals around them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cascade_engine import count_spikes_in_bins, infer
from cascade_engine.counts import count_interval
from cascade_engine.errors import InputError, ModelError
from cascade_engine.ground_truth import simulate_dataset

SPREAD = [
    {"noise_level": 2.0, "excess": 0.5, "gain_variance": 0.2},
    {"noise_level": 8.0, "excess": 1.0, "gain_variance": 0.6},
]


@pytest.fixture(scope="module")
def result():
    dff = np.array([recording.dff for recording in simulate_dataset(2, 61, noise_level=2.0).recordings])
    dff[1, 100:110] = np.nan
    found = infer(dff, 30.0)
    return replace(found, model=replace(found.model, card={**found.model.card, "uncertainty": {"principal": SPREAD}}))


@pytest.mark.parametrize("noise_level", [1.0, 2.0, 5.0, 20.0])
def test_intervals_hold_counts_that_are_drawn_as_they_assume(noise_level):
    rng = np.random.default_rng(0)
    expected = np.exp(rng.uniform(np.log(2), np.log(60), 20_000))
    excess = np.interp(noise_level, [2, 8], [0.5, 1.0])
    gain_variance = np.interp(noise_level, [2, 8], [0.2, 0.6])
    part = 1 / (1 + excess + gain_variance * expected)
    true = rng.negative_binomial(expected * part / (1 - part), part)
    low, high = count_interval(expected, noise_level, SPREAD, 0.8)
    inside = np.mean((low <= true) & (true <= high))
    assert 0.77 < inside < 0.83
    wider = count_interval(expected, noise_level, SPREAD, 0.95)
    assert (wider[0] <= low).all() and (wider[1] >= high).all() and wider[1].mean() > high.mean()


def test_counts_are_sums_over_whole_bins(result):
    counts = count_spikes_in_bins(result, bin_s=1.0)
    assert counts.expected.shape == counts.low.shape == (2, 61) and counts.frames_per_bin == 30
    assert counts.expected[0, 7] == pytest.approx(result.spike_prob[0, 210:240].sum(), rel=1e-5)
    assert (counts.low[0] <= counts.high[0]).all() and counts.high[0].max() > 1
    missing = np.isnan(counts.expected[1])
    assert missing.any() and not missing.all()
    np.testing.assert_array_equal(np.isnan(counts.low[1]), missing)
    np.testing.assert_array_equal(np.isnan(counts.high[1]), missing)


def test_no_bin_crosses_a_seam(result):
    counts = count_spikes_in_bins(result, bin_s=2.0, segments=[100, 1730])
    assert counts.start_frames[:3].tolist() == [0, 100, 160] and counts.start_frames[-1] + 60 <= 1830


def test_what_cannot_be_asked(result, random_model):
    for wrong in ({"bin_s": 0.1}, {"bin_s": 60.0}, {"coverage": 1.0}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            count_spikes_in_bins(result, **wrong)
    with pytest.raises(ModelError, match="random does not say how uncertain"):
        count_spikes_in_bins(replace(result, model=random_model))
