"""suite2p folders: reading both generations, writing results, taking them back."""

import json
import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest

from cascade_adapters.cli.text import describe_report
from cascade_adapters.containers.base import Container, Reading
from cascade_adapters.containers.suite2p.plane import Suite2pPlane
from cascade_adapters.containers.suite2p.settings import read_settings
from cascade_adapters.hooks.suite2p import run_on_folder
from cascade_adapters.running.discrete import add_spikes
from cascade_adapters.running.options import parse_options
from cascade_engine import infer
from cascade_engine.discrete import TRUSTED_NOISE_LEVEL
from cascade_engine.errors import CascadeError, CascadeWarning
from cascade_engine.signal.dff import WITHIN_NOISE, delta_f_over_f
from tests.builders.running import inspect_one
from tests.builders.suite2p_folders import change_settings, hashes, make_plane, make_recording, save_settings

RESULTS = {"cascade_spike_prob.npy", "cascade_dff.npy", "cascade_noise_levels.npy", "cascade.json"}
WINDOW = 64


@pytest.fixture
def plane(tmp_path):
    """A plane of the old generation."""
    return make_plane(tmp_path / "plane0")


@pytest.fixture
def run(random_model):
    """`run_on_folder` with the random model, on one plane or several; doubts are in the reports."""

    def run(folder: Path, **options):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CascadeWarning)
            return run_on_folder(folder, **{"model": str(random_model.folder), "existing": "error", **options})

    return run


def record(folder: Path, name: str = "cascade.json") -> dict:
    return json.loads((folder / name).read_text())


def spike_prob(folder: Path) -> np.ndarray:
    return np.load(folder / "cascade_spike_prob.npy")


# ---------------------------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize("generation", ["old", "new"])
def test_both_generations_give_the_same(tmp_path, generation):
    plane = make_plane(tmp_path / "plane0", generation=generation, segments=[400, 500], neuropil_coefficient=0.55)
    traces = Suite2pPlane(plane.folder).read()
    np.testing.assert_array_equal(traces.fluorescence, plane.fluorescence)
    np.testing.assert_array_equal(traces.neuropil, plane.neuropil)
    assert (traces.frame_rate, traces.neuropil_coefficient, traces.segments) == (30.0, 0.55, [400, 500])
    assert traces.frame_rate_source == f"fs in {'ops' if generation == 'old' else 'settings'}.npy"
    assert traces.is_cell.tolist() == [True, True, False, True, True, False]
    assert traces.remarks == []


def test_ops_that_hold_the_nested_settings(tmp_path):
    """suite2p 1.x writes all of it into ops.npy too, if asked for."""
    plane = make_plane(tmp_path / "plane0", generation="none")
    save_settings(plane.folder / "ops.npy", {"fs": 15.0, "extraction": {"neuropil_coefficient": 0.4}})
    settings = read_settings(plane.folder)
    assert (settings.frame_rate, settings.neuropil_coefficient, settings.remarks) == (15.0, 0.4, [])


def test_settings_of_the_new_generation_one_level_up(tmp_path):
    plane = make_plane(tmp_path / "plane0", generation="new", neuropil_coefficient=0.3, segments=[300, 600])
    (plane.folder / "settings.npy").unlink()
    (plane.folder / "db.npy").unlink()
    traces = Suite2pPlane(plane.folder).read()
    assert (traces.frame_rate, traces.neuropil_coefficient, traces.segments) == (30.0, 0.3, [300, 600])


def test_ops_come_before_other_files(tmp_path):
    plane = make_plane(tmp_path / "plane0", generation="new")
    save_settings(plane.folder / "ops.npy", {"fs": 20.0})
    assert Suite2pPlane(plane.folder).read().frame_rate == 20.0


@pytest.mark.parametrize(("fs", "doubtful"), [(10.0, "10 Hz"), (1.0, "1 Hz"), (0.5, "0.5 Hz"), (2, None), (30, None)])
def test_frame_rates_that_may_never_have_been_set_are_doubted(tmp_path, fs, doubtful):
    traces = Suite2pPlane(make_plane(tmp_path / "plane0", frame_rate=fs).folder).read()
    assert traces.frame_rate == fs
    if doubtful is None:
        assert traces.remarks == []
    else:
        (remark,) = traces.remarks
        assert doubtful in remark and "--frame-rate" in remark


@pytest.mark.parametrize("fs", [0, -30.0, np.nan, np.inf, "fast", [30.0, 15.0], {}])
def test_an_impossible_frame_rate_is_an_error_that_says_what_to_do(plane, fs):
    change_settings(plane.folder, fs=fs)
    with pytest.raises(CascadeError, match=r"plane0.*--frame-rate"):
        Suite2pPlane(plane.folder).read()
    assert Suite2pPlane(plane.folder).read(Reading(frame_rate=30.0)).remarks == []


@pytest.mark.parametrize("generation", ["old", "new", "none"])
def test_a_missing_frame_rate_is_an_error_that_says_what_to_do(tmp_path, generation):
    plane = make_plane(tmp_path / "plane0", generation=generation, frame_rate=None)
    with pytest.raises(CascadeError, match=r"plane0 has no frame rate.*--frame-rate"):
        Suite2pPlane(plane.folder).read()
    traces = Suite2pPlane(plane.folder).read(Reading(frame_rate=12.5))
    assert (traces.frame_rate, traces.frame_rate_source) == (12.5, "given")


@pytest.mark.parametrize("fs", [10.0, 30.0])
def test_a_given_frame_rate_wins_and_settles_doubts(tmp_path, fs):
    traces = Suite2pPlane(make_plane(tmp_path / "plane0", frame_rate=fs).folder).read(Reading(frame_rate=7.5))
    assert (traces.frame_rate, traces.frame_rate_source, traces.remarks) == (7.5, "given", [])


@pytest.mark.parametrize("rate", [0.0, -1.0, np.nan, "fast"])
def test_a_given_frame_rate_is_checked(plane, run, rate):
    with pytest.raises(CascadeError, match="frame_rate"):
        Suite2pPlane(plane.folder).read(Reading(frame_rate=rate))
    with pytest.raises(CascadeError, match="frame_rate"):
        run(plane.folder, frame_rate=rate)


@pytest.mark.parametrize("value", [-1, -1.0, 5.0, np.nan, "x"])
def test_an_impossible_neuropil_coefficient_gives_way_to_the_default(plane, value):
    change_settings(plane.folder, neucoeff=value)
    traces = Suite2pPlane(plane.folder).read()
    assert traces.neuropil_coefficient == 0.7
    (remark,) = traces.remarks
    assert "neuropil coefficient in ops.npy" in remark and "0.7 was taken" in remark


def test_neuropil_coefficient_given_stored_or_assumed(plane):
    container = Suite2pPlane(plane.folder)
    change_settings(plane.folder, neucoeff=0.0)
    assert container.read().neuropil_coefficient == 0.0
    assert container.read(Reading(neuropil_coefficient=0.2)).neuropil_coefficient == 0.2
    change_settings(plane.folder, neucoeff=None)
    assert container.read().neuropil_coefficient == 0.7


def test_without_settings_the_defaults_are_named_as_such(tmp_path):
    plane = make_plane(tmp_path / "plane0", generation="none")
    traces = Suite2pPlane(plane.folder).read(Reading(frame_rate=30.0))
    assert traces.neuropil_coefficient == 0.7
    assert traces.remarks == ["no ops.npy and no settings.npy: suite2p's defaults were assumed"]


def test_damaged_settings_are_an_error_that_names_the_file(plane):
    (plane.folder / "ops.npy").write_bytes((plane.folder / "ops.npy").read_bytes()[:200])
    with pytest.raises(CascadeError, match=r"ops.npy cannot be read as settings"):
        Suite2pPlane(plane.folder).read()


@pytest.mark.parametrize("counts", [[400, 400], [900, 1], "many", [np.nan, 900.0]])
def test_session_lengths_that_do_not_fit_are_ignored_aloud(plane, counts):
    change_settings(plane.folder, frames_per_folder=counts)
    traces = Suite2pPlane(plane.folder).read()
    assert traces.segments is None
    (remark,) = traces.remarks
    assert "frames_per_folder" in remark and "the recording is taken as one segment" in remark


def test_planes_are_found_in_their_natural_order_without_combined(tmp_path):
    planes = make_recording(tmp_path, n_planes=11, n_rois=1, n_frames=30)
    folders = [plane.folder for plane in planes]
    assert [folder.name for folder in folders[-2:]] == ["plane9", "plane10"]
    for path in (tmp_path, tmp_path / "suite2p"):
        assert [found.path for found in Suite2pPlane.find(path)] == folders
    assert [found.path for found in Suite2pPlane.find(folders[3])] == [folders[3]]
    assert [found.path for found in Suite2pPlane.find(folders[3] / "F.npy")] == [folders[3]]


def test_combined_is_never_taken(tmp_path, monkeypatch):
    make_recording(tmp_path, n_rois=1, n_frames=30)
    combined = tmp_path / "suite2p" / "combined"
    assert Suite2pPlane.find(combined) == Suite2pPlane.find(combined / "F.npy") == []
    monkeypatch.chdir(combined)
    assert Suite2pPlane.find(Path()) == Suite2pPlane.find(Path("F.npy")) == []


def test_nothing_to_run_on(tmp_path, run):
    with pytest.raises(CascadeError, match="holds no suite2p plane"):
        run(tmp_path)


def test_f_and_fneu_of_different_runs_are_refused(plane, run):
    np.save(plane.folder / "Fneu.npy", plane.neuropil[:-1])
    before = hashes(plane.folder)
    with pytest.raises(CascadeError, match=r"F.npy has the shape \(6, 900\), but Fneu.npy has \(5, 900\)"):
        run(plane.folder)
    assert hashes(plane.folder) == before


def test_without_fneu_nothing_is_subtracted_and_it_is_said(plane, run):
    (plane.folder / "Fneu.npy").unlink()
    (report,) = run(plane.folder)
    assert "no Fneu.npy: nothing was subtracted" in report.warnings
    expected = delta_f_over_f(plane.fluorescence, 30.0).dff
    np.testing.assert_array_equal(np.load(plane.folder / "cascade_dff.npy"), expected)
    assert record(plane.folder)["traces"]["neuropil_coefficient"] is None


def test_a_truncated_f_is_one_clear_error(plane):
    content = (plane.folder / "F.npy").read_bytes()
    for length in (0, 5, 100, 128, 1000, len(content) - 1):
        (plane.folder / "F.npy").write_bytes(content[:length])
        with pytest.raises(CascadeError, match=r"F.npy (cannot be read as an array|is cut off)"):
            Suite2pPlane(plane.folder).read()


def test_any_damaged_header_of_f_is_one_clear_error(plane):
    content = (plane.folder / "F.npy").read_bytes()
    rng = np.random.default_rng(0)
    for place in range(128):
        damaged = bytearray(content)
        damaged[place] = rng.integers(256)
        (plane.folder / "F.npy").write_bytes(damaged)
        try:
            Suite2pPlane(plane.folder).read()
        except CascadeError as error:
            assert "F.npy" in str(error)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(900, np.float32), "ROIs x frames.*float32 of shape"),
        (np.zeros((2, 3, 4)), "must hold rows of numbers"),
        (np.zeros((2, 900), complex), "complex128"),
        (np.array([["a", "b"]]), "must hold rows of numbers"),
        (np.zeros((0, 900), np.float32), "empty"),
        (np.zeros((6, 0), np.float32), "is empty|cannot be read"),
        (np.array([{"a": 1}], dtype=object), "must hold rows of numbers, but is object"),
    ],
)
def test_an_f_of_the_wrong_kind_is_one_clear_error(plane, array, message):
    np.save(plane.folder / "F.npy", array)
    with pytest.raises(CascadeError, match=rf"F.npy.*({message})"):
        Suite2pPlane(plane.folder).read()


@pytest.mark.parametrize("content", [b"PK\x03\x04" + b"0" * 50, b"text" * 100])
def test_an_f_that_is_no_array_is_one_clear_error(plane, content):
    (plane.folder / "F.npy").write_bytes(content)
    with pytest.raises(CascadeError, match=r"F.npy (cannot be read as an array|is an archive of arrays)"):
        Suite2pPlane(plane.folder).read()
    with (plane.folder / "F.npy").open("wb") as file:
        np.savez(file, F=plane.fluorescence)
    with pytest.raises(CascadeError, match=r"F.npy is an archive"):
        Suite2pPlane(plane.folder).read()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones((5, 2)), "iscell.npy has 5 rows for 6 ROIs and was ignored"),
        (np.ones((7, 2)), "iscell.npy has 7 rows for 6 ROIs and was ignored"),
        (np.zeros((6, 0)), "iscell.npy has 6 rows for 6 ROIs and was ignored"),
        (np.float64(1.0), "iscell.npy cannot be read and was ignored"),
        (np.array(["yes"] * 6), "iscell.npy cannot be read and was ignored"),
    ],
)
def test_an_iscell_that_does_not_fit_is_ignored_aloud(plane, run, array, message):
    np.save(plane.folder / "iscell.npy", array)
    (report,) = run(plane.folder)
    assert message in report.warnings
    with pytest.raises(CascadeError, match="does not say which ROIs are cells: leave out only_cells"):
        run(plane.folder, only_cells=True, existing="overwrite")


def test_a_damaged_or_missing_iscell_is_no_obstacle(plane):
    (plane.folder / "iscell.npy").write_bytes(b"PK\x03\x04 no array")
    assert Suite2pPlane(plane.folder).read().remarks == ["iscell.npy cannot be read and was ignored"]
    (plane.folder / "iscell.npy").unlink()
    traces = Suite2pPlane(plane.folder).read()
    assert traces.is_cell is None and traces.remarks == []


def test_iscell_of_one_column(plane):
    np.save(plane.folder / "iscell.npy", np.array([1, 0, 0, 1, 1, 0]))
    assert Suite2pPlane(plane.folder).read().is_cell.tolist() == [True, False, False, True, True, False]


# ---------------------------------------------------------------------------------------------------------- results


def test_names_shapes_types_and_order_of_the_results(plane, run, random_model):
    before = hashes(plane.folder)
    (report,) = run(plane.folder)
    assert set(report.written) == RESULTS
    after = hashes(plane.folder)
    assert set(after) == set(before) | RESULTS
    assert {name: after[name] for name in before} == before

    found, dff = spike_prob(plane.folder), np.load(plane.folder / "cascade_dff.npy")
    levels = np.load(plane.folder / "cascade_noise_levels.npy")
    assert found.dtype == dff.dtype == levels.dtype == np.float32
    assert found.shape == dff.shape == plane.fluorescence.shape and levels.shape == (6,)
    assert np.isnan(found[:, : WINDOW // 2 - 1]).all() and np.isnan(found[:, -WINDOW // 2 + 1 :]).all()
    assert np.isfinite(found[:, WINDOW // 2 : -WINDOW // 2]).all() and np.isfinite(dff).all()

    # the order is that of F, non-cells included, and the values are those of the engine
    expected = delta_f_over_f(plane.fluorescence, 30.0, plane.neuropil, 0.7).dff
    np.testing.assert_array_equal(dff, expected)
    inference = infer(expected, 30.0, random_model)
    np.testing.assert_allclose(found, inference.spike_prob, atol=1e-6)
    np.testing.assert_allclose(levels, inference.noise_levels, rtol=1e-6)
    for roi in range(6):
        assert np.corrcoef(dff[roi], plane.dff[roi])[0, 1] > 0.98


def test_the_report(plane, run):
    (report,) = run(plane.folder)
    assert (report.path, report.kind, report.status) == (str(plane.folder), "suite2p", "done")
    assert (report.n_rois, report.n_frames, report.frame_rate_hz, report.guarded_frames) == (6, 900, 30.0, {})
    assert report.noise_level == pytest.approx(2.0, rel=0.25)
    assert report.without_prediction == {} and report.warnings == []
    json.dumps(report.to_dict(), allow_nan=False)


def test_every_plane_gets_its_own_results(tmp_path, run):
    planes = make_recording(tmp_path, 2)
    reports = run(tmp_path)
    assert [report.path for report in reports] == [str(plane.folder) for plane in planes]
    assert not np.array_equal(spike_prob(planes[0].folder), spike_prob(planes[1].folder), equal_nan=True)
    assert not RESULTS & {path.name for path in (tmp_path / "suite2p" / "combined").iterdir()}


def test_no_prediction_reaches_across_a_seam(tmp_path, run):
    plane = make_plane(tmp_path / "plane0", segments=[400, 500])
    run(plane.folder)
    missing = np.isnan(spike_prob(plane.folder))
    assert missing[:, 400 - WINDOW // 2 + 1 : 400 + WINDOW // 2 - 1].all()
    assert not missing[:, WINDOW // 2 : 400 - WINDOW // 2].any()
    assert record(plane.folder)["recording"]["segments"] == [400, 500]

    # changing the second session does not change a single value of the first
    other = make_plane(tmp_path / "plane1", segments=[400, 500])
    changed = plane.fluorescence.copy()
    changed[:, 400:] *= 3.0
    np.save(other.folder / "F.npy", changed)
    np.save(other.folder / "Fneu.npy", np.full_like(plane.neuropil, 100.0))
    np.save(plane.folder / "Fneu.npy", np.full_like(plane.neuropil, 100.0))
    run(plane.folder, existing="overwrite", noise_level=2.0)
    run(other.folder, noise_level=2.0)
    np.testing.assert_array_equal(spike_prob(plane.folder)[:, :400], spike_prob(other.folder)[:, :400])


def test_the_second_channel_has_results_of_its_own(tmp_path, run):
    plane = make_plane(tmp_path / "plane0", second_channel=True)
    run(plane.folder)
    first = hashes(plane.folder)
    (report,) = run(plane.folder, channel=2)
    names = {name.replace("cascade", "cascade_chan2") for name in RESULTS}
    assert set(report.written) == names == set(hashes(plane.folder)) - set(first)
    assert {name: hashes(plane.folder)[name] for name in first} == first
    dff = delta_f_over_f(0.5 * plane.fluorescence + 100.0, 30.0, 0.5 * plane.neuropil, 0.7).dff
    np.testing.assert_allclose(np.load(plane.folder / "cascade_chan2_dff.npy"), dff, atol=1e-6)
    assert set(record(plane.folder, "cascade_chan2.json")["input"]) == {"F_chan2.npy", "Fneu_chan2.npy"}

    with pytest.raises(CascadeError, match="cannot be replaced with spikes of channel 2"):
        run(plane.folder, channel=2, replace_spikes=True, existing="overwrite")
    Suite2pPlane(plane.folder, 2).restore()
    assert hashes(plane.folder) == first


def test_channels_that_are_not_there(plane, run):
    with pytest.raises(CascadeError, match="no suite2p plane with traces of channel 2"):
        run(plane.folder, channel=2)
    with pytest.raises(CascadeError, match="channels 1 and 2, not 3"):
        Suite2pPlane(plane.folder, 3)


def test_only_cells(plane, run):
    run(plane.folder)
    everything = spike_prob(plane.folder)
    (report,) = run(plane.folder, only_cells=True, existing="overwrite")
    found = spike_prob(plane.folder)
    is_cell = np.load(plane.folder / "iscell.npy")[:, 0] > 0.5
    assert found.shape == everything.shape
    np.testing.assert_array_equal(found[is_cell], everything[is_cell])
    assert np.isnan(found[~is_cell]).all() and np.isnan(np.load(plane.folder / "cascade_dff.npy")[~is_cell]).all()
    assert np.isnan(np.load(plane.folder / "cascade_noise_levels.npy")[~is_cell]).all()
    assert record(plane.folder)["rois"]["without_prediction"] == {"2": "not a cell", "5": "not a cell"}
    assert report.without_prediction == {}


def test_only_cells_where_there_are_none(plane, run):
    np.save(plane.folder / "iscell.npy", np.zeros((6, 2)))
    before = hashes(plane.folder)
    with pytest.raises(CascadeError, match=r"nothing predicted: left out by only_cells \(6 of 6 ROIs\)$"):
        run(plane.folder, only_cells=True)
    assert hashes(plane.folder) == before


def test_bad_rois_are_named_and_harm_no_others(plane, run):
    run(plane.folder)
    everything = spike_prob(plane.folder)
    f = plane.fluorescence.copy()
    f[1], f[4] = 0.0, np.nan
    f[3] = 250.0 - np.arange(900) % 2 * 2 * 250.0
    np.save(plane.folder / "F.npy", f)
    (report,) = run(plane.folder, existing="overwrite")
    # ROI 3 jumps between 250 and -250: its F0 is below its noise throughout
    assert report.without_prediction == {1: "F is zero throughout", 3: WITHIN_NOISE, 4: "F has no finite value"}
    assert Suite2pPlane(plane.folder).record().rois.without_prediction == report.without_prediction
    found = spike_prob(plane.folder)
    assert np.isnan(found[[1, 3, 4]]).all() and np.isnan(np.load(plane.folder / "cascade_dff.npy")[3]).all()
    np.testing.assert_array_equal(found[[0, 2, 5]], everything[[0, 2, 5]])
    assert report.guarded_frames == {} and record(plane.folder)["rois"]["guarded_frames"] == {"3": 900}


def test_missing_frames_stay_local(plane, run):
    f = plane.fluorescence.copy()
    f[0, 450] = np.nan
    np.save(plane.folder / "F.npy", f)
    (report,) = run(plane.folder)
    missing = np.isnan(spike_prob(plane.folder))
    assert report.without_prediction == {}
    assert np.flatnonzero(missing[0, WINDOW:-WINDOW]).tolist() == [450 - WINDOW]
    assert not missing[1:, WINDOW:-WINDOW].any()


def test_a_plane_that_is_too_short_says_so_for_each_roi(tmp_path, run, random_model):
    plane = make_plane(tmp_path / "plane0", n_frames=WINDOW - 1)
    reason = f"too short: {WINDOW - 1} frames without interruption, {WINDOW} are needed"
    with pytest.raises(CascadeError, match=rf"nothing predicted: {reason} \(6 of 6 ROIs\)$"):
        run(plane.folder)
    report = inspect_one(Suite2pPlane(plane.folder), model=str(random_model.folder))
    assert report.without_prediction == dict.fromkeys(range(6), reason)
    text = f"'run' would refuse this: {plane.folder}: nothing predicted: {reason} (6 of 6 ROIs)"
    assert text in report.warnings


def test_what_makes_results_doubtful_is_reported_and_kept(plane, run):
    change_settings(plane.folder, fs=10.0)
    (report,) = run(plane.folder)
    assert any("10 Hz, suite2p's default" in text for text in report.warnings)
    assert any("trained for 30 Hz" in text for text in report.warnings)
    assert record(plane.folder)["warnings"] == report.warnings


def test_results_are_read_back_as_written(tmp_path, run):
    plane = make_plane(tmp_path / "plane0")
    container = Suite2pPlane(plane.folder)
    assert container.results() is None
    run(plane.folder)
    results = container.results()
    np.testing.assert_array_equal(results.spike_prob, spike_prob(plane.folder))
    assert results.dff.shape == results.spike_prob.shape and len(results.noise_levels) == len(results.dff)
    assert results.record == container.record()


def test_how_much_of_the_neuropil_is_subtracted(plane, run):
    """Asked for in words, done, recorded; noise levels are compared as if all of it had been subtracted."""
    reports = {}
    for what, kept in (("full", 0.0), ("half", 0.5), ("changes", 1.0)):
        (report,) = run(plane.folder, neuropil=what, existing="overwrite", model="universal")
        found = record(plane.folder)
        assert found["asked"]["neuropil"] == found["traces"]["baseline"]["neuropil"] == report.neuropil == what
        level = np.median(plane.neuropil, axis=1, keepdims=True)
        corrected = plane.fluorescence - 0.7 * (plane.neuropil - kept * level)
        expected = delta_f_over_f(corrected, 30.0).dff
        np.testing.assert_allclose(np.load(plane.folder / "cascade_dff.npy"), expected, atol=1e-3)
        reports[what] = report
    full, comparable = reports["full"], reports["full"].comparable_noise_level
    assert comparable == full.noise_level
    for what in ("half", "changes"):
        assert reports[what].noise_level < 0.9 * full.noise_level
        assert reports[what].comparable_noise_level == pytest.approx(comparable, rel=0.05)
        assert reports[what].expected["correlation"] == pytest.approx(full.expected["correlation"], abs=0.02)
        assert f"; {reports[what].comparable_noise_level:.1f} with F - r Fneu" in describe_report(reports[what])
    assert "with F - r Fneu" not in describe_report(full)
    # whether single spikes can be trusted is judged by the same measure
    levels = record(plane.folder)["rois"]["comparable_noise_levels"]
    assert np.median(levels) == pytest.approx(reports["changes"].comparable_noise_level)
    noisy = sum(level > TRUSTED_NOISE_LEVEL for level in levels)
    assert noisy > np.count_nonzero(np.load(plane.folder / "cascade_noise_levels.npy") > TRUSTED_NOISE_LEVEL)
    assert add_spikes(Suite2pPlane(plane.folder)).warnings[0].startswith(f"{noisy} of 6 ROIs")


def test_the_record(plane, run, random_model):
    (report,) = run(plane.folder, neuropil_coefficient=0.5, baseline="maximin", baseline_window_s=20.0, threshold=1)
    text = (plane.folder / "cascade.json").read_text()

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    found = json.loads(text, parse_constant=refuse)
    assert found["model"]["fingerprint"] == random_model.fingerprint
    assert found["model"]["name"] == "random"
    assert found["traces"] == {
        "source": "F.npy and Fneu.npy",
        "dff": "computed",
        "arbitrary_units": False,
        "denoised": False,
        "neuropil_coefficient": 0.5,
        "offset": 0.0,
        "baseline": {"method": "maximin", "window_s": 20.0, "percentile": 15.0, "neuropil": "changes"},
    }
    assert found["settings"]["threshold"] == 1 and found["settings"]["smoothing"] == 0.05
    assert found["asked"]["baseline_window_s"] == 20.0 and found["asked"]["smoothing"] is None
    assert parse_options(found["asked"]).baseline.window_s == 20.0  # enough to repeat the run
    files = hashes(plane.folder)
    assert found["input"] == {"F.npy": files["F.npy"], "Fneu.npy": files["Fneu.npy"]}
    assert found["recording"]["n_rois"] == 6 and found["recording"]["n_frames"] == 900
    assert found["recording"]["frame_rate_hz"] == 30.0
    assert found["recording"]["frame_rate_source"] == "fs in ops.npy"
    assert found["warnings"] == report.warnings
    assert len(found["rois"]["network_noise_levels"]) == 6
    assert set(found["software"]) == {"cascade-spikes", "python", "numpy", "onnxruntime"}
    assert "T" in found["created"]


@pytest.mark.parametrize("bad", ["nan", "zero"])
def test_the_record_is_json_where_nothing_can_be_predicted(plane, run, bad):
    fluorescence = plane.fluorescence.copy()
    fluorescence[1:] = np.nan if bad == "nan" else 0.0
    np.save(plane.folder / "F.npy", fluorescence)
    (report,) = run(plane.folder)
    assert len(report.without_prediction) == 5
    assert record(plane.folder)["rois"]["network_noise_levels"][1:] == [None] * 5
    fluorescence[0] = fluorescence[1]
    np.save(plane.folder / "F.npy", fluorescence)
    with pytest.raises(CascadeError, match="nothing predicted"):
        run(plane.folder, existing="overwrite")
    assert np.isfinite(spike_prob(plane.folder)[0]).any()  # the earlier results are still there


def test_results_do_not_depend_on_the_number_of_threads(plane, run):
    run(plane.folder, n_threads=1)
    one = spike_prob(plane.folder)
    run(plane.folder, n_threads=3, existing="overwrite")
    np.testing.assert_array_equal(one, spike_prob(plane.folder))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"modle": "x"}, r"no option modle \(did you mean model\?\); there are model, "),
        ({"baseline": "median"}, "baseline method"),
        ({"baseline_window_s": -1.0}, "baseline_window must be a number from 2 to 3600 s"),
        ({"existing": "replace"}, "existing must be one of"),
        ({"threshold": 2}, "threshold must be 0, 1 or False"),
        ({"neuropil_coefficient": np.nan}, "neuropil_coefficient must be a number from 0 to 2"),
        ({"neuropil_coefficient": -0.7}, "neuropil_coefficient must be a number from 0 to 2"),
        ({"noise_level": np.nan}, "noise.level"),
        ({"noise_level": 0.0}, "noise.level"),
    ],
)
def test_wrong_options_are_refused(plane, run, options, message):
    before = hashes(plane.folder)
    with pytest.raises(CascadeError, match=message):
        run(plane.folder, **options)
    assert hashes(plane.folder) == before


# ----------------------------------------------------------------------------------- earlier results, and taking back


def test_results_that_are_there(plane, run):
    run(plane.folder)
    before = hashes(plane.folder)
    with pytest.raises(CascadeError, match='has results already: pass existing="update", overwrite or skip'):
        run(plane.folder)
    (report,) = run(plane.folder, existing="skip")
    assert (report.status, report.message) == ("skipped", "results are there already")
    assert hashes(plane.folder) == before
    (report,) = run(plane.folder, existing="overwrite", threshold=False)
    assert report.status == "done"
    assert hashes(plane.folder)["cascade_spike_prob.npy"] != before["cascade_spike_prob.npy"]


def test_results_of_other_traces_are_stale(plane, run):
    container = Suite2pPlane(plane.folder)
    assert not container.is_stale()
    run(plane.folder)
    assert not container.is_stale()
    assert inspect_one(container).earlier_results.endswith("up to date")
    # the GUI edits iscell.npy alone; merging ROIs appends a row to F and Fneu
    np.save(plane.folder / "iscell.npy", np.ones((6, 2)))
    assert not container.is_stale()
    for name, array in (("F", plane.fluorescence), ("Fneu", plane.neuropil)):
        np.save(plane.folder / f"{name}.npy", np.vstack([array, array[:1]]))
    assert container.is_stale()
    assert "stale" in inspect_one(container).earlier_results
    with pytest.raises(CascadeError, match="stale: the traces have changed since"):
        run(plane.folder)
    (report,) = run(plane.folder, existing="skip")
    assert "stale" in report.message
    run(plane.folder, existing="overwrite")
    assert not container.is_stale() and spike_prob(plane.folder).shape == (7, 900)


def test_replaced_spikes_are_rates_without_nan(plane, run):
    before = hashes(plane.folder)
    (report,) = run(plane.folder, replace_spikes=True)
    assert set(report.written) == RESULTS | {"spks.npy", "spks_suite2p.npy"}
    after = hashes(plane.folder)
    assert after["spks_suite2p.npy"] == before["spks.npy"]
    assert {name: after[name] for name in before if name != "spks.npy"} == {
        name: before[name] for name in before if name != "spks.npy"
    }
    rates, expected = np.load(plane.folder / "spks.npy"), spike_prob(plane.folder)
    assert rates.dtype == np.float32 and np.isfinite(rates).all()
    np.testing.assert_allclose(rates, 30.0 * np.nan_to_num(expected), rtol=1e-6)
    assert np.isnan(expected).any()


@pytest.mark.parametrize("n_planes", [1, 2])
@pytest.mark.parametrize("replace_spikes", [False, True])
def test_restore_is_exact(tmp_path, run, n_planes, replace_spikes):
    make_recording(tmp_path, n_planes, second_channel=True)
    before, times = hashes(tmp_path), modification_times(tmp_path)
    run(tmp_path, replace_spikes=replace_spikes)
    assert hashes(tmp_path) != before
    done = [Suite2pPlane(found.path).restore() for found in Suite2pPlane.find(tmp_path)]
    assert hashes(tmp_path) == before
    assert modification_times(tmp_path) == times
    assert all(("put back spks.npy" in text) == replace_spikes for text in done)
    assert [found.restore() for found in Suite2pPlane.find(tmp_path)] == [[]] * n_planes


def modification_times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("replaced", [(True, True, True), (True, False, False), (False, True, False)])
def test_restore_after_overwriting_several_times(plane, run, replaced):
    before = hashes(plane.folder)
    for noise_level, replace_spikes in zip((1.0, 2.0, 4.0), replaced, strict=True):
        run(plane.folder, noise_level=noise_level, replace_spikes=replace_spikes, existing="overwrite")
    # the last run decides: without replacing, suite2p's own are back
    kept = "spks_suite2p.npy" if replaced[-1] else "spks.npy"
    after = hashes(plane.folder)
    assert after[kept] == before["spks.npy"]
    assert ("spks_suite2p.npy" in after) == replaced[-1]
    Suite2pPlane(plane.folder).restore()
    assert hashes(plane.folder) == before


@pytest.mark.parametrize("again", [False, True])
def test_spikes_of_a_later_run_of_suite2p_survive(plane, run, again):
    before = hashes(plane.folder)
    run(plane.folder, replace_spikes=True)
    np.save(plane.folder / "spks.npy", np.full((6, 900), 5.0, np.float32))
    later = hashes(plane.folder)["spks.npy"]
    if again:
        # what is backed up now are the later spikes
        run(plane.folder, replace_spikes=True, existing="overwrite")
        assert hashes(plane.folder)["spks_suite2p.npy"] == later
        assert "put back spks.npy" in Suite2pPlane(plane.folder).restore()
        assert hashes(plane.folder) == before | {"spks.npy": later}
    else:
        done = Suite2pPlane(plane.folder).restore()
        assert any("left spks.npy, which was changed since" in text for text in done)
        assert hashes(plane.folder) == before | {"spks.npy": later, "spks_suite2p.npy": before["spks.npy"]}


@pytest.mark.parametrize("damaged", [np.zeros((6, 900)), np.zeros((6, 899), np.float32), b"no array"])
def test_damaged_spikes_never_take_the_place_of_the_backup(plane, run, damaged):
    run(plane.folder, replace_spikes=True)
    if isinstance(damaged, bytes):
        (plane.folder / "spks.npy").write_bytes(damaged)
    else:
        np.save(plane.folder / "spks.npy", damaged)
    before = hashes(plane.folder)
    with pytest.raises(CascadeError, match=r"spks.npy"):
        run(plane.folder, replace_spikes=True, existing="overwrite")
    assert hashes(plane.folder) == before


def test_spikes_removed_since_are_put_back(plane, run):
    before = hashes(plane.folder)
    run(plane.folder, replace_spikes=True)
    (plane.folder / "spks.npy").unlink()
    Suite2pPlane(plane.folder).restore()
    assert hashes(plane.folder) == before


def test_a_backup_without_a_record_is_never_overwritten(plane, run):
    """Our files were removed by hand: spks.npy is ours still, and the backup is all that is left of suite2p's."""
    before = hashes(plane.folder)
    run(plane.folder, replace_spikes=True)
    (plane.folder / "cascade.json").unlink()
    left = hashes(plane.folder)
    with pytest.raises(CascadeError, match=r"spks_suite2p.npy, but no record of the run that made it: rename it"):
        run(plane.folder, replace_spikes=True)
    assert hashes(plane.folder) == left
    assert any("nothing tells which is suite2p's" in text for text in Suite2pPlane(plane.folder).restore())
    (plane.folder / "spks_suite2p.npy").replace(plane.folder / "spks.npy")
    assert hashes(plane.folder) == before
    run(plane.folder, replace_spikes=True)


def test_there_must_be_spikes_to_replace(plane, run):
    (plane.folder / "spks.npy").unlink()
    before = hashes(plane.folder)
    with pytest.raises(CascadeError, match=r"no spks.npy to replace"):
        run(plane.folder, replace_spikes=True)
    assert hashes(plane.folder) == before


@pytest.mark.parametrize("content", ["", "{", "[1, 2]", "\x00"])
def test_a_damaged_record_is_one_clear_error(plane, run, content):
    run(plane.folder, replace_spikes=True)
    (plane.folder / "cascade.json").write_text(content)
    message = (
        r"cascade.json: the record of the results is damaged.*: remove it.*and rename spks_suite2p.npy to spks.npy"
    )
    with pytest.raises(CascadeError, match=message):
        run(plane.folder, existing="overwrite")
    with pytest.raises(CascadeError, match=message):
        Suite2pPlane(plane.folder).restore()


def test_files_of_others_are_never_touched(plane, run):
    (plane.folder / "cascade_notes.txt").write_text("mine")
    (plane.folder / "Fall.mat").write_bytes(b"mine")
    before = hashes(plane.folder)
    run(plane.folder, replace_spikes=True)
    run(plane.folder, existing="overwrite")
    Suite2pPlane(plane.folder).restore()
    assert hashes(plane.folder) == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(plane, run):
    before = hashes(plane.folder)
    plane.folder.chmod(0o555)
    try:
        with pytest.raises(CascadeError, match="plane0 cannot be changed: Permission denied"):
            run(plane.folder)
    finally:
        plane.folder.chmod(0o755)
    assert hashes(plane.folder) == before


def test_a_failing_plane_leaves_those_before_it_complete(tmp_path, run):
    planes = make_recording(tmp_path, 2)
    np.save(planes[1].folder / "Fneu.npy", np.ones((2, 2)))
    before = hashes(planes[1].folder)
    with pytest.raises(CascadeError, match=r"plane1.*must come from the same run"):
        run(tmp_path)
    assert (planes[0].folder / "cascade.json").is_file()
    assert hashes(planes[1].folder) == before


def test_inspection_of_one_plane(tmp_path):
    plane = make_plane(tmp_path / "plane0", segments=[400, 500])
    before = hashes(plane.folder)
    facts = inspect_one(Suite2pPlane(plane.folder))
    json.dumps(facts.to_dict(), allow_nan=False)
    assert (facts.n_rois, facts.n_cells, facts.n_frames, facts.segments) == (6, 4, 900, [400, 500])
    assert [facts.noise_level, *facts.noise_level_range] == pytest.approx([2.0] * 3, rel=0.25)
    assert facts.duration_s == pytest.approx(30.0) and facts.earlier_results == "none"
    assert hashes(plane.folder) == before


def test_a_plane_may_lie_behind_a_link(tmp_path, run):
    plane = make_plane(tmp_path / "real" / "plane0")
    try:
        (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    except OSError:
        pytest.skip("this platform or user cannot make links")
    run(tmp_path / "link" / "plane0")
    assert spike_prob(plane.folder).shape == (6, 900)


def test_a_folder_may_have_any_name(tmp_path, run):
    plane = make_plane(tmp_path / "día 1, µ2² (50%) [x]" / "plane0")
    before = hashes(tmp_path)
    run(tmp_path, replace_spikes=True)
    assert isinstance(Suite2pPlane(plane.folder), Container)
    Suite2pPlane(plane.folder).restore()
    assert hashes(tmp_path) == before
    shutil.rmtree(plane.folder)
