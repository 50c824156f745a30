"""The page of ground truth: statistics, true spikes and averages are those of the datasets."""

import numpy as np
import pytest

from cascade_adapters.pages.ground_truth_page import spike_triggered_average
from cascade_engine.ground_truth import Indicator, load_dataset, simulate_dataset
from tests.builders.pages import Page


def test_datasets_with_statistics_and_true_spikes(tmp_path, cascade):
    root = tmp_path / "truth"
    root.mkdir()
    for seed, name in enumerate(("lab_one", "lab_two")):
        assert cascade("ground-truth", "simulate", root / name, "--neurons", 3, "--minutes", 1, "--seed", seed)[0] == 0
    output = tmp_path / "truth.html"
    status, out, _ = cascade("ground-truth", "explore", "--ground-truth", root, "--output", output)
    assert (status, out) == (0, f"{output}\n")
    page = Page(output)
    assert page.data["groups"] == ["lab_one"] * 3 + ["lab_two"] * 3
    words = page.section("datasets")
    for number, name in enumerate(("lab_one", "lab_two")):
        dataset = load_dataset(root / name)
        assert f"{name} 3 3.0 {sum(neuron.n_spikes for neuron in dataset.neurons)}" in words
        for place, recording in enumerate(dataset.recordings, start=3 * number):
            assert page.data["true_spikes"][str(place)] == pytest.approx(recording.spike_times_s, abs=1e-3)
            at = page.data["details"][str(place)]
            numbers = np.frombuffer(page.block("details"), "<u2", at["n"], at["at"])
            low, high = at["dff"]
            shown = low + (numbers - 1.0) / 65534 * (high - low)
            np.testing.assert_allclose(shown, recording.dff, atol=np.ptp(recording.dff) / 60_000)
    status, _, _ = cascade("ground-truth", "explore", "lab_two", "--ground-truth", root, "--output", output)
    assert status == 0 and Page(output).data["groups"] == ["lab_two"] * 3


def test_without_datasets_simulated_neurons_say_so(tmp_path, cascade, monkeypatch):
    monkeypatch.setenv("CASCADE_GROUND_TRUTH", str(tmp_path / "nothing"))
    output = tmp_path / "page.html"
    assert cascade("ground-truth", "explore", "--output", output)[0] == 0
    assert "Simulated, not recorded" in Page(output).section("doubts")
    status, _, err = cascade("ground-truth", "explore", "DS09", "--output", output)
    assert status == 1 and err.count("\n") == 1 and "no ground truth" in err


def test_the_average_around_a_spike_is_that_of_the_indicator():
    indicator = Indicator(amplitude=0.2, rise_s=0.02, decay_s=0.5, hill=1.0, saturation=1000.0)
    (neuron,) = simulate_dataset(1, 1000.0, 100.0, 0.5, seed=2, indicator=indicator).neurons
    recording = neuron.recordings[0]
    spikes = recording.spike_times_s
    alone = spikes[(np.diff(spikes, prepend=-9) > 3) & (np.diff(spikes, append=1e9) > 3)]
    assert len(alone) > 5
    time_s, dff = spike_triggered_average([type(recording)("", recording.time_s, recording.dff, alone)])
    assert dff.max() == pytest.approx(0.2, abs=0.03)
    assert 0.0 < time_s[np.argmax(dff)] < 0.15
    assert dff[time_s < -0.05].mean() == pytest.approx(0.0, abs=0.01)
