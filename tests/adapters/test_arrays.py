"""Files of arrays: what is read from them, what is written beside them, and that nothing else ever changes."""

import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat
from scipy.sparse import csc_matrix

from cascade_adapters.cli import main
from cascade_adapters.containers.arrays import ArrayFile
from cascade_adapters.containers.base import Reading, Selection
from cascade_adapters.containers.registry import find_containers
from cascade_adapters.containers.suite2p.plane import Suite2pPlane
from cascade_adapters.results import Results
from cascade_adapters.running.batch import process_all
from cascade_adapters.running.finding import find_all
from cascade_adapters.running.options import parse_options
from cascade_adapters.safe_writing.lock import waiting
from cascade_engine import infer
from cascade_engine.errors import CascadeError, InputError
from cascade_engine.file_formats.atomic import sha256
from cascade_engine.signal.dff import delta_f_over_f
from cascade_engine.signal.units import ARBITRARY_NOISE_LEVEL, ARBITRARY_UNITS, in_units_of_noise
from tests.builders.array_files import FORMATS, RATE, make_dff, path_of, save, save_mat73
from tests.builders.killing import forked, fresh, kills, needs_fork
from tests.builders.running import inspect_one, made_up_record, made_up_results, run_one
from tests.builders.suite2p_folders import hashes, make_plane

RATE_GIVEN = Reading(frame_rate=RATE)
ROIS_FIRST, FRAMES_FIRST = Selection(orientation="rois-first"), Selection(orientation="frames-first")


@pytest.fixture
def run(random_model):
    """Process a file with the random model."""

    def run(path, selection=ROIS_FIRST, **options):
        (container,) = find_containers(path, selection)
        return run_one(container, **{"model": str(random_model.folder), "frame_rate": RATE, **options})

    return run


def read(path: Path, selection: Selection = ROIS_FIRST, reading: Reading = RATE_GIVEN):
    return ArrayFile(path, selection).read(reading)


def refused(path: Path, match: str, selection: Selection = ROIS_FIRST, reading: Reading = RATE_GIVEN) -> None:
    """Reading must fail with one line that names the file."""
    with pytest.raises(InputError, match=match) as caught:
        ArrayFile(path, selection).read(reading)
    assert path.name in str(caught.value) and "\n" not in str(caught.value)


# ------------------------------------------------------------------------------------- every format, there and back


@pytest.mark.parametrize("orientation", ["rois-first", "frames-first"])
@pytest.mark.parametrize("form", FORMATS)
def test_there_and_back(tmp_path, run, random_model, form, orientation):
    dff = make_dff()
    path = save(tmp_path, form, dff if orientation == "rois-first" else dff.T)
    before = hashes(tmp_path)
    report = run(path, Selection(orientation=orientation))
    assert (report.status, report.n_rois, report.n_frames) == ("done", 3, 160)
    assert {name: digest for name, digest in hashes(tmp_path).items() if name in before} == before
    assert set(hashes(tmp_path)) == set(before) | set(report.written)

    container = ArrayFile(path)
    found = container.results()
    expected = infer(dff, RATE, random_model)
    np.testing.assert_array_equal(found.spike_prob, expected.spike_prob)
    np.testing.assert_array_equal(found.dff, dff)
    np.testing.assert_array_equal(found.noise_levels, expected.noise_levels.astype(np.float32))
    assert {array.dtype for array in (found.spike_prob, found.dff, found.noise_levels)} == {np.dtype(np.float32)}
    assert found.record.container["orientation"] == orientation and container.path == path
    assert found.record.container["variable"] == ("dff" if form[:2] in ("np", "ma") and form != "npy" else "")
    assert not container.is_stale()
    assert inspect_one(ArrayFile(path, Selection(orientation=orientation)), frame_rate=RATE).earlier_results.endswith(
        "date"
    )

    assert len(container.restore()) == len(report.written)
    assert hashes(tmp_path) == before and container.restore() == []


def test_names_and_shapes_of_results(tmp_path, run):
    run(save(tmp_path, "npy", make_dff().T), FRAMES_FIRST)
    assert set(hashes(tmp_path)) == {
        "traces.npy", "traces_cascade_spike_prob.npy", "traces_cascade_dff.npy", "traces_cascade_noise_levels.npy",
        "traces_cascade.npy.json",
    }  # fmt: skip
    assert np.load(tmp_path / "traces_cascade_spike_prob.npy").shape == (160, 3)
    assert np.load(tmp_path / "traces_cascade_noise_levels.npy").shape == (3,)
    record = json.loads((tmp_path / "traces_cascade.npy.json").read_text())
    assert record["recording"]["frame_rate_hz"] == RATE and record["traces"]["source"].startswith("traces.npy")


@pytest.mark.parametrize("form", ["mat5", "mat73"])
def test_mat_results_in_matlabs_eyes(tmp_path, run, form):
    """pymatreader knows nothing of us."""
    read_mat = pytest.importorskip("pymatreader").read_mat
    dff = make_dff()
    path = save(tmp_path, form, dff.T)
    np.testing.assert_array_equal(read_mat(path)["dff"], dff.T)
    run(path, FRAMES_FIRST)
    found = read_mat(tmp_path / "traces_cascade.mat")
    assert found["spike_prob"].shape == (160, 3) and found["frame_rate"] == RATE
    np.testing.assert_array_equal(found["dff"], dff.T)
    assert json.loads(found["record"])["container"]["orientation"] == "frames-first"
    is_hdf5 = (tmp_path / "traces_cascade.mat").read_bytes()[512:516] == b"\x89HDF"
    assert is_hdf5 == (form == "mat73")


def test_results_too_large_for_version_5_go_to_version_73(tmp_path, run, monkeypatch):
    path = save(tmp_path, "mat5", make_dff())
    monkeypatch.setattr("cascade_adapters.containers.arrays.matlab_files._LARGEST_V5_BYTES", 1000)
    run(path)
    assert (tmp_path / "traces_cascade.mat").read_bytes()[512:516] == b"\x89HDF"
    np.testing.assert_array_equal(ArrayFile(path).results().dff, make_dff())


def test_npz_results_need_no_pickle(tmp_path, run):
    run(save(tmp_path, "npz", make_dff()))
    with np.load(tmp_path / "traces_cascade.npz", allow_pickle=False) as found:
        assert set(found) == {"spike_prob", "dff", "noise_levels", "frame_rate", "record"}
        assert json.loads(str(found["record"]))["container"]["variable"] == "dff"


@pytest.mark.parametrize("orientation", ["rois-first", "frames-first"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_is_read_by_rows_and_hashed_meanwhile(tmp_path, orientation, order):
    """In whatever order the values lie in the file."""
    matrix = make_dff() if orientation == "rois-first" else make_dff().T
    path = save(tmp_path, "npy", np.array(matrix, order=order))
    traces = read(path, Selection(orientation=orientation))
    assert not isinstance(traces.dff, np.ndarray)
    for rows in (slice(0, 2), slice(1, 3), slice(0, 3), 2, np.array([2, 0])):
        np.testing.assert_array_equal(traces.dff[rows], make_dff()[rows])
    assert traces.hashes() == {path.name: sha256(path)} == ArrayFile(path).fingerprint()


@pytest.mark.parametrize("orientation", ["rois-first", "frames-first"])
@pytest.mark.parametrize("form", FORMATS)
def test_large_files_go_through_in_blocks(tmp_path, run, monkeypatch, form, orientation):
    """What is written and read block by block is what is written and read at once."""
    path = save(tmp_path, form, make_dff() if orientation == "rois-first" else make_dff().T)
    report = run(path, Selection(orientation=orientation))
    whole = {name: np.asarray(values) for name, values in ArrayFile(path).results().arrays.items()}
    files = {name: (tmp_path / name).read_bytes() for name in report.written}
    monkeypatch.setattr("cascade_adapters.results.rows.BLOCK_VALUES", 200)
    monkeypatch.setattr("cascade_adapters.containers.transposed.BLOCK_BYTES", 100)
    monkeypatch.setattr("cascade_adapters.containers.arrays.matlab_files._LARGE_BYTES", 100)
    monkeypatch.setattr("cascade_engine.file_formats.matlab_v73._LARGE_BYTES", 100)
    report = run(path, Selection(orientation=orientation), existing="overwrite")
    blocks = ArrayFile(path).results()
    for name, values in whole.items():
        np.testing.assert_array_equal(blocks.arrays[name], values)
    assert set(report.written) == set(files)
    if form not in ("mat5", "mat73", "npz"):  # these hold the time of day
        for name in report.written:
            assert name.endswith(".json") or (tmp_path / name).read_bytes() == files[name]
    assert not any(path.name.startswith(".") for path in tmp_path.iterdir())


@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<f2", ">i2", "<u8", "<i8"])
def test_any_type_of_number(tmp_path, dtype):
    matrix = (1000 * (1 + make_dff())).astype(dtype) if dtype[1] in "iu" else make_dff().astype(dtype)
    traces = read(save(tmp_path, "npy", matrix), Selection(orientation="rois-first", raw=dtype[1] in "iu"))
    found = traces.dff if traces.fluorescence is None else traces.fluorescence
    np.testing.assert_array_equal(found, matrix)


@pytest.mark.parametrize("shape", [(160,), (1, 160), (160, 1)])
@pytest.mark.parametrize("form", ["npy", "npz", "mat5", "mat73", "csv"])
def test_one_trace_has_the_shape_that_it_had(tmp_path, run, form, shape):
    path = save(tmp_path, form, make_dff()[0].reshape(shape))
    (container,) = find_containers(path)
    traces = container.read(RATE_GIVEN)
    np.testing.assert_array_equal(np.float32(traces.dff), make_dff()[:1])
    assert "one ROI" in traces.source
    run(path, Selection())
    np.testing.assert_array_equal(container.results().dff, make_dff()[:1])
    if form == "npy":
        assert np.load(tmp_path / "traces_cascade_dff.npy").shape == shape
    if form == "mat5":
        assert loadmat(tmp_path / "traces_cascade.mat")["dff"].shape == ((1, 160) if len(shape) == 1 else shape)


# ----------------------------------------------------------------------------------------------- which, and which way


@pytest.mark.parametrize("form", ["npz", "mat5", "mat73"])
def test_the_only_matrix_is_taken_and_of_several_one_must_be_named(tmp_path, run, form):
    dff = make_dff()
    path = save(tmp_path, form, dff, days=np.arange(7.0), rate=12.0)
    np.testing.assert_array_equal(read(path).dff, dff)
    path = save(tmp_path, form, dff, stem="two", axon=dff[:2])
    refused(path, r"holds (dff \(3 x 160\)|axon \(2 x 160\)), (dff|axon) .*: pass --key")
    refused(path, r"no variable 'soma'; it holds .*dff \(3 x 160\)", Selection(key="soma"))
    for key, n_rois in (("dff", 3), ("axon", 2)):
        report = run(path, Selection(key=key, orientation="rois-first"))
        assert report.n_rois == n_rois and f"two_{key}_cascade" in report.written[0]
    # each has results of its own, and restoring needs no key
    assert ArrayFile(path, Selection(key="axon")).results().dff.shape == (2, 160)
    main(["restore", str(path)])
    assert set(hashes(tmp_path)) == {path.name, path_of(tmp_path, form).name}


def test_an_only_trace_among_numbers(tmp_path):
    path = tmp_path / "one.npz"
    np.savez(path, trace=make_dff()[0], time=np.arange(160.0), fs=RATE)
    traces = read(path, Selection(), Reading())
    assert traces.shape == (1, 160) and traces.frame_rate_source == "fs in one.npz"


def test_the_key_of_files_without_names_is_ignored(tmp_path):
    assert read(save(tmp_path, "npy", make_dff()), Selection(key="dff", orientation="rois-first")).shape == (3, 160)


def test_the_orientation_is_asked_for(tmp_path):
    """Also where there are many more of one than of the other: recordings of 260 frames of 1005 neurons exist."""
    for form in FORMATS:
        refused(save(tmp_path, form, make_dff()), r"3 ROIs of 160 frames \(pass --orientation rois-first\) or 160 ROIs "
                r"of 3 frames \(pass --orientation frames-first\)$", Selection())  # fmt: skip


def test_everything_that_is_missing_is_asked_for_at_once(tmp_path):
    refused(save(tmp_path, "npy", make_dff()), "--orientation frames-first.*; it has no frame rate: pass --frame-rate",
            Selection(), Reading())  # fmt: skip


@pytest.mark.parametrize("name", ["time", "t", "Frame_Times", "timestamps"])
@pytest.mark.parametrize("form", ["npz", "mat5", "mat73"])
def test_times_tell_the_orientation(tmp_path, form, name):
    dff, times = make_dff(), {name: np.arange(160) / RATE}
    for matrix, expected in ((dff, "rois-first"), (dff.T, "frames-first")):
        path = save(tmp_path, form, matrix, **times)
        traces = read(path, Selection())
        np.testing.assert_array_equal(traces.dff, dff)
        assert expected in traces.source and f"{name} has 160 values" in traces.source
    # what the user says is followed, with a remark
    traces = read(path, ROIS_FIRST)
    assert traces.shape == (160, 3)
    assert any("was followed, although" in remark for remark in traces.remarks)
    # times of as many frames as there are ROIs say nothing
    refused(save(tmp_path, form, make_dff(160), **times), "pass --orientation", Selection())


def test_a_wrong_orientation_is_doubted(tmp_path):
    dff = np.cumsum(make_dff(40, 160), axis=1) * 0.01
    path = save(tmp_path, "npy", dff)
    assert read(path, ROIS_FIRST).remarks == []
    (remark,) = read(path, FRAMES_FIRST).remarks
    assert "neighbouring ROIs are more alike" in remark and "check the orientation" in remark


@pytest.mark.parametrize("name", ["fs", "frame_rate", "frameRate", "FrameRate_Hz", "fr", "fps", "sampling_rate"])
@pytest.mark.parametrize("form", ["npz", "mat5", "mat73"])
def test_a_frame_rate_in_the_file(tmp_path, form, name):
    path = save(tmp_path, form, make_dff(), **{name: 15.5})
    traces = read(path, reading=Reading())
    assert (traces.frame_rate, traces.frame_rate_source) == (15.5, f"{name} in {path.name}")
    traces = read(path)
    assert (traces.frame_rate, traces.frame_rate_source) == (RATE, "given")


@pytest.mark.parametrize("form", ["npz", "mat5", "mat73"])
def test_frame_rates_that_cannot_be_used(tmp_path, form):
    refused(save(tmp_path, form, make_dff(), fs=0.0), "it has fs = 0: pass --frame-rate", reading=Reading())
    refused(save(tmp_path, form, make_dff(), fs=np.nan), "fs = nan: pass --frame-rate", reading=Reading())
    path = save(tmp_path, form, make_dff(), fs=30.0, frame_rate=15.0)
    refused(path, "(fs = 30|frame_rate = 15), (fs|frame_rate) = .*: pass --frame-rate", reading=Reading())
    path = save(tmp_path, form, make_dff(), time=np.arange(160) / 12.5)
    refused(path, "no frame rate.*the steps of time mean 12.5 Hz if they are in s", reading=Reading())
    with pytest.raises(InputError, match="frame_rate must be a positive number"):
        Reading(frame_rate=-1.0)


# ---------------------------------------------------------------------------------------------------- dF/F or raw F


def test_raw_fluorescence_becomes_dff(tmp_path, run):
    raw = 500.0 * (1.0 + make_dff())
    path = save(tmp_path, "npy", raw)
    refused(path, "as of raw fluorescence.*pass --raw")
    for selection, options in ((Selection(orientation="rois-first", raw=True), {}), (ROIS_FIRST, {"dff": "compute"})):
        run(path, selection, existing="overwrite", **options)
        np.testing.assert_array_equal(ArrayFile(path).results().dff, delta_f_over_f(raw, RATE).dff)


def test_dff_is_not_taken_for_raw_fluorescence(tmp_path):
    raw = Selection(orientation="rois-first", raw=True)
    path = save(tmp_path, "npy", make_dff())
    refused(path, r"below zero, as of dF/F; leave out --raw", raw)
    refused(path, r"--raw and --dff container contradict", raw, Reading(frame_rate=RATE, dff="container"))
    # fluorescence that somebody has scaled to its mean is raw all the same
    scaled = read(save(tmp_path, "npy", 1.0 + 0.2 * make_dff()), raw)
    assert scaled.dff is None and scaled.fluorescence.shape == (3, 160)


def test_percent_and_z_scores_are_refused(tmp_path):
    percent = 100 * make_dff()
    path = save(tmp_path, "npy", percent)
    refused(path, r"as of raw fluorescence: pass dF/F as a fraction \(0.5 is 50 %\); pass --raw")
    refused(path, "below zero, as of dF/F", Selection(orientation="rois-first", raw=True))
    path = save(tmp_path, "npy", percent - np.median(percent, axis=1, keepdims=True))
    refused(path, "as if dF/F were in percent: divide it by 100")
    scores = make_dff() - make_dff().mean(axis=1, keepdims=True)
    path = save(tmp_path, "npy", scores / scores.std(axis=1, keepdims=True))
    refused(path, "mean 0 and the standard deviation 1, as z-scores")


@pytest.mark.parametrize("form", ["npy", "csv"])
@pytest.mark.parametrize("selection", [ROIS_FIRST, Selection(orientation="rois-first", raw=True)])
def test_arbitrary_units_are_told(tmp_path, run, form, selection):
    scores = (make_dff() - make_dff().mean(axis=1, keepdims=True)) / make_dff().std(axis=1, keepdims=True)
    path = save(tmp_path, form, scores)
    refused(path, "or pass --arbitrary-units if they are neither", selection)
    report = run(path, selection, arbitrary_units=True)
    assert report.arbitrary_units and report.traces.endswith(", in arbitrary units")
    assert any(ARBITRARY_UNITS in warning for warning in report.warnings)
    results = ArrayFile(path, selection).results()
    assert results.record.traces.arbitrary_units and results.record.warnings == report.warnings
    np.testing.assert_allclose(results.dff, in_units_of_noise(scores, RATE), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(results.noise_levels, ARBITRARY_NOISE_LEVEL, rtol=1e-4)
    assert not ArrayFile(path, selection).is_stale()


def test_accepting_arbitrary_units_changes_nothing_where_units_are_known(tmp_path):
    traces = read(save(tmp_path, "npy", make_dff()), reading=Reading(frame_rate=RATE, arbitrary_units=True))
    assert not traces.arbitrary_units and traces.remarks == []
    np.testing.assert_array_equal(traces.dff[:], make_dff())


def test_missing_and_infinite_values(tmp_path, run):
    dff = np.array(make_dff(), dtype=np.float64)
    dff[0] = np.nan
    dff[1, 80] = np.inf
    report = run(save(tmp_path, "npy", dff))
    assert set(report.without_prediction) == {0, 1}
    assert np.isfinite(ArrayFile(tmp_path / "traces.npy").results().spike_prob[2]).any()
    for worst in (np.nan, 1e300, -1e300):
        run(save(tmp_path, "npy", np.full((2, 160), worst)), existing="overwrite")
        assert np.isnan(ArrayFile(tmp_path / "traces.npy").results().spike_prob).all()


# ------------------------------------------------------------------------------------------------- what is no traces


class Malicious:
    """Creates a file when it is unpickled."""

    def __init__(self, target: Path):
        self._target = target

    def __reduce__(self):
        return Path.touch, (self._target,)


@pytest.mark.parametrize("form", ["npy", "npz"])
def test_nothing_is_unpickled(tmp_path, form):
    path, target = path_of(tmp_path, form), tmp_path / "executed"
    array = np.array([Malicious(target)], dtype=object)
    np.save(path, array, allow_pickle=True) if form == "npy" else np.savez(path, dff=array)
    refused(path, "Python objects")
    path.write_bytes(pickle.dumps(Malicious(target)))
    refused(path, "damaged")
    assert not target.exists()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 160), complex), "complex"),
        (np.zeros((3, 160), bool), "logical"),
        (np.array([["a", "b"]]), "text"),
        (np.zeros((2, 160), [("a", "f4"), ("b", "f4")]), "records"),
        (np.zeros((2, 160), "datetime64[s]"), "times"),
        (np.zeros((2, 3, 160)), "2 x 3 x 160"),
        (np.zeros((0, 160)), "empty"),
        (np.zeros((160, 0)), "empty"),
        (np.float64(3.0), "a single number"),
        (np.zeros((1, 1)), "1 x 1"),
    ],
)
@pytest.mark.parametrize("form", ["npy", "npz"])
def test_arrays_that_are_no_traces(tmp_path, form, array, message):
    path = path_of(tmp_path, form)
    np.save(path, array) if form == "npy" else np.savez(path, dff=array)
    refused(path, rf"holds no traces \(numbers, ROIs x frames or frames x ROIs\), only .*{message}")


@pytest.mark.parametrize("form", ["mat5", "mat73"])
def test_variables_of_matlab_that_are_no_traces(tmp_path, form):
    cell = [np.ones((2, 9)), "text"] if form == "mat73" else np.array([np.ones((2, 9)), "text"], dtype=object)
    others = {
        "cells": cell,
        "note": "as it was",
        "mask": np.ones((4, 5), bool),
        "phases": np.ones((4, 5), complex),
        "movie": np.ones((4, 5, 6)),
        "nothing": np.zeros((0, 4)),
        "number": 3.0,
    }
    path = save(tmp_path, form, make_dff(), **others)
    np.testing.assert_array_equal(read(path).dff, make_dff())
    for key in others:
        refused(path, f"no traces.*only {key}", Selection(key=key, orientation="rois-first"))


def test_sparse_matrices_are_refused(tmp_path):
    savemat(tmp_path / "traces.mat", {"dff": csc_matrix(np.eye(20))})
    refused(tmp_path / "traces.mat", r"dff \(20 x 20, sparse\)")
    import h5py

    save_mat73(tmp_path / "traces.mat", {"days": 1.0})
    with h5py.File(tmp_path / "traces.mat", "r+") as file:
        file.create_group("dff").attrs["MATLAB_sparse"] = np.uint64(20)
    refused(tmp_path / "traces.mat", r"dff \(sparse\)")


@pytest.mark.parametrize("form", ["mat5", "mat73"])
def test_structs_are_looked_into(tmp_path, form):
    content = {"session": {"info": {"fs": 20.0, "name": "m1"}, "soma": {"dff": make_dff()}}}
    path = path_of(tmp_path, form)
    savemat(path, content) if form == "mat5" else save_mat73(path, content)
    traces = read(path, reading=Reading())
    np.testing.assert_array_equal(traces.dff, make_dff())
    assert traces.frame_rate_source == "session.info.fs in traces.mat"
    assert traces.source.startswith("session.soma.dff, rois-first")
    assert read(path, Selection(key="session.soma.dff", orientation="rois-first")).shape == (3, 160)


def test_ground_truth_and_settings_are_named_as_such(tmp_path):
    savemat(tmp_path / "CAttached_1.mat", {"CAttached": {"fluo_mean": make_dff()}})
    refused(tmp_path / "CAttached_1.mat", "ground truth.*for training")
    plane = make_plane(tmp_path / "plane0")
    for name in ("ops", "stat", "iscell", "Fneu", "spks"):
        path = plane.folder / f"{name}.npy"
        with pytest.raises(InputError, match=rf"{name}.npy looks like a part of a suite2p folder: pass the folder"):
            find_containers(path, ROIS_FIRST)


@pytest.mark.parametrize("form", ["npy", "npz", "mat5", "csv"])
@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 700, b"PK\x03\x04" + b"0" * 50, b"\x89HDF\r\n\x1a\n", bytes(range(256))]
)
def test_files_of_something_else(tmp_path, form, content):
    path = path_of(tmp_path, form)
    path.write_bytes(content)
    refused(path, "cannot be read|is no text|holds no numbers|is no number")


def test_an_archive_with_another_ending(tmp_path):
    with (tmp_path / "traces.npy").open("wb") as file:
        np.savez(file, dff=make_dff())
    refused(tmp_path / "traces.npy", "it is an archive: rename it to .npz")
    shutil.copy(save(tmp_path, "npy", make_dff(), stem="other"), tmp_path / "traces.npz")
    refused(tmp_path / "traces.npz", "no .npz file")


@pytest.mark.parametrize("form", ["npy", "npz", "mat5", "mat73", "csv"])
def test_damaged_files_fail_in_one_line_or_not_at_all(tmp_path, form):
    path = save(tmp_path, form, make_dff(2, 80), fs=RATE, info={"fs": RATE, "name": "m1", "soma": {"area": 3.0}})
    content, rng = path.read_bytes(), np.random.default_rng(0)
    for case in range(60):
        damaged = bytearray(content[: rng.integers(len(content))] if case % 3 == 0 else content)
        for place in rng.integers(max(1, min(len(damaged), 2000 if case % 2 else 10**9)), size=3):
            if case % 3 and damaged:
                damaged[place % len(damaged)] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            read(path)
        except CascadeError as error:
            assert path.name in str(error) and "\n" not in str(error)
        assert path.read_bytes() == damaged


# ----------------------------------------------------------------------------------------------------- text in the wild


def lines_of(matrix: np.ndarray, delimiter: str = ",", comma: bool = False) -> list[str]:
    lines = [delimiter.join(f"{value:.9g}" for value in row) for row in matrix]
    return [line.replace(".", ",") for line in lines] if comma else lines


def as_text(
    folder: Path, lines: list[str], encoding: str = "utf-8", ending: str = "\n", name: str = "traces.csv"
) -> Path:
    path = folder / name
    path.write_bytes(ending.join([*lines, ""]).encode(encoding))
    return path


def with_index(lines: list[str], header: str, labels: list) -> list[str]:
    delimiter = ";" if ";" in header else ","
    return [header, *(f"{label}{delimiter}{line}" for label, line in zip(labels, lines, strict=True))]


DFF = make_dff()
TIMES = [f"{frame / RATE:.5f}" for frame in range(160)]
PLAIN, COUNTS = lines_of(DFF.T), ",".join(map(str, range(160)))

#: What the file looks like, the orientation that has to be given, and what is remarked.
TEXTS = {
    "plain": (PLAIN, "frames-first", None),
    "one ROI per line": (lines_of(DFF), "rois-first", None),
    "blank lines": (["", *PLAIN[:5], "", "  ", *PLAIN[5:], ""], "frames-first", None),
    "comments": (["# made by hand", "% twice", *PLAIN], "frames-first", None),
    "names of ROIs": (["ROI1,ROI2,ROI3", *PLAIN], None, None),
    "other names": (['"left, upper",right,axon', *PLAIN], "frames-first", None),
    "two rows of names": (["C00,C01,C02", "accepted,undecided,accepted", *PLAIN], None, None),
    "semicolons": (lines_of(DFF.T, ";"), "frames-first", None),
    "decimal commas": (lines_of(DFF.T, ";", comma=True), "frames-first", None),
    "tabs and decimal commas": (lines_of(DFF.T, "\t", comma=True), "frames-first", None),
    "blanks after commas": (lines_of(DFF.T, ", "), "frames-first", None),
    "columns of blanks": (lines_of(DFF.T, "   "), "frames-first", None),
    "delimiter at the end": ([f"{line}," for line in PLAIN], "frames-first", None),
    "pandas": (with_index(PLAIN, ",0,1,2", range(160)), "frames-first", "counts the rows"),
    "pandas, ROIs first": (with_index(lines_of(DFF), f",{COUNTS}", range(3)), "rois-first", "counts"),
    "pandas without index": (["0,1,2", *PLAIN], "frames-first", "counts the columns"),
    "names in front": (with_index(lines_of(DFF), ",".join(["id", *TIMES]), ["cell 1", "cell 2", "c 3"]), None, "times"),
    "times": (with_index(PLAIN, "time (s),a,b,c", TIMES), None, "holds times"),
    "times without a name": (with_index(PLAIN, "", TIMES)[1:], None, "holds times"),
    "Inscopix": ([" , C0, C1, C2", *with_index(PLAIN, "Time(s), accepted, , rejected", TIMES)], None, "times"),
    "frame numbers": (with_index(PLAIN, "Frame,a,b,c", range(1, 161)), "frames-first", "counts the rows"),
    "ImageJ": (with_index(PLAIN, " ,Mean1,Mean2,Mean3", range(1, 161)), None, "counts the rows"),
    "times above": ([",".join(TIMES), *lines_of(DFF)], None, "first row holds times"),
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_text_in_the_wild(tmp_path, run, name):
    lines, orientation, remark = TEXTS[name]
    path = as_text(tmp_path, lines)
    if orientation is not None:
        refused(path, "pass --orientation", Selection())
    traces = read(path, Selection(orientation=orientation))
    np.testing.assert_array_equal(np.float32(traces.dff), DFF)
    assert (remark is None and traces.remarks == []) or any(remark in each for each in traces.remarks)
    # results have the same margins, so that they stay aligned with the input in a spreadsheet
    run(path, Selection(orientation=orientation))
    np.testing.assert_array_equal(ArrayFile(path).results().dff, DFF)
    written = [line for line in (tmp_path / "traces_cascade_dff.csv").read_text().splitlines()]
    kept = [line for line in lines if line.strip() and line[0] not in "#%"]
    assert len(written) == len(kept)
    if remark is None:
        again = read(shutil.copy(tmp_path / "traces_cascade_dff.csv", tmp_path / "copy.csv") and tmp_path / "copy.csv",
                     Selection(orientation=orientation))  # fmt: skip
        np.testing.assert_array_equal(np.float32(again.dff), DFF)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_encodings(tmp_path, run, encoding, ending):
    path = as_text(tmp_path, ["Zelle µ,b,c", *PLAIN], encoding, ending)
    np.testing.assert_array_equal(np.float32(read(path, FRAMES_FIRST).dff), DFF)
    run(path, FRAMES_FIRST)
    assert (tmp_path / "traces_cascade_dff.csv").read_bytes().decode(encoding).startswith("Zelle µ,b,c")
    np.testing.assert_array_equal(ArrayFile(path).results().dff, DFF)


def test_margins_of_text_are_kept(tmp_path, run):
    path = as_text(tmp_path, with_index(lines_of(DFF.T, ";", comma=True), "time (s);left, upper;b;c", TIMES))
    run(path, Selection())
    lines = (tmp_path / "traces_cascade_spike_prob.csv").read_text().splitlines()
    assert lines[0] == "time (s);left, upper;b;c"
    assert lines[1] == "0.00000;NaN;NaN;NaN" and lines[80].startswith(f"{TIMES[79]};") and "," in lines[80]
    assert len((tmp_path / "traces_cascade_noise_levels.csv").read_text().splitlines()) == 3


def test_missing_values_in_text(tmp_path):
    lines = PLAIN.copy()
    for line, text in ((4, ",{1},{2}"), (5, "{0},NaN,{2}"), (6, "{0},{1},N/A"), (7, "NA,{1},{2}"), (8, ",,")):
        lines[line] = text.format(*lines[line].split(","))
    found = np.isnan(read(as_text(tmp_path, lines), FRAMES_FIRST).dff)
    assert found[:, 4:9].T.tolist() == [
        [True, False, False], [False, True, False], [False, False, True], [True, False, False], [True, True, True],
    ]  # fmt: skip
    assert np.count_nonzero(found) == 7


def test_a_line_of_tabs_is_a_frame_of_missing_values(tmp_path):
    lines = lines_of(DFF.T, "\t")
    lines[80] = "\t\t"
    found = read(as_text(tmp_path, lines, name="traces.tsv"), FRAMES_FIRST).dff
    assert found.shape == (3, 160) and np.isnan(found[:, 80]).all() and np.isfinite(found[:, 81]).all()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([*PLAIN[:9], "0.1,0.2", *PLAIN[9:]], "line 10: 2 values, but 3 in the first row"),
        ([*PLAIN[:9], "0.1,abc,0.3", *PLAIN[9:]], "line 10: 'abc' is no number"),
        (["0.1,abc,0.3", *PLAIN], "line 1: 'abc' is no number"),
        (["hello", "world"], "holds no numbers"),
        (["0.1", "0.2", "", "0.3"], "line 3 is blank: write NaN where a value is missing"),
        (['"' + "x" * 200_000 + '",1'], "line 1: field larger"),
    ],
)
def test_text_that_is_no_table(tmp_path, lines, message):
    refused(as_text(tmp_path, lines), message, FRAMES_FIRST)


def test_a_few_numbers_that_count_are_data_all_the_same(tmp_path):
    """Photon counts may rise evenly; only what is written unlike its neighbours, or goes on too long, is left out."""
    lines = ["1,2,3", "4,5,7", "2,2,1"] * 60
    traces = read(as_text(tmp_path, lines), Selection(orientation="frames-first", raw=True))
    assert traces.shape == (3, 180) and traces.remarks == []


# ------------------------------------------------------------------------------------------- what is taken, and whose


def test_folders_are_not_searched(tmp_path):
    save(tmp_path, "npy", make_dff())
    with pytest.raises(InputError, match=r"holds nothing to run on; looked for suite2p .*array \(.npy, .npz"):
        find_containers(tmp_path)
    assert ArrayFile.find(tmp_path) == [] and ArrayFile.find(tmp_path / "note.md") == []


def test_suite2p_has_its_own(tmp_path):
    plane = make_plane(tmp_path / "plane0")
    (container,) = find_containers(plane.folder / "F.npy")
    assert isinstance(container, Suite2pPlane)
    containers, failures = find_all([plane.folder, plane.folder / "F.npy"])
    assert len(containers) == 1 and not failures
    assert [type(found) for found in find_containers(plane.folder)] == [Suite2pPlane]


def test_results_stand_for_what_they_were_made_from(tmp_path, run):
    """So that the same pattern of names can be passed again, for more runs and for restoring."""
    for form in ("npy", "csv", "mat5", "npz"):
        folder = tmp_path / form
        folder.mkdir()
        path = save(folder, form, make_dff())
        before = hashes(folder)
        report = run(path)
        everything = [file for file in folder.iterdir() if file.suffix == path.suffix]
        containers, failures = find_all(everything, ROIS_FIRST)
        assert [container.path for container in containers] == [path] and not failures
        for name in report.written:
            if not name.endswith(".json"):
                refused(folder / name, r"was written by cascade: pass what it was made from, traces\.")
        main(["restore", *map(str, everything)])
        assert hashes(folder) == before


def test_results_of_a_source_that_is_gone(tmp_path, run):
    path = save(tmp_path, "npy", make_dff())
    run(path)
    path.unlink()
    with pytest.raises(InputError, match=r"traces_cascade_dff.npy was written by cascade"):
        run(tmp_path / "traces_cascade_dff.npy")


def test_files_of_others_are_never_touched(tmp_path, run):
    path = save(tmp_path, "npy", make_dff())
    for name in ("traces_cascade_dff.npy", "traces_cascade.npy.json"):
        (tmp_path / name).write_bytes(b"[1]")
        before = hashes(tmp_path)
        with pytest.raises(InputError, match=rf"{name} is (where results would go, but|no record)"):
            run(path)
        if name.endswith(".npy"):
            assert ArrayFile(path).restore() == []
        else:
            with pytest.raises(InputError, match=r"no record of results from traces.npy: rename it"):
                ArrayFile(path).restore()
        assert hashes(tmp_path) == before
        (tmp_path / name).unlink()


def test_results_changed_since_are_left(tmp_path, run):
    path = save(tmp_path, "npy", make_dff())
    before = hashes(tmp_path)
    run(path)
    np.save(tmp_path / "traces_cascade_dff.npy", np.ones(3))
    changed = hashes(tmp_path)
    with pytest.raises(InputError, match=r"traces_cascade_dff.npy .*was changed since cascade wrote it"):
        run(path, existing="overwrite")
    with pytest.raises(InputError, match=r"cannot be read .*: run again with --existing overwrite"):
        ArrayFile(path).results()
    assert hashes(tmp_path) == changed
    assert any("left traces_cascade_dff.npy, which was changed since" in done for done in ArrayFile(path).restore())
    assert hashes(tmp_path) == before | {"traces_cascade_dff.npy": changed["traces_cascade_dff.npy"]}


@pytest.mark.parametrize("names", [{"../victim.npy": "0"}, ["a"], None, {"victim.npy": 3}])
def test_a_record_cannot_lead_out_of_the_folder(tmp_path, run, names):
    path = save(tmp_path, "npy", make_dff())
    run(path)
    record = tmp_path / "traces_cascade.npy.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"files": names}))
    before = hashes(tmp_path)
    for action in (ArrayFile(path).restore, ArrayFile(path).results):
        with pytest.raises(InputError, match="no record of results"):
            action()
    assert hashes(tmp_path) == before


def test_results_that_are_there(tmp_path, run):
    path = save(tmp_path, "npz", make_dff())
    run(path)
    with pytest.raises(InputError, match="has results already: pass --existing overwrite or skip"):
        run(path)
    assert run(path, existing="skip").status == "skipped"
    before = hashes(tmp_path)
    assert run(path, existing="overwrite", threshold=False).status == "done"
    assert hashes(tmp_path) != before
    save(tmp_path, "npz", 2 * make_dff())
    assert ArrayFile(path).is_stale()
    with pytest.raises(InputError, match="leave out --replace-spks"):
        run(path, existing="overwrite", replace_spikes=True)


def test_inputs_of_one_name_do_not_share_results(tmp_path, run):
    paths = [save(tmp_path, form, make_dff()) for form in FORMATS if form != "mat73"]
    alone = hashes(tmp_path)
    for path in paths:
        run(path)
    for path in paths:
        assert not ArrayFile(path).is_stale()
        ArrayFile(path).restore()
    assert hashes(tmp_path) == alone


def test_names_that_begin_alike(tmp_path, run):
    first, second = (save(tmp_path, "npy", make_dff(), stem=stem) for stem in ("traces", "traces_2"))
    run(second)
    before = hashes(tmp_path)
    run(first)
    ArrayFile(first).restore()
    assert hashes(tmp_path) == before


# ---------------------------------------------------------------------------------------------------------- safety


def results_of(path: Path, value: float) -> Results:
    n_rois, n_frames = 3, 160
    spike_prob = np.full((n_rois, n_frames), value, np.float32)
    record = made_up_record(n_rois, n_frames, RATE, value=value)
    return made_up_results(spike_prob, noise_levels=np.full(n_rois, value), record=record)


def states_of(root: Path, form: str) -> dict[str, Path]:
    """Folders before any run, after a first one, and after a second."""
    states = {name: root / name for name in ("untouched", "first", "second")}
    states["untouched"].mkdir()
    path = save(states["untouched"], form, make_dff())
    for name, source, value in (("first", "untouched", 1.0), ("second", "first", 2.0)):
        shutil.copytree(states[source], states[name])
        write(states[name] / path.name, value)
    return states


def write(path: Path, value: float) -> None:
    ArrayFile(path, ROIS_FIRST).write(results_of(path, value))


@needs_fork
@pytest.mark.parametrize("form", ["npy", "mat5", "csv"])
@pytest.mark.parametrize(("before", "after"), [("untouched", "first"), ("first", "second"), ("second", "untouched")])
def test_killed_at_any_operation(tmp_path, form, before, after):
    """Opened again, the folder is as before or as after; old results are never half new."""
    states = states_of(tmp_path, form)
    old, new = hashes(states[before]), hashes(states[after])
    folder = tmp_path / "killed"
    path = path_of(folder, form)
    actions = {"first": lambda: write(path, 1.0), "second": lambda: write(path, 2.0)}
    action = actions.get(after, lambda: ArrayFile(path).restore())
    seen = []
    for at in kills(lambda: fresh(states[before], folder), action, folder):
        ArrayFile(path, ROIS_FIRST).record()
        found = hashes(folder)
        if form == "mat5" and after != "untouched":
            # MATLAB's header holds the time of day, so that the bytes differ from run to run
            is_new = any(digest != old.get(name) for name, digest in found.items())
            assert not is_new or set(found) == set(new)
            loaded = ArrayFile(path).results()
            expected = {"untouched": None, "first": 1.0, "second": 2.0}[after if is_new else before]
            assert (loaded is None) == (expected is None)
            assert loaded is None or (
                (loaded.spike_prob[:] == expected).all() and loaded.record.container["value"] == expected
            )
        else:
            assert found in (old, new), f"operation {at}"
            is_new = found == new
        seen.append(is_new)
    assert seen == sorted(seen) and seen[0] is False and seen[-1] is True and len(seen) > 10


@needs_fork
def test_two_runs_at_once(tmp_path):
    """On one file the second is refused; on two files of a folder both go on, and neither harms the other."""
    path, other = (save(tmp_path, "npy", make_dff(), stem=stem) for stem in ("traces", "other"))
    before = hashes(tmp_path)

    def refused_for_now():
        with waiting(0), pytest.raises(InputError, match=r"traces.npy is being changed by another run"):
            write(path, 2.0)

    container = ArrayFile(path, ROIS_FIRST)
    files = container._beside()

    def meanwhile(file):
        assert forked(refused_for_now) == 0
        assert forked(lambda: write(other, 3.0)) == 0
        np.save(file, np.ones(3))

    files.write({"traces_cascade_dff.npy": meanwhile}, {"what": "a test"})
    assert (ArrayFile(other, ROIS_FIRST).results().spike_prob[:] == 3.0).all()
    assert ArrayFile(other).restore() and ArrayFile(path).restore()
    assert hashes(tmp_path) == before


def test_a_full_disk_leaves_everything_as_it_was(tmp_path, monkeypatch):
    states = states_of(tmp_path, "npz")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="cannot be changed: No space left on device"):
        write(states["first"] / "traces.npz", 2.0)
    monkeypatch.undo()
    ArrayFile(states["first"] / "traces.npz").record()
    assert ArrayFile(states["first"] / "traces.npz").results().record.container["value"] == 1.0


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(tmp_path, run):
    path = save(tmp_path, "npy", make_dff())
    before = hashes(tmp_path)
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(InputError, match="cannot be changed: Permission denied"):
            run(path)
    finally:
        tmp_path.chmod(0o755)
    assert hashes(tmp_path) == before


def test_a_read_only_file_and_any_name(tmp_path, run):
    folder = tmp_path / "día 1, µ2² (50%) [x]"
    folder.mkdir()
    path = save(folder, "npy", make_dff(), stem="trazas [1] *")
    path.chmod(0o444)
    before = hashes(folder)
    run(path)
    assert ArrayFile(path).results().dff.shape == (3, 160)
    ArrayFile(path).restore()
    assert hashes(folder) == before


def test_behind_a_link(tmp_path, run):
    """Results lie beside the name that was given; the place that it points to may be an archive."""
    (tmp_path / "archive").mkdir()
    (tmp_path / "mine").mkdir()
    original = save(tmp_path / "archive", "npy", make_dff())
    try:
        (tmp_path / "mine" / "link.npy").symlink_to(original)
    except OSError:
        pytest.skip("this platform or user cannot make links")
    before = hashes(tmp_path)
    run(tmp_path / "mine" / "link.npy")
    assert set(hashes(tmp_path / "archive")) == {"traces.npy"}
    assert (tmp_path / "mine" / "link_cascade_dff.npy").is_file()
    ArrayFile(tmp_path / "mine" / "link.npy").restore()
    assert hashes(tmp_path) == before


def test_a_file_that_vanishes(tmp_path):
    container = ArrayFile(save(tmp_path, "npy", make_dff()), ROIS_FIRST)
    container.path.unlink()
    with pytest.raises(InputError, match="cannot be read: No such file"):
        container.read(RATE_GIVEN)


# ------------------------------------------------------------------------------------------------------ command line


def test_on_the_command_line(tmp_path, random_model, capsys):
    path = save(tmp_path, "mat5", make_dff(), fs=RATE)
    before = hashes(tmp_path)
    options = ["--orientation", "rois-first", "--model", str(random_model.folder)]
    main(["inspect", str(path), *options])
    assert "array, 3 ROIs x 160 frames" in (shown := capsys.readouterr().out)
    assert "frame rate 30 Hz (fs in traces.mat)" in shown and "dF/F from dff, rois-first (as given)" in shown
    main(["run", str(path), *options, "--quiet"])
    assert "wrote traces_cascade.mat, traces_cascade.mat.json" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["run", str(path), *options, "--quiet"])
    main(["run", str(path), *options, "--quiet", "--existing", "overwrite"])
    main(["restore", str(path)])
    assert "removed traces_cascade.mat\n  removed traces_cascade.mat.json" in capsys.readouterr().out
    assert hashes(tmp_path) == before
    with pytest.raises(SystemExit):
        main(["inspect", str(path), *options[2:]])
    assert "pass --orientation rois-first" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "rate", "shape"),
    [
        ("allen-visual-coding-30Hz", 30.0, (74, 6001)),
        ("zebrafish-OGB1-7.5Hz-a", 7.5, (1005, 260)),
        ("zebrafish-OGB1-7.5Hz-b", 7.5, (1005, 260)),
    ],
)
def test_real_files(tmp_path, shared, random_model, name, rate, shape):
    path = tmp_path / f"{name}.mat"
    shutil.copyfile(shared("containers/arrays") / path.name, path)
    before = hashes(tmp_path)
    refused(path, r"may be .*; it has no frame rate", Selection(), Reading())
    options = parse_options({"model": str(random_model.folder), "frame_rate": rate})
    (report,) = process_all(find_containers(path, ROIS_FIRST), options)
    assert report.status == "done" and (report.n_rois, report.n_frames) == shape
    # two all-NaN neurons; nothing else is lost, and the orientation is not doubted
    assert len(report.without_prediction) == (2 if "zebrafish" in name else 0)
    assert not any("orientation" in warning for warning in report.warnings)
    assert any("orientation" in remark for remark in read(path, FRAMES_FIRST).remarks)
    ArrayFile(path).restore()
    assert hashes(tmp_path) == before
