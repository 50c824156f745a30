"""Disturbances of training crops: what they change, what they leave alone, and how strong they are."""

from dataclasses import replace

import numpy as np
import pytest

from cascade_engine.errors import InputError
from cascade_engine.ground_truth.simulation import simulate_dataset
from cascade_engine.networks.universal import disturbances, trainer
from cascade_engine.networks.universal.batches import UniversalBatches
from cascade_engine.networks.universal.config import UniversalConfig

FRAME_RATE, N_FRAMES, NOISE_SD = 30.0, 2048, 0.05
CONFIG = UniversalConfig("test", ("simulated",), frame_rates=(FRAME_RATE,), frames_per_step=2**16)


def a_trace(seed=0):
    return NOISE_SD * np.random.default_rng(seed).standard_normal(N_FRAMES)


def applied(kind, times=200):
    """A kind, applied again and again to the same trace: differences from it."""
    dff = a_trace()
    return np.array([kind(dff, FRAME_RATE, np.random.default_rng(seed)) - dff for seed in range(times)])


@pytest.mark.parametrize("frame_rate", [1.0, 7.5, 30.0, 200.0])
def test_a_disturbed_crop_is_finite_and_zero_where_nothing_is(frame_rate):
    present = np.ones(N_FRAMES, dtype=bool)
    present[900:916] = False
    for seed in range(200):
        rng = np.random.default_rng(seed)
        dff, left = disturbances.disturb(a_trace(), present, frame_rate, a_trace(1), rng)
        assert dff.dtype == np.float32
        assert np.isfinite(dff).all()
        assert (dff[~left] == 0).all()
        assert not (left & ~present).any()
        assert left.mean() > 0.5


def test_the_same_seed_gives_the_same_disturbance():
    present = np.ones(N_FRAMES, dtype=bool)
    once, again = (
        disturbances.disturb(a_trace(), present, FRAME_RATE, a_trace(1), np.random.default_rng(5)) for _ in range(2)
    )
    np.testing.assert_array_equal(once[0], again[0])
    np.testing.assert_array_equal(once[1], again[1])


def test_the_trace_that_is_passed_stays_as_it_is():
    for kind, _ in disturbances.KINDS:
        dff = a_trace()
        for seed in range(20):
            kind(dff, FRAME_RATE, np.random.default_rng(seed))
        np.testing.assert_array_equal(dff, a_trace())


def test_movement_takes_light_in_a_small_part_of_the_frames():
    change = applied(disturbances.movement)
    assert np.median(np.mean(np.abs(change) > 1e-9, axis=1)) < 0.2
    lost = change.min(axis=1)
    assert -1.0 < lost.min() < -0.5
    assert np.mean(lost < -0.05) > 0.5
    assert 0 < np.mean(change.max(axis=1) > 0.03) < 0.4


def test_black_frames_lie_at_minus_one_or_somewhat_above():
    disturbed = a_trace() + applied(disturbances.black_frames)
    lowest = disturbed.min(axis=1)
    assert np.mean(np.abs(lowest + 1.0) < 0.2) > 0.4
    assert lowest.min() > -1.5
    assert lowest.max() < -0.25


def test_flashes_reach_fifty():
    brightest = applied(disturbances.flashes).max(axis=1)
    assert brightest.max() > 30
    assert brightest.min() < 1
    assert np.all(brightest > 0.2)


def test_negative_transients_go_down_only():
    change = applied(disturbances.negative_transients)
    assert change.max() < 1e-9
    assert change.min() < -0.4


def test_line_noise_is_measured_in_noise():
    sd = applied(disturbances.line_noise).std(axis=1)
    assert 0.1 * NOISE_SD < sd.min() < sd.max() < 2 * NOISE_SD


def test_smoothing_leaves_less_noise():
    disturbed = a_trace() + applied(disturbances.smoothed)
    assert np.all(np.diff(disturbed, axis=1).std(axis=1) < 1.3 * NOISE_SD)
    np.testing.assert_allclose(disturbed.mean(axis=1), a_trace().mean(), atol=0.1 * NOISE_SD)


def test_missing_frames_are_a_small_part():
    shares = [
        disturbances.missing_frames(N_FRAMES, FRAME_RATE, np.random.default_rng(seed)).mean() for seed in range(200)
    ]
    assert 0 < min(shares) < 0.01
    assert 0.1 < max(shares) < 0.4


def test_repeated_frames_hold_the_value_before():
    dff = a_trace()
    disturbed = disturbances.repeated_frames(dff, FRAME_RATE, np.random.default_rng(0))
    changed = np.flatnonzero(disturbed != dff)
    assert changed.size
    np.testing.assert_array_equal(disturbed[changed], disturbed[changed - 1])


def test_batches_are_disturbed_as_often_as_wanted_and_targets_stay():
    datasets = [simulate_dataset(n_neurons=4, duration_s=120.0, frame_rate=FRAME_RATE, seed=1)]
    config = replace(CONFIG, native_share=1.0, disturbed_share=0.5)
    odd, crops = 0, 0
    for seed in range(10):
        (dff, _, mask), target = UniversalBatches(datasets, config).batch(np.random.default_rng(seed))
        assert (target[mask == 0] == 0).all()
        assert (target[mask > 0][:, 1] > 0).all()
        assert np.all(target[..., 0] >= 0)
        noise_sd = np.median(np.abs(np.diff(dff)), axis=1) / 0.954
        odd += np.sum((dff.min(axis=1) < -8 * noise_sd) | (dff.max(axis=1) > 8) | (mask.mean(axis=1) < 1))
        crops += len(dff)
    assert 0.15 < odd / crops < 0.5


def test_no_share_draws_nothing():
    datasets = [simulate_dataset(n_neurons=2, duration_s=120.0, frame_rate=FRAME_RATE, seed=1)]
    config = replace(CONFIG, native_share=1.0, simulated_disturbed_share=0.5)
    (dff, _, mask), _ = UniversalBatches(datasets, config).batch(np.random.default_rng(0))
    assert mask.all()
    noise_sd = np.median(np.abs(np.diff(dff)), axis=1, keepdims=True) / 0.954
    assert (dff > -8 * noise_sd).all()


def test_simulated_neurons_have_a_share_of_their_own(monkeypatch):
    seen = []
    monkeypatch.setattr(trainer, "UniversalBatches", lambda datasets, config: seen.append(config))
    given = replace(CONFIG, disturbed_share=0.1, simulated_disturbed_share=0.3, simulated_datasets=1)
    trainer.simulated_batches(replace(given, silent_share=0.1, computed_dff_share=0.5))
    assert [(config.disturbed_share, config.silent_share, config.computed_dff_share) for config in seen] == [
        (0.3, 0, 0)
    ]


@pytest.mark.parametrize(
    "key", ["native_share", "disturbed_share", "simulated_disturbed_share", "silent_share", "computed_dff_share"]
)
def test_the_share_is_checked(key):
    with pytest.raises(InputError, match=f"{key} must lie between 0 and 1"):
        UniversalConfig.from_dict({"model_name": "x", "training_datasets": ["a"], key: 1.5})
