"""The size of a single spike in dF/F."""

from __future__ import annotations

import numpy as np
import pytest

from cascade_engine.ground_truth import load_catalogue, load_dataset
from cascade_engine.ground_truth.records import Recording
from cascade_engine.ground_truth.single_spikes import spike_averages, spikes_alone

RATE = 50.0
SPIKES_S = np.arange(3.0, 58.0, 5.0)


def make_recording(size, spikes_s=SPIKES_S, peak_s=0.1, level=0.0):
    """dF/F that goes up to a size and down again around each spike."""
    time_s = np.arange(round(60 * RATE)) / RATE
    since_s = time_s[:, np.newaxis] - spikes_s - peak_s
    bumps = size * np.exp(-((since_s / 0.15) ** 2))
    return Recording("", time_s, (level + bumps.sum(axis=1)).astype(np.float32), spikes_s)


def test_spikes_stand_alone_if_none_is_near():
    times = np.array([1.0, 2.9, 5.0, 6.1, 9.0, 9.5, 20.0])
    np.testing.assert_array_equal(spikes_alone(times), [1.0, 5.0, 20.0])
    assert not spikes_alone(np.empty(0)).size


@pytest.mark.parametrize("peak_s", [0.06, 0.1, 0.4])
def test_size_is_that_around_the_peak_wherever_it_is(peak_s):
    found = spike_averages([[make_recording(0.2, peak_s=peak_s, level=level)] for level in (0.0, 0.5)])
    assert found.peak_s == pytest.approx(peak_s) and found.n_spikes.tolist() == [11, 11]
    assert found.size == pytest.approx(0.19, abs=0.01)
    np.testing.assert_allclose(found.averages[0], found.averages[1], atol=1e-6)  # the level does not matter


def test_what_was_before_the_spike_is_not_part_of_its_size():
    time_s = np.arange(round(60 * RATE)) / RATE
    since_s = np.min(np.abs(np.where(time_s[:, np.newaxis] >= SPIKES_S, time_s[:, np.newaxis] - SPIKES_S, 99)), axis=1)
    dff = np.where((since_s > 0) & (since_s < 0.09), 0.3, 0.0).astype(np.float32)  # a fast indicator
    assert spike_averages([[Recording("", time_s, dff, SPIKES_S)]]).size == pytest.approx(0.3, abs=0.01)


def test_neurons_with_few_spikes_or_without_values_have_no_size():
    missing = make_recording(0.2)
    missing.dff[:] = np.nan
    found = spike_averages([[make_recording(0.2)], [make_recording(0.2, SPIKES_S[:4])], [missing], []])
    assert np.isfinite(found.sizes).tolist() == [True, False, False, False]
    assert found.n_spikes.tolist() == [11, 4, 0, 0]
    nothing = spike_averages([[missing]])
    assert np.isnan(nothing.peak_s) and np.isnan(nothing.size) and np.isnan(spike_averages([]).size)


def test_recordings_of_a_neuron_count_together():
    parts = [make_recording(0.2, SPIKES_S[:3]), make_recording(0.2, SPIKES_S[3:6])]
    assert spike_averages([parts]).n_spikes.tolist() == [6]


@pytest.mark.parametrize("key", ["DS06", "DS14"])
def test_the_catalogue_holds_what_was_measured(key, shared):
    entry = load_catalogue()[key]
    found = spike_averages(neuron.recordings for neuron in load_dataset(shared("ground_truth") / entry.folder).neurons)
    assert found.size == pytest.approx(entry.single_spike_dff, abs=0.0006)
