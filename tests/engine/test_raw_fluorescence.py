"""dF/F of the ground truth from its raw fluorescence and neuropil."""

from dataclasses import replace

import numpy as np
import pytest

from cascade_engine.errors import InputError
from cascade_engine.ground_truth import load_dataset, simulate_dataset
from cascade_engine.ground_truth.raw_fluorescence import raw_fluorescence_root, with_computed_dff
from cascade_engine.ground_truth.resampling import resample
from cascade_engine.signal.dff import Baseline

RATE = 60.0


@pytest.fixture
def raw(tmp_path):
    """A simulated dataset, and raw fluorescence of 100 (1 + dF/F) with 0.7 of a neuropil of 200."""
    dataset = simulate_dataset(2, 60.0, RATE, 0.5)
    folder = tmp_path / dataset.name
    folder.mkdir()
    for neuron in dataset.neurons:
        (recording,) = neuron.recordings
        neuropil = 200.0 + 10.0 * np.sin(np.arange(len(recording.dff)) / 300.0)
        arrays = {"fluo_raw_0": 100.0 * (1.0 + recording.dff) + 0.7 * neuropil, "neuropil_0": neuropil}
        np.savez(folder / f"{neuron.cell}.npz", **arrays)
    return dataset, tmp_path


def test_dff_is_computed_at_the_frame_rate_of_the_user(raw):
    """The usual formula gives back what was put in; with the neuropil's mean kept it is smaller by 100 in 240."""
    dataset, root = raw
    for neuropil, factor in (("full", 1.0), ("half", 100 / 170), ("changes", 100 / 240)):
        found = with_computed_dff(dataset, root, 30.0, baseline=Baseline("constant", neuropil=neuropil))
        for neuron, published in zip(found.neurons, dataset.neurons, strict=True):
            (recording,), (original,) = neuron.recordings, published.recordings
            assert recording.frame_rate == pytest.approx(30.0, rel=1e-6) and neuron.notes == published.notes
            np.testing.assert_array_equal(recording.spike_times_s, original.spike_times_s)
            slope = np.polyfit(resample(original, 30.0).dff, recording.dff, 1)[0]
            assert slope == pytest.approx(factor, rel=0.08)


def test_segments_take_their_own_frames(raw):
    dataset, root = raw
    neuron = dataset.neurons[0]
    (whole,) = neuron.recordings
    late = replace(whole, time_s=whole.time_s[1000:], dff=whole.dff[1000:], first_frame=1000)
    neuron.recordings = [late]
    found = with_computed_dff(dataset, root, RATE, baseline=Baseline("constant", neuropil="full"))
    (recording,) = found.neurons[0].recordings
    np.testing.assert_allclose(recording.time_s, late.time_s)
    assert np.corrcoef(recording.dff, late.dff)[0, 1] > 0.999


def test_what_is_missing_is_told(raw):
    dataset, root = raw
    first, second = dataset.neurons
    (root / dataset.name / f"{first.cell}.npz").unlink()
    second.recordings = [replace(second.recordings[0], number=3)]
    found = with_computed_dff(dataset, root, 30.0)
    assert [neuron.recordings for neuron in found.neurons] == [[], []]
    assert "there is no" in found.neurons[0].notes[-1]
    assert "does not hold fluo_raw_2, neuropil_2; left out" in found.neurons[1].notes[-1]


def test_the_folder_is_named_by_an_option_or_a_variable(tmp_path, monkeypatch):
    monkeypatch.delenv("CASCADE_RAW_FLUORESCENCE", raising=False)
    with pytest.raises(InputError, match=r"no folder is named; pass --raw-fluorescence or set CASCADE_RAW"):
        raw_fluorescence_root()
    monkeypatch.setenv("CASCADE_RAW_FLUORESCENCE", str(tmp_path))
    assert raw_fluorescence_root() == tmp_path
    with pytest.raises(InputError, match=r"no folder .*nowhere"):
        raw_fluorescence_root(tmp_path / "nowhere")


def test_raw_fluorescence_fits_the_published_dff(shared):
    """Frames and recordings are the right ones: dF/F from raw traces goes with the published dF/F."""
    dataset = load_dataset(shared("ground_truth/DS30-GCaMP8f-m-V1"))
    dataset.neurons = dataset.neurons[:2]
    found = with_computed_dff(dataset, shared("raw_fluorescence"), 30.0, baseline=Baseline(neuropil="full"))
    fits = []
    for neuron, published in zip(found.neurons, dataset.neurons, strict=True):
        assert len(neuron.recordings) == len(published.recordings) >= 5
        for recording, original in zip(neuron.recordings, published.recordings, strict=True):
            fits.append(np.corrcoef(recording.dff, resample(original, 30.0).dff)[0, 1])
    assert np.median(fits) > 0.97  # F0 drifts in some
