"""Clocks of ground truth: the onset of fluorescence after true spikes, and scores with true spikes shifted by it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.accuracy import clocks
from cascade_engine.evaluation import Condition, evaluate, make_trace
from cascade_engine.ground_truth import Dataset, Indicator, Neuron, load_catalogue, simulate_dataset
from cascade_engine.ground_truth.clocks import clock_offset, clock_shifts, kernel_onset, kernel_onsets


def simulated(frame_rate: float, offset_s: float, rise_s: float = 0.03, decay_s: float = 0.5) -> Dataset:
    """A dataset whose fluorescence is on a clock that is late."""
    indicator = Indicator(0.2, rise_s, decay_s)
    dataset = simulate_dataset(4, 200, frame_rate, noise_level=1.5, seed=4, indicator=indicator)
    for neuron in dataset.neurons:
        neuron.recordings = [replace(each, time_s=each.time_s + offset_s) for each in neuron.recordings]
    return dataset


@pytest.mark.parametrize("frame_rate", [8.0, 30.0, 120.0])
@pytest.mark.parametrize("offset_s", [-0.053, 0.0, 0.067])
def test_the_offset_of_a_clock_is_found(frame_rate, offset_s):
    found = clock_offset(kernel_onsets(simulated(frame_rate, offset_s)))
    assert found == pytest.approx(offset_s, abs=0.01)


@pytest.mark.parametrize("rise_s, decay_s", [(0.01, 0.3), (0.07, 1.2)], ids=["fast", "slow"])
def test_kinetics_move_it_by_no_more_than_20_ms(rise_s, decay_s):
    onsets = [clock_offset(kernel_onsets(simulated(30.0, offset_s, rise_s, decay_s))) for offset_s in (0.0, 0.06)]
    assert onsets[0] == pytest.approx(0.0, abs=0.02)
    assert onsets[1] - onsets[0] == pytest.approx(0.06, abs=0.005)


def test_an_onset_that_cannot_be_told_is_not_made_up():
    neuron = simulated(30.0, 0.0).neurons[0]
    (recording,) = neuron.recordings
    noise = np.random.default_rng(0).normal(size=len(recording.dff)).astype(np.float32)
    assert np.isnan(kernel_onset([replace(recording, dff=0 * noise)]))
    assert np.isnan(kernel_onset([replace(recording, dff=-recording.dff)]))
    assert np.isnan(kernel_onset([replace(recording, spike_times_s=recording.spike_times_s[:3])]))
    assert np.isnan(kernel_onset([]))
    assert clock_offset(np.array([0.01, 0.02, np.nan])) is None


def test_clocks_of_the_public_datasets():
    shifts = clock_shifts()
    assert np.median(list(shifts.values())) == pytest.approx(0.0, abs=1e-9)
    assert -0.08 < shifts["DS03-Cal520-m-S1"] < -0.04 and 0.03 < shifts["DS06-GCaMP6f-zf-aDp"] < 0.07
    assert "DS24-GCaMP6f-m-PV-V1" not in shifts


def test_one_prediction_is_scored_against_both_clocks():
    (neuron, *_) = simulated(60.0, 0.0).neurons
    condition = Condition(60.0, 0.025)
    own = make_trace(neuron, condition)
    np.testing.assert_array_equal(own.aligned_target, own.target)
    late = Neuron("DS03-Cal520-m-S1", neuron.cell, neuron.recordings)
    trace = make_trace(late, condition)
    n_frames = round(60.0 * clock_shifts()[late.dataset])
    assert n_frames <= -3
    agreement = np.corrcoef(trace.aligned_spikes[10:-10], np.roll(trace.spikes, n_frames)[10:-10])[0, 1]
    assert agreement > 0.4  # a shift that is no whole number of frames
    found = evaluate(trace.aligned_target, trace, "c", "m")
    assert found.aligned_correlation == pytest.approx(1.0) and found.aligned_error == pytest.approx(0.0, abs=1e-6)
    assert found.correlation < 0.8 and found.error > 0.5
    found = evaluate(trace.target, trace, "c", "m")
    assert found.correlation == pytest.approx(1.0) and found.aligned_correlation < 0.8


def test_offsets_are_written_into_the_registry_and_nothing_else_is(tmp_path, monkeypatch):
    registry = tmp_path / "registry.yaml"
    before = clocks.REGISTRY.read_text("utf-8")
    registry.write_text(before, "utf-8")
    monkeypatch.setattr(clocks, "REGISTRY", registry)
    known = {key: entry.clock_offset_s for key, entry in load_catalogue().items()}
    write, as_text = clocks.write, clocks.in_text
    write("clock_offset_s", as_text({key: offset for key, offset in known.items() if offset is not None}))
    write("single_spike_dff", as_text({"DS09": load_catalogue()["DS09"].single_spike_dff}))
    assert registry.read_text("utf-8") == before
    write("clock_offset_s", as_text({"DS03": None, "DS24": 0.0123}))
    changed = registry.read_text("utf-8").splitlines()
    gone = set(before.splitlines()) - set(changed)
    assert [line for line in changed if "clock_offset_s: 0.012" in line] and len(changed) == len(before.splitlines())
    assert gone == {f"    clock_offset_s: {known['DS03']:.3f}"}
