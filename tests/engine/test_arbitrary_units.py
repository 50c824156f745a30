"""Traces in arbitrary units: scaled by their noise, or by their peak where it is gone; what is no dF/F at all."""

import numpy as np
import pytest

from cascade_engine.ground_truth import simulate_dataset
from cascade_engine.signal.dff import less_baseline
from cascade_engine.signal.noise import noise_levels
from cascade_engine.signal.units import (
    ARBITRARY_NOISE_LEVEL,
    ARBITRARY_PEAK,
    scale_arbitrary,
    unit_problem,
    why_not_dff,
    why_not_raw,
)

RATE = 30.0


@pytest.fixture(scope="module")
def dff():
    return np.stack([recording.dff for recording in simulate_dataset(4, 60.0, RATE, 3.0, 5).recordings])


@pytest.mark.parametrize(("gain", "offset"), [(1.0, 0.0), (250.0, -3000.0), (1e-4, 0.2)])
def test_the_unit_does_not_matter(dff, gain, offset):
    expected = scale_arbitrary(less_baseline(dff, RATE)[0], RATE)
    found = scale_arbitrary(less_baseline(gain * dff + offset, RATE)[0], RATE)
    np.testing.assert_allclose(found.values, expected.values, atol=0.01)
    np.testing.assert_allclose(noise_levels(found.values, RATE), ARBITRARY_NOISE_LEVEL, rtol=1e-3)
    assert not found.by_peak.any() and found.notes == [""] * 4


@pytest.mark.parametrize("gain", [1e-3, 1.0, 2e4])
def test_traces_without_noise_are_scaled_by_their_peak(gain):
    """Zero between events, and a denoised fit that decays from event to event."""
    decay = np.exp(-np.arange(60) / 20.0)
    traces = np.zeros((2, 1800))
    traces[:, 300:360] = decay
    traces[0, 900:960], traces[1] = 0.5 * decay, traces[1] + 1e-3 * np.sin(np.arange(1800) / 300.0)
    scaled = scale_arbitrary(gain * traces, RATE)
    assert scaled.by_peak.all() and scaled.notes == ["", ""]
    np.testing.assert_allclose(scaled.values.max(axis=1), ARBITRARY_PEAK, rtol=0.1)
    np.testing.assert_allclose(scaled.values[0, 900] / scaled.values[0, 300], 0.5, rtol=1e-5)


def test_what_cannot_be_scaled_has_its_true_reason():
    traces = np.stack([np.full(300, 0.0), np.full(300, 7.0), np.full(300, np.nan)])
    scaled = scale_arbitrary(traces, RATE)
    assert scaled.notes == ["constant: there is nothing to scale"] * 2 + [""]
    assert np.isnan(scaled.values).all() and not scaled.by_peak.any()


def test_traces_that_go_far_are_no_dff(dff):
    assert unit_problem(0.0, 2.0, 50.0) == ""
    assert "reach 3.5e+04 or more" in unit_problem(-1000.0, 2.0, 3.5e4)
    assert why_not_dff(dff, RATE) == ""
    rng = np.random.default_rng(0)
    denoised = np.cumsum(rng.standard_normal((3, 2000)), axis=1) * 3
    denoised -= 300 + denoised.max()
    assert "in another unit" in why_not_dff(denoised, RATE)
    assert "below zero" in why_not_raw(denoised)
