"""Resampling ground truth to a frame rate and noise level."""

import numpy as np
import pytest

from cascade_engine import noise_levels
from cascade_engine.ground_truth.records import Recording
from cascade_engine.ground_truth.resampling import add_noise, count_spikes, resample


def recording(native_rate, signal, duration_s=60.0, spikes=()):
    time_s = 5.0 + np.arange(int(duration_s * native_rate)) / native_rate
    return Recording("test", time_s, signal(time_s - 5.0).astype(np.float32), 5.0 + np.asarray(spikes, dtype=float))


@pytest.mark.parametrize("native_rate", [7.8125, 15.1, 59.11, 158.28, 500.0])
def test_slow_signals_survive_on_their_time_base(native_rate):
    def signal(time_s):
        return np.sin(2 * np.pi * 0.4 * time_s + 1.0) + 0.3 * np.sin(2 * np.pi * 1.7 * time_s)

    resampled = resample(recording(native_rate, signal), 30.0)
    assert resampled.frame_rate == pytest.approx(30.0, rel=1e-3)
    time_s = np.arange(len(resampled.dff)) / resampled.frame_rate
    error = np.abs(resampled.dff - signal(time_s))
    assert error[30:-30].max() < 0.03
    assert error.max() < 0.35  # nothing comes around from the other end: a jump would be above 1


def test_ends_do_not_leak_into_each_other():
    ramp = resample(recording(100.0, lambda time_s: time_s), 30.0).dff
    assert ramp[0] < 0.3
    assert ramp[-1] > 59.4


def test_fast_noise_is_filtered_not_folded():
    resampled = resample(recording(120.0, lambda time_s: np.sin(2 * np.pi * 31.0 * time_s)), 30.0)
    assert np.abs(resampled.dff[30:-30]).max() < 0.02


def test_rates_within_five_percent_are_left_alone():
    original = recording(30.9, np.cos)
    resampled = resample(original, 30.0)
    np.testing.assert_array_equal(resampled.dff, original.dff)
    assert resampled.frame_rate == pytest.approx(30.9)


@pytest.mark.parametrize("native_rate", [10.0, 30.0, 158.28])
def test_every_spike_is_on_the_nearest_new_frame(native_rate):
    spikes = np.array([0.001, 10.0, 10.2, 10.201, 33.337, 59.0])
    resampled = resample(recording(native_rate, np.sin, spikes=spikes), 30.0)
    assert resampled.counts.sum() == len(spikes)
    frames = np.repeat(np.arange(len(resampled.counts)), resampled.counts.astype(int))
    assert np.abs(frames / resampled.frame_rate - spikes).max() <= 0.5 / resampled.frame_rate + 1e-9


def test_counts_leave_out_spikes_beyond_the_ends():
    np.testing.assert_array_equal(count_spikes(np.array([-0.06, -0.04, 0.06, 0.94, 0.96]), 0.0, 10.0, 10)[[0, 1, 9]],
                                  [1, 1, 1])  # fmt: skip


@pytest.mark.parametrize("wanted", [1.0, 3.0, 8.0])
@pytest.mark.parametrize("native_rate", [30.0, 100.0])
def test_noise_level_is_reached(wanted, native_rate):
    rng = np.random.default_rng(0)

    def signal(time_s):
        return 0.5 * (np.sin(time_s / 3) > 0.8) + 0.01 * rng.standard_normal(len(time_s))

    resampled = resample(recording(native_rate, signal, duration_s=600), 30.0)
    noisy = add_noise(resampled, wanted, rng)
    assert noise_levels(noisy[np.newaxis], 30.0)[0] == pytest.approx(wanted, rel=0.05)


def test_noise_grows_with_brightness():
    bright = resample(recording(30.0, lambda time_s: np.where(time_s < 40, 0.0, 3.0), duration_s=60), 30.0)
    added = add_noise(bright, 4.0, np.random.default_rng(0)) - bright.dff
    assert added[1250:].std() / added[:1150].std() == pytest.approx(2.0, rel=0.1)


def test_recordings_that_are_too_noisy_are_left_out():
    rng = np.random.default_rng(0)
    noisy = resample(recording(30.0, lambda time_s: 0.2 * rng.standard_normal(len(time_s))), 30.0)
    assert noisy.noise_level > 3
    assert add_noise(noisy, 3.0, rng) is None
