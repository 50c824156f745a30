"""Files of arrays: every format, there and back; which variable, and which of its axes is time."""

import json

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from cascade_adapters.cli import main
from cascade_adapters.containers.arrays import ArrayFile
from cascade_adapters.containers.base import Reading, Selection
from cascade_adapters.containers.registry import find_containers
from cascade_engine import infer
from cascade_engine.errors import InputError
from cascade_engine.file_formats.atomic import sha256
from tests.adapters.arrays.helpers import FRAMES_FIRST, RATE_GIVEN, ROIS_FIRST, read, refused
from tests.builders.array_files import FORMATS, RATE, make_dff, path_of, save, save_mat73
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
    assert set(report.written) <= set(files)  # what is the same as before stays
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


def test_a_key_for_files_without_names_is_refused(tmp_path):
    selection = Selection(key="dff", orientation="rois-first")
    refused(save(tmp_path, "npy", make_dff()), "a single array, which has no name: leave out --key", selection)


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


# ------------------------------------------------------------------------------------------------------ masked arrays


def masked_dff() -> np.ma.MaskedArray:
    """dF/F with frames that are masked, and nonsense below the mask."""
    dff = np.ma.MaskedArray(make_dff().copy(), mask=False)
    dff[0, 20:24] = dff[2, 100] = np.ma.masked
    dff.data[dff.mask] = 1e20
    return dff


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("form", ["dumped", "rows", "dictionary", "npz of a dictionary"])
def test_what_is_masked_in_a_pickle_is_missing(tmp_path, form, order):
    masked = np.ma.MaskedArray(np.array(masked_dff().data, order=order), masked_dff().mask)
    expected = np.where(masked.mask, np.nan, masked.data)
    path = tmp_path / ("traces.npz" if form.startswith("npz") else "traces.npy")
    if form == "dumped":
        masked.dump(path)
    elif form == "rows":
        rows = np.empty(3, dtype=object)
        rows[:] = [masked[i] for i in range(3)]
        np.save(path, rows)
    elif form == "dictionary":
        np.save(path, {"dff": masked, "fs": RATE})
    else:
        np.savez(path, session={"dff": masked, "fs": RATE})
    reading = RATE_GIVEN if form in ("dumped", "rows") else Reading()
    np.testing.assert_array_equal(read(path, reading=reading).dff, expected)


def test_dictionaries_of_arrays_are_looked_into(tmp_path):
    np.save(tmp_path / "traces.npy", {"dff": make_dff(), "times": np.arange(160) / RATE, "other": make_dff()[:2]})
    refused(tmp_path / "traces.npy", r"holds dff \(3 x 160\), other \(2 x 160\): pass --key")
    traces = read(tmp_path / "traces.npy", Selection(key="dff"))
    assert traces.shape == (3, 160) and "times has 160 values" in traces.source


# ---------------------------------------------------------------------------------------------- orientation, once more


def test_a_matrix_with_one_frame_or_one_roi_follows_the_option(tmp_path, run):
    for shape in ((160, 1), (1, 160)):
        for orientation in ("rois-first", "frames-first"):
            path = save(tmp_path, "npy", make_dff()[0].reshape(shape))
            assert read(path, Selection(orientation=orientation)).shape == (
                shape if orientation == "rois-first" else shape[::-1]
            )
    np.save(tmp_path / "eight.npy", make_dff()[0, :8, np.newaxis])
    assert read(tmp_path / "eight.npy").shape == (8, 1)


@pytest.mark.parametrize("shape", [(160, 1), (160, 3), (160, 8)])
def test_transposed_traces_are_called_that(tmp_path, run, shape):
    path = save(tmp_path, "npy", make_dff(8)[: shape[1]].T)
    with pytest.raises(
        InputError,
        match=rf"160 neurons of {shape[1]} frames?, and a prediction needs 64 frames: this looks transposed; "
        r"pass the other --orientation \(frames-first if",
    ):
        run(path)
    with pytest.raises(InputError, match="this looks transposed"):
        inspect_one(ArrayFile(path, ROIS_FIRST), frame_rate=RATE)


# ------------------------------------------------------------------------------------------------------ times of frames


@pytest.mark.parametrize(
    ("name", "unit"), [("time_s", 1.0), ("t_ms", 1e-3), ("timestamps_s", 1.0), ("Time_seconds", 1.0)]
)
@pytest.mark.parametrize("form", ["npz", "mat5"])
def test_times_with_a_unit_give_the_rate(tmp_path, form, name, unit):
    times = np.delete(np.arange(163) / 12.5, [70, 71, 72])
    traces = read(save(tmp_path, form, make_dff(), **{name: times / unit}), Selection(), Reading())
    assert traces.frame_rate == pytest.approx(12.5) and traces.frame_rate_source == f"{name} in traces.{form[:3]}"
    assert traces.dropped == {70: 3} and any(
        f"times in {name} show 3 dropped frames" in text for text in traces.remarks
    )
    # what the user says is followed, and the gaps are kept
    traces = read(tmp_path / f"traces.{form[:3]}", Selection(), RATE_GIVEN)
    assert (traces.frame_rate, traces.frame_rate_source, traces.dropped) == (RATE, "given", {70: 3})


@pytest.mark.parametrize(("header", "scale"), [("time_s", 1), ("Time (s)", 1), ("t [ms]", 1000), ("seconds", 1)])
@pytest.mark.parametrize("n_rois", [1, 3])
def test_the_time_column_of_a_table_gives_the_rate(tmp_path, run, header, scale, n_rois):
    times = scale * np.arange(160) / 12.5
    names = ",".join([header, *(f"roi{i}" for i in range(n_rois))])
    path = tmp_path / "traces.csv"
    np.savetxt(
        path, np.column_stack([times, make_dff()[:n_rois].T]), delimiter=",", header=names, comments="", fmt="%.9g"
    )
    traces = read(path, Selection(), Reading())
    np.testing.assert_array_equal(np.float32(traces.dff), make_dff()[:n_rois])
    assert traces.frame_rate == pytest.approx(12.5) and "time_" in traces.frame_rate_source
    report = run(path, Selection(), frame_rate=None)
    assert report.frame_rate_hz == pytest.approx(12.5)


def test_times_that_tell_no_rate(tmp_path):
    rng = np.random.default_rng(0)
    path = save(tmp_path, "npz", make_dff(), time_s=np.sort(rng.random(160)) * 5)
    refused(path, r"the times in time_s are too irregular.*pass --frame-rate", Selection(), Reading())
    assert any("taken for evenly spaced" in text for text in read(path, Selection()).remarks)
    path = save(tmp_path, "npz", make_dff(), time=np.arange(160) / 12.5)
    refused(path, "the steps of time mean 12.5 Hz if they are in s", Selection(), Reading())
    # times of something else are not those of the frames
    path = save(tmp_path, "npz", make_dff(), time_s=np.arange(2000) / 1000)
    refused(path, r"it has no frame rate: pass --frame-rate \(Hz\)$", reading=Reading())
    assert read(path).remarks == []
    path = save(tmp_path, "npz", make_dff(), time_s=np.arange(160) / 12.5, fs=RATE)
    traces = read(path, Selection(), Reading())
    assert traces.frame_rate == RATE and "mean 12.5 Hz, but the frame rate is 30 Hz (fs in" in traces.remarks[0]


# ---------------------------------------------------------------------------- what was said once need not be said again


@pytest.mark.parametrize("form", ["npy", "npz", "mat5", "csv"])
def test_the_record_knows_what_was_said(tmp_path, run, form, capsys, random_model):
    raw = 500.0 * (1.0 + make_dff()).T
    others = {} if form in ("npy", "csv") else {"other": make_dff()[:2]}
    path = save(tmp_path, form, raw, **others)
    key = "dff" if others else None
    run(path, Selection(key=key, orientation="frames-first", raw=True))
    for container in find_containers(path):
        report = inspect_one(container, model=str(random_model.folder))
        assert (report.dff, report.n_rois, report.frame_rate_hz) == ("computed", 3, RATE)
        assert report.frame_rate_source == "given" and report.earlier_results.endswith("up to date")
        assert "frames-first" in report.traces
    main(["spikes", str(path)])
    assert "failed" not in capsys.readouterr().out
    assert ArrayFile(path).results().spikes is not None
    # the user may say something else
    report = inspect_one(ArrayFile(path, Selection(key=key)), frame_rate=15.0, model=str(random_model.folder))
    assert report.frame_rate_hz == 15.0
    # other traces are asked about
    save(tmp_path, form, raw[:, :2], **others)
    refused(path, "pass --orientation.*pass --frame-rate", Selection(key=key), Reading())


def test_results_of_two_variables_leave_the_question_open(tmp_path, run):
    path = save(tmp_path, "npz", make_dff(), axon=make_dff()[:2])
    for key in ("dff", "axon"):
        run(path, Selection(key=key, orientation="rois-first"))
    refused(path, "pass --key", Selection(), Reading())
    assert read(path, Selection(key="axon"), Reading()).shape == (2, 160)


# ------------------------------------------------------------------------------------------------- cells and structs


def save_matlab(path, form, content):
    """Cells are lists, arrays of structs lists of dictionaries."""
    if form == "mat73":
        save_mat73(path, content)
        return path

    def plain(value):
        if isinstance(value, list) and isinstance(value[0], dict):
            rows = [tuple(plain(each) for each in element.values()) for element in value]
            return np.array(rows, dtype=[(name, "O") for name in value[0]])
        if isinstance(value, list):
            cell = np.empty((len(value), 1), dtype=object)
            for i, element in enumerate(value):
                cell[i, 0] = plain(element)
            return cell
        return {name: plain(each) for name, each in value.items()} if isinstance(value, dict) else value

    savemat(path, plain(content))
    return path


@pytest.mark.parametrize("form", ["mat5", "mat73"])
def test_traces_in_cells(tmp_path, run, form):
    dff, path = make_dff(), tmp_path / "traces.mat"
    for rows in ([row[np.newaxis] for row in dff], [row[:, np.newaxis] for row in dff]):
        save_matlab(path, form, {"dff": rows, "fs": RATE, "depth": np.arange(3.0)})
        for selection in (Selection(), ROIS_FIRST, Selection(key="dff")):
            traces = read(path, selection, Reading())
            np.testing.assert_array_equal(traces.dff, dff)
            assert traces.frame_rate == RATE and traces.source.startswith("dff, rois-first")
    run(path, Selection(), frame_rate=None)
    np.testing.assert_array_equal(ArrayFile(path).results().dff, dff)
    assert loadmat(tmp_path / "traces_cascade.mat")["spike_prob"].shape == (3, 160) if form == "mat5" else True
    # a missing trace is a ROI without values
    save_matlab(path, form, {"session": {"dff": [dff[0], np.zeros((0, 0)), dff[2]]}, "fs": RATE})
    traces = read(path, Selection(), Reading())
    assert np.isnan(traces.dff[1]).all() and traces.shape == (3, 160)
    # matrices in a cell are called by their places
    save_matlab(path, form, {"dff": [dff, dff[:2]], "fs": RATE})
    refused(path, r"holds dff\{1\} \(3 x 160\), dff\{2\} \(2 x 160\): pass --key", Selection(), Reading())
    refused(path, r"holds dff\{1\}.*pass --key", Selection(key="dff"), Reading())
    assert read(path, Selection(key="dff{2}", orientation="rois-first"), Reading()).shape == (2, 160)
    # beside a matrix, a cell is taken if it is named
    save_matlab(path, form, {"dff": [*dff], "matrix": dff[:2], "fs": RATE})
    assert read(path, ROIS_FIRST, Reading()).shape == (2, 160)
    assert read(path, Selection(key="dff"), Reading()).shape == (3, 160)
    # of different lengths, they are no matrix
    save_matlab(path, form, {"dff": [dff[0], dff[1, :100]], "fs": RATE})
    refused(path, r"holds dff\{1\} \(1 x 160\), dff\{2\} \(1 x 100\): pass --key", Selection(), Reading())


@pytest.mark.parametrize("form", ["mat5", "mat73"])
def test_traces_in_arrays_of_structs(tmp_path, form):
    dff, path = make_dff(), tmp_path / "traces.mat"
    neurons = [{"dff": row[np.newaxis], "fs": RATE, "name": f"n{i}", "depth": float(i)} for i, row in enumerate(dff)]
    traces = read(save_matlab(path, form, {"neuron": neurons}), Selection(), Reading())
    np.testing.assert_array_equal(traces.dff, dff)
    assert traces.frame_rate_source == "neuron.fs in traces.mat"
    sessions = [{"dff": dff, "fs": RATE}, {"dff": dff[:2], "fs": RATE}]
    save_matlab(path, form, {"session": sessions})
    refused(path, r"holds session\(1\).dff \(3 x 160\), session\(2\).dff", Selection(), Reading())
    assert read(path, Selection(key="session(2).dff", orientation="rois-first"), Reading()).shape == (2, 160)
