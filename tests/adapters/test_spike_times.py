"""``cascade spikes``: discrete spikes beside the results, in every container, and gone with them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from cascade_adapters.containers.base import Container, Selection
from cascade_adapters.containers.caiman.memory import CaimanObject
from cascade_adapters.containers.registry import find_containers
from cascade_adapters.results import Spikes
from cascade_adapters.results.record import SpikesFound
from cascade_adapters.running.discrete import add_spikes, trust_warning
from cascade_engine import InputError, infer_discrete_spikes
from cascade_engine.file_formats.atomic import sha256
from tests.builders import array_files, caiman_files, nwb_files, segmentation_files, suite2p_folders
from tests.builders.killing import fresh, kills, needs_fork
from tests.builders.running import run_one
from tests.builders.sessions import run

ROIS_FIRST = Selection(orientation="rois-first")


def active() -> np.ndarray:
    """Raw fluorescence in which every ROI has a large transient."""
    values = nwb_files.raw_traces()
    time = np.arange(values.shape[1]) - 100
    return values * (1 + np.where(time >= 0, 1.5 * np.exp(-np.maximum(time, 0) / 15), 0)).astype(np.float32)


def make(kind: str, folder: Path) -> tuple[Path, Selection]:
    """A recording of each kind, and what has to be said to read it."""
    folder.mkdir()
    if kind == "suite2p":
        return suite2p_folders.make_plane(folder / "plane0").folder, Selection()
    if kind == "CaImAn":
        return caiman_files.make_file(folder / "results.hdf5"), Selection()
    if kind in ("NWB", "NWB in place"):
        return nwb_files.simple(folder / "session.nwb", values=active()), Selection(in_place=kind != "NWB")
    if kind == "NWB in Zarr":
        return nwb_files.simple(folder / "session.nwb.zarr", zarr=True, values=active()), Selection()
    if kind == "EXTRACT":
        return segmentation_files.save_extract(folder / "extract.mat"), Selection()
    return array_files.save(folder, kind, array_files.make_dff(n_frames=900)), ROIS_FIRST


KINDS = ("suite2p", "CaImAn", "NWB", "NWB in place", "NWB in Zarr", "EXTRACT", *array_files.FORMATS)


@pytest.fixture(params=KINDS)
def recording(request, tmp_path) -> tuple[Path, Selection]:
    return make(request.param, tmp_path / "lab")


#: What is recorded of made-up spikes.
FOUND = SpikesFound("2026-01-01", "0.2.0", smoothing_s=0.05, kernel="gaussian", n_spikes=0)


def with_results(path: Path, selection: Selection, **options) -> Container:
    (container,) = find_containers(path, selection)
    given = {"frame_rate": 30.0} if path.suffix in (".mat", ".npy", ".npz", ".csv", ".tsv", ".txt") else {}
    run_one(container, existing="overwrite", **given, **options)
    return container


def files(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def expected_spikes(container: Container) -> tuple[np.ndarray, np.ndarray]:
    results = container.results()
    record = results.record
    found = infer_discrete_spikes(
        results.spike_prob,
        record.recording.frame_rate_hz,
        record.settings.smoothing,
        record.settings.kernel,
        segments=record.recording.segments,
    )
    return np.repeat(np.arange(len(found.frames)), found.n_spikes), np.concatenate(found.frames)


def test_written_replaced_and_taken_back(recording, tmp_path):
    path, selection = recording
    untouched = files(tmp_path)
    container = with_results(path, selection)
    report = add_spikes(container)
    results = container.results()
    roi, frame = expected_spikes(container)
    assert report.n_spikes == len(roi) > 0
    np.testing.assert_array_equal(results.spikes.roi, roi)
    np.testing.assert_array_equal(results.spikes.frame, frame)
    np.testing.assert_allclose(results.spikes.time_s, frame / results.record.recording.frame_rate_hz)
    assert ((results.spikes.confidence > 0) & (results.spikes.confidence < 2.1)).all()
    assert results.record.discrete_spikes.n_spikes == len(roi)

    add_spikes(container)  # again
    np.testing.assert_array_equal(container.results().spikes.frame, frame)
    with_results(path, selection)  # a new run: what was found in the old one is gone
    assert container.results().spikes is None
    assert container.record().discrete_spikes is None
    add_spikes(container)
    container.restore()
    assert files(tmp_path) == untouched


def test_no_spikes_at_all(recording):
    path, selection = recording
    container = with_results(path, selection)
    results = container.results()
    none = Spikes.from_table(np.empty((0, 4)))
    container.add_spikes(results, none, FOUND)
    again = container.results()
    assert len(again.spikes.frame) == 0
    np.testing.assert_array_equal(again.spike_prob, results.spike_prob)


@needs_fork
@pytest.mark.parametrize("kind", ["suite2p", "CaImAn", "npy", "mat5", "NWB"])
def test_killed_at_any_time_it_is_old_or_new(tmp_path, kind):
    folder, template = tmp_path / "lab", tmp_path / "template"
    path, selection = make(kind, folder)
    container = with_results(path, selection)
    results = container.results()
    before = {name: np.array(getattr(results, name)) for name in ("spike_prob", "dff", "noise_levels")}
    spikes, seen = Spikes.from_table([[0, 5, 0.2, 1.0], [1, 7, 0.3, 0.5]]), []
    shutil.copytree(folder, template)

    def add() -> None:
        find_containers(path, selection)[0].add_spikes(results, spikes, FOUND)

    for _ in kills(lambda: fresh(template, folder), add, folder):
        after = find_containers(path, selection)[0].results()
        for name, array in before.items():
            np.testing.assert_array_equal(getattr(after, name), array)
        seen.append(after.spikes is not None)
        assert (after.record.discrete_spikes is not None) == seen[-1]
        if seen[-1]:
            np.testing.assert_array_equal(after.spikes.frame, [5, 7])
    assert len(seen) > 3 and not seen[0] and seen[-1]


def test_replaced_spks_stay_replaced_and_come_back(tmp_path):
    path, selection = make("suite2p", tmp_path / "lab")
    untouched = files(tmp_path)
    container = with_results(path, selection, replace_spikes=True)
    ours = sha256(path / "spks.npy")
    add_spikes(container)
    assert sha256(path / "spks.npy") == ours
    container.restore()
    assert files(tmp_path) == untouched


def test_replaced_s_of_caiman_stays_replaced(tmp_path):
    path, selection = make("CaImAn", tmp_path / "lab")
    untouched = files(tmp_path)
    container = with_results(path, selection, replace_spikes=True)
    ours = caiman_files.load(path).estimates.S
    add_spikes(container)
    np.testing.assert_array_equal(caiman_files.load(path).estimates.S, ours)
    container.restore()
    assert files(tmp_path) == untouched


@pytest.mark.parametrize("version", caiman_files.VERSIONS)
def test_caiman_keeps_them_when_it_saves(tmp_path, version):
    path = caiman_files.make_file(tmp_path / "results.hdf5", version)
    container = with_results(path, Selection())
    add_spikes(container)
    table = container.results().spikes.table
    cnm = caiman_files.load(path, version)
    np.testing.assert_array_equal(cnm.estimates.cascade["spikes"], table)
    (again,) = find_containers(caiman_files.save(cnm, tmp_path / "again.hdf5", version))
    np.testing.assert_array_equal(again.results().spikes.table, table)
    container = CaimanObject(cnm)
    add_spikes(container)
    np.testing.assert_array_equal(cnm.estimates.cascade["spikes"], table)


@pytest.mark.parametrize("timestamped", [False, True])
def test_nwb_times_are_those_of_the_series(tmp_path, timestamped):
    n_frames = nwb_files.N_FRAMES
    times = 100.0 + np.arange(n_frames) / nwb_files.RATE
    times[n_frames // 2 :] += 50.0  # a gap
    given = {"timestamps": times} if timestamped else {"starting_time": 100.0, "rate": nwb_files.RATE}
    path = nwb_files.simple(tmp_path / "session.nwb", **given)
    container = with_results(path, Selection())
    add_spikes(container)
    spikes = container.results().spikes
    expected = times[spikes.frame] if timestamped else 100.0 + spikes.frame / nwb_files.RATE
    np.testing.assert_allclose(spikes.time_s, expected)


def test_pynwb_reads_them_and_other_units_stay(tmp_path):
    from pynwb import NWBHDF5IO

    session = nwb_files.Session()
    session.series(session.table(), nwb_files.raw_traces())
    session.nwbfile.add_unit(spike_times=[1.0, 2.0])
    path = session.save(tmp_path / "session.nwb")
    container = with_results(path, Selection())
    add_spikes(container)
    spikes = container.results().spikes
    with NWBHDF5IO(str(tmp_path / "session_cascade.nwb"), "r") as io:
        nwbfile = io.read()
        units = nwbfile.processing["ophys"]["CascadeUnits_RoiResponseSeries"]
        assert units.neurodata_type == "Units" and len(units) == nwb_files.N_ROIS
        for roi in range(len(units)):
            np.testing.assert_allclose(units.get_unit_spike_times(roi), spikes.time_s[spikes.roi == roi])
            np.testing.assert_array_equal(units["frame"][roi], spikes.frame[spikes.roi == roi])
        assert units.roi.table is nwbfile.processing["ophys"]["ImageSegmentation"]["PlaneSegmentation"]
        np.testing.assert_array_equal(nwbfile.units["spike_times"][0], [1.0, 2.0])


def test_nwb_results_in_the_file_itself_stay_there(tmp_path):
    path, _ = make("NWB in place", tmp_path / "lab")
    with_results(path, Selection(in_place=True))
    (container,) = find_containers(path)  # without saying it again
    add_spikes(container)
    assert not path.with_name("session_cascade.nwb").exists()
    assert container.results().spikes is not None


def test_the_command_says_what_it_found(tmp_path, capsys):
    plane = suite2p_folders.make_plane(tmp_path / "plane0", noise_level=6.0).folder
    with_results(plane, Selection())
    status, output, errors = run(capsys, "spikes", plane)
    assert status == 0 and not errors
    assert "6 of 6 ROIs have a noise level above 2 %" in output and "do not trust" in output
    assert "cascade_spikes.npz" in output
    status, output, _ = run(capsys, "spikes", plane, "--json")
    (report,) = json.loads(output)
    assert report["settings"]["smoothing"] > 0 and report["warnings"] and report["n_rois"] == 6
    with np.load(plane / "cascade_spikes.npz") as archive:
        assert set(archive) == {"roi", "frame", "time_s", "confidence"}
        assert report["n_spikes"] == len(archive["roi"])


def test_without_results_it_says_so_in_one_line(recording, capsys):
    path, selection = recording
    options = ["--orientation", "rois-first"] if selection.orientation else []
    status, output, errors = run(capsys, "spikes", path, *options)
    assert status == 1 and not output
    assert "has no results" in errors and "cascade run" in errors and len(errors.splitlines()) == 1


def test_stale_results_are_refused(tmp_path):
    plane = suite2p_folders.make_plane(tmp_path / "plane0").folder
    container = with_results(plane, Selection())
    np.save(plane / "F.npy", np.load(plane / "F.npy") + 1)
    with pytest.raises(InputError, match="stale"):
        add_spikes(container)


def test_a_record_that_does_not_say_how_is_refused(tmp_path):
    plane = suite2p_folders.make_plane(tmp_path / "plane0").folder
    container = with_results(plane, Selection())
    record = json.loads((plane / "cascade.json").read_text())
    del record["settings"]["smoothing"]
    (plane / "cascade.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match="does not say how the spikes were smoothed"):
        add_spikes(container)


def test_damaged_spikes_are_one_line(tmp_path):
    plane = suite2p_folders.make_plane(tmp_path / "plane0").folder
    container = with_results(plane, Selection())
    add_spikes(container)
    (plane / "cascade_spikes.npz").write_bytes(b"PK nothing")
    with pytest.raises(InputError, match=r"cascade_spikes\.npz cannot be read"):
        container.results()


def test_sessions_and_causal_kernels_are_heeded(tmp_path):
    plane = suite2p_folders.make_plane(tmp_path / "plane0", segments=[400, 500]).folder
    container = with_results(plane, Selection(), kernel="causal", smoothing=0.1)
    report = add_spikes(container)
    assert report.settings["smoothing"] == 0.1
    np.testing.assert_array_equal(container.results().spikes.frame, expected_spikes(container)[1])


def test_trust_is_a_matter_of_noise():
    all_predicted = np.array([True, True, True])
    assert trust_warning(np.array([1.0, 1.9, np.nan]), all_predicted) == ""
    assert trust_warning(np.array([1.0, 2.5, np.nan]), all_predicted).startswith("1 of 2 ROIs")
    assert trust_warning(np.array([1.0, 2.5, np.nan]), np.array([True, False, True])) == ""


def test_conversion_takes_them_along(tmp_path, capsys):
    plane = suite2p_folders.make_plane(tmp_path / "plane0").folder
    container = with_results(plane, Selection())
    add_spikes(container)
    spikes = container.results().spikes
    assert run(capsys, "convert", tmp_path, tmp_path / "all.npz")[0] == 0
    with np.load(tmp_path / "all.npz") as archive:
        np.testing.assert_array_equal(archive["spikes"], spikes.table)
    assert run(capsys, "convert", tmp_path, tmp_path / "tables", "--to", "csv")[0] == 0
    table = np.loadtxt(tmp_path / "tables" / "spikes.csv", delimiter=",", skiprows=1)
    np.testing.assert_allclose(table, spikes.table)
