"""What commands say: once, in one line per reason, and the same before and after."""

import json

import h5py
import numpy as np
import pytest

import cascade_adapters
from cascade_adapters.cli import main
from cascade_engine.errors import CascadeWarning
from tests.builders import array_files, caiman_files
from tests.builders.suite2p_folders import make_plane

N_FRAMES = 300


@pytest.fixture
def cascade(capsys, random_model):
    """Return a function that runs a command: exit status, standard output, standard error."""

    def run(command, *arguments):
        model = [] if command == "spikes" else ["--model", str(random_model.folder)]
        status = 0
        try:
            main([command, *map(str, arguments), *model])
        except SystemExit as end:
            status = end.code
        return status, *capsys.readouterr()

    return run


def without_f(folder, rois=slice(None)):
    traces = np.load(folder / "F.npy")
    traces[rois] = np.nan
    np.save(folder / "F.npy", traces)


def test_nothing_predicted(tmp_path, cascade):
    """One line for all ROIs, exit status 1, nothing written; the batch goes on, and 'inspect' has said so."""
    bad, good = (make_plane(tmp_path / name, n_rois=41, n_frames=N_FRAMES).folder for name in ("bad", "good"))
    without_f(bad)
    reason = "F has no finite value"
    line = f"{bad}: nothing predicted: {reason} (41 of 41 ROIs)"
    status, out, err = cascade("inspect", bad)
    assert status == 0 and err == ""
    assert f"  warning: 'run' would refuse this: {line}\n" in out
    assert f"  41 of 41 ROIs without prediction: {reason} (ROI 0, 1, 2, 3, 4, 5, 6, 7, ...)\n" in out
    for dry in (("--dry-run",), ()):
        status, out, err = cascade("run", tmp_path, *dry)
        assert status == 1 and err == f"failed: {line}\n"
        assert f"{good}: {'planned' if dry else 'done'}\n" in out and "1 failed" in out
    assert (good / "cascade.json").exists() and not list(bad.glob("cascade*"))
    status, out, _ = cascade("run", bad, "--json")
    (report,) = json.loads(out)
    assert status == 1 and report["message"] == line and len(report["without_prediction"]) == 41


def test_inspect_and_run_give_the_same_reasons(tmp_path, cascade):
    dff = np.array(array_files.make_dff(6, 400))
    dff[1] = np.nan
    dff[2, 5 : 5 + 3] = np.inf
    dff[3, 5 : 5 + 20] = np.inf
    dff[4, np.arange(400) % 50 > 38] = np.nan
    path = array_files.save(tmp_path, "npy", dff)
    options = (path, "--frame-rate", 30, "--orientation", "rois-first")
    said = []
    for command in ("inspect", "run"):
        status, out, _ = cascade(command, *options)
        assert status == 0
        said.append([line for line in out.splitlines() if "without prediction" in line])
    assert said[0] == said[1] == [
        "  2 of 6 ROIs without prediction: infinite dF/F in 3 to 20 frames (ROI 2, 3)",
        "  1 of 6 ROIs without prediction: all values are missing (ROI 1)",
        "  1 of 6 ROIs without prediction: no 64 consecutive frames without missing values (ROI 4)",
    ]  # fmt: skip


@pytest.mark.filterwarnings("ignore::cascade_engine.errors.CascadeWarning")
def test_the_universal_model_needs_no_windows(tmp_path):
    dff = np.array(array_files.make_dff(2, 400))
    dff[1, np.arange(400) % 50 > 38] = np.nan
    path = array_files.save(tmp_path, "npy", dff)
    (done,) = cascade_adapters.run(path, orientation="rois-first", frame_rate=30.0, sessions=(10, 390))
    assert not done.report.without_prediction and np.isfinite(done.results.spike_prob[1, 50:80]).all()
    (short,) = [text for text in done.report.warnings if "segments" in text]
    assert short == "1 of 2 segments have fewer than the 16 frames that a prediction needs (down to 10): none there"


def test_only_cells_says_how_many_are_left_out(tmp_path, cascade):
    folder = make_plane(tmp_path / "plane0", n_frames=N_FRAMES).folder
    _, out, _ = cascade("run", folder, "--only-cells")
    assert "  2 of 6 ROIs left out by --only-cells\n" in out
    _, out, _ = cascade("run", folder, "--existing", "overwrite")
    assert "left out by" not in out


def test_nothing_is_said_twice(tmp_path, cascade):
    for number in range(3):
        caiman_files.make_file(tmp_path / f"{number}.hdf5", frame_rate=30.0)
    for number in (3, 4):
        path = caiman_files.make_file(tmp_path / f"{number}.hdf5", frame_rate=30.0)
        with h5py.File(path, "r+") as file:
            if number == 3:
                file["params/data/decay_time"][()] = 0.7  # somebody has set the parameters
            else:
                del file["params/data/fr"]
    text = "params/data/fr is 30 Hz, CaImAn's default, which may never have been set"
    for command in ("inspect", "run"):
        status, out, err = cascade(command, tmp_path)
        assert status == 1 and err.count(str(tmp_path / "4.hdf5")) == len(err.splitlines()) == 1
        assert out.count(text) == 2 and out.count(f"  warning: {text}") == 1
        assert f"2 more with the same warning as {tmp_path / '0.hdf5'}: {text}" in out
    with pytest.warns(CascadeWarning) as caught, pytest.raises(Exception, match="no frame rate"):
        cascade_adapters.run(tmp_path, existing="overwrite")
    (found,) = [str(each.message) for each in caught if text in str(each.message)]
    assert found.startswith(f"{tmp_path / '0.hdf5'} and 2 more: ")


def test_python_says_which_rois_have_no_prediction(tmp_path, random_model):
    folder = make_plane(tmp_path / "plane0", n_frames=N_FRAMES).folder
    without_f(folder, [1, 4])
    with pytest.warns(CascadeWarning, match=r"2 of 6 ROIs without prediction: F has no finite value \(ROI 1, 4\)"):
        cascade_adapters.run(folder, model=str(random_model.folder))


def test_one_photon_without_f_dff(tmp_path, cascade):
    for dff, said in (
        (None, "no dF/F can be had; pass"),
        ("detrended", "can be had, and F_dff is only detrended; pass"),
    ):
        cnm = caiman_files.make_cnmf(dff=dff)
        cnm.estimates.b = cnm.estimates.f = None
        _, _, err = cascade("run", caiman_files.save(cnm, tmp_path / "a.hdf5"))
        assert said in err


@pytest.mark.parametrize("replaced", [False, True])
def test_spikes_names_and_touches_what_it_changes(replaced, tmp_path, cascade):
    folder = make_plane(tmp_path / "plane0", n_frames=N_FRAMES).folder
    cascade("run", folder, *["--replace-spks"] * replaced)
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    _, out, _ = cascade("spikes", folder)
    assert "  wrote cascade_spikes.npz, cascade.json\n" in out
    after = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert {name for name in after if after[name] != before.get(name)} == {"cascade_spikes.npz", "cascade.json"}
    for form in ("npy", "csv"):
        path = array_files.save(tmp_path, form, array_files.make_dff())
        given = ["--orientation", "rois-first"]
        cascade("run", path, "--frame-rate", 30, *given)
        before = {each: each.stat().st_mtime_ns for each in tmp_path.iterdir()}
        _, out, _ = cascade("spikes", path, *given)
        names = [f"traces_cascade_spikes.{form}", f"traces_cascade.{form}.json"]
        assert f"  wrote {', '.join(names)}\n" in out
        changed = {each.name for each in tmp_path.iterdir() if each.stat().st_mtime_ns != before.get(each)}
        assert changed == set(names)
    _, _, _ = cascade("run", caiman_files.make_file(tmp_path / "a.hdf5"), *["--replace-s"] * replaced)
    _, out, _ = cascade("spikes", tmp_path / "a.hdf5")
    assert "  wrote estimates/cascade/spikes, estimates/cascade/provenance\n" in out
    main(["restore", str(folder)])
    assert not list(folder.glob("cascade*")) and not (folder / "spks_suite2p.npy").exists()


def test_tables_of_spikes(tmp_path, cascade):
    folder = make_plane(tmp_path / "plane0", n_frames=N_FRAMES, noise_level=1.0).folder
    cascade_adapters.run(folder)
    cascade("spikes", folder)
    main(["convert", str(folder), str(tmp_path / "tables"), "--to", "csv"])
    header, *rows = (tmp_path / "tables" / "spikes.csv").read_text().splitlines()
    assert header == "roi,frame,time_s,confidence" and rows
    for row in rows:
        roi, frame, _, confidence = row.split(",")
        assert roi.isdigit() and frame.isdigit() and 0 <= float(confidence) <= 1


def test_short_recordings_have_a_length(tmp_path, cascade):
    path = array_files.save(tmp_path, "npy", array_files.make_dff(3, 7))
    _, out, _ = cascade("inspect", path, "--frame-rate", 30, "--orientation", "rois-first")
    assert "3 ROIs x 7 frames, 0.23 s" in out
