"""What version 0.1.0 wrote is read, restored and converted as it was, and gets discrete spikes.

`tests/fixtures/version_0_1_0/README.md` says what the recordings are.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from cascade_adapters.containers.base import Container, Results, Selection
from cascade_adapters.containers.registry import find_containers
from cascade_engine import __version__, infer_discrete_spikes
from tests.builders import previous_version
from tests.builders.sessions import run
from tests.builders.suite2p_folders import hashes, make_plane

ROIS_FIRST = ("--orientation", "rois-first")


@dataclass
class Recording:
    """A recording with results of version 0.1.0.

    Attributes
    ----------
    folder : Path
        Where it lies, with whatever was written beside it.
    path : Path
        The recording itself.
    before : dict
        SHA-256 of each file in the folder as it was before anything was written.
    expected : dict of array
        The results as version 0.1.0 reads them.
    selecting, running : tuple of str
        Options that every command needs here, and those that `cascade run` needs besides.
    """

    folder: Path
    path: Path
    before: dict[str, str]
    expected: dict[str, np.ndarray]
    selecting: tuple[str, ...]
    running: tuple[str, ...]

    def files(self) -> dict[str, str]:
        """SHA-256 of each file that is there now."""
        return previous_version.hashes(self.folder)

    def container(self) -> Container:
        """The recording as this version finds it."""
        (found,) = find_containers(self.path, Selection(orientation="rois-first" if self.selecting else None))
        return found


#: Name of the archive, path of the recording in it, options of every command, options of `run`.
RECORDINGS = {
    "suite2p": ("plane0", (), ()),
    "suite2p_spikes": ("plane0", (), ()),
    "suite2p_replaced": ("plane0", (), ("--replace-spks",)),
    "suite2p_windowed": ("plane0", (), ()),
    "caiman_spikes": ("results.hdf5", (), ()),
    "caiman_replaced": ("results.hdf5", (), ("--replace-s",)),
    "nwb": ("session.nwb", (), ()),
    "nwb_in_place": ("session.nwb", (), ("--in-place",)),
    "nwb_zarr": ("session.nwb.zarr", (), ()),
    "fall": ("Fall.mat", (), ()),
    "extract": ("extract.mat", (), ("--frame-rate", "30")),
    "npy": ("traces.npy", ROIS_FIRST, ("--frame-rate", "30")),
    "npz": ("traces.npz", ROIS_FIRST, ("--frame-rate", "30")),
    "mat5": ("traces.mat", ROIS_FIRST, ("--frame-rate", "30")),
    "mat73": ("traces.mat", ROIS_FIRST, ("--frame-rate", "30")),
    "csv": ("traces.csv", ROIS_FIRST, ("--frame-rate", "30")),
}


@pytest.fixture(params=RECORDINGS)
def recording(request, tmp_path) -> Recording:
    path, selecting, running = RECORDINGS[request.param]
    if request.param.startswith("nwb"):
        pytest.importorskip("hdmf_zarr" if request.param == "nwb_zarr" else "pynwb")
    previous_version.unpack(request.param, tmp_path)
    return Recording(
        folder=tmp_path / "recording",
        path=tmp_path / "recording" / path,
        before=json.loads((tmp_path / "before.json").read_text()),
        expected=previous_version.load(tmp_path / "expected.npz"),
        selecting=selecting,
        running=running,
    )


def assert_same_results(found: Results, expected: dict[str, np.ndarray]) -> None:
    for name in ("spike_prob", "dff", "noise_levels"):
        np.testing.assert_array_equal(getattr(found, name), expected[name])
        assert getattr(found, name).dtype == expected[name].dtype
    if "spikes" in expected:
        np.testing.assert_array_equal(found.spikes.table, expected["spikes"])
    else:
        assert found.spikes is None


def test_read(recording):
    container = recording.container()
    assert_same_results(container.results(), recording.expected)
    record = container.record()
    assert record.software["cascade-spikes"] == "0.1.0"
    assert record.recording.n_frames == 500
    assert not container.is_stale()


def test_inspected(recording, capsys):
    before = recording.files()
    status, output, errors = run(
        capsys, "inspect", recording.path, *recording.selecting, *_frame_rate(recording), "--json"
    )
    assert (status, errors) == (0, "")
    (facts,) = json.loads(output)
    created = recording.container().record().created
    assert created in facts["earlier_results"]
    assert facts["earlier_results"].endswith("up to date")
    assert recording.files() == before


def test_restored_byte_for_byte(recording, capsys):
    assert recording.files() != recording.before
    status, output, errors = run(capsys, "restore", recording.path)
    assert (status, errors) == (0, "")
    assert str(recording.path) in output
    assert recording.files() == recording.before


def test_spikes(recording, capsys):
    record = recording.container().record()
    status, _, errors = run(capsys, "spikes", recording.path, *recording.selecting)
    assert (status, errors) == (0, "")
    found = recording.container().results()
    expected = infer_discrete_spikes(
        recording.expected["spike_prob"],
        record.recording.frame_rate_hz,
        record.settings.smoothing,
        record.settings.kernel,
        segments=record.recording.segments,
    )
    rois = np.repeat(np.arange(len(expected.frames)), expected.n_spikes)
    np.testing.assert_array_equal(found.spikes.roi, rois)
    np.testing.assert_array_equal(found.spikes.frame, np.concatenate(expected.frames))
    if "spikes" in recording.expected:
        np.testing.assert_array_equal(found.spikes.table[:, :2], recording.expected["spikes"][:, :2])
    assert_same_results(found, recording.expected | {"spikes": found.spikes.table})
    assert run(capsys, "restore", recording.path)[0] == 0
    assert recording.files() == recording.before


def test_run_again(recording, capsys):
    before = recording.files()
    arguments = (recording.path, *recording.selecting, *recording.running, "--quiet")
    status, _, errors = run(capsys, "run", *arguments)
    assert status == 1
    assert "--existing update, overwrite or skip" in errors
    assert len(errors.splitlines()) == 1
    assert recording.files() == before

    assert run(capsys, "run", *arguments, "--existing", "overwrite")[0] == 0
    container = recording.container()
    assert container.record().software["cascade-spikes"] == __version__
    assert container.results().spikes is None
    assert run(capsys, "restore", recording.path)[0] == 0
    assert recording.files() == recording.before


def test_converted(recording, capsys, tmp_path):
    target = tmp_path / "target.npz"
    status, _, errors = run(capsys, "convert", recording.path, target, *recording.selecting, *_frame_rate(recording))
    assert (status, errors) == (0, "")
    found = previous_version.load(target)
    for name in ("spike_prob", "dff", "noise_levels"):
        np.testing.assert_array_equal(found[name], recording.expected[name])


def _frame_rate(recording: Recording) -> tuple[str, ...]:
    return recording.running if "--frame-rate" in recording.running else ()


#: Recordings on which version 0.1.0 was killed while it wrote, and whether their results are complete once found.
KILLED = {
    "killed_suite2p": ("plane0", True),
    "killed_npy": ("traces.npy", True),
    "killed_caiman": ("results.hdf5", False),
    "killed_nwb": ("session.nwb", False),
    "killed_nwb_in_place": ("session.nwb", False),
}


@pytest.mark.parametrize("name", KILLED)
def test_a_killed_run_is_finished_or_undone(name, tmp_path, capsys):
    path, is_complete = KILLED[name]
    selection = Selection(orientation="rois-first" if name == "killed_npy" else None)
    folder = tmp_path / "recording"
    previous_version.unpack(name, tmp_path)
    (container,) = find_containers(folder / path, selection)
    results = container.results()
    assert (results is not None) == is_complete
    if is_complete:
        assert results.spike_prob.shape == (3, 500)
        assert np.isfinite(results.spike_prob[:, 100:-100]).all()
    else:
        assert run(capsys, "run", folder / path, "--quiet")[0] == 0
        (container,) = find_containers(folder / path, selection)
        assert container.record().software["cascade-spikes"] == __version__
    assert run(capsys, "restore", folder / path)[0] == 0
    assert previous_version.hashes(folder) == json.loads((tmp_path / "before.json").read_text())


@pytest.mark.parametrize("name", KILLED)
def test_restored_after_a_kill(name, tmp_path, capsys):
    previous_version.unpack(name, tmp_path)
    status, _, errors = run(capsys, "restore", tmp_path / "recording" / KILLED[name][0])
    assert (status, errors) == (0, "")
    assert previous_version.hashes(tmp_path / "recording") == json.loads((tmp_path / "before.json").read_text())


def test_what_the_records_say(tmp_path):
    """One of each thing that a record can say."""

    def record(name: str, path: str):
        (tmp_path / name).mkdir()
        previous_version.unpack(name, tmp_path / name)
        (container,) = find_containers(tmp_path / name / "recording" / path)
        return container.record()

    windowed = record("suite2p_windowed", "plane0")
    assert (windowed.model.name, windowed.model.family) == ("windowed", "windowed")
    assert windowed.recording.segments == [200, 300]
    assert windowed.rois.without_prediction == {2: "F is zero throughout"}
    assert windowed.traces.baseline == {"method": "percentile", "window_s": 60.0, "percentile": 15.0}
    assert windowed.traces.neuropil_coefficient == 0.7
    assert windowed.warnings == []

    chosen = record("suite2p_spikes", "plane0")
    assert (chosen.model.name, chosen.model.family) == ("universal", "universal")
    assert (chosen.settings.smoothing, chosen.settings.kernel, chosen.settings.threshold) == (0.05, "gaussian", 1)
    assert chosen.rois.without_prediction == {2: "not a cell"}
    assert (chosen.discrete_spikes.version, chosen.discrete_spikes.n_spikes) == ("0.1.0", 36)

    causal = record("caiman_spikes", "results.hdf5")
    assert (causal.settings.smoothing, causal.settings.kernel) == (0.2, "causal")
    assert (causal.traces.source, causal.traces.dff) == ("F_dff", "container")
    assert causal.recording.frame_rate_hz == 20.0


@pytest.fixture
def converted(tmp_path) -> Path:
    """A folder of what `cascade convert` made of a recording with results and discrete spikes."""
    previous_version.unpack("converted", tmp_path)
    return tmp_path


def test_converted_nwb_is_read_and_restored(converted, capsys):
    pytest.importorskip("pynwb")
    expected = previous_version.load(converted / "expected.npz")
    expected["spikes"][:, 3] = expected["spikes"][:, 3].astype(np.float32)  # the confidence, as NWB stores it
    (container,) = find_containers(converted / "session.nwb")
    assert_same_results(container.results(), expected)
    assert not container.is_stale()
    assert run(capsys, "restore", converted / "session.nwb")[0] == 0
    (container,) = find_containers(converted / "session.nwb")
    assert container.results() is None


def test_converted_npz_is_read(converted, capsys):
    status, output, errors = run(
        capsys, "inspect", converted / "session.npz", "--key", "dff", "--orientation", "rois-first", "--json"
    )
    assert (status, errors) == (0, "")
    (facts,) = json.loads(output)
    assert (facts["n_rois"], facts["n_frames"], facts["frame_rate_hz"]) == (3, 500, 30.0)


@pytest.mark.parametrize("name", ["universal", "windowed"])
def test_a_model_is_refused_before_a_recording_is_read(name, tmp_path, capsys):
    previous_version.unpack("models", tmp_path)
    plane = make_plane(tmp_path / "plane0").folder
    before = hashes(plane)
    status, _, errors = run(capsys, "run", plane, "--model", tmp_path / name, "--quiet")
    assert status == 1
    (line,) = errors.splitlines()
    assert line.startswith("cascade: ")  # not "failed: " and the recording
    assert "0.1.0" in line
    assert hashes(plane) == before
