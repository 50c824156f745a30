"""What the units are travels with the traces through every container and every conversion, and is told by everyone."""

import json

import h5py
import numpy as np
import pytest
from scipy.ndimage import uniform_filter1d

from cascade_adapters.cli import main
from cascade_adapters.cli.text import describe_inspection, describe_report
from cascade_adapters.containers.base import Reading, Selection
from cascade_adapters.containers.registry import find_containers
from cascade_adapters.convert import convert, read_metadata
from cascade_adapters.running.discrete import add_spikes
from cascade_engine.signal.noise import noise_levels
from cascade_engine.signal.rest import find_rests
from tests.builders.array_files import make_dff, save
from tests.builders.caiman_files import make_file
from tests.builders.nwb_files import Session
from tests.builders.nwb_files import dff_traces as nwb_dff
from tests.builders.running import inspect_one, run_one
from tests.builders.segmentation_files import save_cnmfe, save_extract
from tests.builders.suite2p_folders import make_plane

START = read_metadata(None, ("session_start_time=2024-05-17T12:30:00+02:00",))

ARBITRARY = Reading(arbitrary_units=True)

RATE = 30.0

#: Ways to write what a container holds, and what then finds the traces in it.
TARGETS = {
    "out.npz": Selection(key="F", orientation="rois-first", raw=True),
    "out.mat": Selection(key="F", orientation="rois-first", raw=True),
    "out.nwb": Selection(),
    "out.nwb.zarr": Selection(),
    "folder": Selection(),
}


@pytest.fixture
def one_photon(tmp_path):
    """CaImAn's result without a background, so that no dF/F can be had."""
    path = make_file(tmp_path / "one_photon.hdf5")
    with h5py.File(path, "r+") as file:
        del file["estimates/b"], file["estimates/f"]
    return path


@pytest.fixture
def run(random_model):
    """Process a recording with the random model."""
    return lambda container, **options: run_one(container, model=str(random_model.folder), **options)


def assert_arbitrary(report, text):
    """No noise level and no expectation is claimed, and the caveat is there."""
    assert report.arbitrary_units and report.noise_level is None and report.expected is None
    assert [warning for warning in report.warnings if warning.startswith("ARBITRARY UNITS")]
    assert "noise level not known, since the traces are in arbitrary units" in text
    assert "expected at" not in text and "% per sqrt(Hz)" not in text


@pytest.mark.parametrize("target", TARGETS)
def test_arbitrary_units_survive_every_conversion(one_photon, tmp_path, run, random_model, target):
    metadata = START if ".nwb" in target else None
    done = convert(one_photon, tmp_path / target, reading=ARBITRARY, metadata=metadata)
    assert any("ARBITRARY UNITS" in text for text in done.session.remarks)
    assert "traces in arbitrary units" in done.session.planes[0].content
    (container,) = find_containers(tmp_path / target, TARGETS[target])
    found = inspect_one(container, model=str(random_model.folder))
    assert_arbitrary(found, describe_inspection(found))
    report = run(container)
    assert_arbitrary(report, describe_report(report))
    results = container.results()
    assert results.record.traces.arbitrary_units and results.record.rois.comparable_noise_levels == [None] * 6
    assert np.isnan(results.noise_levels[:]).all()
    np.testing.assert_allclose(noise_levels(results.dff[:], 20.0), 2.0, rtol=1e-3)
    spikes = add_spikes(container)
    assert spikes.arbitrary_units and spikes.warnings[0].startswith("ARBITRARY UNITS")
    # and on, with results
    again = convert(tmp_path / target, tmp_path / "again.npz", selection=TARGETS[target])
    assert any("ARBITRARY UNITS" in text for text in again.session.remarks)
    stored = np.load(tmp_path / "again.npz")
    assert stored["arbitrary_units"] and stored["source_arbitrary_units"]
    for key in ("dff", "F" if "F" in stored else "source_dff"):
        (last,) = find_containers(tmp_path / "again.npz", Selection(key=key, orientation="rois-first"))
        assert last.traces().arbitrary_units


def test_arbitrary_units_in_tables(one_photon, tmp_path):
    convert(one_photon, tmp_path / "tables", "csv", reading=ARBITRARY)
    assert json.loads((tmp_path / "tables" / "about.json").read_text())["source_arbitrary_units"] is True
    selection = Selection(orientation="frames-first", raw=True)
    (container,) = find_containers(tmp_path / "tables" / "F.csv", selection)
    assert container.traces(Reading(frame_rate=20.0)).arbitrary_units


def test_results_in_nwb_do_not_say_dff(one_photon, tmp_path, run):
    convert(one_photon, tmp_path / "out.nwb", reading=ARBITRARY, metadata=START)
    (container,) = find_containers(tmp_path / "out.nwb")
    run(container)
    with h5py.File(tmp_path / "out_cascade.nwb", "r") as file:
        ophys = file["processing/ophys"]
        assert "CascadeDfOverF" not in ophys and "DfOverF" not in ophys
        series = ophys["CascadeTraces/plane0"]
        assert series["data"].attrs["unit"] == "arbitrary units" and "No dF/F" in series.attrs["description"]
        column = ophys["CascadeNoiseLevels_plane0/noise_level"]
        assert np.isnan(column[:]).all() and "not known" in column.attrs["description"]
    assert container.restore() and not (tmp_path / "out_cascade.nwb").exists()


def test_results_in_caiman_do_not_say_dff(one_photon, run):
    (container,) = find_containers(one_photon)
    run(container, arbitrary_units=True)
    with h5py.File(one_photon, "r") as file:
        assert "dff: No dF/F: traces in arbitrary units" in file["estimates/cascade"].attrs["description"]


def _nwb_raw(tmp_path):
    session = Session()
    session.series(session.table(), 400.0 + 100 * nwb_dff())
    return session.save(tmp_path / "raw.nwb")


MAKERS = {
    "suite2p": lambda tmp: (make_plane(tmp / "plane0").folder, Selection(), {}),
    "caiman": lambda tmp: (make_file(tmp / "a.hdf5"), Selection(), {}),
    "nwb": lambda tmp: (_nwb_raw(tmp), Selection(), {}),
    "array": lambda tmp: (
        save(tmp, "npy", np.random.default_rng(0).normal(0, 5000.0, (3, 600))),
        Selection(orientation="rois-first"),
        {"frame_rate": RATE},
    ),
    "EXTRACT": lambda tmp: (save_extract(tmp / "a.mat"), Selection(), {"frame_rate": RATE}),
    "CNMF-E": lambda tmp: (save_cnmfe(tmp / "day_cnmfeAnalysis.mat"), Selection(), {"frame_rate": RATE}),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_arbitrary_units_are_followed_in_every_container(tmp_path, run, kind):
    path, selection, options = MAKERS[kind](tmp_path)
    (container,) = find_containers(path, selection)
    report = run(container, arbitrary_units=True, **options)
    assert_arbitrary(report, describe_report(report))
    assert report.without_prediction == {}
    results = container.results()
    levels = noise_levels(results.dff[:], report.frame_rate_hz)
    np.testing.assert_allclose(levels, 2.0, rtol=1e-2)


def test_sparse_and_denoised_traces_are_scaled_and_said_to_be_so(tmp_path, run):
    decay = np.exp(-np.arange(90) / 30.0)
    sparse = np.zeros((3, 900))
    sparse[0, 100:190], sparse[1, 500:590] = 0.02 * decay, 4e5 * decay
    path = save(tmp_path, "npy", sparse)
    (container,) = find_containers(path, Selection(orientation="rois-first"))
    report = run(container, arbitrary_units=True, frame_rate=RATE)
    assert report.without_prediction == {2: "F is zero throughout"}
    assert any("2 of 3 ROIs have no noise to be scaled by" in warning for warning in report.warnings)
    np.testing.assert_allclose(container.results().dff[:2].max(axis=1), 2.0, rtol=0.1)


def test_advice_does_not_run_in_a_circle(tmp_path, capsys):
    """What is neither dF/F nor raw fluorescence is told the one way on, whatever it was taken for."""
    rng = np.random.default_rng(0)
    traces = 3000 * np.cumsum(rng.standard_normal((4, 900)), axis=1)
    traces -= np.quantile(traces, 0.8, axis=1, keepdims=True)
    path = save(tmp_path, "npy", traces)
    for options in ([], ["--raw"]):
        arguments = ["run", str(path), "--orientation", "rois-first", "--frame-rate", "30", "--quiet", *options]
        with pytest.raises(SystemExit, match="1"):
            main(arguments)
        said = capsys.readouterr()
        assert "neither dF/F" in said.out + said.err and "pass --arbitrary-units" in said.out + said.err
        assert "leave out --raw" not in said.out + said.err and "pass --raw" not in said.out + said.err


def test_what_is_named_denoised_is_told_and_nothing_is_expected_of_it(tmp_path, run):
    session = Session()
    table = session.table()
    session.series(table, 400.0 + 100 * nwb_dff(), name="Denoised")
    path = session.save(tmp_path / "a.nwb")
    (container,) = find_containers(path, Selection(series="Denoised"))
    report = run(container)
    assert report.denoised and report.expected is None
    assert any("denoised or smoothed" in warning for warning in report.warnings)
    assert "that of denoised or smoothed traces, which says nothing" in describe_report(report)
    assert container.record().traces.denoised
    assert any("denoised or smoothed" in warning for warning in add_spikes(container).warnings)
    convert(path, tmp_path / "out.npz", selection=Selection(series="Denoised"))
    selection = Selection(key="F", orientation="rois-first", raw=True)
    (target,) = find_containers(tmp_path / "out.npz", selection)
    assert target.traces().denoised
    convert(path, tmp_path / "folder", selection=Selection(series="Denoised"))
    (plane,) = find_containers(tmp_path / "folder")
    assert plane.traces().denoised


# ------------------------------------------------------------------------------------------------------------- rest


def dff_at_rest(n_rois=4, n_frames=1200):
    return 0.06 * np.random.default_rng(2).standard_normal((n_rois, n_frames)).astype(np.float32)


def array_of(tmp_path, dff):
    (container,) = find_containers(save(tmp_path, "npy", dff), Selection(orientation="rois-first"))
    return container


def test_an_offset_is_subtracted_told_and_recorded(tmp_path, run, random_model):
    dff = dff_at_rest()
    container = array_of(tmp_path, dff - 0.3)
    report = run(container, frame_rate=RATE)
    (told,) = [warning for warning in report.warnings if "rest" in warning]
    assert told.startswith("dF/F of 4 of 4 ROIs does not rest at 0, but at -0.3")
    assert told.endswith("this was subtracted (--rest keep leaves it)")
    results = container.results()
    np.testing.assert_allclose(results.dff[:], dff, atol=0.01)
    assert results.record.rois.rest_offsets == pytest.approx(dict.fromkeys(range(4), -0.3), abs=0.01)
    assert told in results.record.warnings
    found = inspect_one(container, model=str(random_model.folder), frame_rate=RATE)
    assert told in found.warnings and found.rest_offsets == report.rest_offsets
    kept = run(container, frame_rate=RATE, rest="keep", existing="overwrite")
    np.testing.assert_array_equal(container.results().dff[:], dff - np.float32(0.3))
    assert kept.rest_offsets == {} and any("this was kept" in warning for warning in kept.warnings)


def test_a_ratio_is_refused_with_the_way_on(tmp_path, run):
    dff = dff_at_rest()
    container = array_of(tmp_path, dff + 1)
    with pytest.raises(Exception, match=r"as F / F0 does, .*: subtract 1, or pass --rest subtract"):
        run(container, frame_rate=RATE)
    run(container, frame_rate=RATE, rest="subtract")
    np.testing.assert_allclose(container.results().dff[:], dff, atol=0.01)


def test_what_rests_at_zero_is_left_alone(tmp_path, run):
    dff = dff_at_rest()
    report = run(array_of(tmp_path, dff), frame_rate=RATE)
    assert report.rest_offsets == {} and not [warning for warning in report.warnings if "rest" in warning]
    np.testing.assert_array_equal(array_of(tmp_path, dff).results().dff[:], dff)


def test_the_dff_of_caiman_and_nwb_is_corrected_too(tmp_path, run):
    path = make_file(tmp_path / "a.hdf5", dff="constant")
    with h5py.File(path, "r+") as file:
        file["estimates/F_dff"][...] = file["estimates/F_dff"][()] - 0.5
    (container,) = find_containers(path)
    report = run(container)
    assert report.traces == "F_dff" and len(report.rest_offsets) == 6
    assert not find_rests(container.results().dff[:], 20.0).offsets.any()
    session = Session()
    session.series(session.table(), nwb_dff(n_frames=1200) - 0.6, name="DfOverF")
    (container,) = find_containers(session.save(tmp_path / "a.nwb"))
    report = run(container)
    assert len(report.rest_offsets) == report.n_rois


# ------------------------------------------------------------------------------------------------------- real files


def test_real_dff_is_left_alone(shared):
    """Published dF/F, and that of CaImAn, rests where it should."""
    places = {
        "arrays/allen-visual-coding-30Hz.mat": (Selection(orientation="rois-first"), 30.0),
        "arrays/zebrafish-OGB1-7.5Hz-a.mat": (Selection(orientation="frames-first"), 7.5),
        "caiman/caiman-1.12.1-cnmf.hdf5": (Selection(), None),
        "caiman/caiman-1.8.5-cnmf.hdf5": (Selection(), None),
        "nwb/fluorescence-and-dff.nwb": (Selection(), None),
    }
    for name, (selection, rate) in places.items():
        for container in find_containers(shared("containers") / name, selection):
            traces = container.traces(Reading(frame_rate=rate, dff="container"))
            rests = find_rests(np.asarray(traces.dff[:]), traces.frame_rate, traces.segments)
            assert not rests.offsets.any() and not rests.problem, name


@pytest.mark.parametrize(
    ("name", "rate", "n_by_peak"), [("temporal_components.npy", 30.0, 9), ("denoised_C.npy", 15.0, 34)]
)
def test_denoised_components_in_arbitrary_units(shared, name, rate, n_by_peak):
    from tests.builders.running import dff_of

    (container,) = find_containers(shared("cases") / "files" / name, Selection(orientation="rois-first"))
    block = dff_of(container.traces(Reading(frame_rate=rate, arbitrary_units=True)))
    assert np.count_nonzero(block.by_peak) == n_by_peak and not any(block.notes)
    assert np.isfinite(block.dff).all() and np.abs(block.dff).max() < 110


def test_nothing_is_expected_of_smoothed_traces(tmp_path):
    """Nobody has said that they are smoothed; their noise does."""
    reports = {}
    for name, width in (("plain", 1), ("smoothed", 3)):
        path = save(tmp_path, "npy", uniform_filter1d(make_dff(6, 1200), width, axis=1), name)
        (container,) = find_containers(path, Selection(orientation="rois-first"))
        reports[name] = inspect_one(container, frame_rate=RATE)
    assert not reports["plain"].denoised and reports["plain"].expected is not None
    assert reports["smoothed"].denoised and reports["smoothed"].expected is None
    text = describe_inspection(reports["smoothed"])
    assert "that of denoised or smoothed traces, which says nothing" in text and "expected at" not in text


def test_what_was_found_to_be_smoothed_stays_known(tmp_path, run):
    """In the record, to `spikes`, in every conversion, and there to whoever reads them."""
    smoothed = 500 * (1 + uniform_filter1d(make_dff(6, 1200), 3, axis=1))
    path = save(tmp_path, "npy", smoothed.astype(np.float32))
    selection = Selection(orientation="rois-first", raw=True)
    (container,) = find_containers(path, selection)
    report = run(container, frame_rate=RATE)
    assert report.denoised and container.record().traces.denoised
    assert sum("smoothed" in warning for warning in report.warnings) == 1
    assert any("denoised or smoothed" in warning for warning in add_spikes(container).warnings)
    for name, metadata in (("a.npz", None), ("a.nwb", START), ("suite2p", None)):
        target = tmp_path / name
        convert(path, target, selection=selection, reading=Reading(frame_rate=RATE), metadata=metadata)
        (converted,) = find_containers(target)
        assert converted.traces().denoised and converted.record().traces.denoised, name
        found = inspect_one(converted)
        assert found.denoised and found.expected is None
        assert sum("smoothed" in warning for warning in found.warnings) == 1, found.warnings
        if name != "a.nwb":  # which holds the results itself
            assert run(converted, existing="overwrite").denoised and converted.record().traces.denoised
