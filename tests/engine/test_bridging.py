"""Missing frames: short gaps are bridged for the network, and have no prediction."""

import numpy as np
import pytest

from cascade_engine import infer
from cascade_engine.ground_truth import simulate_dataset
from cascade_engine.signal.bridging import bridge
from cascade_engine.signal.noise import noise_levels

RATE = 30.0
nan = np.nan


def test_short_gaps_are_filled_by_straight_lines():
    dff = np.array([[1.0, nan, 2.0, nan, nan, 5.0], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]])
    np.testing.assert_allclose(bridge(dff, RATE, [slice(0, 6)]), [[1, 1.5, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5]])
    assert np.isnan(dff).sum() == 3
    assert bridge(dff[1:], RATE, [slice(0, 6)]).base is dff


@pytest.mark.parametrize(("rate", "longest"), [(0.2, 1), (2.0, 4), (7.5, 10), (30.0, 10), (100.0, 10)])
def test_only_short_gaps(rate, longest):
    dff = np.zeros((1, 1000))
    dff[0, 100 : 100 + longest] = dff[0, 500 : 501 + longest] = nan
    np.testing.assert_array_equal(
        np.flatnonzero(np.isnan(bridge(dff, rate, [slice(0, 1000)])[0])), np.arange(500, 501 + longest)
    )


def test_ends_of_segments_stay_missing():
    dff = np.array([[nan, 1.0, nan, nan, 5.0, nan, 6.0, nan]])
    found = bridge(dff, RATE, [slice(0, 3), slice(3, 8)])
    np.testing.assert_array_equal(found, [[nan, 1.0, nan, nan, 5.0, 5.5, 6.0, nan]])


@pytest.fixture(scope="module")
def dff() -> np.ndarray:
    simulated = simulate_dataset(n_neurons=4, duration_s=90, frame_rate=RATE, noise_level=1.5, seed=3)
    return np.stack([recording.dff for recording in simulated.recordings])


@pytest.mark.parametrize("run", [1, 3, 10])
def test_counts_and_time_course_stay_right(dff, run):
    """A tenth of the frames is missing; the shipped model finds in the others what it finds without a gap."""
    whole = infer(dff, RATE).spike_prob
    missing = np.arange(dff.shape[1]) % (10 * run) >= 9 * run
    result = infer(np.where(missing, np.nan, dff), RATE)
    assert np.isnan(result.spike_prob[:, missing]).all()
    found, expected = result.spike_prob[:, ~missing], whole[:, ~missing]
    assert np.isfinite(found).all()
    assert np.median(found.sum(axis=1) / expected.sum(axis=1)) == pytest.approx(1.0, abs=0.15)
    assert min(np.corrcoef(one, other)[0, 1] for one, other in zip(found, expected, strict=True)) > 0.95
    told = [text for text in result.warnings if "missing frames" in text]
    assert len(told) == 1 and "up to 10 in a row were bridged" in told[0]


def test_noise_levels_are_those_of_frames_with_a_value(dff):
    some = dff.copy()
    some[:, 1::3] = np.nan
    np.testing.assert_array_equal(infer(some, RATE).noise_levels, noise_levels(some, RATE))


def test_a_network_of_windows_loses_none(random_model, dff):
    some = dff.copy()
    some[:, 300:310] = np.nan
    some[:, 1000::7] = np.nan
    found = infer(some, RATE, random_model).spike_prob
    whole = infer(dff, RATE, random_model).spike_prob
    np.testing.assert_array_equal(np.isnan(found), np.isnan(whole) | np.isnan(some))
    far = np.r_[100:250, 350:900]
    np.testing.assert_allclose(found[:, far], whole[:, far], atol=1e-6)


def test_padding_and_threshold_leave_missing_frames_alone(random_model, dff):
    some = dff.copy()
    some[0, 400:403] = np.nan
    found = infer(some, RATE, random_model, padding=0.0, threshold=1).spike_prob
    np.testing.assert_array_equal(np.isnan(found), np.isnan(some))
