"""Files of arrays: every format, there and back; which variable, and which of its axes is time."""

import json

import numpy as np
import pytest
from scipy.io import loadmat

from cascade_adapters.cli import main
from cascade_adapters.containers.arrays import ArrayFile
from cascade_adapters.containers.base import Reading, Selection
from cascade_adapters.containers.registry import find_containers
from cascade_engine import infer
from cascade_engine.errors import InputError
from cascade_engine.file_formats.atomic import sha256
from tests.adapters.arrays.helpers import FRAMES_FIRST, RATE_GIVEN, ROIS_FIRST, read, refused
from tests.builders.array_files import FORMATS, RATE, make_dff, path_of, save
from tests.builders.running import inspect_one
from tests.builders.suite2p_folders import hashes

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
    with pytest.raises(InputError, match="frame_rate must be a number from"):
        Reading(frame_rate=-1.0)
