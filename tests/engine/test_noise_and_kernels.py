"""Noise levels, segments, smoothing kernels, metrics."""

import numpy as np
import pytest

from cascade_engine import InputError, noise_levels, score, single_spike_amplitude, smooth_spikes, smoothing_kernel
from cascade_engine.signal.noise import noise_level_to_sd
from cascade_engine.signal.segments import segment_slices


@pytest.mark.parametrize("frame_rate", [7.5, 30.0, 100.0])
def test_noise_level_of_white_noise(frame_rate):
    rng = np.random.default_rng(1)
    sd = np.array([0.02, 0.1, 0.5])
    dff = sd[:, np.newaxis] * rng.standard_normal((3, 60_000))
    np.testing.assert_allclose(noise_levels(dff, frame_rate), 100 * 0.9539 * sd / np.sqrt(frame_rate), rtol=0.02)
    back = [noise_level_to_sd(level, frame_rate) for level in noise_levels(dff, frame_rate)]
    np.testing.assert_allclose(back, sd, rtol=0.02)


def test_noise_level_is_the_published_formula():
    dff = np.array([[0.0, 0.1, 0.4, 0.2]])
    assert noise_levels(dff, 25.0)[0] == pytest.approx(100 * 0.2 / 5.0)


def test_noise_level_ignores_missing_frames_and_borders_of_segments():
    rng = np.random.default_rng(2)
    dff = 0.1 * rng.standard_normal((1, 6))
    joined = np.concatenate([dff, dff + 50, dff], axis=1)
    steps = np.tile(np.abs(np.diff(dff[0])), 3)
    assert noise_levels(joined, 30.0, segments=[6, 6, 6])[0] == pytest.approx(100 * np.median(steps) / np.sqrt(30))
    joined[0, 3] = np.nan
    assert np.isfinite(noise_levels(joined, 30.0)[0])
    assert np.isnan(noise_levels(np.full((1, 10), np.nan), 30.0)[0])
    assert np.isnan(noise_levels(np.zeros((1, 1)), 30.0)[0])


@pytest.mark.parametrize("bad", [np.zeros(5), np.zeros((2, 3, 4)), np.array([["a", "b"]]), np.zeros((2, 2), complex)])
def test_noise_level_refuses_what_is_no_trace(bad):
    with pytest.raises(InputError):
        noise_levels(bad, 30.0)


@pytest.mark.parametrize("bad", [0, -1.0, np.nan, np.inf, "fast", None])
def test_bad_frame_rate_is_refused(bad):
    with pytest.raises(InputError, match="frame_rate"):
        noise_levels(np.zeros((1, 5)), bad)


def test_segments():
    assert segment_slices(5) == [slice(0, 5)]
    assert segment_slices(7, [3, 0, 4]) == [slice(0, 3), slice(3, 7)]
    with pytest.raises(InputError, match="add up to 6"):
        segment_slices(7, [3, 3])
    with pytest.raises(InputError):
        segment_slices(2, [3, -1])


@pytest.mark.parametrize("kernel", ["gaussian", "causal"])
@pytest.mark.parametrize(("frame_rate", "smoothing"), [(30.0, 0.05), (7.5, 0.2), (100.0, 0.025), (2.5, 0.01), (30, 0)])
def test_kernels_conserve_spikes(kernel, frame_rate, smoothing):
    weights = smoothing_kernel(frame_rate, smoothing, kernel)
    assert len(weights) % 2 == 1
    assert weights.sum() == pytest.approx(1)
    assert (weights >= 0).all()
    counts = np.zeros((2, 601))
    counts[:, 300] = [1, 3]
    smoothed = smooth_spikes(counts, frame_rate, smoothing, kernel)
    np.testing.assert_allclose(smoothed.sum(axis=1), [1, 3])
    assert smoothed[0].max() == pytest.approx(single_spike_amplitude(frame_rate, smoothing, kernel))


def test_gaussian_kernel_has_the_width_that_was_asked_for():
    frames = np.arange(601) - 300
    counts = np.zeros(601)
    counts[300] = 1
    smoothed = smooth_spikes(counts, 30.0, 0.2)
    assert np.sqrt((smoothed * frames**2).sum()) == pytest.approx(0.2 * 30, rel=0.01)
    assert smoothed.argmax() == 300


def test_causal_kernel_follows_the_spike():
    counts = np.zeros(601)
    counts[300] = 1
    smoothed = smooth_spikes(counts, 100.0, 0.1, "causal")
    assert smoothed[:300].sum() < 0.02
    assert 300 < smoothed.argmax() < 330


def test_kernel_refuses_what_it_does_not_know():
    with pytest.raises(InputError, match="gaussian, causal"):
        smoothing_kernel(30.0, 0.05, "boxcar")
    with pytest.raises(InputError, match="smoothing"):
        smoothing_kernel(30.0, -0.05)


def test_score():
    truth = np.array([0.0, 1.0, 0.0, 2.0, 1.0])
    perfect = score(truth, truth)
    assert (perfect.correlation, perfect.error, perfect.bias) == (pytest.approx(1), 0, 0)
    doubled = score(2 * truth, truth)
    assert (doubled.correlation, doubled.error, doubled.bias) == (pytest.approx(1), pytest.approx(1), pytest.approx(1))
    silent = score(np.zeros(5), truth)
    assert np.isnan(silent.correlation)
    assert (silent.error, silent.bias) == (pytest.approx(1), pytest.approx(-1))


def test_score_leaves_out_frames_without_prediction():
    truth = np.array([5.0, 1.0, 0.0, 2.0])
    predicted = np.array([np.nan, 1.0, 0.0, 2.0])
    assert score(predicted, truth).error == 0
    assert np.isnan(score(predicted, np.zeros(4)).error)
