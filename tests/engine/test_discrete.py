"""Discrete spikes: as near to the trace as any search gets, and right in every corner."""

from __future__ import annotations

import numpy as np
import pytest

from cascade_engine import InputError, infer, infer_discrete_spikes, smooth_spikes, smoothing_kernel
from cascade_engine.discrete import spikes as discrete_spikes
from cascade_engine.discrete.decoding import spectral_factor
from cascade_engine.discrete.islands import find_islands
from cascade_engine.ground_truth import simulate_dataset
from tests.builders.monte_carlo import best_distance

RATE, SMOOTHING = 30.0, 0.05


def discretised(trace, frame_rate=RATE, smoothing=SMOOTHING, kernel="gaussian", **options):
    return infer_discrete_spikes(np.atleast_2d(trace), frame_rate, smoothing, kernel, **options)


def counts_of(trace, *arguments, **options) -> np.ndarray:
    return discretised(trace, *arguments, **options).counts()[0]


def distance(trace, counts, frame_rate=RATE, smoothing=SMOOTHING, kernel="gaussian") -> float:
    return float(np.nansum((trace - smooth_spikes(counts, frame_rate, smoothing, kernel)) ** 2))


@pytest.fixture(scope="module")
def predictions() -> list[np.ndarray]:
    """What the shipped model predicts for simulated neurons."""
    recordings = [neuron.recordings[0] for neuron in simulate_dataset(n_neurons=6, duration_s=60).neurons]
    return [infer(recording.dff[np.newaxis], recording.frame_rate).spike_prob[0] for recording in recordings]


@pytest.mark.parametrize("kernel", ["gaussian", "causal"])
def test_not_worse_than_the_best_of_500_monte_carlo_restarts(predictions, kernel):
    weights, rng = smoothing_kernel(RATE, SMOOTHING, kernel), np.random.default_rng(0)
    half, n_compared = len(weights) // 2, 0
    for trace in predictions:
        counts = counts_of(trace, kernel=kernel)
        islands = find_islands(trace[np.newaxis], weights, [slice(0, len(trace))])
        for number in rng.permutation(len(islands.first))[:5]:
            start = int(islands.frame[islands.first[number]])
            stop = start + int(islands.length[number])
            low, high = max(start - half, 0), min(stop + half, len(trace))
            inside = np.zeros(high - low)
            inside[start - low : stop - low] = counts[start:stop]
            if low > 0 and high < len(trace):
                ours = distance(trace[low:high], inside, kernel=kernel)
                places = slice(start - low, stop - low)
                theirs = best_distance(trace[low:high], places, RATE, SMOOTHING, kernel, 500, rng)
                assert ours <= theirs + 1e-9
                n_compared += 1
    assert n_compared >= 15


@pytest.mark.parametrize("kernel", ["gaussian", "causal"])
@pytest.mark.parametrize("frame_rate, smoothing", [(30.0, 0.05), (7.5, 0.2), (3.0, 0.5), (100.0, 0.05)])
def test_spikes_are_found_again(frame_rate, smoothing, kernel):
    rng = np.random.default_rng(1)
    true = rng.poisson(0.02, (3, 2000))
    true[:, [0, 1, 1998, 1999]] += 1  # kernels that are cut off by the ends
    found = infer_discrete_spikes(smooth_spikes(true, frame_rate, smoothing, kernel), frame_rate, smoothing, kernel)
    np.testing.assert_array_equal(found.counts(), true)
    np.testing.assert_allclose(np.concatenate(found.confidence), 1.0, atol=1e-6)
    np.testing.assert_array_equal(found.n_spikes, true.sum(axis=1))
    np.testing.assert_allclose(found.times_s[0], found.frames[0] / frame_rate)


def test_a_neuron_without_values_has_no_spikes_and_a_note():
    trace = smooth_spikes(np.eye(1, 200, 100), RATE, SMOOTHING)
    found = discretised(np.concatenate([np.full((1, 200), np.nan), trace]))
    assert found.frames[0].size == 0 and found.notes == ["all values are missing", ""]
    np.testing.assert_array_equal(found.frames[1], [100])


def test_missing_edges_and_gaps_are_ignored():
    true = np.zeros(300, dtype=int)
    true[[33, 100, 105, 266]] = 1, 2, 1, 1
    trace = smooth_spikes(true, RATE, SMOOTHING)
    trace[:32], trace[-32:], trace[102:104] = np.nan, np.nan, np.nan
    np.testing.assert_array_equal(counts_of(trace), true)


@pytest.mark.parametrize("trace", [np.zeros(100), np.full(100, 1e-3), np.zeros(0)])
def test_nothing_is_found_in_nothing(trace):
    found = discretised(trace.reshape(1, -1))
    assert found.frames[0].size == 0 and found.n_frames == trace.size


def test_no_neurons():
    assert discretised(np.empty((0, 50))).frames == []


def test_more_than_one_spike_per_frame():
    rng = np.random.default_rng(2)
    true = rng.poisson(3.0, 400)
    trace = smooth_spikes(true, 3.0, 0.5)
    assert distance(trace, counts_of(trace, 3.0, 0.5), 3.0, 0.5) <= 1e-3 * distance(trace, np.zeros(400), 3.0, 0.5)
    assert abs(counts_of(trace, 3.0, 0.5).sum() - true.sum()) <= 2


def test_a_burst_of_50_spikes_in_a_second():
    true = np.zeros(300, dtype=int)
    np.add.at(true, np.random.default_rng(3).integers(100, 130, 50), 1)
    trace = smooth_spikes(true, RATE, SMOOTHING)
    found = counts_of(trace)
    assert found.sum() == 50
    assert distance(trace, found) < 1e-3


def test_smoothing_below_a_frame_rounds():
    trace = np.array([0.0, 0.4, 0.5, 0.6, 1.4, 1.6, 7.2, np.nan, 0.9])
    for smoothing in (0.0, 0.001):
        found = counts_of(trace, RATE, smoothing)
        np.testing.assert_array_equal(found, [0, 0, 0, 1, 1, 2, 7, 0, 1])


@pytest.mark.parametrize("value, expected", [(0.2, 0), (1.0, 1), (2.2, 2)])
def test_one_frame(value, expected):
    weight = smoothing_kernel(RATE, SMOOTHING).max()
    assert counts_of(np.array([[value * weight]]))[0] == expected


def test_no_kernel_reaches_from_one_segment_into_the_next():
    first, second = np.zeros(60, dtype=int), np.zeros(40, dtype=int)
    first[58], second[[1, 20]] = 1, 1
    trace = np.concatenate([smooth_spikes(segment, RATE, SMOOTHING) for segment in (first, second)])
    both = np.concatenate([first, second])
    np.testing.assert_array_equal(counts_of(trace, segments=[60, 0, 40]), both)
    apart = [counts_of(segment) for segment in (trace[:60], trace[60:])]
    np.testing.assert_array_equal(np.concatenate(apart), both)


def test_the_same_whatever_the_threads_the_order_and_the_company(predictions, monkeypatch):
    together = np.stack([trace[:1500] for trace in predictions])
    once = infer_discrete_spikes(together, RATE, SMOOTHING, n_threads=1)
    monkeypatch.setattr(discrete_spikes, "_BLOCK_FRAMES", 2000)
    again = infer_discrete_spikes(together[::-1], RATE, SMOOTHING, n_threads=3)
    for one, other in ((once.frames, again.frames[::-1]), (once.confidence, again.confidence[::-1])):
        for first, second in zip(one, other, strict=True):
            np.testing.assert_array_equal(first, second)


def test_confidence_is_what_the_distance_loses(predictions):
    trace = predictions[0].astype(float)
    found = discretised(trace)
    counts, norm = found.counts()[0], (smoothing_kernel(RATE, SMOOTHING) ** 2).sum()
    assert (found.confidence[0] > 0).all()
    middle = len(found.frames[0]) // 2
    without = counts.copy()
    without[found.frames[0][middle]] -= 1
    expected = (distance(trace, without) - distance(trace, counts)) / norm
    assert found.confidence[0][middle] == pytest.approx(expected)


def test_a_result_of_infer_says_rate_smoothing_and_kernel(predictions):
    recording = simulate_dataset(n_neurons=1, duration_s=30).neurons[0].recordings[0]
    result = infer(recording.dff[np.newaxis], recording.frame_rate, smoothing=0.1, kernel="causal")
    found = infer_discrete_spikes(result)
    assert (found.smoothing, found.kernel, found.frame_rate) == (0.1, "causal", result.frame_rate)
    same = infer_discrete_spikes(result.spike_prob, result.frame_rate, 0.1, "causal")
    np.testing.assert_array_equal(found.frames[0], same.frames[0])


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((np.zeros(5), 30.0, 0.05), "np.newaxis"),
        ((np.zeros((1, 5)),), "are needed with an array"),
        ((np.zeros((1, 5)), -1.0, 0.05), "frame_rate"),
        ((np.zeros((1, 5)), 30.0, -0.05), "smoothing"),
        ((np.zeros((1, 5)), 30.0, 0.05, "square"), "kernel"),
        ((np.array([[np.inf]]), 30.0, 0.05), "infinite"),
        ((np.array([["a"]]), 30.0, 0.05), "real numbers"),
    ],
)
def test_bad_arguments_are_explained(arguments, message):
    with pytest.raises(InputError, match=message):
        infer_discrete_spikes(*arguments)


def test_spectral_factor_has_the_autocorrelation_it_is_made_from():
    weights = smoothing_kernel(RATE, SMOOTHING)
    overlaps = np.correlate(weights, weights, "full")
    factor, floor = spectral_factor(overlaps, 0.01)
    middle = len(overlaps) // 2
    overlaps[middle] += floor
    np.testing.assert_allclose(np.correlate(factor, factor, "full"), overlaps, atol=1e-4)
    assert np.argmax(np.abs(factor)) <= 2
