"""Reading ground truth with all its defects; the catalogue; simulation."""

import re
import subprocess
import sys

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from cascade_engine import InputError, noise_levels
from cascade_engine.ground_truth import (
    Indicator,
    find_datasets,
    folder_name,
    ground_truth_root,
    load_catalogue,
    load_dataset,
    simulate_dataset,
    simulate_dff,
    simulate_spikes,
)
from cascade_engine.ground_truth.database import load_neuron
from tests.builders.array_files import save_mat73
from tests.builders.damaged_matlab import damaged

RATE = 10.0


def published_file(path, recordings):
    """Write a file in the published layout; each recording is a dictionary of fields."""
    cells = np.empty((1, len(recordings)), dtype=object)
    for i, fields in enumerate(recordings):
        cells[0, i] = {key: np.atleast_2d(np.asarray(value, dtype=float)) for key, value in fields.items()}
    path.parent.mkdir(exist_ok=True)
    savemat(path, {"CAttached": cells})
    return path


def recording(n_frames=300, spikes=(5.0, 12.5), **changes):
    """A sound recording at 10 Hz, with fields changed or (None) left out."""
    fields = {
        "fluo_time": np.arange(n_frames) / RATE,
        "fluo_mean": np.sin(np.arange(n_frames)),
        "events_AP": np.asarray(spikes) * 1e4,
    } | changes
    return {key: value for key, value in fields.items() if value is not None}


def read(tmp_path, *recordings):
    return load_neuron(published_file(tmp_path / "DS" / "cell1_mini.mat", recordings))


def test_sound_recording(tmp_path):
    neuron = read(tmp_path, recording())
    (found,) = neuron.recordings
    assert not neuron.notes
    assert found.frame_rate == pytest.approx(RATE)
    assert found.duration_s == pytest.approx(30)
    assert found.dff.dtype == np.float32
    np.testing.assert_allclose(found.spike_times_s, [5.0, 12.5])
    assert (neuron.dataset, neuron.cell, neuron.n_spikes) == ("DS", "cell1_mini", 2)


def test_missing_field_leaves_out_one_recording_only(tmp_path):
    neuron = read(tmp_path, recording(fluo_time=None), recording())
    assert len(neuron.recordings) == 1
    assert "recording 1: no fluo_time" in neuron.notes[0]


def test_nan_tail_is_cut(tmp_path):
    time_s = np.arange(300) / RATE
    time_s[250:] = np.nan
    neuron = read(tmp_path, recording(fluo_time=time_s))
    assert len(neuron.recordings[0].dff) == 250
    assert "50 of 300 frames without a value or time" in neuron.notes[0]


def test_nan_in_the_middle_cuts_in_two(tmp_path):
    dff = np.sin(np.arange(300))
    dff[140:145] = np.nan
    neuron = read(tmp_path, recording(fluo_mean=dff))
    assert [len(part.dff) for part in neuron.recordings] == [140, 155]
    assert [part.spike_times_s.tolist() for part in neuron.recordings] == [[5.0, 12.5], []]


def test_longer_dff_is_cut_to_the_time_base(tmp_path):
    neuron = read(tmp_path, recording(fluo_mean=np.sin(np.arange(400))))
    assert len(neuron.recordings[0].dff) == 300
    assert "400 samples of dF/F on 300 frame times" in neuron.notes[0]


@pytest.mark.parametrize("step", [-0.05, 5.0], ids=["repeated", "gap"])
def test_irregular_time_base_is_cut(tmp_path, step):
    time_s = np.arange(300) / RATE
    time_s[150:] += step - (0.05 if step < 0 else 0)
    neuron = read(tmp_path, recording(fluo_time=time_s))
    assert [len(part.dff) for part in neuron.recordings] == [150, 150]
    assert "cut into 2 segments" in neuron.notes[0]
    assert all(part.frame_rate == pytest.approx(RATE) for part in neuron.recordings)


def test_short_recordings_are_left_out(tmp_path):
    neuron = read(tmp_path, recording(99), recording(100))
    assert [len(part.dff) for part in neuron.recordings] == [100]
    assert "99 frames, fewer than 100" in neuron.notes[0]


def test_spikes_are_sorted_and_cleaned(tmp_path):
    neuron = read(tmp_path, recording(spikes=(12.5, np.nan, 5.0, -3.0, 99.0, 30.02)))
    np.testing.assert_allclose(neuron.recordings[0].spike_times_s, [5.0, 12.5])
    assert any("1 spike times are not numbers" in note for note in neuron.notes)
    assert any("3 of 5 spikes outside the imaged time" in note for note in neuron.notes)


def test_spikes_within_half_a_frame_of_the_ends_count(tmp_path):
    neuron = read(tmp_path, recording(spikes=(-0.04, 29.94)))
    assert neuron.n_spikes == 2


def test_recording_without_spikes(tmp_path):
    neuron = read(tmp_path, recording(spikes=()))
    assert neuron.n_spikes == 0
    assert len(neuron.recordings) == 1


def test_damaged_and_foreign_files_become_notes(tmp_path):
    good = published_file(tmp_path / "DS" / "a.mat", [recording()])
    (tmp_path / "DS" / "b.mat").write_bytes(good.read_bytes()[:200])
    savemat(tmp_path / "DS" / "c.mat", {"other": 1})
    dataset = load_dataset(tmp_path / "DS")
    assert [len(neuron.recordings) for neuron in dataset.neurons] == [1, 0, 0]
    assert "cannot be read" in dataset.neurons[1].notes[0]
    assert "no variable CAttached" in dataset.neurons[2].notes[0]


def test_structs_without_a_cell_and_fields_of_another_kind(tmp_path):
    good = {key: np.atleast_2d(value) for key, value in recording().items()}
    folder = tmp_path / "DS"
    folder.mkdir()
    savemat(folder / "a.mat", {"CAttached": good})
    savemat(folder / "b.mat", {"CAttached": np.array([[good, good]], dtype=object)})
    savemat(folder / "c.mat", {"CAttached": np.array([[good | {"fluo_mean": "none"}, "text"]], dtype=object)})
    savemat(folder / "d.mat", {"CAttached": np.empty((1, 0), dtype=object)})
    save_mat73(folder / "e.mat", {"CAttached": [good, good]})
    a, b, c, d, e = load_dataset(folder).neurons
    assert [neuron.n_spikes for neuron in (a, b, c, d, e)] == [2, 4, 0, 0, 4]
    assert c.notes == [
        "recording 1: fluo_mean must be real numbers; left out",
        "recording 2: no fluo_time, fluo_mean, events_AP; left out",
    ]
    assert d.notes == [f"{folder / 'd.mat'} holds no recordings: CAttached is empty"]
    np.testing.assert_array_equal(a.recordings[0].dff, e.recordings[0].dff)


#: Checks a folder in 4 GB of memory: damaged lengths ask for more.
CHECK = """
import sys
from cascade_adapters.cli import main
if sys.platform == "linux":
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
main(["ground-truth", "check", sys.argv[1]])
"""


def test_damaged_files_are_used_or_refused_with_a_reason(tmp_path):
    rng = np.random.default_rng(0)
    whole = published_file(tmp_path / "DS" / "whole.mat", [recording(), recording()]).read_bytes()
    content = loadmat(tmp_path / "DS" / "whole.mat")["CAttached"]
    savemat(tmp_path / "DS" / "compressed.mat", {"CAttached": content}, do_compression=True)
    compressed = (tmp_path / "DS" / "compressed.mat").read_bytes()
    for number in range(300):
        (tmp_path / "DS" / f"{number:03}.mat").write_bytes(damaged(compressed if number % 2 else whole, rng))
    result = subprocess.run([sys.executable, "-c", CHECK, str(tmp_path / "DS")], capture_output=True, text=True)
    unusable = int(re.fullmatch(r"cascade: (\d+) of 302 neurons cannot be used\n", result.stderr)[1])
    assert result.returncode == 1 and 150 < unusable < 290
    usable, *reasons = result.stdout.splitlines()
    assert usable.startswith(f"DS: {302 - unusable} of 302 neurons")
    assert not any(line.startswith(("  whole:", "  compressed:")) for line in reasons)
    explained = {line.split(":")[0] for line in reasons}
    assert len(explained) >= unusable and all(re.match(r"  \d{3}: .", line) for line in reasons)


def test_own_formats(tmp_path):
    folder = tmp_path / "own"
    folder.mkdir()
    dff, time_s, spikes = np.sin(np.arange(200)), np.arange(200) / RATE, np.array([3.0, 4.0])
    np.savez(folder / "a.npz", dff=dff, time_s=time_s, spike_times_s=spikes)
    np.savez(folder / "b.npz", dff=dff, frame_rate=RATE, spike_times_s=spikes)
    np.savez(folder / "bad.npz", dff=dff, frame_rate=RATE)
    np.savetxt(folder / "c.csv", np.c_[time_s, dff], delimiter=",", header="time_s,dff", comments="")
    np.savetxt(folder / "c_spikes.csv", spikes, header="spike_times_s", comments="")
    np.savetxt(folder / "lonely.csv", np.c_[time_s, dff], delimiter=",", header="time_s,dff", comments="")
    neurons = {neuron.cell: neuron for neuron in load_dataset(folder).neurons}
    for name in "abc":
        (found,) = neurons[name].recordings
        np.testing.assert_allclose(found.spike_times_s, spikes)
        np.testing.assert_allclose(found.dff, dff, atol=1e-6)
        assert found.frame_rate == pytest.approx(RATE)
    assert "must hold dff, spike_times_s" in neurons["bad"].notes[0]
    assert "lonely_spikes.csv" in neurons["lonely"].notes[0]


def test_where_ground_truth_is_looked_for(tmp_path, monkeypatch):
    published_file(tmp_path / "DS1" / "a.mat", [recording()])
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("CASCADE_GROUND_TRUTH", str(tmp_path))
    assert list(find_datasets(ground_truth_root())) == ["DS1"]
    with pytest.raises(InputError, match="ground-truth fetch"):
        ground_truth_root(tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds no ground truth"):
        load_dataset(tmp_path / "empty")


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("DS09", "DS09-GCaMP6f-m-V1"),
        ("ds9", "DS09-GCaMP6f-m-V1"),
        ("DS1", "DS01-OGB1-m-V1"),
        ("DS09-GCaMP6f-m-V1", "DS09-GCaMP6f-m-V1"),
        ("ds30-gcamp8", "DS30-GCaMP8f-m-V1"),
        ("mine", "mine"),
        ("Mine", "mine"),
        ("min", "did you mean mine or mine2?"),
        ("DS77", "DS77-own"),
        ("DS14-GCaMP6f", "did you mean DS14-GCaMP6s-m-V1 or"),
        ("DS", "did you mean DS01-OGB1-m-V1 or DS02-OGB1-2-m-V1 or DS03-Cal520-m-S1?"),
        ("V1", "there is no dataset V1: 'cascade"),
        ("", "there is no dataset : 'cascade"),
    ],
)
def test_what_a_dataset_may_be_called(name, folder):
    own = ["mine", "mine2", "DS77-own"]
    if " " not in folder:
        assert folder_name(name, own) == folder
    else:
        with pytest.raises(InputError, match=re.escape(folder)):
            folder_name(name, own)


def test_catalogue_is_complete():
    catalogue = load_catalogue()
    assert list(catalogue) == [f"DS{i:02d}" for i in [*range(1, 34), 40, 41]]
    for entry in catalogue.values():
        assert entry.folder.startswith(entry.key)
        assert all([entry.indicator, entry.species, entry.area, entry.cell_type])
        assert entry.native_rate_hz is None or entry.native_rate_hz[0] <= entry.native_rate_hz[1]
        assert entry.citation is None or entry.citation["doi"].startswith("10.")


def test_simulation_is_seeded_and_has_the_noise_level_it_should():
    first, again = (simulate_dataset(n_neurons=3, duration_s=120, noise_level=3.0, seed=5) for _ in range(2))
    other = simulate_dataset(n_neurons=3, duration_s=120, noise_level=3.0, seed=6)
    for one, two, three in zip(first.recordings, again.recordings, other.recordings, strict=True):
        np.testing.assert_array_equal(one.dff, two.dff)
        np.testing.assert_array_equal(one.spike_times_s, two.spike_times_s)
        assert not np.array_equal(one.dff, three.dff)
        assert noise_levels(one.dff[np.newaxis], 30.0)[0] == pytest.approx(3.0, rel=0.15)
    assert all("simulated" in neuron.notes[0] for neuron in first.neurons)


def test_simulated_spike_has_the_indicator_s_shape():
    indicator = Indicator(amplitude=0.2, rise_s=0.03, decay_s=0.5, saturation=5.0, hill=1.0)
    dff = simulate_dff(np.array([2.0]), 300, 30.0, 0.0, indicator, np.random.default_rng(0))
    assert dff[:60].max() == 0
    assert dff.max() == pytest.approx(0.2, rel=0.02)
    late = dff[90:120]
    assert -1 / np.polyfit(np.arange(30) / 30, np.log(late), 1)[0] == pytest.approx(0.5, rel=0.1)
    many = simulate_dff(np.linspace(2, 3, 400), 300, 30.0, 0.0, indicator, np.random.default_rng(0))
    assert 2 < many.max() < 5


def test_simulated_spikes_have_their_rate_and_a_refractory_time():
    rng = np.random.default_rng(3)
    spikes = simulate_spikes(3000.0, 1.0, burstiness=1.0, rng=rng)
    assert len(spikes) / 3000 == pytest.approx(1.0, rel=0.3)
    assert np.diff(spikes).min() > 0.002
    assert simulate_spikes(1.0, 0.0, 0.0, rng).size == 0


def test_published_database(shared):
    root = shared("ground_truth")
    datasets = find_datasets(root)
    known = {entry.folder: entry for entry in load_catalogue().values()}
    assert set(datasets) <= set(known)
    for name, folder in datasets.items():
        dataset = load_dataset(folder)
        assert len(dataset.neurons) == known[name].n_neurons
        assert all(neuron.recordings for neuron in dataset.neurons)
        for found in dataset.recordings:
            assert np.isfinite(found.dff).all()
            assert np.isfinite(found.time_s).all()
            assert np.diff(found.time_s).min() > 0
            assert 2 < found.frame_rate < 501


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda time_s, dff: (time_s, 100 * dff), "as if dF/F were in percent"),
        (lambda time_s, dff: (time_s, 300 + dff), "as of raw fluorescence"),
        (lambda time_s, dff: (1000 * time_s, dff), "a frame rate of 0.01 Hz: time must be in s"),
    ],
)
def test_other_units_are_left_out(tmp_path, change, message):
    time_s, dff = change(np.arange(300) / RATE, np.sin(np.arange(300)))
    neuron = read(tmp_path, recording(fluo_time=time_s, fluo_mean=dff, spikes=()))
    assert neuron.recordings == []
    assert any(message in note for note in neuron.notes)


def test_csv_from_a_spreadsheet(tmp_path):
    table = "\n".join(["time_s,dff", *(f"{i / RATE},{np.sin(i):.4f}" for i in range(200))])
    (tmp_path / "a.CSV").write_text(table, encoding="utf-8-sig")
    (tmp_path / "a_spikes.csv").write_text("spike_times_s\n3.5\n", encoding="utf-8-sig")
    (tmp_path / "b.csv").write_text(table.replace("time_s", "seconds"))
    (tmp_path / "b_spikes.csv").write_text("spike_times_s\n3.5\n")
    good, bad = load_dataset(tmp_path).neurons
    assert good.n_spikes == 1
    assert "b.csv must have the columns time_s, dff, but has seconds, dff" in bad.notes[0]
